#include "model/tensor/safetensors.h"

#include "base/file.h"
#include "base/memory.h"
#include "model/tensor/json.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define LENGTH_BYTES 8U
#define HEADER_BYTES_MAX (16U * 1024U * 1024U)

struct lvn_safetensors {
  uint8_t *owned; /* NULL when the memory is borrowed */
  const uint8_t *data;
  size_t data_bytes;
  json_t *header;
  size_t count;
  struct lvn_tensor *tensors; /* sorted by offset */
};

static const struct {
  const char *name;
  size_t bytes;
} dtypes[] = {[LVN_DTYPE_U8] = {"U8", 1},   [LVN_DTYPE_I16] = {"I16", 2}, [LVN_DTYPE_I32] = {"I32", 4},
              [LVN_DTYPE_I64] = {"I64", 8}, [LVN_DTYPE_F16] = {"F16", 2}, [LVN_DTYPE_F32] = {"F32", 4}};

size_t lvn_dtype_bytes(enum lvn_dtype dtype) {
  return dtypes[dtype].bytes;
}

const char *lvn_dtype_name(enum lvn_dtype dtype) {
  return dtypes[dtype].name;
}

static bool dtype_from_name(const char *name, enum lvn_dtype *ret_dtype) {
  for (size_t i = 0; name != NULL && i < sizeof dtypes / sizeof dtypes[0]; i++) {
    if (strcmp(name, dtypes[i].name) == 0) {
      *ret_dtype = (enum lvn_dtype)i;
      return true;
    }
  }
  return false;
}

/* A JSON integer as a non-negative number; anything else fails. */
static bool get_size(const json_t *value, uint64_t *ret_size) {
  if (!json_is_integer(value) || json_integer_value(value) < 0) {
    return false;
  }
  *ret_size = (uint64_t)json_integer_value(value);
  return true;
}

static bool read_shape(const json_t *shape, struct lvn_tensor *tensor) {
  size_t rank = json_array_size(shape);
  if (!json_is_array(shape) || rank > LVN_TENSOR_RANK_MAX) {
    return false;
  }
  tensor->rank = rank;
  tensor->element_count = 1;
  for (size_t i = 0; i < rank; i++) {
    if (!get_size(json_array_get(shape, i), &tensor->shape[i]) ||
        __builtin_mul_overflow(tensor->element_count, tensor->shape[i], &tensor->element_count)) {
      return false;
    }
  }
  return true;
}

static bool read_entry(const struct lvn_safetensors *file, const char *name, const json_t *entry,
                       struct lvn_tensor *tensor, struct lvn_error *err) {
  const json_t *offsets = json_object_get(entry, "data_offsets");
  uint64_t first = 0;
  uint64_t last = 0;
  uint64_t bytes = 0;
  tensor->name = name;
  if (!dtype_from_name(json_string_value(json_object_get(entry, "dtype")), &tensor->dtype)) {
    return lvn_error_set(err, LVN_ERROR_DATA, "tensor '%.100s' has an unsupported dtype", name);
  }
  if (!read_shape(json_object_get(entry, "shape"), tensor)) {
    return lvn_error_set(err, LVN_ERROR_DATA, "tensor '%.100s' has an invalid shape", name);
  }
  if (json_array_size(offsets) != 2 || !get_size(json_array_get(offsets, 0), &first) ||
      !get_size(json_array_get(offsets, 1), &last) || first > last || last > file->data_bytes) {
    return lvn_error_set(err, LVN_ERROR_DATA, "tensor '%.100s' lies outside the file", name);
  }
  if (__builtin_mul_overflow(tensor->element_count, dtypes[tensor->dtype].bytes, &bytes) || bytes != last - first) {
    return lvn_error_set(err, LVN_ERROR_DATA, "tensor '%.100s' has %" PRIu64 " bytes, its shape needs another number",
                         name, last - first);
  }
  tensor->data = file->data + first;
  return true;
}

static int compare_offset(const void *left, const void *right) {
  const struct lvn_tensor *l = left;
  const struct lvn_tensor *r = right;
  if (l->data != r->data) {
    return (const uint8_t *)l->data < (const uint8_t *)r->data ? -1 : 1;
  }
  return l->element_count < r->element_count ? -1 : l->element_count > r->element_count;
}

