/* The card has every field of the CHAI Applied Model Card, and says what it does not know. */
#include "base/file.h"
#include "base/memory.h"
#include "model/train/card.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/scratch.h"

static char root[SCRATCH_BYTES];

static char *write_card(const char *trained_on) {
  char path[512];
  struct lvn_error err = {0};
  struct lvn_package_recipe recipe;
  uint8_t *text = NULL;
  size_t bytes = 0;
  lvn_package_recipe_default(&recipe);
  recipe.temperature = 0.125;
  const struct lvn_package_description description = {
      .name = "site", .version = "2.0.0", .trained_on = trained_on, .licence = "none", .recipe = &recipe};
  const struct lvn_train_summary summary = {
      .training_lesions = 71, .held_out_lesions = 19, .held_out_accuracy = 0.8125, .held_out_ece = 0.0625};
  assert_true(lvn_card_write(root, &description, &summary, &err));
  (void)snprintf(path, sizeof path, "%s/%s", root, LVN_PACKAGE_CARD);
  assert_true(lvn_file_read(path, 1U << 20U, &text, &bytes, &err));
  return (char *)text;
}

static void test_card__has_every_field(void **state) {
  (void)state;
  static const char *const fields[] = {"Model name",
                                       "Model developer",
                                       "Developer contact",
                                       "Release stage",
                                       "Release date",
                                       "Release version",
                                       "Global availability",
                                       "Regulatory approval",
                                       "Model summary",
                                       "Intended use and workflow",
                                       "Primary intended users",
                                       "How to use",
                                       "Targeted patient population",
                                       "Cautioned out-of-scope settings",
                                       "Known risks and limitations",
                                       "Known biases or ethical considerations",
                                       "Clinical risk level",
                                       "Outcomes and outputs",
                                       "Model type",
                                       "Foundation models",
                                       "Input data source",
                                       "Development data characterization",
                                       "Bias mitigation approaches",
                                       "Ongoing maintenance",
                                       "Security",
                                       "Transparency",
                                       "Funding source",
                                       "third-party information",
                                       "stakeholders consulted",
                                       "Usefulness, usability, efficacy",
                                       "Fairness, equity",
                                       "Safety, reliability",
                                       "Evaluation references",
                                       "Clinical trial",
                                       "Peer-reviewed publications",
                                       "Reimbursement status",
                                       "Patient consent or disclosure",
                                       "Bibliography"};
  LVN_AUTOFREE char *card = write_card("a hospital");
  for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
    if (strstr(card, fields[i]) == NULL) {
      print_error("no field '%s'\n", fields[i]);
      fail();
    }
  }
  assert_non_null(strstr(card, "Not assessed."));
  assert_non_null(strstr(card, LVN_RESEARCH_NOTICE));
  assert_null(strstr(card, "knows no patient"));
}

static void test_card__tells_figures_and_phantoms(void **state) {
  (void)state;
  LVN_AUTOFREE char *card = write_card("Synthetic phantoms, seeds 1 to 9");
  assert_non_null(strstr(card, "knows no patient"));
  assert_non_null(strstr(card, "71 lesions in training, 19 held out"));
  assert_non_null(strstr(card, "accuracy 0.812"));
  assert_non_null(strstr(card, "0.1250"));
  assert_non_null(strstr(card, "not recorded")); /* no training section was given */
}

static int set_up(void **state) {
  (void)state;
  (void)scratch_make(root);
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_card__has_every_field),
      cmocka_unit_test(test_card__tells_figures_and_phantoms),
  };
  return cmocka_run_group_tests(tests, set_up, NULL);
}
