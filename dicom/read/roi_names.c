#include "dicom/read/roi_names.h"

#include <ctype.h>
#include <stddef.h>
#include <string.h>
#include <strings.h>

static const char *const organs[] = {"liver",
                                     "hepar",
                                     "leber",
                                     "foie",
                                     "higado",
                                     "fegato",
                                     "whole liver",
                                     "body",
                                     "external",
                                     "skin",
                                     "patient",
                                     "outline",
                                     "background",
                                     "couch",
                                     "table",
                                     "spleen",
                                     "kidney",
                                     "kidneys",
                                     "pancreas",
                                     "stomach",
                                     "gallbladder",
                                     "gall bladder",
                                     "duodenum",
                                     "colon",
                                     "bowel",
                                     "small bowel",
                                     "heart",
                                     "lung",
                                     "lungs",
                                     "aorta",
                                     "portal vein",
                                     "hepatic vein",
                                     "hepatic veins",
                                     "vena cava",
                                     "inferior vena cava",
                                     "ivc",
                                     "vessel",
                                     "vessels",
                                     "hepatic vessels",
                                     "adrenal",
                                     "adrenal gland",
                                     "spine",
                                     "vertebra",
                                     "spinal cord",
                                     "spinalcord",
                                     "cord",
                                     "bone",
                                     "ribs",
                                     "esophagus",
                                     "oesophagus",
                                     "bladder",
                                     "muscle",
                                     "fat",
                                     "air",
                                     "liver segment"};

static const char *const lesion_words[] = {"lesion", "tumor", "tumour",  "mass", "nodule",  "hcc",    "fnh",
                                           "cyst",   "metas", "angioma", "gtv",  "laesion", "adenoma"};

/* Lower-case letters and single spaces; digits, sides and punctuation dropped. */
static void normalise(const char *label, char text[64]) {
  size_t used = 0;
  for (; *label != '\0' && used < 62; label++) {
    if (isalpha((unsigned char)*label)) {
      text[used++] = (char)tolower((unsigned char)*label);
    } else if (used > 0 && text[used - 1] != ' ') {
      text[used++] = ' ';
    }
  }
  while (used > 0 && text[used - 1] == ' ') {
    used--;
  }
  text[used] = '\0';
}

static const char *skip_side(const char *text) {
  static const char *const sides[] = {"left ", "right ", "l ", "r "};
  for (size_t i = 0; i < sizeof sides / sizeof sides[0]; i++) {
    if (strncmp(text, sides[i], strlen(sides[i])) == 0) {
      return text + strlen(sides[i]);
    }
  }
  return text;
}

const char *lvn_roi_organ_of(const char *label) {
  char text[64];
  const char *name = text;
  size_t length = 0;
  normalise(label, text);
  name = skip_side(text);
  length = strlen(name);
  if (length > 5 && strcmp(name + length - 5, " left") == 0) {
    length -= 5;
  } else if (length > 6 && strcmp(name + length - 6, " right") == 0) {
    length -= 6;
  }
  for (size_t i = 0; i < sizeof organs / sizeof organs[0]; i++) {
    if (strlen(organs[i]) == length && strncmp(organs[i], name, length) == 0) {
      return organs[i];
    }
  }
  return NULL;
}

bool lvn_roi_names_lesion(const char *label) {
  for (size_t i = 0; i < sizeof lesion_words / sizeof lesion_words[0]; i++) {
    if (strcasestr(label, lesion_words[i]) != NULL) {
      return true;
    }
  }
  return false;
}
