#include "daemon/worker/module/module.h"

#include "daemon/worker/worker.h"

int lvn_worker_module_run(const char *config_path, const struct lvn_config *config, enum lvn_log_level most_verbose) {
  lvn_log_setup("worker", most_verbose);
  return lvn_worker_run(config_path, config);
}
