#include "cli/phantom_study.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/sha256.h"
#include "dicom/write/phantom_objects.h"

#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define TEXT_BYTES 64

static const char *const phase_folders[LVN_PHASE_COUNT] = {"nc", "art", "pv", "dl"};

/* How departments call the four phases; one row per site style. */
static const char *const descriptions[][LVN_PHASE_COUNT] = {
    {"Abdomen nativ", "Leber arteriell", "Leber portalvenoes", "Leber Spaetphase"},
    {"NC 5.0 B30f", "ART 35s", "PV 70s", "DELAY 3min"},
    {"Liver without contrast", "Arterial phase", "Portal venous", "Delayed phase"},
    {"Abdomen sans injection", "Foie temps arteriel", "Foie temps portal", "Foie temps tardif"},
    {"Addome basale", "Fase arteriosa", "Fase venosa portale", "Fase tardiva"},
    {"Abdomen sin contraste", "Fase arterial", "Fase portal", "Fase tardia"},
    {"Abd PRE", "Liver ART", "Liver PVP", "Liver DELAYED"},
};

/* What all parts of one study share while it is written. */
struct writing {
  const char *folder;
  const struct lvn_cli_phantom_study *study;
  struct lvn_phantom phantom;
  char key[512]; /* the options as text: what every UID is derived from */
  char study_uid[LVN_UID_BYTES];
  char frame_uid[LVN_UID_BYTES];
  char patient_id[TEXT_BYTES];
  char patient_name[TEXT_BYTES];
  char study_id[TEXT_BYTES];
  char accession[TEXT_BYTES];
  char date[16];
  char time[16];
  double injection_second; /* of the day */
  size_t style;
  char (*sop_uids)[LVN_UID_BYTES]; /* of the ROI's phase, owned */
  char series_uid[LVN_PHASE_COUNT][LVN_UID_BYTES];
  char roi_path[LVN_PATH_BYTES];
  struct lvn_mask regions[LVN_PHANTOM_LESIONS_MAX]; /* owned; as a reader would have drawn them, in a wide world */
  json_t *truth;                                    /* owned */
};

static void writing_clear(struct writing *writing) {
  lvn_phantom_clear(&writing->phantom);
  lvn_free(writing->sop_uids);
  for (size_t i = 0; i < LVN_PHANTOM_LESIONS_MAX; i++) {
    lvn_mask_clear(&writing->regions[i]);
  }
  json_decref(writing->truth);
}

static bool make_uid(const struct writing *writing, const char *what, char ret_uid[LVN_UID_BYTES],
                     struct lvn_error *err) {
  const char *const parts[3] = {"livervlm phantom", writing->key, what};
  return lvn_uid_from_parts(parts, 3, ret_uid, err);
}

static void make_key(struct writing *writing) {
  const struct lvn_phantom_options *options = &writing->study->options;
  size_t used = 0;
  int wrote =
      snprintf(writing->key, sizeof writing->key, "%" PRIu64 " %u %g %g %g %g %g roi %d %d", options->seed,
               options->matrix, options->pixel_spacing_mm, options->slice_thickness_mm, options->coverage_mm,
               options->motion_scale, options->noise_hu, (int)writing->study->roi, (int)writing->study->roi_phase);
  used = wrote > 0 ? (size_t)wrote : 0;
  for (int phase = 0; phase < LVN_PHASE_COUNT; phase++) {
    writing->key[used++] = options->has_phase[phase] ? 'p' : '-';
  }
  writing->key[used] = '\0';
  for (size_t i = 0; i < options->lesion_count && used + 32 < sizeof writing->key; i++) {
    wrote = snprintf(writing->key + used, sizeof writing->key - used, " %d:%g", (int)options->lesion_class[i],
                     options->lesion_diameter_mm[i]);
    used += wrote > 0 ? (size_t)wrote : 0;
    if (options->lesion_other[i] != LVN_OTHER_NONE && used + 8 < sizeof writing->key) {
      wrote = snprintf(writing->key + used, sizeof writing->key - used, "o%d", (int)options->lesion_other[i]);
      used += wrote > 0 ? (size_t)wrote : 0;
    }
  }
  if (options->world.is_wide && used + sizeof options->world.name + 8 < sizeof writing->key) {
    (void)snprintf(writing->key + used, sizeof writing->key - used, " world %s", options->world.name);
  }
}

