#include "base/clock.h"
#include "base/memory.h"
#include "model/evaluation/case_predictions_parts.h"

#include <math.h>
#include <string.h>

#define SAMPLES ((size_t)LVN_CROP_SIDE * LVN_CROP_SIDE)
#define SLICES_MAX 100000000U

struct point {
  double x;
  double y;
};

/* The two ends of each row are enough: the farthest pair lies on the convex hull. */
static size_t row_ends(const uint8_t *mask, struct point ends[2 * LVN_CROP_SIDE]) {
  size_t count = 0;
  for (size_t y = 0; y < LVN_CROP_SIDE; y++) {
    const uint8_t *row = mask + y * LVN_CROP_SIDE;
    size_t first = LVN_CROP_SIDE;
    size_t last = 0;
    for (size_t x = 0; x < LVN_CROP_SIDE; x++) {
      if (row[x] != 0) {
        first = x < first ? x : first;
        last = x;
      }
    }
    if (first < LVN_CROP_SIDE) {
      ends[count++] = (struct point){(double)first, (double)y};
      ends[count++] = (struct point){(double)last, (double)y};
    }
  }
  return count;
}

double lvn_case_predictions_long_axis_mm(const uint8_t *mask, double spacing_mm) {
  struct point ends[2 * LVN_CROP_SIDE];
  size_t count = row_ends(mask, ends);
  double longest = 0.0;
  for (size_t i = 0; i < count; i++) {
    for (size_t j = i + 1; j < count; j++) {
      longest = fmax(longest, hypot(ends[i].x - ends[j].x, ends[i].y - ends[j].y));
    }
  }
  return count == 0 ? 0.0 : (longest + 1.0) * spacing_mm; /* a pixel has a width */
}

static void picture_clear(struct lvn_case_prediction_picture *picture) {
  lvn_free(picture->hounsfield);
  lvn_free(picture->mask);
  for (int c = 0; c < LVN_CLASS_COUNT; c++) {
    lvn_free(picture->heat[c]);
  }
  *picture = (struct lvn_case_prediction_picture){0};
}

/* Takes the crop's key slice and the heat out of the prediction. */
static void take_picture(size_t lesion, struct lvn_crop *crop, struct lvn_prediction *prediction,
                         struct lvn_case_prediction_picture *ret_picture) {
  struct lvn_crop_slice *slice = &crop->slices[crop->key_slice];
  *ret_picture = (struct lvn_case_prediction_picture){
      .lesion = lesion, .hounsfield = lvn_steal(&slice->hounsfield), .mask = lvn_steal(&slice->mask)};
  for (int c = 0; c < LVN_CLASS_COUNT; c++) {
    ret_picture->heat[c] = lvn_steal(&prediction->heat[c]);
  }
}

static double confidence_of(const struct lvn_case_prediction *answer) {
  return answer->probability[answer->top_class];
}

static void keep_wrong(struct lvn_case_predictions *answers, size_t lesion, struct lvn_crop *crop,
                       struct lvn_prediction *prediction) {
  double confidence = confidence_of(&answers->lesions[lesion]);
  size_t at = answers->wrong_count;
  while (at > 0 && confidence_of(&answers->lesions[answers->wrong[at - 1].lesion]) < confidence) {
    at--;
  }
  if (at == LVN_CASE_PREDICTION_WRONG_MAX) {
    return;
  }
  if (answers->wrong_count == LVN_CASE_PREDICTION_WRONG_MAX) {
    picture_clear(&answers->wrong[--answers->wrong_count]);
  }
  memmove(&answers->wrong[at + 1], &answers->wrong[at], (answers->wrong_count - at) * sizeof answers->wrong[0]);
  take_picture(lesion, crop, prediction, &answers->wrong[at]);
  answers->wrong_count++;
}

static void keep_right(struct lvn_case_predictions *answers, size_t lesion, struct lvn_crop *crop,
                       struct lvn_prediction *prediction) {
  size_t of_class = 0;
  for (size_t i = 0; i < answers->right_count; i++) {
    of_class += answers->lesions[answers->right[i].lesion].truth == answers->lesions[lesion].truth;
  }
  if (of_class < LVN_CASE_PREDICTION_RIGHT_MAX) {
    take_picture(lesion, crop, prediction, &answers->right[answers->right_count++]);
  }
}

