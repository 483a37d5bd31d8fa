import os
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from tests.refusals import refusal
from workflow_scripts.config import kinds
from workflow_scripts.config.errors import Unfit
from workflow_scripts.config.tasks import Task
from workflow_scripts.data import tasks
from workflow_scripts.data.parts import PARTS
from workflow_scripts.files import npz

NOWHERE = Path("nowhere")


def made(kind, data_root=NOWHERE, **settings):
    """The arrays of a data set of this kind."""
    module = kinds.of("data.datasets", kind)
    return module.make(module.Settings(kind=kind, **settings), data_root)


def rows(arrays, part):
    return {row.tobytes() for row in arrays[f"{part}_inputs"]}


def test_digits_are_split_by_class_into_parts_of_the_asked_sizes():
    arrays = made("digits", test=360, fresh=200, train=1000)
    sizes = [len(arrays[f"{part}_labels"]) for part in PARTS]
    assert sizes == [1000, 360, 200, 0]
    assert arrays["train_inputs"].shape == (1000, 1, 8, 8)
    assert arrays["train_inputs"].min() == 0 and arrays["train_inputs"].max() == 1
    assert np.bincount(arrays["test_labels"]).min() >= 34, "the test set holds every class in its share"
    assert not rows(arrays, "train") & rows(arrays, "test") and not rows(arrays, "train") & rows(arrays, "fresh")
    everything = made("digits", test=360)
    assert len(everything["train_labels"]) == 1797 - 360 and len(everything["fresh_labels"]) == 0


