"""Whole studies as routers send them, and connections of those whom nobody knows."""

import copy
import pathlib
import socket
import subprocess
import time

import pydicom
import pynetdicom
import pytest
from pydicom.uid import generate_uid
from pynetdicom.sop_class import CTImageStorage, Verification

import dicom_io
import field
import harness

EXPLICIT = "1.2.840.10008.1.2.1"
OTHER_CLASSES = {
    "capture": "1.2.840.10008.5.1.4.1.1.7", "colour capture": "1.2.840.10008.5.1.4.1.1.7.4",
    "dose": "1.2.840.10008.5.1.4.1.1.88.67", "raw": "1.2.840.10008.5.1.4.1.1.66",
    "pdf": "1.2.840.10008.5.1.4.1.1.104.1", "colour state": "1.2.840.10008.5.1.4.1.1.11.2",
    "plan": "1.2.840.10008.5.1.4.1.1.481.5", "registration": "1.2.840.10008.5.1.4.1.1.66.1",
    "siemens": "1.3.12.2.1107.5.9.1",
}


def other_objects(folder, target):
    source = field.ct(folder, "nc")[0][1]
    target.mkdir()
    for name, uid in OTHER_CLASSES.items():
        d = copy.deepcopy(source)
        d.SOPClassUID = d.file_meta.MediaStorageSOPClassUID = uid
        d.SOPInstanceUID = d.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        d.SeriesInstanceUID = generate_uid()
        d.Modality = "OT"
        d.save_as(target / f"{name}.dcm")
    return sorted(target.glob("*.dcm"))


def make_node(tmp_path, **reception):
    return harness.Node(tmp_path / "node", harness.free_port(), overrides={"reception": reception})


def stored(node):
    return sorted((node.folder / "state" / "objects").rglob("*.dcm"))


def test_a_whole_study_is_taken_and_its_further_objects_are_not_used(tmp_path):
    folder = field.phantom(tmp_path)
    others = other_objects(folder, tmp_path / "others")
    used = [path for path, _ in field.all_ct(folder)] + [field.roi_path(folder)]
    node = make_node(tmp_path).start()
    try:
        harness.send(others[:4] + used + others[4:], node.port)
        harness.wait_until(lambda: len(stored(node)) == len(used) + len(others), 60, "all objects in the store")
        harness.wait_until(lambda: [s["state"] for s in node.table("studies")["studies"]] == ["done"], 120, "the study's result")
        jobs = len(node.table("jobs")["jobs"])
        late = pydicom.dcmread(others[0])
        late.SOPInstanceUID = late.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        late.save_as(tmp_path / "late.dcm")
        harness.send([tmp_path / "late.dcm"], node.port)
        harness.wait_until(lambda: len(stored(node)) == len(used) + len(others) + 1, 60, "the late object in the store")
        time.sleep(2.5)  # longer than settle_seconds
        assert len(node.table("jobs")["jobs"]) == jobs and [s["state"] for s in node.table("studies")["studies"]] == ["done"]
    finally:
        node.remove()


@pytest.mark.parametrize("classes, objects, accepted, kept", [
    ("", "store", set(), set()),
    ("standard", "store", set(OTHER_CLASSES) - {"siemens"}, set(OTHER_CLASSES) - {"siemens"}),
    ("all", "discard", set(OTHER_CLASSES), set()),
    ("1.2.840.10008.5.1.4.1.1.88.67, 1.3.12.2.1107.5.9.1", "store", {"dose", "siemens"}, {"dose", "siemens"}),
])
def test_further_classes_by_configuration(classes, objects, accepted, kept, tmp_path):
    folder = field.phantom(tmp_path)
    others = other_objects(folder, tmp_path / "others")
    image = field.ct(folder, "nc")[0][0]
    node = make_node(tmp_path, other_classes=classes, other_objects=objects).start()
    try:
        entity = pynetdicom.AE(harness.MODALITY_AET)
        for uid in OTHER_CLASSES.values():
            entity.add_requested_context(uid, EXPLICIT)
        entity.add_requested_context(CTImageStorage, EXPLICIT)
        association = entity.associate("127.0.0.1", node.port, ae_title=harness.NODE_AET)
        taken = {c.abstract_syntax for c in association.accepted_contexts}
        association.release()
        assert {name for name, uid in OTHER_CLASSES.items() if uid in taken} == accepted
        harness.send([p for p in others if p.stem in accepted] + [image], node.port)
        harness.wait_until(lambda: len(stored(node)) == len(kept) + 1, 60, "the kept objects in the store")
    finally:
        node.remove()


