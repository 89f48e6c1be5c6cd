/* Alignment against exact truth: pairs of phantom phases, each aligned about three places of the liver. One CSV line a
 * place; with a folder, also the crops (and for the first pairs the whole volumes), points and truth for the peer.
 *
 * usage: registration_bench FIRST_SEED PAIRS MATRIX [FOLDER [WHOLE_PAIRS]]
 *
 * What pair i is follows from i: slices of 1.5, 5, 1, 3, 7 mm or mixed; breathing scaled by 1, 1.3 or 0; NC, ART or DL
 * to PV; every fourth shows the lesion in PV only; every sixth ends 20 mm above the place. The liver slides along the
 * wall: ribs, spine and muscle stay. About the lesion each pair is also tried with what cannot be aligned. Points and
 * truth come from the analytic map, never from a warped image. */
#include "base/clock.h"
#include "base/memory.h"
#include "model/phantom/phantom_internal.h"
#include "model/registration/registration_internal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define POINTS 100
#define NEAR_MM 25.0
#define WALL_MM 15.0
#define CROP_MM 56.0
#define RUNS 3 /* of each alignment: the medians of the times are told */

enum place_kind { AT_LESION, AT_WALL, DEEP, PLACES };
static const char *const place_names[PLACES] = {"lesion", "wall", "deep"};

struct pair {
  unsigned number;
  enum lvn_phase phase;
  bool one_phase_lesion;
  bool is_cut;
  struct lvn_phantom phantom;
  struct lvn_phantom without; /* the moving phase, when it has no lesion */
  struct lvn_phantom_patient patient;
};

struct place {
  enum place_kind kind;
  double centre_mm[3];
  double wall_mm; /* to what does not breathe */
  size_t point_count;
  double point_mm[POINTS][3];
  double truth_mm[POINTS][3];
};

static void fail(const struct lvn_error *err) {
  (void)fprintf(stderr, "registration_bench: %s\n", err->message);
  exit(1); /* allow: a benchmark stops */
}

static void make_pair(uint64_t seed, unsigned number, unsigned matrix, struct pair *pair) {
  static const double slices_mm[] = {1.5, 5.0, 1.0, 3.0, 7.0, 0.0};
  static const double motion[] = {1.0, 1.3, 1.0, 0.0, 1.0}; /* 1.3: up to 39 mm */
  static const enum lvn_phase phases[] = {LVN_PHASE_NC, LVN_PHASE_ART, LVN_PHASE_DL};
  struct lvn_phantom_options options;
  struct lvn_error err = {0};
  *pair = (struct pair){
      .number = number, .phase = phases[number % 3], .one_phase_lesion = number % 4 == 3, .is_cut = number % 6 == 4};
  lvn_phantom_options_default(&options);
  options.seed = seed;
  options.matrix = matrix;
  options.coverage_mm = pair->one_phase_lesion ? 0.0 : 130.0; /* about the lesion, whose place depends on its size */
  options.slice_thickness_mm = slices_mm[number % 6];
  options.motion_scale = motion[number % 5];
  options.lesion_count = 1;
  options.lesion_class[0] = (enum lvn_class)(number % LVN_CLASS_PAPER_COUNT);
  for (int phase = 0; phase < LVN_PHASE_COUNT; phase++) {
    options.has_phase[phase] = phase == LVN_PHASE_PV || phase == (int)pair->phase;
  }
  lvn_phantom_patient_draw(seed, &(struct lvn_phantom_world){0}, &pair->patient);
  if (!lvn_phantom_make(&options, 2, &pair->phantom, &err)) {
    fail(&err);
  }
  if (pair->one_phase_lesion) {
    options.lesion_diameter_mm[0] = 4.0;
    options.has_phase[LVN_PHASE_PV] = false;
    if (!lvn_phantom_make(&options, 2, &pair->without, &err)) {
      fail(&err);
    }
  }
}

static double distance_mm(const double a[3], const double b[3]) {
  return sqrt((a[0] - b[0]) * (a[0] - b[0]) + (a[1] - b[1]) * (a[1] - b[1]) + (a[2] - b[2]) * (a[2] - b[2]));
}

static double wall_distance(const struct lvn_phantom_patient *patient, const double at_mm[3]) {
  double x = at_mm[0] / (double)patient->cavity[0];
  double y = at_mm[1] / (double)patient->cavity[1];
  double r = hypot(x, y);
  double slope = hypot(x / (double)patient->cavity[0], y / (double)patient->cavity[1]) / fmax(r, 1e-6);
  return (1.0 - r) / fmax(slope, 1e-6); /* to first order, good near the wall */
}

