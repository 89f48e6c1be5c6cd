// Alignment about a lesion. An exhaustive translation search with the self-similarity context descriptor (MIND-SSC:
// Heinrich et al., MICCAI 2013) needs no starting guess and does not mind what contrast agent does to the grey values;
// then an affine refinement of the neighbourhood, kept only when it explains voxels that it was not fitted on; then the
// whole way back, since an alignment that cannot find home again is not one.
#include "model/registration/registration_torch.hh"
#include "daemon/base/guard.hh"

#include <torch/torch.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <mutex>
#include <thread>
#include <vector>

namespace {

using namespace lvn_reg;

lvn_reg_sums sum_box(const Neighbourhood &fixed, const Neighbourhood &moving, const lvn_reg_transform &transform,
                     lvn_reg_part part, bool with_derivatives) {
  int64_t slices = fixed.features.size[2];
  std::vector<lvn_reg_sums> by_slice(static_cast<size_t>(slices));
  at::parallel_for(0, slices, 4, [&](int64_t first, int64_t last) {
    for (int64_t z = first; z < last; z++) {
      lvn_reg_sum_slice(&fixed.features, &moving.features, &transform, part, with_derivatives, z,
                        &by_slice[static_cast<size_t>(z)]);
    }
  });
  lvn_reg_sums total = {};
  for (const lvn_reg_sums &slice : by_slice) { // always in this order, whatever the number of threads
    lvn_reg_sums_add(&total, &slice);
  }
  return total;
}

double linear_cost(const lvn_reg_transform &transform) {
  double sum = 0.0;
  for (const auto &row : transform.linear) {
    for (double value : row) {
      sum += value * value * LVN_REG_SCALE_MM * LVN_REG_SCALE_MM;
    }
  }
  return kAffinePrior * sum;
}

double energy_of(const lvn_reg_sums &sums, const lvn_reg_transform &transform) {
  return sums.weight > 0.0 ? sums.energy / sums.weight + linear_cost(transform) : 1e9;
}

// One damped Gauss-Newton step of the first `count` parameters; false when it cannot be solved.
bool step(const lvn_reg_sums &sums, double damping, int count, lvn_reg_transform &transform, double &ret_length_mm) {
  double matrix[LVN_REG_PARAMETERS][LVN_REG_PARAMETERS] = {};
  double vector[LVN_REG_PARAMETERS] = {};
  for (int i = 0; i < count; i++) {
    for (int j = 0; j < count; j++) {
      matrix[i][j] = sums.hessian[i][j] / sums.weight;
    }
    vector[i] = -sums.gradient[i] / sums.weight;
    if (i >= 3) {
      matrix[i][i] += kAffinePrior;
      vector[i] -= kAffinePrior * transform.linear[(i - 3) / 3][(i - 3) % 3] * LVN_REG_SCALE_MM;
    }
    matrix[i][i] = matrix[i][i] * (1.0 + damping) + 1e-9;
  }
  if (!lvn_reg_solve(matrix, vector, count)) {
    return false;
  }
  ret_length_mm = 0.0;
  for (int i = 0; i < count; i++) {
    double change = std::clamp(vector[i], -4.0, 4.0);
    ret_length_mm = std::max(ret_length_mm, std::fabs(change));
    if (i < 3) {
      transform.shift_mm[i] += change;
    } else {
      transform.linear[(i - 3) / 3][(i - 3) % 3] += change / LVN_REG_SCALE_MM;
    }
  }
  return true;
}

void descend(const Neighbourhood &fixed, const Neighbourhood &moving, lvn_reg_part part, int count,
             lvn_reg_transform &transform) {
  double damping = 1e-3;
  lvn_reg_sums sums = sum_box(fixed, moving, transform, part, true);
  double energy = energy_of(sums, transform);
  for (int round = 0; round < 16 && sums.weight > 0.0; round++) {
    lvn_reg_transform tried = transform;
    double length_mm = 0.0;
    if (!step(sums, damping, count, tried, length_mm)) {
      return;
    }
    lvn_reg_sums tried_sums = sum_box(fixed, moving, tried, part, true);
    double tried_energy = energy_of(tried_sums, tried);
    // Leaving the data must not count as improvement.
    if (tried_energy < energy && tried_sums.weight > 0.8 * sums.weight) {
      transform = tried;
      sums = tried_sums;
      energy = tried_energy;
      damping *= 0.3;
    } else {
      damping = std::max(damping, 1e-3) * 10.0;
    }
    if (length_mm < 0.02 || damping > 1e4) {
      return;
    }
  }
}

double held_out_energy(const Neighbourhood &fixed, const Neighbourhood &moving, const lvn_reg_transform &transform) {
  lvn_reg_sums sums = sum_box(fixed, moving, transform, LVN_REG_HELD_OUT, false);
  return sums.weight > 0.0 ? sums.energy / sums.weight : 1e9;
}

double distance_mm(const double *a, const double *b) {
  return std::sqrt((a[0] - b[0]) * (a[0] - b[0]) + (a[1] - b[1]) * (a[1] - b[1]) + (a[2] - b[2]) * (a[2] - b[2]));
}

// Translation, then affine; the richer one only when voxels it has not seen agree.
bool refine(const lvn_volume *fixed_volume, const lvn_volume *moving_volume, const Point &centre, bool planar,
            const at::Device &device, Answer &answer, lvn_error *err) {
  Neighbourhood fixed;
  Neighbourhood moving;
  Point half = {kFineHalfMm, kFineHalfMm, kFineHalfMm};
  Point wide = {kFineHalfMm + kFineMarginMm, kFineHalfMm + kFineMarginMm, kFineHalfMm + kFineMarginMm};
  Point target = {};
  for (size_t a = 0; a < 3; a++) {
    target[a] = centre[a] + answer.transform.shift_mm[a];
  }
  if (!cut(fixed_volume, centre, half, kFineMm, device, fixed, err) ||
      !cut(moving_volume, target, wide, kFineMm, device, moving, err)) {
    return false;
  }
  describe_pair(fixed, moving, planar, 0.8 * kWeightSigmaMm);
  lend(fixed);
  lend(moving);
  lvn_reg_transform shift = answer.transform;
  double searched = held_out_energy(fixed, moving, shift);
  descend(fixed, moving, LVN_REG_FIT, planar ? 2 : 3, shift);
  double shifted_energy = held_out_energy(fixed, moving, shift);
  double spread = distance_mm(shift.shift_mm, answer.transform.shift_mm);
  if (shifted_energy > searched || spread > 10.0) {
    shift = answer.transform;
    shifted_energy = searched;
  }
  lvn_reg_transform affine = shift;
  if (!planar) {
    descend(fixed, moving, LVN_REG_FIT, LVN_REG_PARAMETERS, affine);
    spread = std::max(spread, distance_mm(affine.shift_mm, shift.shift_mm));
  }
  if (!planar && held_out_energy(fixed, moving, affine) < kModelGain * shifted_energy) {
    descend(fixed, moving, LVN_REG_ALL, LVN_REG_PARAMETERS, affine);
    answer.transform = affine;
    answer.model = "affine";
  } else {
    descend(fixed, moving, LVN_REG_ALL, planar ? 2 : 3, shift);
    answer.transform = shift;
  }
  answer.evidence.model_spread_mm = spread;
  return true;
}

// One direction: search, refine, similarity before and after.
bool align(const lvn_volume *fixed_volume, const lvn_volume *moving_volume, const Point &centre, const Point &expected,
           const Point &search_mm, const at::Device &device, Answer &answer, lvn_error *err) {
  Neighbourhood fixed;
  Neighbourhood moving;
  Point half = {kCoarseHalfMm, kCoarseHalfMm, kCoarseHalfMm};
  Point wide = {};
  Point target = {};
  for (size_t a = 0; a < 3; a++) {
    wide[a] = kCoarseHalfMm + kCoarseMm * std::round(search_mm[a] / kCoarseMm);
    target[a] = centre[a] + expected[a];
  }
  answer = {};
  lvn_reg_transform_identity(centre.data(), &answer.transform);
  answer.model = "identity";
  answer.evidence.inverse_consistency_mm = NAN;
  if (!cut(fixed_volume, centre, half, kCoarseMm, device, fixed, err) ||
      !cut(moving_volume, target, wide, kCoarseMm, device, moving, err)) {
    return false;
  }
  bool planar = fixed.covered_mm < kThinSlabMm || moving.covered_mm < kThinSlabMm;
  answer.evidence.planar = planar;
  describe_pair(fixed, moving, planar, kWeightSigmaMm);
  lend(fixed);
  lend(moving);
  answer.evidence.similarity_before = lvn_reg_sums_correlation(
      std::array<lvn_reg_sums, 1>{sum_box(fixed, moving, answer.transform, LVN_REG_ALL, false)}.data());
  Shift shift = best_shift(fixed, moving, planar);
  answer.evidence.overlap = shift.overlap;
  if (shift.overlap < kLeastOverlap) {
    return true;
  }
  answer.evidence.peak = shift.peak;
  answer.evidence.at_border = shift.at_border;
  answer.model = "translation";
  for (size_t a = 0; a < 3; a++) {
    answer.transform.shift_mm[a] = expected[a] + shift.mm[a];
  }
  if (!refine(fixed_volume, moving_volume, centre, planar, device, answer, err)) {
    return false;
  }
  lvn_reg_sums sums = sum_box(fixed, moving, answer.transform, LVN_REG_ALL, false);
  answer.evidence.similarity = lvn_reg_sums_correlation(&sums);
  return true;
}

// Debian's libtorch starts with one thread whatever the machine has.
void use_all_cores() {
  static std::once_flag once;
  std::call_once(once, [] {
    int cores = static_cast<int>(std::thread::hardware_concurrency());
    if (at::get_num_threads() == 1 && cores > 1) {
      at::set_num_threads(cores);
    }
  });
}

bool both_ways(const lvn_volume *fixed, const lvn_volume *moving, const Point &centre,
               const lvn_registration_options &options, Answer &answer, lvn_error *err) {
  at::Device device(options.device);
  Point search = {options.search_mm[0], options.search_mm[1], options.search_mm[2]};
  Point none = {};
  if (!align(fixed, moving, centre, none, search, device, answer, err)) {
    return false;
  }
  if (answer.evidence.overlap < kLeastOverlap) {
    return true;
  }
  Point there = {};
  Point home = {};
  lvn_reg_transform_apply(&answer.transform, centre.data(), there.data());
  Answer way_back;
  if (!align(moving, fixed, there, none, search, device, way_back, err)) {
    return false;
  }
  if (way_back.evidence.overlap >= kLeastOverlap) {
    lvn_reg_transform_apply(&way_back.transform, there.data(), home.data());
    answer.evidence.inverse_consistency_mm = distance_mm(home.data(), centre.data());
    answer.evidence.peak = std::min(answer.evidence.peak, way_back.evidence.peak);
  }
  return true;
}

} // namespace

