"""The networks f and their initialisation. Two groups give one logit, C > 2 groups give C logits."""

from itertools import pairwise

import torch
from torch import Tensor, nn

from workflow_scripts.config.errors import StudyError
from workflow_scripts.config.training import CNN, Network, PreactResNet, ViT


def build(
    network: Network, input_shape: tuple[int, ...], n_classes: int, init: str = "pytorch", scale: float = 1.0
) -> nn.Module:
    """The module for inputs [batch, *input_shape], initialised from torch's global generator.

    init: `xavier_uniform` (weights of Glorot & Bengio 2010, zero biases), `he_uniform` (He et al. 2015, zero biases),
    or `pytorch` (its layers' default; torchvision's for the transformer). scale: factor of these weights and biases.
    Raises StudyError when a network for images gets other inputs, or images too small for it.
    """
    outputs = 1 if n_classes == 2 else n_classes
    if network.kind == "cnn":
        module = _cnn(network, input_shape, outputs)
    elif network.kind == "preact_resnet":
        module = PreactivationResNet(network, _channels(network, input_shape), outputs)
    elif network.kind == "vit":
        module = _vit(network, input_shape, outputs)
    else:
        widths = [] if network.kind == "linear" else network.widths
        module = nn.Sequential(nn.Flatten(), *_dense([_size(input_shape), *widths, outputs]))
    _initialise(module, init, scale)
    return module


def _initialise(module: nn.Module, init: str, scale: float) -> None:
    """Draw the weights of dense, convolutional and attention layers, and set their biases to 0; then scale both."""
    draw = {"xavier_uniform": nn.init.xavier_uniform_, "he_uniform": _he_uniform, "pytorch": None}[init]
    for layer in module.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d):
            weight, bias = layer.weight, layer.bias
        elif isinstance(layer, nn.MultiheadAttention):
            weight, bias = layer.in_proj_weight, layer.in_proj_bias
        else:
            continue
        if draw is not None:
            draw(weight)
            if bias is not None:
                nn.init.zeros_(bias)
        if scale != 1:
            with torch.no_grad():
                weight.mul_(scale)
                if bias is not None:
                    bias.mul_(scale)


def _he_uniform(weight: Tensor) -> None:
    nn.init.kaiming_uniform_(weight, nonlinearity="relu")


def predictions(logits: Tensor) -> Tensor:
    """Predicted group of each example, uint8[N], from logits [N, 1] or [N, C]."""
    labels = logits[:, 0] > 0 if logits.shape[1] == 1 else logits.argmax(1)
    return labels.to(torch.uint8)


def loss(logits: Tensor, labels: Tensor, reduction: str = "mean") -> Tensor:
    """Binary cross-entropy for one logit, cross-entropy for more, in nats; labels: int64[N]."""
    if logits.shape[1] == 1:
        return nn.functional.binary_cross_entropy_with_logits(
            logits[:, 0], labels.to(logits.dtype), reduction=reduction
        )
    return nn.functional.cross_entropy(logits, labels, reduction=reduction)


