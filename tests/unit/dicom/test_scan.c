/* What the bounded scan finds, and its bounds. */
#include "tests/unit/dicom/scan_fixture.h"

static void test_scan__reads_wanted_attributes(void **state) {
  struct bytes b = {0};
  struct lvn_scan found;
  struct lvn_error err;
  (void)state;
  put_head(&b);
  assert_true(scan(&b, EXPLICIT, &found, &err));
  assert_string_equal(found.sop_class_uid, "1.2.840.10008.5.1.4.1.1.2");
  assert_string_equal(found.sop_instance_uid, "1.2.3.4");
  assert_string_equal(found.study_instance_uid, "1.2.3");
  assert_string_equal(found.series_instance_uid, "1.2.3.1");
  assert_string_equal(found.modality, "CT");
  assert_string_equal(found.patient_id, "PHANTOM-1");
  assert_string_equal(found.issuer_of_patient_id, "SITE");
  assert_string_equal(found.transfer_syntax_uid, EXPLICIT);
  assert_false(found.is_odd);
  assert_string_equal(found.problem, "");
  lvn_free(b.data);
}

/* Items of undefined length, `depth` sequences deep, closed properly. */
static void put_nest(struct bytes *b, size_t depth, bool is_explicit) {
  for (size_t i = 0; i < depth; i++) {
    put_tag(b, 0x00400260u);
    if (is_explicit) {
      put_raw(b, "SQ\0\0", 4);
    }
    put_u32(b, UINT32_MAX);
    put_tag(b, 0xFFFEE000u);
    put_u32(b, UINT32_MAX);
  }
  for (size_t i = 0; i < depth; i++) {
    put_tag(b, 0xFFFEE00Du);
    put_u32(b, 0);
    put_tag(b, 0xFFFEE0DDu);
    put_u32(b, 0);
  }
}

static void test_scan__limits_nesting(void **state) {
  static const size_t bombs[] = {33, 64, 1000, 10000, 100000};
  struct bytes fine = {0};
  struct lvn_scan found;
  struct lvn_error err;
  (void)state;
  put_head(&fine);
  put_nest(&fine, 32, true);
  assert_true(scan(&fine, EXPLICIT, &found, &err));
  lvn_free(fine.data);
  for (size_t i = 0; i < sizeof bombs / sizeof bombs[0]; i++) {
    struct bytes b = {0};
    put_head(&b);
    put_nest(&b, bombs[i], true);
    assert_not_parsed(&b, EXPLICIT, "nested more than 32 deep");
    lvn_free(b.data);
  }
}

/* Defined lengths in implicit VR: nothing but the Item tag tells a sequence. */
static void test_scan__limits_nesting_of_hidden_sequences(void **state) {
  struct bytes head = {0};
  struct bytes nest = {0};
  struct bytes all = {0};
  (void)state;
  for (int depth = 0; depth < 64; depth++) {
    struct bytes outer = {0};
    put_tag(&outer, 0x00400260u);
    put_u32(&outer, (uint32_t)nest.count + 8);
    put_tag(&outer, 0xFFFEE000u);
    put_u32(&outer, (uint32_t)nest.count);
    put_raw(&outer, nest.data, nest.count);
    lvn_free(nest.data);
    nest = outer;
  }
  put_implicit_head(&head);
  put_raw(&all, head.data, head.count);
  put_raw(&all, nest.data, nest.count);
  assert_not_parsed(&all, IMPLICIT, "nested more than 32 deep");
  lvn_free(head.data);
  lvn_free(nest.data);
  lvn_free(all.data);
}

/* UN of undefined length holds implicit VR (PS3.5 6.2.2): the same bomb in other clothes. */
static void test_scan__limits_nesting_inside_un(void **state) {
  struct bytes b = {0};
  (void)state;
  put_head(&b);
  put_tag(&b, 0x00410010u);
  put_raw(&b, "UN\0\0", 4);
  put_u32(&b, UINT32_MAX);
  put_tag(&b, 0xFFFEE000u);
  put_u32(&b, UINT32_MAX);
  put_nest(&b, 40, false);
  assert_not_parsed(&b, EXPLICIT, "nested more than 32 deep");
  lvn_free(b.data);
}

