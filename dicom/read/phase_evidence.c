/* Evidence of one stack: texts, the Enhanced CT attribute, contrast agent, seconds after injection, the aorta's HU.
 * Times and HU by phase: arterial 25-50 s, portal-venous 60-90 s, delayed from 2 min; aorta without contrast 30-60 HU,
 * arterial 200-400, portal-venous 130-190, delayed 80-130 (textbook values; broad on purpose, since kV and dose move
 * them). */
#include "dicom/read/phase_internal.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Two places of a series show one vessel when they are this much alike. */
#define SAME_AORTA_HU 12.0
#define SAME_AORTA_SHARE 0.08

void lvn_phase_add_evidence(struct lvn_phase_verdict *verdict, const double weight[LVN_PHASE_COUNT], const char *format,
                            ...) {
  if (verdict->evidence_count >= LVN_PHASE_EVIDENCE_MAX) {
    return;
  }
  struct lvn_phase_evidence *evidence = &verdict->evidence[verdict->evidence_count++];
  va_list arguments;
  va_start(arguments, format);
  (void)vsnprintf(evidence->text, sizeof evidence->text, format, arguments);
  va_end(arguments);
  memcpy(evidence->weight, weight, sizeof evidence->weight);
}

static double bell(double value, double mean, double deviation) {
  double z = (value - mean) / deviation;
  return -0.5 * z * z - log(deviation);
}

/* Relative to the mean over the phases, and no single sign worth more than `limit`. */
static void balance(double weight[LVN_PHASE_COUNT], double limit) {
  double best = -HUGE_VAL;
  double mean = 0.0;
  for (int p = 0; p < LVN_PHASE_COUNT; p++) {
    best = fmax(best, weight[p]);
  }
  for (int p = 0; p < LVN_PHASE_COUNT; p++) {
    weight[p] = fmax(weight[p] - best, -limit);
    mean += weight[p] / LVN_PHASE_COUNT;
  }
  for (int p = 0; p < LVN_PHASE_COUNT; p++) {
    weight[p] -= mean;
  }
}

void lvn_phase_delay_likelihood(double seconds, double ret_weight[LVN_PHASE_COUNT]) {
  /* An injection that has not begun, or only just, has not reached the liver. */
  ret_weight[LVN_PHASE_NC] = seconds < 10.0 ? log(0.02) : -20.0;
  ret_weight[LVN_PHASE_ART] = bell(seconds, 34.0, 8.0);
  ret_weight[LVN_PHASE_PV] = bell(seconds, 73.0, 13.0);
  /* log-normal about four minutes */
  ret_weight[LVN_PHASE_DL] = seconds > 1.0 ? bell(log(seconds), log(230.0), 0.42) - log(seconds) : -20.0;
  balance(ret_weight, 5.0);
}

double lvn_phase_seconds_between(double earlier, double later) {
  const double day = 86400.0;
  double seconds = later - earlier;
  return seconds < -day / 2 ? seconds + day : (seconds > day / 2 ? seconds - day : seconds);
}

static void weigh_enhanced(const char *term, struct lvn_phase_verdict *verdict) {
  static const struct {
    const char *term; /* Contrast/Bolus Agent Phase (0018,9344), PS3.3 Enhanced Contrast/Bolus Module */
    double weight[LVN_PHASE_COUNT];
  } terms[] = {
      {"PRE_CONTRAST", {3.5, -3.5, -3.5, -3.5}},  {"ARTERIAL", {-3.5, 3.5, -3.5, -3.5}},
      {"PORTAL_VENOUS", {-3.5, -3.5, 3.5, -3.5}}, {"VENOUS", {-3.5, -3.5, 2.5, 0.0}},
      {"DELAYED", {-3.5, -3.5, -3.0, 3.5}},       {"STEADY_STATE", {-2.5, -1.5, 0.0, 1.5}},
      {"POST_CONTRAST", {-2.5, 0.3, 0.3, 0.3}},   {"IMMEDIATE", {-2.0, 0.5, 0.2, -1.0}},
      {"DYNAMIC", {-1.5, 0.3, 0.2, 0.0}},         {"CAPILLARY", {-2.5, 0.5, 0.5, -0.5}},
  };
  for (size_t i = 0; i < sizeof terms / sizeof terms[0]; i++) {
    if (strcmp(term, terms[i].term) == 0) {
      lvn_phase_add_evidence(verdict, terms[i].weight, "contrast agent phase attribute is %s", terms[i].term);
    }
  }
}

static void weigh_agent(const struct lvn_stack *stack, const struct lvn_phase_context *context,
                        struct lvn_phase_verdict *verdict) {
  static const double absent[LVN_PHASE_COUNT] = {0.9, -0.3, -0.3, -0.3};
  static const double present[LVN_PHASE_COUNT] = {-0.6, 0.2, 0.2, 0.2};
  if (context->agent_differs) {
    bool none = stack->contrast_agent[0] == '\0';
    lvn_phase_add_evidence(verdict, none ? absent : present,
                           none ? "no contrast agent named, unlike in other series" : "contrast agent named");
  }
}

