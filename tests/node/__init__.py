"""Node for tests: `run_node` runs a script beside the official `openai` package for Node."""

from .run import run_node

__all__ = ["run_node"]
