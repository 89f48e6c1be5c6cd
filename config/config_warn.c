/* What is allowed, and will not do what its writer wants. */
#include "base/file.h"
#include "base/memory.h"
#include "config/config_keys.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <arpa/inet.h>
#include <sys/stat.h>
#include <unistd.h>

struct warning {
  lvn_config_warning_visitor visit;
  void *user_data;
  size_t count;
};

static void LVN_PRINTF(2, 3) warn(struct warning *warning, const char *format, ...) {
  char text[2 * LVN_CONFIG_TEXT_BYTES];
  va_list args;
  va_start(args, format);
  (void)vsnprintf(text, sizeof text, format, args);
  va_end(args);
  warning->visit(warning->user_data, text);
  warning->count++;
}

/* The node makes the folder itself, but not the one around it. */
static void look_at_folder(struct warning *warning, const char *key, const char *folder) {
  char parent[LVN_CONFIG_TEXT_BYTES];
  struct stat status;
  (void)lvn_copy(parent, sizeof parent, folder);
  char *slash = strrchr(parent, '/');
  if (slash != NULL) {
    slash[slash == parent ? 1 : 0] = '\0';
  }
  if (stat(folder, &status) == 0) {
    if (!S_ISDIR(status.st_mode)) {
      warn(warning, "%s: '%s' is no folder: the node will not start", key, folder);
    }
  } else if (stat(parent, &status) != 0 || !S_ISDIR(status.st_mode)) {
    warn(warning, "%s: there is no folder '%s' to make it in: the node will not start", key, parent);
  }
}

static void look_at_folders(struct warning *warning, const struct lvn_config *config) {
  if (!lvn_file_exists(config->model_package)) {
    warn(warning, "model_package: there is no '%s': the worker will not start", config->model_package);
  }
  if (config->shadow_package[0] != '\0' && !lvn_file_exists(config->shadow_package)) {
    warn(warning, "shadow_package: there is no '%s': no shadow will answer", config->shadow_package);
  }
  look_at_folder(warning, "state_folder", config->state_folder);
  look_at_folder(warning, "run_folder", config->run_folder);
}

static bool is_loopback(const char *address) {
  return strncmp(address, "127.", 4) == 0 || strcmp(address, "::1") == 0;
}

/* An address with bits below the network's prefix: a single host was meant, or another prefix. */
static void look_at_networks(struct warning *warning, const struct lvn_config_peer *peer) {
  const char *cursor = peer->addresses;
  char item[80];
  while (lvn_config_list_next(&cursor, item, sizeof item)) {
    struct lvn_config_network network;
    bool has_host_bits = false;
    if (!lvn_config_network_parse(item, &network)) {
      continue;
    }
    for (unsigned bit = network.prefix_bits; bit < 128; bit++) {
      has_host_bits = has_host_bits || (network.address[bit / 8] & (0x80U >> bit % 8)) != 0;
    }
    if (has_host_bits) {
      warn(warning, "peer \"%s\": addresses: '%s' is an address within a network: all of the network may call",
           peer->name, item);
    }
  }
}

/* Answers that come on associations of the peer's own, which would be rejected. */
static void look_at_callers(struct warning *warning, const struct lvn_config *config,
                            const struct lvn_config_peer *peer) {
  const struct lvn_config_peer *source =
      peer->query_from[0] != '\0' ? lvn_config_find_peer(config, peer->query_from) : NULL;
  if (peer->commitment && !peer->may_send) {
    warn(warning,
         "peer \"%s\": commitment = yes, but may_send = no: a report that it sends on an association of its own is "
         "rejected",
         peer->name);
  }
  if (source != NULL && !source->may_send && strcmp(source->retrieve, "move") == 0) {
    warn(warning, "peer \"%s\": query_from = %s, but may_send = no there: what it sends by C-MOVE is rejected",
         peer->name, source->name);
  }
}

static void look_at_alerts(struct warning *warning, const struct lvn_config *config) {
  if (config->alert_command[0] != '\0' && access(config->alert_command, X_OK) != 0) {
    warn(warning, "alert_command: '%s' is no program that can be run: nobody is told", config->alert_command);
  }
  if (config->alert_mail[0] != '\0' && access(config->alert_sendmail, X_OK) != 0) {
    warn(warning, "alert_mail: there is no '%s': install a mail transport agent, or set alert_sendmail",
         config->alert_sendmail);
  }
}

/* The node runs as a user of its own, who may see what this one does not: only what is there is looked at. */
static void look_at_web(struct warning *warning, const char *section, const char *name, const char *url,
                        const char *const files[], size_t file_count) {
  if (url[0] != '\0' && !lvn_config_is_private_url(url)) {
    warn(warning, "%s \"%s\": url is not https: what is sent can be read and changed on the way", section, name);
  }
  for (size_t i = 0; i < file_count; i++) {
    if (files[i][0] != '\0' && !lvn_file_exists(files[i])) {
      warn(warning, "%s \"%s\": there is no '%s': nothing can be sent", section, name, files[i]);
    }
  }
}

static void look_at_peer(struct warning *warning, const struct lvn_config_peer *peer) {
  const char *const files[] = {peer->https_ca_file, peer->https_certificate, peer->https_key, peer->password_file,
                               peer->token_file};
  look_at_networks(warning, peer);
  look_at_web(warning, "peer", peer->name, peer->url, files, sizeof files / sizeof files[0]);
}

static void look_at_webhook(struct warning *warning, const struct lvn_config_webhook *webhook) {
  const char *const files[] = {webhook->https_ca_file, webhook->https_certificate, webhook->https_key,
                               webhook->secret_file, webhook->token_file};
  look_at_web(warning, "webhook", webhook->name, webhook->url, files, sizeof files / sizeof files[0]);
}

size_t lvn_config_warn(const struct lvn_config *config, lvn_config_warning_visitor visit, void *user_data) {
  struct warning warning = {.visit = visit, .user_data = user_data};
  bool has_sender = false;
  bool has_destination = false;
  bool has_tls_caller = false;
  look_at_folders(&warning, config);
  if (config->web_port != 0 && !is_loopback(config->web_address) && strcmp(config->web_tls, "mutual") != 0) {
    warn(&warning, "web_address: /health and /metrics have no login, and '%s' is not this machine alone",
         config->web_address);
  }
  look_at_alerts(&warning, config);
  for (size_t i = 0; i < config->peer_count; i++) {
    look_at_peer(&warning, &config->peers[i]);
    look_at_callers(&warning, config, &config->peers[i]);
    has_sender = has_sender || config->peers[i].may_send;
    has_destination = has_destination || lvn_config_is_reachable(&config->peers[i]);
    has_tls_caller = has_tls_caller || (config->peers[i].may_send && lvn_config_peer_takes_tls(&config->peers[i]));
  }
  for (size_t i = 0; i < config->webhook_count; i++) {
    look_at_webhook(&warning, &config->webhooks[i]);
  }
  if (config->tls_port != 0 && !has_tls_caller) {
    warn(&warning, "tls_port: no peer that may send has tls = required or allowed, so nobody gets in there");
  }
  if (!has_sender) {
    warn(&warning, config->peer_count == 0 ? "no peer is defined, so every association will be rejected"
                                           : "no peer may send, so every association will be rejected");
  }
  if (config->peer_count > 0 && !has_destination) {
    warn(&warning, "no peer has a port or a url: results go nowhere");
  }
  return warning.count;
}
