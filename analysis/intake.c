#include "analysis/intake.h"

#include "base/file.h"
#include "base/memory.h"
#include "dicom/scan/scan.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILES_MAX 1000000U
#define STUDIES_MAX 100000U
#define STUDY_FILES_MAX 20000U

/* Does the file carry the DICOM prefix ("DICM" after the preamble, PS3.10 7.1)? */
static bool has_prefix(const char *path) {
  LVN_AUTOCLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
  char prefix[4];
  return fd >= 0 && pread(fd, prefix, sizeof prefix, 128) == (ssize_t)sizeof prefix &&
         memcmp(prefix, "DICM", sizeof prefix) == 0;
}

static struct lvn_intake_study *find_or_add(struct lvn_intake *intake, const char *study_instance_uid,
                                            struct lvn_error *err) {
  for (size_t i = 0; i < intake->study_count; i++) {
    if (strcmp(intake->studies[i].study_instance_uid, study_instance_uid) == 0) {
      return &intake->studies[i];
    }
  }
  if (!lvn_grow(&intake->studies, &intake->study_capacity, intake->study_count, sizeof *intake->studies, STUDIES_MAX,
                err)) {
    return NULL;
  }
  struct lvn_intake_study *study = &intake->studies[intake->study_count++];
  (void)lvn_copy(study->study_instance_uid, sizeof study->study_instance_uid, study_instance_uid);
  return study;
}

static bool add_path(struct lvn_intake_study *study, const char *path, struct lvn_error *err) {
  if (study == NULL ||
      !lvn_grow(&study->paths, &study->path_capacity, study->path_count, sizeof *study->paths, STUDY_FILES_MAX, err)) {
    return false;
  }
  study->paths[study->path_count] = lvn_strdup(path, err);
  if (study->paths[study->path_count] == NULL) {
    return false;
  }
  study->path_count++;
  return true;
}

/* Characters of both up to the last '/' that they share. */
static size_t common_folder(const char *a, const char *b) {
  size_t common = 0;
  for (size_t i = 0; a[i] != '\0' && a[i] == b[i]; i++) {
    common = a[i] == '/' ? i + 1 : common;
  }
  return common;
}

/* The study whose files lie nearest to `path`; NULL when two are as near. */
static struct lvn_intake_study *nearest_study(const struct lvn_intake *intake, const char *path) {
  struct lvn_intake_study *nearest = NULL;
  size_t longest = 0;
  for (size_t i = 0; i < intake->study_count; i++) {
    size_t common = 0;
    for (size_t k = 0; k < intake->studies[i].path_count; k++) {
      size_t shared = common_folder(intake->studies[i].paths[k], path);
      common = shared > common ? shared : common;
    }
    if (common > longest || intake->study_count == 1) {
      nearest = &intake->studies[i];
      longest = common;
    } else if (common == longest) {
      nearest = NULL;
    }
  }
  return nearest;
}

static void count_unreadable(struct lvn_intake *intake, const struct lvn_error *reason) {
  if (intake->unreadable_count++ == 0) {
    (void)lvn_copy(intake->unreadable, sizeof intake->unreadable, reason->message);
  }
}

/* *ret_is_stray: DICOM that cannot be read and does not tell its study. */
static bool add_file(struct lvn_intake *intake, const char *path, bool *ret_is_stray, struct lvn_error *err) {
  struct lvn_scan scan;
  struct lvn_error reason;
  *ret_is_stray = false;
  if (lvn_scan_file(path, &scan, &reason)) {
    return add_path(find_or_add(intake, scan.study_instance_uid, err), path, err);
  }
  if (scan.is_directory || (reason.code == LVN_ERROR_DATA && !has_prefix(path))) {
    intake->other_count++;
    return true;
  }
  if (reason.code != LVN_ERROR_DATA) {
    count_unreadable(intake, &reason);
    return true;
  }
  if (scan.study_instance_uid[0] != '\0') {
    return add_path(find_or_add(intake, scan.study_instance_uid, err), path, err);
  }
  *ret_is_stray = true;
  return true;
}

static bool add_stray(struct lvn_intake *intake, const char *path, struct lvn_error *err) {
  struct lvn_intake_study *study = nearest_study(intake, path);
  struct lvn_scan scan;
  struct lvn_error reason;
  if (study != NULL) {
    return add_path(study, path, err);
  }
  if (!lvn_scan_file(path, &scan, &reason)) {
    count_unreadable(intake, &reason);
  }
  return true;
}

/* Twice: where a file that tells no study belongs is known when the others are. */
static bool add_files(struct lvn_intake *intake, const struct lvn_file_names *files, struct lvn_error *err) {
  LVN_AUTOFREE bool *is_stray = lvn_alloc(files->count, sizeof *is_stray, err);
  if (is_stray == NULL) {
    return false;
  }
  for (size_t i = 0; i < files->count; i++) {
    if (!add_file(intake, files->names[i], &is_stray[i], err)) {
      return false;
    }
  }
  for (size_t i = 0; i < files->count; i++) {
    if (is_stray[i] && !add_stray(intake, files->names[i], err)) {
      return false;
    }
  }
  return true;
}

bool lvn_intake_add(struct lvn_intake *intake, const char *path, struct lvn_error *err) {
  LVN_CLEANUP(lvn_file_names_clear) struct lvn_file_names files = {0};
  struct stat status;
  bool is_stray = false;
  if (stat(path, &status) != 0) {
    return lvn_error_set_errno(err, errno, "cannot read '%s'", path);
  }
  if (!S_ISDIR(status.st_mode)) {
    return add_file(intake, path, &is_stray, err) && (!is_stray || add_stray(intake, path, err));
  }
  return lvn_file_walk(path, FILES_MAX, &files, err) && add_files(intake, &files, err);
}

void lvn_intake_clear(struct lvn_intake *intake) {
  for (size_t i = 0; i < intake->study_count; i++) {
    for (size_t k = 0; k < intake->studies[i].path_count; k++) {
      lvn_free(intake->studies[i].paths[k]);
    }
    lvn_free(intake->studies[i].paths);
  }
  lvn_free(intake->studies);
  *intake = (struct lvn_intake){0};
}

bool lvn_intake_job_key(const struct lvn_intake_study *study, const char *analyser,
                        char ret_job_key[LVN_SHA256_TEXT_BYTES], struct lvn_error *err) {
  uint8_t sha256[LVN_SHA256_BYTES];
  struct lvn_sha256 *digest = NULL;
  bool good = lvn_sha256_create(&digest, err) && lvn_sha256_update(digest, analyser, strlen(analyser) + 1, err);
  for (size_t i = 0; good && i < study->path_count; i++) {
    good = lvn_sha256_of_file(study->paths[i], sha256, err) && lvn_sha256_update(digest, sha256, sizeof sha256, err);
  }
  good = good && lvn_sha256_finish(digest, sha256, err);
  lvn_sha256_destroy(digest);
  if (good) {
    lvn_sha256_to_text(sha256, ret_job_key);
  }
  return good;
}