/* No holes and no overlaps: hidden bytes or two names for one place are not what a writer makes. */
static bool check_layout(const struct lvn_safetensors *file, struct lvn_error *err) {
  const uint8_t *next = file->data;
  for (size_t i = 0; i < file->count; i++) {
    if (file->tensors[i].data != next) {
      return lvn_error_set(err, LVN_ERROR_DATA, "tensor '%.100s' overlaps another or leaves a hole",
                           file->tensors[i].name);
    }
    next += file->tensors[i].element_count * dtypes[file->tensors[i].dtype].bytes;
  }
  if (next != file->data + file->data_bytes) {
    return lvn_error_set(err, LVN_ERROR_DATA, "bytes after the last tensor");
  }
  return true;
}

static bool read_entries(struct lvn_safetensors *file, struct lvn_error *err) {
  const char *name = NULL;
  json_t *entry = NULL;
  size_t entries = json_object_size(file->header);
  if (entries > LVN_TENSOR_COUNT_MAX) {
    return lvn_error_set(err, LVN_ERROR_DATA, "too many tensors");
  }
  file->tensors = lvn_alloc(entries, sizeof *file->tensors, err);
  if (file->tensors == NULL) {
    return false;
  }
  json_object_foreach(file->header, name, entry) {
    if (strcmp(name, "__metadata__") != 0) {
      if (!read_entry(file, name, entry, &file->tensors[file->count], err)) {
        return false;
      }
      file->count++;
    }
  }
  qsort(file->tensors, file->count, sizeof *file->tensors, compare_offset);
  return check_layout(file, err);
}

static bool parse(struct lvn_safetensors *file, const uint8_t *bytes, size_t byte_count, struct lvn_error *err) {
  uint64_t header_bytes = 0;
  json_error_t json_error;
  if (byte_count < LENGTH_BYTES) {
    return lvn_error_set(err, LVN_ERROR_DATA, "not a safetensors file: %zu bytes", byte_count);
  }
  for (size_t i = 0; i < LENGTH_BYTES; i++) {
    header_bytes |= (uint64_t)bytes[i] << (8U * i);
  }
  if (header_bytes > byte_count - LENGTH_BYTES || header_bytes > HEADER_BYTES_MAX) {
    return lvn_error_set(err, LVN_ERROR_DATA, "not a safetensors file: header length %" PRIu64, header_bytes);
  }
  file->data = bytes + LENGTH_BYTES + header_bytes;
  file->data_bytes = byte_count - LENGTH_BYTES - (size_t)header_bytes;
  file->header =
      json_loadb((const char *)bytes + LENGTH_BYTES, (size_t)header_bytes, JSON_REJECT_DUPLICATES, &json_error);
  if (!json_is_object(file->header)) {
    return lvn_error_set(err, LVN_ERROR_DATA, "not a safetensors file: header: %.200s",
                         file->header == NULL ? json_error.text : "not an object");
  }
  return read_entries(file, err);
}

/* Takes `owned`, also on failure. */
static bool create(uint8_t *owned, const uint8_t *bytes, size_t byte_count, struct lvn_safetensors **ret_file,
                   struct lvn_error *err) {
  struct lvn_safetensors *file = lvn_alloc(1, sizeof *file, err);
  if (file == NULL) {
    lvn_free(owned);
    return false;
  }
  file->owned = owned;
  if (!parse(file, bytes, byte_count, err)) {
    lvn_safetensors_close(file);
    return false;
  }
  *ret_file = file;
  return true;
}

bool lvn_safetensors_parse(const void *data, size_t bytes, struct lvn_safetensors **ret_file, struct lvn_error *err) {
  return create(NULL, data, bytes, ret_file, err);
}

bool lvn_safetensors_open(const char *path, size_t max_bytes, struct lvn_safetensors **ret_file,
                          struct lvn_error *err) {
  uint8_t *data = NULL;
  size_t bytes = 0;
  if (!lvn_file_read(path, max_bytes, &data, &bytes, err)) {
    return false;
  }
  return create(data, data, bytes, ret_file, err) || lvn_error_prefix(err, "'%.200s'", path);
}

void lvn_safetensors_close(struct lvn_safetensors *file) {
  if (file != NULL) {
    json_decref(file->header);
    lvn_free(file->tensors);
    lvn_free(file->owned);
    lvn_free(file);
  }
}

size_t lvn_safetensors_count(const struct lvn_safetensors *file) {
  return file->count;
}

const struct lvn_tensor *lvn_safetensors_get(const struct lvn_safetensors *file, size_t index) {
  return index < file->count ? &file->tensors[index] : NULL;
}

