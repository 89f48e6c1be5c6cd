/* How far a long command is: a bar on a terminal, elsewhere a line now and then. To standard error, so that what a
 * command prints can be piped. Belongs to one thread. */
#ifndef LVN_CLI_PROGRESS_H
#define LVN_CLI_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

struct lvn_progress {
  const char *what; /* borrowed: the command */
  const char *unit; /* borrowed: "lesions" */
  double started_seconds;
  double shown_seconds;
};

struct lvn_progress lvn_progress_begin(const char *what, const char *unit);
/* `total` 0: not known. `note`: something more, or NULL. At the end of the work with done == total. */
void lvn_progress_show(struct lvn_progress *progress, size_t done, size_t total, const char *note);
/* For a terminal: what is printed next begins on a line of its own. After the last lvn_progress_show() of work that
 * failed, or whose total was not known. */
void lvn_progress_end(const struct lvn_progress *progress);
/* "42 s", "7 min", "3 h 20 min". */
#define LVN_PROGRESS_TIME_BYTES 48U
void lvn_progress_format_time(double seconds, char ret_text[LVN_PROGRESS_TIME_BYTES]);

#ifdef __cplusplus
}
#endif
#endif
