/* The table of recipe keys. Internal to model/train; immutable, any thread. */
#ifndef LVN_MODEL_RECIPE_KEYS_H
#define LVN_MODEL_RECIPE_KEYS_H

#include "model/train/recipe.h"

#ifdef __cplusplus
extern "C" {
#endif

enum lvn_recipe_kind { LVN_KEY_TEXT, LVN_KEY_CHOICE, LVN_KEY_FLAG, LVN_KEY_COUNT, LVN_KEY_REAL, LVN_KEY_STAGES };

struct lvn_recipe_key {
  const char *section;
  const char *name;
  enum lvn_recipe_kind kind;
  size_t offset;
  size_t bytes; /* of a text */
  double minimum;
  double maximum;
  const char *choices; /* "a|b|c"; a choice is stored as its index, a text as itself */
  const char *paper;
  const char *recommended;         /* NULL: as in paper */
  const char *help;                /* meaning, then its source in brackets */
  const char *(*choices_of)(void); /* where another table has the choices; then `choices` is NULL */
};

extern const struct lvn_recipe_key lvn_recipe_keys[];
extern const size_t lvn_recipe_key_count;

/* "a|b|c", or NULL. */
const char *lvn_recipe_key_choices(const struct lvn_recipe_key *key);
LVN_MUST_CHECK bool lvn_recipe_key_set(const struct lvn_recipe_key *key, struct lvn_recipe *recipe, const char *text,
                                       struct lvn_error *err);
/* The shortest text that reads back as the same value. */
void lvn_recipe_key_format(const struct lvn_recipe_key *key, const struct lvn_recipe *recipe,
                           char ret_text[LVN_RECIPE_TEXT_BYTES]);

#ifdef __cplusplus
}
#endif
#endif
