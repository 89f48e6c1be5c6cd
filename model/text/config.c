#include "model/text/config.h"

#include "base/memory.h"
#include "model/tensor/json.h"

#include <string.h>

#define CONFIG_BYTES_MAX (1024U * 1024U)

static bool get_count(const json_t *config, const char *key, size_t max, size_t *ret_value, struct lvn_error *err) {
  json_int_t value = json_integer_value(json_object_get(config, key));
  if (value < 1 || (size_t)value > max) {
    return lvn_error_set(err, LVN_ERROR_DATA, "config.json: '%s' is missing or out of range", key);
  }
  *ret_value = (size_t)value;
  return true;
}

/* A key that is absent has the default of the checkpoints of its time. */
static bool check_word(const json_t *config, const char *key, const char *wanted, struct lvn_error *err) {
  const json_t *value = json_object_get(config, key);
  const char *text = json_string_value(value);
  if (value != NULL && (text == NULL || strcmp(text, wanted) != 0)) {
    return lvn_error_set(err, LVN_ERROR_DATA, "config.json: '%s' is '%.60s'; only '%s' is supported", key,
                         text == NULL ? "not text" : text, wanted);
  }
  return true;
}

bool lvn_bert_config_read(const char *path, struct lvn_bert_config *ret_config, struct lvn_error *err) {
  LVN_CLEANUP(lvn_json_cleanup) json_t *config = lvn_json_read(path, CONFIG_BYTES_MAX, err);
  struct lvn_bert_config result = {.layer_norm_eps = 1e-12};
  if (config == NULL) {
    return false;
  }
  if (!check_word(config, "model_type", "bert", err) || !check_word(config, "hidden_act", "gelu", err) ||
      !check_word(config, "position_embedding_type", "absolute", err) ||
      !get_count(config, "hidden_size", 16384, &result.hidden_size, err) ||
      !get_count(config, "num_hidden_layers", 256, &result.layer_count, err) ||
      !get_count(config, "num_attention_heads", 256, &result.head_count, err) ||
      !get_count(config, "intermediate_size", 65536, &result.intermediate_size, err) ||
      !get_count(config, "max_position_embeddings", 65536, &result.position_count, err) ||
      !get_count(config, "vocab_size", 1U << 24U, &result.vocabulary_size, err)) {
    return false;
  }
  if (result.head_count == 0 || result.hidden_size % result.head_count != 0) {
    return lvn_error_set(err, LVN_ERROR_DATA, "config.json: hidden_size is not a multiple of num_attention_heads");
  }
  const json_t *eps = json_object_get(config, "layer_norm_eps");
  if (json_is_number(eps)) {
    result.layer_norm_eps = json_number_value(eps);
  }
  const char *name = json_string_value(json_object_get(config, "_name_or_path"));
  (void)lvn_copy(result.name, sizeof result.name, name == NULL ? "bert" : name);
  *ret_config = result;
  return true;
}
