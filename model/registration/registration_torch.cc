// Alignment about a lesion. An exhaustive translation search with the self-similarity context descriptor (MIND-SSC:
// Heinrich et al., MICCAI 2013) needs no starting guess and does not mind what contrast agent does to the grey values;
// then an affine and a small deformable refinement of the neighbourhood, each kept only when it explains voxels that it
// was not fitted on; then the whole way back, since an alignment that cannot find home again is not one.
#include "daemon/base/guard.hh"
#include "daemon/base/memory.h"
#include "model/registration/registration_internal.h"

#include <torch/torch.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <mutex>
#include <thread>
#include <vector>

namespace {

using at::Tensor;
using Point = std::array<double, 3>;

constexpr double kCoarseMm = 4.0;
constexpr double kCoarseHalfMm = 56.0;
constexpr double kFineMm = 2.5;
constexpr double kFineHalfMm = 40.0;
constexpr double kFineMarginMm = 12.0;
constexpr double kWeightSigmaMm = 28.0;
constexpr double kThinSlabMm = 28.0; // below this nothing is left between the cut faces of a 3-D descriptor
constexpr double kLowGateHu = -60.0;
constexpr double kHighGateHu = 250.0;
constexpr double kLeastOverlap = 0.3;
constexpr double kSearchPrior = 0.02; // cost at a displacement of 44 mm, against typical cost differences of 0.3
constexpr double kAffinePrior = 2e-4; // cost of 1 mm^2 of displacement at LVN_REG_SCALE_MM
constexpr double kModelGain = 0.985;  // a richer model must lower the held-out energy below this share

// One volume's neighbourhood as descriptors.
struct Neighbourhood {
  Tensor image;      // [Z,Y,X], device
  Tensor descriptor; // [12,Z,Y,X], device
  Tensor valid;      // [Z,Y,X], device: 1 where the descriptor is made of measurements only
  Tensor channels;   // [Z,Y,X,12], CPU
  Tensor weight;     // [Z,Y,X], CPU
  lvn_reg_features features;
  double covered_mm;
};

struct Shift {
  Point mm;
  double peak;
  double overlap;
  bool at_border;
};

struct Answer {
  lvn_reg_transform transform;
  const char *model;
  lvn_reg_evidence evidence;
};

Tensor blur_axis(const Tensor &image, int64_t axis) {
  int64_t n = image.size(axis);
  if (n < 2) {
    return image;
  }
  Tensor before = at::cat({image.narrow(axis, 0, 1), image.narrow(axis, 0, n - 1)}, axis);
  Tensor after = at::cat({image.narrow(axis, 1, n - 1), image.narrow(axis, n - 1, 1)}, axis);
  return image * 0.5 + (before + after) * 0.25;
}

// [1 2 1]/4 along the last axes; across slices only where there are enough of them.
Tensor blur(const Tensor &image, bool planar) {
  Tensor out = blur_axis(blur_axis(image, image.dim() - 1), image.dim() - 2);
  return planar ? out : blur_axis(out, image.dim() - 3);
}

Tensor shifted(const Tensor &padded, int64_t margin, std::array<int64_t, 3> offset, at::IntArrayRef size) {
  Tensor out = padded;
  for (int64_t a = 0; a < 3; a++) {
    out = out.narrow(a, margin + offset[static_cast<size_t>(a)], size[static_cast<size_t>(a)]);
  }
  return out;
}

Tensor pad(const Tensor &image, int64_t margin) {
  return at::replication_pad3d(image.unsqueeze(0).unsqueeze(0), {margin, margin, margin, margin, margin, margin})
      .squeeze(0)
      .squeeze(0);
}

constexpr int64_t kReach = 2; // voxels to the six neighbours
const std::array<std::array<int64_t, 3>, 6> kNeighbours = {
    {{-kReach, 0, 0}, {kReach, 0, 0}, {0, -kReach, 0}, {0, kReach, 0}, {0, 0, -kReach}, {0, 0, kReach}}};

// MIND-SSC: how alike the patches around a voxel are, pair by pair. The variance has a floor at what noise makes of
// flat tissue, or noise alone would draw patterns there. Thin slabs use the four pairs inside the slice.
Tensor describe(const Tensor &image, const Tensor &gate, bool planar) {
  Tensor padded = pad(image, kReach);
  std::vector<Tensor> pairs;
  for (size_t a = planar ? 2 : 0; a < 6; a++) {
    for (size_t b = a + 1; b < 6; b++) {
      if (a / 2 != b / 2) {
        Tensor difference = shifted(padded, kReach, kNeighbours[a], image.sizes()) -
                            shifted(padded, kReach, kNeighbours[b], image.sizes());
        pairs.push_back(difference * difference);
      }
    }
  }
  Tensor distance = blur(at::stack(pairs), planar);
  distance = distance - std::get<0>(distance.min(0, true));
  Tensor variance = distance.mean(0, true);
  Tensor inside = variance.squeeze(0).masked_select(gate > 0.0);
  double noise = inside.numel() > 0 ? inside.median().item<double>() : variance.mean().item<double>();
  Tensor out = at::exp(-distance / variance.clamp(std::max(0.5 * noise, 1e-3)));
  if (planar) {
    out = at::cat(
        {out, at::zeros({LVN_REG_CHANNELS - out.size(0), out.size(1), out.size(2), out.size(3)}, out.options())});
  }
  return out;
}

// A descriptor is whole when its neighbours are measurements.
Tensor whole(const Tensor &valid, bool planar) {
  Tensor padded = pad(valid, kReach);
  Tensor out = valid;
  for (size_t k = planar ? 2 : 0; k < 6; k++) {
    out = out * shifted(padded, kReach, kNeighbours[k], valid.sizes());
  }
  return out;
}

// Give unmeasured voxels the mean of what is around them, so that they add no edge to their neighbours' patches.
Tensor fill_unmeasured(const Tensor &image, const Tensor &valid) {
  Tensor sum = image * valid;
  Tensor count = valid;
  double mean = sum.sum().item<double>() / std::max(1.0, count.sum().item<double>());
  Tensor value = sum;
  for (int round = 0; round < 4; round++) {
    sum = blur(sum, false);
    count = blur(count, false);
    Tensor around = at::where(count > 1e-4, sum / count.clamp_min(1e-4), at::full_like(sum, mean));
    value = at::where(valid > 0.0, image, around);
  }
  return value;
}

struct BoxHolder {
  lvn_reg_box box = {};
  ~BoxHolder() {
    lvn_reg_box_clear(&box);
  }
};

Tensor box_tensor(const lvn_reg_box &box, float *data, const at::Device &device) {
  return at::from_blob(data, {box.size[2], box.size[1], box.size[0]}, at::kFloat).clone().to(device);
}

bool cut(const lvn_volume *volume, const Point &centre, const Point &half, double spacing, const at::Device &device,
         Neighbourhood &out, lvn_error *err) {
  BoxHolder holder;
  if (!lvn_reg_box_make(volume, centre.data(), half.data(), spacing, &holder.box, err)) {
    return false;
  }
  const lvn_reg_box &box = holder.box;
  out.valid = box_tensor(box, box.valid, device);
  out.image = box_tensor(box, box.value, device);
  out.covered_mm = std::max(0.0, box.valid_high_mm - box.valid_low_mm);
  out.features.spacing_mm = spacing;
  std::copy(box.size, box.size + 3, out.features.size);
  std::copy(box.origin_mm, box.origin_mm + 3, out.features.origin_mm);
  return true;
}

// Importance of the fixed voxels: near the lesion, soft tissue, measured.
Tensor importance(const Neighbourhood &fixed, double spacing, double sigma) {
  Tensor r2 = at::zeros_like(fixed.image);
  for (int64_t a = 0; a < 3; a++) {
    int64_t n = fixed.image.size(a);
    Tensor at_mm = (at::arange(n, fixed.image.options()) - static_cast<double>(n - 1) / 2.0) * spacing;
    std::vector<int64_t> shape(3, 1);
    shape[static_cast<size_t>(a)] = n;
    r2 = r2 + (at_mm * at_mm).view(shape);
  }
  return at::exp(r2 * (-0.5 / (sigma * sigma)));
}

void describe_pair(Neighbourhood &fixed, Neighbourhood &moving, bool planar, double sigma) {
  for (Neighbourhood *side : {&fixed, &moving}) {
    Tensor image = blur(fill_unmeasured(side->image, side->valid), planar);
    Tensor gate = side->valid * (image > kLowGateHu) * (image < kHighGateHu);
    side->descriptor = describe(image, gate, planar);
    side->valid = whole(side->valid, planar);
    side->weight = side->valid;
    if (side == &fixed) {
      side->weight = side->valid * gate * importance(fixed, fixed.features.spacing_mm, sigma);
    }
    side->channels = side->descriptor.permute({1, 2, 3, 0}).contiguous().to(at::kCPU);
  }
}

// Pointers for the C side, once the tensors are final.
void lend(Neighbourhood &side) {
  side.weight = side.weight.contiguous();
  Tensor on_host = side.weight.to(at::kCPU);
  side.weight = on_host;
  side.features.data = side.channels.data_ptr<float>();
  side.features.weight = side.weight.data_ptr<float>();
}

int64_t good_size(int64_t n) {
  for (;; n++) {
    int64_t left = n;
    for (int64_t prime : {2, 3, 5, 7}) {
      while (left % prime == 0) {
        left /= prime;
      }
    }
    if (left == 1) {
      return n;
    }
  }
}

// cost(s) = sum w v |f - m(s)|^2 / sum w v for every shift s, by FFT; `ret_overlap` is the share of w that v covers.
Tensor shift_costs(const Neighbourhood &fixed, const Neighbourhood &moving, Tensor &ret_overlap) {
  std::vector<int64_t> size;
  std::vector<int64_t> dims = {-3, -2, -1};
  for (int64_t a = 0; a < 3; a++) {
    size.push_back(good_size(moving.image.size(a)));
  }
  auto forward = [&](const Tensor &x) { return torch::fft::rfftn(x, at::IntArrayRef(size), at::IntArrayRef(dims)); };
  auto back = [&](const Tensor &x) {
    Tensor out = torch::fft::irfftn(x, at::IntArrayRef(size), at::IntArrayRef(dims));
    for (int64_t a = 0; a < 3; a++) {
      out = out.narrow(a, 0, moving.image.size(a) - fixed.image.size(a) + 1);
    }
    return out;
  };
  Tensor w = fixed.weight.to(fixed.image.device());
  Tensor v = moving.valid;
  Tensor v_hat = forward(v);
  Tensor w_hat = forward(w).conj();
  Tensor cross = (forward(moving.descriptor * v) * forward(fixed.descriptor * w).conj()).sum(0);
  Tensor square = forward(moving.descriptor.pow(2).sum(0) * v) * w_hat +
                  v_hat * forward(fixed.descriptor.pow(2).sum(0) * w).conj() - cross * 2.0;
  double total = std::max(1e-6, w.sum().item<double>());
  Tensor covered = back(v_hat * w_hat);
  ret_overlap = (covered / total).to(at::kCPU).contiguous();
  return (back(square) / covered.clamp_min(1e-3 * total)).to(at::kCPU).contiguous();
}

// How far the best shift stands out from all that are more than 12 mm away.
double peak_of(const Tensor &cost, const Tensor &allowed, std::array<int64_t, 3> best) {
  auto value = cost.accessor<float, 3>();
  auto may = allowed.accessor<bool, 3>();
  std::vector<float> others;
  for (int64_t z = 0; z < cost.size(0); z++) {
    for (int64_t y = 0; y < cost.size(1); y++) {
      for (int64_t x = 0; x < cost.size(2); x++) {
        int64_t d2 = (z - best[0]) * (z - best[0]) + (y - best[1]) * (y - best[1]) + (x - best[2]) * (x - best[2]);
        if (may[z][y][x] && d2 > 9) {
          others.push_back(value[z][y][x]);
        }
      }
    }
  }
  if (others.size() < 20) {
    return 0.0;
  }
  double sum = 0.0;
  double square = 0.0;
  for (float other : others) {
    sum += static_cast<double>(other);
    square += static_cast<double>(other) * static_cast<double>(other);
  }
  double mean = sum / static_cast<double>(others.size());
  double spread = std::sqrt(std::max(1e-12, square / static_cast<double>(others.size()) - mean * mean));
  return (mean - static_cast<double>(value[best[0]][best[1]][best[2]])) / spread;
}

// Minimum of the parabola through three neighbours, in steps; 0 where it has none.
double parabola(double before, double at_best, double after) {
  double curvature = before + after - 2.0 * at_best;
  return curvature > 1e-9 ? std::clamp(0.5 * (before - after) / curvature, -0.5, 0.5) : 0.0;
}

Shift best_shift(const Neighbourhood &fixed, const Neighbourhood &moving, bool planar) {
  Shift out = {};
  Tensor overlap;
  Tensor cost = shift_costs(fixed, moving, overlap);
  double most = overlap.max().item<double>();
  double least = std::max(kLeastOverlap, (planar ? 0.7 : 0.6) * most);
  Tensor allowed = (overlap >= least).contiguous();
  std::array<int64_t, 3> middle = {};
  for (size_t a = 0; a < 3; a++) {
    middle[a] = (cost.size(static_cast<int64_t>(a)) - 1) / 2;
    std::vector<int64_t> shape(3, 1);
    shape[a] = cost.size(static_cast<int64_t>(a));
    Tensor steps = (at::arange(shape[a], at::kFloat) - static_cast<double>(middle[a])) * (kCoarseMm / 44.0);
    cost = cost + (steps * steps).view(shape) * kSearchPrior;
  }
  if (most < kLeastOverlap) {
    out.overlap = most;
    return out;
  }
  cost = at::where(allowed, cost, at::full_like(cost, 1e6)).contiguous();
  int64_t flat = cost.argmin().item<int64_t>();
  std::array<int64_t, 3> best = {flat / (cost.size(1) * cost.size(2)), flat / cost.size(2) % cost.size(1),
                                 flat % cost.size(2)};
  auto value = cost.accessor<float, 3>();
  for (size_t a = 0; a < 3; a++) {
    std::array<int64_t, 3> low = best;
    std::array<int64_t, 3> high = best;
    low[a]--;
    high[a]++;
    double step = static_cast<double>(best[a] - middle[a]);
    bool inner = low[a] >= 0 && high[a] < cost.size(static_cast<int64_t>(a));
    double lower = inner ? static_cast<double>(value[low[0]][low[1]][low[2]]) : 1e6;
    double upper = inner ? static_cast<double>(value[high[0]][high[1]][high[2]]) : 1e6;
    if (lower < 1e5 && upper < 1e5) {
      step += parabola(lower, static_cast<double>(value[best[0]][best[1]][best[2]]), upper);
    } else if (!planar || a != 0) {
      out.at_border = true;
    }
    out.mm[2 - a] = step * kCoarseMm;
  }
  out.overlap = static_cast<double>(overlap.accessor<float, 3>()[best[0]][best[1]][best[2]]);
  out.peak = peak_of(cost, allowed, best);
  return out;
}

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
