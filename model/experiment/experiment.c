#include "model/experiment/experiment.h"

#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

#include <ini.h>

#define EXPERIMENT_BYTES_MAX (1024U * 1024U)

struct reading {
  const char *text;
  size_t bytes;
  size_t used;
  unsigned line;
  bool failed;
  const char *folder; /* of the file */
  struct lvn_recipe base;
  struct lvn_experiment *experiment;
  struct lvn_error *err;
};

static bool fail(struct reading *reading, const char *what, const char *word) {
  reading->failed = true;
  return lvn_error_set(reading->err, LVN_ERROR_USAGE, "%s '%.60s'", what, word);
}

/* ini_reader: as fgets(), NULL ends the reading. */
static char *read_line(char *line, int line_bytes, void *user) {
  struct reading *reading = user;
  const char *start = reading->text + reading->used;
  size_t left = reading->bytes - reading->used;
  const char *end = left == 0 ? NULL : memchr(start, '\n', left);
  size_t length = end == NULL ? left : (size_t)(end - start) + 1;
  if (left == 0 || reading->failed) {
    return NULL;
  }
  reading->line++;
  reading->used += length;
  if (length >= (size_t)line_bytes) {
    (void)fail(reading, "a line is longer than 190 characters:", "");
    return NULL;
  }
  size_t blanks = strspn(start, " \t");
  blanks = blanks < length ? blanks : 0;
  memcpy(line, start + blanks, length - blanks);
  line[length - blanks] = '\0';
  return line;
}

static bool is_name(const char *name) {
  static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
  size_t length = strlen(name);
  return length > 0 && length < LVN_EXPERIMENT_NAME_BYTES && strspn(name, allowed) == length;
}

static struct lvn_experiment_row *find_row(struct reading *reading, const char *name) {
  struct lvn_experiment *experiment = reading->experiment;
  for (size_t i = 0; i < experiment->row_count; i++) {
    if (strcmp(experiment->rows[i].name, name) == 0) {
      return &experiment->rows[i];
    }
  }
  if (!is_name(name) || experiment->row_count == LVN_EXPERIMENT_ROWS_MAX) {
    (void)fail(reading, "too many rows, or a row's name has other than letters, digits, - and _:", name);
    return NULL;
  }
  struct lvn_experiment_row *row = &experiment->rows[experiment->row_count++];
  row->recipe = reading->base;
  (void)lvn_copy(row->name, sizeof row->name, name);
  (void)lvn_copy(row->title, sizeof row->title, name);
  return row;
}

static bool set_tables(struct reading *reading, struct lvn_experiment_row *row, const char *value) {
  for (const char *at = value; *at != '\0'; at += strspn(at, ", ")) {
    char *end = NULL;
    unsigned long table = strtoul(at, &end, 10);
    if (end == at || table < LVN_EXPERIMENT_TABLE_FIRST || table > LVN_EXPERIMENT_TABLE_LAST) {
      return fail(reading, "tables are numbers from 3 to 9, not", value);
    }
    row->tables |= 1U << table;
    at = end;
  }
  return true;
}

/* An absolute path stays; another one starts at the experiment's folder. */
static bool resolve(const struct reading *reading, const char *value, char *ret_path, size_t path_bytes) {
  char path[LVN_PATH_BYTES];
  bool good =
      value[0] == '/' ? lvn_copy(path, sizeof path, value) : lvn_path_join(path, reading->folder, value, reading->err);
  return (good && lvn_copy(ret_path, path_bytes, path)) ||
         lvn_error_set(reading->err, LVN_ERROR_USAGE, "the path '%.60s' is too long", value);
}

static bool set_recipe(struct reading *reading, struct lvn_recipe *recipe, const char *name, const char *value) {
  char path[LVN_RECIPE_TEXT_BYTES];
  if (strcmp(name, "network.weights") == 0) {
    if (!resolve(reading, value, path, sizeof path)) {
      return false;
    }
    value = path;
  }
  return lvn_recipe_set(recipe, name, value, reading->err);
}

static bool set_row(struct reading *reading, const char *row_name, const char *name, const char *value) {
  struct lvn_experiment_row *row = find_row(reading, row_name);
  if (row == NULL) {
    return false;
  }
  if (strcmp(name, "title") == 0) {
    return lvn_copy(row->title, sizeof row->title, value) || fail(reading, "the title is too long:", value);
  }
  if (strcmp(name, "tables") == 0) {
    return set_tables(reading, row, value);
  }
  if (strcmp(name, "test") == 0) {
    return (is_name(value) && lvn_copy(row->test, sizeof row->test, value)) || fail(reading, "no name:", value);
  }
  return set_recipe(reading, &row->recipe, name, value);
}

static bool set_test(struct reading *reading, const char *test_name, const char *name, const char *value) {
  struct lvn_experiment *experiment = reading->experiment;
  if (!is_name(test_name) || strcmp(name, "dataset") != 0 || experiment->test_count == LVN_EXPERIMENT_TESTS_MAX) {
    return fail(reading, "a [test NAME] has one key, dataset; not", name);
  }
  struct lvn_experiment_test *test = &experiment->tests[experiment->test_count++];
  (void)lvn_copy(test->name, sizeof test->name, test_name);
  return resolve(reading, value, test->folder, sizeof test->folder);
}

