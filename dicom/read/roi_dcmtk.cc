#include "dicom/read/roi_dcmtk.hh"
#include "base/guard.hh"
#include "base/memory.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace lvn {

void RoiReader::add_note(const std::string &text) {
  notes.push_back(text);
}

bool RoiReader::wants(RoiEntry entry) {
  const size_t index = met++;
  if (is_listing) {
    entries.push_back(std::move(entry));
    return false;
  }
  return wanted == nullptr || wanted->count(index) > 0;
}

static bool read_form(RoiReader &reader, const lvn_other_object &object, lvn_error *err) {
  switch (object.kind) {
  case LVN_OBJECT_RTSTRUCT:
    return reader.read_rtstruct(object, err);
  case LVN_OBJECT_SEG:
  case LVN_OBJECT_LABELMAP:
    return reader.read_seg(object, err);
  case LVN_OBJECT_SR:
    return reader.read_sr(object, err);
  case LVN_OBJECT_GSPS:
    return reader.read_gsps(object, err);
  case LVN_OBJECT_CT:
  case LVN_OBJECT_KEY_OBJECT:
  case LVN_OBJECT_OTHER:
    reader.add_note("the object holds no ROI");
    break;
  }
  return true;
}

bool RoiReader::read(const lvn_other_object &object, lvn_error *err) {
  if (!read_form(*this, object, err)) {
    return false;
  }
  // Told once: by the listing, or where all is drawn.
  if (wanted == nullptr && !without_area.empty()) {
    add_note(
        name_numbers(without_area, "") + " left out: " +
        (without_area.size() == 1 ? "a measurement or mark without an area" : "measurements or marks without an area"));
  }
  return true;
}

