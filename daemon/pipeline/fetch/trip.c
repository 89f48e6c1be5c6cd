#include "daemon/pipeline/fetch/trip.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/memory.h"
#include "daemon/audit/audit.h"

#define SERIES_MAX 256U
#define STUDY_ROOT_FIND "1.2.840.10008.5.1.4.1.2.2.1"

/* Series that an analysis can use: phases, and what an ROI may be in. */
static bool takes_part(const char *modality) {
  static const char *const modalities[] = {"CT", "RTSTRUCT", "SEG", "SR", "PR"};
  for (size_t i = 0; i < sizeof modalities / sizeof modalities[0]; i++) {
    if (strcmp(modality, modalities[i]) == 0) {
      return true;
    }
  }
  return false;
}

/* Not all of it is here, as far as the archive says how much there is. */
static bool is_missing(const struct lvn_trip *trip, const struct lvn_fetch_series *series) {
  for (size_t i = 0; i < trip->held_count; i++) {
    if (strcmp(trip->held[i].series_uid, series->series_uid) == 0) {
      return series->object_count > trip->held[i].object_count;
    }
  }
  return true;
}

/* What goes beyond the number of objects is left to another attempt. Returns how many are wanted, at the front. */
static size_t choose(const struct lvn_trip *trip, struct lvn_fetch_series *series, size_t count) {
  int64_t objects = 0;
  size_t wanted = 0;
  for (size_t i = 0; i < count; i++) {
    const int64_t more = series[i].object_count > 0 ? series[i].object_count : 1;
    if (takes_part(series[i].modality) && is_missing(trip, &series[i]) &&
        objects + more <= (int64_t)trip->config->fetch_objects_max) {
      objects += more;
      series[wanted++] = series[i];
    }
  }
  return wanted;
}

static bool goes_on(void *user_data, const struct lvn_fetch_progress *progress) {
  const struct lvn_trip *trip = user_data;
  return !lvn_errand_is_ended(&trip->errand) &&
         trip->completed + progress->completed <= trip->config->fetch_objects_max;
}

static void retrieve_all(struct lvn_trip *trip, const struct lvn_fetch_source *source, void *link,
                         const struct lvn_fetch_series *series, size_t count) {
  trip->end = LVN_TRIP_DONE;
  for (size_t i = 0; i < count; i++) {
    struct lvn_fetch_progress progress = {0};
    struct lvn_error err = {0};
    const bool is_whole = source->retrieve(link, trip->study_uid, series[i].series_uid, goes_on, trip, &progress, &err);
    trip->completed += progress.completed;
    trip->failed += progress.failed;
    if (!is_whole || progress.failed > 0) {
      trip->end = LVN_TRIP_PARTLY;
      trip->err = err;
    }
    if (!is_whole && (lvn_errand_is_ended(&trip->errand) || lvn_error_is_transient(&err))) {
      return; /* the association is gone, or more is too much */
    }
  }
}

/* One element of a group below 0x100 in Implicit VR Little Endian (PS3.5 A.1). Returns the bytes written. */
static size_t put_element(uint8_t *target, uint8_t group, uint8_t element, const char *text, char padding) {
  const size_t length = strlen(text);
  const size_t even = length + (length & 1U);
  const uint8_t head[8] = {group, 0, element, 0, (uint8_t)even, (uint8_t)(even >> 8), 0, 0};
  memcpy(target, head, sizeof head);
  memcpy(target + sizeof head, text, length);
  if (even > length) {
    target[sizeof head + length] = (uint8_t)padding;
  }
  return sizeof head + even;
}

/* PS3.15 A.5.3.10: by the study's UID, which is all that is asked for; the matching keys of the identifier. */
static void tell_of_query(const struct lvn_trip *trip, bool has_answered) {
  uint8_t keys[2 * 8 + 16 + LVN_UID_BYTES + 2];
  size_t bytes = put_element(keys, 0x08, 0x52, "SERIES", ' '); /* Query/Retrieve Level */
  bytes += put_element(keys + bytes, 0x20, 0x0D, trip->study_uid, '\0');
  const bool is_web = lvn_config_is_dicomweb(trip->peer);
  const struct lvn_audit_event event = {.kind = LVN_AUDIT_QUERY_SENT,
                                        .has_failed = !has_answered,
                                        .description = has_answered ? NULL : trip->err.message,
                                        .peer_aet = trip->peer->aet,
                                        .peer_host = is_web ? trip->peer->url : trip->peer->host,
                                        .study_uid = trip->study_uid,
                                        .query_class = STUDY_ROOT_FIND,
                                        .query = keys,
                                        .query_bytes = bytes};
  lvn_audit_write(trip->config, &event);
}

