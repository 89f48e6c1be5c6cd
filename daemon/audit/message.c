#include "daemon/audit/message.h"

#include "base/clock.h"
#include "base/memory.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define HOST_BYTES 256
#define PRIORITY 85 /* facility 10, security and authorization; severity 5, notice (RFC 5424 6.2.1) */
#define MESSAGE_ID "DICOM+RFC3881"

enum role { NO_ROLE, APPLICATION, SOURCE, DESTINATION };

struct code {
  const char *value; /* NULL: none */
  const char *meaning;
};

/* PS3.15 A.5.3; codes of PS3.16 CID 400, 401 and 402. */
static const struct kind {
  struct code event;
  struct code type;
  char action;
  enum role our_role;
  enum role peer_role;
  bool is_peer_requestor;
} kinds[LVN_AUDIT_KINDS] = {
    [LVN_AUDIT_NODE_STARTED] =
        {{"110100", "Application Activity"}, {"110120", "Application Start"}, 'E', APPLICATION, NO_ROLE, false},
    [LVN_AUDIT_NODE_STOPPED] =
        {{"110100", "Application Activity"}, {"110121", "Application Stop"}, 'E', APPLICATION, NO_ROLE, false},
    [LVN_AUDIT_CALLER_REFUSED] =
        {{"110113", "Security Alert"}, {"110126", "Node Authentication"}, 'E', NO_ROLE, NO_ROLE, true},
    [LVN_AUDIT_OBJECTS_RECEIVED] =
        {{"110104", "DICOM Instances Transferred"}, {NULL, NULL}, 'C', DESTINATION, SOURCE, true},
    [LVN_AUDIT_SENDING_BEGUN] =
        {{"110102", "Begin Transferring DICOM Instances"}, {NULL, NULL}, 'E', SOURCE, DESTINATION, false},
    [LVN_AUDIT_OBJECTS_SENT] =
        {{"110104", "DICOM Instances Transferred"}, {NULL, NULL}, 'C', SOURCE, DESTINATION, false},
    [LVN_AUDIT_STUDY_USED] = {{"110103", "DICOM Instances Accessed"}, {NULL, NULL}, 'R', NO_ROLE, NO_ROLE, false},
    [LVN_AUDIT_STUDY_REMOVED] = {{"110105", "DICOM Study Deleted"}, {NULL, NULL}, 'D', NO_ROLE, NO_ROLE, false},
    [LVN_AUDIT_QUERY_SENT] = {{"110112", "Query"}, {NULL, NULL}, 'E', SOURCE, DESTINATION, false},
    [LVN_AUDIT_CONFIGURATION_CHANGED] =
        {{"110113", "Security Alert"}, {"110131", "Software Configuration"}, 'E', NO_ROLE, NO_ROLE, false},
    [LVN_AUDIT_MODEL_CHANGED] =
        {{"110113", "Security Alert"}, {"110131", "Software Configuration"}, 'E', NO_ROLE, NO_ROLE, false},
    [LVN_AUDIT_USER_ACTION] =
        {{"110113", "Security Alert"}, {"110132", "Use of Restricted Function"}, 'E', NO_ROLE, NO_ROLE, false},
    [LVN_AUDIT_MESSAGES_DROPPED] =
        {{"110113", "Security Alert"}, {"110133", "Audit Recording Stopped"}, 'E', NO_ROLE, NO_ROLE, false},
};

static bool is_there(const char *text) {
  return text != NULL && text[0] != '\0';
}

/* ---- XML ---- */

/* Bytes that are not printable ASCII become '?': identifiers come in any character set, and a line ends nowhere else.
 */
static void put(FILE *xml, const char *text) {
  for (const char *at = text; *at != '\0'; at++) {
    switch (*at) {
    case '<':
      (void)fputs("&lt;", xml);
      break;
    case '>':
      (void)fputs("&gt;", xml);
      break;
    case '&':
      (void)fputs("&amp;", xml);
      break;
    case '"':
      (void)fputs("&quot;", xml);
      break;
    default:
      (void)fputc(*at >= 0x20 && *at < 0x7f ? *at : '?', xml);
      break;
    }
  }
}

static void put_attribute(FILE *xml, const char *name, const char *text) {
  (void)fprintf(xml, " %s=\"", name);
  put(xml, text);
  (void)fputc('"', xml);
}

static void put_code(FILE *xml, const char *element, struct code code, const char *scheme) {
  (void)fprintf(xml, "<%s csd-code=\"%s\" codeSystemName=\"%s\" originalText=\"%s\"/>", element, code.value, scheme,
                code.meaning);
}

