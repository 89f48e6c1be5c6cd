/* What other toolkits read is read: files and data sets as their writers leave them. */
#include "tests/unit/dicom/scan_fixture.h"

static void test_scan__inflates_zlib_wrapping(void **state) {
  struct bytes plain = {0};
  struct bytes packed = {0};
  (void)state;
  put_head(&plain);
  put_text_element(&plain, 0x00280004u, "CS", "MONOCHROME2");
  deflate_window(&plain, &packed, MAX_WBITS);
  assert_mended(&packed, DEFLATED);
  lvn_free(plain.data);
  lvn_free(packed.data);
}

static void test_scan__takes_uids_as_they_come(void **state) {
  static const struct {
    const char *written;
    const char *read;
  } uids[] = {{"1.2.840.113704.1.111.0042.7", "1.2.840.113704.1.111.0042.7"},
              {"01.2.3", "01.2.3"},
              {"1.2.3 ", "1.2.3"},
              {"1.2.3\r\n", "1.2.3"},
              {" 1.2.3", "1.2.3"},
              {"0.00.1", "0.00.1"}};
  (void)state;
  for (size_t i = 0; i < sizeof uids / sizeof uids[0]; i++) {
    struct bytes b = {0};
    struct lvn_scan found;
    struct lvn_error err;
    put_text_element(&b, 0x00080016u, "UI", "1.2.840.10008.5.1.4.1.1.2");
    put_text_element(&b, 0x00080018u, "UI", "%s", uids[i].written);
    put_element(&b, 0x0020000Du, "UI", "1.2.3\0\0\0", 8);
    put_element(&b, 0x0020000Eu, "UI", "1.2.4\0.9", 8); /* what stands behind the zero byte belongs to nobody */
    assert_true(scan(&b, EXPLICIT, &found, &err));
    assert_string_equal(found.sop_instance_uid, uids[i].read);
    assert_string_equal(found.study_instance_uid, "1.2.3");
    assert_string_equal(found.series_instance_uid, "1.2.4");
    lvn_free(b.data);
  }
}

/* One element, or several in a row, whose VR is none; then ordinary ones. */
static void test_scan__takes_unknown_vrs_as_un(void **state) {
  static const char *const vrs[] = {"??", "  ", "\0\0", "OX", "ox", "Us", "--", "\xFF\xFE"};
  (void)state;
  for (size_t i = 0; i < sizeof vrs / sizeof vrs[0]; i++) {
    for (unsigned count = 1; count <= 3; count++) {
      struct bytes b = {0};
      put_head(&b);
      put_text_element(&b, 0x00210010u, "LO", "PRIVATE");
      for (unsigned k = 0; k < count; k++) {
        put_tag(&b, 0x00211001u + k);
        put_raw(&b, vrs[i], 2);
        put_u16(&b, 4 + 2 * k);
        put_raw(&b, "ABCDEFGH", 4 + 2 * k);
      }
      put_us(&b, 0x00280010u, 256);
      assert_mended(&b, EXPLICIT);
      lvn_free(b.data);
    }
  }
}

static void test_scan__takes_elements_in_implicit_form(void **state) {
  static const size_t lengths[] = {0, 2, 4, 10, 300, 70000};
  static const uint8_t value[70000] = {'A', 'B', 1, 2};
  (void)state;
  for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
    struct bytes b = {0};
    put_head(&b);
    put_implicit(&b, 0x00211001u, value, lengths[i]);
    put_implicit(&b, 0x00211002u, value, lengths[i]);
    put_us(&b, 0x00280010u, 256);
    put_us(&b, 0x00280011u, 256);
    assert_mended(&b, EXPLICIT);
    lvn_free(b.data);
  }
}

