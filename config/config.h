/* The node's configuration: one INI file, one table of keys (config_keys.c) that drives the parser, `check-config`, the
 * manual and the sample file. Immutable after load. An unknown section or key is an error with its line. */
#ifndef LVN_CONFIG_CONFIG_H
#define LVN_CONFIG_CONFIG_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LVN_CONFIG_PEERS_MAX 64
#define LVN_AET_BYTES 17
#define LVN_CONFIG_TEXT_BYTES 256
#define LVN_CONFIG_WEBHOOKS_MAX 16

/* [peer "NAME"]: somebody who may send to us, receive from us, or both. */
struct lvn_config_peer {
  char name[64];
  char aet[LVN_AET_BYTES];
  char host[LVN_CONFIG_TEXT_BYTES]; /* numeric address or name; used for sending, and with `addresses` for admission */
  uint16_t port;                    /* 0: never sent to */
  char addresses[LVN_CONFIG_TEXT_BYTES];  /* comma-separated addresses or CIDR it may call from; empty: `host` only */
  bool may_send;                          /* its associations are admitted */
  bool receives_results;                  /* a default destination of results */
  char results_to[LVN_CONFIG_TEXT_BYTES]; /* results of what this peer sent go to these peers (names, comma-separated);
                                             see lvn_config_get_destinations() */
  char result_objects[64]; /* kinds of result objects that it gets; empty: all. See lvn_config_takes_result() */
  unsigned max_associations;
  char tls[16]; /* off, allowed, required: see lvn_config_peer_takes_tls() and lvn_config_peer_uses_tls() */
  char certificate[LVN_CONFIG_TEXT_BYTES];   /* SHA-256 fingerprints or subject; empty: any that is trusted */
  bool commitment;                           /* asked to promise the results that were sent to it */
  char query_from[LVN_CONFIG_TEXT_BYTES];    /* the peer that is asked for what its studies lack; empty: nobody */
  char retrieve[8];                          /* move, get: how this one, asked, sends what was found */
  char protocol[16];                         /* dimse, dicomweb: how it is sent to and asked */
  char url[LVN_CONFIG_TEXT_BYTES];           /* of its DICOMweb services */
  char https_ca_file[LVN_CONFIG_TEXT_BYTES]; /* empty, as the next four: none */
  char https_certificate[LVN_CONFIG_TEXT_BYTES];
  char https_key[LVN_CONFIG_TEXT_BYTES];
  char user[64];
  char password_file[LVN_CONFIG_TEXT_BYTES];
  char token_file[LVN_CONFIG_TEXT_BYTES];
};

/* [webhook "NAME"]: somebody who is told what happens at this node. */
struct lvn_config_webhook {
  char name[64];
  char url[LVN_CONFIG_TEXT_BYTES];
  char secret_file[LVN_CONFIG_TEXT_BYTES]; /* its first line signs each event */
  char events[LVN_CONFIG_TEXT_BYTES];      /* names, comma-separated; empty: all */
  bool include_identity;
  char https_ca_file[LVN_CONFIG_TEXT_BYTES]; /* empty, as the next three: none */
  char https_certificate[LVN_CONFIG_TEXT_BYTES];
  char https_key[LVN_CONFIG_TEXT_BYTES];
  char token_file[LVN_CONFIG_TEXT_BYTES];
};

