/* Objects that this node fetched, on their way into the spool: the same door as those that peers send, so that they are
 * durable, and byte for byte what a C-STORE of them had left. An intake is one association's worth: it marks the
 * studies that it adds to as open. Belongs to one thread; several may be open at once. */
#ifndef LVN_DAEMON_PIPELINE_INTAKE_H
#define LVN_DAEMON_PIPELINE_INTAKE_H

#include "config/config.h"
#include "storage/spool.h"

#ifdef __cplusplus
extern "C" {
#endif

struct lvn_intake_options {        /* borrowed for the intake's life */
  const struct lvn_config *config; /* of the disk's limits; it may be a copy */
  struct lvn_spool *spool;
  const char *aet; /* who counts as the sender: its destinations get the results */
  const char *address;
};

struct lvn_intake;
LVN_MUST_CHECK bool lvn_intake_open(const struct lvn_intake_options *options, struct lvn_intake **ret_intake,
                                    struct lvn_error *err);
/* Abandons what is unfinished and ends the mark; NULL is allowed. */
void lvn_intake_close(struct lvn_intake *intake);

/* One Part 10 file: begin, data in any pieces, end. With the intake as `intake` they are an lvn_wado_handler's. begin
 * abandons an object that was not ended. end refuses with LVN_ERROR_DATA what cannot be scanned or is another object
 * than its header says; LVN_ERROR_NOSPACE: less disk space than spool_reserve_bytes. */
LVN_MUST_CHECK bool lvn_intake_begin(void *intake, struct lvn_error *err);
LVN_MUST_CHECK bool lvn_intake_data(void *intake, const void *data, size_t bytes, struct lvn_error *err);
LVN_MUST_CHECK bool lvn_intake_end(void *intake, struct lvn_error *err);

struct lvn_intake_counts {
  size_t stored;
  size_t duplicate; /* of these: the same bytes were there */
  uint64_t bytes;
};
struct lvn_intake_counts lvn_intake_get_counts(const struct lvn_intake *intake);
/* Of the object that was ended last. */
const struct lvn_reception_record *lvn_intake_get_last(const struct lvn_intake *intake);

#ifdef __cplusplus
}
#endif
#endif
