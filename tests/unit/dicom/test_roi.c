#include "base/file.h"
#include "dicom/read/roi.h"
#include "dicom/write/phantom_objects.h"
#include "tests/unit/dicom/dicom_bytes.h"

#include <math.h>
#include <setjmp.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/unit/scratch.h"

#define SLICES 6

static char folder[SCRATCH_BYTES];
static const struct lvn_write_study study_words = {.study_instance_uid = "1.2.3",
                                                   .frame_of_reference_uid = "1.2.3.9",
                                                   .patient_id = "PHANTOM-1",
                                                   .patient_name = "Phantom^One",
                                                   .study_id = "1",
                                                   .accession_number = "A1",
                                                   .study_date = "20260101",
                                                   .study_time = "101500"};
static const struct lvn_grid grid = {.size = {40, 32, SLICES},
                                     .spacing_mm = {0.8, 0.75, 5.0},
                                     .origin_mm = {-120.5, -88.25, -300.0},
                                     .direction = {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}}};
static char sop_uids[SLICES][LVN_UID_BYTES];

static int setup(void **state) {
  struct lvn_volume volume = {0};
  struct lvn_error err = {0};
  const struct lvn_write_series series = {.series_instance_uid = "1.2.3.1",
                                          .uid_seed = "roi test",
                                          .series_number = 3,
                                          .series_description = "portal venous",
                                          .protocol_name = "Liver",
                                          .acquisition_time = "101600",
                                          .slice_thickness_mm = 5.0,
                                          .kernel = "B30f"};
  (void)state;
  (void)scratch_make(folder);
  if (!lvn_volume_create(&grid, &volume, &err)) {
    return -1;
  }
  for (size_t i = 0; i < (size_t)40 * 32 * SLICES; i++) {
    volume.hounsfield[i] = (int16_t)(i % 200);
  }
  bool ok = lvn_write_ct_series(folder, &study_words, &series, &volume, sop_uids, &err);
  lvn_volume_clear(&volume);
  if (!ok) {
    print_error("%s\n", err.message);
  }
  return ok ? 0 : -1;
}

static int teardown(void **state) {
  (void)state;
  scratch_remove(folder);
  return 0;
}

static struct lvn_study *open_files(const char *where, const char *extra) {
  struct lvn_file_names paths = {0};
  struct lvn_study *study = NULL;
  struct lvn_error err;
  const char *all[64];
  size_t count = 0;
  assert_true(lvn_file_walk(where, 60, &paths, &err));
  for (size_t i = 0; i < paths.count; i++) {
    all[count++] = paths.names[i];
  }
  if (extra != NULL) {
    all[count++] = extra;
  }
  if (!lvn_study_open(all, count, &study, &err)) {
    fail_msg("%s", err.message);
  }
  lvn_file_names_clear(&paths);
  return study;
}

static void assert_says(const char *text, const char *part) {
  if (strstr(text, part) == NULL) {
    fail_msg("'%s' does not say '%s'", text, part);
  }
}

/* A ball with a hole through one slice, and in another slice two parts that touch at a corner. */
static struct lvn_mask make_lesion(void) {
  struct lvn_mask mask = {0};
  struct lvn_error err;
  assert_true(lvn_mask_create(&grid, &mask, &err));
  for (int z = 0; z < SLICES; z++) {
    for (int y = 0; y < 32; y++) {
      for (int x = 0; x < 40; x++) {
        double r = hypot(hypot(0.8 * (x - 17), 0.75 * (y - 15)), 5.0 * (z - 2));
        bool inside = r < 8.0 && !(z == 2 && abs(x - 17) < 2 && abs(y - 15) < 3);
        inside = inside || (z == 3 && ((x == 33 && y == 4) || (x == 34 && y == 5)));
        mask.inside[(z * 32 + y) * 40 + x] = inside ? 1 : 0;
      }
    }
  }
  return mask;
}

