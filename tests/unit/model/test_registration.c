/* Alignment finds what moved, on analytic scenes and on a phantom. */
#include "model/phantom/phantom.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/model/registration_scene.h"

static void test_registration__identity(void **unused) {
  (void)unused;
  struct lvn_error err = {0};
  struct lvn_transform *registration = NULL;
  const double point[3] = {3.5, -7, 1e3};
  double mapped[3];
  assert_true(lvn_transform_identity(&registration, &err));
  lvn_transform_map(registration, point, mapped);
  assert_memory_equal(point, mapped, sizeof point);
  lvn_transform_destroy(registration);
  lvn_transform_destroy(NULL);
}

static void test_registration__finds_known_shifts(void **unused) {
  (void)unused;
  const double shifts[4][3] = {{0, 0, 0}, {4, -7, 12}, {-3, 5, -26}, {9.3, 2.1, 18.7}};
  for (uint64_t seed = 1; seed <= 4; seed++) {
    struct scene scene;
    make_scene(seed, &scene);
    struct shot fixed_shot = plain;
    struct shot moving_shot = plain;
    moving_shot.phase = 1;
    moving_shot.z_first_mm = -83;
    moving_shot.slices = 33;
    memcpy(moving_shot.shift_mm, shifts[seed - 1], sizeof moving_shot.shift_mm);
    struct lvn_volume fixed = take(&scene, &fixed_shot);
    struct lvn_volume moving = take(&scene, &moving_shot);
    struct outcome outcome = align(&fixed, &moving, lesion_centre, shifts[seed - 1]);
    assert_true(outcome.quality.usable);
    assert_string_equal(outcome.quality.reason, "");
    assert_true(outcome.error_mm < 1.8);
    assert_true(outcome.quality.similarity >= outcome.quality.similarity_before - 0.02);
    assert_true(outcome.quality.estimated_error_mm > 0.5 && outcome.quality.estimated_error_mm < 6.0);
    lvn_volume_clear(&fixed);
    lvn_volume_clear(&moving);
  }
}

static void test_registration__three_slices(void **unused) {
  (void)unused;
  struct scene scene;
  const double shift[3] = {7, -5, 0};
  make_scene(6, &scene);
  struct shot fixed_shot = plain;
  fixed_shot.z_first_mm = -3;
  fixed_shot.slices = 3;
  fixed_shot.noise_hu = 8;
  struct shot moving_shot = fixed_shot;
  moving_shot.phase = 1;
  memcpy(moving_shot.shift_mm, shift, sizeof shift);
  struct lvn_volume fixed = take(&scene, &fixed_shot);
  struct lvn_volume moving = take(&scene, &moving_shot);
  struct outcome outcome = align(&fixed, &moving, lesion_centre, shift);
  assert_true(outcome.error_mm < 3.0 || !outcome.quality.usable);
  assert_true(outcome.quality.usable);
  assert_true(outcome.quality.estimated_error_mm > 2.0);
  lvn_volume_clear(&fixed);
  lvn_volume_clear(&moving);
}

static void test_registration__one_slice_never_crashes(void **unused) {
  (void)unused;
  struct scene scene;
  const double none[3] = {0, 0, 0};
  make_scene(7, &scene);
  struct shot shot = plain;
  shot.z_first_mm = 2;
  shot.slices = 1;
  struct lvn_volume fixed = take(&scene, &shot);
  shot.phase = 1;
  struct lvn_volume moving = take(&scene, &shot);
  struct outcome outcome = align(&fixed, &moving, lesion_centre, none);
  assert_true(outcome.error_mm < 4.0 || !outcome.quality.usable);
  lvn_volume_clear(&fixed);
  lvn_volume_clear(&moving);
}

/* An arterial phase in thick slices: the liver has hardly a vessel to see, and ribs and spine, which stay, are the
 * strongest edges of the neighbourhood. */
static void test_registration__liver_alone_has_a_vote(void **unused) {
  (void)unused;
  struct lvn_error err = {0};
  struct lvn_phantom phantom;
  struct lvn_phantom_options options;
  struct lvn_registration_options how;
  struct lvn_registration_quality quality;
  struct lvn_transform *registration = NULL;
  double error_mm = 0.0;
  lvn_phantom_options_default(&options);
  options.seed = 7401;
  options.matrix = 256;
  options.coverage_mm = 130.0;
  options.slice_thickness_mm = 5.0;
  options.motion_scale = 1.3;
  options.lesion_count = 1;
  options.lesion_class[0] = LVN_CLASS_FNH;
  for (int phase = 0; phase < LVN_PHASE_COUNT; phase++) {
    options.has_phase[phase] = phase == LVN_PHASE_PV || phase == LVN_PHASE_ART;
  }
  assert_true(lvn_phantom_make(&options, 2, &phantom, &err));
  const struct lvn_phantom_lesion *lesion = &phantom.lesions[0];
  lvn_registration_options_default(&how);
  assert_true(lvn_registration_run(&phantom.volume[LVN_PHASE_PV], &lesion->mask[LVN_PHASE_PV],
                                   &phantom.volume[LVN_PHASE_ART], &how, &registration, &quality, &err));
  for (int a = 0; a < 3; a++) {
    double truth_mm = lesion->displacement_mm[LVN_PHASE_ART][a] - lesion->displacement_mm[LVN_PHASE_PV][a];
    error_mm += (quality.displacement_mm[a] - truth_mm) * (quality.displacement_mm[a] - truth_mm);
  }
  print_message("%s usable=%d error %.2f mm %s\n", quality.model, quality.usable, sqrt(error_mm), quality.reason);
  assert_true(quality.usable);
  assert_true(sqrt(error_mm) < 2.5);
  lvn_transform_destroy(registration);
  lvn_phantom_clear(&phantom);
}

static void test_registration__nothing_moved(void **unused) {
  (void)unused;
  struct scene scene;
  const double none[3] = {0, 0, 0};
  double worst = 0.0;
  for (uint64_t seed = 31; seed < 35; seed++) {
    make_scene(seed, &scene);
    struct shot shot = plain;
    struct lvn_volume fixed = take(&scene, &shot);
    shot.phase = 1;
    struct lvn_volume moving = take(&scene, &shot);
    struct outcome outcome = align(&fixed, &moving, lesion_centre, none);
    assert_true(outcome.quality.usable);
    worst = fmax(worst, outcome.error_mm);
    lvn_volume_clear(&fixed);
    lvn_volume_clear(&moving);
  }
  assert_true(worst < 0.3);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_registration__identity),
      cmocka_unit_test(test_registration__finds_known_shifts),
      cmocka_unit_test(test_registration__three_slices),
      cmocka_unit_test(test_registration__one_slice_never_crashes),
      cmocka_unit_test(test_registration__liver_alone_has_a_vote),
      cmocka_unit_test(test_registration__nothing_moved),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
