#include "analysis/illustrate.h"

#include "analysis/capture.h"
#include "analysis/findings/words.h"
#include "analysis/overview.h"
#include "base/clock.h"
#include "base/memory.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const char *const phase_titles[LVN_PHASE_COUNT] = {"Non-contrast", "Arterial", "Portal venous", "Delayed"};

/* The texts that a request borrows. */
struct texts {
  char phase[LVN_PHASE_COUNT][LVN_WORDS_BYTES];
  char label[48];
  char size[80];
  char place[128];
  char conformal[LVN_WORDS_BYTES];
  char outlier[LVN_WORDS_BYTES];
  char map[LVN_WORDS_BYTES];
  char small[LVN_WORDS_BYTES];
};

static const char *unless_empty(const char *text) {
  return text[0] != '\0' ? text : NULL;
}

static void describe_place(const struct lvn_findings *findings, const struct lvn_findings_lesion *lesion,
                           char text[128]) {
  const struct lvn_findings_image *image = &lvn_findings_key(lesion)->drawn;
  const struct lvn_findings_series *series = &findings->series[lesion->series];
  const double corner[3] = {0.0, 0.0, (double)image->slice};
  double corner_mm[3];
  bool is_frame = image->frame_number > 0;
  lvn_grid_to_patient(series->grid, corner, corner_mm);
  (void)snprintf(text, 128, "Series %d, %s %d, slice position %.1f mm", series->series_number,
                 is_frame ? "frame" : "image", is_frame ? (int)image->frame_number : image->instance_number,
                 corner_mm[2]);
}

static void fill_texts(const struct lvn_findings *findings, size_t index, struct texts *texts) {
  const struct lvn_findings_lesion *lesion = &findings->lesions[index];
  (void)snprintf(texts->label, sizeof texts->label, "Lesion %zu of %zu", index + 1, findings->lesion_count);
  (void)snprintf(texts->size, sizeof texts->size, "%.0f x %.0f mm, %.1f ml", lesion->long_axis_mm,
                 lesion->short_axis_mm, lesion->volume_ml);
  describe_place(findings, lesion, texts->place);
  lvn_words_conformal(&lesion->prediction, texts->conformal);
  lvn_words_outlier(&lesion->prediction, texts->outlier);
  lvn_words_map(lesion, texts->map);
  lvn_words_small(lesion, texts->small);
  for (int phase = 0; phase < LVN_PHASE_COUNT; phase++) {
    char state[LVN_WORDS_BYTES];
    if (lvn_findings_has_phase(lesion, (enum lvn_phase)phase)) {
      lvn_words_alignment(lesion, (enum lvn_phase)phase, state);
      (void)snprintf(texts->phase[phase], sizeof texts->phase[phase], "series %d, %.220s",
                     findings->series[lesion->phases[phase].series].series_number, state);
    }
  }
}

static void fill_phases(const struct lvn_crop *crop, const struct lvn_findings_lesion *lesion,
                        const struct texts *texts, struct lvn_capture_request *request) {
  const struct lvn_crop_slice *key = &crop->slices[crop->key_slice];
  double plain_hu = lesion->phases[LVN_PHASE_NC].mean_hu;
  for (int phase = 0; phase < LVN_PHASE_COUNT; phase++) {
    const struct lvn_findings_lesion_phase *shown = &lesion->phases[phase];
    bool is_delayed = phase == LVN_PHASE_DL;
    const int16_t *hounsfield = NULL;
    if (is_delayed && !lvn_findings_has_phase(lesion, LVN_PHASE_DL)) {
      continue;
    }
    if (is_delayed ? crop->delayed_present : crop->phase_present[phase]) {
      hounsfield = is_delayed ? key->delayed : key->hounsfield + (size_t)phase * LVN_CROP_SIDE * LVN_CROP_SIDE;
    }
    request->phases[phase] =
        (struct lvn_capture_phase){.hounsfield = hounsfield,
                                   .title = phase_titles[phase],
                                   .detail = texts->phase[phase],
                                   .mean_hu = shown->mean_hu,
                                   .from_plain_hu = phase == LVN_PHASE_NC ? (double)NAN : shown->mean_hu - plain_hu,
                                   .against_liver_hu = shown->mean_hu - shown->liver_hu,
                                   .is_reference = shown->is_reference,
                                   .is_unusable = !shown->alignment.is_usable};
  }
}

