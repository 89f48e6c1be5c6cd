// Numbers of a slice: its place and the way from stored values to HU. What is no number is said and excludes its stack;
// nothing stands in for it.
#include "dicom/read/number.h"
#include "dicom/read/study_dcmtk.hh"

#include <cctype>
#include <cmath>
#include <cstring>

namespace lvn {
namespace {

constexpr double position_max_mm = 1e5;
constexpr double thickness_max_mm = 1000.0;
// Scanners write 1; images scaled into 16 bits small fractions.
constexpr double slope_min = 1e-4;
constexpr double slope_max = 100.0;
constexpr double intercept_max = 1e5;

// "PixelSpacing" as people write it.
std::string name_of(const DcmTagKey &key) {
  std::string name;
  DcmTag tag(key);
  for (const char *at = tag.getTagName(); *at != '\0'; at++) {
    if (std::isupper(static_cast<unsigned char>(*at)) != 0 && !name.empty()) {
      name += ' ';
    }
    name += *at;
  }
  return name;
}

// A value in a message: short, and nothing that could break a line of the log.
std::string quote(const std::string &text) {
  std::string quoted = "\"";
  for (size_t i = 0; i < text.size() && i < 32; i++) {
    quoted += text[i] >= 0x20 && text[i] < 0x7F && text[i] != '"' ? text[i] : '?';
  }
  return quoted + (text.size() > 32 ? "…\"" : "\"");
}

std::string without_padding(const std::string &bytes) {
  const size_t last = bytes.find_last_not_of(std::string(" \0", 2));
  return last == std::string::npos ? std::string() : bytes.substr(0, last + 1);
}

// Some writers repeat a single value; values that differ are not one.
bool is_repetition(const std::vector<std::string> &components) {
  for (const std::string &component : components) {
    if (without_padding(component) != without_padding(components.front())) {
      return false;
    }
  }
  return true;
}

void add(std::string *target, const std::string &text) {
  if (target != nullptr && target->empty()) {
    *target = text;
  }
}

} // namespace

bool bytes_of(DcmItem &item, const DcmTagKey &key, std::string &bytes) {
  DcmElement *element = nullptr;
  if (item.findAndGetElement(key, element).bad() || element == nullptr || element->getLength() == 0) {
    return false;
  }
  char *text = nullptr;
  Uint32 length = 0;
  Uint8 *raw = nullptr;
  OFString formatted;
  if ((element->ident() == EVR_UN || element->ident() == EVR_OB) && element->getUint8Array(raw).good() &&
      raw != nullptr) {
    bytes.assign(reinterpret_cast<const char *>(raw), element->getLength());
  } else if (element->getString(text, length).good() && text != nullptr) {
    bytes.assign(text, length);
  } else if (element->getOFStringArray(formatted).good()) { // FD in the place of DS
    bytes.assign(formatted.c_str(), formatted.size());
  }
  return bytes.find_first_not_of(std::string(" \0", 2)) != std::string::npos;
}

std::vector<std::string> components_of(const std::string &bytes) {
  std::vector<std::string> components;
  size_t from = 0;
  for (size_t at = bytes.find('\\'); at != std::string::npos; at = bytes.find('\\', from)) {
    components.push_back(bytes.substr(from, at - from));
    from = at + 1;
  }
  components.push_back(bytes.substr(from));
  return components;
}

bool numbers_of(DcmItem &item, const DcmTagKey &key, double *values, size_t count, std::string *ret_problem,
                std::string *ret_note) {
  std::string bytes;
  if (!bytes_of(item, key, bytes)) {
    return false;
  }
  const std::vector<std::string> components = components_of(bytes);
  const std::string text = name_of(key) + " " + quote(without_padding(bytes));
  if (components.size() != count && !(count == 1 && is_repetition(components))) {
    add(ret_problem,
        text + " has " + std::to_string(components.size()) + " values where there should be " + std::to_string(count));
    return false;
  }
  for (size_t i = 0; i < count; i++) {
    double value = 0.0;
    const lvn_number read = lvn_number_read(components[i].data(), components[i].size(), &value);
    if (!lvn_number_has_value(read)) {
      add(ret_problem, text + (count == 1 ? " is no number" : " holds what is no number"));
      return false;
    }
    if (read == LVN_NUMBER_GROUPED && key == DCM_RescaleIntercept) {
      add(ret_problem, text + " could be two different numbers");
      return false;
    }
    if (read != LVN_NUMBER_GOOD) {
      add(ret_note, text + " was read with a decimal comma");
    }
    values[i] = value;
  }
  return true;
}

double number_of(DcmItem &item, const DcmTagKey &key, double otherwise) {
  double value = 0.0;
  return numbers_of(item, key, &value, 1) ? value : otherwise;
}

int integer_of(DcmItem &item, const DcmTagKey &key, int otherwise) {
  const double value = number_of(item, key, -1e10);
  return value >= -1e9 && value <= 1e9 && value == std::floor(value) ? static_cast<int>(value) : otherwise;
}

bool read_position(DcmItem &item, Frame &frame) {
  std::string problem;
  double position[3];
  if (numbers_of(item, DCM_ImagePositionPatient, position, 3, &problem, &frame.doubts.note)) {
    if (std::fabs(position[0]) < position_max_mm && std::fabs(position[1]) < position_max_mm &&
        std::fabs(position[2]) < position_max_mm) {
      std::memcpy(frame.slice.position_mm, position, sizeof position);
      return true;
    }
    problem = "Image Position Patient lies outside any scanner";
  }
  if (!problem.empty()) {
    frame.doubts.geometry = problem + " (" + frame.name + ")";
  }
  return false;
}

bool read_orientation(DcmItem &item, Frame &frame) {
  std::string problem;
  if (numbers_of(item, DCM_ImageOrientationPatient, frame.orientation, 6, &problem, &frame.doubts.note)) {
    return true;
  }
  if (!problem.empty()) {
    frame.doubts.geometry = problem + " (" + frame.name + ")";
  }
  return false;
}

void read_spacing(DcmItem &item, Frame &frame) {
  std::string problem;
  double spacing[2];
  if (numbers_of(item, DCM_PixelSpacing, spacing, 2, &problem, &frame.doubts.note)) {
    frame.spacing_mm[0] = spacing[1]; // Pixel Spacing is row spacing first (PS3.3 10.7.1.3)
    frame.spacing_mm[1] = spacing[0];
  } else if (!problem.empty()) {
    frame.doubts.geometry = problem + " (" + frame.name + ")";
  }
}

// Used for a single slice and to choose among reconstructions: one that makes no sense is as good as none.
void read_thickness(DcmItem &item, Frame &frame) {
  std::string problem;
  double thickness = 0.0;
  frame.header.slice_thickness_mm = 0.0;
  if (!numbers_of(item, DCM_SliceThickness, &thickness, 1, &problem, &frame.doubts.note)) {
    add(&frame.doubts.note, problem.empty() ? problem : problem + " and was not used");
  } else if (thickness > 0.0 && thickness < thickness_max_mm) {
    frame.header.slice_thickness_mm = thickness;
  }
}

// PS3.3 C.11.1: HU = slope * stored value + intercept.
void read_rescale(DcmItem &item, Frame &frame) {
  std::string problem;
  std::string number;
  Doubts &doubts = frame.doubts;
  const bool has_slope = numbers_of(item, DCM_RescaleSlope, &frame.slope, 1, &problem, &doubts.note);
  const bool has_intercept = numbers_of(item, DCM_RescaleIntercept, &frame.intercept, 1, &problem, &doubts.note);
  doubts.hu.clear();
  doubts.no_rescale = false;
  (void)bytes_of(item, DCM_RescaleSlope, number);
  const std::string slope = "Rescale Slope " + quote(without_padding(number));
  if (!problem.empty()) {
    doubts.hu = problem;
  } else if (!has_slope && !has_intercept && item.tagExists(DCM_ModalityLUTSequence)) {
    doubts.hu = "a Modality LUT is not supported";
  } else if (!has_slope && !has_intercept) {
    doubts.no_rescale = true;
    doubts.hu = "rescale values are missing";
  } else if (!has_slope || !has_intercept) {
    doubts.hu = has_slope ? "Rescale Intercept is missing" : "Rescale Slope is missing";
  } else if (!(frame.slope > 0.0)) {
    doubts.hu = slope + (frame.slope < 0.0 ? " is negative" : " makes all pixels alike");
  } else if (frame.slope < slope_min || frame.slope > slope_max) {
    doubts.hu = slope + " makes no sense";
  } else if (!(std::fabs(frame.intercept) < intercept_max)) {
    doubts.hu = "Rescale Intercept makes no sense";
  }
  if (!doubts.hu.empty()) {
    doubts.hu += " (" + frame.name + ")";
  }
}

namespace {

// Do two frames come from one series of like images, so that one may be missing from the other's stack?
bool are_siblings(const lvn_study &study, const Frame &a, const Frame &b) {
  const Pixels &pixels_a = study.instances[a.instance];
  const Pixels &pixels_b = study.instances[b.instance];
  return std::strcmp(a.header.series_instance_uid, b.header.series_instance_uid) == 0 &&
         std::strcmp(a.header.image_type, b.header.image_type) == 0 && pixels_a.rows == pixels_b.rows &&
         pixels_a.columns == pixels_b.columns;
}

bool is_placed(const Frame &frame) {
  return frame.has_geometry && frame.spacing_mm[0] > 0.0 && frame.spacing_mm[1] > 0.0;
}

struct Verdict {
  std::string geometry;
  std::string hu;
  std::string note;
};

Verdict judge_own(const lvn_study &study, const Stack &stack) {
  Verdict verdict;
  size_t without = 0;
  for (const size_t index : stack.frames) {
    const Doubts &doubts = study.frames[index].doubts;
    add(&verdict.geometry, doubts.geometry);
    add(&verdict.hu, doubts.hu);
    add(&verdict.note, doubts.note);
    const std::string &length = study.instances[study.frames[index].instance].length_doubt;
    if (!length.empty()) {
      add(&verdict.note, study.frames[index].name + ": " + length);
    }
    without += doubts.no_rescale ? 1 : 0;
  }
  if (without == stack.frames.size()) {
    verdict.hu = "has no rescale values: its numbers are no HU";
  } else if (!verdict.hu.empty()) {
    verdict.hu = "has numbers that are no HU: " + verdict.hu;
  }
  return verdict;
}

// Slices without a place lie in stacks of their own; what they are missing from is not whole.
void judge_lost(const lvn_study &study, const Frame &first, Verdict &verdict) {
  size_t lost = 0;
  std::string name;
  for (const Frame &frame : study.frames) {
    if (is_placed(frame) || !are_siblings(study, first, frame)) {
      continue;
    }
    add(&verdict.geometry, frame.doubts.geometry);
    add(&name, frame.name);
    lost++;
  }
  if (lost > 0) {
    verdict.note += verdict.note.empty() ? "" : "; ";
    verdict.note += name + (lost > 1 ? " and " + std::to_string(lost - 1) + " more have" : " has") +
                    " no position, orientation or pixel spacing and " + (lost > 1 ? "were" : "was") + " left out";
  }
}

} // namespace

void exclude_doubtful(lvn_study &study) {
  for (Stack &stack : study.stacks) {
    const Frame &first = study.frames[stack.frames.front()];
    Verdict verdict = judge_own(study, stack);
    if (is_placed(first)) {
      judge_lost(study, first, verdict);
    }
    if (!verdict.note.empty()) {
      const std::string notes = stack.info.geometry_note;
      put_text(stack.info.geometry_note, LVN_TEXT_BYTES, notes + (notes.empty() ? "" : "; ") + verdict.note);
    }
    if (stack.info.exclusion != LVN_EXCLUSION_NONE && stack.info.exclusion != LVN_EXCLUSION_GEOMETRY) {
      continue;
    }
    const std::string &problem = verdict.geometry.empty() ? verdict.hu : verdict.geometry;
    if (problem.empty() || (verdict.geometry.empty() && stack.info.exclusion == LVN_EXCLUSION_GEOMETRY)) {
      continue;
    }
    stack.info.exclusion = verdict.geometry.empty() ? LVN_EXCLUSION_NOT_HU : LVN_EXCLUSION_GEOMETRY;
    put_text(stack.geometry.problem, sizeof stack.geometry.problem, problem);
    put_text(stack.info.geometry_problem, LVN_TEXT_BYTES, problem);
  }
}

} // namespace lvn
