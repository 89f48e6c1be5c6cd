"""Raw DICOM for tests: data sets sent and compared byte by byte, studies made from real slices."""

import copy
import pathlib
import struct

import numpy as np
import pydicom
import pynetdicom
from pydicom.uid import generate_uid


def dataset_bytes(path):
    """What follows the file meta header of a Part 10 file."""
    data = pathlib.Path(path).read_bytes()
    assert data[128:132] == b"DICM", path
    assert data[132:136] == b"\x02\x00\x00\x00", "the meta header begins with its group length"
    return data[144 + struct.unpack("<I", data[140:144])[0]:]


def send_raw(paths, port, called, calling):
    """C-STORE with the files' own bytes over one association, the command's UIDs from their meta headers. The DIMSE status
    of each; None where its presentation context was not accepted. One path: its status. DCMTK 3.6.7 cannot propose HTJ2K,
    so its dcmsend is no help there."""
    if not isinstance(paths, list):
        return send_raw([paths], port, called, calling)[0]
    pynetdicom._config.STORE_SEND_CHUNKED_DATASET = True
    metas = [pydicom.filereader.read_file_meta_info(str(path)) for path in paths]
    entity = pynetdicom.AE(ae_title=calling)
    for sop_class, syntax in sorted({(m.MediaStorageSOPClassUID, m.TransferSyntaxUID) for m in metas}):
        entity.add_requested_context(sop_class, syntax)
    association = entity.associate("127.0.0.1", port, ae_title=called)
    if not association.is_established:
        return [None] * len(paths)
    try:
        return [store_status(association, path) for path in paths]
    finally:
        association.release()


def store_status(association, path):
    try:
        return association.send_c_store(str(path)).get("Status")
    except ValueError:
        return None


def liver_mask(segmentation, images):
    """Boolean [slice][row][column] of a single-segment binary SEG on the given images, by position."""
    frames = segmentation.pixel_array
    frames = frames[None] if frames.ndim == 2 else frames
    mask = np.zeros((len(images),) + frames.shape[1:], bool)
    for number, group in enumerate(segmentation.PerFrameFunctionalGroupsSequence):
        z = float(group.PlanePositionSequence[0].ImagePositionPatient[2])
        for k, image in enumerate(images):
            if abs(float(image.ImagePositionPatient[2]) - z) < 0.1:
                mask[k] |= frames[number] > 0
    return mask


def make_phases(folder, output):
    """Three phases from the three real slices, which are non-contrast: other HU inside the liver and in the aorta, the
    arterial and portal-venous ones shifted by whole pixels, and a round ROI inside the liver as RTSTRUCT on the portal-venous phase. Returns the study UID."""
    images = sorted((pydicom.dcmread(p) for p in pathlib.Path(folder).glob("0*.dcm")),
                    key=lambda d: float(d.ImagePositionPatient[2]))
    mask = liver_mask(pydicom.dcmread(pathlib.Path(folder) / "liver.dcm"), images)
    study_uid = generate_uid(entropy_srcs=["three phases of three slices"])
    frame_uid = generate_uid(entropy_srcs=["three phases of three slices", "frame"])
    plan = [("Liver native", "100000", 0, 0, (0, 0)), ("Liver arterial phase", "100210", 12, 260, (4, -3)),
            ("Liver portal venous phase", "100245", 55, 115, (-2, 5))]
    rows, columns = np.mgrid[0:images[0].Rows, 0:images[0].Columns]
    aorta = np.hypot(columns - 275, rows - 322) * float(images[0].PixelSpacing[0]) < 12.0  # in front of the vertebra
    portal = None
    for number, (description, time, change_hu, blood_hu, shift) in enumerate(plan, 1):
        series_uid = generate_uid(entropy_srcs=[study_uid, description])
        written = []
        for k, source in enumerate(images):
            dataset = copy.deepcopy(source)
            dataset.decompress() if dataset.file_meta.TransferSyntaxUID.is_compressed else None
            pixels = dataset.pixel_array.astype(np.int32)
            pixels[mask[k]] += round((change_hu - 30) / float(dataset.RescaleSlope))
            pixels[aorta] += round(blood_hu / float(dataset.RescaleSlope))
            pixels = np.roll(pixels, shift, axis=(0, 1))
            dataset.PixelData = pixels.astype(dataset.pixel_array.dtype).tobytes()
            dataset.StudyInstanceUID = study_uid
            dataset.SeriesInstanceUID = series_uid
            dataset.FrameOfReferenceUID = frame_uid
            dataset.SOPInstanceUID = generate_uid(entropy_srcs=[series_uid, str(k)])
            dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
            dataset.SeriesDescription = description
            dataset.SeriesNumber = number + 1
            dataset.AcquisitionNumber = number
            dataset.AcquisitionTime = time
            dataset.ContentTime = time
            path = pathlib.Path(output) / f"s{number}-{k}.dcm"
            dataset.save_as(path)
            written.append(dataset)
        if number == 3:
            portal = written
    _write_roi(portal, np.roll(mask, plan[2][4], axis=(1, 2)), pathlib.Path(output) / "roi.dcm")
    return study_uid


