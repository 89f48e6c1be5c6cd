/* card.md: what a package is for and what it cannot do, on one page (Mitchell 2019's model cards). */
#ifndef LVN_MODEL_CARD_H
#define LVN_MODEL_CARD_H

#include "daemon/base/error.h"
#include "model/network/package.h"
#include "model/train/trainer.h"

#ifdef __cplusplus
extern "C" {
#endif

LVN_MUST_CHECK bool lvn_card_write(const char *folder, const struct lvn_package_description *description,
                                   const struct lvn_train_summary *summary, struct lvn_error *err);

#ifdef __cplusplus
}
#endif
#endif
