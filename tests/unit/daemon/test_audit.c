/* Audit messages: one line each whatever is in them, none lost or torn by processes that write at once, a queue that
 * never grows above its limit, and every message that was not kept counted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/memory.h"
#include "daemon/audit/audit.h"
#include "daemon/audit/message.h"
#include "daemon/audit/queue.h"
#include "daemon/audit/transfer.h"
#include "tests/unit/scratch.h"

static struct lvn_config config;
static struct lvn_error err;

static int set_up(void **state) {
  char folder[SCRATCH_BYTES];
  (void)state;
  memset(&config, 0, sizeof config);
  scratch_make(folder);
  (void)lvn_copy(config.state_folder, sizeof config.state_folder, folder);
  (void)lvn_copy(config.audit_host, sizeof config.audit_host, "repository.example");
  (void)lvn_copy(config.ae_title, sizeof config.ae_title, "LIVERVLM");
  config.audit_queue_bytes = 65536;
  return 0;
}

static char *format(const struct lvn_audit_event *event) {
  char *line = NULL;
  size_t bytes = 0;
  assert_true(lvn_audit_format(&config, event, 1795855746123, &line, &bytes, &err));
  assert_int_equal(strlen(line), bytes);
  return line;
}

static void test_audit__message_is_one_line_of_ascii(void **state) {
  const struct lvn_audit_class classes[] = {{"1.2.840.10008.5.1.4.1.1.2", 300}};
  char *line = format(&(struct lvn_audit_event){.kind = LVN_AUDIT_OBJECTS_RECEIVED,
                                                .has_failed = true,
                                                .description = "\"<&>\"\r\n\x01",
                                                .peer_aet = "CT1",
                                                .peer_host = "2001:db8::1",
                                                .study_uid = "1.2.3",
                                                .patient_id = "M\xfcller",
                                                .classes = classes,
                                                .class_count = 1});
  (void)state;
  assert_ptr_equal(strstr(line, "<85>1 2026-11-28T"), line);
  assert_null(strchr(line, '\n'));
  assert_non_null(strstr(line, "<EventOutcomeDescription>&quot;&lt;&amp;&gt;&quot;?"
                               "?"
                               "?</EventOutcomeDescription>"));
  assert_non_null(strstr(line, "EventOutcomeIndicator=\"4\""));
  assert_non_null(strstr(line, "ParticipantObjectID=\"M?ller\""));
  assert_non_null(strstr(line, "<SOPClass UID=\"1.2.840.10008.5.1.4.1.1.2\" NumberOfInstances=\"300\"/>"));
  assert_non_null(strstr(line, "NetworkAccessPointID=\"2001:db8::1\" NetworkAccessPointTypeCode=\"2\""));
  lvn_free(line);
}

static void test_audit__base64_of_every_rest(void **state) {
  static const char *const encoded[] = {"",         "Zg==",     "Zm8=",    "Zm9v",
                                        "Zm9vYg==", "Zm9vYmE=", "Zm9vYmFy"}; /* RFC 4648 10 */
  char expected[80];
  (void)state;
  for (size_t i = 0; i < sizeof encoded / sizeof encoded[0]; i++) {
    char *line = format(&(struct lvn_audit_event){
        .kind = LVN_AUDIT_QUERY_SENT, .peer_aet = "PACS", .query_class = "1.2", .query = "foobar", .query_bytes = i});
    (void)snprintf(expected, sizeof expected, "<ParticipantObjectQuery>%s</ParticipantObjectQuery>", encoded[i]);
    assert_non_null(strstr(line, expected));
    lvn_free(line);
  }
}

static void test_audit__every_kind_has_its_row(void **state) {
  (void)state;
  for (int kind = 0; kind < LVN_AUDIT_KINDS; kind++) {
    char *line = format(&(struct lvn_audit_event){.kind = (enum lvn_audit_kind)kind, .subject = "x"});
    assert_non_null(strstr(line, "<EventID csd-code=\"1101"));
    assert_null(strstr(line, "(null)"));
    lvn_free(line);
  }
}

