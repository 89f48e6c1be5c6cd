#include "model/report/report.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/memory.h"
#include "model/report/markup.h"
#include "model/report/report_parts.h"
#include "model/tensor/json.h"

#include <errno.h>
#include <math.h>
#include <string.h>

/* Light and dark by the reader's system; narrow pages scroll their tables, not themselves. The plots are drawn on
 * white: in the dark they are turned, colours kept. */
static const char style[] =
    ":root{color-scheme:light dark;--text:#222;--ground:#fff;--quiet:#555;--line:#ccc;--strong:#888;"
    "--box:#f6f6f6;--warn:#fdf1e8}"
    "@media (prefers-color-scheme:dark){:root{--text:#e4e4e4;--ground:#161616;--quiet:#aaa;--line:#444;--strong:#888;"
    "--box:#222;--warn:#3a2412}.plots img{filter:invert(.92) hue-rotate(180deg)}}"
    "body{font:15px/1.45 \"DejaVu Sans\",Arial,sans-serif;color:var(--text);background:var(--ground);max-width:1000px;"
    "margin:24px auto;padding:0 20px}"
    "h1{font-size:24px;margin:0 0 6px}h2{font-size:19px;margin:36px 0 10px;border-bottom:1px solid var(--line)}"
    "h3{font-size:16px;margin:24px 0 8px}"
    "table{border-collapse:collapse;margin:14px 0;font-size:14px}caption{text-align:left;font-weight:bold;"
    "padding:4px 0}th,td{border-bottom:1px solid var(--line);padding:4px 12px 4px "
    "0;text-align:right;vertical-align:top;white-space:nowrap}"
    "th[scope=row],thead th:first-child{text-align:left}th[scope=row]{font-weight:normal;white-space:normal}thead "
    "th{border-bottom:1px solid var(--strong)}"
    "td:last-child,th:last-child{padding-right:0}"
    ".wide td,.wide th{text-align:left;overflow-wrap:anywhere;white-space:normal}"
    ".notice{border-left:6px solid #d55e00;background:var(--warn);padding:10px 14px;margin:14px 0}"
    ".note{color:var(--quiet);font-size:13.5px;max-width:72ch}"
    ".plots{display:flex;flex-wrap:wrap;gap:18px}figure{margin:0 0 14px;max-width:100%}.plots img{max-width:100%;"
    "height:auto}"
    ".case img{width:100%;max-width:760px;height:auto}figcaption{font-size:13.5px}"
    ".cards{display:flex;flex-wrap:wrap;gap:14px;margin:16px 0}.card{border:1px solid var(--line);padding:10px 12px;"
    "flex:1 1 150px}.card b{display:block;font-size:24px}.card span{font-size:13px;color:var(--quiet)}"
    "pre{white-space:pre-wrap;overflow-wrap:anywhere;font-size:12.5px;background:var(--box);padding:10px}"
    "@media (max-width:760px){body{padding:0 12px}table{display:block;overflow-x:auto;max-width:100%}}"
    "@media print{:root{color-scheme:light;--text:#000;--ground:#fff;--quiet:#333;--line:#aaa;--box:#fff;--warn:#fff}"
    ".plots "
    "img{filter:none}body{max-width:none;margin:0;padding:0;font-size:10pt}figure,table,.card{break-inside:avoid}"
    "h2,h3,caption{break-after:avoid}}";

static bool mentions_phantom(const char *text) {
  return strcasestr(text, "phantom") != NULL || strcasestr(text, "synthetic") != NULL;
}

static void put_phantom_notice(FILE *stream, const struct lvn_evaluation_subject *subject) {
  bool data = mentions_phantom(lvn_dataset_source(subject->dataset));
  bool model = mentions_phantom(subject->packages[0].trained_on);
  if (data) {
    (void)fputs("<p class=\"notice\"><strong>These are figures on synthetic phantoms, not on patients.</strong> They "
                "show that the program works; they say nothing about accuracy in a clinic.</p>\n",
                stream);
  }
  if (model) {
    (void)fputs("<p class=\"notice\"><strong>The model was trained on synthetic phantoms.</strong> It has never seen "
                "patient data."
                "</p>\n",
                stream);
  }
}

