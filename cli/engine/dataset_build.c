/* livervlm dataset build: a training set from DICOM cases. */
#include "analysis/dataset/build.h"
#include "base/file.h"
#include "base/memory.h"
#include "cli/engine/commands.h"
#include "cli/operate.h"
#include "cli/options.h"
#include "cli/progress.h"
#include "config/config.h"
#include "storage/index.h"
#include "storage/objects.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define OBJECTS_MAX 20000U
#define JOB_BYTES                                                                                                      \
  (3ULL << 30) /* what one study may need; the worker's budget is 4 GB for four phases of 400 slices                   \
                */

static void json_cleanup(json_t **value) {
  json_decref(*value);
}

/* What the callbacks of a build need. */
struct node {
  const char *config_path;
  struct lvn_progress progress;
};

/* ---- progress ---- */

static void show_progress(void *context, const struct lvn_build_progress *progress) {
  char note[64];
  (void)snprintf(note, sizeof note, "%zu left out", progress->left_out);
  struct node *node = context;
  lvn_progress_show(&node->progress, progress->done, progress->rows, note);
}

/* ---- studies that the node holds ---- */

static bool add_path(struct lvn_file_names *paths, size_t *capacity, const char *path, struct lvn_error *err) {
  if (!lvn_grow(&paths->names, capacity, paths->count, sizeof *paths->names, OBJECTS_MAX, err)) {
    return false;
  }
  paths->names[paths->count] = lvn_strdup(path, err);
  paths->count += paths->names[paths->count] != NULL;
  return paths->count > 0 && paths->names[paths->count - 1] != NULL;
}

static bool ask_node(const char *config_path, const char *study_uid, struct lvn_file_names *paths,
                     struct lvn_error *err) {
  LVN_CLEANUP(json_cleanup) json_t *answer = NULL;
  size_t capacity = 0;
  if (!lvn_operate_ask(config_path, json_pack("{s:s,s:s}", "command", "inputs", "study", study_uid), &answer, err)) {
    return false;
  }
  const json_t *list = json_object_get(answer, "paths");
  for (size_t i = 0; i < json_array_size(list); i++) {
    const char *path = json_string_value(json_array_get(list, i));
    if (path == NULL || !add_path(paths, &capacity, path, err)) {
      return path == NULL ? lvn_error_set(err, LVN_ERROR_PROTOCOL, "the pipeline's answer is not a list") : false;
    }
  }
  return true;
}

/* Without a running node its index is free to be opened. */
static bool read_index(const struct lvn_config *config, const char *study_uid, struct lvn_file_names *paths,
                       struct lvn_error *err) {
  struct lvn_index *index = NULL;
  struct lvn_objects *objects = NULL;
  LVN_AUTOFREE uint8_t *digests = NULL;
  size_t count = 0;
  size_t capacity = 0;
  bool good = lvn_index_open(config->state_folder, config->job_attempts_max, &index, err) &&
              lvn_objects_open(config->state_folder, &objects, err) &&
              lvn_index_study_inputs(index, study_uid, &digests, &count, err);
  for (size_t i = 0; good && i < count; i++) {
    char path[LVN_PATH_BYTES];
    good =
        lvn_objects_path(objects, digests + i * LVN_SHA256_BYTES, path, err) && add_path(paths, &capacity, path, err);
  }
  lvn_objects_close(objects);
  lvn_index_close(index);
  return good;
}

static bool find_study(void *context, const char *study_uid, struct lvn_file_names *ret_paths, struct lvn_error *err) {
  const struct node *node = context;
  LVN_AUTOFREE struct lvn_config *config = lvn_alloc(1, sizeof *config, err);
  if (config == NULL || !lvn_config_load(node->config_path, config, err)) {
    return false;
  }
  bool good = ask_node(node->config_path, study_uid, ret_paths, err);
  if (!good && err->code != LVN_ERROR_CONFLICT) { /* not a refusal: nobody answered */
    good = read_index(config, study_uid, ret_paths, err);
  }
  return good && (ret_paths->count > 0 || lvn_error_set(err, LVN_ERROR_DATA, "the node holds no study %s", study_uid));
}

/* ---- the command ---- */

static unsigned default_jobs(void) {
  long cores = sysconf(_SC_NPROCESSORS_ONLN);
  long pages = sysconf(_SC_AVPHYS_PAGES);
  long page_bytes = sysconf(_SC_PAGESIZE);
  unsigned long long fit =
      pages > 0 && page_bytes > 0 ? (unsigned long long)pages * (unsigned long long)page_bytes / JOB_BYTES : 1;
  unsigned jobs = cores > 0 ? (unsigned)cores : 1;
  jobs = fit < jobs ? (unsigned)fit : jobs;
  return jobs < 1 ? 1 : jobs > 16 ? 16 : jobs;
}

