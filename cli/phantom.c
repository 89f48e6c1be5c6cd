/* livervlm phantom: writes studies of the parametric abdomen, to commission a site without patient data. */
#include "base/file.h"
#include "base/memory.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "cli/phantom_study.h"
#include "cli/progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct wishes {
  const char *output;
  const char *lesion_class;
  const char *roi;
  const char *roi_phase;
  const char *phases;
  const char *cohort;
  const char *world;
  unsigned lesions;
  unsigned count;
  double diameter_mm;
};

static bool parse_phases(const char *text, bool ret_has[LVN_PHASE_COUNT]) {
  bool any = false;
  for (const char *at = text; *at != '\0';) {
    char word[8] = "";
    size_t length = strcspn(at, ",");
    if (length == 0 || length >= sizeof word) {
      return false;
    }
    for (size_t i = 0; i < length; i++) {
      word[i] = (char)(at[i] >= 'a' && at[i] <= 'z' ? at[i] - 'a' + 'A' : at[i]);
    }
    enum lvn_phase phase = lvn_phase_from_name(word);
    if (phase >= LVN_PHASE_COUNT) {
      return false;
    }
    ret_has[phase] = true;
    any = true;
    at += length + (at[length] == ',' ? 1 : 0);
  }
  return any;
}

/* Options of the study with seed `seed`: its classes follow from the wish. */
static void set_lesions(const struct wishes *wishes, struct lvn_phantom_options *options) {
  enum lvn_class wanted = LVN_CLASS_CYST;
  enum lvn_phantom_other other = lvn_phantom_other_from_name(wishes->lesion_class);
  bool is_mixed = other == LVN_OTHER_NONE &&
                  (strcmp(wishes->lesion_class, "mixed") == 0 || !lvn_class_from_name(wishes->lesion_class, &wanted) ||
                   wanted >= LVN_CLASS_PAPER_COUNT);
  options->lesion_count = is_mixed ? wishes->lesions : wishes->lesions > 0 ? wishes->lesions : 1;
  for (size_t i = 0; i < LVN_PHANTOM_LESIONS_MAX; i++) {
    options->lesion_class[i] = is_mixed ? (enum lvn_class)((options->seed + i) % LVN_CLASS_PAPER_COUNT) : wanted;
    options->lesion_other[i] = other;
    options->lesion_diameter_mm[i] = wishes->diameter_mm;
  }
}

/* One row for each lesion, as `livervlm dataset build` reads it. */
static void list_study(FILE *list, const char *name, uint64_t seed, const struct lvn_cli_phantom_written *written) {
  for (size_t lesion = 0; lesion < written->lesion_count; lesion++) {
    (void)fprintf(list, "%s,%s/%s,%s,PHANTOM-%" PRIu64 ",%zu,phantom\n", name, name, written->roi_file,
                  lvn_class_name(written->lesion_class[lesion]), seed, lesion + 1);
  }
}

static bool write_studies(const struct wishes *wishes, const struct lvn_cli_phantom_study *common, FILE *list,
                          struct lvn_error *err) {
  struct lvn_progress progress = lvn_progress_begin("phantom", "studies");
  (void)fputs("study,roi,class,patient_key,lesion,reference_standard\n", list);
  for (unsigned i = 0; i < wishes->count; i++) {
    struct lvn_cli_phantom_study study = *common;
    struct lvn_cli_phantom_written written;
    char folder[LVN_PATH_BYTES];
    char name[32];
    study.options.seed += i;
    set_lesions(wishes, &study.options);
    (void)snprintf(name, sizeof name, "study-%" PRIu64, study.options.seed);
    if (!lvn_file_make_folder(wishes->output, 0755, err) ||
        !lvn_path_join(folder, wishes->output, wishes->count > 1 ? name : ".", err) ||
        !lvn_cli_phantom_study_write(wishes->count > 1 ? folder : wishes->output, &study, &written, err)) {
      return false;
    }
    list_study(list, wishes->count > 1 ? name : ".", study.options.seed, &written);
    lvn_progress_end(&progress); /* its line is the study's, and comes again below it */
    (void)printf("%s:", wishes->count > 1 ? folder : wishes->output);
    for (size_t lesion = 0; lesion < written.lesion_count; lesion++) {
      (void)printf(" %s", lvn_class_name(written.lesion_class[lesion]));
    }
    (void)printf("\n");
    (void)fflush(stdout);
    if (wishes->count > 1) {
      lvn_progress_show(&progress, i + 1, wishes->count, NULL);
    }
  }
  return true;
}

