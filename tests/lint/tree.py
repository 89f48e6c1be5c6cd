"""What the lint scripts share: the tree's files, the report, and the self-test that shows that a check can fail."""
import os
import subprocess
import sys
import tempfile

SKIPPED = {".git", "build", ".venv", "__pycache__", ".cache", "demo-output", "node_modules"}


def files(root):
    """Paths from `root`: what git tracks or would add; every file where there is no repository."""
    if os.path.exists(os.path.join(root, ".git")):  # a folder, or the file of a worktree
        listed = subprocess.run(["git", "-C", root, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
                                capture_output=True, check=True).stdout.decode()
        return sorted({p for p in listed.split("\0") if p and os.path.isfile(os.path.join(root, p))})
    found = []
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(f for f in folders if f not in SKIPPED)
        found += [os.path.relpath(os.path.join(folder, n), root) for n in names]
    return sorted(found)


def sources(root, endings):
    return [p for p in files(root) if p.endswith(tuple(endings))]


def text(root, path):
    with open(os.path.join(root, path), encoding="utf-8", errors="replace") as stream:
        return stream.read()


def lines(root, path):
    return text(root, path).splitlines()


def self_test(check, samples):
    """Each sample is bad in its own way: the check must name every one of them, and nothing in an empty tree."""
    missed = []
    with tempfile.TemporaryDirectory() as folder:
        if check(folder):
            missed.append("an empty tree")
        for path, content in samples.items():
            os.makedirs(os.path.join(folder, os.path.dirname(path)), exist_ok=True)
            with open(os.path.join(folder, path), "w", encoding="utf-8") as stream:
                stream.write(content)
        faults = check(folder)
        missed += [p for p in samples if not any(f.startswith(p) for f in faults)]
    return [f"self-test: {p} was not noticed" for p in missed]


def main(check, samples):
    if len(sys.argv) != 2:
        print(f"usage: {sys.argv[0]} ROOT | --self-test", file=sys.stderr)
        return 2
    faults = self_test(check, samples) if sys.argv[1] == "--self-test" else check(sys.argv[1])
    for fault in faults:
        print(fault)
    print(f"{len(faults)} faults")
    return 1 if faults else 0
