#include "dicom/read/spectral.h"

#include "base/memory.h"
#include "dicom/read/phase_internal.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define NORMAL_BYTES (4 * LVN_TEXT_BYTES + 32)
/* A conventional image of 120 kV has about the HU of 70 keV. */
#define LIKE_CONVENTIONAL_LOW_KEV 65.0
#define LIKE_CONVENTIONAL_HIGH_KEV 77.0
#define TUBE_LEAST_KV 68.0 /* what is below is an energy in keV, written where the tube's voltage belongs */

/* Normalised as lvn_phase_normalise() does: a space stands for the edge of a word. */
static const char *const mono_words[] = {" mono ",         " mono+", " monoe",    " monoplus", " monochrom", " monokin",
                                         " monok",         " vmi",   "monoenerg", "монохром",  "моноэнерг",  "单能",
                                         "單能",           "单色",   "單色",      "仮想単色",  "単色x",      "単色 x",
                                         "単色エネルギー", "단색",   "단일에너지"};

static const char *const not_mono_words[] = {" mono phas", " mono fas", " mono faz", " mono slice"};

static const char *const material_words[] = {
    /* the standard's Image Type values and the makers' */
    " mat specific", " mat removed", " mat fractional", " mat modified", " mat value based", " eff atomic", " mat dens",
    " material dens", " materialdens", " material map", " material image", " material specific", " material decomp",
    " basis material",
    /* contrast agent taken out */
    " vnc", " vne ", " vue ", " vuc ", " vni ", " virtu", " wirtual", " sanal ", "虚拟", "虛擬", "仮想", "가상",
    "виртуал", " contrast removed",
    /* iodine */
    " iodine", " iod map", " iodmap", " iodkart", " iodbild", " iod bild", " iod kart", " jod ", " jodkart", " jodbild",
    " jodmap", " carte iode", " carte d iode", " cartographie iode", " cartographie d iode", " image iode",
    " mapa iodo", " mapa de iodo", " mapa yodo", " mapa de yodo", " mappa iodio", " mappa di iodio",
    " mappa dello iodio", "碘图", "碘圖", "碘基", "碘密度", "碘浓度", "碘水", "水碘", "碘 水", "水 碘", "碘剂图",
    "碘叠加", "ヨードマップ", "ヨード密度", "ヨード画像", "ヨード強調", "요오드맵", "요오드 맵", "요오드 지도",
    "йодная карт", "карта йод", "карты йод", " pbv ", " perfused blood",
    /* density, atomic number */
    " z eff", " zeff", " eff z", " effz", " effective z", " effective atomic", " zmap", " z map", " rho z", " rhoz",
    " rho ", " electron dens", " elektronendicht", " densite electronique", " densita elettronica",
    " densidad electronica", "有效原子序数", "有效原子序數", "実効原子番号", "유효원자", "电子密度", "電子密度",
    "전자밀도", "электронная плотн", "электронной плотн",
    /* other materials */
    " water iodine", " water calcium", " water map", " water image", " water hap", " hap water", " water dens",
    " water fat", " fat iodine", " fat water", " fat map", " fat fraction", " fat image", " fat quant", " liver fat",
    " fettkart", " fettanteil", " fettfraktion", " carte graisse", " calcium map", " calcium water", " calcium supp",
    " calcium remov", " calcium iodine", " casupp", " uric", " urat", " harnsaure", " gout", " gicht", "尿酸",
    " bone remov", " md water", " md iod", " md fat", " gsi md",
    /* composed of others */
    " overlay", " fused", " fusion", " sbi ", " spectral base", " subtraction", " subtracted", " subtrahiert",
    " subtraktion", " soustraction", " sottrazione", " sustraccion", " substraccion", "减影", "減影",
    "サブトラクション"};

/* The French view, and the agent that was injected: what they hold of the words above names no material image. */
static const char *const not_material_words[] = {" vue axi",   " vue cor",         " vue sag",        " vue de ",
                                                 " vue d ",    " iodine contrast", " iodine inj",     " iodine agent",
                                                 " iodinated", " mit jod ",        " contrast iodine"};

static const char *const unclear_words[] = {" spectral", " spektral",    " espectral", " spectrale", "光谱",
                                            "光譜",      "スペクトラル", "спектральн", " gsi"};

static const char *const conventional_words[] = {" conv ", " conventional", " konvention", " convencional", " polye",
                                                 " poly ", " mixed ",       " 120 kv",     " 120kv",        "混合"};

static bool has_any(const char *normal, const char *const *words, size_t count) {
  for (size_t i = 0; i < count; i++) {
    if (strstr(normal, words[i]) != NULL) {
      return true;
    }
  }
  return false;
}

#define HAS_ANY(normal, words) has_any(normal, words, sizeof(words) / sizeof((words)[0]))

/* Normalised twice: as written ("ArtMonoE" is three words) and in lower case ("40keV" is not cut before its V). */
static void normalise(const char *text, char normal[NORMAL_BYTES]) {
  char lower[2 * LVN_TEXT_BYTES];
  size_t used = 0;
  (void)lvn_copy(lower, sizeof lower, text);
  for (char *at = lower; *at != '\0'; at++) {
    *at = (unsigned char)*at < 0x80 ? (char)tolower((unsigned char)*at) : *at;
  }
  lvn_phase_normalise(lower, normal, NORMAL_BYTES / 2);
  used = strlen(normal);
  lvn_phase_normalise(text, normal + used, NORMAL_BYTES - used);
}

