/* The order of reception is a counter: no clock, restart, power cut or parallel association turns it round. */
#include "tests/unit/storage/spool_fixture.h"

#include <fcntl.h>

#include "base/clock.h"
#include "storage/spool_internal.h"

#define CHILDREN 4
#define NUMBERS 300

static int64_t next_number(struct lvn_spool *spool) {
  int64_t number = 0;
  assert_good(lvn_spool_count(spool, &number, &err));
  return number;
}

static void counter_path(char ret_path[LVN_PATH_BYTES]) {
  assert_good(lvn_path_join(ret_path, test_folder, "spool/counter", &err));
}

static void test_spool_counter__a_clock_set_back_changes_no_order(void **state) {
  struct lvn_spool *spool = open_spool(test_folder);
  struct lvn_reception_record read_back;
  char path[LVN_PATH_BYTES];
  (void)state;
  struct lvn_reception_record first = receive_at(spool, "first", RECEIVED_MS);
  struct lvn_reception_record second = receive_at(spool, "second", RECEIVED_MS - 1000000);
  struct lvn_reception_record third = receive_at(spool, "first", RECEIVED_MS - 1200000); /* the same bytes once more */
  assert_true(first.sequence > 0);
  assert_true(second.sequence > first.sequence);
  assert_true(third.sequence > second.sequence);
  path_of_new(spool, &second, path);
  assert_good(lvn_spool_read_record(path, &read_back, &err));
  assert_int_equal(read_back.sequence, second.sequence);
  assert_int_equal(read_back.received_ms, RECEIVED_MS - 1000000);
  lvn_spool_close(spool);
}

/* As associations are: forked from the process that opened the spool. */
static void test_spool_counter__parallel_associations_share_no_number(void **state) {
  static int64_t seen[CHILDREN * NUMBERS];
  struct lvn_spool *spool = open_spool(test_folder);
  int pipes[CHILDREN][2];
  size_t count = 0;
  (void)state;
  for (size_t i = 0; i < CHILDREN; i++) {
    assert_int_equal(pipe(pipes[i]), 0);
    if (fork_child() == 0) {
      for (size_t k = 0; k < NUMBERS; k++) {
        int64_t number = next_number(spool);
        (void)!write(pipes[i][1], &number, sizeof number);
      }
      _exit(0);
    }
    (void)close(pipes[i][1]);
  }
  for (size_t i = 0; i < CHILDREN; i++) {
    int64_t last = 0;
    for (size_t k = 0; k < NUMBERS; k++) {
      assert_int_equal(read(pipes[i][0], &seen[count], sizeof seen[0]), sizeof seen[0]);
      assert_true(seen[count] > last);
      last = seen[count++];
    }
    (void)close(pipes[i][0]);
  }
  while (wait(NULL) > 0) {
  }
  int64_t after = next_number(spool);
  for (size_t i = 0; i < count; i++) {
    assert_true(seen[i] < after);
    for (size_t k = 0; k < i; k++) {
      assert_true(seen[k] != seen[i]);
    }
  }
  lvn_spool_close(spool);
}

/* The disk has what was synced; the numbers given since are only in memory. */
static void test_spool_counter__a_power_cut_takes_no_number_back(void **state) {
  struct lvn_spool *spool = open_spool(test_folder);
  uint8_t *old = NULL;
  size_t bytes = 0;
  char path[LVN_PATH_BYTES];
  int64_t last = 0;
  (void)state;
  counter_path(path);
  assert_good(lvn_file_read(path, 100, &old, &bytes, &err));
  for (int i = 0; i < 1000; i++) {
    last = next_number(spool);
  }
  lvn_spool_close(spool);
  assert_good(lvn_file_replace(path, old, bytes, 0600, &err));
  lvn_free(old);
  spool = open_spool(test_folder);
  assert_true(next_number(spool) > last);
  lvn_spool_close(spool);
}

static void test_spool_counter__a_lost_or_damaged_counter_goes_on_above(void **state) {
  static const char *const contents[] = {"", "short", "0123456789abcdefghij",
                                         "\xff\xff\xff\xff\xff\xff\xff\xff\1\1\1\1\1\1\1\1"};
  struct lvn_spool *spool = open_spool(test_folder);
  char path[LVN_PATH_BYTES];
  int64_t last = next_number(spool);
  (void)state;
  lvn_spool_close(spool);
  counter_path(path);
  for (size_t i = 0; i < sizeof contents / sizeof contents[0]; i++) {
    lvn_clock_sleep_seconds(0.02); /* no faster than anybody restarts a node */
    assert_good(lvn_file_replace(path, contents[i], strlen(contents[i]), 0600, &err));
    spool = open_spool(test_folder);
    int64_t number = next_number(spool);
    assert_true(number > last);
    assert_good(lvn_spool_raise_counter(spool, number + 5000000000, &err)); /* what the index has seen */
    last = next_number(spool);
    assert_true(last > number + 5000000000);
    lvn_spool_close(spool);
    last = number;
  }
}

static void test_spool_counter__record_of_an_earlier_release_come_first(void **state) {
  struct lvn_reception_record read_back = {.sequence = 7};
  static const char old_record[] =
      "{\"sop_class_uid\":\"1.2.3\",\"sop_instance_uid\":\"1.2.3\",\"transfer_syntax_uid\":\"1.2\","
      "\"study_instance_uid\":\"1.2\",\"series_instance_uid\":\"1.2\",\"calling_aet\":\"A\",\"address\":\"a\","
      "\"association_id\":\"a\",\"received_ms\":99,\"byte_count\":1,\"sha256\":"
      "\"0000000000000000000000000000000000000000000000000000000000000000\"}";
  (void)state;
  assert_good(lvn_spool_record_parse("aa.json", old_record, strlen(old_record), &read_back, &err));
  assert_int_equal(read_back.sequence, 0);
  assert_int_equal(read_back.received_ms, 99);
}

int main(void) {
#define CASE(name) cmocka_unit_test_setup_teardown(test_spool_counter__##name, set_up, tear_down)
  const struct CMUnitTest tests[] = {
      CASE(a_clock_set_back_changes_no_order),       CASE(parallel_associations_share_no_number),
      CASE(a_power_cut_takes_no_number_back),        CASE(a_lost_or_damaged_counter_goes_on_above),
      CASE(record_of_an_earlier_release_come_first),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
