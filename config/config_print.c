/* What the table says, for people: the sample file, the effective values, the differences. */
#include "config/config_keys.h"

#include <string.h>

#define SAMPLE_COLUMNS 100

/* A stream whose first failure is kept: callers write on and look once. */
static bool finish(FILE *stream, struct lvn_error *err) {
  if (fflush(stream) != 0 || ferror(stream)) {
    return lvn_error_set(err, LVN_ERROR_IO, "cannot write the configuration");
  }
  return true;
}

/* `text` as "# …" lines, broken at blanks. */
static void print_comment(FILE *stream, const char *text) {
  size_t column = 0;
  while (*text != '\0') {
    size_t word = strcspn(text, " ");
    if (column == 0 || column + 1 + word > SAMPLE_COLUMNS) {
      (void)fprintf(stream, column == 0 ? "#" : "\n#");
      column = 1;
    }
    (void)fprintf(stream, " %.*s", (int)word, text);
    column += 1 + word;
    text += word + strspn(text + word, " ");
  }
  (void)fprintf(stream, "\n");
}

static void print_sample_section(FILE *stream, const struct lvn_config_section *section) {
  const char *heading = strcmp(section->name, LVN_CONFIG_PEER_SECTION) == 0 ? ";[%s \"PACS\"]\n" : ";[%s \"EVENTS\"]\n";
  (void)fprintf(stream, "\n");
  print_comment(stream, section->help);
  (void)fprintf(stream, lvn_config_is_named(section->name) ? heading : "[%s]\n", section->name);
  for (size_t i = 0; i < lvn_config_key_count; i++) {
    const struct lvn_config_key *key = &lvn_config_keys[i];
    char allowed[160];
    char line[256];
    if (strcmp(key->section, section->name) != 0) {
      continue;
    }
    lvn_config_key_describe(key, allowed, sizeof allowed);
    print_comment(stream, key->help);
    (void)snprintf(line, sizeof line, "Allowed: %s.%s", allowed, key->reloadable ? "" : " A change needs a restart.");
    print_comment(stream, line);
    (void)fprintf(stream, ";%s =%s%s\n", key->name, key->default_text[0] != '\0' ? " " : "", key->default_text);
  }
}

bool lvn_config_write_sample(FILE *stream, struct lvn_error *err) {
  (void)fprintf(
      stream, "# Configuration of the Liver-VLM node. `livervlm check-config FILE` reads it as the node would.\n"
              "# A line with ; shows a key's default: take the ; away to change it. Text after \" ;\" or \" #\" is a\n"
              "# comment. Sizes in bytes may be written 2G, 512M or 64K. An unknown key is an error. `systemctl\n"
              "# reload livervlm` reloads the configuration; keys that need a restart say so.\n");
  for (size_t i = 0; i < lvn_config_section_count; i++) {
    print_sample_section(stream, &lvn_config_sections[i]);
  }
  (void)fprintf(stream, "\n# Example: a CT scanner that may send, and a PACS that receives the results.\n"
                        ";[peer \"CT1\"]\n;aet = CT1\n;addresses = 192.0.2.21, 192.0.2.22\n"
                        ";results_to = ARCHIVE\n\n"
                        ";[peer \"ARCHIVE\"]\n;aet = ARCHIVE\n;host = 192.0.2.10\n;port = 104\n\n"
                        "# Example: an archive that takes results by DICOMweb.\n"
                        ";[peer \"CLOUD\"]\n;protocol = dicomweb\n;url = https://archive.example.org/dicom-web\n"
                        ";token_file = /etc/livervlm/cloud.token\n;may_send = no\n");
  return finish(stream, err);
}

