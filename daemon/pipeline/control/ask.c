#include "daemon/pipeline/control/ask.h"

#include "base/json_lines.h"
#include "base/socket.h"

#include <unistd.h>

#define ANSWER_MAX_BYTES (64U << 20)
#define REQUEST_MAX_BYTES 65536U
#define ANSWER_SECONDS 120

bool lvn_control_ask(const char *socket_path, const json_t *request, json_t **ret_answer, struct lvn_error *err) {
  struct lvn_json_lines *lines = NULL;
  int fd = -1;
  if (!lvn_socket_connect(socket_path, &fd, err)) {
    return false;
  }
  if (!lvn_json_lines_create(fd, ANSWER_MAX_BYTES, REQUEST_MAX_BYTES, &lines, err)) {
    (void)close(fd);
    return false;
  }
  bool good = lvn_json_lines_ask(lines, request, ANSWER_SECONDS, ret_answer, err) ||
              lvn_error_prefix(err, "the pipeline's answer");
  lvn_json_lines_destroy(lines);
  return good;
}
