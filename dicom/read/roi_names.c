#include "dicom/read/roi_names.h"

#include "base/memory.h"
#include "dicom/read/phase_internal.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#define TEXT_BYTES (4 * LVN_TEXT_BYTES)

/* Normalised, with a space between letters and digits, so that "GTV1" and "T12" have words. */
static void normalise(const char *label, char text[TEXT_BYTES]) {
  char normal[2 * LVN_TEXT_BYTES + 16];
  char bounded[LVN_TEXT_BYTES];
  size_t used = 0;
  (void)lvn_copy(bounded, sizeof bounded, label);
  lvn_phase_normalise(bounded, normal, sizeof normal);
  for (const char *at = normal; *at != '\0' && used + 3 < TEXT_BYTES; at++) {
    unsigned char before = used > 0 ? (unsigned char)text[used - 1] : ' ';
    unsigned char c = (unsigned char)*at;
    bool is_edge =
        (isdigit(c) && (isalpha(before) || before >= 0x80)) || (isdigit(before) && (isalpha(c) || c >= 0x80));
    if (is_edge || (c == '+' && before != ' ')) {
      text[used++] = ' ';
    }
    if (c != ' ' || before != ' ' || used == 0) {
      text[used++] = (char)c;
    }
  }
  text[used] = '\0';
}

static const char *find_any(const char *text, const struct lvn_roi_words *words, const char **ret_pattern) {
  for (size_t i = 0; i < words->count; i++) {
    const char *at = strstr(text, words->patterns[i]);
    if (at != NULL) {
      *ret_pattern = words->patterns[i];
      return at;
    }
  }
  return NULL;
}

static bool says(const char *text, const struct lvn_roi_words *words, char ret_word[LVN_ROI_WORD_BYTES]) {
  const char *pattern = NULL;
  if (find_any(text, words, &pattern) == NULL) {
    return false;
  }
  (void)lvn_copy(ret_word, LVN_ROI_WORD_BYTES, pattern[0] == ' ' ? pattern + 1 : pattern);
  size_t length = strlen(ret_word);
  if (length > 0 && ret_word[length - 1] == ' ') {
    ret_word[length - 1] = '\0';
  }
  return true;
}

static bool says_any(const char *text, const struct lvn_roi_words *words) {
  const char *pattern = NULL;
  return find_any(text, words, &pattern) != NULL;
}

static bool is_organ(const char *text) {
  return says_any(text, &lvn_roi_liver_words) || says_any(text, &lvn_roi_other_organ_words) ||
         says_any(text, &lvn_roi_anatomy_words);
}

static bool is_lesion(const char *text, char ret_word[LVN_ROI_WORD_BYTES]) {
  return says(text, &lvn_roi_lesion_words, ret_word) || says(text, &lvn_roi_spread_words, ret_word);
}

/* "zRind", "zz_Liver", "zPTV": TG-263's mark of structures that serve the planning alone. A word that only begins with
 * z ("Zyste") is none. */
static bool has_helper_prefix(const char *text) {
  char rest[TEXT_BYTES];
  char word[LVN_ROI_WORD_BYTES];
  if (text[0] != ' ' || text[1] != 'z') {
    return false;
  }
  if (text[2] == 'z' || text[2] == ' ') {
    return true;
  }
  (void)lvn_copy(rest, sizeof rest, text + 1);
  rest[0] = ' ';
  return strncmp(rest, " gtv", 4) == 0 || says(rest, &lvn_roi_margin_words, word) ||
         (rest[1] != '\0' && says(rest, &lvn_roi_helper_words, word)) || says(rest, &lvn_roi_liver_words, word);
}

/* "liver without tumour", "Leber ohne GTV": an organ, a word that takes away, and a lesion, in this order. */
static bool takes_lesion_away(const char *text) {
  char before[TEXT_BYTES];
  char word[LVN_ROI_WORD_BYTES];
  const char *pattern = NULL;
  for (size_t i = 0; i < lvn_roi_without_words.count; i++) {
    const char *at = strstr(text, lvn_roi_without_words.patterns[i]);
    if (at == NULL) {
      continue;
    }
    (void)lvn_copy(before, sizeof before, text);
    before[at - text + 1] = '\0';
    pattern = at + strlen(lvn_roi_without_words.patterns[i]) - 1;
    if (is_organ(before) && is_lesion(pattern, word)) {
      return true;
    }
  }
  return false;
}

