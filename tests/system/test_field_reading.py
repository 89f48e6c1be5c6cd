"""Files as other writers leave them: what the usual toolkits read is read, and one bad file ends nothing but itself."""

import pathlib
import shutil
import struct
import subprocess

import pydicom
import pytest

import field

pydicom.config.settings.reading_validation_mode = pydicom.config.IGNORE
pydicom.config.settings.writing_validation_mode = pydicom.config.IGNORE


def assert_as_unchanged(result):
    assert result.status == 0, result
    assert result.outcome == "done" and len(result.lesions) == 1, result
    assert result.lesions[0]["volume_ml"] == pytest.approx(field.VOLUME_ML, abs=0.1), result
    assert result.lesions[0]["mean_hu"] == pytest.approx([46, 126, 123], abs=1.5), result


def each_file(folder, change, phases=field.PHASES):
    """change(bytes) -> bytes on every image."""
    for phase in phases:
        for path in sorted(pathlib.Path(folder, phase).glob("*.dcm")):
            path.write_bytes(change(path.read_bytes()))


def before_rows(data, more):
    at = data.index(b"\x28\x00\x10\x00US")
    return data[:at] + more + data[at:]


def unknown_vr(vr, count=1):
    def change(data):
        more = b"\x21\x00\x10\x00LO" + struct.pack("<H", 8) + b"PRIVATE "
        for k in range(count):
            value = b"ABCDEF"[:4 + 2 * (k % 2)]
            more += struct.pack("<HH", 0x0021, 0x1001 + k) + vr + struct.pack("<H", len(value)) + value
        return before_rows(data, more)
    return change


def implicit_element(data):
    return before_rows(data, struct.pack("<HHI", 0x0021, 0x1001, 6) + b"ABCDEF")


def rows_without_vr(data):
    """Standard elements, which the dictionary knows, in implicit form."""
    for tag in (b"\x28\x00\x10\x00", b"\x28\x00\x11\x00"):
        at = data.index(tag + b"US\x02\x00")
        data = data[:at + 4] + b"\x02\x00\x00\x00" + data[at + 8:]
    return data


def open_sequence(end):
    """A sequence of undefined length whose delimiters are `end`."""
    item = b"\xfe\xff\x00\xe0\xff\xff\xff\xff" + b"\x08\x00\x50\x11UI\x04\x001.2\x00"
    return lambda data: before_rows(data, b"\x21\x00\x30\x10SQ\0\0\xff\xff\xff\xff" + item + end)


def implicit_sequence(data):
    item = struct.pack("<HHI", 0x0008, 0x1150, 4) + b"1.2\x00"
    item = b"\xfe\xff\x00\xe0" + struct.pack("<I", len(item)) + item
    return before_rows(data, b"\x21\x00\x30\x10SQ\0\0" + struct.pack("<I", len(item)) + item)


def without_preamble(data):
    return data[132:]


def without_meta(data):
    return data[144 + struct.unpack("<I", data[140:144])[0]:]


def wrong_meta_length(data):
    return data[:140] + struct.pack("<I", 4711) + data[144:]


ITEM_END, SEQUENCE_END = b"\xfe\xff\x0d\xe0\0\0\0\0", b"\xfe\xff\xdd\xe0\0\0\0\0"
BYTE_CHANGES = {
    "vr ??": unknown_vr(b"??"), "vr OX, three": unknown_vr(b"OX", 3), "vr lower case": unknown_vr(b"lo", 2),
    "implicit element": implicit_element, "rows without vr": rows_without_vr,
    "no sequence delimiter": open_sequence(ITEM_END), "zero delimiters": open_sequence(bytes(16)),
    "one delimiter for two": open_sequence(SEQUENCE_END), "implicit sequence": implicit_sequence,
    "zeros behind": lambda data: data + bytes(1000), "0xFF behind": lambda data: data + b"\xff" * 77,
    "junk behind": lambda data: data + b"LEFT OVER " * 20, "no preamble": without_preamble, "no meta": without_meta,
    "wrong meta length": wrong_meta_length,
    "command group": lambda data: without_meta(data)[:0] + struct.pack("<HHI", 0, 0x0100, 2) + b"\1\0" + without_meta(data),
}


