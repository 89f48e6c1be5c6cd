/* Trees over measurements, grown by gradient boosting of the softmax likelihood (Friedman 2001, second order as Chen
 * 2016), over 64 bins a measurement. Same rows, options and seed: the same trees. */
#ifndef LVN_MODEL_TRAIN_BOOST_H
#define LVN_MODEL_TRAIN_BOOST_H

#include "model/network/trees.h"

#ifdef __cplusplus
extern "C" {
#endif

struct lvn_boost_options {
  unsigned rounds;        /* trees of each label: 200 */
  double rate;            /* 0.08 */
  double share;           /* of the measurements that each node looks at: 0.25 */
  unsigned least_in_leaf; /* lesions: 20 */
  uint64_t seed;
};

/* rows: [count][LVN_MEASUREMENT_COUNT]; label: below label_count, each there at least once. lvn_trees_clear() them. */
LVN_MUST_CHECK bool lvn_boost_fit(const float (*rows)[LVN_MEASUREMENT_COUNT], const size_t *label, size_t count,
                                  size_t label_count, const struct lvn_boost_options *options,
                                  struct lvn_trees *ret_trees, struct lvn_error *err);

#ifdef __cplusplus
}
#endif
#endif
