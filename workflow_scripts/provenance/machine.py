"""What a process knows of where it runs: git, user, CPU, GPU, threads; None for what can't be told."""

import getpass
import json
import os
import platform
import subprocess
import sys
from importlib import metadata
from pathlib import Path

from threadpoolctl import threadpool_info

from workflow_scripts.provenance.fingerprints import ROOT

#: environment variable in which the Snakefile hands on what Snakemake ran with
STUDY = "SGD_COMPLEXITY_STUDY"


def study() -> dict | None:
    """The config files and --config values that Snakemake ran with; None for a stage run by hand."""
    given = os.environ.get(STUDY)
    return json.loads(given) if given else None


def snakemake() -> str | None:
    """The version of Snakemake; None for a stage run by hand, or where its environment has none."""
    try:
        return metadata.version("snakemake") if study() else None
    except metadata.PackageNotFoundError:
        return None


def git(*arguments: str) -> str | None:
    """What git says of this repository; None without git, or where the project is only a folder inside another one."""
    elsewhere = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}  # as hooks set

    def said(*arguments: str) -> str:
        return subprocess.run(
            ["git", *arguments], cwd=ROOT, env=elsewhere, capture_output=True, text=True, timeout=20, check=True
        ).stdout.strip()

    try:
        return said(*arguments) if Path(said("rev-parse", "--show-toplevel")).samefile(ROOT) else None
    except (OSError, subprocess.SubprocessError):
        return None


def user() -> str | None:
    """Who runs this."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container whose user has no name
        return None


def cpu() -> str | None:
    """The model of the CPU."""
    lines = _cpuinfo()
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), None)
    return model or platform.processor() or None


def _cpuinfo() -> list[str]:
    """What Linux tells of the first CPU; nothing elsewhere."""
    try:
        return Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").partition("\n\n")[0].splitlines()
    except OSError:
        return []


def bits(device: str | None) -> dict[str, str]:
    """What decides on the last bits of a result besides settings, code and inputs: instruction sets, libc, GPUs.

    device: the one that networks run on. Libraries choose their way of computing by these.
    """
    found = {"cpu": _instructions(), "libc": " ".join(platform.libc_ver())}
    if "hwcaps" in (tunables := os.environ.get("GLIBC_TUNABLES", "")):
        found["libc"] += f" {tunables}"
    if device == "cuda":
        torch = sys.modules["torch"]
        found["gpu"] = ", ".join(sorted({torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())}))
    return found


def _instructions() -> str:
    """The maker of the CPU and those of its instruction sets by which libraries choose."""
    told = dict(line.split(":", 1) for line in _cpuinfo() if ":" in line)
    told = {name.strip(): value.strip() for name, value in told.items()}
    flags = {*told.get("flags", told.get("Features", "")).split()}
    maker = told.get("vendor_id") or told.get("CPU implementer") or platform.processor()
    chosen = sorted(flag for flag in flags if flag.startswith(("avx", "amx", "fma", "sse4", "asimd", "sve", "bf16")))
    return " ".join([platform.machine(), maker, *chosen])


def gpu() -> dict[str, str | None]:
    """The CUDA device that this process used, if it used one, its driver, and the CUDA version of PyTorch."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_initialized():
        return dict.fromkeys(("gpu", "driver", "cuda"))
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        driver = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True).stdout.splitlines()[0]
    except (OSError, subprocess.SubprocessError, IndexError):
        driver = None
    return {"gpu": torch.cuda.get_device_name(), "driver": driver, "cuda": torch.version.cuda}


def threads() -> dict[str, int]:
    """Threads by library, of those that this process has loaded."""
    threads = {pool["internal_api"]: pool["num_threads"] for pool in threadpool_info()}
    torch = sys.modules.get("torch")
    return threads | ({} if torch is None else {"torch": torch.get_num_threads()})


def maxrss_per_mib() -> int:
    """Units of ru_maxrss in a MiB."""
    return 1 << 20 if sys.platform == "darwin" else 1 << 10
