#include "dicom/read/roi_select_dcmtk.hh"
#include "base/guard.hh"
#include "dicom/read/roi_dcmtk.hh"
#include "dicom/read/roi_time.h"

#include <algorithm>
#include <cstring>

namespace lvn {

const char *kind_name(lvn_object_kind kind) {
  switch (kind) {
  case LVN_OBJECT_RTSTRUCT:
    return "RTSTRUCT";
  case LVN_OBJECT_SEG:
  case LVN_OBJECT_LABELMAP:
    return "SEG";
  case LVN_OBJECT_SR:
    return "SR";
  case LVN_OBJECT_GSPS:
    return "presentation state";
  case LVN_OBJECT_CT:
  case LVN_OBJECT_KEY_OBJECT:
  case LVN_OBJECT_OTHER:
    break;
  }
  return "object";
}

std::string join_bounded(const std::vector<std::string> &sentences, size_t bytes) {
  constexpr size_t tail = 24; // "; and 99999 more notes"
  std::string text;
  for (size_t i = 0; i < sentences.size(); i++) {
    const bool is_last = i + 1 == sentences.size();
    if (text.size() + 2 + sentences[i].size() + (is_last ? 1 : tail) > bytes) {
      const size_t more = sentences.size() - i;
      text += (text.empty() ? "" : "; and ") + std::to_string(more) + (text.empty() ? " notes" : " more notes");
      break;
    }
    text += (text.empty() ? "" : "; ") + sentences[i];
  }
  return text;
}

// "1 to 5, 7, 9", and "…" where that would be long.
static std::string list_numbers(std::vector<unsigned> numbers) {
  std::string text;
  size_t parts = 0;
  std::sort(numbers.begin(), numbers.end());
  for (size_t first = 0; first < numbers.size();) {
    size_t last = first;
    while (last + 1 < numbers.size() && numbers[last + 1] <= numbers[last] + 1) {
      last++;
    }
    if (parts++ == 5) {
      return text + " and others";
    }
    text += (text.empty() ? "" : ", ") + std::to_string(numbers[first]);
    if (numbers[last] > numbers[first]) {
      text += (numbers[last] == numbers[first] + 1 ? ", " : " to ") + std::to_string(numbers[last]);
    }
    first = last + 1;
  }
  return text;
}

std::string name_numbers(const std::vector<unsigned> &numbers, const std::string &of) {
  if (numbers.size() == 1) {
    return "ROI " + std::to_string(numbers[0]) + of;
  }
  return std::to_string(numbers.size()) + " regions" + of + " (ROI " + list_numbers(numbers) + ")";
}

std::string name_regions(const RoiPlan &plan, const std::vector<size_t> &indices, bool names_object) {
  std::vector<unsigned> numbers;
  const std::string of = names_object ? std::string(" of the ") + kind_name(plan.object->kind) : "";
  for (const size_t index : indices) {
    numbers.push_back(plan.entries[index].number);
  }
  return name_numbers(numbers, of);
}

namespace {

enum class Place { here, other_study, no_ct, absent_series, absent_image };

bool has_series(const lvn_study &study, const std::string &uid) {
  return std::any_of(study.stacks.begin(), study.stacks.end(),
                     [&](const Stack &stack) { return uid == stack.info.series_instance_uid; });
}

bool is_ct_class(const std::string &uid) {
  return uid.empty() || uid == UID_CTImageStorage || uid == UID_EnhancedCTImageStorage ||
         uid == "1.2.840.10008.5.1.4.1.1.2.2";
}

// Where the series of a ROI that names no image, or images that nothing is known of, lies.
Place place_of_series(const lvn_study &study, const RoiPlan &plan, const std::vector<std::string> &series) {
  Place place = Place::here;
  for (const std::string &uid : series) {
    const auto home = plan.references.study_of.find(uid);
    if (has_series(study, uid)) {
      return Place::here;
    }
    const bool is_elsewhere =
        home != plan.references.study_of.end() && !home->second.empty() && home->second != study.uid;
    if (!uid.empty() && place != Place::absent_series) {
      place = is_elsewhere ? Place::other_study : Place::absent_series;
    }
  }
  return place;
}

Place place_of_image(const lvn_study &study, const RoiPlan &plan, const RoiEntry &entry, const std::string &uid) {
  const auto found = plan.references.images.find(uid);
  const RoiReferences::Home home = found == plan.references.images.end() ? RoiReferences::Home{} : found->second;
  const bool is_stored = std::any_of(study.others.begin(), study.others.end(),
                                     [&](const lvn_other_object &object) { return uid == object.sop_instance_uid; });
  if (is_stored || !is_ct_class(home.sop_class)) {
    return Place::no_ct;
  }
  if (!home.study.empty() && home.study != study.uid) {
    return Place::other_study;
  }
  if (!home.series.empty()) {
    return has_series(study, home.series) ? Place::here : Place::absent_series;
  }
  if (entry.is_in_pixels && entry.series.empty()) {
    return Place::absent_image;
  }
  return place_of_series(study, plan, entry.series);
}

bool is_known(const lvn_study &study, const std::string &uid) {
  return study.places.find(uid) != study.places.end();
}

// A region with one image in this study is drawn here: whatever else it needs is the drawing's to say.
Place place_of(const lvn_study &study, const RoiPlan &plan, const RoiEntry &entry) {
  if (entry.images.empty()) {
    return place_of_series(study, plan, entry.series);
  }
  Place place = Place::here;
  for (const std::string &uid : entry.images) {
    const Place each = is_known(study, uid) ? Place::here : place_of_image(study, plan, entry, uid);
    if (each == Place::here) {
      return each;
    }
    // What is to come outweighs what never will.
    if (place == Place::here || each == Place::absent_series || each == Place::absent_image) {
      place = each;
    }
  }
  return place;
}

bool list_object(const lvn_study &study, RoiPlan &plan, lvn_error *err) {
  RoiReader reader(study);
  reader.is_listing = true;
  if (!reader.read(*plan.object, err)) {
    return false;
  }
  plan.entries = std::move(reader.entries);
  plan.references = std::move(reader.references);
  plan.notes = std::move(reader.notes);
  return true;
}

void supersede(std::vector<RoiPlan> &plans, size_t by, size_t at) {
  for (const std::string &uid : plans[at].references.predecessors) {
    for (size_t i = 0; i < plans.size(); i++) {
      if (i != by && !plans[i].is_superseded && uid == plans[i].object->sop_instance_uid) {
        plans[i].is_superseded = true;
        supersede(plans, by, i);
      }
    }
  }
}

// Regions with one reason make one sentence.
struct Groups {
  std::vector<std::pair<std::string, std::vector<size_t>>> rows; // why, and which entries
  void add(const std::string &why, size_t index) {
    for (auto &row : rows) {
      if (row.first == why) {
        row.second.push_back(index);
        return;
      }
    }
    rows.push_back({why, {index}});
  }
};

const char *plural_of(lvn_roi_meaning meaning) {
  switch (meaning) {
  case LVN_ROI_MARGIN:
    return "targets with a margin, not the lesions themselves";
  case LVN_ROI_ELSEWHERE:
    return "lesions of other organs";
  case LVN_ROI_UNNAMED:
  case LVN_ROI_UNKNOWN:
  case LVN_ROI_LESION:
  case LVN_ROI_ORGAN:
  case LVN_ROI_HELPER:
    break;
  }
  return "organs or helpers";
}

bool is_no_lesion(lvn_roi_meaning meaning) {
  return meaning == LVN_ROI_ORGAN || meaning == LVN_ROI_HELPER || meaning == LVN_ROI_MARGIN ||
         meaning == LVN_ROI_ELSEWHERE;
}

class Planner {
public:
  Planner(const lvn_study &of_study, std::vector<RoiPlan> &of_plans, RoiRemarks &of_remarks)
      : study(of_study), plans(of_plans), remarks(of_remarks) {
  }

