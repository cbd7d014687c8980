"""[model]: the network, its size and how it is compiled."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from spleenseg.config import kinds
from spleenseg.config.section import MOST, REQUIRED, Count, Flag, Section, key

ACTIVATIONS = (
    *("relu", "relu6", "leaky_relu", "elu", "celu", "selu", "gelu", "silu", "swish", "mish"),
    *("hard_silu", "hard_swish", "tanh", "sigmoid", "softplus", "softsign"),
)
Side = Annotated[int, kinds.whole(1, 16384)]
Names = Annotated[tuple[str, ...], kinds.listed(kinds.text("dice_coef"), '["dice_coef"]', low=1)]
Pair = Annotated[tuple[int, int], kinds.pair(kinds.whole(1, MOST), "(3,3)")]
CountList = Annotated[tuple[int, ...], kinds.listed(kinds.whole(1, MOST), "[4,8,8,8]", low=1)]
Counts = Annotated[
    int | tuple[int, ...] | None,
    kinds.optional(kinds.any_of(kinds.whole(1, MOST), kinds.listed(kinds.whole(1, MOST), "[4,8,8,8]", low=1))),
]
Anything = Annotated[Any, kinds.anything()]

_SWIN = ("SwinUNet",)
_TRANS = ("TransUNet",)
_SHARP = ("SharpUNet",)
_DEEP = ("UNet3Plus", "U2Net", "BASNet", "ResEncUNet", "FastUNet")
_PUBLISHED = ("EfficientUNet", "EfficientNetB7UNet", "DeepLabV3Plus")
_OWN_FILTERS = (*_SWIN, *_TRANS, *_SHARP)
_OWN_LEVELS = (*_SWIN, "EfficientUNet", "DeepLabV3Plus", "EfficientNetB7UNet", *_TRANS, *_SHARP)
_OWN_DILATION = (*_SWIN, "DeepLabV3Plus", "U2Net", "BASNet", "ResEncUNet", "FastUNet")
_OWN_KERNELS = (*_OWN_DILATION, *_SHARP)
_OWN_NORMALIZATION = (*_SWIN, "XceptionLikeUNet", "ResEncUNet", "FastUNet")
_OWN_ACTIVATION = (
    *_SWIN,
    "ResEncUNet",
)
_UNREAD = "nothing here reads it; it is known from files made for the reference"


def _final_activation(before: dict[str, Any]) -> str:
    return "softmax" if before["num_classes"] > 1 else "sigmoid"


class ModelConfig(Section):
    """The network and how it is compiled; sizes in pixels."""

    model: Annotated[str, kinds.text("TensorflowUNet")] = key("TensorflowUNet", "Architecture, by its registered name.")
    generator: Flag = key(False, "Augment the training slices while training; False trains on them as they are.")
    image_width: Side = key(REQUIRED, "Width the network works at; slices are resized to it.")
    image_height: Side = key(REQUIRED, "Height the network works at; slices are resized to it.")
    image_channels: Annotated[int, kinds.whole(1, 64)] = key(
        REQUIRED, "Channels of the input: 1 grey, 3 colour (grey repeated)."
    )
    num_classes: Annotated[int, kinds.whole(1, 256)] = key(
        REQUIRED, "1: organ or not; K > 1: labels 0..K-1, 0 is background."
    )
    base_filters: Count = key(16, "Filters of the first level; doubled at every level below.", unread_by=_OWN_FILTERS)
    num_layers: Annotated[int, kinds.whole(1, 12)] = key(
        6, "Levels of the network, counting the bottom one.", unread_by=_OWN_LEVELS
    )
    base_kernels: Pair = key(
        (3, 3), "Kernel of the first level; two smaller per level, at least 3.", unread_by=_OWN_KERNELS
    )
    dilation: Pair = key(
        (1, 1), "Dilation of the first level; one smaller per level, at least 1.", unread_by=_OWN_DILATION
    )
    dropout_rate: Annotated[float, kinds.fraction_below_one()] = key(
        0.0, "Dropout; the plain U-Net multiplies it by the level, counted from 0."
    )
    dropout_seed_fixing: Flag = key(False, "Give every dropout layer the run's seed.")
    normalization: Flag = key(False, "Batch normalisation after every convolution.", unread_by=_OWN_NORMALIZATION)
    input_normalize: Flag = key(True, "Divide the input by 255 inside the network.")
    activation: Annotated[str, kinds.one_of(*ACTIVATIONS)] = key(
        "relu", "Activation of the hidden layers.", unread_by=_OWN_ACTIVATION
    )
    final_activation: Annotated[str, kinds.one_of("sigmoid", "softmax")] = key(
        _final_activation, "Activation of the output: sigmoid for one class, softmax for several."
    )
    learning_rate: Annotated[float, kinds.positive()] = key(0.0001, "Learning rate at the start.")
    clipvalue: Annotated[float | None, kinds.optional(kinds.positive())] = key(
        0.2, "Clip every element of the gradient to this size; None: no clipping."
    )
    clipnorm: Annotated[float | None, kinds.optional(kinds.positive())] = key(
        None, "Scale the whole gradient down to this norm; takes the place of `clipvalue`."
    )
    optimizer: Annotated[str, kinds.one_of("Adam", "AdamW")] = key("Adam", "Optimiser.")
    weight_decay: Annotated[float, kinds.number(0)] = key(
        0.004, "Decay of the weights by AdamW, as a share of the learning rate; biases and normalisations are spared."
    )
    loss: Annotated[str, kinds.text("bce_dice_loss")] = key("bce_dice_loss", "Loss, by its registered name.")
    batch_dice: Flag = key(
        True, "Count overlaps (Dice, IoU, Tversky, Lovasz) over the whole batch; False: image by image."
    )
    metrics: Names = key(("binary_accuracy",), "Metrics to compute besides Dice and IoU, by name.")
    show_summary: Flag = key(False, "Print the network's layers before training.")
    evaluation: Annotated[str, kinds.one_of("test", "eval", "train")] = key(
        "test", "Section whose images `evaluate` reads."
    )

    efficientnet: Annotated[str, kinds.one_of(*[f"B{size}" for size in range(8)])] = key(
        "B0", "Size of the EfficientNet encoder.", models=("EfficientUNet",)
    )
    filter_num_begin: Count = key(128, "Channels of the first level.", models=_SWIN)
    depth: Count = key(4, "Levels, counting the bottom one.", models=_SWIN)
    stack_num_down: Count = key(2, "Transformer blocks per level on the way down.", models=_SWIN)
    stack_num_up: Count = key(2, "Transformer blocks per level on the way up.", models=_SWIN)
    patch_size: Counts = key((4, 4), "Size of a patch, a number or (height, width).", models=_SWIN)
    num_heads: Counts = key(
        None,
        "Attention heads, a number or one per level; None: [4,8,8,8] (Swin), 12 (Trans).",
        models=_SWIN + _TRANS,
    )
    window_size: Counts = key(None, "Attention windows, one per level; None: [4,2,2,2].", models=_SWIN)
    num_mlp: Counts = key(None, "Nodes of the perceptrons; None: 512 (Swin), 3072 (Trans).", models=_SWIN + _TRANS)
    shift_window: Flag = key(True, "Shift every second window.", models=_SWIN)
    filter_num: CountList = key((64, 128, 256, 512), "Filters per level.", models=_TRANS)
    embed_dim: Count = key(768, "Width of the transformer.", models=_TRANS)
    num_transformer: Count = key(12, "Transformer blocks.", models=_TRANS)
    filters: CountList = key((32, 64, 128, 256), "Filters per level.", models=_SHARP)
    max_filter: Count = key(512, "Filters of the bottom level.", models=_SHARP)
    base_ksize: Pair = key((3, 3), "Kernel of every level.", models=_SHARP)
    deep_supervision: Flag = key(
        False, "Train logits made on the way as well; they are not part of what is saved.", models=_DEEP
    )
    classification_guided: Flag = key(
        False, "Multiply the organ's probability with that of its being in the image.", models=("UNet3Plus",)
    )

    pretrained: Annotated[str | Path | None, kinds.optional_path("efficientnetb0_notop.h5", "imagenet")] = key(
        None, "Weights the encoder starts from, as Keras Applications has them; nothing is fetched.", models=_PUBLISHED
    )
    init_from: Annotated[Path | None, kinds.optional_path("../other/run")] = key(
        None, "Run folder whose best weights this training starts from, as far as they fit."
    )

    image_depth: Anything = key(None, "Slices of a 3-D input.", unused="the networks here work slice by slice")
    pool: Anything = key(None, "How levels are joined.", unused="each architecture follows its paper")
    backbone: Anything = key(None, "Name of an encoder.", unused=_UNREAD)
    weights: Anything = key(None, "Weights of an encoder.", unused="nothing is downloaded unasked")
    freeze_backbone: Anything = key(None, "Keep an encoder's weights fixed.", unused=_UNREAD)
    freeze_batch_norm: Anything = key(None, "Keep an encoder's normalisation fixed.", unused=_UNREAD)
    batch_norm: Anything = key(None, "Batch normalisation.", unused="`normalization` is the key that is read")
    mlp_activation: Anything = key(None, "Activation of perceptrons.", unused="each architecture follows its paper")
    show_history: Anything = key(None, "Print the history.", unused="every epoch is shown and kept in history.json")
    pretrain: Anything = key(None, "Start from trained weights.", unused="nothing is downloaded unasked")
    hidden_size: Anything = key(None, "Width of a transformer.", unused="`embed_dim` is the key that is read")
    grid: Anything = key(None, "Grid of patches.", unused="it follows from the image and the patch size")
    decoder_channels: Anything = key(None, "Filters of a decoder.", unused="`filter_num` is the key that is read")
    base_dilation: Anything = key(None, "Dilation of the first level.", unused="`dilation` is the key that is read")
