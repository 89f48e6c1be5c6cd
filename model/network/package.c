#include "model/network/package.h"

#include "base/clock.h"
#include "base/memory.h"
#include "model/image/measurements.h"
#include "model/tensor/json.h"
#include "model/text/prompts.h"

#include <math.h>
#include <string.h>

#define FORMAT "livervlm-package"
#define FORMAT_VERSION 1
#define MANIFEST_BYTES_MAX (64U * 1024U * 1024U)
#define FILES_MAX 64U

static const char *const term_names[LVN_OUTLIER_TERM_COUNT] = {"distance", "relative", "background",  "confidence",
                                                               "flips",    "orders",   "measurements"};

const char *lvn_outlier_term_name(enum lvn_outlier_term term) {
  return term_names[term];
}

bool lvn_outlier_rule_parse(const char *text, struct lvn_outlier_rule *ret_rule) {
  struct lvn_outlier_rule rule = {.limit = INFINITY, .false_alarm_rate = NAN};
  for (const char *at = text; rule.term_count < LVN_OUTLIER_PARTS_MAX; at += strcspn(at, "+") + 1) {
    size_t length = strcspn(at, "+");
    int term = 0;
    while (term < LVN_OUTLIER_TERM_COUNT &&
           (strlen(term_names[term]) != length || strncmp(at, term_names[term], length) != 0)) {
      term++;
    }
    if (term == LVN_OUTLIER_TERM_COUNT) {
      return false;
    }
    rule.parts[rule.term_count++] = (struct lvn_outlier_part){(enum lvn_outlier_term)term, 0.0, 1.0};
    if (at[length] == '\0') {
      *ret_rule = rule;
      return true;
    }
  }
  return false;
}

/* 3 of 69 lesions of phantoms that the demo model 1.2.0 answers rightly have less; half of them over 0.7. */
#define MAP_SHARE_LIMIT 0.35

static void use_distance(struct lvn_package_recipe *recipe) {
  recipe->outlier = (struct lvn_outlier_rule){.term_count = 1,
                                              .parts = {{LVN_OUTLIER_DISTANCE, 0.0, 1.0}},
                                              .limit = recipe->max_feature_distance,
                                              .false_alarm_rate = NAN};
}

void lvn_package_recipe_default(struct lvn_package_recipe *ret_recipe) {
  *ret_recipe = (struct lvn_package_recipe){.classes = LVN_CLASSES_PAPER,
                                            .encoder = "resnet18",
                                            .joint_size = 512,
                                            .window_low_hu = -100.0,
                                            .window_high_hu = 250.0,
                                            .mean = 0.5,
                                            .std = 0.5,
                                            .scale = 1.0,
                                            .temperature = 1.0,
                                            .min_margin = 0.1,
                                            .least_diameter_mm = 8.0,
                                            .least_pixels_across = 4.0,
                                            .max_feature_distance = INFINITY,
                                            .max_permutation_disagreement = 0.5,
                                            .conformal_limit = NAN,
                                            .conformal_coverage = NAN,
                                            .map_share_limit = MAP_SHARE_LIMIT};
  lvn_crop_options_default(&ret_recipe->crop);
  use_distance(ret_recipe);
}

/* The numbers of a recipe, by section and key of the manifest. */
static const struct number {
  const char *section;
  const char *key;
  size_t offset;
  double minimum;
  double maximum;
} numbers[] = {
    {"preprocessing", "crop_margin", offsetof(struct lvn_package_recipe, crop.margin), 1.0, 10.0},
    {"preprocessing", "crop_min_side_mm", offsetof(struct lvn_package_recipe, crop.min_side_mm), 1.0, 500.0},
    {"preprocessing", "window_low_hu", offsetof(struct lvn_package_recipe, window_low_hu), -2000.0, 4000.0},
    {"preprocessing", "window_high_hu", offsetof(struct lvn_package_recipe, window_high_hu), -2000.0, 4000.0},
    {"preprocessing", "mean", offsetof(struct lvn_package_recipe, mean), -10.0, 10.0},
    {"preprocessing", "std", offsetof(struct lvn_package_recipe, std), 1e-3, 100.0},
    {"calibration", "scale", offsetof(struct lvn_package_recipe, scale), 1e-3, 1e3},
    {"calibration", "temperature", offsetof(struct lvn_package_recipe, temperature), 1e-4, 1e3},
    {"abstention", "min_margin", offsetof(struct lvn_package_recipe, min_margin), 0.0, 1.0},
    {"abstention", "max_feature_distance", offsetof(struct lvn_package_recipe, max_feature_distance), 0.0, 1e12},
    {"abstention", "max_order_disagreement", offsetof(struct lvn_package_recipe, max_permutation_disagreement), 0.0,
     1.0},
};

