// What a package's weights, and those that it started from, have seen.
#ifndef LVN_MODEL_TRAIN_LINEAGE_TORCH_HH
#define LVN_MODEL_TRAIN_LINEAGE_TORCH_HH

#include "model/train/data_torch.hh"
#include "model/train/run.h"

#include <jansson.h>

namespace lvn {

// Throws when what is held out was trained on by the package of --init: its figures would mean nothing.
void check_start(const lvn_train_options &options, const TrainingData &data);

// Adds "trained_pixels", "held_out_pixels" and "lineage_is_known" to a manifest's training, those of --init included.
void add_lineage(const lvn_train_options &options, const TrainingData &data, json_t *training);

} // namespace lvn

#endif
