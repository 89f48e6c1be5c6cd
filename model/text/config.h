/* config.json of a BERT-family checkpoint: the numbers that fix its shape. Used by encoder_torch.cc alone. */
#ifndef LVN_MODEL_TEXT_CONFIG_H
#define LVN_MODEL_TEXT_CONFIG_H

#include "base/error.h"

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

struct lvn_bert_config {
  char name[128];
  size_t hidden_size;
  size_t layer_count;
  size_t head_count;
  size_t intermediate_size;
  size_t position_count;
  size_t vocabulary_size;
  double layer_norm_eps;
};

/* LVN_ERROR_DATA for anything that encoder_torch.cc does not compute. */
LVN_MUST_CHECK bool lvn_bert_config_read(const char *path, struct lvn_bert_config *ret_config, struct lvn_error *err);

#ifdef __cplusplus
}
#endif
#endif
