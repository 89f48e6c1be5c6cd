#include "storage/spool_internal.h"

#include "storage/intact.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* DESIGN. Bytes that are stored already are not written again, but each reception counts: the newest of a SOP instance
 * is the current one (after A, B, A it is A), and the study's time to be kept starts anew. So the object gets another
 * name in spool/new, with the record of this reception. That name also keeps what was acknowledged when retention
 * removes the study at the same moment: the pipeline then stores the object once more. A link can be made only of a
 * file that has a name left; where the last one went in between, the bytes are written again. */

bool lvn_spool_unique_path(const struct lvn_spool *spool, const char *sha256_text,
                           const struct lvn_reception_record *record, char ret_path[LVN_PATH_BYTES],
                           struct lvn_error *err) {
  uint64_t random = 0;
  if (!lvn_file_random(&random, sizeof random, err)) {
    return false;
  }
  int length = snprintf(ret_path, LVN_PATH_BYTES, "%s/%s-%016" PRIx64 "%016" PRIx64 ".obj", spool->new_folder,
                        sha256_text, (uint64_t)record->received_ms, random);
  return (length >= 0 && length < LVN_PATH_BYTES) ||
         lvn_error_set(err, LVN_ERROR_DATA, "path too long: '%.200s…'", spool->new_folder);
}

/* Of the places where these bytes may lie, the first that holds them undamaged. spool/new is asked first: the pipeline
 * moves from there to objects, so an object on the move is seen in one of the two. */
static bool open_stored(const struct lvn_spool *spool, const char *sha256_text,
                        const struct lvn_reception_record *record, int *ret_fd, struct lvn_error *err) {
  char new_path[LVN_PATH_BYTES];
  char object_path[LVN_PATH_BYTES];
  int new_length = snprintf(new_path, sizeof new_path, "%s/%s.obj", spool->new_folder, sha256_text);
  int length =
      snprintf(object_path, sizeof object_path, "%s/%.2s/%s.dcm", spool->objects_folder, sha256_text, sha256_text);
  if (length < 0 || (size_t)length >= sizeof object_path || new_length < 0 || (size_t)new_length >= sizeof new_path) {
    return lvn_error_set(err, LVN_ERROR_DATA, "path too long: '%.200s…'", spool->objects_folder);
  }
  *ret_fd = lvn_intact_open(new_path, record->sha256);
  if (*ret_fd < 0) {
    *ret_fd = lvn_intact_open(object_path, record->sha256);
  }
  return true;
}

/* By its descriptor: the name that it was opened by may be gone, moved on by the pipeline. */
static bool link_again(const struct lvn_spool *spool, int fd, const char *sha256_text,
                       const struct lvn_reception_record *record, bool *ret_linked, struct lvn_error *err) {
  char path[LVN_PATH_BYTES];
  char source[64];
  LVN_AUTOCLOSE int lock_fd = -1;
  (void)snprintf(source, sizeof source, "/proc/self/fd/%d", fd);
  if (!lvn_spool_unique_path(spool, sha256_text, record, path, err) ||
      !lvn_spool_lock_new(spool, /* exclusive= */ false, &lock_fd, err) ||
      !lvn_spool_record_write(fd, path, record, err)) {
    return false;
  }
  if (fsync(fd) != 0 || linkat(AT_FDCWD, source, AT_FDCWD, path, AT_SYMLINK_FOLLOW) != 0) {
    int saved = errno;
    struct lvn_error ignored;
    (void)!lvn_spool_remove(path, &ignored);
    *ret_linked = false;
    return saved == ENOENT || saved == EMLINK || lvn_error_set_errno(err, saved, "cannot link '%s'", path);
  }
  *ret_linked = true;
  return lvn_spool_sync_new_folder(spool, err);
}

bool lvn_spool_commit_again(const struct lvn_spool *spool, const char *sha256_text,
                            const struct lvn_reception_record *record, bool *ret_stored, struct lvn_error *err) {
  LVN_AUTOCLOSE int fd = -1;
  *ret_stored = false;
  return open_stored(spool, sha256_text, record, &fd, err) &&
         (fd < 0 || link_again(spool, fd, sha256_text, record, ret_stored, err));
}
