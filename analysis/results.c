#include "analysis/results.h"

#include "base/clock.h"
#include "dicom/write/result.h"

#include <string.h>

const struct lvn_result_writer lvn_result_writers[] = {
    {"secondary captures", "sc", false, true, lvn_result_write_captures},
    {"segmentation", "seg", true, true, lvn_result_write_segmentations},
    {"segmentation of the other phases", "seg_phases", true, true, lvn_result_write_phase_segmentations},
    {"presentation state", "gsps", true, true, lvn_result_write_presentations},
    {"parametric map", "pmap", true, true, lvn_result_write_maps},
    {"PDF document", "pdf", true, true, lvn_result_write_pdf},
    {"report", "sr", false, true, lvn_result_write_report},
    {"key object selection", "kos", true, true, lvn_result_write_key_objects},
    {.name = "analysis.json", .write = lvn_result_write_analysis},
    {.name = "shadow.json", .when_done_only = true, .write = lvn_result_write_shadow},
};
const size_t lvn_result_writer_count = sizeof lvn_result_writers / sizeof lvn_result_writers[0];

bool lvn_results_check_kinds(const char *kinds, struct lvn_error *err) {
  const char *at = kinds != NULL ? kinds : "";
  while (*(at += strspn(at, ", ")) != '\0') {
    size_t word = strcspn(at, ", ");
    bool is_known = false;
    for (size_t i = 0; i < lvn_result_writer_count; i++) {
      const char *kind = lvn_result_writers[i].kind;
      is_known = is_known || (kind != NULL && strlen(kind) == word && strncmp(at, kind, word) == 0);
    }
    if (!is_known) {
      return lvn_error_set(err, LVN_ERROR_USAGE, "'%.*s' is no kind of result object", (int)word, at);
    }
    at += word;
  }
  return true;
}

/* A study is not without an answer because a further object of it cannot be made; what is no fault of the object (a
 * full disk) stops the analysis as ever, and is tried again. */
static bool leave_out(const struct lvn_result_writer *writer, struct lvn_findings *findings, struct lvn_error *err) {
  if (!writer->is_further || (err->code != LVN_ERROR_INTERNAL && err->code != LVN_ERROR_DATA)) {
    return false;
  }
  lvn_findings_leave_out(findings, writer->name, err->message);
  *err = (struct lvn_error){0};
  return true;
}

bool lvn_results_write(const struct lvn_result_writer *writers, size_t writer_count, struct lvn_findings *findings,
                       const struct lvn_result_request *request, struct lvn_error *err) {
  for (size_t i = 0; i < writer_count; i++) {
    double since = lvn_clock_monotonic_seconds();
    if (writers[i].when_done_only && findings->outcome != LVN_ANALYSIS_DONE) {
      continue;
    }
    if (writers[i].kind != NULL && !lvn_result_is_wanted(request, writers[i].kind)) {
      continue;
    }
    if (!writers[i].write(findings, request, err) && !leave_out(&writers[i], findings, err)) {
      return lvn_error_prefix(err, "%s", writers[i].name);
    }
    findings->timings.write += lvn_clock_monotonic_seconds() - since;
  }
  return true;
}
