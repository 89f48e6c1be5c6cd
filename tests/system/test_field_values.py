"""Values as scanners, anonymisers and workstations write them: commas, missing and senseless numbers, what is no HU, and
one series under two labels. No number is read from a prefix of its text, and no HU is reported that is none."""

import shutil

import numpy
import pytest
from pydicom.uid import generate_uid

import field

TAGS = {"PixelSpacing": 0x00280030, "ImagePositionPatient": 0x00200032, "ImageOrientationPatient": 0x00200037,
        "RescaleSlope": 0x00281053, "RescaleIntercept": 0x00281052, "SliceThickness": 0x00180050,
        "ContourData": 0x30060050}


def rewrite(path, keyword, change):
    """Change the text of every DS element of one kind in a file, which pydicom would not write."""
    with open(path, "rb") as file:
        data = file.read()
    tag = TAGS[keyword]
    head = (tag >> 16).to_bytes(2, "little") + (tag & 0xFFFF).to_bytes(2, "little") + b"DS"
    at = data.index(head)
    end = at + 8 + int.from_bytes(data[at + 6:at + 8], "little")
    text = change(data[at + 8:end].decode("ascii").rstrip(" \0"))
    value = text.encode("latin-1")
    value += b" " * (len(value) % 2)
    with open(path, "wb") as out:
        out.write(data[:at + 6] + len(value).to_bytes(2, "little") + value + data[end:])


def rewrite_phase(folder, phase, keyword, change, only=None):
    for number, (path, _) in enumerate(field.ct(folder, phase)):
        if only is None or number == only:
            rewrite(path, keyword, change)


def small(tmp_path):
    return field.phantom(tmp_path, matrix=96, coverage=60)


@pytest.mark.parametrize("keyword, digits", [("PixelSpacing", 5), ("ImagePositionPatient", 3), ("SliceThickness", 2)])
def test_decimal_comma_is_read_and_said(tmp_path, keyword, digits):
    folder = small(tmp_path)
    plain = field.analyze(folder)
    for phase in field.PHASES[:3]:
        rewrite_phase(folder, phase, keyword,
                      lambda t: "\\".join(f"{float(v):.{digits}f}".replace(".", ",") for v in t.split("\\")))
    comma = field.analyze(folder)
    assert comma.outcome == "done", comma
    assert abs(comma.lesions[0]["volume_ml"] - plain.lesions[0]["volume_ml"]) < 0.05
    assert all(abs(a - b) < 1 for a, b in zip(comma.lesions[0]["mean_hu"], plain.lesions[0]["mean_hu"]))
    assert "decimal comma" in comma.result["series"][0]["geometry_note"]


@pytest.mark.parametrize("keyword, text", [("PixelSpacing", "1.3mm\\1.3mm"), ("PixelSpacing", "1.3\\"),
                                           ("PixelSpacing", "0x1\\0x1"), ("ImageOrientationPatient", "1\\0\\0\\0\\1\\nan"),
                                           ("PixelSpacing", "1.3\\1.3\\1.3")])
def test_geometry_that_is_no_number_is_named(tmp_path, keyword, text):
    folder = small(tmp_path)
    rewrite_phase(folder, "art", keyword, lambda _: text)
    result = field.analyze(folder)
    words = {"PixelSpacing": "Pixel Spacing", "ImageOrientationPatient": "Image Orientation"}[keyword]
    assert result.outcome == "waiting" and "arterial" in result.text, result
    assert "series 3" in result.text and words in result.text
    assert result.series(3)[0]["exclusion"] == "no volume"


@pytest.mark.parametrize("keyword, text", [("RescaleSlope", "nan"), ("RescaleSlope", "0"), ("RescaleSlope", "-1"),
                                           ("RescaleSlope", "1e30"), ("RescaleSlope", "1,0,0"),
                                           ("RescaleIntercept", "inf"), ("RescaleIntercept", "-1024 HU"),
                                           ("RescaleIntercept", "-1,024")])
