/* The names of states in the index's file, in answers and in logs. */
#include <string.h>

#include "storage/index.h"
#include "storage/outbox.h"
#include "storage/queue.h"
#include "storage/sql.h"

#define COUNT_OF(array) (sizeof(array) / sizeof(array)[0])

static const char *const study_states[LVN_STUDY_STATES] = {[LVN_STUDY_ANY] = "",
                                                           [LVN_STUDY_COLLECTING] = "collecting",
                                                           [LVN_STUDY_READY] = "ready",
                                                           [LVN_STUDY_PROCESSING] = "processing",
                                                           [LVN_STUDY_DONE] = "done",
                                                           [LVN_STUDY_FAILED] = "failed",
                                                           [LVN_STUDY_REJECTED] = "rejected"};
static const char *const job_states[LVN_JOB_STATES] = {
    [LVN_JOB_ANY] = "",      [LVN_JOB_QUEUED] = "queued", [LVN_JOB_RUNNING] = "running",
    [LVN_JOB_DONE] = "done", [LVN_JOB_FAILED] = "failed", [LVN_JOB_CANCELLED] = "cancelled"};
static const char *const outcomes[LVN_OUTCOMES] = {[LVN_OUTCOME_NONE] = "",
                                                   [LVN_OUTCOME_DONE] = "done",
                                                   [LVN_OUTCOME_WAITING] = "waiting",
                                                   [LVN_OUTCOME_REFUSED] = "refused",
                                                   [LVN_OUTCOME_STALE] = "stale"};
static const char *const outbox_states[LVN_OUTBOX_STATES] = {[LVN_OUTBOX_ANY] = "",
                                                             [LVN_OUTBOX_QUEUED] = "queued",
                                                             [LVN_OUTBOX_SENDING] = "sending",
                                                             [LVN_OUTBOX_SENT] = "sent",
                                                             [LVN_OUTBOX_COMMITTED] = "committed",
                                                             [LVN_OUTBOX_FAILED] = "failed",
                                                             [LVN_OUTBOX_CANCELLED] = "cancelled"};
static const char *const verdicts[LVN_SEND_VERDICTS] = {[LVN_SEND_NONE] = "",
                                                        [LVN_SEND_STORED] = "stored",
                                                        [LVN_SEND_RETRY] = "retry",
                                                        [LVN_SEND_FAILED] = "failed",
                                                        [LVN_SEND_UNKNOWN] = "unknown"};
static const char *const kinds[LVN_OUTBOX_KINDS] = {[LVN_OUTBOX_OBJECT] = "object", [LVN_OUTBOX_EVENT] = "event"};

/* The position of `name` from `first` on; -1: none. NULL is no name (a column that could not be read). */
static int find(const char *const *names, size_t count, size_t first, const char *name, const char *what,
                struct lvn_error *err) {
  for (size_t i = first; name != NULL && i < count; i++) {
    if (strcmp(names[i], name) == 0) {
      return (int)i;
    }
  }
  (void)lvn_error_set(err, LVN_ERROR_USAGE, "'%.40s' is no %s", name == NULL ? "" : name, what);
  return -1;
}

/* name and parse of one table; `first` leaves out what only filters know. */
/* NOLINTBEGIN(bugprone-macro-parentheses): types take none. */
#define NAMES(enumeration, function, names, first, what)                                                               \
  const char *function##_name(enum enumeration value) {                                                                \
    return (names)[value];                                                                                             \
  }                                                                                                                    \
  bool function##_parse(const char *name, enum enumeration *ret_value, struct lvn_error *err) {                        \
    int position = find(names, COUNT_OF(names), first, name, what, err);                                               \
    if (position >= 0) {                                                                                               \
      *ret_value = (enum enumeration)position;                                                                         \
    }                                                                                                                  \
    return position >= 0;                                                                                              \
  }

/* NOLINTEND(bugprone-macro-parentheses) */
NAMES(lvn_study_state, lvn_study_state, study_states, 1, "state of a study")
NAMES(lvn_job_state, lvn_job_state, job_states, 1, "state of a job")
NAMES(lvn_job_outcome, lvn_job_outcome, outcomes, 0, "outcome of a job")
NAMES(lvn_outbox_state, lvn_outbox_state, outbox_states, 1, "state of what is sent")
NAMES(lvn_send_verdict, lvn_send_verdict, verdicts, 0, "verdict of a transport")
NAMES(lvn_outbox_kind, lvn_outbox_kind, kinds, 0, "kind of what is sent")
