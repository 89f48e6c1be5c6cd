#include "dicom/read/stack_compare_dcmtk.hh"

#include "base/memory.h"
#include "dicom/read/parting_dcmtk.hh"
#include "dicom/read/spectral.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <memory>

namespace lvn {
namespace {

constexpr double one_scan_seconds = 2.0; // reconstructions of one scan, give or take the first slice
constexpr size_t run_least = 7;          // passes of a perfusion run: more than a liver has phases
constexpr double run_pause_seconds = 10.0;
constexpr double run_mm = 200.0;
// A slice from the middle of a multi-frame object costs decoding all of it.
constexpr uint64_t compare_max_values = UINT64_C(1) << 26;

bool takes_part(const Stack &stack) {
  return stack.info.exclusion == LVN_EXCLUSION_NONE;
}

bool is_affordable(const lvn_study &study, const Stack &stack) {
  const Pixels &pixels = study.instances[study.frames[stack.frames.front()].instance];
  return static_cast<uint64_t>(pixels.rows) * pixels.columns * pixels.frames <= compare_max_values;
}

bool lie_in_same_places(const Stack &a, const Stack &b) {
  return a.slices.size() == b.slices.size() && a.plane.columns == b.plane.columns && a.plane.rows == b.plane.rows &&
         is_same_place(a.slices.front(), b.slices.front()) && is_same_place(a.slices.back(), b.slices.back());
}

void put_digest(const std::string &digest, lvn_stack &info) {
  info.has_pixel_digest = digest.size() == sizeof info.pixel_sha256;
  if (info.has_pixel_digest) {
    std::memcpy(info.pixel_sha256, digest.data(), sizeof info.pixel_sha256);
  }
}

// Digests of stacks that another one may equal.
void find_twins(lvn_study &study) {
  HuReader reader(study);
  const size_t count = study.stacks.size();
  std::vector<std::string> middle(count);
  const auto middle_of = [&](size_t s) -> const std::string & {
    const Stack &stack = study.stacks[s];
    if (middle[s].empty()) {
      middle[s] = reader.digest_of({stack.frames[stack.frames.size() / 2]});
      middle[s] = middle[s].empty() ? "unreadable " + std::to_string(s) : middle[s];
    }
    return middle[s];
  };
  for (size_t a = 0; a < count; a++) {
    for (size_t b = a + 1; b < count; b++) {
      Stack &left = study.stacks[a];
      Stack &right = study.stacks[b];
      if (!takes_part(left) || !takes_part(right) || !lie_in_same_places(left, right) || !is_affordable(study, left) ||
          !is_affordable(study, right) || middle_of(a) != middle_of(b)) {
        continue;
      }
      for (Stack *stack : {&left, &right}) {
        if (!stack->info.has_pixel_digest) {
          put_digest(reader.digest_of(stack->frames), stack->info);
        }
      }
    }
  }
}

bool is_same_series(const Stack &a, const Stack &b) {
  return std::strcmp(a.info.series_instance_uid, b.info.series_instance_uid) == 0;
}

// One series sent or imported twice under its own UID counts once.
void absorb_twins(std::vector<Stack> &stacks) {
  for (size_t a = 0; a < stacks.size(); a++) {
    for (size_t b = stacks.size(); b-- > a + 1;) {
      if (!stacks[a].info.has_pixel_digest || !stacks[b].info.has_pixel_digest ||
          !is_same_series(stacks[a], stacks[b]) ||
          std::memcmp(stacks[a].info.pixel_sha256, stacks[b].info.pixel_sha256, sizeof stacks[a].info.pixel_sha256) !=
              0) {
        continue;
      }
      Stack &kept = stacks[a];
      kept.absorbed.insert(kept.absorbed.end(), stacks[b].frames.begin(), stacks[b].frames.end());
      kept.absorbed.insert(kept.absorbed.end(), stacks[b].absorbed.begin(), stacks[b].absorbed.end());
      const std::string note = kept.info.geometry_note;
      put_text(kept.info.geometry_note, LVN_TEXT_BYTES,
               note + (note.empty() ? "" : "; ") + std::to_string(stacks[b].frames.size()) +
                   " duplicate slices left out");
      stacks.erase(stacks.begin() + static_cast<std::ptrdiff_t>(b));
    }
  }
}

bool is_same_scan(const Stack &a, const Stack &b) {
  return a.info.acquisition_seconds >= 0.0 && b.info.acquisition_seconds >= 0.0 &&
         std::fabs(a.info.acquisition_seconds - b.info.acquisition_seconds) < one_scan_seconds &&
         std::strcmp(a.info.frame_of_reference_uid, b.info.frame_of_reference_uid) == 0;
}

// kV that tells this stack's tube from the other's of one scan, 0 when it is mixed of both or says nothing.
double component_kv(const lvn_study &study, const Stack &stack) {
  const double named = lvn_spectral_named_kv(stack.info.series_description);
  const double stated = study.frames[stack.frames.front()].acquisition.kv;
  if (lvn_spectral_is_mixed(stack.info.series_description, stack.info.image_type)) {
    return 0.0;
  }
  return named > 0.0 ? named : (std::isnan(stated) ? 0.0 : stated);
}

// Of the tubes of a dual-energy scan the mixed image is what a phase looks like, else the one nearest to 120 kV.
void rank_energies(lvn_study &study) {
  for (Stack &stack : study.stacks) {
    const double kv = component_kv(study, stack);
    const Stack *better = nullptr;
    if (!takes_part(stack) || kv <= 0.0 || stack.info.reserve_reason[0] != '\0') {
      continue;
    }
    bool has_other_tube = false;
    const Stack *mixed = nullptr;
    for (const Stack &other : study.stacks) {
      if (&other == &stack || !takes_part(other) || !is_same_scan(stack, other) || !lie_in_same_places(stack, other)) {
        continue;
      }
      const double other_kv = component_kv(study, other);
      const bool other_tube = other_kv > 0.0 && std::fabs(other_kv - kv) > 5.0;
      has_other_tube = has_other_tube || other_tube;
      mixed = lvn_spectral_is_mixed(other.info.series_description, other.info.image_type) ? &other : mixed;
      better = other_tube && std::fabs(other_kv - 120.0) < std::fabs(kv - 120.0) ? &other : better;
    }
    better = mixed != nullptr && has_other_tube ? mixed : better;
    if (better != nullptr) {
      put_text(stack.info.reserve_reason, LVN_TEXT_BYTES,
               "one energy of a dual-energy scan, " + std::to_string(static_cast<int>(kv)) + " kV");
    }
  }
}

// A perfusion run whose passes came as a series each.
void find_runs(std::vector<Stack> &stacks) {
  for (const Stack &first : stacks) {
    std::vector<Stack *> members;
    for (Stack &stack : stacks) {
      if (takes_part(stack) && stack.info.acquisition_seconds >= 0.0 && lie_in_same_places(first, stack) &&
          std::strcmp(first.info.frame_of_reference_uid, stack.info.frame_of_reference_uid) == 0) {
        members.push_back(&stack);
      }
    }
    const double covered = static_cast<double>(first.slices.size()) * first.info.grid.spacing_mm[2];
    if (members.size() < run_least || covered >= run_mm) {
      continue;
    }
    std::sort(members.begin(), members.end(),
              [](const Stack *a, const Stack *b) { return a->info.acquisition_seconds < b->info.acquisition_seconds; });
    size_t begin = 0;
    size_t passes = 1;
    for (size_t i = 1; i <= members.size(); i++) {
      const double pause = i < members.size()
                               ? members[i]->info.acquisition_seconds - members[i - 1]->info.acquisition_seconds
                               : HUGE_VAL;
      if (pause <= run_pause_seconds) {
        passes += pause > 0.5 ? 1 : 0;
        continue;
      }
      for (size_t k = begin; k < i && passes >= run_least; k++) {
        members[k]->info.exclusion = LVN_EXCLUSION_PERFUSION;
      }
      begin = i;
      passes = 1;
    }
  }
}

} // namespace

std::string HuReader::digest_of(const std::vector<size_t> &frames) {
  lvn_error ignored{};
  lvn_sha256 *digest = nullptr;
  uint8_t bytes[LVN_SHA256_BYTES];
  if (!lvn_sha256_create(&digest, &ignored)) {
    return "";
  }
  const std::unique_ptr<lvn_sha256, void (*)(lvn_sha256 *)> owner(digest, lvn_sha256_destroy);
  for (const size_t index : frames) {
    const Frame &frame = study_.frames[index];
    const Pixels &pixels = study_.instances[frame.instance];
    const size_t voxels = static_cast<size_t>(pixels.rows) * pixels.columns;
    const size_t number = frame.slice.frame_number == 0 ? 0 : frame.slice.frame_number - 1;
    if (frame.instance != loaded_ && !decode_pixels(pixels, values_, &ignored)) {
      loaded_ = SIZE_MAX;
      return "";
    }
    loaded_ = frame.instance;
    std::vector<int16_t> hu(voxels);
    table_.apply(pixels, frame, values_.data() + number * voxels, hu.data());
    if (!lvn_sha256_update(digest, hu.data(), voxels * sizeof hu[0], &ignored)) {
      return "";
    }
  }
  return lvn_sha256_finish(digest, bytes, &ignored) ? std::string(reinterpret_cast<const char *>(bytes), sizeof bytes)
                                                    : std::string();
}

size_t nearest_slice(const Stack &stack, const lvn_slice &slice) {
  const double wanted = along(stack.plane, slice);
  size_t best = 0;
  for (size_t k = 1; k < stack.slices.size(); k++) {
    if (std::fabs(along(stack.plane, stack.slices[k]) - wanted) <
        std::fabs(along(stack.plane, stack.slices[best]) - wanted)) {
      best = k;
    }
  }
  return best;
}

void compare_stacks(lvn_study &study) {
  find_twins(study);
  absorb_twins(study.stacks);
  rank_energies(study);
  find_runs(study.stacks);
}

} // namespace lvn