def test_rescale_that_is_no_number_gives_no_hu(tmp_path, keyword, text):
    folder = small(tmp_path)
    rewrite_phase(folder, "art", keyword, lambda _: text)
    result = field.analyze(folder)
    assert result.outcome == "waiting" and not result.lesions, result
    assert "series 3 has numbers that are no HU: Rescale" in result.text
    assert result.series(3)[0]["exclusion"] == "no HU"


def test_missing_rescale_values_are_said(tmp_path):
    folder = small(tmp_path)
    for path, ds in field.ct(folder, "nc"):
        del ds.RescaleSlope, ds.RescaleIntercept, ds.RescaleType
        ds.save_as(path)
    result = field.analyze(folder)
    assert result.outcome == "waiting"
    assert "series 2 has no rescale values: its numbers are no HU" in result.text
    for path, ds in field.ct(folder, "art") + field.ct(folder, "pv"):
        del ds.RescaleSlope, ds.RescaleIntercept
        ds.save_as(path)
    result = field.analyze(folder)
    assert result.outcome in ("waiting", "refused") and not result.lesions
    assert "has no rescale values" in result.text


def test_one_slice_without_rescale_is_named(tmp_path):
    folder = small(tmp_path)
    path, ds = field.ct(folder, "pv")[4]
    del ds.RescaleIntercept
    ds.save_as(path)
    result = field.analyze(folder)
    assert not result.lesions and "Rescale Intercept is missing (image" in result.text


@pytest.mark.parametrize("which", [0, 5])
@pytest.mark.parametrize("text", ["nan\\0\\0", "1e308\\1e308\\1e308", "-80\\-80"])
def test_one_slice_with_a_senseless_position_drops_nothing_silently(tmp_path, which, text):
    folder = small(tmp_path)
    number = field.ct(folder, "art")[which][1].InstanceNumber
    rewrite_phase(folder, "art", "ImagePositionPatient", lambda _: text, only=which)
    result = field.analyze(folder)
    assert not result.lesions and f"image {number}" in result.text and "Image Position" in result.text, result


def test_end_slice_without_a_position_is_noted(tmp_path):
    folder = small(tmp_path)
    path, ds = field.ct(folder, "art")[0]
    number = ds.InstanceNumber
    del ds.ImagePositionPatient
    ds.save_as(path)
    result = field.analyze(folder)
    assert result.outcome == "done", result
    assert any(f"image {number} has no position" in s["geometry_note"] for s in result.series(3))


def shift_stored(folder, phase, by, slope=1.0):
    """The stored values as a writer that forgot the rescale, or applied it twice, leaves them."""
    for path, ds in field.ct(folder, phase):
        hu = ds.pixel_array.astype(float) * float(ds.RescaleSlope) + float(ds.RescaleIntercept)
        ds.PixelRepresentation = 1
        ds.PixelData = numpy.clip(numpy.rint(hu * slope + by), -32768, 32767).astype("<i2").tobytes()
        ds.RescaleSlope, ds.RescaleIntercept = "1", "0"
        for keyword in ("PixelPaddingValue", "SmallestImagePixelValue", "LargestImagePixelValue"):
            if keyword in ds:
                delattr(ds, keyword)
        ds.save_as(path)


@pytest.mark.parametrize("by, slope", [(1024, 1), (-1024, 1), (8192, 1), (0, 2), (0, 0.5), (0, -1)])
def test_numbers_that_do_not_look_like_hu_are_doubted(tmp_path, by, slope):
    folder = small(tmp_path)
    shift_stored(folder, "art", by, slope)
    result = field.analyze(folder)
    assert not result.lesions and "series 3 has numbers that do not look like HU: " in result.text, result


