"""Audit messages of the tests: read by another program's eyes, and a repository that is not ours (rsyslog)."""

import base64
import pathlib
import re
import subprocess
import xml.etree.ElementTree

import harness

SCHEMA = harness.ROOT / "tests" / "data" / "audit" / "audit_message.rng"
LINE = re.compile(r"<85>1 \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z \S+ livervlmd \d+ DICOM\+RFC3881 - \ufeff(<\?xml.*)")


class Message:
    """One message: `name` is its event type's meaning, or else its event's."""

    def __init__(self, line):
        found = LINE.fullmatch(line)
        assert found, line
        self.xml = found.group(1)
        root = xml.etree.ElementTree.fromstring(self.xml)
        event = root.find("EventIdentification")
        self.failed = event.get("EventOutcomeIndicator") != "0"
        self.name = (event.find("EventTypeCode") if event.find("EventTypeCode") is not None
                     else event.find("EventID")).get("originalText")
        self.description = event.findtext("EventOutcomeDescription") or ""
        self.users = [p.get("UserID") for p in root.findall("ActiveParticipant")]
        self.points = [p.get("NetworkAccessPointID") for p in root.findall("ActiveParticipant")]
        self.roles = {p.get("UserID"): r.get("originalText") for p in root.findall("ActiveParticipant")
                      for r in p.findall("RoleIDCode")}
        self.objects = {o.find("ParticipantObjectIDTypeCode").get("originalText"): o.get("ParticipantObjectID")
                        for o in root.findall("ParticipantObjectIdentification")}
        self.instances = {c.get("UID"): int(c.get("NumberOfInstances")) for c in root.iter("SOPClass")}
        self.details = [base64.b64decode(d.get("value")).decode() for d in root.iter("ParticipantObjectDetail")]


def read(path):
    path = pathlib.Path(path)
    return [Message(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


def validate(messages, folder):
    """AssertionError with what xmllint finds against the grammar."""
    files = []
    for number, message in enumerate(messages):
        files.append(pathlib.Path(folder) / f"message{number}.xml")
        files[-1].write_text(message.xml, encoding="utf-8")
    done = subprocess.run(["xmllint", "--noout", "--relaxng", str(SCHEMA), *map(str, files)], capture_output=True,
                          text=True, timeout=60)
    assert done.returncode == 0, done.stderr


class Repository:
    """rsyslog's TLS receiver, which demands a certificate and writes what it gets, as it gets it."""

    def __init__(self, folder, pair, authority):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.port = harness.free_port()
        self.file = self.folder / "received"
        self.config = self.folder / "rsyslog.conf"
        self.config.write_text(f"""
global(workDirectory="{self.folder}" maxMessageSize="64k" parser.escapeControlCharactersOnReceive="off"
       defaultNetstreamDriver="ossl" defaultNetstreamDriverCAFile="{authority.certificate}"
       defaultNetstreamDriverCertFile="{pair.certificate}" defaultNetstreamDriverKeyFile="{pair.key}")
module(load="imtcp" streamDriver.name="ossl" streamDriver.mode="1" streamDriver.authMode="x509/certvalid")
template(name="raw" type="string" string="%rawmsg%\\n")
input(type="imtcp" address="127.0.0.1" port="{self.port}" ruleset="keep")
ruleset(name="keep") {{ action(type="omfile" file="{self.file}" template="raw") }}
""")
        self.process = None

    def start(self):
        log = open(self.folder / "rsyslog.log", "ab")
        self.process = subprocess.Popen(["rsyslogd", "-n", "-f", str(self.config), "-i", str(self.folder / "pid")],
                                        stdout=log, stderr=log)
        harness.wait_until(lambda: harness.port_is_open(self.port), 20, "rsyslog's port")
        return self

    def stop(self):
        if self.process is not None:
            self.process.terminate()
            self.process.wait(20)
            self.process = None

    def messages(self):
        """Each once: one whose connection ended before it was confirmed is sent again."""
        return list({message.xml: message for message in read(self.file)}.values())
