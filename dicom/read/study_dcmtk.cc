#include "dicom/read/study_dcmtk.hh"
#include "base/guard.hh"
#include "base/memory.h"
#include "dicom/read/parallel.hh"

#include <dcmtk/oflog/oflog.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <mutex>
#include <set>

namespace lvn {
namespace {

constexpr const char *legacy_enhanced_ct_uid = "1.2.840.10008.5.1.4.1.1.2.2";
constexpr const char *labelmap_uid = "1.2.840.10008.5.1.4.1.1.66.7";
constexpr const char *own_model_prefix = "Liver-VLM";

struct Kind {
  const char *sop_class_uid;
  lvn_object_kind kind;
};

constexpr Kind kinds[] = {
    {UID_CTImageStorage, LVN_OBJECT_CT},
    {UID_EnhancedCTImageStorage, LVN_OBJECT_CT},
    {legacy_enhanced_ct_uid, LVN_OBJECT_CT},
    {UID_RTStructureSetStorage, LVN_OBJECT_RTSTRUCT},
    {UID_SegmentationStorage, LVN_OBJECT_SEG},
    {labelmap_uid, LVN_OBJECT_LABELMAP},
    {UID_EnhancedSRStorage, LVN_OBJECT_SR},
    {UID_ComprehensiveSRStorage, LVN_OBJECT_SR},
    {UID_Comprehensive3DSRStorage, LVN_OBJECT_SR},
    {UID_GrayscaleSoftcopyPresentationStateStorage, LVN_OBJECT_GSPS},
    {UID_KeyObjectSelectionDocumentStorage, LVN_OBJECT_KEY_OBJECT},
};

lvn_object_kind kind_of(const char *sop_class_uid) {
  for (const Kind &kind : kinds) {
    if (std::strcmp(kind.sop_class_uid, sop_class_uid) == 0) {
      return kind.kind;
    }
  }
  return LVN_OBJECT_OTHER;
}

// The newest date an object states about its content: a DT, with the object's time zone where it tells one.
std::string content_datetime_of(DcmItem &dataset) {
  const DcmTagKey pairs[][2] = {{DCM_StructureSetDate, DCM_StructureSetTime},
                                {DCM_ContentDate, DCM_ContentTime},
                                {DCM_PresentationCreationDate, DCM_PresentationCreationTime},
                                {DCM_InstanceCreationDate, DCM_InstanceCreationTime},
                                {DCM_SeriesDate, DCM_SeriesTime}};
  for (const auto &pair : pairs) {
    const std::string date = code_of(dataset, pair[0]);
    std::string time = code_of(dataset, pair[1]);
    time.erase(std::remove(time.begin(), time.end(), ':'), time.end()); // as before DICOM 3.0
    if (date.size() == 8) {
      const std::string whole = time.substr(0, std::min(time.find('.'), time.size()));
      const std::string fraction = whole.size() < time.size() ? time.substr(whole.size(), 7) : "";
      return date + (whole + "000000").substr(0, 6) + fraction +
             code_of(dataset, DCM_TimezoneOffsetFromUTC).substr(0, 5);
    }
  }
  return "";
}

bool read_other(lvn_study &study, const std::string &path, const lvn_scan &scan, lvn_object_kind kind, lvn_error *err) {
  lvn_other_object object{};
  object.kind = kind;
  if (kind != LVN_OBJECT_OTHER) {
    DcmFileFormat file;
    if (!load_scanned(path, false, scan.is_odd, file, err)) {
      return false;
    }
    DcmItem &dataset = *file.getDataset();
    // What this node wrote is an answer, never a question.
    if (code_of(dataset, DCM_ManufacturerModelName).rfind(own_model_prefix, 0) == 0) {
      object.kind = LVN_OBJECT_OTHER;
    }
    put_text(object.content_datetime, sizeof object.content_datetime, content_datetime_of(dataset));
  }
  study.other_paths.push_back(path);
  object.path = study.other_paths.back().c_str();
  put_text(object.sop_instance_uid, LVN_UID_BYTES, scan.sop_instance_uid);
  put_text(object.sop_class_uid, LVN_UID_BYTES, scan.sop_class_uid);
  put_text(object.series_instance_uid, LVN_UID_BYTES, scan.series_instance_uid);
  study.others.push_back(object);
  return true;
}

// Issuer of Patient ID (0010,0021) is type 3: many workstations drop it, so a missing one contradicts nothing. `first`
// takes the first issuer that is named.
bool check_same_patient(lvn_scan &first, const lvn_scan &scan, lvn_error *err) {
  const char *what = nullptr;
  if (first.issuer_of_patient_id[0] == '\0') {
    std::memcpy(first.issuer_of_patient_id, scan.issuer_of_patient_id, sizeof first.issuer_of_patient_id);
  }
  if (std::strcmp(first.study_instance_uid, scan.study_instance_uid) != 0) {
    what = "different studies";
  } else if (std::strcmp(first.patient_id, scan.patient_id) != 0 ||
             (scan.issuer_of_patient_id[0] != '\0' &&
              std::strcmp(first.issuer_of_patient_id, scan.issuer_of_patient_id) != 0)) {
    what = "different patients";
  }
  return what == nullptr || lvn_error_set(err, LVN_ERROR_CONFLICT, "objects %s and %s belong to %s",
                                          first.sop_instance_uid, scan.sop_instance_uid, what);
}

// DCMTK prints what it finds odd to standard error, patient data among it.
void silence_dcmtk() {
  static std::once_flag once;
  std::call_once(once, [] { OFLog::configure(OFLogger::OFF_LOG_LEVEL); });
}

// An object that is there and cannot be read.
struct Unreadable {
  std::string sop_instance_uid; // empty when even that is unknown
  lvn_object_kind kind;
  std::string sentence;
};

const char *noun_of(lvn_object_kind kind) {
  switch (kind) {
  case LVN_OBJECT_CT:
    return "image";
  case LVN_OBJECT_RTSTRUCT:
    return "RT Structure Set";
  case LVN_OBJECT_SEG:
  case LVN_OBJECT_LABELMAP:
    return "segmentation";
  case LVN_OBJECT_SR:
    return "structured report";
  case LVN_OBJECT_GSPS:
    return "presentation state";
  default:
    return "object";
  }
}

Unreadable describe(const char *path, const lvn_scan &scan, std::string reason) {
  Unreadable found{scan.sop_instance_uid, LVN_OBJECT_OTHER, ""};
  const std::string prefix = std::string(path) + ": ";
  const char *slash = std::strrchr(path, '/');
  if (reason.rfind(prefix, 0) == 0) {
    reason.erase(0, prefix.size());
  }
  if (found.sop_instance_uid.empty() || scan.study_instance_uid[0] == '\0') {
    found.sentence = std::string("file ") + (slash != nullptr ? slash + 1 : path);
  } else {
    found.kind = kind_of(scan.sop_class_uid);
    found.sentence = noun_of(found.kind);
    found.sentence += scan.instance_number[0] != '\0' ? std::string(" ") + scan.instance_number : "";
    found.sentence += scan.series_number[0] != '\0' ? std::string(" of series ") + scan.series_number : "";
  }
  found.sentence += " cannot be read: " + reason;
  return found;
}

// What may hold a region must be read, or a result would look complete; an image is missed where it is needed.
bool weigh(lvn_study &study, const std::vector<Unreadable> &unreadable, const std::set<std::string> &read,
           lvn_error *err) {
  constexpr size_t named_max = 3;
  size_t count = 0;
  for (const Unreadable &object : unreadable) {
    const bool has_other_copy = read.count(object.sop_instance_uid) != 0;
    if (!has_other_copy && object.kind != LVN_OBJECT_CT && object.kind != LVN_OBJECT_OTHER &&
        object.kind != LVN_OBJECT_KEY_OBJECT) {
      return lvn_error_set(err, LVN_ERROR_DATA, "%s", object.sentence.c_str());
    }
    if (!has_other_copy && ++count <= named_max) {
      study.unreadable += (count > 1 ? "; " : "") + object.sentence;
    }
  }
  if (count > named_max) {
    study.unreadable += "; and " + std::to_string(count - named_max) + " more";
  }
  return true;
}

bool read_object(lvn_study &study, const char *path, const lvn_scan &scan, lvn_error *err) {
  const lvn_object_kind kind = kind_of(scan.sop_class_uid);
  if (scan.problem[0] != '\0') {
    return lvn_error_set(err, LVN_ERROR_DATA, "%s", scan.problem);
  }
  return kind == LVN_OBJECT_CT ? read_ct(study, path, scan, err) : read_other(study, path, scan, kind, err);
}

bool open_study(const char *const *paths, size_t path_count, lvn_study &study, lvn_error *err) {
  std::set<std::string> read;
  std::vector<Unreadable> unreadable;
  lvn_scan first{};
  silence_dcmtk();
  for (size_t i = 0; i < path_count; i++) {
    lvn_scan scan{};
    // The full parser recurses without a limit: it only meets what the bounded scan has passed.
    bool good = lvn_scan_file(paths[i], &scan, err);
    if (good && first.sop_instance_uid[0] == '\0') {
      first = scan;
    }
    if (good && !check_same_patient(first, scan, err)) {
      return false;
    }
    if (good && read.count(scan.sop_instance_uid) != 0) {
      continue;
    }
    good = good && read_object(study, paths[i], scan, err);
    if (!good && err->code != LVN_ERROR_DATA) {
      return false;
    }
    if (good) {
      read.insert(scan.sop_instance_uid);
    } else {
      unreadable.push_back(describe(paths[i], scan, err->message));
    }
  }
  if (read.empty()) {
    return lvn_error_set(err, LVN_ERROR_DATA, "%s", unreadable.front().sentence.c_str());
  }
  if (!weigh(study, unreadable, read, err)) {
    return false;
  }
  study.uid = first.study_instance_uid;
  if (!build_stacks(study, err)) {
    return false;
  }
  for (const Stack &stack : study.stacks) {
    if (study.template_path.empty() || stack.info.exclusion == LVN_EXCLUSION_NONE) {
      study.template_path = study.instances[study.frames[stack.frames.front()].instance].path;
      if (stack.info.exclusion == LVN_EXCLUSION_NONE) {
        break;
      }
    }
  }
  return true;
}

// What one thread decodes with.
struct Decoder {
  std::vector<uint16_t> values;
  HuTable table;
};

// HU of all slices, in stack order. Frames of one object that follow one another are decoded at once.
bool load_slices(const lvn_study &study, const Stack &stack, int16_t *target, lvn_error *err) {
  const size_t slice_voxels = static_cast<size_t>(stack.plane.columns) * stack.plane.rows;
  std::vector<size_t> starts; // in stack.frames, where another object begins
  for (size_t i = 0; i < stack.frames.size(); i++) {
    if (i == 0 || study.frames[stack.frames[i]].instance != study.frames[stack.frames[i - 1]].instance) {
      starts.push_back(i);
    }
  }
  starts.push_back(stack.frames.size());
  const auto load = [&](Decoder &decoder, size_t run, lvn_error *problem) {
    const Pixels &pixels = study.instances[study.frames[stack.frames[starts[run]]].instance];
    if (!decode_pixels(pixels, decoder.values, problem)) {
      return false;
    }
    for (size_t i = starts[run]; i < starts[run + 1]; i++) {
      const Frame &frame = study.frames[stack.frames[i]];
      const size_t number = frame.slice.frame_number == 0 ? 0 : frame.slice.frame_number - 1;
      decoder.table.apply(pixels, frame, decoder.values.data() + number * slice_voxels, target + i * slice_voxels);
    }
    return true;
  };
  return in_parallel<Decoder>(starts.size() - 1, load, err);
}

bool load_volume(const lvn_study &study, const Stack &stack, lvn_volume *ret_volume, lvn_error *err) {
  lvn_grid raw_grid = stack.geometry.grid;
  struct VolumeHolder {
    lvn_volume volume{};
    ~VolumeHolder() {
      lvn_volume_clear(&volume);
    }
  } raw;
  if (stack.geometry.problem[0] != '\0') {
    return lvn_error_set(err, LVN_ERROR_DATA, "%s", stack.geometry.problem);
  }
  raw_grid.size[0] = stack.plane.columns;
  raw_grid.size[1] = stack.plane.rows;
  if (!lvn_volume_create(&raw_grid, &raw.volume, err) || !load_slices(study, stack, raw.volume.hounsfield, err)) {
    return false;
  }
  if (!stack.geometry.is_sheared && !stack.geometry.is_respaced) {
    *ret_volume = raw.volume;
    raw.volume = lvn_volume{};
    return true;
  }
  std::vector<double> positions;
  for (const lvn_slice &slice : stack.slices) {
    positions.insert(positions.end(), slice.position_mm, slice.position_mm + 3);
  }
  return lvn_geometry_resample(&stack.geometry, &stack.plane, reinterpret_cast<const double(*)[3]>(positions.data()),
                               stack.slices.size(), raw.volume.hounsfield, ret_volume, err);
}

} // namespace
} // namespace lvn

