#include "model/train/lineage_torch.hh"

#include "base/file.h"
#include "base/memory.h"
#include "model/network/lineage.h"
#include "model/network/package.h"
#include "model/tensor/tensor_torch.hh"

#include <filesystem>

namespace lvn {

namespace {

struct Lineage {
  lvn_lineage list = {};
  Lineage() = default;
  Lineage(const Lineage &) = delete;
  Lineage &operator=(const Lineage &) = delete;
  ~Lineage() {
    lvn_lineage_clear(&list);
  }
  void add(const std::vector<PixelDigest> &digests) {
    struct lvn_error err = {};
    for (const PixelDigest &digest : digests) {
      if (!lvn_lineage_add(&list, digest.data(), &err)) {
        lvn_throw(err);
      }
    }
  }
  std::string text() {
    struct lvn_error err = {};
    char *text = lvn_lineage_to_text(&list, &err);
    if (text == nullptr) {
      lvn_throw(err);
    }
    std::string result(text);
    lvn_free(text);
    return result;
  }
};

// Adds what the start had seen; false when that is not known: weights that are no package, or one that does not say.
bool add_start(const lvn_train_options &options, bool held_out, Lineage &lineage) {
  struct lvn_error err = {};
  struct lvn_package package = {};
  bool known = false;
  if (options.init_path == nullptr) {
    return options.recipe->weights[0] == '\0';
  }
  if (!std::filesystem::is_directory(options.init_path)) {
    return false;
  }
  if (!lvn_package_open(options.init_path, &package, &err)) {
    lvn_throw(err);
  }
  const bool good = lvn_lineage_of_manifest(package.manifest, held_out, &lineage.list, &known, &err);
  lvn_package_clear(&package);
  if (!good) {
    lvn_throw(err);
  }
  return known;
}

} // namespace

void check_start(const lvn_train_options &options, const TrainingData &data) {
  Lineage seen;
  Lineage held_out;
  (void)add_start(options, false, seen);
  held_out.add(data.held_out_pixels);
  const size_t shared = lvn_lineage_shared(&held_out.list, &seen.list);
  if (shared > 0) {
    throw std::runtime_error("'" + std::string(options.init_path) + "' was trained on what is held out here: " +
                             std::to_string(shared) + " lesions or images");
  }
}

void add_lineage(const lvn_train_options &options, const TrainingData &data, json_t *training) {
  Lineage trained;
  Lineage held_out;
  trained.add(data.trained_pixels);
  held_out.add(data.held_out_pixels);
  const bool known = add_start(options, false, trained);
  // What the start held out chose its temperature and limits, and may have chosen it among others.
  Lineage all;
  (void)add_start(options, true, all);
  (void)json_object_set_new(training, "trained_pixels", json_string(trained.text().c_str()));
  struct lvn_error err = {};
  if (!lvn_lineage_add_text(&held_out.list, all.text().c_str(), &err)) {
    lvn_throw(err);
  }
  (void)json_object_set_new(training, "held_out_pixels", json_string(held_out.text().c_str()));
  (void)json_object_set_new(training, "lineage_is_known", json_boolean(known));
}

} // namespace lvn