/* A small hash of the seed for what only has to vary. */
static uint64_t vary(uint64_t seed, uint64_t what) {
  uint64_t value = (seed + 1) * UINT64_C(0x9E3779B97F4A7C15) + what * UINT64_C(0xD1342543DE82EF95);
  value = (value ^ (value >> 29)) * UINT64_C(0xBF58476D1CE4E5B9);
  return value >> 24;
}

static void format_time(double second_of_day, char *ret_text, size_t bytes) {
  double whole = floor(second_of_day);
  unsigned second = (unsigned)whole;
  unsigned micro = (unsigned)((second_of_day - whole) * 1e6);
  (void)snprintf(ret_text, bytes, "%02u%02u%02u.%06u", second / 3600 % 24, second / 60 % 60, second % 60,
                 micro % 1000000);
}

static bool describe_study(struct writing *writing, struct lvn_error *err) {
  uint64_t seed = writing->study->options.seed;
  (void)snprintf(writing->patient_id, TEXT_BYTES, "PHANTOM-%" PRIu64, seed);
  (void)snprintf(writing->patient_name, TEXT_BYTES, "Phantom^Seed %" PRIu64, seed);
  if (writing->study->patient_id != NULL) {
    (void)lvn_copy(writing->patient_id, TEXT_BYTES, writing->study->patient_id);
    (void)lvn_copy(writing->patient_name, TEXT_BYTES, writing->study->patient_name);
  }
  (void)snprintf(writing->study_id, TEXT_BYTES, "%" PRIu64, vary(seed, 1) % 100000);
  (void)snprintf(writing->accession, TEXT_BYTES, "PH%" PRIu64, vary(seed, 2) % 100000000);
  (void)snprintf(writing->date, sizeof writing->date, "2025%02u%02u", (unsigned)(1 + vary(seed, 3) % 12),
                 (unsigned)(1 + vary(seed, 4) % 28));
  double start = 7.5 * 3600.0 + (double)(vary(seed, 5) % (9 * 3600));
  writing->injection_second = start + 480.0 + (double)(vary(seed, 6) % 120);
  writing->style = vary(seed, 7) % (sizeof descriptions / sizeof *descriptions);
  format_time(start, writing->time, sizeof writing->time);
  return make_uid(writing, "study", writing->study_uid, err) && make_uid(writing, "frame", writing->frame_uid, err);
}

static struct lvn_write_study study_of(const struct writing *writing) {
  return (struct lvn_write_study){.study_instance_uid = writing->study_uid,
                                  .frame_of_reference_uid = writing->frame_uid,
                                  .patient_id = writing->patient_id,
                                  .patient_name = writing->patient_name,
                                  .study_id = writing->study_id,
                                  .accession_number = writing->accession,
                                  .study_date = writing->date,
                                  .study_time = writing->time};
}

static bool write_series(struct writing *writing, enum lvn_phase phase, struct lvn_error *err) {
  static const char *const kernels[] = {"B30f", "STANDARD", "FC08", "Br40", "B"};
  const struct lvn_phantom *phantom = &writing->phantom;
  const struct lvn_write_study study = study_of(writing);
  char folder[LVN_PATH_BYTES];
  char acquisition[16];
  char injection[16];
  char seed[LVN_UID_BYTES + 16];
  format_time(writing->injection_second + phantom->acquisition_delay_seconds[phase], acquisition, sizeof acquisition);
  format_time(writing->injection_second, injection, sizeof injection);
  if (!make_uid(writing, phase_folders[phase], writing->series_uid[phase], err) ||
      !lvn_path_join(folder, writing->folder, phase_folders[phase], err) || !lvn_file_make_folder(folder, 0755, err)) {
    return false;
  }
  (void)snprintf(seed, sizeof seed, "%s instance", writing->series_uid[phase]);
  bool has_agent = phase != LVN_PHASE_NC;
  const struct lvn_write_series series = {
      .series_instance_uid = writing->series_uid[phase],
      .uid_seed = seed,
      .series_number = 2 + (int)phase,
      .series_description = descriptions[writing->style][phase],
      .protocol_name = "Liver multiphase",
      .acquisition_time = acquisition,
      .contrast_agent = has_agent ? "Iohexol 350" : NULL,
      .contrast_start_time = has_agent ? injection : NULL,
      .slice_thickness_mm = phantom->slice_thickness_mm[phase],
      .kernel = kernels[vary(writing->study->options.seed, 8) % (sizeof kernels / sizeof *kernels)],
  };
  char(*uids)[LVN_UID_BYTES] = NULL;
  if (phase == writing->study->roi_phase) {
    uids = lvn_alloc(phantom->volume[phase].grid.size[2], LVN_UID_BYTES, err);
    if (uids == NULL) {
      return false;
    }
    writing->sop_uids = uids;
  }
  return lvn_write_ct_series(folder, &study, &series, &phantom->volume[phase], uids, err);
}

