import numpy as np
import pytest
import torch

from tests.refusals import refusal
from workflow_scripts.config.errors import Unfit
from workflow_scripts.config.training import SGD, Checkpoints
from workflow_scripts.data.datasets import digits
from workflow_scripts.data.tasks import PARTS, TaskData
from workflow_scripts.training import batches, checkpoints, devices, randomness, sgd
from workflow_scripts.training.initialisation import build
from workflow_scripts.training.networks.cnn import CNN
from workflow_scripts.training.networks.linear import Linear
from workflow_scripts.training.networks.mlp import MLP
from workflow_scripts.training.networks.preact_resnet import PreactResNet
from workflow_scripts.training.networks.vit import ViT

CPU = torch.device("cpu")
RESNET = PreactResNet(kind="preact_resnet", width=4, blocks=[1, 1])


def data(n=100, n_test=30, dimension=5, n_classes=2, images=False):
    rng = np.random.default_rng(0)
    sizes = {"train": n, "test": n_test, "fresh": 7, "grid": 4}
    if images:
        inputs = {part: rng.integers(256, size=(k, 1, 8, 8)).astype(np.uint8) for part, k in sizes.items()}
    else:
        inputs = {part: rng.standard_normal((k, dimension)).astype(np.float32) for part, k in sizes.items()}
    labels = {part: rng.integers(n_classes, size=k) for part, k in sizes.items()}
    return TaskData(inputs, labels, n_classes)


def run(task, network, settings, seed=0, device="cpu"):
    device = devices.prepare(device)
    order = randomness.generators(seed)
    module = build(network, task.inputs["train"].shape[1:], task.n_classes, "xavier_uniform")
    return module, sgd.train(module, task, settings, Checkpoints(early=3), order, device)


@pytest.mark.parametrize(
    ("n", "settings", "when", "expected"),
    [
        (100, SGD(lr=1, batch_size=10, epochs=3), Checkpoints(early=0), [0, 10, 20, 30]),
        (95, SGD(lr=1, batch_size=10, epochs=4), Checkpoints(early=0, every=3), [0, 10, 40]),
        (100, SGD(lr=1, batch_size=10, epochs=6), Checkpoints(early=0, every=2), [0, 10, 30, 50, 60]),
        (160, SGD(lr=1, batch_size=10, epochs=2), Checkpoints(early=5), [0, 1, 2, 4, 8, 16, 32]),
        (40, SGD(lr=1, batch_size=10, epochs=4), Checkpoints(early=5, early_epochs=4), [0, 1, 2, 4, 8, 16]),
        (40, SGD(lr=1, batch_size=10, epochs=1), Checkpoints(early=3, early_epochs=9), [0, 1, 2, 4]),
        (100, SGD(lr=1, batch_size=10, steps=30), Checkpoints(early=0), [0, 10, 20, 30]),
        (95, SGD(lr=1, batch_size=10, steps=33), Checkpoints(early=0, every=2), [0, 10, 30, 33]),
        (100, SGD(lr=1, batch_size=10, steps=4), Checkpoints(early=3), [0, 1, 2, 4]),
    ],
)
def test_checkpoints_lie_at_the_start_log_spaced_then_every_k_epochs_and_at_the_end(n, settings, when, expected):
    assert checkpoints.checkpoint_steps(n, settings, when).tolist() == expected


@pytest.mark.parametrize(("momentum", "weight_decay"), [(0.0, 0.0), (0.9, 0.0), (0.5, 0.01)])
def test_training_is_sgd_as_its_definition_says(momentum, weight_decay):
    task = data()
    settings = SGD(lr=0.1, batch_size=32, epochs=3, momentum=momentum, weight_decay=weight_decay)
    module, trajectory = run(task, Linear(kind="linear"), settings)
    order = randomness.generators(0)
    twin = build(Linear(kind="linear"), (5,), 2, "xavier_uniform")
    weight, bias = twin[1].weight.detach().double()[0], twin[1].bias.detach().double()
    x, y = torch.from_numpy(task.inputs["train"]).double(), torch.from_numpy(task.labels["train"]).double()
    velocity = [torch.zeros_like(weight), torch.zeros_like(bias)]
    for _ in range(3):
        permutation = torch.randperm(100, generator=order)
        for start in range(0, 100, 32):
            chosen = permutation[start : start + 32]
            error = torch.sigmoid(x[chosen] @ weight + bias) - y[chosen]
            gradients = [error @ x[chosen] / len(chosen), error.mean(0, keepdim=True)]
            for i, parameter in enumerate((weight, bias)):
                velocity[i] = momentum * velocity[i] + gradients[i] + weight_decay * parameter
                parameter -= 0.1 * velocity[i]
    torch.testing.assert_close(module[1].weight.detach().double()[0], weight, rtol=1e-4, atol=1e-5)
    assert trajectory.steps.tolist() == [0, 1, 2, 4, 8, 12]
    np.testing.assert_allclose(trajectory.epochs, trajectory.steps / 4)


