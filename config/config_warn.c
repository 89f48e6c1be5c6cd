/* What is allowed, and will not do what its writer wants. */
#include "base/file.h"
#include "base/memory.h"
#include "config/config_keys.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <arpa/inet.h>

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

static void look_at_folders(struct warning *warning, const struct lvn_config *config) {
  char parent[LVN_CONFIG_TEXT_BYTES];
  if (!lvn_file_exists(config->model_package)) {
    warn(warning, "model_package: there is no '%s': the worker will not start", config->model_package);
  }
  (void)lvn_copy(parent, sizeof parent, config->state_folder);
  char *slash = strrchr(parent, '/');
  if (slash != NULL) {
    slash[slash == parent ? 1 : 0] = '\0';
  }
  if (!lvn_file_exists(config->state_folder) && !lvn_file_exists(parent)) {
    warn(warning, "state_folder: there is no '%s' to make it in: the node will not start", parent);
  }
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
  look_at_folders(&warning, config);
  if (config->web_port != 0 && !is_loopback(config->web_address)) {
    warn(&warning, "web_address: /health and /metrics have no login, and '%s' is not this machine alone",
         config->web_address);
  }
  for (size_t i = 0; i < config->peer_count; i++) {
    look_at_peer(&warning, &config->peers[i]);
    has_sender = has_sender || config->peers[i].may_send;
    has_destination = has_destination || lvn_config_is_reachable(&config->peers[i]);
  }
  for (size_t i = 0; i < config->webhook_count; i++) {
    look_at_webhook(&warning, &config->webhooks[i]);
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
