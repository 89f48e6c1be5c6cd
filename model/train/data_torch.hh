// The lesions of one or more data sets in memory, and the draws of an epoch.
#ifndef LVN_MODEL_TRAIN_DATA_TORCH_HH
#define LVN_MODEL_TRAIN_DATA_TORCH_HH

#include "model/dataset/dataset.h"
#include "model/dataset/folds.h"
#include "model/image/measurements.h"
#include "model/train/recipe.h"

#include <torch/torch.h>

#include <array>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

namespace lvn {

enum class Role { kTraining, kHeldOut, kUnlabelled };

struct TrainingLesion {
  std::string lesion_key;
  std::string patient_key;
  int64_t patient; // number of the patient, over all data sets
  int64_t first_slice;
  int64_t slice_count;
  int64_t key_slice;
  int64_t label;    // the class's place among the recipe's, or LVN_CLASS_OUTLIER
  std::string kind; // of an outlier: the data set's subtype, or its class
  int64_t present;  // bit p: phase p was measured
  bool delayed;     // so was the delayed one, and its pixels are in TrainingData::delayed
  Role role;
  std::array<float, LVN_MEASUREMENT_COUNT> measurements; // 0 unless they were asked for
};

using PixelDigest = std::array<uint8_t, LVN_SHA256_BYTES>;

struct TrainingData {
  unsigned classes;         // that the labels are places among
  torch::Tensor hounsfield; // int16 [slices,3,224,224]
  torch::Tensor delayed;    // int16 [slices,1,224,224], undefined unless it was asked for and a lesion has it
  std::vector<TrainingLesion> lesions;
  std::string source;
  std::string digest; // of the data sets' manifests, hexadecimal, joined by '+'
  // SHA-256 of the pixels of lesions, and of the images that they were cut from.
  std::vector<PixelDigest> trained_pixels; // unlabelled ones, too
  std::vector<PixelDigest> held_out_pixels;
};

struct DataRequest {
  const char *const *folders;
  size_t folder_count;
  const char *const *unlabelled_folders; // for pretraining alone
  size_t unlabelled_count;
  unsigned held_out_fold;
  const struct lvn_folds *folds; // in place of the data sets' own; a patient that it does not know is left out; or NULL
  bool use_incomplete;           // else lesions with a missing phase are left out
  bool use_delayed;              // of training lesions
  unsigned classes;              // lesions of others are outliers
  const char *unseen;            // kinds of outliers that are left out, separated by '|'
  bool measure = false;          // every labelled lesion (model/image/measurements.h)
};

inline bool is_outlier(const TrainingLesion &lesion) {
  return lesion.label == LVN_CLASS_OUTLIER;
}

// Throws on an unreadable data set, when a patient or the same pixels are both in the held out fold and outside it, and
// when an unlabelled patient is a labelled one.
TrainingData load_training_data(const DataRequest &request);

struct Sample {
  int64_t lesion;
  int64_t slice; // of TrainingData::hounsfield
  int64_t order; // index into lvn_permutation; -1: to be drawn
};

// One pass over the training lesions as the recipe's samples, balance_classes and orders say. Depends on the generator
// alone.
std::vector<Sample> draw_epoch(const TrainingData &data, const struct lvn_recipe &recipe, std::mt19937_64 &random);
// One pass over all slices of training and unlabelled lesions.
std::vector<Sample> draw_pretraining_epoch(const TrainingData &data, std::mt19937_64 &random);

double uniform(std::mt19937_64 &random, double low, double high);

} // namespace lvn

#endif
