"""What an administrator asks of a running node: where a study is, what waits and why, send it again, tell me."""

import datetime
import json
import os
import re
import shutil
import signal
import subprocess
import urllib.request

import harness
import pydicom
import pytest
from prometheus_client.parser import text_string_to_metric_families
from test_field_keeping import Site


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """One study with its result in the archive, then one that waits for a ROI."""
    made = Site(tmp_path_factory.mktemp("site"), {"outbound": {"retry_first_seconds": 3600, "retry_max_seconds": 3600}})
    made.start()
    made.answered = made.study(9101)
    made.waiting = made.study(9102, roi=False)
    harness.send(made.answered, made.node.port)
    made.results_are_sent(2)
    harness.send(made.waiting, made.node.port)
    harness.wait_until(lambda: [s["status_message"][:7] for s in made.rows("studies")] == ["", "waiting"], 60, "both studies")
    yield made
    made.stop()


def image_of(study):
    return pydicom.dcmread(next((study / "nc").glob("*.dcm")), stop_before_pixels=True)


def web(site, page):
    with urllib.request.urlopen(f"http://127.0.0.1:{site.node.web_port}/{page}", timeout=10) as answer:
        return answer.read().decode()


def samples(site):
    """{(name, value of its label): number}"""
    return {(s.name, *s.labels.values()): s.value for f in text_string_to_metric_families(web(site, "metrics")) for s in f.samples}


def found(site, text, *words):
    done = site.node.cli("studies", "--json", "--find", text, *words)
    return [s["study_instance_uid"] for s in json.loads(done.stdout)["studies"]]


def test_a_study_is_found_by_what_a_caller_knows(site):
    image = image_of(site.answered)
    uid = image.StudyInstanceUID
    result = next(r["sop_instance_uid"] for r in site.rows("outbound"))
    name = site.rows("studies")[0]["name"]
    for text in (image.AccessionNumber, image.PatientID, image.PatientID.lower(), "*" + image.PatientID[-4:], uid,
                 image.SeriesInstanceUID, image.SOPInstanceUID, result, name):
        assert found(site, text) == [uid], text
    date = image.StudyDate
    for text in (date, f"{date[:4]}-{date[4:6]}-{date[6:]}"):
        assert uid in found(site, text), text
    assert found(site, date, "--state", "failed") == [] == found(site, "19010101")
    assert found(site, "PHANTOM-*") == [image_of(site.waiting).StudyInstanceUID, uid]
    assert found(site, "PHANTOM-*", "--limit", "1") == [image_of(site.waiting).StudyInstanceUID]
    table = site.node.cli("studies", "--find", image.AccessionNumber).stdout
    assert image.AccessionNumber in table and image.PatientID in table and image.StudyDate in table
    nobody = site.node.cli("studies", "--find", "NOBODY", check=False)
    assert nobody.returncode == 1 and "no study is found by 'NOBODY'" in nobody.stderr


def test_whose_study_it_is_stands_in_no_log_and_no_index(site):
    image = image_of(site.answered)
    found(site, image.AccessionNumber)
    site.node.cli("studies", "--find", image.PatientID)
    for path in [site.node.log_path, *site.state.glob("index.sqlite*")]:
        data = path.read_bytes()
        assert image.PatientID.encode() not in data and image.AccessionNumber.encode() not in data, path


