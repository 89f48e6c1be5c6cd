"""Objects that other programs make, written by highdicom: one region in every form in which a radiologist may send it,
key objects, multi-frame CT. The region is a disc drawn on some slices, so that a test knows its volume and place."""

import highdicom
import numpy as np
from highdicom.sr.coding import CodedConcept
from pydicom.sr.codedict import codes
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

LESION = CodedConcept("52988006", "SCT", "Lesion")
ABNORMALITY = CodedConcept("49755003", "SCT", "Morphologically Abnormal Structure")


class Disc:
    """A polygon of 60 corners around a point, on neighbouring slices of one series."""

    def __init__(self, images, key_sop_instance_uid, centre_pixel, radius_mm, slices=3):
        self.images = sorted(images, key=lambda image: float(image.ImagePositionPatient[2]))
        key = next(i for i, image in enumerate(self.images) if image.SOPInstanceUID == key_sop_instance_uid)
        self.numbers = list(range(key - slices // 2, key - slices // 2 + slices))
        self.spacing_mm = [float(v) for v in self.images[0].PixelSpacing]
        angles = np.arange(60) * 2 * np.pi / 60 + 0.01
        radius = np.array([radius_mm / self.spacing_mm[1], radius_mm / self.spacing_mm[0]])
        # Pixel-centre indices, column and row.
        self.corners = np.array(centre_pixel) + radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)

    def mask(self):
        """Boolean [slice][row][column]: pixels whose centre is inside, by the even-odd rule."""
        rows, columns = np.mgrid[0:self.images[0].Rows, 0:self.images[0].Columns]
        inside = np.zeros(rows.shape, bool)
        for (x0, y0), (x1, y1) in zip(self.corners, np.roll(self.corners, -1, axis=0)):
            crosses = (y0 > rows) != (y1 > rows)
            inside ^= crosses & (columns < x0 + (rows - y0) * (x1 - x0) / (y1 - y0))
        mask = np.zeros((len(self.images),) + inside.shape, bool)
        mask[self.numbers] = inside
        return mask

    def volume_ml(self):
        depth = abs(float(self.images[1].ImagePositionPatient[2]) - float(self.images[0].ImagePositionPatient[2]))
        return self.mask().sum() * self.spacing_mm[0] * self.spacing_mm[1] * depth / 1000

    def centroid_mm(self):
        slices, rows, columns = np.nonzero(self.mask())
        origin = [float(v) for v in self.images[0].ImagePositionPatient]
        depth = float(self.images[1].ImagePositionPatient[2]) - origin[2]
        return [origin[0] + columns.mean() * self.spacing_mm[1], origin[1] + rows.mean() * self.spacing_mm[0],
                origin[2] + slices.mean() * depth]

    def corners_scoord(self):
        """Closed; (0, 0) is the corner of the first pixel."""
        return np.concatenate([self.corners, self.corners[:1]]) + 0.5

    def corners_mm(self, number):
        origin = [float(v) for v in self.images[number].ImagePositionPatient]
        closed = np.concatenate([self.corners, self.corners[:1]])
        return np.stack([origin[0] + closed[:, 0] * self.spacing_mm[1], origin[1] + closed[:, 1] * self.spacing_mm[0],
                         np.full(len(closed), origin[2])], axis=1)


def _identity():
    return {"series_instance_uid": generate_uid(), "series_number": 90, "sop_instance_uid": generate_uid(),
            "instance_number": 1, "manufacturer": "test"}


def _maker(name):
    return {**_identity(), "manufacturer_model_name": name, "software_versions": "1", "device_serial_number": "1"}


def segmentation(disc, kind, transfer_syntax_uid=ExplicitVRLittleEndian):
    """kind: BINARY, FRACTIONAL or LABELMAP."""
    description = highdicom.seg.SegmentDescription(1, "Lesion 1", ABNORMALITY, LESION, "MANUAL",
                                                   tracking_uid=generate_uid(), tracking_id="Lesion 1")
    pixels = disc.mask().astype(np.float32 if kind == "FRACTIONAL" else np.uint8)
    return highdicom.seg.Segmentation(disc.images, pixels, kind, [description], content_label="ROI",
                                      transfer_syntax_uid=transfer_syntax_uid, **_maker("segmentation"))


def _groups(disc, region_of, measurements_of=lambda number: None):
    """One planar group a slice, all of one tracking UID."""
    tracking = highdicom.sr.TrackingIdentifier(uid=generate_uid(), identifier="Lesion 1")
    return [highdicom.sr.PlanarROIMeasurementsAndQualitativeEvaluations(
        tracking, referenced_region=region_of(number), finding_type=LESION, measurements=measurements_of(number))
        for number in disc.numbers]


def _report(document, disc, groups):
    observer = highdicom.sr.ObserverContext(codes.DCM.Person, highdicom.sr.PersonObserverIdentifyingAttributes("A^B"))
    content = highdicom.sr.MeasurementReport(highdicom.sr.ObservationContext(observer_person_context=observer),
                                             codes.LN.CTUnspecifiedBodyRegion, groups)
    return document([disc.images[number] for number in disc.numbers], content[0], **_identity())


def report_2d(disc, document=highdicom.sr.Comprehensive3DSR):
    """SCOORD polylines; `document` is one of highdicom's SR classes."""
    return _report(document, disc, _groups(disc, lambda number: highdicom.sr.ImageRegion(
        "POLYLINE", disc.corners_scoord(), highdicom.sr.SourceImageForRegion.from_source_image(disc.images[number]))))


def report_3d(disc, names_images):
    """SCOORD3D polygons, which name a frame of reference and no image; `names_images`: the measurements do."""
    def measurements(number):
        source = highdicom.sr.SourceImageForMeasurement.from_source_image(disc.images[number])
        return [highdicom.sr.Measurement(CodedConcept("42798000", "SCT", "Area"), 1.0, codes.UCUM.SquareMillimeter,
                                         referenced_images=[source])]

    return _report(highdicom.sr.Comprehensive3DSR, disc, _groups(
        disc, lambda number: highdicom.sr.ImageRegion3D("POLYGON", disc.corners_mm(number),
                                                        disc.images[0].FrameOfReferenceUID),
        measurements if names_images else lambda number: None))


def presentation_state(disc):
    """The outlines as graphics in the pixels of their images."""
    layer = highdicom.pr.GraphicLayer("ROI", 1)
    outline = highdicom.pr.GraphicObject("POLYLINE", disc.corners_scoord(), "PIXEL", tracking_id="Lesion 1",
                                         tracking_uid=generate_uid())
    annotations = [highdicom.pr.GraphicAnnotation([disc.images[number]], layer, graphic_objects=[outline])
                   for number in disc.numbers]
    return highdicom.pr.GrayscaleSoftcopyPresentationState(
        [disc.images[number] for number in disc.numbers], graphic_annotations=annotations, graphic_layers=[layer],
        content_label="ROI", **_maker("presentation"))


def key_objects(disc):
    content = highdicom.ko.KeyObjectSelection(codes.DCM.OfInterest, [disc.images[number] for number in disc.numbers])
    return highdicom.ko.KeyObjectSelectionDocument([disc.images[number] for number in disc.numbers], content,
                                                   **_identity())


def multi_frame(images):
    """A series as one Legacy Converted Enhanced CT object, with the series' own identity."""
    return highdicom.legacy.LegacyConvertedEnhancedCTImage(
        images, series_instance_uid=images[0].SeriesInstanceUID, series_number=int(images[0].SeriesNumber),
        sop_instance_uid=generate_uid(), instance_number=1)
