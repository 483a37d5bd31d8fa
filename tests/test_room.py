"""What a process may have of memory is the machine's, or what its control groups grant."""

import os

import pytest

from workflow_scripts.config.errors import Unfit
from workflow_scripts.data import room

MACHINE = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
STEP, OF_JOB = "slurm/job_7/step_0", "sys/fs/cgroup/slurm/job_7"
OF_MEMORY = "sys/fs/cgroup/memory/a/memory.limit_in_bytes"


@pytest.mark.parametrize(
    ("groups", "limits", "granted"),
    [
        ("0::/\n", {"sys/fs/cgroup/memory.max": "1000000\n"}, 1_000_000),
        (f"0::/{STEP}\n", {f"{OF_JOB}/memory.max": "2000000", f"{OF_JOB}/step_0/memory.max": "max"}, 2_000_000),
        ("9:name=systemd:/\n4:memory,cpu:/a/b\n0::/\n", {OF_MEMORY: "3000000"}, 3_000_000),
        ("4:memory:/a\n", {OF_MEMORY: str(2**63 - 4096)}, MACHINE),
        ("4:memory:/a/../../b\n0::/c\n", {}, MACHINE),
        ("nonsense", {}, MACHINE),
        ("", {}, MACHINE),
    ],
)
def test_memory_is_what_was_granted(tmp_path, groups, limits, granted):
    for file, text in {"proc/self/cgroup": groups, **limits}.items():
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text(text)
    assert room.available(tmp_path) == granted


def test_what_is_larger_is_refused():
    room.check(10_000, "a", "its arrays", "lower n")
    with pytest.raises(Unfit, match=r"^a: its arrays take .* GiB of memory here: lower n$"):
        room.check(2**60, "a", "its arrays", "lower n")
