#include "model/cohort/phantom_dataset.h"

#include "base/clock.h"
#include "base/memory.h"
#include "model/dataset/dataset.h"
#include "model/image/crop.h"
#include "model/phantom/phantom.h"
#include "model/registration/registration.h"

#include <inttypes.h>
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#define FOLDS 5U
#define THREADS_MAX 64U

struct maker {
  const struct lvn_phantom_dataset_options *options;
  void (*progress)(size_t done, size_t total);
  pthread_mutex_t lock; /* over all that follows */
  struct lvn_dataset_writer *writer;
  size_t next;
  size_t done;
  bool failed;
  struct lvn_error err;
  struct lvn_phantom_dataset_summary summary;
};

struct aligned {
  struct lvn_transform *registration[LVN_PHASE_COUNT]; /* owned, NULL for a phase that is not wanted */
  bool usable;                                         /* all of the network's phases */
  bool delayed_usable;
};

/* SplitMix64 (Steele 2014): independent draws from (seed, which). */
static double draw(uint64_t seed, uint64_t which) {
  uint64_t z = seed * 0x9E3779B97F4A7C15U + which * 0xD1B54A32D192ED03U;
  z = (z ^ (z >> 30U)) * 0xBF58476D1CE4E5B9U;
  z = (z ^ (z >> 27U)) * 0x94D049BB133111EBU;
  return (double)((z ^ (z >> 31U)) >> 11U) * 0x1p-53;
}

/* Half of the phantoms are 256 x 256, a quarter of the work. 5 and 7 mm are the paper's; thinner ones are drawn less
 * often, since they cost in proportion. */
static void choose(const struct lvn_phantom_dataset_options *options, size_t index, struct lvn_phantom_options *phantom,
                   enum lvn_phase *ret_roi_phase) {
  uint64_t seed = options->first_seed + index;
  double thickness = draw(seed, 2);
  double roi = draw(seed, 3);
  lvn_phantom_options_default(phantom);
  phantom->seed = seed;
  for (int phase = 0; phase < LVN_PHASE_COUNT; phase++) {
    phantom->has_phase[phase] = phase < LVN_PHASE_NETWORK_COUNT || options->delayed;
  }
  phantom->matrix = options->matrix != 0 ? options->matrix : draw(seed, 1) < 0.5 ? 256 : 512;
  phantom->slice_thickness_mm = thickness < 0.35 ? 5.0 : thickness < 0.55 ? 7.0 : 2.0 + 5.0 * draw(seed, 4);
  phantom->noise_hu = -1.0;
  phantom->world = options->world;
  phantom->lesion_count = options->lesions_per_phantom;
  for (size_t i = 0; i < phantom->lesion_count; i++) {
    phantom->lesion_class[i] = (enum lvn_class)((index * phantom->lesion_count + i) % LVN_CLASS_PAPER_COUNT);
    phantom->lesion_diameter_mm[i] = 0.0;
    if (options->world.is_wide) {
      lvn_phantom_world_choose(&options->world, draw(seed, 200 + i), &phantom->lesion_class[i],
                               &phantom->lesion_other[i]);
    }
  }
  phantom->slice_thickness_mm = options->world.is_wide ? 0.0 : phantom->slice_thickness_mm;
  *ret_roi_phase = roi < 0.7 ? LVN_PHASE_PV : roi < 0.9 ? LVN_PHASE_ART : LVN_PHASE_NC;
}

/* Box-Muller. */
static double draw_normal(uint64_t seed, uint64_t which) {
  return sqrt(-2.0 * log(1.0 - draw(seed, which))) * cos(6.283185307179586 * draw(seed, which + 1));
}

/* What a good alignment would have found: the lesion's true displacement, give or take. */
static bool align_by_truth(const struct maker *maker, const struct lvn_phantom *phantom, size_t lesion_index,
                           enum lvn_phase roi_phase, enum lvn_phase phase, struct lvn_transform **ret_registration,
                           struct lvn_error *err) {
  const struct lvn_phantom_lesion *lesion = &phantom->lesions[lesion_index];
  double shift_mm[3];
  for (uint64_t axis = 0; axis < 3; axis++) {
    uint64_t which = 1000U + 100U * lesion_index + 10U * (uint64_t)phase + 2U * axis;
    shift_mm[axis] = lesion->displacement_mm[phase][axis] - lesion->displacement_mm[roi_phase][axis] +
                     maker->options->alignment_error_mm * draw_normal(phantom->options.seed, which);
  }
  return lvn_transform_translation(shift_mm, ret_registration, err);
}

