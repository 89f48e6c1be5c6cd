#include "daemon/pipeline/workflow/workflow.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "daemon/pipeline/shared/tick.h"
#include "daemon/pipeline/workflow/performer.h"

/* DESIGN: `turn` belongs to the thread from its begin until is_done, else to the pipeline's thread. */

#define LOOK_MS INT64_C(1000)
#define SETTLED_EXTRA_MS 3000
#define DESTROY_SECONDS 5.0

struct lvn_workflow {
  struct lvn_workflow_needs needs;
  struct lvn_loop_source *source;
  int event_fd;
  struct lvn_performer_turn *turn; /* its items are kept between turns */
  pthread_t thread;
  bool is_running;
  atomic_bool is_done; /* set by the thread as its last */
  bool is_read;        /* the files of the workitems */
  atomic_bool stops;
  int64_t next_poll_ms; /* monotonic */
  int64_t next_look_ms;
  char problem[256];
};

static void drain(void *user_data) {
  const struct lvn_workflow *workflow = user_data;
  uint64_t ignored = 0;
  (void)!read(workflow->event_fd, &ignored, sizeof ignored);
}

bool lvn_workflow_create(const struct lvn_workflow_needs *needs, struct lvn_workflow **ret_workflow,
                         struct lvn_error *err) {
  struct lvn_workflow *workflow = lvn_alloc(1, sizeof *workflow, err);
  if (workflow == NULL) {
    return false;
  }
  workflow->needs = *needs;
  workflow->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  workflow->turn = lvn_alloc(1, sizeof *workflow->turn, err);
  if (workflow->event_fd < 0 || workflow->turn == NULL ||
      !lvn_loop_add_fd(needs->loop, workflow->event_fd, drain, workflow, &workflow->source, err)) {
    (void)(workflow->event_fd >= 0 || lvn_error_set_errno(err, errno, "cannot make an eventfd"));
    lvn_workflow_destroy(workflow);
    return false;
  }
  *ret_workflow = workflow;
  return true;
}

static void forget_orders(struct lvn_performer_turn *turn) {
  for (size_t i = 0; i < LVN_WORKITEMS_MAX; i++) {
    lvn_free(turn->orders[i].outputs);
    turn->orders[i] = (struct lvn_performer_order){0};
  }
}

void lvn_workflow_destroy(struct lvn_workflow *workflow) {
  if (workflow == NULL) {
    return;
  }
  double deadline = lvn_clock_monotonic_seconds() + DESTROY_SECONDS;
  atomic_store(&workflow->stops, true);
  lvn_loop_source_destroy(workflow->source);
  while (workflow->is_running && !atomic_load(&workflow->is_done) && lvn_clock_monotonic_seconds() < deadline) {
    lvn_clock_sleep_seconds(0.02);
  }
  if (workflow->is_running && !atomic_load(&workflow->is_done)) {
    return; /* a thread inside a network wait still uses all this: it ends with the process */
  }
  if (workflow->is_running) {
    (void)pthread_join(workflow->thread, NULL);
  }
  if (workflow->turn != NULL) {
    forget_orders(workflow->turn);
  }
  lvn_free(workflow->turn);
  lvn_file_close_pointer(&workflow->event_fd);
  lvn_free(workflow);
}

const char *lvn_workflow_problem(const struct lvn_workflow *workflow) {
  return workflow->problem;
}

void lvn_workflow_stop(struct lvn_workflow *workflow) {
  atomic_store(&workflow->stops, true);
}

/* ---- what is to become of a workitem ---- */

static void order_cancel(struct lvn_performer_order *order, const char *what, const char *why) {
  order->kind = LVN_PERFORM_CANCEL;
  (void)snprintf(order->reason, sizeof order->reason, "%s%.400s", what, why);
}

/* The results are where they should be, all of them. */
static bool order_completion(const struct lvn_workflow *workflow, int64_t job_id, struct lvn_performer_order *order,
                             struct lvn_error *err) {
  size_t sent = 0;
  const char *failed = NULL;
  if (!lvn_outbox_list_of_job(workflow->needs.index, job_id, &order->outputs, &order->output_count, err)) {
    return false;
  }
  for (size_t i = 0; i < order->output_count; i++) {
    const struct lvn_outbox_row *row = &order->outputs[i];
    sent += row->state == LVN_OUTBOX_SENT || row->state == LVN_OUTBOX_COMMITTED ? 1 : 0;
    failed = row->state == LVN_OUTBOX_FAILED ? row->status_message : failed;
  }
  if (failed != NULL) {
    order_cancel(order, "the results could not be delivered: ", failed);
  } else if (sent == order->output_count) {
    order->kind = LVN_PERFORM_COMPLETE;
  }
  return true;
}

static bool order_by_study(const struct lvn_workflow *workflow, const struct lvn_workitem *item,
                           const struct lvn_index_study *study, struct lvn_performer_order *order,
                           struct lvn_error *err) {
  const int64_t now_ms = lvn_clock_wall_ms();
  if (study->state == LVN_STUDY_DONE && study->latest_job_id != 0) {
    if (!order_completion(workflow, study->latest_job_id, order, err)) {
      return false;
    }
  } else if (study->state == LVN_STUDY_FAILED || study->state == LVN_STUDY_REJECTED) {
    order_cancel(order, "", study->status_message);
  }
  if (order->kind == LVN_PERFORM_WAIT &&
      now_ms - item->claimed_ms > 1000 * (int64_t)workflow->needs.config->workitem_seconds_max) {
    order_cancel(order, "no result within workitem_seconds_max: ", study->status_message);
  }
  return true;
}

