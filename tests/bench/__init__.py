"""How many requests and seconds a run takes, beside what nobody could do faster and what a script would take.

``make bench`` runs it; ``docs/performance.md`` says what the numbers mean.
"""
