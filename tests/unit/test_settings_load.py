"""From files to settings: what an operator writes, what comes of it, and what is said if wrong."""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from core.model.errors import SettingsError
from core.settings.load import load
from core.settings.schema import QueueSettings, Settings

HEAD = """
[factory]
name = "test-01"
state = "state"
[wms.jobs]
plugin = "directory"
path = "payloads"
[batch.here]
plugin = "local"
path = "pilots"
"""
DEFAULTS = """
[defaults]
wms = "jobs"
batch = "here"
chain = ["ready", "max-per-cycle", "max-pending"]
[defaults.sched.max-per-cycle]
maximum = 50
[defaults.sched.max-pending]
maximum = 100
"""
HOSTILE = "q\"\n$(touch x)`id`{{7*7}}[/x]\x1b[31m\x1b]52;c;aGk=\x07\\'; rm -rf ~"


def written(folder: Path, text: str, **queue_files: str) -> Path:
    path = folder / "factory.toml"
    path.write_text(text)
    for name, queues in queue_files.items():
        (folder / "queues.d").mkdir(exist_ok=True)
        (folder / "queues.d" / f"{name}.toml").write_text(queues)
    return path


def loaded(folder: Path, text: str, **queue_files: str) -> Settings:
    return load(written(folder, text, **queue_files))


def problems_of(folder: Path, text: str, **queue_files: str) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        loaded(folder, text, **queue_files)
    return str(caught.value).splitlines()


def values(queue: QueueSettings) -> dict[str, tuple[Any, str, str]]:
    return {v.key: (v.value, v.layer, Path(v.where).name) for v in queue.values}


def test_the_settings_of_the_contract(tmp_path: Path) -> None:
    settings = loaded(
        tmp_path,
        HEAD
        + """
[defaults]
wms = "jobs"
batch = "here"
wrapper = "generic"
chain = ["ready", "max-per-cycle", "max-pending"]
[defaults.sched.max-per-cycle]
maximum = 50
[queues.BNL_PROD-gridgk01]
wms_queue = "BNL_PROD"
resource_type = "MCORE"
labels = ["managed"]
attributes = { maxMemory = 2000, "+Odd" = "x", ok = true, factor = 1.5 }
environment = { HOME = "/tmp" }
submit = { plugin = "local" }
[queues.BNL_PROD-gridgk01.sched.max-pending]
maximum = 100
""",
    )
    assert settings.factory.state == tmp_path / "state"
    assert (settings.factory.cycle, settings.factory.max_submit) == (60.0, 1000)
    wms, batch = settings.wms["jobs"], settings.batch["here"]
    assert wms.params.model_dump()["path"] == tmp_path / "payloads"
    assert (wms.timing.period, wms.timing.deadline, wms.timing.max_age, wms.lag) == (60, 20, 360, 0)
    assert (batch.timing.period, batch.timing.max_age, batch.submit_deadline) == (30, 90, 60)
    queue = settings.queues["BNL_PROD-gridgk01"]
    assert queue.query.model_dump() == {
        "queue": "BNL_PROD",
        "resource_type": "MCORE",
        "labels": ("managed",),
    }
    assert (queue.wms, queue.batch, queue.submit_plugin) == ("jobs", "here", "local")
    assert queue.attributes == {"maxMemory": 2000, "+Odd": "x", "ok": True, "factor": 1.5}
    assert type(queue.attributes["ok"]) is bool
    assert not queue.paused
    assert [(link.plugin, link.params.model_dump()) for link in queue.chain] == [
        ("ready", {"offset": 0}),
        ("max-per-cycle", {"maximum": 50}),
        ("max-pending", {"maximum": 100}),
    ]
    shown = values(queue)
    assert shown["sched.max-per-cycle.maximum"] == (50, "defaults", "factory.toml")
    assert shown["sched.max-pending.maximum"] == (100, "queue", "factory.toml")
    assert shown["sched.ready.offset"] == (0, "built-in", "")
    assert shown['attributes."+Odd"'] == ("x", "queue", "factory.toml")
    assert shown["wrapper"] == ("generic", "defaults", "factory.toml")
    assert shown["paused"] == (False, "built-in", "")


