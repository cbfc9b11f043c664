"""The key that webhooks are signed with, from the secret as it is set."""

import base64

MIN_BYTES = 24
HOW_TO_MAKE_ONE = "Make one with `echo whsec_$(openssl rand -base64 32)`, and give it to the receiver"


def webhook_key(secret: str) -> bytes:
    """The key in `whsec_` and Base64, or in any text. Raises ValueError where it is too weak, or there is none."""
    try:
        encoded = secret.removeprefix("whsec_")
        key = base64.b64decode(encoded, validate=True) if encoded != secret else secret.encode()
    except ValueError:
        key = b""
    if len(key) < MIN_BYTES or len(set(key)) < 8:
        raise ValueError(f"RAG_WEBHOOK_SECRET is too weak, or no Base64 behind `whsec_`. {HOW_TO_MAKE_ONE}")
    return key