static size_t count_lines(const char *lines, size_t bytes) {
  size_t count = 0;
  for (size_t i = 0; i < bytes; i++) {
    count += lines[i] == '\n';
  }
  return count;
}

static size_t take(size_t max_bytes) {
  char *lines = NULL;
  size_t bytes = 0;
  assert_true(lvn_audit_queue_read(&config, &lines, &bytes, &err));
  const size_t count = count_lines(lines, bytes);
  assert_true(bytes == 0 || lines[bytes - 1] == '\n');
  lvn_free(lines);
  assert_true(lvn_audit_queue_remove(&config, bytes < max_bytes ? bytes : max_bytes, &err));
  return count;
}

static struct lvn_audit_queue_state look(void) {
  struct lvn_audit_queue_state queue;
  assert_true(lvn_audit_queue_look(&config, &queue, &err));
  return queue;
}

static void test_audit__queue_keeps_order_and_limit(void **state) {
  static char line[1024];
  char *lines = NULL;
  size_t bytes = 0;
  size_t kept = 0;
  (void)state;
  for (int i = 0; i < 100; i++) {
    memset(line, 'x', sizeof line);
    (void)snprintf(line, sizeof line, "%02d", i);
    line[2] = 'x';
    line[sizeof line - 1] = '\n';
    kept += lvn_audit_queue_append(&config, line, sizeof line, &err);
  }
  assert_int_equal(kept, 64);
  assert_int_equal(look().waiting_bytes, 65536);
  assert_int_equal(look().dropped, 36);
  assert_true(lvn_audit_queue_read(&config, &lines, &bytes, &err));
  assert_memory_equal(lines, "00x", 3);
  lvn_free(lines);
  assert_true(lvn_audit_queue_remove(&config, 1024, &err));
  assert_true(lvn_audit_queue_read(&config, &lines, &bytes, &err));
  assert_memory_equal(lines, "01x", 3);
  lvn_free(lines);
  assert_true(lvn_audit_queue_append(&config, line, sizeof line, &err)); /* there is room again */
  assert_int_equal(take(SIZE_MAX), 64);
  assert_int_equal(look().waiting_bytes, 0);
  assert_true(lvn_audit_queue_forget_dropped(&config, 36, &err));
  assert_int_equal(look().dropped, 0);
}

/* What was sent is given back to the disk, and nothing that waits with it. */
static void test_audit__queue_file_does_not_grow_for_ever(void **state) {
  static char line[65536];
  char path[LVN_PATH_BYTES];
  struct stat status;
  uint64_t written = 0;
  uint64_t taken = 0;
  (void)state;
  config.audit_queue_bytes = 4U << 20;
  memset(line, 'x', sizeof line);
  line[sizeof line - 1] = '\n';
  assert_true(lvn_path_join(path, config.state_folder, "audit/queue", &err));
  for (int round = 0; round < 120; round++) {
    for (int i = 0; i < 3; i++) {
      written += lvn_audit_queue_append(&config, line, sizeof line, &err);
    }
    char *lines = NULL;
    size_t bytes = 0;
    assert_true(lvn_audit_queue_read(&config, &lines, &bytes, &err));
    assert_int_equal(lines[bytes - 1], '\n');
    lvn_free(lines);
    assert_true(lvn_audit_queue_remove(&config,
                                       round < 20                ? sizeof line
                                       : bytes < 3 * sizeof line ? bytes
                                                                 : 3 * sizeof line,
                                       &err));
    taken += round < 20 ? 1 : 3;
    assert_int_equal(look().waiting_bytes, (written - taken) * sizeof line);
    assert_int_equal(stat(path, &status), 0);
    assert_true(status.st_size < 12 << 20);
  }
  assert_int_equal(written, 360);
}

