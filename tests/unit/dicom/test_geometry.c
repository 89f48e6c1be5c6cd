#include "base/memory.h"
#include "dicom/read/exclusion.h"
#include "dicom/read/geometry.h"
#include "dicom/read/roi_raster.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct lvn_plane axial_plane(void) {
  return (struct lvn_plane){.columns = 8,
                            .rows = 6,
                            .spacing_mm = {0.5, 0.75},
                            .direction = {{1.0, 0.0, 0.0}, {0.0, 1.0, 0.0}},
                            .thickness_mm = 5.0};
}

static struct lvn_geometry measure(const struct lvn_plane *plane, const double *z, size_t count) {
  double positions[64][3];
  struct lvn_geometry geometry;
  for (size_t k = 0; k < count; k++) {
    positions[k][0] = -10.0;
    positions[k][1] = 20.0;
    positions[k][2] = z[k];
  }
  lvn_geometry_measure(plane, positions, count, &geometry);
  return geometry;
}

static void assert_says(const char *text, const char *part) {
  if (strstr(text, part) == NULL) {
    fail_msg("'%s' does not say '%s'", text, part);
  }
}

static void test_geometry__takes_regular_slices(void **state) {
  const double z[] = {-100.0, -97.5, -95.0, -92.5};
  struct lvn_plane plane = axial_plane();
  struct lvn_geometry g = measure(&plane, z, 4);
  (void)state;
  assert_string_equal(g.problem, "");
  assert_string_equal(g.note, "");
  assert_int_equal(g.grid.size[0], 8);
  assert_int_equal(g.grid.size[1], 6);
  assert_int_equal(g.grid.size[2], 4);
  assert_true(fabs(g.grid.spacing_mm[2] - (2.5)) <= 1e-9);
  assert_true(fabs(g.grid.origin_mm[2] - (-100.0)) <= 1e-9);
  assert_false(g.is_sheared || g.is_respaced);
}

static void test_geometry__accepts_rounded_positions(void **state) {
  const double z[] = {0.0, 0.63, 1.25, 1.88, 2.5, 3.13};
  struct lvn_plane plane = axial_plane();
  struct lvn_geometry g = measure(&plane, z, 6);
  (void)state;
  assert_string_equal(g.problem, "");
  assert_string_equal(g.note, "");
}

static void test_geometry__names_missing_slices(void **state) {
  const double one[] = {0.0, 5.0, 10.0, 20.0, 25.0};
  const double three[] = {0.0, 5.0, 10.0, 30.0, 35.0, 40.0};
  struct lvn_plane plane = axial_plane();
  struct lvn_geometry g = measure(&plane, one, 5);
  (void)state;
  assert_says(g.problem, "1 slice is missing near (-10.0, 20.0, 15.0) mm");
  g = measure(&plane, three, 6);
  assert_says(g.problem, "3 slices are missing near (-10.0, 20.0, 15.0) mm");
}

static void test_geometry__refuses_uneven_spacing(void **state) {
  const double z[] = {0.0, 5.0, 10.0, 16.5, 21.5};
  struct lvn_plane plane = axial_plane();
  struct lvn_geometry g = measure(&plane, z, 5);
  (void)state;
  assert_says(g.problem, "not evenly spaced: 6.50 mm");
}

static void test_geometry__respaces_small_deviations(void **state) {
  const double z[] = {0.0, 5.2, 10.0, 15.0};
  struct lvn_plane plane = axial_plane();
  struct lvn_geometry g = measure(&plane, z, 4);
  double positions[4][3] = {{0, 0, 0.0}, {0, 0, 5.2}, {0, 0, 10.0}, {0, 0, 15.0}};
  int16_t slices[4 * 48];
  struct lvn_volume volume = {0};
  struct lvn_error err;
  (void)state;
  assert_string_equal(g.problem, "");
  assert_says(g.note, "slices up to 0.20 mm off an even spacing of 5.00 mm resampled");
  assert_true(g.is_respaced);
  for (size_t i = 0; i < 4 * 48; i++) {
    slices[i] = (int16_t)lround(positions[i / 48][2] * 100.0); /* HU is linear in z: interpolation is exact */
  }
  assert_true(lvn_geometry_resample(&g, &plane, positions, 4, slices, &volume, &err));
  for (size_t k = 0; k < 4; k++) {
    assert_in_range(volume.hounsfield[k * 48 + 11] + 1000, 1000 + 500 * k - 1, 1000 + 500 * k + 1);
  }
  lvn_volume_clear(&volume);
}

