#include "base/log.h"

#include "base/clock.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LINE_MAX_BYTES 2048

static const char *log_role = "livervlm";
static enum lvn_log_level log_level = LVN_LOG_INFO;
static bool log_to_journal;

void lvn_log_setup(const char *role, enum lvn_log_level most_verbose) {
  log_role = role;
  log_level = most_verbose;
  log_to_journal = getenv("JOURNAL_STREAM") != NULL;
}

static const char *level_name(enum lvn_log_level level) {
  switch (level) {
  case LVN_LOG_ERROR:
    return "error";
  case LVN_LOG_WARNING:
    return "warning";
  case LVN_LOG_NOTICE:
    return "notice";
  case LVN_LOG_INFO:
    return "info";
  case LVN_LOG_DEBUG:
    break;
  }
  return "debug";
}

/* One write(2) per line: lines of several processes on one pipe stay whole (PIPE_BUF is 4096). */
static void write_line(enum lvn_log_level level, const char *body) {
  char line[LINE_MAX_BYTES];
  char now[LVN_TIME_TEXT_BYTES];
  int length;
  if (log_to_journal) {
    length = snprintf(line, sizeof line, "<%d>role=%s pid=%ld %s\n", (int)level, log_role, (long)getpid(), body);
  } else {
    lvn_clock_format_utc(lvn_clock_wall_ms(), now);
    length = snprintf(line, sizeof line, "%s level=%s role=%s pid=%ld %s\n", now, level_name(level), log_role,
                      (long)getpid(), body);
  }
  if (length < 0) {
    return;
  }
  if ((size_t)length >= sizeof line) {
    length = (int)sizeof line;
    line[sizeof line - 1] = '\n';
  }
  (void)!write(STDERR_FILENO, line, (size_t)length);
}

void lvn_log(enum lvn_log_level level, const char *format, ...) {
  va_list args;
  char body[LINE_MAX_BYTES];
  if (level > log_level) {
    return;
  }
  va_start(args, format);
  (void)vsnprintf(body, sizeof body, format, args);
  va_end(args);
  write_line(level, body);
}

void lvn_log_error(enum lvn_log_level level, const char *event, const struct lvn_error *err, const char *format, ...) {
  va_list args;
  char text[LINE_MAX_BYTES / 2];
  char reason[sizeof err->message + 64];
  if (level > log_level) {
    return;
  }
  va_start(args, format);
  (void)vsnprintf(text, sizeof text, format, args);
  va_end(args);
  lvn_log(level, "event=%s %s%serror=%s reason=%s", event, text, text[0] == '\0' ? "" : " ",
          lvn_error_code_name(err->code), lvn_log_quote(reason, sizeof reason, err->message));
}

const char *lvn_log_quote(char *buffer, size_t buffer_bytes, const char *text) {
  size_t used = 0;
  if (buffer_bytes < 3) {
    return "\"\"";
  }
  buffer[used++] = '"';
  for (; *text != '\0' && used + 6 < buffer_bytes; text++) {
    unsigned char c = (unsigned char)*text;
    if (c == '"' || c == '\\') {
      buffer[used++] = '\\';
      buffer[used++] = (char)c;
    } else if (c < 0x20 || c == 0x7f) {
      used += (size_t)snprintf(buffer + used, 5, "\\x%02x", c);
    } else {
      buffer[used++] = (char)c;
    }
  }
  buffer[used++] = '"';
  buffer[used] = '\0';
  return buffer;
}

enum lvn_log_level lvn_log_level_from_name(const char *name) {
  static const struct {
    const char *name;
    enum lvn_log_level level;
  } levels[] = {
      {"error", LVN_LOG_ERROR}, {"warning", LVN_LOG_WARNING}, {"notice", LVN_LOG_NOTICE}, {"debug", LVN_LOG_DEBUG}};
  for (size_t i = 0; i < sizeof levels / sizeof levels[0]; i++) {
    if (strcmp(levels[i].name, name) == 0) {
      return levels[i].level;
    }
  }
  return LVN_LOG_INFO;
}
