"""Signed crates: who holds the key can sign, and nobody can change a crate that was signed."""

import json
import shutil
import subprocess

import pytest

from workflow_scripts.audit import crate, signatures
from workflow_scripts.audit.verdict import Auditor
from workflow_scripts.config.errors import Missing, Misused

TABLE = "results/tiny/tables/table1.csv"


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    """Keys of Ada and Eve, and a list of signers that has Ada alone."""
    folder = tmp_path_factory.mktemp("keys")
    for name in ("ada", "eve"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
    (folder / "signers").write_text(f"ada@example.org {(folder / 'ada.pub').read_text()}")
    return folder


@pytest.fixture(scope="module")
def signed(finished, keys, tmp_path_factory):
    """A crate of one table, signed by Ada."""
    folder = tmp_path_factory.mktemp("signed") / "crate"
    crate.write(Auditor(None, finished / "results").audit([finished / TABLE]), folder, keys / "ada")
    return folder


@pytest.fixture
def copy(signed, tmp_path):
    """A copy of it, to be edited."""
    return shutil.copytree(signed, tmp_path / "crate")


def test_a_signed_crate_is_current_and_says_who_signed_it(signed, keys):
    first, *others = crate.check(signed, keys / "signers")
    assert (first.verdict, first.signer) == ("CURRENT", "ada@example.org")
    assert [report.verdict for report in others] == ["CURRENT"]


def test_a_crate_that_was_edited_and_sealed_anew_fails_by_its_signature_alone(copy, keys):
    path = copy / "ro-crate-metadata.json"
    described = json.loads(path.read_text())
    described["@graph"][1]["description"] = "mine"
    path.write_text(json.dumps(described))
    assert crate.check(copy)[0].verdict == "CURRENT", "its own list can't tell"
    (wrong,) = crate.check(copy, keys / "signers")[0].findings
    assert wrong.verdict == "TAMPERED"


def test_a_signature_of_somebody_else_or_for_something_else_does_not_count(copy, keys):
    path = copy / "ro-crate-metadata.json"
    signature = signatures.path_of(path)
    signature.unlink()
    signatures.sign(path, keys / "eve")
    assert signatures.signer(path, keys / "signers") is None
    signature.unlink()
    subprocess.run(["ssh-keygen", "-q", "-Y", "sign", "-f", keys / "ada", "-n", "file", path], check=True)
    assert signatures.signer(path, keys / "signers") is None


@pytest.mark.parametrize("damage", [b"", b"\x00\xff" * 50, b"-----BEGIN SSH SIGNATURE-----\n"])
def test_a_damaged_signature_or_list_does_not_count(copy, keys, tmp_path, damage):
    path = copy / "ro-crate-metadata.json"
    (tmp_path / "damaged").write_bytes(damage)
    assert signatures.signer(path, tmp_path / "damaged") is None
    signatures.path_of(path).write_bytes(damage)
    assert signatures.signer(path, keys / "signers") is None


def test_what_is_absent_is_named(copy, keys, tmp_path):
    path = copy / "ro-crate-metadata.json"
    with pytest.raises(Missing, match="nosigners"):
        signatures.signer(path, tmp_path / "nosigners")
    signatures.path_of(path).unlink()
    with pytest.raises(Missing, match="json.sig"):
        signatures.signer(path, keys / "signers")


def test_a_key_that_can_not_sign_leaves_no_crate(finished, tmp_path):
    reports = Auditor(None, finished / "results").audit([finished / TABLE])
    with pytest.raises(Misused, match="nokey"):
        crate.write(reports, tmp_path / "crate", tmp_path / "nokey")
    assert list(tmp_path.iterdir()) == []
