#include "analysis/dataset/pool.h"

#include "base/clock.h"
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define LINE_BYTES 4096U
#define TURN_MS 1000

struct child {
  pid_t pid;
  int fd;
  size_t piece;
  double started_seconds;
  bool was_late;
  size_t used;
  char buffer[LINE_BYTES];
};

struct crew {
  const struct lvn_pool *pool;
  size_t count;
  struct child children[LVN_POOL_JOBS_MAX];
};

static void be_child(const struct lvn_pool *pool, size_t piece, int fd, pid_t parent) {
  (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() == parent) { /* it may have died before the line above */
    pool->work(pool->context, piece, fd);
  }
  (void)fflush(stdout);
  _exit(0); /* allow: a forked child must not run what the parent registered for its own end */
}

static bool start(struct crew *crew, size_t piece, struct lvn_error *err) {
  int ends[2];
  pid_t parent = getpid();
  if (pipe2(ends, O_CLOEXEC) != 0) {
    return lvn_error_set_errno(err, errno, "cannot make a pipe");
  }
  (void)fflush(NULL); /* or both processes write what is buffered */
  pid_t pid = fork();
  if (pid == 0) {
    (void)close(ends[0]);
    be_child(crew->pool, piece, ends[1], parent);
  }
  (void)close(ends[1]);
  if (pid < 0) {
    (void)close(ends[0]);
    return lvn_error_set_errno(err, errno, "cannot start a process");
  }
  crew->children[crew->count++] =
      (struct child){.pid = pid, .fd = ends[0], .piece = piece, .started_seconds = lvn_clock_monotonic_seconds()};
  return true;
}

static void take_lines(const struct lvn_pool *pool, struct child *child) {
  char *line = child->buffer;
  char *end = child->buffer + child->used;
  for (char *newline; (newline = memchr(line, '\n', (size_t)(end - line))) != NULL; line = newline + 1) {
    *newline = '\0';
    pool->take_line(pool->context, child->piece, line);
  }
  child->used = (size_t)(end - line);
  memmove(child->buffer, line, child->used);
  if (child->used == LINE_BYTES) {
    child->used = 0; /* no newline in a whole buffer: not one of our lines */
  }
}

/* False at the end of the pipe. */
static bool receive(const struct lvn_pool *pool, struct child *child) {
  ssize_t got = read(child->fd, child->buffer + child->used, LINE_BYTES - child->used);
  if (got < 0 && errno == EINTR) {
    return true;
  }
  if (got <= 0) {
    return false;
  }
  child->used += (size_t)got;
  take_lines(pool, child);
  return true;
}

static void bury(struct crew *crew, struct child *child) {
  char text[64];
  const char *fate = NULL;
  int status = 0;
  (void)close(child->fd);
  while (waitpid(child->pid, &status, 0) < 0 && errno == EINTR) {
  }
  if (child->was_late) {
    (void)snprintf(text, sizeof text, "took longer than %.0f s", crew->pool->seconds_max);
    fate = text;
  } else if (WIFSIGNALED(status)) {
    (void)snprintf(text, sizeof text, "was ended by signal %d", WTERMSIG(status));
    fate = text;
  } else if (WEXITSTATUS(status) != 0) {
    (void)snprintf(text, sizeof text, "ended with status %d", WEXITSTATUS(status));
    fate = text;
  }
  crew->pool->finish(crew->pool->context, child->piece, fate);
  *child = crew->children[--crew->count];
}

static void kill_late(struct crew *crew) {
  double now = lvn_clock_monotonic_seconds();
  for (size_t i = 0; i < crew->count; i++) {
    struct child *child = &crew->children[i];
    if (!child->was_late && now - child->started_seconds > crew->pool->seconds_max) {
      child->was_late = true;
      (void)kill(child->pid, SIGKILL);
    }
  }
}

static void wait_for_some(struct crew *crew) {
  struct pollfd polls[LVN_POOL_JOBS_MAX];
  for (size_t i = 0; i < crew->count; i++) {
    polls[i] = (struct pollfd){.fd = crew->children[i].fd, .events = POLLIN};
  }
  int ready = poll(polls, crew->count, TURN_MS);
  kill_late(crew);
  if (ready <= 0) {
    return;
  }
  for (size_t i = crew->count; i-- > 0;) { /* backwards: bury() moves the last one into the gap */
    if (polls[i].revents != 0 && !receive(crew->pool, &crew->children[i])) {
      bury(crew, &crew->children[i]);
    }
  }
}

bool lvn_pool_run(const struct lvn_pool *pool, struct lvn_error *err) {
  static struct crew crew; /* too large for a stack frame */
  crew = (struct crew){.pool = pool};
  bool good = true;
  for (size_t piece = 0; good && piece < pool->piece_count; piece++) {
    if (!pool->prepare(pool->context, piece)) {
      pool->finish(pool->context, piece, NULL);
      continue;
    }
    while (crew.count >= pool->jobs) {
      wait_for_some(&crew);
    }
    good = start(&crew, piece, err);
  }
  while (crew.count > 0) {
    wait_for_some(&crew);
  }
  return good;
}
