/* Any bytes as what a DICOMweb server answers: a body of several parts with the boundary "b" in pieces, whose size is
 * the first byte; then a data set in JSON, and one in XML. */
#include "base/memory.h"
#include "dicom/web/model.h"
#include "dicom/web/multipart.h"
#include "tests/fuzz/target.h"

static bool begin(void *user_data, const char *content_type, struct lvn_error *err) {
  (void)err;
  *(bool *)user_data = content_type[0] != '\0';
  return true;
}

static bool take(void *user_data, const void *data, size_t bytes, struct lvn_error *err) {
  (void)err;
  const uint8_t *at = data;
  for (size_t i = 0; i < bytes; i++) {
    *(bool *)user_data = at[i] != 0; /* every byte is there */
  }
  return true;
}

static bool end(void *user_data, struct lvn_error *err) {
  (void)user_data;
  (void)err;
  return true;
}

static void read_parts(const uint8_t *data, size_t size, size_t step) {
  struct lvn_error err = {0};
  struct lvn_multipart *multipart = NULL;
  bool seen = false;
  const struct lvn_multipart_handler handler = {.user_data = &seen, .begin = begin, .data = take, .end = end};
  bool good = lvn_multipart_create("b", &handler, &multipart, &err);
  for (size_t at = 0; good && at < size; at += step) {
    good = lvn_multipart_feed(multipart, data + at, step < size - at ? step : size - at, &err);
  }
  (void)!(good && lvn_multipart_finish(multipart, &err));
  lvn_multipart_destroy(multipart);
}

static void read_model(const char *type, const uint8_t *data, size_t size) {
  struct lvn_error err = {0};
  LVN_AUTOJSON json_t *datasets = NULL;
  char text[16];
  if (!lvn_model_parse(type, (const char *)data, size, &datasets, &err)) {
    return;
  }
  const json_t *first = json_array_get(datasets, 0);
  (void)lvn_model_get_text(first, "00081190", text, sizeof text);
  (void)lvn_model_get_integer(json_array_get(lvn_model_get_items(first, "00081198"), 0), "00081197", 0);
  (void)lvn_model_has_code(first, "00404018", "a", "b");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size == 0) {
    return 0;
  }
  read_parts(data + 1, size - 1, (size_t)data[0] + 1);
  read_model(LVN_DICOM_JSON, data, size);
  read_model("application/dicom+xml", data, size);
  return 0;
}
