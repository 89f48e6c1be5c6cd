#include "model/train/trainer.h"

#include "base/file.h"
#include "base/guard.hh"
#include "base/memory.h"
#include "base/sha256.h"
#include "model/dataset/dataset_audit.h"
#include "model/dataset/predictions.h"
#include "model/network/package.h"
#include "model/tensor/tensor_torch.hh"
#include "model/text/prompts.h"
#include "model/train/finish_torch.hh"
#include "model/train/lineage_torch.hh"
#include "model/train/tasks_torch.hh"
#include "model/train/tuning.h"
#include "model/train/views_torch.hh"

#include <ATen/Context.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <sstream>
#include <thread>

#include <malloc.h>

namespace {

using lvn::LiverVlm;
using lvn::Role;
using lvn::Sample;
using lvn::TrainingData;

struct TextFree {
  void operator()(char *text) const {
    lvn_free(text);
  }
};

std::string recipe_text(const lvn_recipe &recipe) {
  struct lvn_error err = {};
  const std::unique_ptr<char, TextFree> text(lvn_recipe_to_text(&recipe, &err));
  if (text == nullptr) {
    lvn_throw(err);
  }
  return text.get();
}

std::string digest_of(const std::string &text) {
  struct lvn_error err = {};
  uint8_t sha256[LVN_SHA256_BYTES];
  char digest[LVN_SHA256_TEXT_BYTES];
  if (!lvn_sha256_of(text.data(), text.size(), sha256, &err)) {
    lvn_throw(err);
  }
  lvn_sha256_to_text(sha256, digest);
  return digest;
}

torch::Device choose_device(const lvn_recipe &recipe) {
  const bool has_cuda = torch::cuda::is_available();
  if (recipe.device == LVN_DEVICE_CUDA && !has_cuda) {
    throw std::runtime_error("run.device is cuda, and there is none");
  }
  return recipe.device != LVN_DEVICE_CPU && has_cuda ? torch::Device(torch::kCUDA, 0) : torch::Device(torch::kCPU);
}

// Every step allocates and frees the same activations. glibc would give each of them back to the kernel and have it
// clear them anew: 18,000 page faults a step at 64 pixels, a tenth to a fifth of the time (tests/bench/training.py).
void keep_memory() {
#ifdef __GLIBC__
  (void)mallopt(M_MMAP_MAX, 0);
  (void)mallopt(M_TRIM_THRESHOLD, std::numeric_limits<int>::max());
  (void)mallopt(M_TOP_PAD, 64 << 20);
#endif
}

void configure_library(const lvn_recipe &recipe) {
  keep_memory();
  const unsigned cores = std::max(1U, std::thread::hardware_concurrency());
  at::set_num_threads(static_cast<int>(recipe.threads == 0 ? cores : recipe.threads));
  auto &context = at::globalContext();
  context.setDeterministicAlgorithms(recipe.deterministic, false);
  context.setDeterministicCuDNN(recipe.deterministic);
  context.setBenchmarkCuDNN(!recipe.deterministic);
  context.setAllowTF32CuBLAS(false);
  context.setAllowTF32CuDNN(false);
  torch::manual_seed(recipe.seed);
}

// Which lesion has which role: part of what decides the result.
std::string describe_split(const TrainingData &data) {
  std::string text;
  for (const lvn::TrainingLesion &lesion : data.lesions) {
    text += lesion.lesion_key + (lesion.role == Role::kTraining ? "+" : lesion.role == Role::kHeldOut ? "-" : "?");
  }
  return digest_of(text);
}

class Trainer {
public:
  Trainer(const lvn_train_options &options, const lvn_train_fold *fold)
      : options_(options), recipe_(*options.recipe), classes_(lvn_recipe_classes(options.recipe)),
        device_(choose_device(recipe_)) {
    configure_library(recipe_);
    prompts_ = lvn::load_prompts(options.text_path, recipe_.prompts, classes_);
    if (recipe_.fourth_phase == 0.0 && prompts_.size(0) > LVN_SEQUENCE_NETWORK_COUNT) {
      prompts_ = prompts_.slice(0, 0, LVN_SEQUENCE_NETWORK_COUNT).contiguous(); // the others would only cost time
    }
    lvn::DataRequest request = {options.dataset_folders,  options.dataset_count,      options.unlabelled_folders,
                                options.unlabelled_count, recipe_.validation_fold,    nullptr,
                                recipe_.use_incomplete,   recipe_.fourth_phase > 0.0, classes_,
                                recipe_.outlier_unseen};
    request.measure = fold == nullptr && recipe_.measurement_rounds > 0;
    if (recipe_.training.stage_count == 0 && (fold != nullptr || options.init_path == nullptr)) {
      throw std::runtime_error("training.stages = none keeps the weights of --init, for a package alone");
    }
    if (fold != nullptr) {
      request.held_out_fold = fold->fold;
      request.folds = fold->folds;
    }
    data_ = lvn::load_training_data(request);
    check_data(fold != nullptr);
    lvn::check_start(options_, data_);
    split_ = describe_split(data_);
    start_ = options_.init_path == nullptr ? "" : lvn::weights_digest(options_.init_path);
    torch::manual_seed(recipe_.seed); // whatever was drawn above
    model_ = LiverVlm(recipe_, prompts_);
    initialise();
    data_.hounsfield = data_.hounsfield.to(device_);
    if (data_.delayed.defined()) {
      data_.delayed = data_.delayed.to(device_);
    }
    model_->prompts = prompts_.to(device_);
    model_->to(device_);
  }

