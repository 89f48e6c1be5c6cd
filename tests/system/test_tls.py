"""DICOM over TLS and HTTPS, with peers that are not ours: DCMTK, pynetdicom, Orthanc, openssl and curl."""

import json
import os
import re
import signal
import socket
import ssl
import subprocess
import time

import pynetdicom
import pytest
from pynetdicom.sop_class import Verification

import audit_io
import harness
from certificates import Authority

SAMPLE = harness.ROOT / "tests" / "data" / "ct_liver_3slices" / "01.dcm"


class Hospital:
    """An authority, a node on a plain port and a TLS port, and its peers' certificates."""

    def __init__(self, folder):
        self.folder = folder
        self.authority = Authority(folder / "ca", "authority")
        self.elsewhere = Authority(folder / "elsewhere", "elsewhere")
        self.node_pair = self.authority.sign("node")
        self.scanner = self.authority.sign("scanner")
        self.workstation = self.authority.sign("workstation")
        self.port = harness.free_port()
        self.tls_port = harness.free_port()
        self.echo_port = harness.free_port()
        self.overrides = {
            "node": {"tls_port": self.tls_port},
            "reception": {"negotiate_seconds": 30, "max_associations": 256},
            "tls": {"certificate": self.node_pair.certificate, "private_key": self.node_pair.key,
                    "trusted_certificates": self.authority.certificate},
            "web": {"web_tls": "on"},
            'peer "modality"': {"tls": "required", "certificate": self.scanner.fingerprint(), "max_associations": 128},
            'peer "pacs"': {"tls": "required", "host": "127.0.0.1", "port": self.echo_port},
            'peer "old"': {"aet": "OLD", "host": "127.0.0.1", "results_to": "pacs"},
            'peer "either"': {"aet": "EITHER", "host": "127.0.0.1", "tls": "allowed", "results_to": "pacs",
                              "certificate": "CN=workstation,O=Test hospital"},
        }
        self.node = harness.Node(folder / "node", self.port, overrides=self.overrides)

    def echo(self, pair, calling=harness.MODALITY_AET, port=None, trusted=None, extra=()):
        """DCMTK's echoscu; `pair` None: without a certificate; False: without TLS."""
        words = ["echoscu", "-v", "-aet", calling, "-aec", harness.NODE_AET]
        if pair is not False:
            words += ["+tls", pair.key, pair.certificate] if pair else ["+tla"]
            words += ["+cf", trusted or self.authority.certificate]
        return harness.run(*words, *extra, "127.0.0.1", port or self.tls_port, check=False, timeout=30)

    def last_log(self, event):
        return [line for line in self.node.log().splitlines() if f"event={event} " in line][-1]


@pytest.fixture(scope="module")
def hospital(tmp_path_factory):
    made = Hospital(tmp_path_factory.mktemp("tls"))
    made.node.start()
    yield made
    made.node.remove()


def test_objects_come_by_tls_from_whom_they_may(hospital):
    done = harness.run("storescu", "-v", "-aet", harness.MODALITY_AET, "-aec", harness.NODE_AET, "+tls", hospital.scanner.key,
                       hospital.scanner.certificate, "+cf", hospital.authority.certificate, "127.0.0.1",
                       hospital.tls_port, SAMPLE)
    assert "Received Store Response (Success)" in done.stdout + done.stderr
    assert "tls=yes" in hospital.last_log("association-opened")
    assert hospital.echo(False, "OLD", hospital.port).returncode == 0
    assert "tls=no" in hospital.last_log("association-opened")
    for pair, port in ((hospital.workstation, hospital.tls_port), (False, hospital.port)):
        assert hospital.echo(pair, "EITHER", port).returncode == 0


def strangers(hospital):
    """{what the log says: certificate}"""
    return {
        "unable to get local issuer certificate": hospital.elsewhere.sign("foreign"),
        "certificate has expired": hospital.authority.sign("expired", days=30, age_days=90),
        "certificate is not yet valid": hospital.authority.sign("early", age_days=-20),
        "self-signed certificate": hospital.authority.sign("selfmade", own=True),
        "peer did not return a certificate": None,
    }


def test_strangers_get_no_further_than_the_handshake(hospital):
    for reason, pair in strangers(hospital).items():
        assert hospital.echo(pair).returncode != 0, reason
        harness.wait_until(lambda why=reason: why in hospital.last_log("tls-refused"), 5, reason)
    assert hospital.echo(hospital.scanner).returncode == 0


