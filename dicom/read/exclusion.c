#include "dicom/read/exclusion.h"

#include "dicom/read/phase_internal.h"
#include "dicom/read/spectral.h"

#include <ctype.h>
#include <math.h>
#include <string.h>
#include <strings.h>

/* A value of a multi-valued CS, whole or as the beginning of it ("MIP" in "MIP\RESAMPLED", not in "MIPLESS"). */
static bool has_value(const char *values, const char *value) {
  size_t length = strlen(value);
  while (*values != '\0') {
    size_t n = strcspn(values, "\\");
    if (n >= length && strncasecmp(values, value, length) == 0 &&
        (n == length || !isalnum((unsigned char)values[length]))) {
      return true;
    }
    values += n;
    values += *values == '\\' ? 1 : 0;
  }
  return false;
}

/* One of `words` (each ended by '|') as a whole word of the text. */
static bool has_word(const char *text, const char *words) {
  while (*words != '\0') {
    size_t length = strcspn(words, "|");
    for (const char *at = text; *at != '\0'; at++) {
      if (strncasecmp(at, words, length) == 0 && (at == text || !isalnum((unsigned char)at[-1])) &&
          !isalnum((unsigned char)at[length])) {
        return true;
      }
    }
    words += length + 1;
  }
  return false;
}

static bool text_has(const struct lvn_exclusion_traits *facts, const char *words) {
  return has_word(facts->series_description, words);
}

static bool is_map(const struct lvn_exclusion_traits *facts) {
  static const char *const maps[] = {
      "PERFUSION",  "RCBF",        "RCBV", "MTT",     "TTP",    "EFF_Z", "Z_EFF",
      "IODINE",     "VNC",         "VUE",  "OVERLAY", "FUSION", "RHO_Z", "ELECTRON_DENSITY",
      "PARAMETRIC", "SCREEN SAVE", "COLOR"};
  for (size_t i = 0; i < sizeof maps / sizeof maps[0]; i++) {
    if (has_value(facts->image_type, maps[i])) {
      return true;
    }
  }
  /* PS3.3 C.11.1.1.2: a unit other than HU, or "unspecified", is a measurement of something else. */
  return facts->rescale_type[0] != '\0' && strcasecmp(facts->rescale_type, "HU") != 0 &&
         strcasecmp(facts->rescale_type, "US") != 0 && strcasecmp(facts->rescale_type, "HU_MOD") != 0;
}

static bool is_projection(const struct lvn_exclusion_traits *facts) {
  static const char *const kinds[] = {"MIP",     "MINIP",   "MIN_IP",           "MIN IP",           "MAX_IP",
                                      "AVERAGE", "MEAN_IP", "PROJECTION IMAGE", "VOLUME RENDERING", "VRT"};
  for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
    if (has_value(facts->image_type, kinds[i])) {
      return true;
    }
  }
  return (facts->volume_calculation[0] != '\0' && strcasecmp(facts->volume_calculation, "NONE") != 0) ||
         text_has(facts, "MIP|MINIP|MIN IP|VRT|VR|RAYSUM|");
}

/* By its name or its passes. "Dynamic" and "4D" name multiphase studies too, so that only the passes tell them. */
static bool is_perfusion(const struct lvn_exclusion_traits *facts) {
  static const char *const words[] = {" perfusion", " perfusao", " perfuzj",         " perfus", " perf ", " vpct ",
                                      "灌注",       "潅流",      "パーフュージョン", "관류",    "перфуз", " tuoi mau"};
  char normal[2 * LVN_TEXT_BYTES + 16];
  lvn_phase_normalise(facts->series_description, normal, sizeof normal);
  for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
    if (strstr(normal, words[i]) != NULL) {
      return true;
    }
  }
  return facts->has_many_passes;
}

