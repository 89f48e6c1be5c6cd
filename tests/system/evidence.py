#!/usr/bin/env python3
"""Phantom studies through the real node into the real PACS, judged by independent tools.

For each study: SR and SC arrive in Orthanc; dciodvfy and DicomSRValidator print no Error; highdicom reads the SR; every
referenced SOP instance is in the PACS; the SR's outline lies where the truth mask is; and whether the class is right.
With --all-objects every kind of result object is made, and the segmentation and the presentation states' outlines are the
truth mask, voxel for voxel.

usage: evidence.py [--count 40] [--seed 5000] [--output FILE.json] [--no-sr-validator] [--all-objects]
"""

import argparse
import json
import pathlib
import tempfile

import harness
import judge
import objects

CLASSES = ["cyst", "fnh", "hcc", "hemangioma"]
ROI_FORMS = ["rtstruct", "seg", "sr"]
FINDINGS = {"85057007": "CYST", "278527001": "FNH", "109841003": "HCC", "93469006": "HEM"}
CENTROID_TOLERANCE_PIXELS = 2.0


def polygon_centroid(points):
    """Area centroid of a closed polygon [(column, row)]."""
    area = cx = cy = 0.0
    for (x0, y0), (x1, y1) in zip(points, points[1:] + points[:1]):
        cross = x0 * y1 - x1 * y0
        area += cross
        cx += (x0 + x1) * cross
        cy += (y0 + y1) * cross
    return (cx / (3 * area), cy / (3 * area)) if area else (sum(p[0] for p in points) / len(points),
                                                            sum(p[1] for p in points) / len(points))


def items(dataset):
    for item in dataset.get("ContentSequence", []):
        yield item
        yield from items(item)


def name_of(item):
    names = item.get("ConceptNameCodeSequence")
    return names[0].CodeValue if names else ""


def groups_of(report):
    """The measurement groups (one per lesion)."""
    return [i for i in items(report) if i.ValueType == "CONTAINER" and name_of(i) == "125007"]


