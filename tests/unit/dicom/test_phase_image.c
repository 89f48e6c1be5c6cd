/* The aorta in the image, by which phases are told apart. */
#include "dicom/read/phase.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <math.h>

/* A body with fat, a vertebra and an aorta, without contrast agent and with. */
static struct lvn_volume paint(double aorta_hu, int shift_x) {
  struct lvn_error err = {0};
  struct lvn_volume volume;
  struct lvn_grid grid = {.size = {192, 160, 12},
                          .spacing_mm = {2, 2, 5},
                          .origin_mm = {-192, -160, 100},
                          .direction = {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}}};
  uint32_t state = 1;
  assert_true(lvn_volume_create(&grid, &volume, &err));
  for (size_t i = 0; i < (size_t)192 * 160 * 12; i++) {
    double x = (double)(i % 192) * 2 - 192 - shift_x;
    double y = (double)(i / 192 % 160) * 2 - 160;
    double hu = hypot(x / 165, y / 115) < 1 ? 50 : -1000;
    hu = hypot(x / 40, (y - 30) / 28) < 1 ? -95 : hu; /* retroperitoneal fat */
    hu = hypot(x, y - 62) < 20 ? (hypot(x, y - 62) < 17 ? 230 : 500) : hu;
    hu = hypot(x - 12, y - 24) < 11 ? aorta_hu : hu;
    hu = hypot(x + 22, y - 20) < 12 ? 0.5 * (aorta_hu + 45) : hu; /* inferior vena cava */
    state = state * 1664525U + 1013904223U;
    volume.hounsfield[i] = (int16_t)lround(hu + (double)(state >> 24) / 255 * 20 - 10);
  }
  return volume;
}

static void test_phase_image__aorta_is_found(void **unused) {
  (void)unused;
  struct lvn_error err = {0};
  const double values[] = {43, 110, 150, 320};
  for (size_t i = 0; i < 4; i++) {
    struct lvn_phase_image image;
    struct lvn_volume volume = paint(values[i], 15);
    assert_true(lvn_phase_measure_image(&volume, &image, &err));
    assert_true(image.aorta_found);
    assert_true(fabs(image.aorta_hu - values[i]) < 10);
    assert_true(hypot(image.aorta_centre_mm[0] - 27, image.aorta_centre_mm[1] - 24) < 8);
    assert_true(fabs(image.soft_tissue_hu - 50) < 15);
    lvn_volume_clear(&volume);
  }
}

static void test_phase_image__no_body_no_aorta(void **unused) {
  (void)unused;
  struct lvn_error err = {0};
  struct lvn_phase_image image;
  struct lvn_volume volume = paint(150, 0);
  for (size_t i = 0; i < (size_t)192 * 160 * 12; i++) {
    volume.hounsfield[i] = i % 2 == 0 ? LVN_HU_PADDING : -1000;
  }
  assert_true(lvn_phase_measure_image(&volume, &image, &err));
  assert_false(image.aorta_found);
  lvn_volume_clear(&volume);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_phase_image__aorta_is_found),
      cmocka_unit_test(test_phase_image__no_body_no_aorta),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
