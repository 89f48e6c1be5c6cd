/* What the reader of state_dicts and that of their zip form share. Internal to model/tensor. */
#ifndef LVN_MODEL_IMPORT_INTERNAL_H
#define LVN_MODEL_IMPORT_INTERNAL_H

#include "model/tensor/import.h"
#include "model/tensor/pickle.h"

#ifdef __cplusplus
extern "C" {
#endif

struct lvn_import_storage {
  const char *key; /* borrowed; `key_length` bytes */
  size_t key_length;
  const uint8_t *data;
  size_t bytes;
  uint8_t *owned; /* data, when it is the import's own */
};

struct lvn_import {
  struct lvn_safetensors *safetensors; /* then nothing below is used */
  struct lvn_import_storage *storages;
  size_t storage_count;
  size_t storage_capacity;
  struct lvn_tensor *tensors; /* names are owned */
  size_t tensor_count;
  size_t tensor_capacity;
  size_t visits;
  uint8_t *names; /* bytes that storage keys point into */
  uint8_t *file;  /* bytes that tensors point into */
};

/* Takes `owned` in every case. */
LVN_MUST_CHECK bool lvn_import_add_storage(struct lvn_import *import, const char *key, size_t key_length,
                                           const uint8_t *data, size_t bytes, uint8_t *owned, struct lvn_error *err);
const struct lvn_import_storage *lvn_import_find_storage(const struct lvn_import *import, const uint8_t *key,
                                                         size_t length);
LVN_MUST_CHECK bool lvn_import_flatten(struct lvn_import *import, const struct lvn_pickle *pickle,
                                       struct lvn_error *err);
LVN_MUST_CHECK bool lvn_import_zip(struct lvn_import *import, const uint8_t *data, size_t bytes, struct lvn_error *err);

#ifdef __cplusplus
}
#endif
#endif
