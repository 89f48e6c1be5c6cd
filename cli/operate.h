/* What the operating commands share: the configuration's socket, one request, its answer as a table or as JSON. */
#ifndef LVN_CLI_OPERATE_H
#define LVN_CLI_OPERATE_H

#include "base/error.h"
#include "config/config.h"

#include <jansson.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LVN_OPERATE_CONFIG "/etc/livervlm/livervlm.ini"

/* Loads the configuration and asks the pipeline. The answer says "ok": true (json_decref() it); false otherwise, with
 * what the pipeline or the connection said. Takes `request`. */
LVN_MUST_CHECK bool lvn_operate_ask(const char *config_path, json_t *request, json_t **ret_answer,
                                    struct lvn_error *err);

/* An answer's list as a table of the named members, or, with as_json, the answer itself. */
struct lvn_operate_column {
  const char *key;
  const char *title;
};
void lvn_operate_print_table(const json_t *rows, const struct lvn_operate_column *columns, size_t column_count);
void lvn_operate_print_status(const json_t *answer);
void lvn_operate_print_json(const json_t *answer);

#ifdef __cplusplus
}
#endif
#endif
