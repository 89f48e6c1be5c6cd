/* Letters between the receiver's processes and the pipeline: small JSON documents, durable once they are put, each a
 * file <state>/letters/<kind>-<random>.json. Whoever puts one may hold it for its own life, so that the other side
 * knows whether somebody is still at it. Immutable after open; any number of processes. */
#ifndef LVN_STORAGE_LETTERS_H
#define LVN_STORAGE_LETTERS_H

#include "base/error.h"
#include "base/file.h"
#include "base/json.h"

#ifdef __cplusplus
extern "C" {
#endif

#define LVN_LETTER_NAME_BYTES 64
#define LVN_LETTERS_MAX 10000U /* of a kind; nobody puts more */

/* A peer promises to keep what was sent, or says that it does not. {"peer", commitment} */
#define LVN_LETTER_REPORT "report"
/* A peer asks whether this node keeps what it sent. {"peer", commitment} */
#define LVN_LETTER_REQUEST "request"
/* What it is told, under the name of its request. */
#define LVN_LETTER_ANSWER "answer"

struct lvn_letters;
LVN_MUST_CHECK bool lvn_letters_open(const char *state_folder, struct lvn_letters **ret_letters, struct lvn_error *err);
void lvn_letters_close(struct lvn_letters *letters); /* NULL is allowed */
const char *lvn_letters_get_folder(const struct lvn_letters *letters);

/* `ret_name` and `ret_held_fd` may be NULL; with the latter the letter is held until that is closed.
 * LVN_ERROR_CONFLICT: there are LVN_LETTERS_MAX of this kind. */
LVN_MUST_CHECK bool lvn_letters_put(const struct lvn_letters *letters, const char *kind, const json_t *content,
                                    char ret_name[LVN_LETTER_NAME_BYTES], int *ret_held_fd, struct lvn_error *err);
/* Names of one kind, sorted. */
LVN_MUST_CHECK bool lvn_letters_list(const struct lvn_letters *letters, const char *kind,
                                     struct lvn_file_names *ret_names, struct lvn_error *err);
/* LVN_ERROR_DATA: it is damaged. A new reference. */
LVN_MUST_CHECK bool lvn_letters_read(const struct lvn_letters *letters, const char *name, json_t **ret_content,
                                     struct lvn_error *err);
/* Does a living process hold it? Also true where that cannot be known. */
bool lvn_letters_is_held(const struct lvn_letters *letters, const char *name);
/* What is gone already is fine. */
LVN_MUST_CHECK bool lvn_letters_remove(const struct lvn_letters *letters, const char *name, struct lvn_error *err);

/* The answer to a letter: one at most, replaced by a later one. */
void lvn_letters_answer_name(const char *name, char ret_answer_name[LVN_LETTER_NAME_BYTES]);
LVN_MUST_CHECK bool lvn_letters_put_answer(const struct lvn_letters *letters, const char *name, const json_t *content,
                                           struct lvn_error *err);
/* *ret_content NULL: there is none yet. */
LVN_MUST_CHECK bool lvn_letters_find_answer(const struct lvn_letters *letters, const char *name, json_t **ret_content,
                                            struct lvn_error *err);

#ifdef __cplusplus
}
#endif
#endif