static void put_base64(FILE *xml, const void *data, size_t bytes) {
  static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  const uint8_t *at = data;
  for (size_t i = 0; i < bytes; i += 3) {
    const size_t left = bytes - i;
    const uint32_t bits =
        (uint32_t)at[i] << 16 | (left > 1 ? (uint32_t)at[i + 1] << 8 : 0U) | (left > 2 ? at[i + 2] : 0U);
    (void)fputc(digits[bits >> 18], xml);
    (void)fputc(digits[bits >> 12 & 63], xml);
    (void)fputc(left > 1 ? digits[bits >> 6 & 63] : '=', xml);
    (void)fputc(left > 2 ? digits[bits & 63] : '=', xml);
  }
}

/* ---- parts of the message ---- */

static void put_event(FILE *xml, const struct kind *kind, const struct lvn_audit_event *event, const char *time) {
  (void)fprintf(xml, "<EventIdentification EventActionCode=\"%c\" EventDateTime=\"%s\" EventOutcomeIndicator=\"%s\">",
                kind->action, time, event->has_failed ? "4" : "0");
  put_code(xml, "EventID", kind->event, "DCM");
  if (kind->type.value != NULL) {
    put_code(xml, "EventTypeCode", kind->type, "DCM");
  }
  if (is_there(event->description)) {
    (void)fputs("<EventOutcomeDescription>", xml);
    put(xml, event->description);
    (void)fputs("</EventOutcomeDescription>", xml);
  }
  (void)fputs("</EventIdentification>", xml);
}

struct participant {
  const char *user_id;
  const char *aet;
  bool is_requestor;
  const char *host;
  enum role role;
};

static void put_participant(FILE *xml, const struct participant *participant) {
  static const struct code roles[] = {[APPLICATION] = {"110150", "Application"},
                                      [SOURCE] = {"110153", "Source Role ID"},
                                      [DESTINATION] = {"110152", "Destination Role ID"}};
  unsigned char address[16];
  (void)fputs("<ActiveParticipant", xml);
  put_attribute(xml, "UserID", participant->user_id);
  if (is_there(participant->aet)) {
    (void)fputs(" AlternativeUserID=\"AETITLES=", xml);
    put(xml, participant->aet);
    (void)fputc('"', xml);
  }
  put_attribute(xml, "UserIsRequestor", participant->is_requestor ? "true" : "false");
  if (is_there(participant->host)) {
    const bool is_numeric =
        inet_pton(AF_INET, participant->host, address) == 1 || inet_pton(AF_INET6, participant->host, address) == 1;
    put_attribute(xml, "NetworkAccessPointID", participant->host);
    put_attribute(xml, "NetworkAccessPointTypeCode", is_numeric ? "2" : "1");
  }
  (void)fputc('>', xml);
  if (participant->role != NO_ROLE) {
    put_code(xml, "RoleIDCode", roles[participant->role], "DCM");
  }
  (void)fputs("</ActiveParticipant>", xml);
}

static void put_participants(FILE *xml, const struct kind *kind, const struct lvn_audit_event *event,
                             const struct lvn_config *config, const char *host) {
  char process[32];
  const bool has_peer = is_there(event->peer_aet) || is_there(event->peer_host);
  (void)snprintf(process, sizeof process, "livervlmd[%ld]", (long)getpid());
  put_participant(xml, &(struct participant){.user_id = process,
                                             .aet = config->ae_title,
                                             .is_requestor = !is_there(event->user) && !kind->is_peer_requestor,
                                             .host = host,
                                             .role = kind->our_role});
  if (has_peer) {
    put_participant(xml,
                    &(struct participant){.user_id = is_there(event->peer_aet) ? event->peer_aet : event->peer_host,
                                          .aet = event->peer_aet,
                                          .is_requestor = kind->is_peer_requestor,
                                          .host = event->peer_host,
                                          .role = kind->peer_role});
  }
  if (is_there(event->user)) {
    put_participant(xml, &(struct participant){.user_id = event->user, .is_requestor = true});
  }
}

/* Its element has a name, or a query, before the details. */
static void begin_object(FILE *xml, const char *id, const char *type, const char *role, struct code id_type,
                         const char *scheme) {
  (void)fputs("<ParticipantObjectIdentification", xml);
  put_attribute(xml, "ParticipantObjectID", id);
  put_attribute(xml, "ParticipantObjectTypeCode", type);
  if (role != NULL) {
    put_attribute(xml, "ParticipantObjectTypeCodeRole", role);
  }
  (void)fputc('>', xml);
  put_code(xml, "ParticipantObjectIDTypeCode", id_type, scheme);
}

