"""Runs: they learn, they resume to the same weights, and processes share the work evenly."""

from __future__ import annotations

import csv
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from sgcldff_core.errors import ConfigError, FormatError
from sgcldff_core.losses import LossConfig
from sgcldff_core.model import Model, build_network, load_model
from sgcldff_core.training import AugmentationConfig, PreparedSample, TrainingConfig, read_training_config, train
from sgcldff_core.training.calibration import fit_calibration, with_prior_shift
from sgcldff_core.training.schedule import ROBUST_FROM, learning_rate_factor, rising_factor, running_mean
from sgcldff_core.training.stream import ViewStream, class_counts


def _weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "checkpoint.safetensors")


def test_a_run_learns_synthetic_cells(prepared, small_config, tmp_path: Path) -> None:
    """In about a minute the mask of held-out smears goes from nothing to mostly right."""
    config = replace(small_config, epochs=6, views=80, batch=8, learning_rate=4e-3, ema=0.9, validate_every=6)
    figures = [p.figures for p in train(prepared[:9], prepared[9:], config, tmp_path / "run") if p.figures][-1]
    assert figures["iou_synthetic"] > 0.7
    model = load_model(tmp_path / "run")
    assert model.training["cells_by_class"].keys() == set(config.model.classes)
    with (tmp_path / "run" / "log.csv").open() as file:
        totals = [float(r["value"]) for r in csv.DictReader(file) if r["name"] == "loss/cell"]
    assert totals[-1] < 0.6 * totals[0]
    assert (tmp_path / "run" / "curves.png").stat().st_size > 10_000


def test_a_resumed_run_ends_where_an_unbroken_one_does(prepared, small_config, tmp_path: Path) -> None:
    """Killed in the middle of the second epoch, it goes on from the first one's end to the same weights."""
    config = replace(small_config, epochs=3, model=replace(small_config.model, dropout=0.3))
    list(train(prepared[:6], prepared[9:], config, tmp_path / "whole"))
    for progress in train(prepared[:6], prepared[9:], config, tmp_path / "cut"):
        if progress.step == 3:
            break
    list(train(prepared[:6], prepared[9:], config, tmp_path / "cut", resume=True))
    whole, cut = _weights(tmp_path / "whole"), _weights(tmp_path / "cut")
    assert whole.keys() == cut.keys()
    assert all(torch.allclose(whole[k].float(), cut[k].float(), atol=1e-6) for k in whole)
    logs = [(tmp_path / run / "log.csv").read_text() for run in ("whole", "cut")]
    assert logs[0] == logs[1]


def test_dropping_the_prior_leaves_the_targets_alone(prepared, small_config) -> None:
    never = replace(small_config, augmentation=AugmentationConfig(prior_dropout=1.0, paste=1.0))
    _, prior, targets = ViewStream(prepared, never).batch(0, 0)
    assert prior.abs().sum() == 0
    assert targets.guide.sum() > 0


def test_where_nothing_can_be_chosen_by_the_last_weights_are_kept(prepared, small_config, tmp_path: Path) -> None:
    """Held-out images with boxes alone have no score; the first validation must not win for ever."""
    blank = replace(prepared[9], labels=None, nucleus=None, class_of_label={})
    kept = []
    for progress in train(prepared[:6], [blank], replace(small_config, ema=0.5), tmp_path):
        if progress.figures is not None:
            kept.append((tmp_path / "model.safetensors").read_bytes())
    assert len(kept) == 2
    assert kept[0] != kept[1]


def test_other_settings_cannot_resume(prepared, small_config, tmp_path: Path) -> None:
    list(train(prepared[:6], [], replace(small_config, epochs=1, views=4), tmp_path))
    other = train(prepared[:6], [], replace(small_config, epochs=1, views=4, learning_rate=1.0), tmp_path, resume=True)
    with pytest.raises(ConfigError, match="made with another learning_rate"):
        next(other)


def test_a_damaged_checkpoint_is_named(prepared, small_config, tmp_path: Path) -> None:
    (tmp_path / "checkpoint.safetensors").write_bytes(b"not this")
    with pytest.raises(FormatError, match=r"checkpoint\.safetensors: is no checkpoint of this run"):
        next(iter(train(prepared[:6], [], small_config, tmp_path, resume=True)))


def test_the_same_seed_draws_the_same_views(prepared, small_config) -> None:
    a, b = (ViewStream(prepared, small_config).batch(3, 1) for _ in range(2))
    assert torch.equal(a[0], b[0])
    assert torch.equal(a[2].cell, b[2].cell)
    other = ViewStream(prepared, replace(small_config, seed=1)).batch(3, 1)
    assert not torch.equal(a[0], other[0])


