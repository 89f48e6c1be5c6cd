/* From a file to a recipe and back. inih splits the lines; the reader below hands it one at a time, so that the number
 * of the line at fault is known. */
#include "model/train/recipe.h"

#include "base/file.h"
#include "base/memory.h"
#include "model/network/package.h"
#include "model/train/recipe_keys.h"

#include <string.h>

#include <ini.h>

#define RECIPE_BYTES_MAX (1024U * 1024U)
#define SAMPLE_COLUMNS 100U
#define KEYS_MAX 128

struct reading {
  const char *text;
  size_t bytes;
  size_t used;
  unsigned line;
  bool only_mode; /* first pass: the mode decides what the other keys start from */
  bool failed;
  bool seen[KEYS_MAX];
  struct lvn_recipe *recipe;
  struct lvn_error *err;
};

void lvn_recipe_default(enum lvn_recipe_mode mode, struct lvn_recipe *ret_recipe) {
  struct lvn_error err;
  *ret_recipe = (struct lvn_recipe){.mode = mode};
  lvn_crop_options_default(&ret_recipe->crop);
  for (size_t i = 0; i < lvn_recipe_key_count; i++) {
    const struct lvn_recipe_key *key = &lvn_recipe_keys[i];
    bool recommended = mode == LVN_RECIPE_RECOMMENDED && key->recommended != NULL;
    if (!lvn_recipe_key_set(key, ret_recipe, recommended ? key->recommended : key->paper, &err)) {
      continue; /* the table's own defaults are in range: tests read them back */
    }
  }
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
  if (length >= (size_t)line_bytes || memchr(start, '\0', length) != NULL) {
    reading->failed = true;
    (void)lvn_error_set(reading->err, LVN_ERROR_USAGE, "the line is longer than 190 characters, or not text");
    return NULL;
  }
  /* inih would take an indented line for the continuation of the one above. */
  size_t blanks = strspn(start, " \t");
  blanks = blanks < length ? blanks : 0;
  memcpy(line, start + blanks, length - blanks);
  line[length - blanks] = '\0';
  reading->used += length;
  return line;
}

static size_t find_key(const char *section, const char *name) {
  size_t i = 0;
  while (i < lvn_recipe_key_count &&
         (strcmp(lvn_recipe_keys[i].section, section) != 0 || strcmp(lvn_recipe_keys[i].name, name) != 0)) {
    i++;
  }
  return i;
}

static int on_value(void *user, const char *section, const char *name, const char *value) {
  struct reading *reading = user;
  size_t index = find_key(section, name);
  bool is_mode = index == 0;
  if (reading->failed || is_mode != reading->only_mode) {
    return 1;
  }
  if (index == lvn_recipe_key_count) {
    reading->failed = true;
    (void)lvn_error_set(reading->err, LVN_ERROR_USAGE, "unknown key '%.40s' in section [%.40s]", name, section);
  } else if (reading->seen[index]) {
    reading->failed = true;
    (void)lvn_error_set(reading->err, LVN_ERROR_USAGE, "%s.%s is set twice", section, name);
  } else {
    reading->seen[index] = true;
    reading->failed = !lvn_recipe_key_set(&lvn_recipe_keys[index], reading->recipe, value, reading->err);
  }
  return reading->failed ? 0 : 1;
}

static bool run_pass(struct reading *reading, bool only_mode, const char *name) {
  reading->used = 0;
  reading->line = 0;
  reading->only_mode = only_mode;
  int line = ini_parse_stream(read_line, reading, on_value, reading);
  if (reading->failed) {
    return lvn_error_prefix(reading->err, "%s:%u", name, reading->line);
  }
  return line == 0 || lvn_error_set(reading->err, LVN_ERROR_USAGE,
                                    "%s:%d: neither a comment nor [section] nor key = value", name, line);
}

bool lvn_recipe_parse(const char *text, size_t bytes, const char *name, struct lvn_recipe *ret_recipe,
                      struct lvn_error *err) {
  struct lvn_recipe recipe;
  struct reading reading = {.text = text, .bytes = bytes, .recipe = &recipe, .err = err};
  lvn_recipe_default(LVN_RECIPE_PAPER, &recipe);
  if (!run_pass(&reading, true, name)) {
    return false;
  }
  lvn_recipe_default(recipe.mode, &recipe);
  if (!run_pass(&reading, false, name)) {
    return false;
  }
  if (!lvn_recipe_check(&recipe, err)) {
    return lvn_error_prefix(err, "%s", name);
  }
  *ret_recipe = recipe;
  return true;
}

