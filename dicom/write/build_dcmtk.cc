#include "dicom/write/build_dcmtk.hh"

#include "base/file.h"
#include "dicom/load/load_dcmtk.hh"
#include "dicom/scan/identity.h"

#include <dcmtk/dcmdata/dcostrmb.h>
#include <dcmtk/dcmdata/dcpixseq.h>
#include <dcmtk/dcmdata/dcpxitem.h>
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
constexpr const char *implementation_class_uid = LVN_IMPLEMENTATION_CLASS_UID;
constexpr const char *implementation_version = LVN_IMPLEMENTATION_VERSION_NAME;

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

namespace {

// One explicit little endian element of group 0002, padded to an even length.
void append_meta(std::vector<uint8_t> &bytes, uint8_t element, const char *vr, std::string value) {
  if (value.size() % 2 != 0) {
    value.push_back(std::strcmp(vr, "UI") == 0 ? '\0' : ' ');
  }
  const uint8_t length = static_cast<uint8_t>(value.size()); // all are below 70 bytes
  bytes.insert(bytes.end(), {0x02, 0x00, element, 0x00, static_cast<uint8_t>(vr[0]), static_cast<uint8_t>(vr[1])});
  if (std::strcmp(vr, "OB") == 0) {
    bytes.insert(bytes.end(), {0, 0, length, 0, 0, 0});
  } else {
    bytes.insert(bytes.end(), {length, 0});
  }
  bytes.insert(bytes.end(), value.begin(), value.end());
}

// Preamble and file meta information (PS3.10 7.1) by hand: DcmFileFormat puts its own implementation UID in, and with
// it the toolkit's version into every digest.
std::vector<uint8_t> meta_header(DcmDataset &dataset, E_TransferSyntax syntax) {
  OFString sop_class_uid;
  OFString sop_instance_uid;
  check(dataset.findAndGetOFString(DCM_SOPClassUID, sop_class_uid), DCM_SOPClassUID);
  check(dataset.findAndGetOFString(DCM_SOPInstanceUID, sop_instance_uid), DCM_SOPInstanceUID);
  if (sop_class_uid.size() >= LVN_UID_BYTES || sop_instance_uid.size() >= LVN_UID_BYTES) {
    throw std::runtime_error("a UID is longer than 64 characters");
  }
  std::vector<uint8_t> elements;
  append_meta(elements, 0x01, "OB", std::string("\0\1", 2));
  append_meta(elements, 0x02, "UI", sop_class_uid.c_str());
  append_meta(elements, 0x03, "UI", sop_instance_uid.c_str());
  append_meta(elements, 0x10, "UI", DcmXfer(syntax).getXferID());
  append_meta(elements, 0x12, "UI", implementation_class_uid);
  append_meta(elements, 0x13, "SH", implementation_version);
  std::vector<uint8_t> header(128);
  header.insert(header.end(), {'D', 'I', 'C', 'M'});
  const uint8_t low = static_cast<uint8_t>(elements.size() & 0xff);
  const uint8_t high = static_cast<uint8_t>(elements.size() >> 8);
  append_meta(header, 0x00, "UL", std::string({static_cast<char>(low), static_cast<char>(high), 0, 0}));
  header.insert(header.end(), elements.begin(), elements.end());
  return header;
}

bool write_plain(const char *path, const void *data, size_t bytes, struct lvn_error *err) {
  LVN_AUTOCLOSE int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd < 0) {
    return lvn_error_set_errno(err, errno, "cannot create %s", path);
  }
  return lvn_file_write_all(fd, data, bytes, path, err);
}

// DCMTK's JPEG-LS encoder leaves the byte after an odd-sized stream as it was in memory: the same pixels would not give
// the same bytes.
void clear_padding(DcmDataset &dataset, E_TransferSyntax syntax) {
  DcmElement *element = nullptr;
  DcmPixelSequence *fragments = nullptr;
  if (dataset.findAndGetElement(DCM_PixelData, element).bad() ||
      static_cast<DcmPixelData *>(element)->getEncapsulatedRepresentation(syntax, nullptr, fragments).bad()) {
    throw std::runtime_error("the encoded pixels are missing");
  }
  for (unsigned long i = 1; i < fragments->card(); i++) { // item 0 is the offset table
    DcmPixelItem *fragment = nullptr;
    Uint8 *bytes = nullptr;
    check(fragments->getItem(fragment, i), DCM_PixelData);
    check(fragment->getUint8Array(bytes), DCM_PixelData);
    const size_t length = fragment->getLength();
    if (length > 2 && bytes[length - 3] == 0xff && bytes[length - 2] == 0xd9) { // end of image, then padding
      bytes[length - 1] = 0;
    }
  }
}

// All of the data set; deflating keeps bytes back until the stream is flushed.
size_t encode(DcmDataset &dataset, E_TransferSyntax syntax, std::vector<uint8_t> &buffer, size_t start) {
  void *data = nullptr;
  offile_off_t bytes = 0;
  DcmOutputBufferStream stream(buffer.data() + start, static_cast<offile_off_t>(buffer.size() - start));
  dataset.transferInit();
  const OFCondition condition = dataset.write(stream, syntax, EET_ExplicitLength, nullptr, EGL_withoutGL);
  dataset.transferEnd();
  stream.flush();
  stream.flushBuffer(data, bytes);
  if (condition.bad() || !stream.isFlushed()) {
    throw std::runtime_error(std::string("cannot encode the data set: ") + condition.text());
  }
  return static_cast<size_t>(bytes);
}

} // namespace

bool save(DcmDataset &dataset, E_TransferSyntax syntax, const char *path, bool durable, struct lvn_error *err) {
  if (lvn::is_encapsulated(syntax)) {
    register_encoders();
    if (dataset.chooseRepresentation(syntax, nullptr).bad() || !dataset.canWriteXfer(syntax)) {
      return lvn_error_set(err, LVN_ERROR_DATA, "cannot encode the pixels as %s", DcmXfer(syntax).getXferName());
    }
    clear_padding(dataset, syntax);
  }
  std::vector<uint8_t> buffer = meta_header(dataset, syntax);
  const size_t start = buffer.size();
  buffer.resize(start + dataset.calcElementLength(syntax, EET_ExplicitLength) + 4096U);
  const size_t bytes = start + encode(dataset, syntax, buffer, start);
  return durable ? lvn_file_replace(path, buffer.data(), bytes, 0600, err)
                 : write_plain(path, buffer.data(), bytes, err);
}

} // namespace lvn_write
