/* A server on loopback that answers each connection's request with the next of some canned answers, byte by byte as
 * they are, and keeps what it was asked. After cmocka.h. */
#ifndef LVN_TESTS_CANNED_SERVER_H
#define LVN_TESTS_CANNED_SERVER_H

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <arpa/inet.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/memory.h"
#include "tests/unit/scratch.h"

struct canned {
  const char *bytes;
  size_t count;  /* 0: up to the NUL */
  size_t drip;   /* bytes at a time, 0.4 s apart; 0: all at once */
  bool is_early; /* before the request was read */
};

static char canned_folder[SCRATCH_BYTES];
static pid_t canned_pid;
static char canned_url[64];

static inline void canned_read(int fd, size_t number) {
  static char request[4U << 20];
  char path[SCRATCH_BYTES + 32];
  struct lvn_error err;
  size_t length = 0;
  for (;;) {
    ssize_t got = read(fd, request + length, sizeof request - 1 - length);
    length += got > 0 ? (size_t)got : 0;
    request[length] = '\0';
    const char *end = strstr(request, "\r\n\r\n");
    const char *said = strcasestr(request, "\r\nContent-Length:");
    size_t body = said != NULL ? (size_t)strtoull(said + 17, NULL, 10) : 0;
    if (got <= 0 || (end != NULL && length >= (size_t)(end - request) + 4 + body)) {
      break;
    }
  }
  (void)snprintf(path, sizeof path, "%s/request-%zu", canned_folder, number);
  (void)!lvn_file_replace(path, request, length, 0600, &err);
}

static inline void canned_answer(int fd, const struct canned *answer) {
  size_t count = answer->count != 0 ? answer->count : strlen(answer->bytes);
  size_t step = answer->drip != 0 ? answer->drip : count;
  for (size_t at = 0; at < count; at += step) {
    if (write(fd, answer->bytes + at, step < count - at ? step : count - at) <= 0) {
      break;
    }
    if (answer->drip != 0) {
      lvn_clock_sleep_seconds(0.4);
    }
  }
}

/* `answers` live as long as the server. */
static inline void canned_start(const struct canned *answers, size_t count) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t length = sizeof address;
  int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  (void)scratch_make(canned_folder);
  assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
  assert_int_equal(listen(listener, 8), 0);
  assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &length), 0);
  (void)snprintf(canned_url, sizeof canned_url, "http://127.0.0.1:%u/web", ntohs(address.sin_port));
  canned_pid = fork();
  assert_true(canned_pid >= 0);
  if (canned_pid == 0) {
    (void)signal(SIGPIPE, SIG_IGN);
    for (size_t i = 0; i < count; i++) {
      int fd = accept(listener, NULL, NULL);
      if (!answers[i].is_early) {
        canned_read(fd, i);
      }
      canned_answer(fd, &answers[i]);
      (void)close(fd);
    }
    _exit(0);
  }
  (void)close(listener);
}

static inline void canned_stop(void) {
  if (canned_pid > 0) {
    (void)kill(canned_pid, SIGKILL);
    (void)waitpid(canned_pid, NULL, 0);
    canned_pid = 0;
  }
}

/* The request as it came; the caller's to lvn_free(). */
static inline char *canned_request(size_t number) {
  struct lvn_error err;
  char path[SCRATCH_BYTES + 32];
  LVN_AUTOFREE uint8_t *data = NULL;
  size_t bytes = 0;
  (void)snprintf(path, sizeof path, "%s/request-%zu", canned_folder, number);
  for (int i = 0; i < 100 && !lvn_file_exists(path); i++) {
    lvn_clock_sleep_seconds(0.02);
  }
  assert_true(lvn_file_read(path, 8U << 20, &data, &bytes, &err));
  return lvn_strdup((const char *)data, &err);
}

#endif
