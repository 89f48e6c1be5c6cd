#include "daemon/receiver/reception.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/process.h"
#include "config/config_tls.h"
#include "daemon/receiver/listener.h"
#include "daemon/receiver/serve.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* DESIGN: the parent reads not one byte of a peer. It counts connections by address, which is all it knows, and forks.
 * The A-ASSOCIATE-RJ that tells a peer to come back later can only be sent after its request was read, so a connection
 * above a limit gets a child too, from a small stock; above that it is closed at once. */

#define ASSOCIATIONS_MAX 1024U /* the largest [reception] max_associations */
#define OVER_LIMIT_MAX 16U     /* children that only say "later" */
/* Connections at once from addresses that no peer has, from one and from all of them. They are asked who they are, for
 * the log and the answer, beside the places of the known peers and never in them. */
#define STRANGER_MAX 4U
#define STRANGERS_MAX 8U
#define SLOTS (ASSOCIATIONS_MAX + OVER_LIMIT_MAX + STRANGERS_MAX)
#define ACCEPTS_PER_TURN 32
#define PAUSE_SECONDS 0.2
#define CLOSED_LOG_SECONDS 10.0

struct connection {
  pid_t pid; /* 0: a free slot */
  bool is_over_limit;
  bool is_stranger;
  char address[LVN_LISTENER_ADDRESS_BYTES];
};

struct lvn_reception {
  struct lvn_config config;
  struct lvn_spool *spool;
  struct lvn_slots *slots;             /* slots[i] belongs to connections[i] */
  int listen_fds[LVN_RECEPTION_PORTS]; /* -1: none, or closed */
  struct lvn_tls *tls;                 /* NULL: none is configured */
  double paused_until_seconds;
  size_t closed_count; /* since closed_log_seconds */
  double closed_log_seconds;
  struct connection connections[SLOTS];
};

LVN_DEFINE_CLEANUP(lvn_reception, lvn_reception_close)

bool lvn_reception_open(const struct lvn_config *config, struct lvn_reception **ret_reception, struct lvn_error *err) {
  LVN_CLEANUP(lvn_reception_cleanup) struct lvn_reception *reception = lvn_alloc(1, sizeof *reception, err);
  if (reception == NULL) {
    return false;
  }
  reception->config = *config;
  for (size_t i = 0; i < LVN_RECEPTION_PORTS; i++) {
    reception->listen_fds[i] = -1;
  }
  if (!lvn_file_make_folder(config->state_folder, 0700, err) ||
      !lvn_spool_open(config->state_folder, &reception->spool, err) ||
      !lvn_slots_create(SLOTS, &reception->slots, err) || !lvn_config_load_tls(config, &reception->tls, err) ||
      !lvn_listener_open(config->listen_address, config->port, &reception->listen_fds[LVN_RECEPTION_PORT], err)) {
    return false;
  }
  if (config->tls_port != 0 && config->tls_port != config->port &&
      !lvn_listener_open(config->listen_address, config->tls_port, &reception->listen_fds[LVN_RECEPTION_TLS_PORT],
                         err)) {
    return false;
  }
  *ret_reception = lvn_steal(&reception);
  return true;
}

static void close_ports(struct lvn_reception *reception) {
  for (size_t i = 0; i < LVN_RECEPTION_PORTS; i++) {
    lvn_file_close_pointer(&reception->listen_fds[i]);
  }
}

void lvn_reception_close(struct lvn_reception *reception) {
  if (reception != NULL) {
    close_ports(reception);
    lvn_tls_release(reception->tls);
    lvn_spool_close(reception->spool);
    lvn_slots_destroy(reception->slots);
    lvn_free(reception);
  }
}

bool lvn_reception_set_config(struct lvn_reception *reception, const struct lvn_config *config, struct lvn_error *err) {
  struct lvn_tls *fresh = NULL;
  if (!lvn_config_load_tls(config, &fresh, err)) {
    return false;
  }
  lvn_tls_release(reception->tls);
  reception->tls = fresh;
  reception->config = *config;
  return true;
}

int lvn_reception_get_fd(const struct lvn_reception *reception, size_t port, double *io_wait_seconds) {
  double wait = reception->paused_until_seconds - lvn_clock_monotonic_seconds();
  if (reception->listen_fds[port] >= 0 && wait > 0) {
    *io_wait_seconds = wait < *io_wait_seconds ? wait : *io_wait_seconds;
    return -1;
  }
  return reception->listen_fds[port];
}

size_t lvn_reception_count(const struct lvn_reception *reception) {
  size_t count = 0;
  for (size_t i = 0; i < SLOTS; i++) {
    count += reception->connections[i].pid != 0;
  }
  return count;
}

/* Associations that this address may have at once: those of every peer that may call from it; 0: it is a stranger's. */
static size_t limit_of_address(const struct lvn_config *config, const char *address) {
  size_t limit = 0;
  for (size_t i = 0; i < config->peer_count; i++) {
    const struct lvn_config_peer *peer = &config->peers[i];
    if (lvn_config_admit(config, peer->aet, address) == peer) {
      limit += peer->max_associations;
    }
  }
  return limit;
}

struct place {
  size_t slot;        /* SLOTS: close the connection */
  bool is_over_limit; /* admit nobody on it */
  bool is_stranger;
};

