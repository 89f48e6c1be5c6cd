// A file for DCMTK's parser, which recurses without a limit and refuses much that other toolkits read: it only meets
// what the bounded scan has passed, and where the scan found oddities, its mended copy.
#ifndef LVN_DICOM_LOAD_LOAD_DCMTK_HH
#define LVN_DICOM_LOAD_LOAD_DCMTK_HH

#include "base/error.h"

#include <string>

#include <dcmtk/config/osconfig.h>

#include <dcmtk/dcmdata/dctk.h>

namespace lvn {

// Up to its pixel data, or whole. LVN_ERROR_DATA names the file.
bool load_file(const std::string &path, bool with_pixels, DcmFileFormat &file, lvn_error *err);

// The same for a file that lvn_scan_file() has just passed without a problem: `is_odd` is what it said.
bool load_scanned(const std::string &path, bool with_pixels, bool is_odd, DcmFileFormat &file, lvn_error *err);

// Are the pixel data of this transfer syntax in fragments (PS3.5 A.4)? DCMTK changed the name of the question.
inline bool is_encapsulated(E_TransferSyntax syntax) {
#if OFFIS_DCMTK_VERSION_NUMBER >= 369
  return DcmXfer(syntax).usesEncapsulatedFormat();
#else
  return DcmXfer(syntax).isEncapsulated();
#endif
}

} // namespace lvn

#endif
