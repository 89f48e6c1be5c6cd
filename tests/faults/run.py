#!/usr/bin/env python3
"""Makes the n-th call of each kind fail in one role of a running node, or kills it there, and looks afterwards, without a
restart by hand: nothing acknowledged is gone or damaged, nothing half-written stays, every row comes to its end, each
result is at the PACS once and is the one that an undisturbed node gives, and the node calls itself healthy.
What a fault breaks is printed with the source lines of the call that failed; exit status 1 when there is any.

Usage: run.py --role receiver|pipeline|worker [--seconds S | --full] [--kind KIND]… [--figures FILE]
       run.py --self-test | --table FILE…"""

import argparse
import collections
import concurrent.futures
import errno
import hashlib
import json
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time

from control import ERRORS, KINDS
from sites import Site, Template, dataset_of, harness, send

ROLES = ("receiver", "pipeline", "worker")
END_SECONDS = 45     # within this everything must have come to its end: longer than any pause of the node's own
HANG_SECONDS = 100   # libtorch waits for ever for a thread that it cannot have: until its time is over
HIT_SECONDS = 15     # within this a study has passed every call that it makes
BURST_SECONDS = 3    # how long a disk stays full
SENDS_MAX = 8        # a sender tries again so often what was not taken
PER_KIND = 4         # calls tried of each kind in the bounded run
RESTART_SECONDS = 4  # a role whose next pause is longer is begun anew, or kills would wait for one another
KILL_KINDS = ("write", "sync", "rename", "link", "unlink", "mkdir", "open")
START_KINDS = ("open", "open-read", "write", "sync", "mkdir", "thread", "fork", "socket", "read", "memory")
MEMORY_KINDS = ("memory", "library-memory")
SECONDS = re.compile(r'"seconds": [-+.e\d]+')
SLOW = (("start", "thread"),)  # a minute's wait in the worker: not in the bounded run
BURST_KINDS = ("write", "sync")
MANY = 10 ** 6       # more calls than there are while a disk is full
FULL_MAX = 1500      # of a kind that is called more often, only every second, third, … is tried
UIDS = re.compile(r"2\.25\.\d+")


class Fault:
    """One thing to go wrong: `first` is the number of the call, in the study's way or as the role starts."""

    def __init__(self, phase, kind, action, first, error=0, count=1):
        self.phase, self.kind, self.action, self.first, self.error, self.count = phase, kind, action, first, error, count

    def __str__(self):
        what = {"fail": errno.errorcode.get(self.error, ""), "half": "ENOSPC in the middle"}.get(self.action, self.action)
        many = f", {self.count} calls" if 1 < self.count < MANY else ", for a while" if self.count >= MANY else ""
        return f"{self.phase}: {self.kind} {self.first} {what}{many}"


def source_lines(frames):
    """file:line of the innermost frames, by the debug information of the built programs."""
    named = []
    for frame in frames[:8]:
        module, offset = frame.split("+")
        path = harness.BIN / module if module == "livervlmd" else harness.BIN.parent / "lib/livervlm" / module
        done = subprocess.run(["addr2line", "-s", "-e", str(path), offset], capture_output=True, text=True, check=False)
        line = done.stdout.strip().split(" ")[0]
        if line and not line.startswith("?") and line not in named:
            named.append(line)
    return " < ".join(named[:6])


