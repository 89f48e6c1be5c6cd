"""dcmjs-dimse, neither DCMTK nor pynetdicom, as the modality and the archive: by TLS both ways, results committed."""

import json
import subprocess

import harness
from certificates import Authority

NODE = harness.ROOT / "tests" / "system" / "node"


def test_a_study_by_tls_and_its_results_committed(tmp_path):
    authority = Authority(tmp_path / "ca", "CA")
    ours, theirs = authority.sign("node"), authority.sign("dcmjs")
    port, tls_port, archive_port = (harness.free_port() for _ in range(3))
    study = harness.phantom(tmp_path / "study", "--seed", 12, "--matrix", 128, "--coverage", 40, "--lesions", 1)
    node = harness.Node(tmp_path / "node", port, overrides={
        "node": {"tls_port": tls_port},
        "tls": {"certificate": ours.certificate, "private_key": ours.key, "trusted_certificates": authority.certificate},
        'peer "dcmjs"': {"aet": "DCMJS", "host": "127.0.0.1", "port": archive_port, "tls": "required", "commitment": "yes",
                         "certificate": theirs.fingerprint(), "receives_results": "yes"}}).start()
    log = tmp_path / "peer.log"
    with open(log, "wb") as stream:
        peer = subprocess.Popen(["node", NODE / "peer.js", str(archive_port), str(tls_port), theirs.key, theirs.certificate,
                                 authority.certificate, study], stdout=stream, stderr=subprocess.STDOUT)

    def lines(key):
        """Its own; others are the library's."""
        return [line for line in (json.loads(text) for text in log.read_text().splitlines() if text.startswith("{"))
                if key in line]

    try:
        def committed():
            rows = node.table("outbound")["outbound"]
            return rows if rows and all(row["state"] == "committed" for row in rows) else None

        rows = harness.wait_until(committed, 90, "committed results", interval=0.5)
        objects = len(list(study.rglob("*.dcm")))
        assert [line["sent"] for line in lines("sent")] == [0] * objects and not lines("failed")
        stored = lines("stored")
        assert {line["modality"] for line in stored} >= {"SR"} and len(stored) == len(rows)
        assert {line["study"] for line in stored} == {harness.study_uid_of(study)}
        assert lines("reported") and all(line["status"] == 0 for line in lines("reported"))
        assert "TLSv1.3" in node.cli("echo", "dcmjs").stdout
    except AssertionError:
        print(log.read_text()[-2000:], node.log()[-3000:])
        raise
    finally:
        peer.terminate()
        peer.wait(10)
        node.remove()
