#!/usr/bin/env python3
# Labels and measures written a second time, in numpy, to be compared with affuse's.
"""reference_measures.py make DIR    write manifest.csv and predictions.csv (10,000 random rows each)
reference_measures.py check DIR   compare DIR's labels.json, labels.csv (of manifest.csv, 8 classes)
                                  and metrics.json (of predictions.csv) with numpy's results:
                                  print the largest differences, exit 1 above 1e-9."""
import csv
import json
import sys
from pathlib import Path

import numpy as np

ROWS, CLASSES, LIMIT, BINS = 10_000, 8, 1e-9, 15
real = np.longdouble  # direct formulas, no log-sum-exp: the range of 80 bits stands in for it


# ---- random files -------------------------------------------------------------------------------
def make(folder):
    rng = np.random.default_rng(7)
    share = np.array([.3, .4, .1, .08, .06, .05, .01, 0])  # the last class has no sample
    label = rng.choice(CLASSES, ROWS, p=share)
    label[label == 6] = 0
    label[:2] = 6  # two samples: too few for the trim
    angle = 2 * np.pi * np.arange(CLASSES) / 6
    mean = .5 * np.stack([np.cos(angle), np.sin(angle)], 1)
    mix = rng.normal(0, .04, (CLASSES, 2, 2))
    part = .18 * np.stack([np.cos(angle[::2]), np.sin(angle[::2])], 1)[rng.integers(0, 3, ROWS)]
    va = mean[label] + part + np.einsum("nij,nj->ni", mix[label], rng.normal(size=(ROWS, 2)))
    va = np.clip(va, -1, 1)
    flipped = rng.random(ROWS) < .25
    flipped[:2] = False
    label = np.where(flipped, rng.integers(0, 6, ROWS), label)
    no_va, no_class = rng.random(ROWS) < .04, rng.random(ROWS) < .05
    no_va[:2] = no_class[:2] = False
    rows = [[f'face {i}, "x".jpg', "" if no_class[i] else label[i],
             *(["", ""] if no_va[i] else [repr(float(x)) for x in va[i]])] for i in range(ROWS)]
    write(folder / "manifest.csv", ["path", "class", "valence", "arousal"], rows)

    logits = rng.normal(0, 2, (ROWS, CLASSES)) + 1.5 * np.eye(CLASSES)[label]
    p = np.exp(logits)
    p /= p.sum(1, keepdims=True)
    p[5] = np.eye(CLASSES)[3]                            # certain, perhaps of the wrong class
    p[6:12] = [.6, .4, 0, 0, 0, 0, 0, 0]                 # on the edge of a bin
    predicted = np.tanh(va + rng.normal(0, .2, (ROWS, 2)))
    rows = [[*row, *map(repr, map(float, p[i])), *map(repr, map(float, predicted[i]))]
            for i, row in enumerate(rows)]
    write(folder / "predictions.csv", ["path", "class", "valence", "arousal",
          *[f"p_{k}" for k in range(CLASSES)], "pred_valence", "pred_arousal"], rows)


def write(path, header, rows):
    with open(path, "w", newline="") as f:
        csv.writer(f).writerows([header, *rows])


def read(path):
    with open(path, newline="") as f:
        rows = list(csv.DictReader(f))
    return {k: [r[k] for r in rows] for k in rows[0]}


def numbers(cells):
    return np.array([float(c) if c else np.nan for c in cells])


# ---- label model --------------------------------------------------------------------------------
def moments(x):
    return x.mean(0), np.cov(x.T, bias=True).reshape(2, 2) if len(x) else None


def fit(x, label):
    """pi, mu, sigma, kept of each class: trimmed at one std, with the fall-backs."""
    pi, mu, sigma, kept = np.zeros(CLASSES), np.zeros((CLASSES, 2)), np.zeros((CLASSES, 2, 2)), []
    for k in range(CLASSES):
        points = x[label == k]
        pi[k] = len(points) / len(x)
        if len(points) == 0:
            kept.append(0)
            continue
        inside = points[(np.abs(points - points.mean(0)) < points.std(0)).all(1)]
        if len(inside) < 3:
            inside = points
        mu[k], sigma[k] = moments(inside)
        values = np.linalg.eigvalsh(sigma[k])
        if values[0] <= 1e-12 * values[1]:
            sigma[k] += max(1e-6 * np.trace(sigma[k]) / 2, 1e-8) * np.eye(2)
        kept.append(len(inside))
    return pi, mu, sigma, np.array(kept)


def density(x, mu, sigma):
    """N(x | mu, sigma) for points [N, 2], by the 2x2 inverse."""
    d, s = x.astype(real) - mu.astype(real), sigma.astype(real)
    det = s[0, 0] * s[1, 1] - s[0, 1] * s[1, 0]
    q = (s[1, 1] * d[:, 0]**2 - 2 * s[0, 1] * d[:, 0] * d[:, 1] + s[0, 0] * d[:, 1]**2) / det
    return np.exp(-q / 2) / (2 * real(np.pi) * np.sqrt(det))


