#include "model/train/tuning.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/sha256.h"
#include "model/dataset/predictions.h"
#include "model/tensor/json.h"
#include "model/train/calibrate.h"

#include <math.h>
#include <string.h>

struct candidate {
  char value[LVN_RECIPE_TEXT_BYTES];
  struct lvn_recipe recipe;
  double balanced_accuracy;
  double log_loss; /* after the temperature that fits best */
};

struct tuning {
  const struct lvn_train_options *options;
  const struct lvn_recipe *recipe;
  lvn_train_fold_runner run;
  struct lvn_folds inner;
  char folder[LVN_PATH_BYTES];
  char data[LVN_SHA256_TEXT_BYTES]; /* digest of the data sets' manifests and of who is held out */
  size_t count;
  struct candidate candidates[LVN_RECIPE_TUNING_MAX];
  struct lvn_error *err;
};

/* An inner run's epochs, told as such. */
struct teller {
  const struct lvn_train_options *options;
  char task[160];
  const char *part;
};

static void tell(const struct lvn_train_epoch *epoch, void *context) {
  struct teller *teller = context;
  struct lvn_train_epoch told = *epoch;
  (void)snprintf(teller->task, sizeof teller->task, "tuning, %.100s: %s", teller->part, epoch->task);
  told.task = teller->task;
  teller->options->progress(&told, teller->options->context);
}

static bool digest_data(struct tuning *tuning, unsigned held_out) {
  LVN_AUTOFREE char *text = lvn_format(tuning->err, "%u", held_out);
  uint8_t sha256[LVN_SHA256_BYTES];
  for (size_t i = 0; text != NULL && i < tuning->options->dataset_count; i++) {
    struct lvn_dataset *dataset = NULL;
    char digest[LVN_SHA256_TEXT_BYTES];
    if (!lvn_dataset_open(tuning->options->dataset_folders[i], &dataset, tuning->err)) {
      return false;
    }
    lvn_sha256_to_text(lvn_dataset_sha256(dataset), digest);
    lvn_dataset_close(dataset);
    char *longer = lvn_format(tuning->err, "%s %s", text, digest);
    lvn_free(text);
    text = longer;
  }
  if (text == NULL || !lvn_sha256_of(text, strlen(text), sha256, tuning->err)) {
    return false;
  }
  lvn_sha256_to_text(sha256, tuning->data);
  return true;
}

static bool fill_candidates(struct tuning *tuning) {
  struct lvn_recipe plain = *tuning->recipe;
  plain.tuning_key[0] = '\0';
  plain.tuning_values[0] = '\0';
  while (tuning->count < LVN_RECIPE_TUNING_MAX &&
         lvn_recipe_list_value(tuning->recipe->tuning_values, tuning->count, tuning->candidates[tuning->count].value)) {
    struct candidate *candidate = &tuning->candidates[tuning->count++];
    candidate->recipe = plain;
    if (!lvn_recipe_set(&candidate->recipe, tuning->recipe->tuning_key, candidate->value, tuning->err)) {
      return false;
    }
  }
  return true;
}

/* OUTPUT.tuning/<digest of recipe and data>-fold-N */
static bool name_run(const struct tuning *tuning, const struct candidate *candidate, unsigned fold,
                     char ret_folder[LVN_PATH_BYTES]) {
  LVN_AUTOFREE char *text = lvn_recipe_to_text(&candidate->recipe, tuning->err);
  LVN_AUTOFREE char *all = text == NULL ? NULL : lvn_format(tuning->err, "%s%s", text, tuning->data);
  uint8_t sha256[LVN_SHA256_BYTES];
  char digest[LVN_SHA256_TEXT_BYTES];
  if (all == NULL || !lvn_sha256_of(all, strlen(all), sha256, tuning->err)) {
    return false;
  }
  lvn_sha256_to_text(sha256, digest);
  LVN_AUTOFREE char *name = lvn_format(tuning->err, "%.16s-fold-%u", digest, fold);
  return name != NULL && lvn_path_join(ret_folder, tuning->folder, name, tuning->err);
}

