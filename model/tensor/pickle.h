/* The part of Python's pickle (protocols 2 to 4) that a state_dict is written in: numbers, texts, tuples, lists, dicts,
 * and the five globals that PyTorch writes tensors with. Any other opcode or global is refused, never run. Every read
 * is checked against the bytes that were given; depth and size are bounded. Internal to model/tensor. Source:
 * pickletools' opcode list; torch/serialization.py of PyTorch 0.4 to 2. */
#ifndef LVN_MODEL_PICKLE_H
#define LVN_MODEL_PICKLE_H

#include "base/error.h"
#include "model/tensor/safetensors.h"

#ifdef __cplusplus
extern "C" {
#endif

enum lvn_pickle_kind {
  LVN_PICKLE_NONE,
  LVN_PICKLE_INT, /* bool too */
  LVN_PICKLE_FLOAT,
  LVN_PICKLE_TEXT,
  LVN_PICKLE_TUPLE,
  LVN_PICKLE_LIST,
  LVN_PICKLE_DICT,    /* items: key, value, key, value, …; OrderedDict too */
  LVN_PICKLE_GLOBAL,  /* integer: one of enum lvn_pickle_global */
  LVN_PICKLE_STORAGE, /* items: the persistent id's members */
  LVN_PICKLE_TENSOR   /* items: storage, offset, sizes, strides */
};

enum lvn_pickle_global {
  LVN_PICKLE_ORDERED_DICT = 100,
  LVN_PICKLE_REBUILD_TENSOR,
  LVN_PICKLE_REBUILD_PARAMETER
  /* below 100: a torch.*Storage, the value is its enum lvn_dtype */
};

struct lvn_pickle_value {
  enum lvn_pickle_kind kind;
  int64_t integer;
  const uint8_t *text; /* borrowed from the bytes; `length` of them */
  size_t length;
  uint32_t *items; /* numbers of values */
  size_t count;
  size_t capacity;
};

/* All values of one pickle; value numbers index `values`. */
struct lvn_pickle {
  struct lvn_pickle_value *values;
  size_t count;
  size_t capacity;
  uint32_t result;
  size_t used; /* bytes, up to and with the STOP */
};

LVN_MUST_CHECK bool lvn_pickle_parse(const uint8_t *data, size_t bytes, struct lvn_pickle *ret_pickle,
                                     struct lvn_error *err);
void lvn_pickle_clear(struct lvn_pickle *pickle);

/* Item `index` of a container, NULL when it has none or is of another kind. */
const struct lvn_pickle_value *lvn_pickle_item(const struct lvn_pickle *pickle, const struct lvn_pickle_value *value,
                                               size_t index, enum lvn_pickle_kind kind);

#ifdef __cplusplus
}
#endif
#endif
