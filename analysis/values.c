#include "analysis/values.h"

#include "base/memory.h"
#include "dicom/read/hounsfield.h"
#include "dicom/read/same_images.h"

#include <stdio.h>
#include <string.h>

/* Fewer slices are a splinter, whose loss nobody need be told of. */
#define PHASE_MIN_SLICES 3
#define NAMED_MAX 2

bool lvn_values_check(struct lvn_case *study_case, size_t stack_index, struct lvn_error *err) {
  struct lvn_case_stack *entry = &study_case->stacks[stack_index];
  char doubt[LVN_HOUNSFIELD_TEXT_BYTES];
  char problem[LVN_TEXT_BYTES];
  if (!lvn_hounsfield_check(&entry->volume, doubt, err)) {
    return false;
  }
  if (doubt[0] != '\0') {
    (void)snprintf(problem, sizeof problem, "has numbers that do not look like HU: %s", doubt);
    lvn_study_exclude(study_case->study, stack_index, LVN_EXCLUSION_NOT_HU, problem);
    lvn_volume_clear(&entry->volume);
    entry->loaded = false;
    entry->is_candidate = false;
  }
  return true;
}

bool lvn_values_find_same(const struct lvn_case *study_case, const size_t *stack_index, size_t count,
                          const struct lvn_stack **ret_same, struct lvn_error *err) {
  LVN_AUTOFREE const struct lvn_volume **volumes = lvn_alloc(count, sizeof *volumes, err);
  LVN_AUTOFREE size_t *first = lvn_alloc(count, sizeof *first, err);
  if (volumes == NULL || first == NULL) {
    return false;
  }
  for (size_t i = 0; i < count; i++) {
    volumes[i] = &study_case->stacks[stack_index[i]].volume;
  }
  if (!lvn_same_images_find(volumes, count, first, err)) {
    return false;
  }
  for (size_t i = 0; i < count; i++) {
    ret_same[i] = first[i] == i ? NULL : study_case->stacks[stack_index[first[i]]].stack;
  }
  return true;
}

void lvn_values_say_excluded(const struct lvn_case *study_case, char ret_text[LVN_TEXT_BYTES]) {
  size_t named = 0;
  ret_text[0] = '\0';
  for (size_t i = 0; i < study_case->stack_count && named < NAMED_MAX; i++) {
    const struct lvn_stack *stack = study_case->stacks[i].stack;
    bool is_hu = stack->exclusion != LVN_EXCLUSION_NOT_HU;
    size_t used = strlen(ret_text);
    if ((is_hu && stack->exclusion != LVN_EXCLUSION_GEOMETRY) || stack->slice_count < PHASE_MIN_SLICES) {
      continue;
    }
    /* what is no HU reads "series 2 has …", what is no volume "series 2: …" */
    int length = snprintf(ret_text + used, LVN_TEXT_BYTES - used, "%sseries %d%s %s", named > 0 ? "; " : "",
                          stack->series_number, is_hu ? ":" : "", stack->geometry_problem);
    if (named > 0 && (length < 0 || (size_t)length >= LVN_TEXT_BYTES - used)) {
      ret_text[used] = '\0'; /* no half of a sentence */
      return;
    }
    named++;
  }
}
