#include "model/stats/mahalanobis.h"

#include "base/memory.h"

#include <gsl/gsl_blas.h>
#include <gsl/gsl_errno.h>
#include <gsl/gsl_linalg.h>
#include <math.h>

struct lvn_mahalanobis {
  size_t size;
  size_t members[LVN_CLASS_COUNT];
  double *mean;   /* [LVN_CLASS_COUNT][size] */
  double *factor; /* lower triangle L of the covariance, L L' */
};

void lvn_mahalanobis_destroy(struct lvn_mahalanobis *fit) {
  if (fit != NULL) {
    lvn_free(fit->mean);
    lvn_free(fit->factor);
    lvn_free(fit);
  }
}
LVN_DEFINE_CLEANUP(lvn_mahalanobis, lvn_mahalanobis_destroy)

static size_t fit_means(struct lvn_mahalanobis *fit, const float *feature, const size_t *label, const bool *is_used,
                        size_t count) {
  size_t used = 0;
  for (size_t i = 0; i < count; i++) {
    if (is_used == NULL || is_used[i]) {
      used++;
      fit->members[label[i]]++;
      for (size_t k = 0; k < fit->size; k++) {
        fit->mean[label[i] * fit->size + k] += (double)feature[i * fit->size + k];
      }
    }
  }
  for (size_t c = 0; c < LVN_CLASS_COUNT; c++) {
    for (size_t k = 0; k < fit->size && fit->members[c] > 0; k++) {
      fit->mean[c * fit->size + k] /= (double)fit->members[c];
    }
  }
  return used;
}

static bool fit_covariance(struct lvn_mahalanobis *fit, const float *feature, const size_t *label, const bool *is_used,
                           size_t count, size_t used, double shrinkage, struct lvn_error *err) {
  LVN_AUTOFREE double *centred = lvn_alloc(used, fit->size * sizeof *centred, err);
  size_t row = 0;
  if (centred == NULL) {
    return false;
  }
  for (size_t i = 0; i < count; i++) {
    if (is_used == NULL || is_used[i]) {
      for (size_t k = 0; k < fit->size; k++) {
        centred[row * fit->size + k] = (double)feature[i * fit->size + k] - fit->mean[label[i] * fit->size + k];
      }
      row++;
    }
  }
  gsl_matrix_view rows = gsl_matrix_view_array(centred, used, fit->size);
  gsl_matrix_view covariance = gsl_matrix_view_array(fit->factor, fit->size, fit->size);
  (void)gsl_blas_dsyrk(CblasLower, CblasTrans, (1.0 - shrinkage) / (double)used, &rows.matrix, 0.0, &covariance.matrix);
  double variance = 0.0;
  for (size_t i = 0; i < used * fit->size; i++) {
    variance += centred[i] * centred[i];
  }
  variance /= (double)used * (double)fit->size;
  for (size_t k = 0; k < fit->size; k++) {
    fit->factor[k * fit->size + k] += shrinkage * variance;
  }
  return gsl_linalg_cholesky_decomp1(&covariance.matrix) == GSL_SUCCESS ||
         lvn_error_set(err, LVN_ERROR_DATA, "the covariance of %zu cases' features is singular", used);
}

bool lvn_mahalanobis_fit(const float *feature, const size_t *label, const bool *is_used, size_t count, size_t size,
                         double shrinkage, struct lvn_mahalanobis **ret_fit, struct lvn_error *err) {
  LVN_CLEANUP(lvn_mahalanobis_cleanup) struct lvn_mahalanobis *fit = lvn_alloc(1, sizeof *fit, err);
  (void)gsl_set_error_handler_off();
  if (fit == NULL) {
    return false;
  }
  fit->size = size;
  fit->mean = lvn_alloc(LVN_CLASS_COUNT * size, sizeof *fit->mean, err);
  fit->factor = lvn_alloc(size, size * sizeof *fit->factor, err);
  if (fit->mean == NULL || fit->factor == NULL) {
    return false;
  }
  size_t used = fit_means(fit, feature, label, is_used, count);
  if (used == 0 || size == 0) {
    return lvn_error_set(err, LVN_ERROR_DATA, "there are no features to fit on");
  }
  if (!fit_covariance(fit, feature, label, is_used, count, used, shrinkage, err)) {
    return false;
  }
  *ret_fit = lvn_steal(&fit);
  return true;
}

bool lvn_mahalanobis_score(const struct lvn_mahalanobis *fit, const float *feature, size_t count, double *ret_distance,
                           struct lvn_error *err) {
  LVN_AUTOFREE double *delta = lvn_alloc(fit->size, sizeof *delta, err);
  if (delta == NULL) {
    return false;
  }
  gsl_matrix_const_view factor = gsl_matrix_const_view_array(fit->factor, fit->size, fit->size);
  gsl_vector_view vector = gsl_vector_view_array(delta, fit->size);
  for (size_t i = 0; i < count; i++) {
    ret_distance[i] = INFINITY;
    for (size_t c = 0; c < LVN_CLASS_COUNT; c++) {
      if (fit->members[c] == 0) {
        continue;
      }
      for (size_t k = 0; k < fit->size; k++) {
        delta[k] = (double)feature[i * fit->size + k] - fit->mean[c * fit->size + k];
      }
      (void)gsl_blas_dtrsv(CblasLower, CblasNoTrans, CblasNonUnit, &factor.matrix, &vector.vector);
      ret_distance[i] = fmin(ret_distance[i], gsl_blas_dnrm2(&vector.vector));
    }
  }
  return true;
}
