/* livervlm model: what packages there are, and whether they are what they claim. */
#include "cli/model.h"
#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "cli/commands.h"
#include "cli/engine.h"
#include "cli/operate.h"
#include "cli/options.h"
#include "model/network/models.h"
#include "model/network/package.h"
#include "model/tensor/json.h"

#include <stdio.h>
#include <string.h>

#define PACKAGES_MAX 10000U

static int parse_one_folder(int argc, char **argv, const struct lvn_usage *usage, const char **ret_folder) {
  int first = 0;
  int code = lvn_options_parse(argc, argv, usage, &first);
  if (code == LVN_OPTIONS_RUN) {
    *ret_folder = argv[first];
  }
  return code;
}

struct listing {
  const char *folder;
  char current[LVN_MODELS_NAME_BYTES];
  char previous[LVN_MODELS_NAME_BYTES];
  json_t *rows; /* NULL: printed, a line each */
  bool all_good;
};

static void show_package(const struct listing *listing, const char *name, const char *use, bool is_signed,
                         const char *trained_on, const char *fault) {
  if (listing->rows != NULL) {
    (void)json_array_append_new(listing->rows,
                                json_pack("{s:s, s:s, s:b, s:s, s:s}", "name", name, "use", use, "signed",
                                          (int)is_signed, "trained_on", trained_on, "fault", fault));
  } else if (fault[0] != '\0') {
    (void)printf("%-30s %-9s damaged: %s\n", name, use, fault);
  } else {
    (void)printf("%-30s %-9s %-8s %s\n", name, use, is_signed ? "signed" : "unsigned", trained_on);
  }
}

/* False when the package is not what its manifest says. */
static bool list_package(const struct listing *listing, const char *name) {
  struct lvn_error err = {0};
  struct lvn_package package = {0};
  char path[LVN_PATH_BYTES];
  char signature[LVN_PATH_BYTES];
  const char *use = strcmp(name, listing->current) == 0    ? "current"
                    : strcmp(name, listing->previous) == 0 ? "previous"
                                                           : "";
  if (!lvn_path_join(path, listing->folder, name, &err) ||
      !lvn_path_join(signature, path, LVN_PACKAGE_SIGNATURE, &err) || !lvn_package_open(path, &package, &err)) {
    show_package(listing, name, use, false, "", err.message);
    return false;
  }
  show_package(listing, name, use, lvn_file_exists(signature), package.trained_on, "");
  lvn_package_clear(&package);
  return true;
}

static bool list_folder(struct listing *listing, struct lvn_error *err) {
  LVN_CLEANUP(lvn_file_names_clear) struct lvn_file_names names = {0};
  const char *folder = listing->folder;
  if (!lvn_file_list(folder, PACKAGES_MAX, &names, err) ||
      !lvn_models_read_link(folder, LVN_MODELS_CURRENT, listing->current, err) ||
      !lvn_models_read_link(folder, LVN_MODELS_PREVIOUS, listing->previous, err)) {
    return false;
  }
  for (size_t i = 0; i < names.count; i++) {
    char path[LVN_PATH_BYTES];
    char manifest[LVN_PATH_BYTES];
    bool is_link = strcmp(names.names[i], LVN_MODELS_CURRENT) == 0 || strcmp(names.names[i], LVN_MODELS_PREVIOUS) == 0;
    if (!is_link && names.names[i][0] != '.' && lvn_path_join(path, folder, names.names[i], err) &&
        lvn_path_join(manifest, path, LVN_PACKAGE_MANIFEST, err) && lvn_file_exists(manifest)) {
      listing->all_good = list_package(listing, names.names[i]) && listing->all_good;
    }
  }
  return true;
}

static int list(int argc, char **argv) {
  LVN_CLEANUP(lvn_cli_model_place_clear) struct lvn_cli_model_place place = {0};
  struct lvn_error err = {0};
  bool as_json = false;
  const struct lvn_option options[] = {LVN_MODEL_PLACE_OPTIONS(&place), LVN_OPTION_JSON(&as_json)};
  const struct lvn_usage usage = {.command = "model list",
                                  .arguments = "[DIR]",
                                  .summary = "List the packages in the models' folder, or in DIR, and which is in use.",
                                  .examples = "livervlm model list",
                                  .options = options,
                                  .option_count = sizeof options / sizeof options[0],
                                  .arguments_max = 1};
  int first = 0;
  int code = lvn_options_parse(argc, argv, &usage, &first);
  if (code != LVN_OPTIONS_RUN) {
    return code;
  }
  place.models_folder = first < argc ? argv[first] : place.models_folder;
  LVN_AUTOJSON json_t *answer = as_json ? json_pack("{s:[]}", "models") : NULL;
  struct listing listing = {.rows = json_object_get(answer, "models"), .all_good = true};
  if (!lvn_cli_model_place_read(&place, &err)) {
    return lvn_options_fail(usage.command, &err);
  }
  listing.folder = place.models_folder;
  if (!list_folder(&listing, &err)) {
    return lvn_options_fail(usage.command, &err);
  }
  if (as_json) {
    lvn_operate_print_json(answer);
  }
  return listing.all_good ? LVN_EXIT_OK : LVN_EXIT_FAILED;
}