def test_parts_of_two_processes_make_up_the_batch_of_one(prepared, small_config) -> None:
    stream = ViewStream(prepared, small_config)
    whole = stream.batch(0, 0)[0]
    parts = [stream.batch(0, 0, rank, 2)[0] for rank in range(2)]
    assert torch.equal(torch.cat(parts), whole)


def test_two_processes_get_the_weights_of_one(small_config, tmp_path: Path) -> None:
    """Two gloo processes, started as torchrun starts them, end within tolerance of a single one."""
    script = Path(__file__).with_name("two_processes.py")
    for processes in (1, 2):
        command = [sys.executable, str(script), str(processes), str(tmp_path / str(processes))]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr[-2000:]
    one, two, before = (_weights(tmp_path / name) for name in ("1", "2", "1/start"))
    learned = [name for name in one if name.startswith(("network.", "loss.")) and one[name].is_floating_point()]
    # All together: a single weight whose gradient is nothing but rounding goes either way under Adam.
    apart, moved = (torch.cat([(one[n] - other[n]).flatten() for n in learned]).norm() for other in (two, before))
    assert apart < 0.05 * moved


def test_a_batch_that_cannot_be_shared_is_refused(prepared, small_config, tmp_path: Path) -> None:
    from types import SimpleNamespace

    with pytest.raises(ConfigError, match="a batch of 4 cannot be shared by 3 processes evenly"):
        next(iter(train(prepared, [], small_config, tmp_path, fabric=SimpleNamespace(world_size=3))))


def test_heads_alone_leave_the_backbone_as_it_was(prepared, small_config, tmp_path: Path) -> None:
    list(train(prepared[:6], prepared[9:], replace(small_config, epochs=1), tmp_path / "base"))
    config = replace(small_config, epochs=3, learning_rate=0.02, ema=0.5, start=str(tmp_path / "base"), train="heads")
    list(train(prepared[:6], prepared[9:], config, tmp_path / "tuned"))
    base, tuned = (load_model(tmp_path / name).network.state_dict() for name in ("base", "tuned"))
    same = {k: torch.allclose(base[k], tuned[k], atol=2e-3) for k in base if base[k].is_floating_point()}
    assert all(v for k, v in same.items() if k.startswith(("backbone", "fusion", "gate")))
    assert not all(v for k, v in same.items() if k.startswith(("segmentation", "classification")))


def test_a_new_class_keeps_what_is_known_of_the_others(prepared, small_config, tmp_path: Path) -> None:
    from sgcldff_core.training.starting import grown_from

    list(train(prepared[:6], prepared[9:], replace(small_config, epochs=1, views=4), tmp_path / "base"))
    base = load_model(tmp_path / "base")
    classes = ("blast", *base.config.classes)
    grown = grown_from(base, replace(small_config, model=replace(base.config, classes=classes)))
    assert torch.equal(grown.classification.linear.weight[1:], base.network.classification.linear.weight)


def test_a_shift_of_class_odds_is_taken_back_before_training_goes_on(small_config) -> None:
    from sgcldff_core.training.starting import grown_from

    shift = [0.5, -0.25, 0.0, -1.0, 0.75]
    network = build_network(small_config.model)
    shifted = with_prior_shift(network, np.array(shift))
    base = Model("base", small_config.model, shifted, training={"log_prior_shift": shift})
    grown = grown_from(base, small_config)
    torch.testing.assert_close(grown.classification.linear.bias, network.classification.linear.bias)
    plain = grown_from(replace(base, training={}), small_config)
    torch.testing.assert_close(plain.classification.linear.bias, base.network.classification.linear.bias)


