"""The node as its users meet it: real peers send, the PACS answers, processes die."""

import hashlib
import json
import os
import pathlib
import signal
import time

import dicom_io
import evidence
import harness
import judge
import pydicom
import pytest

SAMPLES = harness.sample_data()
needs_samples = pytest.mark.skipif(SAMPLES is None, reason="real sample objects are not at hand: set LVN_SAMPLE_DATA")


@pytest.fixture
def node(tmp_path):
    """A node that sends nowhere."""
    running = harness.Node(tmp_path / "node", harness.free_port()).start()
    yield running
    running.remove()


@pytest.fixture
def site(tmp_path):
    """A node and its PACS."""
    node_port = harness.free_port()
    pacs = harness.Orthanc(tmp_path / "pacs", node_port).start()
    running = harness.Node(tmp_path / "node", node_port, pacs.dicom_port).start()
    yield pacs, running
    running.remove()
    pacs.stop()


def stored_objects(node):
    return sorted((node.folder / "state" / "objects").rglob("*.dcm"))


def test_studies_of_all_classes_come_back_judged(tmp_path):
    result = evidence.run(4, 300, tmp_path, is_all=True)
    assert result["problems"] == {}
    assert len(result["answers"]) == 4


@needs_samples
def test_samples_are_stored_bit_for_bit(node):
    sent = {}
    for path in sorted(SAMPLES.rglob("*.dcm")):
        status = dicom_io.send_raw(path, node.port, harness.NODE_AET, harness.MODALITY_AET)
        assert status == 0x0000, f"{path.name}: status {status}"
        sent[path.name] = hashlib.sha256(dicom_io.dataset_bytes(path)).hexdigest()
    assert len(sent) > 30
    harness.wait_until(lambda: len(stored_objects(node)) >= len(set(sent.values())), 60, "all objects in the store")
    stored = {hashlib.sha256(dicom_io.dataset_bytes(p)).hexdigest() for p in stored_objects(node)}
    assert set(sent.values()) <= stored
    assert node.process.poll() is None


@needs_samples
@pytest.mark.parametrize("path", sorted(SAMPLES.rglob("*.dcm")) if SAMPLES else [], ids=lambda p: p.name[:60])
def test_each_sample_is_read_or_refused_with_a_reason(path, tmp_path):
    done = harness.run(harness.BIN / "livervlm", "analyze", "--input", path, "--output", tmp_path, "--json", check=False)
    assert done.returncode in (0, 1), done.stderr
    if done.stdout.strip():
        study = json.loads(done.stdout)[0]
        assert study["outcome"] in ("waiting", "refused") and study["status_message"]
    else:
        assert done.stderr.startswith("livervlm analyze: ") and len(done.stderr.splitlines()) == 1


@needs_samples
def test_real_slices_are_answered_with_what_is_missing(node):
    harness.send(SAMPLES / "ct_liver_3slices", node.port)
    study = harness.wait_until(lambda: next((s for s in node.table("studies")["studies"] if s["status_message"]), None), 60,
                               "a status message on the study")
    assert "waiting" in study["status_message"] or "phase" in study["status_message"]
    assert len(stored_objects(node)) == 4


@needs_samples
def test_real_slices_as_three_phases_pass_the_whole_pipeline(site, tmp_path):
    pacs, node = site
    folder = tmp_path / "study"
    folder.mkdir()
    uid = dicom_io.make_phases(SAMPLES / "ct_liver_3slices", folder)
    harness.send(folder, pacs.dicom_port, called=harness.PACS_AET)
    harness.send(folder, node.port)
    harness.wait_until(lambda: all(pacs.results_of_study(uid)), 120, "results of the real slices\n" + node.log()[-2000:])
    reports, captures = pacs.results_of_study(uid)
    assert len(reports) == 1 and len(captures) == 1
    for instance in reports + captures:
        assert judge.dciodvfy_errors(pacs.save(instance, tmp_path / f"{instance}.dcm")) == []


def test_unknown_peers_are_rejected(node, tmp_path):
    study = harness.phantom(tmp_path / "p", "--seed", 1, "--matrix", 256, "--coverage", 30)
    refused = harness.send(study, node.port, calling="STRANGER", check=False)
    assert refused.returncode != 0
    refused = harness.send(study, node.port, called="SOMEBODY", check=False)
    assert refused.returncode != 0
    assert stored_objects(node) == []