def test_a_certificate_is_one_peers_and_nobody_elses(hospital):
    pacs = hospital.authority.sign("pacs")
    for pair, calling, reason in (
            (hospital.workstation, harness.MODALITY_AET, "its certificate is not this peer's"),
            (pacs, harness.MODALITY_AET, "its certificate is not this peer's"),
            (hospital.scanner, harness.PACS_AET, "its certificate is another peer's"),
            (pacs, "OLD", "it called with TLS, which is off for this peer")):
        assert hospital.echo(pair, calling).returncode != 0, (calling, reason)
        assert reason in hospital.last_log("association-rejected")
    assert hospital.echo(pacs, harness.PACS_AET).returncode == 0
    assert hospital.echo(False, harness.MODALITY_AET, hospital.port).returncode != 0
    assert "it called without TLS" in hospital.last_log("association-rejected")


def s_client(port, *words):
    done = subprocess.run(["openssl", "s_client", "-connect", f"127.0.0.1:{port}", *map(str, words)], input="",
                          capture_output=True, text=True, timeout=30)
    return done.stdout + done.stderr


def test_old_versions_and_weak_ciphers_are_refused(hospital):
    mine = ["-cert", hospital.scanner.certificate, "-key", hospital.scanner.key, "-CAfile",
            hospital.authority.certificate]
    for port, words in ((hospital.tls_port, mine), (hospital.node.web_port, mine)):
        for bad in (["-tls1"], ["-tls1_1"], ["-tls1_2", "-cipher", "AES128-GCM-SHA256"],
                    ["-tls1_2", "-cipher", "ECDHE-RSA-AES128-SHA"], ["-tls1_2", "-cipher", "NULL-SHA256"]):
            text = s_client(port, *words, *bad, "-cipher" if "-cipher" not in bad else "-no_ticket",
                            *(["ALL:COMPLEMENTOFALL:@SECLEVEL=0"] if "-cipher" not in bad else []))
            assert re.search(r"Cipher is \(NONE\)|Error setting cipher", text), (port, bad, text)
        for good in (["-tls1_2"], ["-tls1_3"]):
            text = s_client(port, *words, *good)
            assert re.search(r"Cipher is (ECDHE|TLS)\S+GCM", text) and "Verification: OK" in text, (port, good, text)


def test_half_open_handshakes_delay_nobody(hospital):
    held = [socket.create_connection(("127.0.0.1", hospital.tls_port)) for _ in range(50)]
    for number, connection in enumerate(held):  # some of them in the middle of a ClientHello
        connection.sendall(b"\x16\x03\x01\x02\x00\x01"[:number % 7])
    seconds = []
    while len(seconds) < 5 and min(seconds, default=9) >= 1:  # a busy machine is not the node's fault
        started = time.monotonic()
        assert hospital.echo(hospital.scanner).returncode == 0
        seconds.append(time.monotonic() - started)
    assert min(seconds) < 1, seconds
    for connection in held:
        connection.setblocking(False)
        with pytest.raises(BlockingIOError):  # it was held all the time
            connection.recv(1)
        connection.close()


def tls_context(hospital, pair, purpose):
    context = ssl.create_default_context(purpose, cafile=str(hospital.authority.certificate))
    context.load_cert_chain(pair.certificate, pair.key)
    context.verify_mode = ssl.CERT_REQUIRED
    context.check_hostname = purpose == ssl.Purpose.SERVER_AUTH
    return context


def test_pynetdicom_calls_and_is_called(hospital):
    entity = pynetdicom.AE(ae_title="EITHER")
    entity.add_requested_context(Verification)
    association = entity.associate("127.0.0.1", hospital.tls_port, ae_title=harness.NODE_AET, tls_args=(
        tls_context(hospital, hospital.workstation, ssl.Purpose.SERVER_AUTH), "localhost"))
    assert association.is_established and association.send_c_echo().Status == 0
    association.release()
    for pair, problem in ((hospital.authority.sign("archive"), None),
                          (hospital.authority.sign("renamed", names="DNS:other.example.org"), "IP address mismatch"),
                          (hospital.elsewhere.sign("impostor"), "unable to get local issuer certificate"),
                          (hospital.scanner, None)):
        archive = pynetdicom.AE(ae_title=harness.PACS_AET)
        archive.add_supported_context(Verification)
        server = archive.start_server(("127.0.0.1", hospital.echo_port), block=False, ssl_context=tls_context(
            hospital, pair, ssl.Purpose.CLIENT_AUTH))
        done = hospital.node.cli("echo", "pacs", check=False)
        server.shutdown()
        if problem:
            assert done.returncode == 1 and problem in done.stderr, (problem, done)
        else:
            assert re.search(r"pacs: answered in \d+ ms, TLSv1.3, TLS_\S+, certificate of CN=\w+,O=Test hospital until "
                             r"\d{4}-", done.stdout), done


