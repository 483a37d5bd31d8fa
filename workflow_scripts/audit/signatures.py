"""Signatures of crates, by OpenSSH: `ssh-keygen -Y`."""

import subprocess
from pathlib import Path

from workflow_scripts.config.errors import Missing, Misused

#: what a signature is for: one made for anything else doesn't count
NAMESPACE = "sgd-complexity-crate"


def path_of(signed: Path) -> Path:
    """Where the signature of a file lies."""
    return signed.with_name(f"{signed.name}.sig")


def sign(path: Path, key: Path) -> None:
    """Sign a file with a private key (or the public one of a key that ssh-agent holds). Raises StudyError."""
    done = _ssh_keygen("sign", "-f", key, "-n", NAMESPACE, path, asks=True)
    if done.returncode:
        raise Misused(f"--sign {key}", f"{_last_words(done)}: give a private key of ssh, such as ~/.ssh/id_ed25519")


def signer(path: Path, signers: Path) -> str | None:
    """Who signed a file, of those in an `allowed_signers` file of ssh; None: it is not what one of them signed.

    Raises StudyError where there is no signature, or no such list.
    """
    if not signers.is_file():
        raise Missing(f"--signers {signers}", "no such file: give a list with a line for each signer, NAME KEYTYPE KEY")
    if not path_of(path).is_file():
        raise Missing(path_of(path), "no such file: the crate is not signed; leave out --signers to check it as it is")
    known = _ssh_keygen("find-principals", "-s", path_of(path), "-f", signers)
    for name in known.stdout.splitlines() if known.returncode == 0 else ():
        checked = ("-f", signers, "-I", name, "-n", NAMESPACE, "-s", path_of(path))
        if _ssh_keygen("verify", *checked, given=path.read_bytes()).returncode == 0:
            return name
    return None


def _ssh_keygen(what: str, *arguments: object, given: bytes | None = None, asks: bool = False):
    """Run it; asks: it may ask for a passphrase."""
    stdin = {} if asks else {"input": (given or b"").decode("latin-1")}
    try:
        return subprocess.run(
            ["ssh-keygen", "-Y", what, *map(str, arguments)],
            capture_output=True,
            text=True,
            encoding="latin-1",
            **stdin,
        )
    except FileNotFoundError:
        raise Missing(
            "ssh-keygen: no such command: install OpenSSH, which signs crates and checks signatures"
        ) from None


def _last_words(done: subprocess.CompletedProcess) -> str:
    return next((line for line in reversed(done.stderr.splitlines()) if line.strip()), "ssh-keygen failed").rstrip(
        ".\r"
    )