def test_lists_show_the_newest_first_with_results_and_local_times(site):
    table = site.node.cli("studies").stdout.splitlines()
    assert len(table) == 3 and "waiting for" in table[1] and "done" in table[2]
    row = site.rows("studies")[0]
    assert row["lesions"] == 1 and row["result"] != "" and row["result"] in table[2]
    assert site.rows("studies")[1]["lesions"] is None
    job = site.rows("jobs")[0]
    assert 0 < job["seconds"] < 120
    took = datetime.datetime.fromisoformat(job["finished"]) - datetime.datetime.fromisoformat(job["started"])
    assert abs(took.total_seconds() - job["seconds"]) < 0.01
    assert site.node.table("jobs", "--limit", "0")["more"] is False
    assert len(site.node.table("outbound", "--limit", "1")["outbound"]) == 1
    assert site.node.table("outbound", "--limit", "1")["more"] is True
    assert site.node.table("outbound", "--to", "nobody")["outbound"] == []
    assert site.node.table("outbound", "--study", row["name"])["outbound"] != []
    assert len(site.node.table("studies", "--since", "1h")["studies"]) == 2
    tomorrow = (datetime.datetime.now() + datetime.timedelta(days=1)).strftime("%Y-%m-%d")
    assert site.node.table("studies", "--since", tomorrow)["studies"] == []
    wrong = site.node.cli("studies", "--since", "yesterday", check=False)
    assert wrong.returncode == 2 and "'yesterday' is no time" in wrong.stderr
    sent = datetime.datetime.fromisoformat(next(r["sent"] for r in site.rows("outbound")))
    there = harness.run(harness.BIN / "livervlm", "outbound", "--config", site.node.config, env={**os.environ, "TZ": "XYZ-5"})
    assert (sent + datetime.timedelta(hours=5)).strftime("%Y-%m-%d %H:%M:%S") in there.stdout


def test_a_list_is_shown_again_and_again_until_it_is_ended(site):
    shown = subprocess.Popen([harness.BIN / "livervlm", "studies", "--watch", "--config", site.node.config],
                             stdout=subprocess.PIPE, text=True)
    times = []
    for line in iter(shown.stdout.readline, ""):
        times += [line] if "REMARK" in line else []
        if len(times) == 2:
            break
    shown.send_signal(signal.SIGINT)
    assert shown.wait(60) == -signal.SIGINT and len(times) == 2


def test_what_was_sent_is_sent_again_and_what_sleeps_is_woken(site):
    name = site.rows("studies")[0]["name"]
    before = site.archive.count()
    done = site.node.cli("send", "--study", name, "--to", "pacs")
    assert "queued for pacs: 2 objects" in done.stdout
    harness.wait_until(lambda: site.archive.count() == before + 2, 30, "the results once more")
    assert len(site.rows("jobs")) == 1
    for words, reason in ((("--to", "modality"), "has no host or no port"), (("--to", "nobody"), "there is no peer 'nobody'")):
        refused = site.node.cli("send", "--study", name, *words, check=False)
        assert refused.returncode != 0 and reason in refused.stderr
    nothing = site.node.cli("send", "--study", site.rows("studies")[1]["name"], "--to", "pacs", check=False)
    assert nothing.returncode == 1 and "has no results that could be sent" in nothing.stderr


def test_a_dead_destination_is_told_of_until_it_is_back(site):
    name = site.rows("studies")[0]["name"]
    before = site.archive.count()
    site.archive.stop()
    site.node.cli("send", "--study", name, "--to", "pacs")
    for attempt in range(3):
        harness.wait_until(lambda: all(r["next_attempt"] for r in site.rows("outbound")), 30, "an attempt in vain")
        assert (site.attention("destination") == "") == (attempt < 2)
        if attempt < 2:
            assert "queued again: 2" in site.node.cli("retry", "--now").stdout
    assert "pacs takes nothing: 2 objects wait, the oldest for less than 1 min" in site.attention("destination")
    assert site.attention("destination") in site.node.cli("status").stdout
    harness.wait_until(lambda: site.attention("destination") in web(site, "health"), 10, "a word in /health")
    assert web(site, "health").startswith("ok\n")
    assert samples(site)["livervlm_destination_waiting", "pacs"] == 2
    assert samples(site)["livervlm_attention", "destination"] == 1
    archive = site.archive
    archive.process = subprocess.Popen(["storescp", "-aet", harness.PACS_AET, "-od", str(archive.folder),
                                        "--unique-filenames", "--quiet", str(archive.port)])
    harness.wait_until(lambda: harness.port_is_open(archive.port), 20, "the archive's port")
    assert "queued again: 2" in site.node.cli("retry", "--now").stdout
    harness.wait_until(lambda: archive.count() == before + 2, 30, "the results, an hour before their time")
    harness.wait_until(lambda: samples(site)["livervlm_destination_waiting", "pacs"] == 0, 10, "its end in the metrics")
    assert site.attention("destination") == ""


