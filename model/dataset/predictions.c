#include "model/dataset/predictions.h"

#include "base/file.h"
#include "base/memory.h"
#include "model/dataset/dataset_format.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LINE_BYTES 400
#define FILE_BYTES_MAX ((size_t)1 << 30)
#define FIELDS 10
static const char heading[] = "fold,patient,lesion,slice,is_key,class,CYST,FNH,HCC,HEM\n";

bool lvn_predictions_add(struct lvn_predictions *predictions, const struct lvn_slice_prediction *item,
                         struct lvn_error *err) {
  if (!lvn_grow(&predictions->items, &predictions->capacity, predictions->count, sizeof *predictions->items,
                (size_t)LVN_DATASET_LESIONS_MAX * 100U, err)) {
    return false;
  }
  predictions->items[predictions->count++] = *item;
  return true;
}

bool lvn_predictions_write(const struct lvn_predictions *predictions, const char *path, struct lvn_error *err) {
  size_t used = strlen(heading);
  LVN_AUTOFREE char *text = lvn_alloc(used + predictions->count * LINE_BYTES + 1, 1, err);
  if (text == NULL) {
    return false;
  }
  memcpy(text, heading, used);
  for (size_t i = 0; i < predictions->count; i++) {
    const struct lvn_slice_prediction *p = &predictions->items[i];
    int length = snprintf(text + used, LINE_BYTES, "%u,%s,%s,%u,%d,%s,%.17g,%.17g,%.17g,%.17g\n", p->fold,
                          p->patient_key, p->lesion_key, p->slice, p->is_key, lvn_class_name(p->truth), p->logit[0],
                          p->logit[1], p->logit[2], p->logit[3]);
    if (length < 0 || length >= LINE_BYTES) {
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

static bool parse_line(char *line, struct lvn_slice_prediction *item) {
  char *fields[FIELDS];
  unsigned key = 0;
  size_t count = 0;
  for (char *at = line; at != NULL && count < FIELDS; count++) {
    fields[count] = at;
    at = strchr(at, ',');
    if (at != NULL) {
      *at++ = '\0';
    } else if (count + 1 < FIELDS) {
      return false;
    }
    if (count + 1 == FIELDS && at != NULL) {
      return false;
    }
  }
  if (count != FIELDS || !parse_count(fields[0], &item->fold) || !lvn_dataset_key_is_valid(fields[1]) ||
      !lvn_dataset_key_is_valid(fields[2]) || !parse_count(fields[3], &item->slice) || !parse_count(fields[4], &key) ||
      key > 1 || !lvn_class_from_name(fields[5], &item->truth)) {
    return false;
  }
  item->is_key = key == 1;
  (void)lvn_copy(item->patient_key, sizeof item->patient_key, fields[1]);
  (void)lvn_copy(item->lesion_key, sizeof item->lesion_key, fields[2]);
  for (size_t c = 0; c < LVN_CLASS_COUNT; c++) {
    char *end = NULL;
    item->logit[c] = strtod(fields[6 + c], &end);
    if (end == fields[6 + c] || *end != '\0' || !isfinite(item->logit[c])) {
      return false;
    }
  }
  return true;
}

bool lvn_predictions_read(const char *path, struct lvn_predictions *predictions, struct lvn_error *err) {
  LVN_AUTOFREE uint8_t *data = NULL;
  size_t bytes = 0;
  if (!lvn_file_read(path, FILE_BYTES_MAX, &data, &bytes, err)) {
    return false;
  }
  char *at = (char *)data;
  if (strncmp(at, heading, strlen(heading)) != 0) {
    return lvn_error_set(err, LVN_ERROR_DATA, "'%.200s' holds no predictions", path);
  }
  size_t number = 2;
  for (at += strlen(heading); *at != '\0'; number++) {
    struct lvn_slice_prediction item = {0};
    char *end = strchr(at, '\n');
    if (end == NULL) {
      return lvn_error_set(err, LVN_ERROR_DATA, "%.200s:%zu: the line is cut", path, number);
    }
    *end = '\0';
    if (!parse_line(at, &item)) {
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
