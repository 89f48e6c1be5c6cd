/* Every limit leaves room for real scans: fatty and iron-laden livers, cirrhosis, thick slices and noise, lesions after
 * embolisation (lipiodol), calcified ones, outlines drawn wide or tight, lesions that hang on the edge of the liver.
 * docs/model.md says what each gate does to lesions of the classes and to what it is meant for. */
#include "analysis/gates.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* Lipiodol and calcium reach several hundred HU; metal and mistaken numbers more. Gas in one phase alone is lung. */
#define LOWEST_HU (-100.0)
#define HIGHEST_HU 1500.0
/* Two acquisitions of the same tissue share few values: noise of 5 HU leaves one in six within 1 HU. */
#define SAME_SHARE_MAX 0.9
#define SAME_SAMPLES_MIN 100
#define PADDING_HU (-900) /* air, and samples without a measurement, are the same everywhere */
/* The aorta enhances by 100 HU and more in both; half of that is asked. */
#define AORTA_RISE_MIN_HU 25.0
/* Liver rises by 30 to 60 HU, and is brighter in the portal-venous phase than in the arterial one. */
#define RING_RISE_MIN_HU 8.0
#define RING_FALL_MAX_HU 8.0
#define FAT_SHARE_MAX 0.25
/* Coarse pixels lengthen a long axis; an outline that is no disc has less area than its long axis would. */
#define BY_AREA_SHARE 0.9
/* Lesions that hang from the liver's edge have some of it on one side. */
#define LIVER_SHARE_MIN 0.05

static const char *const pair_names[LVN_PHASE_NETWORK_COUNT] = {
    "non-contrast and arterial", "non-contrast and portal-venous", "arterial and portal-venous"};

static bool is_out_of_range(const struct lvn_gate_facts *facts, char *sentence, size_t bytes) {
  for (int phase = 0; phase < LVN_PHASE_NETWORK_COUNT; phase++) {
    const char *name = lvn_phase_long_name((enum lvn_phase)phase);
    const double hu = facts->mean_hu[phase];
    if (isnan(hu)) {
      (void)snprintf(sentence, bytes, "The outlined region lies off the images of the %s phase.", name);
      return true;
    }
    if (!(hu >= LOWEST_HU && hu <= HIGHEST_HU)) {
      (void)snprintf(sentence, bytes, "The outlined region has %.0f HU in the %s phase: no tissue of the liver.", hu,
                     name);
      return true;
    }
  }
  return false;
}

static bool is_same(const struct lvn_gate_facts *facts, char *sentence, size_t bytes) {
  for (int pair = 0; pair < LVN_PHASE_NETWORK_COUNT; pair++) {
    if (facts->same_share[pair] > SAME_SHARE_MAX) {
      (void)snprintf(sentence, bytes, "The %s phases are the same images: one of the two is not that phase.",
                     pair_names[pair]);
      return true;
    }
  }
  return false;
}

static bool is_not_enhanced(const struct lvn_gate_facts *facts, char *sentence, size_t bytes) {
  const struct lvn_roi_gate *around = &facts->surroundings;
  const double nc = facts->aorta_hu[LVN_PHASE_NC];
  const double art = facts->aorta_hu[LVN_PHASE_ART];
  const double pv = facts->aorta_hu[LVN_PHASE_PV];
  if ((art - nc < AORTA_RISE_MIN_HU && pv - nc < AORTA_RISE_MIN_HU) || fmin(art, pv) - nc < -AORTA_RISE_MIN_HU) {
    (void)snprintf(sentence, bytes, "The aorta does not enhance as the phases say: %.0f, %.0f and %.0f HU.", nc, art,
                   pv);
    return true;
  }
  if (around->rise_hu < RING_RISE_MIN_HU) {
    (void)snprintf(sentence, bytes,
                   "Nothing about the outlined region enhances in the portal-venous phase: no liver, or "
                   "no such phase.");
    return true;
  }
  if (around->fall_hu > RING_FALL_MAX_HU) {
    (void)snprintf(sentence, bytes,
                   "All tissue about the outlined region is brighter in the arterial phase than in the "
                   "portal-venous one, as liver is not.");
    return true;
  }
  return false;
}

