#!/usr/bin/env python3
"""Coefficients of model/registration/registration_quality.c from registration_bench's CSV files, and what they reach.

Recognised or not: logistic regression, both kinds of pair weighted alike; a pair counts as good when it can be aligned and
the error at the place is below 5 mm. Estimated error: quantile regression (0.9) of the logarithm of the error at the place
over the good pairs. With --check nothing is fitted: the columns `usable` and `estimate` of other seeds are counted.

usage: /usr/bin/python3 calibrate.py [--check] CSV...        needs python3-numpy (Debian)
"""

import argparse
import csv
import sys

import numpy as np

GOOD_MM = 5.0
INVERSE_MAX_MM = 20.0
QUANTILE = 0.9
RIDGE = 0.03          # keeps the body, which phantoms have alike, from ruling alone
QUANTILE_RIDGE = 2.0
FAR_SHARE = 0.05      # of the weight of what must be refused: aligned, but off
NO_WAY_BACK_MM = 8.0  # refused whatever else is seen


def damped(values):
    return np.log1p(np.minimum(np.nan_to_num(values, nan=INVERSE_MAX_MM), INVERSE_MAX_MM))


def read(paths):
    rows = []
    for path in paths:
        with open(path, newline="") as file:
            rows += list(csv.DictReader(file))
    return rows


def column(rows, name):
    return np.array([float(row[name]) for row in rows])


def evidence(rows):
    return np.column_stack([np.ones(len(rows)), column(rows, "agreement"), column(rows, "body"),
                            column(rows, "similarity"), damped(column(rows, "inverse")), column(rows, "border")])


def precision(rows):
    slices = np.maximum(1.0, np.maximum(column(rows, "fixed_slice_mm"), column(rows, "moving_slice_mm")))
    return np.column_stack([np.ones(len(rows)), 1.0 - column(rows, "agreement"), damped(column(rows, "inverse")),
                            damped(column(rows, "spread")), np.log(slices)])


def logistic(x, good, far):
    y = good
    bad = ~good & ~far
    weight = np.where(good, 0.5 / good.sum(), np.where(far, FAR_SHARE / max(1, far.sum()), 0.5 / bad.sum())) * len(y)
    beta = np.zeros(x.shape[1])
    ridge = RIDGE * np.diag([0.0] + [1.0] * (x.shape[1] - 1))
    for _ in range(100):
        p = 1.0 / (1.0 + np.exp(-np.clip(x @ beta, -30, 30)))
        gradient = x.T @ (weight * (y - p)) - ridge @ beta
        hessian = (x * (weight * p * (1 - p))[:, None]).T @ x + ridge + 1e-9 * np.eye(len(beta))
        beta = beta + np.linalg.solve(hessian, gradient)
    return beta


def quantile(x, y):
    """Pinball loss by reweighted least squares."""
    beta = np.linalg.lstsq(x, y, rcond=None)[0]
    for _ in range(500):
        residual = y - x @ beta
        weight = np.where(residual > 0, QUANTILE, 1 - QUANTILE) / np.maximum(np.abs(residual), 1e-2)
        left = (x * weight[:, None]).T @ x + QUANTILE_RIDGE * np.diag([0.0] + [1.0] * (x.shape[1] - 1))
        beta = np.linalg.solve(left, (x * weight[:, None]).T @ y)
    return beta


def count(name, good, bad, far, believed):
    print(f"{name}: good pairs refused {int((good & ~believed).sum())} of {int(good.sum())}, "
          f"others refused {int((bad & ~believed).sum())} of {int(bad.sum())}, "
          f"aligned but off by {GOOD_MM:.0f} mm refused {int((far & ~believed).sum())} of {int(far.sum())}")


def main():
    options = argparse.ArgumentParser()
    options.add_argument("--check", action="store_true")
    options.add_argument("csv", nargs="+")
    chosen = options.parse_args()
    rows = [row for row in read(chosen.csv) if float(row["overlap"]) >= 0.3 or chosen.check]
    alignable = np.array([row["what"] == "good" for row in rows])
    centre = column(rows, "centre")
    good = alignable & (centre < GOOD_MM)
    far = alignable & ~good
    if not good.any() or alignable.all():
        sys.exit("both kinds of pair are needed")
    if chosen.check:
        believed = column(rows, "usable") > 0
        estimate = column(rows, "estimate")
        count("as shipped", good, ~alignable, far, believed)
        for what in sorted({row["what"] for row in rows} - {"good"}):
            kind = np.array([row["what"] == what for row in rows])
            print(f"  {what}: refused {int((kind & ~believed).sum())} of {int(kind.sum())}")
        kept = alignable & believed
        print(f"believed: error mean {centre[kept].mean():.2f}, p95 {np.quantile(centre[kept], 0.95):.2f}, largest "
              f"{centre[kept].max():.2f} mm; below its estimate {int((centre < estimate)[kept].sum())} of {int(kept.sum())}")
        return
    x = evidence(rows)
    beta = logistic(x, good, far)
    believed = (x @ beta > 0) & (column(rows, "inverse") <= NO_WAY_BACK_MM)
    count("fitted", good, ~alignable, far, believed)
    print("score: 1, agreement, body, similarity, damped inverse, border:", np.round(beta, 2).tolist())
    usable = [row for row, keep in zip(rows, good & believed, strict=True) if keep]
    gamma = quantile(precision(usable), np.log(np.maximum(0.05, column(usable, "centre"))))
    print("log error: 1, 1 - agreement, damped inverse, damped spread, log slice:", np.round(gamma, 3).tolist())


if __name__ == "__main__":
    main()
