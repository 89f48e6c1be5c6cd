// Liver-VLM as it runs: HU in, cosines and the last feature map out. The classifier and the trainer's calibration both
// use it, so that what is calibrated is what runs.
#ifndef LVN_MODEL_NETWORK_TORCH_HH
#define LVN_MODEL_NETWORK_TORCH_HH

#include "model/network/package.h"
#include "model/network/resnet_torch.hh"

#include <torch/torch.h>

namespace lvn {

struct NetworkOutput {
  torch::Tensor map;      // [n,features,7,7]
  torch::Tensor features; // [n,features], the map's mean
  torch::Tensor joint;    // [n,joint], not normalised
};

class Network {
public:
  // Throws when a tensor is missing or has another shape than `recipe` says.
  void load(const struct lvn_safetensors *file, const struct lvn_package_recipe &recipe, torch::Device device);

  // int16 HU [n,3,224,224] in the order NC, ART, PV to windowed, normalised float on the device, channels last; the
  // channels in the order lvn_order[order].
  torch::Tensor prepare(const torch::Tensor &hounsfield, size_t order) const;
  NetworkOutput forward(const torch::Tensor &input) const;
  // [n,4] of joint vectors against the order's prototypes.
  torch::Tensor cosine(const torch::Tensor &joint, size_t order) const;

  // Grad-CAM of one image in closed form, for a trunk that ends in global average pooling, a linear layer and L2
  // normalisation: v = W f + b, u = v/|v|, s_c = u.t_c, ds_c/df = W^T (t_c - s_c u)/|v|,
  // CAM_c = ReLU(sum_k (ds_c/df)_k A_k) / positions. map [features,h,w] to [4,h,w].
  torch::Tensor grad_cam(const torch::Tensor &map, size_t order) const;

  // Mahalanobis distance of a feature vector to the nearest class mean; NAN without statistics.
  double feature_distance(const torch::Tensor &features) const;

private:
  struct lvn_package_recipe recipe_ = {};
  torch::Device device_ = torch::kCPU;
  FoldedResNet trunk_;
  torch::Tensor weight_, bias_;
  torch::Tensor prototypes_;   // [6,4,joint], unit length
  torch::Tensor feature_mean_; // [4,features] on the CPU; undefined without statistics
  torch::Tensor precision_;    // [features,features] on the CPU
};

// What grad_cam() computes, on bare tensors: weight [joint,features], bias [joint], prototypes [4,joint].
torch::Tensor grad_cam_closed_form(const torch::Tensor &map, const torch::Tensor &weight, const torch::Tensor &bias,
                                   const torch::Tensor &prototypes);

} // namespace lvn

#endif
