/* Data sets in JSON and XML, as the standard's examples and servers write them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "dicom/web/model.h"

static struct lvn_error err;

static json_t *parse(const char *type, const char *body) {
  json_t *datasets = NULL;
  if (!lvn_model_parse(type, body, strlen(body), &datasets, &err)) {
    assert_int_equal(err.code, LVN_ERROR_PROTOCOL);
    return NULL;
  }
  return datasets;
}

static void check_store_answer(const json_t *datasets) {
  char text[80];
  assert_int_equal(json_array_size(datasets), 1);
  const json_t *dataset = json_array_get(datasets, 0);
  const json_t *failed = lvn_model_get_items(dataset, "00081198");
  const json_t *stored = lvn_model_get_items(dataset, "00081199");
  assert_int_equal(json_array_size(failed), 2);
  assert_int_equal(json_array_size(stored), 1);
  assert_true(lvn_model_get_text(json_array_get(failed, 0), "00081155", text, sizeof text));
  assert_string_equal(text, "2.16.124.113543.6003.189642796.63084.16748.2599092903");
  assert_int_equal(lvn_model_get_integer(json_array_get(failed, 0), "00081197", -1), 272);
  assert_int_equal(lvn_model_get_integer(json_array_get(failed, 1), "00081197", -1), 290);
  assert_int_equal(lvn_model_get_integer(json_array_get(stored, 0), "00081196", -1), 45056);
  assert_true(lvn_model_get_text(dataset, "00081190", text, sizeof text));
  assert_false(lvn_model_get_text(dataset, "00081198", text, sizeof text));
}

static void test_model__store_answer_in_json(void **state) {
  (void)state;
  LVN_AUTOJSON json_t *datasets =
      parse("application/dicom+json; charset=utf-8",
            "{\"00081190\":{\"vr\":\"UR\",\"Value\":[\"https://pacs/studies/1\"]},"
            "\"00081198\":{\"vr\":\"SQ\",\"Value\":["
            "{\"00081155\":{\"vr\":\"UI\",\"Value\":[\"2.16.124.113543.6003.189642796.63084.16748.2599092903\"]},"
            "\"00081197\":{\"vr\":\"US\",\"Value\":[272]}},"
            "{\"00081155\":{\"vr\":\"UI\",\"Value\":[\"1.2\"]},\"00081197\":{\"vr\":\"US\",\"Value\":[\"290\"]}}]},"
            "\"00081199\":{\"vr\":\"SQ\",\"Value\":[{\"00081155\":{\"vr\":\"UI\",\"Value\":[\"1.3\"]},"
            "\"00081196\":{\"vr\":\"US\",\"Value\":[45056.0]}}]}}");
  assert_non_null(datasets);
  check_store_answer(datasets);
}

static void test_model__store_answer_in_xml(void **state) {
  (void)state;
  LVN_AUTOJSON json_t *datasets = parse(
      "application/dicom+xml",
      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
      "<NativeDicomModel xmlns=\"http://dicom.nema.org/PS3.19/models/NativeDICOM\" xml:space=\"preserve\">\n"
      "<DicomAttribute tag=\"00081190\" vr=\"UR\" keyword=\"RetrieveURL\"><Value number=\"1\">https://pacs/studies/1"
      "</Value></DicomAttribute>"
      "<DicomAttribute tag=\"00081198\" vr=\"SQ\" keyword=\"FailedSOPSequence\">"
      "<Item number=\"1\"><DicomAttribute tag=\"00081155\" vr=\"UI\"><Value number=\"1\">"
      "2.16.124.113543.6003.189642796.63084.16748.2599092903</Value></DicomAttribute>"
      "<DicomAttribute tag=\"00081197\" vr=\"US\"><Value number=\"1\">272</Value></DicomAttribute></Item>"
      "<Item number=\"2\"><DicomAttribute tag=\"00081155\" vr=\"UI\"><Value number=\"1\">1.2</Value></DicomAttribute>"
      "<DicomAttribute tag=\"00081197\" vr=\"US\"><Value number=\"1\"> 290 </Value></DicomAttribute></Item>"
      "</DicomAttribute>"
      "<DicomAttribute tag=\"00081199\" vr=\"SQ\"><Item number=\"1\">"
      "<DicomAttribute tag=\"00081155\" vr=\"UI\"><Value number=\"1\">1.3</Value></DicomAttribute>"
      "<DicomAttribute tag=\"00081196\" vr=\"US\"><Value number=\"1\">45056</Value></DicomAttribute>"
      "</Item></DicomAttribute></NativeDicomModel>");
  assert_non_null(datasets);
  check_store_answer(datasets);
}

/* PS3.18 F.2.2: a person's name, an empty value, nulls, numbers as texts. */
static void test_model__values_as_servers_write_them(void **state) {
  char text[16];
  (void)state;
  LVN_AUTOJSON json_t *datasets =
      parse("application/json",
            "[{\"00100010\":{\"vr\":\"PN\",\"Value\":[{\"Alphabetic\":\"Doe^John\"}]},"
            "\"00100020\":{\"vr\":\"LO\"},\"00080060\":{\"vr\":\"CS\",\"Value\":[null]},"
            "\"00201209\":{\"vr\":\"IS\",\"Value\":[\"12 \"]},\"00280030\":{\"vr\":\"DS\",\"Value\":[1.5]},"
            "\"0008103E\":{\"vr\":\"LO\",\"Value\":[\"a description that is far too long\"]}},{}]");
  assert_non_null(datasets);
  const json_t *dataset = json_array_get(datasets, 0);
  assert_true(lvn_model_get_text(dataset, "00100010", text, sizeof text));
  assert_string_equal(text, "Doe^John");
  assert_false(lvn_model_get_text(dataset, "00100020", text, sizeof text));
  assert_false(lvn_model_get_text(dataset, "00080060", text, sizeof text));
  assert_false(lvn_model_get_text(dataset, "00080061", text, sizeof text));
  assert_int_equal(lvn_model_get_integer(dataset, "00201209", -1), 12);
  assert_int_equal(lvn_model_get_integer(dataset, "00280030", -1), -1);
  assert_true(lvn_model_get_text(dataset, "0008103E", text, sizeof text));
  assert_string_equal(text, "a description t");
}

