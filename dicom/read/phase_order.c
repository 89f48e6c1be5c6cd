/* The order of the phases in time: contrast passes through them one way. Evidence of each acquisition and the pauses
 * between acquisitions are summed for assignments of phases to acquisitions; the sums are log-likelihoods, and an
 * acquisition's probabilities are the marginals. */
#include "base/memory.h"
#include "dicom/read/phase_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define KEPT_MAX                                                                                                       \
  4096 /* best assignments carried from one acquisition to the next: of up to seven acquisitions, all                  \
        */
#define ROWS_MAX ((size_t)KEPT_MAX * LVN_PHASE_COUNT)
#define WRONG_ORDER 7.0      /* nats */
#define SAME_PHASE_AGAIN 1.2 /* nats: a second acquisition of one phase is unusual, not absurd */

/* How well the pause between two acquisitions fits their phases. */
static double gap_score(const struct lvn_phase_group *a, enum lvn_phase pa, const struct lvn_phase_group *b,
                        enum lvn_phase pb) {
  if (isnan(a->seconds) || isnan(b->seconds)) {
    bool is_ordered = a->temporal_position >= 0 && b->temporal_position >= 0 &&
                      a->temporal_position != b->temporal_position &&
                      strcmp(a->series_instance_uid, b->series_instance_uid) == 0;
    bool is_wrong = is_ordered && (a->temporal_position < b->temporal_position ? pa > pb : pa < pb);
    return pa == pb ? -SAME_PHASE_AGAIN : is_wrong ? -WRONG_ORDER : 0.0;
  }
  if (a->seconds > b->seconds) {
    return gap_score(b, pb, a, pa);
  }
  double gap = b->seconds - a->seconds;
  if (pa > pb) {
    return -WRONG_ORDER;
  }
  if (pa == pb) {
    return gap < 600.0 ? -SAME_PHASE_AGAIN - (gap > 100.0 && pa != LVN_PHASE_DL && pa != LVN_PHASE_NC ? 2.5 : 0.0)
                       : -SAME_PHASE_AGAIN;
  }
  double z = 0.0;
  if (pa == LVN_PHASE_ART && pb == LVN_PHASE_PV) {
    z = (gap - 36.0) / 11.0;
  } else if (pa == LVN_PHASE_PV && pb == LVN_PHASE_DL) {
    z = (log(fmax(gap, 1.0)) - log(170.0)) / 0.5;
  } else if (pa == LVN_PHASE_ART && pb == LVN_PHASE_DL) {
    z = (log(fmax(gap, 1.0)) - log(205.0)) / 0.45;
  } else if (gap < 20.0) { /* from without contrast to any phase: at least the injection and the way to the liver */
    z = 2.5;
  }
  return -0.5 * fmin(z * z, 12.0);
}

/* Assignments to the first acquisitions, one row each, of which the best are kept. */
struct rows {
  size_t acquisitions;
  size_t count;
  double *score;
  uint8_t *phase;
  double *next_score;
  uint8_t *next_phase;
  size_t *rank;
  size_t *by_time; /* acquisitions, those without a time last */
};

static void rows_clear(struct rows *rows) {
  lvn_free(rows->score);
  lvn_free(rows->phase);
  lvn_free(rows->next_score);
  lvn_free(rows->next_phase);
  lvn_free(rows->rank);
  lvn_free(rows->by_time);
}

static bool rows_make(size_t acquisitions, struct rows *rows, struct lvn_error *err) {
  rows->acquisitions = acquisitions;
  rows->count = 1;
  return (rows->score = lvn_alloc(ROWS_MAX, sizeof *rows->score, err)) != NULL &&
         (rows->phase = lvn_alloc(ROWS_MAX, acquisitions, err)) != NULL &&
         (rows->next_score = lvn_alloc(ROWS_MAX, sizeof *rows->next_score, err)) != NULL &&
         (rows->next_phase = lvn_alloc(ROWS_MAX, acquisitions, err)) != NULL &&
         (rows->rank = lvn_alloc(ROWS_MAX, sizeof *rows->rank, err)) != NULL &&
         (rows->by_time = lvn_alloc(acquisitions, sizeof *rows->by_time, err)) != NULL;
}

static int by_score(const void *left, const void *right, void *scores) {
  double a = ((const double *)scores)[*(const size_t *)left];
  double b = ((const double *)scores)[*(const size_t *)right];
  return a > b ? -1 : (a < b ? 1 : 0);
}

