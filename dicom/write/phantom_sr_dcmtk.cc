#include "base/guard.hh"
#include "base/memory.h"
#include "dicom/write/phantom_common_dcmtk.hh"
#include "dicom/write/sr_tree_dcmtk.hh"
#include "model/image/contour.h"

#include <stdexcept>

namespace {

using namespace lvn_write;

// SCOORD pixel coordinates count from the outer corner of the first pixel (PS3.3 C.18.6.1.2), as contours do.
void put_region(DcmItem &group, const struct lvn_write_roi_target &target, uint32_t slice,
                const struct lvn_contour &contour) {
  std::vector<float> points;
  for (size_t i = 0; i <= contour.count; i++) {
    points.push_back(static_cast<float>(contour.points[i % contour.count].column));
    points.push_back(static_cast<float>(contour.points[i % contour.count].row));
  }
  DcmItem &region = sr_polyline(group, sr_contains, LVN_CODE_IMAGE_REGION, points);
  sr_image(region, sr_selected_from, LVN_CODE_COUNT, UID_CTImageStorage, target.sop_instance_uids[slice], 0);
}

double volume_ml(const struct lvn_mask &mask) {
  const double *spacing = mask.grid.spacing_mm;
  const size_t voxels = lvn_mask_measure(&mask, nullptr, nullptr, nullptr);
  return static_cast<double>(voxels) * spacing[0] * spacing[1] * spacing[2] / 1000.0;
}

// TID 1411, whose Image Region may come once per slice; TID 1410 allows one only.
void put_group(Evidence &evidence, DcmItem &measurements, const struct lvn_write_roi_target &target,
               const struct lvn_write_roi &roi) {
  DcmItem &group = sr_container(measurements, LVN_CODE_MEASUREMENT_GROUP, "1411");
  sr_text(group, sr_has_context, LVN_CODE_TRACKING_ID, roi.label);
  sr_uid(group, sr_has_context, LVN_CODE_TRACKING_UID, roi.tracking_uid);
  sr_code(group, sr_contains, LVN_CODE_FINDING, *lvn_code_get(LVN_CODE_LESION));
  sr_code(group, sr_modifies, LVN_CODE_FINDING_SITE, *lvn_code_get(LVN_CODE_LIVER));
  for (uint32_t slice = 0; slice < target.grid->size[2]; slice++) {
    LVN_CLEANUP(lvn_contour_list_clear) struct lvn_contour_list list = {nullptr, 0};
    struct lvn_error error;
    if (!lvn_contour_trace(roi.mask, slice, &list, &error)) {
      throw std::runtime_error(error.message);
    }
    for (size_t i = 0; i < list.count; i++) {
      put_region(group, target, slice, list.items[i]);
    }
    if (list.count > 0) {
      evidence.add(target.series_instance_uid, UID_CTImageStorage, target.sop_instance_uids[slice]);
    }
  }
  sr_number(group, sr_contains, LVN_CODE_VOLUME, volume_ml(*roi.mask), LVN_CODE_MILLILITRE);
}

} // namespace

bool lvn_write_roi_sr(const char *path, const struct lvn_write_study *study, const struct lvn_write_roi_target *target,
                      const struct lvn_write_roi *rois, size_t roi_count, struct lvn_error *err) {
  return lvn_guard(err, LVN_ERROR_DATA, [&]() -> bool {
    DcmDataset dataset;
    check_rois(*target, rois, roi_count);
    put_study(dataset, *study, UID_Comprehensive3DSRStorage, roi_uid("sr", *target, rois, roi_count));
    put_series(dataset, "SR", roi_uid("sr-series", *target, rois, roi_count), 103, "Lesion ROI");
    dataset.insertEmptyElement(DCM_ReferencedPerformedProcedureStepSequence);
    dataset.insertEmptyElement(DCM_PerformedProcedureCodeSequence);
    put(dataset, DCM_InstanceNumber, "1");
    put(dataset, DCM_ContentDate, study->study_date);
    put(dataset, DCM_ContentTime, study->study_time);
    sr_put_root(dataset);
    put(dataset, DCM_PreliminaryFlag, "PRELIMINARY");
    sr_put_observer(dataset, {uid_of({"phantom-observer"}), "Liver phantom", "Liver-VLM node project",
                              "Parametric liver phantom", "1"});
    sr_code(dataset, sr_modifies, LVN_CODE_PROCEDURE_REPORTED, *lvn_code_get(LVN_CODE_CT_PROCEDURE));
    Evidence evidence;
    DcmItem &measurements = sr_container(dataset, LVN_CODE_IMAGING_MEASUREMENTS, nullptr);
    for (size_t i = 0; i < roi_count; i++) {
      put_group(evidence, measurements, *target, rois[i]);
    }
    evidence.put_into(dataset, DCM_CurrentRequestedProcedureEvidenceSequence, study->study_instance_uid);
    return save(dataset, EXS_LittleEndianExplicit, path, false, err);
  });
}
