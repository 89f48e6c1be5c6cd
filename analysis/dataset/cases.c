#include "analysis/dataset/cases.h"

#include "base/file.h"
#include "base/memory.h"
#include "base/sha256.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <csv.h>

#define FILE_BYTES_MAX (64U * 1024U * 1024U)
#define COLUMNS_MAX 64
#define FOLD_MAX 999
#define LESION_MAX 1000

enum column {
  COLUMN_STUDY,
  COLUMN_STUDY_UID,
  COLUMN_ROI,
  COLUMN_CLASS,
  COLUMN_PATIENT_KEY,
  COLUMN_LESION,
  COLUMN_FOLD,
  COLUMN_SUBTYPE,
  COLUMN_REFERENCE_STANDARD,
  COLUMN_COUNT
};

static const char *const column_names[COLUMN_COUNT] = {
    "study", "study_uid", "roi", "class", "patient_key", "lesion", "fold", "subtype", "reference_standard"};

struct reader {
  struct lvn_cases cases;
  size_t capacity;
  size_t row;                       /* that is being read, from 1 on */
  size_t field;                     /* that comes next in it */
  enum column columns[COLUMNS_MAX]; /* of the header */
  size_t column_count;
  bool has[COLUMN_COUNT];
  bool after_cr; /* the row before ended with CR: an LF that follows belongs to it */
  char value[COLUMN_COUNT][LVN_CASES_FIELD_BYTES];
  bool failed;
  struct lvn_error *err;
};

static void reject(struct reader *reader, const char *format, ...) LVN_PRINTF(2, 3);
static void reject(struct reader *reader, const char *format, ...) {
  char text[384];
  va_list arguments;
  if (reader->failed) {
    return;
  }
  va_start(arguments, format);
  (void)vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  reader->failed = true;
  (void)lvn_error_set(reader->err, LVN_ERROR_USAGE, "row %zu: %s", reader->row, text);
}

static void take_column(struct reader *reader, const char *name) {
  size_t column = 0;
  if (reader->column_count == COLUMNS_MAX) {
    reject(reader, "more than %d columns", COLUMNS_MAX);
    return;
  }
  while (column < COLUMN_COUNT && strcasecmp(name, column_names[column]) != 0) {
    column++;
  }
  if (strcasecmp(name, "study_folder") == 0) {
    column = COLUMN_STUDY;
  }
  if (column == COLUMN_COUNT) {
    reject(reader,
           "unknown column '%.60s'; known are study or study_uid, roi, class, patient_key, lesion, fold, subtype, "
           "reference_standard",
           name);
    return;
  }
  if (reader->has[column]) {
    reject(reader, "column '%.60s' is there twice", name);
    return;
  }
  reader->has[column] = true;
  reader->columns[reader->column_count++] = (enum column)column;
}

static void take_field(void *text, size_t bytes, void *context) {
  struct reader *reader = context;
  reader->after_cr = false;
  if (reader->failed) {
    return;
  }
  if (bytes >= LVN_CASES_FIELD_BYTES || (bytes > 0 && memchr(text, '\0', bytes) != NULL)) {
    reject(reader, "field %zu is longer than %d bytes or holds a NUL", reader->field + 1, LVN_CASES_FIELD_BYTES - 1);
    return;
  }
  char name[LVN_CASES_FIELD_BYTES] = "";
  bool is_known = reader->field < reader->column_count;
  char *value = reader->row > 1 && is_known ? reader->value[reader->columns[reader->field]] : name;
  if (bytes > 0) { /* an empty field may come as NULL */
    memcpy(value, text, bytes);
  }
  value[bytes] = '\0';
  if (reader->row == 1) {
    take_column(reader, name);
  }
  reader->field++;
}

static void check_header(struct reader *reader) {
  static const enum column needed[] = {COLUMN_ROI, COLUMN_CLASS, COLUMN_PATIENT_KEY};
  for (size_t i = 0; i < sizeof needed / sizeof needed[0]; i++) {
    if (!reader->has[needed[i]]) {
      reject(reader, "column '%s' is missing", column_names[needed[i]]);
    }
  }
  if (!reader->has[COLUMN_STUDY] && !reader->has[COLUMN_STUDY_UID]) {
    reject(reader, "column 'study' (a folder) or 'study_uid' is missing");
  }
}

