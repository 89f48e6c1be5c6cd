/* card.md: what a package is for and what it cannot do, on one page. The headings are the fields of the CHAI Applied
 * Model Card v0.2 (schema.xsd of the Coalition for Health AI), in its order; what training alone cannot know is "not
 * assessed", for the site or the manufacturer to find out. */
#ifndef LVN_MODEL_CARD_H
#define LVN_MODEL_CARD_H

#include "base/error.h"
#include "model/network/package.h"
#include "model/train/run.h"

#ifdef __cplusplus
extern "C" {
#endif

LVN_MUST_CHECK bool lvn_card_write(const char *folder, const struct lvn_package_description *description,
                                   const struct lvn_train_summary *summary, struct lvn_error *err);

#ifdef __cplusplus
}
#endif
#endif