namespace {

bool read_object(const lvn_other_object &object, RoiReader &reader, lvn_error *err) {
  if (!reader.read(object, err)) {
    return lvn_error_prefix(err, "%s", kind_name(object.kind));
  }
  for (RoiDraft &draft : reader.drafts) {
    if (!reader.draw(draft, err)) {
      return lvn_error_prefix(err, "%s", kind_name(object.kind));
    }
    if (draft.inside.is_empty()) {
      return lvn_error_set(err, LVN_ERROR_DATA, "%s: ROI %u covers no pixel", kind_name(object.kind), draft.number);
    }
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
  bool is_marked = true;
};

bool make_list(const lvn_study &study, const std::vector<Found> &found, const RoiRemarks &remarks,
               lvn_roi_list *ret_rois, char *ret_note, lvn_error *err) {
  lvn_roi_list rois{};
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
  put_text(rois.waiting, LVN_TEXT_BYTES, join_bounded(remarks.waiting, LVN_TEXT_BYTES));
  put_text(ret_note, LVN_TEXT_BYTES, join_bounded(remarks.notes, LVN_TEXT_BYTES));
  *ret_rois = rois;
  return true;
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

// Draws what the plans want, and tells versions of one lesion by their overlap.
class Drawing {
public:
  Drawing(const lvn_study &of_study, std::vector<RoiPlan> &of_plans, RoiRemarks &of_remarks)
      : study(of_study), plans(of_plans), remarks(of_remarks) {
  }
  std::vector<Found> found;

  bool run(lvn_error *err) {
    for (size_t i = 0; i < plans.size(); i++) {
      if (!plans[i].is_superseded && !(plans[i].problem.empty() ? draw(i, err) : skip_unreadable(i, err))) {
        return false;
      }
    }
    ask_which();
    return true;
  }

private:
  const lvn_study &study;
  std::vector<RoiPlan> &plans;
  RoiRemarks &remarks;

  bool skip_unreadable(size_t at, lvn_error *err) {
    if (!has_newer_version(plans, at, nullptr)) {
      return lvn_error_set(err, LVN_ERROR_DATA, "%s: %s", kind_name(plans[at].object->kind), plans[at].problem.c_str());
    }
    remarks.notes.push_back("an older " + std::string(kind_name(plans[at].object->kind)) +
                            " of the same series, which cannot be read, left out");
    return true;
  }

  bool draw(size_t at, lvn_error *err) {
    RoiPlan &plan = plans[at];
    RoiReader reader(study);
    const size_t known = found.size();
    reader.wanted = &plan.wanted;
    if (plan.wanted.empty()) {
      return true;
    }
    if (read_object(*plan.object, reader, err)) {
      return take(plan, reader, known, err);
    }
    return err->code == LVN_ERROR_DATA && draw_each(at, err);
  }

  // Something of the object cannot be drawn: each lesion alone, to tell what it is and whether it matters.
  bool draw_each(size_t at, lvn_error *err) {
    RoiPlan &plan = plans[at];
    std::set<size_t> left = plan.wanted;
    const size_t known = found.size();
    while (!left.empty()) {
      const RoiEntry &first = plan.entries[*left.begin()];
      std::set<size_t> one;
      std::copy_if(left.begin(), left.end(), std::inserter(one, one.end()), [&](size_t i) {
        return i == *left.begin() ||
               (!first.tracking_uid.empty() && plan.entries[i].tracking_uid == first.tracking_uid);
      });
      RoiReader reader(study);
      reader.wanted = &one;
      if (!(read_object(*plan.object, reader, err) ? take(plan, reader, known, err) : excuse(at, one))) {
        return false;
      }
      for (const size_t i : one) {
        left.erase(i);
      }
    }
    return true;
  }

  // May the study go on without a lesion that cannot be drawn?
  bool excuse(size_t at, const std::set<size_t> &one) {
    for (const size_t i : one) {
      const std::string missing = missing_images(study, plans[at], plans[at].entries[i]);
      if (!missing.empty()) {
        remarks.waiting.push_back(missing);
        return true;
      }
    }
    if (!has_newer_version(plans, at, &plans[at].entries[*one.begin()])) {
      return false;
    }
    remarks.notes.push_back("an older ROI " + std::to_string(plans[at].entries[*one.begin()].number) +
                            " of the same series, which cannot be used, left out");
    return true;
  }

  bool take(const RoiPlan &plan, RoiReader &reader, size_t known, lvn_error *err) {
    const bool is_marked = std::all_of(plan.wanted.begin(), plan.wanted.end(),
                                       [&](size_t i) { return plan.entries[i].verdict.meaning == LVN_ROI_LESION; });
    remarks.notes.insert(remarks.notes.end(), reader.notes.begin(), reader.notes.end());
    for (RoiDraft &draft : reader.drafts) {
      if (std::any_of(found.begin(), found.begin() + static_cast<std::ptrdiff_t>(known),
                      [&](const Found &other) { return is_same_lesion(study, draft, other.draft); })) {
        remarks.notes.push_back("an older ROI of the same lesion left out");
        continue;
      }
      if (found.size() == LVN_ROI_MAX_PER_STUDY) {
        return lvn_error_set(err, LVN_ERROR_DATA, "more than %d regions are marked as lesions: that many are not read",
                             LVN_ROI_MAX_PER_STUDY);
      }
      found.push_back({plan.object, std::move(draft), is_marked});
    }
    return true;
  }

  // Several regions without a mark that are not versions of one.
  void ask_which() {
    const auto unmarked = static_cast<size_t>(
        std::count_if(found.begin(), found.end(), [](const Found &each) { return !each.is_marked; }));
    if (unmarked > 1) {
      remarks.waiting.push_back("for a ROI marked as a lesion: " + std::to_string(unmarked) +
                                " regions of different objects say neither lesion nor organ");
      found.clear();
    }
  }
};

bool read_objects(const lvn_study &study, const std::vector<size_t> &objects, lvn_roi_list *ret_rois, char *ret_note,
                  lvn_error *err) {
  RoiRemarks remarks;
  std::vector<RoiPlan> plans = plan_rois(study, objects, remarks);
  Drawing drawing(study, plans, remarks);
  if (!drawing.run(err)) {
    return false;
  }
  if (!objects.empty() && drawing.found.empty() && remarks.notes.empty() && remarks.waiting.empty()) {
    remarks.notes.push_back("the object holds no lesion ROI");
  }
  return make_list(study, drawing.found, remarks, ret_rois, ret_note, err);
}

bool read_one(const lvn_study &study, size_t object_index, bool keeps_organs, lvn_roi_list *ret_rois, char *ret_note,
              lvn_error *err) {
  const lvn_other_object *object = lvn_study_get_object(&study, object_index);
  RoiReader reader(study);
  std::vector<Found> found;
  if (object == nullptr) {
    return lvn_error_set(err, LVN_ERROR_INTERNAL, "there is no object %zu", object_index);
  }
  if (!keeps_organs) {
    return read_objects(study, {object_index}, ret_rois, ret_note, err);
  }
  if (!read_object(*object, reader, err)) {
    return false;
  }
  for (RoiDraft &draft : reader.drafts) {
    found.push_back({object, std::move(draft)});
  }
  return make_list(study, found, {reader.notes, {}}, ret_rois, ret_note, err);
}

bool read_all(const lvn_study &study, lvn_roi_list *ret_rois, char *ret_note, lvn_error *err) {
  std::vector<size_t> objects;
  for (size_t i = 0; i < study.others.size(); i++) {
    const lvn_object_kind kind = study.others[i].kind;
    if (kind != LVN_OBJECT_OTHER && kind != LVN_OBJECT_KEY_OBJECT) {
      objects.push_back(i);
    }
  }
  return read_objects(study, objects, ret_rois, ret_note, err);
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
