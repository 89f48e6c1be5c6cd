// The exhaustive translation search by FFT, the same tensor code on CPU and CUDA.
#include "base/guard.hh"
#include "model/registration/registration_internal.h"

#include <torch/torch.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <mutex>
#include <stdexcept>
#include <thread>
#include <vector>

namespace {

using at::Tensor;

constexpr double kSearchPrior = 0.02;  // cost at a displacement of 44 mm, against typical cost differences of 0.3
constexpr double kPeakDistance2 = 9.0; // voxels^2; nearer shifts belong to the peak itself
constexpr size_t kLeastOthers = 20;    // shifts, for a spread to mean anything
constexpr int kGroups = 4;             // of channels

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

// [12,Z,Y,X] or [Z,Y,X] views of a feature box, on the host.
Tensor descriptor_of(const lvn_reg_features &side) {
  return at::from_blob(side.data, {side.size[2], side.size[1], side.size[0], LVN_REG_CHANNELS}, at::kFloat)
      .permute({3, 0, 1, 2});
}

Tensor valid_of(const lvn_reg_features &side) {
  return at::from_blob(side.valid, {side.size[2], side.size[1], side.size[0]}, at::kFloat);
}

Tensor window_of(Tensor whole, const lvn_reg_window &window) {
  int64_t axes = whole.dim();
  for (int64_t a = 0; a < 3; a++) {
    whole = whole.narrow(axes - 1 - a, window.first[a], window.size);
  }
  return whole;
}

Tensor weight_of(const lvn_reg_features &fixed, const lvn_reg_window &window, double sigma_mm) {
  Tensor weight = at::zeros({window.size, window.size, window.size}, at::kFloat);
  auto out = weight.accessor<float, 3>();
  std::array<int64_t, 3> at = {};
  for (at[2] = 0; at[2] < window.size; at[2]++) {
    for (at[1] = 0; at[1] < window.size; at[1]++) {
      for (at[0] = 0; at[0] < window.size; at[0]++) {
        std::array<double, 3> from_centre = {};
        int64_t voxel = 0;
        for (size_t a = 3; a-- > 0;) {
          from_centre[a] = (static_cast<double>(at[a]) - static_cast<double>(window.size - 1) / 2.0) * fixed.spacing_mm;
          voxel = voxel * fixed.size[a] + window.first[a] + at[a];
        }
        out[at[2]][at[1]][at[0]] = static_cast<float>(lvn_reg_importance(&fixed, voxel, from_centre.data(), sigma_mm));
      }
    }
  }
  return weight;
}

// Zero-padded transforms of moving-box size, and back to the places of the window.
struct Fourier {
  std::array<int64_t, 3> size;
  std::array<int64_t, 3> places;

