"""`livervlm evaluate` with the shipped model on a few phantoms: figures, tables and a page that stands alone."""

import base64
import csv
import html.parser
import json
import re
import shutil
import subprocess
import xml.etree.ElementTree

import pytest

import harness

CLASSES = ("CYST", "FNH", "HCC", "HEM")


def livervlm(*words):
    return harness.run(str(harness.BIN / "livervlm"), *map(str, words), check=False, timeout=900)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("evaluate") / "data"
    done = livervlm("dataset", "phantom", "--output", folder, "--seed", 40, "--count", 2, "--lesions", 4, "--matrix", 256,
                    "--alignment", "truth", "--threads", 2)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def figures(dataset):
    folder = dataset.parent / "figures"
    done = livervlm("evaluate", "--dataset", dataset, "--model", harness.PACKAGE, "--against", harness.PACKAGE,
                    "--output", folder, "--threads", 2)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("model demo-phantom ")
    return folder


def rows(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_figures_agree_with_the_tables(figures):
    found = json.loads((figures / "evaluation.json").read_text())
    lesions, slices = rows(figures / "lesions.csv"), rows(figures / "slices.csv")
    assert found["lesions"] == len(lesions) == 8
    assert found["slices"] == len(slices) == sum(int(row["slices"]) for row in lesions)
    assert found["patients"] == 2
    right = sum(row["truth"] == row["answer"] for row in lesions)
    assert found["accuracy"] == pytest.approx(right / len(lesions))
    slice_level = found["levels"]["slice"]["figures"]["accuracy"]
    assert slice_level == pytest.approx(sum(row["truth"] == row["answer"] for row in slices) / len(slices))
    for row in lesions + slices:
        p = [float(row[f"probability_{name}"]) for name in CLASSES]
        assert sum(p) == pytest.approx(1, abs=1e-6)
        assert CLASSES[p.index(max(p))] == row["answer"]
    low, high = found["levels"]["lesion"]["patient_bootstrap_95"]["accuracy"]
    assert 0 <= low <= found["accuracy"] <= high <= 1
    assert sum(map(sum, found["confusion_truth_by_answer"])) == len(lesions)


def test_lesion_is_the_mean_of_its_slices(figures):
    """The geometric mean of the slices' probabilities, renormalised, is what the lesion has: one model, one answer."""
    slices = rows(figures / "slices.csv")
    for lesion in rows(figures / "lesions.csv"):
        own = [row for row in slices if row["lesion"] == lesion["lesion"]]
        product = [1.0] * 4
        for row in own:
            for c, name in enumerate(CLASSES):
                product[c] *= float(row[f"probability_{name}"]) ** (1 / len(own))
        for c, name in enumerate(CLASSES):
            assert product[c] / sum(product) == pytest.approx(float(lesion[f"probability_{name}"]), abs=1e-5)


def test_a_model_against_itself_does_not_differ(figures):
    comparison = json.loads((figures / "evaluation.json").read_text())["comparison"]
    assert comparison["difference_per_lesion"]["accuracy"] == 0
    assert comparison["paired_patient_bootstrap_p"]["accuracy"] == 1


class Page(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.images, self.outside, self.tags, self.text = [], [], set(), ""

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        for name, value in attrs:
            if name in ("src", "href"):
                (self.images if value.startswith("data:") else self.outside).append(value)

    def handle_data(self, data):
        self.text += data


def test_report_stands_alone(figures):
    page = Page()
    page.feed((figures / "report.html").read_text(encoding="utf-8"))
    assert page.outside == []
    assert not page.tags & {"script", "link", "iframe", "object"}
    assert "synthetic phantoms, not on patients" in page.text
    assert "Research use only" in page.text
    found = json.loads((figures / "evaluation.json").read_text())
    assert found["model"]["manifest_sha256"] in page.text and found["data"]["manifest_sha256"] in page.text
    kinds = [re.match(r"data:([^;]+);base64,(.*)$", source, re.S).groups() for source in page.images]
    plots = [base64.b64decode(data, validate=True) for kind, data in kinds if kind == "image/svg+xml"]
    cases = [base64.b64decode(data, validate=True) for kind, data in kinds if kind == "image/png"]
    assert len(plots) >= 5 and len(cases) >= 1
    for plot in plots:
        assert xml.etree.ElementTree.fromstring(plot).tag.endswith("svg")
    assert all(case.startswith(b"\x89PNG\r\n") for case in cases)


def assert_refused(words, *command):
    done = subprocess.run([str(harness.BIN / "livervlm"), "evaluate", *map(str, command)], capture_output=True, text=True,
                          timeout=300, check=False)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1 and words in done.stderr


def test_refuses_what_would_give_wrong_figures(dataset, tmp_path):
    both = ("--dataset", dataset, "--output", tmp_path / "out")
    assert_refused("give one model, or one per fold", *both, *(("--model", harness.PACKAGE) * 7))
    assert_refused("held out fold 0 in training, not fold 1", *both, *(("--model", harness.PACKAGE) * 2))
    for recipe in ("[validation]\nfolt = 1\n", {"validation_fold": 0}):
        strange = shutil.copytree(harness.PACKAGE, tmp_path / "strange", dirs_exist_ok=True)
        manifest = json.loads((strange / "manifest.json").read_text())
        manifest["training"]["recipe"] = recipe
        (strange / "manifest.json").write_text(json.dumps(manifest))
        assert_refused(str(strange), *both, *(("--model", strange) * 2))
    assert_refused("must not be fitted on the data", *both, "--model", harness.PACKAGE, "--baseline-dataset", dataset)


def test_one_fold_is_not_the_data_set(dataset, tmp_path):
    done = livervlm("evaluate", "--dataset", dataset, "--model", harness.PACKAGE, "--fold", 1, "--resamples", 50,
                    "--output", tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "evaluation.json").read_text())
    assert found["lesions"] == found["data"]["lesions_left_out"] == 4
    assert {row["fold"] for row in rows(tmp_path / "lesions.csv")} == {"1"}
    assert found["bootstrap"]["resamples"] == 50


def predictions_of(dataset, path, wrong):
    """What a cross-validation would have said: right, but for the lesions in `wrong`, which are taken for the next class."""
    lines = ["fold,patient,lesion,slice,is_key,class,CYST,FNH,HCC,HEM"]
    for number, lesion in enumerate(json.loads((dataset / "manifest.json").read_text())["lesions"]):
        said = (CLASSES.index(lesion["class"]) + (number in wrong)) % 4
        for index in range(lesion["slices"]):
            logits = [0.5 if c == said else 0.01 * c for c in range(4)]
            lines.append(f"{lesion['fold']},{lesion['patient']},{lesion['id']},{index},{int(index == 0)},{lesion['class']},"
                         + ",".join(map(str, logits)))
    path.write_text("\n".join(lines) + "\n")
    return path


def test_predictions_of_a_cross_validation(dataset, tmp_path):
    some = predictions_of(dataset, tmp_path / "some.csv", {1, 6})
    none = predictions_of(dataset, tmp_path / "none.csv", set())
    done = livervlm("evaluate", "--dataset", dataset, "--predictions", some, "--against-predictions", none, "--output",
                    tmp_path / "figures")
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "figures" / "evaluation.json").read_text())
    assert found["lesions"] == 8 and found["accuracy"] == pytest.approx(6 / 8) and found["model"] is None
    assert found["comparison"]["difference_per_lesion"]["accuracy"] == pytest.approx(-2 / 8)
    assert found["out_of_distribution"]["auc_of_distance_for_wrong_answers"] is None
    assert "There is no Grad-CAM without a model" in (tmp_path / "figures" / "report.html").read_text()
    both = ("--dataset", dataset, "--output", tmp_path / "out")
    assert_refused("either --model or --predictions", *both, "--predictions", some, "--model", harness.PACKAGE)
    assert_refused("either --model or --predictions", *both)
    some.write_text(some.read_text().replace("phantom-40-1", "phantom-99-1"))
    assert_refused("has no lesion 'phantom-99-1'", *both, "--predictions", some)
    some.write_text("nothing")
    assert_refused("holds no predictions", *both, "--predictions", some)
