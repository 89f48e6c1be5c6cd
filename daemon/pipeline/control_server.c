#include "base/log.h"
#include "daemon/pipeline/pipeline_internal.h"

#define REQUEST_MAX_BYTES 65536U

void lvn_control_accept(struct lvn_pipeline *pipeline) {
  struct lvn_error err;
  struct lvn_channel *channel = NULL;
  if (!lvn_channel_accept(pipeline->control_fd, REQUEST_MAX_BYTES, &channel, &err)) {
    lvn_log_error(LVN_LOG_WARNING, "control-accept-failed", &err, "action=ignored");
    return;
  }
  for (size_t i = 0; channel != NULL && i < LVN_PIPELINE_CONTROLS_MAX; i++) {
    if (pipeline->controls[i] == NULL) {
      pipeline->controls[i] = lvn_steal(&channel);
    }
  }
  lvn_channel_destroy(channel); /* one too many */
}

static bool serve_line(struct lvn_pipeline *pipeline, struct lvn_channel *channel, const char *line,
                       struct lvn_error *err) {
  LVN_AUTOJSON json_t *request = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
  LVN_AUTOJSON json_t *answer = lvn_control_answer(pipeline, request);
  LVN_AUTOFREE char *text = answer == NULL ? NULL : json_dumps(answer, JSON_COMPACT);
  if (text == NULL) {
    return lvn_error_set(err, LVN_ERROR_NOMEM, "out of memory for an answer");
  }
  return lvn_channel_send(channel, text, err);
}

void lvn_control_receive(struct lvn_pipeline *pipeline, struct lvn_channel **channel) {
  struct lvn_error err = {0};
  bool good = lvn_channel_flush(*channel, &err) && lvn_channel_receive(*channel, &err);
  for (const char *line = good ? lvn_channel_next_line(*channel) : NULL; good && line != NULL;
       line = good ? lvn_channel_next_line(*channel) : NULL) {
    good = serve_line(pipeline, *channel, line, &err);
  }
  if (!good) {
    if (err.code != LVN_OK) {
      lvn_log_error(LVN_LOG_WARNING, "control-broken", &err, "action=closed");
    }
    lvn_channel_destroy(*channel);
    *channel = NULL;
  }
}
