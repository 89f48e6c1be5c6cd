/* Markers of open associations: the pipeline must not call a study complete while somebody is still sending it. */
#include "storage/spool_internal.h"

#include "daemon/base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define MARKERS_MAX 65536U
#define MARKER_MAX_BYTES (1024U * 1024U)

struct lvn_spool_marker {
  int fd;
  int64_t byte_count;
  char last_study_uid[LVN_UID_BYTES]; /* objects of one study come together: do not write its UID for each */
  char path[LVN_PATH_BYTES];
};

bool lvn_spool_marker_create(struct lvn_spool *spool, const char *association_id, struct lvn_spool_marker **ret_marker,
                             struct lvn_error *err) {
  LVN_AUTOFREE struct lvn_spool_marker *marker = lvn_alloc(1, sizeof *marker, err);
  if (marker == NULL || !lvn_path_join(marker->path, spool->open_folder, association_id, err)) {
    return false;
  }
  do {
    if (!lvn_spool_create_locked(marker->path, &marker->fd, err)) {
      return false;
    }
  } while (marker->fd < 0);
  *ret_marker = lvn_steal(&marker);
  return true;
}

bool lvn_spool_marker_add_study(struct lvn_spool_marker *marker, const char *study_instance_uid,
                                struct lvn_error *err) {
  char line[LVN_UID_BYTES + 1];
  if (strcmp(marker->last_study_uid, study_instance_uid) == 0) {
    return true;
  }
  int length = snprintf(line, sizeof line, "%s\n", study_instance_uid);
  if (length < 0 || (size_t)length >= sizeof line) {
    return lvn_error_set(err, LVN_ERROR_DATA, "a study UID is too long");
  }
  if (!lvn_file_write_all(marker->fd, line, (size_t)length, marker->path, err)) {
    /* What a full disk took of the line must not become the start of the next one. */
    if (ftruncate(marker->fd, marker->byte_count) == 0) {
      (void)lseek(marker->fd, marker->byte_count, SEEK_SET);
    }
    return false;
  }
  marker->byte_count += length;
  (void)lvn_copy(marker->last_study_uid, sizeof marker->last_study_uid, study_instance_uid);
  return true;
}

void lvn_spool_marker_destroy(struct lvn_spool_marker *marker) {
  if (marker != NULL) {
    (void)unlink(marker->path);
    (void)close(marker->fd);
    lvn_free(marker);
  }
}

static bool append_unique(struct lvn_file_names *uids, size_t *capacity, const char *uid, struct lvn_error *err) {
  for (size_t i = 0; i < uids->count; i++) {
    if (strcmp(uids->names[i], uid) == 0) {
      return true;
    }
  }
  if (!lvn_grow(&uids->names, capacity, uids->count, sizeof *uids->names, MARKERS_MAX, err)) {
    return false;
  }
  uids->names[uids->count] = lvn_strdup(uid, err);
  if (uids->names[uids->count] == NULL) {
    return false;
  }
  uids->count++;
  return true;
}

/* A last line without its newline is still being written: the object it announces is not committed yet. */
static bool append_lines(char *text, struct lvn_file_names *uids, size_t *capacity, struct lvn_error *err) {
  for (char *end = strchr(text, '\n'); end != NULL; text = end + 1, end = strchr(text, '\n')) {
    *end = '\0';
    if (lvn_uid_is_valid(text) && !append_unique(uids, capacity, text, err)) {
      return false;
    }
  }
  return true;
}

static bool read_marker(const char *path, struct lvn_file_names *uids, size_t *capacity, struct lvn_error *err) {
  LVN_AUTOCLOSE int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
  LVN_AUTOFREE uint8_t *data = NULL;
  size_t bytes = 0;
  if (fd < 0) {
    return errno == ENOENT || lvn_error_set_errno(err, errno, "cannot open '%s'", path);
  }
  if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
    (void)unlink(path);
    return true;
  }
  if (!lvn_file_read(path, MARKER_MAX_BYTES, &data, &bytes, err)) {
    return !lvn_file_exists(path); /* gone in between: the association ended */
  }
  return append_lines((char *)data, uids, capacity, err);
}

static int compare_text(const void *left, const void *right) {
  return strcmp(*(char *const *)left, *(char *const *)right);
}

bool lvn_spool_open_studies(struct lvn_spool *spool, struct lvn_file_names *ret_study_uids, struct lvn_error *err) {
  LVN_CLEANUP(lvn_file_names_clear) struct lvn_file_names markers = {0};
  LVN_CLEANUP(lvn_file_names_clear) struct lvn_file_names uids = {0};
  size_t capacity = 0;
  if (!lvn_file_list(spool->open_folder, MARKERS_MAX, &markers, err)) {
    return false;
  }
  for (size_t i = 0; i < markers.count; i++) {
    char path[LVN_PATH_BYTES];
    if (!lvn_path_join(path, spool->open_folder, markers.names[i], err) || !read_marker(path, &uids, &capacity, err)) {
      return false;
    }
  }
  if (uids.count > 1) {
    qsort(uids.names, uids.count, sizeof *uids.names, compare_text);
  }
  *ret_study_uids = uids;
  uids = (struct lvn_file_names){0};
  return true;
}
