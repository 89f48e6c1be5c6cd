#include "daemon/pipeline/outbox/sender.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/memory.h"

/* DESIGN: `mutex` guards every field of every lane and the answers. A lane's thread sleeps on the lane's condition
 * until it has rows, sends them without the lock, then puts its answers into the common list and writes the eventfd.
 * The pipeline's thread only ever holds the lock for copying: no network wait happens under it. */

struct answer_node {
  struct answer_node *next;
  struct lvn_sender_answer answer;
};

struct lane {
  struct lvn_sender *sender;
  const struct lvn_outbox_transport *transport;
  struct lvn_outbox_route route;
  struct lvn_outbox_row *rows; /* owned while busy */
  size_t row_count;
  struct answer_node *spare; /* one for each row that is not answered yet */
  bool is_busy;
  pthread_cond_t wake;
  pthread_t thread;
};

struct lvn_sender {
  pthread_mutex_t mutex;
  int event_fd;
  bool stop;
  struct lane *lanes[LVN_OUTBOX_DESTINATIONS_MAX];
  size_t lane_count;
  struct answer_node *first;
  struct answer_node **last;
};

/* Room for every answer before anything is sent: what was sent can then always be told. */
static bool prepare_answers(struct lane *lane, struct lvn_error *err) {
  for (size_t i = 0; i < lane->row_count; i++) {
    struct answer_node *node = lvn_alloc(1, sizeof *node, err);
    if (node == NULL) {
      return false;
    }
    node->next = lane->spare;
    lane->spare = node;
  }
  return true;
}

static void drop_answers(struct lane *lane) {
  while (lane->spare != NULL) {
    struct answer_node *node = lane->spare;
    lane->spare = node->next;
    lvn_free(node);
  }
}

static void post_answer(struct lane *lane, const struct lvn_sender_answer *answer) {
  struct lvn_sender *sender = lane->sender;
  struct answer_node *node = lane->spare;
  lane->spare = node->next;
  *node = (struct answer_node){.answer = *answer};
  (void)pthread_mutex_lock(&sender->mutex);
  *sender->last = node;
  sender->last = &node->next;
  (void)pthread_mutex_unlock(&sender->mutex);
}

static void fill_answer(const struct lane *lane, const struct lvn_outbox_row *row,
                        struct lvn_sender_answer *ret_answer) {
  *ret_answer = (struct lvn_sender_answer){.outbox_id = row->outbox_id, .kind = row->kind, .attempt = row->attempt};
  (void)lvn_copy(ret_answer->destination, sizeof ret_answer->destination, lane->route.peer.name);
  (void)lvn_copy(ret_answer->study_name, sizeof ret_answer->study_name, row->study_name);
}

/* Without memory nothing is sent and nothing answered: the rows are found without a sender. */
static void send_batch(struct lane *lane) {
  struct lvn_error err = {0};
  void *link = NULL;
  double start = lvn_clock_monotonic_seconds();
  if (!prepare_answers(lane, &err)) {
    drop_answers(lane);
    return;
  }
  bool is_open = lane->transport->open(&lane->route, lane->rows, lane->row_count, &link, &err);
  bool is_alive = is_open;
  for (size_t i = 0; i < lane->row_count; i++) {
    struct lvn_sender_answer answer;
    fill_answer(lane, &lane->rows[i], &answer);
    if (is_alive) {
      is_alive = lane->transport->send(link, &lane->rows[i], &answer.said);
      if (!is_alive) {
        (void)lvn_error_set(&err, LVN_ERROR_IO, "the connection ended before it was sent: %.300s", answer.said.message);
      }
    } else {
      lvn_outbox_transport_say(&answer.said, LVN_SEND_RETRY, -1, "%s", err.message);
    }
    answer.seconds = i + 1 == lane->row_count ? lvn_clock_monotonic_seconds() - start : 0;
    post_answer(lane, &answer);
  }
  if (is_open) {
    lane->transport->close(link);
  }
}

static void *run_lane(void *pointer) {
  struct lane *lane = pointer;
  struct lvn_sender *sender = lane->sender;
  const uint64_t one = 1;
  (void)pthread_mutex_lock(&sender->mutex);
  for (;;) {
    while (!sender->stop && !lane->is_busy) {
      (void)pthread_cond_wait(&lane->wake, &sender->mutex);
    }
    if (sender->stop) {
      break;
    }
    (void)pthread_mutex_unlock(&sender->mutex);
    send_batch(lane);
    (void)pthread_mutex_lock(&sender->mutex);
    lvn_free(lane->rows);
    lane->rows = NULL;
    lane->row_count = 0;
    lane->is_busy = false;
    (void)!write(sender->event_fd, &one, sizeof one);
  }
  lane->is_busy = false;
  (void)pthread_mutex_unlock(&sender->mutex);
  return NULL;
}

bool lvn_sender_create(struct lvn_sender **ret_sender, struct lvn_error *err) {
  struct lvn_sender *sender = lvn_alloc(1, sizeof *sender, err);
  if (sender == NULL) {
    return false;
  }
  sender->last = &sender->first;
  sender->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (sender->event_fd < 0) {
    (void)lvn_error_set_errno(err, errno, "cannot make an eventfd");
    lvn_free(sender);
    return false;
  }
  (void)pthread_mutex_init(&sender->mutex, NULL);
  *ret_sender = sender;
  return true;
}

size_t lvn_sender_count_busy(const struct lvn_sender *sender) {
  size_t count = 0;
  (void)pthread_mutex_lock((pthread_mutex_t *)&sender->mutex);
  for (size_t i = 0; i < sender->lane_count; i++) {
    count += sender->lanes[i]->is_busy ? 1 : 0;
  }
  (void)pthread_mutex_unlock((pthread_mutex_t *)&sender->mutex);
  return count;
}

