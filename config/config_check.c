/* Rules between keys, and suggestions for mistyped words. */
#include "config/config_keys.h"

#include "base/sha256.h"

#include <inttypes.h>
#include <string.h>
#include <strings.h>

/* Levenshtein's distance, over words of at most 39 characters (longer ones are cut). */
static size_t edit_distance(const char *left, const char *right) {
  size_t row[41];
  size_t left_length = strnlen(left, 39);
  size_t right_length = strnlen(right, 39);
  for (size_t j = 0; j <= right_length; j++) {
    row[j] = j;
  }
  for (size_t i = 1; i <= left_length; i++) {
    size_t diagonal = row[0];
    row[0] = i;
    for (size_t j = 1; j <= right_length; j++) {
      size_t substitution = diagonal + (left[i - 1] == right[j - 1] ? 0 : 1);
      size_t shorter = row[j] < row[j - 1] ? row[j] + 1 : row[j - 1] + 1;
      diagonal = row[j];
      row[j] = substitution < shorter ? substitution : shorter;
    }
  }
  return row[right_length];
}

const char *lvn_config_suggest(const char *word, const char *const *names, size_t count) {
  const char *best = NULL;
  size_t best_distance = strlen(word) / 3 + 2; /* a third of the letters wrong is a slip; more is another word */
  for (size_t i = 0; i < count; i++) {
    size_t distance = strcasecmp(word, names[i]) == 0 ? 0 : edit_distance(word, names[i]);
    bool is_start = strlen(word) >= 4 && strncmp(word, names[i], strlen(word)) == 0;
    if (is_start || distance < best_distance) {
      best = names[i];
      best_distance = is_start ? 0 : distance;
    }
  }
  return best;
}

static bool check_list(const struct lvn_config *config, const struct lvn_config_peer *peer, struct lvn_error *err) {
  const char *cursor = peer->results_to;
  char name[LVN_CONFIG_TEXT_BYTES];
  while (lvn_config_list_next(&cursor, name, sizeof name)) {
    if (lvn_config_find_peer(config, name) == NULL) {
      return lvn_error_set(err, LVN_ERROR_USAGE, "peer \"%s\": results_to names \"%s\", which is no peer of this file",
                           peer->name, name);
    }
  }
  return true;
}

static bool check_peer(const struct lvn_config *config, const struct lvn_config_peer *peer, struct lvn_error *err) {
  const struct lvn_config_peer *destinations[LVN_CONFIG_PEERS_MAX];
  struct lvn_config_network networks[LVN_CONFIG_NETWORKS_MAX];
  size_t count = 0;
  if (peer->aet[0] == '\0') {
    return lvn_error_set(err, LVN_ERROR_USAGE, "peer \"%s\": aet is missing", peer->name);
  }
  if (peer->host[0] == '\0' && peer->port != 0) {
    return lvn_error_set(err, LVN_ERROR_USAGE, "peer \"%s\": port without host", peer->name);
  }
  if (peer->may_send && lvn_config_peer_networks(peer, networks, LVN_CONFIG_NETWORKS_MAX) == 0) {
    return lvn_error_set(err, LVN_ERROR_USAGE,
                         "peer \"%s\": may send, so addresses must say where it calls from (host is not numeric, and "
                         "names are not looked up)",
                         peer->name);
  }
  if (!check_list(config, peer, err)) {
    return false;
  }
  if (peer->receives_results && (peer->host[0] == '\0' || peer->port == 0)) {
    return lvn_error_set(err, LVN_ERROR_USAGE, "peer \"%s\": receives_results, but host or port is missing",
                         peer->name);
  }
  if (!peer->may_send) {
    return true;
  }
  count = lvn_config_get_destinations(config, peer, destinations);
  for (size_t i = 0; i < count; i++) {
    if (destinations[i]->host[0] == '\0' || destinations[i]->port == 0) {
      return lvn_error_set(err, LVN_ERROR_USAGE,
                           "peer \"%s\": its results would go to \"%s\", which has no host or no port; set them, or "
                           "results_to, or receives_results = yes at another peer",
                           peer->name, destinations[i]->name);
    }
  }
  return true;
}

/* Two senders that cannot be told apart would share limits and destinations by chance. */
static bool collides(const struct lvn_config_peer *left, const struct lvn_config_peer *right) {
  struct lvn_config_network left_networks[LVN_CONFIG_NETWORKS_MAX];
  struct lvn_config_network right_networks[LVN_CONFIG_NETWORKS_MAX];
  size_t left_count = 0;
  size_t right_count = 0;
  if (strcmp(left->aet, right->aet) != 0) {
    return false;
  }
  if (left->port != 0 && left->port == right->port && strcmp(left->host, right->host) == 0) {
    return true;
  }
  if (!left->may_send || !right->may_send) {
    return false;
  }
  left_count = lvn_config_peer_networks(left, left_networks, LVN_CONFIG_NETWORKS_MAX);
  right_count = lvn_config_peer_networks(right, right_networks, LVN_CONFIG_NETWORKS_MAX);
  for (size_t i = 0; i < left_count; i++) {
    for (size_t j = 0; j < right_count; j++) {
      if (lvn_config_network_overlaps(&left_networks[i], &right_networks[j])) {
        return true;
      }
    }
  }
  return false;
}

