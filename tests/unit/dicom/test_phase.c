/* Contrast phases from words, times, attributes and the aorta's HU. The description strings are of the kinds that
 * scanners and technologists write. */
#include "base/memory.h"
#include "dicom/read/phase.h"
#include "dicom/read/phase_internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <math.h>
#include <string.h>

#define MAX 10

struct set {
  struct lvn_stack stacks[MAX];
  struct lvn_phase_image images[MAX];
  struct lvn_phase_candidate candidates[MAX];
  struct lvn_phase_verdict verdicts[MAX];
  size_t count;
  char sentence[LVN_TEXT_BYTES];
};

static struct lvn_stack *add(struct set *set, int number, const char *description, double seconds, double aorta_hu) {
  size_t i = set->count++;
  struct lvn_stack *stack = &set->stacks[i];
  *stack = (struct lvn_stack){.series_number = number,
                              .acquisition_seconds = seconds,
                              .contrast_start_seconds = -1,
                              .acquisition_number = -1,
                              .slice_thickness_mm = 5,
                              .slice_count = 60};
  stack->grid.size[2] = 60;
  stack->grid.spacing_mm[2] = 5;
  assert_true(lvn_copy(stack->series_description, sizeof stack->series_description, description));
  set->images[i] = (struct lvn_phase_image){.aorta_found = aorta_hu > 0, .aorta_hu = aorta_hu, .elsewhere_hu = NAN};
  set->candidates[i] = (struct lvn_phase_candidate){.stack = stack, .image = aorta_hu > 0 ? &set->images[i] : NULL};
  return stack;
}

static void recognise(struct set *set) {
  struct lvn_error err = {0};
  assert_true(lvn_phase_recognise(set->candidates, set->count, "", set->verdicts, set->sentence, &err));
  for (size_t i = 0; i < set->count; i++) {
    double sum = 0.0;
    for (int p = 0; p < LVN_PHASE_COUNT; p++) {
      sum += set->verdicts[i].probability[p];
    }
    assert_true(fabs(sum - 1.0) < 1e-9);
  }
}

static void expect(const struct set *set, const char *phases) {
  char found[128] = "";
  for (size_t i = 0; i < set->count; i++) {
    size_t used = strlen(found);
    (void)lvn_copy(found + used, sizeof found - used, lvn_phase_name(set->verdicts[i].phase));
    used = strlen(found);
    (void)lvn_copy(found + used, sizeof found - used, i + 1 < set->count ? " " : "");
  }
  assert_string_equal(found, phases);
}