bool lvn_study_open(const char *const *paths, size_t path_count, struct lvn_study **ret_study, struct lvn_error *err) {
  return lvn_guard(err, LVN_ERROR_DATA, [&] {
    auto study = std::make_unique<lvn_study>();
    if (path_count == 0) {
      return lvn_error_set(err, LVN_ERROR_DATA, "no files to open");
    }
    if (!lvn::open_study(paths, path_count, *study, err)) {
      return false;
    }
    *ret_study = study.release();
    return true;
  });
}

void lvn_study_close(struct lvn_study *study) {
  delete study;
}

const char *lvn_study_get_uid(const struct lvn_study *study) {
  return study->uid.c_str();
}

const char *lvn_study_get_unreadable(const struct lvn_study *study) {
  return study->unreadable.c_str();
}

size_t lvn_study_get_stack_count(const struct lvn_study *study) {
  return study->stacks.size();
}

const struct lvn_stack *lvn_study_get_stack(const struct lvn_study *study, size_t stack_index) {
  return stack_index < study->stacks.size() ? &study->stacks[stack_index].info : nullptr;
}

size_t lvn_study_get_object_count(const struct lvn_study *study) {
  return study->others.size();
}

const struct lvn_other_object *lvn_study_get_object(const struct lvn_study *study, size_t object_index) {
  return object_index < study->others.size() ? &study->others[object_index] : nullptr;
}

