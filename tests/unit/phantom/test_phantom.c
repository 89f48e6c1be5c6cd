/* The phantom: same seed same bytes, truth where the lesion is, HU of organs per phase, map and motion, overlap of the
 * classes. */
#include "model/image/vocabulary.h"
#include "model/phantom/phantom.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct lvn_phantom_options small_options(uint64_t seed) {
  struct lvn_phantom_options options;
  lvn_phantom_options_default(&options);
  options.seed = seed;
  options.matrix = 128;
  options.slice_thickness_mm = 5.0;
  options.coverage_mm = 40.0;
  options.lesion_count = 1;
  options.lesion_class[0] = LVN_CLASS_HCC;
  options.lesion_diameter_mm[0] = 30.0;
  return options;
}

static struct lvn_phantom make(const struct lvn_phantom_options *options, unsigned threads) {
  struct lvn_phantom phantom = {0};
  struct lvn_error err = {0};
  if (!lvn_phantom_make(options, threads, &phantom, &err)) {
    fail_msg("%s", err.message);
  }
  return phantom;
}

static size_t voxel_count(const struct lvn_grid *grid) {
  return (size_t)grid->size[0] * grid->size[1] * grid->size[2];
}

static void test_phantom__same_seed_same_bytes(void **state) {
  (void)state;
  struct lvn_phantom_options options = small_options(11);
  struct lvn_phantom one = make(&options, 1);
  struct lvn_phantom two = make(&options, 2);
  options.seed = 12;
  struct lvn_phantom other = make(&options, 2);
  for (int phase = 0; phase < LVN_PHASE_NETWORK_COUNT; phase++) {
    size_t count = voxel_count(&one.volume[phase].grid);
    assert_memory_equal(&one.volume[phase].grid, &two.volume[phase].grid, sizeof one.volume[phase].grid);
    assert_memory_equal(one.volume[phase].hounsfield, two.volume[phase].hounsfield, count * sizeof(int16_t));
    assert_memory_equal(one.lesions[0].mask[phase].inside, two.lesions[0].mask[phase].inside, count);
  }
  assert_null(one.volume[LVN_PHASE_DL].hounsfield);
  assert_memory_not_equal(one.volume[0].hounsfield, other.volume[0].hounsfield, (size_t)128 * 128 * sizeof(int16_t));
  lvn_phantom_clear(&one);
  lvn_phantom_clear(&two);
  lvn_phantom_clear(&other);
}

static void test_phantom__mask_lies_at_centre(void **state) {
  (void)state;
  for (uint64_t seed = 20; seed < 26; seed++) {
    struct lvn_phantom_options options = small_options(seed);
    options.slice_thickness_mm = 2.0;
    struct lvn_phantom phantom = make(&options, 2);
    const struct lvn_phantom_lesion *lesion = &phantom.lesions[0];
    assert_int_equal(phantom.lesion_count, 1);
    for (int phase = 0; phase < LVN_PHASE_NETWORK_COUNT; phase++) {
      const struct lvn_mask *mask = &lesion->mask[phase];
      double centroid[3];
      size_t count = lvn_mask_measure(mask, NULL, NULL, centroid);
      const double *spacing = mask->grid.spacing_mm;
      double volume = (double)count * spacing[0] * spacing[1] * spacing[2];
      double diameter = cbrt(6.0 * volume / M_PI);
      assert_true(fabs(diameter - lesion->diameter_mm) < 0.08 * lesion->diameter_mm);
      for (int axis = 0; axis < 3; axis++) {
        double expected = lesion->centre_mm[axis] + lesion->displacement_mm[phase][axis];
        assert_true(fabs(centroid[axis] - expected) < 2.5);
      }
    }
    lvn_phantom_clear(&phantom);
  }
}

