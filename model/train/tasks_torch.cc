#include "model/train/tasks_torch.hh"

#include "model/image/vocabulary.h"
#include "model/train/views_torch.hh"

#include <algorithm>
#include <cmath>
#include <limits>

namespace lvn {

namespace {

// One of each held-out lesion of the classes; in all orders also of the outliers, which have an order as well.
std::vector<Sample> held_out_slices(const TrainingData &data, bool all_permutations) {
  std::vector<Sample> samples;
  for (size_t i = 0; i < data.lesions.size(); i++) {
    const TrainingLesion &lesion = data.lesions[i];
    const bool is_wanted = lesion.role == Role::kHeldOut && (all_permutations || !is_outlier(lesion));
    for (int64_t order = 0; is_wanted && order < (all_permutations ? LVN_PERMUTATION_COUNT : 1); order++) {
      samples.push_back({static_cast<int64_t>(i), lesion.first_slice + lesion.key_slice, order});
    }
  }
  return samples;
}

class ClassifyTask : public Task {
public:
  ClassifyTask(LiverVlm &model, const TrainingData &data, const lvn_recipe &recipe)
      : model_(model), data_(data), recipe_(recipe) {
  }
  const char *name() const override {
    return "training";
  }
  torch::nn::Module &module() override {
    return *model_;
  }
  std::vector<Sample> draw(std::mt19937_64 &random) override {
    return draw_epoch(data_, recipe_, random);
  }
  torch::Tensor loss(const Sample *samples, size_t count, unsigned side, std::mt19937_64 &random) override {
    const Batch batch = make_batch(data_, samples, count, side, recipe_, &random);
    const MixedPrecision mixed(recipe_, data_.hounsfield.device());
    const torch::Tensor logits = model_->forward(batch.images, batch.sequences);
    if (recipe_.outlier_weight == 0.0) {
      return torch::cross_entropy_loss(logits.to(torch::kFloat32), batch.labels);
    }
    // Outliers: cross-entropy with even probabilities (Hendrycks 2019, outlier exposure).
    const torch::Tensor log_p = torch::log_softmax(logits.to(torch::kFloat32), 1);
    const torch::Tensor outlier = batch.labels.eq(LVN_CLASS_OUTLIER).to(torch::kFloat32);
    const torch::Tensor known = 1.0 - outlier;
    const torch::Tensor label = batch.labels.clamp_max(logits.size(1) - 1).unsqueeze(1);
    const torch::Tensor right = -(log_p.gather(1, label).squeeze(1) * known).sum() / known.sum().clamp_min(1.0);
    const torch::Tensor even = -(log_p.mean(1) * outlier).sum() / outlier.sum().clamp_min(1.0);
    return right + recipe_.outlier_weight * even;
  }
  void after_step() override {
    model_->clamp_scale();
  }
  double validate(unsigned side) override {
    const std::vector<Sample> samples = held_out_slices(data_, false);
    double right = 0.0;
    for (size_t first = 0; first < samples.size(); first += recipe_.training.batch) {
      const size_t count = std::min<size_t>(recipe_.training.batch, samples.size() - first);
      const Batch batch = make_batch(data_, samples.data() + first, count, side, recipe_, nullptr);
      right += model_->forward(batch.images, batch.sequences).argmax(1).eq(batch.labels).sum().item<double>();
    }
    return samples.empty() ? std::numeric_limits<double>::quiet_NaN() : right / static_cast<double>(samples.size());
  }

private:
  LiverVlm &model_;
  const TrainingData &data_;
  const lvn_recipe &recipe_;
};

struct ShuffleNetImpl : torch::nn::Module {
  explicit ShuffleNetImpl(ImageEncoder built) : encoder(std::move(built)) {
    register_module("encoder", encoder);
    fc_p = register_module("fc_p", torch::nn::Linear(encoder->feature_size(), LVN_PERMUTATION_COUNT));
  }
  torch::Tensor forward(const torch::Tensor &images) {
    return fc_p->forward(encoder->forward(images).mean({2, 3}));
  }
  ImageEncoder encoder;
  torch::nn::Linear fc_p{nullptr};
};

class ShuffleTask : public Task {
public:
  ShuffleTask(const ImageEncoder &encoder, const TrainingData &data, const lvn_recipe &recipe)
      : net_(encoder), data_(data), recipe_(recipe) {
    net_.to(data.hounsfield.device());
  }
  const char *name() const override {
    return "phase shuffle";
  }
  torch::nn::Module &module() override {
    return net_;
  }
  std::vector<Sample> draw(std::mt19937_64 &random) override {
    return draw_pretraining_epoch(data_, random);
  }
  torch::Tensor loss(const Sample *samples, size_t count, unsigned side, std::mt19937_64 &random) override {
    const Batch batch = make_shuffle_batch(data_, samples, count, side, recipe_, random);
    const MixedPrecision mixed(recipe_, data_.hounsfield.device());
    return torch::cross_entropy_loss(net_.forward(batch.images).to(torch::kFloat32), batch.labels);
  }
  double validate(unsigned side) override {
    const std::vector<Sample> samples = held_out_slices(data_, true);
    double right = 0.0;
    for (size_t first = 0; first < samples.size(); first += recipe_.pretraining.batch) {
      const size_t count = std::min<size_t>(recipe_.pretraining.batch, samples.size() - first);
      const Batch batch = make_batch(data_, samples.data() + first, count, side, recipe_, nullptr);
      right += net_.forward(batch.images).argmax(1).eq(batch.permutations).sum().item<double>();
    }
    return samples.empty() ? std::numeric_limits<double>::quiet_NaN() : right / static_cast<double>(samples.size());
  }

private:
  ShuffleNetImpl net_;
  const TrainingData &data_;
  const lvn_recipe &recipe_;
};

torch::nn::BatchNorm1d norm(int64_t size, bool affine) {
  return torch::nn::BatchNorm1d(torch::nn::BatchNorm1dOptions(size).affine(affine));
}

torch::nn::Linear unbiased(int64_t in, int64_t out) {
  return torch::nn::Linear(torch::nn::LinearOptions(in, out).bias(false));
}

// Widths of the authors' code, scaled to an encoder of 512: projector f-f-2048, predictor 2048-512-2048.
struct SimSiamNetImpl : torch::nn::Module {
  explicit SimSiamNetImpl(ImageEncoder built) : encoder(std::move(built)) {
    constexpr int64_t kSize = 2048;
    constexpr int64_t kNeck = 512;
    const int64_t f = encoder->feature_size();
    register_module("encoder", encoder);
    projector = register_module("projector", torch::nn::Sequential(unbiased(f, f), norm(f, true), torch::nn::ReLU(),
                                                                   unbiased(f, f), norm(f, true), torch::nn::ReLU(),
                                                                   unbiased(f, kSize), norm(kSize, false)));
    predictor = register_module("predictor", torch::nn::Sequential(unbiased(kSize, kNeck), norm(kNeck, true),
                                                                   torch::nn::ReLU(), torch::nn::Linear(kNeck, kSize)));
  }
  torch::Tensor project(const torch::Tensor &images) {
    return projector->forward(encoder->forward(images).mean({2, 3}));
  }
  ImageEncoder encoder;
  torch::nn::Sequential projector{nullptr};
  torch::nn::Sequential predictor{nullptr};
};

class SimSiamTask : public Task {
public:
  SimSiamTask(const ImageEncoder &encoder, const TrainingData &data, const lvn_recipe &recipe)
      : net_(encoder), data_(data), recipe_(recipe) {
    net_.to(data.hounsfield.device());
  }
  const char *name() const override {
    return "simsiam";
  }
  torch::nn::Module &module() override {
    return net_;
  }
  std::vector<Sample> draw(std::mt19937_64 &random) override {
    return draw_pretraining_epoch(data_, random);
  }
  torch::Tensor loss(const Sample *samples, size_t count, unsigned side, std::mt19937_64 &random) override {
    const torch::Tensor first = make_simsiam_view(data_, samples, count, side, recipe_, random);
    const torch::Tensor second = make_simsiam_view(data_, samples, count, side, recipe_, random);
    const MixedPrecision mixed(recipe_, data_.hounsfield.device());
    const torch::Tensor z1 = net_.project(first);
    const torch::Tensor z2 = net_.project(second);
    auto cosine = [](const torch::Tensor &p, const torch::Tensor &z) {
      return torch::cosine_similarity(p.to(torch::kFloat32), z.detach().to(torch::kFloat32)).mean();
    };
    return -0.5 * (cosine(net_.predictor->forward(z1), z2) + cosine(net_.predictor->forward(z2), z1));
  }
  double validate(unsigned side) override {
    std::vector<Sample> samples = held_out_slices(data_, false);
    samples.resize(std::min<size_t>(samples.size(), recipe_.pretraining.batch));
    if (samples.size() < 2) {
      return std::numeric_limits<double>::quiet_NaN();
    }
    const Batch batch = make_batch(data_, samples.data(), samples.size(), side, recipe_, nullptr);
    const torch::Tensor z = net_.project(batch.images);
    return (z / z.norm(2, 1, true)).std(0).mean().item<double>();
  }

private:
  SimSiamNetImpl net_;
  const TrainingData &data_;
  const lvn_recipe &recipe_;
};

} // namespace

std::unique_ptr<Task> make_classify_task(LiverVlm &model, const TrainingData &data, const lvn_recipe &recipe) {
  return std::make_unique<ClassifyTask>(model, data, recipe);
}

std::unique_ptr<Task> make_shuffle_task(const ImageEncoder &encoder, const TrainingData &data,
                                        const lvn_recipe &recipe) {
  return std::make_unique<ShuffleTask>(encoder, data, recipe);
}

std::unique_ptr<Task> make_simsiam_task(const ImageEncoder &encoder, const TrainingData &data,
                                        const lvn_recipe &recipe) {
  return std::make_unique<SimSiamTask>(encoder, data, recipe);
}

} // namespace lvn