/* "Liver-GTV", "Lungs - ITV": TG-263 writes a difference with a minus sign before the target's letters. A hyphen before
 * other words ("liver-lesion") only joins. */
static bool has_minus_target(const char *label) {
  static const char *const targets[] = {"gtv", "igtv", "ctv", "itv", "ptv"};
  char before[LVN_TEXT_BYTES];
  char text[TEXT_BYTES];
  for (const char *at = label; *at != '\0'; at++) {
    bool is_dash = strncmp(at, "\xE2\x80\x93", 3) == 0 || strncmp(at, "\xE2\x88\x92", 3) == 0;
    const char *next = at + (is_dash ? 3 : 1);
    if (!is_dash && *at != '-') {
      continue;
    }
    next += strspn(next, " ([");
    for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++) {
      if (strncasecmp(next, targets[i], strlen(targets[i])) == 0) {
        (void)lvn_copy(before, sizeof before, label);
        before[(size_t)(at - label) < sizeof before ? (size_t)(at - label) : sizeof before - 1] = '\0';
        normalise(before, text);
        return is_organ(text) || says_any(text, &lvn_roi_weak_helper_words);
      }
    }
  }
  return false;
}

/* "GTV+5mm", "GTV_3mm": a target with a margin. A radiologist's "lesion 12 mm" is a size. */
static bool is_expanded(const char *text) {
  const char *plus = strstr(text, " +");
  const char *length = strstr(text, " mm ");
  length = length != NULL ? length : strstr(text, " cm ");
  if (plus != NULL && isdigit((unsigned char)plus[2 + strspn(plus + 2, " ")])) {
    return true;
  }
  return strstr(text, " gtv") != NULL && length != NULL && length > text && isdigit((unsigned char)length[-1]);
}

/* A lesion's words beside the name of one other organ. What lies near an organ, and a metastasis or a carcinoma that
 * comes from it, may well be in the liver. */
static bool is_elsewhere(const char *text, char ret_word[LVN_ROI_WORD_BYTES]) {
  char word[LVN_ROI_WORD_BYTES];
  if (says_any(text, &lvn_roi_liver_words) || says_any(text, &lvn_roi_near_words) || strstr(text, " gallbl") != NULL ||
      strstr(text, " gall bl") != NULL) {
    return false;
  }
  bool is_spread = says_any(text, &lvn_roi_spread_words);
  return says(text, is_spread ? &lvn_roi_seat_words : &lvn_roi_other_organ_words, word) &&
         lvn_copy(ret_word, LVN_ROI_WORD_BYTES, word);
}

/* "A_Celiac", "V_Azygos", "LN_Neck", "Bone_Pelvic", "VB_L1": TG-263's classes of structures. */
static bool has_anatomy_prefix(const char *label) {
  static const char *const prefixes[] = {"A_",    "V_",     "LN_",  "VB_",   "N_",   "CN_",   "Lig_",    "Lobe_",
                                         "Proc_", "Strct_", "Spc_", "Surf_", "Sys_", "Wall_", "Tendon_", "Sinus_"};
  for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++) {
    size_t length = strlen(prefixes[i]);
    if (strncmp(label, prefixes[i], length) == 0 && isalpha((unsigned char)label[length]) &&
        isalpha((unsigned char)label[length + 1])) {
      return true;
    }
  }
  return false;
}

static bool is_generic_word(const char *word, size_t length) {
  bool is_number = true;
  for (size_t i = 0; i < length; i++) {
    is_number = is_number && (isdigit((unsigned char)word[i]) || word[i] == '+');
  }
  if (is_number || length == 1) {
    return true;
  }
  for (size_t i = 0; i < lvn_roi_generic_words.count; i++) {
    if (strlen(lvn_roi_generic_words.patterns[i]) == length &&
        strncmp(lvn_roi_generic_words.patterns[i], word, length) == 0) {
      return true;
    }
  }
  return false;
}

static bool is_generic(const char *text) {
  for (const char *at = text; *at != '\0';) {
    size_t length = strcspn(at, " ");
    if (length > 0 && !is_generic_word(at, length)) {
      return false;
    }
    at += length + (at[length] == ' ' ? 1 : 0);
  }
  return true;
}

