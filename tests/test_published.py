"""Published data sets: read, downloaded where they are absent, and refused where they are damaged."""

import functools
import gzip
import hashlib
import http.server
import os
import pickle
import socket
import tarfile
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from torchvision.datasets import CIFAR10, MNIST

from tests.refusals import assert_nothing_in, assert_refused, call
from workflow_scripts.config.errors import Damaged, Missing, StudyError
from workflow_scripts.data.datasets import mnist
from workflow_scripts.data.parts import PARTS
from workflow_scripts.files import hashing

# MNIST

SOURCE = {"wildcards": {"dataset": "mnist"}, "source": {"kind": "mnist", "train": 50, "test": 20, "fresh": 5}}


def idx(values: np.ndarray) -> bytes:
    """Bytes of an IDX file of uint8."""
    return bytes([0, 0, 8, values.ndim]) + b"".join(size.to_bytes(4, "big") for size in values.shape) + values.tobytes()


@pytest.fixture
def small_mnist(monkeypatch) -> dict[str, bytes]:
    """Files like MNIST's with a few random images, and the program told that these are MNIST."""
    rng = np.random.default_rng(0)
    content = {}
    for part, n in (("train", 60), ("t10k", 20)):
        content[f"{part}-images-idx3-ubyte"] = idx(rng.integers(0, 256, (n, 28, 28), np.uint8))
        content[f"{part}-labels-idx1-ubyte"] = idx(np.arange(n, dtype=np.uint8) % 10)
    hashes = {name: hashlib.sha256(content[name]).hexdigest() for name in mnist.FILES}
    monkeypatch.setattr(mnist, "FILES", hashes)
    return content


@pytest.fixture
def served(tmp_path):
    """A folder that a server on this machine serves, and its address."""
    folder = tmp_path / "mirror"
    folder.mkdir()

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield folder, f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


@pytest.fixture
def mirror(served, small_mnist, monkeypatch) -> Path:
    """A mirror of these files on this machine: the folder that it serves."""
    folder, address = served
    resources = []
    for name, content in small_mnist.items():
        packed = gzip.compress(content, mtime=0)
        (folder / f"{name}.gz").write_bytes(packed)
        resources.append((f"{name}.gz", hashlib.md5(packed).hexdigest()))
    monkeypatch.setattr(MNIST, "mirrors", [address])
    monkeypatch.setattr(MNIST, "resources", resources)
    return folder


def prepare_mnist(root: Path, out: Path) -> StudyError | OSError | None:
    return call("prepare_data", SOURCE, data_root=root, data=out / "mnist.npz")


def put(content: dict[str, bytes], root: Path) -> Path:
    folder = root / "MNIST" / "raw"
    folder.mkdir(parents=True)
    for name, data in content.items():
        (folder / name).write_bytes(data)
    return folder


def test_mnist_is_read_from_data_root(tmp_path, small_mnist):
    put(small_mnist, tmp_path / "root")
    assert prepare_mnist(tmp_path / "root", tmp_path) is None
    with np.load(tmp_path / "mnist.npz") as made:
        shapes = [made[f"{part}_inputs"].shape for part in PARTS]
        assert shapes == [(50, 1, 28, 28), (20, 1, 28, 28), (5, 1, 28, 28), (0, 1, 28, 28)]
        assert made["train_inputs"].dtype == np.uint8
        assert dict(line.split() for line in made["source_hashes"].tolist()) == mnist.FILES


def test_mnist_is_downloaded_where_it_is_absent(tmp_path, small_mnist, mirror):
    assert prepare_mnist(tmp_path / "root", tmp_path / "downloaded") is None
    put(small_mnist, tmp_path / "other")
    assert prepare_mnist(tmp_path / "other", tmp_path / "read") is None
    assert (tmp_path / "downloaded" / "mnist.npz").read_bytes() == (tmp_path / "read" / "mnist.npz").read_bytes()


def test_a_damaged_download_is_refused_and_the_next_run_recovers(tmp_path, mirror):
    packed = mirror / "train-images-idx3-ubyte.gz"
    sound = packed.read_bytes()
    packed.write_bytes(sound[:-100])
    error = prepare_mnist(tmp_path / "root", tmp_path / "out")
    assert_refused(error, Missing, tmp_path / "root" / "MNIST" / "raw", "downloaded")
    assert_nothing_in(tmp_path / "out")
    packed.write_bytes(sound)
    assert prepare_mnist(tmp_path / "root", tmp_path / "out") is None


