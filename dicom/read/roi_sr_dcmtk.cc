// Measurement reports (TID 1500 with TID 1501, 1410, 1411 groups) and presentation states. The content tree is walked
// as data elements: dcmsr refuses real reports of OHIF, whose arrows have no measured value.
#include "dicom/read/roi_sr_dcmtk.hh"
#include "dicom/read/roi_dcmtk.hh"
#include "dicom/read/roi_raster.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <cstring>

namespace lvn {
namespace {

constexpr unsigned depth_max = 16;

template <typename Visit> bool for_each_item(DcmItem &parent, const DcmTagKey &key, Visit &&visit) {
  DcmSequenceOfItems *sequence = nullptr;
  DcmObject *object = nullptr;
  if (parent.findAndGetSequence(key, sequence).bad() || sequence == nullptr) {
    return true;
  }
  while ((object = sequence->nextInContainer(object)) != nullptr) {
    auto *item = dynamic_cast<DcmItem *>(object);
    if (item != nullptr && !visit(*item)) {
      return false;
    }
  }
  return true;
}

std::string concept_of(DcmItem &item) {
  DcmItem *code = first_item(&item, DCM_ConceptNameCodeSequence);
  return code == nullptr ? "" : code_of(*code, DCM_CodeValue);
}

// Text boxes and spline handles of Cornerstone are graphics, not outlines.
bool is_helper_graphic(const std::string &code) {
  return code == "TextPosition" || code == "ControlPoints" || code == "CORNERSTONETEXTPOSITION" || code == "111010";
}

bool collect_group(DcmItem &container, Group &group, unsigned depth, lvn_error *err) {
  if (depth > depth_max) {
    return lvn_error_set(err, LVN_ERROR_DATA, "content items nested more than %u deep", depth_max);
  }
  return for_each_item(container, DCM_ContentSequence, [&](DcmItem &item) {
    const std::string type = code_of(item, DCM_ValueType);
    const std::string code = concept_of(item);
    if (item.card() == 0) { // it may have been the outline
      return lvn_error_set(err, LVN_ERROR_DATA, "a content item of a group of measurements is empty");
    }
    if (code == "112039" && group.tracking_id.empty() && depth == 0) {
      group.tracking_id = text_of(item, DCM_TextValue);
    } else if (code == "112040" && group.tracking_uid.empty() && depth == 0) {
      group.tracking_uid = code_of(item, DCM_UID);
    } else if (code == "121071" && type == "CODE" && group.label.empty() && depth == 0) {
      DcmItem *finding = first_item(&item, DCM_ConceptCodeSequence);
      group.label = finding == nullptr ? "" : text_of(*finding, DCM_CodeMeaning);
      group.finding = finding;
    } else if ((code == "363698007" || code == "G-C0E3") && type == "CODE" && group.site == nullptr && depth == 0) {
      group.site = first_item(&item, DCM_ConceptCodeSequence);
    } else if (item.tagExists(DCM_GraphicData) && type != "SCOORD" && type != "SCOORD3D") {
      return lvn_error_set(err, LVN_ERROR_DATA, "a drawing is a content item of the type '%s', not SCOORD or SCOORD3D",
                           type.c_str());
    } else if ((type == "SCOORD" || type == "SCOORD3D") && !is_helper_graphic(code)) {
      group.regions.push_back({&item, code == "111030" || code == "130488" || code == "121231"});
    } else if (type == "IMAGE" && (code == "121214" || code == "121191")) {
      group.regions.push_back({&item, true});
    } else if (type == "IMAGE") {
      DcmItem *reference = first_item(&item, DCM_ReferencedSOPSequence);
      group.source.images.push_back(reference == nullptr ? ImageReference{} : reference_of(*reference));
    } else if (type == "UIDREF" && code == "121232") {
      group.source.series_uids.push_back(code_of(item, DCM_UID));
    } else if (type == "NUM" || type == "CONTAINER") {
      return collect_group(item, group, depth + 1, err);
    }
    return true;
  });
}

struct LeftOut {
  size_t strays = 0;  // drawings that belong to no group
  size_t empties = 0; // content items without anything in them
};

bool collect_groups(DcmItem &container, std::vector<Group> &groups, LeftOut &left_out, unsigned depth, lvn_error *err) {
  if (depth > depth_max) {
    return lvn_error_set(err, LVN_ERROR_DATA, "content items nested more than %u deep", depth_max);
  }
  return for_each_item(container, DCM_ContentSequence, [&](DcmItem &item) {
    const std::string concept_code = concept_of(item);
    if (concept_code != "125007") {
      left_out.strays += item.tagExists(DCM_GraphicData) && !is_helper_graphic(concept_code) ? 1 : 0;
      left_out.empties += item.card() == 0 ? 1 : 0;
      return collect_groups(item, groups, left_out, depth + 1, err);
    }
    Group group;
    if (!collect_group(item, group, 0, err)) {
      return false;
    }
    groups.push_back(std::move(group));
    return true;
  });
}

bool is_graphic_type(const std::string &type) {
  for (const char *known : {"POINT", "MULTIPOINT", "POLYLINE", "POLYGON", "CIRCLE", "ELLIPSE", "ELLIPSOID"}) {
    if (type == known) {
      return true;
    }
  }
  return false;
}

// The coordinates of whole points.
bool read_floats(DcmItem &item, size_t dimensions, std::vector<double> &values, lvn_error *err, const char *what) {
  const Float32 *data = nullptr;
  unsigned long count = 0;
  if (item.findAndGetFloat32Array(DCM_GraphicData, data, &count).bad() || data == nullptr) {
    return lvn_error_set(err, LVN_ERROR_DATA, "%s has no graphic data", what);
  }
  if (!is_graphic_type(code_of(item, DCM_GraphicType))) {
    return lvn_error_set(err, LVN_ERROR_DATA, "%s has an unknown graphic type", what);
  }
  if (count % dimensions != 0) {
    return lvn_error_set(err, LVN_ERROR_DATA, "%s has %lu coordinates, which are no whole points", what, count);
  }
  values.assign(data, data + count);
  // dcmjs writes NaN for a coordinate of 0 in points given as arrays.
  if (!std::all_of(values.begin(), values.end(), [](double v) { return std::isfinite(v); })) {
    return lvn_error_set(err, LVN_ERROR_DATA, "%s has a coordinate that is no number", what);
  }
  return true;
}

using Point = std::array<double, 3>;

Point operator-(const Point &a, const Point &b) {
  return {a[0] - b[0], a[1] - b[1], a[2] - b[2]};
}

double length_of(const Point &p) {
  return std::sqrt(p[0] * p[0] + p[1] * p[1] + p[2] * p[2]);
}

// Points around centre + cos * major + sin * minor.
std::vector<double> ellipse(const Point &centre, const Point &major, const Point &minor) {
  std::vector<double> points;
  for (int i = 0; i < LVN_RASTER_ELLIPSE_POINTS; i++) {
    const double angle = 2.0 * M_PI * i / LVN_RASTER_ELLIPSE_POINTS;
    for (size_t k = 0; k < 3; k++) {
      points.push_back(centre[k] + std::cos(angle) * major[k] + std::sin(angle) * minor[k]);
    }
  }
  return points;
}

// The closed outline, in patient mm, of graphic points in patient mm; empty where the graphic encloses nothing.
// `row` and `column` span the plane in which a circle lies.
std::vector<double> outline_of(const std::string &type, const std::vector<Point> &points, bool closes,
                               const lvn_plane &plane) {
  std::vector<double> outline;
  const auto flatten = [&](size_t count) {
    for (size_t i = 0; i < count; i++) {
      outline.insert(outline.end(), points[i].begin(), points[i].end());
    }
  };
  if (type == "CIRCLE" && points.size() == 2) {
    const double radius = length_of(points[1] - points[0]);
    const Point major = {plane.direction[0][0] * radius, plane.direction[0][1] * radius,
                         plane.direction[0][2] * radius};
    const Point minor = {plane.direction[1][0] * radius, plane.direction[1][1] * radius,
                         plane.direction[1][2] * radius};
    return ellipse(points[0], major, minor);
  }
  if (type == "ELLIPSE" && points.size() == 4) {
    Point centre{};
    for (size_t k = 0; k < 3; k++) {
      centre[k] = (points[0][k] + points[1][k]) / 2.0;
    }
    return ellipse(centre, points[1] - centre, points[3] - centre);
  }
  const bool is_closed = points.size() > 3 && length_of(points.front() - points.back()) < 0.01;
  if (((type == "POLYLINE" && (is_closed || closes)) || type == "POLYGON") && points.size() >= 3) {
    flatten(is_closed ? points.size() - 1 : points.size());
  }
  return outline;
}

// Does the graphic enclose anything, wherever it lies? Told from its type and points alone, before its image is needed.
// A coordinate that is no number is for the drawing to refuse.
bool encloses_area(DcmItem &item, bool closes, size_t dimensions) {
  const std::string type = code_of(item, DCM_GraphicType);
  const Float32 *data = nullptr;
  unsigned long count = 0;
  std::vector<Point> points;
  if (item.findAndGetFloat32Array(DCM_GraphicData, data, &count).bad() || data == nullptr) {
    return type == "POLYGON" || type == "CIRCLE" || type == "ELLIPSE";
  }
  for (size_t i = 0; i + dimensions <= count; i += dimensions) {
    const Point point = {data[i], data[i + 1], dimensions == 3 ? data[i + 2] : 0.0};
    closes = closes || !(std::isfinite(point[0]) && std::isfinite(point[1]) && std::isfinite(point[2]));
    points.push_back(point);
  }
  return !outline_of(type, points, closes, lvn_plane{}).empty();
}

bool is_area_tool(const std::string &tracking_id) {
  for (const char *tool : {"Rectangle", "Freehand", "Spline", "Livewire", "Circle", "Elliptical"}) {
    if (tracking_id.find(tool) != std::string::npos) {
      return true;
    }
  }
  return false;
}

bool is_line_tool(const std::string &tracking_id) {
  for (const char *tool :
       {":Bidirectional", ":Length", ":ArrowAnnotate", ":Probe", ":Angle", ":CobbAngle", ":KeyImage"}) {
    if (tracking_id.find(tool) != std::string::npos) {
      return true;
    }
  }
  return false;
}

// Why there is nothing to draw on: the sentence names the series, where one is known.
bool refuse_image(const RoiReader &reader, const std::string &image_uid, uint32_t frame, const char *what,
                  lvn_error *err) {
  const auto places = reader.study.places.find(image_uid);
  const auto home = reader.references.images.find(image_uid);
  if (places != reader.study.places.end() && !places->second.empty()) {
    return lvn_error_set(err, LVN_ERROR_DATA, "%s is drawn on frame %u of an image of series %d that has no such frame",
                         what, frame, reader.study.stacks[places->second[0].stack].info.series_number);
  }
  for (const Stack &stack : reader.study.stacks) {
    if (home != reader.references.images.end() && home->second.series == stack.info.series_instance_uid) {
      return lvn_error_set(err, LVN_ERROR_DATA, "%s is drawn on an image that is absent from series %d", what,
                           stack.info.series_number);
    }
  }
  return lvn_error_set(err, LVN_ERROR_DATA, "%s is drawn on an image that is not among the CT slices of this study",
                       what);
}

// One drawing on one image, in image coordinates.
bool draw_on_image(const RoiReader &reader, RoiDraft &draft, const std::string &type, const std::vector<double> &values,
                   bool closes, const std::string &image_uid, uint32_t frame, const char *what, bool *ret_drawn,
                   lvn_error *err) {
  size_t stack = 0;
  size_t slice = 0;
  std::vector<Point> points;
  Outline how;
  *ret_drawn = false;
  how.rule = OutlineRule::united;
  if (!check_frame_named(reader.study, image_uid, frame, what, err)) {
    return false;
  }
  if (!lvn_study_find_slice(&reader.study, image_uid.c_str(), frame, &stack, &slice)) {
    return refuse_image(reader, image_uid, frame, what, err);
  }
  for (size_t i = 0; i + 1 < values.size(); i += 2) {
    Point mm{};
    image_to_patient(reader.study, stack, slice, values[i], values[i + 1], mm.data());
    points.push_back(mm);
  }
  const std::vector<double> outline = outline_of(type, points, closes, reader.study.stacks[stack].plane);
  if (outline.empty()) {
    return true;
  }
  const size_t before = draft.outlines.size();
  if (!reader.claim_stack(draft, stack, what, err) || !reader.add_outline(draft, outline, how, what, err)) {
    return false;
  }
  *ret_drawn = draft.outlines.size() > before;
  return true;
}

bool draw_scoord(const RoiReader &reader, RoiDraft &draft, DcmItem &item, bool closes, const char *what,
                 bool *ret_drawn, lvn_error *err) {
  std::vector<double> values;
  std::string image_uid;
  uint32_t frame = 0;
  (void)for_each_item(item, DCM_ContentSequence, [&](DcmItem &child) {
    DcmItem *reference = first_item(&child, DCM_ReferencedSOPSequence);
    if (reference != nullptr && image_uid.empty()) {
      const int number = integer_of(*reference, DCM_ReferencedFrameNumber, 0);
      image_uid = code_of(*reference, DCM_ReferencedSOPInstanceUID);
      frame = number > 0 ? static_cast<uint32_t>(number) : 0;
    }
    return true;
  });
  if (image_uid.empty()) {
    return lvn_error_set(err, LVN_ERROR_DATA, "%s does not say which image it is drawn on", what);
  }
  return read_floats(item, 2, values, err, what) && draw_on_image(reader, draft, code_of(item, DCM_GraphicType), values,
                                                                  closes, image_uid, frame, what, ret_drawn, err);
}

bool draw_scoord3d(const RoiReader &reader, RoiDraft &draft, DcmItem &item, const RoiSource &group_source,
                   const char *what, bool *ret_drawn, lvn_error *err) {
  std::vector<double> values;
  std::vector<Point> points;
  RoiSource source;
  Outline how;
  size_t stack = 0;
  *ret_drawn = false;
  how.rule = OutlineRule::united;
  if (!read_floats(item, 3, values, err, what)) {
    return false;
  }
  for (size_t i = 0; i + 2 < values.size(); i += 3) {
    points.push_back({values[i], values[i + 1], values[i + 2]});
  }
  const std::vector<double> outline = outline_of(code_of(item, DCM_GraphicType), points, false, lvn_plane{});
  if (outline.empty()) {
    return true;
  }
  source.frame_of_reference_uid = code_of(item, DCM_ReferencedFrameOfReferenceUID);
  (void)for_each_item(item, DCM_ContentSequence, [&](DcmItem &child) {
    DcmItem *reference = first_item(&child, DCM_ReferencedSOPSequence);
    if (reference != nullptr) {
      source.images.push_back(reference_of(*reference));
    }
    return true;
  });
  // Measurements of one group may be taken from several series; then they do not tell which one was drawn on.
  if (source.images.empty() && is_of_one_stack(reader.study, group_source.images)) {
    source.images = group_source.images;
    source.series_uids = group_source.series_uids;
  }
  *ret_drawn = true;
  return reader.choose_stack(source, outline, what, stack, err) && reader.claim_stack(draft, stack, what, err) &&
         reader.add_outline(draft, outline, how, what, err);
}

bool draw_segment(RoiReader &reader, RoiDraft &draft, DcmItem &item, const char *what, lvn_error *err) {
  const RoiReader *listed = nullptr;
  RoiReader segments(reader.study);
  std::set<size_t> wanted;
  size_t index = 0;
  const lvn_other_object *object = find_segment(reader, item, listed, index, err);
  if (object == nullptr) {
    return lvn_error_prefix(err, "%s", what);
  }
  wanted.insert(index);
  segments.wanted = &wanted;
  if (!segments.read(*object, err)) {
    return lvn_error_prefix(err, "%s", what);
  }
  for (const std::string &note : segments.notes) {
    reader.add_note(std::string(what) + ", of a segmentation: " + note);
  }
  for (const RoiDraft &found : segments.drafts) {
    if (!reader.claim_stack(draft, found.stack, what, err)) {
      return false;
    }
    draft.inside.unite(found.inside);
  }
  return true;
}

bool draw_group(RoiReader &reader, const Group &group, RoiDraft &draft, lvn_error *err) {
  const bool closes = is_area_tool(group.tracking_id);
  for (const Region &region : group.regions) {
    const std::string type = code_of(*region.item, DCM_ValueType);
    char what[64];
    bool is_drawn = true;
    (void)std::snprintf(what, sizeof what, "ROI %u", draft.number);
    if (type == "SCOORD") {
      if (!draw_scoord(reader, draft, *region.item, closes || region.is_named_region, what, &is_drawn, err)) {
        return false;
      }
    } else if (type == "SCOORD3D") {
      if (!draw_scoord3d(reader, draft, *region.item, group.source, what, &is_drawn, err)) {
        return false;
      }
    } else if (!draw_segment(reader, draft, *region.item, what, err)) {
      return false;
    }
  }
  return true;
}

// A line beside the outlines of a lesion is its diameter; what cannot be told may be one of its outlines.
bool is_damaged(DcmItem &item, size_t dimensions) {
  const Float32 *data = nullptr;
  unsigned long count = 0;
  return !is_graphic_type(code_of(item, DCM_GraphicType)) ||
         item.findAndGetFloat32Array(DCM_GraphicData, data, &count).bad() || data == nullptr || count % dimensions != 0;
}

// Of the group's graphics those that enclose an area, and the segments that it refers to; and the damaged ones beside
// them, for the drawing to refuse.
void keep_areas(Group &group) {
  const bool closes = is_area_tool(group.tracking_id);
  bool has_area = false;
  std::vector<Region> kept;
  for (const Region &region : group.regions) {
    const std::string type = code_of(*region.item, DCM_ValueType);
    const size_t dimensions = type == "SCOORD3D" ? 3 : 2;
    const bool is_area =
        type == "IMAGE" ||
        encloses_area(*region.item, type == "SCOORD" && (closes || region.is_named_region), dimensions);
    has_area = has_area || is_area;
    if (is_area || is_damaged(*region.item, dimensions)) {
      kept.push_back(region);
    }
  }
  group.regions = is_line_tool(group.tracking_id) || !has_area ? std::vector<Region>() : kept;
}

} // namespace

// Groups (TID 1501, row 3) or graphics with one tracking UID are one lesion, drawn slice by slice.
static std::vector<RoiDraft>::iterator find_tracked(std::vector<RoiDraft> &drafts, const std::string &tracking_uid) {
  return std::find_if(drafts.begin(), drafts.end(), [&](const RoiDraft &other) {
    return !tracking_uid.empty() && other.tracking_uid == tracking_uid;
  });
}

bool RoiReader::read_sr(const lvn_other_object &object, lvn_error *err) {
  DcmFileFormat file;
  std::vector<Group> groups;
  LeftOut left_out;
  unsigned number = 0;
  if (!load_file(object.path, true, file, err) || !collect_groups(*file.getDataset(), groups, left_out, 0, err)) {
    return false;
  }
  if (wanted == nullptr && left_out.strays > 0) {
    add_note(std::to_string(left_out.strays) + (left_out.strays == 1 ? " drawing" : " drawings") +
             " left out: not part of a group of measurements");
  }
  if (wanted == nullptr && left_out.empties > 0) {
    add_note(std::to_string(left_out.empties) + (left_out.empties == 1 ? " content item" : " content items") +
             " left out: empty");
  }
  references.read(*file.getDataset(), study.uid);
  for (Group &group : groups) {
    RoiDraft draft;
    draft.number = ++number;
    const std::string name = "ROI " + std::to_string(number);
    keep_areas(group);
    if (group.regions.empty()) {
      without_area.push_back(number);
      continue;
    }
    if (!wants(is_listing ? describe_group(*this, group, number) : RoiEntry{})) {
      continue;
    }
    draft.label = group.label;
    draft.tracking_id = group.tracking_id;
    draft.tracking_uid = group.tracking_uid;
    const auto same = find_tracked(drafts, draft.tracking_uid);
    if (same != drafts.end()) {
      if (!draw_group(*this, group, *same, err)) {
        return false;
      }
      continue;
    }
    if (!draw_group(*this, group, draft, err)) {
      return false;
    }
    if (draft.outlines.empty() && draft.inside.is_empty()) {
      add_note(name + " left out: its drawing encloses no area");
    } else {
      drafts.push_back(std::move(draft));
    }
  }
  return true;
}

// Graphic objects in image coordinates (PS3.3 C.10.5); each closed one is a ROI.
static bool read_graphic(RoiReader &reader, DcmItem &annotation, DcmItem &graphic, unsigned number, lvn_error *err) {
  const std::string name = "ROI " + std::to_string(number);
  std::vector<double> values;
  RoiDraft fresh;
  bool is_drawn = false;
  fresh.number = number;
  fresh.tracking_id = text_of(graphic, DCM_TrackingID);
  fresh.tracking_uid = code_of(graphic, DCM_TrackingUID);
  const auto same = find_tracked(reader.drafts, fresh.tracking_uid);
  RoiDraft &draft = same != reader.drafts.end() ? *same : fresh;
  DcmItem *image = first_item(&annotation, DCM_ReferencedImageSequence);
  if (image == nullptr || code_of(graphic, DCM_GraphicAnnotationUnits) != "PIXEL") {
    if (reader.wanted == nullptr) {
      reader.add_note(name + " left out: it is not drawn in the pixels of one image");
    }
    return true;
  }
  const bool closes = code_of(graphic, DCM_GraphicFilled) == "Y";
  if (!encloses_area(graphic, closes, 2)) {
    reader.without_area.push_back(number);
    return true;
  }
  if (!reader.wants(reader.is_listing ? describe_graphic(reader, annotation, graphic, *image, number) : RoiEntry{})) {
    return true;
  }
  const int frame = integer_of(*image, DCM_ReferencedFrameNumber, 0);
  if (!read_floats(graphic, 2, values, err, name.c_str()) ||
      !draw_on_image(reader, draft, code_of(graphic, DCM_GraphicType), values, closes,
                     code_of(*image, DCM_ReferencedSOPInstanceUID), frame > 0 ? static_cast<uint32_t>(frame) : 0,
                     name.c_str(), &is_drawn, err)) {
    return false;
  }
  if (is_drawn && same == reader.drafts.end()) {
    reader.drafts.push_back(std::move(fresh));
  } else if (!is_drawn) {
    reader.add_note(name + " left out: its drawing encloses no area");
  }
  return true;
}

bool RoiReader::read_gsps(const lvn_other_object &object, lvn_error *err) {
  DcmFileFormat file;
  unsigned number = 0;
  if (!load_file(object.path, true, file, err)) {
    return false;
  }
  references.read(*file.getDataset(), study.uid);
  return for_each_item(*file.getDataset(), DCM_GraphicAnnotationSequence, [&](DcmItem &annotation) {
    // One of the two is required (PS3.3 C.10.5).
    if (wanted == nullptr && first_item(&annotation, DCM_GraphicObjectSequence) == nullptr &&
        first_item(&annotation, DCM_TextObjectSequence) == nullptr) {
      add_note("an annotation holds neither a graphic nor a text");
    }
    return for_each_item(annotation, DCM_GraphicObjectSequence,
                         [&](DcmItem &graphic) { return read_graphic(*this, annotation, graphic, ++number, err); });
  });
}

} // namespace lvn
