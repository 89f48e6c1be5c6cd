/* Any bytes as a configuration file; what loads must also print, compare and answer for an address. */
#include "base/memory.h"
#include "config/config_keys.h"
#include "tests/fuzz/target.h"

#include <stdio.h>

static void use(struct lvn_config *config, const struct lvn_config *defaults) {
  struct lvn_error err = {0};
  const struct lvn_config_peer *to[LVN_CONFIG_PEERS_MAX];
  FILE *nowhere = fopen("/dev/null", "we");
  if (nowhere == NULL) {
    return;
  }
  if (lvn_config_print(config, nowhere, &err)) {
    (void)!lvn_config_print_changes(defaults, config, nowhere, &err);
  }
  (void)fclose(nowhere);
  (void)lvn_config_admit(config, "CT1", "::ffff:10.1.2.3");
  for (size_t i = 0; i < config->peer_count; i++) {
    if (config->peers[i].may_send && lvn_config_get_destinations(config, &config->peers[i], to) == 0) {
      __builtin_trap(); /* a sender whose results go nowhere must not load */
    }
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  struct lvn_error err = {0};
  LVN_AUTOFREE struct lvn_config *config = lvn_alloc(1, sizeof *config, &err);
  LVN_AUTOFREE struct lvn_config *defaults = lvn_alloc(1, sizeof *defaults, &err);
  LVN_AUTOFREE uint8_t *copy = lvn_alloc(size + 1, 1, &err);
  FILE *stream = NULL;
  if (config == NULL || defaults == NULL || copy == NULL || size == 0) {
    return 0;
  }
  for (size_t i = 0; i < size; i++) {
    copy[i] = data[i];
  }
  lvn_config_set_defaults(NULL, defaults);
  stream = fmemopen(copy, size, "r");
  if (stream == NULL) {
    return 0;
  }
  if (lvn_config_parse(stream, "fuzz", NULL, NULL, config, &err)) {
    use(config, defaults);
  }
  (void)fclose(stream);
  return 0;
}
