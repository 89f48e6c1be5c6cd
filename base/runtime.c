#include "base/runtime.h"

#include <stdlib.h>
#include <unistd.h>

void lvn_runtime_prepare(char **argv) {
  if (getenv("OMP_WAIT_POLICY") != NULL || getenv("GOMP_SPINCOUNT") != NULL) {
    return; /* the operator's choice, or the second start */
  }
  if (argv == NULL || argv[0] == NULL || setenv("OMP_WAIT_POLICY", "PASSIVE", 1) != 0) {
    return;
  }
  /* A failed execv leaves the process whole: slower, not wrong. */
  (void)execv("/proc/self/exe", argv);
}
