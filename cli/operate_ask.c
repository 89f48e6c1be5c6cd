#include "cli/operate.h"

#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "daemon/pipeline/control/ask.h"

static bool ask_socket(const char *config_path, const json_t *request, json_t **ret_answer, struct lvn_error *err) {
  char path[LVN_PATH_BYTES];
  LVN_AUTOFREE struct lvn_config *config = lvn_alloc(1, sizeof *config, err);
  if (config == NULL || !lvn_config_load(config_path, config, err) ||
      !lvn_path_join(path, config->run_folder, LVN_CONTROL_SOCKET, err)) {
    return false;
  }
  return lvn_control_ask(path, request, ret_answer, err) ||
         lvn_error_prefix(err, "the node is not running, or not with this configuration");
}

bool lvn_operate_ask(const char *config_path, json_t *request, json_t **ret_answer, struct lvn_error *err) {
  LVN_AUTOJSON json_t *taken = request;
  LVN_AUTOJSON json_t *answer = NULL;
  if (taken == NULL) {
    return lvn_error_set(err, LVN_ERROR_NOMEM, "out of memory for a request");
  }
  if (!ask_socket(config_path, taken, &answer, err)) {
    return false;
  }
  if (!json_is_true(json_object_get(answer, "ok"))) {
    const char *text = json_string_value(json_object_get(answer, "error"));
    return lvn_error_set(err, LVN_ERROR_CONFLICT, "%s", text == NULL ? "the pipeline refused" : text);
  }
  *ret_answer = lvn_steal(&answer);
  return true;
}
