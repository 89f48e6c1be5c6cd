#include "dicom/write/result_check_dcmtk.hh"
#include "base/guard.hh"
#include "dicom/write/result.h"

#include <dcmtk/config/osconfig.h>

#include <dcmtk/dcmdata/dctk.h>
#include <dcmtk/dcmsr/dsrdoc.h>

#include <algorithm>
#include <cmath>
#include <set>
#include <stdexcept>
#include <string>
#include <vector>

// Reads a result file again by its own words: nothing here uses the code that wrote it, so that a slip there is found.
namespace {

using namespace lvn_check;

void check_header(DcmItem &dataset) {
  const DcmTagKey uids[] = {DCM_SOPClassUID, DCM_SOPInstanceUID, DCM_SeriesInstanceUID};
  const DcmTagKey present[] = {DCM_PatientName,
                               DCM_PatientID,
                               DCM_PatientBirthDate,
                               DCM_PatientSex,
                               DCM_StudyDate,
                               DCM_StudyTime,
                               DCM_StudyID,
                               DCM_AccessionNumber,
                               DCM_Manufacturer,
                               DCM_InstanceNumber,
                               DCM_ReferringPhysicianName};
  const DcmTagKey filled[] = {DCM_StudyInstanceUID, DCM_ContentDate, DCM_ContentTime, DCM_DeviceUID,
                              DCM_SoftwareVersions};
  for (const DcmTagKey &tag : uids) {
    require_uid(dataset, tag);
  }
  for (const DcmTagKey &tag : present) {
    require_present(dataset, tag);
  }
  for (const DcmTagKey &tag : filled) {
    require_filled(dataset, tag);
  }
  Sint32 series_number = 0;
  dataset.findAndGetSint32(DCM_SeriesNumber, series_number);
  require(series_number >= 9000 && series_number <= 9999, "SeriesNumber is not 9000 to 9999");
  require(text_of(dataset, DCM_SeriesDescription).rfind("CAUTION: research use only", 0) == 0,
          "SeriesDescription lacks the caution");
  const std::vector<DcmItem *> equipment = items_of(dataset, DCM_ContributingEquipmentSequence);
  require(!equipment.empty(), "ContributingEquipmentSequence is missing");
  require(code_of(*equipment[0], DCM_PurposeOfReferenceCodeSequence) == "109102:DCM",
          "contributing equipment's purpose");
  require_filled(*equipment[0], DCM_Manufacturer);
  require_uid(*equipment[0], DCM_DeviceUID);
}

void check_meta(DcmFileFormat &file) {
  DcmItem &dataset = *file.getDataset();
  DcmItem &meta = *file.getMetaInfo();
  require(text_of(meta, DCM_MediaStorageSOPInstanceUID) == text_of(dataset, DCM_SOPInstanceUID),
          "file meta information names another instance");
  require(text_of(meta, DCM_MediaStorageSOPClassUID) == text_of(dataset, DCM_SOPClassUID),
          "file meta information names another class");
  require_uid(meta, DCM_TransferSyntaxUID);
}

// PS3.5 6.2; DCMTK does not check lengths.
void check_length(DcmElement &element) {
  const struct {
    DcmEVR vr;
    size_t bytes;
  } limits[] = {{EVR_SH, 16}, {EVR_CS, 16}, {EVR_AE, 16},   {EVR_DS, 16},   {EVR_IS, 12},
                {EVR_LO, 64}, {EVR_UI, 64}, {EVR_ST, 1024}, {EVR_LT, 10240}};
  OFString value;
  for (const auto &limit : limits) {
    for (unsigned long i = 0; limit.vr == element.ident() && i < element.getVM(); i++) {
      require(element.getOFString(value, i).good() && value.size() <= limit.bytes,
              std::string(DcmTag(element.getTag()).getTagName()) + " is too long");
    }
  }
}

bool are_uids(DcmElement &element) {
  OFString value;
  for (unsigned long i = 0; i < element.getVM(); i++) {
    if (element.getOFString(value, i).bad() || !lvn_uid_is_valid(value.c_str())) {
      return false;
    }
  }
  return true;
}

// Patient and accession values are copied as they are and may be anything; the rest is ours and must fit its VR.
void check_values(DcmItem &item) {
  for (unsigned long i = 0; i < item.card(); i++) {
    DcmElement *element = item.getElement(i);
    const DcmTag &tag = element->getTag();
    if (tag.getGroup() == 0x0010 || tag == DCM_AccessionNumber || tag == DCM_StudyInstanceUID) {
      continue;
    }
    if (element->ident() == EVR_SQ) {
      for (DcmItem *child : items_of(item, tag)) {
        check_values(*child);
      }
    } else if (element->ident() == EVR_UI) { // others' UIDs stand as received, with their leading zeros
      check_length(*element);
      require(are_uids(*element), std::string("value of ") + DcmTag(tag).getTagName());
    } else if (element->ident() != EVR_DT) { // DCMTK 3.6.7 refuses a valid offset from UTC
      check_length(*element);
      require(element->checkValue("1-n", OFFalse).good(), std::string("value of ") + DcmTag(tag).getTagName());
    }
  }
}

void check_region(DcmItem &region) {
  const Float32 *points = nullptr;
  unsigned long count = 0;
  require_value(region, DCM_GraphicType, "POLYLINE");
  require(region.findAndGetFloat32Array(DCM_GraphicData, points, &count).good() && count >= 8 && count % 2 == 0,
          "an image region has too few points");
  require(points[0] == points[count - 2] && points[1] == points[count - 1], "an image region is not closed");
  for (unsigned long i = 0; i < count; i++) {
    require(std::isfinite(points[i]) && points[i] >= 0, "an image region leaves the image");
  }
  require(children(region, "SELECTED FROM", "IMAGE", nullptr).size() == 1, "an image region without image");
}

// The class probabilities among an item's NUM: adds them to `sum` in per cent, and the findings that they are of.
void add_probabilities(DcmItem &parent, const char *relationship, double &sum, std::vector<std::string> &classes) {
  for (DcmItem *number : children(parent, relationship, "NUM", nullptr)) {
    if (code_of(*number, DCM_ConceptNameCodeSequence).rfind("PROB_", 0) == 0) {
      Float64 value = -1;
      items_of(*number, DCM_MeasuredValueSequence)[0]->findAndGetFloat64(DCM_NumericValue, value);
      require(value >= 0 && value <= 100, "a probability outside 0 to 100 %");
      const std::vector<DcmItem *> modifiers = children(*number, "HAS CONCEPT MOD", "CODE", "121071:DCM");
      require(modifiers.size() == 1, "a probability without class");
      classes.push_back(code_of(*modifiers[0], DCM_ConceptCodeSequence));
      sum += value;
    }
  }
}

// Viewers label the outline with each NUM of its group, and take it over by the outline under the first one.
void check_numbers(DcmItem &group) {
  const std::vector<DcmItem *> numbers = children(group, "CONTAINS", "NUM", nullptr);
  require(!numbers.empty() && numbers.size() <= 8, "a measurement group has more NUM than viewers can show");
  require(code_of(*numbers[0], DCM_ConceptNameCodeSequence) == "42798000:SCT", "the first NUM is not the area");
  require(!children(*numbers[0], "INFERRED FROM", "SCOORD", nullptr).empty(), "the area has no outline");
}

void check_group(DcmItem &group) {
  const std::vector<DcmItem *> templates = items_of(group, DCM_ContentTemplateSequence);
  const std::string id = templates.size() == 1 ? text_of(*templates[0], DCM_TemplateIdentifier) : "";
  require(id == "1410" || id == "1411", "a measurement group is neither TID 1410 nor TID 1411");
  require(text_of(only_child(group, "HAS OBS CONTEXT", "TEXT", "112039:DCM"), DCM_TextValue)
                  .rfind("Cornerstone3DTools@^0.1.0:PlanarFreehandROI:", 0) == 0,
          "viewers cannot take the tracking identifier up");
  require_uid(only_child(group, "HAS OBS CONTEXT", "UIDREF", "112040:DCM"), DCM_UID);
  require(code_of(only_child(group, "HAS CONCEPT MOD", "CODE", "363698007:SCT"), DCM_ConceptCodeSequence) ==
              "10200004:SCT",
          "the finding site is not the liver");
  only_child(group, "HAS CONCEPT MOD", "TEXT", "111001:DCM");
  only_child(group, "HAS CONCEPT MOD", "TEXT", "111003:DCM");
  const std::vector<DcmItem *> regions = children(group, "CONTAINS", "SCOORD", "111030:DCM");
  require(id == "1410" ? regions.size() == 1 : regions.size() > 1, "number of image regions");
  for (DcmItem *region : regions) {
    check_region(*region);
  }
  check_numbers(group);
  const std::string finding = code_of(only_child(group, "CONTAINS", "CODE", "121071:DCM"), DCM_ConceptCodeSequence);
  DcmItem &answer = only_child(group, "CONTAINS", "CODE", "CLASSIFICATION:99LVN");
  const std::string outcome = code_of(answer, DCM_ConceptCodeSequence);
  const bool has_reason = !children(group, "CONTAINS", "TEXT", "ABSTAIN_REASON:99LVN").empty();
  double sum = 0;
  std::vector<std::string> classes;
  add_probabilities(group, "CONTAINS", sum, classes);
  add_probabilities(answer, "HAS PROPERTIES", sum, classes);
  require(classes.size() != 1, "some class probabilities are missing");
  // Each is rounded to a tenth, and at least that.
  require(classes.empty() || std::fabs(sum - 100) <= 0.1 * static_cast<double>(classes.size()) + 0.01,
          "the class probabilities do not sum to 100 %");
  require(!classes.empty() || outcome == "INDETERMINATE:99LVN", "outcome and probabilities contradict each other");
  require(outcome != "CLASSIFIED:99LVN" || std::count(classes.begin(), classes.end(), finding) == 1,
          "the finding is none of the classes");
  require((outcome == "CLASSIFIED:99LVN") == (finding != "52988006:SCT"), "outcome and finding contradict each other");
  require((outcome == "CLASSIFIED:99LVN") != has_reason, "outcome and abstention reason contradict each other");
}

// A report that replaces another names it, in the same study, and is not that one itself.
void check_predecessors(DcmItem &dataset) {
  for (DcmItem *study : items_of(dataset, DCM_PredecessorDocumentsSequence)) {
    require(text_of(*study, DCM_StudyInstanceUID) == text_of(dataset, DCM_StudyInstanceUID),
            "the replaced report belongs to another study");
    for (DcmItem *series : items_of(*study, DCM_ReferencedSeriesSequence)) {
      require_uid(*series, DCM_SeriesInstanceUID);
      for (DcmItem *instance : items_of(*series, DCM_ReferencedSOPSequence)) {
        require_value(*instance, DCM_ReferencedSOPClassUID, UID_Comprehensive3DSRStorage);
        require_uid(*instance, DCM_ReferencedSOPInstanceUID);
        require(text_of(*instance, DCM_ReferencedSOPInstanceUID) != text_of(dataset, DCM_SOPInstanceUID),
                "the report says that it replaces itself");
      }
    }
  }
}

void check_report(DcmFileFormat &file) {
  DcmDataset &dataset = *file.getDataset();
  require_value(dataset, DCM_Modality, "SR");
  require_value(dataset, DCM_CompletionFlag, "COMPLETE");
  require_value(dataset, DCM_VerificationFlag, "UNVERIFIED");
  require_value(dataset, DCM_PreliminaryFlag, "PRELIMINARY");
  require(code_of(dataset, DCM_ConceptNameCodeSequence) == "126000:DCM",
          "the root is not an Imaging Measurement Report");
  require(&only_child(dataset, "CONTAINS", "TEXT", "RESEARCH_NOTICE:99LVN") ==
              items_of(dataset, DCM_ContentSequence)[0],
          "RESEARCH_NOTICE does not come first");
  require_value(only_child(dataset, "CONTAINS", "TEXT", "RESEARCH_NOTICE:99LVN"), DCM_TextValue, LVN_RESEARCH_NOTICE);
  require(!children(dataset, "CONTAINS", "TEXT", "ANSWER:99LVN").empty(), "the answer is not said first");
  only_child(dataset, "HAS CONCEPT MOD", "CODE", "121049:DCM");
  only_child(dataset, "HAS CONCEPT MOD", "CODE", "121058:DCM");
  require_uid(only_child(dataset, "HAS OBS CONTEXT", "UIDREF", "121012:DCM"), DCM_UID);
  only_child(dataset, "CONTAINS", "CONTAINER", "111028:DCM");
  const std::vector<DcmItem *> schemes = items_of(dataset, DCM_CodingSchemeIdentificationSequence);
  require(schemes.size() == 1 && text_of(*schemes[0], DCM_CodingSchemeDesignator) == "99LVN", "coding scheme 99LVN");
  check_predecessors(dataset);
  check_content(dataset, evidence_uids(dataset));
  const std::vector<DcmItem *> groups =
      children(only_child(dataset, "CONTAINS", "CONTAINER", "126010:DCM"), "CONTAINS", "CONTAINER", "125007:DCM");
  require(!groups.empty(), "no measurement group");
  for (DcmItem *group : groups) {
    check_group(*group);
  }
  DcmItem &evaluations = only_child(dataset, "CONTAINS", "CONTAINER", "C0034375:UMLS");
  require(!children(evaluations, "CONTAINS", "TEXT", "PHASE_EVIDENCE:99LVN").empty(), "no phase evidence");
  DSRDocument document;
  // Values against their VR are check_values()'s, which lets referenced UIDs stand as received.
  const OFCondition condition = document.read(dataset, DSRTypes::RF_acceptInvalidContentItemValue);
  require(condition.good(), std::string("DCMTK cannot read the report: ") + condition.text());
}

void check_capture(DcmItem &dataset) {
  Uint16 rows = 0;
  Uint16 columns = 0;
  const Uint8 *pixels = nullptr;
  unsigned long count = 0;
  require_value(dataset, DCM_Modality, "OT");
  require_value(dataset, DCM_ImageType, "DERIVED\\SECONDARY\\OTHER");
  require_value(dataset, DCM_ConversionType, "WSD");
  require_value(dataset, DCM_BurnedInAnnotation, "NO");
  require_value(dataset, DCM_RecognizableVisualFeatures, "NO");
  require_value(dataset, DCM_LossyImageCompression, "00");
  require_value(dataset, DCM_PhotometricInterpretation, "RGB");
  require_filled(dataset, DCM_BodyPartExamined);
  require(text_of(dataset, DCM_DerivationDescription).find(LVN_RESEARCH_NOTICE) != std::string::npos,
          "DerivationDescription lacks the research notice");
  const std::vector<DcmItem *> sources = items_of(dataset, DCM_SourceImageSequence);
  require(!sources.empty(), "SourceImageSequence is missing");
  require_uid(*sources[0], DCM_ReferencedSOPInstanceUID);
  dataset.findAndGetUint16(DCM_Rows, rows);
  dataset.findAndGetUint16(DCM_Columns, columns);
  require(dataset.findAndGetUint8Array(DCM_PixelData, pixels, &count).good() && rows > 0 && columns > 0 &&
              (count & ~1UL) == ((static_cast<unsigned long>(rows) * columns * 3 + 1) & ~1UL),
          "the pixel data's length does not fit rows and columns");
}

} // namespace

bool lvn_result_check(const char *path, struct lvn_error *err) {
  return lvn_guard(err, LVN_ERROR_INTERNAL, [&]() -> bool {
    DcmFileFormat file;
    const OFCondition condition = file.loadFile(path);
    require(condition.good(), std::string("cannot be read: ") + condition.text());
    DcmDataset &dataset = *file.getDataset();
    require(file.loadAllDataIntoMemory().good(), "cannot be read whole");
    check_meta(file);
    check_header(dataset);
    check_values(dataset);
    const std::string sop_class_uid = text_of(dataset, DCM_SOPClassUID);
    if (sop_class_uid == UID_Comprehensive3DSRStorage) {
      check_report(file);
    } else if (sop_class_uid == UID_SecondaryCaptureImageStorage) {
      check_capture(dataset);
    } else if (!check_further(sop_class_uid, dataset)) {
      fail("unexpected SOP class " + sop_class_uid);
    }
    return true;
  });
}
