// RT Structure Sets (PS3.3 C.8.8.5, C.8.8.6): contours in patient mm, matched to slices by plane, since the image
// references are optional and, in files of several planning systems, point to images of another station.
#include "dicom/read/number.h"
#include "dicom/read/roi_dcmtk.hh"

#include <cstdio>
#include <cstring>
#include <map>

namespace lvn {
namespace {

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

std::vector<std::string> read_series(DcmItem &dataset) {
  std::vector<std::string> uids;
  for (DcmItem *frame : items_of(dataset, DCM_ReferencedFrameOfReferenceSequence)) {
    for (DcmItem *study : items_of(*frame, DCM_RTReferencedStudySequence)) {
      for (DcmItem *series : items_of(*study, DCM_RTReferencedSeriesSequence)) {
        uids.push_back(code_of(*series, DCM_SeriesInstanceUID));
      }
    }
  }
  return uids;
}

bool read_points(DcmItem &contour, const char *what, std::vector<double> &points, lvn_error *err) {
  DcmElement *element = nullptr;
  const int declared = integer_of(contour, DCM_NumberOfContourPoints, -1);
  if (contour.findAndGetElement(DCM_ContourData, element).bad() || element == nullptr) {
    return lvn_error_set(err, LVN_ERROR_DATA, "%s has no points", what);
  }
  const unsigned long values = element->getVM();
  if (values % 3 != 0 || values < 9 || (declared >= 0 && static_cast<unsigned long>(declared) * 3 != values)) {
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
    double value = 0.0;
    const size_t length = std::strcspn(at, "\\");
    if (!lvn_number_has_value(lvn_number_read(at, length, &value)) || !(value > -1e6 && value < 1e6)) {
      return lvn_error_set(err, LVN_ERROR_DATA, "%s has a coordinate that is no number", what);
    }
    points.push_back(value);
    at += length + (at[length] == '\\' ? 1 : 0);
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

} // namespace

static bool read_contours(RoiReader &reader, DcmItem &roi, const RoiSource &common, RoiDraft &draft, lvn_error *err) {
  unsigned number = 0;
  for (DcmItem *contour : items_of(roi, DCM_ContourSequence)) {
    char what[64];
    RoiSource source = common;
    std::vector<double> points;
    size_t stack = 0;
    const std::string type = code_of(*contour, DCM_ContourGeometricType);
    (void)std::snprintf(what, sizeof what, "ROI %u, contour %u", draft.number, ++number);
    if (type != "CLOSED_PLANAR" && type != "CLOSEDPLANAR_XOR" && type != "INTERPOLATED_PLANAR") {
      reader.add_note(std::string(what) + " left out: it is no closed outline");
      continue;
    }
    if (!read_points(*contour, what, points, err)) {
      return false;
    }
    for (DcmItem *image : items_of(*contour, DCM_ContourImageSequence)) {
      source.sop_instance_uids.push_back(code_of(*image, DCM_ReferencedSOPInstanceUID));
    }
    if (!reader.choose_stack(source, points, what, stack, err) || !reader.claim_stack(draft, stack, what, err) ||
        !reader.fill_polygon(draft, points, true, what, err)) {
      return false;
    }
  }
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
  const std::vector<std::string> series = read_series(dataset);
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
    RoiEntry entry = {draft.number, draft.label, "", structure.verdict, structure.is_automatic, false, {}, series};
    if (is_listing) {
      list_images(*this, *roi, references, entry);
    }
    if (!wants(std::move(entry))) {
      continue;
    }
    const RoiSource source = {{}, series, structure.frame_of_reference_uid};
    if (!read_contours(*this, *roi, source, draft, err)) {
      return false;
    }
    if (draft.stack != SIZE_MAX) {
      drafts.push_back(std::move(draft));
    }
  }
  return true;
}

} // namespace lvn