def test_odd_objects_are_stored_bit_for_bit_and_hopeless_ones_refused_with_a_reason(tmp_path):
    folder = field.phantom(tmp_path)
    source = pathlib.Path(field.ct(folder, "nc")[0][0])
    data = source.read_bytes()
    at = data.index(b"\x28\x00\x10\x00US")
    variants = {
        "vr": data[:at] + b"\x21\x00\x10\x10??\x04\x00ABCD" + data[at:],
        "zeros": data + bytes(512),
        "cut": data[:-1000],  # stored, though nobody can read it
    }
    node = make_node(tmp_path).start()
    try:
        for n, (name, changed) in enumerate(variants.items()):
            path = tmp_path / f"{name}.dcm"
            path.write_bytes(changed)
            assert dicom_io.send_raw(str(path), node.port, harness.NODE_AET, harness.MODALITY_AET) == 0x0000, name
            harness.wait_until(lambda: len(stored(node)) == n + 1, 30, f"{name} in the store")
            assert any(dicom_io.dataset_bytes(p) == dicom_io.dataset_bytes(path) for p in stored(node)), name
        assert "event=object-not-readable" in node.log()
        d = pydicom.dcmread(source)
        del d.StudyInstanceUID
        d.save_as(tmp_path / "nobody.dcm")
        pynetdicom._config.STORE_SEND_CHUNKED_DATASET = True
        entity = pynetdicom.AE(harness.MODALITY_AET)
        entity.add_requested_context(CTImageStorage, EXPLICIT)
        association = entity.associate("127.0.0.1", node.port, ae_title=harness.NODE_AET)
        answer = association.send_c_store(str(tmp_path / "nobody.dcm"))
        association.release()
        assert answer.Status == 0xC000 and "Study Instance UID" in answer.ErrorComment
    finally:
        node.remove()


def test_associations_with_every_kind_of_negotiation(tmp_path):
    node = make_node(tmp_path).start()
    try:
        for kind in ("role", "window", "extended", "identity"):
            entity = pynetdicom.AE(harness.MODALITY_AET)
            entity.add_requested_context(CTImageStorage, EXPLICIT)
            entity.add_requested_context(Verification)
            items = []
            if kind == "role":
                items.append(pynetdicom.build_role(CTImageStorage, scu_role=True, scp_role=True))
            elif kind == "window":
                items.append(pynetdicom.pdu_primitives.AsynchronousOperationsWindowNegotiation())
                items[0].maximum_number_operations_invoked = items[0].maximum_number_operations_performed = 5
            elif kind == "extended":
                items.append(pynetdicom.pdu_primitives.SOPClassExtendedNegotiation())
                items[0].sop_class_uid = CTImageStorage
                items[0].service_class_application_information = b"\x02\x01\x00\x00\x00\x00"
                items.append(pynetdicom.pdu_primitives.SOPClassCommonExtendedNegotiation())
                items[1].sop_class_uid = CTImageStorage
                items[1].service_class_uid = "1.2.840.10008.4.2"
            else:
                items.append(pynetdicom.pdu_primitives.UserIdentityNegotiation())
                items[0].user_identity_type, items[0].primary_field = 1, b"user"
                items[0].positive_response_requested = True
            association = entity.associate("127.0.0.1", node.port, ae_title=harness.NODE_AET, ext_neg=items)
            assert association.is_established, kind
            assert association.send_c_echo().Status == 0x0000, kind
            roles = {c.abstract_syntax: (c.as_scu, c.as_scp) for c in association.accepted_contexts}
            assert roles[CTImageStorage] == (True, False), kind
            association.release()
    finally:
        node.remove()


def test_strangers_lock_nobody_out(tmp_path):
    node = make_node(tmp_path, max_associations=16).start()
    held = []
    try:
        for n in range(80):
            stranger = socket.socket()
            stranger.bind((f"127.0.3.{n // 8 + 1}", 0))
            stranger.settimeout(2)
            stranger.connect(("127.0.0.1", node.port))
            held.append(stranger)
        for _ in range(5):
            echo = subprocess.run(["echoscu", "-to", "5", "-aet", harness.MODALITY_AET, "-aec", harness.NODE_AET,
                                   "127.0.0.1", str(node.port)], capture_output=True, text=True)
            assert echo.returncode == 0, echo.stderr
        open_ones = 0
        for stranger in held:
            stranger.settimeout(0.05)
            try:
                open_ones += stranger.recv(1) != b""
            except TimeoutError:
                open_ones += 1
            except OSError:
                pass
        assert open_ones <= 8  # all of them together
    finally:
        for stranger in held:
            stranger.close()
        node.remove()
