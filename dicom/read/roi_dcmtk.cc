#include "dicom/read/roi_dcmtk.hh"
#include "daemon/base/guard.hh"
#include "daemon/base/memory.h"
#include "dicom/read/roi_raster.h"

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

static bool is_in_plane(const lvn_stack &stack, const std::vector<double> &points_mm) {
  long plane = -1;
  for (size_t i = 0; i + 2 < points_mm.size(); i += 3) {
    double index[3];
    lvn_grid_to_index(&stack.grid, &points_mm[i], index);
    const long nearest = std::lround(index[2]);
    if (std::fabs(index[2] - static_cast<double>(nearest)) > 0.5 || nearest < 0 ||
        nearest >= static_cast<long>(stack.grid.size[2]) || (plane >= 0 && nearest != plane)) {
      return false;
    }
    plane = nearest;
  }
  return true;
}

bool RoiReader::choose_stack(const RoiSource &source, const std::vector<double> &points_mm, const char *what,
                             size_t &ret_stack, lvn_error *err) const {
  for (const std::string &uid : source.sop_instance_uids) {
    if (lvn_study_find_slice(&study, uid.c_str(), 0, &ret_stack, nullptr)) {
      return true;
    }
  }
  std::vector<size_t> same_frame;
  std::vector<size_t> same_series;
  for (size_t s = 0; s < study.stacks.size(); s++) {
    const lvn_stack &stack = study.stacks[s].info;
    if (stack.aside != LVN_ASIDE_NONE || !is_in_plane(stack, points_mm)) {
      continue;
    }
    const bool is_listed = std::find(source.series_uids.begin(), source.series_uids.end(), stack.series_instance_uid) !=
                           source.series_uids.end();
    if (is_listed) {
      same_series.push_back(s);
    } else if (!source.frame_of_reference_uid.empty() &&
               source.frame_of_reference_uid == stack.frame_of_reference_uid) {
      same_frame.push_back(s);
    }
  }
  const std::vector<size_t> &found = same_series.empty() ? same_frame : same_series;
  if (found.empty()) {
    return lvn_error_set(err, LVN_ERROR_DATA,
                         "%s does not lie on a CT slice of this study: another frame of reference, or an absent slice",
                         what);
  }
  if (found.size() > 1) {
    return lvn_error_set(err, LVN_ERROR_DATA, "%s does not say which images it was drawn on: series %d and %d both fit",
                         what, study.stacks[found[0]].info.series_number, study.stacks[found[1]].info.series_number);
  }
  ret_stack = found[0];
  return true;
}

bool RoiReader::claim_stack(RoiDraft &draft, size_t stack, const char *what, lvn_error *err) const {
  const lvn_stack &info = study.stacks[stack].info;
  if (info.aside != LVN_ASIDE_NONE) {
    return lvn_error_set(err, LVN_ERROR_DATA, "%s is drawn on series %d, which is excluded (%s%s%s)", what,
                         info.series_number, lvn_aside_name(info.aside), info.geometry_problem[0] == '\0' ? "" : ": ",
                         info.geometry_problem);
  }
  if (draft.stack != SIZE_MAX && draft.stack != stack) {
    return lvn_error_set(err, LVN_ERROR_DATA, "%s is drawn on two series, %d and %d", what,
                         study.stacks[draft.stack].info.series_number, info.series_number);
  }
  draft.stack = stack;
  if (draft.inside.empty()) {
    size_t count = 0;
    if (!lvn_grid_voxel_count(&info.grid, &count, err)) {
      return false;
    }
    draft.inside.assign(count, 0);
  }
  return true;
}

