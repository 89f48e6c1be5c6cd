#include "model/dataset/dataset.h"

#include "base/file.h"
#include "base/memory.h"
#include "model/dataset/dataset_format.h"
#include "model/tensor/json.h"
#include "model/tensor/safetensors.h"

#include <math.h>
#include <string.h>

#define SAMPLES ((size_t)LVN_CROP_SIDE * LVN_CROP_SIDE)
#define MANIFEST_BYTES_MAX (1024UL * 1024UL * 1024UL)
#define SLICES_MAX 4096

struct lvn_dataset {
  char (*folders)[LVN_PATH_BYTES];
  char source[256];
  uint8_t sha256[LVN_SHA256_BYTES];
  size_t count;
  struct lvn_dataset_lesion *lesions;
  struct image_list *images; /* one for each lesion */
  size_t *folder_of;         /* likewise */
};

struct image_list {
  uint8_t *sha256; /* owned */
  size_t count;
};

bool lvn_dataset_key_is_valid(const char *key) {
  static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
  size_t length = strlen(key);
  return length > 0 && length < LVN_DATASET_KEY_BYTES && key[0] != '.' && strspn(key, allowed) == length;
}

bool lvn_dataset_lesion_path(const char *folder, const char *lesion_id, char ret_path[LVN_PATH_BYTES],
                             struct lvn_error *err) {
  LVN_AUTOFREE char *name = lvn_format(err, "%s/%s.safetensors", LVN_DATASET_FOLDER, lesion_id);
  return name != NULL && lvn_path_join(ret_path, folder, name, err);
}

static bool get_text(const json_t *entry, const char *key, char *target, size_t target_bytes) {
  const char *text = json_string_value(json_object_get(entry, key));
  return text != NULL && lvn_copy(target, target_bytes, text);
}

static bool get_count(const json_t *entry, const char *key, size_t max, size_t *ret_value) {
  const json_t *value = json_object_get(entry, key);
  if (!json_is_integer(value) || json_integer_value(value) < 0 || (size_t)json_integer_value(value) > max) {
    return false;
  }
  *ret_value = (size_t)json_integer_value(value);
  return true;
}

/* What a data set made of phantoms, or by hand, may leave out. */
static bool get_optional(const json_t *entry, struct lvn_dataset_lesion *lesion) {
  const char *pixels = json_string_value(json_object_get(entry, "pixel_sha256"));
  const char *reference = json_string_value(json_object_get(entry, "reference_standard"));
  lesion->long_axis_mm = json_number_value(json_object_get(entry, "long_axis_mm"));
  lesion->slice_thickness_mm = json_number_value(json_object_get(entry, "slice_thickness_mm"));
  return (pixels == NULL || lvn_sha256_from_text(pixels, lesion->pixel_sha256)) &&
         lvn_copy(lesion->reference_standard, sizeof lesion->reference_standard, reference == NULL ? "" : reference);
}

/* Only a data set that was made with the delayed phase names it. */
static void read_delayed(const json_t *entry, struct lvn_dataset_lesion *lesion) {
  const json_t *delayed = json_object_get(entry, "delayed");
  const json_t *mean = json_object_get(delayed, "mean_hu");
  lesion->delayed_present = json_is_object(delayed);
  lesion->delayed_mean_hu = json_is_number(mean) ? json_number_value(mean) : NAN;
}

/* "images": [{"pixel_sha256": …}, …] */
static bool read_images(const json_t *entry, struct image_list *images, struct lvn_error *err) {
  const json_t *list = json_object_get(entry, "images");
  images->sha256 = lvn_alloc(json_array_size(list), LVN_SHA256_BYTES, err);
  if (images->sha256 == NULL) {
    return false;
  }
  for (; images->count < json_array_size(list); images->count++) {
    const char *text = json_string_value(json_object_get(json_array_get(list, images->count), "pixel_sha256"));
    if (text == NULL || !lvn_sha256_from_text(text, images->sha256 + images->count * LVN_SHA256_BYTES)) {
      return lvn_error_set(err, LVN_ERROR_DATA, "image %zu of a lesion has no digest", images->count + 1);
    }
  }
  return true;
}

/* An outlier of a kind that can be a class is of that class: what it is to a model is the recipe's to say. */
static bool read_label(const char *text, const char *subtype, enum lvn_class *ret_class) {
  bool is_outlier = strcmp(text, lvn_class_name(LVN_CLASS_OUTLIER)) == 0;
  bool is_known = lvn_class_from_name(is_outlier ? subtype : text, ret_class);
  *ret_class = is_known ? *ret_class : LVN_CLASS_OUTLIER;
  return is_outlier || is_known;
}

