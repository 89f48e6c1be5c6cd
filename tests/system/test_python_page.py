"""docs/python.md and docs/python.ipynb: the cells run as they are written, and say what the program says."""

import contextlib
import io
import json
import subprocess

import pandas
import pytest

import harness
import test_researcher

PAGE = harness.ROOT / "docs" / "python.md"
NOTEBOOK = harness.ROOT / "docs" / "python.ipynb"


def cells_of_page():
    return [text.strip() for _, text in test_researcher.blocks_of(PAGE.read_text())]


def cells_of_notebook():
    notebook = json.loads(NOTEBOOK.read_text())
    assert notebook["nbformat"] == 4
    return ["".join(cell["source"]).strip() for cell in notebook["cells"] if cell["cell_type"] == "code"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("python")
    run = lambda *arguments: subprocess.run([harness.BIN / "livervlm", *arguments], cwd=folder, check=True, capture_output=True)
    run("dataset", "phantom", "--output", "test-set", "--seed", "700", "--count", "2", "--lesions", "4", "--matrix", "256",
        "--alignment", "truth")
    run("train", "--dataset", "test-set", "--output", "walk-1.0.0", "--set", "training.stages=2@32", "--set",
        "pretraining.stages=1@32", "--set", "training.batch=4", "--set", "pretraining.batch=4", "--set", "validation.folds=2")
    run("evaluate", "--dataset", "test-set", "--model", "walk-1.0.0", "--output", "figures")
    return folder


def test_notebook_and_page_have_the_same_cells():
    assert cells_of_page() == cells_of_notebook() and len(cells_of_page()) == 7


def test_the_cells_run_and_agree_with_the_program(folder, monkeypatch):
    monkeypatch.chdir(folder)
    names, printed = {}, io.StringIO()
    with contextlib.redirect_stdout(printed):
        for cell in cells_of_page():
            exec(compile(cell, str(PAGE), "exec"), names)  # noqa: S102: the page's own text
    assert list(names["lesions"]["class"].value_counts()) == [2, 2, 2, 2]
    figures = pandas.read_csv("figures/figures.csv").query("level == 'lesion' and figure == 'accuracy'")
    assert abs((names["answers"].truth == names["answers"].answer).mean() - figures.value.iloc[0]) < 1e-9
    first = json.load(open("test-set/manifest.json"))["lesions"][0]
    means = [float(line.split()[1]) for line in printed.getvalue().splitlines() if line.split()[:1] in (["NC"], ["ART"], ["PV"])]
    assert means == pytest.approx(first["mean_hu"], abs=12)  # of the whole lesion there, of the stored slices here
    assert names["history"].task.tolist()[-1] == "training" and (folder / "lesion.png").stat().st_size > 5000
