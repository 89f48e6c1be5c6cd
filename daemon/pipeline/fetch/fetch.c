#include "daemon/pipeline/fetch/fetch.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "daemon/pipeline/fetch/trip.h"
#include "daemon/pipeline/shared/errands.h"
#include "daemon/pipeline/shared/tick.h"
#include "storage/fetch.h"

#define RETRY_MS INT64_C(5000)
#define LOOK_MS INT64_C(1000) /* between two looks at who is next: any event ticks */
#define WATCH_MS INT64_C(500) /* between two looks at what is under way */
#define DEFER_MS INT64_C(600000)
#define DESTROY_SECONDS 10.0
#define SENDERS_BYTES (LVN_CONFIG_PEERS_MAX * LVN_AET_BYTES + 2U)

struct lvn_fetch {
  struct lvn_fetch_needs needs;
  struct lvn_errands *errands;
  struct lvn_loop_source *source;
  struct lvn_trip *trip; /* under way; the errands' */
  int noted_series;      /* of it, in the index */
  int64_t next_look_ms;
  int64_t due_ms;
  struct lvn_trouble trouble;
  bool stops;
};

static void wake(void *user_data) {
  (void)user_data; /* the tick that follows takes what has ended */
}

bool lvn_fetch_create(const struct lvn_fetch_needs *needs, struct lvn_fetch **ret_fetch, struct lvn_error *err) {
  struct lvn_fetch *fetch = lvn_alloc(1, sizeof *fetch, err);
  if (fetch == NULL) {
    return false;
  }
  fetch->needs = *needs;
  if (!lvn_errands_create(&fetch->errands, err) ||
      !lvn_loop_add_fd(needs->loop, lvn_errands_get_fd(fetch->errands), wake, fetch, &fetch->source, err)) {
    lvn_fetch_destroy(fetch);
    return false;
  }
  *ret_fetch = fetch;
  return true;
}

void lvn_fetch_destroy(struct lvn_fetch *fetch) {
  if (fetch != NULL) {
    lvn_loop_source_destroy(fetch->source);
    lvn_errands_destroy(fetch->errands, DESTROY_SECONDS);
    lvn_free(fetch);
  }
}

const char *lvn_fetch_problem(const struct lvn_fetch *fetch) {
  return fetch->trouble.text;
}

void lvn_fetch_stop(struct lvn_fetch *fetch) {
  fetch->stops = true;
  if (fetch->trip != NULL) {
    lvn_errand_end(&fetch->trip->errand);
  }
}

/* ---- whom to ask ---- */

/* Each between backslashes, which no AE title has. False: no peer is asked for anything. */
static bool list_senders(const struct lvn_config *config, char ret_senders[SENDERS_BYTES]) {
  size_t used = (size_t)snprintf(ret_senders, SENDERS_BYTES, "\\");
  for (size_t i = 0; i < config->peer_count; i++) {
    if (config->peers[i].query_from[0] != '\0' && used < SENDERS_BYTES) {
      used += (size_t)snprintf(ret_senders + used, SENDERS_BYTES - used, "%s\\", config->peers[i].aet);
    }
  }
  return used > 1;
}

/* The peer that was asked for it before, or the one that its sender's section names; NULL: none. */
static const struct lvn_config_peer *find_source(const struct lvn_config *config, const struct lvn_fetch_study *study) {
  const struct lvn_config_peer *peer = study->source[0] != '\0' ? lvn_config_find_peer(config, study->source) : NULL;
  if (peer == NULL) {
    const struct lvn_config_peer *sender = lvn_config_admit(config, study->source_aet, study->source_address);
    peer = sender != NULL && sender->query_from[0] != '\0' ? lvn_config_find_peer(config, sender->query_from) : NULL;
  }
  return peer;
}

static int64_t pause_ms(const struct lvn_config *config, int64_t attempt) {
  int64_t seconds = config->fetch_first_seconds;
  for (int64_t i = 0; i < attempt && seconds < (int64_t)config->fetch_max_seconds; i++) {
    seconds *= 2;
  }
  return 1000 * (seconds < (int64_t)config->fetch_max_seconds ? seconds : (int64_t)config->fetch_max_seconds);
}

static bool start(struct lvn_fetch *fetch, const struct lvn_fetch_study *study, const struct lvn_config_peer *peer,
                  int64_t wall_ms, struct lvn_error *err) {
  struct lvn_trip *trip = lvn_trip_create(fetch->needs.config, peer->name, err);
  if (trip == NULL) {
    return false;
  }
  trip->spool = fetch->needs.spool;
  trip->asked_ms = wall_ms;
  (void)lvn_copy(trip->study_uid, sizeof trip->study_uid, study->study_uid);
  (void)lvn_copy(trip->study_name, sizeof trip->study_name, study->name);
  if (!lvn_fetch_list_held(fetch->needs.index, study->study_uid, &trip->held, &trip->held_count, err) ||
      !lvn_index_last_sequence(fetch->needs.index, &trip->last_sequence, err) ||
      !lvn_fetch_begin(fetch->needs.index, study, peer->name, wall_ms + pause_ms(fetch->needs.config, study->attempt),
                       err) ||
      !lvn_errands_start(fetch->errands, &trip->errand, err)) {
    lvn_trip_destroy(&trip->errand);
    return false;
  }
  fetch->trip = trip;
  fetch->noted_series = 0;
  lvn_log(LVN_LOG_INFO, "event=fetch-begins study=%s from=%s attempt=%lld ordered=%d", study->name, peer->name,
          (long long)study->attempt + 1, study->is_ordered);
  return true;
}

