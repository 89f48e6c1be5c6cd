#include "analysis/outcome.h"

#include "analysis/capture.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const char *const phase_titles[LVN_PHASE_NETWORK_COUNT] = {"Non-contrast", "Arterial", "Portal venous"};

char lvn_outcome_edge(const double direction[3], bool opposite) {
  static const char letters[3][2] = {{'L', 'R'}, {'P', 'A'}, {'H', 'F'}};
  int axis = 0;
  for (int i = 1; i < 3; i++) {
    axis = fabs(direction[i]) > fabs(direction[axis]) ? i : axis;
  }
  return letters[axis][(direction[axis] < 0.0) != opposite];
}

static void describe_phase(const struct lvn_case *c, const struct lvn_case_lesion *lesion, int phase, char text[160]) {
  const struct lvn_stack *stack = c->stacks[lesion->stack_index[phase]].stack;
  const struct lvn_registration_quality *q = &lesion->quality[phase];
  const double *d = q->displacement_mm;
  if (lesion->is_reference[phase]) {
    const struct lvn_slice *slice = &stack->slices[lesion->crop.slices[lesion->crop.key_slice].fixed_slice_index];
    bool is_frame = slice->frame_number > 0;
    (void)snprintf(text, 160, "series %d, %s %d, ROI drawn here", stack->series_number, is_frame ? "frame" : "image",
                   is_frame ? (int)slice->frame_number : slice->instance_number);
  } else if (!q->usable) {
    (void)snprintf(text, 160, "series %d, NOT ALIGNED: %.100s", stack->series_number, q->reason);
  } else if (isfinite(q->estimated_error_mm)) {
    (void)snprintf(text, 160, "series %d, shifted %.1f mm, est. error %.1f mm", stack->series_number,
                   sqrt(d[0] * d[0] + d[1] * d[1] + d[2] * d[2]), q->estimated_error_mm);
  } else {
    (void)snprintf(text, 160, "series %d, not aligned", stack->series_number);
  }
}

bool lvn_outcome_render(const struct lvn_case *study_case, size_t lesion_index, struct lvn_lesion_outcome *outcome,
                        const struct lvn_classifier_info *info, struct lvn_error *err) {
  const struct lvn_case_lesion *lesion = &study_case->lesions[lesion_index];
  const struct lvn_crop_slice *key = &lesion->crop.slices[lesion->crop.key_slice];
  const struct lvn_prediction *prediction = &outcome->prediction;
  char details[LVN_PHASE_NETWORK_COUNT][160];
  char label[48];
  char size[80];
  struct lvn_capture_request request = {
      .mask = key->mask,
      .heat = outcome->has_probability ? prediction->heat[prediction->top_class] : NULL,
      .sample_spacing_mm = lesion->crop.sample_spacing_mm,
      .window_low_hu = info->window_low_hu,
      .window_high_hu = info->window_high_hu,
      .left_edge = lvn_outcome_edge(lesion->roi->mask.grid.direction[0], true),
      .top_edge = lvn_outcome_edge(lesion->roi->mask.grid.direction[1], true),
      .has_probability = outcome->has_probability,
      .top_class = prediction->top_class,
      .abstained = prediction->abstained,
      .abstention_reason = prediction->abstained ? prediction->abstention_reason : NULL,
      .lesion_label = label,
      .size_text = size,
      .model_name = info->name,
      .model_version = info->version,
      .trained_on = info->trained_on};
  memcpy(request.probability, prediction->probability, sizeof request.probability);
  (void)snprintf(label, sizeof label, "Lesion %zu of %zu", lesion_index + 1, study_case->lesion_count);
  (void)snprintf(size, sizeof size, "%.0f x %.0f mm, %.1f ml", lesion->long_axis_mm, lesion->short_axis_mm,
                 lesion->volume_ml);
  for (int phase = 0; phase < LVN_PHASE_NETWORK_COUNT; phase++) {
    describe_phase(study_case, lesion, phase, details[phase]);
    request.phases[phase] = (struct lvn_capture_phase){
        .hounsfield =
            lesion->crop.phase_present[phase] ? key->hounsfield + (size_t)phase * LVN_CROP_SIDE * LVN_CROP_SIDE : NULL,
        .title = phase_titles[phase],
        .detail = details[phase],
        .is_reference = lesion->is_reference[phase],
        .is_unusable = !lesion->quality[phase].usable};
  }
  return lvn_capture_render(&request, &outcome->capture, err);
}
