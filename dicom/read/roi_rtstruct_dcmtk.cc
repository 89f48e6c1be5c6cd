// RT Structure Sets (PS3.3 C.8.8.5, C.8.8.6): contours in patient mm, matched to slices by plane, since the image
// references are optional and, in files of several planning systems, point to images of another station.
#include "dicom/read/number.h"
#include "dicom/read/roi_dcmtk.hh"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <map>

namespace lvn {
namespace {

// By number: DCMTK has renamed them as retired.
const DcmTagKey contour_slab_thickness(0x3006, 0x0044);
const DcmTagKey contour_offset_vector(0x3006, 0x0045);

// A contour drawn between two slices names the nearer one.
constexpr double named_max_slices = 0.75;

struct Structure {
  std::string name;
  std::string frame_of_reference_uid;
  RoiVerdict verdict;
  DcmItem *item = nullptr;
  bool is_automatic = false;
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
    structures[number] = {text_of(*item, DCM_ROIName), code_of(*item, DCM_ReferencedFrameOfReferenceUID),
                          judge_structure(*item, nullptr), item,
                          code_of(*item, DCM_ROIGenerationAlgorithm) == "AUTOMATIC"};
    order.push_back(number);
  }
  for (DcmItem *item : items_of(dataset, DCM_RTROIObservationsSequence)) {
    const auto found = structures.find(integer_of(*item, DCM_ReferencedROINumber, -1));
    if (found != structures.end()) {
      found->second.verdict = judge_structure(*found->second.item, item);
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

// No points where the contour has none.
bool read_points(DcmItem &contour, const char *what, std::vector<double> &points, bool &ret_comma, lvn_error *err) {
  const int declared = integer_of(contour, DCM_NumberOfContourPoints, -1);
  std::string text;
  if (!bytes_of(contour, DCM_ContourData, text)) {
    return declared <= 0 || lvn_error_set(err, LVN_ERROR_DATA, "%s declares %d points but has none", what, declared);
  }
  const std::vector<std::string> components = components_of(text);
  const size_t values = components.size();
  if (values % 3 != 0) {
    return lvn_error_set(err, LVN_ERROR_DATA, "%s has %zu values, which are no whole points", what, values);
  }
  if (declared >= 0 && static_cast<size_t>(declared) * 3 != values) {
    return lvn_error_set(err, LVN_ERROR_DATA, "%s declares %d points but has %zu values", what, declared, values);
  }
  points.reserve(values);
  for (const std::string &component : components) {
    double value = 0.0;
    const lvn_number read = lvn_number_read(component.data(), component.size(), &value);
    if (!lvn_number_has_value(read) || !(value > -1e6 && value < 1e6)) {
      return lvn_error_set(err, LVN_ERROR_DATA, "%s has a coordinate that is no number", what);
    }
    ret_comma = ret_comma || read != LVN_NUMBER_GOOD;
    points.push_back(value);
  }
  return true;
}

bool is_outline(DcmItem &contour) {
  const std::string type = code_of(contour, DCM_ContourGeometricType);
  return type == "CLOSED_PLANAR" || type == "CLOSEDPLANAR_XOR" || type == "INTERPOLATED_PLANAR";
}

// At least one contour that encloses something? Points and lines are marks and measurements, not regions.
bool has_area(DcmItem &roi) {
  for (DcmItem *contour : items_of(roi, DCM_ContourSequence)) {
    if (is_outline(*contour) && integer_of(*contour, DCM_NumberOfContourPoints, 3) >= 3) {
      return true;
    }
  }
  return false;
}

// One image a contour: of several the first that is there, since some writers name those of other series, too.
void list_images(const RoiReader &reader, DcmItem &roi, RoiReferences &references, RoiEntry &entry) {
  for (DcmItem *contour : items_of(roi, DCM_ContourSequence)) {
    std::string uid;
    bool is_known = false;
    for (DcmItem *image : items_of(*contour, DCM_ContourImageSequence)) {
      const std::string each = code_of(*image, DCM_ReferencedSOPInstanceUID);
      const bool knows = lvn_study_find_slice(&reader.study, each.c_str(), 0, nullptr, nullptr);
      references.add_image(*image);
      if (uid.empty() || (knows && !is_known)) {
        uid = each;
        is_known = knows;
      }
    }
    if (!uid.empty() && is_outline(*contour)) {
      entry.images.push_back(uid);
    }
  }
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
bool read_slab(DcmItem &contour, const char *what, std::vector<double> &points, double &ret_slab_mm, lvn_error *err) {
  double offset[3];
  std::string problem;
  ret_slab_mm = numbers_of(contour, contour_slab_thickness, offset, 1, &problem) ? std::max(offset[0], 0.0) : 0.0;
  if (!problem.empty()) {
    return lvn_error_set(err, LVN_ERROR_DATA, "%s has a Contour Slab Thickness that is no number", what);
  }
  if (ret_slab_mm > 0.0 && numbers_of(contour, contour_offset_vector, offset, 3, &problem)) {
    for (size_t i = 0; i < points.size(); i++) {
      points[i] += offset[i % 3];
    }
  }
  return problem.empty() ||
         lvn_error_set(err, LVN_ERROR_DATA, "%s has a Contour Offset Vector that is not three numbers", what);
}

// What is worth a note, counted, so that an object with hundreds of contours has few: those left out, by reason.
struct ContourNotes {
  size_t not_closed = 0;
  size_t few_points = 0;
  size_t no_area = 0;
  size_t elsewhere = 0;
  bool has_comma = false;

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
    if (elsewhere > 0) {
      reader.add_note("ROI " + std::to_string(number) + ": " + std::to_string(elsewhere) +
                      (elsewhere == 1 ? " contour lies" : " contours lie") +
                      " off the image named; drawn by coordinates");
    }
    if (has_comma) {
      reader.add_note("ROI " + std::to_string(number) + ": coordinates were read with a decimal comma");
    }
  }
};

bool read_contour(RoiReader &reader, DcmItem &contour, const char *what, const RoiSource &common, OutlineRule rule,
                  RoiDraft &draft, ContourNotes &notes, lvn_error *err) {
  RoiSource source = common;
  Outline how;
  std::vector<double> points;
  size_t stack = 0;
  if (!is_outline(contour)) {
    notes.not_closed++;
    return true;
  }
  if (!read_points(contour, what, points, notes.has_comma, err)) {
    return false;
  }
  if (points.size() < 9) {
    notes.few_points++;
    return true;
  }
  how.rule = rule;
  if (!read_slab(contour, what, points, how.slab_mm, err)) {
    return false;
  }
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
  notes.no_area += draft.outlines.size() == before ? 1 : 0;
  if (draft.outlines.size() > before && how.named_slice != SIZE_MAX) {
    const double apart = std::fabs(draft.outlines.back().plane - static_cast<double>(how.named_slice));
    notes.elsewhere += apart > named_max_slices ? 1 : 0;
  }
  return true;
}

} // namespace

static bool read_contours(RoiReader &reader, DcmItem &roi, const RoiSource &common, RoiDraft &draft, lvn_error *err) {
  const OutlineRule rule = declares_xor(roi) ? OutlineRule::exclusive : OutlineRule::nested;
  ContourNotes notes;
  unsigned number = 0;
  for (DcmItem *contour : items_of(roi, DCM_ContourSequence)) {
    char what[64];
    (void)std::snprintf(what, sizeof what, "ROI %u, contour %u", draft.number, ++number);
    if (!read_contour(reader, *contour, what, common, rule, draft, notes, err)) {
      return false;
    }
  }
  notes.tell(reader, draft.number);
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
  references.read(dataset, study.uid);
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
    if (!has_area(*roi)) {
      without_area.push_back(draft.number);
      continue;
    }
    RoiEntry entry = {draft.number,           draft.label, "", structure.verdict,
                      structure.is_automatic, false,       {}, source.series_uids};
    if (is_listing) {
      list_images(*this, *roi, references, entry);
    }
    if (!wants(std::move(entry))) {
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
