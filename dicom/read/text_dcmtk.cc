// DESIGN. Archives, importers and scanners whose console speaks another language write bytes of one character set under
// the name of another, or of none. UTF-8 proves itself: hardly any other text is valid UTF-8 by chance, but for the
// multi-byte sets of Chinese and Korean, whose declaration is believed first. Without a usable declaration bytes above
// 0x7F that only come in pairs are Chinese (GB 2312 and its successors), others Latin-1, DICOM's commonest set.
#include "dicom/read/text_dcmtk.hh"

#include <dcmtk/config/osconfig.h>

#include <dcmtk/dcmdata/dcspchrs.h>

#include <algorithm>
#include <cctype>
#include <cstring>

#include <iconv.h>

namespace lvn {
namespace {

bool is_high(char c) {
  return static_cast<unsigned char>(c) >= 0x80;
}

bool is_ascii(const std::string &text) {
  return std::none_of(text.begin(), text.end(), [](char c) { return is_high(c) || c == '\x1b'; });
}

// RFC 3629, without overlong forms and surrogates.
bool is_utf8(const std::string &text) {
  size_t more = 0;
  unsigned least = 0;
  unsigned value = 0;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (more > 0) {
      value = value << 6 | (byte & 0x3FU);
      if ((byte & 0xC0U) != 0x80 || (--more == 0 && (value < least || value > 0x10FFFF || (value >> 11) == 0x1B))) {
        return false;
      }
    } else if (byte >= 0xF0) {
      more = 3;
      least = 0x10000;
      value = byte & 0x07U;
      if (byte > 0xF4) {
        return false;
      }
    } else if (byte >= 0xE0) {
      more = 2;
      least = 0x800;
      value = byte & 0x0FU;
    } else if (byte >= 0xC0) {
      more = 1;
      least = 0x80;
      value = byte & 0x1FU;
    } else if (byte >= 0x80) {
      return false;
    }
  }
  return more == 0;
}

// One defined term (PS3.3 C.12.1.1.2) from the many ways in which it is misspelt: "ISO_IR_100", "ISO IR 100",
// "ISO-IR 100", "iso8859-1", "UTF-8".
std::string term_of(const std::string &written) {
  static const struct {
    const char *spelling;
    const char *term;
  } others[] = {{"UTF8", "ISO_IR 192"},
                {"ISOIR192", "ISO_IR 192"},
                {"GB18030", "GB18030"},
                {"GBK", "GBK"},
                {"GB2312", "GBK"},
                {"LATIN1", "ISO_IR 100"},
                {"ISO88591", "ISO_IR 100"},
                {"ISO88592", "ISO_IR 101"},
                {"ISO88593", "ISO_IR 109"},
                {"ISO88594", "ISO_IR 110"},
                {"ISO88595", "ISO_IR 144"},
                {"ISO88596", "ISO_IR 127"},
                {"ISO88597", "ISO_IR 126"},
                {"ISO88598", "ISO_IR 138"},
                {"ISO88599", "ISO_IR 148"},
                {"SHIFTJIS", "ISO_IR 13"},
                {"ISOIR6", ""},
                {"ISO2022IR6", ""},
                {"ISO2022IR192", "ISO_IR 192"}};
  std::string plain;
  for (const char c : written) {
    if (std::isalnum(static_cast<unsigned char>(c)) != 0) {
      plain += static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    }
  }
  for (const auto &other : others) {
    if (plain == other.spelling) {
      return other.term;
    }
  }
  for (const std::string start : {"ISO2022IR", "ISOIR"}) {
    if (plain.rfind(start, 0) == 0 && plain.size() > start.size()) {
      return (start == "ISOIR" ? "ISO_IR " : "ISO 2022 IR ") + plain.substr(start.size());
    }
  }
  return written;
}

std::string terms_of(const std::string &written) {
  std::string terms;
  for (size_t at = 0; at <= written.size();) {
    const size_t end = std::min(written.find('\\', at), written.size());
    terms += (at > 0 ? "\\" : "") + term_of(written.substr(at, end - at));
    at = end + 1;
  }
  return terms;
}

bool convert(const std::string &raw, const std::string &terms, std::string &ret_text) {
  DcmSpecificCharacterSet converter;
  OFString converted;
  if (converter.selectCharacterSet(OFString(terms.c_str()), "ISO_IR 192").bad() ||
      converter.convertString(OFString(raw.c_str(), raw.size()), converted, "\\").bad()) {
    return false;
  }
  ret_text.assign(converted.c_str(), converted.size());
  return true;
}

bool convert_by_libc(const std::string &raw, const char *encoding, std::string &ret_text) {
  iconv_t converter = iconv_open("UTF-8", encoding);
  if (converter == reinterpret_cast<iconv_t>(-1)) {
    return false;
  }
  std::string input = raw;
  std::string output(4 * raw.size() + 16, '\0');
  char *from = input.data();
  char *to = output.data();
  size_t from_bytes = input.size();
  size_t to_bytes = output.size();
  const bool good = iconv(converter, &from, &from_bytes, &to, &to_bytes) != static_cast<size_t>(-1) && from_bytes == 0;
  (void)iconv_close(converter);
  output.resize(output.size() - to_bytes);
  ret_text = output;
  return good;
}

// Code extensions (PS3.3 tables C.12-3 and C.12-4), declared or not: what the escapes themselves say. DCMTK over the C
// library's converter knows none of them. The Japanese sets are ISO-2022-JP-2's; the others fill the upper half, so
// that their escape can go.
bool convert_escapes(const std::string &raw, std::string &ret_text) {
  static const struct {
    const char *escape;
    const char *encoding;
  } uppers[] = {{"\x1b$)C", "EUC-KR"},    {"\x1b$)A", "GBK"},       {"\x1b-A", "ISO-8859-1"}, {"\x1b-B", "ISO-8859-2"},
                {"\x1b-C", "ISO-8859-3"}, {"\x1b-D", "ISO-8859-4"}, {"\x1b-L", "ISO-8859-5"}, {"\x1b-G", "ISO-8859-6"},
                {"\x1b-F", "ISO-8859-7"}, {"\x1b-H", "ISO-8859-8"}, {"\x1b-M", "ISO-8859-9"}, {"\x1b-T", "TIS-620"},
                {"\x1b)I", "SHIFT_JIS"}};
  std::string text = raw;
  const char *encoding = nullptr;
  for (const auto &upper : uppers) {
    const size_t length = std::strlen(upper.escape);
    for (size_t at = text.find(upper.escape); at != std::string::npos; at = text.find(upper.escape, at)) {
      text.erase(at, length);
      if (encoding != nullptr && encoding != upper.encoding) {
        return false; // two of them in one value
      }
      encoding = upper.encoding;
    }
  }
  if (text.find('\x1b') != std::string::npos) {
    return encoding == nullptr && convert_by_libc(text, "ISO-2022-JP-2", ret_text);
  }
  return encoding != nullptr && convert_by_libc(text, encoding, ret_text);
}

// Bytes above 0x7F in runs of even length, of GB 2312's rows and cells.
bool comes_in_pairs(const std::string &raw) {
  size_t run = 0;
  for (const char c : raw + " ") {
    if (is_high(c)) {
      if (static_cast<unsigned char>(c) < 0xA1) {
        return false;
      }
      run++;
    } else if (run % 2 != 0) {
      return false;
    } else {
      run = 0;
    }
  }
  return true;
}

std::string masked(std::string raw) {
  std::replace_if(
      raw.begin(), raw.end(), [](char c) { return is_high(c) || static_cast<unsigned char>(c) < 0x20; }, '?');
  return raw;
}

} // namespace

std::string utf8_of(const std::string &raw, const std::string &character_set) {
  std::string text;
  if (is_ascii(raw)) {
    return raw;
  }
  const std::string terms = terms_of(character_set);
  const bool has_escapes = raw.find('\x1b') != std::string::npos;
  const bool is_wide = terms.rfind("GB", 0) == 0;
  if (!has_escapes && !is_wide && is_utf8(raw)) {
    return raw;
  }
  if (has_escapes) {
    return convert_escapes(raw, text) ? text : masked(raw);
  }
  if (!terms.empty() && convert(raw, terms, text)) {
    return text;
  }
  if (is_utf8(raw)) {
    return raw;
  }
  if (convert(raw, comes_in_pairs(raw) ? "GB18030" : "ISO_IR 100", text)) {
    return text;
  }
  return masked(raw);
}

} // namespace lvn
