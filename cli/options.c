#include "cli/options.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <getopt.h>

#define OPTIONS_MAX 40
#define HELP_CODE 1000

int lvn_options_complain(const struct lvn_usage *usage, const char *format, ...) {
  va_list args;
  (void)fprintf(stderr, "livervlm %s: ", usage->command);
  va_start(args, format);
  (void)vfprintf(stderr, format, args);
  va_end(args);
  (void)fprintf(stderr, " (see livervlm %s --help)\n", usage->command);
  return LVN_EXIT_USAGE;
}

int lvn_options_fail(const char *command, const struct lvn_error *err) {
  (void)fprintf(stderr, "livervlm %s: %s\n", command, err->message);
  return err->code == LVN_ERROR_USAGE ? LVN_EXIT_USAGE : LVN_EXIT_FAILED;
}

int lvn_options_refuse(const char *command, const struct lvn_error *err) {
  int code = lvn_options_fail(command, err);
  return err->code == LVN_ERROR_DATA || err->code == LVN_ERROR_CONFLICT ? LVN_EXIT_USAGE : code;
}

#define HELP_COLUMNS 98
#define HELP_INDENT 30

/* Breaks lines at blanks, or where the text does before an indented or empty line; the first one begins at `indent`
 * already. */
static void print_wrapped(const char *text, size_t indent) {
  size_t column = indent;
  while (*text != '\0') {
    size_t word = strcspn(text, " \n");
    if (column > indent && column + 1 + word > HELP_COLUMNS) {
      (void)printf("\n%*s", (int)indent, "");
      column = indent;
    } else if (column > indent) {
      (void)printf(" ");
      column++;
    }
    (void)printf("%.*s", (int)word, text);
    column += word;
    text += word;
    if (*text == '\n' && (text[1] == '\n' || text[1] == ' ')) {
      (void)printf("\n%*s", (int)indent, "");
      column = indent;
    }
    text += *text != '\0' ? 1 : 0;
  }
  (void)printf("\n");
}

static void print_choices(const char *choices) {
  char text[1024];
  size_t used = 0;
  for (; *choices != '\0' && used + 2 < sizeof text; choices++) {
    text[used++] = *choices == '|' ? ',' : *choices;
    if (*choices == '|') {
      text[used++] = ' ';
    }
  }
  text[used] = '\0';
  (void)printf("%*s", HELP_INDENT, "");
  print_wrapped(text, HELP_INDENT);
}

static void print_option(const char *name, const char *value_name, const char *help) {
  char left[128];
  (void)snprintf(left, sizeof left, "  --%s%s%s", name, value_name != NULL ? " " : "",
                 value_name != NULL ? value_name : "");
  const bool is_long_choice = value_name != NULL && strlen(value_name) > HELP_COLUMNS - HELP_INDENT;
  if (is_long_choice) {
    (void)snprintf(left, sizeof left, "  --%s WORD", name);
  }
  if (strlen(left) >= HELP_INDENT) {
    (void)printf("%s\n%*s", left, HELP_INDENT, "");
  } else {
    (void)printf("%-*s", HELP_INDENT, left);
  }
  print_wrapped(help, HELP_INDENT);
  if (is_long_choice) {
    print_choices(value_name);
  }
}

static void print_help(const struct lvn_usage *usage) {
  (void)printf("usage: livervlm %s", usage->command);
  for (size_t i = 0; i < usage->option_count; i++) {
    if (usage->options[i].required) {
      (void)printf(" --%s %s", usage->options[i].name, usage->options[i].value_name);
    }
  }
  (void)printf(" [OPTION]…%s%s\n\n", usage->arguments_max > 0 ? " " : "",
               usage->arguments_max > 0 ? usage->arguments : "");
  print_wrapped(usage->summary, 0);
  if (usage->details != NULL) {
    (void)printf("\n");
    print_wrapped(usage->details, 0);
  }
  (void)printf("\n");
  for (size_t i = 0; i < usage->option_count; i++) {
    print_option(usage->options[i].name, usage->options[i].value_name, usage->options[i].help);
  }
  print_option("help", NULL, "show this text");
  if (usage->examples != NULL) {
    (void)printf("\nExamples:\n");
    for (const char *line = usage->examples; *line != '\0';) {
      size_t length = strcspn(line, "\n");
      (void)printf("  %.*s\n", (int)length, line);
      line += length + (line[length] == '\n' ? 1 : 0);
    }
  }
}

static bool is_in_range(const struct lvn_option *option, double value) {
  bool has_range = option->maximum > option->minimum;
  return !has_range || (value >= option->minimum && value <= option->maximum);
}

static bool is_choice(const char *choices, const char *text) {
  size_t length = strlen(text);
  const char *at = choices;
  while (length > 0 && at != NULL) {
    size_t word = strcspn(at, "|");
    if (word == length && strncmp(at, text, length) == 0) {
      return true;
    }
    at = at[word] == '|' ? at + word + 1 : NULL;
  }
  return false;
}

/* Digits only: strtoull() alone would take "-1" as 2^64 - 1. */
static bool parse_integer(const struct lvn_option *option, const char *text, uint64_t *ret_value) {
  if (text[0] == '\0' || strspn(text, "0123456789") != strlen(text)) {
    return false;
  }
  errno = 0;
  *ret_value = strtoull(text, NULL, 10);
  return errno == 0 && is_in_range(option, (double)*ret_value);
}

static bool parse_real(const struct lvn_option *option, const char *text, double *ret_value) {
  char *end = NULL;
  *ret_value = strtod(text, &end);
  return end != text && *end == '\0' && isfinite(*ret_value) && is_in_range(option, *ret_value);
}

