#include "dicom/write/sr_tree_dcmtk.hh"

#include <stdexcept>

namespace lvn_write {

namespace {

DcmItem &add_content(DcmItem &parent, const char *relationship, const char *value_type, enum lvn_code_id name) {
  DcmItem &item = add_item(parent, DCM_ContentSequence);
  put(item, DCM_RelationshipType, relationship);
  put(item, DCM_ValueType, value_type);
  if (name != LVN_CODE_COUNT) {
    put_code(item, DCM_ConceptNameCodeSequence, *lvn_code_get(name));
  }
  return item;
}

void put_template(DcmItem &item, const char *template_id) {
  DcmItem &content_template = add_item(item, DCM_ContentTemplateSequence);
  put(content_template, DCM_MappingResource, "DCMR");
  put(content_template, DCM_TemplateIdentifier, template_id);
}

} // namespace

DcmItem &sr_container(DcmItem &parent, enum lvn_code_id name, const char *template_id) {
  DcmItem &item = add_content(parent, sr_contains, "CONTAINER", name);
  put(item, DCM_ContinuityOfContent, "SEPARATE");
  if (template_id != nullptr) {
    put_template(item, template_id);
  }
  return item;
}

DcmItem &sr_text(DcmItem &parent, const char *relationship, enum lvn_code_id name, const std::string &text) {
  DcmItem &item = add_content(parent, relationship, "TEXT", name);
  put(item, DCM_TextValue, text);
  return item;
}

DcmItem &sr_code(DcmItem &parent, const char *relationship, enum lvn_code_id name, const struct lvn_code &value) {
  DcmItem &item = add_content(parent, relationship, "CODE", name);
  put_code(item, DCM_ConceptCodeSequence, value);
  return item;
}

DcmItem &sr_uid(DcmItem &parent, const char *relationship, enum lvn_code_id name, const std::string &uid) {
  DcmItem &item = add_content(parent, relationship, "UIDREF", name);
  put(item, DCM_UID, uid);
  return item;
}

DcmItem &sr_number(DcmItem &parent, const char *relationship, enum lvn_code_id name, double value,
                   enum lvn_code_id unit) {
  DcmItem &item = add_content(parent, relationship, "NUM", name);
  DcmItem &measured = add_item(item, DCM_MeasuredValueSequence);
  put(measured, DCM_NumericValue, decimal(value));
  put_code(measured, DCM_MeasurementUnitsCodeSequence, *lvn_code_get(unit));
  return item;
}

DcmItem &sr_image(DcmItem &parent, const char *relationship, enum lvn_code_id name, const std::string &sop_class_uid,
                  const std::string &sop_instance_uid, uint32_t frame_number) {
  DcmItem &item = add_content(parent, relationship, "IMAGE", name);
  DcmItem &reference = add_item(item, DCM_ReferencedSOPSequence);
  put_reference(reference, sop_class_uid, sop_instance_uid);
  if (frame_number != 0) {
    put(reference, DCM_ReferencedFrameNumber, std::to_string(frame_number));
  }
  return item;
}

DcmItem &sr_composite(DcmItem &parent, const std::string &sop_class_uid, const std::string &sop_instance_uid) {
  DcmItem &item = add_content(parent, sr_contains, "COMPOSITE", LVN_CODE_COUNT);
  put_reference(add_item(item, DCM_ReferencedSOPSequence), sop_class_uid, sop_instance_uid);
  return item;
}

DcmItem &sr_polyline(DcmItem &parent, const char *relationship, enum lvn_code_id name,
                     const std::vector<float> &column_row) {
  DcmItem &item = add_content(parent, relationship, "SCOORD", name);
  if (item.putAndInsertFloat32Array(DCM_GraphicData, column_row.data(), static_cast<unsigned long>(column_row.size()))
          .bad()) {
    throw std::runtime_error("cannot write GraphicData");
  }
  put(item, DCM_GraphicType, "POLYLINE");
  return item;
}

void sr_put_title(DcmItem &dataset, enum lvn_code_id title, const char *template_id) {
  put(dataset, DCM_ValueType, "CONTAINER");
  put(dataset, DCM_ContinuityOfContent, "SEPARATE");
  put_code(dataset, DCM_ConceptNameCodeSequence, *lvn_code_get(title));
  put_template(dataset, template_id);
}

void sr_put_root(DcmItem &dataset) {
  sr_put_title(dataset, LVN_CODE_IMAGING_MEASUREMENT_REPORT, "1500");
  put(dataset, DCM_CompletionFlag, "COMPLETE");
  put(dataset, DCM_VerificationFlag, "UNVERIFIED");
}

void sr_put_observer(DcmItem &dataset, const struct sr_device &device) {
  sr_code(dataset, sr_modifies, LVN_CODE_LANGUAGE, *lvn_code_get(LVN_CODE_ENGLISH));
  sr_code(dataset, sr_has_context, LVN_CODE_OBSERVER_TYPE, *lvn_code_get(LVN_CODE_DEVICE));
  sr_uid(dataset, sr_has_context, LVN_CODE_DEVICE_UID, device.uid);
  sr_text(dataset, sr_has_context, LVN_CODE_DEVICE_NAME, device.name);
  sr_text(dataset, sr_has_context, LVN_CODE_DEVICE_MANUFACTURER, device.manufacturer);
  sr_text(dataset, sr_has_context, LVN_CODE_DEVICE_MODEL, device.model);
  sr_text(dataset, sr_has_context, LVN_CODE_DEVICE_SERIAL, device.serial);
}

void Evidence::add(const std::string &series_instance_uid, const std::string &sop_class_uid,
                   const std::string &sop_instance_uid) {
  if (!known_.insert(sop_instance_uid).second) {
    return;
  }
  const auto found = series_index_.emplace(series_instance_uid, series_.size());
  if (found.second) {
    series_.push_back({series_instance_uid, {}});
  }
  series_[found.first->second].instances.emplace_back(sop_class_uid, sop_instance_uid);
}

void Evidence::put_into(DcmItem &dataset, const DcmTagKey &sequence_tag, const std::string &study_instance_uid) const {
  DcmItem &study = add_item(dataset, sequence_tag);
  put(study, DCM_StudyInstanceUID, study_instance_uid);
  for (const Series &series : series_) {
    DcmItem &item = add_item(study, DCM_ReferencedSeriesSequence);
    put(item, DCM_SeriesInstanceUID, series.uid);
    for (const auto &instance : series.instances) {
      put_reference(add_item(item, DCM_ReferencedSOPSequence), instance.first, instance.second);
    }
  }
}

} // namespace lvn_write
