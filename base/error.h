/* The one error type of the project: what went wrong, whose fault it is, and whether trying again can help. */
#ifndef LVN_BASE_ERROR_H
#define LVN_BASE_ERROR_H

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LVN_PRINTF(format_index, first_index) __attribute__((format(printf, format_index, first_index)))
#define LVN_MUST_CHECK __attribute__((warn_unused_result))

/* The set is operational: each code answers which DIMSE status to give, whether to retry, and whose fault it is. */
enum lvn_error_code {
  LVN_OK = 0,
  LVN_ERROR_NOMEM,    /* allocation failed, on the host or the device */
  LVN_ERROR_IO,       /* a system call failed; sys_errno says which way */
  LVN_ERROR_NOSPACE,  /* disk or quota full: answer 0xA700 */
  LVN_ERROR_PROTOCOL, /* the peer broke DICOM */
  LVN_ERROR_DATA,     /* an object, file or value is malformed, missing or unsupported */
  LVN_ERROR_CONFLICT, /* same UID, different patient or study; or a state that forbids the request */
  LVN_ERROR_TIMEOUT,  /* the other side was too slow */
  LVN_ERROR_ENGINE,   /* the inference engine refused */
  LVN_ERROR_USAGE,    /* the caller's words: command line, configuration file */
  LVN_ERROR_INTERNAL  /* a bug here */
};

/* Caller-owned, fixed size, never allocates. It is the last parameter of every function that can fail, and never NULL.
 * A function that fails sets it exactly once; layers above may add what they know by lvn_error_prefix(). */
struct lvn_error {
  enum lvn_error_code code;
  int sys_errno; /* errno of the failed call, or 0 */
  char message[512];
};

/* Set code and message; sys_errno becomes 0. Returns false, so that `return lvn_error_set(...)` fails a function. */
bool lvn_error_set(struct lvn_error *err, enum lvn_error_code code, const char *format, ...) LVN_PRINTF(3, 4);

/* As lvn_error_set() for a failed system call: ENOSPC and EDQUOT become NOSPACE, ENOMEM becomes NOMEM, ETIMEDOUT
 * becomes TIMEOUT, the rest IO; ": <strerror>" is added to the message. */
bool lvn_error_set_errno(struct lvn_error *err, int sys_errno, const char *format, ...) LVN_PRINTF(3, 4);

/* Put "<text>: " before the message. Keeps code and sys_errno. Returns false. */
bool lvn_error_prefix(struct lvn_error *err, const char *format, ...) LVN_PRINTF(2, 3);

/* Can the same work succeed later without anyone changing anything? */
bool lvn_error_is_transient(const struct lvn_error *err);

/* Lower-case word of the code: "nomem", "io", … */
const char *lvn_error_code_name(enum lvn_error_code code);

#ifdef __cplusplus
}
#endif
#endif
