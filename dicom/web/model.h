/* Data sets as DICOMweb writes them: the DICOM JSON model (PS3.18 F) and the native DICOM model in XML (PS3.19 A.1),
 * both as a tree of the former's shape. Reading is lenient as servers are: numbers may be texts, texts numbers, values
 * null or absent. Source: PS3.18 F.2, PS3.19 A.1.5. */
#ifndef LVN_DICOM_WEB_MODEL_H
#define LVN_DICOM_WEB_MODEL_H

#include "base/error.h"
#include "base/json.h"

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LVN_DICOM_JSON "application/dicom+json"

/* An array of data sets, one or more, from the body of an answer of this Content-Type; an empty body is an empty array.
 * json_decref() it. LVN_ERROR_PROTOCOL: it is of neither form, or malformed. */
LVN_MUST_CHECK bool lvn_model_parse(const char *content_type, const char *body, size_t bytes, json_t **ret_datasets,
                                    struct lvn_error *err);

/* Tags are 8 upper-case hexadecimal digits. The first value as text ("" where there is none); of a person's name the
 * alphabetic group. False: there is none. */
bool lvn_model_get_text(const json_t *dataset, const char *tag, char *ret_text, size_t text_bytes);
/* The first value as a whole number; `otherwise` where there is none. */
int64_t lvn_model_get_integer(const json_t *dataset, const char *tag, int64_t otherwise);
/* Items of a sequence: an array, borrowed; NULL: none. */
const json_t *lvn_model_get_items(const json_t *dataset, const char *tag);
/* The item's or data set's code (PS3.3 8.8) as the first item of the sequence: is it value and scheme? */
bool lvn_model_has_code(const json_t *dataset, const char *tag, const char *value, const char *scheme);

/* Building. `value` NULL: an attribute without value. False: no memory. */
LVN_MUST_CHECK bool lvn_model_set_text(json_t *dataset, const char *tag, const char *vr, const char *value);
/* A new item at the end of the sequence, borrowed from it. NULL: no memory. */
json_t *lvn_model_add_item(json_t *dataset, const char *tag);
LVN_MUST_CHECK bool lvn_model_set_code(json_t *item, const char *value, const char *scheme, const char *meaning);

#ifdef __cplusplus
}
#endif
#endif
