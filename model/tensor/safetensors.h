/* safetensors files: named tensors behind a JSON header, data little-endian and row-major. Every offset is checked
 * against the file before a view is given out, so a hostile file can only be refused.
 * Source: the safetensors format description (8-byte header length, JSON header, data without holes). */
#ifndef LVN_MODEL_SAFETENSORS_H
#define LVN_MODEL_SAFETENSORS_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LVN_TENSOR_RANK_MAX 8
#define LVN_TENSOR_COUNT_MAX 65536

enum lvn_dtype { LVN_DTYPE_U8, LVN_DTYPE_I16, LVN_DTYPE_I32, LVN_DTYPE_I64, LVN_DTYPE_F16, LVN_DTYPE_F32 };
size_t lvn_dtype_bytes(enum lvn_dtype dtype);
const char *lvn_dtype_name(enum lvn_dtype dtype); /* "U8", "I16", … as in the file */

/* Borrowed from the file it came from. */
struct lvn_tensor {
  const char *name;
  enum lvn_dtype dtype;
  size_t rank;
  uint64_t shape[LVN_TENSOR_RANK_MAX];
  uint64_t element_count;
  const void *data; /* not aligned for the element type: copy it out */
};

/* Immutable once opened; may be shared by threads. */
struct lvn_safetensors;

/* Reads the whole file into memory. LVN_ERROR_DATA names what is wrong with it. */
LVN_MUST_CHECK bool lvn_safetensors_open(const char *path, size_t max_bytes, struct lvn_safetensors **ret_file,
                                         struct lvn_error *err);
/* The same from memory, which is borrowed and must outlive the handle. */
LVN_MUST_CHECK bool lvn_safetensors_parse(const void *data, size_t bytes, struct lvn_safetensors **ret_file,
                                          struct lvn_error *err);
void lvn_safetensors_close(struct lvn_safetensors *file); /* NULL is allowed */

size_t lvn_safetensors_count(const struct lvn_safetensors *file);
const struct lvn_tensor *lvn_safetensors_get(const struct lvn_safetensors *file, size_t index);
const struct lvn_tensor *lvn_safetensors_find(const struct lvn_safetensors *file, const char *name); /* or NULL */
/* As find, and the dtype and the shape must be these: LVN_ERROR_DATA says which tensor is missing or different. An
 * expected size of 0 accepts any. */
LVN_MUST_CHECK bool lvn_safetensors_require(const struct lvn_safetensors *file, const char *name, enum lvn_dtype dtype,
                                            size_t rank, const uint64_t *shape, const struct lvn_tensor **ret_tensor,
                                            struct lvn_error *err);
/* Text of `key` in the file's "__metadata__", or NULL. */
const char *lvn_safetensors_metadata(const struct lvn_safetensors *file, const char *key);

struct lvn_tensor_note {
  const char *key;
  const char *value;
};

/* Writes tensors in the order given, and the notes as "__metadata__", durably and atomically. Names must differ. */
LVN_MUST_CHECK bool lvn_safetensors_write(const char *path, const struct lvn_tensor *tensors, size_t count,
                                          const struct lvn_tensor_note *notes, size_t note_count,
                                          struct lvn_error *err);

#ifdef __cplusplus
}
#endif
#endif
