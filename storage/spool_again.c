#include "storage/spool_internal.h"

#include "daemon/base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* DESIGN. Bytes that are stored already are not written again, but the newest reception of a SOP instance is the
 * current one: after A, B, A it is A, and only the pipeline knows which of them is current. So the object gets another
 * name in spool/new, with the facts of this reception, when a version of other bytes exists: one waits in spool/new, or
 * the pipeline marked the object as superseded when it indexed the other. It marks before it removes the other's name
 * from spool/new, and we look in the opposite order, so that none of both is missed. */

#define WAITING_READ_MAX 256U /* more objects than these wait: take it for granted that one of them is a version */

static bool is_other_version(const char *path, const struct lvn_spool_facts *facts) {
  struct lvn_error ignored; /* moved on by the pipeline: then the mark tells */
  struct lvn_spool_facts other;
  return lvn_spool_read_facts(path, &other, &ignored) && strcmp(other.sop_instance_uid, facts->sop_instance_uid) == 0 &&
         memcmp(other.sha256, facts->sha256, LVN_SHA256_BYTES) != 0;
}

static bool other_version_waits(const struct lvn_spool *spool, const struct lvn_spool_facts *facts, bool *ret_waits,
                                struct lvn_error *err) {
  LVN_CLEANUP(lvn_file_names_clear) struct lvn_file_names names = {0};
  if (!lvn_file_list(spool->new_folder, 1U << 24, &names, err)) {
    return false;
  }
  *ret_waits = names.count > WAITING_READ_MAX;
  for (size_t i = 0; i < names.count && !*ret_waits; i++) {
    char path[LVN_PATH_BYTES];
    if (!lvn_path_join(path, spool->new_folder, names.names[i], err)) {
      return false;
    }
    *ret_waits = lvn_spool_is_object_name(names.names[i]) && is_other_version(path, facts);
  }
  return true;
}

static bool make_path(char ret_path[LVN_PATH_BYTES], const struct lvn_spool *spool, const char *sha256_text,
                      const char *suffix, struct lvn_error *err) {
  int length =
      snprintf(ret_path, LVN_PATH_BYTES, "%s/%.2s/%s%s", spool->objects_folder, sha256_text, sha256_text, suffix);
  return (length >= 0 && length < LVN_PATH_BYTES) ||
         lvn_error_set(err, LVN_ERROR_DATA, "path too long: '%.200s…'", spool->objects_folder);
}

/* By its descriptor: the name that it was opened by may be gone, moved on by the pipeline. */
static bool link_again(const struct lvn_spool *spool, int fd, const char *sha256_text,
                       const struct lvn_spool_facts *facts, struct lvn_error *err) {
  char path[LVN_PATH_BYTES];
  char source[64];
  uint64_t random = 0;
  if (!lvn_file_random(&random, sizeof random, err)) {
    return false;
  }
  (void)snprintf(source, sizeof source, "/proc/self/fd/%d", fd);
  int length = snprintf(path, sizeof path, "%s/%s-%016" PRIx64 "%016" PRIx64 ".obj", spool->new_folder, sha256_text,
                        (uint64_t)facts->received_ms, random);
  if (length < 0 || (size_t)length >= sizeof path) {
    return lvn_error_set(err, LVN_ERROR_DATA, "path too long: '%.200s…'", spool->new_folder);
  }
  if (!lvn_spool_facts_write(fd, path, facts, err)) {
    return false;
  }
  if (fsync(fd) != 0 || linkat(AT_FDCWD, source, AT_FDCWD, path, AT_SYMLINK_FOLLOW) != 0) {
    int saved = errno;
    struct lvn_error ignored;
    (void)!lvn_spool_remove(path, &ignored);
    return lvn_error_set_errno(err, saved, "cannot link '%s'", path);
  }
  return lvn_spool_sync_new_folder(spool, err);
}

bool lvn_spool_commit_again(const struct lvn_spool *spool, const char *sha256_text, const char *new_path,
                            const struct lvn_spool_facts *facts, struct lvn_error *err) {
  char mark_path[LVN_PATH_BYTES];
  char object_path[LVN_PATH_BYTES];
  bool waits = false;
  if (!make_path(mark_path, spool, sha256_text, LVN_SPOOL_SUPERSEDED_SUFFIX, err) ||
      !make_path(object_path, spool, sha256_text, ".dcm", err) || !other_version_waits(spool, facts, &waits, err)) {
    return false;
  }
  if (!waits && !lvn_file_exists(mark_path)) {
    return true;
  }
  LVN_AUTOCLOSE int fd = open(new_path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0 && errno == ENOENT) {
    fd = open(object_path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
  }
  if (fd < 0) {
    return lvn_error_set_errno(err, errno, "cannot open '%s'", object_path);
  }
  return link_again(spool, fd, sha256_text, facts, err);
}