static void fill_answer(const struct lvn_dataset_lesion *lesion, const struct lvn_crop *crop,
                        const struct lvn_prediction *prediction, struct lvn_case_prediction *answer) {
  (void)lvn_copy(answer->lesion_id, sizeof answer->lesion_id, lesion->lesion_id);
  (void)lvn_copy(answer->patient_key, sizeof answer->patient_key, lesion->patient_key);
  answer->truth = lesion->lesion_class; /* one of the model's: others are outliers */
  answer->top_class = prediction->top_class;
  memcpy(answer->cosine, prediction->cosine, sizeof answer->cosine);
  memcpy(answer->probability, prediction->probability, sizeof answer->probability);
  memcpy(answer->mean_hu, lesion->mean_hu, sizeof answer->mean_hu);
  answer->margin = prediction->margin;
  answer->feature_distance = prediction->feature_distance;
  answer->permutation_disagreement = prediction->permutation_disagreement;
  answer->outlier_score = prediction->outlier_score;
  answer->abstained = prediction->abstained;
  (void)lvn_copy(answer->abstention_reason, sizeof answer->abstention_reason, prediction->abstention_reason);
  answer->long_axis_mm =
      lesion->long_axis_mm > 0.0
          ? lesion->long_axis_mm
          : lvn_case_predictions_long_axis_mm(crop->slices[crop->key_slice].mask, crop->sample_spacing_mm);
  answer->slice_thickness_mm = lesion->slice_thickness_mm > 0.0 ? lesion->slice_thickness_mm : NAN;
}

static bool add_slices(struct lvn_case_predictions *answers, struct lvn_case_prediction *answer, size_t lesion,
                       size_t key_slice, const struct lvn_prediction *prediction, struct lvn_error *err) {
  answer->first_slice = answers->slice_count;
  answer->slice_count = prediction->slice_count;
  for (size_t i = 0; i < prediction->slice_count; i++) {
    if (!lvn_grow(&answers->slices, &answers->slice_room, answers->slice_count, sizeof *answers->slices, SLICES_MAX,
                  err)) {
      return false;
    }
    struct lvn_case_prediction_slice *slice = &answers->slices[answers->slice_count++];
    *slice = (struct lvn_case_prediction_slice){.lesion = lesion, .is_key = i == key_slice};
    memcpy(slice->probability, prediction->slice_probability[i], sizeof slice->probability);
  }
  return true;
}

/* One row more. Features of another model are of another space: none are kept then. */
static bool add_features(struct lvn_case_predictions *answers, size_t lesion, const struct lvn_prediction *prediction,
                         struct lvn_error *err) {
  size_t size = answers->feature_count;
  if (size == 0) {
    return true;
  }
  if (!lvn_grow(&answers->features, &answers->feature_room, lesion, size * sizeof *answers->features,
                LVN_DATASET_LESIONS_MAX, err)) {
    return false;
  }
  memcpy(answers->features + lesion * size, prediction->features, size * sizeof *answers->features);
  return true;
}

bool lvn_case_predictions_add(struct lvn_case_predictions *answers, const struct lvn_dataset_lesion *lesion,
                              unsigned fold, struct lvn_crop *crop, struct lvn_prediction *prediction,
                              struct lvn_error *err) {
  size_t index = answers->lesion_count;
  if (!lvn_grow(&answers->lesions, &answers->lesion_room, index, sizeof *answers->lesions, LVN_DATASET_LESIONS_MAX,
                err)) {
    return false;
  }
  struct lvn_case_prediction *answer = &answers->lesions[index];
  *answer = (struct lvn_case_prediction){0};
  fill_answer(lesion, crop, prediction, answer);
  answer->fold = fold;
  if (!add_slices(answers, answer, index, crop->key_slice, prediction, err) ||
      !add_features(answers, index, prediction, err)) {
    return false;
  }
  answers->lesion_count++;
  if (answer->top_class == answer->truth) {
    keep_right(answers, index, crop, prediction);
  } else {
    keep_wrong(answers, index, crop, prediction);
  }
  return true;
}