def test_odd_files_are_read(tmp_path):
    """One kind of oddity a phase's files, so that one analysis judges several; every kind once."""
    kinds = list(BYTE_CHANGES)
    for start in range(0, len(kinds), 8):
        folder = field.phantom(tmp_path / str(start))
        images = [path for path, _ in field.all_ct(folder)]
        for n, path in enumerate(images):
            path = pathlib.Path(path)
            path.write_bytes(BYTE_CHANGES[kinds[(start + n % 8) % len(kinds)]](path.read_bytes()))
        assert_as_unchanged(field.analyze(folder))


@pytest.mark.parametrize("where", ["instance", "series and study"])
def test_uids_with_leading_zeros_are_used_as_received(where, tmp_path):
    folder = field.phantom(tmp_path)
    new = {}
    for n, (path, d) in enumerate(field.all_ct(folder)):
        if where == "instance":
            new[str(d.SOPInstanceUID)] = d.SOPInstanceUID = f"1.2.392.200036.0{n:04d}.007"
            d.file_meta.MediaStorageSOPInstanceUID = d.SOPInstanceUID
        else:
            new[str(d.SeriesInstanceUID)] = d.SeriesInstanceUID = f"1.2.392.2.{str(d.SeriesNumber).zfill(4)}.01"
            new[str(d.StudyInstanceUID)] = d.StudyInstanceUID = "1.2.392.200036.09.0001"
        d.save_as(path)
    roi = pydicom.dcmread(field.roi_path(folder))
    for element in roi.iterall():
        if element.VR == "UI" and str(element.value) in new:
            element.value = new[str(element.value)]
    roi.save_as(field.roi_path(folder))
    result = field.analyze(folder)
    assert_as_unchanged(result)
    reports = [pydicom.dcmread(p) for p in result.output.rglob("*.dcm")]
    named = {str(e.value) for r in reports for e in r.iterall() if e.VR == "UI"}
    assert reports and named & set(new.values())


def test_excess_pixel_bytes_are_ignored(tmp_path):
    folder = field.phantom(tmp_path)
    for n, (path, d) in enumerate(field.all_ct(folder)):
        d.PixelData += (b"\0" if n % 2 else b"\xa5") * [2, 16, 510, 4096][n % 4]
        d.save_as(path)
    assert_as_unchanged(field.analyze(folder))


def test_a_further_frames_worth_of_pixels_is_no_filler(tmp_path):
    folder = field.phantom(tmp_path)
    for path, d in field.ct(folder, "art"):
        d.PixelData += d.PixelData
        d.save_as(path)
    result = field.analyze(folder)
    assert result.status == 1 and "bytes of pixel data" in result.text, result


def test_compressed_pixels_without_their_end_are_read(tmp_path):
    folder = field.phantom(tmp_path)
    for n, (path, d) in enumerate(field.all_ct(folder)):
        d.compress(pydicom.uid.RLELossless, generate_instance_uid=False)
        d.save_as(path)
        data = pathlib.Path(path).read_bytes()
        assert data[-8:-4] == b"\xfe\xff\xdd\xe0"
        pathlib.Path(path).write_bytes(data[:-8] + [b"", bytes(8), bytes(24), b"\xff" * 16][n % 4])
    assert_as_unchanged(field.analyze(folder))


def test_a_directory_and_bad_files_beside_the_study_end_nothing(tmp_path):
    folder = field.phantom(tmp_path)
    from pydicom.fileset import FileSet
    files = FileSet()
    for path in folder.rglob("*.dcm"):
        files.add(path)
    files.write(tmp_path / "cd")
    (tmp_path / "cd" / "README.TXT").write_text("exported images")
    (tmp_path / "cd" / "empty").touch()
    assert (tmp_path / "cd" / "DICOMDIR").exists()
    assert_as_unchanged(field.analyze(tmp_path / "cd"))
    (tmp_path / "cd" / "bad.dcm").write_bytes(bytes(128) + b"DICM" + b"\x02\x00\x10\x00UI\x04\x001.2\x00garbage")
    result = field.analyze(tmp_path / "cd")
    assert_as_unchanged(result)
    assert "bad.dcm cannot be read" in result.note, result


