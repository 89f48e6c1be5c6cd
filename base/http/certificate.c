#include "base/http/certificate.h"

#include <time.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "base/file.h"
#include "base/memory.h"

#define FILE_BYTES_MAX (1U << 20)

bool lvn_certificate_get_end(const char *path, int64_t *ret_end_ms, struct lvn_error *err) {
  LVN_AUTOFREE uint8_t *data = NULL;
  size_t bytes = 0;
  struct tm end = {0};
  if (!lvn_file_read(path, FILE_BYTES_MAX, &data, &bytes, err)) {
    return false;
  }
  BIO *memory = BIO_new_mem_buf(data, (int)bytes);
  X509 *certificate = memory == NULL ? NULL : PEM_read_bio_X509(memory, NULL, NULL, NULL);
  const bool good = certificate != NULL && ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &end) == 1;
  X509_free(certificate);
  BIO_free(memory);
  ERR_clear_error();
  if (!good) {
    return lvn_error_set(err, LVN_ERROR_DATA, "'%s' holds no certificate in PEM form", path);
  }
  *ret_end_ms = 1000 * (int64_t)timegm(&end);
  return true;
}
