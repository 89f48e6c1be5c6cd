#include "daemon/pipeline/shared/errands.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/memory.h"

/* DESIGN: a thread touches its errand and, at its end, its own place's is_done and the eventfd: nothing else is shared,
 * so there is no lock. */

struct place {
  struct lvn_errands *errands;
  struct lvn_errand *errand; /* NULL: free */
  atomic_bool is_done;
  pthread_t thread;
};

struct lvn_errands {
  int event_fd;
  struct place places[LVN_ERRANDS_MAX];
};

void lvn_errand_end(struct lvn_errand *errand) {
  __atomic_store_n(&errand->is_ended, 1, __ATOMIC_SEQ_CST);
}

bool lvn_errand_is_ended(const struct lvn_errand *errand) {
  return __atomic_load_n(&errand->is_ended, __ATOMIC_SEQ_CST) != 0;
}

bool lvn_errands_create(struct lvn_errands **ret_errands, struct lvn_error *err) {
  struct lvn_errands *errands = lvn_alloc(1, sizeof *errands, err);
  if (errands == NULL) {
    return false;
  }
  errands->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (errands->event_fd < 0) {
    (void)lvn_error_set_errno(err, errno, "cannot make an eventfd");
    lvn_free(errands);
    return false;
  }
  *ret_errands = errands;
  return true;
}

int lvn_errands_get_fd(const struct lvn_errands *errands) {
  return errands->event_fd;
}

struct lvn_errand *lvn_errands_find(const struct lvn_errands *errands, const char *name) {
  for (size_t i = 0; i < LVN_ERRANDS_MAX; i++) {
    const struct place *place = &errands->places[i];
    if (place->errand != NULL && strcmp(place->errand->name, name) == 0) {
      return place->errand;
    }
  }
  return NULL;
}

bool lvn_errands_is_busy(const struct lvn_errands *errands, const char *name) {
  return lvn_errands_find(errands, name) != NULL;
}

size_t lvn_errands_count_busy(const struct lvn_errands *errands) {
  size_t count = 0;
  for (size_t i = 0; i < LVN_ERRANDS_MAX; i++) {
    count += errands->places[i].errand != NULL ? 1 : 0;
  }
  return count;
}

static void *run(void *pointer) {
  struct place *place = pointer;
  const int event_fd = place->errands->event_fd;
  const uint64_t one = 1;
  place->errand->run(place->errand);
  atomic_store(&place->is_done, true);
  (void)!write(event_fd, &one, sizeof one);
  return NULL;
}

bool lvn_errands_start(struct lvn_errands *errands, struct lvn_errand *errand, struct lvn_error *err) {
  struct place *place = NULL;
  for (size_t i = 0; i < LVN_ERRANDS_MAX && place == NULL; i++) {
    place = errands->places[i].errand == NULL ? &errands->places[i] : NULL;
  }
  if (place == NULL || lvn_errands_is_busy(errands, errand->name)) {
    return lvn_error_set(err, LVN_ERROR_CONFLICT, "'%s' is being called already, or too many others are", errand->name);
  }
  place->errands = errands;
  place->errand = errand;
  atomic_store(&place->is_done, false);
  const int status = pthread_create(&place->thread, NULL, run, place);
  if (status != 0) {
    place->errand = NULL;
    return lvn_error_set_errno(err, status, "cannot start a thread");
  }
  return true;
}

struct lvn_errand *lvn_errands_take(struct lvn_errands *errands) {
  uint64_t ignored = 0;
  (void)!read(errands->event_fd, &ignored, sizeof ignored);
  for (size_t i = 0; i < LVN_ERRANDS_MAX; i++) {
    struct place *place = &errands->places[i];
    if (place->errand != NULL && atomic_load(&place->is_done)) {
      struct lvn_errand *errand = place->errand;
      (void)pthread_join(place->thread, NULL);
      place->errand = NULL;
      return errand;
    }
  }
  return NULL;
}

void lvn_errands_destroy(struct lvn_errands *errands, double seconds) {
  if (errands == NULL) {
    return;
  }
  const double until = lvn_clock_monotonic_seconds() + seconds;
  for (size_t i = 0; i < LVN_ERRANDS_MAX; i++) {
    if (errands->places[i].errand != NULL) {
      lvn_errand_end(errands->places[i].errand);
    }
  }
  for (;;) {
    struct lvn_errand *errand = lvn_errands_take(errands);
    if (errand != NULL) {
      errand->destroy(errand);
    } else if (lvn_errands_count_busy(errands) == 0) {
      break;
    } else if (lvn_clock_monotonic_seconds() > until) {
      return; /* a thread inside a network wait still uses all this: it ends with the process */
    } else {
      lvn_clock_sleep_seconds(0.02);
    }
  }
  lvn_file_close_pointer(&errands->event_fd);
  lvn_free(errands);
}
