/* May the wall clock decide that something is old? A clock that was set (by hand, by NTP after an empty battery, by a
 * restored machine) would make everything look old at once. The wall clock is compared with the time since boot, which
 * nobody sets; after a jump nothing is old until the new time has run evenly for a day, and then ages count from there,
 * since nobody knows which of the two times what was stored before is of. Where the clock comes back within the day,
 * nothing has happened. No system call in here: the caller reads the clocks. */
#ifndef LVN_DAEMON_CLOCK_GUARD_H
#define LVN_DAEMON_CLOCK_GUARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LVN_CLOCK_BOOT_ID_BYTES 40
#define LVN_CLOCK_TOLERANCE_MS (INT64_C(3600) * 1000) /* ages are in days */
#define LVN_CLOCK_HOLD_MS (INT64_C(24) * 3600 * 1000)

struct lvn_clock_reading {
  int64_t wall_ms;
  int64_t boot_ms; /* since boot, suspended time included */
  char boot_id[LVN_CLOCK_BOOT_ID_BYTES];
};

struct lvn_clock_guard {
  bool is_started;
  bool has_base; /* base_* are of this boot */
  int64_t base_wall_ms;
  int64_t base_boot_ms;
  int64_t last_wall_ms; /* the last that was believed */
  bool suspects;
  int64_t suspect_wall_ms; /* since when another time is shown */
  int64_t suspect_boot_ms;
  int64_t floor_ms;   /* ages count from here at the earliest */
  int64_t off_max_ms; /* longest time between two boots that needs no explanation */
  int64_t jumped_ms;  /* of the last jump, for people */
  char boot_id[LVN_CLOCK_BOOT_ID_BYTES];
};

/* `guard` is zeroed, or holds what an earlier process stored (base, last, suspect, floor, boot_id). `newest_ms`: the
 * newest time that the index knows, 0 when it knows none. */
void lvn_clock_guard_start(struct lvn_clock_guard *guard, const struct lvn_clock_reading *now, int64_t newest_ms,
                           int64_t off_max_ms);
/* May ages be judged by this wall time? */
bool lvn_clock_guard_check(struct lvn_clock_guard *guard, const struct lvn_clock_reading *now);
/* And is something old whose age is counted from at the latest `before_ms`? */
bool lvn_clock_guard_allows(const struct lvn_clock_guard *guard, int64_t before_ms);

#ifdef __cplusplus
}
#endif
#endif
