"""Messages: who wrote to whom, when, about what; the body; and the files attached, still to be read."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from email import message_from_bytes
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from email.message import Message

from ingest.conversion import converted
from ingest.decoding import decode, is_text, scrub
from ingest.media_types import MSG
from rag_service.errors import UnreadableDocument

_SHOWN = ("From", "To", "Cc", "Date")
_IS_MAIL = re.compile(rb"\A(?:[!-9;-~]+:[^\n]*\n(?:[ \t][^\n]*\n)*)*?MIME-Version:[ \t]*1", re.IGNORECASE)
_ENCRYPTED = {"multipart/encrypted", "application/pkcs7-mime", "application/x-pkcs7-mime"}
_SIGNATURES = {"application/pkcs7-signature", "application/x-pkcs7-signature", "application/pgp-signature"}


@dataclass(frozen=True)
class Attachment:
    """A file that came with a message."""

    name: str
    media_type: str
    data: bytes


@dataclass
class Mail:
    """A message taken apart. `bodies` are texts, each plain or HTML."""

    subject: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    bodies: list[tuple[bool, str]] = field(default_factory=list)
    attachments: list[Attachment] = field(default_factory=list)


def is_mail(data: bytes) -> bool:
    """Whether the bytes begin with the head of a message."""
    return _IS_MAIL.match(data[:16_384]) is not None


def from_eml(data: bytes, name: str) -> Mail:
    """A message as it travels.

    Raises:
        UnreadableDocument: it is encrypted.
    """
    if not data[:64].isascii() or b"\x00" in data[:64]:  # saved by an editor in an encoding of its own
        data = decode(data, name).lstrip("\ufeff").encode()
    message = message_from_bytes(data.replace(b"\r\n", b"\n").lstrip(b"\n"))
    if message.get_content_type() in _ENCRYPTED:
        raise _encrypted(name)
    mail = Mail(_header(message, "Subject"))
    mail.headers = {key: value for key in _SHOWN if (value := _header(message, key))}
    _collect(message, mail)
    return mail


def from_msg(data: bytes, name: str) -> Mail:
    """A message as Outlook keeps it; of its attachments the converter gives the text.

    Raises:
        UnreadableDocument: it is damaged.
    """
    result = converted(data, MSG, name, output="plain")
    head, _, body = result.content.partition("\n\n")
    headers = dict(line.partition(": ")[::2] for line in head.split("\n"))
    mail = Mail(str(result.metadata.get("subject") or ""), bodies=[(False, body.replace("\r\n", "\n"))])
    mail.headers = {key: value for key in _SHOWN if (value := headers.get(key) or headers.get(key.upper()))}
    if not body.strip() and any("pgp-encrypted" in item for item in result.metadata.get("attachments") or []):
        raise _encrypted(name)
    texts = {child["path"]: child["result"].content for child in result.children or []}
    for attached in result.metadata.get("attachments") or []:
        mail.attachments.append(Attachment(attached, "text/plain", texts.get(attached, "").encode()))
    return mail


def _encrypted(name: str) -> UnreadableDocument:
    return UnreadableDocument(
        f"{name} is an encrypted message: save its text and upload that.", code="encrypted"
    )


def _header(message: Message, name: str) -> str:
    raw = str(message.get(name, ""))
    try:
        text = str(make_header(decode_header(raw)))
    except (HeaderParseError, LookupError, UnicodeError, ValueError):
        text = raw  # it is not encoded as it says
    return " ".join(scrub(text).split())


def _collect(part: Message, mail: Mail) -> None:
    """Put the texts and the attachments of a part, and of those within it, into `mail`."""
    if part.get_content_type() == "message/rfc822":
        for message in _children(part):
            name = _header(message, "Subject") or "message"
            mail.attachments.append(Attachment(f"{name}.eml", "message/rfc822", message.as_bytes()))
    elif part.get_content_type() == "multipart/alternative":
        _collect_best(list(_children(part)), mail)
    elif part.is_multipart():
        for child in _children(part):
            _collect(child, mail)
    else:
        _collect_leaf(part, mail)


def _children(part: Message) -> Iterator[Message]:
    payload = part.get_payload()
    return (
        (child for child in payload if isinstance(child, Message)) if isinstance(payload, list) else iter(())
    )


def _collect_best(choices: list[Message], mail: Mail) -> None:
    """Of the same text in several forms, the plain one if anything stands in it."""
    plain = [one for one in choices if one.get_content_type() == "text/plain" and _text(one).strip()]
    for choice in plain[:1] or choices[-1:]:
        _collect(choice, mail)


def _collect_leaf(part: Message, mail: Mail) -> None:
    media_type, name = part.get_content_type(), part.get_filename()
    if media_type in _SIGNATURES:
        return
    is_body = part.get_content_maintype() == "text" and part.get_content_disposition() != "attachment"
    if is_body and not name:
        mail.bodies.append((media_type == "text/html", _text(part)))
        return
    payload = part.get_payload(decode=True)
    shown = " ".join(scrub(_decoded_name(name or f"unnamed {media_type}")).split())
    mail.attachments.append(Attachment(shown, media_type, payload if isinstance(payload, bytes) else b""))


def _decoded_name(name: str) -> str:
    try:
        return str(make_header(decode_header(name)))
    except (HeaderParseError, LookupError, UnicodeError, ValueError):
        return name


def _text(part: Message) -> str:
    payload = part.get_payload(decode=True)
    if not isinstance(payload, bytes) or not payload or not is_text(payload):
        return ""
    try:
        return scrub(payload.decode(part.get_content_charset() or "utf-8"))
    except (LookupError, UnicodeError):
        return scrub(decode(payload, "A part of the message"))
