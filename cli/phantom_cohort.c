/* A cohort of phantoms in the shape of the MPCT-FLLs data set: 85 patients with one lesion each, 30 cysts, 16 focal
 * nodular hyperplasias, 19 hepatocellular carcinomas, 20 haemangiomas, 489 lesion slices of 5 or 7 mm, and five folds
 * of 17 patients with the slices per class and fold that the Liver-VLM paper lists. */
#include "base/file.h"
#include "base/memory.h"
#include "cli/phantom_study.h"
#include "cli/progress.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define FOLDS 5
#define CASES_MAX 7 /* of one class in one fold */

static const unsigned cases_of[FOLDS][LVN_CLASS_PAPER_COUNT] = {
    {5, 4, 4, 4}, {6, 3, 4, 4}, {6, 3, 4, 4}, {6, 3, 4, 4}, {7, 3, 3, 4}};
static const unsigned slices_of[FOLDS][LVN_CLASS_PAPER_COUNT] = {
    {29, 15, 30, 21}, {31, 17, 29, 33}, {37, 7, 36, 17}, {24, 17, 35, 19}, {28, 20, 32, 12}};

/* Shares `total` slices out unevenly, as lesion sizes are: at least two each, the last gets the rest. */
static void share_slices(unsigned total, unsigned count, uint64_t seed, unsigned ret_slices[CASES_MAX]) {
  double weight[CASES_MAX];
  double sum = 0.0;
  unsigned given = 0;
  for (unsigned i = 0; i < count; i++) {
    seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    weight[i] = exp(1.1 * (double)(seed >> 33) / 2147483648.0);
    sum += weight[i];
  }
  unsigned spare = total - 2 * count;
  for (unsigned i = 0; i < count; i++) {
    unsigned more = (unsigned)floor(spare * weight[i] / sum);
    ret_slices[i] = 2 + more;
    given += more;
  }
  for (unsigned i = 0; given < spare; i = (i + 1) % count, given++) {
    ret_slices[i]++;
  }
}

static unsigned count_cases(void) {
  unsigned count = 0;
  for (unsigned fold = 0; fold < FOLDS; fold++) {
    for (int lesion_class = 0; lesion_class < LVN_CLASS_PAPER_COUNT; lesion_class++) {
      count += cases_of[fold][lesion_class];
    }
  }
  return count;
}

static bool write_case(const char *folder, const struct lvn_cli_phantom_study *common, unsigned number,
                       enum lvn_class lesion_class, unsigned slices, unsigned fold, FILE *list, struct lvn_error *err) {
  struct lvn_cli_phantom_study study = *common;
  struct lvn_cli_phantom_written written;
  char name[32];
  char path[LVN_PATH_BYTES];
  study.options.seed = common->options.seed + number;
  if (study.options.slice_thickness_mm == 0.0) {
    study.options.slice_thickness_mm = slices > 10 || number % 3 != 0 ? 5.0 : 7.0;
  }
  study.options.pixel_spacing_mm = (0.57 + 0.001 * (number % 20)) * 512.0 / study.options.matrix;
  study.options.lesion_count = 1;
  study.options.lesion_class[0] = lesion_class;
  study.options.lesion_diameter_mm[0] = fmin(fmax(slices * study.options.slice_thickness_mm, 8.0), 90.0);
  (void)snprintf(name, sizeof name, "case-%03u", number + 1);
  if (!lvn_path_join(path, folder, name, err) || !lvn_cli_phantom_study_write(path, &study, &written, err)) {
    return lvn_error_prefix(err, "%s", name);
  }
  (void)fprintf(list, "%s,%s/%s,%s,PHANTOM-%llu,%u,1\n", name, name, written.roi_file, lvn_class_name(lesion_class),
                (unsigned long long)study.options.seed, fold + 1);
  return true;
}

static bool write_cases(const char *folder, const struct lvn_cli_phantom_study *study, FILE *list,
                        struct lvn_error *err) {
  unsigned number = 0;
  struct lvn_progress progress = lvn_progress_begin("phantom", "studies");
  (void)fputs("study_folder,roi,class,patient_key,fold,lesion\n", list);
  for (unsigned fold = 0; fold < FOLDS; fold++) {
    for (int lesion_class = 0; lesion_class < LVN_CLASS_PAPER_COUNT; lesion_class++) {
      unsigned slices[CASES_MAX] = {0};
      unsigned count = cases_of[fold][lesion_class];
      uint64_t seed = study->options.seed * 31 + fold * LVN_CLASS_PAPER_COUNT + (unsigned)lesion_class;
      /* FNH in the third fold: 7 slices for 3 patients, so two apiece is the least that can be asked. */
      share_slices(slices_of[fold][lesion_class], count, seed, slices);
      for (unsigned i = 0; i < count; i++, number++) {
        if (!write_case(folder, study, number, (enum lvn_class)lesion_class, slices[i], fold, list, err)) {
          return false;
        }
        lvn_progress_show(&progress, number + 1, count_cases(), NULL);
      }
    }
  }
  return true;
}

bool lvn_cli_phantom_cohort_write(const char *folder, const struct lvn_cli_phantom_study *study,
                                  struct lvn_error *err) {
  char *text = NULL;
  size_t bytes = 0;
  char path[LVN_PATH_BYTES];
  if (!lvn_file_make_folder(folder, 0755, err)) {
    return false;
  }
  FILE *list = open_memstream(&text, &bytes);
  if (list == NULL) {
    return lvn_error_set(err, LVN_ERROR_NOMEM, "no memory for the list of cases");
  }
  bool good = write_cases(folder, study, list, err);
  if (fclose(list) != 0 && good) {
    good = lvn_error_set(err, LVN_ERROR_NOMEM, "no memory for the list of cases");
  }
  good = good && lvn_path_join(path, folder, "cases.csv", err) && lvn_file_replace(path, text, bytes, 0644, err);
  lvn_free(text);
  return good;
}
