#!/usr/bin/env python3
"""Do two runs of the analysis give the same results? Compares every file of the two folders: DICOM objects element by
element (UIDs and pixels among them), JSON files member by member, others byte by byte; what names the moment of the
run is left out. Prints each difference; exit status 1 when there is one, or nothing to compare.

Usage: same_results.py [--ignore NAME]… [--renamed OLD=NEW]… BASE_FOLDER NEW_FOLDER
Both runs: livervlm analyze --threads 1 on the same files, with the same model package."""
import argparse
import json
import pathlib
import sys

import pydicom

# The moment of the run, and how long its parts took.
IGNORED_ELEMENTS = {"InstanceCreationDate", "InstanceCreationTime", "SeriesDate", "SeriesTime", "ContentDate",
                    "ContentTime", "DateOfSecondaryCapture", "ContributionDateTime"}
IGNORED_MEMBERS = {"created", "timings_seconds", "seconds"}
SHOWN_MAX = 20  # differences of one file


def value_differences(where, left, right):
    if isinstance(left, bytes) and left != right:
        first = next((i for i, (a, b) in enumerate(zip(left, right)) if a != b), min(len(left), len(right)))
        return [f"{where}: {len(left)} and {len(right)} bytes differ from byte {first}"]
    return [] if left == right else [f"{where}: {left!r} is now {right!r}"]


def dicom_differences(where, left, right, ignored):
    found = []
    for tag in sorted(set(left.keys()) | set(right.keys())):
        a, b = left.get(tag), right.get(tag)
        name = f"{where}/{(a or b).keyword or tag}"
        if (a or b).keyword in ignored:
            continue
        if a is None or b is None:
            found.append(f"{name}: is only in {'the new' if a is None else 'the base'}")
        elif a.VR != b.VR:
            found.append(f"{name}: VR {a.VR} is now {b.VR}")
        elif a.VR == "SQ":
            if len(a.value) != len(b.value):
                found.append(f"{name}: {len(a.value)} items are now {len(b.value)}")
            for number, (one, other) in enumerate(zip(a.value, b.value)):
                found += dicom_differences(f"{name}[{number}]", one, other, ignored)
        else:
            found += value_differences(name, a.value, b.value)
    return found


def json_differences(where, left, right, ignored):
    if isinstance(left, dict) and isinstance(right, dict):
        found = [f"{where}/{name}: is only in {'the base' if name in left else 'the new'}"
                 for name in sorted(set(left) ^ set(right)) if name not in ignored]
        for name in sorted(set(left) & set(right)):
            if name not in ignored:
                found += json_differences(f"{where}/{name}", left[name], right[name], ignored)
        return found
    if isinstance(left, list) and isinstance(right, list) and len(left) == len(right):
        return [d for i, (a, b) in enumerate(zip(left, right)) for d in json_differences(f"{where}[{i}]", a, b, ignored)]
    return [] if type(left) is type(right) and left == right else [f"{where}: {left!r} is now {right!r}"]


def renamed(value, names):
    if isinstance(value, dict):
        return {names.get(name, name): renamed(member, names) for name, member in value.items()}
    return [renamed(item, names) for item in value] if isinstance(value, list) else value


def file_differences(base, new, ignored, names):
    if base.suffix == ".dcm":
        left, right = pydicom.dcmread(base), pydicom.dcmread(new)
        return (dicom_differences("meta", left.file_meta, right.file_meta, IGNORED_ELEMENTS | ignored) +
                dicom_differences("", left, right, IGNORED_ELEMENTS | ignored))
    if base.suffix == ".json":
        return json_differences("", renamed(json.loads(base.read_text()), names), json.loads(new.read_text()),
                                IGNORED_MEMBERS | ignored)
    return [] if base.read_bytes() == new.read_bytes() else ["the bytes differ"]


def files_of(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("base", type=pathlib.Path)
    parser.add_argument("new", type=pathlib.Path)
    parser.add_argument("--ignore", action="append", default=[], metavar="NAME",
                        help="a further JSON member or DICOM keyword, wherever it stands")
    parser.add_argument("--renamed", action="append", default=[], metavar="OLD=NEW", help="a JSON member")
    options = parser.parse_args()
    names = dict(pair.split("=", 1) for pair in options.renamed)
    base, new = files_of(options.base), files_of(options.new)
    differing = 0
    for name in sorted(base | new):
        if name in base and name in new:
            found = file_differences(options.base / name, options.new / name, set(options.ignore), names)
        else:
            found = [f"is only in {options.base if name in base else options.new}"]
        differing += bool(found)
        for difference in found[:SHOWN_MAX]:
            print(f"{name}: {difference}")
        if len(found) > SHOWN_MAX:
            print(f"{name}: {len(found) - SHOWN_MAX} more")
    print(f"{len(base | new)} files compared, {differing} differ")
    return 1 if differing or not base else 0


if __name__ == "__main__":
    sys.exit(main())
