from __future__ import annotations

import re
from pathlib import Path

import pytest

from underpaint.config_file import config_file
from underpaint.server.config import Config, read_config
from underpaint.server.retention import RAISE_LIMIT, Retention
from underpaint_client.errors import BadInputError


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("", Config()),
        ("[results]\ndays = 0.5\n", Config(Retention(0.5, 4))),
        (
            "[serve]\nbind = ['tcp://*:7', 'tcp://[::]:8']",
            Config(bind=("tcp://*:7", "tcp://[::]:8")),
        ),
        (
            "[serve]\nipc = false\ndevices = ['cuda:1', 'cpu']\n[results]\ngigabytes = 1",
            Config(Retention(7, 1), ipc=False, devices=("cuda:1", "cpu")),
        ),
        ("[models]\nfolders = ['/x', '~/y']", Config(folders=("/x", "~/y"))),
        ("[memory]\nquantise = 'fp8'", Config(quantise="fp8")),
    ],
)
def test_what_is_set(home: Path, text: str, wanted: Config) -> None:
    assert read_config() == Config()
    config_file().write_text(text)
    assert read_config() == wanted


def test_the_way_out_of_a_full_disk_names_a_setting_that_there_is(home: Path) -> None:
    named = re.fullmatch(r"raise `(\w+)` under (\[\w+\]) in config\.toml", RAISE_LIMIT)
    assert named
    config_file().write_text(f"{named[2]}\n{named[1]} = 9\n")
    assert read_config().retention.gigabytes == 9


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[results]\ndays = -1", r"days under \[results\] is -1; give a number above 0"),
        ("[results]\ndays = 'seven'", r"days under \[results\] is 'seven'; give a number"),
        ("[results]\ndays = true", "days under .* is True; give a number"),
        ("[results]\ngigabytes = nan", "gigabytes under .* is nan; give a number"),
        ("[results]\nweeks = 1", r"weeks under \[results\] is unknown; there are days and gigab"),
        (
            "[result]\ndays = 1",
            r"config.toml: result is unknown; there are \[results\], \[serve\], \[models\],"
            r" \[memory\]",
        ),
        ("results = 1", "results is unknown"),
        (
            "[serve]\nbind = 'tcp://*:7'",
            r"bind under \[serve\] is 'tcp://\*:7'; give a list of texts",
        ),
        (
            "[serve]\nbind = ['udp://*:7']",
            "config.toml: 'udp://\\*:7' is not an address to listen on",
        ),
        (
            "[memory]\nquantise = 'int4'",
            "quantise under .memory. is 'int4'; give one of auto, never",
        ),
        ("[memory]\nquantise = []", r"quantise under \[memory\] is \[\]; give one of auto, never"),
        ("[serve]\nipc = 1", r"ipc under \[serve\] is 1; give true or false"),
        ("[serve]\ndevices = ['gpu']", "device 'gpu' is unknown; give auto, cpu"),
        ("[serve]\ndevices = []", r"devices under \[serve\] is empty; remove the line for auto"),
        (
            "[serve]\nport = 1",
            r"port under \[serve\] is unknown; there are bind and ipc and devices",
        ),
        ("[models]\nfolders = ['x']", "'x' is relative; give the whole path"),
        ("[models]\nfolders = '/x'", r"folders under \[models\] is '/x'; give a list of texts"),
        ("results = [", "config.toml"),
        ("\\ud800", "config.toml"),
    ],
)
def test_what_cannot_be_set_is_named(home: Path, text: str, told: str) -> None:
    config_file().write_text(text)
    with pytest.raises(BadInputError, match=told):
        read_config()
