// Liver-VLM as it is trained, and what it starts from.
#ifndef LVN_MODEL_TRAIN_MODEL_TORCH_HH
#define LVN_MODEL_TRAIN_MODEL_TORCH_HH

#include "model/network/image_encoder_torch.hh"
#include "model/train/recipe.h"

#include <torch/torch.h>

#include <string>

namespace lvn {

// Image encoder, FC_I and FC_T against prompts that stay as they are (paper 3.1-3.3); or, as the control without text
// (paper table 8), the encoder and one linear layer over the classes.
struct LiverVlmImpl : torch::nn::Module {
  LiverVlmImpl(const struct lvn_recipe &recipe, const torch::Tensor &prompts);
  // Logits [n,classes] of images [n,3,s,s]: scale * cosine with the prompts of each one's sequence (int64 [n]), or the
  // linear layer's.
  torch::Tensor forward(const torch::Tensor &images, const torch::Tensor &sequences);
  torch::Tensor prototypes(); // [6,classes,joint], unit length, of the full orders
  double scale() const;
  // A learnable scale is put back into 1 to scale_max (CLIP clamps likewise); after every step.
  void clamp_scale();

  ImageEncoder image;
  torch::nn::Linear fc_i{nullptr};
  torch::nn::Linear fc_t{nullptr};
  torch::nn::Linear fc{nullptr};
  torch::Tensor log_scale; // a parameter when learnable, else undefined
  torch::Tensor prompts;   // [sequences,classes,hidden]; moves by hand, it is no buffer: it is not trained

private:
  double fixed_scale_;
  double scale_max_;
};
TORCH_MODULE(LiverVlm);

// Puts what a file holds into the model: a package (a folder) wholly, FC_T being left as it is when the package has
// another text side; a weights file (safetensors, .pth) into the encoder alone.
void load_weights(LiverVlm &model, const char *path);
// SHA-256, as text, of the file that load_weights() reads for this path.
std::string weights_digest(const char *path);
std::string file_digest(const std::string &path);
// The encoder's, by torchvision's names, with or without a prefix ("image.", "module.", "encoder."). Throws unless
// every parameter of the encoder is found in its shape.
void load_image_encoder(ImageEncoderImpl &encoder, const std::string &path);
// The notes go into the file's metadata: `fingerprint` says what it was made by, `history` how.
void save_image_encoder(ImageEncoderImpl &encoder, const std::string &path, const std::string &fingerprint,
                        const std::string &history);

// Prompt embeddings [6, 15 or 40,classes,hidden] of lvn_sequences, from a file of them or from a package's weights.
// Simple prompts name no order: the same for all. Throws when the file does not have all of the classes.
torch::Tensor load_prompts(const char *path, enum lvn_recipe_prompts kind, unsigned classes);

} // namespace lvn

#endif