def normalized(p):
    return p / p.sum(1, keepdims=True)


def gmm(x, pi, mu, sigma):
    return normalized(np.stack([pi[k] * density(x, mu[k], sigma[k]) if pi[k] > 0
                                else np.zeros(len(x), real) for k in range(CLASSES)], 1))


def euclid(x, pi, mu, power):
    d = np.maximum(np.linalg.norm(x[:, None] - mu[None], axis=2)**power, 1e-12)
    d = np.where(pi > 0, d, np.inf)
    return normalized(np.where(pi > 0, d[:, pi > 0].max(1, keepdims=True) / d, 0))


def transition(e):
    return np.where(np.eye(CLASSES) > 0, 1 - e, e / (CLASSES - 1))


def joint(x, label, components, t):
    """p(x, y, k, c) [N, K, C]; label -1: p(x, k, c)."""
    out = np.stack([np.stack([g["w"] * density(x, np.array(g["mu"]), np.array(g["sigma"]))
                              if g["w"] > 0 else np.zeros(len(x), real)
                              for g in of_class], 1) for of_class in components], 1)
    factor = np.where(label[:, None] < 0, 1.0, t[label])  # t[y, k]
    return out * factor[:, :, None]


def em_step(x, label, components, t):
    """Weights, means, covariances and e after one round of EM (ridge 1e-5)."""
    r = joint(x, label, components, t)
    r = (r / r.sum((1, 2), keepdims=True)).astype(float)
    out = []
    for k in range(CLASSES):
        row = []
        for c, g in enumerate(components[k]):
            w = r[:, k, c]
            if w.sum() < 1e-6:
                row.append(dict(g, w=w.sum() / len(x)))
                continue
            mu = (w[:, None] * x).sum(0) / w.sum()
            d = x - mu
            row.append({"w": w.sum() / len(x), "mu": mu,
                        "sigma": (w[:, None] * d).T @ d / w.sum() + 1e-5 * np.eye(2)})
        out.append(row)
    return out, 1 - r[np.arange(len(x)), label].sum() / len(x)


def check_labels(folder, differ):
    manifest, out = read(folder / "manifest.csv"), read(folder / "labels.csv")
    j = json.loads((folder / "labels.json").read_text())
    label = np.array([int(c) if c else -1 for c in manifest["class"]])
    x = np.stack([numbers(manifest["valence"]), numbers(manifest["arousal"])], 1)
    has_va = np.isfinite(x).all(1)
    assert out["path"] == manifest["path"] and out["class"] == manifest["class"]
    differ("labels.csv VA", np.stack([numbers(out["valence"]), numbers(out["arousal"])], 1), x)

    counts = np.array([(label == k).sum() for k in range(CLASSES)])
    both = has_va & (label >= 0)
    pi, mu, sigma, kept = fit(x[both], label[both])
    differ("counts", j["counts"], counts)
    differ("weights", j["weights"], [counts.max() / n if n else 0 for n in counts])
    for name, value in [("pi", pi), ("mu", mu), ("sigma", sigma), ("kept", kept)]:
        differ(name, j[name], value)

    def columns(name):
        return np.stack([numbers(out[f"p_{name}_{k}"]) for k in range(CLASSES)], 1)

    def over_va(p):
        full = np.full((len(x), CLASSES), np.nan)
        full[has_va] = p
        return full

    expected = {"gmm": over_va(gmm(x[has_va], pi, mu, sigma)),
                "euclid": over_va(euclid(x[has_va], pi, mu, j["euclid_power"]))}
    m = j["noise_aware"]
    t = np.array(m["transition"])
    if m["noise"] == "symmetric":
        differ("noise_aware T", t, transition(m["e"]))
    p = joint(x[has_va], label[has_va], m["components"], t)
    expected["noise_aware"] = over_va(normalized(p.sum(2)))
    for name, value in expected.items():
        differ("p_" + name, columns(name), value)

    onehot = np.eye(CLASSES)[np.maximum(label, 0)]
    va, alpha = expected.get(j["kind"]), j["alpha"]
    fused = alpha * onehot + (1 - alpha) * va
    fused = np.where((label < 0)[:, None], va, np.where(has_va[:, None], fused, onehot))
    differ("p_fused", columns("fused"), fused)

    def likelihood(components, t):
        return float(np.log(joint(x[both], label[both], components, t).sum((1, 2))).mean())

    now = likelihood(m["components"], t)
    differ("log likelihood", m["log_likelihood"], now)
    if m["noise"] == "symmetric":
        components, e = em_step(x[both], label[both], m["components"], t)
        gain = (likelihood(components, transition(e)) - now) / abs(now)
        print(f"EM: e {m['e']:.4f}, {m['stopped']} after {m['rounds']} rounds; one more round gains "
              f"{gain:.3g} (relative) and moves e by {abs(e - m['e']):.3g}")
        if m["stopped"] == "converged" and not gain < 1e-6:
            sys.exit("EM has not converged")


