/* What an association answers: echo, objects, statuses, who is admitted and in which coding. */
#include "association_fixture.h"

static void test_association__answers_echo_and_release(void **state) {
  struct fixture *fixture = *state;
  struct lvn_error err;
  struct lvn_scu *scu = NULL;
  start(fixture);
  const struct lvn_scu_peer peer = scu_peer(fixture);
  assert_true(lvn_scu_open(&peer, NULL, 0, &scu, &err));
  assert_true(lvn_scu_echo(scu, &err));
  assert_true(lvn_scu_echo(scu, &err));
  lvn_scu_close(scu);
  const struct record *record = finish(fixture);
  assert_true(record->is_good);
  assert_string_equal(record->calling_aet, "TESTER");
  assert_string_equal(record->called_aet, "NODE");
  assert_int_equal(record->begins, 0);
  assert_true(record->seconds < 3.0); /* no waiting for the peer to close first */
}

static void test_association__passes_a_real_ct_bit_exact(void **state) {
  struct fixture *fixture = *state;
  size_t count = 0;
  size_t at = 0;
  uint8_t *file = read_file(EXPLICIT_CT, &count, &at);
  start(fixture);
  int fd = raw_open(fixture);
  assert_int_equal(raw_store(fd, file + at, count - at, 16378), 0x0000);
  raw_release(fd);
  const struct record *record = finish(fixture);
  assert_true(record->is_good);
  assert_int_equal(record->ends[LVN_END_WHOLE], 1);
  assert_int_equal(record->byte_count, count - at);
  assert_memory_equal(record->data, file + at, count - at);
  assert_string_equal(record->class_uid, CT_CLASS);
  assert_string_equal(record->instance_uid, "1.2.3.4");
  assert_string_equal(record->syntax_uid, EXPLICIT_LITTLE);
  lvn_free(file);
}

/* Also those that DCMTK does not know: HTJ2K. */
static void test_association__answers_in_every_transfer_syntax(void **state) {
  struct fixture *fixture = *state;
  static const uint8_t data[3000] = {0};
  for (const char *const *syntax = lvn_storage_transfer_syntaxes(); *syntax != NULL; syntax++) {
    const char *const only[] = {*syntax, NULL};
    start(fixture);
    int fd = raw_open_as(fixture, only);
    for (int i = 0; i < 2; i++) {
      int status = raw_store(fd, data, sizeof data, 1000);
      if (status != 0x0000) {
        fail_msg("%s: status %d", *syntax, status);
      }
    }
    raw_release(fd);
    assert_true(finish(fixture)->is_good);
    assert_string_equal(fixture->record->syntax_uid, *syntax);
  }
}

static void test_association__answers_status_of_begin(void **state) {
  struct fixture *fixture = *state;
  fixture->record->begin_status = LVN_STORE_OUT_OF_RESOURCES;
  scu_send(fixture, EXPLICIT_CT, EXPLICIT_LITTLE, 0xA700);
  assert_int_equal(fixture->record->begins, 1);
  assert_int_equal(fixture->record->byte_count, 0);
  assert_int_equal(fixture->record->ends[LVN_END_WHOLE] + fixture->record->ends[LVN_END_CUT_OFF], 0);
}

static void test_association__answers_status_of_end(void **state) {
  struct fixture *fixture = *state;
  fixture->record->end_status = LVN_STORE_CANNOT_UNDERSTAND;
  scu_send(fixture, EXPLICIT_CT, EXPLICIT_LITTLE, 0xC000);
  assert_int_equal(fixture->record->ends[LVN_END_WHOLE], 1);
}

/* A slow disk is no silent peer: the time in the handler is not counted as idle. */
static void test_association__waits_for_a_slow_handler(void **state) {
  struct fixture *fixture = *state;
  fixture->record->limits.idle_seconds = 1;
  fixture->record->end_seconds = 2.5;
  scu_send(fixture, EXPLICIT_CT, EXPLICIT_LITTLE, 0x0000);
}

