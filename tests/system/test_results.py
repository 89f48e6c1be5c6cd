"""The result objects beside report and captures: from every kind of ROI and of images, read by other programs, sent to a
real PACS; and IHE AI Results' requirements on an evidence creator, one by one."""

import copy
import json
import subprocess
import time

import harness
import highdicom
import judge
import numpy as np
import objects
import pydicom
import pytest
import roi_objects

PHASES = ["nc", "art", "pv"]
VIEWER_PREFIX = "Cornerstone3DTools@^0.1.0:PlanarFreehandROI:"  # by which OHIF takes a measurement over


class Made:
    """What one analysis made, with the images that the ROI was drawn on, in the disc's order."""

    def __init__(self, folder, study, disc, series, region):
        for phase, images in series.items():
            (folder / "in" / phase).mkdir(parents=True)
            for number, image in enumerate(images):
                image.save_as(folder / "in" / phase / f"{number}.dcm", enforce_file_format=True)
        region.save_as(folder / "in" / "roi.dcm", enforce_file_format=True)
        harness.run(harness.BIN / "livervlm", "analyze", "--input", folder / "in", "--output", folder / "out",
                    "--result-objects", objects.KINDS, check=False)
        self.analysis = json.loads((folder / "out" / "analysis.json").read_text())
        assert self.analysis["outcome"] == "done", self.analysis["status_message"]
        self.folder = folder
        self.disc = disc
        self.images = disc.images
        self.paths = sorted((folder / "out").glob("*.dcm"))
        self.objects = objects.read_all(folder / "out")
        self.report = self.one(harness.SR_CLASS)

    def all(self, sop_class):
        return objects.of_class(self.objects, sop_class)

    def one(self, sop_class):
        found = self.all(sop_class)
        assert len(found) == 1, f"{len(found)} objects of {sop_class}"
        return found[0]

    def path_of(self, sop_class):
        return next(p for p, o in zip(self.paths, self.objects) if o.SOPClassUID == sop_class)

    def groups(self):
        return [i for i in content(self.report) if name_of(i) == "125007"]


def content(item):
    for child in item.get("ContentSequence", []):
        yield child
        yield from content(child)


def name_of(item):
    names = item.get("ConceptNameCodeSequence")
    return names[0].CodeValue if names else ""


def named(item, code):
    return [i for i in content(item) if name_of(i) == code]


class Study:
    def __init__(self, folder):
        truth = json.loads((folder / "truth.json").read_text())
        self.series = {phase: sorted((pydicom.dcmread(p) for p in (folder / phase).glob("*.dcm")),
                                     key=lambda image: float(image.ImagePositionPatient[2])) for phase in PHASES}
        lesion = truth["lesions"][0]
        self.disc_of = lambda images: roi_objects.Disc(images, lesion["key_sop_instance_uid"],
                                                       lesion["key_centroid_px"], lesion["diameter_mm"] / 2, slices=5)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    # 250 x 250 pixels: a segmentation's frames begin in the middle of a byte.
    return Study(harness.phantom(tmp_path_factory.mktemp("results") / "p", "--seed", 41, "--class", "hcc", "--matrix",
                                 250, "--coverage", 60, "--lesions", 1, "--diameter", 30, "--slice-thickness", 5))


def segmentation(study, folder):
    disc = study.disc_of(study.series["pv"])
    return Made(folder, study, disc, study.series, roi_objects.segmentation(disc, "BINARY"))


def holes_and_gaps(study, folder):
    """A ring on slices that do not follow one another."""
    disc = study.disc_of(study.series["pv"])
    whole = disc.mask()
    whole[disc.numbers[1]] = False
    row, column = np.argwhere(whole[disc.numbers[2]]).mean(axis=0).round().astype(int)
    whole[:, row - 3:row + 4, column - 3:column + 4] = False
    disc.mask = lambda: whole
    return Made(folder, study, disc, study.series, roi_objects.segmentation(disc, "BINARY"))


def planar_report(study, folder):
    disc = study.disc_of(study.series["pv"])
    return Made(folder, study, disc, study.series, roi_objects.report_2d(disc))


def multi_frame(study, folder):
    disc = study.disc_of(study.series["pv"])
    series = {phase: [roi_objects.multi_frame(study.series[phase])] for phase in PHASES}
    return Made(folder, study, disc, series, roi_objects.segmentation(disc, "BINARY"))