/* In a box no larger than its voxels need. */
static void assert_same_voxels(const struct lvn_mask *found, const struct lvn_mask *expected) {
  uint32_t first[3];
  uint32_t last[3];
  assert_true(lvn_grid_is_same(&found->grid, &expected->grid));
  assert_true(lvn_mask_measure(expected, first, last, NULL) > 0);
  for (int axis = 0; axis < 3; axis++) {
    assert_int_equal(found->first[axis], first[axis]);
    assert_int_equal(found->size[axis], last[axis] - first[axis] + 1);
  }
  for (uint32_t z = 0; z < expected->grid.size[2]; z++) {
    for (uint32_t y = 0; y < expected->grid.size[1]; y++) {
      for (uint32_t x = 0; x < expected->grid.size[0]; x++) {
        assert_int_equal(lvn_mask_contains(found, x, y, z), lvn_mask_contains(expected, x, y, z));
      }
    }
  }
}

typedef bool (*write_roi)(const char *path, const struct lvn_write_study *study,
                          const struct lvn_write_roi_target *target, const struct lvn_write_roi *rois, size_t roi_count,
                          struct lvn_error *err);

static void write_object(write_roi write_it, const char *name, const char *label, const struct lvn_mask *mask) {
  const struct lvn_write_roi_target target = {
      .series_instance_uid = "1.2.3.1", .sop_instance_uids = (const char(*)[LVN_UID_BYTES])sop_uids, .grid = &grid};
  const struct lvn_write_roi roi = {.label = label, .tracking_uid = "1.2.3.77", .mask = mask};
  char path[128];
  struct lvn_error err;
  (void)snprintf(path, sizeof path, "%s/%s", folder, name);
  if (!write_it(path, &study_words, &target, &roi, 1, &err)) {
    fail_msg("%s", err.message);
  }
}

static void check_round_trip(write_roi write_it, enum lvn_object_kind kind, bool keeps_tracking) {
  struct lvn_mask mask = make_lesion();
  struct lvn_roi_list rois = {0};
  char note[LVN_TEXT_BYTES];
  struct lvn_error err;
  write_object(write_it, "roi.dcm", "Lesion 1", &mask);
  struct lvn_study *study = open_files(folder, NULL);
  assert_int_equal(lvn_study_get_object_count(study), 1);
  assert_int_equal(lvn_study_get_object(study, 0)->kind, kind);
  if (!lvn_roi_read_all(study, &rois, note, &err)) {
    fail_msg("%s", err.message);
  }
  if (rois.count != 1) {
    fail_msg("%zu ROIs: %s", rois.count, note);
  }
  assert_true(lvn_grid_is_same(&rois.items[0].mask.grid, &grid));
  assert_same_voxels(&rois.items[0].mask, &mask);
  assert_true(lvn_uid_is_valid(rois.items[0].tracking_uid));
  if (keeps_tracking) {
    assert_string_equal(rois.items[0].tracking_uid, "1.2.3.77");
  }
  assert_int_equal(rois.items[0].source_kind, kind);
  lvn_roi_list_clear(&rois);
  lvn_study_close(study);
  lvn_mask_clear(&mask);
}

static void test_roi__reads_written_rtstruct_back(void **state) {
  (void)state;
  check_round_trip(lvn_write_roi_rtstruct, LVN_OBJECT_RTSTRUCT, false);
}

static void test_roi__reads_written_seg_back(void **state) {
  (void)state;
  check_round_trip(lvn_write_roi_seg, LVN_OBJECT_SEG, true);
}

