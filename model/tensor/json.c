#include "model/tensor/json.h"

#include "base/file.h"
#include "base/memory.h"

#include <string.h>

char *lvn_json_dump(const json_t *value, size_t flags, struct lvn_error *err) {
  size_t bytes = json_dumpb(value, NULL, 0, flags);
  char *text = bytes == 0 ? NULL : lvn_alloc(bytes + 1, 1, err);
  if (bytes == 0) {
    (void)lvn_error_set(err, LVN_ERROR_INTERNAL, "cannot write JSON");
    return NULL;
  }
  if (text != NULL && json_dumpb(value, text, bytes, flags) != bytes) {
    lvn_free(text);
    (void)lvn_error_set(err, LVN_ERROR_INTERNAL, "cannot write JSON");
    return NULL;
  }
  return text;
}

json_t *lvn_json_read(const char *path, size_t max_bytes, struct lvn_error *err) {
  LVN_AUTOFREE uint8_t *data = NULL;
  size_t bytes = 0;
  json_error_t json_error;
  if (!lvn_file_read(path, max_bytes, &data, &bytes, err)) {
    return NULL;
  }
  json_t *value = json_loadb((const char *)data, bytes, JSON_REJECT_DUPLICATES, &json_error);
  if (!json_is_object(value)) {
    (void)lvn_error_set(err, LVN_ERROR_DATA, "'%.200s' line %d: %s", path, value == NULL ? json_error.line : 1,
                        value == NULL ? json_error.text : "not a JSON object");
    json_decref(value);
    return NULL;
  }
  return value;
}

bool lvn_json_write(const char *path, const json_t *value, struct lvn_error *err) {
  LVN_AUTOFREE char *text = lvn_json_dump(value, JSON_INDENT(2) | JSON_REAL_PRECISION(9), err);
  LVN_AUTOFREE char *lines = text == NULL ? NULL : lvn_format(err, "%s\n", text);
  return lines != NULL && lvn_file_replace(path, lines, strlen(lines), 0644, err);
}
