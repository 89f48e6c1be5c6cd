/* Why a stack takes no part in phase recognition. Pure C, private to dicom/read. */
#ifndef LVN_DICOM_READ_ASIDE_H
#define LVN_DICOM_READ_ASIDE_H

#include "dicom/read/study.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What the decision looks at. Texts as in struct lvn_stack, any case. */
struct lvn_aside_facts {
  const char *image_type;
  const char *series_description;
  const char *protocol_name;
  const char *rescale_type;          /* (0028,1054): "HU", "US", "" or a map's unit */
  const char *volume_calculation;    /* (0008,9207), Enhanced CT: "NONE", "MAX_IP", … */
  const char *volumetric_properties; /* (0008,9206), Enhanced CT: "VOLUME", "SAMPLED", … */
  bool is_grey;                      /* one sample per pixel, MONOCHROME1 or 2 */
  double normal_z;                   /* z of the slices' normal */
  size_t slice_count;                /* all, repeated positions included */
  size_t position_count;             /* different positions */
};

enum lvn_aside lvn_aside_decide(const struct lvn_aside_facts *facts);

#ifdef __cplusplus
}
#endif
#endif
