#include "dicom/read/roi_time.h"

#include <ctype.h>
#include <stdint.h>
#include <string.h>

/* Value of `count` digits, or -1. */
static int64_t number_at(const char *text, size_t count) {
  int64_t value = 0;
  for (size_t i = 0; i < count; i++) {
    if (!isdigit((unsigned char)text[i])) {
      return -1;
    }
    value = value * 10 + (text[i] - '0');
  }
  return value;
}

/* Days since 1970-01-01 of the proleptic Gregorian calendar. */
static int64_t days_of(int64_t year, int64_t month, int64_t day) {
  int64_t shifted = year - (month <= 2 ? 1 : 0);
  int64_t era = shifted / 400;
  int64_t of_era = shifted - era * 400;
  int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
  return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static const char *skip_fraction(const char *at) {
  return *at == '.' ? at + 1 + strspn(at + 1, "0123456789") : at;
}

const char *lvn_roi_time_zone(const char *text) {
  const char *at = strlen(text) < 14 ? "" : skip_fraction(text + 14);
  return (*at == '+' || *at == '-') && number_at(at + 1, 4) >= 0 ? at : "";
}

/* Microseconds, UTC; INT64_MIN when the text is no time. */
static int64_t microseconds_of(const char *text, const char *zone) {
  if (strlen(text) < 14 || number_at(text, 14) < 0) {
    return INT64_MIN;
  }
  int64_t seconds = days_of(number_at(text, 4), number_at(text + 4, 2), number_at(text + 6, 2)) * 86400 +
                    number_at(text + 8, 2) * 3600 + number_at(text + 10, 2) * 60 + number_at(text + 12, 2);
  const char *at = text + 14;
  int64_t fraction = 0;
  if (*at == '.') {
    at++;
    for (int i = 0; i < 6; i++) {
      fraction = fraction * 10 + (isdigit((unsigned char)*at) ? *at++ - '0' : 0);
    }
  }
  const char *own = lvn_roi_time_zone(text);
  own = *own != '\0' ? own : zone;
  if (*own != '\0') {
    int64_t offset = number_at(own + 1, 2) * 3600 + number_at(own + 3, 2) * 60;
    seconds -= *own == '+' ? offset : -offset;
  }
  return seconds * 1000000 + fraction;
}

int lvn_roi_time_compare(const char *left, const char *right, const char *zone) {
  int64_t a = microseconds_of(left, zone);
  int64_t b = microseconds_of(right, zone);
  return a < b ? -1 : (a > b ? 1 : 0);
}
