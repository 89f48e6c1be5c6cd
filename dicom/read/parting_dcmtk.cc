#include "dicom/read/parting_dcmtk.hh"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <functional>
#include <map>

namespace lvn {

static constexpr double same_place_mm = 0.02;

double along(const lvn_plane &plane, const lvn_slice &slice) {
  double normal[3];
  lvn_plane_normal(&plane, normal);
  return slice.position_mm[0] * normal[0] + slice.position_mm[1] * normal[1] + slice.position_mm[2] * normal[2];
}

bool is_same_place(const lvn_slice &a, const lvn_slice &b) {
  double sum = 0.0;
  for (int i = 0; i < 3; i++) {
    const double d = a.position_mm[i] - b.position_mm[i];
    sum += d * d;
  }
  return std::sqrt(sum) < same_place_mm;
}

size_t count_repeats(const lvn_study &study, const Indices &sorted) {
  size_t repeats = 0;
  for (size_t i = 1; i < sorted.size(); i++) {
    repeats += is_same_place(study.frames[sorted[i - 1]].slice, study.frames[sorted[i]].slice) ? 1 : 0;
  }
  return repeats;
}

// Below 0: how far they lie apart.
static double overlap_mm(const lvn_study &study, const lvn_plane &plane, const Indices &a, const Indices &b) {
  return std::min(along(plane, study.frames[a.back()].slice), along(plane, study.frames[b.back()].slice)) -
         std::max(along(plane, study.frames[a.front()].slice), along(plane, study.frames[b.front()].slice));
}

double shared_range(const lvn_study &study, const lvn_plane &plane, const Indices &a, const Indices &b) {
  const double shared = overlap_mm(study, plane, a, b);
  const double shorter = std::min(overlap_mm(study, plane, a, a), overlap_mm(study, plane, b, b));
  if (shorter < same_place_mm) {
    return shared > -same_place_mm ? 1.0 : 0.0;
  }
  return std::max(0.0, shared / shorter);
}

namespace {

constexpr size_t parts_max = 128;
constexpr size_t least_slices = 3;
constexpr double covers_well = 0.5; // of the shorter part's length
constexpr double clear_pause = 1.5; // a pause between acquisitions against those inside one

using Parts = std::vector<Indices>;
using Text = std::function<std::string(const Frame &)>;
using Number = std::function<double(const Frame &)>;

struct NamedText {
  const char *name;
  Text value;
  bool names_acquisitions; // else a slice or two that differ may be a correction
};

struct NamedNumber {
  const char *name;
  Number value;
};

std::string written(double value) {
  char text[40];
  (void)std::snprintf(text, sizeof text, "%.3f", value);
  return std::isnan(value) ? std::string() : std::string(text);
}

// In the order in which they are preferred where several part the slices equally well.
const std::vector<NamedText> &texts() {
  static const std::vector<NamedText> all = {
      {"temporal position", [](const Frame &f) { return written(f.acquisition.temporal_position); }, true},
      {"acquisition number", [](const Frame &f) { return std::to_string(f.header.acquisition_number); }, true},
      {"contrast phase", [](const Frame &f) { return std::string(f.header.enhanced_agent_phase); }, true},
      {"acquisition time", [](const Frame &f) { return written(f.acquisition.acquired_seconds); }, false},
      {"trigger time", [](const Frame &f) { return written(f.acquisition.trigger_ms); }, true},
      {"stack", [](const Frame &f) { return f.acquisition.stack_id; }, true},
      {"acquisition UID", [](const Frame &f) { return f.acquisition.acquisition_uid; }, true},
      {"irradiation event", [](const Frame &f) { return f.acquisition.irradiation_uid; }, true},
      {"multi-frame object",
       [](const Frame &f) { return f.slice.frame_number > 0 ? std::string(f.slice.sop_instance_uid) : std::string(); },
       false},
      {"slice thickness", [](const Frame &f) { return written(f.header.slice_thickness_mm); }, false},
      {"image type", [](const Frame &f) { return std::string(f.header.image_type); }, false},
      {"tube voltage", [](const Frame &f) { return written(f.acquisition.kv); }, false},
      {"energy", [](const Frame &f) { return written(f.acquisition.energy_kev); }, false},
      {"rescale type", [](const Frame &f) { return f.rescale_type; }, false},
      {"series description", [](const Frame &f) { return std::string(f.header.series_description); }, false},
      {"series number", [](const Frame &f) { return std::to_string(f.header.series_number); }, false},
      {"protocol name", [](const Frame &f) { return std::string(f.header.protocol_name); }, false},
      {"contrast agent", [](const Frame &f) { return std::string(f.header.contrast_agent); }, false},
      {"injection time", [](const Frame &f) { return written(f.header.contrast_start_seconds); }, false},
      {"image comment", [](const Frame &f) { return std::string(f.header.image_comments); }, false},
      {"derivation", [](const Frame &f) { return f.acquisition.derivation; }, false},
      {"content time", [](const Frame &f) { return written(f.acquisition.content_seconds); }, false},
  };
  return all;
}

double number_or_none(int value) {
  return value < 0 ? NAN : static_cast<double>(value);
}

const std::vector<NamedNumber> &times() {
  static const std::vector<NamedNumber> all = {
      {"acquisition time", [](const Frame &f) { return f.acquisition.acquired_seconds; }},
      {"trigger time", [](const Frame &f) { return f.acquisition.trigger_ms; }},
      {"content time", [](const Frame &f) { return f.acquisition.content_seconds; }},
      {"creation time", [](const Frame &f) { return f.acquisition.created_seconds; }},
  };
  return all;
}

const std::vector<NamedNumber> &orders() {
  static const std::vector<NamedNumber> all = {
      {"the order of acquisition times", [](const Frame &f) { return f.acquisition.acquired_seconds; }},
      {"the order of acquisition numbers", [](const Frame &f) { return number_or_none(f.header.acquisition_number); }},
      {"the order of temporal positions", [](const Frame &f) { return f.acquisition.temporal_position; }},
      {"the order of trigger times", [](const Frame &f) { return f.acquisition.trigger_ms; }},
      {"the order of instances",
       [](const Frame &f) {
         const double number = number_or_none(f.instance_number);
         return f.slice.frame_number > 0 ? f.slice.frame_number + (std::isnan(number) ? 0.0 : number * 1e6) : number;
       }},
      {"the order of content times", [](const Frame &f) { return f.acquisition.content_seconds; }},
  };
  return all;
}

class Parter {
public:
  Parter(const lvn_study &study, const lvn_plane &plane, const Indices &sorted)
      : study_(study), plane_(plane), sorted_(sorted), places_(sorted.size() - count_repeats(study, sorted)),
        least_(std::min(least_slices, places_)), best_cost_(cost_of(sorted)) {
  }

