"""Keep the logs of the SDK, and of what lies below it, from quoting requests and answers.

At DEBUG the SDK logs the bodies of requests and answers and, if the environment says so, their headers; at WARNING it
quotes exceptions, which quote what a server said. Some records go to the root logger. What matters in them reaches
people through our own errors, so all of them are dropped, whatever level anybody sets.
"""

import logging
import os
from typing import Final


_FAMILIES: Final = ("databricks", "urllib3", "requests", "charset_normalizer", "google.auth")
_SDK_FOLDER: Final = os.path.join("databricks", "sdk") + os.sep  # noqa: PTH118  # records hold plain text, not paths


class _Dropped(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:  # noqa: ARG002  # the signature is that of logging
        return False


class _DroppedFromSdk(logging.Filter):
    """For the root logger, which the SDK's parser of errors and others use directly."""

    def filter(self, record: logging.LogRecord) -> bool:
        return _SDK_FOLDER not in record.pathname


_dropped: Final = _Dropped()
_dropped_from_sdk: Final = _DroppedFromSdk()


def silence_sdk_logging() -> None:
    """Drop every record of the SDK, urllib3, requests and google.auth. Call after the SDK is imported."""
    logging.getLogger().addFilter(_dropped_from_sdk)
    # A filter counts for the very logger that it is on, so each one that exists gets it. Those that come later inherit
    # the level, unless somebody sets one for them by name.
    existing = tuple(logging.root.manager.loggerDict)
    for family in _FAMILIES:
        logging.getLogger(family).setLevel(logging.CRITICAL + 1)
        for name in (family, *(other for other in existing if other.startswith(f"{family}."))):
            logging.getLogger(name).addFilter(_dropped)
