/* One step of Adam over flat arrays. Plain C with OpenMP, no torch: at::parallel_for() is serial in code that is
 * compiled without OpenMP. */
#ifndef LVN_MODEL_TRAIN_ADAM_H
#define LVN_MODEL_TRAIN_ADAM_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct lvn_adam {
  float rate;        /* divided by 1 - beta1^t */
  float decay;       /* added to the gradient: weight decay of Adam; 0 for AdamW */
  float decoupled;   /* factor on the values: weight decay of AdamW; 1 for Adam */
  float correction2; /* root of 1 - beta2^t */
  float beta1;
  float beta2;
  float eps;
};
/* Adam (Kingma 2015) or AdamW (Loshchilov 2019) on elements [first, last) of arrays of values, gradient and the two
 * moments, in the order of operations that PyTorch has. The result does not depend on `threads`. */
void lvn_adam_step(const struct lvn_adam *adam, float *values, const float *gradient, float *moment1, float *moment2,
                   int64_t first, int64_t last, int threads);

#ifdef __cplusplus
}
#endif
#endif