static bool align_phase(const struct maker *maker, const struct lvn_phantom *phantom, size_t lesion_index,
                        const struct lvn_mask *mask, enum lvn_phase roi_phase, enum lvn_phase phase,
                        struct lvn_transform **ret_registration, bool *ret_usable, struct lvn_error *err) {
  struct lvn_registration_options options;
  struct lvn_registration_quality quality = {.usable = true};
  bool good = false;
  if (phase == roi_phase || maker->options->alignment == LVN_ALIGN_NONE) {
    good = lvn_transform_identity(ret_registration, err);
  } else if (maker->options->alignment == LVN_ALIGN_ESTIMATED) {
    lvn_registration_options_default(&options);
    good = lvn_registration_run(&phantom->volume[roi_phase], mask, &phantom->volume[phase], &options, ret_registration,
                                &quality, err);
  } else {
    good = align_by_truth(maker, phantom, lesion_index, roi_phase, phase, ret_registration, err);
  }
  *ret_usable = quality.usable;
  return good;
}

/* All that the phantom has; `ret_usable` is of the network's phases together and of the delayed one. */
static bool align(const struct maker *maker, const struct lvn_phantom *phantom, size_t lesion_index,
                  const struct lvn_mask *mask, enum lvn_phase roi_phase, struct aligned *ret_aligned,
                  struct lvn_error *err) {
  *ret_aligned = (struct aligned){.usable = true};
  for (int phase = 0; phase < LVN_PHASE_COUNT; phase++) {
    bool usable = false;
    if (phase == LVN_PHASE_DL && (!maker->options->delayed || !ret_aligned->usable)) {
      continue;
    }
    if (!align_phase(maker, phantom, lesion_index, mask, roi_phase, (enum lvn_phase)phase,
                     &ret_aligned->registration[phase], &usable, err)) {
      return false;
    }
    ret_aligned->usable = ret_aligned->usable && (usable || phase == LVN_PHASE_DL);
    ret_aligned->delayed_usable = phase == LVN_PHASE_DL && usable;
  }
  return true;
}

static bool crop_lesion(const struct maker *maker, const struct lvn_phantom *phantom, const struct lvn_mask *mask,
                        enum lvn_phase roi_phase, const struct aligned *aligned, struct lvn_crop *ret_crop,
                        struct lvn_error *err) {
  const struct lvn_grid *grid = &phantom->volume[roi_phase].grid;
  struct lvn_crop_phase phases[LVN_PHASE_COUNT];
  struct lvn_crop_options options;
  for (int phase = 0; phase < LVN_PHASE_COUNT; phase++) {
    phases[phase] =
        (struct lvn_crop_phase){.volume = &phantom->volume[phase], .from_fixed = aligned->registration[phase]};
  }
  lvn_crop_options_default(&options);
  options.max_slices = maker->options->max_slices;
  return lvn_crop_make(grid, mask, phases, &options, ret_crop, err) &&
         (!aligned->delayed_usable || lvn_crop_add_delayed(grid, &phases[LVN_PHASE_DL], ret_crop, err));
}

static void name_lesion(const struct maker *maker, size_t index, size_t lesion_index, const struct lvn_phantom *phantom,
                        enum lvn_phase roi_phase, struct lvn_dataset_lesion *lesion) {
  const struct lvn_phantom_lesion *truth = &phantom->lesions[lesion_index];
  uint64_t seed = maker->options->first_seed + index;
  *lesion = (struct lvn_dataset_lesion){.lesion_class = truth->lesion_class,
                                        .fold = (unsigned)(index % FOLDS),
                                        .reference_standard = "phantom",
                                        .long_axis_mm = truth->diameter_mm,
                                        .slice_thickness_mm = phantom->slice_thickness_mm[roi_phase]};
  /* Lesions are added as threads finish: the order in the manifest may differ, the set does not. */
  (void)snprintf(lesion->patient_key, sizeof lesion->patient_key, "phantom-%" PRIu64, seed);
  (void)snprintf(lesion->lesion_id, sizeof lesion->lesion_id, "phantom-%" PRIu64 "-%zu", seed, lesion_index + 1);
  (void)lvn_copy(lesion->subtype, sizeof lesion->subtype, truth->subtype);
}

static bool add_lesion(struct maker *maker, size_t index, const struct lvn_phantom *phantom, size_t lesion_index,
                       enum lvn_phase roi_phase, struct lvn_error *err) {
  LVN_CLEANUP(lvn_mask_clear) struct lvn_mask region = {0};
  struct lvn_dataset_lesion lesion;
  struct lvn_crop crop = {0};
  struct aligned aligned;
  if (!lvn_phantom_region(phantom, lesion_index, roi_phase, &region, err)) {
    return false;
  }
  if (lvn_mask_measure(&region, NULL, NULL, NULL) == 0) {
    (void)pthread_mutex_lock(&maker->lock);
    maker->summary.maskless_count++;
    (void)pthread_mutex_unlock(&maker->lock);
    return true;
  }
  double start = lvn_clock_monotonic_seconds();
  bool good = align(maker, phantom, lesion_index, &region, roi_phase, &aligned, err);
  double middle = lvn_clock_monotonic_seconds();
  good = good && (!aligned.usable || crop_lesion(maker, phantom, &region, roi_phase, &aligned, &crop, err));
  for (int phase = 0; phase < LVN_PHASE_COUNT; phase++) {
    lvn_transform_destroy(aligned.registration[phase]);
  }
  name_lesion(maker, index, lesion_index, phantom, roi_phase, &lesion);
  (void)pthread_mutex_lock(&maker->lock);
  maker->summary.registration_seconds += middle - start;
  maker->summary.crop_seconds += lvn_clock_monotonic_seconds() - middle;
  maker->summary.unusable_count += good && !aligned.usable;
  if (good && aligned.usable) {
    good = lvn_dataset_writer_add(maker->writer, &lesion, &crop, err);
    maker->summary.delayed_count += good && crop.delayed_present;
    maker->summary.lesion_count += good;
  }
  (void)pthread_mutex_unlock(&maker->lock);
  lvn_crop_clear(&crop);
  return good;
}

