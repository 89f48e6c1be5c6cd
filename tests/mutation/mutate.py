#!/usr/bin/env python3
"""Mutants of valid objects, and whether the node says so where it reads them otherwise than the original.

Usage: mutate.py READER [--kinds A,B] [--count N] [--seed N] [--keep FOLDER] [--jobs N] | --self-test
READER is the program mutant_reader. Every kind gets N mutants, the same ones for the same seed; exit 1 on a fault.

The rule. A mutant is a FAULT of the node when reading it
  - ends the process by a signal, takes more than 60 s or more than 2 GB, or fails for a reason that is none of the
    object's (out of memory, internal), or
  - is SILENT: the study is accepted, nothing is said that is not said of the original (note, waiting, an exclusion, a
    remark on the geometry, a doubt about HU), and the masks, the volumes or their places differ from the original's.
A mutant that means something else is no fault, because no reader can know: whoever moves a corner of an outline or
sets a voxel of a segmentation draws another region. Such CONTENT edits are told from damage by what the mutant is, not
by who made it. The file must be well formed throughout, and differ from the original only
  - in values that are the region or the picture itself (CONTENT_TAGS), in a form that the standard allows: as many of
    them as before, finite, in the plane where they were; pixels as many bytes as before;
  - in whole outlines, regions or graphics that are missing, and not all of one list;
  - in values that say which of the study's images is meant, where nothing else in the object says it too;
  - or also in what changes nothing: the content edits undone, the rest of the mutant is read again and is no fault.
Everything else is damage: structure, encoding, references, geometry that contradicts itself. Silence is then a fault,
unless the result is the original's."""

import argparse
import collections
import concurrent.futures
import json
import math
import pathlib
import random
import shutil
import struct
import subprocess
import sys
import tempfile
import threading

import dicom_tree
import mutators

HERE = pathlib.Path(__file__).resolve().parent
ORIGINALS, KEPT = HERE / "originals", HERE / "kept"
BATCH = 100

CONTOUR_DATA, GRAPHIC_DATA, PIXELS = 0x30060050, 0x00700022, 0x7FE00010
# Of an image: what scales it, and what marks its padding.
SCALE = (0x00281052, 0x00281053, 0x00280120, 0x00280121)
REFERENCE = 0x00081155
SERIES = 0x0020000E
DROPPABLE = (0x30060040, 0x0040A730, 0x00700001, 0x00700009)

# kind: file, values that are content, what the mutant stands for ("" is one more), mutators beside the general ones
KINDS = {
    "rtstruct": ("rtstruct.dcm", (CONTOUR_DATA,), "", mutators.CONTOUR * 3),
    "seg": ("seg.dcm", (PIXELS,), "", mutators.PIXEL),
    "seg_fractional": ("seg_fractional.dcm", (PIXELS,), "", mutators.PIXEL),
    "labelmap": ("labelmap.dcm", (PIXELS,), "", mutators.PIXEL),
    "sr": ("sr.dcm", (GRAPHIC_DATA, REFERENCE), "", []),
    "sr_3d": ("sr_3d.dcm", (GRAPHIC_DATA,), "", []),
    "gsps": ("gsps.dcm", (GRAPHIC_DATA, REFERENCE), "", []),
    "ct": ("ct/pv05.dcm", (PIXELS,) + SCALE, "pv05.dcm", mutators.PIXEL[:4]),
    "enhanced_ct": ("enhanced_ct.dcm", (PIXELS, SERIES) + SCALE, "enhanced_ct.dcm", mutators.PIXEL),
}


def study_files(kind):
    """Of the study around the mutant."""
    slices = sorted((ORIGINALS / "ct").glob("*.dcm"))
    if kind == "enhanced_ct":
        return [path for path in slices if path.name.startswith("nc")] + [ORIGINALS / "enhanced_ct.dcm",
                                                                         ORIGINALS / "enhanced_rtstruct.dcm"]
    return slices + ([ORIGINALS / "rtstruct.dcm"] if kind == "ct" else [])


class Reader:
    """One mutant_reader with the files of one study."""

    def __init__(self, program, kind, scratch):
        self.folder = pathlib.Path(scratch) / kind
        (self.folder / "study").mkdir(parents=True)
        for path in study_files(kind):
            shutil.copy(path, self.folder / "study")
        self.replaced = KINDS[kind][2]
        self.program = program

    def read(self, mutants):
        """An answer for each file's bytes."""
        lines = []
        for number, data in enumerate(mutants):
            path = self.folder / f"{number}.dcm"
            path.write_bytes(data)
            lines.append(f"{self.replaced}\t{path}\n")
        done = subprocess.run([str(self.program), str(self.folder / "study")], input="".join(lines), text=True,
                              stdout=subprocess.PIPE, check=True)
        answers = [json.loads(line) for line in done.stdout.splitlines()]
        if len(answers) != len(mutants):
            raise RuntimeError(f"{len(mutants)} mutants, {len(answers)} answers")
        return answers