static int show(int argc, char **argv) {
  bool json = false;
  const struct lvn_option options[] = {
      {"json", NULL, LVN_OPTION_FLAG, &json, "the whole manifest as JSON", false, 0, 0},
  };
  const struct lvn_usage usage = {.command = "model show",
                                  .arguments = "PKG",
                                  .summary = "Show what a model package says of itself.",
                                  .examples = "livervlm model show package",
                                  .options = options,
                                  .option_count = 1,
                                  .arguments_min = 1,
                                  .arguments_max = 1};
  const char *folder = NULL;
  struct lvn_package package = {0};
  struct lvn_error err = {0};
  char digest[LVN_SHA256_TEXT_BYTES];
  int code = parse_one_folder(argc, argv, &usage, &folder);
  if (code != LVN_OPTIONS_RUN) {
    return code;
  }
  if (!lvn_package_open(folder, &package, &err)) {
    return lvn_options_refuse(usage.command, &err);
  }
  lvn_sha256_to_text(package.manifest_sha256, digest);
  if (json) {
    LVN_AUTOFREE char *text = lvn_json_dump(package.manifest, JSON_INDENT(2), &err);
    (void)printf("%s\n", text == NULL ? "{}" : text);
  } else {
    const struct lvn_package_recipe *recipe = &package.recipe;
    (void)printf(
        "name         %s\nversion      %s\ntrained on   %s\nlicence      %s\nmanifest     %s\ndevice UID   %s\n"
        "encoder      %s, joint space %zu\nwindow       %.0f to %.0f HU\ntemperature  %.4f\n"
        "abstains     margin under %.2f, outlier score over %.1f, orders disagreeing over %.0f %%\n",
        package.name, package.version, package.trained_on, package.licence, digest, package.device_uid, recipe->encoder,
        recipe->joint_size, recipe->window_low_hu, recipe->window_high_hu, recipe->temperature, recipe->min_margin,
        recipe->outlier.limit, 100.0 * recipe->max_permutation_disagreement);
  }
  lvn_package_clear(&package);
  return LVN_EXIT_OK;
}

static int sign(int argc, char **argv) {
  const char *key = NULL;
  const struct lvn_option options[] = {
      {"key", "PEM", LVN_OPTION_TEXT, &key, "Ed25519 private key (openssl genpkey -algorithm ed25519)", true, 0, 0},
  };
  const struct lvn_usage usage = {.command = "model sign",
                                  .arguments = "PKG",
                                  .summary = "Sign a package's manifest into manifest.sig.",
                                  .examples = "livervlm model sign package --key private.pem",
                                  .options = options,
                                  .option_count = 1,
                                  .arguments_min = 1,
                                  .arguments_max = 1};
  const char *folder = NULL;
  struct lvn_package package = {0};
  struct lvn_error err = {0};
  int code = parse_one_folder(argc, argv, &usage, &folder);
  if (code != LVN_OPTIONS_RUN) {
    return code;
  }
  bool good = lvn_package_open(folder, &package, &err) && lvn_package_sign(folder, key, &err);
  lvn_package_clear(&package);
  return good ? LVN_EXIT_OK : lvn_options_refuse(usage.command, &err);
}

static int rollback(int argc, char **argv) {
  LVN_CLEANUP(lvn_cli_model_place_clear) struct lvn_cli_model_place place = {0};
  struct lvn_error err = {0};
  char name[LVN_MODELS_NAME_BYTES];
  const struct lvn_option options[] = {LVN_MODEL_PLACE_OPTIONS(&place)};
  const struct lvn_usage usage = {.command = "model rollback",
                                  .summary = "Put the package before the current one back to use.",
                                  .examples = "livervlm model rollback",
                                  .options = options,
                                  .option_count = sizeof options / sizeof options[0]};
  int first = 0;
  int code = lvn_options_parse(argc, argv, &usage, &first);
  if (code != LVN_OPTIONS_RUN) {
    return code;
  }
  if (!lvn_cli_model_place_read(&place, &err) || !lvn_models_rollback(place.models_folder, name, &err) ||
      !lvn_models_remember(place.models_folder, "rollback", name, NULL, &err)) {
    return lvn_options_refuse(usage.command, &err);
  }
  (void)printf("%s is current in '%s'\n", name, place.models_folder);
  return LVN_EXIT_OK;
}

static int verify(int argc, char **argv) {
  return lvn_cli_engine("model verify", argc, argv);
}

static int import(int argc, char **argv) {
  return lvn_cli_engine("model import", argc, argv);
}

static int promote(int argc, char **argv) {
  return lvn_cli_engine("model promote", argc, argv);
}

static int compare(int argc, char **argv) {
  return lvn_cli_engine("model compare", argc, argv);
}

int lvn_cli_model(int argc, char **argv) {
  static const struct lvn_options_member members[] = {
      {"list", list, "list those in a folder, and which is in use"},
      {"show", show, "show what one says of itself"},
      {"verify", verify, "check files, test vectors and signature"},
      {"sign", sign, "sign one with an Ed25519 key"},
      {"import", import, "bring a signed one into the models' folder"},
      {"promote", promote, "put one to use, where it meets its declared criteria"},
      {"rollback", rollback, "go back to the one before"},
      {"compare", compare, "the shadow package's answers against the current one's"},
      {NULL, NULL, NULL}};
  return lvn_options_group(argc, argv, "Model packages.", members);
}