static const struct {
  const char *description;
  const char *phase;
} table[] = {
    {"Abdomen non-con 5.0", "NC"},
    {"WITHOUT CONTRAST", "NC"},
    {"ABD W/O", "NC"},
    {"ax w/o iv contrast", "NC"},
    {"Abd_Pre_Contrast_3.0_B30f", "NC"},
    {"PLAIN", "NC"},
    {"Leber nativ 5.0 Br40", "NC"},
    {"Abdomen NATIV", "NC"},
    {"unenhanced liver", "NC"},
    {"ABDO SANS INJECTION", "NC"},
    {"Abdo sans IV", "NC"},
    {"Oberbauch ohne KM", "NC"},
    {"SIN CONTRASTE", "NC"},
    {"abdomen simple", "NC"},
    {"SENZA MDC", "NC"},
    {"basale addome", "NC"},
    {"Fegato basale 3mm", "NC"},
    {"腹部平扫", "NC"},
    {"平扫 5mm", "NC"},
    {"単純CT", "NC"},
    {"造影前", "NC"},
    {"단순", "NC"},
    {"C-", "NC"},
    {"Liver C- 5mm", "NC"},
    {"NCCT Abdomen", "NC"},
    {"sem contraste", "NC"},
    {"blanco lever", "NC"},
    {"бесконтрастная фаза", "NC"},
    {"НАТИВНАЯ ФАЗА", "NC"},
    {"bez kontrastu", "NC"},
    {"không tiêm", "NC"},
    {"ARTERIAL PHASE", "ART"},
    {"Abd ART 1.5mm", "ART"},
    {"late arterial", "ART"},
    {"LATE ART 35S", "ART"},
    {"early arterial liver", "ART"},
    {"Leber spätarteriell 3.0", "ART"},
    {"Sp\xc3\xa4t-art. Leber", "ART"},
    {"Leber fruehart", "ART"},
    {"temps artériel", "ART"},
    {"ART\xc3\x89RIEL 2mm", "ART"},
    {"fase arteriosa", "ART"},
    {"fase arterial tardía", "ART"},
    {"arterieel lever", "ART"},
    {"HAP 3mm", "ART"},
    {"ArtPhase 1.0", "ART"},
    {"动脉期", "ART"},
    {"動脈相", "ART"},
    {"增强 动脉期 1mm", "ART"},
    {"동맥기", "ART"},
    {"thì động mạch", "ART"},
    {"Артериальная фаза", "ART"},
    {"faza tętnicza", "ART"},
    {"Artärfas", "ART"},
    {"PORTAL VENOUS", "PV"},
    {"Abdomen portal-venous 5.0", "PV"},
    {"PVP 70s", "PV"},
    {"CT_LIVER_PV_2mm", "PV"},
    {"Leber portalven\xc3\xb6s", "PV"},
    {"Leber portalvenös 3.0 Br36", "PV"},
    {"portovenous phase", "PV"},
    {"temps portal", "PV"},
    {"temps veineux portal", "PV"},
    {"fase portale", "PV"},
    {"venoso 70s", "PV"},
    {"Abdomen venös 5.0", "PV"},
    {"veneuze fase", "PV"},
    {"venous 70 sec", "PV"},
    {"门静脉期", "PV"},
    {"门脉期 1.25mm", "PV"},
    {"静脉期", "PV"},
    {"門脈相", "PV"},
    {"門靜脈期", "PV"},
    {"문맥기", "PV"},
    {"thì tĩnh mạch cửa", "PV"},
    {"Портальная фаза", "PV"},
    {"venfas", "PV"},
    {"DELAYED", "DL"},
    {"Delay 3min", "DL"},
    {"delayed 5 min kidneys", "DL"},
    {"LATE PHASE", "DL"},
    {"equilibrium", "DL"},
    {"excretory", "DL"},
    {"Leber spät 5.0", "DL"},
    {"temps tardif", "DL"},
    {"fase tardiva", "DL"},
    {"fase tardía", "DL"},
    {"延迟期", "DL"},
    {"延遲期", "DL"},
    {"平衡相", "DL"},
    {"지연기", "DL"},
    {"opóźniona", "DL"},
    {"Ａｒｔｅｒｉａｌ", "ART"},
    {"delay 35 s", "ART"},
    {"delay 70s", "PV"},
    {"35s", "ART"},
    /* no phase is named: the answer is "undecided" */
    {"", "none"},
    {"Abdomen 5.0 B30f", "none"},
    {"CT AP", "none"},
    {"Abdomen pre und post KM", "none"},
    {"ABD W WO CONTRAST", "none"},
    {"with contrast", "none"},
    {"C+", "none"},
    {"C5 spine soft", "none"},
    {"Smart prep", "none"},
    {"cartilage 1.0", "none"},
    {"arterial and portal venous", "none"},
    {"prevention study", "none"},
    {"0.5 s rotation", "none"},
    {"\xff\xfe broken \xc3", "none"},
};

static void test_phase__descriptions(void **unused) {
  (void)unused;
  int wrong = 0;
  for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
    struct set set = {0};
    add(&set, 2, table[i].description, -1, 0);
    recognise(&set);
    if (strcmp(lvn_phase_name(set.verdicts[0].phase), table[i].phase) != 0) {
      print_message("\"%s\" gives %s, not %s\n", table[i].description, lvn_phase_name(set.verdicts[0].phase),
                    table[i].phase);
      wrong++;
    }
  }
  assert_int_equal(wrong, 0);
}

static void test_phase__normalise(void **unused) {
  (void)unused;
  char text[64];
  lvn_phase_normalise("Spät_ART (w/o) C+ Ñandú", text, sizeof text);
  assert_string_equal(text, " spat art wo cplus nandu ");
  lvn_phase_normalise("", text, sizeof text);
  assert_string_equal(text, " ");
  char tiny[8];
  lvn_phase_normalise("a very long description", tiny, sizeof tiny);
  assert_true(strlen(tiny) < sizeof tiny);
}

