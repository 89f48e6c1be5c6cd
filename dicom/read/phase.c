/* The set as a whole: contrast passes through the phases in one order, so stacks are judged together. Evidence of each
 * stack and the gaps between their acquisitions are summed for every assignment of phases to acquisitions; the sums are
 * log-likelihoods, and a stack's probabilities are the marginals. */
#include "dicom/read/phase.h"

#include "daemon/base/memory.h"
#include "dicom/read/phase_internal.h"

#include <ctype.h>
#include <math.h>
#include <string.h>

#define GROUPS_MAX 7 /* judged jointly: 4^7 assignments; the rest one by one */
#define DECIDED 0.8
#define CLASH 3.0       /* nats by which the image must contradict the header */
#define WITNESSED 7.0   /* nats: more than a text and the contrast agent give, which one wrong protocol sets both */
#define WRONG_ORDER 7.0 /* nats */
#define SAME_PHASE_AGAIN 1.2  /* nats: a second acquisition of one phase is unusual, not absurd */
#define SAME_SECONDS 2.0      /* reconstructions of one acquisition carry one time, give or take the first slice */
#define SAME_SCAN_SECONDS 9.0 /* with the same acquisition number: thin and thick ones may start at another slice */

struct group {
  double weight[LVN_PHASE_COUNT];
  double seconds; /* of the earliest member, against the first candidate with a time; NAN when unknown */
  double slices;
};

struct assignment {
  const struct group *groups;
  size_t count;
  enum lvn_phase phase[GROUPS_MAX];
  double best;
  bool summing; /* second pass: marginals, relative to best */
  double marginal[GROUPS_MAX][LVN_PHASE_COUNT];
};

/* How well the pause between two acquisitions fits their phases. */
static double gap_score(const struct group *a, enum lvn_phase pa, const struct group *b, enum lvn_phase pb) {
  if (isnan(a->seconds) || isnan(b->seconds)) {
    return pa == pb ? -SAME_PHASE_AGAIN : 0.0;
  }
  if (a->seconds > b->seconds) {
    return gap_score(b, pb, a, pa);
  }
  double gap = b->seconds - a->seconds;
  if (pa > pb) {
    return -WRONG_ORDER;
  }
  if (pa == pb) {
    return gap < 600.0 ? -SAME_PHASE_AGAIN - (gap > 100.0 && pa != LVN_PHASE_DL && pa != LVN_PHASE_NC ? 2.5 : 0.0)
                       : -SAME_PHASE_AGAIN;
  }
  double z = 0.0;
  if (pa == LVN_PHASE_ART && pb == LVN_PHASE_PV) {
    z = (gap - 36.0) / 11.0;
  } else if (pa == LVN_PHASE_PV && pb == LVN_PHASE_DL) {
    z = (log(fmax(gap, 1.0)) - log(170.0)) / 0.5;
  } else if (pa == LVN_PHASE_ART && pb == LVN_PHASE_DL) {
    z = (log(fmax(gap, 1.0)) - log(205.0)) / 0.45;
  } else if (gap < 20.0) { /* from without contrast to any phase: at least the injection and the way to the liver */
    z = 2.5;
  }
  return -0.5 * fmin(z * z, 12.0);
}

static void descend(struct assignment *a, size_t depth, double score) {
  if (depth == a->count) {
    if (!a->summing) {
      a->best = fmax(a->best, score);
      return;
    }
    double share = exp(score - a->best);
    for (size_t g = 0; g < a->count; g++) {
      a->marginal[g][a->phase[g]] += share;
    }
    return;
  }
  for (enum lvn_phase phase = LVN_PHASE_NC; phase < LVN_PHASE_COUNT; phase++) {
    double next = score + a->groups[depth].weight[phase];
    for (size_t before = 0; before < depth; before++) {
      next += gap_score(&a->groups[before], a->phase[before], &a->groups[depth], phase);
    }
    a->phase[depth] = phase;
    descend(a, depth + 1, next);
  }
}

static void judge_groups(const struct group *groups, size_t count, double (*ret_probability)[LVN_PHASE_COUNT]) {
  struct assignment a = {.groups = groups, .count = count, .best = -HUGE_VAL};
  descend(&a, 0, 0.0);
  a.summing = true;
  descend(&a, 0, 0.0);
  for (size_t g = 0; g < count; g++) {
    double sum = 0.0;
    for (int p = 0; p < LVN_PHASE_COUNT; p++) {
      sum += a.marginal[g][p];
    }
    for (int p = 0; p < LVN_PHASE_COUNT; p++) {
      ret_probability[g][p] = a.marginal[g][p] / sum;
    }
  }
}

