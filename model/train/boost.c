#include "model/train/boost.h"

#include "base/memory.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define BINS 64
#define RIDGE 1.0 /* on a leaf's figure */
#define LEAST_CURVATURE 1e-3

struct sums {
  double gradient;
  double curvature;
  size_t count;
};

struct boost {
  const float (*rows)[LVN_MEASUREMENT_COUNT];
  const size_t *label;
  size_t count;
  const struct lvn_boost_options *options;
  struct lvn_trees *trees;
  uint64_t random;
  float edge[LVN_MEASUREMENT_COUNT][BINS - 1]; /* value <= edge[b]: at most bin b */
  uint8_t (*bin)[LVN_MEASUREMENT_COUNT];
  double *logit; /* [count][label_count] */
  double *gradient;
  double *curvature;
  uint8_t *node; /* of each row, in the tree that grows */
};

struct split {
  double gain;
  size_t feature;
  size_t bin;
};

/* splitmix64 */
static double draw(struct boost *boost) {
  uint64_t z = boost->random += 0x9e3779b97f4a7c15ULL;
  z = (z ^ (z >> 30U)) * 0xbf58476d1ce4e5b9ULL;
  z = (z ^ (z >> 27U)) * 0x94d049bb133111ebULL;
  return (double)((z ^ (z >> 31U)) >> 11U) * 0x1p-53;
}

static int compare_floats(const void *left, const void *right) {
  float a = *(const float *)left;
  float b = *(const float *)right;
  return (a > b) - (a < b);
}

/* Edges at even quantiles; equal ones leave bins empty. */
static void fill_bins(struct boost *boost, float *sorted) {
  for (size_t f = 0; f < LVN_MEASUREMENT_COUNT; f++) {
    for (size_t i = 0; i < boost->count; i++) {
      sorted[i] = boost->rows[i][f];
    }
    qsort(sorted, boost->count, sizeof *sorted, compare_floats);
    for (size_t b = 0; b < BINS - 1; b++) {
      size_t at = (b + 1) * boost->count / BINS;
      boost->edge[f][b] = at == 0 ? sorted[0] : 0.5F * (sorted[at - 1] + sorted[at]);
    }
    for (size_t i = 0; i < boost->count; i++) {
      size_t bin = 0;
      while (bin < BINS - 1 && boost->rows[i][f] > boost->edge[f][bin]) {
        bin++;
      }
      boost->bin[i][f] = (uint8_t)bin;
    }
  }
}

static void find_slopes(struct boost *boost, size_t label) {
  size_t labels = boost->trees->label_count;
  for (size_t i = 0; i < boost->count; i++) {
    const double *logit = &boost->logit[i * labels];
    double sum = 0.0;
    for (size_t k = 0; k < labels; k++) {
      sum += exp(logit[k] - logit[label]);
    }
    double probability = 1.0 / sum;
    boost->gradient[i] = probability - (boost->label[i] == label ? 1.0 : 0.0);
    boost->curvature[i] = fmax(probability * (1.0 - probability), 1e-9);
  }
}

static double score_of(const struct sums *sums) {
  return sums->gradient * sums->gradient / (sums->curvature + RIDGE);
}

static void try_feature(const struct boost *boost, size_t node, size_t feature, struct split *best) {
  struct sums bins[BINS] = {{0}};
  struct sums all = {0};
  struct sums left = {0};
  for (size_t i = 0; i < boost->count; i++) {
    if (boost->node[i] == node) {
      struct sums *bin = &bins[boost->bin[i][feature]];
      bin->gradient += boost->gradient[i];
      bin->curvature += boost->curvature[i];
      bin->count++;
    }
  }
  for (size_t b = 0; b < BINS; b++) {
    all.gradient += bins[b].gradient;
    all.curvature += bins[b].curvature;
    all.count += bins[b].count;
  }
  for (size_t b = 0; b < BINS - 1; b++) {
    left.gradient += bins[b].gradient;
    left.curvature += bins[b].curvature;
    left.count += bins[b].count;
    struct sums right = {all.gradient - left.gradient, all.curvature - left.curvature, all.count - left.count};
    if (left.count < boost->options->least_in_leaf || right.count < boost->options->least_in_leaf ||
        left.curvature < LEAST_CURVATURE || right.curvature < LEAST_CURVATURE) {
      continue;
    }
    double gain = score_of(&left) + score_of(&right) - score_of(&all);
    if (gain > best->gain) {
      *best = (struct split){gain, feature, b};
    }
  }
}

