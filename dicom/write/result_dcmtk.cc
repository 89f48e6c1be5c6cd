#include "base/file.h"
#include "base/guard.hh"
#include "base/memory.h"
#include "dicom/write/result_common_dcmtk.hh"

#include <cmath>
#include <cstdio>
#include <stdexcept>

namespace {

using namespace lvn_write;

void refuse(const std::string &what) {
  throw std::runtime_error("findings: " + what);
}

void check_prediction(const struct lvn_findings_prediction &prediction) {
  double sum = 0;
  for (double probability : prediction.probability) {
    sum += probability;
  }
  if (prediction.has_probability && !(std::fabs(sum - 1) < 1e-3)) {
    refuse("the probabilities do not sum to 1");
  }
  if ((prediction.abstained || !prediction.has_probability) && prediction.abstention_reason[0] == '\0') {
    refuse("no reason is given for the abstention");
  }
}

void check_lesion(const struct lvn_findings_lesion &lesion) {
  if (lvn_findings_key(&lesion) == nullptr || lesion.contours.count == 0) {
    refuse("a lesion has no outline");
  }
  for (size_t i = 0; i < lesion.contours.count; i++) {
    if (lesion.contours.items[i].count < 3) {
      refuse("an outline has no area");
    }
  }
  if (!std::isfinite(lesion.long_axis_mm) || !std::isfinite(lesion.short_axis_mm)) {
    refuse("a diameter is not a number");
  }
  check_prediction(lesion.prediction);
}

} // namespace

void lvn_write::check_findings(const struct lvn_findings &findings) {
  if (findings.lesion_count == 0 || findings.lesion_count > LVN_RESULT_LESIONS_MAX) {
    refuse("1 to 63 lesions are allowed");
  }
  for (size_t i = 0; i < findings.lesion_count; i++) {
    check_lesion(findings.lesions[i]);
  }
}

bool lvn_write::finish_result(DcmDataset &dataset, const char *name, struct lvn_findings &findings,
                              const struct lvn_result_request &request, struct lvn_error *err) {
  char path[LVN_PATH_BYTES];
  OFString sop_class_uid;
  OFString sop_instance_uid;
  if (!lvn_path_join(path, request.folder, name, err) || !save(dataset, EXS_LittleEndianExplicit, path, true, err)) {
    return false;
  }
  if (!lvn_result_check(path, err)) {
    (void)std::remove(path);
    return false;
  }
  dataset.findAndGetOFString(DCM_SOPClassUID, sop_class_uid);
  dataset.findAndGetOFString(DCM_SOPInstanceUID, sop_instance_uid);
  return lvn_findings_add_object(&findings, path, sop_class_uid.c_str(), sop_instance_uid.c_str(), err);
}

bool lvn_result_write_captures(struct lvn_findings *findings, const struct lvn_result_request *request,
                               struct lvn_error *err) {
  return lvn_guard(err, LVN_ERROR_INTERNAL, [&]() -> bool {
    check_findings(*findings);
    Work work{*findings, *request, ResultTemplate(findings->template_path)};
    if (findings->overview.rgb != nullptr) {
      DcmDataset dataset;
      fill_overview(dataset, work);
      if (!finish_result(dataset, "overview.dcm", *findings, *request, err)) {
        return false;
      }
    }
    for (size_t i = 0; i < findings->lesion_count; i++) {
      DcmDataset dataset;
      char name[64];
      if (findings->lesions[i].capture.rgb == nullptr) {
        continue;
      }
      std::snprintf(name, sizeof name, "capture-%02zu.dcm", i + 1);
      fill_capture(dataset, work, i);
      if (!finish_result(dataset, name, *findings, *request, err)) {
        return false;
      }
    }
    return true;
  });
}

bool lvn_result_write_report(struct lvn_findings *findings, const struct lvn_result_request *request,
                             struct lvn_error *err) {
  return lvn_guard(err, LVN_ERROR_INTERNAL, [&]() -> bool {
    check_findings(*findings);
    Work work{*findings, *request, ResultTemplate(findings->template_path)};
    DcmDataset dataset;
    fill_report(dataset, work);
    return finish_result(dataset, "report.dcm", *findings, *request, err);
  });
}
