#include "analysis/case.h"

#include "analysis/candidates.h"
#include "analysis/measure.h"
#include "analysis/values.h"
#include "base/clock.h"
#include "base/memory.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

void lvn_case_options_default(struct lvn_case_options *ret_options) {
  *ret_options = (struct lvn_case_options){.align = true};
  lvn_crop_options_default(&ret_options->crop);
  lvn_registration_options_default(&ret_options->registration);
}

static double lap(double *since) {
  double now = lvn_clock_monotonic_seconds();
  double seconds = now - *since;
  *since = now;
  return seconds;
}

/* An unreadable or mixed study is the study's fault: REFUSED with the reason; everything else is ours. */
static bool refuse_or_fail(struct lvn_error *err, enum lvn_analysis_outcome *ret_outcome, char ret_message[512]) {
  if (err->code != LVN_ERROR_DATA && err->code != LVN_ERROR_CONFLICT) {
    return false;
  }
  *ret_outcome = LVN_ANALYSIS_REFUSED;
  (void)lvn_copy(ret_message, 512, err->message);
  return true;
}

/* One patient, one aorta: the series of one frame of reference agree on where it is. */
static bool agree_on_aorta(struct lvn_case *c, const size_t *index_of, size_t count, struct lvn_error *err) {
  const struct lvn_volume *volumes[LVN_CASE_STACKS_MAX];
  struct lvn_phase_image images[LVN_CASE_STACKS_MAX];
  size_t member[LVN_CASE_STACKS_MAX];
  size_t members = 0;
  for (size_t i = 0; i < count; i++) {
    struct lvn_case_stack *entry = &c->stacks[index_of[i]];
    if (strcmp(entry->stack->frame_of_reference_uid, c->stacks[index_of[0]].stack->frame_of_reference_uid) == 0) {
      volumes[members] = &entry->volume;
      images[members] = entry->image;
      member[members++] = index_of[i];
    }
  }
  if (!lvn_phase_agree_on_aorta(volumes, images, members, err)) {
    return false;
  }
  for (size_t i = 0; i < members; i++) {
    c->stacks[member[i]].image = images[i];
  }
  return true;
}

static bool recognise_phases(struct lvn_case *c, char ret_message[512], struct lvn_error *err) {
  struct lvn_phase_candidate candidates[LVN_CASE_STACKS_MAX];
  struct lvn_phase_verdict verdicts[LVN_CASE_STACKS_MAX];
  size_t index_of[LVN_CASE_STACKS_MAX];
  const struct lvn_stack *same[LVN_CASE_STACKS_MAX];
  char status_message[LVN_TEXT_BYTES] = "";
  char excluded[LVN_TEXT_BYTES];
  size_t count = 0;
  lvn_values_say_excluded(c, excluded);
  for (size_t i = 0; i < c->stack_count; i++) {
    if (c->stacks[i].is_candidate) {
      index_of[count] = i;
      candidates[count++] = (struct lvn_phase_candidate){.stack = c->stacks[i].stack, .image = &c->stacks[i].image};
    }
  }
  if (count == 0) {
    (void)snprintf(ret_message, 512, "waiting for CT series: none of the study's series can be a contrast phase%s%s",
                   excluded[0] == '\0' ? "" : ": ", excluded);
    return true;
  }
  if (!lvn_values_find_same(c, index_of, count, same, err) || !agree_on_aorta(c, index_of, count, err)) {
    return false;
  }
  for (size_t i = 0; i < count; i++) {
    candidates[i].same_images_as = same[i];
  }
  if (!lvn_phase_recognise(candidates, count, excluded, verdicts, status_message, err)) {
    return false;
  }
  for (size_t i = 0; i < count; i++) {
    c->stacks[index_of[i]].verdict = verdicts[i];
    if (verdicts[i].chosen && verdicts[i].phase != LVN_PHASE_NONE) {
      c->phase_stack[verdicts[i].phase] = index_of[i];
    }
  }
  (void)lvn_copy(ret_message, 512, status_message);
  return true;
}

/* Which stack serves a phase for this ROI: the ROI's own when it shows that phase, else the chosen one. */
static size_t stack_for(const struct lvn_case *c, size_t roi_stack, enum lvn_phase phase) {
  return c->stacks[roi_stack].verdict.phase == phase ? roi_stack : c->phase_stack[phase];
}

