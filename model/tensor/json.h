/* JSON files of the model folders (manifests, recipes, reports) by jansson, with the project's error type. */
#ifndef LVN_MODEL_JSON_H
#define LVN_MODEL_JSON_H

#include "base/error.h"
#include "base/json.h"

#include <jansson.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Text of `value`, lvn_free() it. `flags` are jansson's. */
LVN_MUST_CHECK char *lvn_json_dump(const json_t *value, size_t flags, struct lvn_error *err);

/* A JSON object from a file of at most max_bytes, json_decref() it; or NULL. Duplicate keys are refused. */
LVN_MUST_CHECK json_t *lvn_json_read(const char *path, size_t max_bytes, struct lvn_error *err);

/* Replaces the file durably, indented by 2, keys in the order they were set, newline at the end. */
LVN_MUST_CHECK bool lvn_json_write(const char *path, const json_t *value, struct lvn_error *err);

#ifdef __cplusplus
}
#endif
#endif
