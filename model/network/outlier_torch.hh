// How unlike the lesions that a model was trained on a lesion is: larger is more unlike. A score is a sum of terms,
// each less its mean over deviation on held-out lesions of the classes. Which terms and which limit a package has was
// chosen by measurement (model/train/outliers_torch.hh). Sources: distance: Lee 2018; relative: Ren 2021 (arXiv
// 2106.09022); background: the same against known outliers alone; confidence, with outliers trained towards even
// probabilities: Hendrycks 2017 and 2019.
#ifndef LVN_MODEL_OUTLIER_TORCH_HH
#define LVN_MODEL_OUTLIER_TORCH_HH

#include "model/network/package.h"
#include "model/tensor/tensor_torch.hh"

#include <torch/torch.h>

#include <array>
#include <limits>

namespace lvn {

// What the terms are made of.
struct OutlierEvidence {
  torch::Tensor features;                                      // the lesion's mean feature, on the CPU
  std::array<double, LVN_CLASS_COUNT> probability;             // calibrated
  double flips = 0.0;                                          // disagreement of mirrored images; where a term needs it
  double permutations = 0.0;                                   // of phase orders
  double none_odds = std::numeric_limits<double>::quiet_NaN(); // by the measurements
};

// Mean and inverse covariance of features.
struct FeatureGaussian {
  torch::Tensor mean;      // [k,features]: the nearest counts
  torch::Tensor precision; // [features,features]
  bool defined() const {
    return mean.defined();
  }
  double squared_distance(const torch::Tensor &features) const;
};

class OutlierScorer {
public:
  // Statistics that are there; throws on another shape than expected.
  void load(const struct lvn_safetensors *file, int64_t features);
  // One term's figure; NAN without the statistics that it needs.
  double term(enum lvn_outlier_term term, const OutlierEvidence &evidence) const;
  // The package's score.
  double score(const struct lvn_outlier_rule &rule, const OutlierEvidence &evidence) const;
  // Mahalanobis distance to the nearest class; NAN without statistics.
  double distance(const torch::Tensor &features) const;

private:
  FeatureGaussian classes_, all_, outliers_;
};

// Spread of several answers to one lesion: entropy of the mean less the mean entropy (Jensen-Shannon), in nats.
double disagreement(const torch::Tensor &probability); // [answers,classes]

} // namespace lvn

#endif
