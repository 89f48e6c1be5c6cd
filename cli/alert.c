/* livervlm alert: looks at the running node and tells somebody what needs attention, once. A timer runs it every
 * minute, apart from the node, so that a node that is down is told of, too. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "cli/alert.h"
#include "cli/commands.h"
#include "cli/operate.h"
#include "cli/options.h"
#include "cli/owner.h"

#define STATE_FILE "alerts.json"
#define TEXT_BYTES 12288

/* What is remembered: `told` are the lines that somebody knows of, `seen` those of the look before; by their keys. */
struct memory {
  char path[LVN_PATH_BYTES];
  json_t *told;
  json_t *seen;
  int64_t told_ms; /* of the last run of the command, successful or not */
};

static void memory_clear(struct memory *memory) {
  json_decref(memory->told);
  json_decref(memory->seen);
}

static bool memory_load(const struct lvn_config *config, struct memory *ret_memory, struct lvn_error *err) {
  if (!lvn_path_join(ret_memory->path, config->state_folder, STATE_FILE, err)) {
    return false;
  }
  LVN_AUTOJSON json_t *root = json_load_file(ret_memory->path, 0, NULL); /* none, or damaged: nobody knows anything */
  const json_t *told = json_object_get(root, "told");
  const json_t *seen = json_object_get(root, "seen");
  ret_memory->told = json_is_object(told) ? json_deep_copy(told) : json_object();
  ret_memory->seen = json_is_object(seen) ? json_deep_copy(seen) : json_object();
  ret_memory->told_ms = json_integer_value(json_object_get(root, "told_ms"));
  return true;
}

static bool memory_store(const struct memory *memory, struct lvn_error *err) {
  LVN_AUTOJSON json_t *root =
      json_pack("{s:O, s:O, s:I}", "told", memory->told, "seen", memory->seen, "told_ms", (json_int_t)memory->told_ms);
  LVN_AUTOFREE char *text = root == NULL ? NULL : json_dumps(root, JSON_INDENT(1));
  return text == NULL ? lvn_error_set(err, LVN_ERROR_NOMEM, "out of memory for %s", STATE_FILE)
                      : lvn_file_replace(memory->path, text, strlen(text), 0600, err);
}

/* {"destination:pacs": "pacs takes nothing: …"}; a node that does not answer is a line, too. */
static json_t *look(const char *config_path) {
  struct lvn_error err = {0};
  LVN_AUTOJSON json_t *answer = NULL;
  json_t *lines = json_object();
  size_t position;
  json_t *line;
  if (!lvn_operate_ask(config_path, json_pack("{s:s}", "command", "status"), &answer, &err)) {
    (void)json_object_set_new(lines, "node:", json_string(err.message));
    return lines;
  }
  json_array_foreach(json_object_get(answer, "attention"), position, line) {
    char key[160];
    (void)snprintf(key, sizeof key, "%s:%s", json_string_value(json_object_get(line, "kind")),
                   json_string_value(json_object_get(line, "subject")));
    (void)json_object_set(lines, key, json_object_get(line, "text"));
  }
  return lines;
}

/* Those of `lines` that are (not) in `others`. */
static json_t *select_lines(const json_t *lines, const json_t *others, bool wanted) {
  json_t *chosen = json_object();
  const char *key;
  json_t *text;
  json_object_foreach((json_t *)(uintptr_t)lines, key, text) {
    if ((json_object_get(others, key) != NULL) == wanted) {
      (void)json_object_set(chosen, key, text);
    }
  }
  return chosen;
}

static void add_lines(char text[TEXT_BYTES], const char *title, const json_t *lines) {
  const char *key;
  json_t *line;
  size_t used = strlen(text);
  if (json_object_size(lines) > 0) {
    (void)snprintf(text + used, TEXT_BYTES - used, "%s:\n", title);
  }
  json_object_foreach((json_t *)(uintptr_t)lines, key, line) {
    used = strlen(text);
    (void)snprintf(text + used, TEXT_BYTES - used, "- %s\n", json_string_value(line));
  }
}

static bool tell(const struct lvn_config *config, const json_t *fresh, const json_t *still, const json_t *over,
                 struct lvn_error *err) {
  char subject[200];
  char host[65] = "";
  char text[TEXT_BYTES] = "";
  size_t count = json_object_size(fresh) + json_object_size(still);
  (void)gethostname(host, sizeof host - 1);
  (void)snprintf(subject, sizeof subject,
                 count == 0 ? "Liver-VLM %s on %s: all is well again" : "Liver-VLM %s on %s: %zu %s attention",
                 config->ae_title, host, count, count == 1 ? "thing needs" : "things need");
  add_lines(text, "New", fresh);
  add_lines(text, "Still", still);
  add_lines(text, "Over", over);
  size_t used = strlen(text);
  (void)snprintf(text + used, TEXT_BYTES - used, "\nlivervlm status, on %s, says how it is now.\n", host);
  return lvn_alert_tell(config, count == 0 ? "over" : "attention", subject, text, err);
}

