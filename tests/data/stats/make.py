#!/usr/bin/env python3
"""Makes golden.json: inputs and what scipy, scikit-learn and statsmodels say of them, for tests/unit/stats.
Run with numpy 2.4.6, scipy 1.17.1, scikit-learn 1.9.1, statsmodels 0.15.0:  make.py > golden.json"""
import json
import math
import sys

import numpy as np
from scipy import optimize, spatial, special, stats
from sklearn import covariance, metrics
from statsmodels.stats import multitest, proportion

MASK = (1 << 64) - 1
CLASSES = 4


def splitmix64(state):
    """Vigna's generator; the same draws as the library's."""
    while True:
        state = (state + 0x9E3779B97F4A7C15) & MASK
        z = state
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        yield z ^ (z >> 31)


def make_cases(rng, count, patients, sharpness, decimals):
    """Cosines rounded, so that scores tie."""
    patient = np.sort(rng.integers(0, patients, count))
    patient = np.unique(patient, return_inverse=True)[1]
    label = rng.integers(0, CLASSES, count)
    cosine = rng.normal(0, 0.4, (count, CLASSES))
    cosine[np.arange(count), label] += sharpness
    cosine = np.round(np.tanh(cosine), decimals)
    return {"label": label, "patient": patient, "cosine": cosine}


def figures(label, probability, weight):
    chosen = np.repeat(np.arange(len(label)), weight)
    y, p = label[chosen], probability[chosen]
    top = p.argmax(1)
    recall, auc = [], []
    for c in range(CLASSES):
        recall.append(np.mean(top[y == c] == c) if (y == c).any() else math.nan)
        both = (y == c).any() and (y != c).any()
        auc.append(metrics.roc_auc_score(y == c, p[:, c]) if both else math.nan)
    balanced = metrics.recall_score(y, top, average="macro", labels=np.unique(y), zero_division=0)
    return [metrics.accuracy_score(y, top), balanced, np.mean(auc), *recall, *auc]


def resamples(patient, seed, count):
    draws = splitmix64(seed)
    patients = patient.max() + 1
    for _ in range(count):
        times = np.zeros(patients, int)
        for _ in range(patients):
            times[((next(draws) >> 32) * int(patients)) >> 32] += 1
        yield times[patient]


def percentiles(rows):
    rows = np.array(rows)
    return {
        "low": [np.nanpercentile(rows[:, f], 2.5) for f in range(rows.shape[1])],
        "high": [np.nanpercentile(rows[:, f], 97.5) for f in range(rows.shape[1])],
        "defined": np.mean(~np.isnan(rows), 0),
    }


def bootstrap_p(rows):
    result = []
    for column in np.array(rows).T:
        column = column[~np.isnan(column)]
        fewer = min((column <= 0).sum(), (column >= 0).sum())
        result.append(min(1.0, 2 * (fewer + 1) / (len(column) + 1)))
    return result


def delong(a, b, positive):
    """Straight from the definition: every pair compared, covariance of the placements."""
    def placements(score):
        x, y = score[positive], score[~positive]
        wins = (x[:, None] > y[None, :]) + 0.5 * (x[:, None] == y[None, :])
        return wins.mean(1), wins.mean(0)
    (xa, ya), (xb, yb) = placements(a), placements(b)
    m, n = positive.sum(), (~positive).sum()
    s = np.cov(np.stack([xa, xb])) / m + np.cov(np.stack([ya, yb])) / n
    z = (xa.mean() - xb.mean()) / math.sqrt(s[0, 0] + s[1, 1] - 2 * s[0, 1])
    assert abs(xa.mean() - metrics.roc_auc_score(positive, a)) < 1e-14
    return {"auc_a": xa.mean(), "auc_b": xb.mean(), "variance_a": s[0, 0], "variance_b": s[1, 1],
            "covariance": s[0, 1], "z": z, "p": 2 * stats.norm.sf(abs(z))}


