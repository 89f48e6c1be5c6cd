#include "daemon/worker_load.h"

#include "base/log.h"
#include "base/module.h"
#include "daemon/worker/module/module.h"

#include <string.h>

int lvn_worker_load_and_run(const char *config_path, const struct lvn_config *config) {
  struct lvn_error err = {0};
  void *symbol = NULL;
  lvn_worker_module_function worker_run = NULL;
  if (!lvn_module_load(LVN_WORKER_MODULE_PATH, LVN_WORKER_MODULE_SYMBOL, &symbol, &err)) {
    lvn_log_error(LVN_LOG_ERROR, "worker-stopped", &err, "%s", "");
    return 1;
  }
  memcpy(&worker_run, &symbol, sizeof worker_run); /* ISO C has no cast from an object to a function pointer */
  return worker_run(config_path, config, lvn_log_level_from_name(config->log_level));
}
