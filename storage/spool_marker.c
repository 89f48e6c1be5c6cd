/* Markers of open associations: the pipeline must not call a study complete while somebody is still sending it. */
#include "storage/spool_internal.h"

#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define MARKERS_MAX 65536U
#define STUDIES_MAX (1U << 20)
#define RECENT_STUDIES 64U /* of interleaved studies: do not write their UIDs for each object */
#define READ_BYTES 65536U

struct lvn_spool_marker {
  int fd;
  int64_t byte_count;
  char recent[RECENT_STUDIES][LVN_UID_BYTES];
  size_t next_recent;
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

static bool is_recent(const struct lvn_spool_marker *marker, const char *study_instance_uid) {
  for (size_t i = 0; i < RECENT_STUDIES; i++) {
    if (strcmp(marker->recent[i], study_instance_uid) == 0) {
      return true;
    }
  }
  return false;
}

bool lvn_spool_marker_add_study(struct lvn_spool_marker *marker, const char *study_instance_uid,
                                struct lvn_error *err) {
  char line[LVN_UID_BYTES + 1];
  if (is_recent(marker, study_instance_uid)) {
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
  (void)lvn_copy(marker->recent[marker->next_recent], LVN_UID_BYTES, study_instance_uid);
  marker->next_recent = (marker->next_recent + 1) % RECENT_STUDIES;
  return true;
}

void lvn_spool_marker_destroy(struct lvn_spool_marker *marker) {
  if (marker != NULL) {
    (void)unlink(marker->path);
    (void)close(marker->fd);
    lvn_free(marker);
  }
}

/* Study UIDs, sorted and each once after study_list_tidy(); an association that interleaves many studies names them
 * often, so that is done whenever the list has doubled. */
struct study_list {
  struct lvn_file_names uids;
  size_t capacity;
  size_t tidy_at;
};

static void study_list_clear(struct study_list *list) {
  lvn_file_names_clear(&list->uids);
}

static int compare_text(const void *left, const void *right) {
  return strcmp(*(char *const *)left, *(char *const *)right);
}

static void study_list_tidy(struct study_list *list) {
  struct lvn_file_names *uids = &list->uids;
  size_t kept = 0;
  if (uids->count > 1) {
    qsort(uids->names, uids->count, sizeof *uids->names, compare_text);
  }
  for (size_t i = 0; i < uids->count; i++) {
    if (kept > 0 && strcmp(uids->names[kept - 1], uids->names[i]) == 0) {
      lvn_free(uids->names[i]);
    } else {
      uids->names[kept++] = uids->names[i];
    }
  }
  uids->count = kept;
  list->tidy_at = 2 * kept + RECENT_STUDIES;
}

static bool add_study(struct study_list *list, const char *uid, struct lvn_error *err) {
  struct lvn_file_names *uids = &list->uids;
  if (uids->count >= list->tidy_at) {
    study_list_tidy(list);
  }
  if (!lvn_grow(&uids->names, &list->capacity, uids->count, sizeof *uids->names, STUDIES_MAX, err)) {
    return lvn_error_prefix(err, "more than %u studies are being received", STUDIES_MAX);
  }
  uids->names[uids->count] = lvn_strdup(uid, err);
  if (uids->names[uids->count] == NULL) {
    return false;
  }
  uids->count++;
  return true;
}

/* A line under construction, as its bytes come. */
struct line {
  char text[LVN_UID_BYTES];
  size_t length;
  bool is_too_long;
};

/* A last line without its newline is still being written: the object it announces is not committed yet. */
static bool take_bytes(struct study_list *list, struct line *line, const char *bytes, size_t count,
                       struct lvn_error *err) {
  for (size_t i = 0; i < count; i++) {
    if (bytes[i] != '\n') {
      line->is_too_long = line->is_too_long || line->length + 1 >= sizeof line->text;
      if (!line->is_too_long) {
        line->text[line->length++] = bytes[i];
      }
      continue;
    }
    line->text[line->length] = '\0';
    if (!line->is_too_long && lvn_uid_is_valid(line->text) && !add_study(list, line->text, err)) {
      return false;
    }
    *line = (struct line){0};
  }
  return true;
}

static bool read_lines(int fd, const char *path, struct study_list *list, struct lvn_error *err) {
  struct line line = {0};
  LVN_AUTOFREE char *bytes = lvn_alloc(READ_BYTES, 1, err);
  if (bytes == NULL) {
    return false;
  }
  for (;;) {
    ssize_t got = read(fd, bytes, READ_BYTES);
    if (got < 0 && errno == EINTR) {
      continue;
    }
    if (got < 0) {
      return lvn_error_set_errno(err, errno, "cannot read '%s'", path);
    }
    if (got == 0) {
      return true;
    }
    if (!take_bytes(list, &line, bytes, (size_t)got, err)) {
      return false;
    }
  }
}

static bool read_marker(const char *path, struct study_list *list, struct lvn_error *err) {
  LVN_AUTOCLOSE int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) {
    return errno == ENOENT || lvn_error_set_errno(err, errno, "cannot open '%s'", path);
  }
  if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
    (void)unlink(path);
    return true;
  }
  return read_lines(fd, path, list, err);
}

bool lvn_spool_find_open_studies(struct lvn_spool *spool, struct lvn_file_names *ret_study_uids, size_t *ret_unread,
                                 struct lvn_error *err) {
  LVN_CLEANUP(lvn_file_names_clear) struct lvn_file_names markers = {0};
  LVN_CLEANUP(study_list_clear) struct study_list list = {0};
  *ret_unread = 0;
  if (!lvn_file_list(spool->open_folder, MARKERS_MAX, &markers, err)) {
    return false;
  }
  for (size_t i = 0; i < markers.count; i++) {
    char path[LVN_PATH_BYTES];
    bool good = lvn_path_join(path, spool->open_folder, markers.names[i], err) && read_marker(path, &list, err);
    *ret_unread += good ? 0 : 1;
  }
  study_list_tidy(&list);
  *ret_study_uids = list.uids;
  list.uids = (struct lvn_file_names){0};
  return true;
}

bool lvn_spool_open_studies(struct lvn_spool *spool, struct lvn_file_names *ret_study_uids, struct lvn_error *err) {
  LVN_CLEANUP(lvn_file_names_clear) struct lvn_file_names uids = {0};
  size_t unread = 0;
  if (!lvn_spool_find_open_studies(spool, &uids, &unread, err) || unread > 0) {
    return false;
  }
  *ret_study_uids = uids;
  uids = (struct lvn_file_names){0};
  return true;
}

bool lvn_spool_is_open_study(const struct lvn_file_names *open_studies, const char *study_instance_uid) {
  return open_studies->count > 0 && bsearch(&study_instance_uid, open_studies->names, open_studies->count,
                                            sizeof *open_studies->names, compare_text) != NULL;
}
