// Texts of foreign character sets as UTF-8. A wrong declaration loses no word that can be told.
#ifndef LVN_DICOM_READ_TEXT_DCMTK_HH
#define LVN_DICOM_READ_TEXT_DCMTK_HH

#include <string>

namespace lvn {

// `character_set`: Specific Character Set (0008,0005) as written, "" when absent. What cannot be told becomes '?'.
std::string utf8_of(const std::string &raw, const std::string &character_set);

} // namespace lvn

#endif
