// What is optimised: Liver-VLM's classification, and the two pretraining tasks of its encoder.
#ifndef LVN_MODEL_TRAIN_TASKS_TORCH_HH
#define LVN_MODEL_TRAIN_TASKS_TORCH_HH

#include "model/train/loop_torch.hh"
#include "model/train/model_torch.hh"

#include <memory>

namespace lvn {

// Cross-entropy over the four logits of each sample's own phase order (paper 3.3, 3.4). Validates by the accuracy on
// the held-out lesions' key slices.
std::unique_ptr<Task> make_classify_task(LiverVlm &model, const TrainingData &data, const struct lvn_recipe &recipe);

// Cross-entropy over the six phase orders, FC_p on the encoder's mean features (paper 3.2, equation 1). Validates by
// the accuracy on the held-out key slices in all six orders.
std::unique_ptr<Task> make_shuffle_task(const ImageEncoder &encoder, const TrainingData &data,
                                        const struct lvn_recipe &recipe);

// SimSiam (Chen 2021) as the control of the paper's table 4: projector of three layers, predictor of two, negative
// cosine with a stopped gradient. As many steps as the shuffle task takes. Validates by the spread of the unit outputs:
// 1/sqrt(size) is healthy, 0 collapsed.
std::unique_ptr<Task> make_simsiam_task(const ImageEncoder &encoder, const TrainingData &data,
                                        const struct lvn_recipe &recipe);

} // namespace lvn

#endif
