/* Boosted trees over the measurements of a lesion: a second opinion beside the network, and the one that knows best
 * what is none of the classes. Shallow, complete trees; class k's sum of leaves is its logit (Friedman 2001). Plain C;
 * immutable once made; may be shared by threads. */
#ifndef LVN_MODEL_NETWORK_TREES_H
#define LVN_MODEL_NETWORK_TREES_H

#include "base/error.h"
#include "model/image/measurements.h"

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LVN_TREES_DEPTH 3
#define LVN_TREES_NODES ((1 << LVN_TREES_DEPTH) - 1)
#define LVN_TREES_LEAVES (1 << LVN_TREES_DEPTH)
#define LVN_TREES_LABELS_MAX 32 /* classes, then one more for what is none of them */

/* Owned. Node i's children are 2 i + 1 (at most the threshold) and 2 i + 2; tree t belongs to label t % label_count. */
struct lvn_trees {
  size_t label_count;
  size_t tree_count;
  int32_t *feature; /* [tree][LVN_TREES_NODES], a measurement */
  float *threshold; /* [tree][LVN_TREES_NODES] */
  float *leaf;      /* [tree][LVN_TREES_LEAVES] */
  float *base;      /* [label] */
};
LVN_MUST_CHECK bool lvn_trees_allocate(size_t label_count, size_t tree_count, struct lvn_trees *ret_trees,
                                       struct lvn_error *err);
void lvn_trees_clear(struct lvn_trees *trees);
/* LVN_ERROR_DATA unless every figure is finite and every feature is a measurement. */
LVN_MUST_CHECK bool lvn_trees_check(const struct lvn_trees *trees, struct lvn_error *err);
size_t lvn_trees_leaf_of(const struct lvn_trees *trees, size_t tree, const float values[LVN_MEASUREMENT_COUNT]);
/* Probability of each label, [label_count]. */
void lvn_trees_run(const struct lvn_trees *trees, const float values[LVN_MEASUREMENT_COUNT], double *ret_probability);

#ifdef __cplusplus
}
#endif
#endif