def said(answer):
    """Everything that a person would be told."""
    texts = [answer["note"], answer["waiting"]]
    for stack in answer["stacks"]:
        texts += [stack["problem"], stack["note"], stack["reserve"], stack.get("doubt", "")]
        texts += [stack["exclusion"]] if stack["exclusion"] != "none" else []
    return collections.Counter(text for text in texts if text)


def is_near(left, right):
    """Grids within a tenth of a millimetre: what no measurement tells apart."""
    return len(left) == len(right) and all(math.isclose(a, b, rel_tol=1e-3, abs_tol=0.1) for a, b in zip(left, right))


def regions_of(answer):
    """Of each series: voxels, the digest of all masks together, and the grid. Which regions make one lesion is said by
    their tracking identifiers, and shown; where they lie is what is judged."""
    found = {}
    for roi in answer["rois"]:
        voxels, mask, grid = found.get(roi["series"], (0, 0, roi["grid"]))
        found[roi["series"]] = (voxels + roi["voxels"], mask + int(roi["mask"], 16) & (1 << 64) - 1, grid)
    return found


def is_same_result(left, right):
    """All that would be measured on."""
    before, after = regions_of(left), regions_of(right)
    if before.keys() != after.keys() or not all(
            before[name][:2] == after[name][:2] and is_near(before[name][2], after[name][2]) for name in before):
        return False
    volumes = [sorted(((stack["series"], stack["slices"], stack.get("hu", ""), stack["grid"])
                       for stack in answer["stacks"])) for answer in (left, right)]
    return len(volumes[0]) == len(volumes[1]) and all(
        old[:3] == new[:3] and is_near(old[3], new[3]) for old, new in zip(*volumes))


def numbers_of(node):
    if node.vr in mutators.FORMATS:
        code, size = mutators.FORMATS[node.vr]
        values = [struct.unpack_from(code, node.value, i)[0] for i in range(0, len(node.value), size)]
    else:
        values = [float(part) for part in node.value.decode("ascii").strip("\0 ").split("\\")]
    if not values or not all(map(math.isfinite, values)):
        raise ValueError("not finite")
    return values


def is_other_value(kind, old, new, uids):
    """Another value of the same standing?"""
    if new.tag not in KINDS[kind][1] or new.vr != old.vr:
        return False
    if new.tag == PIXELS:
        return len(new.value) == len(old.value)
    if new.tag == SERIES:
        return new.value != b""  # of the whole object, whose name then is another
    if new.tag == REFERENCE:
        return new.value.rstrip(b"\0") in uids
    if new.value == b"" or (b"," in new.value and new.vr == b"DS"):
        return False
    try:
        before, after = numbers_of(old), numbers_of(new)
    except (ValueError, struct.error, UnicodeDecodeError):
        return False
    if new.tag == 0x00281053 and after[0] == 0:
        return False
    depth_matters = new.tag == CONTOUR_DATA or kind == "sr_3d"
    return len(before) == len(after) and (not depth_matters or before[2::3] == after[2::3])


def is_other_list(kind, old, new, uids):
    if len(old) != len(new):
        return False
    return all(_is_other(kind, before, after, uids) for before, after in zip(old, new))


def _is_other(kind, old, new, uids):
    if old.tag != new.tag or (old.items is None) != (new.items is None):
        return False
    if old.items is None:
        return (old.value == new.value and old.vr == new.vr) or is_other_value(kind, old, new, uids)
    if len(new.items) == len(old.items):
        return all(is_other_list(kind, before.nodes, after.nodes, uids) for before, after in zip(old.items, new.items))
    if old.tag not in DROPPABLE or not new.items or len(new.items) > len(old.items):
        return False
    left = iter(old.items)  # what is there stands in its old order
    return all(any(is_other_list(kind, before.nodes, after.nodes, uids) for before in left) for after in new.items)