def test_other_ways_to_store_hu_are_read(tmp_path):
    folder = small(tmp_path)
    plain = field.analyze(folder)
    shift_stored(folder, "nc", 0)  # signed HU as they are
    for path, ds in field.ct(folder, "art"):  # offset by 8192
        ds.PixelRepresentation = 0
        hu = ds.pixel_array.astype(int) * int(ds.RescaleSlope) + int(ds.RescaleIntercept)
        ds.PixelData = (hu + 8192).astype("<u2").tobytes()
        ds.BitsStored, ds.HighBit = 16, 15
        ds.RescaleSlope, ds.RescaleIntercept = "1", "-8192"
        if "PixelPaddingValue" in ds:
            del ds.PixelPaddingValue
        ds.save_as(path)
    rewrite_phase(folder, "pv", "RescaleSlope", lambda _: "1.0e+00")
    result = field.analyze(folder)
    assert result.outcome == "done", result
    assert all(abs(a - b) < 1 for a, b in zip(result.lesions[0]["mean_hu"], plain.lesions[0]["mean_hu"]))


@pytest.mark.parametrize("text", ["nan", "12.5mm", "0x10", "1e400"])
def test_contour_with_a_coordinate_that_is_no_number(tmp_path, text):
    folder = small(tmp_path)
    # of the same length: the sequences about it have lengths, too
    rewrite(field.roi_path(folder), "ContourData",
            lambda t: "\\".join([text.ljust(t.index("\\"))] + t.split("\\")[1:]))
    result = field.analyze(folder)
    assert result.outcome == "refused" and "is no number" in result.text, result


def relabel(folder, phase, number, description, change=lambda ds: None):
    """A copy of a series under another number and label."""
    uid = generate_uid()
    (folder / "copy").mkdir()
    for path, ds in field.ct(folder, phase):
        ds.SeriesInstanceUID = uid
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        ds.SeriesNumber, ds.SeriesDescription, ds.ProtocolName = number, description, description
        change(ds)
        ds.save_as(folder / "copy" / path.rsplit("/", 1)[1])


def later(ds):
    ds.AcquisitionTime = ds.ContentTime = "235000"
    if "AcquisitionDateTime" in ds:
        del ds.AcquisitionDateTime


def moved(ds):
    later(ds)
    x, y, z = ds.ImagePositionPatient
    ds.ImagePositionPatient = [x, y, float(z) + 40]


def other_intercept(ds):
    later(ds)
    ds.PixelData = (ds.pixel_array.astype(int) + 100).astype(f"<{'i' if ds.PixelRepresentation else 'u'}2").tobytes()
    ds.RescaleIntercept = str(int(ds.RescaleIntercept) - 100)
    if "PixelPaddingValue" in ds:
        ds.PixelPaddingValue = ds.PixelPaddingValue + 100


@pytest.mark.parametrize("change", [later, moved, other_intercept])
def test_same_pixels_under_two_labels_are_one_series(tmp_path, change):
    folder = small(tmp_path)
    shutil.rmtree(folder / "art")
    relabel(folder, "pv", 7, "Arterial phase", change)
    result = field.analyze(folder)
    assert not result.lesions and result.outcome == "waiting", result
    assert "series 4 and 7 hold the same images" in result.text


def test_reconstruction_of_one_scan_is_no_second_phase(tmp_path):
    folder = small(tmp_path)
    shutil.rmtree(folder / "art")
    rng = numpy.random.default_rng(1)

    def sharper(ds):
        noisy = ds.pixel_array.astype(int) + rng.normal(0, 15, ds.pixel_array.shape).astype(int)
        ds.PixelData = numpy.clip(noisy, 0, 4095).astype("<u2").tobytes()
        ds.ConvolutionKernel = "B60f"

    relabel(folder, "pv", 7, "Arterial phase", sharper)
    result = field.analyze(folder)
    assert not result.lesions and "were acquired at the same time but are labelled" in result.text, result


def test_copy_under_the_same_label_changes_nothing(tmp_path):
    folder = small(tmp_path)
    relabel(folder, "art", 7, "Arterial phase")
    result = field.analyze(folder)
    assert result.outcome == "done", result
    assert len(result.lesions) == 1