/* A node that is not worth a split sends everything one way. */
static void split_node(struct boost *boost, size_t tree, size_t node) {
  struct split best = {.gain = 1e-9, .feature = LVN_MEASUREMENT_COUNT};
  for (size_t f = 0; f < LVN_MEASUREMENT_COUNT; f++) {
    if (draw(boost) < boost->options->share) {
      try_feature(boost, node, f, &best);
    }
  }
  bool any = best.feature < LVN_MEASUREMENT_COUNT;
  boost->trees->feature[tree * LVN_TREES_NODES + node] = any ? (int32_t)best.feature : 0;
  boost->trees->threshold[tree * LVN_TREES_NODES + node] = any ? boost->edge[best.feature][best.bin] : 1e30F;
  for (size_t i = 0; i < boost->count; i++) {
    if (boost->node[i] == node) {
      boost->node[i] = (uint8_t)(2 * node + (!any || boost->bin[i][best.feature] <= best.bin ? 1 : 2));
    }
  }
}

static void grow(struct boost *boost, size_t tree) {
  struct sums leaf[LVN_TREES_LEAVES] = {{0}};
  float *figure = &boost->trees->leaf[tree * LVN_TREES_LEAVES];
  memset(boost->node, 0, boost->count);
  for (size_t node = 0; node < LVN_TREES_NODES; node++) {
    split_node(boost, tree, node);
  }
  for (size_t i = 0; i < boost->count; i++) {
    struct sums *sums = &leaf[boost->node[i] - LVN_TREES_NODES];
    sums->gradient += boost->gradient[i];
    sums->curvature += boost->curvature[i];
  }
  for (size_t l = 0; l < LVN_TREES_LEAVES; l++) {
    figure[l] = (float)(-boost->options->rate * leaf[l].gradient / (leaf[l].curvature + RIDGE));
  }
}

static void add_round(struct boost *boost, size_t round) {
  size_t labels = boost->trees->label_count;
  for (size_t label = 0; label < labels; label++) {
    find_slopes(boost, label);
    grow(boost, round * labels + label);
  }
  /* After the whole round: each label's tree starts from the same probabilities. */
  for (size_t i = 0; i < boost->count; i++) {
    for (size_t label = 0; label < labels; label++) {
      size_t tree = round * labels + label;
      size_t leaf = lvn_trees_leaf_of(boost->trees, tree, boost->rows[i]);
      boost->logit[i * labels + label] += boost->trees->leaf[tree * LVN_TREES_LEAVES + leaf];
    }
  }
}

static void start(struct boost *boost) {
  size_t labels = boost->trees->label_count;
  for (size_t label = 0; label < labels; label++) {
    double there = 0.0;
    for (size_t i = 0; i < boost->count; i++) {
      there += boost->label[i] == label;
    }
    boost->trees->base[label] = (float)log(fmax(there, 0.5) / (double)boost->count);
    for (size_t i = 0; i < boost->count; i++) {
      boost->logit[i * labels + label] = boost->trees->base[label];
    }
  }
}

bool lvn_boost_fit(const float (*rows)[LVN_MEASUREMENT_COUNT], const size_t *label, size_t count, size_t label_count,
                   const struct lvn_boost_options *options, struct lvn_trees *ret_trees, struct lvn_error *err) {
  struct lvn_trees trees = {0};
  LVN_AUTOFREE struct boost *boost = lvn_alloc(1, sizeof *boost, err);
  LVN_AUTOFREE float *sorted = lvn_alloc(count, sizeof *sorted, err);
  LVN_AUTOFREE uint8_t *bins = lvn_alloc(count, LVN_MEASUREMENT_COUNT, err);
  LVN_AUTOFREE double *logit = lvn_alloc(count * label_count, sizeof *logit, err);
  LVN_AUTOFREE double *slopes = lvn_alloc(2 * count, sizeof *slopes, err);
  LVN_AUTOFREE uint8_t *node = lvn_alloc(count, 1, err);
  if (boost == NULL || sorted == NULL || bins == NULL || logit == NULL || slopes == NULL || node == NULL ||
      !lvn_trees_allocate(label_count, options->rounds * label_count, &trees, err)) {
    return false;
  }
  *boost = (struct boost){.rows = rows,
                          .label = label,
                          .count = count,
                          .options = options,
                          .trees = &trees,
                          .random = options->seed,
                          .bin = (uint8_t(*)[LVN_MEASUREMENT_COUNT])bins,
                          .logit = logit,
                          .gradient = slopes,
                          .curvature = slopes + count,
                          .node = node};
  fill_bins(boost, sorted);
  start(boost);
  for (unsigned round = 0; round < options->rounds; round++) {
    add_round(boost, round);
  }
  *ret_trees = trees;
  return true;
}
