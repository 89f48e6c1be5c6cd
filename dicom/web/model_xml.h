/* The native DICOM model (PS3.19 A.1). Internal to dicom/web. */
#ifndef LVN_DICOM_WEB_MODEL_XML_H
#define LVN_DICOM_WEB_MODEL_XML_H

#include "base/error.h"
#include "base/json.h"

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* As lvn_model_parse(). A document with a type definition, and so with entities, is malformed. */
LVN_MUST_CHECK bool lvn_model_parse_xml(const char *body, size_t bytes, json_t **ret_datasets, struct lvn_error *err);

#ifdef __cplusplus
}
#endif
#endif
