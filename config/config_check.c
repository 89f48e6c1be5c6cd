/* Rules between keys, and suggestions for mistyped words. */
#include "config/config_keys.h"

#include "base/sha256.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
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

struct check {
  const struct lvn_config *config;
  const struct lvn_config_places *places;
  lvn_config_fault_visitor visit;
  void *user_data;
};

static void LVN_PRINTF(3, 4) tell(const struct check *check, unsigned line, const char *format, ...) {
  char text[2 * LVN_CONFIG_TEXT_BYTES];
  va_list args;
  va_start(args, format);
  (void)vsnprintf(text, sizeof text, format, args);
  va_end(args);
  check->visit(check->user_data, line, text);
}

/* The later of two keys' lines; 0 when both have their defaults. */
static unsigned line_of(const struct check *check, const char *one, const char *other) {
  unsigned line = 0;
  for (size_t i = 0; i < lvn_config_key_count; i++) {
    unsigned here = check->places->key_lines[i];
    if (here > line && (strcmp(lvn_config_keys[i].name, one) == 0 || strcmp(lvn_config_keys[i].name, other) == 0)) {
      line = here;
    }
  }
  return line;
}

static void check_list(const struct check *check, const struct lvn_config_peer *peer, unsigned line) {
  const char *cursor = peer->results_to;
  char name[LVN_CONFIG_TEXT_BYTES];
  while (lvn_config_list_next(&cursor, name, sizeof name)) {
    if (lvn_config_find_peer(check->config, name) == NULL && !check->places->has_wrong_heading) {
      tell(check, line, "peer \"%s\": results_to names \"%s\", which is no peer of this file", peer->name, name);
    }
  }
}

static void check_destinations(const struct check *check, const struct lvn_config_peer *peer, unsigned line) {
  const struct lvn_config_peer *destinations[LVN_CONFIG_PEERS_MAX];
  size_t count = lvn_config_get_destinations(check->config, peer, destinations);
  for (size_t i = 0; i < count; i++) {
    if ((destinations[i]->host[0] == '\0' || destinations[i]->port == 0) &&
        !check->places->peer_is_wrong[destinations[i] - check->config->peers]) {
      tell(check, line,
           "peer \"%s\": its results would go to \"%s\", which has no host or no port; set them, or results_to, or "
           "receives_results = yes at another peer",
           peer->name, destinations[i]->name);
    }
  }
}

static void check_peer(const struct check *check, const struct lvn_config_peer *peer, unsigned line) {
  struct lvn_config_network networks[LVN_CONFIG_NETWORKS_MAX];
  if (peer->aet[0] == '\0') {
    tell(check, line, "peer \"%s\": aet is missing", peer->name);
  }
  if (peer->host[0] == '\0' && peer->port != 0) {
    tell(check, line, "peer \"%s\": port without host", peer->name);
  }
  if (peer->may_send && lvn_config_peer_networks(peer, networks, LVN_CONFIG_NETWORKS_MAX) == 0) {
    tell(check, line,
         "peer \"%s\": may send, so addresses must say where it calls from (host is not numeric, and names are not "
         "looked up)",
         peer->name);
  }
  check_list(check, peer, line);
  if (peer->receives_results && (peer->host[0] == '\0' || peer->port == 0)) {
    tell(check, line, "peer \"%s\": receives_results, but host or port is missing", peer->name);
  } else if (peer->may_send) {
    check_destinations(check, peer, line);
  }
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

static void check_limits(const struct check *check) {
  const struct lvn_config *config = check->config;
  if (config->spool_low_water_bytes < config->spool_reserve_bytes) {
    tell(check, line_of(check, "spool_low_water_bytes", "spool_reserve_bytes"),
         "[reception] spool_low_water_bytes (%" PRIu64 ") is less than spool_reserve_bytes (%" PRIu64 ")",
         config->spool_low_water_bytes, config->spool_reserve_bytes);
  }
  if (config->retry_max_seconds < config->retry_first_seconds) {
    tell(check, line_of(check, "retry_max_seconds", "retry_first_seconds"),
         "[outbound] retry_max_seconds (%u) is less than retry_first_seconds (%u)", config->retry_max_seconds,
         config->retry_first_seconds);
  }
  if (config->total_seconds < config->idle_seconds) {
    tell(check, line_of(check, "total_seconds", "idle_seconds"),
         "[reception] total_seconds (%u) is less than idle_seconds (%u)", config->total_seconds, config->idle_seconds);
  }
}

static void check_classes(const struct check *check) {
  const char *cursor = check->config->other_classes;
  char item[LVN_CONFIG_TEXT_BYTES];
  while (lvn_config_list_next(&cursor, item, sizeof item)) {
    if (strcmp(item, "standard") != 0 && strcmp(item, "all") != 0 && !lvn_uid_is_valid(item)) {
      tell(check, line_of(check, "other_classes", ""),
           "[reception] other_classes names \"%s\": allowed are standard, all and SOP class UIDs, comma-separated",
           item);
    }
  }
}

/* What is given to programs as their words. */
static void check_alerts(const struct check *check) {
  static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.!#$%&'*+/=?^_`{|}~-@";
  const char *command = check->config->alert_command;
  const char *cursor = check->config->alert_mail;
  char item[LVN_CONFIG_TEXT_BYTES];
  if (command[0] != '\0' && command[0] != '/') {
    tell(check, line_of(check, "alert_command", ""), "[alerts] alert_command: '%s' is no absolute path", command);
  }
  while (lvn_config_list_next(&cursor, item, sizeof item)) {
    const char *at = strchr(item, '@');
    if (strspn(item, allowed) != strlen(item) || item[0] == '-' ||
        (at != NULL && (at == item || at[1] == '\0' || strchr(at + 1, '@') != NULL))) {
      tell(check, line_of(check, "alert_mail", ""), "[alerts] alert_mail: '%s' is no mail address", item);
    }
  }
}

void lvn_config_check(const struct lvn_config *config, const struct lvn_config_places *places,
                      lvn_config_fault_visitor visit, void *user_data) {
  const struct check check = {.config = config, .places = places, .visit = visit, .user_data = user_data};
  if (!places->is_wrong) {
    check_limits(&check);
    check_classes(&check);
    check_alerts(&check);
  }
  for (size_t i = 0; i < config->peer_count; i++) {
    if (places->peer_is_wrong[i]) {
      continue;
    }
    check_peer(&check, &config->peers[i], places->peer_lines[i]);
    for (size_t j = 0; j < i; j++) {
      if (!places->peer_is_wrong[j] && collides(&config->peers[i], &config->peers[j])) {
        tell(&check, places->peer_lines[i], "peer \"%s\": same AE title and address as peer \"%s\" (line %u)",
             config->peers[i].name, config->peers[j].name, places->peer_lines[j]);
      }
    }
  }
}
