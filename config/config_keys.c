#include "config/config_keys.h"

#define NODE(field) offsetof(struct lvn_config, field), sizeof(((struct lvn_config *)0)->field)
#define PEER(field) offsetof(struct lvn_config_peer, field), sizeof(((struct lvn_config_peer *)0)->field)
#define RELOADABLE true
#define RESTART false

const struct lvn_config_section lvn_config_sections[] = {
    {"node", "This node and its storage locations."},
    {"reception", "Limits of what peers may ask of the receiver. Every association is bounded in time and in size."},
    {"assembly", "When a study is looked at."},
    {"analysis", "How a study is analysed."},
    {"outbound", "How results are sent. A transient failure is tried again; one dead peer never holds up another."},
    {"retention", "How long objects stay."},
    {"web", "Metrics (/metrics), health (/health) and console. There is no login: keep it on loopback."},
    {LVN_CONFIG_PEER_SECTION,
     "One section per peer that may send to this node or receive from it. Nobody else is served."},
};
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

    {"retention", "keep_days", LVN_CONFIG_UINT, NODE(keep_days), 0, 36500, NULL, "0", RELOADABLE,
     "Days a study stays after its results were sent; 0 keeps everything."},
    {"retention", "keep_waiting_days", LVN_CONFIG_UINT, NODE(keep_waiting_days), 0, 36500, NULL, "0", RELOADABLE,
     "Days a study without a result stays after its last object: one that waits for a ROI or a phase, failed or was "
     "refused. 0 keeps it for ever: where all liver CT is routed here and few studies get a ROI, the disk fills. Set "
     "it "
     "only where the objects are kept elsewhere too."},

    {"web", "web_address", LVN_CONFIG_ADDRESS, NODE(web_address), 0, 0, NULL, "127.0.0.1", RESTART,
     "Numeric address of the HTTP server."},
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
    {"peer", "max_associations", LVN_CONFIG_UINT, PEER(max_associations), 1, 1024, NULL, "16", RELOADABLE,
     "Associations this peer may have open at once."},
};
const size_t lvn_config_key_count = sizeof lvn_config_keys / sizeof lvn_config_keys[0];