static bool write_roi(struct writing *writing, struct lvn_cli_phantom_written *written, struct lvn_error *err) {
  static const char *const files[] = {"roi/rtstruct.dcm", "roi/seg.dcm", "roi/sr.dcm"};
  const struct lvn_phantom *phantom = &writing->phantom;
  enum lvn_phase phase = writing->study->roi_phase;
  const struct lvn_write_study study = study_of(writing);
  const struct lvn_write_roi_target target = {.series_instance_uid = writing->series_uid[phase],
                                              .sop_instance_uids = (const char(*)[LVN_UID_BYTES])writing->sop_uids,
                                              .grid = &phantom->volume[phase].grid};
  struct lvn_write_roi rois[LVN_PHANTOM_LESIONS_MAX];
  char labels[LVN_PHANTOM_LESIONS_MAX][TEXT_BYTES];
  char tracking[LVN_PHANTOM_LESIONS_MAX][LVN_UID_BYTES];
  char folder[LVN_PATH_BYTES];
  for (size_t i = 0; i < phantom->lesion_count; i++) {
    (void)snprintf(labels[i], TEXT_BYTES, "Lesion %zu", i + 1);
    if (!make_uid(writing, labels[i], tracking[i], err)) {
      return false;
    }
    const struct lvn_mask *mask = &phantom->lesions[i].mask[phase];
    if (phantom->options.world.is_wide) {
      if (!lvn_phantom_region(phantom, i, phase, &writing->regions[i], err)) {
        return false;
      }
      mask = &writing->regions[i];
    }
    rois[i] = (struct lvn_write_roi){.label = labels[i], .tracking_uid = tracking[i], .mask = mask};
  }
  (void)lvn_copy(written->roi_file, sizeof written->roi_file, files[writing->study->roi]);
  if (!lvn_path_join(folder, writing->folder, "roi", err) || !lvn_file_make_folder(folder, 0755, err) ||
      !lvn_path_join(writing->roi_path, writing->folder, files[writing->study->roi], err)) {
    return false;
  }
  switch (writing->study->roi) {
  case LVN_PHANTOM_ROI_SEG:
    return lvn_write_roi_seg(writing->roi_path, &study, &target, rois, phantom->lesion_count, err);
  case LVN_PHANTOM_ROI_SR:
    return lvn_write_roi_sr(writing->roi_path, &study, &target, rois, phantom->lesion_count, err);
  case LVN_PHANTOM_ROI_RTSTRUCT:
    break;
  }
  return lvn_write_roi_rtstruct(writing->roi_path, &study, &target, rois, phantom->lesion_count, err);
}

/* NRRD, raw, cut to the lesion's box: one header that most image libraries read. */
static bool write_mask(const struct writing *writing, size_t lesion, const uint32_t first[3], const uint32_t last[3],
                       struct lvn_error *err) {
  const struct lvn_mask *mask = &writing->phantom.lesions[lesion].mask[writing->study->roi_phase];
  const struct lvn_grid *grid = &mask->grid;
  const double index[3] = {first[0], first[1], first[2]};
  const size_t size[3] = {last[0] - first[0] + 1, last[1] - first[1] + 1, last[2] - first[2] + 1};
  double origin[3];
  char name[TEXT_BYTES];
  char path[LVN_PATH_BYTES];
  char header[512];
  lvn_grid_to_patient(grid, index, origin);
  int length = snprintf(header, sizeof header,
                        "NRRD0004\ntype: uint8\ndimension: 3\nspace: left-posterior-superior\nsizes: %zu %zu %zu\n"
                        "space directions: (%.9g,0,0) (0,%.9g,0) (0,0,%.9g)\nspace origin: (%.9g,%.9g,%.9g)\n"
                        "encoding: raw\n\n",
                        size[0], size[1], size[2], grid->spacing_mm[0], grid->spacing_mm[1], grid->spacing_mm[2],
                        origin[0], origin[1], origin[2]);
  size_t head = length > 0 ? (size_t)length : 0;
  LVN_AUTOFREE uint8_t *file = lvn_alloc(head + size[0] * size[1] * size[2], 1, err);
  if (file == NULL) {
    return false;
  }
  memcpy(file, header, head);
  uint8_t *out = file + head;
  for (size_t z = first[2]; z <= last[2]; z++) {
    for (size_t y = first[1]; y <= last[1]; y++) {
      for (size_t x = first[0]; x <= last[0]; x++) {
        *out++ = lvn_mask_contains(mask, (int64_t)x, (int64_t)y, (int64_t)z);
      }
    }
  }
  (void)snprintf(name, sizeof name, "truth_mask_%zu.nrrd", lesion + 1);
  return lvn_path_join(path, writing->folder, name, err) &&
         lvn_file_replace(path, file, head + size[0] * size[1] * size[2], 0644, err);
}