static void test_phantom__every_class_has_a_mask_at_seven_mm(void **state) {
  (void)state;
  struct lvn_phantom_options options = small_options(31);
  options.slice_thickness_mm = 7.0;
  options.coverage_mm = 0.0;
  options.lesion_count = 8;
  options.matrix = 256;
  for (size_t i = 0; i < options.lesion_count; i++) {
    options.lesion_class[i] = (enum lvn_class)(i % LVN_CLASS_PAPER_COUNT);
    options.lesion_diameter_mm[i] = i < 4 ? 9.0 : 25.0;
  }
  struct lvn_phantom phantom = make(&options, 2);
  assert_int_equal(phantom.lesion_count, 8);
  for (size_t i = 0; i < 8; i++) {
    assert_true(phantom.lesions[i].subtype[0] != '\0');
    for (int phase = 0; phase < LVN_PHASE_NETWORK_COUNT; phase++) {
      assert_true(lvn_mask_measure(&phantom.lesions[i].mask[phase], NULL, NULL, NULL) > 0);
    }
    for (size_t j = 0; j < i; j++) {
      double square = 0.0;
      for (int axis = 0; axis < 3; axis++) {
        square += pow(phantom.lesions[i].centre_mm[axis] - phantom.lesions[j].centre_mm[axis], 2.0);
      }
      assert_true(sqrt(square) > 0.5 * (phantom.lesions[i].diameter_mm + phantom.lesions[j].diameter_mm));
    }
  }
  lvn_phantom_clear(&phantom);
}

/* The image moves as the map says: a lesion's truth in a phase, brought back, is its truth in the reference phase. */
static void test_phantom__map_agrees_with_masks(void **state) {
  (void)state;
  struct lvn_phantom_options options = small_options(41);
  options.slice_thickness_mm = 1.0;
  options.matrix = 256;
  struct lvn_phantom phantom = make(&options, 2);
  const struct lvn_mask *reference = &phantom.lesions[0].mask[LVN_PHASE_PV];
  const struct lvn_mask *moved = &phantom.lesions[0].mask[LVN_PHASE_ART];
  size_t inside = 0;
  size_t agree = 0;
  size_t at = 0;
  for (uint32_t z = 0; z < reference->grid.size[2]; z++) {
    for (uint32_t y = 0; y < reference->grid.size[1]; y++) {
      for (uint32_t x = 0; x < reference->grid.size[0]; x++, at++) {
        if (reference->inside[at] == 0) {
          continue;
        }
        const double index[3] = {x, y, z};
        double here[3];
        double there[3];
        double back[3];
        lvn_grid_to_patient(&reference->grid, index, here);
        lvn_phantom_map(&phantom, LVN_PHASE_ART, here, there);
        lvn_grid_to_index(&moved->grid, there, back);
        inside++;
        const uint32_t *size = moved->grid.size;
        size_t nearest = ((size_t)lrint(back[2]) * size[1] + (size_t)lrint(back[1])) * size[0] + (size_t)lrint(back[0]);
        assert_true(nearest < voxel_count(&moved->grid));
        agree += moved->inside[nearest];
      }
    }
  }
  assert_true(inside > 1000);
  /* Only voxels at the surface may fall on the other side. */
  assert_true((double)agree > 0.94 * (double)inside);
  lvn_phantom_clear(&phantom);
}

static void test_phantom__motion_zero_moves_nothing(void **state) {
  (void)state;
  struct lvn_phantom_options options = small_options(51);
  options.motion_scale = 0.0;
  struct lvn_phantom phantom = make(&options, 2);
  const double point[3] = {-60.0, -10.0, 5.0};
  double moved[3];
  for (int phase = 0; phase < LVN_PHASE_COUNT; phase++) {
    lvn_phantom_map(&phantom, (enum lvn_phase)phase, point, moved);
    for (int axis = 0; axis < 3; axis++) {
      assert_true(fabs(moved[axis] - point[axis]) < 1e-12);
      assert_true(fabs(phantom.lesions[0].displacement_mm[phase][axis]) < 1e-12);
    }
  }
  lvn_phantom_clear(&phantom);
}

static void test_phantom__breathing_spares_spine_and_reference(void **state) {
  (void)state;
  double most = 0.0;
  for (uint64_t seed = 1; seed <= 60; seed++) {
    struct lvn_phantom phantom = {.options = small_options(seed)};
    const double liver[3] = {-60.0, -10.0, 5.0};
    const double vertebra[3] = {0.0, 60.0, 5.0};
    double moved[3];
    lvn_phantom_map(&phantom, LVN_PHASE_PV, liver, moved);
    assert_true(fabs(moved[2] - liver[2]) < 1e-9);
    lvn_phantom_map(&phantom, LVN_PHASE_ART, vertebra, moved);
    assert_true(fabs(moved[2] - vertebra[2]) < 1e-9);
    lvn_phantom_map(&phantom, LVN_PHASE_ART, liver, moved);
    most = fmax(most, fabs(moved[2] - liver[2]));
    assert_true(fabs(moved[2] - liver[2]) < 36.5);
    assert_true(fabs(moved[1] - liver[1]) < 11.5);
  }
  assert_true(most > 12.0);
}