static void test_scan__refuses_every_truncation(void **state) {
  struct bytes b = {0};
  struct lvn_scan found;
  struct lvn_error err;
  size_t head = 0;
  size_t tail = 0;
  (void)state;
  put_head(&b);
  head = b.count;
  put_text_element(&b, 0x00280002u, "US", "ab");
  put_nest(&b, 3, true);
  tail = b.count - 3 * 16;
  put_element(&b, 0x7FE00010u, "OW", "12345678", 8);
  assert_true(scan(&b, EXPLICIT, &found, &err));
  for (size_t cut = 0; cut < b.count; cut++) {
    bool is_between_elements = cut == head || cut == head + 10 || cut == b.count - 20;
    /* A copy of exactly `cut` bytes, so that a sanitizer sees any byte read behind it. */
    uint8_t *copy = malloc(cut == 0 ? 1 : cut); /* allow: exact size for the sanitizer */
    memcpy(copy, b.data, cut);
    bool is_known = lvn_scan_dataset(copy, cut, true, EXPLICIT, &found, &err);
    assert_int_equal(is_known, cut >= head);
    bool is_whole = is_known && found.problem[0] == '\0';
    if (cut < tail || cut >= tail + 48 || (cut - tail) % 8 != 0) {
      if (is_whole != is_between_elements) {
        fail_msg("cut at %zu (head %zu, tail %zu, all %zu): '%s'", cut, head, tail, b.count, found.problem);
      }
    }
    if (cut > head + 10) {
      assert_true(lvn_scan_dataset(copy, cut, false, EXPLICIT, &found, &err));
    }
    free(copy); /* allow: pairs with malloc */
  }
  lvn_free(b.data);
}

static void test_scan__refuses_what_contradicts_itself(void **state) {
  static const struct {
    const char *vr;
    uint32_t length;
    const char *reason;
  } rows[] = {
      {"OB", 0xFFFFFFFFu, "undefined length"}, {"UT", 0xFFFFFFFEu, "the data end"},
      {"SQ", 0xFFFFFFF0u, "the data end"},     {"SQ", 4, "beyond the end"},
      {"UN", 0x7FFFFFFFu, "the data end"},     {"XX", 0x7FFFFFFFu, "value representation"},
  };
  (void)state;
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    struct bytes b = {0};
    put_head(&b);
    put_tag(&b, 0x00400555u);
    put_raw(&b, rows[i].vr, 2);
    put_u16(&b, 0);
    put_u32(&b, rows[i].length);
    put_raw(&b, "\xFE\xFF\x00\xE0\0\0\0\0", 8);
    assert_not_parsed(&b, EXPLICIT, rows[i].reason);
    lvn_free(b.data);
  }
}

static void test_scan__refuses_bad_identity(void **state) {
  struct bytes b = {0};
  (void)state;
  put_text_element(&b, 0x00080016u, "UI", "1.2..3");
  assert_refused(&b, EXPLICIT, "no valid UID");
  b.count = 0;
  put_text_element(&b, 0x00080018u, "UI", "../../etc/passwd");
  assert_refused(&b, EXPLICIT, "no valid UID");
  b.count = 0;
  put_head(&b);
  put_text_element(&b, 0x0020000Du, "UI", "1.2.9");
  assert_not_parsed(&b, EXPLICIT, "Study Instance UID is there twice");
  b.count = 0;
  put_text_element(&b, 0x00080018u, "UI", "1.2.3");
  assert_refused(&b, EXPLICIT, "SOP Class UID is missing");
  b.count = 0;
  put_text_element(&b, 0x00100010u, "PN", "A^B");
  assert_refused(&b, EXPLICIT, "SOP Class UID is missing");
  b.count = 0;
  put_raw(&b, "What follows is a letter and no data set at all.", 48);
  assert_refused(&b, EXPLICIT, "another transfer syntax");
  b.count = 0;
  put_head(&b);
  assert_not_parsed(&b, "1.2.3.4.5", "transfer syntax");
  lvn_free(b.data);
}

/* Patient IDs too long for the field still compare as they are. */
static void test_scan__keeps_long_patient_ids_apart(void **state) {
  char id[2][101];
  char found_id[2][LVN_UID_BYTES];
  (void)state;
  for (int i = 0; i < 2; i++) {
    struct bytes b = {0};
    struct lvn_scan found;
    struct lvn_error err;
    memset(id[i], 'x', 100);
    id[i][99] = (char)('0' + i);
    id[i][100] = '\0';
    put_text_element(&b, 0x00080016u, "UI", "1.2");
    put_text_element(&b, 0x00080018u, "UI", "1.3");
    put_text_element(&b, 0x00100020u, "LO", "%s", id[i]);
    put_text_element(&b, 0x0020000Du, "UI", "1.4");
    put_text_element(&b, 0x0020000Eu, "UI", "1.5");
    assert_true(scan(&b, EXPLICIT, &found, &err));
    memcpy(found_id[i], found.patient_id, LVN_UID_BYTES);
    lvn_free(b.data);
  }
  assert_string_not_equal(found_id[0], found_id[1]);
}

