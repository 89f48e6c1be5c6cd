"""Storage commitment with real peers, in both roles: pynetdicom as an archive that behaves well and badly, Orthanc."""

import random
import re
import signal
import time

import commitment_peer
import dicom_io
import harness
import pydicom
import pytest
from pydicom.uid import generate_uid

CT_CLASS = "1.2.840.10008.5.1.4.1.1.2"
QUICK = {"commitment_seconds": 60, "commitment_stay_seconds": 1, "commitment_attempts_max": 2, "retry_first_seconds": 1,
         "retry_max_seconds": 2, "connect_seconds": 5}


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return harness.phantom(tmp_path_factory.mktemp("study") / "p", "--seed", 31, "--matrix", 256, "--coverage", 40,
                           "--lesions", 1)


def outbound(node):
    return node.table("outbound")["outbound"]


def steady(ask, seconds=30):
    """What ask() gives, of a node that may just be starting."""
    until = time.monotonic() + seconds
    while True:
        try:
            return ask()
        except AssertionError:
            if time.monotonic() > until:
                raise
            time.sleep(0.3)


class Site:
    """The node, Orthanc and an archive that behaves as it is told; one study, whose results go to both."""

    def __init__(self, folder, study):
        self.port = harness.free_port()
        self.archive = commitment_peer.Archive(self.port, commitment_peer.on_a_new_one).start()
        self.pacs = harness.Orthanc(folder / "pacs", self.port).start()
        self.node = harness.Node(folder / "node", self.port, self.pacs.dicom_port, {
            "outbound": dict(QUICK), 'peer "pacs"': {"commitment": "yes"},
            'peer "archive"': {"aet": commitment_peer.AET, "host": "127.0.0.1", "port": self.archive.port,
                               "commitment": "yes"},
            'peer "modality"': {"results_to": "archive, pacs"}}).start()
        harness.send(study, self.port)
        harness.wait_until(lambda: len(self.rows("archive")) >= 2, 90, "results")
        self.reach("committed")

    def stop(self):
        self.node.remove()
        self.archive.stop()
        self.pacs.stop()

    def rows(self, destination):
        return [row for row in outbound(self.node) if row["destination"] == destination]

    def states(self, destination="archive"):
        return sorted({row["state"] for row in self.rows(destination)})

    def reach(self, *wanted, destination="archive", seconds=60):
        try:
            harness.wait_until(lambda: self.states(destination) == sorted(wanted), seconds, f"all results {wanted}")
        except AssertionError:
            raise AssertionError(f"{[(r['state'], r['status_message']) for r in self.rows(destination)]}\n"
                                 f"{self.node.log()[-4000:]}") from None

    def again(self, behave, status=0x0000):
        """All of it is sent once more, to an archive of another mood."""
        for memory in (self.archive.stored, self.archive.requests, self.archive.answers):
            memory.clear()
        self.archive.behave, self.archive.status, self.archive.has_lost = behave, status, False
        for row in self.rows("archive"):
            self.node.cli("retry", "--outbound", row["outbound"])
        harness.wait_until(lambda: self.archive.requests, 30, "a request")

    def configure(self, **outbound_keys):
        text = self.node.config.read_text()
        for key, value in outbound_keys.items():
            text = re.sub(rf"(?m)^{key} = .*$", f"{key} = {value}", text)
        self.node.config.write_text(text)
        self.node.process.send_signal(signal.SIGHUP)
        time.sleep(0.5)


@pytest.fixture(scope="module")
def site(tmp_path_factory, study):
    running = Site(tmp_path_factory.mktemp("site"), study)
    yield running
    running.stop()


@pytest.mark.parametrize("behave", [commitment_peer.on_the_same, commitment_peer.late, commitment_peer.twice,
                                    commitment_peer.forgetful], ids=lambda f: f.__name__)
def test_what_an_archive_promises_is_committed(behave, site):
    site.again(behave)
    site.reach("committed")
    harness.wait_until(lambda: site.archive.answers and set(site.archive.answers) == {0x0000}, 10, "answers")
    asked = {item for _, references in site.archive.requests for item in references}
    assert asked == set(site.archive.stored)
    if behave is commitment_peer.forgetful:
        assert len(site.archive.stored) == len(asked) + 1, "what was lost was sent again, and nothing else"


@pytest.mark.parametrize("behave", [commitment_peer.silent, commitment_peer.lying], ids=lambda f: f.__name__)
def test_what_is_not_promised_ends_as_failed_and_says_so(behave, site):
    site.configure(commitment_seconds=2)
    site.again(behave)
    site.reach("failed")
    assert all("stored, but not committed: " in row["status_message"] for row in site.rows("archive"))
    assert len({transaction for transaction, _ in site.archive.requests}) >= 2
    refused = site.node.cli("study", "remove", site.node.table("studies")["studies"][0]["name"], check=False)
    assert refused.returncode != 0, "a study whose results nobody has promised stays"


