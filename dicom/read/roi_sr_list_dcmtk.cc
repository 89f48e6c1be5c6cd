// What measurement groups and graphics say about their regions, before anything is drawn.
#include "dicom/read/roi_sr_dcmtk.hh"

namespace lvn {

const lvn_other_object *find_segment(const RoiReader &reader, DcmItem &item, const RoiReader *&ret_listed,
                                     size_t &ret_index, lvn_error *err) {
  DcmItem *reference = first_item(&item, DCM_ReferencedSOPSequence);
  const std::string uid = reference == nullptr ? "" : code_of(*reference, DCM_ReferencedSOPInstanceUID);
  const int number = reference == nullptr ? -1 : integer_of(*reference, DCM_ReferencedSegmentNumber, -1);
  for (const lvn_other_object &object : reader.study.others) {
    if (uid != object.sop_instance_uid || (object.kind != LVN_OBJECT_SEG && object.kind != LVN_OBJECT_LABELMAP)) {
      continue;
    }
    std::shared_ptr<RoiReader> &listed = reader.segmentations[uid];
    if (listed == nullptr) {
      listed = std::make_shared<RoiReader>(reader.study);
      listed->is_listing = true;
      if (!listed->read(object, err)) {
        listed.reset();
        return nullptr;
      }
    }
    for (size_t i = 0; i < listed->entries.size(); i++) {
      if (static_cast<int>(listed->entries[i].number) == number || listed->entries.size() == 1) {
        ret_listed = listed.get();
        ret_index = i;
        return &object;
      }
    }
  }
  (void)lvn_error_set(err, LVN_ERROR_DATA, "refers to segment %d of a segmentation that is not in the study", number);
  return nullptr;
}

namespace {

void list_image(RoiReader &reader, DcmItem *reference, RoiEntry &entry) {
  if (reference == nullptr) {
    return;
  }
  const std::string uid = code_of(*reference, DCM_ReferencedSOPInstanceUID);
  if (!uid.empty()) {
    reader.references.add_image(*reference);
    entry.images.push_back(uid);
  }
}

// A group that only refers to a segment is what the segment is, and where it is.
void list_segment(RoiReader &reader, DcmItem &item, RoiEntry &entry) {
  const RoiReader *listed = nullptr;
  lvn_error ignored{};
  size_t index = 0;
  if (find_segment(reader, item, listed, index, &ignored) == nullptr) {
    return;
  }
  const RoiEntry &segment = listed->entries[index];
  if (entry.verdict.meaning == LVN_ROI_UNNAMED || entry.verdict.meaning == LVN_ROI_UNKNOWN) {
    entry.verdict = segment.verdict;
  }
  entry.images.insert(entry.images.end(), segment.images.begin(), segment.images.end());
  entry.series.insert(entry.series.end(), segment.series.begin(), segment.series.end());
  for (const auto &image : listed->references.images) {
    reader.references.images.insert(image);
  }
  reader.references.study_of.insert(listed->references.study_of.begin(), listed->references.study_of.end());
}

} // namespace

// What was measured by hand is a lesion as drawn, unless its finding or its site says otherwise.
RoiEntry describe_group(RoiReader &reader, const Group &group, unsigned number) {
  RoiEntry entry;
  bool is_drawn = false;
  entry.number = number;
  entry.label = group.label;
  entry.tracking_uid = group.tracking_uid;
  entry.verdict = judge_group(group.finding, group.site, group.tracking_id);
  for (const Region &region : group.regions) {
    const std::string type = code_of(*region.item, DCM_ValueType);
    size_t named = entry.images.size();
    is_drawn = is_drawn || type != "IMAGE";
    entry.is_in_pixels = entry.is_in_pixels || type == "SCOORD";
    if (type == "IMAGE") {
      list_segment(reader, *region.item, entry);
      continue;
    }
    for (DcmItem *child : sequence_items(*region.item, DCM_ContentSequence)) {
      if (named == entry.images.size()) {
        list_image(reader, first_item(child, DCM_ReferencedSOPSequence), entry);
      }
    }
  }
  const bool has_no_own_images = entry.images.empty();
  // A SCOORD3D names no image: those that its measurements were taken from tell.
  for (const ImageReference &image : group.source.images) {
    if (is_drawn && !entry.is_in_pixels && !image.sop_instance_uid.empty() && has_no_own_images) {
      entry.images.push_back(image.sop_instance_uid);
    }
  }
  if (has_no_own_images && entry.series.empty()) {
    entry.series = group.source.series_uids;
  }
  if (entry.verdict.meaning == LVN_ROI_ORGAN && is_drawn && lvn_roi_names_liver_part(group.label.c_str())) {
    entry.verdict = {LVN_ROI_LESION, ""};
  }
  if (is_drawn && (entry.verdict.meaning == LVN_ROI_UNNAMED || entry.verdict.meaning == LVN_ROI_UNKNOWN)) {
    entry.verdict = {LVN_ROI_LESION, ""};
  }
  return entry;
}

// A graphic's name is its tracking identifier; its layer's, where it has none.
RoiEntry describe_graphic(RoiReader &reader, DcmItem &annotation, DcmItem &graphic, DcmItem &image, unsigned number) {
  RoiEntry entry;
  entry.number = number;
  entry.label = text_of(graphic, DCM_TrackingID);
  entry.tracking_uid = code_of(graphic, DCM_TrackingUID);
  entry.is_in_pixels = true;
  entry.verdict = judge_text(entry.label.empty() ? text_of(annotation, DCM_GraphicLayer) : entry.label);
  list_image(reader, &image, entry);
  return entry;
}

} // namespace lvn
