#include "dicom/web/model_xml.h"

#include <limits.h>
#include <string.h>

#include <expat.h>

#include "base/memory.h"

#define DEPTH_MAX 32
#define TEXT_BYTES 4096U

/* DESIGN: `open` has, for each element that is open, what its content is put into: of NativeDicomModel and Item a data
 * set, of DicomAttribute and PersonName and its groups the attribute; NULL: nothing of it is wanted. */

struct reading {
  XML_Parser parser;
  json_t *datasets;
  json_t *open[DEPTH_MAX];
  int depth;
  bool is_value; /* inside an element whose text is a value */
  char text[TEXT_BYTES];
  size_t text_length;
  struct lvn_error *err;
  bool is_failed;
};

static void fail(struct reading *reading, const char *why) {
  if (!reading->is_failed) {
    (void)lvn_error_set(reading->err, LVN_ERROR_PROTOCOL, "the answer's XML is malformed: %s", why);
  }
  reading->is_failed = true;
  (void)XML_StopParser(reading->parser, XML_FALSE);
}

static void refuse_definition(void *user_data, const XML_Char *name, const XML_Char *system_id,
                              const XML_Char *public_id, int has_subset) {
  (void)name;
  (void)system_id;
  (void)public_id;
  (void)has_subset;
  fail(user_data, "it has a document type definition");
}

static const char *find_attribute(const XML_Char **attributes, const char *name) {
  for (; attributes[0] != NULL; attributes += 2) {
    if (strcmp(attributes[0], name) == 0) {
      return attributes[1];
    }
  }
  return "";
}

/* Without its namespace's prefix. */
static const char *local_name(const char *name) {
  const char *colon = strrchr(name, ':');
  return colon == NULL ? name : colon + 1;
}

static json_t *add_dataset(struct reading *reading, json_t *array) {
  json_t *dataset = json_object();
  if (json_array_append_new(array, dataset) != 0) {
    fail(reading, "no memory");
    return NULL;
  }
  return dataset;
}

static json_t *add_attribute(struct reading *reading, json_t *dataset, const XML_Char **attributes) {
  const char *tag = find_attribute(attributes, "tag");
  if (strlen(tag) != 8) {
    fail(reading, "an attribute without a tag");
    return NULL;
  }
  json_t *attribute = json_pack("{s:s,s:[]}", "vr", find_attribute(attributes, "vr"), "Value");
  if (json_object_set_new(dataset, tag, attribute) != 0) {
    fail(reading, "no memory, or a name that is no text");
    return NULL;
  }
  return attribute;
}

static void XMLCALL on_start(void *user_data, const XML_Char *full_name, const XML_Char **attributes) {
  struct reading *reading = user_data;
  const char *name = local_name(full_name);
  json_t *parent = reading->depth > 0 ? reading->open[reading->depth - 1] : NULL;
  json_t *own = NULL;
  if (reading->depth == DEPTH_MAX) {
    fail(reading, "it is nested too deeply");
    return;
  }
  if (strcmp(name, "NativeDicomModel") == 0) {
    own = add_dataset(reading, reading->datasets);
  } else if (parent != NULL && strcmp(name, "DicomAttribute") == 0 && json_object_get(parent, "Value") == NULL) {
    own = add_attribute(reading, parent, attributes);
  } else if (parent != NULL && strcmp(name, "Item") == 0 && json_is_array(json_object_get(parent, "Value"))) {
    own = add_dataset(reading, json_object_get(parent, "Value"));
  } else if (strcmp(name, "PersonName") == 0 || strcmp(name, "Alphabetic") == 0) {
    own = parent;
  }
  reading->open[reading->depth++] = own;
  reading->is_value = parent != NULL && (strcmp(name, "Value") == 0 || strcmp(name, "FamilyName") == 0);
  if (reading->is_value) {
    reading->open[reading->depth - 1] = parent;
    reading->text_length = 0;
  }
}

static void XMLCALL on_end(void *user_data, const XML_Char *name) {
  struct reading *reading = user_data;
  json_t *own = reading->open[--reading->depth];
  (void)name;
  if (reading->is_value &&
      json_array_append_new(json_object_get(own, "Value"), json_stringn(reading->text, reading->text_length)) != 0) {
    fail(reading, "a value that is no text");
  }
  reading->is_value = false;
}

static void XMLCALL on_text(void *user_data, const XML_Char *text, int length) {
  struct reading *reading = user_data;
  if (!reading->is_value) {
    return;
  }
  if (reading->text_length + (size_t)length > TEXT_BYTES) {
    fail(reading, "a value is too long");
    return;
  }
  memcpy(reading->text + reading->text_length, text, (size_t)length);
  reading->text_length += (size_t)length;
}

bool lvn_model_parse_xml(const char *body, size_t bytes, json_t **ret_datasets, struct lvn_error *err) {
  LVN_AUTOFREE struct reading *reading = lvn_alloc(1, sizeof *reading, err);
  LVN_AUTOJSON json_t *datasets = json_array();
  if (reading == NULL || datasets == NULL || bytes > INT_MAX) {
    return lvn_error_set(err, LVN_ERROR_NOMEM, "no memory for an answer");
  }
  reading->parser = XML_ParserCreate(NULL);
  if (reading->parser == NULL) {
    return lvn_error_set(err, LVN_ERROR_NOMEM, "no memory for an answer");
  }
  reading->datasets = datasets;
  reading->err = err;
  XML_SetUserData(reading->parser, reading);
  XML_SetElementHandler(reading->parser, on_start, on_end);
  XML_SetCharacterDataHandler(reading->parser, on_text);
  XML_SetStartDoctypeDeclHandler(reading->parser, refuse_definition);
  enum XML_Status status = XML_Parse(reading->parser, body, (int)bytes, /* isFinal= */ 1);
  if (status != XML_STATUS_OK && !reading->is_failed) {
    fail(reading, XML_ErrorString(XML_GetErrorCode(reading->parser)));
  }
  XML_ParserFree(reading->parser);
  if (reading->is_failed || json_array_size(datasets) == 0) {
    return reading->is_failed ? false : lvn_error_set(err, LVN_ERROR_PROTOCOL, "the answer's XML is of no data set");
  }
  *ret_datasets = json_incref(datasets);
  return true;
}
