// RT Structure Sets (PS3.3 C.8.8.5, C.8.8.6): contours in patient mm, matched to slices by plane, since the image
// references are optional and, in files of several planning systems, point to images of another station.
#include "dicom/read/roi_dcmtk.hh"

#include <cmath>
#include <cstdio>
#include <map>

namespace lvn {
namespace {

// By number: DCMTK has renamed them as retired.
const DcmTagKey contour_slab_thickness(0x3006, 0x0044);
const DcmTagKey contour_offset_vector(0x3006, 0x0045);

struct Structure {
  std::string name;
  std::string frame_of_reference_uid;
  std::string type; // RT ROI Interpreted Type
};

// Items of a sequence, in order.
std::vector<DcmItem *> items_of(DcmItem &parent, const DcmTagKey &key) {
  std::vector<DcmItem *> items;
  DcmSequenceOfItems *sequence = nullptr;
  if (parent.findAndGetSequence(key, sequence).good() && sequence != nullptr) {
    DcmObject *object = nullptr;
    while ((object = sequence->nextInContainer(object)) != nullptr) {
      auto *item = dynamic_cast<DcmItem *>(object);
      if (item != nullptr) {
        items.push_back(item);
      }
    }
  }
  return items;
}

std::map<int, Structure> read_structures(DcmItem &dataset, std::vector<int> &order) {
  std::map<int, Structure> structures;
  for (DcmItem *item : items_of(dataset, DCM_StructureSetROISequence)) {
    const int number = integer_of(*item, DCM_ROINumber, -1);
    structures[number] = {text_of(*item, DCM_ROIName), code_of(*item, DCM_ReferencedFrameOfReferenceUID), ""};
    order.push_back(number);
  }
  for (DcmItem *item : items_of(dataset, DCM_RTROIObservationsSequence)) {
    const auto found = structures.find(integer_of(*item, DCM_ReferencedROINumber, -1));
    if (found != structures.end()) {
      found->second.type = code_of(*item, DCM_RTROIInterpretedType);
    }
  }
  return structures;
}

// The images that the set as a whole was drawn on.
RoiSource read_source(DcmItem &dataset) {
  RoiSource source;
  for (DcmItem *frame : items_of(dataset, DCM_ReferencedFrameOfReferenceSequence)) {
    for (DcmItem *study : items_of(*frame, DCM_RTReferencedStudySequence)) {
      for (DcmItem *series : items_of(*study, DCM_RTReferencedSeriesSequence)) {
        source.series_uids.push_back(code_of(*series, DCM_SeriesInstanceUID));
        for (DcmItem *image : items_of(*series, DCM_ContourImageSequence)) {
          source.listed_images.push_back(reference_of(*image));
        }
      }
    }
  }
  return source;
}

bool read_points(DcmItem &contour, const char *what, std::vector<double> &points, lvn_error *err) {
  DcmElement *element = nullptr;
  const int declared = integer_of(contour, DCM_NumberOfContourPoints, -1);
  if (contour.findAndGetElement(DCM_ContourData, element).bad() || element == nullptr) {
    return lvn_error_set(err, LVN_ERROR_DATA, "%s has no points", what);
  }
  const unsigned long values = element->getVM();
  if (values % 3 != 0 || values == 0 || (declared >= 0 && static_cast<unsigned long>(declared) * 3 != values)) {
    return lvn_error_set(err, LVN_ERROR_DATA, "%s declares %d points but has %lu values", what, declared, values);
  }
  OFString text;
  points.clear();
  // One pass over the text: element-wise access would walk it again for every value.
  if (element->getOFStringArray(text).bad()) {
    return lvn_error_set(err, LVN_ERROR_DATA, "%s has points that cannot be read", what);
  }
  const char *at = text.c_str();
  for (unsigned long i = 0; i < values; i++) {
    char *end = nullptr;
    const double value = std::strtod(at, &end);
    if (end == at || !(value > -1e6 && value < 1e6)) {
      return lvn_error_set(err, LVN_ERROR_DATA, "%s has a coordinate that is no number", what);
    }
    points.push_back(value);
    at = end;
    while (*at == ' ' || *at == '\\') {
      at++;
    }
  }
  if (*at != '\0') {
    return lvn_error_set(err, LVN_ERROR_DATA, "%s has a coordinate that is no number", what);
  }
  return true;
}

bool is_helper_type(const std::string &type) {
  static const char *const types[] = {"EXTERNAL", "SUPPORT", "FIXATION",    "ISOCENTER",
                                      "MARKER",   "BOLUS",   "REGISTRATION"};
  for (const char *known : types) {
    if (type == known) {
      return true;
    }
  }
  return false;
}

bool is_closed_type(const std::string &type) {
  return type == "CLOSED_PLANAR" || type == "CLOSEDPLANAR_XOR" || type == "INTERPOLATED_PLANAR";
}

// Where one is declared, all contours of the ROI are combined by XOR (PS3.3 C.8.8.6.3).
bool declares_xor(DcmItem &roi) {
  for (DcmItem *contour : items_of(roi, DCM_ContourSequence)) {
    if (code_of(*contour, DCM_ContourGeometricType) == "CLOSEDPLANAR_XOR") {
      return true;
    }
  }
  return false;
}

// Contour Slab Thickness, and Contour Offset Vector, which means nothing without it (PS3.3 C.8.8.6.2).
double read_slab(DcmItem &contour, std::vector<double> &points) {
  double offset[3];
  const double thickness = number_of(contour, contour_slab_thickness, 0.0);
  if (!std::isfinite(thickness) || thickness <= 0.0) {
    return 0.0;
  }
  if (numbers_of(contour, contour_offset_vector, offset, 3) && std::isfinite(offset[0] + offset[1] + offset[2])) {
    for (size_t i = 0; i < points.size(); i++) {
      points[i] += offset[i % 3];
    }
  }
  return thickness;
}

// Contours that are left out, by reason, so that an object with hundreds of them has one note.
struct LeftOut {
  size_t not_closed = 0;
  size_t few_points = 0;
  size_t no_area = 0;

