/* Work shared out between threads. at::parallel_for() is serial in code that is compiled without OpenMP, so the loop is
 * here, where OpenMP is on. libtorch's own operations see that they are inside it and stay on their thread. */
#include "model/registration/registration_internal.h"

void lvn_reg_parallel(int count, void (*work)(void *context, int item), void *context) {
  int threads = lvn_reg_threads();
#pragma omp parallel for schedule(static, 1) num_threads(threads)
  for (int item = 0; item < count; item++) {
    work(context, item);
  }
}