static void test_association__answers_more_objects_than_allowed(void **state) {
  struct fixture *fixture = *state;
  static const uint8_t data[64] = {0};
  fixture->record->max_objects = 2;
  start(fixture);
  int fd = raw_open(fixture);
  assert_int_equal(raw_store(fd, data, sizeof data, 64), 0x0000);
  assert_int_equal(raw_store(fd, data, sizeof data, 64), 0x0000);
  assert_int_equal(fixture->record->limits_reached, 0);
  assert_int_equal(raw_store(fd, data, sizeof data, 64), 0xA700);
  assert_int_equal(raw_store(fd, data, sizeof data, 64), 0xA700);
  raw_release(fd);
  assert_int_equal(finish(fixture)->begins, 2);
  assert_int_equal(fixture->record->limits_reached, 1);
}

static void test_association__refuses_an_oversize_object_and_goes_on(void **state) {
  struct fixture *fixture = *state;
  static const uint8_t data[200000] = {0};
  fixture->record->max_object_bytes = 100000;
  start(fixture);
  int fd = raw_open(fixture);
  assert_int_equal(raw_store(fd, data, sizeof data, 16384), 0xA700);
  assert_int_equal(fixture->record->ends[LVN_END_TOO_LARGE], 1);
  assert_true(fixture->record->byte_count <= 100000);
  assert_int_equal(raw_store(fd, data, 1000, 1000), 0x0000);
  raw_release(fd);
  assert_true(finish(fixture)->is_good);
  assert_int_equal(fixture->record->ends[LVN_END_WHOLE], 1);
}

static void test_association__ends_an_object_without_end(void **state) {
  struct fixture *fixture = *state;
  static const uint8_t data[65000] = {0};
  fixture->record->max_object_bytes = 100000;
  start(fixture);
  int fd = raw_open(fixture);
  raw_command(fd, 1);
  int sent = 0;
  while (sent < 1000 && peer_send_pdv(fd, 1, 0, data, sizeof data)) {
    sent++;
  }
  assert_true(sent < 1000);
  (void)close(fd);
  assert_false(finish(fixture)->is_good);
  assert_int_equal(fixture->record->ends[LVN_END_CUT_OFF], 1);
}

static void test_association__reports_a_cut_off_object(void **state) {
  struct fixture *fixture = *state;
  static const uint8_t data[5000] = {0};
  start(fixture);
  int fd = raw_open(fixture);
  raw_command(fd, 1);
  assert_true(peer_send_pdv(fd, 1, 0, data, sizeof data));
  (void)close(fd);
  const struct record *record = finish(fixture);
  assert_false(record->is_good);
  assert_int_equal(record->ends[LVN_END_CUT_OFF], 1);
  assert_int_equal(record->ends[LVN_END_WHOLE], 0);
}

/* 10,000 nested sequences of undefined length overflow the stack of a recursive parser. */
static void test_association__passes_deep_nesting_unread(void **state) {
  struct fixture *fixture = *state;
  struct bytes nested = {0};
  for (int i = 0; i < 10000; i++) {
    static const uint8_t open_item[] = {0x08, 0x00, 0x40, 0x11, 'S',  'Q',  0,    0,    0xFF, 0xFF,
                                        0xFF, 0xFF, 0xFE, 0xFF, 0x00, 0xE0, 0xFF, 0xFF, 0xFF, 0xFF};
    put_raw(&nested, open_item, sizeof open_item);
  }
  start(fixture);
  int fd = raw_open(fixture);
  assert_int_equal(raw_store(fd, nested.data, nested.count, 30000), 0x0000);
  raw_release(fd);
  const struct record *record = finish(fixture);
  assert_true(record->is_good);
  assert_int_equal(record->byte_count, nested.count);
  assert_memory_equal(record->data, nested.data, nested.count);
  lvn_free(nested.data);
}

/* ---- who is admitted ---- */

static void check_rejection(struct fixture *fixture, enum lvn_admission admission, const uint8_t expected[3],
                            enum lvn_error_code code, const char *words) {
  struct bytes contexts = {0};
  struct bytes request = {0};
  struct lvn_error err;
  struct lvn_scu *scu = NULL;
  uint8_t body[64];
  size_t count = 0;
  fixture->record->admission = admission;
  start(fixture);
  int fd = peer_connect(fixture->port);
  put_context(&contexts, 1, CT_CLASS, explicit_only);
  put_associate(&request, &contexts);
  lvn_free(contexts.data);
  assert_true(peer_send_bytes(fd, &request));
  assert_int_equal(peer_receive_pdu(fd, body, sizeof body, &count, WAIT_MS), PDU_ASSOCIATE_RJ);
  assert_int_equal(count, 4);
  assert_memory_equal(body + 1, expected, 3);
  (void)close(fd);
  assert_false(finish(fixture)->is_good);
  start(fixture);
  const struct lvn_scu_peer peer = scu_peer(fixture);
  assert_false(lvn_scu_open(&peer, NULL, 0, &scu, &err));
  assert_null(scu);
  assert_int_equal(err.code, code);
  if (strcasestr(err.message, words) == NULL) {
    fail_msg("'%s' does not say '%s'", err.message, words);
  }
  assert_false(finish(fixture)->is_good);
  assert_int_equal(fixture->record->code, LVN_ERROR_PROTOCOL);
}