static void test_scan__takes_short_and_long_lengths(void **state) {
  struct bytes b = {0};
  (void)state;
  put_head(&b);
  put_tag(&b, 0x00211001u);
  put_raw(&b, "UN\4\0ABCD", 8); /* 16 bits of length where 32 belong */
  put_us(&b, 0x00280010u, 256);
  assert_mended(&b, EXPLICIT);
  b.count = 0;
  put_head(&b);
  put_tag(&b, 0x00211001u);
  put_raw(&b, "??\0\0\4\0\0\0ABCD", 12);
  put_us(&b, 0x00280010u, 256);
  assert_mended(&b, EXPLICIT);
  lvn_free(b.data);
}

static void test_scan__leaves_out_fillers(void **state) {
  static const uint8_t fillers[] = {0x00, 0xFF, ' '};
  static const size_t counts[] = {1, 2, 7, 8, 9, 12, 64, 20000};
  static const char *const syntaxes[] = {EXPLICIT, IMPLICIT};
  (void)state;
  for (size_t i = 0; i < 3 * 8 * 2; i++) {
    struct bytes b = {0};
    if (i % 2 == 0) {
      put_head(&b);
    } else {
      put_implicit_head(&b);
    }
    for (size_t k = 0; k < counts[i / 2 % 8]; k++) {
      put_raw(&b, &fillers[i / 16], 1);
    }
    assert_mended(&b, syntaxes[i % 2]);
    lvn_free(b.data);
  }
}

/* Nothing behind an image's pixels can change them; elsewhere the same is damage. */
static void test_scan__leaves_out_what_follows_the_pixels(void **state) {
  static const char junk[] = "left over from another file in the same block";
  struct bytes b = {0};
  (void)state;
  put_head(&b);
  put_raw(&b, junk, sizeof junk);
  assert_not_parsed(&b, EXPLICIT, "value representation");
  b.count = 0;
  put_head(&b);
  put_element(&b, 0x7FE00010u, "OW", "12345678", 8);
  put_raw(&b, junk, sizeof junk);
  assert_mended(&b, EXPLICIT);
  lvn_free(b.data);
}

static void put_delimiter(struct bytes *b, uint32_t tag) {
  put_tag(b, tag);
  put_u32(b, 0);
}

static void put_open_sequence(struct bytes *b, uint32_t tag) {
  put_tag(b, tag);
  put_raw(b, "SQ\0\0", 4);
  put_u32(b, UINT32_MAX);
}

static void put_open_item(struct bytes *b) {
  put_tag(b, 0xFFFEE000u);
  put_u32(b, UINT32_MAX);
  put_text_element(b, 0x00081150u, "UI", "1.2");
}

/* `ends` names what closes the first item and the sequence: i, s: the delimiters; 0: eight zeros. */
static void test_scan__closes_sequences_without_their_delimiters(void **state) {
  static const char *const ends[] = {"0s", "i0", "00", "s", "i", "ss", "ii", "", "is0"};
  (void)state;
  for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
    for (int is_last = 0; is_last < 2; is_last++) {
      struct bytes b = {0};
      if (ends[i][0] == '\0' && is_last == 0) {
        continue; /* what follows would be of the item */
      }
      put_head(&b);
      put_open_sequence(&b, 0x00400260u);
      put_open_item(&b);
      for (const char *end = ends[i]; *end != '\0'; end++) {
        put_delimiter(&b, *end == 'i' ? 0xFFFEE00Du : *end == 's' ? 0xFFFEE0DDu : 0);
      }
      if (is_last == 0) {
        put_us(&b, 0x00540010u, 1);
      }
      assert_mended(&b, EXPLICIT);
      lvn_free(b.data);
    }
  }
}

/* An item without its delimiter before the next one. */
static void test_scan__closes_an_item_where_the_next_begins(void **state) {
  struct bytes b = {0};
  (void)state;
  put_head(&b);
  put_open_sequence(&b, 0x00400260u);
  put_open_item(&b);
  put_open_item(&b);
  put_delimiter(&b, 0xFFFEE00Du);
  put_delimiter(&b, 0xFFFEE0DDu);
  assert_mended(&b, EXPLICIT);
  lvn_free(b.data);
}

