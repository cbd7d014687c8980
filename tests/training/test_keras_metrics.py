"""Metrics over a whole epoch, against counts made in NumPy."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spleenseg.errors import UserError
from spleenseg.training.keras_metrics import build_metrics
from spleenseg.training.registry import METRICS

Array = np.ndarray


def _figure(name: str, true: Array, found: Array) -> float:
    tp, fp = (true & found).sum(), (~true & found).sum()
    fn, tn = (true & ~found).sum(), (~true & ~found).sum()
    part, whole = {
        "dice_coef": (2 * tp, 2 * tp + fp + fn),
        "iou_coef": (tp, tp + fp + fn),
        "sensitivity": (tp, tp + fn),
        "specificity": (tn, tn + fp),
        "precision": (tp, tp + fp),
        "binary_accuracy": (tp + tn, tp + tn + fp + fn),
    }[name]
    return float(part / whole) if whole else 1.0


def _measured(name: str, batches: list[tuple[Array, Array]], *settings: object) -> float:
    (metric,) = build_metrics([name], *settings)
    for targets, predictions in batches:
        metric.update_state(targets, predictions)
    return float(metric.result())


@pytest.mark.parametrize("name", METRICS)
@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    shares=st.lists(st.sampled_from([0.0, 0.02, 0.5, 1.0]), min_size=1, max_size=4),
    from_logits=st.booleans(),
)
def test_a_figure_is_that_of_all_pixels_of_the_epoch(
    name: str, seed: int, shares: list[float], from_logits: bool
) -> None:
    rng = np.random.default_rng(seed)
    batches = []
    for share in shares:
        shape = (int(rng.integers(1, 4)), 5, 6, 1)
        targets = np.where(rng.random(shape) < share, rng.uniform(0.5, 1, shape), rng.uniform(0, 0.49, shape))
        predictions = rng.normal(0, 2, shape) if from_logits else rng.random(shape)
        batches.append((targets.astype(np.float32), predictions.astype(np.float32)))
    true = np.concatenate([targets.ravel() >= 0.5 for targets, _ in batches])
    found = np.concatenate([found.ravel() >= (0 if from_logits else 0.5) for _, found in batches])
    measured = _measured(name, batches, 1, "sigmoid", from_logits)
    assert measured == pytest.approx(_figure(name, true, found), abs=1e-6)


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize("from_logits", [True, False])
def test_with_softmax_the_most_probable_label_counts_and_background_does_not(name: str, from_logits: bool) -> None:
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 4, (2, 9, 8))
    logits = rng.normal(0, 1, (2, 9, 8, 4)).astype(np.float32)
    powers = np.exp(logits)
    predictions = logits if from_logits else powers / powers.sum(axis=-1, keepdims=True)
    assert (predictions.max(axis=-1) < 0.5).any()
    measured = _measured(name, [(np.eye(4, dtype=np.float32)[labels], predictions)], 4, "softmax", from_logits)
    found = logits.argmax(axis=-1)
    if name == "binary_accuracy":
        expected = float((found == labels).mean())
    else:
        expected = float(np.mean([_figure(name, labels == label, found == label) for label in (1, 2, 3)]))
    assert measured == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("name", "empty", "missed", "invented"),
    [
        ("dice_coef", 1, 0, 0),
        ("iou_coef", 1, 0, 0),
        ("sensitivity", 1, 0, 1),
        ("specificity", 1, 1, 0),
        ("precision", 1, 1, 0),
        ("binary_accuracy", 1, 0, 0),
    ],
)
def test_empty_and_full_masks(name: str, empty: float, missed: float, invented: float) -> None:
    nothing, everything = np.zeros((1, 4, 4, 1), np.float32), np.ones((1, 4, 4, 1), np.float32)
    settings = (1, "sigmoid", False)
    assert _measured(name, [(nothing, nothing)], *settings) == empty
    assert _measured(name, [(everything, everything)], *settings) == 1
    assert _measured(name, [(everything, nothing)], *settings) == missed
    assert _measured(name, [(nothing, everything)], *settings) == invented


def test_an_empty_prediction_scores_zero_dice_where_accuracy_calls_it_good() -> None:
    targets = np.zeros((1, 10, 10, 1), np.float32)
    targets[0, :1, :3] = 1
    nothing = np.full_like(targets, -5)
    assert _measured("binary_accuracy", [(targets, nothing)]) == pytest.approx(0.97)
    assert _measured("dice_coef", [(targets, nothing)]) == 0


def test_batches_are_not_averaged() -> None:
    full, none = np.ones((1, 4, 4, 1), np.float32), np.zeros((1, 4, 4, 1), np.float32)
    one = none.copy()
    one[0, 0, 0] = 1
    batches = [(full, full), (none, one)]  # Dice 1 and 0: their mean would be 0.5
    assert _measured("dice_coef", batches, 1, "sigmoid", False) == pytest.approx(32 / 33)


def test_counting_stays_exact_where_float32_would_stop() -> None:
    (metric,) = build_metrics(["specificity"], from_logits=False)
    many = np.zeros((1, 4096, 4096, 1), np.float32)
    single = np.zeros((1, 1, 1, 1), np.float32)
    for _ in range(2):
        metric.update_state(many, many)
    for _ in range(3):
        metric.update_state(single, single)
    ones, carries = (np.asarray(part, np.float64) for part in (metric.ones, metric.carries))
    assert np.float32(2**25) + np.float32(1) == np.float32(2**25)
    assert (carries * 2**22 + ones)[3, 0] == 2**25 + 3


def test_a_reset_forgets_everything() -> None:
    (metric,) = build_metrics(["dice_coef"], from_logits=False)
    everything = np.ones((1, 4, 4, 1), np.float32)
    metric.update_state(everything, 0 * everything)
    assert float(metric.result()) == 0
    metric.reset_state()
    metric.update_state(everything, everything)
    assert float(metric.result()) == 1


def test_a_compiled_model_reports_them_under_their_names() -> None:
    inputs = keras.Input((4, 4, 1))
    model = keras.Model(inputs, keras.layers.Identity()(inputs))
    model.compile(loss="mse", metrics=build_metrics(list(METRICS)))
    image = np.linspace(-1, 1, 32, dtype=np.float32).reshape(2, 4, 4, 1)
    logs = model.test_on_batch(image, (image >= 0).astype(np.float32), return_dict=True)
    assert {name: float(logs[name]) for name in METRICS} == dict.fromkeys(METRICS, 1.0)


def test_a_typo_in_a_metric_is_answered_with_the_nearest_name() -> None:
    with pytest.raises(UserError, match=r"no metric 'dice_coeff' \(did you mean 'dice_coef'\?\)"):
        build_metrics(["dice_coeff"])
