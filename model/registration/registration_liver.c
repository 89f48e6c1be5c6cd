/* What has a vote in the search: the liver about the lesion. It moves with the lesion, while ribs, muscle, spine and
 * the great vessels stay, and they are what the strongest edges of the neighbourhood belong to. The liver is the
 * coherent body of the grey value that is commonest about the lesion, with what it encloses: vessels, lesions. */
#include "base/memory.h"
#include "model/registration/registration_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define BIN_HU 4.0F
#define BINS 60          /* from 0 HU on */
#define AROUND_MM 34.0   /* beyond the lesion's own radius */
#define LEAST_VOXELS 200 /* about the lesion, of the commonest value */
#define LEAST_WIDTH_HU 14.0F
#define MOST_WIDTH_HU 30.0F /* liver and muscle are as far apart in the portal-venous phase */
#define LEAST_SHARE 0.15    /* of the soft tissue about the lesion; less is no liver */

static size_t count_of(const int64_t size[3]) {
  return (size_t)(size[0] * size[1] * size[2]);
}

static double distance2(const struct lvn_reg_box *box, size_t voxel, const double centre_mm[3]) {
  int64_t i = (int64_t)voxel;
  const int64_t at[3] = {i % box->size[0], i / box->size[0] % box->size[1], i / (box->size[0] * box->size[1])};
  double r2 = 0.0;
  for (int a = 0; a < 3; a++) {
    double d = box->origin_mm[a] + (double)at[a] * box->spacing_mm - centre_mm[a];
    r2 += d * d;
  }
  return r2;
}

static int compare_floats(const void *left, const void *right) {
  float a = *(const float *)left;
  float b = *(const float *)right;
  return (a > b) - (a < b);
}

static int commonest_bin(const double histogram[BINS]) {
  double most = 0.0;
  int mode = -1;
  for (int b = 2; b + 2 < BINS; b++) {
    double here =
        histogram[b - 2] + 2.0 * histogram[b - 1] + 3.0 * histogram[b] + 2.0 * histogram[b + 1] + histogram[b + 2];
    if (here > most) {
      most = here;
      mode = b;
    }
  }
  return mode;
}

/* The commonest value within `around_mm` and how far the voxels that have it spread. False when they are too few. */
static bool find_parenchyma(const struct lvn_reg_box *box, const float *smooth, const double centre_mm[3],
                            double around_mm, float *scratch, float *ret_hu, float *ret_width) {
  double histogram[BINS] = {0};
  size_t voxels = count_of(box->size);
  size_t near = 0;
  for (size_t i = 0; i < voxels; i++) {
    float bin = floorf(smooth[i] / BIN_HU);
    if (box->valid[i] > 0.0F && bin >= 0.0F && bin < (float)BINS &&
        distance2(box, i, centre_mm) < around_mm * around_mm) {
      histogram[(int)bin] += 1.0;
    }
  }
  int mode = commonest_bin(histogram);
  float hu = ((float)mode + 0.5F) * BIN_HU;
  for (size_t i = 0; i < voxels && mode >= 0; i++) {
    float off = fabsf(smooth[i] - hu);
    if (box->valid[i] > 0.0F && off < MOST_WIDTH_HU && distance2(box, i, centre_mm) < around_mm * around_mm) {
      scratch[near++] = off;
    }
  }
  if (near < LEAST_VOXELS) {
    return false;
  }
  qsort(scratch, near, sizeof *scratch, compare_floats);
  *ret_width = fminf(MOST_WIDTH_HU, fmaxf(LEAST_WIDTH_HU, 2.5F * 1.4826F * scratch[near / 2]));
  *ret_hu = hu;
  return true;
}

struct flood {
  int32_t *queue;
  int32_t *label;
};

/* Labels what hangs together (six neighbours) with `seed`; returns how much it weighs about the lesion. */
static double label_body(const struct lvn_reg_box *box, const double centre_mm[3], double sigma_mm, const uint8_t *mask,
                         size_t seed, int32_t label, struct flood *flood) {
  const int64_t stride[3] = {1, box->size[0], box->size[0] * box->size[1]};
  size_t tail = 0;
  double weight = 0.0;
  flood->label[seed] = label;
  flood->queue[tail++] = (int32_t)seed;
  for (size_t head = 0; head < tail; head++) {
    int64_t i = flood->queue[head];
    weight += exp(-0.5 * distance2(box, (size_t)i, centre_mm) / (sigma_mm * sigma_mm));
    for (int a = 0; a < 3; a++) {
      int64_t at = i / stride[a] % box->size[a];
      for (int64_t side = -1; side <= 1; side += 2) {
        int64_t next = i + side * stride[a];
        if (at + side >= 0 && at + side < box->size[a] && mask[next] != 0 && flood->label[next] == 0) {
          flood->label[next] = label;
          flood->queue[tail++] = (int32_t)next;
        }
      }
    }
  }
  return weight;
}

static void keep_heaviest(const struct lvn_reg_box *box, const double centre_mm[3], double sigma_mm, uint8_t *mask,
                          struct flood *flood) {
  size_t voxels = count_of(box->size);
  double most = 0.0;
  int32_t heaviest = -1;
  int32_t labels = 0;
  memset(flood->label, 0, voxels * sizeof *flood->label);
  for (size_t i = 0; i < voxels; i++) {
    if (mask[i] != 0 && flood->label[i] == 0) {
      double weight = label_body(box, centre_mm, sigma_mm, mask, i, ++labels, flood);
      if (weight > most) {
        most = weight;
        heaviest = labels;
      }
    }
  }
  for (size_t i = 0; i < voxels; i++) {
    mask[i] = flood->label[i] == heaviest;
  }
}