/* Result, source, reason: PS3.8 table 9-21. */
static void test_association__rejects_the_calling_aet(void **state) {
  check_rejection(*state, LVN_REJECT_CALLING_AET, (const uint8_t[]){1, 1, 3}, LVN_ERROR_PROTOCOL, "Calling AE");
}

static void test_association__rejects_the_called_aet(void **state) {
  check_rejection(*state, LVN_REJECT_CALLED_AET, (const uint8_t[]){1, 1, 7}, LVN_ERROR_PROTOCOL, "Called AE");
}

static void test_association__rejects_when_busy(void **state) {
  check_rejection(*state, LVN_REJECT_BUSY, (const uint8_t[]){2, 3, 2}, LVN_ERROR_TIMEOUT, "Local Limit");
}

/* The text of a user information sub-item (PS3.7 D.3.3.2): 0x52 implementation class UID, 0x55 version name. */
static const char *user_item(const uint8_t *body, size_t count, uint8_t type) {
  static char text[65];
  for (size_t at = 68; at + 4 <= count; at += 4 + (size_t)(body[at + 2] << 8 | body[at + 3])) {
    for (size_t in = at + 4; body[at] == 0x50 && in + 4 <= count;
         in += 4 + (size_t)(body[in + 2] << 8 | body[in + 3])) {
      size_t length = (size_t)(body[in + 2] << 8 | body[in + 3]);
      if (body[in] == type && length < sizeof text && in + 4 + length <= count) {
        memcpy(text, body + in + 4, length);
        text[length] = '\0';
        return text;
      }
    }
  }
  return "";
}

static void test_association__accepts_as_this_node(void **state) {
  struct fixture *fixture = *state;
  struct bytes contexts = {0};
  struct bytes request = {0};
  uint8_t body[4096];
  size_t count = 0;
  start(fixture);
  int fd = peer_connect(fixture->port);
  put_context(&contexts, 1, CT_CLASS, explicit_only);
  put_associate(&request, &contexts);
  lvn_free(contexts.data);
  assert_true(peer_send_bytes(fd, &request));
  assert_int_equal(peer_receive_pdu(fd, body, sizeof body, &count, WAIT_MS), PDU_ASSOCIATE_AC);
  assert_string_equal(user_item(body, count, 0x52), LVN_IMPLEMENTATION_CLASS_UID);
  assert_string_equal(user_item(body, count, 0x55), LVN_IMPLEMENTATION_VERSION_NAME);
  raw_release(fd);
  assert_true(finish(fixture)->is_good);
}

static void test_association__asks_as_this_node(void **state) {
  struct fixture *fixture = *state;
  struct lvn_error err;
  struct lvn_scu *scu = NULL;
  uint8_t body[4096] = {0};
  size_t count = 0;
  int listen_fd = listen_anywhere(&fixture->port);
  pid_t child = fork();
  assert_true(child >= 0);
  if (child == 0) {
    const struct lvn_scu_peer peer = scu_peer(fixture);
    _exit(lvn_scu_open(&peer, NULL, 0, &scu, &err) ? 1 : 0); /* allow: the child of a test */
  }
  int fd = accept(listen_fd, NULL, NULL);
  assert_int_equal(peer_receive_pdu(fd, body, sizeof body, &count, WAIT_MS), PDU_ASSOCIATE_RQ);
  (void)close(fd);
  (void)close(listen_fd);
  int status = 0;
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_int_equal(status, 0);
  assert_string_equal(user_item(body, count, 0x52), LVN_IMPLEMENTATION_CLASS_UID);
  assert_string_equal(user_item(body, count, 0x55), LVN_IMPLEMENTATION_VERSION_NAME);
}

