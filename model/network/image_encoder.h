/* Which image encoders this program has, for those that only check a name. */
#ifndef LVN_MODEL_NETWORK_IMAGE_ENCODER_H
#define LVN_MODEL_NETWORK_IMAGE_ENCODER_H

#ifdef __cplusplus
extern "C" {
#endif

#define LVN_IMAGE_ENCODER_NAME_BYTES 32

/* "resnet18|resnet50": the names of the table, as choices of a recipe. Borrowed. */
const char *lvn_image_encoder_choices(void);
/* "ResNet-18" for "resnet18"; the name itself when it is unknown. Borrowed. */
const char *lvn_image_encoder_title(const char *name);

#ifdef __cplusplus
}
#endif
#endif