/* One plane of the box: what cannot be reached from its rim is enclosed. `label` serves as the plane's marks. */
static void fill_plane(const int64_t size[2], const int64_t stride[2], const uint8_t *mask, uint8_t *filled,
                       struct flood *flood) {
  size_t tail = 0;
  memset(flood->label, 0, (size_t)(size[0] * size[1]) * sizeof *flood->label);
  for (int64_t at = 0; at < size[0] * size[1]; at++) {
    int64_t i = at % size[0];
    int64_t j = at / size[0];
    bool is_rim = i == 0 || j == 0 || i + 1 == size[0] || j + 1 == size[1];
    if (is_rim && mask[i * stride[0] + j * stride[1]] == 0) {
      flood->label[at] = 1;
      flood->queue[tail++] = (int32_t)at;
    }
  }
  for (size_t head = 0; head < tail; head++) {
    int64_t i = flood->queue[head] % size[0];
    int64_t j = flood->queue[head] / size[0];
    const int64_t next[4][2] = {{i - 1, j}, {i + 1, j}, {i, j - 1}, {i, j + 1}};
    for (int n = 0; n < 4; n++) {
      int64_t x = next[n][0];
      int64_t y = next[n][1];
      if (x >= 0 && y >= 0 && x < size[0] && y < size[1] && flood->label[y * size[0] + x] == 0 &&
          mask[x * stride[0] + y * stride[1]] == 0) {
        flood->label[y * size[0] + x] = 1;
        flood->queue[tail++] = (int32_t)(y * size[0] + x);
      }
    }
  }
  for (int64_t at = 0; at < size[0] * size[1]; at++) {
    if (flood->label[at] == 0) {
      filled[at % size[0] * stride[0] + at / size[0] * stride[1]] = 1;
    }
  }
}

/* Vessels run out of the liver in space, but hardly ever in each of the three planes. */
static void fill(const int64_t size[3], const uint8_t *mask, uint8_t *filled, struct flood *flood) {
  const int64_t stride[3] = {1, size[0], size[0] * size[1]};
  memcpy(filled, mask, count_of(size));
  for (int normal = 0; normal < 3; normal++) {
    int u = normal == 0 ? 1 : 0;
    int v = normal == 2 ? 1 : 2;
    for (int64_t k = 0; k < size[normal]; k++) {
      fill_plane((const int64_t[]){size[u], size[v]}, (const int64_t[]){stride[u], stride[v]},
                 mask + k * stride[normal], filled + k * stride[normal], flood);
    }
  }
}

static void close_gate(const struct lvn_reg_box *box, const double centre_mm[3], double sigma_mm, const uint8_t *liver,
                       struct lvn_reg_features *features) {
  size_t voxels = count_of(box->size);
  double all = 0.0;
  double kept = 0.0;
  for (size_t i = 0; i < voxels; i++) {
    if (features->gate[i] > 0.0F) {
      double weight = exp(-0.5 * distance2(box, i, centre_mm) / (sigma_mm * sigma_mm));
      all += weight;
      kept += liver[i] != 0 ? weight : 0.0;
    }
  }
  for (size_t i = 0; i < voxels && kept >= LEAST_SHARE * all; i++) {
    features->gate[i] = liver[i] != 0 ? features->gate[i] : 0.0F;
  }
}

bool lvn_reg_keep_liver(const struct lvn_reg_box *box, const double centre_mm[3], double radius_mm, double sigma_mm,
                        struct lvn_reg_features *features, struct lvn_error *err) {
  size_t voxels = count_of(box->size);
  LVN_AUTOFREE float *smooth = lvn_alloc(voxels, sizeof *smooth, err);
  LVN_AUTOFREE float *scratch = lvn_alloc(voxels, sizeof *scratch, err);
  LVN_AUTOFREE uint8_t *mask = lvn_alloc(voxels, sizeof *mask, err);
  LVN_AUTOFREE uint8_t *liver = lvn_alloc(voxels, sizeof *liver, err);
  LVN_AUTOFREE int32_t *queue = lvn_alloc(voxels, sizeof *queue, err);
  LVN_AUTOFREE int32_t *label = lvn_alloc(voxels, sizeof *label, err);
  struct flood flood = {queue, label};
  float hu = 0.0F;
  float width = 0.0F;
  if (smooth == NULL || scratch == NULL || mask == NULL || liver == NULL || queue == NULL || label == NULL) {
    return false;
  }
  memcpy(smooth, box->value, voxels * sizeof *smooth);
  lvn_reg_blur(smooth, box->size, false, scratch);
  if (!find_parenchyma(box, smooth, centre_mm, AROUND_MM + radius_mm, scratch, &hu, &width)) {
    return true;
  }
  for (size_t i = 0; i < voxels; i++) {
    mask[i] = box->valid[i] > 0.0F && fabsf(smooth[i] - hu) < width;
  }
  keep_heaviest(box, centre_mm, sigma_mm, mask, &flood);
  fill(box->size, mask, liver, &flood);
  close_gate(box, centre_mm, sigma_mm, liver, features);
  return true;
}
