/* The supervisor as a process of its own, with the receiver and a pipeline that this test plays, DCMTK's tools as peers
 * and a real socket in the place of the service manager. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/memory.h"
#include "daemon/receiver/receiver.h"
#include "daemon/supervisor/supervisor.h"
#include "tests/unit/scratch.h"

#define PATIENCE_SECONDS 20.0
#define SLICE LVN_TEST_DATA "/ct_liver_3slices/01.dcm"

static char folder[SCRATCH_BYTES];
static char config_path[128];
static char log_path[128];
static char port_text[8];
static struct lvn_error err;
static int notify_fd = -1;
static pid_t supervisor_pid;

static uint16_t free_port(void) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t bytes = sizeof address;
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
  assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &bytes), 0);
  (void)close(fd);
  return ntohs(address.sin_port);
}

/* As another program would that has the node's port. */
static int listen_on_port(void) {
  const int on = 1;
  const struct sockaddr_in address = {.sin_family = AF_INET,
                                      .sin_port = htons((uint16_t)strtoul(port_text, NULL, 10)),
                                      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on), 0);
  double until = lvn_clock_monotonic_seconds() + PATIENCE_SECONDS; /* a receiver that was killed needs a moment */
  while (bind(fd, (const struct sockaddr *)&address, sizeof address) != 0 && lvn_clock_monotonic_seconds() < until) {
    lvn_clock_sleep_seconds(0.02);
  }
  assert_int_equal(listen(fd, 1), 0);
  return fd;
}