def test_timing_keys_and_what_follows_from_them(tmp_path: Path) -> None:
    head = HEAD.replace(
        'path = "pilots"', 'path = "/p"\nperiod = "2m"\ndeadline = 5\nsubmit_deadline = "1h"'
    ).replace('path = "payloads"', 'path = "/w"\nlag = "90s"\nmax_age = "10m"')
    settings = loaded(tmp_path, head + DEFAULTS)
    wms, batch = settings.wms["jobs"], settings.batch["here"]
    assert (wms.lag, wms.timing.max_age) == (90, 600)
    assert (batch.timing.period, batch.timing.max_age) == (120, 360), "three periods"
    assert (batch.timing.deadline, batch.submit_deadline) == (5, 3600)


def test_layers_from_built_in_to_the_settings_file(tmp_path: Path) -> None:
    settings = loaded(
        tmp_path,
        HEAD + DEFAULTS + "[queues.A.sched.max-pending]\nmaximum = 3\n",
        a='[queues.A]\nwms_queue = "SITE"\n[queues.A.sched.max-pending]\nmaximum = 2\n'
        "[queues.A.sched.max-per-cycle]\nmaximum = 4\n",
        b="[queues.B]\n",
    )
    shown = values(settings.queues["A"])
    assert shown["wms_queue"] == ("SITE", "folder", "a.toml")
    assert shown["sched.max-per-cycle.maximum"] == (4, "folder", "a.toml")
    assert shown["sched.max-pending.maximum"] == (3, "queue", "factory.toml")
    assert values(settings.queues["B"])["wms_queue"] == ("B", "built-in", "")
    assert list(settings.queues) == ["A", "B"]


def test_config_plug_ins_come_in_the_files_order(tmp_path: Path) -> None:
    for name, maximum in (("one", 1), ("two", 2)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "q.toml").write_text(f"[queues.Q.sched.max-pending]\nmaximum={maximum}")
        (tmp_path / name / ".hidden.toml").write_text("not toml")
        (tmp_path / name / "notes.txt").write_text("not toml")
    for first, second in (("one", "two"), ("two", "one")):
        text = "".join(f'[config.{n}]\nplugin = "folder"\npath = "{n}"\n' for n in (first, second))
        queue = loaded(tmp_path, HEAD + DEFAULTS + text).queues["Q"]
        expected = {"one": 1, "two": 2}[second]
        assert values(queue)["sched.max-pending.maximum"] == (expected, second, "q.toml")


def test_a_table_of_parameters_is_known_key_by_key(tmp_path: Path) -> None:
    text = HEAD + DEFAULTS.replace('"ready"', '"activated"')
    text += "[defaults.sched.activated]\ntestmode.allowed = true\n[queues.A]\n"
    text += "[queues.B.sched.activated.testmode]\npilots = 4\n"
    settings = loaded(tmp_path, text)
    a, b = values(settings.queues["A"]), values(settings.queues["B"])
    key = "sched.activated.testmode"
    assert key not in a
    assert a[f"{key}.allowed"] == b[f"{key}.allowed"] == (True, "defaults", "factory.toml")
    assert a[f"{key}.pilots"] == (0, "built-in", "")
    assert b[f"{key}.pilots"] == (4, "queue", "factory.toml")
    assert a[f"{key}.max_pending"] == b[f"{key}.max_pending"] == (10, "built-in", "")
    link = settings.queues["B"].chain[0]
    assert link.params.model_dump()["testmode"] == {
        "allowed": True,
        "pilots": 4,
        "max_pending": 10,
    }
    assert "sched.activated.max_jobs_torun" not in a, "there is no such bound"