/* Words that decide before any lesion's. */
static bool is_helper(const char *label, const char *text, char ret_word[LVN_ROI_WORD_BYTES]) {
  if (has_helper_prefix(text) || has_minus_target(label) || takes_lesion_away(text)) {
    (void)lvn_copy(ret_word, LVN_ROI_WORD_BYTES, "a planning structure");
    return true;
  }
  return strstr(text, " enhanc") == NULL && says(text, &lvn_roi_helper_words, ret_word);
}

enum lvn_roi_meaning lvn_roi_name_meaning(const char *label, char ret_word[LVN_ROI_WORD_BYTES]) {
  char text[TEXT_BYTES];
  char word[LVN_ROI_WORD_BYTES] = "";
  normalise(label, text);
  ret_word[0] = '\0';
  if (is_helper(label, text, ret_word)) {
    return LVN_ROI_HELPER;
  }
  if (says(text, &lvn_roi_margin_words, ret_word)) {
    return LVN_ROI_MARGIN;
  }
  if (is_lesion(text, word)) {
    if (is_expanded(text)) {
      (void)lvn_copy(ret_word, LVN_ROI_WORD_BYTES, "expanded");
      return LVN_ROI_MARGIN;
    }
    if (is_elsewhere(text, ret_word)) {
      return LVN_ROI_ELSEWHERE;
    }
    (void)lvn_copy(ret_word, LVN_ROI_WORD_BYTES, word);
    return LVN_ROI_LESION;
  }
  if (says(text, &lvn_roi_liver_words, ret_word) || says(text, &lvn_roi_other_organ_words, ret_word)) {
    return LVN_ROI_ORGAN;
  }
  if (strcmp(text, " contour ") == 0 || strchr(label, '%') != NULL ||
      says(text, &lvn_roi_weak_helper_words, ret_word)) {
    (void)lvn_copy(ret_word, LVN_ROI_WORD_BYTES, ret_word[0] != '\0' ? ret_word : "an outline");
    return LVN_ROI_HELPER;
  }
  if (says(text, &lvn_roi_anatomy_words, ret_word)) {
    return LVN_ROI_ORGAN;
  }
  if (has_anatomy_prefix(label)) {
    (void)lvn_copy(ret_word, LVN_ROI_WORD_BYTES, "anatomy");
    return LVN_ROI_ORGAN;
  }
  return is_generic(text) ? LVN_ROI_UNNAMED : LVN_ROI_UNKNOWN;
}

bool lvn_roi_names_other_organ(const char *text, char ret_word[LVN_ROI_WORD_BYTES]) {
  char normal[TEXT_BYTES];
  normalise(text, normal);
  ret_word[0] = '\0';
  return !says_any(normal, &lvn_roi_liver_words) && strstr(normal, " gallbl") == NULL &&
         says(normal, &lvn_roi_other_organ_words, ret_word);
}

bool lvn_roi_names_liver_part(const char *label) {
  char text[TEXT_BYTES];
  normalise(label, text);
  const char *part = strstr(text, " s ");
  return says_any(text, &lvn_roi_liver_words) && !says_any(text, &lvn_roi_anatomy_words) &&
         (strstr(text, " seg") != NULL || strstr(text, " lobe") != NULL ||
          (part != NULL && (isdigit((unsigned char)part[3]) || part[3] == 'i' || part[3] == 'v')));
}

struct coded {
  const char *value;
  enum lvn_roi_meaning meaning;
};

static enum lvn_roi_meaning look_up(const struct coded *rows, size_t count, const char *value,
                                    enum lvn_roi_meaning otherwise) {
  for (size_t i = 0; i < count; i++) {
    if (strcasecmp(rows[i].value, value) == 0) {
      return rows[i].meaning;
    }
  }
  return otherwise;
}

