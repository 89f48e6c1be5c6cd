#include "daemon/pipeline/shared/tick.h"

#include "base/clock.h"

#include <stdarg.h>
#include <stdio.h>

int64_t lvn_tick_now_ms(void) {
  return (int64_t)(1000.0 * lvn_clock_monotonic_seconds());
}

void lvn_tick_at(int64_t *io_due_ms, int64_t at_ms) {
  if (at_ms < *io_due_ms) {
    *io_due_ms = at_ms;
  }
}

void lvn_trouble_set(struct lvn_trouble *trouble, int64_t *io_due_ms, int64_t delay_ms, const char *format, ...) {
  va_list args;
  va_start(args, format);
  (void)vsnprintf(trouble->text, sizeof trouble->text, format, args);
  va_end(args);
  trouble->retry_ms = lvn_tick_now_ms() + delay_ms;
  lvn_tick_at(io_due_ms, trouble->retry_ms);
}

bool lvn_trouble_holds(struct lvn_trouble *trouble, int64_t *io_due_ms) {
  if (trouble->text[0] == '\0' || trouble->retry_ms <= lvn_tick_now_ms()) {
    trouble->text[0] = '\0';
    return false;
  }
  lvn_tick_at(io_due_ms, trouble->retry_ms);
  return true;
}

void lvn_stage_count(struct lvn_stage *stage, double seconds) {
  stage->seconds += seconds > 0 ? seconds : 0;
  stage->count++;
}
