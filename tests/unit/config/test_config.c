#include "base/memory.h"
#include "config/config.h"
#include "config/config_keys.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static bool parse(const char *text, struct lvn_config *config, struct lvn_error *err) {
  FILE *stream = fmemopen((void *)(uintptr_t)text, strlen(text), "r");
  bool done = false;
  assert_non_null(stream);
  done = lvn_config_parse(stream, "a.ini", NULL, NULL, config, err);
  (void)fclose(stream);
  return done;
}

static void assert_refused(const char *text, const char *expected) {
  static struct lvn_config config;
  struct lvn_error err = {0};
  config.port = 4321;
  assert_false(parse(text, &config, &err));
  assert_int_equal(err.code, LVN_ERROR_USAGE);
  if (strstr(err.message, expected) == NULL) {
    fail_msg("'%s' does not hold '%s'", err.message, expected);
  }
  assert_int_equal(config.port, 4321); /* untouched on failure */
}

static const char two_peers[] = "[node]\nae_title = NODE 1\nport=104\ncheck_called_aet = FALSE\n"
                                "[peer \"CT1\"]\naet = CT\naddresses = 10.1.2.0/24, 2001:db8::/32\nresults_to = PACS\n"
                                "[peer \"PACS\"]\naet = PACS\nhost = 192.0.2.10\nport = 104\n";

static void test_config__defaults(void **state) {
  static struct lvn_config config;
  struct lvn_error err = {0};
  (void)state;
  assert_true(parse("\n", &config, &err));
  assert_string_equal(config.ae_title, "LIVERVLM");
  assert_int_equal(config.port, 11112);
  assert_int_equal(config.max_pdu_bytes, 131072);
  assert_int_equal(config.max_object_bytes, 2147483648U);
  assert_int_equal(config.retry_first_seconds, 30);
  assert_int_equal(config.retry_max_seconds, 600);
  assert_int_equal(config.retry_count_max, 10);
  assert_true(config.check_called_aet);
  assert_false(config.order_ensemble);
  assert_int_equal(config.peer_count, 0);
}

static void test_config__values(void **state) {
  static struct lvn_config config;
  struct lvn_error err = {0};
  (void)state;
  assert_true(parse(two_peers, &config, &err));
  assert_string_equal(config.ae_title, "NODE 1");
  assert_int_equal(config.port, 104);
  assert_false(config.check_called_aet);
  assert_int_equal(config.peer_count, 2);
  assert_string_equal(config.peers[0].name, "CT1");
  assert_string_equal(config.peers[0].addresses, "10.1.2.0/24, 2001:db8::/32");
  assert_int_equal(config.peers[1].port, 104);
  assert_ptr_equal(lvn_config_find_peer(&config, "PACS"), &config.peers[1]);
  assert_null(lvn_config_find_peer(&config, "pacs"));
  assert_true(parse("[analysis]\n  max_registration_error_mm = 2.5 ; mm\n", &config, &err));
  assert_true(config.max_registration_error_mm > 2.49 && config.max_registration_error_mm < 2.51);
}

static void test_config__unknown_words(void **state) {
  (void)state;
  assert_refused("[node]\n\nae_titel = X\n",
                 "a.ini:3: unknown key 'ae_titel' in section [node]; did you mean ae_title");
  assert_refused("[nodes]\n", "a.ini:1: unknown section [nodes]; did you mean node");
  assert_refused("[node]\nzzzzzzzz = 1\n", "unknown key 'zzzzzzzz' in section [node]");
  assert_refused("[node]\nmax_associations = 1\n", "unknown key");
  assert_refused("port = 1\n", "a.ini:1: a key before the first [section]");
  assert_refused("[node]\nport\n", "a.ini:2: neither");
  assert_refused("[node\n", "a.ini:1: a section's heading ends with ]");
  assert_refused("[node]\nport = 1\n  port = 2\n", "a.ini:3: the key was given above already");
}

