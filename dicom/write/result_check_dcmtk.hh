// Words of the check of result objects. They share nothing with what writes the objects.
#ifndef LVN_DICOM_WRITE_RESULT_CHECK_HH
#define LVN_DICOM_WRITE_RESULT_CHECK_HH

#include "dicom/write/result.h"

#include <dcmtk/config/osconfig.h>

#include <dcmtk/dcmdata/dctk.h>

#include <set>
#include <string>
#include <vector>

namespace lvn_check {

[[noreturn]] void fail(const std::string &what);
void require(bool holds, const std::string &what);
std::string text_of(DcmItem &item, const DcmTagKey &tag);
void require_value(DcmItem &item, const DcmTagKey &tag, const char *wanted);
void require_filled(DcmItem &item, const DcmTagKey &tag);
void require_present(DcmItem &item, const DcmTagKey &tag);
void require_uid(DcmItem &item, const DcmTagKey &tag);
std::vector<DcmItem *> items_of(DcmItem &item, const DcmTagKey &tag);
// "value:scheme" of a code sequence, empty when there is none; every code must have its meaning too.
std::string code_of(DcmItem &item, const DcmTagKey &tag);
// Content items; `name` nullptr: whatever they are called.
std::vector<DcmItem *> children(DcmItem &parent, const char *relationship, const char *type, const char *name);
DcmItem &only_child(DcmItem &parent, const char *relationship, const char *type, const char *name);

using Uids = std::set<std::string>;
Uids evidence_uids(DcmItem &dataset);
// Every reference to an object is in the evidence, every NUM has a number and a unit, every other item has a name.
void check_content(DcmItem &parent, const Uids &evidence);

// Segmentation, key object selection, presentation state, encapsulated PDF; false for any other class.
bool check_further(const std::string &sop_class_uid, DcmItem &dataset);

} // namespace lvn_check

#endif