def _write_roi(images, mask, path):
    """A circle of 18 mm across the middle slice's liver, as far inside as it goes, as RT Structure Set."""
    middle = len(images) // 2
    rows, columns = np.nonzero(mask[middle])
    image = images[middle]
    spacing = [float(v) for v in image.PixelSpacing]
    radius = 9.0
    inner = [(r, c) for r, c in zip(rows[::50], columns[::50])
             if mask[middle][max(0, r - 16):r + 17, max(0, c - 16):c + 17].all()]
    row, column = inner[len(inner) // 2]
    origin = np.array([float(v) for v in image.ImagePositionPatient])
    across = np.array([float(v) for v in image.ImageOrientationPatient[:3]])
    down = np.array([float(v) for v in image.ImageOrientationPatient[3:]])
    centre = origin + across * column * spacing[1] + down * row * spacing[0]
    angles = np.linspace(0, 2 * np.pi, 48, endpoint=False)
    points = [centre + radius * (np.cos(a) * across + np.sin(a) * down) for a in angles]
    structures = pydicom.Dataset()
    for name in ("PatientID", "PatientName", "PatientBirthDate", "PatientSex", "StudyInstanceUID", "StudyDate",
                 "StudyTime", "StudyID", "AccessionNumber", "ReferringPhysicianName"):
        structures[name] = image[name] if name in image else pydicom.DataElement(
            pydicom.datadict.tag_for_keyword(name), pydicom.datadict.dictionary_VR(name), "")
    structures.SOPClassUID = "1.2.840.10008.5.1.4.1.1.481.3"
    structures.SOPInstanceUID = generate_uid(entropy_srcs=[image.SOPInstanceUID, "roi"])
    structures.SeriesInstanceUID = generate_uid(entropy_srcs=[image.SOPInstanceUID, "roi series"])
    structures.Modality = "RTSTRUCT"
    structures.Manufacturer = "test"
    structures.SeriesNumber = 90
    structures.StructureSetLabel = "ROI"
    structures.StructureSetDate = "20260101"
    structures.StructureSetTime = "120000"
    frame = pydicom.Dataset()
    frame.FrameOfReferenceUID = image.FrameOfReferenceUID
    structures.ReferencedFrameOfReferenceSequence = [frame]
    roi = pydicom.Dataset()
    roi.ROINumber = 1
    roi.ReferencedFrameOfReferenceUID = image.FrameOfReferenceUID
    roi.ROIName = "Lesion 1"
    roi.ROIGenerationAlgorithm = "MANUAL"
    structures.StructureSetROISequence = [roi]
    reference = pydicom.Dataset()
    reference.ReferencedSOPClassUID = image.SOPClassUID
    reference.ReferencedSOPInstanceUID = image.SOPInstanceUID
    contour = pydicom.Dataset()
    contour.ContourImageSequence = [reference]
    contour.ContourGeometricType = "CLOSED_PLANAR"
    contour.NumberOfContourPoints = len(points)
    contour.ContourData = [f"{v:.3f}" for p in points for v in p]
    contours = pydicom.Dataset()
    contours.ReferencedROINumber = 1
    contours.ContourSequence = [contour]
    structures.ROIContourSequence = [contours]
    observation = pydicom.Dataset()
    observation.ObservationNumber = 1
    observation.ReferencedROINumber = 1
    observation.RTROIInterpretedType = ""
    observation.ROIInterpreter = ""
    structures.RTROIObservationsSequence = [observation]
    structures.file_meta = pydicom.dataset.FileMetaDataset()
    structures.file_meta.MediaStorageSOPClassUID = structures.SOPClassUID
    structures.file_meta.MediaStorageSOPInstanceUID = structures.SOPInstanceUID
    structures.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    structures.save_as(path, enforce_file_format=True)


def copy_study(study, folder):
    """The same study once more, under UIDs of its own: what it is about matters to nobody here."""
    new = {}
    for path in sorted(study.rglob("*.dcm")):
        d = pydicom.dcmread(path)

        def rename(dataset, element):
            if element.VR == "UI" and element.value and not str(element.value).startswith("1.2.840.10008."):
                values = element.value if isinstance(element.value, pydicom.multival.MultiValue) else [element.value]
                renamed = [new.setdefault(str(value), generate_uid()) for value in values]
                element.value = renamed if len(renamed) > 1 else renamed[0]

        d.walk(rename)
        d.file_meta.MediaStorageSOPInstanceUID = d.SOPInstanceUID
        target = folder / path.relative_to(study)
        target.parent.mkdir(parents=True, exist_ok=True)
        d.save_as(target, enforce_file_format=True)
    return folder
