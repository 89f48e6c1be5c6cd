#include "model/network/classifier.h"

#include "base/guard.hh"
#include "base/memory.h"
#include "model/network/network_torch.hh"
#include "model/network/package.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <thread>

struct lvn_classifier {
  lvn_package package = {};
  lvn_classifier_info info = {};
  lvn::Network network;
  std::string device_name;
  int threads = 1;
  bool permutation_ensemble = false;
  ~lvn_classifier() {
    lvn_package_clear(&package);
  }
};

namespace {

constexpr int64_t kSide = LVN_CROP_SIDE;
// Float32 on other devices and library versions moves a cosine by 5e-6; this leaves room, and a wrong weight moves it
// by far more.
constexpr double kVectorTolerance = 1e-4;
using ClassRow = std::array<double, LVN_CLASS_COUNT>;

torch::Device choose_device(const char *device) {
  if (std::strcmp(device, "cpu") == 0) {
    return torch::kCPU;
  }
  const bool available = torch::cuda::is_available();
  if (std::strcmp(device, "cuda") == 0 && !available) {
    throw std::runtime_error("no CUDA device, or libtorch is built without CUDA");
  }
  if (std::strcmp(device, "cuda") != 0 && std::strcmp(device, "auto") != 0) {
    throw std::runtime_error("device must be auto, cpu or cuda");
  }
  return available ? torch::Device(torch::kCUDA, 0) : torch::Device(torch::kCPU);
}

// Results must not depend on which arithmetic a card prefers: TF32 moves a cosine by 2e-3.
void make_deterministic() {
  at::globalContext().setDeterministicCuDNN(true);
  at::globalContext().setBenchmarkCuDNN(false);
  at::globalContext().setAllowTF32CuBLAS(false);
  at::globalContext().setAllowTF32CuDNN(false);
}

lvn_safetensors_handle open_file(const lvn_package &package, const char *name) {
  struct lvn_error err = {};
  char path[LVN_PATH_BYTES];
  struct lvn_safetensors *file = nullptr;
  if (!lvn_path_join(path, package.folder, name, &err) ||
      !lvn_safetensors_open(path, LVN_PACKAGE_WEIGHTS_MAX, &file, &err)) {
    lvn_throw(err);
  }
  return lvn_safetensors_handle(file);
}

void run_test_vectors(const lvn_classifier &classifier) {
  const lvn_safetensors_handle file = open_file(classifier.package, LVN_PACKAGE_VECTORS);
  struct lvn_error err = {};
  const uint64_t input_shape[] = {0, LVN_PHASE_NETWORK_COUNT, LVN_CROP_SIDE, LVN_CROP_SIDE};
  const uint64_t cosine_shape[] = {0, lvn_classes_count(classifier.package.recipe.classes)};
  const lvn_tensor *input = nullptr;
  const lvn_tensor *expected = nullptr;
  if (!lvn_safetensors_require(file.get(), "hounsfield", LVN_DTYPE_I16, 4, input_shape, &input, &err) ||
      !lvn_safetensors_require(file.get(), "cosine", LVN_DTYPE_F32, 2, cosine_shape, &expected, &err)) {
    lvn_throw(err);
  }
  const torch::Tensor wanted = lvn_tensor_to_torch(expected);
  const torch::Tensor x = classifier.network.prepare(lvn_tensor_to_torch(input), 0);
  const torch::Tensor found = classifier.network.cosine(classifier.network.forward(x).joint, 0).to(torch::kCPU);
  if (wanted.size(0) == 0 || wanted.size(0) != found.size(0)) {
    throw std::runtime_error("test vectors: inputs and cosines differ in number, or there are none");
  }
  const torch::Tensor error = (found - wanted).abs().amax(1);
  for (int64_t i = 0; i < error.size(0); i++) {
    if (!(error[i].item<double>() <= kVectorTolerance)) {
      throw std::runtime_error("test vector " + std::to_string(i + 1) + " gives another answer (cosine off by " +
                               std::to_string(error[i].item<double>()) + ")");
    }
  }
}

void fill_info(lvn_classifier &classifier, const torch::Device &device) {
  const lvn_package &package = classifier.package;
  classifier.device_name = device.is_cpu() ? "cpu" : device.str();
  classifier.info.classes = package.recipe.classes;
  classifier.info.name = package.name;
  classifier.info.version = package.version;
  classifier.info.device_uid = package.device_uid;
  classifier.info.device = classifier.device_name.c_str();
  classifier.info.trained_on = package.trained_on;
  std::memcpy(classifier.info.manifest_sha256, package.manifest_sha256, LVN_SHA256_BYTES);
  classifier.info.least_diameter_mm = package.recipe.least_diameter_mm;
  classifier.info.least_pixels_across = package.recipe.least_pixels_across;
  classifier.info.crop = package.recipe.crop;
  classifier.info.window_low_hu = package.recipe.window_low_hu;
  classifier.info.window_high_hu = package.recipe.window_high_hu;
  classifier.info.weighs_measurements = package.recipe.measurement_weight > 0.0;
  classifier.info.map_share_limit = package.recipe.map_share_limit;
}

bool open_classifier(const lvn_classifier_options &options, lvn_classifier &classifier, struct lvn_error *err) {
  if (!lvn_package_open(options.package_folder, &classifier.package, err)) {
    return false;
  }
  const unsigned cores = std::max(1U, std::thread::hardware_concurrency());
  classifier.threads = static_cast<int>(options.threads == 0 ? cores : options.threads);
  classifier.permutation_ensemble = options.permutation_ensemble;
  at::set_num_threads(classifier.threads);
  make_deterministic();
  const torch::InferenceMode inference;
  const torch::Device device = choose_device(options.device);
  const lvn_safetensors_handle weights = open_file(classifier.package, LVN_PACKAGE_WEIGHTS);
  classifier.network.load(weights.get(), classifier.package.recipe, device);
  run_test_vectors(classifier);
  fill_info(classifier, device);
  return true;
}

torch::Tensor gather(const lvn_crop &crop) {
  const auto count = static_cast<int64_t>(crop.slice_count);
  torch::Tensor hounsfield = torch::empty({count, LVN_PHASE_NETWORK_COUNT, kSide, kSide}, torch::kInt16);
  const int64_t samples = LVN_PHASE_NETWORK_COUNT * kSide * kSide;
  for (int64_t i = 0; i < count; i++) {
    std::memcpy(hounsfield.data_ptr<int16_t>() + i * samples, crop.slices[i].hounsfield,
                static_cast<size_t>(samples) * sizeof(int16_t));
  }
  return hounsfield;
}

// Mean over slices and, where asked for, over orders. The mean of log-probabilities, renormalised, is the softmax of
// the mean logits, since what softmax subtracts is the same for all classes.
ClassRow softmax(const ClassRow &cosine, double factor) {
  ClassRow probability = {};
  const double top = *std::max_element(cosine.begin(), cosine.end());
  double sum = 0.0;
  for (size_t c = 0; c < cosine.size(); c++) {
    probability[c] = std::exp(factor * (cosine[c] - top));
    sum += probability[c];
  }
  for (double &p : probability) {
    p /= sum;
  }
  return probability;
}

size_t argmax(const ClassRow &row) {
  return static_cast<size_t>(std::max_element(row.begin(), row.end()) - row.begin());
}

torch::Tensor slice_cosine(const lvn::Network &network, const torch::Tensor &joint, size_t order) {
  return network.cosine(joint, order).to(torch::kCPU, torch::kFloat64);
}

// The values of the model's classes, in their order, each at its class; `rest` at the others.
ClassRow spread(unsigned classes, const double *values, double rest) {
  ClassRow row = {};
  row.fill(rest);
  for (unsigned c = lvn_classes_first(classes); c < LVN_CLASS_COUNT; c = lvn_classes_next(classes, c)) {
    row.at(c) = *values++;
  }
  return row;
}

ClassRow mean_of(unsigned classes, const torch::Tensor &cosine) {
  const torch::Tensor mean = cosine.mean(0).contiguous();
  return spread(classes, mean.data_ptr<double>(), -std::numeric_limits<double>::infinity());
}

template <typename T> T *allocate(size_t count) {
  struct lvn_error err = {};
  auto *memory = static_cast<T *>(lvn_alloc(count, sizeof(T), &err));
  if (memory == nullptr) {
    throw std::bad_alloc();
  }
  return memory;
}

void fill_slices(unsigned classes, const torch::Tensor &pooled_cosine, double factor, lvn_prediction &prediction) {
  const torch::Tensor probability = torch::softmax(factor * pooled_cosine, 1).contiguous();
  prediction.slice_count = static_cast<size_t>(probability.size(0));
  prediction.slice_probability = allocate<double[LVN_CLASS_COUNT]>(prediction.slice_count);
  for (size_t s = 0; s < prediction.slice_count; s++) {
    const ClassRow row = spread(classes, probability[static_cast<int64_t>(s)].data_ptr<double>(), 0.0);
    std::memcpy(prediction.slice_probability[s], row.data(), sizeof row);
  }
}

void fill_features(const torch::Tensor &features, lvn_prediction &prediction) {
  const torch::Tensor row = features.to(torch::kCPU, torch::kFloat32).contiguous();
  prediction.feature_count = static_cast<size_t>(row.numel());
  prediction.features = allocate<float>(prediction.feature_count);
  std::memcpy(prediction.features, row.data_ptr<float>(), prediction.feature_count * sizeof(float));
}

void fill_heat(const lvn_classifier &classifier, const torch::Tensor &features, lvn_prediction &prediction) {
  const torch::Tensor cam = classifier.network.explain(features, 0);
  torch::Tensor heat = torch::upsample_bilinear2d(cam.unsqueeze(0), {kSide, kSide}, false)[0];
  const double top = heat.max().item<double>();
  heat = (top > 0.0 ? heat / top : heat).to(torch::kCPU).contiguous();
  const size_t samples = static_cast<size_t>(kSide * kSide);
  const unsigned classes = classifier.package.recipe.classes;
  const float *map = heat.data_ptr<float>();
  for (unsigned c = lvn_classes_first(classes); c < LVN_CLASS_COUNT; c = lvn_classes_next(classes, c)) {
    prediction.heat[c] = allocate<float>(samples);
    std::memcpy(prediction.heat[c], map, samples * sizeof(float));
    map += samples;
  }
}

void abstain(lvn_prediction &prediction, const char *code, const char *format, ...) LVN_PRINTF(3, 4);
void abstain(lvn_prediction &prediction, const char *code, const char *format, ...) {
  va_list arguments;
  prediction.abstained = true;
  prediction.abstention_code = code;
  va_start(arguments, format);
  (void)std::vsnprintf(prediction.abstention_reason, sizeof prediction.abstention_reason, format, arguments);
  va_end(arguments);
}

// The gravest reason is told: without a phase the rest means nothing, and beyond the training data a margin does not.
void decide(const lvn_package_recipe &recipe, const lvn_crop &crop, const ClassRow &probability, size_t second,
            lvn_prediction &prediction) {
  for (int phase = 0; phase < LVN_PHASE_NETWORK_COUNT; phase++) {
    if (!crop.phase_present[phase]) {
      abstain(prediction, "missing_phase", "The %s phase is missing.",
              lvn_phase_long_name(static_cast<enum lvn_phase>(phase)));
      return;
    }
  }
  if (prediction.outlier_score > recipe.outlier.limit) {
    char rate[64] = "";
    if (std::isfinite(recipe.outlier.false_alarm_rate)) {
      (void)std::snprintf(rate, sizeof rate, "; %.0f %% of lesions like those exceed it",
                          100.0 * recipe.outlier.false_alarm_rate);
    }
    abstain(prediction, "unlike", "Unlike the lesions that the model was trained on (score %.1f, limit %.1f%s).",
            prediction.outlier_score, recipe.outlier.limit, rate);
  } else if (prediction.margin < recipe.min_margin) {
    abstain(prediction, "margin", "No class stands out: %s %.2f, %s %.2f.", lvn_class_name(prediction.top_class),
            probability[prediction.top_class], lvn_class_name(static_cast<enum lvn_class>(second)),
            probability[second]);
  } else if (prediction.permutation_disagreement > recipe.max_permutation_disagreement) {
    abstain(prediction, "permutations",
            "The answer depends on the order of the phases (%.0f %% of the orders disagree).",
            100.0 * prediction.permutation_disagreement);
  }
}

bool needs(const lvn_outlier_rule &rule, enum lvn_outlier_term term) {
  return std::any_of(rule.parts, rule.parts + rule.term_count,
                     [term](const lvn_outlier_part &part) { return part.term == term; });
}

void score_outlier(const lvn_classifier &classifier, const torch::Tensor &hounsfield, const torch::Tensor &features,
                   const ClassRow &probability, double none_odds, lvn_prediction &prediction) {
  const lvn_outlier_rule &rule = classifier.package.recipe.outlier;
  const lvn::OutlierScorer &scorer = classifier.network.outliers();
  lvn::OutlierEvidence evidence = {features.to(torch::kCPU), probability};
  evidence.none_odds = none_odds;
  if (needs(rule, LVN_OUTLIER_FLIPS)) {
    evidence.flips = lvn::disagreement(classifier.network.flipped(hounsfield));
  }
  if (needs(rule, LVN_OUTLIER_PERMUTATIONS)) {
    evidence.permutations = lvn::disagreement(classifier.network.reordered(hounsfield));
  }
  prediction.feature_distance = scorer.distance(features);
  prediction.outlier_score = scorer.score(rule, evidence);
  prediction.outlier_limit = rule.limit;
  prediction.outlier_alarm_rate = rule.false_alarm_rate;
}

// What the lesion's measurements say; nothing without trees, or where a phase is missing.
lvn::Opinion measure(const lvn_classifier &classifier, const lvn_crop &crop) {
  const lvn_trees *trees = classifier.network.trees();
  std::array<float, LVN_MEASUREMENT_COUNT> values = {};
  struct lvn_error err = {};
  if (trees == nullptr || !(crop.phase_present[0] && crop.phase_present[1] && crop.phase_present[2])) {
    return {{}, std::numeric_limits<double>::quiet_NaN()};
  }
  if (!lvn_measurements_take(&crop, values.data(), &err)) {
    lvn_throw(err);
  }
  return lvn::ask_trees(*trees, classifier.network.class_count(), values.data());
}

// Adds the measurements' opinion to cosines [n,classes] of whatever order.
torch::Tensor add_opinion(const torch::Tensor &cosine, const lvn::Opinion &opinion, double weight) {
  torch::Tensor added = cosine.clone();
  for (int64_t c = 0; c < added.size(1); c++) {
    added.select(1, c) += weight * opinion.log_probability[static_cast<size_t>(c)];
  }
  return added;
}

void predict(const lvn_classifier &classifier, const lvn_crop &crop, lvn_prediction &prediction) {
  const torch::InferenceMode inference;
  const lvn_package_recipe &recipe = classifier.package.recipe;
  const double factor = recipe.scale / recipe.temperature;
  const torch::Tensor hounsfield = gather(crop);
  const lvn::NetworkOutput own = classifier.network.forward(classifier.network.prepare(hounsfield, 0));
  torch::Tensor slices = slice_cosine(classifier.network, own.joint, 0);
  const ClassRow own_cosine = mean_of(recipe.classes, slices);
  const lvn::Opinion opinion = measure(classifier, crop);
  slices = add_opinion(slices, opinion, recipe.measurement_weight);
  std::vector<size_t> votes = {argmax(mean_of(recipe.classes, slices))};
  for (size_t order = 1; classifier.permutation_ensemble && order < LVN_PERMUTATION_COUNT; order++) {
    const torch::Tensor joint = classifier.network.forward(classifier.network.prepare(hounsfield, order)).joint;
    const torch::Tensor cosine =
        add_opinion(slice_cosine(classifier.network, joint, order), opinion, recipe.measurement_weight);
    votes.push_back(argmax(mean_of(recipe.classes, cosine)));
    slices = slices + cosine;
  }
  slices = slices / static_cast<double>(votes.size());
  const ClassRow probability = softmax(mean_of(recipe.classes, slices), factor);
  const size_t top = argmax(probability);
  ClassRow others = probability;
  others[top] = -1.0;
  const size_t second = argmax(others);
  for (size_t c = 0; c < LVN_CLASS_COUNT; c++) {
    prediction.cosine[c] = own_cosine[c];
    prediction.probability[c] = probability[c];
    prediction.conformal_set |= 1.0 - probability[c] <= recipe.conformal_limit ? 1U << c : 0U; // none below NAN
  }
  prediction.conformal_set &= recipe.classes;
  prediction.conformal_coverage = recipe.conformal_coverage;
  prediction.top_class = static_cast<enum lvn_class>(top);
  prediction.margin = probability[top] - probability[second];
  const torch::Tensor features = own.features.mean(0);
  score_outlier(classifier, hounsfield, features, probability, opinion.none_odds, prediction);
  fill_slices(recipe.classes, slices, factor, prediction);
  fill_features(features, prediction);
  const auto against = std::count_if(votes.begin(), votes.end(), [&](size_t vote) { return vote != top; });
  prediction.permutation_disagreement = static_cast<double>(against) / static_cast<double>(votes.size());
  fill_heat(classifier, own.map[static_cast<int64_t>(crop.key_slice)], prediction);
  decide(recipe, crop, probability, second, prediction);
}

} // namespace