/* Mean HU in a ball. */
static double mean_at(const struct lvn_volume *volume, const double centre[3], double radius_mm) {
  double sum = 0.0;
  double count = 0.0;
  for (double z = -radius_mm; z <= radius_mm; z += 2.0) {
    for (double y = -radius_mm; y <= radius_mm; y += 1.0) {
      for (double x = -radius_mm; x <= radius_mm; x += 1.0) {
        const double at[3] = {centre[0] + x, centre[1] + y, centre[2] + z};
        float value = lvn_volume_sample(volume, at);
        if (x * x + y * y + z * z <= radius_mm * radius_mm && value > (float)LVN_HU_PADDING) {
          sum += value;
          count += 1.0;
        }
      }
    }
  }
  return sum / count;
}

static void test_phantom__organs_enhance_as_published(void **state) {
  (void)state;
  for (uint64_t seed = 61; seed < 65; seed++) {
    struct lvn_phantom_options options = small_options(seed);
    options.has_phase[LVN_PHASE_DL] = true;
    options.lesion_diameter_mm[0] = 10.0;
    struct lvn_phantom phantom = make(&options, 2);
    double z = phantom.lesions[0].centre_mm[2];
    const double aorta[3] = {11.0, 28.0, z};
    const double paraspinal[3] = {-33.0, 95.0, z};
    static const double aorta_range[LVN_PHASE_COUNT][2] = {{30, 55}, {200, 400}, {105, 200}, {75, 140}};
    for (int phase = 0; phase < LVN_PHASE_COUNT; phase++) {
      double blood = mean_at(&phantom.volume[phase], aorta, 5.0);
      double muscle = mean_at(&phantom.volume[phase], paraspinal, 5.0);
      assert_true(blood > aorta_range[phase][0] && blood < aorta_range[phase][1]);
      assert_true(muscle > 35.0 && muscle < 85.0);
    }
    /* Parenchyma: the ring about the small lesion, at the median to pass over vessels. */
    double liver[LVN_PHASE_COUNT];
    for (int phase = 0; phase < LVN_PHASE_COUNT; phase++) {
      double values[8];
      for (int i = 0; i < 8; i++) {
        double here[3] = {phantom.lesions[0].centre_mm[0] + 9.0 * cos(i * M_PI / 4.0),
                          phantom.lesions[0].centre_mm[1] + 9.0 * sin(i * M_PI / 4.0), z};
        double there[3];
        lvn_phantom_map(&phantom, (enum lvn_phase)phase, here, there);
        values[i] = mean_at(&phantom.volume[phase], there, 2.0);
        for (int j = i; j > 0 && values[j] < values[j - 1]; j--) {
          double swap = values[j];
          values[j] = values[j - 1];
          values[j - 1] = swap;
        }
      }
      liver[phase] = 0.5 * (values[3] + values[4]);
    }
    assert_true(liver[LVN_PHASE_NC] > 15.0 && liver[LVN_PHASE_NC] < 75.0);
    assert_true(liver[LVN_PHASE_PV] - liver[LVN_PHASE_NC] > 25.0);
    assert_true(liver[LVN_PHASE_ART] < liver[LVN_PHASE_PV]);
    assert_true(liver[LVN_PHASE_DL] < liver[LVN_PHASE_PV] + 8.0);
    lvn_phantom_clear(&phantom);
  }
}

#define OVERLAP_PHANTOMS 24
#define OVERLAP_LESIONS 4

/* Mean HU per phase is what a reader with a cursor would measure. Leave-one-out nearest mean must stay well under what
 * the pictures allow: the classes differ in texture. */
