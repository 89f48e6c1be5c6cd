"""docs/researcher.md, walked: the commands and files of the page itself, in their order, up to the running node whose
report names the new version. Settings are made smaller here; LVN_WALK=whole walks it exactly as written (minutes)."""

import json
import os
import pathlib
import re
import signal
import subprocess

import pydicom
import pytest

import harness

PAGE = harness.ROOT / "docs" / "researcher.md"
WHOLE = os.environ.get("LVN_WALK") == "whole"
SMALLER = {"--count 8": "--count 3", "--count 4": "--count 2", "stages = 5@64": "stages = 1@32",
           "stages = 30@64": "stages = 2@32", "macro_auc = 0.5": "macro_auc = 0.01", "ece = 0.6": "ece = 0.99"}


def blocks_of(page):
    """(the paragraph before, the block's text) of every indented block."""
    paragraph, found, lines, ended = "", [], [], False
    for line in page.splitlines() + ["end"]:
        if line.startswith("    "):
            lines.append(line[4:])
        elif not line.strip():
            ended = True
            if lines:
                lines.append("")
        else:
            if lines:
                found.append((paragraph, "\n".join(lines).strip() + "\n"))
                lines = []
            paragraph = line if ended else f"{paragraph} {line}"
            ended = False
    return found


class Walk:
    def __init__(self, folder):
        self.folder = folder
        self.port = harness.free_port()
        self.node = None
        self.done = []
        self.environment = dict(os.environ, PATH=f"{harness.BIN}:{os.environ['PATH']}")

    def adapt(self, text):
        text = text.replace("/tmp/walk", str(self.folder)).replace("11119", str(self.port))
        for long, short in {} if WHOLE else SMALLER.items():
            text = text.replace(long, short)
        return text

    def command(self, line):
        if line.endswith("&"):
            log = open(self.folder / "node.log", "wb")
            self.node = subprocess.Popen(["bash", "-c", "exec " + line[:-1]], cwd=self.folder, env=self.environment,
                                         stdout=log, stderr=log)
            harness.wait_until(lambda: harness.port_is_open(self.port), 60, "the node's port")
            return
        if line.startswith("livervlm jobs"):
            harness.wait_until(lambda: list(self.folder.glob("state/results/*/analysis.json")), 600, "the job")
        done = subprocess.run(["bash", "-c", line], cwd=self.folder, env=self.environment, capture_output=True, text=True,
                              timeout=1800, check=False)
        # Rows that were left out are exit status 2 and one line, as the page says.
        left_out = line.startswith("livervlm dataset build") and done.returncode == 2 and "left out" in done.stderr
        assert done.returncode == 0 or left_out, f"{line}\n{done.stdout}\n{done.stderr}"
        self.done.append((line, done.stdout))

    def block(self, before, text):
        named = re.search(r"`(\w+\.ini)`", before)
        if text.startswith("["):
            (self.folder / named.group(1)).write_text(self.adapt(text))
        elif text.startswith("study,"):
            listed = (self.folder / "train" / "cases.csv").read_text()
            assert listed.startswith(text.splitlines()[0]) and text.splitlines()[1] in listed
        else:
            for line in self.adapt(text).replace("\\\n", " ").splitlines():
                self.command(line)


@pytest.fixture
def walk(tmp_path_factory):
    walk = Walk(harness.short_folder())
    yield walk
    if walk.node is not None:
        walk.node.send_signal(signal.SIGTERM)
        walk.node.wait(60)


def test_the_walk_ends_in_a_report_that_names_the_new_version(walk):
    blocks = blocks_of(PAGE.read_text())
    assert len(blocks) >= 9
    for before, text in blocks:
        walk.block(before, text)
    commands = [line for line, _ in walk.done]
    for word in ("dataset build", "train ", "evaluate ", "model sign", "model import", "model promote", "dcmsend"):
        assert any(word in line for line in commands), word
    results = next(walk.folder.glob("state/results/*/analysis.json"))
    analysis = json.loads(results.read_text())
    assert (analysis["model"]["name"], analysis["model"]["version"]) == ("walk", "1.0.0")
    report = next(o["file"] for o in analysis["objects"] if o["sop_class_uid"] == harness.SR_CLASS)
    assert "walk" in (text := str(pydicom.dcmread(results.parent / report))) and "1.0.0" in text
    assert "1.0.0" in walk.done[-1][1]
    page = (walk.folder / "figures" / "report.html").read_text()
    assert "Training loss" in page and "Pretraining loss" in page