static void test_config__bad_values(void **state) {
  static const char *const lines[] = {
      "port = 0",
      "port = 65536",
      "port = -1",
      "port = 1x",
      "port =",
      "port = 0x10",
      "port = 184467440737095516160",
      "ae_title =",
      "ae_title = A\\B",
      "ae_title = ABCDEFGHIJKLMNOPQ",
      "ae_title = A\tB",
      "ae_title = \xc3\xa4",
      "check_called_aet = maybe",
      "log_level = loud",
      "log_level = error|info",
      "listen_address = localhost",
      "listen_address =",
      "state_folder = var/lib",
      "state_folder = /var/../etc",
  };
  (void)state;
  for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
    char text[128];
    (void)snprintf(text, sizeof text, "[node]\n%s\n", lines[i]);
    assert_refused(text, "a.ini:2: ");
  }
  assert_refused("[node]\nport = 70000\n", "allowed: 1 to 65535");
  assert_refused("[node]\nlog_level = loud\n", "allowed: error, warning, notice, info or debug");
  assert_refused("[analysis]\nmax_registration_error_mm = nan\n", "a.ini:2: ");
  assert_refused("[analysis]\nmax_registration_error_mm = 0.4\n", "allowed: 0.5 to 50");
}

/* Habits of other programs. */
static void test_config__comments_and_units(void **state) {
  struct lvn_config config;
  struct lvn_error err = {0};
  (void)state;
  assert_true(parse("[node]\nport = 104 # the PACS\nstation_name = \"CT # 1\" ; in quotes\n[reception]\n"
                    "spool_low_water_bytes = 3G\t# three\nspool_reserve_bytes = 512M\nmax_object_bytes = 65536\n",
                    &config, &err));
  assert_int_equal(config.port, 104);
  assert_string_equal(config.station_name, "CT # 1");
  assert_int_equal(config.spool_low_water_bytes, 3ULL << 30);
  assert_int_equal(config.spool_reserve_bytes, 512ULL << 20);
  assert_int_equal(config.max_object_bytes, 65536);
  assert_refused("[reception]\nspool_low_water_bytes = 2X\n", "a.ini:2: ");
  assert_refused("[reception]\nspool_low_water_bytes = 2GB\n", "a.ini:2: ");
  assert_refused("[reception]\nspool_low_water_bytes = G\n", "a.ini:2: ");
  assert_refused("[reception]\nspool_low_water_bytes = 20000000T\n", "a.ini:2: ");
  assert_refused("[node]\nport = 1K\n", "a.ini:2: "); /* no bytes */
  assert_refused("[node]\nAE_TITLE = X\n", "did you mean ae_title");
}

static void collect(void *user_data, const char *text) {
  char *all = user_data;
  (void)snprintf(all + strlen(all), 4096 - strlen(all), "%s\n", text);
}

static void test_config__warns_of_what_will_not_serve(void **state) {
  struct lvn_config config;
  struct lvn_error err = {0};
  char all[4096] = "";
  (void)state;
  assert_true(parse("[node]\nstate_folder = /tmp\n[analysis]\nmodel_package = /tmp\n[peer \"A\"]\naet = A\n"
                    "addresses = 10.1.2.0/24, 10.1.3.1\nhost = 10.1.2.3\nport = 104\n",
                    &config, &err));
  assert_int_equal(lvn_config_warn(&config, collect, all), 0);
  assert_true(
      parse("[node]\nstate_folder = /no-such/state\n[analysis]\nmodel_package = /no-such/package\n[web]\n"
            "web_address = 0.0.0.0\n[peer \"A\"]\naet = A\naddresses = 10.1.2.21/24\nhost = 10.1.2.3\nport = 104\n",
            &config, &err));
  assert_int_equal(lvn_config_warn(&config, collect, all), 4);
  assert_non_null(strstr(all, "model_package: there is no '/no-such/package'"));
  assert_non_null(strstr(all, "state_folder: there is no folder '/no-such'"));
  assert_non_null(strstr(all, "web_address: "));
  assert_non_null(strstr(all, "peer \"A\": addresses: '10.1.2.21/24'"));
  assert_true(parse("[node]\nstate_folder = /tmp\n[analysis]\nmodel_package = /tmp\n", &config, &err));
  all[0] = '\0';
  assert_int_equal(lvn_config_warn(&config, collect, all), 1);
  assert_string_equal(all, "no peer is defined, so every association will be rejected\n");
}