def oblique(study, folder):
    """The whole scan turned by 12 degrees about the patient's left-right axis."""
    angle = np.radians(12)
    turn = np.array([[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]])
    series = copy.deepcopy(study.series)
    for images in series.values():
        for image in images:
            axes = np.array([float(v) for v in image.ImageOrientationPatient]).reshape(2, 3) @ turn.T
            image.ImageOrientationPatient = [f"{v:.12f}"[:16] for v in axes.ravel()]
            place = turn @ np.array([float(v) for v in image.ImagePositionPatient])
            image.ImagePositionPatient = [f"{v:.9f}"[:16] for v in place]
    disc = study.disc_of(series["pv"])
    return Made(folder, study, disc, series, roi_objects.segmentation(disc, "BINARY"))


def points_in_space(study, folder):
    disc = study.disc_of(study.series["pv"])
    return Made(folder, study, disc, study.series, roi_objects.report_3d(disc, names_images=True))


def label_map(study, folder):
    disc = study.disc_of(study.series["pv"])
    return Made(folder, study, disc, study.series, roi_objects.segmentation(disc, "LABELMAP"))


def graphics(study, folder):
    disc = study.disc_of(study.series["pv"])
    return Made(folder, study, disc, study.series, roi_objects.presentation_state(disc))


FORMS = {"segmentation": segmentation, "holes and gaps": holes_and_gaps, "planar report": planar_report,
         "points in space": points_in_space, "label map": label_map, "presentation state": graphics,
         "multi-frame": multi_frame, "oblique": oblique}
_made = {}


@pytest.fixture(scope="module")
def make(study, tmp_path_factory):
    def make_one(form):
        if form not in _made:
            _made[form] = FORMS[form](study, tmp_path_factory.mktemp("made"))
        return _made[form]
    yield make_one
    _made.clear()


@pytest.mark.parametrize("form", FORMS)
def test_all_objects_are_made_in_good_form(make, form):
    made = make(form)
    assert made.analysis["objects_not_made"] == ""
    classes = [o.SOPClassUID for o in made.objects]
    assert sorted(set(classes)) == sorted([harness.SR_CLASS, harness.SC_CLASS, objects.SEG_CLASS, objects.KOS_CLASS,
                                           objects.PDF_CLASS, objects.GSPS_CLASS, objects.PMAP_CLASS])
    assert [line for path in made.paths for line in objects.form_errors(path)] == []


@pytest.mark.parametrize("form", FORMS)
def test_segment_and_outlines_are_the_roi_voxel_for_voxel(make, form):
    made = make(form)
    drawn, = objects.segmentations(made.objects, objects.DRAWN)
    lesion = made.analysis["lesions"][0]
    uid = lesion["tracking_uid"]
    assert [s.TrackingUID for s in drawn.SegmentSequence] == [uid]
    assert [s.TrackingID for s in drawn.SegmentSequence] == [VIEWER_PREFIX + lesion["tracking_id"]]
    mask = objects.segment_mask(drawn, uid, made.images)
    wanted = made.disc.mask()
    assert mask.sum() == wanted.sum() and (mask == wanted).all()
    assert drawn.NumberOfFrames == wanted.any(axis=(1, 2)).sum()
    frames = None
    if form == "multi-frame":
        frame_at = pydicom.dcmread(made.folder / "in" / "pv" / "0.dcm", stop_before_pixels=True)
        places = [float(g.PlanePositionSequence[0].ImagePositionPatient[2])
                  for g in frame_at.PerFrameFunctionalGroupsSequence]
        heights = [float(image.ImagePositionPatient[2]) for image in made.images]
        frames = {number: int(np.abs(np.array(heights) - place).argmin()) for number, place in enumerate(places, 1)}
    assert (objects.drawn_mask(made.all(objects.GSPS_CLASS), made.images, frames) == wanted).all()


def test_frames_name_their_source_images(make):
    made = make("multi-frame")
    source = pydicom.dcmread(made.folder / "in" / "pv" / "0.dcm", stop_before_pixels=True)
    drawn, = objects.segmentations(made.objects, objects.DRAWN)
    assert [(i.ReferencedSOPInstanceUID, len(s.ReferencedInstanceSequence)) for s in drawn.ReferencedSeriesSequence
            for i in s.ReferencedInstanceSequence] == [(source.SOPInstanceUID, 1)]
    for groups in drawn.PerFrameFunctionalGroupsSequence:
        number = int(groups.DerivationImageSequence[0].SourceImageSequence[0].ReferencedFrameNumber)
        there = source.PerFrameFunctionalGroupsSequence[number - 1].PlanePositionSequence[0].ImagePositionPatient
        assert [float(v) for v in there] == pytest.approx(
            [float(v) for v in groups.PlanePositionSequence[0].ImagePositionPatient])


