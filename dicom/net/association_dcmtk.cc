#include "dicom/net/association.h"

#include "base/clock.h"
#include "base/guard.hh"
#include "dicom/net/command.h"
#include "dicom/net/dul_dcmtk.hh"

#include <bitset>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <string>
#include <vector>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

// DESIGN. DCMTK bounds the wait for the next byte, never the time to a complete PDU, so a dripping peer would hold the
// process for ever. A real-time timer shuts the socket down instead: every blocked or later read and write then fails
// and DCMTK unwinds by its ordinary error paths. The timer is per process, which fits one association per process. The
// command and the data set are taken from the P-DATA PDVs as they come; DcmDataset sees neither (PS3.8 9.3.1, annex E).

namespace {

volatile sig_atomic_t deadline_passed;
volatile int deadline_fd = -1;

void on_deadline(int) {
  int saved = errno;
  deadline_passed = 1;
  (void)shutdown(deadline_fd, SHUT_RDWR);
  errno = saved;
}

class Deadline {
public:
  explicit Deadline(int fd) {
    struct sigaction action = {};
    action.sa_handler = on_deadline;
    deadline_fd = fd;
    deadline_passed = 0;
    (void)sigaction(SIGALRM, &action, &old_action_);
  }
  ~Deadline() {
    struct itimerval off = {};
    (void)setitimer(ITIMER_REAL, &off, nullptr);
    (void)sigaction(SIGALRM, &old_action_, nullptr);
    deadline_fd = -1;
  }
  Deadline(const Deadline &) = delete;
  Deadline &operator=(const Deadline &) = delete;
  // The end of the association, whatever is done until then.
  void set_end(unsigned seconds) {
    end_seconds_ = lvn_clock_monotonic_seconds() + seconds;
    resume();
  }
  // The end of a wait for the peer, one second after DCMTK's own time limit, which knows what it waited for.
  void start_wait(unsigned seconds) const {
    const double rest = end_seconds_ - lvn_clock_monotonic_seconds();
    set(rest < seconds + 1.0 ? rest : seconds + 1.0);
  }
  void resume() const {
    set(end_seconds_ - lvn_clock_monotonic_seconds());
  }

private:
  static void set(double seconds) {
    const double seconds_min = 1e-3; // zero would stop the timer
    const double bounded = seconds > seconds_min ? seconds : seconds_min;
    struct itimerval timer = {};
    timer.it_value.tv_sec = static_cast<time_t>(bounded);
    timer.it_value.tv_usec = static_cast<suseconds_t>((bounded - static_cast<double>(timer.it_value.tv_sec)) * 1e6);
    (void)setitimer(ITIMER_REAL, &timer, nullptr);
  }

  double end_seconds_ = 0;
  struct sigaction old_action_ = {};
};

// One proposed presentation context; ASC_getPresentationContext() takes at most fifty transfer syntaxes.
struct Proposed {
  T_ASC_PresentationContextID id;
  std::string abstract_syntax;
  DUL_SC_ROLE role;
  std::vector<const char *> transfer_syntaxes; // borrowed from the request
  const char *accepted = nullptr;              // transfer syntax; NULL: refused
};

struct Session {
  std::vector<Proposed> contexts;
  const lvn_association_limits *limits;
  const lvn_association_handler *handler;
  Deadline *deadline;
  T_ASC_Network *network = nullptr;
  T_ASC_Association *association = nullptr;
  uint32_t objects = 0;
  bool is_limit_told = false;
  bool is_aborted = false; // the peer was told

