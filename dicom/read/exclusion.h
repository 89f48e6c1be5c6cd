/* Why a stack takes no part in phase recognition. Pure C, private to dicom/read. */
#ifndef LVN_DICOM_READ_ASIDE_H
#define LVN_DICOM_READ_ASIDE_H

#include "dicom/read/study.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What the decision looks at. Texts as in struct lvn_stack, any case. */
struct lvn_exclusion_traits {
  const char *image_type;
  const char *series_description;
  const char *protocol_name;
  const char *image_comments;
  const char *derivation;            /* (0008,2111) */
  const char *rescale_type;          /* (0028,1054): "HU", "US", "" or a map's unit */
  const char *volume_calculation;    /* (0008,9207), Enhanced CT: "NONE", "MAX_IP", … */
  const char *volumetric_properties; /* (0008,9206), Enhanced CT: "VOLUME", "SAMPLED", … */
  double kv;                         /* (0018,0060); NAN when absent */
  double energy_kev;                 /* (0018,937C); NAN when absent */
  bool is_grey;                      /* one sample per pixel, MONOCHROME1 or 2 */
  double normal_z;                   /* z of the slices' normal */
  size_t slice_count;                /* all, repeated positions included */
  size_t position_count;             /* different positions */
  bool has_many_passes;              /* over the same places: more than a liver has phases */
};

/* `ret_reserve` says, of a stack that takes part only where no other shows its phase, what it is; else it is empty. */
enum lvn_exclusion lvn_exclusion_decide(const struct lvn_exclusion_traits *facts, char ret_reserve[LVN_TEXT_BYTES]);

#ifdef __cplusplus
}
#endif
#endif