def test_phases_have_the_roi_where_the_alignment_puts_it(make):
    """Against analysis.json, which says volume and centroid in each phase by another way than the voxels."""
    made = make("segmentation")
    lesion = made.analysis["lesions"][0]
    carried = {s.ReferencedSeriesSequence[0].SeriesInstanceUID: s
               for s in objects.segmentations(made.objects, objects.CARRIED)}
    assert len(carried) == 2
    for entry in lesion["registration"]:
        if entry["is_reference"]:
            continue
        images = sorted((pydicom.dcmread(p) for p in (made.folder / "in" / entry["phase"].lower()).glob("*.dcm")),
                        key=lambda image: float(image.ImagePositionPatient[2]))
        mask = objects.segment_mask(carried[entry["series_instance_uid"]], lesion["tracking_uid"], images)
        spacing = [float(v) for v in images[0].PixelSpacing]
        depth = float(images[1].ImagePositionPatient[2]) - float(images[0].ImagePositionPatient[2])
        assert mask.sum() * spacing[0] * spacing[1] * depth / 1000 == pytest.approx(entry["lesion"]["volume_ml"])
        at = np.argwhere(mask).mean(axis=0)
        origin = [float(v) for v in images[0].ImagePositionPatient]
        assert [origin[0] + at[2] * spacing[1], origin[1] + at[1] * spacing[0], origin[2] + at[0] * depth] == (
            pytest.approx(entry["lesion"]["centroid_mm"], abs=1e-3))


def test_a_phase_that_was_resampled_has_no_segment_and_the_report_says_so(study, tmp_path):
    """One phase with a tilted gantry: its volume is made between its images, and its voxels are none of their pixels."""
    series = copy.deepcopy(study.series)
    for number, image in enumerate(series["art"]):
        place = [float(v) for v in image.ImagePositionPatient]
        image.ImagePositionPatient = [place[0], round(place[1] + 0.4 * number, 6), place[2]]
    disc = study.disc_of(series["pv"])
    made = Made(tmp_path, study, disc, series, roi_objects.segmentation(disc, "BINARY"))
    number = series["art"][0].SeriesNumber
    said = made.analysis["objects_not_made"]
    assert f"no segmentation of series {number}: series {number} was resampled" in said
    assert said in [i.TextValue for i in named(made.report, "STUDY_NOTE")]
    assert len(objects.segmentations(made.objects, objects.DRAWN)) == 1
    assert len(objects.segmentations(made.objects, objects.CARRIED)) == 1


def percent(share):
    """As results say a probability: a calibration carries no decimals."""
    return "> 99 %" if share > 0.99 else f"{100 * share:.0f} %"


def test_the_document_is_one_readable_page_a_lesion(make):
    made = make("segmentation")
    texts, pictures = objects.pages_of(made.one(objects.PDF_CLASS), made.folder)
    assert len(texts) == len(pictures) == 1
    prediction = made.analysis["lesions"][0]["prediction"]
    for word in ["Liver lesion 1 of 1", "Research use only. Not a medical device.",
                 percent(max(prediction["probability"].values())), "Tracking identifier: Lesion 1",
                 "the ROI was drawn here", "demo-phantom"]:
        assert word in texts[0], texts[0]
    assert str(made.report.PatientName) not in texts[0] and made.report.PatientID not in texts[0]
    assert objects.holds_picture(pictures[0], made.one(harness.SC_CLASS))


def test_the_presentation_state_is_applied_by_dcmtk(make):
    made = make("segmentation")
    state = made.path_of(objects.GSPS_CLASS)
    uid = pydicom.dcmread(state).GraphicAnnotationSequence[0].ReferencedImageSequence[0].ReferencedSOPInstanceUID
    image, = [p for p in (made.folder / "in" / "pv").glob("*.dcm") if pydicom.dcmread(p).SOPInstanceUID == uid]
    grey, _ = objects.rendered(state, image, made.folder)
    source = pydicom.dcmread(image)
    window = pydicom.dcmread(state).SoftcopyVOILUTSequence[0]
    hounsfield = source.pixel_array * float(source.RescaleSlope) + float(source.RescaleIntercept)
    low = float(window.WindowCenter) - 0.5 - (float(window.WindowWidth) - 1) / 2  # PS3.3 C.11.2.1.2
    wanted = np.clip((hounsfield - low) / (float(window.WindowWidth) - 1), 0, 1) * 255
    assert np.abs(np.asarray(grey, float) - wanted).max() <= 2
    assert 100 < wanted[made.disc.mask()[made.disc.numbers[2]]].mean() < 220  # the liver is neither black nor white


