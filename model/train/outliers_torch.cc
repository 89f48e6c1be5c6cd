#include "model/train/outliers_torch.hh"

#include "base/memory.h"
#include "model/train/calibrate.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace lvn {

namespace {

constexpr double kShrinkage = 0.1;

torch::Tensor precision_of(const torch::Tensor &centred) {
  const int64_t size = centred.size(1);
  const torch::Tensor covariance = torch::matmul(centred.t(), centred) / static_cast<double>(centred.size(0));
  const double variance = covariance.trace().item<double>() / static_cast<double>(size);
  const torch::Tensor shrunk =
      (1.0 - kShrinkage) * covariance + (kShrinkage * variance + 1e-9) * torch::eye(size, torch::kFloat64);
  return torch::cholesky_inverse(torch::linalg_cholesky(shrunk)).to(torch::kFloat32);
}

void add_one(const std::vector<torch::Tensor> &rows, const std::string &name, lvn_tensor_set &set) {
  if (rows.empty()) {
    return;
  }
  const torch::Tensor all = torch::stack(rows);
  const torch::Tensor mean = all.mean(0, true);
  set.add(name + ".mean", mean.to(torch::kFloat32));
  set.add(name + ".precision", precision_of(all - mean));
}

struct Scored {
  std::vector<double> known; // ascending
  std::vector<double> outliers;
};

Scored score_all(const OutlierScorer &scorer, const std::vector<LesionOutput> &held_out,
                 const std::vector<OutlierEvidence> &evidence, const lvn_outlier_rule &rule) {
  Scored scored;
  for (size_t i = 0; i < held_out.size(); i++) {
    std::vector<double> &list = held_out[i].label == LVN_CLASS_OUTLIER ? scored.outliers : scored.known;
    list.push_back(scorer.score(rule, evidence[i]));
  }
  std::sort(scored.known.begin(), scored.known.end());
  return scored;
}

// Each term's mean and deviation over the held-out lesions of the classes.
void standardise(const OutlierScorer &scorer, const std::vector<LesionOutput> &held_out,
                 const std::vector<OutlierEvidence> &evidence, lvn_outlier_rule &rule) {
  for (size_t t = 0; rule.term_count > 1 && t < rule.term_count; t++) {
    double sum = 0.0;
    double square = 0.0;
    double count = 0.0;
    for (size_t i = 0; i < held_out.size(); i++) {
      if (held_out[i].label != LVN_CLASS_OUTLIER) {
        const double value = scorer.term(rule.parts[t].term, evidence[i]);
        sum += value;
        square += value * value;
        count += 1.0;
      }
    }
    rule.parts[t].mean = sum / count;
    rule.parts[t].deviation = std::sqrt(std::max(square / count - rule.parts[t].mean * rule.parts[t].mean, 1e-12));
  }
}

double auc_of(const Scored &scored) {
  double sum = 0.0;
  for (const double score : scored.outliers) {
    const auto low = std::lower_bound(scored.known.begin(), scored.known.end(), score) - scored.known.begin();
    const auto high = std::upper_bound(scored.known.begin(), scored.known.end(), score) - scored.known.begin();
    sum += 0.5 * static_cast<double>(low + high);
  }
  return sum / (static_cast<double>(scored.known.size()) * static_cast<double>(scored.outliers.size()));
}

double share_beyond(const std::vector<double> &scores, double limit) {
  const auto count = std::count_if(scores.begin(), scores.end(), [limit](double score) { return score > limit; });
  return static_cast<double>(count) / static_cast<double>(scores.size());
}

} // namespace

bool wants_term(const lvn_recipe &recipe, enum lvn_outlier_term term) {
  char text[LVN_RECIPE_TEXT_BYTES];
  lvn_outlier_rule rule;
  for (size_t i = 0; lvn_recipe_list_value(recipe.outlier_scores, i, text); i++) {
    if (lvn_outlier_rule_parse(text, &rule) &&
        std::any_of(rule.parts, rule.parts + rule.term_count,
                    [term](const lvn_outlier_part &part) { return part.term == term; })) {
      return true;
    }
  }
  return false;
}

