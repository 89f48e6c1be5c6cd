#include "model/network/image_encoder_torch.hh"

#include "model/network/resnet_torch.hh"

#include <cstring>
#include <stdexcept>

namespace lvn {

std::vector<ImageEncoderKind> &image_encoders() {
  static std::vector<ImageEncoderKind> kinds = {
      {"resnet18", "ResNet-18", 224, build_resnet<18>, fold_resnet<18>, normalise_by_mean_and_std, pool_by_mean,
       grad_cam_closed_form},
      {"resnet50", "ResNet-50", 224, build_resnet<50>, fold_resnet<50>, normalise_by_mean_and_std, pool_by_mean,
       grad_cam_closed_form},
  };
  return kinds;
}

const ImageEncoderKind &find_image_encoder(const std::string &name) {
  std::string names;
  for (const ImageEncoderKind &kind : image_encoders()) {
    if (name == kind.name) {
      return kind;
    }
    names += (names.empty() ? "" : ", ") + std::string(kind.name);
  }
  throw std::runtime_error("'" + name + "' is no image encoder of this program (" + names + ")");
}

} // namespace lvn

const char *lvn_image_encoder_choices(void) {
  static const std::string choices = [] {
    std::string text;
    for (const lvn::ImageEncoderKind &kind : lvn::image_encoders()) {
      text += (text.empty() ? "" : "|") + std::string(kind.name);
    }
    return text;
  }();
  return choices.c_str();
}

const char *lvn_image_encoder_title(const char *name) {
  for (const lvn::ImageEncoderKind &kind : lvn::image_encoders()) {
    if (std::strcmp(kind.name, name) == 0) {
      return kind.title;
    }
  }
  return name;
}
