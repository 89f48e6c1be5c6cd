/* STOW-RS (PS3.18 10.5, IHE RAD-108) as user agent: an object a request, so that each has an answer of its own. What
 * became of it is read from the answer's body, by instance; the HTTP status alone is trusted for nothing but failure.
 */
#ifndef LVN_DICOM_WEB_STOW_H
#define LVN_DICOM_WEB_STOW_H

#include "base/http/http.h"

#ifdef __cplusplus
extern "C" {
#endif

struct lvn_stow_object { /* borrowed */
  const char *path;      /* a Part 10 file; streamed */
  const char *sop_instance_uid;
};

enum lvn_stow_outcome {
  LVN_STOW_STORED,   /* the server named it as stored, or has it; `reason` is a warning where it is not 0 */
  LVN_STOW_REFUSED,  /* the server named it as not stored, because of `reason` */
  LVN_STOW_ANSWERED, /* neither: `status` is all there is */
  LVN_STOW_UNKNOWN   /* all of it went out, but the answer did not come, or says nothing of it */
};
struct lvn_stow_answer {
  enum lvn_stow_outcome outcome;
  long status;                 /* of HTTP; 0: no answer */
  uint16_t reason;             /* Failure or Warning Reason: values of C-STORE's status (PS3.4 B.2.3, PS3.18 I.2.2) */
  int64_t retry_after_seconds; /* -1: not said */
  char message[400];           /* in words */
};
/* False: nothing, or not all of it, was sent. */
LVN_MUST_CHECK bool lvn_stow_store(struct lvn_http *http, const struct lvn_stow_object *object, unsigned total_seconds,
                                   struct lvn_stow_answer *ret_answer, struct lvn_error *err);

#ifdef __cplusplus
}
#endif
#endif
