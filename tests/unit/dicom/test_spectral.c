#include "dicom/read/exclusion.h"
#include "dicom/read/spectral.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

struct row {
  const char *description;
  const char *image_type;
  enum lvn_spectral expected;
};

static struct lvn_spectral_facts facts_of(const char *description, const char *image_type) {
  return (struct lvn_spectral_facts){.image_type = image_type,
                                     .series_description = description,
                                     .image_comments = "",
                                     .derivation = "",
                                     .rescale_type = "HU",
                                     .kv = 120.0,
                                     .energy_kev = NAN};
}

static void assert_kinds(const struct row *rows, size_t count) {
  for (size_t i = 0; i < count; i++) {
    char reason[LVN_TEXT_BYTES];
    const struct lvn_spectral_facts facts = facts_of(rows[i].description, rows[i].image_type);
    enum lvn_spectral found = lvn_spectral_decide(&facts, reason);
    if (found != rows[i].expected) {
      fail_msg("'%s' '%s': %d, not %d", rows[i].description, rows[i].image_type, (int)found, (int)rows[i].expected);
    }
    assert_true((reason[0] != '\0') == (found == LVN_SPECTRAL_RESERVE));
  }
}

static void test_spectral__conventional_images_are_conventional(void **state) {
  static const struct row rows[] = {
      {"Leber arteriell 3.0 Br36", "ORIGINAL\\PRIMARY\\AXIAL\\CT_SOM7 SPI DUAL", LVN_SPECTRAL_NONE},
      {"ABD PV 100 kV", "ORIGINAL\\PRIMARY\\AXIAL", LVN_SPECTRAL_NONE},
      {"kV 100 arterial DECT", "ORIGINAL\\PRIMARY\\AXIAL", LVN_SPECTRAL_NONE},
      {"DE_Abdomen F_0.5 art", "DERIVED\\PRIMARY\\AXIAL\\CT_SOM5 SPI DUAL", LVN_SPECTRAL_NONE},
      {"CT Abdomen monophasisch", "ORIGINAL\\PRIMARY\\AXIAL", LVN_SPECTRAL_NONE},
      {"Mono phase liver", "ORIGINAL\\PRIMARY\\AXIAL", LVN_SPECTRAL_NONE},
      {"Abdomen with contrast material PV", "ORIGINAL\\PRIMARY\\AXIAL", LVN_SPECTRAL_NONE},
      {"Iodine contrast arterial", "ORIGINAL\\PRIMARY\\AXIAL", LVN_SPECTRAL_NONE},
      {"w iodinated contrast, water p.o.", "ORIGINAL\\PRIMARY\\AXIAL", LVN_SPECTRAL_NONE},
      {"avec PC iodé portal", "ORIGINAL\\PRIMARY\\AXIAL", LVN_SPECTRAL_NONE},
      {"VUE AXIALE PORTAL", "ORIGINAL\\PRIMARY\\AXIAL", LVN_SPECTRAL_NONE},
      {"HAP 2.5mm water", "ORIGINAL\\PRIMARY\\AXIAL", LVN_SPECTRAL_NONE},
      {"TNC", "ORIGINAL\\PRIMARY\\AXIAL", LVN_SPECTRAL_NONE},
      {"Spectral liver Conventional[HU]", "ORIGINAL\\PRIMARY\\AXIAL", LVN_SPECTRAL_NONE},
      {"DE liver mixed 80/140", "DERIVED\\PRIMARY\\AXIAL", LVN_SPECTRAL_NONE},
      {"", "", LVN_SPECTRAL_NONE},
  };
  (void)state;
  assert_kinds(rows, sizeof rows / sizeof rows[0]);
}

