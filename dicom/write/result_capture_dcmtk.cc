#include "dicom/write/result_common_dcmtk.hh"

#include "base/clock.h"

#include <stdexcept>

namespace lvn_write {

namespace {

void put_sources(DcmItem &dataset, const struct lvn_findings_image &image) {
  DcmItem &source = add_item(dataset, DCM_SourceImageSequence);
  put_reference(source, image.sop_class_uid, image.sop_instance_uid);
  if (image.frame_number != 0) {
    put(source, DCM_ReferencedFrameNumber, std::to_string(image.frame_number));
  }
  put_code(source, DCM_PurposeOfReferenceCodeSequence, *lvn_code_get(LVN_CODE_SOURCE_IMAGE));
}

void put_image(DcmItem &dataset, const struct lvn_picture &picture) {
  put_us(dataset, DCM_SamplesPerPixel, 3);
  put(dataset, DCM_PhotometricInterpretation, "RGB");
  put_us(dataset, DCM_PlanarConfiguration, 0);
  put_us(dataset, DCM_Rows, picture.height);
  put_us(dataset, DCM_Columns, picture.width);
  put_us(dataset, DCM_BitsAllocated, 8);
  put_us(dataset, DCM_BitsStored, 8);
  put_us(dataset, DCM_HighBit, 7);
  put_us(dataset, DCM_PixelRepresentation, 0);
  put(dataset, DCM_LossyImageCompression, "00");
  const size_t bytes = static_cast<size_t>(picture.width) * picture.height * 3;
  put_bytes(dataset, DCM_PixelData, std::vector<uint8_t>(picture.rgb, picture.rgb + bytes));
}

} // namespace

namespace {

// All but what is the page's own.
void put_page(DcmDataset &dataset, Work &work, const char *role, size_t index, int instance_number,
              const struct lvn_picture &picture) {
  const struct lvn_result_request &request = work.request;
  if (picture.width > UINT16_MAX || picture.height > UINT16_MAX) {
    throw std::runtime_error("the picture is too large for a secondary capture");
  }
  work.source.copy_into(dataset);
  put_result_header(dataset, work, "OT", UID_SecondaryCaptureImageStorage, result_uid(request.job_key, role, index),
                    result_uid(request.job_key, "capture-series", 0), result_capture_series_number, instance_number);
  put(dataset, DCM_BodyPartExamined, "ABDOMEN"); // without it Laterality would be required (PS3.3 C.7.3.1)
  put(dataset, DCM_ConversionType, "WSD");
  put(dataset, DCM_SecondaryCaptureDeviceManufacturer, node_manufacturer);
  put(dataset, DCM_SecondaryCaptureDeviceManufacturerModelName, node_model);
  put(dataset, DCM_SecondaryCaptureDeviceSoftwareVersions, plain_text(request.software_version, 64));
  char date[LVN_TIME_TEXT_BYTES];
  lvn_clock_format_da(request.wall_ms, date);
  put(dataset, DCM_DateOfSecondaryCapture, date);
  put(dataset, DCM_ImageType, "DERIVED\\SECONDARY\\OTHER");
  put(dataset, DCM_BurnedInAnnotation, "NO"); // no text by which the patient could be known (PS3.3 C.7.6.1)
  put(dataset, DCM_RecognizableVisualFeatures, "NO");
  put(dataset, DCM_ImageComments, LVN_RESEARCH_NOTICE);
  put_image(dataset, picture);
}

} // namespace

void fill_capture(DcmDataset &dataset, Work &work, size_t lesion_index) {
  const struct lvn_findings_lesion &lesion = work.findings.lesions[lesion_index];
  const struct lvn_grid &grid = *work.findings.series[lesion.series].grid;
  const int first = work.findings.overview.rgb != nullptr ? 2 : 1;
  put_page(dataset, work, "capture", lesion_index, static_cast<int>(lesion_index) + first, lesion.capture);
  put(dataset, DCM_PatientOrientation,
      std::string{lvn_findings_edge(grid.direction[0], false), '\\', lvn_findings_edge(grid.direction[1], false)});
  if (lesion.prediction.has_probability) {
    put(dataset, DCM_DerivationDescription,
        "Crops of the phases with the lesion's outline, Grad-CAM overlay and class "
        "probabilities. " LVN_RESEARCH_NOTICE);
    put_code(dataset, DCM_DerivationCodeSequence, *lvn_code_get(LVN_CODE_GRAD_CAM));
  } else {
    put(dataset, DCM_DerivationDescription,
        "Crops of the phases with the lesion's outline; indeterminate. " LVN_RESEARCH_NOTICE);
  }
  put_sources(dataset, lvn_findings_key(&lesion)->drawn);
}

void fill_overview(DcmDataset &dataset, Work &work) {
  put_page(dataset, work, "overview", 0, 1, work.findings.overview);
  put(dataset, DCM_PatientOrientation, "");
  put(dataset, DCM_DerivationDescription, "Table of all lesions with their answers. " LVN_RESEARCH_NOTICE);
  for (size_t i = 0; i < work.findings.lesion_count; i++) {
    put_sources(dataset, lvn_findings_key(&work.findings.lesions[i])->drawn);
  }
}

} // namespace lvn_write
