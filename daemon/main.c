/* livervlmd: the node. Reads the configuration, then is the supervisor of all roles or of one. */
#include "base/log.h"
#include "base/memory.h"
#include "config/config_tls.h"
#include "daemon/audit/audit.h"
#include "daemon/pipeline/run.h"
#include "daemon/receiver/receiver.h"
#include "daemon/supervisor/supervisor.h"
#include "daemon/worker_load.h"

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { EXIT_OK = 0, EXIT_FAILED = 1, EXIT_USAGE = 2 };

static const char help[] =
    "usage: livervlmd --config FILE [--role all|receiver|pipeline|worker] [--check-config]\n\n"
    "The Liver-VLM node: receives multiphase liver CT over DICOM, analyses it, sends the results.\n\n"
    "  --config FILE    the configuration (livervlm check-config --sample writes one)\n"
    "  --role ROLE      all (default): receiver, pipeline and worker under one supervisor; or one of them,\n"
    "                   as the systemd units do\n"
    "  --check-config   read the configuration, say whether it is good, and end\n"
    "  --version        name the version and end\n"
    "  --help           this text\n\n"
    "SIGHUP reads the configuration again; SIGTERM ends in order. Research use only. Not a medical device.\n";

struct arguments {
  const char *config_path;
  const char *role;
  bool only_checks;
  bool is_answered; /* --help and --version have said all */
};

static int refuse(const char *text, const char *word) {
  (void)fprintf(stderr, "livervlmd: %s%s%s%s (see livervlmd --help)\n", text, word[0] == '\0' ? "" : " '", word,
                word[0] == '\0' ? "" : "'");
  return EXIT_USAGE;
}

static bool is_role(const char *word) {
  return strcmp(word, "all") == 0 || strcmp(word, "receiver") == 0 || strcmp(word, "pipeline") == 0 ||
         strcmp(word, "worker") == 0;
}

static int parse(int argc, char **argv, struct arguments *ret_arguments) {
  static const struct option options[] = {
      {"config", required_argument, NULL, 'c'}, {"role", required_argument, NULL, 'r'},
      {"check-config", no_argument, NULL, 'k'}, {"version", no_argument, NULL, 'v'},
      {"help", no_argument, NULL, 'h'},         {NULL, 0, NULL, 0}};
  struct arguments arguments = {.role = "all"};
  opterr = 0;
  for (int option = 0; (option = getopt_long(argc, argv, ":h", options, NULL)) != -1;) {
    switch (option) {
    case 'c':
      arguments.config_path = optarg;
      break;
    case 'r':
      arguments.role = optarg;
      break;
    case 'k':
      arguments.only_checks = true;
      break;
    case 'v':
      (void)printf("livervlmd %s\n", LVN_VERSION);
      ret_arguments->is_answered = true;
      return EXIT_OK;
    case 'h':
      (void)fputs(help, stdout);
      ret_arguments->is_answered = true;
      return EXIT_OK;
    case ':':
      return refuse("a value is missing after", argv[optind - 1]);
    default:
      return refuse("unknown option", argv[optind - 1]);
    }
  }
  if (optind < argc) {
    return refuse("unexpected argument", argv[optind]);
  }
  if (arguments.config_path == NULL) {
    return refuse("--config FILE is missing", "");
  }
  if (!is_role(arguments.role)) {
    return refuse("--role is all, receiver, pipeline or worker, not", arguments.role);
  }
  *ret_arguments = arguments;
  return EXIT_OK;
}

static int run(const struct arguments *arguments, const struct lvn_config *config) {
  const bool is_all = strcmp(arguments->role, "all") == 0;
  /* In one service the model may load while objects already come in; alone, a worker is ready when it can work. */
  const struct lvn_role roles[] = {
      {.name = "receiver",
       .process_name = "lvn-receiver",
       .run = lvn_receiver_run,
       .gates_ready = true,
       .must_start = true,
       .stops_first = true},
      {.name = "pipeline", .process_name = "lvn-pipeline", .run = lvn_pipeline_run, .gates_ready = true},
      {.name = "worker",
       .process_name = "lvn-worker",
       .run = lvn_worker_load_and_run,
       .gates_ready = !is_all,
       .restarts_on_reload = true}};
  struct lvn_supervisor_plan plan = {.config_path = arguments->config_path,
                                     .config = config,
                                     .roles = roles,
                                     .role_count = sizeof roles / sizeof roles[0]};
  for (size_t i = 0; !is_all && i < sizeof roles / sizeof roles[0]; i++) {
    if (strcmp(roles[i].name, arguments->role) == 0) {
      plan.roles = &roles[i];
      plan.role_count = 1;
    }
  }
  /* The node is told of once, however many units its roles are run in. */
  const bool tells = is_all || strcmp(arguments->role, "pipeline") == 0;
  if (tells) {
    lvn_audit_write(config, &(struct lvn_audit_event){.kind = LVN_AUDIT_NODE_STARTED});
  }
  const int status = lvn_supervisor_run(&plan);
  if (tells) {
    lvn_audit_write(config, &(struct lvn_audit_event){.kind = LVN_AUDIT_NODE_STOPPED, .has_failed = status != 0});
  }
  return status;
}

/* A reload that is asked for before anybody listens waits: every role blocks SIGHUP and hears of it by a descriptor. */
static void block_hangup(void) {
  sigset_t signals;
  (void)sigemptyset(&signals);
  (void)sigaddset(&signals, SIGHUP);
  (void)sigprocmask(SIG_BLOCK, &signals, NULL);
}

int main(int argc, char **argv) {
  struct lvn_error err = {0};
  struct arguments arguments = {0};
  int status = parse(argc, argv, &arguments);
  if (status != EXIT_OK || arguments.is_answered) {
    return status;
  }
  LVN_AUTOFREE struct lvn_config *config = lvn_alloc(1, sizeof *config, &err);
  if (config == NULL || !lvn_config_load(arguments.config_path, config, &err)) {
    (void)fprintf(stderr, "livervlmd: %s\n", err.message);
    return err.code == LVN_ERROR_NOMEM ? EXIT_FAILED : EXIT_USAGE;
  }
  if (arguments.only_checks) {
    char dates[512];
    if (!lvn_config_check_tls(config, dates, sizeof dates, &err)) {
      (void)fprintf(stderr, "livervlmd: %s: %s\n", arguments.config_path, err.message);
      return EXIT_USAGE;
    }
    (void)printf("%s: good; %zu peer%s\n", arguments.config_path, config->peer_count,
                 config->peer_count == 1 ? "" : "s");
    if (dates[0] != '\0') {
      (void)printf("%s: warning: %s\n", arguments.config_path, dates);
    }
    return EXIT_OK;
  }
  block_hangup();
  (void)umask(0077);
  lvn_log_setup("supervisor", lvn_log_level_from_name(config->log_level));
  return run(&arguments, config) == 0 ? EXIT_OK : EXIT_FAILED;
}
