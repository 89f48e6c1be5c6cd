/* livervlm model import, promote: how a package comes into use. */
#include "base/file.h"
#include "base/memory.h"
#include "cli/engine/commands.h"
#include "cli/model.h"
#include "cli/operate.h"
#include "cli/options.h"
#include "model/network/classifier.h"
#include "model/network/models.h"
#include "model/tensor/json.h"

#include <stdio.h>
#include <string.h>

#define KEYS_MAX 256U
#define EVALUATION_BYTES_MAX (256U * 1024U * 1024U)

/* Every *.pem of the trusted keys' folder, as paths. */
static bool list_keys(const char *folder, struct lvn_file_names *keys, struct lvn_error *err) {
  if (!lvn_file_exists(folder)) {
    return lvn_error_set(err, LVN_ERROR_USAGE, "no public key is trusted: there is no folder '%.300s'", folder);
  }
  if (!lvn_file_list(folder, KEYS_MAX, keys, err)) {
    return false;
  }
  size_t kept = 0;
  for (size_t i = 0; i < keys->count; i++) {
    char path[LVN_PATH_BYTES];
    size_t length = strlen(keys->names[i]);
    bool is_key = length > 4 && strcmp(keys->names[i] + length - 4, ".pem") == 0;
    bool good = !is_key || lvn_path_join(path, folder, keys->names[i], err);
    lvn_free(keys->names[i]);
    keys->names[i] = NULL;
    if (is_key && good) {
      keys->names[kept] = lvn_strdup(path, err);
      good = keys->names[kept] != NULL;
      kept += good;
    }
    if (!good) {
      return false;
    }
  }
  keys->count = kept;
  return true;
}

/* ---- import ---- */

/* The test vectors say whether this machine computes what the package's maker did. */
static bool run_vectors(const char *folder, struct lvn_error *err) {
  const struct lvn_classifier_options options = {.package_folder = folder, .device = "cpu"};
  struct lvn_classifier *classifier = NULL;
  bool good = lvn_classifier_open(&options, &classifier, err);
  lvn_classifier_close(classifier);
  return good;
}

static bool import(struct lvn_cli_model_place *place, const char *package_folder, const struct lvn_option_list *given,
                   struct lvn_error *err) {
  LVN_CLEANUP(lvn_file_names_clear) struct lvn_file_names keys = {0};
  char name[LVN_MODELS_NAME_BYTES];
  if (!lvn_cli_model_place_read(place, err)) {
    return false;
  }
  if (given->count == 0) {
    if (place->config == NULL) {
      return lvn_error_set(err, LVN_ERROR_USAGE, "--models needs --key, since no configuration names trusted keys");
    }
    if (!list_keys(place->config->trusted_keys_folder, &keys, err)) {
      return false;
    }
  }
  const char *const *paths = given->count > 0 ? given->values : (const char *const *)keys.names;
  if (!lvn_models_import(place->models_folder, package_folder, paths, given->count > 0 ? given->count : keys.count,
                         run_vectors, name, err) ||
      !lvn_models_remember(place->models_folder, "import", name, NULL, err)) {
    return false;
  }
  (void)printf("%s is in '%s'; `livervlm model promote %s` puts it to use\n", name, place->models_folder, name);
  return true;
}

int lvn_cli_model_import(int argc, char **argv) {
  LVN_CLEANUP(lvn_cli_model_place_clear) struct lvn_cli_model_place place = {0};
  struct lvn_option_list keys = {.count = 0};
  struct lvn_error err = {0};
  const struct lvn_option options[] = {
      LVN_MODEL_PLACE_OPTIONS(&place),
      {"key", "PEM", LVN_OPTION_LIST, &keys, "a trusted public key, instead of the configuration's", false, 0, 0},
  };
  const struct lvn_usage usage = {.command = "model import",
                                  .arguments = "PKG",
                                  .summary = "Copy a package into the models' folder after its signature, every file "
                                             "and its test vectors were checked.",
                                  .examples = "livervlm model import package",
                                  .options = options,
                                  .option_count = sizeof options / sizeof options[0],
                                  .arguments_min = 1,
                                  .arguments_max = 1};
  int first = 0;
  int code = lvn_options_parse(argc, argv, &usage, &first);
  if (code != LVN_OPTIONS_RUN) {
    return code;
  }
  return import(&place, argv[first], &keys, &err) ? LVN_EXIT_OK : lvn_options_refuse(usage.command, &err);
}

