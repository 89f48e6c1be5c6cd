#include "storage/letters.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/memory.h"

#define LETTER_BYTES_MAX ((size_t)16 << 20)
#define FILES_MAX (4U * LVN_LETTERS_MAX)
#define RANDOM_BYTES 12

struct lvn_letters {
  char folder[LVN_PATH_BYTES];
};

LVN_DEFINE_CLEANUP(lvn_letters, lvn_letters_close)

bool lvn_letters_open(const char *state_folder, struct lvn_letters **ret_letters, struct lvn_error *err) {
  LVN_CLEANUP(lvn_letters_cleanup) struct lvn_letters *letters = lvn_alloc(1, sizeof *letters, err);
  if (letters == NULL || !lvn_path_join(letters->folder, state_folder, "letters", err) ||
      !lvn_file_make_folder(letters->folder, 0700, err)) {
    return false;
  }
  *ret_letters = lvn_steal(&letters);
  return true;
}

void lvn_letters_close(struct lvn_letters *letters) {
  lvn_free(letters);
}

const char *lvn_letters_get_folder(const struct lvn_letters *letters) {
  return letters->folder;
}

static bool is_of_kind(const char *name, const char *kind) {
  const size_t length = strlen(name);
  const size_t kind_length = strlen(kind);
  return length > kind_length + 6 && strncmp(name, kind, kind_length) == 0 && name[kind_length] == '-' &&
         strcmp(name + length - 5, ".json") == 0;
}

bool lvn_letters_list(const struct lvn_letters *letters, const char *kind, struct lvn_file_names *ret_names,
                      struct lvn_error *err) {
  size_t kept = 0;
  if (!lvn_file_list(letters->folder, FILES_MAX, ret_names, err)) {
    return false;
  }
  for (size_t i = 0; i < ret_names->count; i++) {
    if (is_of_kind(ret_names->names[i], kind)) {
      char *name = ret_names->names[i];
      ret_names->names[i] = ret_names->names[kept];
      ret_names->names[kept++] = name;
    }
  }
  for (size_t i = kept; i < ret_names->count; i++) {
    lvn_free(lvn_steal(&ret_names->names[i]));
  }
  ret_names->count = kept;
  return true;
}

static bool check_room(const struct lvn_letters *letters, const char *kind, struct lvn_error *err) {
  LVN_CLEANUP(lvn_file_names_clear) struct lvn_file_names names = {0};
  if (!lvn_letters_list(letters, kind, &names, err)) {
    return false;
  }
  return names.count < LVN_LETTERS_MAX ||
         lvn_error_set(err, LVN_ERROR_CONFLICT, "%u letters wait already", LVN_LETTERS_MAX);
}

/* The lock is of the open file, which the duplicate keeps open through the commit. */
static bool write_held(const char *temporary_path, const char *path, const char *text, int *ret_held_fd,
                       struct lvn_error *err) {
  LVN_AUTOCLOSE int fd = open(temporary_path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  LVN_AUTOCLOSE int held_fd = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 0);
  if (held_fd < 0 || flock(fd, LOCK_EX | LOCK_NB) != 0) {
    (void)lvn_error_set_errno(err, errno, "cannot write '%s'", temporary_path);
    (void)unlink(temporary_path);
    return false;
  }
  if (!lvn_file_write_all(fd, text, strlen(text), temporary_path, err)) {
    (void)unlink(temporary_path);
    return false;
  }
  const int written_fd = fd;
  fd = -1;
  if (!lvn_file_commit(written_fd, temporary_path, path, err)) {
    return false;
  }
  if (ret_held_fd != NULL) {
    *ret_held_fd = held_fd;
    held_fd = -1;
  }
  return true;
}

