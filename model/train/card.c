#include "model/train/card.h"

#include "base/clock.h"
#include "base/memory.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define NOT_ASSESSED "Not assessed.\n\n"

static const char *text_of(const json_t *object, const char *key) {
  const char *text = json_string_value(json_object_get(object, key));
  return text == NULL ? "not recorded" : text;
}

static bool is_synthetic(const char *trained_on) {
  return strcasestr(trained_on, "phantom") != NULL || strcasestr(trained_on, "synthetic") != NULL;
}

static void put_basics(FILE *card, const struct lvn_package_description *description) {
  char now[LVN_TIME_TEXT_BYTES];
  lvn_clock_format_utc(lvn_clock_wall_ms(), now);
  (void)fprintf(
      card,
      "# %s %s\n\n%s\n\n"
      "Fields of the CHAI Applied Model Card v0.2. \"Not assessed\" means that training alone cannot know it.\n\n"
      "## Basic information\n\n"
      "- Model name: %s\n"
      "- Model developer: whoever ran `livervlm train`; not recorded\n"
      "- Developer contact: not recorded\n\n"
      "## Release information\n\n"
      "- Release stage: draft, until it is promoted on a site's locked test set\n"
      "- Release date: %s\n"
      "- Release version: %s\n"
      "- Global availability: not assessed\n"
      "- Regulatory approval: none\n"
      "- Licence of the weights: %s\n\n",
      description->name, description->version, LVN_RESEARCH_NOTICE, description->name, now, description->version,
      description->licence);
}

/* "Cyst, Hemangioma": those of `classes`, or the known ones that are none of them. */
static void list_classes(unsigned classes, bool others, char *text, size_t text_bytes) {
  text[0] = '\0';
  for (unsigned c = 0; c < LVN_CLASS_COUNT; c++) {
    size_t used = strlen(text);
    if (lvn_classes_have(classes, c) != others) {
      (void)snprintf(text + used, text_bytes - used, "%s%s", used == 0 ? "" : ", ",
                     lvn_class_long_name((enum lvn_class)c));
    }
  }
}

static void put_uses(FILE *card, const struct lvn_package_description *description) {
  char names[256];
  char others[256];
  list_classes(description->recipe->classes, false, names, sizeof names);
  list_classes(description->recipe->classes, true, others, sizeof others);
  (void)snprintf(others + strlen(others), sizeof others - strlen(others), "%sadenoma, …",
                 others[0] == '\0' ? "" : ", ");
  (void)fprintf(
      card,
      "## Model summary\n\n"
      "Liver-VLM: a %s on the non-contrast, arterial and portal-venous crop of one focal liver lesion,\n"
      "compared by cosine with the embeddings of one sentence per class. Classes: %s.%s\n\n"
      "## Uses and directions\n\n"
      "### Intended use and workflow\n\n"
      "Research. A radiologist outlines a focal liver lesion on multiphase CT; the node aligns the phases, "
      "classifies\n"
      "the lesion and returns a preliminary, unverified report with the evidence.\n\n"
      "### Primary intended users\n\n"
      "Radiologists and researchers who know the limits below.\n\n"
      "### How to use\n\n"
      "As the model of a Liver-VLM node, or `livervlm analyze --model`. Evaluate it on own cases first:\n"
      "`livervlm evaluate`.\n\n"
      "### Targeted patient population\n\n"
      "Adults with an untreated focal liver lesion that is one of its classes, on CT with all three "
      "phases.\n\n"
      "### Cautioned out-of-scope settings\n\n"
      "Lesions after treatment, children, phases other than the three, MR. Everything outside its classes (%s):\n"
      "it can at best say that they are unlike its training, "
      "and\nmay give one of its names to them.\n\n",
      lvn_image_encoder_title(description->recipe->encoder), names,
      description->recipe->measurement_weight > 0.0 ? " Beside it, boosted trees judge what is measured in the\n"
                                                      "lesion, its core, rim and margin against the liver nearby in "
                                                      "each phase; their log-probabilities are added.\n"
                                                      "Grad-CAM explains the network's part alone."
                                                    : "",
      others);
}

static void put_warnings(FILE *card, const struct lvn_package_description *description,
                         const struct lvn_train_summary *summary) {
  const struct lvn_package_recipe *recipe = description->recipe;
  char found[128] = "";
  if (summary->held_out_outliers > 0) {
    (void)snprintf(found, sizeof found, ", and %.0f %% of %zu held-out outliers of the kinds in training",
                   100.0 * summary->outliers_found, summary->held_out_outliers);
  }
  (void)fprintf(card, "## Warnings\n\n### Known risks and limitations\n\n");
  if (is_synthetic(description->trained_on)) {
    (void)fprintf(card, "**It was trained on synthetic phantoms and knows no patient.** Figures on phantoms are not "
                        "clinical accuracy.\n\n");
  }
  (void)fprintf(
      card,
      "It abstains when a phase is missing; the lesion is unlike those it was trained on (outlier score above %.2f, "
      "as\n"
      "%.0f %% of held-out lesions of the classes are%s); the\n"
      "two best probabilities differ by less than %.2f; or, with the order ensemble, more than %.0f %% of the "
      "orders\n"
      "disagree. Probabilities are calibrated on the held-out lesions below and nowhere else. Grad-CAM is 7 x "
      "7 fields\n"
      "of 32 pixels: it shows where, not what.\n\n"
      "### Known biases or ethical considerations\n\n"
      "The data are whatever the site had: age, sex, ethnicity, scanner and protocol were "
      "not assessed. The reference\n"
      "standard of each case is in the data set's manifest, if it was given.\n\n"
      "### Clinical risk level\n\n" NOT_ASSESSED,
      recipe->outlier.limit, 100.0 * recipe->outlier.false_alarm_rate, found, recipe->min_margin,
      100.0 * recipe->max_permutation_disagreement);
}

