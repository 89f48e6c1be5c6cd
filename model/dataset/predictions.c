#include "model/dataset/predictions.h"

#include "base/file.h"
#include "base/memory.h"
#include "model/dataset/dataset_format.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINE_BYTES 600
#define FILE_BYTES_MAX ((size_t)1 << 30)
#define FIELDS_FIXED 6
static const char heading[] = "fold,patient,lesion,slice,is_key,class,";

bool lvn_predictions_add(struct lvn_predictions *predictions, const struct lvn_slice_prediction *item,
                         struct lvn_error *err) {
  if (!lvn_grow(&predictions->items, &predictions->capacity, predictions->count, sizeof *predictions->items,
                (size_t)LVN_DATASET_LESIONS_MAX * 100U, err)) {
    return false;
  }
  predictions->items[predictions->count++] = *item;
  return true;
}

static int write_line(const struct lvn_predictions *predictions, const struct lvn_slice_prediction *p, char *text) {
  int used = snprintf(text, LINE_BYTES, "%u,%s,%s,%u,%d,%s", p->fold, p->patient_key, p->lesion_key, p->slice,
                      p->is_key, lvn_class_name(p->truth));
  for (unsigned c = lvn_classes_first(predictions->classes); c < LVN_CLASS_COUNT;
       c = lvn_classes_next(predictions->classes, c)) {
    used += used >= LINE_BYTES ? 0 : snprintf(text + used, LINE_BYTES - (size_t)used, ",%.17g", p->logit[c]);
  }
  return used >= LINE_BYTES ? used : used + snprintf(text + used, LINE_BYTES - (size_t)used, "\n");
}

bool lvn_predictions_write(const struct lvn_predictions *predictions, const char *path, struct lvn_error *err) {
  char names[LVN_CLASSES_TEXT_BYTES];
  lvn_classes_format(predictions->classes, names);
  LVN_AUTOFREE char *text = lvn_alloc(sizeof heading + sizeof names + predictions->count * LINE_BYTES + 2, 1, err);
  if (text == NULL) {
    return false;
  }
  size_t used = (size_t)snprintf(text, sizeof heading + sizeof names + 1, "%s%s\n", heading, names);
  for (size_t i = 0; i < predictions->count; i++) {
    int length = write_line(predictions, &predictions->items[i], text + used);
    if (length >= LINE_BYTES) {
      return lvn_error_set(err, LVN_ERROR_INTERNAL, "a prediction is longer than a line");
    }
    used += (size_t)length;
  }
  return lvn_file_replace(path, text, used, 0644, err);
}

static bool parse_count(const char *text, unsigned *ret_value) {
  char *end = NULL;
  unsigned long value = strtoul(text, &end, 10);
  *ret_value = (unsigned)value;
  return text[0] >= '0' && text[0] <= '9' && *end == '\0' && value <= 1000000;
}

static bool parse_line(char *line, unsigned classes, struct lvn_slice_prediction *item) {
  const size_t field_count = FIELDS_FIXED + lvn_classes_count(classes);
  char *fields[FIELDS_FIXED + LVN_CLASS_COUNT];
  unsigned key = 0;
  size_t count = 0;
  for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
    fields[i] = line + strlen(line); /* what is not there is empty */
  }
  for (char *at = line; at != NULL && count < field_count; count++) {
    fields[count] = at;
    at = strchr(at, ',');
    if (at != NULL) {
      *at++ = '\0';
    } else if (count + 1 < field_count) {
      return false;
    }
    if (count + 1 == field_count && at != NULL) {
      return false;
    }
  }
  if (count != field_count || !parse_count(fields[0], &item->fold) || !lvn_dataset_key_is_valid(fields[1]) ||
      !lvn_dataset_key_is_valid(fields[2]) || !parse_count(fields[3], &item->slice) || !parse_count(fields[4], &key) ||
      key > 1 || !lvn_class_from_name(fields[5], &item->truth) || !lvn_classes_have(classes, item->truth)) {
    return false;
  }
  item->is_key = key == 1;
  (void)lvn_copy(item->patient_key, sizeof item->patient_key, fields[1]);
  (void)lvn_copy(item->lesion_key, sizeof item->lesion_key, fields[2]);
  size_t at = FIELDS_FIXED;
  for (unsigned c = 0; c < LVN_CLASS_COUNT; c++) {
    char *end = NULL;
    item->logit[c] = -INFINITY;
    if (lvn_classes_have(classes, c)) {
      const char *text = fields[at++];
      item->logit[c] = strtod(text, &end);
      if (end == text || *end != '\0' || !isfinite(item->logit[c])) {
        return false;
      }
    }
  }
  return true;
}

/* The classes that the first line names; 0: it is no heading. Columns must lie in the order of the classes. */
static unsigned read_heading(char *text, char **ret_rest) {
  char written[LVN_CLASSES_TEXT_BYTES];
  unsigned classes = 0;
  char *end = strchr(text, '\n');
  if (end == NULL || strncmp(text, heading, strlen(heading)) != 0) {
    return 0;
  }
  *end = '\0';
  *ret_rest = end + 1;
  if (!lvn_classes_parse(text + strlen(heading), &classes)) {
    return 0;
  }
  lvn_classes_format(classes, written);
  return strcmp(written, text + strlen(heading)) == 0 ? classes : 0;
}

bool lvn_predictions_read(const char *path, struct lvn_predictions *predictions, struct lvn_error *err) {
  LVN_AUTOFREE uint8_t *data = NULL;
  size_t bytes = 0;
  if (!lvn_file_read(path, FILE_BYTES_MAX, &data, &bytes, err)) {
    return false;
  }
  char *at = (char *)data;
  const unsigned classes = read_heading(at, &at);
  if (classes == 0) {
    return lvn_error_set(err, LVN_ERROR_DATA, "'%.200s' holds no predictions", path);
  }
  if (predictions->classes != 0 && predictions->classes != classes) {
    return lvn_error_set(err, LVN_ERROR_DATA, "'%.200s' holds predictions of other classes", path);
  }
  predictions->classes = classes;
  size_t number = 2;
  for (; *at != '\0'; number++) {
    struct lvn_slice_prediction item = {0};
    char *end = strchr(at, '\n');
    if (end == NULL) {
      return lvn_error_set(err, LVN_ERROR_DATA, "%.200s:%zu: the line is cut", path, number);
    }
    *end = '\0';
    if (!parse_line(at, classes, &item)) {
      return lvn_error_set(err, LVN_ERROR_DATA, "%.200s:%zu: the line is malformed", path, number);
    }
    if (!lvn_predictions_add(predictions, &item, err)) {
      return false;
    }
    at = end + 1;
  }
  return true;
}

void lvn_predictions_clear(struct lvn_predictions *predictions) {
  lvn_free(predictions->items);
  *predictions = (struct lvn_predictions){0};
}
