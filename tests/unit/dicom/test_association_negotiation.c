/* What is negotiated: classes beyond those that the node uses, many presentation contexts, and the items of user
 * information that an association may carry (PS3.7 annex D). */
#include "association_fixture.h"

#define MR_CLASS "1.2.840.10008.5.1.4.1.1.4"
#define DOSE_CLASS "1.2.840.10008.5.1.4.1.1.88.67"
#define VIDEO_CLASS "1.2.840.10008.5.1.4.1.1.77.1.1.1"
#define SIEMENS_CLASS "1.3.12.2.1107.5.9.1"
#define FIND_CLASS "1.2.840.10008.5.1.4.1.2.2.1"
#define VERIFICATION "1.2.840.10008.1.1"
#define MPEG4 "1.2.840.10008.1.2.4.102"

static uint8_t body[65536];
static size_t body_count;

/* Connected, and the request sent; the answer's type, its body in `body`. */
static enum pdu_type ask(const struct fixture *fixture, struct bytes *contexts, struct bytes *more, int *ret_fd) {
  struct bytes request = {0};
  *ret_fd = peer_connect(fixture->port);
  assert_true(*ret_fd >= 0);
  put_associate_with(&request, contexts, more);
  lvn_free(contexts->data);
  lvn_free(more->data);
  *contexts = *more = (struct bytes){0};
  assert_true(peer_send_bytes(*ret_fd, &request));
  return peer_receive_pdu(*ret_fd, body, sizeof body, &body_count, WAIT_MS);
}

/* Result of a presentation context (PS3.8 table 9-18); -1: not answered. */
static int result_of(uint8_t id) {
  for (size_t at = 68; at + 8 <= body_count; at += 4 + (size_t)(body[at + 2] << 8 | body[at + 3])) {
    if (body[at] == 0x21 && body[at + 4] == id) {
      return body[at + 6];
    }
  }
  return -1;
}

/* A sub-item of the user information; NULL: it is not there. */
static const uint8_t *user_item(uint8_t type) {
  for (size_t at = 68; at + 4 <= body_count; at += 4 + (size_t)(body[at + 2] << 8 | body[at + 3])) {
    for (size_t in = at + 4; body[at] == 0x50 && in + 4 <= body_count;
         in += 4 + (size_t)(body[in + 2] << 8 | body[in + 3])) {
      if (body[in] == type) {
        return body + in;
      }
    }
  }
  return NULL;
}

/* An object goes through, so what was negotiated holds. */
static void check_store(struct fixture *fixture, int fd) {
  static const uint8_t data[100];
  assert_int_equal(raw_store(fd, data, sizeof data, 100), 0x0000);
  raw_release(fd);
  assert_true(finish(fixture)->is_good);
}

static void put_role(struct bytes *b, const char *class_uid, uint8_t scu, uint8_t scp) {
  uint8_t item[80] = {0, (uint8_t)strlen(class_uid)};
  memcpy(item + 2, class_uid, item[1]);
  item[2 + item[1]] = scu;
  item[3 + item[1]] = scp;
  put_item(b, 0x54, item, 4U + item[1]);
}

static void test_association__turns_down_the_role_of_an_scp(void **state) {
  static const uint8_t roles[][2] = {{1, 0}, {1, 1}, {0, 1}};
  for (size_t i = 0; i < sizeof roles / sizeof roles[0]; i++) {
    struct fixture *fixture = *state;
    struct bytes contexts = {0};
    struct bytes more = {0};
    int fd = -1;
    start(fixture);
    put_context(&contexts, 1, CT_CLASS, explicit_only);
    put_role(&more, CT_CLASS, roles[i][0], roles[i][1]);
    assert_int_equal(ask(fixture, &contexts, &more, &fd), PDU_ASSOCIATE_AC);
    assert_int_equal(result_of(1), 0);
    const uint8_t *answer = user_item(0x54);
    if (answer != NULL) {
      const size_t length = (size_t)(answer[2] << 8 | answer[3]);
      if (answer[3 + length] != 0 || answer[2 + length] > roles[i][0]) { /* no SCP, and nothing that was not proposed */
        fail_msg("role %d %d: answered %d %d", roles[i][0], roles[i][1], answer[2 + length], answer[3 + length]);
      }
    }
    check_store(fixture, fd);
    (void)close(fd);
  }
}

