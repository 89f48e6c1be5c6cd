#include "dicom/net/transport/transport.h"

#include "base/clock.h"
#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define POLL_SECONDS_MAX 60.0

struct lvn_transport {
  int fd; /* -1: closed */
  bool is_acceptor;
  bool is_late;
  const struct lvn_transport_layer *layer;
  void *state;
  double end_seconds;  /* monotonic; INFINITY: none */
  double wait_seconds; /* the end of the wait that is on; INFINITY: none is */
};

static ssize_t judge(ssize_t count, int wanted) {
  return count >= 0 ? count : errno == EAGAIN || errno == EWOULDBLOCK ? wanted : LVN_TRANSPORT_FAILED;
}

static ssize_t read_plain(void *state, int socket_fd, void *bytes, size_t capacity) {
  (void)state;
  return judge(recv(socket_fd, bytes, capacity, 0), LVN_TRANSPORT_WANTS_READ);
}

static ssize_t write_plain(void *state, int socket_fd, const void *bytes, size_t count) {
  (void)state;
  return judge(send(socket_fd, bytes, count, MSG_NOSIGNAL), LVN_TRANSPORT_WANTS_WRITE);
}

static const struct lvn_transport_layer plain = {.read = read_plain, .write = write_plain};

LVN_DEFINE_CLEANUP(lvn_transport, lvn_transport_destroy)

bool lvn_transport_open(int socket_fd, bool is_acceptor, const struct lvn_transport_layer *layer,
                        struct lvn_transport **ret_transport, struct lvn_error *err) {
  LVN_CLEANUP(lvn_transport_cleanup) struct lvn_transport *transport = lvn_alloc(1, sizeof *transport, err);
  if (transport == NULL) {
    (void)close(socket_fd);
    return false;
  }
  transport->fd = socket_fd;
  transport->is_acceptor = is_acceptor;
  transport->layer = &plain;
  transport->end_seconds = INFINITY;
  transport->wait_seconds = INFINITY;
  const int flags = fcntl(socket_fd, F_GETFL);
  if (flags < 0 || fcntl(socket_fd, F_SETFL, flags | O_NONBLOCK) < 0) {
    return lvn_error_set_errno(err, errno, "preparing a connection");
  }
  if (layer != NULL && layer->open != NULL &&
      !layer->open(layer->context, socket_fd, is_acceptor, &transport->state, err)) {
    return false;
  }
  transport->layer = layer != NULL ? layer : &plain;
  *ret_transport = lvn_steal(&transport);
  return true;
}

void lvn_transport_set_end(struct lvn_transport *transport, double seconds) {
  transport->end_seconds = seconds > 0 ? lvn_clock_monotonic_seconds() + seconds : INFINITY;
}

void lvn_transport_start_wait(struct lvn_transport *transport, double seconds) {
  transport->wait_seconds = lvn_clock_monotonic_seconds() + seconds;
}

void lvn_transport_end_wait(struct lvn_transport *transport) {
  transport->wait_seconds = INFINITY;
}

bool lvn_transport_is_late(const struct lvn_transport *transport) {
  return transport->is_late;
}

/* Seconds until a time limit; none are left: the connection ends here. */
static double rest_seconds(struct lvn_transport *transport) {
  const double rest = fmin(transport->end_seconds, transport->wait_seconds) - lvn_clock_monotonic_seconds();
  if (rest <= 0 && !transport->is_late) {
    transport->is_late = true;
    (void)shutdown(transport->fd, SHUT_RDWR);
  }
  return rest;
}

static bool poll_for(const struct lvn_transport *transport, short events, double seconds) {
  struct pollfd wait = {.fd = transport->fd, .events = events};
  return poll(&wait, 1, (int)ceil(1000.0 * fmin(seconds, POLL_SECONDS_MAX))) > 0;
}

/* True: try again what the layer could not go on with. */
static bool wait_for(struct lvn_transport *transport, ssize_t wanted) {
  const short events = wanted == LVN_TRANSPORT_WANTS_WRITE ? POLLOUT : POLLIN;
  if (wanted == LVN_TRANSPORT_FAILED) {
    return errno == EINTR;
  }
  for (double rest = 0; (rest = rest_seconds(transport)) > 0;) {
    if (poll_for(transport, events, rest)) {
      return true;
    }
  }
  errno = ETIMEDOUT;
  return false;
}