def describe_group(group):
    """Finding, probabilities, outlines of one measurement group."""
    finding = None
    probabilities = {}
    outlines = []
    for item in group.ContentSequence:
        if item.ValueType == "CODE" and name_of(item) == "121071":
            finding = item.ConceptCodeSequence[0].CodeValue
        if item.ValueType == "NUM" and name_of(item).startswith("PROB"):
            probabilities[name_of(item)] = float(item.MeasuredValueSequence[0].NumericValue)
        if item.ValueType == "SCOORD" and name_of(item) == "111030":
            data = list(item.GraphicData)
            image = item.ContentSequence[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID
            outlines.append((str(image), list(zip(data[0::2], data[1::2]))))
    return finding, probabilities, outlines


def objects_problems(folder, truth, found, has_map):
    """What is wrong with the objects beside report and captures; each voxel is compared. Without an answer of the network
    there is no map to send."""
    import pydicom
    problems = []
    classes = {o.SOPClassUID for o in found}
    wanted = {c for c in objects.FURTHER_CLASSES if has_map or c != objects.PMAP_CLASS}
    if classes != wanted:
        return [f"{len(classes)} of {len(wanted)} kinds of further objects"]
    drawn, = objects.segmentations(found, objects.DRAWN)
    series = drawn.ReferencedSeriesSequence[0].SeriesInstanceUID
    images = [pydicom.dcmread(p) for p in folder.rglob("*.dcm")]
    images = sorted((i for i in images if i.SeriesInstanceUID == series), key=lambda i: float(i.ImagePositionPatient[2]))
    wanted = objects.truth_mask(folder / "truth_mask_1.nrrd", images)
    mask = objects.segment_mask(drawn, drawn.SegmentSequence[0].TrackingUID, images)
    outlines = objects.drawn_mask(objects.of_class(found, objects.GSPS_CLASS), images)
    if len(truth["lesions"]) != 1 or not wanted.any():
        problems.append("no truth to compare with")
    for what, got in (("segmentation", mask), ("outlines", outlines)):
        if (got != wanted).any():
            problems.append(f"the {what} differ from the ROI in {int((got != wanted).sum())} voxels")
    return problems


def judge_study(pacs, folder, truth, work, is_all=False):
    """Problems (empty when all is well) and what the report says of one study."""
    import pydicom
    problems = []
    reports, captures = pacs.results_of_study(truth["study_instance_uid"])
    if len(reports) != 1:
        problems.append(f"{len(reports)} SRs in the PACS")
    if len(captures) != len(truth["lesions"]):
        problems.append(f"{len(captures)} secondary captures for {len(truth['lesions'])} lesions")
    answers = []
    paths = []
    further = [i for i, c, _ in pacs.instances_of_study(truth["study_instance_uid"])
               if c in objects.FURTHER_CLASSES and pacs.is_ours(i)]
    for instance in reports + captures + further:
        path = pacs.save(instance, work / f"{instance}.dcm")
        paths.append(path)
        problems += [f"{path.name}: {line}" for line in judge.dciodvfy_errors(path)]
        dataset = pydicom.dcmread(path)
        missing = [u for u in judge.referenced_uids(dataset) if not pacs.has_instance(u)]
        if missing:
            problems.append(f"{path.name} refers to {len(missing)} objects that are not in the PACS: {missing[0]}")
        if instance not in reports:
            continue
        judge.highdicom_report(path)
        for group, lesion in zip(groups_of(dataset), truth["lesions"]):
            finding, probabilities, outlines = describe_group(group)
            answers.append({"truth": lesion["class"], "finding": FINDINGS.get(finding, "indeterminate"),
                            "probabilities": probabilities, "diameter_mm": lesion["diameter_mm"],
                            "subtype": lesion.get("subtype", "")})
            distance = outline_distance(outlines, lesion)
            answers[-1]["outline_distance_pixels"] = distance
            if distance is None or distance > CENTROID_TOLERANCE_PIXELS:
                problems.append(f"{path.name}: outline {distance} pixels from the truth")
    if is_all:
        problems += objects_problems(folder, truth, [pydicom.dcmread(work / f"{i}.dcm") for i in further],
                                     any(answer["probabilities"] for answer in answers))
    return problems, answers, [p for p in paths if p.name[:-4] in reports]


def outline_distance(outlines, lesion):
    """Pixels between the outline's centroid and the truth mask's on the same source image."""
    for image, points in outlines:
        if image == lesion["key_sop_instance_uid"]:
            truth = lesion["key_centroid_px"]
            column, row = polygon_centroid(points)
            # The truth is in pixel-centre indices; SCOORD's origin is the corner of the first pixel.
            return ((column - 0.5 - truth[0]) ** 2 + (row - 0.5 - truth[1]) ** 2) ** 0.5
    return None


def run(count, seed, work, sr_validator=True, phantom_options=(), is_all=False):
    work = pathlib.Path(work)
    node_port = harness.free_port()
    pacs = harness.Orthanc(work / "pacs", node_port).start()
    kinds = {"analysis": {"result_objects": objects.KINDS}} if is_all else None
    node = harness.Node(work / "node", node_port, pacs.dicom_port, kinds).start()
    problems = {}
    answers = []
    reports = []
    try:
        for i in range(count):
            folder = harness.phantom(work / f"study-{i}", "--seed", seed + i, "--class", CLASSES[i % 4], "--roi",
                                     ROI_FORMS[i % 3], "--lesions", 1, *phantom_options)
            truth = json.loads((folder / "truth.json").read_text())
            harness.send(folder, pacs.dicom_port, called=harness.PACS_AET)
            harness.send(folder, node_port)
            uid = truth["study_instance_uid"]
            harness.wait_until(lambda: all(pacs.results_of_study(uid)), 180,
                               f"results of study {i} (seed {seed + i})\n" + node.log()[-3000:])
            if is_all:  # the key object selection is the last that is sent
                harness.wait_until(lambda: objects.KOS_CLASS in {c for _, c, _ in pacs.instances_of_study(uid)}, 60,
                                   f"all objects of study {i}")
            found, said, paths = judge_study(pacs, folder, truth, work, is_all)
            problems[folder.name] = found
            answers += said
            reports += paths
        if sr_validator:
            for path, errors in judge.sr_validator_errors(reports).items():
                problems.setdefault(path, []).extend(errors)
    finally:
        node.remove()
        pacs.stop()
    return {"studies": count, "problems": {k: v for k, v in problems.items() if v}, "answers": answers,
            "right": sum(a["truth"] == a["finding"] for a in answers),
            "abstained": sum(a["finding"] == "indeterminate" for a in answers)}


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--count", type=int, default=40)
    options.add_argument("--seed", type=int, default=5000)
    options.add_argument("--output")
    options.add_argument("--no-sr-validator", action="store_true")
    options.add_argument("--all-objects", action="store_true")
    chosen = options.parse_args()
    with tempfile.TemporaryDirectory(prefix="lvn-evidence-") as work:
        result = run(chosen.count, chosen.seed, work, not chosen.no_sr_validator, is_all=chosen.all_objects)
    if chosen.output:
        pathlib.Path(chosen.output).write_text(json.dumps(result, indent=1))
    print(json.dumps({k: v for k, v in result.items() if k != "answers"}, indent=1))
    print(f"{result['studies']} studies, {len(result['problems'])} with problems, {result['right']} right, "
          f"{result['abstained']} abstained")
    raise SystemExit(1 if result["problems"] else 0)


if __name__ == "__main__":
    main()