static json_t *permutation_names(void) {
  json_t *permutations = json_array();
  for (size_t order = 0; order < LVN_PERMUTATION_COUNT; order++) {
    char name[LVN_PERMUTATION_NAME_BYTES];
    lvn_permutation_name(order, name);
    (void)json_array_append_new(permutations, json_string(name));
  }
  return permutations;
}

static json_t *class_names(unsigned classes) {
  json_t *names = json_array();
  for (unsigned c = lvn_classes_first(classes); c < LVN_CLASS_COUNT; c = lvn_classes_next(classes, c)) {
    (void)json_array_append_new(names, json_string(lvn_class_name((enum lvn_class)c)));
  }
  return names;
}

static json_t *prompt_texts(unsigned classes) {
  json_t *prompts = json_array();
  for (size_t order = 0; order < LVN_PERMUTATION_COUNT; order++) {
    for (unsigned c = lvn_classes_first(classes); c < LVN_CLASS_COUNT; c = lvn_classes_next(classes, c)) {
      char name[LVN_PERMUTATION_NAME_BYTES];
      char text[LVN_PROMPT_BYTES];
      lvn_permutation_name(order, name);
      lvn_prompt_enriched((enum lvn_class)c, order, text);
      (void)json_array_append_new(
          prompts, json_pack("{s:s,s:s,s:s}", "order", name, "class", lvn_class_name((enum lvn_class)c), "text", text));
    }
  }
  return prompts;
}

/* NULL unless the manifest's array holds exactly these words: tensors depend on their order. */
static bool is_same_list(const json_t *manifest, const char *key, json_t *expected) {
  bool same = json_equal(json_object_get(manifest, key), expected) == 1;
  json_decref(expected);
  return same;
}

/* Known ones, in the order of their tensors. */
static bool read_classes(const json_t *manifest, struct lvn_package_recipe *recipe, struct lvn_error *err) {
  const json_t *names = json_object_get(manifest, "classes");
  size_t index = 0;
  const json_t *name = NULL;
  if (names == NULL) {
    return true;
  }
  recipe->classes = 0;
  json_array_foreach(names, index, name) {
    const char *text = json_string_value(name);
    enum lvn_class found = LVN_CLASS_OUTLIER;
    if (text == NULL || !lvn_class_from_name(text, &found)) {
      return lvn_error_set(err, LVN_ERROR_DATA, "manifest.json: class '%.40s' is not known to this program",
                           text == NULL ? "" : text);
    }
    recipe->classes |= 1U << (unsigned)found;
  }
  return (lvn_classes_count(recipe->classes) >= 2 && is_same_list(manifest, "classes", class_names(recipe->classes))) ||
         lvn_error_set(err, LVN_ERROR_DATA, "manifest.json: the classes are repeated, too few or out of order");
}

