"""A message as one document: its head, its body, and below a heading each what is attached."""

from collections.abc import Callable

from ingest.assembly import Assembly
from ingest.blocks import Extraction, plain_blocks
from ingest.conversion import clean_title
from ingest.mail import Attachment, Mail
from rag_service.errors import UnreadableDocument

MOST_ATTACHMENTS = 50
DEEPEST = 2
"""Messages within messages are read so far down."""

ReadBytes = Callable[[bytes, str], Extraction]


def read_message(mail: Mail, media_type: str, read_html: ReadBytes, read: ReadBytes | None) -> Extraction:
    """The document. `read` reads an attachment; None where none is to be read any more."""
    put, warnings = Assembly(), list[str]()
    if mail.subject:
        put.add("heading", f"# {mail.subject}", 1)
    names = ", ".join(attached.name for attached in mail.attachments)
    head = mail.headers | ({"Attachments": names} if names else {})
    put.add("paragraph", "\n".join(f"{key}: {value}" for key, value in head.items()))
    for is_html, text in mail.bodies:
        if is_html and text.strip():
            found = read_html(text.encode(), "message.html")
            put.include(found.text, found.blocks, below=1)
        else:
            put.include(text, plain_blocks(text))
    for number, attached in enumerate(mail.attachments):
        reader = read if number < MOST_ATTACHMENTS else None
        warnings += _attach(attached, put, reader)
    return Extraction(put.text, put.blocks, media_type, clean_title(mail.subject), warnings=warnings)


def _attach(attached: Attachment, put: Assembly, read: ReadBytes | None) -> list[str]:
    """Add what an attachment holds; the warnings tell what was left out."""
    left_out = f"The attachment {attached.name} was left out"
    if attached.media_type.startswith(("image/", "audio/", "video/")):
        return [f"{left_out}: upload it on its own to have it read."]
    if read is None:
        return [f"{left_out}: too many are attached, or too deep within other messages."]
    try:
        found = read(attached.data, attached.name)
    except UnreadableDocument as error:
        return [f"{left_out}: {error.detail}"]
    put.add("heading", f"## Attachment: {attached.name}", 2)
    put.include(found.text, found.blocks, below=2)
    return [f"In the attachment {attached.name}: {warning}" for warning in found.warnings]