bool lvn_recipe_read(const char *path, struct lvn_recipe *ret_recipe, struct lvn_error *err) {
  LVN_AUTOFREE uint8_t *text = NULL;
  size_t bytes = 0;
  return lvn_file_read(path, RECIPE_BYTES_MAX, &text, &bytes, err) &&
         lvn_recipe_parse((const char *)text, bytes, path, ret_recipe, err);
}

bool lvn_recipe_set(struct lvn_recipe *recipe, const char *name, const char *value, struct lvn_error *err) {
  char section[64];
  size_t length = strcspn(name, ".");
  if (name[length] == '\0' || length >= sizeof section) {
    return lvn_error_set(err, LVN_ERROR_USAGE, "'%.60s' is no section.key", name);
  }
  memcpy(section, name, length);
  section[length] = '\0';
  size_t index = find_key(section, name + length + 1);
  if (index == lvn_recipe_key_count) {
    return lvn_error_set(err, LVN_ERROR_USAGE, "unknown key '%.60s'", name);
  }
  return lvn_recipe_key_set(&lvn_recipe_keys[index], recipe, value, err);
}

bool lvn_recipe_list_value(const char *list, size_t index, char ret_value[LVN_RECIPE_TEXT_BYTES]) {
  const char *at = list;
  for (size_t i = 0; i < index && at != NULL; i++) {
    at = strchr(at, '|');
    at = at == NULL ? NULL : at + 1;
  }
  if (at == NULL) {
    return false;
  }
  at += strspn(at, " ");
  size_t length = strcspn(at, "|");
  while (length > 0 && at[length - 1] == ' ') {
    length--;
  }
  memcpy(ret_value, at, length);
  ret_value[length] = '\0';
  return length > 0;
}

static bool check_tuning(const struct lvn_recipe *recipe, struct lvn_error *err) {
  char value[LVN_RECIPE_TEXT_BYTES];
  size_t count = 0;
  if (recipe->tuning_key[0] == '\0') {
    return recipe->tuning_values[0] == '\0' ||
           lvn_error_set(err, LVN_ERROR_USAGE, "tuning.values are of no key: set tuning.key");
  }
  static const char *const settled[] = {"recipe.",     "package.", "tuning.",        "validation.",
                                        "acceptance.", "run.",     "network.classes"};
  for (size_t i = 0; i < sizeof settled / sizeof settled[0]; i++) {
    if (strncmp(recipe->tuning_key, settled[i], strlen(settled[i])) == 0) {
      return lvn_error_set(err, LVN_ERROR_USAGE, "tuning.key: '%s' is not for the data to choose", recipe->tuning_key);
    }
  }
  while (lvn_recipe_list_value(recipe->tuning_values, count, value)) {
    struct lvn_recipe tried = *recipe;
    tried.tuning_key[0] = '\0';
    tried.tuning_values[0] = '\0';
    if (!lvn_recipe_set(&tried, recipe->tuning_key, value, err) || !lvn_recipe_check(&tried, err)) {
      return lvn_error_prefix(err, "tuning.values");
    }
    count++;
  }
  return (count >= 2 && count <= LVN_RECIPE_TUNING_MAX) ||
         lvn_error_set(err, LVN_ERROR_USAGE, "tuning.values: %zu values, from 2 to %d are needed", count,
                       LVN_RECIPE_TUNING_MAX);
}

static bool check_scores(const struct lvn_recipe *recipe, struct lvn_error *err) {
  char text[LVN_RECIPE_TEXT_BYTES];
  struct lvn_outlier_rule rule;
  size_t count = 0;
  for (; lvn_recipe_list_value(recipe->outlier_scores, count, text); count++) {
    if (!lvn_outlier_rule_parse(text, &rule)) {
      return lvn_error_set(err, LVN_ERROR_USAGE, "outliers.scores: '%.60s' is no score", text);
    }
  }
  return count > 0 || lvn_error_set(err, LVN_ERROR_USAGE, "outliers.scores is empty");
}

bool lvn_recipe_check(const struct lvn_recipe *recipe, struct lvn_error *err) {
  unsigned classes = 0;
  if (!check_scores(recipe, err)) {
    return false;
  }
  if (!lvn_classes_parse(recipe->classes, &classes)) {
    char known[LVN_CLASSES_TEXT_BYTES];
    lvn_classes_format(~0U, known);
    return lvn_error_set(err, LVN_ERROR_USAGE, "network.classes: two or more different ones of %s are needed", known);
  }
  if (recipe->window_high_hu <= recipe->window_low_hu) {
    return lvn_error_set(err, LVN_ERROR_USAGE, "the HU window is empty");
  }
  if (recipe->scale > recipe->scale_max) {
    return lvn_error_set(err, LVN_ERROR_USAGE, "network.scale is above network.scale_max");
  }
  if (recipe->folds == 1) {
    return lvn_error_set(err, LVN_ERROR_USAGE, "validation.folds is 0 or at least 2");
  }
  if (recipe->name[0] == '\0' || recipe->version[0] == '\0' || recipe->licence[0] == '\0') {
    return lvn_error_set(err, LVN_ERROR_USAGE, "package.name, version and licence cannot be empty");
  }
  return check_tuning(recipe, err);
}