static bool make_one(struct maker *maker, size_t index, struct lvn_error *err) {
  struct lvn_phantom_options options;
  enum lvn_phase roi_phase = LVN_PHASE_PV;
  LVN_AUTOFREE struct lvn_phantom *phantom = lvn_alloc(1, sizeof *phantom, err);
  if (phantom == NULL) {
    return false;
  }
  choose(maker->options, index, &options, &roi_phase);
  double start = lvn_clock_monotonic_seconds();
  bool good = lvn_phantom_make(&options, 1, phantom, err);
  double seconds = lvn_clock_monotonic_seconds() - start;
  for (size_t i = 0; good && i < phantom->lesion_count; i++) {
    good = add_lesion(maker, index, phantom, i, roi_phase, err);
  }
  lvn_phantom_clear(phantom);
  (void)pthread_mutex_lock(&maker->lock);
  maker->summary.phantom_seconds += seconds;
  maker->done++;
  if (good && maker->progress != NULL) {
    maker->progress(maker->done, maker->options->phantom_count);
  }
  (void)pthread_mutex_unlock(&maker->lock);
  return good || lvn_error_prefix(err, "phantom %" PRIu64, options.seed);
}

static void *work(void *argument) {
  struct maker *maker = argument;
  for (;;) {
    (void)pthread_mutex_lock(&maker->lock);
    bool stop = maker->failed || maker->next == maker->options->phantom_count;
    size_t index = maker->next;
    maker->next += !stop;
    (void)pthread_mutex_unlock(&maker->lock);
    struct lvn_error err = {0};
    if (stop) {
      return NULL;
    }
    if (!make_one(maker, index, &err)) {
      (void)pthread_mutex_lock(&maker->lock);
      if (!maker->failed) {
        maker->failed = true;
        maker->err = err;
      }
      (void)pthread_mutex_unlock(&maker->lock);
    }
  }
}

static void run_threads(struct maker *maker, unsigned threads) {
  pthread_t handles[THREADS_MAX];
  unsigned started = 0;
  while (started + 1 < threads && pthread_create(&handles[started], NULL, work, maker) == 0) {
    started++;
  }
  (void)work(maker);
  for (unsigned i = 0; i < started; i++) {
    (void)pthread_join(handles[i], NULL);
  }
}

void lvn_phantom_dataset_options_default(struct lvn_phantom_dataset_options *ret_options) {
  *ret_options = (struct lvn_phantom_dataset_options){.first_seed = 1,
                                                      .phantom_count = 20,
                                                      .lesions_per_phantom = 4,
                                                      .threads = 1,
                                                      .max_slices = 3,
                                                      .alignment = LVN_ALIGN_ESTIMATED,
                                                      .alignment_error_mm = 1.0};
}

bool lvn_phantom_dataset_make(const struct lvn_phantom_dataset_options *options,
                              void (*progress)(size_t done, size_t total),
                              struct lvn_phantom_dataset_summary *ret_summary, struct lvn_error *err) {
  struct maker maker = {.options = options, .progress = progress, .lock = PTHREAD_MUTEX_INITIALIZER};
  if (options->phantom_count == 0 || options->lesions_per_phantom == 0 ||
      options->lesions_per_phantom > LVN_PHANTOM_LESIONS_MAX || options->max_slices == 0 || options->threads == 0 ||
      options->threads > THREADS_MAX || (options->matrix != 0 && options->matrix != 256 && options->matrix != 512) ||
      !(options->alignment_error_mm >= 0.0)) {
    return lvn_error_set(err, LVN_ERROR_USAGE, "phantom data set: a count is out of range");
  }
  if (!lvn_dataset_writer_open(options->folder, "synthetic phantoms", &maker.writer, err)) {
    return false;
  }
  run_threads(&maker, options->threads);
  if (maker.failed) {
    lvn_dataset_writer_abandon(maker.writer);
    *err = maker.err;
    return false;
  }
  *ret_summary = maker.summary;
  return lvn_dataset_writer_close(maker.writer, err);
}
