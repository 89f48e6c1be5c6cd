/* livervlm model: what packages there are, and whether they are what they claim. */
#include "daemon/base/file.h"
#include "daemon/base/memory.h"
#include "daemon/cli/commands.h"
#include "daemon/cli/options.h"
#include "model/network/classifier.h"
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

static int list(int argc, char **argv) {
  const struct lvn_usage usage = {.command = "model list",
                                  .arguments = "DIR",
                                  .summary = "List the model packages in a folder.",
                                  .arguments_min = 1,
                                  .arguments_max = 1};
  const char *folder = NULL;
  struct lvn_file_names names = {0};
  struct lvn_error err = {0};
  int code = parse_one_folder(argc, argv, &usage, &folder);
  if (code != LVN_OPTIONS_RUN) {
    return code;
  }
  if (!lvn_file_list(folder, PACKAGES_MAX, &names, &err)) {
    return lvn_options_fail(usage.command, &err);
  }
  code = LVN_EXIT_OK;
  for (size_t i = 0; i < names.count; i++) {
    char path[LVN_PATH_BYTES];
    char manifest[LVN_PATH_BYTES];
    struct lvn_package package = {0};
    if (!lvn_path_join(path, folder, names.names[i], &err) ||
        !lvn_path_join(manifest, path, LVN_PACKAGE_MANIFEST, &err) || !lvn_file_exists(manifest)) {
      continue;
    }
    if (lvn_package_open(path, &package, &err)) {
      (void)printf("%-30s %-20s %-10s %s\n", names.names[i], package.name, package.version, package.trained_on);
      lvn_package_clear(&package);
    } else {
      (void)printf("%-30s damaged: %s\n", names.names[i], err.message);
      code = LVN_EXIT_FAILED;
    }
  }
  lvn_file_names_clear(&names);
  return code;
}

static int show(int argc, char **argv) {
  bool json = false;
  const struct lvn_option options[] = {
      {"json", NULL, LVN_OPTION_FLAG, &json, "the whole manifest as JSON", false, 0, 0},
  };
  const struct lvn_usage usage = {.command = "model show",
                                  .arguments = "PKG",
                                  .summary = "Show what a model package says of itself.",
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
    return lvn_options_fail(usage.command, &err);
  }
  lvn_sha256_to_text(package.manifest_sha256, digest);
  if (json) {
    LVN_AUTOFREE char *text = lvn_json_dump(package.manifest, JSON_INDENT(2), &err);
    (void)printf("%s\n", text == NULL ? "{}" : text);
  } else {
    const struct lvn_package_recipe *recipe = &package.recipe;
    (void)printf(
        "name         %s\nversion      %s\ntrained on   %s\nlicence      %s\nmanifest     %s\ndevice UID   %s\n"
        "trunk        ResNet-%d, joint space %zu\nwindow       %.0f to %.0f HU\ntemperature  %.4f\n"
        "abstains     margin under %.2f, distance over %.1f, orders disagreeing over %.0f %%\n",
        package.name, package.version, package.trained_on, package.licence, digest, package.device_uid,
        recipe->trunk_depth, recipe->joint_size, recipe->window_low_hu, recipe->window_high_hu, recipe->temperature,
        recipe->min_margin, recipe->max_feature_distance, 100.0 * recipe->max_order_disagreement);
  }
  lvn_package_clear(&package);
  return LVN_EXIT_OK;
}

static int verify(int argc, char **argv) {
  const char *key = NULL;
  const struct lvn_option options[] = {
      {"key", "PEM", LVN_OPTION_TEXT, &key, "Ed25519 public key that must have signed it", false, 0, 0},
  };
  const struct lvn_usage usage = {.command = "model verify",
                                  .arguments = "PKG",
                                  .summary = "Check every file of a package against its manifest, run its test "
                                             "vectors, and check its signature where a key is given.",
                                  .options = options,
                                  .option_count = 1,
                                  .arguments_min = 1,
                                  .arguments_max = 1};
  struct lvn_classifier *classifier = NULL;
  struct lvn_error err = {0};
  struct lvn_classifier_options open = {.device = "cpu"};
  int code = parse_one_folder(argc, argv, &usage, &open.package_folder);
  if (code != LVN_OPTIONS_RUN) {
    return code;
  }
  bool good = (key == NULL || lvn_package_verify_signature(open.package_folder, key, &err)) &&
              lvn_classifier_open(&open, &classifier, &err);
  lvn_classifier_close(classifier);
  if (!good) {
    return lvn_options_fail(usage.command, &err);
  }
  (void)printf("files agree with the manifest; test vectors give their answers; signature %s\n",
               key == NULL ? "not checked (no --key)" : "is the key's");
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
  return good ? LVN_EXIT_OK : lvn_options_fail(usage.command, &err);
}

int lvn_cli_model(int argc, char **argv) {
  static const struct lvn_options_member members[] = {{"list", list, "list those in a folder"},
                                                      {"show", show, "show what one says of itself"},
                                                      {"verify", verify, "check files, test vectors and signature"},
                                                      {"sign", sign, "sign one with an Ed25519 key"},
                                                      {NULL, NULL, NULL}};
  return lvn_options_group(argc, argv, "Model packages.", members);
}
