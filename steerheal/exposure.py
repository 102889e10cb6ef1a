"""What a sweep's surroundings let others do: one line per risk, with the remedy. By default there is none."""

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

LOOPBACK = ("localhost", "127.0.0.1", "::1")


def risks(environment: Mapping[str, str], home: Path) -> list[str]:
    """Of these variables, for a user with this home (where Ray keeps its token)."""
    return [risk for risk in (_ray(environment, home), _mlflow(environment)) if risk]


def _ray(environment: Mapping[str, str], home: Path) -> str | None:
    runs_code = "whoever reaches Ray's ports can run code as you"
    if environment.get("RAY_AUTH_MODE", "token").lower() != "token":
        return f"RAY_AUTH_MODE={environment['RAY_AUTH_MODE']}: {runs_code}; unset it"
    if not (address := environment.get("RAY_ADDRESS")):
        wide = environment.get("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0") not in ("0", "false", "False")
        listens = (
            "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER: Ray listens on all of this machine's addresses, with only its token"
        )
        return f"{listens} between its ports and others; unset it" if wide else None
    given = any(environment.get(name) for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"))
    if given or (home / ".ray" / "auth_token").exists():
        return None
    return f"RAY_ADDRESS={address}: joined without a token: {runs_code}; start it with one, as docker/README.md says"


def _mlflow(environment: Mapping[str, str]) -> str | None:
    place = urlsplit(environment.get("MLFLOW_TRACKING_URI", ""))
    if place.scheme != "http" or place.hostname in LOOPBACK:
        return None
    return f"MLFLOW_TRACKING_URI: what is sent to {place.hostname}, passwords too, can be read on the way; use https"