static void test_association__ignores_user_information_that_it_does_not_use(void **state) {
  static const uint8_t window[] = {0, 5, 0, 5};
  static const uint8_t extended[] = {0,   25,  '1', '.', '2', '.', '8', '4', '0', '.', '1',
                                     '0', '0', '0', '8', '.', '5', '.', '1', '.', '4', '.',
                                     '1', '.', '1', '.', '2', 1,   0,   1,   0,   0,   0};
  static const uint8_t common[] = {0, 3, '1', '.', '2', 0, 3, '1', '.', '3', 0, 0};
  static const uint8_t strange[] = {1, 2, 3, 4, 5};
  const struct {
    uint8_t type;
    const void *value;
    size_t length;
  } rows[] = {{0x53, window, sizeof window},
              {0x56, extended, sizeof extended},
              {0x57, common, sizeof common},
              {0x5F, strange, sizeof strange}};
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    struct fixture *fixture = *state;
    struct bytes contexts = {0};
    struct bytes more = {0};
    int fd = -1;
    start(fixture);
    put_context(&contexts, 1, CT_CLASS, explicit_only);
    put_item(&more, rows[i].type, rows[i].value, rows[i].length);
    enum pdu_type type = ask(fixture, &contexts, &more, &fd);
    if (type != PDU_ASSOCIATE_AC) {
      fail_msg("item 0x%02x: PDU %d", rows[i].type, type);
    }
    const uint8_t *answer = user_item(rows[i].type);
    if (rows[i].type == 0x53 && answer != NULL) { /* absent means one at a time, too (PS3.7 D.3.3.3) */
      assert_memory_equal(answer + 4, "\0\1\0\1", 4);
    } else {
      assert_null(answer);
    }
    check_store(fixture, fd);
    (void)close(fd);
  }
}

/* User identity: name, name and password, Kerberos, SAML, JSON web token; with and without the wish for a response. */
static void test_association__admits_beside_a_user_identity(void **state) {
  for (uint8_t type = 1; type <= 5; type++) {
    for (uint8_t wish = 0; wish <= 1; wish++) {
      struct fixture *fixture = *state;
      struct bytes contexts = {0};
      struct bytes more = {0};
      const uint8_t item[] = {type, wish, 0, 4, 'u', 's', 'e', 'r', 0, (uint8_t)(type == 2 ? 2 : 0), 'p', 'w'};
      int fd = -1;
      start(fixture);
      put_context(&contexts, 1, CT_CLASS, explicit_only);
      put_item(&more, 0x58, item, type == 2 ? sizeof item : sizeof item - 2);
      enum pdu_type answer = ask(fixture, &contexts, &more, &fd);
      if (answer != PDU_ASSOCIATE_AC) {
        fail_msg("type %d, response %d: PDU %d", type, wish, answer);
      }
      assert_null(user_item(0x59)); /* nobody's identity was verified */
      check_store(fixture, fd);
      (void)close(fd);
    }
  }
}

/* As many contexts as there are identifiers, each with more transfer syntaxes than anybody has. */
static void test_association__answers_every_presentation_context(void **state) {
  struct fixture *fixture = *state;
  struct bytes contexts = {0};
  struct bytes more = {0};
  static char texts[71][40];
  const char *syntaxes[72] = {NULL};
  int fd = -1;
  for (int i = 0; i < 70; i++) {
    (void)snprintf(texts[i], sizeof texts[i], "1.2.840.10008.1.2.4.%d", 300 + i);
    syntaxes[i] = texts[i];
  }
  syntaxes[70] = EXPLICIT_LITTLE;
  start(fixture);
  for (int id = 1; id <= 255; id += 2) {
    put_context(&contexts, (uint8_t)id, id % 4 == 1 ? CT_CLASS : MR_CLASS, id % 3 == 0 ? explicit_only : syntaxes);
  }
  assert_int_equal(ask(fixture, &contexts, &more, &fd), PDU_ASSOCIATE_AC);
  for (int id = 1; id <= 255; id += 2) {
    assert_int_equal(result_of((uint8_t)id), id % 4 == 1 ? 0 : 3);
  }
  check_store(fixture, fd);
  (void)close(fd);
}