  Tensor forward(const Tensor &x) const {
    return torch::fft::rfftn(x, at::IntArrayRef(size), kAxes);
  }
  Tensor back(const Tensor &x) const {
    Tensor out = torch::fft::irfftn(x, at::IntArrayRef(size), kAxes);
    for (int64_t a = 0; a < 3; a++) {
      out = out.narrow(a, 0, places.at(static_cast<size_t>(a)));
    }
    return out;
  }
  static constexpr std::array<int64_t, 3> kAxes = {-3, -2, -1};
};

// The sum over the channels of M(m v) conj(F(f w)), in parts of one group of channels each.
struct Cross {
  const Fourier *fourier;
  Tensor f;
  Tensor w;
  Tensor m;
  Tensor v;
  std::array<Tensor, kGroups> parts;
  std::array<lvn_error, kGroups> errors;
  std::array<bool, kGroups> done;
};

void add_group(void *context, int item) {
  auto *cross = static_cast<Cross *>(context);
  auto group = static_cast<size_t>(item);
  cross->done.at(group) = lvn_guard(&cross->errors.at(group), LVN_ERROR_ENGINE, [&] {
    at::NoGradGuard no_grad;
    constexpr int64_t channels = LVN_REG_CHANNELS / kGroups;
    Tensor moving = cross->fourier->forward(cross->m.narrow(0, item * channels, channels).contiguous() * cross->v);
    Tensor fixed = cross->fourier->forward(cross->f.narrow(0, item * channels, channels).contiguous() * cross->w);
    cross->parts.at(group) = (moving * fixed.conj()).sum(0);
    return true;
  });
}

// Groups of channels run side by side, since libtorch's transforms on a CPU use one thread each; they are added up in
// one order, whatever the number of threads.
Tensor cross_spectrum(const Fourier &fourier, const Tensor &f, const Tensor &w, const Tensor &m, const Tensor &v) {
  Cross cross = {&fourier, f, w, m, v, {}, {}, {}};
  if (f.device().is_cpu()) {
    lvn_reg_parallel(kGroups, add_group, &cross);
  } else {
    for (int group = 0; group < kGroups; group++) {
      add_group(&cross, group);
    }
  }
  for (size_t group = 0; group < cross.parts.size(); group++) {
    if (!cross.done.at(group)) {
      throw std::runtime_error(cross.errors.at(group).message);
    }
    if (group > 0) {
      cross.parts[0] += cross.parts.at(group);
    }
  }
  return cross.parts[0];
}

// cost(s) = sum w v |f - m(s)|^2 / sum w v for every place s of the window in the moving box; `ret_overlap` is the
// share of w that v covers. |f|^2 and |m|^2 need one transform each, the cross term one per channel.
Tensor shift_costs(const lvn_reg_features &fixed, const lvn_reg_window &window, const lvn_reg_features &moving,
                   double sigma_mm, const at::Device &device, Tensor &ret_overlap) {
  Fourier fourier = {};
  for (size_t a = 0; a < 3; a++) {
    fourier.size.at(a) = good_size(moving.size[2 - a]);
    fourier.places.at(a) = moving.size[2 - a] - window.size + 1;
  }
  Tensor f = window_of(descriptor_of(fixed), window).to(device);
  Tensor w = weight_of(fixed, window, sigma_mm).to(device);
  Tensor m = descriptor_of(moving).to(device);
  Tensor v = valid_of(moving).to(device);
  Tensor v_hat = fourier.forward(v);
  Tensor w_hat = fourier.forward(w).conj();
  Tensor square = fourier.forward((m.pow(2).sum(0) * v).contiguous()) * w_hat +
                  v_hat * fourier.forward((f.pow(2).sum(0) * w).contiguous()).conj() -
                  cross_spectrum(fourier, f, w, m, v) * 2.0;
  double total = std::max(1e-6, w.sum().item<double>());
  Tensor covered = fourier.back(v_hat * w_hat);
  ret_overlap = (covered / total).to(at::kCPU).contiguous();
  return (fourier.back(square) / covered.clamp_min(1e-3 * total)).to(at::kCPU).contiguous();
}

using Cell = std::array<int64_t, 3>; // z, y, x

// How far the best shift stands out from all that are more than 12 mm away, in their standard deviations.
double peak_of(const Tensor &cost, const Tensor &allowed, const Cell &best) {
  auto value = cost.accessor<float, 3>();
  auto may = allowed.accessor<bool, 3>();
  double count = 0.0;
  double sum = 0.0;
  double square = 0.0;
  for (int64_t z = 0; z < cost.size(0); z++) {
    for (int64_t y = 0; y < cost.size(1); y++) {
      for (int64_t x = 0; x < cost.size(2); x++) {
        double d2 = static_cast<double>((z - best[0]) * (z - best[0]) + (y - best[1]) * (y - best[1]) +
                                        (x - best[2]) * (x - best[2]));
        if (may[z][y][x] && d2 > kPeakDistance2) {
          auto other = static_cast<double>(value[z][y][x]);
          count += 1.0;
          sum += other;
          square += other * other;
        }
      }
    }
  }
  if (count < static_cast<double>(kLeastOthers)) {
    return 0.0;
  }
  double mean = sum / count;
  double spread = std::sqrt(std::max(1e-12, square / count - mean * mean));
  return (mean - static_cast<double>(value[best[0]][best[1]][best[2]])) / spread;
}

// Minimum of the parabola through three neighbours, in steps; 0 where it has none.
double parabola(double before, double at_best, double after) {
  double curvature = before + after - 2.0 * at_best;
  return curvature > 1e-9 ? std::clamp(0.5 * (before - after) / curvature, -0.5, 0.5) : 0.0;
}

// A slight preference for small displacements decides between equals.
Tensor add_prior(Tensor cost, const std::array<double, 3> &zero, double spacing_mm) {
  for (size_t a = 0; a < 3; a++) {
    auto axis = static_cast<int64_t>(a);
    std::vector<int64_t> shape(3, 1);
    shape[a] = cost.size(axis);
    Tensor steps = (at::arange(shape[a], at::kFloat) - zero[2 - a]) * (spacing_mm / 44.0);
    cost = cost + (steps * steps).view(shape) * kSearchPrior;
  }
  return cost;
}

void refine_cell(const Tensor &cost, const Cell &best, const std::array<double, 3> &zero, double spacing_mm,
                 bool planar, lvn_reg_shift &out) {
  auto value = cost.accessor<float, 3>();
  for (size_t a = 0; a < 3; a++) {
    Cell low = best;
    Cell high = best;
    low[a]--;
    high[a]++;
    bool inner = low[a] >= 0 && high[a] < cost.size(static_cast<int64_t>(a));
    double lower = inner ? static_cast<double>(value[low[0]][low[1]][low[2]]) : 1e6;
    double upper = inner ? static_cast<double>(value[high[0]][high[1]][high[2]]) : 1e6;
    double step = static_cast<double>(best[a]);
    out.cell[2 - a] = best[a];
    if (lower < 1e5 && upper < 1e5) {
      step += parabola(lower, static_cast<double>(value[best[0]][best[1]][best[2]]), upper);
    } else if (!planar || a != 0) {
      out.at_border = true;
    }
    out.mm[2 - a] = (step - zero[2 - a]) * spacing_mm;
  }
}

// Debian's libtorch starts with one thread whatever the machine has; OMP_NUM_THREADS is the operator's word.
void use_all_cores() {
  static std::once_flag once;
  std::call_once(once, [] {
    int cores = static_cast<int>(std::thread::hardware_concurrency());
    if (std::getenv("OMP_NUM_THREADS") == nullptr && at::get_num_threads() == 1 && cores > 1) {
      at::set_num_threads(cores);
    }
  });
}

} // namespace

