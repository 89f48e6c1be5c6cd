#include "daemon/pipeline/workflow/performer.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "daemon/pipeline/shared/web_server.h"
#include "daemon/pipeline/workflow/performer_inputs.h"
#include "daemon/pipeline/workflow/performer_report.h"
#include "dicom/web/model.h"
#include "dicom/web/ups.h"

/* DESIGN: every step is one that may be done again after a kill. The transaction UID is on the disk before the claim
 * goes out, since no server ever tells it again. A workitem whose claim had no answer is looked at: still scheduled, it
 * is claimed again; in progress, it is ours where an update by our transaction UID is taken. */

#define CLAIMS_PER_TURN 4U

struct performing {
  struct lvn_performer_turn *turn;
  const struct lvn_config_peer *manager;
  struct lvn_http *http;
};

/* What becomes of a workitem after a step; of no answer, it stays as it was until the next turn. */
enum next { KEEP, DROP };

static enum next fail(struct performing *p, const struct lvn_error *err) {
  (void)lvn_copy(p->turn->problem, sizeof p->turn->problem, err->message);
  return KEEP;
}

static void log_item(const struct lvn_workitem *item, enum lvn_log_level level, const char *event, const char *reason) {
  char name[LVN_WORKITEM_NAME_BYTES];
  char quoted[LVN_WORKITEM_REASON_BYTES + 64];
  lvn_workitem_name(item, name);
  lvn_log(level, "event=%s workitem=%s reason=%s", event, name, lvn_log_quote(quoted, sizeof quoted, reason));
}

static bool save(const struct performing *p, const struct lvn_workitem *item, struct lvn_error *err) {
  return lvn_workitem_write(p->turn->config.state_folder, item, err);
}

static bool change_state(const struct performing *p, const struct lvn_workitem *item, const char *state,
                         enum lvn_ups_outcome *ret_outcome, char message[256], struct lvn_error *err) {
  return lvn_ups_change_state(p->http, item->uid, state, item->transaction_uid, p->turn->config.ae_title, ret_outcome,
                              message, 256, err);
}

/* Takes the data set. */
static bool update(const struct performing *p, const struct lvn_workitem *item, json_t *changes,
                   enum lvn_ups_outcome *ret_outcome, struct lvn_error *err) {
  if (changes == NULL) {
    return lvn_error_set(err, LVN_ERROR_NOMEM, "a workitem's report cannot be made");
  }
  bool good = lvn_ups_update(p->http, item->uid, item->transaction_uid, changes, ret_outcome, err);
  json_decref(changes);
  return good;
}

/* ---- the end ---- */

/* A reason that the manager may not take, and a state that it must. */
static enum next cancel(struct performing *p, const struct lvn_workitem *item, const char *reason) {
  struct lvn_error err = {0};
  enum lvn_ups_outcome outcome = LVN_UPS_DONE;
  char message[256] = "";
  if (!update(p, item, lvn_performer_report_cancellation(reason), &outcome, &err) ||
      !change_state(p, item, "CANCELED", &outcome, message, &err)) {
    return fail(p, &err);
  }
  log_item(item, LVN_LOG_WARNING, outcome == LVN_UPS_DONE ? "workitem-cancelled" : "workitem-lost",
           outcome == LVN_UPS_DONE ? reason : message);
  return DROP;
}

static enum next complete(struct performing *p, const struct lvn_workitem *item,
                          const struct lvn_performer_order *order) {
  struct lvn_error err = {0};
  enum lvn_ups_outcome outcome = LVN_UPS_DONE;
  char message[256] = "";
  json_t *report = lvn_performer_report_completion(&p->turn->config, item, order);
  if (!update(p, item, report, &outcome, &err)) {
    return fail(p, &err);
  }
  if (outcome == LVN_UPS_DONE && !change_state(p, item, "COMPLETED", &outcome, message, &err)) {
    return fail(p, &err);
  }
  log_item(item, outcome == LVN_UPS_DONE ? LVN_LOG_INFO : LVN_LOG_WARNING,
           outcome == LVN_UPS_DONE ? "workitem-completed" : "workitem-lost",
           outcome == LVN_UPS_DONE ? "results are stored" : message);
  return DROP;
}

/* ---- the begin ---- */

/* Its state, "" where the manager has no such workitem. */
static bool read_state(const struct performing *p, const struct lvn_workitem *item, json_t **ret_workitem,
                       char ret_state[32], struct lvn_error *err) {
  enum lvn_ups_outcome outcome = LVN_UPS_DONE;
  ret_state[0] = '\0';
  return lvn_ups_get(p->http, item->uid, ret_workitem, &outcome, err) &&
         (outcome != LVN_UPS_DONE || lvn_model_get_text(*ret_workitem, "00741000", ret_state, 32) || true);
}

