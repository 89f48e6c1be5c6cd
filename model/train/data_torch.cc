#include "model/train/data_torch.hh"

#include "model/dataset/dataset_format.h"
#include "model/image/vocabulary.h"
#include "model/tensor/tensor_torch.hh"

#include <algorithm>
#include <map>
#include <memory>

namespace lvn {

namespace {

constexpr int64_t kSide = LVN_CROP_SIDE;
constexpr int64_t kPlaneValues = kSide * kSide;
constexpr int64_t kSliceValues = LVN_PHASE_NETWORK_COUNT * kPlaneValues;
constexpr int64_t kAllPresent = (1 << LVN_PHASE_NETWORK_COUNT) - 1;

struct DatasetCloser {
  void operator()(struct lvn_dataset *dataset) const {
    lvn_dataset_close(dataset);
  }
};
using DatasetHandle = std::unique_ptr<struct lvn_dataset, DatasetCloser>;

int64_t present_bits(const lvn_dataset_lesion &lesion) {
  int64_t bits = 0;
  for (int phase = 0; phase < LVN_PHASE_NETWORK_COUNT; phase++) {
    bits |= lesion.phase_present[phase] ? int64_t{1} << phase : 0;
  }
  return bits;
}

DatasetHandle open_dataset(const char *folder, TrainingData &data) {
  struct lvn_dataset *opened = nullptr;
  struct lvn_error err = {};
  char digest[LVN_SHA256_TEXT_BYTES];
  if (!lvn_dataset_open(folder, &opened, &err)) {
    lvn_throw(err);
  }
  DatasetHandle handle(opened);
  lvn_sha256_to_text(lvn_dataset_sha256(opened), digest);
  data.digest += (data.digest.empty() ? "" : "+") + std::string(digest);
  if (data.source.empty()) {
    data.source = lvn_dataset_source(opened);
  }
  return handle;
}

class Loader {
public:
  explicit Loader(const DataRequest &request) : request_(request) {
    data_.classes = request.classes;
  }

  TrainingData load() {
    for (size_t i = 0; i < request_.folder_count; i++) {
      datasets_.push_back(open_dataset(request_.folders[i], data_));
    }
    for (size_t i = 0; i < request_.unlabelled_count; i++) {
      datasets_.push_back(open_dataset(request_.unlabelled_folders[i], data_));
    }
    bool any_delayed = false;
    visit([&](const lvn_dataset *, size_t, const lvn_dataset_lesion &lesion, Role role) {
      slices_ += static_cast<int64_t>(lesion.slice_count);
      any_delayed = any_delayed || wants_delayed(lesion, role);
    });
    data_.hounsfield = torch::empty({slices_, LVN_PHASE_NETWORK_COUNT, kSide, kSide}, torch::kInt16);
    if (any_delayed) {
      data_.delayed = torch::full({slices_, 1, kSide, kSide}, LVN_DATASET_PADDING_HU, torch::kInt16);
    }
    visit([&](const lvn_dataset *dataset, size_t index, const lvn_dataset_lesion &lesion, Role role) {
      append(dataset, index, lesion, role);
    });
    return std::move(data_);
  }

private:
  // Every lesion that will be used, with its role.
  template <typename Body> void visit(Body body) {
    for (size_t d = 0; d < datasets_.size(); d++) {
      const lvn_dataset *dataset = datasets_[d].get();
      for (size_t i = 0; i < lvn_dataset_count(dataset); i++) {
        const lvn_dataset_lesion &lesion = *lvn_dataset_get(dataset, i);
        Role role = Role::kUnlabelled;
        if (d < request_.folder_count) {
          unsigned fold = lesion.fold;
          if (request_.folds != nullptr && !lvn_folds_find(request_.folds, lesion.patient_key, &fold)) {
            continue;
          }
          role = fold == request_.held_out_fold ? Role::kHeldOut : Role::kTraining;
        }
        if (!lvn_classes_have(request_.classes, lesion.lesion_class) && is_unseen(kind_of(lesion))) {
          continue;
        }
        const bool complete = present_bits(lesion) == kAllPresent;
        if (complete || (role == Role::kTraining && request_.use_incomplete && present_bits(lesion) != 0)) {
          body(dataset, i, lesion, role);
        }
      }
    }
  }

  static const char *kind_of(const lvn_dataset_lesion &lesion) {
    return lesion.subtype[0] != '\0' ? lesion.subtype : lvn_class_name(lesion.lesion_class);
  }

  int64_t label_of(const lvn_dataset_lesion &lesion) const {
    return lvn_classes_have(request_.classes, lesion.lesion_class)
               ? static_cast<int64_t>(lvn_classes_place(request_.classes, lesion.lesion_class))
               : static_cast<int64_t>(LVN_CLASS_OUTLIER);
  }

