"""Which region of which object is a lesion: planning sets, automatic segmentations, several objects of one series, and
objects drawn on images that are not there."""

import copy
import os

import highdicom
import numpy as np
import pydicom
import pytest
from highdicom.sr.coding import CodedConcept
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.sr.codedict import codes
from pydicom.uid import generate_uid

import field

ANATOMY = CodedConcept("123037004", "SCT", "Anatomical Structure")
ANATOMY_SRT = CodedConcept("T-D000A", "SRT", "Anatomical Structure")
TISSUE = CodedConcept("85756007", "SCT", "Tissue")
ABNORMAL = CodedConcept("49755003", "SCT", "Morphologically Abnormal Structure")
NEOPLASM = CodedConcept("108369006", "SCT", "Neoplasm")

TOTAL = """spleen kidney_right kidney_left gallbladder liver stomach pancreas adrenal_gland_right lung_lower_lobe_right
duodenum vertebrae_T12 vertebrae_L1 aorta inferior_vena_cava portal_vein_and_splenic_vein iliopsoas_left autochthon_right
rib_right_9 costal_cartilages spinal_cord heart colon small_bowel hip_left liver_vessels subcutaneous_fat torso_fat
skeletal_muscle kidney_cyst_left liver_segment_4 trachea prostate brain sternum sacrum""".split()


def structures(folder, rois, shift_others=True):
    """The phantom's RTSTRUCT with one copy of its ROI for each (name, type); all but the first moved away."""
    path = field.roi_path(folder)
    r = pydicom.dcmread(path)
    first = (r.StructureSetROISequence[0], r.ROIContourSequence[0], r.RTROIObservationsSequence[0])
    r.StructureSetROISequence, r.ROIContourSequence, r.RTROIObservationsSequence = Sequence(), Sequence(), Sequence()
    for n, (name, kind) in enumerate(rois, 1):
        a, b, c = (copy.deepcopy(item) for item in first)
        a.ROINumber = b.ReferencedROINumber = c.ReferencedROINumber = c.ObservationNumber = n
        a.ROIName, c.RTROIInterpretedType = name, kind
        if n > 1 and shift_others:
            move(b, -60 + 5 * n, 40 if n % 2 else -40)
        r.StructureSetROISequence.append(a)
        r.ROIContourSequence.append(b)
        r.RTROIObservationsSequence.append(c)
    r.save_as(path)
    return r


def move(roi, x, y):
    for contour in roi.ContourSequence:
        values = [float(v) for v in contour.ContourData]
        values[0::3] = [v + x for v in values[0::3]]
        values[1::3] = [v + y for v in values[1::3]]
        contour.ContourData = [f"{v:.2f}" for v in values]


def second_object(folder, name, change):
    """A copy of the phantom's ROI object with its own identity, changed; returns its data set."""
    r = pydicom.dcmread(field.roi_path(folder))
    r.SOPInstanceUID = r.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    change(r)
    r.save_as(folder / "roi" / name)
    return r


def rename(r, name):
    r.StructureSetROISequence[0].ROIName = name


def assert_the_lesion(done, count=1):
    assert done.outcome == "done" and len(done.lesions) == count, done
    assert any(abs(lesion["volume_ml"] - field.VOLUME_ML) < 0.1 for lesion in done.lesions), done


def assert_waits(done, words):
    assert done.outcome == "waiting" and words in done.result["status_message"], done


