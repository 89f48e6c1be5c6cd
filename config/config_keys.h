/* The table of configuration keys: the parser, `check-config`, the sample file and the list of changes read nothing
 * else. Internal to config/. Everything here is immutable and may be used from any thread. */
#ifndef LVN_CONFIG_CONFIG_KEYS_H
#define LVN_CONFIG_CONFIG_KEYS_H

#include "config/config.h"

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum lvn_config_kind {
  LVN_CONFIG_TEXT,      /* printable characters */
  LVN_CONFIG_AET,       /* 1 to 16 characters of PS3.5 6.2's AE */
  LVN_CONFIG_ADDRESS,   /* numeric IPv4 or IPv6 */
  LVN_CONFIG_HOST,      /* numeric address or host name */
  LVN_CONFIG_ADDRESSES, /* comma-separated addresses and CIDR networks */
  LVN_CONFIG_PATH,      /* absolute */
  LVN_CONFIG_PEERS,     /* comma-separated names of peers */
  LVN_CONFIG_URL,       /* http or https, without user, query and fragment; or empty */
  LVN_CONFIG_EVENTS,    /* comma-separated names of events */
  LVN_CONFIG_CHOICE,    /* one of the words of `choices` */
  LVN_CONFIG_CHOICES,   /* some of them, comma-separated */
  LVN_CONFIG_BOOL,
  LVN_CONFIG_UINT16,
  LVN_CONFIG_UINT,
  LVN_CONFIG_UINT32,
  LVN_CONFIG_UINT64,
  LVN_CONFIG_REAL
};

/* The value lies `offset` bytes into struct lvn_config, or into the record of a section that has a name. */
struct lvn_config_key {
  const char *section;
  const char *name;
  enum lvn_config_kind kind;
  size_t offset;
  size_t bytes; /* of the field: a text longer than that, with its NUL, is refused */
  double minimum;
  double maximum;
  const char *choices;      /* "a|b|c" */
  const char *default_text; /* as written in a file; "" is an empty text */
  bool reloadable;          /* takes effect at a reload, without a restart */
  const char *help;
};

struct lvn_config_section {
  const char *name;
  const char *help;
};

#define LVN_CONFIG_PEER_SECTION "peer"
#define LVN_CONFIG_WEBHOOK_SECTION "webhook"
/* Is it written [SECTION "NAME"], as often as there are names? */
bool lvn_config_is_named(const char *section);
#define LVN_CONFIG_NETWORKS_MAX 128 /* more items do not fit into the text of `addresses` */

extern const struct lvn_config_key lvn_config_keys[];
extern const size_t lvn_config_key_count;
extern const struct lvn_config_section lvn_config_sections[];
extern const size_t lvn_config_section_count;

/* Parse `text` into the key's field of `record`. LVN_ERROR_USAGE with what is allowed; the field is then untouched. */
LVN_MUST_CHECK bool lvn_config_key_set(const struct lvn_config_key *key, void *record, const char *text,
                                       struct lvn_error *err);

/* The field's value as it would be written in a file, cut to `text_bytes`. */
void lvn_config_key_format(const struct lvn_config_key *key, const void *record, char *text, size_t text_bytes);

/* What the key accepts, in words: "1 to 65535", "auto, cpu or cuda". */
void lvn_config_key_describe(const struct lvn_config_key *key, char *text, size_t text_bytes);

/* Put every key of `section` (NULL: all but those of named sections) to its default. */
void lvn_config_set_defaults(const char *section, void *record);

/* The nearest of `count` names, when it is near enough to be a slip of the hand; else NULL. */
const char *lvn_config_suggest(const char *word, const char *const *names, size_t count);

/* One network: an address and how many of its leading bits count. IPv4 is kept as ::ffff:a.b.c.d. */
struct lvn_config_network {
  uint8_t address[16];
  unsigned prefix_bits;
};
/* "192.0.2.7", "192.0.2.0/24", "2001:db8::/32", "[2001:db8::1]"; false when it is none of these. */
LVN_MUST_CHECK bool lvn_config_network_parse(const char *text, struct lvn_config_network *ret_network);
LVN_MUST_CHECK bool lvn_config_network_overlaps(const struct lvn_config_network *left,
                                                const struct lvn_config_network *right);

/* Step through a comma-separated list: copies the next item, without blanks around it, and moves `*cursor` on. False at
 * the end. Items longer than the buffer are cut. */
LVN_MUST_CHECK bool lvn_config_list_next(const char **cursor, char *item, size_t item_bytes);

/* Is what goes there hidden from the network: https, or http to this machine? */
bool lvn_config_is_private_url(const char *url);

/* The networks a peer may call from: `addresses`, or else its numeric `host`. Returns how many were written. */
size_t lvn_config_peer_networks(const struct lvn_config_peer *peer, struct lvn_config_network *networks, size_t max);

#define LVN_CONFIG_KEYS_MAX 256

/* Where a file says what, and where it is wrong already. */
struct lvn_config_places {
  const unsigned *peer_lines; /* of each peer's section */
  const unsigned *webhook_lines;
  bool peer_is_wrong[LVN_CONFIG_PEERS_MAX]; /* a mistake was told of: no others follow from it */
  unsigned key_lines[LVN_CONFIG_KEYS_MAX];  /* by number of the key, but for the peers'; 0: not given */
  bool webhook_is_wrong[LVN_CONFIG_WEBHOOKS_MAX];
  bool is_wrong; /* outside the named sections */
  bool has_wrong_heading;
};
/* `line` 0: there is none to name. */
typedef void (*lvn_config_fault_visitor)(void *user_data, unsigned line, const char *text);
/* What no single key can tell: peers that collide, lists that name nobody, limits that contradict each other. */
void lvn_config_check(const struct lvn_config *config, const struct lvn_config_places *places,
                      lvn_config_fault_visitor visit, void *user_data);

/* As lvn_config_load_all() from a stream; `name` stands for it in messages. Does not close the stream. */
LVN_MUST_CHECK bool lvn_config_parse(FILE *stream, const char *name, lvn_config_mistake_visitor visit, void *user_data,
                                     struct lvn_config *ret_config, struct lvn_error *err);

#ifdef __cplusplus
}
#endif
#endif
