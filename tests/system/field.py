"""Studies as other makers write them: the product's phantom, changed with pydicom, and `livervlm analyze` on the result.

A phantom is rendered once per set of options and copied for each case, so that a case costs little more than its
analysis. Unchanged, phantom() gives HCC, one lesion of 14.2 ml, mean HU 46 / 126 / 123 in NC / ART / PV."""

import atexit
import glob
import json
import os
import pathlib
import shutil
import subprocess
import tempfile

import pydicom

import harness

DEFAULTS = {"class": "hcc", "seed": 20313, "lesions": 1, "diameter": 30, "matrix": 256, "coverage": 90,
            "slice-thickness": 5, "roi": "rtstruct"}
VOLUME_ML = 14.2  # of the unchanged phantom's lesion
PHASES = ("nc", "art", "pv", "dl")

_rendered = {}


def _render(settings):
    key = tuple(sorted(settings.items()))
    if key not in _rendered:
        folder = pathlib.Path(tempfile.mkdtemp(prefix="lvn-field-"))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        words = [w for name, value in settings.items() for w in ("--" + name, str(value))]
        harness.phantom(folder / "in", *words)
        for extra in glob.glob(str(folder / "in" / "*.nrrd")) + glob.glob(str(folder / "in" / "*.csv")):
            os.remove(extra)
        _rendered[key] = folder / "in"
    return _rendered[key]


def phantom(folder, **options):
    """A fresh copy of a small phantom study in `folder`/in: subfolders nc, art, pv (dl), roi. Returns its path."""
    settings = dict(DEFAULTS)
    settings.update({name.replace("_", "-"): value for name, value in options.items()})
    target = pathlib.Path(folder) / "in"
    shutil.copytree(_render(settings), target)
    return target


def ct(folder, phase):
    """[(path, dataset)] of one phase, from feet to head."""
    found = [(p, pydicom.dcmread(p)) for p in glob.glob(f"{folder}/{phase}/*.dcm")]
    return sorted(found, key=lambda entry: float(entry[1].ImagePositionPatient[2]))


def all_ct(folder):
    return [entry for phase in PHASES for entry in ct(folder, phase)]


def roi_path(folder):
    return glob.glob(f"{folder}/roi/*.dcm")[0]


class Analysis:
    """What one run of `livervlm analyze` gave: exit status, everything it printed, analysis.json (None when absent)."""

    def __init__(self, status, text, result, output):
        self.status = status
        self.text = text
        self.result = result
        self.output = output

    def __repr__(self):
        return f"exit {self.status}: {self.text}\n{json.dumps(self.result, indent=1)[:6000]}"

    @property
    def outcome(self):
        return self.result["outcome"] if self.result else None

    @property
    def lesions(self):
        return self.result["lesions"] if self.result else []

    @property
    def note(self):
        return self.result["roi_note"] if self.result else ""

    def series(self, number):
        """Entries of analysis.json of one series number."""
        return [s for s in self.result["series"] if s["series_number"] == number]


def analyze(folder, *more, package=harness.PACKAGE):
    """Run it on a study's folder; its output lies beside the input."""
    output = pathlib.Path(folder).parent / "out"
    shutil.rmtree(output, ignore_errors=True)
    done = subprocess.run([str(harness.BIN / "livervlm"), "analyze", "--input", str(folder), "--output", str(output),
                           "--model", str(package), "--threads", "1", *map(str, more)],
                          capture_output=True, text=True, timeout=300)
    path = output / "analysis.json"
    result = json.loads(path.read_text()) if path.exists() else None
    return Analysis(done.returncode, (done.stdout + done.stderr).strip(), result, output)
