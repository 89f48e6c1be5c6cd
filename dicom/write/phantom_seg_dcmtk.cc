#include "base/guard.hh"
#include "dicom/write/phantom_common_dcmtk.hh"
#include "dicom/write/seg_common_dcmtk.hh"

#include <cstring>

namespace {

using namespace lvn_write;

struct frame {
  size_t roi;
  uint32_t slice;
};

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

SegBits pack_bits(const struct lvn_grid &grid, const struct lvn_write_roi *rois,
                  const std::vector<struct frame> &frames) {
  SegBits bits(grid, frames.size());
  for (size_t f = 0; f < frames.size(); f++) {
    for (uint32_t row = 0; row < grid.size[1]; row++) {
      for (uint32_t column = 0; column < grid.size[0]; column++) {
        if (lvn_mask_contains(rois[frames[f].roi].mask, column, row, frames[f].slice)) {
          bits.set(f, column, row);
        }
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
  put(dataset, DCM_InstanceNumber, "1");
  put(dataset, DCM_ContentDate, study.study_date);
  put(dataset, DCM_ContentTime, study.study_time);
  put(dataset, DCM_ContentLabel, "LESIONS");
  put(dataset, DCM_ContentDescription, "Lesion ROI");
  put(dataset, DCM_ContentCreatorName, "");
  put_seg_image(dataset, grid, frame_count);
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
    put_seg_dimensions(dataset, roi_uid("seg-dimensions", *target, rois, roi_count));
    put_seg_shared_groups(dataset, *target->grid, target->grid->spacing_mm[2]);
    for (const struct frame &frame : frames) {
      put_frame(dataset, *target, frame);
    }
    put_bytes(dataset, DCM_PixelData, pack_bits(*target->grid, rois, frames).bytes());
    return save(dataset, EXS_LittleEndianExplicit, path, false, err);
  });
}
