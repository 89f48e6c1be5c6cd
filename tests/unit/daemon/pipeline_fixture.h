/* The pipeline as a process of its own, on real files: three CT slices and a segmentation go in through the spool, a
 * worker that the test plays answers, DCMTK's storescp is the PACS. */
#ifndef LVN_TESTS_PIPELINE_FIXTURE_H
#define LVN_TESTS_PIPELINE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/socket.h"
#include "daemon/pipeline/control/ask.h"
#include "daemon/pipeline/rebuild/rebuild.h"
#include "daemon/pipeline/run.h"
#include "daemon/pipeline/scheduler/scheduler.h"
#include "dicom/scan/scan.h"
#include "storage/spool.h"
#include "tests/unit/scratch.h"

#define DATA LVN_TEST_DATA "/ct_liver_3slices/"
#define DIGEST "00000000000000000000000000000000000000000000000000000000000000aa"
#define PATIENCE_SECONDS 20.0

static char folder[SCRATCH_BYTES];
static struct lvn_config config;
static struct lvn_error err;
static pid_t pipeline_pid;
static pid_t pacs_pid;
static pid_t worker_pid;

#define assert_good(expression)                                                                                        \
  do {                                                                                                                 \
    if (!(expression)) {                                                                                               \
      fail_msg("%s: %s", #expression, err.message);                                                                    \
    }                                                                                                                  \
  } while (0)

static inline uint16_t free_port(void) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t bytes = sizeof address;
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
  assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &bytes), 0);
  (void)close(fd);
  return ntohs(address.sin_port);
}

static inline void start_pipeline(void) {
  int ready[2];
  char byte = 0;
  assert_int_equal(pipe(ready), 0);
  pipeline_pid = fork();
  assert_true(pipeline_pid >= 0);
  if (pipeline_pid == 0) {
    char text[16];
    (void)close(ready[0]);
    (void)snprintf(text, sizeof text, "%d", ready[1]);
    (void)setenv("LVN_READY_FD", text, 1);
    lvn_log_setup("pipeline", LVN_LOG_INFO);
    _exit(lvn_pipeline_run("/nonexistent.ini", &config));
  }
  (void)close(ready[1]);
  assert_int_equal(read(ready[0], &byte, 1), 1);
  (void)close(ready[0]);
}

static inline int end_process(pid_t *pid, int signal_number) {
  int status = 0;
  if (*pid > 0) {
    (void)kill(*pid, signal_number);
    (void)waitpid(*pid, &status, 0);
  }
  *pid = 0;
  return status;
}

/* The state folder is <folder>/state. */
static inline void configure(void) {
  config = (struct lvn_config){.settle_seconds = 0,
                               .wait_warning_seconds = 3600,
                               .job_seconds_max = 3,
                               .job_attempts_max = 2,
                               .retry_first_seconds = 1,
                               .retry_max_seconds = 1,
                               .retry_count_max = 10,
                               .connect_seconds = 5,
                               .dimse_seconds = 5,
                               .peer_count = 1};
  (void)snprintf(config.state_folder, sizeof config.state_folder, "%s/state", folder);
  (void)snprintf(config.run_folder, sizeof config.run_folder, "%s/run", folder);
  (void)lvn_copy(config.ae_title, sizeof config.ae_title, "LIVERVLM");
  struct lvn_config_peer *peer = &config.peers[0];
  (void)lvn_copy(peer->name, sizeof peer->name, "pacs");
  (void)lvn_copy(peer->aet, sizeof peer->aet, "PACS");
  (void)lvn_copy(peer->host, sizeof peer->host, "127.0.0.1");
  peer->port = free_port();
  peer->may_send = true;
}

static inline int set_up(void **state) {
  (void)state;
  (void)scratch_make(folder);
  configure();
  start_pipeline();
  return 0;
}

static inline int tear_down(void **state) {
  (void)state;
  (void)end_process(&pipeline_pid, SIGKILL);
  (void)end_process(&pacs_pid, SIGKILL);
  (void)end_process(&worker_pid, SIGKILL);
  (void)umount2(config.state_folder, MNT_DETACH);
  scratch_remove(folder);
  return 0;
}

