"""Scripts for vendors' own clients. Each runs in that client's environment (`vendor.py`), is given the address of a
stand-in, and prints what it saw as one line of JSON; the test beside the stand-in judges."""
