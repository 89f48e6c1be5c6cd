#include "model/phantom/phantom_internal.h"

#include <math.h>

/* SplitMix64's finaliser (Steele, Lea, Flood, OOPSLA 2014). */
static uint64_t mix(uint64_t value) {
  value = (value ^ (value >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
  value = (value ^ (value >> 27)) * UINT64_C(0x94D049BB133111EB);
  return value ^ (value >> 31);
}

struct lvn_phantom_random lvn_phantom_random_start(uint64_t seed, uint64_t stream) {
  uint64_t key = mix(seed + UINT64_C(0x9E3779B97F4A7C15));
  return (struct lvn_phantom_random){.key = mix(key ^ (stream * UINT64_C(0xD1342543DE82EF95)))};
}

uint64_t lvn_phantom_random_bits(struct lvn_phantom_random *random) {
  random->counter++;
  return mix(random->key + random->counter * UINT64_C(0x9E3779B97F4A7C15));
}

double lvn_phantom_random_uniform(struct lvn_phantom_random *random, double low, double high) {
  double unit = (double)(lvn_phantom_random_bits(random) >> 11) * 0x1p-53;
  return low + (high - low) * unit;
}

double lvn_phantom_random_normal(struct lvn_phantom_random *random) {
  double radius = lvn_phantom_random_uniform(random, 0.0, 1.0);
  double angle = lvn_phantom_random_uniform(random, 0.0, 2.0 * M_PI);
  return sqrt(-2.0 * log(1.0 - radius)) * cos(angle);
}

bool lvn_phantom_random_chance(struct lvn_phantom_random *random, double probability) {
  return lvn_phantom_random_uniform(random, 0.0, 1.0) < probability;
}

size_t lvn_phantom_random_index(struct lvn_phantom_random *random, size_t count) {
  return (size_t)(lvn_phantom_random_bits(random) % count);
}

void lvn_phantom_random_direction(struct lvn_phantom_random *random, float ret_unit[3]) {
  double z = lvn_phantom_random_uniform(random, -1.0, 1.0);
  double angle = lvn_phantom_random_uniform(random, 0.0, 2.0 * M_PI);
  double planar = sqrt(1.0 - z * z);
  ret_unit[0] = (float)(planar * cos(angle));
  ret_unit[1] = (float)(planar * sin(angle));
  ret_unit[2] = (float)z;
}