def test_a_silent_server_ends_a_call_in_time(hospital):
    with socket.create_server(("127.0.0.1", hospital.echo_port)):
        config = hospital.folder / "quick.ini"
        config.write_text(hospital.node.config.read_text() + "[outbound]\nconnect_seconds = 1\n")
        started = time.monotonic()
        done = harness.run(harness.BIN / "livervlm", "echo", "pacs", "--config", config, check=False)
        assert done.returncode == 1 and "took longer" in done.stderr, done
        assert time.monotonic() - started < 4


def curl(hospital, path, *words):
    return harness.run("curl", "-sS", "--cacert", hospital.authority.certificate, *words,
                       f"https://127.0.0.1:{hospital.node.web_port}{path}", check=False)


def test_certificates_are_read_again_and_their_end_is_told(hospital):
    assert curl(hospital, "/health").stdout == "ok\n"
    assert harness.run("curl", "-sS", f"http://127.0.0.1:{hospital.node.web_port}/health", check=False).stdout != "ok\n"
    fresh = hospital.authority.sign("fresh", days=10)
    for new, old in ((fresh.certificate, hospital.node_pair.certificate), (fresh.key, hospital.node_pair.key)):
        os.replace(new, old)
    hospital.node.process.send_signal(signal.SIGHUP)
    mine = ["-cert", hospital.scanner.certificate, "-key", hospital.scanner.key]
    for port in (hospital.node.web_port, hospital.tls_port):
        harness.wait_until(lambda where=port: "CN = fresh" in s_client(where, *mine), 15, f"the new certificate at {port}")
    sentence = r"the certificate of CN=fresh,O=Test hospital ends on \d{4}-\d\d-\d\d, in \d days"
    harness.wait_until(lambda: re.search(r"^ok\n" + sentence, curl(hospital, "/health").stdout), 10, "/health")
    assert re.search(r"attention +" + sentence, hospital.node.cli("status").stdout)
    assert "livervlm_certificate_end_timestamp_seconds" in curl(hospital, "/metrics").stdout
    harness.wait_until(lambda: re.search(r"event=certificate-ends .*" + sentence, hospital.node.log()), 65, "the log")
    assert hospital.echo(hospital.scanner).returncode == 0
    hospital.node_pair.key.write_text("nonsense")  # the files that are read are worse than those in use
    hospital.node.process.send_signal(signal.SIGHUP)
    harness.wait_until(lambda: hospital.node.log().count("event=reload-failed") >= 2, 15, "the refusal")
    assert hospital.echo(hospital.scanner).returncode == 0


