#include "model/train/loop_torch.hh"

#include "base/clock.h"
#include "base/file.h"
#include "base/memory.h"
#include "model/tensor/json.h"
#include "model/tensor/tensor_torch.hh"

#include <ATen/autocast_mode.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <sstream>

#include <time.h>

namespace lvn {

namespace {

// Doubles as text that reads back as the same bits.
std::string hex_of(double value) {
  char text[64];
  (void)std::snprintf(text, sizeof text, "%a", value);
  return text;
}

double cpu_seconds() {
  struct timespec now = {};
  (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

class Loop {
public:
  Loop(Task &task, const LoopRequest &request)
      : task_(task), request_(request), fit_(*request.fit), optimiser_(task.module(), *request.fit) {
  }

  LoopResult run() {
    last_save_ = lvn_clock_monotonic_seconds();
    const bool resumed = request_.resume && lvn_file_exists(request_.checkpoint.c_str());
    if (resumed) {
      load();
    }
    const unsigned epochs = lvn_recipe_epochs(&fit_);
    while (epoch_ < epochs) {
      run_epoch();
    }
    optimiser_.swap_average();
    task_.module().eval();
    result_.images_per_second = seconds_ > 0.0 ? images_ / seconds_ : 0.0;
    return result_;
  }

private:
  unsigned side_of(unsigned epoch) const {
    unsigned before = 0;
    for (size_t i = 0; i < fit_.stage_count; i++) {
      before += fit_.stages[i].epochs;
      if (epoch < before) {
        return fit_.stages[i].side;
      }
    }
    return fit_.stages[fit_.stage_count - 1].side;
  }

  double rate_at(double epoch) const {
    const double warmup = fit_.warmup_epochs;
    const double epochs = lvn_recipe_epochs(&fit_);
    if (epoch < warmup) {
      return fit_.learning_rate * (epoch + 0.1) / (warmup + 0.1);
    }
    if (fit_.schedule == LVN_SCHEDULE_CONSTANT) {
      return fit_.learning_rate;
    }
    return fit_.learning_rate * 0.5 * (1.0 + std::cos(M_PI * (epoch - warmup) / std::max(1e-9, epochs - warmup)));
  }

  double take_step(const Sample *samples, size_t count, unsigned side, double rate) {
    optimiser_.zero_gradient();
    const torch::Tensor loss = task_.loss(samples, count, side, random_);
    loss.backward();
    // A fresh average would otherwise remember its random start for 1/(1 - decay) steps.
    const auto steps = static_cast<double>(optimiser_.step_count() + 1);
    optimiser_.step(rate, std::min(fit_.ema, (1.0 + steps) / (10.0 + steps)));
    task_.after_step();
    const double value = loss.item<double>();
    if (!std::isfinite(value)) {
      throw std::runtime_error(std::string(task_.name()) + ": the loss is not a number any more: lower learning_rate");
    }
    return value;
  }

  void run_epoch() {
    std::seed_seq sequence{request_.recipe->seed, epoch_, fit_.batch};
    std::mt19937_64 random(sequence);
    const std::vector<Sample> samples = task_.draw(random);
    if (samples.size() < 2) {
      throw std::runtime_error(std::string(task_.name()) + ": there is nothing to learn from");
    }
    if (step_in_epoch_ == 0) {
      random_ = random;
      epoch_loss_ = 0.0;
    }
    const unsigned side = side_of(epoch_);
    const size_t batch = std::min<size_t>(fit_.batch, samples.size());
    const size_t steps = samples.size() / batch; // the rest, drawn anew every epoch, is left out: as drop_last
    const size_t first = step_in_epoch_;
    const double start = lvn_clock_monotonic_seconds();
    const double cpu_start = cpu_seconds();
    double rate = 0.0;
    task_.module().train();
    while (step_in_epoch_ < steps) {
      rate = rate_at(epoch_ + static_cast<double>(step_in_epoch_) / static_cast<double>(steps));
      const double loss = take_step(samples.data() + step_in_epoch_ * batch, batch, side, rate);
      epoch_loss_ += loss / static_cast<double>(steps);
      step_in_epoch_++;
      if (step_in_epoch_ < steps && lvn_clock_monotonic_seconds() - last_save_ >= request_.recipe->checkpoint_seconds) {
        save();
      }
    }
    finish_epoch(side, rate, static_cast<double>((steps - first) * batch), lvn_clock_monotonic_seconds() - start,
                 cpu_seconds() - cpu_start);
  }

  void finish_epoch(unsigned side, double rate, double images, double seconds, double cpu) {
    result_.first_loss = epoch_ == 0 ? epoch_loss_ : result_.first_loss;
    result_.last_loss = epoch_loss_;
    images_ += images;
    seconds_ += seconds;
    epoch_++;
    step_in_epoch_ = 0;
    const double validation = validate(side);
    result_.history.push_back({task_.name(), epoch_, side, epoch_loss_, rate, validation});
    save();
    if (request_.progress != nullptr) {
      lvn_train_epoch report = {};
      report.task = task_.name();
      report.epoch = epoch_;
      report.epoch_count = lvn_recipe_epochs(&fit_);
      report.side = side;
      report.loss = result_.last_loss;
      report.learning_rate = rate;
      report.images_per_second = images / std::max(1e-9, seconds);
      report.images_per_cpu_second = images / std::max(1e-9, cpu);
      report.validation = validation;
      request_.progress(&report, request_.context);
    }
  }

  double validate(unsigned side) {
    const torch::NoGradGuard no_grad;
    optimiser_.swap_average();
    task_.module().eval();
    const double validation = task_.validate(side);
    optimiser_.swap_average();
    return validation;
  }

  void save() {
    std::vector<std::pair<std::string, torch::Tensor>> tensors;
    for (const auto &item : optimiser_.state()) {
      tensors.emplace_back(item.first, item.second.to(torch::kCPU).contiguous());
    }
    std::vector<lvn_tensor> views;
    for (const auto &item : tensors) {
      views.push_back(lvn_tensor_from_torch(item.first.c_str(), item.second));
    }
    std::ostringstream generator;
    generator << random_;
    const std::vector<std::pair<std::string, std::string>> values = {{"fingerprint", request_.fingerprint},
                                                                     {"epoch", std::to_string(epoch_)},
                                                                     {"step_in_epoch", std::to_string(step_in_epoch_)},
                                                                     {"steps", std::to_string(optimiser_.step_count())},
                                                                     {"epoch_loss", hex_of(epoch_loss_)},
                                                                     {"first_loss", hex_of(result_.first_loss)},
                                                                     {"last_loss", hex_of(result_.last_loss)},
                                                                     {"history", history_to_text(result_.history)},
                                                                     {"random", generator.str()}};
    std::vector<lvn_tensor_note> notes;
    for (const auto &value : values) {
      notes.push_back({value.first.c_str(), value.second.c_str()});
    }
    struct lvn_error err = {};
    if (!lvn_safetensors_write(request_.checkpoint.c_str(), views.data(), views.size(), notes.data(), notes.size(),
                               &err)) {
      lvn_throw(err);
    }
    last_save_ = lvn_clock_monotonic_seconds();
  }

  std::string note(const lvn_safetensors *file, const char *key) const {
    const char *text = lvn_safetensors_metadata(file, key);
    if (text == nullptr) {
      throw std::runtime_error("'" + request_.checkpoint + "' is no checkpoint of this program");
    }
    return text;
  }

  void load() {
    const torch::NoGradGuard no_grad;
    struct lvn_safetensors *opened = nullptr;
    struct lvn_error err = {};
    if (!lvn_safetensors_open(request_.checkpoint.c_str(), size_t{8} << 30, &opened, &err)) {
      lvn_throw(err);
    }
    const lvn_safetensors_handle file(opened);
    if (note(opened, "fingerprint") != request_.fingerprint) {
      throw std::runtime_error("'" + request_.checkpoint + "' is of another recipe or other data");
    }
    for (auto &item : optimiser_.state()) {
      const lvn_tensor *view = lvn_safetensors_find(opened, item.first.c_str());
      if (view == nullptr || view->element_count != static_cast<uint64_t>(item.second.numel())) {
        throw std::runtime_error("'" + request_.checkpoint + "' has no '" + item.first + "' of this size");
      }
      item.second.copy_(lvn_tensor_to_torch(view));
    }
    epoch_ = static_cast<unsigned>(std::stoul(note(opened, "epoch")));
    step_in_epoch_ = std::stoul(note(opened, "step_in_epoch"));
    optimiser_.set_step_count(std::stoull(note(opened, "steps")));
    epoch_loss_ = std::stod(note(opened, "epoch_loss"));
    result_.first_loss = std::stod(note(opened, "first_loss"));
    result_.last_loss = std::stod(note(opened, "last_loss"));
    result_.history = history_from_text(note(opened, "history"));
    std::istringstream(note(opened, "random")) >> random_;
  }

  Task &task_;
  const LoopRequest &request_;
  const lvn_recipe_fit fit_;
  FlatOptimiser optimiser_;
  LoopResult result_;
  std::mt19937_64 random_;
  unsigned epoch_ = 0;
  size_t step_in_epoch_ = 0;
  double epoch_loss_ = 0.0;
  double images_ = 0.0;
  double seconds_ = 0.0;
  double last_save_ = 0.0;
};

// Names changed in libtorch 2.4; the old ones are deprecated there.
void set_autocast(bool cuda, bool on) {
#if TORCH_VERSION_MAJOR > 2 || (TORCH_VERSION_MAJOR == 2 && TORCH_VERSION_MINOR >= 4)
  const auto type = cuda ? at::kCUDA : at::kCPU;
  at::autocast::set_autocast_enabled(type, on);
  at::autocast::set_autocast_dtype(type, at::kBFloat16);
#else
  if (cuda) {
    at::autocast::set_enabled(on);
    at::autocast::set_autocast_gpu_dtype(at::kBFloat16);
  } else {
    at::autocast::set_cpu_enabled(on);
    at::autocast::set_autocast_cpu_dtype(at::kBFloat16);
  }
#endif
}

} // namespace

std::string history_to_text(const std::vector<EpochRecord> &history) {
  struct lvn_error err = {};
  json_t *list = json_array();
  for (const EpochRecord &record : history) {
    const bool has_validation = std::isfinite(record.validation);
    (void)json_array_append_new(list,
                                json_pack("{s:s,s:i,s:i,s:f,s:f,s:o}", "task", record.task.c_str(), "epoch",
                                          static_cast<int>(record.epoch), "side", static_cast<int>(record.side), "loss",
                                          record.loss, "learning_rate", record.learning_rate, "validation",
                                          has_validation ? json_real(record.validation) : json_null()));
  }
  char *text = lvn_json_dump(list, JSON_COMPACT | JSON_REAL_PRECISION(17), &err);
  json_decref(list);
  if (text == nullptr) {
    lvn_throw(err);
  }
  std::string result(text);
  lvn_free(text);
  return result;
}

std::vector<EpochRecord> history_from_text(const std::string &text) {
  std::vector<EpochRecord> history;
  json_t *list = json_loads(text.c_str(), 0, nullptr);
  const bool good = json_is_array(list);
  for (size_t i = 0; i < json_array_size(list); i++) {
    const json_t *record = json_array_get(list, i);
    const json_t *validation = json_object_get(record, "validation");
    const char *task = json_string_value(json_object_get(record, "task"));
    history.push_back(
        {task == nullptr ? "" : task, static_cast<unsigned>(json_integer_value(json_object_get(record, "epoch"))),
         static_cast<unsigned>(json_integer_value(json_object_get(record, "side"))),
         json_number_value(json_object_get(record, "loss")),
         json_number_value(json_object_get(record, "learning_rate")),
         json_is_number(validation) ? json_number_value(validation) : std::numeric_limits<double>::quiet_NaN()});
  }
  json_decref(list);
  if (!good) {
    throw std::runtime_error("the history of a training is no list");
  }
  return history;
}

LoopResult run_loop(Task &task, const LoopRequest &request) {
  return Loop(task, request).run();
}

MixedPrecision::MixedPrecision(const lvn_recipe &recipe, torch::Device device)
    : on_(recipe.precision == LVN_PRECISION_BF16), cuda_(device.is_cuda()) {
  if (on_) {
    set_autocast(cuda_, true);
  }
}

MixedPrecision::~MixedPrecision() {
  if (on_) {
    at::autocast::clear_cache();
    set_autocast(cuda_, false);
  }
}

} // namespace lvn
