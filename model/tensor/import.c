#include "model/tensor/import.h"

#include "base/file.h"
#include "base/memory.h"
#include "model/tensor/import_internal.h"

#include <string.h>

#define FILE_BYTES_MAX ((size_t)8 << 30)
#define PICKLE_BYTES_MAX ((size_t)64 << 20)
#define DEPTH_MAX 8U
#define VISITS_MAX 1000000U
/* Before PyTorch 1.6 a file starts with the pickle of this number: 80 02 8a 0a <10 bytes> 2e. */
static const uint8_t legacy_magic[] = {0x80, 0x02, 0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46,
                                       0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, 0x2e};

bool lvn_import_add_storage(struct lvn_import *import, const char *key, size_t key_length, const uint8_t *data,
                            size_t bytes, uint8_t *owned, struct lvn_error *err) {
  if (!lvn_grow(&import->storages, &import->storage_capacity, import->storage_count, sizeof *import->storages,
                LVN_TENSOR_COUNT_MAX, err)) {
    lvn_free(owned);
    return false;
  }
  import->storages[import->storage_count++] =
      (struct lvn_import_storage){.key = key, .key_length = key_length, .data = data, .bytes = bytes, .owned = owned};
  return true;
}

const struct lvn_import_storage *lvn_import_find_storage(const struct lvn_import *import, const uint8_t *key,
                                                         size_t length) {
  for (size_t i = 0; i < import->storage_count; i++) {
    if (import->storages[i].key_length == length && memcmp(import->storages[i].key, key, length) == 0) {
      return &import->storages[i];
    }
  }
  return NULL;
}

/* Sizes, strides and elements; `*ret_span` is how far the last element reaches. False when it is no sound shape. */
static bool read_shape(const struct lvn_pickle *pickle, const struct lvn_pickle_value *sizes,
                       const struct lvn_pickle_value *strides, struct lvn_tensor *tensor, uint64_t *stride,
                       uint64_t *ret_span) {
  uint64_t span = 1;
  tensor->rank = sizes->count;
  tensor->element_count = 1;
  if (sizes->count > LVN_TENSOR_RANK_MAX || strides->count != sizes->count) {
    return false;
  }
  for (size_t i = 0; i < sizes->count; i++) {
    const struct lvn_pickle_value *size = lvn_pickle_item(pickle, sizes, i, LVN_PICKLE_INT);
    const struct lvn_pickle_value *step = lvn_pickle_item(pickle, strides, i, LVN_PICKLE_INT);
    uint64_t reach = 0;
    if (size == NULL || step == NULL || size->integer < 0 || step->integer < 0) {
      return false;
    }
    tensor->shape[i] = (uint64_t)size->integer;
    stride[i] = (uint64_t)step->integer;
    if (__builtin_mul_overflow(tensor->element_count, tensor->shape[i], &tensor->element_count) ||
        (tensor->shape[i] > 0 && (__builtin_mul_overflow(tensor->shape[i] - 1, stride[i], &reach) ||
                                  __builtin_add_overflow(span, reach, &span)))) {
      return false;
    }
  }
  *ret_span = tensor->element_count == 0 ? 0 : span;
  return true;
}

static bool is_contiguous(const struct lvn_tensor *tensor, const uint64_t *stride) {
  uint64_t expected = 1;
  for (size_t i = tensor->rank; i > 0; i--) {
    if (tensor->shape[i - 1] != 1 && stride[i - 1] != expected) {
      return false;
    }
    expected *= tensor->shape[i - 1];
  }
  return true;
}

/* Row-major copy of a strided tensor, kept with the import. A stride of 0 repeats elements: the copy may not grow past
 * what the file itself could hold. */
static bool pack(struct lvn_import *import, struct lvn_tensor *tensor, const uint64_t *stride, const uint8_t *source,
                 size_t storage_bytes, struct lvn_error *err) {
  size_t element = lvn_dtype_bytes(tensor->dtype);
  uint64_t index[LVN_TENSOR_RANK_MAX] = {0};
  if (tensor->element_count > storage_bytes / element) {
    return lvn_error_set(err, LVN_ERROR_DATA, "tensor '%.100s' is larger than its storage", tensor->name);
  }
  uint8_t *copy = lvn_alloc(tensor->element_count, element, err);
  if (copy == NULL || !lvn_import_add_storage(import, "", 0, copy, 0, copy, err)) {
    return false;
  }
  for (uint64_t i = 0; i < tensor->element_count; i++) {
    uint64_t at = 0;
    for (size_t axis = 0; axis < tensor->rank; axis++) {
      at += index[axis] * stride[axis];
    }
    memcpy(copy + i * element, source + at * element, element);
    for (size_t axis = tensor->rank; axis > 0 && ++index[axis - 1] == tensor->shape[axis - 1]; axis--) {
      index[axis - 1] = 0;
    }
  }
  tensor->data = copy;
  return true;
}

