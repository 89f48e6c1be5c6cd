#include "model/train/trainer.h"

#include "daemon/base/clock.h"
#include "daemon/base/file.h"
#include "daemon/base/guard.hh"
#include "daemon/base/memory.h"
#include "model/network/package.h"
#include "model/tensor/json.h"
#include "model/train/finish_torch.hh"
#include "model/train/model_torch.hh"

#include <algorithm>
#include <cmath>
#include <limits>
#include <sstream>
#include <thread>

namespace {

using lvn::Batch;
using lvn::LiverVlm;
using lvn::Sample;
using lvn::TrainingData;

class Trainer {
public:
  explicit Trainer(const lvn_train_options &options) : options_(options), recipe_(*options.recipe) {
    const unsigned cores = std::max(1U, std::thread::hardware_concurrency());
    at::set_num_threads(static_cast<int>(recipe_.threads == 0 ? cores : recipe_.threads));
    torch::manual_seed(recipe_.seed);
    prompts_ = lvn::load_prompts(options.text_path, recipe_.enriched_prompts);
    data_ = lvn::load_training_data(options.dataset_folders, options.dataset_count, recipe_.validation_fold);
    count_lesions();
    const auto joint = static_cast<int64_t>(recipe_.joint_size);
    model_ = LiverVlm(static_cast<int>(recipe_.trunk_depth), joint, prompts_.size(2));
    averaged_ = LiverVlm(static_cast<int>(recipe_.trunk_depth), joint, prompts_.size(2));
    if (options.init_folder != nullptr) {
      lvn::load_weights(model_, options.init_folder);
    }
    for (const auto &module : {model_, averaged_}) {
      for (auto &parameter : module->parameters()) {
        if (parameter.dim() == 4) {
          parameter.set_data(parameter.contiguous(torch::MemoryFormat::ChannelsLast));
        }
      }
    }
    copy_average(0.0);
    make_optimizer();
  }

  void run(lvn_train_summary &summary) {
    if (options_.resume) {
      load_checkpoint();
    }
    const unsigned epochs = lvn_recipe_epochs(&recipe_);
    for (; epoch_ < epochs;) {
      run_epoch();
      save_checkpoint();
    }
    averaged_->eval();
    summary.training_lesions = training_;
    summary.held_out_lesions = held_out_;
    summary.first_loss = first_loss_;
    summary.last_loss = last_loss_;
    summary.images_per_second = seconds_ > 0.0 ? static_cast<double>(images_) / seconds_ : 0.0;
    lvn::finish_package(options_, averaged_, prompts_, data_, summary);
    (void)std::remove(checkpoint_path().c_str());
  }

private:
  void count_lesions() {
    for (const lvn::TrainingLesion &lesion : data_.lesions) {
      (lesion.held_out ? held_out_ : training_)++;
    }
    if (training_ < 2 || held_out_ < 2) {
      throw std::runtime_error("data set has " + std::to_string(training_) + " lesions to train on and " +
                               std::to_string(held_out_) + " held out; both need two");
    }
  }

  void make_optimizer() {
    std::vector<torch::Tensor> decayed;
    std::vector<torch::Tensor> plain;
    for (auto &parameter : model_->parameters()) {
      (parameter.dim() > 1 ? decayed : plain).push_back(parameter);
    }
    auto with_decay = std::make_unique<torch::optim::AdamWOptions>(recipe_.learning_rate);
    auto without = std::make_unique<torch::optim::AdamWOptions>(recipe_.learning_rate);
    with_decay->weight_decay(recipe_.weight_decay);
    without->weight_decay(0.0);
    std::vector<torch::optim::OptimizerParamGroup> groups;
    groups.emplace_back(decayed, std::move(with_decay));
    groups.emplace_back(plain, std::move(without));
    optimizer_ = std::make_unique<torch::optim::AdamW>(groups, torch::optim::AdamWOptions(recipe_.learning_rate));
  }

  // averaged = decay * averaged + (1 - decay) * model; 0 copies.
  void copy_average(double decay) {
    const torch::NoGradGuard no_grad;
    auto blend = [decay](const std::vector<torch::Tensor> &from, const std::vector<torch::Tensor> &to) {
      for (size_t i = 0; i < from.size(); i++) {
        if (decay > 0.0 && to[i].is_floating_point()) {
          to[i].lerp_(from[i], 1.0 - decay);
        } else {
          to[i].copy_(from[i]);
        }
      }
    };
    blend(model_->parameters(), averaged_->parameters());
    blend(model_->buffers(), averaged_->buffers());
  }