  void tell(RoiReader &reader, unsigned number) const {
    const auto say = [&](size_t count, const char *why) {
      if (count > 0) {
        reader.add_note("ROI " + std::to_string(number) + ": " + std::to_string(count) +
                        (count == 1 ? " contour" : " contours") + " left out, " + why);
      }
    };
    say(not_closed, "no closed outline");
    say(few_points, "of fewer than three points");
    say(no_area, "enclosing no area");
  }
};

bool read_contour(RoiReader &reader, DcmItem &contour, const char *what, const RoiSource &common, OutlineRule rule,
                  RoiDraft &draft, LeftOut &left_out, lvn_error *err) {
  RoiSource source = common;
  Outline how;
  std::vector<double> points;
  size_t stack = 0;
  if (!is_closed_type(code_of(contour, DCM_ContourGeometricType))) {
    left_out.not_closed++;
    return true;
  }
  if (!read_points(contour, what, points, err)) {
    return false;
  }
  if (points.size() < 9) {
    left_out.few_points++;
    return true;
  }
  how.rule = rule;
  how.slab_mm = read_slab(contour, points);
  for (DcmItem *image : items_of(contour, DCM_ContourImageSequence)) {
    source.images.push_back(reference_of(*image));
  }
  if (!reader.choose_stack(source, points, what, stack, err) || !reader.claim_stack(draft, stack, what, err)) {
    return false;
  }
  how.named_slice = named_slice_of(reader.study, stack, source.images);
  const size_t before = draft.outlines.size();
  if (!reader.add_outline(draft, points, how, what, err)) {
    return false;
  }
  left_out.no_area += draft.outlines.size() == before ? 1 : 0;
  return true;
}

} // namespace

static bool read_contours(RoiReader &reader, DcmItem &roi, const RoiSource &common, RoiDraft &draft, lvn_error *err) {
  const OutlineRule rule = declares_xor(roi) ? OutlineRule::exclusive : OutlineRule::nested;
  LeftOut left_out;
  unsigned number = 0;
  for (DcmItem *contour : items_of(roi, DCM_ContourSequence)) {
    char what[64];
    (void)std::snprintf(what, sizeof what, "ROI %u, contour %u", draft.number, ++number);
    if (!read_contour(reader, *contour, what, common, rule, draft, left_out, err)) {
      return false;
    }
  }
  left_out.tell(reader, draft.number);
  return true;
}

bool RoiReader::read_rtstruct(const lvn_other_object &object, lvn_error *err) {
  DcmFileFormat file;
  std::vector<int> order;
  if (!load_file(object.path, true, file, err)) {
    return false;
  }
  DcmItem &dataset = *file.getDataset();
  std::map<int, Structure> structures = read_structures(dataset, order);
  RoiSource source = read_source(dataset);
  size_t position = 0;
  for (DcmItem *roi : items_of(dataset, DCM_ROIContourSequence)) {
    int number = integer_of(*roi, DCM_ReferencedROINumber, -1);
    // Some writers number the two sequences differently: then their order is what is left.
    if (structures.count(number) == 0 && position < order.size()) {
      number = order[position];
    }
    position++;
    const Structure &structure = structures[number];
    RoiDraft draft;
    draft.label = structure.name;
    draft.number = number >= 0 ? static_cast<unsigned>(number) : static_cast<unsigned>(position);
    if (items_of(*roi, DCM_ContourSequence).empty()) {
      add_note("ROI " + std::to_string(draft.number) + " has no contour");
      continue;
    }
    if (is_helper_type(structure.type) && !keep_organs) {
      add_note("ROI " + std::to_string(draft.number) + " left out: it is of type " + structure.type);
      continue;
    }
    if (leave_out(draft.number, draft.label, "")) {
      continue;
    }
    source.frame_of_reference_uid = structure.frame_of_reference_uid;
    if (!read_contours(*this, *roi, source, draft, err)) {
      return false;
    }
    if (!draft.outlines.empty()) {
      drafts.push_back(std::move(draft));
    }
  }
  return true;
}

} // namespace lvn