static bool same_acquisition(const struct lvn_stack *a, const struct lvn_stack *b) {
  if (a->acquisition_seconds < 0.0 || b->acquisition_seconds < 0.0) {
    return false;
  }
  double apart = fabs(lvn_phase_seconds_between(a->acquisition_seconds, b->acquisition_seconds));
  return apart < SAME_SECONDS ||
         (apart < SAME_SCAN_SECONDS && a->acquisition_number >= 0 && a->acquisition_number == b->acquisition_number &&
          a->slice_thickness_mm != b->slice_thickness_mm);
}

/* Index of the first candidate of the same acquisition, for each candidate. */
static void group_candidates(const struct lvn_phase_candidate *candidates, size_t count, size_t *ret_leader) {
  for (size_t i = 0; i < count; i++) {
    ret_leader[i] = i;
    for (size_t j = 0; j < i; j++) {
      if (same_acquisition(candidates[j].stack, candidates[i].stack)) {
        ret_leader[i] = ret_leader[j];
        break;
      }
    }
  }
}

static double shared_injection(const struct lvn_phase_candidate *candidates, size_t count) {
  double injection = -1.0;
  for (size_t i = 0; i < count; i++) {
    double named = candidates[i].stack->contrast_start_seconds;
    if (named < 0.0) {
      continue;
    }
    if (injection >= 0.0 && fabs(lvn_phase_seconds_between(injection, named)) > SAME_SECONDS) {
      return -1.0;
    }
    injection = named;
  }
  return injection;
}

static struct lvn_phase_context survey(const struct lvn_phase_candidate *candidates, size_t count,
                                       const size_t *leader) {
  struct lvn_phase_context context = {.injection_seconds = shared_injection(candidates, count)};
  double low = HUGE_VAL;
  double high = -HUGE_VAL;
  for (size_t i = 0; i < count; i++) {
    const struct lvn_stack *stack = candidates[i].stack;
    const struct lvn_stack *first = candidates[0].stack;
    const struct lvn_phase_image *image = candidates[i].image;
    context.protocol_differs |= strcmp(stack->protocol_name, first->protocol_name) != 0;
    context.study_differs |= strcmp(stack->study_description, first->study_description) != 0;
    context.comments_differ |= strcmp(stack->image_comments, first->image_comments) != 0;
    context.agent_differs |= (stack->contrast_agent[0] == '\0') != (first->contrast_agent[0] == '\0');
    context.several_times |= leader[i] != leader[0];
    if (image != NULL && image->aorta_found) {
      low = fmin(low, image->aorta_hu);
      high = fmax(high, image->aorta_hu);
    }
  }
  if (count == 1) {
    context.protocol_differs = true;
    context.comments_differ = true;
  }
  /* Different phases with one and the same aorta cannot be: then the image has nothing to say. */
  context.aorta_differs = !context.several_times || high - low > 15.0;
  return context;
}

static enum lvn_phase strongest(const double weight[LVN_PHASE_COUNT], double *ret_lead) {
  enum lvn_phase best = LVN_PHASE_NC;
  double second = -HUGE_VAL;
  for (enum lvn_phase p = LVN_PHASE_ART; p < LVN_PHASE_COUNT; p++) {
    best = weight[p] > weight[best] ? p : best;
  }
  for (enum lvn_phase p = LVN_PHASE_NC; p < LVN_PHASE_COUNT; p++) {
    second = p != best ? fmax(second, weight[p]) : second;
  }
  *ret_lead = weight[best] - second;
  return best;
}

static void add_up(const struct lvn_phase_verdict *verdict, size_t from, double sum[LVN_PHASE_COUNT]) {
  for (size_t e = from; e < verdict->evidence_count; e++) {
    for (int p = 0; p < LVN_PHASE_COUNT; p++) {
      sum[p] += verdict->evidence[e].weight[p];
    }
  }
}

/* Can the aorta overrule a label? Not between neighbours of the delayed phase: its vessel of 80-130 HU is also what the
 * edge of a vertebra or an early wash-out measures. */
static bool aorta_tells_apart(enum lvn_phase left, enum lvn_phase right) {
  return left != right &&
         (left == LVN_PHASE_ART || right == LVN_PHASE_ART || (left != LVN_PHASE_DL && right != LVN_PHASE_DL));
}

/* Everything known of one candidate by itself; what header and image say where they disagree. A wrong label is one text
 * against the image, and often against the clock too; where the clock bears the label out, it is rather the aorta that
 * was mistaken for something else. */
