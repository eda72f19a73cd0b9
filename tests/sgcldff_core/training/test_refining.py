"""Going on from a model: what is known stays, what is new is learned, and the start is not lost."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from sgcldff_core.errors import CancelledError, ConfigError, CorruptModelError
from sgcldff_core.model import load_model, save_model
from sgcldff_core.model.stain import StainTransform
from sgcldff_core.sample import Box, Raster, Sample
from sgcldff_core.training import PreparedSample, TrainingConfig, train
from sgcldff_core.training.anchor import Anchor
from sgcldff_core.training.memory import MEMORY, Memory, load_memory, remember, save_memory
from sgcldff_core.training.recall import Recall
from sgcldff_core.training.refining import fresh_settings, in_stain_of, named_classes, refining_settings
from sgcldff_core.training.starting import grown_from


@pytest.fixture(scope="module")
def base(prepared: list[PreparedSample], small_config: TrainingConfig, tmp_path_factory) -> Path:
    """Return a tiny model that was trained for one epoch."""
    folder = tmp_path_factory.mktemp("models") / "base"
    list(train(prepared[:6], prepared[9:], replace(small_config, epochs=1), folder))
    return folder


def _blasts(samples: list[PreparedSample], number: int) -> list[PreparedSample]:
    return [replace(s, class_of_label=dict.fromkeys(s.class_of_label, number)) for s in samples]


def _tiny(base: Path, small_config: TrainingConfig, classes: tuple[str, ...] = (), **given) -> TrainingConfig:
    settings = refining_settings(load_model(base), str(base), classes, 6, views=8, epochs=2, rehearsal=0, **given)
    return replace(settings, size=small_config.size, batch=small_config.batch)


def test_the_start_is_judged_first_and_kept_when_nothing_came_after(prepared, small_config, base, tmp_path) -> None:
    steps = train(prepared[:6], prepared[9:], _tiny(base, small_config), tmp_path / "run", show=2)
    first = next(steps)
    steps.close()
    assert (first.epoch, first.step) == (0, 0)
    assert first.figures is not None
    assert first.figures["score"] > 0
    assert [o.name for o in first.outlined] == [s.name for s in prepared[9:11]]
    assert first.outlined[0].image.shape[:2] == first.outlined[0].found.shape == first.outlined[0].annotated.shape
    assert first.outlined[0].annotated.any()
    kept, start = (load_model(folder).network.state_dict() for folder in (tmp_path / "run", base))
    assert all(torch.allclose(kept[k], start[k]) for k in start)


def test_a_stop_during_validation_is_passed_on(prepared, small_config, base, tmp_path) -> None:
    def watch(stage: str, done: int, total: int) -> None:
        if stage == "validating" and done == 1:
            raise CancelledError("stopped")

    with pytest.raises(CancelledError, match="stopped"):
        list(train(prepared[:6], prepared[9:], _tiny(base, small_config), tmp_path / "run", watch=watch))


def test_a_new_class_leaves_the_others_their_logits_and_temperature(prepared, small_config, base) -> None:
    config = _tiny(base, small_config, ("blast", "monocyte"))
    model = load_model(base)
    assert config.model.classes == (*model.config.classes, "blast")
    assert config.temperature == model.temperature
    grown = grown_from(model, config).classification.linear
    assert torch.equal(grown.weight[:-1], model.network.classification.linear.weight)
    assert torch.equal(grown.bias[:-1], model.network.classification.linear.bias)


def test_a_new_class_is_learned_and_saved_under_its_name(prepared, small_config, base, tmp_path) -> None:
    config = replace(_tiny(base, small_config, ("blast",), learning_rate=0.02, anchor=0.0), epochs=10, ema=0.5)
    blasts = _blasts(prepared, 5)
    figures = [p.figures for p in train(blasts[:6], blasts[9:], config, tmp_path / "run") if p.figures]
    assert figures[0]["accuracy"] < 0.5
    assert figures[-1]["accuracy"] > 0.9
    assert load_model(tmp_path / "run").config.classes[-1] == "blast"


def test_an_anchor_holds_the_weights_near_the_start(prepared, small_config, base, tmp_path) -> None:
    away = {}
    for anchor in (0.0, 200.0):
        config = replace(_tiny(base, small_config, anchor=anchor), epochs=1, ema=0.0, learning_rate=5e-3)
        list(train(prepared[:6], [], config, tmp_path / str(anchor)))
        new, old = (load_model(f).network.segmentation.out.weight for f in (tmp_path / str(anchor), base))
        away[anchor] = float((new - old).detach().norm())
    assert 0 < away[200.0] < 0.6 * away[0.0]


def test_an_anchor_pulls_by_learning_rate_times_strength() -> None:
    layer = torch.nn.Linear(2, 1, bias=False)
    start = layer.weight.detach().clone()
    anchor = Anchor(layer, strength=5.0)
    with torch.no_grad():
        layer.weight.add_(1.0)
    anchor.pull(torch.optim.SGD(layer.parameters(), lr=0.1))
    torch.testing.assert_close(layer.weight.detach(), start + 0.5)


def test_a_joined_memory_keeps_the_newest_of_each_class() -> None:
    old = Memory(torch.arange(8.0)[:, None], ("a",) * 3 + ("b",) * 5)
    joined = old.joined(Memory(torch.tensor([[10.0], [11.0]]), ("b", "c")), per_class=4)
    assert (joined.classes.count("a"), joined.classes.count("b"), joined.classes.count("c")) == (3, 4, 1)
    assert joined.features[list(joined.classes).index("b")].item() == 10


def test_a_memory_is_found_again_and_belongs_to_its_weights(prepared, base, tmp_path) -> None:
    model = load_model(base)
    memory = remember(model.network, prepared, model.config.classes, 48.0, per_class=3)
    assert set(memory.classes) <= set(model.config.classes)
    assert max(memory.classes.count(c) for c in memory.classes) <= 3
    assert memory.features.std() > 0
    save_memory(memory, tmp_path, "abc")
    again = load_memory(tmp_path, "abc")
    assert again is not None
    assert again.classes == memory.classes
    torch.testing.assert_close(again.features, memory.features, atol=2e-3, rtol=2e-3)
    assert load_memory(tmp_path, "other weights") is None


@pytest.mark.parametrize("classes", [None, ["a"], ["a", "b", "c"]])
def test_a_damaged_memory_is_refused(tmp_path: Path, classes: list[str] | None) -> None:
    if classes is None:
        (tmp_path / MEMORY).write_bytes(b"nothing")
    else:
        notes = {"notes": json.dumps({"sha256": "abc", "classes": classes})}
        save_file({"features": torch.eye(2)}, tmp_path / MEMORY, notes)
    with pytest.raises(CorruptModelError, match=r"memory\.safetensors: is no memory of a model .*delete it"):
        load_memory(tmp_path, "abc")


def test_recalled_cells_keep_their_class_when_only_a_new_one_is_shown(prepared, small_config, base, tmp_path) -> None:
    """Two clusters of remembered features, and a hundred steps that show blasts alone."""
    model = load_model(base)
    width = model.network.classification.linear.in_features
    spread = torch.randn(10, width, generator=torch.Generator().manual_seed(0))
    spread[:5, : width // 2] += 2
    spread[5:, width // 2 :] += 2
    memory = Memory(spread, ("neutrophil",) * 5 + ("monocyte",) * 5)
    config = replace(_tiny(base, small_config, ("blast",), learning_rate=0.02, anchor=0.0), epochs=10, ema=0.5)
    names = {}
    for kept in (True, False):
        start = save_model(model, tmp_path / f"start{kept}")
        if kept:
            save_memory(memory, start, load_model(start).sha256)
        blasts = _blasts(prepared[:6], 5)
        list(train(blasts, [], replace(config, start=str(start)), tmp_path / f"run{kept}"))
        new = load_model(tmp_path / f"run{kept}")
        guess = new.network.classification.linear(memory.features.half().float()).argmax(1).tolist()
        names[kept] = sum(new.config.classes[g] == c for g, c in zip(guess, memory.classes, strict=True))
        if kept:  # and the new model remembers old and new
            mine = load_memory(tmp_path / "runTrue", new.sha256)
            assert mine is not None
            assert set(mine.classes) == {"neutrophil", "monocyte", "blast"}
    assert names[True] == 10
    assert names[False] < 10


def test_classes_that_a_head_lacks_are_not_recalled(base) -> None:
    head = load_model(base).network.classification
    nothing = Recall(Memory(torch.zeros(2, head.linear.in_features), ("x", "y")), ("a", "b"), 0.0)
    assert float(nothing(head).detach()) == 0


def test_half_precision_is_for_the_network_alone(prepared, small_config, tmp_path) -> None:
    losses = {}
    for precision in ("32-true", "bf16-mixed"):
        config = replace(small_config, epochs=1, precision=precision)
        losses[precision] = [p.losses for p in train(prepared[:6], [], config, tmp_path / precision)]
    assert losses["bf16-mixed"][0].keys() == losses["32-true"][0].keys()
    for name, value in losses["32-true"][0].items():
        assert losses["bf16-mixed"][0][name] == pytest.approx(value, rel=0.05, abs=0.02), name


def test_named_classes_come_in_the_order_of_the_taxonomy() -> None:
    image = Raster.of(np.zeros((4, 4, 3), np.uint8))
    known = {"image": image, "source": "s", "group": "g"}
    samples = [
        Sample(name="a", classes={1: "smudge", 2: "monocyte"}, **known),
        Sample(name="b", boxes=(Box(0, 0, 1, 1, "neutrophil"), Box(0, 0, 1, 1, "platelet"), Box(0, 0, 1, 1)), **known),
        Sample(name="c", image_class="blast", **known),
    ]
    assert named_classes(samples) == ("neutrophil", "monocyte", "blast", "smudge")


@pytest.mark.parametrize(("classes", "named"), [((), "no class is"), (("blast",), "only 'blast' is")])
def test_a_new_model_needs_two_classes(classes: tuple[str, ...], named: str) -> None:
    with pytest.raises(ConfigError, match=f"at least two classes, and {named} named"):
        fresh_settings("imagenet", classes, 10)


def test_images_for_an_adapted_model_come_in_its_stain_and_the_new_one_keeps_it(
    prepared, small_config, base, tmp_path
) -> None:
    darker = StainTransform("test", "density", ((1.0, 0, 0), (0, 1.0, 0), (0, 0, 1.0)), (0.5, 0.5, 0.5))
    image = np.full((8, 8, 3), 150, np.uint8)
    sample = Sample(name="a", image=Raster.of(image), source="s", group="g")
    assert in_stain_of([sample], None) == [sample]
    (shown,) = in_stain_of([sample], darker)
    np.testing.assert_array_equal(shown.read_image(), darker.apply(image))
    assert shown.read_image().mean() < 140

    adapted = save_model(replace(load_model(base), stain=darker), tmp_path / "adapted")
    steps = train(prepared[:6], prepared[9:], _tiny(adapted, small_config), tmp_path / "run")
    next(steps)
    steps.close()
    assert load_model(tmp_path / "run").stain == darker
