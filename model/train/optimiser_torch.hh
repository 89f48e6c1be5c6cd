// Adam, AdamW and SGD over one flat buffer: all parameters lie in it, the decayed ones first, so that a step is one
// pass over memory and a checkpoint a handful of tensors.
#ifndef LVN_MODEL_TRAIN_OPTIMISER_TORCH_HH
#define LVN_MODEL_TRAIN_OPTIMISER_TORCH_HH

#include "model/train/recipe.h"

#include <torch/torch.h>

#include <string>
#include <utility>
#include <vector>

namespace lvn {

class FlatOptimiser {
public:
  // Moves the parameters and the buffers of `module` into flat buffers: the module's tensors become views of them, and
  // 4-dimensional ones lie channels last. The module must be on its device already and not be moved afterwards.
  FlatOptimiser(torch::nn::Module &module, const struct lvn_recipe_fit &fit);

  void zero_gradient();
  // One step at this rate; then the average follows with this decay (0: nothing is averaged).
  void step(double rate, double average_decay);

  // Puts the averaged weights in the place of the trained ones, and back: between the two calls the module answers with
  // the average. Without an average nothing happens.
  void swap_average();

  // Everything that a step changes or depends on, by name.
  std::vector<std::pair<std::string, torch::Tensor>> state();
  void set_step_count(uint64_t steps) {
    steps_ = steps;
  }
  uint64_t step_count() const {
    return steps_;
  }

private:
  void step_cpu(double rate);
  void step_device(double rate);
  struct lvn_recipe_fit fit_;
  int64_t decayed_ = 0; // values [0, decayed_) are decayed
  uint64_t steps_ = 0;
  torch::Tensor values_, gradient_, first_, second_;
  torch::Tensor buffers_; // running statistics of batch normalisation
  torch::Tensor average_, average_buffers_;
};

} // namespace lvn

#endif
