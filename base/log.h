/* Logging: one line per event, key=value, to standard error, readable by journald ("<6>event=stored …") and by grep.
 * Only daemon/ logs; the layers below describe their failures in struct lvn_error. No patient data, ever: no names,
 * patient ids, dates of birth, accession numbers or free text of an object. A study is named
 * by the short keyed digest that storage/index gives it (study=…), never by its UID. */
#ifndef LVN_BASE_LOG_H
#define LVN_BASE_LOG_H

#include "base/error.h"

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* syslog's numbers (RFC 5424), since journald reads them as "<N>" prefixes. */
enum lvn_log_level { LVN_LOG_ERROR = 3, LVN_LOG_WARNING = 4, LVN_LOG_NOTICE = 5, LVN_LOG_INFO = 6, LVN_LOG_DEBUG = 7 };

/* Not thread-safe: call before threads start. `role` (borrowed, static) is put on every line. Prefixes "<N>" are
 * written when JOURNAL_STREAM is set, otherwise an RFC 3339 time in UTC and the level's name. */
void lvn_log_setup(const char *role, enum lvn_log_level most_verbose);

/* The format gives key=value pairs, "event=" first: lvn_log(LVN_LOG_INFO, "event=stored assoc=%s bytes=%" PRIu64, …).
 * Values from a peer go through lvn_log_quote(). Thread-safe: one write(2) per line. */
void lvn_log(enum lvn_log_level level, const char *format, ...) LVN_PRINTF(2, 3);

/* "event=<event> <text> error=<code> reason=<quoted message>" at `level`. */
void lvn_log_error(enum lvn_log_level level, const char *event, const struct lvn_error *err, const char *format, ...)
    LVN_PRINTF(4, 5);

/* Quote `text` for a log value: "…" with control characters, quotes and backslashes escaped, cut at the buffer.
 * Returns `buffer`. */
const char *lvn_log_quote(char *buffer, size_t buffer_bytes, const char *text);

/* "error", "warning", "notice", "info", "debug"; LVN_LOG_INFO for any other. */
enum lvn_log_level lvn_log_level_from_name(const char *name);

#ifdef __cplusplus
}
#endif
#endif
