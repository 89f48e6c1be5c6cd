#include "model/image/vocabulary.h"

#include <string.h>
#include <strings.h>

const enum lvn_phase lvn_permutation[LVN_PERMUTATION_COUNT][LVN_PHASE_NETWORK_COUNT] = {
    {LVN_PHASE_NC, LVN_PHASE_ART, LVN_PHASE_PV}, {LVN_PHASE_NC, LVN_PHASE_PV, LVN_PHASE_ART},
    {LVN_PHASE_ART, LVN_PHASE_NC, LVN_PHASE_PV}, {LVN_PHASE_ART, LVN_PHASE_PV, LVN_PHASE_NC},
    {LVN_PHASE_PV, LVN_PHASE_NC, LVN_PHASE_ART}, {LVN_PHASE_PV, LVN_PHASE_ART, LVN_PHASE_NC},
};

static const char *const phase_names[] = {"NC", "ART", "PV", "DL", "none"};
static const char *const phase_long_names[] = {"non-contrast", "arterial", "portal-venous", "delayed", "none"};
static const char *const class_names[] = {"CYST", "FNH", "HCC", "HEM", "outlier"};
static const char *const class_long_names[] = {"Cyst", "Focal Nodular Hyperplasia", "Hepatocellular Carcinoma",
                                               "Hemangioma", "Outlier"};

const char *lvn_phase_name(enum lvn_phase phase) {
  return phase_names[phase];
}

const char *lvn_phase_long_name(enum lvn_phase phase) {
  return phase_long_names[phase];
}

enum lvn_phase lvn_phase_from_name(const char *name) {
  for (int i = 0; i < LVN_PHASE_COUNT; i++) {
    if (strcasecmp(name, phase_names[i]) == 0) {
      return (enum lvn_phase)i;
    }
  }
  return LVN_PHASE_NONE;
}

const char *lvn_class_name(enum lvn_class lesion_class) {
  return class_names[lesion_class];
}

const char *lvn_class_long_name(enum lvn_class lesion_class) {
  return class_long_names[lesion_class];
}

static const char *const class_titles[LVN_CLASS_COUNT + 1] = {[LVN_CLASS_CYST] = "Cyst of liver",
                                                              [LVN_CLASS_FNH] = "Focal nodular hyperplasia of liver",
                                                              [LVN_CLASS_HCC] = "Hepatocellular carcinoma",
                                                              [LVN_CLASS_HEM] = "Hemangioma of liver"};

const char *lvn_class_title(enum lvn_class lesion_class) {
  const char *title = class_titles[lesion_class];
  return title != NULL ? title : lvn_class_long_name(lesion_class);
}

bool lvn_class_from_name(const char *name, enum lvn_class *ret_class) {
  for (int i = 0; i < LVN_CLASS_COUNT; i++) {
    if (strcasecmp(name, class_names[i]) == 0 || strcasecmp(name, class_long_names[i]) == 0) {
      *ret_class = (enum lvn_class)i;
      return true;
    }
  }
  if (strcasecmp(name, "haemangioma") == 0) {
    *ret_class = LVN_CLASS_HEM;
    return true;
  }
  return false;
}
