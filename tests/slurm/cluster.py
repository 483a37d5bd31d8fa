"""A real Slurm on this machine for tests: one node of 8 claimed CPUs and 2 fake GPUs, with accounting, on loopback."""

import os
import shutil
import socket
import stat
import subprocess
import time
from pathlib import Path

PACKAGES = ("munge", "slurmctld", "slurmd", "slurm-client", "slurmdbd", "slurm-wlm-mysql-plugin", "mariadb-server")
CONFIGURATION = Path("/etc/slurm")
OURS = "# made by tests/slurm/cluster.py, which removes it\n"
GPUS = 2

SLURM = """
ClusterName=tests
SlurmctldHost={host}({address})
SlurmctldPort=26917
SlurmdPort=26918
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={base}/socket/munge,cred_expire=15
CredType=cred/munge
StateSaveLocation={base}/state
SlurmdSpoolDir={base}/spool
SlurmctldPidFile={base}/slurmctld.pid
SlurmdPidFile={base}/slurmd.pid
SlurmctldLogFile={base}/slurmctld.log
SlurmdLogFile={base}/slurmd.log
MailProg=/bin/true
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
PropagateResourceLimits=NONE
ReturnToService=2
SlurmdTimeout=20
MinJobAge=3600
SchedulerParameters=batch_sched_delay=0,sched_interval=1,bf_interval=1
SlurmdParameters=config_overrides
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost={address}
AccountingStoragePort=26919
AccountingStoragePass={base}/socket/munge
AccountingStoreFlags=job_comment
GresTypes=gpu
NodeName={host} NodeAddr={address} CPUs=8 RealMemory=64000 Gres=gpu:{gpus} State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=2-00:00:00 DefaultTime=00:10:00 State=UP
"""
ACCOUNTING = """
AuthType=auth/munge
AuthInfo=socket={base}/socket/munge
DbdHost=localhost
DbdAddr={address}
DbdPort=26919
CommunicationParameters=NoInAddrAny
SlurmUser=root
LogFile={base}/slurmdbd.log
PidFile={base}/slurmdbd.pid
StorageType=accounting_storage/mysql
StorageHost=localhost
StorageUser=root
StorageLoc=accounting
"""


class Unavailable(Exception):
    """Why no cluster can be had here."""


class Cluster:
    """The daemons of a cluster and their files, in a folder of their own; they die with the process that starts them.

    Slurm's clients find the cluster by /etc/slurm, which holds its configuration until `down`: without it they fail at
    once, so that Debian's packages, which stay installed, slow down no other run of Snakemake. Raises Unavailable.
    """

    def __init__(self, base: Path):
        self.base, self.running = base, {}
        self.address = _check()
        _install()
        for folder, mode in {"key": 0o700, "socket": 0o711, "state": 0o755, "spool": 0o755, "gpu": 0o755}.items():
            (base / folder).mkdir()
            (base / folder).chmod(mode)
        base.chmod(0o755)
        (base / "key" / "munge").write_bytes(os.urandom(1024))
        (base / "key" / "munge").chmod(0o600)
        for k in range(GPUS):  # clones of /dev/null: Slurm sets CUDA_VISIBLE_DEVICES in the jobs that get one
            try:
                os.mknod(base / "gpu" / f"gpu{k}", 0o666 | stat.S_IFCHR, os.makedev(1, 3))
            except PermissionError:
                raise Unavailable("device files can't be made here, which the node has for GPUs") from None
        told = {"base": base, "host": socket.gethostname().split(".")[0], "address": self.address, "gpus": GPUS}
        CONFIGURATION.mkdir(exist_ok=True)
        self._slurm = OURS + SLURM.format(**told)
        (CONFIGURATION / "slurm.conf").write_text(self._slurm)
        (CONFIGURATION / "gres.conf").write_text(OURS + f"Name=gpu File={base}/gpu/gpu[0-{GPUS - 1}]\n")
        (CONFIGURATION / "slurmdbd.conf").write_text(OURS + ACCOUNTING.format(**told))
        (CONFIGURATION / "slurmdbd.conf").chmod(0o600)

    def up(self) -> None:
        """Start every daemon and wait until the node takes jobs."""
        base, sql = self.base, self.base / "mysql"
        self.start("munged", "--foreground", f"--key-file={base}/key/munge", f"--socket={base}/socket/munge",
                   f"--pid-file={base}/munged.pid", f"--log-file={base}/munged.log",
                   f"--seed-file={base}/key/seed")  # fmt: skip
        self._wait("munged", f"munge -n -S {base}/socket/munge | unmunge -S {base}/socket/munge")
        _run("mariadb-install-db", "--no-defaults", "--user=root", f"--datadir={sql}", "--skip-test-db",
             "--auth-root-authentication-method=normal")  # fmt: skip
        self.start("mariadbd", "--no-defaults", "--user=root", f"--datadir={sql}", f"--socket={base}/socket/mysql",
                   f"--pid-file={base}/mariadbd.pid", "--skip-networking", "--innodb-buffer-pool-size=64M",
                   "--innodb-lock-wait-timeout=900")  # fmt: skip
        self._wait("mariadbd", f"mariadb --no-defaults -uroot -S {base}/socket/mysql -e 'select 1'")
        self.start("slurmdbd", "-D")
        self._wait("slurmdbd", "sacctmgr -n list cluster")
        _run("sacctmgr", "-i", "add", "cluster", "tests")
        self.start("slurmctld", "-D", "-i")
        self.start("slurmd", "-D")

    def start(self, daemon: str, *arguments: str) -> None:
        """Start a daemon; slurmctld and slurmd: and wait until they answer."""
        if daemon in ("slurmctld", "slurmd"):
            arguments = arguments or ("-D",)
        with (self.base / f"{daemon}.out").open("a") as out:
            self.running[daemon] = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", daemon, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
                env=os.environ | {"MYSQL_UNIX_PORT": f"{self.base}/socket/mysql"},
            )
        if daemon == "slurmctld":
            self._wait(daemon, "scontrol ping | grep -q ' UP'")
        if daemon == "slurmd":
            self._wait(daemon, "sinfo --noheader --format %T | grep -Eqx 'idle|mixed|allocated'")

    def configure(self, **changed: str) -> None:
        """Start the controller anew with these settings, and all others as they were in the beginning."""
        lines = [line for line in self._slurm.splitlines() if line.partition("=")[0] not in changed]
        lines += [f"{key}={value}" for key, value in changed.items()]
        (CONFIGURATION / "slurm.conf").write_text("\n".join(lines) + "\n")
        self.kill("slurmctld")
        self.start("slurmctld")

    def kill(self, daemon: str) -> None:
        """Kill a daemon as a crash does."""
        self.running[daemon].kill()
        self.running.pop(daemon).wait()

    def until_node_is_lost(self) -> None:
        """Wait until Slurm has given the node up."""
        self._wait("slurmctld", "sinfo --noheader --format %T | grep -q down")

    def jobs(self, folder: Path) -> list[dict]:
        """The jobs that were submitted from a folder, in that order: id, state, rule, and whether Slurm requeued it."""
        said = _run("squeue", "--states=all", "--noheader", "--sort=i", "--Format=JobID:|,State:|,WorkDir:|,Comment:")
        rows = [[field.strip() for field in line.split("|")] for line in said.splitlines()]
        return [
            {"id": row[0], "state": row[1], "rule": row[3].removeprefix("rule_").split("_wildcards")[0]}
            for row in rows
            if row[2] == str(folder)
        ]

    def cancel(self) -> None:
        """Cancel every job and wait until none is left."""
        _run("scancel", "--user=root")
        self._wait("slurmctld", 'test -z "$(squeue --noheader --states=running,pending,completing)"')

    def down(self) -> None:
        """Cancel every job, stop every daemon, and remove the configuration."""
        try:
            if {"slurmctld", "slurmd"} <= self.running.keys():
                self.cancel()
        finally:
            for daemon in reversed(list(self.running)):
                self.running[daemon].terminate()
                try:
                    self.running[daemon].wait(20)
                except subprocess.TimeoutExpired:
                    self.kill(daemon)
            for file in ("slurm.conf", "gres.conf", "slurmdbd.conf"):
                (CONFIGURATION / file).unlink()
            shutil.rmtree(self.base)

    def _wait(self, daemon: str, command: str, seconds: float = 60) -> None:
        end = time.monotonic() + seconds
        while subprocess.run(["sh", "-c", command], capture_output=True).returncode:
            if self.running[daemon].poll() is not None or time.monotonic() > end:
                logs = (self.base / f"{daemon}{ending}" for ending in (".out", ".log"))
                said = "".join(log.read_text()[-2000:] for log in logs if log.exists())
                raise Unavailable(f"{daemon} does not answer: {command}\n{said}")
            time.sleep(0.2)


