#include "base/file.h"
#include "base/guard.hh"
#include "dicom/write/phantom_common_dcmtk.hh"

#include <algorithm>
#include <cstdio>
#include <cstring>

namespace {

using namespace lvn_write;

constexpr int rescale_intercept = -1024;
// Below every stored value of tissue or air (HU below -1024 are clamped), as scanners do it.
constexpr Sint16 padding_stored = -2000;

void put_image_attributes(DcmItem &dataset, const struct lvn_write_series &series, const struct lvn_grid &grid) {
  const double spacing[2] = {grid.spacing_mm[1], grid.spacing_mm[0]}; // between rows first (PS3.3 10.7.1.3)
  put(dataset, DCM_BodyPartExamined, "ABDOMEN");
  put(dataset, DCM_ProtocolName, series.protocol_name);
  put(dataset, DCM_PatientPosition, "FFS");
  put(dataset, DCM_PositionReferenceIndicator, "");
  put(dataset, DCM_ImageType, "ORIGINAL\\PRIMARY\\AXIAL");
  put(dataset, DCM_AcquisitionNumber, "1");
  put(dataset, DCM_KVP, "120");
  put(dataset, DCM_ConvolutionKernel, series.kernel);
  put_decimals(dataset, DCM_SliceThickness, &series.slice_thickness_mm, 1);
  put_orientation(dataset, grid);
  put_decimals(dataset, DCM_PixelSpacing, spacing, 2);
  put_us(dataset, DCM_SamplesPerPixel, 1);
  put(dataset, DCM_PhotometricInterpretation, "MONOCHROME2");
  put_us(dataset, DCM_Rows, grid.size[1]);
  put_us(dataset, DCM_Columns, grid.size[0]);
  put_us(dataset, DCM_BitsAllocated, 16);
  put_us(dataset, DCM_BitsStored, 16);
  put_us(dataset, DCM_HighBit, 15);
  put_us(dataset, DCM_PixelRepresentation, 1);
  dataset.putAndInsertSint16(DCM_PixelPaddingValue, padding_stored);
  put(dataset, DCM_RescaleIntercept, std::to_string(rescale_intercept));
  put(dataset, DCM_RescaleSlope, "1");
  put(dataset, DCM_RescaleType, "HU");
  put(dataset, DCM_WindowCenter, "75");
  put(dataset, DCM_WindowWidth, "350");
}

void put_times(DcmItem &dataset, const struct lvn_write_study &study, const struct lvn_write_series &series) {
  put(dataset, DCM_SeriesDate, study.study_date);
  put(dataset, DCM_SeriesTime, series.acquisition_time);
  put(dataset, DCM_AcquisitionDate, study.study_date);
  put(dataset, DCM_AcquisitionTime, series.acquisition_time);
  put(dataset, DCM_ContentDate, study.study_date);
  put(dataset, DCM_ContentTime, series.acquisition_time);
  if (series.contrast_agent != nullptr) {
    put(dataset, DCM_ContrastBolusAgent, series.contrast_agent);
  }
  if (series.contrast_start_time != nullptr) {
    put(dataset, DCM_ContrastBolusStartTime, series.contrast_start_time);
  }
}

void put_pixels(DcmItem &dataset, const struct lvn_volume &volume, uint32_t slice) {
  const size_t pixels = static_cast<size_t>(volume.grid.size[0]) * volume.grid.size[1];
  const int16_t *hounsfield = volume.hounsfield + pixels * slice;
  auto *element = new DcmPixelData(DcmTag(DCM_PixelData, EVR_OW));
  Uint16 *stored = nullptr;
  if (element->createUint16Array(static_cast<Uint32>(pixels), stored).bad() || dataset.insert(element, OFTrue).bad()) {
    delete element;
    throw std::bad_alloc();
  }
  for (size_t i = 0; i < pixels; i++) {
    const int hu = std::clamp<int>(hounsfield[i], rescale_intercept, INT16_MAX + rescale_intercept);
    const int value = hounsfield[i] == LVN_HU_PADDING ? padding_stored : hu - rescale_intercept;
    stored[i] = static_cast<Uint16>(static_cast<Sint16>(value));
  }
}

bool write_slice(const char *folder, const struct lvn_write_study &study, const struct lvn_write_series &series,
                 const struct lvn_volume &volume, uint32_t slice, const std::string &sop_instance_uid,
                 struct lvn_error *err) {
  DcmDataset dataset;
  char path[LVN_PATH_BYTES];
  char name[32];
  std::snprintf(name, sizeof name, "%04u.dcm", slice + 1);
  put_study(dataset, study, UID_CTImageStorage, sop_instance_uid);
  put_series(dataset, "CT", series.series_instance_uid, series.series_number, series.series_description);
  put(dataset, DCM_FrameOfReferenceUID, study.frame_of_reference_uid);
  put_times(dataset, study, series);
  put_image_attributes(dataset, series, volume.grid);
  put(dataset, DCM_InstanceNumber, std::to_string(slice + 1));
  put_position(dataset, volume.grid, slice);
  put_pixels(dataset, volume, slice);
  return lvn_path_join(path, folder, name, err) &&
         save(dataset, lossless_syntax(series.transfer_syntax_uid), path, false, err);
}

} // namespace

bool lvn_write_ct_series(const char *folder, const struct lvn_write_study *study, const struct lvn_write_series *series,
                         const struct lvn_volume *volume, char (*ret_sop_instance_uids)[LVN_UID_BYTES],
                         struct lvn_error *err) {
  return lvn_guard(err, LVN_ERROR_DATA, [&]() -> bool {
    for (uint32_t slice = 0; slice < volume->grid.size[2]; slice++) {
      const std::string uid = uid_of({"phantom-ct", series->uid_seed, std::to_string(slice + 1)});
      if (!write_slice(folder, *study, *series, *volume, slice, uid, err)) {
        return false;
      }
      if (ret_sop_instance_uids != nullptr) {
        std::snprintf(ret_sop_instance_uids[slice], LVN_UID_BYTES, "%s", uid.c_str());
      }
    }
    return true;
  });
}
