"""What a node does while its disk is full, its clock is set and its PACS has bad moments: it says so, and goes on by
itself when that is over, without a restart or a command."""

import os
import pathlib
import subprocess
import threading
import urllib.error
import urllib.request

import pydicom
import pynetdicom
import pytest
from pynetdicom.sop_class import Comprehensive3DSRStorage, SecondaryCaptureImageStorage

import harness
from harness import wait_until

FAKETIME = pathlib.Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1")
SMALL = ("--class", "hcc", "--matrix", "64", "--coverage", "60", "--slice-thickness", "5", "--lesions", "1", "--diameter",
         "30")
STORED = 0x0000


class Pacs:
    """A storage SCP that answers what `status(attempt)` says, where `attempt` counts from 1 for each object."""

    def __init__(self):
        self.port = harness.free_port()
        self.status = lambda attempt: STORED
        self.attempts = {}
        self.stored = {}
        self.lock = threading.Lock()
        entity = pynetdicom.AE(ae_title=harness.PACS_AET)
        for sop_class in (Comprehensive3DSRStorage, SecondaryCaptureImageStorage):
            entity.add_supported_context(sop_class)
        self.server = entity.start_server(("127.0.0.1", self.port), block=False,
                                          evt_handlers=[(pynetdicom.evt.EVT_C_STORE, self.on_store)])

    def on_store(self, event):
        uid = str(event.request.AffectedSOPInstanceUID)
        with self.lock:
            self.attempts[uid] = attempt = self.attempts.get(uid, 0) + 1
        status = self.status(attempt)
        if status == STORED:
            with self.lock:
                self.stored.setdefault(str(event.dataset.StudyInstanceUID), []).append(uid)
        return status

    def count(self, study_uid):
        return len(self.stored.get(study_uid, []))

    def reset(self):
        self.status = lambda attempt: STORED
        self.attempts.clear()


class Site:
    """One node and its PACS; phantom studies by number."""

    def __init__(self, folder, environment=None, **overrides):
        self.folder = folder
        self.pacs = Pacs()
        sections = {"outbound": {"retry_first_seconds": 1, "retry_max_seconds": 2, "retry_count_max": 3},
                    "reception": {"spool_low_water_bytes": 0, "spool_reserve_bytes": 0, "spool_warning_bytes": 0}}
        sections.update(overrides)
        sections["analysis"] = {"model_package": harness.PACKAGE, "device": "cpu", "threads": 1}
        self.node = harness.Node(folder, harness.free_port(), self.pacs.port, sections)
        usual = dict(os.environ)
        os.environ.update(environment or {})
        try:
            self.node.start()
        finally:
            os.environ.clear()
            os.environ.update(usual)

    def study(self, seed):
        folder = harness.phantom(self.folder / f"study-{seed}", "--seed", str(seed), *SMALL)
        return harness.study_uid_of(folder), sorted(folder.rglob("*.dcm"))

    def send(self, files):
        harness.send(files, self.node.port)

    def health(self):
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.node.web_port}/health", timeout=10) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def waits_for_health(self, status, words):
        return wait_until(lambda: (lambda h: h[0] == status and words in h[1] and h)(self.health()), 20,
                          f"/health {status} '{words}' (is {self.health()})")

    def waits_for_results(self, study_uid, count=2):
        wait_until(lambda: self.pacs.count(study_uid) >= count, 40, f"{count} results at the PACS")

    def states(self, table):
        return [row["state"] for row in self.node.table(table)[table]]

    def close(self):
        self.node.remove()
        self.pacs.server.shutdown()


class FullDisk:
    """The file system of the node's state, full to the last byte for as long as this lasts."""

    def __init__(self, state_folder):
        self.filler = pathlib.Path(state_folder) / "filler"

    def __enter__(self):
        with open(self.filler, "wb", buffering=0) as file:
            for size in (1 << 20, 4096, 1):
                try:
                    while file.write(b"x" * size) == size:
                        pass
                except OSError:
                    pass

    def __exit__(self, *ignored):
        self.filler.unlink()


@pytest.fixture(scope="module")
def small_site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("small")
    state = folder / "state"
    state.mkdir(mode=0o700)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=40m,mode=0700", "tmpfs", state], check=False,
                      capture_output=True).returncode != 0:
        pytest.skip("a tmpfs cannot be mounted here")
    site = Site(folder)
    yield site
    site.close()
    subprocess.run(["umount", state], check=True)


def test_disk_full_as_an_analysis_ends(small_site):
    study_uid, files = small_site.study(401)
    small_site.send(files)
    wait_until(lambda: "event=job-started" in small_site.node.log(), 30, "a job", 0.01)
    with FullDisk(small_site.node.folder / "state"):
        wait_until(lambda: "event=job-not-recorded" in small_site.node.log(), 30, "an outcome")
        small_site.waits_for_health(503, "cannot be recorded")
        assert small_site.pacs.count(study_uid) == 0
    small_site.waits_for_results(study_uid)
    assert small_site.states("studies") == ["done"]
    assert small_site.node.table("jobs")["jobs"][0]["attempt"] == 1
    small_site.waits_for_health(200, "ok")