static bool run_one(const struct tuning *tuning, const struct candidate *candidate, unsigned fold,
                    struct lvn_predictions *predictions) {
  struct lvn_train_options options = *tuning->options;
  struct lvn_train_summary summary;
  struct teller teller = {.options = tuning->options, .part = candidate->value};
  const struct lvn_train_fold part = {.fold = fold, .folds = &tuning->inner};
  char folder[LVN_PATH_BYTES];
  char path[LVN_PATH_BYTES];
  char encoder[LVN_PATH_BYTES];
  LVN_AUTOFREE char *name = lvn_format(tuning->err, "pretrained-%u.safetensors", fold);
  if (name == NULL || !lvn_path_join(encoder, tuning->folder, name, tuning->err) ||
      !name_run(tuning, candidate, fold, folder) || !lvn_path_join(path, folder, LVN_PREDICTIONS_FILE, tuning->err)) {
    return false;
  }
  options.output_folder = folder;
  options.pretrained_path = encoder; /* values that come after pretraining share it */
  options.recipe = &candidate->recipe;
  options.resume = true;
  options.progress = tuning->options->progress == NULL ? NULL : tell;
  options.context = &teller;
  return (lvn_file_exists(path) || tuning->run(&options, &part, &summary, tuning->err)) &&
         lvn_predictions_read(path, predictions, tuning->err);
}

/* Of lesions: the mean of their slices' logits. */
static bool score(struct candidate *candidate, const struct lvn_predictions *p, struct lvn_error *err) {
  LVN_AUTOFREE double(*logit)[LVN_CLASS_COUNT] = lvn_alloc(p->count, sizeof *logit, err);
  LVN_AUTOFREE size_t *label = lvn_alloc(p->count, sizeof *label, err);
  double right[LVN_CLASS_COUNT] = {0};
  double total[LVN_CLASS_COUNT] = {0};
  size_t count = 0;
  if (logit == NULL || label == NULL) {
    return false;
  }
  for (size_t i = 0; i < p->count; count++) {
    size_t first = i;
    size_t top = 0;
    label[count] = (size_t)p->items[first].truth;
    for (; i < p->count && strcmp(p->items[i].lesion_key, p->items[first].lesion_key) == 0; i++) {
      for (size_t c = 0; c < LVN_CLASS_COUNT; c++) {
        logit[count][c] += p->items[i].logit[c];
      }
    }
    for (size_t c = 0; c < LVN_CLASS_COUNT; c++) {
      logit[count][c] /= (double)(i - first);
      top = logit[count][c] > logit[count][top] ? c : top;
    }
    total[label[count]] += 1.0;
    right[label[count]] += top == label[count] ? 1.0 : 0.0;
  }
  size_t classes = 0;
  for (size_t c = 0; c < LVN_CLASS_COUNT; c++) {
    classes += total[c] > 0.0;
    candidate->balanced_accuracy += total[c] > 0.0 ? right[c] / total[c] : 0.0;
  }
  candidate->balanced_accuracy /= (double)(classes > 0 ? classes : 1);
  const double(*rows)[LVN_CLASS_COUNT] = (const double(*)[LVN_CLASS_COUNT])logit;
  double factor = 1.0 / lvn_calibrate_temperature(rows, label, count, 1.0);
  for (size_t i = 0; i < count; i++) {
    double raw[LVN_CLASS_COUNT];
    memcpy(raw, logit[i], sizeof raw);
    lvn_calibrate_softmax(raw, factor, logit[i]);
  }
  candidate->log_loss = lvn_calibrate_log_loss(rows, label, count);
  return true;
}

static bool try_all(struct tuning *tuning) {
  for (size_t v = 0; v < tuning->count; v++) {
    struct candidate *candidate = &tuning->candidates[v];
    struct lvn_predictions predictions = {0};
    bool good = true;
    for (size_t f = 0; good && f < tuning->inner.fold_count; f++) {
      good = run_one(tuning, candidate, tuning->inner.numbers[f], &predictions);
    }
    good = good && score(candidate, &predictions, tuning->err);
    lvn_predictions_clear(&predictions);
    if (!good) {
      return lvn_error_prefix(tuning->err, "tuning, %s = %s", tuning->recipe->tuning_key, candidate->value);
    }
  }
  return true;
}