/* An SR's outline has no holes: the same lesion without one. */
static void test_roi__reads_written_sr_back(void **state) {
  struct lvn_mask mask = {0};
  struct lvn_roi_list rois = {0};
  char note[LVN_TEXT_BYTES];
  struct lvn_error err;
  (void)state;
  assert_true(lvn_mask_create(&grid, &mask, &err));
  for (size_t z = 1; z < 4; z++) {
    for (size_t y = 5; y < 14 + z; y++) {
      memset(mask.inside + (z * 32 + y) * 40 + 8 + z, 1, y + 2);
    }
  }
  write_object(lvn_write_roi_sr, "roi.dcm", "Lesion 1", &mask);
  struct lvn_study *study = open_files(folder, NULL);
  if (!lvn_roi_read_all(study, &rois, note, &err)) {
    fail_msg("%s", err.message);
  }
  if (rois.count != 1) {
    fail_msg("%zu ROIs: %s", rois.count, note);
  }
  assert_same_voxels(&rois.items[0].mask, &mask);
  assert_string_equal(rois.items[0].tracking_uid, "1.2.3.77");
  lvn_roi_list_clear(&rois);
  lvn_study_close(study);
  lvn_mask_clear(&mask);
}

/* The same lesion as SEG and RTSTRUCT is one lesion. */
static void test_roi__counts_a_lesion_once(void **state) {
  struct lvn_mask mask = make_lesion();
  struct lvn_roi_list rois = {0};
  char note[LVN_TEXT_BYTES];
  struct lvn_error err;
  (void)state;
  write_object(lvn_write_roi_rtstruct, "a.dcm", "Lesion 1", &mask);
  write_object(lvn_write_roi_seg, "b.dcm", "HCC", &mask);
  struct lvn_study *study = open_files(folder, NULL);
  assert_int_equal(lvn_study_get_object_count(study), 2);
  assert_true(lvn_roi_read_all(study, &rois, note, &err));
  assert_int_equal(rois.count, 1);
  assert_says(note, "an older ROI of the same lesion left out");
  lvn_roi_list_clear(&rois);
  lvn_study_close(study);
  lvn_mask_clear(&mask);
}

static void test_roi__leaves_organs_out(void **state) {
  static const char *const files[] = {LVN_TEST_DATA "/ct_liver_3slices/liver.dcm", LVN_TEST_DATA "/seg/liver_rle.dcm"};
  (void)state;
  struct lvn_mask first = {0};
  for (size_t i = 0; i < 2; i++) {
    const char *paths[] = {LVN_TEST_DATA "/ct_liver_3slices/01.dcm", LVN_TEST_DATA "/ct_liver_3slices/02.dcm",
                           LVN_TEST_DATA "/ct_liver_3slices/03.dcm", files[i]};
    struct lvn_study *study = NULL;
    struct lvn_roi_list rois = {0};
    char note[LVN_TEXT_BYTES];
    struct lvn_error err;
    assert_true(lvn_study_open(paths, 4, &study, &err));
    assert_true(lvn_roi_read(study, 0, &rois, note, &err));
    assert_int_equal(rois.count, 0);
    assert_string_equal(note, "ROI 1 left out: it is named liver");
    lvn_roi_list_clear(&rois);
    assert_true(lvn_roi_read_any(study, 0, &rois, note, &err));
    assert_int_equal(rois.count, 1);
    assert_string_equal(rois.items[0].label, "Liver");
    assert_int_equal(lvn_mask_measure(&rois.items[0].mask, NULL, NULL, NULL), 107098);
    if (first.inside == NULL) { /* uncompressed and RLE are the same segmentation */
      first = rois.items[0].mask;
      rois.items[0].mask.inside = NULL;
    } else {
      assert_same_voxels(&rois.items[0].mask, &first);
    }
    lvn_roi_list_clear(&rois);
    lvn_study_close(study);
  }
  lvn_mask_clear(&first);
}