def _check() -> str:
    """This machine's address, if a cluster may be made here at all; a cluster of somebody else is not touched."""
    if os.geteuid():
        raise Unavailable("only root can install and run Slurm")
    if not shutil.which("apt-get"):
        raise Unavailable("Slurm is installed from Debian's packages, and there is no apt-get")
    try:
        address = socket.gethostbyname(socket.gethostname())
    except OSError:
        address = "nothing"
    if not address.startswith("127."):
        raise Unavailable(f"the name of this machine, {socket.gethostname()}, means {address}, and not loopback")
    if "SLURM_CONF" in os.environ:
        raise Unavailable(f"SLURM_CONF={os.environ['SLURM_CONF']}: a cluster is in use here")
    for file in ("slurm.conf", "gres.conf", "slurmdbd.conf"):
        there = CONFIGURATION / file
        if there.is_symlink() or (there.exists() and not there.read_text().startswith(OURS)):
            raise Unavailable(f"{there} is there: a cluster is in use here")
    daemons = ("slurmctld", "slurmd", "slurmdbd")
    running = [name for name in daemons if subprocess.run(["pgrep", "-x", name], capture_output=True).returncode == 0]
    if running:
        raise Unavailable(f"{running[0]} runs here already")
    return address


def _install() -> None:
    """Debian's packages, without letting them start daemons of their own."""
    query = ["dpkg-query", "--show", "--showformat=${db:Status-Status} ${Package}\n", *PACKAGES]
    said = subprocess.run(query, capture_output=True, text=True).stdout
    missing = [name for name in PACKAGES if f"installed {name}" not in said.splitlines()]
    if not missing:
        return
    policy = Path("/usr/sbin/policy-rc.d")
    forbidden = not policy.exists()
    if forbidden:
        policy.write_text("#!/bin/sh\nexit 101\n")
        policy.chmod(0o755)
    try:
        _run("apt-get", "update", "-qq")
        _run("apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing)
    finally:
        if forbidden:
            policy.unlink()


def _run(*command: str) -> str:
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, env=environment, timeout=600
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable(f"{' '.join(command)}: {error}") from None
    if done.returncode:
        raise Unavailable(f"{' '.join(command)}: exit {done.returncode}: {(done.stdout + done.stderr)[-1000:]}")
    return done.stdout
