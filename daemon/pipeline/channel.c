#include "daemon/pipeline/channel.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/file.h"
#include "base/memory.h"

#define BACKLOG 16
#define OUTPUT_MAX_BYTES (8U << 20)
#define READ_BYTES 65536U

struct buffer {
  char *bytes;
  size_t capacity;
  size_t used;
};

struct lvn_channel {
  int fd;
  pid_t peer_pid;
  size_t max_line_bytes;
  struct buffer input;
  size_t input_taken; /* bytes at the front that were given out as a line */
  struct buffer output;
};

static bool make_address(const char *path, struct sockaddr_un *ret_address, struct lvn_error *err) {
  *ret_address = (struct sockaddr_un){.sun_family = AF_UNIX};
  if (!lvn_copy(ret_address->sun_path, sizeof ret_address->sun_path, path)) {
    return lvn_error_set(err, LVN_ERROR_USAGE, "socket path longer than %zu bytes: '%.200s'",
                         sizeof ret_address->sun_path - 1, path);
  }
  return true;
}

bool lvn_socket_listen(const char *path, int *ret_fd, struct lvn_error *err) {
  struct sockaddr_un address;
  if (!make_address(path, &address, err)) {
    return false;
  }
  LVN_AUTOCLOSE int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) {
    return lvn_error_set_errno(err, errno, "cannot make a socket");
  }
  if (unlink(path) != 0 && errno != ENOENT) {
    return lvn_error_set_errno(err, errno, "cannot remove the old socket '%s'", path);
  }
  /* Created with no rights at all until the mode is set: nobody slips in between. */
  mode_t old_mask = umask(0777);
  int bound = bind(fd, (const struct sockaddr *)&address, sizeof address);
  int bind_errno = errno;
  (void)umask(old_mask);
  if (bound != 0) {
    return lvn_error_set_errno(err, bind_errno, "cannot bind '%s'", path);
  }
  if (chmod(path, 0600) != 0 || listen(fd, BACKLOG) != 0) {
    return lvn_error_set_errno(err, errno, "cannot listen on '%s'", path);
  }
  *ret_fd = fd;
  fd = -1;
  return true;
}

bool lvn_socket_connect(const char *path, int *ret_fd, struct lvn_error *err) {
  struct sockaddr_un address;
  if (!make_address(path, &address, err)) {
    return false;
  }
  LVN_AUTOCLOSE int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) {
    return lvn_error_set_errno(err, errno, "cannot make a socket");
  }
  if (connect(fd, (const struct sockaddr *)&address, sizeof address) != 0) {
    return lvn_error_set_errno(err, errno, "cannot connect to '%s'", path);
  }
  *ret_fd = fd;
  fd = -1;
  return true;
}

bool lvn_channel_accept(int listen_fd, size_t max_line_bytes, struct lvn_channel **ret_channel, struct lvn_error *err) {
  struct ucred peer = {0};
  socklen_t peer_bytes = sizeof peer;
  *ret_channel = NULL;
  LVN_AUTOCLOSE int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (fd < 0) {
    return errno == EAGAIN || errno == EINTR || errno == ECONNABORTED ||
           lvn_error_set_errno(err, errno, "cannot accept a local connection");
  }
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &peer_bytes) != 0) {
    return lvn_error_set_errno(err, errno, "cannot read who connected");
  }
  struct lvn_channel *channel = lvn_alloc(1, sizeof *channel, err);
  if (channel == NULL) {
    return false;
  }
  channel->fd = fd;
  fd = -1;
  channel->peer_pid = peer.pid;
  channel->max_line_bytes = max_line_bytes;
  *ret_channel = channel;
  return true;
}

void lvn_channel_destroy(struct lvn_channel *channel) {
  if (channel != NULL) {
    lvn_file_close_pointer(&channel->fd);
    lvn_free(channel->input.bytes);
    lvn_free(channel->output.bytes);
    lvn_free(channel);
  }
}

int lvn_channel_get_fd(const struct lvn_channel *channel) {
  return channel->fd;
}

pid_t lvn_channel_get_peer_pid(const struct lvn_channel *channel) {
  return channel->peer_pid;
}

bool lvn_channel_wants_to_write(const struct lvn_channel *channel) {
  return channel->output.used > 0;
}

static bool reserve(struct buffer *buffer, size_t bytes, size_t max_bytes, struct lvn_error *err) {
  if (buffer->used + bytes > max_bytes) {
    return lvn_error_set(err, LVN_ERROR_PROTOCOL, "more than %zu bytes on a local connection", max_bytes);
  }
  while (buffer->capacity < buffer->used + bytes) {
    if (!lvn_grow(&buffer->bytes, &buffer->capacity, buffer->capacity, 1, max_bytes, err)) {
      return false;
    }
  }
  return true;
}

bool lvn_channel_receive(struct lvn_channel *channel, struct lvn_error *err) {
  struct buffer *input = &channel->input;
  if (!reserve(input, READ_BYTES, channel->max_line_bytes + READ_BYTES + 1, err)) {
    return false;
  }
  ssize_t got = recv(channel->fd, input->bytes + input->used, READ_BYTES, 0);
  if (got < 0) {
    return errno == EAGAIN || errno == EINTR || lvn_error_set_errno(err, errno, "a local connection broke");
  }
  if (got == 0) {
    (void)lvn_error_set(err, LVN_OK, "closed");
    return false;
  }
  input->used += (size_t)got;
  return true;
}

const char *lvn_channel_next_line(struct lvn_channel *channel) {
  struct buffer *input = &channel->input;
  if (channel->input_taken > 0) {
    input->used -= channel->input_taken;
    memmove(input->bytes, input->bytes + channel->input_taken, input->used);
    channel->input_taken = 0;
  }
  char *end = input->used == 0 ? NULL : memchr(input->bytes, '\n', input->used);
  if (end == NULL) {
    return NULL;
  }
  *end = '\0';
  channel->input_taken = (size_t)(end - input->bytes) + 1;
  return input->bytes;
}

bool lvn_channel_flush(struct lvn_channel *channel, struct lvn_error *err) {
  struct buffer *output = &channel->output;
  while (output->used > 0) {
    ssize_t sent = send(channel->fd, output->bytes, output->used, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) {
      continue;
    }
    if (sent < 0) {
      return errno == EAGAIN || lvn_error_set_errno(err, errno, "a local connection broke");
    }
    output->used -= (size_t)sent;
    memmove(output->bytes, output->bytes + sent, output->used);
  }
  return true;
}

bool lvn_channel_send(struct lvn_channel *channel, const char *line, struct lvn_error *err) {
  struct buffer *output = &channel->output;
  size_t length = strlen(line);
  if (!reserve(output, length + 1, OUTPUT_MAX_BYTES, err)) {
    return false;
  }
  memcpy(output->bytes + output->used, line, length);
  output->bytes[output->used + length] = '\n';
  output->used += length + 1;
  return lvn_channel_flush(channel, err);
}
