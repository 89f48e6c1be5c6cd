#include "model/train/recipe_keys.h"

#include "model/network/image_encoder.h"

#define TEXT(section, name, field, paper, help)                                                                        \
  {                                                                                                                    \
    section, name, LVN_KEY_TEXT, offsetof(struct lvn_recipe, field), sizeof((struct lvn_recipe *)0)->field, 0, 0,      \
        NULL, paper, NULL, help, NULL                                                                                  \
  }
#define WORD(section, name, field, choices, paper, help)                                                               \
  {                                                                                                                    \
    section, name, LVN_KEY_TEXT, offsetof(struct lvn_recipe, field), sizeof((struct lvn_recipe *)0)->field, 0, 0,      \
        choices, paper, NULL, help, NULL                                                                               \
  }
#define CHOICE(section, name, field, choices, paper, recommended, help)                                                \
  {                                                                                                                    \
    section, name, LVN_KEY_CHOICE, offsetof(struct lvn_recipe, field), 0, 0, 0, choices, paper, recommended, help,     \
        NULL                                                                                                           \
  }
#define FLAG(section, name, field, paper, recommended, help)                                                           \
  { section, name, LVN_KEY_FLAG, offsetof(struct lvn_recipe, field), 0, 0, 0, NULL, paper, recommended, help, NULL }
#define COUNT(section, name, field, minimum, maximum, paper, recommended, help)                                        \
  {                                                                                                                    \
    section, name, LVN_KEY_COUNT, offsetof(struct lvn_recipe, field), 0, minimum, maximum, NULL, paper, recommended,   \
        help, NULL                                                                                                     \
  }
#define REAL(section, name, field, minimum, maximum, paper, recommended, help)                                         \
  {                                                                                                                    \
    section, name, LVN_KEY_REAL, offsetof(struct lvn_recipe, field), 0, minimum, maximum, NULL, paper, recommended,    \
        help, NULL                                                                                                     \
  }
#define STAGES(section, name, field, paper, recommended, help)                                                         \
  { section, name, LVN_KEY_STAGES, offsetof(struct lvn_recipe, field), 0, 0, 0, NULL, paper, recommended, help, NULL }

/* Pretraining and training are optimised by the same keys. */
/* NOLINTBEGIN(bugprone-macro-parentheses): what is handed on stands between commas, and strings are joined */
#define FIT(section, fit, r_stages, r_optimiser, wd, warmup, r_schedule, average, source)                              \
  STAGES(section, "stages", fit, "200@224", r_stages,                                                                  \
         "Epochs @ side of the input, one after the other: \"20@96, 5@224\"; sides are multiples of 32, 32 to 224. "   \
         "none: "                                                                                                      \
         "the weights of --init as they are."),                                                                        \
      COUNT(section, "batch", fit.batch, 2, 4096, "32", NULL, "Samples a step [" source "]."),                         \
      CHOICE(section, "optimiser", fit.optimiser, "adam|adamw|sgd", "adam", r_optimiser,                               \
             "Adam [" source                                                                                           \
             "]; AdamW decays weights apart from the gradient (Loshchilov 2019); SGD has momentum 0.9 "                \
             "(SimSiam, Chen 2021)."),                                                                                 \
      REAL(section, "learning_rate", fit.learning_rate, 1e-7, 10.0, "0.0005", NULL, "At its peak [" source "]."),      \
      REAL(section, "weight_decay", fit.weight_decay, 0.0, 1.0, "0", wd,                                               \
           "Of convolutions and linear weights alone [the paper is silent]."),                                         \
      COUNT(section, "warmup_epochs", fit.warmup_epochs, 0, 1000, "0", warmup,                                         \
            "The rate rises over these [the paper is silent]."),                                                       \
      CHOICE(section, "schedule", fit.schedule, "constant|cosine", "constant", r_schedule,                             \
             "After the warm-up; cosine falls to 0 [the paper is silent]."),                                           \
      REAL(section, "ema", fit.ema, 0.0, 0.99999, "0", average,                                                        \
           "Decay of the averaged weights, which are then the ones that are kept; 0: the last ones are "               \
           "[the paper is silent].")
/* NOLINTEND(bugprone-macro-parentheses) */

/* A word of the table of image encoders. */
#define ENCODER(section, name, field, paper, help)                                                                     \
  {                                                                                                                    \
    section, name, LVN_KEY_TEXT, offsetof(struct lvn_recipe, field), sizeof((struct lvn_recipe *)0)->field, 0, 0,      \
        NULL, paper, NULL, help, lvn_image_encoder_choices                                                             \
  }