  void train(lvn_train_summary &summary) {
    if (recipe_.task != LVN_PRETRAIN_NONE) {
      pretrain();
    }
    summary.training_lesions = count_of(Role::kTraining);
    summary.held_out_lesions = count_of(Role::kHeldOut);
    if (recipe_.training.stage_count == 0) {
      model_->eval(); // the weights of --init, and statistics, trees and limits of these data
      return;
    }
    const auto task = lvn::make_classify_task(model_, data_, recipe_);
    const lvn::LoopRequest request = {&recipe_,        &recipe_.training, checkpoint(""),  fingerprint(),
                                      options_.resume, options_.progress, options_.context};
    const lvn::LoopResult result = lvn::run_loop(*task, request);
    summary.first_loss = result.first_loss;
    summary.last_loss = result.last_loss;
    summary.images_per_second = result.images_per_second;
    history_.insert(history_.end(), result.history.begin(), result.history.end());
  }

  void finish_package(lvn_train_summary &summary) {
    const torch::NoGradGuard no_grad;
    model_->to(torch::kCPU);
    model_->prompts = prompts_;
    data_.hounsfield = data_.hounsfield.to(torch::kCPU);
    lvn::finish_package(options_, model_, data_, history_, summary);
    remove_checkpoints();
  }

  // Logits of every held-out slice at the side of the last stage.
  void write_predictions(const lvn_train_fold &fold, lvn_train_summary &summary) {
    const torch::NoGradGuard no_grad;
    struct lvn_error err = {};
    if (!lvn_file_make_folder(options_.output_folder, 0755, &err) || !write_history(&err)) {
      lvn_throw(err);
    }
    const TrainingData own = data_;
    for (size_t i = 0; i < fold.test_count; i++) {
      const lvn::DataRequest request = {
          &fold.tests[i].folder, 1, nullptr, 0, fold.fold, fold.folds, false, false, classes_, ""};
      data_ = lvn::load_training_data(request);
      data_.hounsfield = data_.hounsfield.to(device_);
      (void)predict_all(fold.fold, std::string("predictions-") + fold.tests[i].name + ".csv");
    }
    data_ = own;
    summary.held_out_accuracy = predict_all(fold.fold, LVN_PREDICTIONS_FILE);
    remove_checkpoints();
  }

private:
  size_t count_of(Role role) const {
    return static_cast<size_t>(
        std::count_if(data_.lesions.begin(), data_.lesions.end(), [role](const lvn::TrainingLesion &lesion) {
          return lesion.role == role && !lvn::is_outlier(lesion);
        }));
  }

