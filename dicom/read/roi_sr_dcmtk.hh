// Measurement groups of reports and graphics of presentation states on their way to regions.
#ifndef LVN_DICOM_READ_ROI_SR_DCMTK_HH
#define LVN_DICOM_READ_ROI_SR_DCMTK_HH

#include "dicom/read/roi_dcmtk.hh"

namespace lvn {

struct Region {
  DcmItem *item;        // SCOORD, SCOORD3D or a segmentation's IMAGE
  bool is_named_region; // (111030, DCM, "Image Region") and the like, where closing is implied
};

struct Group {
  std::string tracking_id;
  std::string tracking_uid;
  std::string label;
  DcmItem *finding = nullptr; // Finding and Finding Site, coded
  DcmItem *site = nullptr;
  std::vector<Region> regions;
  RoiSource source; // what the group's measurements were taken from: SCOORD3D names no image
};

// The referenced segment of a segmentation in the same study, by its place among the segmentation's entries.
const lvn_other_object *find_segment(const RoiReader &reader, DcmItem &item, const RoiReader *&ret_listed,
                                     size_t &ret_index, lvn_error *err);

// What a group or a graphic says about its region; the images it was drawn on are added to the reader's references.
RoiEntry describe_group(RoiReader &reader, const Group &group, unsigned number);
RoiEntry describe_graphic(RoiReader &reader, DcmItem &annotation, DcmItem &graphic, DcmItem &image, unsigned number);

} // namespace lvn

#endif
