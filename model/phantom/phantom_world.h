/* What phantoms are drawn from: how patients, scanners, readers' outlines and lesions differ. A world is an INI file;
 * two that lie beside this header keep what a model learns from apart from what it is tested on: worlds/training.ini
 * and worlds/test.ini, whose ranges do not meet. Without a file the world is the narrow one, in which the demonstration
 * model 1.x was made. Plain values; any thread. */
#ifndef LVN_MODEL_PHANTOM_WORLD_H
#define LVN_MODEL_PHANTOM_WORLD_H

#include "base/error.h"
#include "model/image/vocabulary.h"

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What a region lies on that is none of the classes. */
enum lvn_phantom_other {
  LVN_OTHER_NONE = 0, /* one of the classes */
  LVN_OTHER_METASTASIS,
  LVN_OTHER_HYPERVASCULAR_METASTASIS,
  LVN_OTHER_CHOLANGIOCARCINOMA,
  LVN_OTHER_ABSCESS,
  LVN_OTHER_ADENOMA,
  LVN_OTHER_FATTY_SPARING,
  LVN_OTHER_FOCAL_FAT,
  LVN_OTHER_PERFUSION,
  LVN_OTHER_CAVITY,
  LVN_OTHER_NORMAL_LIVER, /* from here on nothing is drawn: the region lies on what is there */
  LVN_OTHER_VESSEL,
  LVN_OTHER_EDGE,
  LVN_OTHER_SPLEEN,
  LVN_OTHER_GALLBLADDER,
  LVN_OTHER_KIDNEY,
  LVN_OTHER_STOMACH,
  LVN_OTHER_COUNT
};
const char *lvn_phantom_other_name(enum lvn_phantom_other other);     /* "metastasis", "icc", … */
enum lvn_phantom_other lvn_phantom_other_from_name(const char *name); /* LVN_OTHER_NONE when unknown */
static inline bool lvn_phantom_other_is_drawn(enum lvn_phantom_other other) {
  return other < LVN_OTHER_NORMAL_LIVER;
}

/* Drawn evenly from one interval, or from two ("4 to 6, 24 to 30") in proportion to their lengths. */
struct lvn_phantom_range {
  double low[2];
  double high[2];
};
double lvn_phantom_range_at(const struct lvn_phantom_range *range, double unit); /* unit: 0 to 1 */
bool lvn_phantom_ranges_meet(const struct lvn_phantom_range *a, const struct lvn_phantom_range *b);

struct lvn_phantom_world {
  bool is_wide; /* false: the narrow world, and nothing below counts */
  char name[32];
  /* [patient] */
  struct lvn_phantom_range size;        /* of the organs; 1: average */
  struct lvn_phantom_range fat_mm;      /* under the skin */
  struct lvn_phantom_range liver_hu;    /* without contrast */
  struct lvn_phantom_range nodularity;  /* SD of a cirrhotic liver's nodules in HU */
  struct lvn_phantom_range enhancement; /* iodine effect: dose, weight and tube voltage; 1: 120 kV, average */
  struct lvn_phantom_range lateness;    /* arterial phase: 0: 25 s, 1: 38 s */
  struct lvn_phantom_range portal;      /* share of the liver's portal rise that is reached */
  /* [scanner] */
  struct lvn_phantom_range slice_thickness_mm;
  struct lvn_phantom_range noise_hu;
  struct lvn_phantom_range noise_grain; /* of the noise: 1: soft kernel, less: sharper */
  struct lvn_phantom_range field;       /* of view over the patient's width */
  struct lvn_phantom_range offset_hu;   /* of a badly calibrated scanner */
  struct lvn_phantom_range motion;      /* factor on the breathing between phases */
  /* [region] */
  struct lvn_phantom_range outline;   /* radius drawn over the true one */
  struct lvn_phantom_range corners;   /* of the outline */
  struct lvn_phantom_range off_mm;    /* how far its middle is off */
  struct lvn_phantom_range one_slice; /* share of regions on the largest slice alone */
  /* [lesion] */
  struct lvn_phantom_range diameter_mm;
  struct lvn_phantom_range contrast; /* factor on the difference to the liver */
  struct lvn_phantom_range texture;  /* factor on grain and mosaic */
  /* [share]: how often a region lies on each; nothing said: 1 of each class, 0 of all else */
  double class_share[LVN_CLASS_PAPER_COUNT];
  double other_share[LVN_OTHER_COUNT];
};

void lvn_phantom_world_wide(struct lvn_phantom_world *ret_world); /* what an empty file means */
/* LVN_ERROR_USAGE with "FILE:LINE: what is wrong". */
LVN_MUST_CHECK bool lvn_phantom_world_read(const char *path, struct lvn_phantom_world *ret_world,
                                           struct lvn_error *err);
/* Names the first range of settings ([patient], [scanner], [lesion] contrast and texture) in which both worlds could
 * draw the same; NULL when there is none, or for a range that one of them leaves as it is. */
const char *lvn_phantom_worlds_meet(const struct lvn_phantom_world *a, const struct lvn_phantom_world *b);
/* A class, or something else, by its share. `unit`: 0 to 1. */
void lvn_phantom_world_choose(const struct lvn_phantom_world *world, double unit, enum lvn_class *ret_class,
                              enum lvn_phantom_other *ret_other);

#ifdef __cplusplus
}
#endif
#endif