static bool add_tensor(struct lvn_import *import, const struct lvn_pickle *pickle, const char *name,
                       const struct lvn_pickle_value *value, struct lvn_error *err) {
  struct lvn_tensor tensor = {0};
  uint64_t stride[LVN_TENSOR_RANK_MAX] = {0};
  uint64_t span = 0;
  const struct lvn_pickle_value *storage = &pickle->values[value->items[0]];
  const struct lvn_pickle_value *key = &pickle->values[storage->items[2]];
  const struct lvn_import_storage *bytes = lvn_import_find_storage(import, key->text, key->length);
  int64_t offset = pickle->values[value->items[1]].integer;
  tensor.dtype = (enum lvn_dtype)pickle->values[storage->items[1]].integer;
  size_t element = lvn_dtype_bytes(tensor.dtype);
  if (bytes == NULL) {
    return lvn_error_set(err, LVN_ERROR_DATA, "tensor '%.100s': its storage is missing", name);
  }
  if (!read_shape(pickle, &pickle->values[value->items[2]], &pickle->values[value->items[3]], &tensor, stride, &span) ||
      offset < 0 || (uint64_t)offset > bytes->bytes / element || span > bytes->bytes / element - (uint64_t)offset) {
    return lvn_error_set(err, LVN_ERROR_DATA, "tensor '%.100s' reaches beyond its storage", name);
  }
  LVN_AUTOFREE char *owned = lvn_strdup(name, err);
  if (owned == NULL || !lvn_grow(&import->tensors, &import->tensor_capacity, import->tensor_count,
                                 sizeof *import->tensors, LVN_TENSOR_COUNT_MAX, err)) {
    return false;
  }
  tensor.name = owned;
  const uint8_t *source = bytes->data + (uint64_t)offset * element;
  tensor.data = source;
  if (!is_contiguous(&tensor, stride) && !pack(import, &tensor, stride, source, bytes->bytes, err)) {
    return false;
  }
  import->tensors[import->tensor_count++] = tensor;
  (void)lvn_steal(&owned);
  return true;
}

/* Every tensor below a dict or a list, named by its way there. What is not a tensor is passed over. */
static bool flatten(struct lvn_import *import, const struct lvn_pickle *pickle, uint32_t number, const char *name,
                    unsigned depth, struct lvn_error *err) {
  const struct lvn_pickle_value *value = &pickle->values[number];
  if (value->kind == LVN_PICKLE_TENSOR) {
    return add_tensor(import, pickle, name, value, err);
  }
  if (value->kind != LVN_PICKLE_DICT) {
    return true;
  }
  if (depth == DEPTH_MAX || (import->visits += value->count) > VISITS_MAX) {
    return lvn_error_set(err, LVN_ERROR_DATA, "the file's dicts are nested too deep or too many");
  }
  for (size_t i = 0; i + 1 < value->count; i += 2) {
    const struct lvn_pickle_value *key = &pickle->values[value->items[i]];
    if (key->kind != LVN_PICKLE_TEXT || key->length > 200 || memchr(key->text, '\0', key->length) != NULL) {
      continue;
    }
    LVN_AUTOFREE char *path =
        lvn_format(err, "%s%s%.*s", name, name[0] != '\0' ? "." : "", (int)key->length, (const char *)key->text);
    if (path == NULL || !flatten(import, pickle, value->items[i + 1], path, depth + 1, err)) {
      return false;
    }
  }
  return true;
}

bool lvn_import_flatten(struct lvn_import *import, const struct lvn_pickle *pickle, struct lvn_error *err) {
  return flatten(import, pickle, pickle->result, "", 0, err) &&
         (import->tensor_count > 0 || lvn_error_set(err, LVN_ERROR_DATA, "the file holds no dict of tensors"));
}

/* Before PyTorch 1.6: magic number, protocol, system, object and storage keys as pickles one after the other, then for
 * each key, sorted as the list is, its element count (8 bytes) and data. */
