/* One process per fold: a crash or a failure costs that fold alone, and torch's threads are started in the children
 * only, after the fork. */
#include "base/memory.h"
#include "model/dataset/predictions.h"
#include "model/experiment/experiment.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include <sys/wait.h>
#include <unistd.h>

#define JOBS_MAX 64

enum state { STATE_WAITING, STATE_RUNNING, STATE_DONE, STATE_FAILED };

struct work {
  const struct lvn_experiment_row *row;
  unsigned fold;
  enum state state;
  pid_t pid;
  int reason_fd; /* of a running one: its error's message, at its end */
  char folder[LVN_PATH_BYTES];
  char pretrained[LVN_PATH_BYTES]; /* shared by runs that differ only in what comes after pretraining */
};

struct works {
  struct work *items;
  size_t count;
  size_t capacity;
  size_t running;
  size_t failed;
  char first_reason[sizeof((struct lvn_error *)0)->message]; /* of a fold that failed */
  const struct lvn_experiment *experiment;
  const struct lvn_train_options *options;
  const struct lvn_folds *folds;
};

static bool name_pretrained(const struct lvn_experiment_row *row, const char *output, struct work *work,
                            struct lvn_error *err) {
  LVN_AUTOFREE char *text = lvn_recipe_to_text(&row->recipe, err);
  uint8_t sha256[LVN_SHA256_BYTES];
  char digest[LVN_SHA256_TEXT_BYTES];
  if (text == NULL || !lvn_path_join(work->pretrained, output, "pretrained", err) ||
      !lvn_file_make_folder(work->pretrained, 0755, err)) {
    return false;
  }
  /* The trainer compares all that matters; this only keeps different ones from taking turns in one file. */
  char *start = strstr(text, "[pretraining]");
  char *end = start == NULL ? NULL : strstr(start, "\n\n");
  if (start == NULL || end == NULL || !lvn_sha256_of(start, (size_t)(end - start), sha256, err)) {
    return lvn_error_set(err, LVN_ERROR_INTERNAL, "a recipe without pretraining");
  }
  lvn_sha256_to_text(sha256, digest);
  LVN_AUTOFREE char *name = lvn_format(err, "pretrained/%s-%d-%.12s-fold-%u.safetensors", row->recipe.encoder,
                                       row->recipe.weights[0] != '\0', digest, work->fold);
  return name != NULL && lvn_path_join(work->pretrained, output, name, err);
}

static bool add_work(struct works *works, const struct lvn_experiment_row *row, unsigned fold, struct lvn_error *err) {
  char path[LVN_PATH_BYTES];
  struct work work = {.row = row, .fold = fold};
  for (size_t i = 0; i < works->count; i++) {
    if (works->items[i].fold == fold && strcmp(works->items[i].row->digest, row->digest) == 0) {
      return true;
    }
  }
  if (!lvn_experiment_fold_folder(row, works->options->output_folder, fold, work.folder, err) ||
      !lvn_file_make_folder(work.folder, 0755, err) || !lvn_path_join(path, work.folder, LVN_PREDICTIONS_FILE, err) ||
      !name_pretrained(row, works->options->output_folder, &work, err)) {
    return false;
  }
  if (lvn_file_exists(path)) {
    return true;
  }
  if (!lvn_grow(&works->items, &works->capacity, works->count, sizeof *works->items,
                (size_t)LVN_EXPERIMENT_ROWS_MAX * LVN_TRAIN_FOLDS_MAX, err)) {
    return false;
  }
  works->items[works->count++] = work;
  return true;
}

/* In the child; `fd` takes the reason of a failure. */
static int run_work(const struct works *works, const struct work *work, int fd) {
  struct lvn_train_test tests[LVN_EXPERIMENT_TESTS_MAX];
  struct lvn_train_summary summary;
  struct lvn_error err = {0};
  char label[LVN_EXPERIMENT_NAME_BYTES + 32];
  struct lvn_train_options options = *works->options;
  struct lvn_train_fold fold = {
      .fold = work->fold, .folds = works->folds, .tests = tests, .test_count = works->experiment->test_count};
  for (size_t i = 0; i < works->experiment->test_count; i++) {
    tests[i] = (struct lvn_train_test){works->experiment->tests[i].name, works->experiment->tests[i].folder};
  }
  (void)snprintf(label, sizeof label, "%s fold %u", work->row->name, work->fold);
  options.output_folder = work->folder;
  options.pretrained_path = work->pretrained;
  options.recipe = &work->row->recipe;
  options.resume = true;
  options.context = label;
  if (!lvn_train_fold_run(&options, &fold, &summary, &err)) {
    struct lvn_error ignored = {0};
    (void)printf("%s: failed: %s\n", label, err.message);
    (void)fflush(stdout);
    (void)!lvn_file_write_all(fd, err.message, strlen(err.message), "reason", &ignored);
    return 1;
  }
  (void)printf("%s: %zu lesions trained on, %zu tested, accuracy %.3f, images/s %.1f\n", label,
               summary.training_lesions, summary.held_out_lesions, summary.held_out_accuracy,
               summary.images_per_second);
  return fflush(stdout) == 0 ? 0 : 1;
}

