#include "base/sha256.h"
#include "model/text/prompts.h"
#include "model/text/wordpiece.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static const char vocabulary[] = LVN_TEST_DATA "/text/bert-base-uncased-vocab.txt";

static struct lvn_wordpiece *open_vocabulary(void) {
  struct lvn_wordpiece *wordpiece = NULL;
  struct lvn_error err = {0};
  assert_true(lvn_wordpiece_open(vocabulary, &wordpiece, &err));
  assert_int_equal(lvn_wordpiece_size(wordpiece), 30522);
  return wordpiece;
}

static void expect_ids(const struct lvn_wordpiece *wordpiece, const char *text, const int64_t *ids, size_t count) {
  int64_t found[128];
  size_t found_count = 0;
  struct lvn_error err = {0};
  assert_true(lvn_wordpiece_encode(wordpiece, text, 128, found, &found_count, &err));
  assert_int_equal(found_count, count);
  for (size_t i = 0; i < count; i++) {
    assert_int_equal(found[i], ids[i]);
  }
}

/* Tokens of the released bert-base-uncased tokenizer, orders ART, PV, NC. */
static void test_wordpiece__gives_the_golden_tokens_of_the_prompts(void **state) {
  (void)state;
  static const int64_t prefix[] = {101,  2023,  2003, 1037, 4800, 1011, 4403, 3274, 3550,  3419, 9888,
                                   1006, 14931, 1007, 3746, 1997, 2028, 2030, 2062, 11290, 21434};
  static const int64_t class_ids[LVN_CLASS_PAPER_COUNT][8] = {{22330, 3367},
                                                              {15918, 7293, 7934, 23760, 24759, 15396},
                                                              {2002, 4502, 3406, 16882, 2482, 21081, 2863},
                                                              {19610, 5654, 18994, 2050}};
  static const size_t class_counts[LVN_CLASS_PAPER_COUNT] = {2, 6, 7, 4};
  static const size_t lengths[LVN_CLASS_PAPER_COUNT] = {45, 49, 50, 47};
  static const int64_t suffix[] = {1010, 2073, 1996, 4403,  2344, 1997, 2023, 3746, 2003, 25543, 4403,
                                   1010, 9445, 2310, 18674, 4403, 1010, 2512, 1011, 5688, 4403,  102};
  struct lvn_wordpiece *wordpiece = open_vocabulary();
  size_t order = lvn_permutation_from_name("ART,PV,NC");
  assert_int_equal(order, 3);
  for (size_t c = 0; c < LVN_CLASS_PAPER_COUNT; c++) {
    int64_t ids[64];
    char text[LVN_PROMPT_BYTES];
    size_t count = 0;
    memcpy(ids, prefix, sizeof prefix);
    count = sizeof prefix / sizeof prefix[0];
    memcpy(ids + count, class_ids[c], class_counts[c] * sizeof(int64_t));
    count += class_counts[c];
    memcpy(ids + count, suffix, sizeof suffix);
    count += sizeof suffix / sizeof suffix[0];
    assert_int_equal(count, lengths[c]);
    lvn_prompt_enriched((enum lvn_class)c, order, text);
    expect_ids(wordpiece, text, ids, count);
  }
  lvn_wordpiece_close(wordpiece);
}

static void test_wordpiece__all_orders_have_the_same_length(void **state) {
  (void)state;
  struct lvn_wordpiece *wordpiece = open_vocabulary();
  for (size_t order = 0; order < LVN_PERMUTATION_COUNT; order++) {
    int64_t ids[128];
    size_t count = 0;
    char text[LVN_PROMPT_BYTES];
    struct lvn_error err = {0};
    lvn_prompt_enriched(LVN_CLASS_HCC, order, text);
    assert_true(lvn_wordpiece_encode(wordpiece, text, 128, ids, &count, &err));
    assert_int_equal(count, 50);
  }
  lvn_wordpiece_close(wordpiece);
}

static void test_wordpiece__gives_the_golden_tokens_of_a_simple_prompt(void **state) {
  (void)state;
  static const int64_t ids[] = {101, 1037, 14931, 13594, 1997, 21434, 19610, 5654, 18994, 2050, 1012, 102};
  struct lvn_wordpiece *wordpiece = open_vocabulary();
  char text[LVN_PROMPT_BYTES];
  lvn_prompt_simple(LVN_CLASS_HEM, text);
  expect_ids(wordpiece, text, ids, sizeof ids / sizeof ids[0]);
  lvn_wordpiece_close(wordpiece);
}

/* Accents fold, malformed bytes are dropped, a word of more than 100 characters is [UNK] (100). */
static void test_wordpiece__folds_and_bounds(void **state) {
  (void)state;
  struct lvn_wordpiece *wordpiece = open_vocabulary();
  int64_t plain[16];
  int64_t folded[16];
  size_t plain_count = 0;
  size_t folded_count = 0;
  struct lvn_error err = {0};
  char word[300];
  assert_true(lvn_wordpiece_encode(wordpiece, "resume cafe", 16, plain, &plain_count, &err));
  assert_true(
      lvn_wordpiece_encode(wordpiece, "R\xC3\xA9sum\xC3\xA9\xFF caf\x65\xCC\x81", 16, folded, &folded_count, &err));
  assert_int_equal(plain_count, folded_count);
  assert_memory_equal(plain, folded, plain_count * sizeof plain[0]);
  memset(word, 'a', sizeof word - 1);
  word[sizeof word - 1] = '\0';
  expect_ids(wordpiece, word, (const int64_t[]){101, 100, 102}, 3);
  expect_ids(wordpiece, "", (const int64_t[]){101, 102}, 2);
  assert_false(lvn_wordpiece_encode(wordpiece, "one two three four", 4, plain, &plain_count, &err));
  assert_int_equal(err.code, LVN_ERROR_DATA);
  lvn_wordpiece_close(wordpiece);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_wordpiece__gives_the_golden_tokens_of_the_prompts),
      cmocka_unit_test(test_wordpiece__all_orders_have_the_same_length),
      cmocka_unit_test(test_wordpiece__gives_the_golden_tokens_of_a_simple_prompt),
      cmocka_unit_test(test_wordpiece__folds_and_bounds),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