static bool parse_number(const char *text, unsigned long minimum, unsigned long maximum, unsigned *ret_number) {
  char *end = NULL;
  errno = 0;
  unsigned long number = strtoul(text, &end, 10);
  if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0 || number < minimum || number > maximum) {
    return false;
  }
  *ret_number = (unsigned)number;
  return true;
}

/* Words that go into the data set: short and plain, so that no name or remark gets in by mistake. */
static bool take_word(const char *value, char target[LVN_DATASET_WORD_BYTES]) {
  static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._+- ";
  return strspn(value, allowed) == strlen(value) && lvn_copy(target, LVN_DATASET_WORD_BYTES, value);
}

static void take_source(struct reader *reader, struct lvn_case_row *row) {
  const char *folder = reader->value[COLUMN_STUDY];
  const char *uid = reader->value[COLUMN_STUDY_UID];
  if ((folder[0] == '\0') == (uid[0] == '\0')) {
    reject(reader, folder[0] == '\0' ? "no study is named" : "both a study folder and a study UID are named");
  } else if (uid[0] != '\0' && !lvn_uid_is_valid(uid)) {
    reject(reader, "'%.70s' is not a UID", uid);
  }
  row->study_is_uid = uid[0] != '\0';
  row->study = lvn_strdup(row->study_is_uid ? uid : folder, reader->err);
  row->roi = lvn_strdup(reader->value[COLUMN_ROI], reader->err);
  row->patient_key = lvn_strdup(reader->value[COLUMN_PATIENT_KEY], reader->err);
  if (row->study == NULL || row->roi == NULL || row->patient_key == NULL) {
    reader->failed = true;
  } else if (row->roi[0] == '\0') {
    reject(reader, "the ROI object is missing");
  } else if (row->patient_key[0] == '\0') {
    reject(reader, "the patient key is missing");
  }
}

/* "outlier" is none of the classes; the subtype then says what it is. */
static bool take_class(const char *name, struct lvn_case_row *row) {
  row->lesion_class = LVN_CLASS_OUTLIER;
  return strcasecmp(name, lvn_class_name(LVN_CLASS_OUTLIER)) == 0 || lvn_class_from_name(name, &row->lesion_class);
}

static void take_values(struct reader *reader, struct lvn_case_row *row) {
  const char *class_name = reader->value[COLUMN_CLASS];
  const char *lesion = reader->value[COLUMN_LESION];
  const char *fold = reader->value[COLUMN_FOLD];
  row->fold = LVN_CASES_NO_FOLD;
  if (class_name[0] == '\0') {
    reject(reader, "the class is missing");
  } else if (!take_class(class_name, row)) {
    char known[LVN_CLASSES_TEXT_BYTES];
    lvn_classes_format(~0U, known);
    reject(reader, "class '%.40s' is not one of %s, outlier", class_name, known);
  } else if (lesion[0] != '\0' && !parse_number(lesion, 1, LESION_MAX, &row->lesion)) {
    reject(reader, "lesion '%.20s' is not a number from 1 on", lesion);
  } else if (fold[0] != '\0' && !parse_number(fold, 0, FOLD_MAX, &row->fold)) {
    reject(reader, "fold '%.20s' is not a number from 0 to %d", fold, FOLD_MAX);
  } else if (!take_word(reader->value[COLUMN_SUBTYPE], row->subtype)) {
    reject(reader, "the subtype is longer than %d characters or holds more than letters, digits and ._+-",
           LVN_DATASET_WORD_BYTES - 1);
  } else if (!take_word(reader->value[COLUMN_REFERENCE_STANDARD], row->reference_standard)) {
    reject(reader, "the reference standard is longer than %d characters or holds more than letters, digits and ._+-",
           LVN_DATASET_WORD_BYTES - 1);
  } else if (row->lesion_class == LVN_CLASS_OUTLIER && row->subtype[0] == '\0') {
    reject(reader, "an outlier's subtype is missing: what it is ('abscess', 'normal-liver')");
  }
}

static void finish_row(struct reader *reader) {
  if (reader->field != reader->column_count) {
    reject(reader, "%zu fields, but the header has %zu columns", reader->field, reader->column_count);
    return;
  }
  struct lvn_cases *cases = &reader->cases;
  if (!lvn_grow(&cases->rows, &reader->capacity, cases->count, sizeof *cases->rows, LVN_CASES_MAX, reader->err)) {
    reader->failed = true;
    return;
  }
  struct lvn_case_row *row = &cases->rows[cases->count++];
  row->row = reader->row;
  take_source(reader, row);
  take_values(reader, row);
}

