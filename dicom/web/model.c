#include "dicom/web/model.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/http/http.h"
#include "base/memory.h"
#include "dicom/web/model_xml.h"

static bool parse_json(const char *body, size_t bytes, json_t **ret_datasets, struct lvn_error *err) {
  json_error_t reason;
  json_t *value = json_loadb(body, bytes, 0, &reason);
  if (value == NULL) {
    return lvn_error_set(err, LVN_ERROR_PROTOCOL, "the answer's JSON is malformed: %.150s", reason.text);
  }
  if (json_is_object(value)) {
    json_t *datasets = json_array();
    if (datasets == NULL || json_array_append_new(datasets, value) != 0) {
      json_decref(datasets);
      return lvn_error_set(err, LVN_ERROR_NOMEM, "no memory for an answer");
    }
    value = datasets;
  }
  size_t index = 0;
  const json_t *dataset = NULL;
  bool good = json_is_array(value);
  json_array_foreach(value, index, dataset) {
    good = good && json_is_object(dataset);
  }
  if (!good) {
    json_decref(value);
    return lvn_error_set(err, LVN_ERROR_PROTOCOL, "the answer's JSON is of no data sets");
  }
  *ret_datasets = value;
  return true;
}

bool lvn_model_parse(const char *content_type, const char *body, size_t bytes, json_t **ret_datasets,
                     struct lvn_error *err) {
  if (bytes == 0) {
    *ret_datasets = json_array();
    return *ret_datasets != NULL || lvn_error_set(err, LVN_ERROR_NOMEM, "no memory for an answer");
  }
  if (lvn_http_is_type(content_type, LVN_DICOM_JSON) || lvn_http_is_type(content_type, "application/json")) {
    return parse_json(body, bytes, ret_datasets, err);
  }
  if (lvn_http_is_type(content_type, "application/dicom+xml") || lvn_http_is_type(content_type, "application/xml") ||
      lvn_http_is_type(content_type, "text/xml")) {
    return lvn_model_parse_xml(body, bytes, ret_datasets, err);
  }
  return lvn_error_set(err, LVN_ERROR_PROTOCOL, "the answer is of no DICOM form (%.100s)",
                       content_type[0] == '\0' ? "no Content-Type" : content_type);
}

static const json_t *get_value(const json_t *dataset, const char *tag) {
  return json_array_get(json_object_get(json_object_get(dataset, tag), "Value"), 0);
}

bool lvn_model_get_text(const json_t *dataset, const char *tag, char *ret_text, size_t text_bytes) {
  const json_t *value = get_value(dataset, tag);
  ret_text[0] = '\0';
  if (json_is_object(value)) {
    value = json_object_get(value, "Alphabetic");
  }
  if (json_is_string(value)) {
    (void)lvn_copy(ret_text, text_bytes, json_string_value(value));
  } else if (json_is_integer(value)) {
    (void)snprintf(ret_text, text_bytes, "%lld", (long long)json_integer_value(value));
  } else if (json_is_real(value)) {
    (void)snprintf(ret_text, text_bytes, "%.15g", json_real_value(value));
  }
  for (size_t length = strlen(ret_text); length > 0 && ret_text[length - 1] == ' '; length--) {
    ret_text[length - 1] = '\0';
  }
  return ret_text[0] != '\0';
}

int64_t lvn_model_get_integer(const json_t *dataset, const char *tag, int64_t otherwise) {
  char text[40];
  char *end = NULL;
  if (!lvn_model_get_text(dataset, tag, text, sizeof text)) {
    return otherwise;
  }
  double value = strtod(text, &end);
  return *end == '\0' && fabs(value) < 9e15 && value == floor(value) ? (int64_t)value : otherwise;
}

const json_t *lvn_model_get_items(const json_t *dataset, const char *tag) {
  const json_t *items = json_object_get(json_object_get(dataset, tag), "Value");
  return json_is_array(items) && json_array_size(items) > 0 ? items : NULL;
}

bool lvn_model_has_code(const json_t *dataset, const char *tag, const char *value, const char *scheme) {
  char text[64];
  size_t index = 0;
  const json_t *item = NULL;
  json_array_foreach(lvn_model_get_items(dataset, tag), index, item) {
    if (lvn_model_get_text(item, "00080100", text, sizeof text) && strcmp(text, value) == 0 &&
        lvn_model_get_text(item, "00080102", text, sizeof text) && strcmp(text, scheme) == 0) {
      return true;
    }
  }
  return false;
}

bool lvn_model_set_text(json_t *dataset, const char *tag, const char *vr, const char *value) {
  return json_object_set_new(dataset, tag,
                             value == NULL ? json_pack("{s:s}", "vr", vr)
                                           : json_pack("{s:s,s:[s]}", "vr", vr, "Value", value)) == 0;
}

json_t *lvn_model_add_item(json_t *dataset, const char *tag) {
  json_t *item = json_object();
  json_t *items = json_object_get(json_object_get(dataset, tag), "Value");
  if (items == NULL && json_object_set_new(dataset, tag, json_pack("{s:s,s:[]}", "vr", "SQ", "Value")) == 0) {
    items = json_object_get(json_object_get(dataset, tag), "Value");
  }
  if (item == NULL || items == NULL || json_array_append(items, item) != 0) {
    json_decref(item);
    return NULL;
  }
  json_decref(item); /* the sequence has it */
  return item;
}

bool lvn_model_set_code(json_t *item, const char *value, const char *scheme, const char *meaning) {
  return lvn_model_set_text(item, "00080100", "SH", value) && lvn_model_set_text(item, "00080102", "SH", scheme) &&
         lvn_model_set_text(item, "00080104", "LO", meaning);
}