static bool read_lesion(const json_t *entry, struct lvn_dataset_lesion *lesion) {
  char text[LVN_SHA256_TEXT_BYTES];
  const json_t *present = json_object_get(entry, "phases_present");
  const json_t *means = json_object_get(entry, "mean_hu");
  size_t fold = 0;
  if (!get_text(entry, "id", lesion->lesion_id, sizeof lesion->lesion_id) ||
      !lvn_dataset_key_is_valid(lesion->lesion_id) ||
      !get_text(entry, "patient", lesion->patient_key, sizeof lesion->patient_key) ||
      !get_text(entry, "subtype", lesion->subtype, sizeof lesion->subtype) || !get_optional(entry, lesion) ||
      !get_text(entry, "class", text, sizeof text) || !read_label(text, lesion->subtype, &lesion->lesion_class) ||
      !get_count(entry, "fold", 1000, &fold) || !get_count(entry, "slices", SLICES_MAX, &lesion->slice_count) ||
      !get_count(entry, "key_slice", SLICES_MAX, &lesion->key_slice) || lesion->key_slice >= lesion->slice_count ||
      !get_text(entry, "sha256", text, sizeof text) || !lvn_sha256_from_text(text, lesion->sha256) ||
      json_array_size(present) != LVN_PHASE_NETWORK_COUNT || json_array_size(means) != LVN_PHASE_NETWORK_COUNT) {
    return false;
  }
  lesion->fold = (unsigned)fold;
  read_delayed(entry, lesion);
  lesion->side_mm = json_number_value(json_object_get(entry, "side_mm"));
  for (size_t phase = 0; phase < LVN_PHASE_NETWORK_COUNT; phase++) {
    const json_t *mean = json_array_get(means, phase);
    lesion->phase_present[phase] = json_is_true(json_array_get(present, phase));
    lesion->mean_hu[phase] = json_is_number(mean) ? json_number_value(mean) : NAN;
  }
  return true;
}

/* Room for more lesions behind those that are there. */
static bool make_room(struct lvn_dataset *dataset, size_t more, struct lvn_error *err) {
  size_t total = dataset->count + more;
  struct lvn_dataset_lesion *lesions = lvn_alloc(total, sizeof *lesions, err);
  struct image_list *images = lvn_alloc(total, sizeof *images, err);
  size_t *folder_of = lvn_alloc(total, sizeof *folder_of, err);
  if (lesions == NULL || images == NULL || folder_of == NULL) {
    lvn_free(lesions);
    lvn_free(images);
    lvn_free(folder_of);
    return false;
  }
  for (size_t i = 0; i < dataset->count; i++) {
    lesions[i] = dataset->lesions[i];
    images[i] = dataset->images[i];
    folder_of[i] = dataset->folder_of[i];
  }
  lvn_free(dataset->lesions);
  lvn_free(dataset->images);
  lvn_free(dataset->folder_of);
  dataset->lesions = lesions;
  dataset->images = images;
  dataset->folder_of = folder_of;
  return true;
}

static bool read_manifest(struct lvn_dataset *dataset, const json_t *manifest, size_t folder, struct lvn_error *err) {
  const char *path = dataset->folders[folder];
  const json_t *lesions = json_object_get(manifest, "lesions");
  const char *format = json_string_value(json_object_get(manifest, "format"));
  size_t version = 0;
  size_t side = 0;
  if (format == NULL || strcmp(format, LVN_DATASET_FORMAT) != 0 || !get_count(manifest, "version", 1000, &version) ||
      version != LVN_DATASET_VERSION || !get_count(manifest, "side", 1U << 16U, &side) || side != LVN_CROP_SIDE ||
      !json_is_array(lesions) || json_array_size(lesions) > LVN_DATASET_LESIONS_MAX ||
      !get_text(manifest, "source", dataset->source, sizeof dataset->source)) {
    return lvn_error_set(err, LVN_ERROR_DATA, "'%.300s' is not a data set of this version", path);
  }
  if (!make_room(dataset, json_array_size(lesions), err)) {
    return false;
  }
  for (size_t i = 0; i < json_array_size(lesions); i++) {
    if (!read_lesion(json_array_get(lesions, i), &dataset->lesions[dataset->count])) {
      return lvn_error_set(err, LVN_ERROR_DATA, "'%.300s': lesion %zu of the manifest is malformed", path, i + 1);
    }
    dataset->folder_of[dataset->count] = folder;
    if (!read_images(json_array_get(lesions, i), &dataset->images[dataset->count++], err)) {
      return lvn_error_prefix(err, "'%.300s': lesion %zu", path, i + 1);
    }
  }
  return true;
}

