/* Command-line options, alike in every sub-command of `livervlm`: a table in, values out, and one line on standard
 * error for what is wrong. Call from the main thread (getopt_long keeps static state). */
#ifndef LVN_CLI_OPTIONS_H
#define LVN_CLI_OPTIONS_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Exit codes of every sub-command. */
enum { LVN_EXIT_OK = 0, LVN_EXIT_FAILED = 1, LVN_EXIT_USAGE = 2 };

/* lvn_options_parse(): go on with the work. */
#define LVN_OPTIONS_RUN (-1)

#define LVN_OPTION_LIST_MAX 256
struct lvn_option_list {
  const char *values[LVN_OPTION_LIST_MAX];
  size_t count;
};

enum lvn_option_kind {
  LVN_OPTION_FLAG,   /* bool: true when given */
  LVN_OPTION_TEXT,   /* const char * into argv */
  LVN_OPTION_CHOICE, /* const char *: one of the words of value_name, "auto|cpu|cuda" */
  LVN_OPTION_LIST,   /* struct lvn_option_list: may be given several times */
  LVN_OPTION_UINT,   /* unsigned, minimum to maximum */
  LVN_OPTION_UINT64, /* uint64_t, minimum to maximum */
  LVN_OPTION_REAL    /* double, minimum to maximum */
};

struct lvn_option {
  const char *name;       /* "output" for --output */
  const char *value_name; /* "DIR"; NULL for a flag */
  enum lvn_option_kind kind;
  void *target; /* keeps the caller's default when the option is not given */
  const char *help;
  bool required;
  double minimum; /* both 0: any value */
  double maximum;
};

/* What --help shows. */
struct lvn_usage {
  const char *command;   /* "analyze", "model show" */
  const char *arguments; /* "DIR [FILE]…"; NULL or "" when there are none */
  const char *summary;   /* one sentence */
  const char *details;   /* further paragraphs, or NULL */
  const char *examples;  /* command lines, one a line, as they are typed; what follows two blanks explains it */
  const struct lvn_option *options;
  size_t option_count;
  size_t arguments_min; /* number of arguments that are no options */
  size_t arguments_max;
};

/* `argv[0]` is the (sub-)command's own name. Gives LVN_OPTIONS_RUN with *ret_first the index of the first argument that
 * is no option (argv is reordered so that those come last), or the exit code to return at once: 0 after --help, 2 after
 * a complaint. */
int lvn_options_parse(int argc, char **argv, const struct lvn_usage *usage, int *ret_first);

/* "livervlm COMMAND: TEXT" on standard error; returns LVN_EXIT_USAGE. */
int lvn_options_complain(const struct lvn_usage *usage, const char *format, ...) LVN_PRINTF(2, 3);

/* A command of commands ("model", "dataset"): runs the one that argv[1] names; --help lists them; anything else is one
 * line on standard error and LVN_EXIT_USAGE. `members` ends with a NULL name. */
struct lvn_options_member {
  const char *name;
  int (*run)(int argc, char **argv);
  const char *summary;
};
int lvn_options_group(int argc, char **argv, const char *summary, const struct lvn_options_member *members);

/* "livervlm COMMAND: <message>" on standard error; returns LVN_EXIT_USAGE for LVN_ERROR_USAGE, else LVN_EXIT_FAILED. */
int lvn_options_fail(const char *command, const struct lvn_error *err);
/* The same for a command whose input is the caller's work: a data set, weights or a package that is not what it should
 * be is wrong use, too: LVN_EXIT_USAGE also for LVN_ERROR_DATA and LVN_ERROR_CONFLICT. */
int lvn_options_refuse(const char *command, const struct lvn_error *err);

#ifdef __cplusplus
}
#endif
#endif
