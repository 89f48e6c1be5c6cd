/* The one sentence that says what a study waits for, in a radiographer's words. */
#include "base/memory.h"
#include "dicom/read/phase_internal.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

struct sentence {
  char *text;
  size_t used;
};

static void say(struct sentence *sentence, const char *text) {
  size_t room = LVN_TEXT_BYTES - sentence->used;
  (void)lvn_copy(sentence->text + sentence->used, room, text);
  sentence->used += strlen(sentence->text + sentence->used);
}

static void say_series(struct sentence *sentence, const struct lvn_stack *stack) {
  char number[48];
  if (stack->series_number < 0) {
    say(sentence, "a series without a number");
    return;
  }
  (void)snprintf(number, sizeof number, "series %d", stack->series_number);
  say(sentence, number);
}

static void first_two(const double probability[LVN_PHASE_COUNT], enum lvn_phase *ret_first,
                      enum lvn_phase *ret_second) {
  enum lvn_phase first = LVN_PHASE_NC;
  enum lvn_phase second = LVN_PHASE_NONE;
  for (enum lvn_phase p = LVN_PHASE_ART; p < LVN_PHASE_COUNT; p++) {
    first = probability[p] > probability[first] ? p : first;
  }
  for (enum lvn_phase p = LVN_PHASE_NC; p < LVN_PHASE_COUNT; p++) {
    if (p != first && (second == LVN_PHASE_NONE || probability[p] > probability[second])) {
      second = p;
    }
  }
  *ret_first = first;
  *ret_second = second;
}

/* A decided pair that shares a phase explains a missing one: "series 3 and 4 both look portal-venous". */
static bool say_twins(struct sentence *sentence, const struct lvn_phase_candidate *candidates,
                      const struct lvn_phase_verdict *verdicts, size_t count) {
  for (size_t i = 0; i < count; i++) {
    for (size_t j = i + 1; j < count; j++) {
      const struct lvn_stack *a = candidates[i].stack;
      const struct lvn_stack *b = candidates[j].stack;
      char text[160];
      bool one_scan = a->acquisition_seconds >= 0.0 && b->acquisition_seconds >= 0.0 &&
                      a->acquisition_seconds - b->acquisition_seconds < 9.0 &&
                      b->acquisition_seconds - a->acquisition_seconds < 9.0;
      if (verdicts[i].phase == LVN_PHASE_NONE || verdicts[i].phase != verdicts[j].phase || one_scan ||
          a->series_number < 0 || b->series_number < 0 || a->series_number == b->series_number) {
        continue;
      }
      (void)snprintf(text, sizeof text, ": series %d and %d both look %s", a->series_number, b->series_number,
                     lvn_phase_long_name(verdicts[i].phase));
      say(sentence, text);
      return true;
    }
  }
  return false;
}

/* One acquisition under two labels: "series 3 and 4 hold the same images but are labelled …". */
static bool say_contradiction(struct sentence *sentence, const struct lvn_phase_candidate *candidates,
                              const struct lvn_phase_opinion *opinions, size_t count) {
  for (size_t i = 0; i < count; i++) {
    char text[192];
    size_t j = opinions[i].against;
    if (j == SIZE_MAX) {
      continue;
    }
    (void)snprintf(text, sizeof text, ": series %d and %d %s but are labelled %s and %s",
                   candidates[i].stack->series_number, candidates[j].stack->series_number,
                   opinions[i].same_images ? "hold the same images" : "were acquired at the same time",
                   lvn_phase_long_name(opinions[i].label), lvn_phase_long_name(opinions[j].label));
    say(sentence, text);
    return true;
  }
  return false;
}

static bool say_same_images(struct sentence *sentence, const struct lvn_phase_candidate *candidates, size_t count) {
  for (size_t i = 0; i < count; i++) {
    char text[96];
    if (candidates[i].same_images_as != NULL) {
      (void)snprintf(text, sizeof text, ": series %d and %d hold the same images",
                     candidates[i].same_images_as->series_number, candidates[i].stack->series_number);
      say(sentence, text);
      return true;
    }
  }
  return false;
}

static bool say_doubt(struct sentence *sentence, const struct lvn_phase_candidate *candidates,
                      const struct lvn_phase_verdict *verdicts, const struct lvn_phase_opinion *opinions,
                      size_t count) {
  for (size_t i = 0; i < count; i++) {
    char text[128];
    enum lvn_phase first = LVN_PHASE_NONE;
    enum lvn_phase second = LVN_PHASE_NONE;
    if (verdicts[i].phase != LVN_PHASE_NONE) {
      continue;
    }
    say(sentence, ": ");
    say_series(sentence, candidates[i].stack);
    if (opinions[i].image != LVN_PHASE_NONE) {
      (void)snprintf(text, sizeof text, " is labelled %s but its image looks %s",
                     lvn_phase_long_name(opinions[i].header), lvn_phase_long_name(opinions[i].image));
    } else {
      first_two(verdicts[i].probability, &first, &second);
      (void)snprintf(text, sizeof text, " could be %s or %s", lvn_phase_long_name(first), lvn_phase_long_name(second));
    }
    say(sentence, text);
    return true;
  }
  return false;
}

void lvn_phase_explain(const struct lvn_phase_candidate *candidates, const struct lvn_phase_verdict *verdicts,
                       const struct lvn_phase_opinion *opinions, size_t count, const char *excluded,
                       char ret_sentence[LVN_TEXT_BYTES]) {
  struct sentence sentence = {.text = ret_sentence};
  enum lvn_phase missing[LVN_PHASE_NETWORK_COUNT];
  size_t missing_count = 0;
  ret_sentence[0] = '\0';
  for (enum lvn_phase p = LVN_PHASE_NC; p < LVN_PHASE_NETWORK_COUNT; p++) {
    bool found = false;
    for (size_t i = 0; i < count; i++) {
      found = found || (verdicts[i].chosen && verdicts[i].phase == p);
    }
    if (!found) {
      missing[missing_count++] = p;
    }
  }
  if (missing_count == 0) {
    return;
  }
  say(&sentence, "waiting for the ");
  for (size_t m = 0; m < missing_count; m++) {
    say(&sentence, m == 0 ? "" : (m + 1 == missing_count ? " and " : ", "));
    say(&sentence, lvn_phase_long_name(missing[m]));
  }
  say(&sentence, missing_count == 1 ? " phase" : " phases");
  if (excluded[0] != '\0') {
    say(&sentence, ": ");
    say(&sentence, excluded);
  } else if (count == 0) {
    say(&sentence, ": no CT series that makes a volume has arrived");
  } else if (!say_contradiction(&sentence, candidates, opinions, count) &&
             !say_doubt(&sentence, candidates, verdicts, opinions, count) &&
             !say_same_images(&sentence, candidates, count) && !say_twins(&sentence, candidates, verdicts, count)) {
    say(&sentence, ": no series of it has arrived");
  }
}
