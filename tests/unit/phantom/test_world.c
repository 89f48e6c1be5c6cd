/* Worlds: what is learnt from and what is tested on are apart; what is no class looks like what it is; readers'
 * outlines; regions on what is there anyway change no voxel. */
#include "model/phantom/phantom.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/scratch.h"

#define WORLDS LVN_PACKAGES "/../phantom/worlds/"

static struct lvn_phantom_world read_world(const char *path) {
  struct lvn_phantom_world world;
  struct lvn_error err = {0};
  if (!lvn_phantom_world_read(path, &world, &err)) {
    fail_msg("%s", err.message);
  }
  return world;
}

static void test_world__training_and_test_do_not_meet(void **state) {
  (void)state;
  struct lvn_phantom_world training = read_world(WORLDS "training.ini");
  struct lvn_phantom_world test = read_world(WORLDS "test.ini");
  const char *meeting = lvn_phantom_worlds_meet(&training, &test);
  if (meeting != NULL) {
    fail_msg("both worlds draw the same %s", meeting);
  }
  struct lvn_phantom_world more = read_world(WORLDS "training_more.ini");
  meeting = lvn_phantom_worlds_meet(&more, &test);
  if (meeting != NULL) {
    fail_msg("training_more.ini and test.ini draw the same %s", meeting);
  }
  assert_string_equal(lvn_phantom_worlds_meet(&training, &training), "size");
  assert_true(training.other_share[LVN_OTHER_METASTASIS] > 0.0);
}