const struct lvn_tensor *lvn_safetensors_find(const struct lvn_safetensors *file, const char *name) {
  for (size_t i = 0; i < file->count; i++) {
    if (strcmp(file->tensors[i].name, name) == 0) {
      return &file->tensors[i];
    }
  }
  return NULL;
}

bool lvn_safetensors_require(const struct lvn_safetensors *file, const char *name, enum lvn_dtype dtype, size_t rank,
                             const uint64_t *shape, const struct lvn_tensor **ret_tensor, struct lvn_error *err) {
  const struct lvn_tensor *tensor = lvn_safetensors_find(file, name);
  if (tensor == NULL) {
    return lvn_error_set(err, LVN_ERROR_DATA, "tensor '%.100s' is missing", name);
  }
  bool same = tensor->dtype == dtype && tensor->rank == rank;
  for (size_t i = 0; same && i < rank; i++) {
    same = shape[i] == 0 || shape[i] == tensor->shape[i];
  }
  if (!same) {
    return lvn_error_set(err, LVN_ERROR_DATA, "tensor '%.100s' has another type or shape than expected", name);
  }
  *ret_tensor = tensor;
  return true;
}

const char *lvn_safetensors_metadata(const struct lvn_safetensors *file, const char *key) {
  return json_string_value(json_object_get(json_object_get(file->header, "__metadata__"), key));
}

/* The header's JSON, padded with spaces so that the data starts on a multiple of 8 bytes. */
static char *make_header(const struct lvn_tensor *tensors, size_t count, const struct lvn_tensor_note *notes,
                         size_t note_count, uint64_t *ret_data_bytes, struct lvn_error *err) {
  LVN_CLEANUP(lvn_json_cleanup) json_t *header = json_object();
  json_t *metadata = note_count == 0 ? NULL : json_object();
  uint64_t offset = 0;
  bool good = header != NULL;
  for (size_t i = 0; i < note_count; i++) {
    good = good && json_object_set_new(metadata, notes[i].key, json_string(notes[i].value)) == 0;
  }
  good = good && (metadata == NULL || json_object_set_new(header, "__metadata__", metadata) == 0);
  for (size_t i = 0; good && i < count; i++) {
    uint64_t bytes = tensors[i].element_count * dtypes[tensors[i].dtype].bytes;
    json_t *shape = json_array();
    for (size_t axis = 0; axis < tensors[i].rank; axis++) {
      (void)json_array_append_new(shape, json_integer((json_int_t)tensors[i].shape[axis]));
    }
    json_t *entry = json_pack("{s:s,s:o,s:[I,I]}", "dtype", dtypes[tensors[i].dtype].name, "shape", shape,
                              "data_offsets", (json_int_t)offset, (json_int_t)(offset + bytes));
    good = json_object_set_new(header, tensors[i].name, entry) == 0;
    offset += bytes;
  }
  if (!good || json_object_size(header) != count + (note_count > 0)) {
    (void)lvn_error_set(err, LVN_ERROR_INTERNAL, "cannot make a safetensors header");
    return NULL;
  }
  LVN_AUTOFREE char *text = lvn_json_dump(header, JSON_COMPACT, err);
  *ret_data_bytes = offset;
  return text == NULL ? NULL : lvn_format(err, "%s%*s", text, (int)((8U - strlen(text) % 8U) % 8U), "");
}

bool lvn_safetensors_write(const char *path, const struct lvn_tensor *tensors, size_t count,
                           const struct lvn_tensor_note *notes, size_t note_count, struct lvn_error *err) {
  uint64_t data_bytes = 0;
  LVN_AUTOFREE char *header = make_header(tensors, count, notes, note_count, &data_bytes, err);
  if (header == NULL) {
    return false;
  }
  size_t header_bytes = strlen(header);
  size_t total = LENGTH_BYTES + header_bytes + data_bytes;
  LVN_AUTOFREE uint8_t *file = lvn_alloc(total, 1, err);
  if (file == NULL) {
    return false;
  }
  for (size_t i = 0; i < LENGTH_BYTES; i++) {
    file[i] = (uint8_t)(header_bytes >> (8U * i));
  }
  memcpy(file + LENGTH_BYTES, header, header_bytes);
  uint8_t *next = file + LENGTH_BYTES + header_bytes;
  for (size_t i = 0; i < count; i++) {
    size_t bytes = tensors[i].element_count * dtypes[tensors[i].dtype].bytes;
    if (bytes > 0) {
      memcpy(next, tensors[i].data, bytes);
    }
    next += bytes;
  }
  return lvn_file_replace(path, file, total, 0644, err);
}