/* The data end inside nested items: cut off rather than undelimited. */
static void test_scan__a_deep_end_is_a_problem(void **state) {
  struct bytes b = {0};
  (void)state;
  put_head(&b);
  put_open_sequence(&b, 0x30060039u);
  put_open_item(&b);
  put_open_sequence(&b, 0x30060040u);
  put_open_item(&b);
  assert_not_parsed(&b, EXPLICIT, "the data end");
  lvn_free(b.data);
}

static void test_scan__closes_pixels_without_delimiter(void **state) {
  static const uint8_t zeros[64];
  static const size_t counts[] = {0, 8, 16, 24, 64};
  (void)state;
  for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
    struct bytes b = {0};
    put_head(&b);
    put_tag(&b, 0x7FE00010u);
    put_raw(&b, "OB\0\0", 4);
    put_u32(&b, UINT32_MAX);
    put_delimiter(&b, 0xFFFEE000u);
    put_tag(&b, 0xFFFEE000u);
    put_u32(&b, 4);
    put_raw(&b, "\1\2\3\4", 4);
    put_raw(&b, zeros, counts[i]);
    assert_mended(&b, "1.2.840.10008.1.2.5");
    lvn_free(b.data);
  }
}

/* Bytes that begin like an item, in implicit VR: a private value is bytes then, a standard sequence damaged. */
static void test_scan__private_bytes_may_begin_like_an_item(void **state) {
  static const uint8_t values[][16] = {
      {0xFE, 0xFF, 0x00, 0xE0, 0xFF, 0xFF, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8},
      {0xFE, 0xFF, 0x00, 0xE0, 8, 0, 0, 0, 1, 2, 3, 4, 200, 6, 7, 8},
      {0xFE, 0xFF, 0x00, 0xE0, 4, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8},
      {0xFE, 0xFF, 0x00, 0xE0, 0xFF, 0xFF, 0xFF, 0xFF, 1, 2, 3, 4, 5, 6, 7, 8},
  };
  (void)state;
  for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
    struct bytes b = {0};
    put_implicit(&b, 0x00080016u, "1.2.840.10008.5.1.4.1.1.2", 25);
    put_implicit(&b, 0x00080018u, "1.2.3.4", 7);
    put_implicit(&b, 0x00091010u, values[i], sizeof values[i]); /* before what the scan is for */
    put_implicit(&b, 0x0020000Du, "1.2.3", 5);
    put_implicit(&b, 0x0020000Eu, "1.2.3.1", 7);
    assert_mended(&b, IMPLICIT);
    b.count = 0;
    put_implicit_head(&b);
    put_implicit(&b, 0x30060020u, values[i], sizeof values[i]);
    struct lvn_scan found;
    struct lvn_error err;
    assert_true(scan(&b, IMPLICIT, &found, &err));
    assert_true(found.problem[0] != '\0');
    lvn_free(b.data);
  }
}

/* A sequence of an explicit data set whose items are in implicit VR, of defined and of undefined length. */
static void test_scan__reads_implicit_items_of_explicit_sequences(void **state) {
  (void)state;
  for (int is_undefined = 0; is_undefined < 2; is_undefined++) {
    struct bytes item = {0};
    struct bytes b = {0};
    put_implicit(&item, 0x00081150u, "1.2.840.10008.5.1.4.1.1.2", 25);
    put_implicit(&item, 0x00081155u, "1.2.3.4", 7);
    put_head(&b);
    put_tag(&b, 0x00400260u);
    put_raw(&b, "SQ\0\0", 4);
    put_u32(&b, is_undefined ? UINT32_MAX : (uint32_t)item.count + 8);
    put_tag(&b, 0xFFFEE000u);
    put_u32(&b, is_undefined ? UINT32_MAX : (uint32_t)item.count);
    put_raw(&b, item.data, item.count);
    if (is_undefined) {
      put_delimiter(&b, 0xFFFEE00Du);
      put_delimiter(&b, 0xFFFEE0DDu);
    }
    put_us(&b, 0x00540010u, 1);
    assert_mended(&b, EXPLICIT);
    lvn_free(b.data);
    lvn_free(item.data);
  }
}

