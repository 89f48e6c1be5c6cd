#include "dicom/read/same_images.h"

#include "base/memory.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define ROW_STEP 8      /* rows that are looked at: two acquisitions differ in every one, by their noise */
#define BODY_SHARE 0.03 /* of a slice's pixels: one of air alone is like any other */
#define SAME_SLICES 0.9 /* of the shorter one */
#define ALIKE_HU 6      /* what lossy compression changes; two scans differ more by their noise alone */
#define ALIKE_SHARE 0.995
#define SAMPLES_MAX 20000
#define SAMPLES_MIN 200

struct sketch {
  uint64_t *slices; /* of those with a body in them, sorted */
  size_t count;
};

static int compare(const void *a, const void *b) {
  uint64_t left = *(const uint64_t *)a;
  uint64_t right = *(const uint64_t *)b;
  return left < right ? -1 : (left > right ? 1 : 0);
}

static bool sketch_make(const struct lvn_volume *volume, struct sketch *ret_sketch, struct lvn_error *err) {
  const uint32_t *size = volume->grid.size;
  struct sketch sketch = {.slices = lvn_alloc(size[2], sizeof *sketch.slices, err)};
  if (sketch.slices == NULL) {
    return false;
  }
  for (uint32_t z = 0; z < size[2]; z++) {
    uint64_t hash = UINT64_C(14695981039346656037);
    size_t body = 0;
    size_t looked_at = 0;
    for (uint32_t y = 0; y < size[1]; y += ROW_STEP) {
      const int16_t *row = volume->hounsfield + ((size_t)z * size[1] + y) * size[0];
      for (uint32_t x = 0; x < size[0]; x++) {
        hash = (hash ^ (uint16_t)row[x]) * UINT64_C(1099511628211);
        body += row[x] > -300 && row[x] < 700 ? 1 : 0;
        looked_at++;
      }
    }
    if ((double)body > BODY_SHARE * (double)looked_at) {
      sketch.slices[sketch.count++] = hash;
    }
  }
  qsort(sketch.slices, sketch.count, sizeof *sketch.slices, compare);
  *ret_sketch = sketch;
  return true;
}

static bool share_slices(const struct sketch *a, const struct sketch *b) {
  size_t common = 0;
  size_t fewer = a->count < b->count ? a->count : b->count;
  for (size_t i = 0, j = 0; i < a->count && j < b->count;) {
    int order = compare(&a->slices[i], &b->slices[j]);
    common += order == 0 ? 1 : 0;
    i += order <= 0 ? 1 : 0;
    j += order >= 0 ? 1 : 0;
  }
  return fewer > 0 && (double)common >= SAME_SLICES * (double)fewer;
}

/* Voxel by voxel, but for one constant. */
static bool are_alike(const struct lvn_volume *a, const struct lvn_volume *b) {
  size_t count = (size_t)a->grid.size[0] * a->grid.size[1] * a->grid.size[2];
  size_t step = count / SAMPLES_MAX + 1;
  size_t histogram[513] = {0}; /* of differences from -256 to 256 */
  size_t looked_at = 0;
  size_t best = 0;
  if (memcmp(a->grid.size, b->grid.size, sizeof a->grid.size) != 0) {
    return false;
  }
  step += step > 1 && a->grid.size[0] % step == 0 ? 1 : 0;
  for (size_t i = step / 2; i < count; i += step) {
    int hu = a->hounsfield[i];
    int difference = hu - b->hounsfield[i];
    if (hu > -200 && hu < 400) {
      looked_at++;
      histogram[difference < -256 ? 0 : (difference > 256 ? 512 : difference + 256)]++;
    }
  }
  for (int d = ALIKE_HU + 1; d + ALIKE_HU < 512; d++) {
    size_t near = 0;
    for (int k = -ALIKE_HU; k <= ALIKE_HU; k++) {
      near += histogram[d + k];
    }
    best = near > best ? near : best;
  }
  return looked_at >= SAMPLES_MIN && (double)best > ALIKE_SHARE * (double)looked_at;
}

bool lvn_same_images_find(const struct lvn_volume *const *volumes, size_t count, size_t *ret_first,
                          struct lvn_error *err) {
  LVN_AUTOFREE struct sketch *sketches = lvn_alloc(count, sizeof *sketches, err);
  bool done = sketches != NULL;
  for (size_t i = 0; i < count && done; i++) {
    ret_first[i] = i;
    done = sketch_make(volumes[i], &sketches[i], err);
    for (size_t j = 0; j < i && done && ret_first[i] == i; j++) {
      if (share_slices(&sketches[j], &sketches[i]) || are_alike(volumes[j], volumes[i])) {
        ret_first[i] = ret_first[j];
      }
    }
  }
  for (size_t i = 0; sketches != NULL && i < count; i++) {
    lvn_free(sketches[i].slices);
  }
  return done;
}
