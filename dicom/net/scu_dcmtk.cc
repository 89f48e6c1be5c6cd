#include "dicom/net/scu.h"

#include "base/guard.hh"
#include "dicom/net/dul_dcmtk.hh"

#include <cstring>
#include <memory>
#include <string>

#include <dcmtk/dcmdata/dctk.h>

struct lvn_scu {
  T_ASC_Network *network = nullptr;
  T_ASC_Association *association = nullptr;
  unsigned dimse_seconds = 0;
  bool broken = false;
  bool was_sent = false; // all of the last object

  lvn_scu() = default;
  lvn_scu(const lvn_scu &) = delete;
  lvn_scu &operator=(const lvn_scu &) = delete;
  ~lvn_scu() {
    if (association != nullptr) {
      if (broken) {
        (void)ASC_abortAssociation(association);
      } else {
        (void)ASC_releaseAssociation(association);
      }
      (void)ASC_destroyAssociation(&association);
    }
    if (network != nullptr) {
      (void)ASC_dropNetwork(&network);
    }
  }
};

namespace {

constexpr long scu_pdu_bytes = 131072;
// PS3.8 9.3.2: odd numbers from 1 to 255.
constexpr int context_max = 255;

bool is_uncompressed(const char *syntax) {
  return syntax == nullptr || std::strcmp(syntax, UID_LittleEndianExplicitTransferSyntax) == 0 ||
         std::strcmp(syntax, UID_LittleEndianImplicitTransferSyntax) == 0;
}

bool propose(T_ASC_Parameters *parameters, int context, const char *sop_class, const char *syntax, lvn_error *err) {
  const char *uncompressed[] = {UID_LittleEndianExplicitTransferSyntax, UID_LittleEndianImplicitTransferSyntax};
  const char *compressed[] = {syntax};
  const bool plain = is_uncompressed(syntax);
  const OFCondition status = ASC_addPresentationContext(parameters, static_cast<T_ASC_PresentationContextID>(context),
                                                        sop_class, plain ? uncompressed : compressed, plain ? 2 : 1);
  return status.good() || lvn_dul_error(err, status, "proposing a presentation context");
}

bool propose_all(T_ASC_Parameters *parameters, const lvn_scu_file *files, size_t file_count, lvn_error *err) {
  int context = 1;
  if (file_count == 0) {
    return propose(parameters, context, UID_VerificationSOPClass, nullptr, err);
  }
  for (size_t i = 0; i < file_count; i++) {
    bool seen = false;
    for (size_t k = 0; k < i && !seen; k++) {
      const char *left = files[k].transfer_syntax_uid;
      const char *right = files[i].transfer_syntax_uid;
      seen = std::strcmp(files[k].sop_class_uid, files[i].sop_class_uid) == 0 &&
             ((is_uncompressed(left) && is_uncompressed(right)) ||
              (left != nullptr && right != nullptr && std::strcmp(left, right) == 0));
    }
    if (seen) {
      continue;
    }
    if (context > context_max) {
      return lvn_error_set(err, LVN_ERROR_DATA, "more than 128 kinds of objects for one association");
    }
    if (!propose(parameters, context, files[i].sop_class_uid, files[i].transfer_syntax_uid, err)) {
      return false;
    }
    context += 2;
  }
  return true;
}

bool explain_rejection(const lvn_scu_peer &peer, T_ASC_Parameters *parameters, lvn_error *err) {
  T_ASC_RejectParameters rejection;
  (void)ASC_getRejectParameters(parameters, &rejection);
  OFString text;
  ASC_printRejectParameters(text, &rejection);
  for (char &c : text) {
    c = c == '\n' ? ' ' : c;
  }
  // A transient rejection is a busy peer: worth another try.
  const bool transient = rejection.result == ASC_RESULT_REJECTEDTRANSIENT;
  return lvn_error_set(err, transient ? LVN_ERROR_TIMEOUT : LVN_ERROR_PROTOCOL, "%s rejected the association: %s",
                       peer.called_aet, text.c_str());
}

bool connect_peer(lvn_scu &scu, const lvn_scu_peer &peer, const lvn_scu_file *files, size_t file_count,
                  lvn_error *err) {
  OFCondition status = ASC_initializeNetwork(NET_REQUESTOR, 0, static_cast<int>(peer.connect_seconds), &scu.network);
  if (status.bad()) {
    return lvn_dul_error(err, status, "preparing an association");
  }
  T_ASC_Parameters *parameters = nullptr;
  status = ASC_createAssociationParameters(&parameters, scu_pdu_bytes);
  if (status.bad()) {
    return lvn_dul_error(err, status, "preparing an association");
  }
  const std::string address = std::string(peer.host) + ":" + std::to_string(peer.port);
  lvn_dul_set_identity(parameters);
  (void)ASC_setAPTitles(parameters, peer.calling_aet, peer.called_aet, nullptr);
  (void)ASC_setPresentationAddresses(parameters, "localhost", address.c_str());
  if (!propose_all(parameters, files, file_count, err)) {
    (void)ASC_destroyAssociationParameters(&parameters);
    return false;
  }
  status = ASC_requestAssociation(scu.network, parameters, &scu.association, nullptr, nullptr, DUL_NOBLOCK,
                                  static_cast<int>(peer.connect_seconds));
  if (status == DUL_ASSOCIATIONREJECTED) {
    scu.broken = true;
    return explain_rejection(peer, parameters, err);
  }
  if (status.bad()) {
    scu.broken = true;
    (void)lvn_dul_error(err, status, "connecting");
    err->code = err->code == LVN_ERROR_TIMEOUT ? LVN_ERROR_TIMEOUT : LVN_ERROR_IO;
    return lvn_error_prefix(err, "%s at %s", peer.called_aet, address.c_str());
  }
  return true;
}

void note_progress(void *was_sent, T_DIMSE_StoreProgress *progress, T_DIMSE_C_StoreRQ *) {
  *static_cast<bool *>(was_sent) = progress->state == DIMSE_StoreEnd;
}

bool store(lvn_scu &scu, const lvn_scu_file &file, uint16_t *ret_status, lvn_error *err) {
  DcmFileFormat format;
  scu.was_sent = false;
  OFCondition status = format.loadFile(file.path);
  if (status.bad()) {
    return lvn_error_set(err, LVN_ERROR_DATA, "'%s' cannot be read: %s", file.path, status.text());
  }
  DcmDataset *dataset = format.getDataset();
  const char *instance = nullptr;
  (void)dataset->findAndGetString(DCM_SOPInstanceUID, instance);
  const char *syntax = DcmXfer(dataset->getOriginalXfer()).getXferID();
  const T_ASC_PresentationContextID context =
      ASC_findAcceptedPresentationContextID(scu.association, file.sop_class_uid, syntax);
  if (context == 0 || instance == nullptr) {
    return lvn_error_set(err, LVN_ERROR_DATA, "the peer accepts no presentation context for SOP class %s",
                         file.sop_class_uid);
  }
  T_DIMSE_C_StoreRQ request = {};
  T_DIMSE_C_StoreRSP response = {};
  request.MessageID = scu.association->nextMsgID++;
  OFStandard::strlcpy(request.AffectedSOPClassUID, file.sop_class_uid, sizeof request.AffectedSOPClassUID);
  OFStandard::strlcpy(request.AffectedSOPInstanceUID, instance, sizeof request.AffectedSOPInstanceUID);
  request.DataSetType = DIMSE_DATASET_PRESENT;
  request.Priority = DIMSE_PRIORITY_MEDIUM;
  DcmDataset *detail = nullptr;
  status = DIMSE_storeUser(scu.association, context, &request, nullptr, dataset, note_progress, &scu.was_sent,
                           DIMSE_NONBLOCKING, static_cast<int>(scu.dimse_seconds), &response, &detail);
  std::unique_ptr<DcmDataset> detail_owner(detail);
  if (status.bad()) {
    scu.broken = true;
    return lvn_dul_error(err, status, "sending an object");
  }
  *ret_status = response.DimseStatus;
  return true;
}

} // namespace

