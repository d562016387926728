"""What docs/privacy.md promises is what the settings and the code say."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

from avskrift.jobs import deletion
from avskrift.jobs.fleet import RECORD_TTL_S
from avskrift.jobs.instance_prices import KEEP_S
from avskrift.jobs.layout import RESULTS_PREFIX, UPLOADS_PREFIX, WORK_PREFIX
from avskrift.jobs.outbox import MIN_TTL_S
from infra.config import Config
from infra.limits import MESSAGE_RETENTION_S
from infra.storage import RESULTS_UNDO_DAYS, UNFINISHED_UPLOAD_DAYS
from instance.results import MAX_LINK_S

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "privacy.md").read_text(encoding="utf-8")
DAY_S = 86_400
DEFAULTS = {item.name: item.default for item in fields(Config)}


def row(begins: str) -> str:
    """The line of the table about this."""
    return next(line for line in PAGE.splitlines() if line.startswith(f"| {begins}"))


@pytest.mark.parametrize(
    ("begins", "setting"),
    [
        ("recordings", "uploads_expire_days"),
        ("a recording that was deleted", "uploads_expire_days"),
        ("transcripts", "results_expire_days"),
        ("checkpoints", "work_expire_days"),
        ("jobs", "job_ttl_days"),
        ("ids, states", "log_retention_days"),
    ],
)
def test_periods_are_the_settings_defaults(begins: str, setting: str) -> None:
    assert f"{DEFAULTS[setting]} days" in row(begins)
    assert f"`{setting}`" in row(begins)


def test_periods_that_no_setting_changes_are_the_codes() -> None:
    assert f"{UNFINISHED_UPLOAD_DAYS} days" in row("parts of an upload")
    assert f"{RESULTS_UNDO_DAYS} more as old version" in row("transcripts")
    assert f"at least {MIN_TTL_S // DAY_S} days" in row("webhooks")
    assert f"live {MAX_LINK_S // 3600} hours at most" in row("webhooks")
    assert f"at most {MESSAGE_RETENTION_S // DAY_S} days each" in row("events of uploads")
    assert f"{RECORD_TTL_S // DAY_S} and {KEEP_S // DAY_S} days" in row("launches")
    assert f"delete again after {deletion.LETTING_GO_S / 60:.0f} minutes" in PAGE
    assert deletion.EMPTIED_TTL_S == DAY_S and "stays for it, for a day" in PAGE


def test_every_prefix_of_the_bucket_is_told_of() -> None:
    assert all(f"`{prefix}" in PAGE for prefix in (UPLOADS_PREFIX, RESULTS_PREFIX, WORK_PREFIX))


def test_every_setting_that_is_named_exists() -> None:
    named = set(re.findall(r"`([a-z]+(?:_[a-z]+)+)`", PAGE)) - {"object_gone"}
    assert named <= DEFAULTS.keys()
    assert len(named) >= 7
