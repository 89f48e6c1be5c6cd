#include "daemon/web/web_tls.h"

#include "base/file.h"
#include "base/memory.h"

#include <string.h>

#define FILE_BYTES_MAX (8U << 20)

static bool read_text(const char *path, char **ret_text, struct lvn_error *err) {
  size_t bytes = 0;
  return lvn_file_read(path, FILE_BYTES_MAX, (uint8_t **)ret_text, &bytes, err);
}

bool lvn_web_tls_read(const char *certificate_path, const char *key_path, const char *trusted_path,
                      struct lvn_web_tls *ret_tls, struct lvn_error *err) {
  return read_text(certificate_path, &ret_tls->certificate, err) && read_text(key_path, &ret_tls->private_key, err) &&
         (trusted_path == NULL || read_text(trusted_path, &ret_tls->trusted, err));
}

bool lvn_web_tls_copy(const struct lvn_web_tls *tls, struct lvn_web_tls *io_copy, struct lvn_error *err) {
  lvn_web_tls_clear(io_copy);
  io_copy->certificate = lvn_strdup(tls->certificate, err);
  io_copy->private_key = io_copy->certificate != NULL ? lvn_strdup(tls->private_key, err) : NULL;
  if (io_copy->private_key == NULL) {
    return false;
  }
  io_copy->trusted = tls->trusted != NULL ? lvn_strdup(tls->trusted, err) : NULL;
  return tls->trusted == NULL || io_copy->trusted != NULL;
}

void lvn_web_tls_clear(struct lvn_web_tls *tls) {
  if (tls->private_key != NULL) {
    explicit_bzero(tls->private_key, strlen(tls->private_key));
  }
  lvn_free(tls->certificate);
  lvn_free(tls->private_key);
  lvn_free(tls->trusted);
  memset(tls, 0, sizeof *tls);
}