static double liver_depth(const struct pair *pair, const double at_mm[3]) {
  const float at[3] = {(float)at_mm[0], (float)at_mm[1], (float)at_mm[2]};
  return lvn_phantom_is_static(&pair->patient, at) ? -1.0 : -(double)lvn_phantom_liver_distance(&pair->patient, at);
}

static bool is_seen(const struct lvn_grid *grid, const double at_mm[3]) {
  double index[3];
  lvn_grid_to_index(grid, at_mm, index);
  for (int a = 0; a < 3; a++) {
    if (!(index[a] >= 0.0 && index[a] <= (double)grid->size[a] - 1.0)) {
      return false;
    }
  }
  return true;
}

/* False when the liver that was covered has no such place. */
static bool choose_place(const struct pair *pair, enum place_kind kind, struct lvn_phantom_random *random,
                         struct place *ret_place) {
  struct place place = {.kind = kind};
  const struct lvn_grid *grid = &pair->phantom.volume[LVN_PHASE_PV].grid;
  double last_mm = grid->origin_mm[2] + grid->spacing_mm[2] * (grid->size[2] - 1);
  memcpy(place.centre_mm, pair->phantom.lesions[0].centre_mm, sizeof place.centre_mm);
  bool found = kind == AT_LESION;
  for (int trial = 0; trial < 20000 && !found; trial++) {
    for (int a = 0; a < 3; a++) {
      place.centre_mm[a] = lvn_phantom_random_uniform(random, -130.0, 130.0);
    }
    place.centre_mm[2] = lvn_phantom_random_uniform(random, grid->origin_mm[2] + 35.0, last_mm - 35.0);
    double depth_mm = liver_depth(pair, place.centre_mm);
    double wall_mm = wall_distance(&pair->patient, place.centre_mm);
    found = kind == AT_WALL ? depth_mm > 4.0 && wall_mm < WALL_MM : depth_mm > 22.0;
  }
  place.wall_mm = wall_distance(&pair->patient, place.centre_mm);
  for (int trial = 0; trial < 20000 && found && place.point_count < POINTS; trial++) {
    double *point = place.point_mm[place.point_count];
    for (int a = 0; a < 3; a++) {
      point[a] =
          place.centre_mm[a] + (place.point_count == 0 ? 0.0 : lvn_phantom_random_uniform(random, -NEAR_MM, NEAR_MM));
    }
    if (place.point_count == 0 ||
        (distance_mm(point, place.centre_mm) <= NEAR_MM && liver_depth(pair, point) > 1.0 && is_seen(grid, point))) {
      lvn_phantom_map(&pair->phantom, pair->phase, point, place.truth_mm[place.point_count++]);
    }
  }
  *ret_place = place;
  return found && place.point_count > 20;
}

static int compare_doubles(const void *left, const void *right) {
  double a = *(const double *)left;
  double b = *(const double *)right;
  return (a > b) - (a < b);
}

struct errors {
  double centre;
  double mean;
  double p95;
  double most;
};

static struct errors measure(const struct place *place, const struct lvn_transform *transform) {
  double error[POINTS];
  struct errors out = {0};
  for (size_t i = 0; i < place->point_count; i++) {
    double mapped[3];
    lvn_transform_map(transform, place->point_mm[i], mapped);
    error[i] = distance_mm(mapped, place->truth_mm[i]);
    out.mean += error[i] / (double)place->point_count;
  }
  out.centre = error[0];
  qsort(error, place->point_count, sizeof *error, compare_doubles);
  out.p95 = error[(size_t)(0.95 * (double)(place->point_count - 1))];
  out.most = error[place->point_count - 1];
  return out;
}

