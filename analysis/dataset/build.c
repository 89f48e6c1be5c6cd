#include "analysis/dataset/build.h"

#include "analysis/dataset/build_internal.h"
#include "analysis/dataset/pool.h"
#include "base/clock.h"
#include "base/memory.h"
#include "model/dataset/dataset.h"
#include "model/dataset/dataset_format.h"
#include "model/tensor/json.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define WORK_FOLDER "building"
#define LOCK_FILE "lock"
#define FILES_MAX 1000000U

void lvn_build_options_default(struct lvn_build_options *ret_options) {
  *ret_options = (struct lvn_build_options){
      .source = "cases of one site", .jobs = 1, .fold_count = 5, .study_seconds_max = 1800.0};
  lvn_case_options_default(&ret_options->analysis);
}

static void build_clear(struct lvn_build *build) {
  for (size_t i = 0; i < build->task_count; i++) {
    lvn_free(build->tasks[i].rows);
    lvn_file_names_clear(&build->tasks[i].paths);
  }
  lvn_free(build->tasks);
  lvn_free(build->rows);
  lvn_cases_clear(&build->cases);
}

/* ---- the plan ---- */

static bool name_row(const struct lvn_build *build, struct lvn_build_row *row, const char *roi_uid,
                     struct lvn_error *err) {
  char number[16];
  const char *parts[] = {row->source->patient_key, roi_uid, number};
  (void)snprintf(number, sizeof number, "%u", row->source->lesion == 0 ? 1U : row->source->lesion);
  return lvn_pseudonym(&build->key, 'L', parts, 3, row->lesion_id, err);
}

static int compare_rows(const void *left, const void *right, void *context) {
  const struct lvn_build_row *rows = context;
  const struct lvn_case_row *a = rows[*(const size_t *)left].source;
  const struct lvn_case_row *b = rows[*(const size_t *)right].source;
  int order = strcmp(a->study, b->study);
  order = order != 0 ? order : strcmp(a->roi, b->roi);
  return order != 0 ? order : (a->row > b->row) - (a->row < b->row);
}

static bool is_same_source(const struct lvn_case_row *a, const struct lvn_case_row *b) {
  return strcmp(a->study, b->study) == 0 && strcmp(a->roi, b->roi) == 0;
}

static bool plan_tasks(struct lvn_build *build, struct lvn_error *err) {
  size_t count = build->cases.count;
  LVN_AUTOFREE size_t *order = lvn_alloc(count, sizeof *order, err);
  build->tasks = lvn_alloc(count, sizeof *build->tasks, err);
  if (order == NULL || build->tasks == NULL) {
    return false;
  }
  for (size_t i = 0; i < count; i++) {
    order[i] = i;
  }
  qsort_r(order, count, sizeof *order, compare_rows, build->rows);
  for (size_t begin = 0, end = 0; begin < count; begin = end) {
    struct lvn_build_task *task = &build->tasks[build->task_count];
    for (end = begin + 1;
         end < count && is_same_source(build->rows[order[begin]].source, build->rows[order[end]].source); end++) {
    }
    task->row_count = end - begin;
    task->rows = lvn_alloc(task->row_count, sizeof *task->rows, err);
    if (task->rows == NULL) {
      return false;
    }
    build->task_count++;
    memcpy(task->rows, order + begin, task->row_count * sizeof *order);
  }
  return true;
}

/* By class, then by pseudonym, which is as good as drawn; the same list and key give the same folds. */
static int compare_for_folds(const void *left, const void *right, void *context) {
  const struct lvn_build_row *rows = context;
  const struct lvn_build_row *a = &rows[*(const size_t *)left];
  const struct lvn_build_row *b = &rows[*(const size_t *)right];
  int order = (a->source->lesion_class > b->source->lesion_class) - (a->source->lesion_class < b->source->lesion_class);
  return order != 0 ? order : strcmp(a->patient, b->patient);
}

static unsigned fold_of_patient(const struct lvn_build *build, const size_t *order, size_t until, const char *patient) {
  for (size_t i = 0; i < until; i++) {
    if (strcmp(build->rows[order[i]].patient, patient) == 0) {
      return build->rows[order[i]].fold;
    }
  }
  return LVN_CASES_NO_FOLD;
}

