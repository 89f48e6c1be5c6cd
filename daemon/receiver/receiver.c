#include "daemon/receiver/receiver.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/loop/loop.h"
#include "base/memory.h"
#include "base/process.h"
#include "daemon/receiver/reception.h"

#include <signal.h>
#include <sys/wait.h>

/* DESIGN: one thread, one loop. Everything that a peer can hold up or break happens in children; this process reads not
 * one byte of a peer, so it has nothing to lose and little to crash of. */

#define SIGNALS 4
#define DRAIN_SECONDS 30.0
#define WAIT_MAX_SECONDS 60.0

struct receiver {
  const char *config_path;
  struct lvn_config *config;
  struct lvn_reception *reception;
  struct lvn_loop *loop;
  struct lvn_loop_source *signals[SIGNALS];
  struct port {
    struct receiver *receiver;
    struct lvn_loop_source *connections; /* NULL while none is to be accepted */
  } ports[LVN_RECEPTION_PORTS];
  bool stops;
  bool has_cut; /* the associations had their time */
  double cut_at_seconds;
};

/* Before the reception closes its port, or while it wants no more there. */
static void stop_accepting(struct port *port) {
  lvn_loop_source_destroy(port->connections);
  port->connections = NULL;
}

static void stop_accepting_all(struct receiver *receiver) {
  for (size_t i = 0; i < LVN_RECEPTION_PORTS; i++) {
    stop_accepting(&receiver->ports[i]);
  }
}

static void accept_connections(void *user_data) {
  struct port *port = user_data;
  struct receiver *receiver = port->receiver;
  const size_t number = (size_t)(port - receiver->ports);
  double ignored = 0;
  if (lvn_reception_get_fd(receiver->reception, number, &ignored) < 0) {
    stop_accepting(port);
    return;
  }
  lvn_reception_accept(receiver->reception, number);
}

static void reload(struct receiver *receiver) {
  struct lvn_error err;
  struct lvn_config *fresh = lvn_alloc(1, sizeof *fresh, &err);
  if (fresh == NULL || !lvn_config_load(receiver->config_path, fresh, &err)) {
    lvn_log_error(LVN_LOG_ERROR, "reload-failed", &err, "action=old-configuration-kept");
    lvn_free(fresh);
    return;
  }
  lvn_config_keep_fixed(receiver->config, fresh);
  if (!lvn_reception_set_config(receiver->reception, fresh, &err)) {
    lvn_log_error(LVN_LOG_ERROR, "reload-failed", &err, "action=old-configuration-kept");
    lvn_free(fresh);
    return;
  }
  lvn_free(receiver->config);
  receiver->config = fresh;
  lvn_log_setup("receiver", lvn_log_level_from_name(fresh->log_level));
  lvn_log(LVN_LOG_NOTICE, "event=reloaded peers=%zu", fresh->peer_count);
}

static void stop(struct receiver *receiver, int signal_number) {
  if (receiver->stops) {
    return;
  }
  receiver->stops = true;
  receiver->cut_at_seconds = lvn_clock_monotonic_seconds() + DRAIN_SECONDS;
  stop_accepting_all(receiver);
  lvn_reception_stop(receiver->reception);
  lvn_log(LVN_LOG_NOTICE, "event=stopping signal=%d connections=%zu", signal_number,
          lvn_reception_count(receiver->reception));
}

/* One SIGCHLD may stand for several children. */
static void reap(const struct receiver *receiver) {
  int status = 0;
  for (pid_t pid = waitpid(-1, &status, WNOHANG); pid > 0; pid = waitpid(-1, &status, WNOHANG)) {
    (void)lvn_reception_child_ended(receiver->reception, pid, status);
  }
}

static void take_signal(void *user_data, int signal_number) {
  struct receiver *receiver = user_data;
  if (signal_number == SIGCHLD) {
    reap(receiver);
  } else if (signal_number == SIGHUP) {
    reload(receiver);
  } else {
    stop(receiver, signal_number);
  }
}

