#include "daemon/pipeline/shared/sentfile.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "base/memory.h"
#include "daemon/pipeline/shared/jobfile.h"

/* A line is "\n{…}": one that a power cut or a full disk cut off spoils itself alone. */

#define FILE_MAX_BYTES (8U << 20)

static bool make_path(const struct lvn_config *config, int64_t job_id, char ret_path[LVN_PATH_BYTES],
                      struct lvn_error *err) {
  char folder[LVN_PATH_BYTES];
  return lvn_jobfile_folder(config, job_id, folder, err) && lvn_path_join(ret_path, folder, "sent.jsonl", err);
}

static bool append(const char *path, const char *line, struct lvn_error *err) {
  char folder[LVN_PATH_BYTES];
  bool is_new = !lvn_file_exists(path);
  LVN_AUTOCLOSE int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);
  if (fd < 0) {
    return lvn_error_set_errno(err, errno, "cannot open '%s'", path);
  }
  if (!lvn_file_write_all(fd, line, strlen(line), path, err)) {
    return false;
  }
  if (fsync(fd) != 0) {
    return lvn_error_set_errno(err, errno, "cannot sync '%s'", path);
  }
  (void)lvn_copy(folder, sizeof folder, path);
  *strrchr(folder, '/') = '\0';
  return !is_new || lvn_file_sync_folder(folder, err);
}

bool lvn_sentfile_append(const struct lvn_config *config, const struct lvn_outbox_sent *sent, struct lvn_error *err) {
  char path[LVN_PATH_BYTES];
  char sha256[LVN_SHA256_TEXT_BYTES];
  lvn_sha256_to_text(sent->sha256, sha256);
  LVN_AUTOJSON json_t *root = json_pack("{s:s, s:s, s:s, s:I, s:b}", "sop_instance_uid", sent->sop_instance_uid,
                                        "destination", sent->destination, "sha256", sha256, "sent_ms",
                                        (json_int_t)sent->sent_ms, "committed", (int)sent->is_committed);
  LVN_AUTOFREE char *text = root == NULL ? NULL : json_dumps(root, JSON_COMPACT);
  if (text == NULL) {
    return lvn_error_set(err, LVN_ERROR_NOMEM, "out of memory for a note");
  }
  LVN_AUTOFREE char *line = lvn_format(err, "\n%s", text);
  return line != NULL && make_path(config, sent->job_id, path, err) && append(path, line, err);
}

static bool read_line(const char *line, struct lvn_outbox_sent *sent) {
  LVN_AUTOJSON json_t *root = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
  const char *uid = json_string_value(json_object_get(root, "sop_instance_uid"));
  const char *destination = json_string_value(json_object_get(root, "destination"));
  const char *sha256 = json_string_value(json_object_get(root, "sha256"));
  sent->sent_ms = json_integer_value(json_object_get(root, "sent_ms"));
  sent->is_committed = json_is_true(json_object_get(root, "committed")); /* earlier releases asked nobody */
  return uid != NULL && destination != NULL && sha256 != NULL && sent->sent_ms > 0 &&
         lvn_copy(sent->sop_instance_uid, sizeof sent->sop_instance_uid, uid) &&
         lvn_copy(sent->destination, sizeof sent->destination, destination) &&
         lvn_sha256_from_text(sha256, sent->sha256);
}

bool lvn_sentfile_each(const struct lvn_config *config, int64_t job_id, lvn_sentfile_visitor visit, void *user_data,
                       struct lvn_error *err) {
  char path[LVN_PATH_BYTES];
  LVN_AUTOFREE uint8_t *data = NULL;
  size_t bytes = 0;
  if (!make_path(config, job_id, path, err)) {
    return false;
  }
  if (!lvn_file_exists(path)) {
    return true;
  }
  if (!lvn_file_read(path, FILE_MAX_BYTES, &data, &bytes, err)) {
    return false;
  }
  for (char *line = (char *)data; line != NULL;) {
    char *end = strchr(line, '\n');
    struct lvn_outbox_sent sent = {.job_id = job_id};
    if (end != NULL) {
      *end = '\0';
    }
    if (read_line(line, &sent) && !visit(user_data, &sent, err)) {
      return false;
    }
    line = end == NULL ? NULL : end + 1;
  }
  return true;
}
