"""The ledger's requests: it is opened, its head is written and watched, entries are written. `ledger` decides."""
