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

/* ---- names: in the object store, and in spool/new ---- */

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

struct encoded {
  char sha256[LVN_SHA256_TEXT_BYTES];
  char from[3 * ENCODED_BYTES]; /* association, address and AE title */
};

static void encode_record(const struct lvn_reception_record *record, struct encoded *ret_encoded) {
  char calling_aet[sizeof record->calling_aet];
  const char *const texts[] = {record->association_id, record->address, calling_aet};
  char parts[sizeof texts / sizeof texts[0]][ENCODED_BYTES];
  lvn_sha256_to_text(record->sha256, ret_encoded->sha256);
  copy_printable(calling_aet, sizeof calling_aet, record->calling_aet);
  for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
    encode(parts[i], sizeof parts[i], texts[i]);
  }
  (void)snprintf(ret_encoded->from, sizeof ret_encoded->from, "%s-%s-%s", parts[0], parts[1], parts[2]);
}

void lvn_spool_record_to_name(const struct lvn_reception_record *record, const char *ending,
                              char ret_name[LVN_SPOOL_NAME_BYTES]) {
  struct encoded encoded;
  encode_record(record, &encoded);
  (void)snprintf(ret_name, LVN_SPOOL_NAME_BYTES, "%s-%019" PRId64 "-%" PRId64 "-%s%s", encoded.sha256, record->sequence,
                 record->received_ms, encoded.from, ending);
}

static bool digest_study(const char *study_instance_uid, char ret_digest[LVN_SPOOL_STUDY_BYTES],
                         struct lvn_error *err) {
  uint8_t sha256[LVN_SHA256_BYTES];
  char text[LVN_SHA256_TEXT_BYTES];
  if (!lvn_sha256_of(study_instance_uid, strlen(study_instance_uid), sha256, err)) {
    return false;
  }
  lvn_sha256_to_text(sha256, text);
  (void)snprintf(ret_digest, LVN_SPOOL_STUDY_BYTES, "%.12s", text);
  return true;
}

bool lvn_spool_record_to_new_path(const struct lvn_spool *spool, const struct lvn_reception_record *record,
                                  char ret_path[LVN_PATH_BYTES], struct lvn_error *err) {
  struct encoded encoded;
  char study[LVN_SPOOL_STUDY_BYTES] = "";
  char name[LVN_SPOOL_NAME_BYTES];
  if (record->study_instance_uid[0] != '\0' && !digest_study(record->study_instance_uid, study, err)) {
    return false;
  }
  encode_record(record, &encoded);
  (void)snprintf(name, sizeof name, "%019" PRId64 "-%s-%" PRId64 "-%s-%s%s", record->sequence, encoded.sha256,
                 record->received_ms, encoded.from, study,
                 record->already_stored ? LVN_OBJECTS_KNOWN : LVN_OBJECTS_NEW);
  return lvn_path_join(ret_path, spool->new_folder, name, err);
}

bool lvn_spool_may_be_of_study(const struct lvn_reception_record *record, const char *study_instance_uid,
                               bool if_unknown) {
  struct lvn_error ignored;
  char digest[LVN_SPOOL_STUDY_BYTES];
  if (record->study_digest[0] == '\0' || !digest_study(study_instance_uid, digest, &ignored)) {
    return if_unknown;
  }
  return strcmp(record->study_digest, digest) == 0;
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

/* Association, address and AE title, the last of them up to `end`. */
static bool take_sender(const char **text, const char *end, struct lvn_reception_record *record) {
  const char *dash = strchr(*text, '-');
  if (dash == NULL || !take_encoded(text, dash, record->association_id, sizeof record->association_id)) {
    return false;
  }
  dash = strchr(*text, '-');
  return dash != NULL && take_encoded(text, dash, record->address, sizeof record->address) && *text <= end &&
         take_encoded(text, end, record->calling_aet, sizeof record->calling_aet);
}

bool lvn_spool_record_from_name(const char *name, struct lvn_reception_record *ret_record, struct lvn_error *err) {
  struct lvn_reception_record record = {.already_stored = true}; /* or the index would take it for mended */
  char digits[LVN_SHA256_TEXT_BYTES];
  bool is_waiting = lvn_objects_has_ending(name, LVN_OBJECTS_WAITING);
  const char *end = name + strlen(name) - strlen(is_waiting ? LVN_OBJECTS_WAITING : LVN_OBJECTS_RECORD);
  const char *text = name + LVN_SHA256_TEXT_BYTES;
  (void)snprintf(digits, sizeof digits, "%.*s", (int)(LVN_SHA256_TEXT_BYTES - 1), name);
  if ((!is_waiting && !lvn_objects_has_ending(name, LVN_OBJECTS_RECORD)) || text >= end || text[-1] != '-' ||
      !lvn_sha256_from_text(digits, record.sha256) || !take_digits(&text, &record.sequence) ||
      !take_digits(&text, &record.received_ms) || !take_sender(&text, end, &record)) {
    return lvn_error_set(err, LVN_ERROR_DATA, "not the name of a reception record: '%.255s'", name);
  }
  *ret_record = record;
  return true;
}

bool lvn_spool_read_record(const char *path, struct lvn_reception_record *ret_record, struct lvn_error *err) {
  struct lvn_reception_record record = {0};
  const char *slash = strrchr(path, '/');
  const char *name = slash == NULL ? path : slash + 1;
  if (!lvn_file_exists(path)) {
    return lvn_error_set(err, LVN_ERROR_DATA, "there is no reception record '%s'", path);
  }
  bool good = lvn_objects_parse_new(name, record.sha256, &record.sequence);
  const char *text = good ? strchr(name, '-') + 1 + LVN_SHA256_TEXT_BYTES : name;
  const char *end = strrchr(name, '-'); /* before the study's digest */
  if (!good || text >= end || text[-1] != '-' || !take_digits(&text, &record.received_ms) ||
      !take_sender(&text, end, &record)) {
    return lvn_error_set(err, LVN_ERROR_DATA, "not the name of a reception: '%.255s'", name);
  }
  record.already_stored = lvn_objects_has_ending(name, LVN_OBJECTS_KNOWN);
  (void)snprintf(record.study_digest, sizeof record.study_digest, "%.*s", (int)strcspn(text, "."), text);
  *ret_record = record;
  return true;
}