def test_a_request_that_is_refused_is_repeated_and_then_failed(site):
    site.configure(commitment_seconds=60)
    site.again(commitment_peer.silent, status=0x0110)
    site.reach("failed")
    assert all("0x0110" in row["status_message"] for row in site.rows("archive"))
    site.again(commitment_peer.on_a_new_one)
    site.reach("committed")


def test_reports_that_mean_nothing_are_answered_and_change_nothing(site):
    site.again(commitment_peer.silent)
    site.reach("sent")
    rows = len(site.rows("archive"))
    harness.wait_until(lambda: sum(len(references) for _, references in site.archive.requests) == rows, 20, "requests")
    transaction, references = site.archive.requests[0]
    report = commitment_peer.report
    assert report(site.port, generate_uid(), references) == 0x0000
    assert report(site.port, transaction, references, calling=harness.PACS_AET) == 0x0000, "another peer's"
    assert report(site.port, transaction, references, calling="STRANGER") is None
    assert report(site.port, "1.2.3.x", references) == 0x0115
    assert report(site.port, transaction, references, event_type=7) == 0x0113
    assert report(site.port, transaction, references, instance="1.2.3") == 0x0112
    time.sleep(1)
    assert site.states() == ["sent"]
    site.node.kill()
    site.node.start()
    harness.wait_until(lambda: report(site.port, transaction, references) == 0x0000, 20, "an answer after a restart")
    for other_transaction, other_references in site.archive.requests[1:]:
        assert report(site.port, other_transaction, other_references) == 0x0000
    steady(lambda: site.reach("committed"))
    assert report(site.port, transaction, [], [(*references[0], 0x0112)]) == 0x0000
    time.sleep(1)
    assert site.states() == ["committed"], "a second report of the same request is too late"


def test_a_rebuilt_index_knows_what_was_promised(site):
    site.node.stop()
    site.node.cli("rebuild-index")
    site.node.start()
    requests = len(site.archive.requests)
    time.sleep(1)
    assert {row["state"] for row in outbound(site.node)} == {"committed"} and len(site.archive.requests) == requests
    site.node.verify_store()


def test_orthanc_promises_and_is_promised(site, study):
    site.reach("committed", destination="pacs")
    one = min(study.rglob("*.dcm"))
    identifier = site.pacs.post("/instances", one.read_bytes())["ID"]
    asked = site.pacs.post("/modalities/livervlm/storage-commitment", {"Resources": [identifier]})
    found = harness.wait_until(
        lambda: (lambda r: r if r["Status"] != "Pending" else None)(site.pacs.get(asked["Path"])), 30,
        "the node's report")
    assert found["Status"] == "Success" and len(found["Success"]) == 1


