/* lvn_association_serve() and lvn_scu_*() against each other and against raw peers over real sockets. Each association
 * is served by a child, as in the receiver (the time limits use the process's timer); what its handler saw lies in
 * memory that both share. */
#include "daemon/base/clock.h"
#include "daemon/base/file.h"
#include "dicom/net/association.h"
#include "dicom/net/scu.h"

#include "pdu_bytes.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <cmocka.h>

#define DATA_BYTES_MAX ((size_t)1 << 20)
#define WAIT_MS 8000
#define EXPLICIT_CT LVN_TEST_DATA "/ct_transfer_syntaxes/1.2.840.10008.1.2.1.dcm"
#define IMPLICIT_CT LVN_TEST_DATA "/ct_liver_3slices/01.dcm"

struct record {
  /* What the child shall do. */
  struct lvn_association_limits limits;
  enum lvn_admission admission;
  uint16_t begin_status;
  uint16_t end_status;
  size_t abort_after_bytes; /* 0: never; else the child sends A-ABORT and ends */
  double end_seconds;       /* end() takes as long */
  /* What it saw. */
  int fd;
  char calling_aet[32];
  char called_aet[32];
  char class_uid[80];
  char instance_uid[80];
  char syntax_uid[80];
  unsigned begins;
  unsigned whole_ends;
  unsigned broken_ends;
  uint64_t byte_count; /* of the last object */
  bool is_served;
  bool is_good;
  enum lvn_error_code code;
  char message[512];
  double seconds;
  long peak_kib;
  uint8_t data[DATA_BYTES_MAX];
};

struct fixture {
  struct record *record;
  pid_t pid;
  uint16_t port;
};

static enum lvn_admission on_admit(void *user_data, const struct lvn_association_peer *peer) {
  struct record *record = user_data;
  (void)snprintf(record->calling_aet, sizeof record->calling_aet, "%s", peer->calling_aet);
  (void)snprintf(record->called_aet, sizeof record->called_aet, "%s", peer->called_aet);
  return record->admission;
}

static uint16_t on_begin(void *user_data, const struct lvn_association_object *object) {
  struct record *record = user_data;
  record->begins++;
  record->byte_count = 0;
  (void)snprintf(record->class_uid, sizeof record->class_uid, "%s", object->sop_class_uid);
  (void)snprintf(record->instance_uid, sizeof record->instance_uid, "%s", object->sop_instance_uid);
  (void)snprintf(record->syntax_uid, sizeof record->syntax_uid, "%s", object->transfer_syntax_uid);
  return record->begin_status;
}

static void on_data(void *user_data, const void *bytes, size_t count) {
  static const uint8_t abort_pdu[] = {PDU_ABORT, 0, 0, 0, 0, 4, 0, 0, 0, 0};
  struct record *record = user_data;
  if (record->byte_count + count <= DATA_BYTES_MAX) {
    memcpy(record->data + record->byte_count, bytes, count);
  }
  record->byte_count += count;
  if (record->abort_after_bytes > 0 && record->byte_count >= record->abort_after_bytes) {
    (void)peer_send(record->fd, abort_pdu, sizeof abort_pdu);
    _exit(0); /* allow: a peer that vanishes */
  }
}

static uint16_t on_end(void *user_data, bool whole) {
  struct record *record = user_data;
  if (record->end_seconds > 0) {
    lvn_clock_sleep_seconds(record->end_seconds);
  }
  record->whole_ends += whole;
  record->broken_ends += !whole;
  return record->end_status;
}

static void serve_one(struct record *record, int listen_fd) {
  struct lvn_error err = {0};
  struct rusage usage;
  const struct lvn_association_handler handler = {record, on_admit, on_begin, on_data, on_end};
  (void)alarm(30); /* a test that hangs ends */
  record->fd = accept(listen_fd, NULL, NULL);
  double since = lvn_clock_monotonic_seconds();
  record->is_good = lvn_association_serve(record->fd, &record->limits, &handler, &err);
  record->seconds = lvn_clock_monotonic_seconds() - since;
  record->code = err.code;
  memcpy(record->message, err.message, sizeof record->message);
  (void)getrusage(RUSAGE_SELF, &usage);
  record->peak_kib = usage.ru_maxrss;
  record->is_served = true;
}

