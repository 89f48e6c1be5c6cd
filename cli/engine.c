#include "cli/engine.h"

#include "base/module.h"
#include "cli/options.h"

#include <string.h>

int lvn_cli_engine(const char *command, int argc, char **argv) {
  struct lvn_error err = {0};
  void *symbol = NULL;
  lvn_cli_engine_function run = NULL;
  if (!lvn_module_load(LVN_CLI_ENGINE_PATH, LVN_CLI_ENGINE_SYMBOL, &symbol, &err)) {
    return lvn_options_fail(command, &err);
  }
  memcpy(&run, &symbol, sizeof run); /* ISO C has no cast from an object to a function pointer */
  return run(command, argc, argv);
}
