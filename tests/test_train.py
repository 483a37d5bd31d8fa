import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from tests.refusals import refusal
from workflow_scripts import distill, extract_final, train
from workflow_scripts.config.errors import Unfit
from workflow_scripts.config.tasks import Task
from workflow_scripts.data.datasets.digits import Digits, make
from workflow_scripts.files import npz
from workflow_scripts.training import batches, checkpoints, initialisation, randomness, sgd, weights

NETWORK = {"kind": "cnn", "channels": [8], "pool_after": [1], "dense": [32]}
RESNET = {"kind": "preact_resnet", "width": 4, "blocks": [1, 1]}
GROUPS = {"0-4": [0, 1, 2, 3, 4], "5-9": [5, 6, 7, 8, 9]}
TASK = Task(dataset="digits", groups=GROUPS).model_dump()
SGD = {"lr": 0.1, "batch_size": 16, "epochs": 2}


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    path = tmp_path_factory.mktemp("digits") / "digits.npz"
    npz.save(path, **make(Digits(kind="digits", train=200, test=300, fresh=100), None))
    return path


def trained(folder, digits, **settings):
    config = {"wildcards": {}, "seed": 0, "task": TASK, "network": NETWORK, "init": "xavier_uniform", "device": "cpu"}
    config |= {"sgd": SGD, "checkpoints": {"early": 2}} | settings
    outputs = SimpleNamespace(
        trajectory=folder / "trajectory.npz", weights=folder / "network.safetensors", state=folder / "resume"
    )
    train.run(train.Config.model_validate(config), SimpleNamespace(data=digits), outputs)
    shutil.rmtree(outputs.state)
    return dict(np.load(outputs.trajectory))


def test_pretraining_fits_random_labels_and_training_starts_from_there(tmp_path, digits, caplog):
    caplog.set_level("INFO")
    pretraining = {"lr": 0.2, "batch_size": 16, "steps": 1500}
    found = trained(tmp_path, digits, pretraining=pretraining)
    plain = trained(tmp_path, digits)
    assert found["pretraining_accuracy"] == 1 and np.isnan(plain["pretraining_accuracy"])
    assert "pretraining fitted 200 of 200 random labels; test accuracy 0." in caplog.text
    np.testing.assert_array_equal(found["steps"], plain["steps"])
    random = randomness.pretraining_generator(0)
    labels = torch.randint(2, (200,), generator=random).numpy()
    np.testing.assert_array_equal(found["train_predictions"][0], labels)
    assert abs((found["test_predictions"][0] == plain["test_predictions"][-1]).mean() - 0.5) < 0.15


def test_pretraining_leaves_the_initial_weights_and_the_order_of_training_alone(tmp_path, digits, monkeypatch):
    orders, starts = [], []
    split = torch.Tensor.split
    original = sgd.train

    def spy(network, data, settings, *rest, **options):
        starts.append(next(network.parameters()).detach().clone())
        return original(network, data, settings, *rest, **options)

    monkeypatch.setattr(torch.Tensor, "split", lambda self, size: (orders.append(self.tolist()), split(self, size))[1])
    monkeypatch.setattr(sgd, "train", spy)
    trained(tmp_path, digits, pretraining=SGD)
    trained(tmp_path, digits)
    assert len(orders) == 6 and orders[2:4] == orders[4:] and orders[:2] != orders[4:]
    assert torch.equal(starts[0], starts[2]) and not torch.equal(starts[1], starts[2])


def test_an_error_of_pretraining_names_it(tmp_path, digits):
    with refusal(Unfit, "pretraining.lr", "loss lr 1e+20"):
        trained(tmp_path, digits, pretraining={**SGD, "lr": 1e20})
    assert not list(tmp_path.iterdir())


def test_weights_and_statistics_of_a_resnet_come_back_as_they_were(tmp_path, digits):
    trajectory = trained(tmp_path, digits, network=RESNET, sgd={**SGD, "augmentation": "crop_flip"})
    inputs = SimpleNamespace(
        data=digits, trajectory=tmp_path / "trajectory.npz", weights=tmp_path / "network.safetensors"
    )
    outputs = SimpleNamespace(final_weights=tmp_path / "final.safetensors", final_labels=tmp_path / "final.npz")
    config = {"wildcards": {"seed": "0"}, "task": TASK, "network": RESNET}
    extract_final.run(extract_final.Config.model_validate(config), inputs, outputs)
    labels = np.load(outputs.final_labels)
    for part in ("train", "test", "fresh"):
        np.testing.assert_array_equal(labels[f"{part}_labels"], trajectory[f"{part}_predictions"][-1])
    tensors, _ = weights.load(outputs.final_weights)
    assert tensors["blocks.1.norm2.num_batches_tracked"] == 26
    assert not torch.equal(tensors["norm.running_var"], torch.ones(8))


def test_an_explainer_keeps_the_weights_and_statistics_that_make_its_predictions(tmp_path, digits):
    network = {**RESNET, "convolutions": 2}
    settings = {
        "labels": "true",
        "network": network,
        "fit": {"solver": "sgd", "lr": 0.1, "batch_size": 32, "steps": 40},
    }
    config = distill.Config.model_validate(
        {"wildcards": {"explainer": "cnn2"}, "settings": settings, "task": TASK, "device": "cpu"}
    )
    inputs = SimpleNamespace(data=digits, final_labels=None, trajectory=None, reference=None)
    distill.run(config, inputs, SimpleNamespace(explainer=tmp_path / "x.npz", state=tmp_path / "resume"))
    arrays = np.load(tmp_path / "x.npz")
    assert arrays["iterations"] == 40 and arrays["weights.norm.num_batches_tracked"] == 40
    module = initialisation.build(config.settings.network, (1, 8, 8), 2)
    stored = {name.removeprefix("weights."): arrays[name] for name in arrays.files if name.startswith("weights.")}
    module.load_state_dict({name: torch.from_numpy(np.asarray(value)) for name, value in stored.items()})
    resident = batches.Resident(np.load(digits)["test_inputs"], np.load(digits)["test_labels"] * 0, torch.device("cpu"))
    np.testing.assert_array_equal(checkpoints.evaluate(module, resident)[0], arrays["test_predictions"])


def test_trajectories_tell_their_test_set_and_label_map(tmp_path, digits):
    low, high = TASK["groups"].values()
    swapped = {**TASK, "groups": {"high": high, "low": low}}
    own, other_network, other_labels = (
        str(trained(tmp_path, digits, **settings)["test_sha256"])
        for settings in ({}, {"network": {"kind": "linear"}, "seed": 4}, {"task": swapped})
    )
    assert own == other_network != other_labels and len(own) == 64
