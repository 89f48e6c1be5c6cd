"""From DICOM cases to a data set: the real program on phantom studies, whole, broken off, and with wrong input."""

import csv
import json
import pathlib
import shutil
import signal
import subprocess
import time

import pytest

import harness

HEADER = "study,roi,lesion,class,patient_key,fold,reference_standard"


@pytest.fixture(scope="module")
def studies(tmp_path_factory):
    folder = tmp_path_factory.mktemp("studies")
    harness.phantom(folder, "--seed", "100", "--count", "3", "--lesions", "2", "--matrix", "256", "--coverage", "80",
                    "--slice-thickness", "5")
    return folder


def rows_of(studies):
    rows = []
    for number, study in enumerate(sorted(studies.glob("study-*"))):
        truth = json.loads((study / "truth.json").read_text())
        for lesion in truth["lesions"]:
            rows.append(f"{study.name},{study.name}/{truth['roi']['file']},{lesion['lesion']},{lesion['class']},"
                        f"\"Doe, Jane {number}\",{number % 2},histology")
    return rows


def write_list(studies, rows, name="cases.csv", header=HEADER):
    path = studies / name
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def build(cases, output, *words):
    return subprocess.run([str(harness.BIN / "livervlm"), "dataset", "build", "--cases", str(cases), "--output", str(output),
                           *words], capture_output=True, text=True, timeout=600, check=False)


def manifest_of(folder):
    return (pathlib.Path(folder) / "manifest.json").read_text()


def files_of(folder):
    return {p.relative_to(folder): p.read_bytes() for p in pathlib.Path(folder).rglob("*") if p.is_file()}


@pytest.fixture(scope="module")
def whole(studies, tmp_path_factory):
    output = tmp_path_factory.mktemp("whole") / "set"
    done = build(write_list(studies, rows_of(studies)), output)
    return output, done


def report_of(studies, name="cases.report.csv"):
    with open(studies / name, newline="") as file:
        return list(csv.DictReader(file))


def test_every_row_is_used_or_has_a_reason(studies, whole):
    output, done = whole
    report = report_of(studies)
    manifest = json.loads(manifest_of(output))
    assert [int(row["row"]) for row in report] == list(range(2, 8))
    assert len(manifest["lesions"]) == sum(row["outcome"] == "used" for row in report) >= 4
    assert all(row["reason"] for row in report if row["outcome"] == "left out")
    assert done.returncode == (0 if len(manifest["lesions"]) == 6 else 2), done.stderr
    assert "\r" not in done.stderr  # no bar away from a terminal
    classes = [row.split(",")[3] for row in rows_of(studies)]
    assert [l["class"] for l in manifest["lesions"]] == [c for c, r in zip(classes, report) if r["outcome"] == "used"]


def test_manifest_says_where_pixels_come_from_and_not_whose_they_are(studies, whole):
    output, _ = whole
    text = manifest_of(output)
    lesion = json.loads(text)["lesions"][0]
    truth = json.loads(next(iter(sorted(studies.glob("study-*")))).joinpath("truth.json").read_text())
    assert "Doe" not in text and truth["patient_id"] not in text and "study-1" not in text
    assert set(lesion["series"]) == {"NC", "ART", "PV"}
    for phase, facts in lesion["series"].items():
        assert facts["series_instance_uid"] == truth["series"][phase]["series_instance_uid"]
        assert facts["phase_evidence"] and facts["registration"]["usable"]
    assert len(lesion["images"]) == 3 * lesion["slices"]
    assert truth["lesions"][0]["key_sop_instance_uid"] in {i["sop_instance_uid"] for i in lesion["images"]}
    assert all(len(i["pixel_sha256"]) == 64 for i in lesion["images"])


