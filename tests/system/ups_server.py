"""A workitem manager as PS3.18 chapter 11 and PS3.4 annex CC say it: states, the lock by Transaction UID, final state
requirements, 409 for what they forbid. Subscriptions are not offered."""

import json
import re
from urllib.parse import parse_qsl, urlsplit

from web_server import Server

STATE, TRANSACTION, READINESS, CODES = "00741000", "00081195", "00404041", "00404018"
DICOM_JSON = {"Content-Type": "application/dicom+json"}
FINAL = ("COMPLETED", "CANCELED")


def value(dataset, tag):
    return (dataset.get(tag, {}).get("Value") or [None])[0]


def text(vr, *values):
    return {"vr": vr, "Value": list(values)}


def workitem(uid, code=("LIVER_LESION", "99LVN"), readiness="READY", inputs=()):
    """A scheduled one; inputs: [(study UID, series UID or None, retrieve URL or None)]."""
    def one(study, series, url):
        item = {"0040E020": text("CS", "DICOM"), "0020000D": text("UI", study)}
        if series:
            item["0020000E"] = text("UI", series)
        if url:
            item["0040E025"] = text("SQ", {"00081190": text("UR", url)})
        return item
    return {"00080018": text("UI", uid), STATE: text("CS", "SCHEDULED"), READINESS: text("CS", readiness),
            CODES: text("SQ", {"00080100": text("SH", code[0]), "00080102": text("SH", code[1])}),
            "00404021": text("SQ", *(one(*values) for values in inputs))}


class Manager:
    def __init__(self, workitems):
        self.items = {value(item, "00080018"): item for item in workitems}
        self.locks, self.history = {}, []  # history: (workitem, what, transaction UID, HTTP status)
        self.before_claim = lambda uid: None
        self.swallow = set()  # workitems of which the next answer to a change of state is lost
        self.server = Server(self.answer)
        self.url = self.server.url + "/rs"

    def answer(self, request):
        parts = urlsplit(request.path)
        query = dict(parse_qsl(parts.query))
        found = re.fullmatch(r"/rs/workitems(?:/([0-9.]+)(/state)?)?", parts.path)
        if not found:
            return 404, {}, b""
        uid, is_state = found.groups()
        if uid is None:
            return self.search(query) if request.method == "GET" else (405, {}, b"")
        if uid not in self.items:
            return 404, {}, b""
        if request.method == "GET" and not is_state:
            return 200, DICOM_JSON, json.dumps([self.items[uid]]).encode()
        if request.headers["Content-Type"] != "application/dicom+json":
            return 415, {}, b""
        dataset, = json.loads(request.body)
        if request.method == "PUT" and is_state:
            status = self.change(uid, dataset)
            self.history.append((uid, value(dataset, STATE), value(dataset, TRANSACTION), status))
            if uid in self.swallow:
                self.swallow.remove(uid)
                return None
            return status, {}, b""
        if request.method == "POST" and not is_state:
            status = self.update(uid, dataset, query.get("transaction-uid"))
            self.history.append((uid, "update", query.get("transaction-uid"), status))
            return status, {}, b""
        return 405, {}, b""

    def search(self, query):
        def matches(item):
            code = value(item, CODES)
            return (query.get(STATE) in (None, value(item, STATE)) and
                    query.get(READINESS) in (None, value(item, READINESS)) and
                    query.get(CODES + ".00080100") in (None, value(code, "00080100")) and
                    query.get(CODES + ".00080102") in (None, value(code, "00080102")))
        found = [item for item in self.items.values() if matches(item)]
        return (200, DICOM_JSON, json.dumps(found).encode()) if found else (204, {}, b"")

    def change(self, uid, dataset):
        """Of PS3.4 table CC.1.1-2."""
        wanted, transaction, now = value(dataset, STATE), value(dataset, TRANSACTION), value(self.items[uid], STATE)
        if not transaction or wanted not in ("IN PROGRESS", *FINAL):
            return 400
        if wanted == "IN PROGRESS":
            self.before_claim(uid)
            if value(self.items[uid], STATE) != "SCHEDULED":
                return 409
            self.locks[uid] = transaction
        elif now == wanted:
            return 200  # with a warning: it is so already
        elif now != "IN PROGRESS" or self.locks[uid] != transaction or not self.is_final(uid, wanted):
            return 409
        self.items[uid][STATE] = text("CS", wanted)
        return 200

    def is_final(self, uid, wanted):
        """Has it what PS3.4 table CC.2.5-3 asks for in this state?"""
        if wanted == "COMPLETED":
            performed = value(self.items[uid], "00741216") or {}
            return all(value(performed, tag) for tag in ("00404028", "00404019", "00404050", "00404051")) and \
                "00404033" in performed
        progress = value(self.items[uid], "00741002") or {}
        return bool(value(progress, "00404052")) and bool(value(progress, "0074100E"))

    def update(self, uid, dataset, transaction):
        now = value(self.items[uid], STATE)
        if STATE in dataset:
            return 400
        if now in FINAL or (now == "IN PROGRESS" and transaction != self.locks[uid]) or \
                (now == "SCHEDULED" and transaction):
            return 409
        self.items[uid].update({tag: attribute for tag, attribute in dataset.items() if tag != TRANSACTION})
        return 200

    def state(self, uid):
        return value(self.items[uid], STATE)

    def stop(self):
        self.server.stop()
