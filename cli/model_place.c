#include "base/memory.h"
#include "cli/model.h"
#include "cli/operate.h"

bool lvn_cli_model_place_read(struct lvn_cli_model_place *place, struct lvn_error *err) {
  if (place->models_folder != NULL) {
    return true;
  }
  place->config = lvn_alloc(1, sizeof *place->config, err);
  if (place->config == NULL ||
      !lvn_config_load(place->config_path != NULL ? place->config_path : LVN_OPERATE_CONFIG, place->config, err)) {
    return lvn_error_prefix(err, "--models DIR is not given");
  }
  place->models_folder = place->config->models_folder;
  return true;
}

void lvn_cli_model_place_clear(struct lvn_cli_model_place *place) {
  lvn_free(place->config);
  place->config = NULL;
}