def test_a_build_that_was_killed_goes_on_and_ends_the_same(studies, whole, tmp_path):
    reference, _ = whole
    output = tmp_path / "set"
    cases = write_list(studies, rows_of(studies))
    process = subprocess.Popen([str(harness.BIN / "livervlm"), "dataset", "build", "--cases", str(cases), "--output",
                                str(output), "--jobs", "1"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    harness.wait_until(lambda: len(list((output / "building").glob("*.json"))) >= 2, 300, "two finished lesions", 0.01)
    process.send_signal(signal.SIGKILL)
    process.wait(30)
    time.sleep(0.5)  # its children die with it
    assert not (output / "manifest.json").exists()
    finished = {p.name: p.stat().st_mtime_ns for p in (output / "lesions").glob("*.safetensors")}
    kept = len(list((output / "building").glob("*.json")))
    done = build(cases, output, "--jobs", "2")
    assert f"{kept} from before" in done.stdout
    again = {p.name: p.stat().st_mtime_ns for p in (output / "lesions").glob("*.safetensors")}
    assert sum(again.get(name) == when for name, when in finished.items()) >= kept
    assert manifest_of(output) == manifest_of(reference)
    files = files_of(output / "lesions")
    assert files == files_of(reference / "lesions")


def test_a_mended_list_keeps_what_was_made(studies, tmp_path):
    rows = rows_of(studies)[:2]
    broken = [rows[0], rows[1].replace("/roi/", "/nowhere/")]
    output = tmp_path / "set"
    done = build(write_list(studies, broken, "mend.csv"), output)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1 and "row 3: there is no ROI file" in done.stderr
    assert len(json.loads(manifest_of(output))["lesions"]) == 1
    done = build(write_list(studies, rows, "mend.csv"), output)
    assert "1 from before" in done.stdout
    if done.returncode == 0:
        assert not (output / "building").exists()
        assert build(studies / "mend.csv", output).returncode in (1, 2)  # a whole data set is not touched


def test_a_phase_that_is_missing_or_constant_is_a_reason(studies, tmp_path):
    import pydicom
    rows = rows_of(studies)
    damaged = studies / "damaged"
    shutil.copytree(studies / "study-100", damaged, dirs_exist_ok=True)
    for path in (damaged / "art").glob("*.dcm"):
        image = pydicom.dcmread(path)
        image.PixelData = bytes(len(image.PixelData))
        image.save_as(path)
    lacking = studies / "lacking"
    shutil.copytree(studies / "study-101", lacking, dirs_exist_ok=True)
    shutil.rmtree(lacking / "nc")
    listed = [rows[0].replace("study-100", "damaged"), rows[2].replace("study-101", "lacking")]
    done = build(write_list(studies, listed, "bad.csv"), tmp_path / "set")
    shutil.rmtree(damaged)
    shutil.rmtree(lacking)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1 and "no row could be used; row 2: " in done.stderr
    report = report_of(studies, "bad.report.csv")
    assert "phase" in report[0]["reason"] and "non-contrast" in report[1]["reason"]


@pytest.mark.parametrize("rows, words", [
    (["study-100,study-100/roi/rtstruct.dcm,1,,p,0,"], "row 2: the class is missing"),
    (["a,r,1,CYST,p,0,", "b,r,1,HCC,p,1,"], "row 3: the patient of row 2 is in fold 0 there and in fold 1 here"),
    (["a,r,1,HCC,p,0,", "b,r,1,HCC,q,1,"], "all 2 rows have the one class HCC"),
    (["a,r,1,HCC"], "row 2: 4 fields, but the header has 7 columns"),
])
def test_a_wrong_list_is_one_line(tmp_path, rows, words):
    done = build(write_list(tmp_path, rows), tmp_path / "set")
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.count("\n") == 1 and words in done.stderr
    assert not (tmp_path / "set").exists()


def test_delayed_phase_is_stored_where_a_study_has_one(tmp_path):
    """Beside the other three, which it does not change; a study without it is none the worse."""
    folder = tmp_path / "studies"
    for seed, phases in (("100", "nc,art,pv,dl"), ("101", "nc,art,pv")):
        harness.phantom(folder / f"study-{seed}", "--seed", seed, "--count", "1", "--lesions", "2",
                        "--matrix", "256", "--coverage", "80", "--slice-thickness", "5", "--phases", phases)
    cases = write_list(folder, rows_of(folder))
    build(cases, tmp_path / "three")
    build(cases, tmp_path / "four", "--delayed")
    three, four = (json.loads(manifest_of(tmp_path / name))["lesions"] for name in ("three", "four"))
    assert len(three) == len(four) >= 3
    for plain, lesion in zip(three, four):
        assert "delayed" not in plain and lesion["pixel_sha256"] == plain["pixel_sha256"]
        phases = {image["phase"] for image in lesion["images"]}
        assert ("delayed" in lesion) == ("DL" in phases) == ("DL" in lesion["series"])
        if "delayed" in lesion:
            assert lesion["series"]["DL"]["registration"]["usable"]
            assert len(lesion["images"]) == 4 * lesion["slices"] and 0 < lesion["delayed"]["mean_hu"] < 250
        else:
            assert lesion["sha256"] == plain["sha256"]
    assert {"delayed" in lesion for lesion in four} == {True, False}


def test_fourth_phase_is_trained_on(tmp_path):
    """With the installed prompts; the package names its recipe and answers on the usual three phases."""
    program = harness.BIN / "livervlm"
    made = harness.run(program, "dataset", "phantom", "--output", tmp_path / "data", "--seed", "1", "--count", "5",
                       "--lesions", "4", "--matrix", "256", "--alignment", "truth", "--delayed", "--threads", "2")
    assert "20 with the delayed phase" in made.stdout
    recipe = tmp_path / "recipe.ini"
    recipe.write_text("[pretraining]\ntask = none\n[training]\nstages = 1@32\nbatch = 8\n"
                      "[augmentation]\nfourth_phase = 0.5\n")
    harness.run(program, "train", "--dataset", tmp_path / "data", "--output", tmp_path / "package", "--recipe", recipe)
    training = json.loads((tmp_path / "package" / "manifest.json").read_text())["training"]
    assert "fourth_phase = 0.5" in training["recipe"] and training["training_lesions"] == 16
    harness.run(program, "evaluate", "--dataset", tmp_path / "data", "--model", tmp_path / "package", "--output",
                tmp_path / "figures", "--resamples", "20")
    refused = subprocess.run([str(program), "train", "--dataset", str(tmp_path / "data"), "--output",
                              str(tmp_path / "never"), "--recipe", str(recipe), "--text",
                              str(harness.PACKAGE / "weights.safetensors")],
                             capture_output=True, text=True, timeout=600, check=False)
    assert refused.returncode == 2 and refused.stderr.count("\n") == 1
    assert "name no delayed phase: make them anew by text-encoder embed" in refused.stderr


def test_show_draws_and_finds_leaks(whole, tmp_path):
    output, _ = whole
    sheet = tmp_path / "sheet.png"
    shown = harness.run(harness.BIN / "livervlm", "dataset", "show", output, "--verify", "--sheet", sheet)
    assert "all files agree" in shown.stdout
    assert sheet.read_bytes().startswith(b"\x89PNG")
    leaky = tmp_path / "leaky"
    shutil.copytree(output, leaky)
    manifest = json.loads(manifest_of(leaky))
    lesions = manifest["lesions"]
    first, second = next((a, b) for a, b in zip(lesions, lesions[1:]) if a["patient"] == b["patient"])
    second["fold"] = first["fold"] + 1
    (leaky / "manifest.json").write_text(json.dumps(manifest))
    shown = harness.run(harness.BIN / "livervlm", "dataset", "show", leaky, "--json", check=False)
    assert shown.returncode == 1
    assert {"kind": "patient-in-two-folds", "first": first["id"], "second": second["id"], "leak": True} in \
        json.loads(shown.stdout)["findings"]


def test_cohort_has_the_papers_cases_and_folds(tmp_path):
    """Table 1 of the Liver-VLM paper: cases of CYST, FNH, HCC and HEM in each of the five groups."""
    harness.run(harness.BIN / "livervlm", "phantom", "--cohort", "mpct-flls", "--output", tmp_path, "--matrix", "64",
                "--coverage", "40")
    with open(tmp_path / "cases.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    counts = [[sum(r["fold"] == str(fold) and r["class"] == name for r in rows) for name in ("CYST", "FNH", "HCC", "HEM")]
              for fold in range(1, 6)]
    assert counts == [[5, 4, 4, 4], [6, 3, 4, 4], [6, 3, 4, 4], [6, 3, 4, 4], [7, 3, 3, 4]]
    assert len({row["patient_key"] for row in rows}) == 85