def test_mnist_absent_and_out_of_reach_names_both_remedies(tmp_path, monkeypatch):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound and not listening: connections are refused
        monkeypatch.setattr(MNIST, "mirrors", [f"http://127.0.0.1:{unused.getsockname()[1]}/"])
        error = prepare_mnist(tmp_path / "root", tmp_path / "out")
    holds = "MNIST downloaded train-images-idx3-ubyte data_root internet"
    assert_refused(error, Missing, tmp_path / "root" / "MNIST" / "raw", holds)
    assert_nothing_in(tmp_path / "out")


@pytest.mark.parametrize(
    "damage", [lambda data: data[:-1], lambda data: data[:-1] + bytes([data[-1] ^ 1]), lambda _: b""]
)
@pytest.mark.parametrize("name", mnist.FILES)
def test_a_damaged_mnist_file_is_named(name, damage, tmp_path, small_mnist):
    folder = put(small_mnist | {name: damage(small_mnist[name])}, tmp_path / "root")
    error = prepare_mnist(tmp_path / "root", tmp_path / "out")
    assert_refused(error, Damaged, folder / name, "MNIST SHA-256 delete")
    assert_nothing_in(tmp_path / "out")


def test_the_real_mnist_is_accepted_and_an_altered_label_is_noticed(shared_data, tmp_path):
    real = shared_data / "MNIST" / "raw"
    assert prepare_mnist(shared_data, tmp_path) is None
    folder = put({}, tmp_path / "root")
    altered = "t10k-labels-idx1-ubyte"
    for name in mnist.FILES:
        if name != altered:
            (folder / name).symlink_to(real / name)
    content = bytearray((real / altered).read_bytes())
    content[-1] ^= 1
    (folder / altered).write_bytes(content)
    error = prepare_mnist(tmp_path / "root", tmp_path / "out")
    assert_refused(error, Damaged, folder / altered, "MNIST SHA-256 delete")
    assert_nothing_in(tmp_path / "out")


def legacy(root: Path) -> None:
    """What old versions of torchvision left behind, and new ones prefer to the files that are published."""
    folder = root / "MNIST" / "processed"
    folder.mkdir(parents=True)
    for name in (MNIST.training_file, MNIST.test_file):
        torch.save((torch.zeros(60, 28, 28, dtype=torch.uint8), torch.zeros(60, dtype=torch.int64)), folder / name)
    assert MNIST(str(root)).data.max() == 0, "torchvision does so still"


@pytest.mark.parametrize("absent", [False, True])
def test_only_the_published_files_are_read_and_downloaded_whatever_lies_beside_them(
    absent, tmp_path, small_mnist, mirror
):
    put(small_mnist, tmp_path / "plain")
    assert prepare_mnist(tmp_path / "plain", tmp_path / "expected") is None
    if not absent:
        put(small_mnist, tmp_path / "root")
    legacy(tmp_path / "root")
    assert prepare_mnist(tmp_path / "root", tmp_path / "out") is None
    assert (tmp_path / "out" / "mnist.npz").read_bytes() == (tmp_path / "expected" / "mnist.npz").read_bytes()


def once(monkeypatch) -> None:
    """A file below `root` holds rubbish as soon as it was read."""
    read_bytes = Path.read_bytes

    def then_overwritten(path: Path) -> bytes:
        content = read_bytes(path)
        if "root" in path.parts:
            path.write_bytes(bytes(len(content)))
        return content

    monkeypatch.setattr(Path, "read_bytes", then_overwritten)


def test_the_bytes_of_mnist_that_are_hashed_are_those_that_are_decoded(tmp_path, small_mnist, monkeypatch):
    put(small_mnist, tmp_path / "plain")
    put(small_mnist, tmp_path / "root")
    assert prepare_mnist(tmp_path / "plain", tmp_path / "expected") is None
    once(monkeypatch)
    assert prepare_mnist(tmp_path / "root", tmp_path / "out") is None
    assert (tmp_path / "out" / "mnist.npz").read_bytes() == (tmp_path / "expected" / "mnist.npz").read_bytes()


def test_data_root_may_be_in_home_or_have_any_name(tmp_path, small_mnist, monkeypatch):
    put(small_mnist, tmp_path / "{x}: my data")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert prepare_mnist(Path("~/{x}: my data"), tmp_path / "out") is None
    assert_refused(prepare_mnist(Path("~nobody-of-this-name"), tmp_path / "other"), Missing, "~nobody-of-this-name")


