#include "dicom/write/codes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* Verhoeff's check digit over the dihedral group D5, as SNOMED CT identifiers carry it. */
static bool has_verhoeff_digit(const char *digits) {
  static const unsigned char multiply[10][10] = {{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, {1, 2, 3, 4, 0, 6, 7, 8, 9, 5},
                                                 {2, 3, 4, 0, 1, 7, 8, 9, 5, 6}, {3, 4, 0, 1, 2, 8, 9, 5, 6, 7},
                                                 {4, 0, 1, 2, 3, 9, 5, 6, 7, 8}, {5, 9, 8, 7, 6, 0, 4, 3, 2, 1},
                                                 {6, 5, 9, 8, 7, 1, 0, 4, 3, 2}, {7, 6, 5, 9, 8, 2, 1, 0, 4, 3},
                                                 {8, 7, 6, 5, 9, 3, 2, 1, 0, 4}, {9, 8, 7, 6, 5, 4, 3, 2, 1, 0}};
  static const unsigned char permute[8][10] = {{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, {1, 5, 7, 6, 2, 8, 3, 0, 9, 4},
                                               {5, 8, 0, 3, 7, 9, 6, 1, 4, 2}, {8, 9, 1, 6, 0, 4, 3, 5, 2, 7},
                                               {9, 4, 5, 3, 1, 2, 6, 8, 7, 0}, {4, 2, 8, 6, 5, 7, 3, 9, 0, 1},
                                               {2, 7, 9, 3, 8, 0, 6, 4, 1, 5}, {7, 0, 4, 6, 9, 1, 3, 2, 5, 8}};
  unsigned check = 0;
  size_t length = strlen(digits);
  for (size_t i = 0; i < length; i++) {
    unsigned digit = (unsigned)(digits[length - 1 - i] - '0');
    if (digit > 9) {
      return false;
    }
    check = multiply[check][permute[i % 8][digit]];
  }
  return length > 5 && check == 0;
}

static void test_write_codes__verhoeff_finds_wrong_digits(void **state) {
  (void)state;
  assert_true(has_verhoeff_digit("10200004"));
  assert_false(has_verhoeff_digit("10200005"));
  /* Seen with liver labels in public code; not SNOMED identifiers at all. */
  assert_false(has_verhoeff_digit("62129009"));
  assert_false(has_verhoeff_digit("235857004"));
}

static void test_write_codes__snomed_check_digits(void **state) {
  (void)state;
  size_t checked = 0;
  for (unsigned id = 0; id < LVN_CODE_COUNT; id++) {
    const struct lvn_code *code = lvn_code_get((enum lvn_code_id)id);
    if (strcmp(code->scheme, "SCT") == 0) {
      if (!has_verhoeff_digit(code->value)) {
        fail_msg("%s (%s) has a wrong check digit", code->value, code->meaning);
      }
      checked++;
    }
  }
  assert_true(checked >= 10);
}

static void test_write_codes__values_fit_their_vr(void **state) {
  (void)state;
  for (unsigned id = 0; id < LVN_CODE_COUNT; id++) {
    const struct lvn_code *code = lvn_code_get((enum lvn_code_id)id);
    assert_in_range(strlen(code->value), 1, 16);
    assert_in_range(strlen(code->scheme), 1, 16);
    assert_in_range(strlen(code->meaning), 1, 64);
  }
}

static void test_write_codes__classes_and_phases_have_their_own(void **state) {
  (void)state;
  static const char *const class_words[LVN_CLASS_COUNT] = {"cyst",     "focal",     "carcinoma", "hemangioma",
                                                           "of liver", "carcinoma", "abscess"};
  static const char *const phase_words[LVN_PHASE_COUNT] = {"non-contrast", "arterial", "portal-venous", "delayed"};
  for (unsigned k = 0; k < LVN_CLASS_COUNT; k++) {
    assert_non_null(strstr(lvn_code_get(lvn_code_probability((enum lvn_class)k))->meaning, class_words[k]));
    assert_non_null(strcasestr(lvn_code_get(lvn_code_of_class((enum lvn_class)k))->meaning, class_words[k]));
    assert_string_equal(lvn_code_get(lvn_code_of_class((enum lvn_class)k))->meaning,
                        lvn_class_title((enum lvn_class)k)); /* one name in all results */
  }
  for (unsigned k = 0; k < LVN_PHASE_COUNT; k++) {
    enum lvn_phase phase = (enum lvn_phase)k;
    assert_non_null(strstr(lvn_code_get(lvn_code_mean_hu(phase))->meaning, phase_words[k]));
    assert_non_null(strstr(lvn_code_get(lvn_code_alignment_error(phase))->meaning, phase_words[k]));
    assert_non_null(strstr(lvn_code_get(lvn_code_alignment_shift(phase))->meaning, phase_words[k]));
    assert_non_null(strstr(lvn_code_get(lvn_code_alignment_similarity(phase))->meaning, phase_words[k]));
    assert_non_null(strcasestr(lvn_code_get(lvn_code_of_phase(phase))->meaning, phase_words[k]));
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_write_codes__verhoeff_finds_wrong_digits),
      cmocka_unit_test(test_write_codes__snomed_check_digits),
      cmocka_unit_test(test_write_codes__values_fit_their_vr),
      cmocka_unit_test(test_write_codes__classes_and_phases_have_their_own),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