  void run() {
    for (size_t i = 0; i < plans.size(); i++) {
      if (!plans[i].is_superseded) {
        supersede(plans, i, i);
      }
    }
    for (RoiPlan &plan : plans) {
      if (plan.is_superseded) {
        remarks.notes.push_back("an older " + std::string(kind_name(plan.object->kind)) +
                                " left out: a later object replaces it");
        continue;
      }
      leave_out_organs(plan);
      leave_out_other_places(plan);
      remarks.notes.insert(remarks.notes.end(), plan.notes.begin(), plan.notes.end());
    }
    leave_out_older_versions();
    choose_unmarked();
    for (RoiPlan &plan : plans) {
      wait_for_series(plan);
    }
  }

private:
  const lvn_study &study;
  std::vector<RoiPlan> &plans;
  RoiRemarks &remarks;

  bool names_objects() const {
    return plans.size() > 1;
  }

  void note(const RoiPlan &plan, const std::vector<size_t> &indices, const std::string &why) {
    remarks.notes.push_back(name_regions(plan, indices, names_objects()) + " left out: " + why);
  }

  void leave_out_organs(RoiPlan &plan) {
    std::map<std::string, std::vector<size_t>> rows;
    bool has_organ = false;
    for (const RoiEntry &entry : plan.entries) {
      has_organ = has_organ || is_no_lesion(entry.verdict.meaning);
    }
    for (size_t i = 0; i < plan.entries.size(); i++) {
      RoiVerdict &verdict = plan.entries[i].verdict;
      const bool is_unmarked = verdict.meaning == LVN_ROI_UNNAMED || verdict.meaning == LVN_ROI_UNKNOWN;
      if (is_unmarked && has_organ && plan.entries[i].is_automatic) {
        verdict = {LVN_ROI_ORGAN, "it was made automatically, with organs"};
      }
      if (is_no_lesion(verdict.meaning)) {
        rows[plural_of(verdict.meaning)].push_back(i);
      } else {
        plan.wanted.insert(i);
      }
    }
    for (const auto &row : rows) {
      note(plan, row.second,
           row.second.size() == 1 ? plan.entries[row.second[0]].verdict.reason : "they are " + row.first);
    }
  }