def test_drain_and_apf_compat_are_of_the_queue_or_of_all(tmp_path: Path) -> None:
    text = HEAD + DEFAULTS.replace("[defaults]", "[defaults]\napf_compat = true")
    settings = loaded(tmp_path, text + "[queues.A]\ndrain = true\n[queues.B]\napf_compat = false\n")
    a, b = settings.queues["A"], settings.queues["B"]
    assert (a.apf_compat, a.drain) == (True, True)
    assert (b.apf_compat, b.drain) == (False, False)
    assert values(a)["apf_compat"] == (True, "defaults", "factory.toml")
    assert values(b)["apf_compat"] == (False, "queue", "factory.toml")
    assert values(a)["drain"] == (True, "queue", "factory.toml")
    assert values(b)["drain"] == (False, "built-in", "")


def test_the_same_queue_in_two_files_names_both(tmp_path: Path) -> None:
    (problem,) = problems_of(
        tmp_path, HEAD + DEFAULTS, a="[queues.Q]\n", b="[queues.Q]\n[queues.R]\n"
    )
    assert "a.toml" in problem
    assert "b.toml" in problem
    assert "'Q'" in problem


def test_another_submit_plug_in_drops_the_parameters_of_the_one_below(tmp_path: Path) -> None:
    settings = HEAD + DEFAULTS + '[defaults.submit]\nplugin = "nowhere"\nx = 1\n[queues.Q]\n'
    lines = problems_of(tmp_path, settings)
    assert any("[defaults.submit] no submit plug-in 'nowhere'" in line for line in lines)
    queue = 'submit = { plugin = "local" }\n'
    lines = problems_of(tmp_path, settings + queue)
    assert all("[defaults" in line for line in lines), "queue Q itself is fine: x was dropped"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("factry = 1\n" + HEAD, "unknown table or key factry; did you mean factory?"),
        (HEAD.replace("name =", "nme ="), "[factory] unknown key nme; did you mean name?"),
        (HEAD.replace("name =", "nme ="), "[factory] name is missing; set name"),
        (HEAD.replace('"test-01"', '"a b"'), '[factory] name = "a b": '),
        (HEAD.replace('"state"', "true"), "[factory] state = true: "),
        (HEAD.replace('state = "state"', 'state="s"\ncycle = "1 week"'), "[factory] cycle = "),
        (HEAD.replace('state = "state"', 'state="s"\ncycle = true'), "[factory] cycle = true: "),
        (HEAD.replace('state = "state"', 'state="s"\ncycle = inf'), "[factory] cycle: inf is no"),
        (HEAD.replace('"directory"', '"direktory"'),
         "[wms.jobs] no wms plug-in 'direktory' is installed; did you mean directory?"),
        (HEAD.replace('plugin = "local"\n', ""), "[batch.here] plugin is missing; set plugin to"),
        (HEAD.replace('"local"', '"local"\nperiode = 3'),
         "[batch.here] unknown key periode; did you mean period?"),
        (HEAD.replace('"local"', '"local"\npth = "x"'),
         "[batch.here] unknown key pth; did you mean path?"),
        (HEAD.replace('"local"', '"local"\nperiod = true'), "[batch.here] period = true: "),
        (HEAD.replace('"local"', '"local"\nmax_age = 5'), "[batch.here] max_age 5s is shorter"),
        (HEAD.replace("[batch.here]", '[batch."he re"]'), '[batch."he re"] is no name'),
        (HEAD + "[config.f]\nplugin = 'folder'\npath = 'gone'\n", "gone: cannot be listed"),
        (HEAD + "[config.f]\nplugin = 'foldr'\n", "did you mean folder?"),
        (HEAD + DEFAULTS.replace('"jobs"', '"job"'),
         '[defaults] wms = "job": no such table [wms.X]; did you mean jobs?'),
        (HEAD + DEFAULTS.replace('"here"', '"hree"'), '[defaults] batch = "hree": no such table'),
        (HEAD + DEFAULTS.replace("ready", "redy"),
         "[defaults] no sched plug-in 'redy' is installed; did you mean ready?"),
        (HEAD + DEFAULTS + "[defaults.sched.scal]\n", "'scal' is installed; did you mean scale?"),
        (HEAD + DEFAULTS + "[defaults.sched.scale]\nfactr = 1\n",
         "[defaults.sched.scale] unknown key factr; did you mean factor?"),
        (HEAD + DEFAULTS + "[defaults.sched.scale]\nfactor = nan\n",
         "[defaults.sched.scale] factor: nan is no number"),
        (HEAD + DEFAULTS.replace("50", '"50"'),
         '[defaults.sched.max-per-cycle] maximum = "50": should be a valid integer'),
        (HEAD + DEFAULTS.replace("50", "50.5"), "[defaults.sched.max-per-cycle] maximum = 50.5: "),
        (HEAD + DEFAULTS.replace("50", "50.0"), "[defaults.sched.max-per-cycle] maximum = 50.0: "),
        (HEAD + DEFAULTS.replace("50", "true"), "[defaults.sched.max-per-cycle] maximum = true: "),
        (HEAD + DEFAULTS.replace("50", "-1"), "[defaults.sched.max-per-cycle] maximum = -1: "),
        (HEAD + DEFAULTS.replace("maximum = 50", ""),
         "step max-per-cycle is in the chain without its maximum; set maximum in "
         "[queues.Q.sched.max-per-cycle] or [defaults.sched.max-per-cycle]"),
        (HEAD + DEFAULTS + "[queues.Q]\npaused = 1\n", "[queues.Q] paused = 1: "),
        (HEAD + DEFAULTS + "[queues.Q]\ndrain = 1\n", "[queues.Q] drain = 1: "),
        (HEAD + DEFAULTS + "[queues.Q]\napf_compt = true\n", "did you mean apf_compat?"),
        (
            HEAD + DEFAULTS.replace('"ready"', '"activated"')
            + "[queues.Q.sched.activated]\ntestmode.alowed = true\n",
            "[queues.Q.sched.activated.testmode] unknown key alowed; did you mean allowed?",
        ),
        (
            HEAD + DEFAULTS.replace('"ready"', '"activated"')
            + "[queues.Q.sched.activated]\ntestmode = 5\n",
            "testmode = 5: ",
        ),
        (
            HEAD + DEFAULTS.replace('"ready"', '"nqueue"') + "[queues.Q]\n",
            "step nqueue is in the chain without its nqueue",
        ),
        (HEAD + DEFAULTS + '[queues.Q]\npaused = "yes"\n', '[queues.Q] paused = "yes": '),
        (HEAD + DEFAULTS + "[queues.Q]\nwrappr = 'x'\n", "[queues.Q] unknown key wrappr; did you "
         "mean wrapper?"),
        (HEAD + DEFAULTS + "[queues.Q]\nchain = []\n", "[queues.Q] chain = []: "),
        (HEAD + DEFAULTS + "[queues.Q]\nlabels = 'x'\n", '[queues.Q] labels = "x": '),
        (HEAD + DEFAULTS + "[queues.Q]\nwms_queue = ''\n", '[queues.Q] wms_queue = "": '),
        (HEAD + DEFAULTS + "[queues.Q.max-pending]\nmaximum = 1\n", "[queues.Q] unknown key "
         "max-pending; the parameters of a step stand in table sched.max-pending"),
        (HEAD + DEFAULTS + "[queues.Q.sched.scale]\nfactor = 2.0\n", "[queues.Q.sched.scale] step "
         "scale is not in the queue's chain (ready, max-per-cycle, max-pending); add it"),
        (HEAD + DEFAULTS + "[queues.Q.sched.max-pendin]\nmaximum = 2\n",
         "[queues.Q.sched.max-pendin] no sched plug-in 'max-pendin' is installed; did you mean "
         "max-pending?"),
        (HEAD + DEFAULTS + "[queues.Q.attributes]\nx = [1]\n", "[queues.Q.attributes] x = [1]: "),
        (HEAD + DEFAULTS + "[queues.Q.attributes]\nx = 2020-01-01\n",
         "[queues.Q.attributes] x: dates and times are no settings"),
        (HEAD + DEFAULTS + "[queues.Q.environment]\nX = 1\n", "[queues.Q.environment] X = 1: "),
        (HEAD + DEFAULTS + "[queues.Q.submit]\nplugin = 'lokal'\n",
         "[queues.Q.submit] no submit plug-in 'lokal' is installed; did you mean local?"),
        (HEAD + DEFAULTS + "[queues.Q.submit]\nxyz = 1\n", "[queues.Q.submit] unknown key xyz"),
        (HEAD + DEFAULTS + "[queues.Q.submit]\nplugin = 'htcondor'\n",
         '[queues.Q.submit] plug-in "htcondor" cannot submit to batch "here", whose plug-in is '
         '"local"; name another batch, or leave submit.plugin out'),
        (HEAD + DEFAULTS + "[queues]\nQ = 5\n", "[queues] Q is no table"),
        (HEAD + DEFAULTS + '[queues." "]\n', "[queues] a queue has no name"),
        (HEAD + '[queues.Q]\nbatch = "here"\n', "[queues.Q] the queue has no chain; set chain"),
        (HEAD + '[queues.Q]\nchain = ["null"]\n', "[queues.Q] the queue has no batch; set batch"),
        (HEAD + DEFAULTS.replace('wms = "jobs"', "") + "[queues.Q]\n",
         "step ready needs a WMS and the queue has none; set wms ="),
    ],
)  # fmt: skip
def test_what_is_wrong_names_file_table_key_and_cure(
    tmp_path: Path, text: str, expected: str
) -> None:
    if "[queues" not in text and "[defaults]" in text:
        text += "[queues.Q]\n"
    lines = problems_of(tmp_path, text)
    (found,) = [line for line in lines if expected in line] or [f"not among: {lines}"]
    assert expected in found
    assert str(tmp_path) in found