static int make_fixture(void **state) {
  static struct fixture fixture;
  fixture = (struct fixture){0};
  fixture.record = mmap(NULL, sizeof *fixture.record, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  fixture.record->limits = (struct lvn_association_limits){.max_pdu_bytes = 131072,
                                                           .max_object_bytes = 64u << 20,
                                                           .max_objects = 100,
                                                           .negotiate_seconds = 5,
                                                           .idle_seconds = 5,
                                                           .total_seconds = 15};
  *state = &fixture;
  return fixture.record == MAP_FAILED ? -1 : 0;
}

static int drop_fixture(void **state) {
  struct fixture *fixture = *state;
  if (fixture->pid > 0) {
    (void)kill(fixture->pid, SIGKILL);
    (void)waitpid(fixture->pid, NULL, 0);
  }
  return munmap(fixture->record, sizeof *fixture->record);
}

static int listen_anywhere(uint16_t *ret_port) {
  struct sockaddr_in address = {.sin_family = AF_INET};
  socklen_t bytes = sizeof address;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  assert_true(fd >= 0);
  assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof address), 0);
  assert_int_equal(listen(fd, 8), 0);
  assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &bytes), 0);
  *ret_port = ntohs(address.sin_port);
  return fd;
}

static void start(struct fixture *fixture) {
  int listen_fd = listen_anywhere(&fixture->port);
  fixture->pid = fork();
  assert_true(fixture->pid >= 0);
  if (fixture->pid == 0) {
    serve_one(fixture->record, listen_fd);
    _exit(0); /* allow: the child of a test */
  }
  (void)close(listen_fd);
}

/* The child ended by itself, in time and not by a signal. */
static const struct record *finish(struct fixture *fixture) {
  int wait_status = 0;
  pid_t ended = 0;
  for (double since = lvn_clock_monotonic_seconds(); ended == 0 && lvn_clock_monotonic_seconds() - since < 10.0;) {
    ended = waitpid(fixture->pid, &wait_status, WNOHANG);
    lvn_clock_sleep_seconds(0.005);
  }
  assert_int_equal(ended, fixture->pid);
  fixture->pid = 0;
  assert_int_equal(wait_status, 0);
  return fixture->record;
}

static struct lvn_scu_peer scu_peer(const struct fixture *fixture) {
  return (struct lvn_scu_peer){.host = "127.0.0.1",
                               .port = fixture->port,
                               .called_aet = "NODE",
                               .calling_aet = "TESTER",
                               .connect_seconds = 5,
                               .dimse_seconds = 5};
}

/* The whole file, and where its data set starts (after the meta group, PS3.10 7.1). */
static uint8_t *read_file(const char *path, size_t *ret_count, size_t *ret_start) {
  struct lvn_error err;
  uint8_t *data = NULL;
  if (!lvn_file_read(path, DATA_BYTES_MAX, &data, ret_count, &err)) {
    fail_msg("%s", err.message);
  }
  *ret_start = 144 + (data[140] | (size_t)data[141] << 8);
  return data;
}

/* ---- raw peers ---- */

static const char *const both_syntaxes[] = {IMPLICIT_LITTLE, EXPLICIT_LITTLE, NULL};
static const char *const explicit_only[] = {EXPLICIT_LITTLE, NULL};