static void test_scan__reads_big_endian(void **state) {
  static const uint8_t data[] = {0x00, 0x08, 0x00, 0x16, 'U', 'I', 0, 4, '1', '.', '2', 0,
                                 0x00, 0x08, 0x00, 0x18, 'U', 'I', 0, 4, '1', '.', '3', 0,
                                 0x00, 0x20, 0x00, 0x0D, 'U', 'I', 0, 4, '1', '.', '4', 0,
                                 0x00, 0x20, 0x00, 0x0E, 'U', 'I', 0, 4, '1', '.', '5', 0};
  struct lvn_scan found;
  struct lvn_error err;
  (void)state;
  assert_true(lvn_scan_dataset(data, sizeof data, true, BIG_ENDIAN_EXPLICIT, &found, &err));
  assert_string_equal(found.series_instance_uid, "1.5");
  assert_false(found.is_odd);
  /* Declared as little endian, too. */
  assert_true(lvn_scan_dataset(data, sizeof data, true, EXPLICIT, &found, &err));
  assert_string_equal(found.series_instance_uid, "1.5");
  assert_string_equal(found.transfer_syntax_uid, BIG_ENDIAN_EXPLICIT);
  assert_true(found.is_odd);
}

static void deflate_bytes(const struct bytes *plain, struct bytes *packed) {
  deflate_window(plain, packed, -MAX_WBITS);
}

static void test_scan__inflates_within_bounds(void **state) {
  struct bytes plain = {0};
  struct bytes packed = {0};
  struct lvn_scan found;
  struct lvn_error err;
  (void)state;
  put_head(&plain);
  put_nest(&plain, 100, true);
  deflate_bytes(&plain, &packed);
  assert_not_parsed(&packed, DEFLATED, "nested more than 32 deep");
  packed.count = 0;
  plain.count = 0;
  put_head(&plain);
  for (int i = 0; i < 40; i++) {
    static const uint8_t zeros[60000];
    put_element(&plain, 0x00290000u + (unsigned)i, "OB", zeros, sizeof zeros);
  }
  deflate_bytes(&plain, &packed);
  assert_true(packed.count < plain.count / 100);
  assert_true(scan(&packed, DEFLATED, &found, &err));
  assert_string_equal(found.sop_instance_uid, "1.2.3.4");
  packed.count /= 2;
  assert_not_parsed(&packed, DEFLATED, "the data end inside its value");
  packed.data[10] ^= 0x55;
  packed.data[11] ^= 0x55;
  (void)scan(&packed, DEFLATED, &found, &err);
  lvn_free(plain.data);
  lvn_free(packed.data);
}

static void test_scan__reads_sample_files(void **state) {
  static const char *const names[] = {"ct_liver_3slices", "ct_transfer_syntaxes", "seg", "sr", "rtstruct"};
  size_t read = 0;
  (void)state;
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    char folder[LVN_PATH_BYTES];
    struct lvn_error err;
    struct lvn_file_names paths = {0};
    assert_true(lvn_path_join(folder, LVN_TEST_DATA, names[i], &err));
    assert_true(lvn_file_walk(folder, 1000, &paths, &err));
    for (size_t k = 0; k < paths.count; k++) {
      struct lvn_scan found;
      if (!lvn_scan_file(paths.names[k], &found, &err)) {
        fail_msg("%s", err.message);
      }
      assert_true(found.dataset_offset > 132);
      read++;
    }
    lvn_file_names_clear(&paths);
  }
  assert_true(read >= 20);
}

static void test_scan__refuses_files_that_are_not_dicom(void **state) {
  struct lvn_scan found;
  struct lvn_error err = {0};
  (void)state;
  assert_false(lvn_scan_file(LVN_TEST_DATA "/README.md", &found, &err));
  assert_int_equal(err.code, LVN_ERROR_DATA);
  assert_non_null(strstr(err.message, "README.md"));
  assert_false(lvn_scan_file(LVN_TEST_DATA "/absent", &found, &err));
  assert_int_equal(err.code, LVN_ERROR_IO);
  assert_false(lvn_scan_file(LVN_TEST_DATA, &found, &err));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_scan__reads_wanted_attributes),
      cmocka_unit_test(test_scan__limits_nesting),
      cmocka_unit_test(test_scan__limits_nesting_of_hidden_sequences),
      cmocka_unit_test(test_scan__limits_nesting_inside_un),
      cmocka_unit_test(test_scan__refuses_every_truncation),
      cmocka_unit_test(test_scan__refuses_what_contradicts_itself),
      cmocka_unit_test(test_scan__refuses_bad_identity),
      cmocka_unit_test(test_scan__keeps_long_patient_ids_apart),
      cmocka_unit_test(test_scan__reads_big_endian),
      cmocka_unit_test(test_scan__inflates_within_bounds),
      cmocka_unit_test(test_scan__reads_sample_files),
      cmocka_unit_test(test_scan__refuses_files_that_are_not_dicom),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
