#include "model/train/model_torch.hh"

#include "daemon/base/vocabulary.h"
#include "model/network/package.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <memory>

namespace lvn {

namespace {

constexpr int64_t kSide = LVN_CROP_SIDE;
constexpr int64_t kSliceValues = LVN_PHASE_NETWORK_COUNT * kSide * kSide;
constexpr double kPi = 3.14159265358979323846;

struct DatasetCloser {
  void operator()(struct lvn_dataset *dataset) const {
    lvn_dataset_close(dataset);
  }
};
using DatasetHandle = std::unique_ptr<struct lvn_dataset, DatasetCloser>;

torch::Tensor unit(const torch::Tensor &x) {
  return torch::nn::functional::normalize(x, torch::nn::functional::NormalizeFuncOptions().dim(-1));
}

bool is_complete(const lvn_dataset_lesion &lesion) {
  return lesion.phase_present[0] && lesion.phase_present[1] && lesion.phase_present[2];
}

void append_lesion(const lvn_dataset *dataset, size_t index, unsigned validation_fold, int64_t &used,
                   TrainingData &data) {
  const lvn_dataset_lesion *lesion = lvn_dataset_get(dataset, index);
  struct lvn_error err = {};
  struct lvn_crop crop = {};
  if (!lvn_dataset_load(dataset, index, &crop, &err)) {
    lvn_throw(err);
  }
  data.lesions.push_back({used, static_cast<int64_t>(crop.slice_count), static_cast<int64_t>(crop.key_slice),
                          static_cast<int64_t>(lesion->lesion_class), lesion->fold == validation_fold});
  for (size_t i = 0; i < crop.slice_count; i++, used++) {
    std::memcpy(data.hounsfield.data_ptr<int16_t>() + used * kSliceValues, crop.slices[i].hounsfield,
                static_cast<size_t>(kSliceValues) * sizeof(int16_t));
  }
  lvn_crop_clear(&crop);
}

// Training on a patient that calibrates the model would flatter it.
void check_split(const std::vector<DatasetHandle> &datasets, unsigned validation_fold) {
  std::map<std::string, bool> held_out;
  for (const DatasetHandle &dataset : datasets) {
    for (size_t i = 0; i < lvn_dataset_count(dataset.get()); i++) {
      const lvn_dataset_lesion *lesion = lvn_dataset_get(dataset.get(), i);
      const bool held = lesion->fold == validation_fold;
      if (held_out.emplace(lesion->patient_key, held).first->second != held) {
        throw std::runtime_error("patient '" + std::string(lesion->patient_key) +
                                 "' is in the held-out fold and outside it");
      }
    }
  }
}

double uniform(std::mt19937_64 &random, double low, double high) {
  return low + (high - low) * static_cast<double>(random() >> 11U) * 0x1p-53;
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

torch::Tensor jitter(torch::Tensor x, const lvn_recipe &recipe, std::mt19937_64 &random) {
  const int64_t count = x.size(0);
  torch::Tensor gain = torch::empty({count, LVN_PHASE_NETWORK_COUNT, 1, 1});
  torch::Tensor offset = torch::empty_like(gain);
  for (int64_t i = 0; i < gain.numel(); i++) {
    gain.data_ptr<float>()[i] = static_cast<float>(1.0 + uniform(random, -1.0, 1.0) * recipe.gain);
    offset.data_ptr<float>()[i] = static_cast<float>(uniform(random, -1.0, 1.0) * recipe.offset_hu);
  }
  return x * gain + offset;
}

// `random` NULL: the order that is asked at inference, for all.
torch::Tensor draw_orders(int64_t count, double share, std::mt19937_64 *random) {
  torch::Tensor orders = torch::zeros({count}, torch::kInt64);
  for (int64_t i = 0; random != nullptr && i < count; i++) {
    const bool shuffled = uniform(*random, 0.0, 1.0) < share;
    const int64_t drawn = static_cast<int64_t>((*random)() % LVN_ORDER_COUNT);
    orders.data_ptr<int64_t>()[i] = shuffled ? drawn : 0;
  }
  return orders;
}

torch::Tensor permute_phases(const torch::Tensor &x, const torch::Tensor &orders) {
  torch::Tensor table = torch::empty({LVN_ORDER_COUNT, LVN_PHASE_NETWORK_COUNT}, torch::kInt64);
  for (int64_t i = 0; i < table.numel(); i++) {
    table.data_ptr<int64_t>()[i] = lvn_order[i / LVN_PHASE_NETWORK_COUNT][i % LVN_PHASE_NETWORK_COUNT];
  }
  const torch::Tensor channels = table.index_select(0, orders);
  return x.gather(1, channels.view({-1, LVN_PHASE_NETWORK_COUNT, 1, 1}).expand_as(x));
}

void load_package(LiverVlm &model, const char *package_folder) {
  const torch::NoGradGuard no_grad;
  struct lvn_error err = {};
  struct lvn_package package = {};
  if (!lvn_package_open(package_folder, &package, &err)) {
    lvn_throw(err);
  }
  lvn_package_clear(&package);
  struct lvn_safetensors *opened = nullptr;
  const std::string path = std::string(package_folder) + "/" + LVN_PACKAGE_WEIGHTS;
  if (!lvn_safetensors_open(path.c_str(), LVN_PACKAGE_WEIGHTS_MAX, &opened, &err)) {
    lvn_throw(err);
  }
  const lvn_safetensors_handle file(opened);
  auto copy = [&](const std::string &name, torch::Tensor target) {
    const lvn_tensor *view = lvn_safetensors_find(opened, name.c_str());
    const torch::Tensor source = view == nullptr ? torch::Tensor() : lvn_tensor_to_torch(view);
    if (source.defined() && source.sizes() == target.sizes()) {
      target.copy_(source);
    } else if (name.rfind("fc_t.", 0) != 0) {
      throw std::runtime_error("package '" + std::string(package_folder) + "' has no '" + name + "' of this shape");
    }
  };
  for (const auto &item : model->named_parameters()) {
    copy(item.key(), item.value());
  }
  for (const auto &item : model->named_buffers()) {
    if (item.key().find("num_batches_tracked") == std::string::npos) {
      copy(item.key(), item.value());
    }
  }
}

} // namespace

LiverVlmImpl::LiverVlmImpl(int trunk_depth, int64_t joint_size, int64_t text_size) {
  image = register_module("image", ResNet(trunk_depth));
  fc_i = register_module("fc_i", torch::nn::Linear(resnet_feature_size(trunk_depth), joint_size));
  fc_t = register_module("fc_t", torch::nn::Linear(text_size, joint_size));
}

torch::Tensor LiverVlmImpl::prototypes(const torch::Tensor &prompts) {
  return unit(fc_t->forward(prompts));
}

torch::Tensor LiverVlmImpl::forward(const torch::Tensor &images, const torch::Tensor &orders,
                                    const torch::Tensor &prompts) {
  const torch::Tensor joint = unit(fc_i->forward(image->forward(images).mean({2, 3})));
  const torch::Tensor own = prototypes(prompts).index_select(0, orders);
  return torch::bmm(own, joint.unsqueeze(2)).squeeze(2);
}

void load_weights(LiverVlm &model, const char *path) {
  if (std::filesystem::is_regular_file(path)) {
    torch::serialize::InputArchive archive, averaged;
    archive.load_from(path);
    archive.read("averaged", averaged);
    model->load(averaged);
  } else {
    load_package(model, path);
  }
}

TrainingData load_training_data(const char *const *folders, size_t folder_count, unsigned validation_fold) {
  TrainingData data;
  std::vector<DatasetHandle> datasets;
  int64_t slices = 0;
  for (size_t f = 0; f < folder_count; f++) {
    struct lvn_dataset *opened = nullptr;
    struct lvn_error err = {};
    char digest[LVN_SHA256_TEXT_BYTES];
    if (!lvn_dataset_open(folders[f], &opened, &err)) {
      lvn_throw(err);
    }
    datasets.emplace_back(opened);
    lvn_sha256_to_text(lvn_dataset_sha256(opened), digest);
    data.digest += (f == 0 ? "" : "+") + std::string(digest);
    data.source = lvn_dataset_source(opened);
    for (size_t i = 0; i < lvn_dataset_count(opened); i++) {
      const lvn_dataset_lesion *lesion = lvn_dataset_get(opened, i);
      slices += is_complete(*lesion) ? static_cast<int64_t>(lesion->slice_count) : 0;
    }
  }
  check_split(datasets, validation_fold);
  data.hounsfield = torch::empty({slices, LVN_PHASE_NETWORK_COUNT, kSide, kSide}, torch::kInt16);
  int64_t used = 0;
  for (const DatasetHandle &dataset : datasets) {
    for (size_t i = 0; i < lvn_dataset_count(dataset.get()); i++) {
      if (is_complete(*lvn_dataset_get(dataset.get(), i))) {
        append_lesion(dataset.get(), i, validation_fold, used, data);
      }
    }
  }
  return data;
}

torch::Tensor load_prompts(const char *path, bool enriched) {
  struct lvn_safetensors *opened = nullptr;
  struct lvn_error err = {};
  if (!lvn_safetensors_open(path, size_t{1} << 31, &opened, &err)) {
    lvn_throw(err);
  }
  const lvn_safetensors_handle file(opened);
  const std::string key = enriched ? "enriched" : "simple";
  const lvn_tensor *view = lvn_safetensors_find(opened, key.c_str());
  if (view == nullptr) {
    view = lvn_safetensors_find(opened, ("text." + key).c_str());
  }
  if (view == nullptr || view->rank != (enriched ? 3U : 2U)) {
    throw std::runtime_error("'" + std::string(path) + "' holds no " + key + " prompt embeddings");
  }
  torch::Tensor prompts = lvn_tensor_to_torch(view).to(torch::kFloat32);
  if (!enriched) {
    prompts = prompts.unsqueeze(0).expand({LVN_ORDER_COUNT, -1, -1}).contiguous();
  }
  if (prompts.size(0) != LVN_ORDER_COUNT || prompts.size(1) != LVN_CLASS_COUNT) {
    throw std::runtime_error("'" + std::string(path) + "': prompt embeddings have another shape");
  }
  return prompts;
}

std::vector<Sample> draw_epoch(const TrainingData &data, std::mt19937_64 &random) {
  std::vector<std::vector<int64_t>> by_class(LVN_CLASS_COUNT);
  size_t total = 0;
  for (size_t i = 0; i < data.lesions.size(); i++) {
    if (!data.lesions[i].held_out) {
      by_class[static_cast<size_t>(data.lesions[i].label)].push_back(static_cast<int64_t>(i));
      total++;
    }
  }
  std::vector<Sample> samples;
  for (std::vector<int64_t> &members : by_class) {
    for (size_t i = 0; !members.empty() && i < total / LVN_CLASS_COUNT; i++) {
      if (i % members.size() == 0) {
        std::shuffle(members.begin(), members.end(), random);
      }
      const TrainingLesion &lesion = data.lesions[static_cast<size_t>(members[i % members.size()])];
      const auto slice = static_cast<int64_t>(random() % static_cast<uint64_t>(lesion.slice_count));
      samples.push_back({members[i % members.size()], lesion.first_slice + slice});
    }
  }
  std::shuffle(samples.begin(), samples.end(), random);
  return samples;
}

Batch make_batch(const TrainingData &data, const Sample *samples, size_t count, unsigned side, const lvn_recipe &recipe,
                 std::mt19937_64 *random) {
  Batch batch;
  const auto n = static_cast<int64_t>(count);
  torch::Tensor slices = torch::empty({n}, torch::kInt64);
  batch.labels = torch::empty({n}, torch::kInt64);
  for (int64_t i = 0; i < n; i++) {
    slices.data_ptr<int64_t>()[i] = samples[i].slice;
    batch.labels.data_ptr<int64_t>()[i] = data.lesions[static_cast<size_t>(samples[i].lesion)].label;
  }
  torch::Tensor x = data.hounsfield.index_select(0, slices).to(torch::kFloat32);
  if (2 * side <= kSide) {
    x = torch::avg_pool2d(x, 2); // so that the samples of a small image do not skip pixels
  }
  if (random != nullptr) {
    x = jitter(x, recipe, *random);
  }
  x = ((x - recipe.window_low_hu) / (recipe.window_high_hu - recipe.window_low_hu)).clamp_(0.0, 1.0);
  x = (x - 0.5) / 0.5;
  if (random != nullptr || x.size(2) != side) {
    torch::Tensor theta = torch::tensor({1.0F, 0.0F, 0.0F, 0.0F, 1.0F, 0.0F}).repeat({n, 1});
    for (int64_t i = 0; random != nullptr && i < n; i++) {
      draw_affine(recipe, *random, theta.data_ptr<float>() + 6 * i);
    }
    const torch::Tensor grid = torch::affine_grid_generator(theta.view({n, 2, 3}), {n, 3, side, side}, false);
    x = torch::grid_sampler(x, grid, 0, 1, false); // bilinear, border
  }
  batch.orders = draw_orders(n, recipe.order_share, random);
  batch.images = permute_phases(x, batch.orders).contiguous(torch::MemoryFormat::ChannelsLast);
  return batch;
}

} // namespace lvn
