/* The set as a whole: evidence of each stack, stacks of one acquisition together, the acquisitions in their order. */
#include "dicom/read/phase.h"

#include "base/memory.h"
#include "dicom/read/phase_internal.h"

#include <ctype.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#define DECIDED 0.8
#define CLASH 3.0        /* nats by which the image must contradict the header */
#define WITNESSED 7.0    /* nats: more than a text and the contrast agent give, which one wrong protocol sets both */
#define LABELLED 2.0     /* nats by which a label must name its phase before any other */
#define OTHER_BLOOD 25.0 /* HU between aortas that cannot be of one acquisition */
#define SAME_SECONDS 2.0 /* reconstructions of one acquisition carry one time, give or take the first slice */
#define SAME_SCAN_SECONDS 9.0 /* with the same acquisition number: thin and thick ones may start at another slice */

static bool same_acquisition(const struct lvn_stack *a, const struct lvn_stack *b) {
  if (a->acquisition_seconds < 0.0 || b->acquisition_seconds < 0.0) {
    return false;
  }
  double apart = fabs(lvn_phase_seconds_between(a->acquisition_seconds, b->acquisition_seconds));
  return apart < SAME_SECONDS ||
         (apart < SAME_SCAN_SECONDS && a->acquisition_number >= 0 && a->acquisition_number == b->acquisition_number &&
          a->slice_thickness_mm != b->slice_thickness_mm);
}

static bool same_images(const struct lvn_phase_candidate *a, const struct lvn_phase_candidate *b) {
  return (a->same_images_as != NULL && (a->same_images_as == b->stack || a->same_images_as == b->same_images_as)) ||
         (b->same_images_as != NULL && b->same_images_as == a->stack);
}