static bool read_numbers(const json_t *manifest, struct lvn_package_recipe *recipe, struct lvn_error *err) {
  for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
    const json_t *value = json_object_get(json_object_get(manifest, numbers[i].section), numbers[i].key);
    double number = json_number_value(value);
    if (!json_is_number(value) || !(number >= numbers[i].minimum && number <= numbers[i].maximum)) {
      return lvn_error_set(err, LVN_ERROR_DATA, "manifest.json: %s.%s is missing or out of range", numbers[i].section,
                           numbers[i].key);
    }
    memcpy((char *)recipe + numbers[i].offset, &number, sizeof number);
  }
  json_int_t slices =
      json_integer_value(json_object_get(json_object_get(manifest, "preprocessing"), "crop_max_slices"));
  json_int_t joint = json_integer_value(json_object_get(json_object_get(manifest, "architecture"), "joint_size"));
  json_int_t side = json_integer_value(json_object_get(json_object_get(manifest, "preprocessing"), "side"));
  const json_t *architecture = json_object_get(manifest, "architecture");
  const json_t *named = json_object_get(architecture, "encoder");
  /* Packages of format 1 made by 0.1.0 call it the trunk. */
  const char *encoder = json_string_value(named != NULL ? named : json_object_get(architecture, "trunk"));
  if (slices < 1 || slices > 1000 || joint < 1 || joint > 65536 || side != LVN_CROP_SIDE || encoder == NULL ||
      !lvn_copy(recipe->encoder, sizeof recipe->encoder, encoder)) {
    return lvn_error_set(err, LVN_ERROR_DATA, "manifest.json: architecture or preprocessing is not supported");
  }
  recipe->crop.max_slices = (uint32_t)slices;
  recipe->joint_size = (size_t)joint;
  return recipe->window_high_hu > recipe->window_low_hu ||
         lvn_error_set(err, LVN_ERROR_DATA, "manifest.json: the HU window is empty");
}

/* "abstention": {"outlier": {"terms": [{"term", "mean", "deviation"}, …], "limit", "false_alarm_rate"}} */
static bool read_outlier(const json_t *manifest, struct lvn_package_recipe *recipe, struct lvn_error *err) {
  const json_t *outlier = json_object_get(json_object_get(manifest, "abstention"), "outlier");
  const json_t *terms = json_object_get(outlier, "terms");
  const json_t *limit = json_object_get(outlier, "limit");
  const json_t *rate = json_object_get(outlier, "false_alarm_rate");
  use_distance(recipe);
  if (outlier == NULL) {
    return true;
  }
  bool good = json_array_size(terms) >= 1 && json_array_size(terms) <= LVN_OUTLIER_PARTS_MAX && json_is_number(limit);
  for (size_t i = 0; good && i < json_array_size(terms); i++) {
    const json_t *term = json_array_get(terms, i);
    const char *name = json_string_value(json_object_get(term, "term"));
    struct lvn_outlier_rule one;
    good = name != NULL && lvn_outlier_rule_parse(name, &one) && one.term_count == 1 &&
           json_number_value(json_object_get(term, "deviation")) > 0.0 && json_is_number(json_object_get(term, "mean"));
    if (good) {
      recipe->outlier.parts[i] =
          (struct lvn_outlier_part){one.parts[0].term, json_number_value(json_object_get(term, "mean")),
                                    json_number_value(json_object_get(term, "deviation"))};
    }
  }
  recipe->outlier.term_count = json_array_size(terms);
  recipe->outlier.limit = json_number_value(limit);
  recipe->outlier.false_alarm_rate = json_is_number(rate) ? json_number_value(rate) : (double)NAN;
  return good || lvn_error_set(err, LVN_ERROR_DATA, "manifest.json: abstention.outlier is malformed");
}

/* "abstention": {"least_diameter_mm", "least_pixels_across"}: packages of 1.x do not say, and the defaults stand. */
static bool read_floor(const json_t *manifest, struct lvn_package_recipe *recipe, struct lvn_error *err) {
  const json_t *abstention = json_object_get(manifest, "abstention");
  const json_t *diameter = json_object_get(abstention, "least_diameter_mm");
  const json_t *pixels = json_object_get(abstention, "least_pixels_across");
  recipe->least_diameter_mm = json_is_number(diameter) ? json_number_value(diameter) : recipe->least_diameter_mm;
  recipe->least_pixels_across = json_is_number(pixels) ? json_number_value(pixels) : recipe->least_pixels_across;
  return (recipe->least_diameter_mm >= 0.0 && recipe->least_diameter_mm <= 100.0 &&
          recipe->least_pixels_across >= 0.0 && recipe->least_pixels_across <= 200.0) ||
         lvn_error_set(err, LVN_ERROR_DATA, "manifest.json: abstention.least_… is out of range");
}

