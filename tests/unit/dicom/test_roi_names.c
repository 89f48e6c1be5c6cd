#include "dicom/read/roi_names.h"
#include "dicom/read/roi_time.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define UNNAMED LVN_ROI_UNNAMED
#define UNKNOWN LVN_ROI_UNKNOWN
#define LESION LVN_ROI_LESION
#define ORGAN LVN_ROI_ORGAN
#define MARGIN LVN_ROI_MARGIN
#define HELPER LVN_ROI_HELPER
#define ELSEWHERE LVN_ROI_ELSEWHERE

struct named {
  const char *label;
  enum lvn_roi_meaning meaning;
};

static void check(const struct named *rows, size_t count) {
  size_t wrong = 0;
  for (size_t i = 0; i < count; i++) {
    char word[LVN_ROI_WORD_BYTES];
    enum lvn_roi_meaning meaning = lvn_roi_name_meaning(rows[i].label, word);
    if (meaning != rows[i].meaning) {
      print_error("'%s' is read as %d (%s), not %d\n", rows[i].label, (int)meaning, word, (int)rows[i].meaning);
      wrong++;
    }
  }
  assert_int_equal(wrong, 0);
}

static void test_roi_names__knows_lesions(void **state) {
  (void)state;
  static const struct named rows[] = {
      {"liver lesion", LESION},
      {"Liver-Lesion-1", LESION},
      {"liver_tumor", LESION},
      {"Leberläsion", LESION},
      {"LEBERLAESION 2", LESION},
      {"liver tumour", LESION},
      {"hepatic metastasis", LESION},
      {"GTV_liver", LESION},
      {"GTVp", LESION},
      {"GTV1", LESION},
      {"gtv_5400", LESION},
      {"GTV-1", LESION},
      {"IVC GTV", LESION},
      {"Lesion 1 liver seg VIII", LESION},
      {"HCC", LESION},
      {"HCC_S8", LESION},
      {"hcc seg 7", LESION},
      {"Tumor", LESION},
      {"TUMORS", LESION},
      {"Zyste", LESION},
      {"Leberzyste S4", LESION},
      {"S4 lesion", LESION},
      {"targetLesion", LESION},
      {"Target lesion 2", LESION},
      {"Lesion 12 mm", LESION},
      {"Lésion hépatique", LESION},
      {"tumeur du foie", LESION},
      {"lesión hígado", LESION},
      {"quiste hepático", LESION},
      {"lesione fegato", LESION},
      {"lesão hepática", LESION},
      {"kyste", LESION},
      {"Raumforderung Leber", LESION},
      {"Rundherd", LESION},
      {"Leberherd", LESION},
      {"zmiana ogniskowa", LESION},
      {"гемангиома", LESION},
      {"очаг в печени", LESION},
      {"киста печени", LESION},
      {"肝癌", LESION},
      {"肝囊肿", LESION},
      {"肝臓腫瘍", LESION},
      {"病灶1", LESION},
      {"간 종양", LESION},
      {"Hemangioma", LESION},
      {"Haemangioma S6", LESION},
      {"FNH", LESION},
      {"focal nodular hyperplasia", LESION},
      {"adenoma", LESION},
      {"Liver nodule", LESION},
      {"Mass", LESION},
      {"hepatic mass", LESION},
      {"mets", LESION},
      {"breast metastasis liver", LESION},
      {"colorectal metastasis", LESION},
      {"Neoplasm, Primary", LESION},
      {"rim enhancing lesion", LESION},
      {"ring enhancing lesion", LESION},
      {"hypodense area liver", LESION},
      {"abnormal focus", LESION},
      {"lesion near gallbladder", LESION},
      {"HCC adjacent to right kidney", LESION},
      {"Lesion at colon flexure", LESION},
      {"LI-RADS 5", LESION},
      {"cholangiocarcinoma", LESION},
      {"abscess", LESION},
      {"tumor mask", LESION},
      {"GTV 60Gy", LESION},
  };
  check(rows, sizeof rows / sizeof rows[0]);
}