/* Index of the first candidate of the same acquisition, for each candidate. */
static void group_candidates(const struct lvn_phase_candidate *candidates, size_t count, bool clock_stands_still,
                             size_t *ret_leader) {
  for (size_t i = 0; i < count; i++) {
    ret_leader[i] = i;
    for (size_t j = 0; j < i; j++) {
      if (same_images(&candidates[j], &candidates[i]) ||
          (!clock_stands_still && same_acquisition(candidates[j].stack, candidates[i].stack))) {
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

static struct lvn_phase_context survey(const struct lvn_phase_candidate *candidates, size_t count, const size_t *leader,
                                       bool clock_stands_still) {
  struct lvn_phase_context context = {.injection_seconds = shared_injection(candidates, count),
                                      .clock_stands_still = clock_stands_still};
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
                  struct lvn_phase_verdict *verdict, double ret_weight[LVN_PHASE_COUNT],
                  struct lvn_phase_opinion *opinion) {
  double header[LVN_PHASE_COUNT] = {0};
  double image[LVN_PHASE_COUNT] = {0};
  double header_lead = 0.0;
  double image_lead = 0.0;
  *verdict = (struct lvn_phase_verdict){.phase = LVN_PHASE_NONE};
  lvn_phase_weigh_header(candidate->stack, context, verdict);
  add_up(verdict, 0, header);
  size_t before = verdict->evidence_count;
  if (context->aorta_differs) {
    lvn_phase_weigh_image(candidate->image, verdict);
  }
  add_up(verdict, before, image);
  enum lvn_phase header_best = strongest(header, &header_lead);
  enum lvn_phase image_best = strongest(image, &image_lead);
  /* what was found only where another series shows the aorta is a hint, no witness */
  bool is_own = candidate->image != NULL && !candidate->image->aorta_by_position;
  if (is_own && aorta_tells_apart(header_best, image_best) && header_lead > 1.5 &&
      image[image_best] - image[header_best] > CLASH && header[header_best] - header[image_best] < WITNESSED) {
    opinion->header = header_best;
    opinion->image = image_best;
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
      double score = suitability(candidates[i].stack, most_mm, verdicts[i].probability[phase]);
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

/* The phase that description or attribute name, LVN_PHASE_NONE when none clearly. */
static enum lvn_phase label_of(const struct lvn_stack *stack) {
  struct lvn_phase_verdict named = {.phase = LVN_PHASE_NONE};
  double sum[LVN_PHASE_COUNT] = {0};
  double lead = 0.0;
  lvn_phase_weigh_label(stack, &named);
  add_up(&named, 0, sum);
  enum lvn_phase best = strongest(sum, &lead);
  return lead > LABELLED ? best : LVN_PHASE_NONE;
}

/* One time on all series, though labels and images show all phases: a time that was copied or blanked, not measured. */
static bool clock_stands_still(const struct lvn_phase_candidate *candidates, const struct lvn_phase_opinion *opinions,
                               size_t count) {
  double low[LVN_PHASE_COUNT];
  double high[LVN_PHASE_COUNT];
  for (int p = 0; p < LVN_PHASE_COUNT; p++) {
    low[p] = HUGE_VAL;
    high[p] = -HUGE_VAL;
  }
  for (size_t i = 0; i < count; i++) {
    const struct lvn_phase_image *image = candidates[i].image;
    enum lvn_phase label = opinions[i].label;
    double first = candidates[0].stack->acquisition_seconds;
    double seconds = candidates[i].stack->acquisition_seconds;
    if (seconds < 0.0 || first < 0.0 || fabs(lvn_phase_seconds_between(first, seconds)) >= SAME_SECONDS) {
      return false;
    }
    if (label != LVN_PHASE_NONE && image != NULL && image->aorta_found) {
      low[label] = fmin(low[label], image->aorta_hu);
      high[label] = fmax(high[label], image->aorta_hu);
    }
  }
  for (int p = LVN_PHASE_NC; p <= LVN_PHASE_PV; p++) {
    if (!isfinite(low[p])) {
      return false;
    }
  }
  return low[LVN_PHASE_ART] - high[LVN_PHASE_PV] > OTHER_BLOOD && low[LVN_PHASE_PV] - high[LVN_PHASE_NC] > OTHER_BLOOD;
}

/* Members of one acquisition whose labels name different phases: none of them is that phase beyond doubt. */
static void find_contradictions(const struct lvn_phase_candidate *candidates, size_t count, const size_t *leader,
                                struct lvn_phase_opinion *opinions) {
  for (size_t i = 0; i < count; i++) {
    for (size_t j = 0; j < count; j++) {
      if (leader[i] == leader[j] && opinions[i].label != LVN_PHASE_NONE && opinions[j].label != LVN_PHASE_NONE &&
          opinions[i].label != opinions[j].label &&
          (opinions[i].against == SIZE_MAX || same_images(&candidates[i], &candidates[j]))) {
        opinions[i].against = j;
        opinions[i].same_images = same_images(&candidates[i], &candidates[j]);
      }
    }
  }
}

struct work {
  size_t *leader;
  size_t *group_of;
  struct lvn_phase_group *groups;
  double (*weight)[LVN_PHASE_COUNT];
  double (*probability)[LVN_PHASE_COUNT];
  struct lvn_phase_opinion *opinions;
};

static void work_clear(struct work *work) {
  lvn_free(work->leader);
  lvn_free(work->group_of);
  lvn_free(work->groups);
  lvn_free(work->weight);
  lvn_free(work->probability);
  lvn_free(work->opinions);
}

static bool work_make(size_t count, struct work *work, struct lvn_error *err) {
  return (work->leader = lvn_alloc(count, sizeof *work->leader, err)) != NULL &&
         (work->group_of = lvn_alloc(count, sizeof *work->group_of, err)) != NULL &&
         (work->groups = lvn_alloc(count, sizeof *work->groups, err)) != NULL &&
         (work->weight = lvn_alloc(count, sizeof *work->weight, err)) != NULL &&
         (work->probability = lvn_alloc(count, sizeof *work->probability, err)) != NULL &&
         (work->opinions = lvn_alloc(count, sizeof *work->opinions, err)) != NULL;
}

/* One entry per acquisition; members of one acquisition are one phase, so their evidence counts once, averaged. */
static size_t make_groups(const struct lvn_phase_candidate *candidates, size_t count, bool clock_stands_still,
                          struct work *work) {
  size_t groups = 0;
  double zero = -1.0;
  for (size_t i = 0; i < count; i++) {
    double seconds = clock_stands_still ? -1.0 : candidates[i].stack->acquisition_seconds;
    zero = zero < 0.0 ? seconds : zero;
    if (work->leader[i] == i) {
      work->groups[groups] =
          (struct lvn_phase_group){.seconds = seconds < 0.0 ? NAN : lvn_phase_seconds_between(zero, seconds),
                                   .series_instance_uid = candidates[i].stack->series_instance_uid,
                                   .temporal_position = candidates[i].stack->temporal_position};
      work->group_of[i] = groups++;
    } else {
      work->group_of[i] = work->group_of[work->leader[i]];
    }
    struct lvn_phase_group *group = &work->groups[work->group_of[i]];
    for (int p = 0; p < LVN_PHASE_COUNT; p++) {
      group->weight[p] = (group->weight[p] * group->members + work->weight[i][p]) / (group->members + 1.0);
    }
    group->members += 1.0;
  }
  return groups;
}

static void decide(const double probability[LVN_PHASE_COUNT], const struct lvn_phase_opinion *opinion,
                   bool group_in_doubt, struct lvn_phase_verdict *verdict) {
  memcpy(verdict->probability, probability, sizeof verdict->probability);
  for (enum lvn_phase p = LVN_PHASE_NC; p < LVN_PHASE_COUNT; p++) {
    if (probability[p] >= DECIDED && opinion->image == LVN_PHASE_NONE && !group_in_doubt) {
      verdict->phase = p;
    }
  }
}

static bool recognise(const struct lvn_phase_candidate *candidates, size_t count, struct work *work,
                      struct lvn_phase_verdict *verdicts, struct lvn_error *err) {
  static const double nothing[LVN_PHASE_COUNT] = {0};
  for (size_t i = 0; i < count; i++) {
    work->opinions[i] = (struct lvn_phase_opinion){
        .label = label_of(candidates[i].stack), .header = LVN_PHASE_NONE, .image = LVN_PHASE_NONE, .against = SIZE_MAX};
  }
  bool still = clock_stands_still(candidates, work->opinions, count);
  group_candidates(candidates, count, still, work->leader);
  find_contradictions(candidates, count, work->leader, work->opinions);
  struct lvn_phase_context context = survey(candidates, count, work->leader, still);
  for (size_t i = 0; i < count; i++) {
    weigh(&candidates[i], &context, &verdicts[i], work->weight[i], &work->opinions[i]);
    if (candidates[i].same_images_as != NULL) {
      lvn_phase_add_evidence(&verdicts[i], nothing, "holds the same images as series %d",
                             candidates[i].same_images_as->series_number);
    }
  }
  size_t groups = make_groups(candidates, count, still, work);
  if (!lvn_phase_judge_order(work->groups, groups, work->probability, err)) {
    return false;
  }
  for (size_t i = 0; i < count; i++) {
    bool in_doubt = false;
    for (size_t j = 0; j < count; j++) {
      in_doubt = in_doubt || (work->leader[j] == work->leader[i] && work->opinions[j].against != SIZE_MAX);
    }
    decide(work->probability[work->group_of[i]], &work->opinions[i], in_doubt, &verdicts[i]);
  }
  choose(candidates, verdicts, count);
  return true;
}

bool lvn_phase_recognise(const struct lvn_phase_candidate *candidates, size_t count, const char *excluded,
                         struct lvn_phase_verdict *ret_verdicts, char ret_sentence[LVN_TEXT_BYTES],
                         struct lvn_error *err) {
  LVN_CLEANUP(work_clear) struct work work = {0};
  ret_sentence[0] = '\0';
  if (!work_make(count, &work, err) || (count > 0 && !recognise(candidates, count, &work, ret_verdicts, err))) {
    return false;
  }
  lvn_phase_explain(candidates, ret_verdicts, work.opinions, count, excluded, ret_sentence);
  return true;
}
