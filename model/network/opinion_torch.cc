#include "model/network/opinion_torch.hh"

#include <algorithm>
#include <cmath>
#include <limits>

namespace lvn {

namespace {

constexpr double kLeast = 1e-6; // no measurement excludes a class for certain

template <typename T>
void copy_out(const lvn_safetensors *file, const char *name, torch::Dtype type, T *target, size_t count) {
  const lvn_tensor *view = lvn_safetensors_find(file, name);
  if (view == nullptr || view->element_count != count) {
    throw std::runtime_error(std::string("weights: tensor '") + name + "' is missing or has another shape");
  }
  const torch::Tensor tensor = lvn_tensor_to_torch(view).to(type).contiguous();
  std::memcpy(target, tensor.data_ptr<T>(), count * sizeof(T));
}

template <typename T> torch::Tensor tensor_of(T *values, std::vector<int64_t> shape, torch::Dtype type) {
  return torch::from_blob(values, shape, type).clone();
}

} // namespace

TreesHandle load_trees(const lvn_safetensors *file, size_t class_count) {
  const lvn_tensor *base = lvn_safetensors_find(file, "measurements.base");
  const lvn_tensor *leaf = lvn_safetensors_find(file, "measurements.leaf");
  if (base == nullptr || leaf == nullptr) {
    return nullptr;
  }
  struct lvn_error err = {};
  TreesHandle trees(new lvn_trees(), TreesFree());
  if ((base->element_count != class_count && base->element_count != class_count + 1) ||
      !lvn_trees_allocate(base->element_count, leaf->element_count / LVN_TREES_LEAVES, trees.get(), &err)) {
    throw std::runtime_error("weights: the measurement trees have another shape than expected");
  }
  copy_out(file, "measurements.feature", torch::kInt32, trees->feature, trees->tree_count * LVN_TREES_NODES);
  copy_out(file, "measurements.threshold", torch::kFloat32, trees->threshold, trees->tree_count * LVN_TREES_NODES);
  copy_out(file, "measurements.leaf", torch::kFloat32, trees->leaf, trees->tree_count * LVN_TREES_LEAVES);
  copy_out(file, "measurements.base", torch::kFloat32, trees->base, trees->label_count);
  if (!lvn_trees_check(trees.get(), &err)) {
    lvn_throw(err);
  }
  return trees;
}

void add_trees(const lvn_trees &trees, lvn_tensor_set &set) {
  const auto count = static_cast<int64_t>(trees.tree_count);
  set.add("measurements.feature", tensor_of(trees.feature, {count, LVN_TREES_NODES}, torch::kInt32));
  set.add("measurements.threshold", tensor_of(trees.threshold, {count, LVN_TREES_NODES}, torch::kFloat32));
  set.add("measurements.leaf", tensor_of(trees.leaf, {count, LVN_TREES_LEAVES}, torch::kFloat32));
  set.add("measurements.base", tensor_of(trees.base, {static_cast<int64_t>(trees.label_count)}, torch::kFloat32));
}

Opinion ask_trees(const lvn_trees &trees, size_t class_count, const float values[LVN_MEASUREMENT_COUNT]) {
  std::array<double, LVN_TREES_LABELS_MAX> probability = {};
  Opinion opinion = {};
  double classes = 0.0;
  lvn_trees_run(&trees, values, probability.data());
  for (size_t c = 0; c < class_count; c++) {
    classes += probability[c];
    opinion.log_probability[c] = std::log(std::max(probability[c], kLeast));
  }
  opinion.none_odds = trees.label_count > class_count
                          ? std::log(std::max(probability[class_count], kLeast)) - std::log(std::max(classes, kLeast))
                          : std::numeric_limits<double>::quiet_NaN();
  return opinion;
}

} // namespace lvn
