#include "dicom/net/association/association_dcmtk.hh"

#include "base/guard.hh"

#include <bitset>
#include <cstring>
#include <memory>
#include <string>

#include <unistd.h>

namespace {

// One proposed presentation context; ASC_getPresentationContext() takes at most fifty transfer syntaxes.
struct Proposed {
  DUL_PRESENTATIONCONTEXT *context; // of the request
  std::vector<const char *> transfer_syntaxes;
};

std::vector<Proposed> proposed_contexts(T_ASC_Parameters *parameters) {
  std::vector<Proposed> all;
  LST_HEAD **list = &parameters->DULparams.requestedPresentationContext;
  auto *context = *list != nullptr ? static_cast<DUL_PRESENTATIONCONTEXT *>(LST_Head(list)) : nullptr;
  (void)LST_Position(list, context);
  for (; context != nullptr; context = static_cast<DUL_PRESENTATIONCONTEXT *>(LST_Next(list))) {
    Proposed proposed{context, {}};
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
  for (const Proposed &proposed : contexts) {
    const unsigned id = proposed.context->presentationContextID;
    if (id % 2 == 0 || seen.test(id)) {
      return lvn_error_set(err, LVN_ERROR_PROTOCOL, "presentation context ID %u is %s", id,
                           id % 2 == 0 ? "even" : "there twice");
    }
    seen.set(id);
  }
  return true;
}

unsigned proposed_roles(DUL_SC_ROLE role) {
  switch (role) {
  case DUL_SC_ROLE_SCP:
    return LVN_ROLE_SCP;
  case DUL_SC_ROLE_SCUSCP:
    return LVN_ROLE_SCU | LVN_ROLE_SCP;
  default:
    return LVN_ROLE_SCU;
  }
}

// The peer's role beside ours. Where it proposed nothing there is no item in the answer, and none either where it
// proposed what we do not do: an SCP alone, of which the default role is left (PS3.7 D.3.3.4).
T_ASC_SC_ROLE answered_role(DUL_PRESENTATIONCONTEXT &context, unsigned our_roles) {
  if (context.proposedSCRole == DUL_SC_ROLE_SCP && (our_roles & LVN_ROLE_SCU) == 0) {
    context.proposedSCRole = DUL_SC_ROLE_DEFAULT;
  }
  if (context.proposedSCRole != DUL_SC_ROLE_SCU && context.proposedSCRole != DUL_SC_ROLE_SCP &&
      context.proposedSCRole != DUL_SC_ROLE_SCUSCP) {
    context.proposedSCRole = DUL_SC_ROLE_DEFAULT;
    return ASC_SC_ROLE_DEFAULT;
  }
  if ((our_roles & LVN_ROLE_SCU) == 0) {
    return ASC_SC_ROLE_SCU;
  }
  return (our_roles & LVN_ROLE_SCP) != 0 ? ASC_SC_ROLE_SCUSCP : ASC_SC_ROLE_SCP;
}

bool answer_contexts(lvn_association &association, const std::vector<Proposed> &contexts,
                     const lvn_association_acceptor &acceptor, lvn_error *err) {
  T_ASC_Parameters *parameters = association.association->params;
  for (const Proposed &proposed : contexts) {
    DUL_PRESENTATIONCONTEXT &context = *proposed.context;
    const lvn_association_proposal proposal = {context.abstractSyntax, proposed.transfer_syntaxes.data(),
                                               proposed.transfer_syntaxes.size(),
                                               proposed_roles(context.proposedSCRole)};
    const char *syntax = nullptr;
    lvn_association_context accepted = {};
    const lvn_association_result result = acceptor.answer(acceptor.user_data, &proposal, &syntax, &accepted.roles);
    if (result != LVN_CONTEXT_ACCEPTED) {
      const OFCondition refused = ASC_refusePresentationContext(
          parameters, context.presentationContextID, static_cast<T_ASC_P_ResultReason>(static_cast<int>(result)));
      if (refused.bad()) {
        return lvn_dul_error(err, refused, "answering a presentation context");
      }
      continue;
    }
    accepted.id = context.presentationContextID;
    OFStandard::strlcpy(accepted.abstract_syntax, context.abstractSyntax, sizeof accepted.abstract_syntax);
    OFStandard::strlcpy(accepted.transfer_syntax, syntax, sizeof accepted.transfer_syntax);
    const OFCondition status =
        ASC_acceptPresentationContext(parameters, accepted.id, syntax, answered_role(context, accepted.roles), OFTrue);
    if (status.bad()) {
      return lvn_dul_error(err, status, "answering a presentation context");
    }
    association.contexts.push_back(accepted);
  }
  return true;
}

// PS3.8 9.3.8: from the service provider, invalid PDU parameter value. DCMTK would name the service user.
void abort_invalid(lvn_association &association) {
  static const uint8_t pdu[] = {7, 0, 0, 0, 0, 4, 0, 0, 2, 6};
  association.is_over = true;
  (void)!lvn_transport_write(association.dul_layer.transport, pdu, sizeof pdu);
}

// PS3.8 table 9-21.
bool reject(lvn_association &association, lvn_admission admission, lvn_error *err) {
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
  association.is_over = true;
  (void)ASC_rejectAssociation(association.association, &answer);
  return lvn_error_set(err, LVN_ERROR_PROTOCOL, "association rejected: %s", why);
}

bool receive_request(lvn_association &association, int socket_fd, const lvn_association_limits &limits,
                     lvn_error *err) {
  const int seconds = lvn_dul_seconds(limits.negotiate_seconds);
  dcmExternalSocketHandle.set(socket_fd);
  OFCondition status = ASC_initializeNetwork(NET_ACCEPTOR, 0, seconds, &association.network);
  if (status.good()) {
    status = ASC_setTransportLayer(association.network, &association.dul_layer, /* takeoverOwnership= */ 0);
  }
  if (status.bad()) {
    return lvn_dul_error(err, status, "preparing the association");
  }
  status =
      ASC_receiveAssociation(association.network, &association.association, static_cast<long>(limits.max_pdu_bytes),
                             nullptr, nullptr, OFFalse, DUL_NOBLOCK, seconds);
  if (association.dul_layer.failure.code != LVN_OK) {
    *err = association.dul_layer.failure;
    return false;
  }
  return status.good() || lvn_dul_error(err, status, "receiving the A-ASSOCIATE-RQ");
}

bool negotiate(lvn_association &association, const lvn_association_acceptor &acceptor, lvn_error *err) {
  char calling[DUL_LEN_TITLE + 1] = "";
  char called[DUL_LEN_TITLE + 1] = "";
  char address[64] = "";
  T_ASC_Parameters *parameters = association.association->params;
  (void)ASC_getAPTitles(parameters, calling, sizeof calling, called, sizeof called, nullptr, 0);
  // DCMTK reports a connection that ends without a byte as received. A request without a title and without a
  // presentation context does not exist (PS3.8 9.3.2), so this is a probe: nobody who could be admitted or rejected.
  if (calling[0] == '\0' && called[0] == '\0' && ASC_countPresentationContexts(parameters) == 0) {
    return lvn_error_set(err, LVN_ERROR_IO, "the peer closed the connection without a request");
  }
  lvn_transport_get_address(association.dul_layer.transport, address, sizeof address);
  const lvn_association_peer peer = {calling, called, address};
  const lvn_admission admission = acceptor.admit(acceptor.user_data, &peer);
  if (admission != LVN_ADMIT) {
    return reject(association, admission, err);
  }
  char context_name[DUL_LEN_NAME + 1] = "";
  (void)ASC_getApplicationContextName(parameters, context_name, sizeof context_name);
  if (std::strcmp(context_name, UID_StandardApplicationContext) != 0) {
    T_ASC_RejectParameters answer = {ASC_RESULT_REJECTEDPERMANENT, ASC_SOURCE_SERVICEUSER,
                                     ASC_REASON_SU_APPCONTEXTNAMENOTSUPPORTED};
    association.is_over = true;
    (void)ASC_rejectAssociation(association.association, &answer);
    return lvn_error_set(err, LVN_ERROR_PROTOCOL, "association rejected: application context name not supported");
  }
  const std::vector<Proposed> contexts = proposed_contexts(parameters);
  if (!check_context_ids(contexts, err)) {
    abort_invalid(association);
    return false;
  }
  if (!answer_contexts(association, contexts, acceptor, err)) {
    return false;
  }
  lvn_dul_set_identity(parameters);
  const OFCondition status = ASC_acknowledgeAssociation(association.association);
  return status.good() || lvn_dul_error(err, status, "sending the A-ASSOCIATE-AC");
}

} // namespace

bool lvn_association_accept(int socket_fd, const struct lvn_transport_layer *layer,
                            const struct lvn_association_limits *limits,
                            const struct lvn_association_acceptor *acceptor, struct lvn_association **ret_association,
                            struct lvn_error *err) {
  lvn_transport *transport = nullptr;
  if (!lvn_transport_open(socket_fd, /* is_acceptor= */ true, layer, &transport, err)) {
    return false;
  }
  lvn_transport_set_end(transport, limits->negotiate_seconds);
  const bool good = lvn_guard(err, LVN_ERROR_PROTOCOL, [&] {
    lvn_dul_setup(limits->negotiate_seconds);
    auto association = std::make_unique<lvn_association>(layer);
    association->dul_layer.transport = transport;
    transport = nullptr;
    association->idle_seconds = limits->idle_seconds;
    association->goodbye_seconds = limits->negotiate_seconds;
    if (!receive_request(*association, socket_fd, *limits, err) || !negotiate(*association, *acceptor, err)) {
      lvn_association_fail(association.get(), err);
      return false;
    }
    lvn_transport_set_end(association->dul_layer.transport, limits->total_seconds);
    *ret_association = association.release();
    return true;
  });
  dcmExternalSocketHandle.set(-1);
  lvn_transport_destroy(transport);
  return good;
}
