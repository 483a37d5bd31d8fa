import copy
import math
import subprocess
import sys

import pytest
import torch
from torch import nn
from torchvision.models import VisionTransformer

from tests.refusals import refusal
from tests.workflow import ROOT
from workflow_scripts.config.errors import Unfit
from workflow_scripts.training import losses
from workflow_scripts.training.initialisation import build
from workflow_scripts.training.networks.cnn import CNN
from workflow_scripts.training.networks.linear import Linear
from workflow_scripts.training.networks.mlp import MLP
from workflow_scripts.training.networks.preact_resnet import PreactResNet
from workflow_scripts.training.networks.vit import ViT

PAPER = CNN(kind="cnn")
RESNET = PreactResNet(kind="preact_resnet")
VIT = ViT(kind="vit")


def prefix(k, width=4):
    return PreactResNet(kind="preact_resnet", width=width, convolutions=k)


def plain_cnn(channels, pool_after, dense, input_shape, outputs):
    """The paper's network as a textbook writes it: convolution, ReLU, pooling."""
    layers, filters = [], input_shape[0]
    for index, width in enumerate(channels, start=1):
        layers += [nn.Conv2d(filters, width, 3), nn.ReLU()]
        layers += [nn.MaxPool2d(2)] if index in pool_after else []
        filters = width
    layers += [nn.Flatten()]
    for width in dense:
        layers += [nn.LazyLinear(width), nn.ReLU()]
    network = nn.Sequential(*layers, nn.LazyLinear(outputs)).double()
    network(torch.zeros(1, *input_shape, dtype=torch.double))
    return network


@pytest.mark.parametrize(
    ("network", "input_shape"),
    [
        (PAPER, (1, 28, 28)),
        (CNN(kind="cnn", dense=[50, 40]), (3, 32, 32)),
        (CNN(kind="cnn", channels=[8, 8], pool_after=[2], dense=[16]), (1, 8, 8)),
        (CNN(kind="cnn", channels=[4, 4, 4], pool_after=[1, 2], dense=[]), (2, 27, 30)),
    ],
)
@pytest.mark.parametrize(("dtype", "accuracy"), [(torch.double, 1e-10), (torch.float32, 1e-4)])
def test_the_cnn_is_the_textbook_network_in_outputs_and_gradients(network, input_shape, dtype, accuracy):
    torch.manual_seed(0)
    ours = build(network, input_shape, 3).to(dtype)
    plain = plain_cnn(network.channels, network.pool_after, network.dense, input_shape, 3)
    for parameter, value in zip(plain.parameters(), ours.parameters(), strict=True):
        parameter.data.copy_(value)
    x, y = torch.randn(16, *input_shape, dtype=dtype), torch.arange(16) % 3
    losses.cross_entropy(ours(x), y).backward()
    losses.cross_entropy(plain(x.double()), y).backward()
    torch.testing.assert_close(ours(x).double(), plain(x.double()), rtol=accuracy, atol=accuracy)
    for parameter, value in zip(plain.parameters(), ours.parameters(), strict=True):
        error = (value.grad.double() - parameter.grad).norm() / parameter.grad.norm()
        assert error < accuracy


def test_the_papers_network_on_mnist_has_as_many_parameters_as_its_description():
    convolutions = (9 * 1 + 1) * 32 + 3 * (9 * 32 + 1) * 32
    dense = (32 + 1) * 2000 + (2000 + 1) * 1
    count = sum(parameter.numel() for parameter in build(PAPER, (1, 28, 28), 2).parameters())
    assert count == convolutions + dense


@pytest.mark.parametrize(
    "network",
    [Linear(kind="linear"), MLP(kind="mlp", widths=[7, 5]), PAPER, VIT, *map(prefix, (1, 2, 4, 6, 7, None))],
    ids=lambda n: f"{n.kind}-{getattr(n, 'convolutions', '')}",
)
@pytest.mark.parametrize(("n_classes", "outputs"), [(2, 1), (3, 3), (10, 10)])
def test_every_parameter_receives_a_gradient(network, n_classes, outputs):
    torch.manual_seed(0)
    module = build(network, (1, 28, 28), n_classes, "xavier_uniform")
    logits = module(torch.randn(20, 1, 28, 28))
    assert logits.shape == (20, outputs)
    losses.cross_entropy(logits, torch.arange(20) % n_classes).backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in module.parameters())


