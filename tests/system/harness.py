"""Real programs for the system tests: Orthanc as the PACS and the node beside it, on loopback, in folders of their own."""

import atexit
import base64
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
BIN = pathlib.Path(os.environ.get("LVN_BIN", ROOT / "build" / "release" / "bin"))
PACKAGE = ROOT / "model" / "packages" / "demo-phantom-2.0.0"
NODE_AET = "LIVERVLM"
PACS_AET = "PACS"
MODALITY_AET = "CT1"
SR_CLASS = "1.2.840.10008.5.1.4.1.1.88.34"
SC_CLASS = "1.2.840.10008.5.1.4.1.1.7"


def sample_data():
    """Folder of real DICOM samples, or None: LVN_SAMPLE_DATA, else shared/data/dicom beside the checkout."""
    given = os.environ.get("LVN_SAMPLE_DATA")
    folder = pathlib.Path(given) if given else ROOT.parent / "shared" / "data" / "dicom"
    return folder if folder.is_dir() else None


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until(condition, seconds, what, interval=0.1):
    """The first true value of condition(); AssertionError naming `what` when the time is over."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(interval)


def port_is_open(port):
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def run(*command, check=True, timeout=300, **options):
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=timeout, **options)
    if check and done.returncode != 0:
        raise AssertionError(f"{' '.join(map(str, command))} -> {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done


class Orthanc:
    """The PACS. Stores what it is sent, answers by REST. `extra` is added to its configuration; `login`
    ("user:password") is wanted where that says so."""

    def __init__(self, folder, node_port, fsync=False, extra=None, login=None):
        self.folder = pathlib.Path(folder)
        self.http_port = free_port()
        self.dicom_port = free_port()
        self.folder.mkdir(parents=True, exist_ok=True)
        configuration = {
            "Name": "pacs", "StorageDirectory": str(self.folder / "db"), "IndexDirectory": str(self.folder / "db"),
            "HttpPort": self.http_port, "DicomPort": self.dicom_port, "DicomAet": PACS_AET,
            "RemoteAccessAllowed": False, "AuthenticationEnabled": False, "DicomCheckCalledAet": True,
            "DicomAlwaysAllowStore": True, "SyncStorageArea": fsync, "StableAge": 1, "Plugins": [],
            "DicomModalities": {"livervlm": [NODE_AET, "127.0.0.1", node_port]},
            "UnknownSopClassAccepted": True, "OverwriteInstances": True,
        }
        configuration.update(extra or {})
        self.headers = {"Authorization": "Basic " + base64.b64encode(login.encode()).decode()} if login else {}
        self.file = self.folder / "orthanc.json"
        self.file.write_text(json.dumps(configuration))
        self.process = None

    def start(self):
        log = open(self.folder / "orthanc.log", "ab")
        self.process = subprocess.Popen(["Orthanc", str(self.file)], stdout=log, stderr=log)
        wait_until(lambda: port_is_open(self.http_port) and port_is_open(self.dicom_port), 60, "Orthanc's ports")
        return self

    def stop(self):
        if self.process is not None:
            self.process.terminate()
            self.process.wait(30)
            self.process = None

    def open(self, path, data=None, accept=None):
        request = urllib.request.Request(f"http://127.0.0.1:{self.http_port}{path}", data=data,
                                         method="GET" if data is None else "POST", headers=self.headers)
        if accept:
            request.add_header("Accept", accept)
        return urllib.request.urlopen(request, timeout=120)

    def get(self, path):
        with self.open(path) as answer:
            return json.loads(answer.read())

    def get_bytes(self, path, accept=None):
        with self.open(path, accept=accept) as answer:
            return answer.read()

    def post(self, path, data):
        body = data if isinstance(data, bytes) else json.dumps(data).encode()
        with self.open(path, data=body) as answer:
            return json.loads(answer.read())

    def instances_of_study(self, study_uid):
        """[(orthanc id, SOP class UID, SOP instance UID)] of one study."""
        found = self.post("/tools/find", {"Level": "Instance", "Query": {"StudyInstanceUID": study_uid}, "Expand": True})
        rows = []
        for item in found:
            sop_class = self.get_bytes(f"/instances/{item['ID']}/metadata/SopClassUid").decode()
            rows.append((item["ID"], sop_class, item["MainDicomTags"]["SOPInstanceUID"]))
        return rows

    def results_of_study(self, study_uid):
        """(SR ids, SC ids) that the node sent for one study."""
        rows = self.instances_of_study(study_uid)
        reports = [i for i, c, _ in rows if c == SR_CLASS and self.is_ours(i)]
        captures = [i for i, c, _ in rows if c == SC_CLASS]
        return reports, captures

    def is_ours(self, instance):
        tags = self.get(f"/instances/{instance}/simplified-tags")
        return tags.get("ManufacturerModelName", "").startswith("Liver-VLM")

    def has_instance(self, sop_instance_uid):
        return bool(self.post("/tools/lookup", sop_instance_uid.encode()))

    def save(self, instance, path):
        pathlib.Path(path).write_bytes(self.get_bytes(f"/instances/{instance}/file"))
        return path


def short_folder():
    """Below the system's temporary folder, since a socket's path has 108 bytes; gone when the tests end, also the
    failed ones."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="lvn-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


