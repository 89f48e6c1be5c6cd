#include "base/http/http_text.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/clock.h"
#include "base/memory.h"

#define RETRY_SECONDS_MAX 86400

/* Seconds, or a date (RFC 9110 10.2.3); -1: neither. */
static int64_t read_retry_after(const char *value) {
  struct tm parts = {0};
  if (value[0] >= '0' && value[0] <= '9') {
    unsigned long long seconds = strtoull(value, NULL, 10);
    return seconds < RETRY_SECONDS_MAX ? (int64_t)seconds : RETRY_SECONDS_MAX;
  }
  if (strptime(value, "%a, %d %b %Y %H:%M:%S GMT", &parts) == NULL) {
    return -1;
  }
  int64_t seconds = (int64_t)timegm(&parts) - lvn_clock_wall_ms() / 1000;
  if (seconds < 0) {
    return 0;
  }
  return seconds < RETRY_SECONDS_MAX ? seconds : RETRY_SECONDS_MAX;
}

void lvn_http_take_header(const char *line, size_t bytes, struct lvn_http_answer *answer) {
  char text[LVN_HTTP_URL_BYTES];
  size_t length = bytes < sizeof text ? bytes : sizeof text - 1;
  memcpy(text, line, length);
  text[length] = '\0';
  text[strcspn(text, "\r\n")] = '\0';
  if (strncmp(text, "HTTP/", 5) == 0) {
    answer->content_type[0] = answer->location[0] = answer->warning[0] = '\0';
    answer->retry_after_seconds = -1;
    return;
  }
  char *value = strchr(text, ':');
  if (value == NULL) {
    return;
  }
  *value++ = '\0';
  value += strspn(value, " \t");
  if (strcasecmp(text, "Content-Type") == 0) {
    (void)lvn_copy(answer->content_type, sizeof answer->content_type, value);
  } else if (strcasecmp(text, "Location") == 0 ||
             (strcasecmp(text, "Content-Location") == 0 && answer->location[0] == '\0')) {
    (void)lvn_copy(answer->location, sizeof answer->location, value);
  } else if (strcasecmp(text, "Warning") == 0) {
    (void)lvn_copy(answer->warning, sizeof answer->warning, value);
  } else if (strcasecmp(text, "Retry-After") == 0) {
    answer->retry_after_seconds = read_retry_after(value);
  }
}

/* Length of "https://host:port". */
static size_t origin_length(const char *url) {
  const char *authority = strstr(url, "://");
  return authority == NULL ? 0 : (size_t)(authority - url) + 3 + strcspn(authority + 3, "/?#");
}

bool lvn_http_join(const char *url, const char *path, char *ret_url, size_t url_bytes, struct lvn_error *err) {
  size_t origin = origin_length(url);
  int length = 0;
  if (strncasecmp(path, "http://", 7) == 0 || strncasecmp(path, "https://", 8) == 0) {
    if (origin_length(path) != origin || strncasecmp(path, url, origin) != 0) {
      return lvn_error_set(err, LVN_ERROR_DATA, "%.200s names another server, which is not asked", url);
    }
    length = snprintf(ret_url, url_bytes, "%s", path);
  } else if (path[0] == '/') {
    length = snprintf(ret_url, url_bytes, "%.*s%s", (int)origin, url, path);
  } else {
    length = snprintf(ret_url, url_bytes, "%s%s%s", url, path[0] == '\0' || path[0] == '?' ? "" : "/", path);
  }
  return (length > 0 && (size_t)length < url_bytes) ||
         lvn_error_set(err, LVN_ERROR_DATA, "%.200s: a URL is too long", url);
}

bool lvn_http_is_type(const char *content_type, const char *media_type) {
  size_t length = strlen(media_type);
  return strncasecmp(content_type, media_type, length) == 0 && strchr("; \t", content_type[length]) != NULL;
}

/* Past the closing quote, or the end. */
static const char *take_quoted(const char *at, char *text, size_t text_bytes, bool *fits) {
  size_t used = 0;
  for (; *at != '\0' && *at != '"'; at++) {
    at += *at == '\\' && at[1] != '\0' ? 1 : 0;
    if (used + 1 < text_bytes) {
      text[used++] = *at;
    } else {
      *fits = false;
    }
  }
  text[used] = '\0';
  return *at == '"' ? at + 1 : at;
}

bool lvn_http_get_parameter(const char *value, const char *name, char *ret_text, size_t text_bytes) {
  const char *at = value + strcspn(value, ";");
  while (*at == ';') {
    bool fits = true;
    at += 1 + strspn(at + 1, " \t");
    size_t length = strcspn(at, "=; \t");
    bool is_it = length == strlen(name) && strncasecmp(at, name, length) == 0;
    at += length + strspn(at + length, " \t");
    if (*at != '=') {
      at += strcspn(at, ";");
      continue;
    }
    at += 1 + strspn(at + 1, " \t");
    if (*at == '"') {
      at = take_quoted(at + 1, ret_text, text_bytes, &fits);
    } else {
      length = strcspn(at, "; \t");
      fits = length < text_bytes;
      (void)snprintf(ret_text, text_bytes, "%.*s", (int)length, at);
      at += length;
    }
    if (is_it) {
      return fits && ret_text[0] != '\0';
    }
    at += strcspn(at, ";");
  }
  return false;
}

bool lvn_http_escape(const char *text, char *ret_text, size_t text_bytes) {
  size_t used = 0;
  for (; *text != '\0' && used + 4 <= text_bytes; text++) {
    unsigned char c = (unsigned char)*text;
    if (isalnum(c) != 0 || strchr("-._~", c) != NULL) {
      ret_text[used++] = (char)c;
    } else {
      (void)snprintf(ret_text + used, 4, "%%%02X", c);
      used += 3;
    }
  }
  ret_text[used] = '\0';
  return *text == '\0';
}

const char *lvn_http_status_name(long status) {
  static const struct {
    long status;
    const char *name;
  } names[] = {
      {204, "no content"},
      {202, "accepted"},
      {301, "moved permanently"},
      {302, "found elsewhere"},
      {303, "see other"},
      {304, "not modified"},
      {307, "temporary redirect"},
      {308, "permanent redirect"},
      {400, "bad request"},
      {401, "unauthorized"},
      {403, "forbidden"},
      {404, "not found"},
      {405, "method not allowed"},
      {406, "not acceptable"},
      {408, "request timeout"},
      {409, "conflict"},
      {410, "gone"},
      {411, "length required"},
      {412, "precondition failed"},
      {413, "too large"},
      {415, "unsupported media"},
      {425, "too early"},
      {429, "too many requests"},
      {500, "internal server error"},
      {501, "not implemented"},
      {502, "bad gateway"},
      {503, "service unavailable"},
      {504, "gateway timeout"},
      {507, "insufficient storage"},
  };
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    if (names[i].status == status) {
      return names[i].name;
    }
  }
  return "";
}
