/* livervlm test-send: the result of a phantom, made and sent as the node makes and sends results. */
#include <ftw.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fcntl.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "cli/commands.h"
#include "cli/operate.h"
#include "cli/options.h"
#include "cli/phantom_study.h"
#include "daemon/pipeline/outbox/transport.h"

#define TEST_PATIENT_ID "LIVERVLM-TEST"
#define TEST_PATIENT_NAME "TEST^LIVERVLM"
/* One seed, so that an archive keeps one test study however often it is tested; no other phantom has it. */
#define TEST_SEED UINT64_C(909090909090909)
#define OBJECTS_MAX 8

static int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *place) {
  (void)status;
  (void)kind;
  (void)place;
  (void)remove(path);
  return 0;
}

static void remove_folder(char (*folder)[LVN_PATH_BYTES]) {
  if ((*folder)[0] != '\0') {
    (void)nftw(*folder, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
  }
}

static bool make_folder(char ret_folder[LVN_PATH_BYTES], struct lvn_error *err) {
  const char *parent = getenv("TMPDIR");
  char folder[LVN_PATH_BYTES];
  int length =
      snprintf(folder, sizeof folder, "%s/livervlm-test-XXXXXX", parent == NULL || parent[0] == '\0' ? "/tmp" : parent);
  if (length < 0 || (size_t)length >= sizeof folder || mkdtemp(folder) == NULL) {
    return lvn_error_set(err, LVN_ERROR_IO, "no folder for the test study can be made in %s",
                         parent == NULL ? "/tmp" : parent);
  }
  (void)lvn_copy(ret_folder, LVN_PATH_BYTES, folder);
  return true;
}

static bool make_phantom(const char *folder, struct lvn_error *err) {
  struct lvn_cli_phantom_study study = {.roi = LVN_PHANTOM_ROI_RTSTRUCT,
                                        .roi_phase = LVN_PHASE_PV,
                                        .threads = 2,
                                        .patient_id = TEST_PATIENT_ID,
                                        .patient_name = TEST_PATIENT_NAME};
  struct lvn_cli_phantom_written written;
  lvn_phantom_options_default(&study.options);
  study.options.seed = TEST_SEED;
  study.options.matrix = 96;
  study.options.slice_thickness_mm = 5;
  study.options.coverage_mm = 60;
  study.options.lesion_count = 1;
  study.options.lesion_class[0] = LVN_CLASS_CYST;
  study.options.lesion_diameter_mm[0] = 40;
  study.options.has_phase[LVN_PHASE_NC] = true;
  study.options.has_phase[LVN_PHASE_ART] = true;
  study.options.has_phase[LVN_PHASE_PV] = true;
  return lvn_cli_phantom_study_write(folder, &study, &written, err);
}

/* In a process of its own: what it prints is nobody's business here, and libtorch stays out of this one. */
static bool analyze(const char *package, const char *input, const char *output, struct lvn_error *err) {
  const char *words[] = {"livervlm", "analyze", "--input",  input, "--output", output,
                         "--model",  package,   "--device", "cpu", NULL};
  posix_spawn_file_actions_t actions;
  int status = 0;
  pid_t pid = 0;
  if (posix_spawn_file_actions_init(&actions) != 0) {
    return lvn_error_set(err, LVN_ERROR_NOMEM, "out of memory for a process");
  }
  bool good = posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0) == 0 &&
              posix_spawn(&pid, "/proc/self/exe", &actions, NULL, (char *const *)(uintptr_t)words, environ) == 0 &&
              waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == LVN_EXIT_OK;
  (void)posix_spawn_file_actions_destroy(&actions);
  return good || lvn_error_set(err, LVN_ERROR_IO, "the test study could not be analysed with the package %s", package);
}

struct objects {
  struct lvn_outbox_row rows[OBJECTS_MAX];
  size_t count;
};

static bool list_objects(const char *folder, struct objects *ret_objects, struct lvn_error *err) {
  char path[LVN_PATH_BYTES];
  size_t position;
  json_t *entry;
  if (!lvn_path_join(path, folder, "analysis.json", err)) {
    return false;
  }
  LVN_AUTOJSON json_t *root = json_load_file(path, 0, NULL);
  json_array_foreach(json_object_get(root, "objects"), position, entry) {
    const char *file = json_string_value(json_object_get(entry, "file"));
    const char *class_uid = json_string_value(json_object_get(entry, "sop_class_uid"));
    const char *uid = json_string_value(json_object_get(entry, "sop_instance_uid"));
    struct lvn_outbox_row *row = &ret_objects->rows[ret_objects->count];
    if (file == NULL || class_uid == NULL || uid == NULL || ret_objects->count == OBJECTS_MAX) {
      continue;
    }
    *row = (struct lvn_outbox_row){.kind = LVN_OUTBOX_OBJECT, .state = LVN_OUTBOX_SENDING, .attempt = 1};
    (void)lvn_copy(row->sop_class_uid, sizeof row->sop_class_uid, class_uid);
    (void)lvn_copy(row->sop_instance_uid, sizeof row->sop_instance_uid, uid);
    if (!lvn_path_join(row->path, folder, file, err)) {
      return false;
    }
    ret_objects->count++;
  }
  return ret_objects->count > 0 || lvn_error_set(err, LVN_ERROR_DATA, "the analysis of the test study gave no result");
}