  bool is_unseen(const char *kind) const {
    char value[LVN_RECIPE_TEXT_BYTES];
    for (size_t i = 0; lvn_recipe_list_value(request_.unseen, i, value); i++) {
      if (strcasecmp(value, kind) == 0) {
        return true;
      }
    }
    return false;
  }

  bool wants_delayed(const lvn_dataset_lesion &lesion, Role role) const {
    return request_.use_delayed && role == Role::kTraining && lesion.delayed_present;
  }

  // Training on a patient that calibrates or tests the model would flatter it; so would pretraining on one.
  int64_t number_patient(const lvn_dataset_lesion &lesion, Role role) {
    const auto found = patients_.find(lesion.patient_key);
    if (found == patients_.end()) {
      const auto number = static_cast<int64_t>(patients_.size());
      patients_[lesion.patient_key] = {number, role};
      return number;
    }
    if (found->second.second != role) {
      const bool unlabelled = role == Role::kUnlabelled || found->second.second == Role::kUnlabelled;
      throw std::runtime_error("patient '" + std::string(lesion.patient_key) +
                               (unlabelled ? "' is in the labelled and in the unlabelled data"
                                           : "' is in the held-out fold and outside it"));
    }
    return found->second.first;
  }

  // The same pixels under another name would flatter the model as well.
  void note_pixels(const uint8_t *sha256, const lvn_dataset_lesion &lesion, Role role) {
    PixelDigest digest;
    std::memcpy(digest.data(), sha256, digest.size());
    const bool held_out = role == Role::kHeldOut;
    const auto entry = pixels_.emplace(digest, std::make_pair(held_out, std::string(lesion.lesion_id)));
    if (!entry.second && entry.first->second.first != held_out) {
      throw std::runtime_error("lesions '" + std::string(lesion.lesion_id) + "' and '" + entry.first->second.second +
                               "' show the same pixels, one in the held-out fold and one outside it");
    }
    (held_out ? data_.held_out_pixels : data_.trained_pixels).push_back(digest);
  }

  void append(const lvn_dataset *dataset, size_t index, const lvn_dataset_lesion &lesion, Role role) {
    struct lvn_error err = {};
    struct lvn_crop crop = {};
    const int64_t patient = number_patient(lesion, role);
    size_t images = 0;
    const uint8_t *image = lvn_dataset_images(dataset, index, &images);
    note_pixels(lvn_dataset_pixels(dataset, index), lesion, role);
    for (size_t i = 0; i < images; i++) {
      note_pixels(image + i * LVN_SHA256_BYTES, lesion, role);
    }
    if (!lvn_dataset_load(dataset, index, &crop, &err)) {
      lvn_throw(err);
    }
    data_.lesions.push_back({lesion.lesion_id,
                             lesion.patient_key,
                             patient,
                             used_,
                             static_cast<int64_t>(crop.slice_count),
                             static_cast<int64_t>(crop.key_slice),
                             label_of(lesion),
                             kind_of(lesion),
                             present_bits(lesion),
                             wants_delayed(lesion, role),
                             role,
                             {}});
    if (request_.measure && role != Role::kUnlabelled &&
        !lvn_measurements_take(&crop, data_.lesions.back().measurements.data(), &err)) {
      lvn_crop_clear(&crop);
      lvn_throw(err);
    }
    for (size_t i = 0; i < crop.slice_count; i++, used_++) {
      std::memcpy(data_.hounsfield.data_ptr<int16_t>() + used_ * kSliceValues, crop.slices[i].hounsfield,
                  static_cast<size_t>(kSliceValues) * sizeof(int16_t));
      if (wants_delayed(lesion, role)) {
        std::memcpy(data_.delayed.data_ptr<int16_t>() + used_ * kPlaneValues, crop.slices[i].delayed,
                    static_cast<size_t>(kPlaneValues) * sizeof(int16_t));
      }
    }
    lvn_crop_clear(&crop);
  }

