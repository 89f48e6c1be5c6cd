/* Recipes: text to struct and back, both modes, and what is refused. */
#include "base/memory.h"
#include "model/train/recipe.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static bool parse(const char *text, struct lvn_recipe *recipe, struct lvn_error *err) {
  return lvn_recipe_parse(text, strlen(text), "r.ini", recipe, err);
}

static void test_recipe__paper_is_the_default(void **state) {
  (void)state;
  struct lvn_recipe recipe;
  struct lvn_error err = {0};
  assert_true(parse("", &recipe, &err));
  assert_int_equal(recipe.mode, LVN_RECIPE_PAPER);
  assert_int_equal(lvn_recipe_epochs(&recipe.training), 200);
  assert_int_equal(recipe.training.batch, 32);
  assert_int_equal(recipe.training.optimiser, LVN_OPTIMISER_ADAM);
  assert_true(recipe.training.learning_rate == 5e-4 && recipe.training.ema == 0.0 && recipe.scale == 1.0);
  assert_int_equal(recipe.task, LVN_PRETRAIN_PHASE_SHUFFLE);
  assert_int_equal(recipe.permutations, LVN_PERMUTATIONS_ALL);
  assert_false(recipe.flip);
}

static void test_recipe__mode_decides_wherever_it_stands(void **state) {
  (void)state;
  struct lvn_recipe recipe;
  struct lvn_error err = {0};
  assert_true(parse("[training]\nbatch = 8\n  ema = 0.5\n[recipe]\nmode = recommended\n", &recipe, &err));
  assert_int_equal(recipe.training.batch, 8);
  assert_true(recipe.training.ema == 0.5);
  assert_int_equal(recipe.training.optimiser, LVN_OPTIMISER_ADAMW);
  assert_true(recipe.flip && recipe.balance_classes);
}

static void test_recipe__text_reads_back_as_the_same(void **state) {
  (void)state;
  struct lvn_recipe recipe;
  struct lvn_recipe again;
  struct lvn_error err = {0};
  assert_true(parse("[training]\nstages = 3@96, 2@224\nlearning_rate = 0.0003\n[network]\nencoder = resnet50\n"
                    "[package]\ntrained_on = 12 \"cases\"\n",
                    &recipe, &err));
  assert_int_equal(recipe.training.stage_count, 2);
  assert_int_equal(recipe.training.stages[1].side, 224);
  LVN_AUTOFREE char *text = lvn_recipe_to_text(&recipe, &err);
  assert_non_null(text);
  assert_true(parse(text, &again, &err));
  LVN_AUTOFREE char *second = lvn_recipe_to_text(&again, &err);
  assert_string_equal(text, second);
  assert_non_null(strstr(text, "stages = 3@96, 2@224\n"));
}

static void expect_refusal(const char *text, const char *message) {
  struct lvn_recipe recipe;
  struct lvn_error err = {0};
  assert_false(parse(text, &recipe, &err));
  assert_int_equal(err.code, LVN_ERROR_USAGE);
  if (strstr(err.message, message) == NULL) {
    fail_msg("'%s' does not say '%s'", err.message, message);
  }
}

static void test_recipe__refuses_with_the_line(void **state) {
  (void)state;
  expect_refusal("[training]\n\nbatsch = 8\n", "r.ini:3: unknown key 'batsch'");
  expect_refusal("[trainig]\nbatch = 8\n", "section [trainig]");
  expect_refusal("[training]\nbatch = 8\nbatch = 9\n", "r.ini:3: training.batch is set twice");
  expect_refusal("[training]\nbatch = 1\n", "from 2 to 4096");
  expect_refusal("[training]\nbatch = 8.5\n", "whole number");
  expect_refusal("[training]\nlearning_rate = nan\n", "number");
  expect_refusal("[training]\nstages = 3@100\n", "training.stages");
  expect_refusal("[training]\nstages =\n", "training.stages");
  expect_refusal("[network]\nencoder = vgg\n", "resnet18|resnet50");
  expect_refusal("[recipe]\nmode = fast\n", "r.ini:2: recipe.mode");
  expect_refusal("[input]\nwindow_low_hu = 300\n", "window is empty");
  expect_refusal("[network]\nscale = 50\nscale_max = 20\n", "scale_max");
  expect_refusal("nonsense\n", "r.ini:1");
}

/* The sample, with its semicolons taken away, is the default recipe of its mode. */
static void test_recipe__sample_is_the_default(void **state) {
  (void)state;
  for (int mode = LVN_RECIPE_PAPER; mode <= LVN_RECIPE_RECOMMENDED; mode++) {
    char *text = NULL;
    size_t bytes = 0;
    struct lvn_recipe recipe;
    struct lvn_recipe expected;
    struct lvn_error err = {0};
    FILE *stream = open_memstream(&text, &bytes);
    assert_non_null(stream);
    lvn_recipe_write_sample((enum lvn_recipe_mode)mode, stream);
    assert_int_equal(fclose(stream), 0);
    for (char *at = text; at != NULL; at = strchr(at, '\n')) {
      at += *at == '\n';
      if (*at == ';') {
        *at = ' ';
      }
    }
    if (!parse(text, &recipe, &err)) {
      fail_msg("%s", err.message);
    }
    lvn_recipe_default((enum lvn_recipe_mode)mode, &expected);
    LVN_AUTOFREE char *found = lvn_recipe_to_text(&recipe, &err);
    LVN_AUTOFREE char *wanted = lvn_recipe_to_text(&expected, &err);
    assert_string_equal(found, wanted);
    free(text); /* allow: open_memstream's own */
  }
}

static void test_recipe__sets_one_key(void **state) {
  (void)state;
  struct lvn_recipe recipe;
  struct lvn_error err = {0};
  lvn_recipe_default(LVN_RECIPE_PAPER, &recipe);
  assert_true(lvn_recipe_set(&recipe, "network.head", "fc", &err));
  assert_int_equal(recipe.head, LVN_HEAD_FC);
  assert_false(lvn_recipe_set(&recipe, "network.hat", "fc", &err));
  assert_false(lvn_recipe_set(&recipe, "head", "fc", &err));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_recipe__paper_is_the_default),
      cmocka_unit_test(test_recipe__mode_decides_wherever_it_stands),
      cmocka_unit_test(test_recipe__text_reads_back_as_the_same),
      cmocka_unit_test(test_recipe__refuses_with_the_line),
      cmocka_unit_test(test_recipe__sample_is_the_default),
      cmocka_unit_test(test_recipe__sets_one_key),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