static void test_roi_names__knows_organs(void **state) {
  (void)state;
  static const struct named rows[] = {
      {"Liver", ORGAN},
      {"LIVER 1", ORGAN},
      {"livers", ORGAN},
      {"Leber", ORGAN},
      {"foie", ORGAN},
      {"Hígado", ORGAN},
      {"fegato", ORGAN},
      {"печень", ORGAN},
      {"肝臓", ORGAN},
      {"肝", ORGAN},
      {"liver_segment_4", ORGAN},
      {"Liver S8", ORGAN},
      {"Couinaud IVa", ORGAN},
      {"liver_vessels", ORGAN},
      {"hepatic vessels", ORGAN},
      {"portal_vein_and_splenic_vein", ORGAN},
      {"left_kidney", ORGAN},
      {"Kidney left", ORGAN},
      {"Kidney_L", ORGAN},
      {"Kidneys", ORGAN},
      {"Niere re", ORGAN},
      {"GreatVes", ORGAN},
      {"SpinalCord", ORGAN},
      {"SpinalCanal", ORGAN},
      {"spinal cord", ORGAN},
      {"Bowel_Small", ORGAN},
      {"BowelBag", ORGAN},
      {"Bag_Bowel", ORGAN},
      {"A_Aorta", ORGAN},
      {"A_Celiac", ORGAN},
      {"A_Hypophyseal_S", ORGAN},
      {"V_Venacava_I", ORGAN},
      {"V_Azygos", ORGAN},
      {"LN_Neck_II_L", ORGAN},
      {"Glnd_Adrenal_R", ORGAN},
      {"Chestwall", ORGAN},
      {"Chestwall_L", ORGAN},
      {"Duodenum", ORGAN},
      {"Stomach", ORGAN},
      {"CaudaEquina", ORGAN},
      {"BileDuct_Common", ORGAN},
      {"GallBladder", ORGAN},
      {"gall bladder", ORGAN},
      {"Gallenblase", ORGAN},
      {"Milz", ORGAN},
      {"rate", ORGAN},
      {"Heart", ORGAN},
      {"Lungs", ORGAN},
      {"Lung_L", ORGAN},
      {"lung_lower_lobe_right", ORGAN},
      {"Esophagus", ORGAN},
      {"oesophagus", ORGAN},
      {"vertebrae_L1", ORGAN},
      {"vertebraeT12", ORGAN},
      {"VB_T11", ORGAN},
      {"rib_left_4", ORGAN},
      {"Rib_R_9", ORGAN},
      {"costal_cartilages", ORGAN},
      {"sternum", ORGAN},
      {"clavicula_left", ORGAN},
      {"scapula_right", ORGAN},
      {"humerus_left", ORGAN},
      {"femur_right", ORGAN},
      {"hip_left", ORGAN},
      {"sacrum", ORGAN},
      {"autochthon_left", ORGAN},
      {"iliopsoas_right", ORGAN},
      {"gluteus_maximus_left", ORGAN},
      {"skeletal_muscle", ORGAN},
      {"subcutaneous_fat", ORGAN},
      {"atrial_appendage_left", ORGAN},
      {"heart_ventricle_left", ORGAN},
      {"brachiocephalic_trunk", ORGAN},
      {"subclavian_artery_right", ORGAN},
      {"common_carotid_artery_left", ORGAN},
      {"superior_vena_cava", ORGAN},
      {"inferior_vena_cava", ORGAN},
      {"IVC", ORGAN},
      {"iliac_vena_left", ORGAN},
      {"pulmonary_vein", ORGAN},
      {"thyroid_gland", ORGAN},
      {"trachea", ORGAN},
      {"urinary_bladder", ORGAN},
      {"prostate", ORGAN},
      {"small_bowel", ORGAN},
      {"colon", ORGAN},
      {"adrenal_gland_right", ORGAN},
      {"pancreas", ORGAN},
      {"brain", ORGAN},
      {"skull", ORGAN},
      {"Lymph node", ORGAN},
      {"Anatomical Structure", ORGAN},
      {"Organ", ORGAN},
      {"Lobe_Frontal_L", ORGAN},
      {"Spc_Bowel", ORGAN},
      {"CN_VI_L", ORGAN},
      {"Scalp", ORGAN},
      {"Wall_Vagina", ORGAN},
      {"主动脉", ORGAN},
      {"脾臓", ORGAN},
      {"胆囊", ORGAN},
      {"селезенка", ORGAN},
  };
  check(rows, sizeof rows / sizeof rows[0]);
}

