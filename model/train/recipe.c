#include "model/train/recipe.h"

#include "daemon/base/memory.h"
#include "model/tensor/json.h"

#include <inttypes.h>
#include <stddef.h>
#include <string.h>

#define RECIPE_BYTES_MAX (1024U * 1024U)

enum kind { KIND_TEXT, KIND_COUNT, KIND_REAL, KIND_FLAG };

static const struct key {
  const char *name;
  enum kind kind;
  size_t offset;
  size_t bytes; /* of a text */
  double minimum;
  double maximum;
  const char *help;
} keys[] = {
#define TEXT(name, help)                                                                                               \
  { #name, KIND_TEXT, offsetof(struct lvn_recipe, name), sizeof((struct lvn_recipe *)0)->name, 0, 0, help }
#define COUNT(name, minimum, maximum, help)                                                                            \
  { #name, KIND_COUNT, offsetof(struct lvn_recipe, name), 0, minimum, maximum, help }
#define REAL(name, minimum, maximum, help)                                                                             \
  { #name, KIND_REAL, offsetof(struct lvn_recipe, name), 0, minimum, maximum, help }
#define FLAG(name, help)                                                                                               \
  { #name, KIND_FLAG, offsetof(struct lvn_recipe, name), 0, 0, 0, help }
    TEXT(name, "of the package"),
    TEXT(version, "of the package"),
    TEXT(trained_on, "one line for results; empty: the data set's source"),
    TEXT(licence, "of the weights"),
    COUNT(trunk_depth, 18, 50, "ResNet-18 or ResNet-50"),
    COUNT(joint_size, 64, 1024, "of the space that images and prompts share"),
    COUNT(batch, 2, 4096, "samples a step"),
    REAL(learning_rate, 1e-7, 1.0, "peak, AdamW"),
    REAL(weight_decay, 0.0, 1.0, "not on normalisation and biases"),
    COUNT(warmup_epochs, 0, 1000, "rising to learning_rate; a cosine falls to 0 after"),
    REAL(ema, 0.0, 0.99999, "decay of the averaged weights that are kept; 0: none"),
    REAL(scale, 0.01, 100.0, "logit = scale * cosine; the paper has 1"),
    FLAG(enriched_prompts, "class and phase order; false: the simple prompts"),
    REAL(order_share, 0.0, 1.0, "of the samples with a random phase order; the rest are NC, ART, PV; the paper has 1"),
    FLAG(flip, "left-right and up-down"),
    REAL(rotate_degrees, 0.0, 180.0, "at most, either way"),
    REAL(zoom, 0.0, 0.5, "0.1: 0.9 to 1.1"),
    REAL(shift, 0.0, 0.5, "of the side, either way"),
    REAL(gain, 0.0, 0.5, "per phase, 0.1: 0.9 to 1.1"),
    REAL(offset_hu, 0.0, 200.0, "per phase, either way"),
    COUNT(validation_fold, 0, 1000, "held out for calibration"),
    COUNT(seed, 0, 4294967295.0, "same seed, data, machine and threads: same model"),
    COUNT(threads, 0, 1024, "0: all cores"),
    REAL(window_low_hu, -2000.0, 4000.0, "becomes 0"),
    REAL(window_high_hu, -2000.0, 4000.0, "becomes 1"),
    REAL(abstain_margin, 0.0, 1.0, "least distance of the two best probabilities"),
    REAL(abstain_quantile, 0.5, 1.0, "of the held-out lesions' feature distance"),
};
#define KEY_COUNT (sizeof keys / sizeof keys[0])

void lvn_recipe_default(struct lvn_recipe *ret_recipe) {
  *ret_recipe = (struct lvn_recipe){.name = "liver-vlm",
                                    .version = "1.0.0",
                                    .licence = "unstated",
                                    .trunk_depth = 18,
                                    .joint_size = 512,
                                    .stage_count = 1,
                                    .stages = {{.epochs = 200, .side = LVN_CROP_SIDE}},
                                    .batch = 32,
                                    .learning_rate = 5e-4,
                                    .weight_decay = 1e-2,
                                    .warmup_epochs = 5,
                                    .ema = 0.999,
                                    .scale = 1.0,
                                    .enriched_prompts = true,
                                    .order_share = 1.0,
                                    .flip = true,
                                    .rotate_degrees = 15.0,
                                    .zoom = 0.1,
                                    .shift = 0.05,
                                    .gain = 0.03,
                                    .offset_hu = 5.0,
                                    .seed = 1,
                                    .window_low_hu = -100.0,
                                    .window_high_hu = 250.0,
                                    .abstain_margin = 0.1,
                                    .abstain_quantile = 0.99};
  lvn_crop_options_default(&ret_recipe->crop);
}

static bool set_key(const struct key *key, const json_t *value, struct lvn_recipe *recipe) {
  char *target = (char *)recipe + key->offset;
  double number = json_number_value(value);
  bool in_range = json_is_number(value) && number >= key->minimum && number <= key->maximum;
  switch (key->kind) {
  case KIND_TEXT:
    return json_is_string(value) && lvn_copy(target, key->bytes, json_string_value(value));
  case KIND_FLAG:
    *(bool *)target = json_is_true(value);
    return json_is_boolean(value);
  case KIND_COUNT:
    if (!json_is_integer(value) || !in_range) {
      return false;
    }
    *(unsigned *)target = (unsigned)json_integer_value(value);
    return true;
  default:
    if (in_range) {
      *(double *)target = number;
    }
    return in_range;
  }
}

/* "stages": [{"epochs": 30, "side": 96}, …] */
static bool set_stages(const json_t *value, struct lvn_recipe *recipe) {
  size_t count = json_array_size(value);
  if (!json_is_array(value) || count == 0 || count > LVN_RECIPE_STAGES_MAX) {
    return false;
  }
  for (size_t i = 0; i < count; i++) {
    const json_t *stage = json_array_get(value, i);
    json_int_t epochs = json_integer_value(json_object_get(stage, "epochs"));
    json_int_t side = json_integer_value(json_object_get(stage, "side"));
    if (json_object_size(stage) != 2 || epochs < 1 || epochs > 10000 || side < 32 || side > LVN_CROP_SIDE ||
        side % 32 != 0) {
      return false;
    }
    recipe->stages[i] = (struct lvn_recipe_stage){.epochs = (unsigned)epochs, .side = (unsigned)side};
  }
  recipe->stage_count = count;
  return true;
}

static const struct key *find_key(const char *name) {
  for (size_t i = 0; i < KEY_COUNT; i++) {
    if (strcmp(keys[i].name, name) == 0) {
      return &keys[i];
    }
  }
  return NULL;
}

bool lvn_recipe_read(const char *path, struct lvn_recipe *ret_recipe, struct lvn_error *err) {
  struct lvn_recipe recipe;
  const char *name = NULL;
  json_t *value = NULL;
  LVN_CLEANUP(lvn_json_cleanup) json_t *file = lvn_json_read(path, RECIPE_BYTES_MAX, err);
  if (file == NULL) {
    return false;
  }
  lvn_recipe_default(&recipe);
  json_object_foreach(file, name, value) {
    const struct key *key = find_key(name);
    if (key == NULL && strcmp(name, "stages") != 0) {
      return lvn_error_set(err, LVN_ERROR_USAGE, "'%.200s': unknown key '%.60s'", path, name);
    }
    if (!(key == NULL ? set_stages(value, &recipe) : set_key(key, value, &recipe))) {
      return lvn_error_set(err, LVN_ERROR_USAGE, "'%.200s': '%.60s' has a wrong type or is out of range", path, name);
    }
  }
  if (recipe.trunk_depth != 18 && recipe.trunk_depth != 50) {
    return lvn_error_set(err, LVN_ERROR_USAGE, "'%.200s': trunk_depth is 18 or 50", path);
  }
  if (recipe.window_high_hu <= recipe.window_low_hu) {
    return lvn_error_set(err, LVN_ERROR_USAGE, "'%.200s': the HU window is empty", path);
  }
  *ret_recipe = recipe;
  return true;
}

json_t *lvn_recipe_to_json(const struct lvn_recipe *recipe) {
  json_t *result = json_object();
  json_t *stages = json_array();
  for (size_t i = 0; i < KEY_COUNT; i++) {
    const char *source = (const char *)recipe + keys[i].offset;
    json_t *value = keys[i].kind == KIND_TEXT    ? json_string(source)
                    : keys[i].kind == KIND_FLAG  ? json_boolean(*(const bool *)source)
                    : keys[i].kind == KIND_COUNT ? json_integer((json_int_t) * (const unsigned *)source)
                                                 : json_real(*(const double *)source);
    (void)json_object_set_new(result, keys[i].name, value);
  }
  for (size_t i = 0; i < recipe->stage_count; i++) {
    (void)json_array_append_new(
        stages, json_pack("{s:i,s:i}", "epochs", (int)recipe->stages[i].epochs, "side", (int)recipe->stages[i].side));
  }
  (void)json_object_set_new(result, "stages", stages);
  return result;
}

unsigned lvn_recipe_epochs(const struct lvn_recipe *recipe) {
  unsigned epochs = 0;
  for (size_t i = 0; i < recipe->stage_count; i++) {
    epochs += recipe->stages[i].epochs;
  }
  return epochs;
}

void lvn_recipe_describe(FILE *stream) {
  struct lvn_recipe recipe;
  lvn_recipe_default(&recipe);
  (void)fprintf(stream, "Keys of a recipe (JSON object), defaults and meaning:\n");
  (void)fprintf(stream, "  %-19s %-10s %s\n", "stages", "",
                "[{\"epochs\": 200, \"side\": 224}], side a multiple of 32");
  for (size_t i = 0; i < KEY_COUNT; i++) {
    const char *source = (const char *)&recipe + keys[i].offset;
    char value[64];
    if (keys[i].kind == KIND_TEXT) {
      (void)snprintf(value, sizeof value, "\"%s\"", source);
    } else if (keys[i].kind == KIND_FLAG) {
      (void)snprintf(value, sizeof value, "%s", *(const bool *)source ? "true" : "false");
    } else if (keys[i].kind == KIND_COUNT) {
      (void)snprintf(value, sizeof value, "%u", *(const unsigned *)source);
    } else {
      (void)snprintf(value, sizeof value, "%g", *(const double *)source);
    }
    (void)fprintf(stream, "  %-19s %-10s %s\n", keys[i].name, value, keys[i].help);
  }
}