/* Patients are dealt out class by class, going on where the class before ended: folds of even size and mixture. */
static bool make_folds(struct lvn_build *build, struct lvn_error *err) {
  size_t count = build->cases.count;
  unsigned next = 0;
  LVN_AUTOFREE size_t *order = lvn_alloc(count, sizeof *order, err);
  if (order == NULL) {
    return false;
  }
  for (size_t i = 0; i < count; i++) {
    order[i] = i;
  }
  qsort_r(order, count, sizeof *order, compare_for_folds, build->rows);
  for (size_t i = 0; i < count; i++) {
    struct lvn_build_row *row = &build->rows[order[i]];
    unsigned fold = fold_of_patient(build, order, i, row->patient);
    row->fold = fold != LVN_CASES_NO_FOLD ? fold : next;
    if (fold == LVN_CASES_NO_FOLD) {
      next = (next + 1) % build->options->fold_count;
    }
  }
  return true;
}

static bool plan(struct lvn_build *build, struct lvn_error *err) {
  build->rows = lvn_alloc(build->cases.count, sizeof *build->rows, err);
  if (build->rows == NULL) {
    return false;
  }
  for (size_t i = 0; i < build->cases.count; i++) {
    struct lvn_build_row *row = &build->rows[i];
    row->source = &build->cases.rows[i];
    row->fold = row->source->fold;
    const char *parts[] = {row->source->patient_key};
    if (!lvn_pseudonym(&build->key, 'P', parts, 1, row->patient, err)) {
      return false;
    }
  }
  return plan_tasks(build, err) && (build->cases.has_folds || make_folds(build, err));
}

/* ---- the run ---- */

static void settle(struct lvn_build *build, size_t index, enum lvn_build_state state, const char *reason) {
  struct lvn_build_row *row = &build->rows[index];
  if (row->state != LVN_BUILD_PENDING) {
    return;
  }
  row->state = state;
  (void)lvn_copy(row->reason, sizeof row->reason, reason);
  build->done++;
  build->left_out += state == LVN_BUILD_LEFT_OUT;
  if (build->options->progress != NULL) {
    const struct lvn_build_progress progress = {.rows = build->cases.count,
                                                .done = build->done,
                                                .left_out = build->left_out,
                                                .seconds = lvn_clock_monotonic_seconds() - build->started_seconds};
    build->options->progress(build->options->context, &progress);
  }
}

static bool is_finished(const struct lvn_build *build, const struct lvn_build_row *row, const char *fingerprint) {
  char path[LVN_PATH_BYTES];
  struct lvn_error ignored = {0};
  LVN_CLEANUP(lvn_json_cleanup) json_t *entry = lvn_build_read_entry(build, row, fingerprint);
  return entry != NULL && lvn_dataset_lesion_path(build->options->output_folder, row->lesion_id, path, &ignored) &&
         lvn_file_exists(path);
}

static bool prepare(void *context, size_t piece) {
  struct lvn_build *build = context;
  struct lvn_build_task *task = &build->tasks[piece];
  struct lvn_error err = {0};
  bool any = false;
  bool good = lvn_build_find_files(build, task, &err);
  for (size_t i = 0; good && i < task->row_count; i++) {
    good = name_row(build, &build->rows[task->rows[i]], task->roi_uid, &err);
  }
  for (size_t i = 0; i < task->row_count; i++) {
    if (!good) {
      settle(build, task->rows[i], LVN_BUILD_LEFT_OUT, err.message);
    } else if (is_finished(build, &build->rows[task->rows[i]], task->fingerprint)) {
      settle(build, task->rows[i], LVN_BUILD_KEPT, "");
    } else {
      any = true;
    }
  }
  return any;
}

static void work(void *context, size_t piece, int fd) {
  const struct lvn_build *build = context;
  lvn_build_study(build, &build->tasks[piece], fd);
}

/* "INDEX<tab>+" or "INDEX<tab>-<tab>REASON" */
static void take_line(void *context, size_t piece, char *line) {
  struct lvn_build *build = context;
  char *end = NULL;
  size_t index = strtoul(line, &end, 10);
  (void)piece;
  if (end == line || *end != '\t' || index >= build->cases.count) {
    return;
  }
  if (end[1] == '+') {
    settle(build, index, LVN_BUILD_MADE, "");
  } else if (end[1] == '-' && end[2] == '\t') {
    settle(build, index, LVN_BUILD_LEFT_OUT, end + 3);
  }
}

