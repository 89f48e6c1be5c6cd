/* Where the series of a study agree that the aorta is, and what each of them shows there. */
#include "base/memory.h"
#include "dicom/read/phase.h"
#include "dicom/read/phase_slice.h"

#include <math.h>
#include <string.h>

#define SAME_PLACE_MM 9.0
#define SEARCH_MM 10.0
#define FREE_MM 4.0 /* breathing and the averaging of slices; what lies farther off must be the clearer vessel */
#define COST_PER_MM 1.5
#define LEAST_CONTRAST 16.0
#define UNEVEN_HU 16.0    /* standard deviation in a disc beyond which it holds more than one tissue … */
#define UNEVEN_SHARE 0.12 /* … and as a share of a bright vessel, whose rim and noise are greater */
#define ENCLOSED 0.45     /* of the ring brighter than the disc: the marrow of a vertebra */
#define CLEARLY_BRIGHTER 30.0
#define ARTERY_HU 180.0
#define CONTRAST_HU 120.0
/* Blood without contrast agent, anaemic, with noise; and an aorta full of it. */
#define VESSEL_LOW_HU 15.0
#define VESSEL_HIGH_HU 700.0

/* A child's or a narrow aorta, a usual one, a wide one. */
static const struct lvn_phase_disc discs[] = {
    {.inside_mm = 4.0, .ring_in_mm = 9.0, .ring_out_mm = 13.0},
    {.inside_mm = 6.0, .ring_in_mm = 14.0, .ring_out_mm = 19.0},
    {.inside_mm = 10.0, .ring_in_mm = 21.0, .ring_out_mm = 27.0},
};
#define DISC_COUNT (sizeof discs / sizeof discs[0])

/* What one series shows near a place. */
struct sight {
  bool is_vessel; /* an even disc, darker around it */
  bool is_even;   /* no vessel stands out, but the place is one tissue */
  double hu;
  double centre_mm[3];
};

/* Centre of the track at the height of z_mm: between its neighbours, at its ends the end. */
static void track_at(const struct lvn_phase_image *image, double z_mm, double ret_mm[2]) {
  const double(*track)[3] = image->aorta_track_mm;
  size_t count = image->aorta_track_count;
  const double *below = NULL;
  const double *above = NULL;
  for (size_t i = 0; i < count; i++) {
    below = track[i][2] <= z_mm && (below == NULL || track[i][2] > below[2]) ? track[i] : below;
    above = track[i][2] >= z_mm && (above == NULL || track[i][2] < above[2]) ? track[i] : above;
  }
  below = below == NULL ? (above == NULL ? image->aorta_centre_mm : above) : below;
  above = above == NULL ? below : above;
  double share = above[2] - below[2] > 1e-3 ? (z_mm - below[2]) / (above[2] - below[2]) : 0.0;
  for (int i = 0; i < 2; i++) {
    ret_mm[i] = below[i] + share * (above[i] - below[i]);
  }
}

/* Mean distance of a's centres from b's track at the same heights. */
static double apart_mm(const struct lvn_phase_image *a, const struct lvn_phase_image *b) {
  double sum = 0.0;
  for (size_t i = 0; i < a->aorta_track_count; i++) {
    double at[2];
    track_at(b, a->aorta_track_mm[i][2], at);
    sum += hypot(a->aorta_track_mm[i][0] - at[0], a->aorta_track_mm[i][1] - at[1]);
  }
  return a->aorta_track_count == 0
             ? hypot(a->aorta_centre_mm[0] - b->aorta_centre_mm[0], a->aorta_centre_mm[1] - b->aorta_centre_mm[1])
             : sum / (double)a->aorta_track_count;
}

static bool same_place(const struct lvn_phase_image *a, const struct lvn_phase_image *b) {
  return apart_mm(a, b) < SAME_PLACE_MM;
}

static bool is_even(const struct lvn_phase_spot *spot) {
  return spot->score > -HUGE_VAL && spot->spread <= fmax(UNEVEN_HU, UNEVEN_SHARE * spot->hu);
}

/* The clearest vessel within reach of (x, y), in pixels; score -HUGE_VAL when there is none. */
static struct lvn_phase_spot find_vessel(const struct lvn_phase_slice *slice, double x, double y) {
  struct lvn_phase_spot best = {.score = -HUGE_VAL};
  int reach = (int)(SEARCH_MM / slice->step_mm);
  for (int dy = -reach; dy <= reach; dy++) {
    for (int dx = -reach; dx <= reach; dx++) {
      int px = (int)lround(x) + dx;
      int py = (int)lround(y) + dy;
      double off = slice->step_mm * hypot(px - x, py - y);
      for (size_t d = 0; d < DISC_COUNT && off <= SEARCH_MM; d++) {
        struct lvn_phase_spot spot = lvn_phase_slice_rate(slice, px, py, &discs[d]);
        spot.score -= COST_PER_MM * fmax(0.0, off - FREE_MM);
        if (spot.score > best.score && is_even(&spot) && spot.contrast > LEAST_CONTRAST && spot.brighter < ENCLOSED) {
          best = spot;
        }
      }
    }
  }
  return best;
}

