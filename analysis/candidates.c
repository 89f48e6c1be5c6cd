#include "analysis/candidates.h"

#include "analysis/values.h"
#include "base/memory.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A volume above this is not a liver CT (512 x 512 x 1000). */
#define STACK_VOXELS_MAX (512ULL * 512ULL * 1000ULL)
/* Of all that are decoded at one time, 2 bytes each: four phases of the above and something over. */
#define VOXELS_MAX (1200ULL * 1000ULL * 1000ULL)
#define ONE_SCAN_SECONDS 2.0
#define PHASE_MIN_SLICES 3 /* fewer are a capture */
#define NAMED_MAX 4

static unsigned long long voxels_of(const struct lvn_stack *stack) {
  return (unsigned long long)stack->grid.size[0] * stack->grid.size[1] * stack->grid.size[2];
}

bool lvn_candidates_collect(struct lvn_case *study_case, struct lvn_error *err) {
  size_t found = lvn_study_get_stack_count(study_case->study);
  if (found == 0) {
    return true;
  }
  study_case->stacks = lvn_alloc(found, sizeof *study_case->stacks, err);
  if (study_case->stacks == NULL) {
    return false;
  }
  study_case->stack_count = found;
  for (size_t i = 0; i < found; i++) {
    struct lvn_case_stack *entry = &study_case->stacks[i];
    entry->stack = lvn_study_get_stack(study_case->study, i);
    entry->verdict.phase = LVN_PHASE_NONE;
    if (entry->stack->exclusion == LVN_EXCLUSION_NONE && voxels_of(entry->stack) > STACK_VOXELS_MAX) {
      entry->skip = LVN_CASE_SKIP_TOO_LARGE;
    } else if (entry->stack->reserve_reason[0] != '\0') {
      entry->skip = LVN_CASE_SKIP_RESERVE;
    }
  }
  return true;
}

bool lvn_candidates_load_one(struct lvn_case *study_case, size_t index, struct lvn_error *err) {
  struct lvn_case_stack *entry = &study_case->stacks[index];
  const uint32_t *size = entry->stack->grid.size;
  if (entry->loaded) {
    return true;
  }
  if (voxels_of(entry->stack) > STACK_VOXELS_MAX) {
    return lvn_error_set(err, LVN_ERROR_DATA, "series %d is too large: %u x %u x %u voxels",
                         entry->stack->series_number, size[0], size[1], size[2]);
  }
  if (!lvn_study_load_volume(study_case->study, index, &entry->volume, err)) {
    return lvn_error_prefix(err, "series %d", entry->stack->series_number);
  }
  entry->loaded = true;
  return lvn_phase_measure_image(&entry->volume, &entry->image, err);
}

struct rated {
  size_t index;
  double score;
  size_t better; /* stacks of the same scan that rate higher */
};

static bool is_same_scan(const struct lvn_stack *a, const struct lvn_stack *b) {
  if (a->acquisition_seconds >= 0.0 && b->acquisition_seconds >= 0.0) {
    return fabs(lvn_phase_seconds_between(a->acquisition_seconds, b->acquisition_seconds)) < ONE_SCAN_SECONDS;
  }
  return a->acquisition_seconds < 0.0 && b->acquisition_seconds < 0.0 && a->acquisition_number >= 0 &&
         a->acquisition_number == b->acquisition_number && a->temporal_position == b->temporal_position;
}

static bool is_same_pixels(const struct lvn_stack *a, const struct lvn_stack *b) {
  return a->has_pixel_digest && b->has_pixel_digest && memcmp(a->pixel_sha256, b->pixel_sha256, LVN_SHA256_BYTES) == 0;
}

static int compare_rated(const void *a, const void *b) {
  const struct rated *left = a;
  const struct rated *right = b;
  if (left->better != right->better) {
    return left->better < right->better ? -1 : 1;
  }
  if (left->score > right->score || left->score < right->score) {
    return left->score > right->score ? -1 : 1;
  }
  return left->index < right->index ? -1 : 1;
}

/* The best of each scan first, then each scan's second, … so that many reconstructions of one scan crowd out none. */
static void rate(const struct lvn_case *c, struct rated *rated, size_t count) {
  double most_mm = 0.0;
  for (size_t i = 0; i < count; i++) {
    const struct lvn_grid *grid = &c->stacks[rated[i].index].stack->grid;
    most_mm = fmax(most_mm, (double)grid->size[2] * grid->spacing_mm[2]);
  }
  for (size_t i = 0; i < count; i++) {
    const struct lvn_stack *stack = c->stacks[rated[i].index].stack;
    rated[i].score = lvn_phase_rate_stack(stack, most_mm);
    for (size_t j = 0; j < i; j++) {
      rated[i].score -= is_same_pixels(c->stacks[rated[j].index].stack, stack) ? 50.0 : 0.0;
    }
  }
  for (size_t i = 0; i < count; i++) {
    for (size_t j = 0; j < count; j++) {
      bool better = rated[j].score > rated[i].score || (!(rated[j].score < rated[i].score) && j < i);
      rated[i].better +=
          i != j && better && is_same_scan(c->stacks[rated[i].index].stack, c->stacks[rated[j].index].stack) ? 1 : 0;
    }
  }
  qsort(rated, count, sizeof *rated, compare_rated);
}

