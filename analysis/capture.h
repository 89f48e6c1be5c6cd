/* The secondary capture of one lesion as a picture: the phases side by side with the ROI's outline, the same phases
 * with Grad-CAM over them, class probabilities as bars, finding, model and research-use notice. Readable at a glance on
 * a dark background. It never shows who the patient is: no text of an object goes in but what the request gives. */
#ifndef LVN_ANALYSIS_CAPTURE_H
#define LVN_ANALYSIS_CAPTURE_H

#include "base/error.h"
#include "model/image/grid.h"
#include "model/image/vocabulary.h"

#ifdef __cplusplus
extern "C" {
#endif

#define LVN_CAPTURE_SIDE 224 /* samples of a crop's side */
#define LVN_CAPTURE_WIDTH 1440
#define LVN_CAPTURE_HEIGHT 900

struct lvn_capture_phase {
  const int16_t *hounsfield; /* [224][224]; NULL: the phase is missing */
  const char *title;         /* "Arterial" */
  const char *detail;        /* "series 3, 35 s, aligned 12 mm, est. error 1.1 mm"; wraps to two lines; NULL: none */
  bool is_reference;         /* the ROI was drawn here */
  bool is_unusable;          /* could not be aligned: marked so, no heat on it */
};

/* All borrowed. Texts are ASCII or UTF-8. */
struct lvn_capture_request {
  struct lvn_capture_phase phases[LVN_PHASE_NETWORK_COUNT]; /* NC, ART, PV */
  const uint8_t *mask;                                      /* [224][224], 0 or not */
  const float *heat;        /* [224][224] of the top class, drawn up to its own maximum; NULL: none */
  double sample_spacing_mm; /* for the scale bar */
  double window_low_hu;     /* black and white: the network's own window, so that the reader sees what it saw */
  double window_high_hu;
  char left_edge; /* 'R', 'L', 'A', 'P', 'H' or 'F': where the picture's edges lie in the patient; 0: not said */
  char top_edge;
  bool has_probability;
  unsigned classes; /* that the model tells apart: a bar each */
  double probability[LVN_CLASS_COUNT];
  enum lvn_class top_class;
  bool abstained;
  const char *abstention_reason; /* one sentence; NULL unless abstained or without probability */
  const char *lesion_label;      /* "Lesion 1 of 2" */
  const char *size_text;         /* "33 x 28 mm, 14.2 ml" */
  const char *model_name;
  const char *model_version;
  const char *trained_on; /* "synthetic phantoms"; NULL: not said */
};

/* LVN_CAPTURE_WIDTH x LVN_CAPTURE_HEIGHT. LVN_RESEARCH_NOTICE always stands in it. Same request, same pixels on one
 * installation (font rendering depends on the FreeType and font versions). */
LVN_MUST_CHECK bool lvn_capture_render(const struct lvn_capture_request *request, struct lvn_picture *ret_picture,
                                       struct lvn_error *err);

#ifdef __cplusplus
}
#endif
#endif
