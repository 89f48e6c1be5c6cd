#include "model/network/resnet_torch.hh"

namespace lvn {

namespace {

constexpr double kNormEps = 1e-5;

torch::nn::Conv2d make_conv(int64_t in, int64_t out, int64_t side, int64_t stride) {
  return torch::nn::Conv2d(torch::nn::Conv2dOptions(in, out, side).stride(stride).padding(side / 2).bias(false));
}

const int64_t *stage_blocks(int depth) {
  return depth == 50 ? kStageBlocks50 : kStageBlocks18;
}

torch::Tensor load_tensor(const lvn_safetensors *file, const std::string &name) {
  const lvn_tensor *view = lvn_safetensors_find(file, name.c_str());
  if (view == nullptr) {
    throw std::runtime_error("weights: tensor '" + name + "' is missing");
  }
  return lvn_tensor_to_torch(view).to(torch::kFloat64);
}

} // namespace

int64_t resnet_feature_size(int depth) {
  if (depth != 18 && depth != 50) {
    throw std::runtime_error("a ResNet here has depth 18 or 50");
  }
  return depth == 50 ? 2048 : 512;
}

BlockImpl::BlockImpl(bool bottleneck, int64_t in, int64_t width, int64_t stride) {
  const int64_t out = bottleneck ? 4 * width : width;
  if (bottleneck) {
    convs = {make_conv(in, width, 1, 1), make_conv(width, width, 3, stride), make_conv(width, out, 1, 1)};
  } else {
    convs = {make_conv(in, width, 3, stride), make_conv(width, out, 3, 1)};
  }
  for (size_t i = 0; i < convs.size(); i++) {
    norms.emplace_back(torch::nn::BatchNorm2dOptions(convs[i]->options.out_channels()).eps(kNormEps));
    register_module("conv" + std::to_string(i + 1), convs[i]);
    register_module("bn" + std::to_string(i + 1), norms[i]);
  }
  if (stride != 1 || in != out) {
    downsample = register_module("downsample",
                                 torch::nn::Sequential(make_conv(in, out, 1, stride), torch::nn::BatchNorm2d(out)));
  }
}

torch::Tensor BlockImpl::forward(torch::Tensor x) {
  torch::Tensor shortcut = downsample.is_empty() ? x : downsample->forward(x);
  for (size_t i = 0; i < convs.size(); i++) {
    x = norms[i]->forward(convs[i]->forward(x));
    x = i + 1 < convs.size() ? torch::relu_(x) : x;
  }
  return torch::relu(x + shortcut);
}

ResNetImpl::ResNetImpl(int depth) : features(resnet_feature_size(depth)) {
  const bool bottleneck = features == 2048;
  conv1 =
      register_module("conv1", torch::nn::Conv2d(torch::nn::Conv2dOptions(3, 64, 7).stride(2).padding(3).bias(false)));
  bn1 = register_module("bn1", torch::nn::BatchNorm2d(torch::nn::BatchNorm2dOptions(64).eps(kNormEps)));
  int64_t in = 64;
  for (int64_t stage = 0; stage < 4; stage++) {
    torch::nn::Sequential layer;
    const int64_t width = int64_t{64} << stage;
    for (int64_t i = 0; i < stage_blocks(depth)[stage]; i++) {
      layer->push_back(Block(bottleneck, in, width, i == 0 && stage > 0 ? 2 : 1));
      in = bottleneck ? 4 * width : width;
    }
    layers.push_back(register_module("layer" + std::to_string(stage + 1), layer));
  }
  // torchvision's initialisation: He 2015, fan out.
  for (const auto &module : modules(false)) {
    if (auto *conv = module->as<torch::nn::Conv2d>()) {
      torch::nn::init::kaiming_normal_(conv->weight, 0.0, torch::kFanOut, torch::kReLU);
    }
  }
}

torch::Tensor ResNetImpl::forward(torch::Tensor x) {
  x = torch::relu(bn1->forward(conv1->forward(x)));
  x = torch::max_pool2d(x, 3, 2, 1);
  for (auto &layer : layers) {
    x = layer->forward(x);
  }
  return x;
}

FoldedResNet::FoldedResNet(const lvn_safetensors *file, const std::string &prefix, int depth, torch::Device device) {
  // y = gamma (conv(x) - mean) / sqrt(var + eps) + beta, folded in double.
  auto fold = [&](const std::string &conv, const std::string &norm, int64_t stride) {
    const torch::Tensor weight = load_tensor(file, prefix + conv + ".weight");
    const torch::Tensor gain = load_tensor(file, prefix + norm + ".weight") /
                               torch::sqrt(load_tensor(file, prefix + norm + ".running_var") + kNormEps);
    const torch::Tensor bias =
        load_tensor(file, prefix + norm + ".bias") - load_tensor(file, prefix + norm + ".running_mean") * gain;
    if (weight.dim() != 4 || weight.size(0) != gain.size(0)) {
      throw std::runtime_error("weights: tensor '" + prefix + conv + "' has another shape than expected");
    }
    Conv result;
    result.weight = (weight * gain.view({-1, 1, 1, 1}))
                        .to(torch::kFloat32)
                        .to(device)
                        .contiguous(torch::MemoryFormat::ChannelsLast);
    result.bias = bias.to(torch::kFloat32).to(device);
    result.stride = stride;
    result.padding = weight.size(2) / 2;
    return result;
  };
  const bool bottleneck = resnet_feature_size(depth) == 2048;
  stem_ = fold("conv1", "bn1", 2);
  for (int64_t stage = 0; stage < 4; stage++) {
    for (int64_t i = 0; i < stage_blocks(depth)[stage]; i++) {
      const std::string base = "layer" + std::to_string(stage + 1) + "." + std::to_string(i) + ".";
      const int64_t stride = i == 0 && stage > 0 ? 2 : 1;
      Residual block;
      for (int64_t part = 1; part <= (bottleneck ? 3 : 2); part++) {
        const std::string number = std::to_string(part);
        block.convs.push_back(
            fold(base + "conv" + number, base + "bn" + number, part == (bottleneck ? 2 : 1) ? stride : 1));
      }
      if (i == 0 && (stage > 0 || bottleneck)) {
        block.downsample.push_back(fold(base + "downsample.0", base + "downsample.1", stride));
      }
      blocks_.push_back(block);
    }
  }
}

torch::Tensor FoldedResNet::forward(const torch::Tensor &images) const {
  torch::Tensor x = torch::max_pool2d(stem_(images).relu_(), 3, 2, 1);
  for (const Residual &block : blocks_) {
    torch::Tensor shortcut = block.downsample.empty() ? x : block.downsample[0](x);
    for (size_t i = 0; i < block.convs.size(); i++) {
      x = block.convs[i](x);
      x = i + 1 < block.convs.size() ? torch::relu_(x) : x;
    }
    x = x.add_(shortcut).relu_();
  }
  return x;
}

} // namespace lvn