/* A sheared stack of a plane z = const in the patient: after resampling each patient position has its own value. */
static void test_geometry__straightens_gantry_tilt(void **state) {
  const double cosine = cos(0.3);
  const double sine = sin(0.3);
  struct lvn_plane plane = {
      .columns = 16, .rows = 40, .spacing_mm = {1.0, 1.0}, .direction = {{1.0, 0.0, 0.0}, {0.0, cosine, -sine}}};
  double positions[6][3];
  int16_t *slices = NULL;
  struct lvn_geometry g;
  struct lvn_volume volume = {0};
  struct lvn_error err;
  (void)state;
  slices = lvn_alloc((size_t)6 * 640, sizeof *slices, &err);
  assert_non_null(slices);
  for (size_t k = 0; k < 6; k++) {
    positions[k][0] = 0.0;
    positions[k][1] = -20.0;
    positions[k][2] = 4.0 * (double)k; /* the table moves along z, the slices are tilted */
    for (size_t i = 0; i < 640; i++) {
      double v = (double)(i / 16);
      slices[k * 640 + i] = (int16_t)lround(10.0 * (positions[k][1] + cosine * v)); /* HU = 10 * y in mm */
    }
  }
  lvn_geometry_measure(&plane, positions, 6, &g);
  assert_string_equal(g.problem, "");
  assert_says(g.note, "gantry tilt 17.2 degrees resampled");
  assert_true(g.is_sheared);
  assert_true(fabs(g.grid.spacing_mm[2] - (4.0 * cosine)) <= 1e-9);
  assert_true(lvn_geometry_resample(&g, &plane, positions, 6, slices, &volume, &err));
  size_t measured = 0;
  for (uint32_t k = 0; k < 6; k++) {
    for (uint32_t y = 0; y < g.grid.size[1]; y++) {
      const double index[3] = {3.0, y, k};
      int16_t hu = volume.hounsfield[((size_t)k * g.grid.size[1] + y) * 16 + 3];
      double mm[3];
      lvn_grid_to_patient(&g.grid, index, mm);
      if (hu != LVN_HU_PADDING) {
        assert_true(fabs(hu - 10.0 * mm[1]) < 6.0); /* half a pixel at the stack's edge */
        measured++;
      }
    }
  }
  assert_true(measured >= 6 * 39);
  lvn_volume_clear(&volume);
  lvn_free(slices);
}

static void test_geometry__refuses_sideways_jumps(void **state) {
  const double positions[4][3] = {{0, 0, 0}, {0, 0, 5}, {3, 0, 10}, {0, 0, 15}};
  struct lvn_plane plane = axial_plane();
  struct lvn_geometry g;
  (void)state;
  lvn_geometry_measure(&plane, positions, 4, &g);
  assert_says(g.problem, "do not lie behind one another");
}

static void test_geometry__judges_single_slices(void **state) {
  const double z[] = {7.0};
  struct lvn_plane plane = axial_plane();
  struct lvn_geometry g = measure(&plane, z, 1);
  (void)state;
  assert_string_equal(g.problem, "");
  assert_true(fabs(g.grid.spacing_mm[2] - (5.0)) <= 0.0);
  plane.thickness_mm = 0.0;
  g = measure(&plane, z, 1);
  assert_says(g.problem, "a single slice without a thickness");
  plane = axial_plane();
  plane.spacing_mm[0] = 0.0;
  g = measure(&plane, z, 1);
  assert_says(g.problem, "pixel spacing");
}

static void test_geometry__finds_runs_of_spacing(void **state) {
  const double two[] = {0, 4, 8, 12, 16, 23, 30, 37, 44};
  const double hole[] = {0, 4, 8, 12, 24, 28, 32, 36};
  (void)state;
  assert_int_equal(lvn_geometry_first_run(two, 9), 5);
  assert_int_equal(lvn_geometry_first_run(two, 5), 5);
  assert_int_equal(lvn_geometry_first_run(hole, 8), 8);
}

static void test_geometry__checks_orientation(void **state) {
  const double fine[6] = {1, 0, 0, 0, 0.948324, -0.317305};
  const double skew[6] = {1, 0, 0, 0.5, 0.866, 0};
  const double zero[6] = {0};
  const double nan[6] = {NAN, 0, 0, 0, 1, 0};
  struct lvn_plane plane;
  double normal[3];
  (void)state;
  assert_true(lvn_plane_from_orientation(fine, &plane));
  lvn_plane_normal(&plane, normal);
  assert_true(fabs(normal[2] - (0.948324)) <= 1e-5);
  assert_false(lvn_plane_from_orientation(skew, &plane));
  assert_false(lvn_plane_from_orientation(zero, &plane));
  assert_false(lvn_plane_from_orientation(nan, &plane));
}