static void print_record(FILE *stream, const char *section, const char *peer_name, const void *record) {
  for (size_t i = 0; i < lvn_config_key_count; i++) {
    const struct lvn_config_key *key = &lvn_config_keys[i];
    char value[LVN_CONFIG_TEXT_BYTES];
    if (strcmp(key->section, section) != 0) {
      continue;
    }
    lvn_config_key_format(key, record, value, sizeof value);
    (void)fprintf(stream, "%s%s%s.%s = %s\n", section, peer_name != NULL ? "." : "", peer_name != NULL ? peer_name : "",
                  key->name, value);
  }
}

bool lvn_config_print(const struct lvn_config *config, FILE *stream, struct lvn_error *err) {
  for (size_t i = 0; i < lvn_config_section_count; i++) {
    if (!lvn_config_is_named(lvn_config_sections[i].name)) {
      print_record(stream, lvn_config_sections[i].name, NULL, config);
    }
  }
  for (size_t i = 0; i < config->peer_count; i++) {
    print_record(stream, LVN_CONFIG_PEER_SECTION, config->peers[i].name, &config->peers[i]);
  }
  for (size_t i = 0; i < config->webhook_count; i++) {
    print_record(stream, LVN_CONFIG_WEBHOOK_SECTION, config->webhooks[i].name, &config->webhooks[i]);
  }
  return finish(stream, err);
}

/* `section` NULL: all without a name. */
static void print_record_changes(FILE *stream, const char *section, const char *name, const void *before,
                                 const void *after) {
  for (size_t i = 0; i < lvn_config_key_count; i++) {
    const struct lvn_config_key *key = &lvn_config_keys[i];
    char old[LVN_CONFIG_TEXT_BYTES];
    char new[LVN_CONFIG_TEXT_BYTES];
    if (section == NULL ? lvn_config_is_named(key->section) : strcmp(key->section, section) != 0) {
      continue;
    }
    lvn_config_key_format(key, before, old, sizeof old);
    lvn_config_key_format(key, after, new, sizeof new);
    if (strcmp(old, new) != 0) {
      (void)fprintf(stream, "%s%s%s.%s: %s -> %s (%s)\n", key->section, name != NULL ? "." : "",
                    name != NULL ? name : "", key->name, old, new,
                    key->reloadable ? "effective now" : "needs a restart");
    }
  }
}

static void print_webhook_changes(FILE *stream, const struct lvn_config *before, const struct lvn_config *after) {
  for (size_t i = 0; i < before->webhook_count; i++) {
    const struct lvn_config_webhook *webhook = &before->webhooks[i];
    const struct lvn_config_webhook *same = lvn_config_find_webhook(after, webhook->name);
    if (same == NULL) {
      (void)fprintf(stream, "webhook.%s: removed (effective now)\n", webhook->name);
    } else {
      print_record_changes(stream, LVN_CONFIG_WEBHOOK_SECTION, webhook->name, webhook, same);
    }
  }
  for (size_t i = 0; i < after->webhook_count; i++) {
    if (lvn_config_find_webhook(before, after->webhooks[i].name) == NULL) {
      (void)fprintf(stream, "webhook.%s: added (effective now)\n", after->webhooks[i].name);
    }
  }
}

bool lvn_config_print_changes(const struct lvn_config *before, const struct lvn_config *after, FILE *stream,
                              struct lvn_error *err) {
  print_record_changes(stream, NULL, NULL, before, after);
  for (size_t i = 0; i < before->peer_count; i++) {
    const struct lvn_config_peer *peer = &before->peers[i];
    const struct lvn_config_peer *same = lvn_config_find_peer(after, peer->name);
    if (same == NULL) {
      (void)fprintf(stream, "peer.%s: removed (effective now)\n", peer->name);
    } else {
      print_record_changes(stream, LVN_CONFIG_PEER_SECTION, peer->name, peer, same);
    }
  }
  for (size_t i = 0; i < after->peer_count; i++) {
    if (lvn_config_find_peer(before, after->peers[i].name) == NULL) {
      (void)fprintf(stream, "peer.%s: added (effective now)\n", after->peers[i].name);
    }
  }
  print_webhook_changes(stream, before, after);
  return finish(stream, err);
}