enum lvn_roi_meaning lvn_roi_type_meaning(const char *interpreted_type) {
  static const struct coded types[] = {{"GTV", LVN_ROI_LESION},
                                       {"CTV", LVN_ROI_MARGIN},
                                       {"PTV", LVN_ROI_MARGIN},
                                       {"ITV", LVN_ROI_MARGIN},
                                       {"ORGAN", LVN_ROI_ORGAN},
                                       {"OAR", LVN_ROI_ORGAN},
                                       {"CAVITY", LVN_ROI_ORGAN},
                                       {"AVOIDANCE", LVN_ROI_HELPER},
                                       {"EXTERNAL", LVN_ROI_HELPER},
                                       {"BOLUS", LVN_ROI_HELPER},
                                       {"CONTROL", LVN_ROI_HELPER},
                                       {"MARKER", LVN_ROI_HELPER},
                                       {"REGISTRATION", LVN_ROI_HELPER},
                                       {"ISOCENTER", LVN_ROI_HELPER},
                                       {"CONTRAST_AGENT", LVN_ROI_HELPER},
                                       {"SUPPORT", LVN_ROI_HELPER},
                                       {"FIXATION", LVN_ROI_HELPER},
                                       {"DOSE_REGION", LVN_ROI_HELPER},
                                       {"BRACHY_CHANNEL", LVN_ROI_HELPER},
                                       {"BRACHY_ACCESSORY", LVN_ROI_HELPER},
                                       {"BRACHY_SRC_APP", LVN_ROI_HELPER},
                                       {"BRACHY_CHNL_SHLD", LVN_ROI_HELPER},
                                       {"TREATED_VOLUME", LVN_ROI_HELPER},
                                       {"IRRAD_VOLUME", LVN_ROI_HELPER},
                                       {"DOSE_MEASUREMENT", LVN_ROI_HELPER},
                                       {"TUMOR", LVN_ROI_LESION},
                                       {"LESION", LVN_ROI_LESION}};
  return look_up(types, sizeof types / sizeof types[0], interpreted_type, LVN_ROI_UNNAMED);
}

enum lvn_roi_meaning lvn_roi_code_meaning(const char *scheme, const char *value) {
  static const struct coded snomed[] = {
      {"49755003", LVN_ROI_LESION},  /* morphologically abnormal structure */
      {"52988006", LVN_ROI_LESION},  /* lesion */
      {"4147007", LVN_ROI_LESION},   /* mass */
      {"108369006", LVN_ROI_LESION}, /* neoplasm */
      {"86049000", LVN_ROI_LESION},  /* neoplasm, primary */
      {"14799000", LVN_ROI_LESION},  /* neoplasm, secondary */
      {"367643001", LVN_ROI_LESION}, /* cyst */
      {"27925004", LVN_ROI_LESION},  /* nodule */
      {"25370001", LVN_ROI_LESION},  /* hepatocellular carcinoma */
      {"109841003", LVN_ROI_LESION}, /* liver cell carcinoma */
      {"2099007", LVN_ROI_LESION},   /* haemangioma */
      {"123037004", LVN_ROI_ORGAN},  /* anatomical structure */
      {"91723000", LVN_ROI_ORGAN},   /* anatomical structure */
      {"113343008", LVN_ROI_ORGAN},  /* organ */
      {"10200004", LVN_ROI_ORGAN},   /* liver */
      {"260787004", LVN_ROI_HELPER}, /* physical object */
      {"309825002", LVN_ROI_HELPER}, /* spatial and relational concept */
      {"246464006", LVN_ROI_HELPER}, /* function */
      {"105590001", LVN_ROI_HELPER}, /* substance */
      {"91720002", LVN_ROI_HELPER},  /* body substance */
  };
  static const struct coded srt[] = {{"T-D0050", LVN_ROI_UNKNOWN}, /* tissue: what several viewers write for all */
                                     {"T-D0080", LVN_ROI_HELPER},
                                     {"A-00004", LVN_ROI_HELPER},
                                     {"R-42018", LVN_ROI_HELPER}};
  if (strcmp(scheme, "SCT") == 0 || strncmp(scheme, "SNM", 3) == 0 || strcmp(scheme, "SRT") == 0) {
    bool is_axis = isalpha((unsigned char)value[0]) && value[1] == '-';
    enum lvn_roi_meaning meaning = look_up(snomed, sizeof snomed / sizeof snomed[0], value, LVN_ROI_UNKNOWN);
    if (meaning != LVN_ROI_UNKNOWN || !is_axis) {
      return meaning;
    }
    /* The axes of SNOMED RT: T topography, M morphology. */
    enum lvn_roi_meaning axis = value[0] == 'T' ? LVN_ROI_ORGAN : value[0] == 'M' ? LVN_ROI_LESION : LVN_ROI_UNKNOWN;
    return look_up(srt, sizeof srt / sizeof srt[0], value, axis);
  }
  return LVN_ROI_UNKNOWN;
}
