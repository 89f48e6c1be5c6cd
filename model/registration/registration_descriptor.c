/* MIND-SSC (Heinrich et al., MICCAI 2013): how alike the patches around a voxel are, pair by pair. It does not mind
 * what contrast agent does to the grey values. */
#include "base/memory.h"
#include "model/registration/registration_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define REACH 2 /* voxels to the six neighbours */
#define FILL_ROUNDS 4
#define LOW_GATE_HU (-60.0F) /* soft tissue and vessels; fat, gas and bone move otherwise than the liver */
#define HIGH_GATE_HU 250.0F
#define MEDIAN_STEP 7

typedef float vec4 __attribute__((vector_size(16)));

static vec4 load(const float *from) {
  vec4 value;
  memcpy(&value, from, sizeof value);
  return value;
}

/* [1 2 1]/4 along the middle of [outer][count][inner], ends repeated. `previous` holds `inner` floats. */
static void blur_axis(float *data, int64_t outer, int64_t count, int64_t inner, float *previous) {
  for (int64_t o = 0; o < outer; o++) {
    float *row = data + o * count * inner;
    memcpy(previous, row, (size_t)inner * sizeof *row);
    for (int64_t i = 0; i < count; i++, row += inner) {
      const float *next = i + 1 < count ? row + inner : row;
      int64_t k = 0;
      for (; k + 4 <= inner; k += 4) {
        vec4 here = load(row + k);
        vec4 blurred = 0.5F * here + 0.25F * (load(previous + k) + load(next + k));
        memcpy(previous + k, &here, sizeof here);
        memcpy(row + k, &blurred, sizeof blurred);
      }
      for (; k < inner; k++) {
        float here = row[k];
        row[k] = 0.5F * here + 0.25F * (previous[k] + next[k]);
        previous[k] = here;
      }
    }
  }
}

static void blur(float *data, const int64_t size[3], int64_t channels, bool planar, float *previous) {
  blur_axis(data, size[1] * size[2], size[0], channels, previous);
  blur_axis(data, size[2], size[1], channels * size[0], previous);
  if (!planar) {
    blur_axis(data, 1, size[2], channels * size[0] * size[1], previous);
  }
}

void lvn_reg_blur(float *data, const int64_t size[3], bool planar, float *previous) {
  blur(data, size, 1, planar, previous);
}

/* Give unmeasured voxels the mean of what is around them, so that they add no edge to their neighbours' patches. */
static bool fill_unmeasured(const struct lvn_reg_box *box, size_t voxels, float *image, float *previous,
                            struct lvn_error *err) {
  double sum = 0.0;
  double count = 0.0;
  for (size_t i = 0; i < voxels; i++) {
    image[i] = box->value[i] * box->valid[i];
    sum += (double)image[i];
    count += (double)box->valid[i];
  }
  if (count >= (double)voxels) {
    return true;
  }
  LVN_AUTOFREE float *around = lvn_alloc(voxels, sizeof *around, err);
  LVN_AUTOFREE float *share = lvn_alloc(voxels, sizeof *share, err);
  if (around == NULL || share == NULL) {
    return false;
  }
  memcpy(around, image, voxels * sizeof *around);
  memcpy(share, box->valid, voxels * sizeof *share);
  for (int round = 0; round < FILL_ROUNDS; round++) {
    blur(around, box->size, 1, false, previous);
    blur(share, box->size, 1, false, previous);
  }
  float mean = (float)(sum / fmax(1.0, count));
  for (size_t i = 0; i < voxels; i++) {
    if (box->valid[i] <= 0.0F) {
      image[i] = share[i] > 1e-4F ? around[i] / share[i] : mean;
    }
  }
  return true;
}

/* Offsets of the six neighbours of a voxel, ends repeated: x-, x+, y-, y+, z-, z+. */
static void neighbours(const int64_t size[3], const int64_t at[3], int64_t ret_offset[6]) {
  int64_t stride = 1;
  for (int a = 0; a < 3; a++) {
    int64_t low = at[a] < REACH ? at[a] : REACH;
    int64_t high = size[a] - 1 - at[a] < REACH ? size[a] - 1 - at[a] : REACH;
    ret_offset[2 * a] = -low * stride;
    ret_offset[2 * a + 1] = high * stride;
    stride *= size[a];
  }
}

