/* WordPiece tokens of the BERT family, as the uncased checkpoints were trained with: lower case, canonical
 * decomposition without combining marks, split at white space and punctuation, then greedy longest match in the
 * vocabulary with "##" continuations. Source: Devlin 2018 and the released vocab.txt.
 * Bound: case and accents are folded for Latin letters up to U+017F; letters beyond are looked up as they stand. The
 * prompts are ASCII. */
#ifndef LVN_MODEL_WORDPIECE_H
#define LVN_MODEL_WORDPIECE_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Immutable once opened; may be shared by threads. */
struct lvn_wordpiece;

/* `path` is a vocab.txt: one token a line, the id is the line's number from 0. [UNK], [CLS] and [SEP] must be there. */
LVN_MUST_CHECK bool lvn_wordpiece_open(const char *path, struct lvn_wordpiece **ret_wordpiece, struct lvn_error *err);
void lvn_wordpiece_close(struct lvn_wordpiece *wordpiece); /* NULL is allowed */
size_t lvn_wordpiece_size(const struct lvn_wordpiece *wordpiece);

/* [CLS] tokens [SEP] of UTF-8 `text` into ret_ids[max_count]. LVN_ERROR_DATA when that is too short. */
LVN_MUST_CHECK bool lvn_wordpiece_encode(const struct lvn_wordpiece *wordpiece, const char *text, size_t max_count,
                                         int64_t *ret_ids, size_t *ret_count, struct lvn_error *err);

#ifdef __cplusplus
}
#endif
#endif