static bool open_one(struct lvn_dataset *dataset, size_t folder, uint8_t ret_sha256[LVN_SHA256_BYTES],
                     struct lvn_error *err) {
  char path[LVN_PATH_BYTES];
  LVN_CLEANUP(lvn_json_cleanup)
  json_t *manifest = lvn_path_join(path, dataset->folders[folder], LVN_DATASET_MANIFEST, err)
                         ? lvn_json_read(path, MANIFEST_BYTES_MAX, err)
                         : NULL;
  return manifest != NULL && lvn_sha256_of_file(path, ret_sha256, err) && read_manifest(dataset, manifest, folder, err);
}

bool lvn_dataset_open(const char *folder, struct lvn_dataset **ret_dataset, struct lvn_error *err) {
  return lvn_dataset_open_all(&folder, 1, ret_dataset, err);
}

bool lvn_dataset_open_all(const char *const *folders, size_t folder_count, struct lvn_dataset **ret_dataset,
                          struct lvn_error *err) {
  LVN_AUTOFREE uint8_t *digests = lvn_alloc(folder_count, LVN_SHA256_BYTES, err);
  struct lvn_dataset *dataset = lvn_alloc(1, sizeof *dataset, err);
  if (digests == NULL || dataset == NULL) {
    lvn_free(dataset);
    return false;
  }
  dataset->folders = lvn_alloc(folder_count, sizeof *dataset->folders, err);
  bool good = dataset->folders != NULL;
  for (size_t i = 0; good && i < folder_count; i++) {
    (void)lvn_copy(dataset->folders[i], sizeof dataset->folders[i], folders[i]);
    good = open_one(dataset, i, digests + i * LVN_SHA256_BYTES, err);
  }
  if (good && folder_count == 1) {
    memcpy(dataset->sha256, digests, LVN_SHA256_BYTES);
  } else if (good) {
    good = lvn_sha256_of(digests, folder_count * LVN_SHA256_BYTES, dataset->sha256, err);
  }
  if (!good) {
    lvn_dataset_close(dataset);
    return false;
  }
  *ret_dataset = dataset;
  return true;
}

void lvn_dataset_close(struct lvn_dataset *dataset) {
  if (dataset != NULL) {
    for (size_t i = 0; dataset->images != NULL && i < dataset->count; i++) {
      lvn_free(dataset->images[i].sha256);
    }
    lvn_free(dataset->images);
    lvn_free(dataset->lesions);
    lvn_free(dataset->folder_of);
    lvn_free(dataset->folders);
    lvn_free(dataset);
  }
}

size_t lvn_dataset_count(const struct lvn_dataset *dataset) {
  return dataset->count;
}

const struct lvn_dataset_lesion *lvn_dataset_get(const struct lvn_dataset *dataset, size_t index) {
  return &dataset->lesions[index];
}

const char *lvn_dataset_source(const struct lvn_dataset *dataset) {
  return dataset->source;
}

const uint8_t *lvn_dataset_images(const struct lvn_dataset *dataset, size_t index, size_t *ret_count) {
  *ret_count = dataset->images[index].count;
  return dataset->images[index].sha256;
}

size_t lvn_dataset_folder(const struct lvn_dataset *dataset, size_t index) {
  return dataset->folder_of[index];
}

const uint8_t *lvn_dataset_pixels(const struct lvn_dataset *dataset, size_t index) {
  static const uint8_t none[LVN_SHA256_BYTES] = {0};
  const struct lvn_dataset_lesion *lesion = &dataset->lesions[index];
  return memcmp(lesion->pixel_sha256, none, sizeof none) != 0 ? lesion->pixel_sha256 : lesion->sha256;
}

const uint8_t *lvn_dataset_sha256(const struct lvn_dataset *dataset) {
  return dataset->sha256;
}

static bool fill_delayed(const struct lvn_tensor *delayed, struct lvn_crop *crop, struct lvn_error *err) {
  for (size_t i = 0; i < crop->slice_count; i++) {
    crop->slices[i].delayed = lvn_alloc(SAMPLES, sizeof *crop->slices[i].delayed, err);
    if (crop->slices[i].delayed == NULL) {
      return false;
    }
    memcpy(crop->slices[i].delayed, (const uint8_t *)delayed->data + i * SAMPLES * sizeof *crop->slices[i].delayed,
           SAMPLES * sizeof *crop->slices[i].delayed);
  }
  crop->delayed_present = true;
  return true;
}