class Node:
    """livervlmd with a configuration of its own. `overrides` is {section: {key: value}}."""

    def __init__(self, folder, port, pacs_port=None, overrides=None, package=PACKAGE):
        self.folder = pathlib.Path(folder)
        self.port = port
        self.folder.mkdir(parents=True, exist_ok=True)
        self.run_folder = short_folder()
        self.config = self.folder / "livervlm.ini"
        self.log_path = self.folder / "node.log"
        self.web_port = free_port()
        sections = {
            "node": {"ae_title": NODE_AET, "listen_address": "127.0.0.1", "port": port,
                     "state_folder": self.folder / "state", "run_folder": self.run_folder, "log_level": "debug"},
            "assembly": {"settle_seconds": 1},
            "analysis": {"model_package": package, "device": "cpu"},
            "web": {"web_address": "127.0.0.1", "web_port": self.web_port},
            'peer "modality"': {"aet": MODALITY_AET, "host": "127.0.0.1", "port": 0, "may_send": "yes",
                                "results_to": "pacs", "max_associations": 64},
            'peer "pacs"': {"aet": PACS_AET, "host": "127.0.0.1", "port": pacs_port or free_port(), "may_send": "yes"},
        }
        for section, values in (overrides or {}).items():
            sections.setdefault(section, {}).update(values)
        self.config.write_text("".join(
            f"[{section}]\n" + "".join(f"{key} = {value}\n" for key, value in values.items()) + "\n"
            for section, values in sections.items()))
        self.process = None

    def start(self, *extra):
        log = open(self.log_path, "ab")
        self.process = subprocess.Popen([str(BIN / "livervlmd"), "--config", str(self.config), *extra], stdout=log,
                                        stderr=log)
        wait_until(lambda: self.process.poll() is not None or port_is_open(self.port), 60, "the node's port")
        if "--role" not in extra:  # objects are received before anybody can be asked
            wait_until(lambda: self.process.poll() is not None or (self.run_folder / "control.sock").exists(), 60,
                       "the node's control socket")
        assert self.process.poll() is None, f"the node ended at once:\n{self.log()}"
        return self

    def stop(self, seconds=60):
        """SIGTERM; returns the exit status."""
        status = None
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            status = self.process.wait(seconds)
            self.process = None
        return status

    def kill(self):
        self.process.kill()
        self.process.wait(30)
        self.process = None

    def remove(self):
        if self.process is not None:
            self.stop()
        shutil.rmtree(self.run_folder, ignore_errors=True)

    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def cli(self, *words, check=True):
        return run(BIN / "livervlm", *words, "--config", self.config, check=check)

    def verify_store(self):
        """What `livervlm verify-store` says; AssertionError when it finds a fault."""
        done = self.cli("verify-store", "--json", check=False)
        assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
        return json.loads(done.stdout)

    def table(self, command, *words):
        return json.loads(self.cli(command, *words, "--json").stdout)


def phantom(output, *words):
    """Make phantom studies by the product's own command."""
    run(BIN / "livervlm", "phantom", "--output", output, *words, timeout=600)
    return pathlib.Path(output)


def send(folder_or_files, port, called=NODE_AET, calling=MODALITY_AET, check=True):
    """C-STORE by DCMTK's dcmsend, one association, compressed objects as they are."""
    files = [folder_or_files] if isinstance(folder_or_files, (str, pathlib.Path)) else list(folder_or_files)
    command = ["dcmsend", "--aetitle", calling, "--call", called, "--decompress-never", "--no-halt", "--no-uid-checks"]
    if len(files) == 1 and pathlib.Path(files[0]).is_dir():
        command += ["--scan-directories", "--recurse", "--scan-pattern", "*.dcm"]
    return run(*command, "127.0.0.1", port, *files, check=check, timeout=600)


def study_uid_of(folder):
    return json.loads((pathlib.Path(folder) / "truth.json").read_text())["study_instance_uid"]
