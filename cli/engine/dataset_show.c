/* livervlm dataset show: what a data set holds, and what is wrong with it. */
#include "analysis/dataset/sheet.h"
#include "base/memory.h"
#include "cli/engine/commands.h"
#include "cli/options.h"
#include "model/dataset/dataset_audit.h"

#include <stdio.h>
#include <string.h>

#include <jansson.h>

static void print_counts(const struct lvn_dataset *dataset, const struct lvn_dataset_audit *audit) {
  char digest[LVN_SHA256_TEXT_BYTES];
  size_t total = lvn_dataset_count(dataset);
  lvn_sha256_to_text(lvn_dataset_sha256(dataset), digest);
  (void)printf("source   %s\nmanifest %s\n%zu lesions of %zu patients\n\n", lvn_dataset_source(dataset), digest, total,
               audit->patient_count);
  (void)printf("class       lesions  share  patients  slices");
  for (size_t f = 0; f < audit->fold_count; f++) {
    (void)printf("  fold %u", audit->folds[f]);
  }
  (void)printf("\n");
  for (int c = 0; c < LVN_DATASET_LABEL_COUNT; c++) {
    if (c >= LVN_CLASS_PAPER_COUNT && audit->lesions[c] == 0) {
      continue;
    }
    (void)printf("%-10s  %7zu  %4.0f%%  %8zu  %6zu", lvn_class_name((enum lvn_class)c), audit->lesions[c],
                 total == 0 ? 0.0 : 100.0 * (double)audit->lesions[c] / (double)total, audit->patients[c],
                 audit->slices[c]);
    for (size_t f = 0; f < audit->fold_count; f++) {
      (void)printf("  %6zu", audit->by_fold[f][c]);
    }
    (void)printf("\n");
  }
}

static void print_findings(const struct lvn_dataset *dataset, const struct lvn_dataset_audit *audit) {
  for (int c = 0; c < LVN_CLASS_PAPER_COUNT; c++) {
    if (audit->lesions[c] == 0) {
      (void)printf("note: no lesion is %s\n", lvn_class_name((enum lvn_class)c));
    }
  }
  for (size_t i = 0; i < audit->finding_count; i++) {
    const struct lvn_dataset_finding *finding = &audit->findings[i];
    const struct lvn_dataset_lesion *first = lvn_dataset_get(dataset, finding->first);
    const struct lvn_dataset_lesion *second = lvn_dataset_get(dataset, finding->second);
    (void)printf("%s: %s (fold %u) and %s (fold %u)%s\n", lvn_dataset_finding_name(finding->kind), first->lesion_id,
                 first->fold, second->lesion_id, second->fold, finding->is_leak ? ": LEAK" : "");
  }
  (void)printf("\n%zu doubtful pairs, %zu of them leaks between folds\n", audit->finding_count, audit->leak_count);
}

static json_t *count_json(const size_t counts[LVN_DATASET_LABEL_COUNT]) {
  json_t *object = json_object();
  for (int c = 0; c < LVN_DATASET_LABEL_COUNT; c++) {
    if (c >= LVN_CLASS_PAPER_COUNT && c != LVN_CLASS_OUTLIER && counts[c] == 0) {
      continue;
    }
    (void)json_object_set_new(object, lvn_class_name((enum lvn_class)c), json_integer((json_int_t)counts[c]));
  }
  return object;
}

