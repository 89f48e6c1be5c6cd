#include "base/guard.hh"
#include "dicom/write/phantom_common_dcmtk.hh"

#include <cstring>

namespace {

using namespace lvn_write;

struct frame {
  size_t roi;
  uint32_t slice;
};

size_t slice_pixels(const struct lvn_grid &grid) {
  return static_cast<size_t>(grid.size[0]) * grid.size[1];
}

// Only slices with content become frames, segment by segment.
std::vector<struct frame> list_frames(const struct lvn_grid &grid, const struct lvn_write_roi *rois, size_t roi_count) {
  std::vector<struct frame> frames;
  for (size_t roi = 0; roi < roi_count; roi++) {
    for (uint32_t slice = 0; slice < grid.size[2]; slice++) {
      if (lvn_mask_count_slice(rois[roi].mask, slice) > 0) {
        frames.push_back({roi, slice});
      }
    }
  }
  return frames;
}

// One bit per pixel, first pixel in the lowest bit, frames following one another without padding (PS3.5 8.1.1, D).
std::vector<uint8_t> pack_bits(const struct lvn_grid &grid, const struct lvn_write_roi *rois,
                               const std::vector<struct frame> &frames) {
  const size_t pixels = slice_pixels(grid);
  std::vector<uint8_t> bits((pixels * frames.size() + 7) / 8);
  for (size_t f = 0; f < frames.size(); f++) {
    for (size_t i = 0; i < pixels; i++) {
      if (lvn_mask_contains(rois[frames[f].roi].mask, static_cast<int64_t>(i % grid.size[0]),
                            static_cast<int64_t>(i / grid.size[0]), frames[f].slice)) {
        const size_t bit = f * pixels + i;
        bits[bit / 8] = static_cast<uint8_t>(bits[bit / 8] | (1U << (bit % 8)));
      }
    }
  }
  return bits;
}

void put_segment(DcmItem &dataset, const struct lvn_write_roi &roi, size_t number) {
  const Uint16 cielab[3] = {45000, 44000, 52000}; // orange (PS3.3 C.10.7.1.1)
  DcmItem &segment = add_item(dataset, DCM_SegmentSequence);
  put_us(segment, DCM_SegmentNumber, static_cast<unsigned>(number));
  put(segment, DCM_SegmentLabel, roi.label);
  put(segment, DCM_SegmentAlgorithmType, "MANUAL");
  put_code(segment, DCM_SegmentedPropertyCategoryCodeSequence, *lvn_code_get(LVN_CODE_MORPHOLOGICALLY_ABNORMAL));
  put_code(segment, DCM_SegmentedPropertyTypeCodeSequence, *lvn_code_get(LVN_CODE_LESION));
  put_code(segment, DCM_AnatomicRegionSequence, *lvn_code_get(LVN_CODE_LIVER));
  put(segment, DCM_TrackingID, roi.label);
  put(segment, DCM_TrackingUID, roi.tracking_uid);
  segment.putAndInsertUint16Array(DCM_RecommendedDisplayCIELabValue, cielab, 3);
}

void put_dimensions(DcmItem &dataset, const std::string &organization_uid) {
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

void put_shared_groups(DcmItem &dataset, const struct lvn_grid &grid) {
  const double spacing[2] = {grid.spacing_mm[1], grid.spacing_mm[0]};
  DcmItem &shared = add_item(dataset, DCM_SharedFunctionalGroupsSequence);
  put_orientation(add_item(shared, DCM_PlaneOrientationSequence), grid);
  DcmItem &measures = add_item(shared, DCM_PixelMeasuresSequence);
  put_decimals(measures, DCM_PixelSpacing, spacing, 2);
  put_decimals(measures, DCM_SliceThickness, &grid.spacing_mm[2], 1);
  put_decimals(measures, DCM_SpacingBetweenSlices, &grid.spacing_mm[2], 1);
}

void put_frame(DcmItem &dataset, const struct lvn_write_roi_target &target, const struct frame &frame) {
  const Uint32 index[2] = {static_cast<Uint32>(frame.roi + 1), frame.slice + 1};
  DcmItem &groups = add_item(dataset, DCM_PerFrameFunctionalGroupsSequence);
  DcmItem &source = add_item(add_item(groups, DCM_DerivationImageSequence), DCM_SourceImageSequence);
  put_reference(source, UID_CTImageStorage, target.sop_instance_uids[frame.slice]);
  put_code(source, DCM_PurposeOfReferenceCodeSequence, *lvn_code_get(LVN_CODE_SOURCE_IMAGE));
  DcmItem *derivation = nullptr;
  if (groups.findAndGetSequenceItem(DCM_DerivationImageSequence, derivation).good()) {
    put_code(*derivation, DCM_DerivationCodeSequence, *lvn_code_get(LVN_CODE_SEGMENTATION));
  }
  DcmItem &content = add_item(groups, DCM_FrameContentSequence);
  content.putAndInsertUint32Array(DCM_DimensionIndexValues, index, 2);
  put_position(add_item(groups, DCM_PlanePositionSequence), *target.grid, frame.slice);
  put_us(add_item(groups, DCM_SegmentIdentificationSequence), DCM_ReferencedSegmentNumber,
         static_cast<unsigned>(frame.roi + 1));
}

void put_image_attributes(DcmItem &dataset, const struct lvn_write_study &study, const struct lvn_grid &grid,
                          size_t frame_count) {
  put(dataset, DCM_FrameOfReferenceUID, study.frame_of_reference_uid);
  put(dataset, DCM_PositionReferenceIndicator, "");
  put(dataset, DCM_BodyPartExamined, "ABDOMEN");
  put(dataset, DCM_InstanceNumber, "1");
  put(dataset, DCM_ContentDate, study.study_date);
  put(dataset, DCM_ContentTime, study.study_time);
  put(dataset, DCM_ContentLabel, "LESIONS");
  put(dataset, DCM_ContentDescription, "Lesion ROI");
  put(dataset, DCM_ContentCreatorName, "");
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

} // namespace

bool lvn_write_roi_seg(const char *path, const struct lvn_write_study *study, const struct lvn_write_roi_target *target,
                       const struct lvn_write_roi *rois, size_t roi_count, struct lvn_error *err) {
  return lvn_guard(err, LVN_ERROR_DATA, [&]() -> bool {
    DcmDataset dataset;
    check_rois(*target, rois, roi_count);
    const std::vector<struct frame> frames = list_frames(*target->grid, rois, roi_count);
    put_study(dataset, *study, UID_SegmentationStorage, roi_uid("seg", *target, rois, roi_count));
    put_series(dataset, "SEG", roi_uid("seg-series", *target, rois, roi_count), 102, "Lesion ROI");
    put_image_attributes(dataset, *study, *target->grid, frames.size());
    DcmItem &series = add_item(dataset, DCM_ReferencedSeriesSequence);
    put(series, DCM_SeriesInstanceUID, target->series_instance_uid);
    for (uint32_t slice = 0; slice < target->grid->size[2]; slice++) {
      put_reference(add_item(series, DCM_ReferencedInstanceSequence), UID_CTImageStorage,
                    target->sop_instance_uids[slice]);
    }
    for (size_t i = 0; i < roi_count; i++) {
      put_segment(dataset, rois[i], i + 1);
    }
    put_dimensions(dataset, roi_uid("seg-dimensions", *target, rois, roi_count));
    put_shared_groups(dataset, *target->grid);
    for (const struct frame &frame : frames) {
      put_frame(dataset, *target, frame);
    }
    put_bytes(dataset, DCM_PixelData, pack_bits(*target->grid, rois, frames));
    return save(dataset, EXS_LittleEndianExplicit, path, false, err);
  });
}
