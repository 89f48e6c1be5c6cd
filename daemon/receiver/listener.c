#include "daemon/receiver/listener.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/memory.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define BACKLOG 128
#define PORT_SECONDS 2.0 /* that another process may take to let the port go */
#define PORT_PAUSE_SECONDS 0.05

union address {
  struct sockaddr any;
  struct sockaddr_in v4;
  struct sockaddr_in6 v6;
  struct sockaddr_storage storage;
};

static bool parse_address(const char *text, uint16_t port, union address *ret_address, socklen_t *ret_bytes) {
  memset(ret_address, 0, sizeof *ret_address);
  if (inet_pton(AF_INET, text, &ret_address->v4.sin_addr) == 1) {
    ret_address->v4.sin_family = AF_INET;
    ret_address->v4.sin_port = htons(port);
    *ret_bytes = sizeof ret_address->v4;
    return true;
  }
  memset(ret_address, 0, sizeof *ret_address);
  if (inet_pton(AF_INET6, text, &ret_address->v6.sin6_addr) == 1) {
    ret_address->v6.sin6_family = AF_INET6;
    ret_address->v6.sin6_port = htons(port);
    *ret_bytes = sizeof ret_address->v6;
    return true;
  }
  return false;
}

/* A receiver that was killed a moment ago, or one of its children, may still hold the port. */
static bool take_port(int fd, const union address *local, socklen_t bytes) {
  const double until = lvn_clock_monotonic_seconds() + PORT_SECONDS;
  for (bool is_bound = false;; lvn_clock_sleep_seconds(PORT_PAUSE_SECONDS)) {
    is_bound = is_bound || bind(fd, &local->any, bytes) == 0;
    if (is_bound && listen(fd, BACKLOG) == 0) {
      return true;
    }
    if (errno != EADDRINUSE || lvn_clock_monotonic_seconds() > until) {
      return false;
    }
  }
}

bool lvn_listener_open(const char *address, uint16_t port, int *ret_fd, struct lvn_error *err) {
  const int on = 1;
  const int off = 0;
  union address local = {0};
  socklen_t bytes = 0;
  if (!parse_address(address, port, &local, &bytes)) {
    return lvn_error_set(err, LVN_ERROR_USAGE, "'%s' is no numeric address", address);
  }
  LVN_AUTOCLOSE int fd = socket(local.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
      (local.any.sa_family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off) != 0) ||
      !take_port(fd, &local, bytes)) {
    return lvn_error_set_errno(err, errno, "cannot listen on %s port %u", address, port);
  }
  *ret_fd = fd;
  fd = -1;
  return true;
}

static void format_address(const union address *peer, char ret_text[LVN_LISTENER_ADDRESS_BYTES]) {
  struct in_addr v4;
  ret_text[0] = '\0';
  if (peer->any.sa_family == AF_INET) {
    (void)inet_ntop(AF_INET, &peer->v4.sin_addr, ret_text, LVN_LISTENER_ADDRESS_BYTES);
  } else if (IN6_IS_ADDR_V4MAPPED(&peer->v6.sin6_addr)) {
    memcpy(&v4, peer->v6.sin6_addr.s6_addr + 12, sizeof v4);
    (void)inet_ntop(AF_INET, &v4, ret_text, LVN_LISTENER_ADDRESS_BYTES);
  } else {
    (void)inet_ntop(AF_INET6, &peer->v6.sin6_addr, ret_text, LVN_LISTENER_ADDRESS_BYTES);
  }
}

bool lvn_listener_accept(int listen_fd, int *ret_fd, char ret_address[LVN_LISTENER_ADDRESS_BYTES],
                         struct lvn_error *err) {
  const int on = 1;
  union address peer = {0};
  socklen_t bytes = sizeof peer;
  *ret_fd = -1;
  int fd = accept4(listen_fd, &peer.any, &bytes, SOCK_CLOEXEC);
  if (fd < 0) {
    switch (errno) { /* accept(2): errors of the connection that was about to be accepted are none of ours */
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
    case EBADF:
    case EINVAL:
    case ENOTSOCK:
      return lvn_error_set_errno(err, errno, "cannot accept a connection");
    default:
      return true;
    }
  }
  (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  format_address(&peer, ret_address);
  *ret_fd = fd;
  return true;
}
