/* WADO-RS (PS3.18 10.4, IHE RAD-107) as user agent: the objects of a series as Part 10 files, as they are stored there
 * (no transfer syntax is asked for), read as they come, in bounded memory. */
#ifndef LVN_DICOM_WEB_WADO_H
#define LVN_DICOM_WEB_WADO_H

#include "base/http/http.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The order for one object: begin, data…, end. False ends the retrieval with the handler's error. An object whose end
 * is not called is cut off. */
struct lvn_wado_handler {
  void *user_data;
  bool (*begin)(void *user_data, struct lvn_error *err);
  bool (*data)(void *user_data, const void *data, size_t bytes, struct lvn_error *err);
  bool (*end)(void *user_data, struct lvn_error *err);
};

struct lvn_wado_limits {
  size_t objects;
  uint64_t object_bytes;
  uint64_t total_bytes; /* of the answer */
  unsigned total_seconds;
};

/* An object of the series; series_uid NULL: of the whole study; sop_instance_uid NULL: all of them. LVN_ERROR_DATA:
 * beyond a limit, or the server has no such series. *ret_count: objects whose end was called, also of a failure. */
LVN_MUST_CHECK bool lvn_wado_retrieve(struct lvn_http *http, const char *study_uid, const char *series_uid,
                                      const char *sop_instance_uid, const struct lvn_wado_limits *limits,
                                      const struct lvn_wado_handler *handler, size_t *ret_count, struct lvn_error *err);
/* The same for a Retrieve URL (0008,1190) of the same server. */
LVN_MUST_CHECK bool lvn_wado_retrieve_url(struct lvn_http *http, const char *url, const struct lvn_wado_limits *limits,
                                          const struct lvn_wado_handler *handler, size_t *ret_count,
                                          struct lvn_error *err);

#ifdef __cplusplus
}
#endif
#endif