  std::string prompts_name_no(const char *what) const {
    return "'" + std::string(options_.text_path) + "': the prompt embeddings name no " + what +
           ": make them anew by text-encoder embed";
  }

  void check_data(bool is_fold) const {
    std::vector<size_t> classes(LVN_DATASET_LABEL_COUNT);
    for (const lvn::TrainingLesion &lesion : data_.lesions) {
      classes[static_cast<size_t>(lesion.label)] += lesion.role == Role::kTraining ? 1 : 0;
      if (recipe_.use_incomplete && prompts_.size(0) == LVN_PERMUTATION_COUNT && lesion.present != 7) {
        throw std::runtime_error(prompts_name_no("missing phases"));
      }
    }
    for (size_t c = 0; c < lvn_classes_count(classes_); c++) {
      if (classes[c] == 0) {
        throw std::runtime_error(std::string("there is no lesion of class ") +
                                 lvn_class_name(lvn_classes_at(classes_, c)) + " to train on");
      }
    }
    const size_t held_out = count_of(Role::kHeldOut);
    if (held_out < (is_fold ? 1U : 2U)) {
      throw std::runtime_error("the held-out fold has " + std::to_string(held_out) + " lesions, too few");
    }
    if (recipe_.phase_dropout > 0.0 && prompts_.size(0) == LVN_PERMUTATION_COUNT) {
      throw std::runtime_error(prompts_name_no("missing phases"));
    }
    if (recipe_.fourth_phase > 0.0 && prompts_.size(0) != LVN_SEQUENCE_COUNT) {
      throw std::runtime_error(prompts_name_no("delayed phase"));
    }
    if (recipe_.fourth_phase > 0.0 && !data_.delayed.defined()) {
      throw std::runtime_error("augmentation.fourth_phase: no training lesion has the delayed phase; make the data set "
                               "with --delayed");
    }
    if (data_.hounsfield.numel() > 0 && data_.hounsfield.min().equal(data_.hounsfield.max())) {
      throw std::runtime_error("all images are of one value: there is nothing to learn from");
    }
  }

  void initialise() {
    if (options_.init_path != nullptr) {
      lvn::load_weights(model_, options_.init_path);
    } else if (recipe_.weights[0] != '\0') {
      lvn::load_image_encoder(*model_->image, recipe_.weights);
    }
  }

  std::string checkpoint(const char *part) const {
    return std::string(options_.output_folder) + part + ".checkpoint";
  }

  // What a checkpoint must agree with to be gone on from.
  std::string fingerprint() const {
    std::string text = recipe_text(recipe_) + data_.digest + split_ + lvn::file_digest(options_.text_path);
    return digest_of(text + start_);
  }

  // Of the pretraining alone: recipes that differ in what comes after it share it.
  std::string pretraining_fingerprint() const {
    lvn_recipe part = {};
    lvn_recipe_default(LVN_RECIPE_PAPER, &part);
    (void)std::memcpy(part.encoder, recipe_.encoder, sizeof part.encoder);
    (void)std::memcpy(part.weights, recipe_.weights, sizeof part.weights);
    part.normalisation = recipe_.normalisation;
    part.task = recipe_.task;
    part.pretraining = recipe_.pretraining;
    part.pretraining_gain = recipe_.pretraining_gain;
    part.pretraining_offset_hu = recipe_.pretraining_offset_hu;
    part.flip = recipe_.flip;
    part.rotate_degrees = recipe_.rotate_degrees;
    part.zoom = recipe_.zoom;
    part.shift = recipe_.shift;
    part.window_low_hu = recipe_.window_low_hu;
    part.window_high_hu = recipe_.window_high_hu;
    part.device = recipe_.device;
    part.precision = recipe_.precision;
    part.deterministic = recipe_.deterministic;
    part.seed = recipe_.seed;
    part.threads = recipe_.threads;
    return digest_of("pretraining" + recipe_text(part) + data_.digest + split_ + start_);
  }

