#include "daemon/pipeline/retention/clock_guard.h"

#include <stdlib.h>
#include <string.h>

static void believe(struct lvn_clock_guard *guard, const struct lvn_clock_reading *now) {
  guard->has_base = true;
  guard->base_wall_ms = now->wall_ms;
  guard->base_boot_ms = now->boot_ms;
  guard->last_wall_ms = now->wall_ms;
  guard->suspects = false;
}

static void suspect(struct lvn_clock_guard *guard, const struct lvn_clock_reading *now, int64_t expected_ms) {
  guard->suspects = true;
  guard->suspect_wall_ms = now->wall_ms;
  guard->suspect_boot_ms = now->boot_ms;
  guard->jumped_ms = now->wall_ms - expected_ms;
}

static bool is_near(int64_t left_ms, int64_t right_ms) {
  return left_ms - right_ms <= LVN_CLOCK_TOLERANCE_MS && right_ms - left_ms <= LVN_CLOCK_TOLERANCE_MS;
}

/* What the wall clock should show now, where this boot has a base; else the node was off, for how long is not known. */
static bool is_plausible(const struct lvn_clock_guard *guard, const struct lvn_clock_reading *now) {
  if (guard->has_base) {
    return is_near(now->wall_ms, guard->base_wall_ms + (now->boot_ms - guard->base_boot_ms));
  }
  return now->wall_ms >= guard->last_wall_ms - LVN_CLOCK_TOLERANCE_MS &&
         now->wall_ms <= guard->last_wall_ms + guard->off_max_ms;
}

static int64_t expected(const struct lvn_clock_guard *guard, const struct lvn_clock_reading *now) {
  return guard->has_base ? guard->base_wall_ms + (now->boot_ms - guard->base_boot_ms) : guard->last_wall_ms;
}

void lvn_clock_guard_start(struct lvn_clock_guard *guard, const struct lvn_clock_reading *now, int64_t newest_ms,
                           int64_t off_max_ms) {
  guard->is_started = true;
  guard->off_max_ms = off_max_ms;
  if (guard->last_wall_ms == 0) {
    guard->last_wall_ms = newest_ms == 0 ? now->wall_ms : newest_ms;
  }
  if (strcmp(guard->boot_id, now->boot_id) != 0) {
    guard->has_base = false;
    guard->suspects = false; /* judged anew: its time since boot was another boot's */
    memcpy(guard->boot_id, now->boot_id, sizeof guard->boot_id);
    guard->boot_id[sizeof guard->boot_id - 1] = '\0';
  }
  (void)lvn_clock_guard_check(guard, now);
}

bool lvn_clock_guard_check(struct lvn_clock_guard *guard, const struct lvn_clock_reading *now) {
  if (is_plausible(guard, now)) {
    /* The base moves once a day, so that a clock which creeps away cannot go far. */
    if (!guard->has_base || guard->suspects || now->boot_ms - guard->base_boot_ms >= LVN_CLOCK_HOLD_MS) {
      believe(guard, now);
    }
    guard->last_wall_ms = now->wall_ms;
    return true;
  }
  bool is_even =
      guard->suspects && is_near(now->wall_ms, guard->suspect_wall_ms + (now->boot_ms - guard->suspect_boot_ms));
  if (!is_even) {
    suspect(guard, now, expected(guard, now));
    return false;
  }
  if (now->boot_ms - guard->suspect_boot_ms < LVN_CLOCK_HOLD_MS) {
    return false;
  }
  believe(guard, now);
  guard->floor_ms = now->wall_ms;
  return true;
}

bool lvn_clock_guard_allows(const struct lvn_clock_guard *guard, int64_t before_ms) {
  return !guard->suspects && guard->floor_ms < before_ms;
}