static bool look(struct lvn_fetch *fetch, struct lvn_error *err) {
  const struct lvn_config *config = fetch->needs.config;
  const int64_t wall_ms = lvn_clock_wall_ms();
  char senders[SENDERS_BYTES];
  const bool has_senders = list_senders(config, senders);
  const struct lvn_fetch_rule rule = {.quiet_ms = 1000 * (int64_t)config->fetch_after_seconds,
                                      .attempts_max = has_senders ? (int64_t)config->fetch_attempts_max : 0,
                                      .senders = senders};
  struct lvn_fetch_study study = {0};
  bool found = false;
  int64_t due_ms = INT64_MAX;
  if (!lvn_fetch_next(fetch->needs.index, &rule, wall_ms, &study, &found, err)) {
    return false;
  }
  if (found) {
    const struct lvn_config_peer *peer = find_source(config, &study);
    lvn_tick_at(&fetch->due_ms, lvn_tick_now_ms() + LOOK_MS);
    return peer != NULL ? start(fetch, &study, peer, wall_ms, err)
                        : lvn_fetch_defer(fetch->needs.index, study.study_uid, wall_ms + DEFER_MS, err);
  }
  if (!lvn_fetch_next_due(fetch->needs.index, &rule, &due_ms, err)) {
    return false;
  }
  if (due_ms != INT64_MAX) {
    lvn_tick_at(&fetch->due_ms, lvn_tick_now_ms() + (due_ms > wall_ms + LOOK_MS ? due_ms - wall_ms : LOOK_MS));
  }
  return true;
}

/* ---- what is under way, and what came of it ---- */

static bool watch(struct lvn_fetch *fetch, struct lvn_error *err) {
  struct lvn_trip *trip = fetch->trip;
  const int series = lvn_trip_count_series(trip);
  char note[LVN_INDEX_MESSAGE_BYTES];
  int64_t bytes = 0;
  lvn_tick_at(&fetch->due_ms, lvn_tick_now_ms() + WATCH_MS);
  if (!lvn_fetch_count_bytes(fetch->needs.index, trip->study_uid, &bytes, err)) {
    return false;
  }
  if (bytes > (int64_t)fetch->needs.config->fetch_bytes_max && !lvn_errand_is_ended(&trip->errand)) {
    lvn_log(LVN_LOG_WARNING, "event=fetch-too-large study=%s from=%s bytes=%lld action=cancelled", trip->study_name,
            trip->errand.name, (long long)bytes);
    lvn_errand_end(&trip->errand);
  }
  if (series == fetch->noted_series) {
    return true;
  }
  lvn_trip_describe(trip, /* is_over= */ false, note, sizeof note);
  fetch->noted_series = series;
  return lvn_fetch_say(fetch->needs.index, trip->study_uid, note, err);
}

static const char *name_of(enum lvn_trip_end end) {
  static const char *const names[] = {[LVN_TRIP_UNREACHED] = "unreached",
                                      [LVN_TRIP_UNKNOWN] = "unknown",
                                      [LVN_TRIP_NOTHING] = "nothing",
                                      [LVN_TRIP_PARTLY] = "partly",
                                      [LVN_TRIP_DONE] = "done"};
  return names[end];
}

static bool take(struct lvn_fetch *fetch, const struct lvn_trip *trip, struct lvn_error *err) {
  char note[LVN_INDEX_MESSAGE_BYTES];
  char quoted[sizeof trip->err.message + 64];
  int64_t others = 0;
  lvn_trip_describe(trip, /* is_over= */ true, note, sizeof note);
  if (!lvn_fetch_count_others(fetch->needs.index, trip->study_uid, trip->peer->aet, trip->last_sequence, &others,
                              err)) {
    return false;
  }
  lvn_log(trip->end == LVN_TRIP_DONE || trip->end == LVN_TRIP_NOTHING || trip->end == LVN_TRIP_UNKNOWN
              ? LVN_LOG_INFO
              : LVN_LOG_WARNING,
          "event=fetch-ended study=%s from=%s outcome=%s series=%d completed=%u failed=%u reason=%s", trip->study_name,
          trip->errand.name, name_of(trip->end), lvn_trip_count_series(trip), trip->completed, trip->failed,
          lvn_log_quote(quoted, sizeof quoted, trip->err.message));
  if (others > 0 && lvn_trip_count_series(trip) > 0) {
    const size_t used = strlen(note);
    (void)snprintf(note + used, sizeof note - used, "; meanwhile it sent %lld objects of other studies",
                   (long long)others);
    lvn_log(LVN_LOG_WARNING, "event=fetch-others study=%s from=%s objects=%lld action=stored-apart", trip->study_name,
            trip->errand.name, (long long)others);
  }
  return lvn_fetch_say(fetch->needs.index, trip->study_uid, note, err);
}