struct lvn_config {
  /* [node] */
  char ae_title[LVN_AET_BYTES];
  char listen_address[64];
  uint16_t port;
  uint16_t tls_port; /* 0: none; the same as `port`: both kinds of callers there */
  char state_folder[LVN_CONFIG_TEXT_BYTES];
  char run_folder[LVN_CONFIG_TEXT_BYTES]; /* sockets */
  char station_name[LVN_AET_BYTES];
  bool check_called_aet;
  char log_level[16];
  /* [reception] */
  unsigned max_associations;
  uint32_t max_pdu_bytes;
  uint64_t max_object_bytes;
  uint32_t max_objects_per_association;
  unsigned negotiate_seconds;
  unsigned idle_seconds;
  unsigned total_seconds;
  uint64_t spool_low_water_bytes;            /* fewer free bytes: new associations are refused */
  uint64_t spool_reserve_bytes;              /* fewer free bytes: 0xA700 */
  uint64_t spool_warning_bytes;              /* fewer free bytes: said in the log and by /health; 0: never */
  char other_classes[LVN_CONFIG_TEXT_BYTES]; /* as lvn_storage_stores_class() takes them */
  char other_objects[16];                    /* store, discard */
  bool answers_commitment;                   /* tells peers that ask whether it keeps their objects */
  /* [assembly] */
  unsigned settle_seconds;       /* quiet time before a study is looked at */
  unsigned wait_warning_seconds; /* a study that waits longer for a phase or ROI is named in the log */
  /* [analysis] */
  char model_package[LVN_CONFIG_TEXT_BYTES];
  char models_folder[LVN_CONFIG_TEXT_BYTES];
  char trusted_keys_folder[LVN_CONFIG_TEXT_BYTES];
  char locked_test_set[LVN_CONFIG_TEXT_BYTES]; /* 64 hexadecimal digits, or empty */
  char shadow_package[LVN_CONFIG_TEXT_BYTES];  /* empty: none */
  char device[16];                             /* auto, cpu, cuda */
  unsigned threads;
  bool order_ensemble;
  double max_registration_error_mm;
  char result_objects[64];  /* kinds of result objects that are made, comma-separated */
  unsigned job_seconds_max; /* a worker that takes longer is killed, the attempt counted */
  unsigned job_attempts_max;
  /* [outbound] */
  unsigned retry_first_seconds;
  unsigned retry_max_seconds;
  unsigned retry_count_max;
  unsigned connect_seconds;
  unsigned dimse_seconds;
  unsigned commitment_seconds;      /* for a report, before the destination is asked again */
  unsigned commitment_stay_seconds; /* on the association of the request, for a report that comes on it */
  unsigned commitment_attempts_max;
  /* [fetch] */
  unsigned fetch_after_seconds; /* that a study waits before its archive is asked */
  unsigned fetch_first_seconds; /* pause after the first attempt; doubled up to fetch_max_seconds */
  unsigned fetch_max_seconds;
  unsigned fetch_attempts_max; /* for a study as it is */
  unsigned fetch_objects_max;  /* of one attempt */
  uint64_t fetch_bytes_max;
  /* [workflow] */
  char workitem_manager[64]; /* name of a peer; empty: no workitems are taken */
  char workitem_code[64];    /* VALUE^SCHEME */
  unsigned poll_seconds;
  unsigned workitem_seconds_max;
  /* [retention] */
  unsigned keep_days;         /* after the results were sent; 0: for ever */
  unsigned keep_waiting_days; /* studies that never came to a result; 0: for ever */
  /* [tls] paths of PEM files; all empty: no TLS */
  char certificate[LVN_CONFIG_TEXT_BYTES];
  char private_key[LVN_CONFIG_TEXT_BYTES];
  char trusted_certificates[LVN_CONFIG_TEXT_BYTES];
  /* [audit] */
  char audit_host[LVN_CONFIG_TEXT_BYTES]; /* empty: no repository */
  uint16_t audit_port;
  char audit_certificate[LVN_CONFIG_TEXT_BYTES]; /* as a peer's */
  char audit_file[LVN_CONFIG_TEXT_BYTES];        /* empty: none */
  uint64_t audit_queue_bytes;
  /* [alerts] */
  char alert_command[LVN_CONFIG_TEXT_BYTES]; /* absolute path; empty: none */
  char alert_mail[LVN_CONFIG_TEXT_BYTES];    /* addresses, comma-separated; empty: none */
  char alert_sendmail[LVN_CONFIG_TEXT_BYTES];
  unsigned alert_pause_seconds;
  unsigned alert_repeat_hours; /* 0: never */
  /* [web] */
  char web_address[64];
  uint16_t web_port;                     /* 0: off */
  char web_tls[16];                      /* off, on, mutual */
  char web_hosts[LVN_CONFIG_TEXT_BYTES]; /* further names in a request's Host header, comma-separated */