static bool write_studies_and_list(const struct wishes *wishes, const struct lvn_cli_phantom_study *common,
                                   struct lvn_error *err) {
  char path[LVN_PATH_BYTES];
  char *text = NULL;
  size_t bytes = 0;
  FILE *list = open_memstream(&text, &bytes);
  if (list == NULL) {
    return lvn_error_set(err, LVN_ERROR_NOMEM, "no memory for the list of cases");
  }
  bool good = write_studies(wishes, common, list, err);
  if (fclose(list) != 0 && good) {
    good = lvn_error_set(err, LVN_ERROR_NOMEM, "no memory for the list of cases");
  }
  good =
      good && lvn_path_join(path, wishes->output, "cases.csv", err) && lvn_file_replace(path, text, bytes, 0644, err);
  lvn_free(text);
  return good;
}

static bool fill_study(const struct wishes *wishes, struct lvn_cli_phantom_study *study) {
  static const char *const kinds[] = {"rtstruct", "seg", "sr"};
  for (int kind = 0; kind < 3; kind++) {
    study->roi = strcmp(wishes->roi, kinds[kind]) == 0 ? (enum lvn_cli_phantom_roi)kind : study->roi;
  }
  bool has[LVN_PHASE_COUNT] = {false};
  bool roi_has[LVN_PHASE_COUNT] = {false};
  if (!parse_phases(wishes->phases, has) || !parse_phases(wishes->roi_phase, roi_has)) {
    return false;
  }
  for (int phase = 0; phase < LVN_PHASE_COUNT; phase++) {
    study->options.has_phase[phase] = has[phase];
    study->roi_phase = roi_has[phase] ? (enum lvn_phase)phase : study->roi_phase;
  }
  return true;
}