static void test_phase__usual_study(void **unused) {
  (void)unused;
  struct set set = {0};
  add(&set, 2, "Leber nativ", 36000, 42);
  add(&set, 3, "Leber arteriell", 36300, 310);
  add(&set, 4, "Leber portalvenös", 36338, 150);
  add(&set, 5, "Leber spät", 36520, 105);
  recognise(&set);
  expect(&set, "NC ART PV DL");
  assert_string_equal(set.sentence, "");
  for (size_t i = 0; i < set.count; i++) {
    assert_true(set.verdicts[i].chosen);
    assert_true(set.verdicts[i].evidence_count >= 2);
  }
  assert_string_equal(set.verdicts[1].evidence[0].text, "series description says \"arter\"");
}

static void test_phase__times_and_images_without_words(void **unused) {
  (void)unused;
  struct set set = {0};
  add(&set, 4, "Abd 5.0", 36338, 150);
  add(&set, 2, "Abd 5.0", 36000, 42);
  add(&set, 3, "Abd 5.0", 36300, 310);
  recognise(&set);
  expect(&set, "PV NC ART");
  assert_string_equal(set.sentence, "");
}

static void test_phase__injection_time(void **unused) {
  (void)unused;
  struct set set = {0};
  /* across midnight */
  add(&set, 2, "Abd", 86000, 0)->contrast_start_seconds = -1;
  add(&set, 3, "Abd", 8, 0)->contrast_start_seconds = 86373;
  add(&set, 4, "Abd", 46, 0)->contrast_start_seconds = 86373;
  recognise(&set);
  assert_int_equal(set.verdicts[1].phase, LVN_PHASE_ART);
  assert_int_equal(set.verdicts[2].phase, LVN_PHASE_PV);
  assert_string_equal(set.verdicts[1].evidence[0].text, "35 s after the injection");
  /* the time the scanner copied into the series before the injection */
  struct set copied = {0};
  add(&copied, 2, "Abd", 36000, 0)->contrast_start_seconds = 36200;
  recognise(&copied);
  expect(&copied, "NC");
}

static void test_phase__enhanced_attribute(void **unused) {
  (void)unused;
  static const struct {
    const char *term;
    const char *phase;
  } terms[] = {{"PRE_CONTRAST", "NC"}, {"ARTERIAL", "ART"},       {"PORTAL_VENOUS", "PV"},
               {"DELAYED", "DL"},      {"POST_CONTRAST", "none"}, {"NONSENSE", "none"}};
  for (size_t i = 0; i < sizeof terms / sizeof terms[0]; i++) {
    struct set set = {0};
    struct lvn_stack *stack = add(&set, 2, "", -1, 0);
    assert_true(lvn_copy(stack->enhanced_agent_phase, sizeof stack->enhanced_agent_phase, terms[i].term));
    recognise(&set);
    expect(&set, terms[i].phase);
  }
}

static void test_phase__thin_and_thick_are_one_phase(void **unused) {
  (void)unused;
  struct set set = {0};
  add(&set, 2, "nativ 5.0", 36000, 42);
  add(&set, 3, "art 8.0", 36300, 300)->slice_thickness_mm = 8;
  add(&set, 4, "Abd 3.0", 36300.5, 302)->slice_thickness_mm = 3;
  add(&set, 5, "Lunge art 1.0", 36300, 301)->slice_thickness_mm = 1;
  add(&set, 6, "ven 5.0", 36340, 152);
  assert_true(lvn_copy(set.stacks[3].kernel, sizeof set.stacks[3].kernel, "B70f"));
  recognise(&set);
  expect(&set, "NC ART ART ART PV");
  assert_false(set.verdicts[1].chosen);
  assert_true(set.verdicts[2].chosen); /* 3 mm, soft */
  assert_false(set.verdicts[3].chosen);
  assert_string_equal(set.sentence, "");
}

