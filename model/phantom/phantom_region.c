/* Readers' outlines: a polygon of drawn corners about each slice of the truth. */
#include "base/memory.h"
#include "model/phantom/phantom_internal.h"

#include <math.h>
#include <string.h>

#define CORNERS_MAX 128
#define STEP_MM 0.25

struct outline {
  double middle[2]; /* pixels */
  size_t corners;
  double turn;
  double reach[CORNERS_MAX]; /* mm from the middle */
};

/* How far the truth reaches from the middle into a direction, along which it may leave and come back. */
static double reach_of(const struct lvn_mask *mask, uint32_t slice, const double middle[2], double angle) {
  const struct lvn_grid *grid = &mask->grid;
  double last = 0.0;
  for (double mm = 0.0; mm < 150.0; mm += STEP_MM) {
    int64_t x = llround(middle[0] + mm * cos(angle) / grid->spacing_mm[0]);
    int64_t y = llround(middle[1] + mm * sin(angle) / grid->spacing_mm[1]);
    if (lvn_mask_contains(mask, x, y, slice)) {
      last = mm;
    } else if (mm > last + 20.0) {
      break;
    }
  }
  return last;
}

static bool is_inside(const struct outline *outline, const struct lvn_grid *grid, uint32_t x, uint32_t y) {
  double dx = ((double)x - outline->middle[0]) * grid->spacing_mm[0];
  double dy = ((double)y - outline->middle[1]) * grid->spacing_mm[1];
  double step = 2.0 * M_PI / (double)outline->corners;
  double along = fmod(atan2(dy, dx) - outline->turn + 4.0 * M_PI, 2.0 * M_PI) / step;
  size_t corner = (size_t)along % outline->corners;
  double angle = (along - floor(along)) * step;
  double a = outline->reach[corner];
  double b = outline->reach[(corner + 1) % outline->corners];
  /* The chord between two corners, in polar coordinates. */
  double limit = a * b * sin(step) / fmax(a * sin(angle) + b * sin(step - angle), 1e-9);
  return hypot(dx, dy) <= limit;
}

static void outline_slice(const struct lvn_mask *truth, uint32_t slice, double factor, const double off_mm[2],
                          struct lvn_phantom_random *random, struct outline *outline, struct lvn_mask *mask) {
  const struct lvn_grid *grid = &truth->grid;
  const size_t plane = (size_t)grid->size[0] * grid->size[1];
  size_t count = 0;
  outline->middle[0] = 0.0;
  outline->middle[1] = 0.0;
  for (size_t i = 0; i < plane; i++) {
    if (truth->inside[slice * plane + i] != 0) {
      const size_t row = i / grid->size[0];
      outline->middle[0] += (double)(i % grid->size[0]);
      outline->middle[1] += (double)row;
      count++;
    }
  }
  if (count == 0) {
    return;
  }
  outline->middle[0] /= (double)count;
  outline->middle[1] /= (double)count;
  outline->turn = lvn_phantom_random_uniform(random, 0.0, 2.0 * M_PI);
  for (size_t i = 0; i < outline->corners; i++) {
    double angle = outline->turn + 2.0 * M_PI * (double)i / (double)outline->corners;
    double shake = 1.0 + 0.05 * lvn_phantom_random_normal(random);
    outline->reach[i] = fmax(factor * shake * reach_of(truth, slice, outline->middle, angle), 0.8);
  }
  outline->middle[0] += off_mm[0] / grid->spacing_mm[0];
  outline->middle[1] += off_mm[1] / grid->spacing_mm[1];
  for (uint32_t y = 0; y < grid->size[1]; y++) {
    for (uint32_t x = 0; x < grid->size[0]; x++) {
      mask->inside[slice * plane + (size_t)y * grid->size[0] + x] = is_inside(outline, grid, x, y);
    }
  }
}

static uint32_t largest_slice(const struct lvn_mask *truth) {
  uint32_t best = 0;
  size_t most = 0;
  for (uint32_t slice = 0; slice < truth->grid.size[2]; slice++) {
    size_t count = lvn_mask_count_slice(truth, slice);
    best = count > most ? slice : best;
    most = count > most ? count : most;
  }
  return best;
}

bool lvn_phantom_region(const struct lvn_phantom *phantom, size_t lesion, enum lvn_phase phase,
                        struct lvn_mask *ret_mask, struct lvn_error *err) {
  enum { OUTLINE, CORNERS, OFF, ONE, KINDS };
  const struct lvn_phantom_world *world = &phantom->options.world;
  const struct lvn_mask *truth = &phantom->lesions[lesion].mask[phase];
  const struct lvn_grid *grid = &truth->grid;
  struct lvn_mask mask;
  if (!lvn_mask_create(grid, &mask, err)) {
    return false;
  }
  size_t voxels = (size_t)grid->size[0] * grid->size[1] * grid->size[2];
  if (!world->is_wide) {
    memcpy(mask.inside, truth->inside, voxels);
    *ret_mask = mask;
    return true;
  }
  uint64_t seed = phantom->options.seed;
  uint64_t which = 128 + KINDS * (uint64_t)lesion;
  struct lvn_phantom_random random =
      lvn_phantom_random_start(seed, LVN_PHANTOM_STREAM_REGION + ((uint64_t)lesion << 32));
  const struct lvn_phantom_range even = {{0, 0}, {1, 0}};
  double factor = lvn_phantom_world_draw(seed, &world->outline, which + OUTLINE);
  double off = lvn_phantom_world_draw(seed, &world->off_mm, which + OFF);
  double direction = lvn_phantom_random_uniform(&random, 0.0, 2.0 * M_PI);
  const double off_mm[2] = {off * cos(direction), off * sin(direction)};
  bool one = lvn_phantom_world_draw(seed, &even, which + ONE) < world->one_slice.low[0];
  uint32_t largest = largest_slice(truth);
  struct outline outline = {.corners = (size_t)rint(lvn_phantom_world_draw(seed, &world->corners, which + CORNERS))};
  for (uint32_t slice = 0; slice < grid->size[2]; slice++) {
    if (!one || slice == largest) {
      outline_slice(truth, slice, factor, off_mm, &random, &outline, &mask);
    }
  }
  *ret_mask = mask;
  return true;
}
