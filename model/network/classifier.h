/* The trained Liver-VLM at work: a model package opened, crops in, calibrated probabilities, abstention and Grad-CAM
 * out. The torch side is classifier_torch.cc. Source: Liver-VLM paper sections 3.1-3.4; closed-form Grad-CAM from GAP +
 * Linear + L2 (no autograd). */
#ifndef LVN_MODEL_CLASSIFIER_H
#define LVN_MODEL_CLASSIFIER_H

#include "base/error.h"
#include "base/sha256.h"
#include "model/image/crop.h"
#include "model/image/vocabulary.h"

#ifdef __cplusplus
extern "C" {
#endif

struct lvn_classifier_options {
  const char *package_folder;
  const char *device;        /* "auto", "cpu" or "cuda" */
  unsigned threads;          /* 0: all cores; Debian's libtorch starts with one */
  bool permutation_ensemble; /* six phase orders with their prompts, mean of temperature-scaled log-probabilities */
};

/* What results say about the model. Borrowed from the classifier. */
struct lvn_classifier_info {
  unsigned classes; /* what it tells apart: values of others are 0, -INFINITY or NULL below */
  const char *name;
  const char *version;
  const char *device_uid; /* 2.25…, from the manifest's digest */
  const char *device;     /* "cpu" or "cuda:0" */
  const char *trained_on; /* one line of the card: "synthetic phantoms" */
  uint8_t manifest_sha256[LVN_SHA256_BYTES];
  struct lvn_crop_options crop; /* the package's preprocessing */
  double least_diameter_mm;     /* what the package says of smaller lesions: nothing */
  double least_pixels_across;
  double window_low_hu;
  double window_high_hu;
  bool weighs_measurements; /* the answer is the network's and that of what is measured; a Grad-CAM map is of the
                               network */
  double map_share_limit;   /* share of a Grad-CAM map about the outline below which it points elsewhere */
};

/* One lesion's answer. */
struct lvn_prediction {
  double cosine[LVN_CLASS_COUNT];      /* mean over slices, the model's own order */
  double probability[LVN_CLASS_COUNT]; /* calibrated by the package's temperature; sums to 1 */
  enum lvn_class top_class;
  double margin;                   /* top minus second probability */
  double feature_distance;         /* Mahalanobis, of the lesion's mean feature */
  double outlier_score;            /* how unlike the training lesions, by the package's rule; larger is more unlike */
  double outlier_limit;            /* the package's; beyond it there is no answer */
  double outlier_alarm_rate;       /* share of lesions like the training ones that lie beyond it; NAN: not stated */
  double permutation_disagreement; /* share of orders that disagree with the top class; 0 without the ensemble */
  unsigned conformal_set;          /* bit c: class c cannot be excluded; none: it resembles no class */
  double conformal_coverage; /* how often the truth is in such a set, of lesions like the training ones; NAN: no sets */
  bool abstained;
  char abstention_reason[160]; /* one sentence, empty when not abstained */
  const char *abstention_code; /* "missing_phase", "unlike", "margin" or "permutations"; NULL when not abstained */
  /* Grad-CAM of the key slice, per class, 224x224 in 0..1 on one scale over the classes; owned. */
  float *heat[LVN_CLASS_COUNT];
  /* What an evaluation looks at; owned. */
  size_t slice_count;
  double (*slice_probability)[LVN_CLASS_COUNT]; /* of each slice alone, calibrated and pooled over orders alike */
  size_t feature_count;
  float *features; /* the lesion's mean feature */
};

/* Belongs to one thread at a time. */
struct lvn_classifier;

/* Verifies every file's SHA-256 against the manifest, loads, and runs the package's test vectors: LVN_ERROR_DATA names
 * the file or the vector that is wrong. */
LVN_MUST_CHECK bool lvn_classifier_open(const struct lvn_classifier_options *options,
                                        struct lvn_classifier **ret_classifier, struct lvn_error *err);
void lvn_classifier_close(struct lvn_classifier *classifier); /* NULL is allowed */
const struct lvn_classifier_info *lvn_classifier_get_info(const struct lvn_classifier *classifier);

/* Per lesion: mean of the slices' log-probabilities, weighted 1/slices. A missing phase is an abstention, not an error.
 */
LVN_MUST_CHECK bool lvn_classifier_run(struct lvn_classifier *classifier, const struct lvn_crop *crop,
                                       struct lvn_prediction *ret_prediction, struct lvn_error *err);
void lvn_prediction_clear(struct lvn_prediction *prediction);

#ifdef __cplusplus
}
#endif
#endif
