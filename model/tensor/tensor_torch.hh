// safetensors views as libtorch tensors, and back.
#ifndef LVN_MODEL_TENSOR_TORCH_HH
#define LVN_MODEL_TENSOR_TORCH_HH

#include "base/error.h"
#include "model/tensor/safetensors.h"

#include <torch/torch.h>

#include <cstring>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

struct lvn_safetensors_closer {
  void operator()(struct lvn_safetensors *file) const {
    lvn_safetensors_close(file);
  }
};
using lvn_safetensors_handle = std::unique_ptr<struct lvn_safetensors, lvn_safetensors_closer>;

// Carries a struct lvn_error through C++ frames that throw; lvn_guard() gives its message the code of the function.
[[noreturn]] inline void lvn_throw(const struct lvn_error &err) {
  throw std::runtime_error(err.message);
}

inline c10::ScalarType lvn_scalar_type(enum lvn_dtype dtype) {
  switch (dtype) {
  case LVN_DTYPE_U8:
    return torch::kUInt8;
  case LVN_DTYPE_I16:
    return torch::kInt16;
  case LVN_DTYPE_I32:
    return torch::kInt32;
  case LVN_DTYPE_I64:
    return torch::kInt64;
  case LVN_DTYPE_F16:
    return torch::kFloat16;
  default:
    return torch::kFloat32;
  }
}

// An owned copy.
inline torch::Tensor lvn_tensor_to_torch(const struct lvn_tensor *view) {
  std::vector<int64_t> shape;
  for (size_t i = 0; i < view->rank; i++) {
    shape.push_back(static_cast<int64_t>(view->shape[i]));
  }
  torch::Tensor tensor = torch::empty(shape, lvn_scalar_type(view->dtype));
  if (tensor.nbytes() > 0) {
    std::memcpy(tensor.data_ptr(), view->data, tensor.nbytes());
  }
  return tensor;
}

// A view of `tensor`, which must be contiguous, on the CPU and outlive it; `name` is borrowed, too.
inline struct lvn_tensor lvn_tensor_from_torch(const char *name, const torch::Tensor &tensor) {
  struct lvn_tensor view = {};
  view.name = name;
  switch (tensor.scalar_type()) {
  case torch::kUInt8:
    view.dtype = LVN_DTYPE_U8;
    break;
  case torch::kInt16:
    view.dtype = LVN_DTYPE_I16;
    break;
  case torch::kInt32:
    view.dtype = LVN_DTYPE_I32;
    break;
  case torch::kInt64:
    view.dtype = LVN_DTYPE_I64;
    break;
  case torch::kFloat16:
    view.dtype = LVN_DTYPE_F16;
    break;
  case torch::kFloat32:
    view.dtype = LVN_DTYPE_F32;
    break;
  default:
    throw std::runtime_error("tensor type cannot be stored");
  }
  if (!tensor.is_contiguous() || !tensor.device().is_cpu() || tensor.dim() > LVN_TENSOR_RANK_MAX) {
    throw std::runtime_error("tensor must be contiguous and on the CPU to be stored");
  }
  view.rank = static_cast<size_t>(tensor.dim());
  for (size_t i = 0; i < view.rank; i++) {
    view.shape[i] = static_cast<uint64_t>(tensor.size(static_cast<int64_t>(i)));
  }
  view.element_count = static_cast<uint64_t>(tensor.numel());
  view.data = tensor.data_ptr();
  return view;
}

// Named tensors to be written together; owns what the views point to.
class lvn_tensor_set {
public:
  void add(const std::string &name, const torch::Tensor &tensor) {
    names.push_back(name);
    tensors.push_back(tensor.detach().to(torch::kCPU).contiguous());
  }
  void note(const std::string &key, const std::string &value) {
    notes.emplace_back(key, value);
  }
  void write(const std::string &path) const {
    std::vector<struct lvn_tensor> views;
    std::vector<struct lvn_tensor_note> texts;
    for (const auto &item : notes) {
      texts.push_back({item.first.c_str(), item.second.c_str()});
    }
    for (size_t i = 0; i < names.size(); i++) {
      views.push_back(lvn_tensor_from_torch(names[i].c_str(), tensors[i]));
    }
    struct lvn_error err = {};
    if (!lvn_safetensors_write(path.c_str(), views.data(), views.size(), texts.data(), texts.size(), &err)) {
      lvn_throw(err);
    }
  }

private:
  std::vector<std::string> names;
  std::vector<torch::Tensor> tensors;
  std::vector<std::pair<std::string, std::string>> notes;
};

#endif
