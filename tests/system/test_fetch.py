"""What a study lacks is fetched from real archives: Orthanc (C-MOVE, C-GET), DCMTK's dcmqrscp, and pynetdicom as one that
sends what nobody asked for, fails, or does not know the node."""

import re
import shutil
import signal
import subprocess
import time

import dicom_io
import harness
import pydicom
import pynetdicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

STUDY_FIND = "1.2.840.10008.5.1.4.1.2.2.1"
STUDY_MOVE = "1.2.840.10008.5.1.4.1.2.2.2"


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    return harness.phantom(tmp_path_factory.mktemp("study") / "p", "--seed", 31, "--matrix", 256, "--coverage", 40,
                           "--lesions", 1)


class OddArchive:
    """Knows the objects that it was given; `moves(event)` yields what its C-MOVE does."""

    def __init__(self, aet):
        self.aet, self.objects, self.moves, self.finds, self.asked = aet, [], None, 0, []
        entity = pynetdicom.AE(aet)
        entity.add_supported_context(STUDY_FIND)
        entity.add_supported_context(STUDY_MOVE)
        entity.requested_contexts = [pynetdicom.build_context(c, ExplicitVRLittleEndian) for c in (
            "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.481.3")]
        evt = pynetdicom.evt
        self.server = entity.start_server(("127.0.0.1", 0), block=False, evt_handlers=[
            (evt.EVT_C_FIND, self.on_find), (evt.EVT_C_MOVE, self.on_move)])
        self.port = self.server.server_address[1]

    def on_find(self, event):
        self.finds += 1
        query = event.identifier
        assert query.StudyInstanceUID and "PatientName" not in query, "asked by the study's UID alone"
        found = {}
        for d in self.objects:
            if d.StudyInstanceUID == query.StudyInstanceUID:
                found.setdefault(d.SeriesInstanceUID if query.QueryRetrieveLevel == "SERIES" else 0, []).append(d)
        for series in found.values():
            answer = Dataset()
            answer.QueryRetrieveLevel = query.QueryRetrieveLevel
            answer.StudyInstanceUID = query.StudyInstanceUID
            if query.QueryRetrieveLevel == "SERIES":
                answer.SeriesInstanceUID = series[0].SeriesInstanceUID
                answer.Modality = series[0].Modality
                answer.NumberOfSeriesRelatedInstances = len(series)
            yield 0xFF00, answer
        # Answers about what nobody asked for, in which the node must not believe.
        stray = Dataset()
        stray.QueryRetrieveLevel = query.QueryRetrieveLevel
        stray.StudyInstanceUID = generate_uid()
        stray.SeriesInstanceUID = generate_uid()
        stray.Modality = "CT"
        yield 0xFF00, stray

    def on_move(self, event):
        assert event.move_destination.strip() == harness.NODE_AET
        self.asked.append(event.identifier.SeriesInstanceUID)
        yield from self.moves(event)

    def of_series(self, event):
        return [d for d in self.objects if d.SeriesInstanceUID == event.identifier.SeriesInstanceUID]