def test_nothing_to_learn_from_is_refused(small_config, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no image to learn from"):
        next(iter(train([], [], small_config, tmp_path)))


def test_rare_classes_are_drawn_more_often(prepared: list[PreparedSample], small_config: TrainingConfig) -> None:
    common = [replace(s, class_of_label=dict.fromkeys(s.class_of_label, 0)) for s in prepared[:11]]
    rare = replace(prepared[11], class_of_label=dict.fromkeys(prepared[11].class_of_label, 4))
    even, balanced = (
        ViewStream([*common, rare], replace(small_config, class_power=power)).chances[-1] for power in (0.0, 1.0)
    )
    assert even == pytest.approx(1 / 12)
    assert balanced > 3 * even


def test_plain_cross_entropy_is_plain_for_masks_too(prepared, small_config) -> None:
    plain = replace(small_config, loss=LossConfig(balance="none"))
    assert set(ViewStream(prepared, plain).class_weights) == {1.0}
    assert len(set(ViewStream(prepared, small_config).class_weights)) > 1


def test_synthetic_cells_do_not_make_a_class_less_rare(prepared) -> None:
    real = replace(prepared[0], source="zheng1", class_of_label={1: 4})
    assert class_counts([real, *prepared], 5) == [0, 0, 0, 0, 1]
    assert sum(class_counts(prepared, 5)) > 10


def test_schedules() -> None:
    assert learning_rate_factor(0, 0.1) == pytest.approx(0.1)
    assert learning_rate_factor(0.1, 0.1) == pytest.approx(1)
    assert learning_rate_factor(1, 0.1) == pytest.approx(0.01)
    assert [rising_factor(p, 0.1) for p in (0, 0.1, 0.15, 0.2, 1)] == pytest.approx([0, 0, 0.5, 1, 1])
    assert [rising_factor(p, ROBUST_FROM) for p in (0, 0.3, 0.45, 0.6, 1)] == pytest.approx([0, 0, 0.5, 1, 1])


def test_the_running_mean_forgets_the_start() -> None:
    layer = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.constant_(layer.weight, 100.0)
    mean = running_mean(layer, 0.99)
    for _ in range(60):
        torch.nn.init.constant_(layer.weight, 1.0)
        mean.update_parameters(layer)
    assert mean.module.weight.item() == pytest.approx(1, abs=0.2)


def test_temperature_makes_sure_logits_modest() -> None:
    """Logits of 5 that are right three times in four want a temperature near 5 / ln 9 for three classes' odds."""
    rng = np.random.default_rng(0)
    classes = rng.integers(0, 2, 4000)
    said = np.where(rng.random(4000) < 0.75, classes, 1 - classes)
    logits = np.eye(2, dtype=np.float32)[said] * 5
    assert fit_calibration(logits, classes, np.zeros(2))[0] == pytest.approx(5 / np.log(3), rel=0.1)
    assert fit_calibration(logits[:5], classes[:5], np.zeros(2)) == (1, 0)


def test_settings_from_toml(tmp_path: Path) -> None:
    file = tmp_path / "run.toml"
    file.write_text(
        'epochs = 7\n[loss]\nalignment = 0.2\n[augmentation]\nscale = [0.5, 2.0]\n[model]\nclasses = ["a", "b"]\n'
    )
    config = read_training_config(file)
    assert (config.epochs, config.loss.alignment, config.augmentation.scale) == (7, 0.2, (0.5, 2.0))
    assert config.model.classes == ("a", "b")
    assert TrainingConfig.from_dict(config.to_dict()) == config


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("epochs = ", FormatError, "is not valid TOML"),
        ("epoch = 3", ConfigError, "unknown training setting epoch; known are"),
        ("[loss]\ncel = 1.0", ConfigError, "unknown loss setting cel"),
        ("size = 100", ConfigError, "multiple of 32"),
        ('train = "some"', ConfigError, "'all' or 'heads'"),
        ('start = "random"', ConfigError, "frozen_statistics = false"),
        ("synthetic_images = 5", ConfigError, "go together"),
        ("[augmentation]\npaste = 2.0", ConfigError, "paste is a probability"),
        ("validation = 1.0", ConfigError, "share held out"),
        ("batch = 0", ConfigError, "batch must be at least 1"),
        ('epochs = "10"', ConfigError, "epochs must be of type int, got '10'"),
        ("loss = 3", ConfigError, "loss is a section of settings"),
        ('[model]\nwidth = "64"', ConfigError, "model setting width must be of type int"),
        ("[augmentation]\nscale = [0.7]", ConfigError, "two factors above 0"),
        ("ema = 2.0", ConfigError, r"ema must be in \[0, 1\)"),
        ("learning_rate = -1", ConfigError, "learning_rate must be above 0"),
        ("workers = -1", ConfigError, "workers must not be negative"),
        ('[loss]\nbalance = "foo"', ConfigError, "unknown class balance 'foo'"),
    ],
)
def test_settings_that_cannot_be_are_refused(tmp_path: Path, text: str, error: type[Exception], message: str) -> None:
    file = tmp_path / "run.toml"
    file.write_text(text)
    with pytest.raises(error, match=message):
        read_training_config(file)


def test_missing_settings_are_named(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"nosuch\.toml: there is no such file"):
        read_training_config(tmp_path / "nosuch.toml")
