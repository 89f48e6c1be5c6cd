#include "daemon/pipeline/workflow/workitem.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "base/memory.h"

static const char *const state_names[] = {"claiming", "claimed", "working"};

void lvn_workitem_name(const struct lvn_workitem *item, char ret_name[LVN_WORKITEM_NAME_BYTES]) {
  uint8_t digest[LVN_SHA256_BYTES] = {0};
  char text[LVN_SHA256_TEXT_BYTES];
  struct lvn_error ignored;
  (void)!lvn_sha256_of(item->uid, strlen(item->uid), digest, &ignored);
  lvn_sha256_to_text(digest, text);
  (void)lvn_copy(ret_name, LVN_WORKITEM_NAME_BYTES, text);
}

static bool make_path(const char *state_folder, const struct lvn_workitem *item, char ret_path[LVN_PATH_BYTES],
                      struct lvn_error *err) {
  char name[LVN_WORKITEM_NAME_BYTES];
  char relative[64];
  char folder[LVN_PATH_BYTES];
  lvn_workitem_name(item, name);
  (void)snprintf(relative, sizeof relative, "workitems/%s.json", name);
  return lvn_path_join(folder, state_folder, "workitems", err) && lvn_file_make_folder(folder, 0700, err) &&
         lvn_path_join(ret_path, state_folder, relative, err);
}

bool lvn_workitem_write(const char *state_folder, const struct lvn_workitem *item, struct lvn_error *err) {
  char path[LVN_PATH_BYTES];
  LVN_AUTOJSON json_t *root =
      json_pack("{s:s, s:s, s:s, s:s, s:I, s:I}", "workitem", item->uid, "transaction", item->transaction_uid, "study",
                item->study_uid, "state", state_names[item->state], "claimed", (json_int_t)item->claimed_ms, "fetched",
                (json_int_t)item->fetched_ms);
  char *text = root == NULL ? NULL : json_dumps(root, JSON_COMPACT);
  if (text == NULL) {
    return lvn_error_set(err, LVN_ERROR_NOMEM, "no memory for a workitem");
  }
  bool good = make_path(state_folder, item, path, err) && lvn_file_replace(path, text, strlen(text), 0600, err);
  free(text); /* allow: jansson's */
  return good;
}

bool lvn_workitem_remove(const char *state_folder, const struct lvn_workitem *item, struct lvn_error *err) {
  char path[LVN_PATH_BYTES];
  if (!make_path(state_folder, item, path, err)) {
    return false;
  }
  return unlink(path) == 0 || errno == ENOENT || lvn_error_set_errno(err, errno, "cannot remove '%s'", path);
}

static bool read_item(const char *path, struct lvn_workitem *item) {
  LVN_AUTOJSON json_t *root = json_load_file(path, 0, NULL);
  const char *uid = json_string_value(json_object_get(root, "workitem"));
  const char *transaction = json_string_value(json_object_get(root, "transaction"));
  const char *study = json_string_value(json_object_get(root, "study"));
  const char *state = json_string_value(json_object_get(root, "state"));
  if (uid == NULL || transaction == NULL || study == NULL || state == NULL) {
    return false;
  }
  *item = (struct lvn_workitem){.claimed_ms = json_integer_value(json_object_get(root, "claimed")),
                                .fetched_ms = json_integer_value(json_object_get(root, "fetched"))};
  (void)lvn_copy(item->uid, sizeof item->uid, uid);
  (void)lvn_copy(item->transaction_uid, sizeof item->transaction_uid, transaction);
  (void)lvn_copy(item->study_uid, sizeof item->study_uid, study);
  for (unsigned i = 0; i < sizeof state_names / sizeof state_names[0]; i++) {
    if (strcmp(state_names[i], state) == 0) {
      item->state = (enum lvn_workitem_state)i;
    }
  }
  return lvn_uid_is_valid(item->uid) && lvn_uid_is_valid(item->transaction_uid);
}

bool lvn_workitem_read_all(const char *state_folder, struct lvn_workitem ret_items[LVN_WORKITEMS_MAX],
                           size_t *ret_count, struct lvn_error *err) {
  char folder[LVN_PATH_BYTES];
  LVN_CLEANUP(lvn_file_names_clear) struct lvn_file_names paths = {0};
  *ret_count = 0;
  if (!lvn_path_join(folder, state_folder, "workitems", err) || !lvn_file_make_folder(folder, 0700, err) ||
      !lvn_file_walk(folder, 10000, &paths, err)) {
    return false;
  }
  for (size_t i = 0; i < paths.count && *ret_count < LVN_WORKITEMS_MAX; i++) {
    size_t length = strlen(paths.names[i]);
    if (length > 5 && strcmp(paths.names[i] + length - 5, ".json") == 0) {
      *ret_count += read_item(paths.names[i], &ret_items[*ret_count]) ? 1 : 0;
    } else {
      (void)unlink(paths.names[i]); /* half of one, left by a kill */
    }
  }
  return true;
}
