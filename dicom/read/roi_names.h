/* What the name, the type or a code of a region says about it: lesion, organ, margin of a target, or helper. Words of
 * radiologists in many languages, TG-263, and what automatic segmentation writes. Pure C, private to dicom/read. */
#ifndef LVN_DICOM_READ_ROI_NAMES_H
#define LVN_DICOM_READ_ROI_NAMES_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LVN_ROI_WORD_BYTES 32

enum lvn_roi_meaning {
  LVN_ROI_UNNAMED,  /* nothing, or what any region is called: "ROI 3", "Segment_1" */
  LVN_ROI_UNKNOWN,  /* words that say neither lesion nor organ: "right dome" */
  LVN_ROI_LESION,   /* also of a lesion in an organ: "liver tumour" */
  LVN_ROI_ORGAN,    /* or a vessel, a bone, a liver segment */
  LVN_ROI_MARGIN,   /* CTV, ITV, PTV: a target with healthy tissue around it */
  LVN_ROI_HELPER,   /* of planning or measuring: rings, dose, couch, "Liver-GTV" */
  LVN_ROI_ELSEWHERE /* a lesion of another organ: "kidney cyst" */
};

/* `ret_word` is the word that decided ("liver"), of this module's own tables, so that it may be logged; "" for none. */
enum lvn_roi_meaning lvn_roi_name_meaning(const char *label, char ret_word[LVN_ROI_WORD_BYTES]);

/* Does the text, of a finding site or the like, name an organ that liver lesions do not lie in? */
bool lvn_roi_names_other_organ(const char *text, char ret_word[LVN_ROI_WORD_BYTES]);

/* Does the label name a part of the liver as the place of something ("liver seg VIII", "S8 Leber")? */
bool lvn_roi_names_liver_part(const char *label);

/* RT ROI Interpreted Type (PS3.3 C.8.8.8). UNNAMED for an empty or unknown one. */
enum lvn_roi_meaning lvn_roi_type_meaning(const char *interpreted_type);

/* Code of a finding, a segment's property or a ROI's identification, where it speaks whatever its meaning's language:
 * categories and types of PS3.16 CID 7150 and below, in SNOMED CT and SRT. UNKNOWN for others. */
enum lvn_roi_meaning lvn_roi_code_meaning(const char *scheme, const char *value);

/* The tables behind it: patterns in normalised text, where a space stands for the edge of a word. */
struct lvn_roi_words {
  const char *const *patterns;
  size_t count;
};
extern const struct lvn_roi_words lvn_roi_lesion_words;
extern const struct lvn_roi_words lvn_roi_spread_words; /* lesions that come from, or lie in, an organ named beside */
extern const struct lvn_roi_words lvn_roi_margin_words;
extern const struct lvn_roi_words lvn_roi_helper_words;      /* whatever else is said */
extern const struct lvn_roi_words lvn_roi_weak_helper_words; /* unless a lesion is named */
extern const struct lvn_roi_words lvn_roi_liver_words;
extern const struct lvn_roi_words lvn_roi_other_organ_words; /* with lesions of their own */
extern const struct lvn_roi_words lvn_roi_seat_words;        /* of those, where metastases lie and do not come from */
extern const struct lvn_roi_words lvn_roi_anatomy_words;
extern const struct lvn_roi_words lvn_roi_near_words;
extern const struct lvn_roi_words lvn_roi_without_words;
extern const struct lvn_roi_words lvn_roi_generic_words; /* whole words */

#ifdef __cplusplus
}
#endif
#endif