def test_one_port_for_both_and_results_by_tls(tmp_path):
    """Orthanc sends a study by TLS and gets the results by TLS; an old scanner calls the same port without."""
    made = Hospital(tmp_path)
    pair = made.authority.sign("orthanc")
    made.overrides["node"]["tls_port"] = made.port
    made.overrides["web"]["web_tls"] = "mutual"
    made.overrides["audit"] = {"file": tmp_path / "audit.log"}
    pacs = harness.Orthanc(tmp_path / "pacs", made.port)
    configuration = json.loads(pacs.file.read_text())
    configuration.update({
        "DicomTlsEnabled": True, "DicomTlsCertificate": str(pair.certificate), "DicomTlsPrivateKey": str(pair.key),
        "DicomTlsTrustedCertificates": str(made.authority.certificate),
        "DicomModalities": {"livervlm": {"AET": harness.NODE_AET, "Host": "127.0.0.1", "Port": made.port,
                                         "UseDicomTls": True}}})
    pacs.file.write_text(json.dumps(configuration))
    made.overrides['peer "pacs"'].update({"port": pacs.dicom_port, "certificate": pair.fingerprint()})
    node = made.node = harness.Node(tmp_path / "node2", made.port, overrides=made.overrides)
    try:
        pacs.start()
        node.start()
        study = harness.phantom(tmp_path / "study", "--seed", "3")
        uid = harness.study_uid_of(study)
        files = sorted(study.rglob("*.dcm"))
        stored = [pacs.post("/instances", file.read_bytes())["ID"] for file in files]
        pacs.post("/modalities/livervlm/store", stored)
        assert made.echo(False, "OLD", made.port).returncode == 0
        assert made.echo(False, harness.MODALITY_AET, made.port).returncode != 0
        assert made.echo(made.scanner, harness.MODALITY_AET, made.port).returncode == 0
        assert "TLSv1" in node.cli("echo", "pacs").stdout
        harness.wait_until(lambda: pacs.results_of_study(uid)[0], 180, "the report by TLS")
        told = lambda: {m.name: m for m in audit_io.read(tmp_path / "audit.log")}  # noqa: E731
        harness.wait_until(lambda: told()["DICOM Instances Transferred"].roles[harness.PACS_AET] == "Destination Role ID",
                           20, "the end of the transfer")
        sent = told()["DICOM Instances Transferred"]
        begun, used = told()["Begin Transferring DICOM Instances"], told()["DICOM Instances Accessed"]
        assert not sent.failed and sent.objects == begun.objects == used.objects
        assert sent.objects["Study Instance UID"] == uid and sent.objects["Patient Number"]
        assert sent.instances == begun.instances and sent.instances[harness.SR_CLASS] == 1
        assert "demo-phantom" in told()["Software Configuration"].description
        audit_io.validate(audit_io.read(tmp_path / "audit.log"), tmp_path)
        assert curl(made, "/health").returncode != 0
        mine = ["--cert", made.scanner.certificate, "--key", made.scanner.key]
        assert curl(made, "/health", *mine).stdout == "ok\n"
        foreign = made.elsewhere.sign("foreign2")
        assert curl(made, "/health", "--cert", foreign.certificate, "--key", foreign.key).returncode != 0
    finally:
        node.remove()
        pacs.stop()


def test_check_config_says_what_is_wrong(tmp_path):
    authority = Authority(tmp_path / "ca", "authority")
    middle = Authority(tmp_path / "ca", "middle", signed_by=authority)
    good, other = authority.sign("good"), authority.sign("other")
    old, early = authority.sign("old", days=30, age_days=90), authority.sign("early", age_days=-20)
    below, weak = middle.sign("below"), authority.sign("weak", key=("rsa:1024",))
    locked, open_key = tmp_path / "locked.key", tmp_path / "open.key"
    harness.run("openssl", "pkey", "-in", good.key, "-aes256", "-passout", "pass:secret", "-out", locked)
    locked.chmod(0o600)
    open_key.write_bytes(good.key.read_bytes())
    open_key.chmod(0o644)
    empty, chain = tmp_path / "empty.pem", tmp_path / "chain.pem"
    empty.write_text("")
    chain.write_text(below.certificate.read_text() + middle.certificate.read_text())

    def check(certificate, key, trusted=authority.certificate):
        file = tmp_path / "check.ini"
        file.write_text(f"[analysis]\nmodel_package = {harness.PACKAGE}\n[tls]\ncertificate = {certificate}\n"
                        f"private_key = {key}\ntrusted_certificates = {trusted}\n")
        return harness.run(harness.BIN / "livervlm", "check-config", "--strict", file, check=False)

    for certificate, key in ((good.certificate, good.key), (chain, below.key)):
        assert "certificate" not in check(certificate, key).stdout, check(certificate, key)
    for message, pair in (("ended on", old), ("is not valid before", early)):  # peers without TLS may still be served
        done = check(pair.certificate, pair.key)
        assert done.returncode == 2 and re.search(rf"warning: .*CN={pair.key.stem},.* {message} ", done.stdout), done
    for message, words in (
            ("is not the key of the first certificate", (good.certificate, other.key)),
            ("is encrypted, and nobody is there", (good.certificate, locked)),
            ("others than its owner may use", (good.certificate, open_key)),
            ("cannot read", (good.certificate, tmp_path / "nowhere.key")),
            ("no private key (PEM)", (good.certificate, good.certificate.with_suffix(".csr").chmod(0o600)
                                      or good.certificate.with_suffix(".csr"))),
            ("is incomplete: append the certificate of CN=middle", (below.certificate, below.key)),
            ("cannot be used: ee key too small", (weak.certificate, weak.key)),
            ("there is no certificate (PEM)", (good.certificate, good.key, empty)),
            ("is missing: TLS needs", (good.certificate, ""))):
        done = check(*words)
        assert done.returncode == 2 and message in done.stderr and done.stderr.count("\n") == 1, (message, done)
