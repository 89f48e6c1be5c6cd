/* Words that name a contrast phase, in the languages scanners are used in. The order is the meaning: what a rule
 * matches is taken out, so "without" must come before "contrast" and "late arterial" before "late". */
#include "base/memory.h"
#include "dicom/read/phase_internal.h"

#include <ctype.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STRONG 2.6 /* in favour of the named phase, and as much against each other */

enum meaning { NC, ART, PV, DL, VENOUS, CONTRAST, BOTH };

static const double meaning_weight[][LVN_PHASE_COUNT] = {
    [NC] = {STRONG, -STRONG, -STRONG, -STRONG},
    [ART] = {-STRONG, STRONG, -STRONG, -STRONG},
    [PV] = {-STRONG, -STRONG, STRONG, -STRONG},
    [DL] = {-STRONG, -STRONG, -STRONG, STRONG},
    [VENOUS] = {-STRONG, -STRONG, 2.2, -0.2},
    [CONTRAST] = {-2.0, 0.3, 0.3, 0.3},
    [BOTH] = {-0.4, 0.1, 0.1, 0.1},
};

struct rule {
  const char *pattern; /* normalised; a space stands for the edge of a word */
  enum meaning meaning;
};

static const struct rule rules[] = {
    /* Both with and without: a protocol's name, hardly a phase's. */
    {" pre und post ", BOTH},
    {" pre and post ", BOTH},
    {" pre post ", BOTH},
    {" ohne und mit ", BOTH},
    {" mit und ohne ", BOTH},
    {" nativ und ", BOTH},
    {" without and with ", BOTH},
    {" with and without ", BOTH},
    {" w wo ", BOTH},
    {" wo w ", BOTH},
    {" w and wo ", BOTH},
    {" wo and w ", BOTH},
    {" sans et avec ", BOTH},
    {" avec et sans ", BOTH},
    {" sin y con ", BOTH},
    {" con y sin ", BOTH},
    {" senza e con ", BOTH},
    {" con e senza ", BOTH},
    {" sem e com ", BOTH},
    {" com e sem ", BOTH},
    {" zonder en met ", BOTH},
    {"平扫+增强", BOTH},
    {"平扫 增强", BOTH},
    {"平扫增强", BOTH},
    {"平掃+增強", BOTH},
    {"単純+造影", BOTH},
    /* Arterial, with its own "late" and "early". */
    {" late hepatic art", ART},
    {" late art", ART},
    {" early art", ART},
    {" spat art", ART},
    {" spaet art", ART},
    {" spatart", ART},
    {" spaetart", ART},
    {" fruh art", ART},
    {" frueh art", ART},
    {" fruhart", ART},
    {" fruehart", ART},
    {" arterielle tardi", ART},
    {" arteriel tardi", ART},
    {" arterial tardi", ART},
    {" arteriosa tardi", ART},
    {" arteriosa precoce", ART},
    {" arterial precoz", ART},
    {" tardo arter", ART},
    {" hepatic art", ART},
    {" hap ", ART},
    {"动脉", ART},
    {"動脈", ART},
    {"동맥", ART},
    {" thi dong mach", ART},
    {" dong mach", ART},
    {" tetnic", ART},
    {"артери", ART},
    /* Portal-venous before venous; "hepatic venous" is its late edge. */
    {" portal venous", PV},
    {" portal ven", PV},
    {" portovenous", PV},
    {" portoven", PV},
    {" porto ven", PV},
    {" portalven", PV},
    {" venoportal", PV},
    {" veno portal", PV},
    {" portal", PV},
    {" porta ", PV},
    {" portafas", PV},
    {" portaal", PV},
    {" pvp ", PV},
    {" pvc ", PV},
    {" pv ", PV},
    {" wrotn", PV},
    {" hepatic venous", PV},
    {"门静脉", PV},
    {"门脉", PV},
    {"門靜脈", PV},
    {"門静脈", PV},
    {"門脈", PV},
    {"문맥", PV},
    {" tinh mach cua", PV},
    {" thi cua ", PV},
    {"портальн", PV},
    {"порто", PV},
    /* Without. */
    {" non contrast", NC},
    {" noncontrast", NC},
    {" non con", NC},
    {" noncon", NC},
    {" non enh", NC},
    {" nonenh", NC},
    {" non inject", NC},
    {" non iv", NC},
    {" unenh", NC},
    {" without contrast", NC},
    {" without iv", NC},
    {" without", NC},
    {" wo contrast", NC},
    {" wo con", NC},
    {" wo iv", NC},
    {" wo ", NC},
    {" no contrast", NC},
    {" no iv", NC},
    {" no con ", NC},
    {" precontrast", NC},
    {" pre contrast", NC},
    {" precon", NC},
    {" pre con", NC},
    {" pre km", NC},
    {" pre iv", NC},
    {" pre inj", NC},
    {" preinj", NC},
    {" pre ", NC},
    {" vor km", NC},
    {" vor kontrast", NC},
    {" avant inj", NC},
    {" antes de", NC},
    {" plain ", NC},
    {" nativ", NC},
    {" nat ", NC},
    {" sans inj", NC},
    {" sans contraste", NC},
    {" sans iv", NC},
    {" sans pdc", NC},
    {" sans ", NC},
    {" non injecte", NC},
    {" ohne km", NC},
    {" ohne kontrast", NC},
    {" ohne", NC},
    {" sin contraste", NC},
    {" sin civ", NC},
    {" sin ", NC},
    {" simple ", NC},
    {" senza mdc", NC},
    {" senza contrasto", NC},
    {" senza", NC},
    {" basale ", NC},
    {" basal ", NC},
    {" diretta ", NC},
    {" sem contraste", NC},
    {" sem ", NC},
    {" blanco ", NC},
    {" zonder", NC},
    {" bez kontrast", NC},
    {" bez ", NC},
    {" utan kontrast", NC},
    {" uden kontrast", NC},
    {" uten kontrast", NC},
    {" kontrastsiz", NC},
    {" cminus ", NC},
    {" ncct ", NC},
    {" nect ", NC},
    {" nc ", NC},
    {"平扫", NC},
    {"平掃", NC},
    {"単純", NC},
    {"造影前", NC},
    {"非造影", NC},
    {"단순", NC},
    {"조영전", NC},
    {"조영 전", NC},
    {"비조영", NC},
    {" khong tiem", NC},
    {" khong thuoc", NC},
    {" khong can quang", NC},
    {" truoc tiem", NC},
    {"натив", NC},
    {"без контраст", NC},
    {"бесконтраст", NC},
    /* Delayed. */
    {" delay", DL},
    {" equil", DL},
    {" excret", DL},
    {" ausscheid", DL},
    {" late ", DL},
    {" spat", DL},
    {" spaet", DL},
    {" tardi", DL},
    {" retard", DL},
    {" opozn", DL},
    {" gec faz", DL},
    {" gec ", DL},
    {" laat", DL},
    {" sen fas", DL},
    {" senfas", DL},
    {" thi muon", DL},
    {" muon ", DL},
    {"延迟", DL},
    {"延遲", DL},
    {"遅延", DL},
    {"平衡", DL},
    {"지연", DL},
    {"отсроч", DL},
    {"отложен", DL},
    {" dl ", DL},
    /* Arterial and venous by short or foreign words. */
    {" arter", ART},
    {" artar", ART},
    {" art ", ART},
    {" ven ", VENOUS},
    {" venos", VENOUS},
    {" venous", VENOUS},
    {" venoz", VENOUS},
    {" veneus", VENOUS},
    {" veneuz", VENOUS},
    {" veineu", VENOUS},
    {" venfas", VENOUS},
    {" zyln", VENOUS},
    {"静脉", VENOUS},
    {"靜脈", VENOUS},
    {"静脈", VENOUS},
    {"정맥", VENOUS},
    {" tinh mach", VENOUS},
    {"венозн", VENOUS},
    /* With contrast agent, phase not named. */
    {" cplus ", CONTRAST},
    {" ce ", CONTRAST},
    {" cect ", CONTRAST},
    {" post contrast", CONTRAST},
    {" postcontrast", CONTRAST},
    {" post km", CONTRAST},
    {" nach km", CONTRAST},
    {" mit km", CONTRAST},
    {" with contrast", CONTRAST},
    {" w contrast", CONTRAST},
    {" with iv", CONTRAST},
    {" w iv", CONTRAST},
    {" avec inj", CONTRAST},
    {" con contraste", CONTRAST},
    {" con mdc", CONTRAST},
    {" con civ", CONTRAST},
    {" com contraste", CONTRAST},
    {" contrast enh", CONTRAST},
    {" enhanced", CONTRAST},
    {" inject", CONTRAST},
    {" post ", CONTRAST},
    {" km ", CONTRAST},
    {" mdc ", CONTRAST},
    {" kontrast", CONTRAST},
    {"增强", CONTRAST},
    {"增強", CONTRAST},
    {"造影", CONTRAST},
    {"조영", CONTRAST},
};

