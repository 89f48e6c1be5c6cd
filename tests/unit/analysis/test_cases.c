/* The list of cases that a data set is built from. */
#include "analysis/dataset/cases.h"
#include "analysis/dataset/pool.h"
#include "analysis/dataset/pseudonym.h"
#include "base/file.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/scratch.h"

#define HEADER "study,roi,class,patient_key,lesion,fold\n"

static bool parse(const char *text, struct lvn_cases *cases, struct lvn_error *err) {
  *cases = (struct lvn_cases){0};
  return lvn_cases_parse(text, strlen(text), cases, err);
}

static void assert_refused(const char *text, const char *words) {
  struct lvn_cases cases;
  struct lvn_error err = {0};
  if (parse(text, &cases, &err)) {
    fail_msg("accepted: %s", text);
  }
  assert_int_equal(err.code, LVN_ERROR_USAGE);
  if (strstr(err.message, words) == NULL) {
    fail_msg("'%s' does not say '%s'", err.message, words);
  }
}

static void test_cases__reads_what_a_spreadsheet_writes(void **state) {
  static const char text[] = "\xEF\xBB\xBFstudy_folder,roi,class,patient_key,subtype,reference_standard,fold\r\n"
                             "a,a/roi.dcm,cyst,\"O\"\"Neil, Ann\",,histology,1\r\n"
                             "\r\n"
                             "\"b, c\",1.2.3,Hepatocellular carcinoma,2,washout,,0";
  struct lvn_cases cases;
  struct lvn_error err = {0};
  (void)state;
  if (!parse(text, &cases, &err)) {
    fail_msg("%s", err.message);
  }
  assert_int_equal(cases.count, 2);
  assert_true(cases.has_folds);
  assert_string_equal(cases.rows[0].study, "a");
  assert_string_equal(cases.rows[0].patient_key, "O\"Neil, Ann");
  assert_string_equal(cases.rows[0].reference_standard, "histology");
  assert_int_equal(cases.rows[0].lesion_class, LVN_CLASS_CYST);
  assert_int_equal(cases.rows[0].fold, 1);
  assert_int_equal(cases.rows[0].row, 2);
  assert_int_equal(cases.rows[1].row, 4); /* the blank line counts, as in a spreadsheet */
  assert_string_equal(cases.rows[1].study, "b, c");
  assert_int_equal(cases.rows[1].lesion_class, LVN_CLASS_HCC);
  assert_int_equal(cases.rows[1].lesion, 0);
  lvn_cases_clear(&cases);
}

static void test_cases__takes_every_known_disease_and_outliers(void **state) {
  struct lvn_cases cases;
  struct lvn_error err = {0};
  (void)state;
  if (!parse(
          "study,roi,class,patient_key,subtype\na,r,metastasis,1,\nb,r,Cholangiocarcinoma,2,\nc,r,Outlier,3,adenoma\n",
          &cases, &err)) {
    fail_msg("%s", err.message);
  }
  assert_int_equal(cases.rows[0].lesion_class, LVN_CLASS_METASTASIS);
  assert_int_equal(cases.rows[1].lesion_class, LVN_CLASS_ICC);
  assert_int_equal(cases.rows[2].lesion_class, LVN_CLASS_OUTLIER);
  assert_string_equal(cases.rows[2].subtype, "adenoma");
  lvn_cases_clear(&cases);
}

static void test_cases__takes_semicolons(void **state) {
  struct lvn_cases cases;
  struct lvn_error err = {0};
  (void)state;
  assert_true(parse("study_uid;roi;class;patient_key\n1.2.3;1.2.4;FNH;7\n1.2.5;1.2.6;HEM;8\n", &cases, &err));
  assert_int_equal(cases.count, 2);
  assert_true(cases.rows[0].study_is_uid);
  assert_false(cases.has_folds);
  assert_int_equal(cases.rows[1].fold, LVN_CASES_NO_FOLD);
  lvn_cases_clear(&cases);
}

