#include "daemon/pipeline/outbox/outbox.h"

#include "base/log.h"
#include "daemon/pipeline/outbox/outbox_internal.h"

#define DESTROY_SECONDS 10.0
#define COMPLETE_MS 60000

struct lvn_outbox {
  struct lvn_outbox_needs needs;
  struct lvn_loop_source *source;
  struct lvn_pipeline sends;
  int64_t next_complete_ms; /* monotonic */
};

/* The tick that follows takes the answers. */
static void wake(void *user_data) {
  (void)user_data;
}

bool lvn_outbox_create(const struct lvn_outbox_needs *needs, struct lvn_outbox **ret_outbox, struct lvn_error *err) {
  struct lvn_outbox *outbox = lvn_alloc(1, sizeof *outbox, err);
  if (outbox == NULL) {
    return false;
  }
  outbox->needs = *needs;
  outbox->sends.index = needs->index;
  if (!lvn_sender_create(&outbox->sends.sender, err) ||
      !lvn_loop_add_fd(needs->loop, lvn_sender_get_fd(outbox->sends.sender), wake, outbox, &outbox->source, err)) {
    lvn_outbox_destroy(outbox);
    return false;
  }
  *ret_outbox = outbox;
  return true;
}

void lvn_outbox_destroy(struct lvn_outbox *outbox) {
  if (outbox != NULL) {
    lvn_loop_source_destroy(outbox->source);
    lvn_sender_destroy(outbox->sends.sender, DESTROY_SECONDS);
    lvn_outbound_clear(&outbox->sends);
    lvn_free(outbox);
  }
}

int64_t lvn_outbox_tick(struct lvn_outbox *outbox, int64_t now_ms) {
  struct lvn_error err;
  outbox->sends.config = *outbox->needs.config;
  outbox->sends.due_ms = LVN_TICK_NEVER;
  lvn_outbound_turn(&outbox->sends);
  if (now_ms >= outbox->next_complete_ms) {
    if (!lvn_sentfile_complete(&outbox->sends, &err)) {
      lvn_log_error(LVN_LOG_ERROR, "sent-not-noted", &err, "action=retry");
    }
    outbox->next_complete_ms = now_ms + COMPLETE_MS;
  }
  lvn_tick_at(&outbox->sends.due_ms, outbox->next_complete_ms);
  return outbox->sends.due_ms;
}

const char *lvn_outbox_problem(const struct lvn_outbox *outbox) {
  const char *problem = outbox->sends.answer_trouble.text;
  return problem[0] != '\0' ? problem : outbox->sends.outbound_trouble.text;
}

void lvn_outbox_stop(struct lvn_outbox *outbox) {
  outbox->sends.stops = true;
}

void lvn_outbox_forget(struct lvn_outbox *outbox) {
  lvn_outbound_clear(&outbox->sends);
}

size_t lvn_outbox_count_busy(const struct lvn_outbox *outbox) {
  return lvn_sender_count_busy(outbox->sends.sender);
}

bool lvn_outbox_is_busy(const struct lvn_outbox *outbox, const char *destination) {
  return lvn_sender_is_busy(outbox->sends.sender, destination);
}

struct lvn_stage lvn_outbox_get_stage(const struct lvn_outbox *outbox) {
  return outbox->sends.send;
}
