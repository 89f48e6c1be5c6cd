"""The life of a model package: signed, brought in, judged, promoted into a running node, rolled back; and a shadow beside
it. Real programs, the shipped package and copies of it under other versions."""

import json
import shutil
import subprocess

import pydicom
import pytest

import harness


def livervlm(*words, check=False):
    return harness.run(harness.BIN / "livervlm", *words, check=check)


def assert_refused(done, words):
    assert done.returncode == 2, done.stderr
    assert done.stderr.count("\n") == 1 and words in done.stderr


def make_key(folder, name):
    private, public = folder / f"{name}.key", folder / f"{name}.pem"
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", private], check=True, capture_output=True)
    subprocess.run(["openssl", "pkey", "-in", private, "-pubout", "-out", public], check=True, capture_output=True)
    return private, public


def copy_package(target, version, acceptance=None):
    """The shipped package under another version: other manifest, other digest, other device."""
    shutil.copytree(harness.PACKAGE, target)
    (target / "manifest.sig").unlink(missing_ok=True)
    manifest = json.loads((target / "manifest.json").read_text())
    manifest["version"] = version
    manifest["training"]["acceptance"] = acceptance or {}
    (target / "manifest.json").write_text(json.dumps(manifest))
    return target


class Site:
    """Keys, a folder of models, a configuration that names both."""

    def __init__(self, folder):
        self.folder = folder
        self.keys = folder / "keys"
        self.keys.mkdir()
        self.models = folder / "models"
        self.private, _ = make_key(self.keys, "trusted")
        self.foreign, _ = make_key(folder, "foreign")
        self.config = folder / "site.ini"
        self.config.write_text(f"[analysis]\nmodels_folder = {self.models}\ntrusted_keys_folder = {self.keys}\n")

    def package(self, version, acceptance=None, key=None):
        package = copy_package(self.folder / f"new-{version}", version, acceptance)
        livervlm("model", "sign", package, "--key", key or self.private, check=True)
        return package

    def model(self, verb, *words, check=False):
        return livervlm("model", verb, *words, "--config", self.config, check=check)

    def bring_in(self, version, acceptance=None):
        self.model("import", self.package(version, acceptance), check=True)
        return f"demo-phantom-{version}"


@pytest.fixture
def site(tmp_path):
    return Site(tmp_path)