static bool same_frame_of_reference(const struct lvn_stack *left, const struct lvn_stack *right) {
  return strcmp(left->frame_of_reference_uid, right->frame_of_reference_uid) == 0;
}

static bool align_phase(const struct lvn_case *c, struct lvn_case_lesion *lesion, int phase,
                        const struct lvn_case_options *options, struct lvn_error *err) {
  size_t fixed = lesion->roi->stack_index;
  size_t moving = lesion->stack_index[phase];
  struct lvn_registration_quality *quality = &lesion->quality[phase];
  lesion->is_reference[phase] = moving == fixed;
  if (moving == fixed || !options->align) {
    *quality = (struct lvn_registration_quality){.usable = true,
                                                 .similarity = moving == fixed ? 1.0 : (double)NAN,
                                                 .similarity_before = moving == fixed ? 1.0 : (double)NAN,
                                                 .estimated_error_mm = moving == fixed ? 0.0 : (double)NAN,
                                                 .model = "identity"};
    if (!lvn_transform_identity(&lesion->registration[phase], err)) {
      return false;
    }
  } else if (!lvn_registration_run(&c->stacks[fixed].volume, &lesion->roi->mask, &c->stacks[moving].volume,
                                   &options->registration, &lesion->registration[phase], quality, err)) {
    return lvn_error_prefix(err, "aligning the %s phase", lvn_phase_long_name((enum lvn_phase)phase));
  }
  return lvn_registration_propagate(lesion->registration[phase], &lesion->roi->mask, &c->stacks[moving].volume.grid,
                                    &lesion->propagated[phase], err);
}

static bool align_lesion(const struct lvn_case *c, struct lvn_case_lesion *lesion,
                         const struct lvn_case_options *options, struct lvn_error *err) {
  size_t fixed = lesion->roi->stack_index;
  for (int phase = 0; phase < LVN_PHASE_NETWORK_COUNT; phase++) {
    size_t moving = stack_for(c, fixed, (enum lvn_phase)phase);
    lesion->stack_index[phase] = moving;
    if (!same_frame_of_reference(c->stacks[fixed].stack, c->stacks[moving].stack)) {
      return lvn_error_set(err, LVN_ERROR_CONFLICT,
                           "the %s series %d has another frame of reference than series %d with the ROI",
                           lvn_phase_long_name((enum lvn_phase)phase), c->stacks[moving].stack->series_number,
                           c->stacks[fixed].stack->series_number);
    }
    if (!align_phase(c, lesion, phase, options, err)) {
      return false;
    }
  }
  return true;
}

/* A lesion is none the worse without it: where it is missing, lies in another frame of reference or cannot be aligned,
 * the crop has the network's phases alone. */
static bool add_delayed(const struct lvn_case *c, struct lvn_case_lesion *lesion,
                        const struct lvn_case_options *options, struct lvn_error *err) {
  size_t fixed = lesion->roi->stack_index;
  size_t moving = stack_for(c, fixed, LVN_PHASE_DL);
  lesion->stack_index[LVN_PHASE_DL] = moving;
  if (moving == SIZE_MAX || !same_frame_of_reference(c->stacks[fixed].stack, c->stacks[moving].stack)) {
    return true;
  }
  if (!align_phase(c, lesion, LVN_PHASE_DL, options, err)) {
    return false;
  }
  const struct lvn_crop_phase phase = {.volume = &c->stacks[moving].volume,
                                       .from_fixed = lesion->registration[LVN_PHASE_DL]};
  return !lesion->quality[LVN_PHASE_DL].usable ||
         lvn_crop_add_delayed(&lesion->roi->mask.grid, &phase, &lesion->crop, err);
}

bool lvn_case_crop(const struct lvn_case *study_case, size_t lesion_index, const struct lvn_crop_options *options,
                   struct lvn_crop *ret_crop, struct lvn_error *err) {
  const struct lvn_case_lesion *lesion = &study_case->lesions[lesion_index];
  struct lvn_crop_phase phases[LVN_PHASE_NETWORK_COUNT];
  for (int phase = 0; phase < LVN_PHASE_NETWORK_COUNT; phase++) {
    phases[phase] = (struct lvn_crop_phase){.volume = &study_case->stacks[lesion->stack_index[phase]].volume,
                                            .from_fixed = lesion->registration[phase]};
  }
  return lvn_crop_make(&lesion->roi->mask.grid, &lesion->roi->mask, phases, options, ret_crop, err);
}

