"""The bench measures what it says, and says no when a must is missed."""

import os
import subprocess
import sys

import bench
import budget
import consumers
import measures
import native
import pytest
import subjects
import trees


def test_cpu_time_of_another_process_is_known_to_the_millisecond():
    burn = "import time\nwhile time.process_time() < 0.25: pass\nprint(1, flush=True)\ninput()"
    with subprocess.Popen([sys.executable, "-c", burn], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        child.stdout.readline()
        used = trees.cpu_seconds([child.pid])
        assert 0.25 <= used < 0.3
        assert trees.cpu_seconds(trees.family(os.getpid())) > used
        assert 3 < trees.memory_mb([child.pid]) < 50
        child.communicate(b"\n")
    assert trees.cpu_seconds([child.pid]) == 0


def test_a_family_is_a_process_and_all_its_descendants():
    with subprocess.Popen(["sh", "-c", "sleep 5 & echo $!; wait"], stdout=subprocess.PIPE) as shell:
        sleeper = int(shell.stdout.readline())
        assert trees.family(shell.pid) == [shell.pid, sleeper]
        os.kill(sleeper, 15)


def test_a_replica_is_a_master_and_its_worker():
    with subprocess.Popen(["sh", "-c", "sleep 5 & echo $!; wait"], stdout=subprocess.PIPE) as shell:
        sleeper = int(shell.stdout.readline())
        parts = {"gateway": [shell.pid, sleeper], "redis": [1], "nginx": [2]}
        subject = subjects.Subject("parley", 1, parts=parts)
        assert subject.replicas == [[shell.pid, sleeper]]
        assert subject.tree == [shell.pid, sleeper, 2]
        os.kill(sleeper, 15)


@pytest.mark.usefixtures("compiler")
def test_a_rehearsal_with_nginx_twice_measures_everything_but_streams_and_therefore_misses_them(capsys):
    brief = measures.Effort(
        repetitions=1, warm_seconds=0.1, cost_seconds=0.4, latency_seconds=0.4, token_seconds=0.4,
        crowds=(), crowd_of_nginx_too=False, growth_requests=50,
    )  # fmt: skip
    with (
        subjects.upstream(measures.MODELS, None) as upstream,
        subjects.plain_nginx(upstream.port, None) as nginx,
        subjects.plain_nginx(upstream.port, None, "parley") as twin,
    ):
        facts = bench.measure(measures.Bench(upstream, [nginx, twin], None, brief), twin)
        assert facts["unary_cost"]["parley"]["cpu_ms"] > 0.005
        assert facts["chunk_cost"]["parley"]["cpu_ms"] > 1
        assert facts["errors"] == {"upstream": [], "nginx": [], "parley": []}
        verdicts = {row.what: row.verdict for row in budget.rows(facts)}
        assert verdicts["CPU ms per unary request"] == "aim"
        assert verdicts["streams kept up, 20 chunks/s each"] == "MISSED"
        pids = nginx.tree + twin.tree
    assert not any(map(trees.command_line, pids))
    assert "warming up" in capsys.readouterr().err


def facts(parley: float, nginx: float = 1.0, slowness: float = 1.0) -> budget.Facts:
    """The facts of a run in which all that Parley does costs `parley`, and all that nginx does `nginx`; but a unary
    request of nginx costs what it does on a machine so many times as slow as the budget's."""
    latency = {
        name: {"p50_ms": cost, "p99_ms": cost, "added_p50_ms": cost, "added_p99_ms": cost}
        for name, cost in (("upstream", 1.0), ("nginx", nginx), ("parley", parley))
    }
    cost = {"nginx": {"cpu_ms": nginx}, "parley": {"cpu_ms": parley, "ratio": parley / nginx}}
    return {
        "unary_cost": cost | {"nginx": {"cpu_ms": slowness * budget.NGINX_THERE}},
        "chunk_cost": cost,
        "unary_latency": latency | {"rate": 100},
        "first_token": latency | {"rate": 300},
        "crowds": [{"streams": 500, "parley": {"kept_up": True}}, {"streams": 1000, "parley": {"kept_up": parley < 2}}],
        "idle_mb": 50.0,
        "idle_replica_mb": 90.0,
        "growth": {"requests_each": 20_000, "grown_mb": 0.5},
        "spoilt": 0,
        "redis": {"round_trips": 2.04},
    }


def test_a_run_within_the_aims_says_so():
    assert {row.verdict for row in budget.rows(facts(parley=1))} == {"aim"}


def test_a_drift_of_the_machine_is_no_cost_of_parleys():
    """Both cost twice as much in the middle turn; one neighbour disturbs one measurement."""
    turns = {"nginx": [1.0, 2.0, 1.0], "parley": [3.0, 6.0, 9.0]}
    found = {name: [{"cpu_ms": cost} for cost in costs] for name, costs in turns.items()}
    costs = measures._costs(found)
    assert costs["parley"]["ratios"] == [3.0, 3.0, 9.0]
    assert costs["parley"]["ratio"] == 3.0
    assert costs["nginx"]["ratio"] == 1.0


def test_the_second_turn_goes_back():
    class Both:
        effort = measures.Effort(3, 0, 0, 0, 0, (), False, 0)

    nginx, parley = subjects.Subject("nginx", 1), subjects.Subject("parley", 2)
    asked = []
    measures.Bench.in_turns(Both(), [nginx, parley], lambda subject: asked.append(subject.name))
    assert asked == ["nginx", "parley", "parley", "nginx", "nginx", "parley"]


def test_each_must_is_a_limit_of_its_own():
    verdicts = {row.what: row.verdict for row in budget.rows(facts(parley=3.5))}
    assert verdicts["CPU ms per unary request"] == "aim"
    assert verdicts["CPU ms per 1,000 chunks, 200 streams"] == "must"
    assert verdicts["unary latency added at 100/s, p50"] == "MISSED"
    assert verdicts["first token added at 300/s, p50"] == "must"
    assert verdicts["streams kept up, 20 chunks/s each"] == "must"


def test_a_slow_machine_may_take_longer_and_a_fast_one_need_not_be_faster():
    def verdict(**run: float) -> str:
        return next(row.verdict for row in budget.rows(facts(**run)) if row.what == "unary latency added at 100/s, p50")

    assert [verdict(parley=3.5, slowness=slowness) for slowness in (0.5, 1, 1.2, 1.3)] == ["MISSED"] * 2 + ["must"] * 2
    assert verdict(parley=2.9, slowness=0.5) == "must"
    assert verdict(parley=3.5, slowness=4) == "aim"


@pytest.mark.parametrize(("name", "value"), [("spoilt", 1), ("idle_mb", 111), ("redis", {"round_trips": 3.0})])
def test_one_fact_out_of_bounds_is_one_must_missed(name, value):
    rows = budget.rows(facts(parley=1) | {name: value})
    assert [row.verdict for row in rows].count("MISSED") == 1
    assert "MISSED" in budget.table(rows)


def test_without_a_compiler_the_bench_says_so_and_ends_with_3(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)
    monkeypatch.setattr(native, "CACHE", tmp_path)
    monkeypatch.setattr(sys, "argv", ["bench.py", "--quick"])
    assert bench.main() == bench.CANNOT_RUN
    assert "C compiler" in capsys.readouterr().err


def test_samples_are_counted_by_function_whatever_the_line_and_waiting_threads_not_at_all():
    waiting = "run (threading.py:982);_worker (concurrent/futures/thread.py:81) 99"
    busy = "main (a.py:1);go (a.py:7) 3\nmain (a.py:2);go (a.py:9) 2\nmain (a.py:1) 1"
    own, whole, total = consumers.count(f"{busy}\n{waiting}\n")
    assert total == 6
    assert own == {"go (a.py)": 5, "main (a.py)": 1}
    assert whole == {"go (a.py)": 5, "main (a.py)": 6}
