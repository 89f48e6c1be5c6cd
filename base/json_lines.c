#include "base/json_lines.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"

#define READ_BYTES 65536U

/* Bytes from `start` to `end` are waiting. */
struct buffer {
  char *bytes;
  size_t capacity;
  size_t start;
  size_t end;
};

struct lvn_json_lines {
  int fd;
  size_t max_input_bytes;
  size_t max_output_bytes;
  struct buffer input;
  size_t searched; /* no newline in input before this */
  struct buffer output;
};

bool lvn_json_lines_create(int fd, size_t max_input_bytes, size_t max_output_bytes, struct lvn_json_lines **ret_lines,
                           struct lvn_error *err) {
  struct lvn_json_lines *lines = lvn_alloc(1, sizeof *lines, err);
  if (lines == NULL) {
    return false;
  }
  *lines = (struct lvn_json_lines){.fd = fd, .max_input_bytes = max_input_bytes, .max_output_bytes = max_output_bytes};
  *ret_lines = lines;
  return true;
}

void lvn_json_lines_destroy(struct lvn_json_lines *lines) {
  if (lines != NULL) {
    (void)close(lines->fd);
    lvn_free(lines->input.bytes);
    lvn_free(lines->output.bytes);
    lvn_free(lines);
  }
}

int lvn_json_lines_get_fd(const struct lvn_json_lines *lines) {
  return lines->fd;
}

/* Room for `bytes` more behind what waits, which is at most max_bytes then. */
static bool reserve(struct buffer *buffer, size_t bytes, size_t max_bytes, struct lvn_error *err) {
  size_t used = buffer->end - buffer->start;
  if (used + bytes > max_bytes) {
    return lvn_error_set(err, LVN_ERROR_PROTOCOL, "more than %zu bytes on a local connection", max_bytes);
  }
  if (buffer->start > 0 && buffer->end + bytes > buffer->capacity) {
    memmove(buffer->bytes, buffer->bytes + buffer->start, used);
    buffer->start = 0;
    buffer->end = used;
  }
  while (buffer->capacity < buffer->end + bytes) {
    if (!lvn_grow(&buffer->bytes, &buffer->capacity, buffer->capacity, 1, 2 * max_bytes, err)) {
      return false;
    }
  }
  return true;
}

bool lvn_json_lines_receive(struct lvn_json_lines *lines, struct lvn_error *err) {
  struct buffer *input = &lines->input;
  lines->searched -= input->start;
  if (!reserve(input, READ_BYTES, lines->max_input_bytes + READ_BYTES, err)) {
    lines->searched += input->start;
    return false;
  }
  lines->searched += input->start;
  ssize_t got = recv(lines->fd, input->bytes + input->end, READ_BYTES, 0);
  if (got < 0) {
    return errno == EAGAIN || errno == EINTR || lvn_error_set_errno(err, errno, "a local connection broke");
  }
  if (got == 0) {
    (void)lvn_error_set(err, LVN_OK, "closed");
    return false;
  }
  input->end += (size_t)got;
  return true;
}

bool lvn_json_lines_take(struct lvn_json_lines *lines, json_t **ret_value) {
  struct buffer *input = &lines->input;
  char *end =
      input->end == lines->searched ? NULL : memchr(input->bytes + lines->searched, '\n', input->end - lines->searched);
  *ret_value = NULL;
  if (end == NULL) {
    lines->searched = input->end;
    return false;
  }
  const char *line = input->bytes + input->start;
  *ret_value = json_loadb(line, (size_t)(end - line), JSON_REJECT_DUPLICATES, NULL);
  input->start = lines->searched = (size_t)(end + 1 - input->bytes);
  return true;
}

bool lvn_json_lines_flush(struct lvn_json_lines *lines, struct lvn_error *err) {
  struct buffer *output = &lines->output;
  while (output->start < output->end) {
    ssize_t sent = send(lines->fd, output->bytes + output->start, output->end - output->start, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) {
      continue;
    }
    if (sent < 0) {
      return errno == EAGAIN || lvn_error_set_errno(err, errno, "a local connection broke");
    }
    output->start += (size_t)sent;
  }
  output->start = output->end = 0;
  return true;
}

bool lvn_json_lines_wants_to_write(const struct lvn_json_lines *lines) {
  return lines->output.start < lines->output.end;
}

bool lvn_json_lines_send(struct lvn_json_lines *lines, const json_t *value, struct lvn_error *err) {
  struct buffer *output = &lines->output;
  LVN_AUTOFREE char *text = value == NULL ? NULL : json_dumps(value, JSON_COMPACT);
  if (text == NULL) {
    return lvn_error_set(err, LVN_ERROR_NOMEM, "out of memory for a message");
  }
  size_t length = strlen(text);
  if (!reserve(output, length + 1, lines->max_output_bytes, err)) {
    return false;
  }
  memcpy(output->bytes + output->end, text, length);
  output->bytes[output->end + length] = '\n';
  output->end += length + 1;
  return lvn_json_lines_flush(lines, err);
}

bool lvn_json_lines_ask(struct lvn_json_lines *lines, const json_t *request, unsigned seconds, json_t **ret_answer,
                        struct lvn_error *err) {
  const struct timeval limit = {.tv_sec = seconds};
  double deadline = lvn_clock_monotonic_seconds() + seconds;
  if (setsockopt(lines->fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) != 0 ||
      setsockopt(lines->fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) != 0) {
    return lvn_error_set_errno(err, errno, "cannot bound the wait for an answer");
  }
  if (!lvn_json_lines_send(lines, request, err)) {
    return false;
  }
  while (!lvn_json_lines_take(lines, ret_answer)) {
    if (lvn_json_lines_wants_to_write(lines) || lvn_clock_monotonic_seconds() >= deadline) {
      return lvn_error_set(err, LVN_ERROR_TIMEOUT, "no answer within %u s", seconds);
    }
    if (!lvn_json_lines_receive(lines, err)) {
      return err->code != LVN_OK || lvn_error_set_errno(err, ECONNRESET, "the connection ended without an answer");
    }
  }
  return *ret_answer != NULL || lvn_error_set(err, LVN_ERROR_PROTOCOL, "the answer is not JSON");
}
