#include "model/train/optimiser_torch.hh"

#include "model/train/adam.h"

#include <ATen/Parallel.h>

#include <algorithm>
#include <cmath>

namespace lvn {

namespace {

constexpr double kBeta1 = 0.9;
constexpr double kBeta2 = 0.999;
constexpr double kEps = 1e-8;
constexpr double kMomentum = 0.9;

// A view of flat[offset, offset + numel) in the shape of `like`; 4-dimensional ones channels last.
torch::Tensor view_of(const torch::Tensor &flat, int64_t offset, const torch::Tensor &like) {
  const torch::Tensor part = flat.slice(0, offset, offset + like.numel());
  if (like.dim() != 4) {
    return part.view(like.sizes());
  }
  return part.view({like.size(0), like.size(2), like.size(3), like.size(1)}).permute({0, 3, 1, 2});
}

bool is_decayed(const torch::Tensor &parameter) {
  return parameter.dim() > 1;
}

} // namespace

FlatOptimiser::FlatOptimiser(torch::nn::Module &module, const lvn_recipe_fit &fit) : fit_(fit) {
  const torch::NoGradGuard no_grad;
  std::vector<torch::Tensor> parameters = module.parameters();
  std::stable_partition(parameters.begin(), parameters.end(), is_decayed);
  int64_t total = 0;
  for (const torch::Tensor &parameter : parameters) {
    total += parameter.numel();
    decayed_ += is_decayed(parameter) ? parameter.numel() : 0;
  }
  const auto options = parameters.at(0).options().requires_grad(false);
  values_ = torch::empty({total}, options);
  gradient_ = torch::zeros({total}, options);
  first_ = torch::zeros({total}, options);
  second_ = fit.optimiser == LVN_OPTIMISER_SGD ? torch::zeros({0}, options) : torch::zeros({total}, options);
  int64_t offset = 0;
  for (torch::Tensor &parameter : parameters) {
    torch::Tensor home = view_of(values_, offset, parameter);
    home.copy_(parameter);
    parameter.set_data(home);
    parameter.mutable_grad() = view_of(gradient_, offset, parameter);
    offset += parameter.numel();
  }
  int64_t buffer_total = 0;
  for (const torch::Tensor &buffer : module.buffers()) {
    buffer_total += buffer.is_floating_point() ? buffer.numel() : 0;
  }
  buffers_ = torch::zeros({buffer_total}, options);
  offset = 0;
  for (torch::Tensor &buffer : module.buffers()) {
    if (buffer.is_floating_point()) {
      torch::Tensor home = view_of(buffers_, offset, buffer);
      home.copy_(buffer);
      buffer.set_data(home);
      offset += buffer.numel();
    }
  }
  if (fit.ema > 0.0) {
    average_ = values_.clone();
    average_buffers_ = buffers_.clone();
  }
}

void FlatOptimiser::zero_gradient() {
  gradient_.zero_();
}

void FlatOptimiser::step_cpu(double rate) {
  const double t = static_cast<double>(steps_);
  const bool apart = fit_.optimiser == LVN_OPTIMISER_ADAMW;
  lvn_adam step = {};
  step.rate = static_cast<float>(rate / (1.0 - std::pow(kBeta1, t)));
  step.correction2 = static_cast<float>(std::sqrt(1.0 - std::pow(kBeta2, t)));
  step.beta1 = static_cast<float>(kBeta1);
  step.beta2 = static_cast<float>(kBeta2);
  step.eps = static_cast<float>(kEps);
  auto run = [&](int64_t first, int64_t last) {
    lvn_adam_step(&step, values_.data_ptr<float>(), gradient_.data_ptr<float>(), first_.data_ptr<float>(),
                  second_.data_ptr<float>(), first, last, at::get_num_threads());
  };
  step.decay = apart ? 0.0F : static_cast<float>(fit_.weight_decay);
  step.decoupled = apart ? static_cast<float>(1.0 - rate * fit_.weight_decay) : 1.0F;
  run(0, decayed_);
  step.decay = 0.0F;
  step.decoupled = 1.0F;
  run(decayed_, values_.numel());
}

void FlatOptimiser::step_device(double rate) {
  const double t = static_cast<double>(steps_);
  torch::Tensor weights = values_.slice(0, 0, decayed_);
  if (fit_.optimiser == LVN_OPTIMISER_ADAMW) {
    weights.mul_(1.0 - rate * fit_.weight_decay);
  } else if (fit_.weight_decay > 0.0) {
    gradient_.slice(0, 0, decayed_).add_(weights, fit_.weight_decay);
  }
  if (fit_.optimiser == LVN_OPTIMISER_SGD) {
    first_.mul_(kMomentum).add_(gradient_);
    values_.sub_(first_, rate);
    return;
  }
  first_.lerp_(gradient_, 1.0 - kBeta1);
  second_.mul_(kBeta2).addcmul_(gradient_, gradient_, 1.0 - kBeta2);
  const torch::Tensor size = second_.sqrt().div_(std::sqrt(1.0 - std::pow(kBeta2, t))).add_(kEps);
  values_.addcdiv_(first_, size, -rate / (1.0 - std::pow(kBeta1, t)));
}

void FlatOptimiser::step(double rate, double average_decay) {
  const torch::NoGradGuard no_grad;
  steps_++;
  if (values_.device().is_cpu() && fit_.optimiser != LVN_OPTIMISER_SGD) {
    step_cpu(rate);
  } else {
    step_device(rate);
  }
  if (average_.defined()) {
    average_.lerp_(values_, 1.0 - average_decay);
    average_buffers_.lerp_(buffers_, 1.0 - average_decay);
  }
}

void FlatOptimiser::swap_average() {
  if (average_.defined()) {
    const torch::NoGradGuard no_grad;
    const torch::Tensor values = values_.clone();
    const torch::Tensor buffers = buffers_.clone();
    values_.copy_(average_);
    buffers_.copy_(average_buffers_);
    average_.copy_(values);
    average_buffers_.copy_(buffers);
  }
}

std::vector<std::pair<std::string, torch::Tensor>> FlatOptimiser::state() {
  std::vector<std::pair<std::string, torch::Tensor>> result = {
      {"values", values_}, {"first", first_}, {"second", second_}, {"buffers", buffers_}};
  if (average_.defined()) {
    result.emplace_back("average", average_);
    result.emplace_back("average_buffers", average_buffers_);
  }
  return result;
}

} // namespace lvn
