"""Groups of options: a dataclass as a parameter is its fields on the command line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from avskrift.cli.option_groups import flat


@dataclass(frozen=True)
class Size:
    width: Annotated[int, typer.Option("--width", min=1)] = 3
    height: Annotated[int | None, typer.Option("--height")] = None


@dataclass(frozen=True)
class Kind:
    kind: Annotated[str, typer.Option("--kind")]


@pytest.fixture
def asked() -> list[object]:
    return []


@pytest.fixture
def app(asked: list[object]) -> typer.Typer:
    def draw(
        name: Annotated[str, typer.Argument()],
        size: Size,
        *,
        loud: Annotated[bool, typer.Option("--loud")] = False,
        kind: Kind,
    ) -> None:
        """Draw something."""
        asked.extend([name, size, loud, kind])

    made = typer.Typer()
    made.command()(flat(draw))
    return made


def test_options_of_a_group_arrive_as_one(app: typer.Typer, asked: list[object]) -> None:
    done = CliRunner().invoke(app, ["box", "--height", "7", "--loud", "--kind", "red"])
    assert done.exit_code == 0, done.output
    assert asked == ["box", Size(3, 7), True, Kind("red")]


@pytest.mark.parametrize("arguments", [["--kind", "red", "--width", "0"], [], ["--kind", "red", "--size", "1"]])
def test_they_are_checked_as_parameters_are(app: typer.Typer, asked: list[object], arguments: list[str]) -> None:
    assert CliRunner().invoke(app, ["box", *arguments]).exit_code == 2
    assert asked == []


def test_the_help_shows_them_in_their_order(app: typer.Typer) -> None:
    said = CliRunner().invoke(app, ["--help"]).output
    places = [said.index(option) for option in ("Draw something", "--width", "--height", "--loud", "--kind")]
    assert places == sorted(places)