static void test_audit__processes_write_at_once(void **state) {
  char path[LVN_CONFIG_TEXT_BYTES + 16];
  uint8_t *text = NULL;
  size_t bytes = 0;
  (void)state;
  config.audit_queue_bytes = 16U << 20;
  (void)snprintf(path, sizeof path, "%s/audit.log", config.state_folder);
  (void)lvn_copy(config.audit_file, sizeof config.audit_file, path);
  for (int process = 0; process < 4; process++) {
    if (fork() == 0) {
      for (int i = 0; i < 50; i++) {
        lvn_audit_write(&config, &(struct lvn_audit_event){.kind = LVN_AUDIT_NODE_STARTED});
      }
      _exit(0); /* allow: the child of a test */
    }
  }
  size_t taken = 0;
  for (int ended = 0; ended < 4;) { /* beside a reader */
    taken += take(SIZE_MAX);
    ended += waitpid(-1, NULL, WNOHANG) > 0;
  }
  assert_int_equal(taken + take(SIZE_MAX), 200);
  assert_true(lvn_file_read(path, 16U << 20, &text, &bytes, &err));
  assert_int_equal(count_lines((const char *)text, bytes), 200);
  for (const char *at = (const char *)text; *at != '\0'; at = strchr(at, '\n') + 1) {
    assert_ptr_equal(strstr(at, "<85>1 "), at);
  }
  lvn_free(text);
}

static void test_audit__transfer_is_told_by_study(void **state) {
  struct lvn_audit_transfer *transfer = NULL;
  char *lines = NULL;
  size_t bytes = 0;
  (void)state;
  assert_true(lvn_audit_transfer_create(&transfer, &err));
  for (int i = 0; i < 6; i++) {
    assert_true(lvn_audit_transfer_add(transfer, i % 2 == 0 ? "1.2" : "1.3", "P", i < 4 ? "1.5" : "1.6", &err));
  }
  lvn_audit_transfer_write(transfer, &config, &(struct lvn_audit_event){.kind = LVN_AUDIT_OBJECTS_RECEIVED});
  lvn_audit_transfer_destroy(transfer);
  assert_true(lvn_audit_queue_read(&config, &lines, &bytes, &err));
  assert_int_equal(count_lines(lines, bytes), 2);
  assert_non_null(strstr(lines, "ParticipantObjectID=\"1.2\""));
  assert_non_null(strstr(lines, "<SOPClass UID=\"1.5\" NumberOfInstances=\"2\"/><SOPClass UID=\"1.6\" "
                                "NumberOfInstances=\"1\"/>"));
  lvn_free(lines);
}

static void test_audit__what_the_disk_does_not_take_is_counted(void **state) {
  char text[256];
  (void)state;
  (void)lvn_copy(config.audit_file, sizeof config.audit_file, "/nowhere/audit.log");
  lvn_audit_write(&config, &(struct lvn_audit_event){.kind = LVN_AUDIT_NODE_STARTED});
  assert_int_equal(look().dropped, 1);
  lvn_audit_describe(&config, text, sizeof text);
  assert_string_equal(text, "1 audit message was dropped");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup(test_audit__message_is_one_line_of_ascii, set_up),
      cmocka_unit_test_setup(test_audit__base64_of_every_rest, set_up),
      cmocka_unit_test_setup(test_audit__every_kind_has_its_row, set_up),
      cmocka_unit_test_setup(test_audit__queue_keeps_order_and_limit, set_up),
      cmocka_unit_test_setup(test_audit__queue_file_does_not_grow_for_ever, set_up),
      cmocka_unit_test_setup(test_audit__processes_write_at_once, set_up),
      cmocka_unit_test_setup(test_audit__transfer_is_told_by_study, set_up),
      cmocka_unit_test_setup(test_audit__what_the_disk_does_not_take_is_counted, set_up),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