static void put_card(FILE *stream, const char *name, double value, struct lvn_interval interval) {
  char number[LVN_MARKUP_NUMBER_BYTES];
  (void)fprintf(stream, "<div class=\"card\"><span>%s</span><b>%s</b><span>", name, lvn_markup_number(value, number));
  if (isfinite(interval.low) && isfinite(interval.high)) {
    (void)fprintf(stream, "95 %%: %.3f to %.3f", interval.low, interval.high);
  }
  (void)fputs("</span></div>\n", stream);
}

static void put_cards(FILE *stream, const struct lvn_evaluation *e) {
  const struct lvn_level_result *lesion = &e->level[LVN_LEVEL_LESION];
  const struct lvn_figure_intervals *boot = &lesion->bootstrap;
  const struct lvn_interval none = {NAN, NAN};
  (void)fputs("<div class=\"cards\">\n", stream);
  put_card(stream, "Accuracy per lesion", lesion->figures.accuracy,
           (struct lvn_interval){boot->low.accuracy, boot->high.accuracy});
  put_card(stream, "Balanced accuracy", lesion->figures.balanced_accuracy,
           (struct lvn_interval){boot->low.balanced_accuracy, boot->high.balanced_accuracy});
  put_card(stream, "Macro AUC", lesion->figures.macro_auc,
           (struct lvn_interval){boot->low.macro_auc, boot->high.macro_auc});
  put_card(stream, "Calibration error", lesion->ece, none);
  put_card(stream, "Accuracy of those answered", e->accuracy_answered, e->accuracy_answered_wilson);
  (void)fputs("</div>\n", stream);
}

void lvn_report_head(FILE *stream, const struct lvn_evaluation_subject *subject) {
  const struct lvn_evaluation *e = subject->evaluation;
  char now[LVN_TIME_TEXT_BYTES];
  char names[LVN_CLASSES_TEXT_BYTES];
  lvn_classes_format(e->classes, names);
  lvn_clock_format_utc(lvn_clock_wall_ms(), now);
  (void)fputs("<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
              "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; img-src data:; "
              "style-src 'unsafe-inline'\">\n"
              "<meta name=\"viewport\" content=\"width=device-width\">\n<title>Evaluation of ",
              stream);
  lvn_markup_text(stream, subject->packages[0].name);
  (void)fprintf(stream, "</title>\n<style>%s</style></head><body>\n<h1>Evaluation of ", style);
  lvn_markup_text(stream, subject->packages[0].name);
  (void)fputc(' ', stream);
  lvn_markup_text(stream, subject->packages[0].version);
  (void)fprintf(stream, "</h1>\n<p>%zu lesions of %zu patients, %zu slices; %s. Made %s.", e->level[1].count,
                e->patient_count, e->level[0].count,
                subject->packages[0].manifest == NULL ? "answers of a cross-validation, which keeps no models"
                : subject->package_count > 1          ? "cross-validation, one model per fold"
                                                      : "one model",
                now);
  (void)fputs(" Data: ", stream);
  lvn_markup_text(stream, lvn_dataset_source(subject->dataset));
  (void)fprintf(stream,
                ".</p>\n<p class=\"notice\"><strong>%s</strong> The model knows these classes only: %s; other "
                "lesions are outside them.</p>\n",
                LVN_RESEARCH_NOTICE, names);
  put_phantom_notice(stream, subject);
  put_cards(stream, e);
}

static void put_fact(FILE *stream, const char *name, const char *value) {
  const char *cells[2] = {name, value};
  lvn_markup_row(stream, cells, 2);
}

