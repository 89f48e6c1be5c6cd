/* Time: wall clock for what people read and what is stored, monotonic for what is measured. */
#ifndef LVN_BASE_CLOCK_H
#define LVN_BASE_CLOCK_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LVN_TIME_TEXT_BYTES 32

int64_t lvn_clock_wall_ms(void);              /* milliseconds since 1970-01-01 UTC */
double lvn_clock_monotonic_seconds(void);     /* never goes back; only differences mean something */
void lvn_clock_sleep_seconds(double seconds); /* the whole time, also when signals arrive */

/* "2026-11-22T03:30:00.123Z" */
void lvn_clock_format_utc(int64_t wall_ms, char ret_text[LVN_TIME_TEXT_BYTES]);

/* DICOM DA "20261122", TM "043000.123000" and DT "20261122043000.123000+0100" of a wall time (PS3.5 6.2), in this
 * machine's local time: scanners write theirs so, and a result must not seem older than its images. */
void lvn_clock_format_da(int64_t wall_ms, char ret_text[LVN_TIME_TEXT_BYTES]);
void lvn_clock_format_tm(int64_t wall_ms, char ret_text[LVN_TIME_TEXT_BYTES]);
void lvn_clock_format_dt(int64_t wall_ms, char ret_text[LVN_TIME_TEXT_BYTES]);
/* "2026-11-22 04:30:00", local too */
void lvn_clock_format_people(int64_t wall_ms, char ret_text[LVN_TIME_TEXT_BYTES]);

#ifdef __cplusplus
}
#endif
#endif
