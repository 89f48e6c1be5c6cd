#include "model/network/encoder_kind_torch.hh"

namespace lvn {

torch::Tensor normalise_by_mean_and_std(const torch::Tensor &windowed, double mean, double std) {
  return (windowed - mean) / std;
}

torch::Tensor pool_by_mean(const torch::Tensor &map) {
  return map.mean({2, 3});
}

torch::Tensor grad_cam_closed_form(const torch::Tensor &map, const CosineHead &head) {
  const torch::Tensor joint = torch::mv(head.weight, map.mean({1, 2})) + head.bias;
  const torch::Tensor length = joint.norm();
  const torch::Tensor unit = joint / length;
  const torch::Tensor cosine = torch::mv(head.prototypes, unit);
  const torch::Tensor gradient = (head.prototypes - cosine.unsqueeze(1) * unit.unsqueeze(0)) / length;
  const torch::Tensor weights = torch::matmul(gradient, head.weight);
  const int64_t positions = map.size(1) * map.size(2);
  const torch::Tensor sum = torch::matmul(weights, map.reshape({map.size(0), positions}));
  return torch::relu(sum).view({-1, map.size(1), map.size(2)}) / static_cast<double>(positions);
}

} // namespace lvn
