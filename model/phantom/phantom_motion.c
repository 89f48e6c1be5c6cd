/* Breathing between the phases: cranio-caudal |N(0, 7)| mm with a tail of 15-30 mm in one of ten, antero-posterior
 * 0-5 mm, lateral 0-3 mm, smooth internal deformation 0-6 mm; of the last three the part that points through the wall
 * fades towards it, for the liver slides along the peritoneum and does not part from it. Liver shifts of up to 30 mm
 * between series: Hasenstab et al., Radiology: Imaging Cancer 2019 (PMC6815316); visible misregistration in 7 % of 200
 * patients: J Korean Radiol Soc 2001;44:201. */
#include "model/phantom/phantom_internal.h"

#include <math.h>

void lvn_phantom_motion_draw(uint64_t seed, enum lvn_phase phase, double scale,
                             const struct lvn_phantom_patient *patient, struct lvn_phantom_motion *ret_motion) {
  struct lvn_phantom_random random = lvn_phantom_random_start(seed, LVN_PHANTOM_STREAM_MOTION + (uint64_t)phase);
  struct lvn_phantom_motion motion = {0};
  for (int axis = 0; axis < 2; axis++) {
    motion.wall[axis] = 1.0 / ((double)patient->cavity[axis] * (double)patient->cavity[axis]);
  }
  double gain = phase == LVN_PHASE_PV ? 0.0 : scale;
  double tail = lvn_phantom_random_uniform(&random, 0.0, 1.0);
  double ordinary = fmin(fabs(7.0 * lvn_phantom_random_normal(&random)), 21.0);
  double deep = lvn_phantom_random_uniform(&random, 15.0, 30.0);
  double caudal = lvn_phantom_random_chance(&random, 0.5) ? 1.0 : -1.0;
  double caudal_mm = tail < 0.1 ? deep : ordinary;
  motion.shift[0] = gain * lvn_phantom_random_uniform(&random, -3.0, 3.0);
  motion.shift[1] = gain * lvn_phantom_random_uniform(&random, -5.0, 5.0);
  motion.shift[2] = gain * caudal * caudal_mm;
  double bend_mm = lvn_phantom_random_uniform(&random, 0.0, 6.0) / LVN_PHANTOM_MODES;
  for (int mode = 0; mode < LVN_PHANTOM_MODES; mode++) {
    float direction[3];
    lvn_phantom_random_direction(&random, direction);
    for (int axis = 0; axis < 3; axis++) {
      motion.amplitude[mode][axis] = gain * bend_mm * direction[axis];
      motion.wave_number[mode][axis] = 2.0 * M_PI / lvn_phantom_random_uniform(&random, 130.0, 260.0);
      motion.wave_phase[mode][axis] = lvn_phantom_random_uniform(&random, 0.0, 2.0 * M_PI);
    }
  }
  *ret_motion = motion;
}

/* How far what is seen at a point of the phase has come. */
static void displacement(const struct lvn_phantom_motion *motion, const double phase_mm[3], double ret_mm[3]) {
  double sum[3] = {motion->shift[0], motion->shift[1], motion->shift[2]};
  for (int mode = 0; mode < LVN_PHANTOM_MODES; mode++) {
    double product = 1.0;
    for (int axis = 0; axis < 3; axis++) {
      double moved = phase_mm[axis] - motion->shift[axis];
      product *= sin(motion->wave_number[mode][axis] * moved + motion->wave_phase[mode][axis]);
    }
    for (int axis = 0; axis < 3; axis++) {
      sum[axis] += product * motion->amplitude[mode][axis];
    }
  }
  lvn_phantom_slide(motion->wall, phase_mm[0], phase_mm[1], sum);
  for (int axis = 0; axis < 3; axis++) {
    ret_mm[axis] = sum[axis];
  }
}

void lvn_phantom_motion_inverse(const struct lvn_phantom_motion *motion, const double phase_mm[3],
                                double ret_reference_mm[3]) {
  double come[3];
  displacement(motion, phase_mm, come);
  for (int axis = 0; axis < 3; axis++) {
    ret_reference_mm[axis] = phase_mm[axis] - come[axis];
  }
}

/* phase = reference + displacement(phase): each step shrinks the residual, at motion_scale 1 to 0.8 of it at worst. */
void lvn_phantom_motion_forward(const struct lvn_phantom_motion *motion, const double reference_mm[3],
                                double ret_phase_mm[3]) {
  double phase[3] = {reference_mm[0], reference_mm[1], reference_mm[2]};
  double residual = 1.0;
  for (int step = 0; step < 400 && residual > 1e-9; step++) {
    double come[3];
    displacement(motion, phase, come);
    residual = 0.0;
    for (int axis = 0; axis < 3; axis++) {
      double change = reference_mm[axis] + come[axis] - phase[axis];
      residual = fmax(residual, fabs(change));
      phase[axis] += change;
    }
  }
  for (int axis = 0; axis < 3; axis++) {
    ret_phase_mm[axis] = phase[axis];
  }
}
