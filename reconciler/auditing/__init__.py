"""What is due: values that got older than their rotation rules allow, and values that somebody who left has read.

`ages` asks workspaces how old values are, without a key of the files; `revoked` asks git's history what a recipient
could ever read, offline.
"""