def test_every_metric_is_explained_and_those_that_rules_and_dashboard_name_exist(site):
    families = list(text_string_to_metric_families(web(site, "metrics")))
    assert len(families) > 20
    for family in families:
        assert family.documentation and family.type != "unknown" and family.samples, family.name
    known = {sample.name for family in families for sample in family.samples}
    values = {(sample.name, value) for family in families for sample in family.samples for value in sample.labels.values()}
    monitoring = harness.ROOT / "config" / "monitoring"
    for path in (monitoring / "livervlm-alerts.yml", monitoring / "livervlm-dashboard.json"):
        text = path.read_text().replace('\\"', '"')
        names = set(re.findall(r"livervlm_[a-z_]+", text))
        assert len(names) > 5 and names <= known, (path, names - known)
        for name, value in re.findall(r'(livervlm_[a-z_]+)\{[a-z]+!?="([a-z]+)"\}', text):
            assert (name, value) in values, (path, name, value)
    json.loads((monitoring / "livervlm-dashboard.json").read_text())
    if shutil.which("promtool"):
        harness.run("promtool", "check", "rules", monitoring / "livervlm-alerts.yml")
        harness.run("promtool", "check", "metrics", input=web(site, "metrics"))


def test_a_test_patient_is_sent_and_marked_as_one(site):
    before = site.archive.count()
    for _ in range(2):
        done = site.node.cli("test-send", "pacs")
        assert re.search(r"made and analysed in [\d.]+ s\n.*connected by C-STORE in \d+ ms\n", done.stdout), done.stdout
        assert len(re.findall(r"\.dcm +stored, \d+ ms", done.stdout)) == 2
    assert site.archive.count() == before + 4
    sent = sorted(site.archive.folder.iterdir(), key=lambda p: p.stat().st_mtime)[-4:]
    objects = [pydicom.dcmread(path) for path in sent]
    assert len({o.SOPInstanceUID for o in objects}) == 2  # an archive keeps one test study
    for path, item in zip(sent, objects):
        assert (item.PatientID, str(item.PatientName), item.QualityControlSubject) == ("LIVERVLM-TEST", "TEST^LIVERVLM", "YES")
        verdict = harness.run("dciodvfy", "-new", path, check=False)
        assert "Error" not in verdict.stdout + verdict.stderr, verdict.stdout + verdict.stderr
    assert len(site.rows("studies")) == 2  # the node itself has nothing of it
    nobody = site.node.cli("test-send", "modality", check=False)
    assert nobody.returncode == 2 and "no peer 'modality' that anything can be sent to" in nobody.stderr


def test_echo_says_as_json_who_answers(site):
    done = json.loads(site.node.cli("echo", "--json").stdout)["peers"]
    assert [(p["peer"], p["answered"], p["error"]) for p in done] == [("pacs", True, "")] and done[0]["milliseconds"] < 5000
    site.archive.stop()
    failed = site.node.cli("echo", "--json", check=False)
    assert failed.returncode == 1 and failed.stderr == ""
    assert "nothing listens on that port" in json.loads(failed.stdout)["peers"][0]["error"]


HOOK = """#!/bin/sh
{ echo "occasion=$LIVERVLM_ALERT subject=$1 arguments=$#"; cat; } >> "$(dirname "$0")/told"
"""


def told(folder):
    return (folder / "told").read_text() if (folder / "told").exists() else ""


