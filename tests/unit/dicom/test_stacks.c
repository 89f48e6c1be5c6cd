/* Which slices of a series make which stack. */
#include "base/file.h"
#include "dicom/read/study.h"
#include "tests/unit/dicom/dicom_bytes.h"

#include <math.h>
#include <setjmp.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/unit/scratch.h"

#include <sys/stat.h>

static char folder[SCRATCH_BYTES];
static int written;

/* A CT slice of 4 x 3 pixels. Numbers of -1 and empty texts are left out. */
struct slice {
  double z;
  int instance, acquisition, temporal, trigger_ms, base;
  const char *date, *datetime, *series, *comment, *description, *stack, *content_time, *kv;
  double acquired; /* seconds since midnight */
  double thickness;
};

static struct slice slice_at(double z) {
  return (struct slice){.z = z,
                        .instance = -1,
                        .acquisition = -1,
                        .temporal = -1,
                        .trigger_ms = -1,
                        .base = 1000 + (int)(10.0 * fabs(z)),
                        .date = "",
                        .datetime = "",
                        .series = "1.2.3.1",
                        .comment = "",
                        .description = "Liver",
                        .stack = "",
                        .content_time = "",
                        .kv = "",
                        .acquired = -1.0,
                        .thickness = 5.0};
}

static void put_if(struct bytes *b, uint32_t tag, const char *vr, const char *text) {
  if (text[0] != '\0') {
    put_text_element(b, tag, vr, "%s", text);
  }
}

static void put_number_if(struct bytes *b, uint32_t tag, const char *vr, int value) {
  if (value >= 0) {
    put_text_element(b, tag, vr, "%d", value);
  }
}

static void put_identity(struct bytes *b, const struct slice *s) {
  put_meta(b, "1.2.840.10008.1.2.1");
  put_text_element(b, 0x00080008u, "CS", "ORIGINAL\\PRIMARY\\AXIAL");
  put_text_element(b, 0x00080016u, "UI", "1.2.840.10008.5.1.4.1.1.2");
  put_text_element(b, 0x00080018u, "UI", "1.2.3.1.%d", written);
  put_if(b, 0x00080022u, "DA", s->date);
  put_if(b, 0x0008002Au, "DT", s->datetime);
  if (s->acquired >= 0.0) {
    int whole = (int)s->acquired;
    put_text_element(b, 0x00080032u, "TM", "%02d%02d%02d.%03d", whole / 3600, whole / 60 % 60, whole % 60,
                     (int)((s->acquired - whole) * 1000.0));
  }
  put_if(b, 0x00080033u, "TM", s->content_time);
  put_text_element(b, 0x00080060u, "CS", "CT");
  put_text_element(b, 0x0008103Eu, "LO", "%s", s->description);
  put_text_element(b, 0x00100020u, "LO", "P1");
  put_text_element(b, 0x00180050u, "DS", "%g", s->thickness);
  put_if(b, 0x00180060u, "DS", s->kv);
  put_number_if(b, 0x00181060u, "DS", s->trigger_ms);
}

static void put_slice(const struct slice *s) {
  struct bytes b = {0};
  char path[128];
  uint8_t pixels[24];
  written++;
  put_identity(&b, s);
  put_text_element(&b, 0x0020000Du, "UI", "1.2.3");
  put_text_element(&b, 0x0020000Eu, "UI", "%s", s->series);
  put_text_element(&b, 0x00200011u, "IS", "3");
  put_number_if(&b, 0x00200012u, "IS", s->acquisition);
  put_number_if(&b, 0x00200013u, "IS", s->instance);
  put_text_element(&b, 0x00200032u, "DS", "0\\0\\%.3f", s->z);
  put_text_element(&b, 0x00200037u, "DS", "1\\0\\0\\0\\1\\0");
  put_text_element(&b, 0x00200052u, "UI", "1.2.3.9");
  put_number_if(&b, 0x00200100u, "IS", s->temporal);
  put_if(&b, 0x00204000u, "LT", s->comment);
  put_if(&b, 0x00209056u, "SH", s->stack);
  put_us(&b, 0x00280002u, 1);
  put_text_element(&b, 0x00280004u, "CS", "MONOCHROME2");
  put_us(&b, 0x00280010u, 3);
  put_us(&b, 0x00280011u, 4);
  put_text_element(&b, 0x00280030u, "DS", "0.7\\0.7");
  put_us(&b, 0x00280100u, 16);
  put_us(&b, 0x00280101u, 16);
  put_us(&b, 0x00280102u, 15);
  put_us(&b, 0x00280103u, 1);
  put_text_element(&b, 0x00281052u, "DS", "-1024");
  put_text_element(&b, 0x00281053u, "DS", "1");
  for (int i = 0; i < 12; i++) {
    int value = s->base + i;
    pixels[2 * i] = (uint8_t)value;
    pixels[2 * i + 1] = (uint8_t)((unsigned)value >> 8);
  }
  put_element(&b, 0x7FE00010u, "OW", pixels, sizeof pixels);
  (void)snprintf(path, sizeof path, "%s/%05d.dcm", folder, written);
  assert_int_equal(write_bytes(path, &b), 0);
  lvn_free(b.data);
}

