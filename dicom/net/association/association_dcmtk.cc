#include "dicom/net/association/association_dcmtk.hh"

#include "base/guard.hh"

#include <cerrno>
#include <cstring>

namespace {

class Connection final : public DcmTransportConnection {
public:
  Connection(DcmNativeSocketType socket_fd, lvn_dul_layer &layer) : DcmTransportConnection(socket_fd), layer_(layer) {
  }
  OFCondition serverSideHandshake() override {
    return handshake();
  }
  OFCondition clientSideHandshake() override {
    return handshake();
  }
  OFCondition renegotiate(const char *) override {
    return EC_Normal;
  }
  ssize_t read(void *bytes, size_t count) override {
    return lvn_transport_read(layer_.transport, bytes, count);
  }
  ssize_t write(void *bytes, size_t count) override {
    return lvn_transport_write(layer_.transport, bytes, count) ? static_cast<ssize_t>(count) : -1;
  }
  void close() override {
    if (layer_.transport != nullptr) {
      lvn_transport_close(layer_.transport);
    }
  }
  void closeTransportConnection() override {
    close();
  }
  unsigned long getPeerCertificateLength() override {
    return 0;
  }
  unsigned long getPeerCertificate(void *, unsigned long) override {
    return 0;
  }
  OFBool networkDataAvailable(int seconds) override {
    constexpr double as_long_as_the_limits_hold = 1e9;
    return lvn_transport_wait(layer_.transport, seconds != 0 ? as_long_as_the_limits_hold : 0) ? OFTrue : OFFalse;
  }
  OFBool isTransparentConnection() override {
    return OFFalse; // or DCMTK would poll the socket itself
  }
  OFString &dumpConnectionParameters(OFString &text) override {
    return text;
  }

private:
  OFCondition handshake() {
    const bool is_good = layer_.transport != nullptr && lvn_transport_handshake(layer_.transport, &layer_.failure);
    return is_good ? EC_Normal : DUL_NETWORKCLOSED;
  }

  lvn_dul_layer &layer_;
};

} // namespace

DcmTransportConnection *lvn_dul_layer::createConnection(DcmNativeSocketType socket_fd, OFBool) {
  // A failure is the handshake's to tell: without a connection DCMTK would close the socket a second time.
  if (transport == nullptr && lvn_transport_open(socket_fd, /* is_acceptor= */ false, layer_, &transport, &failure)) {
    lvn_transport_set_end(transport, negotiate_seconds);
  }
  return new Connection(socket_fd, *this);
}

lvn_association::~lvn_association() {
  if (association != nullptr) {
    if (dul_layer.transport != nullptr) {
      lvn_transport_set_end(dul_layer.transport, goodbye_seconds);
      lvn_transport_end_wait(dul_layer.transport);
    }
    if (is_requestor && !is_over) {
      (void)ASC_releaseAssociation(association);
    }
    // Not ASC_dropSCPAssociation(): it waits for the peer to close first.
    (void)ASC_dropAssociation(association);
    (void)ASC_destroyAssociation(&association);
  }
  if (network != nullptr) {
    (void)ASC_dropNetwork(&network);
  }
}

const lvn_association_context *lvn_association_find_context(const struct lvn_association *association, uint8_t id) {
  for (const lvn_association_context &context : association->contexts) {
    if (context.id == id) {
      return &context;
    }
  }
  return nullptr;
}

const lvn_association_context *lvn_association_find_class(const struct lvn_association *association,
                                                          const char *abstract_syntax, const char *transfer_syntax,
                                                          unsigned roles) {
  for (const lvn_association_context &context : association->contexts) {
    if (std::strcmp(context.abstract_syntax, abstract_syntax) == 0 && (context.roles & roles) == roles &&
        (transfer_syntax == nullptr || std::strcmp(context.transfer_syntax, transfer_syntax) == 0)) {
      return &context;
    }
  }
  return nullptr;
}

const char *lvn_association_describe_security(const struct lvn_association *association, char *text,
                                              size_t text_bytes) {
  if (association->tls != nullptr) {
    return lvn_tls_call_describe(association->tls.get(), text, text_bytes);
  }
  OFStandard::strlcpy(text, "no TLS", text_bytes);
  return text;
}

void lvn_association_start_wait(struct lvn_association *association) {
  lvn_transport_start_wait(association->dul_layer.transport, association->idle_seconds);
}

void lvn_association_end_wait(struct lvn_association *association) {
  lvn_transport_end_wait(association->dul_layer.transport);
}

