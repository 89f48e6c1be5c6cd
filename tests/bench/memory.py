#!/usr/bin/env python3
"""Peak resident memory (VmHWM of /proc/PID/status) of an association's process and of the worker.

    receiver    one Enhanced CT object of 512 x 512 x --slices (16 bit, one C-STORE), and --objects CT slices in one
                association; budget 64 MB
    worker      a phantom study of --phases phases of 512 x 512 x --slices, 1 mm apart, received by the node and
                analysed by its worker; budget 4 GB

A peak is read every 2 ms while the process lives, so the last 2 ms of an association are not seen; the kernel's figure
only grows, and the association ends with a release, after its last object. Needs about 1.2 GB below --folder, which is
removed at the end, and some minutes for the phantom.

usage: memory.py [--slices 400] [--phases nc,art,pv,dl] [--objects 1000] [--lesions 1] [--folder DIR] [--json FILE]
"""

import argparse
import json
import pathlib
import shutil
import sys
import tempfile
import threading
import time

import pydicom
from pydicom.uid import EnhancedCTImageStorage, ExplicitVRLittleEndian, generate_uid

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "system"))
import harness  # noqa: E402

SAMPLE = harness.ROOT / "tests" / "data" / "ct_liver_3slices" / "01.dcm"
RECEIVER_BUDGET_MIB = 64
WORKER_BUDGET_MIB = 4096


def status_field(pid, name):
    """A figure in KiB, or None when the process is gone."""
    try:
        for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith(name + ":"):
                return int(line.split()[1])
    except OSError:
        pass
    return None


def processes_below(root_pid, name):
    """Processes of this name that descend from `root_pid`."""
    parents, named = {}, []
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                text = (entry / "stat").read_text()
            except OSError:
                continue
            comm, rest = text[text.index("(") + 1:text.rindex(")")], text[text.rindex(")") + 2:].split()
            parents[int(entry.name)] = int(rest[1])
            if comm == name:
                named.append(int(entry.name))
    found = []
    for pid in named:
        above = pid
        while above in parents and above != root_pid:
            above = parents[above]
        if above == root_pid:
            found.append(pid)
    return found


class Watch:
    """The highest VmHWM of the processes of one name below the node, while the block runs."""

    def __init__(self, root_pid, name):
        self.root_pid, self.name = root_pid, name
        self.peak_kib = 0
        self.stops = threading.Event()
        self.thread = threading.Thread(target=self.poll)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stops.set()
        self.thread.join()

    def poll(self):
        pids, looked = [], 0
        while not self.stops.is_set():
            if time.monotonic() - looked > 0.05:
                pids, looked = processes_below(self.root_pid, self.name), time.monotonic()
            for pid in pids:
                self.peak_kib = max(self.peak_kib, status_field(pid, "VmHWM") or 0)
            time.sleep(0.002)


def make_multi_frame(path, frames):
    """Large, and readable by the header scan: whether it is a good Enhanced CT is nothing to a receiver."""
    dataset = pydicom.dcmread(SAMPLE)
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = EnhancedCTImageStorage
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = generate_uid(), generate_uid()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.NumberOfFrames = frames
    dataset.Rows, dataset.Columns = 512, 512
    dataset.PixelData = bytes(2 * 512 * 512) * frames
    dataset["PixelData"].VR = "OW"
    dataset.save_as(path, implicit_vr=False, little_endian=True)


def make_slices(folder, count):
    dataset = pydicom.dcmread(SAMPLE)
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = generate_uid(), generate_uid()
    folder.mkdir()
    for i in range(count):
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        dataset.save_as(folder / f"{i:04d}.dcm")


def measure_receiver(node, folder, chosen):
    single = folder / "enhanced.dcm"
    make_multi_frame(single, chosen.slices)
    with Watch(node.process.pid, "lvn-assoc") as watch:
        harness.send([single], node.port)
    yield f"receiver, one object of {single.stat().st_size / 2 ** 20:.0f} MiB", watch.peak_kib, RECEIVER_BUDGET_MIB
    single.unlink()
    many = folder / "many"
    make_slices(many, chosen.objects)
    with Watch(node.process.pid, "lvn-assoc") as watch:
        harness.send(many, node.port)
    yield f"receiver, {chosen.objects} objects", watch.peak_kib, RECEIVER_BUDGET_MIB
    shutil.rmtree(many)


def measure_worker(node, folder, chosen):
    study = folder / "study"
    harness.run(harness.BIN / "livervlm", "phantom", "--output", study, "--seed", 7, "--class", "hcc", "--lesions",
                chosen.lesions, "--matrix", 512, "--slice-thickness", 1, "--coverage", chosen.slices, "--phases",
                chosen.phases, timeout=3600)
    files = len(list(study.rglob("*.dcm")))
    decided = ("done", "rejected", "failed")
    with Watch(node.process.pid, "lvn-worker") as worker, Watch(node.process.pid, "lvn-assoc") as receiver:
        harness.send(study, node.port)
        shutil.rmtree(study)
        rows = harness.wait_until(lambda: [row for row in node.table("studies")["studies"]
                                           if row["state"] in decided], 900,
                                  "a decision on the study", interval=1)
    assert rows[0]["state"] == "done", rows[0]
    yield f"receiver, a study of {files} objects", receiver.peak_kib, RECEIVER_BUDGET_MIB
    yield (f"worker, {len(chosen.phases.split(','))} phases of 512 x 512 x {chosen.slices}, {chosen.lesions} lesions",
           worker.peak_kib, WORKER_BUDGET_MIB)


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--slices", type=int, default=400)
    options.add_argument("--phases", default="nc,art,pv,dl")
    options.add_argument("--objects", type=int, default=1000)
    options.add_argument("--lesions", type=int, default=1)
    options.add_argument("--folder")
    options.add_argument("--json")
    chosen = options.parse_args()
    figures = []
    with tempfile.TemporaryDirectory(prefix="lvn-memory-", dir=chosen.folder) as name:
        folder = pathlib.Path(name)
        node = harness.Node(folder / "node", harness.free_port()).start()
        try:
            for measure in (measure_receiver, measure_worker):
                for what, peak_kib, budget_mib in measure(node, folder, chosen):
                    figures.append({"what": what, "peak_mib": round(peak_kib / 1024, 1), "budget_mib": budget_mib})
                    print(f"{what}: {peak_kib / 1024:.1f} MiB (budget {budget_mib})", flush=True)
        finally:
            node.remove()
    if chosen.json:
        pathlib.Path(chosen.json).write_text(json.dumps(figures, indent=1))
    return 0 if all(0 < f["peak_mib"] < f["budget_mib"] for f in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
