#include "base/guard.hh"
#include "base/memory.h"
#include "dicom/write/phantom_common_dcmtk.hh"
#include "model/image/contour.h"

#include <stdexcept>

namespace {

using namespace lvn_write;

void put_referenced_series(DcmItem &dataset, const struct lvn_write_study &study,
                           const struct lvn_write_roi_target &target) {
  DcmItem &frame = add_item(dataset, DCM_ReferencedFrameOfReferenceSequence);
  put(frame, DCM_FrameOfReferenceUID, study.frame_of_reference_uid);
  DcmItem &referenced_study = add_item(frame, DCM_RTReferencedStudySequence);
  put_reference(referenced_study, UID_RETIRED_DetachedStudyManagementSOPClass, study.study_instance_uid);
  DcmItem &series = add_item(referenced_study, DCM_RTReferencedSeriesSequence);
  put(series, DCM_SeriesInstanceUID, target.series_instance_uid);
  for (uint32_t slice = 0; slice < target.grid->size[2]; slice++) {
    put_reference(add_item(series, DCM_ContourImageSequence), UID_CTImageStorage, target.sop_instance_uids[slice]);
  }
}

// Millimetres; a pixel's coordinate is that of its centre, so its outer corner lies half a pixel before it.
void put_contour(DcmItem &roi_contour, const struct lvn_write_roi_target &target, uint32_t slice,
                 const struct lvn_contour &contour) {
  std::vector<double> points;
  for (size_t i = 0; i < contour.count; i++) {
    const double index[3] = {contour.points[i].column - 0.5, contour.points[i].row - 0.5, static_cast<double>(slice)};
    double position[3];
    lvn_grid_to_patient(target.grid, index, position);
    points.insert(points.end(), position, position + 3);
  }
  DcmItem &item = add_item(roi_contour, DCM_ContourSequence);
  put_reference(add_item(item, DCM_ContourImageSequence), UID_CTImageStorage, target.sop_instance_uids[slice]);
  put(item, DCM_ContourGeometricType, "CLOSED_PLANAR");
  put(item, DCM_NumberOfContourPoints, std::to_string(contour.count));
  put_decimals(item, DCM_ContourData, points.data(), points.size());
}

void put_roi_contours(DcmItem &dataset, const struct lvn_write_roi_target &target, const struct lvn_write_roi &roi,
                      size_t number) {
  DcmItem &roi_contour = add_item(dataset, DCM_ROIContourSequence);
  put(roi_contour, DCM_ROIDisplayColor, "255\\220\\0");
  put(roi_contour, DCM_ReferencedROINumber, std::to_string(number));
  for (uint32_t slice = 0; slice < target.grid->size[2]; slice++) {
    LVN_CLEANUP(lvn_contour_list_clear) struct lvn_contour_list list = {nullptr, 0};
    struct lvn_error error;
    if (!lvn_contour_trace(roi.mask, slice, &list, &error)) {
      throw std::runtime_error(error.message);
    }
    for (size_t i = 0; i < list.count; i++) {
      put_contour(roi_contour, target, slice, list.items[i]);
    }
  }
}

void put_roi(DcmItem &dataset, const struct lvn_write_study &study, const struct lvn_write_roi_target &target,
             const struct lvn_write_roi &roi, size_t number) {
  DcmItem &structure = add_item(dataset, DCM_StructureSetROISequence);
  put(structure, DCM_ROINumber, std::to_string(number));
  put(structure, DCM_ReferencedFrameOfReferenceUID, study.frame_of_reference_uid);
  put(structure, DCM_ROIName, roi.label);
  put(structure, DCM_ROIGenerationAlgorithm, "MANUAL");
  put_roi_contours(dataset, target, roi, number);
  DcmItem &observation = add_item(dataset, DCM_RTROIObservationsSequence);
  put(observation, DCM_ObservationNumber, std::to_string(number));
  put(observation, DCM_ReferencedROINumber, std::to_string(number));
  put(observation, DCM_RTROIInterpretedType, "");
  put(observation, DCM_ROIInterpreter, "");
}

} // namespace

bool lvn_write_roi_rtstruct(const char *path, const struct lvn_write_study *study,
                            const struct lvn_write_roi_target *target, const struct lvn_write_roi *rois,
                            size_t roi_count, struct lvn_error *err) {
  return lvn_guard(err, LVN_ERROR_DATA, [&]() -> bool {
    DcmDataset dataset;
    check_rois(*target, rois, roi_count);
    put_study(dataset, *study, UID_RTStructureSetStorage, roi_uid("rtstruct", *target, rois, roi_count));
    put_series(dataset, "RTSTRUCT", roi_uid("rtstruct-series", *target, rois, roi_count), 101, "Lesion ROI");
    put(dataset, DCM_OperatorsName, "");
    put(dataset, DCM_FrameOfReferenceUID, study->frame_of_reference_uid);
    put(dataset, DCM_PositionReferenceIndicator, "");
    put(dataset, DCM_InstanceNumber, "1");
    put(dataset, DCM_StructureSetLabel, "LESIONS");
    put(dataset, DCM_StructureSetDate, study->study_date);
    put(dataset, DCM_StructureSetTime, study->study_time);
    put(dataset, DCM_ApprovalStatus, "UNAPPROVED");
    put_referenced_series(dataset, *study, *target);
    for (size_t i = 0; i < roi_count; i++) {
      put_roi(dataset, *study, *target, rois[i], i + 1);
    }
    return save(dataset, EXS_LittleEndianExplicit, path, false, err);
  });
}
