// Parametric maps (PS3.3 A.75): a lesion's Grad-CAM on its key slice, for viewers that lay maps over images.
#include "base/guard.hh"
#include "dicom/write/result_common_dcmtk.hh"
#include "dicom/write/seg_common_dcmtk.hh"

#include <cstdio>
#include <stdexcept>

namespace lvn_write {

namespace {

constexpr const char *image_type = "DERIVED\\PRIMARY\\VOLUME\\QUANTITY";

// The grid of the map's samples, one slice.
struct lvn_grid map_grid(const struct lvn_grid &grid, const struct lvn_findings_lesion &lesion, size_t slice) {
  struct lvn_grid map = grid;
  const double first[3] = {lesion.heat_first_index[0], lesion.heat_first_index[1], static_cast<double>(slice)};
  for (size_t axis = 0; axis < 2; axis++) {
    map.size[axis] = lesion.heat_side;
    map.spacing_mm[axis] *= lesion.heat_step_index[axis];
  }
  map.size[2] = 1;
  lvn_grid_to_patient(&grid, first, map.origin_mm);
  return map;
}

void put_image(DcmItem &dataset, const struct lvn_grid &map, const float *heat) {
  const size_t pixels = static_cast<size_t>(map.size[0]) * map.size[1];
  put(dataset, DCM_BodyPartExamined, "ABDOMEN"); // without it Laterality would be required (PS3.3 C.7.3.1)
  put(dataset, DCM_ImageType, image_type);
  put(dataset, DCM_ContentQualification, "RESEARCH");
  put(dataset, DCM_BurnedInAnnotation, "NO");
  put(dataset, DCM_RecognizableVisualFeatures, "NO");
  put(dataset, DCM_LossyImageCompression, "00");
  put(dataset, DCM_PresentationLUTShape, "IDENTITY");
  put(dataset, DCM_PhotometricInterpretation, "MONOCHROME2");
  put(dataset, DCM_NumberOfFrames, "1");
  put_us(dataset, DCM_SamplesPerPixel, 1);
  put_us(dataset, DCM_Rows, map.size[1]);
  put_us(dataset, DCM_Columns, map.size[0]);
  put_us(dataset, DCM_BitsAllocated, 32);
  if (dataset.putAndInsertFloat32Array(DCM_FloatPixelData, heat, static_cast<unsigned long>(pixels)).bad()) {
    throw std::runtime_error("cannot write the map's values");
  }
}

void put_doubles(DcmItem &item, const DcmTagKey &tag, double value) {
  if (item.putAndInsertFloat64(tag, value).bad()) {
    throw std::runtime_error("cannot write a real world value");
  }
}

// What is stored is the value.
void put_identity(DcmItem &shared) {
  DcmItem &rescale = add_item(shared, DCM_PixelValueTransformationSequence);
  put(rescale, DCM_RescaleIntercept, "0");
  put(rescale, DCM_RescaleSlope, "1");
  put(rescale, DCM_RescaleType, "US");
}

// 1 is the largest value of all classes' maps: the values say where, not how sure the network was.
void put_real_world_values(DcmItem &shared) {
  const double center = 0.5;
  const double width = 1;
  DcmItem &window = add_item(shared, DCM_FrameVOILUTSequence);
  put_decimals(window, DCM_WindowCenter, &center, 1);
  put_decimals(window, DCM_WindowWidth, &width, 1);
  DcmItem &mapping = add_item(shared, DCM_RealWorldValueMappingSequence);
  put(mapping, DCM_LUTLabel, "GRAD_CAM");
  put(mapping, DCM_LUTExplanation, "Share of the largest value of all classes' maps");
  put_code(mapping, DCM_MeasurementUnitsCodeSequence, *lvn_code_get(LVN_CODE_NO_UNITS));
  put_doubles(mapping, DCM_DoubleFloatRealWorldValueFirstValueMapped, 0);
  put_doubles(mapping, DCM_DoubleFloatRealWorldValueLastValueMapped, 1);
  put_doubles(mapping, DCM_RealWorldValueIntercept, 0);
  put_doubles(mapping, DCM_RealWorldValueSlope, 1);
  DcmItem &quantity = add_item(mapping, DCM_QuantityDefinitionSequence);
  put(quantity, DCM_ValueType, "CODE");
  put_code(quantity, DCM_ConceptNameCodeSequence, *lvn_code_get(LVN_CODE_QUANTITY));
  put_code(quantity, DCM_ConceptCodeSequence, *lvn_code_get(LVN_CODE_GRAD_CAM));
}

void put_frame(DcmItem &dataset, const struct lvn_grid &map, const struct lvn_findings_image &source) {
  const Uint32 index[1] = {1};
  DcmItem &groups = add_item(dataset, DCM_PerFrameFunctionalGroupsSequence);
  DcmItem &derivation = add_item(groups, DCM_DerivationImageSequence);
  DcmItem &image = add_item(derivation, DCM_SourceImageSequence);
  put_reference(image, source.sop_class_uid, source.sop_instance_uid);
  if (source.frame_number != 0) {
    put(image, DCM_ReferencedFrameNumber, std::to_string(source.frame_number));
  }
  put_code(image, DCM_PurposeOfReferenceCodeSequence, *lvn_code_get(LVN_CODE_SOURCE_IMAGE));
  put_code(derivation, DCM_DerivationCodeSequence, *lvn_code_get(LVN_CODE_GRAD_CAM));
  add_item(groups, DCM_FrameContentSequence).putAndInsertUint32Array(DCM_DimensionIndexValues, index, 1);
  put_decimals(add_item(groups, DCM_PlanePositionSequence), DCM_ImagePositionPatient, map.origin_mm, 3);
}

void put_dimensions(DcmItem &dataset, const std::string &organization_uid) {
  put(add_item(dataset, DCM_DimensionOrganizationSequence), DCM_DimensionOrganizationUID, organization_uid);
  DcmItem &item = add_item(dataset, DCM_DimensionIndexSequence);
  put(item, DCM_DimensionOrganizationUID, organization_uid);
  item.putAndInsertTagKey(DCM_DimensionIndexPointer, DCM_ImagePositionPatient);
  item.putAndInsertTagKey(DCM_FunctionalGroupPointer, DCM_PlanePositionSequence);
}

void fill_map(DcmDataset &dataset, Work &work, size_t lesion_index) {
  const char *job_key = work.request.job_key;
  const struct lvn_findings_lesion &lesion = work.findings.lesions[lesion_index];
  const struct lvn_findings_series &series = work.findings.series[lesion.series];
  const struct lvn_findings_image &source = lvn_findings_key(&lesion)->drawn;
  const struct lvn_grid map = map_grid(*series.grid, lesion, source.slice);
  work.source.copy_into(dataset);
  put_result_header(dataset, work, "OT", UID_ParametricMapStorage, result_uid(job_key, "pmap", lesion_index),
                    result_series_uid(job_key, "pmap"), result_map_series_number, static_cast<int>(lesion_index + 1));
  put(dataset, DCM_FrameOfReferenceUID, series.frame_of_reference_uid);
  put(dataset, DCM_PositionReferenceIndicator, "");
  put(dataset, DCM_ContentLabel, "GRAD_CAM");
  put(dataset, DCM_ContentDescription, "Grad-CAM, lesion " + std::to_string(lesion_index + 1) + ". Research use only");
  put(dataset, DCM_ContentCreatorName, "");
  dataset.insertEmptyElement(DCM_AcquisitionContextSequence);
  DcmItem &referenced = add_item(dataset, DCM_ReferencedSeriesSequence);
  put(referenced, DCM_SeriesInstanceUID, source.series_instance_uid);
  put_reference(add_item(referenced, DCM_ReferencedInstanceSequence), source.sop_class_uid, source.sop_instance_uid);
  put_dimensions(dataset, result_uid(job_key, "pmap-dimensions", lesion_index));
  put_seg_shared_groups(dataset, map, series.slice_thickness_mm > 0 ? series.slice_thickness_mm : map.spacing_mm[2]);
  DcmItem *shared = nullptr;
  if (dataset.findAndGetSequenceItem(DCM_SharedFunctionalGroupsSequence, shared).bad()) {
    throw std::runtime_error("the shared functional groups are missing");
  }
  put(add_item(*shared, DCM_ParametricMapFrameTypeSequence), DCM_FrameType, image_type);
  put_identity(*shared);
  put_real_world_values(*shared);
  put_frame(dataset, map, source);
  put_image(dataset, map, lesion.heat);
}

} // namespace

} // namespace lvn_write

bool lvn_result_write_maps(struct lvn_findings *findings, const struct lvn_result_request *request,
                           struct lvn_error *err) {
  return lvn_guard(err, LVN_ERROR_INTERNAL, [&]() -> bool {
    lvn_write::check_findings(*findings);
    lvn_write::Work work{*findings, *request, lvn_write::ResultTemplate(findings->template_path)};
    for (size_t i = 0; i < findings->lesion_count; i++) {
      DcmDataset dataset;
      char name[64];
      if (findings->lesions[i].heat == nullptr || !findings->lesions[i].prediction.has_probability) {
        lvn_findings_leave_out(findings, ("parametric map of lesion " + std::to_string(i + 1)).c_str(),
                               "the network's answer is not used");
        continue;
      }
      std::snprintf(name, sizeof name, "pmap-%02zu.dcm", i + 1);
      lvn_write::fill_map(dataset, work, i);
      if (!lvn_write::finish_result(dataset, name, *findings, *request, err)) {
        return false;
      }
    }
    return true;
  });
}
