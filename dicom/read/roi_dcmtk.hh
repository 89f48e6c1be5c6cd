// ROI objects on their way to masks, shared by the C++ files that read each form.
#ifndef LVN_DICOM_READ_ROI_DCMTK_HH
#define LVN_DICOM_READ_ROI_DCMTK_HH

#include "dicom/read/roi.h"
#include "dicom/read/roi_outlines_dcmtk.hh"
#include "dicom/read/roi_select_dcmtk.hh"
#include "dicom/read/roi_voxels_dcmtk.hh"
#include "dicom/read/study_dcmtk.hh"

#include <memory>
#include <string>
#include <vector>

namespace lvn {

struct RoiDraft {
  std::string label;
  std::string tracking_id;  // "" when the source has none
  std::string tracking_uid; // "" when the source has none
  unsigned number = 0;      // of the ROI, segment or group in its object, for messages: labels may hold anything
  size_t stack = SIZE_MAX;
  std::vector<Outline> outlines; // not yet drawn
  Voxels inside;                 // on the stack's grid
};

// An item of the Image SOP Instance Reference Macro (PS3.3 10.3).
struct ImageReference {
  std::string sop_instance_uid;
  std::vector<uint32_t> frames; // 1-based; none means all of the instance's
};

// What an object says about the images it was drawn on. What the drawing itself names goes before what the object
// lists.
struct RoiSource {
  std::vector<ImageReference> images;
  std::vector<ImageReference> listed_images;
  std::vector<std::string> series_uids;
  std::string frame_of_reference_uid;
};

struct RoiReader {
  const lvn_study &study;
  bool is_listing = false;                  // only `entries` and `references` are filled, nothing is drawn
  const std::set<size_t> *wanted = nullptr; // which of the entries, by their order, are drawn; nullptr: all
  size_t met = 0;
  std::vector<RoiEntry> entries;
  RoiReferences references;
  std::vector<unsigned> without_area; // numbers of what is no region: points, lines, lengths
  std::vector<std::string> notes;
  std::vector<RoiDraft> drafts;
  // Segmentations that measurement groups refer to, by SOP instance UID: each is listed once.
  mutable std::map<std::string, std::shared_ptr<RoiReader>> segmentations;

  explicit RoiReader(const lvn_study &of_study) : study(of_study) {
  }

  bool read(const lvn_other_object &object, lvn_error *err);
  void add_note(const std::string &text);
  // Is the next region of the object to be drawn? Lists it instead where that is what the reader is for.
  bool wants(RoiEntry entry);
  // The one stack that a ROI with these references and points (patient mm) was drawn on.
  bool choose_stack(const RoiSource &source, const std::vector<double> &points_mm, const char *what, size_t &ret_stack,
                    lvn_error *err) const;
  // Is this stack one to draw on? Sets the draft's stack, or refuses when it already has another.
  bool claim_stack(RoiDraft &draft, size_t stack, const char *what, lvn_error *err) const;
  // Keep a closed planar polygon in patient mm (x y z triples) to be drawn on the draft's stack.
  bool add_outline(RoiDraft &draft, const std::vector<double> &points_mm, const Outline &how, const char *what,
                   lvn_error *err) const;
  // Draw the outlines of a draft and compare volumes.
  bool draw(RoiDraft &draft, lvn_error *err);

  bool read_rtstruct(const lvn_other_object &object, lvn_error *err);
  bool read_seg(const lvn_other_object &object, lvn_error *err);
  bool read_sr(const lvn_other_object &object, lvn_error *err);
  bool read_gsps(const lvn_other_object &object, lvn_error *err);
};

ImageReference reference_of(DcmItem &item);
// The slice that a reference names in a stack; SIZE_MAX when none, or several.
size_t named_slice_of(const lvn_study &study, size_t stack, const std::vector<ImageReference> &images);
// Do the images that are in the study belong to one stack at most?
bool is_of_one_stack(const lvn_study &study, const std::vector<ImageReference> &images);
// An image coordinate without a frame number says nothing in an instance of many frames.
bool check_frame_named(const lvn_study &study, const std::string &sop_instance_uid, uint32_t frame, const char *what,
                       lvn_error *err);
// Patient mm of a point in image coordinates: (0,0) is the top-left corner of the top-left pixel (PS3.3 C.18.6.1.2).
void image_to_patient(const lvn_study &study, size_t stack, size_t slice, double column, double row, double ret_mm[3]);

} // namespace lvn

#endif
