/* livervlm model compare: what the shadow package would have said, against what the node said. */
#include "analysis/results.h"
#include "base/file.h"
#include "base/memory.h"
#include "cli/engine/commands.h"
#include "cli/model.h"
#include "cli/operate.h"
#include "cli/options.h"
#include "model/image/vocabulary.h"
#include "model/tensor/json.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define RESULTS_MAX 1000000U
#define SHADOW_BYTES_MAX (16U * 1024U * 1024U)
#define NO_ANSWER LVN_CLASS_COUNT /* abstained */
#define ANSWERS (LVN_CLASS_COUNT + 1)

/* Jobs of one pair of models; the latest pair counts, older ones are named. */
struct comparison {
  char current[160];
  char shadow[160];
  char pair[2][LVN_SHA256_TEXT_BYTES];
  size_t studies;
  size_t lesions;
  size_t failures;
  size_t other_pairs;             /* studies of another pair of models */
  size_t table[ANSWERS][ANSWERS]; /* [current][shadow] */
  size_t same_class;              /* by best class, abstained or not */
  size_t with_probability;
  double difference; /* sum of the largest difference of a class's probability */
  double largest_difference;
  double seconds;
};

static const char *text_of(const json_t *object, const char *key) {
  const char *text = json_string_value(json_object_get(object, key));
  return text == NULL ? "" : text;
}

static size_t answer_of(const json_t *answer) {
  enum lvn_class found = LVN_CLASS_CYST;
  bool abstained = json_is_true(json_object_get(answer, "abstained"));
  return abstained || !lvn_class_from_name(text_of(answer, "top_class"), &found) ? NO_ANSWER : (size_t)found;
}

static void add_lesion(struct comparison *comparison, const json_t *lesion) {
  const json_t *current = json_object_get(lesion, "current");
  const json_t *shadow = json_object_get(lesion, "shadow");
  double largest = 0.0;
  bool measured = false;
  comparison->lesions++;
  comparison->table[answer_of(current)][answer_of(shadow)]++;
  measured = json_object_size(json_object_get(current, "probability")) > 0;
  for (int c = 0; c < LVN_CLASS_COUNT; c++) {
    const char *name = lvn_class_name((enum lvn_class)c);
    const json_t *left = json_object_get(json_object_get(current, "probability"), name);
    const json_t *right = json_object_get(json_object_get(shadow, "probability"), name);
    if (left == NULL && right == NULL) {
      continue; /* neither model has this class */
    }
    measured = measured && (left == NULL || json_is_number(left)) && (right == NULL || json_is_number(right));
    largest = fmax(largest, fabs(json_number_value(left) - json_number_value(right)));
  }
  if (measured) {
    comparison->with_probability++;
    comparison->same_class += strcmp(text_of(current, "top_class"), text_of(shadow, "top_class")) == 0;
    comparison->difference += largest;
    comparison->largest_difference = fmax(comparison->largest_difference, largest);
  }
}

static void name_models(struct comparison *comparison, const json_t *file) {
  const json_t *models[2] = {json_object_get(file, "current"), json_object_get(file, "shadow")};
  char *names[2] = {comparison->current, comparison->shadow};
  for (int i = 0; i < 2; i++) {
    (void)snprintf(names[i], sizeof comparison->current, "%.60s %.30s (%.12s)", text_of(models[i], "name"),
                   text_of(models[i], "version"), text_of(models[i], "manifest_sha256"));
    (void)lvn_copy(comparison->pair[i], sizeof comparison->pair[i], text_of(models[i], "manifest_sha256"));
  }
}

static bool is_same_pair(const struct comparison *comparison, const json_t *file) {
  return strcmp(comparison->pair[0], text_of(json_object_get(file, "current"), "manifest_sha256")) == 0 &&
         strcmp(comparison->pair[1], text_of(json_object_get(file, "shadow"), "manifest_sha256")) == 0;
}

static bool add_study(struct comparison *comparison, const char *path, struct lvn_error *err) {
  size_t index = 0;
  json_t *lesion = NULL;
  LVN_CLEANUP(lvn_json_cleanup) json_t *file = lvn_json_read(path, SHADOW_BYTES_MAX, err);
  if (file == NULL) {
    return false;
  }
  if (comparison->pair[0][0] == '\0') {
    name_models(comparison, file);
  }
  if (!is_same_pair(comparison, file)) {
    comparison->other_pairs++;
    return true;
  }
  comparison->studies++;
  comparison->failures += text_of(file, "failure")[0] != '\0';
  comparison->seconds += json_number_value(json_object_get(file, "seconds"));
  json_array_foreach(json_object_get(file, "lesions"), index, lesion) {
    add_lesion(comparison, lesion);
  }
  return true;
}

/* Jobs are numbered: the last name of equal length is the latest. */
static int compare_jobs(const char *left, const char *right) {
  size_t a = strlen(left);
  size_t b = strlen(right);
  return a != b ? (a > b) - (a < b) : strcmp(left, right);
}

static void sort_jobs(struct lvn_file_names *names) {
  for (size_t i = 1; i < names->count; i++) {
    for (size_t k = i; k > 0 && compare_jobs(names->names[k - 1], names->names[k]) > 0; k--) {
      char *swapped = names->names[k];
      names->names[k] = names->names[k - 1];
      names->names[k - 1] = swapped;
    }
  }
}

