// From stored HU to the network's input: random views for training, the plain one for measuring.
#ifndef LVN_MODEL_TRAIN_VIEWS_TORCH_HH
#define LVN_MODEL_TRAIN_VIEWS_TORCH_HH

#include "model/train/data_torch.hh"

#include <torch/torch.h>

#include <utility>

namespace lvn {

// One pair for all channels: torchvision's statistics of ImageNet, averaged, or 0.5 and 0.5.
std::pair<double, double> normalisation(enum lvn_recipe_normalisation kind);

struct Batch {
  torch::Tensor images;       // [n,3,side,side], channels last
  torch::Tensor permutations; // int64 [n], index into lvn_permutation
  torch::Tensor sequences;    // int64 [n], index of the prompts: lvn_sequence_find()
  torch::Tensor labels;       // int64 [n]
};

// Everything beside the draws happens on the device of data.hounsfield. Augmented by the recipe when `random` is not
// null, else plainly resized; a sample without an order gets a random one (by permutation_share), or NC, ART, PV.
Batch make_batch(const TrainingData &data, const Sample *samples, size_t count, unsigned side,
                 const struct lvn_recipe &recipe, std::mt19937_64 *random);

// For the phase-shuffle task: every sample in an order drawn evenly from the six, jittered by the pretraining keys.
Batch make_shuffle_batch(const TrainingData &data, const Sample *samples, size_t count, unsigned side,
                         const struct lvn_recipe &recipe, std::mt19937_64 &random);

// For SimSiam (Chen 2021): a random crop of 0.2 to 1 of the area, flipped, blurred (sigma 0.1 to 2 pixels, half of
// them), jittered by the pretraining keys; phases NC, ART, PV.
torch::Tensor make_simsiam_view(const TrainingData &data, const Sample *samples, size_t count, unsigned side,
                                const struct lvn_recipe &recipe, std::mt19937_64 &random);

} // namespace lvn

#endif