/* Results refer to pixels of the images that were received. Where the volume was resampled (gantry tilt), the grid's
 * pixels are not the images' pixels, and an outline drawn with them would lie beside the lesion. */
static bool check_pixels_are_voxels(const struct lvn_stack *stack, struct lvn_error *err) {
  for (uint32_t k = 0; k < stack->grid.size[2] && k < stack->slice_count; k++) {
    const double index[3] = {0.0, 0.0, k};
    double corner_mm[3];
    lvn_grid_to_patient(&stack->grid, index, corner_mm);
    for (int xyz = 0; xyz < 3; xyz++) {
      if (!(fabs(corner_mm[xyz] - stack->slices[k].position_mm[xyz]) < 0.5 * stack->grid.spacing_mm[0])) {
        return lvn_error_set(err, LVN_ERROR_DATA,
                             "series %d was resampled (%s), so a ROI on it cannot be shown on its own images",
                             stack->series_number, stack->geometry_note);
      }
    }
  }
  return true;
}

static bool prepare_lesions(struct lvn_case *c, const struct lvn_case_options *options, struct lvn_error *err) {
  double since = lvn_clock_monotonic_seconds();
  c->lesions = lvn_alloc(c->rois.count, sizeof *c->lesions, err);
  if (c->lesions == NULL) {
    return false;
  }
  for (size_t i = 0; i < c->rois.count; i++) {
    struct lvn_case_lesion *lesion = &c->lesions[i];
    lesion->roi = &c->rois.items[i];
    c->lesion_count = i + 1; /* counted first, so that clearing frees a half-made lesion */
    lvn_measure_lesion(&lesion->roi->mask, &lesion->measure);
    if (!check_pixels_are_voxels(c->stacks[lesion->roi->stack_index].stack, err) ||
        !lvn_candidates_load_one(c, lesion->roi->stack_index, err) || !align_lesion(c, lesion, options, err)) {
      return lvn_error_prefix(err, "lesion %zu", i + 1);
    }
    c->timings.registration += lap(&since);
    if (!lvn_case_crop(c, i, &options->crop, &lesion->crop, err) ||
        (options->delayed && !add_delayed(c, lesion, options, err))) {
      return lvn_error_prefix(err, "lesion %zu", i + 1);
    }
    lvn_measure_mean_hu(&lesion->crop, lesion->mean_hu);
    if (!lvn_measure_liver_hu(&lesion->crop, lesion->liver_hu, err)) {
      return lvn_error_prefix(err, "lesion %zu", i + 1);
    }
    c->timings.crop += lap(&since);
  }
  return true;
}

static void append_note(char *text, size_t text_bytes, const char *note) {
  size_t used = strlen(text);
  if (note[0] != '\0') {
    (void)snprintf(text + used, text_bytes - used, "%s%s", used > 0 ? "; " : "", note);
  }
}

/* An image that cannot be read may be why a phase is missing or a series makes no volume. */
static void say_what_is_unreadable(const struct lvn_case *c, enum lvn_analysis_outcome outcome,
                                   char status_message[512]) {
  if (c->study != NULL && outcome != LVN_ANALYSIS_DONE &&
      strstr(status_message, lvn_study_get_unreadable(c->study)) == NULL) {
    append_note(status_message, 512, lvn_study_get_unreadable(c->study));
  }
}

/* The first network phase without a stack, or LVN_PHASE_NONE. */
static enum lvn_phase missing_phase(const struct lvn_case *c) {
  for (int phase = 0; phase < LVN_PHASE_NETWORK_COUNT; phase++) {
    if (c->phase_stack[phase] == SIZE_MAX) {
      return (enum lvn_phase)phase;
    }
  }
  return LVN_PHASE_NONE;
}

/* Images that look like conventional ones stand in where a phase has no conventional one. */
static bool try_reserves(struct lvn_case *c, char ret_message[512], struct lvn_error *err) {
  size_t added = 0;
  if (missing_phase(c) == LVN_PHASE_NONE) {
    return true;
  }
  if (!lvn_candidates_add_reserves(c, &added, err) || (added > 0 && !recognise_phases(c, ret_message, err))) {
    return false;
  }
  lvn_candidates_note_reserves(c);
  return true;
}