static bool fill_crop(const struct lvn_dataset_lesion *lesion, const struct lvn_tensor *hounsfield,
                      const struct lvn_tensor *mask, struct lvn_crop *crop, struct lvn_error *err) {
  size_t slice_samples = LVN_PHASE_NETWORK_COUNT * SAMPLES;
  crop->slices = lvn_alloc(lesion->slice_count, sizeof *crop->slices, err);
  if (crop->slices == NULL) {
    return false;
  }
  crop->slice_count = lesion->slice_count;
  crop->key_slice = lesion->key_slice;
  crop->side_mm = lesion->side_mm;
  crop->sample_spacing_mm = lesion->side_mm / LVN_CROP_SIDE;
  memcpy(crop->phase_present, lesion->phase_present, sizeof crop->phase_present);
  for (size_t i = 0; i < crop->slice_count; i++) {
    struct lvn_crop_slice *slice = &crop->slices[i];
    slice->hounsfield = lvn_alloc(slice_samples, sizeof *slice->hounsfield, err);
    slice->mask = lvn_alloc(SAMPLES, 1, err);
    if (slice->hounsfield == NULL || slice->mask == NULL) {
      return false;
    }
    memcpy(slice->hounsfield, (const uint8_t *)hounsfield->data + i * slice_samples * sizeof *slice->hounsfield,
           slice_samples * sizeof *slice->hounsfield);
    memcpy(slice->mask, (const uint8_t *)mask->data + i * SAMPLES, SAMPLES);
  }
  return true;
}

static bool load_pixels(const struct lvn_dataset_lesion *lesion, const struct lvn_safetensors *file,
                        struct lvn_crop *ret_crop, struct lvn_error *err) {
  const struct lvn_tensor *hounsfield = NULL;
  const struct lvn_tensor *mask = NULL;
  const struct lvn_tensor *delayed = NULL;
  const uint64_t shape[4] = {lesion->slice_count, LVN_PHASE_NETWORK_COUNT, LVN_CROP_SIDE, LVN_CROP_SIDE};
  const uint64_t mask_shape[3] = {lesion->slice_count, LVN_CROP_SIDE, LVN_CROP_SIDE};
  struct lvn_crop crop = {0};
  if (!lvn_safetensors_require(file, "hounsfield", LVN_DTYPE_I16, 4, shape, &hounsfield, err) ||
      !lvn_safetensors_require(file, "mask", LVN_DTYPE_U8, 3, mask_shape, &mask, err) ||
      (lesion->delayed_present &&
       !lvn_safetensors_require(file, "delayed", LVN_DTYPE_I16, 3, mask_shape, &delayed, err))) {
    return false;
  }
  if (!fill_crop(lesion, hounsfield, mask, &crop, err) ||
      (lesion->delayed_present && !fill_delayed(delayed, &crop, err))) {
    lvn_crop_clear(&crop);
    return false;
  }
  *ret_crop = crop;
  return true;
}

bool lvn_dataset_load(const struct lvn_dataset *dataset, size_t index, struct lvn_crop *ret_crop,
                      struct lvn_error *err) {
  const struct lvn_dataset_lesion *lesion = &dataset->lesions[index];
  char path[LVN_PATH_BYTES];
  LVN_AUTOFREE uint8_t *data = NULL;
  size_t bytes = 0;
  uint8_t sha256[LVN_SHA256_BYTES];
  struct lvn_safetensors *file = NULL;
  if (!lvn_dataset_lesion_path(dataset->folders[dataset->folder_of[index]], lesion->lesion_id, path, err) ||
      !lvn_file_read(path, (size_t)SLICES_MAX * SAMPLES * 10U, &data, &bytes, err) ||
      !lvn_sha256_of(data, bytes, sha256, err)) {
    return false;
  }
  if (memcmp(sha256, lesion->sha256, sizeof sha256) != 0) {
    return lvn_error_set(err, LVN_ERROR_DATA, "lesion '%s': its file is not the one the manifest names",
                         lesion->lesion_id);
  }
  bool good = lvn_safetensors_parse(data, bytes, &file, err) && load_pixels(lesion, file, ret_crop, err);
  lvn_safetensors_close(file);
  return good || lvn_error_prefix(err, "lesion '%s'", lesion->lesion_id);
}