static json_t *numbers(const double *values, size_t count) {
  json_t *array = json_array();
  for (size_t i = 0; i < count; i++) {
    (void)json_array_append_new(array, json_real(values[i]));
  }
  return array;
}

/* The slice with the largest area of the lesion, and its centroid there in pixels (column, row). */
static uint32_t key_slice(const struct lvn_mask *mask, const uint32_t first[3], const uint32_t last[3],
                          double ret_centroid[2]) {
  uint32_t best = first[2];
  size_t most = 0;
  for (uint32_t z = first[2]; z <= last[2]; z++) {
    size_t count = 0;
    double sum[2] = {0.0, 0.0};
    for (uint32_t y = first[1]; y <= last[1]; y++) {
      for (uint32_t x = first[0]; x <= last[0]; x++) {
        if (lvn_mask_contains(mask, x, y, z)) {
          count++;
          sum[0] += x;
          sum[1] += y;
        }
      }
    }
    if (count > most) {
      most = count;
      best = z;
      ret_centroid[0] = sum[0] / (double)count;
      ret_centroid[1] = sum[1] / (double)count;
    }
  }
  return best;
}

static bool add_lesion(struct writing *writing, size_t index, json_t *lesions, struct lvn_cli_phantom_written *written,
                       struct lvn_error *err) {
  const struct lvn_phantom_lesion *lesion = &writing->phantom.lesions[index];
  const struct lvn_mask *mask = &lesion->mask[writing->study->roi_phase];
  uint32_t first[3];
  uint32_t last[3];
  double centroid[2] = {0.0, 0.0};
  size_t voxels = lvn_mask_measure(mask, first, last, NULL);
  if (voxels == 0) {
    return lvn_error_set(err, LVN_ERROR_USAGE,
                         "lesion %zu (%.1f mm) falls between the %s slices; choose thinner slices or another seed",
                         index + 1, lesion->diameter_mm, lvn_phase_name(writing->study->roi_phase));
  }
  uint32_t slice = key_slice(mask, first, last, centroid);
  json_t *shifts = json_object();
  for (int phase = 0; phase < LVN_PHASE_COUNT; phase++) {
    if (writing->phantom.options.has_phase[phase]) {
      (void)json_object_set_new(shifts, lvn_phase_name((enum lvn_phase)phase),
                                numbers(lesion->displacement_mm[phase], 3));
    }
  }
  char file[TEXT_BYTES];
  (void)snprintf(file, sizeof file, "truth_mask_%zu.nrrd", index + 1);
  json_t *entry = json_pack("{s:I,s:s,s:s,s:o,s:f,s:o,s:s,s:I,s:i,s:s,s:o}", "lesion", (json_int_t)index + 1, "class",
                            lvn_class_name(lesion->lesion_class), "subtype", lesion->subtype, "centre_mm",
                            numbers(lesion->centre_mm, 3), "diameter_mm", lesion->diameter_mm, "displacement_mm",
                            shifts, "mask_file", file, "mask_voxels", (json_int_t)voxels, "key_slice_index", (int)slice,
                            "key_sop_instance_uid", writing->sop_uids[slice], "key_centroid_px", numbers(centroid, 2));
  if (entry == NULL || json_array_append_new(lesions, entry) != 0) {
    return lvn_error_set(err, LVN_ERROR_NOMEM, "no memory for the truth file");
  }
  written->lesion_class[index] = lesion->lesion_class;
  written->lesion_slices[index] = last[2] - first[2] + 1;
  return write_mask(writing, index, first, last, err);
}

