"""Time of `snakemake --dry-run` for many seeds, against a bare DAG of the same shape: same jobs, files and edges.

python -m benchmarks.planning [--seeds 1000] [--rounds 3]
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parent.parent

BARE = """
SEEDS = range({seeds})
RUN = "results/e/seed{{seed}}"
TRUE = "results/tasks/t/explainers/linear.npz"

wildcard_constraints:
    seed="[0-9]+"

rule all:
    input:
        expand(RUN + "/final.npz", seed=SEEDS), "results/e/summary.csv", "results/e/nulls.csv",
        "results/figures/f.svg",

rule data:
    output: "results/data/d.npz", "results/data/d.npz.prov.json"
    shell: "true"

rule train:
    input: "results/data/d.npz"
    output: RUN + "/trajectory.npz", RUN + "/network.safetensors", RUN + "/trajectory.npz.prov.json"
    shell: "true"

rule final:
    input: "results/data/d.npz", RUN + "/trajectory.npz", RUN + "/network.safetensors"
    output: RUN + "/final.npz", RUN + "/final.safetensors", RUN + "/final.npz.prov.json"
    shell: "true"

rule distill_true:
    input: "results/data/d.npz"
    output: TRUE, TRUE + ".prov.json"
    shell: "true"

rule distill:
    input: "results/data/d.npz", RUN + "/final.npz"
    output: RUN + "/explainers/final.npz", RUN + "/explainers/final.npz.prov.json"
    shell: "true"

rule measure:
    input: "results/data/d.npz", RUN + "/trajectory.npz", TRUE, RUN + "/explainers/final.npz"
    output: RUN + "/measures.csv", RUN + "/measures.csv.prov.json"
    shell: "true"

rule nulls:
    input:
        "results/data/d.npz", TRUE, expand(RUN + "/trajectory.npz", seed=SEEDS),
        expand(RUN + "/explainers/final.npz", seed=SEEDS)
    output: "results/e/nulls.csv", "results/e/nulls.csv.prov.json"
    shell: "true"

rule summarize:
    input: expand(RUN + "/measures.csv", seed=SEEDS)
    output: "results/e/summary.csv", "results/e/phases.csv", "results/e/summary.csv.prov.json"
    shell: "true"

rule plot:
    input: "results/e/summary.csv", "results/e/phases.csv"
    output:
        "results/figures/f.svg", "results/figures/f.pdf", "results/figures/f.png", "results/figures/f.csv",
        "results/figures/f.svg.prov.json"
    shell: "true"
"""


def study(seeds: int) -> dict:
    """A study of one experiment with that many seeds, the shape that BARE has."""
    return {
        "study": "s",
        "seeds": list(range(seeds)),
        "datasets": {"d": {"kind": "digits"}},
        "tasks": {"t": {"dataset": "d"}},
        "explainers": {"linear": {"labels": "true"}, "final": {"labels": "final"}},
        "experiments": {
            "e": {
                "title": "E",
                "task": "t",
                "network": {"kind": "linear"},
                "sgd": {"lr": 0.1, "epochs": 1},
                "explainers": ["linear", "final"],
            }
        },
        "figures": {"f": {"kind": "dynamics", "experiments": ["e"]}},
    }


def timed(folder: Path, *arguments) -> tuple[float, str]:
    """Seconds of one dry run, and the total of planned jobs that it tells."""
    command = [sys.executable, "-m", "snakemake", "--dry-run", "--quiet=rules", "--directory", folder, *arguments]
    start = time.perf_counter()
    done = subprocess.run([str(part) for part in command], cwd=folder, capture_output=True, text=True, check=True)
    seconds = time.perf_counter() - start
    told = (done.stdout + done.stderr).splitlines()
    return seconds, next(line.split()[1] for line in told if line.startswith("total"))


def main() -> None:
    """Print the seconds of both, alternating, and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "study.yaml").write_text(yaml.safe_dump(study(arguments.seeds)))
        (folder / "bare.smk").write_text(BARE.format(seeds=arguments.seeds))
        ours = ("--snakefile", ROOT / "Snakefile", "--configfile", folder / "study.yaml")
        bare = ("--snakefile", folder / "bare.smk")
        rounds = [(timed(folder, *ours), timed(folder, *bare)) for _ in range(arguments.rounds)]
    for (seconds, jobs), (bare_seconds, bare_jobs) in rounds:
        print(
            f"ours {seconds:.1f} s for {jobs} jobs, bare {bare_seconds:.1f} s for {bare_jobs}: "
            f"ratio {seconds / bare_seconds:.2f}"
        )
    print(f"median ratio {statistics.median(a[0] / b[0] for a, b in rounds):.2f}")


if __name__ == "__main__":
    main()
