"""Which slices make which volume, and which series are phases: several acquisitions in one series, copies, spectral
images, perfusion runs and more series than are looked at, as scanners and archives write them."""

import os

import numpy as np
import pydicom
import pytest
from pydicom.uid import generate_uid

import field

HU = (46, 126, 123)
TIMES = ("AcquisitionTime", "AcquisitionDate", "AcquisitionDateTime", "ContentTime", "ContentDate",
         "ContrastBolusStartTime", "InstanceCreationTime", "InstanceCreationDate")


def clock(seconds):
    return f"{int(seconds // 3600):02d}{int(seconds % 3600 // 60):02d}{seconds % 60:09.6f}"


def seconds_of(value):
    text = str(value)
    return int(text[:2]) * 3600 + int(text[2:4]) * 60 + float(text[4:])


def without_times(dataset):
    for name in TIMES:
        if name in dataset:
            delattr(dataset, name)


def renew(dataset):
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid()


def one_series(tmp_path, shift=(0, 0, 0), phases=("nc", "art", "pv"), edit=None, keep=None):
    """All phases in one series that nothing but `edit(dataset, phase, slice)` tells apart; `shift` moves each phase's
    table, `keep(phase, slice)` leaves slices out. The ROI goes with the portal-venous phase."""
    folder = field.phantom(tmp_path)
    uid, number, grid, moved = generate_uid(), 0, None, {}
    for k, phase in enumerate(phases):
        items = field.ct(folder, phase)
        grid = grid or [[float(v) for v in d.ImagePositionPatient] for _, d in items]
        for i, (path, d) in enumerate(items):
            if keep and not keep(phase, i):
                os.remove(path)
                continue
            number += 1
            old = [float(v) for v in d.ImagePositionPatient]
            new = [grid[i][0], grid[i][1], grid[i][2] + shift[k]]
            moved[phase] = [new[j] - old[j] for j in range(3)]
            d.ImagePositionPatient = [f"{v:.4f}" for v in new]
            d.SeriesInstanceUID, d.SeriesNumber, d.SeriesDescription = uid, 5, "Abdomen 3-phase"
            d.InstanceNumber, d.AcquisitionNumber = number, 1
            if edit:
                edit(d, k, i)
            d.save_as(path)
    roi = pydicom.dcmread(field.roi_path(folder))
    frame = roi.ReferencedFrameOfReferenceSequence[0]
    frame.RTReferencedStudySequence[0].RTReferencedSeriesSequence[0].SeriesInstanceUID = uid
    for contour in roi.ROIContourSequence[0].ContourSequence:
        v = [float(x) for x in contour.ContourData]
        for j in range(3):
            v[j::3] = [x + moved["pv"][j] for x in v[j::3]]
        contour.ContourData = [f"{x:.4f}" for x in v]
    roi.save_as(field.roi_path(folder))
    return folder


def assert_right(result, hu=HU, stacks=None):
    assert result.outcome == "done", result
    assert len(result.lesions) == 1, result
    assert result.lesions[0]["volume_ml"] == pytest.approx(field.VOLUME_ML, rel=0.03), result
    assert result.lesions[0]["mean_hu"] == pytest.approx(hu, abs=3.0), result
    chosen = [s for s in result.result["series"] if s.get("chosen")]
    assert sorted(s["phase"] for s in chosen) == ["ART", "NC", "PV"], result
    if stacks is not None:
        assert [s["size"][2] for s in result.result["series"]] == stacks, result


def by_acquisition(d, k, i):
    d.AcquisitionNumber = k + 1


def by_temporal_position(d, k, i):
    without_times(d)
    d.TemporalPositionIdentifier, d.NumberOfTemporalPositions = k + 1, 3


def by_stamped_slices(d, k, i):
    d.AcquisitionTime = clock(seconds_of(d.AcquisitionTime) + 0.37 * i)
    d.ContentTime = d.AcquisitionTime


def across_midnight(d, k, i):
    without_times(d)
    d.AcquisitionDateTime = ("20240229235930.5", "20240301000004.25", "20240301000039.75")[k]


def by_instances(d, k, i):
    without_times(d)


def by_comment(d, k, i):
    without_times(d)
    d.InstanceNumber = 3 * i + k + 1
    d.ImageComments = ("ohne KM", "arteriell", "portalvenös")[k]
    d.SpecificCharacterSet = "ISO_IR 100"


def by_rotation(d, k, i):  # a number for every four slices, on through the passes
    without_times(d)
    d.AcquisitionNumber = 5 * k + i // 4 + 1
    d.InstanceNumber = 1


