#include "model/text/prompts.h"

#include <stdio.h>
#include <string.h>

/* As the prompts say it; lvn_phase_long_name() hyphenates, which makes other tokens. */
static const char *const phase_words[LVN_PHASE_COUNT] = {[LVN_PHASE_NC] = "non-contrast phase",
                                                         [LVN_PHASE_ART] = "arterial phase",
                                                         [LVN_PHASE_PV] = "portal venous phase",
                                                         [LVN_PHASE_DL] = "delayed phase"};

const struct lvn_sequence lvn_sequences[LVN_SEQUENCE_COUNT] = {
    {3, {LVN_PHASE_NC, LVN_PHASE_ART, LVN_PHASE_PV}},
    {3, {LVN_PHASE_NC, LVN_PHASE_PV, LVN_PHASE_ART}},
    {3, {LVN_PHASE_ART, LVN_PHASE_NC, LVN_PHASE_PV}},
    {3, {LVN_PHASE_ART, LVN_PHASE_PV, LVN_PHASE_NC}},
    {3, {LVN_PHASE_PV, LVN_PHASE_NC, LVN_PHASE_ART}},
    {3, {LVN_PHASE_PV, LVN_PHASE_ART, LVN_PHASE_NC}},
    {2, {LVN_PHASE_NC, LVN_PHASE_ART}},
    {2, {LVN_PHASE_NC, LVN_PHASE_PV}},
    {2, {LVN_PHASE_ART, LVN_PHASE_NC}},
    {2, {LVN_PHASE_ART, LVN_PHASE_PV}},
    {2, {LVN_PHASE_PV, LVN_PHASE_NC}},
    {2, {LVN_PHASE_PV, LVN_PHASE_ART}},
    {1, {LVN_PHASE_NC}},
    {1, {LVN_PHASE_ART}},
    {1, {LVN_PHASE_PV}},
    {3, {LVN_PHASE_NC, LVN_PHASE_ART, LVN_PHASE_DL}},
    {3, {LVN_PHASE_NC, LVN_PHASE_PV, LVN_PHASE_DL}},
    {3, {LVN_PHASE_NC, LVN_PHASE_DL, LVN_PHASE_ART}},
    {3, {LVN_PHASE_NC, LVN_PHASE_DL, LVN_PHASE_PV}},
    {3, {LVN_PHASE_ART, LVN_PHASE_NC, LVN_PHASE_DL}},
    {3, {LVN_PHASE_ART, LVN_PHASE_PV, LVN_PHASE_DL}},
    {3, {LVN_PHASE_ART, LVN_PHASE_DL, LVN_PHASE_NC}},
    {3, {LVN_PHASE_ART, LVN_PHASE_DL, LVN_PHASE_PV}},
    {3, {LVN_PHASE_PV, LVN_PHASE_NC, LVN_PHASE_DL}},
    {3, {LVN_PHASE_PV, LVN_PHASE_ART, LVN_PHASE_DL}},
    {3, {LVN_PHASE_PV, LVN_PHASE_DL, LVN_PHASE_NC}},
    {3, {LVN_PHASE_PV, LVN_PHASE_DL, LVN_PHASE_ART}},
    {3, {LVN_PHASE_DL, LVN_PHASE_NC, LVN_PHASE_ART}},
    {3, {LVN_PHASE_DL, LVN_PHASE_NC, LVN_PHASE_PV}},
    {3, {LVN_PHASE_DL, LVN_PHASE_ART, LVN_PHASE_NC}},
    {3, {LVN_PHASE_DL, LVN_PHASE_ART, LVN_PHASE_PV}},
    {3, {LVN_PHASE_DL, LVN_PHASE_PV, LVN_PHASE_NC}},
    {3, {LVN_PHASE_DL, LVN_PHASE_PV, LVN_PHASE_ART}},
    {2, {LVN_PHASE_NC, LVN_PHASE_DL}},
    {2, {LVN_PHASE_ART, LVN_PHASE_DL}},
    {2, {LVN_PHASE_PV, LVN_PHASE_DL}},
    {2, {LVN_PHASE_DL, LVN_PHASE_NC}},
    {2, {LVN_PHASE_DL, LVN_PHASE_ART}},
    {2, {LVN_PHASE_DL, LVN_PHASE_PV}},
    {1, {LVN_PHASE_DL}},
};

static bool is_sequence(const struct lvn_sequence *sequence, const enum lvn_phase *phases, size_t count) {
  for (size_t i = 0; i < count && sequence->count == count; i++) {
    if (sequence->phase[i] != phases[i]) {
      return false;
    }
  }
  return sequence->count == count;
}

size_t lvn_sequence_find(size_t order, const enum lvn_phase phases[LVN_PHASE_NETWORK_COUNT], unsigned present) {
  enum lvn_phase left[LVN_PHASE_NETWORK_COUNT];
  size_t count = 0;
  for (size_t i = 0; i < LVN_PHASE_NETWORK_COUNT; i++) {
    if ((present >> lvn_permutation[order][i] & 1U) != 0) {
      left[count++] = phases[lvn_permutation[order][i]];
    }
  }
  for (size_t i = 0; i < LVN_SEQUENCE_COUNT; i++) {
    if (is_sequence(&lvn_sequences[i], left, count)) {
      return i;
    }
  }
  return order;
}

void lvn_prompt_sequence(enum lvn_class lesion_class, size_t sequence, char ret_text[LVN_PROMPT_BYTES]) {
  const struct lvn_sequence *phases = &lvn_sequences[sequence];
  int used = snprintf(ret_text, LVN_PROMPT_BYTES,
                      "This is a multi-phase computerized tomography (CT) image of one or more liver tumors %s, where "
                      "the phase order of this image is ",
                      lvn_class_long_name(lesion_class));
  for (size_t i = 0; i < phases->count; i++) {
    used += snprintf(ret_text + used, LVN_PROMPT_BYTES - (size_t)used, "%s%s", i == 0 ? "" : ", ",
                     phase_words[phases->phase[i]]);
  }
}

void lvn_prompt_enriched(enum lvn_class lesion_class, size_t order, char ret_text[LVN_PROMPT_BYTES]) {
  lvn_prompt_sequence(lesion_class, order, ret_text); /* the first sequences are the orders */
}

void lvn_prompt_simple(enum lvn_class lesion_class, char ret_text[LVN_PROMPT_BYTES]) {
  (void)snprintf(ret_text, LVN_PROMPT_BYTES, "A CT scan of tumors %s.", lvn_class_long_name(lesion_class));
}

void lvn_permutation_name(size_t order, char ret_name[LVN_PERMUTATION_NAME_BYTES]) {
  const enum lvn_phase *phase = lvn_permutation[order];
  (void)snprintf(ret_name, LVN_PERMUTATION_NAME_BYTES, "%s,%s,%s", lvn_phase_name(phase[0]), lvn_phase_name(phase[1]),
                 lvn_phase_name(phase[2]));
}

size_t lvn_permutation_from_name(const char *name) {
  for (size_t order = 0; order < LVN_PERMUTATION_COUNT; order++) {
    char text[LVN_PERMUTATION_NAME_BYTES];
    lvn_permutation_name(order, text);
    if (strcmp(text, name) == 0) {
      return order;
    }
  }
  return LVN_PERMUTATION_COUNT;
}