static void test_config__line_length(void **state) {
  char text[400] = "[node]\n# ";
  (void)state;
  memset(text + strlen(text), 'x', 300);
  assert_refused(text, "a.ini:2: the line is longer");
}

static void test_config__peers(void **state) {
  (void)state;
  assert_refused("[peer CT1]\n", "a.ini:1: a peer's section is written [peer \"NAME\"]");
  assert_refused("[peer \"C,T\"]\n", "a.ini:1: a peer's name");
  assert_refused("[peer \"A\"]\naet = A\nhost = 10.0.0.1\nport = 1\n[peer \"A\"]\n", "a.ini:5: a peer of this name");
  assert_refused("[peer \"A\"]\nhost = 10.0.0.1\nport = 1\n", "a.ini:1: peer \"A\": aet is missing");
  assert_refused("[peer \"A\"]\naet = A\nhost = ct1\nport = 1\n", "names are not looked up");
  assert_refused("[peer \"A\"]\naet = A\nhost = 10.0.0.1\n", "has no host or no port");
  assert_refused("[peer \"A\"]\naet = A\nhost = 10.0.0.1\nport = 1\nresults_to = B\n", "results_to names \"B\"");
  assert_refused("[peer \"A\"]\naet = A\nhost = 10.0.0.256\n", "a.ini:3: host");
  assert_refused("[peer \"A\"]\naet = A\naddresses = 10.0.0.0/33\n", "a.ini:3: addresses");
}

static void test_config__colliding_peers(void **state) {
  static struct lvn_config config;
  struct lvn_error err = {0};
  (void)state;
  assert_refused(
      "[peer \"A\"]\naet = X\nhost = 10.0.0.1\nport = 1\n\n[peer \"B\"]\naet = X\nhost = 10.0.0.1\nport = 2\n",
      "a.ini:6: peer \"B\": same AE title and address as peer \"A\" (line 1)");
  assert_refused("[peer \"A\"]\naet = X\nhost = 10.0.0.1\nport = 1\n"
                 "[peer \"B\"]\naet = X\nhost = b\nport = 2\naddresses = 10.0.0.0/8\n",
                 "same AE title and address");
  assert_true(parse("[peer \"A\"]\naet = X\nhost = 10.0.0.1\nport = 1\n"
                    "[peer \"B\"]\naet = X\nhost = 10.0.0.2\nport = 1\n",
                    &config, &err));
  assert_true(parse("[peer \"A\"]\naet = X\nhost = 10.0.0.1\nport = 1\n"
                    "[peer \"B\"]\naet = Y\nhost = 10.0.0.1\nport = 2\n",
                    &config, &err));
}

static void test_config__limits_that_contradict(void **state) {
  (void)state;
  assert_refused("[reception]\nspool_low_water_bytes = 1\nspool_reserve_bytes = 2\n",
                 "spool_low_water_bytes (1) is less");
  assert_refused("[outbound]\nretry_max_seconds = 5\n", "retry_max_seconds (5) is less");
  assert_refused("[reception]\ntotal_seconds = 5\n", "total_seconds (5) is less");
}

static void test_config__admission(void **state) {
  static struct lvn_config config;
  struct lvn_error err = {0};
  (void)state;
  assert_true(parse(two_peers, &config, &err));
  assert_ptr_equal(lvn_config_admit(&config, "CT", "10.1.2.255"), &config.peers[0]);
  assert_ptr_equal(lvn_config_admit(&config, " CT  ", "::ffff:10.1.2.1"), &config.peers[0]);
  assert_ptr_equal(lvn_config_admit(&config, "CT", "2001:db8:1::7"), &config.peers[0]);
  assert_ptr_equal(lvn_config_admit(&config, "PACS", "192.0.2.10"), &config.peers[1]);
  assert_null(lvn_config_admit(&config, "CT", "10.1.3.0"));
  assert_null(lvn_config_admit(&config, "CT", "2001:db9::1"));
  assert_null(lvn_config_admit(&config, "ct", "10.1.2.1"));
  assert_null(lvn_config_admit(&config, "CT1", "10.1.2.1"));
  assert_null(lvn_config_admit(&config, "PACS", "10.1.2.1"));
  assert_null(lvn_config_admit(&config, "CT", "10.0.0.0/8"));
  assert_null(lvn_config_admit(&config, "CT", "scanner"));
  assert_null(lvn_config_admit(&config, "CT", ""));
  config.peers[1].may_send = false;
  assert_null(lvn_config_admit(&config, "PACS", "192.0.2.10"));
}

