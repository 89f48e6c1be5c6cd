/* The commitment module on a real store: what it answers to a peer that asks, when it may call, and what it drops. */
#include "tests/unit/daemon/module_fixture.h"

#include <unistd.h>

#include "base/loop/loop.h"
#include "daemon/pipeline/commitment/commitment.h"
#include "dicom/net/services/commitment.h"
#include "storage/letters.h"

#define CT_CLASS "1.2.840.10008.5.1.4.1.1.2"

static struct lvn_loop *loop;
static struct lvn_commitment_module *module;
static struct lvn_letters *letters;

static int set_up(void **state) {
  (void)state;
  open_store();
  config.retry_first_seconds = 60;
  config.retry_max_seconds = 60;
  config.connect_seconds = 1;
  config.dimse_seconds = 1;
  config.peer_count = 1;
  config.peers[0] = (struct lvn_config_peer){.name = "pacs", .aet = "PACS"};
  assert_good(lvn_loop_create(&loop, &err));
  assert_good(lvn_letters_open(folder, &letters, &err));
  const struct lvn_commitment_needs needs = {
      .config = &config, .index = index_, .objects = objects, .spool = spool, .loop = loop};
  assert_good(lvn_commitment_module_create(&needs, &module, &err));
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  lvn_commitment_module_destroy(module);
  lvn_letters_close(letters);
  lvn_loop_destroy(loop);
  close_store();
  return 0;
}

static void identify(const char *name, struct lvn_scan *ret_scan) {
  char path[LVN_PATH_BYTES];
  (void)snprintf(path, sizeof path, DATA "%s", name);
  assert_good(lvn_scan_file(path, ret_scan, &err));
}

static void put(const char *kind, const struct lvn_commitment *commitment, const char *peer, char *ret_name,
                int *ret_held_fd) {
  LVN_AUTOJSON json_t *content = lvn_commitment_to_json(commitment, &err);
  assert_int_equal(json_object_set_new(content, "peer", json_string(peer)), 0);
  assert_int_equal(json_object_set_new(content, "at", json_integer((json_int_t)lvn_clock_wall_ms())), 0);
  assert_good(lvn_letters_put(letters, kind, content, ret_name, ret_held_fd, &err));
}

static size_t count_letters(void) {
  LVN_CLEANUP(lvn_file_names_clear) struct lvn_file_names names = {0};
  assert_good(lvn_file_list(lvn_letters_get_folder(letters), 100, &names, &err));
  return names.count;
}

static void tick(void) {
  (void)lvn_commitment_module_tick(module, lvn_tick_now_ms());
  assert_string_equal(lvn_commitment_module_problem(module), "");
}

static void get_answer(const char *name, struct lvn_commitment *ret_answer) {
  json_t *json = NULL;
  assert_good(lvn_letters_find_answer(letters, name, &json, &err));
  assert_non_null(json);
  assert_good(lvn_commitment_from_json(json, ret_answer, &err));
  json_decref(json);
}

