"""Wrong input of the trainer and its neighbours: one line that says what is wrong, exit status 2, and nothing made."""

import json
import shutil
import subprocess

import pytest

import harness

ROOT = harness.ROOT
BERT = ROOT / "tests" / "data" / "parity" / "bert"
SMALL = ("--set", "pretraining.task=none", "--set", "training.stages=1@32", "--set", "training.batch=4", "--set",
         "run.threads=1")


def livervlm(*words, timeout=300):
    return subprocess.run([str(harness.BIN / "livervlm"), *map(str, words)], capture_output=True, text=True,
                          timeout=timeout, check=False)


def assert_refused(done, words):
    assert done.returncode == 2, (done.returncode, done.stderr)
    assert done.stderr.count("\n") == 1 and words in done.stderr, done.stderr


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wrong") / "data"
    done = livervlm("dataset", "phantom", "--output", folder, "--seed", 60, "--count", 2, "--lesions", 4, "--matrix", 256,
                    "--alignment", "truth", "--threads", 2)
    assert done.returncode == 0, done.stderr
    return folder


def changed(dataset, target, change):
    """A copy of the data set with another manifest."""
    shutil.copytree(dataset, target)
    manifest = json.loads((target / "manifest.json").read_text())
    change(manifest["lesions"])
    (target / "manifest.json").write_text(json.dumps(manifest))
    return target


def drop_class(lesions):
    lesions[:] = [lesion for lesion in lesions if lesion["class"] != "FNH"]


def keep_one_class(lesions):
    lesions[:] = [lesion for lesion in lesions if lesion["class"] == "HCC"]


def split_patient(lesions):
    lesions[0]["fold"] = lesions[0]["fold"] + 1
    assert any(lesion["patient"] == lesions[0]["patient"] for lesion in lesions[1:])


@pytest.mark.parametrize("mode", [(), ("--cross-validate",)])
@pytest.mark.parametrize("change, words", [
    (drop_class, "there is no lesion of class FNH to train on"),
    (keep_one_class, "lesions of the data set are HCC: nothing can be learnt"),
    (split_patient, "patient-in-two-folds"),
])
def test_a_data_set_that_teaches_nothing_true(dataset, tmp_path, change, words, mode):
    wrong = changed(dataset, tmp_path / "wrong", change)
    assert_refused(livervlm("train", "--dataset", wrong, "--output", tmp_path / "out", *SMALL, *mode), words)
    assert not (tmp_path / "out" / "manifest.json").exists()


def replace_pixels(folder):
    """Every Hounsfield unit becomes 40; digests are made to agree."""
    import hashlib
    import struct
    manifest = json.loads((folder / "manifest.json").read_text())
    for lesion in manifest["lesions"]:
        path = folder / "lesions" / f"{lesion['id']}.safetensors"
        data = bytearray(path.read_bytes())
        length = struct.unpack("<Q", data[:8])[0]
        header = json.loads(data[8:8 + length])
        begin, end = header["hounsfield"]["data_offsets"]
        data[8 + length + begin:8 + length + end] = struct.pack("<h", 40) * ((end - begin) // 2)
        path.write_bytes(data)
        lesion["sha256"] = hashlib.sha256(data).hexdigest()
    (folder / "manifest.json").write_text(json.dumps(manifest))


@pytest.mark.parametrize("mode", [(), ("--cross-validate",)])
def test_constant_images(dataset, tmp_path, mode):
    wrong = changed(dataset, tmp_path / "wrong", lambda lesions: None)
    replace_pixels(wrong)
    assert_refused(livervlm("train", "--dataset", wrong, "--output", tmp_path / "out", *SMALL, *mode),
                   "all images are of one value")


def test_a_changed_byte_of_the_data_set(dataset, tmp_path):
    wrong = changed(dataset, tmp_path / "wrong", lambda lesions: None)
    path = next((wrong / "lesions").glob("*.safetensors"))
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    assert_refused(livervlm("train", "--dataset", wrong, "--output", tmp_path / "out", *SMALL),
                   "its file is not the one the manifest names")


@pytest.mark.parametrize("name", ["weights.safetensors", "weights.pth"])
def test_truncated_weights(dataset, tmp_path, name):
    source = ROOT / "tests" / "data" / "weights" / "zip.pth" if name.endswith(".pth") else harness.PACKAGE / name
    data = source.read_bytes()
    cut = tmp_path / name
    cut.write_bytes(data[:len(data) // 2])
    assert_refused(livervlm("train", "--dataset", dataset, "--output", tmp_path / "out", "--init", cut, *SMALL), name)


def test_weights_of_another_network(dataset, tmp_path):
    assert_refused(livervlm("train", "--dataset", dataset, "--output", tmp_path / "out", "--init",
                            harness.PACKAGE / "weights.safetensors", "--set", "network.encoder=resnet50", *SMALL), "tensor")


def test_wrong_vocabulary(tmp_path):
    folder = tmp_path / "bert"
    shutil.copytree(BERT, folder)
    words = (folder / "vocab.txt").read_text().splitlines()
    (folder / "vocab.txt").write_text("\n".join(words[:-3]) + "\n")
    assert_refused(livervlm("text-encoder", "embed", "--encoder", folder, "--output", tmp_path / "p.safetensors"), "vocab")
    (folder / "vocab.txt").write_text("\n".join(words).replace("[CLS]", "cls") + "\n")
    assert_refused(livervlm("text-encoder", "embed", "--encoder", folder, "--output", tmp_path / "p.safetensors"), "vocab")


@pytest.fixture
def site(tmp_path):
    keys = tmp_path / "keys"
    keys.mkdir()
    private = tmp_path / "us.key"
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", private], check=True, capture_output=True)
    subprocess.run(["openssl", "pkey", "-in", private, "-pubout", "-out", keys / "us.pem"], check=True,
                   capture_output=True)
    config = tmp_path / "site.ini"
    config.write_text(f"[analysis]\nmodels_folder = {tmp_path / 'models'}\ntrusted_keys_folder = {keys}\n")
    package = tmp_path / "package"
    shutil.copytree(harness.PACKAGE, package)
    (package / "manifest.sig").unlink(missing_ok=True)
    return {"package": package, "config": config, "private": private, "public": keys / "us.pem"}


def test_unsigned_package(site):
    assert_refused(livervlm("model", "import", site["package"], "--config", site["config"]), "is not signed")
    assert_refused(livervlm("model", "verify", site["package"], "--key", site["public"]), "is not signed")


@pytest.mark.parametrize("name", ["weights.safetensors", "test_vectors.safetensors", "card.md", "manifest.json"])
def test_changed_byte_of_a_package(site, dataset, tmp_path, name):
    package = site["package"]
    assert livervlm("model", "sign", package, "--key", site["private"]).returncode == 0
    data = bytearray((package / name).read_bytes())
    data[len(data) // 2] ^= 1
    (package / name).write_bytes(data)
    for command in (("model", "verify", package, "--key", site["public"]),
                    ("model", "import", package, "--config", site["config"])):
        done = livervlm(*command)
        assert done.returncode == 2 and done.stderr.count("\n") == 1, done.stderr
    if name != "manifest.json":  # whose bytes the signature alone vouches for
        assert_refused(livervlm("evaluate", "--dataset", dataset, "--model", package, "--output", tmp_path / "e"), name)
        assert_refused(livervlm("train", "--dataset", dataset, "--output", tmp_path / "out", "--init", package, *SMALL),
                       name)