class Site:
    def __init__(self, folder):
        self.port = harness.free_port()
        self.pacs = harness.Orthanc(folder / "pacs", self.port).start()
        self.odd = OddArchive("ODD")
        self.qr_port = harness.free_port()
        (folder / "qr").mkdir()
        (folder / "qr.cfg").write_text(
            f"NetworkTCPPort = {self.qr_port}\nMaxPDUSize = 16384\nMaxAssociations = 16\n"
            f"HostTable BEGIN\nnode = ({harness.NODE_AET}, 127.0.0.1, {self.port})\nHostTable END\n"
            f"VendorTable BEGIN\nVendorTable END\n"
            f"AETable BEGIN\nQR {folder}/qr RW (200, 1024mb) ANY\nAETable END\n")
        self.qr = subprocess.Popen(["dcmqrscp", "-c", str(folder / "qr.cfg")], stderr=subprocess.DEVNULL)
        peers = {name: {"aet": aet, "host": "127.0.0.1", "port": port} for name, aet, port in (
            ("qr", "QR", self.qr_port), ("odd", "ODD", self.odd.port), ("down", "DOWN", harness.free_port()))}
        senders = {f"to{name}": {"aet": f"CT-{name}".upper(), "host": "127.0.0.1", "port": 0, "results_to": "pacs",
                                 "query_from": name} for name in ("pacs", "qr", "odd", "down")}
        sections = {f'peer "{name}"': keys for name, keys in (peers | senders).items()}
        sections["fetch"] = {"fetch_after_seconds": 0, "fetch_first_seconds": 1, "fetch_max_seconds": 1,
                             "fetch_attempts_max": 2}
        sections['peer "pacs"'] = {"retrieve": "move"}
        self.node = harness.Node(folder / "node", self.port, self.pacs.dicom_port, sections).start()
        harness.wait_until(lambda: harness.port_is_open(self.qr_port), 20, "dcmqrscp")

    def stop(self):
        self.node.remove()
        self.pacs.stop()
        self.odd.server.shutdown()
        self.qr.terminate()
        self.qr.wait(10)

    def study(self, uid):
        return next((s for s in self.node.table("studies")["studies"] if s["study_instance_uid"] == uid), None)

    def reach(self, uid, condition, what, seconds=60):
        def reached():
            found = self.study(uid)
            return found if found and condition(found) else None
        try:
            return harness.wait_until(reached, seconds, what)
        except AssertionError:
            raise AssertionError(f"{what}: {self.study(uid)}\n{self.node.log()[-4000:]}") from None

    def configure(self, key, value):
        self.node.config.write_text(re.sub(rf"(?m)^{key} = .*$", f"{key} = {value}", self.node.config.read_text()))
        self.node.process.send_signal(signal.SIGHUP)
        time.sleep(0.5)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    running = Site(tmp_path_factory.mktemp("site"))
    yield running
    running.stop()


@pytest.fixture
def study(original, tmp_path):
    folder = dicom_io.copy_study(original, tmp_path / "study")
    return folder, str(pydicom.dcmread(folder / "roi" / "rtstruct.dcm", stop_before_pixels=True).StudyInstanceUID)


def read_all(folder):
    return [pydicom.dcmread(p) for p in sorted(folder.rglob("*.dcm"))]


@pytest.mark.parametrize("way", ["move", "get"])
def test_the_phases_are_in_the_archive_when_the_roi_comes(way, site, study):
    folder, uid = study
    site.configure("retrieve", way)
    for phase in ("nc", "art", "pv"):
        for path in sorted((folder / phase).glob("*.dcm")):
            site.pacs.post("/instances", path.read_bytes())
    harness.send(folder / "roi" / "rtstruct.dcm", site.port, calling="CT-PACS")
    site.reach(uid, lambda s: s["ct_series"] == 3 and s["state"] == "done", f"fetched by C-{way.upper()} and analysed")
    harness.wait_until(lambda: all(site.pacs.results_of_study(uid)), 30, "the results in the archive")
    assert f"from=pacs outcome=done series=3 completed={len(list(folder.rglob('*.dcm'))) - 1}" in site.node.log()


def test_the_roi_is_in_the_archive_and_a_phase_is_missing_there(site, study):
    folder, uid = study
    shutil.rmtree(folder / "art")
    harness.send([folder / "roi" / "rtstruct.dcm", *sorted((folder / "pv").glob("*.dcm"))], site.qr_port, called="QR")
    harness.send(folder / "nc", site.port, calling="CT-QR")
    found = site.reach(uid, lambda s: s["ct_series"] == 2 and s["rois"] == 1 and "nothing that is missing" in
                       s["status_message"], "what dcmqrscp has, and a study that goes on waiting")
    assert found["state"] == "collecting"
    assert re.search(r"arterial.*; asked qr at \d\d:\d\d UTC: it has nothing that is missing", found["status_message"])
    requests = site.node.log().count("from=qr attempt=")
    time.sleep(3)
    assert site.node.log().count("from=qr attempt=") == requests == 2, "bounded in tries"
    site.node.cli("fetch", uid)
    harness.wait_until(lambda: site.node.log().count("from=qr attempt=") == 3, 10, "one more by hand")