def test_every_epoch_visits_every_example_once_in_a_new_order(monkeypatch):
    task = data(n=50)
    seen = []
    batch = batches.Resident.batch
    monkeypatch.setattr(
        batches.Resident,
        "batch",
        lambda self, chosen: (torch.is_tensor(chosen) and seen.append(chosen), batch(self, chosen))[1],
    )
    run(task, Linear(kind="linear"), SGD(lr=0.1, batch_size=16, epochs=2))
    assert [len(chosen) for chosen in seen] == [16, 16, 16, 2] * 2
    first, second = torch.cat(seen[:4]), torch.cat(seen[4:])
    assert sorted(first.tolist()) == sorted(second.tolist()) == list(range(50))
    assert first.tolist() != second.tolist()


def test_training_by_steps_cuts_the_last_epoch_short():
    task = data()
    whole, by_epochs = run(task, Linear(kind="linear"), SGD(lr=0.1, batch_size=40, epochs=2))
    same, by_steps = run(task, Linear(kind="linear"), SGD(lr=0.1, batch_size=40, steps=6))
    assert torch.equal(whole[1].weight, same[1].weight)
    assert by_steps.steps.tolist() == by_epochs.steps.tolist()
    _, short = run(task, Linear(kind="linear"), SGD(lr=0.1, batch_size=40, steps=5))
    assert short.steps[-1] == 5 and short.epochs[-1] == pytest.approx(5 / 3)
    np.testing.assert_array_equal(short.losses["test"][:-1], by_epochs.losses["test"][: len(short.steps) - 1])


def test_progress_tells_epochs_and_parts_of_them(caplog):
    caplog.set_level("INFO")
    run(data(), Linear(kind="linear"), SGD(lr=0.1, batch_size=40, epochs=2))
    run(data(), Linear(kind="linear"), SGD(lr=0.1, batch_size=50, steps=5))
    assert "6 steps in 2 epochs on cpu" in caplog.text and "(epoch 2.00 of 2)" in caplog.text
    assert "5 steps in 2.5 epochs on cpu" in caplog.text and "(epoch 2.50 of 2.5)" in caplog.text


@pytest.mark.parametrize("shape", [(3, 8, 8), (1, 5, 7)])
def test_an_augmented_image_is_a_window_of_the_padded_one_mirrored_or_not(shape):
    rng = np.random.default_rng(0)
    images = rng.random((40, *shape), np.float32)
    shifts, flips = rng.integers(-4, 5, size=(40, 2)), rng.integers(2, size=40) == 1
    found = batches.crop_flip(*map(torch.from_numpy, (images, shifts, flips))).numpy()
    for image, (down, right), flip, seen in zip(images, shifts, flips, found, strict=True):
        padded = np.pad(image, ((0, 0), (4, 4), (4, 4)))
        window = padded[:, 4 + down : 4 + down + shape[1], 4 + right : 4 + right + shape[2]]
        np.testing.assert_array_equal(seen, window[:, :, ::-1] if flip else window)


def test_each_epoch_augments_every_example_anew_with_every_shift_and_flip(monkeypatch):
    drawn = []
    crop_flip = batches.crop_flip
    monkeypatch.setattr(batches, "crop_flip", lambda *given: (drawn.append(given[1:]), crop_flip(*given))[1])
    settings = SGD(lr=0.1, batch_size=100, epochs=2, augmentation="crop_flip")
    run(data(n=1000, images=True), Linear(kind="linear"), settings)
    shifts, flips = (torch.cat(each).numpy() for each in zip(*drawn, strict=True))
    assert len(shifts) == len(flips) == 2000
    assert not np.array_equal(shifts[:1000], shifts[1000:])
    times = np.bincount(9 * (shifts[:, 0] + 4) + shifts[:, 1] + 4, minlength=81)
    assert len(times) == 81 and times.min() > 5 and times.max() < 60  # 25 each are expected
    assert 0.45 < flips.mean() < 0.55


