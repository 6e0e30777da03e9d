"""What a change does, told without a key and offline: for whoever reviews it before anybody applies it.

In: two commits, or a commit and the work tree. Out: `reconciler.report.reviewed.ReviewReport`. `compare` is pure and
decides on bytes; `running` asks git for them.

Ciphertext tells more than it seems to. A nonce is random, so that two equal ciphertexts are copies; a value is bound to
the names above it, so that a copy elsewhere is a forgery; and who can open a file stands in it. What does not show is
which values changed in a file that has a new data key, and whether a value is what its author says.
"""

from reconciler.review.running import review


__all__ = ["review"]