/* A load balancer's or a monitor's probe: it is nobody who could be rejected. */
static void test_association__a_probe_is_not_asked_for_admission(void **state) {
  struct fixture *fixture = *state;
  (void)snprintf(fixture->record->calling_aet, sizeof fixture->record->calling_aet, "unasked");
  start(fixture);
  (void)close(peer_connect(fixture->port));
  const struct record *record = finish(fixture);
  assert_false(record->is_good);
  assert_string_equal(record->calling_aet, "unasked");
  assert_int_equal(record->code, LVN_ERROR_IO);
}

static const char *const both_syntaxes[] = {IMPLICIT_LITTLE, EXPLICIT_LITTLE, NULL};

static const char *answered_syntax(const uint8_t *item) {
  static char uid[65];
  size_t length = item[10] << 8 | item[11];
  memcpy(uid, item + 12, length < 64 ? length : 64);
  uid[length < 64 ? length : 64] = '\0';
  return uid;
}

/* The presentation context items of an A-ASSOCIATE-AC (PS3.8 9.3.3.2). */
static const uint8_t *find_context(const uint8_t *body, size_t count, uint8_t id) {
  for (size_t at = 68; at + 4 <= count; at += 4 + (size_t)(body[at + 2] << 8 | body[at + 3])) {
    if (body[at] == 0x21 && body[at + 4] == id) {
      return body + at;
    }
  }
  fail_msg("presentation context %d was not answered", id);
  return NULL;
}

static void test_association__answers_each_presentation_context(void **state) {
  struct fixture *fixture = *state;
  static const char *const lossy_first[] = {"1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.4.90", NULL};
  static const char *const unknown[] = {"1.2.840.10008.1.2.4.100", NULL};
  struct bytes contexts = {0};
  struct bytes request = {0};
  uint8_t body[4096];
  size_t count = 0;
  start(fixture);
  int fd = peer_connect(fixture->port);
  put_context(&contexts, 1, CT_CLASS, both_syntaxes);
  put_context(&contexts, 3, CT_CLASS, lossy_first);
  put_context(&contexts, 5, CT_CLASS, unknown);
  put_context(&contexts, 7, "1.2.840.10008.5.1.4.1.1.4", both_syntaxes);
  put_context(&contexts, 9, "1.2.840.10008.1.1", both_syntaxes);
  put_associate(&request, &contexts);
  lvn_free(contexts.data);
  assert_true(peer_send_bytes(fd, &request));
  assert_int_equal(peer_receive_pdu(fd, body, sizeof body, &count, WAIT_MS), PDU_ASSOCIATE_AC);
  const uint8_t *item = find_context(body, count, 1);
  assert_int_equal(item[6], 0);
  assert_string_equal(answered_syntax(item), EXPLICIT_LITTLE);
  item = find_context(body, count, 3);
  assert_int_equal(item[6], 0);
  assert_string_equal(answered_syntax(item), "1.2.840.10008.1.2.4.90");
  assert_int_equal(find_context(body, count, 5)[6], 4); /* transfer syntaxes not supported */
  assert_int_equal(find_context(body, count, 7)[6], 3); /* MR: abstract syntax not supported */
  assert_int_equal(find_context(body, count, 9)[6], 0); /* Verification */
  raw_release(fd);
  assert_true(finish(fixture)->is_good);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      CASE(test_association__answers_echo_and_release),
      CASE(test_association__answers_in_every_transfer_syntax),
      CASE(test_association__passes_a_real_ct_bit_exact),
      CASE(test_association__answers_status_of_begin),
      CASE(test_association__answers_status_of_end),
      CASE(test_association__waits_for_a_slow_handler),
      CASE(test_association__answers_more_objects_than_allowed),
      CASE(test_association__refuses_an_oversize_object_and_goes_on),
      CASE(test_association__ends_an_object_without_end),
      CASE(test_association__reports_a_cut_off_object),
      CASE(test_association__passes_deep_nesting_unread),
      CASE(test_association__rejects_the_calling_aet),
      CASE(test_association__rejects_the_called_aet),
      CASE(test_association__rejects_when_busy),
      CASE(test_association__accepts_as_this_node),
      CASE(test_association__asks_as_this_node),
      CASE(test_association__a_probe_is_not_asked_for_admission),
      CASE(test_association__answers_each_presentation_context),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