def test_augmentation_repeats_itself_and_leaves_evaluation_alone():
    task = data(images=True)
    settings = SGD(lr=0.1, batch_size=16, epochs=2, augmentation="crop_flip")
    module, first = run(task, Linear(kind="linear"), settings)
    _, again = run(task, Linear(kind="linear"), settings)
    _, plain = run(task, Linear(kind="linear"), SGD(lr=0.1, batch_size=16, epochs=2))
    np.testing.assert_array_equal(first.losses["train"], again.losses["train"])
    assert (
        first.losses["train"][0] == plain.losses["train"][0] and first.losses["train"][-1] != plain.losses["train"][-1]
    )
    logits = module(torch.from_numpy(task.inputs["train"] / np.float32(255)))
    np.testing.assert_array_equal(first.predictions["train"][-1], (logits[:, 0] > 0).numpy())


def test_augmentation_is_for_images():
    settings = SGD(lr=0.1, batch_size=16, epochs=2, augmentation="crop_flip")
    with refusal(Unfit, "augmentation", "crop_flip images [5]"):
        run(data(), Linear(kind="linear"), settings)


def test_random_labels_are_uniform_and_leave_what_the_seed_gave_before_as_it_was():
    task = data(n=3000, n_classes=3)
    drawn = randomness.random_labels(task, randomness.pretraining_generator(1))
    again, other = (randomness.random_labels(task, randomness.pretraining_generator(seed)) for seed in (1, 2))
    labels = drawn.labels["train"]
    assert labels.dtype == np.int64 and np.bincount(labels).min() > 900
    assert (labels == again.labels["train"]).all() and (labels != other.labels["train"]).any()
    assert 0.28 < (labels == task.labels["train"]).mean() < 0.39
    np.testing.assert_array_equal(drawn.labels["test"], task.labels["test"])
    init, order = np.random.SeedSequence(1).generate_state(2, np.uint64)
    generator = randomness.generators(1)
    assert (torch.initial_seed(), generator.initial_seed()) == (int(init), int(order))
    assert randomness.pretraining_generator(1).initial_seed() not in (int(init), int(order))


def test_a_resnet_learns_digits_and_repeats_itself():
    arrays = digits.make(digits.Digits(kind="digits", train=800, test=300), None)
    inputs = {part: arrays[f"{part}_inputs"] for part in PARTS}
    labels = {part: (arrays[f"{part}_labels"] > 4).astype(int) for part in inputs}
    task = TaskData(inputs, labels, 2)
    network = PreactResNet(kind="preact_resnet", width=8)
    settings = SGD(lr=0.05, batch_size=32, epochs=4)
    (module, first), (twin, again) = (run(task, network, settings) for _ in range(2))
    accuracy = (first.predictions["test"] == labels["test"]).mean(1)
    assert accuracy[-1] > 0.9 and accuracy[-1] > accuracy[0] + 0.2
    np.testing.assert_array_equal(first.losses["train"], again.losses["train"])
    assert all(torch.equal(value, twin.state_dict()[name]) for name, value in module.state_dict().items())
    assert module.norm.num_batches_tracked == 100  # the steps alone: evaluation adds nothing


@pytest.mark.parametrize(("n", "batch_size"), [(65, 32), (64, 1)])
def test_a_batch_of_one_is_refused_where_it_would_be_normalised(n, batch_size):
    task, settings = data(n=n, images=True), SGD(lr=0.1, batch_size=batch_size, epochs=1)
    run(task, Linear(kind="linear"), settings)
    with refusal(Unfit, "batch_size", f"{batch_size} {n}"):
        run(task, RESNET, settings)


def test_recorded_predictions_and_losses_are_the_networks_own():
    task = data(n_classes=4)
    module, trajectory = run(task, MLP(kind="mlp", widths=[9]), SGD(lr=0.1, batch_size=16, epochs=2))
    for part in PARTS:
        logits = module(torch.from_numpy(task.inputs[part]))
        np.testing.assert_array_equal(trajectory.predictions[part][-1], logits.argmax(1).numpy())
        loss = torch.nn.functional.cross_entropy(logits, torch.from_numpy(task.labels[part]))
        assert trajectory.losses[part][-1] == pytest.approx(loss.item(), rel=1e-5)
        assert trajectory.predictions[part].dtype == np.uint8