# ---- IHE RAD, supplement AI Results: what is asked of an evidence creator ----

def is_root_result(made):
    report = made.report
    template = report.ContentTemplateSequence[0]
    assert (template.MappingResource, template.TemplateIdentifier) == ("DCMR", "1500")
    assert name_of(report) == "126000" and report.Modality == "SR"
    judge.highdicom_report(made.path_of(harness.SR_CLASS))


def is_in_the_study(made):
    source = made.images[0]
    for result in made.objects:
        assert result.StudyInstanceUID == source.StudyInstanceUID and result.PatientID == source.PatientID
        assert result.AccessionNumber == source.AccessionNumber
    acquired = {i.SeriesInstanceUID for i in made.images}
    series = {}
    for result in made.objects:
        assert result.SeriesInstanceUID not in acquired
        assert series.setdefault(result.SeriesInstanceUID, result.Modality) == result.Modality
    assert len({o.SOPInstanceUID for o in made.objects}) == len(made.objects)


def is_ai_and_preliminary(made):
    assert (made.report.CompletionFlag, made.report.VerificationFlag) == ("COMPLETE", "UNVERIFIED")
    assert made.report.PreliminaryFlag == "PRELIMINARY"
    assert all("AI" in o.SeriesDescription and "unverified" in o.SeriesDescription for o in made.objects)


def names_its_equipment(made):
    for result in made.objects:
        equipment = result.ContributingEquipmentSequence[0]
        assert equipment.PurposeOfReferenceCodeSequence[0].CodeValue == "109102"
        for keyword in ("Manufacturer", "ManufacturerModelName", "SoftwareVersions", "DeviceUID",
                        "ContributionDateTime"):
            assert equipment.get(keyword), keyword


def identifies_the_algorithm(made):
    assert named(made.report, "121005")[0].ConceptCodeSequence[0].CodeValue == "121007"
    assert named(made.report, "121012")[0].UID == made.report.DeviceUID
    for group in made.groups():
        assert named(group, "111001")[0].TextValue and named(group, "111003")[0].TextValue


def has_coded_qualitative_findings(made):
    for group in made.groups():
        finding, = [i for i in group.ContentSequence if name_of(i) == "121071"]
        site, = named(group, "363698007")
        assert finding.ValueType == site.ValueType == "CODE"
        assert site.ConceptCodeSequence[0].CodingSchemeDesignator == "SCT"


def has_measurements_in_ucum(made):
    for group in made.groups():
        numbers = [i for i in group.ContentSequence if i.ValueType == "NUM"]
        assert {"103339001", "103340004"} <= {name_of(n) for n in numbers}
        for number in numbers:
            value, = number.MeasuredValueSequence
            assert np.isfinite(float(value.NumericValue))
            assert value.MeasurementUnitsCodeSequence[0].CodingSchemeDesignator == "UCUM"


def has_regions_on_their_images(made):
    for group in made.groups():
        regions = named(group, "111030")
        assert regions
        for region in regions:
            assert region.GraphicType == "POLYLINE"
            points = np.array(region.GraphicData).reshape(-1, 2)
            assert (points[0] == points[-1]).all()
            image, = region.ContentSequence
            assert image.ReferencedSOPSequence[0].ReferencedSOPInstanceUID in {i.SOPInstanceUID for i in made.images}


def has_regions_as_segments(made):
    for seg in made.all(objects.SEG_CLASS):
        highdicom.seg.Segmentation.from_dataset(seg)
        assert seg.SegmentationType == "BINARY"
        assert seg.FrameOfReferenceUID == made.images[0].FrameOfReferenceUID
        for segment in seg.SegmentSequence:
            assert segment.SegmentedPropertyCategoryCodeSequence[0].CodeValue == "49755003"
            assert segment.SegmentedPropertyTypeCodeSequence[0].CodeValue == "52988006"


