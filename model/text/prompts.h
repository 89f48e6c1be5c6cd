/* The sentences that name the classes. Source: Liver-VLM paper section 3.3 (enriched prompt: class and phase order) and
 * table 7's model 0 (simple prompt). */
#ifndef LVN_MODEL_PROMPTS_H
#define LVN_MODEL_PROMPTS_H

#include "model/image/vocabulary.h"

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LVN_PROMPT_BYTES 320

/* `order` is an index into lvn_permutation: the sentence names those phases in that order. */
void lvn_prompt_enriched(enum lvn_class lesion_class, size_t order, char ret_text[LVN_PROMPT_BYTES]);
void lvn_prompt_simple(enum lvn_class lesion_class, char ret_text[LVN_PROMPT_BYTES]);

/* What a prompt can name: the six orders of the three network phases (as in lvn_permutation), their six ordered pairs
 * and each alone; then, in the same way, what has the delayed phase in it: 18 threes of four phases, 6 pairs, and
 * itself. Stored embeddings depend on the places. Source: paper section 5, prompts of variable length and additional
 * phases. */
#define LVN_SEQUENCE_NETWORK_COUNT 15
#define LVN_SEQUENCE_COUNT 40
struct lvn_sequence {
  size_t count;
  enum lvn_phase phase[LVN_PHASE_NETWORK_COUNT];
};
extern const struct lvn_sequence lvn_sequences[LVN_SEQUENCE_COUNT];
/* What an order of `phases` (those of the three channels before they are permuted; lvn_permutation[0] for the network's
 * own) shows when only the channels of the bits `present` (1 << channel, not 0) hold a measurement. */
size_t lvn_sequence_find(size_t order, const enum lvn_phase phases[LVN_PHASE_NETWORK_COUNT], unsigned present);
/* The enriched prompt that names this sequence's phases alone. */
void lvn_prompt_sequence(enum lvn_class lesion_class, size_t sequence, char ret_text[LVN_PROMPT_BYTES]);

/* "NC,ART,PV": how an order is stored in files. */
#define LVN_PERMUTATION_NAME_BYTES 16
void lvn_permutation_name(size_t order, char ret_name[LVN_PERMUTATION_NAME_BYTES]);
/* LVN_PERMUTATION_COUNT when unknown. */
size_t lvn_permutation_from_name(const char *name);

#ifdef __cplusplus
}
#endif
#endif
