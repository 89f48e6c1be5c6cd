/* What became of lesions that are none of the classes: indeterminate is right, a class is wrong. */
#include "model/evaluation/evaluation_write.h"

#include <math.h>
#include <string.h>

#define KINDS_MAX 64

struct kind {
  const char *name;
  size_t count;
  size_t indeterminate;
  size_t answers[LVN_CLASS_COUNT];
};

/* One more than KINDS_MAX different kinds are counted with the last. */
static size_t count_kinds(const struct lvn_case_predictions *answers, struct kind kinds[KINDS_MAX]) {
  size_t count = 0;
  for (size_t i = 0; i < answers->outlier_count; i++) {
    const struct lvn_case_prediction_outlier *outlier = &answers->outliers[i];
    size_t k = 0;
    while (k < count && strcmp(kinds[k].name, outlier->kind) != 0) {
      k++;
    }
    k = k < KINDS_MAX ? k : KINDS_MAX - 1;
    if (k == count) {
      kinds[count++] = (struct kind){.name = outlier->kind};
    }
    kinds[k].count++;
    kinds[k].indeterminate += outlier->abstained;
    kinds[k].answers[outlier->top_class] += !outlier->abstained;
  }
  return count;
}

static double share(size_t part, size_t whole) {
  return whole == 0 ? NAN : (double)part / (double)whole;
}

/* Of a random outlier against a random lesion of the classes. */
static double area(const struct lvn_case_predictions *answers) {
  double sum = 0.0;
  for (size_t i = 0; i < answers->outlier_count; i++) {
    for (size_t k = 0; k < answers->lesion_count; k++) {
      double difference = answers->outliers[i].outlier_score - answers->lesions[k].outlier_score;
      sum += difference > 0.0 ? 1.0 : difference < 0.0 ? 0.0 : 0.5;
    }
  }
  return sum / ((double)answers->outlier_count * (double)answers->lesion_count);
}

static size_t abstained_in_class(const struct lvn_case_predictions *answers) {
  size_t count = 0;
  for (size_t i = 0; i < answers->lesion_count; i++) {
    count += answers->lesions[i].abstained;
  }
  return count;
}

json_t *lvn_evaluation_outliers_json(const struct lvn_case_predictions *answers) {
  struct kind kinds[KINDS_MAX];
  size_t count = count_kinds(answers, kinds);
  size_t indeterminate = 0;
  json_t *by_kind = json_object();
  if (answers->outlier_count == 0) {
    json_decref(by_kind);
    return NULL;
  }
  for (size_t k = 0; k < count; k++) {
    json_t *names = json_object();
    for (unsigned c = lvn_classes_first(answers->classes); c < LVN_CLASS_COUNT;
         c = lvn_classes_next(answers->classes, c)) {
      (void)json_object_set_new(names, lvn_class_name((enum lvn_class)c),
                                json_integer((json_int_t)kinds[k].answers[c]));
    }
    (void)json_object_set_new(by_kind, kinds[k].name,
                              json_pack("{s:I,s:f,s:o}", "lesions", (json_int_t)kinds[k].count, "indeterminate",
                                        share(kinds[k].indeterminate, kinds[k].count), "answers", names));
    indeterminate += kinds[k].indeterminate;
  }
  return json_pack("{s:I,s:f,s:f,s:f,s:o}", "lesions", (json_int_t)answers->outlier_count, "indeterminate",
                   share(indeterminate, answers->outlier_count), "indeterminate_of_the_classes",
                   share(abstained_in_class(answers), answers->lesion_count), "auc_of_outlier_score", area(answers),
                   "by_kind", by_kind);
}

void lvn_evaluation_print_outliers(FILE *stream, const struct lvn_case_predictions *answers) {
  struct kind kinds[KINDS_MAX];
  size_t count = count_kinds(answers, kinds);
  char text[LVN_FIGURE_TEXT_BYTES];
  if (count == 0) {
    return;
  }
  (void)fprintf(stream,
                "\nnone of the classes; %zu of %zu lesions of the classes are indeterminate; AUC of the score %s\n"
                "kind                       lesions  indeterminate  answers ",
                abstained_in_class(answers), answers->lesion_count, lvn_figure_text(area(answers), 3, text));
  for (unsigned c = lvn_classes_first(answers->classes); c < LVN_CLASS_COUNT;
       c = lvn_classes_next(answers->classes, c)) {
    (void)fprintf(stream, "%6s", lvn_class_name((enum lvn_class)c));
  }
  (void)fprintf(stream, "\n");
  for (size_t k = 0; k < count; k++) {
    (void)fprintf(stream, "%-26s %7zu  %13s          ", kinds[k].name, kinds[k].count,
                  lvn_figure_text(share(kinds[k].indeterminate, kinds[k].count), 3, text));
    for (unsigned c = lvn_classes_first(answers->classes); c < LVN_CLASS_COUNT;
         c = lvn_classes_next(answers->classes, c)) {
      (void)fprintf(stream, "%6zu", kinds[k].answers[c]);
    }
    (void)fprintf(stream, "\n");
  }
}
