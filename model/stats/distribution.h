/* Distribution functions for intervals and tests, by the GNU Scientific Library, and intervals of a proportion. */
#ifndef LVN_MODEL_STATS_DISTRIBUTION_H
#define LVN_MODEL_STATS_DISTRIBUTION_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LVN_STATS_LEVEL 0.95 /* of every interval, unless a parameter says otherwise */

struct lvn_interval {
  double low;
  double high;
};

double lvn_stats_normal_quantile(double probability);
double lvn_stats_normal_two_sided(double z);            /* P(|Z| >= |z|) */
double lvn_stats_t_two_sided(double t, double degrees); /* P(|T| >= |t|) */
double lvn_stats_t_quantile(double probability, double degrees);
double lvn_stats_beta_quantile(double probability, double a, double b);

/* Wilson's interval of `hits` in `count`: good near 0 and 1 and for few cases. {NAN, NAN} when count is 0. */
struct lvn_interval lvn_stats_wilson(size_t hits, size_t count, double level);
/* Clopper and Pearson's, which covers at least `level`. {NAN, NAN} when count is 0. */
struct lvn_interval lvn_stats_clopper_pearson(size_t hits, size_t count, double level);

/* Mean and standard deviation of the finite values; NAN without any. The paper's "+-" is the population deviation
 * (divisor n): its "always HEM" row is reproduced by no other. */
struct lvn_spread {
  double mean;
  double deviation;
  size_t count; /* of finite values */
};
struct lvn_spread lvn_stats_population_spread(const double *value, size_t count);

#ifdef __cplusplus
}
#endif
#endif