def test_xavier_uniform_is_glorots_and_pytorch_is_left_alone():
    torch.manual_seed(0)
    xavier = build(MLP(kind="mlp", widths=[300]), (200,), 2, "xavier_uniform")
    bound = math.sqrt(6 / (200 + 300))
    weight = xavier[1].weight.detach()
    assert weight.abs().max() <= bound and weight.abs().max() > 0.99 * bound
    assert weight.std() == pytest.approx(bound / math.sqrt(3), rel=0.02)
    assert xavier[1].bias.abs().sum() == 0
    torch.manual_seed(0)
    default = build(MLP(kind="mlp", widths=[300]), (200,), 2, "pytorch")
    assert default[1].weight.abs().max() <= 1 / math.sqrt(200)
    assert default[1].bias.abs().sum() > 0


@pytest.mark.parametrize("network", [Linear(kind="linear"), CNN(kind="cnn", dense=[50]), VIT], ids=lambda n: n.kind)
def test_he_uniform_is_hes_for_every_dense_convolutional_and_attention_layer(network):
    torch.manual_seed(0)
    module = build(network, (1, 28, 28), 10, "he_uniform")
    seen = set()
    for layer in module.modules():
        if isinstance(layer, nn.MultiheadAttention):
            weight, bias = layer.in_proj_weight, layer.in_proj_bias
        elif isinstance(layer, nn.Linear | nn.Conv2d):
            weight, bias = layer.weight, layer.bias
        else:
            continue
        seen.add(type(layer).__name__)
        bound = math.sqrt(6 / weight[0].numel())
        assert 0.95 * bound < weight.abs().max() <= bound
        assert weight.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.2)
        assert bias.abs().sum() == 0
    further = {"linear": set(), "cnn": {"Conv2d"}, "vit": {"Conv2d", "MultiheadAttention"}}
    assert seen >= {"Linear", *further[network.kind]}


@pytest.mark.parametrize("network", [Linear(kind="linear"), PAPER, VIT], ids=lambda n: n.kind)
@pytest.mark.parametrize(("init", "scale"), [("pytorch", 0.1), ("pytorch", 10.0), ("he_uniform", 3.0)])
def test_init_scale_multiplies_weights_and_biases_and_nothing_else(network, init, scale):
    def built(scale):
        torch.manual_seed(0)
        return build(network, (1, 28, 28), 10, init, scale)

    plain, scaled = built(1.0), dict(built(scale).named_parameters())
    layers = nn.Linear | nn.Conv2d | nn.MultiheadAttention
    names = [name for name, module in plain.named_modules() if isinstance(module, layers)]
    assert network.kind != "vit" or any(name.endswith("self_attention") for name in names)
    changed = set()
    for name, value in plain.named_parameters():
        of_layer = name.rpartition(".")[0] in names
        assert torch.equal(scaled[name], value * scale if of_layer else value), name
        changed |= {name} if of_layer and value.any() else set()
    assert any("in_proj_weight" in name for name in changed) == (network.kind == "vit")
    assert any(name.endswith("bias") for name in changed) == (init == "pytorch")


def test_the_vit_has_as_many_parameters_as_its_description():
    attention, dense = 4 * 64 * 64 + 4 * 64, 64 * 128 + 128 + 128 * 64 + 64
    tokens = (4 * 4 + 1) * 64 + 64 + (7 * 7 + 1) * 64
    expected = tokens + 4 * (attention + dense + 4 * 64) + 2 * 64 + (64 + 1) * 10
    module = build(VIT, (1, 28, 28), 10)
    assert module.conv_proj.in_channels == 1
    assert sum(parameter.numel() for parameter in module.parameters()) == expected == 139_018


@pytest.mark.parametrize(("input_shape", "n_classes", "outputs"), [((3, 32, 32), 10, 10), ((1, 28, 28), 2, 1)])
def test_the_vit_is_torchvisions(input_shape, n_classes, outputs):
    torch.manual_seed(0)
    module = build(VIT, input_shape, n_classes, "xavier_uniform").eval()
    plain = VisionTransformer(
        image_size=input_shape[1],
        patch_size=4,
        num_layers=4,
        num_heads=4,
        hidden_dim=64,
        mlp_dim=128,
        num_classes=outputs,
    ).eval()
    if input_shape[0] == 1:
        plain.conv_proj = nn.Conv2d(1, 64, 4, 4)
    plain.load_state_dict(module.state_dict())
    images = torch.randn(5, *input_shape)
    with torch.no_grad():
        assert torch.equal(module(images), plain(images))
        assert module(images).shape == (5, outputs) and module(images).std() > 0


