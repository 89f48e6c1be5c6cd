/* Addresses, networks and lists: who a caller is, by its numeric address. */
#include "base/memory.h"
#include "config/config_keys.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>

static const uint8_t mapped_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

bool lvn_config_list_next(const char **cursor, char *item, size_t item_bytes) {
  const char *start = *cursor + strspn(*cursor, ", \t");
  size_t length = strcspn(start, ",");
  *cursor = start + length;
  while (length > 0 && (start[length - 1] == ' ' || start[length - 1] == '\t')) {
    length--;
  }
  if (length >= item_bytes) {
    length = item_bytes - 1;
  }
  memcpy(item, start, length);
  item[length] = '\0';
  return length > 0;
}

static bool parse_prefix(const char *text, unsigned max_bits, unsigned *ret_bits) {
  size_t length = strlen(text);
  if (length < 1 || length > 3 || strspn(text, "0123456789") != length) {
    return false;
  }
  *ret_bits = (unsigned)strtoul(text, NULL, 10);
  return *ret_bits <= max_bits;
}

bool lvn_config_network_parse(const char *text, struct lvn_config_network *ret_network) {
  struct lvn_config_network network = {.prefix_bits = 128};
  char copy[80];
  char *address = copy;
  char *slash = NULL;
  size_t length = 0;
  unsigned bits = 0;
  if (!lvn_copy(copy, sizeof copy, text)) {
    return false;
  }
  slash = strchr(copy, '/');
  if (slash != NULL) {
    *slash = '\0';
  }
  length = strlen(address);
  if (length > 2 && address[0] == '[' && address[length - 1] == ']') {
    address[length - 1] = '\0';
    address++;
  }
  if (inet_pton(AF_INET, address, network.address + 12) == 1) {
    memcpy(network.address, mapped_prefix, sizeof mapped_prefix);
    if (slash != NULL && !parse_prefix(slash + 1, 32, &bits)) {
      return false;
    }
    network.prefix_bits = slash != NULL ? 96 + bits : 128;
  } else if (inet_pton(AF_INET6, address, network.address) == 1) {
    if (slash != NULL && !parse_prefix(slash + 1, 128, &bits)) {
      return false;
    }
    network.prefix_bits = slash != NULL ? bits : 128;
  } else {
    return false;
  }
  *ret_network = network;
  return true;
}

bool lvn_config_network_overlaps(const struct lvn_config_network *left, const struct lvn_config_network *right) {
  unsigned bits = left->prefix_bits < right->prefix_bits ? left->prefix_bits : right->prefix_bits;
  unsigned whole = bits / 8;
  unsigned rest = bits % 8;
  uint8_t mask = (uint8_t)(0xff00U >> rest);
  if (memcmp(left->address, right->address, whole) != 0) {
    return false;
  }
  return rest == 0 || ((left->address[whole] ^ right->address[whole]) & mask) == 0;
}

size_t lvn_config_peer_networks(const struct lvn_config_peer *peer, struct lvn_config_network *networks, size_t max) {
  const char *cursor = peer->addresses;
  char item[80];
  size_t count = 0;
  if (peer->addresses[0] == '\0') {
    return max > 0 && lvn_config_network_parse(peer->host, &networks[0]) ? 1 : 0;
  }
  while (count < max && lvn_config_list_next(&cursor, item, sizeof item)) {
    if (lvn_config_network_parse(item, &networks[count])) {
      count++;
    }
  }
  return count;
}

/* Blanks at the ends of an AE title carry no meaning (PS3.5 6.2). */
static bool is_same_aet(const char *configured, const char *calling) {
  size_t length = 0;
  calling += strspn(calling, " ");
  length = strlen(calling);
  while (length > 0 && calling[length - 1] == ' ') {
    length--;
  }
  return strlen(configured) == length && memcmp(configured, calling, length) == 0;
}

bool lvn_config_has_tls(const struct lvn_config *config) {
  return config->certificate[0] != '\0';
}

bool lvn_config_has_audit(const struct lvn_config *config) {
  return config->audit_host[0] != '\0' || config->audit_file[0] != '\0';
}

bool lvn_config_peer_takes_tls(const struct lvn_config_peer *peer) {
  return strcmp(peer->tls, "off") != 0;
}

