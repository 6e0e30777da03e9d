"""The ledger: what the reconciler wrote to a workspace, kept in a scope of that workspace. Pure.

A cache and a record of ownership, never the truth: with it a no-op reads no value and nothing is deleted that git did
not put there; without it every value is read and nothing is deleted.

Parts, from the ground up:

* `records` is what it holds, and the tags by which names and values stand in it;
* `encoding` turns that into bytes and back;
* `trust` decides whether a ledger counts at all, by who may write to it;
* `ownership` decides whether a scope is ours, and what in it is;
* `settling` turns what a survey saw into the records of the next entry.

No request is made here: `reconciler.survey` reads entries, `reconciler.bookkeeping` writes them.
"""
