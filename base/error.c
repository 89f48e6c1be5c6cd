#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

bool lvn_error_set(struct lvn_error *err, enum lvn_error_code code, const char *format, ...) {
  va_list args;
  err->code = code;
  err->sys_errno = 0;
  va_start(args, format);
  (void)vsnprintf(err->message, sizeof err->message, format, args);
  va_end(args);
  return false;
}

static enum lvn_error_code code_of_errno(int sys_errno) {
  switch (sys_errno) {
  case ENOSPC:
  case EDQUOT:
    return LVN_ERROR_NOSPACE;
  case ENOMEM:
    return LVN_ERROR_NOMEM;
  case ETIMEDOUT:
    return LVN_ERROR_TIMEOUT;
  default:
    return LVN_ERROR_IO;
  }
}

bool lvn_error_set_errno(struct lvn_error *err, int sys_errno, const char *format, ...) {
  va_list args;
  char reason[128];
  size_t used;
  err->code = code_of_errno(sys_errno);
  err->sys_errno = sys_errno;
  va_start(args, format);
  (void)vsnprintf(err->message, sizeof err->message, format, args);
  va_end(args);
  used = strlen(err->message);
  /* The GNU strerror_r: thread safe, may return a constant string instead of filling the buffer. */
  (void)snprintf(err->message + used, sizeof err->message - used, ": %s", strerror_r(sys_errno, reason, sizeof reason));
  return false;
}

bool lvn_error_prefix(struct lvn_error *err, const char *format, ...) {
  va_list args;
  char old[sizeof err->message];
  size_t used;
  memcpy(old, err->message, sizeof old);
  va_start(args, format);
  (void)vsnprintf(err->message, sizeof err->message, format, args);
  va_end(args);
  used = strlen(err->message);
  (void)snprintf(err->message + used, sizeof err->message - used, ": %s", old);
  return false;
}

bool lvn_error_is_transient(const struct lvn_error *err) {
  switch (err->code) {
  case LVN_ERROR_NOMEM:
  case LVN_ERROR_IO:
  case LVN_ERROR_NOSPACE:
  case LVN_ERROR_TIMEOUT:
    return true;
  default:
    return false;
  }
}

const char *lvn_error_code_name(enum lvn_error_code code) {
  static const char *const names[] = {
      [LVN_OK] = "ok",
      [LVN_ERROR_NOMEM] = "nomem",
      [LVN_ERROR_IO] = "io",
      [LVN_ERROR_NOSPACE] = "nospace",
      [LVN_ERROR_PROTOCOL] = "protocol",
      [LVN_ERROR_DATA] = "data",
      [LVN_ERROR_CONFLICT] = "conflict",
      [LVN_ERROR_TIMEOUT] = "timeout",
      [LVN_ERROR_ENGINE] = "engine",
      [LVN_ERROR_USAGE] = "usage",
      [LVN_ERROR_INTERNAL] = "internal",
  };
  return names[code];
}
