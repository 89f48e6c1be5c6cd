/* One more row of the table of image encoders, "patches", which no file of the program knows. */
#ifndef LVN_TESTS_TOY_ENCODER_H
#define LVN_TESTS_TOY_ENCODER_H

#ifdef __cplusplus
extern "C" {
#endif

extern int toy_encoder_folded;    /* how often weights were folded */
extern int toy_encoder_explained; /* how often a map was explained */
void toy_encoder_add(void);

#ifdef __cplusplus
}
#endif
#endif