def test_all_problems_are_told_at_once_and_each_once(tmp_path: Path) -> None:
    text = HEAD.replace("name =", "nme =") + DEFAULTS.replace("50", '"50"')
    lines = problems_of(
        tmp_path,
        text + "".join(f"[queues.Q{n}]\n" for n in range(9)) + "[queues.R]\npausd = 1\n",
        a="[queues.S\n",
        b="[qeues.T]\n",
    )
    assert lines[0] == "6 problems in the settings:"
    for part in ("nme", "name is missing", '"50"', "pausd", "a.toml: no valid", "b.toml: qeues:"):
        assert len([line for line in lines if part in line]) == 1, (part, lines)


def test_a_problem_names_the_file_that_the_value_was_written_in(tmp_path: Path) -> None:
    text = HEAD + DEFAULTS + "[queues.S]\nlabels = 3\n"
    lines = problems_of(tmp_path, text, a="[queues.S]\nwms = 5\n")
    assert [line for line in lines if line.startswith(f"{tmp_path}/queues.d/a.toml: ")] == [
        f"{tmp_path}/queues.d/a.toml: [queues.S] wms = 5: should be a valid string; "
        "put it in quotes"
    ]
    assert any(line.startswith(f"{tmp_path}/factory.toml: [queues.S] labels = 3") for line in lines)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"[factory]\nname = \n", "line 2"),
        (b"[factory]\na = [1,\n", "line 3"),
        (b"a = \xff\n", "not UTF-8"),
        (b"a = " + b"[" * 100_000, "no valid TOML"),
        (b"a = " + b"9" * 5000, "no valid TOML"),
        (b"a = 1\na = 2\n", "line 2"),
    ],
)
def test_a_file_that_is_no_toml_says_where(tmp_path: Path, content: bytes, expected: str) -> None:
    path = tmp_path / "factory.toml"
    path.write_bytes(content)
    with pytest.raises(SettingsError) as caught:
        load(path)
    assert str(path) in str(caught.value)
    assert expected in str(caught.value)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"nowhere.toml: cannot be read: No such file"):
        load(tmp_path / "nowhere.toml")