# ---- measures -----------------------------------------------------------------------------------
def binned_error(confidence, correct, groups):
    gaps = [(len(g), abs(correct[g].mean() - confidence[g].mean())) for g in groups if len(g)]
    return sum(n * gap for n, gap in gaps) / len(confidence), max(gap for _, gap in gaps)


def calibration(p, label):
    confidence, correct = p.max(1), (p.argmax(1) == label).astype(float)
    which = np.digitize(confidence, np.arange(BINS + 1) / BINS, right=True)  # right-closed
    groups = [np.flatnonzero(which == b + 1) for b in range(BINS)]
    ece, mce = binned_error(confidence, correct, groups)
    mass = np.array_split(np.argsort(confidence, kind="stable"), BINS)
    true = p[np.arange(len(p)), label]
    return {"ece": ece, "mce": mce, "adaptive_ece": binned_error(confidence, correct, mass)[0],
            "nll": -np.log(np.maximum(true, np.finfo(float).tiny)).mean(),
            "brier": ((p - np.eye(CLASSES)[label])**2).sum(1).mean()}


def scaled(p, temperature):
    z = np.log(np.maximum(p, np.finfo(float).tiny)) / temperature
    e = np.exp(z - z.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def best_temperature(p, label):
    """Root of d NLL / d (1 / T) by bisection."""
    z = np.log(np.maximum(p, np.finfo(float).tiny))
    low, high = .01, 100.0
    for _ in range(200):
        beta = (low + high) / 2
        slope = ((scaled(p, 1 / beta) * z).sum(1) - z[np.arange(len(p)), label]).mean()
        low, high = (beta, high) if slope < 0 else (low, beta)
    return 1 / low


def axis(x, y):
    use = np.isfinite(x) & np.isfinite(y)
    x, y = x[use], y[use]
    cov = ((x - x.mean()) * (y - y.mean())).mean()
    return {"rmse": np.sqrt(((x - y)**2).mean()),
            "ccc": 2 * cov / (x.var() + y.var() + (x.mean() - y.mean())**2),
            "pearson": np.corrcoef(x, y)[0, 1], "sign_agreement": ((x >= 0) == (y >= 0)).mean()}


def check_metrics(folder, differ):
    data = read(folder / "predictions.csv")
    j = json.loads((folder / "metrics.json").read_text())
    assert j["schema"] == 1 and j["n"] == ROWS and j["calibration"]["bins"] == BINS
    for name in ("valence", "arousal"):
        for key, value in axis(numbers(data[name]), numbers(data["pred_" + name])).items():
            differ(f"{name} {key}", j[name][key], value)
    label = np.array([int(c) if c else -1 for c in data["class"]])
    p = np.stack([numbers(data[f"p_{k}"]) for k in range(CLASSES)], 1)[label >= 0]
    label = label[label >= 0]
    confusion = np.zeros((CLASSES, CLASSES), int)
    np.add.at(confusion, (label, p.argmax(1)), 1)
    differ("confusion", j["confusion"], confusion)
    differ("accuracy", j["accuracy"], (p.argmax(1) == label).mean())
    hits, support, named = np.diag(confusion), confusion.sum(1), confusion.sum(0)
    f1 = 2 * hits / np.maximum(support + named, 1)
    rows = {"precision": hits / np.maximum(named, 1), "recall": hits / np.maximum(support, 1),
            "f1": f1, "support": support, "class": np.arange(CLASSES)}
    for key, value in rows.items():
        differ("per class " + key, [row[key] for row in j["per_class"]], value)
    differ("macro F1", j["macro_f1"], f1.mean())
    t = best_temperature(p, label)
    differ("temperature", j["calibration"]["temperature"], t)
    for key, value in calibration(p, label).items():
        differ(key, j["calibration"][key], value)
    for key, value in calibration(scaled(p, t), label).items():
        differ("scaled " + key, j["calibration"]["scaled"][key], value)


def check(folder):
    worst = []

    def differ(name, got, want):
        got, want = np.asarray(got, float), np.asarray(want, float)
        same_gaps = got.shape == want.shape and (np.isnan(got) == np.isnan(want)).all()
        worst.append((np.nanmax(np.abs(got - want)) if same_gaps else np.inf, name))

    check_labels(folder, differ)
    check_metrics(folder, differ)
    for difference, name in sorted(worst, reverse=True):
        print(f"{difference:9.2e}  {name}")
    return 0 if max(worst)[0] <= LIMIT else 1


if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[1] not in ("make", "check"):
        sys.exit(__doc__)
    sys.exit({"make": make, "check": check}[sys.argv[1]](Path(sys.argv[2])))
