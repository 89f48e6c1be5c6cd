"""DICOMweb: results by STOW-RS to Orthanc over HTTPS and to a server that refuses, and servers that are not trusted."""

import hashlib
import hmac
import json
import re
import ssl
import time

import pytest
from web_certificates import Authority, secret
from harness import Node, Orthanc, free_port, phantom, run, send, study_uid_of, wait_until
from web_server import Server, TlsFront, server_context

DICOM_JSON = {"Content-Type": "application/dicom+json"}
LOGIN = "node:pass word"


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("ca"))


def instance_of(body):
    """SOP instance UID and modality of the object in a STOW-RS request, by pydicom."""
    import io

    import pydicom
    boundary, rest = body.split(b"\r\n", 1)
    part = rest.split(b"\r\n\r\n", 1)[1].split(b"\r\n" + boundary, 1)[0]
    dataset = pydicom.dcmread(io.BytesIO(part))
    return dataset.SOPInstanceUID, dataset.Modality


def store_answer(sequence, uid, **codes):
    item = {"00081155": {"vr": "UI", "Value": [uid]}}
    item.update({tag: {"vr": "US", "Value": [code]} for tag, code in codes.items()})
    return json.dumps({sequence: {"vr": "SQ", "Value": [item]}}).encode()


def test_results_by_stow(tmp_path, authority):
    """To Orthanc all of them, over HTTPS with a login; to the other what it takes, when it wants it."""
    _, _, both = authority.issue("orthanc")
    port = free_port()
    orthanc = Orthanc(tmp_path / "pacs", port, login=LOGIN, extra={
        "Plugins": ["/usr/share/orthanc/plugins/libOrthancDicomWeb.so"], "AuthenticationEnabled": True,
        "RegisteredUsers": {"node": "pass word"}, "DicomWeb": {"Enable": True, "Root": "/dicom-web/"}}).start()
    front = TlsFront(orthanc.http_port, server_context(both))

    def answer(request):
        """Busy at first; then it stores reports, and cannot understand captures."""
        uid, modality = instance_of(request.body)
        if len(flaky.requests) == 1:
            return 503, {"Retry-After": "2"}, b""
        if modality == "SR":
            return 200, DICOM_JSON, store_answer("00081199", uid)
        return 409, DICOM_JSON, store_answer("00081198", uid, **{"00081197": 0xC000})

    flaky = Server(answer)
    # Out of order at first.
    ris = Server(lambda request: (500 if len(ris.requests) == 1 else 204, {}, b""))
    mine, key, _ = authority.issue("mine")
    node = Node(tmp_path / "node", port, overrides={
        "outbound": {"retry_first_seconds": 1, "retry_max_seconds": 1},
        "tls": {"certificate": mine, "private_key": key, "trusted_certificates": authority.certificate},
        'peer "modality"': {"results_to": "cloud, flaky"},
        'peer "cloud"': {"protocol": "dicomweb", "url": front.url + "/dicom-web/",
                         "may_send": "no", "https_ca_file": authority.certificate, "user": "node",
                         "password_file": secret(tmp_path / "password", "pass word")},
        'peer "flaky"': {"protocol": "dicomweb", "url": flaky.url, "may_send": "no"},
        'webhook "ris"': {"url": ris.url + "/hook", "secret_file": secret(tmp_path / "secret", "shared secret"),
                          "https_certificate": authority.issue("ending", client=True)[2]}}).start()
    try:
        assert "QIDO-RS" in node.cli("echo", "cloud").stdout
        study = phantom(tmp_path / "study", "--seed", 3, "--matrix", 256, "--coverage", 60, "--lesions", 1)
        send(study, port)

        def ended():
            rows = [row for row in node.table("outbound")["outbound"] if row["kind"] == "object"]
            return rows if rows and all(row["state"] in ("sent", "failed") for row in rows) else None

        rows = wait_until(ended, 120, "what became of the results", interval=0.5)
        wait_until(lambda: len(ris.requests) >= 5, 30, "events")
        cloud = [row for row in rows if row["destination"] == "cloud"]
        assert cloud and all((row["state"], row["verdict"], row["status"]) == ("sent", "stored", 200) for row in cloud)
        reports, captures = orthanc.results_of_study(study_uid_of(study))
        assert len(reports) + len(captures) == len(cloud) and reports and captures
        refused = [row for row in rows if row["destination"] == "flaky" and row["state"] == "failed"]
        stored = [row for row in rows if row["destination"] == "flaky" and row["state"] == "sent"]
        assert len(stored) == len(reports) and len(refused) == len(captures)
        assert "0xC000 (cannot understand)" in refused[0]["status_message"] and refused[0]["status"] == 409
        busy = re.findall(r'event=send .*destination=flaky verdict=retry .*status=503 reason="([^"]*)"', node.log())
        assert len(busy) == len(cloud) and "503 service unavailable" in busy[0]  # the rest of the batch was not tried
        assert len(flaky.requests) == 1 + len(cloud)
        assert "pass word" not in node.log()
        check_events(ris.requests, study)
        assert wait_until(lambda: [row["state"] for row in node.table("outbound")["outbound"] if row["kind"] == "event"] ==
                          ["sent"] * 4, 30, "events are told")
    finally:
        node.remove()
        front.stop()
        orthanc.stop()
        flaky.stop()
        ris.stop()


