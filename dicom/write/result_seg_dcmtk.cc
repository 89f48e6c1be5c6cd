// Binary segmentations: one for each series that lesions lie on, one segment a lesion, on the pixels of its images.
#include "base/guard.hh"
#include "dicom/write/result_common_dcmtk.hh"
#include "dicom/write/seg_common_dcmtk.hh"
#include "dicom/write/sr_tree_dcmtk.hh"

#include <cmath>
#include <cstdio>

namespace lvn_write {

namespace {

struct Segment {
  size_t lesion;
  struct lvn_findings_region region;
};

struct SegFrame {
  size_t segment; // index; its number is one more
  uint32_t slice; // of the series' grid
};

struct Segmentation {
  size_t series; // index into the findings' series
  bool is_drawn; // the ROIs' own voxels; else where the alignment puts them
  std::vector<Segment> segments;
  std::vector<SegFrame> frames;
};

uint32_t first_slice(const struct lvn_findings_region &region) {
  return region.first[2] + region.mask->first[2];
}

void list_frames(Segmentation &object) {
  for (size_t s = 0; s < object.segments.size(); s++) {
    const struct lvn_findings_region &region = object.segments[s].region;
    for (uint32_t k = 0; k < region.mask->size[2]; k++) {
      if (lvn_mask_count_slice(region.mask, region.mask->first[2] + k) > 0) {
        object.frames.push_back({s, first_slice(region) + k});
      }
    }
  }
}

SegBits pack(const Segmentation &object, const struct lvn_grid &grid) {
  SegBits bits(grid, object.frames.size());
  for (size_t f = 0; f < object.frames.size(); f++) {
    const struct lvn_findings_region &region = object.segments[object.frames[f].segment].region;
    const struct lvn_mask &mask = *region.mask;
    const uint8_t *inside = lvn_mask_get_slice(&mask, object.frames[f].slice - region.first[2]);
    for (uint32_t row = 0; row < mask.size[1]; row++) {
      for (uint32_t column = 0; column < mask.size[0]; column++) {
        if (inside[static_cast<size_t>(row) * mask.size[0] + column] != 0) {
          bits.set(f, static_cast<size_t>(region.first[0]) + mask.first[0] + column,
                   static_cast<size_t>(region.first[1]) + mask.first[1] + row);
        }
      }
    }
  }
  return bits;
}

void put_segment(DcmItem &dataset, const Work &work, const Segmentation &object, size_t index) {
  static const Uint16 cielab[3] = {45000, 44000, 52000}; // orange (PS3.3 C.10.7.1.1)
  const size_t lesion = object.segments[index].lesion;
  DcmItem &segment = add_item(dataset, DCM_SegmentSequence);
  put_us(segment, DCM_SegmentNumber, static_cast<unsigned>(index + 1));
  put(segment, DCM_SegmentLabel, tracking_name_of(work.findings, lesion).substr(0, 64));
  put(segment, DCM_SegmentDescription,
      object.is_drawn ? "The ROI as it was drawn" : "The ROI carried here by the alignment of the phases, unverified");
  put(segment, DCM_SegmentAlgorithmType, object.is_drawn ? "MANUAL" : "SEMIAUTOMATIC");
  if (!object.is_drawn) {
    put(segment, DCM_SegmentAlgorithmName,
        std::string(node_model) + " alignment " + plain_text(work.request.software_version, 30));
  }
  put_code(segment, DCM_SegmentedPropertyCategoryCodeSequence, *lvn_code_get(LVN_CODE_MORPHOLOGICALLY_ABNORMAL));
  put_code(segment, DCM_SegmentedPropertyTypeCodeSequence, *lvn_code_get(LVN_CODE_LESION));
  put_code(segment, DCM_AnatomicRegionSequence, *lvn_code_get(LVN_CODE_LIVER));
  put(segment, DCM_TrackingID, tracking_id_of(work.findings, lesion));
  put(segment, DCM_TrackingUID, work.findings.lesions[lesion].tracking_uid);
  segment.putAndInsertUint16Array(DCM_RecommendedDisplayCIELabValue, cielab, 3);
}

void put_frame(DcmItem &dataset, const struct lvn_findings_series &series, const SegFrame &frame) {
  const struct lvn_findings_frame &source = series.frames[frame.slice];
  const Uint32 index[2] = {static_cast<Uint32>(frame.segment + 1), frame.slice + 1};
  DcmItem &groups = add_item(dataset, DCM_PerFrameFunctionalGroupsSequence);
  DcmItem &derivation = add_item(groups, DCM_DerivationImageSequence);
  DcmItem &image = add_item(derivation, DCM_SourceImageSequence);
  put_reference(image, source.image.sop_class_uid, source.image.sop_instance_uid);
  if (source.image.frame_number != 0) {
    put(image, DCM_ReferencedFrameNumber, std::to_string(source.image.frame_number));
  }
  put(image, DCM_SpatialLocationsPreserved, "YES");
  put_code(image, DCM_PurposeOfReferenceCodeSequence, *lvn_code_get(LVN_CODE_SOURCE_IMAGE));
  put_code(derivation, DCM_DerivationCodeSequence, *lvn_code_get(LVN_CODE_SEGMENTATION));
  add_item(groups, DCM_FrameContentSequence).putAndInsertUint32Array(DCM_DimensionIndexValues, index, 2);
  put_decimals(add_item(groups, DCM_PlanePositionSequence), DCM_ImagePositionPatient, source.position_mm, 3);
  put_us(add_item(groups, DCM_SegmentIdentificationSequence), DCM_ReferencedSegmentNumber,
         static_cast<unsigned>(frame.segment + 1));
}

// Common Instance Reference (PS3.3 C.12.2): each image once, whichever of its frames are used.
void put_referenced_series(DcmItem &dataset, const struct lvn_findings_series &series, const Segmentation &object) {
  std::set<std::string> known;
  DcmItem &referenced = add_item(dataset, DCM_ReferencedSeriesSequence);
  put(referenced, DCM_SeriesInstanceUID, series.series_instance_uid);
  for (const SegFrame &frame : object.frames) {
    const struct lvn_findings_image &image = series.frames[frame.slice].image;
    if (known.insert(image.sop_instance_uid).second) {
      put_reference(add_item(referenced, DCM_ReferencedInstanceSequence), image.sop_class_uid, image.sop_instance_uid);
    }
  }
}

void fill_segmentation(DcmDataset &dataset, Work &work, const Segmentation &object, size_t number) {
  const char *job_key = work.request.job_key;
  const std::string role = object.is_drawn ? "seg" : "seg-phase";
  const struct lvn_findings_series &series = work.findings.series[object.series];
  const struct lvn_grid &grid = *series.grid;
  work.source.copy_into(dataset);
  put_result_header(dataset, work, "SEG", UID_SegmentationStorage, result_uid(job_key, role.c_str(), object.series),
                    result_series_uid(job_key, "seg"), result_seg_series_number, static_cast<int>(number));
  put(dataset, DCM_FrameOfReferenceUID, series.frame_of_reference_uid);
  put(dataset, DCM_PositionReferenceIndicator, "");
  put(dataset, DCM_ContentLabel, "LESIONS");
  put(dataset, DCM_ContentDescription,
      (object.is_drawn ? "Lesions as drawn on series " : "Lesions carried to series ") +
          std::to_string(series.series_number));
  put(dataset, DCM_ContentCreatorName, "");
  put_seg_image(dataset, grid, object.frames.size());
  put_referenced_series(dataset, series, object);
  for (size_t i = 0; i < object.segments.size(); i++) {
    put_segment(dataset, work, object, i);
  }
  put_seg_dimensions(dataset, result_uid(job_key, (role + "-dimensions").c_str(), object.series));
  put_seg_shared_groups(dataset, grid, series.slice_thickness_mm > 0 ? series.slice_thickness_mm : grid.spacing_mm[2]);
  for (const SegFrame &frame : object.frames) {
    put_frame(dataset, series, frame);
  }
  put_bytes(dataset, DCM_PixelData, pack(object, grid).bytes());
}

Segmentation &of_series(std::vector<Segmentation> &objects, size_t series, bool is_drawn) {
  for (Segmentation &object : objects) {
    if (object.series == series) {
      return object;
    }
  }
  objects.push_back({series, is_drawn, {}, {}});
  return objects.back();
}

std::vector<Segmentation> drawn_segmentations(const struct lvn_findings &findings) {
  std::vector<Segmentation> objects;
  for (size_t i = 0; i < findings.lesion_count; i++) {
    const struct lvn_findings_lesion &lesion = findings.lesions[i];
    of_series(objects, lesion.series, true).segments.push_back({i, lesion.drawn});
  }
  return objects;
}

// By number: what a lesion is called may hold anything, and this is logged.
std::string lesion_on(size_t lesion, const struct lvn_findings_series &series) {
  return "segment of lesion " + std::to_string(lesion + 1) + " on series " + std::to_string(series.series_number);
}

// The lesions where the alignment puts them, on the phases that they were not drawn on.
std::vector<Segmentation> phase_segmentations(struct lvn_findings &findings) {
  std::vector<Segmentation> objects;
  for (unsigned phase = 0; phase < LVN_PHASE_COUNT; phase++) {
    for (size_t i = 0; i < findings.lesion_count; i++) {
      const struct lvn_findings_lesion_phase &shown = findings.lesions[i].phases[phase];
      const struct lvn_findings_series &series = findings.series[shown.series];
      if (shown.is_reference || !lvn_findings_has_phase(&findings.lesions[i], static_cast<enum lvn_phase>(phase))) {
        continue;
      }
      if (!shown.alignment.is_usable || !shown.place.is_found) {
        lvn_findings_leave_out(&findings, lesion_on(i, series).c_str(),
                               shown.alignment.is_usable ? "it lies off these images"
                                                         : "the phase could not be aligned");
        continue;
      }
      of_series(objects, shown.series, false).segments.push_back({i, shown.place.region});
    }
  }
  return objects;
}

bool write(std::vector<Segmentation> objects, const char *name_format, struct lvn_findings &findings,
           const struct lvn_result_request &request, struct lvn_error *err) {
  Work work{findings, request, ResultTemplate(findings.template_path)};
  size_t number = 0;
  for (Segmentation &object : objects) {
    const struct lvn_findings_series &series = findings.series[object.series];
    const std::string what = "segmentation of series " + std::to_string(series.series_number);
    uint32_t first = UINT32_MAX;
    uint32_t last = 0;
    char name[64];
    list_frames(object);
    for (const SegFrame &frame : object.frames) {
      first = std::min(first, frame.slice);
      last = std::max(last, frame.slice);
    }
    const std::string problem = object.frames.empty() ? "it would be empty" : pixels_problem(series, first, last);
    if (!problem.empty()) {
      lvn_findings_leave_out(&findings, what.c_str(), problem.c_str());
      continue;
    }
    DcmDataset dataset;
    std::snprintf(name, sizeof name, name_format, ++number);
    fill_segmentation(dataset, work, object, (object.is_drawn ? 0 : 100) + number);
    if (!finish_result(dataset, name, findings, request, err)) {
      return false;
    }
  }
  return true;
}

} // namespace

} // namespace lvn_write

bool lvn_result_write_segmentations(struct lvn_findings *findings, const struct lvn_result_request *request,
                                    struct lvn_error *err) {
  return lvn_guard(err, LVN_ERROR_INTERNAL, [&]() -> bool {
    lvn_write::check_findings(*findings);
    return lvn_write::write(lvn_write::drawn_segmentations(*findings), "seg-%02zu.dcm", *findings, *request, err);
  });
}

bool lvn_result_write_phase_segmentations(struct lvn_findings *findings, const struct lvn_result_request *request,
                                          struct lvn_error *err) {
  return lvn_guard(err, LVN_ERROR_INTERNAL, [&]() -> bool {
    lvn_write::check_findings(*findings);
    return lvn_write::write(lvn_write::phase_segmentations(*findings), "seg-phase-%02zu.dcm", *findings, *request, err);
  });
}
