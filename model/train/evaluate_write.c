#include "model/train/evaluate.h"

#include "daemon/base/file.h"
#include "daemon/base/memory.h"
#include "model/tensor/json.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define TEXT_BYTES 4096U

static json_t *real_or_null(double value) {
  return isfinite(value) ? json_real(value) : json_null();
}

static json_t *per_class(const double value[LVN_CLASS_COUNT]) {
  json_t *object = json_object();
  for (int c = 0; c < LVN_CLASS_COUNT; c++) {
    (void)json_object_set_new(object, lvn_class_name((enum lvn_class)c), real_or_null(value[c]));
  }
  return object;
}

static json_t *confusion_json(const struct lvn_evaluation *evaluation) {
  json_t *rows = json_array();
  for (int truth = 0; truth < LVN_CLASS_COUNT; truth++) {
    json_t *row = json_array();
    for (int answer = 0; answer < LVN_CLASS_COUNT; answer++) {
      (void)json_array_append_new(row, json_integer((json_int_t)evaluation->confusion[truth][answer]));
    }
    (void)json_array_append_new(rows, row);
  }
  return rows;
}

static json_t *to_json(const struct lvn_evaluation *e, const struct lvn_classifier_info *info,
                       const struct lvn_dataset *dataset) {
  char model[LVN_SHA256_TEXT_BYTES];
  char data[LVN_SHA256_TEXT_BYTES];
  size_t abstained = 0;
  for (int c = 0; c < LVN_CLASS_COUNT; c++) {
    abstained += e->abstained[c];
  }
  lvn_sha256_to_text(info->manifest_sha256, model);
  lvn_sha256_to_text(lvn_dataset_sha256(dataset), data);
  return json_pack(
      "{s:{s:s,s:s,s:s},s:{s:s,s:s},s:I,s:f,s:[f,f],s:o,s:I,s:I,s:o,s:o,s:o,s:f,s:o,s:f,s:o,s:f}", "model", "name",
      info->name, "version", info->version, "manifest_sha256", model, "data", "source", lvn_dataset_source(dataset),
      "manifest_sha256", data, "lesions", (json_int_t)e->lesion_count, "accuracy", e->accuracy, "accuracy_wilson_95",
      e->accuracy_low, e->accuracy_high, "accuracy_answered", real_or_null(e->accuracy_answered), "abstained",
      (json_int_t)abstained, "abstained_wrong", (json_int_t)e->abstained_wrong, "recall", per_class(e->recall), "auc",
      per_class(e->auc), "macro_auc", real_or_null(e->macro_auc), "ece_15_bins", e->ece, "confusion_truth_by_answer",
      confusion_json(e), "threshold_rule_accuracy", e->threshold_accuracy, "nearest_mean_accuracy",
      real_or_null(e->nearest_mean_accuracy), "seconds_in_classifier", e->seconds);
}

static void add_line(char *text, const char *format, ...) LVN_PRINTF(2, 3);
static void add_line(char *text, const char *format, ...) {
  size_t used = strlen(text);
  va_list arguments;
  va_start(arguments, format);
  (void)vsnprintf(text + used, TEXT_BYTES - used, format, arguments);
  va_end(arguments);
}

static void to_text(const struct lvn_evaluation *e, const struct lvn_classifier_info *info, char *text) {
  add_line(text, "model %s %s on %zu lesions\n\n", info->name, info->version, e->lesion_count);
  add_line(text, "accuracy              %.3f  (95 %% %.3f-%.3f)\n", e->accuracy, e->accuracy_low, e->accuracy_high);
  add_line(text, "accuracy, answered    %.3f\n", e->accuracy_answered);
  add_line(text, "macro AUC             %.3f\n", e->macro_auc);
  add_line(text, "calibration error     %.3f\n", e->ece);
  add_line(text, "threshold rule        %.3f\n", e->threshold_accuracy);
  if (isfinite(e->nearest_mean_accuracy)) {
    add_line(text, "nearest-mean rule     %.3f\n", e->nearest_mean_accuracy);
  }
  add_line(text, "\ntruth   recall    AUC  abstained  answers ");
  for (int c = 0; c < LVN_CLASS_COUNT; c++) {
    add_line(text, "%6s", lvn_class_name((enum lvn_class)c));
  }
  add_line(text, "\n");
  for (int truth = 0; truth < LVN_CLASS_COUNT; truth++) {
    add_line(text, "%-5s   %6.3f  %5.3f  %9zu          ", lvn_class_name((enum lvn_class)truth), e->recall[truth],
             e->auc[truth], e->abstained[truth]);
    for (int answer = 0; answer < LVN_CLASS_COUNT; answer++) {
      add_line(text, "%6zu", e->confusion[truth][answer]);
    }
    add_line(text, "\n");
  }
}

bool lvn_evaluate_write(const struct lvn_evaluation *evaluation, const struct lvn_classifier_info *info,
                        const struct lvn_dataset *dataset, const char *folder, struct lvn_error *err) {
  char path[LVN_PATH_BYTES];
  char text[TEXT_BYTES] = "";
  LVN_CLEANUP(lvn_json_cleanup) json_t *json = to_json(evaluation, info, dataset);
  if (json == NULL) {
    return lvn_error_set(err, LVN_ERROR_INTERNAL, "cannot make evaluation.json");
  }
  to_text(evaluation, info, text);
  return lvn_file_make_folder(folder, 0755, err) && lvn_path_join(path, folder, "evaluation.json", err) &&
         lvn_json_write(path, json, err) && lvn_path_join(path, folder, "evaluation.txt", err) &&
         lvn_file_replace(path, text, strlen(text), 0644, err);
}