def test_somebody_is_told_of_what_is_new_lasts_and_is_over(tmp_path):
    hook, mailer = tmp_path / "hook", tmp_path / "sendmail"
    hook.write_text(HOOK)
    mailer.write_text('#!/bin/sh\n{ echo "$@"; cat; } >> "$(dirname "$0")/mailed"\n')
    hook.chmod(0o755)
    mailer.chmod(0o755)
    node = harness.Node(tmp_path / "node", harness.free_port(), overrides={"alerts": {
        "alert_command": hook, "alert_mail": "ops@example.org, pacs@example.org", "alert_sendmail": mailer,
        "alert_pause_seconds": 0}})
    (node.folder / "state").mkdir()
    try:
        node.cli("alert", "--test")
        assert told(tmp_path).startswith("occasion=test subject=Liver-VLM: a test arguments=1\n")
        mailed = (tmp_path / "mailed").read_text()
        assert mailed.startswith("-i ops@example.org pacs@example.org\nTo: ops@example.org, pacs@example.org\nSubject: Liver")
        (tmp_path / "told").unlink()
        node.cli("alert")
        assert told(tmp_path) == ""  # seen once: it may be a restart
        node.cli("alert")
        assert "occasion=attention" in told(tmp_path) and "1 thing needs attention" in told(tmp_path)
        assert "New:\n- the node is not running" in told(tmp_path)
        (tmp_path / "told").unlink()
        node.cli("alert")
        assert told(tmp_path) == ""  # it is known
        node.start()
        harness.wait_until(lambda: node.cli("status", check=False).returncode == 0, 30, "the pipeline")
        node.cli("alert")
        assert told(tmp_path) == ""
        node.cli("alert")
        assert "occasion=over" in told(tmp_path) and "all is well again" in told(tmp_path)
        assert "Over:\n- the node is not running" in told(tmp_path)
    finally:
        node.remove()


def test_no_shell_runs_and_what_fails_is_not_run_again_at_once(tmp_path):
    hook = tmp_path / "hook;touch $(dirname $0)|x"
    hook.write_text("#!/bin/sh\nexit 3\n")
    hook.chmod(0o755)
    node = harness.Node(tmp_path / "node", harness.free_port(), overrides={"alerts": {"alert_command": f'"{hook}"'}})
    (node.folder / "state").mkdir()
    failed = node.cli("alert", "--test", check=False)
    assert failed.returncode == 1 and "ended with exit status 3" in failed.stderr and not (tmp_path / "x").exists()
    node.cli("alert")
    assert node.cli("alert", check=False).returncode == 1
    assert node.cli("alert").returncode == 0  # not again within alert_pause_seconds
    node.config.write_text(node.config.read_text().replace("alert_command", "# alert_command"))
    nobody = node.cli("alert", check=False)
    assert nobody.returncode == 2 and "nobody is told" in nobody.stderr


@pytest.mark.parametrize("calling, called, words", [
    ("STRANGER", harness.NODE_AET, "it does not know this node's AE title: enter it there (Result: Rejected Permanent"),
    (harness.MODALITY_AET, "OTHER", "that is not its AE title: correct aet of the peer (Result: Rejected Permanent"),
])
def test_a_rejection_is_said_in_words_that_help(site, tmp_path, calling, called, words):
    other = harness.Node(tmp_path / "node", harness.free_port(), site.node.port,
                         {"node": {"ae_title": calling}, 'peer "pacs"': {"aet": called}})
    done = other.cli("echo", "pacs", check=False)
    assert done.returncode == 1 and words in done.stderr and done.stderr.count("\n") == 1


def test_a_rejection_without_a_reason_says_where_to_look(tmp_path):
    port = harness.free_port()
    peer = subprocess.Popen(["storescp", "--quiet", "--refuse", str(port)])
    try:
        harness.wait_until(lambda: harness.port_is_open(port), 20, "the peer's port")
        done = harness.Node(tmp_path / "node", harness.free_port(), port).cli("echo", "pacs", check=False)
        assert "it gives no reason; its log may: does it know this node's AE title and address?" in done.stderr
    finally:
        peer.terminate()
        peer.wait(10)
