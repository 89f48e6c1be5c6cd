#include "analysis/roi_gate.h"

#include "base/memory.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define SIDE LVN_CROP_SIDE
#define EXTENT_MM 30.0

static const int liver_hu[LVN_PHASE_NETWORK_COUNT] = {60, 85, 118};
static const int stomach_hu[LVN_PHASE_NETWORK_COUNT] = {25, 30, 35};
static const int vessel_hu[LVN_PHASE_NETWORK_COUNT] = {42, 150, 175};

struct scene {
  const char *name;
  /* HU at a point, mm from the region's centre. */
  int (*hounsfield)(int phase, double x, double y, double radius_mm);
  bool is_lesion;
};

/* What a sample of a 0.7 mm image with 12 HU of noise has after interpolation: equal in neighbouring samples. */
static int noise(size_t slice, int phase, double x, double y) {
  uint32_t hash = (uint32_t)((long)floor(x / 0.7) * 73856093L ^ (long)floor(y / 0.7) * 19349663L) ^
                  (uint32_t)(slice * 83492791U) ^ (uint32_t)phase * 2654435761U;
  int sum = 0;
  for (int i = 0; i < 4; i++) {
    hash = hash * 1664525U + 1013904223U;
    sum += (int)(hash >> 16U) % 22;
  }
  return sum - 42;
}

static void fill(const struct scene *scene, double extent_mm, struct lvn_crop *ret_crop) {
  struct lvn_error err = {0};
  struct lvn_crop_options options;
  lvn_roi_gate_crop_options(extent_mm, &options);
  *ret_crop = (struct lvn_crop){.side_mm = options.min_side_mm,
                                .sample_spacing_mm = options.min_side_mm / SIDE,
                                .phase_present = {true, true, true},
                                .slice_count = 3,
                                .key_slice = 1};
  ret_crop->slices = lvn_alloc(3, sizeof *ret_crop->slices, &err);
  for (size_t s = 0; s < 3; s++) {
    struct lvn_crop_slice *slice = &ret_crop->slices[s];
    slice->mask_area_mm2 = 700.0;
    slice->hounsfield = lvn_alloc((size_t)LVN_PHASE_NETWORK_COUNT * SIDE * SIDE, sizeof *slice->hounsfield, &err);
    slice->mask = lvn_alloc((size_t)SIDE * SIDE, 1, &err);
    for (size_t i = 0; i < (size_t)SIDE * SIDE; i++) {
      double x = ((double)(i % SIDE) - 111.5) * ret_crop->sample_spacing_mm;
      double y = ((double)(i / SIDE) - 111.5) * ret_crop->sample_spacing_mm;
      slice->mask[i] = x * x + y * y < 0.25 * extent_mm * extent_mm;
      for (int phase = 0; phase < LVN_PHASE_NETWORK_COUNT; phase++) {
        slice->hounsfield[(size_t)phase * SIDE * SIDE + i] =
            (int16_t)(scene->hounsfield(phase, x, y, 0.5 * extent_mm) + noise(s, phase, x, y));
      }
    }
  }
}

static struct lvn_roi_gate judge(const struct scene *scene, double extent_mm) {
  struct lvn_error err = {0};
  struct lvn_roi_gate gate = {0};
  struct lvn_crop crop;
  fill(scene, extent_mm, &crop);
  assert_true(lvn_roi_gate_judge(&crop, &gate, &err));
  lvn_crop_clear(&crop);
  return gate;
}

static int plain(int phase, double x, double y, double radius_mm) {
  (void)x, (void)y, (void)radius_mm;
  return liver_hu[phase];
}

static int with_vessel(int phase, double x, double y, double radius_mm) {
  (void)radius_mm;
  return fabs(y - 0.4 * x - 3.0) < 2.5 ? vessel_hu[phase] : liver_hu[phase];
}

static int with_gradient(int phase, double x, double y, double radius_mm) {
  (void)y, (void)radius_mm;
  return liver_hu[phase] + (int)(0.4 * x);
}

static int beside_stomach(int phase, double x, double y, double radius_mm) {
  (void)x;
  return y > 0.3 * radius_mm ? stomach_hu[phase] : liver_hu[phase];
}

static int in_fat_beside_liver(int phase, double x, double y, double radius_mm) {
  (void)x, (void)radius_mm;
  return y > -2.0 ? -100 : liver_hu[phase];
}

static bool is_inside(double x, double y, double radius_mm) {
  return x * x + y * y < radius_mm * radius_mm;
}

static int faint_in_one_phase(int phase, double x, double y, double radius_mm) {
  return liver_hu[phase] + (phase == LVN_PHASE_ART && is_inside(x, y, radius_mm) ? 10 : 0);
}

static int cyst(int phase, double x, double y, double radius_mm) {
  return is_inside(x, y, radius_mm) ? 5 : liver_hu[phase];
}

static int cyst_beside_stomach(int phase, double x, double y, double radius_mm) {
  return is_inside(x, y, radius_mm) ? -2 : beside_stomach(phase, x, y, 3.0 * radius_mm);
}

/* As bright as blood in every phase, with a vessel near: what the vessel's few places do not explain. */
static int blood_pool(int phase, double x, double y, double radius_mm) {
  bool is_vessel = fabs(x - radius_mm - 5.0) < 1.5;
  return is_inside(x, y, radius_mm) || is_vessel ? vessel_hu[phase] : liver_hu[phase];
}

