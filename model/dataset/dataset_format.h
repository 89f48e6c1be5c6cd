/* What the data set's reader and writer agree on. */
#ifndef LVN_MODEL_DATASET_DATASET_FORMAT_H
#define LVN_MODEL_DATASET_DATASET_FORMAT_H

#include "base/file.h"
#include "model/image/crop.h"

#ifdef __cplusplus
extern "C" {
#endif

#define LVN_DATASET_FORMAT "livervlm-dataset"
#define LVN_DATASET_VERSION 1
#define LVN_DATASET_MANIFEST "manifest.json"
#define LVN_DATASET_FOLDER "lesions"
#define LVN_DATASET_PADDING_HU (-1000) /* the crop's mark for no measurement */

/* 1-64 letters, digits, '.', '_' or '-', not starting with '.'. */
LVN_MUST_CHECK bool lvn_dataset_key_is_valid(const char *key);
LVN_MUST_CHECK bool lvn_dataset_lesion_path(const char *folder, const char *lesion_id, char ret_path[LVN_PATH_BYTES],
                                            struct lvn_error *err);
/* Inside the mask over all slices, padding left out; NAN when nothing was measured. */
double lvn_dataset_mean_hu(const struct lvn_crop *crop, enum lvn_phase phase);

#ifdef __cplusplus
}
#endif
#endif
