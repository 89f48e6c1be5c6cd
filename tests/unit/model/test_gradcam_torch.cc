#include "model/network/network_torch.hh"
#include "model/network/resnet_torch.hh"

#include <torch/torch.h>

#include <cmath>
#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>

extern "C" {
#include <cmocka.h>
}

#include "tests/unit/scratch.h"

// The closed form against what autograd gives for the same scores (Selvaraju 2017: weights are the mean gradient).
static void test_gradcam__closed_form_is_autograd(void **) {
  torch::manual_seed(3);
  for (int trial = 0; trial < 5; trial++) {
    const torch::Tensor weight = torch::randn({32, 48});
    const torch::Tensor bias = torch::randn({32});
    const torch::Tensor prototypes =
        torch::nn::functional::normalize(torch::randn({4, 32}), torch::nn::functional::NormalizeFuncOptions().dim(-1));
    const torch::Tensor map = torch::empty({48, 7, 7}).uniform_().requires_grad_(true);
    const torch::Tensor closed = lvn::grad_cam_closed_form(map.detach(), {weight, bias, prototypes});
    for (int64_t c = 0; c < 4; c++) {
      const torch::Tensor joint = torch::mv(weight, map.mean({1, 2})) + bias;
      const torch::Tensor score = torch::dot(joint / joint.norm(), prototypes[c]);
      const torch::Tensor gradient = torch::autograd::grad({score}, {map})[0];
      const torch::Tensor alpha = gradient.mean({1, 2});
      const torch::Tensor cam = torch::relu((alpha.view({-1, 1, 1}) * map.detach()).sum(0));
      const double top = cam.max().item<double>();
      assert_true(top > 0.0);
      assert_true((closed[c] - cam).abs().max().item<double>() <= 1e-5 * top);
    }
  }
}

// Folding batch normalisation into the convolutions changes nothing but rounding.
static void test_resnet__folded_is_the_module_in_evaluation(void **) {
  torch::manual_seed(4);
  for (const int depth : {18, 50}) {
    lvn::ResNet net(depth);
    const torch::NoGradGuard no_grad;
    for (const auto &buffer : net->named_buffers()) {
      if (buffer.key().find("running_mean") != std::string::npos) {
        buffer.value().normal_(0.0, 0.1);
      } else if (buffer.key().find("running_var") != std::string::npos) {
        buffer.value().uniform_(0.5, 1.5);
      }
    }
    net->eval();
    lvn_tensor_set set;
    for (const auto &item : net->named_parameters()) {
      set.add("image." + item.key(), item.value());
    }
    for (const auto &item : net->named_buffers()) {
      if (item.key().find("num_batches") == std::string::npos) {
        set.add("image." + item.key(), item.value());
      }
    }
    char folder[SCRATCH_BYTES];
    const std::string path = std::string(scratch_make(folder)) + "/weights";
    set.write(path);
    struct lvn_safetensors *opened = nullptr;
    struct lvn_error err = {};
    assert_true(lvn_safetensors_open(path.c_str(), size_t{1} << 30, &opened, &err));
    const lvn_safetensors_handle file(opened);
    const lvn::FoldedResNet folded(file.get(), "image.", depth, torch::kCPU);
    const torch::Tensor x = torch::randn({2, 3, 64, 64});
    const torch::Tensor expected = net->forward(x);
    const torch::Tensor found = folded.forward(x.contiguous(torch::MemoryFormat::ChannelsLast));
    assert_int_equal(expected.size(1), depth == 50 ? 2048 : 512);
    const double scale = expected.abs().max().item<double>();
    assert_true((found - expected).abs().max().item<double>() <= 1e-4 * scale);
  }
}

int main() {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_gradcam__closed_form_is_autograd),
      cmocka_unit_test(test_resnet__folded_is_the_module_in_evaluation),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
