#include "analysis/dataset/facts.h"

#include "analysis/findings_json.h"
#include "base/memory.h"
#include "model/tensor/json.h"

static bool plane_digest(const struct lvn_volume *volume, size_t slice, char ret_text[LVN_SHA256_TEXT_BYTES],
                         struct lvn_error *err) {
  const uint32_t *size = volume->grid.size;
  size_t plane = (size_t)size[0] * size[1];
  size_t at = slice < size[2] ? slice : size[2] - 1U;
  uint8_t sha256[LVN_SHA256_BYTES];
  if (!lvn_sha256_of(volume->hounsfield + at * plane, plane * sizeof(int16_t), sha256, err)) {
    return false;
  }
  lvn_sha256_to_text(sha256, ret_text);
  return true;
}

/* Which images each slice of the crop was taken from: the nearest of each phase. */
static bool add_images(const struct lvn_case *study_case, const struct lvn_findings_lesion *lesion, int phase_count,
                       json_t *facts, struct lvn_error *err) {
  json_t *images = json_array();
  (void)json_object_set_new(facts, "images", images);
  for (size_t s = 0; s < lesion->slice_count; s++) {
    for (int phase = 0; phase < phase_count; phase++) {
      const struct lvn_findings_image *image = &lesion->slices[s].phases[phase];
      char digest[LVN_SHA256_TEXT_BYTES];
      if (!plane_digest(&study_case->stacks[lesion->phases[phase].series].volume, image->slice, digest, err)) {
        return false;
      }
      json_t *item = json_pack("{s:i,s:s,s:s,s:s}", "slice", (int)s, "phase", lvn_phase_name((enum lvn_phase)phase),
                               "sop_instance_uid", image->sop_instance_uid, "pixel_sha256", digest);
      if (image->frame_number > 0) {
        (void)json_object_set_new(item, "frame", json_integer(image->frame_number));
      }
      (void)json_array_append_new(images, item);
    }
  }
  return true;
}

static json_t *phase_facts(const struct lvn_findings_series *series, const struct lvn_findings_lesion_phase *phase) {
  json_t *evidence = json_array();
  json_t *registration = json_object();
  for (size_t i = 0; i < series->evidence_count; i++) {
    (void)json_array_append_new(evidence, lvn_findings_json_text(series->evidence[i].text));
  }
  lvn_findings_json_put_alignment(registration, phase);
  return json_pack("{s:s,s:i,s:o,s:f,s:o,s:o,s:o}", "series_instance_uid", series->series_instance_uid, "series_number",
                   series->series_number, "spacing_mm", lvn_findings_json_numbers(series->grid->spacing_mm, 3),
                   "slice_thickness_mm", series->slice_thickness_mm, "phase_probability",
                   lvn_findings_json_phases(series->probability), "phase_evidence", evidence, "registration",
                   registration);
}

json_t *lvn_dataset_facts(const struct lvn_case *study_case, const struct lvn_findings *findings, size_t lesion_index,
                          struct lvn_error *err) {
  const struct lvn_findings_lesion *lesion = &findings->lesions[lesion_index];
  /* The delayed one is the last. */
  int phase_count = study_case->lesions[lesion_index].crop.delayed_present ? LVN_PHASE_COUNT : LVN_PHASE_NETWORK_COUNT;
  json_t *series = json_object();
  for (int phase = 0; phase < phase_count; phase++) {
    const struct lvn_findings_lesion_phase *shown = &lesion->phases[phase];
    (void)json_object_set_new(series, lvn_phase_name((enum lvn_phase)phase),
                              phase_facts(&findings->series[shown->series], shown));
  }
  LVN_CLEANUP(lvn_json_cleanup)
  json_t *facts = json_pack("{s:f,s:f,s:{s:s,s:s,s:i,s:s},s:o}", "short_axis_mm", lesion->short_axis_mm, "volume_ml",
                            lesion->volume_ml, "roi", "sop_instance_uid", lesion->roi.sop_instance_uid, "sop_class_uid",
                            lesion->roi.sop_class_uid, "lesion", (int)lesion_index + 1, "series_instance_uid",
                            findings->series[lesion->series].series_instance_uid, "series", series);
  if (facts == NULL) {
    (void)lvn_error_set(err, LVN_ERROR_INTERNAL, "the lesion's facts cannot be encoded");
    return NULL;
  }
  return add_images(study_case, lesion, phase_count, facts, err) ? json_incref(facts) : NULL;
}
