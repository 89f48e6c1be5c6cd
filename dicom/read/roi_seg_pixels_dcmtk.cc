// Pixels of segmentations: native 1-bit and RLE ones frame by frame as they are asked for, all others at once.
#include "dicom/load/load_dcmtk.hh"
#include "dicom/read/roi_raster.h"
#include "dicom/read/roi_seg_dcmtk.hh"

#include <dcmtk/dcmdata/dcpixel.h>
#include <dcmtk/dcmdata/dcpxitem.h>

namespace lvn {
namespace {

// 1 bit per pixel, least significant first, frames one behind the other without alignment (PS3.5 8.1.1).
bool find_bits(DcmItem &dataset, Seg &seg, lvn_error *err) {
  unsigned long count = 0;
  const size_t bits = static_cast<size_t>(seg.pixels.rows) * seg.pixels.columns * seg.pixels.frames;
  if (dataset.findAndGetUint8Array(DCM_PixelData, seg.bits, &count).bad() || seg.bits == nullptr ||
      count < (bits + 7) / 8) {
    return lvn_error_set(err, LVN_ERROR_DATA, "%lu bytes of pixel data where %zu are needed", count, (bits + 7) / 8);
  }
  return true;
}

// One RLE frame: bits packed in bytes, or one byte per pixel, as writers differ on 1-bit images.
bool unpack_rle_frame(const Seg &seg, const uint8_t *packed, size_t packed_bytes, uint16_t *target, lvn_error *err) {
  const size_t pixels = static_cast<size_t>(seg.pixels.rows) * seg.pixels.columns;
  const size_t segments = seg.pixels.bits_allocated > 8 ? seg.pixels.bits_allocated / 8U : 1;
  if (seg.pixels.bits_allocated == 1 && lvn_raster_measure_rle(packed, packed_bytes, pixels) < pixels) {
    std::vector<uint8_t> bytes((pixels + 7) / 8);
    if (!lvn_raster_unpack_rle(packed, packed_bytes, 1, bytes.size(), bytes.data(), err)) {
      return false;
    }
    for (size_t i = 0; i < pixels; i++) {
      target[i] = bytes[i / 8] >> (i % 8) & 1;
    }
    return true;
  }
  std::vector<uint8_t> bytes(pixels * segments);
  if (!lvn_raster_unpack_rle(packed, packed_bytes, segments, pixels, bytes.data(), err)) {
    return false;
  }
  for (size_t i = 0; i < pixels; i++) {
    const unsigned high = segments == 2 ? bytes[i] : 0U;
    const unsigned low = segments == 2 ? bytes[pixels + i] : bytes[i];
    target[i] = static_cast<uint16_t>(high << 8 | low);
  }
  return true;
}

bool find_fragments(DcmItem &dataset, Seg &seg, lvn_error *err) {
  DcmElement *element = nullptr;
  (void)dataset.findAndGetElement(DCM_PixelData, element);
  auto *data = dynamic_cast<DcmPixelData *>(element);
  if (data == nullptr || data->getEncapsulatedRepresentation(EXS_RLELossless, nullptr, seg.fragments).bad() ||
      seg.fragments == nullptr || seg.fragments->card() != seg.pixels.frames + 1UL || seg.pixels.bits_allocated > 16) {
    return lvn_error_set(err, LVN_ERROR_DATA, "the RLE fragments do not match the %u frames", seg.pixels.frames);
  }
  return true;
}

} // namespace

bool find_values(DcmFileFormat &file, Seg &seg, lvn_error *err) {
  DcmDataset &dataset = *file.getDataset();
  const DcmXfer syntax(dataset.getOriginalXfer());
  seg.pixels.transfer_syntax_uid = syntax.getXferID();
  if (syntax.getXfer() == EXS_RLELossless) {
    return find_fragments(dataset, seg, err);
  }
  if (seg.pixels.bits_allocated == 1) {
    return is_encapsulated(syntax.getXfer())
               ? lvn_error_set(err, LVN_ERROR_DATA, "1-bit pixel data in transfer syntax %s are not supported",
                               syntax.getXferID())
               : find_bits(dataset, seg, err);
  }
  if (!decode_pixels(seg.pixels, seg.values, err)) {
    return false;
  }
  const size_t needed = static_cast<size_t>(seg.pixels.rows) * seg.pixels.columns * seg.pixels.frames;
  return seg.values.size() >= needed ||
         lvn_error_set(err, LVN_ERROR_DATA, "the pixel data are too short for %u frames", seg.pixels.frames);
}

const uint16_t *values_of(Seg &seg, size_t frame, lvn_error *err) {
  const size_t pixels = static_cast<size_t>(seg.pixels.rows) * seg.pixels.columns;
  if (!seg.values.empty()) {
    return seg.values.data() + frame * pixels;
  }
  if (seg.unpacked_frame == frame) {
    return seg.unpacked.data();
  }
  seg.unpacked.resize(pixels);
  if (seg.bits != nullptr) {
    for (size_t i = 0, bit = frame * pixels; i < pixels; i++, bit++) {
      seg.unpacked[i] = seg.bits[bit / 8] >> (bit % 8) & 1;
    }
  } else {
    DcmPixelItem *item = nullptr;
    Uint8 *bytes = nullptr;
    if (seg.fragments->getItem(item, static_cast<unsigned long>(frame) + 1).bad() || item->getUint8Array(bytes).bad() ||
        bytes == nullptr) {
      (void)lvn_error_set(err, LVN_ERROR_DATA, "RLE fragment %zu cannot be read", frame + 1);
      return nullptr;
    }
    if (!unpack_rle_frame(seg, bytes, item->getLength(), seg.unpacked.data(), err)) {
      (void)lvn_error_prefix(err, "frame %zu", frame + 1);
      return nullptr;
    }
  }
  seg.unpacked_frame = frame;
  return seg.unpacked.data();
}

} // namespace lvn