bool lvn_config_peer_uses_tls(const struct lvn_config_peer *peer) {
  return strcmp(peer->tls, "required") == 0;
}

const struct lvn_config_peer *lvn_config_find_peer(const struct lvn_config *config, const char *name) {
  for (size_t i = 0; i < config->peer_count; i++) {
    if (strcmp(config->peers[i].name, name) == 0) {
      return &config->peers[i];
    }
  }
  return NULL;
}

const struct lvn_config_webhook *lvn_config_find_webhook(const struct lvn_config *config, const char *name) {
  for (size_t i = 0; i < config->webhook_count; i++) {
    if (strcmp(config->webhooks[i].name, name) == 0) {
      return &config->webhooks[i];
    }
  }
  return NULL;
}

bool lvn_config_is_dicomweb(const struct lvn_config_peer *peer) {
  return strcmp(peer->protocol, "dicomweb") == 0;
}

bool lvn_config_is_reachable(const struct lvn_config_peer *peer) {
  return lvn_config_is_dicomweb(peer) ? peer->url[0] != '\0' : peer->host[0] != '\0' && peer->port != 0;
}

bool lvn_config_is_private_url(const char *url) {
  static const char *const local[] = {"localhost", "127.0.0.1", "[::1]"};
  if (strncmp(url, "http://", 7) != 0) {
    return strncmp(url, "https://", 8) == 0;
  }
  for (size_t i = 0; i < sizeof local / sizeof local[0]; i++) {
    size_t length = strlen(local[i]);
    if (strncmp(url + 7, local[i], length) == 0 && strchr(":/", url[7 + length]) != NULL) {
      return true; /* strchr() finds the NUL, too */
    }
  }
  return false;
}

bool lvn_config_wants_event(const struct lvn_config_webhook *webhook, const char *event) {
  const char *cursor = webhook->events;
  char item[64];
  bool is_empty = true;
  while (lvn_config_list_next(&cursor, item, sizeof item)) {
    is_empty = false;
    if (strcmp(item, event) == 0) {
      return true;
    }
  }
  return is_empty;
}

const struct lvn_config_peer *lvn_config_admit(const struct lvn_config *config, const char *calling_aet,
                                               const char *address) {
  struct lvn_config_network caller;
  struct lvn_config_network networks[LVN_CONFIG_NETWORKS_MAX];
  char numeric[80];
  if (!lvn_copy(numeric, sizeof numeric, address) || strchr(numeric, '/') != NULL) {
    return NULL;
  }
  numeric[strcspn(numeric, "%")] = '\0'; /* a link-local address arrives with its interface: fe80::1%eth0 */
  if (!lvn_config_network_parse(numeric, &caller)) {
    return NULL;
  }
  for (size_t i = 0; i < config->peer_count; i++) {
    const struct lvn_config_peer *peer = &config->peers[i];
    size_t count = 0;
    if (!peer->may_send || !is_same_aet(peer->aet, calling_aet)) {
      continue;
    }
    count = lvn_config_peer_networks(peer, networks, LVN_CONFIG_NETWORKS_MAX);
    for (size_t j = 0; j < count; j++) {
      if (lvn_config_network_overlaps(&networks[j], &caller)) {
        return peer;
      }
    }
  }
  return NULL;
}

size_t lvn_config_get_destinations(const struct lvn_config *config, const struct lvn_config_peer *sender,
                                   const struct lvn_config_peer *ret_destinations[LVN_CONFIG_PEERS_MAX]) {
  const char *cursor = sender != NULL ? sender->results_to : "";
  char name[sizeof sender->name];
  size_t count = 0;
  while (count < LVN_CONFIG_PEERS_MAX && lvn_config_list_next(&cursor, name, sizeof name)) {
    const struct lvn_config_peer *peer = lvn_config_find_peer(config, name);
    if (peer != NULL) {
      ret_destinations[count++] = peer;
    }
  }
  if (count > 0) {
    return count;
  }
  for (size_t i = 0; i < config->peer_count; i++) {
    if (config->peers[i].receives_results) {
      ret_destinations[count++] = &config->peers[i];
    }
  }
  if (count == 0 && sender != NULL) {
    ret_destinations[count++] = sender;
  }
  return count;
}