/* PS3.8 9.3.2.2: odd; and none can be told from its double. */
static void test_association__aborts_on_impossible_context_ids(void **state) {
  static const uint8_t ids[][2] = {{0, 1}, {2, 1}, {1, 254}, {1, 1}, {255, 255}};
  for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
    struct fixture *fixture = *state;
    struct bytes contexts = {0};
    struct bytes more = {0};
    int fd = -1;
    start(fixture);
    put_context(&contexts, ids[i][0], CT_CLASS, explicit_only);
    put_context(&contexts, ids[i][1], MR_CLASS, explicit_only);
    assert_int_equal(ask(fixture, &contexts, &more, &fd), PDU_ABORT);
    assert_int_equal(body[2], 2); /* service provider */
    assert_int_equal(body[3], 6); /* invalid PDU parameter value */
    (void)close(fd);
    assert_false(finish(fixture)->is_good);
    assert_non_null(strstr(fixture->record->message, "presentation context ID"));
  }
}

static void send_echo(int fd, uint8_t context) {
  struct bytes rest = {0};
  struct bytes command = {0};
  put_command_element(&rest, 0x0002, VERIFICATION, strlen(VERIFICATION));
  put_command_u16(&rest, 0x0100, 0x0030);
  put_command_u16(&rest, 0x0110, 9);
  put_command_u16(&rest, 0x0800, 0x0101);
  const uint8_t length[4] = {(uint8_t)rest.count, 0, 0, 0};
  put_command_element(&command, 0x0000, length, 4);
  put_raw(&command, rest.data, rest.count);
  (void)peer_send_pdv(fd, context, PDV_COMMAND | PDV_LAST, command.data, command.count);
  lvn_free(rest.data);
  lvn_free(command.data);
}

static void test_association__echoes_where_verification_was_accepted(void **state) {
  struct fixture *fixture = *state;
  struct bytes contexts = {0};
  struct bytes more = {0};
  int fd = -1;
  start(fixture);
  put_context(&contexts, 1, CT_CLASS, explicit_only);
  put_context(&contexts, 3, VERIFICATION, explicit_only);
  put_context(&contexts, 5, MR_CLASS, explicit_only); /* refused */
  assert_int_equal(ask(fixture, &contexts, &more, &fd), PDU_ASSOCIATE_AC);
  send_echo(fd, 3);
  assert_int_equal(peer_receive_pdu(fd, body, sizeof body, &body_count, WAIT_MS), PDU_DATA);
  assert_int_equal(find_command_u16(body, body_count, 0x0900), 0x0000);
  send_echo(fd, 1);
  assert_int_equal(peer_receive_pdu(fd, body, sizeof body, &body_count, WAIT_MS), PDU_DATA);
  assert_int_equal(find_command_u16(body, body_count, 0x0900), 0x0122);
  send_echo(fd, 5);
  assert_int_equal(peer_receive_pdu(fd, body, sizeof body, &body_count, WAIT_MS), PDU_ABORT);
  (void)close(fd);
  assert_false(finish(fixture)->is_good);
}