static size_t choose(const struct tuning *tuning) {
  size_t best = 0;
  for (size_t v = 1; v < tuning->count; v++) {
    const struct candidate *a = &tuning->candidates[v];
    const struct candidate *b = &tuning->candidates[best];
    bool better = a->balanced_accuracy > b->balanced_accuracy;
    bool equal = !better && a->balanced_accuracy >= b->balanced_accuracy;
    best = better || (equal && a->log_loss < b->log_loss) ? v : best;
  }
  return best;
}

static bool write_choice(const struct tuning *tuning, size_t best) {
  char path[LVN_PATH_BYTES];
  json_t *tried = json_array();
  for (size_t v = 0; v < tuning->count; v++) {
    const struct candidate *candidate = &tuning->candidates[v];
    (void)json_array_append_new(tried,
                                json_pack("{s:s,s:f,s:f}", "value", candidate->value, "balanced_accuracy_per_lesion",
                                          candidate->balanced_accuracy, "log_loss_per_lesion", candidate->log_loss));
  }
  LVN_CLEANUP(lvn_json_cleanup)
  json_t *json = json_pack("{s:s,s:s,s:I,s:I,s:o}", "key", tuning->recipe->tuning_key, "chosen",
                           tuning->candidates[best].value, "inner_folds", (json_int_t)tuning->inner.fold_count,
                           "patients", (json_int_t)tuning->inner.patient_count, "tried", tried);
  return json == NULL ? lvn_error_set(tuning->err, LVN_ERROR_NOMEM, "no memory for what was tried")
                      : lvn_path_join(path, tuning->folder, LVN_TUNING_FILE, tuning->err) &&
                            lvn_json_write(path, json, tuning->err);
}

static bool tune(struct tuning *tuning, unsigned held_out, struct lvn_recipe *ret_recipe) {
  if (!digest_data(tuning, held_out) || !fill_candidates(tuning) || !try_all(tuning)) {
    return false;
  }
  size_t best = choose(tuning);
  *ret_recipe = tuning->candidates[best].recipe;
  (void)lvn_copy(ret_recipe->tuning_key, sizeof ret_recipe->tuning_key, tuning->recipe->tuning_key);
  (void)lvn_copy(ret_recipe->tuning_values, sizeof ret_recipe->tuning_values, tuning->recipe->tuning_values);
  return write_choice(tuning, best);
}

bool lvn_train_tune(const struct lvn_train_options *options, const struct lvn_folds *folds, unsigned held_out,
                    lvn_train_fold_runner run, struct lvn_recipe *ret_recipe, struct lvn_error *err) {
  const struct lvn_recipe *recipe = options->recipe;
  *ret_recipe = *recipe;
  if (recipe->tuning_key[0] == '\0') {
    return true;
  }
  LVN_AUTOFREE struct tuning *tuning = lvn_alloc(1, sizeof *tuning, err); /* too large for a stack frame */
  LVN_AUTOFREE char *folder = lvn_format(err, "%s.tuning", options->output_folder);
  if (tuning == NULL || folder == NULL) {
    return false;
  }
  tuning->options = options;
  tuning->recipe = recipe;
  tuning->run = run;
  tuning->err = err;
  if (!lvn_copy(tuning->folder, sizeof tuning->folder, folder)) {
    return lvn_error_set(err, LVN_ERROR_USAGE, "the path '%.60s' is too long", folder);
  }
  bool good = lvn_file_make_folder(folder, 0755, err) &&
              lvn_folds_make_inner(options->dataset_folders, options->dataset_count, folds, held_out,
                                   recipe->tuning_folds, recipe->seed, &tuning->inner, err) &&
              tune(tuning, held_out, ret_recipe);
  lvn_folds_clear(&tuning->inner);
  return good;
}
