#include "analysis/findings/words.h"
#include "base/clock.h"
#include "dicom/write/result_common_dcmtk.hh"
#include "dicom/write/sr_tree_dcmtk.hh"
#include "model/image/crop.h"

#include <cmath>
#include <cstdio>

namespace lvn_write {

namespace {

constexpr size_t text_max = 1024; // UT has no limit; viewers show one line
constexpr size_t evidence_max = 511;
constexpr unsigned shown_probabilities_max = 4; // with the size, eight NUM in a group

double rounded(double value, double step) {
  return std::round(value / step) * step;
}

// A series that a lesion was compared in, once for each phase, and its image nearest to the key slice of the first
// lesion that uses it: a lesion that was drawn on another series of a phase than the chosen one uses its own.
struct UsedSeries {
  enum lvn_phase phase;
  const struct lvn_findings_series *series;
  const struct lvn_findings_image *image;
};

std::vector<UsedSeries> used_series(const struct lvn_findings &findings) {
  std::vector<UsedSeries> used;
  for (unsigned phase = 0; phase < LVN_PHASE_COUNT; phase++) {
    std::set<std::string> known;
    for (size_t i = 0; i < findings.lesion_count; i++) {
      const struct lvn_findings_lesion &lesion = findings.lesions[i];
      if (!lvn_findings_has_phase(&lesion, static_cast<enum lvn_phase>(phase))) {
        continue;
      }
      const struct lvn_findings_series &series = findings.series[lesion.phases[phase].series];
      if (known.insert(series.series_instance_uid).second) {
        used.push_back({static_cast<enum lvn_phase>(phase), &series, &lvn_findings_key(&lesion)->phases[phase]});
      }
    }
  }
  return used;
}

void put_image_library(DcmItem &root, const struct lvn_findings &findings) {
  DcmItem &library = sr_container(root, LVN_CODE_IMAGE_LIBRARY, nullptr);
  DcmItem &group = sr_container(library, LVN_CODE_IMAGE_LIBRARY_GROUP, nullptr);
  std::set<std::string> known;
  sr_code(group, sr_acquisition, LVN_CODE_MODALITY, *lvn_code_get(LVN_CODE_COMPUTED_TOMOGRAPHY));
  sr_code(group, sr_acquisition, LVN_CODE_TARGET_REGION, *lvn_code_get(LVN_CODE_ABDOMEN));
  for (const UsedSeries &used : used_series(findings)) {
    if (known.insert(used.image->sop_instance_uid).second) {
      DcmItem &image = sr_image(group, sr_contains, LVN_CODE_COUNT, used.image->sop_class_uid,
                                used.image->sop_instance_uid, used.image->frame_number);
      sr_code(image, sr_acquisition, LVN_CODE_CONTRAST_PHASE, *lvn_code_get(lvn_code_of_phase(used.phase)));
    }
  }
  for (size_t i = 0; i < findings.lesion_count; i++) {
    const struct lvn_findings_image &image = lvn_findings_key(&findings.lesions[i])->drawn;
    if (known.insert(image.sop_instance_uid).second) {
      sr_image(group, sr_contains, LVN_CODE_COUNT, image.sop_class_uid, image.sop_instance_uid, image.frame_number);
    }
  }
}

std::string parameters_of(const struct lvn_findings &findings, const struct lvn_findings_lesion &lesion) {
  char text[256];
  const auto number = [&](enum lvn_phase phase) { return findings.series[lesion.phases[phase].series].series_number; };
  std::snprintf(text, sizeof text,
                "NC series %d, ART series %d, PV series %d; ROI crop margin %.2f, at least %.0f mm, %ux%u",
                number(LVN_PHASE_NC), number(LVN_PHASE_ART), number(LVN_PHASE_PV), findings.model.crop_margin,
                findings.model.crop_min_side_mm, LVN_CROP_SIDE, LVN_CROP_SIDE);
  return text;
}

// TID 4019, in each group since a group may be read alone.
void put_algorithm(DcmItem &group, const struct lvn_findings &findings, const struct lvn_findings_lesion &lesion) {
  sr_text(group, sr_modifies, LVN_CODE_ALGORITHM_NAME, plain_text(findings.model.name, text_max));
  sr_text(group, sr_modifies, LVN_CODE_ALGORITHM_VERSION, plain_text(findings.model.version, text_max));
  sr_text(group, sr_modifies, LVN_CODE_ALGORITHM_PARAMETERS,
          plain_text(parameters_of(findings, lesion).c_str(), text_max));
  sr_code(group, sr_modifies, LVN_CODE_ALGORITHM_FAMILY, *lvn_code_get(LVN_CODE_ARTIFICIAL_INTELLIGENCE));
}

std::vector<float> polyline_of(const struct lvn_contour &contour) {
  std::vector<float> points;
  for (size_t p = 0; p <= contour.count; p++) { // closed: the first point is repeated
    points.push_back(static_cast<float>(contour.points[p % contour.count].column));
    points.push_back(static_cast<float>(contour.points[p % contour.count].row));
  }
  return points;
}

void put_outlines(DcmItem &parent, const char *relationship, enum lvn_code_id name,
                  const struct lvn_findings_lesion &lesion) {
  const struct lvn_findings_image &image = lvn_findings_key(&lesion)->drawn;
  for (size_t i = 0; i < lesion.contours.count; i++) {
    DcmItem &region = sr_polyline(parent, relationship, name, polyline_of(lesion.contours.items[i]));
    sr_image(region, sr_selected_from, LVN_CODE_COUNT, image.sop_class_uid, image.sop_instance_uid, image.frame_number);
  }
}

// By the shoelace formula, in which a hole's keyhole takes its area off.
double area_mm2(const struct lvn_findings_lesion &lesion, const struct lvn_grid &grid) {
  double area = 0;
  for (size_t i = 0; i < lesion.contours.count; i++) {
    const struct lvn_contour &contour = lesion.contours.items[i];
    double twice = 0;
    for (size_t p = 0; p < contour.count; p++) {
      const struct lvn_contour_point &from = contour.points[p];
      const struct lvn_contour_point &to = contour.points[(p + 1) % contour.count];
      twice += static_cast<double>(from.column) * to.row - static_cast<double>(to.column) * from.row;
    }
    area += std::fabs(twice) / 2;
  }
  return area * grid.spacing_mm[0] * grid.spacing_mm[1];
}

// Viewers label an outline with every NUM of its group, so that a group has few; the rest are properties of what they
// belong to. Viewers that take measurements over want the outline under the first one, which they hold for its area.
void put_size(DcmItem &group, const Work &work, const struct lvn_findings_lesion &lesion) {
  const struct lvn_grid &grid = *work.findings.series[lesion.series].grid;
  DcmItem &area =
      sr_number(group, sr_contains, LVN_CODE_AREA, rounded(area_mm2(lesion, grid), 0.1), LVN_CODE_SQUARE_MILLIMETRE);
  put_outlines(area, sr_inferred_from, LVN_CODE_SOURCE_OF_MEASUREMENT, lesion);
  sr_number(group, sr_contains, LVN_CODE_LONG_AXIS, rounded(lesion.long_axis_mm, 0.1), LVN_CODE_MILLIMETRE);
  sr_number(group, sr_contains, LVN_CODE_SHORT_AXIS, rounded(lesion.short_axis_mm, 0.1), LVN_CODE_MILLIMETRE);
  if (lesion.volume_ml > 0) {
    sr_number(group, sr_contains, LVN_CODE_VOLUME, rounded(lesion.volume_ml, 0.01), LVN_CODE_MILLILITRE);
  }
}

bool tells_apart(const struct lvn_findings_prediction &prediction, unsigned lesion_class) {
  return ((prediction.classes >> lesion_class) & 1U) != 0;
}

// How many classes are more probable, the first of equals first.
unsigned rank_of(const struct lvn_findings_prediction &prediction, unsigned lesion_class) {
  unsigned rank = 0;
  for (unsigned k = 0; k < LVN_CLASS_COUNT; k++) {
    const double more = prediction.probability[k] - prediction.probability[lesion_class];
    rank += tells_apart(prediction, k) && (more > 0 || (more == 0 && k < lesion_class)) ? 1 : 0;
  }
  return rank;
}

// Viewers show a NUM's name only, so each class has its own; machines read the class from the modifier. A viewer that
// leaves a 0 out would show a bare sign.
void put_probabilities(DcmItem &group, DcmItem &outcome, const struct lvn_findings_prediction &prediction) {
  for (unsigned k = 0; k < LVN_CLASS_COUNT; k++) {
    const auto lesion_class = static_cast<enum lvn_class>(k);
    if (!tells_apart(prediction, k)) {
      continue;
    }
    const bool is_likely = rank_of(prediction, k) < shown_probabilities_max;
    DcmItem &number = sr_number(is_likely ? group : outcome, is_likely ? sr_contains : sr_has_property,
                                lvn_code_probability(lesion_class),
                                std::fmax(rounded(100 * prediction.probability[k], 0.1), 0.1), LVN_CODE_PERCENT);
    sr_code(number, sr_modifies, LVN_CODE_FINDING, *lvn_code_get(lvn_code_of_class(lesion_class)));
  }
}

void put_attenuation(DcmItem &phase_item, const struct lvn_findings_lesion &lesion, enum lvn_phase phase) {
  const struct lvn_findings_lesion_phase &shown = lesion.phases[phase];
  const struct lvn_findings_image &image = lvn_findings_key(&lesion)->phases[phase];
  const double change = shown.mean_hu - lesion.phases[LVN_PHASE_NC].mean_hu;
  if (!std::isfinite(shown.mean_hu)) {
    return;
  }
  DcmItem &number =
      sr_number(phase_item, sr_has_property, lvn_code_mean_hu(phase), rounded(shown.mean_hu, 0.1), LVN_CODE_HOUNSFIELD);
  sr_code(number, sr_modifies, LVN_CODE_DERIVATION, *lvn_code_get(LVN_CODE_MEAN));
  sr_image(number, sr_inferred_from, LVN_CODE_SOURCE_OF_MEASUREMENT, image.sop_class_uid, image.sop_instance_uid,
           image.frame_number); // TID 320
  if (phase != LVN_PHASE_NC && std::isfinite(change)) {
    sr_number(phase_item, sr_has_property, LVN_CODE_CHANGE_HU, rounded(change, 0.1), LVN_CODE_HOUNSFIELD);
  }
  if (std::isfinite(shown.liver_hu)) {
    sr_number(phase_item, sr_has_property, LVN_CODE_AGAINST_LIVER_HU, rounded(shown.mean_hu - shown.liver_hu, 0.1),
              LVN_CODE_HOUNSFIELD);
  }
}

void put_alignment(DcmItem &phase_item, const struct lvn_findings_lesion &lesion, enum lvn_phase phase) {
  const struct lvn_findings_alignment &alignment = lesion.phases[phase].alignment;
  const double *d = alignment.displacement_mm;
  const double displacement_mm = std::sqrt(d[0] * d[0] + d[1] * d[1] + d[2] * d[2]);
  if (lesion.phases[phase].is_reference) {
    return;
  }
  if (std::isfinite(alignment.estimated_error_mm)) {
    sr_number(phase_item, sr_has_property, lvn_code_alignment_error(phase), rounded(alignment.estimated_error_mm, 0.1),
              LVN_CODE_MILLIMETRE);
  }
  if (std::isfinite(displacement_mm)) {
    sr_number(phase_item, sr_has_property, lvn_code_alignment_shift(phase), rounded(displacement_mm, 0.1),
              LVN_CODE_MILLIMETRE);
  }
  if (std::isfinite(alignment.similarity)) {
    sr_number(phase_item, sr_has_property, lvn_code_alignment_similarity(phase), rounded(alignment.similarity, 0.001),
              LVN_CODE_NO_UNITS);
  }
}

// A phase in the words of the capture, with its figures as properties.
void put_phase(DcmItem &group, const struct lvn_findings &findings, const struct lvn_findings_lesion &lesion,
               enum lvn_phase phase) {
  char words[LVN_WORDS_BYTES];
  DcmItem &item = sr_code(group, sr_contains, LVN_CODE_CONTRAST_PHASE, *lvn_code_get(lvn_code_of_phase(phase)));
  lvn_words_alignment(&lesion, phase, words);
  std::string text =
      "series " + std::to_string(findings.series[lesion.phases[phase].series].series_number) + ", " + words;
  lvn_words_attenuation(&lesion, phase, words);
  text += words[0] == '\0' ? "" : std::string("; ") + words;
  sr_text(item, sr_has_property, LVN_CODE_ALIGNMENT_STATE, plain_text(text.c_str(), text_max));
  put_attenuation(item, lesion, phase);
  put_alignment(item, lesion, phase);
}

DcmItem &put_outcome(DcmItem &group, const struct lvn_findings_lesion &lesion) {
  const struct lvn_findings_prediction &prediction = lesion.prediction;
  const bool is_classified = prediction.has_probability && !prediction.abstained;
  DcmItem &outcome = sr_code(group, sr_contains, LVN_CODE_CLASSIFICATION,
                             *lvn_code_get(is_classified ? LVN_CODE_CLASSIFIED : LVN_CODE_INDETERMINATE));
  char words[LVN_WORDS_BYTES];
  if (!is_classified) {
    sr_text(group, sr_contains, LVN_CODE_ABSTENTION_REASON, plain_text(prediction.abstention_reason, text_max));
  }
  lvn_words_small(&lesion, words);
  if (words[0] != '\0') {
    sr_text(group, sr_contains, LVN_CODE_SMALL_LESION, words);
  }
  return outcome;
}

void put_certainty(DcmItem &group, const struct lvn_findings_lesion &lesion) {
  const struct lvn_findings_prediction &prediction = lesion.prediction;
  char words[LVN_WORDS_BYTES];
  lvn_words_conformal(&prediction, words);
  if (words[0] != '\0') {
    DcmItem &set = sr_text(group, sr_contains, LVN_CODE_CONFORMAL_SET, words);
    sr_number(set, sr_has_property, LVN_CODE_CONFORMAL_COVERAGE, rounded(100 * prediction.conformal_coverage, 0.1),
              LVN_CODE_PERCENT);
    for (unsigned k = 0; k < LVN_CLASS_COUNT; k++) {
      if (((prediction.conformal_set >> k) & 1U) != 0) {
        sr_code(set, sr_has_property, LVN_CODE_CONFORMAL_CLASS,
                *lvn_code_get(lvn_code_of_class(static_cast<enum lvn_class>(k))));
      }
    }
  }
  lvn_words_outlier(&prediction, words);
  if (words[0] != '\0') {
    DcmItem &outlier = sr_text(group, sr_contains, LVN_CODE_OUTLIER, words);
    sr_number(outlier, sr_has_property, LVN_CODE_OUTLIER_SCORE, rounded(prediction.outlier_score, 0.01),
              LVN_CODE_NO_UNITS);
    sr_number(outlier, sr_has_property, LVN_CODE_OUTLIER_LIMIT, rounded(prediction.outlier_limit, 0.01),
              LVN_CODE_NO_UNITS);
  }
  lvn_words_map(&lesion, words);
  if (words[0] != '\0') {
    DcmItem &map = sr_text(group, sr_contains, LVN_CODE_MAP_SHARE_TEXT, words);
    sr_number(map, sr_has_property, LVN_CODE_MAP_SHARE, rounded(100 * prediction.map_share, 0.1), LVN_CODE_PERCENT);
    sr_number(map, sr_has_property, LVN_CODE_MAP_SHARE_LIMIT, rounded(100 * prediction.map_share_limit, 0.1),
              LVN_CODE_PERCENT);
  }
}

// One outline: TID 1410 (planar). More than one on the slice: TID 1411, whose Image Region may repeat.
void put_group(DcmItem &measurements, const Work &work, size_t lesion_index) {
  const struct lvn_findings_lesion &lesion = work.findings.lesions[lesion_index];
  const struct lvn_findings_prediction &prediction = lesion.prediction;
  const bool is_classified = prediction.has_probability && !prediction.abstained;
  const enum lvn_code_id finding = is_classified ? lvn_code_of_class(prediction.top_class) : LVN_CODE_LESION;
  DcmItem &group = sr_container(measurements, LVN_CODE_MEASUREMENT_GROUP, lesion.contours.count == 1 ? "1410" : "1411");
  sr_text(group, sr_has_context, LVN_CODE_TRACKING_ID, tracking_id_of(work.findings, lesion_index));
  sr_uid(group, sr_has_context, LVN_CODE_TRACKING_UID, lesion.tracking_uid);
  sr_code(group, sr_contains, LVN_CODE_FINDING, *lvn_code_get(finding));
  DcmItem &outcome = put_outcome(group, lesion);
  put_algorithm(group, work.findings, lesion);
  sr_code(group, sr_modifies, LVN_CODE_FINDING_SITE, *lvn_code_get(LVN_CODE_LIVER));
  put_outlines(group, sr_contains, LVN_CODE_IMAGE_REGION, lesion);
  if (is_written(work.findings, result_uid(work.request.job_key, "capture", lesion_index))) {
    sr_image(group, sr_contains, LVN_CODE_ILLUSTRATION_OF_ROI, UID_SecondaryCaptureImageStorage,
             result_uid(work.request.job_key, "capture", lesion_index), 0);
  }
  put_size(group, work, lesion);
  if (prediction.has_probability) {
    put_probabilities(group, outcome, prediction);
  }
  put_certainty(group, lesion);
  for (unsigned phase = 0; phase < LVN_PHASE_COUNT; phase++) {
    if (lvn_findings_has_phase(&lesion, static_cast<enum lvn_phase>(phase))) {
      put_phase(group, work.findings, lesion, static_cast<enum lvn_phase>(phase));
    }
  }
}

// What a reader must know before all else: what the report is worth, and the answer.
void put_summary(DcmItem &root, const struct lvn_findings &findings) {
  sr_text(root, sr_contains, LVN_CODE_RESEARCH_NOTICE, LVN_RESEARCH_NOTICE);
  for (size_t i = 0; i < findings.lesion_count; i++) {
    const struct lvn_findings_prediction &prediction = findings.lesions[i].prediction;
    char words[LVN_WORDS_BYTES];
    std::string text = "Lesion " + std::to_string(i + 1) + ": " + lvn_words_answer(&prediction);
    if (prediction.has_probability && !prediction.abstained) {
      lvn_words_percent(prediction.probability[prediction.top_class], words);
      text += std::string(", ") + words;
    } else {
      text += ". " + plain_text(prediction.abstention_reason, text_max);
    }
    sr_text(root, sr_contains, LVN_CODE_ANSWER, text);
  }
}

std::string evidence_of(const struct lvn_findings_series &series) {
  std::string line;
  for (size_t i = 0; i < series.evidence_count; i++) {
    line += (i == 0 ? "" : "; ") + std::string(series.evidence[i].text);
  }
  return line.substr(0, evidence_max);
}

void put_evaluations(DcmItem &root, const Work &work) {
  const struct lvn_findings &findings = work.findings;
  DcmItem &evaluations = sr_container(root, LVN_CODE_QUALITATIVE_EVALUATIONS, nullptr);
  sr_code(evaluations, sr_contains, LVN_CODE_RESULT_STATUS, *lvn_code_get(LVN_CODE_PRELIMINARY_REPORT));
  sr_text(evaluations, sr_contains, LVN_CODE_MODEL,
          plain_text(findings.model.name, text_max) + " " + plain_text(findings.model.version, text_max));
  for (const UsedSeries &used : used_series(findings)) {
    sr_text(evaluations, sr_contains, LVN_CODE_PHASE_EVIDENCE,
            std::string(lvn_phase_long_name(used.phase)) + ": series " + std::to_string(used.series->series_number) +
                ", " + plain_text(evidence_of(*used.series).c_str(), text_max));
  }
  if (findings.roi_note != nullptr && findings.roi_note[0] != '\0') {
    sr_text(evaluations, sr_contains, LVN_CODE_STUDY_NOTE, plain_text(findings.roi_note, text_max));
  }
  if (findings.not_made[0] != '\0') {
    sr_text(evaluations, sr_contains, LVN_CODE_STUDY_NOTE, plain_text(findings.not_made, text_max));
  }
  if (work.request.replaced_key != nullptr) {
    char when[LVN_TIME_TEXT_BYTES];
    lvn_clock_format_people(work.request.replaced_wall_ms, when);
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

// Every image that the lesions' crops were interpolated from.
void put_evidence(DcmDataset &dataset, const Work &work, const std::string &study) {
  Evidence evidence;
  const auto add = [&](const struct lvn_findings_image &image) {
    evidence.add(image.series_instance_uid, image.sop_class_uid, image.sop_instance_uid);
  };
  for (size_t i = 0; i < work.findings.lesion_count; i++) {
    const struct lvn_findings_lesion &lesion = work.findings.lesions[i];
    for (size_t s = 0; s < lesion.slice_count; s++) {
      add(lesion.slices[s].drawn);
      for (unsigned phase = 0; phase < LVN_PHASE_COUNT; phase++) {
        if (lvn_findings_has_phase(&lesion, static_cast<enum lvn_phase>(phase))) {
          add(lesion.slices[s].phases[phase]);
        }
      }
    }
  }
  for (size_t i = 0; i < work.findings.lesion_count; i++) {
    const auto &roi = work.findings.lesions[i].roi;
    if (roi.series_instance_uid != nullptr) {
      evidence.add(roi.series_instance_uid, roi.sop_class_uid, roi.sop_instance_uid);
    }
  }
  for (size_t i = 0; i < work.findings.lesion_count; i++) {
    if (is_written(work.findings, result_uid(work.request.job_key, "capture", i))) {
      evidence.add(result_uid(work.request.job_key, "capture-series", 0), UID_SecondaryCaptureImageStorage,
                   result_uid(work.request.job_key, "capture", i));
    }
  }
  if (is_written(work.findings, result_uid(work.request.job_key, "overview", 0))) {
    evidence.add(result_uid(work.request.job_key, "capture-series", 0), UID_SecondaryCaptureImageStorage,
                 result_uid(work.request.job_key, "overview", 0));
  }
  add_further_evidence(evidence, work);
  evidence.put_into(dataset, DCM_CurrentRequestedProcedureEvidenceSequence, study);
}

} // namespace

void fill_report(DcmDataset &dataset, Work &work) {
  const struct lvn_result_request &request = work.request;
  work.source.copy_into(dataset);
  put_result_header(dataset, work, "SR", UID_Comprehensive3DSRStorage, result_uid(request.job_key, "report", 0),
                    result_uid(request.job_key, "report-series", 0), result_sr_series_number, 1);
  dataset.insertEmptyElement(DCM_ReferencedPerformedProcedureStepSequence);
  dataset.insertEmptyElement(DCM_PerformedProcedureCodeSequence);
  sr_put_root(dataset);
  put(dataset, DCM_PreliminaryFlag, "PRELIMINARY");
  put_summary(dataset, work.findings);
  sr_put_observer(dataset, {work.findings.model.device_uid, node_model, node_manufacturer, node_model,
                            plain_text(request.ae_title, 64)});
  sr_code(dataset, sr_modifies, LVN_CODE_PROCEDURE_REPORTED, *lvn_code_get(LVN_CODE_CT_PROCEDURE));
  put_image_library(dataset, work.findings);
  DcmItem &measurements = sr_container(dataset, LVN_CODE_IMAGING_MEASUREMENTS, nullptr);
  for (size_t i = 0; i < work.findings.lesion_count; i++) {
    put_group(measurements, work, i);
  }
  put_evaluations(dataset, work);
  put_evidence(dataset, work, work.source.study_instance_uid());
  if (request.replaced_key != nullptr) {
    put_predecessor(dataset, request, work.source.study_instance_uid());
  }
}

} // namespace lvn_write
