#include "daemon/analysis/intake.h"

#include "daemon/base/file.h"
#include "daemon/base/memory.h"
#include "dicom/read/scan.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILES_MAX 1000000U
#define STUDIES_MAX 100000U
#define STUDY_FILES_MAX 20000U

bool lvn_intake_is_dicom(const char *path) {
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

static bool add_file(struct lvn_intake *intake, const char *path, struct lvn_error *err) {
  struct lvn_scan scan;
  if (!lvn_intake_is_dicom(path)) {
    intake->other_count++;
    return true;
  }
  if (!lvn_scan_file(path, &scan, err)) {
    return lvn_error_prefix(err, "'%s'", path);
  }
  struct lvn_intake_study *study = find_or_add(intake, scan.study_instance_uid, err);
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

bool lvn_intake_add(struct lvn_intake *intake, const char *path, struct lvn_error *err) {
  LVN_CLEANUP(lvn_file_names_clear) struct lvn_file_names files = {0};
  struct stat status;
  if (stat(path, &status) != 0) {
    return lvn_error_set_errno(err, errno, "cannot read '%s'", path);
  }
  if (!S_ISDIR(status.st_mode)) {
    return add_file(intake, path, err);
  }
  if (!lvn_file_walk(path, FILES_MAX, &files, err)) {
    return false;
  }
  for (size_t i = 0; i < files.count; i++) {
    if (!add_file(intake, files.names[i], err)) {
      return false;
    }
  }
  return true;
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
