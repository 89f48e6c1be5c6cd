#include "dicom/write/result_check_dcmtk.hh"

#include "base/sha256.h"

#include <stdexcept>

namespace lvn_check {

[[noreturn]] void fail(const std::string &what) {
  throw std::runtime_error("result object does not conform: " + what);
}

void require(bool holds, const std::string &what) {
  if (!holds) {
    fail(what);
  }
}

std::string text_of(DcmItem &item, const DcmTagKey &tag) {
  OFString value;
  return item.findAndGetOFStringArray(tag, value).good() ? value.c_str() : "";
}

void require_value(DcmItem &item, const DcmTagKey &tag, const char *wanted) {
  const std::string value = text_of(item, tag);
  require(value == wanted, std::string(DcmTag(tag).getTagName()) + " is '" + value + "', must be '" + wanted + "'");
}

void require_filled(DcmItem &item, const DcmTagKey &tag) {
  require(item.tagExistsWithValue(tag), std::string(DcmTag(tag).getTagName()) + " is missing or empty");
}

void require_present(DcmItem &item, const DcmTagKey &tag) {
  require(item.tagExists(tag), std::string(DcmTag(tag).getTagName()) + " is missing");
}

void require_uid(DcmItem &item, const DcmTagKey &tag) {
  require(lvn_uid_is_valid(text_of(item, tag).c_str()), std::string(DcmTag(tag).getTagName()) + " is not a UID");
}

std::vector<DcmItem *> items_of(DcmItem &item, const DcmTagKey &tag) {
  std::vector<DcmItem *> items;
  DcmSequenceOfItems *sequence = nullptr;
  if (item.findAndGetSequence(tag, sequence).good()) {
    for (unsigned long i = 0; i < sequence->card(); i++) {
      items.push_back(sequence->getItem(i));
    }
  }
  return items;
}

std::string code_of(DcmItem &item, const DcmTagKey &tag) {
  const std::vector<DcmItem *> codes = items_of(item, tag);
  if (codes.size() != 1) {
    return "";
  }
  require_filled(*codes[0], DCM_CodeMeaning);
  return text_of(*codes[0], DCM_CodeValue) + ":" + text_of(*codes[0], DCM_CodingSchemeDesignator);
}

std::vector<DcmItem *> children(DcmItem &parent, const char *relationship, const char *type, const char *name) {
  std::vector<DcmItem *> found;
  for (DcmItem *child : items_of(parent, DCM_ContentSequence)) {
    if (text_of(*child, DCM_RelationshipType) == relationship && text_of(*child, DCM_ValueType) == type &&
        (name == nullptr || code_of(*child, DCM_ConceptNameCodeSequence) == name)) {
      found.push_back(child);
    }
  }
  return found;
}

DcmItem &only_child(DcmItem &parent, const char *relationship, const char *type, const char *name) {
  const std::vector<DcmItem *> found = children(parent, relationship, type, name);
  require(found.size() == 1, std::string("not exactly one ") + type + " " + name);
  return *found[0];
}

Uids evidence_uids(DcmItem &dataset) {
  Uids uids;
  for (DcmItem *study : items_of(dataset, DCM_CurrentRequestedProcedureEvidenceSequence)) {
    require(text_of(*study, DCM_StudyInstanceUID) == text_of(dataset, DCM_StudyInstanceUID),
            "evidence belongs to another study");
    for (DcmItem *series : items_of(*study, DCM_ReferencedSeriesSequence)) {
      require_filled(*series, DCM_SeriesInstanceUID);
      for (DcmItem *instance : items_of(*series, DCM_ReferencedSOPSequence)) {
        require_uid(*instance, DCM_ReferencedSOPClassUID);
        uids.insert(text_of(*instance, DCM_ReferencedSOPInstanceUID));
      }
    }
  }
  require(!uids.empty(), "the evidence is empty");
  return uids;
}

void check_content(DcmItem &parent, const Uids &evidence) {
  for (DcmItem *child : items_of(parent, DCM_ContentSequence)) {
    const std::string type = text_of(*child, DCM_ValueType);
    if (type == "IMAGE" || type == "COMPOSITE") {
      const std::vector<DcmItem *> references = items_of(*child, DCM_ReferencedSOPSequence);
      require(references.size() == 1, "an " + type + " item without reference");
      const std::string uid = text_of(*references[0], DCM_ReferencedSOPInstanceUID);
      require(evidence.count(uid) == 1, "image " + uid + " is not in the evidence");
    } else {
      require(!code_of(*child, DCM_ConceptNameCodeSequence).empty(), "a " + type + " item without concept name");
    }
    if (type == "NUM") {
      const std::vector<DcmItem *> values = items_of(*child, DCM_MeasuredValueSequence);
      require(values.size() == 1, "a NUM item without value");
      require_filled(*values[0], DCM_NumericValue);
      require(!code_of(*values[0], DCM_MeasurementUnitsCodeSequence).empty(), "a NUM item without unit");
    } else if (type == "TEXT") {
      require_filled(*child, DCM_TextValue);
    }
    check_content(*child, evidence);
  }
}

} // namespace lvn_check
