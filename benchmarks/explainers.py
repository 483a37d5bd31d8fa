"""Time, memory and accuracy of each explainer that scikit-learn fits, on MNIST with ten classes and true labels.

python -m benchmarks.explainers --data-root FOLDER

60,000 images are fitted and 10,000 predicted. Each job runs once, as under Snakemake, in a process of its own with one
thread. Processor time is told, which other jobs on the machine lengthen less than time on the clock.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from workflow_scripts.config.tasks import Task
from workflow_scripts.data.datasets import mnist
from workflow_scripts.files import npz

EXPLAINERS = {
    "linear": {"solver": "logistic"},
    "linear, 10 components": {"solver": "logistic", "components": 10},
    "linear, 50 components": {"solver": "logistic", "components": 50},
    "quadratic, 30 components": {"solver": "logistic", "components": 30, "degree": 2},
    "tree of depth 5": {"solver": "tree", "max_depth": 5},
    "tree of depth 10": {"solver": "tree", "max_depth": 10},
    "5 nearest neighbours": {"solver": "nearest_neighbours", "neighbours": 5},
}


def job(fit: dict, data: Path, folder: Path) -> str:
    """A row of the table: processor seconds, peak memory, what the fit tells, agreement and accuracy."""
    settings = {"labels": "true", "fit": fit}
    cfg = {"wildcards": {"explainer": "x"}, "settings": settings, "task": Task(dataset="mnist").model_dump()}
    made, sidecar = folder / "x.npz", folder / "x.json"
    command = [sys.executable, "-m", "workflow_scripts.distill", "--cfg", json.dumps(cfg | {"device": "cpu"})]
    command += ["--data", data, "--explainer", made, "--provenance", sidecar]
    before = os.times()
    subprocess.run(command, check=True, capture_output=True)
    after = os.times()
    seconds = after.children_user + after.children_system - before.children_user - before.children_system
    found, peak = np.load(made), json.loads(sidecar.read_text())["peak_memory_mib"]
    size = next((f"{found[key]} {key}" for key in ("iterations", "leaves") if key in found), "")
    cells = (f"{seconds:.0f} s", f"{peak} MiB", size, f"{found['fit_agreement']:.4f}", f"{found['test_accuracy']:.4f}")
    return " | ".join(cells)


def main() -> None:
    """Print a row for each explainer."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-root", type=Path, required=True, help="folder with MNIST/raw")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "mnist.npz"
        npz.save(data, **mnist.make(mnist.Mnist(kind="mnist"), arguments.data_root))
        for name, fit in EXPLAINERS.items():
            print(f"| {name} | {job(fit, data, Path(folder))} |", flush=True)


if __name__ == "__main__":
    main()
