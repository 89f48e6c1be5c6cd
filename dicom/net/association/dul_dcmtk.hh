// What acceptor and requestor share of DCMTK's upper layer: one-time settings, conditions as errors, addresses.
#ifndef LVN_DICOM_NET_ASSOCIATION_DUL_DCMTK_HH
#define LVN_DICOM_NET_ASSOCIATION_DUL_DCMTK_HH

#include "base/error.h"

#include <dcmtk/config/osconfig.h>

#include <dcmtk/dcmnet/assoc.h>
#include <dcmtk/dcmnet/dcmlayer.h>
#include <dcmtk/dcmnet/dcmtrans.h>
#include <dcmtk/dcmnet/dul.h>
#include <dcmtk/dcmnet/dulstruc.h>
#include <dcmtk/ofstd/ofstd.h>

// DCMTK's process-wide settings: silent log, no reverse DNS, a bounded connect(), small A-ASSOCIATE PDUs.
void lvn_dul_setup(unsigned connect_seconds);

// The time limit that DCMTK is given where the transport's is so many seconds: it counts whole ones, and is never
// first.
constexpr int lvn_dul_seconds(unsigned seconds) {
  return static_cast<int>(seconds) + 1;
}

// Our implementation class UID and version name (PS3.7 D.3.3.2) in the A-ASSOCIATE that is sent next, not DCMTK's.
void lvn_dul_set_identity(T_ASC_Parameters *parameters);

// TIMEOUT, PROTOCOL (the peer aborted or broke the rules) or IO (the connection is gone). Returns false.
bool lvn_dul_error(lvn_error *err, const OFCondition &status, const char *doing);

#endif
