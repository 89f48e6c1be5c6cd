/* The project's closed lists that several rooms share: contrast phases, lesion classes. Orders are fixed: stored files
 * and tensors depend on them. */
#ifndef LVN_MODEL_IMAGE_VOCABULARY_H
#define LVN_MODEL_IMAGE_VOCABULARY_H

#include "base/error.h"

#include <stddef.h>

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

/* Every disease that a model can be made to tell apart; new ones are added at the end. The first four are the paper's.
 * An array of LVN_CLASS_COUNT holds a value for each, of which those of a model's own classes count: the others have
 * probability 0 and logit or cosine -INFINITY. */
enum lvn_class {
  LVN_CLASS_CYST = 0,
  LVN_CLASS_FNH,
  LVN_CLASS_HCC,
  LVN_CLASS_HEM,
  LVN_CLASS_METASTASIS,
  LVN_CLASS_ICC,
  LVN_CLASS_ABSCESS,
  LVN_CLASS_COUNT,
  LVN_CLASS_OUTLIER = LVN_CLASS_COUNT /* none of them: a label of training sets, never an answer */
};
#define LVN_CLASS_PAPER_COUNT 4

const char *lvn_class_name(enum lvn_class lesion_class);      /* "CYST", "FNH", "HCC", "HEM", …, "outlier" */
const char *lvn_class_long_name(enum lvn_class lesion_class); /* "Cyst", "Focal Nodular Hyperplasia", … as in prompts */
/* As results say it, with the meaning of its SNOMED CT code: "Cyst of liver", "Hepatocellular carcinoma", … */
const char *lvn_class_title(enum lvn_class lesion_class);
LVN_MUST_CHECK bool lvn_class_from_name(const char *name,
                                        enum lvn_class *ret_class); /* either name or "hemangioma"…, any case */

/* The classes of one model, a data set of predictions or an evaluation: bit c for class c. In tensors they lie in the
 * order of their bits, without gaps: that is a class's place. */
#define LVN_CLASSES_PAPER 0xFU
#define LVN_CLASSES_TEXT_BYTES 128
static inline bool lvn_classes_have(unsigned classes, unsigned lesion_class) {
  return lesion_class < LVN_CLASS_COUNT && ((classes >> lesion_class) & 1U) != 0;
}
/* Through all of them: for (unsigned c = lvn_classes_first(s); c < LVN_CLASS_COUNT; c = lvn_classes_next(s, c)) */
static inline unsigned lvn_classes_next(unsigned classes, unsigned lesion_class) {
  unsigned c = lesion_class + 1;
  while (c < LVN_CLASS_COUNT && !lvn_classes_have(classes, c)) {
    c++;
  }
  return c;
}
static inline unsigned lvn_classes_first(unsigned classes) {
  return lvn_classes_have(classes, 0) ? 0 : lvn_classes_next(classes, 0);
}
size_t lvn_classes_count(unsigned classes);
enum lvn_class lvn_classes_at(unsigned classes, size_t place);           /* LVN_CLASS_OUTLIER: there are not so many */
size_t lvn_classes_place(unsigned classes, enum lvn_class lesion_class); /* of one that is in it */
/* What a lesion of this disease is to a model of these classes: itself, or LVN_CLASS_OUTLIER. */
enum lvn_class lvn_classes_label(unsigned classes, enum lvn_class lesion_class);
/* "CYST,FNH,HCC": short names separated by commas, blanks allowed; false for an unknown or repeated one, or under two.
 */
LVN_MUST_CHECK bool lvn_classes_parse(const char *text, unsigned *ret_classes);
void lvn_classes_format(unsigned classes, char ret_text[LVN_CLASSES_TEXT_BYTES]);

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