  unsigned side_of(unsigned epoch) const {
    unsigned before = 0;
    for (size_t i = 0; i < recipe_.stage_count; i++) {
      before += recipe_.stages[i].epochs;
      if (epoch < before) {
        return recipe_.stages[i].side;
      }
    }
    return LVN_CROP_SIDE;
  }

  double learning_rate(double epoch) const {
    const double warmup = recipe_.warmup_epochs;
    const double epochs = lvn_recipe_epochs(&recipe_);
    if (epoch < warmup) {
      return recipe_.learning_rate * (epoch + 0.1) / (warmup + 0.1);
    }
    return recipe_.learning_rate * 0.5 * (1.0 + std::cos(M_PI * (epoch - warmup) / std::max(1e-9, epochs - warmup)));
  }

  double train_step(const Batch &batch, double rate) {
    for (auto &group : optimizer_->param_groups()) {
      static_cast<torch::optim::AdamWOptions &>(group.options()).lr(rate);
    }
    optimizer_->zero_grad();
    const torch::Tensor cosine = model_->forward(batch.images, batch.orders, prompts_);
    const torch::Tensor loss = torch::cross_entropy_loss(recipe_.scale * cosine, batch.labels);
    loss.backward();
    optimizer_->step();
    step_++;
    // A fresh average would otherwise remember its random start for 1/(1 - decay) steps.
    const double young = (1.0 + static_cast<double>(step_)) / (10.0 + static_cast<double>(step_));
    copy_average(std::min(recipe_.ema, young));
    return loss.item<double>();
  }

  // Every random draw of an epoch comes from (seed, epoch), so that a resumed run goes on as if it had not stopped.
  void run_epoch() {
    std::seed_seq sequence{recipe_.seed, epoch_};
    std::mt19937_64 random(sequence);
    const unsigned side = side_of(epoch_);
    const std::vector<Sample> samples = lvn::draw_epoch(data_, random);
    const size_t batch_size = std::min<size_t>(recipe_.batch, samples.size());
    const size_t steps = samples.size() / batch_size;
    const double start = lvn_clock_monotonic_seconds();
    double loss = 0.0;
    double rate = 0.0;
    model_->train();
    for (size_t step = 0; step < steps; step++) {
      rate = learning_rate(static_cast<double>(epoch_) + static_cast<double>(step) / static_cast<double>(steps));
      const Batch batch =
          lvn::make_batch(data_, samples.data() + step * batch_size, batch_size, side, recipe_, &random);
      loss += train_step(batch, rate) / static_cast<double>(steps);
    }
    const double seconds = lvn_clock_monotonic_seconds() - start;
    if (!std::isfinite(loss)) {
      throw std::runtime_error("the loss is not a number any more: lower learning_rate");
    }
    first_loss_ = epoch_ == 0 ? loss : first_loss_;
    last_loss_ = loss;
    images_ += steps * batch_size;
    seconds_ += seconds;
    epoch_++;
    if (options_.progress != nullptr) {
      const lvn_train_epoch report = {epoch_,        lvn_recipe_epochs(&recipe_),
                                      side,          loss,
                                      rate,          static_cast<double>(steps * batch_size) / seconds,
                                      validate(side)};
      options_.progress(&report);
    }
  }

  double validate(unsigned side) {
    const torch::NoGradGuard no_grad;
    std::vector<Sample> samples;
    for (size_t i = 0; i < data_.lesions.size(); i++) {
      if (data_.lesions[i].held_out) {
        samples.push_back({static_cast<int64_t>(i), data_.lesions[i].first_slice + data_.lesions[i].key_slice});
      }
    }
    averaged_->eval();
    double right = 0.0;
    for (size_t first = 0; first < samples.size(); first += recipe_.batch) {
      const size_t count = std::min<size_t>(recipe_.batch, samples.size() - first);
      const Batch batch = lvn::make_batch(data_, samples.data() + first, count, side, recipe_, nullptr);
      const torch::Tensor cosine = averaged_->forward(batch.images, batch.orders, prompts_);
      right += cosine.argmax(1).eq(batch.labels).sum().item<double>();
    }
    return right / static_cast<double>(samples.size());
  }

