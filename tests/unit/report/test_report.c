/* The page: escaped, whole, and made also of answers that leave most figures undefined. */
#include "base/file.h"
#include "base/memory.h"
#include "model/report/markup.h"
#include "model/report/plot.h"
#include "model/report/report.h"
#include "model/tensor/json.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/scratch.h"

#define SAMPLES ((size_t)LVN_CROP_SIDE * LVN_CROP_SIDE)

static void test_plot__round_steps(void **state) {
  (void)state;
  assert_true(fabs(lvn_plot_step(1.0, 6) - 0.2) < 1e-12);
  assert_true(fabs(lvn_plot_step(200.0, 6) - 50.0) < 1e-9);
  assert_true(fabs(lvn_plot_step(0.0005, 6) - 0.0001) < 1e-15);
}

static void test_plot__is_svg_and_takes_undefined_points(void **state) {
  (void)state;
  static const struct lvn_plot_axes axes = {"A <title> & more", "x", "y", 0, 1, 0, 1};
  const double x[3] = {0, 0.5, 1};
  const double y[3] = {0, NAN, 1};
  struct lvn_error err = {0};
  LVN_AUTOFREE unsigned char *svg = NULL;
  size_t bytes = 0;
  struct lvn_plot *plot = lvn_plot_create(400, 300, &axes, &err);
  assert_non_null(plot);
  lvn_plot_line(plot, 0, "a line", x, y, 3);
  lvn_plot_points(plot, 0, x, y, 3);
  lvn_plot_draw_legend(plot, LVN_PLOT_ABOVE);
  assert_true(lvn_plot_finish(plot, &svg, &bytes, &err));
  lvn_plot_destroy(plot);
  assert_true(bytes > 500 && memcmp(svg, "<?xml", 5) == 0);
  assert_non_null(memmem(svg, bytes, "</svg>", 6));
  assert_null(memmem(svg, bytes, "nan", 3));
}

static void test_markup__escapes_and_encodes(void **state) {
  (void)state;
  LVN_AUTOFREE char *text = NULL;
  size_t bytes = 0;
  char number[LVN_MARKUP_NUMBER_BYTES];
  FILE *stream = open_memstream(&text, &bytes);
  lvn_markup_text(stream, "<b a=\"1\">&");
  lvn_markup_image(stream, "image/png", "Man", 3, 10, "d");
  lvn_markup_image(stream, "image/png", "Ma", 2, 10, "d");
  lvn_markup_image(stream, "image/png", "M", 1, 10, "d");
  assert_int_equal(fclose(stream), 0);
  assert_int_equal(strncmp(text, "&lt;b a=&quot;1&quot;&gt;&amp;", 30), 0);
  assert_non_null(strstr(text, "base64,TWFu\"")); /* RFC 4648's own kind of example */
  assert_non_null(strstr(text, "base64,TWE=\""));
  assert_non_null(strstr(text, "base64,TQ==\""));
  assert_string_equal(lvn_markup_number(NAN, number), "–");
  assert_string_equal(lvn_markup_interval(0.5, (struct lvn_interval){0.25, 0.75}, number), "0.500 (0.250–0.750)");
}

static struct lvn_case_prediction_picture make_picture(void) {
  struct lvn_error err = {0};
  struct lvn_case_prediction_picture picture = {.hounsfield = lvn_alloc(3 * SAMPLES, sizeof(int16_t), &err),
                                                .mask = lvn_alloc(SAMPLES, 1, &err)};
  assert_true(picture.hounsfield != NULL && picture.mask != NULL);
  for (int c = 0; c < LVN_CLASS_PAPER_COUNT; c++) {
    picture.heat[c] = lvn_alloc(SAMPLES, sizeof(float), &err);
    assert_non_null(picture.heat[c]);
  }
  picture.mask[100 * LVN_CROP_SIDE + 100] = 1;
  return picture;
}

