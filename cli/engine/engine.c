/* The module's door: finds the command in its table. */
#include "cli/engine.h"
#include "cli/engine/commands.h"
#include "cli/options.h"

#include <stdio.h>
#include <string.h>

static const struct {
  const char *name;
  int (*run)(int argc, char **argv);
} commands[] = {
    {"analyze", lvn_cli_analyze},
    {"dataset", lvn_cli_dataset},
    {"train", lvn_cli_train},
    {"evaluate", lvn_cli_evaluate},
    {"text-encoder", lvn_cli_text_encoder},
    {"model verify", lvn_cli_model_verify},
    {"model import", lvn_cli_model_import},
    {"model promote", lvn_cli_model_promote},
    {"model compare", lvn_cli_model_compare},
};

__attribute__((visibility("default"))) int lvn_cli_engine_run(const char *command, int argc, char **argv);

int lvn_cli_engine_run(const char *command, int argc, char **argv) {
  for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
    if (strcmp(commands[i].name, command) == 0) {
      return commands[i].run(argc, argv);
    }
  }
  (void)fprintf(stderr, "livervlm: the module of commands has no '%s': program and module are of two versions\n",
                command);
  return LVN_EXIT_FAILED;
}