static int setup(void **state) {
  (void)state;
  written = 0;
  (void)scratch_make(folder);
  return 0;
}

static int teardown(void **state) {
  (void)state;
  scratch_remove(folder);
  return 0;
}

static struct lvn_study *open_folder(void) {
  struct lvn_file_names paths = {0};
  struct lvn_study *study = NULL;
  struct lvn_error err;
  assert_true(lvn_file_walk(folder, 20000, &paths, &err));
  if (!lvn_study_open((const char *const *)paths.names, paths.count, &study, &err)) {
    fail_msg("%s", err.message);
  }
  lvn_file_names_clear(&paths);
  return study;
}

/* What a pass's slice k is told by. */
typedef void (*tell)(struct slice *slice, int pass, int k);

struct passes {
  int count;
  int slices[4];
  double first_z[4];
  double spacing;
};

static void write_passes(const struct passes *passes, tell tell_apart) {
  int number = 0;
  for (int pass = 0; pass < passes->count; pass++) {
    for (int k = 0; k < passes->slices[pass]; k++) {
      struct slice slice = slice_at(passes->first_z[pass] + passes->spacing * k);
      slice.base += 200 * (pass + 1);
      slice.instance = ++number;
      tell_apart(&slice, pass, k);
      put_slice(&slice);
    }
  }
}

static void say_stacks(const struct lvn_study *study, const char *what) {
  print_message("%s:\n", what);
  for (size_t s = 0; s < lvn_study_get_stack_count(study); s++) {
    const struct lvn_stack *stack = lvn_study_get_stack(study, s);
    print_message("  %zu slices, %s, '%s', '%s'\n", stack->slice_count, lvn_exclusion_name(stack->exclusion),
                  stack->geometry_note, stack->geometry_problem);
  }
}

/* Each pass is one stack, and each of its slices is of that pass: the pixels say so. */
static void assert_parted(const struct passes *passes, tell tell_apart, const char *what) {
  bool found[4] = {false};
  write_passes(passes, tell_apart);
  struct lvn_study *study = open_folder();
  if (lvn_study_get_stack_count(study) != (size_t)passes->count) {
    say_stacks(study, what);
    fail();
  }
  for (size_t s = 0; s < lvn_study_get_stack_count(study); s++) {
    const struct lvn_stack *stack = lvn_study_get_stack(study, s);
    struct lvn_volume volume;
    struct lvn_error err;
    if (!lvn_study_load_volume(study, s, &volume, &err)) {
      say_stacks(study, what);
      fail();
    }
    int pass = (volume.hounsfield[0] + 24 - (int)(10.0 * fabs(stack->grid.origin_mm[2]))) / 200 - 1;
    assert_in_range(pass, 0, passes->count - 1);
    assert_false(found[pass]);
    found[pass] = true;
    assert_int_equal(stack->slice_count, passes->slices[pass]);
    assert_true(fabs(stack->grid.origin_mm[2] - passes->first_z[pass]) < 1e-6);
    assert_true(fabs(stack->grid.spacing_mm[2] - passes->spacing) < 1e-6);
    assert_int_equal(stack->exclusion, LVN_EXCLUSION_NONE);
    lvn_volume_clear(&volume);
  }
  lvn_study_close(study);
  scratch_remove(folder);
  (void)scratch_make(folder);
}

static void by_acquisition(struct slice *s, int pass, int k) {
  (void)k;
  s->acquisition = 2 + 3 * pass;
  s->instance = -1;
}

static void by_temporal(struct slice *s, int pass, int k) {
  (void)k;
  s->temporal = pass + 1;
  s->instance = 1 + k;
}

static void by_trigger(struct slice *s, int pass, int k) {
  s->trigger_ms = 12000 * pass + 7 * k;
  s->instance = -1;
}

static void by_stack(struct slice *s, int pass, int k) {
  static const char *const names[] = {"A", "B", "C", "D"};
  (void)k;
  s->stack = names[pass];
  s->instance = -1;
}

