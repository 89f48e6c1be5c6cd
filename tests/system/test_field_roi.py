"""Regions of interest as planning systems, viewers and converters write them: the mask is the lesion's, or it is said why
not. The unchanged phantom's lesion has field.VOLUME_ML."""

import copy
import shutil

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.pixels import pack_bits
from pydicom.sequence import Sequence
from pydicom.uid import generate_uid

import field


def points_of(contour):
    return np.array([float(v) for v in contour.ContourData]).reshape(-1, 3)


def put_points(contour, points, digits=3):
    contour.ContourData = [f"{v:.{digits}f}" for v in np.asarray(points).ravel()]
    contour.NumberOfContourPoints = len(points)


def another(contour, points, digits=3, names_image=True):
    made = copy.deepcopy(contour)
    put_points(made, points, digits)
    if not names_image and "ContourImageSequence" in made:
        del made.ContourImageSequence
    return made


def scaled(points, factor, dz=0.0):
    middle = points.mean(axis=0)
    moved = middle + factor * (points - middle)
    moved[:, 2] = points[:, 2] + dz
    return moved


def closed(points):
    return np.concatenate([points, points[:1]])


def analyze_contours(folder, change):
    """`change` gets the list of contours of the lesion and returns the one to write."""
    study = field.phantom(folder)
    roi = pydicom.dcmread(field.roi_path(study))
    sequence = roi.ROIContourSequence[0]
    sequence.ContourSequence = Sequence(change(list(sequence.ContourSequence)))
    roi.save_as(field.roi_path(study))
    return field.analyze(study)


def halves(contour):
    """Two strokes that overlap in the middle, the second one drawn the other way round."""
    points = points_of(contour)
    x = points[:, 0]
    left, right = points.copy(), points.copy()
    left[:, 0] = np.minimum(x, np.quantile(x, 0.75))
    right[:, 0] = np.maximum(x, np.quantile(x, 0.25))
    return [another(contour, left), another(contour, right[::-1])]


def between(contours, offsets):
    return contours + [another(c, scaled(points_of(c), 1.0 - 0.06 * abs(dz), dz), 2, False)
                       for c in contours for dz in offsets]


@pytest.mark.parametrize("change, share", [
    (lambda cs: between(cs, [-1.0, 1.0, 2.0]), 0.01),
    (lambda cs: between(cs, [0.4]), 0.01),
    (lambda cs: [another(c, scaled(points_of(c), 1.0, 2.5)) for c in cs], 0.01),
    (lambda cs: cs + cs[::-1] + [another(c, points_of(c)[::-1], 1) for c in cs], 0.03),
    (lambda cs: [s for c in cs for s in halves(c)], 0.02),
    (lambda cs: [another(c, np.concatenate([points_of(c)] * 2)) for c in cs], 0.01),
    (lambda cs: [another(c, closed(points_of(c)) + np.random.default_rng(1).normal(0, 0.05, 3) * [0, 0, 1], 1)
                 for c in cs], 0.03),
], ids=["interpolated", "a_little_above", "half_a_slice_off", "listed_three_times",
        "overlapping_strokes", "twice_round", "closed_and_rounded"])
def test_outlines_enclose_the_lesion(tmp_path, change, share):
    done = analyze_contours(tmp_path, change)
    assert done.outcome == "done" and len(done.lesions) == 1, done
    assert done.lesions[0]["volume_ml"] == pytest.approx(field.VOLUME_ML, rel=share), done


@pytest.mark.parametrize("form", ["ring", "keyhole_one_sense", "xor"])
def test_holes_stay_holes(tmp_path, form):
    def change(contours):
        result = []
        for contour in contours:
            outer = points_of(contour)
            inner = scaled(outer, 0.5)
            if form.startswith("keyhole"):
                result.append(another(contour, np.concatenate([closed(outer), closed(inner)])))
            else:
                result += [another(contour, outer), another(contour, inner)]
        for contour in result:
            contour.ContourGeometricType = "CLOSEDPLANAR_XOR" if form == "xor" else "CLOSED_PLANAR"
        return result

    done = analyze_contours(tmp_path, change)
    assert done.outcome == "done", done
    assert done.lesions[0]["volume_ml"] == pytest.approx(0.75 * field.VOLUME_ML, rel=0.05), done


