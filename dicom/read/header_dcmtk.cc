// Headers of CT objects: classic, Enhanced and Legacy Converted Enhanced, the last two by functional groups
// (PS3.3 C.7.6.16), each frame read as one slice.
#include "daemon/base/memory.h"
#include "dicom/read/study_dcmtk.hh"

#include <dcmtk/dcmdata/dcspchrs.h>

#include <cmath>
#include <cstdlib>
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

static bool is_ascii(const std::string &text) {
  for (const char c : text) {
    if (static_cast<unsigned char>(c) >= 0x80 || c == '\x1b') {
      return false;
    }
  }
  return true;
}

std::string text_of(DcmItem &item, const DcmTagKey &key) {
  std::string raw = code_of(item, key);
  if (is_ascii(raw)) {
    return raw;
  }
  // The character set is declared at the data set's level (PS3.3 C.12.1.1.2); nested items inherit it.
  OFString character_set;
  for (DcmItem *level = &item; level != nullptr && character_set.empty(); level = level->getParentItem()) {
    (void)level->findAndGetOFStringArray(DCM_SpecificCharacterSet, character_set);
  }
  DcmSpecificCharacterSet converter;
  OFString converted;
  if (converter.selectCharacterSet(character_set, "ISO_IR 192").good() &&
      converter.convertString(OFString(raw.c_str(), raw.size()), converted, "\\").good()) {
    return trim(std::string(converted.c_str()));
  }
  for (char &c : raw) {
    c = static_cast<unsigned char>(c) >= 0x80 || static_cast<unsigned char>(c) < 0x20 ? '?' : c;
  }
  return raw;
}

void put_text(char *target, size_t bytes, const std::string &text) {
  size_t length = text.size() < bytes ? text.size() : bytes - 1;
  while (length < text.size() && length > 0 && (static_cast<unsigned char>(text[length]) & 0xC0) == 0x80) {
    length--;
  }
  std::memcpy(target, text.data(), length);
  target[length] = '\0';
}

bool numbers_of(DcmItem &item, const DcmTagKey &key, double *values, size_t count) {
  for (size_t i = 0; i < count; i++) {
    OFString text;
    if (item.findAndGetOFString(key, text, static_cast<unsigned long>(i)).bad()) {
      return false;
    }
    char *end = nullptr;
    const double value = std::strtod(text.c_str(), &end);
    if (end == text.c_str() || !std::isfinite(value)) {
      return false;
    }
    values[i] = value;
  }
  return true;
}

double number_of(DcmItem &item, const DcmTagKey &key, double otherwise) {
  double value = 0.0;
  return numbers_of(item, key, &value, 1) ? value : otherwise;
}

int integer_of(DcmItem &item, const DcmTagKey &key, int otherwise) {
  const double value = number_of(item, key, -1e10);
  return value >= -1e9 && value <= 1e9 ? static_cast<int>(value) : otherwise;
}

DcmItem *first_item(DcmItem *item, const DcmTagKey &sequence) {
  DcmItem *found = nullptr;
  return item != nullptr && item->findAndGetSequenceItem(sequence, found, 0).good() ? found : nullptr;
}

static OFCondition load(const std::string &path, bool with_pixels, DcmFileFormat &file) {
  constexpr Uint32 all_bytes = 0xFFFFFFFFU; // or the pixels would be read later, where a failing disk is not noticed
  return with_pixels
             ? file.loadFile(path.c_str(), EXS_Unknown, EGL_noChange, all_bytes)
             : file.loadFileUntilTag(path.c_str(), EXS_Unknown, EGL_noChange, 65536, ERM_autoDetect, DCM_PixelData);
}

// DCMTK has one answer for a damaged object, a failing disk and too few file descriptors. What the node lacks for a
// moment must not refuse a study or leave out an image: where the bytes themselves cannot be read, the error says so
// and is tried later; where they can, the object gets a second try.
bool load_file(const std::string &path, bool with_pixels, DcmFileFormat &file, lvn_error *err) {
  uint8_t unused[LVN_SHA256_BYTES];
  OFCondition status = load(path, with_pixels, file);
  if (status.good()) {
    return true;
  }
  if (!lvn_sha256_of_file(path.c_str(), unused, err)) {
    return false;
  }
  (void)file.clear();
  status = load(path, with_pixels, file);
  return status.good() || lvn_error_set(err, LVN_ERROR_DATA, "%s: %s", path.c_str(), status.text());
}

// Seconds since midnight of a TM "HHMMSS.FFFFFF" (old: "HH:MM:SS") or a DT "YYYYMMDDHHMMSS.FFFFFF"; -1 when absent.
static double seconds_of(const std::string &value, bool is_datetime) {
  std::string digits;
  for (const char c : value.substr(is_datetime ? std::min<size_t>(8, value.size()) : 0)) {
    if (c == ':') {
      continue;
    }
    if (!((c >= '0' && c <= '9') || c == '.')) {
      break;
    }
    digits += c;
  }
  if (digits.size() < 4 || digits.find('.') < 6) {
    return -1.0;
  }
  const double hours = std::strtod(digits.substr(0, 2).c_str(), nullptr);
  const double minutes = std::strtod(digits.substr(2, 2).c_str(), nullptr);
  const double seconds = digits.size() > 4 ? std::strtod(digits.substr(4).c_str(), nullptr) : 0.0;
  return hours < 24.0 && minutes < 60.0 && seconds < 61.0 ? hours * 3600.0 + minutes * 60.0 + seconds : -1.0;
}