/* One wrong cyst: a single class, a single fold, no area under any curve. */
static struct lvn_case_predictions make_answers(void) {
  struct lvn_error err = {0};
  struct lvn_case_predictions answers = {
      .classes = LVN_CLASSES_PAPER, .lesion_count = 1, .slice_count = 1, .wrong_count = 1};
  answers.lesions = lvn_alloc(1, sizeof *answers.lesions, &err);
  answers.slices = lvn_alloc(1, sizeof *answers.slices, &err);
  assert_true(answers.lesions != NULL && answers.slices != NULL);
  struct lvn_case_prediction *answer = &answers.lesions[0];
  *answer = (struct lvn_case_prediction){.lesion_id = "lesion-1",
                                         .patient_key = "patient-1",
                                         .truth = LVN_CLASS_CYST,
                                         .top_class = LVN_CLASS_HCC,
                                         .probability = {0.2, 0.1, 0.6, 0.1},
                                         .abstained = true,
                                         .abstention_reason = "<script>alert(1)</script>",
                                         .long_axis_mm = 12,
                                         .slice_thickness_mm = NAN,
                                         .slice_count = 1};
  memcpy(answers.slices[0].probability, answer->probability, sizeof answer->probability);
  answers.wrong[0] = make_picture();
  return answers;
}

static char *write_page(const char *trained_on, const json_t *manifest) {
  char path[512];
  struct lvn_error err = {0};
  struct lvn_case_predictions answers = make_answers();
  struct lvn_evaluation evaluation = {0};
  struct lvn_dataset_writer *writer = NULL;
  struct lvn_dataset *dataset = NULL;
  struct lvn_package package = {.name = "a<b", .version = "1.0.0", .manifest = (json_t *)manifest};
  const struct lvn_evaluation_options options = {.resamples = 10, .seed = 1, .feature_distance_limit = INFINITY};
  uint8_t *text = NULL;
  size_t bytes = 0;
  (void)lvn_copy(package.trained_on, sizeof package.trained_on, trained_on);
  package.recipe.window_high_hu = 250;
  (void)scratch_make(path);
  assert_true(lvn_dataset_writer_open(path, trained_on, &writer, &err) && lvn_dataset_writer_close(writer, &err));
  assert_true(lvn_dataset_open(path, &dataset, &err));
  assert_true(lvn_evaluation_run(&answers, &options, &evaluation, &err));
  const struct lvn_evaluation_subject subject = {.answers = &answers,
                                                 .evaluation = &evaluation,
                                                 .dataset = dataset,
                                                 .packages = &package,
                                                 .package_count = 1,
                                                 .device = "cpu"};
  assert_true(lvn_report_write(&subject, path, &err));
  (void)strncat(path, "/" LVN_REPORT_FILE, sizeof path - strlen(path) - 1);
  assert_true(lvn_file_read(path, 1U << 26U, &text, &bytes, &err));
  lvn_dataset_close(dataset);
  lvn_evaluation_clear(&evaluation);
  lvn_case_predictions_clear(&answers);
  return (char *)text;
}

static void test_report__page_of_one_lesion(void **state) {
  (void)state;
  LVN_CLEANUP(lvn_json_cleanup)
  json_t *manifest =
      json_pack("{s:{s:s,s:[{s:s,s:f,s:n},{s:s,s:f,s:n},{s:s,s:f,s:f}]}}", "training", "recipe",
                "[network]\nencoder = <x>\n", "history", "task", "phase shuffle", "loss", 1.7, "validation", "task",
                "training", "loss", 1.2, "validation", "task", "training", "loss", 0.8, "validation", 0.5);
  assert_non_null(manifest);
  LVN_AUTOFREE char *page = write_page("a hospital", manifest);
  assert_null(strstr(page, "<script"));
  assert_non_null(strstr(page, "&lt;script&gt;alert(1)"));
  assert_non_null(strstr(page, "a&lt;b 1.0.0"));
  assert_non_null(strstr(page, "encoder = &lt;x&gt;"));
  assert_non_null(strstr(page, "Training loss"));
  assert_non_null(strstr(page, "Pretraining loss"));
  assert_non_null(strstr(page, "Held-out accuracy while training"));
  assert_null(strstr(page, "Held out while pretraining")); /* the epoch has no such figure */
  assert_null(strstr(page, "not on patients"));
  assert_null(strstr(page, "://"));
  assert_non_null(strstr(page, "</html>"));
}

static void test_report__says_phantoms(void **state) {
  (void)state;
  LVN_CLEANUP(lvn_json_cleanup) json_t *manifest = json_object();
  LVN_AUTOFREE char *page = write_page("synthetic phantoms", manifest);
  assert_non_null(strstr(page, "on synthetic phantoms, not on patients"));
  assert_non_null(strstr(page, "no history of its training"));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_plot__round_steps),
      cmocka_unit_test(test_plot__is_svg_and_takes_undefined_points),
      cmocka_unit_test(test_markup__escapes_and_encodes),
      cmocka_unit_test(test_report__page_of_one_lesion),
      cmocka_unit_test(test_report__says_phantoms),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
