#include "cli/engine/default_package.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PACKAGE_NAME "demo-phantom-2.0.0"

bool lvn_cli_default_package(char ret_path[LVN_PATH_BYTES], struct lvn_error *err) {
  /* PREFIX/bin/livervlm -> PREFIX/share/livervlm/packages; build/<preset>/bin/livervlm -> model/packages. */
  static const char *const places[] = {"../share/livervlm/packages", "../../../model/packages"};
  char program[LVN_PATH_BYTES / 2];
  ssize_t length = readlink("/proc/self/exe", program, sizeof program - 1);
  if (length < 0) {
    return lvn_error_set_errno(err, errno, "cannot find the program's own path");
  }
  program[length] = '\0';
  char *slash = strrchr(program, '/');
  if (slash != NULL) {
    *slash = '\0';
  }
  for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
    (void)snprintf(ret_path, LVN_PATH_BYTES, "%s/%s/" PACKAGE_NAME, program, places[i]);
    if (lvn_file_exists(ret_path)) {
      return true;
    }
  }
  return lvn_error_set(err, LVN_ERROR_USAGE, "no model package beside the program: name one by --model");
}
