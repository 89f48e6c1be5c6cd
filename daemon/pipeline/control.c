#include "daemon/pipeline/control.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "base/file.h"
#include "base/memory.h"
#include "daemon/pipeline/channel.h"

#define ANSWER_MAX_BYTES (64U << 20)
#define ANSWER_SECONDS 120

static bool read_answer(int fd, char **ret_response, struct lvn_error *err) {
  LVN_AUTOFREE char *bytes = NULL;
  size_t capacity = 0;
  size_t used = 0;
  for (;;) {
    if (!lvn_grow(&bytes, &capacity, used, 1, ANSWER_MAX_BYTES, err)) {
      return false;
    }
    ssize_t got = recv(fd, bytes + used, capacity - used, 0);
    if (got < 0 && errno == EINTR) {
      continue;
    }
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
      return lvn_error_set(err, LVN_ERROR_TIMEOUT, "the pipeline did not answer within %d s", ANSWER_SECONDS);
    }
    if (got <= 0) {
      return lvn_error_set_errno(err, got == 0 ? ECONNRESET : errno, "the pipeline ended the connection");
    }
    char *end = memchr(bytes + used, '\n', (size_t)got);
    used += (size_t)got;
    if (end != NULL) {
      *end = '\0';
      *ret_response = lvn_steal(&bytes);
      return true;
    }
  }
}

bool lvn_control_request(const char *socket_path, const char *request_json, char **ret_response,
                         struct lvn_error *err) {
  const struct timeval limit = {.tv_sec = ANSWER_SECONDS};
  LVN_AUTOCLOSE int fd = -1;
  LVN_AUTOFREE char *line = lvn_format(err, "%s\n", request_json);
  if (line == NULL || !lvn_socket_connect(socket_path, &fd, err)) {
    return false;
  }
  if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) != 0 ||
      setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) != 0) {
    return lvn_error_set_errno(err, errno, "cannot bound the wait for the pipeline");
  }
  size_t length = strlen(line);
  for (size_t sent = 0; sent < length;) {
    ssize_t count = send(fd, line + sent, length - sent, MSG_NOSIGNAL);
    if (count < 0 && errno == EINTR) {
      continue;
    }
    if (count < 0) {
      return lvn_error_set_errno(err, errno, "cannot ask the pipeline");
    }
    sent += (size_t)count;
  }
  return read_answer(fd, ret_response, err);
}
