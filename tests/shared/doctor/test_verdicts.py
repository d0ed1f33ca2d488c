"""What the doctor makes of what it saw, without a front: where a fault begins, and what is no fault."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from parley.doctor import BadAddress, Check, Report, examine
from parley.doctor.bodies import MB, judge_body_limit, judge_whole_body
from parley.doctor.drain import Watched, judge_drain
from parley.doctor.front import CannotTell, Refused
from parley.doctor.heads import CARRIED, judge_client_address, judge_headers, judge_request_id
from parley.doctor.reflection import TRIAL, Reflection, Visit
from parley.doctor.replicas import judge_balance, judge_spread, judge_takeover
from parley.doctor.reuse import judge_keep_alive
from parley.doctor.streams import Heard, judge_buffering, judge_stream


def verdict(check: Check) -> tuple[str, str]:
    return check.verdict, check.directive


# --- heads --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("own", "seen", "heard", "made", "told", "expected"),
    [
        ("a", "a", ["a"], "n", ["n"], ("ok", "")),
        ("a", "a", ["a"], None, ["g"], ("fault", "proxy_set_header X-Request-ID")),
        ("a", "n", ["n"], "n", ["n"], ("fault", "proxy_set_header X-Request-ID")),
        ("a", "a", [], "n", [], ("fault", "proxy_hide_header X-Request-ID")),
        ("a", "a", ["a", "a"], "n", ["n", "n"], ("fault", "add_header X-Request-ID")),
        ("a", "a", ["b"], "n", ["n"], ("fault", "proxy_set_header X-Request-ID")),
    ],
)
def test_a_request_has_one_id_all_the_way(
    own: str, seen: str, heard: list[str], made: str | None, told: list[str], expected: tuple[str, str]
) -> None:
    assert verdict(judge_request_id(own, seen, heard, made, told)) == expected


@pytest.mark.parametrize(
    ("forwarded", "client", "expected"),
    [
        ("192.0.2.7, 10.0.0.1", "10.0.0.1", ("ok", "")),
        ("198.51.100.1, 10.0.0.1", "10.0.0.1", ("ok", "")),
        ("192.0.2.7, 10.0.0.1", "192.0.2.7", ("unknown", "")),
        ("10.0.0.1", "10.0.0.1", ("fault", "proxy_set_header X-Forwarded-For")),
        ("192.0.2.7", "192.0.2.7", ("fault", "proxy_set_header X-Forwarded-For")),
        ("", "", ("fault", "proxy_set_header X-Forwarded-For")),
    ],
)
def test_a_clients_claim_is_no_address(forwarded: str, client: str, expected: tuple[str, str]) -> None:
    assert verdict(judge_client_address(forwarded, client)) == expected


def reflection(**changed: Any) -> Reflection:
    names = ("authorization", *CARRIED, "x-forwarded-proto", "x-real-ip")
    values = {TRIAL: CARRIED[TRIAL], "host": "door:8088"}
    return Reflection(
        **{"replica": "a", "peer": "1:1", "http_version": "1.1", "names": names, "values": values} | changed
    )


def test_headers_that_are_lost_are_named() -> None:
    def judged(seen: Reflection) -> tuple[str, str]:
        return verdict(judge_headers(seen, CARRIED, "door:8088"))

    names = reflection().names
    assert judged(reflection()) == ("ok", "")
    assert judged(reflection(names=[one for one in names if one != "openai-beta"])) == (
        "fault",
        "proxy_set_header OpenAI-Beta",
    )
    assert judged(reflection(names=("host",))) == ("fault", "proxy_pass_request_headers")
    assert judged(reflection(values={TRIAL: "changed", "host": "door:8088"})) == (
        "fault",
        "proxy_set_header X-Parley-Doctor",
    )
    assert judged(reflection(values={TRIAL: CARRIED[TRIAL], "host": "gateways"})) == ("fault", "proxy_set_header Host")
    assert judged(reflection(names=[one for one in names if one != "x-real-ip"])) == (
        "fault",
        "proxy_set_header X-Real-IP",
    )


# --- bodies -------------------------------------------------------------------------------------------------------


def nginx(taken: int, code: str = "request_too_large", status: int = 413) -> Any:
    async def knock(size: int) -> Refused | None:
        return Refused(status, code, "too large") if size > taken else None

    return knock


async def test_the_limit_of_bodies_is_found_to_the_byte() -> None:
    assert verdict(await judge_body_limit(20, nginx(20 * MB))) == ("ok", "")
    small = await judge_body_limit(20, nginx(7 * MB))
    assert verdict(small) == ("fault", "client_max_body_size")
    assert small.figures == {"limit_mb": 20, "taken_mb": 7}
    assert (await judge_body_limit(1, nginx(MB - 1))).figures["taken_mb"] == 0
    assert verdict(await judge_body_limit(20, nginx(20 * MB + 1))) == ("fault", "client_max_body_size")
    assert verdict(await judge_body_limit(20, nginx(20 * MB, code=""))) == ("fault", "error_page")
    with pytest.raises(CannotTell, match="502"):
        await judge_body_limit(20, nginx(0, status=502))


def test_a_body_comes_at_once_and_whole() -> None:
    assert verdict(judge_whole_body(300_000, 0.01)) == ("ok", "")
    assert verdict(judge_whole_body(300_000, 0.3)) == ("fault", "proxy_request_buffering")
    assert verdict(judge_whole_body(299_999, 0.01)) == ("fault", "client_body_temp_path")


# --- connections --------------------------------------------------------------------------------------------------


def on(*peers: str, **changed: Any) -> list[Reflection]:
    return [reflection(replica=peer[0], peer=peer, **changed) for peer in peers]


@pytest.mark.parametrize(
    ("seen", "closed", "expected"),
    [
        (on("a1", "b1", "a1", "b1"), 0, ("ok", "")),
        (on("a1", "b1", "a2", "b1"), 0, ("ok", "")),  # other traffic may have taken one
        (on("a1", "b1", "a2", "b2"), 0, ("fault", "keepalive")),
        (on("a1", "a2", http_version="1.0"), 0, ("fault", "proxy_http_version")),
        (on("a1", "a2", values={"connection": "close"}), 0, ("fault", "proxy_set_header Connection")),
        (on("a1", "b1", "a1", "b1"), 4, ("fault", "keepalive_timeout")),
    ],
)
def test_connections_are_used_again(seen: list[Reflection], closed: int, expected: tuple[str, str]) -> None:
    assert verdict(judge_keep_alive(seen, reflection(), closed)) == expected


def test_what_a_client_says_of_his_connection_stays_his() -> None:
    passed_on = reflection(values={"connection": "close"})
    assert verdict(judge_keep_alive(on("a1", "a1"), passed_on, 0)) == ("fault", "proxy_set_header Connection")


# --- streams ------------------------------------------------------------------------------------------------------


def spoken(*moments: float, end: bytes = b"[DONE]", broken: str = "") -> Heard:
    frames = [b'{"choices":[{"delta":{"content":" word1"}}]}' for _ in moments]
    return Heard([*moments, moments[-1]], [*frames, end], broken)


PACED = [number * 0.05 for number in range(20)]
TOGETHER = [0.95] * 20
LATE = [0.0] * 19 + [0.95]
BURSTS = [number // 7 * 1.0 for number in range(20)]


def test_words_come_as_they_are_said() -> None:
    assert verdict(judge_stream(spoken(*PACED))) == ("ok", "")
    jittery = [moment + 0.03 * (number % 2) for number, moment in enumerate(PACED)]
    assert verdict(judge_stream(spoken(*jittery))) == ("ok", "")
    slow = [2 * moment for moment in PACED]
    assert verdict(judge_stream(spoken(*slow))) == ("ok", ""), "a busy machine is no fault of nginx"
    assert verdict(judge_stream(spoken(*TOGETHER))) == ("fault", "proxy_buffering")
    assert verdict(judge_stream(spoken(*LATE))) == ("fault", "proxy_buffering")
    assert verdict(judge_stream(spoken(*BURSTS))) == ("fault", "limit_rate")


def test_of_a_stream_without_an_end_nothing_is_told() -> None:
    for heard in (spoken(*PACED, end=b"{}"), spoken(*PACED, broken="closed"), spoken(*PACED[:5]), Heard([], [])):
        with pytest.raises(CannotTell):
            judge_stream(heard)


def test_pieces_of_any_answer_are_passed_on() -> None:
    assert verdict(judge_buffering(Heard(PACED, [b""] * 20))) == ("ok", "")
    assert verdict(judge_buffering(Heard(TOGETHER, [b""] * 20))) == ("fault", "proxy_buffering")
    with pytest.raises(CannotTell):
        judge_buffering(Heard(PACED, [b""] * 20, "closed"))


# --- several gateways ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("seen", "living", "beyond", "expected"),
    [
        ("ab", "ab", None, ("ok", "")),
        ("abc", "ab", None, ("ok", "")),  # one came just now
        ("a", "a", None, ("ok", "")),
        ("ab", "abc", None, ("fault", "server")),
        ("a", "abc", False, ("fault", "server")),
        ("a", "abc", True, ("fault", "least_conn")),
        ("ab", "", None, ("ok", "")),
        ("a", "", None, ("unknown", "")),
    ],
)
def test_all_gateways_get_requests(seen: str, living: str, beyond: bool | None, expected: tuple[str, str]) -> None:
    assert verdict(judge_spread(seen, living, beyond)) == expected


@pytest.mark.parametrize(
    ("counts", "living", "spread_out", "expected"),
    [
        ({"a": 3, "b": 3}, "ab", True, ("ok", "")),
        ({"a": 1, "b": 5, "c": 4}, "abc", True, ("ok", "")),  # a had more to do
        ({"a": 18, "b": 0}, "ab", True, ("fault", "least_conn")),
        ({"a": 18}, "ab", False, ("unknown", "")),
        ({"a": 4}, "a", True, ("ok", "")),
        ({}, "ab", True, ("unknown", "")),
    ],
)
def test_long_requests_are_shared_out(
    counts: dict[str, int], living: str, spread_out: bool, expected: tuple[str, str]
) -> None:
    assert verdict(judge_balance(counts, living, spread_out=spread_out)) == expected


def test_another_gateway_takes_over() -> None:
    assert verdict(judge_takeover(200, Visit(1))) == ("ok", "")
    assert verdict(judge_takeover(502, Visit(2))) == ("fault", "proxy_next_upstream")
    assert verdict(judge_takeover(502, None)) == ("fault", "proxy_next_upstream")


@pytest.mark.parametrize(
    ("watched", "failures", "after", "expected"),
    [
        ([Watched("a", 100), Watched("b", 100)], {}, "ab", ("ok", "")),
        ([Watched("a", 100), Watched("b", 100)], {}, "b", ("ok", "")),
        ([Watched("a", 40, "closed"), Watched("b", 100)], {}, "b", ("fault", "")),
        ([Watched("a", 40), Watched("b", 100)], {}, "ab", ("fault", "worker_shutdown_timeout")),
        ([Watched("a", 40, "closed"), Watched("b", 40, "closed")], {}, "b", ("fault", "worker_shutdown_timeout")),
        ([Watched("a", 100)], {"502 bad_gateway": 2}, "a", ("fault", "proxy_next_upstream")),
        ([], {}, "a", ("unknown", "")),
    ],
)
def test_a_planned_end_harms_nobody(
    watched: list[Watched], failures: dict[str, int], after: str, expected: tuple[str, str]
) -> None:
    assert verdict(judge_drain(watched, 20, Counter(failures), "ab", after)) == expected


# --- the whole ----------------------------------------------------------------------------------------------------


def test_a_report_is_as_bad_as_its_worst_check() -> None:
    well, unclear, ill = (
        Check("a", "ok", ""),
        Check("b", "unknown", ""),
        Check("c", "fault", "Ill.", "gzip", "gzip off;"),
    )
    assert Report("", []).verdict == Report("", [well]).verdict == "ok"
    assert Report("", [unclear, well]).verdict == "unknown"
    report = Report("http://door", [unclear, ill, well], ("a",), 3, 1.23456)
    assert report.as_json() == {
        "url": "http://door",
        "verdict": "fault",
        "gateways": ["a"],
        "requests": 3,
        "seconds": 1.235,
        "checks": [unclear.as_json(), ill.as_json(), well.as_json()],
    }
    assert ill.as_json() == {
        "name": "c",
        "verdict": "fault",
        "sentence": "Ill.",
        "directive": "gzip",
        "remedy": "gzip off;",
        "figures": {},
    }


@pytest.mark.parametrize(
    "url",
    [
        "",
        "127.0.0.1:8088",
        "ftp://door",
        "http://",
        "http://me:pass@door",
        "ftp://me:pass@door",
        "http://door/admin",
        "http://door?a=b",
    ],
)
async def test_what_is_no_address_of_a_front_is_refused(url: str) -> None:
    with pytest.raises(BadAddress) as refused:
        await examine(url)
    assert "pass" not in str(refused.value)