/* "calibration": {"conformal_limit", "conformal_coverage"}, which packages of 1.x do not have. */
static void read_conformal(const json_t *manifest, struct lvn_package_recipe *recipe) {
  const json_t *calibration = json_object_get(manifest, "calibration");
  const json_t *limit = json_object_get(calibration, "conformal_limit");
  const json_t *coverage = json_object_get(calibration, "conformal_coverage");
  bool both = json_is_number(limit) && json_is_number(coverage);
  recipe->conformal_limit = both ? json_number_value(limit) : (double)NAN;
  recipe->conformal_coverage = both ? json_number_value(coverage) : (double)NAN;
}

/* "explanation": {"map_share_limit"}, which older packages do not have. */
static void read_explanation(const json_t *manifest, struct lvn_package_recipe *recipe) {
  const json_t *limit = json_object_get(json_object_get(manifest, "explanation"), "map_share_limit");
  double value = json_number_value(limit);
  recipe->map_share_limit = json_is_number(limit) && value >= 0.0 && value <= 1.0 ? value : MAP_SHARE_LIMIT;
}

/* "measurements": {"names": […], "weight"}: trees over what is measured in a lesion, which packages of 1.x do not have.
 */
static json_t *measurement_names(void) {
  json_t *names = json_array();
  for (size_t i = 0; i < LVN_MEASUREMENT_COUNT; i++) {
    (void)json_array_append_new(names, json_string(lvn_measurement_name(i)));
  }
  return names;
}

static bool read_measurements(const json_t *manifest, struct lvn_package_recipe *recipe, struct lvn_error *err) {
  const json_t *measurements = json_object_get(manifest, "measurements");
  double weight = json_number_value(json_object_get(measurements, "weight"));
  if (measurements == NULL) {
    return true;
  }
  if (!is_same_list(measurements, "names", measurement_names()) || !(weight >= 0.0 && weight <= 1e3)) {
    return lvn_error_set(err, LVN_ERROR_DATA, "manifest.json: the measurements are not this program's");
  }
  recipe->measurement_weight = weight;
  return true;
}

static json_t *write_outlier(const struct lvn_outlier_rule *rule) {
  json_t *terms = json_array();
  for (size_t i = 0; i < rule->term_count; i++) {
    (void)json_array_append_new(terms, json_pack("{s:s,s:f,s:f}", "term", term_names[rule->parts[i].term], "mean",
                                                 rule->parts[i].mean, "deviation", rule->parts[i].deviation));
  }
  json_t *outlier = json_pack("{s:o,s:f}", "terms", terms, "limit", fmin(rule->limit, 1e12));
  if (isfinite(rule->false_alarm_rate)) {
    (void)json_object_set_new(outlier, "false_alarm_rate", json_real(rule->false_alarm_rate));
  }
  return outlier;
}

static bool get_text(const json_t *manifest, const char *key, char *target, size_t target_bytes,
                     struct lvn_error *err) {
  const char *text = json_string_value(json_object_get(manifest, key));
  if (text == NULL || text[0] == '\0' || !lvn_copy(target, target_bytes, text)) {
    return lvn_error_set(err, LVN_ERROR_DATA, "manifest.json: '%s' is missing or too long", key);
  }
  return true;
}

static bool read_manifest(struct lvn_package *package, struct lvn_error *err) {
  const json_t *manifest = package->manifest;
  const char *format = json_string_value(json_object_get(manifest, "format"));
  if (format == NULL || strcmp(format, FORMAT) != 0 ||
      json_integer_value(json_object_get(manifest, "format_version")) != FORMAT_VERSION) {
    return lvn_error_set(err, LVN_ERROR_DATA, "manifest.json: not a model package of this version");
  }
  lvn_package_recipe_default(&package->recipe);
  if (!read_classes(manifest, &package->recipe, err)) {
    return false;
  }
  if (!is_same_list(manifest, "orders", permutation_names())) {
    return lvn_error_set(err, LVN_ERROR_DATA, "manifest.json: orders are not this program's");
  }
  read_conformal(manifest, &package->recipe);
  read_explanation(manifest, &package->recipe);
  return get_text(manifest, "name", package->name, sizeof package->name, err) &&
         get_text(manifest, "version", package->version, sizeof package->version, err) &&
         get_text(manifest, "trained_on", package->trained_on, sizeof package->trained_on, err) &&
         get_text(manifest, "licence", package->licence, sizeof package->licence, err) &&
         read_numbers(manifest, &package->recipe, err) && read_floor(manifest, &package->recipe, err) &&
         read_outlier(manifest, &package->recipe, err) && read_measurements(manifest, &package->recipe, err);
}

