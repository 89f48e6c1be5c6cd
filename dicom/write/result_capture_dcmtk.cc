#include "dicom/write/result_common_dcmtk.hh"

#include "base/clock.h"

#include <stdexcept>

namespace lvn_write {

namespace {

void put_sources(DcmItem &dataset, const struct lvn_result_reference &image) {
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

void fill_capture(DcmDataset &dataset, ResultTemplate &source, const struct lvn_result_request &request,
                  size_t lesion_index) {
  const struct lvn_result_lesion &lesion = request.lesions[lesion_index];
  if (lesion.capture->width > UINT16_MAX || lesion.capture->height > UINT16_MAX) {
    throw std::runtime_error("the picture is too large for a secondary capture");
  }
  source.copy_into(dataset);
  put_result_header(dataset, request, "OT", UID_SecondaryCaptureImageStorage,
                    result_uid(request.job_key, "capture", lesion_index),
                    result_uid(request.job_key, "capture-series", 0), result_capture_series_number,
                    static_cast<int>(lesion_index + 1));
  put(dataset, DCM_BodyPartExamined, "ABDOMEN"); // without it Laterality would be required (PS3.3 C.7.3.1)
  put(dataset, DCM_ConversionType, "WSD");
  put(dataset, DCM_SecondaryCaptureDeviceManufacturer, node_manufacturer);
  put(dataset, DCM_SecondaryCaptureDeviceManufacturerModelName, node_model);
  put(dataset, DCM_SecondaryCaptureDeviceSoftwareVersions, plain_text(request.device.software_version, 64));
  char date[LVN_TIME_TEXT_BYTES];
  lvn_clock_format_da(request.wall_ms, date);
  put(dataset, DCM_DateOfSecondaryCapture, date);
  put(dataset, DCM_ImageType, "DERIVED\\SECONDARY\\OTHER");
  put(dataset, DCM_PatientOrientation, std::string{lesion.right_edge, '\\', lesion.lower_edge});
  put(dataset, DCM_BurnedInAnnotation, "YES");
  put(dataset, DCM_RecognizableVisualFeatures, "NO");
  put(dataset, DCM_ImageComments, LVN_RESEARCH_NOTICE);
  if (lesion.has_probability) {
    put(dataset, DCM_DerivationDescription,
        "Crops of the phases with the lesion's outline, Grad-CAM overlay and class "
        "probabilities. " LVN_RESEARCH_NOTICE);
    put_code(dataset, DCM_DerivationCodeSequence, *lvn_code_get(LVN_CODE_GRAD_CAM));
  } else {
    put(dataset, DCM_DerivationDescription,
        "Crops of the phases with the lesion's outline; not classified. " LVN_RESEARCH_NOTICE);
  }
  put_sources(dataset, lesion.image);
  put_image(dataset, *lesion.capture);
}

} // namespace lvn_write