/* Equal to the liver in the mean. */
static int mosaic(int phase, double x, double y, double radius_mm) {
  int swing = ((int)floor(x / 7.5) & 1) != 0 ? 45 : -45;
  return liver_hu[phase] + (phase == LVN_PHASE_PV && is_inside(x, y, radius_mm) ? swing : 0);
}

static const struct scene scenes[] = {{"plain liver", plain, false},
                                      {"a vessel through region and ring", with_vessel, false},
                                      {"a gradient of perfusion", with_gradient, false},
                                      {"the edge of the liver to the stomach", beside_stomach, false},
                                      {"half in fat", in_fat_beside_liver, false},
                                      {"10 HU in one phase", faint_in_one_phase, true},
                                      {"a cyst", cyst, true},
                                      {"a cyst beside the stomach", cyst_beside_stomach, true},
                                      {"blood pool beside a vessel", blood_pool, true},
                                      {"equal in the mean", mosaic, true}};

static void test_roi_gate__tells_tissue_from_lesions(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof scenes / sizeof *scenes; i++) {
    struct lvn_roi_gate gate = judge(&scenes[i], EXTENT_MM);
    assert_true(gate.is_judged);
    if (gate.is_lesion != scenes[i].is_lesion) {
      fail_msg("%s: contrast %.1f HU, odd share %.2f", scenes[i].name, gate.contrast_hu, gate.odd_share);
    }
  }
}

static void test_roi_gate__small_and_large_regions(void **state) {
  (void)state;
  const double extents_mm[] = {8.0, 14.0, 60.0, 150.0};
  for (size_t i = 0; i < sizeof extents_mm / sizeof *extents_mm; i++) {
    struct lvn_roi_gate normal = judge(&scenes[0], extents_mm[i]);
    struct lvn_roi_gate found = judge(&scenes[6], extents_mm[i]);
    assert_true(normal.is_judged && !normal.is_lesion);
    assert_true(found.is_judged && found.is_lesion);
  }
}

static int exophytic(int phase, double x, double y, double radius_mm) {
  return is_inside(x, y, radius_mm - 1.0) ? vessel_hu[phase] : y < 0.0 ? -100 : liver_hu[phase];
}

/* Fat on a side that has none about it: neither alike nor a lesion. */
static int much_fat(int phase, double x, double y, double radius_mm) {
  return is_inside(x, y, radius_mm) && y > 0.3 * radius_mm - 3.0 ? -100 : cyst(phase, x, y, radius_mm);
}

static int in_fat(int phase, double x, double y, double radius_mm) {
  return is_inside(x, y, radius_mm) ? vessel_hu[phase] : -100;
}

/* Little contrast agent in a fatty liver. */
static int in_fatty_liver(int phase, double x, double y, double radius_mm) {
  static const int fatty_hu[LVN_PHASE_NETWORK_COUNT] = {-5, 4, 21};
  return is_inside(x, y, radius_mm) ? 40 : fatty_hu[phase];
}

static int phases_swapped(int phase, double x, double y, double radius_mm) {
  static const int other[LVN_PHASE_NETWORK_COUNT] = {LVN_PHASE_NC, LVN_PHASE_PV, LVN_PHASE_ART};
  return cyst(other[phase], x, y, radius_mm);
}

static void test_roi_gate__says_what_the_ring_is(void **state) {
  const struct scene rings[] = {{"liver", cyst, true},
                                {"fat", in_fat, true},
                                {"a fatty liver", in_fatty_liver, true},
                                {"swapped phases", phases_swapped, true},
                                {"half fat, half liver", exophytic, true},
                                {"a region with fat", much_fat, true}};
  struct lvn_roi_gate gate[6];
  (void)state;
  for (size_t i = 0; i < 6; i++) {
    gate[i] = judge(&rings[i], EXTENT_MM);
    assert_true(gate[i].is_judged);
  }
  assert_true(gate[0].liver_share > 0.95 && fabs(gate[0].rise_hu - 62.0) < 8.0 && fabs(gate[0].fall_hu + 37.0) < 8.0);
  assert_true(gate[1].liver_share < 0.01 && isnan(gate[1].rise_hu) && isnan(gate[1].fall_hu));
  assert_true(gate[2].liver_share > 0.8 && gate[2].rise_hu > 20.0 && gate[2].fall_hu < 0.0);
  assert_true(gate[3].fall_hu > 20.0);
  assert_true(gate[4].liver_share > 0.3 && gate[4].liver_share < 0.7 && gate[4].fat_share < 0.05);
  assert_true(gate[5].fat_share > 0.25);
}

/* Without a comparison nothing is claimed. */
static void test_roi_gate__without_region_is_not_judged(void **state) {
  struct lvn_error err = {0};
  struct lvn_roi_gate gate = {0};
  struct lvn_crop crop;
  (void)state;
  fill(&scenes[0], EXTENT_MM, &crop);
  for (size_t s = 0; s < crop.slice_count; s++) {
    for (size_t i = 0; i < (size_t)SIDE * SIDE; i++) {
      crop.slices[s].mask[i] = i == (size_t)SIDE * SIDE / 2;
    }
  }
  assert_true(lvn_roi_gate_judge(&crop, &gate, &err));
  assert_false(gate.is_judged);
  assert_true(gate.is_lesion);
  lvn_crop_clear(&crop);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_roi_gate__tells_tissue_from_lesions),
                                     cmocka_unit_test(test_roi_gate__small_and_large_regions),
                                     cmocka_unit_test(test_roi_gate__says_what_the_ring_is),
                                     cmocka_unit_test(test_roi_gate__without_region_is_not_judged)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
