/* The attributes that reception and the index need: where they go, and which of them an object must have. */
#include "dicom/scan/scan_internal.h"

#include <stdio.h>
#include <string.h>

enum wanted {
  WANT_SOP_CLASS,
  WANT_SOP_INSTANCE,
  WANT_MODALITY,
  WANT_PATIENT_ID,
  WANT_ISSUER,
  WANT_STUDY,
  WANT_SERIES,
  WANT_SERIES_NUMBER,
  WANT_INSTANCE_NUMBER
};

static const struct {
  uint32_t tag;
  size_t offset;
  size_t bytes;
  bool is_uid;
  const char *name;
} wanted_attributes[] = {
    [WANT_SOP_CLASS] = {0x00080016u, offsetof(struct lvn_scan, sop_class_uid), LVN_UID_BYTES, true, "SOP Class UID"},
    [WANT_SOP_INSTANCE] = {0x00080018u, offsetof(struct lvn_scan, sop_instance_uid), LVN_UID_BYTES, true,
                           "SOP Instance UID"},
    [WANT_MODALITY] = {0x00080060u, offsetof(struct lvn_scan, modality), 17, false, "Modality"},
    [WANT_PATIENT_ID] = {0x00100020u, offsetof(struct lvn_scan, patient_id), LVN_UID_BYTES, false, "Patient ID"},
    [WANT_ISSUER] = {0x00100021u, offsetof(struct lvn_scan, issuer_of_patient_id), LVN_UID_BYTES, false,
                     "Issuer of Patient ID"},
    [WANT_STUDY] = {0x0020000Du, offsetof(struct lvn_scan, study_instance_uid), LVN_UID_BYTES, true,
                    "Study Instance UID"},
    [WANT_SERIES] = {0x0020000Eu, offsetof(struct lvn_scan, series_instance_uid), LVN_UID_BYTES, true,
                     "Series Instance UID"},
    [WANT_SERIES_NUMBER] = {0x00200011u, offsetof(struct lvn_scan, series_number), 17, false, "Series Number"},
    [WANT_INSTANCE_NUMBER] = {LVN_TAG_LAST_WANTED, offsetof(struct lvn_scan, instance_number), 17, false,
                              "Instance Number"},
};
#define WANTED_COUNT (sizeof wanted_attributes / sizeof wanted_attributes[0])
#define REQUIRED_MASK (1u << WANT_SOP_CLASS | 1u << WANT_SOP_INSTANCE | 1u << WANT_STUDY | 1u << WANT_SERIES)

/* A wanted value that is there already: parsers differ in which one they take. */
static enum lvn_scan_take compare_wanted(struct lvn_scanner *s, size_t which, const uint8_t *value, size_t length,
                                         struct lvn_error *err) {
  char again[LVN_UID_BYTES];
  char text[96];
  s->scan->is_odd = true;
  if (!lvn_scan_copy_value(value, length, wanted_attributes[which].name, wanted_attributes[which].is_uid, again,
                           wanted_attributes[which].bytes, err) ||
      strcmp(again, (const char *)s->scan + wanted_attributes[which].offset) != 0) {
    (void)snprintf(text, sizeof text, "%s is there twice with different values", wanted_attributes[which].name);
    lvn_scan_note_problem(s, text);
  }
  return LVN_SCAN_TAKEN;
}

/* What a person asked for decides nothing, so whatever is wrong with it is left out. */
static void take_texts(struct lvn_scanner *s, const struct lvn_scan_element *element) {
  struct lvn_error ignored;
  const uint8_t *value = NULL;
  for (size_t i = 0; i < s->text_count; i++) {
    struct lvn_scan_text *text = &s->texts[i];
    if (text->tag == element->tag && text->value[0] == '\0' && element->length <= 1024 &&
        lvn_scan_stream_peek(&s->stream, element->length, &value, &ignored) == LVN_SCAN_TAKEN) {
      size_t length = element->length < sizeof text->value ? element->length : sizeof text->value - 1;
      size_t start = 0;
      while (length > 0 && (value[length - 1] == ' ' || value[length - 1] == '\0')) {
        length--;
      }
      while (start < length && value[start] == ' ') {
        start++;
      }
      (void)snprintf(text->value, sizeof text->value, "%.*s", (int)(length - start), (const char *)value + start);
    }
  }
}

/* A top-level value that is wanted, up to 1 KiB of it: LO of 64 characters takes 256 bytes in UTF-8. */
enum lvn_scan_take lvn_scan_take_wanted(struct lvn_scanner *s, const struct lvn_scan_element *element,
                                        struct lvn_error *err) {
  take_texts(s, element);
  for (size_t which = 0; which < WANTED_COUNT; which++) {
    const uint8_t *value = NULL;
    enum lvn_scan_take taken = LVN_SCAN_TAKEN;
    if (wanted_attributes[which].tag != element->tag) {
      continue;
    }
    if (element->length > 1024) {
      (void)lvn_scan_fail_at(s, element->tag, err, "is longer than 1024 bytes");
      return LVN_SCAN_FAILED;
    }
    taken = lvn_scan_stream_peek(&s->stream, element->length, &value, err);
    if (taken != LVN_SCAN_TAKEN) {
      return taken;
    }
    if ((s->seen & 1u << which) != 0) {
      return compare_wanted(s, which, value, element->length, err);
    }
    if (!lvn_scan_copy_value(value, element->length, wanted_attributes[which].name, wanted_attributes[which].is_uid,
                             (char *)s->scan + wanted_attributes[which].offset, wanted_attributes[which].bytes, err)) {
      return LVN_SCAN_FAILED;
    }
    s->seen |= 1u << which;
  }
  return LVN_SCAN_TAKEN;
}

bool lvn_scan_has_required(const struct lvn_scanner *s) {
  return (s->seen & REQUIRED_MASK) == REQUIRED_MASK;
}

bool lvn_scan_check_required(const struct lvn_scanner *s, struct lvn_error *err) {
  for (size_t which = 0; which < WANTED_COUNT; which++) {
    if ((REQUIRED_MASK & 1u << which) != 0 && (s->seen & 1u << which) == 0) {
      return lvn_error_set(err, LVN_ERROR_DATA, "%s is missing", wanted_attributes[which].name);
    }
  }
  return true;
}