static int by_seconds(const void *left, const void *right, void *groups) {
  size_t i = *(const size_t *)left;
  size_t j = *(const size_t *)right;
  double a = ((const struct lvn_phase_group *)groups)[i].seconds;
  double b = ((const struct lvn_phase_group *)groups)[j].seconds;
  if (isnan(a) || isnan(b) || !(a < b || b < a)) {
    return isnan(a) && !isnan(b) ? 1 : (isnan(b) && !isnan(a) ? -1 : (i < j ? -1 : 1));
  }
  return a < b ? -1 : 1;
}

/* The best KEPT_MAX rows stay. */
static void prune(struct rows *rows) {
  if (rows->count <= KEPT_MAX) {
    return;
  }
  for (size_t r = 0; r < rows->count; r++) {
    rows->rank[r] = r;
  }
  qsort_r(rows->rank, rows->count, sizeof *rows->rank, by_score, rows->score);
  rows->count = KEPT_MAX;
  for (size_t r = 0; r < rows->count; r++) {
    rows->next_score[r] = rows->score[rows->rank[r]];
    memcpy(rows->next_phase + r * rows->acquisitions, rows->phase + rows->rank[r] * rows->acquisitions,
           rows->acquisitions);
  }
  memcpy(rows->score, rows->next_score, rows->count * sizeof *rows->score);
  memcpy(rows->phase, rows->next_phase, rows->count * rows->acquisitions);
}

/* Every row with every phase for acquisition `depth` in time. */
static void extend(struct rows *rows, const struct lvn_phase_group *groups, size_t depth) {
  const struct lvn_phase_group *group = &groups[rows->by_time[depth]];
  double gap[LVN_PHASE_COUNT][LVN_PHASE_COUNT];
  for (size_t r = 0; r < rows->count; r++) {
    for (int p = 0; p < LVN_PHASE_COUNT; p++) {
      size_t next = r * LVN_PHASE_COUNT + (size_t)p;
      uint8_t *phase = rows->next_phase + next * rows->acquisitions;
      memcpy(phase, rows->phase + r * rows->acquisitions, depth);
      phase[depth] = (uint8_t)p;
      rows->next_score[next] = rows->score[r] + group->weight[p];
    }
  }
  for (size_t before = 0; before < depth; before++) {
    for (int p = 0; p < LVN_PHASE_COUNT * LVN_PHASE_COUNT; p++) {
      gap[p / LVN_PHASE_COUNT][p % LVN_PHASE_COUNT] =
          gap_score(&groups[rows->by_time[before]], (enum lvn_phase)(p / LVN_PHASE_COUNT), group,
                    (enum lvn_phase)(p % LVN_PHASE_COUNT));
    }
    for (size_t next = 0; next < rows->count * LVN_PHASE_COUNT; next++) {
      const uint8_t *phase = rows->next_phase + next * rows->acquisitions;
      rows->next_score[next] += gap[phase[before]][phase[depth]];
    }
  }
  rows->count *= LVN_PHASE_COUNT;
  memcpy(rows->score, rows->next_score, rows->count * sizeof *rows->score);
  memcpy(rows->phase, rows->next_phase, rows->count * rows->acquisitions);
}

bool lvn_phase_judge_order(const struct lvn_phase_group *groups, size_t count,
                           double (*ret_probability)[LVN_PHASE_COUNT], struct lvn_error *err) {
  LVN_CLEANUP(rows_clear) struct rows rows = {0};
  double best = -HUGE_VAL;
  double sum = 0.0;
  if (!rows_make(count, &rows, err)) {
    return false;
  }
  for (size_t g = 0; g < count; g++) {
    rows.by_time[g] = g;
  }
  qsort_r(rows.by_time, count, sizeof *rows.by_time, by_seconds, (void *)(uintptr_t)groups);
  for (size_t depth = 0; depth < count; depth++) {
    prune(&rows);
    extend(&rows, groups, depth);
  }
  for (size_t r = 0; r < rows.count; r++) {
    best = fmax(best, rows.score[r]);
  }
  memset(ret_probability, 0, count * sizeof *ret_probability);
  for (size_t r = 0; r < rows.count; r++) {
    double share = exp(rows.score[r] - best);
    sum += share;
    for (size_t g = 0; g < count; g++) {
      ret_probability[rows.by_time[g]][rows.phase[r * count + g]] += share;
    }
  }
  for (size_t g = 0; g < count; g++) {
    for (int p = 0; p < LVN_PHASE_COUNT; p++) {
      ret_probability[g][p] /= sum;
    }
  }
  return true;
}
