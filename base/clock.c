#include "base/clock.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>

int64_t lvn_clock_wall_ms(void) {
  struct timespec now;
  (void)clock_gettime(CLOCK_REALTIME, &now);
  return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

double lvn_clock_monotonic_seconds(void) {
  struct timespec now;
  (void)clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

void lvn_clock_sleep_seconds(double seconds) {
  struct timespec rest = {.tv_sec = (time_t)seconds};
  rest.tv_nsec = (long)((seconds - (double)rest.tv_sec) * 1e9);
  while (clock_nanosleep(CLOCK_MONOTONIC, 0, &rest, &rest) == EINTR) {
  }
}

/* `format`, and the milliseconds behind it after a point. */
static size_t format_time(const struct tm *parts, int64_t wall_ms, const char *format,
                          char ret_text[LVN_TIME_TEXT_BYTES]) {
  size_t used = strftime(ret_text, LVN_TIME_TEXT_BYTES, format, parts);
  return used + (size_t)snprintf(ret_text + used, LVN_TIME_TEXT_BYTES - used, ".%03d", (int)(wall_ms % 1000));
}

static struct tm local_time(int64_t wall_ms) {
  struct tm parts = {0};
  time_t seconds = (time_t)(wall_ms / 1000);
  (void)localtime_r(&seconds, &parts);
  return parts;
}

void lvn_clock_format_utc(int64_t wall_ms, char ret_text[LVN_TIME_TEXT_BYTES]) {
  struct tm parts;
  time_t seconds = (time_t)(wall_ms / 1000);
  (void)gmtime_r(&seconds, &parts);
  size_t used = format_time(&parts, wall_ms, "%Y-%m-%dT%H:%M:%S", ret_text);
  (void)snprintf(ret_text + used, LVN_TIME_TEXT_BYTES - used, "Z");
}

void lvn_clock_format_da(int64_t wall_ms, char ret_text[LVN_TIME_TEXT_BYTES]) {
  const struct tm parts = local_time(wall_ms);
  (void)strftime(ret_text, LVN_TIME_TEXT_BYTES, "%Y%m%d", &parts);
}

void lvn_clock_format_tm(int64_t wall_ms, char ret_text[LVN_TIME_TEXT_BYTES]) {
  const struct tm parts = local_time(wall_ms);
  size_t used = format_time(&parts, wall_ms, "%H%M%S", ret_text);
  (void)snprintf(ret_text + used, LVN_TIME_TEXT_BYTES - used, "000");
}

void lvn_clock_format_dt(int64_t wall_ms, char ret_text[LVN_TIME_TEXT_BYTES]) {
  const struct tm parts = local_time(wall_ms);
  size_t used = format_time(&parts, wall_ms, "%Y%m%d%H%M%S", ret_text);
  (void)strftime(ret_text + used, LVN_TIME_TEXT_BYTES - used, "000%z", &parts);
}

void lvn_clock_format_people(int64_t wall_ms, char ret_text[LVN_TIME_TEXT_BYTES]) {
  const struct tm parts = local_time(wall_ms);
  (void)strftime(ret_text, LVN_TIME_TEXT_BYTES, "%Y-%m-%d %H:%M:%S", &parts);
}
