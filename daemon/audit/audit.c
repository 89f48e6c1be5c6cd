#include "daemon/audit/audit.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "daemon/audit/message.h"
#include "daemon/audit/queue.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static bool write_event(const struct lvn_config *config, const struct lvn_audit_event *event, struct lvn_error *err) {
  LVN_AUTOFREE char *line = NULL;
  size_t bytes = 0;
  if (!lvn_audit_format(config, event, lvn_clock_wall_ms(), &line, &bytes, err)) {
    return false;
  }
  line[bytes] = '\n'; /* in place of the terminator, which nobody needs any more */
  return lvn_audit_queue_append(config, line, bytes + 1, err);
}

void lvn_audit_write(const struct lvn_config *config, const struct lvn_audit_event *event) {
  struct lvn_error err;
  if (lvn_config_has_audit(config) && !write_event(config, event, &err)) {
    lvn_log_error(LVN_LOG_ERROR, "audit-dropped", &err, "action=counted");
  }
}

void lvn_audit_note_model(const struct lvn_config *config, const char *name, const char *version) {
  struct lvn_error err;
  char path[LVN_PATH_BYTES];
  LVN_AUTOFREE char *now = lvn_format(&err, "%s %s", name, version);
  LVN_AUTOFREE uint8_t *before = NULL;
  size_t bytes = 0;
  if (!lvn_config_has_audit(config) || now == NULL || !lvn_path_join(path, config->state_folder, "audit/model", &err)) {
    return;
  }
  const bool is_known = lvn_file_read(path, 1024, &before, &bytes, &err);
  if (is_known && strcmp((const char *)before, now) == 0) {
    return;
  }
  LVN_AUTOFREE char *text = lvn_format(&err, "the model %s works in place of %s", now,
                                       is_known ? (const char *)before : "none that was told of");
  lvn_audit_write(config,
                  &(struct lvn_audit_event){.kind = LVN_AUDIT_MODEL_CHANGED, .description = text, .subject = now});
  if (!lvn_file_replace(path, now, strlen(now), 0600, &err)) {
    lvn_log_error(LVN_LOG_WARNING, "audit-model-not-noted", &err, "%s", "action=told-again");
  }
}

void lvn_audit_describe(const struct lvn_config *config, char *ret_text, size_t text_bytes) {
  struct lvn_error err;
  struct lvn_audit_queue_state state;
  ret_text[0] = '\0';
  if (!lvn_config_has_audit(config)) {
    return;
  }
  if (!lvn_audit_queue_look(config, &state, &err)) {
    (void)snprintf(ret_text, text_bytes, "the audit queue cannot be read: %s", err.message);
  } else if (state.dropped > 0) {
    (void)snprintf(ret_text, text_bytes, "%" PRIu64 " audit message%s dropped", state.dropped,
                   state.dropped == 1 ? " was" : "s were");
  } else if (state.waiting_bytes > config->audit_queue_bytes / 2) {
    (void)snprintf(ret_text, text_bytes, "the audit repository takes no messages: %" PRIu64 " MiB wait",
                   state.waiting_bytes >> 20);
  }
}