  ~Session() {
    if (association != nullptr) {
      // Not ASC_dropSCPAssociation(): it waits for the peer to close first.
      (void)ASC_dropAssociation(association);
      (void)ASC_destroyAssociation(&association);
    }
    if (network != nullptr) {
      (void)ASC_dropNetwork(&network);
    }
  }
};

// What a peer may propose beside the role of an SCU, this node, which sends nothing on an association that it has
// accepted, turns down: by SCP = 0, or by no answer where nothing else was proposed (PS3.7 D.3.3.4).
DUL_SC_ROLE admissible(DUL_SC_ROLE proposed) {
  return proposed == DUL_SC_ROLE_SCU || proposed == DUL_SC_ROLE_SCUSCP ? proposed : DUL_SC_ROLE_DEFAULT;
}

std::vector<Proposed> proposed_contexts(T_ASC_Parameters *parameters) {
  std::vector<Proposed> all;
  LST_HEAD **list = &parameters->DULparams.requestedPresentationContext;
  auto *context = *list != nullptr ? static_cast<DUL_PRESENTATIONCONTEXT *>(LST_Head(list)) : nullptr;
  (void)LST_Position(list, context);
  for (; context != nullptr; context = static_cast<DUL_PRESENTATIONCONTEXT *>(LST_Next(list))) {
    context->proposedSCRole = admissible(context->proposedSCRole);
    Proposed proposed{context->presentationContextID, context->abstractSyntax, context->proposedSCRole, {}, nullptr};
    LST_HEAD **syntaxes = &context->proposedTransferSyntax;
    auto *syntax = *syntaxes != nullptr ? static_cast<DUL_TRANSFERSYNTAX *>(LST_Head(syntaxes)) : nullptr;
    (void)LST_Position(syntaxes, syntax);
    for (; syntax != nullptr; syntax = static_cast<DUL_TRANSFERSYNTAX *>(LST_Next(syntaxes))) {
      proposed.transfer_syntaxes.push_back(syntax->transferSyntax);
    }
    all.push_back(std::move(proposed));
  }
  return all;
}

// Odd, and each once (PS3.8 9.3.2.2).
bool check_context_ids(const std::vector<Proposed> &contexts, lvn_error *err) {
  std::bitset<256> seen;
  for (const Proposed &context : contexts) {
    const unsigned id = context.id;
    if (id % 2 == 0 || seen.test(id)) {
      return lvn_error_set(err, LVN_ERROR_PROTOCOL, "presentation context ID %u is %s", id,
                           id % 2 == 0 ? "even" : "there twice");
    }
    seen.set(id);
  }
  return true;
}

bool answer_contexts(T_ASC_Parameters *parameters, std::vector<Proposed> &contexts, const char *further_classes,
                     lvn_error *err) {
  for (Proposed &context : contexts) {
    const char *class_uid = context.abstract_syntax.c_str();
    const bool known =
        context.abstract_syntax == UID_VerificationSOPClass || lvn_association_stores_class(class_uid, further_classes);
    const char *syntax = known ? lvn_association_choose_syntax(class_uid, context.transfer_syntaxes.data(),
                                                               context.transfer_syntaxes.size())
                               : nullptr;
    context.accepted = syntax;
    const OFCondition status =
        syntax != nullptr
            ? ASC_acceptPresentationContext(parameters, context.id, syntax,
                                            context.role == DUL_SC_ROLE_DEFAULT ? ASC_SC_ROLE_DEFAULT : ASC_SC_ROLE_SCU,
                                            OFTrue)
            : ASC_refusePresentationContext(parameters, context.id,
                                            known ? ASC_P_TRANSFERSYNTAXESNOTSUPPORTED
                                                  : ASC_P_ABSTRACTSYNTAXNOTSUPPORTED);
    if (status.bad()) {
      return lvn_dul_error(err, status, "answering a presentation context");
    }
  }
  return true;
}

// PS3.8 9.3.8: from the service provider, invalid PDU parameter value. DCMTK would name the service user.
void abort_invalid(int socket_fd) {
  static const uint8_t pdu[] = {7, 0, 0, 0, 0, 4, 0, 0, 2, 6};
  (void)!write(socket_fd, pdu, sizeof pdu);
}

// PS3.8 table 9-21.
bool reject(Session &session, lvn_admission admission, lvn_error *err) {
  T_ASC_RejectParameters answer = {ASC_RESULT_REJECTEDPERMANENT, ASC_SOURCE_SERVICEUSER,
                                   ASC_REASON_SU_CALLINGAETITLENOTRECOGNIZED};
  const char *why = "calling AE title or address not recognised";
  if (admission == LVN_REJECT_CALLED_AET) {
    answer.reason = ASC_REASON_SU_CALLEDAETITLENOTRECOGNIZED;
    why = "called AE title not recognised";
  } else if (admission == LVN_REJECT_BUSY) {
    answer = {ASC_RESULT_REJECTEDTRANSIENT, ASC_SOURCE_SERVICEPROVIDER_PRESENTATION_RELATED,
              ASC_REASON_SP_PRES_LOCALLIMITEXCEEDED};
    why = "local limit exceeded";
  }
  (void)ASC_rejectAssociation(session.association, &answer);
  return lvn_error_set(err, LVN_ERROR_PROTOCOL, "association rejected: %s", why);
}

bool negotiate(Session &session, int socket_fd, lvn_error *err) {
  const lvn_association_limits &limits = *session.limits;
  dcmExternalSocketHandle.set(socket_fd);
  OFCondition status =
      ASC_initializeNetwork(NET_ACCEPTOR, 0, static_cast<int>(limits.negotiate_seconds), &session.network);
  if (status.bad()) {
    return lvn_dul_error(err, status, "preparing the association");
  }
  status = ASC_receiveAssociation(session.network, &session.association, static_cast<long>(limits.max_pdu_bytes),
                                  nullptr, nullptr, OFFalse, DUL_NOBLOCK, static_cast<int>(limits.negotiate_seconds));
  if (status.bad()) {
    return lvn_dul_error(err, status, "receiving the A-ASSOCIATE-RQ");
  }
  char calling[DUL_LEN_TITLE + 1] = "";
  char called[DUL_LEN_TITLE + 1] = "";
  char address[64] = "";
  T_ASC_Parameters *parameters = session.association->params;
  (void)ASC_getAPTitles(parameters, calling, sizeof calling, called, sizeof called, nullptr, 0);
  // DCMTK reports a connection that ends without a byte as received. A request without a title and without a
  // presentation context does not exist (PS3.8 9.3.2), so this is a probe: nobody who could be admitted or rejected.
  if (calling[0] == '\0' && called[0] == '\0' && ASC_countPresentationContexts(parameters) == 0) {
    return lvn_error_set(err, LVN_ERROR_IO, "the peer closed the connection without a request");
  }
  lvn_dul_peer_address(socket_fd, address, sizeof address);
  const lvn_association_peer peer = {calling, called, address};
  const lvn_admission admission = session.handler->admit(session.handler->user_data, &peer);
  if (admission != LVN_ADMIT) {
    return reject(session, admission, err);
  }
  char context_name[DUL_LEN_NAME + 1] = "";
  (void)ASC_getApplicationContextName(parameters, context_name, sizeof context_name);
  if (std::strcmp(context_name, UID_StandardApplicationContext) != 0) {
    T_ASC_RejectParameters answer = {ASC_RESULT_REJECTEDPERMANENT, ASC_SOURCE_SERVICEUSER,
                                     ASC_REASON_SU_APPCONTEXTNAMENOTSUPPORTED};
    (void)ASC_rejectAssociation(session.association, &answer);
    return lvn_error_set(err, LVN_ERROR_PROTOCOL, "association rejected: application context name not supported");
  }
  session.contexts = proposed_contexts(parameters);
  if (!check_context_ids(session.contexts, err)) {
    abort_invalid(socket_fd);
    session.is_aborted = true;
    return false;
  }
  if (!answer_contexts(parameters, session.contexts, limits.further_classes, err)) {
    return false;
  }
  lvn_dul_set_identity(parameters);
  status = ASC_acknowledgeAssociation(session.association);
  return status.good() || lvn_dul_error(err, status, "sending the A-ASSOCIATE-AC");
}

// What the wait for a PDV brought.
enum class Arrival { pdv, release, failure };

// The next PDV; `doing` names the wait in the error.
Arrival next_pdv(Session &session, DUL_PDV *pdv, const char *doing, lvn_error *err) {
  OFCondition status = DUL_NextPDV(&session.association->DULassociation, pdv);
  if (status.good()) {
    return Arrival::pdv;
  }
  status = DUL_ReadPDVs(&session.association->DULassociation, nullptr, DUL_NOBLOCK,
                        static_cast<int>(session.limits->idle_seconds));
  if (status == DUL_PEERREQUESTEDRELEASE) {
    return Arrival::release;
  }
  if (status == DUL_PDATAPDUARRIVED) {
    status = DUL_NextPDV(&session.association->DULassociation, pdv);
  }
  if (status.bad()) {
    (void)lvn_dul_error(err, status, doing);
    return Arrival::failure;
  }
  return Arrival::pdv;
}

// The whole data set to the handler while it is `wanted` and the size limit holds; then it is swallowed, because
// answering before the last fragment would break the protocol (PS3.7 9.3.1).
bool receive_data(Session &session, T_ASC_PresentationContextID context, bool wanted, bool *ret_too_large,
                  lvn_error *err) {
  uint64_t bytes = 0;
  for (;;) {
    DUL_PDV pdv;
    session.deadline->start_wait(session.limits->idle_seconds);
    const Arrival arrival = next_pdv(session, &pdv, "receiving a data set", err);
    session.deadline->resume();
    if (arrival == Arrival::release) {
      return lvn_error_set(err, LVN_ERROR_PROTOCOL, "a release within a data set");
    }
    if (arrival == Arrival::failure) {
      return false;
    }
    if (pdv.pdvType != DUL_DATASETPDV || pdv.presentationContextID != context) {
      return lvn_error_set(err, LVN_ERROR_PROTOCOL, "a command or another presentation context within a data set");
    }
    bytes += pdv.fragmentLength;
    *ret_too_large = bytes > session.limits->max_object_bytes;
    if (bytes / 4 > session.limits->max_object_bytes) {
      return lvn_error_set(err, LVN_ERROR_PROTOCOL, "a data set of more than four times the allowed size");
    }
    if (wanted && !*ret_too_large) {
      session.handler->data(session.handler->user_data, pdv.data, pdv.fragmentLength);
    }
    if (pdv.lastPDV) {
      return true;
    }
  }
}

bool answer(Session &session, const lvn_command &command, T_ASC_PresentationContextID context, uint16_t status,
            const char *comment, const char *doing, lvn_error *err) {
  uint8_t bytes[LVN_COMMAND_RESPONSE_BYTES_MAX];
  const size_t count = lvn_command_write_response(&command, status, comment, bytes);
  // A peer may take less in one PDU.
  const size_t part_max = session.association->sendPDVLength;
  for (size_t at = 0; at < count; at += part_max) {
    DUL_PDV pdv = {};
    DUL_PDVLIST list = {};
    const size_t part = count - at < part_max ? count - at : part_max;
    pdv.fragmentLength = static_cast<unsigned long>(part);
    pdv.presentationContextID = context;
    pdv.pdvType = DUL_COMMANDPDV;
    pdv.lastPDV = at + part == count;
    pdv.data = bytes + at;
    list.count = 1;
    list.pdv = &pdv;
    const OFCondition sent = DUL_WritePDVs(&session.association->DULassociation, &list);
    if (sent.bad()) {
      return lvn_dul_error(err, sent, doing);
    }
  }
  return true;
}

// NULL: it was not accepted.
const Proposed *accepted_context(const Session &session, T_ASC_PresentationContextID id) {
  for (const Proposed &context : session.contexts) {
    if (context.id == id) {
      return context.accepted != nullptr ? &context : nullptr;
    }
  }
  return nullptr;
}

bool serve_store(Session &session, const lvn_command &command, T_ASC_PresentationContextID context_id, lvn_error *err) {
  const Proposed *context = accepted_context(session, context_id);
  if (context == nullptr) {
    return lvn_error_set(err, LVN_ERROR_PROTOCOL, "a C-STORE on a presentation context that was not accepted");
  }
  if (!command.has_data_set) {
    return lvn_error_set(err, LVN_ERROR_PROTOCOL, "a C-STORE without a data set");
  }
  const lvn_association_object object = {command.sop_class_uid, command.sop_instance_uid, context->accepted};
  uint16_t status = LVN_STORE_OUT_OF_RESOURCES;
  bool begun = false;
  bool is_asked = false;
  bool too_large = false;
  const bool same_class = context->abstract_syntax == command.sop_class_uid;
  if (session.objects < session.limits->max_objects) {
    session.objects++;
    status = session.handler->begin(session.handler->user_data, &object);
    begun = status == LVN_STORE_SUCCESS;
    is_asked = true;
  } else if (!session.is_limit_told) {
    session.is_limit_told = true;
    session.handler->limit_reached(session.handler->user_data);
  }
  const bool whole = receive_data(session, context_id, begun && same_class, &too_large, err);
  if (begun) {
    const lvn_association_end how = !whole        ? LVN_END_CUT_OFF
                                    : !same_class ? LVN_END_OTHER_CLASS
                                    : too_large   ? LVN_END_TOO_LARGE
                                                  : LVN_END_WHOLE;
    status = session.handler->end(session.handler->user_data, how);
  }
  const bool is_explained = status != LVN_STORE_SUCCESS && session.handler->explain != nullptr && is_asked;
  return whole && answer(session, command, context_id, status,
                         is_explained ? session.handler->explain(session.handler->user_data) : nullptr,
                         "sending a C-STORE-RSP", err);
}

bool serve_echo(Session &session, const lvn_command &command, T_ASC_PresentationContextID context_id, lvn_error *err) {
  const Proposed *context = accepted_context(session, context_id);
  if (context == nullptr) {
    return lvn_error_set(err, LVN_ERROR_PROTOCOL, "a C-ECHO on a presentation context that was not accepted");
  }
  const bool is_verification = context->abstract_syntax == UID_VerificationSOPClass;
  return answer(session, command, context_id, is_verification ? STATUS_Success : 0x0122, // SOP class not supported
                nullptr, "sending a C-ECHO-RSP", err);
}

// One whole command; false with *ret_over after a release. It must arrive within idle_seconds however it is cut.
bool receive_command(Session &session, lvn_command *command, T_ASC_PresentationContextID *ret_context, bool *ret_over,
                     lvn_error *err) {
  uint8_t bytes[LVN_COMMAND_BYTES_MAX];
  size_t count = 0;
  for (bool last = false; !last;) {
    DUL_PDV pdv;
    const Arrival arrival = next_pdv(session, &pdv, "waiting for a command", err);
    if (arrival == Arrival::release && count == 0) {
      *ret_over = true;
      return false;
    }
    if (arrival == Arrival::release) {
      return lvn_error_set(err, LVN_ERROR_PROTOCOL, "a release within a command");
    }
    if (arrival == Arrival::failure) {
      return false;
    }
    if (pdv.pdvType != DUL_COMMANDPDV || (count > 0 && pdv.presentationContextID != *ret_context)) {
      return lvn_error_set(err, LVN_ERROR_PROTOCOL, "a data set or another presentation context within a command");
    }
    if (pdv.fragmentLength > sizeof bytes - count) {
      return lvn_error_set(err, LVN_ERROR_PROTOCOL, "a command of more than %zu bytes", sizeof bytes);
    }
    if (pdv.fragmentLength > 0) {
      std::memcpy(bytes + count, pdv.data, pdv.fragmentLength);
    }
    count += pdv.fragmentLength;
    *ret_context = pdv.presentationContextID;
    last = pdv.lastPDV;
  }
  return lvn_command_parse(bytes, count, command, err);
}

// One command; *ret_over after a release.
bool serve_command(Session &session, bool *ret_over, lvn_error *err) {
  T_ASC_PresentationContextID context = 0;
  lvn_command command;
  session.deadline->start_wait(session.limits->idle_seconds);
  const bool received = receive_command(session, &command, &context, ret_over, err);
  session.deadline->resume();
  if (*ret_over) {
    (void)ASC_acknowledgeRelease(session.association);
    return true;
  }
  if (!received) {
    return false;
  }
  if (command.field == LVN_COMMAND_C_ECHO_RQ) {
    return serve_echo(session, command, context, err);
  }
  if (command.field == LVN_COMMAND_C_STORE_RQ) {
    return serve_store(session, command, context, err);
  }
  return lvn_error_set(err, LVN_ERROR_PROTOCOL, "DIMSE command 0x%04x is not offered",
                       static_cast<unsigned>(command.field));
}

bool serve(Session &session, int socket_fd, lvn_error *err) {
  Deadline deadline(socket_fd);
  session.deadline = &deadline;
  deadline.set_end(session.limits->negotiate_seconds);
  bool good = negotiate(session, socket_fd, err);
  if (good) {
    deadline.set_end(session.limits->total_seconds);
  }
  for (bool over = false; good && !over;) {
    good = serve_command(session, &over, err);
  }
  if (!good && deadline_passed != 0) {
    (void)lvn_error_set(err, LVN_ERROR_TIMEOUT, "the peer took longer than the association's time limit");
  }
  if (!good && session.association != nullptr && !session.is_aborted && err->code != LVN_ERROR_IO &&
      err->code != LVN_ERROR_TIMEOUT) {
    (void)ASC_abortAssociation(session.association);
  }
  return good;
}

} // namespace

bool lvn_association_serve(int socket_fd, const struct lvn_association_limits *limits,
                           const struct lvn_association_handler *handler, struct lvn_error *err) {
  bool taken = false;
  const bool good = lvn_guard(err, LVN_ERROR_PROTOCOL, [&] {
    const int on = 1;
    (void)setsockopt(socket_fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    lvn_dul_setup(limits->negotiate_seconds, limits->idle_seconds);
    Session session;
    session.limits = limits;
    session.handler = handler;
    // DCMTK closes the socket with its association, also when an exception unwinds it.
    const struct Taken {
      const Session &session;
      bool &flag;
      ~Taken() {
        flag = session.association != nullptr;
      }
    } at_end{session, taken};
    return serve(session, socket_fd, err);
  });
  dcmExternalSocketHandle.set(-1);
  if (!taken) {
    (void)close(socket_fd);
  }
  return good;
}
