// A segmentation as it is read: its header, and its frames' pixels one by one.
#ifndef LVN_DICOM_READ_ROI_SEG_DCMTK_HH
#define LVN_DICOM_READ_ROI_SEG_DCMTK_HH

#include "dicom/read/roi_dcmtk.hh"

#include <dcmtk/dcmdata/dcpixseq.h>

#include <map>
#include <string>
#include <vector>

namespace lvn {

enum class SegType { binary, fractional, labelmap };

struct Segment {
  std::string label;
  RoiVerdict verdict;
  bool is_automatic = false;
  bool is_wanted = false;
  std::string tracking_id;
  std::string tracking_uid;
};

struct SegFrame {
  int segment = -1;
  bool has_geometry = false;
  std::string problem; // why not, "" when something is absent
  std::string note;    // how its numbers were read
  double position[3]{};
  double orientation[6]{};
  double spacing[2]{};       // [0] between columns
  double between_mm = 0.0;   // Spacing Between Slices; 0 when absent
  double thickness_mm = 0.0; // Slice Thickness; 0 when absent
  std::vector<ImageReference> sources;
};

struct Seg {
  SegType type = SegType::binary;
  Pixels pixels;
  unsigned maximum_fraction = 255;
  int background = 0;
  std::map<int, Segment> segments;
  std::vector<SegFrame> frames;
  std::vector<std::string> series_uids;
  std::vector<ImageReference> images;
  std::string frame_of_reference_uid;
  double step_mm = 0.0;                  // between planes; 0 when nothing tells
  double gap_mm = 0.0;                   // between written frames
  std::vector<uint16_t> values;          // columns * rows * frames; empty for 1-bit pixels
  const Uint8 *bits = nullptr;           // of native 1-bit pixels, in the loaded file
  DcmPixelSequence *fragments = nullptr; // of RLE, likewise
  std::vector<uint16_t> unpacked;        // one frame
  size_t unpacked_frame = SIZE_MAX;
};

// Where the frames' values are read from; the file stays open.
bool find_values(DcmFileFormat &file, Seg &seg, lvn_error *err);
// The values of one frame; nullptr with the error set.
const uint16_t *values_of(Seg &seg, size_t frame, lvn_error *err);

// Does a frame lie on another place than the one image of the stack that it was made from?
bool is_elsewhere(const lvn_study &study, size_t stack, const Seg &seg, const SegFrame &frame);
// Notes of frames without a segment, and of pixels without a frame.
void note_contradictions(RoiReader &reader, DcmItem &dataset, const Seg &seg);

} // namespace lvn

#endif
