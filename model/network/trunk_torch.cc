#include "model/network/trunk_torch.hh"

#include "model/network/resnet_torch.hh"

namespace lvn {

namespace {

const struct {
  const char *name;
  Trunk (*make)();
} trunks[] = {
    {"resnet18", []() -> Trunk { return std::make_shared<ResNetImpl>(18); }},
    {"resnet50", []() -> Trunk { return std::make_shared<ResNetImpl>(50); }},
};

} // namespace

Trunk make_trunk(const std::string &name) {
  for (const auto &trunk : trunks) {
    if (name == trunk.name) {
      return trunk.make();
    }
  }
  throw std::runtime_error("'" + name + "' is no image encoder of this program");
}

} // namespace lvn