static int on_value(void *user, const char *section, const char *name, const char *value) {
  struct reading *reading = user;
  bool good = !reading->failed;
  if (good && strcmp(section, "base") == 0) {
    good = reading->experiment->row_count == 0 ? set_recipe(reading, &reading->base, name, value)
                                               : fail(reading, "[base] stands before the rows:", name);
  } else if (good && strncmp(section, "row ", 4) == 0) {
    good = set_row(reading, section + 4, name, value);
  } else if (good && strncmp(section, "test ", 5) == 0) {
    good = set_test(reading, section + 5, name, value);
  } else if (good) {
    good = fail(reading, "sections are [base], [test NAME] and [row NAME], not", section);
  }
  reading->failed = !good;
  return good ? 1 : 0;
}

static bool finish_row(const struct lvn_experiment *experiment, struct lvn_experiment_row *row, struct lvn_error *err) {
  uint8_t sha256[LVN_SHA256_BYTES];
  bool known = row->test[0] == '\0';
  for (size_t i = 0; i < experiment->test_count; i++) {
    known = known || strcmp(experiment->tests[i].name, row->test) == 0;
  }
  if (!known) {
    return lvn_error_set(err, LVN_ERROR_USAGE, "row %s: there is no [test %s]", row->name, row->test);
  }
  if (!lvn_recipe_check(&row->recipe, err)) {
    return lvn_error_prefix(err, "row %s", row->name);
  }
  row->is_missing = row->recipe.weights[0] != '\0' && !lvn_file_exists(row->recipe.weights);
  LVN_AUTOFREE char *text = lvn_recipe_to_text(&row->recipe, err);
  if (text == NULL || !lvn_sha256_of(text, strlen(text), sha256, err)) {
    return false;
  }
  lvn_sha256_to_text(sha256, row->digest);
  return true;
}

static bool finish(struct lvn_experiment *experiment, struct lvn_error *err) {
  for (size_t i = 0; i < experiment->row_count; i++) {
    if (!finish_row(experiment, &experiment->rows[i], err)) {
      return false;
    }
  }
  return experiment->row_count > 0 || lvn_error_set(err, LVN_ERROR_USAGE, "the experiment has no rows");
}

static bool parse(struct reading *reading, const char *path) {
  int line = ini_parse_stream(read_line, reading, on_value, reading);
  if (reading->failed) {
    return lvn_error_prefix(reading->err, "%s:%u", path, reading->line);
  }
  if (line != 0) {
    return lvn_error_set(reading->err, LVN_ERROR_USAGE, "%s:%d: neither a comment nor [section] nor key = value", path,
                         line);
  }
  return finish(reading->experiment, reading->err) || lvn_error_prefix(reading->err, "%s", path);
}

bool lvn_experiment_read(const char *path, const struct lvn_recipe *base, struct lvn_experiment **ret_experiment,
                         struct lvn_error *err) {
  LVN_AUTOFREE uint8_t *text = NULL;
  LVN_AUTOFREE struct lvn_experiment *experiment = lvn_alloc(1, sizeof *experiment, err);
  char folder[LVN_PATH_BYTES];
  size_t bytes = 0;
  if (experiment == NULL || !lvn_file_read(path, EXPERIMENT_BYTES_MAX, &text, &bytes, err)) {
    return false;
  }
  (void)lvn_copy(folder, sizeof folder, path);
  char *slash = strrchr(folder, '/');
  (void)(slash != NULL ? (*slash = '\0') : lvn_copy(folder, sizeof folder, "."));
  struct reading reading = {.text = (const char *)text,
                            .bytes = bytes,
                            .folder = folder,
                            .base = *base,
                            .experiment = experiment,
                            .err = err};
  if (!parse(&reading, path)) {
    return false;
  }
  *ret_experiment = lvn_steal(&experiment);
  return true;
}

bool lvn_experiment_of_recipe(const struct lvn_recipe *recipe, struct lvn_experiment **ret_experiment,
                              struct lvn_error *err) {
  LVN_AUTOFREE struct lvn_experiment *experiment = lvn_alloc(1, sizeof *experiment, err);
  if (experiment == NULL) {
    return false;
  }
  experiment->row_count = 1;
  experiment->rows[0].recipe = *recipe;
  (void)lvn_copy(experiment->rows[0].name, sizeof experiment->rows[0].name, "recipe");
  (void)lvn_copy(experiment->rows[0].title, sizeof experiment->rows[0].title, recipe->name);
  if (!finish(experiment, err)) {
    return false;
  }
  *ret_experiment = lvn_steal(&experiment);
  return true;
}

bool lvn_experiment_fold_folder(const struct lvn_experiment_row *row, const char *output_folder, unsigned fold,
                                char ret_path[LVN_PATH_BYTES], struct lvn_error *err) {
  LVN_AUTOFREE char *name = lvn_format(err, "runs/%.16s/fold-%u", row->digest, fold);
  return name != NULL && lvn_path_join(ret_path, output_folder, name, err);
}
