// Modules that all objects of a phantom study share.
#ifndef LVN_DICOM_WRITE_PHANTOM_COMMON_HH
#define LVN_DICOM_WRITE_PHANTOM_COMMON_HH

#include "dicom/write/build_dcmtk.hh"
#include "dicom/write/phantom_objects.h"

namespace lvn_write {

// SOP Common, Patient, General Study, General Equipment; type 2 attributes that the study does not give are empty.
void put_study(DcmItem &dataset, const struct lvn_write_study &study, const char *sop_class_uid,
               const std::string &sop_instance_uid);

void put_series(DcmItem &dataset, const char *modality, const std::string &series_instance_uid, int series_number,
                const char *description);

// ImageOrientationPatient and ImagePositionPatient values of a slice.
void put_orientation(DcmItem &item, const struct lvn_grid &grid);
void put_position(DcmItem &item, const struct lvn_grid &grid, double slice);

// UID of an object made of ROIs: the same target and ROIs give the same UID.
std::string roi_uid(const char *role, const struct lvn_write_roi_target &target, const struct lvn_write_roi *rois,
                    size_t roi_count);

// Throws unless every ROI lies on the target's grid.
void check_rois(const struct lvn_write_roi_target &target, const struct lvn_write_roi *rois, size_t roi_count);

} // namespace lvn_write

#endif