static enum next take_claim(struct performing *p, struct lvn_workitem *item) {
  struct lvn_error err = {0};
  item->state = LVN_WORKITEM_CLAIMED;
  item->claimed_ms = lvn_clock_wall_ms();
  if (!save(p, item, &err)) {
    return fail(p, &err); /* the next turn finds out that it is ours */
  }
  log_item(item, LVN_LOG_INFO, "workitem-claimed", "scheduled for this node");
  return KEEP;
}

/* In progress: is it by our claim? Its answer may have been lost, and libcurl sends a request again whose connection
 * had died, so that a conflict is no proof of another performer. */
static enum next check_lock(struct performing *p, struct lvn_workitem *item, const char *state) {
  struct lvn_error err = {0};
  enum lvn_ups_outcome outcome = LVN_UPS_CONFLICT;
  if (strcmp(state, "IN PROGRESS") == 0 &&
      !update(p, item, lvn_performer_report_progress(0, "claimed"), &outcome, &err)) {
    return fail(p, &err);
  }
  if (outcome == LVN_UPS_DONE) {
    return take_claim(p, item);
  }
  log_item(item, LVN_LOG_INFO, "workitem-not-claimed", "another performer has it, or it has ended");
  return DROP;
}

static enum next claim(struct performing *p, struct lvn_workitem *item) {
  struct lvn_error err = {0};
  enum lvn_ups_outcome outcome = LVN_UPS_DONE;
  LVN_AUTOJSON json_t *workitem = NULL;
  char message[256] = "";
  char state[32];
  if (!change_state(p, item, "IN PROGRESS", &outcome, message, &err)) {
    return fail(p, &err);
  }
  if (outcome == LVN_UPS_DONE) {
    return take_claim(p, item);
  }
  return read_state(p, item, &workitem, state, &err) ? check_lock(p, item, state) : fail(p, &err);
}

static enum next claim_again(struct performing *p, struct lvn_workitem *item) {
  struct lvn_error err = {0};
  LVN_AUTOJSON json_t *workitem = NULL;
  char state[32];
  if (!read_state(p, item, &workitem, state, &err)) {
    return fail(p, &err);
  }
  return strcmp(state, "SCHEDULED") == 0 ? claim(p, item) : check_lock(p, item, state);
}

static bool is_too_late(const struct performing *p, const struct lvn_workitem *item) {
  return lvn_clock_wall_ms() - item->claimed_ms > 1000 * (int64_t)p->turn->config.workitem_seconds_max;
}

static enum next fetch(struct performing *p, struct lvn_workitem *item) {
  struct lvn_error err = {0};
  enum lvn_ups_outcome outcome = LVN_UPS_DONE;
  LVN_AUTOJSON json_t *workitem = NULL;
  char state[32];
  char text[64];
  size_t objects = 0;
  if (!read_state(p, item, &workitem, state, &err)) {
    return fail(p, &err);
  }
  if (strcmp(state, "IN PROGRESS") != 0) {
    log_item(item, LVN_LOG_WARNING, "workitem-lost", "it is in progress no more");
    return DROP;
  }
  const struct lvn_performer_source source = {.config = &p->turn->config,
                                              .spool = p->turn->spool,
                                              .manager = p->manager,
                                              .is_cancelled = p->turn->is_cancelled,
                                              .user_data = p->turn->user_data};
  if (!lvn_performer_fetch(&source, workitem, item->study_uid, &objects, &err)) {
    if (lvn_error_is_transient(&err) && !is_too_late(p, item)) {
      return fail(p, &err);
    }
    return cancel(p, item, err.message);
  }
  item->state = LVN_WORKITEM_WORKING;
  item->fetched_ms = lvn_clock_wall_ms();
  if (!save(p, item, &err)) {
    return fail(p, &err);
  }
  (void)snprintf(text, sizeof text, "%zu objects were fetched", objects);
  log_item(item, LVN_LOG_INFO, "workitem-fetched", text);
  /* For people who watch: that it is not taken changes nothing. */
  (void)!update(p, item, lvn_performer_report_progress(30, "inputs are fetched"), &outcome, &err);
  return KEEP;
}

/* The manager may have ended it meanwhile. */
static enum next work(struct performing *p, const struct lvn_workitem *item, const struct lvn_performer_order *order) {
  struct lvn_error err = {0};
  LVN_AUTOJSON json_t *workitem = NULL;
  char state[32];
  if (order->kind == LVN_PERFORM_WAIT) {
    return KEEP;
  }
  if (!read_state(p, item, &workitem, state, &err)) {
    return fail(p, &err);
  }
  if (strcmp(state, "IN PROGRESS") != 0) {
    log_item(item, LVN_LOG_WARNING, "workitem-lost", "it is in progress no more");
    return DROP;
  }
  return order->kind == LVN_PERFORM_COMPLETE ? complete(p, item, order) : cancel(p, item, order->reason);
}

