/* Every coded concept that the written objects use, in one table. DCM, UCUM and SCT meanings are spelt as their owners
 * spell them (viewers match containers by meaning, PS3.16); concepts that no standard code was found for are in the
 * private scheme 99LVN, which each object identifies (PS3.3 C.12.1.1.7). */
#ifndef LVN_DICOM_WRITE_CODES_H
#define LVN_DICOM_WRITE_CODES_H

#include "model/image/vocabulary.h"

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LVN_CODE_PRIVATE_SCHEME "99LVN"

struct lvn_code {
  const char *value;  /* SH, at most 16 characters */
  const char *scheme; /* "DCM", "SCT", "UCUM", "LN", "RFC5646", "UMLS", "RADLEX", "99LVN" */
  const char *meaning;
};

/* clang-format off */
#define LVN_CODES(X)                                                                                                   \
  X(ENGLISH, "en", "RFC5646", "English")                                                                               \
  X(LANGUAGE, "121049", "DCM", "Language of Content Item and Descendants")                                             \
  X(OBSERVER_TYPE, "121005", "DCM", "Observer Type")                                                                   \
  X(PERSON, "121006", "DCM", "Person")                                                                                 \
  X(PERSON_OBSERVER_NAME, "121008", "DCM", "Person Observer Name")                                                     \
  X(DEVICE, "121007", "DCM", "Device")                                                                                 \
  X(DEVICE_UID, "121012", "DCM", "Device Observer UID")                                                                \
  X(DEVICE_NAME, "121013", "DCM", "Device Observer Name")                                                              \
  X(DEVICE_MANUFACTURER, "121014", "DCM", "Device Observer Manufacturer")                                              \
  X(DEVICE_MODEL, "121015", "DCM", "Device Observer Model Name")                                                       \
  X(DEVICE_SERIAL, "121016", "DCM", "Device Observer Serial Number")                                                   \
  X(PROCEDURE_REPORTED, "121058", "DCM", "Procedure reported")                                                         \
  X(CT_PROCEDURE, "25045-6", "LN", "CT unspecified body region")                                                       \
  X(IMAGING_MEASUREMENT_REPORT, "126000", "DCM", "Imaging Measurement Report")                                         \
  X(IMAGING_MEASUREMENTS, "126010", "DCM", "Imaging Measurements")                                                     \
  X(MEASUREMENT_GROUP, "125007", "DCM", "Measurement Group")                                                           \
  X(IMAGE_LIBRARY, "111028", "DCM", "Image Library")                                                                   \
  X(IMAGE_LIBRARY_GROUP, "126200", "DCM", "Image Library Group")                                                       \
  X(QUALITATIVE_EVALUATIONS, "C0034375", "UMLS", "Qualitative Evaluations")                                            \
  X(TRACKING_ID, "112039", "DCM", "Tracking Identifier")                                                               \
  X(TRACKING_UID, "112040", "DCM", "Tracking Unique Identifier")                                                       \
  X(FINDING, "121071", "DCM", "Finding")                                                                               \
  X(FINDING_SITE, "363698007", "SCT", "Finding Site")                                                                  \
  X(IMAGE_REGION, "111030", "DCM", "Image Region")                                                                     \
  X(ILLUSTRATION_OF_ROI, "121200", "DCM", "Illustration of ROI")                                                       \
  X(SOURCE_OF_MEASUREMENT, "121112", "DCM", "Source of Measurement")                                                   \
  X(ALGORITHM_NAME, "111001", "DCM", "Algorithm Name")                                                                 \
  X(ALGORITHM_VERSION, "111003", "DCM", "Algorithm Version")                                                           \
  X(ALGORITHM_PARAMETERS, "111002", "DCM", "Algorithm Parameters")                                                     \
  X(ALGORITHM_FAMILY, "111000", "DCM", "Algorithm Family")                                                             \
  X(ARTIFICIAL_INTELLIGENCE, "123110", "DCM", "Artificial Intelligence")                                               \
  X(PROCESSING_EQUIPMENT, "109102", "DCM", "Processing Equipment")                                                     \
  X(GRAD_CAM, "130403", "DCM", "Grad-CAM")                                                                             \
  X(SOURCE_IMAGE, "121322", "DCM", "Source image for image processing operation")                                      \
  X(SEGMENTATION, "113076", "DCM", "Segmentation")                                                                     \
  X(VOLUME, "118565006", "SCT", "Volume")                                                                              \
  X(AREA, "42798000", "SCT", "Area")                                                                                   \
  X(LONG_AXIS, "103339001", "SCT", "Long Axis")                                                                        \
  X(SHORT_AXIS, "103340004", "SCT", "Short Axis")                                                                      \
  X(MODALITY, "121139", "DCM", "Modality")                                                                             \
  X(COMPUTED_TOMOGRAPHY, "CT", "DCM", "Computed Tomography")                                                           \
  X(TARGET_REGION, "123014", "DCM", "Target Region")                                                                   \
  X(ABDOMEN, "113345001", "SCT", "Abdomen")                                                                            \
  X(CONTRAST_PHASE, "109058", "DCM", "Contrast Phase")                                                                 \
  X(PHASE_NC, "PHASE_NC", "99LVN", "Non-contrast phase")                                                               \
  X(PHASE_ART, "PHASE_ART", "99LVN", "Arterial phase")                                                                 \
  X(PHASE_PV, "PHASE_PV", "99LVN", "Portal-venous phase")                                                              \
  X(PHASE_DL, "PHASE_DL", "99LVN", "Delayed phase")                                                                    \
  X(DERIVATION, "121401", "DCM", "Derivation")                                                                         \
  X(MEAN, "373098007", "SCT", "Mean")                                                                                  \
  X(LIVER, "10200004", "SCT", "Liver")                                                                                 \
  X(LESION, "52988006", "SCT", "Lesion")                                                                               \
  X(MORPHOLOGICALLY_ABNORMAL, "49755003", "SCT", "Morphologically Abnormal Structure")                                 \
  X(CYST_OF_LIVER, "85057007", "SCT", "Cyst of liver")                                                                 \
  X(FNH_OF_LIVER, "278527001", "SCT", "Focal nodular hyperplasia of liver")                                            \
  X(LIVER_CELL_CARCINOMA, "109841003", "SCT", "Hepatocellular carcinoma")                                              \
  X(HEMANGIOMA_OF_LIVER, "93469006", "SCT", "Hemangioma of liver")                                                     \
  X(METASTASIS_OF_LIVER, "94381002", "SCT", "Secondary malignant neoplasm of liver")                                   \
  X(CHOLANGIOCARCINOMA, "109842005", "SCT", "Intrahepatic bile duct carcinoma")                                        \
  X(ABSCESS_OF_LIVER, "27916005", "SCT", "Abscess of liver")                                                           \
  X(MILLIMETRE, "mm", "UCUM", "millimeter")                                                                            \
  X(SQUARE_MILLIMETRE, "mm2", "UCUM", "square millimeter")                                                             \
  X(MILLILITRE, "ml", "UCUM", "milliliter")                                                                            \
  X(PERCENT, "%", "UCUM", "Percent")                                                                                   \
  X(NO_UNITS, "1", "UCUM", "no units")                                                                                 \
  X(HOUNSFIELD, "[hnsf'U]", "UCUM", "Hounsfield unit")                                                                 \
  X(PROBABILITY_CYST, "PROB_CYST", "99LVN", "Probability of cyst of liver")                                            \
  X(PROBABILITY_FNH, "PROB_FNH", "99LVN", "Probability of focal nodular hyperplasia of liver")                         \
  X(PROBABILITY_HCC, "PROB_HCC", "99LVN", "Probability of hepatocellular carcinoma")                                   \
  X(PROBABILITY_HEM, "PROB_HEM", "99LVN", "Probability of hemangioma of liver")                                        \
  X(PROBABILITY_METASTASIS, "PROB_METASTASIS", "99LVN", "Probability of metastasis of liver")                          \
  X(PROBABILITY_ICC, "PROB_ICC", "99LVN", "Probability of intrahepatic cholangiocarcinoma")                            \
  X(PROBABILITY_ABSCESS, "PROB_ABSCESS", "99LVN", "Probability of abscess of liver")                                   \
  X(MEAN_HU_NC, "MEAN_HU_NC", "99LVN", "Mean attenuation, non-contrast phase")                                         \
  X(MEAN_HU_ART, "MEAN_HU_ART", "99LVN", "Mean attenuation, arterial phase")                                           \
  X(MEAN_HU_PV, "MEAN_HU_PV", "99LVN", "Mean attenuation, portal-venous phase")                                        \
  X(MEAN_HU_DL, "MEAN_HU_DL", "99LVN", "Mean attenuation, delayed phase")                                              \
  X(CHANGE_HU, "CHANGE_HU", "99LVN", "Change of attenuation from the non-contrast phase")                              \
  X(AGAINST_LIVER_HU, "VS_LIVER_HU", "99LVN", "Attenuation of the lesion less that of the liver")                      \
  X(ALIGNMENT_ERROR_NC, "REG_ERR_NC", "99LVN", "Estimated alignment error, non-contrast phase")                        \
  X(ALIGNMENT_ERROR_ART, "REG_ERR_ART", "99LVN", "Estimated alignment error, arterial phase")                          \
  X(ALIGNMENT_ERROR_PV, "REG_ERR_PV", "99LVN", "Estimated alignment error, portal-venous phase")                       \
  X(ALIGNMENT_ERROR_DL, "REG_ERR_DL", "99LVN", "Estimated alignment error, delayed phase")                             \
  X(ALIGNMENT_SHIFT_NC, "REG_SHIFT_NC", "99LVN", "Displacement corrected, non-contrast phase")                         \
  X(ALIGNMENT_SHIFT_ART, "REG_SHIFT_ART", "99LVN", "Displacement corrected, arterial phase")                           \
  X(ALIGNMENT_SHIFT_PV, "REG_SHIFT_PV", "99LVN", "Displacement corrected, portal-venous phase")                        \
  X(ALIGNMENT_SHIFT_DL, "REG_SHIFT_DL", "99LVN", "Displacement corrected, delayed phase")                              \
  X(ALIGNMENT_SIMILARITY_NC, "REG_SIM_NC", "99LVN", "Alignment similarity, non-contrast phase")                        \
  X(ALIGNMENT_SIMILARITY_ART, "REG_SIM_ART", "99LVN", "Alignment similarity, arterial phase")                          \
  X(ALIGNMENT_SIMILARITY_PV, "REG_SIM_PV", "99LVN", "Alignment similarity, portal-venous phase")                       \
  X(ALIGNMENT_SIMILARITY_DL, "REG_SIM_DL", "99LVN", "Alignment similarity, delayed phase")                             \
  X(ALIGNMENT_STATE, "REG_STATE", "99LVN", "Phase alignment")                                                          \
  X(CLASSIFICATION, "CLASSIFICATION", "99LVN", "Lesion classification result")                                         \
  X(INDETERMINATE, "INDETERMINATE", "99LVN", "Indeterminate liver lesion")                                             \
  X(CLASSIFIED, "CLASSIFIED", "99LVN", "Classified into one of the trained classes")                                   \
  X(ABSTENTION_REASON, "ABSTAIN_REASON", "99LVN", "Reason for no classification")                                      \
  X(ANSWER, "ANSWER", "99LVN", "Answer")                                                                               \
  X(CONFORMAL_SET, "CONFORMAL_SET", "99LVN", "Classes that are not excluded")                                          \
  X(CONFORMAL_CLASS, "CONFORMAL_CLASS", "99LVN", "Class that is not excluded")                                         \
  X(CONFORMAL_COVERAGE, "CONFORMAL_COVER", "99LVN", "How often the true class is not excluded")                        \
  X(OUTLIER, "OUTLIER", "99LVN", "Unlikeness to the lesions that the model was trained on")                            \
  X(OUTLIER_SCORE, "OUTLIER_SCORE", "99LVN", "Outlier score")                                                          \
  X(OUTLIER_LIMIT, "OUTLIER_LIMIT", "99LVN", "Outlier score beyond which there is no answer")                          \
  X(MAP_SHARE_TEXT, "MAP", "99LVN", "Where the Grad-CAM map points")                                                   \
  X(MAP_SHARE, "MAP_SHARE", "99LVN", "Share of the Grad-CAM map in or next to the outline")                            \
  X(MAP_SHARE_LIMIT, "MAP_SHARE_LIMIT", "99LVN", "Share below which the map points elsewhere")                         \
  X(SMALL_LESION, "SMALL_LESION", "99LVN", "Small lesion")                                                             \
  X(RESEARCH_NOTICE, "RESEARCH_NOTICE", "99LVN", "Research-use notice")                                                \
  X(RESULT_STATUS, "RESULT_STATUS", "99LVN", "Status of this result")                                                  \
  X(PRELIMINARY_REPORT, "121362", "DCM", "Preliminary report")                                                         \
  X(MODEL, "MODEL", "99LVN", "Model")                                                                                  \
  X(PHASE_EVIDENCE, "PHASE_EVIDENCE", "99LVN", "Contrast phase used")                                                  \
  X(STUDY_NOTE, "STUDY_NOTE", "99LVN", "Study remark")                                                                 \
  X(FOR_REPORT_ATTACHMENT, "113020", "DCM", "For Report Attachment")                                                   \
  X(QUANTITY, "246205007", "SCT", "Quantity")                                                                          \
  X(KEY_OBJECT_DESCRIPTION, "113012", "DCM", "Key Object Description")
/* clang-format on */

#define LVN_CODE_ID(id, value, scheme, meaning) LVN_CODE_##id,
enum lvn_code_id { LVN_CODES(LVN_CODE_ID) LVN_CODE_COUNT };
#undef LVN_CODE_ID

const struct lvn_code *lvn_code_get(enum lvn_code_id id);

/* Finding and probability name of a lesion class; names for each phase. */
enum lvn_code_id lvn_code_of_class(enum lvn_class lesion_class);
enum lvn_code_id lvn_code_probability(enum lvn_class lesion_class);
enum lvn_code_id lvn_code_of_phase(enum lvn_phase phase);
enum lvn_code_id lvn_code_mean_hu(enum lvn_phase phase);
enum lvn_code_id lvn_code_alignment_error(enum lvn_phase phase);
enum lvn_code_id lvn_code_alignment_shift(enum lvn_phase phase);
enum lvn_code_id lvn_code_alignment_similarity(enum lvn_phase phase);

#ifdef __cplusplus
}
#endif
#endif