/* Squared differences of the pairs at a right angle; in a thin slab the four pairs inside the slice, the rest 0. */
static void pair_differences(const float *image, const struct lvn_reg_box *box, bool planar,
                             struct lvn_reg_features *features) {
  int last = planar ? 4 : 6;
  int64_t at[3];
  int64_t i = 0;
  for (at[2] = 0; at[2] < box->size[2]; at[2]++) {
    for (at[1] = 0; at[1] < box->size[1]; at[1]++) {
      for (at[0] = 0; at[0] < box->size[0]; at[0]++, i++) {
        int64_t offset[6];
        float *out = features->data + i * LVN_REG_CHANNELS;
        float whole = box->valid[i];
        neighbours(box->size, at, offset);
        for (int a = 0; a < last; a++) {
          whole *= box->valid[i + offset[a]];
          for (int b = (a | 1) + 1; b < last; b++) {
            float difference = image[i + offset[a]] - image[i + offset[b]];
            *out++ = difference * difference;
          }
        }
        features->valid[i] = whole;
        features->gate[i] = image[i] > LOW_GATE_HU && image[i] < HIGH_GATE_HU ? whole : 0.0F;
      }
    }
  }
}

static int compare_floats(const void *left, const void *right) {
  float a = *(const float *)left;
  float b = *(const float *)right;
  return (a > b) - (a < b);
}

/* Subtract the smallest distance; fill the mean of the rest. Returns its median over soft tissue: what noise makes of
 * flat tissue. */
static float settle_distances(struct lvn_reg_features *features, size_t voxels, int channels, float *variance,
                              float *scratch) {
  size_t count = 0;
  for (size_t i = 0; i < voxels; i++) {
    float *d = features->data + i * LVN_REG_CHANNELS;
    float least = d[0];
    float sum = 0.0F;
    for (int c = 0; c < channels; c++) {
      least = d[c] < least ? d[c] : least;
      sum += d[c];
    }
    for (int c = 0; c < channels; c++) {
      d[c] -= least;
    }
    variance[i] = sum / (float)channels - least;
    if (i % MEDIAN_STEP == 0 && features->gate[i] > 0.0F) {
      scratch[count++] = variance[i];
    }
  }
  if (count == 0) {
    return 0.0F;
  }
  qsort(scratch, count, sizeof *scratch, compare_floats);
  return scratch[count / 2];
}

bool lvn_reg_describe(const struct lvn_reg_box *box, bool planar, struct lvn_reg_features *ret_features,
                      struct lvn_error *err) {
  struct lvn_reg_features out = {.spacing_mm = box->spacing_mm};
  size_t voxels = (size_t)(box->size[0] * box->size[1] * box->size[2]);
  int channels = planar ? 4 : LVN_REG_CHANNELS;
  memcpy(out.size, box->size, sizeof out.size);
  memcpy(out.origin_mm, box->origin_mm, sizeof out.origin_mm);
  LVN_AUTOFREE float *image = lvn_alloc(voxels, sizeof *image, err);
  LVN_AUTOFREE float *variance = lvn_alloc(voxels, sizeof *variance, err);
  LVN_AUTOFREE float *previous =
      lvn_alloc((size_t)(box->size[0] * box->size[1]), LVN_REG_CHANNELS * sizeof *previous, err);
  out.data = lvn_alloc(voxels, LVN_REG_CHANNELS * sizeof *out.data, err);
  out.valid = lvn_alloc(voxels, sizeof *out.valid, err);
  out.gate = lvn_alloc(voxels, sizeof *out.gate, err);
  if (image == NULL || variance == NULL || previous == NULL || out.data == NULL || out.valid == NULL ||
      out.gate == NULL || !fill_unmeasured(box, voxels, image, previous, err)) {
    lvn_reg_features_clear(&out);
    return false;
  }
  blur(image, box->size, 1, planar, previous);
  pair_differences(image, box, planar, &out);
  blur(out.data, box->size, LVN_REG_CHANNELS, planar, previous);
  /* The variance has a floor, or noise alone would draw patterns in flat tissue. */
  float noise = settle_distances(&out, voxels, channels, variance, image);
  float least = fmaxf(0.5F * noise, 1e-3F);
  for (size_t i = 0; i < voxels; i++) {
    float *d = out.data + i * LVN_REG_CHANNELS;
    float scale = -1.0F / fmaxf(variance[i], least);
    for (int c = 0; c < LVN_REG_CHANNELS; c++) {
      d[c] *= scale;
    }
  }
  if (!lvn_reg_exp(out.data, voxels, channels, err)) {
    lvn_reg_features_clear(&out);
    return false;
  }
  *ret_features = out;
  return true;
}

void lvn_reg_features_clear(struct lvn_reg_features *features) {
  lvn_free(features->data);
  lvn_free(features->valid);
  lvn_free(features->gate);
  *features = (struct lvn_reg_features){0};
}
