/* May a package be put to use? By what was declared before its training, on lesions that it was not trained on. */
#include "base/memory.h"
#include "model/network/lineage.h"
#include "model/network/models.h"

#include <math.h>
#include <string.h>

/* What a recipe can ask for, and where an evaluation says it. "None" is the value that asks for nothing. */
static const struct criterion {
  const char *name;
  const char *figure; /* in evaluation.json; '.' goes one level down */
  double none;
  bool is_maximum;
} criteria[] = {
    {"macro_auc", "macro_auc", 0.0, false},
    {"accuracy", "balanced_accuracy", 0.0, false},
    {"hcc_sensitivity", "recall.HCC", 0.0, false},
    {"ece", "ece_15_bins", 1.0, true},
};

static double figure_at(const json_t *object, const char *path) {
  char key[64];
  for (const char *dot; (dot = strchr(path, '.')) != NULL; path = dot + 1) {
    size_t length = (size_t)(dot - path);
    if (length >= sizeof key) {
      return NAN;
    }
    memcpy(key, path, length);
    key[length] = '\0';
    object = json_object_get(object, key);
  }
  const json_t *value = json_object_get(object, path);
  return json_is_number(value) ? json_number_value(value) : NAN;
}

/* Mean of the classes' recalls, where the evaluation does not say it itself. */
static double balanced_accuracy(const json_t *evaluation) {
  double said = figure_at(evaluation, "balanced_accuracy");
  if (isfinite(said)) {
    return said;
  }
  const json_t *recalls = json_object_get(evaluation, "recall");
  const char *name = NULL;
  const json_t *recall = NULL;
  double sum = 0.0;
  json_object_foreach((json_t *)recalls, name, recall) {
    sum += json_is_number(recall) ? json_number_value(recall) : (double)NAN;
  }
  return sum / (double)json_object_size(recalls);
}

static const char *text_at(const json_t *object, const char *section, const char *key) {
  const char *text = json_string_value(json_object_get(json_object_get(object, section), key));
  return text == NULL ? "" : text;
}

/* By pixels: whatever the data set, the patient or the lesion is called. */
static bool check_lineage(const struct lvn_package *package, const json_t *evaluation, struct lvn_error *err) {
  LVN_CLEANUP(lvn_lineage_clear) struct lvn_lineage seen = {0};
  LVN_CLEANUP(lvn_lineage_clear) struct lvn_lineage tested = {0};
  const char *pixels = json_string_value(json_object_get(json_object_get(evaluation, "data"), "pixels"));
  bool known = false;
  if (!lvn_lineage_of_manifest(package->manifest, true, &seen, &known, err) ||
      !lvn_lineage_add_text(&tested, pixels, err)) {
    return false;
  }
  if (seen.count > 0 && tested.count == 0) {
    return lvn_error_set(err, LVN_ERROR_DATA, "the evaluation does not say which pixels it is of: evaluate anew");
  }
  size_t shared = lvn_lineage_shared(&tested, &seen);
  return shared == 0 ||
         lvn_error_set(err, LVN_ERROR_DATA,
                       "the model, or one that it started from, has seen %zu of the lesions or images of the "
                       "evaluation: in training, or held out for its temperature and limits",
                       shared);
}

static bool check_subject(const struct lvn_package *package, const json_t *evaluation, const char *locked_sha256,
                          struct lvn_error *err) {
  char digest[LVN_SHA256_TEXT_BYTES];
  const char *data = text_at(evaluation, "data", "manifest_sha256");
  lvn_sha256_to_text(package->manifest_sha256, digest);
  if (strcmp(text_at(evaluation, "model", "manifest_sha256"), digest) != 0) {
    return lvn_error_set(err, LVN_ERROR_DATA, "the evaluation is not of this package but of %.60s %.30s",
                         text_at(evaluation, "model", "name"), text_at(evaluation, "model", "version"));
  }
  /* Of several data sets the digests stand in a row. */
  if (strlen(data) != LVN_SHA256_TEXT_BYTES - 1 ||
      strstr(text_at(package->manifest, "training", "data_manifest_sha256"), data) != NULL) {
    return lvn_error_set(err, LVN_ERROR_DATA, "the evaluation is on the data set that the model was trained on");
  }
  if (!check_lineage(package, evaluation, err)) {
    return false;
  }
  if (locked_sha256 != NULL && locked_sha256[0] != '\0' && strcmp(data, locked_sha256) != 0) {
    return lvn_error_set(err, LVN_ERROR_DATA, "the evaluation is on data set %.12s, not on the locked test set %.12s",
                         data, locked_sha256);
  }
  return true;
}

bool lvn_package_accept(const struct lvn_package *package, const json_t *evaluation, const char *locked_sha256,
                        struct lvn_error *err) {
  const json_t *declared = json_object_get(json_object_get(package->manifest, "training"), "acceptance");
  size_t asked = 0;
  if (!check_subject(package, evaluation, locked_sha256, err)) {
    return false;
  }
  for (size_t i = 0; i < sizeof criteria / sizeof criteria[0]; i++) {
    const struct criterion *criterion = &criteria[i];
    const json_t *limit = json_object_get(declared, criterion->name);
    if (!json_is_number(limit) || json_number_value(limit) == criterion->none) {
      continue;
    }
    double wanted = json_number_value(limit);
    double found = strcmp(criterion->figure, "balanced_accuracy") == 0 ? balanced_accuracy(evaluation)
                                                                       : figure_at(evaluation, criterion->figure);
    asked++;
    if (!isfinite(found) || (criterion->is_maximum ? found > wanted : found < wanted)) {
      return lvn_error_set(err, LVN_ERROR_DATA, "%s is %.4f, but %s %.4f was declared before the training",
                           criterion->name, found, criterion->is_maximum ? "at most" : "at least", wanted);
    }
  }
  return asked > 0 ||
         lvn_error_set(err, LVN_ERROR_DATA, "the package declares no acceptance criteria ([acceptance] in its recipe)");
}