  void leave_out_other_places(RoiPlan &plan) {
    Groups groups;
    for (const size_t i : std::set<size_t>(plan.wanted)) {
      const Place place = place_of(study, plan, plan.entries[i]);
      if (place == Place::other_study || place == Place::no_ct) {
        groups.add(place == Place::no_ct ? "drawn on an image that is no CT" : "drawn on images of another study", i);
        plan.wanted.erase(i);
      }
    }
    for (const auto &row : groups.rows) {
      note(plan, row.second, row.first);
    }
  }

  // Of one tracking UID the newest object's regions count; the older ones are not even drawn.
  void leave_out_older_versions() {
    std::set<std::string> seen;
    for (RoiPlan &plan : plans) {
      std::set<std::string> own;
      std::vector<size_t> older;
      for (const size_t i : std::set<size_t>(plan.wanted)) {
        const std::string &uid = plan.entries[i].tracking_uid;
        if (!uid.empty() && seen.count(uid) > 0) {
          older.push_back(i);
          plan.wanted.erase(i);
        }
      }
      for (size_t i = 0; i < plan.entries.size() && !plan.is_superseded; i++) {
        const Place place = place_of(study, plan, plan.entries[i]);
        if (place != Place::other_study && place != Place::no_ct) {
          own.insert(plan.entries[i].tracking_uid);
        }
      }
      seen.insert(own.begin(), own.end());
      if (!older.empty()) {
        remarks.notes.push_back("an older ROI of the same lesion left out");
      }
    }
  }

  bool is_marked(const RoiPlan &plan, size_t index) const {
    return plan.entries[index].verdict.meaning == LVN_ROI_LESION;
  }

