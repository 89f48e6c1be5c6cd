#include "analysis/dataset/build_internal.h"

#include "base/memory.h"
#include "dicom/scan/scan.h"
#include "model/tensor/json.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define FILES_MAX 20000U
#define ENTRY_BYTES_MAX (16U * 1024U * 1024U)

/* A path of the list is meant from the list's own folder on. */
static bool resolve(const struct lvn_build *build, const char *name, char ret_path[LVN_PATH_BYTES],
                    struct lvn_error *err) {
  if (name[0] == '/') {
    return lvn_copy(ret_path, LVN_PATH_BYTES, name) || lvn_error_set(err, LVN_ERROR_USAGE, "a path is too long");
  }
  return lvn_path_join(ret_path, build->cases_folder, name, err);
}

static bool list_study(const struct lvn_build *build, const struct lvn_case_row *row, struct lvn_file_names *ret_paths,
                       struct lvn_error *err) {
  char folder[LVN_PATH_BYTES];
  struct stat status;
  if (row->study_is_uid) {
    if (build->options->find_study == NULL) {
      return lvn_error_set(err, LVN_ERROR_USAGE, "a study UID needs the node's configuration: --config FILE");
    }
    return build->options->find_study(build->options->context, row->study, ret_paths, err);
  }
  if (!resolve(build, row->study, folder, err)) {
    return false;
  }
  if (stat(folder, &status) != 0 || !S_ISDIR(status.st_mode)) {
    return lvn_error_set(err, LVN_ERROR_DATA, "there is no folder '%.300s'", row->study);
  }
  return lvn_file_walk(folder, FILES_MAX, ret_paths, err);
}

/* Adds the ROI's file where the study's folder does not hold it. */
static bool add_path(struct lvn_file_names *paths, const char *path, struct lvn_error *err) {
  size_t capacity = paths->count; /* the walk's array is as large as its count */
  for (size_t i = 0; i < paths->count; i++) {
    if (strcmp(paths->names[i], path) == 0) {
      return true;
    }
  }
  if (!lvn_grow(&paths->names, &capacity, paths->count, sizeof *paths->names, FILES_MAX, err)) {
    return false;
  }
  paths->names[paths->count] = lvn_strdup(path, err);
  if (paths->names[paths->count] == NULL) {
    return false;
  }
  paths->count++;
  return true;
}

static bool find_roi(const struct lvn_build *build, const struct lvn_case_row *row, struct lvn_build_task *task,
                     struct lvn_error *err) {
  char path[LVN_PATH_BYTES];
  struct lvn_scan scan;
  if (!resolve(build, row->roi, path, err)) {
    return false;
  }
  if (!lvn_file_exists(path)) {
    return (lvn_uid_is_valid(row->roi) && lvn_copy(task->roi_uid, sizeof task->roi_uid, row->roi)) ||
           lvn_error_set(err, LVN_ERROR_DATA, "there is no ROI file '%.300s'", row->roi);
  }
  if (!lvn_scan_file(path, &scan, err)) {
    return lvn_error_prefix(err, "ROI file '%.200s'", row->roi);
  }
  (void)lvn_copy(task->roi_uid, sizeof task->roi_uid, scan.sop_instance_uid);
  return add_path(&task->paths, path, err);
}

static bool add_text(struct lvn_sha256 *digest, const char *text, struct lvn_error *err) {
  return lvn_sha256_update(digest, text, strlen(text) + 1, err);
}

/* Size and time of every file, not its bytes: a study of a gigabyte is not read to learn that nothing has changed. */
static bool add_files(struct lvn_sha256 *digest, const struct lvn_file_names *paths, struct lvn_error *err) {
  for (size_t i = 0; i < paths->count; i++) {
    char text[96];
    struct stat status;
    const char *slash = strrchr(paths->names[i], '/');
    if (stat(paths->names[i], &status) != 0) {
      return lvn_error_set_errno(err, errno, "cannot read '%.300s'", paths->names[i]);
    }
    (void)snprintf(text, sizeof text, "%" PRIdMAX " %" PRIdMAX ".%09ld", (intmax_t)status.st_size,
                   (intmax_t)status.st_mtim.tv_sec, status.st_mtim.tv_nsec);
    if (!add_text(digest, slash == NULL ? paths->names[i] : slash + 1, err) || !add_text(digest, text, err)) {
      return false;
    }
  }
  return true;
}

static bool take_fingerprint(const struct lvn_build *build, struct lvn_build_task *task, struct lvn_error *err) {
  const struct lvn_case_options *analysis = &build->options->analysis;
  char text[256];
  uint8_t sha256[LVN_SHA256_BYTES];
  struct lvn_sha256 *digest = NULL;
  (void)snprintf(text, sizeof text, "%s %.9g %.9g %u %d %d %.9g %.9g %.9g %.9g", LVN_VERSION, analysis->crop.margin,
                 analysis->crop.min_side_mm, analysis->crop.max_slices, analysis->align, analysis->delayed,
                 analysis->registration.max_error_mm, analysis->registration.search_mm[0],
                 analysis->registration.search_mm[1], analysis->registration.search_mm[2]);
  bool good = lvn_sha256_create(&digest, err) && add_text(digest, text, err) && add_text(digest, task->roi_uid, err) &&
              add_files(digest, &task->paths, err) && lvn_sha256_finish(digest, sha256, err);
  lvn_sha256_destroy(digest);
  if (good) {
    lvn_sha256_to_text(sha256, task->fingerprint);
  }
  return good;
}

bool lvn_build_find_files(const struct lvn_build *build, struct lvn_build_task *task, struct lvn_error *err) {
  const struct lvn_case_row *row = build->rows[task->rows[0]].source;
  return list_study(build, row, &task->paths, err) && find_roi(build, row, task, err) &&
         take_fingerprint(build, task, err);
}

bool lvn_build_entry_path(const struct lvn_build *build, const struct lvn_build_row *row, char ret_path[LVN_PATH_BYTES],
                          struct lvn_error *err) {
  char name[LVN_PSEUDONYM_BYTES + sizeof ".json"];
  (void)snprintf(name, sizeof name, "%s.json", row->lesion_id);
  return lvn_path_join(ret_path, build->work_folder, name, err);
}

json_t *lvn_build_read_entry(const struct lvn_build *build, const struct lvn_build_row *row, const char *fingerprint) {
  struct lvn_error ignored = {0};
  char path[LVN_PATH_BYTES];
  if (!lvn_build_entry_path(build, row, path, &ignored) || !lvn_file_exists(path)) {
    return NULL;
  }
  LVN_CLEANUP(lvn_json_cleanup) json_t *file = lvn_json_read(path, ENTRY_BYTES_MAX, &ignored);
  const char *found = json_string_value(json_object_get(file, "fingerprint"));
  if (found == NULL || (fingerprint != NULL && strcmp(found, fingerprint) != 0)) {
    return NULL;
  }
  return json_incref(json_object_get(file, "entry"));
}
