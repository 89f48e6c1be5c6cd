// Pixel data to HU: DCMTK's codecs for uncompressed, deflated, RLE, JPEG and JPEG-LS, OpenJPEG for JPEG 2000 and HTJ2K.
// Every size is checked against the matrix before anything is decoded.
#include "dicom/load/load_dcmtk.hh"
#include "dicom/read/j2k.h"
#include "dicom/read/study_dcmtk.hh"

#include <dcmtk/dcmdata/dcpixel.h>
#include <dcmtk/dcmdata/dcpixseq.h>
#include <dcmtk/dcmdata/dcpxitem.h>
#include <dcmtk/dcmdata/dcrledrg.h>
#include <dcmtk/dcmjpeg/djdecode.h>
#include <dcmtk/dcmjpls/djdecode.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <fstream>
#include <mutex>

namespace lvn {
namespace {

// Four phases of 512 x 512 x 400 are 800 MB; one object of more than this is a mistake or an attack.
constexpr uint64_t decoded_max_bytes = UINT64_C(1) << 31;

void register_codecs() {
  static std::once_flag once;
  std::call_once(once, [] {
    DcmRLEDecoderRegistration::registerCodecs();
    DJDecoderRegistration::registerCodecs();
    DJLSDecoderRegistration::registerCodecs();
  });
}

bool is_openjpeg(const std::string &uid) {
  static const char *const uids[] = {"1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.4.91", "1.2.840.10008.1.2.4.201",
                                     "1.2.840.10008.1.2.4.202", "1.2.840.10008.1.2.4.203"};
  return std::any_of(std::begin(uids), std::end(uids), [&](const char *known) { return uid == known; });
}

bool fail(const Pixels &pixels, lvn_error *err, const char *reason) {
  return lvn_error_set(err, LVN_ERROR_DATA, "object %s: %s", pixels.sop_instance_uid.c_str(), reason);
}

bool check_shape(const Pixels &pixels, size_t *ret_values, lvn_error *err) {
  uint64_t count = static_cast<uint64_t>(pixels.rows) * pixels.columns;
  if (pixels.samples != 1 || (pixels.bits_allocated != 8 && pixels.bits_allocated != 16)) {
    return lvn_error_set(err, LVN_ERROR_DATA, "object %s: %u samples of %u bits per pixel are not supported",
                         pixels.sop_instance_uid.c_str(), pixels.samples, pixels.bits_allocated);
  }
  if (pixels.bits_stored == 0 || pixels.bits_stored > pixels.bits_allocated ||
      pixels.high_bit >= pixels.bits_allocated || pixels.high_bit + 1 < pixels.bits_stored) {
    return fail(pixels, err, "bits stored, high bit and bits allocated contradict one another");
  }
  if (__builtin_mul_overflow(count, static_cast<uint64_t>(pixels.frames), &count) || count == 0 ||
      count > decoded_max_bytes / 2) {
    return fail(pixels, err, "the number of pixels is zero or too large");
  }
  *ret_values = static_cast<size_t>(count);
  return true;
}

// One code stream per frame: all fragments of a single frame, else one fragment each (PS3.5 A.4.4).
bool decode_openjpeg(const Pixels &pixels, DcmPixelData &element, std::vector<uint16_t> &values, lvn_error *err) {
  DcmPixelSequence *sequence = nullptr;
  E_TransferSyntax syntax = EXS_Unknown;
  const DcmRepresentationParameter *parameter = nullptr;
  element.getOriginalRepresentationKey(syntax, parameter);
  if (element.getEncapsulatedRepresentation(syntax, parameter, sequence).bad() || sequence == nullptr) {
    return fail(pixels, err, "the compressed pixel data have no fragments");
  }
  const unsigned long fragments = sequence->card() - 1; // the first item is the offset table
  if (sequence->card() < 2 || (pixels.frames > 1 && fragments != pixels.frames)) {
    return fail(pixels, err, "the fragments of the compressed pixel data do not match its frames");
  }
  const size_t frame_values = static_cast<size_t>(pixels.rows) * pixels.columns;
  std::vector<uint8_t> stream;
  for (unsigned long i = 1; i <= fragments; i++) {
    DcmPixelItem *item = nullptr;
    Uint8 *bytes = nullptr;
    if (sequence->getItem(item, i).bad() || item->getUint8Array(bytes).bad() || bytes == nullptr) {
      return fail(pixels, err, "a fragment of the compressed pixel data cannot be read");
    }
    stream.insert(stream.end(), bytes, bytes + item->getLength());
    if (pixels.frames == 1 && i < fragments) {
      continue;
    }
    const size_t frame = pixels.frames == 1 ? 0 : i - 1;
    if (!lvn_j2k_decode(stream.data(), stream.size(), pixels.columns, pixels.rows, values.data() + frame * frame_values,
                        err)) {
      return lvn_error_prefix(err, "object %s", pixels.sop_instance_uid.c_str());
    }
    stream.clear();
  }
  return true;
}

bool take_native(const Pixels &pixels, DcmItem &dataset, std::vector<uint16_t> &values, lvn_error *err) {
  unsigned long count = 0;
  if (pixels.bits_allocated == 16) {
    const Uint16 *words = nullptr;
    if (dataset.findAndGetUint16Array(DCM_PixelData, words, &count).bad() || words == nullptr ||
        count < values.size()) {
      return fail(pixels, err, "the pixel data do not match rows, columns and frames");
    }
    std::memcpy(values.data(), words, values.size() * sizeof values[0]);
    return true;
  }
  const Uint8 *bytes = nullptr;
  if (dataset.findAndGetUint8Array(DCM_PixelData, bytes, &count).bad() || bytes == nullptr || count < values.size()) {
    return fail(pixels, err, "the pixel data do not match rows, columns and frames");
  }
  std::copy(bytes, bytes + values.size(), values.begin());
  return true;
}

// Writers fill up to a block: what lies behind the last pixel is no pixel (PS3.5 8.1.1). As much as a further frame is
// no filler, though: then rows, columns or frames are untrue.
bool check_native_length(const Pixels &pixels, DcmItem &dataset, size_t value_count, lvn_error *err) {
  constexpr uint64_t block_bytes = 65536;
  DcmElement *element = nullptr;
  const uint64_t wanted = static_cast<uint64_t>(value_count) * (pixels.bits_allocated / 8U);
  if (dataset.findAndGetElement(DCM_PixelData, element).bad() || element == nullptr) {
    return fail(pixels, err, "there are no pixel data");
  }
  const uint64_t found = element->getLength();
  if (found < wanted || found - wanted >= std::max(wanted / pixels.frames, block_bytes)) {
    return lvn_error_set(err, LVN_ERROR_DATA, "object %s: %llu bytes of pixel data where %u x %u x %u need %llu",
                         pixels.sop_instance_uid.c_str(), static_cast<unsigned long long>(found), pixels.columns,
                         pixels.rows, pixels.frames, static_cast<unsigned long long>(wanted));
  }
  return true;
}

// A JPEG or JPEG-LS stream that ends without its End Of Image mark, as some scanners write it: the decoder would wait
// for more. ITU-T T.81 B.1.1.3: FF D9.
void close_jpeg_streams(const Pixels &pixels, DcmDataset &dataset) {
  DcmElement *element = nullptr;
  DcmPixelSequence *sequence = nullptr;
  E_TransferSyntax syntax = EXS_Unknown;
  const DcmRepresentationParameter *parameter = nullptr;
  auto *data =
      dataset.findAndGetElement(DCM_PixelData, element).good() ? dynamic_cast<DcmPixelData *>(element) : nullptr;
  if (data == nullptr || pixels.transfer_syntax_uid.rfind("1.2.840.10008.1.2.4.", 0) != 0) {
    return;
  }
  data->getOriginalRepresentationKey(syntax, parameter);
  if (data->getEncapsulatedRepresentation(syntax, parameter, sequence).bad() || sequence == nullptr) {
    return;
  }
  const unsigned long fragments = sequence->card() > 0 ? sequence->card() - 1 : 0;
  const bool is_one_each = fragments == pixels.frames;
  for (unsigned long i = 1; i <= fragments; i++) {
    DcmPixelItem *item = nullptr;
    Uint8 *bytes = nullptr;
    if ((!is_one_each && i < fragments) || sequence->getItem(item, i).bad() || item->getUint8Array(bytes).bad() ||
        bytes == nullptr) {
      continue;
    }
    size_t length = item->getLength();
    while (length > 2 && bytes[length - 1] == 0) { // padding
      length--;
    }
    if (length < 4 || (bytes[length - 2] == 0xFF && bytes[length - 1] == 0xD9)) {
      continue;
    }
    std::vector<Uint8> closed(bytes, bytes + item->getLength());
    closed.insert(closed.end(), {0xFF, 0xD9});
    closed.resize(closed.size() + (closed.size() & 1U), 0);
    (void)item->putUint8Array(closed.data(), static_cast<unsigned long>(closed.size()));
  }
}

bool is_native_little_endian(const Pixels &pixels) {
  const E_TransferSyntax syntax = DcmXfer(pixels.transfer_syntax_uid.c_str()).getXfer();
  return syntax == EXS_LittleEndianExplicit || syntax == EXS_LittleEndianImplicit;
}

uint64_t native_bytes(const Pixels &pixels) {
  const uint64_t bits =
      static_cast<uint64_t>(pixels.rows) * pixels.columns * pixels.frames * pixels.samples * pixels.bits_allocated;
  return (bits + 7) / 8;
}

// Does the file end with pixel data of this length?
bool ends_with_pixels(const std::string &path, uint64_t length) {
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  const auto size = static_cast<int64_t>(file.tellg());
  for (const int64_t header : {8, 12}) {
    char tag[4] = {};
    file.clear();
    file.seekg(size - header - static_cast<int64_t>(length));
    if (file.read(tag, sizeof tag) && std::string(tag, sizeof tag) == std::string("\xE0\x7F\x10\x00", 4)) {
      return true;
    }
  }
  return false;
}

} // namespace

std::string pixel_length_doubt(DcmItem &dataset, const Pixels &pixels) {
  DcmElement *element = nullptr;
  if (!is_native_little_endian(pixels) || dataset.findAndGetElement(DCM_PixelData, element).bad() ||
      element == nullptr) {
    return "";
  }
  if (element->getLength() > native_bytes(pixels) + 1) {
    return "its pixel data are longer than its " + std::to_string(pixels.frames) + " frames of " +
           std::to_string(pixels.columns) + " x " + std::to_string(pixels.rows) + " pixels";
  }
  // What ends the data set ends the file, too: bytes put in or lost between shift what lies behind them. Signatures,
  // padding and private elements may follow the pixels, nothing else.
  DcmElement *last = dataset.getElement(dataset.card() - 1);
  const bool is_whole = last == element ? ends_with_pixels(pixels.path, element->getLength())
                                        : last->getGTag() >= 0xFFFA || (last->getGTag() & 1U) != 0;
  return is_whole ? "" : "its file goes on behind the pixel data, which may be shifted";
}

std::string pixel_length_doubt(const Pixels &pixels) {
  DcmFileFormat file;
  lvn_error ignored{};
  const uint64_t bytes = native_bytes(pixels);
  if (!is_native_little_endian(pixels) || ends_with_pixels(pixels.path, bytes + (bytes & 1U)) ||
      !load_scanned(pixels.path, true, pixels.is_odd, file, &ignored)) {
    return "";
  }
  return pixel_length_doubt(*file.getDataset(), pixels);
}

bool decode_pixels(const Pixels &pixels, std::vector<uint16_t> &ret_values, lvn_error *err) {
  size_t count = 0;
  DcmFileFormat file;
  if (!check_shape(pixels, &count, err) || !load_scanned(pixels.path, true, pixels.is_odd, file, err)) {
    return false;
  }
  DcmDataset &dataset = *file.getDataset();
  ret_values.assign(count, 0);
  if (is_openjpeg(pixels.transfer_syntax_uid)) {
    DcmElement *element = nullptr;
    if (dataset.findAndGetElement(DCM_PixelData, element).bad() || element == nullptr) {
      return fail(pixels, err, "there are no pixel data");
    }
    auto *data = dynamic_cast<DcmPixelData *>(element);
    return data != nullptr ? decode_openjpeg(pixels, *data, ret_values, err)
                           : fail(pixels, err, "the pixel data are no pixel element");
  }
  if (is_encapsulated(dataset.getOriginalXfer())) {
    register_codecs();
    close_jpeg_streams(pixels, dataset);
    const OFCondition status = dataset.chooseRepresentation(EXS_LittleEndianExplicit, nullptr);
    if (status.bad() || !dataset.canWriteXfer(EXS_LittleEndianExplicit)) {
      return lvn_error_set(err, LVN_ERROR_DATA, "object %s in transfer syntax %s cannot be decoded: %s",
                           pixels.sop_instance_uid.c_str(), pixels.transfer_syntax_uid.c_str(), status.text());
    }
  } else if (!check_native_length(pixels, dataset, count, err)) {
    return false;
  }
  return take_native(pixels, dataset, ret_values, err);
}

bool HuTable::is_for(const Pixels &pixels, const Frame &frame) const {
  return !hu_.empty() && slope_ == frame.slope && intercept_ == frame.intercept && high_bit_ == pixels.high_bit &&
         bits_stored_ == pixels.bits_stored && is_signed_ == pixels.is_signed && has_padding_ == pixels.has_padding &&
         padding_value_ == pixels.padding_value && padding_limit_ == pixels.padding_limit;
}

void HuTable::fill(const Pixels &pixels, const Frame &frame) {
  const unsigned shift = static_cast<unsigned>(pixels.high_bit + 1 - pixels.bits_stored);
  const uint32_t mask = (UINT32_C(1) << pixels.bits_stored) - 1;
  const uint32_t sign = pixels.is_signed ? UINT32_C(1) << (pixels.bits_stored - 1) : 0;
  const auto widen = [&](uint16_t raw) {
    return pixels.is_signed ? static_cast<int32_t>(static_cast<int16_t>(raw)) : static_cast<int32_t>(raw);
  };
  const int32_t low = std::min(widen(pixels.padding_value), widen(pixels.padding_limit));
  const int32_t high = std::max(widen(pixels.padding_value), widen(pixels.padding_limit));
  hu_.resize(65536);
  for (uint32_t raw = 0; raw < 65536; raw++) {
    const uint32_t stored = raw >> shift & mask;
    const int32_t value = static_cast<int32_t>(stored ^ sign) - static_cast<int32_t>(sign);
    bool is_padding = pixels.has_padding &&
                      ((value >= low && value <= high) || raw == pixels.padding_value); // outside the stored bits too
    const double hu = std::round(value * frame.slope + frame.intercept);
    // Nothing attenuates less than a vacuum (-1000 HU): what lies far below is a filler outside the reconstruction
    // circle that the object does not declare (-3024 on many GE scanners).
    is_padding = is_padding || hu < -2000.0;
    hu_[raw] = is_padding ? LVN_HU_PADDING : static_cast<int16_t>(std::min(std::max(hu, -32767.0), 32767.0));
  }
  slope_ = frame.slope;
  intercept_ = frame.intercept;
  high_bit_ = pixels.high_bit;
  bits_stored_ = pixels.bits_stored;
  is_signed_ = pixels.is_signed;
  has_padding_ = pixels.has_padding;
  padding_value_ = pixels.padding_value;
  padding_limit_ = pixels.padding_limit;
}

void HuTable::apply(const Pixels &pixels, const Frame &frame, const uint16_t *values, int16_t *ret_hu) {
  const size_t count = static_cast<size_t>(pixels.rows) * pixels.columns;
  if (!is_for(pixels, frame)) {
    fill(pixels, frame);
  }
  for (size_t i = 0; i < count; i++) {
    ret_hu[i] = hu_[values[i]];
  }
}

} // namespace lvn