/* A series without contrast agent seldom names the injection; the others' injection is as good a witness for it, since
 * one scanner's clock timed them all and no protocol sets it. */
static void weigh_delay(const struct lvn_stack *stack, const struct lvn_phase_context *context,
                        struct lvn_phase_verdict *verdict) {
  double weight[LVN_PHASE_COUNT];
  bool is_own = stack->contrast_start_seconds >= 0.0;
  double injection = is_own ? stack->contrast_start_seconds : context->injection_seconds;
  const char *source = is_own ? "" : " that other series name";
  if (stack->acquisition_seconds < 0.0 || injection < 0.0 || context->clock_stands_still) {
    return;
  }
  double delay = lvn_phase_seconds_between(injection, stack->acquisition_seconds);
  if (delay < -3600.0 || delay > 1200.0) {
    return; /* a clock or a copied attribute, not a delay */
  }
  lvn_phase_delay_likelihood(delay, weight);
  if (delay < 10.0) {
    lvn_phase_add_evidence(verdict, weight, "acquired before the injection%s could reach the liver (%.0f s)", source,
                           delay);
  } else {
    lvn_phase_add_evidence(verdict, weight, "%.0f s after the injection%s", delay, source);
  }
}

void lvn_phase_weigh_label(const struct lvn_stack *stack, struct lvn_phase_verdict *verdict) {
  weigh_enhanced(stack->enhanced_agent_phase, verdict);
  lvn_phase_weigh_text(stack->series_description, "series description", 1.0, verdict);
}

void lvn_phase_weigh_header(const struct lvn_stack *stack, const struct lvn_phase_context *context,
                            struct lvn_phase_verdict *verdict) {
  lvn_phase_weigh_label(stack, verdict);
  if (context->protocol_differs) {
    lvn_phase_weigh_text(stack->protocol_name, "protocol name", 0.5, verdict);
  }
  if (context->comments_differ) {
    lvn_phase_weigh_text(stack->image_comments, "image comment", 0.6, verdict);
  }
  if (context->study_differs) {
    lvn_phase_weigh_text(stack->study_description, "study description", 0.2, verdict);
  }
  weigh_agent(stack, context, verdict);
  weigh_delay(stack, context, verdict);
}

/* A place that another series hands on is half a witness: patients breathe between the phases. Not where what the
 * series shows by itself says the same. */
static bool is_half_a_witness(const struct lvn_phase_image *image) {
  return image->aorta_by_position &&
         !(fabs(image->elsewhere_hu - image->aorta_hu) <= fmax(SAME_AORTA_HU, SAME_AORTA_SHARE * image->aorta_hu));
}

static void say_aorta(const struct lvn_phase_image *image, const double weight[LVN_PHASE_COUNT],
                      struct lvn_phase_verdict *verdict) {
  if (!is_half_a_witness(image)) {
    lvn_phase_add_evidence(verdict, weight, "aorta %.0f HU", image->aorta_hu);
  } else if (isnan(image->elsewhere_hu)) {
    lvn_phase_add_evidence(verdict, weight, "aorta %.0f HU at the place where another series shows it",
                           image->aorta_hu);
  } else {
    lvn_phase_add_evidence(verdict, weight,
                           "aorta %.0f HU at the place where another series shows it; this series alone would show it "
                           "elsewhere with %.0f HU",
                           image->aorta_hu, image->elsewhere_hu);
  }
}

void lvn_phase_weigh_image(const struct lvn_phase_image *image, struct lvn_phase_verdict *verdict) {
  static const double nothing[LVN_PHASE_COUNT] = {0};
  if (image == NULL || !image->aorta_found) {
    if (image != NULL && image->elsewhere_hu > 0.0) {
      lvn_phase_add_evidence(verdict, nothing,
                             "no aorta where other series show it; what looks like one elsewhere (%.0f HU) does not "
                             "count",
                             image->elsewhere_hu);
    }
    return;
  }
  double hu = image->aorta_hu;
  double weight[LVN_PHASE_COUNT] = {
      [LVN_PHASE_NC] = bell(hu, 43.0, 13.0),
      [LVN_PHASE_ART] = fmax(bell(hu, 300.0, 75.0), hu > 300.0 ? -log(75.0) : -HUGE_VAL),
      [LVN_PHASE_PV] = bell(hu, 152.0, 25.0),
      [LVN_PHASE_DL] = bell(hu, 108.0, 20.0),
  };
  balance(weight, 4.5);
  for (int p = 0; p < LVN_PHASE_COUNT; p++) {
    weight[p] *= is_half_a_witness(image) ? 0.5 : 1.0;
  }
  say_aorta(image, weight, verdict);
}