static void test_cases__names_row_and_reason(void **state) {
  static const char *const faults[][2] = {
      {"", "row 1: the list is empty"},
      {HEADER, "row 2: there is no case"},
      {"study,roi,clas,patient_key\n", "row 1: unknown column 'clas'"},
      {"study,roi,roi,class,patient_key\n", "row 1: column 'roi' is there twice"},
      {"study,class,patient_key\n", "row 1: column 'roi' is missing"},
      {"roi,class,patient_key\n", "row 1: column 'study' (a folder) or 'study_uid' is missing"},
      {HEADER "a,r,CYST,1,1\n", "row 2: 5 fields, but the header has 6 columns"},
      {HEADER "a,r,CYST,1,1,0\nb,r,,2,1,0\n", "row 3: the class is missing"},
      {HEADER "a,r,CYST,1,1,0\nb,r,tumour,2,1,0\n", "row 3: class 'tumour' is not one of CYST,FNH,"},
      {HEADER "a,r,CYST,1,1,0\nb,r,outlier,2,1,0\n", "row 3: an outlier's subtype is missing"},
      {HEADER "a,r,CYST,,1,0\n", "row 2: the patient key is missing"},
      {HEADER "a,,CYST,1,1,0\n", "row 2: the ROI object is missing"},
      {HEADER ",r,CYST,1,1,0\n", "row 2: no study is named"},
      {HEADER "a,r,CYST,1,0,0\n", "row 2: lesion '0' is not a number from 1 on"},
      {HEADER "a,r,CYST,1,1,-1\n", "row 2: fold '-1' is not a number"},
      {HEADER "a,r,CYST,1,1,0\nb,r,HCC,1,1,1\n", "row 3: the patient of row 2 is in fold 0 there and in fold 1 here"},
      {HEADER "a,r,CYST,1,1,0\na,r,HCC,2,2,0\n", "row 3: the study of row 2, but another patient key"},
      {HEADER "a,r,CYST,1,1,0\na,r,HCC,1,,0\n", "row 3: the lesion of row 2 again"},
      {HEADER "a,r,CYST,1,1,0\nb,r,HCC,2,1,\n", "row 3: the fold is missing"},
      {HEADER "a,r,CYST,1,1,\nb,r,HCC,2,1,1\n", "row 3: a fold is given"},
      {HEADER "a,r,HCC,1,1,0\nb,r,HCC,2,1,0\n", "all 2 rows have the one class HCC"},
      {HEADER "a,r\"x,CYST,1,1,0\n", "row 2: the quoting is broken"},
      {HEADER "a,\"r,CYST,1,1,0\n", "the quoting is broken"},
      {"study,study_uid,roi,class,patient_key\n,1..2,r,HCC,1\n", "row 2: '1..2' is not a UID"},
      {"study,roi,class,patient_key,subtype\na,r,HCC,1,Mr. M\xC3\xBCller\n", "row 2: the subtype"},
  };
  (void)state;
  for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
    assert_refused(faults[i][0], faults[i][1]);
  }
}

/* What is wrong is told, whom it is about is not: errors end in logs and mails. */
static void test_cases__never_quotes_a_patient(void **state) {
  struct lvn_cases cases;
  struct lvn_error err = {0};
  (void)state;
  assert_false(parse(HEADER "a,r,CYST,Doe^Jane,1,0\nb,r,HCC,Doe^Jane,1,1\n", &cases, &err));
  assert_null(strstr(err.message, "Doe"));
}

