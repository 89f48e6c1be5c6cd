/* Results of a whole analysis of a phantom, and that a further one is a row and nothing else. */
#include "analysis/analysis.h"
#include "analysis/results.h"
#include "base/file.h"
#include "base/memory.h"
#include "dicom/write/phantom_objects.h"
#include "model/phantom/phantom.h"
#include "model/tensor/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "tests/unit/scratch.h"

#define FILES_MAX 200U
#define LESIONS 2

static char input[SCRATCH_BYTES];
static struct lvn_file_names files;
static struct lvn_classifier *classifier;
static struct lvn_classifier *second;
static const char *objects; /* kinds that are asked for; NULL: the usual ones */

/* ---- a phantom study in `input` ---- */

static const struct lvn_write_study study = {"2.25.1", "2.25.2", "PHANTOM-1", "Phantom^Seed 1",
                                             "1",      "A1",     "20250101",  "080000"};

static void write_phase(const struct lvn_phantom *phantom, int phase, char (*ret_uids)[LVN_UID_BYTES]) {
  static const char *const descriptions[] = {"Liver without contrast", "Arterial phase", "Portal venous"};
  static const char *const times[] = {"080500", "081035", "081110"};
  static const char *const uids[] = {"2.25.10", "2.25.11", "2.25.12"};
  struct lvn_error err = {0};
  char folder[LVN_PATH_BYTES];
  bool has_agent = phase != LVN_PHASE_NC;
  const struct lvn_write_series series = {.series_instance_uid = uids[phase],
                                          .uid_seed = uids[phase],
                                          .series_number = 2 + phase,
                                          .series_description = descriptions[phase],
                                          .protocol_name = "Liver",
                                          .acquisition_time = times[phase],
                                          .contrast_agent = has_agent ? "Iohexol 350" : NULL,
                                          .contrast_start_time = has_agent ? "081000" : NULL,
                                          .slice_thickness_mm = phantom->slice_thickness_mm[phase],
                                          .kernel = "B30f"};
  (void)snprintf(folder, sizeof folder, "%s/%d", input, phase);
  assert_true(lvn_file_make_folder(folder, 0700, &err));
  assert_true(lvn_write_ct_series(folder, &study, &series, &phantom->volume[phase], ret_uids, &err));
}

static void write_regions(const struct lvn_phantom *phantom, const char (*uids)[LVN_UID_BYTES]) {
  static const char *const labels[LESIONS] = {"Lesion 1", "Lesion 2"};
  static const char *const tracking[LESIONS] = {"2.25.21", "2.25.22"};
  const struct lvn_write_roi_target target = {"2.25.12", uids, &phantom->volume[LVN_PHASE_PV].grid};
  struct lvn_write_roi rois[LESIONS];
  struct lvn_error err = {0};
  char path[LVN_PATH_BYTES];
  for (size_t i = 0; i < LESIONS; i++) {
    rois[i] = (struct lvn_write_roi){labels[i], tracking[i], &phantom->lesions[i].mask[LVN_PHASE_PV]};
  }
  (void)snprintf(path, sizeof path, "%s/roi.dcm", input);
  assert_true(lvn_write_roi_seg(path, &study, &target, rois, LESIONS, &err));
}

static int setup(void **state) {
  const struct lvn_classifier_options options = {
      .package_folder = LVN_PACKAGES "/demo-phantom-2.0.0", .device = "cpu", .threads = 1};
  struct lvn_error err = {0};
  struct lvn_phantom_options wanted;
  struct lvn_phantom *phantom = lvn_alloc(1, sizeof *phantom, &err);
  char uids[FILES_MAX][LVN_UID_BYTES];
  (void)state;
  assert_non_null(phantom);
  (void)scratch_make(input);
  lvn_phantom_options_default(&wanted);
  wanted.seed = 41;
  wanted.has_phase[LVN_PHASE_DL] = false;
  wanted.matrix = 128;
  wanted.slice_thickness_mm = 5.0;
  wanted.coverage_mm = 80.0;
  wanted.lesion_count = LESIONS;
  for (size_t i = 0; i < LESIONS; i++) {
    wanted.lesion_class[i] = LVN_CLASS_HCC;
    wanted.lesion_diameter_mm[i] = 25.0;
  }
  assert_true(lvn_phantom_make(&wanted, 1, phantom, &err));
  for (int phase = 0; phase < LVN_PHASE_NETWORK_COUNT; phase++) {
    assert_true(phantom->volume[phase].grid.size[2] <= FILES_MAX);
    write_phase(phantom, phase, uids); /* the ROI's phase is the last */
  }
  write_regions(phantom, (const char(*)[LVN_UID_BYTES])uids);
  lvn_phantom_clear(phantom);
  lvn_free(phantom);
  assert_true(lvn_file_walk(input, FILES_MAX, &files, &err));
  assert_true(lvn_classifier_open(&options, &classifier, &err));
  assert_true(lvn_classifier_open(&options, &second, &err));
  return 0;
}

