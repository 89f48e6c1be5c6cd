#include "analysis/illustrate.h"

#include "analysis/capture.h"
#include "base/clock.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const char *const phase_titles[LVN_PHASE_NETWORK_COUNT] = {"Non-contrast", "Arterial", "Portal venous"};

static void describe_phase(const struct lvn_findings *findings, const struct lvn_findings_lesion *lesion, int phase,
                           char text[160]) {
  const struct lvn_findings_lesion_phase *shown = &lesion->phases[phase];
  const struct lvn_findings_alignment *alignment = &shown->alignment;
  const double *d = alignment->displacement_mm;
  int series_number = findings->series[shown->series].series_number;
  if (shown->is_reference) {
    const struct lvn_findings_image *image = &lvn_findings_key(lesion)->drawn;
    bool is_frame = image->frame_number > 0;
    (void)snprintf(text, 160, "series %d, %s %d, ROI drawn here", series_number, is_frame ? "frame" : "image",
                   is_frame ? (int)image->frame_number : image->instance_number);
  } else if (!alignment->is_usable) {
    (void)snprintf(text, 160, "series %d, NOT ALIGNED: %.100s", series_number, alignment->reason);
  } else if (isfinite(alignment->estimated_error_mm)) {
    (void)snprintf(text, 160, "series %d, shifted %.1f mm, est. error %.1f mm", series_number,
                   sqrt(d[0] * d[0] + d[1] * d[1] + d[2] * d[2]), alignment->estimated_error_mm);
  } else {
    (void)snprintf(text, 160, "series %d, not aligned", series_number);
  }
}

static bool illustrate(const struct lvn_crop *crop, const struct lvn_classifier_info *info,
                       const struct lvn_findings *findings, size_t index, struct lvn_picture *ret_capture,
                       struct lvn_error *err) {
  const struct lvn_findings_lesion *lesion = &findings->lesions[index];
  const struct lvn_findings_prediction *prediction = &lesion->prediction;
  const struct lvn_grid *grid = findings->series[lesion->series].grid;
  const struct lvn_crop_slice *key = &crop->slices[crop->key_slice];
  char details[LVN_PHASE_NETWORK_COUNT][160];
  char label[48];
  char size[80];
  struct lvn_capture_request request = {.mask = key->mask,
                                        .heat = lesion->heat,
                                        .sample_spacing_mm = crop->sample_spacing_mm,
                                        .window_low_hu = info->window_low_hu,
                                        .window_high_hu = info->window_high_hu,
                                        .left_edge = lvn_findings_edge(grid->direction[0], true),
                                        .top_edge = lvn_findings_edge(grid->direction[1], true),
                                        .has_probability = prediction->has_probability,
                                        .classes = prediction->classes,
                                        .top_class = prediction->top_class,
                                        .abstained = prediction->abstained,
                                        .abstention_reason =
                                            prediction->abstained ? prediction->abstention_reason : NULL,
                                        .lesion_label = label,
                                        .size_text = size,
                                        .model_name = findings->model.name,
                                        .model_version = findings->model.version,
                                        .trained_on = findings->model.trained_on};
  memcpy(request.probability, prediction->probability, sizeof request.probability);
  (void)snprintf(label, sizeof label, "Lesion %zu of %zu", index + 1, findings->lesion_count);
  (void)snprintf(size, sizeof size, "%.0f x %.0f mm, %.1f ml", lesion->long_axis_mm, lesion->short_axis_mm,
                 lesion->volume_ml);
  for (int phase = 0; phase < LVN_PHASE_NETWORK_COUNT; phase++) {
    describe_phase(findings, lesion, phase, details[phase]);
    request.phases[phase] = (struct lvn_capture_phase){
        .hounsfield =
            crop->phase_present[phase] ? key->hounsfield + (size_t)phase * LVN_CROP_SIDE * LVN_CROP_SIDE : NULL,
        .title = phase_titles[phase],
        .detail = details[phase],
        .is_reference = lesion->phases[phase].is_reference,
        .is_unusable = !lesion->phases[phase].alignment.is_usable};
  }
  return lvn_capture_render(&request, ret_capture, err);
}

bool lvn_illustrate_lesions(const struct lvn_case *study_case, const struct lvn_classifier_info *info,
                            struct lvn_findings *findings, struct lvn_error *err) {
  double since = lvn_clock_monotonic_seconds();
  for (size_t i = 0; i < findings->lesion_count; i++) {
    if (!illustrate(&study_case->lesions[i].crop, info, findings, i, &findings->lesions[i].capture, err)) {
      return lvn_error_prefix(err, "secondary capture of lesion %zu", i + 1);
    }
  }
  findings->timings.render = lvn_clock_monotonic_seconds() - since;
  return true;
}