static void test_world__names_the_line_that_is_wrong(void **state) {
  static const struct {
    const char *text;
    int line;
  } bad[] = {{"[patient]\nsize = 1.2 to 0.8\n", 2},
             {"[patient]\nheight = 1 to 2\n", 2},
             {"[scanner]\n\nnoise_hu = 5 to 9000\n", 3},
             {"[share]\nsarcoma = 1\n", 2},
             {"[patient]\nsize = 0.8 to 0.9, 1 to 1.1, 1\n", 2}};
  char root[SCRATCH_BYTES];
  char path[SCRATCH_BYTES + 16];
  (void)state;
  (void)snprintf(path, sizeof path, "%s/world.ini", scratch_make(root));
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    struct lvn_phantom_world world;
    struct lvn_error err = {0};
    char place[32];
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_true(fputs(bad[i].text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    assert_false(lvn_phantom_world_read(path, &world, &err));
    (void)snprintf(place, sizeof place, "world.ini:%d:", bad[i].line);
    if (strstr(err.message, place) == NULL) {
      fail_msg("'%s' does not name %s", err.message, place);
    }
  }
}

static void test_world__draws_from_both_intervals(void **state) {
  (void)state;
  const struct lvn_phantom_range range = {{1, 10}, {2, 13}};
  assert_true(fabs(lvn_phantom_range_at(&range, 0.125) - 1.5) < 1e-12);
  assert_true(fabs(lvn_phantom_range_at(&range, 0.5) - 11.0) < 1e-12);
  assert_true(fabs(lvn_phantom_range_at(&range, 1.0) - 13.0) < 1e-12);
}

static struct lvn_phantom_options wide_options(uint64_t seed) {
  struct lvn_phantom_options options;
  lvn_phantom_options_default(&options);
  options.seed = seed;
  options.matrix = 128;
  options.slice_thickness_mm = 5.0;
  options.noise_hu = 5.0;
  lvn_phantom_world_wide(&options.world);
  return options;
}

static struct lvn_phantom make(const struct lvn_phantom_options *options) {
  struct lvn_phantom phantom = {0};
  struct lvn_error err = {0};
  if (!lvn_phantom_make(options, 2, &phantom, &err)) {
    fail_msg("%s", err.message);
  }
  return phantom;
}

static double mean_hu(const struct lvn_phantom *phantom, size_t lesion, enum lvn_phase phase) {
  const struct lvn_mask *mask = &phantom->lesions[lesion].mask[phase];
  const struct lvn_grid *grid = &mask->grid;
  double sum = 0.0;
  size_t count = 0;
  for (size_t i = 0; i < (size_t)grid->size[0] * grid->size[1] * grid->size[2]; i++) {
    sum += mask->inside[i] != 0 ? phantom->volume[phase].hounsfield[i] : 0.0;
    count += mask->inside[i] != 0;
  }
  assert_true(count > 20);
  return sum / (double)count;
}

static void test_world__what_is_no_class_looks_like_it(void **state) {
  static const enum lvn_phantom_other others[] = {LVN_OTHER_NORMAL_LIVER, LVN_OTHER_METASTASIS, LVN_OTHER_FATTY_SPARING,
                                                  LVN_OTHER_SPLEEN, LVN_OTHER_GALLBLADDER};
  const size_t count = sizeof others / sizeof others[0];
  (void)state;
  struct lvn_phantom_options options = wide_options(31);
  options.lesion_count = count;
  for (size_t i = 0; i < count; i++) {
    options.lesion_other[i] = others[i];
    options.lesion_diameter_mm[i] = 24.0;
  }
  struct lvn_phantom phantom = make(&options);
  assert_int_equal(phantom.lesion_count, count);
  for (size_t i = 0; i < count; i++) {
    assert_int_equal(phantom.lesions[i].lesion_class, LVN_CLASS_OUTLIER);
    assert_string_equal(phantom.lesions[i].subtype, lvn_phantom_other_name(others[i]));
  }
  double liver = mean_hu(&phantom, 0, LVN_PHASE_PV);
  assert_true(mean_hu(&phantom, 1, LVN_PHASE_PV) < liver - 8.0);
  assert_true(mean_hu(&phantom, 2, LVN_PHASE_NC) > mean_hu(&phantom, 0, LVN_PHASE_NC) + 3.0);
  assert_true(mean_hu(&phantom, 3, LVN_PHASE_ART) > mean_hu(&phantom, 0, LVN_PHASE_ART) + 20.0);
  assert_true(fabs(mean_hu(&phantom, 4, LVN_PHASE_PV)) < 30.0);
  lvn_phantom_clear(&phantom);
}

static void test_world__regions_on_what_is_there_change_no_voxel(void **state) {
  (void)state;
  struct lvn_phantom_options options = wide_options(7);
  options.lesion_count = 1;
  options.lesion_diameter_mm[0] = 25.0;
  options.lesion_other[0] = LVN_OTHER_SPLEEN;
  struct lvn_phantom spleen = make(&options);
  options.lesion_other[0] = LVN_OTHER_KIDNEY;
  struct lvn_phantom kidney = make(&options);
  const struct lvn_grid *grid = &spleen.volume[LVN_PHASE_PV].grid;
  size_t voxels = (size_t)grid->size[0] * grid->size[1] * grid->size[2];
  assert_memory_equal(spleen.volume[LVN_PHASE_PV].hounsfield, kidney.volume[LVN_PHASE_PV].hounsfield,
                      voxels * sizeof(int16_t));
  assert_memory_not_equal(spleen.lesions[0].mask[LVN_PHASE_PV].inside, kidney.lesions[0].mask[LVN_PHASE_PV].inside,
                          voxels);
  lvn_phantom_clear(&spleen);
  lvn_phantom_clear(&kidney);
}

static size_t region_voxels(const struct lvn_phantom *phantom, size_t *ret_slices) {
  struct lvn_mask region = {0};
  struct lvn_error err = {0};
  assert_true(lvn_phantom_region(phantom, 0, LVN_PHASE_PV, &region, &err));
  size_t voxels = lvn_mask_measure(&region, NULL, NULL, NULL);
  *ret_slices = 0;
  for (uint32_t slice = 0; slice < region.grid.size[2]; slice++) {
    *ret_slices += lvn_mask_count_slice(&region, slice) > 0;
  }
  lvn_mask_clear(&region);
  return voxels;
}

static void test_world__outlines_are_as_wide_as_it_says(void **state) {
  (void)state;
  struct lvn_phantom_options options = wide_options(11);
  size_t slices = 0;
  options.lesion_count = 1;
  options.lesion_class[0] = LVN_CLASS_CYST;
  options.lesion_diameter_mm[0] = 40.0;
  options.world.outline = (struct lvn_phantom_range){{1.4}, {1.4}};
  options.world.corners = (struct lvn_phantom_range){{40}, {40}};
  options.world.one_slice = (struct lvn_phantom_range){{0}, {0}};
  struct lvn_phantom phantom = make(&options);
  double truth = (double)lvn_mask_measure(&phantom.lesions[0].mask[LVN_PHASE_PV], NULL, NULL, NULL);
  double generous = (double)region_voxels(&phantom, &slices);
  assert_true(generous / truth > 1.6 && generous / truth < 2.2);
  assert_true(slices > 5);
  phantom.options.world.one_slice.low[0] = 1.0;
  assert_true(region_voxels(&phantom, &slices) > 20);
  assert_int_equal(slices, 1);
  phantom.options.world.is_wide = false;
  assert_true((double)region_voxels(&phantom, &slices) == truth);
  lvn_phantom_clear(&phantom);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_world__training_and_test_do_not_meet),
      cmocka_unit_test(test_world__names_the_line_that_is_wrong),
      cmocka_unit_test(test_world__draws_from_both_intervals),
      cmocka_unit_test(test_world__what_is_no_class_looks_like_it),
      cmocka_unit_test(test_world__regions_on_what_is_there_change_no_voxel),
      cmocka_unit_test(test_world__outlines_are_as_wide_as_it_says),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
