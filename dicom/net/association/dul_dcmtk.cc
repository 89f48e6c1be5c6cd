#include "dicom/net/association/dul_dcmtk.hh"

#include "dicom/scan/identity.h"

#include <cstring>
#include <mutex>

#include <dcmtk/dcmnet/cond.h>
#include <dcmtk/oflog/oflog.h>

namespace {
// An A-ASSOCIATE-RQ of 128 presentation contexts with every transfer syntax of the standard in each needs about 250
// KiB.
constexpr size_t associate_pdu_max_bytes = 512U << 10;
} // namespace

void lvn_dul_setup(unsigned connect_seconds) {
  static std::once_flag once;
  std::call_once(once, [] {
    OFLog::configure(OFLogger::OFF_LOG_LEVEL); // its lines could hold patient data
  });
  dcmDisableGethostbyaddr.set(OFTrue);
  dcmConnectionTimeout.set(static_cast<Sint32>(connect_seconds));
  dcmSocketReceiveTimeout.set(-1); // the transport's are the time limits
  dcmSocketSendTimeout.set(-1);
  dcmAssociatePDUSizeLimit.set(associate_pdu_max_bytes);
}

void lvn_dul_set_identity(T_ASC_Parameters *parameters) {
  DUL_ASSOCIATESERVICEPARAMETERS &dul = parameters->DULparams;
  const auto set = [](char *uid, size_t uid_bytes, char *name, size_t name_bytes) {
    OFStandard::strlcpy(uid, LVN_IMPLEMENTATION_CLASS_UID, uid_bytes);
    OFStandard::strlcpy(name, LVN_IMPLEMENTATION_VERSION_NAME, name_bytes);
  };
  set(parameters->ourImplementationClassUID, sizeof parameters->ourImplementationClassUID,
      parameters->ourImplementationVersionName, sizeof parameters->ourImplementationVersionName);
  // A request carries the calling side's, an acceptance the called side's; the other pair is not sent.
  set(dul.callingImplementationClassUID, sizeof dul.callingImplementationClassUID, dul.callingImplementationVersionName,
      sizeof dul.callingImplementationVersionName);
  set(dul.calledImplementationClassUID, sizeof dul.calledImplementationClassUID, dul.calledImplementationVersionName,
      sizeof dul.calledImplementationVersionName);
}

bool lvn_dul_error(lvn_error *err, const OFCondition &status, const char *doing) {
  if (status == DUL_READTIMEOUT) {
    return lvn_error_set(err, LVN_ERROR_TIMEOUT, "%s: the peer was silent for too long", doing);
  }
  if (status == DUL_PEERABORTEDASSOCIATION) { // also when the connection ends within an association
    return lvn_error_set(err, LVN_ERROR_PROTOCOL, "%s: the peer aborted or vanished", doing);
  }
  if (status == DUL_NETWORKCLOSED || status == DUL_NULLKEY) {
    return lvn_error_set(err, LVN_ERROR_IO, "%s: the peer closed the connection", doing);
  }
  // The first line alone: DCMTK puts nested conditions on further ones.
  const char *text = status.text();
  const size_t length = std::strcspn(text, "\n");
  const bool network =
      status.module() == OFM_dcmnet && (status == DUL_REQUESTASSOCIATIONFAILED || std::strstr(text, "TCP") != nullptr);
  return lvn_error_set(err, network ? LVN_ERROR_IO : LVN_ERROR_PROTOCOL, "%s: %.*s", doing, static_cast<int>(length),
                       text);
}