static void test_config__networks(void **state) {
  static const struct {
    const char *network;
    const char *address;
    bool inside;
  } cases[] = {
      {"0.0.0.0/0", "255.1.2.3", true},    {"0.0.0.0/0", "2001:db8::1", false},
      {"::/0", "10.0.0.1", true},          {"10.0.0.0/9", "10.127.0.1", true},
      {"10.0.0.0/9", "10.128.0.1", false}, {"fe80::/10", "febf::1", true},
      {"fe80::/10", "fec0::1", false},     {"[::1]", "::1", true},
      {"10.0.0.1/32", "10.0.0.2", false},  {"192.0.2.128/31", "192.0.2.129", true},
  };
  static const char *const bad[] = {"",       "10.0.0.0/", "10.0.0.0/33", "::/129", "10.0.0.0/-1",
                                    "10.0.0", "a/8",       "10.0.0.0/8/8"};
  struct lvn_config_network network;
  struct lvn_config_network address;
  (void)state;
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    assert_true(lvn_config_network_parse(cases[i].network, &network));
    assert_true(lvn_config_network_parse(cases[i].address, &address));
    assert_int_equal(lvn_config_network_overlaps(&network, &address), cases[i].inside);
  }
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
    assert_false(lvn_config_network_parse(bad[i], &network));
  }
}

static void test_config__destinations(void **state) {
  static struct lvn_config config;
  const struct lvn_config_peer *to[LVN_CONFIG_PEERS_MAX];
  struct lvn_error err = {0};
  (void)state;
  assert_true(parse(two_peers, &config, &err));
  assert_int_equal(lvn_config_get_destinations(&config, &config.peers[0], to), 1);
  assert_string_equal(to[0]->name, "PACS");
  assert_int_equal(lvn_config_get_destinations(&config, &config.peers[1], to), 1); /* back to itself */
  assert_string_equal(to[0]->name, "PACS");
  assert_int_equal(lvn_config_get_destinations(&config, NULL, to), 0);
  config.peers[0].receives_results = true;
  assert_int_equal(lvn_config_get_destinations(&config, &config.peers[1], to), 1);
  assert_string_equal(to[0]->name, "CT1");
  assert_int_equal(lvn_config_get_destinations(&config, NULL, to), 1);
}

static void test_config__result_objects(void **state) {
  static struct lvn_config config;
  struct lvn_error err = {0};
  static const char made[] = "[analysis]\nresult_objects = sr, sc, seg_phases, pdf\n";
  char text[512];
  (void)state;
  assert_true(parse(two_peers, &config, &err));
  assert_string_equal(config.result_objects, "sr, sc");
  assert_true(lvn_config_takes_result(&config.peers[1], "1.2.840.10008.5.1.4.1.1.66.4"));
  (void)snprintf(text, sizeof text, "%s%sresult_objects = seg, pdf\n", made, two_peers);
  assert_true(parse(text, &config, &err));
  assert_true(lvn_config_takes_result(&config.peers[1], "1.2.840.10008.5.1.4.1.1.66.4"));
  assert_true(lvn_config_takes_result(&config.peers[1], "1.2.840.10008.5.1.4.1.1.104.1"));
  assert_false(lvn_config_takes_result(&config.peers[1], "1.2.840.10008.5.1.4.1.1.88.34"));
  assert_false(lvn_config_takes_result(&config.peers[1], "1.2.840.10008.5.1.4.1.1.7"));
  assert_true(lvn_config_takes_result(&config.peers[1], "1.2.3")); /* of no kind */
  (void)snprintf(text, sizeof text, "%s%sresult_objects = gsps\n", made, two_peers);
  assert_refused(text, "peer \"PACS\": result_objects names gsps, which [analysis] result_objects does not make");
  assert_refused("[analysis]\nresult_objects = sc, pdf\n", "sr must be among \"sc, pdf\"");
  assert_refused("[analysis]\nresult_objects = sr, sgm\n",
                 "'sr, sgm' is not allowed; allowed: sr, sc, seg, seg_phases,");
}

