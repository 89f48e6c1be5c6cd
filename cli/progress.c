#include "cli/progress.h"

#include "base/clock.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define BAR_WIDTH 30U
#define LINE_SECONDS 30.0    /* between two lines in a file */
#define REDRAW_SECONDS 0.1   /* between two drawings on a terminal */
#define SURE_AFTER_SECONDS 2 /* before that a rate says nothing */

struct lvn_progress lvn_progress_begin(const char *what, const char *unit) {
  double now = lvn_clock_monotonic_seconds();
  return (struct lvn_progress){.what = what, .unit = unit, .started_seconds = now, .shown_seconds = now};
}

void lvn_progress_format_time(double seconds, char ret_text[LVN_PROGRESS_TIME_BYTES]) {
  double minutes = round(seconds / 60.0);
  if (seconds < 99.5) {
    (void)snprintf(ret_text, LVN_PROGRESS_TIME_BYTES, "%.0f s", seconds);
  } else if (minutes < 100.0) {
    (void)snprintf(ret_text, LVN_PROGRESS_TIME_BYTES, "%.0f min", minutes);
  } else {
    double hours = floor(minutes / 60.0);
    (void)snprintf(ret_text, LVN_PROGRESS_TIME_BYTES, "%.0f h %.0f min", fmin(hours, 1e6), minutes - 60.0 * hours);
  }
}

/* "12 of 40 rows, 3.1 a minute, 9 min left", as much as is known. */
static void describe(const struct lvn_progress *progress, size_t done, size_t total, double seconds, const char *note,
                     char *text, size_t bytes) {
  char left[LVN_PROGRESS_TIME_BYTES + 16] = "";
  char rate[64] = "";
  char count[64];
  (void)snprintf(count, sizeof count, total > 0 ? "%zu of %zu" : "%zu", done, total);
  if (done > 0 && seconds > SURE_AFTER_SECONDS) {
    double per_second = (double)done / seconds;
    (void)snprintf(rate, sizeof rate, per_second >= 1.0 ? ", %.1f a second" : ", %.1f a minute",
                   per_second >= 1.0 ? per_second : 60.0 * per_second);
    if (done < total) {
      char time[LVN_PROGRESS_TIME_BYTES];
      lvn_progress_format_time((double)(total - done) / per_second, time);
      (void)snprintf(left, sizeof left, ", %s left", time);
    }
  }
  (void)snprintf(text, bytes, "%s %s%s%s%s%s", count, progress->unit, rate, left, note != NULL ? ", " : "",
                 note != NULL ? note : "");
}

static void draw(const char *text, size_t done, size_t total) {
  char bar[BAR_WIDTH + 1] = "";
  if (total > 0) {
    size_t filled = BAR_WIDTH * (done < total ? done : total) / total;
    memset(bar, '#', filled);
    memset(bar + filled, '.', BAR_WIDTH - filled);
    bar[BAR_WIDTH] = '\0';
    (void)fprintf(stderr, "\r[%s] %s\x1b[K%s", bar, text, done >= total ? "\n" : "");
  } else {
    (void)fprintf(stderr, "\r%s\x1b[K", text);
  }
}

void lvn_progress_show(struct lvn_progress *progress, size_t done, size_t total, const char *note) {
  char text[256];
  bool is_terminal = isatty(STDERR_FILENO) != 0;
  double now = lvn_clock_monotonic_seconds();
  bool is_last = is_terminal && total > 0 && done >= total;
  if (!is_last && now - progress->shown_seconds < (is_terminal ? REDRAW_SECONDS : LINE_SECONDS)) {
    return;
  }
  progress->shown_seconds = now;
  describe(progress, done, total, now - progress->started_seconds, note, text, sizeof text);
  if (is_terminal) {
    draw(text, done, total);
  } else {
    (void)fprintf(stderr, "%s: %s\n", progress->what, text);
  }
}

void lvn_progress_end(const struct lvn_progress *progress) {
  if (isatty(STDERR_FILENO) && progress->shown_seconds > progress->started_seconds) {
    (void)fputs("\r\x1b[K", stderr);
  }
}