static void test_scan__reads_data_sets_in_another_coding(void **state) {
  struct bytes b = {0};
  struct lvn_scan found;
  struct lvn_error err;
  (void)state;
  put_implicit_head(&b);
  assert_mended(&b, EXPLICIT);
  b.count = 0;
  put_head(&b);
  assert_mended(&b, IMPLICIT);
  assert_true(scan(&b, IMPLICIT, &found, &err));
  assert_string_equal(found.transfer_syntax_uid, EXPLICIT);
  lvn_free(b.data);
}

/* Command elements before the data set, file meta information in it. */
static void test_scan__leaves_out_foreign_groups(void **state) {
  struct bytes b = {0};
  (void)state;
  put_implicit(&b, 0x00000002u, "1.2.840.10008.5.1.4.1.1.2", 25);
  put_implicit(&b, 0x00000100u, "\1\0", 2);
  put_head(&b);
  assert_mended(&b, EXPLICIT);
  b.count = 0;
  put_text_element(&b, 0x00020010u, "UI", EXPLICIT);
  put_head(&b);
  assert_mended(&b, EXPLICIT);
  lvn_free(b.data);
}

static void test_scan__reads_repeated_values_once(void **state) {
  struct bytes b = {0};
  (void)state;
  put_head(&b);
  put_text_element(&b, 0x0020000Du, "UI", "1.2.3");
  assert_mended(&b, EXPLICIT);
  put_text_element(&b, 0x00100020u, "LO", "ANOTHER");
  assert_not_parsed(&b, EXPLICIT, "Patient ID is there twice");
  lvn_free(b.data);
}

/* ---- files ---- */

static void write_whole(const char *path, const char *head, size_t head_count, const struct bytes *rest) {
  struct bytes all = {0};
  put_raw(&all, head, head_count);
  put_raw(&all, rest->data, rest->count);
  assert_int_equal(write_bytes(path, &all), 0);
  lvn_free(all.data);
}

/* Without preamble, without meta header, with an untrue group length: read, and whole in the mended copy. */
static void test_scan__reads_files_without_their_headers(void **state) {
  char folder[SCRATCH_BYTES];
  char path[LVN_PATH_BYTES];
  struct bytes data = {0};
  struct bytes file = {0};
  struct lvn_error err;
  (void)state;
  assert_true(lvn_path_join(path, scratch_make(folder), "object", &err));
  put_head(&data);
  put_us(&data, 0x00280010u, 256);
  put_meta(&file, EXPLICIT);
  put_raw(&file, data.data, data.count);
  for (int kind = 0; kind < 6; kind++) {
    struct lvn_scan found;
    uint8_t *mended = NULL;
    size_t count = 0;
    struct bytes meta = {.data = file.data + 132, .count = file.count - 132};
    if (kind == 0) {
      write_whole(path, "", 0, &data);
    } else if (kind == 1) {
      write_whole(path, "", 0, &meta);
    } else if (kind == 2) {
      write_whole(path, "DICM", 4, &meta);
    } else if (kind == 3) {
      file.data[140] ^= 0x40;
      write_whole(path, "", 0, &file);
    } else if (kind == 4) {
      data.count = 0;
      put_implicit_head(&data);
      write_whole(path, "", 0, &data);
    } else {
      char preamble[132] = "";
      memcpy(preamble + 128, "DICM", 4);
      write_whole(path, preamble, sizeof preamble, &data);
    }
    if (!lvn_scan_file(path, &found, &err)) {
      fail_msg("%d: %s", kind, err.message);
    }
    assert_true(found.is_odd);
    assert_string_equal(found.problem, "");
    assert_string_equal(found.transfer_syntax_uid, kind < 4 ? EXPLICIT : IMPLICIT);
    assert_true(lvn_scan_mend(path, NULL, &mended, &count, &err));
    assert_true(count > 132 + data.count);
    assert_memory_equal(mended + 128, "DICM", 4);
    const struct bytes whole = {.data = mended, .count = count};
    assert_int_equal(write_bytes(path, &whole), 0);
    assert_true(lvn_scan_file(path, &found, &err));
    assert_false(found.is_odd); /* what is mended needs no mending */
    assert_string_equal(found.sop_instance_uid, "1.2.3.4");
    lvn_free(mended);
  }
  lvn_free(data.data);
  lvn_free(file.data);
}