static void test_phase__short_series_is_not_chosen(void **unused) {
  (void)unused;
  struct set set = {0};
  add(&set, 3, "arterial", 36300, 300)->grid.size[2] = 10;
  add(&set, 4, "arterial", 36300, 300);
  recognise(&set);
  assert_false(set.verdicts[0].chosen);
  assert_true(set.verdicts[1].chosen);
}

static void test_phase__sentences(void **unused) {
  (void)unused;
  struct set two = {0};
  add(&two, 2, "nativ", 36000, 42);
  add(&two, 3, "portal venous", 36340, 150);
  add(&two, 4, "portal venous", 36352, 152);
  recognise(&two);
  assert_string_equal(two.sentence, "waiting for the arterial phase: series 3 and 4 both look portal-venous");
  struct set none = {0};
  recognise(&none);
  assert_string_equal(none.sentence, "waiting for the non-contrast, arterial and portal-venous phases: no CT series "
                                     "that makes a volume has arrived");
  struct set one = {0};
  add(&one, 2, "nativ", 36000, 42);
  add(&one, 3, "portal", 36340, 150);
  recognise(&one);
  assert_string_equal(one.sentence, "waiting for the arterial phase: no series of it has arrived");
  struct set unknown = {0};
  add(&unknown, 2, "nativ", -1, 0);
  add(&unknown, 3, "portal", -1, 0);
  add(&unknown, 7, "Abd C+", -1, 0);
  recognise(&unknown);
  assert_int_equal(unknown.verdicts[2].phase, LVN_PHASE_NONE);
  assert_non_null(strstr(unknown.sentence, "waiting for the arterial phase: series 7 could be"));
}

static void test_phase__label_against_image(void **unused) {
  (void)unused;
  struct set set = {0};
  add(&set, 2, "nativ", 36000, 42);
  add(&set, 3, "arterial", 36300, 44);
  add(&set, 4, "portal venous", 36340, 150);
  recognise(&set);
  assert_int_equal(set.verdicts[1].phase, LVN_PHASE_NONE);
  assert_string_equal(set.sentence,
                      "waiting for the arterial phase: series 3 is labelled arterial but its image looks non-contrast");
}

static void test_phase__label_that_the_clock_bears_out_stands_against_the_image(void **unused) {
  (void)unused;
  struct set set = {0};
  (void)add(&set, 2, "nativ", 35900, 42);
  struct lvn_stack *arterial = add(&set, 3, "arterial", 36034, 44); /* muscle taken for the aorta */
  struct lvn_stack *portal = add(&set, 4, "portal venous", 36070, 150);
  arterial->contrast_start_seconds = 36000;
  portal->contrast_start_seconds = 36000;
  recognise(&set);
  expect(&set, "NC ART PV");
  /* a wrong protocol sets text and agent alike: no witness */
  arterial->contrast_start_seconds = -1;
  portal->contrast_start_seconds = -1;
  assert_true(lvn_copy(arterial->contrast_agent, sizeof arterial->contrast_agent, "iomeprol"));
  assert_true(lvn_copy(portal->contrast_agent, sizeof portal->contrast_agent, "iomeprol"));
  recognise(&set);
  assert_int_equal(set.verdicts[1].phase, LVN_PHASE_NONE);
  arterial->contrast_start_seconds = 36000;
  arterial->acquisition_seconds = 36300; /* the clock speaks against the label */
  recognise(&set);
  assert_int_not_equal(set.verdicts[1].phase, LVN_PHASE_ART);
}

/* A series that names no injection was acquired before or after the one that the others name. */
static void test_phase__injection_of_other_series_is_a_witness(void **unused) {
  (void)unused;
  struct set set = {0};
  struct lvn_stack *native = add(&set, 2, "nativ", 35900, 152); /* a vertebra taken for the aorta */
  struct lvn_stack *arterial = add(&set, 3, "arterial", 36034, 300);
  struct lvn_stack *portal = add(&set, 4, "portal venous", 36070, 150);
  assert_true(lvn_copy(arterial->contrast_agent, sizeof arterial->contrast_agent, "iomeprol"));
  assert_true(lvn_copy(portal->contrast_agent, sizeof portal->contrast_agent, "iomeprol"));
  recognise(&set);
  assert_int_equal(set.verdicts[0].phase, LVN_PHASE_NONE); /* label and agent may be one wrong protocol */
  arterial->contrast_start_seconds = 36000;
  portal->contrast_start_seconds = 36001;
  recognise(&set);
  expect(&set, "NC ART PV");
  /* the label is wrong: acquired with contrast agent, whatever it says */
  native->acquisition_seconds = 36220;
  recognise(&set);
  assert_int_not_equal(set.verdicts[0].phase, LVN_PHASE_NC);
  /* two injections: which one is not known */
  native->acquisition_seconds = 35900;
  portal->contrast_start_seconds = 36020;
  recognise(&set);
  assert_int_equal(set.verdicts[0].phase, LVN_PHASE_NONE);
}

