/* What a model said of each lesion and each slice of a data set: everything that figures, tables and plots are made of.
 * Plain C over the classifier, so that what is measured is what runs. */
#ifndef LVN_MODEL_EVALUATION_CASE_PREDICTIONS_H
#define LVN_MODEL_EVALUATION_CASE_PREDICTIONS_H

#include "base/error.h"
#include "model/dataset/dataset.h"
#include "model/dataset/predictions.h"
#include "model/image/vocabulary.h"
#include "model/network/classifier.h"

#ifdef __cplusplus
extern "C" {
#endif

struct lvn_case_prediction {
  char lesion_id[LVN_DATASET_KEY_BYTES];
  char patient_key[LVN_DATASET_KEY_BYTES];
  enum lvn_class truth;
  enum lvn_class top_class; /* also when it abstained */
  unsigned fold;
  double cosine[LVN_CLASS_COUNT];
  double probability[LVN_CLASS_COUNT];
  double margin;
  double feature_distance;
  double permutation_disagreement;
  double outlier_score;
  bool abstained;
  char abstention_reason[160];
  double long_axis_mm;       /* largest diameter in a slice: the data set's, else measured on the key slice's mask */
  double slice_thickness_mm; /* NAN: not known */
  double mean_hu[LVN_PHASE_NETWORK_COUNT];
  size_t first_slice; /* into the slices below */
  size_t slice_count;
};

/* What it said of a lesion that is none of the model's classes. */
struct lvn_case_prediction_outlier {
  char lesion_id[LVN_DATASET_KEY_BYTES];
  char kind[LVN_DATASET_WORD_BYTES]; /* the data set's subtype, or the class that it names */
  enum lvn_class top_class;
  double probability; /* of the top class */
  double outlier_score;
  bool abstained;
};

struct lvn_case_prediction_slice {
  size_t lesion;
  bool is_key;
  double probability[LVN_CLASS_COUNT];
};

/* A lesion to look at: its key slice with the classes' Grad-CAM. Owned by the answers. */
struct lvn_case_prediction_picture {
  size_t lesion;
  int16_t *hounsfield; /* [NC,ART,PV][224][224] */
  uint8_t *mask;       /* [224][224] */
  float *heat[LVN_CLASS_COUNT];
};

#define LVN_CASE_PREDICTION_WRONG_MAX 8 /* the most confident wrong answers */
#define LVN_CASE_PREDICTION_RIGHT_MAX 2 /* of each class, the first right ones of the data set */
#define LVN_CASE_PREDICTION_PICTURES (LVN_CASE_PREDICTION_WRONG_MAX + LVN_CASE_PREDICTION_RIGHT_MAX * LVN_CLASS_COUNT)

/* Owned; lvn_case_predictions_clear() it. Grows by lvn_case_predictions_run(). */
struct lvn_case_predictions {
  unsigned classes; /* of the models that answered; every one has the same */
  size_t lesion_count;
  size_t lesion_room;
  struct lvn_case_prediction *lesions;
  size_t slice_count;
  size_t slice_room;
  struct lvn_case_prediction_slice *slices;
  size_t feature_count; /* of one lesion; of one model's features only, so 0 with the answers of several models */
  size_t feature_room;
  float *features; /* [lesion_count][feature_count] */
  size_t wrong_count;
  struct lvn_case_prediction_picture wrong[LVN_CASE_PREDICTION_WRONG_MAX]; /* most confident first */
  size_t right_count;
  struct lvn_case_prediction_picture right[LVN_CASE_PREDICTION_RIGHT_MAX * LVN_CLASS_COUNT];
  double seconds;       /* in the classifier */
  size_t outlier_count; /* lesions of none of the classes: in no figure of theirs */
  size_t outlier_room;
  struct lvn_case_prediction_outlier *outliers;
};

#define LVN_CASE_PREDICTIONS_EVERY_FOLD (-1)

/* Adds the answers to the lesions of `fold`, or of all folds. `progress` may be NULL. */
LVN_MUST_CHECK bool lvn_case_predictions_run(struct lvn_case_predictions *answers, struct lvn_classifier *classifier,
                                             const struct lvn_dataset *dataset, int fold,
                                             void (*progress)(size_t done, size_t total), struct lvn_error *err);
/* Adds what the models of a cross-validation said, in the file's folds. Each fold's temperature is fitted on the
 * lesions of the other folds; nothing abstains, and there are no features and no Grad-CAM. LVN_ERROR_DATA for a lesion
 * that the data set does not have, or has otherwise, and for one that was answered twice. */
LVN_MUST_CHECK bool lvn_case_predictions_take_predictions(struct lvn_case_predictions *answers,
                                                          const struct lvn_predictions *predictions,
                                                          const struct lvn_dataset *dataset, struct lvn_error *err);
void lvn_case_predictions_clear(struct lvn_case_predictions *answers);

/* Largest distance between two points of the mask, in mm; 0 when it is empty. */
double lvn_case_predictions_long_axis_mm(const uint8_t *mask, double spacing_mm);

#ifdef __cplusplus
}
#endif
#endif