static int teardown(void **state) {
  (void)state;
  lvn_classifier_close(classifier);
  lvn_classifier_close(second);
  lvn_file_names_clear(&files);
  return 0;
}

/* ---- a writer of JSON lines, as anybody might add one ---- */

static bool write_lines(struct lvn_findings *findings, const struct lvn_result_request *request,
                        struct lvn_error *err) {
  char path[LVN_PATH_BYTES];
  if (!lvn_path_join(path, request->folder, "lesions.jsonl", err)) {
    return false;
  }
  FILE *file = fopen(path, "we");
  for (size_t i = 0; file != NULL && i < findings->lesion_count; i++) {
    const struct lvn_findings_lesion *lesion = &findings->lesions[i];
    LVN_CLEANUP(lvn_json_cleanup)
    json_t *line =
        json_pack("{s:s,s:s,s:f,s:f,s:f,s:i,s:b,s:i}", "tracking_uid", lesion->tracking_uid, "top_class",
                  lvn_class_name(lesion->prediction.top_class), "probability",
                  lesion->prediction.probability[lesion->prediction.top_class], "long_axis_mm", lesion->long_axis_mm,
                  "arterial_hu", lesion->phases[LVN_PHASE_ART].mean_hu, "reference_series",
                  findings->series[lesion->phases[LVN_PHASE_PV].series].series_number, "is_drawn_on_pv",
                  lesion->phases[LVN_PHASE_PV].is_reference, "objects", (int)findings->object_count);
    (void)json_dumpf(line, file, JSON_COMPACT);
    (void)fputc('\n', file);
  }
  return file != NULL && fclose(file) == 0;
}

static const struct lvn_result_writer lines_writer = {
    .name = "JSON lines", .when_done_only = true, .write = write_lines};

static void analyse(const char *folder, size_t path_count, struct lvn_classifier *shadow,
                    struct lvn_analysis_result *ret_result) {
  const struct lvn_analysis_request request = {.paths = (const char *const *)files.names,
                                               .path_count = path_count,
                                               .output_folder = folder,
                                               .job_key = "job",
                                               .wall_ms = 1795320000000,
                                               .ae_title = "LIVERVLM",
                                               .station_name = "test",
                                               .objects = objects,
                                               .shadow = shadow,
                                               .more_writers = &lines_writer,
                                               .more_writer_count = 1};
  struct lvn_error err = {0};
  if (!lvn_analysis_run(classifier, &request, ret_result, &err)) {
    fail_msg("%s", err.message);
  }
}

static json_t *read_json(const char *folder, const char *name) {
  char path[LVN_PATH_BYTES];
  struct lvn_error err = {0};
  assert_true(lvn_path_join(path, folder, name, &err));
  json_t *value = lvn_json_read(path, 1U << 20, &err);
  assert_non_null(value);
  return value;
}

static bool is_there(const char *folder, const char *name) {
  char path[LVN_PATH_BYTES];
  struct lvn_error err = {0};
  return lvn_path_join(path, folder, name, &err) && lvn_file_exists(path);
}

static const char *string_of(const json_t *object, const char *name) {
  return json_string_value(json_object_get(object, name));
}

