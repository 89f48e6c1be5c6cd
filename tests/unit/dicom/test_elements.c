/* Small data sets: what is written is read again in both codings, and what is broken or hostile ends with an error. */
#include "base/memory.h"
#include "dicom/net/services/elements.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct lvn_error err;
static char seen[4096];

static bool note(void *user_data, const struct lvn_element *element, struct lvn_error *error) {
  char text[65];
  const size_t used = strlen(seen);
  (void)user_data;
  (void)error;
  (void)lvn_elements_get_text(element, text, sizeof text);
  (void)snprintf(seen + used, sizeof seen - used, "%u:%08x/%08x=%s ", element->depth, element->sequence, element->tag,
                 element->tag == LVN_ELEMENTS_ITEM ? "" : text);
  return true;
}

static bool read_bytes(const uint8_t *bytes, size_t count, bool is_explicit) {
  seen[0] = '\0';
  return lvn_elements_read(bytes, count, is_explicit, note, NULL, &err);
}

static void write_transaction(struct lvn_elements *elements) {
  lvn_elements_put_text(elements, 0x00081195, "UI", "1.2.3");
  lvn_elements_begin_sequence(elements, 0x00081199);
  for (int i = 0; i < 2; i++) {
    lvn_elements_begin_item(elements);
    lvn_elements_put_text(elements, 0x00081150, "UI", "1.2");
    lvn_elements_put_text(elements, 0x00081155, "UI", i == 0 ? "1.4" : "1.5.6");
    lvn_elements_end_item(elements);
  }
  lvn_elements_end_sequence(elements);
  lvn_elements_put_text(elements, 0x00100020, "LO", "odd");
}

#define TRANSACTION                                                                                                    \
  "0:00000000/00081195=1.2.3 1:00081199/fffee000= 1:00081199/00081150=1.2 1:00081199/00081155=1.4 "                    \
  "1:00081199/fffee000= 1:00081199/00081150=1.2 1:00081199/00081155=1.5.6 0:00000000/00100020=odd "

static void test_elements__what_is_written_is_read(void **state) {
  (void)state;
  for (int is_explicit = 0; is_explicit < 2; is_explicit++) {
    struct lvn_elements elements = {.is_explicit = is_explicit};
    write_transaction(&elements);
    assert_true(lvn_elements_check(&elements, &err));
    assert_int_equal(elements.count % 2, 0);
    assert_true(read_bytes(elements.bytes, elements.count, is_explicit));
    assert_string_equal(seen, TRANSACTION);
    lvn_free(elements.bytes);
  }
}

/* No cut, and no byte that is something else, makes the reader leave its bytes. */
static void test_elements__no_damage_is_read_beyond(void **state) {
  (void)state;
  for (int is_explicit = 0; is_explicit < 2; is_explicit++) {
    struct lvn_elements elements = {.is_explicit = is_explicit};
    size_t good = 0;
    write_transaction(&elements);
    for (size_t count = 0; count < elements.count; count++) {
      uint8_t *cut = lvn_alloc(count, 1, &err); /* as long as it is: a sanitizer sees the byte behind */
      assert_non_null(cut);
      memcpy(cut, elements.bytes, count);
      good += read_bytes(cut, count, is_explicit) ? 1 : 0;
      lvn_free(cut);
    }
    assert_in_range(good, 2, 4); /* between two elements of the top */
    for (size_t at = 0; at < elements.count; at++) {
      const uint8_t before = elements.bytes[at];
      for (int value = 0; value < 256; value += 15) {
        elements.bytes[at] = (uint8_t)value;
        (void)!read_bytes(elements.bytes, elements.count, is_explicit);
      }
      elements.bytes[at] = before;
    }
    lvn_free(elements.bytes);
  }
}

/* Sequences and items of defined length, an unknown sequence, a private one of undefined length as UN. */
static void test_elements__other_writers_forms_are_read(void **state) {
  static const uint8_t defined[] = {0x08, 0,    0x99, 0x11, 'S',  'Q', 0,    0, 20,   0,    0,   0,   0xFE, 0xFF,
                                    0,    0xE0, 12,   0,    0,    0,   0x08, 0, 0x50, 0x11, 'U', 'I', 4,    0,
                                    '1',  '.',  '2',  0,    0x10, 0,   0x20, 0, 'L',  'O',  2,   0,   'X',  ' '};
  static const uint8_t implicit[] = {0x08, 0, 0x99, 0x11, 20,   0,    0, 0, 0xFE, 0xFF, 0,   0xE0, 12,  0,
                                     0,    0, 0x08, 0,    0x50, 0x11, 4, 0, 0,    0,    '1', '.',  '2', 0};
  static const uint8_t unknown[] = {0x09, 0,    0x10, 0x10, 'U',  'N', 0,    0,    0xFF, 0xFF, 0xFF, 0xFF,
                                    0xFE, 0xFF, 0,    0xE0, 10,   0,   0,    0,    9,    0,    0x11, 0x10,
                                    2,    0,    0,    0,    'Y',  ' ', 0xFE, 0xFF, 0xDD, 0xE0, 0,    0,
                                    0,    0,    0x10, 0,    0x20, 0,   'L',  'O',  2,    0,    'X',  ' '};
  (void)state;
  assert_true(read_bytes(defined, sizeof defined, true));
  assert_string_equal(seen, "1:00081199/fffee000= 1:00081199/00081150=1.2 0:00000000/00100020=X ");
  assert_true(read_bytes(implicit, sizeof implicit, false));
  assert_string_equal(seen, "1:00081199/fffee000= 1:00081199/00081150=1.2 ");
  assert_true(read_bytes(unknown, sizeof unknown, true));
  assert_string_equal(seen, "1:00091010/fffee000= 1:00091010/00091011=Y 0:00000000/00100020=X ");
}

static void test_elements__nesting_is_bounded(void **state) {
  struct lvn_elements elements = {.is_explicit = true};
  (void)state;
  for (int i = 0; i < 1000; i++) {
    lvn_elements_begin_sequence(&elements, 0x00081199);
    lvn_elements_begin_item(&elements);
  }
  assert_true(lvn_elements_check(&elements, &err));
  assert_false(read_bytes(elements.bytes, elements.count, true));
  assert_int_equal(err.code, LVN_ERROR_DATA);
  lvn_free(elements.bytes);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_elements__what_is_written_is_read),
                                     cmocka_unit_test(test_elements__no_damage_is_read_beyond),
                                     cmocka_unit_test(test_elements__other_writers_forms_are_read),
                                     cmocka_unit_test(test_elements__nesting_is_bounded)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