class Run:
    """All rounds of one role."""

    def __init__(self, role, folder, keep_log=True):
        self.role = role
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.template = Template(self.folder / "phantom", role == "worker")
        self.site = Site(self.folder / "site", role)
        self.number = 0
        self.checked = {}      # path of a stored object -> (SOP instance UID, digest of its data set)
        self.expected = None   # what an undisturbed analysis says
        self.findings = []
        self.figures = collections.Counter()
        self.keep_log = keep_log

    # What must hold

    def stored(self):
        """{SOP instance UID: digests of data sets} in the store; a file that is not what its name says is a problem."""
        problems = []
        for path in self.site.state.glob("objects/*/*.dcm"):
            if path in self.checked:
                continue
            data = path.read_bytes()
            if hashlib.sha256(data).hexdigest() != path.stem:
                problems.append(f"damaged: {path.name[:12]} in the store is not what its name says")
                continue
            found = re.search(rb"\x08\x00\x18\x00UI..([\d.]+)", dataset_of(data), re.S)
            self.checked[path] = (found.group(1).decode() if found else "", hashlib.sha256(dataset_of(data)).hexdigest())
        by_uid = collections.defaultdict(set)
        for uid, digest in self.checked.values():
            by_uid[uid].add(digest)
        return by_uid, problems

    def object_problems(self, acknowledged):
        by_uid, problems = self.stored()
        for name, data in acknowledged.items():
            dataset = dataset_of(data)
            uid = re.search(rb"\x08\x00\x18\x00UI..([\d.]+)", dataset, re.S).group(1).decode()
            if hashlib.sha256(dataset).hexdigest() not in by_uid.get(uid, ()):
                problems.append(f"lost: {name} was acknowledged and is not in the store")
        return problems

    def leftover_problems(self):
        """In the spool, and records of receptions that still wait for the index."""
        state = self.site.state
        left = list(state.glob("objects/*/*.waiting"))
        left += [p for folder in ("spool/tmp", "spool/open", "spool/new", "unreadable") for p in state.glob(folder + "/*")]
        left += [p for p in state.glob("results/**/*") if ".tmp-" in p.name]
        return [f"left behind: {p.relative_to(state)}"[:90] for p in left[:3]]

    def row_problems(self, study_uid):
        studies = [s for s in self.site.ask("studies").get("studies", []) if s["study_instance_uid"] == study_uid]
        if len(studies) != 1:
            return [f"rows: {len(studies)} studies of this UID in the index"]
        study = studies[0]
        problems = []
        if study["state"] != "done":
            problems.append(f"stuck: study is {study['state']} ('{study['status_message'][:100]}')")
        for job in self.site.ask("jobs").get("jobs", []):
            if job["study"] == study["name"] and job["state"] != "done":
                problems.append(f"stuck: job is {job['state']} ('{job['error'][:160]}')")
        for row in self.site.ask("outbound").get("outbound", []):
            if row["study"] == study["name"] and row["state"] != "sent":
                problems.append(f"stuck: outbound is {row['state']} ('{row['status_message'][:100]}')")
        return problems

    def result_problems(self, study_uid):
        results = self.site.pacs.results(study_uid)
        classes = sorted(sop_class for sop_class, _ in results.values())
        if classes != sorted((harness.SR_CLASS, harness.SC_CLASS)):
            return [f"results: {len(classes)} at the PACS instead of a report and a capture"]
        if any(len(set(copies)) != 1 for _, copies in results.values()):
            return ["results: one object reached the PACS with two contents"]
        return self.content_problems(study_uid) if self.role == "worker" else []

    def content_problems(self, study_uid):
        """The analysis says what an undisturbed one says, but for times and UIDs."""
        for path in self.site.state.glob("results/*/analysis.json"):
            analysis = json.loads(path.read_text())
            if analysis["study_instance_uid"] == study_uid:
                for key in ("timings_seconds", "created", "objects"):
                    analysis.pop(key, None)
                said = UIDS.sub("UID", SECONDS.sub("", json.dumps(analysis, sort_keys=True)))
                self.expected = self.expected or said
                return [] if said == self.expected else [
                    f"wrong result: the analysis differs from an undisturbed one: {first_difference(self.expected, said)}"]
        return ["results: no analysis.json of the study"]

    def problems(self, study_uid, acknowledged):
        found = self.row_problems(study_uid) + self.result_problems(study_uid) + self.leftover_problems()
        found += self.object_problems(acknowledged)
        health = self.site.health()
        return found + ([f"unhealthy: {health[:120]}"] if health != "ok" else [])

    # One round

    def deliver(self, files, acknowledged):
        """Sends what is not acknowledged yet."""
        left = {n: d for n, d in files.items() if n not in acknowledged}
        statuses = send(left, self.site.node.port, self.site.outbox)
        acknowledged.update({n: left[n] for n, status in statuses.items() if status == 0})
        return statuses

    def wait_hit(self, fault, study_uid):
        control = self.site.control
        deadline = time.monotonic() + (0.3 if self.role == "receiver" else HIT_SECONDS)
        while time.monotonic() < deadline and control.failed() < 1:
            if len(self.site.pacs.results(study_uid)) == 2:
                deadline = min(deadline, time.monotonic() + 0.7)  # what comes after the last result
            time.sleep(0.03)
        if fault.count > 1 and control.failed() > 0:
            time.sleep(BURST_SECONDS if fault.action != "half" else 0.3)

    def recover(self, files, acknowledged):
        """What goes on without the administrator: ended processes are begun by their manager, senders try again."""
        started = 0
        for attempt in range(SENDS_MAX):
            started += self.site.start_ended()
            if len(acknowledged) == len(files):
                break
            time.sleep(0.3 if attempt == 0 else 1.5)
            self.deliver(files, acknowledged)
        return started

    def round(self, fault):
        """True when the fault was met. Findings are noted."""
        self.number += 1
        site, control = self.site, self.site.control
        study_uid, files = self.template.copy(self.number)
        marks, acknowledged = site.log_marks(), {}
        if fault.phase == "start":
            site.roles[self.role].stop()
        control.arm(fault.kind, fault.action, fault.first, fault.count, fault.error)
        if fault.phase == "start":
            site.roles[self.role].start()
            self.wait_started(fault)
        else:
            self.deliver(files, acknowledged)
            self.wait_hit(fault, study_uid)
        control.disarm()
        seen, failed, places = control.seen(), control.failed(), control.places()
        if fault.phase == "start":
            self.come_up()
        started = self.recover(files, acknowledged)
        left = self.wait_end(fault, study_uid, files, acknowledged)
        ended = started > 0 or self.role == "receiver" and "event=role-ended child=receiver" in site.logs_since(marks)
        if ended and fault.action not in ("kill", "pass") and fault.phase == "work" and fault.kind not in MEMORY_KINDS:
            left.append("ended: the role's process did not survive the fault")
        if re.search(r"event=association-died .*signal=", site.logs_since(marks)) and fault.action != "kill":
            left.append("died: the association's process crashed")
        self.note(fault, failed, places, left, site.logs_since(marks))
        self.seen = seen
        self.renew(fault, marks, left)
        return failed > 0

    def wait_started(self, fault):
        deadline = time.monotonic() + HIT_SECONDS
        while time.monotonic() < deadline and self.site.control.failed() < 1:
            if fault.action == "pass" and self.site.is_ready():
                return
            if fault.action != "pass" and self.site.roles[self.role].process.poll() is not None:
                return
            if self.site.is_ready():
                return
            time.sleep(0.1)

    def come_up(self):
        deadline = time.monotonic() + HANG_SECONDS
        while time.monotonic() < deadline and not self.site.is_ready():
            self.site.start_ended()
            time.sleep(0.2)

    def wait_end(self, fault, study_uid, files, acknowledged):
        deadline = time.monotonic() + (HANG_SECONDS if self.role == "worker" and fault.kind == "thread" else END_SECONDS)
        left = ["not taken: the sender's objects were refused to the end"] if len(acknowledged) < len(files) else []
        while True:
            found = self.problems(study_uid, acknowledged)
            if not found or time.monotonic() > deadline or any(p.startswith(("damaged", "wrong")) for p in found):
                return left + found
            self.site.start_ended()
            time.sleep(0.2)

    def note(self, fault, failed, places, left, log):
        key = f"{fault.phase} {fault.kind}" + (" kill" if fault.action == "kill" else "")
        self.figures[f"{key}|met" if failed else f"{key}|not met"] += 1
        if fault.action == "pass":
            if left:
                raise AssertionError(f"an undisturbed study has problems: {left}\n{log[-3000:]}")
            return
        if not left:
            return
        self.figures[f"{key}|findings"] += 1
        where = places[0] if places else ("", "", [])
        path = where[1].replace(str(self.site.state), "state")
        self.findings.append({"fault": str(fault), "problems": left[:6], "thread": where[0], "path": path,
                              "at": source_lines(where[2])})
        print(f"FOUND {self.role} {fault}: {path} at {self.findings[-1]['at']}", flush=True)
        for problem in left[:6]:
            print(f"      {problem}", flush=True)
        if self.keep_log:
            kept = self.folder / f"found-{self.number}.log"
            kept.write_text(f"{fault}\n{left}\n{log}")

    def renew(self, fault, marks, left):
        """A node that is left in a bad state, or whose next pause would be long, is begun anew for the next round."""
        pauses = [float(p) for p in re.findall(r"restart_in_seconds=([\d.]+)", self.site.logs_since(marks))]
        if left:
            self.site.stop()
            self.folder.joinpath("site").rename(self.folder / f"site-{self.number}")
            self.site = Site(self.folder / "site", self.role)
            self.checked = {}
            self.site.start()
        elif pauses and max(pauses) >= RESTART_SECONDS:
            self.site.restart_faulty()
            self.site.wait_ready()

    def verify(self):
        """What `livervlm verify-store` says of the node as it is after all rounds."""
        done = subprocess.run([str(harness.BIN / "livervlm"), "verify-store", "--config", str(self.site.node.config)],
                              capture_output=True, text=True, timeout=300, check=False)
        self.figures["verify-store|checked"] += 1
        if done.returncode != 0:
            lines = (done.stdout + done.stderr).strip().splitlines()
            self.findings.append({"fault": "verify-store after all rounds", "problems": lines[:6], "thread": "", "path": "",
                                  "at": ""})
            print(f"FOUND {self.role} by verify-store: " + "; ".join(lines[:6]), flush=True)

    # How much there is to fail

    def count(self):
        """{(phase, kind): calls} of an undisturbed study and start."""
        counts = {}
        for phase in ("work", "start"):
            for counted in ("write",) + MEMORY_KINDS:
                if phase == "start" and counted not in START_KINDS:
                    continue
                self.round(Fault(phase, counted, "pass", 1))
                counts.update({(phase, k): n for k, n in self.seen.items()
                               if n > 0 and (k == counted or counted == "write" and k not in MEMORY_KINDS)})
        return {k: n for k, n in counts.items() if k[0] == "work" or k[1] in START_KINDS}