  bool take_pretrained(const std::string &path, const std::string &wanted) {
    struct lvn_error err = {};
    struct lvn_safetensors *opened = nullptr;
    if (!lvn_file_exists(path.c_str())) {
      return false;
    }
    if (!lvn_safetensors_open(path.c_str(), size_t{8} << 30, &opened, &err)) {
      lvn_throw(err);
    }
    const lvn_safetensors_handle file(opened);
    const char *found = lvn_safetensors_metadata(opened, "fingerprint");
    if (found == nullptr || wanted != found) {
      return false;
    }
    const char *history = lvn_safetensors_metadata(file.get(), "history");
    history_ = lvn::history_from_text(history == nullptr ? "[]" : history);
    lvn::load_image_encoder(*model_->image, path);
    return true;
  }

  void pretrain() {
    // An encoder of its own seed, so that it does not matter what else the model has.
    const std::string wanted = pretraining_fingerprint();
    const std::string kept =
        options_.pretrained_path != nullptr ? options_.pretrained_path : checkpoint(".pretraining") + ".encoder";
    const bool may_take = options_.pretrained_path != nullptr || options_.resume;
    if (may_take && take_pretrained(kept, wanted)) {
      return;
    }
    const auto task = recipe_.task == LVN_PRETRAIN_SIMSIAM ? lvn::make_simsiam_task(model_->image, data_, recipe_)
                                                           : lvn::make_shuffle_task(model_->image, data_, recipe_);
    const lvn::LoopRequest request = {&recipe_,        &recipe_.pretraining, checkpoint(".pretraining"),
                                      wanted,          options_.resume,      options_.progress,
                                      options_.context};
    history_ = lvn::run_loop(*task, request).history;
    lvn::save_image_encoder(*model_->image, kept, wanted, lvn::history_to_text(history_));
    (void)std::remove(request.checkpoint.c_str());
  }

  // True when the lesion's mean logits name its class.
  bool predict(size_t index, unsigned fold, unsigned side, lvn_predictions &predictions) {
    const lvn::TrainingLesion &lesion = data_.lesions[index];
    std::vector<Sample> samples;
    for (int64_t s = 0; s < lesion.slice_count; s++) {
      samples.push_back({static_cast<int64_t>(index), lesion.first_slice + s, 0});
    }
    const lvn::Batch batch = lvn::make_batch(data_, samples.data(), samples.size(), side, recipe_, nullptr);
    const torch::Tensor logits =
        model_->forward(batch.images, batch.sequences).to(torch::kCPU).to(torch::kFloat64).contiguous();
    for (int64_t s = 0; s < lesion.slice_count; s++) {
      lvn_slice_prediction item = {};
      struct lvn_error err = {};
      item.fold = fold;
      (void)lvn_copy(item.patient_key, sizeof item.patient_key, lesion.patient_key.c_str());
      (void)lvn_copy(item.lesion_key, sizeof item.lesion_key, lesion.lesion_key.c_str());
      item.slice = static_cast<unsigned>(s);
      item.is_key = s == lesion.key_slice;
      item.truth = lvn_classes_at(classes_, static_cast<size_t>(lesion.label));
      std::fill(std::begin(item.logit), std::end(item.logit), -std::numeric_limits<double>::infinity());
      for (int64_t c = 0; c < logits.size(1); c++) {
        item.logit[lvn_classes_at(classes_, static_cast<size_t>(c))] =
            logits.data_ptr<double>()[s * logits.size(1) + c];
      }
      if (!lvn_predictions_add(&predictions, &item, &err)) {
        lvn_throw(err);
      }
    }
    return logits.mean(0).argmax().item<int64_t>() == lesion.label;
  }