static void test_phase__equal_aorta_says_nothing(void **unused) {
  (void)unused;
  struct set set = {0};
  add(&set, 2, "nativ", 36000, 150);
  add(&set, 3, "arterial", 36300, 150);
  add(&set, 4, "portal venous", 36340, 151);
  recognise(&set);
  expect(&set, "NC ART PV");
  for (size_t i = 0; i < set.count; i++) {
    for (size_t e = 0; e < set.verdicts[i].evidence_count; e++) {
      assert_null(strstr(set.verdicts[i].evidence[e].text, "aorta"));
    }
  }
}

static void test_phase__shared_protocol_says_nothing(void **unused) {
  (void)unused;
  struct set set = {0};
  for (int i = 0; i < 2; i++) {
    struct lvn_stack *stack = add(&set, 2 + i, "Abd", -1, 0);
    assert_true(lvn_copy(stack->protocol_name, sizeof stack->protocol_name, "Leber arteriell"));
  }
  recognise(&set);
  expect(&set, "none none");
}

static void test_phase__evidence_quotes_only_keywords(void **unused) {
  (void)unused;
  struct set set = {0};
  add(&set, 2, "MUSTERMANN portal venous 1950", -1, 0);
  recognise(&set);
  for (size_t e = 0; e < set.verdicts[0].evidence_count; e++) {
    assert_null(strcasestr(set.verdicts[0].evidence[e].text, "muster"));
    assert_null(strstr(set.verdicts[0].evidence[e].text, "1950"));
  }
}

/* More acquisitions than one pass could judge at once: their order in time holds all the same. */
static void test_phase__many_candidates(void **unused) {
  (void)unused;
  struct set set = {0};
  static const double seconds[MAX] = {36430, 36000, 36050, 36335, 36010, 36300, 36370, 36900, 36020, 36910};
  static const double aorta[MAX] = {0, 42, 0, 300, 0, 0, 150, 0, 0, 105};
  for (int i = 0; i < MAX; i++) {
    add(&set, i, i == 3 ? "arterial" : (i == 6 ? "portal venous" : "Abd"), seconds[i], aorta[i]);
  }
  recognise(&set);
  for (int i = 0; i < MAX; i++) { /* nothing before the arterial phase can be later than it, nor the other way round */
    double early = set.verdicts[i].probability[LVN_PHASE_NC] + set.verdicts[i].probability[LVN_PHASE_ART];
    double late = set.verdicts[i].probability[LVN_PHASE_PV] + set.verdicts[i].probability[LVN_PHASE_DL];
    assert_true(seconds[i] < 36335 ? early > 0.95 : (seconds[i] > 36335 ? late > 0.95 : early > 0.95));
  }
  expect(&set, "DL NC NC ART NC NC PV DL NC DL");
}

