#include "model/dataset/dataset.h"

#include "base/file.h"
#include "base/memory.h"
#include "model/dataset/dataset_format.h"
#include "model/tensor/json.h"
#include "model/tensor/safetensors.h"

#include <math.h>
#include <string.h>

#define SAMPLES ((size_t)LVN_CROP_SIDE * LVN_CROP_SIDE)

struct lvn_dataset_writer {
  char folder[LVN_PATH_BYTES];
  json_t *manifest;
  json_t *lesions; /* joins the manifest at the end, behind its head */
};

static json_t *new_manifest(const char *source) {
  json_t *phases = json_array();
  for (int phase = 0; phase < LVN_PHASE_NETWORK_COUNT; phase++) {
    (void)json_array_append_new(phases, json_string(lvn_phase_name((enum lvn_phase)phase)));
  }
  return json_pack("{s:s,s:i,s:s,s:i,s:o}", "format", LVN_DATASET_FORMAT, "version", LVN_DATASET_VERSION, "source",
                   source, "side", LVN_CROP_SIDE, "phases", phases);
}

bool lvn_dataset_writer_open(const char *folder, const char *source, struct lvn_dataset_writer **ret_writer,
                             struct lvn_error *err) {
  char path[LVN_PATH_BYTES];
  if (!lvn_path_join(path, folder, LVN_DATASET_MANIFEST, err)) {
    return false;
  }
  if (lvn_file_exists(path)) {
    return lvn_error_set(err, LVN_ERROR_CONFLICT, "'%.300s' already holds a data set", folder);
  }
  if (!lvn_path_join(path, folder, LVN_DATASET_FOLDER, err) || !lvn_file_make_folder(path, 0755, err)) {
    return false;
  }
  struct lvn_dataset_writer *writer = lvn_alloc(1, sizeof *writer, err);
  if (writer == NULL) {
    return false;
  }
  (void)lvn_copy(writer->folder, sizeof writer->folder, folder);
  writer->manifest = new_manifest(source);
  writer->lesions = json_array();
  if (writer->manifest == NULL || writer->lesions == NULL) {
    lvn_dataset_writer_abandon(writer);
    return lvn_error_set(err, LVN_ERROR_DATA, "data set source is not UTF-8");
  }
  *ret_writer = writer;
  return true;
}

static bool write_pixels(const char *path, const struct lvn_crop *crop, struct lvn_error *err) {
  size_t plane_count = crop->slice_count * LVN_PHASE_NETWORK_COUNT;
  LVN_AUTOFREE int16_t *hounsfield = lvn_alloc(plane_count * SAMPLES, sizeof *hounsfield, err);
  LVN_AUTOFREE int16_t *delayed = lvn_alloc(crop->slice_count * SAMPLES, sizeof *delayed, err);
  LVN_AUTOFREE uint8_t *mask = lvn_alloc(crop->slice_count * SAMPLES, 1, err);
  if (hounsfield == NULL || delayed == NULL || mask == NULL) {
    return false;
  }
  for (size_t i = 0; i < crop->slice_count; i++) {
    memcpy(hounsfield + i * LVN_PHASE_NETWORK_COUNT * SAMPLES, crop->slices[i].hounsfield,
           LVN_PHASE_NETWORK_COUNT * SAMPLES * sizeof *hounsfield);
    memcpy(mask + i * SAMPLES, crop->slices[i].mask, SAMPLES);
    if (crop->delayed_present) {
      memcpy(delayed + i * SAMPLES, crop->slices[i].delayed, SAMPLES * sizeof *delayed);
    }
  }
  const struct lvn_tensor tensors[] = {
      {.name = "hounsfield",
       .dtype = LVN_DTYPE_I16,
       .rank = 4,
       .shape = {crop->slice_count, LVN_PHASE_NETWORK_COUNT, LVN_CROP_SIDE, LVN_CROP_SIDE},
       .element_count = plane_count * SAMPLES,
       .data = hounsfield},
      {.name = "mask",
       .dtype = LVN_DTYPE_U8,
       .rank = 3,
       .shape = {crop->slice_count, LVN_CROP_SIDE, LVN_CROP_SIDE},
       .element_count = crop->slice_count * SAMPLES,
       .data = mask},
      {.name = "delayed",
       .dtype = LVN_DTYPE_I16,
       .rank = 3,
       .shape = {crop->slice_count, LVN_CROP_SIDE, LVN_CROP_SIDE},
       .element_count = crop->slice_count * SAMPLES,
       .data = delayed},
  };
  return lvn_safetensors_write(path, tensors, crop->delayed_present ? 3 : 2, NULL, 0, err);
}

