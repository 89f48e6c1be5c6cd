// The image encoders of this program: one table, for training, for running and for the explanation.
#ifndef LVN_MODEL_NETWORK_IMAGE_ENCODER_TORCH_HH
#define LVN_MODEL_NETWORK_IMAGE_ENCODER_TORCH_HH

#include "model/network/encoder_kind_torch.hh"
#include "model/network/image_encoder.h"

#include <string>
#include <vector>

namespace lvn {

// By a recipe's or a manifest's word. Throws, naming the encoders that there are, on another one.
const ImageEncoderKind &find_image_encoder(const std::string &name);
// The table itself; a test adds a row of its own.
std::vector<ImageEncoderKind> &image_encoders();

} // namespace lvn

#endif