def temperature(cosine, label, scale):
    def slope(factor):
        p = special.softmax(factor * cosine, axis=1)
        return (p * cosine).sum() - cosine[np.arange(len(label)), label].sum()
    return scale / optimize.brentq(slope, scale / 10, scale / 0.002, xtol=1e-15, rtol=8.9e-16, maxiter=1000)


def reliability(label, p, bins):
    top = p.max(1)
    right = p.argmax(1) == label
    index = np.clip(np.digitize(top, np.linspace(0, 1, bins + 1), right=True) - 1, 0, bins - 1)
    rows = [(int((index == b).sum()),
             top[index == b].mean() if (index == b).any() else math.nan,
             right[index == b].mean() if (index == b).any() else math.nan) for b in range(bins)]
    return {"bins": rows, "ece": sum(n * abs(c - a) for n, c, a in rows if n) / len(label)}


def calibration(case):
    cosine, label, scale = case["cosine"], case["label"], 1.0
    t = temperature(cosine, label, scale)
    p = special.softmax(scale / t * cosine, axis=1)
    onehot = np.eye(CLASSES)[label]
    order = np.lexsort((p.argmax(1) == label, p.max(1)))
    parts = [order[b * len(order) // 15:(b + 1) * len(order) // 15] for b in range(15)]
    gaps = [abs((p.max(1) - (p.argmax(1) == label))[part].sum()) for part in parts]
    return {"scale": scale, "temperature": t, "probability": p, **reliability(label, p, 15),
            "adaptive_ece": sum(gaps) / len(label), "brier": ((p - onehot) ** 2).sum(1).mean(),
            "log_loss": metrics.log_loss(label, p, labels=range(CLASSES))}


def conformal(p, label, alpha):
    score = np.sort(1 - p[np.arange(len(label)), label])
    k = math.ceil((len(score) + 1) * (1 - alpha) - 1e-9)
    limit = score[k - 1] if k <= len(score) else math.inf
    beta = stats.beta(k, len(score) + 1 - k) if k <= len(score) else None
    return {"alpha": alpha, "limit": limit, "sets": [sum(1 << c for c in range(4) if 1 - row[c] <= limit) for row in p],
            "expected": [beta.ppf(0.025), beta.ppf(0.975)] if beta else [1.0, 1.0]}


def mahalanobis(rng):
    size, count = 6, 60
    mixing = rng.normal(0, 1, (size, size))
    label = rng.integers(0, 3, count)  # class 3 has no case
    feature = (rng.normal(0, 1, (count, size)) @ mixing + label[:, None]).astype(np.float32)
    probe = rng.normal(1, 3, (5, size)).astype(np.float32)
    wide = feature.astype(np.float64)
    means = {c: wide[label == c].mean(0) for c in range(3)}
    fit = covariance.ShrunkCovariance(shrinkage=0.1, assume_centered=True)
    fit.fit(wide - np.array([means[c] for c in label]))
    distance = [min(spatial.distance.mahalanobis(x, m, np.linalg.inv(fit.covariance_)) for m in means.values())
                for x in probe.astype(np.float64)]
    return {"size": size, "label": label, "feature": feature.astype(float), "probe": probe.astype(float),
            "shrinkage": 0.1, "distance": distance}


def selective(p, label):
    confidence, wrong = p.max(1), p.argmax(1) != label
    risk = np.zeros(len(label))
    for k in range(1, len(label) + 1):  # the expectation over random orders of equal confidence
        limit = np.sort(confidence)[::-1][k - 1]
        above, tied = confidence > limit, confidence == limit
        risk[k - 1] = (wrong[above].sum() + wrong[tied].mean() * (k - above.sum())) / k
    malignant, act = label == 2, {}
    for t in (0.05, 0.2, 0.5, 0.9):
        tn, fp, fn, tp = metrics.confusion_matrix(malignant, p[:, 2] >= t, labels=[False, True]).ravel()
        act[t] = {"threshold": t, "model": (tp - fp * t / (1 - t)) / len(label),
                  "all": malignant.mean() - (1 - malignant.mean()) * t / (1 - t)}
    return {"risk": risk, "aurc": risk.mean(), "net_benefit": list(act.values())}


def roc(p, label):
    fpr, tpr, threshold = metrics.roc_curve(label == 1, p[:, 1], drop_intermediate=False)
    return {"fpr": fpr, "tpr": tpr, "threshold": threshold[1:]}


def folds(rng):
    a, b = rng.normal(0.85, 0.03, 5), rng.normal(0.82, 0.03, 5)
    ratio = 17 / 68
    t = (a - b).mean() / math.sqrt((a - b).var(ddof=1) * (1 / 5 + ratio))
    raw = stats.ttest_rel(a, b)
    return {"a": a, "b": b, "ratio": ratio, "paired": {"t": raw.statistic, "p": raw.pvalue},
            "corrected": {"t": t, "p": 2 * stats.t.sf(abs(t), 4)}, "mean": a.mean(), "deviation": a.std()}


def intervals():
    rows = []
    for hits, count in ((0, 7), (1, 12), (73, 85), (419, 489), (31, 31), (500, 1000)):
        rows.append({"hits": hits, "count": count,
                     "wilson": proportion.proportion_confint(hits, count, method="wilson"),
                     "clopper_pearson": proportion.proportion_confint(hits, count, method="beta")})
    return rows


def plain(value):
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [plain(item) for item in value]
    if isinstance(value, (np.integer, int)):
        return int(value)
    value = float(value)
    return None if math.isnan(value) else "infinity" if math.isinf(value) else value


def main():
    rng = np.random.default_rng(20260101)
    case = make_cases(rng, 90, 25, 0.45, 2)
    other = make_cases(rng, 90, 25, 0.25, 2)["cosine"]
    lift = np.zeros((90, CLASSES))
    lift[np.arange(90), case["label"]] = 0.3
    other = np.round(other + lift, 2)
    fit = calibration(case)
    p, q = fit["probability"], special.softmax(3 * other, axis=1)
    label, patient = case["label"], case["patient"]
    few = np.flatnonzero(patient < 4)  # some resamples then lack a class
    rows = [figures(label, p, w) for w in resamples(patient, 7, 200)]
    paired = [np.subtract(figures(label, p, w), figures(label, q, w)) for w in resamples(patient, 8, 200)]
    raw = np.array([0.04, 0.011, 0.2, 0.012, 0.9])
    golden = {
        "label": label, "patient": patient, "cosine": case["cosine"], "calibration": fit, "other": q,
        "figures": figures(label, p, np.ones(90, int)), "bootstrap": {"seed": 7, "resamples": 200, **percentiles(rows)},
        "difference": {"seed": 8, "resamples": 200, **percentiles(paired), "p": bootstrap_p(paired)},
        "few": {"cases": few, "seed": 9, "resamples": 100,
                **percentiles([figures(label[few], p[few], w) for w in resamples(patient[few], 9, 100)])},
        "delong": [delong(p[:, c], q[:, c], label == c) for c in range(CLASSES)], "roc": roc(p, label),
        "conformal": [conformal(p, label, alpha) for alpha in (0.1, 0.2, 0.005)], "mahalanobis": mahalanobis(rng),
        "selective": selective(p, label), "folds": folds(rng), "intervals": intervals(),
        "holm": {"p": raw, "adjusted": multitest.multipletests(raw, method="holm")[1]},
        "quantiles": [{"p": x, "normal": stats.norm.ppf(x), "t4": stats.t.ppf(x, 4),
                       "beta": stats.beta.ppf(x, 3.5, 80)} for x in (0.005, 0.025, 0.3, 0.5, 0.975)],
        "tails": [{"x": x, "normal": 2 * stats.norm.sf(x), "t4": 2 * stats.t.sf(x, 4)} for x in (0.0, 0.5, 2.5, 9.0)],
    }
    json.dump(plain(golden), sys.stdout, separators=(",", ":"))
    print()


if __name__ == "__main__":
    main()