const char *lvn_study_get_template_path(const struct lvn_study *study) {
  return study->template_path.empty() ? nullptr : study->template_path.c_str();
}

static bool find_place(const struct lvn_study *study, const char *sop_instance_uid, uint32_t frame_number,
                       size_t *ret_stack_index, size_t *ret_slice_index) {
  const auto found = study->places.find(sop_instance_uid);
  if (found == study->places.end()) {
    return false;
  }
  for (const lvn::Place &place : found->second) {
    if (place.frame_number == frame_number || place.frame_number == 0 ||
        (frame_number == 0 && place.frame_number == 1)) {
      if (ret_stack_index != nullptr) {
        *ret_stack_index = place.stack;
      }
      if (ret_slice_index != nullptr) {
        *ret_slice_index = place.slice;
      }
      return true;
    }
  }
  return false;
}

bool lvn_study_find_slice(const struct lvn_study *study, const char *sop_instance_uid, uint32_t frame_number,
                          size_t *ret_stack_index, size_t *ret_slice_index) {
  struct lvn_error ignored;
  return lvn_guard(&ignored, LVN_ERROR_INTERNAL,
                   [&] { return find_place(study, sop_instance_uid, frame_number, ret_stack_index, ret_slice_index); });
}

bool lvn_study_load_volume(const struct lvn_study *study, size_t stack_index, struct lvn_volume *ret_volume,
                           struct lvn_error *err) {
  return lvn_guard(err, LVN_ERROR_DATA, [&] {
    if (stack_index >= study->stacks.size()) {
      return lvn_error_set(err, LVN_ERROR_INTERNAL, "there is no stack %zu", stack_index);
    }
    return lvn::load_volume(*study, study->stacks[stack_index], ret_volume, err);
  });
}

void lvn_study_exclude(struct lvn_study *study, size_t stack_index, enum lvn_exclusion exclusion, const char *problem) {
  if (stack_index < study->stacks.size()) {
    lvn_stack &info = study->stacks[stack_index].info;
    info.exclusion = exclusion;
    (void)lvn_copy(info.geometry_problem, sizeof info.geometry_problem, problem);
  }
}