#define MISTAKES_BYTES 4096
static void collect_mistake(void *user_data, const char *text) {
  char *mistakes = user_data;
  size_t used = strlen(mistakes);
  (void)snprintf(mistakes + used, MISTAKES_BYTES - used, "%s\n", text);
}

static void test_config__all_mistakes_at_once(void **state) {
  static const char text[] = "[node]\nae_titel = A\nport = 0\nno key here\n[recepton]\nidle_seconds = 5\n"
                             "[reception]\nspool_low_water_bytes = 1G\nspool_reserve_bytes = 2G\n"
                             "[peer \"A\"]\naet = A\nhost = 10.0.0.1\nport = 104\nmay_send = perhaps\n"
                             "[peer \"B\"]\naet = B\nhost = 10.0.0.2\nport = 104\n";
  char mistakes[MISTAKES_BYTES] = "";
  struct lvn_config config;
  struct lvn_error err = {0};
  (void)state;
  FILE *stream = fmemopen((void *)(uintptr_t)text, sizeof text - 1, "r");
  assert_non_null(stream);
  assert_false(lvn_config_parse(stream, "a.ini", collect_mistake, mistakes, &config, &err));
  (void)fclose(stream);
  assert_memory_equal(mistakes, err.message, strlen(err.message)); /* the first one */
  static const char *const expected[] = {"a.ini:2: unknown key 'ae_titel' in section [node]; did you mean ae_title\n",
                                         "a.ini:3: ", "a.ini:4: neither",
                                         "a.ini:5: unknown section [recepton]; did you mean reception\n", "a.ini:14: "};
  const char *at = mistakes;
  for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
    assert_memory_equal(at, expected[i], strlen(expected[i]));
    at = strchr(at, '\n') + 1;
  }
  assert_string_equal(at, ""); /* what follows from a mistake is none */
}

static void test_config__one_mistake_of_each_rule_and_peer(void **state) {
  static const char text[] = "[reception]\nidle_seconds = 50\ntotal_seconds = 40\nother_classes = none\n"
                             "[peer \"A\"]\nhost = 10.0.0.1\n[peer \"B\"]\naet = B\nhost = 10.0.0.2\n"
                             "[peer \"C\"]\naet = C\nhost = 10.0.0.3\nport = 104\n";
  char mistakes[MISTAKES_BYTES] = "";
  struct lvn_config config;
  struct lvn_error err = {0};
  (void)state;
  FILE *stream = fmemopen((void *)(uintptr_t)text, sizeof text - 1, "r");
  assert_non_null(stream);
  assert_false(lvn_config_parse(stream, "a.ini", collect_mistake, mistakes, &config, &err));
  (void)fclose(stream);
  assert_non_null(strstr(mistakes, "a.ini:3: [reception] total_seconds"));
  assert_non_null(strstr(mistakes, "a.ini:4: [reception] other_classes"));
  assert_non_null(strstr(mistakes, "a.ini:5: peer \"A\": aet is missing"));
  assert_non_null(strstr(mistakes, "a.ini:7: peer \"B\": its results would go to"));
  assert_null(strstr(mistakes, "peer \"C\""));
}