double lvn_dataset_mean_hu(const struct lvn_crop *crop, enum lvn_phase phase) {
  const bool present = phase == LVN_PHASE_DL ? crop->delayed_present : crop->phase_present[phase];
  double sum = 0.0;
  size_t count = 0;
  for (size_t s = 0; s < crop->slice_count && present; s++) {
    const struct lvn_crop_slice *slice = &crop->slices[s];
    const int16_t *plane = phase == LVN_PHASE_DL ? slice->delayed : slice->hounsfield + (size_t)phase * SAMPLES;
    for (size_t i = 0; i < SAMPLES; i++) {
      if (slice->mask[i] != 0 && plane[i] != LVN_DATASET_PADDING_HU) {
        sum += plane[i];
        count++;
      }
    }
  }
  return count == 0 ? (double)NAN : sum / (double)count;
}

/* JSON has no NAN: null stands for it. */
static json_t *real_or_null(double value) {
  return isfinite(value) ? json_real(value) : json_null();
}

static bool hash_pixels(const struct lvn_crop *crop, uint8_t ret_sha256[LVN_SHA256_BYTES], struct lvn_error *err) {
  struct lvn_sha256 *digest = NULL;
  bool good = lvn_sha256_create(&digest, err);
  for (size_t i = 0; good && i < crop->slice_count; i++) {
    good = lvn_sha256_update(digest, crop->slices[i].hounsfield,
                             LVN_PHASE_NETWORK_COUNT * SAMPLES * sizeof *crop->slices[i].hounsfield, err);
  }
  good = good && lvn_sha256_finish(digest, ret_sha256, err);
  lvn_sha256_destroy(digest);
  return good;
}

static json_t *describe(const struct lvn_dataset_lesion *lesion, const struct lvn_crop *crop,
                        const uint8_t sha256[LVN_SHA256_BYTES], const uint8_t pixel_sha256[LVN_SHA256_BYTES]) {
  char digest[LVN_SHA256_TEXT_BYTES];
  char pixels[LVN_SHA256_TEXT_BYTES];
  json_t *present = json_array();
  json_t *means = json_array();
  lvn_sha256_to_text(sha256, digest);
  lvn_sha256_to_text(pixel_sha256, pixels);
  for (int phase = 0; phase < LVN_PHASE_NETWORK_COUNT; phase++) {
    (void)json_array_append_new(present, json_boolean(crop->phase_present[phase]));
    (void)json_array_append_new(means, real_or_null(lvn_dataset_mean_hu(crop, (enum lvn_phase)phase)));
  }
  json_t *entry = json_pack(
      "{s:s,s:s,s:s,s:i,s:s,s:s,s:f,s:f,s:i,s:i,s:f,s:f,s:o,s:o,s:s,s:s}", "id", lesion->lesion_id, "patient",
      lesion->patient_key, "class", lvn_class_name(lesion->lesion_class), "fold", (int)lesion->fold, "subtype",
      lesion->subtype, "reference_standard", lesion->reference_standard, "long_axis_mm", lesion->long_axis_mm,
      "slice_thickness_mm", lesion->slice_thickness_mm, "slices", (int)crop->slice_count, "key_slice",
      (int)crop->key_slice, "slice_weight", 1.0 / (double)crop->slice_count, "side_mm", crop->side_mm, "phases_present",
      present, "mean_hu", means, "sha256", digest, "pixel_sha256", pixels);
  if (entry != NULL && crop->delayed_present) {
    (void)json_object_set_new(entry, "delayed",
                              json_pack("{s:o}", "mean_hu", real_or_null(lvn_dataset_mean_hu(crop, LVN_PHASE_DL))));
  }
  return entry;
}

