/* HTTP client: one server, one connection that its requests share. Over libcurl. Every wait and every answer is
 * bounded; a certificate is always checked, with TLS 1.2 or newer; no proxy of the environment is used, no redirect is
 * followed (credentials go nowhere else), and no secret is in a message. Source: RFC 9110, RFC 9112, RFC 7617, RFC
 * 6750. A client belongs to one thread at a time; several clients may be used at once. */
#ifndef LVN_BASE_HTTP_HTTP_H
#define LVN_BASE_HTTP_HTTP_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LVN_HTTP_URL_BYTES 1024
#define LVN_HTTP_SECRET_BYTES 8192
#define LVN_HTTP_SEGMENTS_MAX 3

/* Borrowed for the call that takes it. Texts that are NULL or empty are not used. */
struct lvn_http_server {
  const char *url;              /* http or https; what requests name is put behind it */
  const char *ca_file;          /* PEM; those that this server's certificate may come from. None: the system's */
  const char *certificate_file; /* PEM, the client's chain */
  const char *key_file;         /* PEM, its key; none: in certificate_file */
  const char *user;             /* HTTP Basic, with the password of the file */
  const char *password_file;
  const char *token_file;   /* bearer token */
  unsigned connect_seconds; /* up to the end of the TLS handshake */
  unsigned idle_seconds;    /* without a byte in either direction */
  /* Asked about once a second while a request runs: true ends it with LVN_ERROR_TIMEOUT. NULL: never. */
  bool (*is_cancelled)(void *user_data);
  void *user_data;
};

struct lvn_http;
/* Reads the secrets; connects to nobody. LVN_ERROR_USAGE: a secret's file can be read by others than its owner, or,
 * where that is root, its group. */
LVN_MUST_CHECK bool lvn_http_open(const struct lvn_http_server *server, struct lvn_http **ret_http,
                                  struct lvn_error *err);
void lvn_http_close(struct lvn_http *http); /* NULL is allowed */

/* A part of a request's body: a file's bytes where it has a path, else data. */
struct lvn_http_segment {
  const char *path;
  const void *data;
  size_t bytes; /* of data */
};

struct lvn_http_request {     /* all borrowed */
  const char *method;         /* "GET", … */
  const char *path;           /* behind the server's URL, query included; or a URL of the same scheme, host and port */
  const char *accept;         /* NULL: anything */
  const char *content_type;   /* of the body; NULL: there is none */
  const char *const *headers; /* further lines "Name: value", ended by NULL; NULL: none */
  struct lvn_http_segment segments[LVN_HTTP_SEGMENTS_MAX];
  size_t segment_count;
  unsigned total_seconds;    /* from the connection to the answer's last byte; 0: not bounded, idle_seconds is */
  uint64_t answer_bytes_max; /* a longer answer is LVN_ERROR_DATA */
  /* The body of an answer of status 200 or 206, in order, instead of keeping it; false ends the request with its error.
   * NULL: it is kept. Bodies of other answers are kept, the first 64 KiB. */
  bool (*take)(void *user_data, const char *content_type, const void *data, size_t bytes, struct lvn_error *err);
  void *user_data;
};

struct lvn_http_answer {
  long status; /* of HTTP */
  char content_type[256];
  char location[LVN_HTTP_URL_BYTES]; /* Location, or Content-Location */
  char warning[256];                 /* Warning */
  int64_t retry_after_seconds;       /* -1: not said */
  char *body;                        /* with a NUL after it; NULL: taken */
  size_t body_bytes;
};
/* Any status is an answer. False: there was none. LVN_ERROR_TIMEOUT, LVN_ERROR_IO: may pass; LVN_ERROR_PROTOCOL: the
 * TLS handshake failed or the server speaks no HTTP; LVN_ERROR_DATA: too long, or a segment's file cannot be read. */
LVN_MUST_CHECK bool lvn_http_request(struct lvn_http *http, const struct lvn_http_request *request,
                                     struct lvn_http_answer *ret_answer, struct lvn_error *err);
void lvn_http_answer_clear(struct lvn_http_answer *answer);
/* Of the last request: did its last byte leave? Then the server may have done it, whatever came back. */
bool lvn_http_was_sent(const struct lvn_http *http);

/* The first line of a file that nobody else may read, as lvn_http_open() reads its secrets. Wiped and freed by
 * lvn_http_forget_secret(), which takes NULL too. */
LVN_MUST_CHECK bool lvn_http_read_secret(const char *path, char **ret_secret, struct lvn_error *err);
void lvn_http_forget_secret(char *secret);

/* Is `content_type` of this media type, whatever parameters it has? */
bool lvn_http_is_type(const char *content_type, const char *media_type);
/* The value of a parameter of a header's value ("boundary" of a Content-Type), unquoted. */
bool lvn_http_get_parameter(const char *value, const char *name, char *ret_text, size_t text_bytes);
/* `text` with everything but RFC 3986's unreserved characters as %XX; false when it does not fit. */
bool lvn_http_escape(const char *text, char *ret_text, size_t text_bytes);
/* "no content", "service unavailable", …; "" of a status that has no name here. */
const char *lvn_http_status_name(long status);

#ifdef __cplusplus
}
#endif
#endif
