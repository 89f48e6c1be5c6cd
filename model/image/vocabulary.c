#include "model/image/vocabulary.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

const enum lvn_phase lvn_permutation[LVN_PERMUTATION_COUNT][LVN_PHASE_NETWORK_COUNT] = {
    {LVN_PHASE_NC, LVN_PHASE_ART, LVN_PHASE_PV}, {LVN_PHASE_NC, LVN_PHASE_PV, LVN_PHASE_ART},
    {LVN_PHASE_ART, LVN_PHASE_NC, LVN_PHASE_PV}, {LVN_PHASE_ART, LVN_PHASE_PV, LVN_PHASE_NC},
    {LVN_PHASE_PV, LVN_PHASE_NC, LVN_PHASE_ART}, {LVN_PHASE_PV, LVN_PHASE_ART, LVN_PHASE_NC},
};

static const char *const phase_names[] = {"NC", "ART", "PV", "DL", "none"};
static const char *const phase_long_names[] = {"non-contrast", "arterial", "portal-venous", "delayed", "none"};
static const struct class_row {
  const char *name;
  const char *long_name;
  const char *also[2]; /* other words of data sets and case lists */
} classes_known[LVN_CLASS_COUNT + 1] = {
    [LVN_CLASS_CYST] = {"CYST", "Cyst", {NULL, NULL}},
    [LVN_CLASS_FNH] = {"FNH", "Focal Nodular Hyperplasia", {NULL, NULL}},
    [LVN_CLASS_HCC] = {"HCC", "Hepatocellular Carcinoma", {NULL, NULL}},
    [LVN_CLASS_HEM] = {"HEM", "Hemangioma", {"haemangioma", NULL}},
    [LVN_CLASS_METASTASIS] = {"METASTASIS", "Metastasis", {"metastases", "hypervascular-metastasis"}},
    [LVN_CLASS_ICC] = {"ICC", "Intrahepatic Cholangiocarcinoma", {"cholangiocarcinoma", "CCA"}},
    [LVN_CLASS_ABSCESS] = {"ABSCESS", "Abscess", {NULL, NULL}},
    [LVN_CLASS_OUTLIER] = {"outlier", "Outlier", {NULL, NULL}},
};

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
  return classes_known[lesion_class].name;
}

const char *lvn_class_long_name(enum lvn_class lesion_class) {
  return classes_known[lesion_class].long_name;
}

static const char *const class_titles[LVN_CLASS_COUNT + 1] = {
    [LVN_CLASS_CYST] = "Cyst of liver",
    [LVN_CLASS_FNH] = "Focal nodular hyperplasia of liver",
    [LVN_CLASS_HCC] = "Hepatocellular carcinoma",
    [LVN_CLASS_HEM] = "Hemangioma of liver",
    [LVN_CLASS_METASTASIS] = "Secondary malignant neoplasm of liver",
    [LVN_CLASS_ICC] = "Intrahepatic bile duct carcinoma",
    [LVN_CLASS_ABSCESS] = "Abscess of liver",
};

const char *lvn_class_title(enum lvn_class lesion_class) {
  const char *title = class_titles[lesion_class];
  return title != NULL ? title : lvn_class_long_name(lesion_class);
}

bool lvn_class_from_name(const char *name, enum lvn_class *ret_class) {
  for (int i = 0; i < LVN_CLASS_COUNT; i++) {
    const struct class_row *row = &classes_known[i];
    if (strcasecmp(name, row->name) == 0 || strcasecmp(name, row->long_name) == 0 ||
        (row->also[0] != NULL && strcasecmp(name, row->also[0]) == 0) ||
        (row->also[1] != NULL && strcasecmp(name, row->also[1]) == 0)) {
      *ret_class = (enum lvn_class)i;
      return true;
    }
  }
  return false;
}

size_t lvn_classes_count(unsigned classes) {
  size_t count = 0;
  for (unsigned c = 0; c < LVN_CLASS_COUNT; c++) {
    count += lvn_classes_have(classes, c);
  }
  return count;
}

enum lvn_class lvn_classes_at(unsigned classes, size_t place) {
  unsigned c = lvn_classes_first(classes);
  for (size_t i = 0; i < place && c < LVN_CLASS_COUNT; i++) {
    c = lvn_classes_next(classes, c);
  }
  return (enum lvn_class)c;
}

size_t lvn_classes_place(unsigned classes, enum lvn_class lesion_class) {
  return lvn_classes_count(classes & ((1U << (unsigned)lesion_class) - 1U));
}

enum lvn_class lvn_classes_label(unsigned classes, enum lvn_class lesion_class) {
  return lvn_classes_have(classes, lesion_class) ? lesion_class : LVN_CLASS_OUTLIER;
}

bool lvn_classes_parse(const char *text, unsigned *ret_classes) {
  unsigned classes = 0;
  for (const char *at = text;; at++) {
    char name[32] = "";
    enum lvn_class found = LVN_CLASS_OUTLIER;
    at += strspn(at, " ");
    size_t length = strcspn(at, ",");
    size_t word = length;
    while (word > 0 && at[word - 1] == ' ') {
      word--;
    }
    if (word >= sizeof name) {
      return false;
    }
    memcpy(name, at, word);
    if (!lvn_class_from_name(name, &found) || lvn_classes_have(classes, found)) {
      return false;
    }
    classes |= 1U << (unsigned)found;
    at += length;
    if (*at == '\0') {
      break;
    }
  }
  *ret_classes = classes;
  return lvn_classes_count(classes) >= 2;
}

void lvn_classes_format(unsigned classes, char ret_text[LVN_CLASSES_TEXT_BYTES]) {
  size_t used = 0;
  ret_text[0] = '\0';
  for (unsigned c = lvn_classes_first(classes); c < LVN_CLASS_COUNT; c = lvn_classes_next(classes, c)) {
    int length = snprintf(ret_text + used, LVN_CLASSES_TEXT_BYTES - used, "%s%s", used == 0 ? "" : ",",
                          lvn_class_name((enum lvn_class)c));
    used += length > 0 ? (size_t)length : 0;
  }
}