/* MetaImage of the part of a volume that the box touches. */
static void write_part(const char *folder, const char *name, const struct lvn_volume *volume, const double centre_mm[3],
                       const double half_mm[3]) {
  char path[512];
  const struct lvn_grid *grid = &volume->grid;
  long first[3];
  long size[3];
  for (int a = 0; a < 3; a++) {
    double middle = (centre_mm[a] - grid->origin_mm[a]) / grid->spacing_mm[a];
    double low = fmax(0.0, ceil(middle - half_mm[a] / grid->spacing_mm[a]));
    double high = fmin((double)grid->size[a] - 1.0, floor(middle + half_mm[a] / grid->spacing_mm[a]));
    first[a] = (long)low;
    size[a] = (long)fmax(1.0, high - low + 1.0);
  }
  (void)snprintf(path, sizeof path, "%s/%s.mha", folder, name);
  FILE *file = fopen(path, "wbe");
  if (file == NULL) {
    perror(path);
    exit(1); /* allow: a benchmark stops */
  }
  (void)fprintf(file,
                "ObjectType = Image\nNDims = 3\nBinaryData = True\nBinaryDataByteOrderMSB = False\n"
                "CompressedData = False\nTransformMatrix = 1 0 0 0 1 0 0 0 1\nOffset = %.6f %.6f %.6f\n"
                "ElementSpacing = %.6f %.6f %.6f\nDimSize = %ld %ld %ld\nElementType = MET_SHORT\n"
                "ElementDataFile = LOCAL\n",
                grid->origin_mm[0] + (double)first[0] * grid->spacing_mm[0],
                grid->origin_mm[1] + (double)first[1] * grid->spacing_mm[1],
                grid->origin_mm[2] + (double)first[2] * grid->spacing_mm[2], grid->spacing_mm[0], grid->spacing_mm[1],
                grid->spacing_mm[2], size[0], size[1], size[2]);
  for (long z = first[2]; z < first[2] + size[2]; z++) {
    for (long y = first[1]; y < first[1] + size[1]; y++) {
      size_t offset = ((size_t)z * grid->size[1] + (size_t)y) * grid->size[0] + (size_t)first[0];
      (void)fwrite(volume->hounsfield + offset, sizeof *volume->hounsfield, (size_t)size[0], file);
    }
  }
  if (fclose(file) != 0) {
    perror(path);
    exit(1); /* allow: a benchmark stops */
  }
}

static void write_points(const char *folder, const char *name, const struct place *place, bool truth) {
  char path[512];
  (void)snprintf(path, sizeof path, "%s/%s.txt", folder, name);
  FILE *file = fopen(path, "we");
  if (file == NULL) {
    perror(path);
    exit(1); /* allow: a benchmark stops */
  }
  (void)fprintf(file, "point\n%zu\n", place->point_count);
  for (size_t i = 0; i < place->point_count; i++) {
    const double *p = truth ? place->truth_mm[i] : place->point_mm[i];
    (void)fprintf(file, "%.6f %.6f %.6f\n", p[0], p[1], p[2]);
  }
  (void)fclose(file);
}

static void export_place(const char *folder, const struct pair *pair, const struct place *place,
                         const struct lvn_volume *moving, bool whole) {
  static const double search_mm[3] = {24.0, 24.0, 44.0};
  const struct lvn_volume *fixed = &pair->phantom.volume[LVN_PHASE_PV];
  double half_mm[3] = {CROP_MM, CROP_MM, CROP_MM};
  const double all_mm[3] = {1e4, 1e4, 1e4};
  char name[64];
  (void)snprintf(name, sizeof name, "%u-%s-fixed", pair->number, place_names[place->kind]);
  write_part(folder, name, fixed, place->centre_mm, half_mm);
  for (int a = 0; a < 3; a++) {
    half_mm[a] += search_mm[a];
  }
  (void)snprintf(name, sizeof name, "%u-%s-moving", pair->number, place_names[place->kind]);
  write_part(folder, name, moving, place->centre_mm, half_mm);
  if (whole && place->kind == AT_LESION) {
    (void)snprintf(name, sizeof name, "%u-whole-fixed", pair->number);
    write_part(folder, name, fixed, place->centre_mm, all_mm);
    (void)snprintf(name, sizeof name, "%u-whole-moving", pair->number);
    write_part(folder, name, moving, place->centre_mm, all_mm);
  }
  (void)snprintf(name, sizeof name, "%u-%s-points", pair->number, place_names[place->kind]);
  write_points(folder, name, place, false);
  (void)snprintf(name, sizeof name, "%u-%s-truth", pair->number, place_names[place->kind]);
  write_points(folder, name, place, true);
}

/* In MiB, of /proc/self/status (proc(5)). */
static double memory_mb(const char *field) {
  FILE *file = fopen("/proc/self/status", "re");
  char line[256];
  double kib = 0.0;
  while (file != NULL && fgets(line, sizeof line, file) != NULL) {
    if (strncmp(line, field, strlen(field)) == 0) {
      kib = strtod(line + strlen(field) + 1, NULL);
    }
  }
  if (file != NULL) {
    (void)fclose(file);
  }
  return kib / 1024.0;
}

/* The peak starts anew from what is in memory now. */
static double reset_peak_mb(void) {
  FILE *file = fopen("/proc/self/clear_refs", "we");
  if (file == NULL || fputs("5", file) < 0 || fclose(file) != 0) {
    perror("/proc/self/clear_refs");
    exit(1); /* allow: a benchmark stops */
  }
  return memory_mb("VmRSS");
}