PLANNING = {
    "TG-263 with types": [("GTV", "GTV"), ("PTV", "PTV"), ("Liver", "ORGAN"), ("Bowel_Small", "ORGAN"),
                          ("A_Aorta", "ORGAN"), ("V_Venacava_I", "ORGAN"), ("SpinalCanal", "ORGAN"),
                          ("Chestwall", "ORGAN"), ("Ring_2cm", "AVOIDANCE")],
    "names alone": [("Lesion S8", ""), ("PTV_4500", ""), ("Leber", ""), ("Niere_re", ""), ("Magen", ""),
                    ("zRind", ""), ("Liver-GTV", ""), ("SpinalCord_PRV", ""), ("Körper", ""), ("BODY", "")],
    "types alone": [("A", "GTV"), ("B", "CTV"), ("C", "ORGAN"), ("D", "AVOIDANCE"), ("E", "EXTERNAL"), ("F", "CONTROL"),
                    ("G", "DOSE_REGION")],
    "an unnamed ROI with organs": [("ROI-1", ""), ("foie", ""), ("rein droit", ""), ("aorte", "")],
    "more than a study may have": [("HCC", "")] + [(f"Rib_L_{n}", "") for n in range(1, 40)],
    "one that nothing marks": [("GTV", "GTV"), ("Bobinski", ""), ("Liver", "ORGAN")],
}


@pytest.mark.parametrize("rois", PLANNING.values(), ids=PLANNING.keys())
def test_a_planning_set_has_one_lesion(tmp_path, rois):
    folder = field.phantom(tmp_path)
    structures(folder, rois)
    done = field.analyze(folder)
    assert_the_lesion(done)
    assert "left out" in done.note and len(done.note) < 256 and done.note[-1] not in ",;", done.note


@pytest.mark.parametrize("rois, words", [
    ([("CTV", "CTV"), ("PTV_5000", "PTV"), ("Liver", "ORGAN")], "targets with a margin"),
    ([("Liver", ""), ("Spleen", "")], "left out"),
    ([(f"ROI {n}", "") for n in range(1, 6)], "a ROI marked as a lesion: 5 regions of the RTSTRUCT (ROI 1 to 5)"),
    ([("", ""), ("", "")], "a ROI marked as a lesion: 2 regions"),
    ([("Bobinski", ""), ("Liver", ""), ("Heart", "")], "ROI 1 of the RTSTRUCT says neither lesion nor organ"),
])
def test_what_nothing_marks_is_asked_for(tmp_path, rois, words):
    folder = field.phantom(tmp_path)
    structures(folder, rois)
    done = field.analyze(folder)
    assert_waits(done, words)
    assert "Bobinski" not in done.text