static void test_model__no_body_is_no_data_set(void **state) {
  (void)state;
  LVN_AUTOJSON json_t *datasets = parse("", "");
  assert_int_equal(json_array_size(datasets), 0);
}

static void test_model__what_is_none_is_refused(void **state) {
  static const struct {
    const char *type;
    const char *body;
  } cases[] = {
      {"text/html", "<html>please log in</html>"},
      {"", "{}"},
      {"application/dicom+json", "{"},
      {"application/dicom+json", "[1]"},
      {"application/dicom+json", "\"text\""},
      {"application/dicom+xml", "<NativeDicomModel>"},
      {"application/dicom+xml", "<html/>"},
      {"application/dicom+xml", "<NativeDicomModel><DicomAttribute vr=\"US\"/></NativeDicomModel>"},
      {"application/dicom+xml", "<!DOCTYPE x [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;\">]>"
                                "<NativeDicomModel><DicomAttribute tag=\"00080060\" vr=\"CS\"><Value>&b;</Value>"
                                "</DicomAttribute></NativeDicomModel>"},
  };
  (void)state;
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    LVN_AUTOJSON json_t *datasets = parse(cases[i].type, cases[i].body);
    if (datasets != NULL) {
      fail_msg("case %zu was read", i);
    }
  }
}

static void test_model__deep_xml_is_refused(void **state) {
  static char body[20000];
  int length = snprintf(body, sizeof body, "<NativeDicomModel>");
  (void)state;
  for (int i = 0; i < 200; i++) {
    length += snprintf(body + length, sizeof body - (size_t)length, "%s",
                       i < 100 ? "<DicomAttribute tag=\"00081198\" vr=\"SQ\"><Item>" : "</Item></DicomAttribute>");
  }
  (void)snprintf(body + length, sizeof body - (size_t)length, "</NativeDicomModel>");
  assert_null(parse("application/dicom+xml", body));
}

static void test_model__building(void **state) {
  (void)state;
  LVN_AUTOJSON json_t *dataset = json_object();
  assert_true(lvn_model_set_text(dataset, "00741000", "CS", "IN PROGRESS"));
  json_t *item = lvn_model_add_item(dataset, "00404018");
  assert_true(lvn_model_set_code(item, "liver", "99LVN", "Liver"));
  assert_non_null(lvn_model_add_item(dataset, "00404018"));
  assert_int_equal(json_array_size(lvn_model_get_items(dataset, "00404018")), 2);
  assert_true(lvn_model_has_code(dataset, "00404018", "liver", "99LVN"));
  assert_false(lvn_model_has_code(dataset, "00404018", "liver", "SCT"));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_model__store_answer_in_json),
      cmocka_unit_test(test_model__store_answer_in_xml),
      cmocka_unit_test(test_model__values_as_servers_write_them),
      cmocka_unit_test(test_model__no_body_is_no_data_set),
      cmocka_unit_test(test_model__what_is_none_is_refused),
      cmocka_unit_test(test_model__deep_xml_is_refused),
      cmocka_unit_test(test_model__building),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
