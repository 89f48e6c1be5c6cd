#include "model/train/views_torch.hh"

#include "model/image/vocabulary.h"
#include "model/text/prompts.h"

#include <array>
#include <cmath>

namespace lvn {

namespace {

constexpr int64_t kCropSide = LVN_CROP_SIDE;
constexpr int64_t kPhases = LVN_PHASE_NETWORK_COUNT;
constexpr double kPi = 3.14159265358979323846;
constexpr int64_t kBlurRadius = 4;
constexpr double kMissingHu = -1000.0; // as the crop marks what was not measured

// The phases of a sample's three channels before they are permuted, in the order in which they are acquired.
struct Shown {
  std::array<enum lvn_phase, LVN_PHASE_NETWORK_COUNT> phases = {LVN_PHASE_NC, LVN_PHASE_ART, LVN_PHASE_PV};
  int64_t present = 0; // bit c: channel c was measured
};

// The delayed phase comes last in time, so those behind the one that it takes the place of move up.
Shown show_delayed(int64_t present, std::mt19937_64 &random) {
  std::array<int64_t, kPhases> candidates{};
  uint64_t count = 0;
  for (int64_t phase = 0; phase < kPhases; phase++) {
    if (present == (1 << kPhases) - 1 || (present >> phase & 1) == 0) {
      candidates[count++] = phase;
    }
  }
  const int64_t out = candidates[random() % count];
  Shown shown;
  size_t channel = 0;
  for (int64_t phase = 0; phase <= kPhases; phase++) {
    if (phase != out) {
      shown.phases[channel] = static_cast<enum lvn_phase>(phase);
      shown.present |= phase == LVN_PHASE_DL || (present >> phase & 1) != 0 ? int64_t{1} << channel : 0;
      channel++;
    }
  }
  return shown;
}

// What each sample shows of its lesion's phases; draws nothing unless the recipe wants the delayed one.
std::vector<Shown> draw_shown(const TrainingData &data, const Sample *samples, int64_t count, double share,
                              std::mt19937_64 *random) {
  std::vector<Shown> all(static_cast<size_t>(count));
  for (size_t i = 0; i < all.size(); i++) {
    const TrainingLesion &lesion = data.lesions[static_cast<size_t>(samples[i].lesion)];
    if (random != nullptr && share > 0.0 && lesion.delayed && uniform(*random, 0.0, 1.0) < share) {
      all[i] = show_delayed(lesion.present, *random);
    } else {
      all[i].present = lesion.present;
    }
  }
  return all;
}

// Rows of the affine map from output to input coordinates in -1…1 (torch::affine_grid_generator).
void draw_affine(const lvn_recipe &recipe, std::mt19937_64 &random, float *theta) {
  const double angle = uniform(random, -1.0, 1.0) * recipe.rotate_degrees * kPi / 180.0;
  const double zoom = 1.0 + uniform(random, -1.0, 1.0) * recipe.zoom;
  const double mirror_x = recipe.flip && uniform(random, 0.0, 1.0) < 0.5 ? -1.0 : 1.0;
  const double mirror_y = recipe.flip && uniform(random, 0.0, 1.0) < 0.5 ? -1.0 : 1.0;
  theta[0] = static_cast<float>(std::cos(angle) / zoom * mirror_x);
  theta[1] = static_cast<float>(-std::sin(angle) / zoom);
  theta[2] = static_cast<float>(2.0 * recipe.shift * uniform(random, -1.0, 1.0));
  theta[3] = static_cast<float>(std::sin(angle) / zoom);
  theta[4] = static_cast<float>(std::cos(angle) / zoom * mirror_y);
  theta[5] = static_cast<float>(2.0 * recipe.shift * uniform(random, -1.0, 1.0));
}

// Without geometric augmentation a full-size image is taken as it is: resampling would only soften it.
bool has_geometry(const lvn_recipe &recipe) {
  return recipe.flip || recipe.rotate_degrees > 0.0 || recipe.zoom > 0.0 || recipe.shift > 0.0;
}

// The channels as `shown` says, or NC, ART, PV of every sample where it is empty.
torch::Tensor gather_slices(const TrainingData &data, const Sample *samples, int64_t count, unsigned side,
                            const std::vector<Shown> &shown) {
  const torch::Device device = data.hounsfield.device();
  torch::Tensor slices = torch::empty({count}, torch::kInt64);
  for (int64_t i = 0; i < count; i++) {
    slices.data_ptr<int64_t>()[i] = samples[i].slice;
  }
  slices = slices.to(device);
  torch::Tensor x = data.hounsfield.index_select(0, slices);
  if (data.delayed.defined() && !shown.empty()) {
    torch::Tensor table = torch::empty({count, kPhases, 1, 1}, torch::kInt64);
    for (int64_t i = 0; i < table.numel(); i++) {
      table.data_ptr<int64_t>()[i] = shown[static_cast<size_t>(i / kPhases)].phases[static_cast<size_t>(i % kPhases)];
    }
    x = torch::cat({x, data.delayed.index_select(0, slices)}, 1)
            .gather(1, table.to(device).expand({count, kPhases, x.size(2), x.size(3)}));
  }
  x = x.to(torch::kFloat32);
  return 2 * side <= kCropSide ? torch::avg_pool2d(x, 2) : x; // so that the samples of a small image skip no pixels
}

torch::Tensor jitter(const torch::Tensor &x, double gain, double offset_hu, std::mt19937_64 &random) {
  if (gain == 0.0 && offset_hu == 0.0) {
    return x;
  }
  torch::Tensor factor = torch::empty({x.size(0), kPhases, 1, 1});
  torch::Tensor offset = torch::empty_like(factor);
  for (int64_t i = 0; i < factor.numel(); i++) {
    factor.data_ptr<float>()[i] = static_cast<float>(1.0 + uniform(random, -1.0, 1.0) * gain);
    offset.data_ptr<float>()[i] = static_cast<float>(uniform(random, -1.0, 1.0) * offset_hu);
  }
  return torch::addcmul(offset.to(x.device()), x, factor.to(x.device()));
}

torch::Tensor window(const torch::Tensor &x, const lvn_recipe &recipe) {
  const auto statistics = normalisation(recipe.normalisation);
  const double width = recipe.window_high_hu - recipe.window_low_hu;
  return ((x - recipe.window_low_hu) / width).clamp_(0.0, 1.0).sub_(statistics.first).div_(statistics.second);
}

torch::Tensor sample_affine(const torch::Tensor &x, const torch::Tensor &theta, int64_t side) {
  const int64_t n = x.size(0);
  const torch::Tensor grid =
      torch::affine_grid_generator(theta.view({n, 2, 3}).to(x.device()), {n, 3, side, side}, false);
  return torch::grid_sampler(x, grid, 0, 1, false); // bilinear, border
}

torch::Tensor resize(const torch::Tensor &x, const lvn_recipe &recipe, int64_t side, std::mt19937_64 *random) {
  const bool moved = random != nullptr && has_geometry(recipe);
  if (!moved && x.size(2) == side) {
    return x;
  }
  torch::Tensor theta = torch::tensor({1.0F, 0.0F, 0.0F, 0.0F, 1.0F, 0.0F}).repeat({x.size(0), 1});
  for (int64_t i = 0; moved && i < x.size(0); i++) {
    draw_affine(recipe, *random, theta.data_ptr<float>() + 6 * i);
  }
  return sample_affine(x, theta, side);
}

torch::Tensor draw_permutations(const Sample *samples, int64_t count, double share, std::mt19937_64 *random) {
  torch::Tensor permutations = torch::zeros({count}, torch::kInt64);
  for (int64_t i = 0; i < count; i++) {
    if (samples[i].order >= 0) {
      permutations.data_ptr<int64_t>()[i] = samples[i].order;
    } else if (random != nullptr) {
      const bool shuffled = uniform(*random, 0.0, 1.0) < share;
      const auto drawn = static_cast<int64_t>((*random)() % LVN_PERMUTATION_COUNT);
      permutations.data_ptr<int64_t>()[i] = shuffled ? drawn : 0;
    }
  }
  return permutations;
}

// Bits of the phases that are left of `present`: with probability `share` one of them goes, and half as often a second.
int64_t drop_phases(int64_t present, double share, std::mt19937_64 &random) {
  for (double chance = share; uniform(random, 0.0, 1.0) < chance; chance *= 0.5) {
    const int64_t left = present & ~(int64_t{1} << (random() % kPhases));
    present = left != 0 ? left : present;
  }
  return present;
}

// Zeroes out, as the crop does, the phases that were dropped, and names what is left by its sequence of phases.
torch::Tensor choose_phases(const std::vector<Shown> &shown, const lvn_recipe &recipe, std::mt19937_64 *random,
                            Batch &batch, torch::Tensor x) {
  const int64_t count = x.size(0);
  torch::Tensor keep = torch::ones({count, kPhases, 1, 1}, torch::kBool);
  bool all_kept = true;
  batch.sequences = torch::empty({count}, torch::kInt64);
  for (int64_t i = 0; i < count; i++) {
    const Shown &sample = shown[static_cast<size_t>(i)];
    int64_t present = sample.present;
    if (random != nullptr && recipe.phase_dropout > 0.0) {
      present = drop_phases(present, recipe.phase_dropout, *random);
    }
    for (int64_t phase = 0; phase < kPhases; phase++) {
      const bool kept = (present >> phase & 1) != 0;
      keep.data_ptr<bool>()[i * kPhases + phase] = kept;
      all_kept = all_kept && kept;
    }
    const auto order = static_cast<size_t>(batch.permutations.data_ptr<int64_t>()[i]);
    batch.sequences.data_ptr<int64_t>()[i] =
        static_cast<int64_t>(lvn_sequence_find(order, sample.phases.data(), static_cast<unsigned>(present)));
  }
  return all_kept ? x : torch::where(keep.to(x.device()), x, torch::full({}, kMissingHu, x.options()));
}

torch::Tensor permute_phases(const torch::Tensor &x, const torch::Tensor &permutations) {
  torch::Tensor table = torch::empty({LVN_PERMUTATION_COUNT, kPhases}, torch::kInt64);
  for (int64_t i = 0; i < table.numel(); i++) {
    table.data_ptr<int64_t>()[i] = lvn_permutation[i / kPhases][i % kPhases];
  }
  const torch::Tensor channels = table.index_select(0, permutations).to(x.device());
  return x.gather(1, channels.view({-1, kPhases, 1, 1}).expand_as(x)).contiguous(torch::MemoryFormat::ChannelsLast);
}

// Gaussian blur of half of the images, one sigma each: a depthwise convolution with a kernel per image.
torch::Tensor blur(const torch::Tensor &x, std::mt19937_64 &random) {
  const int64_t n = x.size(0);
  const int64_t width = 2 * kBlurRadius + 1;
  torch::Tensor kernels = torch::zeros({n, width});
  for (int64_t i = 0; i < n; i++) {
    const bool blurred = uniform(random, 0.0, 1.0) < 0.5;
    const double sigma = uniform(random, 0.1, 2.0);
    for (int64_t k = 0; k < width; k++) {
      const double distance = static_cast<double>(k - kBlurRadius);
      kernels.data_ptr<float>()[i * width + k] =
          blurred ? static_cast<float>(std::exp(-0.5 * distance * distance / (sigma * sigma)))
                  : (k == kBlurRadius ? 1.0F : 0.0F);
    }
  }
  kernels = (kernels / kernels.sum(1, true)).repeat_interleave(kPhases, 0).to(x.device());
  torch::Tensor flat = torch::reflection_pad2d(x, {kBlurRadius, kBlurRadius, kBlurRadius, kBlurRadius});
  flat = flat.reshape({1, n * kPhases, flat.size(2), flat.size(3)});
  const std::vector<int64_t> zero{0, 0};
  flat = torch::conv2d(flat, kernels.view({-1, 1, 1, width}), torch::Tensor(), 1, zero, 1, n * kPhases);
  flat = torch::conv2d(flat, kernels.view({-1, 1, width, 1}), torch::Tensor(), 1, zero, 1, n * kPhases);
  return flat.view({n, kPhases, x.size(2), x.size(3)});
}

} // namespace

std::pair<double, double> normalisation(enum lvn_recipe_normalisation kind) {
  return kind == LVN_NORMALISE_IMAGENET ? std::make_pair((0.485 + 0.456 + 0.406) / 3, (0.229 + 0.224 + 0.225) / 3)
                                        : std::make_pair(0.5, 0.5);
}

Batch make_batch(const TrainingData &data, const Sample *samples, size_t count, unsigned side, const lvn_recipe &recipe,
                 std::mt19937_64 *random) {
  Batch batch;
  const auto n = static_cast<int64_t>(count);
  const torch::Device device = data.hounsfield.device();
  batch.labels = torch::empty({n}, torch::kInt64);
  for (int64_t i = 0; i < n; i++) {
    batch.labels.data_ptr<int64_t>()[i] = data.lesions[static_cast<size_t>(samples[i].lesion)].label;
  }
  const std::vector<Shown> shown = draw_shown(data, samples, n, recipe.fourth_phase, random);
  torch::Tensor x = gather_slices(data, samples, n, side, shown);
  x = random != nullptr ? jitter(x, recipe.gain, recipe.offset_hu, *random) : x;
  batch.permutations = draw_permutations(samples, n, recipe.permutation_share, random);
  x = choose_phases(shown, recipe, random, batch, x);
  x = resize(window(x, recipe), recipe, side, random);
  batch.images = permute_phases(x, batch.permutations);
  batch.labels = batch.labels.to(device);
  batch.permutations = batch.permutations.to(device);
  batch.sequences = batch.sequences.to(device);
  return batch;
}

Batch make_shuffle_batch(const TrainingData &data, const Sample *samples, size_t count, unsigned side,
                         const lvn_recipe &recipe, std::mt19937_64 &random) {
  Batch batch;
  const auto n = static_cast<int64_t>(count);
  torch::Tensor x = gather_slices(data, samples, n, side, {});
  x = jitter(x, recipe.pretraining_gain, recipe.pretraining_offset_hu, random);
  x = resize(window(x, recipe), recipe, side, &random);
  batch.permutations = draw_permutations(samples, n, 1.0, &random);
  batch.images = permute_phases(x, batch.permutations);
  batch.permutations = batch.permutations.to(x.device());
  batch.labels = batch.permutations;
  return batch;
}

torch::Tensor make_simsiam_view(const TrainingData &data, const Sample *samples, size_t count, unsigned side,
                                const lvn_recipe &recipe, std::mt19937_64 &random) {
  const auto n = static_cast<int64_t>(count);
  torch::Tensor x = gather_slices(data, samples, n, side, {});
  x = window(jitter(x, recipe.pretraining_gain, recipe.pretraining_offset_hu, random), recipe);
  torch::Tensor theta = torch::zeros({n, 6});
  for (int64_t i = 0; i < n; i++) {
    float *row = theta.data_ptr<float>() + 6 * i;
    const double size = std::sqrt(uniform(random, 0.2, 1.0));
    row[0] = static_cast<float>(uniform(random, 0.0, 1.0) < 0.5 ? -size : size);
    row[2] = static_cast<float>(uniform(random, -1.0, 1.0) * (1.0 - size));
    row[4] = static_cast<float>(size);
    row[5] = static_cast<float>(uniform(random, -1.0, 1.0) * (1.0 - size));
  }
  return blur(sample_affine(x, theta, side), random).contiguous(torch::MemoryFormat::ChannelsLast);
}

} // namespace lvn
