/* livervlm: finds the sub-command and hands over. */
#include "cli/commands.h"
#include "cli/engine.h"
#include "cli/options.h"

#include <stdio.h>
#include <string.h>

struct command {
  const char *name;
  int (*run)(int argc, char **argv); /* NULL: the engine has it */
  const char *summary;
};

static const struct command commands[] = {
    {"analyze", NULL, "run the whole pipeline on a folder of DICOM files, without the network"},
    {"phantom", lvn_cli_phantom, "make multiphase CT studies of a parametric abdomen with a known lesion"},
    {"dataset", NULL, "make or show a training data set of lesion crops"},
    {"train", NULL, "train a model package on a data set"},
    {"evaluate", NULL, "measure a model package on a data set"},
    {"model", lvn_cli_model, "list, show, verify and sign model packages"},
    {"text-encoder", NULL, "embed the class prompts by a BERT-family text encoder"},
    {"check-config", lvn_cli_check_config, "read a configuration as the node would and say what is wrong"},
    {"status", lvn_cli_status, "the running node in one view"},
    {"studies", lvn_cli_studies, "the studies and what each waits for"},
    {"jobs", lvn_cli_jobs, "the analyses: waiting, running, done, failed"},
    {"outbound", lvn_cli_outbound, "the results on their way to their destinations"},
    {"retry", lvn_cli_retry, "try a failed job or transfer again"},
    {"fetch", lvn_cli_fetch, "ask an archive for what a study lacks"},
    {"send", lvn_cli_send, "send the results of a study to a peer, again or for the first time"},
    {"release", lvn_cli_release, "let a study go on that was stopped for a person to decide"},
    {"rebuild-index", lvn_cli_rebuild_index, "rebuild the index from the stored objects"},
    {"verify-store", lvn_cli_verify_store, "check that every stored object and state is as it should be"},
    {"study", lvn_cli_study, "remove a study from the node, with its results"},
    {"alert", lvn_cli_alert, "tell by mail or command what needs attention"},
    {"echo", lvn_cli_echo, "verify the connection to a peer (C-ECHO)"},
    {"test-send", lvn_cli_test_send, "send the result of a test patient to a peer"},
};
static const size_t command_count = sizeof commands / sizeof commands[0];

static void print_help(void) {
  (void)printf(
      "usage: livervlm COMMAND [OPTION]…\n\nMultiphase liver CT in, structured report out: the node's tools.\n\n");
  for (size_t i = 0; i < command_count; i++) {
    (void)printf("  %-15s %s\n", commands[i].name, commands[i].summary);
  }
  (void)printf("\nlivervlm COMMAND --help explains a command, with examples; livervlm --version names the version.\n"
               "Research use only. Not a medical device.\n");
}

int main(int argc, char **argv) {
  if (argc < 2) {
    (void)fprintf(stderr, "livervlm: a command is missing (see livervlm --help)\n");
    return LVN_EXIT_USAGE;
  }
  if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
    print_help();
    return LVN_EXIT_OK;
  }
  if (strcmp(argv[1], "--version") == 0) {
    (void)printf("livervlm %s\n", LVN_VERSION);
    return LVN_EXIT_OK;
  }
  for (size_t i = 0; i < command_count; i++) {
    if (strcmp(argv[1], commands[i].name) == 0) {
      return commands[i].run == NULL ? lvn_cli_engine(argv[1], argc - 1, argv + 1)
                                     : commands[i].run(argc - 1, argv + 1);
    }
  }
  (void)fprintf(stderr, "livervlm: unknown command '%s' (see livervlm --help)\n", argv[1]);
  return LVN_EXIT_USAGE;
}