static void test_pseudonym__depends_on_key_kind_and_parts(void **state) {
  char folder[SCRATCH_BYTES];
  char path[SCRATCH_BYTES + 8];
  struct lvn_pseudonym_key key = {{0}};
  struct lvn_pseudonym_key again = {{0}};
  struct lvn_error err = {0};
  struct stat status;
  char names[5][LVN_PSEUDONYM_BYTES];
  const char *ab_c[] = {"ab", "c"};
  const char *a_bc[] = {"a", "bc"};
  (void)state;
  (void)snprintf(path, sizeof path, "%s/key", scratch_make(folder));
  assert_true(lvn_pseudonym_key_open(path, &key, &err));
  assert_int_equal(stat(path, &status), 0);
  assert_int_equal(status.st_mode & 0777, 0600);
  assert_true(lvn_pseudonym_key_open(path, &again, &err));
  assert_memory_equal(&key, &again, sizeof key);
  assert_true(lvn_pseudonym(&key, 'P', ab_c, 2, names[0], &err));
  assert_true(lvn_pseudonym(&again, 'P', ab_c, 2, names[1], &err));
  assert_true(lvn_pseudonym(&key, 'L', ab_c, 2, names[2], &err));
  assert_true(lvn_pseudonym(&key, 'P', a_bc, 2, names[3], &err));
  again.bytes[0] ^= 1;
  assert_true(lvn_pseudonym(&again, 'P', ab_c, 2, names[4], &err));
  assert_string_equal(names[0], names[1]);
  assert_string_not_equal(names[0] + 1, names[2] + 1);
  assert_string_not_equal(names[0], names[3]);
  assert_string_not_equal(names[0], names[4]);
  assert_int_equal(strlen(names[0]), 17);
  assert_true(lvn_file_replace(path, "not a key", 9, 0600, &err));
  assert_false(lvn_pseudonym_key_open(path, &key, &err));
  assert_int_equal(err.code, LVN_ERROR_USAGE);
  (void)unlink(path);
}

/* Against Python: hmac.new(bytes(range(32)), b"Pabc\0", "sha256"). */
static void test_pseudonym__is_hmac_sha256(void **state) {
  struct lvn_pseudonym_key key;
  struct lvn_error err = {0};
  char name[LVN_PSEUDONYM_BYTES];
  const char *parts[] = {"abc"};
  (void)state;
  for (size_t i = 0; i < sizeof key.bytes; i++) {
    key.bytes[i] = (uint8_t)i;
  }
  assert_true(lvn_pseudonym(&key, 'P', parts, 1, name, &err));
  assert_string_equal(name, "P380def5c77aeb286");
}

/* ---- pool ---- */

struct pool_record {
  size_t lines[8];
  size_t finished[8];
  bool was_ended[8];
  char last[8][64];
};

static bool pool_prepare(void *context, size_t piece) {
  (void)context;
  return piece != 1;
}

static void pool_work(void *context, size_t piece, int fd) {
  (void)context;
  if (piece == 2) {
    (void)raise(SIGKILL);
  }
  if (piece == 3) {
    (void)sleep(60);
  }
  (void)dprintf(fd, "one %zu\ntwo %zu\n", piece, piece);
}

static void pool_line(void *context, size_t piece, char *line) {
  struct pool_record *record = context;
  record->lines[piece]++;
  (void)snprintf(record->last[piece], sizeof record->last[piece], "%s", line);
}

static void pool_finish(void *context, size_t piece, const char *fate) {
  struct pool_record *record = context;
  record->finished[piece]++;
  record->was_ended[piece] = fate != NULL;
}

static void test_pool__a_piece_that_dies_or_hangs_costs_that_piece(void **state) {
  static struct pool_record record;
  const struct lvn_pool pool = {.piece_count = 6,
                                .jobs = 2,
                                .seconds_max = 2,
                                .context = &record,
                                .prepare = pool_prepare,
                                .work = pool_work,
                                .take_line = pool_line,
                                .finish = pool_finish};
  struct lvn_error err = {0};
  (void)state;
  assert_true(lvn_pool_run(&pool, &err));
  for (size_t piece = 0; piece < 6; piece++) {
    bool is_good = piece != 1 && piece != 2 && piece != 3;
    assert_int_equal(record.finished[piece], 1);
    assert_int_equal(record.lines[piece], is_good ? 2 : 0);
    assert_int_equal(record.was_ended[piece], piece == 2 || piece == 3);
  }
  assert_string_equal(record.last[4], "two 4");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_cases__reads_what_a_spreadsheet_writes),
      cmocka_unit_test(test_cases__takes_every_known_disease_and_outliers),
      cmocka_unit_test(test_cases__takes_semicolons),
      cmocka_unit_test(test_cases__names_row_and_reason),
      cmocka_unit_test(test_cases__never_quotes_a_patient),
      cmocka_unit_test(test_pseudonym__depends_on_key_kind_and_parts),
      cmocka_unit_test(test_pseudonym__is_hmac_sha256),
      cmocka_unit_test(test_pool__a_piece_that_dies_or_hangs_costs_that_piece),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
