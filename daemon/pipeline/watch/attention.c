#include "daemon/pipeline/watch/attention.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/memory.h"
#include "base/tls/tls.h"
#include "daemon/audit/audit.h"
#include "storage/index_keep.h"

#define DAY_MS (INT64_C(24) * 3600 * 1000)
#define DEAD_ATTEMPTS 3 /* in vain: it is no hiccup */

const char *lvn_attention_kind_name(enum lvn_attention_kind kind) {
  static const char *const names[LVN_ATTENTION_KINDS] = {[LVN_ATTENTION_PROBLEM] = "problem",
                                                         [LVN_ATTENTION_DESTINATION] = "destination",
                                                         [LVN_ATTENTION_UNDELIVERED] = "undelivered",
                                                         [LVN_ATTENTION_ANALYSIS] = "analysis",
                                                         [LVN_ATTENTION_STUDY] = "study",
                                                         [LVN_ATTENTION_DISK] = "disk",
                                                         [LVN_ATTENTION_CERTIFICATE] = "certificate",
                                                         [LVN_ATTENTION_AUDIT] = "audit",
                                                         [LVN_ATTENTION_EXPIRY] = "expiry",
                                                         [LVN_ATTENTION_RETENTION] = "retention",
                                                         [LVN_ATTENTION_SETUP] = "setup"};
  return names[kind];
}

int64_t lvn_attention_expiry_lead_ms(const struct lvn_config *config) {
  int64_t keep_ms = (int64_t)config->keep_waiting_days * DAY_MS;
  return keep_ms / 2 < DAY_MS ? keep_ms / 2 : DAY_MS;
}

static void LVN_PRINTF(4, 5)
    add(struct lvn_attention *attention, enum lvn_attention_kind kind, const char *subject, const char *format, ...) {
  va_list args;
  if (attention->count == LVN_ATTENTION_LINES_MAX) {
    return;
  }
  struct lvn_attention_line *line = &attention->lines[attention->count++];
  line->kind = kind;
  (void)lvn_copy(line->subject, sizeof line->subject, subject);
  va_start(args, format);
  (void)vsnprintf(line->text, sizeof line->text, format, args);
  va_end(args);
}

/* "45 min", "2 h 5 min", "3 days" */
static const char *describe_age(int64_t age_ms, char *ret_text, size_t text_bytes) {
  int64_t minutes = age_ms < 0 ? 0 : age_ms / 60000;
  if (minutes == 0) {
    (void)snprintf(ret_text, text_bytes, "less than 1 min");
  } else if (minutes < 120) {
    (void)snprintf(ret_text, text_bytes, "%" PRId64 " min", minutes);
  } else if (minutes % 60 == 0 && minutes < 2 * 24 * 60) {
    (void)snprintf(ret_text, text_bytes, "%" PRId64 " h", minutes / 60);
  } else if (minutes < 2 * 24 * 60) {
    (void)snprintf(ret_text, text_bytes, "%" PRId64 " h %" PRId64 " min", minutes / 60, minutes % 60);
  } else {
    (void)snprintf(ret_text, text_bytes, "%" PRId64 " days", minutes / (24 * 60));
  }
  return ret_text;
}

static const char *plural(int64_t count) {
  return count == 1 ? "" : "s";
}

static bool look_at_destinations(const struct lvn_attention_needs *needs, struct lvn_attention *attention,
                                 struct lvn_error *err) {
  int64_t limit_ms = 1000 * (int64_t)needs->config->wait_warning_seconds;
  int64_t given_up = 0;
  char age[32];
  if (!lvn_outbox_list_destinations(needs->index, attention->destinations, LVN_ATTENTION_PEERS_MAX,
                                    &attention->destination_count, err)) {
    return false;
  }
  for (size_t i = 0; i < attention->destination_count; i++) {
    const struct lvn_outbox_destination *entry = &attention->destinations[i];
    given_up += strncmp(entry->name, "webhook:", 8) == 0 ? 0 : entry->given_up; /* events are no results */
    if (entry->waiting > 0 && (entry->attempts >= DEAD_ATTEMPTS || needs->now_ms - entry->oldest_ms > limit_ms)) {
      add(attention, LVN_ATTENTION_DESTINATION, entry->name,
          "%s takes nothing: %" PRId64 " object%s wait%s, the oldest for %s%s%.120s (livervlm echo %s; once it is back,"
          " livervlm retry --to %s)",
          entry->name, entry->waiting, plural(entry->waiting), entry->waiting == 1 ? "s" : "",
          describe_age(needs->now_ms - entry->oldest_ms, age, sizeof age), entry->status_message[0] == '\0' ? "" : "; ",
          entry->status_message, entry->name, entry->name);
    }
  }
  if (given_up > 0) {
    add(attention, LVN_ATTENTION_UNDELIVERED, "",
        "%" PRId64 " result%s could not be delivered (livervlm outbound --state failed says why,"
        " livervlm retry --failed-outbound sends again)",
        given_up, plural(given_up));
  }
  return true;
}

