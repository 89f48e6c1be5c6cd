// What only the stacks of a study side by side can tell: that two are the same pixels, that one is one energy of a
// dual-energy scan, that many are the passes of a perfusion run. Private to dicom/read.
#ifndef LVN_DICOM_READ_STACK_COMPARE_DCMTK_HH
#define LVN_DICOM_READ_STACK_COMPARE_DCMTK_HH

#include "dicom/read/study_dcmtk.hh"

#include <string>
#include <vector>

namespace lvn {

// Decodes frames one after another; of a multi-frame object the last one stays decoded.
class HuReader {
public:
  explicit HuReader(const lvn_study &study) : study_(study) {
  }
  // SHA-256 of the HU of these frames, 32 bytes; empty when one cannot be decoded.
  std::string digest_of(const std::vector<size_t> &frames);

private:
  const lvn_study &study_;
  std::vector<uint16_t> values_;
  HuTable table_;
  size_t loaded_ = SIZE_MAX;
};

size_t nearest_slice(const Stack &stack, const lvn_slice &slice);

void compare_stacks(lvn_study &study);

} // namespace lvn

#endif
