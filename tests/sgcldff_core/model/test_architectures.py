"""Architectures by name."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest

from sgcldff_core.errors import ConfigError
from sgcldff_core.model import ModelConfig, SgcldffNetwork, architectures, build_network, register_architecture

SMALL = ModelConfig(swin=False, width=32, cardinality=8, embedding=32)


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> dict[str, architectures.Builder]:
    """Give the registry back as it was, and let no installed package announce anything."""
    known = dict(architectures._builders)
    monkeypatch.setattr(architectures, "_builders", known)
    monkeypatch.setattr(architectures, "entry_points", lambda group: ())
    return known


def test_a_registered_builder_makes_the_network_of_its_name(registry) -> None:
    asked = []

    def build(config: ModelConfig, imagenet: bool) -> SgcldffNetwork:
        asked.append((config.width, imagenet))
        return build_network(replace(config, architecture="sgcldff"))

    register_architecture("other", build)
    config = replace(SMALL, architecture="other")
    assert isinstance(build_network(config, imagenet=True), SgcldffNetwork)
    assert asked == [(32, True)]
    assert ModelConfig.from_dict(config.to_dict()) == config


def test_an_unknown_name_is_refused_with_those_known(registry) -> None:
    with pytest.raises(ConfigError, match="unknown architecture 'unet'; known are sgcldff"):
        build_network(replace(SMALL, architecture="unet"))


def test_a_name_cannot_be_taken_over(registry) -> None:
    builder = registry["sgcldff"]
    register_architecture("sgcldff", builder)
    with pytest.raises(ConfigError, match="an architecture 'sgcldff' already"):
        register_architecture("sgcldff", lambda config, imagenet: build_network(config))


def test_packages_announce_theirs(registry, monkeypatch: pytest.MonkeyPatch) -> None:
    """A module that an entry point names is imported once an unknown name is asked for, and registers it."""

    def load() -> None:
        register_architecture("theirs", registry["sgcldff"])

    monkeypatch.setattr(architectures, "entry_points", lambda group: [SimpleNamespace(load=load)])
    assert architectures.available_architectures()[-1] == "theirs"
    assert architectures.find_builder("theirs") is registry["sgcldff"]


def test_descriptions_from_before_there_were_others_are_ours() -> None:
    older = {k: v for k, v in SMALL.to_dict().items() if k not in ("architecture", "deepest")}
    assert ModelConfig.from_dict(older) == SMALL
