/* The secondary capture of one lesion as a picture: the phases side by side with the ROI's outline and HU, the same
 * phases with Grad-CAM over them, the answer with its probabilities, where the lesion lies, model and research-use
 * notice. Readable at a glance on a dark background. It never shows who the patient is: no text of an object goes in
 * but what the request gives. */
#ifndef LVN_ANALYSIS_CAPTURE_H
#define LVN_ANALYSIS_CAPTURE_H

#include "base/error.h"
#include "model/draw/draw.h"
#include "model/image/grid.h"
#include "model/image/vocabulary.h"

#ifdef __cplusplus
extern "C" {
#endif

#define LVN_CAPTURE_SIDE 224 /* samples of a crop's side */
#define LVN_CAPTURE_WIDTH 1464
#define LVN_CAPTURE_DELAYED_WIDTH 1800 /* with a fourth tile */
#define LVN_CAPTURE_HEIGHT 932

struct lvn_capture_phase {
  const int16_t *hounsfield; /* [224][224]; NULL: the phase is missing */
  const char *title;         /* "Arterial"; NULL: no tile, for the last one alone */
  const char *detail;        /* "series 3, aligned by 12 mm, estimated error 1.1 mm"; wraps to two lines; NULL: none */
  double mean_hu;            /* of the lesion; NAN: not shown */
  double from_plain_hu;      /* change from the non-contrast phase; NAN: not shown */
  double against_liver_hu;   /* lesion less liver; NAN: not shown */
  bool is_reference;         /* the ROI was drawn here */
  bool is_unusable;          /* could not be aligned: marked so, no heat on it */
};

/* Where the lesion lies: the whole slice that its crop was taken from. */
struct lvn_capture_locator {
  struct lvn_draw_image image; /* hounsfield NULL: not shown */
  double first[2];             /* the lesion's box in pixel corners: column and row */
  double last[2];
  const char *text; /* "series 4, image 24, slice position -112.5 mm" */
};

/* All borrowed. Texts are ASCII or UTF-8; NULL: not shown. */
struct lvn_capture_request {
  struct lvn_capture_phase phases[LVN_PHASE_COUNT]; /* NC, ART, PV, DL */
  const uint8_t *mask;                              /* [224][224], 0 or not */
  double pixel_samples;                             /* samples that an image's pixel takes, for a smooth outline */
  const float *heat;        /* [224][224] of the top class, drawn up to its own maximum; NULL: none */
  double sample_spacing_mm; /* for the scale bar */
  double window_low_hu;     /* black and white: the network's own window, so that the reader sees what it saw */
  double window_high_hu;
  char left_edge; /* 'R', 'L', 'A', 'P', 'H' or 'F': where the picture's edges lie in the patient; 0: not said */
  char top_edge;
  bool has_probability;
  unsigned classes; /* that the model tells apart: bit c for class c */
  double probability[LVN_CLASS_COUNT];
  enum lvn_class top_class;
  bool abstained;
  const char *abstention_reason; /* one sentence */
  const char *conformal_text;    /* "90 %: HCC or FNH" */
  const char *outlier_text;
  const char *map_text; /* how much of the map lies about the outline */
  bool map_is_elsewhere;
  const char *small_text;   /* that few pixels show the lesion */
  const char *lesion_label; /* "Lesion 1 of 2" */
  const char *size_text;    /* "33 x 28 mm, 14.2 ml" */
  struct lvn_capture_locator locator;
  const char *model_name;
  const char *model_version;
  const char *trained_on;   /* "synthetic phantoms" */
  bool weighs_measurements; /* the answer is not the network's alone, as the map is */
};

/* LVN_RESEARCH_NOTICE always stands in it. Same request, same pixels on one installation (font rendering depends on the
 * FreeType and font versions). */
LVN_MUST_CHECK bool lvn_capture_render(const struct lvn_capture_request *request, struct lvn_picture *ret_picture,
                                       struct lvn_error *err);

#ifdef __cplusplus
}
#endif
#endif
