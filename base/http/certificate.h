/* When a certificate of a PEM file ends. */
#ifndef LVN_BASE_HTTP_CERTIFICATE_H
#define LVN_BASE_HTTP_CERTIFICATE_H

#include "base/error.h"

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Of the file's first certificate, milliseconds since 1970 UTC. LVN_ERROR_DATA: the file holds none. */
LVN_MUST_CHECK bool lvn_certificate_get_end(const char *path, int64_t *ret_end_ms, struct lvn_error *err);

#ifdef __cplusplus
}
#endif
#endif