static bool work(struct lvn_fetch *fetch, int64_t now_ms, struct lvn_error *err) {
  struct lvn_errand *errand = lvn_errands_take(fetch->errands);
  if (errand != NULL) {
    fetch->trip = NULL;
    fetch->next_look_ms = now_ms;
    const bool is_taken = take(fetch, (struct lvn_trip *)errand, err);
    lvn_trip_destroy(errand);
    if (!is_taken) {
      return false;
    }
  }
  if (fetch->trip != NULL) {
    return watch(fetch, err);
  }
  if (fetch->stops) {
    return true;
  }
  if (now_ms < fetch->next_look_ms) {
    lvn_tick_at(&fetch->due_ms, fetch->next_look_ms);
    return true;
  }
  fetch->next_look_ms = now_ms + LOOK_MS;
  return look(fetch, err);
}

int64_t lvn_fetch_tick(struct lvn_fetch *fetch, int64_t now_ms) {
  struct lvn_error err = {0};
  fetch->due_ms = LVN_TICK_NEVER;
  if (!lvn_trouble_holds(&fetch->trouble, &fetch->due_ms) && !work(fetch, now_ms, &err)) {
    lvn_log_error(LVN_LOG_ERROR, "fetch-failed", &err, "action=retry");
    lvn_trouble_set(&fetch->trouble, &fetch->due_ms, RETRY_MS, "nothing can be fetched: %.200s", err.message);
  }
  return fetch->due_ms;
}

/* ---- by hand ---- */

/* The one that any sender's section names, if there is but one. */
static const struct lvn_config_peer *only_source(const struct lvn_config *config) {
  const struct lvn_config_peer *only = NULL;
  for (size_t i = 0; i < config->peer_count; i++) {
    const char *name = config->peers[i].query_from;
    const struct lvn_config_peer *peer = name[0] != '\0' ? lvn_config_find_peer(config, name) : NULL;
    if (peer != NULL && only != NULL && peer != only) {
      return NULL;
    }
    only = peer != NULL ? peer : only;
  }
  return only;
}

static bool find_peer(const struct lvn_fetch *fetch, const struct lvn_index_study *study, const char *peer_name,
                      const struct lvn_config_peer **ret_peer, struct lvn_error *err) {
  const struct lvn_config *config = fetch->needs.config;
  if (peer_name != NULL) {
    *ret_peer = lvn_config_find_peer(config, peer_name);
    if (*ret_peer == NULL) {
      return lvn_error_set(err, LVN_ERROR_USAGE, "there is no peer '%.64s'", peer_name);
    }
  } else {
    struct lvn_fetch_study known = {0};
    if (!lvn_fetch_get_source(fetch->needs.index, study->study_uid, known.source, err)) {
      return false;
    }
    (void)lvn_copy(known.source_aet, sizeof known.source_aet, study->source_aet);
    (void)lvn_copy(known.source_address, sizeof known.source_address, study->source_address);
    *ret_peer = find_source(config, &known);
    *ret_peer = *ret_peer != NULL ? *ret_peer : only_source(config);
    if (*ret_peer == NULL) {
      return lvn_error_set(err, LVN_ERROR_USAGE, "no query_from says whom to ask: name a peer by --from");
    }
  }
  return lvn_fetch_source_find(*ret_peer) != NULL ||
         lvn_error_set(err, LVN_ERROR_USAGE, "peer '%s' has no host or no port", (*ret_peer)->name);
}

bool lvn_fetch_study(struct lvn_fetch *fetch, const char *study, const char *peer_name, const char **ret_peer_name,
                     struct lvn_error *err) {
  LVN_AUTOFREE struct lvn_index_study *studies = NULL;
  const struct lvn_index_study_filter filter = {.study_uid = study, .limit = 2};
  const struct lvn_index_study unknown = {0};
  const struct lvn_config_peer *peer = NULL;
  size_t count = 0;
  if (!lvn_index_list_studies(fetch->needs.index, &filter, &studies, &count, err)) {
    return false;
  }
  if (count != 1 && !lvn_uid_is_valid(study)) {
    return lvn_error_set(err, LVN_ERROR_DATA, "'%.64s' is no study of this node, and no study instance UID", study);
  }
  if (!find_peer(fetch, count == 1 ? &studies[0] : &unknown, peer_name, &peer, err) ||
      !lvn_fetch_order(fetch->needs.index, count == 1 ? studies[0].study_uid : study, peer->name, err)) {
    return false;
  }
  fetch->next_look_ms = 0;
  *ret_peer_name = peer->name;
  return true;
}
