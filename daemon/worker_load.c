#include "daemon/worker_load.h"

#include "base/file.h"
#include "base/log.h"
#include "daemon/worker/module/module.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool module_path(char ret_path[LVN_PATH_BYTES], struct lvn_error *err) {
  char program[LVN_PATH_BYTES];
  ssize_t length = readlink("/proc/self/exe", program, sizeof program - 1);
  if (length < 0) {
    return lvn_error_set_errno(err, errno, "cannot find the program's own path");
  }
  program[length] = '\0';
  char *slash = strrchr(program, '/');
  if (slash != NULL) {
    *slash = '\0';
  }
  return lvn_path_join(ret_path, program, LVN_WORKER_MODULE_PATH, err);
}

static bool load(lvn_worker_module_function *ret_run, struct lvn_error *err) {
  char path[LVN_PATH_BYTES];
  if (!module_path(path, err)) {
    return false;
  }
  /* libgomp reads this when it is loaded. Its idle threads spin by default, which on a shared machine costs a factor of
   * ten; an operator's own setting stays. */
  (void)setenv("OMP_WAIT_POLICY", "PASSIVE", 0);
  void *module = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  void *symbol = module == NULL ? NULL : dlsym(module, LVN_WORKER_MODULE_SYMBOL);
  if (symbol == NULL) {
    return lvn_error_set(err, LVN_ERROR_ENGINE, "the worker's module cannot be loaded: %s", dlerror());
  }
  memcpy(ret_run, &symbol, sizeof symbol); /* ISO C has no cast from an object to a function pointer */
  return true;
}

int lvn_worker_load_and_run(const char *config_path, const struct lvn_config *config) {
  struct lvn_error err = {0};
  lvn_worker_module_function worker_run = NULL;
  if (!load(&worker_run, &err) || worker_run == NULL) {
    lvn_log_error(LVN_LOG_ERROR, "worker-stopped", &err, "%s", "");
    return 1;
  }
  return worker_run(config_path, config, lvn_log_level_from_name(config->log_level));
}