static void finish(void *context, size_t piece, const char *fate) {
  struct lvn_build *build = context;
  struct lvn_build_task *task = &build->tasks[piece];
  char reason[128];
  (void)snprintf(reason, sizeof reason, "reading the study %s", fate == NULL ? "ended without an answer" : fate);
  for (size_t i = 0; i < task->row_count; i++) {
    settle(build, task->rows[i], LVN_BUILD_LEFT_OUT, reason);
  }
  lvn_file_names_clear(&task->paths);
  task->paths = (struct lvn_file_names){0};
}

/* ---- the result ---- */

/* What the list says may have changed since the lesion was made; its pixels have not. */
static bool update_entry(const struct lvn_build_row *row, json_t *entry) {
  return json_object_set_new(entry, "class", json_string(lvn_class_name(row->source->lesion_class))) == 0 &&
         json_object_set_new(entry, "fold", json_integer(row->fold)) == 0 &&
         json_object_set_new(entry, "subtype", json_string(row->source->subtype)) == 0 &&
         json_object_set_new(entry, "reference_standard", json_string(row->source->reference_standard)) == 0;
}

static bool append_entries(const struct lvn_build *build, struct lvn_dataset_writer *writer, struct lvn_error *err) {
  for (size_t i = 0; i < build->cases.count; i++) {
    const struct lvn_build_row *row = &build->rows[i];
    if (row->state == LVN_BUILD_LEFT_OUT) {
      continue;
    }
    json_t *entry = lvn_build_read_entry(build, row, NULL);
    if (entry == NULL || !update_entry(row, entry)) {
      json_decref(entry);
      return lvn_error_set(err, LVN_ERROR_IO, "row %zu: its finished lesion cannot be read again", row->source->row);
    }
    if (!lvn_dataset_writer_append(writer, entry, err)) {
      return false;
    }
  }
  return true;
}

static bool note_head(const struct lvn_build *build, struct lvn_dataset_writer *writer, struct lvn_error *err) {
  const struct lvn_crop_options *crop = &build->options->analysis.crop;
  json_t *options = json_pack("{s:f,s:f,s:i}", "margin", crop->margin, "min_side_mm", crop->min_side_mm, "max_slices",
                              (int)crop->max_slices);
  return lvn_dataset_writer_note(writer, "made_by", json_string("livervlm " LVN_VERSION), err) &&
         lvn_dataset_writer_note(writer, "crop", options, err) &&
         lvn_dataset_writer_note(writer, "aligned", json_boolean(build->options->analysis.align), err) &&
         lvn_dataset_writer_note(writer, "folds", json_string(build->cases.has_folds ? "given" : "made"), err);
}

static bool write_manifest(const struct lvn_build *build, struct lvn_error *err) {
  struct lvn_dataset_writer *writer = NULL;
  if (!lvn_dataset_writer_open(build->options->output_folder, build->options->source, &writer, err)) {
    return false;
  }
  if (!note_head(build, writer, err) || !append_entries(build, writer, err)) {
    lvn_dataset_writer_abandon(writer);
    return false;
  }
  return lvn_dataset_writer_close(writer, err);
}

/* Lesions of rows that the list no longer has, or that no longer can be used. */
static bool remove_others(const struct lvn_build *build, struct lvn_error *err) {
  char folder[LVN_PATH_BYTES];
  LVN_CLEANUP(lvn_file_names_clear) struct lvn_file_names names = {0};
  if (!lvn_path_join(folder, build->options->output_folder, LVN_DATASET_FOLDER, err) ||
      !lvn_file_list(folder, FILES_MAX, &names, err)) {
    return false;
  }
  for (size_t i = 0; i < names.count; i++) {
    bool is_named = false;
    char path[LVN_PATH_BYTES];
    for (size_t k = 0; k < build->cases.count && !is_named; k++) {
      const struct lvn_build_row *row = &build->rows[k];
      is_named =
          row->state != LVN_BUILD_LEFT_OUT && strncmp(names.names[i], row->lesion_id, sizeof row->lesion_id - 1) == 0;
    }
    if (!is_named && lvn_path_join(path, folder, names.names[i], err)) {
      (void)unlink(path);
    }
  }
  return true;
}

static void write_field(FILE *stream, const char *text) {
  (void)fputc('"', stream);
  for (; *text != '\0'; text++) {
    (void)fputs(*text == '"' ? "\"\"" : "", stream);
    if (*text != '"') {
      (void)fputc(*text, stream);
    }
  }
  (void)fputc('"', stream);
}