static enum next step(struct performing *p, struct lvn_workitem *item, const struct lvn_performer_order *order) {
  enum next next = KEEP;
  if (item->state == LVN_WORKITEM_CLAIMING) {
    next = claim_again(p, item);
  }
  if (next == KEEP && item->state == LVN_WORKITEM_CLAIMED) {
    return fetch(p, item);
  }
  return next == KEEP && item->state == LVN_WORKITEM_WORKING ? work(p, item, order) : next;
}

/* ---- a turn ---- */

static void drop(struct lvn_performer_turn *turn, size_t number) {
  struct lvn_error err;
  if (!lvn_workitem_remove(turn->config.state_folder, &turn->items[number], &err)) {
    lvn_log_error(LVN_LOG_WARNING, "workitem-not-removed", &err, "action=ignored");
  }
  lvn_free(turn->orders[number].outputs);
  turn->count--;
  for (size_t i = number; i < turn->count; i++) {
    turn->items[i] = turn->items[i + 1];
    turn->orders[i] = turn->orders[i + 1];
  }
  turn->orders[turn->count] = (struct lvn_performer_order){0};
}

static bool make_transaction_uid(char ret_uid[LVN_UID_BYTES], struct lvn_error *err) {
  uint8_t random[16];
  char text[33];
  const char *parts[] = {"transaction", text};
  if (!lvn_file_random(random, sizeof random, err)) {
    return false;
  }
  for (size_t i = 0; i < sizeof random; i++) {
    (void)snprintf(text + 2 * i, 3, "%02x", random[i]);
  }
  return lvn_uid_from_parts(parts, 2, ret_uid, err);
}

static bool has_item(const struct lvn_performer_turn *turn, const char *uid) {
  for (size_t i = 0; i < turn->count; i++) {
    if (strcmp(turn->items[i].uid, uid) == 0) {
      return true;
    }
  }
  return false;
}

static void take_new(struct performing *p, const char *uid) {
  struct lvn_performer_turn *turn = p->turn;
  struct lvn_error err = {0};
  struct lvn_workitem *item = &turn->items[turn->count];
  *item = (struct lvn_workitem){.state = LVN_WORKITEM_CLAIMING, .claimed_ms = lvn_clock_wall_ms()};
  (void)lvn_copy(item->uid, sizeof item->uid, uid);
  if (!make_transaction_uid(item->transaction_uid, &err) || !save(p, item, &err)) {
    (void)fail(p, &err);
    return;
  }
  turn->orders[turn->count] = (struct lvn_performer_order){0};
  turn->count++;
  enum next next = claim(p, item);
  if (next == KEEP && item->state == LVN_WORKITEM_CLAIMED) {
    next = fetch(p, item);
  }
  if (next == DROP) {
    drop(turn, turn->count - 1);
  }
}

static void look_for_new(struct performing *p) {
  struct lvn_error err = {0};
  char value[64];
  char scheme[64];
  LVN_AUTOFREE char(*uids)[LVN_UID_BYTES] = NULL;
  size_t count = 0;
  lvn_performer_split_code(&p->turn->config, value, scheme);
  if (!lvn_ups_search(p->http, value, scheme, CLAIMS_PER_TURN, &uids, &count, &err)) {
    (void)fail(p, &err);
    return;
  }
  for (size_t i = 0; i < count && p->turn->count < LVN_WORKITEMS_MAX && p->turn->problem[0] == '\0'; i++) {
    if (!has_item(p->turn, uids[i])) {
      take_new(p, uids[i]);
    }
  }
}

void lvn_performer_run(struct lvn_performer_turn *turn) {
  struct lvn_error err = {0};
  struct performing p = {.turn = turn, .manager = lvn_config_find_peer(&turn->config, turn->config.workitem_manager)};
  turn->problem[0] = '\0';
  if (p.manager == NULL) {
    return;
  }
  struct lvn_http_server server =
      lvn_web_server_of_peer(p.manager, turn->config.connect_seconds, turn->config.dimse_seconds);
  server.is_cancelled = turn->is_cancelled;
  server.user_data = turn->user_data;
  if (!lvn_http_open(&server, &p.http, &err)) {
    (void)fail(&p, &err);
    return;
  }
  for (size_t i = 0; i < turn->count;) {
    if (step(&p, &turn->items[i], &turn->orders[i]) == DROP) {
      drop(turn, i);
    } else {
      i++;
    }
  }
  if (turn->may_claim && turn->problem[0] == '\0') {
    look_for_new(&p);
  }
  lvn_http_close(p.http);
}