def test_another_application_may_have_a_study_moved_here(site, study):
    folder, uid = study
    harness.send(folder / "nc", site.qr_port, called="QR")
    harness.run("movescu", "-S", "-aet", "MOVER", "-aec", "QR", "-aem", harness.NODE_AET, "-k",
                "QueryRetrieveLevel=STUDY", "-k", f"StudyInstanceUID={uid}", "127.0.0.1", site.qr_port)
    site.reach(uid, lambda s: s["objects"] == len(list((folder / "nc").glob("*.dcm"))), "moved by movescu")


def test_an_archive_that_is_down_is_told_and_harms_nothing(site, study):
    folder, uid = study
    harness.send(folder / "nc", site.port, calling="CT-DOWN")
    found = site.reach(uid, lambda s: "asked down" in s["status_message"], "the archive's silence")
    assert found["state"] == "collecting" and "connection refused" in found["status_message"]
    assert site.node.cli("fetch", uid, "--from", "nobody", check=False).returncode == 1
    assert site.node.cli("fetch", "no-uid", check=False).returncode == 1


def test_objects_of_others_and_failures_are_told_and_kept_apart(site, study):
    folder, uid = study
    site.odd.objects = [d for d in read_all(folder) if d.Modality == "CT"]
    other_uid = generate_uid()

    def moves(event):
        series = site.odd.of_series(event)
        stranger = pydicom.dcmread(next((folder / "nc").glob("*.dcm")))
        stranger.PatientID, stranger.PatientName = "OTHER", "OTHER"
        stranger.StudyInstanceUID, stranger.SeriesInstanceUID = other_uid, generate_uid()
        stranger.SOPInstanceUID = stranger.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        broken = pydicom.dcmread(next((folder / "nc").glob("*.dcm")))
        broken.SOPInstanceUID = broken.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        del broken.StudyInstanceUID
        yield "127.0.0.1", site.port
        yield len(series[:2]) + 2
        for d in [*series[:2], stranger, broken]:
            yield 0xFF00, d

    site.odd.moves = moves
    harness.send(folder / "roi" / "rtstruct.dcm", site.port, calling="CT-ODD")
    found = site.reach(uid, lambda s: "did not" in s["status_message"], "the failures")
    assert re.search(r"asked odd for 3 series at \d\d:\d\d UTC: 9 objects came, 3 did not", found["status_message"])
    assert "meanwhile it sent 3 objects of other studies" in found["status_message"]
    assert found["ct_series"] == 3 and found["objects"] == 7 and not found["locked"]
    other = site.study(other_uid)
    assert other is not None and other["objects"] == 3
    assert len(set(site.odd.asked)) == 3


def test_objects_of_another_patient_in_the_same_study_stop_it(site, study):
    folder, uid = study
    site.odd.objects = [d for d in read_all(folder) if d.Modality == "CT"]

    def moves(event):
        yield "127.0.0.1", site.port
        yield 1
        wrong = site.odd.of_series(event)[0]
        wrong.PatientID = "OTHER"
        yield 0xFF00, wrong

    site.odd.moves = moves
    harness.send(folder / "roi" / "rtstruct.dcm", site.port, calling="CT-ODD")
    found = site.reach(uid, lambda s: s["state"] == "rejected", "a study of two patients")
    assert found["locked"]


def test_a_node_that_the_archive_does_not_know_says_so(site, study):
    folder, uid = study
    site.odd.objects = [d for d in read_all(folder) if d.Modality == "CT"]

    def moves(event):
        yield None, None

    site.odd.moves = moves
    assert site.study(uid) is None
    assert "asking odd" in site.node.cli("fetch", uid, "--from", "odd").stdout
    harness.wait_until(lambda: "0xA801" in site.node.log(), 20, "the status of C-MOVE")
    assert site.study(uid) is None

    def all_of_it(event):
        series = site.odd.of_series(event)
        yield "127.0.0.1", site.port
        yield len(series)
        for d in series:
            yield 0xFF00, d

    site.odd.moves = all_of_it
    site.node.cli("fetch", uid, "--from", "odd")
    site.reach(uid, lambda s: s["ct_series"] == 3 and s["objects"] == len(site.odd.objects), "fetched by hand")
    site.node.verify_store()
