/* The control socket and what is published, on modules that the test wires itself. */
#include "tests/unit/daemon/module_fixture.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/json_lines.h"
#include "base/loop/loop.h"
#include "base/socket.h"
#include "daemon/pipeline/control/ask.h"
#include "daemon/pipeline/control/control.h"
#include "daemon/pipeline/watch/watch.h"

#define LINE_MAX_BYTES (1U << 20)
#define CLIENTS_MAX 16

static struct lvn_loop *loop;
static struct lvn_web *web;
static uint16_t web_port;
static struct lvn_assembly *assembly;
static struct lvn_scheduler *scheduler;
static struct lvn_outbox *outbox;
static struct lvn_retention *retention;
static struct lvn_watch *watch;
static struct lvn_control *control;
static const char *problem;
static int forgotten;

static const char *get_problem(void *user_data) {
  (void)user_data;
  return problem;
}

static bool forget_index(void *user_data, struct lvn_error *ignored) {
  (void)user_data;
  (void)ignored;
  forgotten++;
  return true;
}

static void give_up(void *user_data) {
  (void)user_data;
  fail_msg("there is an index");
}

static bool holds_study(void *user_data, const char *uid) {
  (void)user_data;
  return lvn_ingest_holds_study(ingest, uid);
}

static const struct lvn_job_model *get_model(void *user_data) {
  (void)user_data;
  return NULL;
}

static void end_work(void *user_data, int64_t job_id) {
  (void)user_data;
  lvn_scheduler_end_job(scheduler, job_id);
}

static uint16_t free_port(void) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t bytes = sizeof address;
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
  assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &bytes), 0);
  (void)close(fd);
  return ntohs(address.sin_port);
}

static void create_modules(void) {
  const struct lvn_assembly_needs assembly_needs = {
      .config = &config, .index = index_, .spool = spool, .holds_study = holds_study, .get_model = get_model};
  const struct lvn_scheduler_needs scheduler_needs = {
      .config = &config, .index = index_, .objects = objects, .loop = loop};
  const struct lvn_outbox_needs outbox_needs = {.config = &config, .index = index_, .loop = loop};
  const struct lvn_retention_needs retention_needs = {
      .config = &config, .index = index_, .objects = objects, .spool = spool, .end_work = end_work};
  assert_good(lvn_assembly_create(&assembly_needs, &assembly, &err));
  assert_good(lvn_scheduler_create(&scheduler_needs, &scheduler, &err));
  assert_good(lvn_outbox_create(&outbox_needs, &outbox, &err));
  assert_good(lvn_retention_create(&retention_needs, &retention, &err));
  const struct lvn_watch_needs watch_needs = {.config = &config,
                                              .index = index_,
                                              .web = web,
                                              .ingest = ingest,
                                              .assembly = assembly,
                                              .scheduler = scheduler,
                                              .outbox = outbox,
                                              .retention = retention,
                                              .get_problem = get_problem};
  assert_good(lvn_watch_create(&watch_needs, &watch, &err));
  const struct lvn_control_needs control_needs = {.config = &config,
                                                  .index = index_,
                                                  .objects = objects,
                                                  .loop = loop,
                                                  .scheduler = scheduler,
                                                  .outbox = outbox,
                                                  .retention = retention,
                                                  .watch = watch,
                                                  .get_problem = get_problem,
                                                  .forget_index = forget_index,
                                                  .give_up = give_up};
  assert_good(lvn_control_create(&control_needs, &control, &err));
}

static int set_up(void **state) {
  (void)state;
  open_store();
  problem = "";
  forgotten = 0;
  web_port = free_port();
  assert_good(lvn_loop_create(&loop, &err));
  assert_good(lvn_web_start("127.0.0.1", web_port, "", NULL, &web, &err));
  create_modules();
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  lvn_control_destroy(control);
  lvn_watch_destroy(watch);
  lvn_retention_destroy(retention);
  lvn_outbox_destroy(outbox);
  lvn_scheduler_destroy(scheduler);
  lvn_assembly_destroy(assembly);
  lvn_web_stop(web);
  lvn_loop_destroy(loop);
  close_store();
  return 0;
}

static struct lvn_json_lines *connect_client(void) {
  char path[LVN_PATH_BYTES];
  struct lvn_json_lines *lines = NULL;
  int fd = -1;
  assert_good(lvn_path_join(path, folder, LVN_CONTROL_SOCKET, &err));
  assert_good(lvn_socket_connect(path, &fd, &err));
  assert_good(lvn_json_lines_create(fd, LINE_MAX_BYTES, LINE_MAX_BYTES, &lines, &err));
  return lines;
}

static json_t *answer_to(const char *text) {
  json_t *answer = NULL;
  struct lvn_json_lines *client = connect_client();
  LVN_AUTOJSON json_t *request = json_loads(text, 0, NULL);
  assert_good(lvn_json_lines_send(client, request, &err));
  assert_good(lvn_loop_wait(loop, 1000, &err));
  assert_good(lvn_json_lines_receive(client, &err));
  assert_true(lvn_json_lines_take(client, &answer));
  lvn_json_lines_destroy(client);
  assert_good(lvn_loop_wait(loop, 1000, &err)); /* its end */
  return answer;
}

static void test_control__status_is_what_the_modules_say(void **state) {
  (void)state;
  problem = "received objects stay in the spool";
  take("01.dcm", 0);
  LVN_AUTOJSON json_t *answer = answer_to("{\"command\":\"status\"}");
  assert_true(json_is_true(json_object_get(answer, "ok")));
  assert_int_equal(json_integer_value(json_object_get(answer, "objects")), 1);
  assert_string_equal(json_string_value(json_object_get(answer, "problem")), problem);
  assert_int_equal(json_array_size(json_object_get(answer, "workers")), 0);
  assert_int_equal(lvn_control_tick(control, lvn_tick_now_ms()), LVN_TICK_NEVER);
  assert_string_equal(lvn_control_problem(control), "");
}

