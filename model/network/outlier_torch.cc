#include "model/network/outlier_torch.hh"

#include <algorithm>
#include <cmath>
#include <limits>

namespace lvn {

namespace {

constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();

FeatureGaussian find(const lvn_safetensors *file, const std::string &name, int64_t features) {
  FeatureGaussian result;
  const lvn_tensor *mean = lvn_safetensors_find(file, (name + ".mean").c_str());
  const lvn_tensor *precision = lvn_safetensors_find(file, (name + ".precision").c_str());
  if (mean == nullptr || precision == nullptr) {
    return result;
  }
  result.mean = lvn_tensor_to_torch(mean).to(torch::kFloat32).view({-1, features});
  result.precision = lvn_tensor_to_torch(precision).to(torch::kFloat32);
  if (result.precision.sizes() != torch::IntArrayRef({features, features})) {
    throw std::runtime_error("weights: tensor '" + name + ".precision' has another shape than expected");
  }
  return result;
}

// log(p / (1 - p)) of the top class, turned round; in terms of the others' sum, which does not cancel.
double confidence(const std::array<double, LVN_CLASS_COUNT> &probability) {
  const auto top = std::max_element(probability.begin(), probability.end());
  double others = 0.0;
  for (auto p = probability.begin(); p != probability.end(); p++) {
    others += p == top ? 0.0 : *p;
  }
  return std::log(std::max(others, 1e-300)) - std::log(std::max(*top, 1e-300));
}

} // namespace

double FeatureGaussian::squared_distance(const torch::Tensor &features) const {
  const torch::Tensor delta = features.view({1, -1}) - mean;
  return (torch::matmul(delta, precision) * delta).sum(1).min().item<double>();
}

void OutlierScorer::load(const lvn_safetensors *file, int64_t features) {
  classes_ = find(file, "feature", features);
  all_ = find(file, "all", features);
  outliers_ = find(file, "outlier", features);
}

double OutlierScorer::distance(const torch::Tensor &features) const {
  return classes_.defined() ? std::sqrt(std::max(0.0, classes_.squared_distance(features.to(torch::kCPU)))) : kUnknown;
}

double OutlierScorer::term(enum lvn_outlier_term term, const OutlierEvidence &evidence) const {
  switch (term) {
  case LVN_OUTLIER_DISTANCE:
    return distance(evidence.features);
  case LVN_OUTLIER_RELATIVE:
    return classes_.defined() && all_.defined()
               ? classes_.squared_distance(evidence.features) - all_.squared_distance(evidence.features)
               : kUnknown;
  case LVN_OUTLIER_BACKGROUND:
    return classes_.defined() && outliers_.defined()
               ? classes_.squared_distance(evidence.features) - outliers_.squared_distance(evidence.features)
               : kUnknown;
  case LVN_OUTLIER_CONFIDENCE:
    return confidence(evidence.probability);
  case LVN_OUTLIER_FLIPS:
    return evidence.flips;
  case LVN_OUTLIER_PERMUTATIONS:
    return evidence.permutations;
  case LVN_OUTLIER_MEASUREMENTS:
    return evidence.none_odds;
  case LVN_OUTLIER_TERM_COUNT:
    break;
  }
  return kUnknown;
}

double OutlierScorer::score(const lvn_outlier_rule &rule, const OutlierEvidence &evidence) const {
  double sum = 0.0;
  for (size_t i = 0; i < rule.term_count; i++) {
    const lvn_outlier_part &part = rule.parts[i];
    sum += (term(part.term, evidence) - part.mean) / part.deviation;
  }
  return sum;
}

double disagreement(const torch::Tensor &probability) {
  const torch::Tensor p = probability.to(torch::kFloat64).clamp_min(1e-12);
  const torch::Tensor mean = p.mean(0);
  const torch::Tensor entropy = -(p * p.log()).sum(1).mean();
  return std::max(0.0, (-(mean * mean.log()).sum() - entropy).item<double>());
}

} // namespace lvn
