// What lvn_study holds, shared by the C++ files of dicom/read.
#ifndef LVN_DICOM_READ_STUDY_DCMTK_HH
#define LVN_DICOM_READ_STUDY_DCMTK_HH

#include "dicom/read/geometry.h"
#include "dicom/read/load_dcmtk.hh"
#include "dicom/read/scan.h"
#include "dicom/read/study.h"

#include <dcmtk/config/osconfig.h>

#include <dcmtk/dcmdata/dctk.h>

#include <cstdint>
#include <deque>
#include <string>
#include <unordered_map>
#include <vector>

namespace lvn {

// The pixel description of one SOP instance.
struct Pixels {
  std::string path;
  std::string sop_instance_uid;
  std::string transfer_syntax_uid;
  bool is_odd = false; // as lvn_scan has it
  uint32_t frames = 1;
  uint16_t rows = 0;
  uint16_t columns = 0;
  uint16_t bits_allocated = 0;
  uint16_t bits_stored = 0;
  uint16_t high_bit = 0;
  uint16_t samples = 1;
  bool is_signed = false;
  bool has_padding = false;
  uint16_t padding_value = 0; // the 16 bits as written; signed by is_signed
  uint16_t padding_limit = 0;
};

// One slice: a single-frame CT object or one frame of a multi-frame one.
struct Frame {
  size_t instance = 0; // index into lvn_study::instances
  lvn_slice slice{};
  double orientation[6]{};
  bool has_geometry = false;
  double spacing_mm[2]{}; // [0] between columns, [1] between rows
  double slope = 1.0;
  double intercept = 0.0;
  int temporal_index = -1; // (0020,9128); -1 when absent
  int instance_number = -1;
  std::string content_datetime;
  lvn_stack header{}; // everything but the geometry
  std::string rescale_type;
  std::string volume_calculation;
  std::string volumetric_properties;
  bool is_grey = true;
};

// One stack and what its volume is made of.
struct Stack {
  lvn_stack info{};
  lvn_plane plane{};
  lvn_geometry geometry{};
  std::vector<size_t> frames; // indices into lvn_study::frames, sorted
  std::vector<lvn_slice> slices;
};

struct Place {
  uint32_t frame_number;
  size_t stack;
  size_t slice;
};

// Text of an attribute in UTF-8, trimmed; "" when absent.
std::string text_of(DcmItem &item, const DcmTagKey &key);
// Values joined by '\', trimmed, as bytes: for CS, UI, DA and the like.
std::string code_of(DcmItem &item, const DcmTagKey &key);
bool numbers_of(DcmItem &item, const DcmTagKey &key, double *values, size_t count);
double number_of(DcmItem &item, const DcmTagKey &key, double otherwise);
int integer_of(DcmItem &item, const DcmTagKey &key, int otherwise);
// First item of a sequence, nullptr when absent.
DcmItem *first_item(DcmItem *item, const DcmTagKey &sequence);
// Copy into a fixed buffer without cutting a UTF-8 character in two.
void put_text(char *target, size_t bytes, const std::string &text);

} // namespace lvn

struct lvn_study {
  std::string uid;
  std::vector<lvn::Pixels> instances;
  std::vector<lvn::Frame> frames;
  std::vector<lvn::Stack> stacks;
  std::deque<std::string> other_paths;
  std::vector<lvn_other_object> others;
  std::unordered_map<std::string, std::vector<lvn::Place>> places; // by SOP instance UID
  std::string template_path;
  std::string unreadable; // what cannot be read, and why
};

namespace lvn {

// Read one CT object's headers into the study; `scan` is what the bounded scan found.
bool read_ct(lvn_study &study, const std::string &path, const lvn_scan &scan, lvn_error *err);
// Group study.frames into study.stacks.
bool build_stacks(lvn_study &study, lvn_error *err);
// Stored values of all frames of one instance in the low 16 bits, columns * rows * frames, as in the pixel data.
bool decode_pixels(const Pixels &pixels, std::vector<uint16_t> &ret_values, lvn_error *err);
// One frame in HU, with padding.
void frame_to_hu(const Pixels &pixels, const Frame &frame, const uint16_t *values, int16_t *ret_hu);

} // namespace lvn

#endif
