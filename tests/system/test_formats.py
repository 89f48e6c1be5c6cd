"""Every kind of object and transfer syntax that the node accepts, made by other programs' libraries: each is stored bit
for bit, and each region and each compression gives the same answer as the plain one."""

import copy
import hashlib
import json
import tempfile

import dicom_io
import harness
import highdicom
import imagecodecs
import numpy as np
import pydicom
import pytest
import roi_objects
from pydicom.encaps import encapsulate
from pydicom.uid import HTJ2K, JPEG2000, HTJ2KLossless, HTJ2KLosslessRPCL, JPEG2000Lossless, RLELossless

PHASES = ["nc", "art", "pv"]
REGIONS = {
    "binary SEG": lambda disc: roi_objects.segmentation(disc, "BINARY"),
    "fractional SEG": lambda disc: roi_objects.segmentation(disc, "FRACTIONAL"),
    "Label Map SEG": lambda disc: roi_objects.segmentation(disc, "LABELMAP"),
    "Label Map SEG, RLE": lambda disc: roi_objects.segmentation(disc, "LABELMAP", RLELossless),
    "Enhanced SR": lambda disc: roi_objects.report_2d(disc, highdicom.sr.EnhancedSR),
    "Comprehensive SR": lambda disc: roi_objects.report_2d(disc, highdicom.sr.ComprehensiveSR),
    "Comprehensive 3D SR": lambda disc: roi_objects.report_2d(disc),
    "SCOORD3D": lambda disc: roi_objects.report_3d(disc, names_images=True),
    "presentation state": roi_objects.presentation_state,
}


class Study:
    """A phantom's three phases, and a disc through its lesion."""

    def __init__(self, folder):
        self.folder = folder
        self.truth = json.loads((folder / "truth.json").read_text())
        self.series = {phase: sorted((pydicom.dcmread(p) for p in (folder / phase).glob("*.dcm")),
                                     key=lambda image: float(image.ImagePositionPatient[2])) for phase in PHASES}
        lesion = self.truth["lesions"][0]
        self.disc = roi_objects.Disc(self.series["pv"], lesion["key_sop_instance_uid"], lesion["key_centroid_px"],
                                     lesion["diameter_mm"] / 2, slices=7)


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("formats") / "p"
    return Study(harness.phantom(folder, "--seed", 41, "--class", "hcc", "--matrix", 256, "--coverage", 60,
                                 "--lesions", 1, "--diameter", 40, "--slice-thickness", 4, "--roi", "seg"))


@pytest.fixture(scope="module")
def plain(study, tmp_path_factory):
    """The answer for the uncompressed images with a binary segmentation."""
    return analysed(tmp_path_factory.mktemp("plain"), {p: study.series[p] for p in PHASES}, REGIONS["binary SEG"](study.disc))