static void test_config__limits_name_their_line(void **state) {
  struct lvn_config config;
  struct lvn_error err = {0};
  (void)state;
  assert_false(
      parse("[reception]\nspool_low_water_bytes = 1G\nidle_seconds = 5\nspool_reserve_bytes = 2G\n", &config, &err));
  assert_memory_equal(err.message, "a.ini:4: [reception] spool_low_water_bytes", 42);
  assert_false(parse("[alerts]\nalert_mail = ops@example.org, -oQ/tmp\n", &config, &err));
  assert_memory_equal(err.message, "a.ini:2: [alerts] alert_mail: '-oQ/tmp' is no mail address", 59);
  assert_false(parse("[alerts]\nalert_command = notify me\n", &config, &err));
  assert_memory_equal(err.message, "a.ini:2: [alerts] alert_command: 'notify me' is no absolute path", 64);
}

static char *read_sample(size_t *ret_bytes) {
  struct lvn_error err = {0};
  char *text = lvn_alloc(65536, 1, &err);
  FILE *stream = fmemopen(text, 65536, "w");
  assert_non_null(stream);
  assert_true(lvn_config_write_sample(stream, &err));
  assert_int_equal(fclose(stream), 0);
  *ret_bytes = strlen(text);
  return text;
}

static char *print(const struct lvn_config *config) {
  char *text = NULL;
  size_t bytes = 0;
  struct lvn_error err = {0};
  FILE *stream = open_memstream(&text, &bytes);
  assert_non_null(stream);
  assert_true(lvn_config_print(config, stream, &err));
  assert_int_equal(fclose(stream), 0);
  return text;
}

/* The committed file is what the table writes; it loads; and with every ";" taken away it holds just the defaults. */
static void test_config__sample(void **state) {
  static struct lvn_config config;
  static struct lvn_config defaults;
  struct lvn_error err = {0};
  size_t bytes = 0;
  char *sample = read_sample(&bytes);
  char *committed = lvn_alloc(bytes + 2, 1, &err);
  FILE *file = fopen(LVN_TEST_DATA "/../../config/livervlm.ini.sample", "re");
  char *example = NULL;
  (void)state;
  assert_non_null(file);
  assert_int_equal(fread(committed, 1, bytes + 1, file), bytes);
  (void)fclose(file);
  assert_string_equal(committed, sample);
  assert_true(lvn_config_load(LVN_TEST_DATA "/../../config/livervlm.ini.sample", &defaults, &err));
  example = strstr(sample, "\n# Example");
  assert_non_null(example);
  for (char *at = sample; (at = strstr(at, "\n;")) != NULL;) {
    bool is_peer_template = strncmp(at, "\n;[peer \"PACS\"]", 15) == 0;
    at[1] = ' ';
    if (is_peer_template) { /* its required keys have no default: the example below shows them */
      memset(at + 1, '\n', (size_t)(example - at - 1));
      at = example;
    }
  }
  assert_true(parse(sample, &config, &err));
  assert_int_equal(config.peer_count, 3);
  assert_string_equal(config.peers[0].results_to, "ARCHIVE");
  assert_true(lvn_config_is_dicomweb(&config.peers[2]));
  config.peer_count = 0;
  char *left = print(&config);
  char *right = print(&defaults);
  assert_string_equal(left, right);
  free(left);  /* allow: from open_memstream */
  free(right); /* allow: from open_memstream */
  lvn_free(sample);
  lvn_free(committed);
}

static const char webhook[] =
    "[webhook \"RIS\"]\nurl = https://ris.example.org/hook\nsecret_file = /etc/livervlm/hook\n"
    "events = result-sent, disk-low\n";

static void test_config__print_names_every_key(void **state) {
  static struct lvn_config config;
  static char both[2000];
  struct lvn_error err = {0};
  char *text = NULL;
  (void)state;
  (void)snprintf(both, sizeof both, "%s\n%s", two_peers, webhook);
  assert_true(parse(both, &config, &err));
  text = print(&config);
  for (size_t i = 0; i < lvn_config_key_count; i++) {
    char expected[128];
    const char *section = lvn_config_keys[i].section;
    (void)snprintf(expected, sizeof expected, "%s%s.%s = ", section,
                   strcmp(section, "peer") == 0      ? ".CT1"
                   : strcmp(section, "webhook") == 0 ? ".RIS"
                                                     : "",
                   lvn_config_keys[i].name);
    assert_non_null(strstr(text, expected));
  }
  assert_non_null(strstr(text, "node.ae_title = NODE 1\n"));
  assert_non_null(strstr(text, "peer.PACS.port = 104\n"));
  free(text); /* allow: from open_memstream */
}

