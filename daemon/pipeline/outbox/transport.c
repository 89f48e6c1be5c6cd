#include "daemon/pipeline/outbox/transport.h"

#include <stdarg.h>
#include <stdio.h>

const struct lvn_outbox_transport *const lvn_outbox_transports[] = {
    &lvn_outbox_transport_cstore, &lvn_outbox_transport_stow, &lvn_outbox_transport_webhook, NULL};

const struct lvn_outbox_transport *lvn_outbox_transport_find(const struct lvn_outbox_transport *const *table,
                                                             const struct lvn_config_peer *peer) {
  while (*table != NULL && !(*table)->serves(peer)) {
    table++;
  }
  return *table;
}

void lvn_outbox_transport_say(struct lvn_outbox_answer *answer, enum lvn_send_verdict verdict, int64_t status,
                              const char *format, ...) {
  va_list args;
  va_start(args, format);
  (void)vsnprintf(answer->message, sizeof answer->message, format, args);
  va_end(args);
  answer->verdict = verdict;
  answer->status = status;
  answer->retry_after_seconds = 0;
}
