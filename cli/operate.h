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

#define LVN_OPTION_CONFIG(target)                                                                                      \
  { "config", "FILE", LVN_OPTION_TEXT, target, "the node's configuration (" LVN_OPERATE_CONFIG ")", false, 0, 0 }
#define LVN_OPTION_JSON(target)                                                                                        \
  { "json", NULL, LVN_OPTION_FLAG, target, "the whole answer as JSON", false, 0, 0 }

/* An answer's list as a table of the named members. Times of answers are UTC; people get local ones. */
enum lvn_operate_kind { LVN_COLUMN_PLAIN, LVN_COLUMN_TIME, LVN_COLUMN_SECONDS };
struct lvn_operate_column {
  const char *key;
  const char *title;
  enum lvn_operate_kind kind;
};
void lvn_operate_print_table(const json_t *rows, const struct lvn_operate_column *columns, size_t column_count);
void lvn_operate_print_status(const json_t *answer);
void lvn_operate_print_json(const json_t *answer);

/* "30m", "2h", "3d", "2w" before now, "2026-11-28" or "2026-11-28 13:00" in local time. */
LVN_MUST_CHECK bool lvn_operate_parse_since(const char *text, int64_t now_ms, int64_t *ret_since_ms,
                                            struct lvn_error *err);

/* Whose study a row of the list of studies (with "samples") is, read from its objects: adds "accession_number",
 * "patient_id" and "study_date", empty where they are absent or cannot be read. Never logged. */
void lvn_operate_identify(json_t *study);
/* Does the identity, or the name in logs, match? * and ? stand for any characters; upper and lower case are alike; a
 * date may have hyphens.
 */
bool lvn_operate_matches(const json_t *study, const char *wanted);
/* What the latest analysis of a row of the list of studies came to, from its analysis.json: adds "lesions" and
 * "result". */
void lvn_operate_add_result(json_t *study);

#ifdef __cplusplus
}
#endif
#endif
