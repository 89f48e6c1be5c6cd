/* The kinds of evidence behind phase recognition, each added to one verdict. */
#ifndef LVN_DICOM_READ_PHASE_INTERNAL_H
#define LVN_DICOM_READ_PHASE_INTERNAL_H

#include "dicom/read/phase.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The HU evidence of a candidate may be switched off by what the whole set shows. */
struct lvn_phase_context {
  bool protocol_differs; /* between candidates: a text that all share tells nothing about one */
  bool study_differs;
  bool comments_differ;
  bool agent_differs; /* some candidates name a contrast agent, some do not */
  bool aorta_differs; /* the aorta is not equally bright in all candidates */
  bool several_times; /* the candidates come from more than one acquisition */
  /* Start of the injection, since midnight, where all candidates that name one name the same; else -1. */
  double injection_seconds;
};

void lvn_phase_add_evidence(struct lvn_phase_verdict *verdict, const double weight[LVN_PHASE_COUNT], const char *format,
                            ...) LVN_PRINTF(3, 4);

/* Lower case, diacritics folded, separators to single spaces, a space at both ends; other scripts stay UTF-8. */
void lvn_phase_normalise(const char *text, char *ret_text, size_t bytes);
/* Evidence of one text; `source` names it ("series description"), `trust` scales the weights. */
void lvn_phase_weigh_text(const char *text, const char *source, double trust, struct lvn_phase_verdict *verdict);

void lvn_phase_weigh_header(const struct lvn_stack *stack, const struct lvn_phase_context *context,
                            struct lvn_phase_verdict *verdict);
/* Log-likelihood of an acquisition that many seconds after the injection's start, by phase. */
void lvn_phase_delay_likelihood(double seconds, double ret_weight[LVN_PHASE_COUNT]);
void lvn_phase_weigh_image(const struct lvn_phase_image *image, struct lvn_phase_verdict *verdict);
/* The sentence for people; empty when NC, ART and PV are chosen. `clash` names, per candidate, the phase that the image
 * shows against the header's, or LVN_PHASE_NONE. */
void lvn_phase_explain(const struct lvn_phase_candidate *candidates, const struct lvn_phase_verdict *verdicts,
                       const enum lvn_phase *header_says, const enum lvn_phase *image_says, size_t count,
                       char ret_sentence[LVN_TEXT_BYTES]);

#ifdef __cplusplus
}
#endif
#endif