static void test_association__says_why_an_object_is_refused(void **state) {
  struct fixture *fixture = *state;
  static const uint8_t data[64];
  size_t count = 0;
  bool is_there = false;
  fixture->record->end_status = LVN_STORE_CANNOT_UNDERSTAND;
  fixture->record->comment = "Study Instance UID is missing";
  start(fixture);
  int fd = raw_open(fixture);
  raw_command(fd, 1);
  assert_true(peer_send_pdv(fd, 1, PDV_LAST, data, sizeof data));
  assert_int_equal(peer_receive_pdu(fd, body, sizeof body, &count, WAIT_MS), PDU_DATA);
  assert_int_equal(find_command_u16(body, count, 0x0900), 0xC000);
  for (size_t at = 0; at + 29 <= count; at++) {
    is_there = is_there || memcmp(body + at, "Study Instance UID is missing", 29) == 0;
  }
  assert_true(is_there);
  raw_release(fd);
  assert_true(finish(fixture)->is_good);
}

static void test_association__takes_further_classes(void **state) {
  static const struct {
    const char *further;
    int mr, dose, siemens, find;
  } rows[] = {{NULL, 3, 3, 3, 3},         {"", 3, 3, 3, 3},
              {"standard", 0, 0, 3, 3},   {"standard, " SIEMENS_CLASS, 0, 0, 0, 3},
              {"all", 0, 0, 0, 3},        {DOSE_CLASS "," SIEMENS_CLASS, 3, 0, 0, 3},
              {MR_CLASS ".1", 3, 3, 3, 3}};
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    struct fixture *fixture = *state;
    struct bytes contexts = {0};
    struct bytes more = {0};
    int fd = -1;
    fixture->record->further_classes = rows[i].further;
    start(fixture);
    put_context(&contexts, 1, CT_CLASS, explicit_only);
    put_context(&contexts, 3, MR_CLASS, explicit_only);
    put_context(&contexts, 5, DOSE_CLASS, explicit_only);
    put_context(&contexts, 7, SIEMENS_CLASS, explicit_only);
    put_context(&contexts, 9, FIND_CLASS, explicit_only);
    assert_int_equal(ask(fixture, &contexts, &more, &fd), PDU_ASSOCIATE_AC);
    assert_int_equal(result_of(1), 0);
    assert_int_equal(result_of(3), rows[i].mr);
    assert_int_equal(result_of(5), rows[i].dose);
    assert_int_equal(result_of(7), rows[i].siemens);
    assert_int_equal(result_of(9), rows[i].find);
    check_store(fixture, fd);
    (void)close(fd);
  }
}

/* What is only kept is kept in any coding that the scan can follow; what is used must be decoded one day. */
static void test_association__takes_video_of_further_classes(void **state) {
  struct fixture *fixture = *state;
  static const char *const video[] = {MPEG4, NULL};
  static const char *const unscannable[] = {"1.2.840.10008.1.2.4.95", "1.2.840.10008.1.2.6.2", "1.2.3.4", NULL};
  static const char *const both[] = {MPEG4, "1.2.840.10008.1.2.4.50", NULL};
  struct bytes contexts = {0};
  struct bytes more = {0};
  int fd = -1;
  fixture->record->further_classes = "standard";
  start(fixture);
  put_context(&contexts, 1, CT_CLASS, explicit_only);
  put_context(&contexts, 3, VIDEO_CLASS, video);
  put_context(&contexts, 5, VIDEO_CLASS, unscannable);
  put_context(&contexts, 7, CT_CLASS, video);
  put_context(&contexts, 9, VIDEO_CLASS, both);
  assert_int_equal(ask(fixture, &contexts, &more, &fd), PDU_ASSOCIATE_AC);
  assert_int_equal(result_of(3), 0);
  assert_int_equal(result_of(5), 4);
  assert_int_equal(result_of(7), 4);
  assert_int_equal(result_of(9), 0);
  check_store(fixture, fd);
  (void)close(fd);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      CASE(test_association__turns_down_the_role_of_an_scp),
      CASE(test_association__ignores_user_information_that_it_does_not_use),
      CASE(test_association__admits_beside_a_user_identity),
      CASE(test_association__answers_every_presentation_context),
      CASE(test_association__aborts_on_impossible_context_ids),
      CASE(test_association__echoes_where_verification_was_accepted),
      CASE(test_association__says_why_an_object_is_refused),
      CASE(test_association__takes_further_classes),
      CASE(test_association__takes_video_of_further_classes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
