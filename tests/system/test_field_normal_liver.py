"""Outlines on tissue that is no lesion give no class, outlines of lesions do; and each lesion's own series in the report."""

import numpy as np
import pydicom
import pytest
from pydicom.uid import generate_uid

import field
import judge

REASON = "does not differ from the tissue around it in any phase: no lesion is seen in the outline"


def move(folder, right, front, scale=1.0):
    """The outline moved by mm, and drawn smaller or larger about its middle."""
    path = field.roi_path(folder)
    r = pydicom.dcmread(path)
    contours = r.ROIContourSequence[0].ContourSequence
    points = np.array([v for c in contours for v in c.ContourData], float).reshape(-1, 3)
    middle = points[:, :2].mean(axis=0)
    for contour in contours:
        v = np.array(contour.ContourData, float).reshape(-1, 3)
        v[:, :2] = middle + scale * (v[:, :2] - middle) + (right, front)
        contour.ContourData = [f"{x:.3f}" for x in v.ravel()]
    r.save_as(path)


def report_of(done):
    return pydicom.dcmread(done.output / "report.dcm")


def texts(item, code):
    """Text values of a concept, anywhere below."""
    found = []
    for child in item.get("ContentSequence", []):
        names = child.get("ConceptNameCodeSequence", [])
        if names and names[0].CodeValue == code and "TextValue" in child:
            found.append(child.TextValue)
        found += texts(child, code)
    return found


@pytest.mark.parametrize("right,front,scale", [(45, 0, 1), (-40, 30, 1), (30, -45, 1), (-38, 22, 0.5), (-40, 10, 0.8)])
def test_an_outline_without_lesion_is_indeterminate(tmp_path, right, front, scale):
    folder = field.phantom(tmp_path)
    move(folder, right, front, scale)
    done = field.analyze(folder)
    assert done.outcome == "done", done
    prediction = done.lesions[0]["prediction"]
    assert prediction["abstained"] and REASON in prediction["abstention_reason"], done
    assert len(prediction["probability"]) == 4  # the network's numbers are kept
    report = report_of(done)
    assert [REASON in t for t in texts(report, "ABSTAIN_REASON")] == [True]
    groups = judge.highdicom_report(done.output / "report.dcm").content.get_planar_roi_measurement_groups()
    assert [g.finding_type.value for g in groups] == ["52988006"]  # a lesion, of no class


@pytest.mark.parametrize("options", [{}, {"class": "cyst", "seed": 41, "diameter": 12},
                                     {"class": "fnh", "seed": 42, "diameter": 20},
                                     {"class": "hemangioma", "seed": 43, "diameter": 45}])
def test_a_lesion_is_seen(tmp_path, options):
    done = field.analyze(field.phantom(tmp_path, **options))
    assert REASON not in done.lesions[0]["prediction"]["abstention_reason"], done


def test_each_lesion_names_its_own_series(tmp_path):
    """A second portal-venous reconstruction with a ROI of its own."""
    folder = field.phantom(tmp_path)
    series, renamed = generate_uid(), {}
    (folder / "pv2").mkdir()
    for path, dataset in field.ct(folder, "pv"):
        renamed[dataset.SOPInstanceUID] = generate_uid()
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = renamed[dataset.SOPInstanceUID]
        dataset.SeriesInstanceUID, dataset.SeriesNumber = series, 14
        dataset.SeriesDescription = dataset.SeriesDescription + " B40"
        noise = np.random.default_rng(1).integers(-3, 4, dataset.pixel_array.shape)
        dataset.PixelData = (dataset.pixel_array + noise).astype(dataset.pixel_array.dtype).tobytes()
        dataset.save_as(folder / "pv2" / path.split("/")[-1])
    second = pydicom.dcmread(field.roi_path(folder))
    second.SOPInstanceUID = second.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    second.SeriesInstanceUID = generate_uid()
    old = second.ReferencedFrameOfReferenceSequence[0].RTReferencedStudySequence[0].RTReferencedSeriesSequence[0]
    old.SeriesInstanceUID = series
    for element in second.iterall():
        if element.keyword == "ReferencedSOPInstanceUID" and element.value in renamed:
            element.value = renamed[element.value]
    second.StructureSetROISequence[0].ROIName = "Lesion B"
    for key in ("TrackingUID", "TrackingID"):
        for item in second.RTROIObservationsSequence:
            item.pop(key, None)
    second.save_as(folder / "roi" / "second.dcm")
    move(folder, -45, 20)
    done = field.analyze(folder)
    assert len(done.lesions) == 2, done
    report = report_of(done)
    lines = texts(report, "PHASE_EVIDENCE")
    assert sum("portal" in line for line in lines) == 2 and any("series 14" in line for line in lines), lines
    parameters = texts(report, "111002")
    assert sorted(p.split("PV series ")[1].split(";")[0] for p in parameters) == ["14", "4"], parameters
    assert judge.dciodvfy_errors(done.output / "report.dcm") == []
    groups = judge.highdicom_report(done.output / "report.dcm").content.get_planar_roi_measurement_groups()
    assert len(groups) == 2
