"""What was received stays, what was damaged is mended, what was sent is not sent twice: disks, clocks and operators."""

import glob
import hashlib
import json
import os
import pathlib
import re
import shutil
import stat
import subprocess
import urllib.error
import urllib.request

import harness
import pydicom
import pytest

FAKETIME = next(iter(glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")), None)
needs_faketime = pytest.mark.skipif(FAKETIME is None, reason="libfaketime is not installed")
SLICES = {"--class": "hcc", "--matrix": 64, "--coverage": 60, "--slice-thickness": 5, "--lesions": 1, "--diameter": 30}


class Archive:
    """DCMTK's storescp: keeps every object that it is sent, a file each."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True)
        self.port = harness.free_port()
        self.process = subprocess.Popen(["storescp", "-aet", harness.PACS_AET, "-od", str(self.folder), "--unique-filenames",
                                         "--quiet", str(self.port)])
        harness.wait_until(lambda: harness.port_is_open(self.port), 20, "the archive's port")

    def reports(self):
        found = [pydicom.dcmread(p) for p in sorted(self.folder.iterdir())]
        return [d for d in found if d.SOPClassUID == harness.SR_CLASS]

    def count(self):
        return len(list(self.folder.iterdir()))

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(10)


class Site:
    def __init__(self, folder, overrides=None):
        self.folder = pathlib.Path(folder)
        self.archive = Archive(self.folder / "archive")
        self.node = harness.Node(self.folder / "node", harness.free_port(), self.archive.port, overrides)
        self.state = self.node.folder / "state"

    def start(self):
        """With a pipeline that answers."""
        self.node.start()
        harness.wait_until(lambda: self.node.cli("status", check=False).returncode == 0, 60, "the pipeline")

    def stop(self):
        self.node.remove()
        self.archive.stop()

    def study(self, seed, roi=True):
        study = harness.phantom(self.folder / f"p{seed}", "--seed", seed, *[w for p in SLICES.items() for w in p])
        if not roi:
            shutil.rmtree(study / "roi")
        return study

    def rows(self, command):
        """Oldest first."""
        return self.node.table(command)[command][::-1]

    def attention(self, kind):
        """The text of this kind of line in `livervlm status`; empty when there is none."""
        return next((line["text"] for line in self.node.table("status")["attention"] if line["kind"] == kind), "")

    def study_is(self, state, seconds=60, index=0):
        harness.wait_until(lambda: len(self.rows("studies")) > index and self.rows("studies")[index]["state"] == state,
                           seconds, f"a study that is {state}\n" + self.node.log()[-3000:])

    def results_are_sent(self, count=1):
        harness.wait_until(lambda: len([r for r in self.rows("outbound") if r["state"] == "sent"]) >= count, 60,
                           "results in the archive\n" + self.node.log()[-3000:])

    def objects(self):
        return sorted((self.state / "objects").rglob("*.dcm"))

    def faults(self):
        done = self.node.cli("verify-store", "--json", check=False)
        assert done.returncode == (1 if json.loads(done.stdout)["faults"] else 0)
        return [f["text"] for f in json.loads(done.stdout)["faults"]]


@pytest.fixture
def site(tmp_path):
    made = Site(tmp_path)
    made.node.start()
    yield made
    made.stop()


def is_whole(path):
    return path.is_file() and hashlib.sha256(path.read_bytes()).hexdigest() == path.name[:64]


def flip_a_bit(path):
    data = bytearray(path.read_bytes())
    data[-100] ^= 4
    path.write_bytes(data)


def replace_by_folder(path):
    path.unlink()
    path.mkdir()
    (path / "x").write_text("x")


DAMAGES = [lambda p: p.write_bytes(p.read_bytes()[:500]), lambda p: p.write_bytes(b""), flip_a_bit, replace_by_folder,
           lambda p: p.unlink()]


def test_damaged_objects_are_named_and_mended_by_sending_again(site):
    study = site.study(9001)
    harness.send(study, site.node.port)
    site.study_is("done")
    site.results_are_sent(2)
    assert site.faults() == []
    chosen = site.objects()[:len(DAMAGES)]
    for damage, path in zip(DAMAGES, chosen):
        damage(path)
    faults = site.faults()
    assert len(faults) >= len(chosen)
    for path in chosen:
        assert any(path.name[:12] in f for f in faults), (path.name, faults)
    sent = site.archive.count()
    harness.send(study, site.node.port)
    harness.wait_until(lambda: all(is_whole(p) for p in chosen), 60, "mended objects")
    assert site.node.log().count("event=object-mended") == len(chosen)
    harness.wait_until(lambda: site.node.log().count("event=job-outcome") == 2, 60, "another analysis")
    site.study_is("done")
    assert site.faults() == []
    assert len(site.rows("jobs")) == 1 and site.archive.count() == sent  # the same report, which is there already
    before = len(site.rows("jobs"))
    harness.send(study, site.node.port)  # what is whole stays as it is, and starts nothing
    harness.wait_until(lambda: not list((site.state / "spool" / "new").iterdir()), 60, "an empty spool")
    assert len(site.rows("jobs")) == before and site.rows("studies")[0]["state"] == "done"


def change_model(node, folder):
    """The shipped package under another version is another model."""
    package = shutil.copytree(harness.PACKAGE, folder / "promoted")
    (package / "manifest.sig").unlink(missing_ok=True)
    manifest = json.loads((package / "manifest.json").read_text())
    manifest["version"] = "9.0.0"
    (package / "manifest.json").write_text(json.dumps(manifest))
    node.config.write_text(re.sub(r"model_package = .*", f"model_package = {package}", node.config.read_text()))


def test_a_rebuild_after_a_promotion_reports_nothing_again(site, tmp_path):
    harness.send(site.study(9002), site.node.port)
    site.study_is("done")
    site.results_are_sent(2)
    first = site.archive.reports()[0]
    site.node.stop()
    assert site.faults() == []
    change_model(site.node, tmp_path)
    assert "1 jobs with 2 results" in site.node.cli("rebuild-index").stdout
    site.node.start()
    harness.wait_until(lambda: site.node.log().count("event=worker-ready") == 2, 60, "the promoted model")
    site.study_is("done")
    assert site.faults() == []
    assert len(site.rows("jobs")) == 1 and site.rows("jobs")[0]["version"] != "9.0.0"
    assert {r["state"] for r in site.rows("outbound")} == {"sent"} and site.archive.count() == 2
    site.node.cli("retry", "--study", site.rows("studies")[0]["name"])
    harness.wait_until(lambda: len(site.archive.reports()) == 2, 60, "the report of the promoted model")
    second = next(r for r in site.archive.reports() if r.SOPInstanceUID != first.SOPInstanceUID)
    predecessor = second.PredecessorDocumentsSequence[0].ReferencedSeriesSequence[0].ReferencedSOPSequence[0]
    assert predecessor.ReferencedSOPInstanceUID == first.SOPInstanceUID
    site.results_are_sent(4)
    # The same without anybody's order: the index is gone, and the node makes it again as it starts.
    site.node.kill()
    for path in site.state.glob("index.sqlite*"):
        path.unlink()
    site.node.start()
    harness.wait_until(lambda: site.node.log().count("event=worker-ready") == 3, 60, "a worker")
    site.study_is("done")
    assert site.faults() == []
    assert sorted((j["job"], j["state"]) for j in site.rows("jobs")) == [(1, "done"), (2, "done")]
    assert [r["state"] for r in site.rows("outbound")] == ["sent"] * 4 and site.archive.count() == 4
    # Notes of what was sent that are not there are made up for.
    site.node.stop()
    (site.state / "results/2/sent.jsonl").unlink()
    assert [f for f in site.faults() if "was sent to pacs, but a rebuild would not know it" in f]
    site.node.start()
    harness.wait_until((site.state / "results/2/sent.jsonl").exists, 30, "the notes")
    harness.wait_until(lambda: site.faults() == [], 30, "a whole store")


def cut_power(state):
    """As the file system may be afterwards: the names in spool/new, which are not synced, are gone, and it is another boot."""
    names = list((state / "spool/new").iterdir())
    for path in names:
        path.unlink()
    (state / "spool/boot").write_text("another boot")
    return len(names)


def test_a_power_cut_right_after_the_answer_loses_nothing(tmp_path):
    site = Site(tmp_path)
    site.node.start("--role", "receiver")
    try:
        study = site.study(9005)
        harness.send(study, site.node.port)
        site.node.stop()
        count = len(list(study.rglob("*.dcm")))
        assert cut_power(site.state) == count
        site.start()
        site.study_is("done")
        assert site.rows("studies")[0]["objects"] == count and site.faults() == []
    finally:
        site.stop()


def make_old(state):
    """The form of 0.1.0: the record is JSON in an extended attribute, and what waits for the index lies in spool/new."""
    for record in list((state / "objects").glob("*/*-*")):
        digest, sequence, received_ms, association, address, title = record.stem.split("-")
        path = record.with_name(digest + ".dcm")
        header = pydicom.dcmread(path, stop_before_pixels=True)
        os.setxattr(path, "user.livervlm.facts", json.dumps({
            "sop_class_uid": header.SOPClassUID, "sop_instance_uid": header.SOPInstanceUID,
            "transfer_syntax_uid": header.file_meta.TransferSyntaxUID, "study_instance_uid": header.StudyInstanceUID,
            "series_instance_uid": header.SeriesInstanceUID, "calling_aet": title, "address": address,
            "association_id": association, "received_ms": int(received_ms), "sequence": int(sequence),
            "byte_count": path.stat().st_size, "sha256": digest}).encode())
        record.unlink()
        if record.suffix == ".waiting":
            path.rename(state / "spool/new" / (digest + ".obj"))
            for name in (state / "spool/new").glob(f"{sequence}-{digest}-*"):
                name.unlink()
    (state / "spool/boot").unlink()


def test_a_state_folder_of_an_earlier_release_and_a_copy_without_attributes(tmp_path):
    site = Site(tmp_path)
    site.start()
    try:
        harness.send(site.study(9006), site.node.port)
        site.study_is("done")
        site.results_are_sent(2)
        site.node.stop()
        site.node.start("--role", "receiver")
        harness.send(site.study(9007), site.node.port)
        site.node.stop()
        count = len(site.objects())
        make_old(site.state)
        assert 0 < len(site.objects()) < count and not list((site.state / "objects").glob("*/*-*"))
        site.start()
        site.results_are_sent(4)
        assert site.faults() == [] and len(site.rows("jobs")) == 2 and site.archive.count() == 4
        assert len(site.objects()) == count == len(list((site.state / "objects").glob("*/*.record")))
        # A backup of files alone.
        site.node.stop()
        shutil.move(site.state, tmp_path / "lost")
        site.state.mkdir(mode=0o700)
        for name in ("objects", "results"):
            shutil.copytree(tmp_path / "lost" / name, site.state / name, copy_function=shutil.copyfile)
        shutil.copyfile(tmp_path / "lost/installation.key", site.state / "installation.key")
        assert "2 jobs with 4 results" in site.node.cli("rebuild-index").stdout
        site.start()
        site.study_is("done")
        site.study_is("done", index=1)
        assert site.faults() == [] and site.archive.count() == 4
    finally:
        site.stop()


def test_a_study_is_removed_with_what_was_made_of_it(tmp_path):
    site = Site(tmp_path, {"outbound": {"retry_first_seconds": 600, "retry_max_seconds": 600}})
    site.node.start()
    try:
        study = site.study(9003)
        harness.send(study, site.node.port)
        site.study_is("done")
        site.results_are_sent(2)
        for result in (site.state / "results").rglob("*.dcm"):
            assert stat.S_IMODE(result.stat().st_mode) == 0o600
        harness.send(site.study(9004, roi=False), site.node.port)
        harness.wait_until(lambda: len(site.rows("studies")) == 2 and not list((site.state / "spool/new").iterdir()), 30,
                           "the second study")
        count = len(site.objects())
        name = next(s["name"] for s in site.rows("studies") if s["state"] == "done")
        unsure = site.node.cli("study", "remove", name, check=False)
        assert unsure.returncode == 2 and "--yes" in unsure.stderr
        assert site.node.cli("study", "remove", "nobody", "--yes", check=False).returncode == 1
        assert len(site.rows("studies")) == 2 and len(site.objects()) == count
        assert f"removed study {name}" in site.node.cli("study", "remove", harness.study_uid_of(study), "--yes").stdout
        assert [s["state"] for s in site.rows("studies")] == ["collecting"]
        assert 0 < len(site.objects()) < count and not list((site.state / "results").iterdir())
        assert not list((site.state / "removing").iterdir()) and f"event=study-removed study={name}" in site.node.log()
        assert site.faults() == []

        site.archive.process.terminate()  # nobody takes the results
        site.archive.process.wait(10)
        harness.send(study, site.node.port)
        site.study_is("done", index=1)
        harness.wait_until(lambda: {r["state"] for r in site.rows("outbound")} == {"queued"}, 30, "results that wait")
        refused = site.node.cli("study", "remove", name, "--yes", check=False)
        assert refused.returncode == 1 and "have not been sent" in refused.stderr and len(site.objects()) == count
        site.node.cli("study", "remove", name, "--yes", "--force")
        assert len(site.rows("studies")) == 1 and site.rows("outbound") == [] and site.faults() == []

        # A kill as the list of what goes was written, its rows not gone yet: nothing of a study that is there goes.
        site.node.kill()
        kept = site.objects()
        listed = site.state / "removing" / "000000000000.json"
        listed.write_text(json.dumps({"at_ms": 4102444800000, "objects": [p.name[:64] for p in kept], "jobs": [1]}))
        site.node.start()
        harness.wait_until(lambda: not listed.exists(), 90, "the list worked off")
        assert site.objects() == kept and site.faults() == []
        # And one after the rows had gone: its files go.
        site.node.kill()
        for path in site.state.glob("index.sqlite*"):
            path.unlink()
        listed.write_text(json.dumps({"at_ms": 4102444800000, "objects": [p.name[:64] for p in kept], "jobs": [1]}))
        site.node.start()
        harness.wait_until(lambda: not listed.exists(), 90, "the list worked off")
        harness.wait_until(lambda: site.node.cli("status", check=False).returncode == 0, 60, "the pipeline")
        assert site.objects() == [] and site.rows("studies") == [] and site.faults() == []
    finally:
        site.stop()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another user")
def test_root_rebuilds_as_the_owner_of_the_folder(tmp_path):
    owner = 12345
    node = harness.Node(tmp_path / "node", harness.free_port())
    tmp_path.chmod(0o755)
    for folder in [tmp_path, *tmp_path.parents[:3]]:
        if not folder.stat().st_mode & 0o001:
            folder.chmod(folder.stat().st_mode | 0o011)
    state = node.folder / "state"
    state.mkdir(mode=0o700)
    os.chown(state, owner, owner)
    node.cli("rebuild-index")
    assert node.verify_store()["objects"] == 0
    made = list(state.rglob("*"))
    assert {p.stat().st_uid for p in made} == {owner} and {p.stat().st_gid for p in made} == {owner}
    assert {"index.sqlite", "installation.key", "index.lock"} <= {p.name for p in made}
    # A node that root starts by hand would leave its own files there.
    with open(node.log_path, "ab") as log:
        started = subprocess.Popen([str(harness.BIN / "livervlmd"), "--config", str(node.config), "--role", "pipeline"],
                                   stdout=log, stderr=log)
    harness.wait_until(lambda: "belongs to the user" in node.log(), 60, "a refusal")
    started.terminate()
    started.wait(20)
    assert {p.stat().st_uid for p in state.rglob("*")} == {owner}
    node.remove()


def start_with_clock(site, offset, fake_monotonic):
    """The node sees the wall clock moved by the file's offset; with fake_monotonic also the time since boot."""
    clock = site.folder / "clock"
    clock.write_text(offset)
    given = {"LD_PRELOAD": FAKETIME, "FAKETIME_TIMESTAMP_FILE": str(clock), "FAKETIME_NO_CACHE": "1",
             "FAKETIME_DONT_RESET": "1"}
    if not fake_monotonic:
        given["FAKETIME_DONT_FAKE_MONOTONIC"] = "1"
    os.environ.update(given)
    try:
        site.node.start()
    finally:
        for name in given:
            del os.environ[name]
    return clock


@needs_faketime
def test_a_clock_that_was_set_forward_removes_nothing(tmp_path):
    jump = "+12y"
    site = Site(tmp_path, {"retention": {"keep_days": 30, "keep_waiting_days": 30}})
    try:
        clock = start_with_clock(site, "+0", fake_monotonic=False)
        harness.send(site.study(9006), site.node.port)
        harness.send(site.study(9007, roi=False), site.node.port)
        harness.wait_until(lambda: sorted(s["state"] for s in site.rows("studies")) == ["collecting", "done"], 60, "studies")
        site.results_are_sent(2)
        count = len(site.objects())
        clock.write_text(jump)
        harness.wait_until(lambda: "event=retention-waits" in site.node.log(), 90, "a word on the clock")
        assert "the clock moved by +" in site.attention("retention")
        assert "attention    the clock moved by +" in site.node.cli("status").stdout
        assert len(site.objects()) == count and "event=expired" not in site.node.log()
        site.node.stop()  # nor after a restart
        start_with_clock(site, jump, fake_monotonic=False)
        harness.wait_until(lambda: site.node.log().count("event=retention-waits") == 2, 60, "the same word again")
        assert len(site.objects()) == count and "event=expired" not in site.node.log()
    finally:
        site.stop()


@needs_faketime
def test_time_that_has_passed_removes_what_was_sent_and_what_waited(tmp_path):
    site = Site(tmp_path, {"retention": {"keep_days": 30, "keep_waiting_days": 40}})
    try:
        clock = start_with_clock(site, "+0", fake_monotonic=True)
        harness.send(site.study(9008), site.node.port)
        harness.send(site.study(9009, roi=False), site.node.port)
        harness.wait_until(lambda: sorted(s["state"] for s in site.rows("studies")) == ["collecting", "done"], 60, "studies")
        site.results_are_sent(2)
        clock.write_text("+35d")
        harness.wait_until(lambda: [s["state"] for s in site.rows("studies")] == ["collecting"], 60, "one study gone")
        assert site.attention("expiry") == ""
        clock.write_text("+948h")  # half a day before its end
        harness.wait_until(lambda: site.attention("expiry").startswith("1 study without a result will be removed within 24 h"),
                           30, "a word before it goes")
        clock.write_text("+45d")
        harness.wait_until(lambda: site.rows("studies") == [], 60, "the other gone")
        assert site.objects() == [] and "key=keep_waiting_days" in site.node.log()
    finally:
        site.stop()


def test_a_full_disk_is_announced_before_reception_stops(tmp_path):
    node = harness.Node(tmp_path / "node", harness.free_port(),
                        overrides={"reception": {"spool_warning_bytes": 900000000000000}}).start()
    try:
        harness.wait_until(lambda: "event=disk-low" in node.log(), 60, "a warning")
        assert [line["kind"] for line in node.table("status")["attention"]] == ["disk"]
        with urllib.request.urlopen(f"http://127.0.0.1:{node.web_port}/health", timeout=10) as answer:
            assert answer.status == 200 and answer.read().startswith(b"ok\nthe disk is filling up")
        for host in ("evil.example", f"evil.example:{node.web_port}", "127.0.0.1.evil.example"):
            request = urllib.request.Request(f"http://127.0.0.1:{node.web_port}/metrics", headers={"Host": host})
            with pytest.raises(urllib.error.HTTPError) as answer:
                urllib.request.urlopen(request, timeout=10)
            assert answer.value.code == 403 and b"livervlm" not in answer.value.read()
        request = urllib.request.Request(f"http://127.0.0.1:{node.web_port}/metrics", headers={"Host": "localhost:1"})
        assert b"livervlm_" in urllib.request.urlopen(request, timeout=10).read()
    finally:
        node.remove()


def test_a_package_with_wrong_answers_never_comes_in(tmp_path):
    package = shutil.copytree(harness.PACKAGE, tmp_path / "wrong")
    (package / "manifest.sig").unlink(missing_ok=True)
    vectors = bytearray((package / "test_vectors.safetensors").read_bytes())
    length = int.from_bytes(vectors[:8], "little")
    header = json.loads(vectors[8:8 + length])
    name = min((n for n in header if n != "__metadata__"), key=lambda n: header[n]["data_offsets"][1]
               - header[n]["data_offsets"][0] if header[n]["dtype"] == "F32" else 1 << 60)
    start, end = (8 + length + o for o in header[name]["data_offsets"])
    for at in range(start, end, 4):
        vectors[at + 3] ^= 0x80  # the sign
    (package / "test_vectors.safetensors").write_bytes(vectors)
    manifest = json.loads((package / "manifest.json").read_text())
    manifest["files"]["test_vectors.safetensors"] = hashlib.sha256(vectors).hexdigest()
    (package / "manifest.json").write_text(json.dumps(manifest))
    key = tmp_path / "key.pem"
    public = tmp_path / "public.pem"
    harness.run("openssl", "genpkey", "-algorithm", "ed25519", "-out", key)
    harness.run("openssl", "pkey", "-in", key, "-pubout", "-out", public)
    harness.run(harness.BIN / "livervlm", "model", "sign", package, "--key", key)
    models = tmp_path / "models"
    done = harness.run(harness.BIN / "livervlm", "model", "import", package, "--models", models, "--key", public, check=False)
    assert done.returncode != 0 and "vector" in done.stderr
    assert list(models.iterdir()) == []
