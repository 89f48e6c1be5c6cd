/* What a power cut or a killed association may leave: a reception that is durable in the store, and no name of it in
 * spool/new. */
#include "storage/spool_internal.h"

#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define BOOT_FILE "boot"
#define BOOT_BYTES 64U
#define FORM "names\n" /* of what lies in spool/new; another one is looked through as after another boot */
#define NAMES_MAX (1U << 24)

/* `announced`: names in spool/new, sorted. One that is not told yet may be announced a moment later: told twice does
 * no harm. */
static bool is_announced(const struct lvn_file_names *announced, int64_t sequence) {
  size_t low = 0;
  size_t high = announced->count;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (strtoll(announced->names[middle], NULL, 10) < sequence) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low < announced->count && strtoll(announced->names[low], NULL, 10) == sequence;
}

/* The lock keeps out associations that are in the middle of a commit; of a dead one the folder may not be synced. */
static bool scan_shard(const struct lvn_spool *spool, unsigned shard, const struct lvn_file_names *announced,
                       struct lvn_error *err) {
  LVN_CLEANUP(lvn_file_names_clear) struct lvn_file_names names = {0};
  LVN_AUTOCLOSE int lock_fd = -1;
  char folder[LVN_PATH_BYTES];
  bool is_synced = false;
  if (!lvn_objects_shard_path(spool->objects, shard, folder, err) ||
      !lvn_objects_lock(spool->objects, shard, &lock_fd, err) || !lvn_file_list(folder, NAMES_MAX, &names, err)) {
    return false;
  }
  for (size_t i = 0; i < names.count; i++) {
    struct lvn_error ignored;
    struct lvn_reception_record record;
    if (!lvn_objects_has_ending(names.names[i], LVN_OBJECTS_WAITING) ||
        !lvn_spool_record_from_name(names.names[i], &record, &ignored) || is_announced(announced, record.sequence)) {
      continue;
    }
    if (!is_synced && fsync(lock_fd) != 0) {
      return lvn_error_set_errno(err, errno, "cannot sync folder '%s'", folder);
    }
    is_synced = true;
    if (!lvn_spool_announce(spool, &record, err)) {
      return false;
    }
  }
  return lvn_spool_convert_shard(spool, folder, lock_fd, &names, err);
}

bool lvn_spool_scan(struct lvn_spool *spool, struct lvn_error *err) {
  LVN_CLEANUP(lvn_file_names_clear) struct lvn_file_names announced = {0};
  if (!lvn_file_list(spool->new_folder, NAMES_MAX, &announced, err)) {
    return false;
  }
  for (unsigned shard = 0; shard < LVN_OBJECTS_SHARDS; shard++) {
    if (!scan_shard(spool, shard, &announced, err)) {
      return false;
    }
  }
  return true;
}

/* They are made again from the records that wait. */
static bool forget_announcements(const struct lvn_spool *spool, struct lvn_error *err) {
  LVN_CLEANUP(lvn_file_names_clear) struct lvn_file_names names = {0};
  if (!lvn_file_list(spool->new_folder, NAMES_MAX, &names, err)) {
    return false;
  }
  for (size_t i = 0; i < names.count; i++) {
    uint8_t sha256[LVN_SHA256_BYTES];
    int64_t sequence = 0;
    char path[LVN_PATH_BYTES];
    if (lvn_objects_parse_new(names.names[i], sha256, &sequence) &&
        (!lvn_path_join(path, spool->new_folder, names.names[i], err) || (unlink(path) != 0 && errno != ENOENT))) {
      return lvn_error_set_errno(err, errno, "cannot remove '%s'", names.names[i]);
    }
  }
  return true;
}

/* Empty where the kernel does not say: then nothing is the same boot. */
static size_t read_boot_id(char ret_id[BOOT_BYTES]) {
  LVN_AUTOCLOSE int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
  ssize_t got = fd < 0 ? 0 : read(fd, ret_id, BOOT_BYTES - sizeof FORM);
  if (got <= 0) {
    return 0;
  }
  memcpy(ret_id + got, FORM, sizeof FORM - 1);
  return (size_t)got + sizeof FORM - 1;
}

/* Neither the file nor its folder is synced: what a power cut makes of them is another boot's id, or none. */
bool lvn_spool_recover(struct lvn_spool *spool, bool always, struct lvn_error *err) {
  char path[LVN_PATH_BYTES];
  char now[BOOT_BYTES];
  char last[BOOT_BYTES];
  size_t bytes = read_boot_id(now);
  if (!lvn_path_join(path, spool->root_folder, BOOT_FILE, err)) {
    return false;
  }
  LVN_AUTOCLOSE int fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (fd < 0 || flock(fd, LOCK_EX) != 0) {
    return lvn_error_set_errno(err, errno, "cannot open '%s'", path);
  }
  ssize_t got = pread(fd, last, sizeof last, 0);
  bool is_same_boot = bytes > 0 && got == (ssize_t)bytes && memcmp(now, last, bytes) == 0;
  if (is_same_boot && !always) {
    return true;
  }
  if ((!is_same_boot && !forget_announcements(spool, err)) || !lvn_spool_convert_new(spool, err) ||
      !lvn_spool_scan(spool, err)) {
    return false;
  }
  return (ftruncate(fd, 0) == 0 && pwrite(fd, now, bytes, 0) == (ssize_t)bytes) ||
         lvn_error_set_errno(err, errno, "cannot write '%s'", path);
}
