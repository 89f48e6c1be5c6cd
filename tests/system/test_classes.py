"""A model of other classes than the paper's, from its data set to its report: trained on phantoms with metastasis as a class,
it answers by its own list everywhere."""

import csv
import json
import shutil

import pydicom
import pytest

import harness

CLASSES = {"CYST": "85057007", "FNH": "278527001", "HCC": "109841003", "HEM": "93469006", "METASTASIS": "94381002"}
WORLD = """[world]
name = five
[share]
cyst = 1
fnh = 1
hcc = 1
hem = 1
metastasis = 1
abscess = 0.5
"""
RECIPE = """[package]
name = five-classes
licence = Apache-2.0
[network]
classes = METASTASIS, CYST, FNH, HCC, HEM
joint_size = 64
[pretraining]
task = none
[training]
stages = 2@32
batch = 8
[augmentation]
orders = natural
[validation]
abstain_margin = 0
abstain_quantile = 1
[run]
device = cpu
threads = 2
"""


def livervlm(*words):
    done = harness.run(str(harness.BIN / "livervlm"), *map(str, words), check=False, timeout=900)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("classes")
    (folder / "world.ini").write_text(WORLD)
    (folder / "recipe.ini").write_text(RECIPE)
    livervlm("dataset", "phantom", "--world", folder / "world.ini", "--output", folder / "data", "--seed", 300, "--count",
             5, "--lesions", 5, "--matrix", 256, "--alignment", "truth", "--threads", 2)
    livervlm("train", "--dataset", folder / "data", "--recipe", folder / "recipe.ini", "--output", folder / "model")
    return folder


def test_manifest_has_the_recipes_classes(folder):
    manifest = json.loads((folder / "model" / "manifest.json").read_text())
    assert manifest["classes"] == list(CLASSES)
    assert [p["text"].split("tumors ")[1].split(",")[0] for p in manifest["prompts"][:5]][-1] == "Metastasis"


def test_evaluation_goes_by_the_packages_classes(folder):
    livervlm("evaluate", "--dataset", folder / "data", "--model", folder / "model", "--output", folder / "figures")
    found = json.loads((folder / "figures" / "evaluation.json").read_text())
    assert found["classes"] == list(CLASSES) == list(found["recall"])
    assert len(found["confusion_truth_by_answer"]) == 5
    with open(folder / "figures" / "lesions.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {row["truth"] for row in rows} == set(CLASSES)
    for row in rows:
        assert sum(float(row[f"probability_{name}"]) for name in CLASSES) == pytest.approx(1, abs=1e-6)
    assert set(found["outliers"]["by_kind"]) == {"abscess"}  # known, but none of this model's


def test_report_has_their_codes(folder):
    livervlm("phantom", "--world", folder / "world.ini", "--class", "metastasis", "--seed", 91, "--matrix", 256, "--output",
             folder / "study")
    livervlm("analyze", "--input", folder / "study", "--model", folder / "model", "--output", folder / "results")
    analysis = json.loads(next((folder / "results").rglob("analysis.json")).read_text())
    prediction = analysis["lesions"][0]["prediction"]
    assert list(prediction["probability"]) == list(CLASSES) and len(prediction["cosine"]) == 5
    report = pydicom.dcmread(next((folder / "results").rglob("report.dcm")))
    group = find(report, "CONTAINER", "125007")[0]
    shown = [item for item in group.ContentSequence if item.ValueType == "NUM" and code_of(item).startswith("PROB_")]
    assert len(shown) == 4  # viewers label the outline with each NUM of its group: the least likely belongs to the outcome
    numbers = {item.ConceptNameCodeSequence[0].CodeValue: item for item in find(group, "NUM", "PROB_")}
    assert set(numbers) == {f"PROB_{name}" for name in CLASSES}
    for name, code in CLASSES.items():
        number = numbers[f"PROB_{name}"]
        assert find(number, "CODE", "121071")[0].ConceptCodeSequence[0].CodeValue == code
        percent = float(number.MeasuredValueSequence[0].NumericValue)
        assert percent == pytest.approx(max(100 * prediction["probability"][name], 0.1), abs=0.0501)
    finding = [item for item in group.ContentSequence if item.ValueType == "CODE" and code_of(item) == "121071"]
    wanted = "52988006" if prediction["abstained"] else CLASSES[prediction["top_class"]]
    assert finding[0].ConceptCodeSequence[0].CodeValue == wanted


@pytest.mark.parametrize("classes, words", [
    (["CYST", "FNH", "HCC", "HEM", "TUMOUR"], "class 'TUMOUR' is not known"),
    (["FNH", "CYST", "HCC", "HEM", "METASTASIS"], "out of order"),
    (["CYST", "CYST", "HCC", "HEM", "METASTASIS"], "repeated"),
    (["CYST", "FNH", "HCC", "HEM"], "prototypes"),
    (None, "prototypes"),  # the paper's four
])
def test_package_whose_list_is_wrong_is_refused(folder, tmp_path, classes, words):
    done = verify_with(folder / "model", tmp_path / "model", classes)
    assert done.returncode == 2 and words in done.stderr


def test_package_without_a_list_has_the_papers_four(tmp_path):
    done = verify_with(harness.PACKAGE, tmp_path / "model", None)
    assert done.returncode == 0, done.stderr


def verify_with(package, copy, classes):
    shutil.copytree(package, copy)
    manifest = json.loads((copy / "manifest.json").read_text())
    del manifest["classes"]
    if classes is not None:
        manifest["classes"] = classes
    (copy / "manifest.json").write_text(json.dumps(manifest))
    return harness.run(str(harness.BIN / "livervlm"), "model", "verify", str(copy), check=False)


def code_of(item):
    names = item.get("ConceptNameCodeSequence")
    return names[0].CodeValue if names else ""


def find(item, kind, code):
    found = []
    for child in item.get("ContentSequence", []):
        if child.ValueType == kind and code_of(child).startswith(code):
            found.append(child)
        found += find(child, kind, code)
    return found