void lvn_sender_destroy(struct lvn_sender *sender, double seconds) {
  if (sender == NULL) {
    return;
  }
  double deadline = lvn_clock_monotonic_seconds() + seconds;
  while (lvn_sender_count_busy(sender) > 0 && lvn_clock_monotonic_seconds() < deadline) {
    lvn_clock_sleep_seconds(0.02);
  }
  (void)pthread_mutex_lock(&sender->mutex);
  sender->stop = true;
  bool is_stuck = false;
  for (size_t i = 0; i < sender->lane_count; i++) {
    is_stuck = is_stuck || sender->lanes[i]->is_busy;
    (void)pthread_cond_signal(&sender->lanes[i]->wake);
  }
  (void)pthread_mutex_unlock(&sender->mutex);
  if (is_stuck) {
    return; /* a thread inside a network wait still uses all this: it ends with the process */
  }
  for (size_t i = 0; i < sender->lane_count; i++) {
    (void)pthread_join(sender->lanes[i]->thread, NULL);
    (void)pthread_cond_destroy(&sender->lanes[i]->wake);
    lvn_free(sender->lanes[i]);
  }
  for (struct lvn_sender_answer answer; lvn_sender_take(sender, &answer);) {
  }
  (void)pthread_mutex_destroy(&sender->mutex);
  lvn_file_close_pointer(&sender->event_fd);
  lvn_free(sender);
}

int lvn_sender_get_fd(const struct lvn_sender *sender) {
  return sender->event_fd;
}

static struct lane *find_lane(const struct lvn_sender *sender, const char *destination) {
  for (size_t i = 0; i < sender->lane_count; i++) {
    if (strcmp(sender->lanes[i]->route.peer.name, destination) == 0) {
      return sender->lanes[i];
    }
  }
  return NULL;
}

bool lvn_sender_is_busy(const struct lvn_sender *sender, const char *destination) {
  (void)pthread_mutex_lock((pthread_mutex_t *)&sender->mutex);
  const struct lane *lane = find_lane(sender, destination);
  bool is_busy = lane != NULL && lane->is_busy;
  (void)pthread_mutex_unlock((pthread_mutex_t *)&sender->mutex);
  return is_busy;
}

/* Peers that were renamed leave lanes behind. */
static struct lane *find_idle_lane(struct lvn_sender *sender) {
  struct lane *idle = NULL;
  (void)pthread_mutex_lock(&sender->mutex);
  for (size_t i = 0; i < sender->lane_count && idle == NULL; i++) {
    idle = sender->lanes[i]->is_busy ? NULL : sender->lanes[i];
  }
  (void)pthread_mutex_unlock(&sender->mutex);
  return idle;
}

static struct lane *make_lane(struct lvn_sender *sender, const struct lvn_outbox_route *route, struct lvn_error *err) {
  if (sender->lane_count == LVN_OUTBOX_DESTINATIONS_MAX) {
    struct lane *idle = find_idle_lane(sender);
    if (idle == NULL) {
      (void)lvn_error_set(err, LVN_ERROR_TIMEOUT, "%d other destinations are being sent to",
                          LVN_OUTBOX_DESTINATIONS_MAX);
    }
    return idle;
  }
  struct lane *lane = lvn_alloc(1, sizeof *lane, err);
  if (lane == NULL) {
    return NULL;
  }
  lane->sender = sender;
  lane->route = *route;
  (void)pthread_cond_init(&lane->wake, NULL);
  int status = pthread_create(&lane->thread, NULL, run_lane, lane);
  if (status != 0) {
    (void)lvn_error_set_errno(err, status, "cannot start a sender thread");
    (void)pthread_cond_destroy(&lane->wake);
    lvn_free(lane);
    return NULL;
  }
  (void)pthread_mutex_lock(&sender->mutex);
  sender->lanes[sender->lane_count++] = lane;
  (void)pthread_mutex_unlock(&sender->mutex);
  return lane;
}

bool lvn_sender_post(struct lvn_sender *sender, const struct lvn_outbox_transport *transport,
                     const struct lvn_outbox_route *route, struct lvn_outbox_row *rows, size_t row_count,
                     struct lvn_error *err) {
  struct lane *lane = find_lane(sender, route->peer.name); /* only this thread adds lanes */
  if (lane == NULL) {
    lane = make_lane(sender, route, err);
  }
  if (lane == NULL) {
    return false;
  }
  (void)pthread_mutex_lock(&sender->mutex);
  bool is_free = !lane->is_busy;
  if (is_free) {
    lane->transport = transport;
    lane->route = *route;
    lane->rows = rows;
    lane->row_count = row_count;
    lane->is_busy = true;
    (void)pthread_cond_signal(&lane->wake);
  }
  (void)pthread_mutex_unlock(&sender->mutex);
  return is_free || lvn_error_set(err, LVN_ERROR_INTERNAL, "destination '%s' is busy", route->peer.name);
}

bool lvn_sender_take(struct lvn_sender *sender, struct lvn_sender_answer *ret_answer) {
  uint64_t ignored = 0;
  (void)pthread_mutex_lock(&sender->mutex);
  (void)!read(sender->event_fd, &ignored, sizeof ignored);
  struct answer_node *node = sender->first;
  if (node != NULL) {
    sender->first = node->next;
    if (sender->first == NULL) {
      sender->last = &sender->first;
    }
  }
  (void)pthread_mutex_unlock(&sender->mutex);
  if (node == NULL) {
    return false;
  }
  *ret_answer = node->answer;
  lvn_free(node);
  return true;
}
