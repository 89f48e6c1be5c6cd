// Where the images that a ROI object refers to belong: by the evidence sequences of reports (PS3.3 C.17.2), the series
// that a RT Structure Set, a segmentation or a presentation state lists, and which objects it replaces.
#include "dicom/read/roi_select_dcmtk.hh"

namespace lvn {

void RoiReferences::add_image(DcmItem &reference) {
  const std::string uid = code_of(reference, DCM_ReferencedSOPInstanceUID);
  const std::string sop_class = code_of(reference, DCM_ReferencedSOPClassUID);
  if (!uid.empty() && (images[uid].sop_class.empty() || !sop_class.empty())) {
    images[uid].sop_class = sop_class;
  }
}

namespace {

void add_series(RoiReferences &references, DcmItem &series, const DcmTagKey &instances, const std::string &study) {
  const std::string series_uid = code_of(series, DCM_SeriesInstanceUID);
  if (!series_uid.empty()) {
    references.study_of[series_uid] = study;
  }
  for (DcmItem *instance : sequence_items(series, instances)) {
    references.add_image(*instance);
    const auto found = references.images.find(code_of(*instance, DCM_ReferencedSOPInstanceUID));
    if (found != references.images.end()) {
      found->second.study = study;
      found->second.series = series_uid;
    }
  }
}

void read_evidence(RoiReferences &references, DcmItem &dataset, const DcmTagKey &key) {
  for (DcmItem *study : sequence_items(dataset, key)) {
    for (DcmItem *series : sequence_items(*study, DCM_ReferencedSeriesSequence)) {
      add_series(references, *series, DCM_ReferencedSOPSequence, code_of(*study, DCM_StudyInstanceUID));
      add_series(references, *series, DCM_ReferencedInstanceSequence, code_of(*study, DCM_StudyInstanceUID));
    }
  }
}

void read_predecessors(RoiReferences &references, DcmItem &dataset) {
  for (const DcmTagKey &key : {DCM_PredecessorDocumentsSequence, DCM_IdenticalDocumentsSequence}) {
    for (DcmItem *study : sequence_items(dataset, key)) {
      for (DcmItem *series : sequence_items(*study, DCM_ReferencedSeriesSequence)) {
        for (DcmItem *instance : sequence_items(*series, DCM_ReferencedSOPSequence)) {
          references.predecessors.insert(code_of(*instance, DCM_ReferencedSOPInstanceUID));
        }
      }
    }
  }
  for (DcmItem *item : sequence_items(dataset, DCM_PredecessorStructureSetSequence)) {
    references.predecessors.insert(code_of(*item, DCM_ReferencedSOPInstanceUID));
  }
}

} // namespace

void RoiReferences::read(DcmItem &dataset, const std::string &own_study) {
  read_evidence(*this, dataset, DCM_PertinentOtherEvidenceSequence);
  read_evidence(*this, dataset, DCM_StudiesContainingOtherReferencedInstancesSequence);
  read_evidence(*this, dataset, DCM_CurrentRequestedProcedureEvidenceSequence);
  // Common Instance Reference (PS3.3 C.12.2): series of the object's own study.
  for (DcmItem *series : sequence_items(dataset, DCM_ReferencedSeriesSequence)) {
    add_series(*this, *series, DCM_ReferencedInstanceSequence, own_study);
    add_series(*this, *series, DCM_ReferencedImageSequence, own_study);
  }
  for (DcmItem *frame : sequence_items(dataset, DCM_ReferencedFrameOfReferenceSequence)) {
    for (DcmItem *study : sequence_items(*frame, DCM_RTReferencedStudySequence)) {
      for (DcmItem *series : sequence_items(*study, DCM_RTReferencedSeriesSequence)) {
        add_series(*this, *series, DCM_ContourImageSequence, code_of(*study, DCM_ReferencedSOPInstanceUID));
      }
    }
  }
  read_predecessors(*this, dataset);
}

} // namespace lvn
