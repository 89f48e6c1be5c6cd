/* A folder of model packages of which one is in use:
 *   FOLDER/<name>-<version>/   packages, never changed after they were brought in
 *   FOLDER/current             symbolic link to the one in use: what the node's model_package names
 *   FOLDER/previous            symbolic link to the one before: what a rollback goes back to
 *   FOLDER/history.jsonl       one JSON object a line: what was brought in, promoted, rolled back, and why
 * Each step is one rename, so that a reader sees the old or the new, never something between. Functions are for one
 * process at a time, as an administrator works. */
#ifndef LVN_MODEL_MODELS_H
#define LVN_MODEL_MODELS_H

#include "base/error.h"
#include "base/file.h"
#include "model/network/package.h"

#ifdef __cplusplus
extern "C" {
#endif

#define LVN_MODELS_CURRENT "current"
#define LVN_MODELS_PREVIOUS "previous"
#define LVN_MODELS_NAME_BYTES 128

/* Does the package in this folder compute what its maker says? */
typedef bool (*lvn_models_check)(const char *folder, struct lvn_error *err);

/* Copies a package in, durably, after its files were checked against its manifest and its manifest against the public
 * keys (PEM files); the copy is checked again, and by `check`, before it is in place. LVN_ERROR_USAGE without any key;
 * LVN_ERROR_DATA when it is unsigned, was signed by none of the keys, or has a file that is changed, missing or not
 * listed; LVN_ERROR_CONFLICT when another package has this name and version. The same package again is fine. */
LVN_MUST_CHECK bool lvn_models_import(const char *models_folder, const char *package_folder, const char *const *keys,
                                      size_t key_count, lvn_models_check check, char ret_name[LVN_MODELS_NAME_BYTES],
                                      struct lvn_error *err);

/* Where `link` (LVN_MODELS_CURRENT or _PREVIOUS) points; empty when there is no such link. */
LVN_MUST_CHECK bool lvn_models_read_link(const char *models_folder, const char *link,
                                         char ret_name[LVN_MODELS_NAME_BYTES], struct lvn_error *err);

/* Makes the package current and remembers the one before. Does not judge it: see lvn_package_accept(). */
LVN_MUST_CHECK bool lvn_models_promote(const char *models_folder, const char *name, struct lvn_error *err);
/* The one before becomes current, and the current one the one before. LVN_ERROR_CONFLICT when there is none. */
LVN_MUST_CHECK bool lvn_models_rollback(const char *models_folder, char ret_name[LVN_MODELS_NAME_BYTES],
                                        struct lvn_error *err);

/* Adds a line; `facts` (NULL: none) is borrowed. */
LVN_MUST_CHECK bool lvn_models_remember(const char *models_folder, const char *action, const char *name,
                                        const json_t *facts, struct lvn_error *err);

/* Does the package meet what was declared before its training (manifest: training.acceptance)? `evaluation` is the
 * evaluation.json of this very package on lesions that it was not trained on; `locked_sha256` (NULL or empty: any) the
 * digest of the one data set that counts. LVN_ERROR_DATA in one sentence: nothing was declared, another model or data
 * set was measured, or the first figure that falls short. */
LVN_MUST_CHECK bool lvn_package_accept(const struct lvn_package *package, const json_t *evaluation,
                                       const char *locked_sha256, struct lvn_error *err);

#ifdef __cplusplus
}
#endif
#endif
