/* One value of a recipe: from text into its field, from its field to text. */
#include "base/memory.h"
#include "model/train/recipe_keys.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char digits[] = "0123456789";

/* Index of the word among "a|b|c"; -1: none of them. */
static int find_choice(const char *choices, const char *text) {
  size_t length = strlen(text);
  int index = 0;
  for (const char *at = choices; length > 0; index++) {
    size_t word = strcspn(at, "|");
    if (word == length && strncmp(at, text, length) == 0) {
      return index;
    }
    if (at[word] == '\0') {
      break;
    }
    at += word + 1;
  }
  return -1;
}

static bool parse_number(const char *text, bool is_whole, double minimum, double maximum, double *ret_value) {
  char *end = NULL;
  if (text[0] == '\0' || strspn(text, is_whole ? digits : "0123456789.eE+-") != strlen(text)) {
    return false;
  }
  *ret_value = strtod(text, &end);
  return *end == '\0' && isfinite(*ret_value) && *ret_value >= minimum && *ret_value <= maximum;
}

/* "20@96, 5@224" */
static bool parse_stages(const char *text, struct lvn_recipe_fit *fit) {
  size_t count = 0;
  struct lvn_recipe_stage stages[LVN_RECIPE_STAGES_MAX];
  if (strcmp(text, "none") == 0) {
    fit->stage_count = 0;
    return true;
  }
  for (const char *at = text; *at != '\0'; count++) {
    char epochs[8] = "";
    char side[8] = "";
    double value = 0.0;
    size_t before = strspn(at, digits);
    size_t after = at[before] == '@' ? strspn(at + before + 1, digits) : 0;
    if (count == LVN_RECIPE_STAGES_MAX || before == 0 || before >= sizeof epochs || after == 0 ||
        after >= sizeof side) {
      return false;
    }
    memcpy(epochs, at, before);
    memcpy(side, at + before + 1, after);
    if (!parse_number(epochs, true, 1.0, 100000.0, &value)) {
      return false;
    }
    stages[count].epochs = (unsigned)value;
    if (!parse_number(side, true, 32.0, LVN_CROP_SIDE, &value) || (unsigned)value % 32U != 0) {
      return false;
    }
    stages[count].side = (unsigned)value;
    at += before + 1 + after;
    at += strspn(at, ", ");
  }
  memcpy(fit->stages, stages, count * sizeof stages[0]);
  fit->stage_count = count;
  return count > 0;
}

const char *lvn_recipe_key_choices(const struct lvn_recipe_key *key) {
  return key->choices_of != NULL ? key->choices_of() : key->choices;
}

static bool set_text(const struct lvn_recipe_key *key, char *target, const char *text) {
  for (const char *at = text; *at != '\0'; at++) {
    if ((unsigned char)*at < 0x20 || *at == 0x7f) {
      return false;
    }
  }
  const char *choices = lvn_recipe_key_choices(key);
  return (choices == NULL || find_choice(choices, text) >= 0) && lvn_copy(target, key->bytes, text);
}

static bool set_value(const struct lvn_recipe_key *key, char *target, const char *text) {
  double number = 0.0;
  switch (key->kind) {
  case LVN_KEY_TEXT:
    return set_text(key, target, text);
  case LVN_KEY_CHOICE: {
    int index = find_choice(key->choices, text);
    unsigned value = (unsigned)index;
    memcpy(target, &value, sizeof value);
    return index >= 0;
  }
  case LVN_KEY_FLAG:
    *(bool *)target = strcmp(text, "yes") == 0;
    return *(bool *)target || strcmp(text, "no") == 0;
  case LVN_KEY_COUNT:
    if (!parse_number(text, true, key->minimum, key->maximum, &number)) {
      return false;
    }
    *(unsigned *)target = (unsigned)number;
    return true;
  case LVN_KEY_REAL:
    return parse_number(text, false, key->minimum, key->maximum, (double *)target);
  default:
    return parse_stages(text, (struct lvn_recipe_fit *)target);
  }
}

bool lvn_recipe_key_set(const struct lvn_recipe_key *key, struct lvn_recipe *recipe, const char *text,
                        struct lvn_error *err) {
  if (set_value(key, (char *)recipe + key->offset, text)) {
    return true;
  }
  if (key->kind == LVN_KEY_REAL || key->kind == LVN_KEY_COUNT) {
    return lvn_error_set(err, LVN_ERROR_USAGE, "%s.%s is a %snumber from %.10g to %.10g, not '%.60s'", key->section,
                         key->name, key->kind == LVN_KEY_COUNT ? "whole " : "", key->minimum, key->maximum, text);
  }
  const char *choices = lvn_recipe_key_choices(key);
  return lvn_error_set(err, LVN_ERROR_USAGE, "%s.%s cannot be '%.60s'; allowed: %s", key->section, key->name, text,
                       choices != NULL               ? choices
                       : key->kind == LVN_KEY_FLAG   ? "yes|no"
                       : key->kind == LVN_KEY_STAGES ? "EPOCHS@SIDE, …, sides multiples of 32 up to 224"
                                                     : "a shorter text without control characters");
}

static void format_real(double value, char *text) {
  for (int places = 6; places <= 17; places++) {
    (void)snprintf(text, LVN_RECIPE_TEXT_BYTES, "%.*g", places, value);
    if (strtod(text, NULL) == value) {
      return;
    }
  }
}

static void format_choice(const char *choices, unsigned index, char *text) {
  for (; index > 0; index--) {
    choices += strcspn(choices, "|") + 1;
  }
  (void)snprintf(text, LVN_RECIPE_TEXT_BYTES, "%.*s", (int)strcspn(choices, "|"), choices);
}

void lvn_recipe_key_format(const struct lvn_recipe_key *key, const struct lvn_recipe *recipe,
                           char ret_text[LVN_RECIPE_TEXT_BYTES]) {
  const char *source = (const char *)recipe + key->offset;
  const struct lvn_recipe_fit *fit = (const struct lvn_recipe_fit *)source;
  ret_text[0] = '\0';
  switch (key->kind) {
  case LVN_KEY_TEXT:
    (void)lvn_copy(ret_text, LVN_RECIPE_TEXT_BYTES, source);
    break;
  case LVN_KEY_CHOICE:
    format_choice(key->choices, *(const unsigned *)source, ret_text);
    break;
  case LVN_KEY_FLAG:
    (void)lvn_copy(ret_text, LVN_RECIPE_TEXT_BYTES, *(const bool *)source ? "yes" : "no");
    break;
  case LVN_KEY_COUNT:
    (void)snprintf(ret_text, LVN_RECIPE_TEXT_BYTES, "%u", *(const unsigned *)source);
    break;
  case LVN_KEY_REAL:
    format_real(*(const double *)source, ret_text);
    break;
  default:
    (void)lvn_copy(ret_text, LVN_RECIPE_TEXT_BYTES, fit->stage_count == 0 ? "none" : "");
    for (size_t i = 0; i < fit->stage_count; i++) {
      size_t used = strlen(ret_text);
      (void)snprintf(ret_text + used, LVN_RECIPE_TEXT_BYTES - used, "%s%u@%u", i == 0 ? "" : ", ",
                     fit->stages[i].epochs, fit->stages[i].side);
    }
  }
}