def restore(kind, old, new, uids):
    """The mutant's nodes with every content edit undone that is made of values."""
    left = list(old)
    for node in new:
        before = next((each for each in left if each.tag == node.tag), None)
        if before is None:
            continue
        left.remove(before)
        if node.items is None and before.items is None:
            if is_other_value(kind, before, node, uids):
                node.value = before.value
        elif node.items is not None and before.items is not None and len(node.items) == len(before.items):
            for item, item_before in zip(node.items, before.items):
                restore(kind, item_before.nodes, item.nodes, uids)


def restore_pixels(kind, original, mutant):
    """The bytes of pixels alone, in a file too damaged for more, of which none is missing or added."""
    plain, last = dicom_tree.write(original), original[-1]
    if PIXELS not in KINDS[kind][1] or len(plain) != len(mutant) or last.tag != PIXELS or not last.value:
        return mutant
    return mutant[:-len(last.value)] + last.value


def is_content(kind, original, mutant, uids, is_harmless):
    """Content edits alone, or beside damage that does nothing (is_harmless) without them?"""
    try:
        nodes = dicom_tree.parse(mutant)
        if is_other_list(kind, original, nodes, uids):
            return True
        restore(kind, original, nodes, uids)
        restored = dicom_tree.write(nodes)
    except (dicom_tree.Malformed, RecursionError, struct.error):
        restored = restore_pixels(kind, original, mutant)
    return restored != mutant and is_harmless(restored)


def make_mutant(rng, original, methods, uids):
    """Bytes that are not the original's, and who made them."""
    plain = dicom_tree.write(original)
    while True:
        nodes = [node.copy() for node in original]
        names, data = [], None
        for _ in range(2 if rng.random() < 0.1 else 1):
            method = rng.choice(methods)
            try:
                data = method(rng, nodes, uids)
            except mutators.NotHere:
                continue
            names.append(method.__name__)
            if data is not None:
                break
        data = dicom_tree.write(nodes) if data is None and names else data
        if names and data != plain:
            return data, names


def judge_alone(base, answer):
    """Without knowing the mutant: "other" where it must be known."""
    if answer["outcome"] != "ok":
        return answer["outcome"]
    if said(answer) - said(base):
        return "said"
    if not answer["rois"]:
        return "waiting"  # a study without ROI is one that waits for it
    return "same" if is_same_result(answer, base) else "other"


def judge(case, answer, mutant, names, reader):
    """same, said, waiting, refused, content, or a fault: silent, crash, hang, the name of an error."""
    verdict = judge_alone(case.base, answer)
    if verdict != "other":
        return verdict

    def is_harmless(data):
        return judge_alone(case.base, reader([data])[0]) in HARMLESS

    if set(names) & mutators.CONTENT or set(names) <= mutators.CONTENT_OR_SAME or is_content(case.kind, case.original, mutant, case.uids, is_harmless):
        return "content"
    return "silent"


HARMLESS = ("same", "said", "waiting", "refused", "content")
Case = collections.namedtuple("Case", "kind original base uids")


def uids_of(kind):
    found = {node.value.rstrip(b"\0") for path in study_files(kind) + [ORIGINALS / KINDS[kind][0]]
             for holder, at, _ in dicom_tree.walk(dicom_tree.parse(path.read_bytes()))
             for node in [holder[at]] if node.vr == b"UI"}
    return sorted(found)


def original_answer(reader, kind):
    answer = reader.read([(ORIGINALS / KINDS[kind][0]).read_bytes()])[0]
    if answer["outcome"] != "ok" or not answer["rois"] or said(answer):
        raise RuntimeError(f"{kind}: the original is not read: {answer}")
    return answer


def report_fault(kind, verdict, name, answer):
    text = answer.get("error") or f"{[roi['voxels'] for roi in answer['rois']]} voxels"
    print(f"{kind}: {verdict}: {name}: {text}", flush=True)


def run_kind(program, kind, count, seed, keep, scratch):
    """Counts of the verdicts."""
    reader = Reader(program, kind, scratch)
    original = dicom_tree.parse((ORIGINALS / KINDS[kind][0]).read_bytes())
    case = Case(kind, original, original_answer(reader, kind), uids_of(kind))
    methods = mutators.GENERAL + KINDS[kind][3]
    counts = collections.Counter()
    for first in range(0, count, BATCH):
        batch = []
        for number in range(first, min(first + BATCH, count)):
            batch.append(make_mutant(random.Random(f"{seed}/{kind}/{number}"), original, methods, case.uids))
        for number, ((data, names), answer) in enumerate(zip(batch, reader.read([data for data, _ in batch])), first):
            verdict = judge(case, answer, data, names, reader.read)
            counts[verdict] += 1
            if verdict not in HARMLESS:
                name = f"{kind}-{verdict}-{'-'.join(names)}-{seed}-{number}.dcm"
                report_fault(kind, verdict, name, answer)
                if keep:
                    (keep / name).write_bytes(data)
    return counts


