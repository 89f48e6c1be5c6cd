// What measurement groups and graphics say about their regions, before anything is drawn.
#include "dicom/read/roi_sr_dcmtk.hh"

namespace lvn {

const lvn_other_object *find_segment(const lvn_study &study, DcmItem &item, RoiReader &ret_listed, size_t &ret_index,
                                     lvn_error *err) {
  DcmItem *reference = first_item(&item, DCM_ReferencedSOPSequence);
  const std::string uid = reference == nullptr ? "" : code_of(*reference, DCM_ReferencedSOPInstanceUID);
  const int number = reference == nullptr ? -1 : integer_of(*reference, DCM_ReferencedSegmentNumber, -1);
  for (const lvn_other_object &object : study.others) {
    if (uid != object.sop_instance_uid || (object.kind != LVN_OBJECT_SEG && object.kind != LVN_OBJECT_LABELMAP)) {
      continue;
    }
    ret_listed.is_listing = true;
    if (!ret_listed.read(object, err)) {
      return nullptr;
    }
    for (size_t i = 0; i < ret_listed.entries.size(); i++) {
      if (static_cast<int>(ret_listed.entries[i].number) == number || ret_listed.entries.size() == 1) {
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
  const std::string uid = reference == nullptr ? "" : code_of(*reference, DCM_ReferencedSOPInstanceUID);
  if (!uid.empty()) {
    reader.references.add_image(*reference);
    entry.images.push_back(uid);
  }
}

// A group that only refers to a segment is what the segment is, and where it is.
void list_segment(RoiReader &reader, DcmItem &item, RoiEntry &entry) {
  RoiReader listed(reader.study);
  lvn_error ignored{};
  size_t index = 0;
  if (find_segment(reader.study, item, listed, index, &ignored) == nullptr) {
    return;
  }
  const RoiEntry &segment = listed.entries[index];
  if (entry.verdict.meaning == LVN_ROI_UNNAMED || entry.verdict.meaning == LVN_ROI_UNKNOWN) {
    entry.verdict = segment.verdict;
  }
  entry.images.insert(entry.images.end(), segment.images.begin(), segment.images.end());
  entry.series.insert(entry.series.end(), segment.series.begin(), segment.series.end());
  for (const auto &image : listed.references.images) {
    reader.references.images.insert(image);
  }
  reader.references.study_of.insert(listed.references.study_of.begin(), listed.references.study_of.end());
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
  if (entry.images.empty() && entry.series.empty()) {
    entry.series = group.source.series_uids;
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
