#include "cli/operate.h"

#include "base/file.h"
#include "base/memory.h"
#include "daemon/pipeline/control.h"

static void json_cleanup(json_t **value) {
  json_decref(*value);
}
#define AUTOJSON LVN_CLEANUP(json_cleanup)

static bool ask_socket(const char *config_path, const json_t *request, json_t **ret_answer, struct lvn_error *err) {
  char path[LVN_PATH_BYTES];
  LVN_AUTOFREE char *response = NULL;
  LVN_AUTOFREE struct lvn_config *config = lvn_alloc(1, sizeof *config, err);
  LVN_AUTOFREE char *line = json_dumps(request, JSON_COMPACT);
  if (config == NULL || !lvn_config_load(config_path, config, err) ||
      !lvn_path_join(path, config->run_folder, LVN_CONTROL_SOCKET, err)) {
    return false;
  }
  if (line == NULL) {
    return lvn_error_set(err, LVN_ERROR_NOMEM, "out of memory for a request");
  }
  if (!lvn_control_request(path, line, &response, err)) {
    return lvn_error_prefix(err, "is the node running");
  }
  *ret_answer = json_loads(response, 0, NULL);
  return *ret_answer != NULL || lvn_error_set(err, LVN_ERROR_PROTOCOL, "the pipeline's answer is not JSON");
}

bool lvn_operate_ask(const char *config_path, json_t *request, json_t **ret_answer, struct lvn_error *err) {
  AUTOJSON json_t *taken = request;
  AUTOJSON json_t *answer = NULL;
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
