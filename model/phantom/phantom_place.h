#ifndef LVN_MODEL_PHANTOM_PLACE_H
#define LVN_MODEL_PHANTOM_PLACE_H

#include "model/phantom/phantom_internal.h"

/* Draws a lesion's look and place and adds it to scene->lesions. A lesion that fits nowhere is made smaller until it
 * does; when even 3 mm do not fit, lesion_count stays. */
void lvn_phantom_lesion_place(struct lvn_phantom_scene *scene, uint64_t seed, enum lvn_class lesion_class,
                              enum lvn_phantom_other other, double diameter_mm);

#endif
