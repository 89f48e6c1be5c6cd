#include "dicom/write/build_dcmtk.hh"

#include "daemon/base/file.h"

#include <dcmtk/dcmdata/dcostrmb.h>
#include <dcmtk/dcmdata/dcrleerg.h>
#include <dcmtk/dcmjpeg/djencode.h>
#include <dcmtk/dcmjpls/djencode.h>

#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <mutex>
#include <stdexcept>

namespace lvn_write {

namespace {

// Made once as UUID-derived UIDs (PS3.5 B.2) and fixed since: they stand in every file that the node writes.
constexpr const char *implementation_class_uid = "2.25.206937406283719843047361594227862108455";
constexpr const char *implementation_version = "LIVERVLM_1";

void check(const OFCondition &condition, const DcmTagKey &tag) {
  if (condition.bad()) {
    throw std::runtime_error(std::string("cannot write attribute ") + tag.toString().c_str() + ": " + condition.text());
  }
}

void register_encoders() {
  static std::once_flag once;
  std::call_once(once, [] {
    DcmRLEEncoderRegistration::registerCodecs();
    DJEncoderRegistration::registerCodecs();
    DJLSEncoderRegistration::registerCodecs();
  });
}

} // namespace

std::string decimal(double value) {
  char text[40];
  for (int digits = 15; digits > 0; digits--) {
    std::snprintf(text, sizeof text, "%.*g", digits, value == 0 ? 0.0 : value);
    if (std::strlen(text) <= 16) {
      break;
    }
  }
  return text;
}

void put(DcmItem &item, const DcmTagKey &tag, const std::string &value) {
  check(item.putAndInsertString(tag, value.c_str()), tag);
}

void put_decimals(DcmItem &item, const DcmTagKey &tag, const double *values, size_t count) {
  std::string text;
  for (size_t i = 0; i < count; i++) {
    text += (i == 0 ? "" : "\\") + decimal(values[i]);
  }
  put(item, tag, text);
}

void put_us(DcmItem &item, const DcmTagKey &tag, unsigned value) {
  check(item.putAndInsertUint16(tag, static_cast<Uint16>(value)), tag);
}

void put_bytes(DcmItem &item, const DcmTagKey &tag, const std::vector<uint8_t> &bytes) {
  std::vector<uint8_t> even(bytes);
  if (even.size() % 2 != 0) {
    even.push_back(0);
  }
  auto *element = new DcmOtherByteOtherWord(DcmTag(tag, EVR_OB));
  OFCondition condition = element->putUint8Array(even.data(), static_cast<unsigned long>(even.size()));
  if (condition.good()) {
    condition = item.insert(element, OFTrue);
  }
  if (condition.bad()) {
    delete element;
  }
  check(condition, tag);
}

DcmItem &add_item(DcmItem &item, const DcmTagKey &sequence_tag) {
  DcmItem *added = nullptr;
  check(item.findOrCreateSequenceItem(sequence_tag, added, -2), sequence_tag);
  return *added;
}

void put_code(DcmItem &item, const DcmTagKey &sequence_tag, const struct lvn_code &code) {
  DcmItem &coded = add_item(item, sequence_tag);
  put(coded, DCM_CodeValue, code.value);
  put(coded, DCM_CodingSchemeDesignator, code.scheme);
  put(coded, DCM_CodeMeaning, code.meaning);
}

void put_reference(DcmItem &item, const std::string &sop_class_uid, const std::string &sop_instance_uid) {
  put(item, DCM_ReferencedSOPClassUID, sop_class_uid);
  put(item, DCM_ReferencedSOPInstanceUID, sop_instance_uid);
}

void put_private_scheme(DcmItem &item) {
  DcmItem &scheme = add_item(item, DCM_CodingSchemeIdentificationSequence);
  put(scheme, DCM_CodingSchemeDesignator, LVN_CODE_PRIVATE_SCHEME);
  put(scheme, DCM_CodingSchemeName, "Liver-VLM node concepts");
  put(scheme, DCM_CodingSchemeResponsibleOrganization, "Liver-VLM node project");
}

std::string uid_of(const std::vector<std::string> &parts) {
  std::vector<const char *> texts;
  char uid[LVN_UID_BYTES];
  struct lvn_error error;
  for (const std::string &part : parts) {
    texts.push_back(part.c_str());
  }
  if (!lvn_uid_from_parts(texts.data(), texts.size(), uid, &error)) {
    throw std::runtime_error(error.message);
  }
  return uid;
}

E_TransferSyntax lossless_syntax(const char *transfer_syntax_uid) {
  if (transfer_syntax_uid == nullptr) {
    return EXS_LittleEndianExplicit;
  }
  switch (E_TransferSyntax syntax = DcmXfer(transfer_syntax_uid).getXfer()) {
  case EXS_LittleEndianImplicit:
  case EXS_LittleEndianExplicit:
  case EXS_DeflatedLittleEndianExplicit:
  case EXS_RLELossless:
  case EXS_JPEGProcess14:
  case EXS_JPEGProcess14SV1:
  case EXS_JPEGLSLossless:
    return syntax;
  default:
    throw std::runtime_error(std::string("transfer syntax ") + transfer_syntax_uid + " cannot be written losslessly");
  }
}

static void put_meta(DcmMetaInfo &meta, DcmDataset &dataset, E_TransferSyntax syntax) {
  OFString value;
  const Uint8 version[2] = {0, 1};
  check(meta.putAndInsertUint8Array(DCM_FileMetaInformationVersion, version, 2), DCM_FileMetaInformationVersion);
  check(dataset.findAndGetOFString(DCM_SOPClassUID, value), DCM_SOPClassUID);
  put(meta, DCM_MediaStorageSOPClassUID, value.c_str());
  check(dataset.findAndGetOFString(DCM_SOPInstanceUID, value), DCM_SOPInstanceUID);
  put(meta, DCM_MediaStorageSOPInstanceUID, value.c_str());
  put(meta, DCM_TransferSyntaxUID, DcmXfer(syntax).getXferID());
  put(meta, DCM_ImplementationClassUID, implementation_class_uid);
  put(meta, DCM_ImplementationVersionName, implementation_version);
}

static bool write_plain(const char *path, const void *data, size_t bytes, struct lvn_error *err) {
  LVN_AUTOCLOSE int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd < 0) {
    return lvn_error_set_errno(err, errno, "cannot create %s", path);
  }
  return lvn_file_write_all(fd, data, bytes, path, err);
}

