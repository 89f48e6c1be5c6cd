/* Is it the same body? Skin, fat and skeleton do not breathe with the liver and take up no contrast agent, but differ
 * from one person to the next far more than livers do. Both volumes are read coarsely as air, fat or soft tissue and
 * laid on one another; a few centimetres of play allow for a patient who moved on the table. */
#include "base/memory.h"
#include "model/registration/registration_internal.h"

#include <math.h>

#define CELL_MM 8.0
#define SIDE 61        /* cells in the slice: 480 mm */
#define LAYERS 17      /* 128 mm from head to foot about the lesion */
#define MIDDLE 30      /* of SIDE */
#define MIDDLE_LAYER 8 /* of LAYERS */
#define PLAY 2         /* cells in the slice, half of it along the body */
#define AIR_HU (-200)
#define SOFT_HU 20 /* everything from soft tissue to bone is one: contrast agent must not matter */
#define UNSEEN (-32768)
#define LEAST_CELLS 500

static int16_t look(const struct lvn_volume *volume, const double place_mm[3]) {
  const struct lvn_grid *grid = &volume->grid;
  double index[3];
  size_t offset = 0;
  lvn_grid_to_index(grid, place_mm, index);
  for (int a = 2; a >= 0; a--) {
    double nearest = floor(index[a] + 0.5);
    if (!(nearest >= 0.0 && nearest < (double)grid->size[a])) {
      return UNSEEN;
    }
    offset = offset * grid->size[a] + (size_t)nearest;
  }
  int16_t hu = volume->hounsfield[offset];
  if (hu == LVN_HU_PADDING) {
    return UNSEEN;
  }
  return hu < AIR_HU ? AIR_HU : (hu > SOFT_HU ? SOFT_HU : hu);
}

static void look_around(const struct lvn_volume *volume, const double centre_mm[3], int16_t *cells) {
  for (int z = 0; z < LAYERS; z++) {
    for (int y = 0; y < SIDE; y++) {
      for (int x = 0; x < SIDE; x++) {
        const double place_mm[3] = {centre_mm[0] + CELL_MM * (x - MIDDLE), centre_mm[1] + CELL_MM * (y - MIDDLE),
                                    centre_mm[2] + CELL_MM * (z - MIDDLE_LAYER)};
        *cells++ = look(volume, place_mm);
      }
    }
  }
}

/* Correlation of the cells that both have seen, the moving ones `shift` cells further; -1 when they are too few. */
static double correlate(const int16_t *fixed, const int16_t *moving, const int shift[3]) {
  int64_t count = 0;
  int64_t f_sum = 0;
  int64_t m_sum = 0;
  int64_t ff = 0;
  int64_t mm = 0;
  int64_t fm = 0;
  for (int z = PLAY; z < LAYERS - PLAY; z++) {
    for (int y = PLAY; y < SIDE - PLAY; y++) {
      const int16_t *f = fixed + (z * SIDE + y) * SIDE;
      const int16_t *m = moving + ((z + shift[2]) * SIDE + y + shift[1]) * SIDE + shift[0];
      for (int x = PLAY; x < SIDE - PLAY; x++) {
        int seen = (f[x] != UNSEEN) & (m[x] != UNSEEN);
        int a = seen * f[x];
        int b = seen * m[x];
        count += seen;
        f_sum += a;
        m_sum += b;
        ff += a * a;
        mm += b * b;
        fm += a * b;
      }
    }
  }
  if (count < LEAST_CELLS) {
    return -1.0;
  }
  double n = (double)count;
  double f_spread = (double)ff - (double)f_sum * (double)f_sum / n;
  double m_spread = (double)mm - (double)m_sum * (double)m_sum / n;
  double both = (double)fm - (double)f_sum * (double)m_sum / n;
  return f_spread <= 0.0 || m_spread <= 0.0 ? -1.0 : both / sqrt(f_spread * m_spread);
}

bool lvn_reg_compare_bodies(const struct lvn_volume *fixed, const struct lvn_volume *moving, const double centre_mm[3],
                            double *ret_similarity, struct lvn_error *err) {
  size_t cells = (size_t)SIDE * SIDE * LAYERS;
  LVN_AUTOFREE int16_t *f = lvn_alloc(cells, sizeof *f, err);
  LVN_AUTOFREE int16_t *m = f == NULL ? NULL : lvn_alloc(cells, sizeof *m, err);
  if (m == NULL) {
    return false;
  }
  look_around(fixed, centre_mm, f);
  look_around(moving, centre_mm, m);
  double best = -1.0;
  for (int z = -PLAY / 2; z <= PLAY / 2; z++) {
    for (int y = -PLAY; y <= PLAY; y++) {
      for (int x = -PLAY; x <= PLAY; x++) {
        const int shift[3] = {x, y, z};
        best = fmax(best, correlate(f, m, shift));
      }
    }
  }
  *ret_similarity = fmax(0.0, best);
  return true;
}