def test_disk_full_as_the_pacs_answers(small_site):
    study_uid, files = small_site.study(402)
    disk_is_full = threading.Event()
    small_site.pacs.reset()
    small_site.pacs.status = lambda attempt: STORED if disk_is_full.wait(20) else 0xA700
    small_site.send(files)
    wait_until(lambda: small_site.pacs.attempts, 30, "a send")
    with FullDisk(small_site.node.folder / "state"):
        disk_is_full.set()
        small_site.waits_for_health(503, "cannot be recorded")
    small_site.waits_for_results(study_uid)
    wait_until(lambda: set(small_site.states("outbound")) == {"sent"}, 20, "sent")
    assert set(small_site.pacs.attempts.values()) == {1}  # nothing was sent twice
    small_site.waits_for_health(200, "ok")


def test_statuses_of_the_pacs(small_site):
    small_site.pacs.reset()
    small_site.pacs.status = lambda attempt: STORED if attempt == 3 else (0x0110, 0x0213)[attempt - 1]
    passing_uid, files = small_site.study(403)
    small_site.send(files)
    small_site.waits_for_results(passing_uid)
    wait_until(lambda: set(small_site.states("outbound")) == {"sent"}, 20, "sent")
    small_site.pacs.reset()
    small_site.pacs.status = lambda attempt: 0x0111  # it has them already
    small_site.send(small_site.study(404)[1])
    wait_until(lambda: len(small_site.states("outbound")) == 8, 30, "two more results")
    wait_until(lambda: set(small_site.states("outbound")) == {"sent"}, 20, "sent")
    assert small_site.health()[1] == "ok\n"
    small_site.pacs.status = lambda attempt: 0xC001
    small_site.send(small_site.study(405)[1])
    wait_until(lambda: small_site.states("outbound").count("failed") == 2, 30, "failures")
    small_site.waits_for_health(200, "ok\n2 results could not be delivered")
    assert "2 results could not be delivered" in small_site.node.cli("status").stdout
    small_site.pacs.reset()
    small_site.node.cli("retry", "--failed-outbound")
    wait_until(lambda: set(small_site.states("outbound")) == {"sent"}, 20, "sent")
    wait_until(lambda: small_site.health()[1] == "ok\n", 20, "health")


@pytest.fixture(scope="module")
def clock_site(tmp_path_factory):
    if not FAKETIME.exists():
        pytest.skip("libfaketime is not installed")
    folder = tmp_path_factory.mktemp("clock")
    clock = folder / "clock"
    clock.write_text("+0")
    site = Site(folder, {"LD_PRELOAD": str(FAKETIME), "FAKETIME_TIMESTAMP_FILE": str(clock), "FAKETIME_NO_CACHE": "1",
                         "FAKETIME_DONT_FAKE_MONOTONIC": "1", "FAKETIME_DONT_RESET": "1"},
                assembly={"settle_seconds": 3})
    site.set_clock = clock.write_text
    yield site
    site.close()


def corrected_roi(site, path):
    """The ROI under the same UIDs, moved by a few millimetres."""
    dataset = pydicom.dcmread(path)
    for roi in dataset.ROIContourSequence:
        for contour in roi.ContourSequence:
            contour.ContourData = [float(v) + (4 if i % 3 == 0 else 0) for i, v in enumerate(contour.ContourData)]
    target = site.folder / f"corrected-{path.name}"
    dataset.save_as(target, enforce_file_format=True)
    return target


def test_clock_set_back_ignores_no_correction(clock_site):
    study_uid, files = clock_site.study(411)
    clock_site.send(files)
    clock_site.waits_for_results(study_uid)
    roi = next(path for path in files if path.parent.name == "roi")
    for count, offset in ((4, "-10"), (6, "-86400")):
        clock_site.set_clock(offset)
        clock_site.send([corrected_roi(clock_site, roi)])
        roi = clock_site.folder / f"corrected-{roi.name}"
        clock_site.waits_for_results(study_uid, count)
    assert len(set(clock_site.pacs.stored[study_uid])) == 6
    assert "event=older-version" not in clock_site.node.log()


@pytest.mark.parametrize("seed, before, after", [(412, "+0", "-7200"), (413, "+0", "+12y")])
def test_clock_that_is_set_stops_nothing(clock_site, seed, before, after):
    """It is set between the halves of a study, and again when the PACS has answered that it is busy."""
    clock_site.set_clock(before)
    clock_site.pacs.reset()
    study_uid, files = clock_site.study(seed)
    clock_site.send(files[:20])
    clock_site.set_clock(after)
    clock_site.pacs.status = lambda attempt: 0xA700 if attempt == 1 else STORED
    clock_site.send(files[20:])
    wait_until(lambda: clock_site.pacs.attempts, 40, "a first send")
    clock_site.set_clock(before)
    clock_site.waits_for_results(study_uid)
    text = urllib.request.urlopen(f"http://127.0.0.1:{clock_site.node.web_port}/metrics", timeout=10).read().decode()
    objects = next(line for line in text.splitlines() if line.startswith("livervlm_objects "))
    assert int(objects.split()[1]) >= 80  # published since, not frozen
    assert clock_site.health()[0] == 200