static void by_comment(struct slice *s, int pass, int k) {
  static const char *const comments[] = {"nativ", "art", "pv", "spaet"};
  s->comment = comments[pass];
  s->instance = 4 * k + pass;
}

static void by_description(struct slice *s, int pass, int k) {
  static const char *const names[] = {"plain", "arterial", "venous", "delayed"};
  s->description = names[pass];
  s->instance = 4 * k + pass;
}

static void by_thickness(struct slice *s, int pass, int k) {
  s->thickness = 2.0 + pass;
  s->instance = 4 * k + pass;
}

static void by_voltage(struct slice *s, int pass, int k) {
  static const char *const kv[] = {"80", "100", "120", "140"};
  s->kv = kv[pass];
  s->instance = 4 * k + pass;
}

static void by_time_of_slice(struct slice *s, int pass, int k) {
  s->acquired = 36000.0 + 35.0 * pass + 0.25 * k;
  s->instance = -1;
}

/* One place after the other, all passes of each; only the time tells which pass. */
static void by_time_at_place(struct slice *s, int pass, int k) {
  s->acquired = 36000.0 + 10.0 * k + 2.0 * pass;
  s->instance = -1;
}

static void by_midnight(struct slice *s, int pass, int k) {
  static const char *const moments[] = {"20231231235950", "20240101000020", "20240101000100.5", "20240101000500"};
  (void)k;
  s->datetime = moments[pass];
  s->instance = -1;
}

static void by_instance(struct slice *s, int pass, int k) {
  (void)s;
  (void)pass;
  (void)k;
}

static void by_instance_from_head(struct slice *s, int pass, int k) {
  (void)pass;
  (void)k;
  s->instance = 5000 - s->instance;
}

static void by_number_of_slice(struct slice *s, int pass, int k) {
  (void)pass;
  (void)k;
  s->acquisition = s->instance;
  s->instance = -1;
}

static void by_number_of_rotation(struct slice *s, int pass, int k) {
  s->acquisition = 10 * pass + k / 4;
  s->instance = -1;
}

static const struct {
  const char *name;
  tell tell_apart;
  bool same_places_only;
} means[] = {{"acquisition number", by_acquisition, false},
             {"temporal position", by_temporal, false},
             {"trigger time", by_trigger, false},
             {"stack", by_stack, false},
             {"comment", by_comment, false},
             {"description", by_description, false},
             {"thickness", by_thickness, false},
             {"voltage", by_voltage, false},
             {"time of slice", by_time_of_slice, false},
             {"time at place", by_time_at_place, true},
             {"midnight", by_midnight, false},
             {"instance", by_instance, false},
             {"instance from head", by_instance_from_head, false},
             {"number of slice", by_number_of_slice, false},
             {"number of rotation", by_number_of_rotation, false}};

static void test_stacks__parts_by_every_means(void **state) {
  static const struct passes rows[] = {
      {3, {12, 12, 12}, {0.0, 0.0, 0.0}, 5.0}, /* the same places */
      {2, {12, 12}, {-100.0, -97.5}, 5.0},     /* interleaving evenly */
      {4, {12, 12, 12, 12}, {0, 1.25, 2.5, 3.75}, 5.0},
      {3, {12, 12, 12}, {-30.0, -28.3, -26.9}, 5.0}, /* other table positions */
      {3, {20, 9, 16}, {-80.0, -52.0, -70.0}, 3.0},  /* other lengths */
      {2, {30, 30}, {0.0, 0.63}, 1.25},
  };
  (void)state;
  for (size_t m = 0; m < sizeof means / sizeof means[0]; m++) {
    for (size_t r = 0; r < (means[m].same_places_only ? 1 : sizeof rows / sizeof rows[0]); r++) {
      char what[80];
      (void)snprintf(what, sizeof what, "%s, row %zu", means[m].name, r);
      assert_parted(&rows[r], means[m].tell_apart, what);
    }
  }
}

static void test_stacks__one_scan_stays_one(void **state) {
  static const tell one[] = {by_number_of_slice, by_number_of_rotation, by_time_of_slice, by_trigger, by_instance};
  static const struct passes scan = {1, {40}, {-60.0}, 2.5};
  (void)state;
  for (size_t i = 0; i < sizeof one / sizeof one[0]; i++) {
    assert_parted(&scan, one[i], "one scan");
  }
}

