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

/* A CT slice of 4 x 3 pixels, each with stored value `base` + its number. */
struct ct {
  const char *study, *patient, *series, *description, *image_type, *kernel;
  int number, acquisition;
  double x, y, z, slope, intercept;
  int base;
  int padding; /* 0: attribute absent */
  unsigned columns;
};

static struct ct ct_at(int number, double z) {
  return (struct ct){.study = "1.2.3",
                     .patient = "P1",
                     .series = "1.2.3.1",
                     .description = "Leber arteriell",
                     .image_type = "ORIGINAL\\PRIMARY\\AXIAL",
                     .kernel = "B30f",
                     .number = number,
                     .acquisition = 1,
                     .z = z,
                     .slope = 1.0,
                     .intercept = -1024.0,
                     .base = 1000,
                     .columns = 4};
}

static void ct_path(char path[128], int number) {
  (void)snprintf(path, 128, "%s/%03d.dcm", folder, number);
}

static void write_ct(const struct ct *ct) {
  struct bytes b = {0};
  char path[128];
  uint8_t pixels[24];
  put_meta(&b, "1.2.840.10008.1.2.1");
  put_text_element(&b, 0x00080005u, "CS", "ISO_IR 100");
  put_text_element(&b, 0x00080008u, "CS", "%s", ct->image_type);
  put_text_element(&b, 0x00080016u, "UI", "1.2.840.10008.5.1.4.1.1.2");
  put_text_element(&b, 0x00080018u, "UI", "1.2.3.1.%d", ct->number);
  put_text_element(&b, 0x00080032u, "TM", "1030%02d.5", ct->number % 60);
  put_text_element(&b, 0x00080060u, "CS", "CT");
  put_text_element(&b, 0x0008103Eu, "LO", "%s", ct->description);
  put_text_element(&b, 0x00100020u, "LO", "%s", ct->patient);
  put_text_element(&b, 0x00180050u, "DS", "5");
  put_text_element(&b, 0x00181042u, "TM", "102930");
  put_text_element(&b, 0x00181210u, "SH", "%s", ct->kernel);
  put_text_element(&b, 0x0020000Du, "UI", "%s", ct->study);
  put_text_element(&b, 0x0020000Eu, "UI", "%s", ct->series);
  put_text_element(&b, 0x00200011u, "IS", "3");
  put_text_element(&b, 0x00200012u, "IS", "%d", ct->acquisition);
  put_text_element(&b, 0x00200013u, "IS", "%d", 1000 - ct->number);
  put_text_element(&b, 0x00200032u, "DS", "%.3f\\%.3f\\%.3f", ct->x, ct->y, ct->z);
  put_text_element(&b, 0x00200037u, "DS", "1\\0\\0\\0\\1\\0");
  put_text_element(&b, 0x00200052u, "UI", "1.2.3.9");
  put_us(&b, 0x00280002u, 1);
  put_text_element(&b, 0x00280004u, "CS", "MONOCHROME2");
  put_us(&b, 0x00280010u, 3);
  put_us(&b, 0x00280011u, ct->columns);
  put_text_element(&b, 0x00280030u, "DS", "0.8\\0.7");
  put_us(&b, 0x00280100u, 16);
  put_us(&b, 0x00280101u, 16);
  put_us(&b, 0x00280102u, 15);
  put_us(&b, 0x00280103u, 1);
  if (ct->padding != 0) {
    const uint8_t raw[2] = {(uint8_t)ct->padding, (uint8_t)((unsigned)ct->padding >> 8)};
    put_element(&b, 0x00280120u, "SS", raw, 2);
  }
  put_text_element(&b, 0x00281052u, "DS", "%g", ct->intercept);
  put_text_element(&b, 0x00281053u, "DS", "%g", ct->slope);
  for (int i = 0; i < 12; i++) {
    int value = ct->base + i;
    pixels[2 * i] = (uint8_t)value;
    pixels[2 * i + 1] = (uint8_t)((unsigned)value >> 8);
  }
  put_element(&b, 0x7FE00010u, "OW", pixels, sizeof pixels);
  ct_path(path, ct->number);
  assert_int_equal(write_bytes(path, &b), 0);
  lvn_free(b.data);
}

