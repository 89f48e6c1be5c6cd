/* Bodies of several parts (RFC 2046 5.1, RFC 2387; PS3.18 8.6.1): read as they come, in pieces of any size, in bounded
 * memory, whoever wrote them. Lines may end with LF alone; a preamble and an epilogue are passed over. */
#ifndef LVN_DICOM_WEB_MULTIPART_H
#define LVN_DICOM_WEB_MULTIPART_H

#include "base/error.h"

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LVN_MULTIPART_BOUNDARY_MAX 70U /* RFC 2046 */
#define LVN_MULTIPART_HEADER_MAX 16384U

/* The order for one part: begin, data…, end. False ends the reading with the handler's error. */
struct lvn_multipart_handler {
  void *user_data;
  /* Content-Type of the part; empty: none. */
  bool (*begin)(void *user_data, const char *content_type, struct lvn_error *err);
  bool (*data)(void *user_data, const void *data, size_t bytes, struct lvn_error *err);
  bool (*end)(void *user_data, struct lvn_error *err);
};

/* Belongs to one thread at a time. After a failure only destroy is allowed. */
struct lvn_multipart;
/* LVN_ERROR_PROTOCOL: that is no boundary. */
LVN_MUST_CHECK bool lvn_multipart_create(const char *boundary, const struct lvn_multipart_handler *handler,
                                         struct lvn_multipart **ret_multipart, struct lvn_error *err);
void lvn_multipart_destroy(struct lvn_multipart *multipart); /* NULL is allowed */
/* LVN_ERROR_PROTOCOL: malformed. */
LVN_MUST_CHECK bool lvn_multipart_feed(struct lvn_multipart *multipart, const void *data, size_t bytes,
                                       struct lvn_error *err);
/* LVN_ERROR_PROTOCOL: the last boundary did not come, so that a part may be cut off. */
LVN_MUST_CHECK bool lvn_multipart_finish(struct lvn_multipart *multipart, struct lvn_error *err);

#ifdef __cplusplus
}
#endif
#endif