/* Base letters of U+00C0..U+017F; '*' for the two signs among them. */
static const char latin_base[] = "aaaaaaaceeeeiiiidnooooo*ouuuuytsaaaaaaaceeeeiiiidnooooo*ouuuuyty"
                                 "aaaaaaccccccccddddeeeeeeeeeegggggggghhhhiiiiiiiiiiiijjkkklllllll"
                                 "lllnnnnnnnnnoooooooorrrrrrssssssssttttttuuuuuuuuuuuuwwyyyzzzzzzs";
/* U+1EA0..U+1EF9 (Vietnamese): a (24), e (16), i (4), o (24), u (14), y (8). */
static char vietnamese_base(uint32_t code) {
  uint32_t at = code - 0x1EA0;
  return at < 24 ? 'a' : (at < 40 ? 'e' : (at < 44 ? 'i' : (at < 68 ? 'o' : (at < 82 ? 'u' : 'y'))));
}

/* One code point; malformed bytes count as separators. */
static size_t decode(const unsigned char *bytes, uint32_t *ret_code) {
  size_t length = bytes[0] < 0x80 ? 1 : (bytes[0] >= 0xF0 ? 4 : (bytes[0] >= 0xE0 ? 3 : (bytes[0] >= 0xC2 ? 2 : 0)));
  uint32_t code = length == 1 ? bytes[0] : bytes[0] & (0x7FU >> (length == 0 ? 1 : length));
  for (size_t i = 1; i < length; i++) {
    if ((bytes[i] & 0xC0) != 0x80) {
      length = 0;
      break;
    }
    code = code << 6 | (bytes[i] & 0x3FU);
  }
  *ret_code = length == 0 ? ' ' : code;
  return length == 0 ? 1 : length;
}

