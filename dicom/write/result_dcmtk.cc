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
  throw std::runtime_error("result request: " + what);
}

void check_lesion(const struct lvn_result_lesion &lesion) {
  if (lesion.contour_count == 0) {
    refuse("a lesion has no outline");
  }
  for (size_t i = 0; i < lesion.contour_count; i++) {
    const struct lvn_result_contour &contour = lesion.contours[i];
    const float *last = contour.column_row + 2 * (contour.point_count - 1);
    if (contour.point_count < 4 || contour.column_row[0] != last[0] || contour.column_row[1] != last[1]) {
      refuse("an outline is not closed");
    }
  }
  if (!std::isfinite(lesion.long_axis_mm) || !std::isfinite(lesion.short_axis_mm)) {
    refuse("a diameter is not a number");
  }
  double sum = 0;
  for (double probability : lesion.probability) {
    sum += probability;
  }
  if (lesion.has_probability && !(std::fabs(sum - 1) < 1e-3)) {
    refuse("the probabilities do not sum to 1");
  }
  if ((lesion.abstained || !lesion.has_probability) && lesion.abstention_reason == nullptr) {
    refuse("no reason is given for the abstention");
  }
}

void check_request(const struct lvn_result_request &request) {
  if (request.lesion_count == 0 || request.lesion_count >= LVN_RESULT_OBJECTS_MAX) {
    refuse("1 to 63 lesions are allowed");
  }
  for (size_t i = 0; i < request.lesion_count; i++) {
    check_lesion(request.lesions[i]);
  }
}

bool finish(DcmDataset &dataset, const char *folder, const char *name, struct lvn_result_object *ret_object,
            struct lvn_error *err) {
  OFString sop_class_uid;
  OFString sop_instance_uid;
  if (!lvn_path_join(ret_object->path, folder, name, err) ||
      !save(dataset, EXS_LittleEndianExplicit, ret_object->path, true, err) ||
      !lvn_result_check(ret_object->path, err)) {
    return false;
  }
  dataset.findAndGetOFString(DCM_SOPClassUID, sop_class_uid);
  dataset.findAndGetOFString(DCM_SOPInstanceUID, sop_instance_uid);
  return lvn_copy(ret_object->sop_class_uid, sizeof ret_object->sop_class_uid, sop_class_uid.c_str()) &&
         lvn_copy(ret_object->sop_instance_uid, sizeof ret_object->sop_instance_uid, sop_instance_uid.c_str());
}

} // namespace

bool lvn_result_write(const struct lvn_result_request *request, const char *folder,
                      struct lvn_result_object *ret_objects, size_t *ret_count, struct lvn_error *err) {
  return lvn_guard(err, LVN_ERROR_INTERNAL, [&]() -> bool {
    size_t count = 0;
    check_request(*request);
    ResultTemplate source(request->template_path);
    for (size_t i = 0; i < request->lesion_count; i++) {
      DcmDataset dataset;
      char name[64];
      if (request->lesions[i].capture == nullptr) {
        continue;
      }
      std::snprintf(name, sizeof name, "capture-%02zu.dcm", i + 1);
      fill_capture(dataset, source, *request, i);
      if (!finish(dataset, folder, name, &ret_objects[count], err)) {
        return false;
      }
      count++;
    }
    DcmDataset dataset;
    fill_report(dataset, source, *request);
    if (!finish(dataset, folder, "report.dcm", &ret_objects[count], err)) {
      return false;
    }
    *ret_count = count + 1;
    return true;
  });
}
