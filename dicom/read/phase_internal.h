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
  bool agent_differs;      /* some candidates name a contrast agent, some do not */
  bool aorta_differs;      /* the aorta is not equally bright in all candidates */
  bool several_times;      /* the candidates come from more than one acquisition */
  bool clock_stands_still; /* one time was written on all: it tells nothing */
  /* Start of the injection, since midnight, where all candidates that name one name the same; else -1. */
  double injection_seconds;
};

/* What is thought of one candidate beside its weights. */
struct lvn_phase_opinion {
  enum lvn_phase label;  /* that its description or attribute clearly names, or LVN_PHASE_NONE */
  enum lvn_phase header; /* where its image contradicts its header: what either says, else LVN_PHASE_NONE */
  enum lvn_phase image;
  size_t against;   /* candidate of the same acquisition whose label names another phase, or SIZE_MAX */
  bool same_images; /* as that one */
};

/* One acquisition. */
struct lvn_phase_group {
  double weight[LVN_PHASE_COUNT];
  double seconds; /* against the first acquisition with a time; NAN when unknown */
  /* Where the time is unknown: its place in the order of one series' passes, -1 when that is unknown too. */
  const char *series_instance_uid; /* borrowed */
  int temporal_position;
  double members;
};
/* Probabilities of each acquisition's phase from the weights and the pauses between all of them. */
LVN_MUST_CHECK bool lvn_phase_judge_order(const struct lvn_phase_group *groups, size_t count,
                                          double (*ret_probability)[LVN_PHASE_COUNT], struct lvn_error *err);

void lvn_phase_add_evidence(struct lvn_phase_verdict *verdict, const double weight[LVN_PHASE_COUNT], const char *format,
                            ...) LVN_PRINTF(3, 4);

/* Lower case, diacritics folded, separators to single spaces, a space at both ends; other scripts stay UTF-8. */
void lvn_phase_normalise(const char *text, char *ret_text, size_t bytes);
/* Evidence of one text; `source` names it ("series description"), `trust` scales the weights. */
void lvn_phase_weigh_text(const char *text, const char *source, double trust, struct lvn_phase_verdict *verdict);

/* The series' own label: description and contrast phase attribute. */
void lvn_phase_weigh_label(const struct lvn_stack *stack, struct lvn_phase_verdict *verdict);
void lvn_phase_weigh_header(const struct lvn_stack *stack, const struct lvn_phase_context *context,
                            struct lvn_phase_verdict *verdict);
/* Log-likelihood of an acquisition that many seconds after the injection's start, by phase. */
void lvn_phase_delay_likelihood(double seconds, double ret_weight[LVN_PHASE_COUNT]);
void lvn_phase_weigh_image(const struct lvn_phase_image *image, struct lvn_phase_verdict *verdict);
/* The sentence for people; empty when NC, ART and PV are chosen. `excluded` as in lvn_phase_recognise(). */
void lvn_phase_explain(const struct lvn_phase_candidate *candidates, const struct lvn_phase_verdict *verdicts,
                       const struct lvn_phase_opinion *opinions, size_t count, const char *excluded,
                       char ret_sentence[LVN_TEXT_BYTES]);

#ifdef __cplusplus
}
#endif
#endif
