/* livervlm model verify: is a package what it claims? */
#include "cli/engine/commands.h"
#include "cli/options.h"
#include "model/network/classifier.h"
#include "model/network/package.h"

#include <stdio.h>

int lvn_cli_model_verify(int argc, char **argv) {
  const char *key = NULL;
  const struct lvn_option options[] = {
      {"key", "PEM", LVN_OPTION_TEXT, &key, "Ed25519 public key that must have signed it", false, 0, 0},
  };
  const struct lvn_usage usage = {.command = "model verify",
                                  .arguments = "PKG",
                                  .summary = "Check every file of a package against its manifest, run its test "
                                             "vectors, and check its signature where a key is given.",
                                  .examples = "livervlm model verify package --key public.pem",
                                  .options = options,
                                  .option_count = 1,
                                  .arguments_min = 1,
                                  .arguments_max = 1};
  struct lvn_classifier *classifier = NULL;
  struct lvn_error err = {0};
  struct lvn_classifier_options open = {.device = "cpu"};
  int first = 0;
  int code = lvn_options_parse(argc, argv, &usage, &first);
  if (code != LVN_OPTIONS_RUN) {
    return code;
  }
  open.package_folder = argv[first];
  bool good = (key == NULL || lvn_package_verify_signature(open.package_folder, key, &err)) &&
              lvn_classifier_open(&open, &classifier, &err);
  lvn_classifier_close(classifier);
  if (!good) {
    return lvn_options_refuse(usage.command, &err);
  }
  (void)printf("files agree with the manifest; test vectors give their answers; signature %s\n",
               key == NULL ? "not checked (no --key)" : "is the key's");
  return LVN_EXIT_OK;
}
