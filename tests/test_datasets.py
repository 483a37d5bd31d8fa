from pathlib import Path

import numpy as np

from workflow_scripts import datasets, files, tasks
from workflow_scripts.config.data import Digits, Mnist, Sinusoid, Task, Theorem1

NOWHERE = Path("nowhere")


def rows(arrays, part):
    return {row.tobytes() for row in arrays[f"{part}_inputs"]}


def test_digits_are_split_by_class_into_parts_of_the_asked_sizes():
    arrays = datasets.make(Digits(kind="digits", test=360, fresh=200, train=1000), NOWHERE)
    sizes = [len(arrays[f"{part}_labels"]) for part in tasks.PARTS]
    assert sizes == [1000, 360, 200, 0]
    assert arrays["train_inputs"].shape == (1000, 1, 8, 8)
    assert arrays["train_inputs"].min() == 0 and arrays["train_inputs"].max() == 1
    assert np.bincount(arrays["test_labels"]).min() >= 34, "the test set holds every class in its share"
    assert not rows(arrays, "train") & rows(arrays, "test") and not rows(arrays, "train") & rows(arrays, "fresh")
    everything = datasets.make(Digits(kind="digits", test=360), NOWHERE)
    assert len(everything["train_labels"]) == 1797 - 360 and len(everything["fresh_labels"]) == 0


def test_another_seed_splits_otherwise_and_the_same_seed_alike():
    first, again, other = (datasets.make(Digits(kind="digits", seed=seed), NOWHERE) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first["test_inputs"], again["test_inputs"])
    assert rows(first, "test") != rows(other, "test")


def test_the_sinusoid_labels_are_the_sign_of_the_line_plus_the_wave():
    source = Sinusoid(kind="sinusoid", train=4000, test=50, fresh=20, linear_norm=2.0, sine_norm=3.0, frequency=0.5)
    arrays = datasets.make(source, NOWHERE)
    x, y = arrays["train_inputs"].astype(float), arrays["train_labels"] * 2 - 1
    assert x.shape == (4000, 100) and abs(x.std() - 1) < 0.01
    w, w_prime = np.linalg.qr(np.random.default_rng(0).standard_normal((100, 2)))[0].T
    assert abs(w @ w_prime) < 1e-12
    margin = 2 * (x @ w) + np.sin(0.5 * 3 * (x @ w_prime))
    clear = np.abs(margin) > 1e-4
    np.testing.assert_array_equal(np.sign(margin)[clear], y[clear])
    assert [len(arrays[f"{part}_labels"]) for part in tasks.PARTS] == [4000, 50, 20, 0]
    assert not rows(arrays, "train") & rows(arrays, "test")


def test_theorem_1_has_a_signal_that_noise_flips_and_one_coordinate_of_noise():
    source = Theorem1(kind="theorem1", train=4000, test=50, fresh=20, dimension=30, noise=0.2)
    arrays = datasets.make(source, NOWHERE)
    x, y = arrays["train_inputs"], arrays["train_labels"] * 2 - 1
    assert x.shape == (4000, 30) and x.dtype == np.float32
    assert set(np.unique(x[:, 0])) == {-1, 1} and abs((x[:, 0] != y).mean() - 0.2) < 0.03
    assert ((x[:, 1:] == 1).sum(1) == 1).all() and ((x[:, 1:] != 0).sum(1) == 1).all()
    assert x[:, 1:].any(0).all() and abs(y.mean()) < 0.05
    assert [len(arrays[f"{part}_labels"]) for part in tasks.PARTS] == [4000, 50, 20, 0]
    again = datasets.make(source, NOWHERE)
    assert all(np.array_equal(again[name], arrays[name]) for name in arrays)


def test_a_label_map_groups_classes_and_drops_those_left_out(tmp_path):
    arrays = datasets.make(Digits(kind="digits", test=360), NOWHERE)
    path = tmp_path / "digits.npz"
    files.save_arrays(path, **arrays)
    task = Task(dataset="digits", groups={"b": [8, 9], "a": [0, 1, 2], "c": [3, 4]}, leave_out=[5, 6, 7])
    data = tasks.load(path, task)
    digits = arrays["test_labels"]
    kept = ~np.isin(digits, [5, 6, 7])
    expected = np.select([digits >= 8, digits <= 2], [0, 1], 2)[kept]
    np.testing.assert_array_equal(data.labels["test"], expected)
    np.testing.assert_array_equal(data.inputs["test"], arrays["test_inputs"][kept])
    assert data.n_classes == 3
    labels, n_classes = tasks.load_labels(path, task)
    assert n_classes == 3
    for part in tasks.PARTS:
        np.testing.assert_array_equal(labels[part], data.labels[part])
    everything = tasks.load(path, Task(dataset="digits"))
    assert everything.n_classes == 10
    np.testing.assert_array_equal(everything.labels["train"], arrays["train_labels"])


def test_the_same_arrays_give_the_same_file(tmp_path):
    for name in ("a.npz", "b.npz"):
        files.save_arrays(tmp_path / name, **datasets.make(Digits(kind="digits"), NOWHERE))
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_real_mnist_is_read_whole_and_split(shared_data):
    arrays = datasets.make(Mnist(kind="mnist", fresh=5000), shared_data)
    assert arrays["train_inputs"].shape == (55_000, 1, 28, 28) and arrays["train_inputs"].dtype == np.uint8
    assert arrays["test_inputs"].shape == (10_000, 1, 28, 28)
    assert arrays["test_labels"][:5].tolist() == [7, 2, 1, 0, 4]
    assert np.bincount(np.concatenate([arrays["train_labels"], arrays["fresh_labels"]]))[:2].tolist() == [5923, 6742]
    small = datasets.make(Mnist(kind="mnist", train=100, test=50), shared_data)
    assert [len(small[f"{part}_labels"]) for part in tasks.PARTS] == [100, 50, 0, 0]
