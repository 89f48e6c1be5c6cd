// Self-similarity descriptors and the exhaustive translation search by FFT, the same tensor code on CPU and CUDA.
#include "daemon/base/error.h"
#include "model/registration/registration_torch.hh"

#include <torch/torch.h>

#include <algorithm>
#include <cmath>
#include <vector>

namespace lvn_reg {

static Tensor blur_axis(const Tensor &image, int64_t axis) {
  int64_t n = image.size(axis);
  if (n < 2) {
    return image;
  }
  Tensor before = at::cat({image.narrow(axis, 0, 1), image.narrow(axis, 0, n - 1)}, axis);
  Tensor after = at::cat({image.narrow(axis, 1, n - 1), image.narrow(axis, n - 1, 1)}, axis);
  return image * 0.5 + (before + after) * 0.25;
}

// [1 2 1]/4 along the last axes; across slices only where there are enough of them.
static Tensor blur(const Tensor &image, bool planar) {
  Tensor out = blur_axis(blur_axis(image, image.dim() - 1), image.dim() - 2);
  return planar ? out : blur_axis(out, image.dim() - 3);
}

static Tensor shifted(const Tensor &padded, int64_t margin, std::array<int64_t, 3> offset, at::IntArrayRef size) {
  Tensor out = padded;
  for (int64_t a = 0; a < 3; a++) {
    out = out.narrow(a, margin + offset[static_cast<size_t>(a)], size[static_cast<size_t>(a)]);
  }
  return out;
}

static Tensor pad(const Tensor &image, int64_t margin) {
  return at::replication_pad3d(image.unsqueeze(0).unsqueeze(0), {margin, margin, margin, margin, margin, margin})
      .squeeze(0)
      .squeeze(0);
}

constexpr int64_t kReach = 2; // voxels to the six neighbours
const std::array<std::array<int64_t, 3>, 6> kNeighbours = {
    {{-kReach, 0, 0}, {kReach, 0, 0}, {0, -kReach, 0}, {0, kReach, 0}, {0, 0, -kReach}, {0, 0, kReach}}};

// MIND-SSC: how alike the patches around a voxel are, pair by pair. The variance has a floor at what noise makes of
// flat tissue, or noise alone would draw patterns there. Thin slabs use the four pairs inside the slice.
static Tensor describe(const Tensor &image, const Tensor &gate, bool planar) {
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
static Tensor whole(const Tensor &valid, bool planar) {
  Tensor padded = pad(valid, kReach);
  Tensor out = valid;
  for (size_t k = planar ? 2 : 0; k < 6; k++) {
    out = out * shifted(padded, kReach, kNeighbours[k], valid.sizes());
  }
  return out;
}

// Give unmeasured voxels the mean of what is around them, so that they add no edge to their neighbours' patches.
static Tensor fill_unmeasured(const Tensor &image, const Tensor &valid) {
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

static Tensor box_tensor(const lvn_reg_box &box, float *data, const at::Device &device) {
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
static Tensor importance(const Neighbourhood &fixed, double spacing, double sigma) {
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

void lend(Neighbourhood &side) {
  side.weight = side.weight.contiguous();
  Tensor on_host = side.weight.to(at::kCPU);
  side.weight = on_host;
  side.features.data = side.channels.data_ptr<float>();
  side.features.weight = side.weight.data_ptr<float>();
}

static int64_t good_size(int64_t n) {
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
static Tensor shift_costs(const Neighbourhood &fixed, const Neighbourhood &moving, Tensor &ret_overlap) {
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
static double peak_of(const Tensor &cost, const Tensor &allowed, std::array<int64_t, 3> best) {
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
static double parabola(double before, double at_best, double after) {
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

} // namespace lvn_reg