def test_another_seed_splits_otherwise_and_the_same_seed_alike():
    first, again, other = (made("digits", seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first["test_inputs"], again["test_inputs"])
    assert rows(first, "test") != rows(other, "test")


def test_the_sinusoid_labels_are_the_sign_of_the_line_plus_the_wave():
    arrays = made("sinusoid", train=4000, test=50, fresh=20, linear_norm=2.0, sine_norm=3.0, frequency=0.5)
    x, y = arrays["train_inputs"].astype(float), arrays["train_labels"] * 2 - 1
    assert x.shape == (4000, 100) and abs(x.std() - 1) < 0.01
    w, w_prime = np.linalg.qr(np.random.default_rng(0).standard_normal((100, 2)))[0].T
    assert abs(w @ w_prime) < 1e-12
    margin = 2 * (x @ w) + np.sin(0.5 * 3 * (x @ w_prime))
    clear = np.abs(margin) > 1e-4
    np.testing.assert_array_equal(np.sign(margin)[clear], y[clear])
    assert [len(arrays[f"{part}_labels"]) for part in PARTS] == [4000, 50, 20, 0]
    assert not rows(arrays, "train") & rows(arrays, "test")


def test_theorem_1_has_a_signal_that_noise_flips_and_one_coordinate_of_noise():
    arrays = made("theorem1", train=4000, test=50, fresh=20, dimension=30, noise=0.2)
    x, y = arrays["train_inputs"], arrays["train_labels"] * 2 - 1
    assert x.shape == (4000, 30) and x.dtype == np.float32
    assert set(np.unique(x[:, 0])) == {-1, 1} and abs((x[:, 0] != y).mean() - 0.2) < 0.03
    assert ((x[:, 1:] == 1).sum(1) == 1).all() and ((x[:, 1:] != 0).sum(1) == 1).all()
    assert x[:, 1:].any(0).all() and abs(y.mean()) < 0.05
    assert [len(arrays[f"{part}_labels"]) for part in PARTS] == [4000, 50, 20, 0]
    again = made("theorem1", train=4000, test=50, fresh=20, dimension=30, noise=0.2)
    assert all(np.array_equal(again[name], arrays[name]) for name in arrays)


def curve(x):
    return 0.3 * np.sin(5 * x[:, 0])


def test_the_ball_is_uniform_in_the_disc():
    x = made("ball", train=40_000)["train_inputs"]
    assert x.shape == (40_000, 2) and x.dtype == np.float32
    radius, angle = np.hypot(*x.T), np.arctan2(x[:, 1], x[:, 0])
    assert stats.kstest(radius**2, "uniform").pvalue > 0.01, "a share r^2 lies within r"
    assert stats.kstest(angle, "uniform", (-np.pi, 2 * np.pi)).pvalue > 0.01
    assert abs(np.corrcoef(radius, angle)[0, 1]) < 0.02


def test_labels_of_the_ball_follow_the_curve_but_for_the_examples_that_are_said_to_be_flipped():
    arrays = made("ball", train=5000, test=4000, fresh=3000, amplitude=0.3, frequency=5, noise=0.2, grid=30)
    for part, n in (("train", 5000), ("test", 4000), ("fresh", 3000)):
        x, y, flipped = (arrays[f"{part}_{kind}"] for kind in ("inputs", "labels", "flipped"))
        assert len(x) == n and flipped.dtype == bool
        clear = abs(x[:, 1] - curve(x)) > 1e-6
        np.testing.assert_array_equal((y == 1)[clear], ((x[:, 1] > curve(x)) ^ flipped)[clear])
        assert abs(flipped.mean() - 0.2) < 4 * np.sqrt(0.2 * 0.8 / n)
    x, y = arrays["grid_inputs"], arrays["grid_labels"]
    clear = abs(x[:, 1] - curve(x)) > 1e-6
    np.testing.assert_array_equal((y == 1)[clear], (x[:, 1] > curve(x))[clear])
    assert not rows(arrays, "train") & rows(arrays, "test") and not rows(arrays, "train") & rows(arrays, "fresh")


def test_the_grid_of_the_ball_covers_the_square_row_by_row_from_below():
    grid = made("ball", grid=5)["grid_inputs"]
    axis = [-1, -0.5, 0, 0.5, 1]
    np.testing.assert_array_equal(grid, [(x1, x2) for x2 in axis for x1 in axis])


def test_without_noise_the_ball_flips_nothing_and_without_amplitude_its_curve_is_a_line():
    arrays = made("ball", train=500, noise=0, amplitude=0)
    assert not arrays["train_flipped"].any()
    np.testing.assert_array_equal(arrays["train_labels"], arrays["train_inputs"][:, 1] > 0)


def test_another_seed_draws_another_ball_and_the_same_seed_the_same():
    first, again, other = (made("ball", seed=seed) for seed in (1, 1, 2))
    assert all(np.array_equal(first[name], again[name]) for name in first)
    assert not rows(first, "train") & rows(other, "train")
    assert not np.array_equal(first["train_flipped"], other["train_flipped"])
    np.testing.assert_array_equal(first["grid_inputs"], other["grid_inputs"])


@pytest.mark.parametrize("kind", ["ball", "sinusoid"])
@pytest.mark.parametrize("key", ["train", "test", "fresh", "dimension"])
@pytest.mark.parametrize("n", [10**11, 10**12, 10**30])
def test_more_than_memory_holds_is_refused_before_anything_is_drawn(kind, key, n, monkeypatch):
    monkeypatch.setattr(np.random, "default_rng", lambda seed: pytest.fail("something is drawn"))
    if (kind, key) != ("ball", "dimension"):
        with refusal(Unfit, "train + test + fresh", f"{key} GiB" if key == "dimension" else "GiB"):
            made(kind, **{key: n})


def test_what_fits_into_memory_is_drawn_and_what_does_not_is_not(monkeypatch):
    monkeypatch.setattr(os, "sysconf", {"SC_PAGE_SIZE": 12 * 10, "SC_PHYS_PAGES": 64}.get)
    assert made("sinusoid", train=40, test=20, dimension=10)
    with pytest.raises(Unfit):
        made("sinusoid", train=41, test=20, dimension=10)
    assert made("ball", train=100, test=20)
    with pytest.raises(Unfit):
        made("ball", train=101, test=20)


def test_a_label_map_groups_classes_and_drops_those_left_out(tmp_path):
    arrays = made("digits", test=360)
    path = tmp_path / "digits.npz"
    npz.save(path, **arrays)
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
    for part in PARTS:
        np.testing.assert_array_equal(labels[part], data.labels[part])
    everything = tasks.load(path, Task(dataset="digits"))
    assert everything.n_classes == 10
    np.testing.assert_array_equal(everything.labels["train"], arrays["train_labels"])


def test_the_same_arrays_give_the_same_file(tmp_path):
    for name in ("a.npz", "b.npz"):
        npz.save(tmp_path / name, **made("digits"))
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_real_mnist_is_read_whole_and_split(shared_data):
    arrays = made("mnist", shared_data, fresh=5000)
    assert arrays["train_inputs"].shape == (55_000, 1, 28, 28) and arrays["train_inputs"].dtype == np.uint8
    assert arrays["test_inputs"].shape == (10_000, 1, 28, 28)
    assert arrays["test_labels"][:5].tolist() == [7, 2, 1, 0, 4]
    assert np.bincount(np.concatenate([arrays["train_labels"], arrays["fresh_labels"]]))[:2].tolist() == [5923, 6742]
    small = made("mnist", shared_data, train=100, test=50)
    assert [len(small[f"{part}_labels"]) for part in PARTS] == [100, 50, 0, 0]
