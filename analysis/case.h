/* One study made ready for the network: phases chosen, ROIs read, phases aligned about each lesion, crops made. This is
 * the one path from DICOM to crops; the node, `livervlm analyze` and `livervlm dataset build` all use it. A case owns
 * everything in it and belongs to one thread at a time. */
#ifndef LVN_ANALYSIS_CASE_H
#define LVN_ANALYSIS_CASE_H

#include "analysis/findings/findings.h"
#include "analysis/study_case.h"
#include "base/error.h"
#include "model/image/crop.h"
#include "model/registration/registration.h"

#ifdef __cplusplus
extern "C" {
#endif

struct lvn_case_options {
  struct lvn_crop_options crop;
  struct lvn_registration_options registration;
  bool align;   /* false: the phases are taken as they lie (the paper's misregistered mode) */
  bool delayed; /* the crop has the delayed phase, too, where the study has one: to be shown, not for the network */
};
void lvn_case_options_default(struct lvn_case_options *ret_options);

/* True with an outcome and, when it is not DONE, a sentence for a radiographer; `ret_case` is filled as far as it went
 * and must be cleared in both cases. False: an error that is not the study's fault. */
LVN_MUST_CHECK bool lvn_case_open(const char *const *paths, size_t path_count, const struct lvn_case_options *options,
                                  struct lvn_case *ret_case, enum lvn_analysis_outcome *ret_outcome,
                                  char ret_message[512], struct lvn_error *err);
/* A further crop of a prepared lesion, as another model's package wants it; lvn_crop_clear() it. */
LVN_MUST_CHECK bool lvn_case_crop(const struct lvn_case *study_case, size_t lesion_index,
                                  const struct lvn_crop_options *options, struct lvn_crop *ret_crop,
                                  struct lvn_error *err);
void lvn_case_clear(struct lvn_case *study_case);

#ifdef __cplusplus
}
#endif
#endif
