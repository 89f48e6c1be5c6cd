#include "model/train/model_torch.hh"

#include "base/sha256.h"
#include "model/image/vocabulary.h"
#include "model/network/package.h"
#include "model/tensor/import.h"
#include "model/tensor/tensor_torch.hh"
#include "model/text/prompts.h"

#include <algorithm>
#include <cmath>
#include <filesystem>

namespace lvn {

namespace {

torch::Tensor unit(const torch::Tensor &x) {
  return torch::nn::functional::normalize(x, torch::nn::functional::NormalizeFuncOptions().dim(-1));
}

bool is_counter(const std::string &name) {
  return name.find("num_batches_tracked") != std::string::npos;
}

struct ImportCloser {
  void operator()(struct lvn_import *file) const {
    lvn_import_close(file);
  }
};

// What stands before torchvision's first name: wrappers add "module.", a package "image.". Inner blocks end likewise,
// so the shortest one counts.
std::string find_prefix(const lvn_import *file, const std::string &anchor) {
  std::string best;
  bool found = false;
  for (size_t i = 0; i < lvn_import_count(file); i++) {
    const std::string name = lvn_import_get(file, i)->name;
    const size_t length = name.size() - std::min(name.size(), anchor.size());
    const bool fits = name.substr(length) == anchor && (length == 0 || name[length - 1] == '.');
    if (fits && (!found || length < best.size())) {
      best = name.substr(0, length);
      found = true;
    }
  }
  return best;
}

void copy_tensor(const lvn_import *file, const std::string &name, torch::Tensor target, const std::string &path) {
  const lvn_tensor *view = lvn_import_find(file, name.c_str());
  if (view == nullptr) {
    throw std::runtime_error("'" + path + "' has no tensor '" + name + "'");
  }
  const torch::Tensor source = lvn_tensor_to_torch(view);
  if (source.sizes() != target.sizes() || !source.is_floating_point()) {
    throw std::runtime_error("'" + path + "': tensor '" + name + "' has another shape or type than expected");
  }
  target.copy_(source);
}

void load_package(LiverVlm &model, const char *package_folder) {
  struct lvn_error err = {};
  struct lvn_package package = {};
  if (!lvn_package_open(package_folder, &package, &err)) {
    lvn_throw(err);
  }
  lvn_package_clear(&package);
  struct lvn_import *opened = nullptr;
  const std::string path = std::string(package_folder) + "/" + LVN_PACKAGE_WEIGHTS;
  if (!lvn_import_open(path.c_str(), &opened, &err)) {
    lvn_throw(err);
  }
  const std::unique_ptr<lvn_import, ImportCloser> file(opened);
  auto copy = [&](const std::string &name, const torch::Tensor &target) {
    const lvn_tensor *view = lvn_import_find(opened, name.c_str());
    const bool fits = view != nullptr && lvn_tensor_to_torch(view).sizes() == target.sizes();
    if (fits || (name.rfind("fc_t.", 0) != 0 && name != "log_scale")) {
      copy_tensor(opened, name, target, path);
    }
  };
  for (const auto &item : model->named_parameters()) {
    copy(item.key(), item.value());
  }
  for (const auto &item : model->named_buffers()) {
    if (!is_counter(item.key())) {
      copy(item.key(), item.value());
    }
  }
}

} // namespace

LiverVlmImpl::LiverVlmImpl(const lvn_recipe &recipe, const torch::Tensor &embeddings)
    : image(find_image_encoder(recipe.encoder).build()), prompts(embeddings), fixed_scale_(recipe.scale),
      scale_max_(recipe.scale_max) {
  const auto joint = static_cast<int64_t>(recipe.joint_size);
  register_module("image", image);
  if (recipe.head == LVN_HEAD_FC) {
    fc = register_module("fc", torch::nn::Linear(image->feature_size(),
                                                 static_cast<int64_t>(lvn_classes_count(lvn_recipe_classes(&recipe)))));
    return;
  }
  fc_i = register_module("fc_i", torch::nn::Linear(image->feature_size(), joint));
  fc_t = register_module("fc_t", torch::nn::Linear(prompts.size(2), joint));
  if (recipe.scale_mode == LVN_SCALE_LEARNABLE) {
    log_scale = register_parameter("log_scale", torch::full({1}, std::log(recipe.scale)));
  }
}

torch::Tensor LiverVlmImpl::prototypes() {
  return unit(fc_t->forward(prompts.slice(0, 0, LVN_PERMUTATION_COUNT)));
}

torch::Tensor LiverVlmImpl::forward(const torch::Tensor &images, const torch::Tensor &sequences) {
  const torch::Tensor features = image->forward(images).mean({2, 3});
  if (!fc.is_empty()) {
    return fc->forward(features);
  }
  // Sums and the cosine stay in single precision under autocast.
  const torch::Tensor joint = unit(fc_i->forward(features).to(torch::kFloat32));
  const torch::Tensor all = unit(fc_t->forward(prompts).to(torch::kFloat32));
  const torch::Tensor cosine = (all.index_select(0, sequences) * joint.unsqueeze(1)).sum(2);
  return log_scale.defined() ? cosine * log_scale.exp() : cosine * fixed_scale_;
}

double LiverVlmImpl::scale() const {
  return log_scale.defined() ? std::exp(static_cast<double>(log_scale.item<float>())) : fixed_scale_;
}

void LiverVlmImpl::clamp_scale() {
  if (log_scale.defined()) {
    const torch::NoGradGuard no_grad;
    log_scale.clamp_(0.0, std::log(scale_max_));
  }
}

void load_weights(LiverVlm &model, const char *path) {
  const torch::NoGradGuard no_grad;
  if (std::filesystem::is_directory(path)) {
    load_package(model, path);
  } else {
    load_image_encoder(*model->image, path);
  }
}

std::string file_digest(const std::string &path) {
  struct lvn_error err = {};
  uint8_t sha256[LVN_SHA256_BYTES];
  char digest[LVN_SHA256_TEXT_BYTES];
  if (!lvn_sha256_of_file(path.c_str(), sha256, &err)) {
    lvn_throw(err);
  }
  lvn_sha256_to_text(sha256, digest);
  return digest;
}

std::string weights_digest(const char *path) {
  return file_digest(std::filesystem::is_directory(path) ? std::string(path) + "/" LVN_PACKAGE_WEIGHTS : path);
}

void load_image_encoder(ImageEncoderImpl &encoder, const std::string &path) {
  const torch::NoGradGuard no_grad;
  struct lvn_error err = {};
  struct lvn_import *opened = nullptr;
  if (!lvn_import_open(path.c_str(), &opened, &err)) {
    lvn_throw(err);
  }
  const std::unique_ptr<lvn_import, ImportCloser> file(opened);
  const std::string prefix = find_prefix(opened, encoder.named_parameters().begin()->key());
  for (const auto &item : encoder.named_parameters()) {
    copy_tensor(opened, prefix + item.key(), item.value(), path);
  }
  for (const auto &item : encoder.named_buffers()) {
    if (!is_counter(item.key())) {
      copy_tensor(opened, prefix + item.key(), item.value(), path);
    }
  }
}

void save_image_encoder(ImageEncoderImpl &encoder, const std::string &path, const std::string &fingerprint,
                        const std::string &history) {
  lvn_tensor_set set;
  for (const auto &item : encoder.named_parameters()) {
    set.add(item.key(), item.value());
  }
  for (const auto &item : encoder.named_buffers()) {
    if (!is_counter(item.key())) {
      set.add(item.key(), item.value());
    }
  }
  set.note("fingerprint", fingerprint);
  set.note("history", history);
  set.write(path);
}

namespace {

// Columns of the wanted classes among those that the file says it has; without a word: the paper's.
torch::Tensor choose_classes(const lvn_safetensors *file, const char *path, const torch::Tensor &prompts,
                             unsigned classes) {
  const char *names = lvn_safetensors_metadata(file, "classes");
  unsigned held = LVN_CLASSES_PAPER;
  if ((names != nullptr && !lvn_classes_parse(names, &held)) ||
      prompts.size(1) != static_cast<int64_t>(lvn_classes_count(held))) {
    throw std::runtime_error("'" + std::string(path) + "': prompt embeddings have another shape");
  }
  if ((classes & ~held) != 0) {
    throw std::runtime_error("'" + std::string(path) + "': the prompt embeddings name no class " +
                             lvn_class_name(lvn_classes_at(classes & ~held, 0)) +
                             ": make them anew by text-encoder embed");
  }
  std::vector<int64_t> columns;
  for (size_t i = 0; i < lvn_classes_count(classes); i++) {
    columns.push_back(static_cast<int64_t>(lvn_classes_place(held, lvn_classes_at(classes, i))));
  }
  return prompts.index_select(1, torch::tensor(columns)).contiguous();
}

} // namespace

torch::Tensor load_prompts(const char *path, enum lvn_recipe_prompts kind, unsigned classes) {
  struct lvn_safetensors *opened = nullptr;
  struct lvn_error err = {};
  const bool enriched = kind == LVN_PROMPTS_ENRICHED;
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
    prompts = prompts.unsqueeze(0).expand({LVN_SEQUENCE_COUNT, -1, -1}).contiguous();
  }
  if (prompts.size(0) != LVN_PERMUTATION_COUNT && prompts.size(0) != LVN_SEQUENCE_NETWORK_COUNT &&
      prompts.size(0) != LVN_SEQUENCE_COUNT) {
    throw std::runtime_error("'" + std::string(path) + "': prompt embeddings have another shape");
  }
  return choose_classes(opened, path, prompts, classes);
}

} // namespace lvn