static bool add_outlier(struct lvn_case_predictions *answers, const struct lvn_dataset_lesion *lesion,
                        const struct lvn_prediction *prediction, struct lvn_error *err) {
  if (!lvn_grow(&answers->outliers, &answers->outlier_room, answers->outlier_count, sizeof *answers->outliers,
                LVN_DATASET_LESIONS_MAX, err)) {
    return false;
  }
  struct lvn_case_prediction_outlier *outlier = &answers->outliers[answers->outlier_count++];
  *outlier = (struct lvn_case_prediction_outlier){.top_class = prediction->top_class,
                                                  .probability = prediction->probability[prediction->top_class],
                                                  .outlier_score = prediction->outlier_score,
                                                  .abstained = prediction->abstained};
  (void)lvn_copy(outlier->lesion_id, sizeof outlier->lesion_id, lesion->lesion_id);
  (void)lvn_copy(outlier->kind, sizeof outlier->kind,
                 lesion->subtype[0] != '\0' || lesion->lesion_class == LVN_CLASS_OUTLIER
                     ? lesion->subtype
                     : lvn_class_name(lesion->lesion_class));
  return true;
}

static bool answer_lesion(struct lvn_case_predictions *answers, struct lvn_classifier *classifier,
                          const struct lvn_dataset *dataset, size_t index, struct lvn_error *err) {
  struct lvn_crop crop = {0};
  struct lvn_prediction prediction = {0};
  if (!lvn_dataset_load(dataset, index, &crop, err)) {
    return false;
  }
  double start = lvn_clock_monotonic_seconds();
  bool good = lvn_classifier_run(classifier, &crop, &prediction, err);
  answers->seconds += lvn_clock_monotonic_seconds() - start;
  if (good && answers->lesion_count == 0) {
    answers->feature_count = prediction.feature_count;
  }
  const struct lvn_dataset_lesion *lesion = lvn_dataset_get(dataset, index);
  good = good && (!lvn_classes_have(answers->classes, lesion->lesion_class)
                      ? add_outlier(answers, lesion, &prediction, err)
                      : lvn_case_predictions_add(answers, lesion, lesion->fold, &crop, &prediction, err));
  lvn_prediction_clear(&prediction);
  lvn_crop_clear(&crop);
  return good;
}

bool lvn_case_predictions_run(struct lvn_case_predictions *answers, struct lvn_classifier *classifier,
                              const struct lvn_dataset *dataset, int fold, void (*progress)(size_t done, size_t total),
                              struct lvn_error *err) {
  size_t count = lvn_dataset_count(dataset);
  size_t wanted = 0;
  size_t done = 0;
  const unsigned classes = lvn_classifier_get_info(classifier)->classes;
  if (answers->classes != 0 && answers->classes != classes) {
    return lvn_error_set(err, LVN_ERROR_DATA, "the models do not have the same classes");
  }
  answers->classes = classes;
  if (answers->lesion_count > 0) {
    lvn_free(lvn_steal(&answers->features));
    answers->feature_count = 0;
  }
  for (size_t i = 0; i < count; i++) {
    wanted += fold == LVN_CASE_PREDICTIONS_EVERY_FOLD || (unsigned)fold == lvn_dataset_get(dataset, i)->fold;
  }
  if (wanted == 0) {
    return fold == LVN_CASE_PREDICTIONS_EVERY_FOLD
               ? lvn_error_set(err, LVN_ERROR_DATA, "the data set is empty")
               : lvn_error_set(err, LVN_ERROR_DATA, "the data set has no lesion in fold %d", fold);
  }
  for (size_t i = 0; i < count; i++) {
    if (fold != LVN_CASE_PREDICTIONS_EVERY_FOLD && (unsigned)fold != lvn_dataset_get(dataset, i)->fold) {
      continue;
    }
    if (!answer_lesion(answers, classifier, dataset, i, err)) {
      return false;
    }
    done++;
    if (progress != NULL) {
      progress(done, wanted);
    }
  }
  return true;
}

void lvn_case_predictions_clear(struct lvn_case_predictions *answers) {
  for (size_t i = 0; i < answers->wrong_count; i++) {
    picture_clear(&answers->wrong[i]);
  }
  for (size_t i = 0; i < answers->right_count; i++) {
    picture_clear(&answers->right[i]);
  }
  lvn_free(answers->lesions);
  lvn_free(answers->outliers);
  lvn_free(answers->slices);
  lvn_free(answers->features);
  *answers = (struct lvn_case_predictions){0};
}
