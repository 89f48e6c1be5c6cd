#include "base/clock.h"
#include "dicom/write/result_common_dcmtk.hh"
#include "dicom/write/sr_tree_dcmtk.hh"

#include <cmath>

namespace lvn_write {

namespace {

constexpr size_t text_max = 1024; // UT has no limit; viewers show one line

double rounded(double value, double step) {
  return std::round(value / step) * step;
}

void put_image_library(DcmItem &root, const struct lvn_result_request &request) {
  DcmItem &library = sr_container(root, LVN_CODE_IMAGE_LIBRARY, nullptr);
  DcmItem &group = sr_container(library, LVN_CODE_IMAGE_LIBRARY_GROUP, nullptr);
  std::set<std::string> known;
  sr_code(group, sr_acquisition, LVN_CODE_MODALITY, *lvn_code_get(LVN_CODE_COMPUTED_TOMOGRAPHY));
  sr_code(group, sr_acquisition, LVN_CODE_TARGET_REGION, *lvn_code_get(LVN_CODE_ABDOMEN));
  for (size_t i = 0; i < request.phase_count; i++) {
    const struct lvn_result_phase &phase = request.phases[i];
    if (known.insert(phase.key_image.sop_instance_uid).second) {
      DcmItem &image = sr_image(group, sr_contains, LVN_CODE_COUNT, phase.key_image.sop_class_uid,
                                phase.key_image.sop_instance_uid, phase.key_image.frame_number);
      sr_code(image, sr_acquisition, LVN_CODE_CONTRAST_PHASE, *lvn_code_get(lvn_code_of_phase(phase.phase)));
    }
  }
  for (size_t i = 0; i < request.lesion_count; i++) {
    const struct lvn_result_reference &image = request.lesions[i].image;
    if (known.insert(image.sop_instance_uid).second) {
      sr_image(group, sr_contains, LVN_CODE_COUNT, image.sop_class_uid, image.sop_instance_uid, image.frame_number);
    }
  }
}

// TID 4019, in each group since a group may be read alone.
void put_algorithm(DcmItem &group, const struct lvn_result_device &device, const char *parameters) {
  sr_text(group, sr_modifies, LVN_CODE_ALGORITHM_NAME, plain_text(device.model_name, text_max));
  sr_text(group, sr_modifies, LVN_CODE_ALGORITHM_VERSION, plain_text(device.model_version, text_max));
  sr_text(group, sr_modifies, LVN_CODE_ALGORITHM_PARAMETERS, plain_text(parameters, text_max));
  sr_code(group, sr_modifies, LVN_CODE_ALGORITHM_FAMILY, *lvn_code_get(LVN_CODE_ARTIFICIAL_INTELLIGENCE));
}

void put_regions(DcmItem &group, const struct lvn_result_lesion &lesion) {
  for (size_t i = 0; i < lesion.contour_count; i++) {
    const struct lvn_result_contour &contour = lesion.contours[i];
    DcmItem &region = sr_polyline(group, LVN_CODE_IMAGE_REGION,
                                  std::vector<float>(contour.column_row, contour.column_row + 2 * contour.point_count));
    sr_image(region, sr_selected_from, LVN_CODE_COUNT, lesion.image.sop_class_uid, lesion.image.sop_instance_uid,
             lesion.image.frame_number);
  }
}

// Viewers show a NUM's name only, so each class has its own; machines read the class from the modifier.
void put_probabilities(DcmItem &group, const struct lvn_result_lesion &lesion) {
  for (unsigned k = 0; k < LVN_CLASS_COUNT; k++) {
    const auto lesion_class = static_cast<enum lvn_class>(k);
    DcmItem &number = sr_number(group, lvn_code_probability(lesion_class), rounded(100 * lesion.probability[k], 0.01),
                                LVN_CODE_PERCENT);
    sr_code(number, sr_modifies, LVN_CODE_FINDING, *lvn_code_get(lvn_code_of_class(lesion_class)));
  }
}

void put_size(DcmItem &group, const struct lvn_result_lesion &lesion) {
  sr_number(group, LVN_CODE_LONG_AXIS, rounded(lesion.long_axis_mm, 0.1), LVN_CODE_MILLIMETRE);
  sr_number(group, LVN_CODE_SHORT_AXIS, rounded(lesion.short_axis_mm, 0.1), LVN_CODE_MILLIMETRE);
  if (lesion.volume_ml > 0) {
    sr_number(group, LVN_CODE_VOLUME, rounded(lesion.volume_ml, 0.01), LVN_CODE_MILLILITRE);
  }
}

void put_phase_measurements(DcmItem &group, const struct lvn_result_lesion &lesion, enum lvn_phase phase) {
  const auto &registration = lesion.registration[phase];
  const struct lvn_result_source &source = lesion.source[phase];
  const bool has_source = source.image.sop_instance_uid != nullptr;
  const std::string name = lvn_phase_long_name(phase) +
                           (has_source ? " (series " + std::to_string(source.series_number) + ")" : std::string());
  if (std::isfinite(lesion.mean_hu[phase])) {
    DcmItem &number =
        sr_number(group, lvn_code_mean_hu(phase), rounded(lesion.mean_hu[phase], 0.1), LVN_CODE_HOUNSFIELD);
    sr_code(number, sr_modifies, LVN_CODE_DERIVATION, *lvn_code_get(LVN_CODE_MEAN));
    if (has_source) { // TID 320
      sr_image(number, sr_inferred_from, LVN_CODE_SOURCE_OF_MEASUREMENT, source.image.sop_class_uid,
               source.image.sop_instance_uid, source.image.frame_number);
    }
  }
  if (registration.is_reference) {
    sr_text(group, sr_contains, LVN_CODE_ALIGNMENT_STATE, name + ": the ROI was drawn on this phase");
    return;
  }
  sr_text(group, sr_contains, LVN_CODE_ALIGNMENT_STATE,
          name + (registration.usable ? ": aligned" : ": could not be aligned well enough, or is missing"));
  if (std::isfinite(registration.estimated_error_mm)) {
    sr_number(group, lvn_code_alignment_error(phase), rounded(registration.estimated_error_mm, 0.1),
              LVN_CODE_MILLIMETRE);
  }
  if (std::isfinite(registration.displacement_mm)) {
    sr_number(group, lvn_code_alignment_shift(phase), rounded(registration.displacement_mm, 0.1), LVN_CODE_MILLIMETRE);
  }
  if (std::isfinite(registration.similarity)) {
    sr_number(group, lvn_code_alignment_similarity(phase), rounded(registration.similarity, 0.001), LVN_CODE_NO_UNITS);
  }
}

void put_outcome(DcmItem &group, const struct lvn_result_lesion &lesion) {
  const enum lvn_code_id outcome = !lesion.has_probability ? LVN_CODE_NOT_CLASSIFIED
                                   : lesion.abstained      ? LVN_CODE_INDETERMINATE
                                                           : LVN_CODE_CLASSIFIED;
  sr_code(group, sr_contains, LVN_CODE_CLASSIFICATION, *lvn_code_get(outcome));
  if (outcome != LVN_CODE_CLASSIFIED) {
    const std::string reason = plain_text(lesion.abstention_reason, text_max);
    sr_text(group, sr_contains, LVN_CODE_ABSTENTION_REASON, reason.empty() ? "No reason was recorded." : reason);
  }
}

// One outline: TID 1410 (planar). More than one on the slice: TID 1411, whose Image Region may repeat.
void put_group(DcmItem &measurements, const struct lvn_result_request &request, size_t lesion_index) {
  const struct lvn_result_lesion &lesion = request.lesions[lesion_index];
  const bool is_classified = lesion.has_probability && !lesion.abstained;
  const enum lvn_code_id finding = is_classified ? lvn_code_of_class(lesion.top_class) : LVN_CODE_LESION;
  DcmItem &group = sr_container(measurements, LVN_CODE_MEASUREMENT_GROUP, lesion.contour_count == 1 ? "1410" : "1411");
  const std::string tracking_id = plain_text(lesion.tracking_id, text_max);
  sr_text(group, sr_has_context, LVN_CODE_TRACKING_ID,
          tracking_id.empty() ? "Lesion " + std::to_string(lesion_index + 1) : tracking_id);
  sr_uid(group, sr_has_context, LVN_CODE_TRACKING_UID, lesion.tracking_uid);
  sr_code(group, sr_contains, LVN_CODE_FINDING, *lvn_code_get(finding));
  put_algorithm(group, request.device, lesion.algorithm_parameters);
  sr_code(group, sr_modifies, LVN_CODE_FINDING_SITE, *lvn_code_get(LVN_CODE_LIVER));
  put_regions(group, lesion);
  if (lesion.capture != nullptr) {
    sr_image(group, sr_contains, LVN_CODE_ILLUSTRATION_OF_ROI, UID_SecondaryCaptureImageStorage,
             result_uid(request.job_key, "capture", lesion_index), 0);
  }
  if (lesion.has_probability) {
    put_probabilities(group, lesion);
  }
  put_size(group, lesion);
  for (unsigned phase = 0; phase < LVN_PHASE_NETWORK_COUNT; phase++) {
    put_phase_measurements(group, lesion, static_cast<enum lvn_phase>(phase));
  }
  put_outcome(group, lesion);
}

void put_evaluations(DcmItem &root, const struct lvn_result_request &request) {
  DcmItem &evaluations = sr_container(root, LVN_CODE_QUALITATIVE_EVALUATIONS, nullptr);
  sr_code(evaluations, sr_contains, LVN_CODE_RESULT_STATUS, *lvn_code_get(LVN_CODE_PRELIMINARY_REPORT));
  sr_text(evaluations, sr_contains, LVN_CODE_RESEARCH_NOTICE, LVN_RESEARCH_NOTICE);
  sr_text(evaluations, sr_contains, LVN_CODE_MODEL,
          plain_text(request.device.model_name, text_max) + " " + plain_text(request.device.model_version, text_max));
  for (size_t i = 0; i < request.phase_count; i++) {
    const struct lvn_result_phase &phase = request.phases[i];
    sr_text(evaluations, sr_contains, LVN_CODE_PHASE_EVIDENCE,
            std::string(lvn_phase_long_name(phase.phase)) + ": series " + std::to_string(phase.series_number) + ", " +
                plain_text(phase.evidence, text_max));
  }
  if (request.study_note != nullptr && request.study_note[0] != '\0') {
    sr_text(evaluations, sr_contains, LVN_CODE_STUDY_NOTE, plain_text(request.study_note, text_max));
  }
  if (request.replaced_key != nullptr) {
    char when[LVN_TIME_TEXT_BYTES];
    lvn_clock_format_people(request.replaced_wall_ms, when);
    sr_text(evaluations, sr_contains, LVN_CODE_STUDY_NOTE,
            std::string("This report replaces the earlier one of ") + when +
                ": the study's objects, or the model, have changed since");
  }
}

// PS3.3 C.17.2: most viewers show one report of a study; this says which one is out of date.
void put_predecessor(DcmDataset &dataset, const struct lvn_result_request &request, const std::string &study) {
  Evidence predecessor;
  predecessor.add(result_uid(request.replaced_key, "report-series", 0), UID_Comprehensive3DSRStorage,
                  result_uid(request.replaced_key, "report", 0));
  predecessor.put_into(dataset, DCM_PredecessorDocumentsSequence, study);
}

void put_evidence(DcmDataset &dataset, const struct lvn_result_request &request, const std::string &study) {
  Evidence evidence;
  for (size_t i = 0; i < request.evidence_count; i++) {
    const struct lvn_result_reference &image = request.evidence[i];
    evidence.add(image.series_instance_uid, image.sop_class_uid, image.sop_instance_uid);
  }
  for (size_t i = 0; i < request.phase_count; i++) {
    const struct lvn_result_reference &image = request.phases[i].key_image;
    evidence.add(request.phases[i].series_instance_uid, image.sop_class_uid, image.sop_instance_uid);
  }
  for (size_t i = 0; i < request.lesion_count; i++) {
    const struct lvn_result_reference &image = request.lesions[i].image;
    evidence.add(image.series_instance_uid, image.sop_class_uid, image.sop_instance_uid);
    for (const struct lvn_result_source &source : request.lesions[i].source) {
      if (source.image.sop_instance_uid != nullptr) {
        evidence.add(source.image.series_instance_uid, source.image.sop_class_uid, source.image.sop_instance_uid);
      }
    }
  }
  for (size_t i = 0; i < request.roi_object_count; i++) {
    const struct lvn_result_reference &object = request.roi_objects[i];
    evidence.add(object.series_instance_uid, object.sop_class_uid, object.sop_instance_uid);
  }
  for (size_t i = 0; i < request.lesion_count; i++) {
    if (request.lesions[i].capture != nullptr) {
      evidence.add(result_uid(request.job_key, "capture-series", 0), UID_SecondaryCaptureImageStorage,
                   result_uid(request.job_key, "capture", i));
    }
  }
  evidence.put_into(dataset, DCM_CurrentRequestedProcedureEvidenceSequence, study);
}

} // namespace

void fill_report(DcmDataset &dataset, ResultTemplate &source, const struct lvn_result_request &request) {
  source.copy_into(dataset);
  put_result_header(dataset, request, "SR", UID_Comprehensive3DSRStorage, result_uid(request.job_key, "report", 0),
                    result_uid(request.job_key, "report-series", 0), result_sr_series_number, 1);
  dataset.insertEmptyElement(DCM_ReferencedPerformedProcedureStepSequence);
  dataset.insertEmptyElement(DCM_PerformedProcedureCodeSequence);
  sr_put_root(dataset);
  put(dataset, DCM_PreliminaryFlag, "PRELIMINARY");
  sr_put_observer(dataset, {request.device.device_uid, node_model, node_manufacturer, node_model,
                            plain_text(request.device.ae_title, 64)});
  sr_code(dataset, sr_modifies, LVN_CODE_PROCEDURE_REPORTED, *lvn_code_get(LVN_CODE_CT_PROCEDURE));
  put_image_library(dataset, request);
  DcmItem &measurements = sr_container(dataset, LVN_CODE_IMAGING_MEASUREMENTS, nullptr);
  for (size_t i = 0; i < request.lesion_count; i++) {
    put_group(measurements, request, i);
  }
  put_evaluations(dataset, request);
  put_evidence(dataset, request, source.study_instance_uid());
  if (request.replaced_key != nullptr) {
    put_predecessor(dataset, request, source.study_instance_uid());
  }
}

} // namespace lvn_write