/* Any text, also what is no JSON. */
static inline json_t *ask(const char *request) {
  char path[LVN_PATH_BYTES];
  int fd = -1;
  char *line = NULL;
  size_t capacity = 0;
  assert_good(lvn_path_join(path, config.run_folder, LVN_CONTROL_SOCKET, &err));
  assert_good(lvn_socket_connect(path, &fd, &err));
  FILE *stream = fdopen(fd, "r+");
  assert_non_null(stream);
  assert_true(fprintf(stream, "%s\n", request) > 0);
  assert_int_equal(fflush(stream), 0);
  assert_true(getline(&line, &capacity, stream) > 0);
  json_t *answer = json_loads(line, 0, NULL);
  assert_non_null(answer);
  free(line); /* allow: getline()'s memory */
  (void)fclose(stream);
  return answer;
}

/* Member `key` of the first row of a list is `expected` soon, and stays so for the caller to see. */
static inline bool comes_to(const char *list, const char *key, const char *expected) {
  char request[64];
  char seen[512] = "(none)";
  double deadline = lvn_clock_monotonic_seconds() + PATIENCE_SECONDS;
  (void)snprintf(request, sizeof request, "{\"command\":\"%s\"}", list);
  while (lvn_clock_monotonic_seconds() < deadline) {
    json_t *answer = ask(request);
    const char *text = json_string_value(json_object_get(json_array_get(json_object_get(answer, list), 0), key));
    (void)lvn_copy(seen, sizeof seen, text == NULL ? "(none)" : text);
    json_decref(answer);
    if (strstr(seen, expected) != NULL) {
      return true;
    }
    lvn_clock_sleep_seconds(0.05);
  }
  print_error("%s.%s is '%s', not '%s'\n", list, key, seen, expected);
  return false;
}

static inline json_int_t integer_of(const char *list, const char *key) {
  char request[64];
  (void)snprintf(request, sizeof request, "{\"command\":\"%s\"}", list);
  json_t *answer = ask(request);
  json_int_t value = json_integer_value(json_object_get(json_array_get(json_object_get(answer, list), 0), key));
  json_decref(answer);
  return value;
}

static inline bool counts_to(const char *list, const char *key, json_int_t expected) {
  for (double until = lvn_clock_monotonic_seconds() + PATIENCE_SECONDS; lvn_clock_monotonic_seconds() < until;) {
    if (integer_of(list, key) == expected) {
      return true;
    }
    lvn_clock_sleep_seconds(0.05);
  }
  return false;
}

/* The object of a file, or another version of it: with another last byte of its pixels. */
static inline void receive_version(const char *name, uint8_t version) {
  struct lvn_spool *spool = NULL;
  struct lvn_spool_writer *writer = NULL;
  struct lvn_scan scan;
  struct lvn_reception_record record = {.calling_aet = "PACS", .address = "127.0.0.1", .association_id = "test"};
  char path[LVN_PATH_BYTES];
  uint8_t *data = NULL;
  size_t bytes = 0;
  (void)snprintf(path, sizeof path, DATA "%s", name);
  assert_good(lvn_scan_file(path, &scan, &err));
  (void)lvn_copy(record.sop_class_uid, LVN_UID_BYTES, scan.sop_class_uid);
  (void)lvn_copy(record.sop_instance_uid, LVN_UID_BYTES, scan.sop_instance_uid);
  (void)lvn_copy(record.study_instance_uid, LVN_UID_BYTES, scan.study_instance_uid);
  (void)lvn_copy(record.series_instance_uid, LVN_UID_BYTES, scan.series_instance_uid);
  (void)lvn_copy(record.transfer_syntax_uid, LVN_UID_BYTES, scan.transfer_syntax_uid);
  record.received_ms = lvn_clock_wall_ms();
  assert_good(lvn_file_read(path, 1U << 24, &data, &bytes, &err));
  data[bytes - 1] = (uint8_t)(data[bytes - 1] ^ version);
  assert_good(lvn_spool_open(config.state_folder, &spool, &err));
  assert_good(lvn_spool_begin(spool, &writer, &err));
  assert_good(lvn_spool_write(writer, data, bytes, &err));
  assert_good(lvn_spool_commit(writer, &record, &err));
  lvn_spool_close(spool);
  lvn_free(data);
}