/* ---- promote ---- */

struct promotion {
  const char *name;
  const char *evaluation; /* folder or file; NULL: none */
  const char *override;   /* reason; NULL: the criteria decide */
};

static json_t *read_evaluation(const char *path, struct lvn_error *err) {
  char inside[LVN_PATH_BYTES];
  if (lvn_path_join(inside, path, LVN_PACKAGE_EVALUATION, err) && lvn_file_exists(inside)) {
    return lvn_json_read(inside, EVALUATION_BYTES_MAX, err);
  }
  return lvn_json_read(path, EVALUATION_BYTES_MAX, err);
}

static bool judge(const struct lvn_cli_model_place *place, const struct lvn_package *package,
                  const struct promotion *promotion, json_t *facts, struct lvn_error *err) {
  if (promotion->override != NULL) {
    return json_object_set_new(facts, "override", json_string(promotion->override)) == 0 ||
           lvn_error_set(err, LVN_ERROR_USAGE, "--override: the reason is not UTF-8");
  }
  if (promotion->evaluation == NULL) {
    return lvn_error_set(
        err, LVN_ERROR_USAGE,
        "--evaluation DIR is needed: what `livervlm evaluate` wrote of this package on lesions that it "
        "was not trained on (or --override REASON)");
  }
  LVN_CLEANUP(lvn_json_cleanup) json_t *evaluation = read_evaluation(promotion->evaluation, err);
  if (evaluation == NULL) {
    return false;
  }
  (void)json_object_set(facts, "evaluated_on", json_object_get(evaluation, "data"));
  return lvn_package_accept(package, evaluation, place->config != NULL ? place->config->locked_test_set : NULL, err);
}

static bool promote(struct lvn_cli_model_place *place, const struct promotion *promotion, struct lvn_error *err) {
  char path[LVN_PATH_BYTES];
  struct lvn_package package = {0};
  LVN_CLEANUP(lvn_json_cleanup) json_t *facts = json_object();
  if (!lvn_cli_model_place_read(place, err) || !lvn_path_join(path, place->models_folder, promotion->name, err)) {
    return false;
  }
  if (!lvn_file_exists(path)) {
    return lvn_error_set(err, LVN_ERROR_USAGE, "there is no package '%.100s' in '%.300s'", promotion->name,
                         place->models_folder);
  }
  if (!lvn_package_open(path, &package, err)) {
    return false;
  }
  bool good = judge(place, &package, promotion, facts, err);
  lvn_package_clear(&package);
  if (!good || !run_vectors(path, err) || !lvn_models_promote(place->models_folder, promotion->name, err) ||
      !lvn_models_remember(place->models_folder, "promote", promotion->name, facts, err)) {
    return false;
  }
  (void)printf("%s is current in '%s'\n", promotion->name, place->models_folder);
  return true;
}

int lvn_cli_model_promote(int argc, char **argv) {
  LVN_CLEANUP(lvn_cli_model_place_clear) struct lvn_cli_model_place place = {0};
  struct promotion promotion = {0};
  struct lvn_error err = {0};
  const struct lvn_option options[] = {
      LVN_MODEL_PLACE_OPTIONS(&place),
      {"evaluation", "DIR", LVN_OPTION_TEXT, &promotion.evaluation, "what livervlm evaluate wrote of this package",
       false, 0, 0},
      {"override", "REASON", LVN_OPTION_TEXT, &promotion.override,
       "promote without the criteria; the reason stands in the history", false, 0, 0},
  };
  const struct lvn_usage usage = {
      .command = "model promote",
      .arguments = "NAME",
      .summary = "Put a package of the models' folder to use, where it meets what its recipe declared.",
      .details =
          "The declared figures ([acceptance] of the recipe) are compared with those of the evaluation, on the\n"
          "locked test set where the configuration names one. The package before is kept for a rollback. A node\n"
          "whose model_package is the link `current` takes the new one before its next analysis.",
      .examples = "livervlm model promote walk-1.0.0 --evaluation evaluation",
      .options = options,
      .option_count = sizeof options / sizeof options[0],
      .arguments_min = 1,
      .arguments_max = 1};
  int first = 0;
  int code = lvn_options_parse(argc, argv, &usage, &first);
  if (code != LVN_OPTIONS_RUN) {
    return code;
  }
  promotion.name = argv[first];
  return promote(&place, &promotion, &err) ? LVN_EXIT_OK : lvn_options_refuse(usage.command, &err);
}