def test_a_queue_without_wms_is_fine_if_nobody_asks_it(tmp_path: Path) -> None:
    text = '[queues.Q]\nbatch = "here"\nchain = ["fixed"]\nsched.fixed.pilots_per_cycle = 1\n'
    queue = loaded(tmp_path, HEAD + text).queues["Q"]
    assert queue.wms is None
    assert "wms" not in values(queue)


def test_parameters_in_defaults_for_other_chains_do_not_count(tmp_path: Path) -> None:
    text = HEAD + DEFAULTS + "[defaults.sched.scale]\nfactor = 0.5\n[queues.Q]\n"
    with_them = loaded(tmp_path, text).queues["Q"]
    without = loaded(tmp_path, HEAD + DEFAULTS + "[queues.Q]\n").queues["Q"]
    assert not any("scale" in key for key in values(with_them))
    assert with_them.revision == without.revision


def test_a_hostile_queue_name_is_one_visible_line_everywhere(tmp_path: Path) -> None:
    text = HEAD + DEFAULTS + f"[queues.{json.dumps(HOSTILE)}]\n"
    ((name, queue),) = loaded(tmp_path, text).queues.items()
    assert name == queue.name
    assert name.isprintable()
    assert name.startswith('q"\\x0a$(touch x)`id`{{7*7}}[/x]\\x1b[31m')
    (problem,) = problems_of(tmp_path, text + "pausd = true\n")
    assert problem.isprintable()
    assert "did you mean paused?" in problem


