/* One association served by a child, as in the receiver; what its handler saw lies in memory that both share. */
#ifndef LVN_TESTS_ASSOCIATION_FIXTURE_H
#define LVN_TESTS_ASSOCIATION_FIXTURE_H

#include "base/clock.h"
#include "base/file.h"
#include "dicom/net/services/scu.h"
#include "dicom/net/services/storage.h"
#include "dicom/net/services/verification.h"
#include "dicom/scan/identity.h"

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
#define MORE_SERVICES_MAX 2
#define EXPLICIT_CT LVN_TEST_DATA "/ct_transfer_syntaxes/1.2.840.10008.1.2.1.dcm"
#define IMPLICIT_CT LVN_TEST_DATA "/ct_liver_3slices/01.dcm"

struct record {
  /* What the child shall do. */
  struct lvn_association_limits limits;
  uint64_t max_object_bytes;
  uint32_t max_objects;
  const char *further_classes;                   /* a constant */
  const struct lvn_dimse_service *more_services; /* a constant; at most MORE_SERVICES_MAX, beside the node's own */
  size_t more_service_count;
  const struct lvn_transport_layer *layer; /* a constant */
  const char *only_syntax;                 /* a constant; NULL: all that the node takes */
  enum lvn_admission admission;
  uint16_t begin_status;
  uint16_t end_status;
  size_t abort_after_bytes; /* 0: never; else the child sends A-ABORT and ends */
  double end_seconds;       /* end() takes as long */
  const char *comment;      /* a constant */
  /* What it saw. */
  int fd;
  char calling_aet[32];
  char called_aet[32];
  char class_uid[80];
  char instance_uid[80];
  char syntax_uid[80];
  unsigned begins;
  unsigned ends[LVN_END_OTHER_CLASS + 1];
  unsigned limits_reached;
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

static inline enum lvn_admission on_admit(void *user_data, const struct lvn_association_peer *peer) {
  struct record *record = user_data;
  (void)snprintf(record->calling_aet, sizeof record->calling_aet, "%s", peer->calling_aet);
  (void)snprintf(record->called_aet, sizeof record->called_aet, "%s", peer->called_aet);
  return record->admission;
}

static inline uint16_t on_begin(void *user_data, const struct lvn_storage_object *object) {
  struct record *record = user_data;
  record->begins++;
  record->byte_count = 0;
  (void)snprintf(record->class_uid, sizeof record->class_uid, "%s", object->sop_class_uid);
  (void)snprintf(record->instance_uid, sizeof record->instance_uid, "%s", object->sop_instance_uid);
  (void)snprintf(record->syntax_uid, sizeof record->syntax_uid, "%s", object->transfer_syntax_uid);
  return record->begin_status;
}

static inline void on_data(void *user_data, const void *bytes, size_t count) {
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

static inline uint16_t on_end(void *user_data, enum lvn_storage_end how) {
  struct record *record = user_data;
  if (record->end_seconds > 0) {
    lvn_clock_sleep_seconds(record->end_seconds);
  }
  record->ends[how]++;
  return how == LVN_END_TOO_LARGE ? LVN_STORE_OUT_OF_RESOURCES : record->end_status;
}

static inline void on_limit_reached(void *user_data) {
  struct record *record = user_data;
  record->limits_reached++;
}

static inline const char *on_explain(void *user_data) {
  const struct record *record = user_data;
  return record->comment;
}

static const char *only_syntax;

static inline const char *choose_only(const char *abstract_syntax, const char *const *proposed, size_t count) {
  (void)abstract_syntax;
  for (size_t i = 0; i < count; i++) {
    if (strcmp(proposed[i], only_syntax) == 0) {
      return only_syntax;
    }
  }
  return NULL;
}

static inline bool serve_accepted(struct record *record, struct lvn_error *err) {
  struct lvn_dimse *dimse = NULL;
  struct lvn_storage storage = {.handler = {record, on_begin, on_data, on_end, on_limit_reached, on_explain},
                                .max_object_bytes = record->max_object_bytes,
                                .max_objects = record->max_objects,
                                .further_classes = record->further_classes};
  struct lvn_dimse_service services[2 + MORE_SERVICES_MAX] = {lvn_verification_service(),
                                                              lvn_storage_service(&storage)};
  only_syntax = record->only_syntax;
  if (only_syntax != NULL) {
    services[1].choose_syntax = choose_only;
  }
  for (size_t i = 0; i < record->more_service_count; i++) {
    services[2 + i] = record->more_services[i];
  }
  bool is_good = lvn_dimse_accept(record->fd, record->layer, &record->limits, on_admit, record, services,
                                  2 + record->more_service_count, &dimse, err) &&
                 lvn_dimse_serve(dimse, err);
  lvn_dimse_close(dimse);
  return is_good;
}

static inline void serve_one(struct record *record, int listen_fd) {
  struct lvn_error err = {0};
  struct rusage usage;
  (void)alarm(30); /* a test that hangs ends */
  record->fd = accept(listen_fd, NULL, NULL);
  double since = lvn_clock_monotonic_seconds();
  record->is_good = serve_accepted(record, &err);
  record->seconds = lvn_clock_monotonic_seconds() - since;
  record->code = err.code;
  memcpy(record->message, err.message, sizeof record->message);
  (void)getrusage(RUSAGE_SELF, &usage);
  record->peak_kib = usage.ru_maxrss;
  record->is_served = true;
}

static inline int make_fixture(void **state) {
  static struct fixture fixture;
  fixture = (struct fixture){0};
  fixture.record = mmap(NULL, sizeof *fixture.record, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  fixture.record->limits = (struct lvn_association_limits){
      .max_pdu_bytes = 131072, .negotiate_seconds = 5, .idle_seconds = 5, .total_seconds = 15};
  fixture.record->max_object_bytes = 64u << 20;
  fixture.record->max_objects = 100;
  *state = &fixture;
  return fixture.record == MAP_FAILED ? -1 : 0;
}

static inline int drop_fixture(void **state) {
  struct fixture *fixture = *state;
  if (fixture->pid > 0) {
    (void)kill(fixture->pid, SIGKILL);
    (void)waitpid(fixture->pid, NULL, 0);
  }
  return munmap(fixture->record, sizeof *fixture->record);
}

static inline int listen_anywhere(uint16_t *ret_port) {
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

static inline void start(struct fixture *fixture) {
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
static inline const struct record *finish(struct fixture *fixture) {
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

static inline struct lvn_scu_peer scu_peer(const struct fixture *fixture) {
  return (struct lvn_scu_peer){.host = "127.0.0.1",
                               .port = fixture->port,
                               .called_aet = "NODE",
                               .calling_aet = "TESTER",
                               .connect_seconds = 5,
                               .dimse_seconds = 5};
}

/* The whole file, and where its data set starts (after the meta group, PS3.10 7.1). */
static inline uint8_t *read_file(const char *path, size_t *ret_count, size_t *ret_start) {
  struct lvn_error err;
  uint8_t *data = NULL;
  if (!lvn_file_read(path, DATA_BYTES_MAX, &data, ret_count, &err)) {
    fail_msg("%s", err.message);
  }
  *ret_start = 144 + (data[140] | (size_t)data[141] << 8);
  return data;
}

static const char *const explicit_only[] = {EXPLICIT_LITTLE, NULL};

/* An accepted association with this class in one of these transfer syntaxes as context 1. */
static inline int raw_open_class(const struct fixture *fixture, const char *class_uid, const char *const *syntaxes) {
  struct bytes contexts = {0};
  struct bytes request = {0};
  uint8_t body[4096];
  size_t count = 0;
  int fd = peer_connect(fixture->port);
  assert_true(fd >= 0);
  put_context(&contexts, 1, class_uid, syntaxes);
  put_associate(&request, &contexts);
  lvn_free(contexts.data);
  assert_true(peer_send_bytes(fd, &request));
  assert_int_equal(peer_receive_pdu(fd, body, sizeof body, &count, WAIT_MS), PDU_ASSOCIATE_AC);
  return fd;
}

static inline int raw_open_as(const struct fixture *fixture, const char *const *syntaxes) {
  return raw_open_class(fixture, CT_CLASS, syntaxes);
}

static inline int raw_open(const struct fixture *fixture) {
  return raw_open_as(fixture, explicit_only);
}

static inline void raw_command(int fd, uint8_t context) {
  struct bytes command = {0};
  put_store_command(&command, CT_CLASS, "1.2.3.4");
  (void)peer_send_pdv(fd, context, PDV_COMMAND | PDV_LAST, command.data, command.count); /* the answer will tell */
  lvn_free(command.data);
}

/* The status of a C-STORE-RSP; -1: something else, or nothing. */
static inline int raw_status(int fd) {
  uint8_t body[4096];
  size_t count = 0;
  if (peer_receive_pdu(fd, body, sizeof body, &count, WAIT_MS) != PDU_DATA ||
      find_command_u16(body, count, 0x0100) != 0x8001 || find_command_u16(body, count, 0x0120) != 7) {
    return -1;
  }
  return find_command_u16(body, count, 0x0900);
}

/* An object of `count` bytes in PDVs of `step` bytes; its status. */
static inline int raw_store(int fd, const uint8_t *data, size_t count, size_t step) {
  raw_command(fd, 1);
  for (size_t at = 0; at < count; at += step) {
    size_t part = count - at < step ? count - at : step;
    if (!peer_send_pdv(fd, 1, at + part == count ? PDV_LAST : 0, data + at, part)) {
      return -1;
    }
  }
  return raw_status(fd);
}

static inline void raw_release(int fd) {
  static const uint8_t release[] = {PDU_RELEASE_RQ, 0, 0, 0, 0, 4, 0, 0, 0, 0};
  uint8_t body[16];
  size_t count = 0;
  assert_true(peer_send(fd, release, sizeof release));
  assert_int_equal(peer_receive_pdu(fd, body, sizeof body, &count, WAIT_MS), PDU_RELEASE_RP);
  (void)close(fd);
}

/* The other side ends the connection, after an A-ABORT or without; true: A-ABORT. */
static inline bool raw_wait_for_end(int fd) {
  uint8_t body[4096];
  size_t count = 0;
  enum pdu_type type = peer_receive_pdu(fd, body, sizeof body, &count, WAIT_MS);
  (void)close(fd);
  assert_true(type == PDU_ABORT || type == PDU_NONE);
  return type == PDU_ABORT;
}

static inline void scu_send(struct fixture *fixture, const char *path, const char *syntax, uint16_t expected) {
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

#define CASE(name) cmocka_unit_test_setup_teardown(name, make_fixture, drop_fixture)

#endif