static bool check_lesion(const struct lvn_dataset_lesion *lesion, const struct lvn_crop *crop, struct lvn_error *err) {
  if (!lvn_dataset_key_is_valid(lesion->lesion_id) || !lvn_dataset_key_is_valid(lesion->patient_key)) {
    return lvn_error_set(err, LVN_ERROR_DATA, "lesion id and patient key: 1-64 letters, digits, '.', '_' or '-'");
  }
  if (crop->slice_count == 0 || (unsigned)lesion->lesion_class >= LVN_DATASET_LABEL_COUNT) {
    return lvn_error_set(err, LVN_ERROR_DATA, "lesion '%s' has no slice or no class", lesion->lesion_id);
  }
  return true;
}

bool lvn_dataset_store(const char *folder, const struct lvn_dataset_lesion *lesion, const struct lvn_crop *crop,
                       const json_t *facts, json_t **ret_entry, struct lvn_error *err) {
  char path[LVN_PATH_BYTES];
  uint8_t sha256[LVN_SHA256_BYTES];
  uint8_t pixel_sha256[LVN_SHA256_BYTES];
  if (!check_lesion(lesion, crop, err) || !lvn_dataset_lesion_path(folder, lesion->lesion_id, path, err) ||
      !write_pixels(path, crop, err) || !lvn_sha256_of_file(path, sha256, err) ||
      !hash_pixels(crop, pixel_sha256, err)) {
    return false;
  }
  json_t *entry = describe(lesion, crop, sha256, pixel_sha256);
  if (entry == NULL || (facts != NULL && json_object_update_missing(entry, (json_t *)(uintptr_t)facts) != 0)) {
    json_decref(entry);
    return lvn_error_set(err, LVN_ERROR_DATA, "lesion '%s': its text is not UTF-8", lesion->lesion_id);
  }
  *ret_entry = entry;
  return true;
}

bool lvn_dataset_writer_append(struct lvn_dataset_writer *writer, json_t *entry, struct lvn_error *err) {
  return json_array_append_new(writer->lesions, entry) == 0 ||
         lvn_error_set(err, LVN_ERROR_NOMEM, "no memory for the manifest");
}

bool lvn_dataset_writer_add(struct lvn_dataset_writer *writer, const struct lvn_dataset_lesion *lesion,
                            const struct lvn_crop *crop, struct lvn_error *err) {
  char path[LVN_PATH_BYTES];
  json_t *entry = NULL;
  if (!check_lesion(lesion, crop, err) || !lvn_dataset_lesion_path(writer->folder, lesion->lesion_id, path, err)) {
    return false;
  }
  if (lvn_file_exists(path)) {
    return lvn_error_set(err, LVN_ERROR_CONFLICT, "lesion '%s' is already there", lesion->lesion_id);
  }
  return lvn_dataset_store(writer->folder, lesion, crop, NULL, &entry, err) &&
         lvn_dataset_writer_append(writer, entry, err);
}

bool lvn_dataset_writer_note(struct lvn_dataset_writer *writer, const char *key, json_t *value, struct lvn_error *err) {
  return json_object_set_new(writer->manifest, key, value) == 0 ||
         lvn_error_set(err, LVN_ERROR_NOMEM, "no memory for the manifest");
}

bool lvn_dataset_writer_close(struct lvn_dataset_writer *writer, struct lvn_error *err) {
  char path[LVN_PATH_BYTES];
  bool good = json_object_set(writer->manifest, "lesions", writer->lesions) == 0 ||
              lvn_error_set(err, LVN_ERROR_NOMEM, "no memory for the manifest");
  good = good && lvn_path_join(path, writer->folder, LVN_DATASET_MANIFEST, err) &&
         lvn_json_write(path, writer->manifest, err);
  lvn_dataset_writer_abandon(writer);
  return good;
}

void lvn_dataset_writer_abandon(struct lvn_dataset_writer *writer) {
  if (writer != NULL) {
    json_decref(writer->manifest);
    json_decref(writer->lesions);
    lvn_free(writer);
  }
}