/* A pipeline that is ready at once, notes each SIGHUP in a file. */
static void note_reload(int signal_number) {
  (void)signal_number;
  int fd = open("reloaded", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  (void)close(fd);
}

static int run_pipeline(const char *path, const struct lvn_config *config) {
  struct sigaction action = {.sa_handler = note_reload};
  (void)path;
  sigset_t mask;
  (void)sigprocmask(SIG_BLOCK, NULL, &mask);
  if (sigismember(&mask, SIGHUP) != 1) { /* a reload before this line would have ended it */
    return 1;
  }
  (void)sigaction(SIGHUP, &action, NULL);
  (void)sigdelset(&mask, SIGHUP);
  (void)sigprocmask(SIG_SETMASK, &mask, NULL);
  FILE *file = fopen("pipeline.pid", "we");
  if (file == NULL || chdir(config->state_folder) != 0) {
    return 1;
  }
  (void)fprintf(file, "%ld\n", (long)getpid());
  (void)fclose(file);
  (void)!write((int)strtoul(getenv("LVN_READY_FD"), NULL, 10), "1", 1);
  for (;;) {
    (void)pause();
  }
}

static void write_config(const char *extra) {
  char text[1024];
  int length = snprintf(text, sizeof text,
                        "[node]\nae_title = NODE\nlisten_address = 127.0.0.1\nport = %s\nstate_folder = %s\n"
                        "run_folder = %s\n[reception]\nspool_low_water_bytes = 0\nspool_reserve_bytes = 0\n"
                        "negotiate_seconds = 5\n[peer \"ct\"]\naet = CT1\nhost = 127.0.0.1\nport = 104\n%s",
                        port_text, folder, folder, extra);
  if (!lvn_file_replace(config_path, text, (size_t)length, 0600, &err)) {
    fail_msg("%s", err.message);
  }
}

static void supervise(void) {
  static struct lvn_config config;
  const struct lvn_role roles[] = {
      {.name = "receiver",
       .process_name = "test-receiver",
       .run = lvn_receiver_run,
       .gates_ready = true,
       .must_start = true,
       .stops_first = true},
      {.name = "pipeline", .process_name = "test-pipeline", .run = run_pipeline, .gates_ready = true}};
  const struct lvn_supervisor_plan plan = {
      .config_path = config_path, .config = &config, .roles = roles, .role_count = 2};
  int log_fd = open(log_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (log_fd < 0 || dup2(log_fd, STDERR_FILENO) < 0 || chdir(folder) != 0 ||
      !lvn_config_load(config_path, &config, &err)) {
    _exit(9);
  }
  lvn_log_setup("supervisor", LVN_LOG_INFO);
  (void)alarm(3 * (unsigned)PATIENCE_SECONDS); /* nobody waits for it for ever */
  _exit(lvn_supervisor_run(&plan));
}

/* What was logged so far, or NULL; for lvn_free(). */
static char *read_log(void) {
  uint8_t *data = NULL;
  size_t bytes = 0;
  return lvn_file_read(log_path, 1U << 22, &data, &bytes, &err) ? (char *)data : NULL;
}

/* Where `text` first stands in the log; -1: nowhere. */
static ptrdiff_t find_in_log(const char *text) {
  char *log = read_log();
  const char *found = log != NULL ? strstr(log, text) : NULL;
  ptrdiff_t place = found != NULL ? found - log : -1;
  lvn_free(log);
  return place;
}

static bool log_has(const char *text) {
  return find_in_log(text) >= 0;
}

static void wait_for_log(const char *text) {
  for (double until = lvn_clock_monotonic_seconds() + PATIENCE_SECONDS; !log_has(text);) {
    if (lvn_clock_monotonic_seconds() > until) {
      fail_msg("the log never said: %s", text);
    }
    lvn_clock_sleep_seconds(0.02);
  }
}

static void assert_notified(const char *wanted) {
  char text[256] = "";
  assert_true(recv(notify_fd, text, sizeof text - 1, 0) > 0); /* bounded by SO_RCVTIMEO */
  assert_memory_equal(text, wanted, strlen(wanted));
}

static int set_up(void **state) {
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  const struct timeval patience = {.tv_sec = (time_t)PATIENCE_SECONDS};
  (void)state;
  (void)scratch_make(folder);
  (void)snprintf(config_path, sizeof config_path, "%s/node.ini", folder);
  (void)snprintf(log_path, sizeof log_path, "%s/node.log", folder);
  (void)snprintf(port_text, sizeof port_text, "%u", free_port());
  (void)snprintf(address.sun_path, sizeof address.sun_path, "%s/notify", folder);
  notify_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  assert_int_equal(bind(notify_fd, (struct sockaddr *)&address, sizeof address), 0);
  (void)setsockopt(notify_fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  (void)setenv("NOTIFY_SOCKET", address.sun_path, 1);
  write_config("");
  return 0;
}

static void start(void) {
  supervisor_pid = fork();
  if (supervisor_pid == 0) {
    supervise();
  }
}

static int set_up_running(void **state) {
  int status = set_up(state);
  start();
  assert_notified("READY=1");
  return status;
}

static int tear_down(void **state) {
  (void)state;
  if (supervisor_pid > 0) {
    (void)kill(supervisor_pid, SIGKILL);
    (void)waitpid(supervisor_pid, NULL, 0);
  }
  (void)close(notify_fd);
  (void)unsetenv("NOTIFY_SOCKET");
  scratch_remove(folder);
  return 0;
}

/* A DCMTK tool that calls as `aet`. */
static pid_t begin_call(const char *tool, const char *aet, const char *repeat, const char *file) {
  pid_t pid = fork();
  if (pid == 0) {
    int null_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
    (void)dup2(null_fd, STDERR_FILENO);
    (void)execlp(tool, tool, "-aet", aet, "-aec", "NODE", "--repeat", repeat, "127.0.0.1", port_text, file,
                 (char *)NULL);
    _exit(127);
  }
  return pid;
}

/* Its exit status; -1: a signal ended it. */
static int end_call(pid_t pid) {
  int status = 0;
  assert_int_equal(waitpid(pid, &status, 0), pid);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int call(const char *tool, const char *aet, const char *file) {
  return end_call(begin_call(tool, aet, "1", file));
}

/* A peer that echoes for ever over one association. */
static pid_t begin_long_call(void) {
  pid_t pid = begin_call("echoscu", "CT1", "1000000000", NULL);
  wait_for_log("event=association-opened");
  return pid;
}

static pid_t pipeline_pid(void) {
  char path[128];
  uint8_t *data = NULL;
  size_t bytes = 0;
  (void)snprintf(path, sizeof path, "%s/pipeline.pid", folder);
  if (!lvn_file_read(path, 100, &data, &bytes, &err)) {
    fail_msg("%s", err.message);
  }
  pid_t pid = (pid_t)strtoul((const char *)data, NULL, 10);
  lvn_free(data);
  return pid;
}

static int wait_for_end(void) {
  int status = end_call(supervisor_pid);
  supervisor_pid = 0;
  return status;
}

static void stop(void) {
  (void)kill(supervisor_pid, SIGTERM);
  assert_int_equal(wait_for_end(), 0);
}

/* The receiver that said last that it listens. */
static pid_t receiver_pid(void) {
  char *log = read_log();
  pid_t pid = 0;
  for (char *at = log; at != NULL && (at = strstr(at, "role=receiver pid=")) != NULL;) {
    unsigned long number = strtoul(at + strlen("role=receiver pid="), &at, 10);
    pid = strncmp(at, " event=listening", 16) == 0 ? (pid_t)number : pid;
  }
  lvn_free(log);
  return pid;
}

static void test_supervisor__stores_and_ends_in_order(void **state) {
  char path[128];
  struct lvn_file_names names = {0};
  (void)state;
  assert_int_equal(call("echoscu", "CT1", NULL), 0);
  assert_int_not_equal(call("echoscu", "STRANGER", NULL), 0);
  assert_int_equal(call("storescu", "CT1", SLICE), 0);
  (void)snprintf(path, sizeof path, "%s/spool/new", folder);
  assert_true(lvn_file_list(path, 10, &names, &err));
  assert_int_equal(names.count, 1);
  lvn_file_names_clear(&names);
  wait_for_log("event=association-closed");
  pid_t pipeline = pipeline_pid();
  stop();
  assert_notified("STOPPING=1");
  assert_int_not_equal(kill(pipeline, 0), 0);
  assert_int_not_equal(call("echoscu", "CT1", NULL), 0);
}

static void test_supervisor__starts_a_crashed_role_again(void **state) {
  (void)state;
  pid_t before = pipeline_pid();
  (void)kill(before, SIGSEGV);
  wait_for_log("event=role-ended child=pipeline signal=11");
  for (double until = lvn_clock_monotonic_seconds() + PATIENCE_SECONDS;
       (pipeline_pid() == before || pipeline_pid() == 0) && lvn_clock_monotonic_seconds() < until;) {
    assert_int_equal(call("echoscu", "CT1", NULL), 0); /* receives meanwhile */
    lvn_clock_sleep_seconds(0.05);
  }
  assert_int_not_equal(pipeline_pid(), before);
  assert_int_not_equal(pipeline_pid(), 0);
}

static void test_supervisor__starts_a_killed_receiver_again(void **state) {
  (void)state;
  pid_t pipeline = pipeline_pid();
  pid_t before = receiver_pid();
  pid_t peer = begin_long_call();
  (void)kill(before, SIGKILL);
  (void)end_call(peer); /* its association went along: else it would echo for ever */
  wait_for_log("event=role-ended child=receiver signal=9");
  for (double until = lvn_clock_monotonic_seconds() + PATIENCE_SECONDS;
       receiver_pid() == before && lvn_clock_monotonic_seconds() < until;) {
    lvn_clock_sleep_seconds(0.02);
  }
  assert_int_not_equal(receiver_pid(), before);
  assert_int_equal(call("echoscu", "CT1", NULL), 0);
  assert_int_equal(call("storescu", "CT1", SLICE), 0);
  assert_int_equal(pipeline_pid(), pipeline);
  assert_false(log_has("child=pipeline signal"));
}

/* A receiver that cannot come back, once it was there, is no reason to end the rest. */
static void test_supervisor__waits_for_a_port_that_somebody_took(void **state) {
  (void)state;
  pid_t pipeline = pipeline_pid();
  (void)kill(supervisor_pid, SIGSTOP); /* until the port is taken */
  (void)kill(receiver_pid(), SIGKILL);
  int fd = listen_on_port();
  (void)kill(supervisor_pid, SIGCONT);
  wait_for_log("event=role-ended child=receiver exit=1");
  (void)close(fd);
  for (double until = lvn_clock_monotonic_seconds() + PATIENCE_SECONDS;
       call("echoscu", "CT1", NULL) != 0 && lvn_clock_monotonic_seconds() < until;) {
    lvn_clock_sleep_seconds(0.1);
  }
  assert_int_equal(call("echoscu", "CT1", NULL), 0);
  assert_int_equal(pipeline_pid(), pipeline);
  stop();
}

static void test_supervisor__ends_when_the_port_is_in_use(void **state) {
  (void)state;
  int fd = listen_on_port();
  start();
  assert_int_equal(wait_for_end(), 1);
  (void)close(fd);
  char *log = read_log();
  assert_non_null(log);
  assert_non_null(strstr(log, "role=receiver"));
  assert_non_null(strstr(log, "event=start-failed"));
  assert_non_null(strstr(log, port_text));
  assert_ptr_equal(strchr(log, '\n'), log + strlen(log) - 1); /* one line */
  lvn_free(log);
}

static void test_supervisor__ends_the_receiver_before_the_others(void **state) {
  (void)state;
  pid_t pipeline = pipeline_pid();
  pid_t peer = begin_long_call();
  (void)kill(supervisor_pid, SIGTERM);
  wait_for_log("event=stopping signal=15 connections=1");
  assert_int_not_equal(call("echoscu", "CT1", NULL), 0); /* accepts nobody any more */
  assert_int_equal(kill(pipeline, 0), 0);
  assert_int_equal(kill(peer, 0), 0);
  assert_false(log_has("event=role-stopped"));
  (void)kill(peer, SIGKILL);
  assert_int_equal(end_call(peer), -1);
  assert_int_equal(wait_for_end(), 0);
  ptrdiff_t receiver_end = find_in_log("event=role-stopped child=receiver exit=0");
  assert_true(receiver_end > 0);
  assert_true(find_in_log("event=role-stopped child=pipeline") > receiver_end);
}

static void test_supervisor__keeps_the_old_configuration_on_an_error(void **state) {
  (void)state;
  write_config("colour = red\n");
  (void)kill(supervisor_pid, SIGHUP);
  assert_notified("RELOADING=1");
  assert_notified("READY=1");
  wait_for_log("event=reload-failed");
  assert_true(log_has("unknown key 'colour'"));
  assert_int_equal(call("echoscu", "CT1", NULL), 0);
}

/* By the receiver, which the supervisor told. */
static void wait_for_reload(void) {
  char text[64];
  (void)snprintf(text, sizeof text, "role=receiver pid=%ld event=reloaded peers=2", (long)receiver_pid());
  wait_for_log(text);
}

static void test_supervisor__takes_a_new_peer_at_a_reload(void **state) {
  char path[128];
  (void)state;
  assert_int_not_equal(call("echoscu", "CT2", NULL), 0);
  write_config("[peer \"second\"]\naet = CT2\nhost = 127.0.0.1\nport = 104\n");
  (void)kill(supervisor_pid, SIGHUP);
  wait_for_reload();
  assert_true(log_has("peer.second: added (effective now)"));
  assert_int_equal(call("echoscu", "CT2", NULL), 0);
  (void)snprintf(path, sizeof path, "%s/reloaded", folder); /* the role was told */
  for (double until = lvn_clock_monotonic_seconds() + PATIENCE_SECONDS;
       !lvn_file_exists(path) && lvn_clock_monotonic_seconds() < until;) {
    lvn_clock_sleep_seconds(0.02);
  }
  assert_true(lvn_file_exists(path));
}

static void test_supervisor__takes_its_children_along_when_killed(void **state) {
  (void)state;
  pid_t pipeline = pipeline_pid();
  (void)kill(supervisor_pid, SIGKILL);
  (void)waitpid(supervisor_pid, NULL, 0);
  supervisor_pid = 0;
  char path[64];
  char stat[512] = "";
  (void)snprintf(path, sizeof path, "/proc/%ld/stat", (long)pipeline);
  for (double until = lvn_clock_monotonic_seconds() + PATIENCE_SECONDS; lvn_clock_monotonic_seconds() < until;) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t bytes = fd < 0 ? 0 : read(fd, stat, sizeof stat - 1);
    if (fd >= 0) {
      (void)close(fd);
    }
    if (bytes <= 0 || strstr(stat, ") Z ") != NULL) {
      return; /* gone, or dead and not yet reaped by init */
    }
    lvn_clock_sleep_seconds(0.02);
  }
  fail_msg("the pipeline outlived its supervisor");
}

static void test_supervisor__echoes_beside_silent_connections(void **state) {
  int fds[14];
  struct sockaddr_in address = {.sin_family = AF_INET,
                                .sin_port = htons((uint16_t)strtoul(port_text, NULL, 10)),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  (void)state;
  for (size_t i = 0; i < sizeof fds / sizeof fds[0]; i++) {
    fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fds[i], (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(write(fds[i], "\x01\x00\x00\x00", 4), 4); /* the start of an A-ASSOCIATE-RQ, and no more */
  }
  assert_int_equal(call("echoscu", "CT1", NULL), 0);
  char byte = 0;
  const struct timeval patience = {.tv_sec = (time_t)PATIENCE_SECONDS};
  for (size_t i = 0; i < sizeof fds / sizeof fds[0]; i++) { /* negotiate_seconds = 5 cuts them all */
    (void)setsockopt(fds[i], SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    ssize_t bytes = 1;
    while ((bytes = recv(fds[i], &byte, 1, 0)) > 0) {
    }
    assert_true(bytes == 0 || errno == ECONNRESET);
    (void)close(fds[i]);
  }
}

#define case_of(function) cmocka_unit_test_setup_teardown(function, set_up_running, tear_down)

int main(void) {
  const struct CMUnitTest tests[] = {
      case_of(test_supervisor__stores_and_ends_in_order),
      case_of(test_supervisor__starts_a_crashed_role_again),
      case_of(test_supervisor__starts_a_killed_receiver_again),
      case_of(test_supervisor__waits_for_a_port_that_somebody_took),
      cmocka_unit_test_setup_teardown(test_supervisor__ends_when_the_port_is_in_use, set_up, tear_down),
      case_of(test_supervisor__ends_the_receiver_before_the_others),
      case_of(test_supervisor__keeps_the_old_configuration_on_an_error),
      case_of(test_supervisor__takes_a_new_peer_at_a_reload),
      case_of(test_supervisor__takes_its_children_along_when_killed),
      case_of(test_supervisor__echoes_beside_silent_connections),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
