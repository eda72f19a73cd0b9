"""The manifest: valid, found where the package is installed, and each of its commands is there."""

from __future__ import annotations

from importlib.metadata import distribution
from pathlib import Path

import pytest
from npe2 import PluginManifest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def manifest() -> PluginManifest:
    """Return the manifest as napari finds it."""
    return PluginManifest.from_distribution("napari-sgcldff")


def test_the_installed_manifest_is_the_one_at_the_root(manifest: PluginManifest) -> None:
    assert manifest.contributions == PluginManifest.from_file(ROOT / "napari.yaml").contributions
    assert distribution("napari-sgcldff").version == manifest.package_version


def test_every_command_can_be_imported(manifest: PluginManifest) -> None:
    manifest.validate_imports()


def test_every_command_says_what_it_does_and_is_used(manifest: PluginManifest) -> None:
    contributions = manifest.contributions
    used = {
        contribution.command
        for group in (contributions.readers, contributions.writers, contributions.sample_data, contributions.widgets)
        for contribution in group or ()
    }
    commands = {command.id for command in contributions.commands or ()}
    assert used == commands
    assert {item.command for items in contributions.menus.values() for item in items} <= commands