static int setup(void **state) {
  (void)state;
  (void)scratch_make(folder);
  return 0;
}

static int teardown(void **state) {
  (void)state;
  scratch_remove(folder);
  return 0;
}

static struct lvn_study *try_open(const char *where, struct lvn_error *err) {
  struct lvn_file_names paths = {0};
  struct lvn_study *study = NULL;
  assert_true(lvn_file_walk(where, 1000, &paths, err));
  assert_true(paths.count > 0);
  if (!lvn_study_open((const char *const *)paths.names, paths.count, &study, err)) {
    study = NULL;
  }
  lvn_file_names_clear(&paths);
  return study;
}

static struct lvn_study *open_folder(const char *where) {
  struct lvn_error err;
  struct lvn_study *study = try_open(where, &err);
  if (study == NULL) {
    fail_msg("%s", err.message);
  }
  return study;
}

static void assert_says(const char *text, const char *part) {
  if (strstr(text, part) == NULL) {
    fail_msg("'%s' does not say '%s'", text, part);
  }
}

static struct lvn_volume load(const struct lvn_study *study, size_t stack) {
  struct lvn_volume volume = {0};
  struct lvn_error err;
  if (!lvn_study_load_volume(study, stack, &volume, &err)) {
    fail_msg("%s", err.message);
  }
  return volume;
}

static void test_study__sorts_by_position_and_rescales_each_slice(void **state) {
  const double z[] = {10.0, -5.0, 5.0, 0.0};
  struct lvn_study *study = NULL;
  const struct lvn_stack *stack = NULL;
  struct lvn_volume volume;
  size_t slice = 0;
  (void)state;
  for (int i = 0; i < 4; i++) {
    struct ct ct = ct_at(i + 1, z[i]);
    ct.slope = i == 0 ? 2.0 : 1.0;
    ct.intercept = i == 1 ? -1000.0 : -1024.0;
    ct.padding = 1005;
    write_ct(&ct);
  }
  study = open_folder(folder);
  assert_int_equal(lvn_study_get_stack_count(study), 1);
  assert_string_equal(lvn_study_get_uid(study), "1.2.3");
  stack = lvn_study_get_stack(study, 0);
  assert_int_equal(stack->exclusion, LVN_EXCLUSION_NONE);
  assert_int_equal(stack->series_number, 3);
  assert_string_equal(stack->series_description, "Leber arteriell");
  assert_string_equal(stack->kernel, "B30f");
  assert_true(fabs(stack->acquisition_seconds - (10 * 3600 + 30 * 60 + 1.5)) < 1e-6);
  assert_true(fabs(stack->contrast_start_seconds - (10 * 3600 + 29 * 60 + 30)) < 1e-6);
  assert_true(fabs(stack->grid.spacing_mm[0] - 0.7) < 1e-9 && fabs(stack->grid.spacing_mm[1] - 0.8) < 1e-9);
  assert_true(fabs(stack->grid.spacing_mm[2] - 5.0) < 1e-9);
  assert_string_equal(stack->slices[0].sop_instance_uid, "1.2.3.1.2");
  assert_true(lvn_study_find_slice(study, "1.2.3.1.1", 0, NULL, &slice));
  assert_int_equal(slice, 3);
  assert_false(lvn_study_find_slice(study, "1.2.3.1.99", 0, NULL, NULL));
  volume = load(study, 0);
  assert_int_equal(volume.hounsfield[0], 0);                    /* z -5: 1000 - 1000 */
  assert_int_equal(volume.hounsfield[12], -24);                 /* z 0 */
  assert_int_equal(volume.hounsfield[36 + 1], 2 * 1001 - 1024); /* z 10 */
  assert_int_equal(volume.hounsfield[5], LVN_HU_PADDING);
  assert_non_null(lvn_study_get_template_path(study));
  lvn_volume_clear(&volume);
  lvn_study_close(study);
}