static struct place find_place(const struct lvn_reception *reception, const char *address) {
  const size_t limit = limit_of_address(&reception->config, address);
  size_t all = 0;
  size_t of_address = 0;
  size_t over_limit = 0;
  size_t strangers = 0;
  size_t free_slot = SLOTS;
  for (size_t i = SLOTS; i-- > 0;) {
    const struct connection *connection = &reception->connections[i];
    if (connection->pid == 0) {
      free_slot = i;
      continue;
    }
    over_limit += connection->is_over_limit;
    strangers += connection->is_stranger;
    all += !connection->is_over_limit && !connection->is_stranger;
    of_address += !connection->is_over_limit && strcmp(connection->address, address) == 0;
  }
  struct place place = {.slot = free_slot, .is_stranger = limit == 0};
  if (place.is_stranger) {
    place.slot = strangers >= STRANGERS_MAX || of_address >= STRANGER_MAX ? SLOTS : free_slot;
    return place;
  }
  place.is_over_limit = all >= reception->config.max_associations || of_address >= limit;
  place.slot = place.is_over_limit && over_limit >= OVER_LIMIT_MAX ? SLOTS : free_slot;
  return place;
}

static void count_closed(struct lvn_reception *reception, const char *address) {
  double now = lvn_clock_monotonic_seconds();
  reception->closed_count++;
  if (now - reception->closed_log_seconds >= CLOSED_LOG_SECONDS || reception->closed_log_seconds <= 0) {
    lvn_log(LVN_LOG_WARNING, "event=connections-closed count=%zu last_address=%s reason=\"too many connections\"",
            reception->closed_count, address);
    reception->closed_count = 0;
    reception->closed_log_seconds = now;
  }
}

/* The child's whole life. */
static int serve(struct lvn_reception *reception, size_t slot, size_t port, int socket_fd, pid_t parent_pid) {
  const struct lvn_config *config = &reception->config;
  const struct lvn_store_options options = {
      .config = &reception->config,
      .spool = reception->spool,
      .slots = reception->slots,
      .slot = slot,
      .is_over_limit = reception->connections[slot].is_over_limit,
      .tls = port == LVN_RECEPTION_TLS_PORT || config->tls_port == config->port ? reception->tls : NULL,
      .takes_plain = port == LVN_RECEPTION_PORT};
  close_ports(reception);
  if (!lvn_process_enter_child("lvn-assoc", parent_pid, /* blocks_hangup= */ false)) {
    (void)close(socket_fd);
    return 1;
  }
  return lvn_serve_connection(&options, socket_fd, reception->connections[slot].address);
}

static void take_connection(struct lvn_reception *reception, size_t port, int socket_fd, const char *address) {
  struct lvn_error err;
  pid_t parent_pid = getpid();
  const struct place place = find_place(reception, address);
  const size_t slot = place.slot;
  if (slot == SLOTS) {
    count_closed(reception, address);
    (void)close(socket_fd);
    return;
  }
  struct connection *connection = &reception->connections[slot];
  connection->is_over_limit = place.is_over_limit;
  connection->is_stranger = place.is_stranger;
  (void)lvn_copy(connection->address, sizeof connection->address, address);
  lvn_slots_clear(reception->slots, slot);
  connection->pid = fork();
  if (connection->pid == 0) {
    const int status = serve(reception, slot, port, socket_fd, parent_pid);
    _exit(status); /* allow: the parent's exit handlers are not the child's */
  }
  if (connection->pid < 0) {
    connection->pid = 0;
    (void)lvn_error_set_errno(&err, errno, "cannot fork");
    lvn_log_error(LVN_LOG_ERROR, "connection-dropped", &err, "address=%s", address);
    reception->paused_until_seconds = lvn_clock_monotonic_seconds() + PAUSE_SECONDS;
  }
  (void)close(socket_fd);
}

void lvn_reception_accept(struct lvn_reception *reception, size_t port) {
  struct lvn_error err;
  for (int i = 0; i < ACCEPTS_PER_TURN && reception->listen_fds[port] >= 0; i++) {
    char address[LVN_LISTENER_ADDRESS_BYTES];
    int socket_fd = -1;
    if (!lvn_listener_accept(reception->listen_fds[port], &socket_fd, address, &err)) {
      lvn_log_error(LVN_LOG_ERROR, "accept-failed", &err, "connections=%zu", lvn_reception_count(reception));
      reception->paused_until_seconds = lvn_clock_monotonic_seconds() + PAUSE_SECONDS; /* the queue stays readable */
      return;
    }
    if (socket_fd < 0) {
      return;
    }
    take_connection(reception, port, socket_fd, address);
  }
}

bool lvn_reception_child_ended(struct lvn_reception *reception, pid_t pid, int wait_status) {
  char text[32];
  for (size_t i = 0; i < SLOTS; i++) {
    struct connection *connection = &reception->connections[i];
    if (connection->pid == pid) {
      if (wait_status != 0 && reception->listen_fds[LVN_RECEPTION_PORT] >= 0) {
        lvn_log(LVN_LOG_ERROR, "event=association-died child_pid=%ld address=%s %s", (long)pid, connection->address,
                lvn_process_describe_end(wait_status, text, sizeof text));
      }
      if (wait_status != 0) {
        lvn_spool_remove_dead(reception->spool); /* or the half object would stay until the next start */
      }
      connection->pid = 0;
      lvn_slots_clear(reception->slots, i);
      return true;
    }
  }
  return false;
}

static void kill_connections(struct lvn_reception *reception, bool admitted_too) {
  for (size_t i = 0; i < SLOTS; i++) {
    pid_t pid = reception->connections[i].pid;
    if (pid != 0 && (admitted_too || !lvn_slots_is_admitted(reception->slots, i))) {
      (void)kill(pid, SIGKILL);
    }
  }
}

void lvn_reception_stop(struct lvn_reception *reception) {
  close_ports(reception);
  kill_connections(reception, false);
}

void lvn_reception_kill_all(struct lvn_reception *reception) {
  kill_connections(reception, true);
}
