/* Files: every descriptor close-on-exec, every write checked, and one way to replace a file that survives a power cut.
 */
#ifndef LVN_BASE_FILE_H
#define LVN_BASE_FILE_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LVN_PATH_BYTES 4096

/* `LVN_AUTOCLOSE int fd = -1;` */
void lvn_file_close_pointer(int *fd);
#define LVN_AUTOCLOSE __attribute__((cleanup(lvn_file_close_pointer)))

/* Join with '/'; fails with LVN_ERROR_DATA when the result would be cut. */
LVN_MUST_CHECK bool lvn_path_join(char ret_path[LVN_PATH_BYTES], const char *folder, const char *name,
                                  struct lvn_error *err);

/* Create the folder and its missing parents with `mode`; an existing folder is fine. */
LVN_MUST_CHECK bool lvn_file_make_folder(const char *path, unsigned mode, struct lvn_error *err);

/* All of `bytes`, through short writes and EINTR. */
LVN_MUST_CHECK bool lvn_file_write_all(int fd, const void *data, size_t bytes, const char *path, struct lvn_error *err);

/* The whole file into one allocation with a NUL after it (lvn_free() it). LVN_ERROR_DATA when larger than max_bytes. */
LVN_MUST_CHECK bool lvn_file_read(const char *path, size_t max_bytes, uint8_t **ret_data, size_t *ret_bytes,
                                  struct lvn_error *err);

/* Replace `path` atomically and durably: temporary file beside it, write, fsync, checked close, rename, fsync of the
 * folder. On failure the old file, if any, is untouched and no temporary file is left. */
LVN_MUST_CHECK bool lvn_file_replace(const char *path, const void *data, size_t bytes, unsigned mode,
                                     struct lvn_error *err);

/* fsync(fd), checked close, rename(temporary_path, path), fsync of path's folder: the commit of a file that was written
 * through `fd`. Takes `fd` in every case; on failure the temporary file is removed. Both paths on one file system. */
LVN_MUST_CHECK bool lvn_file_commit(int fd, const char *temporary_path, const char *path, struct lvn_error *err);

LVN_MUST_CHECK bool lvn_file_sync_folder(const char *folder, struct lvn_error *err);

LVN_MUST_CHECK bool lvn_file_exists(const char *path);

/* Free bytes for an unprivileged writer on the file system that holds `path`. */
LVN_MUST_CHECK bool lvn_file_free_bytes(const char *path, uint64_t *ret_bytes, struct lvn_error *err);

/* Names (not paths) in a folder, sorted by bytes, without "." and "..". Free by lvn_file_names_clear(). */
struct lvn_file_names {
  char **names;
  size_t count;
};
LVN_MUST_CHECK bool lvn_file_list(const char *folder, size_t max_count, struct lvn_file_names *ret_names,
                                  struct lvn_error *err);
/* All regular files below `folder`, as paths, depth at most 8, sorted; symbolic links are not followed. */
LVN_MUST_CHECK bool lvn_file_walk(const char *folder, size_t max_count, struct lvn_file_names *ret_paths,
                                  struct lvn_error *err);
void lvn_file_names_clear(struct lvn_file_names *names); /* NULL members are fine */

/* Fill with bytes from the kernel's generator. */
LVN_MUST_CHECK bool lvn_file_random(void *data, size_t bytes, struct lvn_error *err);

#ifdef __cplusplus
}
#endif
#endif
