/* livervlm check-config: what the node would say about a configuration, without starting it. */
#include "base/memory.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "config/config_tls.h"

#include <stdio.h>

static const char default_path[] = "/etc/livervlm/livervlm.ini";

static int print_sample(const struct lvn_usage *usage) {
  struct lvn_error err = {0};
  return lvn_config_write_sample(stdout, &err) ? LVN_EXIT_OK : lvn_options_fail(usage->command, &err);
}

static void print_warning(void *user_data, const char *text) {
  (void)printf("%s: warning: %s\n", (const char *)user_data, text);
}

static void print_mistake(void *user_data, const char *text) {
  size_t *count = user_data;
  (void)fprintf(stderr, "livervlm check-config: %s\n", text);
  (*count)++;
}

static int check(const struct lvn_usage *usage, const char *path, bool print, bool strict) {
  struct lvn_error err = {0};
  char dates[512] = "";
  size_t mistakes = 0;
  LVN_AUTOFREE struct lvn_config *config = lvn_alloc(1, sizeof *config, &err);
  if (config == NULL || !lvn_config_load_all(path, print_mistake, &mistakes, config, &err)) {
    return mistakes > 0 ? LVN_EXIT_USAGE : lvn_options_fail(usage->command, &err);
  }
  if (!print && !lvn_config_check_tls(config, dates, sizeof dates, &err)) {
    (void)lvn_error_prefix(&err, "%s", path);
    return lvn_options_fail(usage->command, &err);
  }
  if (print) {
    return lvn_config_print(config, stdout, &err) ? LVN_EXIT_OK : lvn_options_fail(usage->command, &err);
  }
  (void)printf("%s: good; %zu peer%s\n", path, config->peer_count, config->peer_count == 1 ? "" : "s");
  LVN_AUTOFREE char *name = lvn_format(&err, "%s", path);
  if (name == NULL) {
    return lvn_options_fail(usage->command, &err);
  }
  if (dates[0] != '\0') {
    print_warning(name, dates);
  }
  const bool has_warning = lvn_config_warn(config, print_warning, name) > 0 || dates[0] != '\0';
  return has_warning && strict ? LVN_EXIT_USAGE : LVN_EXIT_OK;
}

static int compare(const struct lvn_usage *usage, const char *path, const char *other_path) {
  struct lvn_error err = {0};
  LVN_AUTOFREE struct lvn_config *before = lvn_alloc(1, sizeof *before, &err);
  LVN_AUTOFREE struct lvn_config *after = lvn_alloc(1, sizeof *after, &err);
  if (before == NULL || after == NULL || !lvn_config_load(other_path, before, &err) ||
      !lvn_config_load(path, after, &err) || !lvn_config_print_changes(before, after, stdout, &err)) {
    return lvn_options_fail(usage->command, &err);
  }
  return LVN_EXIT_OK;
}

int lvn_cli_check_config(int argc, char **argv) {
  bool print = false;
  bool sample = false;
  bool strict = false;
  const char *running = NULL;
  const char *path = default_path;
  const struct lvn_option options[] = {
      {"config", "FILE", LVN_OPTION_TEXT, &path, "the same as the argument FILE", false, 0, 0},
      {"print", NULL, LVN_OPTION_FLAG, &print, "show every key with its effective value", false, 0, 0},
      {"strict", NULL, LVN_OPTION_FLAG, &strict, "exit 2 for a warning, too", false, 0, 0},
      {"sample", NULL, LVN_OPTION_FLAG, &sample, "write the commented sample file", false, 0, 0},
      {"changes-from", "OLD", LVN_OPTION_TEXT, &running, "show what differs from the configuration OLD", false, 0, 0},
  };
  const struct lvn_usage usage = {
      .command = "check-config",
      .arguments = "[FILE]",
      .summary = "Read a configuration (default /etc/livervlm/livervlm.ini) as the node would; "
                 "exit 2 names each line at fault.",
      .examples = "livervlm check-config --strict\n"
                  "livervlm check-config new.ini --changes-from /etc/livervlm/livervlm.ini\n"
                  "livervlm check-config --print | grep retention",
      .options = options,
      .option_count = sizeof options / sizeof options[0],
      .arguments_max = 1};
  int first = 0;
  int code = lvn_options_parse(argc, argv, &usage, &first);
  if (code != LVN_OPTIONS_RUN) {
    return code;
  }
  if (first < argc) {
    path = argv[first];
  }
  if (sample) {
    return print_sample(&usage);
  }
  return running != NULL ? compare(&usage, path, running) : check(&usage, path, print, strict);
}
