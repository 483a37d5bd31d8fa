"""Time of the audit of many seeds, against `sha256sum` of the same files.

python -m benchmarks.audit [--seeds 1000] [--kib 100] [--rounds 3]

The results are made up: random bytes of the given size with sidecars that fit, so that every verdict is CURRENT.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import yaml

from workflow_scripts.config import jobs
from workflow_scripts.config.study import Study, load
from workflow_scripts.provenance import fingerprints, sidecars

ROOT = Path(__file__).resolve().parent.parent


def study_of(seeds: int) -> dict:
    """One experiment with an explainer of true labels and one of f_inf's."""
    return {
        "study": "s",
        "seeds": list(range(seeds)),
        "datasets": {"d": {"kind": "sinusoid"}},
        "tasks": {"t": {"dataset": "d"}},
        "explainers": {"linear": {"labels": True}, "final": {"labels": "final"}},
        "experiments": {
            "e": {
                "title": "Many seeds",
                "task": "t",
                "network": {"kind": "mlp", "widths": [8]},
                "sgd": {"lr": 0.1, "epochs": 1},
                "explainers": ["linear", "final"],
            }
        },
    }


def _fingerprint(stage: str, cfg: dict) -> str:
    code = fingerprints.of_job(stage, cfg)
    return fingerprints.of(code["digest"], code["libraries"])


def make_up(study: Study, folder: Path, size: int) -> int:
    """Write every result of the study, each with its sidecar; returns how many files a verdict rests on."""
    digests: dict[str, str] = {}

    def job(stage: str, wildcards: dict[str, str], inputs: list[str], outputs: list[str]) -> None:
        cfg = jobs.settings(study, stage, **wildcards)
        read = {Path(path): digests[path] for path in inputs}
        written = {Path(path): folder / path for path in outputs}
        for path in written.values():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(os.urandom(size))
        key = sidecars.key(stage, cfg, _fingerprint(stage, cfg), read)
        record = sidecars.of_job(stage, cfg, read, written, datetime.now(UTC), key)
        sidecars.write(folder / f"{outputs[0]}{sidecars.SUFFIX}", record)
        digests.update(record["outputs"])

    data, linear = "results/data/d.npz", "results/tasks/t/explainers/linear.npz"
    job("prepare_data", {"dataset": "d"}, [], [data])
    job("distill", {"task": "t", "explainer": "linear"}, [data], [linear])
    runs = [f"results/e/seed{seed}" for seed in study.seeds]
    for seed, run in zip(study.seeds, runs, strict=True):
        of = {"experiment": "e", "seed": str(seed)}
        trajectory, weights = f"{run}/trajectory.npz", f"{run}/network.safetensors"
        final, explainer = f"{run}/final.npz", f"{run}/explainers/final.npz"
        job("train", of, [data], [trajectory, weights])
        job("extract_final", of, [data, trajectory, weights], [final, f"{run}/final.safetensors"])
        job("distill", {**of, "explainer": "final"}, [data, final], [explainer])
        job("measure", of, [data, trajectory, linear, explainer], [f"{run}/measures.csv"])
    measured = [f"{run}/measures.csv" for run in runs]
    job("summarize", {"experiment": "e"}, measured, ["results/e/summary.csv", "results/e/phases.csv"])
    return len(digests)


def timed(command: str, folder: Path) -> float:
    """Seconds that a shell command takes in a folder; it has to succeed."""
    started = time.perf_counter()
    done = subprocess.run(command, shell=True, cwd=folder, capture_output=True, text=True, env=ENVIRONMENT)
    if done.returncode:
        sys.exit(f"error: {command}: {done.stdout[-500:]}{done.stderr[-500:]}")
    return time.perf_counter() - started


ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT)}


def main() -> None:
    """Print seconds, seconds per thousand files, and the ratio of each round."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=1000)
    parser.add_argument("--kib", type=int, default=100, help="size of each file")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        config = study_of(arguments.seeds)
        (folder / "study.yaml").write_text(yaml.safe_dump(config))
        number = make_up(load(config), folder, arguments.kib * 1024)
        audit = f"{sys.executable} -m workflow_scripts.audit results --configfile study.yaml"
        sums = "find results -type f ! -name '*.prov.json' -print0 | xargs -0 sha256sum > sums"
        ratios = []
        for _ in range(arguments.rounds):
            ours, theirs = timed(audit, folder), timed(sums, folder)
            ratios.append(ours / theirs)
            print(
                f"{arguments.seeds} seeds, {number} files of {arguments.kib} KiB: audit {ours:.1f} s "
                f"({1000 * ours / number:.2f} s per thousand files), sha256sum {theirs:.1f} s, ratio {ratios[-1]:.2f}"
            )
    print(f"median ratio {statistics.median(ratios):.2f}")


if __name__ == "__main__":
    main()
