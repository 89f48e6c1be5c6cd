#include "dicom/read/roi_dcmtk.hh"
#include "daemon/base/guard.hh"
#include "daemon/base/memory.h"
#include "dicom/read/roi_names.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace lvn {

void RoiReader::add_note(const std::string &text) {
  note += (note.empty() ? "" : "; ") + text;
}

bool RoiReader::leave_out(unsigned number, const std::string &label, const std::string &property_type) {
  const char *organ = lvn_roi_organ_of(label.c_str());
  if (organ == nullptr && !lvn_roi_names_lesion(label.c_str())) {
    organ = lvn_roi_organ_of(property_type.c_str());
  }
  if (organ == nullptr || keep_organs) {
    return false;
  }
  add_note("ROI " + std::to_string(number) + " left out: it is named " + organ);
  return true;
}

namespace {

bool read_object(const lvn_study &study, size_t object_index, bool keep_organs, RoiReader &reader, lvn_error *err) {
  const lvn_other_object *object = lvn_study_get_object(&study, object_index);
  bool ok = true;
  reader.keep_organs = keep_organs;
  if (object == nullptr) {
    return lvn_error_set(err, LVN_ERROR_INTERNAL, "there is no object %zu", object_index);
  }
  switch (object->kind) {
  case LVN_OBJECT_RTSTRUCT:
    ok = reader.read_rtstruct(*object, err);
    break;
  case LVN_OBJECT_SEG:
  case LVN_OBJECT_LABELMAP:
    ok = reader.read_seg(*object, err);
    break;
  case LVN_OBJECT_SR:
    ok = reader.read_sr(*object, err);
    break;
  case LVN_OBJECT_GSPS:
    ok = reader.read_gsps(*object, err);
    break;
  case LVN_OBJECT_CT:
  case LVN_OBJECT_KEY_OBJECT:
  case LVN_OBJECT_OTHER:
    reader.add_note("the object holds no ROI");
    break;
  }
  if (!ok) {
    return lvn_error_prefix(err, "ROI object %s", object->sop_instance_uid);
  }
  for (RoiDraft &draft : reader.drafts) {
    if (!reader.draw(draft, err)) {
      return lvn_error_prefix(err, "ROI object %s", object->sop_instance_uid);
    }
    if (draft.inside.is_empty()) {
      return lvn_error_set(err, LVN_ERROR_DATA, "ROI object %s: ROI %u covers no pixel", object->sop_instance_uid,
                           draft.number);
    }
  }
  if (reader.drafts.empty() && reader.note.empty()) {
    reader.add_note("the object holds no lesion ROI");
  }
  return true;
}

bool make_roi(const lvn_study &study, const lvn_other_object &object, const RoiDraft &draft, size_t lesion_number,
              lvn_roi &roi, lvn_error *err) {
  put_text(roi.label, LVN_TEXT_BYTES, draft.label);
  put_text(roi.tracking_id, LVN_TEXT_BYTES,
           draft.tracking_id.empty() ? "Lesion " + std::to_string(lesion_number) : draft.tracking_id);
  if (lvn_uid_is_valid(draft.tracking_uid.c_str())) {
    put_text(roi.tracking_uid, LVN_UID_BYTES, draft.tracking_uid);
  } else {
    const std::string number = std::to_string(draft.number);
    const char *parts[] = {object.sop_instance_uid, "roi", number.c_str()};
    if (!lvn_uid_from_parts(parts, 3, roi.tracking_uid, err)) {
      return false;
    }
  }
  put_text(roi.source_sop_instance_uid, LVN_UID_BYTES, object.sop_instance_uid);
  put_text(roi.source_sop_class_uid, LVN_UID_BYTES, object.sop_class_uid);
  roi.source_kind = object.kind;
  roi.stack_index = draft.stack;
  return make_mask(draft.inside, study.stacks[draft.stack].info.grid, roi.mask, err);
}

struct Found {
  const lvn_other_object *object;
  RoiDraft draft;
};

bool make_list(const lvn_study &study, const std::vector<Found> &found, const std::string &note, lvn_roi_list *ret_rois,
               char *ret_note, lvn_error *err) {
  lvn_roi_list rois{};
  if (found.size() > LVN_ROI_MAX_PER_STUDY) {
    return lvn_error_set(err, LVN_ERROR_DATA, "%zu ROIs; at most %d are read", found.size(), LVN_ROI_MAX_PER_STUDY);
  }
  rois.items = static_cast<lvn_roi *>(lvn_alloc(found.size(), sizeof(lvn_roi), err));
  if (rois.items == nullptr) {
    return false;
  }
  for (const Found &each : found) {
    rois.count++;
    if (!make_roi(study, *each.object, each.draft, rois.count, rois.items[rois.count - 1], err)) {
      lvn_roi_list_clear(&rois);
      return false;
    }
  }
  put_text(ret_note, LVN_TEXT_BYTES, note);
  *ret_rois = rois;
  return true;
}

bool read_one(const lvn_study &study, size_t object_index, bool keep_organs, lvn_roi_list *ret_rois, char *ret_note,
              lvn_error *err) {
  RoiReader reader{study, keep_organs, "", {}};
  std::vector<Found> found;
  if (!read_object(study, object_index, keep_organs, reader, err)) {
    return false;
  }
  for (RoiDraft &draft : reader.drafts) {
    found.push_back({lvn_study_get_object(&study, object_index), std::move(draft)});
  }
  return make_list(study, found, reader.note, ret_rois, ret_note, err);
}

bool is_newer(const lvn_other_object &a, const lvn_other_object &b) {
  const int by_time = std::strcmp(a.content_datetime, b.content_datetime);
  return by_time != 0 ? by_time > 0 : std::strcmp(a.sop_instance_uid, b.sop_instance_uid) > 0;
}

// More than half of the smaller one lies in the other? Compared in patient space where the stacks differ.
bool is_same_lesion(const lvn_study &study, const RoiDraft &a, const RoiDraft &b) {
  const RoiDraft &small = a.inside.count() <= b.inside.count() ? a : b;
  const RoiDraft &large = &small == &a ? b : a;
  const lvn_grid &from = study.stacks[small.stack].info.grid;
  const lvn_grid &to = study.stacks[large.stack].info.grid;
  size_t shared = 0;
  if (std::strcmp(study.stacks[a.stack].info.frame_of_reference_uid,
                  study.stacks[b.stack].info.frame_of_reference_uid) != 0) {
    return false;
  }
  small.inside.for_each([&](long x, long y, long z) {
    const double index[3] = {static_cast<double>(x), static_cast<double>(y), static_cast<double>(z)};
    double mm[3];
    double at[3];
    lvn_grid_to_patient(&from, index, mm);
    lvn_grid_to_index(&to, mm, at);
    shared += large.inside.contains(std::lround(at[0]), std::lround(at[1]), std::lround(at[2])) ? 1 : 0;
  });
  return 2 * shared > small.inside.count();
}

bool read_all(const lvn_study &study, lvn_roi_list *ret_rois, char *ret_note, lvn_error *err) {
  std::vector<size_t> order;
  std::vector<Found> found;
  std::string note;
  for (size_t i = 0; i < study.others.size(); i++) {
    const lvn_object_kind kind = study.others[i].kind;
    if (kind != LVN_OBJECT_OTHER && kind != LVN_OBJECT_KEY_OBJECT) {
      order.push_back(i);
    }
  }
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return is_newer(study.others[a], study.others[b]); });
  for (size_t n = 0; n < order.size(); n++) {
    const lvn_other_object &object = study.others[order[n]];
    const bool is_superseded =
        std::any_of(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(n), [&](size_t m) {
          return std::strcmp(study.others[m].series_instance_uid, object.series_instance_uid) == 0;
        });
    RoiReader reader{study, false, "", {}};
    if (is_superseded) {
      note += (note.empty() ? "" : "; ") + std::string("an older ROI object of the same series left out");
      continue;
    }
    if (!read_object(study, order[n], false, reader, err)) {
      return false;
    }
    note += (note.empty() || reader.note.empty() ? "" : "; ") + reader.note;
    const size_t known = found.size();
    for (RoiDraft &draft : reader.drafts) {
      const bool is_known =
          std::any_of(found.begin(), found.begin() + static_cast<std::ptrdiff_t>(known), [&](const Found &other) {
            return (!draft.tracking_uid.empty() && draft.tracking_uid == other.draft.tracking_uid) ||
                   is_same_lesion(study, draft, other.draft);
          });
      if (is_known) {
        note += (note.empty() ? "" : "; ") + std::string("an older ROI of the same lesion left out");
      } else {
        found.push_back({&object, std::move(draft)});
      }
    }
  }
  return make_list(study, found, note, ret_rois, ret_note, err);
}

} // namespace
} // namespace lvn

