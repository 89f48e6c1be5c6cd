"""Writes tests/mutation/originals: one small study's CT images, and one valid object of every kind that mutate.py
changes. By hand, with the system tests' environment, where another kind is wanted; the files are part of the tree, so
that mutants are the same everywhere. Usage: make_originals.py LIVERVLM"""

import copy
import pathlib
import shutil
import subprocess
import sys
import tempfile

import pydicom
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

HERE = pathlib.Path(__file__).resolve().parent
TARGET = HERE / "originals"
sys.path.insert(0, str(HERE.parent / "system"))
import roi_objects  # noqa: E402  (beside the system tests)

OPTIONS = ("--class hcc --seed 20313 --lesions 1 --diameter 30 --matrix 64 --coverage 50 --slice-thickness 5 "
           "--phases nc,pv").split()


def item(**values):
    dataset = Dataset()
    for name, value in values.items():
        setattr(dataset, name, value)
    return Sequence([dataset])


def enhanced(slices):
    """The slices as one Enhanced CT object of one pass."""
    made = copy.deepcopy(slices[0])
    made.SOPClassUID = made.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.2.1"
    made.SOPInstanceUID = made.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    made.ImageType = ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]
    made.NumberOfFrames = len(slices)
    made.PixelData = b"".join(dataset.PixelData for dataset in slices)
    shared = Dataset()
    shared.PixelMeasuresSequence = item(PixelSpacing=made.PixelSpacing, SliceThickness=made.SliceThickness)
    shared.PlaneOrientationSequence = item(ImageOrientationPatient=made.ImageOrientationPatient)
    shared.PixelValueTransformationSequence = item(RescaleSlope=made.RescaleSlope, RescaleType="HU",
                                                   RescaleIntercept=made.RescaleIntercept)
    shared.CTImageFrameTypeSequence = item(FrameType=made.ImageType)
    made.SharedFunctionalGroupsSequence = Sequence([shared])
    frames = []
    for number, dataset in enumerate(slices, 1):
        frame = Dataset()
        frame.PlanePositionSequence = item(ImagePositionPatient=dataset.ImagePositionPatient)
        frame.FrameContentSequence = item(FrameAcquisitionNumber=1, StackID="1", InStackPositionNumber=number,
                                          FrameAcquisitionDateTime=dataset.AcquisitionDate + dataset.AcquisitionTime)
        frames.append(frame)
    made.PerFrameFunctionalGroupsSequence = Sequence(frames)
    for name in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness", "RescaleSlope",
                 "RescaleIntercept", "AcquisitionNumber", "AcquisitionTime"):
        if name in made:
            delattr(made, name)
    return made


def on_enhanced(rtstruct, image, slices):
    """The same contours, with the frames of the Enhanced CT object as their images."""
    made = copy.deepcopy(rtstruct)
    made.SOPInstanceUID = made.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    numbers = {dataset.SOPInstanceUID: number for number, dataset in enumerate(slices, 1)}
    series = made.ReferencedFrameOfReferenceSequence[0].RTReferencedStudySequence[0].RTReferencedSeriesSequence[0]
    for entry in list(series.ContourImageSequence) + [entry for contour in made.ROIContourSequence[0].ContourSequence
                                                      for entry in contour.ContourImageSequence]:
        entry.ReferencedFrameNumber = numbers[entry.ReferencedSOPInstanceUID]
        entry.ReferencedSOPClassUID, entry.ReferencedSOPInstanceUID = image.SOPClassUID, image.SOPInstanceUID
    return made


def write(path, dataset):
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.save_as(path, enforce_file_format=True, little_endian=True, implicit_vr=False)


def slices_of(folder):
    return sorted((pydicom.dcmread(path) for path in pathlib.Path(folder).glob("*.dcm")),
                  key=lambda dataset: float(dataset.ImagePositionPatient[2]))


IDENTITY = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "FrameOfReferenceUID")


def phantom(livervlm, folder, kind, study):
    """The phantom's ROI as an object of `study`, whose CT images differ from those of its own in nothing but UIDs."""
    subprocess.run([livervlm, "phantom", "--output", folder / kind, "--roi", kind] + OPTIONS, check=True,
                   stdout=subprocess.DEVNULL)
    renamed = {}
    for phase in ("nc", "pv"):
        for own, other in zip(slices_of(folder / kind / phase), slices_of(folder / study / phase)):
            renamed.update({own[name].value: other[name].value for name in IDENTITY})

    def rename(dataset, element):
        if element.VR == "UI" and element.value in renamed:
            element.value = renamed[element.value]

    made = pydicom.dcmread(next((folder / kind / "roi").glob("*.dcm")))
    made.walk(rename)
    return made


def make(livervlm, folder):
    objects = {kind: phantom(livervlm, folder, kind, "rtstruct") for kind in ("rtstruct", "seg", "sr")}
    portal, native = slices_of(folder / "rtstruct" / "pv"), slices_of(folder / "rtstruct" / "nc")
    contour = objects["rtstruct"].ROIContourSequence[0].ContourSequence
    middle = contour[len(contour) // 2]
    key = str(middle.ContourImageSequence[0].ReferencedSOPInstanceUID)
    image = next(dataset for dataset in portal if dataset.SOPInstanceUID == key)
    corners = [float(value) for value in middle.ContourData]
    centre = [(sum(corners[axis::3]) / len(corners[axis::3]) - float(image.ImagePositionPatient[axis]))
              / float(image.PixelSpacing[0]) for axis in (0, 1)]
    disc = roi_objects.Disc(portal, key, centre, 15)
    objects["seg_fractional"] = roi_objects.segmentation(disc, "FRACTIONAL")
    objects["labelmap"] = roi_objects.segmentation(disc, "LABELMAP")
    objects["sr_3d"] = roi_objects.report_3d(disc, True)
    objects["gsps"] = roi_objects.presentation_state(disc)
    objects["enhanced_ct"] = enhanced(portal)
    objects["enhanced_rtstruct"] = on_enhanced(objects["rtstruct"], objects["enhanced_ct"], portal)
    for kind, dataset in objects.items():
        write(TARGET / f"{kind}.dcm", dataset)
    for number, dataset in enumerate(portal, 1):
        write(TARGET / "ct" / f"pv{number:02}.dcm", dataset)
    for number, dataset in enumerate(native[3:8], 1):
        write(TARGET / "ct" / f"nc{number:02}.dcm", dataset)


if __name__ == "__main__":
    shutil.rmtree(TARGET, ignore_errors=True)
    with tempfile.TemporaryDirectory() as scratch:
        make(sys.argv[1], pathlib.Path(scratch))