/* The connection is open and its time is not over. */
static bool is_usable(struct lvn_transport *transport) {
  errno = transport->fd < 0 ? ENOTCONN : ETIMEDOUT;
  return transport->fd >= 0 && rest_seconds(transport) > 0;
}

bool lvn_transport_handshake(struct lvn_transport *transport, struct lvn_error *err) {
  const int on = 1;
  (void)setsockopt(transport->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  for (ssize_t done = transport->layer->handshake != NULL ? LVN_TRANSPORT_WANTS_READ : 0; done != 0;) {
    if (!is_usable(transport)) {
      return lvn_error_set(err, LVN_ERROR_TIMEOUT, "the handshake took too long");
    }
    done = transport->layer->handshake(transport->state, transport->fd, err);
    if (done == LVN_TRANSPORT_FAILED) {
      return false;
    }
    if (done != 0) {
      (void)wait_for(transport, done);
    }
  }
  return true;
}

bool lvn_transport_wait(struct lvn_transport *transport, double seconds) {
  if (transport->fd < 0) {
    return false;
  }
  const bool looks = transport->layer->look != NULL;
  const double until = fmin(lvn_clock_monotonic_seconds() + seconds, transport->wait_seconds);
  for (;;) {
    const double now = lvn_clock_monotonic_seconds();
    const double rest = fmax(0, fmin(until, transport->end_seconds) - now);
    short events = POLLIN;
    if (looks) {
      const ssize_t seen = transport->layer->look(transport->state, transport->fd);
      if (seen >= LVN_TRANSPORT_FAILED) {
        return true;
      }
      events = seen == LVN_TRANSPORT_WANTS_WRITE ? POLLOUT : POLLIN;
    }
    if (poll_for(transport, events, rest) && !looks) {
      return true;
    }
    if (rest <= 0) {
      transport->is_late = transport->is_late || now >= transport->end_seconds;
      return false;
    }
  }
}

ssize_t lvn_transport_read(struct lvn_transport *transport, void *bytes, size_t capacity) {
  ssize_t count = LVN_TRANSPORT_FAILED;
  while (is_usable(transport)) {
    count = transport->layer->read(transport->state, transport->fd, bytes, capacity);
    if (count >= 0 || !wait_for(transport, count)) {
      break;
    }
  }
  return count >= 0 ? count : -1;
}

bool lvn_transport_write(struct lvn_transport *transport, const void *bytes, size_t count) {
  const char *at = bytes;
  while (count > 0) {
    if (!is_usable(transport)) {
      return false;
    }
    ssize_t written = transport->layer->write(transport->state, transport->fd, at, count);
    if (written < 0 && !wait_for(transport, written)) {
      return false;
    }
    if (written > 0) {
      at += written;
      count -= (size_t)written;
    }
  }
  return true;
}

void lvn_transport_get_address(const struct lvn_transport *transport, char *ret_address, size_t address_bytes) {
  struct sockaddr_storage address = {0};
  socklen_t bytes = sizeof address;
  ret_address[0] = '\0';
  if (getpeername(transport->fd, (struct sockaddr *)&address, &bytes) != 0 ||
      getnameinfo((const struct sockaddr *)&address, bytes, ret_address, (socklen_t)address_bytes, NULL, 0,
                  NI_NUMERICHOST) != 0) {
    ret_address[0] = '\0';
    return;
  }
  static const char mapped[] = "::ffff:";
  if (strncmp(ret_address, mapped, sizeof mapped - 1) == 0 && strchr(ret_address, '.') != NULL) {
    memmove(ret_address, ret_address + sizeof mapped - 1, strlen(ret_address) - (sizeof mapped - 1) + 1);
  }
}

void lvn_transport_close(struct lvn_transport *transport) {
  if (transport->fd >= 0) {
    if (transport->layer->close != NULL) {
      transport->layer->close(transport->state);
    }
    (void)shutdown(transport->fd, SHUT_RDWR);
    (void)close(transport->fd);
    transport->fd = -1;
  }
}

void lvn_transport_destroy(struct lvn_transport *transport) {
  if (transport != NULL) {
    lvn_transport_close(transport);
    lvn_free(transport);
  }
}
