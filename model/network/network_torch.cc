#include "model/network/network_torch.hh"

#include "model/image/vocabulary.h"

namespace lvn {

namespace {

torch::Tensor require(const lvn_safetensors *file, const char *name, std::vector<int64_t> shape) {
  const lvn_tensor *view = lvn_safetensors_find(file, name);
  if (view == nullptr) {
    throw std::runtime_error(std::string("weights: tensor '") + name + "' is missing");
  }
  torch::Tensor tensor = lvn_tensor_to_torch(view).to(torch::kFloat32);
  if (tensor.sizes() != torch::IntArrayRef(shape)) {
    throw std::runtime_error(std::string("weights: tensor '") + name + "' has another shape than expected");
  }
  return tensor;
}

} // namespace

void Network::load(const lvn_safetensors *file, const lvn_package_recipe &recipe, torch::Device device) {
  kind_ = &find_image_encoder(recipe.encoder);
  const int64_t joint = static_cast<int64_t>(recipe.joint_size);
  recipe_ = recipe;
  device_ = device;
  encoder_ = kind_->fold(file, "image.", device);
  const int64_t features = kind_->build()->feature_size();
  weight_ = require(file, "fc_i.weight", {joint, features}).to(device);
  bias_ = require(file, "fc_i.bias", {joint}).to(device);
  prototypes_ = require(file, "prototypes",
                        {LVN_PERMUTATION_COUNT, static_cast<int64_t>(lvn_classes_count(recipe.classes)), joint})
                    .to(device);
  prototypes_ = torch::nn::functional::normalize(prototypes_, torch::nn::functional::NormalizeFuncOptions().dim(-1));
  outliers_.load(file, features);
  trees_ = load_trees(file, class_count());
}

torch::Tensor Network::prepare(const torch::Tensor &hounsfield, size_t order) const {
  std::vector<int64_t> channels;
  for (int channel = 0; channel < LVN_PHASE_NETWORK_COUNT; channel++) {
    channels.push_back(lvn_permutation[order][channel]);
  }
  const double width = recipe_.window_high_hu - recipe_.window_low_hu;
  torch::Tensor x = hounsfield.to(device_).index_select(1, torch::tensor(channels, device_)).to(torch::kFloat32);
  x = ((x - recipe_.window_low_hu) / width).clamp_(0.0, 1.0);
  if (x.size(2) != kind_->input_side) {
    x = torch::upsample_bilinear2d(x, {kind_->input_side, kind_->input_side}, false);
  }
  return kind_->normalise(x, recipe_.mean, recipe_.std).contiguous(torch::MemoryFormat::ChannelsLast);
}

NetworkOutput Network::forward(const torch::Tensor &input) const {
  NetworkOutput output;
  output.map = encoder_->forward(input);
  output.features = kind_->pool(output.map);
  output.joint = torch::addmm(bias_, output.features, weight_.t());
  return output;
}

torch::Tensor Network::cosine(const torch::Tensor &joint, size_t order) const {
  const torch::Tensor unit =
      torch::nn::functional::normalize(joint, torch::nn::functional::NormalizeFuncOptions().dim(-1));
  return torch::matmul(unit, prototypes_[static_cast<int64_t>(order)].t());
}

torch::Tensor Network::explain(const torch::Tensor &map, size_t order) const {
  return kind_->explain(map, {weight_, bias_, prototypes_[static_cast<int64_t>(order)]});
}

torch::Tensor Network::flipped(const torch::Tensor &hounsfield) const {
  std::vector<torch::Tensor> answers;
  for (const int64_t axis : {int64_t{0}, int64_t{3}, int64_t{2}}) {
    const torch::Tensor image = axis == 0 ? hounsfield : hounsfield.flip({axis});
    answers.push_back(cosine(forward(prepare(image, 0)).joint, 0).mean(0).to(torch::kCPU, torch::kFloat64));
  }
  return torch::softmax(recipe_.scale / recipe_.temperature * torch::stack(answers), 1);
}

torch::Tensor Network::reordered(const torch::Tensor &hounsfield) const {
  std::vector<torch::Tensor> answers;
  for (const size_t order : {size_t{0}, size_t{1}, size_t{4}}) {
    answers.push_back(
        cosine(forward(prepare(hounsfield, order)).joint, order).mean(0).to(torch::kCPU, torch::kFloat64));
  }
  return torch::softmax(recipe_.scale / recipe_.temperature * torch::stack(answers), 1);
}

} // namespace lvn