/* Two that need the same encoder do not both make it. */
static bool must_wait(const struct works *works, const struct work *work) {
  bool needed = work->row->recipe.task != LVN_PRETRAIN_NONE && !lvn_file_exists(work->pretrained);
  for (size_t i = 0; needed && i < works->count; i++) {
    const struct work *other = &works->items[i];
    if (other->state == STATE_RUNNING && strcmp(other->pretrained, work->pretrained) == 0) {
      return true;
    }
  }
  return false;
}

static bool start_one(struct works *works, struct lvn_error *err) {
  for (size_t i = 0; i < works->count; i++) {
    struct work *work = &works->items[i];
    if (work->state != STATE_WAITING || must_wait(works, work)) {
      continue;
    }
    int ends[2];
    (void)fflush(NULL);
    if (pipe2(ends, O_CLOEXEC) != 0) {
      return lvn_error_set_errno(err, errno, "cannot make a pipe");
    }
    pid_t pid = fork();
    int fork_errno = errno;
    if (pid == 0) {
      _exit(run_work(works, work, ends[1])); /* allow: a forked child must not run its parent's atexit */
    }
    (void)close(ends[1]);
    if (pid < 0) {
      (void)close(ends[0]);
      return lvn_error_set_errno(err, fork_errno, "cannot start a process");
    }
    work->pid = pid;
    work->reason_fd = ends[0];
    work->state = STATE_RUNNING;
    works->running++;
    return true;
  }
  return true;
}

/* A message is shorter than a pipe holds: the child has not waited for us. */
static void note_reason(struct works *works, const struct work *work, bool good, int status) {
  char reason[sizeof works->first_reason] = "";
  ssize_t length = read(work->reason_fd, reason, sizeof reason - 1);
  reason[length > 0 ? length : 0] = '\0';
  (void)close(work->reason_fd);
  if (!good && works->first_reason[0] == '\0') {
    if (WIFSIGNALED(status)) {
      (void)snprintf(reason, sizeof reason, "stopped by signal %d", WTERMSIG(status));
    }
    (void)snprintf(works->first_reason, sizeof works->first_reason, "%s fold %u: %.400s", work->row->name, work->fold,
                   reason);
  }
}

static bool wait_one(struct works *works, struct lvn_error *err) {
  int status = 0;
  pid_t pid = waitpid(-1, &status, 0);
  if (pid < 0) {
    return errno == EINTR || lvn_error_set_errno(err, errno, "cannot wait for a process");
  }
  for (size_t i = 0; i < works->count; i++) {
    struct work *work = &works->items[i];
    if (work->state == STATE_RUNNING && work->pid == pid) {
      bool good = WIFEXITED(status) && WEXITSTATUS(status) == 0;
      note_reason(works, work, good, status);
      work->state = good ? STATE_DONE : STATE_FAILED;
      works->failed += good ? 0 : 1;
      works->running--;
    }
  }
  return true;
}

static bool run_all(struct works *works, unsigned jobs, struct lvn_error *err) {
  size_t left = works->count;
  while (left > 0) {
    size_t before = works->running;
    if (works->running < jobs) {
      if (!start_one(works, err)) {
        return false;
      }
    }
    if (works->running > before) {
      continue;
    }
    if (!wait_one(works, err)) {
      return false;
    }
    left = 0;
    for (size_t i = 0; i < works->count; i++) {
      left += works->items[i].state == STATE_WAITING || works->items[i].state == STATE_RUNNING;
    }
  }
  return works->failed == 0 || lvn_error_set(err, LVN_ERROR_DATA, "%zu of %zu folds failed; the first, %s",
                                             works->failed, works->count, works->first_reason);
}

bool lvn_experiment_run(const struct lvn_experiment *experiment, const struct lvn_train_options *options,
                        const struct lvn_folds *folds, unsigned jobs, struct lvn_error *err) {
  struct works works = {.experiment = experiment, .options = options, .folds = folds};
  bool good = jobs >= 1 && jobs <= JOBS_MAX;
  for (size_t r = 0; good && r < experiment->row_count; r++) {
    for (size_t f = 0; good && !experiment->rows[r].is_missing && f < folds->fold_count; f++) {
      good = add_work(&works, &experiment->rows[r], folds->numbers[f], err);
    }
  }
  good = good && run_all(&works, jobs, err);
  lvn_free(works.items);
  return good;
}