/* Lowers *io_wait_seconds to when connections are to be accepted again. */
static bool watch_ports(struct receiver *receiver, double *io_wait_seconds, struct lvn_error *err) {
  for (size_t i = 0; i < LVN_RECEPTION_PORTS; i++) {
    struct port *port = &receiver->ports[i];
    int fd = lvn_reception_get_fd(receiver->reception, i, io_wait_seconds);
    if (fd < 0) {
      stop_accepting(port);
    } else if (port->connections == NULL &&
               !lvn_loop_add_fd(receiver->loop, fd, accept_connections, port, &port->connections, err)) {
      return false;
    }
  }
  return true;
}

/* Cuts what is open when its time is over. Returns how long to wait for that. */
static double advance_stop(struct receiver *receiver) {
  double left_seconds = receiver->cut_at_seconds - lvn_clock_monotonic_seconds();
  if (!receiver->stops || receiver->has_cut) {
    return WAIT_MAX_SECONDS;
  }
  if (left_seconds > 0) {
    return left_seconds;
  }
  lvn_log(LVN_LOG_WARNING, "event=associations-cut count=%zu after_seconds=%.0f",
          lvn_reception_count(receiver->reception), DRAIN_SECONDS);
  lvn_reception_kill_all(receiver->reception);
  receiver->has_cut = true;
  return WAIT_MAX_SECONDS;
}

static bool run(struct receiver *receiver, struct lvn_error *err) {
  while (!receiver->stops || lvn_reception_count(receiver->reception) > 0) {
    double wait_seconds = advance_stop(receiver);
    if (!watch_ports(receiver, &wait_seconds, err) ||
        !lvn_loop_wait(receiver->loop, (int64_t)(wait_seconds * 1000) + 1, err)) {
      return false;
    }
  }
  return true;
}

static bool open_all(struct receiver *receiver, const struct lvn_config *config, struct lvn_error *err) {
  static const int signals[SIGNALS] = {SIGTERM, SIGINT, SIGHUP, SIGCHLD};
  receiver->config = lvn_alloc(1, sizeof *receiver->config, err);
  if (receiver->config == NULL) {
    return false;
  }
  *receiver->config = *config;
  for (size_t i = 0; i < LVN_RECEPTION_PORTS; i++) {
    receiver->ports[i].receiver = receiver;
  }
  bool good = lvn_loop_create(&receiver->loop, err);
  for (size_t i = 0; good && i < SIGNALS; i++) {
    good = lvn_loop_add_signal(receiver->loop, signals[i], take_signal, receiver, &receiver->signals[i], err);
  }
  return good && lvn_reception_open(config, &receiver->reception, err);
}

static void close_all(struct receiver *receiver) {
  stop_accepting_all(receiver);
  for (size_t i = 0; i < SIGNALS; i++) {
    lvn_loop_source_destroy(receiver->signals[i]);
  }
  lvn_loop_destroy(receiver->loop);
  lvn_reception_close(receiver->reception);
  lvn_free(receiver->config);
}

int lvn_receiver_run(const char *config_path, const struct lvn_config *config) {
  struct lvn_error err = {0};
  struct receiver receiver = {.config_path = config_path};
  bool good = open_all(&receiver, config, &err);
  if (good) {
    lvn_log(LVN_LOG_NOTICE, "event=listening address=%s port=%u tls_port=%u ae_title=\"%s\" peers=%zu",
            config->listen_address, config->port, config->tls_port, config->ae_title, config->peer_count);
    lvn_process_tell_ready();
    good = run(&receiver, &err);
    if (!good) {
      lvn_log_error(LVN_LOG_ERROR, "receiver-failed", &err, "action=exit");
    }
  } else {
    lvn_log_error(LVN_LOG_ERROR, "start-failed", &err, "%s", "");
  }
  close_all(&receiver);
  return good ? 0 : 1;
}