bool lvn_registration_run(const struct lvn_volume *fixed, const struct lvn_mask *lesion,
                          const struct lvn_volume *moving, const struct lvn_registration_options *options,
                          struct lvn_registration **ret_registration, struct lvn_registration_quality *ret_quality,
                          struct lvn_error *err) {
  return lvn_guard(err, LVN_ERROR_ENGINE, [&] {
    at::NoGradGuard no_grad;
    auto start = std::chrono::steady_clock::now();
    lvn_registration_quality quality = {};
    Answer answer = {};
    Point centre = {};
    use_all_cores();
    if (lvn_mask_measure(lesion, nullptr, nullptr, centre.data()) == 0) {
      lvn_reg_transform_identity(centre.data(), &answer.transform);
      answer.model = "identity";
    } else if (!both_ways(fixed, moving, centre, *options, answer, err)) {
      return false;
    }
    quality.model = answer.model;
    quality.similarity = answer.evidence.similarity;
    quality.similarity_before = answer.evidence.similarity_before;
    quality.inverse_consistency_mm = answer.evidence.inverse_consistency_mm;
    double mapped[3];
    lvn_reg_transform_apply(&answer.transform, centre.data(), mapped);
    for (size_t a = 0; a < 3; a++) {
      quality.displacement_mm[a] = mapped[a] - centre[a];
    }
    lvn_reg_judge(&answer.evidence, options->max_error_mm, &quality);
    quality.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    if (!lvn_reg_wrap(&answer.transform, ret_registration, err)) {
      return false;
    }
    *ret_quality = quality;
    return true;
  });
}
