/* What the lists take from files of the node, which whoever may ask it may read: root and the service user. */
#include <fnmatch.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "cli/operate.h"
#include "dicom/scan/scan.h"

#define LESIONS_SHOWN 4

static bool parse_age(const char *text, int64_t *ret_ms) {
  static const struct {
    char unit;
    int64_t seconds;
  } units[] = {{'m', 60}, {'h', 3600}, {'d', 86400}, {'w', 604800}};
  char *end = NULL;
  unsigned long count = strtoul(text, &end, 10);
  if (text[0] < '0' || text[0] > '9' || count > 100000 || end[0] == '\0' || end[1] != '\0') {
    return false;
  }
  for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
    if (units[i].unit == *end) {
      *ret_ms = 1000 * (int64_t)count * units[i].seconds;
      return true;
    }
  }
  return false;
}

bool lvn_operate_parse_since(const char *text, int64_t now_ms, int64_t *ret_since_ms, struct lvn_error *err) {
  static const char *const forms[] = {"%Y-%m-%d", "%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S"};
  int64_t age_ms = 0;
  if (parse_age(text, &age_ms)) {
    *ret_since_ms = now_ms - age_ms;
    return true;
  }
  for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
    struct tm parts = {.tm_isdst = -1};
    const char *rest = strptime(text, forms[i], &parts);
    if (rest != NULL && *rest == '\0') {
      *ret_since_ms = 1000 * (int64_t)mktime(&parts);
      return true;
    }
  }
  return lvn_error_set(err, LVN_ERROR_USAGE,
                       "--since: '%.40s' is no time: write 30m, 2h, 3d, 2w, 2026-11-28 or \"2026-11-28 13:00\"", text);
}

/* Bytes of any character set become what JSON can hold. */
static void set_text(json_t *object, const char *key, const char *value) {
  char plain[LVN_UID_BYTES];
  if (json_object_set_new(object, key, json_string(value)) == 0) {
    return;
  }
  (void)lvn_copy(plain, sizeof plain, value);
  for (char *c = plain; *c != '\0'; c++) {
    *c = (unsigned char)*c >= 0x80 ? '?' : *c;
  }
  (void)json_object_set_new(object, key, json_string(plain));
}

void lvn_operate_identify(json_t *study) {
  static const char *const keys[] = {"accession_number", "patient_id", "study_date"};
  size_t position;
  json_t *path;
  for (size_t i = 0; i < 3; i++) {
    (void)json_object_set_new(study, keys[i], json_string(""));
  }
  json_array_foreach(json_object_get(study, "samples"), position, path) {
    struct lvn_scan_text texts[] = {{.tag = 0x00080050u}, {.tag = 0x00100020u}, {.tag = 0x00080020u}};
    struct lvn_scan scan;
    struct lvn_error ignored;
    /* What was found before a fault counts: an odd object is somebody's, too. */
    (void)!lvn_scan_file_texts(json_string_value(path), texts, 3, &scan, &ignored);
    for (size_t i = 0; i < 3; i++) {
      if (texts[i].value[0] != '\0' && json_string_length(json_object_get(study, keys[i])) == 0) {
        set_text(study, keys[i], texts[i].value);
      }
    }
  }
}

/* "2026-11-28" as DICOM has it. */
static void cut_hyphens(const char *text, char ret_date[16]) {
  size_t count = 0;
  for (; *text != '\0' && count < 15; text++) {
    if (*text != '-') {
      ret_date[count++] = *text;
    }
  }
  ret_date[count] = '\0';
}

bool lvn_operate_matches(const json_t *study, const char *wanted) {
  static const char *const keys[] = {"accession_number", "patient_id", "study_date", "name"};
  char date[16];
  cut_hyphens(wanted, date);
  for (size_t i = 0; i < 4; i++) {
    const char *value = json_string_value(json_object_get(study, keys[i]));
    const char *pattern = i == 2 && strlen(wanted) <= 10 ? date : wanted;
    if (value != NULL && value[0] != '\0' && fnmatch(pattern, value, FNM_CASEFOLD | FNM_NOESCAPE) == 0) {
      return true;
    }
  }
  return false;
}

static void describe_lesion(const json_t *lesion, char *text, size_t text_bytes) {
  const json_t *prediction = json_object_get(lesion, "prediction");
  const char *top = json_string_value(json_object_get(prediction, "top_class"));
  const json_t *share = top == NULL ? NULL : json_object_get(json_object_get(prediction, "probability"), top);
  size_t used = strlen(text);
  const char *comma = used == 0 ? "" : ", ";
  if (top == NULL || json_is_true(json_object_get(prediction, "abstained"))) {
    (void)snprintf(text + used, text_bytes - used, "%sindeterminate", comma);
  } else {
    double percent = 100 * json_number_value(share);
    (void)snprintf(text + used, text_bytes - used, percent > 99 ? "%s%s > 99 %%" : "%s%s %.0f %%", comma, top, percent);
  }
}

void lvn_operate_add_result(json_t *study) {
  char path[LVN_PATH_BYTES];
  char text[160] = "";
  const char *folder = json_string_value(json_object_get(study, "folder"));
  const char *state = json_string_value(json_object_get(study, "state"));
  LVN_AUTOJSON json_t *root = NULL;
  int length = folder == NULL ? 0 : snprintf(path, sizeof path, "%s/analysis.json", folder);
  if (length > 0 && (size_t)length < sizeof path && folder[0] != '\0' && state != NULL && strcmp(state, "done") == 0) {
    root = json_load_file(path, 0, NULL);
  }
  const json_t *lesions = json_object_get(root, "lesions");
  size_t count = json_array_size(lesions);
  for (size_t i = 0; i < count && i < LESIONS_SHOWN; i++) {
    describe_lesion(json_array_get(lesions, i), text, sizeof text);
  }
  if (count > LESIONS_SHOWN) {
    size_t used = strlen(text);
    (void)snprintf(text + used, sizeof text - used, ", and %zu more", count - LESIONS_SHOWN);
  }
  (void)json_object_set_new(study, "lesions", root == NULL ? json_null() : json_integer((json_int_t)count));
  (void)json_object_set_new(study, "result", json_string(text));
}
