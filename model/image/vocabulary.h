/* The project's closed lists that several rooms share: contrast phases, lesion classes. Orders are fixed: stored files
 * and tensors depend on them. */
#ifndef LVN_MODEL_IMAGE_VOCABULARY_H
#define LVN_MODEL_IMAGE_VOCABULARY_H

#include "base/error.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Contrast phases of a liver CT. The first three are the network's input channels, in this order. */
enum lvn_phase {
  LVN_PHASE_NC = 0, /* non-contrast */
  LVN_PHASE_ART,    /* arterial */
  LVN_PHASE_PV,     /* portal venous */
  LVN_PHASE_DL,     /* delayed */
  LVN_PHASE_COUNT,
  LVN_PHASE_NONE = LVN_PHASE_COUNT /* undecided, or not a phase */
};
#define LVN_PHASE_NETWORK_COUNT 3

const char *lvn_phase_name(enum lvn_phase phase);      /* "NC", "ART", "PV", "DL", "none" */
const char *lvn_phase_long_name(enum lvn_phase phase); /* "non-contrast", "arterial", "portal-venous", "delayed" */
enum lvn_phase lvn_phase_from_name(const char *name);  /* LVN_PHASE_NONE when unknown */

/* Lesion classes, in tensor order. */
enum lvn_class {
  LVN_CLASS_CYST = 0,
  LVN_CLASS_FNH,
  LVN_CLASS_HCC,
  LVN_CLASS_HEM,
  LVN_CLASS_COUNT,
  LVN_CLASS_OUTLIER = LVN_CLASS_COUNT /* none of them: a label of training sets, never an answer */
};

const char *lvn_class_name(enum lvn_class lesion_class);      /* "CYST", "FNH", "HCC", "HEM", "outlier" */
const char *lvn_class_long_name(enum lvn_class lesion_class); /* "Cyst", "Focal Nodular Hyperplasia", … as in prompts */
/* As results say it, with the meaning of its SNOMED CT code: "Cyst of liver", "Hepatocellular carcinoma", … */
const char *lvn_class_title(enum lvn_class lesion_class);
LVN_MUST_CHECK bool lvn_class_from_name(const char *name,
                                        enum lvn_class *ret_class); /* either name or "hemangioma"…, any case */

/* The six orders of the three network phases, lexicographic with NC < ART < PV; lvn_permutation[id][channel]. Stored by
 * phase names, never by bare number (the paper numbers them in two ways). */
#define LVN_PERMUTATION_COUNT 6
extern const enum lvn_phase lvn_permutation[LVN_PERMUTATION_COUNT][LVN_PHASE_NETWORK_COUNT];

/* Must be on every result. */
#define LVN_RESEARCH_NOTICE "Research use only. Not a medical device. Preliminary, not verified by a physician."

#ifdef __cplusplus
}
#endif
#endif