bool lvn_letters_put(const struct lvn_letters *letters, const char *kind, const json_t *content,
                     char ret_name[LVN_LETTER_NAME_BYTES], int *ret_held_fd, struct lvn_error *err) {
  uint8_t random[RANDOM_BYTES];
  char digits[2 * RANDOM_BYTES + 1];
  char name[LVN_LETTER_NAME_BYTES];
  char temporary_name[LVN_LETTER_NAME_BYTES];
  char path[LVN_PATH_BYTES];
  char temporary_path[LVN_PATH_BYTES];
  if (!check_room(letters, kind, err) || !lvn_file_random(random, sizeof random, err)) {
    return false;
  }
  for (size_t i = 0; i < sizeof random; i++) {
    (void)snprintf(digits + 2 * i, 3, "%02x", random[i]);
  }
  (void)snprintf(name, sizeof name, "%s-%s.json", kind, digits);
  (void)snprintf(temporary_name, sizeof temporary_name, "%s.tmp", digits);
  LVN_AUTOFREE char *text = json_dumps(content, JSON_COMPACT);
  if (text == NULL) {
    return lvn_error_set(err, LVN_ERROR_NOMEM, "out of memory for a letter");
  }
  if (!lvn_path_join(path, letters->folder, name, err) ||
      !lvn_path_join(temporary_path, letters->folder, temporary_name, err) ||
      !write_held(temporary_path, path, text, ret_held_fd, err)) {
    return false;
  }
  if (ret_name != NULL) {
    (void)lvn_copy(ret_name, LVN_LETTER_NAME_BYTES, name);
  }
  return true;
}

bool lvn_letters_read(const struct lvn_letters *letters, const char *name, json_t **ret_content,
                      struct lvn_error *err) {
  char path[LVN_PATH_BYTES];
  LVN_AUTOFREE uint8_t *data = NULL;
  size_t bytes = 0;
  if (!lvn_path_join(path, letters->folder, name, err) || !lvn_file_read(path, LETTER_BYTES_MAX, &data, &bytes, err)) {
    return false;
  }
  *ret_content = json_loadb((const char *)data, bytes, 0, NULL);
  return *ret_content != NULL || lvn_error_set(err, LVN_ERROR_DATA, "'%s' is damaged", path);
}

bool lvn_letters_is_held(const struct lvn_letters *letters, const char *name) {
  struct lvn_error ignored;
  char path[LVN_PATH_BYTES];
  if (!lvn_path_join(path, letters->folder, name, &ignored)) {
    return true;
  }
  LVN_AUTOCLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
  return fd < 0 ? errno != ENOENT : flock(fd, LOCK_EX | LOCK_NB) != 0;
}

bool lvn_letters_remove(const struct lvn_letters *letters, const char *name, struct lvn_error *err) {
  char path[LVN_PATH_BYTES];
  if (!lvn_path_join(path, letters->folder, name, err)) {
    return false;
  }
  return unlink(path) == 0 || errno == ENOENT || lvn_error_set_errno(err, errno, "cannot remove '%s'", path);
}

void lvn_letters_answer_name(const char *name, char ret_answer_name[LVN_LETTER_NAME_BYTES]) {
  const char *rest = strchr(name, '-');
  (void)snprintf(ret_answer_name, LVN_LETTER_NAME_BYTES, "%s%s", LVN_LETTER_ANSWER, rest == NULL ? "-" : rest);
}

bool lvn_letters_put_answer(const struct lvn_letters *letters, const char *name, const json_t *content,
                            struct lvn_error *err) {
  char answer_name[LVN_LETTER_NAME_BYTES];
  char path[LVN_PATH_BYTES];
  LVN_AUTOFREE char *text = json_dumps(content, JSON_COMPACT);
  lvn_letters_answer_name(name, answer_name);
  if (text == NULL) {
    return lvn_error_set(err, LVN_ERROR_NOMEM, "out of memory for a letter");
  }
  return lvn_path_join(path, letters->folder, answer_name, err) &&
         lvn_file_replace(path, text, strlen(text), 0600, err);
}

bool lvn_letters_find_answer(const struct lvn_letters *letters, const char *name, json_t **ret_content,
                             struct lvn_error *err) {
  char answer_name[LVN_LETTER_NAME_BYTES];
  char path[LVN_PATH_BYTES];
  lvn_letters_answer_name(name, answer_name);
  *ret_content = NULL;
  return lvn_path_join(path, letters->folder, answer_name, err) &&
         (!lvn_file_exists(path) || lvn_letters_read(letters, answer_name, ret_content, err));
}
