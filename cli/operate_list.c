/* livervlm studies, jobs, outbound: lists of the running node, newest first. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "cli/commands.h"
#include "cli/operate.h"
#include "cli/options.h"

#define COUNT_OF(array) (sizeof(array) / sizeof(array)[0])
#define TABLE_ROWS 50U
#define PAGE_ROWS 500U
#define WATCH_SECONDS 2.0
#define OPTIONS_MAX 16

struct list {
  const char *command;
  const char *summary;
  const char *details;
  const char *examples;
  const char *states;
  const struct lvn_operate_column *columns;
  size_t column_count;
  const struct lvn_operate_column *found_columns; /* of --find, before the others; NULL: it has none */
  size_t found_column_count;
  bool has_peer;
};

/* What was asked for. */
struct query {
  const struct list *list;
  const char *config_path;
  const char *state;
  const char *study;
  const char *to;
  const char *find;
  int64_t since_ms;
  uint64_t limit; /* 0: all */
  bool as_json;
};

static json_t *pack_request(const struct query *query, const char *holds, const char *study, const json_t *after,
                            uint64_t limit) {
  return json_pack("{s:s, s:s*, s:s*, s:s*, s:s*, s:b, s:I, s:I, s:O*}", "command", query->list->command, "state",
                   query->state, "study", study, "holds", holds, "to", query->to, "samples", (int)(query->find != NULL),
                   "since_ms", (json_int_t)query->since_ms, "limit", (json_int_t)limit, "after", after);
}

static bool is_wanted(const struct query *query, json_t *row, bool is_known) {
  if (query->find == NULL) {
    return true;
  }
  lvn_operate_identify(row);
  (void)json_object_del(row, "samples");
  return is_known || lvn_operate_matches(row, query->find);
}

/* Page after page, until there are enough rows. `is_known`: whatever comes is what was looked for. */
static bool collect(const struct query *query, const char *holds, const char *study, bool is_known, json_t *rows,
                    bool *ret_more, struct lvn_error *err) {
  LVN_AUTOJSON json_t *after = NULL;
  *ret_more = false;
  for (;;) {
    LVN_AUTOJSON json_t *answer = NULL;
    size_t position;
    json_t *row;
    const bool all = query->limit == 0 || query->find != NULL;
    uint64_t wanted = all ? PAGE_ROWS : query->limit - json_array_size(rows);
    if (!lvn_operate_ask(query->config_path,
                         pack_request(query, holds, study, after, wanted < PAGE_ROWS ? wanted : PAGE_ROWS), &answer,
                         err)) {
      return false;
    }
    json_array_foreach(json_object_get(answer, query->list->command), position, row) {
      if (query->limit != 0 && json_array_size(rows) == query->limit) {
        *ret_more = true;
        return true;
      }
      if (is_wanted(query, row, is_known)) {
        (void)json_array_append(rows, row);
      }
    }
    json_t *next = json_object_get(answer, "next");
    if (next == NULL || (query->find == NULL && json_array_size(rows) == query->limit && query->limit != 0)) {
      *ret_more = next != NULL;
      return true;
    }
    json_decref(after);
    after = json_incref(next);
  }
}

/* The index is asked for UIDs alone; anything else may be a patient's, and is compared here. */
static bool find(const struct query *query, json_t *rows, bool *ret_more, struct lvn_error *err) {
  const bool is_uid = strchr(query->find, '.') != NULL && strspn(query->find, "0123456789.") == strlen(query->find);
  if (is_uid && (!collect(query, NULL, query->find, true, rows, ret_more, err) ||
                 (json_array_size(rows) == 0 && !collect(query, query->find, NULL, true, rows, ret_more, err)))) {
    return false;
  }
  return json_array_size(rows) > 0 || collect(query, NULL, NULL, false, rows, ret_more, err);
}

static bool show_table(const struct query *query, const json_t *rows, bool more, struct lvn_error *err) {
  const struct list *list = query->list;
  struct lvn_operate_column columns[16];
  size_t count = 0;
  for (size_t i = 0; query->find != NULL && i < list->found_column_count; i++) {
    columns[count++] = list->found_columns[i];
  }
  for (size_t i = 0; i < list->column_count; i++) {
    columns[count++] = list->columns[i];
  }
  if (query->find != NULL && json_array_size(rows) == 0) {
    return lvn_error_set(err, LVN_ERROR_DATA, "no study is found by '%.64s'", query->find);
  }
  lvn_operate_print_table(rows, columns, count);
  if (more) {
    (void)fprintf(stderr, "(the newest %zu; --limit 0 shows all)\n", json_array_size(rows));
  }
  return true;
}