/* Digits that end at `end`, spaces between; 0 when there are none. */
static double number_before(const char *text, const char *end) {
  double value = 0.0;
  double unit = 1.0;
  while (end > text && end[-1] == ' ') {
    end--;
  }
  const char *digit = end;
  for (; digit > text && isdigit((unsigned char)digit[-1]) && unit < 1e4; digit--, unit *= 10.0) {
    value += unit * (digit[-1] - '0');
  }
  return value;
}

static double number_after(const char *text) {
  double value = 0.0;
  text += *text == ' ' ? 1 : 0;
  for (int i = 0; i < 3 && isdigit((unsigned char)text[i]); i++) {
    value = 10.0 * value + (text[i] - '0');
  }
  return value;
}

/* "40 keV", "Mono+ 40", "VMI70": the energy of a monoenergetic image, 0 when none is named. */
static double find_kev(const char *normal) {
  static const char *const before[] = {" mono", " mono+", " monoe", " monoenergetic", " monoplus", " vmi", " kev"};
  for (const char *at = strstr(normal, "kev"); at != NULL; at = strstr(at + 1, "kev")) {
    double value = number_before(normal, at);
    if (value >= 30.0 && value <= 250.0 && !isalpha((unsigned char)at[3])) {
      return value;
    }
  }
  for (size_t i = 0; i < sizeof before / sizeof before[0]; i++) {
    for (const char *at = strstr(normal, before[i]); at != NULL; at = strstr(at + 1, before[i])) {
      double value = number_after(at + strlen(before[i]));
      if (value >= 30.0 && value <= 250.0) {
        return value;
      }
    }
  }
  return 0.0;
}

static bool is_mono(const char *normal) {
  return HAS_ANY(normal, mono_words) && !HAS_ANY(normal, not_mono_words);
}

static bool is_material(const struct lvn_spectral_facts *facts, char *description, const char *image_type) {
  for (size_t i = 0; i < sizeof not_material_words / sizeof not_material_words[0]; i++) {
    char *at = strstr(description, not_material_words[i]);
    for (; at != NULL; at = strstr(at, not_material_words[i])) {
      memset(at + 1, '#', strlen(not_material_words[i]) - 1);
    }
  }
  return HAS_ANY(image_type, material_words) || strstr(image_type, " material ") != NULL ||
         strcasecmp(facts->rescale_type, "HU_MOD") == 0 || HAS_ANY(description, material_words);
}

enum lvn_spectral lvn_spectral_decide(const struct lvn_spectral_facts *facts, char ret_reason[LVN_TEXT_BYTES]) {
  char description[NORMAL_BYTES];
  char image_type[NORMAL_BYTES];
  char remark[NORMAL_BYTES];
  char both[2 * LVN_TEXT_BYTES + 2];
  double kev = isnan(facts->energy_kev) ? 0.0 : facts->energy_kev;
  (void)snprintf(both, sizeof both, "%s %s", facts->derivation, facts->image_comments);
  normalise(facts->series_description, description);
  normalise(facts->image_type, image_type);
  normalise(both, remark);
  ret_reason[0] = '\0';
  if (is_material(facts, description, image_type)) {
    return LVN_SPECTRAL_EXCLUDED;
  }
  const char *const texts[] = {description, image_type, remark};
  bool mono = kev > 0.0;
  for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
    kev = kev > 0.0 ? kev : find_kev(texts[i]);
    mono = mono || is_mono(texts[i]);
  }
  if (facts->kv > 30.0 && facts->kv < TUBE_LEAST_KV) {
    kev = kev > 0.0 ? kev : facts->kv;
  }
  if (mono || kev > 0.0) {
    bool like_conventional = kev >= LIKE_CONVENTIONAL_LOW_KEV && kev <= LIKE_CONVENTIONAL_HIGH_KEV;
    if (like_conventional) {
      (void)snprintf(ret_reason, LVN_TEXT_BYTES, "virtual monoenergetic image of %.0f keV", kev);
    }
    return like_conventional ? LVN_SPECTRAL_RESERVE : LVN_SPECTRAL_EXCLUDED;
  }
  if (HAS_ANY(description, unclear_words) && !HAS_ANY(description, conventional_words) &&
      !lvn_spectral_is_mixed(facts->series_description, facts->image_type)) {
    (void)lvn_copy(ret_reason, LVN_TEXT_BYTES, "named as a spectral image of unclear kind");
    return LVN_SPECTRAL_RESERVE;
  }
  return LVN_SPECTRAL_NONE;
}

double lvn_spectral_named_kv(const char *series_description) {
  static const char *const before[] = {" de ", " a ", " b "};
  char normal[NORMAL_BYTES];
  normalise(series_description, normal);
  for (const char *at = strstr(normal, "kv"); at != NULL; at = strstr(at + 1, "kv")) {
    double value = number_before(normal, at);
    value = value > 0.0 ? value : number_after(at + (at[2] == 'p' ? 3 : 2));
    if (value >= 70.0 && value <= 150.0) {
      return value;
    }
  }
  for (size_t i = 0; i < sizeof before / sizeof before[0]; i++) {
    const char *at = strstr(normal, before[i]);
    double value = at == NULL ? 0.0 : number_after(at + strlen(before[i]));
    if (value >= 70.0 && value <= 150.0) {
      return value;
    }
  }
  return 0.0;
}

bool lvn_spectral_is_mixed(const char *series_description, const char *image_type) {
  static const char *const words[] = {" mixed",  " mix ",     " blend",    " misch",      " gemischt", " f 0",
                                      " m 0",    " f0 ",      " m0 ",      " merged",     " fused kv", " melange",
                                      " mezcla", " weighted", " composed", " average kv", "混合"};
  char normal[NORMAL_BYTES];
  normalise(series_description, normal);
  if (HAS_ANY(normal, words)) {
    return true;
  }
  normalise(image_type, normal);
  return HAS_ANY(normal, words);
}
