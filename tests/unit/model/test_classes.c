#include "base/memory.h"
#include "model/dataset/predictions.h"
#include "model/image/vocabulary.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/scratch.h"

static void test_classes__names_are_found_again(void **state) {
  (void)state;
  enum lvn_class found = LVN_CLASS_OUTLIER;
  for (int c = 0; c < LVN_CLASS_COUNT; c++) {
    assert_true(lvn_class_from_name(lvn_class_name((enum lvn_class)c), &found) && found == (enum lvn_class)c);
    assert_true(lvn_class_from_name(lvn_class_long_name((enum lvn_class)c), &found) && found == (enum lvn_class)c);
  }
  assert_true(lvn_class_from_name("haemangioma", &found) && found == LVN_CLASS_HEM);
  assert_true(lvn_class_from_name("Cholangiocarcinoma", &found) && found == LVN_CLASS_ICC);
  assert_true(lvn_class_from_name("hypervascular-metastasis", &found) && found == LVN_CLASS_METASTASIS);
  assert_false(lvn_class_from_name("outlier", &found));
  assert_false(lvn_class_from_name("", &found));
  assert_true(LVN_CLASS_COUNT <= 16);
}

static void test_classes__lists(void **state) {
  (void)state;
  char text[LVN_CLASSES_TEXT_BYTES];
  unsigned classes = 0;
  assert_true(lvn_classes_parse("CYST, FNH,HCC , HEM", &classes));
  assert_int_equal(classes, LVN_CLASSES_PAPER);
  assert_int_equal(lvn_classes_count(classes), LVN_CLASS_PAPER_COUNT);
  assert_true(lvn_classes_parse("METASTASIS, HCC, CYST", &classes)); /* the order of tensors is the table's own */
  lvn_classes_format(classes, text);
  assert_string_equal(text, "CYST,HCC,METASTASIS");
  static const enum lvn_class wanted[] = {LVN_CLASS_CYST, LVN_CLASS_HCC, LVN_CLASS_METASTASIS};
  size_t place = 0;
  for (unsigned c = lvn_classes_first(classes); c < LVN_CLASS_COUNT; c = lvn_classes_next(classes, c), place++) {
    assert_int_equal(c, wanted[place]);
    assert_int_equal(lvn_classes_at(classes, place), c);
    assert_int_equal(lvn_classes_place(classes, (enum lvn_class)c), place);
  }
  assert_int_equal(place, 3);
  assert_int_equal(lvn_classes_at(classes, 3), LVN_CLASS_OUTLIER);
  assert_int_equal(lvn_classes_label(classes, LVN_CLASS_METASTASIS), LVN_CLASS_METASTASIS);
  assert_int_equal(lvn_classes_label(classes, LVN_CLASS_FNH), LVN_CLASS_OUTLIER);
  assert_int_equal(lvn_classes_label(classes, LVN_CLASS_OUTLIER), LVN_CLASS_OUTLIER);
  static const char *const wrong[] = {"", "HCC", "HCC,", "HCC, HCC", "HCC, hcc", "HCC, tumour", ",HCC,FNH", "HCC FNH"};
  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
    if (lvn_classes_parse(wrong[i], &classes)) {
      fail_msg("'%s' was taken", wrong[i]);
    }
  }
  lvn_classes_format(~0U, text);
  assert_true(lvn_classes_parse(text, &classes));
  assert_int_equal(lvn_classes_count(classes), LVN_CLASS_COUNT);
}

/* Three classes with a gap: what is written comes back at the classes' own places, and no other file mixes in. */
static void test_classes__predictions_keep_theirs(void **state) {
  const char *root = *state;
  char path[512];
  struct lvn_error err = {0};
  struct lvn_predictions written = {0};
  struct lvn_predictions read = {0};
  assert_true(lvn_classes_parse("CYST,HCC,METASTASIS", &written.classes));
  struct lvn_slice_prediction item = {.patient_key = "p", .lesion_key = "l", .truth = LVN_CLASS_METASTASIS};
  for (unsigned c = 0; c < LVN_CLASS_COUNT; c++) {
    item.logit[c] = lvn_classes_have(written.classes, c) ? 0.5 + c : -INFINITY;
  }
  assert_true(lvn_predictions_add(&written, &item, &err));
  (void)snprintf(path, sizeof path, "%s/three.csv", root);
  assert_true(lvn_predictions_write(&written, path, &err));
  if (!lvn_predictions_read(path, &read, &err)) {
    fail_msg("%s", err.message);
  }
  assert_int_equal(read.classes, written.classes);
  assert_int_equal(read.items[0].truth, LVN_CLASS_METASTASIS);
  assert_memory_equal(read.items[0].logit, item.logit, sizeof item.logit);
  written.classes = LVN_CLASSES_PAPER;
  written.items[0].truth = LVN_CLASS_CYST;
  for (unsigned c = 0; c < LVN_CLASS_PAPER_COUNT; c++) {
    written.items[0].logit[c] = 0.25 * c;
  }
  assert_true(lvn_predictions_write(&written, path, &err));
  assert_false(lvn_predictions_read(path, &read, &err));
  assert_non_null(strstr(err.message, "other classes"));
  lvn_predictions_clear(&written);
  lvn_predictions_clear(&read);
}

static int set_up(void **state) {
  static char root[SCRATCH_BYTES];
  *state = root;
  (void)scratch_make(root);
  return 0;
}

static int tear_down(void **state) {
  scratch_remove(*state);
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_classes__names_are_found_again),
                                     cmocka_unit_test(test_classes__lists),
                                     cmocka_unit_test(test_classes__predictions_keep_theirs)};
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