def test_two_names_that_become_equal_are_an_error(tmp_path: Path) -> None:
    (problem,) = problems_of(tmp_path, HEAD + DEFAULTS + '[queues."a\\u001b"]\n[queues."a\\\\x1b"]')
    assert "two queues have this name" in problem
    (problem,) = problems_of(
        tmp_path, HEAD + DEFAULTS + '[queues."a\\u001b"]', a='[queues."a\\\\x1b"]\n'
    )
    assert "two queues have this name" in problem


def test_the_revision_changes_with_every_value_and_its_layer(tmp_path: Path) -> None:
    base = HEAD + DEFAULTS + "[queues.Q]\n"
    revisions = [
        loaded(tmp_path, base + more).queues["Q"].revision
        for more in (
            "",
            "[queues.Q.sched.max-pending]\nmaximum = 100\n",  # the same number, another layer
            "[queues.Q.sched.max-pending]\nmaximum = 101\n",
            "attributes = { x = 1 }\n",
            "attributes = { x = true }\n",
            'attributes = { x = "1" }\n',
            "paused = true\n",
            'wrapper_parameters = { command = ["sleep", "1"] }\n',
            'wrapper_parameters = { command = ["sleep 1"] }\n',
        )
    ]
    assert len(set(revisions)) == len(revisions)


def test_the_revision_is_the_same_in_every_process(tmp_path: Path) -> None:
    path = written(tmp_path, HEAD + DEFAULTS + "[queues.Q]\nattributes = { b = 1, a = 2 }\n")
    code = (
        "import sys; from pathlib import Path; from core.settings.load import load;"
        "print(load(Path(sys.argv[1])).queues['Q'].revision)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == load(path).queues["Q"].revision


def test_a_thousand_queues_load_in_well_under_two_seconds(tmp_path: Path) -> None:
    queues = "".join(
        f'[queues.Q{n}]\nwms_queue = "S{n}"\nattributes = {{ maxMemory = {n} }}\n'
        f"[queues.Q{n}.sched.max-pending]\nmaximum = {n}\n"
        for n in range(1000)
    )
    path = written(tmp_path, HEAD + DEFAULTS, all=queues)
    # Processor time: the machine's other work is no property of the loader.
    start = time.process_time()
    settings = load(path)
    assert time.process_time() - start < 2
    assert len(settings.queues) == 1000
    assert settings.queues["Q7"].query.queue == "S7"
