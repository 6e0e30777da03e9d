"""Age: the kinds of identities, where they are kept, and how each opens what is encrypted to it."""