static void run(struct lvn_errand *errand) {
  struct lvn_trip *trip = (struct lvn_trip *)errand;
  const struct lvn_fetch_source *source = lvn_fetch_source_find(trip->peer);
  const struct lvn_fetch_route route = {.config = trip->config, .peer = trip->peer, .spool = trip->spool};
  LVN_AUTOFREE struct lvn_fetch_series *series = NULL;
  size_t count = 0;
  void *link = NULL;
  trip->end = LVN_TRIP_UNREACHED;
  if (source == NULL) {
    (void)lvn_error_set(&trip->err, LVN_ERROR_DATA, "it has no host or no port");
    return;
  }
  if (!source->open(&route, &link, &trip->err)) {
    return;
  }
  const bool has_answered = source->find(link, trip->study_uid, SERIES_MAX, &series, &count, &trip->err);
  tell_of_query(trip, has_answered);
  if (has_answered) {
    const size_t wanted = choose(trip, series, count);
    __atomic_store_n(&trip->series_count, (int)wanted, __ATOMIC_SEQ_CST);
    trip->end = count == 0 ? LVN_TRIP_UNKNOWN : LVN_TRIP_NOTHING;
    if (wanted > 0) {
      retrieve_all(trip, source, link, series, wanted);
    }
  }
  source->close(link);
}

struct lvn_trip *lvn_trip_create(const struct lvn_config *config, const char *peer_name, struct lvn_error *err) {
  struct lvn_trip *trip = lvn_alloc(1, sizeof *trip, err);
  if (trip == NULL) {
    return NULL;
  }
  trip->errand.run = run;
  trip->errand.destroy = lvn_trip_destroy;
  (void)lvn_copy(trip->errand.name, sizeof trip->errand.name, peer_name);
  trip->config = lvn_alloc(1, sizeof *trip->config, err);
  if (trip->config == NULL) {
    lvn_trip_destroy(&trip->errand);
    return NULL;
  }
  *trip->config = *config; /* a reload must not change it under the thread */
  trip->peer = lvn_config_find_peer(trip->config, peer_name);
  return trip;
}

void lvn_trip_destroy(struct lvn_errand *errand) {
  struct lvn_trip *trip = (struct lvn_trip *)errand;
  if (trip != NULL) {
    lvn_free(trip->config);
    lvn_free(trip->held);
    lvn_free(trip);
  }
}

int lvn_trip_count_series(const struct lvn_trip *trip) {
  return __atomic_load_n(&trip->series_count, __ATOMIC_SEQ_CST);
}

static void describe_end(const struct lvn_trip *trip, char *text, size_t text_bytes) {
  switch (trip->end) {
  case LVN_TRIP_UNREACHED:
    (void)snprintf(text, text_bytes, ": %.200s", trip->err.message);
    break;
  case LVN_TRIP_UNKNOWN:
    (void)snprintf(text, text_bytes, ": it does not have the study");
    break;
  case LVN_TRIP_NOTHING:
    (void)snprintf(text, text_bytes, ": it has nothing that is missing");
    break;
  case LVN_TRIP_PARTLY:
    (void)snprintf(text, text_bytes, ": %u objects came, %u did not%s%.160s", trip->completed, trip->failed,
                   trip->err.message[0] != '\0' ? "; " : "", trip->err.message);
    break;
  case LVN_TRIP_DONE:
    (void)snprintf(text, text_bytes, ": %u objects came", trip->completed);
    break;
  }
}

void lvn_trip_describe(const struct lvn_trip *trip, bool is_over, char *text, size_t text_bytes) {
  const time_t seconds = (time_t)(trip->asked_ms / 1000);
  const int series = lvn_trip_count_series(trip);
  struct tm parts = {0};
  char end[320] = "";
  char what[32] = "";
  (void)gmtime_r(&seconds, &parts);
  if (is_over) {
    describe_end(trip, end, sizeof end);
  }
  if (series > 0) {
    (void)snprintf(what, sizeof what, " for %d series", series);
  }
  (void)snprintf(text, text_bytes, "asked %s%s at %02d:%02d UTC%s", trip->errand.name, what, parts.tm_hour,
                 parts.tm_min, end);
}
