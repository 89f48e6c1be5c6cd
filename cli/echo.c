/* livervlm echo: C-ECHO, or a search by QIDO-RS, to the configured peers, from this machine, as the node would. */
#include "base/clock.h"
#include "base/json.h"
#include "base/memory.h"
#include "cli/commands.h"
#include "cli/operate.h"
#include "cli/options.h"
#include "config/config_tls.h"
#include "daemon/pipeline/shared/web_server.h"
#include "dicom/net/services/scu.h"
#include "dicom/web/qido.h"

#include <stdio.h>
#include <string.h>

#define DETAIL_BYTES 768

/* `ret_detail`: how it answered. */
static bool echo_dimse(const struct lvn_config *config, const struct lvn_config_peer *peer,
                       char ret_detail[DETAIL_BYTES], struct lvn_error *err) {
  struct lvn_scu *scu = NULL;
  const struct lvn_scu_peer address = {
      .host = peer->host,
      .port = peer->port,
      .called_aet = peer->aet,
      .calling_aet = config->ae_title,
      .connect_seconds = config->connect_seconds,
      .dimse_seconds = config->dimse_seconds,
      .security = {.uses_tls = lvn_config_peer_uses_tls(peer), .certificate = peer->certificate}};
  bool good = lvn_scu_open(&address, NULL, 0, &scu, err) && lvn_scu_echo(scu, err);
  if (good) {
    (void)lvn_scu_describe_security(scu, ret_detail, DETAIL_BYTES);
  }
  lvn_scu_close(scu);
  return good;
}

static bool echo_dicomweb(const struct lvn_config *config, const struct lvn_config_peer *peer,
                          char ret_detail[DETAIL_BYTES], struct lvn_error *err) {
  struct lvn_http *http = NULL;
  const struct lvn_http_server server = lvn_web_server_of_peer(peer, config->connect_seconds, config->dimse_seconds);
  bool good = lvn_http_open(&server, &http, err) && lvn_qido_echo(http, err);
  lvn_http_close(http);
  (void)lvn_copy(ret_detail, DETAIL_BYTES, "QIDO-RS");
  return good;
}

/* `rows`: the answer is added to it instead of being printed; NULL: it is printed. */
static bool echo_peer(const struct lvn_config *config, const struct lvn_config_peer *peer, json_t *rows) {
  struct lvn_error err = {0};
  char detail[DETAIL_BYTES] = "";
  double start = lvn_clock_monotonic_seconds();
  bool good =
      lvn_config_is_dicomweb(peer) ? echo_dicomweb(config, peer, detail, &err) : echo_dimse(config, peer, detail, &err);
  if (rows != NULL) {
    double milliseconds = 1000.0 * (lvn_clock_monotonic_seconds() - start);
    (void)json_array_append_new(rows,
                                json_pack("{s:s, s:s, s:b, s:f, s:s}", "peer", peer->name, "ae_title", peer->aet,
                                          "answered", (int)good, "milliseconds", milliseconds, "error", err.message));
    return good;
  }
  if (good) {
    (void)printf("%s: answered in %.0f ms, %s\n", peer->name, 1000.0 * (lvn_clock_monotonic_seconds() - start), detail);
  } else {
    /* The message of DIMSE begins with the AE title, which most peers are named by. */
    const bool is_named = !lvn_config_is_dicomweb(peer) && strcmp(peer->name, peer->aet) == 0;
    (void)fprintf(stderr, "livervlm echo: %s%s%s\n", is_named ? "" : peer->name, is_named ? "" : ": ", err.message);
  }
  return good;
}

static int echo_all(const struct lvn_usage *usage, const struct lvn_config *config, int count, char **names,
                    json_t *rows) {
  bool good = true;
  size_t asked = 0;
  for (int i = 0; i < count; i++) {
    const struct lvn_config_peer *peer = lvn_config_find_peer(config, names[i]);
    if (peer == NULL || !lvn_config_is_reachable(peer)) {
      return lvn_options_complain(usage, "the configuration has no peer '%s' with a port or a url", names[i]);
    }
    good = echo_peer(config, peer, rows) && good;
    asked++;
  }
  for (size_t i = 0; count == 0 && i < config->peer_count; i++) {
    if (lvn_config_is_reachable(&config->peers[i])) {
      good = echo_peer(config, &config->peers[i], rows) && good;
      asked++;
    }
  }
  if (asked == 0) {
    return lvn_options_complain(usage, "the configuration has no peer with a port or a url");
  }
  return good ? LVN_EXIT_OK : LVN_EXIT_FAILED;
}

int lvn_cli_echo(int argc, char **argv) {
  const char *config_path = LVN_OPERATE_CONFIG;
  bool as_json = false;
  int first = 0;
  struct lvn_error err = {0};
  const struct lvn_option options[] = {
      LVN_OPTION_CONFIG(&config_path),
      LVN_OPTION_JSON(&as_json),
  };
  const struct lvn_usage usage = {.command = "echo",
                                  .arguments = "[PEER]…",
                                  .summary = "Ask peers of the configuration (all with a port or a url, or those "
                                             "named) whether they answer a C-ECHO, or a search by QIDO-RS.",
                                  .examples = "livervlm echo          every peer with a port or a url\n"
                                              "livervlm echo ARCHIVE",
                                  .options = options,
                                  .option_count = sizeof options / sizeof options[0],
                                  .arguments_max = LVN_CONFIG_PEERS_MAX};
  int code = lvn_options_parse(argc, argv, &usage, &first);
  if (code != LVN_OPTIONS_RUN) {
    return code;
  }
  LVN_AUTOFREE struct lvn_config *config = lvn_alloc(1, sizeof *config, &err);
  struct lvn_tls *tls = NULL;
  if (config == NULL || !lvn_config_load(config_path, config, &err) || !lvn_config_load_tls(config, &tls, &err)) {
    return lvn_options_fail(usage.command, &err);
  }
  lvn_tls_set_current(tls);
  LVN_AUTOJSON json_t *answer = as_json ? json_pack("{s:[]}", "peers") : NULL;
  code = echo_all(&usage, config, argc - first, argv + first, json_object_get(answer, "peers"));
  if (as_json && code != LVN_EXIT_USAGE) {
    lvn_operate_print_json(answer);
  }
  return code;
}