def test_mismatched_uids_are_refused_and_harm_nothing(node, tmp_path):
    study = harness.phantom(tmp_path / "p", "--seed", 2, "--matrix", 256, "--coverage", 30)
    first, second = sorted(study.rglob("*.dcm"))[:2]
    assert dicom_io.send_raw(first, node.port, harness.NODE_AET, harness.MODALITY_AET) == 0x0000
    harness.wait_until(lambda: len(stored_objects(node)) == 1, 30, "the first object in the store")
    wrong = pydicom.dcmread(second)
    wrong.file_meta.MediaStorageSOPInstanceUID = pydicom.dcmread(first).SOPInstanceUID
    wrong.save_as(tmp_path / "wrong.dcm", enforce_file_format=False)
    data = (tmp_path / "wrong.dcm").read_bytes()
    assert pydicom.filereader.read_file_meta_info(tmp_path / "wrong.dcm").MediaStorageSOPInstanceUID != wrong.SOPInstanceUID
    assert data
    assert dicom_io.send_raw(tmp_path / "wrong.dcm", node.port, harness.NODE_AET, harness.MODALITY_AET) == 0xA900
    time.sleep(1)
    assert len(stored_objects(node)) == 1
    assert dicom_io.dataset_bytes(stored_objects(node)[0]) == dicom_io.dataset_bytes(first)


def test_same_object_again_writes_nothing_and_other_bytes_reopen_the_study(site, tmp_path):
    pacs, node = site
    study = harness.phantom(tmp_path / "p", "--seed", 3, "--matrix", 256, "--coverage", 60, "--lesions", 1)
    uid = harness.study_uid_of(study)
    harness.send(study, pacs.dicom_port, called=harness.PACS_AET)
    harness.send(study, node.port)
    harness.wait_until(lambda: all(pacs.results_of_study(uid)), 120, "first results")
    count = len(stored_objects(node))
    jobs = len(node.table("jobs")["jobs"])
    harness.send(study, node.port)
    time.sleep(4)
    assert len(stored_objects(node)) == count
    assert len(node.table("jobs")["jobs"]) == jobs
    changed = pydicom.dcmread(sorted(study.rglob("*.dcm"))[0])
    changed.ImageComments = "corrected"
    changed.save_as(tmp_path / "changed.dcm")
    harness.send(tmp_path / "changed.dcm", node.port)
    harness.wait_until(lambda: len(pacs.results_of_study(uid)[0]) == 2, 120, "results of the second revision")
    assert len(stored_objects(node)) == count + 1


def reports_by_age(pacs, uid, folder):
    """The node's reports of a study in the PACS, oldest first by what they say themselves."""
    reports = [pydicom.dcmread(pacs.save(i, folder / f"{i}.dcm")) for i in pacs.results_of_study(uid)[0]]
    return sorted(reports, key=lambda report: report.ContentDate + report.ContentTime)


def replaced_by(report):
    """SOP instance UIDs of the reports that this one says it replaces."""
    return [str(instance.ReferencedSOPInstanceUID) for study in report.get("PredecessorDocumentsSequence", [])
            for series in study.ReferencedSeriesSequence for instance in series.ReferencedSOPSequence]


def test_bytes_that_come_back_make_the_newest_report_theirs(site, tmp_path):
    """Bytes A, then B, then A again: the newest report in the PACS is of A, and each names the one it replaces."""
    pacs, node = site
    study = harness.phantom(tmp_path / "p", "--seed", 4, "--matrix", 256, "--coverage", 60, "--lesions", 1)
    uid = harness.study_uid_of(study)
    first = sorted(study.rglob("*.dcm"))[0]
    second = pydicom.dcmread(first)
    second.ImageComments = "corrected"
    second.save_as(tmp_path / "second.dcm")
    harness.send(study, pacs.dicom_port, called=harness.PACS_AET)
    harness.send(study, node.port)
    for count, path in ((1, None), (2, tmp_path / "second.dcm"), (3, first)):
        if path is not None:
            harness.send(path, node.port)
        harness.wait_until(lambda n=count: [len(r) for r in pacs.results_of_study(uid)] == [n, n], 120,
                           f"results of revision {count}\n" + node.log()[-3000:])
    reports = reports_by_age(pacs, uid, tmp_path)
    uids = [str(report.SOPInstanceUID) for report in reports]
    assert [replaced_by(report) for report in reports] == [[], uids[:1], uids[1:2]]
    assert len({str(report.SeriesInstanceUID) for report in reports}) == 3
    for instance in pacs.results_of_study(uid)[0]:
        path = tmp_path / f"{instance}.dcm"
        assert judge.dciodvfy_errors(path) == []
        assert all(pacs.has_instance(u) for u in judge.referenced_uids(pydicom.dcmread(path)))
    paths = [tmp_path / f"{i}.dcm" for i in pacs.results_of_study(uid)[0]]
    assert not any(judge.sr_validator_errors(paths).values())
    jobs = node.table("jobs")["jobs"]
    node.cli("rebuild-index")
    harness.wait_until(lambda: [s["state"] for s in node.table("studies")["studies"]] == ["done"], 60, "a done study")
    harness.wait_until(lambda: {o["state"] for o in node.table("outbound")["outbound"]} == {"sent"}, 60, "sent again")
    assert len(node.table("jobs")["jobs"]) == len(jobs)
    assert [str(r.SOPInstanceUID) for r in reports_by_age(pacs, uid, tmp_path)] == uids