static bool collect(const char *folder, struct comparison *comparison, struct lvn_error *err) {
  LVN_CLEANUP(lvn_file_names_clear) struct lvn_file_names names = {0};
  if (!lvn_file_list(folder, RESULTS_MAX, &names, err)) {
    return false;
  }
  sort_jobs(&names);
  for (size_t i = names.count; i-- > 0;) {
    char job[LVN_PATH_BYTES];
    char path[LVN_PATH_BYTES];
    if (!lvn_path_join(job, folder, names.names[i], err) || !lvn_path_join(path, job, LVN_SHADOW_FILE, err) ||
        (lvn_file_exists(path) && !add_study(comparison, path, err))) {
      return false;
    }
  }
  return comparison->studies > 0 ||
         lvn_error_set(err, LVN_ERROR_USAGE,
                       "no answer of a shadow package lies in '%.300s'; is shadow_package configured?", folder);
}

static const char *answer_name(size_t answer) {
  return answer == NO_ANSWER ? "none" : lvn_class_name((enum lvn_class)answer);
}

static size_t count_agreed(const struct comparison *comparison) {
  size_t agreed = 0;
  for (size_t a = 0; a < ANSWERS; a++) {
    agreed += comparison->table[a][a];
  }
  return agreed;
}

static void print_text(const struct comparison *c) {
  size_t agreed = count_agreed(c);
  (void)printf("current  %s\nshadow   %s\n%zu studies, %zu lesions; the shadow failed in %zu studies\n\n", c->current,
               c->shadow, c->studies, c->lesions, c->failures);
  (void)printf("same answer, abstentions among them  %zu of %zu (%.1f%%)\n", agreed, c->lesions,
               c->lesions == 0 ? 0.0 : 100.0 * (double)agreed / (double)c->lesions);
  (void)printf("same best class                      %zu of %zu\n", c->same_class, c->with_probability);
  if (c->with_probability > 0) {
    (void)printf("largest difference of a probability  mean %.3f, at most %.3f\n",
                 c->difference / (double)c->with_probability, c->largest_difference);
  }
  (void)printf("seconds of the shadow per study      %.2f\n\ncurrent \\ shadow", c->seconds / (double)c->studies);
  for (size_t b = 0; b < ANSWERS; b++) {
    (void)printf("  %5s", answer_name(b));
  }
  (void)printf("   agreed\n");
  for (size_t a = 0; a < ANSWERS; a++) {
    size_t total = 0;
    (void)printf("%-16s", answer_name(a));
    for (size_t b = 0; b < ANSWERS; b++) {
      (void)printf("  %5zu", c->table[a][b]);
      total += c->table[a][b];
    }
    (void)printf("   %zu of %zu\n", c->table[a][a], total);
  }
  if (c->other_pairs > 0) {
    (void)printf("\n%zu further studies were answered by another pair of models and are left out\n", c->other_pairs);
  }
  (void)printf("\nAgreement is not accuracy: neither model is the truth.\n");
}

static void print_json(const struct comparison *c) {
  json_t *table = json_object();
  for (size_t a = 0; a < ANSWERS; a++) {
    json_t *row = json_object();
    for (size_t b = 0; b < ANSWERS; b++) {
      (void)json_object_set_new(row, answer_name(b), json_integer((json_int_t)c->table[a][b]));
    }
    (void)json_object_set_new(table, answer_name(a), row);
  }
  json_t *root = json_pack(
      "{s:s,s:s,s:I,s:I,s:I,s:I,s:I,s:I,s:f,s:f,s:o,s:I}", "current_sha256", c->pair[0], "shadow_sha256", c->pair[1],
      "studies", (json_int_t)c->studies, "lesions", (json_int_t)c->lesions, "failures", (json_int_t)c->failures,
      "same_answer", (json_int_t)count_agreed(c), "same_class", (json_int_t)c->same_class, "with_probability",
      (json_int_t)c->with_probability, "mean_difference",
      c->with_probability > 0 ? c->difference / (double)c->with_probability : 0.0, "largest_difference",
      c->largest_difference, "current_by_shadow", table, "studies_of_other_models", (json_int_t)c->other_pairs);
  (void)json_dumpf(root, stdout, JSON_INDENT(2));
  (void)printf("\n");
  json_decref(root);
}

static bool find_results(const char *config_path, char ret_folder[LVN_PATH_BYTES], struct lvn_error *err) {
  LVN_AUTOFREE struct lvn_config *config = lvn_alloc(1, sizeof *config, err);
  return config != NULL && lvn_config_load(config_path, config, err) &&
         lvn_path_join(ret_folder, config->state_folder, "results", err);
}

int lvn_cli_model_compare(int argc, char **argv) {
  const char *config_path = LVN_OPERATE_CONFIG;
  bool as_json = false;
  struct comparison comparison = {.studies = 0};
  char folder[LVN_PATH_BYTES];
  struct lvn_error err = {0};
  const struct lvn_option options[] = {
      {"config", "FILE", LVN_OPTION_TEXT, &config_path, "the node's configuration (" LVN_OPERATE_CONFIG ")", false, 0,
       0},
      {"json", NULL, LVN_OPTION_FLAG, &as_json, "print as JSON", false, 0, 0},
  };
  const struct lvn_usage usage = {
      .command = "model compare",
      .arguments = "[RESULTS]",
      .summary = "Compare the stored answers of the shadow package with those that were sent, class by class.",
      .details = "RESULTS is a folder of jobs; without it, the node's own. The latest pair of models is compared.",
      .examples = "livervlm model compare",
      .options = options,
      .option_count = sizeof options / sizeof options[0],
      .arguments_max = 1};
  int first = 0;
  int code = lvn_options_parse(argc, argv, &usage, &first);
  if (code != LVN_OPTIONS_RUN) {
    return code;
  }
  bool good = first < argc ? lvn_copy(folder, sizeof folder, argv[first]) : find_results(config_path, folder, &err);
  if (!good || !collect(folder, &comparison, &err)) {
    return lvn_options_fail(usage.command, &err);
  }
  (as_json ? print_json : print_text)(&comparison);
  return LVN_EXIT_OK;
}
