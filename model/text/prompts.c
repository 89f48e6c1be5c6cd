#include "model/text/prompts.h"

#include <stdio.h>
#include <string.h>

/* As the prompts say it; lvn_phase_long_name() hyphenates, which makes other tokens. */
static const char *const phase_words[LVN_PHASE_NETWORK_COUNT] = {
    [LVN_PHASE_NC] = "non-contrast phase", [LVN_PHASE_ART] = "arterial phase", [LVN_PHASE_PV] = "portal venous phase"};

void lvn_prompt_enriched(enum lvn_class lesion_class, size_t order, char ret_text[LVN_PROMPT_BYTES]) {
  const enum lvn_phase *phase = lvn_order[order];
  (void)snprintf(ret_text, LVN_PROMPT_BYTES,
                 "This is a multi-phase computerized tomography (CT) image of one or more liver tumors %s, where the "
                 "phase order of this image is %s, %s, %s",
                 lvn_class_long_name(lesion_class), phase_words[phase[0]], phase_words[phase[1]],
                 phase_words[phase[2]]);
}

void lvn_prompt_simple(enum lvn_class lesion_class, char ret_text[LVN_PROMPT_BYTES]) {
  (void)snprintf(ret_text, LVN_PROMPT_BYTES, "A CT scan of tumors %s.", lvn_class_long_name(lesion_class));
}

void lvn_order_name(size_t order, char ret_name[LVN_ORDER_NAME_BYTES]) {
  const enum lvn_phase *phase = lvn_order[order];
  (void)snprintf(ret_name, LVN_ORDER_NAME_BYTES, "%s,%s,%s", lvn_phase_name(phase[0]), lvn_phase_name(phase[1]),
                 lvn_phase_name(phase[2]));
}

size_t lvn_order_from_name(const char *name) {
  for (size_t order = 0; order < LVN_ORDER_COUNT; order++) {
    char text[LVN_ORDER_NAME_BYTES];
    lvn_order_name(order, text);
    if (strcmp(text, name) == 0) {
      return order;
    }
  }
  return LVN_ORDER_COUNT;
}
