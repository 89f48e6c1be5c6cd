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

/* One name, of a peer that can be called. */
static bool check_source(const struct lvn_config *config, const struct lvn_config_peer *peer, struct lvn_error *err) {
  const struct lvn_config_peer *source = lvn_config_find_peer(config, peer->query_from);
  if (peer->query_from[0] == '\0') {
    return true;
  }
  if (source == NULL) {
    return lvn_error_set(err, LVN_ERROR_USAGE, "peer \"%s\": query_from names \"%s\", which is no peer of this file",
                         peer->name, peer->query_from);
  }
  return lvn_config_is_reachable(source) ||
         lvn_error_set(err, LVN_ERROR_USAGE,
                       "peer \"%s\": query_from names \"%s\", which has no host and port, nor a url", peer->name,
                       source->name);
}

static bool check_web(const struct lvn_config_peer *peer, struct lvn_error *err) {
  const bool has_login = peer->user[0] != '\0' || peer->token_file[0] != '\0';
  if (lvn_config_is_dicomweb(peer) && peer->url[0] == '\0') {
    return lvn_error_set(err, LVN_ERROR_USAGE, "peer \"%s\": protocol = dicomweb, but url is missing", peer->name);
  }
  if (has_login && !lvn_config_is_private_url(peer->url)) {
    return lvn_error_set(err, LVN_ERROR_USAGE, "peer \"%s\": a login needs https (or a server on this machine)",
                         peer->name);
  }
  if (peer->user[0] != '\0' && (peer->password_file[0] == '\0' || peer->token_file[0] != '\0')) {
    return lvn_error_set(err, LVN_ERROR_USAGE, "peer \"%s\": user goes with password_file, and without token_file",
                         peer->name);
  }
  if (peer->https_key[0] != '\0' && peer->https_certificate[0] == '\0') {
    return lvn_error_set(err, LVN_ERROR_USAGE, "peer \"%s\": https_key without https_certificate", peer->name);
  }
  return true;
}

static bool check_webhook(const struct lvn_config_webhook *webhook, struct lvn_error *err) {
  if (webhook->url[0] == '\0' || webhook->secret_file[0] == '\0') {
    return lvn_error_set(err, LVN_ERROR_USAGE, "webhook \"%s\": %s is missing", webhook->name,
                         webhook->url[0] == '\0' ? "url" : "secret_file");
  }
  if ((webhook->token_file[0] != '\0' || webhook->include_identity) && !lvn_config_is_private_url(webhook->url)) {
    return lvn_error_set(err, LVN_ERROR_USAGE, "webhook \"%s\": %s needs https (or a server on this machine)",
                         webhook->name, webhook->include_identity ? "include_identity" : "token_file");
  }
  return true;
}