/* What is there for the second time is told; what was told and is gone for the second time is over. */
static bool look_and_tell(const struct lvn_config *config, const char *config_path, struct memory *memory,
                          struct lvn_error *err) {
  LVN_AUTOJSON json_t *now = look(config_path);
  LVN_AUTOJSON json_t *lasting = select_lines(now, memory->seen, true);
  LVN_AUTOJSON json_t *fresh = select_lines(lasting, memory->told, false);
  LVN_AUTOJSON json_t *still = select_lines(now, memory->told, true);
  LVN_AUTOJSON json_t *gone = select_lines(memory->told, now, false);
  LVN_AUTOJSON json_t *over = select_lines(gone, memory->seen, false);
  int64_t now_ms = lvn_clock_wall_ms();
  int64_t age_ms = now_ms < memory->told_ms ? INT64_MAX : now_ms - memory->told_ms; /* a clock that was set */
  int64_t repeat_ms = 3600000 * (int64_t)config->alert_repeat_hours;
  bool is_due = json_object_size(fresh) + json_object_size(over) > 0 ||
                (repeat_ms > 0 && json_object_size(still) > 0 && age_ms >= repeat_ms);
  json_decref(memory->seen);
  memory->seen = json_incref(now);
  if (!is_due || age_ms < 1000 * (int64_t)config->alert_pause_seconds) {
    return memory_store(memory, err);
  }
  memory->told_ms = now_ms;
  bool good = tell(config, fresh, still, over, err);
  const char *key;
  json_t *text;
  void *next;
  if (good) {
    json_object_foreach_safe(over, next, key, text) {
      (void)json_object_del(memory->told, key);
    }
    (void)json_object_update(memory->told, fresh);
  }
  struct lvn_error second = {0};
  return memory_store(memory, good ? err : &second) && good;
}

/* Root goes on as the service's user for good: what it starts is no program of root's. */
static bool become_owner(const struct lvn_config *config, struct lvn_error *err) {
  return lvn_cli_act_as_owner(config->state_folder, "alert", err) &&
         ((setresgid(getegid(), getegid(), getegid()) == 0 && setresuid(geteuid(), geteuid(), geteuid()) == 0) ||
          lvn_error_set(err, LVN_ERROR_IO, "root's rights cannot be given up"));
}

static bool run(const char *config_path, bool is_test, struct lvn_error *err) {
  LVN_AUTOFREE struct lvn_config *config = lvn_alloc(1, sizeof *config, err);
  LVN_CLEANUP(memory_clear) struct memory memory = {0};
  if (config == NULL || !lvn_config_load(config_path, config, err) || !become_owner(config, err)) {
    return false;
  }
  if (is_test) {
    return lvn_alert_tell(config, "test", "Liver-VLM: a test", "This is a test: livervlm alert --test.\n", err);
  }
  if (config->alert_command[0] == '\0' && config->alert_mail[0] == '\0') {
    return lvn_error_set(err, LVN_ERROR_USAGE, "nobody is told: [alerts] alert_command and alert_mail are empty");
  }
  return memory_load(config, &memory, err) && look_and_tell(config, config_path, &memory, err);
}

int lvn_cli_alert(int argc, char **argv) {
  const char *config_path = LVN_OPERATE_CONFIG;
  bool is_test = false;
  int first = 0;
  struct lvn_error err = {0};
  const struct lvn_option options[] = {
      LVN_OPTION_CONFIG(&config_path),
      {"test", NULL, LVN_OPTION_FLAG, &is_test, "tell it now, as a test", false, 0, 0},
  };
  const struct lvn_usage usage = {
      .command = "alert",
      .summary = "Look at the node once, and tell whoever [alerts] names what is new.",
      .details =
          "livervlm-alert.timer runs this every minute. A line of livervlm status is told when it is there twice in\n"
          "a row, again after alert_repeat_hours, and once more when it is over; a node that does not answer is a\n"
          "line, too. What was told is remembered in alerts.json of the state folder.",
      .examples = "livervlm alert --test                         does it arrive?\n"
                  "systemctl enable --now livervlm-alert.timer",
      .options = options,
      .option_count = sizeof options / sizeof options[0]};
  int code = lvn_options_parse(argc, argv, &usage, &first);
  if (code != LVN_OPTIONS_RUN) {
    return code;
  }
  (void)signal(SIGPIPE, SIG_IGN);
  return run(config_path, is_test, &err) ? LVN_EXIT_OK : lvn_options_fail(usage.command, &err);
}
