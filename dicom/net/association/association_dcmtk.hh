// What acceptor and requestor share: the association, and the way of DCMTK's bytes through our transport.
#ifndef LVN_DICOM_NET_ASSOCIATION_ASSOCIATION_DCMTK_HH
#define LVN_DICOM_NET_ASSOCIATION_ASSOCIATION_DCMTK_HH

#include "dicom/net/association/association.h"
#include "dicom/net/association/dul_dcmtk.hh"
#include "dicom/net/transport/tls_call.h"

#include <memory>
#include <vector>

// DCMTK's connection as a view of a transport, which the association owns and which knows the time limits: DCMTK's own,
// in whole seconds, only say whether it asks for bytes that are there or waits for some.
class lvn_dul_layer final : public DcmTransportLayer {
public:
  explicit lvn_dul_layer(const lvn_transport_layer *layer) : layer_(layer) {
  }
  ~lvn_dul_layer() override {
    lvn_transport_destroy(transport);
  }
  lvn_dul_layer(const lvn_dul_layer &) = delete;
  lvn_dul_layer &operator=(const lvn_dul_layer &) = delete;
  DcmTransportConnection *createConnection(DcmNativeSocketType socket_fd, OFBool use_secure_layer) override;

  lvn_transport *transport = nullptr; // an acceptor's is there before DCMTK sees its socket
  double negotiate_seconds = 0;       // a requestor's, from its connection on
  lvn_error failure = {};             // of the handshake

private:
  const lvn_transport_layer *layer_;
};

struct lvn_tls_call_delete {
  void operator()(lvn_tls_call *call) const {
    lvn_tls_call_destroy(call);
  }
};

struct lvn_association {
  std::unique_ptr<lvn_tls_call, lvn_tls_call_delete> tls; // a requestor's; outlives what goes through it
  lvn_dul_layer dul_layer;
  T_ASC_Network *network = nullptr;
  T_ASC_Association *association = nullptr;
  std::vector<lvn_association_context> contexts; // accepted
  DUL_PDV next = {};                             // of a PDU that holds several, taken out to see whether there is one
  bool has_next = false;
  unsigned idle_seconds = 0;
  unsigned goodbye_seconds = 0;
  bool is_requestor = false;
  bool is_over = false; // released, aborted or lost

  explicit lvn_association(const lvn_transport_layer *layer, lvn_tls_call *call = nullptr)
      : tls(call), dul_layer(layer) {
  }
  ~lvn_association();
  lvn_association(const lvn_association &) = delete;
  lvn_association &operator=(const lvn_association &) = delete;
};

#endif
