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

/* Terms that say how unlike the training lesions a lesion is (model/network/outlier_torch.hh). */
enum lvn_outlier_term {
  LVN_OUTLIER_DISTANCE,     /* of features to the nearest class */
  LVN_OUTLIER_RELATIVE,     /* that, squared, less the distance to all training lesions taken as one */
  LVN_OUTLIER_BACKGROUND,   /* that, squared, less the distance to the outliers that it was trained with */
  LVN_OUTLIER_CONFIDENCE,   /* log odds against the top class */
  LVN_OUTLIER_FLIPS,        /* disagreement between the image and its mirror images: three times the work */
  LVN_OUTLIER_PERMUTATIONS, /* between three orders of the phases: three times the work */
  LVN_OUTLIER_MEASUREMENTS, /* log odds that it is none of the classes, by its measurements */
  LVN_OUTLIER_TERM_COUNT
};
const char *lvn_outlier_term_name(enum lvn_outlier_term term);
#define LVN_OUTLIER_PARTS_MAX 4
struct lvn_outlier_part {
  enum lvn_outlier_term term;
  double mean; /* of held-out lesions of the classes */
  double deviation;
};
struct lvn_outlier_rule {
  size_t term_count;
  struct lvn_outlier_part parts[LVN_OUTLIER_PARTS_MAX];
  double limit;            /* abstain beyond it */
  double false_alarm_rate; /* share of lesions of the classes that lie beyond it; NAN: not stated */
};
/* Terms joined by '+'; means 0 and deviations 1. */
LVN_MUST_CHECK bool lvn_outlier_rule_parse(const char *text, struct lvn_outlier_rule *ret_rule);

/* How the input is made, what runs on it, and how its output is read. */
struct lvn_package_recipe {
  unsigned classes;                           /* what it tells apart; packages that do not say: the paper's four */
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
  double least_diameter_mm;   /* of a lesion's outline, its long axis */
  double least_pixels_across; /* the same in pixels of the images that it was drawn on */
  double max_feature_distance;
  double max_permutation_disagreement;
  double conformal_limit;          /* a class is in the set where 1 - probability is at most this; NAN: no sets */
  double conformal_coverage;       /* share of lesions like the held-out ones whose set holds the truth */
  double map_share_limit;          /* share of a Grad-CAM map about the outline below which it points elsewhere */
  double measurement_weight;       /* of the trees' log-probabilities, added to the cosines; 0: there are none */
  struct lvn_outlier_rule outlier; /* packages of 1.x: distance, with max_feature_distance as its limit */
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
