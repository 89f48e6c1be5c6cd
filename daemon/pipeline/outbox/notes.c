#include "daemon/pipeline/outbox/notes.h"

#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "daemon/pipeline/shared/jobfile.h"
#include "daemon/pipeline/shared/sentfile.h"

#define ROWS_PER_TICK 100U
#define PERIOD_MS INT64_C(60000)
#define RETRY_MS INT64_C(5000)

void lvn_notes_remember(struct lvn_notes *notes, int64_t outbox_id) {
  struct lvn_error err;
  struct lvn_outbox_sent sent;
  bool found = false;
  bool good = lvn_outbox_get_sent(notes->index, outbox_id, &sent, &found, &err);
  if (good && found) {
    sent.sent_ms = lvn_clock_wall_ms();
    good = lvn_sentfile_append(notes->config, &sent, &err);
  }
  if (!good) {
    notes->is_behind = true;
    notes->complete_to = notes->complete_to < outbox_id ? notes->complete_to : outbox_id - 1;
    notes->next_ms = 0; /* at once, then as often as it fails */
    lvn_log_error(LVN_LOG_WARNING, "sent-not-noted", &err, "outbound=%lld", (long long)outbox_id);
  }
}

struct search {
  const struct lvn_outbox_sent *wanted;
  bool found;
};

static bool compare(void *user_data, const struct lvn_outbox_sent *sent, struct lvn_error *err) {
  struct search *search = user_data;
  (void)err;
  search->found = search->found || (strcmp(sent->sop_instance_uid, search->wanted->sop_instance_uid) == 0 &&
                                    strcmp(sent->destination, search->wanted->destination) == 0 &&
                                    memcmp(sent->sha256, search->wanted->sha256, LVN_SHA256_BYTES) == 0);
  return true;
}

static bool make_up_for(const struct lvn_notes *notes, int64_t outbox_id, struct lvn_error *err) {
  struct lvn_outbox_sent sent = {0};
  struct search search = {.wanted = &sent};
  char folder[LVN_PATH_BYTES];
  bool found = false;
  if (!lvn_outbox_get_sent(notes->index, outbox_id, &sent, &found, err) ||
      !lvn_jobfile_folder(notes->config, sent.job_id, folder, err)) {
    return false;
  }
  return !found || sent.sent_ms == 0 || !lvn_file_exists(folder) ||
         (lvn_sentfile_each(notes->config, sent.job_id, compare, &search, err) &&
          (search.found || lvn_sentfile_append(notes->config, &sent, err)));
}

static bool complete(struct lvn_notes *notes, struct lvn_error *err) {
  for (unsigned i = 0; i < ROWS_PER_TICK; i++) {
    int64_t outbox_id = 0;
    if (!lvn_outbox_next_sent(notes->index, notes->complete_to, &outbox_id, err)) {
      return false;
    }
    if (outbox_id == 0) {
      return true;
    }
    if (!make_up_for(notes, outbox_id, err)) {
      return false;
    }
    notes->complete_to = outbox_id;
  }
  return true;
}

int64_t lvn_notes_tick(struct lvn_notes *notes, int64_t now_ms) {
  struct lvn_error err;
  if (now_ms < notes->next_ms) {
    return notes->next_ms;
  }
  bool was_behind = notes->is_behind;
  notes->is_behind = !complete(notes, &err);
  if (notes->is_behind && !was_behind) {
    lvn_log_error(LVN_LOG_WARNING, "sent-not-noted", &err, "action=retry");
  }
  notes->next_ms = now_ms + (notes->is_behind ? RETRY_MS : PERIOD_MS);
  return notes->next_ms;
}
