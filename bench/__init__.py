"""Benchmarks of Etabli, each beside its peer in the same run: `make bench`, or `python -m bench --only launch,door --quick`.

Promises: a lab of its own in a temporary folder, loads on loopback alone, bounded in count and time; whatever it starts it ends, on
Ctrl-C too. Peers are made in `$XDG_CACHE_HOME/etabli/bench`; what a machine lacks is left out and said. Refused: running as root.
"""