static void weigh(const struct lvn_phase_candidate *candidate, const struct lvn_phase_context *context,
                  struct lvn_phase_verdict *verdict, double ret_weight[LVN_PHASE_COUNT], enum lvn_phase *ret_header,
                  enum lvn_phase *ret_image) {
  double header[LVN_PHASE_COUNT] = {0};
  double image[LVN_PHASE_COUNT] = {0};
  double header_lead = 0.0;
  double image_lead = 0.0;
  *verdict = (struct lvn_phase_verdict){.phase = LVN_PHASE_NONE};
  *ret_header = LVN_PHASE_NONE;
  *ret_image = LVN_PHASE_NONE;
  lvn_phase_weigh_header(candidate->stack, context, verdict);
  add_up(verdict, 0, header);
  size_t before = verdict->evidence_count;
  if (context->aorta_differs) {
    lvn_phase_weigh_image(candidate->image, verdict);
  }
  add_up(verdict, before, image);
  enum lvn_phase header_best = strongest(header, &header_lead);
  enum lvn_phase image_best = strongest(image, &image_lead);
  if (aorta_tells_apart(header_best, image_best) && header_lead > 1.5 &&
      image[image_best] - image[header_best] > CLASH && header[header_best] - header[image_best] < WITNESSED) {
    *ret_header = header_best;
    *ret_image = image_best;
  }
  for (int p = 0; p < LVN_PHASE_COUNT; p++) {
    ret_weight[p] = header[p] + image[p];
  }
}

static bool is_sharp(const char *kernel) {
  char normal[LVN_TEXT_BYTES + 8];
  static const char *const words[] = {" lung", " bone", " edge", " sharp", " yb", " ul "};
  lvn_phase_normalise(kernel, normal, sizeof normal);
  for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
    if (strstr(normal, words[i]) != NULL) {
      return true;
    }
  }
  /* Siemens: B60f, Br59, Bl57, I70f: the number grows with sharpness */
  const char *at = normal + 1;
  while (isalpha((unsigned char)*at)) {
    at++;
  }
  return (normal[1] == 'b' || normal[1] == 'i') && at - normal <= 3 && at[0] >= '5' && at[0] <= '9' &&
         isdigit((unsigned char)at[1]);
}

static double coverage_mm(const struct lvn_stack *stack) {
  return (double)stack->grid.size[2] * stack->grid.spacing_mm[2];
}

/* Larger is better to work on: soft kernel, 1-5 mm, most of the liver, then most slices. */
static double suitability(const struct lvn_stack *stack, double most_mm, double probability) {
  double thickness = stack->slice_thickness_mm > 0.0 ? stack->slice_thickness_mm : stack->grid.spacing_mm[2];
  double outside = thickness < 1.0 ? 1.0 - thickness : fmax(0.0, thickness - 5.0);
  double covered = most_mm > 0.0 ? coverage_mm(stack) / most_mm : 1.0;
  /* a reserve only where there is nothing else */
  double reserve = stack->reserve_reason[0] != '\0' ? -200.0 : 0.0;
  return reserve + (is_sharp(stack->kernel) ? -20.0 : 0.0) - 3.0 * outside - (covered < 0.7 ? 12.0 : 0.0) +
         2.0 * probability + fmin(1.0, (double)stack->slice_count / 1000.0);
}

double lvn_phase_rate_stack(const struct lvn_stack *stack, double most_mm) {
  return suitability(stack, most_mm, 0.0);
}

static void choose(const struct lvn_phase_candidate *candidates, struct lvn_phase_verdict *verdicts, size_t count) {
  double most_mm = 0.0;
  for (size_t i = 0; i < count; i++) {
    most_mm = fmax(most_mm, coverage_mm(candidates[i].stack));
  }
  for (enum lvn_phase phase = LVN_PHASE_NC; phase < LVN_PHASE_COUNT; phase++) {
    size_t best = count;
    double best_score = -HUGE_VAL;
    for (size_t i = 0; i < count; i++) {
      double score = suitability(candidates[i].stack, most_mm, verdicts[i].probability[phase]) +
                     (candidates[i].operator_says == phase ? 1000.0 : 0.0);
      if (verdicts[i].phase == phase && score > best_score) {
        best = i;
        best_score = score;
      }
    }
    if (best < count) {
      verdicts[best].chosen = true;
    }
  }
}

static void honour_operator(enum lvn_phase says, struct lvn_phase_verdict *verdict) {
  static const double certain[LVN_PHASE_COUNT] = {0};
  double weight[LVN_PHASE_COUNT];
  memcpy(weight, certain, sizeof weight);
  weight[says] = 20.0;
  lvn_phase_add_evidence(verdict, weight, "the operator says %s", lvn_phase_long_name(says));
}

struct work {
  size_t *leader;
  struct group *groups;
  double (*weight)[LVN_PHASE_COUNT];
  double (*probability)[LVN_PHASE_COUNT];
  enum lvn_phase *header_says;
  enum lvn_phase *image_says;
};

