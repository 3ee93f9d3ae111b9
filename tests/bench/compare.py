"""Times affuse's training step against its PyTorch twins, in rounds that take turns.

A precision at a time: bench_step and the twins start, say what they are, and are then asked for
rounds, affuse, eager, compiled, affuse, ..., so that a warm or throttled GPU treats all alike. What
is known is written after each precision.
"""
import argparse
import json
import queue
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
GRACE = 5  # seconds for a worker to end


class Failed(Exception):
    pass


class Worker:
    """A process that says what it is and answers questions, a line of JSON each."""

    def __init__(self, command, log):
        self.log = log
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=open(log, "w"), text=True)
        self.lines = queue.Queue()
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.process.stdout:
            if line.startswith("{"):
                self.lines.put(line)
        self.lines.put(None)

    def hear(self, seconds):
        try:
            line = self.lines.get(timeout=max(seconds, 0.1))
        except queue.Empty:
            raise Failed(f"no answer within {seconds:.0f} s") from None
        if line is None:
            said = Path(self.log).read_text(errors="replace").strip().splitlines()
            raise Failed(said[-1] if said else f"ended with status {self.process.wait()}")
        return json.loads(line)

    def ask(self, question, seconds):
        try:
            self.process.stdin.write(question + "\n")
            self.process.stdin.flush()
        except OSError:
            pass  # it has ended; hear() says why
        return self.hear(seconds)

    def end(self):
        try:
            self.process.stdin.close()
            self.process.wait(GRACE)
        except (OSError, subprocess.TimeoutExpired):
            self.process.kill()
            self.process.wait()


class Comparison:
    def __init__(self, options):
        self.options = options
        self.deadline = time.monotonic() + options.seconds
        self.results = {"batch": options.batch, "image_size": options.size,
                        "steps_a_round": options.steps, "precisions": {}}

    def left(self):
        return self.deadline - time.monotonic()

    def save(self):
        Path(self.options.out).write_text(json.dumps(self.results, indent=1) + "\n")

    def command(self, name, precision):
        shape = [precision, str(self.options.batch), str(self.options.size)]
        if name == "affuse":
            return [self.options.bench_step, *shape]
        return [sys.executable, str(HERE / "twin.py"), name, *shape]

    def start(self, name, precision, reserve, workers, results):
        """Starts a worker and waits until it is ready; `reserve` seconds stay for what follows."""
        log = Path(self.options.out).parent / f"bench-{precision}-{name}.log"
        allowed = self.left() - reserve
        if allowed < 5:
            results[name] = {"error": "no time was left"}
            return
        worker = Worker(self.command(name, precision), log)
        try:
            results[name] = worker.hear(allowed)
            results[name]["rounds_ms"] = []
            workers[name] = worker
        except Failed as failure:
            results[name] = {"error": str(failure)}
            worker.end()

    def rounds(self, workers, results):
        for _ in range(self.options.rounds):
            for name in list(workers):
                try:
                    answer = workers[name].ask(f"round {self.options.steps}", 60)
                except Failed as failure:
                    results[name]["error"] = str(failure)
                    workers.pop(name).end()
                    continue
                results[name]["rounds_ms"].append(answer.pop("ms"))
                results[name].update(answer)
        for name in workers:
            ms = statistics.median(results[name]["rounds_ms"])
            results[name]["ms"] = ms
            results[name]["images_per_second"] = self.options.batch / ms * 1e3

    def extras(self, workers, results):
        """What only affuse is asked: a batch uploaded beside each step, and each step apart."""
        try:
            results["affuse"]["uploading_ms"] = workers["affuse"].ask("upload 20", 60)["ms"]
            results["affuse"]["steps"] = workers["affuse"].ask("steps 20", 60)["steps"]
        except Failed as failure:
            results["affuse"]["error"] = str(failure)

    def run(self, precision, reserve):
        results, workers = {}, {}
        self.results["precisions"][precision] = results
        try:
            for name in ["affuse", *self.options.twins]:
                self.start(name, precision, reserve, workers, results)
                self.save()
            self.rounds(workers, results)
            self.save()
            if "affuse" in workers:
                self.extras(workers, results)
        finally:
            for worker in workers.values():
                worker.end()
            self.save()

    def run_all(self):
        names = self.options.precisions
        for i, precision in enumerate(names):
            # A later precision without torch.compile takes about 20 s.
            self.run(precision, 20 + 20 * (len(names) - i - 1))
        return all("error" not in r and "ms" in r for p in self.results["precisions"].values()
                   for r in p.values())


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    def names(text):
        return [name for name in text.split(",") if name]

    parser.add_argument("--bench-step", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--precisions", type=names, default=["fp16", "bf16", "tf32", "fp32"])
    parser.add_argument("--twins", type=names, default=["eager", "compiled"])
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=300, help="for all of it")
    sys.exit(0 if Comparison(parser.parse_args()).run_all() else 1)


if __name__ == "__main__":
    main()
