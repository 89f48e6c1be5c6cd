"""What viewers make of the results: the measurements that OHIF takes over, the report as text, the captures in their
order, of a study with a delayed phase and three lesions."""

import json
import re
import subprocess

import evidence
import harness
import judge
import pydicom
import pytest

NODE = harness.ROOT / "tests" / "system" / "node"
NOTICE = "Research use only. Not a medical device. Preliminary, not verified by a physician."


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """(truth, folder of the results) of one study."""
    folder = tmp_path_factory.mktemp("viewers")
    study = harness.phantom(folder / "in", "--seed", 31, "--class", "mixed", "--lesions", 3, "--matrix", 256,
                            "--coverage", 60, "--slice-thickness", 5, "--phases", "nc,art,pv,dl")
    harness.run(harness.BIN / "livervlm", "analyze", "--input", study, "--output", folder / "out")
    return json.loads((study / "truth.json").read_text()), folder / "out"


@pytest.fixture(scope="module")
def analysis(results):
    return json.loads((results[1] / "analysis.json").read_text())


def hydrated(report):
    assert (NODE / "node_modules" / "dcmjs").is_dir(), f"./check installs it, or: npm ci --prefix {NODE}"
    return json.loads(subprocess.run(["node", NODE / "hydrate.js", report], capture_output=True, text=True, timeout=60,
                                     check=True).stdout)


def test_ohif_takes_every_measurement_over(results):
    truth, folder = results
    report = pydicom.dcmread(folder / "report.dcm")
    taken = hydrated(folder / "report.dcm")
    described = [evidence.describe_group(group) for group in evidence.groups_of(report)]
    assert len(taken["outlines"]) == len(described) == len(truth["lesions"])
    for outline, (_, _, regions) in zip(taken["outlines"], described):
        image, points = regions[0]
        assert outline["image"] == image and outline["isClosed"]
        assert [tuple(p) for p in outline["points"]] == points[:-1]  # closed: the last one is the first
    for group, lesion in zip(taken["groups"], truth["lesions"]):
        assert group["hydratable"], group
        assert group["identifier"].endswith(f"Lesion {lesion['lesion']}")
        assert 4 <= len(group["labels"]) <= 8, group["labels"]


def test_every_item_that_viewers_search_has_a_name(results):
    report = pydicom.dcmread(results[1] / "report.dcm")
    for container in [report, *(i for i in evidence.items(report) if evidence.name_of(i) in ("126010", "125007"))]:
        assert all("ConceptNameCodeSequence" in item for item in container.ContentSequence)


def test_notice_and_answer_are_read_first(results, analysis):
    page = harness.run("dsr2html", results[1] / "report.dcm").stdout
    text = re.sub(r"<[^>]*>", " ", page)
    assert 0 < text.index(NOTICE) < text.index("Lesion 1:") < text.index("Image Library")
    prediction = analysis["lesions"][0]["prediction"]
    if prediction["abstained"]:
        assert "Lesion 1: Indeterminate" in text
    else:
        names = {"CYST": "Cyst of liver", "FNH": "Focal nodular hyperplasia of liver",
                 "HCC": "Hepatocellular carcinoma", "HEM": "Hemangioma of liver"}
        assert f"Lesion 1: {names[prediction['top_class']]}, " in text


def test_judges_find_nothing(results):
    for path in sorted(results[1].glob("*.dcm")):
        assert judge.dciodvfy_errors(path) == [], path
    report = judge.highdicom_report(results[1] / "report.dcm")
    assert len(report.content.get_planar_roi_measurement_groups()) == 3


def test_captures_are_one_series_with_the_overview_first(results):
    pages = [pydicom.dcmread(p) for p in results[1].glob("*.dcm") if p.name != "report.dcm"]
    pages.sort(key=lambda page: page.InstanceNumber)
    assert len({page.SeriesInstanceUID for page in pages}) == 1
    assert [page.InstanceNumber for page in pages] == [1, 2, 3, 4]
    assert "all lesions" in pages[0].DerivationDescription
    for page in pages:
        assert page.BurnedInAnnotation == "NO" and NOTICE in page.ImageComments
        assert "PixelSpacing" not in page  # of a page of several scales, none is true
    assert pages[0].SeriesNumber < pydicom.dcmread(results[1] / "report.dcm").SeriesNumber


def test_delayed_phase_is_measured_and_shown(results, analysis):
    report = pydicom.dcmread(results[1] / "report.dcm")
    delayed = [i for i in evidence.items(report) if evidence.name_of(i) == "MEAN_HU_DL"]
    for lesion in analysis["lesions"]:
        attenuation = lesion["attenuation_hu"]
        assert set(attenuation) == {"NC", "ART", "PV", "DL"}
        for phase in attenuation.values():
            if phase["lesion"] is not None and phase["liver"] is not None:
                assert phase["lesion_minus_liver"] == pytest.approx(phase["lesion"] - phase["liver"])
    measured = [lesion["attenuation_hu"]["DL"]["lesion"] for lesion in analysis["lesions"]]
    assert [float(i.MeasuredValueSequence[0].NumericValue) for i in delayed] == pytest.approx(
        [hu for hu in measured if hu is not None], abs=0.051)
    assert delayed
    widths = [pydicom.dcmread(p).Columns for p in sorted(results[1].glob("capture-*.dcm"))]
    assert set(widths) == {1800}


def test_share_of_the_map_is_the_same_everywhere(results, analysis):
    report = pydicom.dcmread(results[1] / "report.dcm")
    said = [float(i.MeasuredValueSequence[0].NumericValue) for i in evidence.items(report)
            if evidence.name_of(i) == "MAP_SHARE"]
    shares = [lesion["prediction"]["map"]["share"] for lesion in analysis["lesions"] if "map" in lesion["prediction"]]
    assert said and said == pytest.approx([100 * share for share in shares], abs=0.051)
