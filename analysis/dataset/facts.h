/* What a data set tells of a lesion beside its samples: series, alignment, and the images that it was taken from. */
#ifndef LVN_ANALYSIS_DATASET_FACTS_H
#define LVN_ANALYSIS_DATASET_FACTS_H

#include "analysis/findings/findings.h"
#include "analysis/study_case.h"

#include <jansson.h>

#ifdef __cplusplus
extern "C" {
#endif

/* One lesion of the findings as members of its entry in the manifest, with digests of the case's own voxels;
 * json_decref() it. NULL with `err`. */
json_t *lvn_dataset_facts(const struct lvn_case *study_case, const struct lvn_findings *findings, size_t lesion_index,
                          struct lvn_error *err);

#ifdef __cplusplus
}
#endif
#endif
