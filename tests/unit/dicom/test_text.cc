// Texts under right, wrong, misspelt and missing declarations of their character set.
#include "dicom/read/text_dcmtk.hh"

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>

extern "C" {
#include <cmocka.h>
}

namespace {

void assert_text(const char *raw, const char *character_set, const char *wanted) {
  assert_string_equal(lvn::utf8_of(raw, character_set).c_str(), wanted);
}

void test_text__follows_the_declaration(void **) {
  assert_text("portal venous", "", "portal venous");
  assert_text("Leber sp\xE4t", "ISO_IR 100", "Leber sp\u00E4t");
  assert_text("\xDF\xE7\xD5\xDD\xEC", "ISO_IR 144", "\u043F\u0447\u0435\u043D\u044C"); // Cyrillic
  assert_text("\xB6\xAF\xC2\xF6\xC6\xDA", "GB18030", "\u52A8\u8109\u671F");            // arterial phase
  assert_text("\xB6\xAF\xC2\xF6\xC6\xDA", "GBK", "\u52A8\u8109\u671F");
  assert_text("\x1B$B4NB!\x1B(B CT", "\\ISO 2022 IR 87", "\u809D\u81D3 CT"); // liver
}

void test_text__finds_utf8_whatever_is_declared(void **) {
  const char *const sets[] = {"", "ISO_IR 100", "ISO_IR 192", "ISO 2022 IR 100", "ISO_IR 6", "no such set"};
  for (const char *set : sets) {
    assert_text("sp\xC3\xA4t", set, "sp\u00E4t");
    assert_text("\xE5\x8A\xA8\xE8\x84\x89\xE6\x9C\x9F 2", set, "\u52A8\u8109\u671F 2");
  }
}

void test_text__tells_bytes_without_declaration(void **) {
  const char *const sets[] = {"", "ISO_IR 192", "no such set"};
  for (const char *set : sets) {
    assert_text("Portalven\xF6s sp\xE4t", set, "Portalven\u00F6s sp\u00E4t");
    assert_text("t\xEAte art\xE9rielle", set, "t\u00EAte art\u00E9rielle");
    assert_text("\xB6\xAF\xC2\xF6\xC6\xDA 5mm", set, "\u52A8\u8109\u671F 5mm");
  }
}

void test_text__knows_terms_however_they_are_spelt(void **) {
  const char *const latin[] = {"ISO_IR_100", "ISO IR 100", "ISO-IR 100", "iso_ir 100", "ISO8859-1", "ISO_8859_1"};
  for (const char *set : latin) {
    assert_text("\xB1\xE4", set, "\u00B1\u00E4");
  }
  assert_text("\xDF\xD5", "ISO-IR 144", "\u043F\u0435");
}

void test_text__follows_escapes_that_are_not_declared(void **) {
  assert_text("\x1B$B4NB!\x1B(B", "", "\u809D\u81D3");
  assert_text("\x1B$B4NB!\x1B(B CT", "ISO_IR 100", "\u809D\u81D3 CT");
  assert_text("\x1B$)C\xB0\xA3 CT", "", "\uAC04 CT"); // Korean: liver
}

void test_text__keeps_the_words_around_what_cannot_be_told(void **) {
  const std::string text = lvn::utf8_of("arterial \x1B$Zxx\xFF phase", "");
  assert_true(text.rfind("arterial ", 0) == 0);
  assert_non_null(std::strstr(text.c_str(), " phase"));
}

} // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(test_text__follows_the_declaration),
      cmocka_unit_test(test_text__finds_utf8_whatever_is_declared),
      cmocka_unit_test(test_text__tells_bytes_without_declaration),
      cmocka_unit_test(test_text__knows_terms_however_they_are_spelt),
      cmocka_unit_test(test_text__follows_escapes_that_are_not_declared),
      cmocka_unit_test(test_text__keeps_the_words_around_what_cannot_be_told),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