static void test_config__webhook(void **state) {
  static struct lvn_config config;
  struct lvn_error err = {0};
  (void)state;
  assert_true(parse(webhook, &config, &err));
  assert_int_equal(config.webhook_count, 1);
  assert_true(lvn_config_wants_event(&config.webhooks[0], "disk-low"));
  assert_false(lvn_config_wants_event(&config.webhooks[0], "worker-down"));
  assert_non_null(lvn_config_find_webhook(&config, "RIS"));
  config.webhooks[0].events[0] = '\0';
  assert_true(lvn_config_wants_event(&config.webhooks[0], "worker-down"));
}

/* Each is refused with the line and what is wrong. */
static void test_config__web_mistakes(void **state) {
  static const struct {
    const char *text;
    const char *message;
  } cases[] = {
      {"[peer \"A\"]\nmay_send = no\nprotocol = dicomweb\n", "url is missing"},
      {"[peer \"A\"]\nprotocol = dicomweb\nurl = https://a/b\n", "aet is missing (one that never calls"},
      {"[peer \"A\"]\nmay_send = no\nprotocol = dicomweb\nurl = https://user:word@a/b\n", "allowed: https://HOST"},
      {"[peer \"A\"]\nmay_send = no\nprotocol = dicomweb\nurl = ftp://a/b\n", "allowed: https://HOST"},
      {"[peer \"A\"]\nmay_send = no\nprotocol = dicomweb\nurl = https://a:x/b\n", "allowed: https://HOST"},
      {"[peer \"A\"]\nmay_send = no\nprotocol = dicomweb\nurl = https://a/b?c\n", "allowed: https://HOST"},
      {"[peer \"A\"]\nmay_send = no\nprotocol = dicomweb\nurl = http://a/b\ntoken_file = /t\n", "a login needs https"},
      {"[peer \"A\"]\nmay_send = no\nprotocol = dicomweb\nurl = http://localhost.evil/b\ntoken_file = /t\n",
       "a login needs https"},
      {"[peer \"A\"]\nmay_send = no\nprotocol = dicomweb\nurl = https://a/b\nuser = me\n", "goes with password_file"},
      {"[peer \"A\"]\nmay_send = no\nprotocol = dicomweb\nurl = https://a/b\nhttps_key = /k\n",
       "without https_certificate"},
      {"[peer \"A\"]\nmay_send = no\nprotocol = dicomwep\nurl = https://a/b\n", "allowed: dimse or dicomweb"},
      {"[workflow]\nworkitem_manager = A\n", "which is no peer with protocol = dicomweb"},
      {"[workflow]\nworkitem_manager = A\n[peer \"A\"]\nmay_send = no\nprotocol = dicomweb\nurl = https://a/b\n",
       "no peer has receives_results"},
      {"[workflow]\nworkitem_manager = A\nworkitem_code = X\n[peer \"A\"]\nmay_send = no\nprotocol = dicomweb\n"
       "url = https://a/b\nreceives_results = yes\n",
       "workitem_code is written VALUE^SCHEME"},
      {"[webhook \"A\"]\nurl = https://a/b\n", "secret_file is missing"},
      {"[webhook \"A\"]\nsecret_file = /s\n", "url is missing"},
      {"[webhook \"A\"]\nurl = http://a/b\nsecret_file = /s\ninclude_identity = yes\n", "include_identity needs https"},
      {"[webhook \"A\"]\nurl = https://a/b\nsecret_file = /s\nevents = disk-full\n", "allowed: study-waits"},
      {"[webhook \"A\"]\nurl = https://a/b\nsecret_file = /s\n[webhook \"A\"]\n", "of this name was defined above"},
      {"[webhook A]\nurl = https://a/b\n", "a webhook's section is written"},
  };
  static struct lvn_config config;
  (void)state;
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct lvn_error err = {0};
    if (parse(cases[i].text, &config, &err) || strstr(err.message, cases[i].message) == NULL) {
      fail_msg("case %zu: %s", i, err.message);
    }
  }
  struct lvn_error err = {0};
  assert_true(parse("[peer \"A\"]\nmay_send = no\nprotocol = dicomweb\nurl = http://[::1]:8042/dicom-web\n"
                    "receives_results = yes\ntoken_file = /t\n[peer \"B\"]\naet = B\naddresses = 192.0.2.1\n",
                    &config, &err));
  assert_true(lvn_config_is_reachable(&config.peers[0]));
  assert_false(lvn_config_is_reachable(&config.peers[1]));
}

