"""Runs that are killed, and files that are damaged: what is lost, and what is noticed.

    .venv/bin/python -m tests.chaos                            # a few minutes
    .venv/bin/python -m tests.chaos --kills 200 --flips 500 --seed 1

``SCENARIOS`` of ``kills.py`` are commands that a kill at any moment must not harm: each is killed
again and again, resumed, and compared bit for bit with one that was left alone. ``CORRUPTIONS`` of
``corruptions.py`` damage one file of a whole run; whoever reads it must say so, or give the same
answer as before. ``OTHERS`` of ``others.py`` are what else may happen to a directory. To attack
something new, add an entry to one of the three lists.

The figures are printed at the end; the exit code is 1 where anything was lost or went unnoticed.
"""