static void test_commitment_module__answers_what_the_store_holds(void **state) {
  LVN_AUTOCOMMITMENT struct lvn_commitment request = {.transaction_uid = "1.2.9"};
  LVN_AUTOCOMMITMENT struct lvn_commitment answer = {0};
  struct lvn_scan first;
  struct lvn_scan second;
  char name[LVN_LETTER_NAME_BYTES];
  char path[LVN_PATH_BYTES];
  struct lvn_commitment_reference *references = NULL;
  int held_fd = -1;
  json_t *none = NULL;
  (void)state;
  identify("01.dcm", &first);
  identify("02.dcm", &second);
  take("01.dcm", 0);
  receive("02.dcm", 0); /* acknowledged, and not in the index yet */
  assert_good(lvn_commitment_add(&request, first.sop_class_uid, first.sop_instance_uid, 0, &err));
  assert_good(lvn_commitment_add(&request, second.sop_class_uid, second.sop_instance_uid, 0, &err));
  assert_good(lvn_commitment_add(&request, CT_CLASS, "1.2.3.4", 0, &err));
  assert_good(lvn_commitment_add(&request, "1.2.3.4", "1.2.3.5", 0, &err));
  assert_good(lvn_commitment_add(&request, "1.2.840.10008.5.1.4.1.1.7", first.sop_instance_uid, 0, &err));
  put(LVN_LETTER_REQUEST, &request, "pacs", name, &held_fd);
  tick();
  assert_good(lvn_letters_find_answer(letters, name, &none, &err));
  assert_null(none); /* it would be wrong */
  (void)lvn_ingest_tick(ingest, lvn_tick_now_ms());
  tick();
  get_answer(name, &answer);
  references = answer.references;
  assert_int_equal(answer.count, 5);
  assert_int_equal(references[0].reason, LVN_COMMITMENT_KEPT);
  assert_int_equal(references[1].reason, LVN_COMMITMENT_KEPT);
  assert_int_equal(references[2].reason, LVN_COMMITMENT_NO_SUCH_INSTANCE);
  assert_int_equal(references[3].reason, LVN_COMMITMENT_NO_SUCH_CLASS);
  assert_int_equal(references[4].reason, LVN_COMMITMENT_CLASS_CONFLICT);
  /* As long as an association may tell it, nobody is called; then there is nobody to call. */
  tick();
  assert_int_equal(count_letters(), 2);
  assert_int_equal(close(held_fd), 0);
  tick();
  assert_int_equal(count_letters(), 0);
  /* What the index remembers and the disk has lost is not kept. */
  LVN_AUTOFREE uint8_t *digests = NULL;
  size_t count = 0;
  assert_good(lvn_index_study_objects(index_, study_uid, &digests, &count, &err));
  for (size_t i = 0; i < count; i++) {
    assert_good(lvn_objects_path(objects, digests + i * LVN_SHA256_BYTES, path, &err));
    assert_int_equal(truncate(path, 100), 0);
  }
  put(LVN_LETTER_REQUEST, &request, "pacs", name, &held_fd);
  tick();
  lvn_commitment_clear(&answer);
  get_answer(name, &answer);
  assert_int_equal(answer.references[0].reason, LVN_COMMITMENT_NO_SUCH_INSTANCE);
  assert_int_equal(close(held_fd), 0);
}

/* It is tried again later, and the letters stay. */
static void test_commitment_module__a_peer_that_is_away_is_called_later(void **state) {
  LVN_AUTOCOMMITMENT struct lvn_commitment request = {.transaction_uid = "1.2.9"};
  char name[LVN_LETTER_NAME_BYTES];
  (void)state;
  (void)lvn_copy(config.peers[0].host, sizeof config.peers[0].host, "127.0.0.1");
  config.peers[0].port = 1;
  assert_good(lvn_commitment_add(&request, CT_CLASS, "1.2.3.4", 0, &err));
  put(LVN_LETTER_REQUEST, &request, "pacs", name, NULL);
  const double until = lvn_clock_monotonic_seconds() + 20;
  int64_t due_ms = 0;
  while (due_ms < lvn_tick_now_ms() + 30000) { /* the pause after the failure */
    assert_true(lvn_clock_monotonic_seconds() < until);
    due_ms = lvn_commitment_module_tick(module, lvn_tick_now_ms());
    assert_good(lvn_loop_wait(loop, 20, &err));
  }
  assert_int_equal(count_letters(), 2);
  assert_string_equal(lvn_commitment_module_problem(module), "");
}

static void test_commitment_module__what_means_nothing_is_gone_after_a_look(void **state) {
  LVN_AUTOCOMMITMENT struct lvn_commitment report = {.transaction_uid = "1.2.9"};
  char path[LVN_PATH_BYTES];
  (void)state;
  assert_good(lvn_commitment_add(&report, CT_CLASS, "1.2.3.4", 0, &err));
  for (int i = 0; i < 100; i++) { /* more than one look takes */
    put(LVN_LETTER_REPORT, &report, "pacs", NULL, NULL);
  }
  assert_good(lvn_path_join(path, lvn_letters_get_folder(letters), "report-0.json", &err));
  assert_good(lvn_file_replace(path, "{", 1, 0600, &err));
  assert_good(lvn_path_join(path, lvn_letters_get_folder(letters), "request-0.json", &err));
  assert_good(lvn_file_replace(path, "[]", 2, 0600, &err));
  tick();
  tick();
  assert_int_equal(count_letters(), 0);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
  const struct CMUnitTest tests[] = {CASE(test_commitment_module__answers_what_the_store_holds),
                                     CASE(test_commitment_module__a_peer_that_is_away_is_called_later),
                                     CASE(test_commitment_module__what_means_nothing_is_gone_after_a_look)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
