// What lvn_study holds, shared by the C++ files of dicom/read.
#ifndef LVN_DICOM_READ_STUDY_DCMTK_HH
#define LVN_DICOM_READ_STUDY_DCMTK_HH

#include "dicom/load/load_dcmtk.hh"
#include "dicom/read/geometry.h"
#include "dicom/read/study.h"
#include "dicom/scan/scan.h"

#include <dcmtk/config/osconfig.h>

#include <dcmtk/dcmdata/dctk.h>

#include <cmath>
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
  std::string length_doubt; // as pixel_length_doubt() has it
};

// What may tell acquisitions or reconstructions within one series apart. NAN and "" where absent.
struct Acquisition {
  double temporal_position = NAN; // (0020,0100), (0020,9128), (0020,930D)
  double trigger_ms = NAN;        // (0018,1060), cardiac and respiratory trigger delays
  double acquired_seconds = NAN;  // since a fixed day, from (0008,002A), (0018,9074) or date and time
  double content_seconds = NAN;   // (0008,0023) and (0008,0033)
  double created_seconds = NAN;   // (0008,0012) and (0008,0013)
  double kv = NAN;                // (0018,0060)
  std::string stack_id;           // (0020,9056)
  std::string acquisition_uid;    // (0008,0017)
  std::string irradiation_uid;    // (0008,3010)
  std::string derivation;         // (0008,2111)
  double energy_kev = NAN;        // (0018,937C) of a virtual monoenergetic image
};

// What of a frame's values cannot be taken as it is written, for people; empty when all can.
struct Doubts {
  std::string geometry; // position, orientation, spacing
  std::string hu;       // rescale
  bool no_rescale = false;
  std::string note; // read in another way than written, or not used
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
  Acquisition acquisition;
  int instance_number = -1;
  std::string content_datetime;
  lvn_stack header{}; // everything but the geometry
  std::string rescale_type;
  std::string volume_calculation;
  std::string volumetric_properties;
  bool is_grey = true;
  std::string name; // "image 7", for messages
  Doubts doubts;
};

// One stack and what its volume is made of.
struct Stack {
  lvn_stack info{};
  lvn_plane plane{};
  lvn_geometry geometry{};
  std::vector<size_t> frames; // indices into lvn_study::frames, sorted
  std::vector<lvn_slice> slices;
  std::vector<size_t> absorbed; // further frames of these places: identical copies, the other passes of a perfusion run
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
// All bytes of a value, those behind a NUL too, whatever its VR: writers turn a DS of more than 64 KiB into UN. False
// when it is absent or empty.
bool bytes_of(DcmItem &item, const DcmTagKey &key, std::string &bytes);
// The components of "1\2\3", an empty one too.
std::vector<std::string> components_of(const std::string &bytes);
// Exactly `count` finite numbers; false when the attribute is absent or holds anything else. `ret_problem` and
// `ret_note` (either may be NULL) are filled when its text is no number, or was read with a decimal comma.
bool numbers_of(DcmItem &item, const DcmTagKey &key, double *values, size_t count, std::string *ret_problem = nullptr,
                std::string *ret_note = nullptr);
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

// What tells acquisitions apart, of a whole object; of one frame's or all frames' functional groups.
void read_acquisition(DcmItem &dataset, Acquisition &acquisition);
void read_frame_acquisition(DcmItem &frame_content, Acquisition &acquisition);
// Read one CT object's headers into the study; `scan` is what the bounded scan found.
bool read_ct(lvn_study &study, const std::string &path, const lvn_scan &scan, lvn_error *err);
// Values of one frame from the data set or a functional group, with what is wrong about them.
bool read_position(DcmItem &item, Frame &frame);
bool read_orientation(DcmItem &item, Frame &frame);
void read_spacing(DcmItem &item, Frame &frame);
void read_thickness(DcmItem &item, Frame &frame);
void read_rescale(DcmItem &item, Frame &frame);
// Exclude stacks whose values are no geometry or no HU, and those that a slice is missing from for that reason.
void exclude_doubtful(lvn_study &study);
// Group study.frames into study.stacks.
bool build_stacks(lvn_study &study, lvn_error *err);
// Stored values of all frames of one instance in the low 16 bits, columns * rows * frames, as in the pixel data.
bool decode_pixels(const Pixels &pixels, std::vector<uint16_t> &ret_values, lvn_error *err);
// What is odd about how much of pixel data there is, where they are uncompressed; empty when nothing is. The second
// reads the file, whole only where it does not end as it should.
std::string pixel_length_doubt(DcmItem &dataset, const Pixels &pixels);
std::string pixel_length_doubt(const Pixels &pixels);
// One frame in HU, with padding. A stored value has at most 16 bits, so each is rescaled once, for all the frames that
// follow one another with the same rescale. Belongs to one thread.
class HuTable {
public:
  void apply(const Pixels &pixels, const Frame &frame, const uint16_t *values, int16_t *ret_hu);

private:
  bool is_for(const Pixels &pixels, const Frame &frame) const;
  void fill(const Pixels &pixels, const Frame &frame);

  std::vector<int16_t> hu_;
  double slope_ = 0.0;
  double intercept_ = 0.0;
  uint16_t high_bit_ = 0;
  uint16_t bits_stored_ = 0;
  bool is_signed_ = false;
  bool has_padding_ = false;
  uint16_t padding_value_ = 0;
  uint16_t padding_limit_ = 0;
};

} // namespace lvn

#endif
