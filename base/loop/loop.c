#include "base/loop/loop.h"

#include <errno.h>
#include <signal.h>
#include <sys/epoll.h>

#include <systemd/sd-event.h>

#define EVENTS_PER_WAIT 64 /* of a flood; the caller has other things to do, too */

struct lvn_loop {
  sd_event *event;
};

struct lvn_loop_source {
  sd_event_source *event_source;
  lvn_loop_handler handler;
  lvn_loop_signal_handler signal_handler;
  void *user_data;
};

static bool fail(struct lvn_error *err, int result, const char *what) {
  return result >= 0 || lvn_error_set_errno(err, -result, "%s", what);
}

bool lvn_loop_create(struct lvn_loop **ret_loop, struct lvn_error *err) {
  LVN_AUTOFREE struct lvn_loop *loop = lvn_alloc(1, sizeof *loop, err);
  if (loop == NULL || !fail(err, sd_event_new(&loop->event), "cannot make an event loop")) {
    return false;
  }
  *ret_loop = lvn_steal(&loop);
  return true;
}

void lvn_loop_destroy(struct lvn_loop *loop) {
  if (loop != NULL) {
    (void)sd_event_unref(loop->event);
    lvn_free(loop);
  }
}

static int on_fd(sd_event_source *event_source, int fd, uint32_t events, void *user_data) {
  const struct lvn_loop_source *source = user_data;
  (void)event_source;
  (void)fd;
  (void)events;
  source->handler(source->user_data);
  return 0;
}

static int on_signal(sd_event_source *event_source, const struct signalfd_siginfo *info, void *user_data) {
  const struct lvn_loop_source *source = user_data;
  (void)event_source;
  source->signal_handler(source->user_data, (int)info->ssi_signo);
  return 0;
}

bool lvn_loop_add_fd(struct lvn_loop *loop, int fd, lvn_loop_handler handler, void *user_data,
                     struct lvn_loop_source **ret_source, struct lvn_error *err) {
  LVN_AUTOFREE struct lvn_loop_source *source = lvn_alloc(1, sizeof *source, err);
  if (source == NULL || !fail(err, sd_event_add_io(loop->event, &source->event_source, fd, EPOLLIN, on_fd, source),
                              "cannot wait for a descriptor")) {
    return false;
  }
  source->handler = handler;
  source->user_data = user_data;
  *ret_source = lvn_steal(&source);
  return true;
}

void lvn_loop_watch_writes(struct lvn_loop_source *source, bool wants) {
  (void)sd_event_source_set_io_events(source->event_source, wants ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

bool lvn_loop_add_signal(struct lvn_loop *loop, int signal_number, lvn_loop_signal_handler handler, void *user_data,
                         struct lvn_loop_source **ret_source, struct lvn_error *err) {
  sigset_t signals;
  LVN_AUTOFREE struct lvn_loop_source *source = lvn_alloc(1, sizeof *source, err);
  (void)sigemptyset(&signals);
  (void)sigaddset(&signals, signal_number);
  (void)sigprocmask(SIG_BLOCK, &signals, NULL);
  if (source == NULL ||
      !fail(err, sd_event_add_signal(loop->event, &source->event_source, signal_number, on_signal, source),
            "cannot wait for a signal")) {
    return false;
  }
  source->signal_handler = handler;
  source->user_data = user_data;
  *ret_source = lvn_steal(&source);
  return true;
}

void lvn_loop_source_destroy(struct lvn_loop_source *source) {
  if (source != NULL) {
    (void)sd_event_source_disable_unref(source->event_source);
    lvn_free(source);
  }
}

bool lvn_loop_feed_watchdog(struct lvn_loop *loop, struct lvn_error *err) {
  return fail(err, sd_event_set_watchdog(loop->event, 1), "cannot feed the watchdog");
}

bool lvn_loop_wait(struct lvn_loop *loop, int64_t timeout_ms, struct lvn_error *err) {
  int result = sd_event_run(loop->event, timeout_ms < 0 ? UINT64_MAX : 1000 * (uint64_t)timeout_ms);
  for (int i = 1; result > 0 && i < EVENTS_PER_WAIT; i++) {
    result = sd_event_run(loop->event, 0);
  }
  return fail(err, result, "the event loop failed");
}
