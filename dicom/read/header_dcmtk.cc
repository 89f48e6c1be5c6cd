// Headers of CT objects: classic, Enhanced and Legacy Converted Enhanced, the last two by functional groups
// (PS3.3 C.7.6.16), each frame read as one slice.
#include "base/memory.h"
#include "dicom/read/number.h"
#include "dicom/read/study_dcmtk.hh"
#include "dicom/read/text_dcmtk.hh"

#include <cstring>

namespace lvn {

static std::string trim(const std::string &text) {
  const size_t first = text.find_first_not_of(" \t\r\n");
  const size_t last = text.find_last_not_of(std::string(" \t\r\n\0", 5));
  return first == std::string::npos ? std::string() : text.substr(first, last - first + 1);
}

std::string code_of(DcmItem &item, const DcmTagKey &key) {
  OFString value;
  return item.findAndGetOFStringArray(key, value).good() ? trim(std::string(value.c_str())) : std::string();
}

std::string text_of(DcmItem &item, const DcmTagKey &key) {
  // The character set is declared at the data set's level (PS3.3 C.12.1.1.2); nested items inherit it.
  OFString character_set;
  for (DcmItem *level = &item; level != nullptr && character_set.empty(); level = level->getParentItem()) {
    (void)level->findAndGetOFStringArray(DCM_SpecificCharacterSet, character_set);
  }
  return trim(utf8_of(code_of(item, key), character_set.c_str()));
}

void put_text(char *target, size_t bytes, const std::string &text) {
  size_t length = text.size() < bytes ? text.size() : bytes - 1;
  while (length < text.size() && length > 0 && (static_cast<unsigned char>(text[length]) & 0xC0) == 0x80) {
    length--;
  }
  std::memcpy(target, text.data(), length);
  target[length] = '\0';
}

DcmItem *first_item(DcmItem *item, const DcmTagKey &sequence) {
  DcmItem *found = nullptr;
  return item != nullptr && item->findAndGetSequenceItem(sequence, found, 0).good() ? found : nullptr;
}

static double seconds_of(const std::string &value, bool is_datetime) {
  return lvn_number_read_time(value.c_str(), is_datetime);
}

static void read_pixels(DcmItem &dataset, const std::string &path, const lvn_scan &scan, Pixels &pixels) {
  Uint16 value = 0;
  pixels.path = path;
  pixels.sop_instance_uid = scan.sop_instance_uid;
  pixels.transfer_syntax_uid = scan.transfer_syntax_uid;
  pixels.is_odd = scan.is_odd;
  const auto get = [&](const DcmTagKey &key, uint16_t &target) {
    if (dataset.findAndGetUint16(key, value).good()) {
      target = value;
    }
  };
  get(DCM_Rows, pixels.rows);
  get(DCM_Columns, pixels.columns);
  get(DCM_BitsAllocated, pixels.bits_allocated);
  get(DCM_BitsStored, pixels.bits_stored);
  get(DCM_HighBit, pixels.high_bit);
  get(DCM_SamplesPerPixel, pixels.samples);
  uint16_t representation = 0;
  get(DCM_PixelRepresentation, representation);
  pixels.is_signed = representation == 1;
  const int frames = integer_of(dataset, DCM_NumberOfFrames, 1);
  pixels.frames = frames < 1 ? 1 : static_cast<uint32_t>(frames);
  // US or SS as Pixel Representation says; files break that both ways, so take the 16 bits as they are.
  const auto get_either = [&](const DcmTagKey &key, uint16_t &target) {
    Sint16 negative = 0;
    if (dataset.findAndGetUint16(key, value).good()) {
      target = value;
      return true;
    }
    if (dataset.findAndGetSint16(key, negative).good()) {
      target = static_cast<uint16_t>(negative);
      return true;
    }
    return false;
  };
  pixels.has_padding = get_either(DCM_PixelPaddingValue, pixels.padding_value);
  pixels.padding_limit = pixels.padding_value;
  (void)get_either(DCM_PixelPaddingRangeLimit, pixels.padding_limit);
}

// What the whole object says about its series and acquisition.
static void read_common(DcmItem &dataset, const lvn_scan &scan, Frame &frame) {
  lvn_stack &header = frame.header;
  put_text(header.series_instance_uid, sizeof header.series_instance_uid, scan.series_instance_uid);
  put_text(header.sop_class_uid, sizeof header.sop_class_uid, scan.sop_class_uid);
  put_text(header.frame_of_reference_uid, sizeof header.frame_of_reference_uid,
           code_of(dataset, DCM_FrameOfReferenceUID));
  header.series_number = integer_of(dataset, DCM_SeriesNumber, -1);
  header.acquisition_number = integer_of(dataset, DCM_AcquisitionNumber, -1);
  put_text(header.series_description, LVN_TEXT_BYTES, text_of(dataset, DCM_SeriesDescription));
  put_text(header.protocol_name, LVN_TEXT_BYTES, text_of(dataset, DCM_ProtocolName));
  put_text(header.study_description, LVN_TEXT_BYTES, text_of(dataset, DCM_StudyDescription));
  put_text(header.image_comments, LVN_TEXT_BYTES, text_of(dataset, DCM_ImageComments));
  put_text(header.image_type, LVN_TEXT_BYTES, code_of(dataset, DCM_ImageType));
  put_text(header.contrast_agent, LVN_TEXT_BYTES, text_of(dataset, DCM_ContrastBolusAgent));
  put_text(header.kernel, LVN_TEXT_BYTES, code_of(dataset, DCM_ConvolutionKernel));
  header.acquisition_seconds = seconds_of(code_of(dataset, DCM_AcquisitionTime), false);
  if (header.acquisition_seconds < 0.0) {
    header.acquisition_seconds = seconds_of(code_of(dataset, DCM_AcquisitionDateTime), true);
  }
  header.contrast_start_seconds = seconds_of(code_of(dataset, DCM_ContrastBolusStartTime), false);
  frame.instance_number = integer_of(dataset, DCM_InstanceNumber, -1);
  frame.slice.instance_number = frame.instance_number;
  frame.name =
      frame.instance_number < 0 ? "an image without a number" : "image " + std::to_string(frame.instance_number);
  read_thickness(dataset, frame);
  frame.content_datetime = code_of(dataset, DCM_ContentDate) + code_of(dataset, DCM_ContentTime);
  frame.rescale_type = code_of(dataset, DCM_RescaleType);
  frame.volume_calculation = code_of(dataset, DCM_VolumeBasedCalculationTechnique);
  frame.volumetric_properties = code_of(dataset, DCM_VolumetricProperties);
  read_acquisition(dataset, frame.acquisition);
  read_rescale(dataset, frame);
  const std::string photometric = code_of(dataset, DCM_PhotometricInterpretation);
  frame.is_grey = photometric == "MONOCHROME2" || photometric == "MONOCHROME1";
  put_text(frame.slice.sop_instance_uid, LVN_UID_BYTES, scan.sop_instance_uid);
  put_text(frame.slice.sop_class_uid, LVN_UID_BYTES, scan.sop_class_uid);
}

// The functional group macro of one frame: its own, else the shared one.
static DcmItem *group_of(DcmItem *own, DcmItem *shared, const DcmTagKey &sequence) {
  DcmItem *found = first_item(own, sequence);
  return found != nullptr ? found : first_item(shared, sequence);
}

static void read_frame_groups(DcmItem *own, DcmItem *shared, Frame &frame) {
  DcmItem *group = group_of(own, shared, DCM_PlanePositionSequence);
  const bool has_position = group != nullptr && read_position(*group, frame);
  group = group_of(own, shared, DCM_PlaneOrientationSequence);
  frame.has_geometry = group != nullptr && read_orientation(*group, frame) && has_position;
  if ((group = group_of(own, shared, DCM_PixelMeasuresSequence)) != nullptr) {
    read_spacing(*group, frame);
    read_thickness(*group, frame);
  }
  if ((group = group_of(own, shared, DCM_PixelValueTransformationSequence)) != nullptr) {
    read_rescale(*group, frame);
    frame.rescale_type = code_of(*group, DCM_RescaleType);
  }
  if ((group = group_of(own, shared, DCM_FrameContentSequence)) != nullptr) {
    const double seconds = seconds_of(code_of(*group, DCM_FrameAcquisitionDateTime), true);
    frame.header.acquisition_seconds = seconds >= 0.0 ? seconds : frame.header.acquisition_seconds;
    frame.header.acquisition_number = integer_of(*group, DCM_FrameAcquisitionNumber, frame.header.acquisition_number);
    read_frame_acquisition(*group, frame.acquisition);
  }
  if ((group = group_of(own, shared, DCM_TemporalPositionSequence)) != nullptr) {
    read_frame_acquisition(*group, frame.acquisition);
  }
  if ((group = group_of(own, shared, DCM_CTImageFrameTypeSequence)) != nullptr) {
    const std::string type = code_of(*group, DCM_FrameType);
    if (!type.empty()) {
      put_text(frame.header.image_type, LVN_TEXT_BYTES, type);
    }
    const std::string calculation = code_of(*group, DCM_VolumeBasedCalculationTechnique);
    frame.volume_calculation = calculation.empty() ? frame.volume_calculation : calculation;
    const std::string properties = code_of(*group, DCM_VolumetricProperties);
    frame.volumetric_properties = properties.empty() ? frame.volumetric_properties : properties;
  }
  if ((group = group_of(own, shared, DCM_CTReconstructionSequence)) != nullptr) {
    put_text(frame.header.kernel, LVN_TEXT_BYTES, code_of(*group, DCM_ConvolutionKernel));
  }
  if ((group = group_of(own, shared, DCM_ContrastBolusUsageSequence)) != nullptr) {
    put_text(frame.header.enhanced_agent_phase, sizeof frame.header.enhanced_agent_phase,
             code_of(*group, DCM_ContrastBolusAgentPhase));
  }
}

static bool read_multiframe(lvn_study &study, DcmItem &dataset, const Frame &common, uint32_t frames, lvn_error *err) {
  DcmSequenceOfItems *per_frame = nullptr;
  DcmItem *shared = first_item(&dataset, DCM_SharedFunctionalGroupsSequence);
  if (dataset.findAndGetSequence(DCM_PerFrameFunctionalGroupsSequence, per_frame).bad() ||
      per_frame->card() != frames) {
    return lvn_error_set(err, LVN_ERROR_DATA,
                         "the multi-frame CT %s has %u frames but functional groups for %lu of them",
                         common.slice.sop_instance_uid, frames, per_frame == nullptr ? 0UL : per_frame->card());
  }
  const std::string agent = [&] {
    DcmItem *item = first_item(&dataset, DCM_ContrastBolusAgentSequence);
    return item == nullptr ? std::string() : text_of(*item, DCM_CodeMeaning);
  }();
  DcmObject *item = nullptr; // nextInContainer: getItem(i) walks the list from its head each time
  for (uint32_t number = 1; number <= frames; number++) {
    item = per_frame->nextInContainer(item);
    Frame frame = common;
    frame.slice.frame_number = number;
    frame.name = "frame " + std::to_string(number);
    if (frame.header.contrast_agent[0] == '\0') {
      put_text(frame.header.contrast_agent, LVN_TEXT_BYTES, agent);
    }
    read_frame_groups(dynamic_cast<DcmItem *>(item), shared, frame);
    study.frames.push_back(frame);
  }
  return true;
}

bool read_ct(lvn_study &study, const std::string &path, const lvn_scan &scan, lvn_error *err) {
  DcmFileFormat file;
  if (!load_scanned(path, false, scan.is_odd, file, err)) {
    return false;
  }
  DcmDataset &dataset = *file.getDataset();
  Pixels pixels;
  Frame frame;
  read_pixels(dataset, path, scan, pixels);
  pixels.length_doubt = pixel_length_doubt(pixels);
  read_common(dataset, scan, frame);
  frame.is_grey = frame.is_grey && pixels.samples == 1;
  frame.instance = study.instances.size();
  study.instances.push_back(pixels);
  if (std::strcmp(scan.sop_class_uid, UID_CTImageStorage) != 0) {
    return read_multiframe(study, dataset, frame, pixels.frames, err);
  }
  const bool has_position = read_position(dataset, frame);
  frame.has_geometry = read_orientation(dataset, frame) && has_position;
  read_spacing(dataset, frame);
  study.frames.push_back(frame);
  return true;
}

} // namespace lvn