/* The copy says the same in standard form: VR by the dictionary or UN, delimiters, no foreign group. */
static void test_scan__mends_into_standard_form(void **state) {
  char folder[SCRATCH_BYTES];
  char path[LVN_PATH_BYTES];
  struct bytes file = {0};
  struct bytes wanted = {0};
  struct lvn_error err;
  uint8_t *mended = NULL;
  size_t count = 0;
  (void)state;
  assert_true(lvn_path_join(path, scratch_make(folder), "object", &err));
  put_meta(&file, EXPLICIT);
  put_text_element(&file, 0x00020010u, "UI", EXPLICIT);
  put_head(&file);
  put_tag(&file, 0x00211001u);
  put_raw(&file, "??\4\0ABCD", 8);
  put_open_sequence(&file, 0x00400260u);
  put_open_item(&file);
  put_delimiter(&file, 0xFFFEE00Du);
  put_delimiter(&file, 0);
  put_raw(&file, "\0\0\0\0\0\0", 6);
  assert_int_equal(write_bytes(path, &file), 0);
  assert_true(lvn_scan_mend(path, NULL, &mended, &count, &err));
  put_head(&wanted);
  put_element(&wanted, 0x00211001u, "UN", "ABCD", 4);
  put_open_sequence(&wanted, 0x00400260u);
  put_open_item(&wanted);
  put_delimiter(&wanted, 0xFFFEE00Du);
  put_delimiter(&wanted, 0xFFFEE0DDu);
  assert_true(count > wanted.count);
  assert_memory_equal(mended + count - wanted.count, wanted.data, wanted.count);
  lvn_free(mended);
  lvn_free(file.data);
  lvn_free(wanted.data);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_scan__inflates_zlib_wrapping),
      cmocka_unit_test(test_scan__takes_uids_as_they_come),
      cmocka_unit_test(test_scan__takes_unknown_vrs_as_un),
      cmocka_unit_test(test_scan__takes_elements_in_implicit_form),
      cmocka_unit_test(test_scan__takes_short_and_long_lengths),
      cmocka_unit_test(test_scan__leaves_out_fillers),
      cmocka_unit_test(test_scan__leaves_out_what_follows_the_pixels),
      cmocka_unit_test(test_scan__closes_sequences_without_their_delimiters),
      cmocka_unit_test(test_scan__closes_an_item_where_the_next_begins),
      cmocka_unit_test(test_scan__a_deep_end_is_a_problem),
      cmocka_unit_test(test_scan__closes_pixels_without_delimiter),
      cmocka_unit_test(test_scan__private_bytes_may_begin_like_an_item),
      cmocka_unit_test(test_scan__reads_implicit_items_of_explicit_sequences),
      cmocka_unit_test(test_scan__reads_data_sets_in_another_coding),
      cmocka_unit_test(test_scan__leaves_out_foreign_groups),
      cmocka_unit_test(test_scan__reads_repeated_values_once),
      cmocka_unit_test(test_scan__reads_files_without_their_headers),
      cmocka_unit_test(test_scan__mends_into_standard_form),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