@pytest.mark.parametrize("edit, shift", [
    (by_acquisition, (0, 1.7, 3.1)),
    (by_acquisition, (0, 5 / 3, 10 / 3)),  # the three grids interleave evenly
    (by_temporal_position, (0, 0, 0)),
    (by_stamped_slices, (0, 0, -0.9)),
    (across_midnight, (0, 2.5, 0)),
    (by_instances, (0, 0, 0)),
    (by_comment, (0, 0, 0)),
    (by_rotation, (0, 0, 0)),
], ids=lambda value: value.__name__ if callable(value) else "_".join(f"{v:.2g}" for v in value))
def test_acquisitions_of_one_series_are_parted(tmp_path, edit, shift):
    result = field.analyze(one_series(tmp_path, shift, edit=edit))
    assert_right(result, stacks=[18, 18, 18])
    assert all("parted by " in s["geometry_note"] for s in result.series(5)), result


def test_acquisitions_of_different_length_are_parted(tmp_path):
    keep = {"nc": range(3, 18), "art": range(2, 15), "pv": range(18)}
    folder = one_series(tmp_path, (0, 0, 2.5), edit=by_acquisition, keep=lambda phase, i: i in keep[phase])
    assert_right(field.analyze(folder), stacks=[15, 13, 18])


def test_two_reconstructions_of_each_acquisition_in_one_series(tmp_path):
    folder = one_series(tmp_path, edit=by_acquisition)
    for path, d in field.all_ct(folder):
        if d.SeriesNumber != 5 or int(d.InstanceNumber) % 2:
            continue
        d.PixelData = (np.roll(d.pixel_array, 1, 0) // 2 + d.pixel_array // 2).astype("<i2").tobytes()
        d.SliceThickness, d.InstanceNumber = 10, 1000 + int(d.InstanceNumber)
        renew(d)
        d.save_as(str(path) + ".thick.dcm")
    result = field.analyze(folder)
    assert_right(result)
    assert sorted(s["size"][2] for s in result.series(5)) == [9, 9, 9, 18, 18, 18], result


def test_a_missing_slice_of_one_acquisition_is_said(tmp_path):
    folder = one_series(tmp_path, edit=by_acquisition, keep=lambda phase, i: (phase, i) != ("art", 8))
    result = field.analyze(folder)
    assert result.outcome == "waiting", result
    assert "1 slice is missing" in result.result["status_message"], result
    assert [s["exclusion"] for s in result.series(5)] == ["none", "no volume", "none"], result


def test_what_nothing_tells_apart_is_said(tmp_path):
    def nothing(d, k, i):
        without_times(d)
        for name in ("ContrastBolusAgent", "ContrastBolusVolume", "KVP"):
            if name in d:
                delattr(d, name)
        d.InstanceNumber = 3 * i + k + 1

    result = field.analyze(one_series(tmp_path, edit=nothing))
    assert result.outcome != "done", result
    problem = result.series(5)[0]["geometry_problem"]
    assert "36 of 54 slices lie where another slice with other pixels lies" in problem, result
    assert "temporal position" in problem and "order of instances" in problem, result


@pytest.mark.parametrize("number", [lambda i: i + 1, lambda i: 1 + (i > 8)], ids=["slice", "half"])
def test_a_scan_that_counts_on_stays_one_volume(tmp_path, number):
    folder = field.phantom(tmp_path)
    for phase in field.PHASES:
        for i, (path, d) in enumerate(field.ct(folder, phase)):
            by_stamped_slices(d, 0, i)
            d.AcquisitionNumber = number(i)
            d.save_as(path)
    assert_right(field.analyze(folder), stacks=[18, 18, 18])


@pytest.mark.parametrize("edit", [by_acquisition, by_instances, None], ids=["numbered", "in order", "one phase each"])
def test_a_series_imported_twice_counts_once(tmp_path, edit):
    """Other SOP instance UIDs, instance numbers and content times, the same pixels; the ROI names the first import."""
    folder = one_series(tmp_path, edit=edit) if edit else field.phantom(tmp_path)
    for n, (path, d) in enumerate(field.all_ct(folder)):
        renew(d)
        d.InstanceNumber = 500 + n
        d.InstanceCreationDate, d.InstanceCreationTime = "20300101", "120000"
        if "ContentTime" in d:
            d.ContentTime = "235959"
        d.save_as(str(path) + ".again.dcm")
    result = field.analyze(folder)
    assert_right(result, stacks=[18, 18, 18])
    assert all("18 duplicate slices left out" in s["geometry_note"] for s in result.result["series"]), result


# Spectral images.

def add_series(folder, phase, number, description, change=None, edit=None, every=1):
    """A further series of a phase's slices; `change` maps HU to HU."""
    target = f"{folder}/extra{number}"
    os.makedirs(target)
    uid = generate_uid()
    for i, (path, d) in enumerate(field.ct(folder, phase)):
        if i % every:
            continue
        if change:
            hu = change(d.pixel_array.astype(float) - 1024)
            d.PixelData = np.clip(hu + 1024, -2000, 4095).astype("<i2").tobytes()
        d.SeriesInstanceUID, d.SeriesNumber, d.SeriesDescription = uid, number, description
        renew(d)
        if edit:
            edit(d)
        d.save_as(f"{target}/{i:04d}.dcm")


def brighter(hu):
    return np.where(hu > 60, 60 + (hu - 60) * 2.5, hu)


def image_type(*values):
    return lambda d: setattr(d, "ImageType", list(values))


SPECTRAL = [
    ("Arterial MonoE 40 keV", image_type("DERIVED", "PRIMARY", "AXIAL", "MONOENERGETIC")),
    ("ART Mono+ 55keV", None),
    ("arterial VMI50", None),
    ("GSI Mono 50 art", None),
    ("Arterial", image_type("DERIVED", "PRIMARY", "AXIAL", "VMI")),
    ("Arterial", image_type("DERIVED", "PRIMARY", "AXIAL", "MONO_E_45")),
    ("动脉期 单能量 40keV", lambda d: setattr(d, "SpecificCharacterSet", "ISO_IR 192")),
    ("Art Spektral monoenergetisch 50", None),
    ("Arterial", lambda d: setattr(d, "KVP", "45")),
    ("Arteriell", lambda d: setattr(d, "DerivationDescription", "monoenergetic 60 keV")),
    ("Arterial", image_type("DERIVED", "PRIMARY", "AXIAL", "MAT_SPECIFIC")),
    ("Arterial Iodine no Water[mg/ml]", None),
    ("art Iodine(Water)", None),
    ("Jodkarte arteriell", None),
    ("arteriel carte iode", None),
    ("ART Z Effective", None),
    ("arterial Rho/Z", None),
    ("Art Electron Density", None),
    ("arterial Uric Acid", None),
    ("Arterial", lambda d: setattr(d, "RescaleType", "MGML")),
    ("Arterial", lambda d: setattr(d, "RescaleType", "Z_EFF")),
    ("Arterial", lambda d: setattr(d, "RescaleType", "HU_MOD")),
]


def test_spectral_images_are_no_phase(tmp_path):
    folder = field.phantom(tmp_path)
    for path, d in field.all_ct(folder):
        d.SeriesNumber = int(d.SeriesNumber) + 100
        d.save_as(path)
    for number, (description, edit) in enumerate(SPECTRAL, 1):
        add_series(folder, "art", number, description, brighter, edit, every=3)
    result = field.analyze(folder)
    assert_right(result)
    for number in range(1, len(SPECTRAL) + 1):
        assert result.series(number)[0]["exclusion"] in ("spectral", "secondary or map"), (SPECTRAL[number - 1], result)


@pytest.mark.parametrize("description", ["VNC", "virtuell nativ", "虚拟平扫"])
def test_virtual_non_contrast_is_not_the_phase_without(tmp_path, description):
    folder = field.phantom(tmp_path)
    for path, d in field.ct(folder, "nc"):
        d.SeriesDescription, d.SpecificCharacterSet = description, "ISO_IR 192"
        d.save_as(path)
    result = field.analyze(folder)
    assert result.outcome == "waiting", result
    assert "non-contrast" in result.result["status_message"] and "(spectral)" in result.result["status_message"], result


def test_monoenergetic_like_conventional_is_last_in_line(tmp_path):
    folder = field.phantom(tmp_path)
    for path, d in field.ct(folder, "art"):
        d.SeriesDescription = "Arterial 70 keV"
        d.save_as(path)
    add_series(folder, "pv", 1, "Portal venous Mono 70 keV")
    result = field.analyze(folder)
    assert_right(result)
    art = [s for s in result.result["series"] if s.get("chosen") and s["phase"] == "ART"][0]
    assert any("virtual monoenergetic image of 70 keV" in e["text"] for e in art["evidence"]), art
    assert not result.series(1)[0].get("chosen"), result


@pytest.mark.parametrize("description", ["Arterial kV 100 DECT F_0.5", "arterial Conventional[HU]",
                                         "Arterial with iodine contrast"])
def test_conventional_images_of_such_scanners_are_phases(tmp_path, description):
    folder = field.phantom(tmp_path)
    for path, d in field.ct(folder, "art"):
        d.SeriesDescription = description
        d.KVP = "100"
        d.save_as(path)
    assert_right(field.analyze(folder), stacks=[18, 18, 18])


def test_of_two_tubes_the_mixed_image_is_used(tmp_path):
    folder = field.phantom(tmp_path)
    for path, d in field.all_ct(folder):
        if d.SeriesDescription == "Arterial phase":
            d.SeriesDescription = "DE_Art F_0.5"
        d.SeriesNumber = int(d.SeriesNumber) + 10
        d.save_as(path)
    add_series(folder, "art", 1, "DE_Art A_80kV", brighter, lambda d: setattr(d, "KVP", "80"))
    add_series(folder, "art", 2, "DE_Art B_Sn140kV", lambda hu: 0.7 * hu, lambda d: setattr(d, "KVP", "140"))
    result = field.analyze(folder)
    assert_right(result)
    assert [s["exclusion"] for n in (1, 2) for s in result.series(n)] == ["spectral", "spectral"], result


# Perfusion runs and further series.

def add_perfusion(folder, passes, series, description="Volume 4D"):
    """A run of many passes, every two seconds, in one series or one a pass."""
    uid = generate_uid()
    os.makedirs(f"{folder}/run")
    items = field.ct(folder, "art")[6:14]
    for k in range(passes):
        uid = generate_uid() if series == "many" else uid
        for i, (_, d) in enumerate(items):
            d.SeriesInstanceUID, d.SeriesNumber, d.SeriesDescription = uid, 1 + (k if series == "many" else 0), description
            d.InstanceNumber, d.AcquisitionNumber = k * len(items) + i + 1, k + 1
            d.AcquisitionTime = d.ContentTime = clock(36000 + 2 * k)
            d.PixelData = np.clip(d.pixel_array.astype(int) + k + 1, -2000, 4095).astype("<i2").tobytes()
            renew(d)
            d.save_as(f"{folder}/run/{k:03d}{i:03d}.dcm")


@pytest.mark.parametrize("passes, series, description", [(9, "one", "Liver dynamic"), (12, "many", "arterial"),
                                                         (3, "one", "Liver Perfusion 5.0")])
def test_perfusion_runs_are_no_phase(tmp_path, passes, series, description):
    folder = field.phantom(tmp_path)
    for path, d in field.all_ct(folder):
        d.SeriesNumber = int(d.SeriesNumber) + 100
        d.save_as(path)
    add_perfusion(folder, passes, series, description)
    result = field.analyze(folder)
    assert_right(result)
    assert {s["exclusion"] for s in result.result["series"] if s["series_number"] < 100} == {"perfusion"}, result


def test_five_passes_named_dynamic_are_phases(tmp_path):
    folder = field.phantom(tmp_path)
    uid = generate_uid()
    for k, phase in enumerate(("nc", "art", "pv")):
        for path, d in field.ct(folder, phase):
            d.SeriesInstanceUID, d.SeriesNumber, d.AcquisitionNumber = uid, 5, 2 * k + 1
            d.SeriesDescription = "Liver dynamic 5 phases"
            d.save_as(path)
            if phase == "nc":
                continue
            renew(d)  # the same phase seconds later
            d.AcquisitionNumber = 2 * k + 2
            d.AcquisitionTime = d.ContentTime = clock(seconds_of(d.AcquisitionTime) + 8)
            d.PixelData = np.clip(d.pixel_array.astype(int) + 1, -2000, 4095).astype("<i2").tobytes()
            d.save_as(str(path) + ".later.dcm")
    result = field.analyze(folder)
    assert [s["exclusion"] for s in result.series(5)] == ["none"] * 5, result
    assert result.outcome == "done", result


@pytest.mark.parametrize("name", ["axial", "mip", "untimed"])
def test_of_too_many_series_the_best_are_looked_at(tmp_path, name):
    folder, number = field.phantom(tmp_path), 20
    if name == "untimed":
        for path, d in field.all_ct(folder):
            without_times(d)
            d.save_as(path)
    for phase in ("nc", "art", "pv"):
        description = str(field.ct(folder, phase)[0][1].SeriesDescription)
        for t in range(9):
            number += 1
            if name == "mip":
                add_series(folder, phase, number, f"{description} MIP {t}", None,
                           image_type("DERIVED", "SECONDARY", "AXIAL", "MIP"), every=6)
            else:
                add_series(folder, phase, number, f"{description} recon {t}", lambda hu: hu + 1,
                           lambda d: setattr(d, "ConvolutionKernel", f"Br{52 + t}d"), every=2)
    result = field.analyze(folder)
    assert_right(result)
    kinds = [s["exclusion"] for s in result.result["series"]]
    assert kinds.count("none") == (3 if name == "mip" else 24) and len(kinds) == 30, result
    assert "surplus" in kinds or name == "mip", result