static void read_pixels(DcmItem &dataset, const std::string &path, const lvn_scan &scan, Pixels &pixels) {
  Uint16 value = 0;
  pixels.path = path;
  pixels.sop_instance_uid = scan.sop_instance_uid;
  pixels.transfer_syntax_uid = scan.transfer_syntax_uid;
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
  header.slice_thickness_mm = number_of(dataset, DCM_SliceThickness, 0.0);
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
  frame.content_datetime = code_of(dataset, DCM_ContentDate) + code_of(dataset, DCM_ContentTime);
  frame.rescale_type = code_of(dataset, DCM_RescaleType);
  frame.volume_calculation = code_of(dataset, DCM_VolumeBasedCalculationTechnique);
  frame.volumetric_properties = code_of(dataset, DCM_VolumetricProperties);
  frame.slope = number_of(dataset, DCM_RescaleSlope, 1.0);
  frame.intercept = number_of(dataset, DCM_RescaleIntercept, 0.0);
  const std::string photometric = code_of(dataset, DCM_PhotometricInterpretation);
  frame.is_grey = photometric == "MONOCHROME2" || photometric == "MONOCHROME1";
  put_text(frame.slice.sop_instance_uid, LVN_UID_BYTES, scan.sop_instance_uid);
  put_text(frame.slice.sop_class_uid, LVN_UID_BYTES, scan.sop_class_uid);
}

static void read_spacing(DcmItem &item, Frame &frame) {
  double spacing[2];
  if (numbers_of(item, DCM_PixelSpacing, spacing, 2)) {
    frame.spacing_mm[0] = spacing[1]; // Pixel Spacing is row spacing first (PS3.3 10.7.1.3)
    frame.spacing_mm[1] = spacing[0];
  }
}

// The functional group macro of one frame: its own, else the shared one.
static DcmItem *group_of(DcmItem *own, DcmItem *shared, const DcmTagKey &sequence) {
  DcmItem *found = first_item(own, sequence);
  return found != nullptr ? found : first_item(shared, sequence);
}

static void read_frame_groups(DcmItem *own, DcmItem *shared, Frame &frame) {
  DcmItem *group = group_of(own, shared, DCM_PlanePositionSequence);
  frame.has_geometry = group != nullptr && numbers_of(*group, DCM_ImagePositionPatient, frame.slice.position_mm, 3);
  group = group_of(own, shared, DCM_PlaneOrientationSequence);
  frame.has_geometry =
      frame.has_geometry && group != nullptr && numbers_of(*group, DCM_ImageOrientationPatient, frame.orientation, 6);
  if ((group = group_of(own, shared, DCM_PixelMeasuresSequence)) != nullptr) {
    read_spacing(*group, frame);
    frame.header.slice_thickness_mm = number_of(*group, DCM_SliceThickness, 0.0);
  }
  if ((group = group_of(own, shared, DCM_PixelValueTransformationSequence)) != nullptr) {
    frame.slope = number_of(*group, DCM_RescaleSlope, 1.0);
    frame.intercept = number_of(*group, DCM_RescaleIntercept, 0.0);
    frame.rescale_type = code_of(*group, DCM_RescaleType);
  }
  if ((group = group_of(own, shared, DCM_FrameContentSequence)) != nullptr) {
    const double seconds = seconds_of(code_of(*group, DCM_FrameAcquisitionDateTime), true);
    frame.header.acquisition_seconds = seconds >= 0.0 ? seconds : frame.header.acquisition_seconds;
    frame.header.acquisition_number = integer_of(*group, DCM_FrameAcquisitionNumber, frame.header.acquisition_number);
    frame.temporal_index = integer_of(*group, DCM_TemporalPositionIndex, -1);
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
  if (!load_file(path, false, file, err)) {
    return false;
  }
  DcmDataset &dataset = *file.getDataset();
  Pixels pixels;
  Frame frame;
  read_pixels(dataset, path, scan, pixels);
  read_common(dataset, scan, frame);
  frame.is_grey = frame.is_grey && pixels.samples == 1;
  frame.instance = study.instances.size();
  study.instances.push_back(pixels);
  if (std::strcmp(scan.sop_class_uid, UID_CTImageStorage) != 0) {
    return read_multiframe(study, dataset, frame, pixels.frames, err);
  }
  frame.has_geometry = numbers_of(dataset, DCM_ImagePositionPatient, frame.slice.position_mm, 3) &&
                       numbers_of(dataset, DCM_ImageOrientationPatient, frame.orientation, 6);
  read_spacing(dataset, frame);
  study.frames.push_back(frame);
  return true;
}

} // namespace lvn