def organs(folder, labels, kind="BINARY", category=ANATOMY, algorithm="AUTOMATIC", lesion=None):
    """A SEG of small blocks, one for each label, on the portal-venous series; `lesion` is (label, category, type)."""
    images = [dataset for _, dataset in field.ct(folder, "pv")]
    pixels = np.zeros((len(images), images[0].Rows, images[0].Columns), np.uint8)
    rows = [(label, category, category) for label in labels] + ([lesion] if lesion else [])
    for i in range(len(rows)):
        x, y = 40 + (i % 12) * 14, 60 + (i // 12) * 14
        pixels[6:9, y:y + 10, x:x + 10] = i + 1
    who = highdicom.AlgorithmIdentificationSequence(name="Segmenter", family=codes.DCM.ArtificialIntelligence,
                                                    version="2.4.0")
    segments = [highdicom.seg.SegmentDescription(i + 1, label, kind_of, type_of, algorithm,
                                                 None if algorithm == "MANUAL" else who)
                for i, (label, kind_of, type_of) in enumerate(rows)]
    seg = highdicom.seg.Segmentation(images, pixels, kind, segments, highdicom.UID(), 300, highdicom.UID(), 1,
                                     "Segmenter", "Segmenter", "2.4.0", "1")
    seg.save_as(folder / "roi" / "organs.dcm")
    return seg


@pytest.mark.parametrize("labels, options", [
    (TOTAL, {}),
    ([f"Segment_{n}" for n in range(1, 50)], {"category": ANATOMY_SRT}),
    (TOTAL[:12], {"category": TISSUE, "kind": "LABELMAP", "algorithm": "MANUAL"}),
    (["vertebrae_L1", "Bobinski", "liver"], {"category": TISSUE}),
    ([f"Segment_{n}" for n in range(1, 4)], {"category": TISSUE}),
], ids=["names", "categories", "names in a label map", "an unknown name among organs", "nothing said"])
def test_automatic_organs_beside_a_lesion(tmp_path, labels, options):
    folder = field.phantom(tmp_path)
    organs(folder, labels, **options)
    done = field.analyze(folder)
    assert_the_lesion(done)
    assert "of the SEG" in done.note, done.note


@pytest.mark.parametrize("lesion", [("liver_tumor", TISSUE, TISSUE), ("Segment 9", ABNORMAL, NEOPLASM)])
def test_a_lesion_among_the_organs_of_one_segmentation(tmp_path, lesion):
    folder = field.phantom(tmp_path)
    organs(folder, TOTAL, lesion=lesion)
    for path in (folder / "roi").glob("*.dcm"):
        if path.name != "organs.dcm":
            path.unlink()
    done = field.analyze(folder)
    assert done.outcome == "done" and len(done.lesions) == 1, done


def test_two_objects_of_one_series_are_two_lesions(tmp_path):
    folder = field.phantom(tmp_path)
    second_object(folder, "b.dcm", lambda r: move(r.ROIContourSequence[0], -50, 0))
    done = field.analyze(folder)
    assert_the_lesion(done, 2)


def replaces(r, old):
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = old.SOPClassUID, old.SOPInstanceUID
    r.PredecessorStructureSetSequence = [item]


def breaks(roi):
    """Nothing that a reader could mend: points in nobody's frame of reference."""
    for contour in roi.ContourSequence:
        contour.ContourData = [str(float(v) + 5000) for v in contour.ContourData]
        contour.pop("ContourImageSequence", None)


def test_an_object_replaces_its_predecessor(tmp_path):
    """Even one that could not be used, and one that is dated later than its successor."""
    folder = field.phantom(tmp_path)
    path = field.roi_path(folder)
    old = pydicom.dcmread(path)
    new = second_object(folder, "b.dcm", lambda r: replaces(r, old))
    breaks(old.ROIContourSequence[0])
    old.StructureSetDate = "20991231"
    old.save_as(path)
    done = field.analyze(folder)
    assert_the_lesion(done)
    assert done.lesions[0]["roi"]["sop_instance_uid"] == new.SOPInstanceUID
    assert "a later object replaces it" in done.note


def test_a_corrected_object_of_the_same_series(tmp_path):
    folder = field.phantom(tmp_path)
    path = field.roi_path(folder)
    second_object(folder, "b.dcm", lambda r: setattr(r, "StructureSetDate", "20991231"))
    old = pydicom.dcmread(path)
    breaks(old.ROIContourSequence[0])
    old.save_as(path)
    done = field.analyze(folder)
    assert_the_lesion(done)
    assert "cannot be used" in done.note
    # The other way round it is the newest that cannot be used: nothing else has what it shows.
    old.StructureSetDate = "21000101"
    old.save_as(path)
    assert field.analyze(folder).outcome == "refused"


@pytest.mark.parametrize("zone, newest", [("+0000", "a"), ("-0500", "b")])
def test_the_newest_by_its_time_zone(tmp_path, zone, newest):
    """One tracking UID, two places: 12:00 at UTC against 11:00 somewhere else."""
    folder = field.phantom(tmp_path, roi="seg")
    path = field.roi_path(folder)
    first = pydicom.dcmread(path)
    first.ContentDate, first.ContentTime, first.TimezoneOffsetFromUTC = "20260301", "120000", "+0000"
    first.SegmentSequence[0].TrackingUID, first.SegmentSequence[0].TrackingID = "1.2.3.4.5", "Lesion 1"
    first.save_as(path)

    def change(r):
        r.ContentTime, r.TimezoneOffsetFromUTC = "110000", zone
        r.PixelData = np.roll(np.frombuffer(r.PixelData, np.uint8), -5).tobytes()

    second = second_object(folder, "b.dcm", change)
    done = field.analyze(folder)
    assert done.outcome == "done" and len(done.lesions) == 1, done
    assert done.lesions[0]["roi"]["sop_instance_uid"] == {"a": first, "b": second}[newest].SOPInstanceUID
    assert "an older ROI of the same lesion" in done.note


def test_versions_of_an_unnamed_region_are_one_lesion(tmp_path):
    folder = field.phantom(tmp_path)
    path = field.roi_path(folder)
    r = pydicom.dcmread(path)
    rename(r, "ROI-1")
    r.save_as(path)
    second_object(folder, "b.dcm", lambda other: rename(other, "New ROI"))
    assert_the_lesion(field.analyze(folder))
    second_object(folder, "c.dcm", lambda other: move(other.ROIContourSequence[0], -60, 0))
    assert_waits(field.analyze(folder), "a ROI marked as a lesion: 2 regions of different objects")


def everything(item):
    yield item
    for element in item:
        if element.VR == "SQ":
            for child in element.value:
                yield from everything(child)


def rename_images(r, keep=lambda uid: False):
    """Every reference to an image or its series goes to one that is not there."""
    known = {}
    for item in everything(r):
        for name in ("ReferencedSOPInstanceUID", "SeriesInstanceUID"):
            if item is r or name not in item or (name[0] == "R" and "RTReferencedSeriesSequence" in item):
                continue
            uid = item.data_element(name)
            if not keep(uid.value):
                uid.value = known.setdefault(uid.value, generate_uid())


@pytest.mark.parametrize("kind", ["rtstruct", "seg", "sr"])
def test_a_series_that_has_not_arrived_is_waited_for(tmp_path, kind):
    folder = field.phantom(tmp_path, roi=kind)
    path = field.roi_path(folder)
    r = pydicom.dcmread(path)
    rename_images(r)
    r.save_as(path)
    assert_waits(field.analyze(folder), "waiting for the series that the ROI was drawn on")


@pytest.mark.parametrize("kind", ["rtstruct", "sr"])
def test_a_series_that_has_arrived_in_part_is_waited_for(tmp_path, kind):
    folder = field.phantom(tmp_path, roi=kind)
    drawn = {item.ReferencedSOPInstanceUID for item in everything(pydicom.dcmread(field.roi_path(folder)))
             if "ReferencedSOPInstanceUID" in item and item.get("ReferencedSOPClassUID", "").endswith("5.1.4.1.1.2")}
    images = [(path, dataset) for path, dataset in field.ct(folder, "pv") if dataset.SOPInstanceUID in drawn]
    for path, dataset in field.ct(folder, "pv"):
        if dataset.ImagePositionPatient[2] >= images[len(images) // 2][1].ImagePositionPatient[2]:
            os.remove(path)
    assert_waits(field.analyze(folder), "for the rest of series 4")


def group_of(item):
    for child in item.get("ContentSequence", []):
        if child.ValueType == "CONTAINER" and child.ConceptNameCodeSequence[0].CodeValue == "125007":
            return item, child
        found = group_of(child)
        if found:
            return found
    return None


def second_group(folder, change):
    """A further measurement group in the phantom's report, on an image of its own UID."""
    path = field.roi_path(folder)
    r = pydicom.dcmread(path)
    parent, group = group_of(r)
    other, image = copy.deepcopy(group), generate_uid()
    for item in everything(other):
        if item.get("ValueType") == "UIDREF":
            item.UID = generate_uid()
        if item.get("ValueType") == "IMAGE":
            item.ReferencedSOPSequence[0].ReferencedSOPInstanceUID = image
        change(item)
    parent.ContentSequence.append(other)
    return r, path, image


def no_change(item):
    del item


def line(item):
    if item.get("ValueType") == "SCOORD":
        item.GraphicData, item.GraphicType = [float(v) for v in list(item.GraphicData)[:4]], "POLYLINE"


def capture(item):
    if item.get("ValueType") == "IMAGE":
        item.ReferencedSOPSequence[0].ReferencedSOPClassUID = "1.2.840.10008.5.1.4.1.1.7"


def evidence(r, image, sequence):
    study, series, reference = Dataset(), Dataset(), Dataset()
    study.StudyInstanceUID, series.SeriesInstanceUID = generate_uid(), generate_uid()
    reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = "1.2.840.10008.5.1.4.1.1.2", image
    series.ReferencedSOPSequence, study.ReferencedSeriesSequence = [reference], [series]
    setattr(r, sequence, list(r.get(sequence, [])) + [study])


@pytest.mark.parametrize("change, sequence, words", [
    (line, None, "without an area"),
    (capture, None, "an image that is no CT"),
    (no_change, "PertinentOtherEvidenceSequence", "images of another study"),
    (no_change, "CurrentRequestedProcedureEvidenceSequence", "images of another study"),
])
def test_what_is_no_region_of_this_study_is_noted(tmp_path, change, sequence, words):
    folder = field.phantom(tmp_path, roi="sr")
    r, path, image = second_group(folder, change)
    if sequence:
        evidence(r, image, sequence)
    r.save_as(path)
    done = field.analyze(folder)
    assert_the_lesion(done)
    assert words in done.note and "left out" in done.note, done.note


def test_a_region_on_an_image_that_nobody_knows_is_waited_for(tmp_path):
    folder = field.phantom(tmp_path, roi="sr")
    r, path, _ = second_group(folder, no_change)
    r.save_as(path)
    assert_waits(field.analyze(folder), "waiting for the image that the ROI was drawn on (ROI 2)")


@pytest.mark.parametrize("value, meaning, words", [
    ("10200004", "Liver", "named liver"), ("15825003", "Aorta", "named aort"), ("64033007", "Kidney", "named kidney")])
def test_a_measured_organ_is_no_lesion(tmp_path, value, meaning, words):
    folder = field.phantom(tmp_path, roi="sr")
    path = field.roi_path(folder)
    r = pydicom.dcmread(path)
    parent, group = group_of(r)
    other = copy.deepcopy(group)
    for item in everything(other):
        if item.get("ValueType") == "UIDREF":
            item.UID = generate_uid()
    finding = Dataset()
    finding.RelationshipType, finding.ValueType = "CONTAINS", "CODE"
    name, code = Dataset(), Dataset()
    name.CodeValue, name.CodingSchemeDesignator, name.CodeMeaning = "121071", "DCM", "Finding"
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = value, "SCT", meaning
    finding.ConceptNameCodeSequence, finding.ConceptCodeSequence = [name], [code]
    rest = [item for item in other.ContentSequence
            if item.ConceptNameCodeSequence[0].CodeValue not in ("121071",)]
    other.ContentSequence = rest[:2] + [finding] + rest[2:]
    parent.ContentSequence.append(other)
    r.save_as(path)
    done = field.analyze(folder)
    assert_the_lesion(done)
    assert words in done.note, done.note


@pytest.mark.parametrize("kind", ["rtstruct", "seg"])
def test_a_region_of_another_study_is_noted(tmp_path, kind):
    """Drawn on the prior CT, and filed with this one."""
    folder = field.phantom(tmp_path)
    r = pydicom.dcmread(field.roi_path(field.phantom(tmp_path / "prior", roi=kind)))
    rename_images(r)
    r.StudyInstanceUID, r.SeriesInstanceUID = pydicom.dcmread(field.roi_path(folder)).StudyInstanceUID, generate_uid()
    r.SOPInstanceUID = r.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    if kind == "seg":
        study = Dataset()
        study.StudyInstanceUID, study.ReferencedSeriesSequence = generate_uid(), r.ReferencedSeriesSequence
        r.StudiesContainingOtherReferencedInstancesSequence = [study]
        del r.ReferencedSeriesSequence
    else:
        r.ReferencedFrameOfReferenceSequence[0].RTReferencedStudySequence[0].ReferencedSOPInstanceUID = generate_uid()
    r.save_as(folder / "roi" / "prior.dcm")
    done = field.analyze(folder)
    assert_the_lesion(done)
    assert "drawn on images of another study" in done.note, done.note


def test_absent_images_of_a_series_that_is_not_named(tmp_path):
    folder = field.phantom(tmp_path)
    path = field.roi_path(folder)
    r = pydicom.dcmread(path)
    rename_images(r)
    del r.ReferencedFrameOfReferenceSequence
    r.save_as(path)
    assert_waits(field.analyze(folder), "images that ROI 1 was drawn on are there")
