/* A training set on disk: lesion crops as the node makes them, with class, patient and fold.
 *   DIR/manifest.json              what each lesion is, its file and the file's SHA-256, where its pixels come from
 *   DIR/lesions/<id>.safetensors   hounsfield I16 [slice][NC,ART,PV][224][224], mask U8 [slice][224][224]; where the
 *                                  data set was made with it, delayed I16 [slice][224][224], the delayed phase
 * Patients are named by a pseudonym; no name, id or date of a person belongs here. docs/model.md lists the keys. */
#ifndef LVN_MODEL_DATASET_DATASET_H
#define LVN_MODEL_DATASET_DATASET_H

#include "base/error.h"
#include "base/sha256.h"
#include "model/image/crop.h"
#include "model/image/vocabulary.h"

#include <jansson.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LVN_DATASET_KEY_BYTES 65
#define LVN_DATASET_LESIONS_MAX 1000000
#define LVN_DATASET_WORD_BYTES 32
#define LVN_DATASET_LABEL_COUNT (LVN_CLASS_COUNT + 1) /* the known classes, then LVN_CLASS_OUTLIER */

struct lvn_dataset_lesion {
  char lesion_id[LVN_DATASET_KEY_BYTES];   /* names its file: letters, digits, '.', '_' and '-' only */
  char patient_key[LVN_DATASET_KEY_BYTES]; /* pseudonym: the unit that validation is split by */
  enum lvn_class lesion_class;             /* or LVN_CLASS_OUTLIER: none that is known; `subtype` says what */
  unsigned fold;
  char subtype[LVN_DATASET_WORD_BYTES]; /* free, may be empty */
  /* Filled by the writer from the crop. */
  size_t slice_count;
  size_t key_slice;
  double side_mm;
  bool phase_present[LVN_PHASE_NETWORK_COUNT];
  double mean_hu[LVN_PHASE_NETWORK_COUNT]; /* inside the mask over the slices; NAN without a measurement */
  bool delayed_present;
  double delayed_mean_hu;           /* as mean_hu */
  uint8_t sha256[LVN_SHA256_BYTES]; /* of its file */
  /* Known of some data sets only. */
  char reference_standard[LVN_DATASET_WORD_BYTES]; /* how the class is known: "histology"; may be empty */
  double long_axis_mm;                             /* largest diameter in a slice; 0: not known */
  double slice_thickness_mm;                       /* of the series that the ROI was drawn on; 0: not known */
  uint8_t pixel_sha256[LVN_SHA256_BYTES];          /* of `hounsfield` alone; all 0 in a data set without */
};

/* Not shared by threads. */
struct lvn_dataset_writer;
/* `folder` must not hold a data set already. `source` is one line for the manifest: where the cases are from. */
LVN_MUST_CHECK bool lvn_dataset_writer_open(const char *folder, const char *source,
                                            struct lvn_dataset_writer **ret_writer, struct lvn_error *err);
LVN_MUST_CHECK bool lvn_dataset_writer_add(struct lvn_dataset_writer *writer, const struct lvn_dataset_lesion *lesion,
                                           const struct lvn_crop *crop, struct lvn_error *err);
/* The same in two steps, so that several processes can make lesions of one data set: the pixels of one lesion into
 * `folder` (which need not hold a data set), replacing what lies there, and the manifest's entry for it. Keys of
 * `facts` (NULL: none) are added to the entry. json_decref() it. */
LVN_MUST_CHECK bool lvn_dataset_store(const char *folder, const struct lvn_dataset_lesion *lesion,
                                      const struct lvn_crop *crop, const json_t *facts, json_t **ret_entry,
                                      struct lvn_error *err);
/* The second step; the entry is taken. Its file is not looked at. */
LVN_MUST_CHECK bool lvn_dataset_writer_append(struct lvn_dataset_writer *writer, json_t *entry, struct lvn_error *err);
/* A key of the manifest's head; the value is taken. */
LVN_MUST_CHECK bool lvn_dataset_writer_note(struct lvn_dataset_writer *writer, const char *key, json_t *value,
                                            struct lvn_error *err);
/* Writes the manifest; without it the folder is no data set. Closes in every case. */
LVN_MUST_CHECK bool lvn_dataset_writer_close(struct lvn_dataset_writer *writer, struct lvn_error *err);
void lvn_dataset_writer_abandon(struct lvn_dataset_writer *writer); /* NULL is allowed; leaves the lesion files */

/* Immutable once opened; may be shared by threads. */
struct lvn_dataset;
LVN_MUST_CHECK bool lvn_dataset_open(const char *folder, struct lvn_dataset **ret_dataset, struct lvn_error *err);
/* Several as one, their lesions one after the other: what they share is then found as if it were within one. */
LVN_MUST_CHECK bool lvn_dataset_open_all(const char *const *folders, size_t folder_count,
                                         struct lvn_dataset **ret_dataset, struct lvn_error *err);
void lvn_dataset_close(struct lvn_dataset *dataset); /* NULL is allowed */
size_t lvn_dataset_count(const struct lvn_dataset *dataset);
const struct lvn_dataset_lesion *lvn_dataset_get(const struct lvn_dataset *dataset, size_t index);
const char *lvn_dataset_source(const struct lvn_dataset *dataset);
/* SHA-256 of each source image's pixels that the lesion's crop was taken from, LVN_SHA256_BYTES each; a data set of
 * phantoms has none. Borrowed. */
const uint8_t *lvn_dataset_images(const struct lvn_dataset *dataset, size_t index, size_t *ret_count);
/* Which of the folders it lies in. */
size_t lvn_dataset_folder(const struct lvn_dataset *dataset, size_t index);
/* Of the crop's pixels; of the lesion's file in a data set that does not say the former. */
const uint8_t *lvn_dataset_pixels(const struct lvn_dataset *dataset, size_t index);
/* SHA-256 of manifest.json, which names every file's: what a model was trained on. Of several as one: of their digests
 * in a row. */
const uint8_t *lvn_dataset_sha256(const struct lvn_dataset *dataset);

/* The pixels of one lesion as a crop (mask areas and box indices are 0), checked against the SHA-256.
 * lvn_crop_clear() it. */
LVN_MUST_CHECK bool lvn_dataset_load(const struct lvn_dataset *dataset, size_t index, struct lvn_crop *ret_crop,
                                     struct lvn_error *err);

#ifdef __cplusplus
}
#endif
#endif
