// From trained weights to a sealed package: float16 rounding, calibration and limits from the held-out lesions, test
// vectors, card, manifest. Everything is measured on the packaged weights by the code that will run them.
#ifndef LVN_MODEL_TRAIN_FINISH_TORCH_HH
#define LVN_MODEL_TRAIN_FINISH_TORCH_HH

#include "model/train/data_torch.hh"
#include "model/train/loop_torch.hh"
#include "model/train/model_torch.hh"
#include "model/train/run.h"

namespace lvn {

// Model and data are on the CPU. Throws. Fills the summary's counts, held-out figures and temperature.
void finish_package(const struct lvn_train_options &options, LiverVlm &model, const TrainingData &data,
                    const std::vector<EpochRecord> &history, struct lvn_train_summary &summary);

} // namespace lvn

#endif
