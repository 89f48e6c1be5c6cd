/* The phantom's breathing: the way back undoes the way there, nothing folds, and at the wall all motion goes along it.
 */
#include "model/phantom/phantom_internal.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define SEEDS 150
#define POINTS 40

struct draw {
  struct lvn_phantom_patient patient;
  struct lvn_phantom_motion motion;
};

static struct draw draw(uint64_t seed, double scale) {
  struct draw drawn;
  lvn_phantom_patient_draw(seed, &(struct lvn_phantom_world){0}, &drawn.patient);
  lvn_phantom_motion_draw(seed, LVN_PHASE_ART, scale, &drawn.patient, &drawn.motion);
  return drawn;
}

/* A point within the cavity (level 0 in its middle, 1 at its wall). */
static void draw_point(const struct draw *drawn, double level, struct lvn_phantom_random *random, double ret_mm[3]) {
  double angle = lvn_phantom_random_uniform(random, 0.0, 2.0 * M_PI);
  ret_mm[0] = sqrt(level) * cos(angle) * (double)drawn->patient.cavity[0];
  ret_mm[1] = sqrt(level) * sin(angle) * (double)drawn->patient.cavity[1];
  ret_mm[2] = lvn_phantom_random_uniform(random, -110.0, 110.0);
}

static double determinant(const struct lvn_phantom_motion *motion, const double at_mm[3]) {
  const double step_mm = 0.01;
  double slope[3][3];
  for (int axis = 0; axis < 3; axis++) {
    double low[3] = {at_mm[0], at_mm[1], at_mm[2]};
    double high[3] = {at_mm[0], at_mm[1], at_mm[2]};
    double from_low[3];
    double from_high[3];
    low[axis] -= step_mm;
    high[axis] += step_mm;
    lvn_phantom_motion_inverse(motion, low, from_low);
    lvn_phantom_motion_inverse(motion, high, from_high);
    for (int row = 0; row < 3; row++) {
      slope[row][axis] = (from_high[row] - from_low[row]) / (2.0 * step_mm);
    }
  }
  return slope[0][0] * (slope[1][1] * slope[2][2] - slope[1][2] * slope[2][1]) -
         slope[0][1] * (slope[1][0] * slope[2][2] - slope[1][2] * slope[2][0]) +
         slope[0][2] * (slope[1][0] * slope[2][1] - slope[1][1] * slope[2][0]);
}

/* Up to the largest scale that lvn_phantom_make() takes. */
static void test_phantom_motion__forward_undoes_inverse(void **state) {
  (void)state;
  static const double scales[] = {1.0, 1.3, 2.0};
  for (size_t i = 0; i < sizeof scales / sizeof *scales; i++) {
    double least = INFINITY;
    double most = 0.0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
      struct draw drawn = draw(seed, scales[i]);
      struct lvn_phantom_random random = lvn_phantom_random_start(seed, 1);
      for (int point = 0; point < POINTS; point++) {
        double phase[3];
        double reference[3];
        double back[3];
        draw_point(&drawn, lvn_phantom_random_uniform(&random, 0.0, 1.0), &random, phase);
        lvn_phantom_motion_inverse(&drawn.motion, phase, reference);
        lvn_phantom_motion_forward(&drawn.motion, reference, back);
        least = fmin(least, determinant(&drawn.motion, phase));
        most = fmax(most, fmax(fabs(back[0] - phase[0]), fmax(fabs(back[1] - phase[1]), fabs(back[2] - phase[2]))));
      }
    }
    print_message("scale %.1f: least determinant %.2f, way there and back at most %.1e mm off\n", scales[i], least,
                  most);
    assert_true(most < 1e-6);
    assert_true(least > (scales[i] <= 1.3 ? 0.6 : 0.4));
  }
}

static void test_phantom_motion__goes_along_the_wall(void **state) {
  (void)state;
  double along_most = 0.0;
  double deep_most = 0.0;
  for (uint64_t seed = 1; seed <= SEEDS; seed++) {
    struct draw drawn = draw(seed, 1.0);
    struct lvn_phantom_random random = lvn_phantom_random_start(seed, 2);
    for (int point = 0; point < POINTS; point++) {
      double phase[3];
      double reference[3];
      draw_point(&drawn, 1.0, &random, phase);
      lvn_phantom_motion_inverse(&drawn.motion, phase, reference);
      double normal[2] = {phase[0] * drawn.motion.wall[0], phase[1] * drawn.motion.wall[1]};
      double come[3] = {phase[0] - reference[0], phase[1] - reference[1], phase[2] - reference[2]};
      double outward = (normal[0] * come[0] + normal[1] * come[1]) / hypot(normal[0], normal[1]);
      assert_true(fabs(outward) < 1e-3);
      along_most = fmax(along_most, hypot(hypot(come[0], come[1]), come[2]));
      draw_point(&drawn, 0.1, &random, phase);
      lvn_phantom_motion_inverse(&drawn.motion, phase, reference);
      deep_most = fmax(deep_most, hypot(phase[0] - reference[0], phase[1] - reference[1]));
    }
  }
  assert_true(along_most > 20.0);
  assert_true(deep_most > 4.0);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_phantom_motion__forward_undoes_inverse),
      cmocka_unit_test(test_phantom_motion__goes_along_the_wall),
  };
  return cmocka_run_group_tests_name("phantom_motion", tests, NULL, NULL);
}
