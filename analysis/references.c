#include "analysis/references.h"

#include "base/memory.h"

#include <math.h>
#include <string.h>

#define REFERENCES_MAX 20000U

struct lvn_result_reference lvn_reference_of(const struct lvn_stack *stack, size_t slice) {
  const struct lvn_slice *image = &stack->slices[slice < stack->slice_count ? slice : stack->slice_count - 1];
  return (struct lvn_result_reference){.sop_class_uid = image->sop_class_uid,
                                       .sop_instance_uid = image->sop_instance_uid,
                                       .series_instance_uid = stack->series_instance_uid,
                                       .frame_number = image->frame_number};
}

size_t lvn_reference_slice(const struct lvn_case *study_case, const struct lvn_case_lesion *lesion, int phase,
                           uint32_t fixed_slice) {
  const struct lvn_grid *fixed = &lesion->roi->mask.grid;
  const struct lvn_stack *stack = study_case->stacks[lesion->stack_index[phase]].stack;
  double index[3];
  double fixed_mm[3];
  double moving_mm[3];
  lvn_grid_to_index(fixed, lesion->centroid_mm, index);
  index[2] = fixed_slice;
  lvn_grid_to_patient(fixed, index, fixed_mm);
  lvn_transform_map(lesion->registration[phase], fixed_mm, moving_mm);
  lvn_grid_to_index(&stack->grid, moving_mm, index);
  double nearest = round(index[2]);
  if (!(nearest > 0.0)) {
    return 0;
  }
  return nearest >= (double)stack->slice_count ? stack->slice_count - 1 : (size_t)nearest;
}

static bool is_same_image(const struct lvn_result_reference *left, const struct lvn_result_reference *right) {
  return left->frame_number == right->frame_number && strcmp(left->sop_instance_uid, right->sop_instance_uid) == 0;
}

static bool set_add(struct lvn_reference_set *set, size_t *capacity, const struct lvn_result_reference *reference,
                    struct lvn_error *err) {
  for (size_t i = 0; i < set->count; i++) {
    if (is_same_image(&set->items[i], reference)) {
      return true;
    }
  }
  if (!lvn_grow(&set->items, capacity, set->count, sizeof *set->items, REFERENCES_MAX, err)) {
    return false;
  }
  set->items[set->count++] = *reference;
  return true;
}

bool lvn_reference_set_collect(const struct lvn_case *study_case, struct lvn_reference_set *ret_set,
                               struct lvn_error *err) {
  struct lvn_reference_set set = {0};
  size_t capacity = 0;
  bool good = true;
  for (size_t i = 0; i < study_case->lesion_count; i++) {
    const struct lvn_case_lesion *lesion = &study_case->lesions[i];
    for (size_t s = 0; s < lesion->crop.slice_count; s++) {
      uint32_t fixed_slice = lesion->crop.slices[s].fixed_slice_index;
      struct lvn_result_reference drawn =
          lvn_reference_of(study_case->stacks[lesion->roi->stack_index].stack, fixed_slice);
      good = good && set_add(&set, &capacity, &drawn, err);
      for (int phase = 0; good && phase < LVN_PHASE_NETWORK_COUNT; phase++) {
        const struct lvn_stack *stack = study_case->stacks[lesion->stack_index[phase]].stack;
        struct lvn_result_reference shown =
            lvn_reference_of(stack, lvn_reference_slice(study_case, lesion, phase, fixed_slice));
        good = set_add(&set, &capacity, &shown, err);
      }
    }
  }
  if (!good) {
    lvn_reference_set_clear(&set);
    return false;
  }
  *ret_set = set;
  return true;
}

void lvn_reference_set_clear(struct lvn_reference_set *set) {
  lvn_free(set->items);
  *set = (struct lvn_reference_set){0};
}