/* The sample objects alone: read or refused with the reason, organs kept. */
static void test_roi__reads_or_refuses_samples(void **state) {
  static const struct {
    const char *name;
    const char *says;
  } rows[] = {{"seg/seg_image_ct_binary.dcm", "absent slice"},
              {"seg/seg_image_ct_true_fractional.dcm", "absent slice"},
              {"seg/sparse-labelmap-ppv5.dcm", "absent slice"},
              {"rtstruct/rt.dcm", "absent slice"},
              {"rtstruct/invalid_reference_rt.dcm", "absent slice"},
              {"sr/sr_document.dcm", "that is not among the CT slices"},
              {"sr/ohif_dcmjs_sample-sr.dcm", "ROI 1 left out: a measurement or mark without an area"}};
  (void)state;
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    char path[256];
    const char *path_pointer = path;
    struct lvn_study *study = NULL;
    struct lvn_roi_list rois = {0};
    char note[LVN_TEXT_BYTES];
    struct lvn_error err;
    (void)snprintf(path, sizeof path, "%s/%s", LVN_TEST_DATA, rows[i].name);
    assert_true(lvn_study_open(&path_pointer, 1, &study, &err));
    if (lvn_roi_read_any(study, 0, &rois, note, &err)) {
      assert_int_equal(rois.count, 0);
      assert_says(note, rows[i].says);
      lvn_roi_list_clear(&rois);
    } else {
      assert_int_equal(err.code, LVN_ERROR_DATA);
      assert_says(err.message, rows[i].says);
    }
    lvn_study_close(study);
  }
}

/* highdicom's circle on its CT: centre and radius of the SCOORD, in pixels. */
static void test_roi__reads_circle_of_highdicom(void **state) {
  const char *paths[] = {LVN_TEST_DATA "/seg/ct_image.dcm", LVN_TEST_DATA "/sr/sr_document.dcm"};
  struct lvn_study *study = NULL;
  struct lvn_roi_list rois = {0};
  char note[LVN_TEXT_BYTES];
  struct lvn_error err;
  double centre[3];
  double index[3];
  (void)state;
  assert_true(lvn_study_open(paths, 2, &study, &err));
  assert_true(lvn_roi_read(study, 0, &rois, note, &err));
  assert_int_equal(rois.count, 0);
  assert_says(note, "spinal cord");
  lvn_roi_list_clear(&rois);
  assert_true(lvn_roi_read_any(study, 0, &rois, note, &err));
  assert_int_equal(rois.count, 1);
  assert_string_equal(rois.items[0].tracking_id, "Planar ROI Measurements");
  (void)lvn_mask_measure(&rois.items[0].mask, NULL, NULL, centre);
  lvn_grid_to_index(&rois.items[0].mask.grid, centre, index);
  assert_true(fabs(index[0] - 57.5) < 0.51 && fabs(index[1] - 51.5) < 0.51); /* SCOORD centre (58, 52) */
  lvn_roi_list_clear(&rois);
  lvn_study_close(study);
}

static void put_contour_items(struct bytes *b, uint32_t tag, const struct bytes *item) {
  put_tag(b, tag);
  put_raw(b, "SQ\0\0", 4);
  put_u32(b, (uint32_t)item->count + 8);
  put_tag(b, 0xFFFEE000u);
  put_u32(b, (uint32_t)item->count);
  put_raw(b, item->data, item->count);
}

/* An RT Structure Set with one ROI of one contour. */
static void write_rtstruct(const char *name, const char *roi_name, int points, const char *data, const char *model) {
  struct bytes contour = {0};
  struct bytes roi = {0};
  struct bytes structure = {0};
  struct bytes b = {0};
  char path[128];
  put_text_element(&contour, 0x30060042u, "CS", "CLOSED_PLANAR");
  put_text_element(&contour, 0x30060046u, "IS", "%d", points);
  put_text_element(&contour, 0x30060050u, "DS", "%s", data);
  put_contour_items(&roi, 0x30060040u, &contour);
  put_text_element(&roi, 0x30060084u, "IS", "1");
  put_text_element(&structure, 0x30060022u, "IS", "1");
  put_text_element(&structure, 0x30060024u, "UI", "1.2.3.9");
  put_text_element(&structure, 0x30060026u, "LO", "%s", roi_name);
  put_meta(&b, "1.2.840.10008.1.2.1");
  put_text_element(&b, 0x00080016u, "UI", "1.2.840.10008.5.1.4.1.1.481.3");
  put_text_element(&b, 0x00080018u, "UI", "1.2.3.5.1");
  put_text_element(&b, 0x00081090u, "LO", "%s", model);
  put_text_element(&b, 0x00100020u, "LO", "PHANTOM-1");
  put_text_element(&b, 0x0020000Du, "UI", "1.2.3");
  put_text_element(&b, 0x0020000Eu, "UI", "1.2.3.5");
  put_contour_items(&b, 0x30060020u, &structure);
  put_contour_items(&b, 0x30060039u, &roi);
  (void)snprintf(path, sizeof path, "%s/%s", folder, name);
  assert_int_equal(write_bytes(path, &b), 0);
  lvn_free(contour.data);
  lvn_free(roi.data);
  lvn_free(structure.data);
  lvn_free(b.data);
}

