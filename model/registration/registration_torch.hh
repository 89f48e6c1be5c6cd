// Shared by the tensor sources of this room: descriptors of a neighbourhood, and the exhaustive search.
#ifndef LVN_MODEL_REGISTRATION_TORCH_HH
#define LVN_MODEL_REGISTRATION_TORCH_HH

#include "model/registration/registration_internal.h"

#include <torch/torch.h>

#include <array>

namespace lvn_reg {

using at::Tensor;
using Point = std::array<double, 3>;

constexpr double kCoarseMm = 4.0;
constexpr double kCoarseHalfMm = 56.0;
constexpr double kFineMm = 2.5;
constexpr double kFineHalfMm = 40.0;
constexpr double kFineMarginMm = 12.0;
constexpr double kWeightSigmaMm = 28.0;
constexpr double kThinSlabMm = 28.0; // below this nothing is left between the cut faces of a 3-D descriptor
constexpr double kLowGateHu = -60.0;
constexpr double kHighGateHu = 250.0;
constexpr double kLeastOverlap = 0.3;
constexpr double kSearchPrior = 0.02; // cost at a displacement of 44 mm, against typical cost differences of 0.3
constexpr double kAffinePrior = 2e-4; // cost of 1 mm^2 of displacement at LVN_REG_SCALE_MM
constexpr double kModelGain = 0.985;  // a richer model must lower the held-out energy below this share

// One volume's neighbourhood as descriptors.
struct Neighbourhood {
  Tensor image;      // [Z,Y,X], device
  Tensor descriptor; // [12,Z,Y,X], device
  Tensor valid;      // [Z,Y,X], device: 1 where the descriptor is made of measurements only
  Tensor channels;   // [Z,Y,X,12], CPU
  Tensor weight;     // [Z,Y,X], CPU
  lvn_reg_features features;
  double covered_mm;
};

struct Shift {
  Point mm;
  double peak;
  double overlap;
  bool at_border;
};

struct Answer {
  lvn_reg_transform transform;
  const char *model;
  lvn_reg_evidence evidence;
};

// Cut a box out of a volume (image, valid, features' geometry). False with *err set on failure.
bool cut(const lvn_volume *volume, const Point &centre, const Point &half, double spacing, const at::Device &device,
         Neighbourhood &out, lvn_error *err);
// Fill descriptor, channels, valid and weight of both; planar: only pairs inside the slice.
void describe_pair(Neighbourhood &fixed, Neighbourhood &moving, bool planar, double sigma);
// Pointers for the C side, once the tensors are final.
void lend(Neighbourhood &side);
// The translation of least cost over all shifts with enough overlap, to a fraction of a voxel.
Shift best_shift(const Neighbourhood &fixed, const Neighbourhood &moving, bool planar);

} // namespace lvn_reg

#endif