def plan(counts, per_kind):
    """The bounded run's faults, each in a group of its own: kinds in turn, so that a run that is cut short has seen each."""
    queues = []
    for (phase, kind), calls in sorted(counts.items()):
        if (phase, kind) in SLOW:
            continue
        points = spread(calls, per_kind if phase == "work" else max(1, per_kind // 2))
        errors = ERRORS[kind]
        queues.append([Fault(phase, kind, "fail", n, errors[i % len(errors)]) for i, n in enumerate(points)])
        if phase == "work" and kind in BURST_KINDS:
            queues.append([Fault(phase, kind, "fail", n, errors[0], MANY) for n in spread(calls, per_kind)])
        if phase == "work" and kind == "write":
            queues.append([Fault(phase, kind, "half", n, errno.ENOSPC, 2) for n in spread(calls, max(2, per_kind // 2))[1:]])
        if phase == "work" and kind in KILL_KINDS:
            queues.append([Fault(phase, kind, "kill", n) for n in spread(calls, max(1, per_kind // 2))])
    while any(queues):
        for queue in queues:
            if queue:
                yield iter([queue.pop(0)])


def full_plan(counts):
    """Every call, every error, each group of faults for one site."""
    for (phase, kind), calls in sorted(counts.items()):
        step = max(1, calls // FULL_MAX)
        for error in ERRORS[kind]:
            yield until_unmet(lambda n, e=error, p=phase, k=kind: Fault(p, k, "fail", n, e), calls, step)
        if phase == "work" and kind in KILL_KINDS:
            yield until_unmet(lambda n, p=phase, k=kind: Fault(p, k, "kill", n), calls, step)
        if phase == "work" and kind in BURST_KINDS:
            yield iter([Fault(phase, kind, "fail", n, ERRORS[kind][0], MANY) for n in range(1, calls + 1, step)])
        if phase == "work" and kind == "write":
            yield iter([Fault(phase, kind, "half", n, errno.ENOSPC, 2) for n in range(1, calls + 1, step)])


def until_unmet(make, calls, step):
    """n = 1, 2, … until twice in a row nothing failed; it is sent whether its last fault was met."""
    number, unmet = 1, 0
    while unmet < 2 and number < 3 * calls + 10:
        was_met = yield make(number)
        unmet = 0 if was_met else unmet + 1
        number += step


def go(options, folder):
    """All runs: as many sites as asked for take the groups in turn. What they saw, as one."""
    since = time.monotonic()
    first = Run(options.role, folder / "1", options.folder is not None)
    runs = [first]
    try:
        first.site.start()
        counts = first.count()
        print(f"{options.role}: calls of one study and one start: "
              + ", ".join(f"{phase} {kind} {n}" for (phase, kind), n in sorted(counts.items())), flush=True)
        wanted = {k: n for k, n in counts.items() if not options.kind or k[1] in options.kind}
        groups = full_plan(wanted) if options.full else plan(wanted, options.per_kind)
        lock = threading.Lock()
        for number in range(2, options.sites + 1):
            runs.append(Run(options.role, folder / str(number), options.folder is not None))
            runs[-1].expected = first.expected
            runs[-1].site.start()
        with concurrent.futures.ThreadPoolExecutor(options.sites) as pool:
            for done in [pool.submit(take_groups, run, groups, lock, options, since) for run in runs]:
                done.result()
        for run in runs:
            run.verify()
    finally:
        for run in runs:
            run.site.stop()
    for run in runs[1:]:
        first.figures.update(run.figures)
        first.findings += run.findings
    return first


def take_groups(run, groups, lock, options, since):
    while True:
        with lock:
            group = next(groups, None)
        if group is None:
            return
        fault = next(group, None)
        while fault is not None:
            if options.seconds and time.monotonic() - since > options.seconds:
                print(f"{run.role}: the time of {options.seconds:.0f} s is over", flush=True)
                return
            began = time.monotonic()
            was_met = run.round(fault)
            if options.verbose:
                print(f"  {fault}: {'met' if was_met else 'not met'}, {time.monotonic() - began:.1f} s", flush=True)
            try:
                fault = group.send(was_met) if hasattr(group, "send") else next(group, None)
            except StopIteration:
                fault = None


def first_difference(left, right):
    at = next((i for i, (a, b) in enumerate(zip(left, right)) if a != b), min(len(left), len(right)))
    return f"…{left[max(0, at - 40):at + 40]}… / …{right[max(0, at - 40):at + 40]}…"


def spread(calls, points):
    """Evenly spread numbers from 1 to calls, both in it."""
    if calls <= points:
        return list(range(1, calls + 1))
    return sorted({1 + round(i * (calls - 1) / max(1, points - 1)) for i in range(points)})


def table(paths):
    """Figures of the roles' last runs: calls that failed or killed, and the findings among them."""
    print(f"{'role':<10}{'phase':<8}{'call':<12}{'failed':>8}{'killed':>8}{'faults':>8}")
    for path in paths:
        kept = json.loads(pathlib.Path(path).read_text())
        rows = collections.defaultdict(collections.Counter)
        for key, value in kept["figures"].items():
            name, what = key.split("|")
            if what == "checked":
                continue
            phase, kind, *kill = name.split(" ")
            column = {"met": "killed" if kill else "failed", "findings": "found"}.get(what)
            rows[phase, kind][column] += value
        sums = collections.Counter(found=sum("verify-store" in f["fault"] for f in kept["findings"]))
        if sums["found"]:
            print(f"{kept['role']:<10}{'verify-store':<20}{'':>8}{'':>8}{sums['found']:>8}")
        for (phase, kind), row in sorted(rows.items()):
            sums.update(row)
            if row["failed"] + row["killed"] > 0:
                print(f"{kept['role']:<10}{phase:<8}{kind:<12}{row['failed']:>8}{row['killed']:>8}{row['found']:>8}")
        print(f"{kept['role']:<10}{'all':<20}{sums['failed']:>8}{sums['killed']:>8}{sums['found']:>8}")


def self_test():
    """A disk that says yes and does nothing must be noticed, or the checks above are worth nothing."""
    missed = []
    lies = (("receiver", Fault("work", "link", "swallow", 1), "lost"),
            ("receiver", Fault("work", "write", "garble", 2), "damaged"),
            ("pipeline", Fault("work", "rename", "swallow", 2), "left behind"))
    for role, fault, wanted in lies:
        with tempfile.TemporaryDirectory(prefix="lvn-faults-") as folder:
            run = Run(role, folder, keep_log=False)
            globals()["END_SECONDS"] = 5
            run.site.start()
            try:
                run.round(fault)
                found = [p for finding in run.findings for p in finding["problems"]]
                if not any(p.startswith(wanted) for p in found):
                    missed.append(f"{role}, {fault}: {found or 'nothing'} was reported instead of '{wanted}'")
            finally:
                run.site.stop()
    for line in missed:
        print("self-test:", line)
    print("self-test:", "FAILED" if missed else "each lie was noticed")
    return 1 if missed else 0


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--role", choices=ROLES)
    parser.add_argument("--seconds", type=float, help="begin no round after this time")
    parser.add_argument("--per-kind", type=int, default=PER_KIND, help="calls tried of each kind")
    parser.add_argument("--full", action="store_true", help="every call, every error, kill at each: hours")
    parser.add_argument("--sites", type=int, default=1, help="nodes that are tried side by side")
    parser.add_argument("--kind", action="append", choices=KINDS, help="only these kinds of call")
    parser.add_argument("--figures", help="write the figures to this file")
    parser.add_argument("--folder", help="keep the node's folders and the logs of what was found here")
    parser.add_argument("--verbose", action="store_true", help="a line for each round")
    parser.add_argument("--self-test", action="store_true")
    parser.add_argument("--table", nargs="+", metavar="FILE", help="print the figures of these files")
    return parser.parse_args()


def main():
    options = parse()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the nodes are stopped
    if options.table:
        table(options.table)
        return 0
    if options.self_test:
        return self_test()
    if not options.role:
        raise SystemExit("run.py: --role is missing (see --help)")
    with tempfile.TemporaryDirectory(prefix="lvn-faults-") as temporary:
        folder = pathlib.Path(options.folder or temporary)
        folder.mkdir(parents=True, exist_ok=True)
        run = go(options, folder)
        met = sum(n for key, n in run.figures.items() if key.endswith("|met"))
        print(f"{options.role}: {met} calls failed or killed, {len(run.findings)} faults found")
        if options.figures:
            pathlib.Path(options.figures).write_text(json.dumps(
                {"role": options.role, "figures": run.figures, "findings": run.findings}, indent=1))
        return 1 if run.findings else 0


if __name__ == "__main__":
    sys.exit(main())
