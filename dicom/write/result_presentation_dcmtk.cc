// Grayscale Softcopy Presentation States (PS3.3 A.33.1): the ROIs' outlines over the images that they were drawn on.
#include "base/clock.h"
#include "base/guard.hh"
#include "dicom/write/result_common_dcmtk.hh"

#include <algorithm>
#include <cstdio>
#include <map>
#include <stdexcept>

namespace lvn_write {

namespace {

constexpr const char *layer = "AI OUTLINES";
constexpr size_t points_max = UINT16_MAX; // NumberOfGraphicPoints is US

// Rescale intercept and slope: a presentation state has one Modality LUT for all images that it names.
using Rescale = std::pair<double, double>;

struct Presentation {
  size_t series;
  Rescale rescale;
  std::map<uint32_t, std::vector<size_t>> lesions; // by slice of the series' grid
};

struct Contours : lvn_contour_list {
  Contours(const struct lvn_mask *mask, uint32_t slice) : lvn_contour_list{} {
    struct lvn_error error = {};
    if (!lvn_contour_trace(mask, slice, this, &error)) {
      throw std::runtime_error(error.message);
    }
  }
  ~Contours() {
    lvn_contour_list_clear(this);
  }
  Contours(const Contours &) = delete;
  Contours &operator=(const Contours &) = delete;
};

void put_floats(DcmItem &item, const DcmTagKey &tag, const std::vector<Float32> &values) {
  if (item.putAndInsertFloat32Array(tag, values.data(), static_cast<unsigned long>(values.size())).bad()) {
    throw std::runtime_error("cannot write coordinates");
  }
}

void put_image_reference(DcmItem &item, const struct lvn_findings_image &image) {
  DcmItem &reference = add_item(item, DCM_ReferencedImageSequence);
  put_reference(reference, image.sop_class_uid, image.sop_instance_uid);
  if (image.frame_number != 0) {
    put(reference, DCM_ReferencedFrameNumber, std::to_string(image.frame_number));
  }
}

// Closed: the first point is repeated. Corner (0,0) is the outer corner of the first pixel (PS3.3 C.10.5.1.2).
void put_outline(DcmItem &annotation, const struct lvn_contour &contour) {
  std::vector<Float32> points;
  for (size_t p = 0; p <= contour.count; p++) {
    points.push_back(static_cast<Float32>(contour.points[p % contour.count].column));
    points.push_back(static_cast<Float32>(contour.points[p % contour.count].row));
  }
  if (points.size() / 2 > points_max) {
    throw std::runtime_error("an outline has too many points for a presentation state");
  }
  DcmItem &graphic = add_item(annotation, DCM_GraphicObjectSequence);
  put(graphic, DCM_GraphicAnnotationUnits, "PIXEL");
  put_us(graphic, DCM_GraphicDimensions, 2);
  put_us(graphic, DCM_NumberOfGraphicPoints, static_cast<unsigned>(points.size() / 2));
  put_floats(graphic, DCM_GraphicData, points);
  put(graphic, DCM_GraphicType, "POLYLINE");
  put(graphic, DCM_GraphicFilled, "N");
}

// Right of the outline, or left of it where there is no room.
void put_label(DcmItem &annotation, const Contours &contours, const struct lvn_grid &grid, const std::string &text) {
  Float32 left = static_cast<Float32>(grid.size[0]);
  Float32 right = 0;
  Float32 top = static_cast<Float32>(grid.size[1]);
  for (size_t i = 0; i < contours.count; i++) {
    for (size_t p = 0; p < contours.items[i].count; p++) {
      left = std::min(left, static_cast<Float32>(contours.items[i].points[p].column));
      right = std::max(right, static_cast<Float32>(contours.items[i].points[p].column));
      top = std::min(top, static_cast<Float32>(contours.items[i].points[p].row));
    }
  }
  const bool is_right = right < 0.7F * static_cast<Float32>(grid.size[0]);
  DcmItem &label = add_item(annotation, DCM_TextObjectSequence);
  put(label, DCM_AnchorPointAnnotationUnits, "PIXEL");
  put(label, DCM_UnformattedTextValue, text);
  put_floats(label, DCM_AnchorPoint, {is_right ? right : left, top});
  put(label, DCM_AnchorPointVisibility, "N");
}

// At the lower edge of what is displayed, away from the lesions.
void put_notice(DcmItem &annotation) {
  DcmItem &notice = add_item(annotation, DCM_TextObjectSequence);
  put(notice, DCM_BoundingBoxAnnotationUnits, "DISPLAY");
  put(notice, DCM_UnformattedTextValue, "Regions that an AI model looked at. " LVN_RESEARCH_NOTICE);
  put_floats(notice, DCM_BoundingBoxTopLeftHandCorner, {0.02F, 0.95F});
  put_floats(notice, DCM_BoundingBoxBottomRightHandCorner, {0.98F, 0.99F});
  put(notice, DCM_BoundingBoxTextHorizontalJustification, "LEFT");
}

void put_annotation(DcmItem &dataset, const Work &work, const Presentation &object, uint32_t slice,
                    const std::vector<size_t> &lesions) {
  const struct lvn_findings_series &series = work.findings.series[object.series];
  DcmItem &annotation = add_item(dataset, DCM_GraphicAnnotationSequence);
  put_image_reference(annotation, series.frames[slice].image);
  put(annotation, DCM_GraphicLayer, layer);
  put_notice(annotation);
  for (const size_t lesion : lesions) {
    const Contours contours(work.findings.lesions[lesion].drawn.mask, slice);
    put_label(annotation, contours, *series.grid, tracking_name_of(work.findings, lesion).substr(0, 200));
    for (size_t i = 0; i < contours.count; i++) {
      put_outline(annotation, contours.items[i]);
    }
  }
}

// Each image once, with the frames that are used.
void put_referenced_series(DcmItem &dataset, const struct lvn_findings_series &series, const Presentation &object) {
  std::map<std::string, DcmItem *> known;
  DcmItem &referenced = add_item(dataset, DCM_ReferencedSeriesSequence);
  put(referenced, DCM_SeriesInstanceUID, series.series_instance_uid);
  for (const auto &slice : object.lesions) {
    const struct lvn_findings_image &image = series.frames[slice.first].image;
    OFString frames;
    DcmItem *&item = known[image.sop_instance_uid];
    if (item == nullptr) {
      item = &add_item(referenced, DCM_ReferencedImageSequence);
      put_reference(*item, image.sop_class_uid, image.sop_instance_uid);
    }
    if (image.frame_number != 0) {
      item->findAndGetOFStringArray(DCM_ReferencedFrameNumber, frames);
      put(*item, DCM_ReferencedFrameNumber,
          frames.empty() ? std::to_string(image.frame_number)
                         : std::string(frames.c_str()) + "\\" + std::to_string(image.frame_number));
    }
  }
}

// The whole of each image, which all images of a series have alike.
void put_displayed_area(DcmItem &dataset, const struct lvn_grid &grid) {
  const double spacing[2] = {grid.spacing_mm[1], grid.spacing_mm[0]};
  DcmItem &area = add_item(dataset, DCM_DisplayedAreaSelectionSequence);
  put(area, DCM_DisplayedAreaTopLeftHandCorner, "1\\1");
  put(area, DCM_DisplayedAreaBottomRightHandCorner, std::to_string(grid.size[0]) + "\\" + std::to_string(grid.size[1]));
  put(area, DCM_PresentationSizeMode, "SCALE TO FIT");
  put_decimals(area, DCM_PresentationPixelSpacing, spacing, 2);
}

// From stored values to HU to grey: the images' own rescale, and the window that the network looked through.
void put_grey(DcmItem &dataset, const Presentation &object, const struct lvn_findings_model &model) {
  const double center = 0.5 * (model.window_low_hu + model.window_high_hu);
  const double width = model.window_high_hu - model.window_low_hu;
  put_decimals(dataset, DCM_RescaleIntercept, &object.rescale.first, 1);
  put_decimals(dataset, DCM_RescaleSlope, &object.rescale.second, 1);
  put(dataset, DCM_RescaleType, "HU");
  DcmItem &window = add_item(dataset, DCM_SoftcopyVOILUTSequence);
  put_decimals(window, DCM_WindowCenter, &center, 1);
  put_decimals(window, DCM_WindowWidth, &width, 1);
  put(dataset, DCM_PresentationLUTShape, "IDENTITY");
}

void fill_presentation(DcmDataset &dataset, Work &work, const Presentation &object, size_t number) {
  const struct lvn_result_request &request = work.request;
  const struct lvn_findings_series &series = work.findings.series[object.series];
  char date[LVN_TIME_TEXT_BYTES];
  char time[LVN_TIME_TEXT_BYTES];
  lvn_clock_format_da(request.wall_ms, date);
  lvn_clock_format_tm(request.wall_ms, time);
  work.source.copy_into(dataset);
  put_result_header(dataset, work, "PR", UID_GrayscaleSoftcopyPresentationStateStorage,
                    result_uid(request.job_key, "gsps", number), result_series_uid(request.job_key, "gsps"),
                    result_presentation_series_number, static_cast<int>(number));
  put(dataset, DCM_BodyPartExamined, "ABDOMEN"); // without it Laterality would be required (PS3.3 C.7.3.1)
  put(dataset, DCM_ContentLabel, "AI_OUTLINES");
  put(dataset, DCM_ContentDescription, "Outlines of the lesions on series " + std::to_string(series.series_number));
  put(dataset, DCM_ContentCreatorName, "");
  put(dataset, DCM_PresentationCreationDate, date);
  put(dataset, DCM_PresentationCreationTime, time);
  put_referenced_series(dataset, series, object);
  for (const auto &slice : object.lesions) {
    put_annotation(dataset, work, object, slice.first, slice.second);
  }
  put_displayed_area(dataset, *series.grid);
  DcmItem &graphic_layer = add_item(dataset, DCM_GraphicLayerSequence);
  put(graphic_layer, DCM_GraphicLayer, layer);
  put(graphic_layer, DCM_GraphicLayerOrder, "1");
  put(graphic_layer, DCM_GraphicLayerDescription, "Regions that an AI model looked at. Research use only");
  put_grey(dataset, object, work.findings.model);
}

Presentation &find(std::vector<Presentation> &objects, size_t series, const Rescale &rescale) {
  for (Presentation &object : objects) {
    if (object.series == series && object.rescale == rescale) {
      return object;
    }
  }
  objects.push_back({series, rescale, {}});
  return objects.back();
}

std::vector<Presentation> list_presentations(struct lvn_findings &findings) {
  std::vector<Presentation> objects;
  for (size_t i = 0; i < findings.lesion_count; i++) {
    const struct lvn_findings_lesion &lesion = findings.lesions[i];
    const struct lvn_findings_series &series = findings.series[lesion.series];
    const struct lvn_mask &mask = *lesion.drawn.mask;
    const std::string problem = pixels_problem(series, mask.first[2], mask.first[2] + mask.size[2] - 1);
    if (!problem.empty()) {
      lvn_findings_leave_out(&findings, ("presentation state of lesion " + std::to_string(i + 1)).c_str(),
                             problem.c_str());
      continue;
    }
    for (uint32_t slice = mask.first[2]; slice < mask.first[2] + mask.size[2]; slice++) {
      if (lvn_mask_count_slice(&mask, slice) > 0) {
        const struct lvn_findings_frame &frame = series.frames[slice];
        find(objects, lesion.series, {frame.rescale_intercept, frame.rescale_slope}).lesions[slice].push_back(i);
      }
    }
  }
  return objects;
}

} // namespace

} // namespace lvn_write

bool lvn_result_write_presentations(struct lvn_findings *findings, const struct lvn_result_request *request,
                                    struct lvn_error *err) {
  return lvn_guard(err, LVN_ERROR_INTERNAL, [&]() -> bool {
    lvn_write::check_findings(*findings);
    lvn_write::Work work{*findings, *request, lvn_write::ResultTemplate(findings->template_path)};
    size_t number = 0;
    for (const lvn_write::Presentation &object : lvn_write::list_presentations(*findings)) {
      DcmDataset dataset;
      char name[64];
      std::snprintf(name, sizeof name, "gsps-%02zu.dcm", ++number);
      lvn_write::fill_presentation(dataset, work, object, number);
      if (!lvn_write::finish_result(dataset, name, *findings, *request, err)) {
        return false;
      }
    }
    return true;
  });
}
