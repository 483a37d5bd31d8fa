"""Time and memory of prepare_data on a folder or .zip file of pictures, against a plain loop that only decodes them.

python -m benchmarks.pictures --path FOLDER_OR_ZIP [--classes cat dog] [--rounds 3]

The loop: one process, one thread, Pillow, every picture to an array that is thrown away; nothing is checked or written.
"""

import argparse
import contextlib
import io
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from workflow_scripts.data import listing, picture_files

ROOT = Path(__file__).resolve().parent.parent


def loop(path: Path) -> tuple[float, int]:
    """Seconds to read and decode every picture in a plain loop, and how many there are."""
    start = time.perf_counter()
    with picture_files.opened(path) as found:
        for name in found.stamps:
            np.asarray(Image.open(io.BytesIO(found.read(name))))
    return time.perf_counter() - start, len(found.stamps)


def ours(path: Path, classes: list[str], listed: str) -> float:
    """Seconds of the job as Snakemake runs it, from the start of Python to the .npz and its sidecar."""
    source = {"kind": "images", "path": str(path), "classes": classes}
    command = [sys.executable, "-m", "workflow_scripts.prepare_data", "--data", "data.npz"]
    command += ["--provenance", "data.npz.prov.json"]
    command += ["--cfg", json.dumps({"wildcards": {"dataset": "pictures"}, "source": source, "listing": listed})]
    start = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True, env=os.environ | {"PYTHONPATH": str(ROOT)})
    return time.perf_counter() - start


def main() -> None:
    """Print every round, the median of the ratios and the largest memory of a job."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--path", type=Path, required=True, help="folder or .zip file with train/ and test/")
    parser.add_argument("--classes", nargs="+", help="class folders (default: those that are there)")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    path = arguments.path.resolve()
    with picture_files.opened(path) as found:
        classes = arguments.classes or sorted({name.split("/")[1] for name in found.stamps})
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        listing.SNAKEMAKE.mkdir()  # as where Snakemake works, so that what was hashed is remembered
        for time_of in ("first", "second"):
            start = time.perf_counter()
            listed = listing.of(path)
            print(f"{time_of} listing: {time.perf_counter() - start:.2f} s", flush=True)
        ratios = []
        for number in range(arguments.rounds):
            floor, n = loop(path)
            seconds = ours(path, classes, listed)
            ratios.append(seconds / floor)
            print(
                f"round {number}: {n} pictures: ours {seconds:.1f} s, loop {floor:.1f} s, ratio {ratios[-1]:.2f}",
                flush=True,
            )
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(f"median ratio {statistics.median(ratios):.2f}; peak memory of the job {peak:.0f} MiB")


if __name__ == "__main__":
    main()