static void test_control__rebuild_makes_the_others_forget(void **state) {
  (void)state;
  take("01.dcm", 0);
  take("liver.dcm", 0);
  LVN_AUTOJSON json_t *answer = answer_to("{\"command\":\"rebuild-index\"}");
  assert_true(json_is_true(json_object_get(answer, "ok")));
  assert_int_equal(json_integer_value(json_object_get(answer, "objects")), 2);
  assert_int_equal(forgotten, 1);
  assert_int_equal(get_study().object_count, 2);
}

static void test_control__removes_a_study(void **state) {
  char request[256];
  (void)state;
  take("01.dcm", 0);
  (void)snprintf(request, sizeof request, "{\"command\":\"remove\",\"study\":\"%s\"}", study_uid);
  LVN_AUTOJSON json_t *answer = answer_to(request);
  assert_true(json_is_true(json_object_get(answer, "ok")));
  assert_int_equal(count_studies(), 0);
}

/* One client too many is closed; the others are served; a place that is left is free again. */
static void test_control__has_places_for_so_many_clients(void **state) {
  struct lvn_json_lines *clients[CLIENTS_MAX + 1];
  LVN_AUTOJSON json_t *request = json_pack("{s:s}", "command", "jobs");
  LVN_AUTOJSON json_t *answer = NULL;
  (void)state;
  for (size_t i = 0; i < CLIENTS_MAX + 1; i++) {
    clients[i] = connect_client();
    assert_good(lvn_loop_wait(loop, 1000, &err));
  }
  assert_false(lvn_json_lines_receive(clients[CLIENTS_MAX], &err));
  assert_int_equal(err.code, LVN_OK);
  assert_good(lvn_json_lines_send(clients[CLIENTS_MAX - 1], request, &err));
  assert_good(lvn_loop_wait(loop, 1000, &err));
  assert_good(lvn_json_lines_receive(clients[CLIENTS_MAX - 1], &err));
  assert_true(lvn_json_lines_take(clients[CLIENTS_MAX - 1], &answer));
  for (size_t i = 0; i < CLIENTS_MAX + 1; i++) {
    lvn_json_lines_destroy(clients[i]);
  }
  assert_good(lvn_loop_wait(loop, 1000, &err));
  json_decref(answer_to("{\"command\":\"jobs\"}"));
}

/* A request that never ends is cut off. */
static void test_control__bounds_a_request(void **state) {
  static char text[1U << 20];
  struct lvn_json_lines *client = connect_client();
  (void)state;
  memset(text, ' ', sizeof text);
  int fd = lvn_json_lines_get_fd(client);
  bool is_open = true;
  for (int i = 0; is_open && i < 100; i++) {
    (void)send(fd, text, 65536, MSG_DONTWAIT | MSG_NOSIGNAL);
    assert_good(lvn_loop_wait(loop, 10, &err));
    char byte;
    is_open = recv(fd, &byte, 1, MSG_DONTWAIT) < 0 && errno == EAGAIN;
  }
  assert_false(is_open);
  lvn_json_lines_destroy(client);
}

static void get_page(const char *path, char *ret_text, size_t text_bytes) {
  struct sockaddr_in address = {
      .sin_family = AF_INET, .sin_port = htons(web_port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  char request[128];
  size_t used = 0;
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
  (void)snprintf(request, sizeof request, "GET %s HTTP/1.0\r\nHost: localhost\r\n\r\n", path);
  assert_int_equal(write(fd, request, strlen(request)), strlen(request));
  for (ssize_t got = 1; got > 0 && used + 1 < text_bytes; used += got > 0 ? (size_t)got : 0) {
    got = read(fd, ret_text + used, text_bytes - 1 - used);
  }
  ret_text[used] = '\0';
  (void)close(fd);
}

static void test_watch__publishes_once_a_second(void **state) {
  static char text[65536];
  (void)state;
  take("01.dcm", 0);
  int64_t now_ms = lvn_tick_now_ms();
  assert_int_equal(lvn_watch_tick(watch, now_ms), now_ms + 1000);
  get_page("/metrics", text, sizeof text);
  assert_non_null(strstr(text, "livervlm_objects_stored_total 1\n"));
  assert_non_null(strstr(text, "livervlm_studies{state=\"collecting\"} 1\n"));
  assert_non_null(strstr(text, "livervlm_stage_seconds_count{stage=\"settle\"} 0\n"));
  get_page("/health", text, sizeof text);
  assert_non_null(strstr(text, " 200 "));
  problem = "the disk said no";
  (void)lvn_watch_tick(watch, now_ms + 999);
  get_page("/health", text, sizeof text);
  assert_non_null(strstr(text, " 200 "));
  (void)lvn_watch_tick(watch, now_ms + 1000);
  get_page("/health", text, sizeof text);
  assert_non_null(strstr(text, " 503 "));
  assert_non_null(strstr(text, "the disk said no"));
}

int main(void) {
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
  const struct CMUnitTest tests[] = {
      CASE(test_control__status_is_what_the_modules_say),
      CASE(test_control__rebuild_makes_the_others_forget),
      CASE(test_control__removes_a_study),
      CASE(test_control__has_places_for_so_many_clients),
      CASE(test_control__bounds_a_request),
      CASE(test_watch__publishes_once_a_second),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