def test_phases_that_are_missing_come_by_qido_and_wado(tmp_path, authority):
    """Orthanc's plug-in has them; the workstation sends the ROI alone. The query is in the audit trail."""
    port = free_port()
    pacs = Orthanc(tmp_path / "pacs", port, login=LOGIN, extra={
        "Plugins": ["/usr/share/orthanc/plugins/libOrthancDicomWeb.so"], "AuthenticationEnabled": True,
        "RegisteredUsers": {"node": "pass word"}, "DicomWeb": {"Enable": True, "Root": "/dicom-web/"}}).start()
    front = TlsFront(pacs.http_port, server_context(authority.issue("fetch")[2]))
    trail = tmp_path / "audit.log"
    node = Node(tmp_path / "node", port, overrides={
        "fetch": {"fetch_after_seconds": 0, "fetch_first_seconds": 1}, "audit": {"file": trail},
        'peer "modality"': {"results_to": "cloud", "query_from": "cloud"},
        'peer "cloud"': {"protocol": "dicomweb", "url": front.url + "/dicom-web/", "may_send": "no",
                         "https_ca_file": authority.certificate, "user": "node",
                         "password_file": secret(tmp_path / "password", "pass word")}}).start()
    try:
        study = phantom(tmp_path / "study", "--seed", 4, "--matrix", 256, "--coverage", 40, "--lesions", 1)
        images = [path for path in study.rglob("*.dcm") if path.parent.name != "roi"]
        for path in images:
            pacs.post("/instances", path.read_bytes())
        send(study / "roi", port)
        uid = study_uid_of(study)
        wait_until(lambda: pacs.results_of_study(uid)[0], 60, "a report in the archive", interval=0.5)
        row = next(row for row in node.table("studies")["studies"] if row["study_instance_uid"] == uid)
        assert row["objects"] == len(images) + 1 and row["state"] == "done"
        query = [line for line in trail.read_text().splitlines() if 'csd-code="110112"' in line]
        assert query and uid in query[0] and "127.0.0.1" not in row["status_message"]
    finally:
        node.remove()
        front.stop()
        pacs.stop()


def check_events(requests, study):
    """Each is signed and fresh, was told again under the same identity after it failed, and says nothing of the patient."""
    told = {}
    for request in requests:
        timestamp, body = request.headers["Livervlm-Timestamp"], request.body
        expected = hmac.new(b"shared secret", timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()
        assert request.headers["Livervlm-Signature"] == f"sha256={expected}"
        assert abs(time.time() - int(timestamp)) < 60
        event = json.loads(body)
        told.setdefault(event["id"], []).append(int(request.headers["Livervlm-Attempt"]))
        assert study_uid_of(study).encode() not in body and b"study_instance_uid" not in body and b"patient" not in body
    events = {json.loads(request.body)["id"]: json.loads(request.body) for request in requests}
    assert sorted((e["event"], e.get("destination")) for e in events.values()) == [
        ("certificate-ends", None), ("certificate-ends", None), ("result-failed", "flaky"), ("result-sent", "cloud")]
    assert sorted(told.values()) == [[1], [1], [1], [1, 2]]


def echo(folder, url, **keys):
    """`livervlm echo` of one DICOMweb peer."""
    from harness import BIN
    config = folder / "echo.ini"
    values = {"protocol": "dicomweb", "may_send": "no", "url": url, **keys}
    config.write_text("[outbound]\nconnect_seconds = 3\ndimse_seconds = 3\n[peer \"web\"]\n" +
                      "".join(f"{key} = {value}\n" for key, value in values.items()))
    return run(BIN / "livervlm", "echo", "--config", config, check=False)


def test_only_a_trusted_server_is_told_anything(tmp_path, authority):
    """A wrong certificate never gets as far as a request, with its credentials; nor does what a redirect points to."""
    token = secret(tmp_path / "token", "very-secret")
    other = Authority(tmp_path / "other", "Somebody Else")

    def servers():
        yield "unable to get local issuer", server_context(other.issue("stranger")[2])
        yield "no alternative certificate subject name", server_context(authority.issue("elsewhere", "elsewhere.org")[2])
        yield "certificate has expired", server_context(authority.issue("ended", days=-1)[2])
        yield "protocol version", server_context(authority.issue("old")[2], newest=ssl.TLSVersion.TLSv1_1)
        yield "", server_context(authority.issue("mutual")[2], authority.certificate)  # wants ours; TLS 1.3 just ends

    for what, context in servers():
        server = Server(lambda request: (204, {}, b""), context)
        done = echo(tmp_path, server.url, https_ca_file=authority.certificate, token_file=token)
        assert done.returncode == 1 and not server.requests and what in done.stderr, f"{what}: {done.stderr}"
        assert "very-secret" not in done.stdout + done.stderr
        server.stop()

    certificate, key, _ = authority.issue("node", client=True)
    server = Server(lambda request: (204, {}, b""), server_context(authority.issue("mutual")[2], authority.certificate))
    done = echo(tmp_path, server.url, https_ca_file=authority.certificate, https_certificate=certificate, https_key=key,
                token_file=token)
    assert done.returncode == 0, done.stderr
    assert server.requests[0].headers["Authorization"] == "Bearer very-secret"
    server.stop()

    elsewhere = Server(lambda request: (204, {}, b""))
    server = Server(lambda request: (302, {"Location": elsewhere.url + request.path}, b""),
                    server_context(authority.issue("redirecting")[2]))
    done = echo(tmp_path, server.url, https_ca_file=authority.certificate, token_file=token)
    assert done.returncode == 1 and "302" in done.stderr and not elsewhere.requests
    server.stop()
    elsewhere.stop()

    token.chmod(0o644)
    done = echo(tmp_path, "https://localhost:1", token_file=token)
    assert done.returncode == 1 and "can be read by others" in done.stderr