struct writer {
  char *text;
  size_t used;
  size_t bytes;
};

static void put(struct writer *out, char c) {
  if (c == ' ' && out->used > 0 && out->text[out->used - 1] == ' ') {
    return;
  }
  if (out->used + 2 < out->bytes) { /* room for the last space and the end */
    out->text[out->used++] = c;
  }
}

static void put_word(struct writer *out, const char *word) {
  for (; *word != '\0'; word++) {
    put(out, *word);
  }
}

/* "C+", "C-", "w/o", "w/": signs that separators would wipe out. Returns the bytes taken, 0 when it is none. */
static size_t put_sign(struct writer *out, const unsigned char *at, bool word_start) {
  int first = tolower(at[0]);
  if (!word_start) {
    return 0;
  }
  if (first == 'c' && (at[1] == '+' || at[1] == '-') && !isalnum(at[2])) {
    put_word(out, at[1] == '+' ? "cplus " : "cminus ");
    return 2;
  }
  if (first == 'w' && at[1] == '/') {
    bool without = tolower(at[2]) == 'o' && !islower(at[3]);
    put_word(out, without ? "wo " : "w ");
    return without ? 3 : 2;
  }
  return 0;
}

static void put_code(struct writer *out, uint32_t code, const unsigned char *bytes, size_t length) {
  if (code >= 0xFF01 && code <= 0xFF5E) {
    code -= 0xFEE0; /* full-width forms */
  }
  if (code < 0x80) {
    put(out, isalnum((int)code) || code == '+' ? (char)tolower((int)code) : ' ');
  } else if (code >= 0x300 && code <= 0x36F) {
    return; /* combining marks of decomposed text */
  } else if (code == 0xDF) {
    put_word(out, "ss");
  } else if (code == 0x1A1 || code == 0x1B0 || code == 0x1A0 || code == 0x1AF) {
    put(out, code == 0x1A0 || code == 0x1A1 ? 'o' : 'u');
  } else if (code >= 0xC0 && code - 0xC0 < sizeof latin_base - 1) {
    put(out, latin_base[code - 0xC0]);
  } else if (code >= 0x1EA0 && code <= 0x1EF9) {
    put(out, vietnamese_base(code));
  } else if (code >= 0x410 && code <= 0x42F) {
    code += 0x20;
    put(out, (char)(0xC0 | code >> 6));
    put(out, (char)(0x80 | (code & 0x3F)));
  } else if (code < 0xC0 || code == 0x3000 || code == 0x3001 || code == 0x3002 || code == 0xFFFD) {
    put(out, ' ');
  } else {
    for (size_t i = 0; i < length; i++) {
      put(out, (char)bytes[i]);
    }
  }
}

