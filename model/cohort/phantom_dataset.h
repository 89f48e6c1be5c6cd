/* A data set of phantom lesions: phantom, alignment and crop by the node's own code; only the DICOM coding between
 * them is skipped, which is exact for whole HU. For commissioning and for the demonstration model; its figures are not
 * clinical accuracy. */
#ifndef LVN_MODEL_COHORT_PHANTOM_DATASET_H
#define LVN_MODEL_COHORT_PHANTOM_DATASET_H

#include "base/error.h"
#include "model/phantom/phantom_world.h"

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum lvn_phantom_alignment {
  LVN_ALIGN_ESTIMATED, /* by lvn_registration_run(), as the node does; a lesion that it does not trust is left out */
  LVN_ALIGN_TRUTH,     /* the true displacement of the lesion's centre plus an error drawn with alignment_error_mm */
  LVN_ALIGN_NONE       /* the phases as they lie: the paper's misregistered mode */
};

struct lvn_phantom_dataset_options {
  const char *folder;
  uint64_t first_seed; /* phantom i has seed first_seed + i */
  size_t phantom_count;
  size_t lesions_per_phantom; /* classes in turn */
  unsigned threads;           /* phantoms made at a time */
  unsigned max_slices;        /* per lesion */
  enum lvn_phantom_alignment alignment;
  double alignment_error_mm;      /* standard deviation along each axis */
  unsigned matrix;                /* 256 or 512; 0: drawn, half each */
  bool delayed;                   /* with the delayed phase, too, where it could be aligned */
  struct lvn_phantom_world world; /* narrow, or read from a file: then classes are drawn by its shares */
};
void lvn_phantom_dataset_options_default(struct lvn_phantom_dataset_options *ret_options);

struct lvn_phantom_dataset_summary {
  size_t lesion_count;    /* written */
  size_t unusable_count;  /* left out because a phase could not be aligned, as the node would abstain */
  size_t delayed_count;   /* of those written: with the delayed phase */
  size_t maskless_count;  /* left out because no voxel of the ROI phase is inside */
  double phantom_seconds; /* summed over the threads */
  double registration_seconds;
  double crop_seconds;
};

/* Acquisition (matrix, slice thickness, which phase the ROI is drawn on) varies with the seed. Progress goes to
 * `progress` after each phantom, from any thread but one at a time; NULL for none. */
LVN_MUST_CHECK bool lvn_phantom_dataset_make(const struct lvn_phantom_dataset_options *options,
                                             void (*progress)(size_t done, size_t total),
                                             struct lvn_phantom_dataset_summary *ret_summary, struct lvn_error *err);

#ifdef __cplusplus
}
#endif
#endif