static void test_exclusion__knows_what_is_no_phase(void **state) {
  static const struct {
    const char *image_type;
    const char *description;
    const char *rescale_type;
    double normal_z;
    size_t slices;
    size_t positions;
    enum lvn_exclusion expected;
  } rows[] = {
      {"ORIGINAL\\PRIMARY\\AXIAL", "Leber arteriell 3.0", "HU", 1.0, 60, 60, LVN_EXCLUSION_NONE},
      {"DERIVED\\PRIMARY\\AXIAL", "portal venous", "", 1.0, 60, 60, LVN_EXCLUSION_NONE},
      {"ORIGINAL\\PRIMARY\\LOCALIZER", "", "", 0.0, 1, 1, LVN_EXCLUSION_LOCALIZER},
      {"ORIGINAL\\PRIMARY\\AXIAL", "Topogram 0.6", "", 0.0, 2, 2, LVN_EXCLUSION_LOCALIZER},
      {"DERIVED\\SECONDARY\\OTHER", "Patient Protocol", "", 1.0, 1, 1, LVN_EXCLUSION_DOSE_SCREEN},
      {"ORIGINAL\\PRIMARY\\AXIAL", "", "HU", 1.0, 12, 1, LVN_EXCLUSION_BOLUS_TRACKING},
      {"ORIGINAL\\PRIMARY\\AXIAL", "PreMonitoring", "HU", 1.0, 1, 1, LVN_EXCLUSION_BOLUS_TRACKING},
      {"DERIVED\\SECONDARY\\AXIAL\\MIP", "", "HU", 1.0, 30, 30, LVN_EXCLUSION_PROJECTION},
      {"DERIVED\\PRIMARY\\AXIAL", "art thick MIP", "HU", 1.0, 30, 30, LVN_EXCLUSION_PROJECTION},
      {"DERIVED\\SECONDARY\\MPR", "Cor", "HU", 0.0, 80, 80, LVN_EXCLUSION_REFORMAT},
      {"DERIVED\\PRIMARY\\PERFUSION\\RCBF", "", "US", 1.0, 2, 2, LVN_EXCLUSION_SECONDARY},
      {"DERIVED\\PRIMARY\\AXIAL", "", "MGML", 1.0, 60, 60, LVN_EXCLUSION_SECONDARY},
  };
  (void)state;
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    const struct lvn_exclusion_traits facts = {.image_type = rows[i].image_type,
                                               .series_description = rows[i].description,
                                               .protocol_name = "",
                                               .image_comments = "",
                                               .derivation = "",
                                               .kv = NAN,
                                               .energy_kev = NAN,
                                               .rescale_type = rows[i].rescale_type,
                                               .volume_calculation = "",
                                               .volumetric_properties = "",
                                               .is_grey = true,
                                               .normal_z = rows[i].normal_z,
                                               .slice_count = rows[i].slices,
                                               .position_count = rows[i].positions};
    char reserve[LVN_TEXT_BYTES];
    enum lvn_exclusion found = lvn_exclusion_decide(&facts, reserve);
    if (found != rows[i].expected) {
      fail_msg("row %zu: %s, not %s", i, lvn_exclusion_name(found), lvn_exclusion_name(rows[i].expected));
    }
  }
}

static size_t fill(const double (*points)[2], size_t count, uint32_t columns, uint32_t rows, uint8_t *slice) {
  struct lvn_error err;
  size_t inside = 0;
  assert_true(lvn_raster_fill_polygon(points, count, columns, rows, slice, &err));
  for (size_t i = 0; i < (size_t)columns * rows; i++) {
    inside += slice[i];
  }
  return inside;
}

static void test_roi_raster__fills_by_pixel_centres(void **state) {
  const double square[4][2] = {{0.5, 0.5}, {3.5, 0.5}, {3.5, 2.5}, {0.5, 2.5}};
  uint8_t slice[5 * 4] = {0};
  static const uint8_t expected[5 * 4] = {0, 0, 0, 0, 0, 0, 1, 1, 1, 0, 0, 1, 1, 1, 0, 0, 0, 0, 0, 0};
  (void)state;
  assert_int_equal(fill(square, 4, 5, 4, slice), 6);
  assert_memory_equal(slice, expected, sizeof expected);
}

/* An outline listed twice, and one that runs over itself either way round, count once; a keyhole's inner way, which
 * runs against the outer one, is left out. */
static void test_roi_raster__counts_windings(void **state) {
  const double twice[8][2] = {{0.5, 0.5}, {3.5, 0.5}, {3.5, 2.5}, {0.5, 2.5},
                              {0.5, 0.5}, {3.5, 0.5}, {3.5, 2.5}, {0.5, 2.5}};
  const double eight[4][2] = {{-0.5, -0.5}, {4.5, 3.5}, {4.5, -0.5}, {-0.5, 3.5}};
  const double keyhole[10][2] = {{-0.5, -0.5}, {4.5, -0.5}, {4.5, 3.5}, {-0.5, 3.5}, {-0.5, 0.5},
                                 {1.5, 0.5},   {1.5, 2.5},  {2.5, 2.5}, {2.5, 0.5},  {-0.5, 0.5}};
  uint8_t slice[5 * 4] = {0};
  (void)state;
  assert_int_equal(fill(twice, 8, 5, 4, slice), 6);
  memset(slice, 0, sizeof slice);
  assert_int_equal(fill(eight, 4, 5, 4, slice), 12);
  memset(slice, 0, sizeof slice);
  assert_int_equal(fill(keyhole, 10, 5, 4, slice), 18);
  assert_int_equal(slice[1 * 5 + 2], 0);
}

