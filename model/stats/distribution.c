#include "model/stats/distribution.h"

#include <gsl/gsl_cdf.h>
#include <gsl/gsl_errno.h>
#include <gsl/gsl_randist.h>
#include <math.h>

#define POLISH_STEPS 4

/* GSL's default handler ends the process where a result underflows; its return values are enough. */
static void keep_running(void) {
  (void)gsl_set_error_handler_off();
}

double lvn_stats_normal_quantile(double probability) {
  keep_running();
  return gsl_cdf_ugaussian_Pinv(probability);
}

double lvn_stats_normal_two_sided(double z) {
  keep_running();
  return isnan(z) ? NAN : 2.0 * gsl_cdf_ugaussian_Q(fabs(z));
}

double lvn_stats_t_two_sided(double t, double degrees) {
  keep_running();
  return isnan(t) || !(degrees > 0.0) ? NAN : 2.0 * gsl_cdf_tdist_Q(fabs(t), degrees);
}

double lvn_stats_t_quantile(double probability, double degrees) {
  keep_running();
  double t = gsl_cdf_tdist_Pinv(probability, degrees);
  for (int step = 0; step < POLISH_STEPS; step++) {
    double slope = gsl_ran_tdist_pdf(t, degrees);
    double miss = gsl_cdf_tdist_P(t, degrees) - probability;
    if (!(slope > 0.0) || !isfinite(miss / slope)) {
      break;
    }
    t -= miss / slope;
  }
  return t;
}

double lvn_stats_beta_quantile(double probability, double a, double b) {
  keep_running();
  double x = gsl_cdf_beta_Pinv(probability, a, b);
  for (int step = 0; step < POLISH_STEPS; step++) {
    double slope = gsl_ran_beta_pdf(x, a, b);
    double next = x - (gsl_cdf_beta_P(x, a, b) - probability) / slope;
    if (!(slope > 0.0) || !(next > 0.0 && next < 1.0)) {
      break;
    }
    x = next;
  }
  return x;
}

struct lvn_interval lvn_stats_wilson(size_t hits, size_t count, double level) {
  if (count == 0) {
    return (struct lvn_interval){NAN, NAN};
  }
  double n = (double)count;
  double p = (double)hits / n;
  double z = lvn_stats_normal_quantile(0.5 + 0.5 * level);
  double centre = (p + z * z / (2.0 * n)) / (1.0 + z * z / n);
  double half = z * sqrt(p * (1.0 - p) / n + z * z / (4.0 * n * n)) / (1.0 + z * z / n);
  return (struct lvn_interval){hits == 0 ? 0.0 : centre - half, hits == count ? 1.0 : centre + half};
}

struct lvn_interval lvn_stats_clopper_pearson(size_t hits, size_t count, double level) {
  if (count == 0) {
    return (struct lvn_interval){NAN, NAN};
  }
  double tail = 0.5 * (1.0 - level);
  double k = (double)hits;
  double n = (double)count;
  return (struct lvn_interval){hits == 0 ? 0.0 : lvn_stats_beta_quantile(tail, k, n - k + 1.0),
                               hits == count ? 1.0 : lvn_stats_beta_quantile(1.0 - tail, k + 1.0, n - k)};
}

struct lvn_spread lvn_stats_population_spread(const double *value, size_t count) {
  struct lvn_spread spread = {.mean = 0.0, .deviation = 0.0};
  for (size_t i = 0; i < count; i++) {
    if (isfinite(value[i])) {
      spread.count++;
      spread.mean += value[i];
    }
  }
  if (spread.count == 0) {
    return (struct lvn_spread){.mean = NAN, .deviation = NAN};
  }
  spread.mean /= (double)spread.count;
  for (size_t i = 0; i < count; i++) {
    if (isfinite(value[i])) {
      spread.deviation += (value[i] - spread.mean) * (value[i] - spread.mean);
    }
  }
  spread.deviation = sqrt(spread.deviation / (double)spread.count);
  return spread;
}
