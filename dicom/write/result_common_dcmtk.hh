// What all result objects of a job share: the study they belong to, their UIDs, equipment and times.
#ifndef LVN_DICOM_WRITE_RESULT_COMMON_HH
#define LVN_DICOM_WRITE_RESULT_COMMON_HH

#include "dicom/write/build_dcmtk.hh"
#include "dicom/write/result.h"

namespace lvn_write {

constexpr const char *result_series_description = "CAUTION: research use only. AI liver lesion result, unverified";
constexpr const char *node_manufacturer = "Liver-VLM node project";
constexpr const char *node_model = "Liver-VLM node";
// Viewers hang series by their numbers: the pictures first, which every viewer shows.
constexpr int result_capture_series_number = 9101;
constexpr int result_sr_series_number = 9102;
constexpr int result_seg_series_number = 9103;
constexpr int result_key_object_series_number = 9104;
constexpr int result_document_series_number = 9105;
constexpr int result_presentation_series_number = 9106;
constexpr int result_map_series_number = 9107;

// Header of the template object, without its pixels.
class ResultTemplate {
public:
  explicit ResultTemplate(const char *path);
  // Patient, Patient Study and General Study modules. Identity is copied as it is; any other value that is not valid
  // for its VR is left out, so that a careless scanner does not make the result invalid.
  void copy_into(DcmItem &dataset);
  std::string study_instance_uid();

private:
  DcmFileFormat file_;
};

// What a writer of result objects works on.
struct Work {
  const struct lvn_findings &findings;
  const struct lvn_result_request &request;
  ResultTemplate source;
};

// Of an instance or series that a job writes.
std::string result_uid(const char *job_key, const char *role, size_t lesion_index);

// SOP Common, General Series, General Equipment, Contributing Equipment (IHE AIR), content date and time.
void put_result_header(DcmItem &dataset, const Work &work, const char *modality, const char *sop_class_uid,
                       const std::string &sop_instance_uid, const std::string &series_instance_uid, int series_number,
                       int instance_number);

// Printable ASCII, which every SpecificCharacterSet of a template can hold; at most `max_bytes`.
std::string plain_text(const char *text, size_t max_bytes);

// Was this instance written before?
bool is_written(const struct lvn_findings &findings, const std::string &sop_instance_uid);

// What was made for the study beside the report and the captures, by the series that it is in.
class Evidence;
void add_further_evidence(Evidence &evidence, const Work &work);

// "This replaces the results of …", where earlier ones were sent; else empty.
std::string replacement_note(const struct lvn_result_request &request);

// Throws for findings that cannot be.
void check_findings(const struct lvn_findings &findings);

// Saves the object, checks what was written and tells it to the findings.
bool finish_result(DcmDataset &dataset, const char *name, struct lvn_findings &findings,
                   const struct lvn_result_request &request, struct lvn_error *err);

// The name of a lesion by its ROI, as people read it; never empty.
std::string tracking_name_of(const struct lvn_findings &findings, size_t lesion_index);

// OHIF takes a measurement over by this prefix, which names its tool for closed outlines; what follows is the ROI's own
// name, without the prefix of a tool that it was drawn with.
// Every object of a job gives it alike.
std::string tracking_id_of(const struct lvn_findings &findings, size_t lesion_index);

// Why a series' voxels are not the pixels of its images; empty when they are.
std::string pixels_problem(const struct lvn_findings_series &series, uint32_t first_slice, uint32_t last_slice);

// The series of each kind of object: one for a job.
std::string result_series_uid(const char *job_key, const char *role);

// Implemented in result_capture_dcmtk.cc and result_sr_dcmtk.cc.
void fill_capture(DcmDataset &dataset, Work &work, size_t lesion_index);
void fill_overview(DcmDataset &dataset, Work &work);
void fill_report(DcmDataset &dataset, Work &work);

} // namespace lvn_write

#endif
