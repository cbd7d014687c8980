"""From HU to probabilities and labels in one ONNX graph: the exported network between what surrounds it in use."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import GraphProto, ModelProto, TensorProto, helper, numpy_helper

from spleenseg.inference import onnx_millimetres
from spleenseg.inference.model_card import ModelCard
from spleenseg.inference.onnx_nodes import OPSET, Nodes, whole
from spleenseg.inference.onnx_resize import fitted

Step = tuple[str, str]
IR_VERSION = 10
_NETWORK = "network/"
_OUTPUT_KINDS = {"probability": TensorProto.FLOAT, "label": TensorProto.UINT8}
_FLOAT32_MAX_WHOLE = 2**24


def complete(network: ModelProto, card: ModelCard) -> ModelProto:
    """Put an exported network into a graph that takes HU.

    Args:
        network: float32 [N, height, width, C] with values 0..255 -> float32 [N, height, width, K].
        card: how images must look for it; it becomes the metadata.

    Returns:
        the model of contracts: `hu` int16 [N, slices, H, W], radiological, any H and W -> `probability` float32
        [N, K, H, W] and `label` uint8 [N, H, W]. `slices` are the slice and its neighbours from the lowest up. A
        network of `pixel_mm` also takes `spacing_mm` float32 [2], the size of a pixel across (x) and down (y).
    """
    inner = onnx.compose.add_prefix(network, _NETWORK).graph
    before, after = Nodes("before/"), Nodes("after/")
    sides = before("Gather", before("Shape", "hu"), whole(2, 3))
    step = onnx_millimetres.steps(before, "spacing_mm", card.pixel_mm) if card.pixel_mm else None
    _feed(before, _seen(before, card, step), inner)
    _answers(after, inner.output[0].name, sides, card, step)
    slices = 1 + 2 * card.context
    outputs: dict[str, list[str | int | None]] = {
        "probability": ["N", card.num_classes, "H", "W"],
        "label": ["N", "H", "W"],
    }
    graph = helper.make_graph(
        [*before.nodes, *inner.node, *after.nodes],
        "spleenseg",
        [
            helper.make_tensor_value_info("hu", TensorProto.INT16, ["N", slices, "H", "W"]),
            *([helper.make_tensor_value_info("spacing_mm", TensorProto.FLOAT, [2])] if step else []),
        ],
        [helper.make_tensor_value_info(name, _OUTPUT_KINDS[name], shape) for name, shape in outputs.items()],
        initializer=[*before.constants, *inner.initializer, *after.constants],
    )
    opsets = [helper.make_opsetid("", OPSET)]
    model = helper.make_model(
        graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="spleenseg", producer_version=card.spleenseg
    )
    helper.set_model_props(model, card.entries())
    return model


def _seen(add: Nodes, card: ModelCard, step: Step | None) -> str:
    """Show HU as the network's training images showed it, [N, C, H, W]: windows, left-right order, grid, channels."""
    greys = [_windowed(add, window) for window in card.expectation.shown_windows]
    grey = greys[0] if len(greys) == 1 else add("Concat", *greys, axis=1)
    if card.display == "reference":
        grey = _mirrored(add, grey)
    if step is None:
        grey = fitted(add, grey, card.size, card.resize_interpolation)
    else:
        grey = onnx_millimetres.grey_on_grid(add, grey, card.size, step)
    if card.expectation.channels != card.image_channels:
        grey = add("Concat", *[grey] * card.image_channels, axis=1)
    return grey


def _feed(add: Nodes, image: str, inner: GraphProto) -> None:
    """Hand an image [N, C, H, W] to the network, which takes [N, H, W, C].

    A network begins by scaling greys by one number. That is done before the axes change, to the same bits: where C is
    1, ONNX Runtime multiplies [N, H, W, C] element by element, twenty times slower.
    """
    target = inner.input[0].name
    users = [node for node in inner.node if target in node.input]
    numbers = {item.name: item for item in inner.initializer if not item.dims}
    if len(users) == 1 and users[0].op_type == "Mul" and (number := numbers.get(users[0].input[1])) is not None:
        image, target = add("Mul", image, numpy_helper.to_array(number)), users[0].output[0]
        inner.node.remove(users[0])
        if not any(number.name in node.input for node in inner.node):
            inner.initializer.remove(number)
    add("Transpose", image, perm=[0, 2, 3, 1], output=target)


def _windowed(add: Nodes, window: tuple[float, float]) -> str:
    """Show HU as grey in float32, whole numbers 0..255, exactly as `apply_window`."""
    low, high = window
    real = np.float32 if exact_in_float32(window) else np.float64
    grey = add("Mul", add("Sub", add.cast("hu", real), real(low)), real(255))
    share = add("Div", grey, real(high - low))
    return add.cast(add("Round", add("Min", add("Max", share, real(0)), real(255))), np.float32)


def exact_in_float32(window: tuple[float, float]) -> bool:
    """Tell whether float32 gives every HU the grey of `apply_window`: where all its steps are small whole numbers."""
    low, high = window
    return float(low).is_integer() and float(high).is_integer() and (2**15 + abs(low)) * 255 < _FLOAT32_MAX_WHOLE


def _answers(add: Nodes, found: str, sides: str, card: ModelCard, step: Step | None) -> None:
    """Bring probabilities [N, height, width, K] back to the slice's size and order, and decide the label."""
    channels_first = add("Transpose", found, perm=[0, 3, 1, 2])
    if step is None:
        size = add("Concat", add("Gather", add("Shape", channels_first), whole(0, 1)), sides, axis=0)
        mode = {"mode": "linear", "coordinate_transformation_mode": "half_pixel"}
        resized = add("Resize", channels_first, "", "", size, **mode)
    else:
        lengths = (add("Gather", sides, whole(0)), add("Gather", sides, whole(1)))
        resized = onnx_millimetres.probabilities_on_slice(add, channels_first, card.num_classes, lengths, step)
    upright = _mirrored(add, resized) if card.display == "reference" else resized
    probability = add("Identity", upright, output="probability")
    if card.num_classes == 1:
        (value,) = card.labels.values() if len(card.labels) == 1 else (1,)
        organ = add("GreaterOrEqual", add("Squeeze", probability, whole(1)), float(card.threshold))
        add("Mul", add.cast(organ, np.uint8), np.uint8(value), output="label")
    else:
        add("Cast", add("ArgMax", probability, axis=1, keepdims=0), to=TensorProto.UINT8, output="label")


def _mirrored(add: Nodes, image: str) -> str:
    """Turn the last axis round."""
    return add("Slice", image, whole(-1), whole(np.iinfo(np.int64).min), whole(3), whole(-1))
