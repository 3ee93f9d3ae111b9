"""Turns what scripts/gpu_check left in a folder into <date>-<card>.json and .md.

usage: report.py LOGS RESULTS
"""
import datetime
import json
import re
import subprocess
import sys
from pathlib import Path

TESTS = ("tests_kernels", "tests_program", "tests_cudnn")
SLOWEST = 15  # steps in the table


def card():
    """The GPU's name as nvidia-smi says it."""
    try:
        names = subprocess.run(["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"],
                               capture_output=True, text=True, check=True).stdout
        return names.strip().splitlines()[0]
    except (OSError, subprocess.CalledProcessError, IndexError):
        return "no GPU"


def stages(logs):
    out = []
    for line in (logs / "stages.txt").read_text().splitlines():
        name, status, seconds = line.split()
        stage = {"name": name, "ok": status == "0", "seconds": int(seconds)}
        if not stage["ok"]:
            log = (logs / f"{name}.log").read_text(errors="replace").strip().splitlines()
            stage["last_lines"] = log[-5:]
        out.append(stage)
    return out


def tests(path):
    """Counts and failures of one test program's report."""
    report = json.loads(path.read_text())
    failures = [f"{suite['name']}.{test['name']}" for suite in report["testsuites"]
                for test in suite["testsuite"] if test.get("failures")]
    return {"tests": report["tests"], "failures": failures}


def collect(logs):
    result = {"date": datetime.date.today().isoformat(), "card": card(), "stages": stages(logs)}
    if (logs / "info.txt").exists():
        result["info"] = (logs / "info.txt").read_text().splitlines()
    for name in TESTS:
        if (logs / f"{name}.json").exists():
            result[name] = tests(logs / f"{name}.json")
    for precision in ("fp32", "fp16"):
        path = logs / f"quickstart-{precision}.json"
        if path.exists() and path.stat().st_size:
            result.setdefault("quickstart", {})[precision] = json.loads(path.read_text())
    if (logs / "bench.json").exists():
        result["bench"] = json.loads((logs / "bench.json").read_text())
    return result


def find(node, key):
    """The first value of that key, however deep."""
    if isinstance(node, dict) and key in node:
        return node[key]
    inside = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    return next((found for found in (find(n, key) for n in inside) if found is not None), None)


def bench_table(bench):
    lines = [f"One training step, batch {bench['batch']}, {bench['image_size']}x"
             f"{bench['image_size']}; medians of rounds that take turns.", "",
             "| precision | | ms | images/s | affuse is | allocated MiB | floor ms |",
             "|---|---|---|---|---|---|---|"]
    for precision, runs in bench["precisions"].items():
        ours = runs.get("affuse", {}).get("ms")
        for name, run in runs.items():
            if "ms" not in run:
                lines.append(f"| {precision} | {name} | {run.get('error', 'not run')} | | | | |")
                continue
            times = f"{run['ms'] / ours:.2f}x" if ours and name != "affuse" else ""
            floor = f"{run['floor_ms']:.2f}" if "floor_ms" in run else ""
            lines.append(f"| {precision} | {name} | {run['ms']:.2f} | {run['images_per_second']:.0f} "
                         f"| {times} | {run['allocated_bytes'] / 2**20:.0f} | {floor} |")
        if "uploading_ms" in runs.get("affuse", {}):
            lines.append(f"| {precision} | affuse, a batch uploaded beside each step "
                         f"| {runs['affuse']['uploading_ms']:.2f} | "
                         f"{bench['batch'] / runs['affuse']['uploading_ms'] * 1e3:.0f} | | | |")
    return lines


def step_table(precision, steps):
    total = sum(s["ms"] for s in steps)
    floor = sum(s["floor_ms"] for s in steps)
    lines = ["", f"{precision}, steps apart: {total:.2f} ms, floor {floor:.2f} ms. The slowest:", "",
             "| step | runs on | us | floor us | times floor | us above |", "|---|---|---|---|---|---|"]
    for s in sorted(steps, key=lambda s: s["floor_ms"] - s["ms"])[:SLOWEST]:
        ratio = f"{s['ms'] / s['floor_ms']:.1f}" if s["floor_ms"] > 0 else ""
        lines.append(f"| {s['name']} | {s['engine']} | {s['ms'] * 1e3:.0f} | "
                     f"{s['floor_ms'] * 1e3:.0f} | {ratio} | {(s['ms'] - s['floor_ms']) * 1e3:.0f} |")
    return lines


def markdown(result):
    lines = [f"# {result['card']}, {result['date']}", ""]
    lines += [f"    {line}" for line in result.get("info", [])]
    lines += ["", "| stage | | s |", "|---|---|---|"]
    for stage in result["stages"]:
        lines.append(f"| {stage['name']} | {'ok' if stage['ok'] else 'FAILED'} | {stage['seconds']} |")
    for stage in result["stages"]:
        if not stage["ok"]:
            lines += ["", f"{stage['name']} ended with:", ""]
            lines += [f"    {line}" for line in stage["last_lines"]]
    for name in TESTS:
        if name in result:
            failures = result[name]["failures"]
            lines += ["", f"{name}: {result[name]['tests']} tests, {len(failures)} failed"
                      + "".join(f"\n- {failure}" for failure in failures)]
    for precision, measures in result.get("quickstart", {}).items():
        lines += ["", f"Quick start in {precision}: macro-F1 {find(measures, 'macro_f1'):.3f}"]
    if "bench" in result:
        lines += ["", *bench_table(result["bench"])]
        for precision, runs in result["bench"]["precisions"].items():
            if "steps" in runs.get("affuse", {}):
                lines += step_table(precision, runs["affuse"]["steps"])
    return "\n".join(lines) + "\n"


def merged(old, new):
    """The results of an earlier run of the day, with what the new one knows in their place."""
    again = {stage["name"] for stage in new["stages"]}
    return {**old, **new,
            "stages": [s for s in old["stages"] if s["name"] not in again] + new["stages"]}


def without_paths(text):
    """This machine's folders mean nothing to others."""
    return text.replace(str(Path.cwd()) + "/", "")


def main():
    logs, results = Path(sys.argv[1]), Path(sys.argv[2])
    result = collect(logs)
    slug = re.sub(r"[^a-z0-9]+", "-", result["card"].lower().replace("nvidia", "")).strip("-")
    path = results / f"{result['date']}-{slug}.json"
    if path.exists():
        result = merged(json.loads(path.read_text()), result)
    path.write_text(without_paths(json.dumps(result, indent=1)) + "\n")
    path.with_suffix(".md").write_text(without_paths(markdown(result)))
    print(path, path.with_suffix(".md"))


if __name__ == "__main__":
    main()
