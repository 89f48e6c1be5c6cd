// Liver-VLM as it is trained, its data in memory, and the random views of them.
#ifndef LVN_MODEL_TRAIN_MODEL_TORCH_HH
#define LVN_MODEL_TRAIN_MODEL_TORCH_HH

#include "model/network/resnet_torch.hh"
#include "model/train/dataset.h"
#include "model/train/recipe.h"

#include <torch/torch.h>

#include <random>
#include <string>
#include <vector>

namespace lvn {

// Image trunk, FC_I and FC_T; prompts [6,4,hidden] stay as they are.
struct LiverVlmImpl : torch::nn::Module {
  LiverVlmImpl(int trunk_depth, int64_t joint_size, int64_t text_size);
  // Cosines [n,4] of images [n,3,s,s] with the prompts of each one's order; orders is int64 [n].
  torch::Tensor forward(const torch::Tensor &images, const torch::Tensor &orders, const torch::Tensor &prompts);
  torch::Tensor prototypes(const torch::Tensor &prompts); // [6,4,joint], unit length
  ResNet image{nullptr};
  torch::nn::Linear fc_i{nullptr};
  torch::nn::Linear fc_t{nullptr};
};
TORCH_MODULE(LiverVlm);

// Weights of a package (a folder) or of a checkpoint's averaged model (a file) of the same trunk and sizes; FC_T is
// left as it is when the package has another text side.
void load_weights(LiverVlm &model, const char *path);

struct TrainingLesion {
  int64_t first_slice;
  int64_t slice_count;
  int64_t key_slice;
  int64_t label;
  bool held_out;
};

struct TrainingData {
  torch::Tensor hounsfield; // int16 [slices,3,224,224]
  std::vector<TrainingLesion> lesions;
  std::string source;
  std::string digest; // of the data sets' manifests, hexadecimal, joined by '+'
};
// Lesions with a missing phase are left out. Throws on an unreadable data set, and when a patient is both in the held
// out fold and outside it.
TrainingData load_training_data(const char *const *folders, size_t folder_count, unsigned validation_fold);

// Prompt embeddings [6,4,hidden], from a file of them or from a package's weights.
torch::Tensor load_prompts(const char *path, bool enriched);

// One pass over the training lesions, classes equally often, one random slice of each: indices into lesions, and
// slices. Depends on the generator alone.
struct Sample {
  int64_t lesion;
  int64_t slice; // of TrainingData::hounsfield
};
std::vector<Sample> draw_epoch(const TrainingData &data, std::mt19937_64 &random);

struct Batch {
  torch::Tensor images; // [n,3,side,side], channels last
  torch::Tensor orders; // int64 [n]
  torch::Tensor labels; // int64 [n]
};
// Augmented by the recipe when `random` is not null; else plainly resized, in the order NC, ART, PV.
Batch make_batch(const TrainingData &data, const Sample *samples, size_t count, unsigned side,
                 const struct lvn_recipe &recipe, std::mt19937_64 *random);

} // namespace lvn

#endif