static bool check_file(const struct lvn_package *package, const char *name, const json_t *digest,
                       struct lvn_error *err) {
  char path[LVN_PATH_BYTES];
  uint8_t expected[LVN_SHA256_BYTES];
  uint8_t found[LVN_SHA256_BYTES];
  const char *text = json_string_value(digest);
  if (text == NULL || !lvn_sha256_from_text(text, expected) || strchr(name, '/') != NULL || name[0] == '.') {
    return lvn_error_set(err, LVN_ERROR_DATA, "manifest.json: entry of file '%.100s' is malformed", name);
  }
  if (!lvn_path_join(path, package->folder, name, err) || !lvn_sha256_of_file(path, found, err)) {
    return false;
  }
  if (memcmp(expected, found, sizeof found) != 0) {
    return lvn_error_set(err, LVN_ERROR_DATA, "file '%.100s' is not the one the manifest names", name);
  }
  return true;
}

/* All that is listed is there and unchanged, and nothing else is there. */
static bool check_files(const struct lvn_package *package, struct lvn_error *err) {
  json_t *files = json_object_get(package->manifest, "files");
  const char *name = NULL;
  json_t *digest = NULL;
  if (json_object_get(files, LVN_PACKAGE_WEIGHTS) == NULL || json_object_get(files, LVN_PACKAGE_VECTORS) == NULL) {
    return lvn_error_set(err, LVN_ERROR_DATA, "manifest.json: weights or test vectors are not listed");
  }
  json_object_foreach(files, name, digest) {
    if (!check_file(package, name, digest, err)) {
      return false;
    }
  }
  struct lvn_file_names names = {0};
  bool good = lvn_file_list(package->folder, FILES_MAX, &names, err);
  for (size_t i = 0; good && i < names.count; i++) {
    if (strcmp(names.names[i], LVN_PACKAGE_MANIFEST) != 0 && strcmp(names.names[i], LVN_PACKAGE_SIGNATURE) != 0 &&
        json_object_get(files, names.names[i]) == NULL) {
      good = lvn_error_set(err, LVN_ERROR_DATA, "file '%.100s' is not listed in the manifest", names.names[i]);
    }
  }
  lvn_file_names_clear(&names);
  return good;
}

static bool name_device(struct lvn_package *package, struct lvn_error *err) {
  char digest[LVN_SHA256_TEXT_BYTES];
  lvn_sha256_to_text(package->manifest_sha256, digest);
  const char *parts[] = {"livervlm-model", digest};
  return lvn_uid_from_parts(parts, 2, package->device_uid, err);
}

bool lvn_package_open(const char *folder, struct lvn_package *ret_package, struct lvn_error *err) {
  char path[LVN_PATH_BYTES];
  struct lvn_package package = {0};
  if (!lvn_copy(package.folder, sizeof package.folder, folder) ||
      !lvn_path_join(path, folder, LVN_PACKAGE_MANIFEST, err)) {
    return lvn_error_set(err, LVN_ERROR_DATA, "path of the model package is too long");
  }
  if (!lvn_sha256_of_file(path, package.manifest_sha256, err)) {
    return lvn_error_prefix(err, "model package");
  }
  package.manifest = lvn_json_read(path, MANIFEST_BYTES_MAX, err);
  if (package.manifest == NULL || !read_manifest(&package, err) || !check_files(&package, err) ||
      !name_device(&package, err)) {
    lvn_package_clear(&package);
    return lvn_error_prefix(err, "model package '%.200s'", folder);
  }
  *ret_package = package;
  return true;
}

void lvn_package_clear(struct lvn_package *package) {
  json_decref(package->manifest);
  *package = (struct lvn_package){0};
}