static void work_clear(struct work *work) {
  lvn_free(work->leader);
  lvn_free(work->groups);
  lvn_free(work->weight);
  lvn_free(work->probability);
  lvn_free(work->header_says);
  lvn_free(work->image_says);
}

static bool work_make(size_t count, struct work *work, struct lvn_error *err) {
  return (work->leader = lvn_alloc(count, sizeof *work->leader, err)) != NULL &&
         (work->groups = lvn_alloc(count, sizeof *work->groups, err)) != NULL &&
         (work->weight = lvn_alloc(count, sizeof *work->weight, err)) != NULL &&
         (work->probability = lvn_alloc(count, sizeof *work->probability, err)) != NULL &&
         (work->header_says = lvn_alloc(count, sizeof *work->header_says, err)) != NULL &&
         (work->image_says = lvn_alloc(count, sizeof *work->image_says, err)) != NULL;
}

/* One entry per acquisition; members of one acquisition are one phase, so their evidence counts once, averaged. */
static size_t make_groups(const struct lvn_phase_candidate *candidates, size_t count, struct work *work,
                          size_t *group_of) {
  size_t groups = 0;
  double zero = -1.0;
  for (size_t i = 0; i < count; i++) {
    double seconds = candidates[i].stack->acquisition_seconds;
    zero = zero < 0.0 ? seconds : zero;
    if (work->leader[i] == i) {
      work->groups[groups] = (struct group){.seconds = seconds < 0.0 ? NAN : lvn_phase_seconds_between(zero, seconds)};
      group_of[i] = groups++;
    } else {
      group_of[i] = group_of[work->leader[i]];
    }
    struct group *group = &work->groups[group_of[i]];
    for (int p = 0; p < LVN_PHASE_COUNT; p++) {
      group->weight[p] = (group->weight[p] * group->slices + work->weight[i][p]) / (group->slices + 1.0);
    }
    group->slices += 1.0;
  }
  return groups;
}

static void decide(const struct lvn_phase_candidate *candidate, const double probability[LVN_PHASE_COUNT],
                   const struct work *work, size_t i, struct lvn_phase_verdict *verdict) {
  memcpy(verdict->probability, probability, sizeof verdict->probability);
  if (candidate->operator_says < LVN_PHASE_COUNT) {
    for (int p = 0; p < LVN_PHASE_COUNT; p++) {
      verdict->probability[p] = p == (int)candidate->operator_says ? 1.0 : 0.0;
    }
    verdict->phase = candidate->operator_says;
    work->image_says[i] = LVN_PHASE_NONE;
    return;
  }
  for (enum lvn_phase p = LVN_PHASE_NC; p < LVN_PHASE_COUNT; p++) {
    if (probability[p] >= DECIDED && work->image_says[i] == LVN_PHASE_NONE) {
      verdict->phase = p;
    }
  }
}

bool lvn_phase_recognise(const struct lvn_phase_candidate *candidates, size_t count,
                         struct lvn_phase_verdict *ret_verdicts, char ret_sentence[LVN_TEXT_BYTES],
                         struct lvn_error *err) {
  LVN_CLEANUP(work_clear) struct work work = {0};
  LVN_AUTOFREE size_t *group_of = NULL;
  ret_sentence[0] = '\0';
  if (!work_make(count, &work, err) || (group_of = lvn_alloc(count, sizeof *group_of, err)) == NULL) {
    return false;
  }
  if (count > 0) {
    group_candidates(candidates, count, work.leader);
    struct lvn_phase_context context = survey(candidates, count, work.leader);
    for (size_t i = 0; i < count; i++) {
      weigh(&candidates[i], &context, &ret_verdicts[i], work.weight[i], &work.header_says[i], &work.image_says[i]);
      if (candidates[i].operator_says < LVN_PHASE_COUNT) {
        honour_operator(candidates[i].operator_says, &ret_verdicts[i]);
        work.weight[i][candidates[i].operator_says] += 20.0;
      }
    }
    size_t groups = make_groups(candidates, count, &work, group_of);
    for (size_t first = 0; first < groups; first += GROUPS_MAX) {
      size_t some = groups - first < GROUPS_MAX ? groups - first : GROUPS_MAX;
      judge_groups(work.groups + first, some, work.probability + first);
    }
    for (size_t i = 0; i < count; i++) {
      decide(&candidates[i], work.probability[group_of[i]], &work, i, &ret_verdicts[i]);
    }
    choose(candidates, ret_verdicts, count);
  }
  lvn_phase_explain(candidates, ret_verdicts, work.header_says, work.image_says, count, ret_sentence);
  return true;
}
