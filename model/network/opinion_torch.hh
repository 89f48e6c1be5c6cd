// What the measurements of a lesion say by themselves (model/network/trees.h), as a package has it.
#ifndef LVN_MODEL_OPINION_TORCH_HH
#define LVN_MODEL_OPINION_TORCH_HH

#include "model/image/vocabulary.h"
#include "model/network/trees.h"
#include "model/tensor/tensor_torch.hh"

#include <array>
#include <memory>

namespace lvn {

struct Opinion {
  std::array<double, LVN_CLASS_COUNT> log_probability; // by the places of the classes; 0 behind them
  double none_odds;                                    // log odds of none of them; NAN where no outlier was trained on
};

struct TreesFree {
  void operator()(struct lvn_trees *trees) const {
    lvn_trees_clear(trees);
    delete trees;
  }
};
using TreesHandle = std::shared_ptr<struct lvn_trees>;

// The package's trees, or none; throws when they are malformed.
TreesHandle load_trees(const struct lvn_safetensors *file, size_t class_count);
void add_trees(const struct lvn_trees &trees, lvn_tensor_set &set);
Opinion ask_trees(const struct lvn_trees &trees, size_t class_count, const float values[LVN_MEASUREMENT_COUNT]);

} // namespace lvn

#endif
