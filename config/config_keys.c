#include "config/config_keys.h"

#define NODE(field) offsetof(struct lvn_config, field), sizeof(((struct lvn_config *)0)->field)
#define PEER(field) offsetof(struct lvn_config_peer, field), sizeof(((struct lvn_config_peer *)0)->field)
#define HOOK(field) offsetof(struct lvn_config_webhook, field), sizeof(((struct lvn_config_webhook *)0)->field)
#define RELOADABLE true
#define RESTART false

const struct lvn_config_section lvn_config_sections[] = {
    {"node", "This node and its storage locations."},
    {"reception", "Limits of what peers may ask of the receiver. Every association is bounded in time and in size."},
    {"assembly", "When a study is looked at."},
    {"analysis", "How a study is analysed."},
    {"outbound", "How results are sent. A transient failure is tried again; one dead peer never holds up another."},
    {"fetch", "What a study lacks is asked for, one study at a time, where the peer that sent it has query_from."},
    {"workflow", "Workitems that a manager schedules for this node (UPS-RS, IHE AI Workflow for Imaging)."},
    {"retention", "How long objects stay."},
    {"tls", "What this node shows of itself on TLS, and whom it believes. TLS 1.2 and 1.3; both sides show a "
            "certificate."},
    {"audit", "Audit messages (IHE ITI-20, DICOM PS3.15 A.5): who did what with which patient's objects."},
    {"alerts", "Who is told of what needs attention, by livervlm-alert.timer."},
    {"web", "Metrics (/metrics) and health (/health). There is no login: keep it on loopback, or let only clients with "
            "a trusted certificate in."},
    {LVN_CONFIG_PEER_SECTION,
     "One section per peer that may send to this node or receive from it. Nobody else is served."},
    {LVN_CONFIG_WEBHOOK_SECTION,
     "One section per receiver of events: JSON by HTTP POST, signed, sent again by the rules of [outbound]."},
};
const char *const lvn_config_event_names[] = {
    "study-waits", "result-sent", "result-failed", "disk-low", "worker-down", "certificate-ends", NULL};
const size_t lvn_config_section_count = sizeof lvn_config_sections / sizeof lvn_config_sections[0];

/* Byte limits: an object of 2 GiB is a CT of some 4000 slices in one Enhanced CT instance; an unsigned 32-bit length
 * ends at 4 GiB. 131072 is DCMTK's ASC_MAXIMUMPDUSIZE. */