static void test_config__changes(void **state) {
  static struct lvn_config before;
  static struct lvn_config after;
  struct lvn_error err = {0};
  char *text = NULL;
  size_t bytes = 0;
  FILE *stream = open_memstream(&text, &bytes);
  (void)state;
  assert_true(parse(two_peers, &before, &err));
  assert_true(parse("[node]\nae_title = NODE 1\nport=105\ncheck_called_aet = no\n[assembly]\nsettle_seconds = 5\n"
                    "[peer \"PACS\"]\naet = PACS\nhost = 192.0.2.11\nport = 104\n"
                    "[peer \"NEW\"]\naet = NEW\nhost = 192.0.2.12\nport = 104\n",
                    &after, &err));
  assert_true(lvn_config_print_changes(&before, &after, stream, &err));
  assert_int_equal(fclose(stream), 0);
  assert_string_equal(text, "node.port: 104 -> 105 (needs a restart)\n"
                            "assembly.settle_seconds: 20 -> 5 (effective now)\n"
                            "peer.CT1: removed (effective now)\n"
                            "peer.PACS.host: 192.0.2.10 -> 192.0.2.11 (effective now)\n"
                            "peer.NEW: added (effective now)\n");
  free(text); /* allow: from open_memstream */
  lvn_config_keep_fixed(&before, &after);
  assert_int_equal(after.port, 104);
  assert_int_equal(after.settle_seconds, 5);
  assert_false(after.check_called_aet);
  assert_string_equal(after.peers[1].name, "NEW");
}

static void test_config__load_reports_the_file(void **state) {
  static struct lvn_config config;
  struct lvn_error err = {0};
  (void)state;
  assert_false(lvn_config_load("/nonexistent/a.ini", &config, &err));
  assert_int_equal(err.code, LVN_ERROR_IO);
  assert_non_null(strstr(err.message, "/nonexistent/a.ini"));
  assert_false(lvn_config_load("/", &config, &err));
  assert_int_equal(err.code, LVN_ERROR_USAGE);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_config__defaults),
      cmocka_unit_test(test_config__values),
      cmocka_unit_test(test_config__unknown_words),
      cmocka_unit_test(test_config__bad_values),
      cmocka_unit_test(test_config__comments_and_units),
      cmocka_unit_test(test_config__warns_of_what_will_not_serve),
      cmocka_unit_test(test_config__line_length),
      cmocka_unit_test(test_config__peers),
      cmocka_unit_test(test_config__colliding_peers),
      cmocka_unit_test(test_config__limits_that_contradict),
      cmocka_unit_test(test_config__admission),
      cmocka_unit_test(test_config__networks),
      cmocka_unit_test(test_config__destinations),
      cmocka_unit_test(test_config__result_objects),
      cmocka_unit_test(test_config__sample),
      cmocka_unit_test(test_config__all_mistakes_at_once),
      cmocka_unit_test(test_config__one_mistake_of_each_rule_and_peer),
      cmocka_unit_test(test_config__limits_name_their_line),
      cmocka_unit_test(test_config__print_names_every_key),
      cmocka_unit_test(test_config__webhook),
      cmocka_unit_test(test_config__web_mistakes),
      cmocka_unit_test(test_config__changes),
      cmocka_unit_test(test_config__load_reports_the_file),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