static void end_object(FILE *xml) {
  (void)fputs("</ParticipantObjectIdentification>", xml);
}

static void put_name(FILE *xml, const char *name) {
  (void)fputs("<ParticipantObjectName>", xml);
  put(xml, name);
  (void)fputs("</ParticipantObjectName>", xml);
}

static void put_study(FILE *xml, const struct lvn_audit_event *event) {
  begin_object(xml, event->study_uid, "2", "3", (struct code){"110180", "Study Instance UID"}, "DCM");
  put_name(xml, event->study_uid);
  if (event->class_count > 0) {
    (void)fputs("<ParticipantObjectDescription>", xml);
  }
  for (size_t i = 0; i < event->class_count; i++) {
    (void)fputs("<SOPClass", xml);
    put_attribute(xml, "UID", event->classes[i].sop_class_uid);
    (void)fprintf(xml, " NumberOfInstances=\"%lu\"/>", (unsigned long)event->classes[i].instances);
  }
  if (event->class_count > 0) {
    (void)fputs("</ParticipantObjectDescription>", xml);
  }
  end_object(xml);
}

static void put_objects(FILE *xml, const struct lvn_audit_event *event) {
  if (is_there(event->study_uid)) {
    put_study(xml, event);
  }
  if (is_there(event->study_uid) ||
      is_there(event->patient_id)) { /* a study has a patient, also one without a number */
    const char *patient = event->patient_id != NULL ? event->patient_id : "";
    begin_object(xml, patient, "1", "1", (struct code){"2", "Patient Number"}, "RFC-3881");
    put_name(xml, patient);
    end_object(xml);
  }
  if (is_there(event->query_class)) {
    begin_object(xml, event->query_class, "2", "3", (struct code){"110181", "SOP Class UID"}, "DCM");
    (void)fputs("<ParticipantObjectQuery>", xml);
    put_base64(xml, event->query, event->query_bytes);
    (void)fputs("</ParticipantObjectQuery>", xml);
    end_object(xml);
  }
  if (is_there(event->subject)) {
    begin_object(xml, event->subject, "2", NULL, (struct code){"110182", "Node ID"}, "DCM");
    put_name(xml, event->subject);
    if (is_there(event->description)) {
      (void)fputs("<ParticipantObjectDetail type=\"Alert Description\" value=\"", xml);
      put_base64(xml, event->description, strlen(event->description));
      (void)fputs("\"/>", xml);
    }
    end_object(xml);
  }
}

static void put_message(FILE *line, const struct lvn_config *config, const struct lvn_audit_event *event,
                        int64_t wall_ms) {
  char host[HOST_BYTES] = "";
  char time[LVN_TIME_TEXT_BYTES];
  const struct kind *kind = &kinds[event->kind];
  (void)gethostname(host, sizeof host - 1);
  lvn_clock_format_utc(wall_ms, time);
  (void)fprintf(line, "<%d>1 %s %s livervlmd %ld %s - \xef\xbb\xbf", PRIORITY, time, host[0] != '\0' ? host : "-",
                (long)getpid(), MESSAGE_ID);
  (void)fputs("<?xml version=\"1.0\" encoding=\"UTF-8\"?><AuditMessage>", line);
  put_event(line, kind, event, time);
  put_participants(line, kind, event, config, host);
  (void)fputs("<AuditSourceIdentification AuditSourceID=\"", line);
  put(line, config->ae_title);
  (void)fputc('@', line);
  put(line, host);
  (void)fputs("\"><AuditSourceTypeCode csd-code=\"4\"/></AuditSourceIdentification>", line);
  put_objects(line, event);
  (void)fputs("</AuditMessage>", line);
}

bool lvn_audit_format(const struct lvn_config *config, const struct lvn_audit_event *event, int64_t wall_ms,
                      char **ret_line, size_t *ret_bytes, struct lvn_error *err) {
  char *line = NULL;
  FILE *stream = open_memstream(&line, ret_bytes);
  if (stream == NULL) {
    return lvn_error_set(err, LVN_ERROR_NOMEM, "out of memory");
  }
  put_message(stream, config, event, wall_ms);
  const bool good = ferror(stream) == 0;
  if (fclose(stream) != 0 || !good) {
    lvn_free(line);
    return lvn_error_set(err, LVN_ERROR_NOMEM, "out of memory");
  }
  *ret_line = line;
  return true;
}
