#include "dicom/write/result_check_dcmtk.hh"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace lvn_check {

namespace {

unsigned number_of(DcmItem &item, const DcmTagKey &tag) {
  Uint16 value = 0;
  item.findAndGetUint16(tag, value);
  return value;
}

// Images that the object says it belongs to, by series (PS3.3 C.12.2, C.11.11).
Uids referenced_images(DcmItem &dataset, const DcmTagKey &instances) {
  Uids uids;
  for (DcmItem *series : items_of(dataset, DCM_ReferencedSeriesSequence)) {
    require_filled(*series, DCM_SeriesInstanceUID);
    for (DcmItem *instance : items_of(*series, instances)) {
      require_filled(*instance, DCM_ReferencedSOPClassUID);
      require(uids.insert(text_of(*instance, DCM_ReferencedSOPInstanceUID)).second, "an image is referenced twice");
    }
  }
  require(!uids.empty(), "no image is referenced");
  return uids;
}

void check_segment(DcmItem &segment, unsigned number) {
  require(number_of(segment, DCM_SegmentNumber) == number, "segments are not numbered from 1");
  require_filled(segment, DCM_SegmentLabel);
  require_filled(segment, DCM_TrackingID);
  require_uid(segment, DCM_TrackingUID);
  require(code_of(segment, DCM_SegmentedPropertyCategoryCodeSequence) == "49755003:SCT", "segment's category");
  require(code_of(segment, DCM_SegmentedPropertyTypeCodeSequence) == "52988006:SCT", "segment's type");
  const std::string type = text_of(segment, DCM_SegmentAlgorithmType);
  require(type == "MANUAL" || type == "SEMIAUTOMATIC", "SegmentAlgorithmType");
  require(type == "MANUAL" || segment.tagExistsWithValue(DCM_SegmentAlgorithmName), "SegmentAlgorithmName is missing");
}

// One frame's groups; returns its segment.
unsigned check_frame(DcmItem &groups, const Uids &images, size_t segment_count) {
  const char *const missing = "a frame lacks a functional group";
  const std::vector<DcmItem *> derivation = items_of(groups, DCM_DerivationImageSequence);
  const std::vector<DcmItem *> position = items_of(groups, DCM_PlanePositionSequence);
  const std::vector<DcmItem *> identification = items_of(groups, DCM_SegmentIdentificationSequence);
  const std::vector<DcmItem *> content = items_of(groups, DCM_FrameContentSequence);
  require(derivation.size() == 1 && position.size() == 1 && identification.size() == 1 && content.size() == 1, missing);
  const std::vector<DcmItem *> sources = items_of(*derivation[0], DCM_SourceImageSequence);
  const unsigned segment = number_of(*identification[0], DCM_ReferencedSegmentNumber);
  require(sources.size() == 1 && images.count(text_of(*sources[0], DCM_ReferencedSOPInstanceUID)) == 1,
          "a frame's source image is not among the referenced ones");
  require(code_of(*derivation[0], DCM_DerivationCodeSequence) == "113076:DCM", "a frame's derivation");
  require_filled(*position[0], DCM_ImagePositionPatient);
  require(segment >= 1 && segment <= segment_count, "a frame of no segment");
  const Uint32 *index = nullptr;
  unsigned long count = 0;
  require(content[0]->findAndGetUint32Array(DCM_DimensionIndexValues, index, &count).good() && count == 2 &&
              index[0] == segment,
          "a frame's dimension index");
  return segment;
}

// No frame is empty, and no bit is set behind the last.
void check_bits(DcmItem &dataset, size_t frame_count) {
  const Uint8 *bytes = nullptr;
  unsigned long count = 0;
  const size_t pixels = static_cast<size_t>(number_of(dataset, DCM_Rows)) * number_of(dataset, DCM_Columns);
  const size_t wanted = (pixels * frame_count + 7) / 8;
  require(dataset.findAndGetUint8Array(DCM_PixelData, bytes, &count).good() && pixels > 0 &&
              count == ((wanted + 1) & ~static_cast<size_t>(1)),
          "the pixel data's length does not fit rows, columns and frames");
  for (size_t frame = 0; frame < frame_count; frame++) {
    bool any = false;
    for (size_t bit = frame * pixels; bit < (frame + 1) * pixels && !any; bit++) {
      any = ((bytes[bit / 8] >> (bit % 8)) & 1) != 0;
    }
    require(any, "a frame is empty");
  }
}

void check_segmentation(DcmItem &dataset) {
  Sint32 frame_count = 0;
  unsigned number = 0;
  std::set<unsigned> used;
  require_value(dataset, DCM_Modality, "SEG");
  require_value(dataset, DCM_SegmentationType, "BINARY");
  require_value(dataset, DCM_LossyImageCompression, "00");
  require_filled(dataset, DCM_FrameOfReferenceUID);
  require_filled(dataset, DCM_BodyPartExamined);
  require(number_of(dataset, DCM_BitsAllocated) == 1, "BitsAllocated is not 1");
  const std::vector<DcmItem *> segments = items_of(dataset, DCM_SegmentSequence);
  for (DcmItem *segment : segments) {
    check_segment(*segment, ++number);
  }
  const Uids images = referenced_images(dataset, DCM_ReferencedInstanceSequence);
  const std::vector<DcmItem *> shared = items_of(dataset, DCM_SharedFunctionalGroupsSequence);
  require(shared.size() == 1 && items_of(*shared[0], DCM_PlaneOrientationSequence).size() == 1 &&
              items_of(*shared[0], DCM_PixelMeasuresSequence).size() == 1,
          "shared functional groups");
  const std::vector<DcmItem *> frames = items_of(dataset, DCM_PerFrameFunctionalGroupsSequence);
  dataset.findAndGetSint32(DCM_NumberOfFrames, frame_count);
  require(frame_count > 0 && frames.size() == static_cast<size_t>(frame_count), "number of frames");
  for (DcmItem *groups : frames) {
    used.insert(check_frame(*groups, images, segments.size()));
  }
  require(used.size() == segments.size(), "a segment without frames");
  require(items_of(dataset, DCM_DimensionIndexSequence).size() == 2, "dimensions");
  check_bits(dataset, frames.size());
}

void check_key_objects(DcmItem &dataset) {
  require_value(dataset, DCM_Modality, "KO");
  require_value(dataset, DCM_ValueType, "CONTAINER");
  require(code_of(dataset, DCM_ConceptNameCodeSequence) == "113020:DCM", "the title is not For Report Attachment");
  require_present(dataset, DCM_ReferencedPerformedProcedureStepSequence);
  const std::vector<DcmItem *> templates = items_of(dataset, DCM_ContentTemplateSequence);
  require(templates.size() == 1 && text_of(*templates[0], DCM_TemplateIdentifier) == "2010",
          "the template is not 2010");
  require(text_of(only_child(dataset, "CONTAINS", "TEXT", "113012:DCM"), DCM_TextValue).find(LVN_RESEARCH_NOTICE) !=
              std::string::npos,
          "the description lacks the research notice");
  require_uid(only_child(dataset, "HAS OBS CONTEXT", "UIDREF", "121012:DCM"), DCM_UID);
  require(!children(dataset, "CONTAINS", "IMAGE", nullptr).empty(), "no image is selected");
  check_content(dataset, evidence_uids(dataset));
}

void check_graphic(DcmItem &graphic, unsigned columns, unsigned rows) {
  const Float32 *points = nullptr;
  unsigned long count = 0;
  require_value(graphic, DCM_GraphicAnnotationUnits, "PIXEL");
  require_value(graphic, DCM_GraphicType, "POLYLINE");
  require_value(graphic, DCM_GraphicFilled, "N");
  require(graphic.findAndGetFloat32Array(DCM_GraphicData, points, &count).good() && count >= 8 &&
              count == 2UL * number_of(graphic, DCM_NumberOfGraphicPoints),
          "number of graphic points");
  require(points[0] == points[count - 2] && points[1] == points[count - 1], "an outline is not closed");
  for (unsigned long i = 0; i < count; i++) {
    require(points[i] >= 0 && points[i] <= static_cast<Float32>(i % 2 == 0 ? columns : rows),
            "an outline leaves the image");
  }
}

// The corner of what is shown; the area is that of the whole image.
void check_area(DcmItem &dataset, Sint32 *columns, Sint32 *rows) {
  const Sint32 *first = nullptr;
  const Sint32 *last = nullptr;
  unsigned long count = 0;
  const std::vector<DcmItem *> areas = items_of(dataset, DCM_DisplayedAreaSelectionSequence);
  require(areas.size() == 1, "displayed area");
  require_filled(*areas[0], DCM_PresentationSizeMode);
  require_filled(*areas[0], DCM_PresentationPixelSpacing);
  require(areas[0]->findAndGetSint32Array(DCM_DisplayedAreaTopLeftHandCorner, first, &count).good() && count == 2 &&
              areas[0]->findAndGetSint32Array(DCM_DisplayedAreaBottomRightHandCorner, last, &count).good() &&
              count == 2 && first[0] == 1 && first[1] == 1 && last[0] > 1 && last[1] > 1,
          "the displayed area is not the whole image");
  *columns = last[0];
  *rows = last[1];
}

void check_annotations(DcmItem &dataset, const Uids &images, const std::string &layer) {
  Sint32 columns = 0;
  Sint32 rows = 0;
  check_area(dataset, &columns, &rows);
  const std::vector<DcmItem *> annotations = items_of(dataset, DCM_GraphicAnnotationSequence);
  require(!annotations.empty(), "no annotation");
  for (DcmItem *annotation : annotations) {
    const std::vector<DcmItem *> targets = items_of(*annotation, DCM_ReferencedImageSequence);
    require(targets.size() == 1 && images.count(text_of(*targets[0], DCM_ReferencedSOPInstanceUID)) == 1,
            "an annotation of an image that is not referenced");
    require(text_of(*annotation, DCM_GraphicLayer) == layer, "an annotation on no layer");
    const std::vector<DcmItem *> texts = items_of(*annotation, DCM_TextObjectSequence);
    require(std::any_of(texts.begin(), texts.end(),
                        [](DcmItem *text) {
                          return text_of(*text, DCM_UnformattedTextValue).find(LVN_RESEARCH_NOTICE) !=
                                 std::string::npos;
                        }),
            "an annotation lacks the research notice");
    const std::vector<DcmItem *> graphics = items_of(*annotation, DCM_GraphicObjectSequence);
    require(!graphics.empty(), "an annotation without outline");
    for (DcmItem *graphic : graphics) {
      check_graphic(*graphic, static_cast<unsigned>(columns), static_cast<unsigned>(rows));
    }
  }
}

void check_presentation(DcmItem &dataset) {
  Float64 width = 0;
  require_value(dataset, DCM_Modality, "PR");
  require_filled(dataset, DCM_ContentLabel);
  require_filled(dataset, DCM_PresentationCreationDate);
  require_filled(dataset, DCM_PresentationCreationTime);
  require_filled(dataset, DCM_BodyPartExamined);
  require_filled(dataset, DCM_RescaleSlope);
  require_filled(dataset, DCM_RescaleIntercept);
  require_value(dataset, DCM_PresentationLUTShape, "IDENTITY");
  const std::vector<DcmItem *> layers = items_of(dataset, DCM_GraphicLayerSequence);
  const std::vector<DcmItem *> windows = items_of(dataset, DCM_SoftcopyVOILUTSequence);
  require(layers.size() == 1, "graphic layer");
  require(windows.size() == 1 && windows[0]->findAndGetFloat64(DCM_WindowWidth, width).good() && width >= 1,
          "window width");
  require_filled(*windows[0], DCM_WindowCenter);
  check_annotations(dataset, referenced_images(dataset, DCM_ReferencedImageSequence),
                    text_of(*layers[0], DCM_GraphicLayer));
}

void check_document(DcmItem &dataset) {
  const Uint8 *bytes = nullptr;
  unsigned long count = 0;
  require_value(dataset, DCM_Modality, "DOC");
  require_value(dataset, DCM_ConversionType, "WSD");
  require_value(dataset, DCM_BurnedInAnnotation, "NO");
  require_value(dataset, DCM_MIMETypeOfEncapsulatedDocument, "application/pdf");
  require_filled(dataset, DCM_DocumentTitle);
  require_present(dataset, DCM_AcquisitionDateTime);
  const std::vector<DcmItem *> sources = items_of(dataset, DCM_SourceInstanceSequence);
  require(!sources.empty(), "SourceInstanceSequence is missing");
  require_filled(*sources[0], DCM_ReferencedSOPInstanceUID);
  require(dataset.findAndGetUint8Array(DCM_EncapsulatedDocument, bytes, &count).good() && count > 8 &&
              std::memcmp(bytes, "%PDF-", 5) == 0,
          "the document is no PDF");
}

void check_map(DcmItem &dataset) {
  const Float32 *values = nullptr;
  unsigned long count = 0;
  require_value(dataset, DCM_Modality, "OT");
  require_value(dataset, DCM_ContentQualification, "RESEARCH");
  require_value(dataset, DCM_NumberOfFrames, "1");
  require_filled(dataset, DCM_FrameOfReferenceUID);
  require_filled(dataset, DCM_BodyPartExamined);
  const size_t pixels = static_cast<size_t>(number_of(dataset, DCM_Rows)) * number_of(dataset, DCM_Columns);
  require(dataset.findAndGetFloat32Array(DCM_FloatPixelData, values, &count).good() && pixels > 0 && count == pixels,
          "the map's length does not fit rows and columns");
  require(std::all_of(values, values + count, [](Float32 value) { return value >= 0 && value <= 1; }),
          "the map leaves 0 to 1");
  const std::vector<DcmItem *> shared = items_of(dataset, DCM_SharedFunctionalGroupsSequence);
  require(shared.size() == 1, "shared functional groups");
  const std::vector<DcmItem *> mapping = items_of(*shared[0], DCM_RealWorldValueMappingSequence);
  require(mapping.size() == 1 && items_of(*mapping[0], DCM_QuantityDefinitionSequence).size() == 1,
          "real world value mapping");
  require(code_of(*items_of(*mapping[0], DCM_QuantityDefinitionSequence)[0], DCM_ConceptCodeSequence) == "130403:DCM",
          "the map's quantity");
  const std::vector<DcmItem *> frames = items_of(dataset, DCM_PerFrameFunctionalGroupsSequence);
  require(frames.size() == 1 && items_of(*frames[0], DCM_DerivationImageSequence).size() == 1 &&
              items_of(*frames[0], DCM_PlanePositionSequence).size() == 1,
          "per-frame functional groups");
  (void)referenced_images(dataset, DCM_ReferencedInstanceSequence);
}

} // namespace

bool check_further(const std::string &sop_class_uid, DcmItem &dataset) {
  static const struct {
    const char *sop_class_uid;
    void (*check)(DcmItem &);
  } rows[] = {{UID_SegmentationStorage, check_segmentation},
              {UID_KeyObjectSelectionDocumentStorage, check_key_objects},
              {UID_GrayscaleSoftcopyPresentationStateStorage, check_presentation},
              {UID_EncapsulatedPDFStorage, check_document},
              {UID_ParametricMapStorage, check_map}};
  for (const auto &row : rows) {
    if (sop_class_uid == row.sop_class_uid) {
      row.check(dataset);
      return true;
    }
  }
  return false;
}

} // namespace lvn_check