static void test_roi__refuses_contours_that_cannot_be_used(void **state) {
  static const struct {
    int points;
    const char *data;
    const char *says; /* NULL: fine */
  } rows[] = {
      {4, "-110\\-80\\-295\\-100\\-80\\-295\\-100\\-70\\-295\\-110\\-70\\-295", NULL},
      {4, "-110\\-80\\-293\\-100\\-80\\-293\\-100\\-70\\-293\\-110\\-70\\-293", NULL}, /* nearest slice */
      {5, "-110\\-80\\-295\\-100\\-80\\-295\\-100\\-70\\-295\\-110\\-70\\-295", "declares 5 points but has 12 values"},
      {4, "-110\\-80\\-250\\-100\\-80\\-250\\-100\\-70\\-250\\-110\\-70\\-250", "absent slice"},
      {4, "-110\\-80\\-295\\-100\\-80\\-295\\-100\\-70\\-280\\-110\\-70\\-280", "does not lie on a CT slice"},
      {3, "-110\\-80\\-295\\-109.9\\-80\\-295\\-109.9\\-79.9\\-295", "covers no pixel"},
  };
  (void)state;
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    struct lvn_roi_list rois = {0};
    char note[LVN_TEXT_BYTES];
    struct lvn_error err;
    write_rtstruct("roi.dcm", "Lesion", rows[i].points, rows[i].data, "Other");
    struct lvn_study *study = open_files(folder, NULL);
    bool ok = lvn_roi_read_all(study, &rois, note, &err);
    if (ok != (rows[i].says == NULL)) {
      fail_msg("row %zu: %s", i, ok ? "accepted" : err.message);
    }
    if (ok) {
      assert_int_equal(rois.count, 1);
    } else {
      assert_says(err.message, "ROI 1");
      assert_says(err.message, rows[i].says);
    }
    lvn_roi_list_clear(&rois);
    lvn_study_close(study);
  }
}

/* What this node wrote is an answer, never a question. */
static void test_roi__ignores_own_results(void **state) {
  (void)state;
  write_rtstruct("roi.dcm", "Lesion", 4, "-110\\-80\\-295\\-100\\-80\\-295\\-100\\-70\\-295\\-110\\-70\\-295",
                 "Liver-VLM node");
  struct lvn_study *study = open_files(folder, NULL);
  assert_int_equal(lvn_study_get_object_count(study), 1);
  assert_int_equal(lvn_study_get_object(study, 0)->kind, LVN_OBJECT_OTHER);
  lvn_study_close(study);
}

#define WITH_STUDY(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      WITH_STUDY(test_roi__reads_written_rtstruct_back),
      WITH_STUDY(test_roi__reads_written_seg_back),
      WITH_STUDY(test_roi__reads_written_sr_back),
      WITH_STUDY(test_roi__counts_a_lesion_once),
      WITH_STUDY(test_roi__refuses_contours_that_cannot_be_used),
      WITH_STUDY(test_roi__ignores_own_results),
      cmocka_unit_test(test_roi__leaves_organs_out),
      cmocka_unit_test(test_roi__reads_or_refuses_samples),
      cmocka_unit_test(test_roi__reads_circle_of_highdicom),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
