// What RT Structure Sets, segmentations and measurement groups say about a region beside its outline.
#include "dicom/read/roi_select_dcmtk.hh"

#include <algorithm>
#include <cctype>

namespace lvn {

namespace {

// Retired, and renamed in DCMTK, but still written by planning systems (PS3.3 C.8.8.8).
const DcmTagKey observation_label(0x3006, 0x0085);
const DcmTagKey observation_description(0x3006, 0x0088);

} // namespace

std::vector<DcmItem *> sequence_items(DcmItem &parent, const DcmTagKey &key) {
  std::vector<DcmItem *> items;
  DcmSequenceOfItems *sequence = nullptr;
  DcmObject *object = nullptr;
  if (parent.findAndGetSequence(key, sequence).bad() || sequence == nullptr) {
    return items;
  }
  while ((object = sequence->nextInContainer(object)) != nullptr) {
    auto *item = dynamic_cast<DcmItem *>(object);
    if (item != nullptr) {
      items.push_back(item);
    }
  }
  return items;
}

RoiVerdict judge_text(const std::string &text) {
  char word[LVN_ROI_WORD_BYTES];
  RoiVerdict verdict;
  verdict.meaning = lvn_roi_name_meaning(text.c_str(), word);
  switch (verdict.meaning) {
  case LVN_ROI_ORGAN:
  case LVN_ROI_HELPER:
    verdict.reason = std::string("it is named ") + word;
    break;
  case LVN_ROI_MARGIN:
    verdict.reason = "it is a target with a margin, not the lesion itself";
    break;
  case LVN_ROI_ELSEWHERE:
    verdict.reason = std::string("it is a lesion of another organ (") + word + ")";
    break;
  case LVN_ROI_UNNAMED:
  case LVN_ROI_UNKNOWN:
  case LVN_ROI_LESION:
    break;
  }
  return verdict;
}

RoiVerdict judge_code(DcmItem *code) {
  RoiVerdict verdict;
  verdict.meaning = LVN_ROI_UNNAMED;
  if (code == nullptr) {
    return verdict;
  }
  const RoiVerdict by_text = judge_text(text_of(*code, DCM_CodeMeaning));
  verdict.meaning =
      lvn_roi_code_meaning(code_of(*code, DCM_CodingSchemeDesignator).c_str(), code_of(*code, DCM_CodeValue).c_str());
  if (verdict.meaning == LVN_ROI_UNKNOWN) {
    return by_text;
  }
  verdict.reason = by_text.meaning == verdict.meaning && !by_text.reason.empty() ? by_text.reason
                   : verdict.meaning == LVN_ROI_ORGAN                            ? "it is coded as anatomy"
                                                                                 : "it is coded as no lesion";
  return verdict;
}

static bool decides(const RoiVerdict &verdict) {
  return verdict.meaning != LVN_ROI_UNNAMED && verdict.meaning != LVN_ROI_UNKNOWN;
}

static bool is_left_out(lvn_roi_meaning meaning) {
  return meaning == LVN_ROI_MARGIN || meaning == LVN_ROI_HELPER || meaning == LVN_ROI_ELSEWHERE;
}

static RoiVerdict judge_type(const std::string &type) {
  RoiVerdict verdict;
  verdict.meaning = lvn_roi_type_meaning(type.c_str());
  if (verdict.meaning == LVN_ROI_UNNAMED && !type.empty()) {
    return judge_text(type);
  }
  // One of the standard's own words, since it was found in the table.
  verdict.reason = "its type is " + type;
  return verdict;
}

// Name and type contradict each other often: types are picked from a list, and several writers write one for all. The
// type decides what it must mean (a helper, a margin, a GTV), the name whatever it says.
static RoiVerdict combine_name_and_type(const RoiVerdict &name, const RoiVerdict &type, bool names_gtv) {
  if (type.meaning == LVN_ROI_HELPER || (type.meaning == LVN_ROI_MARGIN && !names_gtv)) {
    return is_left_out(name.meaning) ? name : type;
  }
  if (decides(name)) {
    return name;
  }
  return decides(type) ? type : name;
}

RoiVerdict judge_structure(DcmItem &structure, DcmItem *observation) {
  const std::string label = text_of(structure, DCM_ROIName);
  char word[LVN_ROI_WORD_BYTES];
  const bool names_gtv = lvn_roi_name_meaning(label.c_str(), word) == LVN_ROI_LESION && std::string(word) == "gtv";
  const RoiVerdict name = judge_text(label);
  RoiVerdict verdict = name;
  std::vector<RoiVerdict> further = {};
  if (observation != nullptr) {
    verdict = combine_name_and_type(name, judge_type(code_of(*observation, DCM_RTROIInterpretedType)), names_gtv);
    further.push_back(judge_code(first_item(observation, DCM_RTROIIdentificationCodeSequence)));
    further.push_back(judge_code(first_item(observation, DCM_SegmentedPropertyTypeCodeSequence)));
    further.push_back(judge_code(first_item(observation, DCM_SegmentedPropertyCategoryCodeSequence)));
    further.push_back(judge_text(text_of(*observation, observation_label)));
    further.push_back(judge_text(text_of(*observation, observation_description)));
  }
  further.push_back(judge_text(text_of(structure, DCM_ROIDescription)));
  for (const RoiVerdict &other : further) {
    if (decides(verdict)) {
      break;
    }
    if (decides(other)) {
      verdict = other;
    }
  }
  return verdict;
}

// Models that segment anatomy alone.
static bool is_organ_model(const std::string &name) {
  std::string lower = name;
  std::transform(lower.begin(), lower.end(), lower.begin(), [](unsigned char c) { return std::tolower(c); });
  for (const char *model : {"totalsegmentator", "total segmentator", "wholebody", "whole body", "multi-organ",
                            "multiorgan", "multi organ", "moose", "organ", "anatom", "autocontour"}) {
    if (lower.find(model) != std::string::npos) {
      return true;
    }
  }
  return false;
}

// An organ's name beside codes of a lesion: the name may be the lesion's place, or the codes the same for all segments.
static RoiVerdict contradiction(const RoiVerdict &label, bool is_automatic) {
  return is_automatic ? label : RoiVerdict{LVN_ROI_UNKNOWN, ""};
}

RoiVerdict judge_segment(DcmItem &segment, bool &ret_automatic) {
  const RoiVerdict label = judge_text(text_of(segment, DCM_SegmentLabel));
  const RoiVerdict type = judge_code(first_item(&segment, DCM_SegmentedPropertyTypeCodeSequence));
  const RoiVerdict category = judge_code(first_item(&segment, DCM_SegmentedPropertyCategoryCodeSequence));
  const RoiVerdict description = judge_text(text_of(segment, DCM_SegmentDescription));
  const bool codes_lesion = type.meaning == LVN_ROI_LESION || category.meaning == LVN_ROI_LESION;
  ret_automatic = code_of(segment, DCM_SegmentAlgorithmType) == "AUTOMATIC";
  if (label.meaning == LVN_ROI_ORGAN && codes_lesion) {
    return contradiction(label, ret_automatic);
  }
  if (decides(label)) {
    return label;
  }
  if (is_left_out(type.meaning)) {
    return type;
  }
  if (codes_lesion) {
    return type.meaning == LVN_ROI_LESION ? type : category;
  }
  for (const RoiVerdict *verdict : {&type, &category, &description}) {
    if (decides(*verdict)) {
      return *verdict;
    }
  }
  std::string model = text_of(segment, DCM_SegmentAlgorithmName);
  for (DcmItem *algorithm : sequence_items(segment, DCM_SegmentationAlgorithmIdentificationSequence)) {
    model += " " + text_of(*algorithm, DCM_AlgorithmName);
  }
  if (ret_automatic && is_organ_model(model)) {
    return {LVN_ROI_ORGAN, "it was made by a model of organs"};
  }
  return label;
}

// "Cornerstone3DTools@^0.1.0:CircleROI": the tool's name, not the region's.
static bool is_tool_name(const std::string &tracking_id) {
  return tracking_id.find("Tools@") != std::string::npos || tracking_id.find("ornerstone") != std::string::npos;
}

RoiVerdict judge_group(DcmItem *finding, DcmItem *site, const std::string &tracking_id) {
  char word[LVN_ROI_WORD_BYTES];
  const RoiVerdict found = judge_code(finding);
  const RoiVerdict named = is_tool_name(tracking_id) ? RoiVerdict{} : judge_text(tracking_id);
  const RoiVerdict &said = decides(found) ? found : named;
  const std::string place = site == nullptr ? "" : text_of(*site, DCM_CodeMeaning);
  if (decides(said) && said.meaning != LVN_ROI_LESION) {
    return said;
  }
  if (lvn_roi_names_other_organ(place.c_str(), word)) {
    return {LVN_ROI_ELSEWHERE, std::string("its finding site is another organ (") + word + ")"};
  }
  if (said.meaning == LVN_ROI_LESION) {
    return said;
  }
  // A vessel's diameter or density is measured there; a lesion's site is the liver or one of its segments.
  const RoiVerdict by_site = judge_text(place);
  const bool is_vessel = by_site.meaning == LVN_ROI_ORGAN && by_site.reason.find("liver") == std::string::npos &&
                         by_site.reason.find("hepat") == std::string::npos &&
                         by_site.reason.find("couinaud") == std::string::npos;
  return is_vessel ? by_site : said;
}

} // namespace lvn