def test_contours_without_area_are_left_out(tmp_path):
    def change(contours):
        first = points_of(contours[0])
        line = np.linspace(first[0], first[0] + [9, 4, 0], 7)
        made = [another(contours[-1], first[:n]) for n in (1, 2)] + [another(contours[0], line, 2)]
        made.append(another(contours[0], first[:1]))
        made[-1].ContourGeometricType = "POINT"
        return made[:2] + contours + made[2:]

    done = analyze_contours(tmp_path, change)
    assert done.outcome == "done", done
    assert done.lesions[0]["volume_ml"] == pytest.approx(field.VOLUME_ML, rel=0.01), done
    assert "ROI 1: 2 contours left out, of fewer than three points" in done.note, done.note
    assert "1 contour left out, enclosing no area" in done.note and "no closed outline" in done.note, done.note


@pytest.mark.parametrize("change, words", [
    (lambda cs: cs[::2], ["ROI 1: its outlines, 10.00 mm apart, enclose", "but its mask on slices 5.00 mm apart has"]),
    (lambda cs: [another(c, points_of(c) - [points_of(c)[:, 0].mean() + 167.5, 0, 0]) for c in cs],
     ["ROI 1: its outlines enclose", "but its mask has"]),
    (lambda cs: [another(c, points_of(c) + np.outer(points_of(c)[:, 0] - points_of(c)[:, 0].mean(), [0, 0, 0.5]))
                 for c in cs], ["ROI 1, contour 1"]),
], ids=["every_second_slice", "half_off_the_images", "oblique"])
def test_masks_that_differ_from_their_outlines_are_refused(tmp_path, change, words):
    done = analyze_contours(tmp_path, change)
    assert done.outcome == "refused" and not done.lesions, done
    for word in words:
        assert word in done.text, done.text


def one(**values):
    item = Dataset()
    for key, value in values.items():
        setattr(item, key, value)
    return Sequence([item])


def make_enhanced(study):
    """The three phases as one Enhanced CT object of one series. Returns it, the frame numbers of the images by SOP
    Instance UID, and how far the portal venous images moved."""
    slices = {p: [d for _, d in field.ct(study, p)] for p in field.PHASES[:3]}
    grid = [[float(v) for v in d.ImagePositionPatient] for d in slices["nc"]]
    e = copy.deepcopy(slices["nc"][0])
    e.SOPClassUID = e.file_meta.MediaStorageSOPClassUID = pydicom.uid.EnhancedCTImageStorage
    e.SOPInstanceUID = e.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    e.SeriesDescription, e.SeriesNumber, e.ImageType = "Liver dynamic", 7, ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]
    e.NumberOfFrames = 3 * len(grid)
    e.PixelData = b"".join(d.PixelData for p in slices for d in slices[p])
    shared = Dataset()
    shared.PixelMeasuresSequence = one(PixelSpacing=e.PixelSpacing, SliceThickness=e.SliceThickness)
    shared.PlaneOrientationSequence = one(ImageOrientationPatient=e.ImageOrientationPatient)
    shared.PixelValueTransformationSequence = one(RescaleSlope=1, RescaleIntercept=-1024, RescaleType="HU")
    shared.CTImageFrameTypeSequence = one(FrameType=e.ImageType)
    e.SharedFunctionalGroupsSequence, frames, numbers = Sequence([shared]), [], {}
    for k, phase in enumerate(slices):
        for i, d in enumerate(slices[phase]):
            frame = Dataset()
            frame.PlanePositionSequence = one(ImagePositionPatient=[f"{v:.4f}" for v in grid[i]])
            frame.FrameContentSequence = one(FrameAcquisitionNumber=k + 1, StackID="1", InStackPositionNumber=i + 1,
                                             FrameAcquisitionDateTime=str(d.AcquisitionDate) + str(d.AcquisitionTime))
            frames.append(frame)
            numbers[str(d.SOPInstanceUID)] = len(frames)
    e.PerFrameFunctionalGroupsSequence = Sequence(frames)
    for name in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness", "RescaleSlope",
                 "RescaleIntercept", "AcquisitionNumber", "AcquisitionTime"):
        if name in e:
            delattr(e, name)
    moved = np.array(grid[0]) - [float(v) for v in slices["pv"][0].ImagePositionPatient]
    for phase in slices:
        shutil.rmtree(f"{study}/{phase}")
    (study / "enhanced").mkdir()
    e.save_as(study / "enhanced" / "1.dcm")
    return e, numbers, moved


