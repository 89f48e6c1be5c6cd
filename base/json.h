/* jansson's references at the end of a scope. */
#ifndef LVN_BASE_JSON_H
#define LVN_BASE_JSON_H

#include "base/memory.h"

#include <jansson.h>

#ifdef __cplusplus
extern "C" {
#endif

/* `LVN_AUTOJSON json_t *value = NULL;` */
static inline void lvn_json_cleanup(json_t **value) {
  json_decref(*value);
}
#define LVN_AUTOJSON LVN_CLEANUP(lvn_json_cleanup)

#ifdef __cplusplus
}
#endif
#endif