bool lvn_roi_read(const struct lvn_study *study, size_t object_index, struct lvn_roi_list *ret_rois,
                  char ret_note[LVN_TEXT_BYTES], struct lvn_error *err) {
  ret_note[0] = '\0';
  return lvn_guard(err, LVN_ERROR_DATA,
                   [&] { return lvn::read_one(*study, object_index, false, ret_rois, ret_note, err); });
}

bool lvn_roi_read_any(const struct lvn_study *study, size_t object_index, struct lvn_roi_list *ret_rois,
                      char ret_note[LVN_TEXT_BYTES], struct lvn_error *err) {
  ret_note[0] = '\0';
  return lvn_guard(err, LVN_ERROR_DATA,
                   [&] { return lvn::read_one(*study, object_index, true, ret_rois, ret_note, err); });
}

bool lvn_roi_read_all(const struct lvn_study *study, struct lvn_roi_list *ret_rois, char ret_note[LVN_TEXT_BYTES],
                      struct lvn_error *err) {
  ret_note[0] = '\0';
  return lvn_guard(err, LVN_ERROR_DATA, [&] { return lvn::read_all(*study, ret_rois, ret_note, err); });
}

void lvn_roi_list_clear(struct lvn_roi_list *rois) {
  for (size_t i = 0; i < rois->count; i++) {
    lvn_mask_clear(&rois->items[i].mask);
  }
  lvn_free(rois->items);
  *rois = lvn_roi_list{};
}