static bool show(const struct query *query, struct lvn_error *err) {
  LVN_AUTOJSON json_t *rows = json_array();
  size_t position;
  json_t *row;
  bool more = false;
  if (!(query->find != NULL ? find(query, rows, &more, err)
                            : collect(query, NULL, query->study, true, rows, &more, err))) {
    return false;
  }
  if (strcmp(query->list->command, "studies") == 0) {
    json_array_foreach(rows, position, row) {
      lvn_operate_add_result(row);
    }
  }
  if (!query->as_json) {
    return show_table(query, rows, more, err);
  }
  LVN_AUTOJSON json_t *answer = json_pack("{s:b, s:O, s:b}", "ok", 1, query->list->command, rows, "more", (int)more);
  lvn_operate_print_json(answer);
  return true;
}

/* Until Ctrl-C. */
static int watch(const struct query *query) {
  const bool is_terminal = isatty(STDOUT_FILENO) == 1;
  for (;;) {
    struct lvn_error err = {0};
    char now[LVN_TIME_TEXT_BYTES];
    lvn_clock_format_people(lvn_clock_wall_ms(), now);
    (void)printf("%s%s, every %.0f s; Ctrl-C ends\n\n", is_terminal ? "\033[H\033[2J" : "\n", now, WATCH_SECONDS);
    if (!show(query, &err)) {
      (void)printf("%s\n", err.message); /* the node may be starting: it is asked again */
    }
    if (fflush(stdout) != 0) {
      return LVN_EXIT_FAILED;
    }
    lvn_clock_sleep_seconds(WATCH_SECONDS);
  }
}

static int run_list(int argc, char **argv, const struct list *list) {
  struct query query = {.list = list, .config_path = LVN_OPERATE_CONFIG, .limit = UINT64_MAX};
  const char *since = NULL;
  bool watches = false;
  int first = 0;
  struct lvn_error err = {0};
  struct lvn_option options[OPTIONS_MAX] = {
      LVN_OPTION_CONFIG(&query.config_path),
      {"state", list->states, LVN_OPTION_CHOICE, &query.state, "only those in this state", false, 0, 0},
      {"since", "TIME", LVN_OPTION_TEXT, &since, "only newer ones: 30m, 2h, 3d, 2w, 2026-11-28, \"2026-11-28 13:00\"",
       false, 0, 0},
      {"limit", "N", LVN_OPTION_UINT64, &query.limit, "at most so many, the newest; 0: all (50; with --json all)",
       false, 0, 1e9},
      {"watch", NULL, LVN_OPTION_FLAG, &watches, "show it again every 2 s", false, 0, 0},
      LVN_OPTION_JSON(&query.as_json),
      {"study", "STUDY", LVN_OPTION_TEXT, &query.study, "only those of this study (UID, or name in the log)", false, 0,
       0},
  };
  struct lvn_usage usage = {.command = list->command,
                            .summary = list->summary,
                            .details = list->details,
                            .examples = list->examples,
                            .options = options,
                            .option_count = 7};
  if (list->found_columns != NULL) {
    options[usage.option_count++] =
        (struct lvn_option){"find",
                            "TEXT",
                            LVN_OPTION_TEXT,
                            &query.find,
                            "by accession number, patient ID, study date, UID or name; * and ? stand for anything",
                            false,
                            0,
                            0};
  }
  if (list->has_peer) {
    options[usage.option_count++] =
        (struct lvn_option){"to", "PEER", LVN_OPTION_TEXT, &query.to, "only what goes to this peer", false, 0, 0};
  }
  int code = lvn_options_parse(argc, argv, &usage, &first);
  if (code != LVN_OPTIONS_RUN) {
    return code;
  }
  if (watches && query.as_json) {
    return lvn_options_complain(&usage, "--watch shows a table, not JSON");
  }
  if (since != NULL && !lvn_operate_parse_since(since, lvn_clock_wall_ms(), &query.since_ms, &err)) {
    return lvn_options_complain(&usage, "%s", err.message);
  }
  if (query.limit == UINT64_MAX) {
    query.limit = query.as_json || query.find != NULL ? 0 : TABLE_ROWS;
  }
  if (watches) {
    return watch(&query);
  }
  return show(&query, &err) ? LVN_EXIT_OK : lvn_options_fail(usage.command, &err);
}

