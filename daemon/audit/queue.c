#include "daemon/audit/queue.h"

#include "base/file.h"
#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* DESIGN: `numbers` holds where the queue's first waiting line begins and how many messages were dropped, in one write
 * of fixed length. Lines are sent before they are removed here, so a process that dies in between has them sent twice
 * and loses none. */

#define FOLDER "audit"
#define NUMBERS_BYTES 42 /* two of twenty digits, each with a blank after it */
#define READ_BYTES 262144U
#define MOVE_BYTES (4U << 20) /* what was removed is given back to the disk above this */

struct queue {
  int lock_fd;
  int queue_fd;
  int numbers_fd;
  uint64_t size;
  uint64_t first;
  uint64_t dropped;
};

static bool open_in(const char *folder, const char *name, int flags, int *ret_fd, struct lvn_error *err) {
  char path[LVN_PATH_BYTES];
  if (!lvn_path_join(path, folder, name, err)) {
    return false;
  }
  *ret_fd = open(path, flags | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  return *ret_fd >= 0 || lvn_error_set_errno(err, errno, "cannot open %s", path);
}

static void close_queue(struct queue *queue) {
  lvn_file_close_pointer(&queue->queue_fd);
  lvn_file_close_pointer(&queue->numbers_fd);
  lvn_file_close_pointer(&queue->lock_fd); /* last: it is the lock */
}

static bool read_state(struct queue *queue, struct lvn_error *err) {
  char text[NUMBERS_BYTES + 1] = "";
  struct stat status;
  if (fstat(queue->queue_fd, &status) != 0 || pread(queue->numbers_fd, text, NUMBERS_BYTES, 0) < 0) {
    return lvn_error_set_errno(err, errno, "cannot read the audit queue");
  }
  char *end = text;
  queue->size = (uint64_t)status.st_size;
  queue->first = strtoull(text, &end, 10);
  queue->dropped = strtoull(end, NULL, 10);
  queue->first = queue->first > queue->size ? 0 : queue->first;
  return true;
}

static bool open_queue(const struct lvn_config *config, struct queue *queue, struct lvn_error *err) {
  char folder[LVN_PATH_BYTES];
  *queue = (struct queue){.lock_fd = -1, .queue_fd = -1, .numbers_fd = -1};
  if (!lvn_path_join(folder, config->state_folder, FOLDER, err) || !lvn_file_make_folder(folder, 0700, err) ||
      !open_in(folder, "lock", O_RDWR, &queue->lock_fd, err)) {
    return false;
  }
  while (flock(queue->lock_fd, LOCK_EX) != 0) {
    if (errno != EINTR) {
      return lvn_error_set_errno(err, errno, "cannot lock the audit queue");
    }
  }
  return open_in(folder, "queue", O_RDWR | O_APPEND, &queue->queue_fd, err) &&
         open_in(folder, "numbers", O_RDWR, &queue->numbers_fd, err) && read_state(queue, err);
}

static bool write_numbers(const struct queue *queue, struct lvn_error *err) {
  char text[NUMBERS_BYTES + 1];
  (void)snprintf(text, sizeof text, "%20" PRIu64 " %20" PRIu64 "\n", queue->first, queue->dropped);
  return pwrite(queue->numbers_fd, text, NUMBERS_BYTES, 0) == NUMBERS_BYTES ||
         lvn_error_set_errno(err, errno, "cannot write the audit queue");
}

static bool append_to_file(const char *path, const char *line, size_t bytes, struct lvn_error *err) {
  LVN_AUTOCLOSE int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) {
    return lvn_error_set_errno(err, errno, "cannot open %s", path);
  }
  return lvn_file_write_all(fd, line, bytes, path, err);
}

static bool append_to_queue(struct queue *queue, uint64_t max_bytes, const char *line, size_t bytes,
                            struct lvn_error *err) {
  if (queue->size - queue->first + bytes > max_bytes) {
    return lvn_error_set(err, LVN_ERROR_NOSPACE, "the messages that wait for the repository reach queue_bytes");
  }
  if (lvn_file_write_all(queue->queue_fd, line, bytes, "the audit queue", err)) {
    return true;
  }
  (void)!ftruncate(queue->queue_fd, (int64_t)queue->size); /* a full disk: half a line would spoil the next */
  return false;
}