static void test_phase__one_acquisition_under_two_labels(void **unused) {
  (void)unused;
  struct set set = {0};
  add(&set, 2, "nativ", 36000, 42);
  add(&set, 3, "arterial", 36300, 150);
  add(&set, 4, "portal venous", 36340, 150);
  set.candidates[2].same_images_as = &set.stacks[1];
  recognise(&set);
  assert_string_equal(set.sentence, "waiting for the arterial and portal-venous phases: series 3 and 4 hold the same "
                                    "images but are labelled arterial and portal-venous");
  /* not the same pixels, but the same time: another kernel */
  set.candidates[2].same_images_as = NULL;
  set.stacks[2].acquisition_seconds = 36301;
  recognise(&set);
  assert_string_equal(set.sentence, "waiting for the arterial and portal-venous phases: series 3 and 4 were acquired "
                                    "at the same time but are labelled arterial and portal-venous");
  /* labels that do not contradict: one series, and the other phase is missing */
  set.candidates[2].same_images_as = &set.stacks[1];
  set.stacks[2].acquisition_seconds = 36340;
  assert_true(lvn_copy(set.stacks[1].series_description, LVN_TEXT_BYTES, "Abd"));
  recognise(&set);
  assert_int_equal(set.verdicts[1].phase, set.verdicts[2].phase);
  assert_true(set.verdicts[1].chosen != set.verdicts[2].chosen);
  assert_string_equal(set.sentence, "waiting for the arterial phase: series 3 and 4 hold the same images");
}

static void test_phase__time_copied_to_all_series_says_nothing(void **unused) {
  (void)unused;
  struct set set = {0};
  add(&set, 2, "nativ", 0, 42);
  add(&set, 3, "arterial", 0, 300);
  add(&set, 4, "portal venous", 0, 150)->contrast_start_seconds = 0;
  recognise(&set);
  expect(&set, "NC ART PV");
  assert_string_equal(set.sentence, "");
  set.images[1].aorta_hu = 152; /* the images do not bear the labels out */
  recognise(&set);
  assert_non_null(strstr(set.sentence, "were acquired at the same time but are labelled"));
}

static void test_phase__position_is_half_a_witness(void **unused) {
  (void)unused;
  struct set set = {0};
  add(&set, 2, "nativ", 36000, 42);
  add(&set, 3, "arterial", 36300, 300);
  add(&set, 4, "portal venous", 36340, 41);
  recognise(&set);
  assert_string_equal(set.sentence, "waiting for the portal-venous phase: series 4 is labelled portal-venous but its "
                                    "image looks non-contrast");
  set.images[2].aorta_by_position = true;
  set.images[2].elsewhere_hu = 167;
  recognise(&set);
  expect(&set, "NC ART PV");
  bool said = false;
  for (size_t e = 0; e < set.verdicts[2].evidence_count; e++) {
    said = said || strstr(set.verdicts[2].evidence[e].text, "elsewhere with 167 HU") != NULL;
  }
  assert_true(said);
}

static void test_phase__excluded_series_are_named(void **unused) {
  (void)unused;
  struct lvn_error err = {0};
  struct set set = {0};
  add(&set, 2, "nativ", 36000, 42);
  add(&set, 4, "portal venous", 36340, 150);
  assert_true(lvn_phase_recognise(set.candidates, set.count, "series 3 has no rescale values: its numbers are no HU",
                                  set.verdicts, set.sentence, &err));
  assert_string_equal(set.sentence,
                      "waiting for the arterial phase: series 3 has no rescale values: its numbers are no HU");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_phase__descriptions),
      cmocka_unit_test(test_phase__normalise),
      cmocka_unit_test(test_phase__usual_study),
      cmocka_unit_test(test_phase__times_and_images_without_words),
      cmocka_unit_test(test_phase__injection_time),
      cmocka_unit_test(test_phase__enhanced_attribute),
      cmocka_unit_test(test_phase__thin_and_thick_are_one_phase),
      cmocka_unit_test(test_phase__short_series_is_not_chosen),
      cmocka_unit_test(test_phase__sentences),
      cmocka_unit_test(test_phase__label_against_image),
      cmocka_unit_test(test_phase__label_that_the_clock_bears_out_stands_against_the_image),
      cmocka_unit_test(test_phase__injection_of_other_series_is_a_witness),
      cmocka_unit_test(test_phase__equal_aorta_says_nothing),
      cmocka_unit_test(test_phase__shared_protocol_says_nothing),
      cmocka_unit_test(test_phase__evidence_quotes_only_keywords),
      cmocka_unit_test(test_phase__many_candidates),
      cmocka_unit_test(test_phase__one_acquisition_under_two_labels),
      cmocka_unit_test(test_phase__time_copied_to_all_series_says_nothing),
      cmocka_unit_test(test_phase__position_is_half_a_witness),
      cmocka_unit_test(test_phase__excluded_series_are_named),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