void lvn_phase_normalise(const char *text, char *ret_text, size_t bytes) {
  struct writer out = {.text = ret_text, .bytes = bytes};
  const unsigned char *at = (const unsigned char *)text;
  put(&out, ' ');
  while (*at != '\0') {
    uint32_t code = 0;
    bool word_start = out.text[out.used - 1] == ' ';
    size_t taken = put_sign(&out, at, word_start);
    if (taken == 0) {
      /* "ArtPhase": a new word where a capital follows a small letter */
      if (isupper(*at) && at != (const unsigned char *)text && islower(at[-1])) {
        put(&out, ' ');
      }
      taken = decode(at, &code);
      put_code(&out, code, at, taken);
    }
    at += taken;
  }
  if (out.text[out.used - 1] != ' ') {
    out.text[out.used++] = ' ';
  }
  out.text[out.used] = '\0';
}

/* Blank out what a rule has matched, up to the end of its word, keeping the word edges. */
static void take_out(char *at, const char *pattern) {
  size_t length = strlen(pattern);
  for (size_t i = 0; i < length; i++) {
    at[i] = at[i] == ' ' ? ' ' : '#';
  }
  if ((unsigned char)pattern[length - 1] < 0x80 && pattern[length - 1] != ' ') {
    for (char *rest = at + length; *rest != ' ' && *rest != '\0' && (unsigned char)*rest < 0x80; rest++) {
      *rest = '#';
    }
  }
}

/* "35 s", "70sec", "3 min", "delay 35 s": seconds after injection in words. */
static void weigh_times(char *text, const char *source, double trust, struct lvn_phase_verdict *verdict) {
  for (char *at = text; *at != '\0'; at++) {
    char *end = at;
    if (at[0] != ' ' || !isdigit((unsigned char)at[1])) {
      continue;
    }
    unsigned long value = strtoul(at + 1, &end, 10); /* allow: digits are checked, the value is bounded below */
    end += *end == ' ' ? 1 : 0;
    static const struct {
      const char *word;
      unsigned long seconds;
    } units[] = {{"s ", 1}, {"sec", 1}, {"sek", 1}, {"seg ", 1}, {"min", 60}, {"mn ", 60}};
    for (size_t unit = 0; unit < sizeof units / sizeof units[0]; unit++) {
      unsigned long seconds = value > 900 ? 0 : value * units[unit].seconds;
      double weight[LVN_PHASE_COUNT];
      if (strncmp(end, units[unit].word, strlen(units[unit].word)) != 0 || seconds < 15 || seconds > 900) {
        continue;
      }
      lvn_phase_delay_likelihood((double)seconds, weight);
      for (int p = 0; p < LVN_PHASE_COUNT; p++) {
        weight[p] *= 0.6 * trust;
      }
      lvn_phase_add_evidence(verdict, weight, "%s says %lu s", source, seconds);
      if (at - text >= 6 && strncmp(at - 6, " delay", 6) == 0) {
        memset(at - 5, '#', 5); /* the delay of a scan, not the delayed phase */
      }
      memset(at + 1, '#', (size_t)(end - at - 1));
      break;
    }
  }
}

void lvn_phase_weigh_text(const char *text, const char *source, double trust, struct lvn_phase_verdict *verdict) {
  char normal[2 * LVN_TEXT_BYTES + 16];
  bool said[sizeof meaning_weight / sizeof meaning_weight[0]] = {false};
  bool phase_named = false;
  lvn_phase_normalise(text, normal, sizeof normal);
  weigh_times(normal, source, trust, verdict);
  for (size_t r = 0; r < sizeof rules / sizeof rules[0]; r++) {
    enum meaning meaning = rules[r].meaning;
    char *at = strstr(normal, rules[r].pattern);
    if (at == NULL) {
      continue;
    }
    bool useless = said[meaning] || (meaning >= CONTRAST && phase_named) || (meaning == VENOUS && said[PV]);
    for (; at != NULL; at = strstr(normal, rules[r].pattern)) {
      take_out(at, rules[r].pattern);
    }
    if (useless) {
      continue;
    }
    double weight[LVN_PHASE_COUNT];
    char word[48];
    size_t skip = rules[r].pattern[0] == ' ' ? 1 : 0;
    (void)lvn_copy(word, sizeof word, rules[r].pattern + skip);
    size_t length = strlen(word);
    if (length > 0 && word[length - 1] == ' ') {
      word[length - 1] = '\0';
    }
    for (int p = 0; p < LVN_PHASE_COUNT; p++) {
      weight[p] = trust * meaning_weight[meaning][p];
    }
    lvn_phase_add_evidence(verdict, weight, "%s says \"%s\"", source, word);
    said[meaning] = true;
    phase_named = phase_named || meaning <= VENOUS;
  }
}