bool lvn_audit_queue_append(const struct lvn_config *config, const char *line, size_t bytes, struct lvn_error *err) {
  struct queue queue;
  struct lvn_error ignored;
  bool good = open_queue(config, &queue, err);
  if (good) {
    good = config->audit_host[0] == '\0' || append_to_queue(&queue, config->audit_queue_bytes, line, bytes, err);
    good = (config->audit_file[0] == '\0' || append_to_file(config->audit_file, line, bytes, err)) && good;
    if (!good) {
      queue.dropped++;
      (void)!write_numbers(&queue, &ignored);
    }
  }
  close_queue(&queue);
  return good;
}

static size_t whole_lines(const char *text, size_t bytes) {
  const char *end = memrchr(text, '\n', bytes);
  return end != NULL ? (size_t)(end - text) + 1 : 0;
}

bool lvn_audit_queue_read(const struct lvn_config *config, char **ret_lines, size_t *ret_bytes, struct lvn_error *err) {
  struct queue queue;
  LVN_AUTOFREE char *lines = lvn_alloc(READ_BYTES, 1, err);
  ssize_t count = -1;
  bool good = false;
  if (lines == NULL) {
    return false;
  }
  if (open_queue(config, &queue, err)) {
    count = pread(queue.queue_fd, lines, READ_BYTES, (int64_t)queue.first);
    good = count >= 0 || lvn_error_set_errno(err, errno, "cannot read the audit queue");
  }
  close_queue(&queue);
  *ret_bytes = count > 0 ? whole_lines(lines, (size_t)count) : 0;
  *ret_lines = lvn_steal(&lines);
  return good;
}

/* The lines that wait, from the file's beginning on. */
static bool move_lines(const struct lvn_config *config, struct queue *queue, struct lvn_error *err) {
  char folder[LVN_PATH_BYTES];
  char path[LVN_PATH_BYTES];
  char other_path[LVN_PATH_BYTES];
  char buffer[65536];
  LVN_AUTOCLOSE int fd = -1;
  if (!lvn_path_join(folder, config->state_folder, FOLDER, err) || !lvn_path_join(path, folder, "queue", err) ||
      !lvn_path_join(other_path, folder, "queue.new", err) ||
      !open_in(folder, "queue.new", O_WRONLY | O_TRUNC, &fd, err)) {
    return false;
  }
  for (uint64_t at = queue->first; at < queue->size;) {
    const ssize_t count = pread(queue->queue_fd, buffer, sizeof buffer, (int64_t)at);
    if (count <= 0 || !lvn_file_write_all(fd, buffer, (size_t)count, other_path, err)) {
      return count > 0 ? false : lvn_error_set_errno(err, errno, "cannot read the audit queue");
    }
    at += (uint64_t)count;
  }
  queue->first = 0;
  return write_numbers(queue, err) &&
         (rename(other_path, path) == 0 || lvn_error_set_errno(err, errno, "cannot rename %s", other_path));
}

bool lvn_audit_queue_remove(const struct lvn_config *config, size_t bytes, struct lvn_error *err) {
  struct queue queue;
  bool good = open_queue(config, &queue, err);
  if (good) {
    queue.first += bytes;
    if (queue.first >= queue.size) {
      queue.first = 0;
      good = write_numbers(&queue, err) &&
             (ftruncate(queue.queue_fd, 0) == 0 || lvn_error_set_errno(err, errno, "cannot empty the audit queue"));
    } else if (queue.first > MOVE_BYTES && queue.first > queue.size / 2) {
      good = move_lines(config, &queue, err);
    } else {
      good = write_numbers(&queue, err);
    }
  }
  close_queue(&queue);
  return good;
}

bool lvn_audit_queue_look(const struct lvn_config *config, struct lvn_audit_queue_state *ret_state,
                          struct lvn_error *err) {
  struct queue queue;
  const bool good = open_queue(config, &queue, err);
  *ret_state = (struct lvn_audit_queue_state){.waiting_bytes = good ? queue.size - queue.first : 0,
                                              .dropped = good ? queue.dropped : 0};
  close_queue(&queue);
  return good;
}

bool lvn_audit_queue_forget_dropped(const struct lvn_config *config, uint64_t count, struct lvn_error *err) {
  struct queue queue;
  bool good = open_queue(config, &queue, err);
  if (good) {
    queue.dropped -= count < queue.dropped ? count : queue.dropped;
    good = write_numbers(&queue, err);
  }
  close_queue(&queue);
  return good;
}