bool lvn_reg_search(const struct lvn_reg_features *fixed, const struct lvn_reg_window *window,
                    const struct lvn_reg_features *moving, double sigma_mm, bool planar, const char *device,
                    struct lvn_reg_shift *ret_shift, struct lvn_error *err) {
  return lvn_guard(err, LVN_ERROR_ENGINE, [&] {
    at::NoGradGuard no_grad;
    lvn_reg_shift out = {};
    Tensor overlap;
    std::array<double, 3> zero = {};
    for (size_t a = 0; a < 3; a++) {
      zero[a] =
          (fixed->origin_mm[a] - moving->origin_mm[a]) / fixed->spacing_mm + static_cast<double>(window->first[a]);
    }
    Tensor cost = add_prior(shift_costs(*fixed, *window, *moving, sigma_mm, at::Device(device), overlap), zero,
                            fixed->spacing_mm);
    double most = overlap.max().item<double>();
    out.overlap = most;
    if (most >= LVN_REG_LEAST_OVERLAP) {
      double least = std::max(LVN_REG_LEAST_OVERLAP, (planar ? 0.7 : 0.6) * most);
      Tensor allowed = (overlap >= least).contiguous();
      cost = at::where(allowed, cost, at::full_like(cost, 1e6)).contiguous();
      int64_t flat = cost.argmin().item<int64_t>();
      Cell best = {flat / (cost.size(1) * cost.size(2)), flat / cost.size(2) % cost.size(1), flat % cost.size(2)};
      refine_cell(cost, best, zero, fixed->spacing_mm, planar, out);
      out.overlap = static_cast<double>(overlap.accessor<float, 3>()[best[0]][best[1]][best[2]]);
      out.peak = peak_of(cost, allowed, best);
    }
    *ret_shift = out;
    return true;
  });
}

// libtorch's is vectorised; the C library's is a fifth of a descriptor's time.
bool lvn_reg_exp(float *descriptors, size_t voxels, int channels, struct lvn_error *err) {
  return lvn_guard(err, LVN_ERROR_ENGINE, [&] {
    at::NoGradGuard no_grad;
    at::from_blob(descriptors, {static_cast<int64_t>(voxels), LVN_REG_CHANNELS}, at::kFloat)
        .narrow(1, 0, channels)
        .exp_();
    return true;
  });
}

int lvn_reg_threads(void) {
  use_all_cores();
  return at::get_num_threads();
}