/* An accepted association with CT in explicit VR little endian as context 1. */
static int raw_open(const struct fixture *fixture) {
  struct bytes contexts = {0};
  struct bytes request = {0};
  uint8_t body[4096];
  size_t count = 0;
  int fd = peer_connect(fixture->port);
  assert_true(fd >= 0);
  put_context(&contexts, 1, CT_CLASS, explicit_only);
  put_associate(&request, &contexts);
  lvn_free(contexts.data);
  assert_true(peer_send_bytes(fd, &request));
  assert_int_equal(peer_receive_pdu(fd, body, sizeof body, &count, WAIT_MS), PDU_ASSOCIATE_AC);
  return fd;
}

static void raw_command(int fd, uint8_t context) {
  struct bytes command = {0};
  put_store_command(&command, CT_CLASS, "1.2.3.4");
  (void)peer_send_pdv(fd, context, PDV_COMMAND | PDV_LAST, command.data, command.count); /* the answer will tell */
  lvn_free(command.data);
}

/* The status of a C-STORE-RSP; -1: something else, or nothing. */
static int raw_status(int fd) {
  uint8_t body[4096];
  size_t count = 0;
  if (peer_receive_pdu(fd, body, sizeof body, &count, WAIT_MS) != PDU_DATA ||
      find_command_u16(body, count, 0x0100) != 0x8001 || find_command_u16(body, count, 0x0120) != 7) {
    return -1;
  }
  return find_command_u16(body, count, 0x0900);
}

/* An object of `count` bytes in PDVs of `step` bytes; its status. */
static int raw_store(int fd, const uint8_t *data, size_t count, size_t step) {
  raw_command(fd, 1);
  for (size_t at = 0; at < count; at += step) {
    size_t part = count - at < step ? count - at : step;
    if (!peer_send_pdv(fd, 1, at + part == count ? PDV_LAST : 0, data + at, part)) {
      return -1;
    }
  }
  return raw_status(fd);
}

static void raw_release(int fd) {
  static const uint8_t release[] = {PDU_RELEASE_RQ, 0, 0, 0, 0, 4, 0, 0, 0, 0};
  uint8_t body[16];
  size_t count = 0;
  assert_true(peer_send(fd, release, sizeof release));
  assert_int_equal(peer_receive_pdu(fd, body, sizeof body, &count, WAIT_MS), PDU_RELEASE_RP);
  (void)close(fd);
}

/* The other side ends the connection, after an A-ABORT or without; true: A-ABORT. */
static bool raw_wait_for_end(int fd) {
  uint8_t body[4096];
  size_t count = 0;
  enum pdu_type type = peer_receive_pdu(fd, body, sizeof body, &count, WAIT_MS);
  (void)close(fd);
  assert_true(type == PDU_ABORT || type == PDU_NONE);
  return type == PDU_ABORT;
}

/* ---- what is served ---- */

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
  assert_int_equal(record->whole_ends, 1);
  assert_int_equal(record->byte_count, count - at);
  assert_memory_equal(record->data, file + at, count - at);
  assert_string_equal(record->class_uid, CT_CLASS);
  assert_string_equal(record->instance_uid, "1.2.3.4");
  assert_string_equal(record->syntax_uid, EXPLICIT_LITTLE);
  lvn_free(file);
}

static void scu_send(struct fixture *fixture, const char *path, const char *syntax, uint16_t expected) {
  struct lvn_error err;
  struct lvn_scu *scu = NULL;
  uint16_t status = 0xFFFF;
  start(fixture);
  const struct lvn_scu_peer peer = scu_peer(fixture);
  const struct lvn_scu_file file = {path, CT_CLASS, syntax};
  if (!lvn_scu_open(&peer, &file, 1, &scu, &err) || !lvn_scu_store(scu, &file, &status, &err)) {
    fail_msg("%s", err.message);
  }
  assert_int_equal(status, expected);
  lvn_scu_close(scu);
  assert_true(finish(fixture)->is_good);
}