/* Marks and decodes those of `skip` that fit the limits beside what is marked already. */
static bool load_best(struct lvn_case *c, enum lvn_case_skip skip, size_t *ret_added, struct lvn_error *err) {
  LVN_AUTOFREE struct rated *rated = lvn_alloc(c->stack_count + 1, sizeof *rated, err);
  unsigned long long voxels = 0;
  size_t count = 0;
  size_t marked = 0;
  *ret_added = 0;
  if (rated == NULL) {
    return false;
  }
  for (size_t i = 0; i < c->stack_count; i++) {
    struct lvn_case_stack *entry = &c->stacks[i];
    marked += entry->is_candidate ? 1 : 0;
    voxels += entry->is_candidate ? voxels_of(entry->stack) : 0;
    if (entry->stack->exclusion == LVN_EXCLUSION_NONE && entry->skip == skip) {
      rated[count++] = (struct rated){.index = i};
    }
  }
  rate(c, rated, count);
  for (size_t i = 0; i < count; i++) {
    struct lvn_case_stack *entry = &c->stacks[rated[i].index];
    unsigned long long more = voxels_of(entry->stack);
    if (marked >= LVN_CASE_STACKS_MAX || voxels + more > VOXELS_MAX) {
      entry->skip = skip == LVN_CASE_SKIP_NONE ? LVN_CASE_SKIP_SURPLUS : skip;
      continue;
    }
    entry->is_candidate = true;
    entry->skip = LVN_CASE_SKIP_NONE;
    voxels += more;
    marked++;
    *ret_added += 1;
  }
  for (size_t i = 0; i < c->stack_count; i++) {
    bool is_fresh = c->stacks[i].is_candidate && !c->stacks[i].loaded;
    if (is_fresh && (!lvn_candidates_load_one(c, i, err) || !lvn_values_check(c, i, err))) {
      return false;
    }
  }
  return true;
}

bool lvn_candidates_load(struct lvn_case *study_case, struct lvn_error *err) {
  size_t added = 0;
  return load_best(study_case, LVN_CASE_SKIP_NONE, &added, err);
}

bool lvn_candidates_add_reserves(struct lvn_case *study_case, size_t *ret_added, struct lvn_error *err) {
  return load_best(study_case, LVN_CASE_SKIP_RESERVE, ret_added, err);
}

void lvn_candidates_note_reserves(struct lvn_case *study_case) {
  for (size_t i = 0; i < study_case->stack_count; i++) {
    const struct lvn_stack *stack = study_case->stacks[i].stack;
    struct lvn_phase_verdict *verdict = &study_case->stacks[i].verdict;
    if (!study_case->stacks[i].is_candidate || stack->reserve_reason[0] == '\0') {
      continue;
    }
    size_t at =
        verdict->evidence_count < LVN_PHASE_EVIDENCE_MAX ? verdict->evidence_count++ : LVN_PHASE_EVIDENCE_MAX - 1;
    memset(&verdict->evidence[at], 0, sizeof verdict->evidence[at]);
    (void)snprintf(verdict->evidence[at].text, sizeof verdict->evidence[at].text,
                   "%.90s: looked at since the conventional series do not show every phase", stack->reserve_reason);
  }
}

static bool is_needed(const struct lvn_case *c, size_t index) {
  for (int phase = 0; phase < LVN_PHASE_COUNT; phase++) {
    if (c->phase_stack[phase] == index) {
      return true;
    }
  }
  for (size_t i = 0; i < c->rois.count; i++) {
    if (c->rois.items[i].stack_index == index) {
      return true;
    }
  }
  return false;
}

void lvn_candidates_release(struct lvn_case *study_case) {
  for (size_t i = 0; i < study_case->stack_count; i++) {
    struct lvn_case_stack *entry = &study_case->stacks[i];
    if (entry->loaded && !is_needed(study_case, i)) {
      lvn_volume_clear(&entry->volume);
      entry->loaded = false;
    }
  }
}

const char *lvn_candidates_exclusion(const struct lvn_case_stack *entry) {
  switch (entry->skip) {
  case LVN_CASE_SKIP_SURPLUS:
    return "surplus";
  case LVN_CASE_SKIP_TOO_LARGE:
    return "too large";
  case LVN_CASE_SKIP_RESERVE:
    return entry->stack->exclusion == LVN_EXCLUSION_NONE ? lvn_exclusion_name(LVN_EXCLUSION_SPECTRAL)
                                                         : lvn_exclusion_name(entry->stack->exclusion);
  case LVN_CASE_SKIP_NONE:
    break;
  }
  return lvn_exclusion_name(entry->stack->exclusion);
}

/* Localizers, dose screens and the like are no news to anyone; what is no volume or no HU, lvn_values_say_excluded()
 * says. */
static bool might_be_phase(const struct lvn_case_stack *entry) {
  enum lvn_exclusion exclusion = entry->stack->exclusion;
  return !entry->is_candidate &&
         (exclusion == LVN_EXCLUSION_NONE || exclusion == LVN_EXCLUSION_SPECTRAL ||
          exclusion == LVN_EXCLUSION_PERFUSION ||
          (exclusion == LVN_EXCLUSION_SECONDARY && entry->stack->slice_count >= PHASE_MIN_SLICES));
}

void lvn_candidates_say_excluded(const struct lvn_case *study_case, char status_message[512]) {
  size_t named = 0;
  for (size_t i = 0; i < study_case->stack_count; i++) {
    const struct lvn_case_stack *entry = &study_case->stacks[i];
    size_t used = strlen(status_message);
    if (!might_be_phase(entry)) {
      continue;
    }
    if (named == NAMED_MAX) {
      (void)snprintf(status_message + used, 512 - used, ", …");
      return;
    }
    int length = snprintf(status_message + used, 512 - used, "%sseries %d (%s)", named == 0 ? "; excluded: " : ", ",
                          entry->stack->series_number, lvn_candidates_exclusion(entry));
    if (length < 0 || (size_t)length >= 512 - used) {
      status_message[used] = '\0'; /* no half sentence */
      return;
    }
    named++;
  }
}