def test_what_the_vit_says_does_not_depend_on_the_batch():
    torch.manual_seed(0)
    module = build(VIT, (1, 28, 28), 10, "xavier_uniform").eval()
    images = torch.randn(10, 1, 28, 28)
    with torch.no_grad():
        together, alone = module(images), torch.cat([module(part) for part in images.split([1, 2, 7])])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("input_shape", "holds"),
    [((1, 28, 32), "patch 4 28x32"), ((1, 30, 30), "patch 4 30x30"), ((100,), "images [100]")],
    ids=["not square", "no multiple", "vectors"],
)
def test_a_vit_refuses_inputs_that_do_not_fit(input_shape, holds):
    with refusal(Unfit, "network vit", holds):
        build(VIT, input_shape, 10)


def test_two_groups_use_binary_cross_entropy_and_more_use_cross_entropy():
    logit, labels = torch.tensor([[0.3], [-1.2]]), torch.tensor([1, 1])
    expected = -(math.log(1 / (1 + math.exp(-0.3))) + math.log(1 / (1 + math.exp(1.2)))) / 2
    assert losses.cross_entropy(logit, labels).item() == pytest.approx(expected, rel=1e-6)
    logits = torch.tensor([[1.0, 2.0, 0.5]])
    expected = math.log(math.exp(1) + math.exp(2) + math.exp(0.5)) - 2
    assert losses.cross_entropy(logits, torch.tensor([1])).item() == pytest.approx(expected, rel=1e-6)


def test_predictions_are_the_sign_of_one_logit_or_the_largest_of_many():
    assert losses.predictions(torch.tensor([[0.1], [-0.1], [0.0]])).tolist() == [1, 0, 0]
    found = losses.predictions(torch.tensor([[0.1, 3.0, 0.2], [5.0, 3.0, 0.2]]))
    assert found.tolist() == [1, 0] and found.dtype == torch.uint8


@pytest.mark.parametrize(("input_shape", "holds"), [((100,), "images [100]"), ((1, 6, 6), "6x6 convolution")])
def test_a_cnn_refuses_inputs_that_do_not_fit(input_shape, holds):
    with refusal(Unfit, "network cnn", holds):
        build(PAPER, input_shape, 2)


def test_the_resnet_has_as_many_parameters_as_the_one_for_cifar_and_its_last_normalisation():
    def block(inputs, outputs):
        shortcut = inputs * outputs if inputs != outputs else 0
        return 2 * inputs + 9 * inputs * outputs + 2 * outputs + 9 * outputs * outputs + shortcut

    widths = [(64, 64), (64, 64), (64, 128), (128, 128), (128, 256), (256, 256), (256, 512), (512, 512)]
    expected = 9 * 3 * 64 + sum(block(*width) for width in widths) + 2 * 512 + (512 + 1) * 10
    count = sum(parameter.numel() for parameter in build(RESNET, (3, 32, 32), 10).parameters())
    assert count == expected == 11_171_146 + 2 * 512  # PreActResNet18 of the common PyTorch implementation lacks that