def has_tracking_identifiers(made):
    told = {(named(g, "112039")[0].TextValue, named(g, "112040")[0].UID) for g in made.groups()}
    assert len(told) == len(made.analysis["lesions"])
    for seg in made.all(objects.SEG_CLASS):
        assert {(s.TrackingID, s.TrackingUID) for s in seg.SegmentSequence} <= told
    assert told == {(VIEWER_PREFIX + lesion["tracking_id"], lesion["tracking_uid"])
                    for lesion in made.analysis["lesions"]}


def has_tracking_identifiers_of_the_source(made):
    source = pydicom.dcmread(made.folder / "in" / "roi.dcm").SegmentSequence[0]
    assert named(made.groups()[0], "112040")[0].UID == source.TrackingUID


def has_parametric_maps(made):
    """On the key slice, about the lesion; the sample that the network looked at most is where the picture has it."""
    key = made.analysis["lesions"][0]["crop"]
    for number, result in enumerate(made.all(objects.PMAP_CLASS)):
        shared, = result.SharedFunctionalGroupsSequence
        mapping, = shared.RealWorldValueMappingSequence
        quantity, = mapping.QuantityDefinitionSequence
        assert quantity.ConceptCodeSequence[0].CodeValue == "130403"
        assert mapping.MeasurementUnitsCodeSequence[0].CodingSchemeDesignator == "UCUM"
        groups, = result.PerFrameFunctionalGroupsSequence
        source = groups.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID
        assert source == key["key_sop_instance_uid"]
        values = result.pixel_array
        assert values.shape == (224, 224) and 0 <= values.min() < values.max() <= 1
        spacing = [float(v) for v in shared.PixelMeasuresSequence[0].PixelSpacing]
        assert [224 * v for v in spacing] == pytest.approx([key["side_mm"]] * 2, rel=1e-6)
        place = [float(v) for v in groups.PlanePositionSequence[0].ImagePositionPatient]
        centre = [place[0] + 111.5 * spacing[1], place[1] + 111.5 * spacing[0]]
        assert centre == pytest.approx(made.analysis["lesions"][number]["centroid_mm"][:2], abs=2)


def has_image_references(made):
    library, = named(made.report, "111028")
    images = [i for i in content(library) if i.ValueType == "IMAGE"]
    assert len(images) >= 3
    selection = made.one(objects.KOS_CLASS)
    assert name_of(selection) == "113020"
    highdicom.ko.KeyObjectSelectionDocument.from_dataset(selection)
    chosen = {i.ReferencedSOPSequence[0].ReferencedSOPInstanceUID for i in content(selection)
              if "ReferencedSOPSequence" in i}
    assert made.report.SOPInstanceUID in chosen
    assert {c.SOPInstanceUID for c in made.all(harness.SC_CLASS)} <= chosen
    assert made.analysis["lesions"][0]["crop"]["key_sop_instance_uid"] in chosen


def has_complete_evidence(made):
    evidence = {i.ReferencedSOPInstanceUID for study in made.report.CurrentRequestedProcedureEvidenceSequence
                for s in study.ReferencedSeriesSequence for i in s.ReferencedSOPSequence}
    referenced = {i.ReferencedSOPSequence[0].ReferencedSOPInstanceUID for i in content(made.report)
                  if "ReferencedSOPSequence" in i}
    others = {o.SOPInstanceUID for o in made.objects
              if o.SOPClassUID not in (harness.SR_CLASS, objects.KOS_CLASS)}
    assert referenced | others <= evidence
    assert made.report.SOPInstanceUID not in evidence


def identifies_private_codes(made):
    for result in made.objects:
        designators = {e.value for e in result.iterall() if e.keyword == "CodingSchemeDesignator"}
        told = {s.CodingSchemeDesignator for s in result.CodingSchemeIdentificationSequence}
        assert {d for d in designators if d.startswith("99")} <= told


