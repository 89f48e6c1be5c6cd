/* Storage commitment over real associations, both sides of it ours: a report before the answer, one on another
 * association by role selection, a peer without the role, messages that are none. */
#include "association_fixture.h"
#include "dicom/net/services/commitment.h"

static struct lvn_error err;
static unsigned reports;
static struct lvn_commitment last; /* request or report */

static void keep(const struct lvn_commitment *commitment) {
  lvn_commitment_clear(&last);
  memcpy(last.transaction_uid, commitment->transaction_uid, sizeof last.transaction_uid);
  for (size_t i = 0; i < commitment->count; i++) {
    assert_true(lvn_commitment_add(&last, commitment->references[i].sop_class_uid,
                                   commitment->references[i].sop_instance_uid, commitment->references[i].reason, &err));
  }
}

static uint16_t on_report(void *user_data, const struct lvn_commitment *report) {
  (void)user_data;
  keep(report);
  reports++;
  return LVN_STATUS_SUCCESS;
}

static uint16_t on_request(void *user_data, const struct lvn_commitment *request) {
  (void)user_data;
  keep(request);
  return LVN_STATUS_SUCCESS;
}

static bool report_after(void *user_data, struct lvn_dimse *dimse, struct lvn_error *error) {
  uint16_t status = 0xFFFF;
  (void)user_data;
  last.references[0].reason = LVN_COMMITMENT_NO_SUCH_INSTANCE;
  return lvn_commitment_send_report(dimse, &last, &status, error) && status == LVN_STATUS_SUCCESS;
}

static struct lvn_commitment_handler scp = {.take_request = on_request, .follow_up = report_after};
static struct lvn_commitment_handler scu = {.take_report = on_report};

static bool stays(void *user_data) {
  (void)user_data;
  return reports == 0;
}

/* Some archives report before they answer. */
static bool answer_late(void *user_data, struct lvn_dimse *dimse, const struct lvn_dimse_message *request,
                        struct lvn_error *error) {
  struct lvn_commitment promise = {.transaction_uid = "1.2.9"};
  uint16_t status = 0xFFFF;
  uint8_t *bytes = NULL;
  size_t count = 0;
  (void)user_data;
  const bool good = lvn_dimse_receive_bytes(dimse, 10000, &bytes, &count, error) &&
                    lvn_commitment_add(&promise, CT_CLASS, "1.2.3", 0, error) &&
                    lvn_commitment_send_report(dimse, &promise, &status, error) && status == LVN_STATUS_SUCCESS &&
                    lvn_dimse_answer(dimse, request, LVN_STATUS_SUCCESS, NULL, error);
  lvn_free(bytes);
  lvn_commitment_clear(&promise);
  return good;
}

static struct lvn_commitment one_request(void) {
  struct lvn_commitment request = {.transaction_uid = "1.2.9"};
  assert_true(lvn_commitment_add(&request, CT_CLASS, "1.2.3", 0, &err));
  assert_true(lvn_commitment_add(&request, CT_CLASS, "1.2.4", 0, &err));
  reports = 0;
  return request;
}

static void ask(struct fixture *fixture, const struct lvn_dimse_service *service, uint16_t *ret_status) {
  LVN_AUTOCOMMITMENT struct lvn_commitment request = one_request();
  bool was_sent = false;
  fixture->record->more_services = service;
  fixture->record->more_service_count = 1;
  start(fixture);
  const struct lvn_scu_peer peer = scu_peer(fixture);
  if (!lvn_commitment_request(&peer, &request, &scu, 5, stays, ret_status, &was_sent, &err)) {
    fail_msg("%s", err.message);
  }
  assert_true(was_sent);
  if (!finish(fixture)->is_good) {
    fail_msg("%s", fixture->record->message);
  }
}