static inline void receive(const char *name) {
  receive_version(name, 0);
}

static inline void receive_ct(void) {
  receive("01.dcm");
  receive("02.dcm");
  receive("03.dcm");
}

static inline int connect_worker(void) {
  char path[LVN_PATH_BYTES];
  int fd = -1;
  static const char hello[] =
      "{\"hello\":{\"pid\":1,\"model_name\":\"m\",\"model_version\":\"1\",\"model_digest\":\"" DIGEST "\"}}\n";
  assert_good(lvn_path_join(path, config.run_folder, LVN_WORKER_SOCKET, &err));
  assert_good(lvn_socket_connect(path, &fd, &err));
  assert_int_equal(write(fd, hello, strlen(hello)), strlen(hello));
  return fd;
}

static inline json_t *take_job(int fd) {
  char line[65536];
  size_t used = 0;
  while (used + 1 < sizeof line && read(fd, line + used, 1) == 1 && line[used] != '\n') {
    used++;
  }
  line[used] = '\0';
  json_t *root = json_loads(line, 0, NULL);
  json_t *job = json_incref(json_object_get(root, "job"));
  json_decref(root);
  return job;
}

/* Plays the analysis: its "result" is a copy of a DICOM file that is not in the study. */
static inline void answer_done(int fd, const json_t *job) {
  struct lvn_scan scan;
  uint8_t *data = NULL;
  size_t bytes = 0;
  char line[8192];
  char path[LVN_PATH_BYTES];
  const char *folder_of_job = json_string_value(json_object_get(job, "output_folder"));
  assert_good(lvn_path_join(path, folder_of_job, "result.dcm", &err));
  assert_good(lvn_file_read(LVN_TEST_DATA "/sr/ohif_dcmjs_sample-sr.dcm", 1U << 24, &data, &bytes, &err));
  assert_good(lvn_file_replace(path, data, bytes, 0600, &err));
  assert_good(lvn_scan_file(path, &scan, &err));
  lvn_free(data);
  int length =
      snprintf(line, sizeof line,
               "{\"done\":{\"job_id\":%" JSON_INTEGER_FORMAT ",\"outcome\":\"done\",\"status_message\":\"\","
               "\"objects\":[{\"path\":\"%s\",\"sop_class_uid\":\"%s\",\"sop_instance_uid\":\"%s\"}]}}\n",
               json_integer_value(json_object_get(job, "job_id")), path, scan.sop_class_uid, scan.sop_instance_uid);
  assert_int_equal(write(fd, line, (size_t)length), length);
}

static inline void answer_outcome(int fd, const json_t *job, const char *outcome, const char *status_message) {
  char line[1024];
  int length = snprintf(line, sizeof line,
                        "{\"done\":{\"job_id\":%" JSON_INTEGER_FORMAT
                        ",\"outcome\":\"%s\",\"status_message\":\"%s\",\"objects\":[]}}\n",
                        json_integer_value(json_object_get(job, "job_id")), outcome, status_message);
  assert_int_equal(write(fd, line, (size_t)length), length);
}

static inline void start_pacs(void) {
  char port[16];
  char inbox[SCRATCH_BYTES + 8];
  (void)snprintf(port, sizeof port, "%u", (unsigned)config.peers[0].port);
  (void)snprintf(inbox, sizeof inbox, "%s/pacs", folder);
  (void)mkdir(inbox, 0700);
  pacs_pid = fork();
  assert_true(pacs_pid >= 0);
  if (pacs_pid == 0) {
    (void)execlp("storescp", "storescp", "-aet", "PACS", "-od", inbox, "--quiet", port, (char *)NULL);
    _exit(127);
  }
}

static inline size_t count_in_pacs(void) {
  struct lvn_file_names paths = {0};
  char inbox[SCRATCH_BYTES + 8];
  (void)snprintf(inbox, sizeof inbox, "%s/pacs", folder);
  assert_good(lvn_file_walk(inbox, 1000, &paths, &err));
  size_t count = paths.count;
  lvn_file_names_clear(&paths);
  return count;
}

#endif
