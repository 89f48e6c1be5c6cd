#include "daemon/audit/forward.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "daemon/audit/audit.h"
#include "daemon/audit/queue.h"
#include "dicom/net/transport/tls_call.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/sockios.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define LOOK_SECONDS 1.0
#define PAUSE_MAX_SECONDS 60.0
#define NETWORK_SECONDS 10.0
#define CONFIRM_PAUSE_SECONDS 0.02

struct connection {
  struct lvn_tls_call *call;
  struct lvn_transport *transport; /* NULL: none */
  int fd;                          /* the transport's */
};

struct lvn_audit_forward {
  pthread_t thread;
  pthread_mutex_t mutex; /* guards what follows */
  pthread_cond_t wake;
  struct lvn_config config;
  bool is_changed;
  bool stops;
};

static void disconnect(struct connection *connection) {
  lvn_transport_destroy(connection->transport);
  lvn_tls_call_destroy(connection->call);
  *connection = (struct connection){.fd = -1};
}

static bool connect_one(const struct addrinfo *address, int *ret_fd, struct lvn_error *err) {
  LVN_AUTOCLOSE int fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  struct pollfd wait = {.fd = fd, .events = POLLOUT};
  int status = 0;
  socklen_t bytes = sizeof status;
  if (fd < 0) {
    return lvn_error_set_errno(err, errno, "cannot make a socket");
  }
  if (connect(fd, address->ai_addr, address->ai_addrlen) != 0) {
    status = errno;
    if (status == EINPROGRESS) {
      status = poll(&wait, 1, (int)(1000 * NETWORK_SECONDS)) == 1 &&
                       getsockopt(fd, SOL_SOCKET, SO_ERROR, &status, &bytes) == 0
                   ? status
                   : ETIMEDOUT;
    }
  }
  if (status != 0) {
    return lvn_error_set_errno(err, status, "cannot connect");
  }
  *ret_fd = fd;
  fd = -1;
  return true;
}

static bool connect_any(const struct lvn_config *config, int *ret_fd, struct lvn_error *err) {
  const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
  struct addrinfo *addresses = NULL;
  char port[8];
  bool good = false;
  (void)snprintf(port, sizeof port, "%u", (unsigned)config->audit_port);
  const int status = getaddrinfo(config->audit_host, port, &hints, &addresses);
  if (status != 0) {
    return lvn_error_set(err, LVN_ERROR_IO, "%s", gai_strerror(status));
  }
  for (const struct addrinfo *at = addresses; at != NULL && !good; at = at->ai_next) {
    good = connect_one(at, ret_fd, err);
  }
  freeaddrinfo(addresses);
  return good;
}

static bool open_connection(const struct lvn_config *config, struct connection *connection, struct lvn_error *err) {
  const struct lvn_tls_expected expected = {.certificate = config->audit_certificate, .host = config->audit_host};
  struct lvn_tls *tls = lvn_tls_hold_current();
  bool good = tls != NULL ? lvn_tls_call_create(tls, NULL, &expected, &connection->call, err)
                          : lvn_error_set(err, LVN_ERROR_USAGE, "no certificate is configured");
  lvn_tls_release(tls);
  good =
      good && connect_any(config, &connection->fd, err) &&
      lvn_transport_open(connection->fd, false, lvn_tls_call_get_layer(connection->call), &connection->transport, err);
  if (good) {
    lvn_transport_set_end(connection->transport, NETWORK_SECONDS);
    good = lvn_transport_handshake(connection->transport, err);
    lvn_transport_set_end(connection->transport, 0);
  }
  if (!good) {
    disconnect(connection);
  }
  return good;
}

static bool fail_sending(const struct connection *connection, struct lvn_error *err) {
  const char *problem = lvn_tls_call_get_problem(connection->call);
  return lvn_error_set(err, LVN_ERROR_IO, "the connection ended%s%s", problem[0] != '\0' ? ": " : "", problem);
}

/* Nothing ever comes from a repository but the end. */
static bool is_alive(const struct connection *connection) {
  char byte = 0;
  return !lvn_transport_wait(connection->transport, 0) || lvn_transport_read(connection->transport, &byte, 1) > 0;
}

/* RFC 5425 4.3: MSG-LEN SP SYSLOG-MSG. */
static bool send_lines(const struct connection *connection, const char *lines, size_t bytes, struct lvn_error *err) {
  bool good = is_alive(connection);
  for (const char *at = lines; good && at < lines + bytes;) {
    char length[24];
    const char *end = memchr(at, '\n', (size_t)(lines + bytes - at));
    const int digits = snprintf(length, sizeof length, "%zu ", (size_t)(end - at));
    lvn_transport_start_wait(connection->transport, NETWORK_SECONDS);
    good = lvn_transport_write(connection->transport, length, (size_t)digits) &&
           lvn_transport_write(connection->transport, at, (size_t)(end - at));
    lvn_transport_end_wait(connection->transport);
    at = end + 1;
  }
  return good || fail_sending(connection, err);
}

/* Has the other machine taken all bytes, and is it still there? */
static bool confirm(const struct connection *connection, struct lvn_error *err) {
  const double until = lvn_clock_monotonic_seconds() + NETWORK_SECONDS;
  for (int waiting = 1; waiting > 0; lvn_clock_sleep_seconds(CONFIRM_PAUSE_SECONDS)) {
    if (ioctl(connection->fd, SIOCOUTQ, &waiting) != 0 || !is_alive(connection)) {
      return fail_sending(connection, err);
    }
    if (waiting > 0 && lvn_clock_monotonic_seconds() > until) {
      return lvn_error_set(err, LVN_ERROR_TIMEOUT, "the repository took no more bytes");
    }
  }
  return is_alive(connection) || fail_sending(connection, err);
}