/* DCMTK leaves group lengths out when it writes; what it wrote once stays as it is. */
static void check_round_trip(struct fixture *fixture, const char *path, const char *syntax) {
  char again[] = "/tmp/lvn-association-XXXXXX";
  struct bytes first = {0};
  int fd = mkostemp(again, O_CLOEXEC);
  assert_true(fd >= 0);
  (void)close(fd);
  scu_send(fixture, path, syntax, 0x0000);
  assert_string_equal(fixture->record->syntax_uid, syntax);
  assert_true(fixture->record->byte_count > 100000);
  put_meta(&first, syntax);
  size_t at = first.count;
  put_raw(&first, fixture->record->data, fixture->record->byte_count);
  assert_int_equal(write_bytes(again, &first), 0);
  scu_send(fixture, again, syntax, 0x0000);
  assert_int_equal(fixture->record->byte_count, first.count - at);
  assert_memory_equal(fixture->record->data, first.data + at, first.count - at);
  assert_int_equal(fixture->record->whole_ends, 2);
  (void)unlink(again);
  lvn_free(first.data);
}

static void test_scu__sends_explicit_little_endian(void **state) {
  check_round_trip(*state, EXPLICIT_CT, EXPLICIT_LITTLE);
}

static void test_scu__sends_jpeg_ls_as_it_is(void **state) {
  check_round_trip(*state, LVN_TEST_DATA "/ct_transfer_syntaxes/1.2.840.10008.1.2.4.80.dcm", "1.2.840.10008.1.2.4.80");
}

static void test_association__answers_status_of_begin(void **state) {
  struct fixture *fixture = *state;
  fixture->record->begin_status = LVN_STORE_OUT_OF_RESOURCES;
  scu_send(fixture, EXPLICIT_CT, EXPLICIT_LITTLE, 0xA700);
  assert_int_equal(fixture->record->begins, 1);
  assert_int_equal(fixture->record->byte_count, 0);
  assert_int_equal(fixture->record->whole_ends + fixture->record->broken_ends, 0);
}

static void test_association__answers_status_of_end(void **state) {
  struct fixture *fixture = *state;
  fixture->record->end_status = LVN_STORE_CANNOT_UNDERSTAND;
  scu_send(fixture, EXPLICIT_CT, EXPLICIT_LITTLE, 0xC000);
  assert_int_equal(fixture->record->whole_ends, 1);
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
  fixture->record->limits.max_objects = 2;
  start(fixture);
  int fd = raw_open(fixture);
  assert_int_equal(raw_store(fd, data, sizeof data, 64), 0x0000);
  assert_int_equal(raw_store(fd, data, sizeof data, 64), 0x0000);
  assert_int_equal(raw_store(fd, data, sizeof data, 64), 0xA700);
  raw_release(fd);
  assert_int_equal(finish(fixture)->begins, 2);
}

static void test_association__refuses_an_oversize_object_and_goes_on(void **state) {
  struct fixture *fixture = *state;
  static const uint8_t data[200000] = {0};
  fixture->record->limits.max_object_bytes = 100000;
  start(fixture);
  int fd = raw_open(fixture);
  assert_int_equal(raw_store(fd, data, sizeof data, 16384), 0xA700);
  assert_int_equal(fixture->record->broken_ends, 1);
  assert_true(fixture->record->byte_count <= 100000);
  assert_int_equal(raw_store(fd, data, 1000, 1000), 0x0000);
  raw_release(fd);
  assert_true(finish(fixture)->is_good);
  assert_int_equal(fixture->record->whole_ends, 1);
}