bool RoiReader::fill_polygon(RoiDraft &draft, const std::vector<double> &points_mm, bool is_xor, const char *what,
                             lvn_error *err) const {
  const lvn_grid &grid = study.stacks[draft.stack].info.grid;
  const size_t slice_voxels = static_cast<size_t>(grid.size[0]) * grid.size[1];
  std::vector<double> points;
  long plane = 0;
  if (!is_in_plane(study.stacks[draft.stack].info, points_mm)) {
    return lvn_error_set(err, LVN_ERROR_DATA, "%s does not lie in one slice of series %d: absent, or oblique", what,
                         study.stacks[draft.stack].info.series_number);
  }
  for (size_t i = 0; i + 2 < points_mm.size(); i += 3) {
    double index[3];
    lvn_grid_to_index(&grid, &points_mm[i], index);
    if (!std::isfinite(index[0]) || !std::isfinite(index[1]) || std::fabs(index[0]) > 1e6 ||
        std::fabs(index[1]) > 1e6) {
      return lvn_error_set(err, LVN_ERROR_DATA, "%s has a point far outside the image", what);
    }
    // Voxel centres lie exactly where contours traced along pixels run: a nanometre decides nothing.
    points.push_back(std::round(index[0] * 1e6) / 1e6);
    points.push_back(std::round(index[1] * 1e6) / 1e6);
    plane = std::lround(index[2]);
  }
  uint8_t *slice = draft.inside.data() + static_cast<size_t>(plane) * slice_voxels;
  std::vector<uint8_t> drawn;
  if (!is_xor) {
    drawn.assign(slice_voxels, 0);
  }
  (void)lvn_raster_flip_polygon(reinterpret_cast<const double(*)[2]>(points.data()), points.size() / 2, grid.size[0],
                                grid.size[1], is_xor ? slice : drawn.data());
  for (size_t i = 0; i < drawn.size(); i++) {
    slice[i] |= drawn[i];
  }
  return true;
}

void image_to_patient(const lvn_study &study, size_t stack, size_t slice, double column, double row, double ret_mm[3]) {
  const Stack &s = study.stacks[stack];
  for (int i = 0; i < 3; i++) {
    ret_mm[i] = s.slices[slice].position_mm[i] + s.plane.direction[0][i] * s.plane.spacing_mm[0] * (column - 0.5) +
                s.plane.direction[1][i] * s.plane.spacing_mm[1] * (row - 0.5);
  }
}

namespace {

bool read_object(const lvn_other_object &object, RoiReader &reader, lvn_error *err) {
  if (!reader.read(object, err)) {
    return lvn_error_prefix(err, "%s", kind_name(object.kind));
  }
  for (const RoiDraft &draft : reader.drafts) {
    if (std::find(draft.inside.begin(), draft.inside.end(), 1) == draft.inside.end()) {
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
  if (!lvn_mask_create(&study.stacks[draft.stack].info.grid, &roi.mask, err)) {
    return false;
  }
  std::copy(draft.inside.begin(), draft.inside.end(), roi.mask.inside);
  return true;
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

size_t count_inside(const RoiDraft &draft) {
  return static_cast<size_t>(std::count(draft.inside.begin(), draft.inside.end(), 1));
}

// More than half of the smaller one lies in the other? Compared in patient space where the stacks differ.
bool is_same_lesion(const lvn_study &study, const RoiDraft &a, const RoiDraft &b) {
  const RoiDraft &small = count_inside(a) <= count_inside(b) ? a : b;
  const RoiDraft &large = &small == &a ? b : a;
  const lvn_grid &from = study.stacks[small.stack].info.grid;
  const lvn_grid &to = study.stacks[large.stack].info.grid;
  size_t shared = 0;
  if (std::strcmp(study.stacks[a.stack].info.frame_of_reference_uid,
                  study.stacks[b.stack].info.frame_of_reference_uid) != 0) {
    return false;
  }
  for (size_t i = 0; i < small.inside.size(); i++) {
    if (small.inside[i] == 0) {
      continue;
    }
    const size_t row = i / from.size[0];
    const double index[3] = {static_cast<double>(i % from.size[0]), static_cast<double>(row % from.size[1]),
                             static_cast<double>(row / from.size[1])};
    double mm[3];
    double at[3];
    lvn_grid_to_patient(&from, index, mm);
    lvn_grid_to_index(&to, mm, at);
    const long x = std::lround(at[0]);
    const long y = std::lround(at[1]);
    const long z = std::lround(at[2]);
    if (x >= 0 && y >= 0 && z >= 0 && x < static_cast<long>(to.size[0]) && y < static_cast<long>(to.size[1]) &&
        z < static_cast<long>(to.size[2])) {
      shared += large.inside[(static_cast<size_t>(z) * to.size[1] + static_cast<size_t>(y)) * to.size[0] +
                             static_cast<size_t>(x)];
    }
  }
  return 2 * shared > count_inside(small);
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