static void test_results__a_row_writes_json_lines(void **state) {
  char folder[SCRATCH_BYTES];
  char path[LVN_PATH_BYTES];
  char line[1024];
  struct lvn_error err = {0};
  (void)state;
  LVN_AUTOFREE struct lvn_analysis_result *result = lvn_alloc(1, sizeof *result, &err);
  analyse(scratch_make(folder), files.count, NULL, result);
  assert_int_equal(result->outcome, LVN_ANALYSIS_DONE);
  assert_int_equal(result->object_count, LESIONS + 1);
  LVN_CLEANUP(lvn_json_cleanup) json_t *analysis = read_json(folder, "analysis.json");
  assert_int_equal(json_array_size(json_object_get(analysis, "objects")), LESIONS + 1);
  assert_true(lvn_path_join(path, folder, "lesions.jsonl", &err));
  FILE *file = fopen(path, "re");
  assert_non_null(file);
  for (size_t i = 0; i < LESIONS; i++) {
    const json_t *lesion = json_array_get(json_object_get(analysis, "lesions"), i);
    const json_t *prediction = json_object_get(lesion, "prediction");
    assert_non_null(fgets(line, sizeof line, file));
    LVN_CLEANUP(lvn_json_cleanup) json_t *found = json_loads(line, 0, NULL);
    assert_string_equal(string_of(found, "tracking_uid"), i == 0 ? "2.25.21" : "2.25.22");
    assert_string_equal(string_of(found, "tracking_uid"), string_of(lesion, "tracking_uid"));
    assert_string_equal(string_of(found, "top_class"), string_of(prediction, "top_class"));
    assert_float_equal(json_number_value(json_object_get(found, "probability")),
                       json_number_value(json_object_get(json_object_get(prediction, "probability"),
                                                         string_of(prediction, "top_class"))),
                       1e-6);
    assert_float_equal(json_number_value(json_object_get(found, "arterial_hu")),
                       json_number_value(json_array_get(json_object_get(lesion, "mean_hu"), LVN_PHASE_ART)), 1e-4);
    assert_int_equal(json_integer_value(json_object_get(found, "reference_series")), 4);
    assert_true(json_is_true(json_object_get(found, "is_drawn_on_pv")));
    assert_int_equal(json_integer_value(json_object_get(found, "objects")), LESIONS + 1);
  }
  assert_null(fgets(line, sizeof line, file));
  assert_int_equal(fclose(file), 0);
}

/* The folder's walk is sorted: the first files are one phase's. */
static void test_results__a_waiting_study_has_its_analysis_alone(void **state) {
  char folder[SCRATCH_BYTES];
  struct lvn_error err = {0};
  (void)state;
  LVN_AUTOFREE struct lvn_analysis_result *result = lvn_alloc(1, sizeof *result, &err);
  analyse(scratch_make(folder), 5, second, result);
  assert_int_equal(result->outcome, LVN_ANALYSIS_WAITING);
  assert_int_equal(result->object_count, 0);
  LVN_CLEANUP(lvn_json_cleanup) json_t *analysis = read_json(folder, "analysis.json");
  assert_string_equal(string_of(analysis, "outcome"), "waiting");
  assert_string_equal(string_of(analysis, "status_message"), result->status_message);
  assert_false(is_there(folder, "lesions.jsonl"));
  assert_false(is_there(folder, "report.dcm"));
  assert_false(is_there(folder, LVN_SHADOW_FILE));
}

static void test_results__a_second_model_is_told_beside_the_first(void **state) {
  char folder[SCRATCH_BYTES];
  struct lvn_error err = {0};
  (void)state;
  LVN_AUTOFREE struct lvn_analysis_result *result = lvn_alloc(1, sizeof *result, &err);
  analyse(scratch_make(folder), files.count, second, result);
  LVN_CLEANUP(lvn_json_cleanup) json_t *shadow = read_json(folder, LVN_SHADOW_FILE);
  const json_t *lesions = json_object_get(shadow, "lesions");
  assert_int_equal(json_array_size(lesions), LESIONS);
  assert_string_equal(string_of(shadow, "failure"), "");
  for (size_t i = 0; i < LESIONS; i++) { /* the same package: the same words */
    const json_t *lesion = json_array_get(lesions, i);
    assert_true(json_is_string(json_object_get(json_object_get(lesion, "shadow"), "top_class")));
    assert_true(json_equal(json_object_get(lesion, "current"), json_object_get(lesion, "shadow")));
  }
}

/* shadow.json is no result: that it cannot be written stops nothing. */
static void test_results__an_unwritable_shadow_stops_nothing(void **state) {
  char folder[SCRATCH_BYTES];
  char path[LVN_PATH_BYTES];
  struct lvn_error err = {0};
  (void)state;
  LVN_AUTOFREE struct lvn_analysis_result *result = lvn_alloc(1, sizeof *result, &err);
  assert_true(lvn_path_join(path, scratch_make(folder), LVN_SHADOW_FILE, &err));
  assert_int_equal(mkdir(path, 0700), 0);
  analyse(folder, files.count, second, result);
  assert_int_equal(result->object_count, LESIONS + 1);
  assert_true(is_there(folder, "lesions.jsonl"));
}

static bool fail_to_make(struct lvn_findings *findings, const struct lvn_result_request *request,
                         struct lvn_error *err) {
  (void)findings;
  (void)request;
  return lvn_error_set(err, LVN_ERROR_INTERNAL, "it does not conform");
}

