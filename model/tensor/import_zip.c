/* A state_dict since PyTorch 1.6: a zip with NAME/data.pkl and NAME/data/<key> for each storage, stored uncompressed.
 */
#include "base/memory.h"
#include "model/tensor/import_internal.h"

#include <string.h>

#include <zip.h>

#define PICKLE_BYTES_MAX ((size_t)64 << 20)
#define NAME_BYTES 512

struct archive {
  zip_t *zip;
  size_t bytes; /* of the whole file: no entry, being stored, can be larger */
  char prefix[NAME_BYTES];
  struct lvn_error *err;
};

static bool read_entry(struct archive *archive, const char *name, size_t max_bytes, uint8_t **ret_data,
                       size_t *ret_bytes) {
  zip_stat_t status;
  char path[NAME_BYTES * 2];
  (void)snprintf(path, sizeof path, "%s%s", archive->prefix, name);
  if (zip_stat(archive->zip, path, ZIP_FL_ENC_RAW, &status) != 0) {
    return lvn_error_set(archive->err, LVN_ERROR_DATA, "the archive has no '%.100s'", name);
  }
  if ((status.valid & ZIP_STAT_SIZE) == 0 || (status.valid & ZIP_STAT_COMP_METHOD) == 0 ||
      status.comp_method != ZIP_CM_STORE || status.size > archive->bytes || status.size > max_bytes) {
    return lvn_error_set(archive->err, LVN_ERROR_DATA, "entry '%.100s' of the archive is compressed or too large",
                         name);
  }
  LVN_AUTOFREE uint8_t *data = lvn_alloc((size_t)status.size + 1, 1, archive->err);
  if (data == NULL) {
    return false;
  }
  zip_file_t *file = zip_fopen_index(archive->zip, status.index, 0);
  size_t used = 0;
  for (zip_int64_t got = 1; file != NULL && got > 0 && used < status.size; used += (got > 0 ? (size_t)got : 0)) {
    got = zip_fread(file, data + used, status.size - used);
  }
  /* libzip compares the checksum when the end was read. */
  char rest = 0;
  bool good = file != NULL && used == status.size && zip_fread(file, &rest, 1) == 0;
  if (file != NULL) {
    (void)zip_fclose(file);
  }
  if (!good) {
    return lvn_error_set(archive->err, LVN_ERROR_DATA, "entry '%.100s' of the archive is damaged", name);
  }
  *ret_bytes = (size_t)status.size;
  *ret_data = lvn_steal(&data);
  return true;
}

static bool find_prefix(struct archive *archive) {
  static const char pickle[] = "data.pkl";
  zip_int64_t count = zip_get_num_entries(archive->zip, 0);
  bool found = false;
  for (zip_int64_t i = 0; i < count; i++) {
    const char *name = zip_get_name(archive->zip, (zip_uint64_t)i, ZIP_FL_ENC_RAW);
    const char *slash = name == NULL ? NULL : strchr(name, '/');
    if (slash != NULL && strcmp(slash + 1, "constants.pkl") == 0) {
      return lvn_error_set(archive->err, LVN_ERROR_DATA, "this is a TorchScript program, not a state_dict: refused");
    }
    if (slash != NULL && strcmp(slash + 1, pickle) == 0 && (size_t)(slash + 1 - name) < sizeof archive->prefix) {
      memcpy(archive->prefix, name, (size_t)(slash + 1 - name));
      archive->prefix[slash + 1 - name] = '\0';
      found = true;
    }
  }
  return found || lvn_error_set(archive->err, LVN_ERROR_DATA, "the archive has no data.pkl: no state_dict of PyTorch");
}

/* Files say their byte order since PyTorch 2.1; older ones are little-endian as all machines that made them. */
static bool check_byte_order(struct archive *archive) {
  LVN_AUTOFREE uint8_t *order = NULL;
  size_t bytes = 0;
  char path[NAME_BYTES * 2];
  (void)snprintf(path, sizeof path, "%sbyteorder", archive->prefix);
  if (zip_name_locate(archive->zip, path, ZIP_FL_ENC_RAW) < 0) {
    return true;
  }
  return read_entry(archive, "byteorder", 64, &order, &bytes) &&
         ((bytes == 6 && memcmp(order, "little", 6) == 0) ||
          lvn_error_set(archive->err, LVN_ERROR_DATA, "the archive is not little-endian"));
}

static bool read_storages(struct lvn_import *import, struct archive *archive, const struct lvn_pickle *pickle) {
  for (size_t i = 0; i < pickle->count; i++) {
    const struct lvn_pickle_value *value = &pickle->values[i];
    const struct lvn_pickle_value *key = value->kind == LVN_PICKLE_STORAGE ? &pickle->values[value->items[2]] : NULL;
    char name[64];
    uint8_t *data = NULL;
    size_t bytes = 0;
    if (key == NULL || lvn_import_find_storage(import, key->text, key->length) != NULL) {
      continue;
    }
    if (key->length == 0 || key->length > 32 || memchr(key->text, '\0', key->length) != NULL) {
      return lvn_error_set(archive->err, LVN_ERROR_DATA, "a storage has a strange name");
    }
    (void)snprintf(name, sizeof name, "data/%.*s", (int)key->length, (const char *)key->text);
    if (!read_entry(archive, name, archive->bytes, &data, &bytes) ||
        !lvn_import_add_storage(import, (const char *)key->text, key->length, data, bytes, data, archive->err)) {
      return false;
    }
  }
  return true;
}

static bool read_archive(struct lvn_import *import, struct archive *archive) {
  struct lvn_pickle pickle = {0};
  size_t bytes = 0;
  if (!find_prefix(archive) || !check_byte_order(archive) ||
      !read_entry(archive, "data.pkl", PICKLE_BYTES_MAX, &import->names, &bytes) ||
      !lvn_pickle_parse(import->names, bytes, &pickle, archive->err)) {
    return false;
  }
  bool good = read_storages(import, archive, &pickle) && lvn_import_flatten(import, &pickle, archive->err);
  lvn_pickle_clear(&pickle);
  return good;
}

bool lvn_import_zip(struct lvn_import *import, const uint8_t *data, size_t bytes, struct lvn_error *err) {
  zip_error_t error;
  struct archive archive = {.bytes = bytes, .err = err};
  zip_error_init(&error);
  zip_source_t *source = zip_source_buffer_create(data, bytes, 0, &error);
  archive.zip = source == NULL ? NULL : zip_open_from_source(source, ZIP_RDONLY | ZIP_CHECKCONS, &error);
  if (archive.zip == NULL) {
    (void)lvn_error_set(err, LVN_ERROR_DATA, "damaged zip archive: %.200s", zip_error_strerror(&error));
    zip_source_free(source);
    zip_error_fini(&error);
    return false;
  }
  bool good = read_archive(import, &archive);
  zip_discard(archive.zip);
  zip_error_fini(&error);
  return good;
}