static void test_phantom__classes_overlap_in_mean(void **state) {
  (void)state;
  static double feature[OVERLAP_PHANTOMS * OVERLAP_LESIONS][3];
  static int label[OVERLAP_PHANTOMS * OVERLAP_LESIONS];
  size_t count = 0;
  for (uint64_t seed = 0; seed < OVERLAP_PHANTOMS; seed++) {
    struct lvn_phantom_options options = small_options(1000 + seed);
    options.matrix = 128;
    options.lesion_count = OVERLAP_LESIONS;
    options.slice_thickness_mm = 7.0;
    for (size_t i = 0; i < OVERLAP_LESIONS; i++) {
      options.lesion_class[i] = (enum lvn_class)i;
      options.lesion_diameter_mm[i] = 10.0 * pow(4.0, (double)((seed * 7 + i * 5) % 24) / 23.0);
    }
    struct lvn_phantom phantom = make(&options, 2);
    for (size_t i = 0; i < phantom.lesion_count; i++, count++) {
      label[count] = (int)phantom.lesions[i].lesion_class;
      for (int phase = 0; phase < 3; phase++) {
        const struct lvn_mask *mask = &phantom.lesions[i].mask[phase];
        double sum = 0.0;
        double inside = 0.0;
        for (size_t at = 0; at < voxel_count(&mask->grid); at++) {
          sum += mask->inside[at] != 0 ? phantom.volume[phase].hounsfield[at] : 0.0;
          inside += mask->inside[at];
        }
        feature[count][phase] = sum / inside;
      }
    }
    lvn_phantom_clear(&phantom);
  }
  size_t right = 0;
  size_t right_of[LVN_CLASS_PAPER_COUNT] = {0};
  for (size_t left_out = 0; left_out < count; left_out++) {
    double mean[LVN_CLASS_PAPER_COUNT][3] = {{0}};
    double members[LVN_CLASS_PAPER_COUNT] = {0};
    double best = INFINITY;
    int answer = 0;
    for (size_t i = 0; i < count; i++) {
      for (int phase = 0; i != left_out && phase < 3; phase++) {
        mean[label[i]][phase] += feature[i][phase];
      }
      members[label[i]] += i != left_out ? 1.0 : 0.0;
    }
    for (int c = 0; c < LVN_CLASS_PAPER_COUNT; c++) {
      double distance = 0.0;
      for (int phase = 0; phase < 3; phase++) {
        distance += pow(feature[left_out][phase] - mean[c][phase] / members[c], 2.0);
      }
      answer = distance < best ? c : answer;
      best = fmin(best, distance);
    }
    right += answer == label[left_out] ? 1 : 0;
    right_of[label[left_out]] += answer == label[left_out] ? 1 : 0;
  }
  double accuracy = (double)right / (double)count;
  print_message("nearest mean of (NC, ART, PV): %.3f of %zu lesions (CYST %zu, FNH %zu, HCC %zu, HEM %zu of %d)\n",
                accuracy, count, right_of[0], right_of[1], right_of[2], right_of[3], OVERLAP_PHANTOMS);
  assert_true(accuracy < 0.85);
  assert_true(accuracy > 0.40);
}

static void test_phantom__refuses_nonsense(void **state) {
  (void)state;
  struct lvn_phantom phantom;
  struct lvn_error err = {0};
  struct lvn_phantom_options options = small_options(1);
  options.matrix = 7;
  assert_false(lvn_phantom_make(&options, 1, &phantom, &err));
  assert_int_equal(err.code, LVN_ERROR_USAGE);
  options = small_options(1);
  options.lesion_count = LVN_PHANTOM_LESIONS_MAX + 1;
  assert_false(lvn_phantom_make(&options, 1, &phantom, &err));
  options = small_options(1);
  options.slice_thickness_mm = NAN;
  assert_false(lvn_phantom_make(&options, 1, &phantom, &err));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_phantom__same_seed_same_bytes),
      cmocka_unit_test(test_phantom__mask_lies_at_centre),
      cmocka_unit_test(test_phantom__every_class_has_a_mask_at_seven_mm),
      cmocka_unit_test(test_phantom__map_agrees_with_masks),
      cmocka_unit_test(test_phantom__motion_zero_moves_nothing),
      cmocka_unit_test(test_phantom__breathing_spares_spine_and_reference),
      cmocka_unit_test(test_phantom__organs_enhance_as_published),
      cmocka_unit_test(test_phantom__classes_overlap_in_mean),
      cmocka_unit_test(test_phantom__refuses_nonsense),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