static void print_json(const struct lvn_dataset *dataset, const struct lvn_dataset_audit *audit) {
  char digest[LVN_SHA256_TEXT_BYTES];
  json_t *folds = json_array();
  json_t *findings = json_array();
  lvn_sha256_to_text(lvn_dataset_sha256(dataset), digest);
  for (size_t f = 0; f < audit->fold_count; f++) {
    (void)json_array_append_new(
        folds, json_pack("{s:i,s:o}", "fold", (int)audit->folds[f], "lesions", count_json(audit->by_fold[f])));
  }
  for (size_t i = 0; i < audit->finding_count; i++) {
    const struct lvn_dataset_finding *finding = &audit->findings[i];
    (void)json_array_append_new(
        findings, json_pack("{s:s,s:s,s:s,s:b}", "kind", lvn_dataset_finding_name(finding->kind), "first",
                            lvn_dataset_get(dataset, finding->first)->lesion_id, "second",
                            lvn_dataset_get(dataset, finding->second)->lesion_id, "leak", finding->is_leak));
  }
  json_t *root =
      json_pack("{s:s,s:s,s:I,s:I,s:o,s:o,s:o,s:o,s:o}", "source", lvn_dataset_source(dataset), "manifest_sha256",
                digest, "lesions", (json_int_t)lvn_dataset_count(dataset), "patients", (json_int_t)audit->patient_count,
                "lesions_by_class", count_json(audit->lesions), "patients_by_class", count_json(audit->patients),
                "slices_by_class", count_json(audit->slices), "folds", folds, "findings", findings);
  (void)json_dumpf(root, stdout, JSON_INDENT(2));
  (void)printf("\n");
  json_decref(root);
}

static bool verify(const struct lvn_dataset *dataset, struct lvn_error *err) {
  for (size_t i = 0; i < lvn_dataset_count(dataset); i++) {
    struct lvn_crop crop = {0};
    if (!lvn_dataset_load(dataset, i, &crop, err)) {
      return false;
    }
    lvn_crop_clear(&crop);
  }
  return true;
}

struct wishes {
  const char *sheet;
  unsigned per_class;
  bool verify;
  bool json;
};

/* 1 when something is wrong with the data set. */
static bool show(const char *const *folders, size_t count, const struct wishes *wishes, int *ret_code,
                 struct lvn_error *err) {
  struct lvn_dataset *dataset = NULL;
  struct lvn_dataset_audit audit = {0};
  bool good = lvn_dataset_open_all(folders, count, &dataset, err) && lvn_dataset_audit_run(dataset, &audit, err) &&
              (!wishes->verify || verify(dataset, err)) &&
              (wishes->sheet == NULL || lvn_dataset_sheet(dataset, wishes->per_class, wishes->sheet, err));
  if (good && wishes->json) {
    print_json(dataset, &audit);
  } else if (good) {
    print_counts(dataset, &audit);
    print_findings(dataset, &audit);
    (void)printf("%s", wishes->verify ? "all files agree with the manifest\n" : "");
  }
  *ret_code = audit.finding_count > 0 ? LVN_EXIT_FAILED : LVN_EXIT_OK;
  lvn_dataset_audit_clear(&audit);
  lvn_dataset_close(dataset);
  return good;
}

int lvn_cli_dataset_show(int argc, char **argv) {
  struct wishes wishes = {.per_class = 4};
  struct lvn_error err = {0};
  const struct lvn_option options[] = {
      {"verify", NULL, LVN_OPTION_FLAG, &wishes.verify, "read every lesion and check its SHA-256", false, 0, 0},
      {"sheet", "PNG", LVN_OPTION_TEXT, &wishes.sheet, "draw a contact sheet: a row for each class, NC, ART, PV", false,
       0, 0},
      {"per-class", "N", LVN_OPTION_UINT, &wishes.per_class, "lesions of each class on the sheet (4)", false, 1, 16},
      {"json", NULL, LVN_OPTION_FLAG, &wishes.json, "print as JSON", false, 0, 0},
  };
  const struct lvn_usage usage = {
      .command = "dataset show",
      .arguments = "DIR [DIR …]",
      .summary = "Say what data sets hold, together: classes, folds, doubles, leaks between folds.",
      .details = "Exit status 1: a patient is in two folds, a lesion is there twice, or an image under two patients.",
      .examples = "livervlm dataset show set\n"
                  "livervlm dataset show training test  do they share a patient?",
      .options = options,
      .option_count = sizeof options / sizeof options[0],
      .arguments_min = 1,
      .arguments_max = 64};
  int first = 0;
  int code = lvn_options_parse(argc, argv, &usage, &first);
  if (code != LVN_OPTIONS_RUN) {
    return code;
  }
  return show((const char *const *)argv + first, (size_t)(argc - first), &wishes, &code, &err)
             ? code
             : lvn_options_fail(usage.command, &err);
}
