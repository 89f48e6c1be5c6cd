/* QIDO-RS (PS3.18 10.6, IHE RAD-129) as user agent: what a server has, by study UID or, for earlier studies, by patient
 * ID. Every list is bounded. */
#ifndef LVN_DICOM_WEB_QIDO_H
#define LVN_DICOM_WEB_QIDO_H

#include "base/http/http.h"
#include "base/sha256.h"

#ifdef __cplusplus
extern "C" {
#endif

struct lvn_qido_series {
  char series_uid[LVN_UID_BYTES];
  char modality[17];
  char description[65];
  int64_t instance_count; /* -1: not said */
};
/* The series of a study in the server's order, at most max_count; none where it has no such study. *ret_is_cut: there
 * are more. lvn_free() the array. */
LVN_MUST_CHECK bool lvn_qido_list_series(struct lvn_http *http, const char *study_uid, size_t max_count,
                                         struct lvn_qido_series **ret_series, size_t *ret_count, bool *ret_is_cut,
                                         struct lvn_error *err);

struct lvn_qido_study {
  char study_uid[LVN_UID_BYTES];
  char patient_id[65];
  char issuer_of_patient_id[65];
  char birth_date[9];
  char date[9]; /* YYYYMMDD */
};
/* Studies of this patient (identity is the caller's to compare) of these days (YYYYMMDD-YYYYMMDD) with this modality,
 * at most max_count. */
LVN_MUST_CHECK bool lvn_qido_list_studies(struct lvn_http *http, const char *patient_id, const char *dates,
                                          const char *modality, size_t max_count, struct lvn_qido_study **ret_studies,
                                          size_t *ret_count, bool *ret_is_cut, struct lvn_error *err);

LVN_MUST_CHECK bool lvn_qido_has_instance(struct lvn_http *http, const char *sop_instance_uid, bool *ret_found,
                                          struct lvn_error *err);

/* Does a DICOMweb server answer there, and let us in? Searches for one study. */
LVN_MUST_CHECK bool lvn_qido_echo(struct lvn_http *http, struct lvn_error *err);

#ifdef __cplusplus
}
#endif
#endif