const struct lvn_config_key lvn_config_keys[] = {
    {"node", "ae_title", LVN_CONFIG_AET, NODE(ae_title), 0, 0, NULL, "LIVERVLM", RESTART,
     "The AE title peers call, and the one this node calls with."},
    {"node", "listen_address", LVN_CONFIG_ADDRESS, NODE(listen_address), 0, 0, NULL, "0.0.0.0", RESTART,
     "Numeric address to listen on. 0.0.0.0 is every IPv4 address of this machine, :: also every IPv6 address."},
    {"node", "port", LVN_CONFIG_UINT16, NODE(port), 1, 65535, NULL, "11112", RESTART,
     "TCP port to listen on. Ports below 1024 need CAP_NET_BIND_SERVICE in the unit."},
    {"node", "tls_port", LVN_CONFIG_UINT16, NODE(tls_port), 0, 65535, NULL, "0", RESTART,
     "TCP port for DICOM over TLS, by custom 2762; 0: none. The same number as port: peers call there in either way, "
     "and "
     "each peer's key tls says which is its own. Needs the section [tls]."},
    {"node", "state_folder", LVN_CONFIG_PATH, NODE(state_folder), 0, 0, NULL, "/var/lib/livervlm", RESTART,
     "Received objects, index and results. On one local file system that honours fsync; not on NFS."},
    {"node", "run_folder", LVN_CONFIG_PATH, NODE(run_folder), 0, 80, NULL, "/run/livervlm", RESTART,
     "Control sockets. At most 80 characters, since the kernel bounds the path of a socket."},
    {"node", "station_name", LVN_CONFIG_TEXT, NODE(station_name), 0, 0, NULL, "LIVERVLM", RESTART,
     "Station Name (0008,1010) in the results; at most 16 characters."},
    {"node", "check_called_aet", LVN_CONFIG_BOOL, NODE(check_called_aet), 0, 0, NULL, "yes", RELOADABLE,
     "Refuse an association that calls another AE title than ae_title."},
    {"node", "log_level", LVN_CONFIG_CHOICE, NODE(log_level), 0, 0, "error|warning|notice|info|debug", "info",
     RELOADABLE, "Minimum log level. No level logs patient data."},

    {"reception", "max_associations", LVN_CONFIG_UINT, NODE(max_associations), 1, 1024, NULL, "64", RELOADABLE,
     "Associations open at once, all peers together. One more is rejected as a transient shortage."},
    {"reception", "max_pdu_bytes", LVN_CONFIG_UINT32, NODE(max_pdu_bytes), 4096, 131072, NULL, "131072", RELOADABLE,
     "Largest protocol data unit accepted (PS3.8 D.1)."},
    {"reception", "max_object_bytes", LVN_CONFIG_UINT64, NODE(max_object_bytes), 65536, 4294967294.0, NULL,
     "2147483648", RELOADABLE, "Largest object accepted; a larger one is answered with 0xA700 and not kept."},
    {"reception", "max_objects_per_association", LVN_CONFIG_UINT32, NODE(max_objects_per_association), 1, 1000000, NULL,
     "20000", RELOADABLE, "Objects one association may store; further ones are answered 0xA700."},
    {"reception", "negotiate_seconds", LVN_CONFIG_UINT, NODE(negotiate_seconds), 1, 300, NULL, "10", RELOADABLE,
     "From the TCP connection to the accepted association; cuts peers that stay silent."},
    {"reception", "idle_seconds", LVN_CONFIG_UINT, NODE(idle_seconds), 1, 3600, NULL, "60", RELOADABLE,
     "Idle timeout within an association."},
    {"reception", "total_seconds", LVN_CONFIG_UINT, NODE(total_seconds), 1, 86400, NULL, "7200", RELOADABLE,
     "Longest life of an association."},
    {"reception", "spool_low_water_bytes", LVN_CONFIG_UINT64, NODE(spool_low_water_bytes), 0, 1e15, NULL, "2147483648",
     RELOADABLE, "With less free disk space than this, new associations are rejected as a transient shortage."},
    {"reception", "spool_reserve_bytes", LVN_CONFIG_UINT64, NODE(spool_reserve_bytes), 0, 1e15, NULL, "1073741824",
     RELOADABLE, "With less free disk space than this, objects are answered with 0xA700 (out of resources)."},
    {"reception", "spool_warning_bytes", LVN_CONFIG_UINT64, NODE(spool_warning_bytes), 0, 1e15, NULL, "4294967296",
     RELOADABLE,
     "With less free disk space than this, the log, livervlm status and /health say so, before reception stops; 0 "
     "never "
     "says it."},
    {"reception", "other_classes", LVN_CONFIG_TEXT, NODE(other_classes), 0, 0, NULL, "standard, 1.3.12.2.1107.5.9.1",
     RELOADABLE,
     "Storage classes that are accepted beside those that are analysed, so that no sender of a whole study stops in "
     "the "
     "middle: standard (every storage class of the standard: secondary captures, dose reports, MR, PET, raw data ...), "
     "all (private ones too), or SOP class UIDs, comma-separated; empty: none. 1.3.12.2.1107.5.9.1 is Siemens' CSA "
     "Non-Image."},
    {"reception", "other_objects", LVN_CONFIG_CHOICE, NODE(other_objects), 0, 0, "store|discard", "store", RELOADABLE,
     "What becomes of objects of other_classes: stored with their study and not used, or answered as stored and "
     "discarded."},

    {"reception", "answers_commitment", LVN_CONFIG_BOOL, NODE(answers_commitment), 0, 0, NULL, "yes", RELOADABLE,
     "Storage commitment as SCP: a peer that asks whether this node keeps what it sent is told what the store holds."},

    {"assembly", "settle_seconds", LVN_CONFIG_UINT, NODE(settle_seconds), 1, 86400, NULL, "20", RELOADABLE,
     "Settling time, without a new object or an open association that adds to it, before a study is looked at."},
    {"assembly", "wait_warning_seconds", LVN_CONFIG_UINT, NODE(wait_warning_seconds), 1, 604800, NULL, "3600",
     RELOADABLE, "A study that waits longer than this for a phase or an ROI is named in the log as a warning."},

    {"analysis", "model_package", LVN_CONFIG_PATH, NODE(model_package), 0, 0, NULL,
     "/usr/share/livervlm/packages/demo-phantom-2.0.0", RELOADABLE,
     "Folder of the model package. Its files' SHA-256 and its test vectors are checked when it is loaded. To choose "
     "it by `livervlm model promote`, name models_folder/current here: the node takes what that link points to."},
    {"analysis", "models_folder", LVN_CONFIG_PATH, NODE(models_folder), 0, 0, NULL, "/var/lib/livervlm/models",
     RELOADABLE,
     "Where `livervlm model import` puts packages; `livervlm model promote` sets the link `current` there."},
    {"analysis", "trusted_keys_folder", LVN_CONFIG_PATH, NODE(trusted_keys_folder), 0, 0, NULL, "/etc/livervlm/keys",
     RELOADABLE, "Ed25519 public keys (*.pem) of those whose packages `livervlm model import` takes."},
    {"analysis", "locked_test_set", LVN_CONFIG_TEXT, NODE(locked_test_set), 0, 0, NULL, "", RELOADABLE,
     "SHA-256 of the manifest of the data set that a package must be measured on before it may be promoted; empty: "
     "any but the one it was trained on."},
    {"analysis", "shadow_package", LVN_CONFIG_TEXT, NODE(shadow_package), 0, 0, NULL, "", RELOADABLE,
     "Folder of a second model package that answers every study too. Its answers are stored beside the results, for "
     "`livervlm model compare`, and never sent. Empty: none."},
    {"analysis", "device", LVN_CONFIG_CHOICE, NODE(device), 0, 0, "auto|cpu|cuda", "auto", RELOADABLE,
     "Where the network runs. auto takes the first CUDA device that works, and the CPU where there is none."},
    {"analysis", "threads", LVN_CONFIG_UINT, NODE(threads), 0, 256, NULL, "0", RELOADABLE,
     "CPU threads of the worker; 0 takes every core it is allowed."},
    {"analysis", "order_ensemble", LVN_CONFIG_BOOL, NODE(order_ensemble), 0, 0, NULL, "no", RELOADABLE,
     "Average over all six orders of the phases: six times the network's time, slightly steadier probabilities."},
    {"analysis", "max_registration_error_mm", LVN_CONFIG_REAL, NODE(max_registration_error_mm), 0.5, 50, NULL, "6",
     RELOADABLE, "Estimated alignment error above which a lesion is reported as indeterminate."},
    {"analysis", "result_objects", LVN_CONFIG_CHOICES, NODE(result_objects), 0, 0,
     "sr|sc|seg|seg_phases|kos|pdf|gsps|pmap", "sr, sc", RELOADABLE,
     "The objects that a result is made of, comma-separated; sr must be among them. sr: the report; sc: one secondary "
     "capture a lesion; seg: the ROIs as segmentations of the images that they were drawn on; seg_phases: the ROIs "
     "where "
     "the alignment puts them on the other phases; kos: a key object selection; pdf: a document of one page a lesion; "
     "gsps: the outlines as presentation states; pmap: Grad-CAM as parametric maps."},
    {"analysis", "job_seconds_max", LVN_CONFIG_UINT, NODE(job_seconds_max), 5, 86400, NULL, "600", RELOADABLE,
     "A job that takes longer is stopped; the attempt counts."},
    {"analysis", "job_attempts_max", LVN_CONFIG_UINT, NODE(job_attempts_max), 1, 20, NULL, "3", RELOADABLE,
     "Attempts before a job is given up and waits for `livervlm retry`."},

    {"outbound", "retry_first_seconds", LVN_CONFIG_UINT, NODE(retry_first_seconds), 1, 3600, NULL, "30", RELOADABLE,
     "Pause after the first failed attempt; doubled each time up to retry_max_seconds."},
    {"outbound", "retry_max_seconds", LVN_CONFIG_UINT, NODE(retry_max_seconds), 1, 86400, NULL, "600", RELOADABLE,
     "Longest pause between two attempts."},
    {"outbound", "retry_count_max", LVN_CONFIG_UINT, NODE(retry_count_max), 1, 1000, NULL, "10", RELOADABLE,
     "Attempts before a result is given up and waits for `livervlm retry`."},
    {"outbound", "connect_seconds", LVN_CONFIG_UINT, NODE(connect_seconds), 1, 300, NULL, "10", RELOADABLE,
     "Longest time to connect and to negotiate with a destination."},
    {"outbound", "dimse_seconds", LVN_CONFIG_UINT, NODE(dimse_seconds), 1, 3600, NULL, "60", RELOADABLE,
     "Longest wait for a destination's answer to one object."},
    {"outbound", "commitment_seconds", LVN_CONFIG_UINT, NODE(commitment_seconds), 1, 604800, NULL, "7200", RELOADABLE,
     "Longest wait for the report of a destination with commitment = yes before it is asked again."},
    {"outbound", "commitment_stay_seconds", LVN_CONFIG_UINT, NODE(commitment_stay_seconds), 0, 300, NULL, "5",
     RELOADABLE,
     "How long the association of the request stays open for a destination that reports on it; one that opens its own "
     "is heard at any time."},
    {"outbound", "commitment_attempts_max", LVN_CONFIG_UINT, NODE(commitment_attempts_max), 1, 100, NULL, "10",
     RELOADABLE,
     "Requests, each with a sending again where the destination does not have the object, before a result that was "
     "sent and is not committed counts as failed."},

    {"fetch", "fetch_after_seconds", LVN_CONFIG_UINT, NODE(fetch_after_seconds), 0, 86400, NULL, "30", RELOADABLE,
     "How long a study waits, after it was looked at, before its archive is asked for what is missing."},
    {"fetch", "fetch_first_seconds", LVN_CONFIG_UINT, NODE(fetch_first_seconds), 1, 86400, NULL, "120", RELOADABLE,
     "Pause after the first attempt for a study; doubled each time up to fetch_max_seconds."},
    {"fetch", "fetch_max_seconds", LVN_CONFIG_UINT, NODE(fetch_max_seconds), 1, 604800, NULL, "7200", RELOADABLE,
     "Longest pause between two attempts for a study."},
    {"fetch", "fetch_attempts_max", LVN_CONFIG_UINT, NODE(fetch_attempts_max), 1, 100, NULL, "8", RELOADABLE,
     "Attempts for a study; after them it waits as if there were no archive, until it is finished and opened again or "
     "livervlm fetch asks once more."},
    {"fetch", "fetch_objects_max", LVN_CONFIG_UINT, NODE(fetch_objects_max), 1, 1000000, NULL, "6000", RELOADABLE,
     "Objects that one attempt asks for; it is cancelled at this number."},
    {"fetch", "fetch_bytes_max", LVN_CONFIG_UINT64, NODE(fetch_bytes_max), 65536, 1e15, NULL, "8589934592", RELOADABLE,
     "Bytes of a study at which an attempt is cancelled."},

    {"workflow", "workitem_manager", LVN_CONFIG_PEERS, NODE(workitem_manager), 0, 0, NULL, "", RELOADABLE,
     "Name of the peer, with protocol = dicomweb, behind whose url /workitems lies; empty: no workitems are taken. "
     "Results go to the peers with receives_results = yes."},
    {"workflow", "workitem_code", LVN_CONFIG_TEXT, NODE(workitem_code), 0, 0, NULL, "LIVER_LESION^99LVN", RELOADABLE,
     "Scheduled Workitem Code of the workitems that are this node's: code value, ^ and coding scheme."},
    {"workflow", "poll_seconds", LVN_CONFIG_UINT, NODE(poll_seconds), 1, 3600, NULL, "20", RELOADABLE,
     "Pause between two searches for workitems."},
    {"workflow", "workitem_seconds_max", LVN_CONFIG_UINT, NODE(workitem_seconds_max), 60, 604800, NULL, "7200",
     RELOADABLE,
     "A workitem that was claimed and has no delivered result after this time is cancelled, with what its study waits "
     "for as the reason."},

    {"retention", "keep_days", LVN_CONFIG_UINT, NODE(keep_days), 0, 36500, NULL, "0", RELOADABLE,
     "Days a study stays after its results were sent; 0 keeps everything."},
    {"retention", "keep_waiting_days", LVN_CONFIG_UINT, NODE(keep_waiting_days), 0, 36500, NULL, "0", RELOADABLE,
     "Days a study without a result stays after its last object: one that waits for a ROI or a phase, failed or was "
     "refused. 0 keeps it for ever: where all liver CT is routed here and few studies get a ROI, the disk fills. Set "
     "it "
     "only where the objects are kept elsewhere too."},

    {"tls", "certificate", LVN_CONFIG_TEXT, NODE(certificate), 0, 0, NULL, "", RELOADABLE,
     "PEM file with this node's certificate, followed by those of its issuers. Empty: no TLS. This file, the key and "
     "the trusted certificates are read again at a reload."},
    {"tls", "private_key", LVN_CONFIG_TEXT, NODE(private_key), 0, 0, NULL, "", RELOADABLE,
     "PEM file with the certificate's private key, not encrypted, that nobody but the node can read (mode 0600, or "
     "0640 "
     "of the node's group)."},
    {"tls", "trusted_certificates", LVN_CONFIG_TEXT, NODE(trusted_certificates), 0, 0, NULL, "", RELOADABLE,
     "PEM file with the certificates of the authorities, or of single peers, that are believed: of peers that call and "
     "are called, of the audit repository and of the HTTP server's clients."},

    {"audit", "repository_host", LVN_CONFIG_HOST, NODE(audit_host), 0, 0, NULL, "", RELOADABLE,
     "Name or address of the audit repository that takes the messages by syslog over TLS (RFC 5425). Empty: none. "
     "Needs "
     "the section [tls]."},
    {"audit", "repository_port", LVN_CONFIG_UINT16, NODE(audit_port), 1, 65535, NULL, "6514", RELOADABLE,
     "Its TCP port."},
    {"audit", "repository_certificate", LVN_CONFIG_TEXT, NODE(audit_certificate), 0, 0, NULL, "", RELOADABLE,
     "Its certificate, as a peer's key certificate. Empty: one with the name repository_host."},
    {"audit", "file", LVN_CONFIG_TEXT, NODE(audit_file), 0, 0, NULL, "", RELOADABLE,
     "File that the messages are written to, one a line, beside or without a repository. It holds patient identity, is "
     "opened for each message and may be renamed by logrotate at any time. Empty: none."},
    {"audit", "queue_bytes", LVN_CONFIG_UINT64, NODE(audit_queue_bytes), 65536, 1e12, NULL, "67108864", RELOADABLE,
     "What may wait for a repository that is away. Messages above that are dropped, counted and told of."},
    {"alerts", "alert_command", LVN_CONFIG_TEXT, NODE(alert_command), 0, 0, NULL, "", RELOADABLE,
     "Absolute path of a program that is run, without a shell, with a subject line as its argument and the text on its "
     "standard input; LIVERVLM_ALERT in its environment is attention, over or test. It has 30 s. Empty: none."},
    {"alerts", "alert_mail", LVN_CONFIG_TEXT, NODE(alert_mail), 0, 0, NULL, "", RELOADABLE,
     "Mail addresses, comma-separated, that get the same text by the site's sendmail. Empty: none."},
    {"alerts", "alert_sendmail", LVN_CONFIG_PATH, NODE(alert_sendmail), 0, 0, NULL, "/usr/sbin/sendmail", RELOADABLE,
     "The site's sendmail, or what takes its place."},
    {"alerts", "alert_pause_seconds", LVN_CONFIG_UINT, NODE(alert_pause_seconds), 0, 86400, NULL, "600", RELOADABLE,
     "Shortest time between two messages; what comes meanwhile is in the next one."},
    {"alerts", "alert_repeat_hours", LVN_CONFIG_UINT, NODE(alert_repeat_hours), 0, 8760, NULL, "24", RELOADABLE,
     "What still needs attention is said again after so many hours; 0: never."},

    {"web", "web_address", LVN_CONFIG_ADDRESS, NODE(web_address), 0, 0, NULL, "127.0.0.1", RESTART,
     "Numeric address of the HTTP server. One that is not this machine's loopback needs web_tls = mutual."},
    {"web", "web_tls", LVN_CONFIG_CHOICE, NODE(web_tls), 0, 0, "off|on|mutual", "off", RESTART,
     "off: HTTP. on: HTTPS with the section [tls]'s certificate. mutual: the same, and only for clients whose "
     "certificate "
     "is trusted there."},
    {"web", "web_port", LVN_CONFIG_UINT16, NODE(web_port), 0, 65535, NULL, "8117", RESTART,
     "TCP port of the HTTP server; 0 switches it off."},
    {"web", "web_hosts", LVN_CONFIG_TEXT, NODE(web_hosts), 0, 0, NULL, "", RESTART,
     "Further host names, comma-separated, under which the HTTP server may be asked (a proxy's). localhost and numeric "
     "loopback addresses always may; any other Host header is answered with 403."},

    {"peer", "aet", LVN_CONFIG_AET, PEER(aet), 0, 0, NULL, "", RELOADABLE,
     "Its AE title, upper and lower case distinguished. Required."},
    {"peer", "host", LVN_CONFIG_HOST, PEER(host), 0, 0, NULL, "", RELOADABLE,
     "Its numeric address or name: where results go, and, if numeric, where it may call from. Names are never looked "
     "up "
     "for admission."},
    {"peer", "port", LVN_CONFIG_UINT16, PEER(port), 0, 65535, NULL, "0", RELOADABLE,
     "Its TCP port; 0: nothing is ever sent to it."},
    {"peer", "addresses", LVN_CONFIG_ADDRESSES, PEER(addresses), 0, 0, NULL, "", RELOADABLE,
     "Numeric addresses and networks (10.1.2.0/24, 2001:db8::/64) it may call from, comma-separated; empty: host "
     "only."},
    {"peer", "may_send", LVN_CONFIG_BOOL, PEER(may_send), 0, 0, NULL, "yes", RELOADABLE,
     "Its associations are admitted."},
    {"peer", "receives_results", LVN_CONFIG_BOOL, PEER(receives_results), 0, 0, NULL, "no", RELOADABLE,
     "Results of every sender without results_to go to this peer, instead of back to the sender."},
    {"peer", "results_to", LVN_CONFIG_PEERS, PEER(results_to), 0, 0, NULL, "", RELOADABLE,
     "Results of what this peer sent go to the peers named here, comma-separated. Empty: to the peers with "
     "receives_results = yes; if there are none, back to this peer."},
    {"peer", "result_objects", LVN_CONFIG_CHOICES, PEER(result_objects), 0, 0, "sr|sc|seg|kos|pdf|gsps|pmap", "",
     RELOADABLE,
     "Which of the result objects this peer gets, comma-separated, where it cannot show all of them. Empty: all that "
     "[analysis] result_objects has made."},
    {"peer", "max_associations", LVN_CONFIG_UINT, PEER(max_associations), 1, 1024, NULL, "16", RELOADABLE,
     "Associations this peer may have open at once."},
    {"peer", "tls", LVN_CONFIG_CHOICE, PEER(tls), 0, 0, "off|allowed|required", "off", RELOADABLE,
     "required: it calls by TLS alone, and is called by TLS. allowed: it may call in either way, and is called "
     "without. "
     "off: neither."},
    {"peer", "certificate", LVN_CONFIG_TEXT, PEER(certificate), 0, 0, NULL, "", RELOADABLE,
     "Its certificate: the SHA-256 fingerprint (several, comma-separated, while one is being replaced), or the whole "
     "subject (CN=ct1.example.org,O=Hospital; as `openssl x509 -noout -subject -nameopt RFC2253` prints it). It calls "
     "and is called with this one alone, and no other peer may use it. Empty: any that is trusted and no other peer's; "
     "where it is called, one with the name of host."},
    {"peer", "commitment", LVN_CONFIG_BOOL, PEER(commitment), 0, 0, NULL, "no", RELOADABLE,
     "It is asked to promise each result that was sent to it (storage commitment), and retention waits for that. Its "
     "report may come on an association that it opens itself: then may_send = yes is needed, and this node with its "
     "port in the peer's own list."},
    {"peer", "query_from", LVN_CONFIG_PEERS, PEER(query_from), 0, 0, NULL, "", RELOADABLE,
     "The peer that is asked for the phases or the ROI that a study from this peer lacks: by C-FIND and C-MOVE to this "
     "node, so that it must know ae_title as a move destination. Empty: nobody."},
    {"peer", "retrieve", LVN_CONFIG_CHOICE, PEER(retrieve), 0, 0, "move|get", "move", RELOADABLE,
     "How this peer, named in a query_from, sends what was found: by associations of its own (C-MOVE), or on the one "
     "that it is asked on (C-GET)."},
    {"peer", "protocol", LVN_CONFIG_CHOICE, PEER(protocol), 0, 0, "dimse|dicomweb", "dimse", RELOADABLE,
     "How this node sends to it: dimse is C-STORE to host and port, dicomweb is STOW-RS to url. What it sends to this "
     "node comes by C-STORE in either case."},
    {"peer", "url", LVN_CONFIG_URL, PEER(url), 0, 0, NULL, "", RELOADABLE,
     "Base of its DICOMweb services, behind which /studies follows. The server's certificate is always checked; "
     "no proxy is used and no redirect followed."},
    {"peer", "https_ca_file", LVN_CONFIG_PATH, PEER(https_ca_file), 0, 0, NULL, "", RELOADABLE,
     "PEM file of the authorities that its certificate may come from; without it, those of this machine."},
    {"peer", "https_certificate", LVN_CONFIG_PATH, PEER(https_certificate), 0, 0, NULL, "", RELOADABLE,
     "PEM file of this node's certificate for it, with the chain."},
    {"peer", "https_key", LVN_CONFIG_PATH, PEER(https_key), 0, 0, NULL, "", RELOADABLE,
     "PEM file of the certificate's key; without it, the key is in https_certificate."},
    {"peer", "user", LVN_CONFIG_TEXT, PEER(user), 0, 0, NULL, "", RELOADABLE,
     "Login by user and password (HTTP Basic); needs https, or a server on this machine."},
    {"peer", "password_file", LVN_CONFIG_PATH, PEER(password_file), 0, 0, NULL, "", RELOADABLE,
     "File whose first line is the password. Nobody but its owner may read it (or root's group, where root owns it)."},
    {"peer", "token_file", LVN_CONFIG_PATH, PEER(token_file), 0, 0, NULL, "", RELOADABLE,
     "File whose first line is a bearer token, instead of user and password; read anew for each connection, so that "
     "another program may renew it."},

    {"webhook", "url", LVN_CONFIG_URL, HOOK(url), 0, 0, NULL, "", RELOADABLE, "Where events are posted to. Required."},
    {"webhook", "secret_file", LVN_CONFIG_PATH, HOOK(secret_file), 0, 0, NULL, "", RELOADABLE,
     "File whose first line is the key of the signature (HMAC-SHA-256), which the receiver knows too. Nobody but its "
     "owner may read it. Required."},
    {"webhook", "events", LVN_CONFIG_EVENTS, HOOK(events), 0, 0, NULL, "", RELOADABLE,
     "The events that it is told; empty: all."},
    {"webhook", "include_identity", LVN_CONFIG_BOOL, HOOK(include_identity), 0, 0, NULL, "no", RELOADABLE,
     "Events of a study name its Study Instance UID and Patient ID. Without it, a study has the short name that the "
     "log and livervlm studies use, and nothing of the patient leaves."},
    {"webhook", "https_ca_file", LVN_CONFIG_PATH, HOOK(https_ca_file), 0, 0, NULL, "", RELOADABLE,
     "PEM file of the authorities that its certificate may come from; without it, those of this machine."},
    {"webhook", "https_certificate", LVN_CONFIG_PATH, HOOK(https_certificate), 0, 0, NULL, "", RELOADABLE,
     "PEM file of this node's certificate for it, with the chain."},
    {"webhook", "https_key", LVN_CONFIG_PATH, HOOK(https_key), 0, 0, NULL, "", RELOADABLE,
     "PEM file of the certificate's key; without it, the key is in https_certificate."},
    {"webhook", "token_file", LVN_CONFIG_PATH, HOOK(token_file), 0, 0, NULL, "", RELOADABLE,
     "File whose first line is a bearer token that it wants beside the signature."},
};
const size_t lvn_config_key_count = sizeof lvn_config_keys / sizeof lvn_config_keys[0];
