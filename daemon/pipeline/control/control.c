#include "daemon/pipeline/control/control.h"

#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "base/json_lines.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/socket.h"
#include "daemon/audit/audit.h"
#include "daemon/pipeline/control/ask.h"
#include "daemon/pipeline/control/control_commands.h"
#include "daemon/pipeline/shared/tick.h"

#define CLIENTS_MAX 16
#define REQUEST_MAX_BYTES 65536U
#define ANSWERS_MAX_BYTES (8U << 20)

struct client {
  struct lvn_control *control;
  struct lvn_json_lines *lines; /* NULL: a free place */
  struct lvn_loop_source *source;
  uid_t user_id;
};

struct lvn_control {
  struct lvn_control_needs needs;
  int listen_fd;
  struct lvn_loop_source *listen_source;
  struct client clients[CLIENTS_MAX];
};

static void drop(struct client *client) {
  lvn_loop_source_destroy(client->source);
  lvn_json_lines_destroy(client->lines);
  *client = (struct client){0};
}

/* Who asked, as the kernel knows: "uid 1000 (name)". */
static void describe_user(const struct client *client, char *ret_text, size_t text_bytes) {
  struct passwd entry;
  struct passwd *found = NULL;
  char buffer[1024];
  const bool is_named = getpwuid_r(client->user_id, &entry, buffer, sizeof buffer, &found) == 0 && found != NULL;
  (void)snprintf(ret_text, text_bytes, "uid %ld%s%s%s", (long)client->user_id, is_named ? " (" : "",
                 is_named ? entry.pw_name : "", is_named ? ")" : "");
}

/* Commands that change something; the others only look. */
static void audit_command(const struct client *client, const json_t *request, const json_t *answer) {
  static const char *const acting[] = {"retry", "release", "remove", "rebuild-index", "fetch"};
  const struct lvn_config *config = client->control->needs.config;
  const char *command = json_string_value(json_object_get(request, "command"));
  const char *study = json_string_value(json_object_get(request, "study"));
  char user[160];
  bool acts = false;
  for (size_t i = 0; i < sizeof acting / sizeof acting[0]; i++) {
    acts = acts || (command != NULL && strcmp(command, acting[i]) == 0);
  }
  if (!acts || !lvn_config_has_audit(config)) {
    return;
  }
  struct lvn_error err;
  LVN_AUTOFREE char *text = lvn_format(&err, "%s %s", command, study != NULL ? study : "");
  describe_user(client, user, sizeof user);
  lvn_audit_write(config, &(struct lvn_audit_event){.kind = LVN_AUDIT_USER_ACTION,
                                                    .has_failed = !json_is_true(json_object_get(answer, "ok")),
                                                    .description = text,
                                                    .user = user,
                                                    .subject = command});
}

static bool serve(struct client *client, struct lvn_error *err) {
  json_t *taken = NULL;
  if (!lvn_json_lines_flush(client->lines, err) || !lvn_json_lines_receive(client->lines, err)) {
    return false;
  }
  while (lvn_json_lines_take(client->lines, &taken)) {
    LVN_AUTOJSON json_t *request = taken;
    LVN_AUTOJSON json_t *answer = lvn_commands_answer(&client->control->needs, request);
    audit_command(client, request, answer);
    if (!lvn_json_lines_send(client->lines, answer, err)) {
      return false;
    }
  }
  lvn_loop_watch_writes(client->source, lvn_json_lines_wants_to_write(client->lines));
  return true;
}

static void receive(void *user_data) {
  struct lvn_error err = {0};
  if (!serve(user_data, &err)) {
    if (err.code != LVN_OK) {
      lvn_log_error(LVN_LOG_WARNING, "control-broken", &err, "action=closed");
    }
    drop(user_data);
  }
}

static bool add_client(struct lvn_control *control, int fd, struct lvn_error *err) {
  struct client *client = NULL;
  struct ucred peer = {.uid = (uid_t)-1};
  socklen_t peer_bytes = sizeof peer;
  (void)getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &peer_bytes);
  for (size_t i = 0; i < CLIENTS_MAX && client == NULL; i++) {
    client = control->clients[i].lines == NULL ? &control->clients[i] : NULL;
  }
  if (client == NULL || !lvn_json_lines_create(fd, REQUEST_MAX_BYTES, ANSWERS_MAX_BYTES, &client->lines, err)) {
    (void)close(fd);
    return client == NULL; /* one too many */
  }
  client->control = control;
  client->user_id = peer.uid;
  if (!lvn_loop_add_fd(control->needs.loop, fd, receive, client, &client->source, err)) {
    drop(client);
    return false;
  }
  return true;
}

static void accept_client(void *user_data) {
  struct lvn_control *control = user_data;
  struct lvn_error err;
  pid_t pid = 0;
  int fd = -1;
  if (!lvn_socket_accept(control->listen_fd, &fd, &pid, &err) || (fd >= 0 && !add_client(control, fd, &err))) {
    lvn_log_error(LVN_LOG_WARNING, "control-accept-failed", &err, "action=ignored");
  }
}

static bool listen_for_clients(struct lvn_control *control, struct lvn_error *err) {
  char path[LVN_PATH_BYTES];
  return lvn_path_join(path, control->needs.config->run_folder, LVN_CONTROL_SOCKET, err) &&
         lvn_socket_listen(path, &control->listen_fd, err) &&
         lvn_loop_add_fd(control->needs.loop, control->listen_fd, accept_client, control, &control->listen_source, err);
}

bool lvn_control_create(const struct lvn_control_needs *needs, struct lvn_control **ret_control,
                        struct lvn_error *err) {
  struct lvn_control *control = lvn_alloc(1, sizeof *control, err);
  if (control == NULL) {
    return false;
  }
  control->needs = *needs;
  control->listen_fd = -1;
  if (!listen_for_clients(control, err)) {
    lvn_control_destroy(control);
    return false;
  }
  *ret_control = control;
  return true;
}

void lvn_control_destroy(struct lvn_control *control) {
  if (control == NULL) {
    return;
  }
  for (size_t i = 0; i < CLIENTS_MAX; i++) {
    drop(&control->clients[i]);
  }
  lvn_loop_source_destroy(control->listen_source);
  lvn_file_close_pointer(&control->listen_fd);
  lvn_free(control);
}

int64_t lvn_control_tick(struct lvn_control *control, int64_t now_ms) {
  (void)control;
  (void)now_ms;
  return LVN_TICK_NEVER;
}

const char *lvn_control_problem(const struct lvn_control *control) {
  (void)control;
  return "";
}
