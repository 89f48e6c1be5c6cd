#include "dicom/write/phantom_common_dcmtk.hh"

#include <stdexcept>

namespace lvn_write {

void put_study(DcmItem &dataset, const struct lvn_write_study &study, const char *sop_class_uid,
               const std::string &sop_instance_uid) {
  put(dataset, DCM_SOPClassUID, sop_class_uid);
  put(dataset, DCM_SOPInstanceUID, sop_instance_uid);
  put(dataset, DCM_PatientName, study.patient_name);
  put(dataset, DCM_PatientID, study.patient_id);
  put(dataset, DCM_PatientBirthDate, "");
  put(dataset, DCM_PatientSex, "");
  put(dataset, DCM_QualityControlSubject, "YES");
  put(dataset, DCM_StudyInstanceUID, study.study_instance_uid);
  put(dataset, DCM_StudyID, study.study_id);
  put(dataset, DCM_StudyDate, study.study_date);
  put(dataset, DCM_StudyTime, study.study_time);
  put(dataset, DCM_StudyDescription, "CT abdomen, phantom");
  put(dataset, DCM_AccessionNumber, study.accession_number);
  put(dataset, DCM_ReferringPhysicianName, "");
  put(dataset, DCM_Manufacturer, "Liver-VLM node project");
  put(dataset, DCM_ManufacturerModelName, "Parametric liver phantom");
  put(dataset, DCM_DeviceSerialNumber, "1");
  put(dataset, DCM_SoftwareVersions, "1");
}

void put_series(DcmItem &dataset, const char *modality, const std::string &series_instance_uid, int series_number,
                const char *description) {
  put(dataset, DCM_Modality, modality);
  put(dataset, DCM_SeriesInstanceUID, series_instance_uid);
  put(dataset, DCM_SeriesNumber, std::to_string(series_number));
  put(dataset, DCM_SeriesDescription, description);
}

void put_orientation(DcmItem &item, const struct lvn_grid &grid) {
  const double cosines[6] = {grid.direction[0][0], grid.direction[0][1], grid.direction[0][2],
                             grid.direction[1][0], grid.direction[1][1], grid.direction[1][2]};
  put_decimals(item, DCM_ImageOrientationPatient, cosines, 6);
}

void put_position(DcmItem &item, const struct lvn_grid &grid, double slice) {
  const double index[3] = {0, 0, slice};
  double position[3];
  lvn_grid_to_patient(&grid, index, position);
  put_decimals(item, DCM_ImagePositionPatient, position, 3);
}

std::string roi_uid(const char *role, const struct lvn_write_roi_target &target, const struct lvn_write_roi *rois,
                    size_t roi_count) {
  std::vector<std::string> parts = {"phantom-roi", role, target.series_instance_uid};
  for (size_t i = 0; i < roi_count; i++) {
    parts.push_back(rois[i].tracking_uid);
  }
  return uid_of(parts);
}

void check_rois(const struct lvn_write_roi_target &target, const struct lvn_write_roi *rois, size_t roi_count) {
  if (roi_count == 0) {
    throw std::runtime_error("no ROI to write");
  }
  for (size_t i = 0; i < roi_count; i++) {
    if (!lvn_grid_is_same(target.grid, &rois[i].mask->grid)) {
      throw std::runtime_error(std::string("ROI ") + rois[i].label + " is not on the grid of the target series");
    }
    if (lvn_mask_measure(rois[i].mask, nullptr, nullptr, nullptr) == 0) {
      throw std::runtime_error(std::string("ROI ") + rois[i].label + " is empty");
    }
  }
}

} // namespace lvn_write