static void test_study__refuses_missing_slices(void **state) {
  const double z[] = {0, 5, 10, 20, 25};
  struct lvn_volume volume;
  struct lvn_error err;
  struct lvn_study *study = NULL;
  (void)state;
  for (int i = 0; i < 5; i++) {
    struct ct ct = ct_at(i + 1, z[i]);
    write_ct(&ct);
  }
  study = open_folder(folder);
  assert_int_equal(lvn_study_get_stack(study, 0)->exclusion, LVN_EXCLUSION_GEOMETRY);
  assert_says(lvn_study_get_stack(study, 0)->geometry_problem, "1 slice is missing near (0.0, 0.0, 15.0) mm");
  assert_false(lvn_study_load_volume(study, 0, &volume, &err));
  assert_int_equal(err.code, LVN_ERROR_DATA);
  assert_says(err.message, "1 slice is missing");
  lvn_study_close(study);
}

static void test_study__leaves_duplicates_out(void **state) {
  const double z[] = {0, 5, 10, 15, 20, 10};
  struct lvn_study *study = NULL;
  size_t slice = 0;
  (void)state;
  for (int i = 0; i < 6; i++) {
    struct ct ct = ct_at(i + 1, z[i]);
    write_ct(&ct);
  }
  study = open_folder(folder);
  assert_int_equal(lvn_study_get_stack_count(study), 1);
  assert_int_equal(lvn_study_get_stack(study, 0)->slice_count, 5);
  assert_string_equal(lvn_study_get_stack(study, 0)->geometry_note, "1 duplicate slice left out");
  /* What is drawn on either copy is drawn on the slice that stays. */
  assert_true(lvn_study_find_slice(study, "1.2.3.1.3", 0, NULL, &slice));
  assert_int_equal(slice, 2);
  assert_true(lvn_study_find_slice(study, "1.2.3.1.6", 0, NULL, &slice));
  assert_int_equal(slice, 2);
  lvn_study_close(study);
}

static void test_study__parts_acquisitions_in_the_same_places(void **state) {
  struct lvn_study *study = NULL;
  (void)state;
  for (int i = 0; i < 8; i++) {
    struct ct ct = ct_at(i + 1, 5.0 * (i % 4));
    ct.acquisition = 1 + i / 4;
    ct.base += 100 * (i / 4);
    write_ct(&ct);
  }
  study = open_folder(folder);
  assert_int_equal(lvn_study_get_stack_count(study), 2);
  for (size_t s = 0; s < 2; s++) {
    assert_int_equal(lvn_study_get_stack(study, s)->slice_count, 4);
    assert_int_equal(lvn_study_get_stack(study, s)->exclusion, LVN_EXCLUSION_NONE);
  }
  lvn_study_close(study);
}

static void test_study__keeps_one_acquisition_number_per_slice_together(void **state) {
  struct lvn_study *study = NULL;
  (void)state;
  for (int i = 0; i < 6; i++) {
    struct ct ct = ct_at(i + 1, 2.5 * i);
    ct.acquisition = i + 1;
    write_ct(&ct);
  }
  study = open_folder(folder);
  assert_int_equal(lvn_study_get_stack_count(study), 1);
  assert_int_equal(lvn_study_get_stack(study, 0)->slice_count, 6);
  lvn_study_close(study);
}

static void test_study__splits_by_kernel_and_spacing(void **state) {
  const double z[] = {0, 4, 8, 12, 16, 23, 30, 37, 44};
  struct lvn_study *study = NULL;
  (void)state;
  for (int i = 0; i < 9; i++) {
    struct ct ct = ct_at(i + 1, z[i]);
    write_ct(&ct);
  }
  for (int i = 0; i < 4; i++) {
    struct ct ct = ct_at(i + 21, 4.0 * i);
    ct.kernel = "B70f";
    write_ct(&ct);
  }
  study = open_folder(folder);
  assert_int_equal(lvn_study_get_stack_count(study), 3);
  for (size_t s = 0; s < 3; s++) {
    assert_string_equal(lvn_study_get_stack(study, s)->geometry_problem, "");
  }
  lvn_study_close(study);
}