/* Not before what was fetched is in the index and the study has settled on it. */
static bool is_settled(const struct lvn_workflow *workflow, const struct lvn_workitem *item) {
  const int64_t wait_ms = 1000 * (int64_t)workflow->needs.config->settle_seconds + SETTLED_EXTRA_MS;
  return lvn_clock_wall_ms() - item->fetched_ms > wait_ms &&
         !workflow->needs.holds_study(workflow->needs.user_data, item->study_uid);
}

/* *ret_is_due: there is something to tell the manager. */
static bool give_orders(struct lvn_workflow *workflow, bool *ret_is_due, struct lvn_error *err) {
  struct lvn_performer_turn *turn = workflow->turn;
  forget_orders(turn);
  for (size_t i = 0; i < turn->count; i++) {
    LVN_AUTOFREE struct lvn_index_study *studies = NULL;
    size_t count = 0;
    const struct lvn_index_study_filter filter = {.study_uid = turn->items[i].study_uid, .limit = 1};
    if (turn->items[i].state != LVN_WORKITEM_WORKING || !is_settled(workflow, &turn->items[i])) {
      continue;
    }
    if (!lvn_index_list_studies(workflow->needs.index, &filter, &studies, &count, err)) {
      return false;
    }
    if (count == 0) {
      order_cancel(&turn->orders[i], "", "the study is here no more");
    } else if (!order_by_study(workflow, &turn->items[i], &studies[0], &turn->orders[i], err)) {
      return false;
    }
    *ret_is_due = *ret_is_due || turn->orders[i].kind != LVN_PERFORM_WAIT;
  }
  return true;
}

/* ---- turns ---- */

static void *run_turn(void *pointer) {
  struct lvn_workflow *workflow = pointer;
  const uint64_t one = 1;
  lvn_performer_run(workflow->turn);
  atomic_store(&workflow->is_done, true);
  (void)!write(workflow->event_fd, &one, sizeof one);
  return NULL;
}

static bool is_stopping(void *user_data) {
  struct lvn_workflow *workflow = user_data;
  return atomic_load(&workflow->stops);
}

static bool begin_turn(struct lvn_workflow *workflow, struct lvn_error *err) {
  struct lvn_performer_turn *turn = workflow->turn;
  turn->config = *workflow->needs.config;
  turn->spool = workflow->needs.spool;
  turn->is_cancelled = is_stopping;
  turn->user_data = workflow;
  turn->may_claim = turn->count < LVN_WORKITEMS_MAX;
  atomic_store(&workflow->is_done, false);
  int status = pthread_create(&workflow->thread, NULL, run_turn, workflow);
  workflow->is_running = status == 0;
  return workflow->is_running || lvn_error_set_errno(err, status, "cannot start a thread for workitems");
}

static void end_turn(struct lvn_workflow *workflow) {
  if (workflow->is_running && atomic_load(&workflow->is_done)) {
    (void)pthread_join(workflow->thread, NULL);
    workflow->is_running = false;
    if (workflow->turn->problem[0] == '\0') {
      workflow->problem[0] = '\0';
      return;
    }
    if (workflow->problem[0] == '\0') {
      char quoted[300];
      lvn_log(LVN_LOG_WARNING, "event=workitem-manager-failed action=retry reason=%s",
              lvn_log_quote(quoted, sizeof quoted, workflow->turn->problem));
    }
    (void)snprintf(workflow->problem, sizeof workflow->problem, "the workitem manager: %.220s",
                   workflow->turn->problem);
  }
}

static bool look(struct lvn_workflow *workflow, int64_t now_ms, struct lvn_error *err) {
  bool is_due = now_ms >= workflow->next_poll_ms;
  if (!workflow->is_read) {
    workflow->is_read =
        lvn_workitem_read_all(workflow->needs.config->state_folder, workflow->turn->items, &workflow->turn->count, err);
    if (!workflow->is_read) {
      return false;
    }
  }
  if (!give_orders(workflow, &is_due, err)) {
    return false;
  }
  if (!is_due) {
    return true;
  }
  workflow->next_poll_ms = now_ms + 1000 * (int64_t)workflow->needs.config->poll_seconds;
  return begin_turn(workflow, err);
}

int64_t lvn_workflow_tick(struct lvn_workflow *workflow, int64_t now_ms) {
  struct lvn_error err = {0};
  end_turn(workflow);
  if (atomic_load(&workflow->stops) || workflow->needs.config->workitem_manager[0] == '\0' || workflow->is_running) {
    return LVN_TICK_NEVER;
  }
  if (now_ms >= workflow->next_look_ms) {
    workflow->next_look_ms = now_ms + LOOK_MS;
    if (!look(workflow, now_ms, &err)) {
      (void)snprintf(workflow->problem, sizeof workflow->problem, "workitems: %.220s", err.message);
    }
  }
  const bool has_items = workflow->turn->count > 0;
  return workflow->is_running ? LVN_TICK_NEVER : has_items ? workflow->next_look_ms : workflow->next_poll_ms;
}
