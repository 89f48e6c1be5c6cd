#include "dicom/net/association/association_dcmtk.hh"

#include "base/guard.hh"

#include <cstring>
#include <memory>
#include <string>

namespace {

constexpr long requestor_pdu_bytes = 131072;

T_ASC_SC_ROLE role_to_propose(unsigned roles) {
  if ((roles & LVN_ROLE_SCP) == 0) {
    return ASC_SC_ROLE_DEFAULT;
  }
  return (roles & LVN_ROLE_SCU) != 0 ? ASC_SC_ROLE_SCUSCP : ASC_SC_ROLE_SCP;
}

unsigned accepted_roles(T_ASC_SC_ROLE role) {
  switch (role) {
  case ASC_SC_ROLE_SCP:
    return LVN_ROLE_SCP;
  case ASC_SC_ROLE_SCUSCP:
    return LVN_ROLE_SCU | LVN_ROLE_SCP;
  default:
    return LVN_ROLE_SCU;
  }
}

bool propose_all(T_ASC_Parameters *parameters, const lvn_association_offer *offers, size_t offer_count,
                 lvn_error *err) {
  if (offer_count > LVN_ASSOCIATION_OFFERS_MAX) {
    return lvn_error_set(err, LVN_ERROR_DATA, "more than 128 kinds of objects for one association");
  }
  for (size_t i = 0; i < offer_count; i++) {
    const lvn_association_offer &offer = offers[i];
    std::vector<const char *> syntaxes(offer.transfer_syntaxes, offer.transfer_syntaxes + offer.transfer_syntax_count);
    const OFCondition status = ASC_addPresentationContext(
        parameters, static_cast<T_ASC_PresentationContextID>(2 * i + 1), offer.abstract_syntax, syntaxes.data(),
        static_cast<int>(syntaxes.size()), role_to_propose(offer.roles));
    if (status.bad()) {
      return lvn_dul_error(err, status, "proposing a presentation context");
    }
  }
  return true;
}

// What a reason of PS3.8 9.3.4 means for whoever set the peers up; nullptr: nothing beyond its own words.
const char *plain_rejection(T_ASC_RejectParametersReason reason) {
  switch (reason) {
  case ASC_REASON_SU_CALLINGAETITLENOTRECOGNIZED:
    return "it does not know this node's AE title: enter it there";
  case ASC_REASON_SU_CALLEDAETITLENOTRECOGNIZED:
    return "that is not its AE title: correct aet of the peer";
  case ASC_REASON_SU_NOREASON:
    return "it gives no reason; its log may: does it know this node's AE title and address?";
  case ASC_REASON_SP_PRES_TEMPORARYCONGESTION:
    return "it is busy";
  case ASC_REASON_SP_PRES_LOCALLIMITEXCEEDED:
    return "it has as many associations open as it allows";
  default:
    return nullptr;
  }
}

bool explain_rejection(const lvn_association_target &target, T_ASC_Parameters *parameters, lvn_error *err) {
  T_ASC_RejectParameters rejection;
  (void)ASC_getRejectParameters(parameters, &rejection);
  OFString text;
  ASC_printRejectParameters(text, &rejection);
  for (char &c : text) {
    c = c == '\n' ? ' ' : c;
  }
  if (const char *plain = plain_rejection(rejection.reason)) {
    text = OFString(plain) + " (" + text + ")";
  }
  // A transient rejection is a busy peer: worth another try.
  const bool transient = rejection.result == ASC_RESULT_REJECTEDTRANSIENT;
  return lvn_error_set(err, transient ? LVN_ERROR_TIMEOUT : LVN_ERROR_PROTOCOL, "%s rejected the association: %s",
                       target.called_aet, text.c_str());
}

void take_contexts(lvn_association &association) {
  T_ASC_Parameters *parameters = association.association->params;
  const int count = ASC_countPresentationContexts(parameters);
  for (int i = 0; i < count; i++) {
    T_ASC_PresentationContext context = {};
    if (ASC_getPresentationContext(parameters, i, &context).bad() || context.resultReason != ASC_P_ACCEPTANCE) {
      continue;
    }
    lvn_association_context accepted = {};
    accepted.id = context.presentationContextID;
    accepted.roles = accepted_roles(context.acceptedRole);
    OFStandard::strlcpy(accepted.abstract_syntax, context.abstractSyntax, sizeof accepted.abstract_syntax);
    OFStandard::strlcpy(accepted.transfer_syntax, context.acceptedTransferSyntax, sizeof accepted.transfer_syntax);
    association.contexts.push_back(accepted);
  }
}

// DCMTK's text for a connection that could not be made, in an administrator's words; nullptr: there are none for it.
const char *plain_reason(const char *text) {
  static constexpr struct {
    const char *toolkit;
    const char *plain;
  } reasons[] = {{"Connection refused", "connection refused: nothing listens on that port"},
                 {"unknown host", "no address is known for that host name"},
                 {"No route to host", "no route to that host"},
                 {"Network is unreachable", "its network cannot be reached from here"},
                 {"Timeout", "no answer to the connection within connect_seconds: a firewall, or the machine is off"}};
  for (const auto &reason : reasons) {
    if (std::strstr(text, reason.toolkit) != nullptr) {
      return reason.plain;
    }
  }
  return nullptr;
}

// Why there is no association: what the connection knows goes before what DCMTK makes of it.
bool explain_failure(const lvn_association &association, const OFCondition &status, lvn_error *err) {
  const lvn_dul_layer &layer = association.dul_layer;
  if (layer.failure.code != LVN_OK) {
    *err = layer.failure;
  } else if (association.tls != nullptr && lvn_tls_call_get_problem(association.tls.get())[0] != '\0') {
    // TLS 1.3 tells a requestor after its handshake that its certificate is not taken.
    return lvn_error_set(err, LVN_ERROR_IO, "TLS: %s", lvn_tls_call_get_problem(association.tls.get()));
  } else if (layer.transport != nullptr && lvn_transport_is_late(layer.transport)) {
    return lvn_error_set(err, LVN_ERROR_TIMEOUT, "connecting: the peer took longer than connect_seconds");
  } else if (const char *reason = plain_reason(status.text())) {
    return lvn_error_set(err, LVN_ERROR_IO, "%s", reason);
  } else {
    (void)lvn_dul_error(err, status, "connecting");
  }
  err->code = err->code == LVN_ERROR_TIMEOUT ? LVN_ERROR_TIMEOUT : LVN_ERROR_IO;
  return false;
}

bool request(lvn_association &association, const lvn_association_target &target, const lvn_association_offer *offers,
             size_t offer_count, lvn_error *err) {
  association.is_requestor = true;
  association.idle_seconds = target.idle_seconds;
  association.goodbye_seconds = target.connect_seconds;
  association.dul_layer.negotiate_seconds = target.connect_seconds;
  const int seconds = lvn_dul_seconds(target.connect_seconds);
  OFCondition status = ASC_initializeNetwork(NET_REQUESTOR, 0, seconds, &association.network);
  if (status.good()) {
    status = ASC_setTransportLayer(association.network, &association.dul_layer, /* takeoverOwnership= */ 0);
  }
  T_ASC_Parameters *parameters = nullptr;
  if (status.good()) {
    status = ASC_createAssociationParameters(&parameters, requestor_pdu_bytes);
  }
  if (status.bad()) {
    return lvn_dul_error(err, status, "preparing an association");
  }
  const std::string address = std::string(target.host) + ":" + std::to_string(target.port);
  lvn_dul_set_identity(parameters);
  (void)ASC_setAPTitles(parameters, target.calling_aet, target.called_aet, nullptr);
  (void)ASC_setPresentationAddresses(parameters, "localhost", address.c_str());
  if (!propose_all(parameters, offers, offer_count, err)) {
    (void)ASC_destroyAssociationParameters(&parameters);
    return false;
  }
  status = ASC_requestAssociation(association.network, parameters, &association.association, nullptr, nullptr,
                                  DUL_NOBLOCK, seconds);
  if (status == DUL_ASSOCIATIONREJECTED) {
    association.is_over = true;
    return explain_rejection(target, parameters, err);
  }
  if (status.bad()) {
    (void)explain_failure(association, status, err);
    lvn_association_fail(&association, err);
    return lvn_error_prefix(err, "%s at %s", target.called_aet, address.c_str());
  }
  lvn_transport_set_end(association.dul_layer.transport, 0);
  take_contexts(association);
  return true;
}

// *ret_call stays nullptr where the call goes without TLS.
bool prepare_tls(const lvn_association_target &target, lvn_tls_call **ret_call, lvn_error *err) {
  if (!target.security.uses_tls || target.layer != nullptr) {
    return true;
  }
  lvn_tls *tls = lvn_tls_hold_current();
  if (tls == nullptr) {
    return lvn_error_set(err, LVN_ERROR_USAGE, "%s is to be called with TLS, and no certificate is configured",
                         target.called_aet);
  }
  const lvn_tls_expected expected = {target.security.certificate, target.host};
  const bool good = lvn_tls_call_create(tls, nullptr, &expected, ret_call, err);
  lvn_tls_release(tls);
  return good;
}

} // namespace

bool lvn_association_request(const struct lvn_association_target *target, const struct lvn_association_offer *offers,
                             size_t offer_count, struct lvn_association **ret_association, struct lvn_error *err) {
  return lvn_guard(err, LVN_ERROR_IO, [&] {
    lvn_dul_setup(target->connect_seconds);
    lvn_tls_call *call = nullptr;
    if (!prepare_tls(*target, &call, err)) {
      return false;
    }
    auto association =
        std::make_unique<lvn_association>(call != nullptr ? lvn_tls_call_get_layer(call) : target->layer, call);
    if (!request(*association, *target, offers, offer_count, err)) {
      return false;
    }
    *ret_association = association.release();
    return true;
  });
}
