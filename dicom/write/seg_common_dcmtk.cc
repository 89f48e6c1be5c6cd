#include "dicom/write/seg_common_dcmtk.hh"

namespace lvn_write {

void put_seg_image(DcmItem &dataset, const struct lvn_grid &grid, size_t frame_count) {
  put(dataset, DCM_BodyPartExamined, "ABDOMEN"); // without it Laterality would be required (PS3.3 C.7.3.1)
  put(dataset, DCM_ImageType, "DERIVED\\PRIMARY");
  put(dataset, DCM_SegmentationType, "BINARY");
  put(dataset, DCM_LossyImageCompression, "00");
  put(dataset, DCM_PhotometricInterpretation, "MONOCHROME2");
  put(dataset, DCM_NumberOfFrames, std::to_string(frame_count));
  put_us(dataset, DCM_SamplesPerPixel, 1);
  put_us(dataset, DCM_Rows, grid.size[1]);
  put_us(dataset, DCM_Columns, grid.size[0]);
  put_us(dataset, DCM_BitsAllocated, 1);
  put_us(dataset, DCM_BitsStored, 1);
  put_us(dataset, DCM_HighBit, 0);
  put_us(dataset, DCM_PixelRepresentation, 0);
}

void put_seg_dimensions(DcmItem &dataset, const std::string &organization_uid) {
  const DcmTagKey indices[2][2] = {{DCM_ReferencedSegmentNumber, DCM_SegmentIdentificationSequence},
                                   {DCM_ImagePositionPatient, DCM_PlanePositionSequence}};
  put(add_item(dataset, DCM_DimensionOrganizationSequence), DCM_DimensionOrganizationUID, organization_uid);
  for (const auto &index : indices) {
    DcmItem &item = add_item(dataset, DCM_DimensionIndexSequence);
    put(item, DCM_DimensionOrganizationUID, organization_uid);
    item.putAndInsertTagKey(DCM_DimensionIndexPointer, index[0]);
    item.putAndInsertTagKey(DCM_FunctionalGroupPointer, index[1]);
  }
}

void put_seg_shared_groups(DcmItem &dataset, const struct lvn_grid &grid, double slice_thickness_mm) {
  double orientation[6];
  const double spacing[2] = {grid.spacing_mm[1], grid.spacing_mm[0]};
  DcmItem &shared = add_item(dataset, DCM_SharedFunctionalGroupsSequence);
  for (size_t i = 0; i < 6; i++) {
    orientation[i] = grid.direction[i / 3][i % 3];
  }
  put_decimals(add_item(shared, DCM_PlaneOrientationSequence), DCM_ImageOrientationPatient, orientation, 6);
  DcmItem &measures = add_item(shared, DCM_PixelMeasuresSequence);
  put_decimals(measures, DCM_PixelSpacing, spacing, 2);
  put_decimals(measures, DCM_SliceThickness, &slice_thickness_mm, 1);
  put_decimals(measures, DCM_SpacingBetweenSlices, &grid.spacing_mm[2], 1);
}

SegBits::SegBits(const struct lvn_grid &grid, size_t frame_count)
    : columns_(grid.size[0]), pixels_(static_cast<size_t>(grid.size[0]) * grid.size[1]),
      bytes_((pixels_ * frame_count + 7) / 8) {
}

void SegBits::set(size_t frame, size_t column, size_t row) {
  const size_t bit = frame * pixels_ + row * columns_ + column;
  bytes_[bit / 8] = static_cast<uint8_t>(bytes_[bit / 8] | (1U << (bit % 8)));
}

} // namespace lvn_write
