/* What must hold before a model's class is believed of a region, in one table: size, numbers that are tissue, phases
 * that are different images in their order, something in the outline, and liver about it. The network knows lesions of
 * its classes only and would give anything else one of their names. Plain arithmetic; any thread. */
#ifndef LVN_ANALYSIS_GATES_H
#define LVN_ANALYSIS_GATES_H

#include "analysis/roi_gate.h"
#include "model/image/vocabulary.h"

#ifdef __cplusplus
extern "C" {
#endif

/* All that the gates look at. NAN: not known, and no gate closes for it but where it says so. */
struct lvn_gate_facts {
  double long_axis_mm; /* of the outline, on its largest slice */
  double by_area_mm;   /* diameter of a disc of that slice's area: pixels do not make it longer */
  double pixels_across;
  double least_diameter_mm; /* the package's */
  double least_pixels_across;
  double mean_hu[LVN_PHASE_NETWORK_COUNT]; /* inside the region; NAN: it lies off this phase's images */
  double aorta_hu[LVN_PHASE_NETWORK_COUNT];
  double same_share[LVN_PHASE_NETWORK_COUNT]; /* of the samples: equal in NC and ART, NC and PV, ART and PV */
  struct lvn_roi_gate surroundings;
};

/* In the order in which they are told: the first that closes is the reason. */
enum lvn_gate {
  LVN_GATE_RANGE,
  LVN_GATE_SAME_IMAGES,
  LVN_GATE_ENHANCEMENT,
  LVN_GATE_FAT,
  LVN_GATE_NO_LIVER,
  LVN_GATE_NO_LESION,
  LVN_GATE_SMALL,
  LVN_GATE_COUNT
};
const char *lvn_gate_code(enum lvn_gate gate); /* "range", "same_images", … */

#define LVN_GATE_SENTENCE_BYTES 160
/* Does it close? Then `ret_sentence` says why, for a radiologist; else it is empty. */
bool lvn_gate_closes(enum lvn_gate gate, const struct lvn_gate_facts *facts,
                     char ret_sentence[LVN_GATE_SENTENCE_BYTES]);

/* same_share of a crop: samples that are measurements in both phases and differ by at most 1 HU; NAN with too few. */
void lvn_gates_same_share(const struct lvn_crop *crop, double ret_share[LVN_PHASE_NETWORK_COUNT]);

#ifdef __cplusplus
}
#endif
#endif