def refer(item, enhanced, numbers, names_frame):
    """Turns each reference to an image below `item` into one to its frame."""
    for element in item:
        if element.VR == "SQ":
            for below in element.value:
                refer(below, enhanced, numbers, names_frame)
    if "ReferencedSOPInstanceUID" in item and str(item.ReferencedSOPInstanceUID) in numbers:
        if names_frame:
            item.ReferencedFrameNumber = numbers[str(item.ReferencedSOPInstanceUID)]
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = enhanced.SOPClassUID, enhanced.SOPInstanceUID


@pytest.mark.parametrize("kind, form", [("rtstruct", "contours"), ("rtstruct", "header"), ("rtstruct", "neither"),
                                        ("seg", "frames"), ("seg", "none"), ("sr", "frames"), ("sr", "none")])
def test_frame_numbers_decide(tmp_path, kind, form):
    study = field.phantom(tmp_path, roi=kind)
    roi = pydicom.dcmread(field.roi_path(study))
    enhanced, numbers, moved = make_enhanced(study)
    if kind == "rtstruct":
        series = roi.ReferencedFrameOfReferenceSequence[0].RTReferencedStudySequence[0].RTReferencedSeriesSequence[0]
        series.SeriesInstanceUID = enhanced.SeriesInstanceUID
        contours = roi.ROIContourSequence[0].ContourSequence
        for contour in contours:
            put_points(contour, points_of(contour) + moved, 4)
            if form == "header":
                del contour.ContourImageSequence
            else:
                refer(contour, enhanced, numbers, form == "contours")
        refer(series, enhanced, numbers, form == "header")
    elif kind == "seg":
        for frame in roi.PerFrameFunctionalGroupsSequence:
            position = frame.PlanePositionSequence[0]
            position.ImagePositionPatient = [f"{float(v) + m:.4f}" for v, m in zip(position.ImagePositionPatient, moved)]
        for item in [roi.ReferencedSeriesSequence[0]]:
            item.SeriesInstanceUID = enhanced.SeriesInstanceUID
            refer(item, enhanced, numbers, False)
        for frame in roi.PerFrameFunctionalGroupsSequence:
            refer(frame, enhanced, numbers, form == "frames")
    else:
        refer(roi, enhanced, numbers, form == "frames")
    roi.save_as(field.roi_path(study))
    done = field.analyze(study)
    if form in ("neither", "none"):
        assert done.outcome == "refused" and "ROI 1" in done.text and "does not say" in done.text, done
        return
    assert done.outcome == "done", done
    reference = [r["phase"] for r in done.lesions[0]["registration"] if r["is_reference"]]
    assert reference == ["PV"], done
    assert done.lesions[0]["volume_ml"] == pytest.approx(field.VOLUME_ML, rel=0.01), done


class Box:
    """A segmentation's pixels as one array [slice][row][column] with its place."""

    def __init__(self, ds):
        self.ds = ds
        frames = sorted(zip(ds.PerFrameFunctionalGroupsSequence, ds.pixel_array.reshape(-1, ds.Rows, ds.Columns)),
                        key=lambda entry: float(entry[0].PlanePositionSequence[0].ImagePositionPatient[2]))
        self.groups = [group for group, _ in frames]
        self.pixels = np.stack([pixels for _, pixels in frames])
        shared = ds.SharedFunctionalGroupsSequence[0]
        spacing = [float(v) for v in shared.PixelMeasuresSequence[0].PixelSpacing]
        places = [np.array([float(v) for v in g.PlanePositionSequence[0].ImagePositionPatient]) for g in self.groups]
        o = np.array([float(v) for v in shared.PlaneOrientationSequence[0].ImageOrientationPatient])
        self.origin = places[0]
        self.steps = [places[1] - places[0], o[3:] * spacing[0], o[:3] * spacing[1]]

    def flip(self, axis):
        self.origin = self.origin + self.steps[axis] * (self.pixels.shape[axis] - 1)
        self.steps[axis] = -self.steps[axis]
        self.pixels = np.flip(self.pixels, axis)

    def turn(self, order):
        self.pixels = np.transpose(self.pixels, order)
        self.steps = [self.steps[axis] for axis in order]

    def crop(self, axis, low, high):
        self.origin = self.origin + self.steps[axis] * low
        self.pixels = np.take(self.pixels, range(low, high), axis)

    def write(self, path, order=None, keeps_sources=True):
        ds, group = self.ds, self.groups[0]
        lengths = [float(np.linalg.norm(step)) for step in self.steps]
        shared = ds.SharedFunctionalGroupsSequence[0]
        measures = shared.PixelMeasuresSequence[0]
        measures.PixelSpacing = [f"{lengths[1]:.8g}", f"{lengths[2]:.8g}"]
        measures.SpacingBetweenSlices = f"{lengths[0]:.8g}"
        o = np.concatenate([self.steps[2] / lengths[2], self.steps[1] / lengths[1]])
        shared.PlaneOrientationSequence[0].ImageOrientationPatient = [f"{v:.8f}" for v in o]
        numbers = list(range(len(self.pixels))) if order is None else order
        groups = []
        for k in numbers:
            made = copy.deepcopy(group if len(self.groups) != len(self.pixels) or not keeps_sources else self.groups[k])
            if not keeps_sources and "DerivationImageSequence" in made:
                del made.DerivationImageSequence
            made.PlanePositionSequence[0].ImagePositionPatient = [f"{v:.4f}" for v in self.origin + k * self.steps[0]]
            groups.append(made)
        ds.PerFrameFunctionalGroupsSequence = Sequence(groups)
        ds.NumberOfFrames, ds.Rows, ds.Columns = len(groups), *self.pixels.shape[1:]
        pixels = self.pixels[numbers]
        ds.PixelData = pack_bits(np.ascontiguousarray(pixels).ravel()) if ds.BitsAllocated == 1 else pixels.tobytes()
        ds.save_as(path)