const struct lvn_recipe_key lvn_recipe_keys[] = {
    CHOICE("recipe", "mode", mode, "paper|recommended", "paper", "recommended",
           "Where the keys that are not set get their values: the Liver-VLM paper, or what a small data set is better "
           "served with."),

    TEXT("package", "name", name, "liver-vlm", "Of the package."),
    TEXT("package", "version", version, "1.0.0", "Of the package."),
    TEXT("package", "trained_on", trained_on, "", "One line that results show; empty: the data set's own."),
    TEXT("package", "licence", licence, "unstated", "Of the weights."),

    TEXT("network", "classes", classes, "CYST, FNH, HCC, HEM",
         "What the model tells apart: names of known diseases (CYST, FNH, HCC, HEM, METASTASIS, ICC, ABSCESS), "
         "separated "
         "by commas. Lesions of other diseases are outliers to it [paper: these four]."),
    ENCODER("network", "encoder", encoder, "resnet18", "Of the image [paper 3.1, table 9]."),
    COUNT("network", "joint_size", joint_size, 64, 1024, "512", NULL,
          "Of the space that images and prompts share [the paper is silent; MedCLIP has 512]."),
    CHOICE("network", "head", head, "cosine|fc", "cosine", NULL,
           "Cosine with the prompts, or a linear layer over the classes as a control, which makes no package "
           "[paper 3.3, table 8]."),
    CHOICE("network", "prompts", prompts, "enriched|simple", "enriched", NULL,
           "Enriched: class and phase order; simple: class alone [paper 3.3, table 7]."),
    CHOICE("network", "scale_mode", scale_mode, "fixed|learnable", "fixed", NULL,
           "Of the logit's factor [the paper shows none; CLIP learns it]."),
    REAL("network", "scale", scale, 1.0, 100.0, "1", NULL,
         "logit = scale * cosine; what a learnable one starts from, CLIP: 14.29 [paper equation 2 has none]."),
    REAL("network", "scale_max", scale_max, 1.0, 100.0, "100", NULL, "A learnable scale stays in 1 to this [CLIP]."),
    TEXT("network", "weights", weights, "",
         "File that the encoder starts from: safetensors, or a torchvision .pth; empty: random [paper table 3]."),
    CHOICE(
        "network", "normalisation", normalisation, "scalar|imagenet", "scalar", NULL,
        "(x - 0.5) / 0.5, or the mean of ImageNet's channels, for ImageNet weights; one pair for all phases, so that "
        "it does not tell them apart [the paper is silent]."),

    CHOICE("pretraining", "task", task, "none|phase_shuffle|simsiam", "phase_shuffle", NULL,
           "Self-supervised, on the training lesions and on unlabelled data alone: tell the phase order, or SimSiam "
           "[paper 3.2, table 4]."),
    FIT("pretraining", pretraining, NULL, NULL, NULL, NULL, NULL, NULL, "as paper 4.1's fine-tuning"),
    REAL(
        "pretraining", "gain", pretraining_gain, 0.0, 0.5, "0", "0.1",
        "Jitter per phase, 0.1: 0.9 to 1.1, so that mean HU alone does not give the phase away [the paper is silent]."),
    REAL("pretraining", "offset_hu", pretraining_offset_hu, 0.0, 200.0, "0", "10", "As gain, either way."),

    FIT("training", training, "200@224", "adamw", "0.01", "5", "cosine", "0.999", "paper 4.1"),
    CHOICE("training", "samples", samples, "slices|lesions|patients", "slices", "lesions",
           "An epoch has every slice once; or one random slice of every lesion; or of one lesion of every patient "
           "[paper 4.1: all slices]."),
    FLAG("training", "balance_classes", balance_classes, "no", "yes",
         "Classes equally often, the smaller ones' members repeated [the paper is silent]."),

    CHOICE("augmentation", "orders", permutations, "natural|random|all", "all", "random",
           "Phase orders, each beside the prompts that name it: NC, ART, PV alone; one at random per sample and epoch; "
           "all six of every sample, which makes an epoch six times as long [paper 3.4]."),
    REAL("augmentation", "order_share", permutation_share, 0.0, 1.0, "1", NULL,
         "With orders = random: share of the samples that get a random order, the rest stay NC, ART, PV."),
    REAL("augmentation", "phase_dropout", phase_dropout, 0.0, 0.9, "0", NULL,
         "Share of the samples that lose one phase, or two; the prompt names those that are left [paper 5, an idea]."),
    REAL("augmentation", "fourth_phase", fourth_phase, 0.0, 1.0, "0", NULL,
         "Of the samples of lesions that the data set has the delayed phase of: share that show it, in place of a "
         "missing phase or of one of the three; the prompt names the three in their order [paper 5, an idea]."),
    FLAG("augmentation", "flip", flip, "no", "yes", "Left-right and up-down [the paper has none]."),
    REAL("augmentation", "rotate_degrees", rotate_degrees, 0.0, 180.0, "0", "15",
         "At most, either way; all phases alike [the paper has none]."),
    REAL("augmentation", "zoom", zoom, 0.0, 0.5, "0", "0.1", "0.1: 0.9 to 1.1 [the paper has none]."),
    REAL("augmentation", "shift", shift, 0.0, 0.5, "0", "0.05", "Of the side, either way [the paper has none]."),
    REAL("augmentation", "gain", gain, 0.0, 0.5, "0", "0.03", "Per phase, 0.1: 0.9 to 1.1 [the paper has none]."),
    REAL("augmentation", "offset_hu", offset_hu, 0.0, 200.0, "0", "5", "Per phase, either way [the paper has none]."),

    FLAG("input", "use_incomplete", use_incomplete, "no", NULL,
         "Train on lesions with a missing phase, too, beside a prompt that names those that are there [paper 5]."),
    REAL("input", "window_low_hu", window_low_hu, -2000.0, 4000.0, "-100", NULL,
         "Becomes 0 [the paper is silent: cysts lie near 10 HU, arterial enhancement near 200]."),
    REAL("input", "window_high_hu", window_high_hu, -2000.0, 4000.0, "250", NULL, "Becomes 1."),

    COUNT("validation", "fold", validation_fold, 0, 1000, "0", NULL,
          "Held out for temperature and limits when a package is made."),
    COUNT("validation", "folds", folds, 0, 100, "0", NULL,
          "Of a cross-validation: 0 takes the data set's, another number makes them, by patient, classes spread evenly "
          "[paper table 1: five given ones]."),
    REAL("validation", "abstain_margin", abstain_margin, 0.0, 1.0, "0.1", NULL,
         "Least distance of the two best probabilities for an answer."),
    REAL("validation", "least_diameter_mm", least_diameter_mm, 0.0, 100.0, "8", NULL,
         "Long axis of the outline: smaller lesions get no answer [LI-RADS: under 10 mm hardly to be told]."),
    REAL("validation", "least_pixels_across", least_pixels_across, 0.0, 200.0, "4", NULL,
         "The same in pixels of the images that it was drawn on."),
    REAL(
        "validation", "abstain_quantile", abstain_quantile, 0.5, 1.0, "0.99", NULL,
        "Of the held-out lesions' outlier score: beyond it there is no answer; 0.95: 5 % of the lesions of the classes "
        "get none."),

    COUNT("measurements", "rounds", measurement_rounds, 0, 2000, "0", NULL,
          "Of boosted trees over what is measured in a lesion (core, rim and margin against the liver nearby in each "
          "phase), an opinion beside the network's; 200 is a good number, 0 does without [not in the paper]."),

    REAL("outliers", "weight", outlier_weight, 0.0, 10.0, "0", NULL,
         "Of lesions labelled outlier in the loss, which takes their probabilities towards even ones; 0: they are not "
         "trained on [Hendrycks 2019, 0.5]."),
    REAL("outliers", "share", outlier_share, 0.0, 0.9, "0.25", NULL, "Of an epoch's samples, where there are any."),
    TEXT("outliers", "unseen", outlier_unseen, "",
         "Kinds (subtypes) of outliers that are left out of training and of the choice below, separated by |: what a "
         "test may then find unseen."),
    TEXT("outliers", "scores", outlier_scores,
         "distance|relative|background|confidence|confidence+relative|confidence+background|measurements|"
         "measurements+background|measurements+confidence",
         "What says that a lesion is unlike those of the training: the one that finds most held-out outliers at the "
         "false alarm rate of abstain_quantile is packaged; without held-out outliers the first. Terms joined by + add "
         "up: distance, relative, background, confidence, flips, orders, measurements."),

    TEXT(
        "tuning", "key", tuning_key, "",
        "section.key that is chosen within each training set, among [tuning] values: by patients dealt to inner folds, "
        "never by those that are held out; the best balanced accuracy per lesion counts, then the least log loss. "
        "Empty: nothing is [the paper mentions no choice]."),
    TEXT("tuning", "values", tuning_values, "", "Of that key, separated by |: \"1|2|5\", \"50@224|100@224\"."),
    COUNT("tuning", "folds", tuning_folds, 2, 20, "3", NULL, "Inner ones."),

    REAL("acceptance", "macro_auc", accept_macro_auc, 0.0, 1.0, "0", "0.9",
         "Promotion of the package needs at least this on the locked test set, per patient; 0: not asked."),
    REAL("acceptance", "accuracy", accept_accuracy, 0.0, 1.0, "0", "0.8", "As macro_auc, balanced accuracy."),
    REAL("acceptance", "hcc_sensitivity", accept_hcc_sensitivity, 0.0, 1.0, "0", "0.8", "As macro_auc."),
    REAL("acceptance", "ece", accept_ece, 0.0, 1.0, "1", "0.1", "At most this calibration error; 1: not asked."),

    CHOICE("run", "device", device, "auto|cpu|cuda", "auto", NULL, "Where it trains; auto: CUDA where there is one."),
    CHOICE("run", "precision", precision, "single|bf16", "single", NULL,
           "bf16: convolutions and products in bfloat16, sums and weights in single precision."),
    FLAG("run", "deterministic", deterministic, "yes", NULL,
         "Refuse what is not the same from run to run. Same seed, data, machine and threads: same model."),
    COUNT("run", "seed", seed, 0, 4294967295.0, "1", NULL, "Of the first weights, and of every draw."),
    COUNT("run", "threads", threads, 0, 1024, "0", NULL, "0: all cores."),
    COUNT("run", "checkpoint_seconds", checkpoint_seconds, 0, 86400, "600", NULL,
          "Between checkpoints within an epoch; there is one after every epoch. 0: after every step."),
};
const size_t lvn_recipe_key_count = sizeof lvn_recipe_keys / sizeof lvn_recipe_keys[0];