def test_images_are_scaled_to_one_and_evaluated_in_batches(monkeypatch):
    task = data(images=True)
    resident = batches.Resident(task.inputs["train"], task.labels["train"], CPU)
    inputs, labels = resident.batch(torch.tensor([3, 1]))
    np.testing.assert_allclose(inputs.numpy(), task.inputs["train"][[3, 1]] / 255, rtol=1e-6)
    assert labels.tolist() == task.labels["train"][[3, 1]].tolist()
    module = build(CNN(kind="cnn", channels=[4], pool_after=[1], dense=[]), (1, 8, 8), 2)
    whole = checkpoints.evaluate(module, resident)
    monkeypatch.setitem(checkpoints.EVALUATION_BATCH, "cpu", 33)
    parts = checkpoints.evaluate(module, resident)
    np.testing.assert_array_equal(whole[0], parts[0])
    assert whole[1] == pytest.approx(parts[1], rel=1e-5)


def test_the_same_seed_gives_the_same_bits_and_another_seed_others():
    task = data()
    settings = SGD(lr=0.1, batch_size=16, epochs=2)
    (first, a), (again, b), (other, _) = (run(task, MLP(kind="mlp", widths=[9]), settings, seed=s) for s in (1, 1, 2))
    assert torch.equal(first[1].weight, again[1].weight) and not torch.equal(first[1].weight, other[1].weight)
    np.testing.assert_array_equal(a.losses["train"], b.losses["train"])


def test_a_loss_that_is_not_finite_stops_training():
    with refusal(Unfit, "lr", "lr 1e+20"):
        run(data(), MLP(kind="mlp", widths=[9]), SGD(lr=1e20, batch_size=16, epochs=3))


def test_a_batch_larger_than_the_training_set_is_refused():
    with refusal(Unfit, "batch_size", "101 100"):
        run(data(), Linear(kind="linear"), SGD(lr=0.1, batch_size=101, epochs=1))


@pytest.mark.parametrize("init", ["pytorch", "xavier_uniform"])
def test_training_changes_every_weight_of_the_transformer(init):
    """The replication of S23 stepped another network's optimiser."""
    task = data(images=True, n_classes=3)
    order = randomness.generators(0)
    vit = ViT(kind="vit", layers=2, hidden=16, mlp=32)
    module = build(vit, (1, 8, 8), 3, init)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    trajectory = sgd.train(module, task, SGD(lr=0.1, batch_size=20, epochs=4), Checkpoints(), order, CPU)
    unchanged = [name for name, value in module.state_dict().items() if torch.equal(value, before[name])]
    assert not unchanged
    assert trajectory.losses["train"][-1] < trajectory.losses["train"][0]
    _, of_cnn = run(task, CNN(kind="cnn", channels=[4], pool_after=[1], dense=[]), SGD(lr=0.1, batch_size=20, epochs=4))
    assert (trajectory.predictions["test"][-1] != of_cnn.predictions["test"][-1]).any()


def test_weights_are_kept_at_every_checkpoint_if_asked_for():
    task = data(n_classes=3)
    order = randomness.generators(0)
    module = build(Linear(kind="linear"), (5,), 3)
    first = module[1].weight.detach().clone()
    settings = SGD(lr=0.1, batch_size=20, epochs=3)
    trajectory = sgd.train(module, task, settings, Checkpoints(early=2), order, CPU, keep_weights=True)
    kept = trajectory.weights["1.weight"]
    assert kept.shape == (len(trajectory.steps), 3, 5) and trajectory.weights["1.bias"].shape == (len(kept), 3)
    np.testing.assert_array_equal(kept[0], first.numpy())
    np.testing.assert_array_equal(kept[-1], module[1].weight.detach().numpy())
    logits = task.inputs["test"] @ kept[1].T + trajectory.weights["1.bias"][1]
    np.testing.assert_array_equal(logits.argmax(1), trajectory.predictions["test"][1])
    assert run(task, Linear(kind="linear"), settings)[1].weights == {}
