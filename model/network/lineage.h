/* What a model has seen: the first 8 bytes of the SHA-256 of each lesion's pixels and of each image that they were cut
 * from. Names of patients and data sets can be changed, pixels cannot: nothing is to be tested on what is listed here.
 * In a manifest one text of 16 hexadecimal digits each, ascending. */
#ifndef LVN_MODEL_LINEAGE_H
#define LVN_MODEL_LINEAGE_H

#include "base/error.h"
#include "base/sha256.h"

#include <jansson.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Owned; lvn_lineage_clear() it. One thread at a time. */
struct lvn_lineage {
  uint64_t *digests;
  size_t count;
  size_t room;
  bool is_sorted;
};

LVN_MUST_CHECK bool lvn_lineage_add(struct lvn_lineage *lineage, const uint8_t sha256[LVN_SHA256_BYTES],
                                    struct lvn_error *err);
/* A manifest's text; NULL adds nothing. LVN_ERROR_DATA when it is malformed. */
LVN_MUST_CHECK bool lvn_lineage_add_text(struct lvn_lineage *lineage, const char *text, struct lvn_error *err);
/* lvn_free() it. */
LVN_MUST_CHECK char *lvn_lineage_to_text(struct lvn_lineage *lineage, struct lvn_error *err);
bool lvn_lineage_has(struct lvn_lineage *lineage, const uint8_t sha256[LVN_SHA256_BYTES]);
/* How many of `lineage` are in `other`. */
size_t lvn_lineage_shared(struct lvn_lineage *lineage, struct lvn_lineage *other);
void lvn_lineage_clear(struct lvn_lineage *lineage);

/* Of a package's manifest, training: "trained_pixels" and, with `held_out`, "held_out_pixels". `ret_known` is false for
 * a package whose manifest does not say all of it. */
LVN_MUST_CHECK bool lvn_lineage_of_manifest(const json_t *manifest, bool held_out, struct lvn_lineage *lineage,
                                            bool *ret_known, struct lvn_error *err);

#ifdef __cplusplus
}
#endif
#endif