bool save(DcmDataset &dataset, E_TransferSyntax syntax, const char *path, bool durable, struct lvn_error *err) {
  if (DcmXfer(syntax).isEncapsulated()) {
    register_encoders();
    if (dataset.chooseRepresentation(syntax, nullptr).bad() || !dataset.canWriteXfer(syntax)) {
      return lvn_error_set(err, LVN_ERROR_DATA, "cannot encode the pixels as %s", DcmXfer(syntax).getXferName());
    }
  }
  DcmFileFormat file(&dataset); // a copy: it would take the data set over otherwise
  put_meta(*file.getMetaInfo(), dataset, syntax);
  std::vector<uint8_t> buffer(file.calcElementLength(syntax, EET_ExplicitLength) + 4096U);
  DcmOutputBufferStream stream(buffer.data(), static_cast<offile_off_t>(buffer.size()));
  file.transferInit();
  OFCondition condition = file.write(stream, syntax, EET_ExplicitLength, nullptr, EGL_recalcGL, EPD_withoutPadding, 0,
                                     0, 0, EWM_fileformat);
  file.transferEnd();
  if (condition.bad()) {
    return lvn_error_set(err, LVN_ERROR_INTERNAL, "cannot encode %s: %s", path, condition.text());
  }
  void *data = nullptr;
  offile_off_t bytes = 0;
  stream.flushBuffer(data, bytes);
  return durable ? lvn_file_replace(path, data, static_cast<size_t>(bytes), 0644, err)
                 : write_plain(path, data, static_cast<size_t>(bytes), err);
}

} // namespace lvn_write