static void test_spectral__other_images_are_excluded(void **state) {
  static const struct row rows[] = {
      {"MonoE 40keV[HU]", "", LVN_SPECTRAL_EXCLUDED},
      {"Monoenergetic Plus 50 keV art", "", LVN_SPECTRAL_EXCLUDED},
      {"ArtMonoE45", "", LVN_SPECTRAL_EXCLUDED},
      {"Mono+ 55", "", LVN_SPECTRAL_EXCLUDED},
      {"mono 140 keV MAR", "", LVN_SPECTRAL_EXCLUDED},
      {"VMI_60keV", "", LVN_SPECTRAL_EXCLUDED},
      {"GSI Mono 50", "", LVN_SPECTRAL_EXCLUDED},
      {"art 60 keV", "", LVN_SPECTRAL_EXCLUDED},
      {"monoénergétique 40 keV", "", LVN_SPECTRAL_EXCLUDED},
      {"动脉期 单能量50keV", "", LVN_SPECTRAL_EXCLUDED},
      {"仮想単色 40", "", LVN_SPECTRAL_EXCLUDED},
      {"виртуальная нативная", "", LVN_SPECTRAL_EXCLUDED},
      {"Arterial", "DERIVED\\PRIMARY\\AXIAL\\VMI", LVN_SPECTRAL_EXCLUDED},
      {"Arterial", "DERIVED\\PRIMARY\\AXIAL\\MONO_40KEV", LVN_SPECTRAL_EXCLUDED},
      {"Arterial", "DERIVED\\PRIMARY\\AXIAL\\MAT_SPECIFIC", LVN_SPECTRAL_EXCLUDED},
      {"Arterial", "DERIVED\\PRIMARY\\AXIAL\\MAT_REMOVED", LVN_SPECTRAL_EXCLUDED},
      {"Arterial", "DERIVED\\PRIMARY\\AXIAL\\MAT_MODIFIED", LVN_SPECTRAL_EXCLUDED},
      {"Arterial", "DERIVED\\PRIMARY\\AXIAL\\MAT_FRACTIONAL", LVN_SPECTRAL_EXCLUDED},
      {"Arterial", "DERIVED\\PRIMARY\\AXIAL\\MAT_VALUE_BASED", LVN_SPECTRAL_EXCLUDED},
      {"Arterial", "DERIVED\\PRIMARY\\AXIAL\\EFF_ATOMIC_NUM", LVN_SPECTRAL_EXCLUDED},
      {"Arterial", "DERIVED\\PRIMARY\\AXIAL\\ELECTRON_DENSITY", LVN_SPECTRAL_EXCLUDED},
      {"VNC[HU]", "", LVN_SPECTRAL_EXCLUDED},
      {"Liver PureCalcium VNCa", "", LVN_SPECTRAL_EXCLUDED},
      {"GSI VUE", "", LVN_SPECTRAL_EXCLUDED},
      {"Virtual Unenhanced", "", LVN_SPECTRAL_EXCLUDED},
      {"virtuelle Nativaufnahme", "", LVN_SPECTRAL_EXCLUDED},
      {"Iodine no Water[mg/ml]", "", LVN_SPECTRAL_EXCLUDED},
      {"Iodine(Water) art", "", LVN_SPECTRAL_EXCLUDED},
      {"Water(Iodine) art", "", LVN_SPECTRAL_EXCLUDED},
      {"HAP(Water)", "", LVN_SPECTRAL_EXCLUDED},
      {"DE Jodkarte", "", LVN_SPECTRAL_EXCLUDED},
      {"Carte d'iode", "", LVN_SPECTRAL_EXCLUDED},
      {"Mapa de yodo", "", LVN_SPECTRAL_EXCLUDED},
      {"碘密度图", "", LVN_SPECTRAL_EXCLUDED},
      {"Z Effective", "", LVN_SPECTRAL_EXCLUDED},
      {"Eff-Z", "", LVN_SPECTRAL_EXCLUDED},
      {"Rho/Z art", "", LVN_SPECTRAL_EXCLUDED},
      {"Electron Density [%EDW]", "", LVN_SPECTRAL_EXCLUDED},
      {"Uric Acid [HU]", "", LVN_SPECTRAL_EXCLUDED},
      {"Fat fraction map", "", LVN_SPECTRAL_EXCLUDED},
      {"Calcium Suppression 60", "", LVN_SPECTRAL_EXCLUDED},
      {"Iodine Overlay PV", "", LVN_SPECTRAL_EXCLUDED},
      {"SBI", "", LVN_SPECTRAL_EXCLUDED},
      {"Subtraction art - nativ", "", LVN_SPECTRAL_EXCLUDED},
  };
  (void)state;
  assert_kinds(rows, sizeof rows / sizeof rows[0]);
}

static void test_spectral__images_like_conventional_ones_are_reserves(void **state) {
  static const struct row rows[] = {
      {"Arterial Mono 70 keV", "", LVN_SPECTRAL_RESERVE},
      {"Abd Qr40 65keV", "ORIGINAL\\PRIMARY\\AXIAL", LVN_SPECTRAL_RESERVE},
      {"MonoE 74", "", LVN_SPECTRAL_RESERVE},
      {"Arterial", "DERIVED\\PRIMARY\\AXIAL\\VMI\\68KEV", LVN_SPECTRAL_RESERVE},
      {"Spectral arterial", "", LVN_SPECTRAL_RESERVE},
      {"GSI QC", "", LVN_SPECTRAL_RESERVE},
  };
  (void)state;
  assert_kinds(rows, sizeof rows / sizeof rows[0]);
}

