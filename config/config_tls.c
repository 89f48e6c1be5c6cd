#include "config/config_tls.h"

#include "base/clock.h"
#include "base/memory.h"

#include <stddef.h>

bool lvn_config_load_tls(const struct lvn_config *config, struct lvn_tls **ret_tls, struct lvn_error *err) {
  const struct lvn_tls_files files = {.certificate = config->certificate,
                                      .private_key = config->private_key,
                                      .trusted_certificates = config->trusted_certificates};
  *ret_tls = NULL;
  return !lvn_config_has_tls(config) || lvn_tls_load(&files, ret_tls, err);
}

bool lvn_config_check_tls(const struct lvn_config *config, char *ret_warning, size_t warning_bytes,
                          struct lvn_error *err) {
  struct lvn_error dates = {0};
  struct lvn_tls *tls = NULL;
  ret_warning[0] = '\0';
  if (!lvn_config_load_tls(config, &tls, err)) {
    return false;
  }
  if (tls != NULL && !lvn_tls_check_dates(tls, lvn_clock_wall_ms(), &dates)) {
    (void)lvn_copy(ret_warning, warning_bytes, dates.message);
  } else if (tls != NULL) {
    (void)lvn_tls_describe_end(tls, lvn_clock_wall_ms(), ret_warning, warning_bytes);
  }
  lvn_tls_release(tls);
  return true;
}