static bool write_report(const struct lvn_build *build, const char *path, struct lvn_error *err) {
  static const char *const outcomes[] = {"left out", "used", "used", "left out"};
  char *text = NULL;
  size_t bytes = 0;
  FILE *stream = open_memstream(&text, &bytes);
  if (stream == NULL) {
    return lvn_error_set(err, LVN_ERROR_NOMEM, "no memory for the report");
  }
  (void)fputs("row,outcome,lesion,reason\n", stream);
  for (size_t i = 0; i < build->cases.count; i++) {
    const struct lvn_build_row *row = &build->rows[i];
    bool is_used = row->state != LVN_BUILD_LEFT_OUT;
    (void)fprintf(stream, "%zu,%s,%s,", row->source->row, outcomes[row->state], is_used ? row->lesion_id : "");
    write_field(stream, row->reason);
    (void)fputc('\n', stream);
  }
  bool good = fclose(stream) == 0 || lvn_error_set(err, LVN_ERROR_NOMEM, "no memory for the report");
  good = good && lvn_file_replace(path, text, bytes, 0600, err);
  lvn_free(text);
  return good || lvn_error_prefix(err, "the report");
}

/* Once every row is in, what was needed to go on is not needed any more. */
static void remove_work_folder(const struct lvn_build *build) {
  struct lvn_error ignored = {0};
  LVN_CLEANUP(lvn_file_names_clear) struct lvn_file_names names = {0};
  if (!lvn_file_list(build->work_folder, FILES_MAX, &names, &ignored)) {
    return;
  }
  for (size_t i = 0; i < names.count; i++) {
    char path[LVN_PATH_BYTES];
    if (lvn_path_join(path, build->work_folder, names.names[i], &ignored)) {
      (void)unlink(path);
    }
  }
  (void)rmdir(build->work_folder);
}

static void summarise(const struct lvn_build *build, struct lvn_build_summary *summary) {
  summary->rows = build->cases.count;
  for (size_t i = 0; i < build->cases.count; i++) {
    const struct lvn_build_row *row = &build->rows[i];
    summary->made += row->state == LVN_BUILD_MADE;
    summary->kept += row->state == LVN_BUILD_KEPT;
    summary->left_out += row->state == LVN_BUILD_LEFT_OUT;
    if (row->state == LVN_BUILD_LEFT_OUT && summary->first_bad_row == 0) {
      summary->first_bad_row = row->source->row;
      (void)lvn_copy(summary->first_reason, sizeof summary->first_reason, row->reason);
    }
  }
}

static bool conclude(const struct lvn_build *build, struct lvn_build_summary *summary, struct lvn_error *err) {
  char manifest[LVN_PATH_BYTES];
  summarise(build, summary);
  if (!write_report(build, summary->report_path, err)) {
    return false;
  }
  if (summary->left_out == summary->rows) {
    return lvn_error_set(err, LVN_ERROR_USAGE, "no row could be used; row %zu: %.300s", summary->first_bad_row,
                         summary->first_reason);
  }
  /* An earlier build may have left rows out. */
  if (!lvn_path_join(manifest, build->options->output_folder, LVN_DATASET_MANIFEST, err)) {
    return false;
  }
  (void)unlink(manifest);
  if (!remove_others(build, err) || !write_manifest(build, err)) {
    return false;
  }
  if (summary->left_out == 0) {
    remove_work_folder(build);
  }
  return true;
}

/* ---- the beginning ---- */

static bool beside_cases(const struct lvn_build *build, const char *name, char ret_path[LVN_PATH_BYTES],
                         struct lvn_error *err) {
  return lvn_path_join(ret_path, build->cases_folder, name, err);
}

static bool place_files(struct lvn_build *build, char key_path[LVN_PATH_BYTES], char report_path[LVN_PATH_BYTES],
                        struct lvn_error *err) {
  const struct lvn_build_options *options = build->options;
  char name[LVN_PATH_BYTES];
  const char *slash = strrchr(options->cases_path, '/');
  (void)lvn_copy(build->cases_folder, sizeof build->cases_folder, slash == NULL ? "." : options->cases_path);
  if (slash != NULL) {
    build->cases_folder[slash == options->cases_path ? 1 : slash - options->cases_path] = '\0';
  }
  (void)lvn_copy(name, sizeof name - 16, slash == NULL ? options->cases_path : slash + 1);
  char *dot = strrchr(name, '.');
  if (dot != NULL && dot != name) {
    *dot = '\0';
  }
  (void)lvn_copy(name + strlen(name), 16, ".report.csv");
  bool good = options->key_path != NULL ? lvn_copy(key_path, LVN_PATH_BYTES, options->key_path)
                                        : beside_cases(build, "pseudonym.key", key_path, err);
  return good &&
         (options->report_path != NULL ? lvn_copy(report_path, LVN_PATH_BYTES, options->report_path)
                                       : beside_cases(build, name, report_path, err)) &&
         lvn_path_join(build->work_folder, options->output_folder, WORK_FOLDER, err);
}