static void test_spectral__reads_attributes(void **state) {
  char reason[LVN_TEXT_BYTES];
  struct lvn_spectral_facts facts = facts_of("Arterial", "DERIVED\\PRIMARY\\AXIAL\\VMI");
  (void)state;
  facts.energy_kev = 70.0;
  assert_int_equal(lvn_spectral_decide(&facts, reason), LVN_SPECTRAL_RESERVE);
  assert_string_equal(reason, "virtual monoenergetic image of 70 keV");
  facts.energy_kev = 50.0;
  assert_int_equal(lvn_spectral_decide(&facts, reason), LVN_SPECTRAL_EXCLUDED);
  facts = facts_of("Arterial", "");
  facts.kv = 40.0; /* an energy in the tube voltage's place */
  assert_int_equal(lvn_spectral_decide(&facts, reason), LVN_SPECTRAL_EXCLUDED);
  facts.kv = 70.0; /* a tube voltage */
  assert_int_equal(lvn_spectral_decide(&facts, reason), LVN_SPECTRAL_NONE);
  facts.kv = NAN;
  assert_int_equal(lvn_spectral_decide(&facts, reason), LVN_SPECTRAL_NONE);
  facts.rescale_type = "HU_MOD";
  assert_int_equal(lvn_spectral_decide(&facts, reason), LVN_SPECTRAL_EXCLUDED);
  facts.rescale_type = "HU";
  facts.derivation = "E = 45 keV";
  assert_int_equal(lvn_spectral_decide(&facts, reason), LVN_SPECTRAL_EXCLUDED);
}

static void test_spectral__names_tubes(void **state) {
  (void)state;
  assert_true(fabs(lvn_spectral_named_kv("DE_Art A_80kV") - 80.0) < 1e-9);
  assert_true(fabs(lvn_spectral_named_kv("B Sn140 kV") - 140.0) < 1e-9);
  assert_true(fabs(lvn_spectral_named_kv("kV 100 art") - 100.0) < 1e-9);
  assert_true(fabs(lvn_spectral_named_kv("DE_80 art") - 80.0) < 1e-9);
  assert_true(lvn_spectral_named_kv("arterial 70s 5.0") <= 0.0);
  assert_true(lvn_spectral_is_mixed("DE_Art F_0.5", ""));
  assert_true(lvn_spectral_is_mixed("Art M_0.6", ""));
  assert_true(lvn_spectral_is_mixed("blended art", ""));
  assert_false(lvn_spectral_is_mixed("DE_Art A_80kV", "ORIGINAL\\PRIMARY\\AXIAL"));
}

static void test_exclusion__perfusion_by_name_or_passes(void **state) {
  static const struct {
    const char *description;
    bool has_many_passes;
    enum lvn_exclusion expected;
  } rows[] = {
      {"Liver dynamic 3 phases", false, LVN_EXCLUSION_NONE},
      {"Liver 4D", false, LVN_EXCLUSION_NONE},
      {"Liver 4D", true, LVN_EXCLUSION_PERFUSION},
      {"Perfusion Leber", false, LVN_EXCLUSION_PERFUSION},
      {"肝灌注", false, LVN_EXCLUSION_PERFUSION},
      {"VPCT liver", false, LVN_EXCLUSION_PERFUSION},
      {"arterial", true, LVN_EXCLUSION_PERFUSION},
  };
  (void)state;
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    char reserve[LVN_TEXT_BYTES];
    const struct lvn_exclusion_traits facts = {.image_type = "ORIGINAL\\PRIMARY\\AXIAL",
                                               .series_description = rows[i].description,
                                               .protocol_name = "",
                                               .image_comments = "",
                                               .derivation = "",
                                               .rescale_type = "HU",
                                               .volume_calculation = "",
                                               .volumetric_properties = "",
                                               .kv = 120.0,
                                               .energy_kev = NAN,
                                               .is_grey = true,
                                               .normal_z = 1.0,
                                               .slice_count = 40,
                                               .position_count = 40,
                                               .has_many_passes = rows[i].has_many_passes};
    if (lvn_exclusion_decide(&facts, reserve) != rows[i].expected) {
      fail_msg("'%s': %s", rows[i].description, lvn_exclusion_name(lvn_exclusion_decide(&facts, reserve)));
    }
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_spectral__conventional_images_are_conventional),
      cmocka_unit_test(test_spectral__other_images_are_excluded),
      cmocka_unit_test(test_spectral__images_like_conventional_ones_are_reserves),
      cmocka_unit_test(test_spectral__reads_attributes),
      cmocka_unit_test(test_spectral__names_tubes),
      cmocka_unit_test(test_exclusion__perfusion_by_name_or_passes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
