/* Rules of the keys about TLS and the audit: what cannot serve is refused with what is missing. */
#include "config/config_keys.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define FILES "[tls]\ncertificate = /c.pem\nprivate_key = /k.pem\ntrusted_certificates = /t.pem\n"
#define PEER "[peer \"CT1\"]\naet = CT1\nhost = 10.1.2.21\nport = 104\n"
#define PRINT "00112233445566778899aabbccddeeff00112233445566778899AABBCCDDEEFF"

static struct lvn_config config;
static struct lvn_error err;

static bool parse(const char *text) {
  FILE *stream = fmemopen((void *)(uintptr_t)text, strlen(text), "r");
  assert_non_null(stream);
  memset(&err, 0, sizeof err);
  const bool good = lvn_config_parse(stream, "a.ini", NULL, NULL, &config, &err);
  (void)fclose(stream);
  return good;
}

static void assert_refused(const char *text, const char *message) {
  assert_false(parse(text));
  assert_int_equal(err.code, LVN_ERROR_USAGE);
  if (strstr(err.message, message) == NULL) {
    fail_msg("'%s' does not say '%s'", err.message, message);
  }
}

static void test_config_tls__off_by_default(void **state) {
  (void)state;
  assert_true(parse(PEER));
  assert_false(lvn_config_has_tls(&config));
  assert_false(lvn_config_has_audit(&config));
  assert_false(lvn_config_peer_takes_tls(&config.peers[0]));
  assert_false(lvn_config_peer_uses_tls(&config.peers[0]));
}

static void test_config_tls__what_needs_the_files(void **state) {
  (void)state;
  assert_refused("[node]\ntls_port = 2762\n" PEER, "[node] tls_port needs the section [tls]");
  assert_refused("[web]\nweb_tls = on\n" PEER, "[web] web_tls needs the section [tls]");
  assert_refused("[audit]\nrepository_host = a.example\n" PEER, "[audit] repository_host needs the section [tls]");
  assert_refused(PEER "tls = required\nmay_send = no\n", "needs the section [tls]");
  assert_refused("[tls]\ncertificate = /c.pem\n" PEER, "[tls] private_key is missing");
  assert_refused("[tls]\nprivate_key = /c.pem\n" PEER, "[tls] certificate is missing");
  assert_refused("[tls]\ncertificate = c.pem\nprivate_key = /k\ntrusted_certificates = /t\n" PEER,
                 "[tls] certificate: 'c.pem' is no absolute path");
  assert_refused("[audit]\nfile = audit.log\n" PEER, "[audit] file: 'audit.log' is no absolute path");
  assert_true(parse("[audit]\nfile = /var/audit.log\n" PEER));
  assert_true(lvn_config_has_audit(&config));
}

static void test_config_tls__peers(void **state) {
  (void)state;
  assert_true(parse("[node]\ntls_port = 2762\n" FILES PEER "tls = allowed\n"));
  assert_true(lvn_config_peer_takes_tls(&config.peers[0]));
  assert_false(lvn_config_peer_uses_tls(&config.peers[0])); /* called without: there is no "if it can" */
  assert_true(parse("[node]\ntls_port = 2762\n" FILES PEER "tls = required\n"));
  assert_true(lvn_config_peer_uses_tls(&config.peers[0]));
  assert_refused(FILES PEER "tls = required\n", "[node] tls_port must say where it calls");
  assert_true(parse(FILES PEER "tls = required\nmay_send = no\n"));
  assert_refused(FILES PEER "certificate = CN=ct1\n", "certificate is for tls = required or allowed");
}

static void test_config_tls__certificates(void **state) {
  static const char *const good[] = {"CN=ct1,O=Hospital", PRINT, PRINT ", " PRINT,
                                     "00:11:22:33:44:55:66:77:88:99:aa:bb:cc:dd:ee:ff:"
                                     "00:11:22:33:44:55:66:77:88:99:aa:bb:cc:dd:ee:ff"};
  static const char *const bad[] = {"ct1", "0011", PRINT "00", PRINT ", 0011", "sha256 " PRINT};
  char text[1024];
  (void)state;
  for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
    (void)snprintf(text, sizeof text, "[node]\ntls_port = 1\n" FILES PEER "tls = required\ncertificate = %s\n",
                   good[i]);
    assert_true(parse(text));
  }
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    (void)snprintf(text, sizeof text, "[node]\ntls_port = 1\n" FILES PEER "tls = required\ncertificate = %s\n", bad[i]);
    assert_refused(text, "certificate: neither SHA-256 fingerprints nor a subject");
  }
  assert_refused("[node]\ntls_port = 1\n" FILES PEER "tls = required\ncertificate = CN=a\n"
                 "[peer \"CT2\"]\naet = CT2\nhost = 10.1.2.22\nport = 104\ntls = required\ncertificate = CN=a\n",
                 "its certificate is peer \"CT1\"'s");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_config_tls__off_by_default),
      cmocka_unit_test(test_config_tls__what_needs_the_files),
      cmocka_unit_test(test_config_tls__peers),
      cmocka_unit_test(test_config_tls__certificates),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