int lvn_cli_studies(int argc, char **argv) {
  static const struct lvn_operate_column columns[] = {
      {"name", "STUDY", LVN_COLUMN_PLAIN},
      {"state", "STATE", LVN_COLUMN_PLAIN},
      {"objects", "OBJECTS", LVN_COLUMN_PLAIN},
      {"ct_series", "CT", LVN_COLUMN_PLAIN},
      {"rois", "ROI", LVN_COLUMN_PLAIN},
      {"source", "FROM", LVN_COLUMN_PLAIN},
      {"job", "JOB", LVN_COLUMN_PLAIN},
      {"last_received", "LAST OBJECT", LVN_COLUMN_TIME},
      {"lesions", "LESIONS", LVN_COLUMN_PLAIN},
      {"result", "RESULT", LVN_COLUMN_PLAIN},
      {"status_message", "REMARK", LVN_COLUMN_PLAIN},
  };
  static const struct lvn_operate_column found[] = {
      {"accession_number", "ACCESSION", LVN_COLUMN_PLAIN},
      {"patient_id", "PATIENT ID", LVN_COLUMN_PLAIN},
      {"study_date", "DATE", LVN_COLUMN_PLAIN},
  };
  static const struct list list = {
      .command = "studies",
      .summary = "List the studies, newest first, what each waits for and what came of it.",
      .details =
          "--find reads the accession number, patient ID and study date from the stored objects while it looks;\n"
          "they are in no index and no log.",
      .examples = "livervlm studies --find PH81679546          where is the result of this accession?\n"
                  "livervlm studies --state failed --since 1d  what failed since yesterday\n"
                  "livervlm studies --watch                    see them come in",
      .states = "collecting|ready|processing|done|failed|rejected",
      .columns = columns,
      .column_count = COUNT_OF(columns),
      .found_columns = found,
      .found_column_count = COUNT_OF(found)};
  return run_list(argc, argv, &list);
}

int lvn_cli_jobs(int argc, char **argv) {
  static const struct lvn_operate_column columns[] = {
      {"job", "JOB", LVN_COLUMN_PLAIN},          {"study", "STUDY", LVN_COLUMN_PLAIN},
      {"state", "STATE", LVN_COLUMN_PLAIN},      {"outcome", "OUTCOME", LVN_COLUMN_PLAIN},
      {"attempt", "ATTEMPT", LVN_COLUMN_PLAIN},  {"version", "MODEL", LVN_COLUMN_PLAIN},
      {"started", "STARTED", LVN_COLUMN_TIME},   {"seconds", "TOOK", LVN_COLUMN_SECONDS},
      {"finished", "FINISHED", LVN_COLUMN_TIME}, {"error", "ERROR", LVN_COLUMN_PLAIN},
  };
  static const struct list list = {.command = "jobs",
                                   .summary = "List the analyses, newest first.",
                                   .examples = "livervlm jobs --state failed --since 1d\n"
                                               "livervlm jobs --study 7d4e69216e15",
                                   .states = "queued|running|done|failed|cancelled",
                                   .columns = columns,
                                   .column_count = COUNT_OF(columns)};
  return run_list(argc, argv, &list);
}

int lvn_cli_outbound(int argc, char **argv) {
  static const struct lvn_operate_column columns[] = {
      {"outbound", "OBJECT", LVN_COLUMN_PLAIN},
      {"job", "JOB", LVN_COLUMN_PLAIN},
      {"study", "STUDY", LVN_COLUMN_PLAIN},
      {"destination", "TO", LVN_COLUMN_PLAIN},
      {"kind", "KIND", LVN_COLUMN_PLAIN},
      {"state", "STATE", LVN_COLUMN_PLAIN},
      {"attempt", "ATTEMPT", LVN_COLUMN_PLAIN},
      {"next_attempt", "NEXT ATTEMPT", LVN_COLUMN_TIME},
      {"sent", "SENT", LVN_COLUMN_TIME},
      {"verdict", "VERDICT", LVN_COLUMN_PLAIN},
      {"status_message", "ANSWER", LVN_COLUMN_PLAIN},
  };
  static const struct list list = {.command = "outbound",
                                   .summary = "List outgoing objects and their destinations, newest first.",
                                   .examples =
                                       "livervlm outbound --state failed      what could not be delivered, and why\n"
                                       "livervlm outbound --to ARCHIVE --since 2h",
                                   .states = "queued|sending|sent|committed|failed|cancelled",
                                   .columns = columns,
                                   .column_count = COUNT_OF(columns),
                                   .has_peer = true};
  return run_list(argc, argv, &list);
}
