/* The texts of HTTP: header lines, URLs. Internal to base/http. */
#ifndef LVN_BASE_HTTP_HTTP_TEXT_H
#define LVN_BASE_HTTP_HTTP_TEXT_H

#include "base/http/http.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A header line as received, with its end; a status line begins the answer anew (after 100 Continue). */
void lvn_http_take_header(const char *line, size_t bytes, struct lvn_http_answer *answer);
/* LVN_ERROR_DATA: `path` is a URL of another server, or too long. */
LVN_MUST_CHECK bool lvn_http_join(const char *url, const char *path, char *ret_url, size_t url_bytes,
                                  struct lvn_error *err);

#ifdef __cplusplus
}
#endif
#endif
