#include "storage/spool_internal.h"

#include "base/memory.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void json_cleanup(json_t **value) {
  json_decref(*value);
}

/* AE titles may hold any byte of the peer's; JSON needs UTF-8. Only printable ASCII is legal (PS3.5 6.2, VR AE). */
static void copy_printable(char *target, size_t target_bytes, const char *text) {
  size_t used = 0;
  for (; *text != '\0' && used + 1 < target_bytes; text++) {
    target[used++] = *text >= 0x20 && *text < 0x7f ? *text : '?';
  }
  target[used] = '\0';
}

size_t lvn_spool_record_to_text(const struct lvn_reception_record *record, char ret_text[LVN_SPOOL_RECORD_BYTES]) {
  char sha256_text[LVN_SHA256_TEXT_BYTES];
  char calling_aet[sizeof record->calling_aet];
  lvn_sha256_to_text(record->sha256, sha256_text);
  copy_printable(calling_aet, sizeof calling_aet, record->calling_aet);
  __attribute__((cleanup(json_cleanup))) json_t *root =
      json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:s, s:b}", "calling_aet", calling_aet, "address", record->address,
                "association_id", record->association_id, "received_ms", (json_int_t)record->received_ms, "sequence",
                (json_int_t)record->sequence, "byte_count", (json_int_t)record->byte_count, "sha256", sha256_text,
                "already_stored", (int)record->already_stored);
  if (root == NULL ||
      (record->sop_instance_uid[0] != '\0' &&
       (json_object_set_new(root, "sop_class_uid", json_string(record->sop_class_uid)) != 0 ||
        json_object_set_new(root, "sop_instance_uid", json_string(record->sop_instance_uid)) != 0 ||
        json_object_set_new(root, "transfer_syntax_uid", json_string(record->transfer_syntax_uid)) != 0 ||
        json_object_set_new(root, "study_instance_uid", json_string(record->study_instance_uid)) != 0 ||
        json_object_set_new(root, "series_instance_uid", json_string(record->series_instance_uid)) != 0))) {
    return 0;
  }
  size_t bytes = json_dumpb(root, ret_text, LVN_SPOOL_RECORD_BYTES, JSON_COMPACT);
  return bytes <= LVN_SPOOL_RECORD_BYTES ? bytes : 0;
}

static bool get_text(const json_t *root, const char *key, char *target, size_t target_bytes, bool is_uid) {
  const char *text = json_string_value(json_object_get(root, key));
  return text != NULL && (!is_uid || lvn_uid_is_valid(text)) && lvn_copy(target, target_bytes, text);
}

static bool get_uids(const json_t *root, struct lvn_reception_record *record) {
  return get_text(root, "sop_class_uid", record->sop_class_uid, LVN_UID_BYTES, true) &&
         get_text(root, "sop_instance_uid", record->sop_instance_uid, LVN_UID_BYTES, true) &&
         get_text(root, "transfer_syntax_uid", record->transfer_syntax_uid, LVN_UID_BYTES, true) &&
         get_text(root, "study_instance_uid", record->study_instance_uid, LVN_UID_BYTES, true) &&
         get_text(root, "series_instance_uid", record->series_instance_uid, LVN_UID_BYTES, true);
}

static bool get_number(const json_t *root, const char *key, int64_t *ret_value) {
  const json_t *value = json_object_get(root, key);
  *ret_value = json_integer_value(value);
  return json_is_integer(value) && *ret_value >= 0;
}

static bool parse_once(const char *path, const char *text, size_t bytes, struct lvn_reception_record *ret_record,
                       struct lvn_error *err) {
  char sha256_text[LVN_SHA256_TEXT_BYTES];
  int64_t byte_count = 0;
  struct lvn_reception_record record = {0};
  json_error_t problem = {.text = ""};
  __attribute__((cleanup(json_cleanup))) json_t *root = json_loadb(text, bytes, JSON_REJECT_DUPLICATES, &problem);
  /* jansson has a text for what is wrong with the bytes, and mostly none where it got no memory. */
  if (root == NULL && (problem.text[0] == '\0' || json_error_code(&problem) == json_error_out_of_memory)) {
    return lvn_error_set(err, LVN_ERROR_NOMEM, "out of memory for the reception record '%s'", path);
  }
  if (!json_is_object(root) || (json_object_get(root, "sop_instance_uid") != NULL && !get_uids(root, &record)) ||
      !get_text(root, "calling_aet", record.calling_aet, sizeof record.calling_aet, false) ||
      !get_text(root, "address", record.address, sizeof record.address, false) ||
      !get_text(root, "association_id", record.association_id, sizeof record.association_id, false) ||
      !get_text(root, "sha256", sha256_text, sizeof sha256_text, false) ||
      !lvn_sha256_from_text(sha256_text, record.sha256) || !get_number(root, "received_ms", &record.received_ms) ||
      !get_number(root, "byte_count", &byte_count)) {
    return lvn_error_set(err, LVN_ERROR_DATA, "the reception record '%s' is damaged", path);
  }
  record.byte_count = (uint64_t)byte_count;
  if (!get_number(root, "sequence", &record.sequence)) {
    record.sequence = 0; /* of an earlier release: before all that are numbered */
  }
  record.already_stored = json_is_true(json_object_get(root, "already_stored"));
  *ret_record = record;
  return true;
}