void add_feature_statistics(const std::vector<LesionOutput> &outputs, size_t class_count, lvn_tensor_set &set) {
  const int64_t size = outputs.at(0).features.size(0);
  torch::Tensor mean = torch::zeros({static_cast<int64_t>(class_count), size}, torch::kFloat64);
  std::vector<double> count(class_count);
  std::vector<torch::Tensor> all;
  std::vector<torch::Tensor> outliers;
  for (const LesionOutput &output : outputs) {
    all.push_back(output.features.to(torch::kFloat64));
    if (output.label == LVN_CLASS_OUTLIER) {
      outliers.push_back(all.back());
    } else {
      mean[static_cast<int64_t>(output.label)] += all.back();
      count[output.label] += 1.0;
    }
  }
  for (size_t c = 0; c < class_count; c++) {
    mean[static_cast<int64_t>(c)] /= std::max(1.0, count[c]);
  }
  std::vector<torch::Tensor> rows;
  for (size_t i = 0; i < outputs.size(); i++) {
    if (outputs[i].label != LVN_CLASS_OUTLIER) {
      rows.push_back(all[i] - mean[static_cast<int64_t>(outputs[i].label)]);
    }
  }
  set.add("feature.mean", mean.to(torch::kFloat32));
  set.add("feature.precision", precision_of(torch::stack(rows)));
  add_one(all, "all", set);
  add_one(outliers, "outlier", set);
}

json_t *choose_outlier_rule(const OutlierScorer &scorer, const std::vector<LesionOutput> &held_out,
                            const lvn_recipe &train, lvn_package_recipe &recipe, lvn_train_summary &summary) {
  std::vector<OutlierEvidence> evidence;
  for (const LesionOutput &output : held_out) {
    OutlierEvidence one = {output.features, {}, output.flips, output.permutations, output.opinion.none_odds};
    lvn_calibrate_softmax(output.cosine.data(), recipe.scale / recipe.temperature, one.probability.data());
    evidence.push_back(one);
  }
  json_t *tried = json_array();
  char text[LVN_RECIPE_TEXT_BYTES];
  double best_found = -1.0;
  double best_auc = -1.0;
  for (size_t i = 0; lvn_recipe_list_value(train.outlier_scores, i, text); i++) {
    lvn_outlier_rule rule = {};
    if (!lvn_outlier_rule_parse(text, &rule)) {
      continue; // the recipe was checked
    }
    standardise(scorer, held_out, evidence, rule);
    const Scored scored = score_all(scorer, held_out, evidence, rule);
    const double at = train.abstain_quantile * static_cast<double>(scored.known.size() - 1);
    rule.limit = scored.known[static_cast<size_t>(std::ceil(at))];
    rule.false_alarm_rate = 1.0 - train.abstain_quantile;
    const bool any = !scored.outliers.empty();
    if (!std::isfinite(rule.limit) || (any && !std::isfinite(scored.outliers[0]))) {
      continue; // without the statistics that it needs
    }
    const double auc = any ? auc_of(scored) : 0.0;
    const double found = any ? share_beyond(scored.outliers, rule.limit) : 0.0;
    (void)json_array_append_new(tried, any ? json_pack("{s:s,s:f,s:f}", "score", text, "auc", auc, "found", found)
                                           : json_pack("{s:s}", "score", text));
    if (found > best_found || (found >= best_found && auc > best_auc)) {
      best_found = found;
      best_auc = auc;
      recipe.outlier = rule;
      const bool plain = rule.term_count == 1 && rule.parts[0].term == LVN_OUTLIER_DISTANCE;
      recipe.max_feature_distance = plain ? rule.limit : std::numeric_limits<double>::infinity();
      (void)lvn_copy(summary.outlier_score, sizeof summary.outlier_score, text);
      summary.held_out_outliers = scored.outliers.size();
      summary.outlier_auc = any ? auc : std::numeric_limits<double>::quiet_NaN();
      summary.outliers_found = any ? found : std::numeric_limits<double>::quiet_NaN();
    }
  }
  return tried;
}

} // namespace lvn
