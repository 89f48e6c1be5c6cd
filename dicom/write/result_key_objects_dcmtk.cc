// Key Object Selection (PS3.3 A.35.4, TID 2010): the images that a reader of the report should look at.
#include "base/guard.hh"
#include "dicom/write/result_common_dcmtk.hh"
#include "dicom/write/sr_tree_dcmtk.hh"

#include <stdexcept>

namespace lvn_write {

namespace {

// Each image of the study once: a lesion's key slice as drawn, and the same place on each phase that is aligned.
void put_images(DcmDataset &dataset, const struct lvn_findings &findings, Evidence &evidence) {
  std::set<std::pair<std::string, uint32_t>> known;
  const auto add = [&](const struct lvn_findings_image &image) {
    if (image.sop_instance_uid != nullptr && known.insert({image.sop_instance_uid, image.frame_number}).second) {
      sr_image(dataset, sr_contains, LVN_CODE_COUNT, image.sop_class_uid, image.sop_instance_uid, image.frame_number);
      evidence.add(image.series_instance_uid, image.sop_class_uid, image.sop_instance_uid);
    }
  };
  for (size_t i = 0; i < findings.lesion_count; i++) {
    const struct lvn_findings_lesion &lesion = findings.lesions[i];
    add(lvn_findings_key(&lesion)->drawn);
    for (unsigned phase = 0; phase < LVN_PHASE_COUNT; phase++) {
      if (lvn_findings_has_phase(&lesion, static_cast<enum lvn_phase>(phase)) &&
          lesion.phases[phase].alignment.is_usable) {
        add(lvn_findings_key(&lesion)->phases[phase]);
      }
    }
  }
}

void put_results(DcmDataset &dataset, const Work &work, Evidence &evidence) {
  const char *job_key = work.request.job_key;
  const std::string report = result_uid(job_key, "report", 0);
  const std::string overview = result_uid(job_key, "overview", 0);
  if (is_written(work.findings, overview)) {
    sr_image(dataset, sr_contains, LVN_CODE_COUNT, UID_SecondaryCaptureImageStorage, overview, 0);
    evidence.add(result_series_uid(job_key, "capture"), UID_SecondaryCaptureImageStorage, overview);
  }
  for (size_t i = 0; i < work.findings.lesion_count; i++) {
    const std::string capture = result_uid(job_key, "capture", i);
    if (is_written(work.findings, capture)) {
      sr_image(dataset, sr_contains, LVN_CODE_COUNT, UID_SecondaryCaptureImageStorage, capture, 0);
      evidence.add(result_series_uid(job_key, "capture"), UID_SecondaryCaptureImageStorage, capture);
    }
  }
  if (is_written(work.findings, report)) {
    sr_composite(dataset, UID_Comprehensive3DSRStorage, report);
    evidence.add(result_series_uid(job_key, "report"), UID_Comprehensive3DSRStorage, report);
  }
}

void fill_key_objects(DcmDataset &dataset, Work &work) {
  const char *job_key = work.request.job_key;
  const std::string note = replacement_note(work.request);
  Evidence evidence;
  work.source.copy_into(dataset);
  put_result_header(dataset, work, "KO", UID_KeyObjectSelectionDocumentStorage, result_uid(job_key, "kos", 0),
                    result_series_uid(job_key, "kos"), result_key_object_series_number, 1);
  dataset.insertEmptyElement(DCM_ReferencedPerformedProcedureStepSequence);
  sr_put_title(dataset, LVN_CODE_FOR_REPORT_ATTACHMENT, "2010");
  sr_put_observer(dataset, {work.findings.model.device_uid, node_model, node_manufacturer, node_model,
                            plain_text(work.request.ae_title, 64)});
  sr_text(
      dataset, sr_contains, LVN_CODE_KEY_OBJECT_DESCRIPTION,
      "Images of each lesion's largest outline on the phases, chosen by software, unverified. " LVN_RESEARCH_NOTICE +
          (note.empty() ? "" : ". " + note));
  put_images(dataset, work.findings, evidence);
  put_results(dataset, work, evidence);
  evidence.put_into(dataset, DCM_CurrentRequestedProcedureEvidenceSequence, work.source.study_instance_uid());
}

} // namespace

} // namespace lvn_write

bool lvn_result_write_key_objects(struct lvn_findings *findings, const struct lvn_result_request *request,
                                  struct lvn_error *err) {
  return lvn_guard(err, LVN_ERROR_INTERNAL, [&]() -> bool {
    lvn_write::check_findings(*findings);
    lvn_write::Work work{*findings, *request, lvn_write::ResultTemplate(findings->template_path)};
    DcmDataset dataset;
    lvn_write::fill_key_objects(dataset, work);
    return lvn_write::finish_result(dataset, "key-objects.dcm", *findings, *request, err);
  });
}