static bool check_peer(const struct lvn_config *config, const struct lvn_config_peer *peer, struct lvn_error *err) {
  const struct lvn_config_peer *destinations[LVN_CONFIG_PEERS_MAX];
  struct lvn_config_network networks[LVN_CONFIG_NETWORKS_MAX];
  size_t count = 0;
  if (peer->aet[0] == '\0' && (peer->may_send || !lvn_config_is_dicomweb(peer))) {
    return lvn_error_set(err, LVN_ERROR_USAGE, "peer \"%s\": aet is missing%s", peer->name,
                         lvn_config_is_dicomweb(peer) ? " (one that never calls this node: may_send = no)" : "");
  }
  if (!check_web(peer, err)) {
    return false;
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
  if (!check_list(config, peer, err) || !check_source(config, peer, err)) {
    return false;
  }
  if (peer->receives_results && !lvn_config_is_reachable(peer)) {
    return lvn_error_set(err, LVN_ERROR_USAGE, "peer \"%s\": receives_results, but host or port is missing",
                         peer->name);
  }
  if (peer->commitment && (peer->host[0] == '\0' || peer->port == 0)) {
    return lvn_error_set(err, LVN_ERROR_USAGE, "peer \"%s\": commitment = yes, but host or port is missing",
                         peer->name);
  }
  if (!peer->may_send) {
    return true;
  }
  count = lvn_config_get_destinations(config, peer, destinations);
  for (size_t i = 0; i < count; i++) {
    if (!lvn_config_is_reachable(destinations[i])) {
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

static bool check_space(const struct lvn_config *config, struct lvn_error *err) {
  return config->spool_low_water_bytes >= config->spool_reserve_bytes ||
         lvn_error_set(err, LVN_ERROR_USAGE,
                       "[reception] spool_low_water_bytes (%" PRIu64 ") is less than spool_reserve_bytes (%" PRIu64 ")",
                       config->spool_low_water_bytes, config->spool_reserve_bytes);
}

static bool check_pauses(const struct lvn_config *config, struct lvn_error *err) {
  return config->retry_max_seconds >= config->retry_first_seconds ||
         lvn_error_set(err, LVN_ERROR_USAGE, "[outbound] retry_max_seconds (%u) is less than retry_first_seconds (%u)",
                       config->retry_max_seconds, config->retry_first_seconds);
}

static bool check_times(const struct lvn_config *config, struct lvn_error *err) {
  return config->total_seconds >= config->idle_seconds ||
         lvn_error_set(err, LVN_ERROR_USAGE, "[reception] total_seconds (%u) is less than idle_seconds (%u)",
                       config->total_seconds, config->idle_seconds);
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
  return has_item(config->result_objects, "sr") ||
         lvn_error_set(err, LVN_ERROR_USAGE, "[analysis] result_objects: sr must be among \"%s\"",
                       config->result_objects);
}

static bool check_peer_objects(const struct lvn_config *config, const struct lvn_config_peer *peer,
                               struct lvn_error *err) {
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

static bool check_workflow(const struct lvn_config *config, struct lvn_error *err) {
  const struct lvn_config_peer *manager = lvn_config_find_peer(config, config->workitem_manager);
  const char *caret = strchr(config->workitem_code, '^');
  bool has_destination = false;
  if (config->workitem_manager[0] == '\0') {
    return true;
  }
  if (manager == NULL || !lvn_config_is_dicomweb(manager)) {
    return lvn_error_set(err, LVN_ERROR_USAGE,
                         "[workflow] workitem_manager names \"%s\", which is no peer with protocol "
                         "= dicomweb",
                         config->workitem_manager);
  }
  if (caret == NULL || caret == config->workitem_code || caret[1] == '\0') {
    return lvn_error_set(err, LVN_ERROR_USAGE, "[workflow] workitem_code is written VALUE^SCHEME");
  }
  for (size_t i = 0; i < config->peer_count; i++) {
    has_destination = has_destination || config->peers[i].receives_results;
  }
  return has_destination || lvn_error_set(err, LVN_ERROR_USAGE,
                                          "[workflow] workitem_manager is set, but no peer has receives_results = yes: "
                                          "the results of workitems would go nowhere");
}

/* 64 hexadecimal digits, with or without colons. */
static bool is_fingerprint(const char *text) {
  size_t digits = 0;
  for (; *text != '\0'; text++) {
    if (strchr("0123456789abcdefABCDEF", *text) != NULL) {
      digits++;
    } else if (*text != ':') {
      return false;
    }
  }
  return digits == 64;
}

static bool is_certificate(const char *text) {
  const char *cursor = text;
  char item[LVN_CONFIG_TEXT_BYTES];
  bool good = true;
  while (strchr(text, '=') == NULL && lvn_config_list_next(&cursor, item, sizeof item)) {
    good = good && is_fingerprint(item);
  }
  return good;
}

static bool check_files(const struct lvn_config *config, struct lvn_error *err) {
  const struct {
    const char *name;
    const char *path;
    bool is_needed;
  } files[] = {{"[tls] certificate", config->certificate, true},
               {"[tls] private_key", config->private_key, true},
               {"[tls] trusted_certificates", config->trusted_certificates, true},
               {"[audit] file", config->audit_file, false}};
  const bool has_any =
      config->certificate[0] != '\0' || config->private_key[0] != '\0' || config->trusted_certificates[0] != '\0';
  for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
    if (files[i].path[0] == '\0' && files[i].is_needed && has_any) {
      return lvn_error_set(err, LVN_ERROR_USAGE, "%s is missing: TLS needs the certificate, its key and whom to trust",
                           files[i].name);
    }
    if (files[i].path[0] != '\0' && files[i].path[0] != '/') {
      return lvn_error_set(err, LVN_ERROR_USAGE, "%s: '%s' is no absolute path", files[i].name, files[i].path);
    }
  }
  return true;
}

/* What cannot be without [tls], and what would be with it and cannot be meant. */
static bool check_tls(const struct lvn_config *config, struct lvn_error *err) {
  if (!check_files(config, err)) {
    return false;
  }
  const char *user = config->tls_port != 0                 ? "[node] tls_port"
                     : strcmp(config->web_tls, "off") != 0 ? "[web] web_tls"
                     : config->audit_host[0] != '\0'       ? "[audit] repository_host"
                                                           : NULL;
  if (user != NULL && !lvn_config_has_tls(config)) {
    return lvn_error_set(err, LVN_ERROR_USAGE, "%s needs the section [tls]", user);
  }
  if (!is_certificate(config->audit_certificate)) {
    return lvn_error_set(err, LVN_ERROR_USAGE,
                         "[audit] repository_certificate: neither SHA-256 fingerprints nor a subject (CN=...)");
  }
  return true;
}

static bool check_peer_tls(const struct lvn_config *config, const struct lvn_config_peer *peer, struct lvn_error *err) {
  if (!is_certificate(peer->certificate)) {
    return lvn_error_set(err, LVN_ERROR_USAGE,
                         "peer \"%s\": certificate: neither SHA-256 fingerprints nor a subject (CN=...)", peer->name);
  }
  if (!lvn_config_peer_takes_tls(peer)) {
    return peer->certificate[0] == '\0' ||
           lvn_error_set(err, LVN_ERROR_USAGE, "peer \"%s\": certificate is for tls = required or allowed", peer->name);
  }
  if (!lvn_config_has_tls(config)) {
    return lvn_error_set(err, LVN_ERROR_USAGE, "peer \"%s\": tls = %s needs the section [tls]", peer->name, peer->tls);
  }
  if (peer->may_send && config->tls_port == 0) {
    return lvn_error_set(err, LVN_ERROR_USAGE,
                         "peer \"%s\": tls = %s, and it may send: [node] tls_port must say where it calls", peer->name,
                         peer->tls);
  }
  return true;
}

static bool check_alert_command(const struct lvn_config *config, struct lvn_error *err) {
  return config->alert_command[0] == '\0' || config->alert_command[0] == '/' ||
         lvn_error_set(err, LVN_ERROR_USAGE, "[alerts] alert_command: '%s' is no absolute path", config->alert_command);
}

/* They become words of sendmail's command line. */
static bool check_alert_mail(const struct lvn_config *config, struct lvn_error *err) {
  static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.!#$%&'*+/=?^_`{|}~-@";
  const char *cursor = config->alert_mail;
  char item[LVN_CONFIG_TEXT_BYTES];
  while (lvn_config_list_next(&cursor, item, sizeof item)) {
    const char *at = strchr(item, '@');
    if (strspn(item, allowed) != strlen(item) || item[0] == '-' ||
        (at != NULL && (at == item || at[1] == '\0' || strchr(at + 1, '@') != NULL))) {
      return lvn_error_set(err, LVN_ERROR_USAGE, "[alerts] alert_mail: '%s' is no mail address", item);
    }
  }
  return true;
}

/* What is between keys that are no peer's, and the keys whose line is named. */
static const struct {
  bool (*check)(const struct lvn_config *config, struct lvn_error *err);
  const char *key;
  const char *other;
} rules[] = {{check_space, "spool_low_water_bytes", "spool_reserve_bytes"},
             {check_pauses, "retry_max_seconds", "retry_first_seconds"},
             {check_times, "total_seconds", "idle_seconds"},
             {check_classes, "other_classes", ""},
             {check_result_objects, "result_objects", ""},
             {check_tls, "tls_port", "web_tls"},
             {check_workflow, "workitem_manager", "workitem_code"},
             {check_alert_command, "alert_command", ""},
             {check_alert_mail, "alert_mail", ""}};

/* The later of two keys' lines; 0 when both have their defaults. */
static unsigned line_of(const struct lvn_config_places *places, const char *key, const char *other) {
  unsigned line = 0;
  for (size_t i = 0; i < lvn_config_key_count; i++) {
    const char *name = lvn_config_keys[i].name;
    if (places->key_lines[i] > line && (strcmp(name, key) == 0 || strcmp(name, other) == 0)) {
      line = places->key_lines[i];
    }
  }
  return line;
}

static bool check_collisions(const struct lvn_config *config, const struct lvn_config_places *places, size_t peer,
                             struct lvn_error *err) {
  for (size_t i = 0; i < peer; i++) {
    if (!places->peer_is_wrong[i] && collides(&config->peers[peer], &config->peers[i])) {
      return lvn_error_set(err, LVN_ERROR_USAGE, "peer \"%s\": same AE title and address as peer \"%s\" (line %u)",
                           config->peers[peer].name, config->peers[i].name, places->peer_lines[i]);
    }
    if (!places->peer_is_wrong[i] && config->peers[peer].certificate[0] != '\0' &&
        strcmp(config->peers[peer].certificate, config->peers[i].certificate) == 0) {
      return lvn_error_set(err, LVN_ERROR_USAGE, "peer \"%s\": its certificate is peer \"%s\"'s (line %u)",
                           config->peers[peer].name, config->peers[i].name, places->peer_lines[i]);
    }
  }
  return true;
}

/* One mistake of each rule and each peer; where a line is wrong already, what follows from it is none. */
void lvn_config_check(const struct lvn_config *config, const struct lvn_config_places *places,
                      lvn_config_fault_visitor visit, void *user_data) {
  struct lvn_error err = {0};
  for (size_t i = 0; i < sizeof rules / sizeof rules[0] && !places->is_wrong; i++) {
    if (!rules[i].check(config, &err)) {
      visit(user_data, line_of(places, rules[i].key, rules[i].other), err.message);
    }
  }
  for (size_t i = 0; i < config->peer_count && !places->has_wrong_heading; i++) {
    if (!places->peer_is_wrong[i] &&
        (!check_peer(config, &config->peers[i], &err) || !check_peer_tls(config, &config->peers[i], &err) ||
         !check_peer_objects(config, &config->peers[i], &err) || !check_collisions(config, places, i, &err))) {
      visit(user_data, places->peer_lines[i], err.message);
    }
  }
  for (size_t i = 0; i < config->webhook_count && !places->has_wrong_heading; i++) {
    if (!places->webhook_is_wrong[i] && !check_webhook(&config->webhooks[i], &err)) {
      visit(user_data, places->webhook_lines[i], err.message);
    }
  }
}
