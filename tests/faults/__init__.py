"""Faults at every instant of a run, and other people's changes between any two of its requests, over real HTTP."""
