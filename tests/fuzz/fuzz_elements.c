/* The reader of small data sets on hostile bytes; the first says which coding they are in. */
#include "dicom/net/services/elements.h"
#include "tests/fuzz/target.h"

#include <string.h>

struct extent {
  const uint8_t *bytes;
  size_t count;
};

static void check(bool holds) {
  if (!holds) {
    __builtin_trap();
  }
}

/* Each value lies within the bytes, at a depth that is bounded, and its text ends within its room. */
static bool visit(void *user_data, const struct lvn_element *element, struct lvn_error *err) {
  const struct extent *extent = user_data;
  char text[17];
  (void)err;
  check(element->value >= extent->bytes && element->value <= extent->bytes + extent->count);
  check(element->count <= (size_t)(extent->bytes + extent->count - element->value));
  check(element->depth <= 8);
  check((element->depth == 0) == (element->sequence == 0) || element->sequence == 0);
  (void)lvn_elements_get_text(element, text, sizeof text);
  check(memchr(text, '\0', sizeof text) != NULL);
  return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes) {
  struct lvn_error err = {0};
  if (bytes == 0) {
    return 0;
  }
  struct extent extent = {.bytes = data + 1, .count = bytes - 1};
  if (!lvn_elements_read(extent.bytes, extent.count, (data[0] & 1U) != 0, visit, &extent, &err)) {
    check(err.code == LVN_ERROR_DATA);
  }
  return 0;
}
