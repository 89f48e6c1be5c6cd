#include "dicom/web/qido.h"

#include <stdio.h>
#include <string.h>

#include "base/memory.h"
#include "dicom/web/model.h"

#define ANSWER_BYTES_MAX (16U << 20)
#define TOTAL_SECONDS 60
#define PATH_BYTES 768

/* An array of data sets. 204, and 404 of what is below a study, are none. */
static bool search(struct lvn_http *http, const char *path, json_t **ret_datasets, bool *ret_is_cut,
                   struct lvn_error *err) {
  struct lvn_http_answer answer = {0};
  const struct lvn_http_request request = {.method = "GET",
                                           .path = path,
                                           .accept = LVN_DICOM_JSON,
                                           .total_seconds = TOTAL_SECONDS,
                                           .answer_bytes_max = ANSWER_BYTES_MAX};
  if (!lvn_http_request(http, &request, &answer, err)) {
    return false;
  }
  bool good = true;
  if (answer.status == 200) {
    good = lvn_model_parse(answer.content_type, answer.body, answer.body_bytes, ret_datasets, err);
  } else if (answer.status == 204 || (answer.status == 404 && strncmp(path, "studies/", 8) == 0)) {
    good = lvn_model_parse("", NULL, 0, ret_datasets, err);
  } else {
    good = lvn_error_set(err, answer.status >= 500 || answer.status == 429 ? LVN_ERROR_IO : LVN_ERROR_PROTOCOL,
                         "the server answered %ld %s to a search", answer.status, lvn_http_status_name(answer.status));
  }
  *ret_is_cut = strncmp(answer.warning, "299", 3) == 0;
  lvn_http_answer_clear(&answer);
  return good;
}

static void read_series(const json_t *dataset, struct lvn_qido_series *series) {
  (void)lvn_model_get_text(dataset, "0020000E", series->series_uid, sizeof series->series_uid);
  (void)lvn_model_get_text(dataset, "00080060", series->modality, sizeof series->modality);
  (void)lvn_model_get_text(dataset, "0008103E", series->description, sizeof series->description);
  series->instance_count = lvn_model_get_integer(dataset, "00201209", -1);
}

bool lvn_qido_list_series(struct lvn_http *http, const char *study_uid, size_t max_count,
                          struct lvn_qido_series **ret_series, size_t *ret_count, bool *ret_is_cut,
                          struct lvn_error *err) {
  LVN_AUTOJSON json_t *datasets = NULL;
  char path[PATH_BYTES];
  if (!lvn_uid_is_valid(study_uid)) {
    return lvn_error_set(err, LVN_ERROR_DATA, "that is no study UID");
  }
  (void)snprintf(path, sizeof path, "studies/%s/series?includefield=0008103E&includefield=00201209&limit=%zu",
                 study_uid, max_count);
  if (!search(http, path, &datasets, ret_is_cut, err)) {
    return false;
  }
  LVN_AUTOFREE struct lvn_qido_series *series = lvn_alloc(json_array_size(datasets), sizeof *series, err);
  size_t count = 0;
  size_t i = 0;
  const json_t *dataset = NULL;
  if (series == NULL) {
    return false;
  }
  json_array_foreach(datasets, i, dataset) {
    if (count == max_count) {
      *ret_is_cut = true;
      break;
    }
    read_series(dataset, &series[count]);
    count += lvn_uid_is_valid(series[count].series_uid) ? 1 : 0;
  }
  *ret_series = lvn_steal(&series);
  *ret_count = count;
  return true;
}

static void read_study(const json_t *dataset, struct lvn_qido_study *study) {
  (void)lvn_model_get_text(dataset, "0020000D", study->study_uid, sizeof study->study_uid);
  (void)lvn_model_get_text(dataset, "00100020", study->patient_id, sizeof study->patient_id);
  (void)lvn_model_get_text(dataset, "00100021", study->issuer_of_patient_id, sizeof study->issuer_of_patient_id);
  (void)lvn_model_get_text(dataset, "00100030", study->birth_date, sizeof study->birth_date);
  (void)lvn_model_get_text(dataset, "00080020", study->date, sizeof study->date);
}

bool lvn_qido_list_studies(struct lvn_http *http, const char *patient_id, const char *dates, const char *modality,
                           size_t max_count, struct lvn_qido_study **ret_studies, size_t *ret_count, bool *ret_is_cut,
                           struct lvn_error *err) {
  LVN_AUTOJSON json_t *datasets = NULL;
  char patient[200];
  char path[PATH_BYTES];
  if (patient_id[0] == '\0' || strpbrk(patient_id, "*?\\") != NULL ||
      !lvn_http_escape(patient_id, patient, sizeof patient)) {
    return lvn_error_set(err, LVN_ERROR_DATA, "this patient ID cannot be searched for");
  }
  (void)snprintf(path, sizeof path,
                 "studies?00100020=%s&00080020=%.17s&00080061=%.16s&includefield=00100021&includefield=00100030"
                 "&limit=%zu",
                 patient, dates, modality, max_count);
  if (!search(http, path, &datasets, ret_is_cut, err)) {
    return false;
  }
  LVN_AUTOFREE struct lvn_qido_study *studies = lvn_alloc(json_array_size(datasets), sizeof *studies, err);
  size_t count = 0;
  size_t i = 0;
  const json_t *dataset = NULL;
  if (studies == NULL) {
    return false;
  }
  json_array_foreach(datasets, i, dataset) {
    if (count == max_count) {
      *ret_is_cut = true;
      break;
    }
    read_study(dataset, &studies[count]);
    count += lvn_uid_is_valid(studies[count].study_uid) ? 1 : 0;
  }
  *ret_studies = lvn_steal(&studies);
  *ret_count = count;
  return true;
}

bool lvn_qido_has_instance(struct lvn_http *http, const char *sop_instance_uid, bool *ret_found,
                           struct lvn_error *err) {
  LVN_AUTOJSON json_t *datasets = NULL;
  char path[PATH_BYTES];
  char uid[80];
  bool is_cut = false;
  size_t i = 0;
  const json_t *dataset = NULL;
  *ret_found = false;
  if (!lvn_uid_is_valid(sop_instance_uid)) {
    return lvn_error_set(err, LVN_ERROR_DATA, "that is no instance UID");
  }
  (void)snprintf(path, sizeof path, "instances?00080018=%s&limit=1", sop_instance_uid);
  if (!search(http, path, &datasets, &is_cut, err)) {
    return false;
  }
  json_array_foreach(datasets, i, dataset) {
    *ret_found =
        *ret_found || (lvn_model_get_text(dataset, "00080018", uid, sizeof uid) && strcmp(uid, sop_instance_uid) == 0);
  }
  return true;
}

bool lvn_qido_echo(struct lvn_http *http, struct lvn_error *err) {
  LVN_AUTOJSON json_t *datasets = NULL;
  bool is_cut = false;
  return search(http, "studies?limit=1", &datasets, &is_cut, err);
}