/* The slice that the crop was taken from, in the volume that the ROI was drawn on. */
static void fill_locator(const struct lvn_case *study_case, size_t index, const struct texts *texts,
                         struct lvn_capture_locator *ret_locator) {
  const struct lvn_case_lesion *lesion = &study_case->lesions[index];
  const struct lvn_volume *volume = &study_case->stacks[lesion->roi->stack_index].volume;
  const struct lvn_grid *grid = &volume->grid;
  size_t slice = lesion->crop.slices[lesion->crop.key_slice].fixed_slice_index;
  *ret_locator = (struct lvn_capture_locator){.text = texts->place};
  if (volume->hounsfield == NULL || slice >= grid->size[2]) {
    return;
  }
  ret_locator->image = (struct lvn_draw_image){.hounsfield = volume->hounsfield + slice * grid->size[0] * grid->size[1],
                                               .columns = (int)grid->size[0],
                                               .rows = (int)grid->size[1],
                                               .column_mm = grid->spacing_mm[0],
                                               .row_mm = grid->spacing_mm[1]};
  for (int axis = 0; axis < 2; axis++) {
    ret_locator->first[axis] = lesion->measure.first_voxel[axis];
    ret_locator->last[axis] = lesion->measure.last_voxel[axis] + 1.0;
  }
}

static void fill_request(const struct lvn_case *study_case, const struct lvn_classifier_info *info,
                         const struct lvn_findings *findings, size_t index, struct texts *texts,
                         struct lvn_capture_request *ret_request) {
  const struct lvn_crop *crop = &study_case->lesions[index].crop;
  const struct lvn_findings_lesion *lesion = &findings->lesions[index];
  const struct lvn_findings_prediction *prediction = &lesion->prediction;
  const struct lvn_grid *grid = findings->series[lesion->series].grid;
  fill_texts(findings, index, texts);
  *ret_request =
      (struct lvn_capture_request){.mask = crop->slices[crop->key_slice].mask,
                                   .pixel_samples = 1.0 / fmin(crop->step_index[0], crop->step_index[1]),
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
                                   .abstention_reason = prediction->abstained ? prediction->abstention_reason : NULL,
                                   .conformal_text = unless_empty(texts->conformal),
                                   .outlier_text = unless_empty(texts->outlier),
                                   .map_text = unless_empty(texts->map),
                                   .map_is_elsewhere = lvn_findings_map_is_elsewhere(lesion),
                                   .small_text = unless_empty(texts->small),
                                   .lesion_label = texts->label,
                                   .size_text = texts->size,
                                   .model_name = findings->model.name,
                                   .model_version = findings->model.version,
                                   .trained_on = findings->model.trained_on,
                                   .weighs_measurements = findings->model.weighs_measurements};
  memcpy(ret_request->probability, prediction->probability, sizeof ret_request->probability);
  fill_phases(crop, lesion, texts, ret_request);
  fill_locator(study_case, index, texts, &ret_request->locator);
}

bool lvn_illustrate_lesions(const struct lvn_case *study_case, const struct lvn_classifier_info *info,
                            struct lvn_findings *findings, struct lvn_error *err) {
  double since = lvn_clock_monotonic_seconds();
  LVN_AUTOFREE struct texts *texts = lvn_alloc(findings->lesion_count, sizeof *texts, err);
  LVN_AUTOFREE struct lvn_capture_request *requests = lvn_alloc(findings->lesion_count, sizeof *requests, err);
  if (texts == NULL || requests == NULL) {
    return false;
  }
  for (size_t i = 0; i < findings->lesion_count; i++) {
    fill_request(study_case, info, findings, i, &texts[i], &requests[i]);
    if (!lvn_capture_render(&requests[i], &findings->lesions[i].capture, err)) {
      return lvn_error_prefix(err, "secondary capture of lesion %zu", i + 1);
    }
  }
  if (findings->lesion_count >= LVN_OVERVIEW_LESIONS_MIN &&
      !lvn_overview_render(findings, requests, &findings->overview, err)) {
    return lvn_error_prefix(err, "overview");
  }
  findings->timings.render = lvn_clock_monotonic_seconds() - since;
  return true;
}
