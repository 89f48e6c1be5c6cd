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
