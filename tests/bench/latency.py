#!/usr/bin/env python3
"""Time from the last needed object's C-STORE success to the SR and the secondary captures in the PACS.

Three phases of 512 x 512 x 60 are sent first; then the ROI, whose acknowledgement starts the clock. Orthanc is asked every
20 ms. Prints one line a run and the median, with the node's own stage times of the last run and the machine's load.

usage: latency.py [--runs 5] [--slices 60]
"""

import argparse
import json
import os
import pathlib
import statistics
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "system"))
import harness  # noqa: E402


def one_run(pacs, node, folder, seed, slices):
    study = harness.phantom(folder / f"study-{seed}", "--seed", seed, "--class", "hcc", "--lesions", 1, "--matrix", 512,
                            "--slice-thickness", 4, "--coverage", 4 * slices, "--roi", "rtstruct")
    truth = json.loads((study / "truth.json").read_text())
    files = sorted(study.rglob("*.dcm"))
    roi = [f for f in files if f.parent.name == "roi"]
    images = [f for f in files if f not in roi]
    assert roi, "the phantom wrote no ROI"
    harness.send(images, node.port)
    time.sleep(4)  # the study has been looked at and waits for its ROI
    harness.send(roi, node.port)
    start = time.monotonic()
    uid = truth["study_instance_uid"]
    harness.wait_until(lambda: all(pacs.results_of_study(uid)), 120, "SR and SC in the PACS", interval=0.02)
    return time.monotonic() - start, len(images)


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--runs", type=int, default=5)
    options.add_argument("--slices", type=int, default=60)
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="lvn-latency-") as name:
        folder = pathlib.Path(name)
        node_port = harness.free_port()
        pacs = harness.Orthanc(folder / "pacs", node_port).start()
        node = harness.Node(folder / "node", node_port, pacs.dicom_port).start()
        try:
            seconds = []
            for i in range(chosen.runs):
                taken, images = one_run(pacs, node, folder, 900 + i, chosen.slices)
                seconds.append(taken)
                print(f"run {i + 1}: {images} images, {taken:.2f} s, load {os.getloadavg()[0]:.1f}", flush=True)
            newest = max((folder / "node" / "state" / "results").rglob("analysis.json"), key=lambda p: p.stat().st_mtime)
            print("stages of the last run:", json.dumps(json.loads(newest.read_text())["timings_seconds"]))
            print(f"median {statistics.median(seconds):.2f} s of {chosen.runs} runs, {os.cpu_count()} cores")
        finally:
            node.remove()
            pacs.stop()


if __name__ == "__main__":
    main()
