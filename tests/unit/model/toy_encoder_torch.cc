// An image encoder that the program does not know: patches of 16 pixels, each by one linear map.
#include "model/network/image_encoder_torch.hh"
#include "tests/unit/model/toy_encoder.h"

#include <torch/torch.h>

int toy_encoder_folded = 0;
int toy_encoder_explained = 0;

namespace {

struct PatchesImpl : lvn::ImageEncoderImpl {
  PatchesImpl() {
    patches = register_module("patches", torch::nn::Conv2d(torch::nn::Conv2dOptions(3, 24, 16).stride(16)));
  }
  torch::Tensor forward(torch::Tensor x) override {
    return torch::relu(patches->forward(x));
  }
  int64_t feature_size() const override {
    return 24;
  }
  torch::nn::Conv2d patches{nullptr};
};

class RunningPatches : public lvn::RunningEncoder {
public:
  RunningPatches(const lvn_safetensors *file, const std::string &prefix)
      : weight_(load(file, prefix + "patches.weight")), bias_(load(file, prefix + "patches.bias")) {
  }
  torch::Tensor forward(const torch::Tensor &x) const override {
    return torch::relu(torch::conv2d(x, weight_, bias_, 16));
  }

private:
  static torch::Tensor load(const lvn_safetensors *file, const std::string &name) {
    const lvn_tensor *view = lvn_safetensors_find(file, name.c_str());
    if (view == nullptr) {
      throw std::runtime_error("no tensor '" + name + "'");
    }
    return lvn_tensor_to_torch(view).to(torch::kFloat32);
  }
  torch::Tensor weight_;
  torch::Tensor bias_;
};

lvn::ImageEncoder build_patches() {
  return std::make_shared<PatchesImpl>();
}

std::unique_ptr<lvn::RunningEncoder> fold_patches(const lvn_safetensors *file, const std::string &prefix,
                                                  torch::Device) {
  toy_encoder_folded++;
  return std::make_unique<RunningPatches>(file, prefix);
}

torch::Tensor explain_patches(const torch::Tensor &map, const lvn::CosineHead &head) {
  toy_encoder_explained++;
  return lvn::grad_cam_closed_form(map, head);
}

} // namespace

void toy_encoder_add(void) {
  lvn::image_encoders().push_back({"patches", "Patches", 224, build_patches, fold_patches,
                                   lvn::normalise_by_mean_and_std, lvn::pool_by_mean, explain_patches});
}