static void put_model_facts(FILE *stream, const struct lvn_package *package) {
  const json_t *training = json_object_get(package->manifest, "training");
  const char *libtorch = json_string_value(json_object_get(training, "libtorch"));
  const char *data = json_string_value(json_object_get(training, "data_manifest_sha256"));
  const char *created = json_string_value(json_object_get(package->manifest, "created"));
  char digest[LVN_SHA256_TEXT_BYTES];
  char value[LVN_PATH_BYTES];
  lvn_sha256_to_text(package->manifest_sha256, digest);
  (void)snprintf(value, sizeof value, "%s %s", package->name, package->version);
  put_fact(stream, "Model", value);
  if (package->manifest == NULL) {
    put_fact(stream, "Manifest, SHA-256", "none: the answers are not those of a package");
    return;
  }
  put_fact(stream, "Manifest, SHA-256", digest);
  put_fact(stream, "Made", created == NULL ? "not recorded" : created);
  put_fact(stream, "Trained on", package->trained_on);
  put_fact(stream, "Training data's manifests, SHA-256", data == NULL ? "not recorded" : data);
  put_fact(stream, "libtorch", libtorch == NULL ? "not recorded" : libtorch);
  (void)snprintf(value, sizeof value, "%.4f (scale %.3g)", package->recipe.temperature, package->recipe.scale);
  put_fact(stream, "Temperature", value);
}

void lvn_report_provenance(FILE *stream, const struct lvn_evaluation_subject *subject) {
  static const char *const headings[] = {"What", "Which"};
  char digest[LVN_SHA256_TEXT_BYTES];
  char value[128];
  const char *recipe =
      json_string_value(json_object_get(json_object_get(subject->packages[0].manifest, "training"), "recipe"));
  (void)fputs("<h2>Where the figures come from</h2>\n<div class=\"wide\">\n", stream);
  lvn_markup_table(stream, "Provenance", headings, 2);
  for (size_t i = 0; i < subject->package_count; i++) {
    put_model_facts(stream, &subject->packages[i]);
  }
  lvn_sha256_to_text(lvn_dataset_sha256(subject->dataset), digest);
  put_fact(stream, "Data set", lvn_dataset_source(subject->dataset));
  put_fact(stream, "Data set's manifest, SHA-256", digest);
  (void)snprintf(value, sizeof value, "%zu resamples of patients, seed %llu", subject->evaluation->options.resamples,
                 (unsigned long long)subject->evaluation->options.seed);
  put_fact(stream, "Bootstrap", value);
  put_fact(stream, "Device", subject->device);
  put_fact(stream, "Phase orders", subject->permutation_ensemble ? "mean of all six" : "NC, ART, PV");
  lvn_markup_table_end(stream);
  (void)fputs("</div>\n<h3>Recipe of the training</h3>\n", stream);
  if (recipe == NULL) {
    (void)fputs("<p>The package does not hold it.</p>\n", stream);
    return;
  }
  (void)fputs("<pre>", stream);
  lvn_markup_text(stream, recipe);
  (void)fputs("</pre>\n", stream);
}

static bool put_page(FILE *stream, const struct lvn_evaluation_subject *subject, struct lvn_error *err) {
  lvn_report_head(stream, subject);
  if (!lvn_report_plots(stream, subject, err)) {
    return false;
  }
  lvn_report_tables(stream, subject);
  lvn_report_uncertainty_tables(stream, subject);
  if (!lvn_report_training(stream, &subject->packages[0], err) || !lvn_report_cases(stream, subject, err)) {
    return false;
  }
  lvn_report_provenance(stream, subject);
  (void)fputs("</body></html>\n", stream);
  return true;
}

bool lvn_report_write(const struct lvn_evaluation_subject *subject, const char *folder, struct lvn_error *err) {
  char path[LVN_PATH_BYTES];
  LVN_AUTOFREE char *page = NULL;
  size_t bytes = 0;
  FILE *stream = open_memstream(&page, &bytes);
  if (stream == NULL) {
    return lvn_error_set_errno(err, errno, "%s", LVN_REPORT_FILE);
  }
  bool good = put_page(stream, subject, err);
  if (fclose(stream) != 0 && good) {
    good = lvn_error_set_errno(err, errno, "%s", LVN_REPORT_FILE);
  }
  return good && lvn_path_join(path, folder, LVN_REPORT_FILE, err) && lvn_file_replace(path, page, bytes, 0644, err);
}
