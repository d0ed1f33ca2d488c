"""The load generator tells the truth: about good servers, and about bad ones, each a few lines below."""

import socketserver
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import native
import pytest
from measures import body

pytestmark = pytest.mark.usefixtures("compiler")

GOOD = b'{"choices": [], "usage": {}}'
TOKEN = b'data: {"choices":[{"delta":{"content":"t0000000000001 "}}]}\n\n'
DONE = b"data: [DONE]\n\n"


@contextmanager
def serving(answer: Callable[[int], bytes]) -> Iterator[int]:
    """A server on `port`: the n-th request of all is answered with these bytes; an empty answer hangs up."""
    asked = iter(range(1_000_000))

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True
        request_queue_size = 128

    class Connection(socketserver.StreamRequestHandler):
        def handle(self):
            try:
                while self.rfile.readline():
                    length = 0
                    while (line := self.rfile.readline().lower()).strip():
                        if line.startswith(b"content-length:"):
                            length = int(line.split(b":")[1])
                    self.rfile.read(length)
                    said = answer(next(asked))
                    self.wfile.write(said)
                    if not said:
                        return
            except OSError:
                return

    with Server(("127.0.0.1", 0), Connection) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}).start()
        yield server.server_address[1]
        server.shutdown()


def whole(content: bytes, status: bytes = b"200 OK") -> bytes:
    return b"HTTP/1.1 %b\r\nContent-Length: %d\r\n\r\n%b" % (status, len(content), content)


def chunked(*pieces: bytes, end: bytes = b"0\r\n\r\n") -> bytes:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head + b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + end


def ask(port: int, model: str = "bench", **asked: float) -> dict:
    return native.load(port, body(model), **{"connections": 4, "requests": 20, "grace": 1, "seconds": 3, **asked})


def test_every_request_of_a_closed_loop_is_counted(upstream):
    ran = ask(upstream.port, connections=8, requests=500)
    assert (ran["started"], ran["completed"], ran["failed"], ran["incomplete"]) == (500, 500, 0, 0)
    assert (ran["opened"], ran["latency_us"]["count"]) == (8, 500)


def test_an_open_loop_keeps_its_rate(upstream):
    ran = native.load(upstream.port, body("bench"), rate=200, seconds=1)
    assert ran["completed"] == 200
    assert 180 < ran["per_second"] < 220


def test_streams_are_timed_chunk_by_chunk(upstream):
    for _ in range(5):  # the machine may be busy with other tests for a while
        ran = ask(upstream.port, "bench-c5-g20-d30", connections=10, requests=10, chunks=5)
        assert (ran["completed"], ran["tokens"], ran["token_gap_us"]["count"]) == (10, 50, 40)
        assert ran["first_token_us"]["p50"] >= 30_000
        if ran["token_delay_us"]["p50"] < 10_000:
            break
    assert ran["first_token_us"]["p50"] < 60_000
    assert 15_000 < ran["token_gap_us"]["p50"] < 25_000
    assert ran["token_delay_us"]["p50"] < 10_000


def test_a_missing_token_makes_a_stream_incomplete(upstream):
    assert ask(upstream.port, "bench-c5-g1", chunks=6)["incomplete"] == 20


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (chunked(TOKEN, DONE), "completed"),
        (chunked(TOKEN[:30], TOKEN[30:] + DONE[:3], DONE[3:]), "completed"),
        (chunked(TOKEN), "incomplete"),
        (chunked(TOKEN, b'data: {"error":{"code":"upstream_truncated"}}\n\n', DONE), "incomplete"),
        (chunked(DONE), "incomplete"),
        (whole(b'{"error":{}}', b"503 Service Unavailable"), "failed"),
    ],
    ids=["good", "good, split anywhere", "no [DONE]", "error event", "no token", "status"],
)
def test_a_stream_is_judged_by_how_it_ends(answer, outcome):
    with serving(lambda _: answer) as port:
        ran = ask(port, "bench-c1-g1", chunks=1)
    assert (ran[outcome], ran["started"]) == (20, 20), ran["first_error"]


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (whole(GOOD), "completed"),
        (chunked(GOOD[:9], GOOD[9:]), "completed"),
        (whole(b"{}"), "incomplete"),
        (whole(b"<html>", b"502 Bad Gateway"), "failed"),
    ],
    ids=["good", "good in chunks", "not an answer", "status"],
)
def test_a_unary_answer_is_judged_by_its_status_and_body(answer, outcome):
    with serving(lambda _: answer) as port:
        ran = ask(port)
    assert (ran[outcome], ran["started"]) == (20, 20), ran["first_error"]


def test_a_hang_up_before_the_first_answer_is_a_failure():
    with serving(lambda _: b"") as port:
        ran = ask(port)
    assert (ran["failed"], ran["retried"]) == (20, 0)


def test_a_kept_connection_that_is_closed_on_us_is_asked_anew():
    with serving(lambda number: b"" if number == 5 else whole(GOOD)) as port:
        ran = ask(port, connections=1)
    assert (ran["completed"], ran["failed"], ran["retried"], ran["opened"]) == (20, 0, 1, 2)


def test_nobody_listening_is_many_failures_and_not_for_ever():
    with serving(lambda _: b"") as port:
        pass
    assert ask(port)["failed"] == 20


def test_a_silent_server_ends_with_the_grace():
    started = time.monotonic()
    with serving(lambda _: chunked(TOKEN, end=b"")) as port:
        ran = ask(port, "bench-c1-g1", seconds=0.2, grace=0.3)
    assert ran["incomplete"] == 4
    assert time.monotonic() - started < 5


def test_a_stall_is_paid_by_all_who_would_have_asked_meanwhile():
    """One request of a hundred is slow; a clock started at each request's own start would see one slow request."""
    alone = threading.Lock()

    def stall_once(number: int) -> bytes:
        with alone:
            if number == 20:
                time.sleep(0.4)
            return whole(GOOD)

    with serving(stall_once) as port:
        ran = native.load(port, body("bench"), rate=100, seconds=1)
    assert ran["completed"] == 100
    assert ran["latency_us"]["p90"] > 200_000
    assert ran["latency_us"]["p50"] < 200_000