/* On at least half of the slices that lie beside the place's own. */
static struct sight look_at(const struct lvn_phase_slices *slices, const struct lvn_phase_image *place) {
  struct sight sight = {.hu = NAN};
  double vessel[LVN_PHASE_SLICES];
  double even[LVN_PHASE_SLICES];
  size_t vessels = 0;
  size_t evens = 0;
  size_t seen = 0;
  for (size_t s = 0; s < slices->count; s++) {
    const struct lvn_phase_slice *slice = &slices->items[s];
    double at[2];
    track_at(place, slice->origin_mm[2], at);
    double x = (at[0] - slice->origin_mm[0]) / slice->step_mm;
    double y = (at[1] - slice->origin_mm[1]) / slice->step_mm;
    if (!(x > -10.0 && y > -10.0 && x < slice->width + 10.0 && y < slice->height + 10.0)) {
      continue;
    }
    seen++;
    struct lvn_phase_spot spot = find_vessel(slice, x, y);
    if (spot.score > -HUGE_VAL) {
      const double centre[3] = {slice->origin_mm[0] + spot.x * slice->step_mm,
                                slice->origin_mm[1] + spot.y * slice->step_mm, slice->origin_mm[2]};
      for (int a = 0; a < 3; a++) {
        sight.centre_mm[a] += centre[a];
      }
      vessel[vessels++] = spot.hu;
    }
    spot = lvn_phase_slice_rate(slice, (int)lround(x), (int)lround(y), &discs[0]);
    if (is_even(&spot) && spot.hu >= VESSEL_LOW_HU && spot.hu <= VESSEL_HIGH_HU) {
      even[evens++] = spot.hu;
    }
  }
  sight.is_vessel = vessels > 0 && 2 * vessels >= seen;
  sight.is_even = !sight.is_vessel && evens > 0 && 2 * evens >= seen;
  for (int a = 0; a < 3 && sight.is_vessel; a++) {
    sight.centre_mm[a] /= (double)vessels;
  }
  if (sight.is_vessel || sight.is_even) {
    sight.hu = sight.is_vessel ? lvn_phase_median(vessel, vessels) : lvn_phase_median(even, evens);
  }
  return sight;
}

/* The place that most series show a vessel at; of equal votes the brightest: there it cannot be mistaken for muscle. */
static size_t choose_place(const struct lvn_phase_image *images, const struct lvn_phase_slices *slices, size_t count) {
  size_t place = count;
  size_t most = 0;
  for (size_t i = 0; i < count; i++) {
    /* an artery full of contrast agent is the surest sight of it */
    size_t votes = images[i].aorta_found && images[i].aorta_hu > ARTERY_HU ? 1 : 0;
    for (size_t j = 0; j < count && images[i].aorta_found; j++) {
      if (images[j].aorta_found && same_place(&images[j], &images[i])) {
        votes += 2;
      } else if (j != i && look_at(&slices[j], &images[i]).is_vessel) {
        votes += 1;
      }
    }
    if (votes > most || (votes == most && votes > 0 && images[i].aorta_hu > images[place].aorta_hu)) {
      place = i;
      most = votes;
    }
  }
  return place;
}

static void settle(const struct lvn_phase_slices *slices, const struct lvn_phase_image *place,
                   struct lvn_phase_image *image) {
  struct sight near = look_at(slices, place);
  bool agrees = image->aorta_found && same_place(image, place);
  bool brighter_near = near.is_vessel && near.hu > image->aorta_hu + CLEARLY_BRIGHTER;
  /* Nothing else before the spine is as bright and even as an artery, unless the place shows another tissue. */
  bool artery =
      image->aorta_found && image->aorta_hu > ARTERY_HU && !near.is_even && !(near.is_vessel && near.hu < CONTRAST_HU);
  if (image->aorta_found && ((agrees && !brighter_near) || (artery && !brighter_near))) {
    return;
  }
  /* What stands alone against the others is no evidence, and neither is a place that is not one tissue. */
  image->elsewhere_hu = image->aorta_found ? image->aorta_hu : (double)NAN;
  image->aorta_found = near.is_vessel || near.is_even;
  if (image->aorta_found) {
    image->aorta_by_position = true;
    image->aorta_hu = near.hu;
    image->aorta_track_count = 0;
    memcpy(image->aorta_centre_mm, near.is_vessel ? near.centre_mm : place->aorta_centre_mm,
           sizeof image->aorta_centre_mm);
  }
}

static void clear_all(struct lvn_phase_slices *slices, size_t count) {
  for (size_t i = 0; slices != NULL && i < count; i++) {
    lvn_phase_slices_clear(&slices[i]);
  }
}

bool lvn_phase_agree_on_aorta(const struct lvn_volume *const *volumes, struct lvn_phase_image *images, size_t count,
                              struct lvn_error *err) {
  LVN_AUTOFREE struct lvn_phase_slices *slices = lvn_alloc(count, sizeof *slices, err);
  bool done = slices != NULL;
  for (size_t i = 0; i < count && done; i++) {
    done = volumes[i] == NULL || lvn_phase_slices_make(volumes[i], &slices[i], err);
  }
  size_t place = done ? choose_place(images, slices, count) : count;
  if (place < count) {
    const struct lvn_phase_image agreed = images[place];
    for (size_t i = 0; i < count; i++) {
      if (i != place) {
        settle(&slices[i], &agreed, &images[i]);
      }
    }
  }
  clear_all(slices, count);
  return done;
}
