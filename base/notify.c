#include "base/notify.h"

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

bool lvn_notify(const char *state) {
  const char *path = getenv("NOTIFY_SOCKET");
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  size_t length = path == NULL ? 0 : strlen(path);
  if (length < 2 || length >= sizeof address.sun_path || (path[0] != '/' && path[0] != '@')) {
    return false;
  }
  memcpy(address.sun_path, path, length);
  if (path[0] == '@') {
    address.sun_path[0] = '\0'; /* abstract: the name is the bytes after the NUL, none more (unix(7)) */
  }
  int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) {
    return false;
  }
  socklen_t bytes = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
  ssize_t sent =
      sendto(fd, state, strlen(state), MSG_NOSIGNAL | MSG_DONTWAIT, (const struct sockaddr *)&address, bytes);
  (void)close(fd);
  return sent == (ssize_t)strlen(state);
}

bool lvn_notify_reloading(void) {
  char text[64];
  struct timespec now;
  (void)clock_gettime(CLOCK_MONOTONIC, &now);
  (void)snprintf(text, sizeof text, "RELOADING=1\nMONOTONIC_USEC=%lld",
                 (long long)now.tv_sec * 1000000 + now.tv_nsec / 1000);
  return lvn_notify(text);
}

static bool parse_number(const char *text, unsigned long long *ret_value) {
  char *end = NULL;
  if (text == NULL || text[0] < '0' || text[0] > '9') {
    return false;
  }
  *ret_value = strtoull(text, &end, 10);
  return *end == '\0';
}

double lvn_notify_watchdog_seconds(void) {
  unsigned long long microseconds = 0;
  unsigned long long pid = 0;
  const char *pid_text = getenv("WATCHDOG_PID");
  if (!parse_number(getenv("WATCHDOG_USEC"), &microseconds) ||
      (pid_text != NULL && (!parse_number(pid_text, &pid) || pid != (unsigned long long)getpid()))) {
    return 0;
  }
  return (double)microseconds / 2e6;
}