@pytest.mark.parametrize("first", ["absent", "damaged", "not listening"])
def test_a_mirror_that_fails_is_passed_over(first, served, tmp_path, small_mnist, mirror, monkeypatch):
    folder, address = served
    (folder / "damaged").mkdir()
    for name, _ in MNIST.resources:
        (folder / "damaged" / name).write_bytes(b"rubbish")
    bad = {"absent": f"{address}absent/", "damaged": f"{address}damaged/", "not listening": "http://127.0.0.1:1/"}
    monkeypatch.setattr(MNIST, "mirrors", [bad[first], address])
    assert prepare_mnist(tmp_path / "root", tmp_path / "out") is None


# CIFAR-10

CIFAR = SOURCE | {"source": SOURCE["source"] | {"kind": "cifar10"}}


def of_python_2(value) -> bytes:
    """What Python 2 pickled, as the files of CIFAR-10 were."""
    if isinstance(value, str):
        return b"U" + bytes([len(value)]) + value.encode()
    if isinstance(value, int):
        return b"J" + value.to_bytes(4, "little")
    if isinstance(value, list | tuple):
        return b"(" + b"".join(map(of_python_2, value)) + (b"l" if isinstance(value, list) else b"t")
    if isinstance(value, dict):
        return b"(" + b"".join(of_python_2(one) for pair in value.items() for one in pair) + b"d"
    dtype = b"cnumpy\ndtype\n" + of_python_2(("u1", 0, 1)) + b"R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb"
    content = b"\x89T" + value.nbytes.to_bytes(4, "little") + value.tobytes()
    empty = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n" + of_python_2((0,)) + b"U\x01btR"
    return empty + b"(K\x01" + of_python_2(value.shape) + dtype + content + b"tb"


@pytest.fixture
def small_cifar(tmp_path, monkeypatch) -> Path:
    """Files like CIFAR-10's with a few images below root, and torchvision told that these are CIFAR-10.

    The first pixel of an image has its label in red, and 100 more in green.
    """
    folder = tmp_path / "root" / CIFAR10.base_folder
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)

    def written(name: str, content: dict) -> str:
        (folder / name).write_bytes(b"\x80\x02" + of_python_2(content) + b".")
        return hashlib.md5((folder / name).read_bytes()).hexdigest()

    def batch(n: int) -> dict:
        images, labels = rng.integers(0, 256, (n, 3, 32, 32), np.uint8), np.arange(n) % 10
        images[:, 0, 0, 0], images[:, 1, 0, 0] = labels, labels + 100
        return {"data": images.reshape(n, -1), "labels": labels.tolist()}

    for attribute, n in (("train_list", 12), ("test_list", 20)):
        digests = [[name, written(name, batch(n))] for name, _ in getattr(CIFAR10, attribute)]
        monkeypatch.setattr(CIFAR10, attribute, digests)
    names = [*"abcdefghij"]
    monkeypatch.setattr(CIFAR10, "meta", CIFAR10.meta | {"md5": written("batches.meta", {"label_names": names})})
    return folder


@pytest.fixture
def cifar_archive(served, small_cifar, monkeypatch) -> Path:
    """The archive that torchvision downloads, on a mirror on this machine."""
    folder, address = served
    archive = folder / CIFAR10.filename
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(small_cifar, CIFAR10.base_folder)
    monkeypatch.setattr(CIFAR10, "url", address + CIFAR10.filename)
    monkeypatch.setattr(CIFAR10, "tgz_md5", hashlib.md5(archive.read_bytes()).hexdigest())
    return archive


def prepare_cifar(root: Path, out: Path) -> StudyError | OSError | None:
    return call("prepare_data", CIFAR, data_root=root, data=out / "cifar.npz")


def test_cifar_is_read_from_data_root(tmp_path, small_cifar):
    assert prepare_cifar(tmp_path / "root", tmp_path) is None
    with np.load(tmp_path / "cifar.npz") as made:
        for part, n in (("train", 50), ("test", 20), ("fresh", 5)):
            images, labels = made[f"{part}_inputs"], made[f"{part}_labels"]
            assert images.shape == (n, 3, 32, 32) and images.dtype == np.uint8
            np.testing.assert_array_equal(images[:, :2, 0, 0], np.stack([labels, labels + 100], 1))
        together = np.concatenate([made["train_inputs"], made["fresh_inputs"]])
        assert len({image.tobytes() for image in together}) == 55
        assert made["class_names"].tolist() == [*"abcdefghij"]
        hashes = dict(line.split() for line in made["source_hashes"].tolist())
    assert len(hashes) == 7 and hashes["test_batch"] == hashing.sha256(small_cifar / "test_batch")


