// ResNet-18 and ResNet-50 (He 2015, with torchvision's parameter names): once as a module to train, once with the batch
// normalisation folded into the convolutions, to run.
#ifndef LVN_MODEL_RESNET_TORCH_HH
#define LVN_MODEL_RESNET_TORCH_HH

#include "model/network/encoder_kind_torch.hh"

#include <torch/torch.h>

#include <string>
#include <vector>

namespace lvn {

constexpr int64_t kStageBlocks18[4] = {2, 2, 2, 2};
constexpr int64_t kStageBlocks50[4] = {3, 4, 6, 3};

// 512 for depth 18, 2048 for depth 50; throws for another depth.
int64_t resnet_feature_size(int depth);

// One residual block: two 3x3 convolutions (depth 18) or 1x1, 3x3, 1x1 (depth 50).
struct BlockImpl : torch::nn::Module {
  BlockImpl(bool bottleneck, int64_t in, int64_t width, int64_t stride);
  torch::Tensor forward(torch::Tensor x);
  std::vector<torch::nn::Conv2d> convs;
  std::vector<torch::nn::BatchNorm2d> norms;
  torch::nn::Sequential downsample{nullptr};
};
TORCH_MODULE(Block);

// [n,3,s,s] to the last feature map [n,features,s/32,s/32].
struct ResNetImpl : ImageEncoderImpl {
  explicit ResNetImpl(int depth);
  torch::Tensor forward(torch::Tensor x) override;
  int64_t feature_size() const override {
    return features;
  }
  int64_t features;
  torch::nn::Conv2d conv1{nullptr};
  torch::nn::BatchNorm2d bn1{nullptr};
  std::vector<torch::nn::Sequential> layers;
};
TORCH_MODULE(ResNet);

// The same computation from a file's tensors `prefix` + torchvision's name, float32, channels last.
class FoldedResNet : public RunningEncoder {
public:
  FoldedResNet(const struct lvn_safetensors *file, const std::string &prefix, int depth, torch::Device device);
  torch::Tensor forward(const torch::Tensor &x) const override;

private:
  struct Conv {
    torch::Tensor weight;
    torch::Tensor bias;
    int64_t stride = 1;
    int64_t padding = 0;
    torch::Tensor operator()(const torch::Tensor &x) const {
      return torch::conv2d(x, weight, bias, stride, padding);
    }
  };
  struct Residual {
    std::vector<Conv> convs;
    std::vector<Conv> downsample; // none or one
  };
  Conv stem_;
  std::vector<Residual> blocks_;
};

// Rows of the table of encoders.
template <int depth> ImageEncoder build_resnet() {
  return std::make_shared<ResNetImpl>(depth);
}
template <int depth>
std::unique_ptr<RunningEncoder> fold_resnet(const struct lvn_safetensors *file, const std::string &prefix,
                                            torch::Device device) {
  return std::make_unique<FoldedResNet>(file, prefix, depth, device);
}

} // namespace lvn

#endif