static int conclude(const struct lvn_usage *usage, const struct lvn_build_options *options,
                    const struct lvn_build_summary *summary) {
  (void)printf("%zu lesions in '%s' (%zu made now, %zu from before); %zu rows left out\nreport %s\n",
               summary->made + summary->kept, options->output_folder, summary->made, summary->kept, summary->left_out,
               summary->report_path);
  if (summary->left_out == 0) {
    return LVN_EXIT_OK;
  }
  (void)fflush(stdout);
  (void)fprintf(stderr, "livervlm %s: %zu of %zu rows left out; the first, row %zu: %s\n", usage->command,
                summary->left_out, summary->rows, summary->first_bad_row, summary->first_reason);
  return LVN_EXIT_USAGE;
}

static int build(const struct lvn_usage *usage, const struct lvn_build_options *options) {
  struct lvn_build_summary summary = {0};
  struct lvn_error err = {0};
  if (!lvn_dataset_build(options, &summary, &err)) {
    return lvn_options_fail(usage->command, &err);
  }
  return conclude(usage, options, &summary);
}

int lvn_cli_dataset_build(int argc, char **argv) {
  struct lvn_build_options make;
  struct node node = {.config_path = NULL};
  bool keep_misaligned = false;
  lvn_build_options_default(&make);
  make.jobs = default_jobs();
  unsigned slices = make.analysis.crop.max_slices;
  const struct lvn_option options[] = {
      {"cases", "CSV", LVN_OPTION_TEXT, &make.cases_path, "one row for each lesion", true, 0, 0},
      {"output", "DIR", LVN_OPTION_TEXT, &make.output_folder, "folder of the data set", true, 0, 0},
      {"config", "FILE", LVN_OPTION_TEXT, &node.config_path, "the node's configuration, for rows with a study UID",
       false, 0, 0},
      {"key", "FILE", LVN_OPTION_TEXT, &make.key_path,
       "key of the pseudonyms, made when missing (pseudonym.key beside the list)", false, 0, 0},
      {"report", "FILE", LVN_OPTION_TEXT, &make.report_path, "what became of each row (LIST.report.csv)", false, 0, 0},
      {"source", "TEXT", LVN_OPTION_TEXT, &make.source, "one line for the manifest and the model's results", false, 0,
       0},
      {"slices", "N", LVN_OPTION_UINT, &slices, "slices of each lesion at most (5, as the node)", false, 1, 64},
      {"folds", "N", LVN_OPTION_UINT, &make.fold_count, "to make where the list gives none (5)", false, 2, 100},
      {"jobs", "N", LVN_OPTION_UINT, &make.jobs, "studies read at a time (cores, as far as memory allows)", false, 1,
       64},
      {"no-alignment", NULL, LVN_OPTION_FLAG, &keep_misaligned,
       "take the phases as they lie: the paper's misaligned rows", false, 0, 0},
      {"delayed", NULL, LVN_OPTION_FLAG, &make.analysis.delayed,
       "store the delayed phase, too, where a study has one, for recipes with augmentation.fourth_phase", false, 0, 0},
  };
  const struct lvn_usage usage = {
      .command = "dataset build",
      .summary = "Make a data set of a site's cases by the node's own phases, alignment and crop.",
      .details =
          "Columns: study (folder) or study_uid; roi (file or SOP instance UID); class (CYST, FNH, HCC, HEM);\n"
          "patient_key; and, where wanted, lesion (number within the ROI object), fold, subtype, reference_standard.\n"
          "Paths are meant from the list's folder on. Started again after an interruption it goes on. Keep the key,\n"
          "the list and the report at the site; the data set names patients by keyed digests alone.\n"
          "Exit status 2: the list is wrong, or rows were left out (the report says why); the rest is built.",
      .examples = "livervlm dataset build --cases cases.csv --output set",
      .options = options,
      .option_count = sizeof options / sizeof options[0]};
  int first = 0;
  int code = lvn_options_parse(argc, argv, &usage, &first);
  if (code != LVN_OPTIONS_RUN) {
    return code;
  }
  make.analysis.crop.max_slices = slices;
  make.analysis.align = !keep_misaligned;
  make.progress = show_progress;
  make.context = &node;
  node.progress = lvn_progress_begin(usage.command, "rows");
  make.find_study = node.config_path == NULL ? NULL : find_study;
  return build(&usage, &make);
}
