/* A model package: an immutable folder
 *   manifest.json              what the model is, how its input is made, and every other file's SHA-256
 *   weights.safetensors        network (float16), prompt prototypes, text embeddings, feature statistics
 *   test_vectors.safetensors   crops with the cosines that they must give
 *   evaluation.json, card.md   how it did, and what it is for
 *   manifest.sig               optional: Ed25519 signature over manifest.json, 64 bytes
 * The manifest's own SHA-256 names the model. */
#ifndef LVN_MODEL_PACKAGE_H
#define LVN_MODEL_PACKAGE_H

#include "base/error.h"
#include "base/file.h"
#include "base/sha256.h"
#include "model/image/crop.h"
#include "model/network/image_encoder.h"

#include <jansson.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LVN_PACKAGE_MANIFEST "manifest.json"
#define LVN_PACKAGE_SIGNATURE "manifest.sig"
#define LVN_PACKAGE_WEIGHTS "weights.safetensors"
#define LVN_PACKAGE_VECTORS "test_vectors.safetensors"
#define LVN_PACKAGE_EVALUATION "evaluation.json"
#define LVN_PACKAGE_CARD "card.md"
#define LVN_PACKAGE_WEIGHTS_MAX ((size_t)1 << 30)

/* How the input is made, what runs on it, and how its output is read. */
struct lvn_package_recipe {
  char encoder[LVN_IMAGE_ENCODER_NAME_BYTES]; /* of the image: its row in the table of encoders */
  size_t joint_size;
  struct lvn_crop_options crop;
  double window_low_hu;  /* to 0 */
  double window_high_hu; /* to 1 */
  double mean;
  double std;
  double scale;       /* logit = scale * cosine / temperature */
  double temperature; /* fitted on held-out lesions */
  /* Abstain beyond these. */
  double min_margin;
  double max_feature_distance;
  double max_order_disagreement;
};
void lvn_package_recipe_default(struct lvn_package_recipe *ret_recipe);

struct lvn_package {
  char folder[LVN_PATH_BYTES];
  char name[64];
  char version[32];
  char trained_on[256];
  char licence[64];
  uint8_t manifest_sha256[LVN_SHA256_BYTES];
  char device_uid[LVN_UID_BYTES];
  struct lvn_package_recipe recipe;
  json_t *manifest; /* owned */
};

/* Reads the manifest and checks every file against it: LVN_ERROR_DATA names the file that is changed, missing or not
 * listed. Does not look at the signature. lvn_package_clear() it. */
LVN_MUST_CHECK bool lvn_package_open(const char *folder, struct lvn_package *ret_package, struct lvn_error *err);
void lvn_package_clear(struct lvn_package *package);

/* What a trainer knows of a new package. All borrowed. */
struct lvn_package_description {
  const char *name;
  const char *version;
  const char *trained_on;
  const char *licence;
  const struct lvn_package_recipe *recipe;
  const json_t *text_encoder; /* {"name", "sha256", "pooling"} */
  const json_t *training;     /* summary: data, recipe, library versions */
};
/* Hashes the files that already lie in `folder` and writes manifest.json: the last step. */
LVN_MUST_CHECK bool lvn_package_seal(const char *folder, const struct lvn_package_description *description,
                                     struct lvn_error *err);

/* Ed25519 (RFC 8032) over manifest.json's bytes. Keys are PEM files (PKCS#8 private, SubjectPublicKeyInfo public), as
 * `openssl genpkey -algorithm ed25519` and `openssl pkey -pubout` make them. */
LVN_MUST_CHECK bool lvn_package_sign(const char *folder, const char *private_key_path, struct lvn_error *err);
/* LVN_ERROR_DATA when there is no signature or it is not this key's. */
LVN_MUST_CHECK bool lvn_package_verify_signature(const char *folder, const char *public_key_path,
                                                 struct lvn_error *err);

#ifdef __cplusplus
}
#endif
#endif
