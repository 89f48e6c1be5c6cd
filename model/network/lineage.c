#include "model/network/lineage.h"

#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

#define DIGITS 16U
#define DIGESTS_MAX 50000000U

static bool add(struct lvn_lineage *lineage, uint64_t digest, struct lvn_error *err) {
  if (!lvn_grow(&lineage->digests, &lineage->room, lineage->count, sizeof *lineage->digests, DIGESTS_MAX, err)) {
    return false;
  }
  lineage->digests[lineage->count++] = digest;
  lineage->is_sorted = false;
  return true;
}

static uint64_t shorten(const uint8_t sha256[LVN_SHA256_BYTES]) {
  uint64_t value = 0;
  for (size_t i = 0; i < sizeof value; i++) {
    value = value << 8U | sha256[i];
  }
  return value;
}

bool lvn_lineage_add(struct lvn_lineage *lineage, const uint8_t sha256[LVN_SHA256_BYTES], struct lvn_error *err) {
  return add(lineage, shorten(sha256), err);
}

bool lvn_lineage_add_text(struct lvn_lineage *lineage, const char *text, struct lvn_error *err) {
  size_t length = text == NULL ? 0 : strlen(text);
  for (size_t i = 0; i + DIGITS <= length; i += DIGITS) {
    char digits[DIGITS + 1] = "";
    memcpy(digits, text + i, DIGITS);
    char *end = NULL;
    uint64_t digest = strtoull(digits, &end, 16);
    if (*end != '\0') {
      return lvn_error_set(err, LVN_ERROR_DATA, "the list of pixels that the model has seen is malformed");
    }
    if (!add(lineage, digest, err)) {
      return false;
    }
  }
  return length % DIGITS == 0 ||
         lvn_error_set(err, LVN_ERROR_DATA, "the list of pixels that the model has seen is cut short");
}

static int compare(const void *left, const void *right) {
  const uint64_t *a = left;
  const uint64_t *b = right;
  return (*a > *b) - (*a < *b);
}

static void sort(struct lvn_lineage *lineage) {
  if (lineage->is_sorted || lineage->count == 0) {
    return;
  }
  size_t kept = 1;
  qsort(lineage->digests, lineage->count, sizeof *lineage->digests, compare);
  for (size_t i = 1; i < lineage->count; i++) {
    if (lineage->digests[i] != lineage->digests[kept - 1]) {
      lineage->digests[kept++] = lineage->digests[i];
    }
  }
  lineage->count = kept;
  lineage->is_sorted = true;
}

char *lvn_lineage_to_text(struct lvn_lineage *lineage, struct lvn_error *err) {
  static const char hexadecimal[] = "0123456789abcdef";
  sort(lineage);
  char *text = lvn_alloc(lineage->count * DIGITS + 1, 1, err);
  for (size_t i = 0; text != NULL && i < lineage->count; i++) {
    for (size_t digit = 0; digit < DIGITS; digit++) {
      text[i * DIGITS + digit] = hexadecimal[lineage->digests[i] >> (4U * (DIGITS - 1U - digit)) & 15U];
    }
  }
  return text;
}

static bool has(struct lvn_lineage *lineage, uint64_t digest) {
  sort(lineage);
  return lineage->count > 0 &&
         bsearch(&digest, lineage->digests, lineage->count, sizeof *lineage->digests, compare) != NULL;
}

bool lvn_lineage_has(struct lvn_lineage *lineage, const uint8_t sha256[LVN_SHA256_BYTES]) {
  return has(lineage, shorten(sha256));
}

size_t lvn_lineage_shared(struct lvn_lineage *lineage, struct lvn_lineage *other) {
  size_t shared = 0;
  sort(lineage);
  for (size_t i = 0; i < lineage->count; i++) {
    shared += has(other, lineage->digests[i]);
  }
  return shared;
}

void lvn_lineage_clear(struct lvn_lineage *lineage) {
  lvn_free(lineage->digests);
  *lineage = (struct lvn_lineage){0};
}

bool lvn_lineage_of_manifest(const json_t *manifest, bool held_out, struct lvn_lineage *lineage, bool *ret_known,
                             struct lvn_error *err) {
  const json_t *training = json_object_get(manifest, "training");
  const char *trained = json_string_value(json_object_get(training, "trained_pixels"));
  const char *held = json_string_value(json_object_get(training, "held_out_pixels"));
  *ret_known = trained != NULL && held != NULL && !json_is_false(json_object_get(training, "lineage_is_known"));
  return lvn_lineage_add_text(lineage, trained, err) && (!held_out || lvn_lineage_add_text(lineage, held, err));
}
