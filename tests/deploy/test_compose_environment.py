"""docker-compose.yml: passes every setting, hardens every container, and is written so that Compose 1.29 accepts it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from parley.configuration.families import Environment

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docker-compose.yml").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
EXAMPLE = dict(re.findall(r"^#([A-Z0-9_]+)=(.*)$", (ROOT / ".env.example").read_text(), re.MULTILINE))
FRONT = {"NGINX_BIND", "NGINX_PORT", "NGINX_WORKERS", "NGINX_READ_TIMEOUT"}  # for Compose itself and for nginx
FIXED = {  # places inside a container
    "PARLEY_URL": "http://nginx:8080",
    "PARLEY_STATE_DIR": "/var/lib/parley",
    "PARLEY_CONFIG": "/etc/parley/parley.yaml",
    "PARLEY_MODEL_CONFIG": "/etc/parley/model-config.json",
}


def seconds(text: str) -> int:
    return int(re.fullmatch(r"(\d+)s", text)[1])


@pytest.mark.parametrize("service", ["gateway", "keeper", "console"])
def test_every_setting_of_the_example_is_passed_under_its_own_name(service: str) -> None:
    told = SERVICES[service]["environment"]
    for name in EXAMPLE.keys() - FRONT - FIXED.keys():
        assert re.fullmatch(rf"\$\{{{name}:-[^$]*\}}", told[name]), f"{name} is passed as {told[name]!r}"
    assert {name: told[name] for name in FIXED} == FIXED
    assert told.keys() <= EXAMPLE.keys()


def test_nginx_gets_its_own_settings_with_their_defaults() -> None:
    told = SERVICES["nginx"]["environment"]
    for name in ("NGINX_WORKERS", "NGINX_READ_TIMEOUT"):
        assert told[name] == f"${{{name}:-{EXAMPLE[name]}}}"


def test_where_nginx_is_published_comes_from_the_example_too() -> None:
    bind, port = EXAMPLE["NGINX_BIND"], EXAMPLE["NGINX_PORT"]
    assert SERVICES["nginx"]["ports"] == [f"${{NGINX_BIND:-{bind}}}:${{NGINX_PORT:-{port}}}:8080"]
    assert bind == "127.0.0.1"
    assert not any("ports" in SERVICES[name] for name in SERVICES if name != "nginx")


def test_defaults_that_compose_repeats_are_those_of_the_settings() -> None:
    for service in SERVICES.values():
        for name, text in service.get("environment", {}).items():
            default = re.sub(r"^\$\{\w+:-(.*)\}$", r"\1", text)
            if default and name in EXAMPLE and name not in {*FIXED, "REDIS_URL", "GRACEFUL_SECONDS"}:
                assert default == str(Environment.model_fields[name.lower()].default), name


@pytest.mark.parametrize("name", SERVICES)
def test_every_container_is_hardened_and_bounded(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["init"] is True
    assert int(service["user"].split(":")[0]) > 0
    assert service["mem_limit"]
    assert service["pids_limit"]
    assert service["logging"]["options"].keys() == {"max-size", "max-file"}
    assert service["healthcheck"]["test"][0] == "CMD"
    assert "stop_grace_period" in service
    assert "privileged" not in service


def test_parts_start_after_what_they_need() -> None:
    def needs(name: str) -> dict[str, Any]:
        return SERVICES[name].get("depends_on", {})

    healthy = {"condition": "service_healthy"}
    assert needs("nginx") == {"gateway": healthy}
    assert needs("gateway") == needs("keeper") == needs("console") == {"redis": healthy}


def test_running_streams_get_the_time_they_are_promised() -> None:
    streams = int(re.search(r":-(\d+)", SERVICES["gateway"]["environment"]["GRACEFUL_SECONDS"])[1])
    assert seconds(SERVICES["gateway"]["stop_grace_period"]) > streams + 5
    shutdown = seconds(re.search(r"worker_shutdown_timeout (\w+);", (ROOT / "nginx.conf").read_text())[1])
    assert streams + 5 < shutdown < seconds(SERVICES["nginx"]["stop_grace_period"])


def test_nginx_waits_longer_than_any_answer_may_take_and_closes_idle_connections_first() -> None:
    nginx = (ROOT / "nginx.conf").read_text()
    wait = seconds(re.search(r":-(\w+)\}", SERVICES["nginx"]["environment"]["NGINX_READ_TIMEOUT"])[1])
    assert wait > Environment.model_fields["total_seconds"].default
    gunicorn = (ROOT / "services/gateway/gateway/gunicorn.conf.py").read_text()
    upstream = nginx[nginx.index("upstream gateways") : nginx.index("server {")]
    idle = seconds(re.search(r"keepalive_timeout (\w+);", upstream)[1])
    assert idle < int(re.search(r"^keepalive = (\d+)", gunicorn, re.MULTILINE)[1])


def test_what_older_compose_reads_wrongly_is_not_used() -> None:
    assert not {"version", "name", "include", "configs"} & COMPOSE.keys()
    assert not re.search(r"\$\{\w+:-[^}]*\$\{", TEXT), "a default in a default is taken literally by 1.29"
    assert not re.search(r"\$\{\w+:\+", TEXT)
    assert not {"env_file", "container_name"} & {key for service in SERVICES.values() for key in service}
    assert all(service.get("image") for service in SERVICES.values()), "built images have one name for every Compose"


def test_the_dockerfile_needs_no_newer_builder() -> None:
    dockerfile = (ROOT / "services/Dockerfile").read_text()
    instructions = "\n".join(line for line in dockerfile.splitlines() if not line.startswith("#"))
    assert not re.search(r"--mount|--chmod|<<|^# syntax=", instructions)
    assert "--require-hashes" in instructions
    assert re.search(r"^USER 10001:10001$", instructions, re.MULTILINE)


def test_nothing_but_what_the_image_needs_reaches_the_builder() -> None:
    rules = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and line[0] != "#"]
    assert rules[0] == "*"
    copied = set(re.findall(r"^COPY (?!--)(.+) \S+$", (ROOT / "services/Dockerfile").read_text(), re.MULTILINE))
    wanted = {name for line in copied for name in line.split()}
    assert {rule[1:] for rule in rules if rule[0] == "!"} == wanted
