#include "daemon/base/file.h"
#include "dicom/read/scan.h"
#include "tests/unit/dicom/dicom_bytes.h"

#include <setjmp.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tests/unit/scratch.h"

#include <zlib.h>

#define EXPLICIT "1.2.840.10008.1.2.1"
#define IMPLICIT "1.2.840.10008.1.2"
#define BIG_ENDIAN_EXPLICIT "1.2.840.10008.1.2.2"
#define DEFLATED "1.2.840.10008.1.2.1.99"

/* Wanted attributes; what comes behind is the case's. */
static void put_head(struct bytes *b) {
  put_text_element(b, 0x00080016u, "UI", "1.2.840.10008.5.1.4.1.1.2");
  put_text_element(b, 0x00080018u, "UI", "1.2.3.4");
  put_text_element(b, 0x00080060u, "CS", "CT");
  put_text_element(b, 0x00100020u, "LO", " PHANTOM-1 ");
  put_text_element(b, 0x00100021u, "LO", "SITE");
  put_text_element(b, 0x0020000Du, "UI", "1.2.3");
  put_text_element(b, 0x0020000Eu, "UI", "1.2.3.1");
}

static void put_implicit(struct bytes *b, uint32_t tag, const void *value, size_t length) {
  put_tag(b, tag);
  put_u32(b, (uint32_t)(length + (length & 1)));
  put_raw(b, value, length);
  put_raw(b, "", length & 1);
}

static void put_implicit_head(struct bytes *b) {
  static const struct {
    uint32_t tag;
    const char *value;
  } rows[] = {{0x00080016u, "1.2.840.10008.5.1.4.1.1.2"},
              {0x00080018u, "1.2.3.4"},
              {0x00080060u, "CT"},
              {0x00100020u, "PHANTOM-1"},
              {0x0020000Du, "1.2.3"},
              {0x0020000Eu, "1.2.3.1"}};
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    put_implicit(b, rows[i].tag, rows[i].value, strlen(rows[i].value));
  }
}

static bool scan(const struct bytes *b, const char *syntax, struct lvn_scan *ret_scan, struct lvn_error *err) {
  return lvn_scan_dataset(b->data, b->count, true, syntax, ret_scan, err);
}

static void assert_refused(const struct bytes *b, const char *syntax, const char *reason) {
  struct lvn_scan found;
  struct lvn_error err = {0};
  assert_false(scan(b, syntax, &found, &err));
  assert_int_equal(err.code, LVN_ERROR_DATA);
  if (strstr(err.message, reason) == NULL) {
    fail_msg("'%s' does not say '%s'", err.message, reason);
  }
}

/* Its identity is known, and why nobody may parse it. */
static void assert_not_parsed(const struct bytes *b, const char *syntax, const char *reason) {
  struct lvn_scan found;
  struct lvn_error err = {0};
  if (!scan(b, syntax, &found, &err)) {
    fail_msg("refused: %s", err.message);
  }
  assert_string_equal(found.sop_instance_uid, "1.2.3.4");
  assert_string_equal(found.study_instance_uid, "1.2.3");
  if (strstr(found.problem, reason) == NULL) {
    fail_msg("'%s' does not say '%s'", found.problem, reason);
  }
}

/* Read as it is meant, by way of the mended copy. */
static void assert_mended(const struct bytes *b, const char *syntax) {
  struct lvn_scan found;
  struct lvn_error err = {0};
  if (!scan(b, syntax, &found, &err)) {
    fail_msg("refused: %s", err.message);
  }
  assert_string_equal(found.problem, "");
  assert_true(found.is_odd);
  assert_string_equal(found.series_instance_uid, "1.2.3.1");
}

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

static void deflate_window(const struct bytes *plain, struct bytes *packed, int window_bits) {
  uint8_t *out = NULL;
  struct lvn_error err;
  z_stream z = {0};
  size_t room = plain->count + 1024;
  out = lvn_alloc(room, 1, &err);
  assert_non_null(out);
  assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, window_bits, 8, Z_DEFAULT_STRATEGY), Z_OK);
  z.next_in = plain->data;
  z.avail_in = (unsigned)plain->count;
  z.next_out = out;
  z.avail_out = (unsigned)room;
  assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
  put_raw(packed, out, room - z.avail_out);
  (void)deflateEnd(&z);
  lvn_free(out);
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
  static const char *const uids[] = {
      "1.2.840.113704.1.111.0042.7", "01.2.3", "1.2.3 ", "1.2.3\r\n", " 1.2.3", "0.00.1"};
  (void)state;
  for (size_t i = 0; i < sizeof uids / sizeof uids[0]; i++) {
    struct bytes b = {0};
    struct lvn_scan found;
    struct lvn_error err;
    char trimmed[LVN_UID_BYTES] = "";
    (void)sscanf(uids[i], " %64[0-9.]", trimmed);
    put_text_element(&b, 0x00080016u, "UI", "1.2.840.10008.5.1.4.1.1.2");
    put_text_element(&b, 0x00080018u, "UI", "%s", uids[i]);
    put_element(&b, 0x0020000Du, "UI", "1.2.3\0\0\0", 8);
    put_element(&b, 0x0020000Eu, "UI", "1.2.4\0.9", 8); /* what stands behind the zero byte belongs to nobody */
    assert_true(scan(&b, EXPLICIT, &found, &err));
    assert_string_equal(found.sop_instance_uid, trimmed);
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
      cmocka_unit_test(test_scan__reads_sample_files),
      cmocka_unit_test(test_scan__refuses_files_that_are_not_dicom),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