static void test_study__resamples_tilt(void **state) {
  struct lvn_study *study = NULL;
  struct lvn_volume volume;
  (void)state;
  for (int i = 0; i < 5; i++) {
    struct ct ct = ct_at(i + 1, 5.0 * i);
    ct.y = 1.6 * i; /* as of a table that moves at an angle to the slices */
    write_ct(&ct);
  }
  study = open_folder(folder);
  assert_int_equal(lvn_study_get_stack(study, 0)->exclusion, LVN_EXCLUSION_NONE);
  assert_says(lvn_study_get_stack(study, 0)->geometry_note, "gantry tilt 17.7 degrees resampled");
  volume = load(study, 0);
  assert_int_equal(volume.grid.size[1], 3 + 8);
  assert_int_equal(volume.hounsfield[0], -24);
  assert_int_equal(volume.hounsfield[44 * 4 + 8 * 4], -24);
  assert_int_equal(volume.hounsfield[44 * 4], LVN_HU_PADDING);
  lvn_volume_clear(&volume);
  lvn_study_close(study);
}

static void test_study__excludes_bolus_tracking(void **state) {
  struct lvn_study *study = NULL;
  (void)state;
  for (int i = 0; i < 6; i++) {
    struct ct ct = ct_at(i + 1, 40.0);
    write_ct(&ct);
  }
  study = open_folder(folder);
  assert_int_equal(lvn_study_get_stack_count(study), 1);
  assert_int_equal(lvn_study_get_stack(study, 0)->exclusion, LVN_EXCLUSION_BOLUS_TRACKING);
  lvn_study_close(study);
}

static void test_study__refuses_to_mix_patients_and_studies(void **state) {
  struct ct ct = ct_at(1, 0.0);
  struct lvn_error err = {0};
  (void)state;
  write_ct(&ct);
  ct = ct_at(2, 5.0);
  ct.patient = "P2";
  write_ct(&ct);
  assert_null(try_open(folder, &err));
  assert_int_equal(err.code, LVN_ERROR_CONFLICT);
  assert_says(err.message, "1.2.3.1.1 and 1.2.3.1.2 belong to different patients");
  ct.patient = "P1";
  ct.study = "1.2.4";
  write_ct(&ct);
  assert_null(try_open(folder, &err));
  assert_int_equal(err.code, LVN_ERROR_CONFLICT);
  assert_says(err.message, "different studies");
}

static void test_study__refuses_pixel_data_that_do_not_fit(void **state) {
  struct ct ct = ct_at(1, 0.0);
  struct lvn_volume volume;
  struct lvn_error err;
  struct lvn_study *study = NULL;
  (void)state;
  ct.columns = 40000;
  write_ct(&ct);
  study = open_folder(folder);
  assert_false(lvn_study_load_volume(study, 0, &volume, &err));
  assert_int_equal(err.code, LVN_ERROR_DATA);
  assert_says(err.message, "24 bytes of pixel data where 40000 x 3 x 1 need 240000");
  lvn_study_close(study);
}

/* The note on a series of two images when `bytes` stand behind the second one's pixels. */
static void note_with(const char *bytes, size_t count, char ret_note[LVN_TEXT_BYTES]) {
  char path[128];
  for (int i = 1; i <= 2; i++) {
    struct ct ct = ct_at(i, 5.0 * i);
    write_ct(&ct);
  }
  ct_path(path, 2);
  FILE *file = fopen(path, "ae");
  assert_non_null(file);
  assert_int_equal(fwrite(bytes, 1, count, file), count);
  assert_int_equal(fclose(file), 0);
  struct lvn_study *study = open_folder(folder);
  assert_int_equal(lvn_study_get_stack_count(study), 1);
  (void)lvn_copy(ret_note, LVN_TEXT_BYTES, lvn_study_get_stack(study, 0)->geometry_note);
  lvn_study_close(study);
}

