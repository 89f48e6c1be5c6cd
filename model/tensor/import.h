/* Weights from elsewhere: safetensors, and PyTorch's state_dict files (.pth, .bin), in the zip form and in the one
 * before PyTorch 1.6. Pickle is a program; pickle.c runs only the part of it that builds dicts of tensors, and refuses
 * the rest with the reason. Nothing of the file is executed. */
#ifndef LVN_MODEL_IMPORT_H
#define LVN_MODEL_IMPORT_H

#include "model/tensor/safetensors.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Immutable once opened; may be shared by threads. */
struct lvn_import;

/* The form is told by the content, not by the name. Reads the whole file into memory; tensors of nested dicts are named
 * "outer.inner". LVN_ERROR_DATA says what is wrong with the file or which part of pickle was refused. */
LVN_MUST_CHECK bool lvn_import_open(const char *path, struct lvn_import **ret_import, struct lvn_error *err);
/* The same from memory, which is borrowed and must outlive the handle. */
LVN_MUST_CHECK bool lvn_import_parse(const void *data, size_t bytes, struct lvn_import **ret_import,
                                     struct lvn_error *err);
void lvn_import_close(struct lvn_import *import); /* NULL is allowed */

size_t lvn_import_count(const struct lvn_import *import);
const struct lvn_tensor *lvn_import_get(const struct lvn_import *import, size_t index);
const struct lvn_tensor *lvn_import_find(const struct lvn_import *import, const char *name); /* or NULL */

#ifdef __cplusplus
}
#endif
#endif