  // Lesions of one object: those of one tracking UID are one.
  static size_t count_lesions(const RoiPlan &plan, const std::vector<size_t> &indices) {
    std::set<std::string> uids;
    size_t count = 0;
    for (const size_t i : indices) {
      const std::string &uid = plan.entries[i].tracking_uid;
      count += uid.empty() || uids.insert(uid).second ? 1 : 0;
    }
    return count;
  }

  // A name that says nothing to us beside organs: another organ, as likely as not.
  static bool is_doubtful(const RoiPlan &plan, size_t index) {
    return plan.entries[index].verdict.meaning == LVN_ROI_UNKNOWN &&
           std::any_of(plan.entries.begin(), plan.entries.end(),
                       [](const RoiEntry &entry) { return is_no_lesion(entry.verdict.meaning); });
  }

  template <typename Is> bool has_wanted(Is &&is) const {
    return std::any_of(plans.begin(), plans.end(), [&](const RoiPlan &plan) {
      return std::any_of(plan.wanted.begin(), plan.wanted.end(), [&](size_t i) { return is(plan.entries[i]); });
    });
  }

  // Beside a region that somebody drew, those that a program made and that nothing marks are no lesions.
  void leave_out_automatic() {
    for (RoiPlan &plan : plans) {
      std::vector<size_t> automatic;
      std::copy_if(plan.wanted.begin(), plan.wanted.end(), std::back_inserter(automatic),
                   [&](size_t i) { return plan.entries[i].is_automatic; });
      for (const size_t i : automatic) {
        plan.wanted.erase(i);
      }
      if (!automatic.empty()) {
        note(plan, automatic, "made automatically, and not marked as a lesion");
      }
    }
  }

  // Regions that nothing marks: left out where others are marked, asked for where they are several. One in each of
  // several objects may be versions of one lesion: that is for the drawing to tell.
  void choose_unmarked() {
    const bool has_marked = has_wanted([](const RoiEntry &entry) { return entry.verdict.meaning == LVN_ROI_LESION; });
    if (!has_marked && has_wanted([](const RoiEntry &entry) { return !entry.is_automatic; })) {
      leave_out_automatic();
    }
    for (RoiPlan &plan : plans) {
      std::vector<size_t> unmarked;
      std::copy_if(plan.wanted.begin(), plan.wanted.end(), std::back_inserter(unmarked),
                   [&](size_t i) { return !is_marked(plan, i); });
      if (unmarked.empty()) {
        continue;
      }
      const bool asks = !has_marked && (count_lesions(plan, unmarked) > 1 || is_doubtful(plan, unmarked[0]));
      if (has_marked) {
        note(plan, unmarked,
             std::string(unmarked.size() == 1 ? "it says" : "they say") +
                 " neither lesion nor organ, and others are marked");
      } else if (asks) {
        remarks.waiting.push_back("for a ROI marked as a lesion: " + name_regions(plan, unmarked, true) + " " +
                                  (unmarked.size() == 1 ? "says" : "say") + " neither lesion nor organ");
      }
      for (const size_t i : unmarked) {
        if (has_marked || asks) {
          plan.wanted.erase(i);
        }
      }
    }
  }

  std::string series_of(const RoiPlan &plan, const RoiEntry &entry) const {
    for (const std::string &uid : entry.images) {
      const auto found = plan.references.images.find(uid);
      if (found != plan.references.images.end() && !found->second.series.empty()) {
        return found->second.series;
      }
    }
    return entry.series.size() == 1 ? entry.series[0] : "";
  }