static bool is_fat(const struct lvn_gate_facts *facts, char *sentence, size_t bytes) {
  (void)snprintf(sentence, bytes,
                 "More than a quarter of the outlined region is fat or air: the outline does not lie on "
                 "a lesion of the liver.");
  return facts->surroundings.is_judged && facts->surroundings.fat_share > FAT_SHARE_MAX;
}

static bool has_no_liver(const struct lvn_gate_facts *facts, char *sentence, size_t bytes) {
  (void)snprintf(sentence, bytes,
                 "There is no liver tissue about the outlined region: the outline does not lie on a "
                 "lesion of the liver.");
  return facts->surroundings.is_judged && facts->surroundings.liver_share < LIVER_SHARE_MIN;
}

static bool has_no_lesion(const struct lvn_gate_facts *facts, char *sentence, size_t bytes) {
  (void)snprintf(sentence, bytes,
                 "The outlined region does not differ from the tissue around it in any phase: no lesion "
                 "is seen in the outline.");
  return facts->surroundings.is_judged && !facts->surroundings.is_lesion;
}

static bool is_small(const struct lvn_gate_facts *facts, char *sentence, size_t bytes) {
  const double shown_mm = fmin(facts->long_axis_mm, facts->by_area_mm);
  if (facts->long_axis_mm < facts->least_diameter_mm || facts->by_area_mm < BY_AREA_SHARE * facts->least_diameter_mm) {
    (void)snprintf(sentence, bytes,
                   "The outlined region is %.1f mm across, too small to be told: the model answers from "
                   "%.0f mm on.",
                   shown_mm, facts->least_diameter_mm);
    return true;
  }
  (void)snprintf(sentence, bytes,
                 "The outlined region is %.0f pixels across, too few to be told: the model answers from "
                 "%.0f on.",
                 facts->pixels_across, facts->least_pixels_across);
  return facts->pixels_across < facts->least_pixels_across;
}

static const struct gate {
  const char *code;
  bool (*closes)(const struct lvn_gate_facts *facts, char *sentence, size_t bytes);
} gates[LVN_GATE_COUNT] = {
    [LVN_GATE_RANGE] = {"range", is_out_of_range},
    [LVN_GATE_SAME_IMAGES] = {"same_images", is_same},
    [LVN_GATE_ENHANCEMENT] = {"enhancement", is_not_enhanced},
    [LVN_GATE_FAT] = {"fat", is_fat},
    [LVN_GATE_NO_LIVER] = {"no_liver", has_no_liver},
    [LVN_GATE_NO_LESION] = {"no_lesion", has_no_lesion},
    [LVN_GATE_SMALL] = {"small", is_small},
};

const char *lvn_gate_code(enum lvn_gate gate) {
  return gates[gate].code;
}

bool lvn_gate_closes(enum lvn_gate gate, const struct lvn_gate_facts *facts,
                     char ret_sentence[LVN_GATE_SENTENCE_BYTES]) {
  bool closes = gates[gate].closes(facts, ret_sentence, LVN_GATE_SENTENCE_BYTES);
  if (!closes) {
    ret_sentence[0] = '\0';
  }
  return closes;
}

void lvn_gates_same_share(const struct lvn_crop *crop, double ret_share[LVN_PHASE_NETWORK_COUNT]) {
  static const int pairs[LVN_PHASE_NETWORK_COUNT][2] = {
      {LVN_PHASE_NC, LVN_PHASE_ART}, {LVN_PHASE_NC, LVN_PHASE_PV}, {LVN_PHASE_ART, LVN_PHASE_PV}};
  const size_t plane = (size_t)LVN_CROP_SIDE * LVN_CROP_SIDE;
  for (int pair = 0; pair < LVN_PHASE_NETWORK_COUNT; pair++) {
    size_t same = 0;
    size_t count = 0;
    for (size_t s = 0; s < crop->slice_count; s++) {
      const int16_t *left = crop->slices[s].hounsfield + (size_t)pairs[pair][0] * plane;
      const int16_t *right = crop->slices[s].hounsfield + (size_t)pairs[pair][1] * plane;
      for (size_t i = 0; i < plane; i++) {
        bool both = left[i] > PADDING_HU && right[i] > PADDING_HU;
        count += both;
        same += both && abs(left[i] - right[i]) <= 1;
      }
    }
    ret_share[pair] = count < SAME_SAMPLES_MIN ? (double)NAN : (double)same / (double)count;
  }
}