  size_t peer_count;
  struct lvn_config_peer peers[LVN_CONFIG_PEERS_MAX];
  size_t webhook_count;
  struct lvn_config_webhook webhooks[LVN_CONFIG_WEBHOOKS_MAX];
};

/* What is allowed but will not serve: a package or folder that is not there, a network that admits more than it seems,
 * nobody to send or to send to. One sentence each; returns how many. Looks at the file system. */
typedef void (*lvn_config_warning_visitor)(void *user_data, const char *text);
size_t lvn_config_warn(const struct lvn_config *config, lvn_config_warning_visitor visit, void *user_data);

/* Read and validate a whole file. LVN_ERROR_USAGE with "FILE:LINE: what is wrong and what is allowed". */
LVN_MUST_CHECK bool lvn_config_load(const char *path, struct lvn_config *ret_config, struct lvn_error *err);

/* The same, and tells every mistake of the file in that form; `err` has the first. NULL: only that. */
typedef void (*lvn_config_mistake_visitor)(void *user_data, const char *text);
LVN_MUST_CHECK bool lvn_config_load_all(const char *path, lvn_config_mistake_visitor visit, void *user_data,
                                        struct lvn_config *ret_config, struct lvn_error *err);

/* The commented sample file, every key with its meaning, range and default, written from the table. */
LVN_MUST_CHECK bool lvn_config_write_sample(FILE *stream, struct lvn_error *err);

/* Every key with its effective value, one "section.key = value" a line. */
LVN_MUST_CHECK bool lvn_config_print(const struct lvn_config *config, FILE *stream, struct lvn_error *err);

/* What differs between two configurations, as lines "section.key: old -> new (effective now | needs a restart)". */
LVN_MUST_CHECK bool lvn_config_print_changes(const struct lvn_config *before, const struct lvn_config *after,
                                             FILE *stream, struct lvn_error *err);

/* At a reload: what the open ports and files were made from, the keys that need a restart, stays in `fresh` as it runs.
 */
void lvn_config_keep_fixed(const struct lvn_config *running, struct lvn_config *fresh);

bool lvn_config_has_tls(const struct lvn_config *config);           /* [tls] is filled in */
bool lvn_config_has_audit(const struct lvn_config *config);         /* messages go somewhere */
bool lvn_config_peer_takes_tls(const struct lvn_config_peer *peer); /* it may call by TLS */
bool lvn_config_peer_uses_tls(
    const struct lvn_config_peer *peer); /* it is called by TLS, and may call by nothing else */

const struct lvn_config_peer *lvn_config_find_peer(const struct lvn_config *config, const char *name); /* or NULL */
const struct lvn_config_webhook *lvn_config_find_webhook(const struct lvn_config *config, const char *name);
/* Can it be sent to: has it host and port, or a URL? */
bool lvn_config_is_reachable(const struct lvn_config_peer *peer);
bool lvn_config_is_dicomweb(const struct lvn_config_peer *peer);
/* The events that a webhook may be told, ended by NULL. */
extern const char *const lvn_config_event_names[];
/* Is the webhook told this event? */
bool lvn_config_wants_event(const struct lvn_config_webhook *webhook, const char *event);
/* The peer that may send with this calling AE title from this numeric address; NULL: not allowed. */
const struct lvn_config_peer *lvn_config_admit(const struct lvn_config *config, const char *calling_aet,
                                               const char *address);
/* Where results of what `sender` (NULL: unknown) sent go: the peers of its results_to, or else every peer with
 * receives_results, or else the sender itself. Returns how many; a loaded configuration never gives 0 for a peer that
 * may send. The peers are borrowed from `config`. */
size_t lvn_config_get_destinations(const struct lvn_config *config, const struct lvn_config_peer *sender,
                                   const struct lvn_config_peer *ret_destinations[LVN_CONFIG_PEERS_MAX]);

/* Does this peer get result objects of this SOP class? Those of a class that no kind of result has go to every peer. */
LVN_MUST_CHECK bool lvn_config_takes_result(const struct lvn_config_peer *peer, const char *sop_class_uid);

#ifdef __cplusplus
}
#endif
#endif
