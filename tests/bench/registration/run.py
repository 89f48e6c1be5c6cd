#!/usr/bin/env python3
"""Alignment about a lesion against elastix on the same phantom pairs: CSV, summary and plot; and what is refused.

Runs registration_bench (ninja registration_bench), which aligns about three places of each pair and writes crops, points
and exact truth; then elastix (Debian's package, rigid and then B-spline, the parameter files beside this one) on the same
crops and on the whole volumes of the first pairs, and transformix on the same points. Every line carries the machine's
load: compare times of one run only. Phantom errors are not clinical accuracy; the literature's figure for multiphase CT of
the liver is 3 to 5 mm.

usage: run.py --bench BUILD/tests/registration_bench --output DIR [--seed 7200] [--pairs 12] [--matrix 256]
              [--crops 12] [--whole 2] [--repeats 1] [--threads 2] [--ours CSV]
"""

import argparse
import csv
import math
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
COLOURS = {"none": "#999999", "translation": "#4c78a8", "ours": "#2ca02c", "elastix": "#d62728"}


def read_points(path):
    return [tuple(map(float, line.split())) for line in path.read_text().splitlines()[2:]]


def errors(mapped, truth):
    each = [math.dist(a, b) for a, b in zip(mapped, truth, strict=True)]
    ordered = sorted(each)
    return {"centre": each[0], "mean": statistics.fmean(each), "p95": ordered[int(0.95 * (len(each) - 1))],
            "max": ordered[-1]}


def transformed(path):
    rows = []
    for line in path.read_text().splitlines():
        rows.append(tuple(map(float, line.split("OutputPoint = [")[1].split("]")[0].split())))
    return rows


def run_elastix(fixed, moving, points, folder, threads):
    """Mapped points and seconds, or None when elastix fails (it stops when too few samples overlap)."""
    folder.mkdir(parents=True, exist_ok=True)
    start = time.monotonic()
    done = subprocess.run(["elastix", "-f", fixed, "-m", moving, "-p", HERE / "elastix_rigid.txt", "-p",
                           HERE / "elastix_bspline.txt", "-out", folder, "-threads", str(threads)], capture_output=True)
    seconds = time.monotonic() - start
    if done.returncode != 0:
        return None, seconds
    subprocess.run(["transformix", "-def", points, "-tp", folder / "TransformParameters.1.txt", "-out", folder], check=True,
                   capture_output=True)
    return transformed(folder / "outputpoints.txt"), seconds


def peer(kind, row, files, chosen):
    """The last run's errors, the median of all runs' times."""
    name = f"{row['pair']}-{row['place']}"
    images = name if kind == "crop" else f"{row['pair']}-whole"
    times, cpu_times = [], []
    for _ in range(chosen.repeats):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        mapped, seconds = run_elastix(files / f"{images}-fixed.mha", files / f"{images}-moving.mha",
                                      files / f"{name}-points.txt", files / f"elastix-{kind}-{name}", chosen.threads)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        times.append(seconds)
        cpu_times.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    found = errors(mapped, read_points(files / f"{name}-truth.txt")) if mapped else dict.fromkeys(
        ("centre", "mean", "p95", "max"), math.nan)
    return found | {"seconds": statistics.median(times), "cpu_seconds": statistics.median(cpu_times),
                    "load": os.getloadavg()[0]}


def spread(values):
    values = [v for v in values if not math.isnan(v)]
    return f"{statistics.fmean(values):.2f} (largest {max(values):.2f})" if values else "-"


def groups(rows):
    for place in ("lesion", "wall", "deep"):
        yield place, [r for r in rows if r["place"] == place]
    for low, high in ((0, 2), (2, 4.5), (4.5, 6), (6, 99)):
        yield f"{low}-{high} mm" if high < 99 else f"over {low} mm", [
            r for r in rows if low < max(float(r["fixed_slice_mm"]), float(r["moving_slice_mm"])) <= high]
    yield "still", [r for r in rows if float(r["motion_scale"]) == 0]
    yield "believed", [r for r in rows if r["usable"] == "1"]
    yield "all", rows


def summarise_errors(rows):
    print("mm, means over places  n  before | shift  near centre | ours: near centre   p95 largest | refused | "
          "elastix, same crops: n  near centre | ours there: near centre")
    for name, group in groups(rows):
        if not group:
            continue
        mean = {k: statistics.fmean(float(r[k]) for r in group)
                for k in ("before_mean", "shift_mean", "shift_centre", "mean", "centre", "p95")}
        both = [r for r in group if r.get("elastix_crop_mean") not in ("", None) and
                not math.isnan(float(r["elastix_crop_mean"]))]
        line = (f"{name:16} {len(group):8} {mean['before_mean']:7.2f} | {mean['shift_mean']:11.2f} "
                f"{mean['shift_centre']:6.2f} | {mean['mean']:10.2f} {mean['centre']:6.2f} {mean['p95']:5.2f} "
                f"{max(float(r['max']) for r in group):7.2f} | {sum(r['usable'] == '0' for r in group):7} |")
        if both:
            line += (f" {len(both):22} {statistics.fmean(float(r['elastix_crop_mean']) for r in both):5.2f} "
                     f"{statistics.fmean(float(r['elastix_crop_centre']) for r in both):6.2f} | "
                     f"{statistics.fmean(float(r['mean']) for r in both):16.2f} "
                     f"{statistics.fmean(float(r['centre']) for r in both):6.2f}")
        print(line)


