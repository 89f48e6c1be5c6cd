/* Is what lies under a digest's name really those bytes? A name alone proves nothing: disks and people damage files. */
#ifndef LVN_STORAGE_INTACT_H
#define LVN_STORAGE_INTACT_H

#include "base/error.h"
#include "base/file.h"
#include "base/sha256.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A descriptor of the regular file whose content has this digest; -1 when there is none: missing, damaged, unreadable,
 * or something else than a file. */
LVN_MUST_CHECK int lvn_intact_open(const char *path, const uint8_t sha256[LVN_SHA256_BYTES]);

/* Moves what is in an object's place and is no file (a folder) to <state>/unreadable, for a person to look at. */
LVN_MUST_CHECK bool lvn_intact_clear_place(const char *state_folder, const char *path, struct lvn_error *err);

/* Root must not write into a state folder of another user: the node could not use the files afterwards. */
LVN_MUST_CHECK bool lvn_intact_check_owner(const char *state_folder, struct lvn_error *err);

#ifdef __cplusplus
}
#endif
#endif