def textbook_resnet(weights, x):
    """Stages of two blocks with two convolutions each, on images of 8x8 pixels, as He et al. 2016 write them."""

    def activated(name, x):
        scale, shift = weights[f"{name}.weight"], weights[f"{name}.bias"]
        mean, variance = x.mean((0, 2, 3)), x.var((0, 2, 3), unbiased=False)
        x = (x - mean[:, None, None]) / (variance + 1e-5).sqrt()[:, None, None]
        return (x * scale[:, None, None] + shift[:, None, None]).clamp(min=0)

    def convolved(name, x, stride=1, padding=1):
        patches = nn.functional.unfold(x, 2 * padding + 1, padding=padding, stride=stride)
        y = weights[f"{name}.weight"].flatten(1) @ patches
        return y.unflatten(2, (x.shape[2] // stride, x.shape[3] // stride))

    x = convolved("stem", x)
    for index, stride in enumerate((1, 1, 2, 1)):
        name = f"blocks.{index}"
        a = activated(f"{name}.norm1", x)
        shortcut = convolved(f"{name}.shortcut", a, stride, 0) if stride == 2 else x
        x = shortcut + convolved(f"{name}.conv2", activated(f"{name}.norm2", convolved(f"{name}.conv1", a, stride)))
    return activated("norm", x).mean((2, 3)) @ weights["readout.weight"].T + weights["readout.bias"]


def test_the_resnet_is_the_textbook_network_in_outputs_and_gradients():
    torch.manual_seed(0)
    module = build(PreactResNet(kind="preact_resnet", width=4, blocks=[2, 2]), (3, 8, 8), 3).double()
    for name, parameter in module.named_parameters():
        parameter.data += 0.3 * torch.randn_like(parameter) * ("norm" in name)
    weights = {name: value.detach().clone().requires_grad_() for name, value in module.named_parameters()}
    x, y = torch.randn(6, 3, 8, 8, dtype=torch.double), torch.arange(6) % 3
    losses.cross_entropy(module(x), y).backward()
    losses.cross_entropy(textbook_resnet(weights, x), y).backward()
    torch.testing.assert_close(module(x), textbook_resnet(weights, x))
    for name, parameter in module.named_parameters():
        torch.testing.assert_close(parameter.grad, weights[name].grad)


@pytest.mark.parametrize("input_shape", [(1, 8, 8), (1, 28, 28), (3, 32, 32)])
@pytest.mark.parametrize("k", [1, 2, 4, 6, 17, None])
def test_the_resnet_and_what_it_begins_with_take_images_of_any_size(input_shape, k):
    module = build(prefix(k), input_shape, 3).eval()
    assert module(torch.randn(2, *input_shape)).shape == (2, 3)
    convolutions = [name for name, _ in module.named_modules() if name.startswith("stem") or "conv" in name]
    assert len(convolutions) == (k or 17)


@pytest.mark.parametrize("k", range(1, 18))
def test_a_prefix_has_the_first_layers_of_the_whole(k):
    whole = {name: value.shape for name, value in build(prefix(None), (3, 8, 8), 2).state_dict().items()}
    first = {name: value.shape for name, value in build(prefix(k), (3, 8, 8), 2).state_dict().items()}
    layers = {name: shape for name, shape in first.items() if name.startswith(("stem", "blocks"))}
    assert layers == {name: whole[name] for name in layers}
    blocks = [name.split(".")[1] for name in layers if name.startswith("blocks")]
    assert sorted(set(blocks), key=int) == [str(index) for index in range(k // 2)]
    unfinished = {name.split(".")[2] for name in layers if k % 2 == 0 and name.startswith(f"blocks.{k // 2 - 1}.")}
    assert unfinished <= {"norm1", "conv1"}


def test_predictions_of_the_resnet_do_not_depend_on_the_batch_and_change_no_statistics():
    torch.manual_seed(0)
    module = build(prefix(None), (1, 8, 8), 2)
    x = torch.randn(10, 1, 8, 8)
    module(x)
    module.eval()
    before = copy.deepcopy(module.state_dict())
    together, alone = module(x), torch.cat([module(part) for part in x.split([1, 2, 7])])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    assert before["norm.num_batches_tracked"] == 1


def test_a_resnet_refuses_inputs_that_are_no_images():
    with refusal(Unfit, "network preact_resnet", "images [100]"):
        build(RESNET, (100,), 2)


def test_the_same_seed_gives_the_same_weights():
    def built(seed):
        torch.manual_seed(seed)
        return copy.deepcopy(build(PAPER, (1, 28, 28), 2, "xavier_uniform").state_dict())

    first, again, other = built(1), built(1), built(2)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["1.0.weight"], other["1.0.weight"])


def test_settings_of_every_kind_are_read_without_what_building_needs():
    said = (
        "import sys; from workflow_scripts.config import kinds, study; "
        "[kinds.of('training.networks', kind).Settings for kind in kinds.names('training.networks')]; "
        "print(*sorted({'torch', 'torchvision', 'sklearn', 'scipy', 'pandas', 'matplotlib'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", said], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_only_the_transformer_needs_torchvision():
    said = (
        "import sys; from workflow_scripts.config import kinds; from workflow_scripts.training import initialisation; "
        "more = {'mlp': {'widths': [3]}}; others = [k for k in kinds.names('training.networks') if k != 'vit']; "
        "read = {k: kinds.of('training.networks', k).Settings(kind=k, **more.get(k, {})) for k in others}; "
        "[initialisation.build(settings, (1, 28, 28), 2) for settings in read.values()]; "
        "print(len(read), 'torchvision' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", said], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split()[1] == "False" and int(done.stdout.split()[0]) >= 4
