#include "dicom/read/number.h"

#include "base/memory.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* DS has at most 16 characters; writers of doubles use up to 24 and those of "%f" more. */
#define TEXT_MAX 64

static bool is_padding(char c) {
  return c == ' ' || c == '\0' || c == '\t' || c == '\r' || c == '\n';
}

static size_t count_digits(const char *text) {
  size_t count = 0;
  while (isdigit((unsigned char)text[count])) {
    count++;
  }
  return count;
}

/* Sign, digits with one decimal sign among them, exponent, end. `*ret_sign_at` is the decimal sign or NULL. */
static bool is_decimal(char *text, char **ret_sign_at) {
  char *at = text + (*text == '+' || *text == '-' ? 1 : 0);
  size_t before = count_digits(at);
  size_t after = 0;
  at += before;
  *ret_sign_at = NULL;
  if (*at == '.' || *at == ',') {
    *ret_sign_at = at++;
    after = count_digits(at);
    at += after;
  }
  if (before + after == 0) {
    return false;
  }
  if (*at == 'e' || *at == 'E') {
    at += at[1] == '+' || at[1] == '-' ? 2 : 1;
    size_t digits = count_digits(at);
    if (digits == 0) {
      return false;
    }
    at += digits;
  }
  return *at == '\0';
}

/* "-1,024" and "12,500", but neither "0,977" nor "1,30859". */
static bool could_be_thousands(const char *text, const char *comma) {
  const char *digits = text + (*text == '+' || *text == '-' ? 1 : 0);
  return comma > digits && comma - digits <= 3 && *digits != '0' && count_digits(comma + 1) == 3 && comma[4] == '\0';
}

enum lvn_number lvn_number_read(const char *text, size_t length, double *ret_value) {
  char copy[TEXT_MAX];
  char *sign = NULL;
  enum lvn_number result = LVN_NUMBER_GOOD;
  while (length > 0 && is_padding(text[length - 1])) {
    length--;
  }
  while (length > 0 && is_padding(text[0])) {
    text++;
    length--;
  }
  if (length == 0) {
    return LVN_NUMBER_EMPTY;
  }
  if (length >= sizeof copy) {
    return LVN_NUMBER_BAD;
  }
  memcpy(copy, text, length);
  copy[length] = '\0';
  if (strlen(copy) != length || !is_decimal(copy, &sign)) {
    return LVN_NUMBER_BAD;
  }
  if (sign != NULL && *sign == ',') {
    result = could_be_thousands(copy, sign) ? LVN_NUMBER_GROUPED : LVN_NUMBER_COMMA;
    *sign = '.';
  }
  double value = strtod(copy, NULL); /* allow: is_decimal() has seen the whole text */
  if (!isfinite(value)) {
    return LVN_NUMBER_BAD;
  }
  *ret_value = value;
  return result;
}

bool lvn_number_has_value(enum lvn_number read) {
  return read == LVN_NUMBER_GOOD || read == LVN_NUMBER_COMMA || read == LVN_NUMBER_GROUPED;
}

/* Two digits of at most `most`; -1 when they are not. */
static int read_pair(const char *text, int most) {
  if (count_digits(text) < 2) {
    return -1;
  }
  int value = (text[0] - '0') * 10 + (text[1] - '0');
  return value <= most ? value : -1;
}

static bool is_offset(const char *text) {
  return (text[0] == '+' || text[0] == '-') && count_digits(text + 1) == 4 && text[5] == '\0';
}

double lvn_number_read_time(const char *text, bool is_datetime) {
  char copy[TEXT_MAX];
  const int most[3] = {23, 59, 60}; /* 60: a leap second */
  double seconds = 0.0;
  size_t parts = 0;
  if (!lvn_copy(copy, sizeof copy, text)) {
    return -1.0;
  }
  for (size_t end = strlen(copy); end > 0 && is_padding(copy[end - 1]); end--) {
    copy[end - 1] = '\0';
  }
  const char *at = copy;
  if (is_datetime) {
    if (count_digits(at) < 8) {
      return -1.0;
    }
    at += 8;
  }
  for (; parts < 3 && *at != '\0' && !is_offset(at); parts++) {
    at += parts > 0 && *at == ':' ? 1 : 0;
    int value = read_pair(at, most[parts]);
    if (value < 0) {
      return -1.0;
    }
    seconds = seconds * 60.0 + value;
    at += 2;
  }
  if (parts < 3) { /* two phases can lie within one minute */
    return -1.0;
  }
  if (*at == '.' || *at == ',') {
    double place = 0.1;
    size_t digits = count_digits(at + 1);
    for (size_t i = 1; i <= digits; i++, place /= 10.0) {
      seconds += place * (at[i] - '0');
    }
    at += digits + 1;
  }
  return *at == '\0' || (is_datetime && is_offset(at)) ? seconds : -1.0;
}