  void wait_for_series(RoiPlan &plan) {
    Groups groups;
    for (const size_t i : std::set<size_t>(plan.wanted)) {
      const Place place = place_of(study, plan, plan.entries[i]);
      const std::string series = series_of(plan, plan.entries[i]);
      if (place == Place::absent_series || place == Place::absent_image) {
        // Neither number nor description of the series are in the object: the end of its UID is what a PACS can find.
        const size_t end = series.size() > 8 ? series.size() - 8 : 0;
        groups.add(
            (place == Place::absent_image ? "image that the ROI was drawn on" : "series that the ROI was drawn on") +
                std::string(series.empty() ? "" : "; UID of the series ends in " + series.substr(end)),
            i);
        plan.wanted.erase(i);
      }
    }
    for (const auto &row : groups.rows) {
      const size_t middle = std::min(row.first.find(';'), row.first.size());
      remarks.waiting.push_back("for the " + row.first.substr(0, middle) + " (" +
                                name_regions(plan, row.second, names_objects()) + row.first.substr(middle) + ")");
    }
  }
};

} // namespace

std::vector<RoiPlan> plan_rois(const lvn_study &study, const std::vector<size_t> &objects, RoiRemarks &remarks) {
  std::vector<RoiPlan> plans;
  std::string zone;
  std::string zone_of;
  for (const size_t index : objects) {
    RoiPlan plan;
    lvn_error err{};
    plan.object = &study.others[index];
    // A file that cannot be parsed is one object's fault, to be told when it is known whether another replaces it.
    if (!lvn_guard(&err, LVN_ERROR_DATA, [&] { return list_object(study, plan, &err); })) {
      plan.problem = err.message;
    }
    const std::string own_zone = lvn_roi_time_zone(plan.object->content_datetime);
    if (!own_zone.empty() && (zone.empty() || plan.object->sop_instance_uid < zone_of)) {
      zone = own_zone;
      zone_of = plan.object->sop_instance_uid;
    }
    plans.push_back(std::move(plan));
  }
  std::stable_sort(plans.begin(), plans.end(), [&](const RoiPlan &a, const RoiPlan &b) {
    const int by_time = lvn_roi_time_compare(a.object->content_datetime, b.object->content_datetime, zone.c_str());
    return by_time != 0 ? by_time > 0 : std::strcmp(a.object->sop_instance_uid, b.object->sop_instance_uid) > 0;
  });
  Planner(study, plans, remarks).run();
  return plans;
}

bool has_newer_version(const std::vector<RoiPlan> &plans, size_t plan, const RoiEntry *entry) {
  for (size_t i = 0; i < plan; i++) {
    if (plans[i].is_superseded || !plans[i].problem.empty() ||
        std::strcmp(plans[i].object->series_instance_uid, plans[plan].object->series_instance_uid) != 0) {
      continue;
    }
    if (entry == nullptr ? !plans[i].entries.empty()
                         : std::any_of(plans[i].entries.begin(), plans[i].entries.end(), [&](const RoiEntry &newer) {
                             return (newer.number == entry->number && !is_no_lesion(newer.verdict.meaning)) ||
                                    (!entry->label.empty() && newer.label == entry->label);
                           })) {
      return true;
    }
  }
  return false;
}

std::string missing_images(const lvn_study &study, const RoiPlan &plan, const RoiEntry &entry) {
  const std::set<std::string> images(entry.images.begin(), entry.images.end());
  const auto there = static_cast<size_t>(
      std::count_if(images.begin(), images.end(), [&](const std::string &uid) { return is_known(study, uid); }));
  int series_number = -1;
  if (there == images.size()) {
    return "";
  }
  for (const std::string &uid : images) {
    const auto home = plan.references.images.find(uid);
    const auto place = study.places.find(uid);
    for (const Stack &stack : study.stacks) {
      if (home != plan.references.images.end() && home->second.series == stack.info.series_instance_uid) {
        series_number = stack.info.series_number;
      }
    }
    if (place != study.places.end() && !place->second.empty()) {
      series_number = study.stacks[place->second[0].stack].info.series_number;
    }
  }
  const std::string series = series_number < 0 ? "its series" : "series " + std::to_string(series_number);
  return "for the rest of " + series + ": " + std::to_string(there) + " of " + std::to_string(images.size()) +
         " images that ROI " + std::to_string(entry.number) + " was drawn on are there";
}

} // namespace lvn