static void test_association__ends_an_object_without_end(void **state) {
  struct fixture *fixture = *state;
  static const uint8_t data[65000] = {0};
  fixture->record->limits.max_object_bytes = 100000;
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
  assert_int_equal(fixture->record->broken_ends, 1);
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
  assert_int_equal(record->broken_ends, 1);
  assert_int_equal(record->whole_ends, 0);
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

/* ---- peers that waste time ---- */

static void check_cut(struct fixture *fixture, double least_seconds, double most_seconds) {
  const struct record *record = finish(fixture);
  assert_false(record->is_good);
  assert_int_equal(record->code, LVN_ERROR_TIMEOUT);
  assert_true(record->seconds > least_seconds);
  assert_true(record->seconds < most_seconds);
}

static void test_association__cuts_a_half_open_peer(void **state) {
  struct fixture *fixture = *state;
  fixture->record->limits.negotiate_seconds = 1;
  start(fixture);
  int fd = peer_connect(fixture->port);
  (void)raw_wait_for_end(fd);
  check_cut(fixture, 0.8, 2.5);
}

static void drip(int fd, const void *data, size_t count, double interval_seconds) {
  for (size_t i = 0; i < count && peer_send(fd, (const uint8_t *)data + i, 1); i++) {
    struct pollfd gone = {.fd = fd, .events = POLLIN};
    if (poll(&gone, 1, (int)(interval_seconds * 1000)) != 0) {
      break;
    }
  }
  (void)close(fd);
}

static void test_association__cuts_a_peer_that_drips_its_request(void **state) {
  struct fixture *fixture = *state;
  struct bytes contexts = {0};
  struct bytes request = {0};
  fixture->record->limits.negotiate_seconds = 2;
  start(fixture);
  int fd = peer_connect(fixture->port);
  put_context(&contexts, 1, CT_CLASS, explicit_only);
  put_associate(&request, &contexts);
  drip(fd, request.data, request.count, 0.2);
  lvn_free(contexts.data);
  lvn_free(request.data);
  check_cut(fixture, 1.8, 3.5);
}

static void test_association__cuts_an_idle_peer(void **state) {
  struct fixture *fixture = *state;
  fixture->record->limits.idle_seconds = 1;
  start(fixture);
  int fd = raw_open(fixture);
  (void)raw_wait_for_end(fd);
  check_cut(fixture, 0.8, 2.9);
}

static void test_association__cuts_a_peer_that_drips_its_command(void **state) {
  struct fixture *fixture = *state;
  static const uint8_t pdu[64] = {PDU_DATA, 0, 0, 0, 0, 58, 0, 0, 0, 54, 1, PDV_COMMAND};
  fixture->record->limits.idle_seconds = 2; /* DCMTK counts whole seconds: it may be less than two, but not none */
  start(fixture);
  int fd = raw_open(fixture);
  drip(fd, pdu, sizeof pdu, 0.2);
  check_cut(fixture, 0.8, 3.5);
}

static void test_association__cuts_a_peer_idle_within_an_object(void **state) {
  struct fixture *fixture = *state;
  fixture->record->limits.idle_seconds = 1;
  start(fixture);
  int fd = raw_open(fixture);
  raw_command(fd, 1);
  assert_true(peer_send_pdv(fd, 1, 0, "abcd", 4));
  (void)raw_wait_for_end(fd);
  check_cut(fixture, 0.8, 2.9);
  assert_int_equal(fixture->record->broken_ends, 1);
}

static void test_association__ends_at_total_seconds(void **state) {
  struct fixture *fixture = *state;
  static const uint8_t data[64] = {0};
  fixture->record->limits.total_seconds = 2;
  start(fixture);
  int fd = raw_open(fixture);
  for (int i = 0; i < 60 && raw_store(fd, data, sizeof data, 64) == 0; i++) {
    lvn_clock_sleep_seconds(0.1);
  }
  (void)close(fd);
  check_cut(fixture, 1.8, 3.5);
}

/* ---- peers that break the protocol ---- */

static void check_broken(struct fixture *fixture, int fd) {
  (void)raw_wait_for_end(fd);
  const struct record *record = finish(fixture);
  assert_false(record->is_good);
  assert_true(record->is_served);
  assert_true(record->message[0] != '\0');
  assert_int_equal(record->whole_ends, 0);
  assert_true(record->seconds < 4.0);
}

static void test_association__refuses_garbage(void **state) {
  struct fixture *fixture = *state;
  start(fixture);
  int fd = peer_connect(fixture->port);
  assert_true(peer_send(fd, "GET / HTTP/1.1\r\nHost: node\r\n\r\n", 30));
  check_broken(fixture, fd);
}

static void test_association__refuses_a_huge_associate_length(void **state) {
  struct fixture *fixture = *state;
  static const uint8_t head[] = {PDU_ASSOCIATE_RQ, 0, 0x7F, 0xFF, 0xFF, 0xFF, 0, 1, 0, 0};
  start(fixture);
  int fd = peer_connect(fixture->port);
  assert_true(peer_send(fd, head, sizeof head));
  check_broken(fixture, fd);
}

static void test_association__refuses_a_huge_data_pdu(void **state) {
  struct fixture *fixture = *state;
  static const uint8_t head[] = {PDU_DATA, 0, 0x7F, 0xFF, 0xFF, 0xFF, 0, 0, 0, 8, 1, 3};
  start(fixture);
  int fd = raw_open(fixture);
  assert_true(peer_send(fd, head, sizeof head));
  check_broken(fixture, fd);
  assert_true(fixture->record->peak_kib < 64 * 1024);
}

static void test_association__refuses_a_command_within_a_data_set(void **state) {
  struct fixture *fixture = *state;
  start(fixture);
  int fd = raw_open(fixture);
  raw_command(fd, 1);
  assert_true(peer_send_pdv(fd, 1, 0, "abcd", 4));
  raw_command(fd, 1);
  check_broken(fixture, fd);
  assert_int_equal(fixture->record->broken_ends, 1);
}

static void test_association__refuses_a_context_not_accepted(void **state) {
  struct fixture *fixture = *state;
  start(fixture);
  int fd = raw_open(fixture);
  raw_command(fd, 3);
  assert_true(peer_send_pdv(fd, 3, PDV_LAST, "abcd", 4));
  check_broken(fixture, fd);
  assert_int_equal(fixture->record->begins, 0);
}

static void test_association__refuses_another_context_within_a_data_set(void **state) {
  struct fixture *fixture = *state;
  start(fixture);
  int fd = raw_open(fixture);
  raw_command(fd, 1);
  assert_true(peer_send_pdv(fd, 5, PDV_LAST, "abcd", 4));
  check_broken(fixture, fd);
}

static void test_association__refuses_pdvs_of_no_length(void **state) {
  struct fixture *fixture = *state;
  for (uint8_t length = 0; length < 2; length++) {
    const uint8_t pdu[] = {PDU_DATA, 0, 0, 0, 0, 6, 0, 0, 0, length, 1, 0};
    start(fixture);
    int fd = raw_open(fixture);
    raw_command(fd, 1);
    assert_true(peer_send(fd, pdu, sizeof pdu));
    check_broken(fixture, fd);
  }
}

static void test_association__refuses_a_pdv_longer_than_its_pdu(void **state) {
  struct fixture *fixture = *state;
  static const uint8_t pdu[] = {PDU_DATA, 0, 0, 0, 0, 8, 0, 0, 0xFF, 0xFF, 1, 0, 'a', 'b'};
  start(fixture);
  int fd = raw_open(fixture);
  raw_command(fd, 1);
  assert_true(peer_send(fd, pdu, sizeof pdu));
  check_broken(fixture, fd);
  assert_true(fixture->record->byte_count <= 2);
}

/* A fragment without bytes is allowed; one that is alone is an object of no bytes, which the handler judges. */
static void test_association__takes_empty_fragments(void **state) {
  struct fixture *fixture = *state;
  start(fixture);
  int fd = raw_open(fixture);
  raw_command(fd, 1);
  assert_true(peer_send_pdv(fd, 1, 0, "", 0));
  assert_true(peer_send_pdv(fd, 1, 0, "abcd", 4));
  assert_true(peer_send_pdv(fd, 1, PDV_LAST, "", 0));
  assert_int_equal(raw_status(fd), 0x0000);
  raw_release(fd);
  assert_true(finish(fixture)->is_good);
  assert_int_equal(fixture->record->byte_count, 4);
}

static void test_association__refuses_a_data_set_without_a_command(void **state) {
  struct fixture *fixture = *state;
  start(fixture);
  int fd = raw_open(fixture);
  assert_true(peer_send_pdv(fd, 1, PDV_LAST, "abcd", 4));
  check_broken(fixture, fd);
}

static void test_association__refuses_a_command_without_end(void **state) {
  struct fixture *fixture = *state;
  static const uint8_t data[65000] = {0x00, 0x00, 0x00, 0x10, 0xFF, 0xFF, 0xFF, 0x7F};
  start(fixture);
  int fd = raw_open(fixture);
  int sent = 0;
  while (sent < 2000 && peer_send_pdv(fd, 1, PDV_COMMAND, data, sizeof data)) {
    sent++;
  }
  assert_true(sent < 2000);
  check_broken(fixture, fd);
  assert_true(fixture->record->peak_kib < 64 * 1024);
}

static void test_association__refuses_nested_sequences_in_a_command(void **state) {
  struct fixture *fixture = *state;
  struct bytes nested = {0};
  for (int i = 0; i < 4000; i++) {
    static const uint8_t open_item[] = {0x00, 0x00, 0x01, 0x60, 0xFF, 0xFF, 0xFF, 0xFF,
                                        0xFE, 0xFF, 0x00, 0xE0, 0xFF, 0xFF, 0xFF, 0xFF};
    put_raw(&nested, open_item, sizeof open_item);
  }
  start(fixture);
  int fd = raw_open(fixture);
  assert_true(peer_send_pdv(fd, 1, PDV_COMMAND | PDV_LAST, nested.data, nested.count));
  lvn_free(nested.data);
  check_broken(fixture, fd);
}

/* ---- the sending side ---- */

static void test_scu__gives_up_on_a_closed_port(void **state) {
  struct fixture *fixture = *state;
  struct lvn_error err;
  struct lvn_scu *scu = NULL;
  int fd = listen_anywhere(&fixture->port);
  (void)close(fd);
  const struct lvn_scu_peer peer = scu_peer(fixture);
  double since = lvn_clock_monotonic_seconds();
  assert_false(lvn_scu_open(&peer, NULL, 0, &scu, &err));
  assert_int_equal(err.code, LVN_ERROR_IO);
  assert_true(lvn_clock_monotonic_seconds() - since < 3.0);
}

static void test_scu__gives_up_on_a_silent_peer(void **state) {
  struct fixture *fixture = *state;
  struct lvn_error err;
  struct lvn_scu *scu = NULL;
  int fd = listen_anywhere(&fixture->port);
  struct lvn_scu_peer peer = scu_peer(fixture);
  peer.connect_seconds = 1;
  double since = lvn_clock_monotonic_seconds();
  assert_false(lvn_scu_open(&peer, NULL, 0, &scu, &err));
  assert_true(err.code == LVN_ERROR_TIMEOUT || err.code == LVN_ERROR_IO);
  assert_true(lvn_clock_monotonic_seconds() - since < 3.0);
  (void)close(fd);
}

static void test_scu__gives_up_on_a_silent_answer(void **state) {
  struct fixture *fixture = *state;
  struct lvn_error err;
  struct lvn_scu *scu = NULL;
  uint16_t status = 0;
  fixture->record->end_seconds = 20;
  start(fixture);
  struct lvn_scu_peer peer = scu_peer(fixture);
  const struct lvn_scu_file file = {EXPLICIT_CT, CT_CLASS, EXPLICIT_LITTLE};
  peer.connect_seconds = 1; /* also bounds the wait for the peer to close after our A-ABORT */
  peer.dimse_seconds = 1;
  assert_true(lvn_scu_open(&peer, &file, 1, &scu, &err));
  double since = lvn_clock_monotonic_seconds();
  assert_false(lvn_scu_store(scu, &file, &status, &err));
  assert_int_equal(err.code, LVN_ERROR_TIMEOUT);
  lvn_scu_close(scu);
  assert_true(lvn_clock_monotonic_seconds() - since < 5.0);
}

static void test_scu__notices_an_abort_within_an_object(void **state) {
  struct fixture *fixture = *state;
  struct lvn_error err;
  struct lvn_scu *scu = NULL;
  uint16_t status = 0;
  fixture->record->abort_after_bytes = 200000;
  start(fixture);
  const struct lvn_scu_peer peer = scu_peer(fixture);
  const struct lvn_scu_file file = {EXPLICIT_CT, CT_CLASS, EXPLICIT_LITTLE};
  assert_true(lvn_scu_open(&peer, &file, 1, &scu, &err));
  assert_false(lvn_scu_store(scu, &file, &status, &err));
  assert_true(err.code == LVN_ERROR_PROTOCOL || err.code == LVN_ERROR_IO);
  assert_true(lvn_error_is_transient(&err) || err.code == LVN_ERROR_PROTOCOL);
  lvn_scu_close(scu);
  (void)finish(fixture);
}

static void test_scu__says_when_no_context_was_accepted(void **state) {
  struct fixture *fixture = *state;
  struct lvn_error err;
  struct lvn_scu *scu = NULL;
  uint16_t status = 0;
  start(fixture);
  const struct lvn_scu_peer peer = scu_peer(fixture);
  const struct lvn_scu_file files[] = {{EXPLICIT_CT, CT_CLASS, NULL}, /* an MR class, which the node does not take */
                                       {EXPLICIT_CT, "1.2.840.10008.5.1.4.1.1.4", NULL}};
  assert_true(lvn_scu_open(&peer, files, 2, &scu, &err));
  assert_false(lvn_scu_store(scu, &files[1], &status, &err));
  assert_int_equal(err.code, LVN_ERROR_DATA);
  assert_true(lvn_scu_store(scu, &files[0], &status, &err)); /* the association lives on */
  assert_int_equal(status, 0x0000);
  lvn_scu_close(scu);
  assert_true(finish(fixture)->is_good);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, make_fixture, drop_fixture)

int main(void) {
  const struct CMUnitTest tests[] = {
      CASE(test_association__answers_echo_and_release),
      CASE(test_association__passes_a_real_ct_bit_exact),
      CASE(test_scu__sends_explicit_little_endian),
      CASE(test_scu__sends_jpeg_ls_as_it_is),
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
      CASE(test_association__answers_each_presentation_context),
      CASE(test_association__cuts_a_half_open_peer),
      CASE(test_association__cuts_a_peer_that_drips_its_request),
      CASE(test_association__cuts_an_idle_peer),
      CASE(test_association__cuts_a_peer_that_drips_its_command),
      CASE(test_association__cuts_a_peer_idle_within_an_object),
      CASE(test_association__ends_at_total_seconds),
      CASE(test_association__refuses_garbage),
      CASE(test_association__refuses_a_huge_associate_length),
      CASE(test_association__refuses_a_huge_data_pdu),
      CASE(test_association__refuses_a_command_within_a_data_set),
      CASE(test_association__refuses_a_context_not_accepted),
      CASE(test_association__refuses_another_context_within_a_data_set),
      CASE(test_association__refuses_pdvs_of_no_length),
      CASE(test_association__refuses_a_pdv_longer_than_its_pdu),
      CASE(test_association__takes_empty_fragments),
      CASE(test_association__refuses_a_data_set_without_a_command),
      CASE(test_association__refuses_a_command_without_end),
      CASE(test_association__refuses_nested_sequences_in_a_command),
      CASE(test_scu__gives_up_on_a_closed_port),
      CASE(test_scu__gives_up_on_a_silent_peer),
      CASE(test_scu__gives_up_on_a_silent_answer),
      CASE(test_scu__notices_an_abort_within_an_object),
      CASE(test_scu__says_when_no_context_was_accepted),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