static bool fail_to_write(struct lvn_findings *findings, const struct lvn_result_request *request,
                          struct lvn_error *err) {
  (void)findings;
  (void)request;
  return lvn_error_set(err, LVN_ERROR_IO, "no room");
}

/* Further objects are guests: the rest is written without one that cannot be made, unless what failed passes. */
static void test_results__a_further_object_is_left_out(void **state) {
  const struct lvn_result_writer not_asked = {.name = "other", .kind = "pdf", .write = fail_to_write};
  const struct lvn_result_writer odd = {.name = "odd", .kind = "seg", .is_further = true, .write = fail_to_make};
  const struct lvn_result_writer full = {.name = "full", .kind = "seg", .is_further = true, .write = fail_to_write};
  const struct lvn_result_writer rows[] = {not_asked, odd, lines_writer};
  struct lvn_findings findings = {.outcome = LVN_ANALYSIS_DONE};
  char folder[SCRATCH_BYTES];
  const struct lvn_result_request request = {.folder = scratch_make(folder), .objects = "sr,seg"};
  struct lvn_error err = {0};
  (void)state;
  assert_true(lvn_results_write(rows, 3, &findings, &request, &err));
  assert_true(is_there(folder, "lesions.jsonl"));
  assert_string_equal(findings.not_made, "no odd: it does not conform");
  assert_false(lvn_results_write(&full, 1, &findings, &request, &err));
  assert_int_equal(err.code, LVN_ERROR_IO);
  assert_true(lvn_results_check_kinds(NULL, &err));
  assert_true(lvn_results_check_kinds("sr, seg_phases,pmap", &err));
  assert_false(lvn_results_check_kinds("sr,segm", &err));
  assert_string_equal(err.message, "'segm' is no kind of result object");
}

/* The document's too, which a library writes with a date of its own. */
static void test_results__every_kind_has_the_same_bytes_again(void **state) {
  static const char *const names[] = {"capture-01.dcm", "seg-01.dcm",   "seg-phase-01.dcm", "gsps-01.dcm",
                                      "pmap-01.dcm",    "document.dcm", "report.dcm",       "key-objects.dcm"};
  char folders[2][SCRATCH_BYTES];
  struct lvn_error err = {0};
  (void)state;
  LVN_AUTOFREE struct lvn_analysis_result *result = lvn_alloc(1, sizeof *result, &err);
  objects = "sr, sc, seg, seg_phases, kos, pdf, gsps, pmap";
  for (size_t round = 0; round < 2; round++) {
    analyse(scratch_make(folders[round]), files.count, NULL, result);
  }
  objects = NULL;
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    uint8_t digests[2][LVN_SHA256_BYTES];
    for (size_t round = 0; round < 2; round++) {
      char path[LVN_PATH_BYTES];
      assert_true(lvn_path_join(path, folders[round], names[i], &err));
      if (!lvn_sha256_of_file(path, digests[round], &err)) {
        fail_msg("%s", err.message);
      }
    }
    assert_memory_equal(digests[0], digests[1], LVN_SHA256_BYTES);
  }
}

static void test_results__a_failing_row_is_named_and_ends_the_table(void **state) {
  const struct lvn_result_writer rows[] = {{.name = "only when done", .when_done_only = true, .write = fail_to_write},
                                           {.name = "broken", .write = fail_to_write},
                                           lines_writer};
  struct lvn_findings findings = {.outcome = LVN_ANALYSIS_REFUSED};
  char folder[SCRATCH_BYTES];
  const struct lvn_result_request request = {.folder = scratch_make(folder)};
  struct lvn_error err = {0};
  (void)state;
  assert_false(lvn_results_write(rows, 3, &findings, &request, &err));
  assert_non_null(strstr(err.message, "broken"));
  assert_non_null(strstr(err.message, "no room"));
  assert_null(strstr(err.message, "only when done"));
  assert_false(is_there(folder, "lesions.jsonl"));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_results__a_row_writes_json_lines),
      cmocka_unit_test(test_results__a_waiting_study_has_its_analysis_alone),
      cmocka_unit_test(test_results__a_second_model_is_told_beside_the_first),
      cmocka_unit_test(test_results__an_unwritable_shadow_stops_nothing),
      cmocka_unit_test(test_results__a_further_object_is_left_out),
      cmocka_unit_test(test_results__every_kind_has_the_same_bytes_again),
      cmocka_unit_test(test_results__a_failing_row_is_named_and_ends_the_table),
  };
  return cmocka_run_group_tests(tests, setup, teardown);
}
