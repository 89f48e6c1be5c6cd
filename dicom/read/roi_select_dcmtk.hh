// Which regions of a study's ROI objects are drawn at all: what their objects say about them, where their images are,
// and which object replaces another. Decided from the objects' headers, before any mask is made.
#ifndef LVN_DICOM_READ_ROI_SELECT_DCMTK_HH
#define LVN_DICOM_READ_ROI_SELECT_DCMTK_HH

#include "dicom/read/roi.h"
#include "dicom/read/roi_names.h"
#include "dicom/read/study_dcmtk.hh"

#include <map>
#include <set>
#include <string>
#include <vector>

namespace lvn {

// What is said about one region, and why: "it is named liver". The reason holds no word of the object's own.
struct RoiVerdict {
  lvn_roi_meaning meaning = LVN_ROI_UNNAMED;
  std::string reason;
};

// One region as its object describes it.
struct RoiEntry {
  unsigned number = 0;
  std::string label;
  std::string tracking_uid;
  RoiVerdict verdict;
  bool is_automatic = false;
  bool is_in_pixels = false;       // needs its images: without them it has no place
  std::vector<std::string> images; // SOP instance UIDs: one for each contour, frame or graphic that names any
  std::vector<std::string> series; // that the object names as a whole
};

// Where an object says that the images it refers to belong: their study, series and SOP class, "" where unsaid.
struct RoiReferences {
  struct Home {
    std::string study;
    std::string series;
    std::string sop_class;
  };
  std::map<std::string, Home> images;          // by SOP instance UID
  std::map<std::string, std::string> study_of; // by series instance UID
  std::set<std::string> predecessors;          // SOP instances that the object replaces
  void add_image(DcmItem &reference);          // Referenced SOP Class and Instance UID
  void read(DcmItem &dataset, const std::string &own_study);
};

// Items of a sequence, in order; none when it is absent.
std::vector<DcmItem *> sequence_items(DcmItem &parent, const DcmTagKey &key);

// What the attributes of each form say.
RoiVerdict judge_structure(DcmItem &structure, DcmItem *observation); // items of a RT Structure Set
RoiVerdict judge_segment(DcmItem &segment, bool &ret_automatic);      // an item of the Segment Sequence
RoiVerdict judge_text(const std::string &text);                       // any name
RoiVerdict judge_code(DcmItem *code);                                 // a coded concept
// Of a measurement group: finding and finding site (nullptr when absent), and its tracking identifier.
RoiVerdict judge_group(DcmItem *finding, DcmItem *site, const std::string &tracking_id);

struct RoiReader;

// One ROI object, read as far as its regions' descriptions.
struct RoiPlan {
  const lvn_other_object *object = nullptr;
  RoiReferences references;
  std::vector<RoiEntry> entries;
  std::vector<std::string> notes; // of the listing
  std::string problem;            // why it cannot be listed, "" when it can
  bool is_superseded = false;
  std::set<size_t> wanted; // indices into entries: to be drawn
};

// Notes and what is waited for, in whole sentences of bounded length.
struct RoiRemarks {
  std::vector<std::string> notes;
  std::vector<std::string> waiting; // without the word "waiting": "for the series that …"
};
// Whole sentences joined by "; ", as many as fit, then how many did not.
std::string join_bounded(const std::vector<std::string> &sentences, size_t bytes);
// "ROI 3", or "8 regions of the SEG (ROI 1 to 5, 7, 9, 11)".
std::string name_regions(const RoiPlan &plan, const std::vector<size_t> &indices, bool names_object);
std::string name_numbers(const std::vector<unsigned> &numbers, const std::string &of);
const char *kind_name(lvn_object_kind kind);

// Newest first, superseded ones marked and everything that is not to be drawn left out, with its remarks. Nothing of an
// object whose `problem` is set is wanted.
std::vector<RoiPlan> plan_rois(const lvn_study &study, const std::vector<size_t> &objects, RoiRemarks &remarks);
// May a region that cannot be drawn be left out, since a newer object of its series holds the region anew?
bool has_newer_version(const std::vector<RoiPlan> &plans, size_t plan, const RoiEntry *entry);
// "for the rest of series 4: 3 of 12 images that ROI 1 was drawn on are there"; "" when none is missing.
std::string missing_images(const lvn_study &study, const RoiPlan &plan, const RoiEntry &entry);

} // namespace lvn

#endif