bool lvn_scu_open(const struct lvn_scu_peer *peer, const struct lvn_scu_file *files, size_t file_count,
                  struct lvn_scu **ret_scu, struct lvn_error *err) {
  return lvn_guard(err, LVN_ERROR_IO, [&] {
    lvn_dul_setup(peer->connect_seconds, peer->dimse_seconds);
    auto scu = std::make_unique<lvn_scu>();
    scu->dimse_seconds = peer->dimse_seconds;
    if (!connect_peer(*scu, *peer, files, file_count, err)) {
      return false;
    }
    *ret_scu = scu.release();
    return true;
  });
}

bool lvn_scu_echo(struct lvn_scu *scu, struct lvn_error *err) {
  return lvn_guard(err, LVN_ERROR_IO, [&] {
    DIC_US status = 0;
    DcmDataset *detail = nullptr;
    const OFCondition sent = DIMSE_echoUser(scu->association, scu->association->nextMsgID++, DIMSE_NONBLOCKING,
                                            static_cast<int>(scu->dimse_seconds), &status, &detail);
    std::unique_ptr<DcmDataset> detail_owner(detail);
    if (sent.bad()) {
      scu->broken = true;
      return lvn_dul_error(err, sent, "C-ECHO");
    }
    return status == STATUS_Success ||
           lvn_error_set(err, LVN_ERROR_PROTOCOL, "the peer answered C-ECHO with status 0x%04x", status);
  });
}

bool lvn_scu_store(struct lvn_scu *scu, const struct lvn_scu_file *file, uint16_t *ret_status, struct lvn_error *err) {
  return lvn_guard(err, LVN_ERROR_IO, [&] { return store(*scu, *file, ret_status, err); });
}

bool lvn_scu_was_sent(const struct lvn_scu *scu) {
  return scu->was_sent;
}

void lvn_scu_close(struct lvn_scu *scu) {
  struct lvn_error ignored;
  (void)lvn_guard(&ignored, LVN_ERROR_IO, [&] {
    delete scu;
    return true;
  });
}
