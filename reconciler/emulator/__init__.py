"""The embedded workspace: a real HTTP server that speaks the Databricks Secrets API over SQLite.

For embedded targets, for people who develop notebooks offline, and for tests. ``docs/emulator.md`` says what is
documented behaviour of the platform and what had to be assumed.
"""

from reconciler.emulator.rules import Rules
from reconciler.emulator.server import Emulator, Middleware, serve_forever
from reconciler.emulator.token_endpoint import Exchanges, FederationPolicy, ServicePrincipal


__all__ = [
    "Emulator",
    "Exchanges",
    "FederationPolicy",
    "Middleware",
    "Rules",
    "ServicePrincipal",
    "serve_forever",
]