static enum lvn_spectral judge_spectral(const struct lvn_exclusion_traits *facts, char ret_reserve[LVN_TEXT_BYTES]) {
  const struct lvn_spectral_facts spectral = {.image_type = facts->image_type,
                                              .series_description = facts->series_description,
                                              .image_comments = facts->image_comments,
                                              .derivation = facts->derivation,
                                              .rescale_type = facts->rescale_type,
                                              .kv = facts->kv,
                                              .energy_kev = facts->energy_kev};
  return lvn_spectral_decide(&spectral, ret_reserve);
}

enum lvn_exclusion lvn_exclusion_decide(const struct lvn_exclusion_traits *facts, char ret_reserve[LVN_TEXT_BYTES]) {
  ret_reserve[0] = '\0';
  if (has_value(facts->image_type, "LOCALIZER") ||
      text_has(facts, "SCOUT|SCOUTS|TOPOGRAM|TOPOGRAMM|TOPO|LOCALIZER|LOCALISER|SURVIEW|SCANOGRAM|SCANO|")) {
    return LVN_EXCLUSION_LOCALIZER;
  }
  if (text_has(facts, "DOSE REPORT|DOSE INFO|DOSE RECORD|PATIENT PROTOCOL|DOSE SHEET|DOSE SUMMARY|DOSISPROTOKOLL|")) {
    return LVN_EXCLUSION_DOSE_SCREEN;
  }
  if (!facts->is_grey || is_map(facts)) {
    char unused[LVN_TEXT_BYTES];
    return facts->is_grey && judge_spectral(facts, unused) == LVN_SPECTRAL_EXCLUDED ? LVN_EXCLUSION_SPECTRAL
                                                                                    : LVN_EXCLUSION_SECONDARY;
  }
  /* One place scanned again and again, or one or few slices named as the bolus run. */
  if ((facts->position_count == 1 && facts->slice_count >= 3) ||
      text_has(facts,
               "SMARTPREP|SMART PREP|PREMONITORING|MONITORING|PRE-MONITORING|CARE BOLUS|CAREBOLUS|BOLUS TRACKING|"
               "BOLUSTRACKING|TEST BOLUS|TESTBOLUS|SURESTART|SURE START|TRACKER|LOCATOR|")) {
    return LVN_EXCLUSION_BOLUS_TRACKING;
  }
  if (is_perfusion(facts)) {
    return LVN_EXCLUSION_PERFUSION;
  }
  if (is_projection(facts)) {
    return LVN_EXCLUSION_PROJECTION;
  }
  /* No gantry tilts by more than 35 degrees: what is steeper was reformatted. */
  if (fabs(facts->normal_z) < 0.8 ||
      (facts->volumetric_properties[0] != '\0' && strcasecmp(facts->volumetric_properties, "DISTORTED") == 0)) {
    return LVN_EXCLUSION_REFORMAT;
  }
  return judge_spectral(facts, ret_reserve) == LVN_SPECTRAL_EXCLUDED ? LVN_EXCLUSION_SPECTRAL : LVN_EXCLUSION_NONE;
}

const char *lvn_exclusion_name(enum lvn_exclusion exclusion) {
  switch (exclusion) {
  case LVN_EXCLUSION_NONE:
    return "none";
  case LVN_EXCLUSION_LOCALIZER:
    return "localizer";
  case LVN_EXCLUSION_DOSE_SCREEN:
    return "dose screen";
  case LVN_EXCLUSION_BOLUS_TRACKING:
    return "bolus tracking";
  case LVN_EXCLUSION_PROJECTION:
    return "projection";
  case LVN_EXCLUSION_REFORMAT:
    return "reformat";
  case LVN_EXCLUSION_SECONDARY:
    return "secondary or map";
  case LVN_EXCLUSION_GEOMETRY:
    return "no volume";
  case LVN_EXCLUSION_SPECTRAL:
    return "spectral";
  case LVN_EXCLUSION_PERFUSION:
    return "perfusion";
  case LVN_EXCLUSION_NOT_HU:
    return "no HU";
  }
  return "unknown";
}