def save(dataset, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(path, enforce_file_format=True)
    return path


def analysed(folder, series, region=None):
    for phase, images in series.items():
        for number, image in enumerate(images):
            save(image, folder / "in" / phase / f"{number}.dcm")
    if region is not None:
        save(region, folder / "in" / "roi.dcm")
    harness.run(harness.BIN / "livervlm", "analyze", "--input", folder / "in", "--output", folder / "out", check=False)
    return json.loads((folder / "out" / "analysis.json").read_text())


def answer_of(analysis):
    """What must not depend on the form of the objects."""
    assert analysis["outcome"] == "done", analysis["status_message"]
    assert len(analysis["lesions"]) == 1
    lesion = analysis["lesions"][0]
    return {key: lesion[key] for key in ("mean_hu", "volume_ml", "centroid_mm", "prediction")}


def test_the_plain_answer_is_of_the_disc(study, plain):
    answer = answer_of(plain)
    assert answer["volume_ml"] == pytest.approx(study.disc.volume_ml(), rel=1e-6)
    assert answer["centroid_mm"] == pytest.approx(study.disc.centroid_mm(), abs=1e-4)
    assert "probability" in answer["prediction"], answer["prediction"]["abstention_reason"]


@pytest.mark.parametrize("form", [form for form in REGIONS if form != "binary SEG"])
def test_each_form_of_region_gives_the_same_answer(form, study, plain, tmp_path):
    assert answer_of(analysed(tmp_path, study.series, REGIONS[form](study.disc))) == answer_of(plain)


def test_a_region_that_names_no_image_is_refused_where_two_series_fit(study, tmp_path):
    analysis = analysed(tmp_path, study.series, roi_objects.report_3d(study.disc, names_images=False))
    assert analysis["outcome"] == "refused"
    assert "does not say which images it was drawn on" in analysis["status_message"]


def test_key_objects_are_no_region(study, tmp_path):
    analysis = analysed(tmp_path, study.series, roi_objects.key_objects(study.disc))
    assert analysis["outcome"] == "waiting" and "waiting for a ROI" in analysis["status_message"]


def test_multi_frame_images_give_the_same_answer(study, plain, tmp_path):
    frames = {phase: [roi_objects.multi_frame(study.series[phase])] for phase in PHASES}
    assert answer_of(analysed(tmp_path, frames, REGIONS["binary SEG"](study.disc))) == answer_of(plain)


def of_twelve_bits(image):
    """The image with unsigned pixels of 12 bits: what scanners write, and all that JPEG's extended process holds."""
    pixels = np.clip(image.pixel_array.astype(np.int32) + 1024 + int(image.RescaleIntercept), 0, 4095)
    changed = copy.deepcopy(image)
    changed.RescaleIntercept = -1024
    changed.PixelRepresentation = 0
    changed.BitsStored, changed.HighBit = 12, 11
    for keyword in ("PixelPaddingValue", "SmallestImagePixelValue", "LargestImagePixelValue"):
        if keyword in changed:
            delattr(changed, keyword)
    changed.PixelData = pixels.astype(np.uint16).tobytes()
    return changed


def encapsulated(image, syntax, encode):
    changed = copy.deepcopy(image)
    changed.PixelData = encapsulate([encode(image.pixel_array)])
    changed["PixelData"].VR = "OB"
    changed["PixelData"].is_undefined_length = True
    changed.file_meta.TransferSyntaxUID = syntax
    return changed


def by_dcmtk(image, *command):
    """Recoded by a program of DCMTK, with the UID that it had."""
    with tempfile.TemporaryDirectory() as folder:
        image.save_as(f"{folder}/in", enforce_file_format=True)
        harness.run(*command, f"{folder}/in", f"{folder}/out")
        recoded = pydicom.dcmread(f"{folder}/out")
        recoded.PixelData  # read now: the file goes
    recoded.SOPInstanceUID = recoded.file_meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
    return recoded


LOSSLESS = {
    "HTJ2K": lambda image: encapsulated(image, HTJ2KLossless, lambda p: imagecodecs.htj2k_encode(p, reversible=True)),
    "HTJ2K RPCL": lambda image: encapsulated(
        image, HTJ2KLosslessRPCL, lambda p: imagecodecs.htj2k_encode(p, reversible=True, tlm=True, resolutions=6)),
    "HTJ2K, reversible in the general syntax": lambda image: encapsulated(
        image, HTJ2K, lambda p: imagecodecs.htj2k_encode(p, reversible=True)),
    "JPEG 2000": lambda image: encapsulated(
        image, JPEG2000Lossless, lambda p: imagecodecs.jpeg2k_encode(p, level=0, reversible=True, codecformat="j2k")),
    "RLE": lambda image: by_dcmtk(image, "dcmcrle"),
    "JPEG lossless": lambda image: by_dcmtk(image, "dcmcjpeg", "+e1"),
    "JPEG-LS": lambda image: by_dcmtk(image, "dcmcjpls", "+el"),
    "deflated": lambda image: by_dcmtk(image, "dcmconv", "+td"),
    "big endian": lambda image: by_dcmtk(image, "dcmconv", "+tb"),
}
LOSSY = {
    "HTJ2K": lambda image: encapsulated(
        image, HTJ2K, lambda p: imagecodecs.htj2k_encode(p, level=0.0001, reversible=False)),
    "JPEG 2000": lambda image: encapsulated(
        image, JPEG2000, lambda p: imagecodecs.jpeg2k_encode(p, level=90, reversible=False, codecformat="j2k")),
    "JPEG extended": lambda image: by_dcmtk(image, "dcmcjpeg", "+ee", "+q", "95"),
    "JPEG-LS near-lossless": lambda image: by_dcmtk(image, "dcmcjpls", "+en", "--max-deviation", "2"),
}


@pytest.mark.parametrize("names", [list(LOSSLESS)[i:i + 3] for i in range(0, len(LOSSLESS), 3)], ids=", ".join)
def test_lossless_syntaxes_give_the_same_answer(names, study, plain, tmp_path):
    """Three at a time, one a phase."""
    series = {phase: [LOSSLESS[name](of_twelve_bits(image)) for image in study.series[phase]]
              for phase, name in zip(PHASES, names)}
    assert answer_of(analysed(tmp_path, series, REGIONS["binary SEG"](study.disc))) == answer_of(plain)


@pytest.mark.parametrize("name", LOSSY)
def test_lossy_syntaxes_stay_near(name, study, plain, tmp_path):
    series = {phase: [LOSSY[name](of_twelve_bits(image)) for image in study.series[phase]] for phase in PHASES}
    answer = answer_of(analysed(tmp_path, series, REGIONS["binary SEG"](study.disc)))
    assert answer["mean_hu"] == pytest.approx(answer_of(plain)["mean_hu"], abs=2)
    assert answer["prediction"]["top_class"] == answer_of(plain)["prediction"]["top_class"]


def test_each_class_and_syntax_is_stored_bit_for_bit(study, tmp_path):
    node = harness.Node(tmp_path / "node", harness.free_port()).start()
    image = of_twelve_bits(study.series["pv"][0])
    objects = {f"CT in {name}": recode(copy.deepcopy(image)) for name, recode in {**LOSSLESS, **{
        f"{name} with losses": recode for name, recode in LOSSY.items()}}.items()}
    objects |= {name: make(study.disc) for name, make in REGIONS.items()}
    objects["key objects"] = roi_objects.key_objects(study.disc)
    objects["multi-frame CT"] = roi_objects.multi_frame(study.series["art"])
    sent = {}
    try:
        for name, dataset in objects.items():
            if name.startswith("CT in "):
                uid = f"{image.SOPInstanceUID[:50]}.{len(sent)}"
                dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = uid
            path = save(dataset, tmp_path / f"{len(sent)}.dcm")
            assert dicom_io.send_raw(path, node.port, harness.NODE_AET, harness.MODALITY_AET) == 0x0000, name
            sent[name] = hashlib.sha256(dicom_io.dataset_bytes(path)).hexdigest()
        assert len(set(sent.values())) == len(objects)
        store = node.folder / "state" / "objects"
        harness.wait_until(lambda: len(list(store.rglob("*.dcm"))) == len(sent), 60, "all objects in the store")
        stored = {hashlib.sha256(dicom_io.dataset_bytes(p)).hexdigest() for p in store.rglob("*.dcm")}
        assert stored == set(sent.values())
    finally:
        node.remove()


@pytest.mark.parametrize("form, recode", [("Label Map SEG", "HTJ2K"), ("presentation state", "JPEG-LS"),
                                          ("SCOORD3D", "HTJ2K RPCL")])
def test_the_node_answers_them(form, recode, study, tmp_path):
    """Through the network and back into the PACS, with nothing else than this region in the study."""
    node_port = harness.free_port()
    pacs = harness.Orthanc(tmp_path / "pacs", node_port).start()
    node = harness.Node(tmp_path / "node", node_port, pacs.dicom_port).start()
    try:
        paths = [save(LOSSLESS[recode](of_twelve_bits(image)), tmp_path / phase / f"{number}.dcm")
                 for phase in PHASES for number, image in enumerate(study.series[phase])]
        assert set(dicom_io.send_raw(paths, node.port, harness.NODE_AET, harness.MODALITY_AET)) == {0}
        uid = study.truth["study_instance_uid"]
        harness.wait_until(lambda: [s for s in node.table("studies")["studies"] if "ROI" in s["status_message"]], 60,
                           "the study to wait for a ROI\n" + node.log()[-2000:])
        for dataset in (roi_objects.key_objects(study.disc), REGIONS[form](study.disc)):
            harness.send(save(dataset, tmp_path / "region.dcm"), node.port)
        harness.wait_until(lambda: all(pacs.results_of_study(uid)), 120, "results\n" + node.log()[-3000:])
        assert [len(found) for found in pacs.results_of_study(uid)] == [1, 1]
    finally:
        node.remove()
        pacs.stop()