/* A line an object, as the node would judge the answer. */
static bool send_rows(const struct lvn_outbox_transport *transport, void *link, const struct objects *objects) {
  bool good = true;
  bool is_open = true;
  for (size_t i = 0; i < objects->count && is_open; i++) {
    const char *name = strrchr(objects->rows[i].path, '/') + 1;
    struct lvn_outbox_answer answer = {0};
    double start = lvn_clock_monotonic_seconds();
    is_open = transport->send(link, &objects->rows[i], &answer);
    (void)printf("  %-16s %s, %.0f ms\n", name, answer.message, 1000.0 * (lvn_clock_monotonic_seconds() - start));
    good = good && is_open && answer.verdict == LVN_SEND_STORED;
  }
  return good;
}

static bool send_all(const struct lvn_config *config, const struct lvn_config_peer *peer, const struct objects *objects,
                     bool *ret_stored, struct lvn_error *err) {
  struct lvn_outbox_route route = {
      .peer = *peer, .connect_seconds = config->connect_seconds, .answer_seconds = config->dimse_seconds};
  const struct lvn_outbox_transport *transport = lvn_outbox_transport_find(lvn_outbox_transports, peer);
  void *link = NULL;
  double start = lvn_clock_monotonic_seconds();
  (void)lvn_copy(route.calling_aet, sizeof route.calling_aet, config->ae_title);
  if (!transport->open(&route, objects->rows, objects->count, &link, err)) {
    return false;
  }
  (void)printf("%s: connected by %s in %.0f ms\n", peer->name, transport->name,
               1000.0 * (lvn_clock_monotonic_seconds() - start));
  *ret_stored = send_rows(transport, link, objects);
  transport->close(link);
  return true;
}

static bool run(const struct lvn_config *config, const struct lvn_config_peer *peer, bool *ret_stored,
                struct lvn_error *err) {
  LVN_CLEANUP(remove_folder) char folder[LVN_PATH_BYTES] = "";
  char input[LVN_PATH_BYTES];
  char output[LVN_PATH_BYTES];
  LVN_AUTOFREE struct objects *objects = lvn_alloc(1, sizeof *objects, err);
  double start = lvn_clock_monotonic_seconds();
  if (objects == NULL || !make_folder(folder, err) || !lvn_path_join(input, folder, "study", err) ||
      !lvn_path_join(output, folder, "results", err) || !make_phantom(input, err) ||
      !analyze(config->model_package, input, output, err) || !list_objects(output, objects, err)) {
    return false;
  }
  (void)printf("test patient %s (%s), quality control subject: made and analysed in %.1f s\n", TEST_PATIENT_ID,
               TEST_PATIENT_NAME, lvn_clock_monotonic_seconds() - start);
  return send_all(config, peer, objects, ret_stored, err);
}

int lvn_cli_test_send(int argc, char **argv) {
  const char *config_path = LVN_OPERATE_CONFIG;
  struct lvn_error err = {0};
  int first = 0;
  bool is_stored = false;
  const struct lvn_option options[] = {LVN_OPTION_CONFIG(&config_path)};
  const struct lvn_usage usage = {
      .command = "test-send",
      .arguments = "PEER",
      .summary = "Make the result of a test patient and send it to a peer, from this machine, as the node would.",
      .details =
          "A phantom is analysed with the configured package; report and picture go out under the node's AE title.\n"
          "Patient ID " TEST_PATIENT_ID ", name " TEST_PATIENT_NAME
          ", Quality Control Subject (0010,0200) YES, the same "
          "UIDs\neach time. The running node is not asked and keeps nothing of it; remove the study at the peer.\n"
          "Exit status 0: all was stored; 1: not all, with the peer's answer.",
      .examples = "livervlm echo ARCHIVE       does it answer?\n"
                  "livervlm test-send ARCHIVE  does it take results, and how fast?",
      .options = options,
      .option_count = sizeof options / sizeof options[0],
      .arguments_min = 1,
      .arguments_max = 1};
  int code = lvn_options_parse(argc, argv, &usage, &first);
  if (code != LVN_OPTIONS_RUN) {
    return code;
  }
  LVN_AUTOFREE struct lvn_config *config = lvn_alloc(1, sizeof *config, &err);
  if (config == NULL || !lvn_config_load(config_path, config, &err)) {
    return lvn_options_fail(usage.command, &err);
  }
  const struct lvn_config_peer *peer = lvn_config_find_peer(config, argv[first]);
  if (peer == NULL || lvn_outbox_transport_find(lvn_outbox_transports, peer) == NULL) {
    return lvn_options_complain(&usage, "the configuration has no peer '%s' that anything can be sent to", argv[first]);
  }
  return run(config, peer, &is_stored, &err) ? (is_stored ? LVN_EXIT_OK : LVN_EXIT_FAILED)
                                             : lvn_options_fail(usage.command, &err);
}