# requirement, where it is asked (RAD TF-3 6.5.3 is the supplement's content definition, its parts named by their titles;
# the transactions are those of Volume 2), how it is shown
AIR = [
    ("the root result is a Comprehensive 3D SR by TID 1500", "6.5.3 Table 6.5.3-1", is_root_result),
    ("results lie in the study of the images, in series of their own", "6.5.3 General", is_in_the_study),
    ("results are told to be of an algorithm and not verified", "6.5.3 General", is_ai_and_preliminary),
    ("Contributing Equipment names the algorithm's device", "6.5.3 General", names_its_equipment),
    ("the algorithm is identified (TID 4019, TID 1004)", "6.5.3 General", identifies_the_algorithm),
    ("private codes are identified", "6.5.3 General", identifies_private_codes),
    ("qualitative findings are coded", "6.5.3 Qualitative Findings", has_coded_qualitative_findings),
    ("measurements are NUM items with UCUM units", "6.5.3 Measurements", has_measurements_in_ucum),
    ("regions are closed and selected from their image", "6.5.3 Regions", has_regions_on_their_images),
    ("regions as voxels are Segmentations with coded properties", "6.5.3 Regions", has_regions_as_segments),
    ("each lesion has Tracking Identifier and UID, alike in every object", "6.5.3 Tracking Identifiers",
     has_tracking_identifiers),
    ("the Tracking UID of the source is kept", "6.5.3 Tracking Identifiers", has_tracking_identifiers_of_the_source),
    ("parametric maps have a coded quantity and real world values", "6.5.3 Parametric Maps", has_parametric_maps),
    ("image references: Image Library, Key Object Selection with the report", "6.5.3 Image References",
     has_image_references),
    ("the evidence is complete", "6.5.3 Result tree", has_complete_evidence),
]


@pytest.mark.parametrize("requirement, clause, shown", AIR, ids=[row[0] for row in AIR])
def test_ihe_air_evidence_creator(make, requirement, clause, shown):
    shown(make("segmentation"))


# ---- to real peers ----

CLASSES = {harness.SR_CLASS, harness.SC_CLASS, objects.SEG_CLASS, objects.KOS_CLASS, objects.PDF_CLASS,
           objects.GSPS_CLASS, objects.PMAP_CLASS}


def test_each_peer_gets_the_objects_that_it_takes(make, tmp_path):
    """RAD-43, RAD-18 and RAD-29 by C-STORE: all to Orthanc, some to DCMTK's storescp; what comes back is no question."""
    made = make("segmentation")
    node_port, other_port = harness.free_port(), harness.free_port()
    pacs = harness.Orthanc(tmp_path / "pacs", node_port).start()
    (tmp_path / "got").mkdir()
    other = subprocess.Popen(["storescp", "-aet", "VIEWER", "-od", str(tmp_path / "got"), str(other_port)])
    node = harness.Node(tmp_path / "node", node_port, pacs.dicom_port, {
        "analysis": {"result_objects": objects.KINDS.replace(",", ", ")},
        'peer "modality"': {"results_to": "pacs, viewer"},
        'peer "viewer"': {"aet": "VIEWER", "host": "127.0.0.1", "port": other_port, "may_send": "no",
                          "result_objects": "sc, pdf"}}).start()
    uid = made.images[0].StudyInstanceUID
    try:
        harness.send(made.folder / "in", node_port)
        results = harness.wait_until(
            lambda: len(pacs.instances_of_study(uid)) >= 9 and pacs.instances_of_study(uid), 120, "all objects")
        harness.wait_until(lambda: len(list((tmp_path / "got").iterdir())) == 2, 60, "two objects at the viewer")
        assert {sop_class for _, sop_class, _ in results} == CLASSES and len(results) == 9
        got = [pydicom.dcmread(p) for p in (tmp_path / "got").iterdir()]
        assert {g.SOPClassUID for g in got} == {harness.SC_CLASS, objects.PDF_CLASS}
        harness.wait_until(lambda: [row["state"] for row in rows_of(node, "outbound")] == ["sent"] * 11, 30,
                           "the node to know that all were sent")
        stored = len(list((tmp_path / "node" / "state" / "objects").rglob("*.dcm")))
        for instance, _, _ in results:
            pacs.post("/modalities/livervlm/store", instance.encode())
        harness.wait_until(lambda: len(list((tmp_path / "node" / "state" / "objects").rglob("*.dcm"))) == stored + 9, 30,
                           "the results in the store")
        time.sleep(2)  # twice the settling time
        assert [s["state"] for s in studies_of(node)] == ["done"]
        assert len(rows_of(node, "outbound")) == 11  # no further analysis
        node.verify_store()
    finally:
        node.remove()
        pacs.stop()
        other.terminate()
        other.wait(30)


def studies_of(node):
    return rows_of(node, "studies")


def rows_of(node, command):
    table = node.table(command)
    return table if isinstance(table, list) else table[command]
