// The same numbers as PyTorch and torchvision, from weights that both sides make by one formula: golden values in
// tests/data/parity, made by its make.py.
#include "model/network/image_encoder_torch.hh"
#include "model/network/network_torch.hh"
#include "model/train/model_torch.hh"
#include "model/train/optimiser_torch.hh"

#include "model/image/vocabulary.h"
#include "model/tensor/json.h"

#include <cmath>
#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdio>
#include <cstring>

extern "C" {
#include <cmocka.h>
}

namespace {

constexpr int64_t kSide = 64;
constexpr int64_t kBatch = 6;
constexpr int64_t kHidden = 16;
json_t *golden = nullptr;

// As fill() of make.py.
torch::Tensor fill(int64_t count, uint64_t key, double scale, double shift) {
  torch::Tensor values = torch::empty({count}, torch::kFloat32);
  for (int64_t i = 0; i < count; i++) {
    uint64_t x = (static_cast<uint64_t>(i) * 2654435761U + key * 97531U) & 0xffffffffU;
    x = (x ^ (x >> 15U)) * 2246822519U & 0xffffffffU;
    x = x ^ (x >> 13U);
    const double unit = static_cast<double>(x) / 2147483648.0 - 1.0;
    values.data_ptr<float>()[i] = static_cast<float>(shift + scale * unit);
  }
  return values;
}

void fill_module(torch::nn::Module &module) {
  const torch::NoGradGuard no_grad;
  uint64_t key = 0;
  for (const auto &item : module.named_parameters()) {
    torch::Tensor tensor = item.value();
    const bool is_gain = item.key().size() > 6 && item.key().substr(item.key().size() - 6) == "weight";
    if (tensor.dim() > 1) {
      const double fan = static_cast<double>(tensor.numel() / tensor.size(0));
      tensor.copy_(fill(tensor.numel(), key, std::sqrt(6.0 / fan), 0.0).view(tensor.sizes()));
    } else {
      tensor.copy_(is_gain ? fill(tensor.numel(), key, 0.2, 1.0) : fill(tensor.numel(), key, 0.1, 0.0));
    }
    key++;
  }
}

torch::Tensor images() {
  return fill(kBatch * 3 * kSide * kSide, 1000, 1.0, 0.0).view({kBatch, 3, kSide, kSide});
}

torch::Tensor prompts() {
  return fill(LVN_PERMUTATION_COUNT * LVN_CLASS_PAPER_COUNT * kHidden, 1001, 1.0, 0.0)
      .view({LVN_PERMUTATION_COUNT, LVN_CLASS_PAPER_COUNT, kHidden});
}

lvn_recipe paper_recipe() {
  lvn_recipe recipe = {};
  lvn_recipe_default(LVN_RECIPE_PAPER, &recipe);
  recipe.joint_size = 64;
  return recipe;
}

void expect_near(const torch::Tensor &found, const json_t *expected, double tolerance) {
  const torch::Tensor values = found.detach().flatten().to(torch::kFloat64).contiguous();
  assert_int_equal(values.numel(), json_array_size(expected));
  for (size_t i = 0; i < json_array_size(expected); i++) {
    const double wanted = json_number_value(json_array_get(expected, i));
    const double value = values.data_ptr<double>()[i];
    if (!(std::fabs(value - wanted) <= tolerance * std::max(1.0, std::fabs(wanted)))) {
      fail_msg("value %zu is %.9g, PyTorch has %.9g", i, value, wanted);
    }
  }
}

// With 24 values a channel, batch statistics of a random ResNet turn the rounding of another processor's kernels, or of
// another layout, into differences of 1e-4; of the stored statistics, which hold a tenth of that batch, a tenth.
void expect_encoder(const char *name) {
  const lvn::ImageEncoder encoder = lvn::find_image_encoder(name).build();
  const json_t *expected = json_object_get(golden, name);
  const torch::Tensor x = images();
  fill_module(*encoder);
  encoder->train();
  expect_near(encoder->forward(x).mean({2, 3})[0].slice(0, 0, 16), json_object_get(expected, "train"), 3e-4);
  encoder->eval();
  const torch::Tensor features = encoder->forward(x).mean({2, 3})[0].slice(0, 0, 16);
  expect_near(features, json_object_get(expected, "eval"), 1e-4);
  const torch::Tensor last = encoder->forward(x.contiguous(torch::MemoryFormat::ChannelsLast)).mean({2, 3})[0];
  expect_near(last.slice(0, 0, 16), json_object_get(expected, "eval"), 1e-4);
}

void test_parity__encoders_have_torchvisions_features(void **state) {
  (void)state;
  expect_encoder("resnet18");
  expect_encoder("resnet50");
}

// Ten steps of the recipe from the same weights on the same batch.
void expect_losses(const char *name, enum lvn_recipe_optimiser optimiser, double rate, double decay) {
  lvn_recipe recipe = paper_recipe();
  lvn::LiverVlm model(recipe, prompts());
  const torch::Tensor x = images().contiguous(torch::MemoryFormat::ChannelsLast);
  const torch::Tensor permutations = torch::arange(kBatch, torch::kInt64).remainder(LVN_PERMUTATION_COUNT);
  const torch::Tensor labels = torch::arange(kBatch, torch::kInt64).remainder(LVN_CLASS_PAPER_COUNT);
  const json_t *expected = json_object_get(golden, name);
  fill_module(*model);
  recipe.training.optimiser = optimiser;
  recipe.training.weight_decay = decay;
  lvn::FlatOptimiser flat(*model, recipe.training);
  model->train();
  for (size_t step = 0; step < 10; step++) {
    flat.zero_gradient();
    const torch::Tensor loss = torch::cross_entropy_loss(model->forward(x, permutations), labels);
    loss.backward();
    flat.step(rate, 0.0);
    const double wanted = json_number_value(json_array_get(expected, step));
    if (!(std::fabs(loss.item<double>() - wanted) <= (step == 0 ? 1e-5 : 1e-3))) {
      fail_msg("%s: loss of step %zu is %.7f, PyTorch has %.7f", name, step + 1, loss.item<double>(), wanted);
    }
  }
}

void test_parity__training_steps_have_pytorchs_losses(void **state) {
  (void)state;
  expect_losses("adam", LVN_OPTIMISER_ADAM, 5e-4, 0.0);
  expect_losses("adamw", LVN_OPTIMISER_ADAMW, 5e-4, 0.01);
  expect_losses("sgd", LVN_OPTIMISER_SGD, 0.01, 0.0);
}

void test_parity__grad_cam_is_that_of_autograd(void **state) {
  (void)state;
  lvn::LiverVlm model(paper_recipe(), prompts());
  const torch::NoGradGuard no_grad;
  fill_module(*model);
  model->eval();
  const torch::Tensor first = images().slice(0, 0, 1);
  const json_t *expected = json_object_get(golden, "grad_cam");
  expect_near(model->forward(first, torch::zeros({1}, torch::kInt64)), json_object_get(expected, "cosine"), 1e-5);
  const torch::Tensor maps = lvn::grad_cam_closed_form(
      model->image->forward(first)[0], {model->fc_i->weight, model->fc_i->bias, model->prototypes()[0]});
  for (int64_t c = 0; c < LVN_CLASS_PAPER_COUNT; c++) {
    expect_near(maps[c], json_array_get(json_object_get(expected, "map"), static_cast<size_t>(c)), 1e-5);
  }
}

int set_up(void **state) {
  (void)state;
  struct lvn_error err = {};
  torch::set_num_threads(1);
  golden = lvn_json_read(LVN_TEST_DATA "/parity/network.json", 1U << 20U, &err);
  return golden == nullptr ? -1 : 0;
}

int tear_down(void **state) {
  (void)state;
  json_decref(golden);
  return 0;
}

} // namespace

int main() {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_parity__encoders_have_torchvisions_features),
      cmocka_unit_test(test_parity__training_steps_have_pytorchs_losses),
      cmocka_unit_test(test_parity__grad_cam_is_that_of_autograd),
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