static void run_place(const struct pair *pair, const struct place *place, const struct lvn_volume *moving,
                      const char *what) {
  const struct lvn_volume *fixed = &pair->phantom.volume[LVN_PHASE_PV];
  struct lvn_registration_options options;
  struct lvn_reg_evidence evidence;
  struct lvn_registration_quality quality = {0};
  struct lvn_transform none;
  struct lvn_transform shift;
  struct lvn_transform full;
  struct lvn_error err = {0};
  const char *model = NULL;
  lvn_registration_options_default(&options);
  lvn_transform_about(place->centre_mm, &none);
  shift = full = none;
  double seconds[RUNS];
  double cpu_seconds[RUNS];
  double volumes_mb = reset_peak_mb();
  for (int run = 0; run < RUNS; run++) {
    clock_t cpu = clock();
    double start = lvn_clock_monotonic_seconds();
    evidence = (struct lvn_reg_evidence){.inverse_consistency_mm = NAN};
    model = "identity";
    full = none;
    if (!lvn_reg_align(fixed, moving, place->centre_mm, 0.0, &options, &full, &evidence, &model, &err)) {
      fail(&err);
    }
    seconds[run] = lvn_clock_monotonic_seconds() - start;
    cpu_seconds[run] = (double)(clock() - cpu) / (double)CLOCKS_PER_SEC;
  }
  double beyond_mb = memory_mb("VmHWM") - volumes_mb;
  qsort(seconds, RUNS, sizeof *seconds, compare_doubles);
  qsort(cpu_seconds, RUNS, sizeof *cpu_seconds, compare_doubles);
  lvn_reg_judge(&evidence, options.max_error_mm, &quality);
  memcpy(shift.shift_mm, evidence.translation_mm, sizeof shift.shift_mm);
  struct errors before = measure(place, &none);
  struct errors moved = measure(place, &shift);
  struct errors after = measure(place, &full);
  (void)printf("%u,%llu,%s,%s,%s,%.2f,%.2f,%.1f,%s,%d,%.1f,%.3f,%.3f,%.3f,%.3f,%.3f,%.3f,%.3f,", pair->number,
               (unsigned long long)pair->phantom.options.seed, place_names[place->kind], what,
               lvn_phase_name(pair->phase), fixed->grid.spacing_mm[2], moving->grid.spacing_mm[2],
               pair->phantom.options.motion_scale, model, pair->one_phase_lesion + 2 * pair->is_cut, place->wall_mm,
               before.mean, moved.centre, moved.mean, after.centre, after.mean, after.p95, after.most);
  (void)printf("%.3f,%.3f,%.3f,%d,%.3f,%.3f,%.0f,%.4f,%.4f,%.4f,%.4f,%.4f,%d\n", lvn_transform_least_determinant(&full),
               evidence.inverse_consistency_mm, quality.estimated_error_mm, quality.usable, seconds[RUNS / 2],
               cpu_seconds[RUNS / 2], beyond_mb, evidence.agreement, evidence.body, evidence.similarity,
               evidence.overlap, evidence.model_spread_mm, evidence.at_border);
  (void)fflush(stdout);
}

/* What cannot be aligned. The volumes are as large as the moving one. */
enum wrong { OTHER_PATIENT, UPSIDE_DOWN, MIRRORED, NOISE, OTHER_PART, CUT_OFF, WRONGS };
static const char *const wrong_names[WRONGS] = {"other patient", "upside down", "mirrored",
                                                "noise",         "other part",  "cut off"};

static void turn(const struct lvn_volume *moving, int axis, struct lvn_volume *out) {
  const uint32_t *size = moving->grid.size;
  for (uint32_t z = 0; z < size[2]; z++) {
    for (uint32_t y = 0; y < size[1]; y++) {
      for (uint32_t x = 0; x < size[0]; x++) {
        uint32_t at[3] = {x, y, z};
        at[axis] = size[axis] - 1 - at[axis];
        out->hounsfield[((size_t)z * size[1] + y) * size[0] + x] =
            moving->hounsfield[((size_t)at[2] * size[1] + at[1]) * size[0] + at[0]];
      }
    }
  }
}

