"""The node in parts, each role a process of its own, so that one of them alone meets faults: sender, PACS and, where the
analysis itself is not what is tried, a worker of a few lines."""

import hashlib
import io
import json
import os
import pathlib
import random
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "system"))

import pydicom  # noqa: E402
import pynetdicom  # noqa: E402
from pydicom.uid import ExplicitVRLittleEndian  # noqa: E402

import dicom_io  # noqa: E402
import harness  # noqa: E402
from control import Control  # noqa: E402

SHIM = pathlib.Path(os.environ.get("LVN_FAULT_SHIM", harness.ROOT / "build/release/tests/faults/lvn_faults.so"))
PHANTOM = ("--class", "hcc", "--seed", 9001, "--matrix", 64, "--coverage", 60, "--slice-thickness", 5, "--lesions", 1,
           "--diameter", 30)
STORED_CLASSES = (harness.SR_CLASS, harness.SC_CLASS)
PEER_SECONDS = 30


def dataset_of(data):
    """What follows the meta header of a Part 10 file's bytes."""
    return data[144 + int.from_bytes(data[140:144], "little"):]


class Template:
    """One small phantom study; each round gets a copy under UIDs of its own."""

    def __init__(self, folder, is_whole):
        study = harness.phantom(folder, *PHANTOM)
        self.study_uid = harness.study_uid_of(study)
        names = sorted(study.rglob("*.dcm"))
        if not is_whole:  # the first slice of each series and the ROI: what a scripted worker needs
            names = [n for n in names if n.name in ("0001.dcm", "rtstruct.dcm")]
        self.files = {str(n.relative_to(study)): n.read_bytes() for n in names}
        self.uids = sorted({u for data in self.files.values() for u in re.findall(rb"2\.25\.\d{20,39}", data)}, key=len,
                           reverse=True)

    def copy(self, number):
        """(study UID, {name: bytes}). The UIDs keep their lengths, so that nothing else of the files changes."""
        digits = {u: u[:-9] + b"%09d" % random.Random(f"{number} {u.decode()}").randrange(10 ** 9) for u in self.uids}
        pattern = re.compile(b"|".join(re.escape(u) for u in self.uids))
        files = {name: pattern.sub(lambda m: digits[m.group()], data) for name, data in self.files.items()}
        return digits[self.study_uid.encode()].decode(), files


def send(files, port, folder):
    """{name: DIMSE status, or None where none came}, each object as it is, over one association."""
    pynetdicom._config.STORE_SEND_CHUNKED_DATASET = True
    statuses = dict.fromkeys(files)
    paths = {}
    for name, data in files.items():
        paths[name] = pathlib.Path(folder) / name.replace("/", "-")
        paths[name].write_bytes(data)
    entity = pynetdicom.AE(ae_title=harness.MODALITY_AET)
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = entity.connection_timeout = PEER_SECONDS
    for sop_class in sorted({str(pydicom.filereader.read_file_meta_info(str(p)).MediaStorageSOPClassUID)
                             for p in paths.values()}):
        entity.add_requested_context(sop_class, ExplicitVRLittleEndian)
    association = entity.associate("127.0.0.1", port, ae_title=harness.NODE_AET)
    for name, path in paths.items():
        if not association.is_established:
            break
        try:
            statuses[name] = association.send_c_store(str(path)).get("Status")
        except (RuntimeError, ValueError):
            break
    if association.is_established:
        association.release()
    for path in paths.values():
        path.unlink()
    return statuses


class Pacs:
    """Takes the results and counts them: {study UID: {SOP instance UID: (SOP class UID, [digest of each copy])}}."""

    def __init__(self):
        self.port = harness.free_port()
        self.received = {}
        self.lock = threading.Lock()
        entity = pynetdicom.AE(ae_title=harness.PACS_AET)
        for sop_class in STORED_CLASSES + ("1.2.840.10008.1.1",):
            entity.add_supported_context(sop_class, [ExplicitVRLittleEndian, "1.2.840.10008.1.2"])
        self.server = entity.start_server(("127.0.0.1", self.port), block=False,
                                          evt_handlers=[(pynetdicom.evt.EVT_C_STORE, self._store)])

    def _store(self, event):
        data = event.request.DataSet.getvalue()
        found = pydicom.dcmread(io.BytesIO(data), force=True, specific_tags=["StudyInstanceUID"])
        if "StudyInstanceUID" not in found:
            found = event.dataset
        with self.lock:
            study = self.received.setdefault(str(found.StudyInstanceUID), {})
            copies = study.setdefault(str(event.request.AffectedSOPInstanceUID),
                                      (str(event.request.AffectedSOPClassUID), []))
            copies[1].append(hashlib.sha256(data).hexdigest())
        return 0x0000

    def results(self, study_uid):
        with self.lock:
            return dict(self.received.get(study_uid, {}))

    def stop(self):
        self.server.shutdown()


