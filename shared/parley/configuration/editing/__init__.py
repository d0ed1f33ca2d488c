"""How an operator's changes are made, shown and moved: plain JSON in, plain JSON out, and nothing is written here.

A *place* is where an entry lives, such as `("upstreams", "east")` or `("credentials", "east", "spare")`. What
environment and files say (`sources.py`) is *described* in the words of the changes; the changes are laid over it
(`overlay.py`). An edit (`edits.py`, `issuing.py`) makes new changes of old ones. Nobody is shown a secret
(`masks.py`), neither in an entry nor in a comparison (`differences.py`); only an archive (`archive.py`) may hold
them, sealed.
"""