def test_only_whole_packages_of_trusted_signers_come_in(site):
    good = site.package("2.0.0")
    unsigned = copy_package(site.folder / "unsigned", "2.0.1")
    assert_refused(site.model("import", unsigned), "is not signed")
    assert_refused(site.model("import", site.package("2.0.2", key=site.foreign)), "none of the 1 trusted keys")
    changed = shutil.copytree(good, site.folder / "changed")
    weights = bytearray((changed / "weights.safetensors").read_bytes())
    weights[len(weights) // 2] ^= 1
    (changed / "weights.safetensors").write_bytes(weights)
    assert_refused(site.model("import", changed), "'weights.safetensors' is not the one the manifest names")
    forged = shutil.copytree(good, site.folder / "forged")
    (forged / "manifest.json").write_text((forged / "manifest.json").read_text() + "\n")
    assert_refused(site.model("import", forged), "none of the 1 trusted keys")
    lacking = shutil.copytree(good, site.folder / "lacking")
    (lacking / "card.md").unlink()
    assert site.model("import", lacking).returncode in (1, 2)
    assert not site.models.exists() or not [p for p in site.models.iterdir() if p.name != "history.jsonl"]
    site.model("import", good, check=True)
    site.model("import", good, check=True)  # the same again is fine
    other = copy_package(site.folder / "other", "2.0.0", {"ece": 0.5})
    livervlm("model", "sign", other, "--key", site.private, check=True)
    assert_refused(site.model("import", other), "another package demo-phantom-2.0.0 is there already")
    listed = site.model("list", check=True).stdout
    assert "demo-phantom-2.0.0" in listed and " signed " in listed


@pytest.fixture(scope="module")
def test_set(tmp_path_factory):
    folder = tmp_path_factory.mktemp("locked") / "set"
    harness.run(harness.BIN / "livervlm", "dataset", "phantom", "--output", folder, "--seed", "900", "--count", "2",
                "--lesions", "4", "--matrix", "256", "--slices", "1", "--alignment", "truth", timeout=600)
    return folder


def evaluate(package, test_set, output):
    harness.run(harness.BIN / "livervlm", "evaluate", "--dataset", test_set, "--model", package, "--output", output,
                timeout=600)
    return output


def test_promotion_needs_what_was_declared(site, test_set):
    good, bad = site.bring_in("3.0.0", {"ece": 0.99}), site.bring_in("3.0.1", {"ece": 1e-9})
    none = site.bring_in("3.0.2")
    figures = evaluate(site.models / good, test_set, site.folder / "figures-good")
    assert_refused(site.model("promote", good), "--evaluation DIR is needed")
    assert_refused(site.model("promote", bad, "--evaluation", figures), "the evaluation is not of this package")
    assert_refused(site.model("promote", bad, "--evaluation", evaluate(site.models / bad, test_set, site.folder / "b")),
                   "at most 0.0000 was declared")
    assert_refused(site.model("promote", none, "--evaluation", evaluate(site.models / none, test_set, site.folder / "n")),
                   "declares no acceptance criteria")
    assert_refused(site.model("promote", "nobody-1"), "there is no package 'nobody-1'")
    assert_refused(site.model("rollback"), "no package to go back to")
    with open(site.config, "a") as config:
        config.write(f"locked_test_set = {'0' * 64}\n")
    assert_refused(site.model("promote", good, "--evaluation", figures), "not on the locked test set 000000000000")
    digest = json.loads((figures / "evaluation.json").read_text())["data"]["manifest_sha256"]
    site.config.write_text(site.config.read_text().replace("0" * 64, digest))
    site.model("promote", good, "--evaluation", figures, check=True)
    assert (site.models / "current").readlink().name == good
    site.model("promote", bad, "--override", "to see it at work", check=True)
    assert [(site.models / link).readlink().name for link in ("current", "previous")] == [bad, good]
    site.model("rollback", check=True)
    assert [(site.models / link).readlink().name for link in ("current", "previous")] == [good, bad]
    history = [json.loads(line) for line in (site.models / "history.jsonl").read_text().splitlines()]
    assert [h["action"] for h in history] == ["import"] * 3 + ["promote", "promote", "rollback"]
    assert history[3]["evaluated_on"]["manifest_sha256"] == digest and history[4]["override"] == "to see it at work"


RECIPE = """[pretraining]
task = none
[training]
stages = 1@32
batch = 4
[augmentation]
orders = natural
[network]
joint_size = 64
[validation]
fold = 0
[acceptance]
ece = 0.999
[run]
threads = 1
"""


def phantom_set(folder, seed):
    livervlm("dataset", "phantom", "--output", folder, "--seed", seed, "--count", 5, "--lesions", 4, "--slices", 1,
             "--matrix", 256, "--alignment", "truth", check=True)
    return folder


def under_other_names(dataset, target):
    """The same pixels; other patients, folds and, with them, another digest of the data set."""
    shutil.copytree(dataset, target)
    manifest = json.loads((target / "manifest.json").read_text())
    for lesion in manifest["lesions"]:
        lesion["patient"] += "-again"
        lesion["fold"] = (lesion["fold"] + 1) % 5
    (target / "manifest.json").write_text(json.dumps(manifest))
    return target


def test_nothing_is_tested_on_what_was_trained_on(site):
    first, second, third = (phantom_set(site.folder / name, seed) for name, seed in (("a", 71), ("b", 81), ("c", 91)))
    renamed = under_other_names(first, site.folder / "renamed")
    recipe = site.folder / "recipe.ini"
    recipe.write_text(RECIPE)

    def train(version, *words):
        package = site.folder / f"trained-{version}"
        livervlm("train", "--recipe", recipe, "--set", f"package.version={version}", "--output", package, *words,
                 check=True)
        livervlm("model", "sign", package, "--key", site.private, check=True)
        site.model("import", package, check=True)
        return f"liver-vlm-{version}"

    def promote(name, data):
        figures = site.folder / f"{name}-on-{data.name}"
        done = livervlm("evaluate", "--dataset", data, "--model", site.models / name, "--output", figures,
                        "--resamples", 10, "--threads", 1, check=True)
        return site.model("promote", name, "--evaluation", figures), done

    both = train("1.0.0", "--dataset", first, "--dataset", second)
    done, evaluated = promote(both, first)
    assert_refused(done, "the data set that the model was trained on")
    assert "was trained on 16 of these lesions" in evaluated.stderr
    assert_refused(promote(both, renamed)[0], "has seen 20 of the lesions")
    after = train("1.0.1", "--dataset", first, "--init", site.models / both)
    assert_refused(promote(after, second)[0], "has seen 20 of the lesions")
    assert_refused(livervlm("train", "--cross-validate", "--dataset", second, "--recipe", recipe, "--init",
                            site.models / both, "--output", site.folder / "cross"), "was trained on what is held out")
    assert_refused(livervlm("train", "--dataset", first, "--dataset", renamed, "--recipe", recipe, "--output",
                            site.folder / "twice"), "same-lesion-twice")
    shown = livervlm("dataset", "show", first, renamed)
    assert shown.returncode == 1 and "same-lesion-twice" in shown.stdout
    assert promote(after, third)[0].returncode == 0


def report_of(node, job):
    folder = node.folder / "state" / "results" / str(job["job"])
    analysis = json.loads((folder / "analysis.json").read_text())
    names = [o["file"] for o in analysis["objects"] if o["sop_class_uid"] == harness.SR_CLASS]
    return folder, analysis, pydicom.dcmread(folder / names[0])


def done_jobs(node, count):
    return harness.wait_until(lambda: (lambda jobs: len(jobs) >= count and jobs)(node.table("jobs", "--state", "done")["jobs"]),
                              300, f"{count} finished analyses")


def test_a_running_node_takes_the_promoted_package_and_the_shadow_is_never_sent(site, tmp_path_factory):
    first, second, broken = site.bring_in("4.0.0"), site.bring_in("4.1.0"), site.bring_in("4.2.0")
    site.model("promote", first, "--override", "test", check=True)
    folder = tmp_path_factory.mktemp("node")
    studies = [harness.phantom(folder / name, "--seed", seed, "--lesions", "1", "--matrix", "256", "--coverage", "70",
                               "--slice-thickness", "5") for name, seed in (("a", "11"), ("b", "12"))]
    pacs = harness.Orthanc(folder / "pacs", 1).start()
    node = harness.Node(folder / "node", harness.free_port(), pacs.dicom_port, {"analysis": {
        "model_package": site.models / "current", "shadow_package": site.models / second}})
    try:
        node.start()
        harness.send(studies[0], node.port)
        results, analysis, report = report_of(node, done_jobs(node, 1)[0])
        assert analysis["model"]["version"] == "4.0.0" and "4.0.0" in str(report)
        shadow = json.loads((results / "shadow.json").read_text())
        assert shadow["current"]["version"] == "4.0.0" and shadow["shadow"]["version"] == "4.1.0"
        assert shadow["failure"] == "" and len(shadow["lesions"]) == len(analysis["lesions"])
        # The same weights: the same answer.
        assert shadow["lesions"][0]["shadow"] == shadow["lesions"][0]["current"]

        site.model("promote", second, "--override", "test", check=True)
        harness.wait_until(lambda: "event=worker-ready" in node.log() and "version=4.1.0" in
                           [l for l in node.log().splitlines() if "event=worker-ready" in l][-1], 60, "the new model")
        harness.send(studies[1], node.port)
        jobs = done_jobs(node, 2)
        _, later, later_report = report_of(node, max(jobs, key=lambda job: job["job"]))
        assert later["model"]["version"] == "4.1.0" and "4.1.0" in str(later_report)
        assert later["model"]["device_uid"] != analysis["model"]["device_uid"]
        harness.wait_until(lambda: len(pacs.results_of_study(harness.study_uid_of(studies[1]))[0]) == 1, 60, "the report")
        sent = pacs.instances_of_study(harness.study_uid_of(studies[0]))
        assert {row[2] for row in sent} == {o["sop_instance_uid"] for o in analysis["objects"]}

        compared = json.loads(livervlm("model", "compare", "--config", node.config, "--json", check=True).stdout)
        assert compared["studies"] == 1 and compared["studies_of_other_models"] == 1
        text = livervlm("model", "compare", "--config", node.config, check=True).stdout
        assert "current \\ shadow" in text and "Agreement is not accuracy" in text

        # A package that was damaged after it was brought in is refused, and the old one goes on.
        (site.models / broken / "weights.safetensors").write_bytes(b"nothing")
        (site.models / "broken-link").symlink_to(broken)
        (site.models / "broken-link").rename(site.models / "current")
        harness.wait_until(lambda: "event=model-refused" in node.log(), 60, "the refusal")
        assert node.table("status")["workers"][0]["version"] == "4.1.0"
    finally:
        node.remove()
        pacs.stop()