  std::string checkpoint_path() const {
    return std::string(options_.output_folder) + ".checkpoint";
  }

  // What a checkpoint must agree with to be gone on from.
  std::string fingerprint() const {
    struct lvn_error err = {};
    json_t *json = lvn_recipe_to_json(&recipe_);
    char *text = lvn_json_dump(json, JSON_COMPACT | JSON_SORT_KEYS, &err);
    json_decref(json);
    if (text == nullptr) {
      lvn_throw(err);
    }
    const std::string result = std::string(text) + data_.digest;
    lvn_free(text);
    return result;
  }

  void save_checkpoint() {
    torch::serialize::OutputArchive archive;
    torch::serialize::OutputArchive model, averaged, optimizer;
    model_->save(model);
    averaged_->save(averaged);
    optimizer_->save(optimizer);
    archive.write("model", model);
    archive.write("averaged", averaged);
    archive.write("optimizer", optimizer);
    archive.write("epoch", c10::IValue(static_cast<int64_t>(epoch_)));
    archive.write("step", c10::IValue(static_cast<int64_t>(step_)));
    archive.write("first_loss", c10::IValue(first_loss_));
    archive.write("last_loss", c10::IValue(last_loss_));
    archive.write("fingerprint", c10::IValue(fingerprint()));
    std::ostringstream stream;
    archive.save_to(stream);
    const std::string bytes = stream.str();
    struct lvn_error err = {};
    if (!lvn_file_replace(checkpoint_path().c_str(), bytes.data(), bytes.size(), 0644, &err)) {
      lvn_throw(err);
    }
  }

  void load_checkpoint() {
    if (!lvn_file_exists(checkpoint_path().c_str())) {
      return;
    }
    torch::serialize::InputArchive archive;
    archive.load_from(checkpoint_path());
    c10::IValue value;
    archive.read("fingerprint", value);
    if (value.toStringRef() != fingerprint()) {
      throw std::runtime_error("'" + checkpoint_path() + "' is of another recipe or other data");
    }
    torch::serialize::InputArchive model, averaged, optimizer;
    archive.read("model", model);
    archive.read("averaged", averaged);
    archive.read("optimizer", optimizer);
    model_->load(model);
    averaged_->load(averaged);
    optimizer_->load(optimizer);
    archive.read("epoch", value);
    epoch_ = static_cast<unsigned>(value.toInt());
    archive.read("step", value);
    step_ = static_cast<uint64_t>(value.toInt());
    archive.read("first_loss", value);
    first_loss_ = value.toDouble();
    archive.read("last_loss", value);
    last_loss_ = value.toDouble();
  }

  const lvn_train_options &options_;
  const lvn_recipe &recipe_;
  torch::Tensor prompts_;
  TrainingData data_;
  LiverVlm model_{nullptr};
  LiverVlm averaged_{nullptr};
  std::unique_ptr<torch::optim::AdamW> optimizer_;
  size_t training_ = 0;
  size_t held_out_ = 0;
  unsigned epoch_ = 0;
  uint64_t step_ = 0;
  double first_loss_ = 0.0;
  double last_loss_ = 0.0;
  size_t images_ = 0;
  double seconds_ = 0.0;
};

bool check_output(const lvn_train_options &options, struct lvn_error *err) {
  char path[LVN_PATH_BYTES];
  if (!lvn_path_join(path, options.output_folder, LVN_PACKAGE_MANIFEST, err)) {
    return false;
  }
  if (lvn_file_exists(path)) {
    return lvn_error_set(err, LVN_ERROR_CONFLICT, "'%.300s' is a sealed package already", options.output_folder);
  }
  return true;
}

} // namespace

bool lvn_train_run(const struct lvn_train_options *options, struct lvn_train_summary *ret_summary,
                   struct lvn_error *err) {
  return lvn_guard(err, LVN_ERROR_DATA, [&] {
    lvn_train_summary summary = {};
    if (!check_output(*options, err)) {
      return false;
    }
    Trainer trainer(*options);
    trainer.run(summary);
    *ret_summary = summary;
    return true;
  });
}
