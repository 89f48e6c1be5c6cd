// Which score tells outliers from the classes: measured on held-out lesions, never on those that were trained on.
#ifndef LVN_MODEL_TRAIN_OUTLIERS_TORCH_HH
#define LVN_MODEL_TRAIN_OUTLIERS_TORCH_HH

#include "model/network/network_torch.hh"
#include "model/train/run.h"

#include <jansson.h>

#include <limits>
#include <vector>

namespace lvn {

// What the packaged network said of one lesion.
struct LesionOutput {
  std::array<double, LVN_CLASS_COUNT> cosine; // by the places of the classes; -infinity behind them
  torch::Tensor features;
  size_t label; // a place, or LVN_CLASS_OUTLIER
  double flips = 0.0;
  double permutations = 0.0;
  Opinion opinion = {{}, std::numeric_limits<double>::quiet_NaN()}; // of the measurements
};

// Class means with one covariance, all training lesions as one, and the outliers as one: the tensors that
// OutlierScorer::load() finds. Covariances are shrunk towards their mean variance (Ledoit 2004's target).
void add_feature_statistics(const std::vector<LesionOutput> &outputs, size_t class_count, lvn_tensor_set &set);

// Sets recipe.outlier to the recipe's best rule, with its limit; says in `summary` how it does. One entry of the result
// for each rule that was tried: {"score", "auc", "found"}.
json_t *choose_outlier_rule(const OutlierScorer &scorer, const std::vector<LesionOutput> &held_out,
                            const struct lvn_recipe &train, lvn_package_recipe &recipe, lvn_train_summary &summary);

// Does any rule of the recipe have this term?
bool wants_term(const struct lvn_recipe &recipe, enum lvn_outlier_term term);

} // namespace lvn

#endif
