"""Who a visitor is to the site that embeds the chat: said by the site's own backend, in a token that it signs."""

import hashlib
import hmac
import re
import time
from base64 import urlsafe_b64encode
from datetime import UTC, datetime

import jwt

from rag_service.db.models import Embed
from rag_service.errors import Unauthenticated

LONGEST_SECONDS = 3600
LEEWAY_SECONDS = 60
"""How far the clock of a site's backend may be from ours."""

_USER = re.compile(r"[!-~]{1,64}")


class Identities:
    """Identity secrets and the tokens signed with them.

    A secret is derived from a random salt of its embed and this service's own secret: what is stored of it cannot
    sign anything.
    """

    def __init__(self, secret: str) -> None:
        self._secret = f"identity-secret:{secret}".encode()

    def secret_of(self, embed_id: str, salt: str) -> str:
        """What the site's backend signs with."""
        derived = hmac.digest(self._secret, f"{embed_id}:{salt}".encode(), hashlib.sha256)
        return f"rag_identity_{urlsafe_b64encode(derived).rstrip(b'=').decode()}"

    def user(self, embed: Embed, token: str) -> str:
        """The id that the site knows its user by, from a token signed with a secret of the embed.

        Raises:
            Unauthenticated: it is not signed so, is for another embed, has ended, or lasts longer than an hour.
        """
        salts = [embed.identity_salt]
        if embed.previous_identity_until is not None and datetime.now(UTC) < embed.previous_identity_until:
            salts.append(embed.previous_identity_salt)
        for salt in salts:
            if salt is not None and (found := self._user(embed.id, salt, token)):
                return found
        raise Unauthenticated(
            "The identity is no token signed with this embed's identity secret: HS256, the embed's id as `aud`, the "
            "user's id as `sub` (up to 64 visible ASCII characters), and an `exp` within the next hour.",
            code="identity_not_valid",
        )

    def _user(self, embed_id: str, salt: str, token: str) -> str | None:
        try:
            claims = jwt.decode(
                token,
                self.secret_of(embed_id, salt),
                algorithms=["HS256"],
                audience=embed_id,
                leeway=LEEWAY_SECONDS,
                options={"require": ["exp", "sub", "aud"]},
            )
        except jwt.InvalidTokenError:
            return None
        lasts = int(claims["exp"]) - time.time()
        return (
            claims["sub"]
            if lasts <= LONGEST_SECONDS + LEEWAY_SECONDS and _USER.fullmatch(claims["sub"])
            else None
        )
