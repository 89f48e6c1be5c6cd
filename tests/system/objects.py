"""Result objects as other programs read them: highdicom and pydicom for what they hold, Pillow to draw what a viewer
would draw, dciodvfy and DCMTK for their form."""

import pathlib
import subprocess

import highdicom
import judge
import numpy as np
import pydicom
from PIL import Image, ImageDraw

KINDS = "sr,sc,seg,seg_phases,kos,pdf,gsps,pmap"
SEG_CLASS = "1.2.840.10008.5.1.4.1.1.66.4"
KOS_CLASS = "1.2.840.10008.5.1.4.1.1.88.59"
PDF_CLASS = "1.2.840.10008.5.1.4.1.1.104.1"
GSPS_CLASS = "1.2.840.10008.5.1.4.1.1.11.1"
PMAP_CLASS = "1.2.840.10008.5.1.4.1.1.30"
FURTHER_CLASSES = (SEG_CLASS, KOS_CLASS, PDF_CLASS, GSPS_CLASS, PMAP_CLASS)
DRAWN, CARRIED = "MANUAL", "SEMIAUTOMATIC"


def read_all(folder):
    """Every result object of a folder, by pydicom."""
    return [pydicom.dcmread(path) for path in sorted(pathlib.Path(folder).glob("*.dcm"))]


def of_class(objects, sop_class):
    return [o for o in objects if o.SOPClassUID == sop_class]


def form_errors(path):
    """What dciodvfy and, for a presentation state, DCMTK's dcmpschk have against the object."""
    errors = judge.dciodvfy_errors(path)
    if pydicom.dcmread(path, stop_before_pixels=True).SOPClassUID == GSPS_CLASS:
        done = subprocess.run(["dcmpschk", str(path)], capture_output=True, text=True, timeout=60)
        lines = (done.stdout + done.stderr).splitlines()
        # DCMTK 3.6.7 takes no offset from UTC in a DT.
        affected = [line for line in lines if "Affected attribute" in line and "ContributionDateTime" not in line]
        errors += [f"Error - dcmpschk: {line}" for line in affected]
    return errors


def segmentations(objects, algorithm):
    found = of_class(objects, SEG_CLASS)
    return [s for s in found if s.SegmentSequence[0].SegmentAlgorithmType == algorithm]


def segment_mask(segmentation, tracking_uid, images):
    """[slice][row][column] of one segment on `images` (one series), by highdicom, each frame at its own position."""
    segmentation = highdicom.seg.Segmentation.from_dataset(segmentation)
    places = np.array([[float(v) for v in image.ImagePositionPatient] for image in images])
    mask = np.zeros((len(images), images[0].Rows, images[0].Columns), bool)
    number = next(s.SegmentNumber for s in segmentation.SegmentSequence if s.TrackingUID == tracking_uid)
    frames = segmentation.pixel_array.reshape(-1, segmentation.Rows, segmentation.Columns)
    for frame, groups in zip(frames, segmentation.PerFrameFunctionalGroupsSequence, strict=True):
        if groups.SegmentIdentificationSequence[0].ReferencedSegmentNumber != number:
            continue
        assert frame.any(), "a frame without a voxel"
        position = [float(v) for v in groups.PlanePositionSequence[0].ImagePositionPatient]
        distance = np.linalg.norm(places - position, axis=1)
        assert distance.min() < 1e-3, "a frame lies on no image"
        mask[distance.argmin()] |= frame.astype(bool)
    return mask


def truth_mask(path, images):
    """[slice][row][column] of a phantom's truth_mask_N.nrrd, which is a box of the images' own raster."""
    header, data = path.read_bytes().split(b"\n\n", 1)
    fields = dict(line.split(": ", 1) for line in header.decode().splitlines()[1:])
    size = [int(v) for v in fields["sizes"].split()]
    box = np.frombuffer(data, np.uint8).reshape(size[::-1]).astype(bool)
    start = np.array([float(v) for v in fields["space origin"].strip("()").split(",")])
    spacing = [float(v) for v in images[0].PixelSpacing]
    depth = float(images[1].ImagePositionPatient[2]) - float(images[0].ImagePositionPatient[2])
    first = (start - [float(v) for v in images[0].ImagePositionPatient]) / [spacing[1], spacing[0], depth]
    at = np.round(first).astype(int)
    assert np.abs(first - at).max() < 0.01
    mask = np.zeros((len(images), images[0].Rows, images[0].Columns), bool)
    mask[at[2]:at[2] + size[2], at[1]:at[1] + size[1], at[0]:at[0] + size[0]] = box
    return mask


