"""The audit trail: every kind of event, valid by the standard's grammar, through a repository that is away for a while."""

import signal

import pynetdicom
import pytest
from pynetdicom.sop_class import Verification

import audit_io
import harness
from certificates import Authority

SAMPLES = sorted((harness.ROOT / "tests" / "data" / "ct_liver_3slices").glob("*.dcm"))


@pytest.fixture
def site(tmp_path):
    class Site:
        authority = Authority(tmp_path / "ca", "authority")
        node_pair = authority.sign("node")
        scanner = authority.sign("scanner")
        file = tmp_path / "audit.log"
        port, tls_port = harness.free_port(), harness.free_port()

    made = Site()
    made.repository = audit_io.Repository(tmp_path / "repository", made.authority.sign("repository"), made.authority)
    made.node = harness.Node(tmp_path / "node", made.port, overrides={
        "node": {"tls_port": made.tls_port},
        "tls": {"certificate": made.node_pair.certificate, "private_key": made.node_pair.key,
                "trusted_certificates": made.authority.certificate},
        "audit": {"repository_host": "localhost", "repository_port": made.repository.port, "file": made.file,
                  "queue_bytes": 65536},
        'peer "modality"': {"tls": "allowed", "certificate": "CN=scanner,O=Test hospital"}})
    yield made
    made.node.remove()
    made.repository.stop()


def named(messages, name):
    return [m for m in messages if m.name == name]


def echo(port, calling):
    entity = pynetdicom.AE(ae_title=calling)
    entity.add_requested_context(Verification)
    association = entity.associate("127.0.0.1", port, ae_title=harness.NODE_AET)
    association.abort()


def test_events_reach_file_and_repository(site, tmp_path):
    site.node.start()
    harness.send(SAMPLES, site.port)
    harness.wait_until(lambda: site.node.table("studies"), 30, "the study")
    study = site.node.table("studies")["studies"][0]
    stranger = site.authority.sign("stranger", own=True)
    harness.run("echoscu", "-aet", harness.MODALITY_AET, "-aec", harness.NODE_AET, "+tls", stranger.key,
                stranger.certificate, "+cf", site.authority.certificate, "127.0.0.1", site.tls_port, check=False)
    echo(site.port, "NOBODY")
    site.node.config.write_text(site.node.config.read_text().replace("settle_seconds = 1", "settle_seconds = 2"))
    site.node.process.send_signal(signal.SIGHUP)
    harness.wait_until(lambda: named(audit_io.read(site.file), "Software Configuration"), 20, "the reload")
    site.node.cli("study", "remove", study["name"], "--force", "--yes")
    site.repository.start()  # it was away till now
    names = {"Application Start", "DICOM Instances Transferred", "Node Authentication", "Software Configuration",
             "Use of Restricted Function", "DICOM Study Deleted"}
    harness.wait_until(lambda: names <= {m.name for m in site.repository.messages()}, 60, "the messages")
    site.repository.stop()  # and again: what is told meanwhile waits
    assert site.node.stop() == 0
    site.repository.start()
    site.node.start()
    harness.wait_until(lambda: len(named(site.repository.messages(), "Application Start")) == 2, 30, "the rest")
    messages = site.repository.messages()
    assert [m.xml for m in messages] == [m.xml for m in audit_io.read(site.file)][:len(messages)]
    assert named(messages, "Application Stop")
    audit_io.validate(messages, tmp_path)
    received = named(messages, "DICOM Instances Transferred")[0]
    assert not received.failed and sum(received.instances.values()) == len(SAMPLES)
    assert received.objects["Study Instance UID"] == study["study_instance_uid"]
    assert received.objects["Patient Number"] and received.roles[harness.MODALITY_AET] == "Source Role ID"
    refused = named(messages, "Node Authentication")
    assert {("self-signed" in m.description, "NOBODY" in m.users) for m in refused} == {(True, False), (False, True)}
    assert all(m.failed and m.objects["Node ID"] == "127.0.0.1" for m in refused)
    assert any("settle_seconds: 1 -> 2" in d for m in named(messages, "Software Configuration") for d in m.details)
    deleted, = named(messages, "DICOM Study Deleted")
    assert deleted.objects == {k: received.objects[k] for k in ("Study Instance UID", "Patient Number")}
    action, = named(messages, "Use of Restricted Function")
    assert any(u.startswith("uid ") for u in action.users) and action.description.startswith("remove ")
    assert received.objects["Patient Number"] not in site.node.log()
    site.node.verify_store()


def test_what_does_not_fit_is_counted(site):
    site.node.start()
    for _ in range(100):
        echo(site.port, "NOBODY")
    harness.wait_until(lambda: len(named(audit_io.read(site.file), "Node Authentication")) == 100, 20, "100 refusals")
    assert "audit messages were dropped" in site.node.cli("status").stdout
    site.repository.start()
    site.node.process.send_signal(signal.SIGHUP)  # which asks it at once
    harness.wait_until(lambda: named(site.repository.messages(), "Audit Recording Stopped"), 70, "what was dropped")
    dropped = sum(int(m.description.split()[0]) for m in named(site.repository.messages(), "Audit Recording Stopped"))
    assert dropped > 10 and len(named(site.repository.messages(), "Node Authentication")) > 10
    harness.wait_until(lambda: len(site.repository.messages()) + dropped == len(audit_io.read(site.file)), 20,
                       "all but the dropped ones")
    harness.wait_until(lambda: "audit" not in site.node.cli("status").stdout, 10, "that all is well")