/* The halves of a scan beside a gap are no acquisitions, whatever changes there. */
static void test_stacks__says_a_gap_where_the_number_changes(void **state) {
  (void)state;
  for (int k = 0; k < 20; k++) {
    struct slice slice = slice_at(k < 10 ? 5.0 * k : 5.0 * (k + 1));
    slice.acquisition = k < 10 ? 1 : 2;
    slice.acquired = 36000.0 + (k < 10 ? 0.5 * k : 20.0 + 0.5 * k);
    put_slice(&slice);
  }
  struct lvn_study *study = open_folder();
  assert_int_equal(lvn_study_get_stack_count(study), 1);
  assert_non_null(strstr(lvn_study_get_stack(study, 0)->geometry_problem, "1 slice is missing"));
  lvn_study_close(study);
}

/* Chest and abdomen overlap by a few slices: two scans, not one that was corrected. */
static void test_stacks__parts_scans_that_overlap_little(void **state) {
  static const struct passes scans = {2, {20, 20}, {-100.0, -15.0}, 5.0};
  (void)state;
  assert_parted(&scans, by_acquisition, "acquisition number");
  assert_parted(&scans, by_time_of_slice, "time of slice");
}

static void test_stacks__says_a_gap_of_one_acquisition(void **state) {
  size_t good = 0;
  (void)state;
  for (int pass = 0; pass < 3; pass++) {
    for (int k = 0; k < 12; k++) {
      struct slice slice = slice_at(5.0 * k + 1.5 * pass);
      slice.acquisition = pass;
      slice.acquired = 36000.0 + 30.0 * pass + 0.4 * k;
      slice.base += 300 * pass;
      if (pass != 1 || k != 5) {
        put_slice(&slice);
      }
    }
  }
  struct lvn_study *study = open_folder();
  assert_int_equal(lvn_study_get_stack_count(study), 3);
  for (size_t s = 0; s < 3; s++) {
    const struct lvn_stack *stack = lvn_study_get_stack(study, s);
    good += stack->exclusion == LVN_EXCLUSION_NONE && stack->slice_count == 12 ? 1 : 0;
    assert_true(stack->exclusion == LVN_EXCLUSION_NONE ||
                strstr(stack->geometry_problem, "1 slice is missing") != NULL);
  }
  assert_int_equal(good, 2);
  lvn_study_close(study);
}

static void test_stacks__bolus_run_in_the_series_of_its_scan(void **state) {
  (void)state;
  for (int k = 0; k < 10; k++) {
    struct slice slice = slice_at(20.0);
    slice.acquisition = 1;
    slice.base = 2000 + k;
    put_slice(&slice);
  }
  for (int k = 0; k < 12; k++) {
    struct slice slice = slice_at(5.0 * k);
    slice.acquisition = 2;
    put_slice(&slice);
  }
  struct lvn_study *study = open_folder();
  assert_int_equal(lvn_study_get_stack_count(study), 2);
  for (size_t s = 0; s < 2; s++) {
    const struct lvn_stack *stack = lvn_study_get_stack(study, s);
    assert_int_equal(stack->exclusion, stack->slice_count == 12 ? LVN_EXCLUSION_NONE : LVN_EXCLUSION_BOLUS_TRACKING);
  }
  lvn_study_close(study);
}

static void write_scan(int base, int first_instance, const char *series, const char *content_time) {
  for (int k = 0; k < 10; k++) {
    struct slice slice = slice_at(5.0 * k);
    slice.base = base + k;
    slice.instance = first_instance + k;
    slice.series = series;
    slice.content_time = content_time;
    put_slice(&slice);
  }
}

static void test_stacks__copies_count_once(void **state) {
  size_t index = 9;
  size_t slice = 0;
  (void)state;
  write_scan(1000, 1, "1.2.3.1", "100000");
  write_scan(1000, 1, "1.2.3.1", "110000");
  write_scan(1000, 101, "1.2.3.1", "120000");
  struct lvn_study *study = open_folder();
  assert_int_equal(lvn_study_get_stack_count(study), 1);
  assert_int_equal(lvn_study_get_stack(study, 0)->slice_count, 10);
  assert_string_equal(lvn_study_get_stack(study, 0)->geometry_note, "20 duplicate slices left out");
  for (int copy = 0; copy < 3; copy++) {
    char uid[32];
    (void)snprintf(uid, sizeof uid, "1.2.3.1.%d", 10 * copy + 4);
    assert_true(lvn_study_find_slice(study, uid, 0, &index, &slice));
    assert_int_equal(index, 0);
    assert_int_equal(slice, 3);
  }
  lvn_study_close(study);
}