def drawn_mask(presentations, images, frames_by_uid=None):
    """[slice][row][column] that the presentation states' outlines enclose: pixels whose centre is inside, even-odd."""
    mask = np.zeros((len(images), images[0].Rows, images[0].Columns), bool)
    index = {image.SOPInstanceUID: i for i, image in enumerate(images)}
    for state in presentations:
        for annotation in state.GraphicAnnotationSequence:
            reference = annotation.ReferencedImageSequence[0]
            if frames_by_uid is None:
                i = index[reference.ReferencedSOPInstanceUID]
            else:
                i = frames_by_uid[int(reference.ReferencedFrameNumber)]
            for graphic in annotation.GraphicObjectSequence:
                assert (graphic.GraphicAnnotationUnits, graphic.GraphicType) == ("PIXEL", "POLYLINE")
                points = np.array(graphic.GraphicData).reshape(-1, 2)
                assert (points[0] == points[-1]).all()
                mask[i] ^= inside(points, mask.shape[1:])
    return mask


def inside(points, shape):
    rows, columns = np.mgrid[0:shape[0], 0:shape[1]] + 0.5  # (0, 0) is the corner of the first pixel
    result = np.zeros(shape, bool)
    for (x0, y0), (x1, y1) in zip(points[:-1], points[1:]):
        if y0 != y1:
            crosses = (y0 > rows) != (y1 > rows)
            result ^= crosses & (columns < x0 + (rows - y0) * (x1 - x0) / (y1 - y0))
    return result


def pages_of(document, folder):
    """The PDF's text by page, and each page as a picture."""
    path = pathlib.Path(folder) / "document.pdf"
    path.write_bytes(document.EncapsulatedDocument)
    text = subprocess.run(["pdftotext", "-layout", str(path), "-"], capture_output=True, text=True, check=True).stdout
    subprocess.run(["pdftoppm", "-r", "60", str(path), str(path.with_suffix(""))], check=True, timeout=120)
    pictures = [Image.open(p).convert("RGB") for p in sorted(path.parent.glob("document-*.ppm"))]
    return [page for page in text.split("\f") if page.strip()], pictures


def holds_picture(page, capture):
    """Is the capture on the page? By its likeness to the best-fitting part of the page at the width of the text."""
    small = Image.fromarray(capture.pixel_array)
    width = round(page.width * 515 / 595)
    small = np.asarray(small.resize((width, round(small.height * width / small.width)), Image.BOX).convert("L"), float)
    grey = np.asarray(page.convert("L"), float)
    left = round(page.width * 40 / 595)
    likeness = [np.corrcoef(grey[top:top + small.shape[0], left:left + width].ravel(), small.ravel())[0, 1]
                for top in range(0, grey.shape[0] - small.shape[0])]
    return max(likeness) > 0.9


def rendered(state_path, image_path, folder):
    """The image through the presentation state, by DCMTK's dcmp2pgm, with the outlines drawn on it."""
    target = pathlib.Path(folder) / "rendered.pgm"
    subprocess.run(["dcmp2pgm", "-p", str(state_path), str(image_path), str(target)], check=True, timeout=60)
    picture = Image.open(target).convert("RGB")
    state = pydicom.dcmread(state_path)
    uid = pydicom.dcmread(image_path, stop_before_pixels=True).SOPInstanceUID
    draw = ImageDraw.Draw(picture)
    for annotation in state.GraphicAnnotationSequence:
        if annotation.ReferencedImageSequence[0].ReferencedSOPInstanceUID == uid:
            for graphic in annotation.GraphicObjectSequence:
                draw.line([tuple(p) for p in np.array(graphic.GraphicData).reshape(-1, 2)], fill=(255, 200, 0))
    return Image.open(target), picture