// The next PDV of the PDU that was received last. After one, DCMTK (3.6.7 to 3.7.0) steps on by the length of the one
// behind it: with three or more of different lengths it would read a length from the midst of data, and hand on what
// lies beyond its buffer. So the pointer is put right here.
static bool take_next(lvn_association &association) {
  auto *key = static_cast<PRIVATE_ASSOCIATIONKEY *>(association.association->DULassociation);
  if (!association.has_next && key != nullptr &&
      DUL_NextPDV(&association.association->DULassociation, &association.next).good()) {
    association.has_next = true;
    if (key->pdvIndex != -1) {
      key->pdvPointer = static_cast<unsigned char *>(key->currentPDV.data) - 6; // its length, context and header
    }
  }
  return association.has_next;
}

bool lvn_association_wait(struct lvn_association *association, double seconds) {
  struct lvn_error ignored;
  return lvn_guard(&ignored, LVN_ERROR_PROTOCOL, [&] { return take_next(*association); }) ||
         lvn_transport_wait(association->dul_layer.transport, seconds);
}

enum lvn_association_arrival lvn_association_receive(struct lvn_association *association,
                                                     struct lvn_association_fragment *ret_fragment, const char *doing,
                                                     struct lvn_error *err) {
  lvn_association_arrival arrival = LVN_ARRIVAL_FAILED;
  (void)lvn_guard(err, LVN_ERROR_PROTOCOL, [&] {
    if (!take_next(*association)) {
      const OFCondition status = DUL_ReadPDVs(&association->association->DULassociation, nullptr, DUL_NOBLOCK,
                                              lvn_dul_seconds(association->idle_seconds));
      if (status == DUL_PEERREQUESTEDRELEASE) {
        arrival = LVN_ARRIVAL_RELEASE;
        return true;
      }
      if (status != DUL_PDATAPDUARRIVED || !take_next(*association)) {
        return lvn_dul_error(err, status, doing);
      }
    }
    association->has_next = false;
    const DUL_PDV &pdv = association->next;
    *ret_fragment = {pdv.presentationContextID, pdv.pdvType == DUL_COMMANDPDV, pdv.lastPDV != OFFalse,
                     static_cast<const uint8_t *>(pdv.data), pdv.fragmentLength};
    arrival = LVN_ARRIVAL_FRAGMENT;
    return true;
  });
  return arrival;
}

bool lvn_association_send(struct lvn_association *association, const struct lvn_association_fragment *fragment,
                          const char *doing, struct lvn_error *err) {
  return lvn_guard(err, LVN_ERROR_PROTOCOL, [&] {
    DUL_PDV pdv = {};
    DUL_PDVLIST list = {};
    pdv.fragmentLength = static_cast<unsigned long>(fragment->count);
    pdv.presentationContextID = fragment->context_id;
    pdv.pdvType = fragment->is_command ? DUL_COMMANDPDV : DUL_DATASETPDV;
    pdv.lastPDV = fragment->is_last;
    pdv.data = const_cast<uint8_t *>(fragment->bytes); // only read
    list.count = 1;
    list.pdv = &pdv;
    const OFCondition sent = DUL_WritePDVs(&association->association->DULassociation, &list);
    return sent.good() || lvn_dul_error(err, sent, doing);
  });
}

size_t lvn_association_max_send_bytes(const struct lvn_association *association) {
  return association->association->sendPDVLength;
}

void lvn_association_answer_release(struct lvn_association *association) {
  struct lvn_error ignored;
  association->is_over = true;
  (void)lvn_guard(&ignored, LVN_ERROR_PROTOCOL, [&] {
    (void)ASC_acknowledgeRelease(association->association);
    return true;
  });
}

void lvn_association_fail(struct lvn_association *association, struct lvn_error *err) {
  struct lvn_error ignored;
  lvn_transport *transport = association->dul_layer.transport;
  if (transport != nullptr && lvn_transport_is_late(transport)) {
    (void)lvn_error_set(err, LVN_ERROR_TIMEOUT, "the peer took longer than the association's time limit");
  }
  const bool hears = transport != nullptr && (association->is_requestor || err->code != LVN_ERROR_TIMEOUT) &&
                     err->code != LVN_ERROR_IO;
  if (!association->is_over && association->association != nullptr && hears) {
    (void)lvn_guard(&ignored, LVN_ERROR_PROTOCOL, [&] {
      lvn_transport_set_end(transport, association->goodbye_seconds);
      lvn_transport_end_wait(transport);
      (void)ASC_abortAssociation(association->association);
      return true;
    });
  }
  association->is_over = true;
}

void lvn_association_close(struct lvn_association *association) {
  struct lvn_error ignored;
  (void)lvn_guard(&ignored, LVN_ERROR_IO, [&] {
    delete association;
    return true;
  });
}