static bool look_at_waits(const struct lvn_attention_needs *needs, struct lvn_attention *attention,
                          struct lvn_error *err) {
  const struct lvn_config *config = needs->config;
  int64_t limit_ms = 1000 * (int64_t)config->wait_warning_seconds;
  struct lvn_index_long_waits waits = {.studies_since_ms = needs->now_ms - limit_ms - DAY_MS,
                                       .studies_until_ms = needs->now_ms - limit_ms,
                                       .jobs_until_ms = needs->now_ms - limit_ms};
  char age[32];
  if (!lvn_index_count_long_waits(needs->index, &waits, err)) {
    return false;
  }
  attention->studies_waiting_long = waits.studies;
  if (waits.jobs > 0) {
    add(attention, LVN_ATTENTION_ANALYSIS, "",
        "%" PRId64 " analys%s ha%s waited for longer than %s (livervlm jobs --state queued)", waits.jobs,
        waits.jobs == 1 ? "is" : "es", waits.jobs == 1 ? "s" : "ve", describe_age(limit_ms, age, sizeof age));
  }
  if (waits.studies > 0) {
    add(attention, LVN_ATTENTION_STUDY, "",
        "%" PRId64 " stud%s of the last day wait%s for a phase or a ROI for longer than %s"
        " (livervlm studies --state collecting)",
        waits.studies, waits.studies == 1 ? "y" : "ies", waits.studies == 1 ? "s" : "",
        describe_age(limit_ms, age, sizeof age));
  }
  return true;
}

static bool look_at_expiry(const struct lvn_attention_needs *needs, struct lvn_attention *attention,
                           struct lvn_error *err) {
  int64_t lead_ms = lvn_attention_expiry_lead_ms(needs->config);
  int64_t count = 0;
  char age[32];
  if (lead_ms == 0 || lvn_retention_get_remark(needs->retention)[0] != '\0') { /* nothing is removed */
    return true;
  }
  if (!lvn_index_count_unattended(
          needs->index, needs->now_ms - (int64_t)needs->config->keep_waiting_days * DAY_MS + lead_ms, &count, err)) {
    return false;
  }
  if (count > 0) {
    add(attention, LVN_ATTENTION_EXPIRY, "",
        "%" PRId64
        " stud%s without a result will be removed within %s (keep_waiting_days; a ROI or livervlm retry keeps"
        " %s)",
        count, count == 1 ? "y" : "ies", describe_age(lead_ms, age, sizeof age), count == 1 ? "it" : "them");
  }
  return true;
}

void lvn_attention_describe_certificates(char *ret_text, size_t text_bytes) {
  struct lvn_tls *tls = lvn_tls_hold_current();
  ret_text[0] = '\0';
  if (tls != NULL) {
    (void)lvn_tls_describe_end(tls, lvn_clock_wall_ms(), ret_text, text_bytes);
  }
  lvn_tls_release(tls);
}

static void look_at_security(const struct lvn_attention_needs *needs, struct lvn_attention *attention) {
  char text[LVN_ATTENTION_TEXT_BYTES];
  lvn_attention_describe_certificates(text, sizeof text);
  if (text[0] != '\0') {
    add(attention, LVN_ATTENTION_CERTIFICATE, "", "%s", text);
  }
  lvn_audit_describe(needs->config, text, sizeof text);
  if (text[0] != '\0') {
    add(attention, LVN_ATTENTION_AUDIT, "", "%s", text);
  }
}

static bool has_destination(const struct lvn_config *config) {
  for (size_t i = 0; i < config->peer_count; i++) {
    if (lvn_config_is_reachable(&config->peers[i])) {
      return true;
    }
  }
  return false;
}

bool lvn_attention_list(const struct lvn_attention_needs *needs, struct lvn_attention *ret_attention,
                        struct lvn_error *err) {
  const char *disk = lvn_retention_get_disk_notice(needs->retention);
  const char *remark = lvn_retention_get_remark(needs->retention);
  ret_attention->count = 0;
  if (needs->problem[0] != '\0') {
    add(ret_attention, LVN_ATTENTION_PROBLEM, "", "%s", needs->problem);
  }
  if (disk[0] != '\0') {
    add(ret_attention, LVN_ATTENTION_DISK, "", "%s", disk);
  }
  look_at_security(needs, ret_attention);
  if (!look_at_destinations(needs, ret_attention, err) || !look_at_waits(needs, ret_attention, err) ||
      !look_at_expiry(needs, ret_attention, err)) {
    return false;
  }
  if (remark[0] != '\0') {
    add(ret_attention, LVN_ATTENTION_RETENTION, "", "%s", remark);
  }
  if (!has_destination(needs->config)) {
    add(ret_attention, LVN_ATTENTION_SETUP, "",
        "no peer has a host and a port, or a url: results are kept here and sent to nobody");
  }
  return true;
}