static bool read_legacy_storages(struct lvn_import *import, const struct lvn_pickle *object,
                                 const struct lvn_pickle *keys, const uint8_t *data, size_t bytes,
                                 struct lvn_error *err) {
  const struct lvn_pickle_value *list = &keys->values[keys->result];
  size_t used = 0;
  for (size_t i = 0; i < list->count; i++) {
    const struct lvn_pickle_value *key = lvn_pickle_item(keys, list, i, LVN_PICKLE_TEXT);
    size_t element = 0;
    for (size_t v = 0; key != NULL && v < object->count; v++) {
      const struct lvn_pickle_value *storage = &object->values[v];
      const struct lvn_pickle_value *own =
          storage->kind == LVN_PICKLE_STORAGE ? &object->values[storage->items[2]] : NULL;
      if (own != NULL && own->length == key->length && memcmp(own->text, key->text, key->length) == 0) {
        element = lvn_dtype_bytes((enum lvn_dtype)object->values[storage->items[1]].integer);
        break;
      }
    }
    uint64_t count = 0;
    if (element == 0 || bytes - used < sizeof count) {
      return lvn_error_set(err, LVN_ERROR_DATA, "the file's list of storages does not fit the rest of it");
    }
    memcpy(&count, data + used, sizeof count);
    used += sizeof count;
    if (count > (bytes - used) / element) {
      return lvn_error_set(err, LVN_ERROR_DATA, "the file is cut: a storage reaches beyond its end");
    }
    if (!lvn_import_add_storage(import, (const char *)key->text, key->length, data + used, count * element, NULL,
                                err)) {
      return false;
    }
    used += count * element;
  }
  return true;
}

static bool parse_legacy(struct lvn_import *import, const uint8_t *data, size_t bytes, struct lvn_error *err) {
  struct lvn_pickle pickles[5] = {0};
  size_t used = 0;
  bool good = true;
  for (size_t i = 0; good && i < 5; i++) {
    size_t left = bytes - used;
    good = lvn_pickle_parse(data + used, left < PICKLE_BYTES_MAX ? left : PICKLE_BYTES_MAX, &pickles[i], err);
    used += good ? pickles[i].used : 0;
  }
  good = good && read_legacy_storages(import, &pickles[3], &pickles[4], data + used, bytes - used, err) &&
         lvn_import_flatten(import, &pickles[3], err);
  for (size_t i = 0; i < 5; i++) {
    lvn_pickle_clear(&pickles[i]);
  }
  return good;
}

static bool parse_safetensors(struct lvn_import *import, const uint8_t *data, size_t bytes, struct lvn_error *err) {
  if (!lvn_safetensors_parse(data, bytes, &import->safetensors, err)) {
    return lvn_error_prefix(err, "neither a state_dict of PyTorch nor safetensors");
  }
  return true;
}

bool lvn_import_parse(const void *data, size_t bytes, struct lvn_import **ret_import, struct lvn_error *err) {
  struct lvn_import *import = lvn_alloc(1, sizeof *import, err);
  const uint8_t *first = data;
  if (import == NULL) {
    return false;
  }
  bool is_zip = bytes > 4 && memcmp(first, "PK\3\4", 4) == 0;
  bool is_legacy = bytes > sizeof legacy_magic && memcmp(first, legacy_magic, sizeof legacy_magic) == 0;
  bool good = is_zip      ? lvn_import_zip(import, first, bytes, err)
              : is_legacy ? parse_legacy(import, first, bytes, err)
                          : parse_safetensors(import, first, bytes, err);
  if (!good) {
    lvn_import_close(import);
    return false;
  }
  *ret_import = import;
  return true;
}

bool lvn_import_open(const char *path, struct lvn_import **ret_import, struct lvn_error *err) {
  LVN_AUTOFREE uint8_t *data = NULL;
  size_t bytes = 0;
  if (!lvn_file_read(path, FILE_BYTES_MAX, &data, &bytes, err)) {
    return false;
  }
  if (!lvn_import_parse(data, bytes, ret_import, err)) {
    return lvn_error_prefix(err, "'%.200s'", path);
  }
  (*ret_import)->file = lvn_steal(&data);
  return true;
}

void lvn_import_close(struct lvn_import *import) {
  if (import == NULL) {
    return;
  }
  for (size_t i = 0; i < import->tensor_count; i++) {
    lvn_free((void *)(uintptr_t)import->tensors[i].name);
  }
  for (size_t i = 0; i < import->storage_count; i++) {
    lvn_free(import->storages[i].owned);
  }
  lvn_safetensors_close(import->safetensors);
  lvn_free(import->tensors);
  lvn_free(import->storages);
  lvn_free(import->names);
  lvn_free(import->file);
  lvn_free(import);
}

size_t lvn_import_count(const struct lvn_import *import) {
  return import->safetensors != NULL ? lvn_safetensors_count(import->safetensors) : import->tensor_count;
}

const struct lvn_tensor *lvn_import_get(const struct lvn_import *import, size_t index) {
  if (import->safetensors != NULL) {
    return lvn_safetensors_get(import->safetensors, index);
  }
  return index < import->tensor_count ? &import->tensors[index] : NULL;
}

const struct lvn_tensor *lvn_import_find(const struct lvn_import *import, const char *name) {
  for (size_t i = 0; i < lvn_import_count(import); i++) {
    if (strcmp(lvn_import_get(import, i)->name, name) == 0) {
      return lvn_import_get(import, i);
    }
  }
  return NULL;
}
