#include "dicom/write/codes.h"

#define LVN_CODE_ROW(id, value, scheme, meaning) {value, scheme, meaning},
static const struct lvn_code codes[LVN_CODE_COUNT] = {LVN_CODES(LVN_CODE_ROW)};
#undef LVN_CODE_ROW

const struct lvn_code *lvn_code_get(enum lvn_code_id id) {
  return &codes[id];
}

/* One row for each class: what it is called as a finding, and as a probability. */
static const struct class_codes {
  enum lvn_code_id finding;
  enum lvn_code_id probability;
} class_codes[LVN_CLASS_COUNT] = {
    [LVN_CLASS_CYST] = {LVN_CODE_CYST_OF_LIVER, LVN_CODE_PROBABILITY_CYST},
    [LVN_CLASS_FNH] = {LVN_CODE_FNH_OF_LIVER, LVN_CODE_PROBABILITY_FNH},
    [LVN_CLASS_HCC] = {LVN_CODE_LIVER_CELL_CARCINOMA, LVN_CODE_PROBABILITY_HCC},
    [LVN_CLASS_HEM] = {LVN_CODE_HEMANGIOMA_OF_LIVER, LVN_CODE_PROBABILITY_HEM},
    [LVN_CLASS_METASTASIS] = {LVN_CODE_METASTASIS_OF_LIVER, LVN_CODE_PROBABILITY_METASTASIS},
    [LVN_CLASS_ICC] = {LVN_CODE_CHOLANGIOCARCINOMA, LVN_CODE_PROBABILITY_ICC},
    [LVN_CLASS_ABSCESS] = {LVN_CODE_ABSCESS_OF_LIVER, LVN_CODE_PROBABILITY_ABSCESS},
};

enum lvn_code_id lvn_code_of_class(enum lvn_class lesion_class) {
  return lesion_class < LVN_CLASS_COUNT ? class_codes[lesion_class].finding : LVN_CODE_LESION;
}

enum lvn_code_id lvn_code_probability(enum lvn_class lesion_class) {
  return class_codes[lesion_class].probability;
}

/* The per-phase rows of the table stand in the vocabulary's order. */
enum lvn_code_id lvn_code_of_phase(enum lvn_phase phase) {
  return (enum lvn_code_id)((unsigned)LVN_CODE_PHASE_NC + (unsigned)phase);
}

enum lvn_code_id lvn_code_mean_hu(enum lvn_phase phase) {
  return (enum lvn_code_id)((unsigned)LVN_CODE_MEAN_HU_NC + (unsigned)phase);
}

enum lvn_code_id lvn_code_alignment_error(enum lvn_phase phase) {
  return (enum lvn_code_id)((unsigned)LVN_CODE_ALIGNMENT_ERROR_NC + (unsigned)phase);
}

enum lvn_code_id lvn_code_alignment_shift(enum lvn_phase phase) {
  return (enum lvn_code_id)((unsigned)LVN_CODE_ALIGNMENT_SHIFT_NC + (unsigned)phase);
}

enum lvn_code_id lvn_code_alignment_similarity(enum lvn_phase phase) {
  return (enum lvn_code_id)((unsigned)LVN_CODE_ALIGNMENT_SIMILARITY_NC + (unsigned)phase);
}
