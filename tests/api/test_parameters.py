"""What can be set: made from the plug-ins' own schemas, with layer, default and who overrode it."""

import time
from collections.abc import Iterator

import pytest

from core.api.models import Parameter, Parameters, ParametersRequest
from core.settings.forms import forms
from core.settings.queue import QueueKeys
from core.settings.registry import plugin_class, plugin_names
from tests.running import Running, Site, local_settings

QUEUES = """
[queues.Q]
[queues.R]
chain = ["ready", "scale", "max-per-cycle"]
wrapper = "generic"
[queues.R.sched.max-per-cycle]
maximum = 5
[queues.R.wrapper_parameters]
command = ["true"]
[queues.R.attributes]
"my key" = 1
[queues.R.environment]
FRONTIER = "x"
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with Site(tmp_path_factory.mktemp("parameters"), local_settings(QUEUES)) as made:
        yield made


def asked(factory: Running, *queues: str, keys: tuple[str, ...] = ()) -> Parameters:
    return factory.post("/v1/parameters", ParametersRequest(queues=queues, keys=keys), Parameters)


def test_steps_of_the_chain_and_what_they_say_of_themselves(factory: Running) -> None:
    told = asked(factory, "Q", "R")
    q, r = told.queues
    keys = [p.key for p in q.values]
    steps = ["sched.ready.offset", "sched.max-pending.maximum"]
    assert keys[:5] == ["paused", "drain", "chain", *steps]
    assert not any(key.startswith("sched.scale") for key in keys), "not in its chain"
    assert "sched.scale.factor" in [p.key for p in r.values]
    maximum = q.values[4]
    assert (maximum.value, maximum.layer, maximum.default) == (100, "defaults", 100)
    assert told.forms[maximum.form] == {
        "type": "integer",
        "minimum": 0,
        "description": "Most pilots pending or held at a time.",
        "unit": "pilots",
    }
    shared = {p.key: p.form for p in q.values}
    for p in r.values:
        if p.key in shared and p.key != "wrapper_parameters.grace":
            assert p.form == shared[p.key], "each form is told once"


def test_wrapper_attributes_environment_and_names_to_choose_from(factory: Running) -> None:
    told = asked(factory, "R")
    found = {p.key: p for p in told.queues[0].values}

    def form(key: str) -> dict[str, object]:
        return told.forms[found[key].form]

    assert found["wrapper_parameters.command"].value == ["true"]
    assert "word by word" in str(form("wrapper_parameters.command")["description"])
    assert found["wrapper_parameters.grace"].value == 20
    assert form("wrapper_parameters.grace")["type"] == "integer"
    assert (found['attributes."my key"'].value, found['attributes."my key"'].layer) == (1, "queue")
    assert form("environment.FRONTIER")["type"] == "string"
    assert form("wms")["enum"] == ["jobs"]
    assert form("wrapper")["enum"] == ["directory", "generic"]
    assert found["resource_type"].value is None
    assert found["submit.plugin"].value == "local"
    assert set(dict(form("chain")["items"])["enum"]) >= {"ready", "scale"}  # type: ignore[call-overload]


def test_an_override_says_who_why_until_and_what_was_below(factory: Running) -> None:
    until = time.time() + 3600
    key = "sched.max-pending.maximum"
    assert factory.change("Q", key, 7, why="asked", until=until)[0] == 200
    told = asked(factory, "Q", keys=(key,))
    (queue,) = told.queues
    (found,) = queue.values
    assert (found.value, found.layer) == (7, "override")
    assert (found.default, found.default_layer) == (100, "defaults")
    assert found.override is not None
    assert (found.override.why, found.override.until) == ("asked", until)
    assert queue.revision == factory.queue("Q").revision
    assert factory.change("Q", key, None)[0] == 200
    (found,) = asked(factory, "Q", keys=(key,)).queues[0].values
    assert (found.value, found.override) == (100, None)


def test_a_step_that_an_operator_put_into_the_chain_can_be_set(factory: Running) -> None:
    chain = ["ready", "scale", "max-pending"]
    assert factory.change("Q", "chain", chain)[0] == 200
    found = {p.key: p for p in asked(factory, "Q").queues[0].values}
    factor = found["sched.scale.factor"]
    assert (factor.value, factor.default, factor.default_layer) == (1.0, 1.0, "built-in")
    assert factory.change("Q", "chain", None)[0] == 200


def test_every_value_that_is_listed_can_be_set_to_itself(factory: Running) -> None:
    def values(queue: str) -> dict[str, Parameter]:
        return {p.key: p for p in asked(factory, queue).queues[0].values}

    for queue in ("Q", "R"):
        for key, parameter in values(queue).items():
            if parameter.value is not None:
                code, answer = factory.change(queue, key, parameter.value)
                assert code == 200, answer
                assert values(queue)[key].layer == "override"
                assert factory.change(queue, key, None)[0] == 200


def test_no_such_queue_names_the_nearest(factory: Running) -> None:
    code, answer = factory.call("POST", "/v1/parameters", {"queues": ["QQ"]})
    assert code == 404
    assert "did you mean Q?" in answer["error"]
    assert factory.call("POST", "/v1/parameters", {"queues": []})[0] == 400


def test_hello_says_as_whom_the_ledger_knows_the_caller(factory: Running) -> None:
    you = factory.call("GET", "/v1/hello")[1]["you"]
    assert factory.change("Q", "paused", False)[1]["by"] == you
    assert factory.change("Q", "paused", None)[0] == 200


@pytest.mark.parametrize("name", plugin_names("sched"))
def test_every_parameter_of_a_step_has_a_help(name: str) -> None:
    for keys, form in forms(plugin_class("sched", name).params).items():
        assert form.get("description"), keys


def test_every_key_of_a_queue_has_a_help() -> None:
    tables = {"submit", "sched", "wrapper_parameters"}
    for (key, *_), form in forms(QueueKeys).items():
        assert key in tables or form.get("description"), key
