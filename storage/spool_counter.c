#include "storage/spool_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <time.h>
#include <unistd.h>

/* DESIGN. spool/counter holds two numbers: the last one that was given, and one that no number given so far exceeds and
 * that is on the disk. Giving one is a read and a write in the page cache under a lock; the disk is only waited for
 * when the reserve is used up. A power cut may take the first number back, never the second, so each opening goes on
 * from there. The lock is a POSIX one: it belongs to the process, and the descriptor is shared by forked ones.
 * Without the file (a first start; a state folder restored without its spool) the count begins at the clock's
 * microseconds, which no earlier count reaches, and lvn_spool_raise_counter() tells what the index has seen. */

#define COUNTER_FILE "counter"
#define RESERVE 4096 /* opening often must not outrun the microseconds of the clock */

struct counter {
  int64_t last;
  int64_t reserved;
};

static bool lock_file(int fd, short kind) { /* allow: fcntl's own type */
  struct flock lock = {.l_type = kind, .l_whence = SEEK_SET};
  while (fcntl(fd, F_SETLKW, &lock) != 0) {
    if (errno != EINTR) {
      return false;
    }
  }
  return true;
}

static struct counter read_counter(int fd) {
  struct counter counter = {0};
  struct timespec now = {0};
  if (pread(fd, &counter, sizeof counter, 0) == (ssize_t)sizeof counter && counter.last > 0 &&
      counter.last <= counter.reserved && counter.reserved < INT64_MAX / 2) {
    return counter;
  }
  (void)clock_gettime(CLOCK_REALTIME, &now);
  counter.last = (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
  counter.reserved = counter.last;
  return counter;
}

static bool write_counter(int fd, const struct counter *counter, bool durable, struct lvn_error *err) {
  ssize_t written = pwrite(fd, counter, sizeof *counter, 0);
  if (written != (ssize_t)sizeof *counter) {
    return lvn_error_set_errno(err, written < 0 ? errno : ENOSPC, "cannot write the counter of received objects");
  }
  return !durable || fdatasync(fd) == 0 ||
         lvn_error_set_errno(err, errno, "cannot sync the counter of received objects");
}

/* At least `floor`, and one more than the last: what is given. After an opening also more than what was reserved. */
static bool advance(struct lvn_spool *spool, int64_t floor, int64_t *ret_number, struct lvn_error *err) {
  if (!lock_file(spool->counter_fd, F_WRLCK)) {
    return lvn_error_set_errno(err, errno, "cannot lock the counter of received objects");
  }
  struct counter counter = read_counter(spool->counter_fd);
  int64_t number = (spool->counter_is_ready ? counter.last : counter.reserved) + 1;
  number = number < floor ? floor : number;
  bool extends = number > counter.reserved;
  counter.last = number;
  counter.reserved = extends ? number + RESERVE : counter.reserved;
  bool good = write_counter(spool->counter_fd, &counter, extends, err);
  (void)lock_file(spool->counter_fd, F_UNLCK);
  spool->counter_is_ready = spool->counter_is_ready || good;
  *ret_number = number;
  return good;
}

static bool open_counter(struct lvn_spool *spool, struct lvn_error *err) {
  char path[LVN_PATH_BYTES];
  if (spool->counter_fd >= 0) {
    return true;
  }
  if (!lvn_path_join(path, spool->root_folder, COUNTER_FILE, err)) {
    return false;
  }
  spool->counter_fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (spool->counter_fd < 0) {
    return lvn_error_set_errno(err, errno, "cannot open '%s'", path);
  }
  return lvn_file_sync_folder(spool->root_folder, err);
}

bool lvn_spool_count(struct lvn_spool *spool, int64_t *ret_number, struct lvn_error *err) {
  return open_counter(spool, err) && advance(spool, 0, ret_number, err);
}

bool lvn_spool_raise_counter(struct lvn_spool *spool, int64_t seen, struct lvn_error *err) {
  int64_t number = 0;
  if (seen < 0 || seen >= INT64_MAX / 4) {
    return lvn_error_set(err, LVN_ERROR_DATA, "the index holds an impossible number of a reception");
  }
  return open_counter(spool, err) && advance(spool, seen + 1, &number, err);
}
