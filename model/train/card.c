#include "model/train/card.h"

#include "daemon/base/memory.h"

#include <string.h>

bool lvn_card_write(const char *folder, const struct lvn_package_description *description,
                    const struct lvn_train_summary *summary, struct lvn_error *err) {
  char path[LVN_PATH_BYTES];
  const struct lvn_package_recipe *recipe = description->recipe;
  LVN_AUTOFREE char *text = lvn_format(
      err,
      "# %s %s\n\n"
      "%s\n\n"
      "## What it is\n\n"
      "Liver-VLM: a ResNet-%d on the non-contrast, arterial and portal-venous crop of one focal liver lesion, "
      "compared\n"
      "by cosine with the embeddings of one sentence per class. Classes: cyst, focal nodular hyperplasia, "
      "hepatocellular\n"
      "carcinoma, haemangioma.\n\n"
      "**Trained on: %s.** Licence of the weights: %s.\n\n"
      "## How it did\n\n"
      "| figure | value |\n|---|---|\n"
      "| lesions trained on | %zu |\n"
      "| lesions held out, by patient | %zu |\n"
      "| accuracy on those, per lesion | %.3f |\n"
      "| calibration error (15 bins) on those, temperature %.4f fitted on the same | %.3f |\n\n"
      "The held-out lesions come from the same source as the training lesions: figures elsewhere will be lower. "
      "Figures\n"
      "on synthetic phantoms are not clinical accuracy.\n\n"
      "## When it abstains\n\n"
      "A phase is missing; the features lie further than %.2f from every class it was trained on; the two best\n"
      "probabilities differ by less than %.2f; or, with the order ensemble, more than %.0f %% of the orders "
      "disagree.\n\n"
      "## What it cannot do\n\n"
      "It knows four classes only. It cannot recognise metastasis, cholangiocarcinoma, abscess or adenoma and may "
      "give\n"
      "one of its four names to them. Not for lesions after treatment, children, or phases other than the three. The\n"
      "probabilities are calibrated on the held-out lesions above and nowhere else. Grad-CAM is 7 x 7 fields of 32\n"
      "pixels: it shows where, not what.\n",
      description->name, description->version, LVN_RESEARCH_NOTICE, recipe->trunk_depth, description->trained_on,
      description->licence, summary->training_lesions, summary->held_out_lesions, summary->held_out_accuracy,
      recipe->temperature, summary->held_out_ece, recipe->max_feature_distance, recipe->min_margin,
      100.0 * recipe->max_order_disagreement);
  return text != NULL && lvn_path_join(path, folder, LVN_PACKAGE_CARD, err) &&
         lvn_file_replace(path, text, strlen(text), 0644, err);
}
