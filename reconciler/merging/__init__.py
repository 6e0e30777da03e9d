"""Merging scope files: what two branches changed in one file, for git and for whoever stands before a conflict.

A merge of encrypted text by lines is never right: the MAC covers all values together. So the three versions are opened
in memory, merged place by place (`trees`), and sealed again (`sealing`); no plain text is written anywhere. `driver`
does so as git asks for it, `solving` for a conflict that is in the tree, `installing` tells git of the driver.
"""
