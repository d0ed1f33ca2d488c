"""The doctor: examines Parley's front from outside, as a client meets it, and names the directive that is at fault.

It sends some requests through nginx and compares what arrived at the gateways (their mirror, `/health/mirror`) with
what it sent, and what came back with what should. What each check means is written in docs/doctor.md.

    report = await examine("http://127.0.0.1:8088", Secret(key))
    report.verdict, [check.directive for check in report.checks if check.verdict == "fault"]
"""

from parley.doctor.examination import NAMES, SILENCE, BadAddress, examine
from parley.doctor.report import Check, Report

__all__ = ["NAMES", "SILENCE", "BadAddress", "Check", "Report", "examine"]
