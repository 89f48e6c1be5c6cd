// Encapsulated PDF (PS3.3 A.45.1), for archives that show neither SR nor secondary captures.
#include "base/guard.hh"
#include "dicom/write/result_common_dcmtk.hh"

#include <set>

namespace lvn_write {

namespace {

void fill_document(DcmDataset &dataset, Work &work, const uint8_t *pdf, size_t pdf_bytes) {
  const char *job_key = work.request.job_key;
  std::set<std::string> known;
  work.source.copy_into(dataset);
  put_result_header(dataset, work, "DOC", UID_EncapsulatedPDFStorage, result_uid(job_key, "pdf", 0),
                    result_series_uid(job_key, "pdf"), result_document_series_number, 1);
  put(dataset, DCM_ConversionType, "WSD");
  put(dataset, DCM_AcquisitionDateTime, "");
  put(dataset, DCM_BurnedInAnnotation, "NO"); // no page says who the patient is
  put(dataset, DCM_RecognizableVisualFeatures, "NO");
  put(dataset, DCM_DocumentTitle, "AI liver lesion result, unverified, research use only");
  put_code(dataset, DCM_ConceptNameCodeSequence, *lvn_code_get(LVN_CODE_IMAGING_MEASUREMENT_REPORT));
  for (size_t i = 0; i < work.findings.lesion_count; i++) {
    const struct lvn_findings_image &image = lvn_findings_key(&work.findings.lesions[i])->drawn;
    if (known.insert(image.sop_instance_uid).second) {
      put_reference(add_item(dataset, DCM_SourceInstanceSequence), image.sop_class_uid, image.sop_instance_uid);
    }
  }
  put(dataset, DCM_MIMETypeOfEncapsulatedDocument, "application/pdf");
  put_bytes(dataset, DCM_EncapsulatedDocument, std::vector<uint8_t>(pdf, pdf + pdf_bytes));
}

} // namespace

} // namespace lvn_write

bool lvn_result_write_document(struct lvn_findings *findings, const struct lvn_result_request *request,
                               const uint8_t *pdf, size_t pdf_bytes, struct lvn_error *err) {
  return lvn_guard(err, LVN_ERROR_INTERNAL, [&]() -> bool {
    lvn_write::check_findings(*findings);
    lvn_write::Work work{*findings, *request, lvn_write::ResultTemplate(findings->template_path)};
    DcmDataset dataset;
    lvn_write::fill_document(dataset, work, pdf, pdf_bytes);
    return lvn_write::finish_result(dataset, "document.dcm", *findings, *request, err);
  });
}