/* Appends "name = value" lines with headings; a stream in memory keeps it one pass. */
static void write_values(const struct lvn_recipe *recipe, FILE *stream) {
  const char *section = "";
  for (size_t i = 0; i < lvn_recipe_key_count; i++) {
    const struct lvn_recipe_key *key = &lvn_recipe_keys[i];
    char value[LVN_RECIPE_TEXT_BYTES];
    if (strcmp(section, key->section) != 0) {
      section = key->section;
      (void)fprintf(stream, "%s[%s]\n", i == 0 ? "" : "\n", section);
    }
    lvn_recipe_key_format(key, recipe, value);
    (void)fprintf(stream, "%s =%s%s\n", key->name, value[0] != '\0' ? " " : "", value);
  }
}

char *lvn_recipe_to_text(const struct lvn_recipe *recipe, struct lvn_error *err) {
  char buffer[16384] = "";
  FILE *stream = fmemopen(buffer, sizeof buffer, "w");
  if (stream == NULL) {
    (void)lvn_error_set(err, LVN_ERROR_NOMEM, "cannot write a recipe to memory");
    return NULL;
  }
  write_values(recipe, stream);
  bool good = fflush(stream) == 0 && !ferror(stream);
  (void)fclose(stream);
  if (!good) {
    (void)lvn_error_set(err, LVN_ERROR_INTERNAL, "the recipe is longer than its buffer");
    return NULL;
  }
  return lvn_strdup(buffer, err);
}

unsigned lvn_recipe_classes(const struct lvn_recipe *recipe) {
  unsigned classes = LVN_CLASSES_PAPER;
  return lvn_classes_parse(recipe->classes, &classes) ? classes : LVN_CLASSES_PAPER;
}

unsigned lvn_recipe_epochs(const struct lvn_recipe_fit *fit) {
  unsigned epochs = 0;
  for (size_t i = 0; i < fit->stage_count; i++) {
    epochs += fit->stages[i].epochs;
  }
  return epochs;
}

/* `text` as "# …" lines, broken at blanks. */
static void print_comment(FILE *stream, const char *text) {
  size_t column = 0;
  while (*text != '\0') {
    size_t word = strcspn(text, " ");
    if (column == 0 || column + 1 + word > SAMPLE_COLUMNS) {
      (void)fprintf(stream, column == 0 ? "#" : "\n#");
      column = 1;
    }
    (void)fprintf(stream, " %.*s", (int)word, text);
    column += 1 + word;
    text += word + strspn(text + word, " ");
  }
  (void)fprintf(stream, "\n");
}

static void print_allowed(FILE *stream, const struct lvn_recipe_key *key) {
  const char *choices = lvn_recipe_key_choices(key);
  if (choices != NULL) {
    (void)fprintf(stream, "# Allowed: %s.\n", choices);
  } else if (key->kind == LVN_KEY_FLAG) {
    (void)fprintf(stream, "# Allowed: yes|no.\n");
  } else if (key->kind == LVN_KEY_COUNT || key->kind == LVN_KEY_REAL) {
    (void)fprintf(stream, "# Allowed: %.10g to %.10g.\n", key->minimum, key->maximum);
  }
}

void lvn_recipe_write_sample(enum lvn_recipe_mode mode, FILE *stream) {
  const char *section = "";
  struct lvn_recipe recipe;
  lvn_recipe_default(mode, &recipe);
  (void)fprintf(stream,
                "# Recipe of `livervlm train`. A line with ; shows a key's default in this mode: take the ; away\n"
                "# to change it. An unknown key is an error.\n");
  for (size_t i = 0; i < lvn_recipe_key_count; i++) {
    const struct lvn_recipe_key *key = &lvn_recipe_keys[i];
    char value[LVN_RECIPE_TEXT_BYTES];
    if (strcmp(section, key->section) != 0) {
      section = key->section;
      (void)fprintf(stream, "\n[%s]\n", section);
    }
    print_comment(stream, key->help);
    print_allowed(stream, key);
    lvn_recipe_key_format(key, &recipe, value);
    (void)fprintf(stream, "%s%s =%s%s\n", i == 0 ? "" : ";", key->name, value[0] != '\0' ? " " : "", value);
  }
}