bool lvn_spool_record_parse(const char *path, const char *text, size_t bytes, struct lvn_reception_record *ret_record,
                            struct lvn_error *err) {
  /* Twice, since jansson's scanner takes what it got no memory for as cut short: an object that was acknowledged is not
   * to be called damaged for a moment's shortage. */
  return parse_once(path, text, bytes, ret_record, err) ||
         (err->code == LVN_ERROR_DATA && parse_once(path, text, bytes, ret_record, err));
}

bool lvn_spool_read_record(const char *path, struct lvn_reception_record *ret_record, struct lvn_error *err) {
  LVN_AUTOFREE uint8_t *data = NULL;
  size_t bytes = 0;
  if (!lvn_file_exists(path)) {
    return lvn_error_set(err, LVN_ERROR_DATA, "there is no reception record '%s'", path);
  }
  return lvn_file_read(path, LVN_SPOOL_RECORD_BYTES, &data, &bytes, err) &&
         lvn_spool_record_parse(path, (const char *)data, bytes, ret_record, err);
}

/* ---- the name in the object store ---- */

/* Three of these, digest, numbers and ending stay under the 255 bytes of a file's name. */
#define ENCODED_BYTES 49U

static bool is_plain(char c) {
  return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '.' || c == ':';
}

static void encode(char *target, size_t target_bytes, const char *text) {
  size_t used = 0;
  for (; *text != '\0' && used + 4 <= target_bytes; text++) {
    int length = snprintf(target + used, target_bytes - used, is_plain(*text) ? "%c" : "%%%02X", (unsigned char)*text);
    used += (size_t)length;
  }
  target[used] = '\0';
}

void lvn_spool_record_to_name(const struct lvn_reception_record *record, const char *ending,
                              char ret_name[LVN_SPOOL_NAME_BYTES]) {
  char sha256_text[LVN_SHA256_TEXT_BYTES];
  char calling_aet[sizeof record->calling_aet];
  const char *const texts[] = {record->association_id, record->address, calling_aet};
  char encoded[sizeof texts / sizeof texts[0]][ENCODED_BYTES];
  lvn_sha256_to_text(record->sha256, sha256_text);
  copy_printable(calling_aet, sizeof calling_aet, record->calling_aet);
  for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
    encode(encoded[i], sizeof encoded[i], texts[i]);
  }
  (void)snprintf(ret_name, LVN_SPOOL_NAME_BYTES, "%s-%019" PRId64 "-%" PRId64 "-%s-%s-%s%s", sha256_text,
                 record->sequence, record->received_ms, encoded[0], encoded[1], encoded[2], ending);
}

static bool take_digits(const char **text, int64_t *ret_number) {
  char *end = NULL;
  errno = 0;
  *ret_number = strtoll(*text, &end, 10);
  bool good = errno == 0 && end != *text && **text >= '0' && **text <= '9' && *end == '-';
  *text = good ? end + 1 : *text;
  return good;
}

static int hex_digit(char c) {
  return c <= '9' ? c - '0' : (c & 0xdf) - 'A' + 10;
}

/* Up to `end`, which follows it. */
static bool take_encoded(const char **text, const char *end, char *target, size_t target_bytes) {
  size_t used = 0;
  while (*text < end) {
    bool is_encoded = **text == '%';
    if (used + 1 >= target_bytes || (is_encoded && (end - *text < 3 || !isxdigit((unsigned char)(*text)[1]) ||
                                                    !isxdigit((unsigned char)(*text)[2])))) {
      return false;
    }
    target[used++] = is_encoded ? (char)(16 * hex_digit((*text)[1]) + hex_digit((*text)[2])) : **text;
    *text += is_encoded ? 3 : 1;
  }
  target[used] = '\0';
  (*text)++;
  return true;
}

bool lvn_spool_record_from_name(const char *name, struct lvn_reception_record *ret_record, struct lvn_error *err) {
  struct lvn_reception_record record = {.already_stored = true}; /* or the index would take it for mended */
  char digits[LVN_SHA256_TEXT_BYTES];
  bool is_waiting = lvn_objects_has_ending(name, LVN_OBJECTS_WAITING);
  const char *end = name + strlen(name) - strlen(is_waiting ? LVN_OBJECTS_WAITING : LVN_OBJECTS_RECORD);
  const char *text = name + LVN_SHA256_TEXT_BYTES;
  (void)snprintf(digits, sizeof digits, "%.*s", (int)(LVN_SHA256_TEXT_BYTES - 1), name);
  bool good = (is_waiting || lvn_objects_has_ending(name, LVN_OBJECTS_RECORD)) && text < end && text[-1] == '-' &&
              lvn_sha256_from_text(digits, record.sha256) && take_digits(&text, &record.sequence) &&
              take_digits(&text, &record.received_ms);
  const char *dash = good ? strchr(text, '-') : NULL;
  good = dash != NULL && take_encoded(&text, dash, record.association_id, sizeof record.association_id);
  dash = good ? strchr(text, '-') : NULL;
  good = dash != NULL && take_encoded(&text, dash, record.address, sizeof record.address) && text <= end &&
         take_encoded(&text, end, record.calling_aet, sizeof record.calling_aet);
  if (!good) {
    return lvn_error_set(err, LVN_ERROR_DATA, "not the name of a reception record: '%.255s'", name);
  }
  *ret_record = record;
  return true;
}
