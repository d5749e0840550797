"""The table `[wms.X]` with plug-in panda: what an operator writes, and what is said if wrong."""

from pathlib import Path

import pytest

from core.model.errors import SettingsError
from core.settings.load import load
from core.settings.schema import Settings, WmsTable
from plugins.wms.panda import PandaParams

TEXT = """
[factory]
name = "test-01"
state = "state"
[wms.panda]
plugin = "panda"
{keys}
[wms.jobs]
plugin = "directory"
path = "payloads"
[batch.here]
plugin = "local"
path = "pilots"
[defaults]
wms = "panda"
batch = "here"
wrapper = "generic"
chain = ["ready", "max-pending"]
wrapper_parameters = {{ command = ["true"] }}
sched.max-pending.maximum = 10
[queues.Q]
labels = ["managed"]
resource_type = "MCORE"
"""
URL = 'url = "https://pandaserver.example.org:25443/"'


def loaded(folder: Path, keys: str) -> Settings:
    path = folder / "factory.toml"
    path.write_text(TEXT.format(keys=keys))
    return load(path)


def panda(settings: Settings) -> WmsTable:
    return settings.wms["panda"]


def test_the_least_that_must_be_said(tmp_path: Path) -> None:
    settings = loaded(tmp_path, URL)
    params = panda(settings).params
    assert isinstance(params, PandaParams)
    assert params.url == "https://pandaserver.example.org:25443"
    assert params.ca is None
    assert params.timeout < panda(settings).timing.deadline
    query = settings.queues["Q"].query
    assert (query.queue, query.resource_type, query.labels) == ("Q", "MCORE", ("managed",))


def test_lag_is_the_plugins_own_unless_the_file_says(tmp_path: Path) -> None:
    settings = loaded(tmp_path, URL)
    assert (panda(settings).lag, settings.wms["jobs"].lag) == (60, 0)
    assert panda(loaded(tmp_path, f'{URL}\nlag = "90s"')).lag == 90
    assert panda(loaded(tmp_path, f"{URL}\nlag = 0")).lag == 0


def test_a_relative_ca_starts_at_the_settings(tmp_path: Path) -> None:
    params = panda(loaded(tmp_path, f'{URL}\nca = "ca.pem"')).params
    assert isinstance(params, PandaParams)
    assert params.ca == tmp_path / "ca.pem"


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ("", "url is missing"),
        ('url = ""', "it is no address: write https://HOST:25443"),
        ('url = "pandaserver.example.org:25443"', "it is no address"),
        ('url = "ftp://pandaserver.example.org"', "it is no address"),
        ('url = "https://"', "it is no address"),
        ('url = "https://a b"', "it is no address"),
        ('url = "https://a\\nb"', "it is no address"),
        ('url = "https://host:0"', "it is no address"),
        ('url = "https://host:99999"', "Port out of range"),
        ('url = "https://me:secret@host"', "it has a name or password in it: none are needed"),
        ('url = "https://host:25443/server/panda"', "it goes on after the host and port"),
        ('url = "https://host/?type=all"', "it goes on after the host and port"),
        (f'{URL}\ncertificate = "x"', "unknown key certificate"),
        (f'{URL}\nuser = "x"', "unknown key user"),
        (f"{URL}\ntimeout = 0", "timeout = 0"),
        (f"{URL}\nlag = -1", "lag = -1"),
        (f'{URL}\ntest_labels = "test"', 'test_labels = "test"'),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, keys: str, said: str) -> None:
    with pytest.raises(SettingsError) as caught:
        loaded(tmp_path, keys)
    line = str(caught.value)
    assert "[wms.panda]" in line
    assert said in line