/* `terminator`: the character that ended the row; -1 at the end of the text. Lines without any field come here too, so
 * that rows are counted as a spreadsheet counts them. */
static void take_row(int terminator, void *context) {
  struct reader *reader = context;
  bool is_blank = reader->field == 0;
  if (reader->failed || (is_blank && terminator == '\n' && reader->after_cr)) {
    reader->after_cr = false;
    return;
  }
  reader->after_cr = terminator == '\r';
  if (reader->row == 1) {
    check_header(reader);
  } else if (!is_blank) {
    finish_row(reader);
  }
  for (int i = 0; i < COLUMN_COUNT; i++) {
    reader->value[i][0] = '\0';
  }
  reader->field = 0;
  reader->row++;
}

/* Spreadsheets of half of Europe separate by semicolons. */
static unsigned char find_delimiter(const char *text, size_t bytes) {
  const char *end = memchr(text, '\n', bytes);
  size_t length = end == NULL ? bytes : (size_t)(end - text);
  return memchr(text, ',', length) == NULL && memchr(text, ';', length) != NULL ? ';' : ',';
}

static void read_text(struct reader *reader, const char *text, size_t bytes) {
  struct csv_parser parser;
  if (csv_init(&parser, CSV_STRICT | CSV_STRICT_FINI | CSV_REPALL_NL) != 0) {
    reject(reader, "the reader cannot be started");
    return;
  }
  csv_set_delim(&parser, find_delimiter(text, bytes));
  bool good = csv_parse(&parser, text, bytes, take_field, take_row, reader) == bytes &&
              csv_fini(&parser, take_field, take_row, reader) == 0;
  if (!good) {
    int code = csv_error(&parser);
    reject(reader, "%s",
           code == CSV_EPARSE ? "the quoting is broken (a quote inside a field is written twice, in quotes)"
                              : csv_strerror(code));
  }
  csv_free(&parser);
}

/* ---- what several rows say together ---- */

static int compare_lesions(const void *left, const void *right) {
  const struct lvn_case_row *const *a = left;
  const struct lvn_case_row *const *b = right;
  int order = strcmp((*a)->study, (*b)->study);
  order = order != 0 ? order : strcmp((*a)->roi, (*b)->roi);
  unsigned first = (*a)->lesion == 0 ? 1 : (*a)->lesion;
  unsigned second = (*b)->lesion == 0 ? 1 : (*b)->lesion;
  order = order != 0 ? order : (first > second) - (first < second);
  return order != 0 ? order : ((*a)->row > (*b)->row) - ((*a)->row < (*b)->row);
}

static int compare_patients(const void *left, const void *right) {
  const struct lvn_case_row *const *a = left;
  const struct lvn_case_row *const *b = right;
  int order = strcmp((*a)->patient_key, (*b)->patient_key);
  return order != 0 ? order : ((*a)->row > (*b)->row) - ((*a)->row < (*b)->row);
}

static int compare_studies(const void *left, const void *right) {
  const struct lvn_case_row *const *a = left;
  const struct lvn_case_row *const *b = right;
  int order = strcmp((*a)->study, (*b)->study);
  return order != 0 ? order : ((*a)->row > (*b)->row) - ((*a)->row < (*b)->row);
}

static bool is_same_lesion(const struct lvn_case_row *a, const struct lvn_case_row *b) {
  return strcmp(a->study, b->study) == 0 && strcmp(a->roi, b->roi) == 0 &&
         (a->lesion == 0 ? 1 : a->lesion) == (b->lesion == 0 ? 1 : b->lesion);
}

