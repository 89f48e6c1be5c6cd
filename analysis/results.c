#include "analysis/results.h"

#include "base/clock.h"
#include "dicom/write/result.h"

const struct lvn_result_writer lvn_result_writers[] = {
    {.name = "secondary captures", .when_done_only = true, .write = lvn_result_write_captures},
    {.name = "report", .when_done_only = true, .write = lvn_result_write_report},
    {.name = "analysis.json", .write = lvn_result_write_analysis},
    {.name = "shadow.json", .when_done_only = true, .write = lvn_result_write_shadow},
};
const size_t lvn_result_writer_count = sizeof lvn_result_writers / sizeof lvn_result_writers[0];

bool lvn_results_write(const struct lvn_result_writer *writers, size_t writer_count, struct lvn_findings *findings,
                       const struct lvn_result_request *request, struct lvn_error *err) {
  for (size_t i = 0; i < writer_count; i++) {
    double since = lvn_clock_monotonic_seconds();
    if (writers[i].when_done_only && findings->outcome != LVN_ANALYSIS_DONE) {
      continue;
    }
    if (!writers[i].write(findings, request, err)) {
      return lvn_error_prefix(err, "%s", writers[i].name);
    }
    findings->timings.write += lvn_clock_monotonic_seconds() - since;
  }
  return true;
}