static bool check_limits(const struct lvn_config *config, struct lvn_error *err) {
  if (config->spool_low_water_bytes < config->spool_reserve_bytes) {
    return lvn_error_set(err, LVN_ERROR_USAGE,
                         "[reception] spool_low_water_bytes (%" PRIu64 ") is less than spool_reserve_bytes (%" PRIu64
                         ")",
                         config->spool_low_water_bytes, config->spool_reserve_bytes);
  }
  if (config->retry_max_seconds < config->retry_first_seconds) {
    return lvn_error_set(err, LVN_ERROR_USAGE,
                         "[outbound] retry_max_seconds (%u) is less than retry_first_seconds (%u)",
                         config->retry_max_seconds, config->retry_first_seconds);
  }
  if (config->total_seconds < config->idle_seconds) {
    return lvn_error_set(err, LVN_ERROR_USAGE, "[reception] total_seconds (%u) is less than idle_seconds (%u)",
                         config->total_seconds, config->idle_seconds);
  }
  return true;
}

static bool has_item(const char *list, const char *wanted) {
  char item[LVN_CONFIG_TEXT_BYTES];
  while (lvn_config_list_next(&list, item, sizeof item)) {
    if (strcmp(item, wanted) == 0) {
      return true;
    }
  }
  return false;
}

bool lvn_config_takes_result(const struct lvn_config_peer *peer, const char *sop_class_uid) {
  static const struct {
    const char *sop_class_uid;
    const char *kind;
  } kinds[] = {{"1.2.840.10008.5.1.4.1.1.88.34", "sr"},  {"1.2.840.10008.5.1.4.1.1.7", "sc"},
               {"1.2.840.10008.5.1.4.1.1.66.4", "seg"},  {"1.2.840.10008.5.1.4.1.1.88.59", "kos"},
               {"1.2.840.10008.5.1.4.1.1.104.1", "pdf"}, {"1.2.840.10008.5.1.4.1.1.11.1", "gsps"},
               {"1.2.840.10008.5.1.4.1.1.30", "pmap"}};
  for (size_t i = 0; peer->result_objects[0] != '\0' && i < sizeof kinds / sizeof kinds[0]; i++) {
    if (strcmp(kinds[i].sop_class_uid, sop_class_uid) == 0) {
      return has_item(peer->result_objects, kinds[i].kind);
    }
  }
  return true;
}

/* The report is what a later one names as replaced, and what says why another object is missing. */
static bool check_result_objects(const struct lvn_config *config, struct lvn_error *err) {
  if (!has_item(config->result_objects, "sr")) {
    return lvn_error_set(err, LVN_ERROR_USAGE, "[analysis] result_objects: sr must be among \"%s\"",
                         config->result_objects);
  }
  for (size_t i = 0; i < config->peer_count; i++) {
    const struct lvn_config_peer *peer = &config->peers[i];
    const char *cursor = peer->result_objects;
    char item[64];
    while (lvn_config_list_next(&cursor, item, sizeof item)) {
      bool is_made = has_item(config->result_objects, item) ||
                     (strcmp(item, "seg") == 0 && has_item(config->result_objects, "seg_phases"));
      if (!is_made) {
        return lvn_error_set(err, LVN_ERROR_USAGE,
                             "peer \"%s\": result_objects names %s, which [analysis] result_objects does not make",
                             peer->name, item);
      }
    }
  }
  return true;
}

static bool check_classes(const struct lvn_config *config, struct lvn_error *err) {
  const char *cursor = config->other_classes;
  char item[LVN_CONFIG_TEXT_BYTES];
  while (lvn_config_list_next(&cursor, item, sizeof item)) {
    if (strcmp(item, "standard") != 0 && strcmp(item, "all") != 0 && !lvn_uid_is_valid(item)) {
      return lvn_error_set(err, LVN_ERROR_USAGE,
                           "[reception] other_classes names \"%s\": allowed are standard, all and SOP class UIDs, "
                           "comma-separated",
                           item);
    }
  }
  return true;
}

bool lvn_config_check(const struct lvn_config *config, const unsigned *peer_lines, unsigned *ret_line,
                      struct lvn_error *err) {
  *ret_line = 0;
  if (!check_limits(config, err) || !check_classes(config, err) || !check_result_objects(config, err)) {
    return false;
  }
  for (size_t i = 0; i < config->peer_count; i++) {
    *ret_line = peer_lines[i];
    if (!check_peer(config, &config->peers[i], err)) {
      return false;
    }
    for (size_t j = 0; j < i; j++) {
      if (collides(&config->peers[i], &config->peers[j])) {
        return lvn_error_set(err, LVN_ERROR_USAGE, "peer \"%s\": same AE title and address as peer \"%s\" (line %u)",
                             config->peers[i].name, config->peers[j].name, peer_lines[j]);
      }
    }
  }
  return true;
}