static void test_roi_names__knows_helpers_and_margins(void **state) {
  (void)state;
  static const struct named rows[] = {
      {"PTV", MARGIN},
      {"PTV_5000", MARGIN},
      {"PTV-GTV1", MARGIN},
      {"PTVLiver", MARGIN},
      {"CTV", MARGIN},
      {"CTV HCC", MARGIN},
      {"ITV", MARGIN},
      {"IGTV", MARGIN},
      {"PGTV", MARGIN},
      {"GTV+5mm", MARGIN},
      {"GTV_3mm", MARGIN},
      {"HCC + 5 mm", MARGIN},
      {"GTV_exp", MARGIN},
      {"zRind", HELPER},
      {"zPTV", HELPER},
      {"zz_ring", HELPER},
      {"zzGTV", HELPER},
      {"z_Liver", HELPER},
      {"Ring_2cm", HELPER},
      {"GTV ring", HELPER},
      {"Rind 5 mm", HELPER},
      {"tumor margin", HELPER},
      {"optPTV", HELPER},
      {"opt_liver", HELPER},
      {"Avoid", HELPER},
      {"avoidance", HELPER},
      {"SpinalCord_PRV", HELPER},
      {"SpinalCord_PRV05", HELPER},
      {"Dose 30[%]", HELPER},
      {"Isodose 50", HELPER},
      {"95%", HELPER},
      {"50Gy", HELPER},
      {"Couch", HELPER},
      {"CouchSurface", HELPER},
      {"External", HELPER},
      {"BODY", HELPER},
      {"BODY 1", HELPER},
      {"body_trunc", HELPER},
      {"Skin", HELPER},
      {"Contour", HELPER},
      {"Contour externe", HELPER},
      {"Aussenkontur", HELPER},
      {"patient outline", HELPER},
      {"Bolus", HELPER},
      {"Fiducial 2", HELPER},
      {"liver-GTV", HELPER},
      {"Liver - GTV", HELPER},
      {"Lungs–ITV", HELPER},
      {"Liver-(GTV+CTV)", HELPER},
      {"liver minus tumor", HELPER},
      {"Leber ohne Tumor", HELPER},
      {"foie sans tumeur", HELPER},
      {"liver w/o GTV", HELPER},
      {"NormalLiver", HELPER},
      {"healthy liver", HELPER},
      {"nontumor liver", HELPER},
      {"tumor bed", HELPER},
      {"background", HELPER},
      {"Eval", HELPER},
      {"SurgicalBed", HELPER},
      {"kidney cyst", ELSEWHERE},
      {"kidney_cyst_left", ELSEWHERE},
      {"Nierenzyste links", ELSEWHERE},
      {"lung nodule", ELSEWHERE},
      {"adrenal adenoma", ELSEWHERE},
      {"bone metastasis", ELSEWHERE},
      {"lymph node metastasis", ELSEWHERE},
      {"splenic cyst", ELSEWHERE},
  };
  check(rows, sizeof rows / sizeof rows[0]);
}

static void test_roi_names__admits_what_it_does_not_know(void **state) {
  (void)state;
  static const struct named rows[] = {
      {"", UNNAMED},
      {"ROI 3", UNNAMED},
      {"ROI-1", UNNAMED},
      {"roi_12", UNNAMED},
      {"Segment_1", UNNAMED},
      {"Segment 4", UNNAMED},
      {"Structure1", UNNAMED},
      {"Struct_7", UNNAMED},
      {"Contour 2", UNNAMED},
      {"Unnamed", UNNAMED},
      {"Region of interest", UNNAMED},
      {"1", UNNAMED},
      {"A", UNNAMED},
      {"VII", UNNAMED},
      {"S8", UNNAMED},
      {"L1", UNNAMED},
      {"Tissue", UNNAMED},
      {"New ROI", UNNAMED},
      {"freehand 2", UNNAMED},
      {"dome", UNKNOWN},
      {"Right lobe", UNKNOWN},
      {"Bobinski", UNKNOWN},
      {"biopsy", UNKNOWN},
      {"Ziel", UNKNOWN},
      {"segm. anterior", UNKNOWN},
  };
  check(rows, sizeof rows / sizeof rows[0]);
}

static void test_roi_names__says_which_word(void **state) {
  char word[LVN_ROI_WORD_BYTES];
  (void)state;
  assert_int_equal(lvn_roi_name_meaning("Left_Liver of a patient named Smith", word), ORGAN);
  assert_string_equal(word, "liver");
  assert_int_equal(lvn_roi_name_meaning("Smith", word), UNKNOWN);
  assert_string_equal(word, "");
}

