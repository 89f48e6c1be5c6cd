/* What is under way to each destination, for the audit: the begin of a transfer when its batch is posted, the end when
 * its last answer came. Belongs to one thread. */
#ifndef LVN_DAEMON_PIPELINE_OUTBOX_SENT_H
#define LVN_DAEMON_PIPELINE_OUTBOX_SENT_H

#include "config/config.h"
#include "storage/outbox.h"

#ifdef __cplusplus
extern "C" {
#endif

struct lvn_sent;
LVN_MUST_CHECK bool lvn_sent_create(struct lvn_sent **ret_sent, struct lvn_error *err);
void lvn_sent_destroy(struct lvn_sent *sent); /* NULL is allowed */

/* Both do nothing without an audit. What is not DICOM is not told. */
void lvn_sent_begin(struct lvn_sent *sent, const struct lvn_config *config, const struct lvn_config_peer *peer,
                    const struct lvn_outbox_row *rows, size_t row_count);
void lvn_sent_answer(struct lvn_sent *sent, const struct lvn_config *config, const char *destination, int64_t outbox_id,
                     bool is_stored, const char *message);

#ifdef __cplusplus
}
#endif
#endif