static bool check_pairs(const struct lvn_case_row **sorted, size_t count, struct lvn_error *err) {
  qsort(sorted, count, sizeof(struct lvn_case_row *), compare_lesions);
  for (size_t i = 1; i < count; i++) {
    if (is_same_lesion(sorted[i - 1], sorted[i])) {
      return lvn_error_set(err, LVN_ERROR_USAGE, "row %zu: the lesion of row %zu again", sorted[i]->row,
                           sorted[i - 1]->row);
    }
  }
  qsort(sorted, count, sizeof(struct lvn_case_row *), compare_patients);
  for (size_t i = 1; i < count; i++) {
    if (strcmp(sorted[i - 1]->patient_key, sorted[i]->patient_key) == 0 && sorted[i - 1]->fold != sorted[i]->fold) {
      return lvn_error_set(err, LVN_ERROR_USAGE,
                           "row %zu: the patient of row %zu is in fold %u there and in fold %u here", sorted[i]->row,
                           sorted[i - 1]->row, sorted[i - 1]->fold, sorted[i]->fold);
    }
  }
  qsort(sorted, count, sizeof(struct lvn_case_row *), compare_studies);
  for (size_t i = 1; i < count; i++) {
    if (strcmp(sorted[i - 1]->study, sorted[i]->study) == 0 &&
        strcmp(sorted[i - 1]->patient_key, sorted[i]->patient_key) != 0) {
      return lvn_error_set(err, LVN_ERROR_USAGE, "row %zu: the study of row %zu, but another patient key",
                           sorted[i]->row, sorted[i - 1]->row);
    }
  }
  return true;
}

static bool check_whole(struct lvn_cases *cases, struct lvn_error *err) {
  size_t of_class[LVN_DATASET_LABEL_COUNT] = {0};
  if (cases->count == 0) {
    return lvn_error_set(err, LVN_ERROR_USAGE, "row 2: there is no case");
  }
  LVN_AUTOFREE const struct lvn_case_row **sorted = lvn_alloc(cases->count, sizeof(struct lvn_case_row *), err);
  if (sorted == NULL) {
    return false;
  }
  cases->has_folds = cases->rows[0].fold != LVN_CASES_NO_FOLD;
  for (size_t i = 0; i < cases->count; i++) {
    sorted[i] = &cases->rows[i];
    of_class[cases->rows[i].lesion_class]++;
    if ((cases->rows[i].fold != LVN_CASES_NO_FOLD) != cases->has_folds) {
      return lvn_error_set(err, LVN_ERROR_USAGE, "row %zu: %s", cases->rows[i].row,
                           cases->has_folds ? "the fold is missing; give it in every row or in none"
                                            : "a fold is given, but not in the rows before");
    }
  }
  if (!check_pairs(sorted, cases->count, err)) {
    return false;
  }
  if (of_class[cases->rows[0].lesion_class] == cases->count) {
    return lvn_error_set(err, LVN_ERROR_USAGE, "row %zu: all %zu rows have the one class %s: nothing can be learnt",
                         cases->rows[0].row, cases->count, lvn_class_name(cases->rows[0].lesion_class));
  }
  return true;
}

bool lvn_cases_parse(const char *text, size_t bytes, struct lvn_cases *ret_cases, struct lvn_error *err) {
  LVN_AUTOFREE struct reader *reader = lvn_alloc(1, sizeof *reader, err);
  if (reader == NULL) {
    return false;
  }
  reader->row = 1;
  reader->err = err;
  if (bytes >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0) { /* a byte order mark, which Excel writes */
    text += 3;
    bytes -= 3;
  }
  read_text(reader, text, bytes);
  if (!reader->failed && reader->row == 1) {
    reject(reader, "the list is empty");
  }
  if (reader->failed || !check_whole(&reader->cases, err)) {
    lvn_cases_clear(&reader->cases);
    return false;
  }
  *ret_cases = reader->cases;
  return true;
}

bool lvn_cases_read(const char *path, struct lvn_cases *ret_cases, struct lvn_error *err) {
  LVN_AUTOFREE uint8_t *text = NULL;
  size_t bytes = 0;
  if (!lvn_file_read(path, FILE_BYTES_MAX, &text, &bytes, err)) {
    err->code = err->code == LVN_ERROR_DATA ? LVN_ERROR_USAGE : err->code;
    return false;
  }
  return lvn_cases_parse((const char *)text, bytes, ret_cases, err) || lvn_error_prefix(err, "'%.200s'", path);
}

void lvn_cases_clear(struct lvn_cases *cases) {
  for (size_t i = 0; i < cases->count; i++) {
    lvn_free(cases->rows[i].study);
    lvn_free(cases->rows[i].roi);
    lvn_free(cases->rows[i].patient_key);
  }
  lvn_free(cases->rows);
  *cases = (struct lvn_cases){0};
}
