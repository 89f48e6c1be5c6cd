// Small words for filling DCMTK data sets: every failed insertion throws, so a half-filled object is never written.
#ifndef LVN_DICOM_WRITE_BUILD_HH
#define LVN_DICOM_WRITE_BUILD_HH

#include "base/error.h"
#include "base/sha256.h"
#include "dicom/write/codes.h"

#include <dcmtk/config/osconfig.h>

#include <dcmtk/dcmdata/dctk.h>

#include <cstdint>
#include <string>
#include <vector>

namespace lvn_write {

// Shortest decimal string that fits DS (16 characters, PS3.5 6.2) and is as exact as that allows.
std::string decimal(double value);

void put(DcmItem &item, const DcmTagKey &tag, const std::string &value);
void put_decimals(DcmItem &item, const DcmTagKey &tag, const double *values, size_t count);
void put_us(DcmItem &item, const DcmTagKey &tag, unsigned value);
void put_bytes(DcmItem &item, const DcmTagKey &tag, const std::vector<uint8_t> &bytes); // OB, even length
DcmItem &add_item(DcmItem &item, const DcmTagKey &sequence_tag);
void put_code(DcmItem &item, const DcmTagKey &sequence_tag, const struct lvn_code &code);
// ReferencedSOPClassUID and ReferencedSOPInstanceUID.
void put_reference(DcmItem &item, const std::string &sop_class_uid, const std::string &sop_instance_uid);
// The private scheme's CodingSchemeIdentificationSequence item (PS3.3 C.12.1.1.7) and UTF-8 free text.
void put_private_scheme(DcmItem &item);

std::string uid_of(const std::vector<std::string> &parts);

// The data set as one DICOM file: fixed implementation UID and version, so that the same data set gives the same bytes.
// Other transfer syntaxes than little endian are encoded losslessly by DCMTK's codecs. `durable` follows
// lvn_file_replace()'s rules; otherwise the file is written without waiting for the disk.
bool save(DcmDataset &dataset, E_TransferSyntax syntax, const char *path, bool durable, struct lvn_error *err);

// Syntax of a UID; throws when DCMTK cannot encode it losslessly.
E_TransferSyntax lossless_syntax(const char *transfer_syntax_uid);

} // namespace lvn_write

#endif
