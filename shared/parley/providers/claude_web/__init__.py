"""The web application of claude.ai, with the session of an operator's own browser. Off until an operator supplies one.

Where there is an API key, the official interface is the better way (provider `anthropic`). This one takes a challenge
page for what it is and steps back; it solves none.
"""

from parley.providers.claude_web.provider import ClaudeWeb

__all__ = ["ClaudeWeb"]