  // The share of lesions that are right.
  double predict_all(unsigned fold, const std::string &name) {
    const lvn_recipe_fit &fit = recipe_.training;
    struct lvn_error err = {};
    lvn_predictions predictions = {};
    predictions.classes = classes_;
    size_t right = 0;
    for (size_t i = 0; i < data_.lesions.size(); i++) {
      if (data_.lesions[i].role == Role::kHeldOut && !lvn::is_outlier(data_.lesions[i])) {
        right += predict(i, fold, fit.stages[fit.stage_count - 1].side, predictions) ? 1 : 0;
      }
    }
    const std::string path = std::string(options_.output_folder) + "/" + name;
    const bool good = lvn_predictions_write(&predictions, path.c_str(), &err);
    lvn_predictions_clear(&predictions);
    if (!good) {
      lvn_throw(err);
    }
    return static_cast<double>(right) / static_cast<double>(std::max<size_t>(1, count_of(Role::kHeldOut)));
  }

  bool write_history(struct lvn_error *err) const {
    std::ostringstream text;
    text << "task,epoch,side,loss,learning_rate,validation\n";
    text.precision(9);
    for (const lvn::EpochRecord &record : history_) {
      text << record.task << "," << record.epoch << "," << record.side << "," << record.loss << ","
           << record.learning_rate << ",";
      if (std::isfinite(record.validation)) {
        text << record.validation;
      }
      text << "\n";
    }
    const std::string bytes = text.str();
    return lvn_file_replace((std::string(options_.output_folder) + "/history.csv").c_str(), bytes.data(), bytes.size(),
                            0644, err);
  }

  void remove_checkpoints() const {
    (void)std::remove(checkpoint("").c_str());
    (void)std::remove((checkpoint(".pretraining") + ".encoder").c_str());
  }

  const lvn_train_options &options_;
  const lvn_recipe &recipe_;
  unsigned classes_;
  torch::Device device_;
  torch::Tensor prompts_; // on the CPU
  TrainingData data_;
  std::string split_;
  std::string start_; // digest of the weights that --init names
  LiverVlm model_{nullptr};
  std::vector<lvn::EpochRecord> history_; // pretraining, then training
};

bool check_output(const lvn_train_options &options, struct lvn_error *err) {
  char path[LVN_PATH_BYTES];
  if (!lvn_path_join(path, options.output_folder, LVN_PACKAGE_MANIFEST, err)) {
    return false;
  }
  if (lvn_file_exists(path)) {
    return lvn_error_set(err, LVN_ERROR_CONFLICT, "'%.300s' is a sealed package already", options.output_folder);
  }
  return options.recipe->head == LVN_HEAD_COSINE ||
         lvn_error_set(err, LVN_ERROR_USAGE,
                       "a package needs network.head = cosine; fc is a control for "
                       "--cross-validate and --experiment");
}

} // namespace

bool lvn_train_run(const struct lvn_train_options *options, struct lvn_train_summary *ret_summary,
                   struct lvn_error *err) {
  return lvn_guard(err, LVN_ERROR_DATA, [&] {
    lvn_train_summary summary = {};
    if (!check_output(*options, err) ||
        !lvn_datasets_check_trainable(options->dataset_folders, options->dataset_count,
                                      lvn_recipe_classes(options->recipe), false, err)) {
      return false;
    }
    lvn_recipe recipe = {};
    lvn_train_options chosen = *options;
    if (!lvn_train_tune(options, nullptr, options->recipe->validation_fold, lvn_train_fold_run, &recipe, err)) {
      return false;
    }
    chosen.recipe = &recipe;
    Trainer trainer(chosen, nullptr);
    trainer.train(summary);
    trainer.finish_package(summary);
    *ret_summary = summary;
    return true;
  });
}

bool lvn_train_fold_run(const struct lvn_train_options *options, const struct lvn_train_fold *fold,
                        struct lvn_train_summary *ret_summary, struct lvn_error *err) {
  return lvn_guard(err, LVN_ERROR_DATA, [&] {
    lvn_train_summary summary = {};
    lvn_recipe recipe = {};
    lvn_train_options chosen = *options;
    if (!lvn_train_tune(options, fold->folds, fold->fold, lvn_train_fold_run, &recipe, err)) {
      return false;
    }
    chosen.recipe = &recipe;
    Trainer trainer(chosen, fold);
    trainer.train(summary);
    trainer.write_predictions(*fold, summary);
    *ret_summary = summary;
    return true;
  });
}
