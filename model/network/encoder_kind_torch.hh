// What an image encoder has to bring, for training, for running and for the explanation, and what most share. One file
// with a module that derives from ImageEncoderImpl and, for running, one that derives from RunningEncoder, and one row
// of the table in image_encoder_torch.cc are a new encoder. Its parameters carry torchvision's names, so that
// torchvision's weights fit.
#ifndef LVN_MODEL_NETWORK_ENCODER_KIND_TORCH_HH
#define LVN_MODEL_NETWORK_ENCODER_KIND_TORCH_HH

#include "model/tensor/tensor_torch.hh"

#include <torch/torch.h>

#include <memory>
#include <string>

namespace lvn {

// As it is trained.
struct ImageEncoderImpl : torch::nn::Module {
  // [n,3,s,s] to its last feature map [n,features,h,w].
  virtual torch::Tensor forward(torch::Tensor x) = 0;
  virtual int64_t feature_size() const = 0;
};
using ImageEncoder = std::shared_ptr<ImageEncoderImpl>;

// As it runs: immutable, the same computation with what can be folded folded.
class RunningEncoder {
public:
  virtual ~RunningEncoder() = default;
  virtual torch::Tensor forward(const torch::Tensor &x) const = 0;
};

// What stands between a feature map and the cosines, for explain().
struct CosineHead {
  torch::Tensor weight;     // [joint,features]
  torch::Tensor bias;       // [joint]
  torch::Tensor prototypes; // [classes,joint], unit length
};

struct ImageEncoderKind {
  const char *name;  // in recipes and manifests
  const char *title; // for people
  int64_t input_side;
  ImageEncoder (*build)();
  // From the tensors `prefix` + the module's names. Throws when one is missing or has another shape.
  std::unique_ptr<RunningEncoder> (*fold)(const struct lvn_safetensors *file, const std::string &prefix,
                                          torch::Device device);
  // Windowed images [n,3,s,s] in 0..1 to what the encoder takes, by the package's mean and standard deviation.
  torch::Tensor (*normalise)(const torch::Tensor &windowed, double mean, double std);
  // The map [n,features,h,w] to feature vectors [n,features].
  torch::Tensor (*pool)(const torch::Tensor &map);
  // Where one image's map [features,h,w] speaks for each class: [classes,h,w], not negative.
  torch::Tensor (*explain)(const torch::Tensor &map, const CosineHead &head);
};

// What most rows name.
torch::Tensor normalise_by_mean_and_std(const torch::Tensor &windowed, double mean, double std);
torch::Tensor pool_by_mean(const torch::Tensor &map);
// Grad-CAM in closed form, for an encoder that ends in global average pooling, a linear layer and L2 normalisation:
// v = W f + b, u = v/|v|, s_c = u.t_c, ds_c/df = W^T (t_c - s_c u)/|v|, CAM_c = ReLU(sum_k (ds_c/df)_k A_k) /
// positions.
torch::Tensor grad_cam_closed_form(const torch::Tensor &map, const CosineHead &head);

} // namespace lvn

#endif
