#include "base/socket.h"

#include "base/file.h"
#include "base/memory.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 16

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

bool lvn_socket_accept(int listen_fd, int *ret_fd, pid_t *ret_peer_pid, struct lvn_error *err) {
  struct ucred peer = {0};
  socklen_t peer_bytes = sizeof peer;
  *ret_fd = -1;
  LVN_AUTOCLOSE int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (fd < 0) {
    return errno == EAGAIN || errno == EINTR || errno == ECONNABORTED ||
           lvn_error_set_errno(err, errno, "cannot accept a local connection");
  }
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &peer_bytes) != 0) {
    return lvn_error_set_errno(err, errno, "cannot read who connected");
  }
  *ret_peer_pid = peer.pid;
  *ret_fd = fd;
  fd = -1;
  return true;
}