static void test_study__says_that_a_file_goes_on_behind_its_pixels(void **state) {
  char note[LVN_TEXT_BYTES];
  (void)state;
  note_with("", 0, note);
  assert_string_equal(note, "");
  note_with("\x15\0\x1e\0", 4, note); /* as when two pixels were put in before them */
  assert_says(note, "image 998: its file goes on behind the pixel data");
  note_with("\xfc\xff\xfc\xffOB\0\0\4\0\0\0\0\0\0\0", 16, note); /* Data Set Trailing Padding */
  assert_string_equal(note, "");
}

static void test_study__refuses_bombs_before_the_full_parser(void **state) {
  struct bytes b = {0};
  char path[128];
  struct lvn_error err = {0};
  (void)state;
  put_meta(&b, "1.2.840.10008.1.2.1");
  put_text_element(&b, 0x00080016u, "UI", "1.2.840.10008.5.1.4.1.1.2");
  put_text_element(&b, 0x00080018u, "UI", "1.2.3.1.1");
  for (int i = 0; i < 10000; i++) {
    put_tag(&b, 0x00082112u);
    put_raw(&b, "SQ\0\0", 4);
    put_u32(&b, UINT32_MAX);
    put_tag(&b, 0xFFFEE000u);
    put_u32(&b, UINT32_MAX);
  }
  ct_path(path, 1);
  assert_int_equal(write_bytes(path, &b), 0);
  assert_null(try_open(folder, &err));
  assert_int_equal(err.code, LVN_ERROR_DATA);
  assert_says(err.message, "nested more than 32 deep");
  lvn_free(b.data);
}

/* Lossless syntaxes give the same HU; lossy ones of the same slice stay near. */
static void test_study__decodes_transfer_syntaxes(void **state) {
  static const struct {
    const char *uid;
    double mean_error_hu;
  } rows[] = {{"1.2.840.10008.1.2", 0.0},      {"1.2.840.10008.1.2.1.99", 0.0},  {"1.2.840.10008.1.2.5", 0.0},
              {"1.2.840.10008.1.2.4.57", 0.0}, {"1.2.840.10008.1.2.4.70", 0.0},  {"1.2.840.10008.1.2.4.80", 0.0},
              {"1.2.840.10008.1.2.4.90", 0.0}, {"1.2.840.10008.1.2.4.50", 30.0}, {"1.2.840.10008.1.2.4.53", 10.0},
              {"1.2.840.10008.1.2.4.55", 10.0}};
  const char *base = LVN_TEST_DATA "/ct_transfer_syntaxes/1.2.840.10008.1.2.1.dcm";
  struct lvn_study *study = NULL;
  struct lvn_volume reference;
  struct lvn_error err;
  (void)state;
  assert_true(lvn_study_open(&base, 1, &study, &err));
  reference = load(study, 0);
  lvn_study_close(study);
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    char path[512];
    const char *path_pointer = path;
    double sum = 0.0;
    size_t count = 0;
    (void)snprintf(path, sizeof path, LVN_TEST_DATA "/ct_transfer_syntaxes/%s.dcm", rows[i].uid);
    assert_true(lvn_study_open(&path_pointer, 1, &study, &err));
    struct lvn_volume volume = load(study, 0);
    for (size_t v = 0; v < (size_t)512 * 512; v++) {
      if (reference.hounsfield[v] != LVN_HU_PADDING && volume.hounsfield[v] != LVN_HU_PADDING) {
        sum += fabs((double)reference.hounsfield[v] - volume.hounsfield[v]);
        count++;
      }
    }
    if (rows[i].mean_error_hu > 0.0 ? !(sum / (double)count < rows[i].mean_error_hu)
                                    : memcmp(volume.hounsfield, reference.hounsfield, (size_t)512 * 512 * 2) != 0) {
      fail_msg("%s differs by %.3f HU on average", rows[i].uid, sum / (double)count);
    }
    lvn_volume_clear(&volume);
    lvn_study_close(study);
  }
  lvn_volume_clear(&reference);
}