int lvn_cli_phantom(int argc, char **argv) {
  struct wishes wishes = {
      .lesion_class = "mixed", .roi = "rtstruct", .roi_phase = "pv", .phases = "nc,art,pv", .count = 1};
  struct lvn_cli_phantom_study study = {.roi_phase = LVN_PHASE_PV};
  struct lvn_error err = {0};
  lvn_phantom_options_default(&study.options);
  long processors = sysconf(_SC_NPROCESSORS_ONLN);
  study.threads = processors > 0 && processors < 64 ? (unsigned)processors : 2;
  const struct lvn_option options[] = {
      {"output", "DIR", LVN_OPTION_TEXT, &wishes.output, "folder to write to, made when missing", true, 0, 0},
      {"class",
       "cyst|fnh|hcc|hemangioma|mixed|metastasis|hypervascular-metastasis|cholangiocarcinoma|abscess|adenoma|"
       "fatty-sparing|focal-fat|perfusion-difference|cavity|normal-liver|vessel|liver-edge|spleen|gallbladder|kidney|"
       "stomach",
       LVN_OPTION_CHOICE, &wishes.lesion_class, "class of the lesions, or what else the region lies on (mixed)", false,
       0, 0},
      {"world", "FILE", LVN_OPTION_TEXT, &wishes.world,
       "ranges of patients, scanners, outlines and lesions to draw from (narrow)", false, 0, 0},
      {"seed", "N", LVN_OPTION_UINT64, &study.options.seed, "the same seed and options give the same files (1)", false,
       0, 9e15},
      {"count", "N", LVN_OPTION_UINT, &wishes.count, "studies, each in a folder of its own, seeds N, N+1, … (1)", false,
       1, 100000},
      {"lesions", "N", LVN_OPTION_UINT, &wishes.lesions, "lesions in each study (drawn)", false, 1,
       LVN_PHANTOM_LESIONS_MAX},
      {"diameter", "MM", LVN_OPTION_REAL, &wishes.diameter_mm, "diameter of every lesion (drawn, 8 to 90)", false, 4,
       120},
      {"phases", "LIST", LVN_OPTION_TEXT, &wishes.phases, "of nc, art, pv, dl (nc,art,pv)", false, 0, 0},
      {"roi", "rtstruct|seg|sr", LVN_OPTION_CHOICE, &wishes.roi, "kind of ROI object (rtstruct)", false, 0, 0},
      {"roi-phase", "nc|art|pv|dl", LVN_OPTION_CHOICE, &wishes.roi_phase, "phase that the ROI is drawn on (pv)", false,
       0, 0},
      {"matrix", "N", LVN_OPTION_UINT, &study.options.matrix, "pixels a row, 64 to 1024 (512)", false, 64, 1024},
      {"slice-thickness", "MM", LVN_OPTION_REAL, &study.options.slice_thickness_mm, "of every phase (drawn, 1 to 7)",
       false, 0.5, 10},
      {"coverage", "MM", LVN_OPTION_REAL, &study.options.coverage_mm,
       "head to foot, about the lesions (whole liver; cohort: 80)", false, 10, 600},
      {"motion", "SCALE", LVN_OPTION_REAL, &study.options.motion_scale, "breathing between phases: 0 none, 1 usual (1)",
       false, 0, 2},
      {"noise", "HU", LVN_OPTION_REAL, &study.options.noise_hu, "standard deviation in soft tissue (drawn, 8 to 20)",
       false, 0, 200},
      {"cohort", "mpct-flls", LVN_OPTION_CHOICE, &wishes.cohort,
       "85 cases with that data set's classes, slices and folds, and cases.csv", false, 0, 0},
  };
  const struct lvn_usage usage = {
      .command = "phantom",
      .summary = "Write multiphase liver CT studies of a synthetic patient, with ROI and truth.",
      .details = "Each study: one folder of CT images per phase, roi/<kind>.dcm, truth.json (classes, positions, "
                 "displacements,\nkey slices) and truth_mask_<lesion>.nrrd; beside them cases.csv, for livervlm "
                 "dataset build. Phantoms commission a site and test the "
                 "node; figures on them are\nnot clinical accuracy. A cohort of 512 x 512 pixels takes about 2 GB.",
      .examples = "livervlm phantom --output study --class hcc --diameter 30\n"
                  "livervlm phantom --output studies --count 5 --seed 100 --matrix 256",
      .options = options,
      .option_count = sizeof options / sizeof options[0]};
  int first = 0;
  int code = lvn_options_parse(argc, argv, &usage, &first);
  if (code != LVN_OPTIONS_RUN) {
    return code;
  }
  if (!fill_study(&wishes, &study)) {
    return lvn_options_complain(&usage, "--phases '%s' is not a list of nc, art, pv, dl", wishes.phases);
  }
  if (wishes.world != NULL && !lvn_phantom_world_read(wishes.world, &study.options.world, &err)) {
    return lvn_options_refuse(usage.command, &err);
  }
  if (wishes.cohort != NULL) {
    study.options.coverage_mm = study.options.coverage_mm > 0.0 ? study.options.coverage_mm : 80.0;
  }
  bool good = wishes.cohort != NULL ? lvn_cli_phantom_cohort_write(wishes.output, &study, &err)
                                    : write_studies_and_list(&wishes, &study, &err);
  return good ? LVN_EXIT_OK : lvn_options_fail(usage.command, &err);
}