  Parting run() {
    for (const NamedText &text : texts()) {
      consider(by_text(text.value), false, text.names_acquisitions, text.name);
    }
    for (const NamedNumber &time : times()) {
      try_pauses(time);
    }
    for (const NamedNumber &order : orders()) {
      consider(by_order(order.value, false), true, false, order.name);
      consider(by_order(order.value, true), true, false, order.name);
    }
    consider(by_rank(times()[0].value), false, false, "the order of acquisition times");
    consider(by_rank(times()[1].value), false, false, "the order of trigger times");
    return best_;
  }

private:
  const Frame &frame(size_t index) const {
    return study_.frames[index];
  }

  // Slices that would be lost: those of a part that makes no volume.
  size_t cost_of(const Indices &part) const {
    const size_t repeats = count_repeats(study_, part);
    if (places_ > 1 && part.size() >= least_slices && repeats + 1 == part.size()) {
      return 0; // one place again and again: a bolus run in the series of the scan that it started
    }
    return part.size() < least_ || repeats > 0 || !is_even(part) ? part.size() : 0;
  }

  bool is_even(const Indices &part) const {
    std::vector<double> positions;
    std::vector<double> distances;
    lvn_geometry geometry;
    for (const size_t index : part) {
      const lvn_slice &slice = frame(index).slice;
      positions.insert(positions.end(), slice.position_mm, slice.position_mm + 3);
      distances.push_back(along(plane_, slice));
    }
    lvn_geometry_measure(&plane_, reinterpret_cast<const double(*)[3]>(positions.data()), part.size(), &geometry);
    return geometry.problem[0] == '\0' || lvn_geometry_first_run(distances.data(), distances.size()) < part.size();
  }

  // Does each part reach into another; of parts in time, into its predecessor? The halves of one scan do not, and where
  // they only touch, one slice may have come twice. With slices lost, an order alone must cover the same places well.
  bool cover_the_same(const Parts &parts, bool in_order, size_t cost) const {
    for (size_t i = 0; i < parts.size(); i++) {
      bool covers = parts[i].size() < least_ || count_repeats(study_, parts[i]) + 1 == parts[i].size();
      const size_t from = in_order ? (i == 0 ? 1 : i - 1) : 0;
      const size_t end = in_order ? from + 1 : parts.size();
      for (size_t j = from; j < end && !covers; j++) {
        const double shared_mm = i == j ? -1.0 : overlap_mm(study_, plane_, parts[i], parts[j]);
        covers = shared_mm > (in_order ? same_place_mm : -same_place_mm) &&
                 (!in_order || cost == 0 || shared_range(study_, plane_, parts[i], parts[j]) >= covers_well);
      }
      if (!covers) {
        return false;
      }
    }
    return true;
  }

  void consider(const Parts &parts, bool in_order, bool names_acquisitions, const char *name) {
    if (parts.size() < 2 || parts.size() > parts_max || !cover_the_same(parts, in_order, 0)) {
      return;
    }
    size_t cost = 0;
    for (const Indices &part : parts) {
      cost += cost_of(part);
    }
    // An even stack is parted too where both parts are even by themselves: grids that interleave are no volume.
    const bool is_better = best_.parts.empty()
                               ? cost < best_cost_ || cost == 0
                               : cost < best_cost_ || (cost == best_cost_ && parts.size() < best_.parts.size());
    if (is_better && (cost == 0 || cover_the_same(parts, in_order, cost))) {
      best_cost_ = cost;
      best_ = {parts, name, names_acquisitions, cost};
    }
  }