def run_kept(program, kind, scratch):
    """What was once a fault stays mended: damage, whatever is_content() would say of it."""
    paths = sorted((KEPT / kind).glob("*.dcm"))
    if not paths:
        return collections.Counter()
    reader = Reader(program, kind, f"{scratch}/kept")
    base = original_answer(reader, kind)
    counts = collections.Counter()
    for path, answer in zip(paths, reader.read([path.read_bytes() for path in paths])):
        verdict = judge_alone(base, answer)
        counts[verdict] += 1
        if verdict not in HARMLESS:
            report_fault(kind, verdict, path.name, answer)
    return counts


def self_test():
    """The rule tells content from damage, and silence from a word."""
    kind = "rtstruct"
    nodes = dicom_tree.parse((ORIGINALS / "rtstruct.dcm").read_bytes())

    def judged(change, **members):
        mutant = [node.copy() for node in nodes]
        change(mutant)
        base = {"outcome": "ok", "note": "", "waiting": "", "stacks": [],
                "rois": [{"series": "1", "voxels": 5, "mask": "a", "grid": [0.0]}]}
        answer = {**base, "rois": [{"series": "1", "voxels": 4, "mask": "b", "grid": [0.0]}], **members}
        return judge(Case(kind, nodes, base, []), answer, dicom_tree.write(mutant), ["x"], lambda _: [answer])

    def edit(tag, old, new):
        def change(mutant):
            node = dicom_tree.find(mutant, tag)[0]
            assert old in node.value or old == b""
            node.value = node.value.replace(old, new, 1) if old else new
        return change

    corner = dicom_tree.find(nodes, CONTOUR_DATA)[0].value.split(b"\\")[0]
    moved = edit(CONTOUR_DATA, corner, b"1" * len(corner))
    deep = dicom_tree.find(nodes, CONTOUR_DATA)[0].value.split(b"\\")[2]
    expected = [(judged(moved), "content"),
                (judged(edit(CONTOUR_DATA, corner, b"nan".ljust(len(corner)))), "silent"),
                (judged(edit(CONTOUR_DATA, b"\\" + deep, b"\\" + b"7" * len(deep))), "silent"),
                (judged(edit(0x30060042, b"", b"POINT ")), "silent"),
                (judged(edit(0x30060042, b"", b"POINT "), note="ROI 1 left out"), "said"),
                (judged(moved, outcome="crash"), "crash"), (judged(moved, outcome="refused"), "refused"),
                (judged(lambda mutant: dicom_tree.find(mutant, 0x30060040)[0].items.pop(1)), "content"),
                (judged(lambda mutant: dicom_tree.find(mutant, 0x30060040)[0].items.append(
                    dicom_tree.find(mutant, 0x30060040)[0].items[0])), "silent")]
    wrong = [pair for pair in expected if pair[0] != pair[1]]
    print("self-test:", wrong or "ok")
    return 1 if wrong else 0


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("reader", nargs="?", type=lambda text: pathlib.Path(text).resolve())
    parser.add_argument("--kinds", default=",".join(KINDS))
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=pathlib.Path, help="folder for mutants that show a fault")
    parser.add_argument("--known-silent", default="", help="kinds whose silent mutants are reported and no failure")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--self-test", action="store_true")
    given = parser.parse_args()
    if given.self_test:
        return self_test()
    sys.setrecursionlimit(20000)  # for deeply nested mutants
    threading.stack_size(256 << 20)
    if given.keep:
        given.keep.mkdir(parents=True, exist_ok=True)
    kinds, faults = given.kinds.split(","), 0
    with tempfile.TemporaryDirectory(prefix="lvn-mutation-") as scratch, \
            concurrent.futures.ThreadPoolExecutor(given.jobs) as pool:
        runs = {kind: (pool.submit(run_kind, given.reader, kind, given.count, given.seed, given.keep, scratch),
                       pool.submit(run_kept, given.reader, kind, scratch)) for kind in kinds}
        for kind in kinds:
            counts, kept = (run.result() for run in runs[kind])
            known = ("silent",) if kind in given.known_silent.split(",") else ()
            faults += sum(number for verdict, number in (counts + kept).items() if verdict not in HARMLESS + known)
            print(f"{kind}: " + ", ".join(f"{counts[v]} {v}" for v in sorted(counts)) + f"; kept: {sum(kept.values())}")
    print(f"{faults} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