def _cnn(network: CNN, input_shape: tuple[int, ...], outputs: int) -> nn.Module:
    channels, size = _channels(network, input_shape), input_shape[1:]
    crop = Crop(*(_used(network, side) for side in size))
    layers: list[nn.Module] = []
    for index, filters in enumerate(network.channels, start=1):
        layers.append(nn.Conv2d(channels, filters, 3))
        size = [side - 2 for side in size]
        if index in network.pool_after:
            layers.append(nn.MaxPool2d(2))  # before ReLU: the same function for less work
            size = [side // 2 for side in size]
        layers.append(nn.ReLU())
        channels = filters
        if min(size) < 1:
            raise StudyError(
                f"network cnn: nothing is left of {input_shape[1]}x{input_shape[2]} images after convolution {index}: "
                "use fewer channels or less pool_after"
            )
    return nn.Sequential(
        crop, OneDNN(*layers), nn.Flatten(), *_dense([channels * _size(size), *network.dense, outputs])
    )


def _vit(network: ViT, input_shape: tuple[int, ...], outputs: int) -> nn.Module:
    """torchvision's, its first layer replaced where images don't have three channels (S23 appendix B)."""
    from torchvision.models import VisionTransformer  # here: importing it takes a second

    channels, (height, width) = _channels(network, input_shape), input_shape[1:]
    if height != width or height % network.patch:
        raise StudyError(
            f"network vit: expected square images whose side is a multiple of patch ({network.patch}), got "
            f"{height}x{width}: change patch"
        )
    module = VisionTransformer(
        image_size=height,
        patch_size=network.patch,
        num_layers=network.layers,
        num_heads=network.heads,
        hidden_dim=network.hidden,
        mlp_dim=network.mlp,
        num_classes=outputs,
    )
    if channels != 3:
        module.conv_proj = nn.Conv2d(channels, network.hidden, network.patch, network.patch)
    return module


class Crop(nn.Module):
    """The first rows and columns of images [batch, channels, height, width]."""

    def __init__(self, height: int, width: int):
        super().__init__()
        self.height, self.width = height, width

    def forward(self, images: Tensor) -> Tensor:
        """Images [batch, channels, self.height, self.width]."""
        return images[:, :, : self.height, : self.width]


class OneDNN(nn.Sequential):
    """Layers that a CPU runs in oneDNN's own memory layout: the same function, and pooling costs far less."""

    def forward(self, images: Tensor) -> Tensor:
        """What the layers make of the images."""
        if images.device.type != "cpu" or images.dtype != torch.float32 or not torch.backends.mkldnn.is_available():
            return super().forward(images)
        return super().forward(images.contiguous().to_mkldnn()).to_dense()


class HalfBlock(nn.Module):
    """The first convolution of a block: batch normalisation, ReLU, 3x3 convolution."""

    def __init__(self, inputs: int, outputs: int, stride: int):
        super().__init__()
        self.norm1 = nn.BatchNorm2d(inputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)

    def forward(self, images: Tensor) -> Tensor:
        """[batch, inputs, height, width] -> [batch, outputs, height / stride, width / stride], rounded up."""
        return self.conv1(_activated(self.norm1, images))


class Block(HalfBlock):
    """Two convolutions and a shortcut: the input, or a 1x1 convolution of the activated input where shapes change."""

    def __init__(self, inputs: int, outputs: int, stride: int):
        super().__init__(inputs, outputs, stride)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        changes = inputs != outputs or stride != 1
        self.shortcut = nn.Conv2d(inputs, outputs, 1, stride, bias=False) if changes else None

    def forward(self, images: Tensor) -> Tensor:
        """[batch, inputs, height, width] -> [batch, outputs, height / stride, width / stride], rounded up."""
        activated = _activated(self.norm1, images)
        shortcut = images if self.shortcut is None else self.shortcut(activated)
        return self.conv2(_activated(self.norm2, self.conv1(activated))) + shortcut


class PreactivationResNet(nn.Module):
    """A stem, blocks, batch normalisation and ReLU, the mean over the image, and a linear readout."""

    def __init__(self, network: PreactResNet, channels: int, outputs: int):
        super().__init__()
        shapes = _block_shapes(network)
        whole, half = divmod((network.convolutions or 1 + 2 * len(shapes)) - 1, 2)
        blocks = [Block(*shape) for shape in shapes[:whole]] + [HalfBlock(*shape) for shape in shapes[whole:][:half]]
        features = shapes[whole + half - 1][1] if blocks else network.width
        self.stem = nn.Conv2d(channels, network.width, 3, padding=1, bias=False)
        self.blocks = nn.Sequential(*blocks)
        self.norm = nn.BatchNorm2d(features)
        self.readout = nn.Linear(features, outputs)

    def forward(self, images: Tensor) -> Tensor:
        """Images [batch, channels, height, width] -> logits [batch, outputs]."""
        features = self.stem(images)
        if features.device.type == "cpu":  # 1.15 times as fast there
            features = features.contiguous(memory_format=torch.channels_last)
        return self.readout(_activated(self.norm, self.blocks(features)).mean((2, 3)))


def _block_shapes(network: PreactResNet) -> list[tuple[int, int, int]]:
    """Input channels, output channels and stride of each block."""
    shapes, inputs = [], network.width
    for stage, blocks in enumerate(network.blocks):
        outputs = network.width * 2**stage
        for block in range(blocks):
            shapes.append((inputs, outputs, 2 if stage and not block else 1))
            inputs = outputs
    return shapes


def _activated(norm: nn.BatchNorm2d, images: Tensor) -> Tensor:
    return nn.functional.relu(norm(images), inplace=True)


def _channels(network: CNN | PreactResNet | ViT, input_shape: tuple[int, ...]) -> int:
    if len(input_shape) != 3:
        raise StudyError(
            f"network {network.kind}: expected images [channels, height, width], got inputs {list(input_shape)}: "
            "use mlp"
        )
    return input_shape[0]


def _used(network: CNN, side: int) -> int:
    """How many of an image's rows reach an output: pooling drops an odd last row, and what only it depends on."""
    steps = [
        step for k in range(1, len(network.channels) + 1) for step in ("conv", "pool")[: 1 + (k in network.pool_after)]
    ]
    for step in steps:
        side = side - 2 if step == "conv" else side // 2
    for step in reversed(steps):
        side = side + 2 if step == "conv" else side * 2
    return side


def _dense(widths: list[int]) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(widths):
        layers += [nn.Linear(inputs, outputs), nn.ReLU(inplace=True)]
    return layers[:-1]


def _size(shape) -> int:
    return int(torch.Size(shape).numel())