static bool read_and_choose(const char *const *paths, size_t path_count, struct lvn_case *c, char ret_message[512],
                            struct lvn_error *err) {
  double since = lvn_clock_monotonic_seconds();
  if (!lvn_study_open(paths, path_count, &c->study, err) || !lvn_candidates_collect(c, err)) {
    return false;
  }
  c->timings.read = lap(&since);
  if (!lvn_candidates_load(c, err)) {
    return false;
  }
  c->timings.decode = lap(&since);
  if (!recognise_phases(c, ret_message, err) || !try_reserves(c, ret_message, err)) {
    return false;
  }
  c->timings.phase = lap(&since);
  if (!lvn_roi_read_all(c->study, &c->rois, c->roi_note, err)) {
    return false;
  }
  append_note(c->roi_note, sizeof c->roi_note, lvn_study_get_unreadable(c->study));
  lvn_candidates_release(c);
  c->timings.roi = lap(&since);
  return true;
}

static void say_what_is_missing(const struct lvn_case *c, char status_message[512]) {
  enum lvn_phase missing = missing_phase(c);
  if (missing != LVN_PHASE_NONE && status_message[0] == '\0') {
    (void)snprintf(status_message, 512, "waiting for the %s phase", lvn_phase_long_name(missing));
  }
  size_t used = strlen(status_message);
  if (c->rois.waiting[0] != '\0') {
    (void)snprintf(status_message + used, 512 - used, "%s%s", used > 0 ? "; and " : "waiting ", c->rois.waiting);
  } else if (c->rois.count > 0) {
    return;
  } else if (used > 0) {
    (void)snprintf(status_message + used, 512 - used, "; and for a ROI");
  } else {
    (void)snprintf(status_message, 512, "waiting for a ROI (RTSTRUCT, SEG or measurement SR) on one of the phases%s%s",
                   c->roi_note[0] == '\0' ? "" : ": ", c->roi_note);
  }
}

static bool open_case(const char *const *paths, size_t path_count, const struct lvn_case_options *options,
                      struct lvn_case *ret_case, enum lvn_analysis_outcome *ret_outcome, char ret_message[512],
                      struct lvn_error *err) {
  *ret_case = (struct lvn_case){0};
  for (int phase = 0; phase < LVN_PHASE_COUNT; phase++) {
    ret_case->phase_stack[phase] = SIZE_MAX;
  }
  ret_message[0] = '\0';
  *ret_outcome = LVN_ANALYSIS_DONE;
  if (!read_and_choose(paths, path_count, ret_case, ret_message, err)) {
    return refuse_or_fail(err, ret_outcome, ret_message);
  }
  if (missing_phase(ret_case) != LVN_PHASE_NONE || ret_case->rois.count == 0 || ret_case->rois.waiting[0] != '\0') {
    *ret_outcome = LVN_ANALYSIS_WAITING;
    say_what_is_missing(ret_case, ret_message);
    if (missing_phase(ret_case) != LVN_PHASE_NONE) {
      lvn_candidates_say_excluded(ret_case, ret_message);
    }
    return true;
  }
  ret_message[0] = '\0';
  if (!prepare_lesions(ret_case, options, err)) {
    return refuse_or_fail(err, ret_outcome, ret_message);
  }
  return true;
}

bool lvn_case_open(const char *const *paths, size_t path_count, const struct lvn_case_options *options,
                   struct lvn_case *ret_case, enum lvn_analysis_outcome *ret_outcome, char ret_message[512],
                   struct lvn_error *err) {
  bool good = open_case(paths, path_count, options, ret_case, ret_outcome, ret_message, err);
  if (good) {
    say_what_is_unreadable(ret_case, *ret_outcome, ret_message);
  }
  return good;
}

void lvn_case_clear(struct lvn_case *study_case) {
  for (size_t i = 0; i < study_case->lesion_count; i++) {
    for (int phase = 0; phase < LVN_PHASE_COUNT; phase++) {
      lvn_transform_destroy(study_case->lesions[i].registration[phase]);
      lvn_propagated_mask_clear(&study_case->lesions[i].propagated[phase]);
    }
    lvn_crop_clear(&study_case->lesions[i].crop);
  }
  lvn_free(study_case->lesions);
  lvn_roi_list_clear(&study_case->rois);
  for (size_t i = 0; i < study_case->stack_count; i++) {
    lvn_volume_clear(&study_case->stacks[i].volume);
  }
  lvn_free(study_case->stacks);
  lvn_study_close(study_case->study);
  *study_case = (struct lvn_case){0};
}