bool lvn_classifier_open(const struct lvn_classifier_options *options, struct lvn_classifier **ret_classifier,
                         struct lvn_error *err) {
  return lvn_guard(err, LVN_ERROR_DATA, [&] {
    auto classifier = std::make_unique<lvn_classifier>();
    if (!open_classifier(*options, *classifier, err)) {
      return false;
    }
    *ret_classifier = classifier.release();
    return true;
  });
}

void lvn_classifier_close(struct lvn_classifier *classifier) {
  delete classifier;
}

const struct lvn_classifier_info *lvn_classifier_get_info(const struct lvn_classifier *classifier) {
  return &classifier->info;
}

bool lvn_classifier_run(struct lvn_classifier *classifier, const struct lvn_crop *crop,
                        struct lvn_prediction *ret_prediction, struct lvn_error *err) {
  lvn_prediction prediction = {};
  const bool good = lvn_guard(err, LVN_ERROR_ENGINE, [&] {
    if (crop->slice_count == 0 || crop->key_slice >= crop->slice_count) {
      return lvn_error_set(err, LVN_ERROR_INTERNAL, "crop without slices");
    }
    predict(*classifier, *crop, prediction);
    return true;
  });
  if (!good) {
    lvn_prediction_clear(&prediction);
    return false;
  }
  *ret_prediction = prediction;
  return true;
}

void lvn_prediction_clear(struct lvn_prediction *prediction) {
  for (float *heat : prediction->heat) {
    lvn_free(heat);
  }
  lvn_free(prediction->slice_probability);
  lvn_free(prediction->features);
  *prediction = {};
}