/* Two neighbours with a common edge through pixel centres share no pixel and leave none out. */
static void test_roi_raster__gives_shared_edges_to_one_side(void **state) {
  const double left[4][2] = {{0, 0}, {2, 0}, {2, 4}, {0, 4}};
  const double right[4][2] = {{2, 0}, {4, 0}, {4, 4}, {2, 4}};
  uint8_t slice[5 * 5] = {0};
  uint8_t other[5 * 5] = {0};
  (void)state;
  assert_int_equal(fill(left, 4, 5, 5, slice), 8);
  assert_int_equal(fill(right, 4, 5, 5, other), 8);
  for (size_t i = 0; i < 25; i++) {
    assert_int_equal(slice[i] + other[i], i % 5 < 4 && i / 5 < 4);
  }
}

static void test_roi_raster__clips_and_measures_ellipses(void **state) {
  const double centre[2] = {50.0, 40.0};
  const double major[2] = {20.0, 0.0};
  const double minor[2] = {0.0, 10.0};
  const double big[4][2] = {{-1e5, -1e5}, {1e5, -1e5}, {1e5, 1e5}, {-1e5, 1e5}};
  double points[LVN_RASTER_ELLIPSE_POINTS][2];
  uint8_t *slice = NULL;
  struct lvn_error err;
  (void)state;
  slice = lvn_alloc((size_t)100 * 80, 1, &err);
  assert_non_null(slice);
  lvn_raster_ellipse(centre, major, minor, points);
  double area = (double)fill(points, LVN_RASTER_ELLIPSE_POINTS, 100, 80, slice);
  assert_true(fabs(area / (M_PI * 200.0) - 1.0) < 0.02);
  memset(slice, 0, (size_t)100 * 80);
  assert_int_equal(fill(big, 2, 100, 80, slice), 0);
  assert_int_equal(fill(big, 4, 100, 80, slice), 8000);
  lvn_free(slice);
}

static void test_roi_raster__unpacks_rle_within_bounds(void **state) {
  uint8_t frame[64 + 6] = {1, 0, 0, 0, 64, 0, 0, 0};
  const uint8_t packed[6] = {0xFD, 7, 1, 8, 9, 0x80}; /* 4 x 7, then 8 9, then nothing */
  const uint8_t expected[6] = {7, 7, 7, 7, 8, 9};
  uint8_t bytes[8];
  struct lvn_error err;
  (void)state;
  memcpy(frame + 64, packed, sizeof packed);
  assert_true(lvn_raster_unpack_rle(frame, sizeof frame, 1, 6, bytes, &err));
  assert_memory_equal(bytes, expected, 6);
  assert_true(lvn_raster_unpack_rle(frame, sizeof frame, 1, 3, bytes, &err));
  assert_false(lvn_raster_unpack_rle(frame, sizeof frame, 1, 7, bytes, &err));
  assert_false(lvn_raster_unpack_rle(frame, sizeof frame, 2, 6, bytes, &err));
  assert_false(lvn_raster_unpack_rle(frame, 63, 1, 6, bytes, &err));
  frame[4] = 71; /* the segment begins behind the frame's end */
  assert_false(lvn_raster_unpack_rle(frame, sizeof frame, 1, 6, bytes, &err));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_geometry__takes_regular_slices),
      cmocka_unit_test(test_geometry__accepts_rounded_positions),
      cmocka_unit_test(test_geometry__names_missing_slices),
      cmocka_unit_test(test_geometry__refuses_uneven_spacing),
      cmocka_unit_test(test_geometry__respaces_small_deviations),
      cmocka_unit_test(test_geometry__straightens_gantry_tilt),
      cmocka_unit_test(test_geometry__refuses_sideways_jumps),
      cmocka_unit_test(test_geometry__judges_single_slices),
      cmocka_unit_test(test_geometry__finds_runs_of_spacing),
      cmocka_unit_test(test_geometry__checks_orientation),
      cmocka_unit_test(test_exclusion__knows_what_is_no_phase),
      cmocka_unit_test(test_roi_raster__fills_by_pixel_centres),
      cmocka_unit_test(test_roi_raster__counts_windings),
      cmocka_unit_test(test_roi_raster__gives_shared_edges_to_one_side),
      cmocka_unit_test(test_roi_raster__clips_and_measures_ellipses),
      cmocka_unit_test(test_roi_raster__unpacks_rle_within_bounds),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
