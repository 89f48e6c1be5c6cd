/* The table and the picture of a training's epochs. */
#include "base/file.h"
#include "base/memory.h"
#include "model/report/history.h"

#include <cairo.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/scratch.h"

static char folder[SCRATCH_BYTES];
static char package[SCRATCH_BYTES + 16];
static struct lvn_error err;

static int set_up(void **state) {
  (void)state;
  (void)scratch_make(folder);
  (void)snprintf(package, sizeof package, "%s/package/", folder);
  return 0;
}

static void add(struct lvn_history *history, const char *task, unsigned number, double loss, double validation) {
  struct lvn_history_epoch epoch = {.number = number,
                                    .side = 64,
                                    .loss = loss,
                                    .learning_rate = 0.001,
                                    .validation = validation,
                                    .images_per_second = 12.5,
                                    .seconds = 3.0};
  (void)lvn_copy(epoch.task, sizeof epoch.task, task);
  assert_true(lvn_history_add(history, &epoch, &err));
}

static void assert_table(const char *expected) {
  char path[SCRATCH_BYTES + 32];
  uint8_t *data = NULL;
  size_t bytes = 0;
  (void)snprintf(path, sizeof path, "%s/package.history.csv", folder);
  assert_true(lvn_file_read(path, 10000, &data, &bytes, &err));
  assert_string_equal((const char *)data, expected);
  lvn_free(data);
}

#define HEADER "task,epoch,side,loss,learning_rate,validation,images_per_second,seconds\n"

/* Share of pixels that are not white. */
static double share_drawn(void) {
  char path[SCRATCH_BYTES + 32];
  (void)snprintf(path, sizeof path, "%s/package.history.png", folder);
  cairo_surface_t *surface = cairo_image_surface_create_from_png(path);
  assert_int_equal(cairo_surface_status(surface), CAIRO_STATUS_SUCCESS);
  int width = cairo_image_surface_get_width(surface);
  int height = cairo_image_surface_get_height(surface);
  int stride = cairo_image_surface_get_stride(surface);
  const unsigned char *pixels = cairo_image_surface_get_data(surface);
  size_t drawn = 0;
  for (int y = 0; y < height; y++) {
    for (int x = 0; x < width; x++) {
      const unsigned char *pixel = pixels + (size_t)y * (size_t)stride + 4 * (size_t)x;
      drawn += pixel[0] < 250 || pixel[1] < 250 || pixel[2] < 250 ? 1 : 0;
    }
  }
  cairo_surface_destroy(surface);
  return (double)drawn / ((double)width * height);
}

static void test_history__is_written_after_every_epoch(void **state) {
  struct lvn_history *history = NULL;
  (void)state;
  assert_true(lvn_history_create(package, /* resume= */ false, &history, &err));
  add(history, "phase shuffle", 1, 1.7918, 0.25);
  assert_table(HEADER "phase shuffle,1,64,1.7918,0.001,0.25,12.5,3\n");
  double before = share_drawn();
  assert_in_range((long)(1e6 * before), 1000, 200000);
  add(history, "training", 1, 1.4, (double)NAN);
  add(history, "training", 2, 1.1, 0.5);
  assert_table(HEADER "phase shuffle,1,64,1.7918,0.001,0.25,12.5,3\ntraining,1,64,1.4,0.001,,12.5,3\n"
                      "training,2,64,1.1,0.001,0.5,12.5,3\n");
  assert_true(share_drawn() > before); /* a line more */
  lvn_history_destroy(history);
}

static void test_history__goes_on_after_an_interruption(void **state) {
  struct lvn_history *history = NULL;
  (void)state;
  assert_true(lvn_history_create(package, /* resume= */ false, &history, &err));
  add(history, "training", 1, 1.4, 0.25);
  add(history, "training", 2, 1.3, 0.25);
  add(history, "training", 3, 1.2, 0.25);
  lvn_history_destroy(history);
  assert_true(lvn_history_create(package, /* resume= */ true, &history, &err));
  add(history, "training", 2, 1.25, 0.5); /* the checkpoint was of the first epoch */
  assert_table(HEADER "training,1,64,1.4,0.001,0.25,12.5,3\ntraining,2,64,1.25,0.001,0.5,12.5,3\n");
  lvn_history_destroy(history);
  assert_true(lvn_history_create(package, /* resume= */ false, &history, &err)); /* begun anew */
  add(history, "training", 1, 1.0, (double)NAN);
  assert_table(HEADER "training,1,64,1,0.001,,12.5,3\n");
  lvn_history_destroy(history);
}

static void test_history__a_table_of_another_make_is_no_reason_not_to_train(void **state) {
  struct lvn_history *history = NULL;
  char path[SCRATCH_BYTES + 32];
  static const char *const texts[] = {"", "a,b\n1,2\n", HEADER "training", HEADER ",,,\n,\n\n",
                                      HEADER "training,x,y\n"};
  (void)state;
  (void)snprintf(path, sizeof path, "%s/package.history.csv", folder);
  for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
    assert_true(lvn_file_replace(path, texts[i], strlen(texts[i]), 0644, &err));
    assert_true(lvn_history_create(package, /* resume= */ true, &history, &err));
    add(history, "training", 1, 1.0, (double)NAN);
    assert_table(HEADER "training,1,64,1,0.001,,12.5,3\n");
    lvn_history_destroy(history);
  }
}

static void test_history__a_folder_that_is_not_there_is_an_error(void **state) {
  struct lvn_history *history = NULL;
  struct lvn_history_epoch epoch = {.task = "training", .number = 1, .loss = 1.0};
  (void)state;
  assert_true(lvn_history_create("/nowhere/at/all", /* resume= */ false, &history, &err));
  assert_false(lvn_history_add(history, &epoch, &err));
  assert_int_equal(err.code, LVN_ERROR_IO);
  lvn_history_destroy(history);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup(test_history__is_written_after_every_epoch, set_up),
      cmocka_unit_test_setup(test_history__goes_on_after_an_interruption, set_up),
      cmocka_unit_test_setup(test_history__a_table_of_another_make_is_no_reason_not_to_train, set_up),
      cmocka_unit_test_setup(test_history__a_folder_that_is_not_there_is_an_error, set_up),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