/* A label of any length and any bytes. */
static void test_roi_names__survives_odd_labels(void **state) {
  char word[LVN_ROI_WORD_BYTES];
  char label[5000];
  (void)state;
  memset(label, '1', sizeof label);
  for (size_t i = 0; i < sizeof label; i += 2) {
    label[i] = 'x';
  }
  label[sizeof label - 1] = '\0';
  assert_int_equal(lvn_roi_name_meaning(label, word), UNNAMED);
  memset(label, '-', sizeof label - 1);
  assert_int_equal(lvn_roi_name_meaning(label, word), UNNAMED);
  for (size_t i = 0; i + 1 < sizeof label; i++) {
    label[i] = (char)(i % 255 + 1);
  }
  (void)lvn_roi_name_meaning(label, word);
  assert_true(strlen(word) < sizeof word);
}

static void test_roi_names__knows_types_and_codes(void **state) {
  (void)state;
  assert_int_equal(lvn_roi_type_meaning("GTV"), LESION);
  assert_int_equal(lvn_roi_type_meaning("PTV"), MARGIN);
  assert_int_equal(lvn_roi_type_meaning("ORGAN"), ORGAN);
  assert_int_equal(lvn_roi_type_meaning("AVOIDANCE"), HELPER);
  assert_int_equal(lvn_roi_type_meaning("IRRAD_VOLUME"), HELPER);
  assert_int_equal(lvn_roi_type_meaning(""), UNNAMED);
  assert_int_equal(lvn_roi_code_meaning("SCT", "49755003"), LESION);
  assert_int_equal(lvn_roi_code_meaning("SCT", "123037004"), ORGAN);
  assert_int_equal(lvn_roi_code_meaning("SRT", "T-D000A"), ORGAN);
  assert_int_equal(lvn_roi_code_meaning("SRT", "T-62000"), ORGAN);
  assert_int_equal(lvn_roi_code_meaning("SRT", "M-01000"), LESION);
  assert_int_equal(lvn_roi_code_meaning("SRT", "T-D0050"), UNKNOWN);
  assert_int_equal(lvn_roi_code_meaning("SCT", "85756007"), UNKNOWN);
  assert_int_equal(lvn_roi_code_meaning("SCT", "260787004"), HELPER);
  assert_int_equal(lvn_roi_code_meaning("99LOCAL", "49755003"), UNKNOWN);
}

static void test_roi_time__orders_by_zone_and_fraction(void **state) {
  (void)state;
  assert_true(lvn_roi_time_compare("20260101120000", "20260101115959", "") > 0);
  assert_true(lvn_roi_time_compare("20260101120000.5", "20260101120000.25", "") > 0);
  assert_int_equal(lvn_roi_time_compare("20260101120000.50", "20260101120000.500000", ""), 0);
  assert_true(lvn_roi_time_compare("20260101120000+0200", "20260101110000+0000", "") < 0);
  assert_true(lvn_roi_time_compare("20260101003000+0900", "20251231160000-0500", "") < 0);
  assert_int_equal(lvn_roi_time_compare("20260301000000-0100", "20260301010000+0000", ""), 0);
  assert_int_equal(lvn_roi_time_compare("20260101120000", "20260101120000.0+0900", "+0900"), 0);
  assert_true(lvn_roi_time_compare("", "19000101000000", "") < 0);
  assert_int_equal(lvn_roi_time_compare("2026", "", ""), 0);
  assert_string_equal(lvn_roi_time_zone("20260101120000.25-0430"), "-0430");
  assert_string_equal(lvn_roi_time_zone("20260101120000-04"), "");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_roi_names__knows_lesions),
      cmocka_unit_test(test_roi_names__knows_organs),
      cmocka_unit_test(test_roi_names__knows_helpers_and_margins),
      cmocka_unit_test(test_roi_names__admits_what_it_does_not_know),
      cmocka_unit_test(test_roi_names__says_which_word),
      cmocka_unit_test(test_roi_names__survives_odd_labels),
      cmocka_unit_test(test_roi_names__knows_types_and_codes),
      cmocka_unit_test(test_roi_time__orders_by_zone_and_fraction),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
