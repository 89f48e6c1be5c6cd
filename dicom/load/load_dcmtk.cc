#include "dicom/load/load_dcmtk.hh"

#include "base/memory.h"
#include "base/sha256.h"
#include "dicom/scan/scan.h"

#include <cctype>
#include <cstring>
#include <memory>

#include <dcmtk/dcmdata/dcdicent.h>
#include <dcmtk/dcmdata/dcdict.h>
#include <dcmtk/dcmdata/dcistrmb.h>

namespace lvn {
namespace {

// The dictionary's VR of a standard element; what it leaves open (US or SS, OB or OW) as images have it most often.
const char *vr_of(uint32_t tag) {
  static thread_local char vr[3];
  const DcmTagKey key(static_cast<Uint16>(tag >> 16), static_cast<Uint16>(tag & 0xFFFFU));
  if ((tag >> 16 & 1U) != 0) {
    return nullptr;
  }
  const DcmDataDictionary &dictionary = dcmDataDict.rdlock();
  const DcmDictEntry *entry = dictionary.findEntry(key, nullptr);
  const DcmEVR evr = entry != nullptr ? entry->getEVR() : EVR_UN;
  dcmDataDict.rdunlock();
  const char *name = evr == EVR_xs                                     ? "US"
                     : evr == EVR_ox || evr == EVR_px || evr == EVR_lt ? "OW"
                                                                       : DcmVR(evr).getVRName();
  std::memcpy(vr, name, 2);
  vr[2] = '\0';
  return std::isupper(static_cast<unsigned char>(vr[0])) != 0 ? vr : nullptr;
}

struct Freed {
  void operator()(uint8_t *bytes) const {
    lvn_free(bytes);
  }
};

bool load_mended(const std::string &path, DcmFileFormat &file, lvn_error *err) {
  uint8_t *bytes = nullptr;
  size_t count = 0;
  if (!lvn_scan_mend(path.c_str(), vr_of, &bytes, &count, err)) {
    return false;
  }
  const std::unique_ptr<uint8_t, Freed> owned(bytes);
  DcmInputBufferStream stream;
  stream.setBuffer(bytes, static_cast<offile_off_t>(count));
  stream.setEos();
  file.transferInit();
  OFCondition status = file.read(stream);
  file.transferEnd();
  if (status.good()) {
    status = file.loadAllDataIntoMemory(); // the buffer ends here
  }
  return status.good() || lvn_error_set(err, LVN_ERROR_DATA, "%s: %s", path.c_str(), status.text());
}

OFCondition load(const std::string &path, bool with_pixels, DcmFileFormat &file) {
  constexpr Uint32 all_bytes = 0xFFFFFFFFU; // or the pixels would be read later, where a failing disk is not noticed
  return with_pixels
             ? file.loadFile(path.c_str(), EXS_Unknown, EGL_noChange, all_bytes)
             : file.loadFileUntilTag(path.c_str(), EXS_Unknown, EGL_noChange, 65536, ERM_autoDetect, DCM_PixelData);
}

} // namespace

// DCMTK has one answer for a damaged object, a failing disk and too few file descriptors. What the node lacks for a
// moment must not refuse a study or leave out an image: where the bytes themselves cannot be read, the error says so
// and is tried later; where they can, the object gets a second try.
bool load_scanned(const std::string &path, bool with_pixels, bool is_odd, DcmFileFormat &file, lvn_error *err) {
  if (is_odd) {
    return load_mended(path, file, err);
  }
  uint8_t unused[LVN_SHA256_BYTES];
  OFCondition status = load(path, with_pixels, file);
  if (status.good()) {
    return true;
  }
  if (!lvn_sha256_of_file(path.c_str(), unused, err)) {
    return false;
  }
  (void)file.clear();
  status = load(path, with_pixels, file);
  return status.good() || lvn_error_set(err, LVN_ERROR_DATA, "%s: %s", path.c_str(), status.text());
}

bool load_file(const std::string &path, bool with_pixels, DcmFileFormat &file, lvn_error *err) {
  lvn_scan scan{};
  if (!lvn_scan_file(path.c_str(), &scan, err)) {
    return false;
  }
  if (scan.problem[0] != '\0') {
    return lvn_error_set(err, LVN_ERROR_DATA, "%s: %s", path.c_str(), scan.problem);
  }
  return load_scanned(path, with_pixels, scan.is_odd, file, err);
}

} // namespace lvn
