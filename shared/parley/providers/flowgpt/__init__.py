"""FlowGPT: a web session's token, off until an operator supplies one."""

from parley.providers.flowgpt.provider import FlowGPT

__all__ = ["FlowGPT"]
