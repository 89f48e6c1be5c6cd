/* Names that stand for patients and lesions in a data set: keyed digests (HMAC-SHA-256, FIPS 198-1). Who has the key
 * and the list of cases can tell whom they mean; a data set without them cannot. The same key gives the same names, so
 * that data sets of one site fit together. */
#ifndef LVN_ANALYSIS_DATASET_PSEUDONYM_H
#define LVN_ANALYSIS_DATASET_PSEUDONYM_H

#include "base/error.h"
#include "base/sha256.h"

#ifdef __cplusplus
extern "C" {
#endif

#define LVN_PSEUDONYM_BYTES 18 /* a letter, 16 hexadecimal digits, NUL */

struct lvn_pseudonym_key {
  uint8_t bytes[LVN_SHA256_BYTES];
};

/* Reads the key, 64 hexadecimal digits; where the file is missing, makes it from the kernel's generator, mode 0600. */
LVN_MUST_CHECK bool lvn_pseudonym_key_open(const char *path, struct lvn_pseudonym_key *ret_key, struct lvn_error *err);

/* `kind` is the first letter and keeps the names of patients ("P") and lesions ("L") apart. */
LVN_MUST_CHECK bool lvn_pseudonym(const struct lvn_pseudonym_key *key, char kind, const char *const *parts,
                                  size_t part_count, char ret_name[LVN_PSEUDONYM_BYTES], struct lvn_error *err);

#ifdef __cplusplus
}
#endif
#endif
