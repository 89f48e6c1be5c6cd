#include "model/network/trees.h"

#include "base/memory.h"

#include <math.h>

bool lvn_trees_allocate(size_t label_count, size_t tree_count, struct lvn_trees *ret_trees, struct lvn_error *err) {
  struct lvn_trees trees = {.label_count = label_count, .tree_count = tree_count};
  if (label_count < 2 || label_count > LVN_TREES_LABELS_MAX || tree_count % label_count != 0) {
    return lvn_error_set(err, LVN_ERROR_DATA, "measurement trees: their number does not fit the labels");
  }
  trees.feature = lvn_alloc(tree_count * LVN_TREES_NODES, sizeof *trees.feature, err);
  trees.threshold = lvn_alloc(tree_count * LVN_TREES_NODES, sizeof *trees.threshold, err);
  trees.leaf = lvn_alloc(tree_count * LVN_TREES_LEAVES, sizeof *trees.leaf, err);
  trees.base = lvn_alloc(label_count, sizeof *trees.base, err);
  if (trees.feature == NULL || trees.threshold == NULL || trees.leaf == NULL || trees.base == NULL) {
    lvn_trees_clear(&trees);
    return false;
  }
  *ret_trees = trees;
  return true;
}

void lvn_trees_clear(struct lvn_trees *trees) {
  lvn_free(trees->feature);
  lvn_free(trees->threshold);
  lvn_free(trees->leaf);
  lvn_free(trees->base);
  *trees = (struct lvn_trees){0};
}

static bool all_finite(const float *values, size_t count) {
  size_t i = 0;
  while (i < count && isfinite(values[i])) {
    i++;
  }
  return i == count;
}

bool lvn_trees_check(const struct lvn_trees *trees, struct lvn_error *err) {
  bool good = all_finite(trees->threshold, trees->tree_count * LVN_TREES_NODES) &&
              all_finite(trees->leaf, trees->tree_count * LVN_TREES_LEAVES) &&
              all_finite(trees->base, trees->label_count);
  for (size_t i = 0; good && i < trees->tree_count * LVN_TREES_NODES; i++) {
    good = trees->feature[i] >= 0 && trees->feature[i] < LVN_MEASUREMENT_COUNT;
  }
  return good || lvn_error_set(err, LVN_ERROR_DATA, "measurement trees: a figure is out of range");
}

size_t lvn_trees_leaf_of(const struct lvn_trees *trees, size_t tree, const float values[LVN_MEASUREMENT_COUNT]) {
  const int32_t *feature = &trees->feature[tree * LVN_TREES_NODES];
  const float *threshold = &trees->threshold[tree * LVN_TREES_NODES];
  size_t node = 0;
  for (int level = 0; level < LVN_TREES_DEPTH; level++) {
    node = 2 * node + (values[feature[node]] <= threshold[node] ? 1 : 2);
  }
  return node - LVN_TREES_NODES;
}

void lvn_trees_run(const struct lvn_trees *trees, const float values[LVN_MEASUREMENT_COUNT], double *ret_probability) {
  double top = -HUGE_VAL;
  double sum = 0.0;
  for (size_t label = 0; label < trees->label_count; label++) {
    double logit = trees->base[label];
    for (size_t tree = label; tree < trees->tree_count; tree += trees->label_count) {
      logit += trees->leaf[tree * LVN_TREES_LEAVES + lvn_trees_leaf_of(trees, tree, values)];
    }
    ret_probability[label] = logit;
    top = fmax(top, logit);
  }
  for (size_t label = 0; label < trees->label_count; label++) {
    ret_probability[label] = exp(ret_probability[label] - top);
    sum += ret_probability[label];
  }
  for (size_t label = 0; label < trees->label_count; label++) {
    ret_probability[label] /= sum;
  }
}
