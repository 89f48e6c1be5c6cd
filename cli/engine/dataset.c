/* livervlm dataset: makes and shows training sets. */
#include "cli/engine/commands.h"
#include "cli/options.h"
#include "cli/progress.h"
#include "model/cohort/phantom_dataset.h"

#include <stdio.h>
#include <string.h>

static struct lvn_progress progress;

static void show_progress(size_t done, size_t total) {
  lvn_progress_show(&progress, done, total, NULL);
}

static int dataset_phantom(int argc, char **argv) {
  struct lvn_phantom_dataset_options make;
  struct lvn_phantom_dataset_summary summary = {0};
  struct lvn_error err = {0};
  lvn_phantom_dataset_options_default(&make);
  unsigned count = (unsigned)make.phantom_count;
  unsigned lesions = (unsigned)make.lesions_per_phantom;
  const char *alignment = "estimated";
  const char *world = NULL;
  const struct lvn_option options[] = {
      {"output", "DIR", LVN_OPTION_TEXT, &make.folder, "folder of the data set; must not hold one", true, 0, 0},
      {"seed", "N", LVN_OPTION_UINT64, &make.first_seed, "seed of the first phantom (1)", false, 0, 0},
      {"count", "N", LVN_OPTION_UINT, &count, "number of phantoms, seeds follow one another (20)", false, 1, 1e6},
      {"lesions", "N", LVN_OPTION_UINT, &lesions, "lesions in each phantom, classes in turn (4)", false, 1, 12},
      {"slices", "N", LVN_OPTION_UINT, &make.max_slices, "slices of each lesion at most (3)", false, 1, 64},
      {"threads", "N", LVN_OPTION_UINT, &make.threads, "phantoms made at a time (1)", false, 1, 64},
      {"matrix", "N", LVN_OPTION_UINT, &make.matrix, "256 or 512 pixels a row (drawn)", false, 1, 512},
      {"alignment", "estimated|truth|none", LVN_OPTION_CHOICE, &alignment,
       "find the alignment as the node does (default), take the truth give or take --alignment-error, or none", false,
       0, 0},
      {"alignment-error", "MM", LVN_OPTION_REAL, &make.alignment_error_mm,
       "standard deviation along each axis with --alignment truth (1)", false, 0, 50},
      {"world", "FILE", LVN_OPTION_TEXT, &world,
       "ranges of patients, scanners, outlines and lesions to draw from, and shares of what is no class (narrow)",
       false, 0, 0},
      {"delayed", NULL, LVN_OPTION_FLAG, &make.delayed,
       "store the delayed phase, too, for recipes with augmentation.fourth_phase", false, 0, 0},
  };
  const struct lvn_usage usage = {.command = "dataset phantom",
                                  .summary = "Make a data set of synthetic lesions by the node's own alignment and "
                                             "crop, without DICOM files.",
                                  .examples = "livervlm dataset phantom --output set --count 40",
                                  .options = options,
                                  .option_count = sizeof options / sizeof options[0]};
  int first = 0;
  int code = lvn_options_parse(argc, argv, &usage, &first);
  if (code != LVN_OPTIONS_RUN) {
    return code;
  }
  if (world != NULL && !lvn_phantom_world_read(world, &make.world, &err)) {
    return lvn_options_refuse(usage.command, &err);
  }
  make.phantom_count = count;
  make.alignment = strcmp(alignment, "estimated") == 0 ? LVN_ALIGN_ESTIMATED
                   : strcmp(alignment, "truth") == 0   ? LVN_ALIGN_TRUTH
                                                       : LVN_ALIGN_NONE;
  make.lesions_per_phantom = lesions;
  progress = lvn_progress_begin(usage.command, "phantoms");
  if (!lvn_phantom_dataset_make(&make, show_progress, &summary, &err)) {
    lvn_progress_end(&progress);
    return lvn_options_fail(usage.command, &err);
  }
  (void)printf("%zu lesions; left out: %zu not aligned, %zu without a voxel\n", summary.lesion_count,
               summary.unusable_count, summary.maskless_count);
  if (make.delayed) {
    (void)printf("%zu with the delayed phase\n", summary.delayed_count);
  }
  (void)printf("seconds: phantoms %.1f, alignment %.1f, crops %.1f\n", summary.phantom_seconds,
               summary.registration_seconds, summary.crop_seconds);
  return LVN_EXIT_OK;
}

int lvn_cli_dataset(int argc, char **argv) {
  static const struct lvn_options_member members[] = {
      {"build", lvn_cli_dataset_build, "make one of DICOM cases"},
      {"phantom", dataset_phantom, "make one of synthetic lesions"},
      {"show", lvn_cli_dataset_show, "say what one holds, and what is wrong"},
      {NULL, NULL, NULL}};
  return lvn_options_group(argc, argv, "Make and show training sets.", members);
}