static void test_stacks__copies_in_another_series_have_one_digest(void **state) {
  (void)state;
  write_scan(1000, 1, "1.2.3.1", "100000");
  write_scan(1000, 1, "1.2.3.2", "100000");
  write_scan(1001, 1, "1.2.3.3", "100000");
  struct lvn_study *study = open_folder();
  size_t with_digest = 0;
  const struct lvn_stack *twins[3];
  assert_int_equal(lvn_study_get_stack_count(study), 3);
  for (size_t s = 0; s < 3; s++) {
    const struct lvn_stack *stack = lvn_study_get_stack(study, s);
    if (stack->has_pixel_digest) {
      twins[with_digest++] = stack;
      assert_string_not_equal(stack->series_instance_uid, "1.2.3.3");
    }
  }
  assert_int_equal(with_digest, 2);
  assert_memory_equal(twins[0]->pixel_sha256, twins[1]->pixel_sha256, LVN_SHA256_BYTES);
  lvn_study_close(study);
}

/* One slice came again with other pixels: the newer one stays; where no time tells, nobody guesses. */
static void test_stacks__a_corrected_slice_replaces_the_older(void **state) {
  struct lvn_volume volume;
  struct lvn_error err;
  (void)state;
  write_scan(1000, 1, "1.2.3.1", "100000");
  struct slice slice = slice_at(20.0);
  slice.base = 3000;
  slice.instance = 5;
  slice.content_time = "100001";
  put_slice(&slice);
  struct lvn_study *study = open_folder();
  assert_int_equal(lvn_study_get_stack_count(study), 1);
  assert_string_equal(lvn_study_get_stack(study, 0)->geometry_note, "1 slice left out where a newer one lies");
  assert_true(lvn_study_load_volume(study, 0, &volume, &err));
  assert_int_equal(volume.hounsfield[4 * 12], 3000 - 1024);
  lvn_volume_clear(&volume);
  lvn_study_close(study);
  slice.content_time = "100000";
  slice.base = 3100;
  put_slice(&slice);
  slice.z = 25.0;
  put_slice(&slice);
  scratch_remove(folder);
  (void)scratch_make(folder);
  write_scan(1000, 1, "1.2.3.1", "100000");
  put_slice(&slice);
  study = open_folder();
  assert_int_equal(lvn_study_get_stack_count(study), 1);
  assert_int_equal(lvn_study_get_stack(study, 0)->exclusion, LVN_EXCLUSION_GEOMETRY);
  assert_non_null(strstr(lvn_study_get_stack(study, 0)->geometry_problem,
                         "1 of 11 slices lie where another slice with other pixels lies"));
  lvn_study_close(study);
}

static void test_stacks__perfusion_run_is_one_stack(void **state) {
  static const tell by[] = {by_acquisition, by_time_of_slice, by_instance, by_comment};
  (void)state;
  for (size_t i = 0; i < sizeof by / sizeof by[0]; i++) {
    for (int pass = 0; pass < 15; pass++) {
      for (int k = 0; k < 8; k++) {
        struct slice slice = slice_at(5.0 * k);
        slice.base += pass;
        slice.instance = 8 * pass + k;
        by[i](&slice, by[i] == by_comment ? 0 : pass, k);
        put_slice(&slice);
      }
    }
    struct lvn_study *study = open_folder();
    if (lvn_study_get_stack_count(study) != 1 || lvn_study_get_stack(study, 0)->exclusion != LVN_EXCLUSION_PERFUSION) {
      say_stacks(study, "perfusion");
      fail();
    }
    size_t index = 1;
    assert_true(lvn_study_find_slice(study, "1.2.3.1.99", 0, &index, NULL));
    assert_int_equal(index, 0);
    lvn_study_close(study);
    scratch_remove(folder);
    (void)scratch_make(folder);
    written = 0;
  }
}

#define WITH_FOLDER(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      WITH_FOLDER(test_stacks__parts_by_every_means),
      WITH_FOLDER(test_stacks__one_scan_stays_one),
      WITH_FOLDER(test_stacks__says_a_gap_where_the_number_changes),
      WITH_FOLDER(test_stacks__parts_scans_that_overlap_little),
      WITH_FOLDER(test_stacks__says_a_gap_of_one_acquisition),
      WITH_FOLDER(test_stacks__bolus_run_in_the_series_of_its_scan),
      WITH_FOLDER(test_stacks__copies_count_once),
      WITH_FOLDER(test_stacks__copies_in_another_series_have_one_digest),
      WITH_FOLDER(test_stacks__a_corrected_slice_replaces_the_older),
      WITH_FOLDER(test_stacks__perfusion_run_is_one_stack),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