static void tell_of_dropped(const struct lvn_config *config) {
  struct lvn_error err;
  struct lvn_audit_queue_state state;
  char text[80];
  if (!lvn_audit_queue_look(config, &state, &err) || state.dropped == 0) {
    return;
  }
  (void)snprintf(text, sizeof text, "%" PRIu64 " audit messages were dropped", state.dropped);
  if (lvn_audit_queue_forget_dropped(config, state.dropped, &err)) {
    lvn_log(LVN_LOG_WARNING, "event=audit-messages-dropped count=%" PRIu64, state.dropped);
    lvn_audit_write(
        config, &(struct lvn_audit_event){
                    .kind = LVN_AUDIT_MESSAGES_DROPPED, .has_failed = true, .description = text, .subject = "audit"});
  }
}

/* All that waits, or the first failure. */
static bool forward_all(const struct lvn_config *config, struct connection *connection, struct lvn_error *err) {
  for (;;) {
    LVN_AUTOFREE char *lines = NULL;
    size_t bytes = 0;
    if (!lvn_audit_queue_read(config, &lines, &bytes, err)) {
      return false;
    }
    if (bytes == 0) {
      return true;
    }
    if ((connection->transport == NULL && !open_connection(config, connection, err)) ||
        !send_lines(connection, lines, bytes, err) || !confirm(connection, err) ||
        !lvn_audit_queue_remove(config, bytes, err)) {
      return false;
    }
    tell_of_dropped(config);
  }
}

/* Until the time is over, the configuration changes or the end. */
static bool rest(struct lvn_audit_forward *forward, double seconds, struct lvn_config *io_config,
                 bool *ret_is_changed) {
  struct timespec until;
  (void)pthread_mutex_lock(&forward->mutex);
  (void)clock_gettime(CLOCK_MONOTONIC, &until);
  until.tv_sec += (time_t)seconds;
  while (!forward->stops && !forward->is_changed &&
         pthread_cond_timedwait(&forward->wake, &forward->mutex, &until) != ETIMEDOUT) {
  }
  *ret_is_changed = forward->is_changed;
  forward->is_changed = false;
  *io_config = forward->config;
  const bool goes_on = !forward->stops;
  (void)pthread_mutex_unlock(&forward->mutex);
  return goes_on;
}

static void *run(void *pointer) {
  struct lvn_audit_forward *forward = pointer;
  struct lvn_error err = {0};
  struct connection connection = {.fd = -1};
  double pause_seconds = LOOK_SECONDS;
  bool is_away = false;
  bool is_changed = false;
  LVN_AUTOFREE struct lvn_config *config = lvn_alloc(1, sizeof *config, &err);
  if (config == NULL) {
    lvn_log_error(LVN_LOG_ERROR, "audit-not-forwarded", &err, "%s", "");
    return NULL;
  }
  while (rest(forward, pause_seconds, config, &is_changed)) {
    if (is_changed) {
      disconnect(&connection);
      pause_seconds = LOOK_SECONDS;
    }
    if (config->audit_host[0] == '\0' || forward_all(config, &connection, &err)) {
      if (is_away) {
        lvn_log(LVN_LOG_NOTICE, "event=audit-repository-back host=%s", config->audit_host);
      }
      is_away = false;
      pause_seconds = LOOK_SECONDS;
      continue;
    }
    disconnect(&connection);
    if (!is_away) {
      lvn_log_error(LVN_LOG_WARNING, "audit-repository-away", &err, "host=%s action=messages-wait", config->audit_host);
    }
    is_away = true;
    pause_seconds = pause_seconds * 2 < PAUSE_MAX_SECONDS ? pause_seconds * 2 : PAUSE_MAX_SECONDS;
  }
  disconnect(&connection);
  return NULL;
}

bool lvn_audit_forward_start(const struct lvn_config *config, struct lvn_audit_forward **ret_forward,
                             struct lvn_error *err) {
  pthread_condattr_t attributes;
  struct lvn_audit_forward *forward = lvn_alloc(1, sizeof *forward, err);
  if (forward == NULL) {
    return false;
  }
  forward->config = *config;
  (void)pthread_mutex_init(&forward->mutex, NULL);
  (void)pthread_condattr_init(&attributes);
  (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
  (void)pthread_cond_init(&forward->wake, &attributes);
  (void)pthread_condattr_destroy(&attributes);
  const int status = pthread_create(&forward->thread, NULL, run, forward);
  if (status != 0) {
    (void)pthread_cond_destroy(&forward->wake);
    (void)pthread_mutex_destroy(&forward->mutex);
    lvn_free(forward);
    return lvn_error_set_errno(err, status, "cannot start the audit thread");
  }
  *ret_forward = forward;
  return true;
}

void lvn_audit_forward_set_config(struct lvn_audit_forward *forward, const struct lvn_config *config) {
  (void)pthread_mutex_lock(&forward->mutex);
  forward->config = *config;
  forward->is_changed = true;
  (void)pthread_cond_signal(&forward->wake);
  (void)pthread_mutex_unlock(&forward->mutex);
}

void lvn_audit_forward_stop(struct lvn_audit_forward *forward) {
  if (forward == NULL) {
    return;
  }
  (void)pthread_mutex_lock(&forward->mutex);
  forward->stops = true;
  (void)pthread_cond_signal(&forward->wake);
  (void)pthread_mutex_unlock(&forward->mutex);
  (void)pthread_join(forward->thread, NULL);
  (void)pthread_cond_destroy(&forward->wake);
  (void)pthread_mutex_destroy(&forward->mutex);
  lvn_free(forward);
}
