/* Numbers and times from the text of an attribute (PS3.5 6.2: DS, IS, TM, DT), whole or not at all: a number read from
 * the beginning of "1,30859" would be a lesion in the wrong place. */
#ifndef LVN_DICOM_READ_NUMBER_H
#define LVN_DICOM_READ_NUMBER_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

enum lvn_number {
  LVN_NUMBER_GOOD,
  LVN_NUMBER_COMMA,   /* one comma and no point: read as the decimal sign of a writer's locale */
  LVN_NUMBER_GROUPED, /* "-1,024": read as a decimal comma, too, but it could be a mark of thousands */
  LVN_NUMBER_EMPTY,   /* nothing but padding */
  LVN_NUMBER_BAD      /* anything else: trailing text, hexadecimal, "nan", "inf", beyond a double's range */
};

/* All `length` bytes of one component; spaces and NULs about it are padding. `*ret_value` is finite and filled only
 * for the first three. */
enum lvn_number lvn_number_read(const char *text, size_t length, double *ret_value);
/* Was a value filled? */
bool lvn_number_has_value(enum lvn_number read);

/* Seconds since midnight of a TM ("HHMMSS.FFFFFF", or as ACR-NEMA wrote it with colons) or, with
 * `is_datetime`, of a DT (a date of eight digits before it, an offset from UTC behind it); -1 when it is none. */
double lvn_number_read_time(const char *text, bool is_datetime);

#ifdef __cplusplus
}
#endif
#endif