  Parts by_text(const Text &value) const {
    std::map<std::string, Indices> found;
    Parts parts;
    for (const size_t index : sorted_) {
      found[value(frame(index))].push_back(index);
      if (found.size() > parts_max) {
        return {};
      }
    }
    for (auto &part : found) {
      parts.push_back(std::move(part.second));
    }
    return parts;
  }

  // Slices by a number; of equal numbers from either end. Empty where one is missing.
  Indices ordered(const Number &value, bool is_reverse) const {
    Indices order = sorted_;
    if (std::any_of(order.begin(), order.end(), [&](size_t index) { return std::isnan(value(frame(index))); })) {
      return {};
    }
    if (is_reverse) {
      std::reverse(order.begin(), order.end());
    }
    std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return value(frame(a)) < value(frame(b)); });
    return order;
  }

  // `cut[i]`: a part begins with order[i].
  Parts cut_up(const Indices &order, const std::vector<bool> &cut) const {
    Parts parts(1);
    for (size_t i = 0; i < order.size(); i++) {
      if (i > 0 && cut[i]) {
        parts.emplace_back();
      }
      parts.back().push_back(order[i]);
    }
    for (Indices &part : parts) {
      std::stable_sort(part.begin(), part.end(), [&](size_t a, size_t b) {
        return along(plane_, frame(a).slice) < along(plane_, frame(b).slice);
      });
    }
    return parts;
  }

  // Where the position jumps back, another pass begins.
  Parts by_order(const Number &value, bool is_reverse) const {
    const Indices order = ordered(value, is_reverse);
    std::vector<bool> cut(order.size(), false);
    double direction = 0.0;
    size_t cuts = 0;
    for (size_t i = 1; i < order.size(); i++) {
      const double step = along(plane_, frame(order[i]).slice) - along(plane_, frame(order[i - 1]).slice);
      cut[i] = is_same_place(frame(order[i]).slice, frame(order[i - 1]).slice) || step * direction < 0.0;
      direction = cut[i] ? 0.0 : step;
      cuts += cut[i] ? 1 : 0;
      if (cuts >= parts_max) {
        return {};
      }
    }
    return order.empty() ? Parts() : cut_up(order, cut);
  }

  // The longest pauses first, as long as they stand out.
  void try_pauses(const NamedNumber &time) {
    const Indices order = ordered(time.value, false);
    std::vector<std::pair<double, size_t>> pauses;
    for (size_t i = 1; i < order.size(); i++) {
      const double pause = time.value(frame(order[i])) - time.value(frame(order[i - 1]));
      if (pause > 0.0) {
        pauses.emplace_back(pause, i);
      }
    }
    std::stable_sort(pauses.begin(), pauses.end(), [](const auto &a, const auto &b) { return a.first > b.first; });
    std::vector<bool> cut(order.size(), false);
    for (size_t k = 0; k < pauses.size() && k + 1 < parts_max; k++) {
      cut[pauses[k].second] = true;
      const double next = k + 1 < pauses.size() ? pauses[k + 1].first : 0.0;
      if (pauses[k].first >= clear_pause * next) {
        consider(cut_up(order, cut), true, false, time.name);
      }
    }
  }

  // Every place equally often: the first scan of each, the second of each, …
  Parts by_rank(const Number &value) const {
    const size_t passes = places_ == 0 ? 0 : sorted_.size() / places_;
    if (passes < 2 || passes > parts_max || passes * places_ != sorted_.size()) {
      return {};
    }
    Parts parts(passes);
    for (size_t first = 0; first < sorted_.size(); first += passes) {
      std::vector<std::pair<double, size_t>> here;
      for (size_t i = first; i < first + passes; i++) {
        const double number = value(frame(sorted_[i]));
        if (std::isnan(number) || !is_same_place(frame(sorted_[first]).slice, frame(sorted_[i]).slice)) {
          return {};
        }
        here.emplace_back(number, sorted_[i]);
      }
      std::sort(here.begin(), here.end());
      for (size_t i = 0; i < passes; i++) {
        if (i > 0 && !(here[i].first > here[i - 1].first)) {
          return {};
        }
        parts[i].push_back(here[i].second);
      }
    }
    return parts;
  }

  const lvn_study &study_;
  const lvn_plane &plane_;
  const Indices &sorted_;
  size_t places_;
  size_t least_;
  size_t best_cost_;
  Parting best_;
};

} // namespace

Parting part_slices(const lvn_study &study, const lvn_plane &plane, const Indices &sorted) {
  const size_t places = sorted.size() - count_repeats(study, sorted);
  return sorted.size() < 4 || places < 2 ? Parting() : Parter(study, plane, sorted).run();
}

const char *parting_means() {
  return "acquisition number, temporal position, times, stack, thickness, comment and the order of instances";
}

} // namespace lvn