def as_fractional(ds):
    pixels = ds.pixel_array
    ds.SegmentationType, ds.SegmentationFractionalType, ds.MaximumFractionalValue = "FRACTIONAL", "PROBABILITY", 200
    ds.BitsAllocated, ds.BitsStored, ds.HighBit = 8, 8, 7
    ds.PixelData = np.where(pixels > 0, 100, 99).astype(np.uint8).tobytes()


def sagittal(box):
    for axis in (1, 2):
        used = np.nonzero(box.pixels.any(axis=tuple(a for a in range(3) if a != axis)))[0]
        box.crop(axis, used.min(), used.max() + 1)
    box.turn((2, 0, 1))


def cropped(box):
    box.crop(1, 40, 220)
    box.crop(2, 20, 200)
    box.flip(0)


@pytest.mark.parametrize("change, options", [
    (lambda box: [box.flip(1), box.flip(2)], {}),
    (lambda box: [box.flip(0), box.flip(2)], {"order": [3, 0, 2, 1, 4, 5]}),
    (cropped, {"keeps_sources": False}),
    (sagittal, {"keeps_sources": False}),
    (lambda box: box.turn((0, 1, 2)), {"order": [0, 0, 1, 2, 3, 4, 5, 5]}),
], ids=["rows_and_columns", "slices_in_any_order", "cropped", "sagittal", "frames_twice"])
def test_segmentation_of_the_same_voxels_is_read_exactly(tmp_path, request, change, options):
    fractional = "sagittal" in request.node.name
    study = field.phantom(tmp_path, roi="seg")
    ds = pydicom.dcmread(field.roi_path(study))
    if fractional:
        as_fractional(ds)
    box = Box(ds)
    voxels = int((box.pixels >= 100).sum() if fractional else box.pixels.sum())
    change(box)
    box.write(field.roi_path(study), **options)
    done = field.analyze(study)
    assert done.outcome == "done", done
    spacing = [s["spacing_mm"] for s in done.result["series"] if s.get("phase") == "PV"][0]
    assert done.lesions[0]["volume_ml"] == pytest.approx(voxels * np.prod(spacing) / 1000, rel=1e-5), done
    assert "resampled" not in done.note, done.note


@pytest.mark.parametrize("factors", [(1, 2, 2), (3, 1, 1)], ids=["finer_pixels", "finer_slices"])
def test_segmentation_of_other_voxels_is_resampled_with_a_note(tmp_path, factors):
    study = field.phantom(tmp_path, roi="seg")
    box = Box(pydicom.dcmread(field.roi_path(study)))
    for axis, factor in enumerate(factors):
        box.pixels = np.repeat(box.pixels, factor, axis)
        box.origin = box.origin - box.steps[axis] * (factor - 1) / (2 * factor)
        box.steps[axis] = box.steps[axis] / factor
    box.write(field.roi_path(study), keeps_sources=False)
    done = field.analyze(study)
    assert done.outcome == "done", done
    assert done.lesions[0]["volume_ml"] == pytest.approx(field.VOLUME_ML, rel=0.03), done
    assert "ROI 1 is resampled to series 4" in done.note, done.note
