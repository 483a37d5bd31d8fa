"""Time and memory of prepare_data on a folder or .zip file of pictures, against a plain loop that only decodes them.

python -m benchmarks.pictures --path FOLDER_OR_ZIP [--classes cat dog] [--rounds 3]

The loop: one process, one thread, Pillow, every picture to an array that is thrown away; nothing is checked or written.
"""

import argparse
import io
import json
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


def loop(path: Path) -> tuple[float, int]:
    """Seconds to read and decode every picture in a plain loop, and how many there are."""
    start = time.perf_counter()
    with picture_files.opened(path) as found:
        for name in found.stamps:
            np.asarray(Image.open(io.BytesIO(found.read(name))))
    return time.perf_counter() - start, len(found.stamps)


def ours(path: Path, classes: list[str]) -> float:
    """Seconds of the job as Snakemake runs it, from the start of Python to the .npz and its sidecar."""
    source = {"kind": "images", "path": str(path), "classes": classes}
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "workflow_scripts.prepare_data", "--data", f"{folder}/data.npz"]
        command += ["--provenance", f"{folder}/data.npz.prov.json"]
        command += ["--cfg", json.dumps({"wildcards": {"dataset": "pictures"}, "source": source})]
        start = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        return time.perf_counter() - start


def main() -> None:
    """Print every round, the median of the ratios and the largest memory of a job."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--path", type=Path, required=True, help="folder or .zip file with train/ and test/")
    parser.add_argument("--classes", nargs="+", help="class folders (default: those that are there)")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    with picture_files.opened(arguments.path) as found:
        classes = arguments.classes or sorted({name.split("/")[1] for name in found.stamps})
    listed = time.perf_counter()
    listing.of(arguments.path)
    listed = time.perf_counter() - listed
    ratios = []
    for number in range(arguments.rounds):
        floor, n = loop(arguments.path)
        seconds = ours(arguments.path, classes)
        ratios.append(seconds / floor)
        print(
            f"round {number}: {n} pictures: ours {seconds:.1f} s, loop {floor:.1f} s, ratio {ratios[-1]:.2f}",
            flush=True,
        )
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    print(
        f"median ratio {statistics.median(ratios):.2f}; peak memory of the job {peak:.0f} MiB; listing {listed:.2f} s"
    )


if __name__ == "__main__":
    main()