  const DataRequest &request_;
  TrainingData data_ = {};
  std::vector<DatasetHandle> datasets_;
  std::map<std::string, std::pair<int64_t, Role>> patients_;
  std::map<PixelDigest, std::pair<bool, std::string>> pixels_; // held out? and of which lesion
  int64_t slices_ = 0;
  int64_t used_ = 0;
};

// What an epoch draws from, by class: a unit is a slice, a lesion or a patient.
struct Unit {
  std::vector<int64_t> lesions; // one is drawn
  int64_t slice;                // -1: one is drawn
};

std::vector<std::vector<Unit>> make_units(const TrainingData &data, enum lvn_recipe_samples kind) {
  std::vector<std::vector<Unit>> by_class(LVN_DATASET_LABEL_COUNT);
  std::map<std::pair<int64_t, int64_t>, size_t> patients; // class and patient: where in by_class
  for (size_t i = 0; i < data.lesions.size(); i++) {
    const TrainingLesion &lesion = data.lesions[i];
    const auto index = static_cast<int64_t>(i);
    std::vector<Unit> &units = by_class[static_cast<size_t>(lesion.label)];
    if (lesion.role != Role::kTraining) {
      continue;
    }
    if (kind == LVN_SAMPLES_PATIENTS) {
      const auto entry = patients.emplace(std::make_pair(lesion.label, lesion.patient), units.size());
      if (entry.second) {
        units.push_back({{}, -1});
      }
      units[entry.first->second].lesions.push_back(index);
    } else if (kind == LVN_SAMPLES_LESIONS) {
      units.push_back({{index}, -1});
    } else {
      for (int64_t s = 0; s < lesion.slice_count; s++) {
        units.push_back({{index}, lesion.first_slice + s});
      }
    }
  }
  return by_class;
}

Sample draw_unit(const TrainingData &data, const Unit &unit, std::mt19937_64 &random) {
  const int64_t index = unit.lesions.size() == 1 ? unit.lesions[0] : unit.lesions[random() % unit.lesions.size()];
  const TrainingLesion &lesion = data.lesions[static_cast<size_t>(index)];
  const int64_t slice =
      unit.slice >= 0 ? unit.slice
                      : lesion.first_slice + static_cast<int64_t>(random() % static_cast<uint64_t>(lesion.slice_count));
  return {index, slice, -1};
}

// The library's std::shuffle may differ from release to release; this one is the same everywhere.
template <typename T> void shuffle(std::vector<T> &items, std::mt19937_64 &random) {
  for (size_t i = items.size(); i > 1; i--) {
    std::swap(items[i - 1], items[random() % i]);
  }
}

std::vector<Sample> with_permutations(const std::vector<Sample> &samples, enum lvn_recipe_permutations permutations) {
  std::vector<Sample> result;
  for (const Sample &sample : samples) {
    for (int64_t order = 0; order < (permutations == LVN_PERMUTATIONS_ALL ? LVN_PERMUTATION_COUNT : 1); order++) {
      result.push_back({sample.lesion, sample.slice, permutations == LVN_PERMUTATIONS_RANDOM ? -1 : order});
    }
  }
  return result;
}

} // namespace

TrainingData load_training_data(const DataRequest &request) {
  return Loader(request).load();
}

std::vector<Sample> draw_epoch(const TrainingData &data, const lvn_recipe &recipe, std::mt19937_64 &random) {
  std::vector<std::vector<Unit>> by_class = make_units(data, recipe.samples);
  std::vector<Unit> outliers = std::move(by_class[LVN_CLASS_OUTLIER]);
  by_class.pop_back();
  size_t total = 0;
  size_t classes = 0;
  for (const std::vector<Unit> &units : by_class) {
    total += units.size();
    classes += units.empty() ? 0 : 1;
  }
  std::vector<Sample> samples;
  for (std::vector<Unit> &units : by_class) {
    const size_t share = recipe.balance_classes ? std::max<size_t>(1, total / classes) : units.size();
    for (size_t i = 0; !units.empty() && i < share; i++) {
      if (i % units.size() == 0) {
        shuffle(units, random);
      }
      samples.push_back(draw_unit(data, units[i % units.size()], random));
    }
  }
  const double share = recipe.outlier_weight > 0.0 ? recipe.outlier_share : 0.0;
  const auto wanted = static_cast<size_t>(share / (1.0 - share) * static_cast<double>(samples.size()));
  for (size_t i = 0; !outliers.empty() && i < wanted; i++) {
    if (i % outliers.size() == 0) {
      shuffle(outliers, random);
    }
    samples.push_back(draw_unit(data, outliers[i % outliers.size()], random));
  }
  samples = with_permutations(samples, recipe.permutations);
  shuffle(samples, random);
  return samples;
}

std::vector<Sample> draw_pretraining_epoch(const TrainingData &data, std::mt19937_64 &random) {
  std::vector<Sample> samples;
  for (size_t i = 0; i < data.lesions.size(); i++) {
    const TrainingLesion &lesion = data.lesions[i];
    for (int64_t s = 0; lesion.role != Role::kHeldOut && lesion.present == kAllPresent && s < lesion.slice_count; s++) {
      samples.push_back({static_cast<int64_t>(i), lesion.first_slice + s, -1});
    }
  }
  shuffle(samples, random);
  return samples;
}

double uniform(std::mt19937_64 &random, double low, double high) {
  return low + (high - low) * static_cast<double>(random() >> 11U) * 0x1p-53;
}

} // namespace lvn
