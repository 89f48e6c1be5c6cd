/* One value: from text into its field, from its field to text. */
#include "base/memory.h"
#include "config/config_keys.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <arpa/inet.h>

static bool is_printable(const char *text) {
  for (const char *at = text; *at != '\0'; at++) {
    if ((unsigned char)*at < 0x20 || *at == 0x7f) {
      return false;
    }
  }
  return true;
}

/* PS3.5 6.2, AE: default repertoire without backslash and control characters, at most 16, not blank alone. Blanks at
 * the ends carry no meaning and the file's syntax has dropped them. */
static bool is_ae_title(const char *text) {
  size_t length = strlen(text);
  for (size_t i = 0; i < length; i++) {
    if (text[i] < 0x20 || text[i] > 0x7e || text[i] == '\\') {
      return false;
    }
  }
  return length >= 1 && length <= 16;
}

static bool is_numeric_address(const char *text) {
  uint8_t address[16];
  return inet_pton(AF_INET, text, address) == 1 || inet_pton(AF_INET6, text, address) == 1;
}

/* RFC 1123 2.1: letters, digits and hyphens between dots. */
static bool is_host(const char *text) {
  size_t label = 0;
  if (text[0] == '\0' || is_numeric_address(text)) {
    return true;
  }
  for (const char *at = text; *at != '\0'; at++) {
    bool is_word = (*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z') || (*at >= '0' && *at <= '9');
    if (*at == '.' ? label == 0 : !is_word && !(*at == '-' && label > 0)) {
      return false;
    }
    label = *at == '.' ? 0 : label + 1;
    if (label > 63) {
      return false;
    }
  }
  /* All digits and dots that is no address is a mistyped address, not a name. */
  return label > 0 && strspn(text, "0123456789.") != strlen(text);
}

static bool are_addresses(const char *text) {
  char item[64];
  struct lvn_config_network network;
  while (lvn_config_list_next(&text, item, sizeof item)) {
    if (!lvn_config_network_parse(item, &network)) {
      return false;
    }
  }
  return true;
}

/* No "..", so that a folder in a message is the folder that is used. */
static bool is_absolute_path(const char *text) {
  return text[0] == '/' && strstr(text, "/../") == NULL && is_printable(text);
}

/* RFC 3986, of what a server's base can be: an authority without a user, a path. */
static bool is_url(const char *text) {
  const char *authority = strncmp(text, "https://", 8) == 0 ? text + 8 : text + 7;
  char host[LVN_CONFIG_TEXT_BYTES];
  if (text[0] == '\0') {
    return true;
  }
  if ((authority == text + 7 && strncmp(text, "http://", 7) != 0) || strpbrk(text, " @?#\\\"<>") != NULL ||
      !is_printable(text)) {
    return false;
  }
  size_t length = strcspn(authority, "/");
  if (length == 0 || length >= sizeof host) {
    return false;
  }
  memcpy(host, authority, length);
  host[length] = '\0';
  char *port = host[0] == '[' ? strchr(host, ']') : host;
  port = port == NULL ? NULL : strchr(port, ':');
  if (port != NULL) {
    *port++ = '\0';
    if (strspn(port, "0123456789") != strlen(port) || strlen(port) == 0 || strlen(port) > 5) {
      return false;
    }
  }
  return host[0] == '[' ? strchr(host, ']') != NULL : host[0] != '\0' && is_host(host);
}

static bool are_events(const char *text) {
  char item[64];
  while (lvn_config_list_next(&text, item, sizeof item)) {
    const char *const *name = lvn_config_event_names;
    while (*name != NULL && strcmp(*name, item) != 0) {
      name++;
    }
    if (*name == NULL) {
      return false;
    }
  }
  return true;
}

static bool is_choice(const char *choices, const char *text) {
  size_t length = strlen(text);
  for (const char *at = choices; length > 0;) {
    size_t word = strcspn(at, "|");
    if (word == length && strncmp(at, text, length) == 0) {
      return true;
    }
    if (at[word] == '\0') {
      break;
    }
    at += word + 1;
  }
  return false;
}

static bool are_choices(const char *choices, const char *text) {
  char item[64];
  while (lvn_config_list_next(&text, item, sizeof item)) {
    if (!is_choice(choices, item)) {
      return false;
    }
  }
  return true;
}

static bool parse_bool(const char *text, bool *ret_value) {
  if (strcasecmp(text, "yes") == 0 || strcasecmp(text, "true") == 0) {
    *ret_value = true;
    return true;
  }
  if (strcasecmp(text, "no") == 0 || strcasecmp(text, "false") == 0) {
    *ret_value = false;
    return true;
  }
  return false;
}

/* Digits only: strtoull() alone would take "-1" as 2^64 - 1; after bytes a unit, 1K being 1024. */
static bool parse_integer(const struct lvn_config_key *key, const char *text, uint64_t *ret_value) {
  static const char units[] = "KMGT";
  size_t digits = strspn(text, "0123456789");
  size_t name_length = strlen(key->name);
  const char *unit = text[digits] != '\0' ? strchr(units, text[digits]) : NULL;
  bool is_bytes = name_length > 6 && strcmp(key->name + name_length - 6, "_bytes") == 0;
  if (digits == 0 || (text[digits] != '\0' && (!is_bytes || unit == NULL || text[digits + 1] != '\0'))) {
    return false;
  }
  errno = 0;
  *ret_value = strtoull(text, NULL, 10);
  for (ptrdiff_t i = 0; unit != NULL && i <= unit - units; i++) {
    if (*ret_value > UINT64_MAX / 1024) {
      return false;
    }
    *ret_value *= 1024;
  }
  return errno == 0 && (double)*ret_value >= key->minimum && (double)*ret_value <= key->maximum;
}

static bool parse_real(const struct lvn_config_key *key, const char *text, double *ret_value) {
  char *end = NULL;
  if (text[0] == '\0' || strspn(text, "0123456789.") != strlen(text)) {
    return false;
  }
  *ret_value = strtod(text, &end);
  return *end == '\0' && isfinite(*ret_value) && *ret_value >= key->minimum && *ret_value <= key->maximum;
}

static bool is_text_of_kind(const struct lvn_config_key *key, const char *text) {
  switch (key->kind) {
  case LVN_CONFIG_AET:
    return is_ae_title(text);
  case LVN_CONFIG_ADDRESS:
    return is_numeric_address(text);
  case LVN_CONFIG_HOST:
    return is_host(text);
  case LVN_CONFIG_ADDRESSES:
    return are_addresses(text);
  case LVN_CONFIG_PATH:
    return is_absolute_path(text) && (key->maximum < 1 || (double)strlen(text) <= key->maximum);
  case LVN_CONFIG_URL:
    return is_url(text);
  case LVN_CONFIG_EVENTS:
    return are_events(text);
  case LVN_CONFIG_CHOICE:
    return is_choice(key->choices, text);
  case LVN_CONFIG_CHOICES:
    return are_choices(key->choices, text);
  default:
    return is_printable(text);
  }
}

static bool set_number(const struct lvn_config_key *key, uint8_t *field, const char *text) {
  uint64_t integer = 0;
  double real = 0;
  bool flag = false;
  if (key->kind == LVN_CONFIG_BOOL) {
    return parse_bool(text, &flag) && memcpy(field, &flag, sizeof flag) != NULL;
  }
  if (key->kind == LVN_CONFIG_REAL) {
    return parse_real(key, text, &real) && memcpy(field, &real, sizeof real) != NULL;
  }
  if (!parse_integer(key, text, &integer)) {
    return false;
  }
  if (key->kind == LVN_CONFIG_UINT16) {
    uint16_t value = (uint16_t)integer; /* the table's maximum is 65535 */
    memcpy(field, &value, sizeof value);
  } else if (key->kind == LVN_CONFIG_UINT) {
    unsigned value = (unsigned)integer;
    memcpy(field, &value, sizeof value);
  } else if (key->kind == LVN_CONFIG_UINT32) {
    uint32_t value = (uint32_t)integer;
    memcpy(field, &value, sizeof value);
  } else {
    memcpy(field, &integer, sizeof integer);
  }
  return true;
}

bool lvn_config_key_set(const struct lvn_config_key *key, void *record, const char *text, struct lvn_error *err) {
  uint8_t *field = (uint8_t *)record + key->offset;
  bool is_good = false;
  char allowed[160];
  if (key->kind >= LVN_CONFIG_BOOL) {
    is_good = set_number(key, field, text);
  } else if (is_text_of_kind(key, text) && strlen(text) < key->bytes) {
    memset(field, 0, key->bytes);
    memcpy(field, text, strlen(text));
    is_good = true;
  }
  if (is_good) {
    return true;
  }
  lvn_config_key_describe(key, allowed, sizeof allowed);
  return lvn_error_set(err, LVN_ERROR_USAGE, "%s: '%s' is not allowed; allowed: %s", key->name, text, allowed);
}

void lvn_config_key_format(const struct lvn_config_key *key, const void *record, char *text, size_t text_bytes) {
  const uint8_t *field = (const uint8_t *)record + key->offset;
  uint16_t small = 0;
  unsigned plain = 0;
  uint32_t medium = 0;
  uint64_t large = 0;
  double real = 0;
  bool flag = false;
  switch (key->kind) {
  case LVN_CONFIG_BOOL:
    memcpy(&flag, field, sizeof flag);
    (void)snprintf(text, text_bytes, "%s", flag ? "yes" : "no");
    break;
  case LVN_CONFIG_UINT16:
    memcpy(&small, field, sizeof small);
    (void)snprintf(text, text_bytes, "%u", (unsigned)small);
    break;
  case LVN_CONFIG_UINT:
    memcpy(&plain, field, sizeof plain);
    (void)snprintf(text, text_bytes, "%u", plain);
    break;
  case LVN_CONFIG_UINT32:
    memcpy(&medium, field, sizeof medium);
    (void)snprintf(text, text_bytes, "%" PRIu32, medium);
    break;
  case LVN_CONFIG_UINT64:
    memcpy(&large, field, sizeof large);
    (void)snprintf(text, text_bytes, "%" PRIu64, large);
    break;
  case LVN_CONFIG_REAL:
    memcpy(&real, field, sizeof real);
    (void)snprintf(text, text_bytes, "%g", real);
    break;
  default:
    (void)snprintf(text, text_bytes, "%s", (const char *)field);
    break;
  }
}

static void describe_choices(const char *choices, const char *last_joint, char *text, size_t text_bytes) {
  size_t used = 0;
  for (const char *at = choices; *at != '\0' && used + 8 < text_bytes; at++) {
    bool is_last = strchr(at + 1, '|') == NULL;
    const char *joint = is_last ? last_joint : ", ";
    if (*at != '|') {
      text[used++] = *at;
      continue;
    }
    memcpy(text + used, joint, strlen(joint));
    used += strlen(joint);
  }
  text[used] = '\0';
}

static void describe_events(char *text, size_t text_bytes) {
  size_t used = 0;
  for (const char *const *name = lvn_config_event_names; *name != NULL && used < text_bytes; name++) {
    used += (size_t)snprintf(text + used, text_bytes - used, "%s, ", *name);
  }
  if (used < text_bytes) {
    (void)snprintf(text + used, text_bytes - used, "comma-separated");
  }
}

void lvn_config_key_describe(const struct lvn_config_key *key, char *text, size_t text_bytes) {
  switch (key->kind) {
  case LVN_CONFIG_AET:
    (void)snprintf(text, text_bytes, "an AE title of 1 to 16 characters without backslash");
    break;
  case LVN_CONFIG_ADDRESS:
    (void)snprintf(text, text_bytes, "a numeric IPv4 or IPv6 address");
    break;
  case LVN_CONFIG_HOST:
    (void)snprintf(text, text_bytes, "a numeric address or a host name");
    break;
  case LVN_CONFIG_ADDRESSES:
    (void)snprintf(text, text_bytes, "numeric addresses and networks, comma-separated");
    break;
  case LVN_CONFIG_PATH:
    (void)snprintf(text, text_bytes, "an absolute path of at most %zu characters",
                   key->maximum < 1 ? key->bytes - 1 : (size_t)key->maximum);
    break;
  case LVN_CONFIG_PEERS:
    (void)snprintf(text, text_bytes, "names of peers, comma-separated");
    break;
  case LVN_CONFIG_URL:
    (void)snprintf(text, text_bytes, "https://HOST[:PORT][/PATH] without user name and query; http:// too");
    break;
  case LVN_CONFIG_EVENTS:
    describe_events(text, text_bytes);
    break;
  case LVN_CONFIG_CHOICE:
    describe_choices(key->choices, " or ", text, text_bytes);
    break;
  case LVN_CONFIG_CHOICES:
    describe_choices(key->choices, " and ", text, text_bytes);
    break;
  case LVN_CONFIG_BOOL:
    (void)snprintf(text, text_bytes, "yes or no");
    break;
  case LVN_CONFIG_TEXT:
    (void)snprintf(text, text_bytes, "text of at most %zu characters", key->bytes - 1);
    break;
  default:
    (void)snprintf(text, text_bytes, "%.*f to %.*f", key->minimum < 1 && key->minimum > 0 ? 1 : 0, key->minimum, 0,
                   key->maximum);
    break;
  }
}

bool lvn_config_is_named(const char *section) {
  return strcmp(section, LVN_CONFIG_PEER_SECTION) == 0 || strcmp(section, LVN_CONFIG_WEBHOOK_SECTION) == 0;
}

void lvn_config_set_defaults(const char *section, void *record) {
  struct lvn_error err;
  for (size_t i = 0; i < lvn_config_key_count; i++) {
    const struct lvn_config_key *key = &lvn_config_keys[i];
    if (section == NULL ? lvn_config_is_named(key->section) : strcmp(key->section, section) != 0) {
      continue;
    }
    /* An empty default of a required key fails its own rule; the zeroed record already holds it. */
    (void)!(key->default_text[0] != '\0' && lvn_config_key_set(key, record, key->default_text, &err));
  }
}

void lvn_config_keep_fixed(const struct lvn_config *running, struct lvn_config *fresh) {
  for (size_t i = 0; i < lvn_config_key_count; i++) {
    const struct lvn_config_key *key = &lvn_config_keys[i];
    if (!key->reloadable && !lvn_config_is_named(key->section)) {
      memcpy((char *)fresh + key->offset, (const char *)running + key->offset, key->bytes);
    }
  }
}
