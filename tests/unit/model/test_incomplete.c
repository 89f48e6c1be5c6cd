/* Variable phase sets: a lesion with a missing phase is trained on beside the prompt that names those that are there.
 */
#include "daemon/base/file.h"
#include "model/train/trainer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/model/made_up.h"

static char root[] = "/tmp/lvn_incomplete_XXXXXX";

/* Lesion 13 (fold 3) has no arterial phase, lesion 2 (fold 0, held out) no portal-venous one. */
static void take_phases(struct lvn_dataset_lesion *lesion, struct lvn_crop *crop) {
  if (strcmp(lesion->lesion_id, "lesion-13") == 0) {
    crop->phase_present[LVN_PHASE_ART] = false;
  } else if (strcmp(lesion->lesion_id, "lesion-2") == 0) {
    crop->phase_present[LVN_PHASE_PV] = false;
  }
}

/* The same, and other values where there is no arterial phase: nobody may look at them. */
static void take_phases_and_scribble(struct lvn_dataset_lesion *lesion, struct lvn_crop *crop) {
  take_phases(lesion, crop);
  for (size_t s = 0; strcmp(lesion->lesion_id, "lesion-13") == 0 && s < crop->slice_count; s++) {
    for (size_t i = 0; i < SAMPLES; i++) {
      crop->slices[s].hounsfield[LVN_PHASE_ART * SAMPLES + i] = (int16_t)(i % 200);
    }
  }
}

static int set_up(void **state) {
  (void)state;
  if (mkdtemp(root) == NULL) {
    return -1;
  }
  made_up_dataset(root, "data", take_phases);
  made_up_dataset(root, "scribbled", take_phases_and_scribble);
  made_up_text(root, "text", 15, 0.0);
  made_up_text(root, "other-text", 15, 0.5);
  return 0;
}

static int tear_down(void **state) {
  struct lvn_error err = {0};
  LVN_CLEANUP(lvn_file_names_clear) struct lvn_file_names files = {0};
  (void)state;
  if (lvn_file_walk(root, 10000, &files, &err)) {
    for (size_t i = 0; i < files.count; i++) {
      (void)remove(files.names[i]);
    }
  }
  return 0;
}

static struct lvn_train_summary train(const char *dataset, const char *text, bool use_incomplete) {
  static unsigned runs;
  char paths[3][PATH_BYTES];
  char name[32];
  struct lvn_recipe recipe;
  struct lvn_train_summary summary = {0};
  struct lvn_folds folds = {0};
  struct lvn_error err = {0};
  const char *folders[] = {made_up_path(root, dataset, paths[0])};
  const struct lvn_train_fold fold = {.fold = 0, .folds = &folds};
  (void)snprintf(name, sizeof name, "run-%u", runs++);
  lvn_recipe_default(LVN_RECIPE_PAPER, &recipe);
  recipe.task = LVN_PRETRAIN_NONE;
  recipe.training.stages[0] = (struct lvn_recipe_stage){.epochs = 1, .side = 32};
  recipe.training.batch = 4;
  recipe.joint_size = 64;
  recipe.orders = LVN_ORDERS_NATURAL;
  recipe.threads = 1;
  recipe.use_incomplete = use_incomplete;
  const struct lvn_train_options options = {.dataset_folders = folders,
                                            .dataset_count = 1,
                                            .output_folder = made_up_path(root, name, paths[1]),
                                            .text_path = made_up_path(root, text, paths[2]),
                                            .recipe = &recipe};
  assert_true(lvn_folds_make(folders, 1, 0, 1, &folds, &err));
  if (!lvn_train_fold_run(&options, &fold, &summary, &err)) {
    fail_msg("%s", err.message);
  }
  lvn_folds_clear(&folds);
  return summary;
}

static void test_incomplete__lesions_are_used_when_asked_for(void **state) {
  (void)state;
  assert_int_equal(train("data", "text", false).training_lesions, LESIONS - 4 - 1);
  const struct lvn_train_summary used = train("data", "text", true);
  assert_int_equal(used.training_lesions, LESIONS - 4);
  assert_int_equal(used.held_out_lesions, 3); /* the node abstains without a phase: nothing to measure */
}

static void test_incomplete__the_prompt_names_the_phases_that_are_there(void **state) {
  (void)state;
  const double plain = train("data", "text", true).last_loss;
  assert_true(plain == train("scribbled", "text", true).last_loss);
  assert_true(plain != train("data", "other-text", true).last_loss);
  assert_true(train("data", "text", false).last_loss == train("data", "other-text", false).last_loss);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_incomplete__lesions_are_used_when_asked_for),
      cmocka_unit_test(test_incomplete__the_prompt_names_the_phases_that_are_there),
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