def test_cifar_is_downloaded_where_it_is_absent(tmp_path, cifar_archive):
    assert prepare_cifar(tmp_path / "elsewhere", tmp_path / "downloaded") is None
    assert prepare_cifar(tmp_path / "root", tmp_path / "read") is None
    assert (tmp_path / "downloaded" / "cifar.npz").read_bytes() == (tmp_path / "read" / "cifar.npz").read_bytes()


def test_a_damaged_download_of_cifar_is_refused_and_the_next_run_recovers(tmp_path, cifar_archive):
    sound = cifar_archive.read_bytes()
    cifar_archive.write_bytes(sound[:-100])
    error = prepare_cifar(tmp_path / "elsewhere", tmp_path / "out")
    assert_refused(error, Missing, tmp_path / "elsewhere" / "cifar-10-batches-py", "CIFAR-10 downloaded")
    assert_nothing_in(tmp_path / "out")
    cifar_archive.write_bytes(sound)
    assert prepare_cifar(tmp_path / "elsewhere", tmp_path / "out") is None


def test_cifar_absent_and_out_of_reach_names_both_remedies(tmp_path, monkeypatch):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # bound and not listening: connections are refused
        monkeypatch.setattr(CIFAR10, "url", f"http://127.0.0.1:{unused.getsockname()[1]}/{CIFAR10.filename}")
        error = prepare_cifar(tmp_path / "root", tmp_path / "out")
    holds = "CIFAR-10 downloaded data_batch_1 data_root cifar-10-batches-py internet"
    assert_refused(error, Missing, tmp_path / "root" / "cifar-10-batches-py", holds)
    assert_nothing_in(tmp_path / "out")


@pytest.mark.parametrize("name", ["data_batch_1", "data_batch_5", "test_batch", "batches.meta"])
def test_a_damaged_file_of_cifar_is_named_and_not_unpickled(name, tmp_path, small_cifar):
    class Trap:
        def __reduce__(self):
            return Path.touch, (tmp_path / "sprung",)

    (small_cifar / name).write_bytes(pickle.dumps(Trap()))
    error = prepare_cifar(tmp_path / "root", tmp_path / "out")
    assert_refused(error, Damaged, small_cifar / name, "CIFAR-10 MD5 delete")
    assert_nothing_in(tmp_path / "out")
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize("name", ["data_batch_1", "test_batch", "batches.meta"])
@pytest.mark.parametrize("trap", [lambda path: (os.mkdir, (path,)), lambda path: (eval, (f"open({path!r}, 'w')",))])
def test_a_forged_file_of_cifar_calls_nothing(name, trap, tmp_path, small_cifar, monkeypatch):
    class Trap:
        def __reduce__(self):
            return trap(str(tmp_path / "sprung"))

    forged = pickle.dumps({"data": Trap(), "labels": [Trap()], "label_names": Trap()})
    (small_cifar / name).write_bytes(forged)
    md5 = hashlib.md5(forged).hexdigest()
    for attribute in ("train_list", "test_list"):
        digests = [[of, md5 if of == name else digest] for of, digest in getattr(CIFAR10, attribute)]
        monkeypatch.setattr(CIFAR10, attribute, digests)
    if name == CIFAR10.meta["filename"]:
        monkeypatch.setattr(CIFAR10, "meta", CIFAR10.meta | {"md5": md5})
    error = prepare_cifar(tmp_path / "root", tmp_path / "out")
    assert_refused(error, Damaged, small_cifar / name, "CIFAR-10 delete")
    assert not (tmp_path / "sprung").exists()


def test_the_bytes_of_cifar_that_are_hashed_are_those_that_are_unpickled(tmp_path, small_cifar, monkeypatch):
    assert prepare_cifar(tmp_path / "root", tmp_path / "expected") is None
    once(monkeypatch)
    assert prepare_cifar(tmp_path / "root", tmp_path / "out") is None
    assert (tmp_path / "out" / "cifar.npz").read_bytes() == (tmp_path / "expected" / "cifar.npz").read_bytes()
