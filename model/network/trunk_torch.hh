// What an image encoder is to the trainer: a module from images to its last feature map. A new one derives from
// TrunkImpl and gets a line in trunk_torch.cc's table; its parameters carry torchvision's names, so that torchvision's
// weights fit.
#ifndef LVN_MODEL_TRUNK_TORCH_HH
#define LVN_MODEL_TRUNK_TORCH_HH

#include <torch/torch.h>

#include <memory>
#include <string>

namespace lvn {

struct TrunkImpl : torch::nn::Module {
  // [n,3,s,s] to [n,features,s/32,s/32]
  virtual torch::Tensor forward(torch::Tensor x) = 0;
  virtual int64_t feature_size() const = 0;
};
using Trunk = std::shared_ptr<TrunkImpl>;

// By a recipe's or a manifest's word: "resnet18", "resnet50". Throws on another one.
Trunk make_trunk(const std::string &name);

} // namespace lvn

#endif