static json_t *write_recipe(json_t *manifest, const struct lvn_package_recipe *recipe) {
  json_t *architecture =
      json_pack("{s:s,s:I}", "encoder", recipe->encoder, "joint_size", (json_int_t)recipe->joint_size);
  json_t *preprocessing = json_pack(
      "{s:i,s:i,s:s}", "side", LVN_CROP_SIDE, "crop_max_slices", (int)recipe->crop.max_slices, "resize",
      "each phase once, trilinear from its voxels at the samples of one box; averaged where pixels are smaller");
  (void)json_object_set_new(manifest, "architecture", architecture);
  (void)json_object_set_new(manifest, "preprocessing", preprocessing);
  (void)json_object_set_new(manifest, "calibration", json_object());
  (void)json_object_set_new(manifest, "abstention", json_object());
  for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
    double number = 0.0;
    memcpy(&number, (const char *)recipe + numbers[i].offset, sizeof number);
    (void)json_object_set_new(json_object_get(manifest, numbers[i].section), numbers[i].key,
                              json_real(fmin(number, numbers[i].maximum)));
  }
  if (isfinite(recipe->conformal_limit)) {
    json_t *calibration = json_object_get(manifest, "calibration");
    (void)json_object_set_new(calibration, "conformal_limit", json_real(recipe->conformal_limit));
    (void)json_object_set_new(calibration, "conformal_coverage", json_real(recipe->conformal_coverage));
  }
  (void)json_object_set_new(json_object_get(manifest, "abstention"), "least_diameter_mm",
                            json_real(recipe->least_diameter_mm));
  (void)json_object_set_new(json_object_get(manifest, "abstention"), "least_pixels_across",
                            json_real(recipe->least_pixels_across));
  (void)json_object_set_new(json_object_get(manifest, "abstention"), "outlier", write_outlier(&recipe->outlier));
  (void)json_object_set_new(manifest, "explanation", json_pack("{s:f}", "map_share_limit", recipe->map_share_limit));
  if (recipe->measurement_weight > 0.0) {
    (void)json_object_set_new(
        manifest, "measurements",
        json_pack("{s:o,s:f}", "names", measurement_names(), "weight", recipe->measurement_weight));
  }
  return manifest;
}

static json_t *hash_files(const char *folder, struct lvn_error *err) {
  struct lvn_file_names names = {0};
  json_t *files = json_object();
  bool good = lvn_file_list(folder, FILES_MAX, &names, err);
  for (size_t i = 0; good && i < names.count; i++) {
    char path[LVN_PATH_BYTES];
    uint8_t sha256[LVN_SHA256_BYTES];
    char digest[LVN_SHA256_TEXT_BYTES];
    good = lvn_path_join(path, folder, names.names[i], err) && lvn_sha256_of_file(path, sha256, err);
    if (good) {
      lvn_sha256_to_text(sha256, digest);
      (void)json_object_set_new(files, names.names[i], json_string(digest));
    }
  }
  lvn_file_names_clear(&names);
  if (!good) {
    json_decref(files);
    return NULL;
  }
  return files;
}

bool lvn_package_seal(const char *folder, const struct lvn_package_description *description, struct lvn_error *err) {
  char path[LVN_PATH_BYTES];
  char now[LVN_TIME_TEXT_BYTES];
  if (!lvn_path_join(path, folder, LVN_PACKAGE_MANIFEST, err)) {
    return false;
  }
  if (lvn_file_exists(path)) {
    return lvn_error_set(err, LVN_ERROR_CONFLICT, "'%.300s' is sealed already; packages are immutable", folder);
  }
  json_t *files = hash_files(folder, err);
  if (files == NULL) {
    return false;
  }
  const unsigned classes = description->recipe->classes;
  lvn_clock_format_utc(lvn_clock_wall_ms(), now);
  LVN_CLEANUP(lvn_json_cleanup)
  json_t *manifest = json_pack(
      "{s:s,s:i,s:s,s:s,s:s,s:s,s:s,s:o,s:o,s:o,s:o,s:O?,s:O?}", "format", FORMAT, "format_version", FORMAT_VERSION,
      "name", description->name, "version", description->version, "created", now, "trained_on", description->trained_on,
      "licence", description->licence, "files", files, "classes", class_names(classes), "orders", permutation_names(),
      "prompts", prompt_texts(classes), "text_encoder", description->text_encoder, "training", description->training);
  if (manifest == NULL) {
    return lvn_error_set(err, LVN_ERROR_DATA, "package description is not UTF-8");
  }
  return lvn_json_write(path, write_recipe(manifest, description->recipe), err);
}