/* False when this pair has no such case. `other`: the phase of the pair before, or NULL. */
static bool make_wrong(enum wrong wrong, const struct place *place, const struct lvn_volume *moving,
                       const struct lvn_volume *other, struct lvn_phantom_random *random,
                       struct lvn_volume *ret_wrong) {
  struct lvn_error err = {0};
  const struct lvn_volume *source = wrong == OTHER_PATIENT ? other : moving;
  if (source == NULL) {
    return false;
  }
  size_t voxels = (size_t)source->grid.size[0] * source->grid.size[1] * source->grid.size[2];
  if (!lvn_volume_create(&source->grid, ret_wrong, &err)) {
    fail(&err);
  }
  memcpy(ret_wrong->hounsfield, source->hounsfield, voxels * sizeof *source->hounsfield);
  if (wrong == UPSIDE_DOWN || wrong == MIRRORED) {
    turn(moving, wrong == MIRRORED ? 0 : 2, ret_wrong);
  } else if (wrong == OTHER_PART) { /* what is shown lies a hand's breadth from where the header says */
    ret_wrong->grid.origin_mm[2] += place->centre_mm[2] > 0.0 ? 70.0 : -70.0;
  } else if (wrong == CUT_OFF) {
    double top = (place->truth_mm[0][2] - 30.0 - moving->grid.origin_mm[2]) / moving->grid.spacing_mm[2];
    ret_wrong->grid.size[2] = (uint32_t)fmin((double)moving->grid.size[2], fmax(3.0, floor(top)));
  }
  for (size_t i = 0; i < voxels && wrong == NOISE; i++) {
    ret_wrong->hounsfield[i] = (int16_t)lvn_phantom_random_uniform(random, -100.0, 200.0);
  }
  return true;
}

static void run_pair(const struct pair *pair, const struct lvn_volume *other, const char *folder, bool whole) {
  struct lvn_phantom_random random = lvn_phantom_random_start(pair->phantom.options.seed, 1U << 30U);
  const struct lvn_phantom *source = pair->one_phase_lesion ? &pair->without : &pair->phantom;
  for (int kind = 0; kind < PLACES; kind++) {
    struct place place;
    struct lvn_volume moving = source->volume[pair->phase];
    if (!choose_place(pair, (enum place_kind)kind, &random, &place)) {
      continue;
    }
    if (pair->is_cut) {
      double top = (place.truth_mm[0][2] + 20.0 - moving.grid.origin_mm[2]) / moving.grid.spacing_mm[2];
      moving.grid.size[2] = (uint32_t)fmin((double)moving.grid.size[2], fmax(3.0, ceil(top)));
    }
    run_place(pair, &place, &moving, "good");
    for (int wrong = 0; wrong < WRONGS && kind == AT_LESION; wrong++) {
      struct lvn_volume volume;
      if (make_wrong((enum wrong)wrong, &place, &source->volume[pair->phase], other, &random, &volume)) {
        run_place(pair, &place, &volume, wrong_names[wrong]);
        lvn_volume_clear(&volume);
      }
    }
    if (folder != NULL) {
      export_place(folder, pair, &place, &moving, whole);
    }
  }
}

int main(int argc, char **argv) {
  if (argc < 4) {
    (void)fprintf(stderr, "usage: registration_bench FIRST_SEED PAIRS MATRIX [FOLDER [WHOLE_PAIRS]]\n");
    return 2;
  }
  uint64_t first = strtoull(argv[1], NULL, 10);
  unsigned pairs = (unsigned)strtoul(argv[2], NULL, 10);
  unsigned matrix = (unsigned)strtoul(argv[3], NULL, 10);
  unsigned whole = argc > 5 ? (unsigned)strtoul(argv[5], NULL, 10) : 0;
  (void)printf("pair,seed,place,what,phase,fixed_slice_mm,moving_slice_mm,motion_scale,model,case,wall_mm,"
               "before_mean,shift_centre,shift_mean,centre,mean,p95,max,determinant,inverse,estimate,usable,seconds,"
               "cpu_seconds,beyond_mb,"
               "agreement,body,similarity,overlap,spread,border\n");
  struct pair pair[2] = {0};
  for (unsigned i = 0; i < pairs; i++) {
    struct pair *now = &pair[i % 2];
    const struct pair *before = &pair[1 - i % 2];
    lvn_phantom_clear(&now->phantom);
    lvn_phantom_clear(&now->without);
    make_pair(first + i, i, matrix, now);
    const struct lvn_phantom *other = before->one_phase_lesion ? &before->without : &before->phantom;
    run_pair(now, i == 0 ? NULL : &other->volume[before->phase], argc > 4 ? argv[4] : NULL, i < whole);
  }
  for (int i = 0; i < 2; i++) {
    lvn_phantom_clear(&pair[i].phantom);
    lvn_phantom_clear(&pair[i].without);
  }
  return 0;
}
