#include "model/train/finish_torch.hh"

#include "base/file.h"
#include "base/memory.h"
#include "model/network/network_torch.hh"
#include "model/network/package.h"
#include "model/tensor/json.h"
#include "model/train/boost.h"
#include "model/train/calibrate.h"
#include "model/train/card.h"
#include "model/train/lineage_torch.hh"
#include "model/train/outliers_torch.hh"
#include "model/train/tuning.h"
#include "model/train/views_torch.hh"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

namespace lvn {

namespace {

// Lesions whose features give the class means and the shared covariance: enough for 512 dimensions with shrinkage.
constexpr size_t kStatisticsLesions = 300;
constexpr size_t kStatisticsWithOutliers = 900;
constexpr double kConformalCoverage = 0.9;
constexpr int64_t kVectors = 2;
// Of the trees over the measurements; chosen by cross-validation of phantoms (README.md).
constexpr double kBoostRate = 0.08;
constexpr double kBoostShare = 0.25;
constexpr unsigned kBoostLeaf = 20;
// Of their log-probabilities beside the cosines.
constexpr double kWeightLeast = 0.005;
constexpr double kWeightStep = 1.15;
constexpr double kWeightMost = 5.0;

[[noreturn]] void fail(const struct lvn_error &err) {
  lvn_throw(err);
}

std::string path_in(const lvn_train_options &options, const char *name) {
  return std::string(options.output_folder) + "/" + name;
}

// Convolutions and FC weights as float16; what is small or sensitive (normalisation, biases, prototypes) stays float32.
lvn_tensor_set collect_weights(LiverVlm &model, bool enriched, unsigned classes) {
  lvn_tensor_set set;
  const torch::NoGradGuard no_grad;
  auto rounded = [](const torch::Tensor &t) { return t.dim() > 1 ? t.to(torch::kFloat16) : t; };
  for (const auto &item : model->named_parameters()) {
    if (item.key() == "log_scale") {
      continue; // the manifest has the scale
    }
    item.value().set_data(rounded(item.value()).to(torch::kFloat32));
    set.add(item.key(), rounded(item.value()));
  }
  for (const auto &item : model->named_buffers()) {
    if (item.key().find("num_batches_tracked") == std::string::npos) {
      set.add(item.key(), item.value());
    }
  }
  set.add("prototypes", model->prototypes());
  if (classes != LVN_CLASSES_PAPER) {
    char names[LVN_CLASSES_TEXT_BYTES];
    lvn_classes_format(classes, names);
    set.note("classes", names); // of the embeddings, which a later training may take
  }
  if (enriched) {
    set.add("text.enriched", model->prompts);
  } else {
    set.add("text.simple", model->prompts[0]);
  }
  return set;
}

Network load_network(const std::string &path, const lvn_package_recipe &recipe) {
  struct lvn_error err = {};
  struct lvn_safetensors *opened = nullptr;
  if (!lvn_safetensors_open(path.c_str(), LVN_PACKAGE_WEIGHTS_MAX, &opened, &err)) {
    fail(err);
  }
  const lvn_safetensors_handle file(opened);
  Network network;
  network.load(file.get(), recipe, torch::kCPU);
  return network;
}

LesionOutput run_lesion(const Network &network, const TrainingData &data, const TrainingLesion &lesion) {
  const torch::Tensor hounsfield =
      data.hounsfield.slice(0, lesion.first_slice, lesion.first_slice + lesion.slice_count);
  const NetworkOutput output = network.forward(network.prepare(hounsfield, 0));
  const torch::Tensor cosine = network.cosine(output.joint, 0).mean(0).to(torch::kFloat64).contiguous();
  LesionOutput result;
  result.cosine.fill(-std::numeric_limits<double>::infinity());
  std::copy_n(cosine.data_ptr<double>(), cosine.numel(), result.cosine.begin());
  result.features = output.features.mean(0);
  result.label = static_cast<size_t>(lesion.label);
  if (network.trees() != nullptr) {
    result.opinion = ask_trees(*network.trees(), network.class_count(), lesion.measurements.data());
  }
  return result;
}

std::vector<LesionOutput> run_lesions(const Network &network, const TrainingData &data, bool held_out, size_t most) {
  std::vector<const TrainingLesion *> chosen;
  for (const TrainingLesion &lesion : data.lesions) {
    if (lesion.role == (held_out ? Role::kHeldOut : Role::kTraining)) {
      chosen.push_back(&lesion);
    }
  }
  const size_t count = std::min(most, chosen.size());
  std::vector<LesionOutput> outputs;
  for (size_t i = 0; i < count; i++) {
    outputs.push_back(run_lesion(network, data, *chosen[i * chosen.size() / count]));
  }
  return outputs;
}

// The held-out lesions in the order of run_lesions(), from several sides, where a rule asks for it.
void add_views(const Network &network, const TrainingData &data, const lvn_recipe &recipe,
               std::vector<LesionOutput> &outputs) {
  const bool flips = wants_term(recipe, LVN_OUTLIER_FLIPS);
  const bool permutations = wants_term(recipe, LVN_OUTLIER_PERMUTATIONS);
  size_t index = 0;
  for (const TrainingLesion &lesion : data.lesions) {
    if (lesion.role != Role::kHeldOut || (!flips && !permutations)) {
      continue;
    }
    const torch::Tensor hounsfield =
        data.hounsfield.slice(0, lesion.first_slice, lesion.first_slice + lesion.slice_count);
    LesionOutput &output = outputs.at(index++);
    output.flips = flips ? disagreement(network.flipped(hounsfield)) : 0.0;
    output.permutations = permutations ? disagreement(network.reordered(hounsfield)) : 0.0;
  }
}

std::array<double, LVN_CLASS_COUNT> with_opinion(const LesionOutput &output, double weight) {
  std::array<double, LVN_CLASS_COUNT> cosine = output.cosine;
  for (size_t c = 0; c < cosine.size(); c++) {
    cosine[c] += weight * output.opinion.log_probability[c];
  }
  return cosine;
}

struct HeldOut {
  std::vector<std::array<double, LVN_CLASS_COUNT>> cosine;
  std::vector<size_t> label;
  double accuracy = 0.0;
  double ece = 0.0;
};

// std::array rows lie like C's rows.
const double (*rows(const std::vector<std::array<double, LVN_CLASS_COUNT>> &values))[LVN_CLASS_COUNT] {
  return reinterpret_cast<const double(*)[LVN_CLASS_COUNT]>(values.data());
}

// Trees over the measurements of the training lesions; the outliers among them are a label of their own.
void grow_trees(const TrainingData &data, const lvn_recipe &recipe, size_t class_count, lvn_tensor_set &set) {
  std::vector<std::array<float, LVN_MEASUREMENT_COUNT>> rows;
  std::vector<size_t> labels;
  for (const TrainingLesion &lesion : data.lesions) {
    if (lesion.role == Role::kTraining && lesion.present == (1 << LVN_PHASE_NETWORK_COUNT) - 1) {
      rows.push_back(lesion.measurements);
      labels.push_back(is_outlier(lesion) ? class_count : static_cast<size_t>(lesion.label));
    }
  }
  const bool any = std::find(labels.begin(), labels.end(), class_count) != labels.end();
  const lvn_boost_options options = {recipe.measurement_rounds, kBoostRate, kBoostShare, kBoostLeaf, recipe.seed};
  struct lvn_error err = {};
  const TreesHandle trees(new lvn_trees(), TreesFree());
  if (!lvn_boost_fit(reinterpret_cast<const float(*)[LVN_MEASUREMENT_COUNT]>(rows.data()), labels.data(), labels.size(),
                     class_count + (any ? 1 : 0), &options, trees.get(), &err)) {
    fail(err);
  }
  add_trees(*trees, set);
}

// How much the measurements count beside the cosines: what makes the held-out labels most likely, with the temperature
// that then fits. From here on the cosines are those with the opinion added, as in the node.
void weigh_measurements(std::vector<LesionOutput> &outputs, lvn_package_recipe &recipe) {
  double best = std::numeric_limits<double>::infinity();
  std::vector<size_t> label;
  for (const LesionOutput &output : outputs) {
    if (output.label != LVN_CLASS_OUTLIER) {
      label.push_back(output.label);
    }
  }
  for (double weight = 0.0; weight < kWeightMost; weight = weight == 0.0 ? kWeightLeast : kWeightStep * weight) {
    std::vector<std::array<double, LVN_CLASS_COUNT>> cosine;
    for (const LesionOutput &output : outputs) {
      if (output.label != LVN_CLASS_OUTLIER) {
        cosine.push_back(with_opinion(output, weight));
      }
    }
    const double temperature = lvn_calibrate_temperature(rows(cosine), label.data(), label.size(), recipe.scale);
    std::vector<std::array<double, LVN_CLASS_COUNT>> probability(cosine.size());
    for (size_t i = 0; i < cosine.size(); i++) {
      lvn_calibrate_softmax(cosine[i].data(), recipe.scale / temperature, probability[i].data());
    }
    const double loss = lvn_calibrate_log_loss(rows(probability), label.data(), label.size());
    if (loss < best) {
      best = loss;
      recipe.measurement_weight = weight;
    }
  }
  for (LesionOutput &output : outputs) {
    output.cosine = with_opinion(output, recipe.measurement_weight);
  }
}

HeldOut calibrate(const std::vector<LesionOutput> &outputs, lvn_package_recipe &recipe) {
  HeldOut held;
  double right = 0.0;
  for (const LesionOutput &output : outputs) {
    if (output.label == LVN_CLASS_OUTLIER) {
      continue;
    }
    held.cosine.push_back(output.cosine);
    held.label.push_back(output.label);
    const auto top = std::max_element(output.cosine.begin(), output.cosine.end()) - output.cosine.begin();
    right += static_cast<size_t>(top) == output.label ? 1.0 : 0.0;
  }
  held.accuracy = right / static_cast<double>(held.label.size());
  recipe.temperature = lvn_calibrate_temperature(rows(held.cosine), held.label.data(), held.label.size(), recipe.scale);
  std::vector<std::array<double, LVN_CLASS_COUNT>> probability(held.cosine.size());
  for (size_t i = 0; i < probability.size(); i++) {
    lvn_calibrate_softmax(held.cosine[i].data(), recipe.scale / recipe.temperature, probability[i].data());
  }
  held.ece = lvn_calibrate_ece(rows(probability), held.label.data(), held.label.size());
  recipe.conformal_limit =
      lvn_calibrate_conformal(rows(probability), held.label.data(), held.label.size(), kConformalCoverage);
  recipe.conformal_coverage = kConformalCoverage;
  return held;
}

// One key slice of two held-out lesions, of two classes where there are two, with the cosines that the packaged weights
// give.
void write_vectors(const Network &network, const TrainingData &data, const std::string &path) {
  std::vector<torch::Tensor> inputs;
  auto first_label = data.lesions[0].label;
  for (const TrainingLesion &lesion : data.lesions) {
    if (lesion.role == Role::kHeldOut && !is_outlier(lesion) && static_cast<int64_t>(inputs.size()) < kVectors &&
        (inputs.empty() || lesion.label != first_label)) {
      first_label = inputs.empty() ? lesion.label : first_label;
      inputs.push_back(data.hounsfield[lesion.first_slice + lesion.key_slice]);
    }
  }
  lvn_tensor_set set;
  const torch::Tensor hounsfield = torch::stack(inputs);
  set.add("hounsfield", hounsfield);
  set.add("cosine", network.cosine(network.forward(network.prepare(hounsfield, 0)).joint, 0));
  set.write(path);
}

lvn_package_recipe package_recipe(const lvn_recipe &recipe, double scale) {
  lvn_package_recipe result;
  lvn_package_recipe_default(&result);
  const auto statistics = normalisation(recipe.normalisation);
  result.classes = lvn_recipe_classes(&recipe);
  (void)lvn_copy(result.encoder, sizeof result.encoder, recipe.encoder);
  result.mean = statistics.first;
  result.std = statistics.second;
  result.joint_size = recipe.joint_size;
  result.crop = recipe.crop;
  result.window_low_hu = recipe.window_low_hu;
  result.window_high_hu = recipe.window_high_hu;
  result.scale = scale;
  result.min_margin = recipe.abstain_margin;
  result.least_diameter_mm = recipe.least_diameter_mm;
  result.least_pixels_across = recipe.least_pixels_across;
  return result;
}

json_t *describe_encoder(const char *text_path) {
  struct lvn_safetensors *opened = nullptr;
  struct lvn_error err = {};
  if (!lvn_safetensors_open(text_path, size_t{1} << 31, &opened, &err)) {
    fail(err);
  }
  const lvn_safetensors_handle file(opened);
  json_t *encoder = json_object();
  for (const char *key : {"encoder", "encoder_sha256", "pooling"}) {
    const char *text = lvn_safetensors_metadata(opened, key);
    (void)json_object_set_new(encoder, key, json_string(text == nullptr ? "unknown" : text));
  }
  return encoder;
}

// Figures that a locked test set must reach before the package may be promoted.
json_t *describe_acceptance(const lvn_recipe &recipe) {
  return json_pack("{s:f,s:f,s:f,s:f}", "macro_auc", recipe.accept_macro_auc, "accuracy", recipe.accept_accuracy,
                   "hcc_sensitivity", recipe.accept_hcc_sensitivity, "ece", recipe.accept_ece);
}

json_t *describe_training(const lvn_train_options &options, const TrainingData &data,
                          const std::vector<EpochRecord> &history, const lvn_train_summary &summary) {
  struct lvn_error err = {};
  char *recipe = lvn_recipe_to_text(options.recipe, &err);
  if (recipe == nullptr) {
    fail(err);
  }
  json_t *result = json_pack("{s:s,s:o,s:s,s:s,s:I,s:I,s:f,s:f,s:f,s:s,s:i,s:o}", "recipe", recipe, "acceptance",
                             describe_acceptance(*options.recipe), "data", data.source.c_str(), "data_manifest_sha256",
                             data.digest.c_str(), "training_lesions", static_cast<json_int_t>(summary.training_lesions),
                             "held_out_lesions", static_cast<json_int_t>(summary.held_out_lesions), "last_loss",
                             summary.last_loss, "held_out_accuracy", summary.held_out_accuracy, "held_out_ece",
                             summary.held_out_ece, "libtorch", TORCH_VERSION, "threads", at::get_num_threads(),
                             "history", json_loads(history_to_text(history).c_str(), 0, nullptr));
  lvn_free(recipe);
  const char *start = options.init_path != nullptr ? options.init_path : options.recipe->weights;
  if (start[0] != '\0') {
    (void)json_object_set_new(result, "initial_weights_sha256", json_string(lvn::weights_digest(start).c_str()));
  }
  if (options.recipe->tuning_key[0] != '\0') {
    json_t *tuning =
        lvn_json_read((std::string(options.output_folder) + ".tuning/" LVN_TUNING_FILE).c_str(), 1 << 20, &err);
    if (tuning == nullptr) {
      fail(err);
    }
    (void)json_object_set_new(result, "tuning", tuning);
  }
  return result;
}

// Takes what was tried as outlier scores.
void seal(const lvn_train_options &options, const TrainingData &data, const lvn_package_recipe &recipe,
          const std::vector<EpochRecord> &history, const lvn_train_summary &summary, json_t *tried) {
  struct lvn_error err = {};
  const lvn_recipe &train = *options.recipe;
  const char *trained_on = train.trained_on[0] != '\0' ? train.trained_on : data.source.c_str();
  json_t *encoder = describe_encoder(options.text_path);
  json_t *training = describe_training(options, data, history, summary);
  add_lineage(options, data, training);
  (void)json_object_set_new(training, "outlier_scores", tried);
  (void)json_object_set_new(training, "held_out_outliers",
                            json_integer(static_cast<json_int_t>(summary.held_out_outliers)));
  lvn_package_description description = {};
  description.name = train.name;
  description.version = train.version;
  description.trained_on = trained_on;
  description.licence = train.licence;
  description.recipe = &recipe;
  description.text_encoder = encoder;
  description.training = training;
  const bool good = lvn_card_write(options.output_folder, &description, &summary, &err) &&
                    lvn_package_seal(options.output_folder, &description, &err);
  json_decref(encoder);
  json_decref(training);
  if (!good) {
    fail(err);
  }
}

} // namespace

void finish_package(const lvn_train_options &options, LiverVlm &model, const TrainingData &data,
                    const std::vector<EpochRecord> &history, lvn_train_summary &summary) {
  const torch::NoGradGuard no_grad;
  struct lvn_error err = {};
  if (!lvn_file_make_folder(options.output_folder, 0755, &err)) {
    fail(err);
  }
  const std::string weights = path_in(options, LVN_PACKAGE_WEIGHTS);
  lvn_package_recipe recipe = package_recipe(*options.recipe, model->scale());
  lvn_tensor_set set = collect_weights(model, options.recipe->prompts == LVN_PROMPTS_ENRICHED, recipe.classes);
  set.write(weights);
  Network network = load_network(weights, recipe);
  const bool any_outlier = std::any_of(data.lesions.begin(), data.lesions.end(), is_outlier);
  add_feature_statistics(run_lesions(network, data, false, any_outlier ? kStatisticsWithOutliers : kStatisticsLesions),
                         lvn_classes_count(recipe.classes), set);
  if (options.recipe->measurement_rounds > 0) {
    grow_trees(data, *options.recipe, lvn_classes_count(recipe.classes), set);
  }
  set.write(weights);
  network = load_network(weights, recipe);
  std::vector<LesionOutput> outputs = run_lesions(network, data, true, data.lesions.size());
  if (network.trees() != nullptr) {
    weigh_measurements(outputs, recipe);
  }
  const HeldOut held = calibrate(outputs, recipe);
  network.calibrate(recipe);
  add_views(network, data, *options.recipe, outputs);
  json_t *tried = choose_outlier_rule(network.outliers(), outputs, *options.recipe, recipe, summary);
  summary.held_out_accuracy = held.accuracy;
  summary.held_out_ece = held.ece;
  summary.temperature = recipe.temperature;
  write_vectors(network, data, path_in(options, LVN_PACKAGE_VECTORS));
  seal(options, data, recipe, history, summary, tried);
}

} // namespace lvn