static void put_facts(FILE *card, const struct lvn_package_description *description,
                      const struct lvn_train_summary *summary) {
  (void)fprintf(
      card,
      "## Trust ingredients\n\n"
      "### Outcomes and outputs\n\n"
      "Four calibrated probabilities, or an abstention with its reason; Grad-CAM of each class; distance from "
      "the\ntraining data.\n\n"
      "### Model type\n\n"
      "Image classifier against frozen text embeddings, convolutional. See manifest.json.\n\n"
      "### Foundation models\n\n"
      "Text encoder of the prompts: %s, frozen; not in the package.\n\n"
      "### Input data source, input and output data types\n\n"
      "DICOM CT of three contrast phases and a region of interest, as int16 HU crops of 224 x 224; DICOM SR "
      "and\nsecondary captures out.\n\n"
      "### Development data characterization\n\n"
      "Trained on: %s. %zu lesions in training, %zu held out by patient. Data manifests: SHA-256\n`%s`.\n\n"
      "### Bias mitigation approaches\n\n"
      "How classes and patients are drawn stands in the recipe; one patient is never both in training and held out.\n\n"
      "### Ongoing maintenance\n\n" NOT_ASSESSED "### Security\n\n"
      "Every file's SHA-256 is in manifest.json; the manifest can be signed (Ed25519). No patient data is in "
      "the\npackage but the test vectors' two crops of held-out lesions, without any identity.\n\n"
      "### Transparency\n\n"
      "Recipe, seed, library version, thread count and the SHA-256 of weights that training started from are in\n"
      "manifest.json under `training`.\n\n"
      "### Funding source, third-party information, stakeholders consulted\n\n" NOT_ASSESSED,
      text_of(description->text_encoder, "encoder"), description->trained_on, summary->training_lesions,
      summary->held_out_lesions, text_of(description->training, "data_manifest_sha256"));
}

static void put_metrics(FILE *card, const struct lvn_package_description *description,
                        const struct lvn_train_summary *summary) {
  (void)fprintf(
      card,
      "## Key metrics\n\n"
      "### Usefulness, usability, efficacy\n\n"
      "- Goal: the right class per lesion\n"
      "- Result: accuracy %.3f on the held-out lesions\n"
      "- Interpretation: held-out lesions come from the same source as the training lesions; figures "
      "elsewhere will be\n  lower. `livervlm evaluate` gives intervals, and the figures of another data set\n"
      "- Test type: internal, one fold held out by patient\n"
      "- Testing data: %zu lesions\n"
      "- Validation process: the packaged weights, by the code that runs them\n\n"
      "### Fairness, equity\n\n"
      "- Goal, result, interpretation: not assessed; `livervlm evaluate` gives subgroups by lesion size and "
      "slice\n  thickness\n\n"
      "### Safety, reliability\n\n"
      "- Goal: probabilities that mean what they say\n"
      "- Result: calibration error (15 bins) %.3f after a temperature of %.4f\n"
      "- Interpretation: temperature and limits were fitted on the same held-out lesions: a little "
      "optimistic\n"
      "- Test type: internal\n\n"
      "## Resources\n\n"
      "- Evaluation references: the report of `livervlm evaluate`, kept beside the package\n"
      "- Clinical trial: none\n"
      "- Peer-reviewed publications: Liver-VLM, of the method; none of this model\n"
      "- Reimbursement status: none\n"
      "- Patient consent or disclosure: not assessed\n\n"
      "## Bibliography\n\n"
      "Mitchell 2019, Model Cards for Model Reporting; CHAI Applied Model Card v0.2; Guo 2017, On Calibration "
      "of Modern\nNeural Networks.\n",
      summary->held_out_accuracy, summary->held_out_lesions, summary->held_out_ece, description->recipe->temperature);
}

bool lvn_card_write(const char *folder, const struct lvn_package_description *description,
                    const struct lvn_train_summary *summary, struct lvn_error *err) {
  char path[LVN_PATH_BYTES];
  LVN_AUTOFREE char *text = NULL;
  size_t bytes = 0;
  FILE *card = open_memstream(&text, &bytes);
  if (card == NULL) {
    return lvn_error_set_errno(err, errno, "%s", LVN_PACKAGE_CARD);
  }
  put_basics(card, description);
  put_uses(card, description);
  put_warnings(card, description, summary);
  put_facts(card, description, summary);
  put_metrics(card, description, summary);
  if (fclose(card) != 0) {
    return lvn_error_set_errno(err, errno, "%s", LVN_PACKAGE_CARD);
  }
  return lvn_path_join(path, folder, LVN_PACKAGE_CARD, err) && lvn_file_replace(path, text, bytes, 0644, err);
}