def results_under_fire(study, folder, study_count, destinations, seconds, seed):
    """Results of several studies to several destinations, all of them one archive that is killed and restarted at
    random, as the node is, and whose reports are lost, doubled and mixed with others."""
    dice = random.Random(seed)

    def moody(archive, transaction, references):
        mood = dice.random()
        if mood < 0.2:
            return None  # lost
        if mood < 0.3:
            return references, ()
        if mood < 0.4:
            lost = references[: len(references) // 2 + 1]
            archive.report(transaction, references[len(lost):], [(*item, 0x0112) for item in lost])
            return None
        calling = dict(transactions).get(transaction)
        for _ in range(2 if mood > 0.8 else 1):
            archive.report(transaction, references, calling=calling)
        if mood > 0.9:
            archive.report(generate_uid(), references)
        return None

    transactions = []
    port, pacs_port = harness.free_port(), harness.free_port()
    names = [f"pacs{i}" for i in range(destinations)]
    sections = {"outbound": QUICK | {"commitment_seconds": 3, "commitment_attempts_max": 30, "retry_count_max": 50},
                'peer "modality"': {"results_to": ", ".join(names)}}
    for i, name in enumerate(names):
        sections[f'peer "{name}"'] = {"aet": f"PACS{i}", "host": "127.0.0.1", "port": pacs_port, "commitment": "yes",
                                      "may_send": "yes"}
    archive = commitment_peer.Archive(port, moody, pacs_port)
    known = archive.on_action

    def on_action(event):
        status = known(event)
        transactions.append((archive.requests[-1][0], event.assoc.requestor.primitive.called_ae_title.strip()))
        return status

    archive.on_action = on_action
    archive.start()
    node = harness.Node(folder / "node", port, pacs_port, sections).start()
    try:
        for i in range(study_count):
            harness.send(dicom_io.copy_study(study, folder / f"s{i}"), port)
        until = time.monotonic() + seconds
        expected = None
        while True:
            rows = steady(lambda: outbound(node))
            done = [r for r in steady(lambda: node.table("studies"))["studies"] if r["state"] == "done"]
            open_rows = [r for r in rows if r["state"] not in ("committed", "failed")]
            if len(done) == study_count and not open_rows and rows:
                expected = rows
                break
            assert time.monotonic() < until, f"{[(r['state'], r['status_message']) for r in open_rows]}"
            time.sleep(dice.uniform(0.5, 1.5))
            if not rows:
                continue  # nothing to promise yet: an analysis that is killed would only take longer
            if dice.random() < 0.3:
                archive.stop()
                time.sleep(dice.uniform(0.1, 1.0))
                archive.start()
            elif dice.random() < 0.15:
                node.kill()
                node.start()
        stored = set(archive.stored)
        for row in expected:
            if row["state"] == "committed":
                assert any(uid == row["sop_instance_uid"] for _, uid in stored)
            else:
                assert row["status_message"], "a failed one says why"
        node.verify_store()
        return [row["state"] for row in expected]
    finally:
        node.remove()
        archive.stop()


def test_results_are_committed_or_plainly_failed_whatever_dies(study, tmp_path):
    found = results_under_fire(study, tmp_path, 1, 4, 240, 5)
    assert len(found) >= 8 and set(found) <= {"committed", "failed"}
    assert found.count("committed") >= len(found) - 2


# ---- as SCP ----

def references_of(study):
    return [(str(d.SOPClassUID), str(d.SOPInstanceUID))
            for d in (pydicom.dcmread(p, stop_before_pixels=True) for p in sorted(study.rglob("*.dcm")))]


def test_a_peer_that_asks_is_told_what_the_store_holds(study, tmp_path):
    port, pacs_port = harness.free_port(), harness.free_port()
    node = harness.Node(tmp_path / "node", port, None, {
        "assembly": {"settle_seconds": 600}, "outbound": QUICK,
        'peer "archive"': {"aet": commitment_peer.AET, "host": "127.0.0.1", "port": pacs_port}}).start()
    listener = None
    try:
        # At once after the last object was acknowledged, on the same association.
        harness.send(study, port)
        references = references_of(study)
        status, reports, transaction = commitment_peer.ask(port, references, stay_seconds=10)
        assert status == 0x0000 and len(reports) == 1
        assert str(reports[0].TransactionUID) == transaction
        assert sorted(commitment_peer.promises(reports[0])) == sorted(references)
        # Unknown, of another class, and lost from the disk.
        lost = next((node.folder / "state" / "objects").rglob("*.dcm"))
        lost_uid = str(pydicom.dcmread(lost, stop_before_pixels=True).SOPInstanceUID)
        lost_class = dict((uid, sop_class) for sop_class, uid in references)[lost_uid]
        lost.rename(tmp_path / "lost.dcm")
        kept = next(item for item in references if item[1] != lost_uid)
        unknown = generate_uid()
        asked = [kept, (CT_CLASS, unknown), ("1.2.840.10008.5.1.4.1.1.7", references[-1][1]),
                 (lost_class, lost_uid), ("1.2.3.4", generate_uid())]
        status, reports, _ = commitment_peer.ask(port, asked, stay_seconds=10)
        assert status == 0x0000
        assert commitment_peer.failures(reports[0]) == {unknown: 0x0112, references[-1][1]: 0x0119, lost_uid: 0x0112,
                                                        asked[4][1]: 0x0122}
        assert commitment_peer.promises(reports[0]) == [kept]
        # The association ends and nobody listens: the report comes later, on a new one, after a restart too.
        status, reports, transaction = commitment_peer.ask(port, [kept, (CT_CLASS, unknown)])
        assert status == 0x0000 and not reports
        node.kill()
        node.start()
        listener = commitment_peer.Listener(pacs_port)
        harness.wait_until(lambda: listener.reports, 20, "a report on a new association")
        event_type, told = listener.reports[0]
        assert event_type == 2 and str(told.TransactionUID) == transaction
        assert commitment_peer.promises(told) == [kept] and commitment_peer.failures(told) == {unknown: 0x0112}
        harness.wait_until(lambda: not list((node.folder / "state" / "letters").iterdir()), 10, "no letter is left")
        assert len(listener.reports) == 1
        assert commitment_peer.ask(port, [kept], action_type=2)[0] == 0x0123
        assert commitment_peer.ask(port, [kept], instance="1.2.3")[0] == 0x0112
    finally:
        node.remove()
        if listener is not None:
            listener.stop()


if __name__ == "__main__":  # the same with more: STUDIES DESTINATIONS SEED
    import collections
    import pathlib
    import sys
    import tempfile
    with tempfile.TemporaryDirectory() as folder:
        made = harness.phantom(pathlib.Path(folder) / "p", "--seed", 31, "--matrix", 256, "--coverage", 40, "--lesions", 1)
        print(collections.Counter(results_under_fire(made, pathlib.Path(folder), int(sys.argv[1]), int(sys.argv[2]), 1500,
                                                     int(sys.argv[3]))))