static void test_commitment_service__a_report_follows_the_answer(void **state) {
  const struct lvn_dimse_service service = lvn_commitment_service(&scp);
  uint16_t status = 0xFFFF;
  ask(*state, &service, &status);
  assert_int_equal(status, LVN_STATUS_SUCCESS);
  assert_int_equal(reports, 1);
  assert_string_equal(last.transaction_uid, "1.2.9");
  assert_int_equal(last.count, 2);
  for (size_t i = 0; i < 2; i++) {
    const bool is_first = strcmp(last.references[i].sop_instance_uid, "1.2.3") == 0;
    assert_int_equal(last.references[i].reason, is_first ? LVN_COMMITMENT_NO_SUCH_INSTANCE : LVN_COMMITMENT_KEPT);
    assert_string_equal(last.references[i].sop_class_uid, CT_CLASS);
  }
}

static void test_commitment_service__a_report_may_come_before_the_answer(void **state) {
  struct lvn_dimse_service service = lvn_commitment_service(&scp);
  uint16_t status = 0xFFFF;
  service.handle = answer_late;
  ask(*state, &service, &status);
  assert_int_equal(status, LVN_STATUS_SUCCESS);
  assert_int_equal(reports, 1);
  assert_int_equal(last.count, 1);
}

static void test_commitment_service__a_report_comes_by_role_selection(void **state) {
  struct fixture *fixture = *state;
  LVN_AUTOCOMMITMENT struct lvn_commitment report = one_request();
  const struct lvn_dimse_service service = lvn_commitment_service(&scu);
  uint16_t status = 0xFFFF;
  fixture->record->more_services = &service;
  fixture->record->more_service_count = 1;
  start(fixture);
  const struct lvn_scu_peer peer = scu_peer(fixture);
  if (!lvn_commitment_report(&peer, &report, &status, &err)) {
    fail_msg("%s", err.message);
  }
  assert_int_equal(status, LVN_STATUS_SUCCESS);
  assert_true(finish(fixture)->is_good);
}

static void test_commitment_service__a_peer_without_it_says_so(void **state) {
  struct fixture *fixture = *state;
  LVN_AUTOCOMMITMENT struct lvn_commitment request = one_request();
  const struct lvn_dimse_service service = lvn_commitment_service(&scp); /* no role for reports */
  uint16_t status = 0;
  bool was_sent = true;
  for (int more = 0; more < 2; more++) {
    fixture->record->more_services = &service;
    fixture->record->more_service_count = (size_t)more;
    start(fixture);
    const struct lvn_scu_peer peer = scu_peer(fixture);
    assert_false(more == 0 ? lvn_commitment_request(&peer, &request, &scu, 5, stays, &status, &was_sent, &err)
                           : lvn_commitment_report(&peer, &request, &status, &err));
    assert_int_equal(err.code, LVN_ERROR_DATA);
    (void)finish(fixture);
  }
  assert_false(was_sent);
}

static void test_commitment_service__goes_through_json(void **state) {
  LVN_AUTOCOMMITMENT struct lvn_commitment request = one_request();
  LVN_AUTOCOMMITMENT struct lvn_commitment back = {0};
  (void)state;
  request.references[1].reason = LVN_COMMITMENT_CLASS_CONFLICT;
  LVN_AUTOJSON json_t *json = lvn_commitment_to_json(&request, &err);
  assert_true(lvn_commitment_from_json(json, &back, &err));
  assert_int_equal(back.count, 2);
  assert_memory_equal(back.references, request.references, 2 * sizeof *back.references);
  assert_string_equal(back.transaction_uid, "1.2.9");
  LVN_AUTOJSON json_t *other = json_pack("{s:s, s:[{s:s}]}", "transaction", "1.2", "references", "class", "1.2");
  LVN_AUTOCOMMITMENT struct lvn_commitment none = {0};
  assert_false(lvn_commitment_from_json(other, &none, &err));
  assert_int_equal(err.code, LVN_ERROR_DATA);
}

static int forget(void **state) {
  lvn_commitment_clear(&last);
  return drop_fixture(state);
}

#undef CASE
#define CASE(name) cmocka_unit_test_setup_teardown(name, make_fixture, forget)

int main(void) {
  const struct CMUnitTest tests[] = {CASE(test_commitment_service__a_report_follows_the_answer),
                                     CASE(test_commitment_service__a_report_may_come_before_the_answer),
                                     CASE(test_commitment_service__a_report_comes_by_role_selection),
                                     CASE(test_commitment_service__a_peer_without_it_says_so),
                                     CASE(test_commitment_service__goes_through_json)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
