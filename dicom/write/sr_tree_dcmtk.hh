// Content items of Structured Reports (PS3.3 C.17.3), one word per value type.
#ifndef LVN_DICOM_WRITE_SR_TREE_HH
#define LVN_DICOM_WRITE_SR_TREE_HH

#include "dicom/write/build_dcmtk.hh"

#include <map>
#include <set>
#include <utility>

namespace lvn_write {

// Relationships as PS3.3 C.17.3.2.4 spells them.
constexpr const char *sr_contains = "CONTAINS";
constexpr const char *sr_has_context = "HAS OBS CONTEXT";
constexpr const char *sr_modifies = "HAS CONCEPT MOD";
constexpr const char *sr_acquisition = "HAS ACQ CONTEXT";
constexpr const char *sr_selected_from = "SELECTED FROM";
constexpr const char *sr_has_property = "HAS PROPERTIES";
constexpr const char *sr_inferred_from = "INFERRED FROM";

DcmItem &sr_container(DcmItem &parent, enum lvn_code_id name, const char *template_id);
DcmItem &sr_text(DcmItem &parent, const char *relationship, enum lvn_code_id name, const std::string &text);
DcmItem &sr_code(DcmItem &parent, const char *relationship, enum lvn_code_id name, const struct lvn_code &value);
DcmItem &sr_uid(DcmItem &parent, const char *relationship, enum lvn_code_id name, const std::string &uid);
DcmItem &sr_number(DcmItem &parent, const char *relationship, enum lvn_code_id name, double value,
                   enum lvn_code_id unit);
// `name` may be LVN_CODE_COUNT: no concept name; frame 0: single-frame.
DcmItem &sr_image(DcmItem &parent, const char *relationship, enum lvn_code_id name, const std::string &sop_class_uid,
                  const std::string &sop_instance_uid, uint32_t frame_number);
// Contained, without a concept name.
DcmItem &sr_composite(DcmItem &parent, const std::string &sop_class_uid, const std::string &sop_instance_uid);
DcmItem &sr_polyline(DcmItem &parent, const char *relationship, enum lvn_code_id name,
                     const std::vector<float> &column_row);

// A document's root container.
void sr_put_title(DcmItem &dataset, enum lvn_code_id title, const char *template_id);
// The root container of a TID 1500 document and its SR document flags: complete for its scope, unverified.
void sr_put_root(DcmItem &dataset);
// Language and device observer (TID 1204, 1002, 1004).
struct sr_device {
  std::string uid;
  std::string name;
  std::string manufacturer;
  std::string model;
  std::string serial;
};
void sr_put_observer(DcmItem &dataset, const struct sr_device &device);

// The instances of an evidence sequence (PS3.3 C.17.2), each once, grouped by series in order of first mention.
class Evidence {
public:
  void add(const std::string &series_instance_uid, const std::string &sop_class_uid,
           const std::string &sop_instance_uid);
  void put_into(DcmItem &dataset, const DcmTagKey &sequence_tag, const std::string &study_instance_uid) const;

private:
  struct Series {
    std::string uid;
    std::vector<std::pair<std::string, std::string>> instances; // class, instance
  };
  std::vector<Series> series_;
  std::map<std::string, size_t> series_index_;
  std::set<std::string> known_;
};

} // namespace lvn_write

#endif
