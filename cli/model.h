/* What the commands on model packages share. */
#ifndef LVN_CLI_MODEL_H
#define LVN_CLI_MODEL_H

#include "base/error.h"
#include "config/config.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The models' folder: as named, or the configuration's. */
struct lvn_cli_model_place {
  const char *config_path;   /* NULL: the usual one */
  const char *models_folder; /* NULL: the configuration's */
  struct lvn_config *config; /* owned; NULL when the folder was named */
};
#define LVN_MODEL_PLACE_OPTIONS(place)                                                                                 \
  {"config",                                                                                                           \
   "FILE",                                                                                                             \
   LVN_OPTION_TEXT,                                                                                                    \
   &(place)->config_path,                                                                                              \
   "the node's configuration, for models_folder (" LVN_OPERATE_CONFIG ")",                                             \
   false,                                                                                                              \
   0,                                                                                                                  \
   0},                                                                                                                 \
  {                                                                                                                    \
    "models", "DIR", LVN_OPTION_TEXT, &(place)->models_folder, "the models' folder, instead of the configuration's",   \
        false, 0, 0                                                                                                    \
  }
LVN_MUST_CHECK bool lvn_cli_model_place_read(struct lvn_cli_model_place *place, struct lvn_error *err);
void lvn_cli_model_place_clear(struct lvn_cli_model_place *place);

#ifdef __cplusplus
}
#endif
#endif
