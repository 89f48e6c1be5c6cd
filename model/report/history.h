/* The epochs of a training, as a table and as a picture, written anew after each: PKG.history.csv and PKG.history.png
 * beside the package, as its checkpoints are. */
#ifndef LVN_MODEL_REPORT_HISTORY_H
#define LVN_MODEL_REPORT_HISTORY_H

#include "base/error.h"

#ifdef __cplusplus
extern "C" {
#endif

struct lvn_history_epoch {
  char task[32];
  unsigned number; /* of its task, from 1 */
  unsigned side;   /* pixels */
  double loss;
  double learning_rate;
  double validation; /* on the held-out lesions, as the task has it; NAN: none */
  double images_per_second;
  double seconds; /* that it took */
};

struct lvn_history;
/* `package_folder` is borrowed. `resume`: go on with the table that is there. */
LVN_MUST_CHECK bool lvn_history_create(const char *package_folder, bool resume, struct lvn_history **ret_history,
                                       struct lvn_error *err);
void lvn_history_destroy(struct lvn_history *history); /* NULL is allowed */
/* One that is there of the same task with this number or a later one is replaced: after an interruption the epochs
 * since the last checkpoint are trained again. */
LVN_MUST_CHECK bool lvn_history_add(struct lvn_history *history, const struct lvn_history_epoch *epoch,
                                    struct lvn_error *err);

#ifdef __cplusplus
}
#endif
#endif