static json_t *series_truth(const struct writing *writing) {
  json_t *all = json_object();
  for (int phase = 0; phase < LVN_PHASE_COUNT; phase++) {
    if (!writing->phantom.options.has_phase[phase]) {
      continue;
    }
    const struct lvn_grid *grid = &writing->phantom.volume[phase].grid;
    json_t *size = json_pack("[i,i,i]", (int)grid->size[0], (int)grid->size[1], (int)grid->size[2]);
    json_t *entry =
        json_pack("{s:s,s:s,s:s,s:f,s:f,s:o,s:o,s:o}", "folder", phase_folders[phase], "series_instance_uid",
                  writing->series_uid[phase], "description", descriptions[writing->style][phase], "delay_seconds",
                  writing->phantom.acquisition_delay_seconds[phase], "slice_thickness_mm",
                  writing->phantom.slice_thickness_mm[phase], "size", size, "spacing_mm", numbers(grid->spacing_mm, 3),
                  "origin_mm", numbers(grid->origin_mm, 3));
    (void)json_object_set_new(all, lvn_phase_name((enum lvn_phase)phase), entry);
  }
  return all;
}

static bool write_truth(struct writing *writing, struct lvn_cli_phantom_written *written, struct lvn_error *err) {
  const struct lvn_phantom_options *options = &writing->phantom.options;
  json_t *lesions = json_array();
  writing->truth = json_pack(
      "{s:s,s:I,s:s,s:s,s:{s:i,s:f,s:f,s:f,s:f,s:f},s:o,s:{s:s,s:s},s:o}", "format", "livervlm-phantom-truth-1", "seed",
      (json_int_t)options->seed, "study_instance_uid", writing->study_uid, "patient_id", writing->patient_id, "options",
      "matrix", (int)options->matrix, "pixel_spacing_mm", options->pixel_spacing_mm, "slice_thickness_mm",
      options->slice_thickness_mm, "coverage_mm", options->coverage_mm, "motion_scale", options->motion_scale,
      "noise_hu", options->noise_hu, "series", series_truth(writing), "roi", "file", written->roi_file, "phase",
      lvn_phase_name(writing->study->roi_phase), "lesions", lesions);
  if (writing->truth == NULL) {
    return lvn_error_set(err, LVN_ERROR_NOMEM, "no memory for the truth file");
  }
  written->lesion_count = writing->phantom.lesion_count;
  for (size_t i = 0; i < writing->phantom.lesion_count; i++) {
    if (!add_lesion(writing, i, lesions, written, err)) {
      return false;
    }
  }
  char path[LVN_PATH_BYTES];
  char *text = json_dumps(writing->truth, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
  if (text == NULL) {
    return lvn_error_set(err, LVN_ERROR_NOMEM, "no memory for the truth file");
  }
  bool good =
      lvn_path_join(path, writing->folder, "truth.json", err) && lvn_file_replace(path, text, strlen(text), 0644, err);
  lvn_free(text); /* jansson allocates by malloc unless told otherwise */
  return good;
}

bool lvn_cli_phantom_study_write(const char *folder, const struct lvn_cli_phantom_study *study,
                                 struct lvn_cli_phantom_written *ret_written, struct lvn_error *err) {
  LVN_CLEANUP(writing_clear) struct writing writing = {.folder = folder, .study = study};
  struct lvn_cli_phantom_written written = {0};
  if (!study->options.has_phase[study->roi_phase]) {
    return lvn_error_set(err, LVN_ERROR_USAGE, "the ROI's phase %s is not among the phases",
                         lvn_phase_name(study->roi_phase));
  }
  make_key(&writing);
  if (!describe_study(&writing, err) || !lvn_phantom_make(&study->options, study->threads, &writing.phantom, err) ||
      !lvn_file_make_folder(folder, 0755, err)) {
    return false;
  }
  for (int phase = 0; phase < LVN_PHASE_COUNT; phase++) {
    if (study->options.has_phase[phase] && !write_series(&writing, (enum lvn_phase)phase, err)) {
      return false;
    }
  }
  if (!write_roi(&writing, &written, err) || !write_truth(&writing, &written, err)) {
    return false;
  }
  *ret_written = written;
  return true;
}