static bool store_number(const struct lvn_option *option, const char *text) {
  uint64_t integer = 0;
  double real = 0;
  if (option->kind == LVN_OPTION_REAL) {
    if (!parse_real(option, text, &real)) {
      return false;
    }
    *(double *)option->target = real;
    return true;
  }
  if (!parse_integer(option, text, &integer)) {
    return false;
  }
  if (option->kind == LVN_OPTION_UINT64) {
    *(uint64_t *)option->target = integer;
    return true;
  }
  if (integer > UINT32_MAX) {
    return false;
  }
  *(unsigned *)option->target = (unsigned)integer;
  return true;
}

static bool store(const struct lvn_option *option, const char *text) {
  struct lvn_option_list *list = option->target;
  switch (option->kind) {
  case LVN_OPTION_FLAG:
    *(bool *)option->target = true;
    return true;
  case LVN_OPTION_CHOICE:
    if (!is_choice(option->value_name, text)) {
      return false;
    }
    *(const char **)option->target = text;
    return true;
  case LVN_OPTION_TEXT:
    *(const char **)option->target = text;
    return text[0] != '\0';
  case LVN_OPTION_LIST:
    if (list->count == LVN_OPTION_LIST_MAX || text[0] == '\0') {
      return false;
    }
    list->values[list->count++] = text;
    return true;
  default:
    return store_number(option, text);
  }
}

static int complain_value(const struct lvn_usage *usage, const struct lvn_option *option, const char *text) {
  if (option->kind == LVN_OPTION_CHOICE) {
    return lvn_options_complain(usage, "--%s: '%s' is not one of %s", option->name, text, option->value_name);
  }
  if (option->maximum > option->minimum) {
    return lvn_options_complain(usage, "--%s: '%s' is not a number from %.10g to %.10g", option->name, text,
                                option->minimum, option->maximum);
  }
  return lvn_options_complain(usage, "--%s: '%s' is not allowed", option->name, text);
}

static int finish(int argc, const struct lvn_usage *usage, const bool *given, int *ret_first) {
  size_t rest = (size_t)(argc - optind);
  for (size_t i = 0; i < usage->option_count; i++) {
    if (usage->options[i].required && !given[i]) {
      return lvn_options_complain(usage, "--%s %s is missing", usage->options[i].name, usage->options[i].value_name);
    }
  }
  if (rest < usage->arguments_min) {
    return lvn_options_complain(usage, "%s is missing", usage->arguments);
  }
  if (rest > usage->arguments_max) {
    return lvn_options_complain(usage, "too many arguments");
  }
  *ret_first = optind;
  return LVN_OPTIONS_RUN;
}

int lvn_options_parse(int argc, char **argv, const struct lvn_usage *usage, int *ret_first) {
  struct option long_options[OPTIONS_MAX + 2] = {0};
  bool given[OPTIONS_MAX] = {false};
  int code = 0;
  if (usage->option_count > OPTIONS_MAX) {
    return lvn_options_complain(usage, "has more than %d options", OPTIONS_MAX);
  }
  for (size_t i = 0; i < usage->option_count; i++) {
    bool is_flag = usage->options[i].kind == LVN_OPTION_FLAG;
    long_options[i] = (struct option){.name = usage->options[i].name,
                                      .has_arg = is_flag ? no_argument : required_argument,
                                      .val = HELP_CODE + 1 + (int)i};
  }
  long_options[usage->option_count] = (struct option){.name = "help", .has_arg = no_argument, .val = HELP_CODE};
  optind = 0; /* glibc: start over, also after another sub-command's parse */
  opterr = 0;
  while ((code = getopt_long(argc, argv, ":h", long_options, NULL)) != -1) {
    if (code == 'h' || code == HELP_CODE) {
      print_help(usage);
      return LVN_EXIT_OK;
    }
    if (code == ':') {
      return lvn_options_complain(usage, "%s needs a value", argv[optind - 1]);
    }
    if (code == '?') {
      return lvn_options_complain(usage, "unknown option '%s'", argv[optind - 1]);
    }
    if (!store(&usage->options[code - HELP_CODE - 1], optarg)) {
      return complain_value(usage, &usage->options[code - HELP_CODE - 1], optarg);
    }
    given[code - HELP_CODE - 1] = true;
  }
  return finish(argc, usage, given, ret_first);
}

int lvn_options_group(int argc, char **argv, const char *summary, const struct lvn_options_member *members) {
  const char *word = argc >= 2 ? argv[1] : "";
  for (const struct lvn_options_member *member = members; member->name != NULL; member++) {
    if (strcmp(word, member->name) == 0) {
      return member->run(argc - 1, argv + 1);
    }
  }
  if (strcmp(word, "--help") != 0) {
    (void)fprintf(stderr, "livervlm %s: %s%s%s (see livervlm %s --help)\n", argv[0],
                  word[0] == '\0' ? "a command is missing" : "unknown command '", word, word[0] == '\0' ? "" : "'",
                  argv[0]);
    return LVN_EXIT_USAGE;
  }
  (void)printf("usage: livervlm %s COMMAND [OPTION]…\n\n%s\n\n", argv[0], summary);
  for (const struct lvn_options_member *member = members; member->name != NULL; member++) {
    (void)printf("  %-8s  %s\n", member->name, member->summary);
  }
  (void)printf("\nlivervlm %s COMMAND --help explains a command.\n", argv[0]);
  return LVN_EXIT_OK;
}