static void test_study__opens_real_abdomen(void **state) {
  struct lvn_study *study = open_folder(LVN_TEST_DATA "/ct_liver_3slices");
  const struct lvn_stack *stack = lvn_study_get_stack(study, 0);
  struct lvn_volume volume;
  (void)state;
  assert_int_equal(lvn_study_get_stack_count(study), 1);
  assert_int_equal(stack->exclusion, LVN_EXCLUSION_NONE);
  assert_int_equal(stack->grid.size[0], 512);
  assert_int_equal(stack->grid.size[1], 512);
  assert_int_equal(stack->grid.size[2], 3);
  assert_true(fabs(stack->grid.origin_mm[2] + 128.69) < 0.01);
  assert_int_equal(lvn_study_get_object_count(study), 1);
  assert_int_equal(lvn_study_get_object(study, 0)->kind, LVN_OBJECT_SEG);
  assert_string_equal(lvn_study_get_object(study, 0)->content_datetime, "20160318174852");
  volume = load(study, 0);
  assert_int_equal(volume.hounsfield[0], LVN_HU_PADDING);
  lvn_volume_clear(&volume);
  lvn_study_close(study);
}

/* Larger samples, where the machine has them. */
static void test_study__reads_larger_samples(void **state) {
  const char *samples = getenv("LVN_SAMPLE_DATA");
  char where[LVN_PATH_BYTES];
  struct lvn_error err;
  (void)state;
  if (samples == NULL) {
    skip();
  }
  assert_true(lvn_path_join(where, samples, "dicom/ct_gantry_tilt", &err));
  struct lvn_study *study = open_folder(where);
  assert_int_equal(lvn_study_get_stack_count(study), 1);
  assert_says(lvn_study_get_stack(study, 0)->geometry_note, "gantry tilt 18.5 degrees resampled");
  struct lvn_volume volume = load(study, 0);
  assert_int_equal(volume.grid.size[2], 12);
  lvn_volume_clear(&volume);
  lvn_study_close(study);
  assert_true(lvn_path_join(where, samples, "dicom/enhanced/eCT_Supplemental.dcm", &err));
  const char *path = where;
  assert_true(lvn_study_open(&path, 1, &study, &err));
  assert_int_equal(lvn_study_get_stack(study, 0)->exclusion, LVN_EXCLUSION_SECONDARY);
  assert_int_equal(lvn_study_get_stack(study, 0)->slice_count, 2);
  /* Row cosines point right here, so the normal points to the feet: frame 2 (z -149) before frame 1 (z -159). */
  assert_int_equal(lvn_study_get_stack(study, 0)->slices[0].frame_number, 2);
  assert_string_equal(lvn_study_get_stack(study, 0)->enhanced_agent_phase, "DYNAMIC");
  lvn_study_close(study);
}

#define WITH_FOLDER(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      WITH_FOLDER(test_study__sorts_by_position_and_rescales_each_slice),
      WITH_FOLDER(test_study__refuses_missing_slices),
      WITH_FOLDER(test_study__leaves_duplicates_out),
      WITH_FOLDER(test_study__parts_acquisitions_in_the_same_places),
      WITH_FOLDER(test_study__keeps_one_acquisition_number_per_slice_together),
      WITH_FOLDER(test_study__splits_by_kernel_and_spacing),
      WITH_FOLDER(test_study__resamples_tilt),
      WITH_FOLDER(test_study__excludes_bolus_tracking),
      WITH_FOLDER(test_study__refuses_to_mix_patients_and_studies),
      WITH_FOLDER(test_study__refuses_pixel_data_that_do_not_fit),
      WITH_FOLDER(test_study__says_that_a_file_goes_on_behind_its_pixels),
      WITH_FOLDER(test_study__refuses_bombs_before_the_full_parser),
      cmocka_unit_test(test_study__decodes_transfer_syntaxes),
      cmocka_unit_test(test_study__opens_real_abdomen),
      cmocka_unit_test(test_study__reads_larger_samples),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