/* A data set that is whole is not touched; two builds must not work in one folder. */
static bool claim_folder(const struct lvn_build *build, int *ret_lock, struct lvn_error *err) {
  char manifest[LVN_PATH_BYTES];
  char lesions[LVN_PATH_BYTES];
  char lock[LVN_PATH_BYTES];
  if (!lvn_path_join(manifest, build->options->output_folder, LVN_DATASET_MANIFEST, err) ||
      !lvn_path_join(lesions, build->options->output_folder, LVN_DATASET_FOLDER, err) ||
      !lvn_path_join(lock, build->work_folder, LOCK_FILE, err)) {
    return false;
  }
  if (lvn_file_exists(manifest) && !lvn_file_exists(build->work_folder)) {
    return lvn_error_set(err, LVN_ERROR_CONFLICT, "'%.300s' already holds a data set", build->options->output_folder);
  }
  if (!lvn_file_make_folder(build->work_folder, 0700, err) || !lvn_file_make_folder(lesions, 0755, err)) {
    return false;
  }
  *ret_lock = open(lock, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (*ret_lock < 0 || flock(*ret_lock, LOCK_EX | LOCK_NB) != 0) {
    return errno == EWOULDBLOCK ? lvn_error_set(err, LVN_ERROR_CONFLICT, "another build is at work in '%.300s'",
                                                build->options->output_folder)
                                : lvn_error_set_errno(err, errno, "cannot lock '%.300s'", lock);
  }
  return true;
}

/* What a killed build had begun to write: the folder is ours alone. */
static bool remove_unfinished(const struct lvn_build *build, struct lvn_error *err) {
  char lesions[LVN_PATH_BYTES];
  char path[LVN_PATH_BYTES];
  struct lvn_file_names names = {0};
  bool good = lvn_path_join(lesions, build->options->output_folder, LVN_DATASET_FOLDER, err) &&
              lvn_file_list(lesions, LVN_DATASET_LESIONS_MAX, &names, err);
  for (size_t i = 0; good && i < names.count; i++) {
    if (strstr(names.names[i], ".tmp-") != NULL) {
      good = lvn_path_join(path, lesions, names.names[i], err);
      if (good && unlink(path) != 0) {
        good = lvn_error_set_errno(err, errno, "cannot remove '%.300s'", path);
      }
    }
  }
  lvn_file_names_clear(&names);
  return good;
}

static bool run(struct lvn_build *build, struct lvn_error *err) {
  const struct lvn_pool pool = {.piece_count = build->task_count,
                                .jobs = build->options->jobs,
                                .seconds_max = build->options->study_seconds_max,
                                .context = build,
                                .prepare = prepare,
                                .work = work,
                                .take_line = take_line,
                                .finish = finish};
  build->started_seconds = lvn_clock_monotonic_seconds();
  return lvn_pool_run(&pool, err);
}

bool lvn_dataset_build(const struct lvn_build_options *options, struct lvn_build_summary *ret_summary,
                       struct lvn_error *err) {
  struct lvn_build_summary summary = {0};
  char key_path[LVN_PATH_BYTES];
  LVN_AUTOCLOSE int lock = -1;
  LVN_CLEANUP(build_clear) struct lvn_build build = {.options = options};
  if (options->jobs < 1 || options->jobs > LVN_POOL_JOBS_MAX || options->fold_count < 2) {
    return lvn_error_set(err, LVN_ERROR_USAGE, "jobs or folds are out of range");
  }
  if (!place_files(&build, key_path, summary.report_path, err) ||
      !lvn_cases_read(options->cases_path, &build.cases, err) || !claim_folder(&build, &lock, err) ||
      !remove_unfinished(&build, err) || !lvn_pseudonym_key_open(key_path, &build.key, err) || !plan(&build, err) ||
      !run(&build, err) || !conclude(&build, &summary, err)) {
    return false;
  }
  *ret_summary = summary;
  return true;
}
