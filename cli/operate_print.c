#include "cli/operate.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/memory.h"

#define CELL_BYTES 640
#define COLUMNS_MAX 16

void lvn_operate_print_json(const json_t *answer) {
  (void)json_dumpf(answer, stdout, JSON_INDENT(2));
  (void)printf("\n");
}

static void format_cell(const json_t *value, char ret_text[CELL_BYTES]) {
  if (json_is_string(value)) {
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
      format_cell(json_object_get(json_array_get(rows, k), columns[i].key), text);
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
      format_cell(json_object_get(json_array_get(rows, k), columns[i].key), text);
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

static const char *text_or_dash(const json_t *answer, const char *key) {
  const char *text = json_string_value(json_object_get(answer, key));
  return text == NULL || text[0] == '\0' ? "-" : text;
}

void lvn_operate_print_status(const json_t *answer) {
  size_t position;
  json_t *worker;
  static const char *const attention[] = {"problem", "undelivered", "disk"};
  json_int_t free_bytes = json_integer_value(json_object_get(answer, "free_bytes"));
  (void)printf("%-12s %s, port %" JSON_INTEGER_FORMAT ", up since %s\n", "node", text_or_dash(answer, "ae_title"),
               json_integer_value(json_object_get(answer, "port")), text_or_dash(answer, "started"));
  (void)printf("%-12s %" JSON_INTEGER_FORMAT ", %.1f GiB free\n", "objects",
               json_integer_value(json_object_get(answer, "objects")), (double)free_bytes / (1024.0 * 1024.0 * 1024.0));
  print_states(answer, "studies");
  print_states(answer, "jobs");
  print_states(answer, "outbound");
  (void)printf("%-12s last sent %s, oldest waiting %s\n", "results", text_or_dash(answer, "last_sent"),
               text_or_dash(answer, "oldest_outbound"));
  json_array_foreach(json_object_get(answer, "workers"), position, worker) {
    (void)printf("%-12s pid %" JSON_INTEGER_FORMAT ", model %s %s, %s\n", "worker",
                 json_integer_value(json_object_get(worker, "pid")), text_or_dash(worker, "model"),
                 text_or_dash(worker, "version"),
                 json_integer_value(json_object_get(worker, "job")) == 0 ? "idle" : "busy");
  }
  if (json_array_size(json_object_get(answer, "workers")) == 0) {
    (void)printf("%-12s none is connected: studies wait\n", "worker");
  }
  if (!json_is_true(json_object_get(answer, "has_destination"))) {
    (void)printf("%-12s no peer has a host and a port, or a url: results are kept here and sent to nobody\n",
                 "attention");
  }
  if (strcmp(text_or_dash(answer, "retention"), "-") != 0) {
    (void)printf("%-12s %s\n", "retention", text_or_dash(answer, "retention"));
  }
  for (size_t i = 0; i < sizeof attention / sizeof attention[0]; i++) {
    if (strcmp(text_or_dash(answer, attention[i]), "-") != 0) {
      (void)printf("%-12s %s\n", "attention", text_or_dash(answer, attention[i]));
    }
  }
}
