// What the SCP and the SCU share of DCMTK's upper layer: one-time settings, conditions as errors, addresses.
#ifndef LVN_DICOM_NET_DUL_DCMTK_HH
#define LVN_DICOM_NET_DUL_DCMTK_HH

#include "base/error.h"

#include <cstddef>

#include <dcmtk/config/osconfig.h>

#include <dcmtk/dcmnet/assoc.h>
#include <dcmtk/dcmnet/dcmtrans.h>
#include <dcmtk/dcmnet/dimse.h>
#include <dcmtk/dcmnet/diutil.h>
#include <dcmtk/dcmnet/dul.h>

// DCMTK's process-wide settings: silent log, no reverse DNS, bounded socket waits, small A-ASSOCIATE PDUs.
void lvn_dul_setup(unsigned connect_seconds, unsigned socket_seconds);

// Our implementation class UID and version name (PS3.7 D.3.3.2) in the A-ASSOCIATE that is sent next, not DCMTK's.
void lvn_dul_set_identity(T_ASC_Parameters *parameters);

// TIMEOUT, PROTOCOL (the peer aborted or broke the rules) or IO (the connection is gone). Returns false.
bool lvn_dul_error(lvn_error *err, const OFCondition &status, const char *doing);

// Numeric address of the socket's other end; IPv4-mapped addresses as IPv4. Empty when unknown.
void lvn_dul_peer_address(int socket_fd, char *ret_address, size_t address_bytes);

#endif