class ScriptedWorker(threading.Thread):
    """Answers each job with a report and a capture whose UIDs follow from the job, as the real worker does."""

    def __init__(self, path):
        super().__init__(daemon=True)
        self.path = str(path)
        self.is_stopped = False

    def run(self):
        while not self.is_stopped:
            try:
                with socket.socket(socket.AF_UNIX) as link:
                    link.connect(self.path)
                    self._serve(link)
            except (OSError, ValueError):
                pass
            time.sleep(0.1)

    def _serve(self, link):
        hello = {"pid": os.getpid(), "model_name": "scripted", "model_version": "1", "model_digest": "ab" * 32,
                 "device": "cpu"}
        link.sendall(json.dumps({"hello": hello}).encode() + b"\n")
        for line in link.makefile("rb"):
            job = json.loads(line)["job"]
            try:
                answer = {"done": {"job_id": job["job_id"], "outcome": "done", "status_message": "",
                                   "objects": self._results(job)}}
            except OSError as error:
                answer = {"failed": {"job_id": job["job_id"], "code": "io", "transient": True, "message": str(error)}}
            link.sendall(json.dumps(answer).encode() + b"\n")

    @staticmethod
    def _results(job):
        folder = pathlib.Path(job["output_folder"])
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for half_written in folder.glob("*.tmp-*"):
            half_written.unlink()
        source = pydicom.dcmread(job["paths"][0], stop_before_pixels=True)
        objects = []
        for number, sop_class in enumerate(STORED_CLASSES):
            result = pydicom.Dataset()
            result.SOPClassUID = sop_class
            uid = int(hashlib.sha256(f"{job['job_key']} {number}".encode()).hexdigest()[:30], 16)
            result.SOPInstanceUID = f"2.25.{uid}"
            result.StudyInstanceUID = source.StudyInstanceUID
            result.SeriesInstanceUID = f"2.25.{uid + 1}"
            result.Modality = "SR" if number == 0 else "OT"
            result.PatientID = source.PatientID
            result.file_meta = pydicom.dataset.FileMetaDataset()
            result.file_meta.MediaStorageSOPClassUID = sop_class
            result.file_meta.MediaStorageSOPInstanceUID = result.SOPInstanceUID
            result.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
            path = folder / f"result-{number}.dcm"
            result.save_as(path, enforce_file_format=True)
            objects.append({"path": str(path), "sop_class_uid": sop_class, "sop_instance_uid": result.SOPInstanceUID})
        return objects


class Role:
    """livervlmd with one role of the node, faults preloaded when it has a control."""

    def __init__(self, node, name, control=None):
        self.node, self.name, self.control = node, name, control
        self.log_path = node.folder / f"{name}.log"
        self.process = None

    def start(self):
        environment = self.control.environment(SHIM) if self.control else None
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen([str(harness.BIN / "livervlmd"), "--config", str(self.node.config), "--role",
                                             self.name], stdout=log, stderr=log, env=environment)

    def stop(self):
        if self.process is not None:
            self.process.terminate()
            try:
                self.process.wait(60)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(30)
            self.process = None

    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""


class Site:
    """A node whose role `faulty` meets faults. The worker is scripted unless it is the faulty one."""

    THREADS = {"receiver": ("lvn-receiver", "lvn-assoc"), "pipeline": ("lvn-pipeline",), "worker": ("lvn-worker",)}

    def __init__(self, folder, faulty):
        self.folder = pathlib.Path(folder)
        self.faulty = faulty
        self.outbox = self.folder / "sent"
        self.outbox.mkdir(parents=True)
        self.pacs = Pacs()
        self.node = harness.Node(self.folder / "node", harness.free_port(), self.pacs.port, {
            "reception": {"spool_low_water_bytes": 0, "spool_reserve_bytes": 0},
            "analysis": {"job_seconds_max": 12},
            "outbound": {"retry_first_seconds": 1, "retry_max_seconds": 2}})
        self.state = self.node.folder / "state"
        self.control = Control(self.folder / "control", self.THREADS[faulty], self.state)
        names = ("receiver", "pipeline") + (("worker",) if faulty == "worker" else ())
        self.roles = {n: Role(self.node, n, self.control if n == faulty else None) for n in names}
        self.scripted = None
        if faulty != "worker":
            self.scripted = ScriptedWorker(self.node.run_folder / "worker.sock")
            self.scripted.start()

    def start(self):
        for role in self.roles.values():
            role.start()
        self.wait_ready()
        return self

    def wait_ready(self):
        harness.wait_until(lambda: self.is_ready(), 120, "the node being ready")

    def is_ready(self):
        """Listening, healthy, with a worker where there is one."""
        if not harness.port_is_open(self.node.port) or self.health() != "ok":
            return False
        return len(self.ask("status").get("workers", [])) > 0

    def restart_faulty(self):
        role = self.roles[self.faulty]
        role.stop()
        role.start()

    def start_ended(self):
        """What a service manager does with a process that ended."""
        ended = [r for r in self.roles.values() if r.process.poll() is not None]
        for role in ended:
            role.start()
        return len(ended)

    def stop(self):
        self.control.disarm()
        if self.scripted:
            self.scripted.is_stopped = True
        for role in reversed(self.roles.values()):
            role.stop()
        if self.pacs:
            self.pacs.stop()
            self.pacs = None
        self.node.remove()

    def ask(self, command, **words):
        """The control socket's answer; {} when it gives none."""
        try:
            with socket.socket(socket.AF_UNIX) as link:
                link.settimeout(20)
                link.connect(str(self.node.run_folder / "control.sock"))
                link.sendall(json.dumps({"command": command, **words}).encode() + b"\n")
                return json.loads(link.makefile("rb").readline() or b"{}")
        except (OSError, ValueError):
            return {}

    def health(self):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.node.web_port}/health", timeout=20) as answer:
                return answer.read().decode().strip()
        except urllib.error.HTTPError as error:
            return error.read().decode().strip()
        except OSError as error:
            return str(error)

    def log_marks(self):
        return {name: len(role.log()) for name, role in self.roles.items()}

    def logs_since(self, marks):
        return "".join(role.log()[marks.get(name, 0):] for name, role in self.roles.items())

    def remove(self):
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


__all__ = ["Site", "Template", "dataset_of", "dicom_io", "harness", "send"]
