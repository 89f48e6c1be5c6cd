#include "dicom/write/result_common_dcmtk.hh"

#include "base/clock.h"
#include "dicom/load/load_dcmtk.hh"
#include "dicom/write/sr_tree_dcmtk.hh"

#include <cmath>
#include <cstring>
#include <stdexcept>

namespace lvn_write {

namespace {

enum copy_rule {
  copy_identity, // as it is: an altered value would no longer match the PACS's
  copy_or_empty, // type 2
  copy_or_omit   // type 3
};
struct copied_attribute {
  DcmTagKey tag;
  enum copy_rule rule;
};

const struct copied_attribute copied[] = {
    {DCM_PatientName, copy_identity},
    {DCM_PatientID, copy_identity},
    {DCM_AccessionNumber, copy_identity},
    {DCM_PatientBirthDate, copy_or_empty},
    {DCM_PatientSex, copy_or_empty},
    {DCM_StudyDate, copy_or_empty},
    {DCM_StudyTime, copy_or_empty},
    {DCM_StudyID, copy_or_empty},
    {DCM_ReferringPhysicianName, copy_or_empty},
    {DCM_IssuerOfPatientID, copy_or_omit},
    {DCM_QualityControlSubject, copy_or_omit},
    {DCM_PatientBirthTime, copy_or_omit},
    {DCM_StudyDescription, copy_or_omit},
    {DCM_PatientAge, copy_or_omit},
    {DCM_PatientSize, copy_or_omit},
    {DCM_PatientWeight, copy_or_omit},
};

// Longest value of a VR in bytes (PS3.5 6.2), which DCMTK does not check.
size_t longest(DcmEVR vr) {
  return vr == EVR_SH ? 16 : vr == EVR_PN ? 194 : 64;
}

bool is_usable(DcmElement &element) {
  OFString value;
  if (element.isEmpty() || element.checkValue("1", OFFalse).bad() || element.getOFString(value, 0).bad() ||
      value.size() > longest(element.ident())) {
    return false;
  }
  if (element.getTag() == DCM_PatientSex) {
    return value == "M" || value == "F" || value == "O";
  }
  return true;
}

void put_contributing_equipment(DcmItem &dataset, const Work &work) {
  char date_time[LVN_TIME_TEXT_BYTES];
  lvn_clock_format_dt(work.request.wall_ms, date_time);
  DcmItem &equipment = add_item(dataset, DCM_ContributingEquipmentSequence);
  put_code(equipment, DCM_PurposeOfReferenceCodeSequence, *lvn_code_get(LVN_CODE_PROCESSING_EQUIPMENT));
  put(equipment, DCM_Manufacturer, node_manufacturer);
  put(equipment, DCM_ManufacturerModelName, node_model);
  put(equipment, DCM_StationName, plain_text(work.request.station_name, 16));
  put(equipment, DCM_SoftwareVersions, plain_text(work.request.software_version, 64));
  put(equipment, DCM_DeviceUID, work.findings.model.device_uid);
  put(equipment, DCM_ContributionDateTime, date_time);
  put(equipment, DCM_ContributionDescription,
      "Liver lesion classification by model " + plain_text(work.findings.model.name, 200) + " " +
          plain_text(work.findings.model.version, 64));
}

} // namespace

ResultTemplate::ResultTemplate(const char *path) {
  lvn_error error{};
  if (!lvn::load_file(path, true, file_, &error)) { // pixels stay in the file
    throw std::runtime_error(std::string("cannot read the template object: ") + error.message);
  }
}

std::string ResultTemplate::study_instance_uid() {
  OFString uid;
  if (file_.getDataset()->findAndGetOFString(DCM_StudyInstanceUID, uid).bad() || uid.empty()) {
    throw std::runtime_error("the template object has no StudyInstanceUID");
  }
  return uid.c_str();
}

void ResultTemplate::copy_into(DcmItem &dataset) {
  DcmDataset &source = *file_.getDataset();
  DcmElement *element = nullptr;
  put(dataset, DCM_StudyInstanceUID, study_instance_uid());
  if (source.findAndGetElement(DCM_SpecificCharacterSet, element).good() && !element->isEmpty()) {
    source.findAndInsertCopyOfElement(DCM_SpecificCharacterSet, &dataset);
  }
  for (const struct copied_attribute &attribute : copied) {
    const bool found = source.findAndGetElement(attribute.tag, element).good();
    if (found && (attribute.rule == copy_identity || is_usable(*element))) {
      if (source.findAndInsertCopyOfElement(attribute.tag, &dataset).bad()) {
        throw std::runtime_error("cannot copy an attribute of the template object");
      }
    } else if (attribute.rule != copy_or_omit) {
      put(dataset, attribute.tag, "");
    }
  }
}

std::string result_uid(const char *job_key, const char *role, size_t lesion_index) {
  return uid_of({"result", job_key, role, std::to_string(lesion_index)});
}

std::string result_series_uid(const char *job_key, const char *role) {
  return result_uid(job_key, (std::string(role) + "-series").c_str(), 0);
}

bool is_written(const struct lvn_findings &findings, const std::string &sop_instance_uid) {
  for (size_t i = 0; i < findings.object_count; i++) {
    if (sop_instance_uid == findings.objects[i].sop_instance_uid) {
      return true;
    }
  }
  return false;
}

void add_further_evidence(Evidence &evidence, const Work &work) {
  static const struct {
    const char *sop_class_uid;
    const char *role;
  } kinds[] = {{UID_SegmentationStorage, "seg"},
               {UID_GrayscaleSoftcopyPresentationStateStorage, "gsps"},
               {UID_EncapsulatedPDFStorage, "pdf"},
               {UID_ParametricMapStorage, "pmap"}};
  for (size_t i = 0; i < work.findings.object_count; i++) {
    const struct lvn_result_object &object = work.findings.objects[i];
    for (const auto &kind : kinds) {
      if (std::strcmp(kind.sop_class_uid, object.sop_class_uid) == 0) {
        evidence.add(result_series_uid(work.request.job_key, kind.role), object.sop_class_uid, object.sop_instance_uid);
      }
    }
  }
}

std::string replacement_note(const struct lvn_result_request &request) {
  char when[LVN_TIME_TEXT_BYTES];
  if (request.replaced_wall_ms == 0) {
    return "";
  }
  lvn_clock_format_people(request.replaced_wall_ms, when);
  return std::string("This replaces the results of ") + when +
         ": the study's objects, or the model, have changed since";
}

std::string tracking_name_of(const struct lvn_findings &findings, size_t lesion_index) {
  std::string name = plain_text(findings.lesions[lesion_index].tracking_id, 1024);
  if (name.rfind("Cornerstone3DTools@", 0) == 0 || name.rfind("cornerstoneTools@", 0) == 0) {
    const size_t tool = name.find(':');
    const size_t own = tool == std::string::npos ? tool : name.find(':', tool + 1);
    name = own == std::string::npos ? "" : name.substr(own + 1);
  }
  return name.empty() ? "Lesion " + std::to_string(lesion_index + 1) : name;
}

std::string tracking_id_of(const struct lvn_findings &findings, size_t lesion_index) {
  return "Cornerstone3DTools@^0.1.0:PlanarFreehandROI:" + tracking_name_of(findings, lesion_index);
}

std::string pixels_problem(const struct lvn_findings_series &series, uint32_t first_slice, uint32_t last_slice) {
  const struct lvn_grid &grid = *series.grid;
  for (uint32_t slice = first_slice; slice <= last_slice; slice++) {
    const double index[3] = {0, 0, static_cast<double>(slice)};
    double corner_mm[3];
    double off_mm = 0;
    lvn_grid_to_patient(&grid, index, corner_mm);
    if (slice >= series.frame_count) {
      return "series " + std::to_string(series.series_number) + " has no image of some slices";
    }
    for (size_t xyz = 0; xyz < 3; xyz++) {
      off_mm = std::fmax(off_mm, std::fabs(corner_mm[xyz] - series.frames[slice].position_mm[xyz]));
    }
    if (!(off_mm < 0.5 * grid.spacing_mm[0])) {
      return "series " + std::to_string(series.series_number) +
             " was resampled, so its voxels are not the pixels of its images" +
             (series.geometry_note[0] != '\0' ? std::string(" (") + series.geometry_note + ")" : "");
    }
  }
  return "";
}

std::string plain_text(const char *text, size_t max_bytes) {
  std::string plain;
  for (const char *p = text == nullptr ? "" : text; *p != '\0' && plain.size() < max_bytes; p++) {
    const unsigned char byte = static_cast<unsigned char>(*p);
    if (byte >= 0x80 && byte < 0xc0) {
      continue; // later bytes of a UTF-8 character, which is one '?'
    }
    plain.push_back(byte < 0x20 || byte > 0x7e || byte == '\\' ? '?' : *p);
  }
  while (!plain.empty() && plain.back() == ' ') {
    plain.pop_back();
  }
  return plain;
}

void put_result_header(DcmItem &dataset, const Work &work, const char *modality, const char *sop_class_uid,
                       const std::string &sop_instance_uid, const std::string &series_instance_uid, int series_number,
                       int instance_number) {
  char date[LVN_TIME_TEXT_BYTES];
  char time[LVN_TIME_TEXT_BYTES];
  lvn_clock_format_da(work.request.wall_ms, date);
  lvn_clock_format_tm(work.request.wall_ms, time);
  put(dataset, DCM_SOPClassUID, sop_class_uid);
  put(dataset, DCM_SOPInstanceUID, sop_instance_uid);
  put(dataset, DCM_InstanceCreationDate, date);
  put(dataset, DCM_InstanceCreationTime, time);
  put_private_scheme(dataset);
  put(dataset, DCM_Modality, modality);
  put(dataset, DCM_SeriesInstanceUID, series_instance_uid);
  put(dataset, DCM_SeriesNumber, std::to_string(series_number));
  put(dataset, DCM_SeriesDescription, result_series_description);
  put(dataset, DCM_SeriesDate, date);
  put(dataset, DCM_SeriesTime, time);
  put(dataset, DCM_ContentDate, date);
  put(dataset, DCM_ContentTime, time);
  put(dataset, DCM_InstanceNumber, std::to_string(instance_number));
  put(dataset, DCM_Manufacturer, node_manufacturer);
  put(dataset, DCM_ManufacturerModelName, node_model);
  put(dataset, DCM_StationName, plain_text(work.request.station_name, 16));
  put(dataset, DCM_DeviceSerialNumber, plain_text(work.request.ae_title, 64));
  put(dataset, DCM_DeviceUID, work.findings.model.device_uid);
  put(dataset, DCM_SoftwareVersions,
      plain_text(work.request.software_version, 64) + "\\" + plain_text(work.findings.model.name, 40) + " " +
          plain_text(work.findings.model.version, 20));
  put_contributing_equipment(dataset, work);
}

} // namespace lvn_write