def children_of(node):
    """{role: pid} of the supervisor's children, from their command lines."""
    roles = {}
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text().rsplit(")", 1)[1].split()
                name = (entry / "comm").read_text().strip()
            except OSError:
                continue
            if int(stat[1]) == node.process.pid:
                roles.setdefault(name, int(entry.name))
    return roles


@pytest.mark.parametrize("count", [int(os.environ.get("LVN_KILL_STUDIES", "10"))])
def test_kill_of_each_role_loses_and_doubles_nothing(tmp_path, count):
    """kill -9 of the supervisor and of each role in turn, in the middle of a run of studies."""
    node_port = harness.free_port()
    pacs = harness.Orthanc(tmp_path / "pacs", node_port).start()
    node = harness.Node(tmp_path / "node", node_port, pacs.dicom_port,
                        {"outbound": {"retry_first_seconds": 2}}).start()
    acknowledged = set()
    uids = []
    try:
        for i in range(count):
            study = harness.phantom(tmp_path / f"p{i}", "--seed", 700 + i, "--matrix", 256, "--coverage", 40,
                                    "--lesions", 1, "--class", evidence.CLASSES[i % 4])
            uids.append(harness.study_uid_of(study))
            harness.send(study, pacs.dicom_port, called=harness.PACS_AET)
            for path in sorted(study.rglob("*.dcm")):
                harness.wait_until(lambda p=path: dicom_io.send_raw(p, node_port, harness.NODE_AET,
                                                                    harness.MODALITY_AET) == 0, 60, "an acknowledgement")
                acknowledged.add(hashlib.sha256(dicom_io.dataset_bytes(path)).hexdigest())
            kill_one(node, i)
        for uid in uids:
            harness.wait_until(lambda u=uid: all(pacs.results_of_study(u)), 300, "results of every study\n" +
                               node.log()[-3000:])
        time.sleep(5)
        stored = {hashlib.sha256(dicom_io.dataset_bytes(p)).hexdigest() for p in stored_objects(node)}
        assert acknowledged <= stored
        for uid in uids:
            reports, captures = pacs.results_of_study(uid)
            assert (len(reports), len(captures)) == (1, 1), uid
        assert node.verify_store()["running"]
        node.stop()
        assert not node.verify_store()["running"]
    finally:
        node.remove()
        pacs.stop()


def kill_one(node, turn):
    """Kill the supervisor (and start it again), or a role: whose turn it is."""
    if turn % 4 == 0:
        node.kill()
        node.start()
        return
    wanted = ("receiver", "pipeline", "worker")[turn % 4 - 1]
    roles = harness.wait_until(lambda: {n: p for n, p in children_of(node).items() if wanted in n}, 30, f"a {wanted}")
    os.kill(next(iter(roles.values())), signal.SIGKILL)


def test_a_dead_destination_does_not_block_another(tmp_path):
    node_port = harness.free_port()
    pacs = harness.Orthanc(tmp_path / "pacs", node_port).start()
    node = harness.Node(tmp_path / "node", node_port, pacs.dicom_port,
                        {'peer "modality"': {"results_to": "dead,pacs"},
                         'peer "dead"': {"aet": "DEAD", "host": "127.0.0.1", "port": harness.free_port()}}).start()
    try:
        study = harness.phantom(tmp_path / "p", "--seed", 9, "--matrix", 256, "--coverage", 60, "--lesions", 1)
        harness.send(study, pacs.dicom_port, called=harness.PACS_AET)
        harness.send(study, node.port)
        uid = harness.study_uid_of(study)
        harness.wait_until(lambda: all(pacs.results_of_study(uid)), 60, "results beside a dead destination")
        rows = node.table("outbound")["outbound"]
        assert {r["state"] for r in rows if r["destination"] == "dead"} <= {"queued", "sending"}
        assert {r["state"] for r in rows if r["destination"] == "pacs"} == {"sent"}
    finally:
        node.remove()
        pacs.stop()


def test_logs_hold_no_patient_data(site, tmp_path):
    pacs, node = site
    study = harness.phantom(tmp_path / "p", "--seed", 11, "--matrix", 256, "--coverage", 60, "--lesions", 1)
    image = pydicom.dcmread(sorted(study.rglob("*.dcm"))[0], stop_before_pixels=True)
    harness.send(study, node.port)
    harness.wait_until(lambda: any(s["state"] == "done" for s in node.table("studies")["studies"]), 60, "a done study")
    log = node.log()
    for word in (str(image.PatientID), str(image.PatientName), str(image.StudyInstanceUID), str(image.SOPInstanceUID)):
        assert word not in log
    assert "event=" in log and pacs is not None


def test_terminate_drains_and_reload_keeps_a_good_configuration(node):
    node.config.write_text(node.config.read_text() + "\n[node]\nno_such_key = 1\n")
    node.process.send_signal(signal.SIGHUP)
    harness.wait_until(lambda: "no_such_key" in node.log(), 20, "a word on the bad key")
    assert harness.port_is_open(node.port)
    assert node.stop() == 0
