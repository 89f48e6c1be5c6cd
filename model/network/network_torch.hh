// Liver-VLM as it runs: HU in, cosines and the last feature map out. The classifier and the trainer's calibration both
// use it, so that what is calibrated is what runs.
#ifndef LVN_MODEL_NETWORK_TORCH_HH
#define LVN_MODEL_NETWORK_TORCH_HH

#include "model/network/image_encoder_torch.hh"
#include "model/network/opinion_torch.hh"
#include "model/network/outlier_torch.hh"
#include "model/network/package.h"

#include <torch/torch.h>

namespace lvn {

struct NetworkOutput {
  torch::Tensor map;      // [n,features,h,w]
  torch::Tensor features; // [n,features], the map pooled
  torch::Tensor joint;    // [n,joint], not normalised
};

class Network {
public:
  // Throws when a tensor is missing or has another shape than `recipe` says.
  void load(const struct lvn_safetensors *file, const struct lvn_package_recipe &recipe, torch::Device device);

  // int16 HU [n,3,224,224] in the order NC, ART, PV to windowed, normalised float on the device, channels last; the
  // channels in the order lvn_permutation[order].
  torch::Tensor prepare(const torch::Tensor &hounsfield, size_t order) const;
  NetworkOutput forward(const torch::Tensor &input) const;
  // [n,classes] of joint vectors against the order's prototypes.
  torch::Tensor cosine(const torch::Tensor &joint, size_t order) const;

  // The encoder's explanation of one image: map [features,h,w] to [classes,h,w].
  torch::Tensor explain(const torch::Tensor &map, size_t order) const;

  // Takes over the temperature alone.
  void calibrate(const struct lvn_package_recipe &recipe) {
    recipe_.temperature = recipe.temperature;
  }

  size_t class_count() const {
    return lvn_classes_count(recipe_.classes);
  }
  // NULL in a package without.
  const struct lvn_trees *trees() const {
    return trees_.get();
  }
  const OutlierScorer &outliers() const {
    return outliers_;
  }
  // Calibrated probabilities [answers,classes] of prepared images and two views of each: mirrored in both directions,
  // or with the phases in two other orders; the mean over the slices.
  torch::Tensor flipped(const torch::Tensor &hounsfield) const;
  torch::Tensor reordered(const torch::Tensor &hounsfield) const;

private:
  struct lvn_package_recipe recipe_ = {};
  torch::Device device_ = torch::kCPU;
  const ImageEncoderKind *kind_ = nullptr;
  std::unique_ptr<RunningEncoder> encoder_;
  torch::Tensor weight_, bias_;
  torch::Tensor prototypes_; // [6,classes,joint], unit length
  OutlierScorer outliers_;
  TreesHandle trees_;
};

} // namespace lvn

#endif