def summarise(rows, wrong):
    summarise_errors(rows)
    print(f"what cannot be aligned: {sum(r['usable'] == '0' for r in wrong)} of {len(wrong)} refused")
    for what in sorted({r["what"] for r in wrong}):
        kind = [r for r in wrong if r["what"] == what]
        print(f"  {what}: {sum(r['usable'] == '0' for r in kind)} of {len(kind)}")
    seconds, cpu_seconds, inverse = (statistics.median(float(r[k]) for r in rows)
                                     for k in ("seconds", "cpu_seconds", "inverse"))
    print(f"least determinant {min(float(r['determinant']) for r in rows):.2f}; median {seconds:.3f} s ({cpu_seconds:.3f} s "
          f"of CPU) a place and phase, at most {max(float(r['beyond_mb']) for r in rows):.0f} MiB beyond the volumes; inverse "
          f"consistency median {inverse:.2f} mm")
    for kind in ("crop", "whole"):
        both = [r for r in rows if r.get(f"elastix_{kind}_seconds")]
        if both:
            ratio, cpu_ratio = (statistics.median(float(r[f"elastix_{kind}_{k}"]) / float(r[k]) for r in both)
                                for k in ("seconds", "cpu_seconds"))
            print(f"elastix, {kind}, {len(both)} places: near "
                  f"{spread([float(r[f'elastix_{kind}_mean']) for r in both])} mm, centre "
                  f"{spread([float(r[f'elastix_{kind}_centre']) for r in both])} mm, median "
                  f"{statistics.median(float(r[f'elastix_{kind}_seconds']) for r in both):.1f} s; ours on the same: near "
                  f"{spread([float(r['mean']) for r in both])} mm, centre {spread([float(r['centre']) for r in both])} mm; "
                  f"{ratio:.0f} times as long, {cpu_ratio:.0f} times the CPU time")


def plot(rows, path):
    """Mean error near each place, one column a place, the methods as dots; SVG by hand."""
    width, height, left, bottom = 40 + 18 * len(rows), 320, 40, 270
    top_mm = 12.0
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif" '
             f'font-size="9"><rect width="100%" height="100%" fill="white"/>']
    for mm in range(0, 13, 2):
        y = bottom - 250 * mm / top_mm
        parts.append(f'<line x1="{left}" x2="{width}" y1="{y}" y2="{y}" stroke="#dddddd"/>'
                     f'<text x="8" y="{y + 3}">{mm} mm</text>')
    for i, row in enumerate(rows):
        x = left + 18 * i + 9
        dots = {"none": row["before_mean"], "translation": row["shift_mean"], "ours": row["mean"],
                "elastix": row.get("elastix_crop_mean", "")}
        for name, value in dots.items():
            if value not in ("", None) and not math.isnan(float(value)):
                y = bottom - 250 * min(float(value), top_mm) / top_mm
                parts.append(f'<circle cx="{x}" cy="{y:.1f}" r="3" fill="{COLOURS[name]}"/>')
        parts.append(f'<text transform="translate({x + 3},{bottom + 40}) rotate(-90)">{row["pair"]} {row["place"]}</text>')
    for i, (name, colour) in enumerate(COLOURS.items()):
        parts.append(f'<circle cx="{left + 90 * i + 8}" cy="12" r="3" fill="{colour}"/>'
                     f'<text x="{left + 90 * i + 14}" y="15">{name}</text>')
    path.write_text("\n".join(parts) + "\n</svg>\n")


def write_csv(rows, path):
    columns = list(dict.fromkeys(column for row in rows for column in row))
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--bench", required=True)
    options.add_argument("--output", required=True, type=pathlib.Path)
    options.add_argument("--seed", type=int, default=7200)
    options.add_argument("--pairs", type=int, default=12)
    options.add_argument("--matrix", type=int, default=256)
    options.add_argument("--crops", type=int, default=12, help="places that elastix is run on, spread over the pairs")
    options.add_argument("--whole", type=int, default=2, help="pairs whose whole volumes elastix is run on")
    options.add_argument("--repeats", type=int, default=1, help="runs of elastix, of which the median time is told")
    options.add_argument("--threads", type=int, default=os.cpu_count())
    options.add_argument("--ours", type=pathlib.Path, help="a finished run's CSV; its files lie in OUTPUT/files")
    chosen = options.parse_args()
    files = chosen.output / "files"
    files.mkdir(parents=True, exist_ok=True)
    if chosen.ours is None:
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # idle threads of libgomp spin otherwise
    run = subprocess.run([chosen.bench, str(chosen.seed), str(chosen.pairs), str(chosen.matrix), str(files),
                              str(chosen.whole)], check=True, capture_output=True, text=True)
        text = run.stdout
    else:
        text = chosen.ours.read_text()
    rows = list(csv.DictReader(text.splitlines()))
    if not rows:
        sys.exit("registration_bench found no place to align about")
    wrong = [row for row in rows if row["what"] != "good"]
    write_csv(wrong, chosen.output / "wrong.csv")
    rows = [row for row in rows if row["what"] == "good"]
    # Places follow one another, three a pair: each kind in turn, of pairs of every kind.
    step = 3 * max(1, len(rows) // (3 * max(1, chosen.crops))) + 1
    for number in sorted({i * step % len(rows) for i in range(chosen.crops)}):
        row = rows[number]
        row |= {f"elastix_crop_{k}": v for k, v in peer("crop", row, files, chosen).items()}
        write_csv(rows, chosen.output / "registration.csv")
    for row in [r for r in rows if r["place"] == "lesion"][:chosen.whole]:
        row |= {f"elastix_whole_{k}": v for k, v in peer("whole", row, files, chosen).items()}
        write_csv(rows, chosen.output / "registration.csv")
    write_csv(rows, chosen.output / "registration.csv")
    plot(rows, chosen.output / "registration.svg")
    summarise(rows, wrong)
    print(f"load {os.getloadavg()[0]:.1f}, {os.cpu_count()} cores")


if __name__ == "__main__":
    main()
