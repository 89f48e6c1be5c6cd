#include "cli/operate.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/memory.h"

#define CELL_BYTES 640
#define COLUMNS_MAX 16

void lvn_operate_print_json(const json_t *answer) {
  (void)json_dumpf(answer, stdout, JSON_INDENT(2));
  (void)printf("\n");
}

static bool to_local(const char *utc, char ret_text[CELL_BYTES]) {
  struct tm parts = {0};
  char local[LVN_TIME_TEXT_BYTES];
  const char *rest = strptime(utc, "%Y-%m-%dT%H:%M:%S", &parts);
  if (rest == NULL || (*rest != '.' && *rest != 'Z')) {
    return false;
  }
  lvn_clock_format_people(1000 * (int64_t)timegm(&parts), local);
  return lvn_copy(ret_text, CELL_BYTES, local);
}

static void format_seconds(double seconds, char ret_text[CELL_BYTES]) {
  const long whole = (long)(seconds + 0.5);
  if (seconds < 9.95) {
    (void)snprintf(ret_text, CELL_BYTES, "%.1f s", seconds);
  } else if (whole < 120) {
    (void)snprintf(ret_text, CELL_BYTES, "%ld s", whole);
  } else if (whole < 7200) {
    (void)snprintf(ret_text, CELL_BYTES, "%ld min %ld s", whole / 60, whole % 60);
  } else {
    (void)snprintf(ret_text, CELL_BYTES, "%ld h %ld min", whole / 3600, whole / 60 % 60);
  }
}

static void format_cell(const json_t *value, enum lvn_operate_kind kind, char ret_text[CELL_BYTES]) {
  if (kind == LVN_COLUMN_SECONDS && json_is_number(value)) {
    format_seconds(json_number_value(value), ret_text);
  } else if (kind == LVN_COLUMN_TIME && json_is_string(value) && to_local(json_string_value(value), ret_text)) {
    return;
  } else if (json_is_string(value)) {
    (void)lvn_copy(ret_text, CELL_BYTES, json_string_value(value));
  } else if (json_is_integer(value)) {
    (void)snprintf(ret_text, CELL_BYTES, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
  } else {
    (void)lvn_copy(ret_text, CELL_BYTES, json_is_true(value) ? "yes" : "-");
  }
  if (ret_text[0] == '\0') {
    (void)lvn_copy(ret_text, CELL_BYTES, "-");
  }
  for (char *c = ret_text; *c != '\0'; c++) {
    if ((unsigned char)*c < 0x20 || *c == 0x7f) {
      *c = ' '; /* what a worker or peer said must not steer the terminal */
    }
  }
}

void lvn_operate_print_table(const json_t *rows, const struct lvn_operate_column *columns, size_t column_count) {
  size_t widths[COLUMNS_MAX] = {0};
  char text[CELL_BYTES];
  size_t row_count = json_array_size(rows);
  for (size_t i = 0; i < column_count; i++) {
    widths[i] = strlen(columns[i].title);
    for (size_t k = 0; k < row_count; k++) {
      format_cell(json_object_get(json_array_get(rows, k), columns[i].key), columns[i].kind, text);
      widths[i] = strlen(text) > widths[i] ? strlen(text) : widths[i];
    }
  }
  for (size_t i = 0; i < column_count; i++) {
    bool is_last = i + 1 == column_count;
    (void)printf("%-*s%s", is_last ? 0 : (int)widths[i], columns[i].title, is_last ? "\n" : "  ");
  }
  for (size_t k = 0; k < row_count; k++) {
    for (size_t i = 0; i < column_count; i++) {
      bool is_last = i + 1 == column_count;
      format_cell(json_object_get(json_array_get(rows, k), columns[i].key), columns[i].kind, text);
      (void)printf("%-*s%s", is_last ? 0 : (int)widths[i], text, is_last ? "\n" : "  ");
    }
  }
}

static void print_states(const json_t *answer, const char *key) {
  const char *state;
  json_t *value;
  (void)printf("%-12s", key);
  json_object_foreach(json_object_get(answer, key), state, value) {
    (void)printf(" %s %" JSON_INTEGER_FORMAT " ", state, json_integer_value(value));
  }
  (void)printf("\n");
}

static const char *local_or_dash(const json_t *answer, const char *key, char ret_text[CELL_BYTES]) {
  format_cell(json_object_get(answer, key), LVN_COLUMN_TIME, ret_text);
  return ret_text;
}

static const char *text_or_dash(const json_t *answer, const char *key) {
  const char *text = json_string_value(json_object_get(answer, key));
  return text == NULL || text[0] == '\0' ? "-" : text;
}

void lvn_operate_print_status(const json_t *answer) {
  size_t position;
  json_t *worker;
  char time[CELL_BYTES];
  char oldest[CELL_BYTES];
  json_t *line;
  json_int_t free_bytes = json_integer_value(json_object_get(answer, "free_bytes"));
  (void)printf("%-12s %s, port %" JSON_INTEGER_FORMAT ", up since %s\n", "node", text_or_dash(answer, "ae_title"),
               json_integer_value(json_object_get(answer, "port")), local_or_dash(answer, "started", time));
  (void)printf("%-12s %" JSON_INTEGER_FORMAT ", %.1f GiB free\n", "objects",
               json_integer_value(json_object_get(answer, "objects")), (double)free_bytes / (1024.0 * 1024.0 * 1024.0));
  print_states(answer, "studies");
  print_states(answer, "jobs");
  print_states(answer, "outbound");
  (void)printf("%-12s last sent %s, oldest waiting %s\n", "results", local_or_dash(answer, "last_sent", time),
               local_or_dash(answer, "oldest_outbound", oldest));
  json_array_foreach(json_object_get(answer, "workers"), position, worker) {
    (void)printf("%-12s pid %" JSON_INTEGER_FORMAT ", model %s %s, %s\n", "worker",
                 json_integer_value(json_object_get(worker, "pid")), text_or_dash(worker, "model"),
                 text_or_dash(worker, "version"),
                 json_integer_value(json_object_get(worker, "job")) == 0 ? "idle" : "busy");
  }
  if (json_array_size(json_object_get(answer, "workers")) == 0) {
    (void)printf("%-12s none is connected: studies wait\n", "worker");
  }
  json_array_foreach(json_object_get(answer, "attention"), position, line) {
    (void)printf("%-12s %s\n", "attention", text_or_dash(line, "text"));
  }
}
