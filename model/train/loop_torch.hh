// One optimisation from its first step to its last: epochs, rate, average, checkpoints. What is optimised is a Task.
#ifndef LVN_MODEL_TRAIN_LOOP_TORCH_HH
#define LVN_MODEL_TRAIN_LOOP_TORCH_HH

#include "model/train/data_torch.hh"
#include "model/train/optimiser_torch.hh"
#include "model/train/run.h"

#include <torch/torch.h>

#include <random>
#include <string>
#include <vector>

namespace lvn {

struct Task {
  virtual ~Task() = default;
  virtual const char *name() const = 0;
  virtual torch::nn::Module &module() = 0;
  // Of one epoch; depends on the generator alone.
  virtual std::vector<Sample> draw(std::mt19937_64 &random) = 0;
  virtual torch::Tensor loss(const Sample *samples, size_t count, unsigned side, std::mt19937_64 &random) = 0;
  virtual void after_step() {
  }
  // A figure for the progress line, in evaluation mode on the weights that will be kept; NAN for none.
  virtual double validate(unsigned side) = 0;
};

struct LoopRequest {
  const struct lvn_recipe *recipe;
  const struct lvn_recipe_fit *fit;
  std::string checkpoint;  // path; removed by nobody here
  std::string fingerprint; // of all that decides the result: a checkpoint of another one is refused
  bool resume;
  void (*progress)(const struct lvn_train_epoch *epoch, void *context);
  void *context;
};

struct EpochRecord {
  std::string task;
  unsigned epoch; // from 1, of its task
  unsigned side;
  double loss; // mean of the steps
  double learning_rate;
  double validation; // Task::validate(), of the weights that would be kept
};

// As JSON: what a package's manifest and a fold's training.csv hold, and what a checkpoint keeps, so that the history
// of a resumed run is that of an unbroken one. Numbers read back as the same bits.
std::string history_to_text(const std::vector<EpochRecord> &history);
std::vector<EpochRecord> history_from_text(const std::string &text); // throws

struct LoopResult {
  double first_loss = 0.0;
  double last_loss = 0.0;
  double images_per_second = 0.0;
  std::vector<EpochRecord> history;
};

// Leaves the weights that are to be kept (the average, where there is one) in the task's module. All randomness of an
// epoch comes from (seed, epoch), and a checkpoint within one holds the generator: a run that was killed at any step
// and resumed ends in the same bits as one that was not (same machine, threads and library).
LoopResult run_loop(Task &task, const LoopRequest &request);

// Matrix products and convolutions in bfloat16 while it lives, when the recipe says so.
class MixedPrecision {
public:
  MixedPrecision(const struct lvn_recipe &recipe, torch::Device device);
  ~MixedPrecision();
  MixedPrecision(const MixedPrecision &) = delete;
  MixedPrecision &operator=(const MixedPrecision &) = delete;

private:
  bool on_;
  bool cuda_;
};

} // namespace lvn

#endif
