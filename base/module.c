#include "base/module.h"

#include "base/file.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool module_path(const char *path, char ret_path[LVN_PATH_BYTES], struct lvn_error *err) {
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
  return lvn_path_join(ret_path, program, path, err);
}

bool lvn_module_load(const char *path, const char *symbol, void **ret_symbol, struct lvn_error *err) {
  char full[LVN_PATH_BYTES];
  if (!module_path(path, full, err)) {
    return false;
  }
  /* libgomp's idle threads spin by default, which on a shared machine costs a factor of ten. */
  (void)setenv("OMP_WAIT_POLICY", "PASSIVE", 0);
  void *module = dlopen(full, RTLD_NOW | RTLD_LOCAL);
  *ret_symbol = module == NULL ? NULL : dlsym(module, symbol);
  return *ret_symbol != NULL || lvn_error_set(err, LVN_ERROR_ENGINE, "a module cannot be loaded: %s", dlerror());
}
