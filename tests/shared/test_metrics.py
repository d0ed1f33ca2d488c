"""Figures as Prometheus' own parser reads them."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as some
from prometheus_client.parser import text_string_to_metric_families

from parley.metrics import Counter, Gauge, Histogram, Names, of_this_process, page


def read(*figures):
    return {family.name: family for family in text_string_to_metric_families(page(*figures).decode())}


def samples(family):
    return {(sample.name, *sorted(sample.labels.items())): sample.value for sample in family.samples}


def test_a_counter_grows():
    counter = Counter("parley_things_total", "Things.", ("kind", "place"))
    counter.add(("a", "x"))
    counter.add(("a", "x"), 2.5)
    counter.add(("b", "x"))
    family = read(counter)["parley_things"]
    assert (family.type, family.documentation) == ("counter", "Things.")
    assert samples(family) == {
        ("parley_things_total", ("kind", "a"), ("place", "x")): 3.5,
        ("parley_things_total", ("kind", "b"), ("place", "x")): 1,
    }


def test_a_gauge_is_read_when_the_page_is_made():
    now = {"up": 1.0}
    gauge = Gauge("parley_state", "State.", lambda: [((name,), value) for name, value in now.items()], ("what",))
    assert samples(read(gauge)["parley_state"]) == {("parley_state", ("what", "up")): 1}
    now["up"], now["down"] = 0, 7
    assert sorted(samples(read(gauge)["parley_state"]).values()) == [0, 7]


def test_buckets_are_cumulative_and_a_bound_belongs_to_its_bucket():
    histogram = Histogram("parley_seconds", "Seconds.", (0.1, 1, 2.5), ("model",))
    for value in (0.1, 0.05, 1, 1.01, 99):
        histogram.observe(("m",), value)
    family = read(histogram)["parley_seconds"]
    buckets = {s.labels["le"]: s.value for s in family.samples if s.name.endswith("_bucket")}
    assert family.type == "histogram"
    assert buckets == {"0.1": 2, "1": 3, "2.5": 4, "+Inf": 5}
    rest = {sample.name: sample.value for sample in family.samples if "le" not in sample.labels}
    assert rest == {"parley_seconds_count": 5, "parley_seconds_sum": pytest.approx(101.16)}


@given(some.text(max_size=50), some.floats(allow_nan=False, allow_infinity=False))
def test_any_text_and_number_comes_back_as_it_was(text, number):
    gauge = Gauge("parley_any", f"About {text}", lambda: [((text,), number)], ("text",))
    # Prometheus reads lines that end with \n; the parser in Python splits at other ends of lines too.
    if text.splitlines() in ([text], []):
        [sample] = read(gauge)["parley_any"].samples
        assert (sample.labels, sample.value) == ({"text": text} if text else {}, number)


def test_names_from_outside_are_few():
    names = Names(most=2)
    assert names.known("a") == "other"
    assert [names.met(name) for name in ("a", "b", "c", "a")] == ["a", "b", "other", "a"]
    assert (names.known("b"), names.known("c")) == ("b", "other")


def test_a_process_tells_what_it_takes():
    found = {name: samples(family).popitem()[1] for name, family in read(*of_this_process()).items()}
    assert 0 < found["process_cpu_seconds"] < 10_000
    assert 5e6 < found["process_resident_memory_bytes"] < 5e9
    assert 0 < found["process_open_fds"] < 10_000
    assert time.time() - 3600 < found["process_start_time_seconds"] <= time.time()
