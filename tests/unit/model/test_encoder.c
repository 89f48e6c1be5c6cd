/* The text encoder gives what Hugging Face transformers gives, from a tiny BERT whose folder and golden values
 * tests/data/parity/make.py made: weights as pickle, LayerNorm called gamma and beta, names with "bert.". */
#include "base/memory.h"
#include "model/tensor/json.h"
#include "model/text/encoder.h"
#include "model/text/prompts.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define HIDDEN 32

static void expect_near(const float *found, const json_t *expected) {
  assert_int_equal(json_array_size(expected), HIDDEN);
  for (size_t i = 0; i < HIDDEN; i++) {
    double wanted = json_number_value(json_array_get(expected, i));
    if (!(fabs((double)found[i] - wanted) <= 2e-5)) {
      fail_msg("value %zu is %.8f, transformers has %.8f", i, (double)found[i], wanted);
    }
  }
}

static void test_encoder__is_that_of_transformers(void **state) {
  (void)state;
  struct lvn_error err = {0};
  struct lvn_text_encoder *encoder = NULL;
  float vector[HIDDEN];
  LVN_CLEANUP(lvn_json_cleanup) json_t *golden = lvn_json_read(LVN_TEST_DATA "/parity/bert.json", 1U << 20U, &err);
  assert_non_null(golden);
  if (!lvn_text_encoder_open(LVN_TEST_DATA "/parity/bert", &encoder, &err)) {
    fail_msg("%s", err.message);
  }
  assert_int_equal(lvn_text_encoder_get_info(encoder)->hidden_size, HIDDEN);
  const char *text = json_string_value(json_object_get(golden, "text"));
  assert_non_null(text);
  assert_true(lvn_text_encoder_embed(encoder, text, LVN_POOLING_CLS, vector, &err));
  expect_near(vector, json_object_get(golden, "cls"));
  assert_true(lvn_text_encoder_embed(encoder, text, LVN_POOLING_MEAN, vector, &err));
  expect_near(vector, json_object_get(golden, "mean"));
  lvn_text_encoder_close(encoder);
}

static void test_prompts__name_what_is_left(void **state) {
  (void)state;
  char text[LVN_PROMPT_BYTES];
  /* Order PV, ART, NC without the arterial phase. */
  size_t sequence = lvn_sequence_find(5, lvn_permutation[0], 1U << LVN_PHASE_NC | 1U << LVN_PHASE_PV);
  assert_int_equal(lvn_sequences[sequence].count, 2);
  lvn_prompt_sequence(LVN_CLASS_CYST, sequence, text);
  assert_non_null(strstr(text, "tumors Cyst, where the phase order of this image is portal venous phase, non-contrast "
                               "phase"));
  assert_null(strstr(text, "arterial"));
  for (size_t order = 0; order < LVN_PERMUTATION_COUNT; order++) {
    assert_int_equal(lvn_sequence_find(order, lvn_permutation[0], 7), order);
    assert_memory_equal(lvn_sequences[order].phase, lvn_permutation[order], sizeof lvn_permutation[order]);
  }
}

/* What embeddings are stored by: nothing may move, nothing may be missing, and none is there twice. */
static void test_prompts__every_sequence_has_its_place(void **state) {
  (void)state;
  for (size_t i = 0; i < LVN_SEQUENCE_COUNT; i++) {
    unsigned seen = 0;
    assert_in_range(lvn_sequences[i].count, 1, 3);
    for (size_t k = 0; k < lvn_sequences[i].count; k++) {
      assert_int_equal(seen >> lvn_sequences[i].phase[k] & 1U, 0);
      seen |= 1U << lvn_sequences[i].phase[k];
    }
    assert_int_equal(seen >> LVN_PHASE_DL & 1U, i >= LVN_SEQUENCE_NETWORK_COUNT);
    for (size_t other = 0; other < i; other++) {
      assert_false(lvn_sequences[i].count == lvn_sequences[other].count &&
                   memcmp(lvn_sequences[i].phase, lvn_sequences[other].phase, sizeof lvn_sequences[i].phase) == 0);
    }
  }
}

static void test_prompts__name_the_delayed_phase(void **state) {
  static const enum lvn_phase late[] = {LVN_PHASE_ART, LVN_PHASE_PV, LVN_PHASE_DL};
  char text[LVN_PROMPT_BYTES];
  (void)state;
  lvn_prompt_sequence(LVN_CLASS_HCC, lvn_sequence_find(5, late, 7), text);
  assert_non_null(strstr(text, "is delayed phase, portal venous phase, arterial phase"));
  assert_null(strstr(text, "non-contrast"));
  lvn_prompt_sequence(LVN_CLASS_HCC, lvn_sequence_find(0, late, 1U << 0U | 1U << 2U), text);
  assert_non_null(strstr(text, "is arterial phase, delayed phase"));
  lvn_prompt_sequence(LVN_CLASS_HCC, lvn_sequence_find(0, late, 1U << 2U), text);
  assert_non_null(strstr(text, "is delayed phase"));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_encoder__is_that_of_transformers),
      cmocka_unit_test(test_prompts__name_what_is_left),
      cmocka_unit_test(test_prompts__every_sequence_has_its_place),
      cmocka_unit_test(test_prompts__name_the_delayed_phase),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