def test_an_unreadable_image_is_named(tmp_path):
    folder = field.phantom(tmp_path)
    path, d = field.ct(folder, "pv")[2]
    data = pathlib.Path(path).read_bytes()
    pathlib.Path(path).write_bytes(data[:-2000])
    result = field.analyze(folder)
    said = f"image {d.InstanceNumber} of series {d.SeriesNumber} cannot be read"
    assert result.result is not None and said in result.note + result.text, result


def test_an_unreadable_region_refuses_its_study_and_no_other(tmp_path):
    folder = field.phantom(tmp_path / "a")
    other = field.phantom(tmp_path / "b", seed=20314)
    roi = pathlib.Path(field.roi_path(folder))
    data = roi.read_bytes()
    roi.write_bytes(data[:-300])
    shutil.copytree(other, folder / "other")
    result = field.analyze(folder)
    assert result.status == 1
    assert "RT Structure Set" in result.text and "cannot be read" in result.text, result
    assert result.text.count(": done") == 1, result


def test_private_bytes_that_begin_like_an_item_in_implicit_vr(tmp_path):
    folder = field.phantom(tmp_path)
    for n, (path, d) in enumerate(field.all_ct(folder)):
        d.file_meta.TransferSyntaxUID = pydicom.uid.ImplicitVRLittleEndian
        d.save_as(path, implicit_vr=True, little_endian=True)
        data = pathlib.Path(path).read_bytes()
        value = b"\xfe\xff\x00\xe0" + [b"\xff\xff\x00\x00", b"\x10\0\0\0", b"\xff" * 4][n % 3] + b"ABCDEFGH"
        at = data.index(b"\x10\x00\x10\x00")
        data = data[:at] + struct.pack("<HHI", 0x0009, 0x1010, len(value)) + value + data[at:]
        pathlib.Path(path).write_bytes(data)
    assert_as_unchanged(field.analyze(folder))


def test_words_of_wrong_character_sets_are_kept(tmp_path):
    folder = field.phantom(tmp_path)
    texts = {"nc": ("nativ, sp\xe4t", "latin-1", None), "art": ("Phase art\xe9rielle", "utf-8", "ISO_IR 100"),
             "pv": ("\u95e8\u9759\u8109\u671f PV", "gb18030", None)}
    for phase, (text, coding, character_set) in texts.items():
        raw = text.encode(coding)
        stand_in = b"X" * (len(raw) + len(raw) % 2)
        for path, d in field.ct(folder, phase):
            d.SeriesDescription = stand_in.decode()
            d.pop("SpecificCharacterSet", None)
            if character_set is not None:
                d.SpecificCharacterSet = character_set
            d.save_as(path)
            data = pathlib.Path(path).read_bytes()
            assert stand_in in data
            pathlib.Path(path).write_bytes(data.replace(stand_in, raw.ljust(len(stand_in))))
    result = field.analyze(folder)
    assert {text for text, _, _ in texts.values()} <= {s["series_description"] for s in result.result["series"]}, result


def test_lossless_jpeg_without_its_end_mark_is_read(tmp_path):
    folder = field.phantom(tmp_path)
    for n, (path, _) in enumerate(field.all_ct(folder)):
        subprocess.run(["dcmcjpeg", "+el" if n % 2 else "+e1", path, path], check=True)
        d = pydicom.dcmread(path)
        frame = next(pydicom.encaps.generate_frames(d.PixelData, number_of_frames=1))
        end = frame.rindex(b"\xff\xd9")
        d.PixelData = pydicom.encaps.encapsulate([frame[:end]])
        d.save_as(path)
    assert_as_unchanged(field.analyze(folder))
